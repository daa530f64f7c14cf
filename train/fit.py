"""The training protocol: split, batches, loss, early stopping. Reads from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import TrainingDataError
from .network import NetworkConfig, build_network, fold_target_scale
from .tensorflow_setup import import_tensorflow

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """How a network is trained; the defaults are those of Carvalho et al. 2024 where the paper gives them.

    Attributes:
        validation_share, split_seed: of `sklearn.model_selection.train_test_split`, over samples.
        batch_size, shuffle_buffer: rows.
        epochs: at most.
        patience: epochs without a lower validation loss after which training stops (the paper says early stopping
            and no more); the weights of the best epoch are kept.
        learning_rate: of Adam (Kingma & Ba 2015).
        seed: of weights, batches and dropout.
    """

    validation_share: float = 1 / 3
    split_seed: int = 42
    batch_size: int = 64
    shuffle_buffer: int = 100
    epochs: int = 1000
    patience: int = 100
    learning_rate: float = 3e-3
    seed: int = 42

    def to_dict(self) -> dict[str, Any]:
        """Give the protocol as JSON values."""
        return asdict(self)


def split_samples(names: Sequence[str], protocol: Protocol) -> tuple[list[str], list[str]]:
    """Divide samples into training and validation, as the paper does; all spectra of a sample go with it.

    Args:
        names: in an order that does not depend on how files were listed, such as the assay table's.

    Returns:
        Names for training and for validation, each in the order given.
    """
    from sklearn.model_selection import train_test_split

    training, validation = train_test_split(
        np.arange(len(names)), test_size=protocol.validation_share, random_state=protocol.split_seed
    )
    return [names[i] for i in sorted(training)], [names[i] for i in sorted(validation)]


@dataclass(frozen=True)
class Epoch:
    """Losses after one epoch: mean square error of the standardised target."""

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


def fit(
    features: NDArray[np.float32],
    target: Floats,
    validation_features: NDArray[np.float32],
    validation_target: Floats,
    config: NetworkConfig,
    protocol: Protocol,
    progress: Callable[[Epoch], None] = lambda epoch: None,
) -> Fitted:
    """Train a network.

    Args:
        features: (n, frames, bins, 1), scaled.
        target: (n,) in the transform's space, not all the same.
        validation_features, validation_target: likewise; they decide when training stops, nothing else.
        config: of the network.
        protocol: of the training.
        progress: called after each epoch.

    Returns:
        The network with the weights of its best epoch. The same arguments give the same weights on the same
        machine.

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

    batches = (
        tf.data.Dataset.from_tensor_slices((features, standardised(target)))
        .shuffle(protocol.shuffle_buffer, seed=protocol.seed, reshuffle_each_iteration=True)
        .batch(protocol.batch_size)
        # A last batch of one row has no variance to normalise by.
        .filter(lambda x, y: len(features) == 1 or tf.shape(x)[0] > 1)
    )
    held_out, held_out_target = tf.constant(validation_features), standardised(validation_target)

    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
            total = tf.add_n([loss, *model.losses])
        optimiser.apply(tape.gradient(total, model.trainable_variables), model.trainable_variables)
        return loss

    def validate() -> Any:
        return tf.reduce_mean(tf.square(model(held_out, training=False) - held_out_target))

    train_step_in_graph, validate_in_graph = tf.function(train_step, reduce_retracing=True), tf.function(validate)
    history: list[Epoch] = []
    best_loss, best_epoch, best_weights = np.inf, 0, model.get_weights()
    for number in range(1, protocol.epochs + 1):
        losses = [train_step_in_graph(x, y) for x, y in batches]
        validation_loss = float(validate_in_graph())
        if not np.isfinite(validation_loss):
            raise TrainingDataError(f"the loss is no number any more in epoch {number}; lower --learning-rate")
        better = validation_loss < best_loss
        if better:
            best_loss, best_epoch, best_weights = validation_loss, number, model.get_weights()
        history.append(Epoch(number, float(np.mean(losses)), validation_loss, better))
        progress(history[-1])
        if number - best_epoch >= protocol.patience:
            break

    model.set_weights(best_weights)
    fold_target_scale(model, mean, scale)
    return Fitted(model, tuple(history))


def predict(model: Any, features: NDArray[np.float32], batch_size: int = 256) -> Floats:
    """Run a Keras model on (n, frames, bins, 1) features; returns (n,)."""
    parts = [features[i : i + batch_size] for i in range(0, len(features), batch_size)]
    answers = np.concatenate([np.asarray(model(part, training=False))[:, 0] for part in parts])
    return np.asarray(answers, dtype=np.float64)
