"""The student: a light one-dimensional MobileNetV2 with a linear shortcut, taught by another model's answers.

Inverted residual blocks as Sandler et al. 2018, MobileNetV2 (arXiv:1801.04381); taught as Hinton et al. 2015,
Distilling the Knowledge in a Neural Network (arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from .network import Block, inverted_residual, normalised
from .tensorflow_setup import import_tensorflow

Rows = NDArray[np.float32]

CLIP = 8.0
"""Standard deviations beyond which an input counts no more; eight bits then have 16 steps for each."""
INPUT_STEP = 2 * CLIP / 256
HELD_OUT_SHARE = 0.1
PORTION = 512


@dataclass(frozen=True)
class StudentConfig:
    """What the student is, and how it learns.

    Attributes:
        filters, kernel, stride: of the first convolution, over the bands of all preprocessing blocks at once.
        residuals: the inverted residual blocks; where the stride is 1 and channels stay, their input is added.
        depth_kernel: bands that each channel is filtered over.
        shortcut: whether a linear function of the input is added to the answer.
        momentum: of the batch statistics.
        steps, batch, learning_rate: of Adam, with a cosine to zero.
        penalties: of the ridge regression that sets the last layers, to choose from.
    """

    filters: int = 16
    kernel: int = 12
    stride: int = 8
    residuals: tuple[Block, ...] = (Block(24, 3, 1), Block(24, 3, 1), Block(32, 3, 2))
    depth_kernel: int = 5
    shortcut: bool = True
    momentum: float = 0.9
    steps: int = 500
    batch: int = 64
    learning_rate: float = 3e-3
    penalties: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

    def to_dict(self) -> dict[str, Any]:
        """Give the configuration as JSON values."""
        return asdict(self)


def build_student(config: StudentConfig, blocks: int, bands: int) -> Any:
    """Build the network with fresh weights from Keras' random generator; it answers 0 to everything.

    Args:
        config: what to build.
        blocks: number of preprocessing blocks.
        bands: of each.

    Returns:
        A keras.Model from (n, blocks * bands), one view after the other, to (n, 1).
    """
    import keras
    from keras import layers

    row = keras.Input((blocks * bands,), name="features")
    # Blocks one above the other: a kernel as high as all of them is a one-dimensional convolution with a channel each,
    # and nothing has to be transposed.
    image = layers.Reshape((blocks, bands, 1))(row)
    kernel = (blocks, min(config.kernel, bands))
    x = layers.Conv2D(config.filters, kernel, (1, config.stride), use_bias=False)(image)
    x = normalised(x, config.momentum)
    for block in config.residuals:
        x = inverted_residual(x, block, (1, config.depth_kernel), config.momentum)
    places = layers.Identity(name=MAP)(x)
    # A kernel as large as the map weighs every place by itself: where a network sees something tells it much.
    answer = layers.Conv2D(1, x.shape[1:3], kernel_initializer="zeros", name=HEAD)(places)
    if config.shortcut:
        line = layers.Conv2D(1, (blocks, bands), kernel_initializer="zeros", use_bias=False, name=SHORTCUT)(image)
        answer = layers.Add()([answer, line])
    return keras.Model(row, layers.Flatten()(answer))


MAP, HEAD, SHORTCUT = "map", "head", "shortcut"


@dataclass(frozen=True, eq=False)
class Taught:
    """A student that has learned.

    Attributes:
        model: a keras.Model that answers in the space of the labels.
        penalty: of the ridge regression that set its last layers.
        error: RMSE against the labels on synthetic rows that were kept back, with inputs and last weights in 8 bits, in
            standard deviations of the labels.
    """

    model: Any
    penalty: float
    error: float


def teach(
    rows: Rows,
    labels: Floats,
    blocks: int,
    config: StudentConfig,
    seed: int,
    progress: Callable[[int], None] = lambda step: None,
) -> Taught:
    """Teach a student.

    The shortcut begins as a ridge regression and the head at zero, so that the blocks learn what is not linear. In the
    end, head and shortcut are solved for together, with the penalty that errs least when their weights and inputs are
    rounded to 8 bits: among thousands of correlated inputs, weights that cancel each other cost nothing in floats and
    everything in eight bits.

    Args:
        rows: (m, blocks * bands) scaled features, clipped at `CLIP`.
        labels: (m,) what the teacher says of them.
        blocks: number of preprocessing blocks.
        config: of the student.
        seed: of weights and batches.
        progress: called with the number of each step.

    Returns:
        The student. The same arguments give the same weights on the same machine.
    """
    import_tensorflow()
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng((seed, 1))
    mean, deviation = float(labels.mean()), float(labels.std()) or 1.0
    order = rng.permutation(len(rows))
    held, taught = np.split(order, [int(HELD_OUT_SHARE * len(rows))])
    standard = (labels - mean) / deviation
    bands = rows.shape[1] // blocks
    model = build_student(config, blocks, bands)
    if config.shortcut:
        weights, _ = ridge(rows[taught], standard[taught], (1e-3,))[0]
        model.get_layer(SHORTCUT).set_weights([weights.reshape(blocks, bands, 1, 1)])

    trainer = _trainer(config, blocks, bands)
    trainer.begin_with(model)
    wanted = standard.astype(np.float32)[:, None]
    for number in range(config.steps):
        chosen = taught[rng.integers(0, len(taught), config.batch)]
        trainer.step(tf.constant(rows[chosen]), tf.constant(wanted[chosen]))
        progress(number + 1)
    model.set_weights(trainer.model.get_weights())
    penalty, error = _solve_last_layers(model, rows, standard, taught, held, config)
    _to_labels(model, mean, deviation)
    return Taught(model, penalty, error)


@dataclass(frozen=True, eq=False)
class _Trainer:
    """A network with its training step as a graph: a cross-validation needs the same one for each fold.

    Attributes:
        model: a keras.Model.
        optimiser: of its weights.
        step: takes rows and labels of a batch.
    """

    model: Any
    optimiser: Any
    step: Callable[[Any, Any], None]

    def begin_with(self, model: Any) -> None:
        """Take over a network's weights, and forget the steps done before."""
        self.model.set_weights(model.get_weights())
        for variable in self.optimiser.variables:
            variable.assign(np.zeros(variable.shape))


@lru_cache(maxsize=2)
def _trainer(config: StudentConfig, blocks: int, bands: int) -> _Trainer:
    """Build a network and the graph of its training, which takes some seconds, once for each shape."""
    import keras
    import tensorflow as tf

    model = build_student(config, blocks, bands)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)
    optimiser = keras.optimizers.Adam(schedule)
    optimiser.build(model.trainable_variables)

    # There is nothing to translate in it, and what AutoGraph has to say of that is for nobody.
    @tf.function(autograph=False)  # type: ignore[untyped-decorator,unused-ignore]
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
        optimiser.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return _Trainer(model, optimiser, step)


def answers(model: Any, rows: Rows) -> Floats:
    """Give (n,) answers of a Keras model to (n, features)."""
    return _in_portions(lambda part: model(part, training=False), rows)[:, 0].astype(np.float64)


def ridge(x: NDArray[Any], y: Floats, penalties: tuple[float, ...]) -> list[tuple[Floats, float]]:
    """Give weights (k,) and intercept of a ridge regression for each penalty, which is per row."""
    from scipy.linalg import solve

    mean, level = x.mean(axis=0, dtype=np.float64), float(y.mean())
    # In single precision: what rounds here is far below any penalty.
    centred = x - mean.astype(np.float32)
    gram = (centred.T @ centred).astype(np.float64) / len(x)
    with_y = (centred.T @ (y - level).astype(np.float32)).astype(np.float64) / len(x)
    found = []
    for penalty in penalties:
        weights = solve(gram + penalty * np.eye(len(gram)), with_y, assume_a="pos")
        found.append((weights, level - float(mean @ weights)))
    return found


def _in_portions(run: Callable[[Rows], Any], rows: Rows) -> NDArray[Any]:
    return np.concatenate([np.asarray(run(rows[i : i + PORTION])) for i in range(0, len(rows), PORTION)])


def _solve_last_layers(
    model: Any, rows: Rows, standard: Floats, taught: NDArray[np.intp], held: NDArray[np.intp], config: StudentConfig
) -> tuple[float, float]:
    """Set head and shortcut, and give the penalty and the RMSE on held-out rows, both in eight bits."""
    import keras

    body = keras.Model(model.input, model.get_layer(MAP).output)
    maps = _in_portions(lambda part: body(part, training=False), rows)
    shape = maps.shape[1:]
    maps = maps.reshape(len(rows), -1)
    # One scale for all places: with one each, what hardly varies would be weighed up and round most.
    size = float(np.sqrt(np.mean(np.square(maps, dtype=np.float64)))) or 1.0
    inputs = np.concatenate([maps / np.float32(size), rows], axis=1) if config.shortcut else maps / np.float32(size)
    places = maps.shape[1]
    rounded_maps, rounded_rows = _in_8_bits(inputs[held, :places]), np.rint(rows[held] / INPUT_STEP) * INPUT_STEP
    best: tuple[float, float, Floats, float] | None = None
    for penalty, (weights, intercept) in zip(
        config.penalties, ridge(inputs[taught], standard[taught], config.penalties), strict=True
    ):
        said = _in_8_bits(rounded_maps @ _in_8_bits(weights[:places]) + intercept)
        if config.shortcut:
            said = said + _in_8_bits(rounded_rows @ _in_8_bits(weights[places:]))
        error = float(np.sqrt(np.mean((_in_8_bits(said) - standard[held]) ** 2)))
        if best is None or error < best[1]:
            best = penalty, error, weights, intercept
    assert best is not None
    penalty, error, weights, intercept = best
    head = weights[:places].reshape(*shape, 1) / size
    model.get_layer(HEAD).set_weights([head, np.array([intercept])])
    if config.shortcut:
        line = model.get_layer(SHORTCUT)
        line.set_weights([weights[places:].reshape(line.get_weights()[0].shape)])
    return penalty, error


def _in_8_bits(values: NDArray[Any]) -> NDArray[Any]:
    step = float(np.abs(values).max()) / 127 or 1.0
    return np.asarray(np.rint(values / step) * step)


def _to_labels(model: Any, mean: float, deviation: float) -> None:
    """Rewrite the last layers so that they answer in the labels' space, not standardised."""
    for name in (HEAD, SHORTCUT):
        for layer in [layer for layer in model.layers if layer.name == name]:
            kernel, *bias = layer.get_weights()
            layer.set_weights([kernel * deviation, *(b * deviation + mean for b in bias)])
