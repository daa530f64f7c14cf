"""A session that is killed anywhere goes on: nothing measured is lost, nothing is measured or stored twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from routine_bench import BENCH, QUICK, Bench, BenchInstrument
from scan_samples import GRID_NM, band
from stibium.edge.engine import Engine
from stibium.edge.log.write import Log
from stibium.edge.measure.plan import Plan
from stibium.edge.measure.points import who
from stibium.edge.measure.resume import Unfinished, give_up_session, unfinished_sessions
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal


def unfinished(database: Any, name: str) -> Unfinished | None:
    return next(iter(unfinished_sessions(database, name, unattended=False)[::-1]), None)


class KilledError(BaseException):
    """The process is gone."""


class MortalLog(Log):
    """A log whose process is killed right before or right after its nth write."""

    def __init__(self, path: Path, bundle: Bundle, life: int, after: bool) -> None:
        super().__init__(path, bundle.name, bundle.sha256)
        self.life, self.after = life, after

    def _store(self, work: Callable[[], Any]) -> Any:
        self.life -= 1
        last = self.life == 0
        if last and not self.after:
            raise KilledError
        done = super()._store(work)
        if last:
            raise KilledError
        return done


@pytest.fixture(scope="module")
def estimator(shipped_bundle: Bundle) -> Estimator:
    return Estimator(shipped_bundle)


@pytest.fixture
def soil(shipped_bundle: Bundle) -> np.ndarray:
    golden = shipped_bundle.golden
    assert golden is not None
    return np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[0])


def test_a_session_goes_on_by_the_rules_that_it_began_with(tmp_path: Path, estimator: Estimator) -> None:
    bench = Bench(tmp_path, estimator, replace(QUICK, noise_most=1e-9), points=1)
    text = "[rules]\nwarm_up_min = 0\nwarming_min = 0\nclock_jump_s = 0\nnoise_most = 1e-9\n"
    bench.session.begin("bench", "bench", text)
    # Taken up with a profile that has been changed meanwhile.
    bench.profile, bench.engine = replace(bench.profile, rules=QUICK), Engine(estimator, bench.log, QUICK)
    bench.resume()
    result = bench.sample().result
    assert result is not None
    assert isinstance(result.outcome, Refusal)
    assert "1e-09 is allowed" in result.outcome.reason
    bench.log.close()


def day(bench: Bench) -> None:
    """Two samples of two points and a blank, one bad point and a note among them."""
    instrument = bench.instrument
    for _ in range(60):
        if bench.step == "done":
            return
        if not instrument.spoil and instrument.number == 3:
            instrument.spoil = [lambda scan: replace(scan, saturated=("VNIR",))]
        if (
            bench.state.sample is not None
            and instrument.number > 5
            and not bench.rows("SELECT 1 FROM events WHERE kind = 'note'")
        ):
            bench.type("n wet")
        bench.type("")
    raise AssertionError("the day does not end")


READINGS = "SELECT sample_id, sample_kind, measurement, notes FROM readings ORDER BY id"
SETTINGS: dict[str, Any] = {"points": 2, "count": 2, "plan": Plan(prefix="RS", blank_every=2)}


@pytest.mark.parametrize("life", range(2, 22))
def test_killed_at_any_write_a_session_goes_on(
    tmp_path: Path, estimator: Estimator, soil: np.ndarray, shipped_bundle: Bundle, life: int
) -> None:
    instrument = BenchInstrument()
    instrument.in_front = soil
    # Before and after in turn: what is measured and not stored yet, and what is stored and not told yet.
    log = MortalLog(tmp_path / "log.db", shipped_bundle, life, after=life % 2 == 0)
    bench = Bench(tmp_path, estimator, instrument=instrument, log=log, **SETTINGS)
    killed = False
    try:
        bench.begin()
        day(bench)
    except KilledError:
        killed = True
        log.close()
        instrument.spoil = []
        bench = Bench(tmp_path, estimator, instrument=instrument, **SETTINGS)
        bench.resume()
        day(bench)
    assert killed
    names = [row[:2] for row in bench.rows(READINGS)]
    assert names == [("RS001", "sample"), ("RS002", "sample"), ("blank-1", "blank")]
    # Each reading was made of scans of its own, and each accepted scan went into one.
    used = bench.rows("SELECT scan_id FROM reading_scans WHERE role = 'target' ORDER BY scan_id")
    assert len(used) == len(set(used)) == 6
    good = bench.rows("SELECT id FROM scans WHERE kind = 'target' AND flags NOT LIKE '%\"VNIR\"%' ORDER BY id")
    assert used == good
    assert len(bench.rows("SELECT 1 FROM readings WHERE notes = 'wet'")) == 1
    assert len(bench.rows("SELECT 1 FROM sessions")) == 1


def make(tmp_path: Path, estimator: Estimator, soil: np.ndarray, **options: Any) -> Bench:
    bench = Bench(tmp_path, estimator, **options)
    bench.instrument.in_front = soil
    return bench.begin()


def test_points_and_references_count_on(tmp_path: Path, estimator: Estimator, soil: np.ndarray) -> None:
    bench = make(tmp_path, estimator, soil)
    bench.type("n first", "", "", "n second", "")
    scans = bench.rows("SELECT count(*) FROM scans")
    bench.resume()
    assert (bench.session.session_id, len(bench.state.done)) == (1, 0)
    assert bench.prompt().text == "sample-001 3/3, Enter"
    assert bench.rows("SELECT count(*) FROM scans") == scans
    found = bench.sample().result
    assert found is not None
    assert isinstance(found.outcome, Estimate)
    assert found.about is not None
    assert found.about.notes == "first\nsecond"
    assert len(found.about.scan_ids) == 5


def test_references_go_on_ageing_while_the_program_does_not_run(
    tmp_path: Path, estimator: Estimator, soil: np.ndarray
) -> None:
    bench = make(tmp_path, estimator, soil)
    bench.type("", "")
    bench.wait_min(31)
    bench.resume()
    assert bench.step == "white"
    bench.type("")
    assert isinstance(bench.sample().result.outcome, Estimate)  # type: ignore[union-attr]


def test_an_instrument_switched_off_in_between_needs_new_references_only(
    tmp_path: Path, estimator: Estimator, soil: np.ndarray
) -> None:
    bench = make(tmp_path, estimator, soil, rules=replace(QUICK, warm_up_min=15.0), on_for_min=20.0)
    bench.type("", "")
    bench.instrument.boot += 1
    bench.resume()
    assert bench.step == "point"
    assert "switched off and on" in bench.type("")[0].text
    assert bench.step == "white"


def test_after_this_device_was_switched_off_too_it_warms_up(
    tmp_path: Path, estimator: Estimator, soil: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(tmp_path, estimator, soil, rules=replace(QUICK, warm_up_min=15.0), on_for_min=20.0)
    bench.type("", "")
    monkeypatch.setattr("stibium.edge.measure.resume.host_boot", lambda: "another")
    bench.instrument.boot += 1
    bench.resume()
    bench.type("")
    assert bench.step == "warm-up"


def test_an_instrument_that_optimises_does_so_again(tmp_path: Path, estimator: Estimator, soil: np.ndarray) -> None:
    bench = make(tmp_path, estimator, soil, instrument=BenchInstrument(replace(BENCH, optimises=True)))
    bench.type("", "", "")
    bench.resume()
    assert bench.step == "optimise"
    bench.type("", "")
    assert bench.prompt().text == "sample-001 2/3, Enter"


def test_what_was_wrong_stays_wrong(tmp_path: Path, estimator: Estimator, soil: np.ndarray) -> None:
    bench = make(tmp_path, estimator, soil)
    bench.type("")
    bench.instrument.in_front = 0.9 * bench.instrument.panel
    bench.type("p", "")
    bench.resume()
    assert bench.step == "white"
    bench.type("", "v")
    bench.instrument.in_front = band(1665.0) * band(2135.0) / 0.9
    bench.type("")
    bench.resume()
    assert [finding.code for finding in bench.state.standing] == ["wavelength_shift"]


def test_a_session_that_ended_or_was_given_up_is_not_taken_up(
    tmp_path: Path, estimator: Estimator, soil: np.ndarray
) -> None:
    bench = make(tmp_path, estimator, soil)
    name = who(bench.instrument.identity)
    assert unfinished(bench.log.database, "somebody else") is None
    bench.type("", "")
    assert not bench.session.close()
    found = unfinished(bench.log.database, name)
    assert found is not None
    give_up_session(bench.log, found)
    assert unfinished(bench.log.database, name) is None
    bench.begin()
    assert bench.state.sample is not None
    bench.state.sample = None
    assert bench.session.close()
    assert unfinished(bench.log.database, name) is None
