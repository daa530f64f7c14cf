"""A session that nobody attends, as `stibium listen` has it: labels name, what fails is refused at once, nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from routine_bench import BENCH, QUICK, Bench, BenchInstrument
from scan_samples import GRID_NM
from stibium.edge.errors import InstrumentError, MeasurementError
from stibium.edge.measure.plan import Plan
from stibium.edge.measure.resume import left_behind, open_points_notice, take_up
from stibium.edge.measure.routine import take, wait
from stibium.edge.measure.samples import finish
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal

Make = Callable[..., Bench]
UNATTENDED: dict[str, Any] = {"unattended": True, "by_label": True, "on_for_min": None}
REFLECTANCE = replace(BENCH, delivers="reflectance", needs_dark=False)


@pytest.fixture(scope="module")
def estimator(shipped_bundle: Bundle) -> Estimator:
    return Estimator(shipped_bundle)


@pytest.fixture
def make(tmp_path: Path, estimator: Estimator, shipped_bundle: Bundle) -> Make:
    golden = shipped_bundle.golden
    assert golden is not None
    soil = np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[0])

    def made(**options: Any) -> Bench:
        bench = Bench(tmp_path, estimator, **UNATTENDED | options)
        bench.instrument.in_front = soil
        return bench.begin()

    return made


def measure(bench: Bench, *labels: str, **changes: Any) -> None:
    """Measure a point for each label."""
    for label in labels:
        bench.instrument.spoil = [lambda scan, label=label: replace(scan, label=label, **changes)]
        bench.type("")


def told(bench: Bench) -> list[tuple[str, int]]:
    """(sample, points; 0 for refused) of each result."""
    outcomes = [fact.result.outcome for fact in bench.facts if fact.result is not None]
    return [(o.sample_id, o.points if isinstance(o, Estimate) else 0) for o in outcomes]


@pytest.mark.parametrize(
    ("options", "labels", "expected"),
    [
        ({"points": 2}, ["A", "A", "B", "B"], [("A", 2), ("B", 2)]),
        ({"points": 3}, ["A", "A", "B", "C"], [("A", 2), ("B", 1), ("C", 1)]),
        ({"points": 2}, ["", "", ""], [("sample-001", 2), ("sample-002", 1)]),
        ({"points": 1}, ["A7", "", "B9"], [("A7", 1), ("sample-001", 1), ("B9", 1)]),
        ({"points": 2, "by_label": False, "plan": Plan(prefix="RS")}, ["A", "B", "C"], [("RS001", 2), ("RS002", 1)]),
        ({"points": 2, "by_label": False, "plan": Plan(names=("X",))}, ["A", "B"], [("X", 2)]),
    ],
)
def test_samples_are_told_apart_by_count_and_label(
    make: Make, options: dict[str, Any], labels: list[str], expected: list[tuple[str, int]]
) -> None:
    bench = make(**options)
    bench.type("")
    measure(bench, *labels)
    finish(bench.session)
    assert told(bench) == expected
    # A sample with fewer points than planned counts, and says so.
    remarks = [fact.result.outcome for fact in bench.facts if fact.result is not None]
    for outcome in remarks:
        assert isinstance(outcome, Estimate)
        few = outcome.points < bench.settings.points
        assert any("points" in flag and " of " in flag for flag in outcome.flags) == few
    assert bench.state.run.soils == len(expected)


def test_the_mean_is_that_of_the_points(make: Make) -> None:
    bench = make(points=3, instrument=BenchInstrument(REFLECTANCE))
    soil = bench.instrument.in_front
    for factor in (0.98, 1.0, 1.03):
        bench.instrument.spoil = [
            lambda scan, factor=factor: replace(scan, values=factor * soil, unit="reflectance", label="S")
        ]
        bench.type("")
    (result,) = [fact.result for fact in bench.facts if fact.result is not None]
    assert result.spectrum is not None
    np.testing.assert_allclose(result.spectrum.values, soil * np.mean([0.98, 1.0, 1.03]), rtol=1e-6)
    assert result.about is not None
    assert len(result.about.scan_ids) == 3


def test_a_point_that_cannot_be_used_is_refused_at_once_and_the_sample_goes_on(make: Make) -> None:
    bench = make(points=2)
    bench.type("")
    measure(bench, "A")
    measure(bench, "A", saturated=("VNIR",))
    assert told(bench) == [("A", 0)]
    measure(bench, "A")
    assert told(bench) == [("A", 0), ("A", 2)]
    rows = bench.rows("SELECT sample_id, rule_broken <> '' FROM readings ORDER BY id")
    assert rows == [("A", 1), ("A", 0)]
    assert bench.rows("SELECT count(*) FROM scans WHERE kind = 'target'") == [(3,)]
    assert (bench.state.estimated, bench.state.refused) == (1, 1)


def test_what_never_arrived_and_what_failed_is_refused(make: Make) -> None:
    bench = make(points=1)
    bench.type("")
    bench.instrument.lost = ["measurement 3 never arrived"]
    bench.instrument.spoil = [MeasurementError("bench: the rest did not come; measure again")]
    bench.type("")
    reasons = [fact.result.outcome.reason for fact in bench.facts if fact.result is not None]
    assert reasons == ["measurement 3 never arrived", "the rest did not come; measure again"]
    assert bench.rows("SELECT reason FROM refusals ORDER BY id") == [(reason,) for reason in reasons]


def test_one_refusal_after_the_other_ends_it(make: Make) -> None:
    bench = make(points=1)
    bench.type("")
    measure(bench, *"ABCD", saturated=("VNIR",))
    with pytest.raises(InstrumentError, match="5 measurements in a row are no use"):
        measure(bench, "E", saturated=("VNIR",))


def test_scattering_points_are_refused_and_none_is_measured_again(make: Make) -> None:
    bench = make(points=3)
    bench.type("")
    soil = bench.instrument.in_front
    for factor in (1.0, 2.0, 0.5):
        bench.instrument.in_front = factor * soil
        measure(bench, "A")
    (outcome,) = [fact.result.outcome for fact in bench.facts if fact.result is not None]
    assert isinstance(outcome, Refusal)
    assert "the 3 points scatter by" in outcome.reason


def test_nobody_warms_up_and_nothing_but_references_is_asked_for(make: Make) -> None:
    rules = replace(
        QUICK, warm_up_min=15.0, warming_min=30.0, wavelength_check_every_min=1.0, panel_check_every_min=1.0
    )
    bench = make(points=1, rules=rules)
    assert bench.step == "white"
    bench.type("")
    bench.wait_min(25)
    assert bench.step == "point"
    measure(bench, "A")
    bench.wait_min(10)
    assert bench.step == "white"
    bench.type("")
    bench.instrument.boot += 1
    measure(bench, "B")
    assert told(bench) == [("A", 1), ("B", 0)]
    assert bench.step == "white"


def test_the_button_measures_samples_darks_and_whites(make: Make) -> None:
    bench = make(points=1)
    instrument = bench.instrument
    pressed = [instrument.acquire(kind, 1) for kind in ("target", "dark", "white", "target")]
    instrument.wait = lambda timeout_s: pressed.pop(0) if pressed else None  # type: ignore[method-assign]
    for _ in range(5):
        wait(bench.session, 0.01)
    assert told(bench) == [("sample-001", 0), ("sample-001", 1)]
    assert [fact.text for fact in bench.facts if fact.result is None] == ["dark taken", "white taken"]
    assert len(instrument.acknowledged) == 4


def test_a_measurement_that_the_log_holds_is_not_taken_twice(make: Make, tmp_path: Path) -> None:
    bench = make(points=1, instrument=BenchInstrument(REFLECTANCE))
    scan = bench.instrument.acquire("target", 1)
    scan = replace(scan, unit="reflectance", values=bench.instrument.in_front)
    take(bench.session, scan)
    take(bench.session, scan)
    options: dict[str, Any] = {"instrument": bench.instrument, "log": bench.log, "points": 1, **UNATTENDED}
    other = Bench(tmp_path, bench.engine.estimator, **options).begin()
    take(other.session, scan)
    assert (len(told(bench)), len(told(other))) == (1, 0)
    assert (bench.state.known, other.state.known) == (1, 1)
    assert bench.facts[-1].text == "measurement 1 is in the log already; not taken again"
    bench.instrument.log_path = None
    # Whatever differs in its key is another measurement.
    for key in (("Probe 7", 6, 1, 7), ("Probe 7", 5, 1, 8), ("Probe 7", 5, 2, 7), ("Probe 8", 5, 1, 7)):
        take(other.session, replace(scan, key=key))
    assert len(told(other)) == 4
    # A recording may be looked at as often as one likes.
    again = Bench(tmp_path, bench.engine.estimator, **options, again=True).begin()
    bench.instrument.log_path = None
    take(again.session, scan)
    assert told(again) == [("sample-001", 1)]


def test_points_of_a_run_that_was_cut_off_count_as_they_are(make: Make, tmp_path: Path) -> None:
    bench = make(points=5)
    bench.type("")
    measure(bench, "A", "A")
    identity = bench.instrument.identity
    (found,) = left_behind(bench.log.database, identity, "bench")
    other = Bench(tmp_path, bench.engine.estimator, instrument=bench.instrument, log=bench.log, **UNATTENDED)
    session = other.session
    take_up(session, found)
    finish(session)
    assert session.close()
    assert told(other) == [("A", 2)]
    assert left_behind(bench.log.database, identity, "bench") == []
    # Another instrument without a serial number may be measuring with another program now.
    other.begin()
    nameless = replace(identity, serial_number="")
    assert [one.port for one in left_behind(bench.log.database, identity, "elsewhere")] == ["bench"]
    assert left_behind(bench.log.database, replace(nameless, name="Probe 7"), "elsewhere") == []
    assert len(left_behind(bench.log.database, replace(nameless, name="Probe 7"), "bench")) == 1


def test_points_that_an_earlier_version_left_are_told_once(make: Make) -> None:
    bench = make()
    assert open_points_notice(bench.log) == ""
    key = "instrument TEXT, boot INTEGER, measurement INTEGER, values_crc INTEGER"
    bench.log.database.execute(f"CREATE TABLE taken_measurements ({key})")
    bench.log.database.execute(f"CREATE TABLE open_points (id INTEGER PRIMARY KEY, {key})")
    for number in (1, 2, 3):
        bench.log.database.execute("INSERT INTO open_points VALUES (NULL, 'probe 7', 5, ?, 9)", (number,))
    bench.log.database.execute("INSERT INTO taken_measurements VALUES ('probe 7', 5, 1, 9)")
    assert open_points_notice(bench.log).startswith("2 points of samples that an earlier version left half done")
    assert open_points_notice(bench.log) == ""
    assert bench.rows("SELECT count(*) FROM open_points") == [(3,)]
