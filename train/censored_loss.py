"""The censored likelihood as a TensorFlow loss: what `censored.negative_log_likelihood` says, in single precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .censored import Observations

_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
_FAR = -8.0


def as_target(observed: Observations, mean: float, scale: float) -> NDArray[np.float32]:
    """Give observations as a loss's target.

    Args:
        observed: n, in the space of the target's transform.
        mean, scale: what the network's answers are standardised by, such as `censored.fit_normal` finds; the scale is
            above 0, so that sides stay.

    Returns:
        (n, 2): standardised value or bound, and side.

    Raises:
        ValueError: the scale is not above 0.
    """
    if not scale > 0:
        raise ValueError(f"a scale of {scale} is not above 0")
    return np.column_stack([(observed.value - mean) / scale, observed.side]).astype(np.float32)


def censored_loss(predicted: Any, target: Any, log_sd: Any) -> Any:
    """Negative log-likelihood of each observation, differentiable by predictions and by `log_sd`.

    Args:
        predicted: (n, 1) tensor of standardised answers.
        target: (n, 2) tensor, as `as_target` makes it.
        log_sd: scalar; natural logarithm of the error's standard deviation, in standardised units. A variable is
            learned with the network; held at log(sqrt(0.5)), plain values cost the squared error and a constant.

    Returns:
        (n,) tensor, in nats.
    """
    import tensorflow as tf

    value, side = target[:, 0], target[:, 1]
    r = (value - predicted[:, 0]) * tf.exp(-log_sd)
    plain = 0.5 * tf.square(r) + log_sd + _HALF_LOG_2_PI
    # What the other branch makes of a row must be finite too: `where` passes the gradients of both.
    censored = -_log_normal_cdf(tf.where(side == 0, tf.zeros_like(r), -side * r))
    return tf.where(side == 0, plain, censored)


def _log_normal_cdf(z: Any) -> Any:
    import tensorflow as tf

    near, far = tf.maximum(z, _FAR), tf.minimum(z, _FAR)
    inverse_square = 1.0 / tf.square(far)
    # Asymptotic series of the tail (Abramowitz & Stegun 26.2.12), enough of it for single precision.
    term, total = tf.ones_like(far), tf.zeros_like(far)
    for k in range(1, 6):
        term = -term * (2 * k - 1) * inverse_square
        total += term
    tail = -0.5 * tf.square(far) - tf.math.log(-far) - _HALF_LOG_2_PI + tf.math.log1p(total)
    return tf.where(z > _FAR, tf.math.log(0.5 * tf.math.erfc(near * -math.sqrt(0.5))), tail)
