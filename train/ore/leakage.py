"""What neighbours give away: the same rows and the same model in folds of whole holes, and in folds at random.

Both are plain fits with the parameters that were chosen for all training rows, without a search or a calibration, so
that nothing differs but the folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.ore.columns import Variable
from .models import Model, Parameters
from .scores import SCORES, Spread, score, spread
from .splits import Bools, Rows, folds


@dataclass(frozen=True)
class Leakage:
    """Scores of left-out rows, by the names of `SCORES` over the folds; `difference` is what neighbours give away."""

    by_hole: dict[str, Spread]
    at_random: dict[str, Spread]

    @property
    def difference(self) -> dict[str, float]:
        """How much higher each score is at random."""
        return {name: self.at_random[name].mean - self.by_hole[name].mean for name in SCORES}


def measure_leakage(
    model: Model,
    parameters: Parameters,
    features: Floats,
    ore: Bools,
    groups: Rows,
    parts: int,
    seed: int,
    variables: Sequence[Variable] = (),
) -> Leakage:
    """Fit a model to the same rows in both kinds of folds.

    Args:
        model: which.
        parameters: of every fit.
        features: (n, k), not-a-number where missing, as `choose_and_fit` takes them.
        ore: (n,).
        groups: (n,) holes.
        parts: folds.
        seed: of folds and models.
        variables: what the features are; none if all are numbers.
    """

    def left_out(holes: Rows | None) -> dict[str, Spread]:
        found = []
        for training, rows in folds(ore, holes, parts, seed):
            fitted = model.pipeline(parameters, seed, variables).fit(features[training], ore[training])
            found.append(score(np.asarray(fitted.predict_proba(features[rows])[:, 1]), ore[rows]))
        return spread(found)

    return Leakage(by_hole=left_out(groups), at_random=left_out(None))
