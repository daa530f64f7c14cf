"""One fit with everything that was chosen for it: parameters by successive halving, then the calibration.

The budget is stated, not open-ended: a model's `budget` of combinations is tried on a quarter of the rows, the better
two on all of them, each in three inner folds; the winner's inner predictions choose and fit the calibration. Judged by
the Brier score, which rewards honest probabilities (Gneiting & Raftery 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.ore.columns import Variable
from ...edge.ore.model import Below
from .calibration import Calibrated, choose_calibration, simplest, with_band
from .encode import BELOW_WAYS
from .models import Model, Parameters
from .splits import folds, some_rows

Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]

INNER_FOLDS, SMALL_INNER_FOLDS = 3, 5
SMALL_ROWS = 2_000
"""Training rows below which there are more inner folds: a model of fewer rows is too unlike the final one."""
FIRST_SHARE = 1 / 4
OFTEN_BELOW = 0.02
"""Share of rows with a value below a detection limit from which it is tried what should stand for it."""
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
    below: Below | Literal["choose"] = "choose",
) -> Chosen:
    """Search, calibrate and fit, seeing these rows only.

    Args:
        model: which.
        features: (n, k) with missing values as not-a-number, a limit's negative where a value is below it.
        ore: (n,).
        groups: (n,) holes, which inner folds keep whole; None if there are none.
        seed: of folds, draws and models.
        fast: half the combinations, smaller ensembles.
        interval: give the probabilities an interval as well.
        variables: what the features are; none if all are numbers.
        below: what stands for a value below a detection limit; "choose" takes half of it unless another way is better
            in the inner folds by more than a standard error over holes.

    Raises:
        TrainingDataError: too few rows or holes for the inner folds.
    """
    inner = folds(ore, groups, inner_folds(ore, groups), seed)
    candidates = model.candidates(seed, fast)
    known: dict[int, Floats] = {}
    holes = groups if groups is not None else np.arange(len(ore))
    way = {} if below == "choose" else {"below": below}

    def unseen(given: Parameters, share: float) -> Floats:
        parameters = {**given, **way} if share == 1 else {**given, **way, **model.first}
        out = np.empty(len(ore))
        for part, (training, left_out) in enumerate(inner):
            rows = training
            if share < 1:
                fewer = training[some_rows(holes[training], share, seed + part)]
                # A part that happens to lack a class cannot be learned from.
                rows = fewer if ore[fewer].any() and not ore[fewer].all() else training
            fitted = model.pipeline(parameters, seed, variables).fit(features[rows], ore[rows])
            out[left_out] = Calibrated(fitted, None).plain(features[left_out])
        return out

    def brier(probability: Floats) -> float:
        return float(np.mean((probability - ore) ** 2))

    ranked = list(range(len(candidates)))
    if len(ranked) > FINALISTS:
        first = {which: brier(unseen(candidates[which], FIRST_SHARE)) for which in ranked}
        ranked = sorted(ranked, key=lambda which: first[which])[: 1 if fast else FINALISTS]
    for which in ranked:
        known[which] = unseen(candidates[which], 1.0)
    best = min(known, key=lambda which: brier(known[which]))
    left_out_rows, parameters = known[best], {**candidates[best], **way}
    if below == "choose" and (features < 0).any(axis=1).mean() >= OFTEN_BELOW and variables:
        share = 1.0 if len(ore) < SMALL_ROWS else FIRST_SHARE
        squares = {name: (unseen({**parameters, "below": name}, share) - ore) ** 2 for name in BELOW_WAYS}
        parameters["below"] = simplest(squares, holes)
        if parameters["below"] != BELOW_WAYS[0]:
            left_out_rows = unseen(parameters, 1.0)
    kind, curve, scores = choose_calibration(left_out_rows, ore, [left_out for _, left_out in inner], groups)
    if interval:
        curve = with_band(kind, curve, left_out_rows, ore, holes, seed)
    pipeline = model.pipeline(parameters, seed, variables).fit(features, ore)
    return Chosen(Calibrated(pipeline, curve), parameters, len(candidates), kind, scores)
