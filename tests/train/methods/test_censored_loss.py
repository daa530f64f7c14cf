"""The loss in TensorFlow against SciPy's normal law, and a small network that learns from bounds with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats
from stibium.train.assays.censored import Observations
from stibium.train.methods.censored_loss import as_target, censored_square
from stibium.train.methods.tensorflow_setup import import_tensorflow


@pytest.fixture(scope="module", autouse=True)
def _tensorflow() -> None:
    import_tensorflow()


@pytest.mark.parametrize("sd", [0.1, math.sqrt(0.5), 3.0])
def test_loss_and_slopes_are_those_of_the_likelihood(sd: float) -> None:
    import tensorflow as tf

    # From far on the right side of a bound to 80 standard deviations on the wrong one.
    offset = np.concatenate([np.linspace(-80, 80, 321), [-8.001, -8.0, -7.999]]) * sd
    value = np.tile(offset, 3)
    side = np.repeat([-1, 0, 1], offset.size).astype(np.int8)
    observed = Observations(value.astype(np.float32).astype(np.float64), side)
    predicted = tf.Variable(np.zeros((value.size, 1), np.float32))
    with tf.GradientTape() as tape:
        loss = censored_square(predicted, tf.constant(as_target(observed, 0.0, 1.0)), tf.constant(sd, tf.float32))
        total = tf.reduce_sum(loss)
    by_prediction = tape.gradient(total, predicted)
    # z: how far the answer, 0, lies on the bound's right side, in standard deviations.
    z = -side * observed.value / sd
    cost = np.where(side == 0, observed.value**2, -2 * sd**2 * stats.norm.logcdf(z))
    # Density over distribution function by the scaled complementary error function, which does not underflow.
    mills = np.sqrt(2 / np.pi) / special.erfcx(-np.minimum(z, 30) / np.sqrt(2))
    slope = np.where(side == 0, -2 * observed.value, -2 * sd * side * mills)
    assert loss.numpy() == pytest.approx(cost, rel=2e-5, abs=4e-6 * sd**2)
    assert by_prediction.numpy()[:, 0] == pytest.approx(slope, rel=2e-4, abs=4e-6 * sd)


@pytest.mark.parametrize("sd", [0.1, 3.0])
def test_values_cost_the_squared_error_whatever_the_deviation(sd: float) -> None:
    import tensorflow as tf

    observed = Observations(np.array([1.0, -2.0]), np.zeros(2, np.int8))
    loss = censored_square(tf.constant([[0.5], [1.0]]), tf.constant(as_target(observed, 0.0, 1.0)), tf.constant(sd))
    assert loss.numpy() == pytest.approx([0.25, 9.0])


def test_standardising_moves_values_and_bounds_alike() -> None:
    observed = Observations(np.array([3.6, 2.0]), np.array([1, 0], np.int8))
    assert as_target(observed, 2.0, 0.8) == pytest.approx(np.array([[2.0, 1], [0.0, 0]]))
    with pytest.raises(ValueError, match="not above 0"):
        as_target(observed, 2.0, 0.0)


def fit_line(x: np.ndarray, observed: Observations, sd: float) -> float:
    """Slope that a network of one weight ends with."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    inputs, target = tf.constant(x[:, None]), tf.constant(as_target(observed, 0.0, 1.0))
    optimiser = keras.optimizers.Adam(0.05)
    optimiser.build(model.trainable_variables)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(censored_square(model(inputs), target, tf.constant(sd)))
        optimiser.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    for _ in range(300):
        step()
    return float(model.get_weights()[0][0, 0])


def test_a_network_learns_beyond_the_bound() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 400).astype(np.float32)
    true = 1.5 * x + rng.normal(scale=0.2, size=x.size)
    above = (true > 1.0).astype(np.int8)
    assert fit_line(x, Observations(np.minimum(true, 1.0), above), 0.2) == pytest.approx(1.5, abs=0.03)
    as_if_values = fit_line(x, Observations(np.minimum(true, 1.0), np.zeros_like(above)), 0.2)
    assert as_if_values < 1.35
