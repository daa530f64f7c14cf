"""Where to draw the line: the probability from which on hauling a block costs less than losing it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.ore.bundle import Costs
from .scores import confusion


def stated_threshold(costs: Costs) -> float:
    """The best threshold for calibrated probabilities: p x lost = (1 - p) x hauled (Elkan 2001)."""
    return costs.hauled_gangue / (costs.hauled_gangue + costs.lost_ore)


@dataclass(frozen=True, eq=False)
class Threshold:
    """A threshold found on left-out rows.

    Attributes:
        value: the threshold; a block is called ore from here on.
        cost: mean cost a block there; `cost_at_half` at 0.5; `cost_all_ore` and `cost_all_gangue` without a model.
        stated: what calibrated probabilities alone would say (`stated_threshold`).
        grid, curve: thresholds and the mean cost at each.
    """

    value: float
    cost: float
    cost_at_half: float
    cost_all_ore: float
    cost_all_gangue: float
    stated: float
    grid: Floats
    curve: Floats


def choose_threshold(probability: Floats, ore: NDArray[np.bool_], costs: Costs) -> Threshold:
    """Find the cheapest of 199 thresholds from 0.005 to 0.995 on (n,) rows that the model had not seen.

    Of several equally cheap ones the one nearest to what the costs alone say is taken.
    """
    grid = np.arange(1, 200) / 200
    curve = np.array([mean_cost(probability, ore, costs, t) for t in grid])
    cheapest = np.flatnonzero(curve <= curve.min() + 1e-12)
    at = cheapest[np.argmin(np.abs(grid[cheapest] - stated_threshold(costs)))]
    return Threshold(
        float(grid[at]),
        float(curve[at]),
        mean_cost(probability, ore, costs, 0.5),
        float((~ore).mean() * costs.hauled_gangue),
        float(ore.mean() * costs.lost_ore),
        stated_threshold(costs),
        grid,
        curve,
    )


def mean_cost(probability: Floats, ore: NDArray[np.bool_], costs: Costs, threshold: float) -> float:
    """Mean cost of a block at a threshold."""
    lost, hauled, _, _ = confusion(probability, ore, threshold)
    return (lost * costs.lost_ore + hauled * costs.hauled_gangue) / len(ore)
