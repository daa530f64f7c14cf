"""The condition of the ground, from where it is said to the log, and that states of one sample are never averaged."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from routine_bench import Bench
from scan_samples import GRID_NM
from stibium.converters.spectra.errors import UnusableSpectrumError
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.read import read_table
from stibium.converters.spectra.table.write import write_table
from stibium.edge.engine import average_samples
from stibium.edge.files import condition_of_folder, iter_spectra
from stibium.edge.log.read import open_for_reading
from stibium.edge.log.spectra import iter_spectra as logged_spectra
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimator, Refusal
from stibium.edge.model.replicates import MeanSpectrum


def spectra_in(path: Path) -> list[Spectrum]:
    return [item for item in iter_spectra([path]) if isinstance(item, Spectrum)]


def test_a_table_keeps_it(tmp_path: Path, soils: list[Spectrum]) -> None:
    states = [replace(soils[0], condition=condition) for condition in ("dry", "damp", "wet", "")]
    write_table(tmp_path / "soils.csv", states)
    assert [one.condition for one in read_table(tmp_path / "soils.csv")] == ["dry", "damp", "wet", ""]


def test_a_word_that_is_no_condition_is_refused_by_name(tmp_path: Path, soils: list[Spectrum]) -> None:
    path = tmp_path / "soils.csv"
    rows = ["sample_id,condition," + ",".join(map(str, range(400, 420)))]
    rows += [f"{name},{said}," + ",".join(["0.3"] * 20) for name, said in (("A", "Wet"), ("B", "moist"), ("C", ""))]
    path.write_text("\n".join(rows) + "\n")
    good, bad, unknown = iter_spectra([path])
    assert isinstance(good, Spectrum)
    assert good.condition == "wet"
    assert isinstance(bad, Refusal)
    assert bad.reason == (
        "row 2 (B): condition 'moist' is no state of the ground: write dry, damp or wet, or leave it empty"
    )
    assert isinstance(unknown, Spectrum)
    assert unknown.condition == ""
    with pytest.raises(UnusableSpectrumError, match="condition 'moist'"):
        replace(soils[0], condition="moist")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "condition"),
    [
        ("soils/wet/RS1.asd", "wet"),
        ("soils/Damp/RS1/00000.asd", "damp"),
        ("dry/RS1.asd", "dry"),
        ("soils/wetland/RS1.asd", None),
        ("soils/wet/survey/RS1/00000.asd", None),
        ("wet.asd", None),
    ],
)
def test_a_folder_says_it(path: str, condition: str | None) -> None:
    assert condition_of_folder(path) == condition


def test_a_table_knows_better_than_its_folder(tmp_path: Path, soils: list[Spectrum]) -> None:
    (tmp_path / "wet").mkdir()
    write_table(tmp_path / "wet" / "soils.csv", [replace(soils[0], condition="damp"), soils[1]])
    assert [one.condition for one in spectra_in(tmp_path)] == ["damp", "wet"]


def test_states_of_a_sample_are_never_averaged(soils: Sequence[Spectrum]) -> None:
    one = soils[0]
    points = [replace(one, condition=c) for c in ("dry", "dry", "wet", "wet", "")]
    found = [item for item in average_samples(points) if isinstance(item, Spectrum)]
    assert [(item.condition, isinstance(item, MeanSpectrum)) for item in found] == [
        ("dry", True),
        ("wet", True),
        ("", False),
    ]


def test_predict_stores_it(tmp_path: Path, soils: list[Spectrum], tiny_bundle: Path) -> None:
    write_table(tmp_path / "soils.csv", [soils[0], replace(soils[1], condition="dry")])
    options = ["--model", str(tiny_bundle), "--log", str(tmp_path / "log.db"), "--format", "csv", "--condition", "damp"]
    command = [sys.executable, "-m", "stibium.edge", "predict", str(tmp_path / "soils.csv"), *options]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert [row["condition"] for row in csv.DictReader(io.StringIO(said))] == ["damp", "dry"]
    with open_for_reading(tmp_path / "log.db") as db:
        found = [spectrum for _, spectrum in logged_spectra(db)]
    assert [one.condition for one in found if isinstance(one, Spectrum)] == ["damp", "dry"]


@pytest.fixture
def bench(tmp_path: Path, shipped_bundle: Bundle) -> Bench:
    made = Bench(tmp_path, Estimator(shipped_bundle), condition="ask", points=2)
    golden = shipped_bundle.golden
    assert golden is not None
    made.instrument.in_front = np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[0])
    made.begin()
    made.type("")  # the white
    return made


def conditions(bench: Bench) -> list[str | None]:
    return [condition for (condition,) in bench.rows("SELECT condition FROM readings ORDER BY id")]


def test_measure_asks_once_a_soil(bench: Bench) -> None:
    assert bench.prompt().text == "sample-001 dry, damp, wet? Enter: none"
    bench.type("damp")
    assert bench.step == "point"
    bench.type("", "")
    assert bench.prompt().text == "sample-002 dry, damp, wet? Enter: damp"
    bench.type("", "", "", "g wet", "", "", "s", "", "")
    assert conditions(bench) == ["damp", "damp", "wet", None]
    with open_for_reading(bench.log.path) as db:
        (first, *_) = [spectrum for _, spectrum in logged_spectra(db)]
    assert isinstance(first, MeanSpectrum)
    assert [point.condition for point in first.points] == ["damp", "damp"]


def test_measure_takes_it_back_in_the_middle_of_a_sample(bench: Bench) -> None:
    bench.type("dry", "", "g moist", "g", "wet", "")
    assert "moist is no state of the ground: g dry, g damp or g wet" in [fact.text for fact in bench.facts]
    assert "no state of the ground; write: g dry, g damp or g wet" in [fact.text for fact in bench.facts]
    assert conditions(bench) == ["wet"]


def test_a_session_goes_on_with_what_was_said(bench: Bench) -> None:
    bench.type("damp", "")
    bench.resume()
    assert bench.step in ("white", "point")
    bench.type("")
    bench.sample() if not conditions(bench) else None
    assert conditions(bench) == ["damp"]


def test_a_session_that_is_not_asked_knows_nothing(tmp_path: Path, shipped_bundle: Bundle) -> None:
    bench = Bench(tmp_path, Estimator(shipped_bundle), points=1).begin()
    bench.type("", "g wet", "", "")
    assert conditions(bench) == ["wet", None]
