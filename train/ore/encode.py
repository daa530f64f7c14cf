"""The first step of a model's pipeline: detection limits, skewed assays straightened, categories as one column a word.

It is fitted here and done by the device's own steps (`edge.ore.steps`), so that both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import PowerTransformer

from ...converters.spectra.spectrum import Floats
from ...edge.ore.columns import Variable
from ...edge.ore.domain import least_of, words_of
from ...edge.ore.model import Below
from ...edge.ore.steps import Step, apply_steps

CURVES = ("none", "log10", "yeo-johnson")
"""What a linear model may do to assays; chosen inside the folds. Trees see no difference."""
BELOW_WAYS: tuple[Below, ...] = get_args(Below)

FEWEST_VALUES = 3
"""Different values of an assay from which its exponent, or what is below its limits, is fitted."""
_MARK = Variable("mark", "mark", "class", words=("no", "yes"))


class Encode(BaseEstimator, TransformerMixin):  # type: ignore[misc]
    """Takes (n, variables), a limit's negative where a value is below it, to (n, columns); not-a-number where missing.

    Args:
        variables: what the columns are.
        curve: one of `CURVES`, for assays.
        below: one of `BELOW_WAYS`, for what is below a detection limit.
    """

    def __init__(self, variables: Sequence[Variable], curve: str = "none", below: Below = "half") -> None:
        self.variables, self.curve, self.below = variables, curve, below

    def fit(self, features: Floats, ore: NDArray[Any] | None = None) -> Encode:
        """Find what is below the limits, the floor of each logarithm, or the exponents of Yeo & Johnson 2000.

        Biometrika 87:954.
        """
        del ore
        features = np.asarray(features, dtype=np.float64)
        limits = _limits_step(features, self.below)
        steps: list[Step] = [limits]
        variables = (*self.variables, *[_MARK] * len(limits["mark"]))
        columns = list(zip(variables, apply_steps(steps, features).T, strict=True))
        if self.curve == "log10":
            steps.append({"do": "log10", "floor": [least_of(v, column) for v, column in columns]})
        elif self.curve == "yeo-johnson":
            steps.append({"do": "power", "exponent": [_exponent(v, column) for v, column in columns]})
        if any(words_of(variables)):
            steps.append({"do": "one-hot", "words": list(words_of(variables))})
        self.steps_ = steps
        return self

    def transform(self, features: Floats) -> Floats:
        """Do the fitted steps."""
        return apply_steps(self.steps_, np.asarray(features, dtype=np.float64))


def _limits_step(features: Floats, below: Below) -> Step:
    found = [lognormal_of(column) if below == "impute" else (0.0, 0.0) for column in features.T]
    some = np.flatnonzero((features < 0).any(axis=0) & (below == "mark"))
    return {
        "do": "below",
        "mean": [mean for mean, _ in found],
        "spread": [spread for _, spread in found],
        "mark": [int(i) for i in some],
    }


def lognormal_of(column: Floats) -> tuple[float, float]:
    """Fit a lognormal to an assay by maximum likelihood, what is below a limit counting as that.

    Helsel 2012, Statistics for Censored Environmental Data, chapter 6.

    Args:
        column: (n,), a limit's negative where the value is below it, not-a-number where it is missing.

    Returns:
        Mean and standard deviation of the natural logarithms; 0 and 0 where nothing is below a limit, or fewer than
        `FEWEST_VALUES` different values are above one.
    """
    detected, limits = np.log(column[column > 0]), np.log(-column[column < 0])
    if not limits.size or len(np.unique(detected)) < FEWEST_VALUES:
        return 0.0, 0.0

    def loss(x: Floats) -> float:
        mean, spread = x[0], float(np.exp(x[1]))
        return -float(norm.logpdf(detected, mean, spread).sum() + norm.logcdf(limits, mean, spread).sum())

    start = np.array([detected.mean(), np.log(detected.std() + 1e-3)])
    mean, log_spread = minimize(loss, start, method="Nelder-Mead").x
    return float(mean), float(np.exp(log_spread))


def _exponent(variable: Variable, column: Floats) -> float:
    known = column[~np.isnan(column)]
    if variable.kind != "assay" or len(np.unique(known)) < FEWEST_VALUES:
        return 1.0
    return float(PowerTransformer(standardize=False).fit(known[:, None]).lambdas_[0])
