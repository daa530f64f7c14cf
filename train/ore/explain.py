"""What moves a model's answers: Shapley values of every variable, over many blocks and for single ones.

The values are those that the device gives with each answer (`edge.ore.model.OreModel.contributions`), in the space
that the model sums in: probability for a tree and a forest, log-odds for the others; before calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from ...converters.spectra.spectrum import Floats
from ...edge.ore.model import OreModel
from ...edge.ore.steps import halved

ONE_WAY = 0.4
"""Rank correlation of value and contribution from which on a variable pushes one way."""


@dataclass(frozen=True, eq=False)
class Summary:
    """A model's variables over many blocks.

    Attributes:
        scenario, model: which.
        space: "probability" or "log-odds".
        names: (k,) of the variables.
        values: (n, k) of the blocks, not-a-number where missing.
        contributions: (n, k).
        base: what the model says of no block in particular.
    """

    scenario: str
    model: str
    space: str
    names: tuple[str, ...]
    values: Floats
    contributions: Floats
    base: float

    @property
    def magnitude(self) -> Floats:
        """(k,) mean size of the contributions."""
        return np.asarray(np.abs(self.contributions).mean(axis=0))

    @property
    def direction(self) -> Floats:
        """(k,) Spearman's correlation of value and contribution: above 0, high values push towards ore.

        Not-a-number where either does not vary.
        """
        out = np.full(len(self.names), np.nan)
        for i in range(len(self.names)):
            known = ~np.isnan(self.values[:, i])
            a, b = self.values[known, i], self.contributions[known, i]
            if a.size > 2 and a.std() > 0 and b.std() > 0:
                out[i] = float(spearmanr(a, b).statistic)
        return out

    @property
    def leading(self) -> tuple[str, ...]:
        """Names, those that move most first."""
        return tuple(self.names[i] for i in np.argsort(-self.magnitude, kind="stable"))


@dataclass(frozen=True, eq=False)
class Waterfall:
    """One block's way from the base to the answer.

    Attributes:
        scenario, model, space, names: as in `Summary`.
        block: its row among the test blocks, and what it was chosen for.
        values, contributions: (k,).
        base: where it starts; base + contributions is the sum.
        probability: of ore, calibrated.
        ore: what it was.
    """

    scenario: str
    model: str
    space: str
    names: tuple[str, ...]
    block: str
    values: Floats
    contributions: Floats
    base: float
    probability: float
    ore: bool


def plain_inputs(model: OreModel, blocks: Floats) -> Floats:
    """Give a model's inputs as numbers to show: half the limit where a value is below it."""
    return halved(blocks) if model.takes_limits else blocks


def summarise(scenario: str, name: str, model: OreModel, variables: Sequence[str], blocks: Floats) -> Summary:
    """Explain (n, k) blocks, as the model takes them."""
    model.prepare()
    found = [model.contributions(block) for block in blocks]
    return Summary(
        scenario,
        name,
        model.space,
        tuple(variables),
        plain_inputs(model, blocks),
        np.stack([f.values for f in found]),
        found[0].base,
    )


def waterfall(
    scenario: str, name: str, model: OreModel, variables: Sequence[str], block: Floats, called: str, ore: bool
) -> Waterfall:
    """Explain one (k,) block, as the model takes it."""
    found = model.contributions(block)
    probability = float(model.probabilities(block[None])[0])
    return Waterfall(
        scenario,
        name,
        model.space,
        tuple(variables),
        called,
        plain_inputs(model, block),
        found.values,
        found.base,
        probability,
        ore,
    )


def telling_rows(probability: Floats, threshold: float) -> tuple[tuple[str, int], ...]:
    """Choose test blocks worth explaining: the surest ore, the surest gangue, the one nearest to the threshold."""
    return (
        ("surest ore", int(np.argmax(probability))),
        ("surest gangue", int(np.argmin(probability))),
        ("nearest to the threshold", int(np.argmin(np.abs(probability - threshold)))),
    )
