"""The loss in TensorFlow against the likelihood in NumPy, and a small network that learns from bounds with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from stibium.train.censored import Observations, gradient, negative_log_likelihood
from stibium.train.censored_loss import as_target, censored_loss
from stibium.train.tensorflow_setup import import_tensorflow


@pytest.fixture(scope="module", autouse=True)
def _tensorflow() -> None:
    import_tensorflow()


@pytest.mark.parametrize("sd", [0.1, math.sqrt(0.5), 3.0])
def test_loss_and_slopes_are_those_of_numpy(sd: float) -> None:
    import tensorflow as tf

    # From far on the right side of a bound to 80 standard deviations on the wrong one.
    offset = np.concatenate([np.linspace(-80, 80, 321), [-8.001, -8.0, -7.999]]) * sd
    value = np.tile(offset, 3)
    side = np.repeat([-1, 0, 1], offset.size).astype(np.int8)
    observed = Observations(value.astype(np.float32).astype(np.float64), side)
    predicted, log_sd = tf.Variable(np.zeros((value.size, 1), np.float32)), tf.Variable(np.float32(math.log(sd)))
    with tf.GradientTape() as tape:
        loss = censored_loss(predicted, tf.constant(as_target(observed, 0.0, 1.0)), log_sd)
        total = tf.reduce_sum(loss)
    by_prediction, by_log_sd = tape.gradient(total, [predicted, log_sd])
    zeros = np.zeros(value.size)
    expected, expected_by_log_sd = gradient(zeros, observed, sd)
    assert loss.numpy() == pytest.approx(negative_log_likelihood(zeros, observed, sd), rel=2e-5, abs=2e-6)
    assert by_prediction.numpy()[:, 0] == pytest.approx(expected, rel=2e-4, abs=2e-6 / sd)
    assert float(by_log_sd) == pytest.approx(expected_by_log_sd.sum(), rel=1e-4)


def test_plain_values_at_the_usual_deviation_cost_the_squared_error() -> None:
    import tensorflow as tf

    observed = Observations(np.array([1.0, -2.0]), np.zeros(2, np.int8))
    log_sd = tf.constant(math.log(math.sqrt(0.5)), tf.float32)
    loss = censored_loss(tf.constant([[0.5], [1.0]]), tf.constant(as_target(observed, 0.0, 1.0)), log_sd).numpy()
    assert loss[1] - loss[0] == pytest.approx(9 - 0.25)


def test_standardising_moves_values_and_bounds_alike() -> None:
    observed = Observations(np.array([3.6, 2.0]), np.array([1, 0], np.int8))
    assert as_target(observed, 2.0, 0.8) == pytest.approx(np.array([[2.0, 1], [0.0, 0]]))
    with pytest.raises(ValueError, match="not above 0"):
        as_target(observed, 2.0, 0.0)


def fit_line(x: np.ndarray, observed: Observations) -> tuple[float, float]:
    """Slope and standard deviation that a network of one weight ends with."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    log_sd = tf.Variable(0.0)
    inputs, target = tf.constant(x[:, None]), tf.constant(as_target(observed, 0.0, 1.0))
    variables = [*model.trainable_variables, log_sd]
    optimiser = keras.optimizers.Adam(0.05)
    optimiser.build(variables)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(censored_loss(model(inputs), target, log_sd))
        optimiser.apply(tape.gradient(loss, variables), variables)

    for _ in range(300):
        step()
    return float(model.get_weights()[0][0, 0]), math.exp(float(log_sd))


def test_a_network_learns_beyond_the_bound() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 400).astype(np.float32)
    true = 1.5 * x + rng.normal(scale=0.2, size=x.size)
    above = (true > 1.0).astype(np.int8)
    slope, sd = fit_line(x, Observations(np.minimum(true, 1.0), above))
    assert slope == pytest.approx(1.5, abs=0.03)
    assert sd == pytest.approx(0.2, abs=0.03)
    as_if_values, _ = fit_line(x, Observations(np.minimum(true, 1.0), np.zeros_like(above)))
    assert as_if_values < 1.35
