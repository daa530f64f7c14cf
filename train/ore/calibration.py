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
from sklearn.pipeline import Pipeline

from ...converters.spectra.spectrum import Floats
from ...edge.ore.model import Calibration

Kind = Literal["none", "sigmoid", "isotonic"]

KINDS: tuple[Kind, ...] = ("none", "sigmoid", "isotonic")


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


def fit_calibration(kind: Kind, plain: Floats, ore: NDArray[np.bool_]) -> Calibration | None:
    """Fit a curve to (n,) plain probabilities of rows the model has not seen, and what they were.

    "sigmoid" is Platt's (1999), of the probability, as scikit-learn has it for models without a decision function;
    "isotonic" is a rising line through corners, flat beyond them (Zadrozny & Elkan 2002).
    """
    if kind == "sigmoid":
        fitted = LogisticRegression(C=1e6, max_iter=1000).fit(plain[:, None], ore)
        # A model that is worse than none must not have its order turned round.
        slope, intercept = max(float(fitted.coef_[0, 0]), 0.0), float(fitted.intercept_[0])
        return Calibration("sigmoid", "probability", np.array([-slope, -intercept]), np.zeros(0))
    if kind == "isotonic":
        steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(plain, ore)
        x, y = (np.asarray(v, dtype=np.float64) for v in (steps.X_thresholds_, steps.y_thresholds_))
        return Calibration("isotonic", "probability", x, y)
    return None


def choose_calibration(
    probability: Floats, ore: NDArray[np.bool_], parts: Sequence[NDArray[np.intp]]
) -> tuple[Calibration | None, dict[str, float]]:
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
            fits: Kind = kind if ore[others].any() and not ore[others].all() else "none"
            calibrated[part] = along(fit_calibration(fits, probability[others], ore[others]), probability[part])
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
