"""Samples of which only a bound is known, in the training of the published network: used for what they say."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import Soils, stibium, succeed, train_options
from stibium.train.assays.censored import Observations
from stibium.train.assays.table import read_assay_table
from stibium.train.assays.values import Assay
from stibium.train.censored_check import CensoredCheck
from stibium.train.methods.fit import BoundRows, TrainingProtocol, fit, predict
from stibium.train.methods.network import Block, NetworkConfig
from stibium.train.methods.published import PublishedNetwork
from stibium.train.run import load_run
from stibium.train.samples import Samples

LIMIT = 1.0
"""Standard deviations above the mean, in the made-up laboratory of `soils`."""


@cache
def soils() -> tuple[np.ndarray, np.ndarray]:
    """Made-up spectrograms, one bin of which says the value; the last fifth of the soils is left out everywhere."""
    rng = np.random.default_rng(4)
    features = rng.normal(scale=0.5, size=(250, 6, 17, 1)).astype(np.float32)
    value = rng.normal(size=250)
    features[:, 2, 5, 0] += 2 * value
    features[:, 3, 6, 0] -= value
    return features, value


@cache
def answers(bound: float | None, side: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Train on soils of which those above the limit are bounds, or, for side 0, values; None leaves them out.

    Returns:
        Answers for soils that were left out, and their values.
    """
    features, value = soils()
    training, validation, test = slice(0, 150), slice(150, 200), slice(200, 250)
    plain = value <= LIMIT
    x, y = features[training][plain[training]], value[training][plain[training]]
    above = features[training][~plain[training]]
    assert len(above) > 15, "there must be bounds to learn from"
    bounds = None
    if bound is not None and side:
        given = Observations(np.full(len(above), bound), np.full(len(above), side, np.int8))
        bounds = BoundRows(above, given)
    elif bound is not None:
        x, y = np.concatenate([x, above]), np.concatenate([y, np.full(len(above), bound)])
    fitted = fit(
        x,
        y,
        features[validation][plain[validation]],
        value[validation][plain[validation]],
        NetworkConfig(blocks=(Block(16, 2, 2),), dropout=0.0),
        TrainingProtocol(epochs=15, patience=15, batch_size=16, seed=1),
        bounds=bounds,
    )
    return predict(fitted.model, features[test]), value[test]


def at_high_grade(found: tuple[np.ndarray, np.ndarray]) -> float:
    """Mean answer for left-out soils above the limit."""
    predicted, value = found
    return float(predicted[value > LIMIT].mean())


def test_bounds_lift_the_answers_at_high_grade_and_more_than_values_would() -> None:
    without, as_bounds, as_values = (at_high_grade(answers(*how)) for how in ((None,), (LIMIT,), (LIMIT, 0)))
    assert without < as_bounds - 0.4
    assert as_values < as_bounds - 0.4


def test_a_higher_bound_lifts_them_more_and_one_that_is_met_does_not_pull_them_down() -> None:
    without, met, high = (at_high_grade(answers(bound)) for bound in (None, -3.0, LIMIT + 1))
    assert high > at_high_grade(answers(LIMIT)) + 0.2
    assert met == pytest.approx(without, abs=0.4)
    assert at_high_grade(answers(-3.0, 0)) < without - 1.5, "as a value that bound must drag them down"


def test_below_is_below() -> None:
    assert at_high_grade(answers(-1.0, -1)) < at_high_grade(answers(None)) - 1.0


def some(bounds: dict[str, Assay]) -> Samples:
    return Samples((), {}, "Sb", "ppm", censored=tuple(bounds), bounds=bounds)


def test_two_thirds_of_the_bounds_are_trained_on_and_none_above_the_given_limit() -> None:
    bounds = {f"S{i}": Assay(4000.0, ">") for i in range(6)} | {f"L{i}": Assay(0.02, "<") for i in range(3)}
    trained_on = PublishedNetwork().learn_from(some(bounds), None)
    assert len(trained_on) == 6
    assert set(trained_on) < set(bounds)
    assert PublishedNetwork(bounds="check").learn_from(some(bounds), None) == ()
    assert set(PublishedNetwork().learn_from(some(bounds), 1000)) < {"L0", "L1", "L2"}
    assert PublishedNetwork().learn_from(some({"S": Assay(4000.0, ">")}), None) == ("S",)
    assert PublishedNetwork().learn_from(some({}), None) == ()


def test_what_was_trained_on_is_said_apart_from_what_was_checked() -> None:
    said = CensoredCheck(0, 0, 3, 1, 4).line()
    assert said.startswith(
        "Censored samples: 4 were trained on as bounds, by the censored likelihood; of the others, 1 of"
    )
    assert CensoredCheck(0, 0, 0, 0, 1).line().endswith("1 was trained on as bounds, by the censored likelihood")


def record_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, small_soils: Soils) -> dict[str, tuple[Path, str, str]]:
    """The same short training with bounds and without: folder, standard output and error."""
    folder = tmp_path_factory.mktemp("bounds")
    short = {"epochs": 3, "replicates": "each"}
    made = {}
    ways: dict[str, tuple[dict[str, object], list[str]]] = {
        "likelihood": ({}, []),
        "check": ({"bounds": "check"}, ["--no-report"]),
    }
    for name, (more, flags) in ways.items():
        done = succeed(*train_options(small_soils, folder / name, **short, **more), *flags)
        made[name] = folder / name, done.stdout, done.stderr
    return made


def test_bounds_change_the_network_and_no_number_of_the_laboratory(
    runs: dict[str, tuple[Path, str, str]], small_soils: Soils
) -> None:
    ours, theirs = (load_run(runs[name][0]) for name in ("likelihood", "check"))
    bounds = set(read_assay_table(small_soils.assays).assays("Sb").censored)
    trained_on = set(ours.record["split"]["training_bounds"])
    assert trained_on
    assert trained_on < bounds
    assert theirs.record["split"]["training_bounds"] == []
    assert ours.record["weights_sha256"] != theirs.record["weights_sha256"]
    assert ours.record["domain"] != theirs.record["domain"], "their spectra belong to the calibration"
    assert np.array_equal(ours.bundle.scaling.offset, theirs.bundle.scaling.offset)
    assert np.array_equal(ours.bundle.scaling.scale, theirs.bundle.scaling.scale)
    assert ours.bundle.calibrated_range == theirs.bundle.calibrated_range
    for name in ("training", "validation"):
        assert ours.record["split"][name] == theirs.record["split"][name]
        assert not bounds & set(ours.record["split"][name])
        assert ours.record["metrics"][name]["n"] == theirs.record["metrics"][name]["n"]
    assert np.array_equal(ours.held_out_measured, theirs.held_out_measured)
    assert not bounds & {s.sample_id for s in ours.held_out}
    assert ours.bundle.interval is not None
    assert theirs.bundle.interval is not None
    assert ours.bundle.interval.method == theirs.bundle.interval.method
    # Each measurement of a sample that is trained on is a row.
    assert len(ours.calibration_features) == len(theirs.calibration_features) + 2 * len(trained_on)
    assert ours.record["data"]["bounds_sha256"]
    assert theirs.record["data"]["bounds_sha256"] is None


def test_it_is_said_how_many_took_part(runs: dict[str, tuple[Path, str, str]]) -> None:
    folder, out, err = runs["likelihood"]
    record = record_of(folder)
    n = len(record["split"]["training_bounds"])
    left = len(record["data"]["censored"]) - n
    assert f"samples for training and {n} known as a bound only, " in out
    assert f"{n} were trained on as bounds, by the censored likelihood; of the others, " in out
    assert f"of {2 * left} given as above a limit" in out
    assert record["bounds"]["trained_on"] == n
    assert f"{n} samples trained on as bounds: Sb is censored" in err
    assert "not trained on: Sb is censored" in err
    page = (folder / "report.html").read_text()
    assert f"{n} known as a bound only for training" in page
    assert f"{n} were trained on as bounds" in page
    _, out, err = runs["check"]
    assert "as a bound only" not in out
    assert "trained on as bounds" not in out + err


def test_an_evaluation_does_not_check_what_was_trained_on(
    runs: dict[str, tuple[Path, str, str]], small_soils: Soils, tmp_path: Path
) -> None:
    folder = runs["likelihood"][0]
    succeed("export", folder, "--quantise", "float32", "--out", tmp_path / "sb.tflite")
    data = ("--spectra", small_soils.spectra, "--assays", small_soils.assays, "--format", "json")
    done = json.loads(succeed("evaluate", tmp_path / "sb.tflite", *data).stdout)
    record = record_of(folder)
    n = len(record["split"]["training_bounds"])
    assert done["bounds_trained_on"] == n
    assert done["bounds_above"] == len(record["data"]["censored"]) - n
    assert done["trained_on"] == len(record["split"]["training"])


def test_the_default_method_has_no_likelihood(small_soils: Soils, tmp_path: Path) -> None:
    data = ("--spectra", small_soils.spectra, "--assays", small_soils.assays, "--element", "Sb")
    done = stibium("train", *data, "--out", tmp_path / "run", "--bounds", "likelihood")
    assert done.returncode == 2
    assert "--bounds likelihood is for --method published" in done.stderr
    assert not (tmp_path / "run").exists()
