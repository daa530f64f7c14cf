"""From which content on a model can tell a sample from one that holds nothing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ..converters.spectra.spectrum import Floats
from ..edge.model.interval import normal_quantile
from ..edge.model.target import DetectionStats

FALSE_SHARE = 0.05
"""Share of samples with nothing in them that may be detected, and of samples at the limit that may be missed."""
FEWEST = 20
NEAR_ZERO = 1 / 3
"""Largest content, over the median, that the lowest tenth may have and still show how blanks read."""
MOST_FOR_SLOPE = 1000


def fit_detection(predicted: ArrayLike, measured: ArrayLike) -> DetectionStats | None:
    """Find critical estimate and limit of detection.

    The critical estimate is what one blank in twenty reads more than: the 95 % quantile of the predictions of the
    samples with the lowest contents (a tenth of all, at least twenty), less what their contents add to them. The limit
    is the content of which one sample in twenty reads less than that: the middle of the first window of successive
    samples (a tenth of all, at least twenty) of which so few do.

    Args:
        predicted: (n,) in the element's unit, one a sample, of samples that the model had not seen.
        measured: (n,) of the laboratory, not below zero.

    Returns:
        The limits; the limit is the highest content where no less is told from nothing. None if every sample is above
        the limit, if the lowest tenth has contents above a third of the median, or if there are fewer than 20 samples.

    Notes:
        Critical value and limit as Currie 1968 (Analytical Chemistry 40:586) defines them. Hubaux & Vos 1970
        (Analytical Chemistry 42:849) take them from the band around a calibration line, Allegrini & Olivieri 2014
        (Analytical Chemistry 86:7858) from the propagated errors of a linear model. Errors here grow with the content
        and include the model's pull towards the mean, so they are taken where they matter, from predictions of
        unseen samples, at ranks that hold for a finite number (Lei et al. 2018, JASA 113(523):1094).
    """
    x, y = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if x.size < FEWEST:
        return None
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    window = max(FEWEST, x.size // 10)
    lowest = min(window, x.size // 2)
    if np.median(x[: max(x.size // 10, 1)]) > NEAR_ZERO * np.median(x):
        return None
    blanks = np.sort(y[:lowest] - _slope_near_zero(x, y) * x[:lowest])
    rank = min(math.ceil((lowest + 1) * (1 - FALSE_SHARE)), lowest)
    critical = max(float(blanks[rank - 1]), 0.0)
    missed = np.convolve(y <= critical, np.ones(window), "valid")
    few = np.flatnonzero((missed + 1) / (window + 1) <= FALSE_SHARE)
    limit = float(np.median(x[few[0] : few[0] + window])) if few.size else float(x[-1])
    if limit <= x[0] or critical <= x[0]:
        return None
    return DetectionStats(
        critical=critical,
        limit=limit,
        method=f"predictions of {x.size} samples: the {lowest} lowest, and windows of {window}",
    )


def tells_no_grade(detection: DetectionStats | None, highest: float, unit: str) -> str:
    """Say so where even the highest contents are told from nothing too rarely; else "".

    Args:
        detection: from `fit_detection`.
        highest: end of the calibrated range, in `unit`.
        unit: of contents.
    """
    if detection is None or detection.limit < highest:
        return ""
    return (
        f"No grade up to {highest:.4g} {unit} is told from none nineteen times in twenty: most answers will be < LOD "
        f"(an estimate counts from {detection.critical:.4g} {unit} on). More samples, above all rich ones, may help."
    )


def _slope_near_zero(x: Floats, y: Floats) -> float:
    """Slope of y against ascending x over the lower half, between 0 and 1; 0 if it may as well be by chance.

    Theil and Sen's, with its confidence (Sen 1968, JASA 63:1379).
    """
    half = (x.size + 1) // 2
    # Pairs grow with the square; a thousand samples, evenly taken, are as good.
    taken = np.unique(np.linspace(0, half - 1, min(half, MOST_FOR_SLOPE)).round().astype(int))
    x, y = x[taken], y[taken]
    first, second = np.triu_indices(x.size, 1)
    run = x[second] - x[first]
    slopes = np.sort((y[second] - y[first])[run > 0] / run[run > 0])
    spread = math.sqrt(x.size * (x.size - 1) * (2 * x.size + 5) / 18)
    surely = math.floor((slopes.size - normal_quantile(1 - 2 * FALSE_SHARE) * spread) / 2)
    if surely < 0 or slopes[surely] <= 0:
        return 0.0
    return min(float(np.median(slopes)), 1.0)
