"""Mean and spread of answers over the content, as curves that change smoothly and that no single sample decides."""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ..converters.spectra.spectrum import Floats

FALSE_SHARE = 0.05
"""Share of blanks that may be detected, and of samples at the detection limit that may be missed."""
POINTS = 30
MEAN_REACH, SPREAD_REACH = (6.5, 0.65), (10.0, 1.0)
"""Samples that take part at one place: so many times the root of all, and at most this share."""
FEWEST_AT_ONCE = 20
LEAST_REACH, RIDGE = 0.25, 0.01
"""Shortest reach, and the content whose square is the ridge of slopes, over the median content."""
ODD = 4.5
"""Mean errors from which on a sample hardly counts in the curves."""
LEAST_SPREAD = 0.25
"""Of the mean error nearby: the least spread at zero."""
NORMAL_SAMPLES = 20
"""Samples' worth of normal errors that join those found: a tail of so few is uncertain."""


class Curves(NamedTuple):
    """Curves for each draw of weights.

    Attributes:
        content: (g,) places from 0 up.
        mean, spread: (draws, g) of what samples of these contents read; the spread is the mean size of errors.
        errors, weights: (k,) over the spread, ascending, of all draws together, with weights that sum up to 1 at the
            last.
        of_draw, weights_of_draw: (draws, n) the same for each draw.
    """

    content: Floats
    mean: Floats
    spread: Floats
    errors: Floats
    weights: Floats
    of_draw: Floats
    weights_of_draw: Floats

    def read_at_most(self, level: float, contents: Floats) -> Floats:
        """Share of samples of (m,) contents that read at most this."""
        error = (level - self.at(self.mean, contents)) / self.at(self.spread, contents)
        return np.asarray(self.share_below(error).mean(axis=0))

    def share_below(self, errors: Floats) -> Floats:
        """Share of errors, over the spread, that are at most these."""
        return np.asarray(np.interp(errors, self.errors, self.weights, left=0.0, right=1.0))

    def at(self, curves: Floats, contents: Floats) -> Floats:
        """Read (draws, g) or (g,) curves at (m,) contents."""
        return _at(self.content, np.atleast_2d(curves), contents)


def fit_curves(x: Floats, y: Floats, draws: int) -> Curves:
    """Fit curves to answers.

    Args:
        x: (n,) contents, ascending, not all zero.
        y: (n,) answers of samples that the model had not seen.
        draws: of weights (Bayesian bootstrap; Rubin 1981, Annals of Statistics 9:130).

    Notes:
        Local lines that odd samples hardly move: Cleveland 1979, JASA 74:829.
    """
    content = np.unique(np.concatenate([[0.0], np.quantile(x, np.linspace(0, 1, POINTS))]))
    usual = float(np.median(x[x > 0]))
    near, wide = (_kernel(x, content, reach, LEAST_REACH * usual) for reach in (MEAN_REACH, SPREAD_REACH))
    ridge = (RIDGE * usual) ** 2
    weights = _draw_weights(x, y, draws)
    centre, variance, total = _moments(near, x, np.ones((1, x.size)))
    # What a sample adds to the line at its own place, which makes its error look small.
    leverage = _at(content, (1 + (content - centre) ** 2 / (variance + ridge)) / total, x)
    counting = near[0].sum() ** 2 / np.sum(near[0] ** 2)
    few = _student(max(counting - 2, 2.0)) / NormalDist().inv_cdf(1 - FALSE_SHARE)
    counts = np.ones_like(weights)
    for _ in range(3):
        mean = _lines(near, x, content, y, weights * counts, ridge)[0]
        error = (y - _at(content, mean, x)) / np.clip(1 - leverage, 0.3, 1.0)
        spread, nearby = _lines(wide, x, content, np.abs(error), weights * counts, ridge)
        spread = np.maximum(np.maximum(spread, LEAST_SPREAD * nearby), 1e-12 * usual)
        relative = error / _at(content, spread, x)
        counts = np.clip(1 - (relative / ODD) ** 2, 1e-3, None)
    normal = np.array([NormalDist(0, math.sqrt(math.pi / 2)).inv_cdf((i + 0.5) / 41) for i in range(41)])
    of_draw = few * np.concatenate([relative, np.broadcast_to(normal, (draws, normal.size))], axis=1)
    added = np.full((draws, normal.size), NORMAL_SAMPLES / normal.size)
    weights_of_draw = np.concatenate([weights, added], axis=1)
    errors, cumulated = ascending(of_draw, weights_of_draw)
    return Curves(content, mean, spread, errors, cumulated, of_draw, weights_of_draw)


def _kernel(x: Floats, content: Floats, reach: tuple[float, float], least: float) -> Floats:
    """Weigh (n,) samples at (g,) places: tricube over the distance of the last one that takes part."""
    times, share = reach
    count = min(x.size, max(FEWEST_AT_ONCE, math.ceil(min(times * math.sqrt(x.size), share * x.size))))
    distance = np.abs(content[:, None] - x)
    # A little farther, or the last one would not count at all.
    farthest = np.maximum(1.0001 * np.partition(distance, count - 1, axis=1)[:, count - 1], least)
    return np.asarray(np.clip(1 - (distance / farthest[:, None]) ** 3, 0.0, None) ** 3)


def _moments(kernel: Floats, x: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    total = weights @ kernel.T
    centre = weights @ (kernel * x).T / total
    variance = np.maximum(weights @ (kernel * x * x).T / total - centre**2, 0.0)
    return centre, variance, total


def _lines(
    kernel: Floats, x: Floats, content: Floats, values: Floats, weights: Floats, ridge: float
) -> tuple[Floats, Floats]:
    """Heights of local lines at (g,) places, and local means, (draws, g) each."""
    centre, variance, total = _moments(kernel, x, weights)
    weighted = weights * values
    local = weighted @ kernel.T / total
    slope = (weighted @ (kernel * x).T / total - centre * local) / (variance + ridge)
    return local + slope * (content - centre), local


def _at(content: Floats, curves: Floats, places: Floats) -> Floats:
    """Read (draws, g) curves between their points, at (m,) places."""
    left = np.clip(np.searchsorted(content, places) - 1, 0, content.size - 2)
    part = np.clip((places - content[left]) / (content[left + 1] - content[left]), 0.0, 1.0)
    return np.asarray(curves[:, left] * (1 - part) + curves[:, left + 1] * part)


def _draw_weights(x: Floats, y: Floats, draws: int) -> Floats:
    """Draw weights, (draws, n): each sample has its own, whichever others there are, or removing one would move all."""
    weights = np.empty((draws, x.size))
    seen: dict[bytes, int] = {}
    for i, pair in enumerate(np.column_stack([x, y])):
        key = pair.tobytes()
        seen[key] = seen.get(key, 0) + 1
        digest = hashlib.blake2b(key + seen[key].to_bytes(4, "little"), digest_size=16).digest()
        weights[:, i] = np.random.default_rng(int.from_bytes(digest, "little")).exponential(size=draws)
    return np.asarray(weights / weights.mean(axis=1, keepdims=True))


def _student(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(1 - FALSE_SHARE, freedom))


def ascending(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Sort values of any shape, and add up their weights to 1."""
    order = np.argsort(values, axis=None, kind="stable")
    cumulated = np.cumsum(weights.ravel()[order])
    return values.ravel()[order], cumulated / cumulated[-1]
