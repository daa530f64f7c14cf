"""From what a model calls a probability to how often it is right, fitted to left-out rows and never certain.

Four ways: Platt's logistic curve and the beta curve, both drawn towards leaving a probability as it is where rows are
few; isotonic steps with shrunken ends; and Venn-Abers. Which one is taken is decided by the log loss on holes that the
curve was not fitted to; one of steps only if it is clearly better. To leave all probabilities as they are is no choice:
the models that a fold's curve is fitted to have seen the fold that judges it, and where that one is rich they state too
much and the curve less, so that any curve looks worse there than it is on other holes. How far the probabilities would
move with other holes is found by fitting again to holes drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from sklearn.pipeline import Pipeline

from ...converters.spectra.spectrum import Floats
from ...edge.ore.model import SHORT_OF_CERTAIN, Band, Calibration, CalibrationKind

Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]
Choice = TypeVar("Choice", bound=str)

KNOTS = 100
"""Values that stand for all others in isotonic steps and Venn-Abers, as equal in rows as can be."""
ROUNDING = 9
"""Decimals to which probabilities are the same one."""
PRIOR = 0.5
"""Spread of the slopes and the intercept of a curve about those that change nothing, before any row is seen."""
MOST_STEPS, LONGEST_STEP = 50, 2.0
"""Of Newton's method."""
DRAWS = 100
COVERAGE = 0.9
"""Of the interval of a probability."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A fitted pipeline with a curve behind it, as the converter for the device takes it.

    Attributes:
        pipeline: gives the plain probability.
        curve: of the plain probability; None if it stays as it is.
    """

    pipeline: Pipeline
    curve: Calibration | None

    def plain(self, features: Floats) -> Floats:
        """(n,) the library's own probability of ore."""
        return np.asarray(self.pipeline.predict_proba(features)[:, 1], dtype=np.float64)

    def probability(self, features: Floats) -> Floats:
        """(n,) the calibrated probability of ore."""
        return along(self.curve, self.plain(features))

    def predict_proba(self, features: Floats) -> Floats:
        """(n, 2) probability of gangue and of ore, as scikit-learn lays it out."""
        ore = self.probability(features)
        return np.stack([1 - ore, ore], axis=1)


def along(curve: Calibration | None, plain: Floats) -> Floats:
    """Take plain probabilities to calibrated ones; None leaves them as they are."""
    return plain if curve is None else curve.apply(plain)


def _logistic_fit(columns: Floats, ore: Bools) -> Floats:
    """Fit a logistic curve to (n, k) columns, of log-odds as the model states them; gives slopes and intercept.

    The labels count as Platt has them, (ore + 1) / (ore + 2) and 1 / (gangue + 2), so that a model which tells all rows
    apart is not taken to be certain. Slopes are drawn to 1 and the intercept to 0, which leave a probability as it is,
    by a normal prior of spread `PRIOR` that hardly counts where there are many rows.
    """
    n_ore, n_gangue = int(ore.sum()), int((~ore).sum())
    target = np.where(ore, (n_ore + 1) / (n_ore + 2), 1 / (n_gangue + 2))
    inputs = np.column_stack([columns, np.ones(len(columns))])
    unchanged = np.append(np.ones(columns.shape[1]), 0.0)
    found = unchanged
    for _ in range(MOST_STEPS):
        p = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        slope = inputs.T @ (p - target) + (found - unchanged) / PRIOR**2
        curvature = (inputs.T * (p * (1 - p))) @ inputs + np.eye(len(found)) / PRIOR**2
        step = np.clip(np.linalg.solve(curvature, slope), -LONGEST_STEP, LONGEST_STEP)
        found = found - step
        if np.abs(step).max() < 1e-8:
            break
    return found


def _platt(plain: Floats, ore: Bools) -> Calibration:
    p = np.clip(plain, SHORT_OF_CERTAIN, 1 - SHORT_OF_CERTAIN)
    slope, intercept = _logistic_fit(np.log(p / (1 - p))[:, None], ore)
    # A model that is worse than none must not have its order turned round.
    return Calibration("platt", "probability", np.array([max(slope, 0.0), intercept]), np.zeros(0))


def _beta(plain: Floats, ore: Bools) -> Calibration:
    p = np.clip(plain, SHORT_OF_CERTAIN, 1 - SHORT_OF_CERTAIN)
    logs = np.stack([np.log(p), -np.log1p(-p)], axis=1)
    used = [0, 1]
    found = _logistic_fit(logs, ore)
    if (found[:2] < 0).any():
        # A slope below 0 would turn the order round; the authors leave such a term out.
        used = [int(np.argmax(found[:2]))]
        found = _logistic_fit(logs[:, used], ore)
    parameters = np.zeros(3)
    parameters[[*used, 2]] = [*np.maximum(found[:-1], 0.0), found[-1]]
    return Calibration("beta", "probability", parameters, np.zeros(0))


def _gathered(plain: Floats, ore: Bools) -> tuple[Floats, Floats, Floats]:
    """Gather rows at a limited number of values: values, rows, and share of ore at each.

    Sums of the same trees in another order differ in their last digit: two knots there would be a step that the device
    takes on one side and the library on the other.
    """
    plain = np.round(plain, ROUNDING)
    values, inverse = np.unique(plain, return_inverse=True)
    if len(values) > KNOTS:
        group = np.searchsorted(np.quantile(plain, np.arange(1, KNOTS) / KNOTS), plain, side="right")
        _, inverse = np.unique(group, return_inverse=True)
    rows = np.bincount(inverse).astype(np.float64)
    return np.bincount(inverse, plain) / rows, rows, np.bincount(inverse, ore) / rows


def _curve(kind: CalibrationKind, x: Floats, y: Floats) -> Calibration:
    if len(x) == 1:
        x, y = np.array([x[0] - 0.5, x[0] + 0.5]), np.repeat(y, 2)
    return Calibration(kind, "probability", x, np.asarray(y, dtype=np.float64))


def _isotonic(plain: Floats, ore: Bools) -> Calibration:
    x, rows, share = _gathered(plain, ore)
    y = isotonic_regression(share, weights=rows).x
    # The ends are those of a few rows; one more of either kind beside them keeps them from being certain.
    for end in (0, -1):
        alike = y == y[end]
        count = float(rows[alike].sum())
        y[alike] = (y[end] * count + 1) / (count + 2)
    return _curve("isotonic", x, np.maximum.accumulate(y))


def _venn_abers(plain: Floats, ore: Bools) -> Calibration:
    """Fit isotonic steps twice for each value, as if one more row there were gangue and as if it were ore."""
    x, rows, share = _gathered(plain, ore)
    ends = np.empty((2, len(x)))
    for k in range(len(x)):
        weight = rows.copy()
        weight[k] += 1
        for label in (0, 1):
            mean = share.copy()
            mean[k] = (share[k] * rows[k] + label) / weight[k]
            ends[label, k] = isotonic_regression(mean, weights=weight).x[k]
    return _curve("venn-abers", x, np.maximum.accumulate(ends[1] / (1 - ends[0] + ends[1])))


Kind = Literal["platt", "beta", "venn-abers", "isotonic"]
FITS: dict[Kind, Callable[[Floats, Bools], Calibration]] = {
    "platt": _platt,
    "beta": _beta,
    "venn-abers": _venn_abers,
    "isotonic": _isotonic,
}
"""The simplest first."""
SMOOTH: tuple[Kind, ...] = ("platt", "beta")
TITLES = {"platt": "Platt", "beta": "beta", "isotonic": "isotonic", "venn-abers": "Venn-Abers"}


def fit_calibration(kind: Kind, plain: Floats, ore: Bools) -> Calibration:
    """Fit a curve to (n,) plain probabilities of rows the model has not seen, and what they were."""
    return FITS[kind](plain, ore)


def choose_calibration(
    plain: Floats, ore: Bools, parts: Sequence[Rows], holes: Rows | None = None
) -> tuple[Kind, Calibration, dict[str, float]]:
    """Choose the curve whose log loss, on rows it was not fitted to, is the lowest; one of steps only if clearly so.

    Clearly: by more than a standard error, over holes, of the difference. A curve of many steps that is better by
    chance is worse on the next hole; the others are drawn to no change where rows are few.

    Args:
        plain: (n,) probabilities of rows the model had not seen.
        ore: (n,) what they were.
        parts: rows of each fold, whole holes; the curve for one is fitted to the others.
        holes: (n,) of the rows; None if each is its own.

    Returns:
        The kind, its curve fitted to all rows, and the cross-validated log loss of each kind.
    """
    losses: dict[Kind, Floats] = {}
    for kind in FITS:
        calibrated = np.full(len(plain), ore.mean())
        for part in parts:
            others = np.ones(len(plain), dtype=bool)
            others[part] = False
            # One class alone has no curve.
            if ore[others].any() and not ore[others].all():
                calibrated[part] = fit_calibration(kind, plain[others], ore[others]).apply(plain[part])
        losses[kind] = log_losses(calibrated, ore)
    smooth = min(SMOOTH, key=lambda kind: float(losses[kind].mean()))
    compared = {kind: losses[kind] for kind in (smooth, *FITS) if kind == smooth or kind not in SMOOTH}
    chosen = simplest(compared, holes if holes is not None else np.arange(len(ore)))
    return chosen, fit_calibration(chosen, plain, ore), {kind: float(found.mean()) for kind, found in losses.items()}


def simplest(losses: Mapping[Choice, Floats], holes: Rows) -> Choice:
    """Choose the first whose mean loss is within a standard error, over holes, of its difference from the lowest.

    Args:
        losses: (n,) of each choice, the simplest choice first.
        holes: (n,) of the rows.
    """
    rows = rows_by_group(holes)
    lowest = min(losses, key=lambda kind: float(losses[kind].mean()))
    for chosen, loss in losses.items():
        more = loss - losses[lowest]
        of_holes = np.array([float(more[r].sum()) for r in rows])
        if more.mean() <= of_holes.std(ddof=1) * np.sqrt(len(rows)) / len(holes):
            return chosen
    return lowest


def log_losses(probability: Floats, ore: Bools) -> Floats:
    """(n,) negative log-likelihood of the labels."""
    p = np.clip(probability, SHORT_OF_CERTAIN, 1 - SHORT_OF_CERTAIN)
    return np.asarray(-np.where(ore, np.log(p), np.log1p(-p)))


def with_band(kind: Kind, curve: Calibration, plain: Floats, ore: Bools, holes: Rows, seed: int) -> Calibration:
    """Give a curve the interval of its probabilities, from fits of its kind to holes drawn anew."""
    at = np.unique(np.concatenate([np.quantile(plain, np.linspace(0, 1, 41)), np.linspace(0, 1, 21)]))
    chance = np.random.default_rng(seed)
    rows = rows_by_group(holes)
    fit = FITS[kind]
    drawn = []
    for _ in range(DRAWS):
        sample = np.concatenate([rows[i] for i in chance.integers(0, len(rows), len(rows))])
        if ore[sample].any() and not ore[sample].all():
            drawn.append(fit(plain[sample], ore[sample]).apply(at))
    middle = curve.apply(at)
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=0) if drawn else (middle, middle)
    return replace(curve, band=Band(at, np.minimum(low, middle), np.maximum(high, middle)))


def rows_by_group(groups: Rows) -> list[Rows]:
    """Return the rows of each group."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def calibration_error(probability: Floats, ore: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015): mean distance of stated and found frequency, weighted by rows.

    Ten bins of equal width, as is usual.
    """
    _, stated, found, rows = reliability(probability, ore, bins)
    return float(np.sum(rows * np.abs(stated - found)) / len(probability))


def chance_error(probability: Floats, groups: Rows, seed: int, draws: int = 200) -> float:
    """Return the calibration error that probabilities would have if they were true.

    The mean over draws of whole groups with replacement, whose labels are drawn from the stated probabilities.
    """
    chance = np.random.default_rng(seed)
    rows = rows_by_group(groups)
    errors = []
    for _ in range(draws):
        p = probability[np.concatenate([rows[i] for i in chance.integers(0, len(rows), len(rows))])]
        errors.append(calibration_error(p, chance.random(len(p)) < p))
    return float(np.mean(errors))


def reliability(
    probability: Floats, ore: NDArray[np.bool_], bins: int = 10
) -> tuple[Floats, Floats, Floats, NDArray[np.intp]]:
    """Say, for each bin that has rows, its middle, mean probability, frequency of ore, and rows."""
    at = np.minimum((probability * bins).astype(int), bins - 1)
    rows = np.bincount(at, minlength=bins)
    used = rows > 0
    stated = np.bincount(at, probability, bins)[used] / rows[used]
    found = np.bincount(at, ore, bins)[used] / rows[used]
    return (np.flatnonzero(used) + 0.5) / bins, stated, found, rows[used]
