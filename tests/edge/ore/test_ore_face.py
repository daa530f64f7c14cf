"""One block at the face: the probe's ranges become the probability's range, and what cannot be told is not told."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.cli import stibium
from stibium.edge.cli.ore_face import _choices
from stibium.edge.log.columns import ReadingFacts
from stibium.edge.log.corrections import correct
from stibium.edge.log.write import Log
from stibium.edge.log.write import Result as Stored
from stibium.edge.model.estimate import Estimate, Refusal
from stibium.edge.ore.bundle import OreBundle, read_ore_bundle, write_ore_bundle
from stibium.edge.ore.columns import Variable
from stibium.edge.ore.face import MOST_ROWS, Known, answer_at_face, from_field, grid_of, spread, unknown
from stibium.edge.ore.probe_estimates import latest_estimates

SPECTRUM = Spectrum(np.arange(400.0, 410), np.full(10, 0.3), "reflectance", "F12", source="F12.asd")


def estimate(element: str, value: float, **changes: Any) -> Estimate:
    plain: dict[str, Any] = {
        "sample_id": "F12", "measurement": "", "source": "F12.asd", "measured_at": None, "element": element,
        "unit": "ppm", "value": value, "bound": "", "low": value / 2, "high": value * 2, "coverage": 0.9,
        "verdict": "inside", "reason": "", "flags": (), "t2_over_limit": 0.5, "q_over_limit": 0.5, "simulated": False,
    }  # fmt: skip
    return Estimate(**(plain | changes))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def put(log: Path, *outcomes: Estimate | Refusal) -> None:
    with Log(log, "probe.tflite", "abc") as opened:
        opened.add([Stored(SPECTRUM, outcome) for outcome in outcomes])


def face(bundle: OreBundle, log: Path, *more: str, answers: str | None = None) -> Result:
    arguments = ["ore", "predict", "--at-face", "--sample", "F12", "--model", bundle.path, "--log", str(log), *more]
    return CliRunner().invoke(stibium, arguments if answers is not None else [*arguments, "--no-ask"], input=answers)


def all_classes(bundle: OreBundle, word: str, but: str = "") -> list[str]:
    classes = [v.name for v in bundle.columns.variables if v.kind == "class" and v.name != but]
    return [x for name in classes for x in ("--class", f"{name}={word}")]


def record_of(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def values(bundle: OreBundle, code: float, **assays: float) -> np.ndarray[Any, Any]:
    return np.array([[code if v.kind == "class" else assays[v.name] for v in bundle.columns.variables]])


def test_the_interval_becomes_a_range(logistic_c3: OreBundle, log: Path) -> None:
    put(log, estimate("As", 40.0), estimate("Pb", 20.0, low=20.0, high=20.0), estimate("Zn", 20.0, low=20.0, high=20.0))
    record = record_of(face(logistic_c3, log, *all_classes(logistic_c3, "Medium"), "--format", "jsonl"))
    # A logistic regression rises or falls all the way, so its lowest and highest are at the interval's ends.
    ends = [logistic_c3.model.probabilities(values(logistic_c3, 2, As=a, Pb=20.0, Zn=20.0))[0] for a in (20.0, 80.0)]
    middle = logistic_c3.model.probabilities(values(logistic_c3, 2, As=40.0, Pb=20.0, Zn=20.0))[0]
    assert record["low"] == pytest.approx(min(ends), abs=1e-6)
    assert record["high"] == pytest.approx(max(ends), abs=1e-6)
    assert record["probability"] == pytest.approx(middle, abs=1e-6)
    assert record["low"] < record["probability"] < record["high"]


def test_several_intervals_are_taken_together(logistic_c3: OreBundle, log: Path) -> None:
    put(log, estimate("As", 40.0), estimate("Pb", 20.0), estimate("Zn", 30.0))
    record = record_of(face(logistic_c3, log, *all_classes(logistic_c3, "High"), "--format", "jsonl"))
    corners = [
        logistic_c3.model.probabilities(values(logistic_c3, 3, As=a, Pb=p, Zn=z))[0]
        for a in (20.0, 80.0) for p in (10.0, 40.0) for z in (15.0, 60.0)
    ]  # fmt: skip
    assert record["low"] == pytest.approx(min(corners), abs=1e-6)
    assert record["high"] == pytest.approx(max(corners), abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({"bound": "< LOD", "low": 6.0, "high": 30.0}, 0.0, 30.0),
        ({"bound": "<", "low": 6.0, "high": 30.0}, 0.0, 30.0),
        ({"bound": ">", "low": 25.0, "high": 40.0}, 25.0, None),
        ({"low": None, "high": None, "coverage": None}, 40.0, 40.0),
    ],
)
def test_bounds_are_what_they_say(
    logistic_c3: OreBundle, log: Path, changes: dict[str, Any], low: float, high: float | None
) -> None:
    put(log, estimate("As", 40.0, **changes))
    done = face(
        logistic_c3, log, *all_classes(logistic_c3, "Low"), "--assay", "Pb=20", "--assay", "Zn=20", "--format", "jsonl"
    )
    record = record_of(done)
    highest = float(logistic_c3.training.highest[logistic_c3.columns.names.index("As")])
    ends = [
        logistic_c3.model.probabilities(values(logistic_c3, 1, As=a, Pb=20.0, Zn=20.0))[0]
        for a in (low, highest if high is None else high)
    ]
    assert record["low"] == pytest.approx(min(ends), abs=1e-6)
    assert record["high"] == pytest.approx(max(ends), abs=1e-6)
    assert ("has no interval: taken as exact" in done.stderr) == (changes["low"] is None)


def test_what_the_probe_does_not_detect_is_called_so(logistic_c3: OreBundle, log: Path) -> None:
    put(log, estimate("As", 17.123456, bound="< LOD", low=0.0, high=34.246912))
    arguments = (*all_classes(logistic_c3, "Low"), "--assay", "Pb=20", "--assay", "Zn=20")
    screen = " ".join(face(logistic_c3, log, *arguments).output.split())
    assert "As not detected (0 - 34.2 ppm)" in screen
    assert "34.24" not in screen


def test_typed_bounds_are_what_they_say(logistic_c3: OreBundle, log: Path) -> None:
    arguments = [*all_classes(logistic_c3, "Low"), "--assay", "Pb=<8", "--assay", "Zn=20", "--assay", "As=>30"]
    record = record_of(face(logistic_c3, log, *arguments, "--format", "jsonl"))
    highest = float(logistic_c3.training.highest[0])
    corners = [
        logistic_c3.model.probabilities(values(logistic_c3, 1, As=a, Pb=p, Zn=20.0))[0]
        for a in (30.0, highest) for p in (0.0, 8.0)
    ]  # fmt: skip
    assert record["low"] == pytest.approx(min(corners), abs=1e-6)
    assert record["high"] == pytest.approx(max(corners), abs=1e-6)


def test_an_estimate_outside_its_calibration_is_not_used(logistic_c3: OreBundle, log: Path) -> None:
    put(
        log,
        estimate("As", 40.0),
        estimate("As", 700.0, verdict="outside", reason="T2 3.1 times the limit"),
        estimate("Zn", 20.0, verdict="unknown"),
    )
    found, remarks = latest_estimates(log, "F12", ["As", "Pb", "Zn"])
    assert {name: e.value for name, e in found.items()} == {"As": 40.0}
    assert remarks == (
        "an estimate of As is not used: T2 3.1 times the limit",
        "an estimate of Zn is not used: its model cannot tell",
    )
    done = face(logistic_c3, log, *all_classes(logistic_c3, "Low"))
    screen = " ".join(done.output.split())
    assert "an estimate of As is not used: T2 3.1 times the limit" in screen
    assert "As 40.0 ppm (20.0 - 80.0)" in screen
    assert "Zn not known" in screen


def test_the_latest_estimate_of_that_sample_counts(log: Path) -> None:
    put(log, estimate("As", 40.0), estimate("As", 60.0))
    with Log(log, "other.tflite", "def") as opened:
        other = Spectrum(np.arange(400.0, 410), np.full(10, 0.3), "reflectance", "F13", source="F13.asd")
        opened.add([Stored(other, estimate("As", 99.0, sample_id="F13"))])
    found, _ = latest_estimates(log, "F12", ["As"])
    assert (found["As"].value, found["As"].model, found["As"].low, found["As"].high) == (
        60.0,
        "probe.tflite",
        30.0,
        120.0,
    )


def test_a_refusal_after_the_estimates_is_said(log: Path) -> None:
    put(log, estimate("As", 40.0))
    assert latest_estimates(log, "F12", ["As"])[1] == ()
    put(log, Refusal("F12.asd", "saturated at 900 nm", "F12"))
    assert latest_estimates(log, "F12", ["As"])[1] == ("the last measurement of F12 was refused: saturated at 900 nm",)


@pytest.mark.parametrize(("after", "clock_is_set_back"), [(True, False), (True, True), (False, False), (False, True)])
def test_which_came_last_goes_by_rows_and_not_by_a_clock_that_was_set(
    after: bool, clock_is_set_back: bool, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = ["2026-05-06T09:30:00.000+00:00", "2026-05-06T09:00:00.000+00:00"]
    clock = iter(times if clock_is_set_back else times[::-1])
    now = next(clock)
    monkeypatch.setattr("stibium.edge.log.write.now", lambda: now)
    unread = Stored(None, Refusal("F12.asd", "is cut off", "F12"))
    measured = Stored(SPECTRUM, estimate("As", 40.0))
    with Log(log, "probe.tflite", "abc") as opened:
        opened.add([measured if after else unread])
        now = next(clock)
        opened.add([unread if after else measured])
    said = latest_estimates(log, "F12", ["As"])[1]
    assert said == (("the last measurement of F12 was refused: is cut off",) if after else ())


def test_in_a_log_of_version_5_the_clock_says_which_came_last(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not the real one: within one of its milliseconds it cannot say.
    clock = iter(["2026-05-06T09:00:00.000+00:00", "2026-05-06T09:30:00.000+00:00"])
    monkeypatch.setattr("stibium.edge.log.write.now", lambda: next(clock))
    with Log(log, "probe.tflite", "abc") as opened:
        opened.add([Stored(SPECTRUM, estimate("As", 40.0))])
        opened.add([Stored(None, Refusal("F12.asd", "is cut off", "F12"))])
    with closing(sqlite3.connect(log)) as db:
        db.execute("ALTER TABLE refusals DROP COLUMN after_reading")
        db.execute("PRAGMA user_version=5")
        db.commit()
    for _ in range(2):
        assert latest_estimates(log, "F12", ["As"])[1] == ("the last measurement of F12 was refused: is cut off",)
        Log(log).close()


@pytest.mark.parametrize("over", ["scatter_over_limit", "movement_over_limit"])
def test_what_is_shown_in_parentheses_elsewhere_is_no_plain_number_here(over: str, log: Path) -> None:
    put(log, estimate("As", 40.0), estimate("As", 60.0, **{over: 1.5}))
    found, remarks = latest_estimates(log, "F12", ["As"])
    said = "its points scatter, or it is unstable"
    assert (found["As"].value, found["As"].low, found["As"].high) == (60.0, 30.0, 120.0)
    assert remarks == (f"the probe's As is to be read with care: {said}",)
    # Without an interval nothing would say how far it may be off.
    put(log, estimate("As", 80.0, low=None, high=None, coverage=None, **{over: 1.5}))
    found, remarks = latest_estimates(log, "F12", ["As"])
    assert found["As"].value == 60.0
    assert remarks[0] == f"an estimate of As is not used: {said}"


def test_a_blank_is_no_soil(log: Path) -> None:
    put(log, estimate("As", 40.0))
    with Log(log, "probe.tflite", "abc") as opened:
        opened.add([Stored(SPECTRUM, estimate("As", 5.0), ReadingFacts(sample_kind="blank"))])
    found, remarks = latest_estimates(log, "F12", ["As"])
    assert found["As"].value == 40.0
    assert remarks == ("an estimate of As is not used: it is of a blank",)


def test_a_newer_reading_counts_more_than_an_older_one_estimated_again(log: Path) -> None:
    put(log, estimate("As", 40.0), estimate("As", 60.0))
    with Log(log, "newer.tflite", "def") as opened:
        assert opened.add_estimates([(1, estimate("As", 45.0))]) == [True]
        assert latest_estimates(log, "F12", ["As"])[0]["As"].value == 60.0
        assert opened.add_estimates([(2, estimate("As", 65.0))]) == [True]
    assert latest_estimates(log, "F12", ["As"])[0]["As"].value == 65.0


def test_what_was_said_of_a_reading_afterwards_counts(log: Path) -> None:
    put(log, estimate("As", 40.0), estimate("As", 60.0), Refusal("F12.asd", "saturated at 900 nm", "F12"))
    with Log(log) as opened:
        correct(opened, 2, "void", {"reason": "wrong face"})
        correct(opened, 3, "void", {"reason": "lamp off"})
        found, remarks = latest_estimates(log, "F12", ["As"])
        assert (found["As"].value, remarks) == (40.0, ())
        correct(opened, 1, "rename", {"sample_id": "F20"})
    assert latest_estimates(log, "F12", ["As"])[0] == {}
    assert latest_estimates(log, "F20", ["As"])[0]["As"].value == 40.0


def test_soils_of_one_name_in_two_sessions_are_not_put_together(log: Path) -> None:
    with Log(log, "probe.tflite", "abc") as opened:
        for number, one in enumerate((estimate("As", 40.0), estimate("Pb", 7.0))):
            session = opened.begin_session(port=f"/dev/ttyUSB{number}")
            opened.add([Stored(SPECTRUM, one, ReadingFacts(session_id=session))])
        found, remarks = latest_estimates(log, "F12", ["As", "Pb"])
        assert set(found) == {"Pb"}
        assert remarks == ("F12 is in several sessions: the last one counts, as they may be of different soils",)
        correct(opened, 2, "together", {"with": 1})
    assert set(latest_estimates(log, "F12", ["As", "Pb"])[0]) == {"As", "Pb"}


def test_an_interval_cut_off_at_the_calibrated_range_is_open(logistic_c3: OreBundle, log: Path) -> None:
    with Log(log, "probe.tflite", "abc", (10.0, 90.0)) as opened:
        opened.add([Stored(SPECTRUM, estimate("As", 40.0, low=10.0, high=90.0))])
    arguments = [*all_classes(logistic_c3, "Low"), "--assay", "Pb=20", "--assay", "Zn=20", "--format", "jsonl"]
    record = record_of(face(logistic_c3, log, *arguments))
    highest = float(logistic_c3.training.highest[0])
    ends = [logistic_c3.model.probabilities(values(logistic_c3, 1, As=a, Pb=20.0, Zn=20.0))[0] for a in (0.0, highest)]
    assert record["low"] == pytest.approx(min(ends), abs=1e-6)
    assert record["high"] == pytest.approx(max(ends), abs=1e-6)


def test_another_unit_is_converted(logistic_c3: OreBundle, log: Path, tmp_path: Path) -> None:
    more = [*all_classes(logistic_c3, "Low"), "--assay", "Pb=20", "--assay", "Zn=20", "--format", "jsonl"]
    put(log, estimate("As", 0.004, unit="%", low=0.002, high=0.008))
    put(tmp_path / "ppm.db", estimate("As", 40.0, low=20.0, high=80.0))
    found, same = (record_of(face(logistic_c3, path, *more)) for path in (log, tmp_path / "ppm.db"))
    for name in ("probability", "low", "high"):
        assert found[name] == pytest.approx(same[name], abs=1e-6), name


def test_no_unit_of_content_is_not_taken(logistic_c3: OreBundle, log: Path) -> None:
    put(log, estimate("As", 0.004, unit="counts"))
    done = face(logistic_c3, log, *all_classes(logistic_c3, "Low"), "--format", "jsonl")
    assert "the probe's As is not used: there is no unit counts; there are ppm" in done.stderr
    assert "As not known" in record_of(done)["flags"]


def test_a_range_that_holds_the_threshold_cannot_be_told(logistic_c3: OreBundle, log: Path, tmp_path: Path) -> None:
    put(log, estimate("As", 40.0))
    arguments = [*all_classes(logistic_c3, "Medium"), "--assay", "Pb=20", "--assay", "Zn=20", "--format", "jsonl"]
    before = record_of(face(logistic_c3, log, *arguments))
    for share, decision in ((-0.1, "ore"), (0.3, "cannot tell"), (0.7, "cannot tell"), (1.1, "gangue")):
        threshold = before["low"] + share * (before["high"] - before["low"])
        path = tmp_path / "moved.ore"
        write_ore_bundle(path, replace(logistic_c3, threshold=threshold))
        moved = read_ore_bundle(path)
        record = record_of(face(moved, log, *arguments))
        assert record["decision"] == decision
        assert ("holds the threshold" in record["reason"]) == (decision == "cannot tell")
        # A value in place of the range always tells.
        sure = record_of(face(moved, log, "--assay", "As=40", *arguments))
        assert sure["decision"] == ("ore" if sure["probability"] >= threshold else "gangue")
        assert sure["low"] == sure["high"] == sure["probability"]


def test_outside_the_training_cannot_be_told(logistic_c3: OreBundle, log: Path) -> None:
    arguments = [*all_classes(logistic_c3, "High"), "--assay", "Pb=20", "--assay", "Zn=20", "--format", "jsonl"]
    record = record_of(face(logistic_c3, log, "--assay", "As=1e6", *arguments))
    assert record["decision"] == "cannot tell"
    assert "above the training's" in record["reason"]
    put(log, estimate("As", 40.0, high=1e5))
    assert any(
        "As may be above the training's" in flag for flag in record_of(face(logistic_c3, log, *arguments))["flags"]
    )


def test_a_class_not_known_may_be_any_of_its_words(forest_c4: OreBundle, log: Path) -> None:
    arguments = all_classes(forest_c4, "Medium", but="Sulfetac")
    assays = ["--assay", "Pb=20", "--assay", "Zn=20", "--format", "jsonl"]
    record = record_of(face(forest_c4, log, *arguments, *assays))
    found = [
        record_of(face(forest_c4, log, *arguments, "--class", f"Sulfetac={word}", *assays))["probability"]
        for word in ("Low", "Medium", "High")
    ]
    assert record["low"] <= min(found)
    assert record["high"] >= max(found)
    assert record["low"] == pytest.approx(min(*found, record["probability"]), abs=2e-6)
    assert record["high"] == pytest.approx(max(*found, record["probability"]), abs=2e-6)
    assert "Sulfetac not known" in record["flags"]


def test_too_much_unknown_cannot_be_told(forest_c4: OreBundle, log: Path) -> None:
    record = record_of(face(forest_c4, log, "--assay", "Pb=20", "--assay", "Zn=20", "--format", "jsonl"))
    assert record["decision"] == "cannot tell"
    assert record["reason"].startswith("too much is not known: Class_Boud, Sulfetac")
    assert record["low"] is None


def test_a_bump_inside_the_interval_is_found(xgboost_c3: OreBundle) -> None:
    """Trees may be highest or lowest between the ends: the points between must show it."""
    variables = xgboost_c3.columns.variables
    bumps = 0
    for block in xgboost_c3.golden.values[~np.isnan(xgboost_c3.golden.values).any(axis=1)]:
        sweep = np.tile(block, (2000, 1))
        sweep[:, 0] = np.geomspace(1, 500, 2000)
        curve = xgboost_c3.model.probabilities(sweep)
        known = [Known(v, x, x, x) for v, x in zip(variables, block.tolist(), strict=True)]
        known[0] = Known(variables[0], 20.0, 1.0, 500.0)
        answer = answer_at_face(xgboost_c3, "F1", known)
        assert answer.low is not None
        assert answer.high is not None
        bumps += curve.max() > max(curve[0], curve[-1]) + 0.02
        assert answer.low == pytest.approx(curve.min(), abs=0.02)
        assert answer.high == pytest.approx(curve.max(), abs=0.02)
    assert bumps


@settings(max_examples=60, deadline=None)
@given(
    low=st.floats(0, 100), width=st.floats(0.01, 1000), inside=st.floats(0, 1), points=st.integers(5, 33),
)  # fmt: skip
def test_points_of_a_range(logistic_c3: OreBundle, low: float, width: float, inside: float, points: int) -> None:
    value = low + inside * width
    known = Known(logistic_c3.columns.variables[0], value, low, low + width)
    found = spread(known, points)
    assert found[0] == low
    assert found[-1] == low + width
    assert value in found
    assert len(found) <= points
    assert (np.diff(found) > 0).all()


@settings(max_examples=40, deadline=None)
@given(ranges=st.integers(0, 3), open_classes=st.integers(0, 6))
def test_the_grid_is_bounded(xgboost_c3: OreBundle, ranges: int, open_classes: int) -> None:
    known: list[Known] = []
    for k, v in enumerate(xgboost_c3.columns.variables):
        if v.kind == "assay":
            known.append(Known(v, 20.0, 10.0, 40.0) if k < ranges else Known(v, 20.0, 20.0, 20.0))
        else:
            known.append(unknown(v) if k - 3 < open_classes else Known(v, 2.0, 2.0, 2.0))
    grid = grid_of(xgboost_c3, known)
    if grid is None:
        assert 5**ranges * 3**open_classes > MOST_ROWS
    else:
        assert len(grid) <= MOST_ROWS
        assert len(np.unique(grid, axis=0)) == len(grid) >= 5**ranges * 3**open_classes


@given(value=st.floats(0.01, 1e4), bound=st.sampled_from([-1, 0, 1]))
def test_typed_numbers_stay_in_their_range(logistic_c3: OreBundle, value: float, bound: int) -> None:
    known = from_field(logistic_c3.columns.variables[0], value, bound, 500.0, "test")
    assert known.low <= known.value <= known.high
    assert {-1: known.high, 0: known.value, 1: known.low}[bound] == value


def test_the_call_is_stored_with_all_it_was_made_of(logistic_c3: OreBundle, log: Path) -> None:
    put(log, estimate("As", 40.0, simulated=True))
    arguments = ["--class", "Sulfetac=3", "--assay", "Pb=<8", "--assay", "Zn=20", "--format", "jsonl"]
    record = record_of(face(logistic_c3, log, *all_classes(logistic_c3, "low", but="Sulfetac"), *arguments))
    with sqlite3.connect(log) as db:
        db.row_factory = sqlite3.Row
        (row,) = db.execute("SELECT * FROM ore_calls").fetchall()
    assert (row["sample_id"], row["decision"], row["model_sha256"]) == ("F12", record["decision"], logistic_c3.sha256)
    assert row["probability"] == pytest.approx(record["probability"], abs=1e-6)
    assert (row["low"], row["high"]) == (
        pytest.approx(record["low"], abs=1e-6),
        pytest.approx(record["high"], abs=1e-6),
    )
    inputs = json.loads(row["inputs"])
    assert inputs["Sulfetac"] == {"value": 3.0, "low": 3.0, "high": 3.0, "words": "High", "source": "geologist"}
    assert inputs["Pb"]["words"] == "< 8 ppm"
    assert (inputs["As"]["low"], inputs["As"]["high"]) == (20.0, 80.0)
    assert inputs["As"]["source"].startswith("probe, estimate 1 of probe.tflite, 90 % interval")
    contributions = json.loads(row["contributions"])
    assert set(contributions) == {"base", *logistic_c3.columns.names}
    assert row["simulated"] == 1
    with sqlite3.connect(log) as db:
        for change in ("DELETE FROM ore_calls", "UPDATE ore_calls SET decision = 'ore'"):
            with pytest.raises(sqlite3.IntegrityError, match="log"):
                db.execute(change)
    # It is still a log that every command takes, and a second call is stored beside the first.
    put(log, estimate("As", 41.0))
    face(logistic_c3, log, *all_classes(logistic_c3, "low"))
    with sqlite3.connect(log) as db:
        assert db.execute("SELECT count(*) FROM ore_calls").fetchone() == (2,)


def test_nothing_is_shown_that_is_not_stored(logistic_c3: OreBundle, log: Path) -> None:
    put(log, estimate("As", 40.0))
    with sqlite3.connect(log) as db:
        db.execute("CREATE TRIGGER in_the_way BEFORE INSERT ON ore_calls BEGIN SELECT RAISE(ABORT, 'in the way'); END")
    done = face(logistic_c3, log, *all_classes(logistic_c3, "Low"), "--assay", "Pb=20", "--assay", "Zn=20")
    assert done.exit_code == 1
    assert "P(ore)" not in done.output
    assert "the log cannot be written" in str(done.exception)


def test_a_foreign_database_is_refused(logistic_c3: OreBundle, log: Path) -> None:
    with sqlite3.connect(log) as db:
        db.execute("CREATE TABLE other (id INTEGER)")
    done = face(logistic_c3, log, *all_classes(logistic_c3, "Low"))
    assert done.exit_code == 1
    assert "a database of another program" in str(done.exception)


def test_asked_one_by_one(logistic_c3: OreBundle, log: Path) -> None:
    put(log, estimate("As", 40.0), estimate("Pb", 20.0))
    # Six classes, with a question and a slip among the answers, then Zn.
    done = face(logistic_c3, log, answers="High\n?\n2\nhuge\nlow\n\n3\n1\n<20\n")
    assert done.exit_code == 0, done.output
    screen = " ".join(done.output.split())
    assert "1/7 clusters of arsenopyrite and pyrite (Sulfetac) 1 Low, 2 Medium, 3 High, Enter, ?" in screen
    assert "arsenopyrite seen by eye. A word or its number" in screen
    assert "'huge' is no class; known are Low, Medium, High" in screen
    assert "7/7 Zn ppm" in screen
    assert "sulphidation not known" in screen
    assert "SIMULATED blocks: it says nothing about real ground" in screen
    assert all(len(line) <= 44 for line in done.output.splitlines())
    with sqlite3.connect(log) as db:
        (inputs,) = (json.loads(x) for (x,) in db.execute("SELECT inputs FROM ore_calls"))
    words = {name: entry["words"] for name, entry in inputs.items()}
    assert words["Sulfetac"] == "High"
    assert words["Class_As"] == "Medium"
    assert words["Class_Def"] == "Low"
    assert words["sulphidation"] == "not known"
    assert words["Zn"] == "< 20 ppm"
    assert words["Pb"] == "20.0 ppm (10.0 - 40.0)"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--class", "Sulfetac=Huge"], "'Huge' is no class"),
        (["--class", "Sulfetac"], "NAME=VALUE is needed"),
        (["--class", "Boudin=High"], "this model's are Sulfetac, Class_As"),
        (["--class", "As=3"], "this model's are Sulfetac"),
        (["--assay", "As=much"], "is no value"),
        (["--assay", "As=-3"], "is negative"),
        (["--assay", "As=3", "--assay", "As=4"], "given twice"),
    ],
)
def test_wrong_words_are_usage_errors(logistic_c3: OreBundle, log: Path, arguments: list[str], said: str) -> None:
    done = face(logistic_c3, log, *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not log.exists()


def test_an_end_of_input_while_asking_stores_nothing(logistic_c3: OreBundle, log: Path) -> None:
    command = [sys.executable, "-m", "stibium.edge", "ore", "predict", "--at-face", "--sample", "F1"]
    environment = os.environ | {"STIBIUM_ORE_MODEL": logistic_c3.path, "STIBIUM_LOG": str(log)}
    done = subprocess.run(command, input="High\n", capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1].endswith("stibium: stopped")
    assert not log.exists()


def test_as_a_process(forest_c4: OreBundle, log: Path) -> None:
    command = [sys.executable, "-m", "stibium.edge", "ore", "predict", "--at-face", "--sample", "F1"]
    environment = os.environ | {"STIBIUM_ORE_MODEL": forest_c4.path, "STIBIUM_LOG": str(log)}
    arguments = [*all_classes(forest_c4, "High"), "--assay", "Pb=20", "--assay", "Zn=20", "--no-ask"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "F1: ORE" in done.stdout
    assert "for (+) and against (-) ore, probability:" in done.stdout


def test_the_shares_are_worked_out_once(monkeypatch: pytest.MonkeyPatch, forest_c4: OreBundle) -> None:
    """What is worked out once is not worked out again for the next block."""
    import stibium.edge.ore.model as model_module

    made: list[int] = []
    original: Callable[..., Any] = model_module.Shapley

    def counting(*arguments: Any) -> Any:
        made.append(1)
        return original(*arguments)

    monkeypatch.setattr(model_module, "Shapley", counting)
    model = read_ore_bundle(forest_c4.path).model
    model.prepare()
    for block in forest_c4.golden.values:
        model.contributions(block)
    assert len(made) == 1


@pytest.mark.parametrize(
    ("words", "asked"), [(("slate", "dyke"), "1 slate, 2 dyke, Enter, ?"), (("210", "4"), "210, 4, Enter, ?")]
)
def test_a_mines_own_rock_codes_are_asked_for_as_they_are(words: tuple[str, ...], asked: str) -> None:
    assert _choices(Variable("rock", "rock", "category", words=words)) == asked
