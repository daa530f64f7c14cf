"""The distribution of values of which some are bounds, without assuming a law.

With bounds on one side it is the estimate of Kaplan & Meier (1958), for bounds below turned round as Helsel
("Nondetects and data analysis", 2005) does; with bounds on both sides that of Turnbull (1976, Journal of the Royal
Statistical Society B 38:290), of which Kaplan & Meier's is the special case. It is found by expectation-maximisation
over the known values and the open stretches beyond bounds.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import TrainingDataError
from .censored import ABOVE, BELOW, Observations
from .values import Assay


@dataclass(frozen=True, eq=False)
class Distribution:
    """Probability by value; where only bounds are known it lies on a stretch, not on a value.

    Attributes:
        low, high: (k,) ends of each piece, ascending; equal for a known value. -inf or inf where a stretch is open.
        mass: (k,) probability of each piece, 1 together.
    """

    low: Floats
    high: Floats
    mass: Floats

    def quantile(self, probability: float) -> Assay:
        """Smallest value that at least this share lies at or below.

        Returns:
            The value, or a bound if it falls on a stretch: `>` its lower end if it is open above, else `<` its upper.
        """
        # What the estimate is short of exact must not push a quantile that is met into the next piece.
        at = min(int(np.searchsorted(np.cumsum(self.mass), probability - 1e-6)), self.mass.size - 1)
        if math.isinf(self.high[at]):
            return Assay(float(self.low[at]), ">")
        return Assay(float(self.high[at]), "" if self.low[at] == self.high[at] else "<")

    def mean(self) -> tuple[float, float]:
        """Lowest and highest mean that the bounds leave possible; the ends are equal if no stretch has mass.

        -inf or inf where a stretch is open and has mass: values below a bound may be anything unless 0 ends them.
        """
        has = self.mass > 0
        low, high, mass = self.low[has], self.high[has], self.mass[has]
        return float(np.sum(low * mass)), float(np.sum(high * mass))


def product_limit(
    observed: Observations, floor: float = -math.inf, tolerance: float = 1e-10, most: int = 100_000
) -> Distribution:
    """Estimate the distribution of values of which some are bounds.

    Args:
        observed: n values and bounds, n at least 1, on any scale.
        floor: no true value lies below it; 0 for concentrations.
        tolerance: of the largest change of a probability in a step.
        most: steps at most; bounds on one side take few.

    Raises:
        TrainingDataError: nothing to estimate from, or the steps run out.
        ValueError: a value is said to lie below the floor.
    """
    n = len(observed)
    if not n:
        raise TrainingDataError("no values to describe")
    if (observed.value[observed.side == BELOW] <= floor).any():
        raise ValueError(f"a value below a bound of {floor:g} or less is impossible")
    plain, counts = np.unique(observed.value[~observed.censored], return_counts=True)
    below, n_below = np.unique(observed.value[observed.side == BELOW], return_counts=True)
    above, n_above = np.unique(observed.value[observed.side == ABOVE], return_counts=True)
    low, high = _pieces(plain, below, above, floor)
    exact = np.zeros(low.size)
    # A value and the stretch that begins over it have one lower end; the value comes first.
    exact[np.searchsorted(low, plain)] = counts
    groups = np.concatenate([n_below, n_above]).astype(np.float64)
    # A piece may hold a value below a bound if it lies under it, and one above a bound if it lies over it.
    inside = np.vstack([high[None, :] <= below[:, None], low[None, :] >= above[:, None]])
    known = low == high
    inside[: below.size] &= ~(known & (high[None, :] >= below[:, None]))
    inside[below.size :] &= ~(known & (low[None, :] <= above[:, None]))
    mass = np.full(low.size, 1.0 / low.size)
    for step in range(1, most + 1):
        share = inside * mass
        under = share.sum(axis=1, keepdims=True)
        new = (exact + groups @ (share / under)) / n
        change = float(np.abs(new - mass).max())
        mass = new
        # Where the likelihood is level the steps never end, and it does not matter where they do.
        if change < tolerance or (step % 1000 == 0 and _likelihood_to_gain(exact, groups, inside, mass, n) < 1e-6):
            break
    else:
        raise TrainingDataError(f"no distribution after {most} steps; are almost all values bounds?")
    # What no observation needs shrinks towards 0 and never gets there.
    mass[mass < 1e-7 / n] = 0.0
    return Distribution(low, high, mass / mass.sum())


def _likelihood_to_gain(exact: Floats, groups: Floats, inside: NDArray[np.bool_], mass: Floats, n: int) -> float:
    """Most that the log-likelihood can still rise by: its steepest slope over a piece, less n (it is concave)."""
    slope = groups @ (inside / (inside @ mass)[:, None])
    known = exact > 0
    slope[known] += exact[known] / mass[known]
    return float(slope.max() - n)


def _pieces(plain: Floats, below: Floats, above: Floats, floor: float) -> tuple[Floats, Floats]:
    """Turnbull's innermost intervals: a left end followed by a right end with no other end between them."""
    # Ends sort by value; at one value the stretch under a bound ends first, then the value itself, then the stretch
    # over a bound begins.
    lefts = [(floor, 2)] * bool(below.size) + [(v, 1) for v in plain] + [(v, 2) for v in above]
    rights = [(v, 0) for v in below] + [(v, 1) for v in plain] + [(math.inf, 0)] * bool(above.size)
    ends = sorted([(v, o, 0) for v, o in lefts] + [(v, o, 1) for v, o in rights])
    pairs = [(a[0], b[0]) for a, b in itertools.pairwise(ends) if a[2] == 0 and b[2] == 1]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
