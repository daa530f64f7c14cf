"""The first step of a model's pipeline: skewed assays straightened, categories as one column a word.

It is fitted here and done by the device's own steps (`edge.ore.steps`), so that both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import PowerTransformer

from ...converters.spectra.spectrum import Floats
from ...edge.ore.columns import Variable
from ...edge.ore.domain import least_of, words_of
from ...edge.ore.steps import Step, apply_steps

CURVES = ("none", "log10", "yeo-johnson")
"""What a linear model may do to assays; chosen inside the folds. Trees see no difference."""

FEWEST_VALUES = 3
"""Different values of an assay from which its exponent is fitted."""


class Encode(BaseEstimator, TransformerMixin):  # type: ignore[misc]
    """Takes (n, variables) with not-a-number where missing to (n, columns) with not-a-number there.

    Args:
        variables: what the columns are.
        curve: one of `CURVES`, for assays.
    """

    def __init__(self, variables: Sequence[Variable], curve: str = "none") -> None:
        self.variables, self.curve = variables, curve

    def fit(self, features: Floats, ore: NDArray[Any] | None = None) -> Encode:
        """Find the floor of each logarithm, or the exponents of Yeo & Johnson 2000 (Biometrika 87:954)."""
        del ore
        columns = list(zip(self.variables, np.asarray(features, dtype=np.float64).T, strict=True))
        steps: list[Step] = []
        if self.curve == "log10":
            steps.append({"do": "log10", "floor": [least_of(v, column) for v, column in columns]})
        elif self.curve == "yeo-johnson":
            steps.append({"do": "power", "exponent": [_exponent(v, column) for v, column in columns]})
        if any(words_of(self.variables)):
            steps.append({"do": "one-hot", "words": list(words_of(self.variables))})
        self.steps_ = steps
        return self

    def transform(self, features: Floats) -> Floats:
        """Do the fitted steps."""
        return apply_steps(self.steps_, np.asarray(features, dtype=np.float64))


def needs_encoding(variables: Sequence[Variable], curve: str) -> bool:
    """Say whether the step would do anything."""
    return bool(variables) and (curve != "none" or any(words_of(variables)))


def _exponent(variable: Variable, column: Floats) -> float:
    known = column[~np.isnan(column)]
    if variable.kind != "assay" or len(np.unique(known)) < FEWEST_VALUES:
        return 1.0
    return float(PowerTransformer(standardize=False).fit(known[:, None]).lambdas_[0])
