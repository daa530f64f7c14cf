"""The censored likelihood as a network's loss: what `censored.negative_log_likelihood` says, as a squared error.

Times 2 sd^2 and without its constants, the negative log-likelihood of a known value is its squared error, and that of
a bound is in the same measure; so bounds can stand among the values of a least-squares training.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..assays.censored import Observations

_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
_FAR = -8.0


def as_target(observed: Observations, mean: float, scale: float) -> NDArray[np.float32]:
    """Give observations as a loss's target.

    Args:
        observed: n, in the space of the target's transform.
        mean, scale: what the network's answers are standardised by; the scale is above 0, so that sides stay.

    Returns:
        (n, 2): standardised value or bound, and side.

    Raises:
        ValueError: the scale is not above 0.
    """
    if not scale > 0:
        raise ValueError(f"a scale of {scale} is not above 0")
    return np.column_stack([(observed.value - mean) / scale, observed.side]).astype(np.float32)


def censored_square(predicted: Any, target: Any, sd: Any) -> Any:
    """Squared error of each known value; of each bound -2 sd^2 log Phi(z), differentiable by the predictions.

    z is how far, in standard deviations, the answer lies on the bound's right side. Far on the right side a bound
    costs nothing. Everywhere its slope is that of a squared error from the mean of what lies beyond it, given the
    answer.

    Args:
        predicted: (n, 1) tensor of standardised answers.
        target: (n, 2) tensor, as `as_target` makes it.
        sd: scalar above 0; standard deviation of the error, in standardised units.

    Returns:
        (n,) tensor.
    """
    import tensorflow as tf

    value, side = target[:, 0], target[:, 1]
    error = value - predicted[:, 0]
    # What the other branch makes of a row must be finite too: `where` passes the gradients of both.
    z = tf.where(side == 0, tf.zeros_like(error), -side * error / sd)
    return tf.where(side == 0, tf.square(error), -2.0 * tf.square(sd) * _log_normal_cdf(z))


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
