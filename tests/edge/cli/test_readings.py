"""What people and programs read of readings: `predict`, `watch`, `listen` and `measure` write through one class."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from record_check import read_records
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.cli.readings import Readings
from stibium.edge.log.write import Result
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.record import FLAT_NAMES


@pytest.fixture
def bundle(shipped_bundle: Bundle) -> Bundle:
    return replace(shipped_bundle, calibrated_range=(5.0, 900.0))


@pytest.fixture
def results(shipped_bundle: Bundle, soils: list[Spectrum]) -> list[Result]:
    (estimate,) = Estimator(shipped_bundle).estimate(soils[:1])
    assert isinstance(estimate, Estimate)
    inside = estimate._replace(verdict="inside", reason="", bound="", value=212.4, low=110.0, high=409.0)
    outcomes = {
        "G0": inside,
        "leaf": inside._replace(verdict="outside", reason="unlike the soils"),
        "rich": inside._replace(bound=">", value=895.0),
        "wide": inside._replace(low=50.0, high=900.0),
    }
    at = "2026-05-06T09:30:00.000+00:00"
    found = [Result(replace(soils[0], sample_id=n), o, stored_at=at) for n, o in outcomes.items()]
    return [*found, Result(None, Refusal("broken.asd", "broken.asd: is empty"), stored_at=at)]


def shown(bundle: Bundle, results: list[Result], out_format: str) -> str:
    out = io.StringIO()
    readings = Readings(out_format, [bundle], out)
    readings.show(results[:2])
    readings.show(results[2:])
    assert (readings.estimated, readings.refused, readings.remarked) == (4, 1, 2)
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
    dry = results[0]._replace(outcome=results[0].outcome._replace(water_index=-0.04))  # type: ignore[call-arg]
    assert "water index 0.0" in shown(bundle, [dry, *results[1:]], "table")
    assert rows["broken.asd"].count("broken.asd") == 2
    assert "- > 900" in rows["wide"]
    assert all("simulated" in rows[name] for name in ("G0", "leaf", "rich", "wide"))


def test_heading_comes_once(bundle: Bundle, results: list[Result]) -> None:
    assert shown(bundle, results, "table").count("verdict") == 1
    assert shown(bundle, results, "csv").count("schema,status,") == 1


def test_json_lines_are_records(bundle: Bundle, results: list[Result]) -> None:
    records = read_records(shown(bundle, results, "jsonl"))
    assert [r["status"] for r in records] == ["estimated"] * 4 + ["refused"]
    # The shipped model is simulated, so nothing it says may be used on real ground.
    assert [(r["trusted"], r["value"], r["said"]) for r in records] == [
        (False, None, 212.4),
        (False, None, 212.4),
        (False, None, 895.0),
        (False, None, 212.4),
        (False, None, None),
    ]
    assert records[0]["simulated"] is True
    assert records[0]["model_sha256"] == bundle.sha256


def test_csv_reads_back(bundle: Bundle, results: list[Result]) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(bundle, results, "csv"))))
    assert [list(r) for r in rows] == [list(FLAT_NAMES)] * 5
    assert [r["untrusted_value"] for r in rows] == ["212.4", "212.4", "895.0", "212.4", ""]
    assert rows[0]["flags"] == "simulated model; simulated spectrum"


def test_a_journal_has_one_line_each(bundle: Bundle, results: list[Result]) -> None:
    heading, first, second, *_, last = shown(bundle, results, "line").splitlines()
    assert "unsigned" in heading
    assert first.startswith("G0 Sb 212 ppm; 90 %: 110 - 409 ppm; inside calibration; ")
    assert second.startswith("leaf Sb (212) ppm; ")
    assert last == "broken.asd REFUSED; broken.asd: is empty"


@pytest.mark.parametrize("out_format", ["table", "jsonl", "csv", "line"])
def test_a_name_does_nothing_to_a_terminal(bundle: Bundle, results: list[Result], out_format: str) -> None:
    """Names come from sticks: one clears the screen, one turns the direction of writing, one fakes a line."""
    nasty = "\x1b[2J\x9b31m‮evil\r\nG9 Sb 1 ppm"
    refused = Result(None, Refusal(nasty, nasty, nasty), stored_at="2026-05-06T09:30:00.000+00:00")
    text = shown(
        bundle,
        [results[0]._replace(outcome=results[0].outcome._replace(flags=(nasty,))), *results[1:4], refused],
        out_format,
    )
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not any(line.startswith("G9") for line in text.splitlines())
    if out_format == "jsonl":
        assert read_records(text)[-1]["sample_id"] == nasty


def test_a_unit_is_written_in_one_way_in_table_and_line(bundle: Bundle, results: list[Result]) -> None:
    clay = replace(bundle, element="clay", unit="pct")
    (estimate,) = (one.outcome for one in results[:1])
    assert isinstance(estimate, Estimate)
    result = results[0]._replace(outcome=estimate._replace(element="clay", unit="pct"))
    for bundles in ([clay], [clay, bundle]):
        said = {}
        for out_format in ("table", "line"):
            out = io.StringIO()
            Readings(out_format, bundles, out).show([result])
            said[out_format] = out.getvalue()
        assert "clay %" in said["table"]
        assert "clay 212 %" in said["line"]
        assert "pct" not in said["table"] + said["line"]
