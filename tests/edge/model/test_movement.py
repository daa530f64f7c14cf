"""How far an answer moves under faults that its instrument may have, and what is said of one that moves too far."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from stibium.converters.spectra.spectrum import Floats, Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.cli import stibium
from stibium.edge.engine import Engine, Measured
from stibium.edge.gates.spectrum import noise_in
from stibium.edge.log.columns import ReadingFacts
from stibium.edge.log.read import ALL, open_for_reading
from stibium.edge.log.records import record_of
from stibium.edge.log.write import Log
from stibium.edge.model.bundle import Bundle, write_bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.interval import normal_quantile
from stibium.edge.model.movement import NOT_KNOWN, Directions, largest_movements
from stibium.edge.reprocess import redo


def narrow(bundle: Bundle) -> Bundle:
    """A bundle that claims to know a thousand times better than it does."""
    assert bundle.interval is not None
    low, high = bundle.interval.low_offset / 1000, bundle.interval.high_offset / 1000
    return replace(bundle, interval=bundle.interval._replace(low_offset=low, high_offset=high))


def estimates(bundle: Bundle, spectra: list[Spectrum], stability: bool = True) -> list[Estimate]:
    outcomes = [one.outcome for one in Engine(Estimator(bundle), None, stability=stability).answer(spectra)]
    return [one for one in outcomes if isinstance(one, Estimate)]


def test_the_largest_movement_is_found_and_named() -> None:
    """With a network that is a sum, every movement is known."""

    def run(features: Floats) -> Floats:
        return features.sum(axis=1)

    still = np.zeros(2)
    levels, moved = np.array([0.0, 0.2, 0.4]), np.array([0.0, 0.6, 0.6])
    faults = Directions(np.array([0.2, 0.0]), still, np.array([0.3, 0.1]), levels, moved)
    features = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    reach = np.array([[0.5, 0.1], [1.0, 1.0], [0.5, 2.0]])
    light, noise = np.array([1.0, 0.25, 1.0]), np.array([0.0, 0.0, 0.1])
    found = largest_movements(faults, run, 0.9, run(features), features, light, noise, reach)
    # Up, where the interval reaches less far; a dark soil moves four times as far under the same offset.
    assert [one.cause for one in found] == ["0.02 of reflectance", "0.02 of reflectance", "its noise"]
    assert [one.over_limit for one in found] == pytest.approx([4.0, 1.6, normal_quantile(0.9) * 0.3 / 0.5])
    # Towards the end that is nearer.
    assert found[0].by == pytest.approx(0.4)
    assert found[2].by < 0


def test_good_soils_are_stable_and_answered_as_before(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    asked, plain = estimates(shipped_bundle, soils), estimates(shipped_bundle, soils, stability=False)
    assert len(asked) == len(plain) > 0
    for one, other in zip(asked, plain, strict=True):
        assert one.movement_over_limit is not None
        assert other.movement_over_limit is None
        if one.movement_over_limit <= 1:
            assert one._replace(movement_over_limit=None) == other
    assert np.mean([one.movement_over_limit > 1 for one in asked if one.movement_over_limit]) <= 0.1


def test_an_answer_that_moves_out_of_its_interval_is_unstable(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    sure = narrow(shipped_bundle)
    asked, plain = estimates(sure, soils), estimates(sure, soils, stability=False)
    unstable = [(one, other) for one, other in zip(asked, plain, strict=True) if (one.movement_over_limit or 0) > 1]
    assert len(unstable) >= len(asked) // 2
    for one, other in unstable:
        assert None not in (one.low, one.high, other.low, other.high)
        assert one.low <= other.low <= other.high <= one.high  # type: ignore[operator]
        assert one.value == other.value
        assert not one.trusted
        assert sum(flag.startswith("unstable: ") and flag.endswith("interval reaches") for flag in one.flags) == 1


def test_more_noise_moves_it_farther(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    estimator, quiet = Estimator(shipped_bundle), [noise_in(one, shipped_bundle.recipe.range_nm) for one in soils]
    moved = []
    for times in (1, 20, 100):
        answers = estimator.estimate(soils, noise=[times * noise for noise in quiet])
        moved.append([one.movement_over_limit for one in answers if isinstance(one, Estimate)])
    assert np.all(np.diff(np.array(moved, dtype=float), axis=0) > -1e-9)
    assert np.median(moved[2]) > np.median(moved[0])


@pytest.mark.parametrize("lacks", ["golden", "interval"])
def test_what_is_not_known_is_said(shipped_bundle: Bundle, soils: list[Spectrum], lacks: str) -> None:
    (answer,) = estimates(replace(shipped_bundle, **{lacks: None}), soils[:1])
    assert answer.movement_over_limit is None
    assert NOT_KNOWN in answer.flags


def test_it_is_in_the_log_and_comes_back(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    sure, path = narrow(shipped_bundle), tmp_path / "log.db"
    with Log(path) as log:
        results = Engine(Estimator(sure), log, stability=True).take(soils[:3])
    said = [one for result in results for one in record_of(result, None).estimates]
    with open_for_reading(path) as db:
        stored = [row[0] for row in db.execute("SELECT movement_over_limit FROM estimates ORDER BY id")]
        assert stored == pytest.approx([one.movement_over_limit for one in said], rel=1e-5)
        again = [
            one.record.estimates[-1]
            for chunk in redo(db, Estimator(shipped_bundle), None, ALL, True, True)
            for one in chunk
        ]
    assert all(one.movement_over_limit is not None for one in again)


def test_what_was_measured_with_it_is_estimated_again_with_it(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    sure, path = Estimator(narrow(shipped_bundle)), tmp_path / "log.db"
    with Log(path) as log:
        session = log.begin_session(port="/dev/ttyUSB0")
        # Of a session; of a watched folder; of files that nobody asked it of.
        Engine(Estimator(shipped_bundle), log, stability=True).take(
            [Measured(soils[0], (), ReadingFacts(session_id=session))]
        )
        Engine(Estimator(shipped_bundle), log, stability=True).take(soils[1:2])
        Engine(Estimator(shipped_bundle), log).take(soils[2:3])
    with open_for_reading(path) as db:
        again = [one.record.estimates[-1] for chunk in redo(db, sure, None, ALL) for one in chunk]
    assert [any(flag.startswith("unstable: ") for flag in one.flags) for one in again] == [True, True, False]
    assert again[2].movement_over_limit is None


def test_predict_says_it_where_asked_and_in_every_format(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    write_bundle(tmp_path / "sure.tflite", narrow(shipped_bundle))
    write_table(tmp_path / "soils.csv", soils[:2])
    arguments = ["predict", str(tmp_path / "soils.csv"), "--no-log", "--model", str(tmp_path / "sure.tflite")]

    def said(*more: str) -> str:
        done = CliRunner().invoke(stibium, [*arguments, *more], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    asked, plain = (
        [json.loads(line)["estimates"][0] for line in said("--format", "jsonl", *more).splitlines()]
        for more in (["--stability"], [])
    )
    assert all(one["movement_over_limit"] > 1 and not one["trusted"] for one in asked)
    assert [one["movement_over_limit"] for one in plain] == [None, None]
    assert said("--stability").count("unstable: ") == 2
    header, first, *_ = said("--stability", "--format", "csv").splitlines()
    assert float(first.split(",")[header.split(",").index("movement_over_limit")]) > 1
    assert said("--stability", "--jobs", "2", "--format", "csv").splitlines()[0] == header
