"""A jar that is measured each morning: its chart from the log, in `stibium log checks`, and while measuring."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from routine_bench import GRID_NM, Bench
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.log.check_soils import blank_data, chart_data, check_soils, soil_of
from stibium.edge.log.read import open_for_reading
from stibium.edge.log.write import Log
from stibium.edge.measure.plan import Plan
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimator
from stored_checks import stored

PROGRAM = Path(sys.executable).parent / "stibium"
STEADY = [50.0, 51.0, 49.5, 50.4, 48.9, 50.8, 49.7, 50.2, 49.1, 50.6]


@pytest.fixture
def soil(soils: list[Spectrum]) -> Spectrum:
    from dataclasses import replace

    return replace(soils[0], sample_id="jar")


def test_the_log_gives_a_chart(tmp_path: Path, shipped_bundle: Bundle, soil: Spectrum) -> None:
    path = stored(tmp_path / "day.db", shipped_bundle, soil, [*STEADY, 50.1, 58.0])
    with open_for_reading(path) as db:
        (found,) = check_soils(db)
        assert soil_of(db, "jar", "Sb", shipped_bundle.sha256) == found.values
        assert soil_of(db, "j*r", "Sb", shipped_bundle.sha256) == ()
    assert found.values == (*STEADY, 50.1, 58.0)
    assert found.chart is not None
    assert found.chart.broken[-1] == (1,)
    assert found.said.startswith("jar DRIFTS: Western Electric rule 1: beyond 3 standard deviations; ")
    data = chart_data(found)
    json.dumps(data, allow_nan=False)
    assert len(data["readings"]) == 12
    assert data["readings"][-1]["words"] == "Western Electric rule 1: beyond 3 standard deviations"


@pytest.mark.parametrize(
    ("values", "said", "code"),
    [
        (STEADY[:7], "7 of the 10 readings that limits come from", 0),
        ([*STEADY, 50.3], "in control", 0),
        ([*STEADY, 62.0], "DRIFTS", 1),
    ],
)
def test_the_command_says_how_it_stands(
    values: list[float], said: str, code: int, tmp_path: Path, shipped_bundle: Bundle, soil: Spectrum
) -> None:
    path = stored(tmp_path / "day.db", shipped_bundle, soil, values)
    done = subprocess.run([PROGRAM, "log", "checks", "--log", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout


def test_an_empty_log_says_what_to_do(tmp_path: Path) -> None:
    Log(tmp_path / "empty.db").close()
    done = subprocess.run(
        [PROGRAM, "log", "checks", "--log", tmp_path / "empty.db"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "no check soil is in the log" in done.stderr


def test_a_check_soil_without_plain_values_is_named(tmp_path: Path, shipped_bundle: Bundle, soil: Spectrum) -> None:
    path = stored(tmp_path / "day.db", shipped_bundle, soil, [])
    done = subprocess.run([PROGRAM, "log", "checks", "--log", path], capture_output=True, text=True, check=False)
    assert "jar: no reading has a plain value yet; limits need 10: take a richer soil" in done.stderr
    assert "no check soil" not in done.stderr


def test_drift_is_said_while_measuring(tmp_path: Path, shipped_bundle: Bundle) -> None:
    golden = shipped_bundle.golden
    assert golden is not None
    by_grade = np.argsort(golden.expected)
    poor, rich = (np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[i]) for i in by_grade[[-2, -1]])
    plan = Plan(reference_every=1, reference_id="jar")
    bench = Bench(tmp_path, Estimator(shipped_bundle), points=1, plan=plan).begin()
    bench.type("")
    for share in [0.50, 0.52, 0.49, 0.51, 0.50, 0.48, 0.51, 0.50, 0.49, 0.52, 0.50, 1.0]:
        bench.sample()
        bench.instrument.in_front = (1 - share) * poor + share * rich
        bench.sample()
        bench.instrument.in_front = (poor + rich) / 2
    drifts = [fact.text for fact in bench.facts if "DRIFTS" in fact.text]
    assert len(drifts) == 1
    assert "Western Electric rule 1" in drifts[0]


def test_blanks_have_the_critical_level_beside_them(tmp_path: Path, shipped_bundle: Bundle, soil: Spectrum) -> None:
    path = stored(tmp_path / "log.db", shipped_bundle, soil, [1.0, 500.0], "blank-1", "blank")
    with open_for_reading(path) as db:
        blanks = blank_data(db)
        assert check_soils(db) == []
    assert [(one["value"], one["detected"]) for one in blanks] == [(1.0, True), (500.0, True), (1e5, True)]
    (level,) = {one["critical_level"] for one in blanks}
    assert level == pytest.approx(shipped_bundle.levels.critical)
