"""The default model with a light MobileNetV2 beside it that learns what the default model leaves over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from stibium.edge.model.target import forward, inverse
from stibium.train.crossval.rows import TrainingRows
from stibium.train.methods.network import Block, NetworkConfig, build_network
from stibium.train.methods.stack import Stack, StackModel
from stibium.train.methods.tensorflow_setup import import_tensorflow

CONFIG = NetworkConfig(
    filters=16, kernel=5, strides=(1, 2), blocks=(Block(16, 3, 1), Block(24, 3, 2), Block(24, 3, 1)), dropout=0.3
)
STEPS = 300
BATCH = 32
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.02
MIXING = 0.3
"""Of the beta distribution that pairs of soils are mixed by."""
NOISE, OFFSET = 0.05, 0.1
"""Standard deviations of noise added to each band and to each view, in standard deviations of the band."""


@dataclass(frozen=True, eq=False)
class Both:
    """Default model plus a share of what the network says is left over, in the space of the target's transform."""

    base: StackModel
    network: object
    share: float
    deviation: float
    chosen: str

    def predict(self, reflectance: np.ndarray) -> np.ndarray:
        """Predict (n,) values in the target's unit from (n, bands) reflectance."""
        base, back = self.base, self.base.network.backs[0]
        rest = self.deviation * answers(self.network, as_channels(base, reflectance))
        z = forward(base.predict(reflectance), base.transform) + self.share * rest
        ends = forward(np.array([back.low, back.high]), base.transform)
        return np.asarray(inverse(np.clip(z, *ends), base.transform))


@dataclass(frozen=True)
class WithMobileNet:
    """The method: the network sees all blocks as channels; its share is chosen on rows that it has not seen."""

    name: str = "default and MobileNetV2"
    fast: bool = False

    def fit(self, rows: TrainingRows) -> Both:
        """Fit; see `Method.fit`."""
        target, seed = rows.target, rows.seed
        base = Stack().fit(rows)
        channels = as_channels(base, rows.reflectance)
        # What is left over of rows that the default model had not seen: of the others it leaves too little.
        left = forward(target, base.transform) - forward(base.out_of_fold, base.transform).mean(axis=0)
        deviation = float(left.std()) or 1.0
        standard = left / deviation
        (repeat,) = rows.folds()
        said = np.empty(target.size)
        for number, fold in enumerate(repeat):
            network = trained(channels[fold.training], standard[fold.training], seed + number)
            said[fold.test] = answers(network, channels[fold.test])
        share = float(np.clip(said @ standard / (said @ said), 0.0, 1.0)) if said.any() else 0.0
        network = trained(channels, standard, seed)
        text = f"{base.chosen}; MobileNetV2 of {network.count_params()} parameters, share {share:.3f}"
        return Both(base, network, share, deviation, text)


def as_channels(base: StackModel, reflectance: np.ndarray) -> np.ndarray:
    """Give (n, 1, bands, blocks), scaled as the exported default model scales them."""
    scaled = base.scaling.apply(base.features(reflectance))
    return np.moveaxis(scaled.reshape(len(scaled), len(base.recipe.sizes), -1), 1, 2)[:, None].astype(np.float32)


def answers(network: object, channels: np.ndarray) -> np.ndarray:
    return np.asarray(network(channels, training=False))[:, 0].astype(np.float64)  # type: ignore[operator]


def trained(channels: np.ndarray, standard: np.ndarray, seed: int) -> object:
    """Train on mixed and disturbed rows.

    Args:
        channels: (n, 1, bands, blocks).
        standard: (n,) of about mean 0 and standard deviation 1.
        seed: of weights, batches and disturbances.
    """
    import_tensorflow()
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    network = build_network(CONFIG, channels.shape[1:])
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)

    @tf.function(reduce_retracing=True)
    def step(x: object, z: object) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.huber(z, network(x, training=True)))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables, strict=True)
        )

    rng, n = np.random.default_rng(seed), len(standard)
    for _ in range(STEPS):
        one, other = rng.choice(n, min(BATCH, n), replace=False), rng.integers(0, n, min(BATCH, n))
        mix = rng.beta(MIXING, MIXING, one.size)
        mix = np.maximum(mix, 1.0 - mix)[:, None]
        weight = mix[:, :, None, None]
        x = weight * channels[one] + (1.0 - weight) * channels[other]
        x = x + NOISE * rng.standard_normal(x.shape) + OFFSET * rng.standard_normal((len(x), 1, 1, x.shape[-1]))
        z = mix * standard[one][:, None] + (1.0 - mix) * standard[other][:, None]
        step(tf.constant(x, tf.float32), tf.constant(z, tf.float32))
    return network
