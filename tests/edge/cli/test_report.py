"""What people and programs read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.log.write import Result
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.report import FIELDS, Report, in_figures


@pytest.fixture
def bundle(shipped_bundle: Bundle) -> Bundle:
    return replace(shipped_bundle, calibrated_range=(5.0, 900.0))


@pytest.fixture
def results(shipped_bundle: Bundle, soils: list[Spectrum]) -> list[Result]:
    (estimate,) = Estimator(shipped_bundle).estimate(soils[:1])
    assert isinstance(estimate, Estimate)
    inside = replace(estimate, verdict="inside", reason="", bound="", value=212.4, low=110.0, high=409.0)
    return [
        Result(soils[0], inside),
        Result(soils[0], replace(inside, sample_id="leaf", verdict="outside", reason="unlike the soils")),
        Result(soils[0], replace(inside, sample_id="rich", bound=">", value=895.0)),
        Result(soils[0], replace(inside, sample_id="wide", low=50.0, high=900.0)),
        Result(None, Refusal("broken.asd", "broken.asd: is empty")),
    ]


def shown(bundle: Bundle, results: list[Result], out_format) -> str:
    out = io.StringIO()
    report = Report(out_format, out, bundle)
    report.show(results[:2])
    report.show(results[2:])
    assert (report.estimated, report.refused, report.outside) == (4, 1, 2)
    return out.getvalue()


def test_table_never_shows_an_untrusted_value_bare(bundle: Bundle, results: list[Result]) -> None:
    lines = shown(bundle, results, "table").splitlines()
    assert "SIMULATED" in lines[0]
    rows = {line.split()[0]: line for line in lines[2:]}
    assert " 212  " in rows["G0"]
    assert "110 - 409" in rows["G0"]
    assert "inside calibration" in rows["G0"]
    assert "(212)" in rows["leaf"]
    assert "outside calibration: unlike the soils" in rows["leaf"]
    assert "> 895" in rows["rich"]
    assert "above the calibrated range" in rows["rich"]
    assert "refused" in rows["broken.asd"]
    assert rows["broken.asd"].count("broken.asd") == 2
    assert "- > 900" in rows["wide"]
    assert all("simulated" in rows[name] for name in ("G0", "leaf", "rich", "wide"))


def test_heading_comes_once(bundle: Bundle, results: list[Result]) -> None:
    assert shown(bundle, results, "table").count("verdict") == 1
    assert shown(bundle, results, "csv").count("status,") == 1


def test_json_lines_carry_every_field(bundle: Bundle, results: list[Result]) -> None:
    records = [json.loads(line) for line in shown(bundle, results, "jsonl").splitlines()]
    assert all(list(r) == list(FIELDS) for r in records)
    assert [r["status"] for r in records] == ["estimate"] * 4 + ["refused"]
    assert [r["trusted"] for r in records] == [True, False, False, True, False]
    assert records[0]["simulated"] is True
    assert records[0]["model_sha256"] == bundle.sha256
    assert records[4]["value"] is None


def test_csv_reads_back(bundle: Bundle, results: list[Result]) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(bundle, results, "csv"))))
    assert [r["value"] for r in rows] == ["212.4", "212.4", "895.0", "212.4", ""]
    assert rows[0]["flags"] == "simulated model; simulated spectrum"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.5, "0.500"),
        (6.34, "6.34"),
        (12.345, "12.3"),
        (100, "100"),
        (1234.5, "1230"),
    ],
)
def test_three_figures(value: float, text: str) -> None:
    assert in_figures(value) == text


@given(st.floats(1e-3, 1e7))
def test_figures_are_close_and_plain(value: float) -> None:
    text = in_figures(value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.006, abs=5.1e-5)
