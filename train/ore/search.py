"""One fit with everything that was chosen for it: parameters by successive halving, then the calibration.

The budget is stated, not open-ended: a model's `budget` of combinations is tried on a quarter of the rows, the better
two on all of them, each in three inner folds; the winner's inner predictions choose and fit the calibration. Judged by
the Brier score, which rewards honest probabilities (Gneiting & Raftery 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.ore.columns import Variable
from .calibration import Calibrated, choose_calibration, with_band
from .models import Model, Parameters
from .splits import folds, some_rows

Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]

INNER_FOLDS, SMALL_INNER_FOLDS = 3, 5
SMALL_ROWS = 2_000
"""Training rows below which there are more inner folds: a model of fewer rows is too unlike the final one."""
FIRST_SHARE = 1 / 4
FINALISTS = 2


@dataclass(frozen=True, eq=False)
class Chosen:
    """A fitted model and how it came about.

    Attributes:
        model: fitted to all rows.
        parameters: chosen.
        tried: how many combinations were.
        calibration: kind of the curve.
        calibration_scores: log loss of each kind on inner rows.
    """

    model: Calibrated
    parameters: Parameters
    tried: int
    calibration: str
    calibration_scores: dict[str, float]


def inner_folds(ore: Bools, groups: Rows | None) -> int:
    """Choose how many inner folds there are for (n,) rows, as far as holes and the rarer class allow."""
    wanted = SMALL_INNER_FOLDS if len(ore) < SMALL_ROWS else INNER_FOLDS
    holes = len(np.unique(groups)) if groups is not None else wanted
    return max(2, min(wanted, holes, int(min(ore.sum(), (~ore).sum()))))


def choose_and_fit(
    model: Model,
    features: Floats,
    ore: Bools,
    groups: Rows | None,
    seed: int,
    fast: bool = False,
    interval: bool = False,
    variables: Sequence[Variable] = (),
) -> Chosen:
    """Search, calibrate and fit, seeing these rows only.

    Args:
        model: which.
        features: (n, k) with missing values as not-a-number.
        ore: (n,).
        groups: (n,) holes, which inner folds keep whole; None if there are none.
        seed: of folds, draws and models.
        fast: half the combinations, smaller ensembles.
        interval: give the probabilities an interval as well.
        variables: what the features are; none if all are numbers.

    Raises:
        TrainingDataError: too few rows or holes for the inner folds.
    """
    inner = folds(ore, groups, inner_folds(ore, groups), seed)
    candidates = model.candidates(seed, fast)
    known: dict[int, Floats] = {}

    def unseen(which: int, share: float) -> Floats:
        parameters = candidates[which] if share == 1 else {**candidates[which], **model.first}
        out = np.empty(len(ore))
        for part, (training, left_out) in enumerate(inner):
            rows = training
            if share < 1:
                holes = groups[training] if groups is not None else np.arange(len(training))
                fewer = training[some_rows(holes, share, seed + part)]
                # A part that happens to lack a class cannot be learned from.
                rows = fewer if ore[fewer].any() and not ore[fewer].all() else training
            fitted = model.pipeline(parameters, seed, variables).fit(features[rows], ore[rows])
            out[left_out] = Calibrated(fitted, None).plain(features[left_out])
        return out

    def brier(probability: Floats) -> float:
        return float(np.mean((probability - ore) ** 2))

    ranked = list(range(len(candidates)))
    if len(ranked) > FINALISTS:
        first = {which: brier(unseen(which, FIRST_SHARE)) for which in ranked}
        ranked = sorted(ranked, key=lambda which: first[which])[: 1 if fast else FINALISTS]
    for which in ranked:
        known[which] = unseen(which, 1.0)
    best = min(known, key=lambda which: brier(known[which]))
    curve, scores = choose_calibration(known[best], ore, [left_out for _, left_out in inner], groups)
    if interval:
        holes = groups if groups is not None else np.arange(len(ore))
        curve = with_band(curve, known[best], ore, holes, seed)
    pipeline = model.pipeline(candidates[best], seed, variables).fit(features, ore)
    return Chosen(Calibrated(pipeline, curve), candidates[best], len(candidates), curve.kind, scores)
