"""From what a model calls a probability to how often it is right: Platt's logistic curve or isotonic steps.

Fitted to predictions for rows that the model had not seen, and only if that predicts further unseen rows better than
no calibration does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]
Kind = Literal["none", "platt", "isotonic"]

KINDS: tuple[Kind, ...] = ("none", "platt", "isotonic")


@dataclass(frozen=True)
class Calibration:
    """A rising curve from raw to calibrated probability.

    Attributes:
        kind: "none"; "platt": 1 / (1 + exp(-(slope * p + intercept))), Platt 1999, of the raw probability p, as
            scikit-learn has it for models without a decision function; "isotonic": straight lines between corners, flat beyond them.
        slope, intercept: of "platt".
        raw, calibrated: corners of "isotonic", rising.
    """

    kind: Kind = "none"
    slope: float = 1.0
    intercept: float = 0.0
    raw: tuple[float, ...] = ()
    calibrated: tuple[float, ...] = ()

    def apply(self, probability: Floats) -> Floats:
        """Calibrate raw probabilities of any shape."""
        if self.kind == "platt":
            return np.asarray(1 / (1 + np.exp(-(self.slope * probability + self.intercept))))
        if self.kind == "isotonic":
            return np.interp(probability, self.raw, self.calibrated)
        return np.asarray(probability, dtype=np.float64)


def fit_calibration(kind: Kind, probability: Floats, ore: NDArray[np.bool_]) -> Calibration:
    """Fit a curve to (n,) raw probabilities of rows the model has not seen, and what they were."""
    if kind == "platt":
        fitted = LogisticRegression(C=1e6, max_iter=1000).fit(probability[:, None], ore)
        slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
        # A model that is worse than none must not have its order turned round.
        return Calibration("platt", max(slope, 0.0), intercept)
    if kind == "isotonic":
        steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(probability, ore)
        corners = steps.X_thresholds_, steps.y_thresholds_
        return Calibration("isotonic", raw=tuple(map(float, corners[0])), calibrated=tuple(map(float, corners[1])))
    return Calibration()


def choose_calibration(
    probability: Floats, ore: NDArray[np.bool_], parts: Sequence[NDArray[np.intp]]
) -> tuple[Calibration, dict[str, float]]:
    """Choose the curve with the lowest Brier score on rows it was not fitted to.

    Args:
        probability: (n,) raw, of rows the model had not seen.
        ore: (n,) what they were.
        parts: rows of each fold; the curve for one is fitted to the others.

    Returns:
        The chosen curve, fitted to all rows, and the cross-validated Brier score of each kind.
    """
    scores: dict[str, float] = {}
    for kind in KINDS:
        calibrated = np.empty(len(probability))
        for part in parts:
            others = np.ones(len(probability), dtype=bool)
            others[part] = False
            # One class alone has no curve.
            fits = kind if ore[others].any() and not ore[others].all() else "none"
            calibrated[part] = fit_calibration(fits, probability[others], ore[others]).apply(probability[part])
        scores[kind] = float(np.mean((calibrated - ore) ** 2))
    best = min(KINDS, key=lambda kind: scores[kind])
    return fit_calibration(best, probability, ore), scores


def calibration_error(probability: Floats, ore: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015): mean distance of stated and found frequency, weighted by rows.

    Ten bins of equal width, as is usual.
    """
    _, stated, found, rows = reliability(probability, ore, bins)
    return float(np.sum(rows * np.abs(stated - found)) / len(probability))


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
