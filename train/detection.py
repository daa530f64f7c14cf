"""Critical level and detection limit, from a model of the errors of answers near zero.

The model is of out-of-fold answers against contents of the laboratory: a mean and a spread that change smoothly with
the content (`error_curves`), and one distribution of the errors over the spread. All samples take part; none decides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ..converters.spectra.spectrum import Floats
from ..edge.model.error_model import Check, ErrorModel
from ..edge.units import plain, shown_unit
from .error_curves import FALSE_SHARE, Curves, ascending, fit_curves

FEWEST = 20
NEAR_ZERO = 1 / 3
"""Largest content, over the median, that the lowest tenth may have and still show how blanks read."""
DRAWS = 200
RELATIVE_SD = 0.1
NEAR_LIMIT = 0.2
FOLDS, TENTHS = 5, 10
FEWEST_FOR_CHECK = 40


def fit_error_model(predicted: ArrayLike, measured: ArrayLike) -> ErrorModel | None:
    """Fit how far answers near zero are off, and take critical level and detection limit from it.

    Mean and spread of the answers are local straight lines over the content, extended to zero, which odd samples hardly
    move; the errors over the spread are one distribution. Two hundred draws of weights for the samples (a Bayesian
    bootstrap) say how sure that is. The critical level is the 95 % quantile of what a blank reads over all draws, so
    that what is not known of blanks raises it. The detection limit is the lowest content from which on at most one
    sample in twenty reads no more than that, over all draws likewise.

    Args:
        predicted: (n,) in the element's unit, one a sample, of samples that the model had not seen.
        measured: (n,) of the laboratory, not below zero.

    Returns:
        The error model; with `critical` None and a remark where the contents never come near zero. None if there are
        fewer than 20 samples, or all contents are zero.

    Notes:
        Critical level and detection limit as Currie 1968 (Analytical Chemistry 40:586) and 1995 (Pure and Applied
        Chemistry 67:1699) define them. The error grows with the content (Rocke & Lorenzato 1995, Technometrics
        37:176). What soils of a content read, not the other way round, so the model's pull towards the mean is in the
        curve and makes no level too low.
    """
    x, y = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if x.size < FEWEST or not x.max() > 0:
        return None
    # A sum depends on its order in the last digit; the answer is not to.
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    fitted = fit_curves(x, y, DRAWS)
    method = f"error model of {x.size} out-of-fold predictions, mean and spread by local lines, {DRAWS} draws"
    lowest = float(np.median(x[: max(x.size // 10, 1)]))
    curves = (fitted.content, fitted.mean.mean(axis=0), _sd(fitted))
    if lowest > NEAR_ZERO * np.median(x):
        remark = (
            f"no detection limit: the lowest contents, about {plain(lowest, 3)}, are above a third of the median, "
            f"{plain(np.median(x), 3)}: nothing shows what soils read that hold none"
        )
        return ErrorModel(None, None, None, None, None, _quantification(*curves), method, remark, *curves)
    critical = _critical(fitted)
    of_draws = [_critical_of_draw(fitted, draw) for draw in range(DRAWS)]
    limit = _limit(fitted, critical)
    limits = _limits(fitted, np.array(of_draws))
    return ErrorModel(
        critical=critical,
        critical_range=_ends(of_draws),
        limit=limit,
        limit_range=_ends(limits) if limit is not None else None,
        blank=_reads_on_average(critical, *curves[:2]),
        quantification=_quantification(*curves),
        method=method,
        remark="" if limit is not None else "no detection limit: even the richest soils are missed too often",
        content=curves[0],
        mean=curves[1],
        sd=curves[2],
        check=_check(x, y),
    )


def tells_no_grade(model: ErrorModel | None, unit: str) -> str:
    """Say so where no detection limit can be given; else "".

    Args:
        model: from `fit_error_model`.
        unit: of contents.
    """
    if model is None or model.critical is None or model.limit is not None:
        return ""
    unit = shown_unit(unit)
    return (
        f"No detection limit: no grade up to {plain(model.content[-1])} {unit} is told from none nineteen times in "
        f"twenty. Estimates up to the critical level, {plain(model.critical)} {unit}, are < LOD. "
        "More samples, above all rich ones, may help."
    )


def _upper(values: Floats, weights: Floats) -> float:
    in_order, cumulated = ascending(values, weights)
    return max(float(in_order[np.searchsorted(cumulated, 1 - FALSE_SHARE)]), 0.0)


def _critical(fitted: Curves) -> float:
    return _upper(fitted.mean[:, :1] + fitted.spread[:, :1] * fitted.of_draw, fitted.weights_of_draw)


def _critical_of_draw(fitted: Curves, draw: int) -> float:
    blanks = fitted.mean[draw, 0] + fitted.spread[draw, 0] * fitted.of_draw[draw]
    return _upper(blanks, fitted.weights_of_draw[draw])


def _limit(fitted: Curves, critical: float) -> float | None:
    """Lowest content that is missed once in twenty over all draws: what is not known of the curves there raises it."""
    contents = _contents(fitted)
    return _crossing(contents, fitted.read_at_most(critical, contents))


def _limits(fitted: Curves, critical: Floats) -> list[float | None]:
    """Lowest content that is missed once in twenty, for (draws,) critical levels, each with the curves of its draw."""
    contents = _contents(fitted)
    error = (critical[:, None] - fitted.at(fitted.mean, contents)) / fitted.at(fitted.spread, contents)
    return [_crossing(contents, missed) for missed in fitted.share_below(error)]


def _contents(fitted: Curves) -> Floats:
    half = np.linspace(0.0, float(np.median(fitted.content)), 200)
    return np.asarray(np.unique(np.concatenate([half, np.linspace(half[-1], fitted.content[-1], 400)])))


def _crossing(contents: Floats, missed: Floats) -> float | None:
    """Where the share that is missed first falls to one in twenty; None where it does not in the calibration."""
    few = missed <= FALSE_SHARE
    if not few.any():
        return None
    first = int(few.argmax())
    span = slice(max(first - 1, 0), first + 1)
    return float(np.interp(-FALSE_SHARE, -missed[span], contents[span]))


def _ends(values: list[float] | list[float | None]) -> tuple[float | None, float | None]:
    """Ends of the middle nine tenths; what there is none of is beyond all others."""
    known = np.sort([math.inf if value is None else value for value in values])
    low, high = (float(known[round(q * (known.size - 1))]) for q in (FALSE_SHARE, 1 - FALSE_SHARE))
    return (low if math.isfinite(low) else None), (high if math.isfinite(high) else None)


def _reads_on_average(level: float, content: Floats, mean: Floats) -> float:
    """Content that reads this on average; the highest one if none does, zero if all do."""
    above = np.flatnonzero(mean > level)
    if not above.size:
        return float(content[-1])
    i = int(above[0])
    return 0.0 if i == 0 else float(np.interp(level, mean[i - 1 : i + 1], content[i - 1 : i + 1]))


def _sd(fitted: Curves) -> Floats:
    """Standard deviation of what is read, from the mean size of errors as of normal ones."""
    return np.asarray(math.sqrt(math.pi / 2) * fitted.spread.mean(axis=0))


def _quantification(content: Floats, mean: Floats, sd: Floats) -> float | None:
    """Content from which on the standard deviation, over the slope of the mean, stays below a tenth of it."""
    slope = np.maximum(np.gradient(mean, content), 1e-12)
    unsure = np.flatnonzero(sd / slope > RELATIVE_SD * content)
    if not unsure.size:
        return float(content[0])
    return float(content[unsure[-1] + 1]) if unsure[-1] + 1 < content.size else None


def _check(x: Floats, y: Floats) -> Check | None:
    """Fit to four fifths of the samples and hold against the last, in turn."""
    if x.size < FEWEST_FOR_CHECK:
        return None
    chance, seen, blanks = np.empty(x.size), np.empty(x.size, dtype=bool), np.empty(x.size, dtype=bool)
    near = np.zeros(x.size, dtype=bool)
    # Each fold takes every fifth by content, so that all have low ones.
    fold = np.arange(x.size) % FOLDS
    for k in range(FOLDS):
        out = fold == k
        fitted = fit_curves(x[~out], y[~out], DRAWS // 4)
        critical = _critical(fitted)
        mean, spread = fitted.mean.mean(axis=0), fitted.spread.mean(axis=0)
        error = (y[out] - fitted.at(mean, x[out])[0]) / fitted.at(spread, x[out])[0]
        blanks[out] = mean[0] + spread[0] * error > critical
        chance[out], seen[out] = 1 - fitted.read_at_most(critical, x[out]), y[out] > critical
        limit = _limit(fitted, critical)
        if limit is not None:
            near[out] = np.abs(x[out] - limit) <= NEAR_LIMIT * limit
    tenths = np.array_split(np.arange(x.size), TENTHS)
    return Check(
        soils=int(x.size),
        blanks_detected=float(blanks.mean()),
        near_limit=int(near.sum()),
        near_limit_missed=float(np.mean(~seen[near])) if near.any() else None,
        upper=tuple(float(x[of[-1]]) for of in tenths),
        predicted=tuple(float(chance[of].mean()) for of in tenths),
        observed=tuple(float(seen[of].mean()) for of in tenths),
    )
