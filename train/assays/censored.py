"""Values of which only a bound is known (`<0.02`, `>4000`), as a likelihood takes them.

A censored value takes part with the probability that the true value lies beyond its bound, never as a number: the
likelihood of Tobin (1958, Econometrica 26:24), here with censoring on either side and a bound of its own for each
value. Everything is in the space of the target's transform, in which the errors are taken as normal; a transform
that only rises keeps "below" below and "above" above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.model.target import Transform, forward
from ..errors import TrainingDataError
from .values import Assay

Sides = NDArray[np.int8]

BELOW, PLAIN, ABOVE = -1, 0, 1
"""Sides of an observation: the true value lies below its bound, is known, lies above its bound."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Values and bounds in the space of a transform.

    Attributes:
        value: (n,) the value, or the bound where it is censored.
        side: (n,) `BELOW`, `PLAIN` or `ABOVE`.

    Raises:
        ValueError: shapes differ, a value is not finite, or a side is none of the three.
    """

    value: Floats
    side: Sides

    def __post_init__(self) -> None:
        if self.value.ndim != 1 or self.value.shape != self.side.shape:
            raise ValueError(f"{self.value.shape} values with {self.side.shape} sides; (n,) of both is needed")
        if not np.isfinite(self.value).all():
            raise ValueError("a value or bound is not finite")
        if not np.isin(self.side, (BELOW, PLAIN, ABOVE)).all():
            raise ValueError("a side is none of -1 (below), 0 (plain), 1 (above)")

    def __len__(self) -> int:
        return int(self.value.size)

    @property
    def censored(self) -> NDArray[np.bool_]:
        """(n,) whether only a bound is known."""
        return np.not_equal(self.side, PLAIN)


def observe(assays: Sequence[Assay], transform: Transform = "none") -> Observations:
    """Take laboratory values to the space of a transform, bounds as bounds.

    Args:
        assays: n values and bounds, in the element's unit.
        transform: what the model's target goes through.

    Raises:
        TrainingDataError: log10 of a value or bound of zero.
    """
    values = np.array([assay.value for assay in assays], dtype=np.float64)
    if transform == "log10" and (values <= 0).any():
        raise TrainingDataError("a value or bound of 0 has no logarithm; train with another transform, or leave it out")
    sides = np.array([{"<": BELOW, "": PLAIN, ">": ABOVE}[assay.censored] for assay in assays], dtype=np.int8)
    return Observations(forward(values, transform), sides)


def fit_normal(observed: Observations) -> tuple[float, float]:
    """Fit mean and standard deviation of a normal law by maximum censored likelihood.

    Returns:
        mean and standard deviation (the maximum-likelihood one, over n), in the space of the observations.

    Raises:
        TrainingDataError: fewer than two different known values.
    """
    from scipy.optimize import fmin
    from scipy.stats import CensoredData, norm

    plain = observed.value[~observed.censored]
    if plain.size < 2 or np.ptp(plain) == 0:
        raise TrainingDataError(
            f"{plain.size} of {len(observed)} values are known, the rest bounds: at least 2 different known values are "
            "needed"
        )
    # Standardised by the known values, so that the start lies near and units do not matter.
    centre, scale = float(plain.mean()), float(plain.std())
    standard = (observed.value - centre) / scale
    data = CensoredData(
        uncensored=standard[observed.side == PLAIN],
        left=standard[observed.side == BELOW],
        right=standard[observed.side == ABOVE],
    )
    to_the_end = partial(fmin, xtol=1e-9, ftol=1e-12, maxiter=10_000, maxfun=20_000)
    mean, sd = norm.fit(data, loc=0.0, scale=1.0, optimizer=to_the_end)
    return centre + scale * float(mean), scale * float(sd)
