"""A block -> ore, gangue or "cannot tell", and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..record import in_figures
from .bundle import OreBundle
from .cells import ABOVE, BELOW
from .columns import Variable
from .table import Blocks, plain_values

Decision = Literal["ore", "gangue", "cannot tell"]
LEADING = 3
"""Contributions that are shown in words."""


@dataclass(frozen=True)
class Contribution:
    """What one variable did to one answer. `amount` is in the model's space, for ore if positive."""

    variable: str
    shown: str
    amount: float


@dataclass(frozen=True)
class Answer:
    """What the model says of one block.

    Attributes:
        id: the block's name.
        probability: of ore.
        low, high: lowest and highest probability that agrees with what is known, where something is known as a range
            only; None where all was a single number.
        decision: "cannot tell" is one.
        reason: why it cannot be told; "" otherwise.
        flags: further remarks, such as what was missing.
        base: what the model says of no block in particular; None if contributions were not asked for.
        contributions: largest first; base + their sum is the model's sum, before any calibration.
        simulated: True if the model or the block is simulated.
        place: the hole, `from`, `to`, `x`, `y`, `z`, as far as the table has them.
    """

    id: str
    probability: float
    low: float | None
    high: float | None
    decision: Decision
    reason: str
    flags: tuple[str, ...]
    base: float | None
    contributions: tuple[Contribution, ...]
    simulated: bool
    place: Mapping[str, str | float | None] = field(default_factory=dict)


def decide(probability: float, threshold: float) -> Decision:
    """Call a block by its probability alone."""
    return "ore" if probability >= threshold else "gangue"


def answer_blocks(bundle: OreBundle, blocks: Blocks, explain: bool = False) -> list[Answer]:
    """Answer for some rows of a table.

    A detection limit is replaced as it was in training (see `table.plain_values`) and named in the flags. A block that
    lacks more than the training blocks did, or lies outside what they spanned, gets "cannot tell".

    Args:
        bundle: the model.
        blocks: read with the bundle's columns.
        explain: work out the contributions, too.
    """
    features = blocks.features
    probabilities = bundle.model.probabilities(features)
    absent = np.isnan(features)
    lacking = absent.sum(axis=1)
    beyond = outside(bundle, blocks.values)
    odd = (lacking > 0) | beyond.any(axis=1) | blocks.bounds.any(axis=1)
    answers = []
    for i, probability in enumerate(probabilities.tolist()):
        decision: Decision = decide(probability, bundle.threshold)
        reason = ""
        flags: tuple[str, ...] = ()
        if odd[i]:
            reason = too_little(bundle, int(lacking[i])) or outside_reason(bundle, blocks.values[i], beyond[i])
            flags = _flags(blocks.variables, blocks.values[i], blocks.bounds[i])
        base, contributions = contributions_of(bundle, blocks, i) if explain else (None, ())
        answers.append(
            Answer(
                id=blocks.ids[i],
                probability=probability,
                low=None,
                high=None,
                decision="cannot tell" if reason else decision,
                reason=reason,
                flags=flags,
                base=base,
                contributions=contributions,
                simulated=bundle.simulated or blocks.simulated,
                place=_place(blocks, i),
            )
        )
    return answers


def _place(blocks: Blocks, row: int) -> dict[str, str | float | None]:
    place: dict[str, str | float | None] = {"hole": blocks.groups[row]} if blocks.groups is not None else {}
    found = {name: float(values[row]) for name, values in blocks.places.items()}
    return place | {name: None if value != value else value for name, value in found.items()}


def outside(bundle: OreBundle, values: Floats) -> NDArray[np.bool_]:
    """Say which values (rows, variables) lie outside what the training blocks spanned; a missing one does not."""
    return np.asarray((values < bundle.training.lowest) | (values > bundle.training.highest))


def too_little(bundle: OreBundle, lacking: int) -> str:
    """Say that too much is missing, or ""."""
    most = bundle.training.most_missing
    if lacking <= most:
        return ""
    return f"{lacking} of {len(bundle.columns.variables)} variables missing; the training blocks lacked at most {most}"


def outside_reason(bundle: OreBundle, values: Floats, beyond: NDArray[np.bool_]) -> str:
    """Say which values lie outside the training blocks, or ""."""
    parts = []
    for k in np.flatnonzero(beyond):
        variable = bundle.columns.variables[k]
        low, high = bundle.training.lowest[k], bundle.training.highest[k]
        side, end = ("below", low) if values[k] < low else ("above", high)
        parts.append(f"{variable.name} {shown(variable, values[k])} is {side} the training's {shown(variable, end)}")
    return f"outside the training blocks: {', '.join(parts)}" if parts else ""


def _flags(variables: Sequence[Variable], values: Floats, bounds: NDArray[np.int8]) -> tuple[str, ...]:
    flags = []
    for variable, value, bound in zip(variables, values.tolist(), bounds.tolist(), strict=True):
        if value != value:  # not-a-number
            flags.append(f"{variable.name} missing")
        elif bound == BELOW:
            flags.append(f"{variable.name} < {value:g} taken as half of it")
        elif bound == ABOVE:
            flags.append(f"{variable.name} > {value:g} taken as that")
    return tuple(flags)


def contributions_of(bundle: OreBundle, blocks: Blocks, row: int) -> tuple[float, tuple[Contribution, ...]]:
    """Work out one block's contributions, largest first."""
    values, bounds = blocks.values[row], blocks.bounds[row]
    found = bundle.model.contributions(plain_values(values, bounds))
    order = np.argsort(-np.abs(found.values), kind="stable")
    variables = blocks.variables
    return found.base, tuple(
        Contribution(variables[k].name, shown(variables[k], values[k], int(bounds[k])), float(found.values[k]))
        for k in order
    )


def shown(variable: Variable, value: float, bound: int = 0) -> str:
    """Write a value as people do: 512 ppm, < 0.02 ppm, High, missing."""
    if np.isnan(value):
        return "missing"
    if variable.kind != "assay":
        return variable.word(value)
    if bound:
        # A limit as it was written: three figures of 0.02 would say more than is known.
        return f"{'<' if bound == BELOW else '>'} {value:g} {variable.unit}"
    return f"{in_figures(float(value))} {variable.unit}"


def in_words(contributions: Sequence[Contribution], leading: int = LEADING) -> str:
    """Write the leading contributions: "for ore: As 512 ppm (+1.21); against: Zn 30 ppm (-0.40)"."""
    sides: dict[str, list[str]] = {"for ore": [], "against": []}
    for c in contributions[:leading]:
        if c.amount:
            sides["for ore" if c.amount > 0 else "against"].append(f"{c.variable} {c.shown} ({c.amount:+.2f})")
    return "; ".join(f"{side}: {', '.join(parts)}" for side, parts in sides.items() if parts)
