"""An interrupted training of the published network goes on as if nothing had been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stibium.train.assays.censored import ABOVE, BELOW, Observations
from stibium.train.methods import fit as fitting
from stibium.train.methods.fit import BoundRows, Epoch, TrainingProtocol, fit
from stibium.train.methods.network import NetworkConfig

PROTOCOL = TrainingProtocol(epochs=12, patience=12, batch_size=8, seed=5)


def data() -> tuple[Any, ...]:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(40, 6, 17, 1)).astype(np.float32)
    target = features[:, 2, 5, 0].astype(np.float64) + 0.1 * rng.normal(size=40)
    return features[:30], target[:30], features[30:], target[30:]


def some_bounds() -> BoundRows:
    features = np.random.default_rng(3).normal(size=(7, 6, 17, 1)).astype(np.float32)
    side = np.array([ABOVE, BELOW, ABOVE, ABOVE, BELOW, ABOVE, ABOVE], np.int8)
    return BoundRows(features, Observations(1.5 * side, side))


def train(checkpoint: Path | None, stop_at: int = 0, bounds: BoundRows | None = None) -> Any:
    def progress(epoch: Epoch) -> None:
        if epoch.number == stop_at:
            raise KeyboardInterrupt

    return fit(*data(), NetworkConfig(), PROTOCOL, progress, checkpoint, bounds)


@pytest.mark.parametrize("bounds", [None, some_bounds()], ids=["values", "values and bounds"])
def test_interrupted_twice_it_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds: BoundRows | None
) -> None:
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY_S", 0.0)
    whole = train(None, bounds=bounds)
    checkpoint = tmp_path / "training.npz"
    for stop_at in (4, 9):
        with pytest.raises(KeyboardInterrupt):
            train(checkpoint, stop_at, bounds)
        assert checkpoint.exists()
    resumed = train(checkpoint, bounds=bounds)
    assert resumed.history == whole.history
    for ours, theirs in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY_S", 0.0)
    checkpoint = tmp_path / "training.npz"
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint, 3)
    seen: list[int] = []
    other = TrainingProtocol(epochs=2, patience=12, batch_size=8, seed=6)
    fit(*data(), NetworkConfig(), other, lambda epoch: seen.append(epoch.number), checkpoint)
    assert seen == [1, 2]
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    seen.clear()
    fit(*data(), NetworkConfig(), other, lambda epoch: seen.append(epoch.number), checkpoint)
    assert seen == [1, 2]
