"""Which of two models answers: one of dry soils alone, or one that also bears water.

A model that bears water does without what water changes in a spectrum, and reads dry soils the worse for it. A linear
classifier tells dry soils from wetter ones; what it is sure is dry is answered by the model of dry soils.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats
from .blocks import block_scaling

PENALTY = 10.0
FAR = 8.0
"""Standard deviations of dry soils beyond which a band says no more of water."""
SURE = 4.0
"""Logarithm of the odds for dry at which the model of dry soils answers alone; at even odds it says nothing."""


@dataclass(frozen=True, eq=False)
class Gate:
    """Says how much the model that bears water counts, by a line cut off at 0 and 1.

    Attributes:
        weights: (features,) of these as they are, not scaled.
        offset: added.
    """

    weights: Floats
    offset: float

    @classmethod
    def learn(cls, dry: Floats, wet: Floats, sizes: Sequence[int]) -> Gate:
        """Learn by logistic regression, both kinds of the same weight together.

        Args:
            dry, wet: (n, features) and (m, features) of dry soils and of wetter ones.
            sizes: of the blocks that the features are of.
        """
        from sklearn.linear_model import LogisticRegression

        scaling = block_scaling(dry, sizes)
        rows = np.clip(scaling.apply(np.concatenate([dry, wet])), -FAR, FAR)
        is_wet = np.repeat([False, True], [len(dry), len(wet)])
        found = LogisticRegression(C=1 / PENALTY, class_weight="balanced", max_iter=2000).fit(rows, is_wet)
        weights = found.coef_[0] / scaling.scale / SURE
        return cls(weights, float((found.intercept_[0] / SURE + 1.0) - scaling.offset @ weights))

    def share(self, features: Floats) -> Floats:
        """Give (n,) shares of the model that bears water, 0 to 1, for (n, features)."""
        return np.clip(features @ self.weights + self.offset, 0.0, 1.0)

    def mixed(self, features: Floats, dry: Floats, wet: Floats) -> Floats:
        """Mix two models' answers (n,), of dry soils and of the one that bears water, for (n, features)."""
        share = self.share(features)
        return np.asarray((1.0 - share) * dry + share * wet)
