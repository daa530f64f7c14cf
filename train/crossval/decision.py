"""What answers are chosen by: the one loss that transforms, settings, shares and the best of several methods go by.

Among 5 to 4000 ppm an error in ppm is the error of the few richest soils, and a model chosen by it alone calls clean
ground rich; chosen by the error of logarithms alone it underestimates the rich ones. What a user decides by is theirs
to say; where nobody says it, both count, logarithms the more the farther grades spread, and nothing jumps where they
happen to go a little farther.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ...converters.spectra.spectrum import Floats

DecideBy = Literal["both", "mean", "median", "quantile"]
"""mean: squared errors in the unit, and answers are means. median: squared errors of log10, and answers are medians.
quantile: answers that four soils of five do not exceed. both: the first two, that of log10 the more the farther
grades spread."""
DECIDE_BY: tuple[DecideBy, ...] = get_args(DecideBy)
BY: dict[DecideBy, str] = {
    "both": "errors in the unit and of log10",
    "mean": "errors in the unit",
    "median": "errors of log10",
    "quantile": "the 80 % quantile",
}
"""In words, for tables."""
QUANTILE = 0.8
SKEWED, FULLY_SKEWED = 0.7, 1.0
"""Skewness of grades above which their logarithms count, and from which on they count in full."""
ODD = 0.98
"""Of the distances from the median, the quantile beyond which an error counts no more than one of that size: what one
odd soil is missed by says little of the others."""


def share_of_logarithms(target: Floats) -> float:
    """Say how much logarithms and roots of a target (n,) count beside itself, 0 to 1: they set in little by little.

    Nothing where it is not above zero throughout, or hardly skewed.
    """
    deviation = target - target.mean()
    variance = float(np.mean(deviation**2))
    if target.min() <= 0 or variance == 0:
        return 0.0
    skewness = float(np.mean(deviation**3)) / variance**1.5
    return float(np.clip((skewness - SKEWED) / (FULLY_SKEWED - SKEWED), 0.0, 1.0))


def _spread(target: Floats) -> float:
    """Say how much of the loss is of logarithms, 0 to 1: half where they spread by a factor of e, more beyond."""
    if target.min() <= 0:
        return 0.0
    variance = float(np.log(target).var())
    return variance / (variance + 1.0)


def unexplained(answers: Floats, target: Floats, decide_by: DecideBy) -> float:
    """Give the share of a target's variation that answers leave unexplained, by what a user decides by.

    Of squares it is 1 - R2; where both count, errors larger than any but the farthest soils are away (`ODD`) are cut to
    that. A target that is not above zero throughout has no logarithm, and is judged in its unit.

    Args:
        answers: (..., n) of samples that were not fitted to, in the unit and within the range of the target.
        target: (n,) in the unit.
        decide_by: what for.
    """
    if decide_by == "quantile":
        return _pinball(answers, target) / (_pinball(np.quantile(target, QUANTILE), target) or 1.0)
    if decide_by == "mean":
        return float(np.mean((answers - target) ** 2) / (target.var() or 1.0))
    share = 1.0 if decide_by == "median" and target.min() > 0 else share_of_logarithms(target) * _spread(target)
    found = (1.0 - share) * robust_square(answers - target, target) if share < 1 else 0.0
    if share > 0:
        logarithms = np.log10(target)
        errors = np.log10(np.maximum(answers, target.min())) - logarithms
        found += share * robust_square(errors, logarithms)
    return found


def robust_square(errors: Floats, target: Floats) -> float:
    """Give the mean square of errors (..., n) over that of the target's (n,) distances from its mean, both cut."""
    far = float(np.quantile(np.abs(target - np.median(target)), ODD)) ** 2
    squares, about = (np.minimum(np.square(part), far) for part in (errors, target - target.mean()))
    return float(np.mean(squares) / (np.mean(about) or 1.0))


def _pinball(answers: Floats | np.float64, target: Floats) -> float:
    over = target - answers
    return float(np.mean(np.maximum(QUANTILE * over, (QUANTILE - 1) * over)))
