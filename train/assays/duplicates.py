"""Precision from pairs of determinations. NumPy only.

For a pair a, b with mean m = (a + b) / 2:

    RPD  = 100 |a - b| / m            relative percent difference
    HARD = 100 |a - b| / (a + b)      half absolute relative difference (Shaw 1997), half of RPD
    CV   = 100 |a - b| / (sqrt(2) m)  standard deviation of the two over their mean

and over n pairs the root mean square of the CVs, `100 sqrt(2/n sum((a - b)^2 / (a + b)^2))`, which estimates the
relative standard deviation of one determination without the bias of averaging |a - b| (Stanley & Lawie 2007,
Exploration and Mining Geology 16(3-4):265; Abzalov 2008, same journal 17(3-4):131, there CV_AVR).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats


@dataclass(frozen=True)
class PairStatistics:
    """What n pairs say of the precision of one determination.

    Attributes:
        n: pairs.
        cv_pct: root mean square coefficient of variation.
        cv_upper_pct: one-sided 95 % upper bound of it. A pair has one degree of freedom, so few pairs leave much
            open: of normal errors, n (cv / true cv)^2 follows chi-square with n degrees of freedom.
        rpd_mean_pct, rpd_median_pct, rpd_max_pct: of the pairs' RPD.
        hard_share: share of pairs within the limit of HARD that was asked for.
        bias_pct: mean of 100 (second - first) / m: whether repeats run high or low.
    """

    n: int
    cv_pct: float
    cv_upper_pct: float
    rpd_mean_pct: float
    rpd_median_pct: float
    rpd_max_pct: float
    hard_share: float
    bias_pct: float


def relative_difference_pct(first: ArrayLike, second: ArrayLike) -> Floats:
    """Give 100 (second - first) / mean, signed; its size is the RPD, half of that HARD.

    Args:
        first, second: any one shape, not below 0, not both 0.

    Raises:
        ValueError: a pair has no mean to compare with.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or (a < 0).any() or (b < 0).any() or (a + b == 0).any():
        raise ValueError("pairs must be finite, not below 0 and not both 0")
    # Halved before they are added: the sum of two large values may not fit.
    return np.asarray(100.0 * (b - a) / (0.5 * a + 0.5 * b))


def pair_statistics(first: ArrayLike, second: ArrayLike, hard_limit_pct: float) -> PairStatistics:
    """Describe n pairs of determinations of the same things.

    Args:
        first, second: (n,) in one unit, n at least 1, as `relative_difference_pct` takes them.
        hard_limit_pct: limit that `hard_share` counts against.

    Raises:
        ValueError: no pairs, shapes differ, or a pair has no mean to compare with.
    """
    signed = relative_difference_pct(first, second)
    if signed.ndim != 1 or not signed.size:
        raise ValueError(f"pairs of shape {signed.shape}; (n,) with n at least 1 is needed")
    rpd = np.abs(signed)
    cv = float(np.sqrt(np.mean(rpd**2 / 2.0)))
    n = int(rpd.size)
    return PairStatistics(
        n=n,
        cv_pct=cv,
        cv_upper_pct=cv * math.sqrt(n / chi_square_quantile(0.05, n)),
        rpd_mean_pct=float(rpd.mean()),
        rpd_median_pct=float(np.median(rpd)),
        rpd_max_pct=float(rpd.max()),
        hard_share=float(np.mean(rpd / 2.0 <= hard_limit_pct)),
        bias_pct=float(signed.mean()),
    )


def chi_square_quantile(probability: float, degrees: int) -> float:
    """Value that a chi-square variable stays below with a probability, by bisection of its distribution function.

    Args:
        probability: above 0, at most 0.5.
        degrees: of freedom, at least 1.

    Raises:
        ValueError: either is out of range.
    """
    if not 0.0 < probability <= 0.5 or degrees < 1:
        raise ValueError(f"probability {probability} must lie in (0, 0.5], degrees of freedom {degrees} at or above 1")
    low, high = 0.0, float(degrees)
    while high - low > 1e-12 * high:
        middle = 0.5 * (low + high)
        if _chi_square_cdf(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return high


def _chi_square_cdf(x: float, degrees: int) -> float:
    # Series of the incomplete gamma function (Abramowitz & Stegun 6.5.29); quick below the mean, where it is used.
    a, half = degrees / 2.0, x / 2.0
    if half <= 0:
        return 0.0
    term = total = 1.0
    k = 0
    while term > 1e-16 * total:
        k += 1
        term *= half / (a + k)
        total += term
    return math.exp(a * math.log(half) - half - math.lgamma(a + 1.0)) * total
