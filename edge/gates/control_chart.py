"""A control chart of one check soil: Shewhart limits from its first ten readings, and the Western Electric rules.

References:
    Shewhart 1931, Economic Control of Quality of Manufactured Product.
    Western Electric 1956, Statistical Quality Control Handbook, p. 23.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats

FIRST = 10
"""Readings that the limits come from."""
C4 = 0.9727
"""Expected standard deviation of ten normal values over the true one."""
RULES = {
    1: "beyond 3 standard deviations",
    2: "2 of 3 beyond 2 standard deviations on one side",
    3: "4 of 5 beyond 1 standard deviation on one side",
    4: "8 in a row on one side",
}
"""The Western Electric rules by number."""
_RUNS = {2: (2, 3, 2.0), 3: (4, 5, 1.0), 4: (8, 8, 0.0)}
LEAST_SHARE = 0.02
"""Of the readings, that limits take for their standard deviation at least: ten readings of a network of 8 bits may be
one and the same step of its answers, and the next step is no drift."""
LEAST_SPREAD = 1e-9


@dataclass(frozen=True)
class ControlChart:
    """One check soil's readings over time.

    Attributes:
        values: (n,) readings in the unit, in the order of time.
        centre: of the first ten, in the unit.
        limits: (lower, upper) 3 standard deviations from the centre, in the unit.
        scores: (n,) standard deviations from the centre.
        broken: (n,) numbers of the rules that each reading broke; the first ten break none.
        logarithmic: whether distances are factors, as they are where all of the first ten are above zero.
    """

    values: tuple[float, ...]
    centre: float
    limits: tuple[float, float]
    scores: tuple[float, ...]
    broken: tuple[tuple[int, ...], ...]
    logarithmic: bool

    @property
    def drifts(self) -> str:
        """What the last reading breaks, in words; "" if nothing."""
        return rules_in_words(self.broken[-1])


def rules_in_words(broken: Sequence[int]) -> str:
    """Name rules, such as "Western Electric rule 1: beyond 3 standard deviations"."""
    return "; ".join(f"Western Electric rule {number}: {RULES[number]}" for number in broken)


def control_chart(values: Sequence[float]) -> ControlChart | None:
    """Make a chart of a check soil's readings, in the order of time; None as long as they are fewer than ten."""
    if len(values) < FIRST:
        return None
    first = np.asarray(values[:FIRST], dtype=np.float64)
    logarithmic = bool(first.min() > 0)
    at = _placed(np.asarray(values, dtype=np.float64), logarithmic)
    centre = float(at[:FIRST].mean())
    coarse = math.log10(1 + LEAST_SHARE) if logarithmic else LEAST_SHARE * float(np.abs(first).max())
    spread = max(float(at[:FIRST].std(ddof=1)) / C4, coarse, LEAST_SPREAD)
    scores = (at - centre) / spread
    ends = np.array([centre - 3 * spread, centre, centre + 3 * spread])
    low, middle, high = (np.power(10.0, ends) if logarithmic else ends).tolist()
    broken = [() if i < FIRST else _broken(scores[: i + 1]) for i in range(len(values))]
    return ControlChart(
        tuple(float(value) for value in values), middle, (low, high), tuple(scores.tolist()), tuple(broken), logarithmic
    )


def _placed(values: Floats, logarithmic: bool) -> Floats:
    # Nothing at all is as far below as a chart needs to show.
    return np.log10(np.maximum(values, 1e-12)) if logarithmic else values


def _broken(scores: Floats) -> tuple[int, ...]:
    """Number the rules that the last of these readings breaks: it has to be one of those that a rule counts."""
    last = float(scores[-1])
    side = 1.0 if last > 0 else -1.0
    found = [1] if abs(last) > 3 else []
    for number, (count, of, beyond) in _RUNS.items():
        window = side * scores[-of:]
        if len(window) == of and side * last > beyond and int(np.count_nonzero(window > beyond)) >= count:
            found.append(number)
    return tuple(found)
