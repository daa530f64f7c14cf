"""The prediction interval: how wide, and how much wider where the model knows less.

Its offsets come with the bundle, fitted by `stibium.train.applicability`. docs/applicability.md says how.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...converters.spectra.spectrum import Floats

LEAST_RATIO = 1e-9
FARTHEST = 2.5
"""Standard deviations beyond which a difficulty widens no further: nothing in the calibration shows what it does."""


class IntervalStats(NamedTuple):
    """Offsets from the network's output to the ends of the prediction interval, in the transform's space.

    The offsets hold where the difficulty is what it usually is in the calibration. They are multiplied by
    exp(slopes . z), z being log T2, log Q (both over their limits) and the output, centred and scaled.

    Attributes:
        coverage: stated share of true values inside.
        low_offset, high_offset: below and above zero.
        method: how they were found.
        slopes, centres, spreads: of log T2, log Q and the output; slopes of the first two are never below zero.
        high_lift: how much farther up the interval reaches, as a part of it, for each spread that the output is above
            its centre: a model that pulls towards the mean says too little of the richest.
    """

    coverage: float
    low_offset: float
    high_offset: float
    method: str
    slopes: tuple[float, float, float] = (0.0, 0.0, 0.0)
    centres: tuple[float, float, float] = (0.0, 0.0, 0.0)
    spreads: tuple[float, float, float] = (1.0, 1.0, 1.0)
    high_lift: float = 0.0


def widening(
    stats: IntervalStats, t2_over_limit: ArrayLike | None, q_over_limit: ArrayLike | None, outputs: ArrayLike
) -> Floats:
    """Say how much wider than usual intervals are, (n,): more where the model knows less.

    Args:
        stats: of the bundle.
        t2_over_limit, q_over_limit: (n,) from the domain verdict; None where there is none, and nothing is widened.
        outputs: (n,) of the network.
    """
    outputs = np.asarray(outputs, dtype=np.float64)
    exponent = np.zeros(outputs.shape)
    distance = [None if d is None else np.log(np.maximum(d, LEAST_RATIO)) for d in (t2_over_limit, q_over_limit)]
    for what, slope, centre, spread in zip(
        (*distance, outputs), stats.slopes, stats.centres, stats.spreads, strict=True
    ):
        if what is not None and slope:
            exponent += slope * np.clip((what - centre) / spread, -FARTHEST, FARTHEST)
    return np.asarray(np.exp(exponent))


def lifting(stats: IntervalStats, outputs: Floats) -> Floats:
    """Say how much farther up than down intervals reach, (n,): more for what is estimated high."""
    above = np.clip((outputs - stats.centres[2]) / stats.spreads[2], 0.0, FARTHEST)
    return np.asarray(1 + stats.high_lift * above)


def interval(
    outputs: ArrayLike,
    stats: IntervalStats,
    t2_over_limit: ArrayLike | None = None,
    q_over_limit: ArrayLike | None = None,
    extra_sd: ArrayLike = 0.0,
) -> tuple[Floats, Floats]:
    """Give the ends of prediction intervals, in the transform's space.

    Args:
        outputs: (n,) of the network.
        stats: of the bundle.
        t2_over_limit, q_over_limit: (n,) from the domain verdict.
        extra_sd: (n,) standard error that the calibration's samples do not have, such as of points that scatter
            more; it is added in quadrature.

    Returns:
        Lower and upper ends, (n,) each.
    """
    outputs = np.asarray(outputs, dtype=np.float64)
    wider = widening(stats, t2_over_limit, q_over_limit, outputs)
    extra = np.asarray(extra_sd, dtype=np.float64)
    if extra.any():
        extra = normal_quantile(stats.coverage) * extra
    below, above = wider * stats.low_offset, wider * lifting(stats, outputs) * stats.high_offset
    return outputs + below - _added(below, extra), outputs + above + _added(above, extra)


def holding(
    low: ArrayLike,
    high: ArrayLike,
    values: ArrayLike,
    calibrated_range: tuple[float, float],
    give_or_take: float = 0.0,
) -> NDArray[np.bool_]:
    """Say which values lie in their intervals, ends included: the one place where this is decided.

    Args:
        low, high, values: (n,) in the element's unit.
        calibrated_range: at whose ends intervals were cut off: such an end is open, as `> 895` is shown.
        give_or_take: uncertainty of the values, in the unit.
    """
    # A value beyond the range is inside an interval that reaches to its end.
    values = np.asarray(values, dtype=np.float64)
    least, most = (np.clip(values + by, *calibrated_range) for by in (-give_or_take, give_or_take))
    return np.asarray((np.asarray(low) <= most) & (least <= np.asarray(high)))


def _added(offset: Floats, extra: Floats) -> Floats:
    return np.asarray(np.hypot(offset, extra) - np.abs(offset))


def normal_quantile(coverage: float) -> float:
    """Standard deviations on either side of the mean that hold this share of a normal distribution."""
    # Brings decimal and fractions along: too slow for a start that may not need it.
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + coverage / 2)
