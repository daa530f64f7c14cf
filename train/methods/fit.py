"""The training protocol: split, batches, loss, early stopping. Reads from top to bottom."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.files import write_whole
from ...converters.spectra.spectrum import Floats
from ..assays.censored import Observations
from ..crossval.folds import HELD_OUT_SHARE, SPLIT_SEED
from ..errors import TrainingDataError
from .censored_loss import as_target, censored_square
from .network import NetworkConfig, build_network, fold_target_scale
from .tensorflow_setup import import_tensorflow

CHECKPOINT_EVERY_S = 5.0
LEAST_SD = 1e-3
"""Of the censored likelihood, in standardised units; it divides by it."""


@dataclass(frozen=True)
class TrainingProtocol:
    """How a network is trained; the defaults are those of Carvalho et al. 2024 where the paper gives them.

    Attributes:
        validation_share, split_seed: see `folds.split_names`.
        batch_size, shuffle_buffer: rows.
        epochs: at most.
        patience: epochs without a lower validation loss after which training stops (the paper says early stopping
            and no more); the weights of the best epoch are kept.
        learning_rate: of Adam (Kingma & Ba 2015).
        seed: of weights, batches and dropout.
    """

    validation_share: float = HELD_OUT_SHARE
    split_seed: int = SPLIT_SEED
    batch_size: int = 64
    shuffle_buffer: int = 100
    epochs: int = 1000
    patience: int = 100
    learning_rate: float = 3e-3
    seed: int = 42

    def to_dict(self) -> dict[str, Any]:
        """Give the protocol as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Epoch:
    """Losses after one epoch: mean square error of the standardised target.

    Where bounds are trained on, the training loss has what they cost too; see `censored_loss.censored_square`.
    """

    number: int
    training_loss: float
    validation_loss: float
    best: bool


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network, answering in the space of the target's transform, and how it got there."""

    model: Any
    history: tuple[Epoch, ...]

    @property
    def best_epoch(self) -> int:
        """Number of the epoch whose weights the model has."""
        return min(self.history, key=lambda epoch: epoch.validation_loss).number


@dataclass(frozen=True, eq=False)
class BoundRows:
    """Training rows of which only a bound is known.

    Attributes:
        features: (m, frames, bins, 1), scaled as the others are.
        observed: m bounds in the transform's space.
    """

    features: NDArray[np.float32]
    observed: Observations


def fit(
    features: NDArray[np.float32],
    target: Floats,
    validation_features: NDArray[np.float32],
    validation_target: Floats,
    config: NetworkConfig,
    protocol: TrainingProtocol,
    progress: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
    bounds: BoundRows | None = None,
) -> Fitted:
    """Train a network.

    Bounds take part by the censored likelihood. Its standard deviation is the root of the lowest validation loss so
    far, at most that of the training values, where it starts. Neither learned nor taken from the training residuals:
    both go to zero with a network that comes to remember its soils, and a bound would then weigh nothing as soon as
    it is met, while a soil that is new is as uncertain as ever.

    Args:
        features: (n, frames, bins, 1), scaled.
        target: (n,) in the transform's space, not all the same.
        validation_features, validation_target: likewise; they decide when training stops, nothing else.
        config: of the network.
        protocol: of the training.
        progress: called after each epoch.
        checkpoint: file that is written every few seconds, and from which an interrupted training with the same
            arguments goes on; one of another training is overwritten.
        bounds: more training rows. They say nothing of the target's mean and spread, nor of when training stops.

    Returns:
        The network with the weights of its best epoch. The same arguments give the same weights on the same
        machine, interrupted or not.

    Raises:
        TrainingDataError: the features are no spectrogram, or the loss became infinite.
    """
    import_tensorflow()
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(protocol.seed)
    model = build_network(config, features.shape[1:])
    optimiser = keras.optimizers.Adam(protocol.learning_rate)
    mean, scale = float(target.mean()), float(target.std())

    def standardised(values: Floats) -> Any:
        return tf.constant(((values - mean) / scale)[:, None], tf.float32)

    rows, wanted = (features, standardised(target)) if bounds is None else _with_bounds(features, target, bounds)
    batches = (
        tf.data.Dataset.from_tensor_slices((rows, wanted))
        .shuffle(protocol.shuffle_buffer, seed=protocol.seed, reshuffle_each_iteration=True)
        .batch(protocol.batch_size)
        # A last batch of one row has no variance to normalise by.
        .filter(lambda x, y: len(rows) == 1 or tf.shape(x)[0] > 1)
    )
    held_out, held_out_target = tf.constant(validation_features), standardised(validation_target)
    error_sd = tf.Variable(1.0, trainable=False)

    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            answers = model(x, training=True)
            cost = tf.square(answers - y) if bounds is None else censored_square(answers, y, error_sd)
            loss = tf.reduce_mean(cost)
            total = tf.add_n([loss, *model.losses])
        optimiser.apply(tape.gradient(total, model.trainable_variables), model.trainable_variables)
        return loss

    def validate() -> Any:
        return tf.reduce_mean(tf.square(model(held_out, training=False) - held_out_target))

    train_step_in_graph, validate_in_graph = tf.function(train_step, reduce_retracing=True), tf.function(validate)
    history: list[Epoch] = []
    best_loss, best_epoch, best_weights = np.inf, 0, model.get_weights()
    optimiser.build(model.trainable_variables)
    state = [*model.variables, *optimiser.variables]
    key = _key(
        features,
        target,
        validation_features,
        validation_target,
        config,
        protocol,
        *((bounds.features, bounds.observed.value, bounds.observed.side) if bounds is not None else ()),
    )
    saved_at = time.monotonic()
    if checkpoint is not None and (found := read_checkpoint(checkpoint, key, state)) is not None:
        history, best_weights = found
        best_epoch = max(epoch.number for epoch in history if epoch.best)
        best_loss = history[best_epoch - 1].validation_loss
        for _ in history:
            # The order of the rows goes on where it was.
            for _ in batches:
                pass
    for number in range(len(history) + 1, protocol.epochs + 1):
        if number - 1 - best_epoch >= protocol.patience:
            break
        error_sd.assign(min(1.0, max(best_loss**0.5, LEAST_SD)))
        losses = [train_step_in_graph(x, y) for x, y in batches]
        validation_loss = float(validate_in_graph())
        if not np.isfinite(validation_loss):
            raise TrainingDataError(f"the loss is no number any more in epoch {number}; lower --learning-rate")
        better = validation_loss < best_loss
        if better:
            best_loss, best_epoch, best_weights = validation_loss, number, model.get_weights()
        history.append(Epoch(number, float(np.mean(losses)), validation_loss, better))
        if checkpoint is not None and time.monotonic() - saved_at >= CHECKPOINT_EVERY_S:
            write_checkpoint(checkpoint, key, state, history, best_weights)
            saved_at = time.monotonic()
        progress(history[-1])

    model.set_weights(best_weights)
    fold_target_scale(model, mean, scale)
    return Fitted(model, tuple(history))


def _with_bounds(features: NDArray[np.float32], target: Floats, bounds: BoundRows) -> tuple[Any, Any]:
    """Give values and bounds as rows of one training set and their targets for `censored_square`."""
    plain = Observations(target, np.zeros(target.size, dtype=np.int8))
    mean, scale = float(target.mean()), float(target.std())
    n, m = len(features), len(bounds.features)
    # Spread evenly among the others: the shuffle buffer may be smaller than the set.
    order = np.argsort(np.concatenate([(np.arange(n) + 0.5) / n, (np.arange(m) + 0.5) / m]), kind="stable")
    wanted = np.concatenate([as_target(part, mean, scale) for part in (plain, bounds.observed)])
    return np.concatenate([features, bounds.features])[order], wanted[order]


def write_checkpoint(
    path: Path, key: str, state: Sequence[Any], history: Sequence[Epoch], best_weights: Sequence[NDArray[Any]]
) -> None:
    """Write how far a training has come; an interruption while writing leaves the one before."""
    packed = io.BytesIO()
    np.savez(
        packed,
        key=np.array(key),
        history=np.array([[e.number, e.training_loss, e.validation_loss, e.best] for e in history]),
        **{f"state_{i}": np.asarray(variable) for i, variable in enumerate(state)},
        **{f"best_{i}": weights for i, weights in enumerate(best_weights)},
    )
    write_whole(path, packed.getvalue())


def read_checkpoint(path: Path, key: str, state: Sequence[Any]) -> tuple[list[Epoch], list[NDArray[Any]]] | None:
    """Take a training up where it was interrupted.

    Args:
        path: of the checkpoint.
        key: of this training; one of another is left alone.
        state: variables, which get their values back.

    Returns:
        Epochs so far and weights of the best one; None if there is no checkpoint of this training.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = dict(found)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    if str(arrays.get("key")) != key:
        return None
    for i, variable in enumerate(state):
        variable.assign(arrays[f"state_{i}"])
    history = [Epoch(int(n), float(t), float(v), bool(best)) for n, t, v, best in arrays["history"]]
    best_weights = [arrays[f"best_{i}"] for i in range(sum(name.startswith("best_") for name in arrays))]
    return history, best_weights


def _key(*parts: Any) -> str:
    """Name a training by all that it depends on."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(json.dumps(part.to_dict(), sort_keys=True).encode())
    return digest.hexdigest()


def predict(model: Any, features: NDArray[np.float32], batch_size: int = 256) -> Floats:
    """Run a Keras model on (n, frames, bins, 1) features; returns (n,)."""
    parts = [features[i : i + batch_size] for i in range(0, len(features), batch_size)]
    answers = np.concatenate([np.asarray(model(part, training=False))[:, 0] for part in parts])
    return np.asarray(answers, dtype=np.float64)
