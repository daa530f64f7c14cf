"""Where to draw the line: the probability from which on hauling a block costs less than losing it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.ore.bundle import Costs, Worth
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
    """Find the cheapest of 201 thresholds from 0, which hauls all, to 1, which hauls nothing.

    Of several equally cheap ones the one nearest to what the costs alone say is taken; but one that hauls all or
    nothing only if it is cheaper than every other.

    Args:
        probability: (n,) of rows that the model had not seen; below 1.
        ore: (n,) what they were.
        costs: of wrong calls.
    """
    grid = np.arange(201) / 200
    curve = np.array([mean_cost(probability, ore, costs, t) for t in grid])
    cheapest = np.flatnonzero(curve <= curve.min() + 1e-12)
    between = cheapest[(cheapest > 0) & (cheapest < len(grid) - 1)]
    candidates = between if between.size else cheapest
    at = candidates[np.argmin(np.abs(grid[candidates] - stated_threshold(costs)))]
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


RATIOS = np.geomspace(1 / 50, 50, 81)
"""Of the cost of a lost block of ore to that of a hauled block of gangue, for cost curves."""


def cost_curve(probability: Floats, ore: NDArray[np.bool_]) -> Floats:
    """Return what calls by (n,) probabilities cost at each of `RATIOS`, over hauling all or none, whichever is cheaper.

    The threshold at each ratio is what the costs alone say (`stated_threshold`); above 1 a model loses money there
    (compare Drummond & Holte 2006, Machine Learning 65:95).
    """
    found = []
    for ratio in RATIOS:
        costs = Costs(float(ratio), 1.0)
        without = min(float(ore.mean() * ratio), float((~ore).mean()))
        found.append(mean_cost(probability, ore, costs, stated_threshold(costs)) / without if without else np.nan)
    return np.array(found)


def worth_of(
    probability: Floats, ore: NDArray[np.bool_], threshold: float, costs: Costs, error: float, by_chance: float
) -> Worth:
    """Say what calls by (n,) probabilities cost beside hauling all and none; `error` is of the calibration."""
    lost, hauled, found, left = confusion(probability, ore, threshold)
    return Worth(
        cost=mean_cost(probability, ore, costs, threshold),
        haul_all=float((~ore).mean() * costs.hauled_gangue),
        haul_none=float(ore.mean() * costs.lost_ore),
        called_ore=found + hauled,
        called_gangue=left + lost,
        calibration_error=error,
        by_chance=by_chance,
    )


def mean_cost(probability: Floats, ore: NDArray[np.bool_], costs: Costs, threshold: float) -> float:
    """Mean cost of a block at a threshold."""
    lost, hauled, _, _ = confusion(probability, ore, threshold)
    return (lost * costs.lost_ore + hauled * costs.hauled_gangue) / len(ore)
