"""A block -> ore, gangue or "cannot tell", and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..record import in_figures
from .bundle import OreBundle
from .cells import ABOVE, BELOW
from .columns import Variable
from .domain import Measures, measure, odd_pairs
from .model import OreModel
from .table import Blocks

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
        interval: of the probability, 90 %: how far it would have moved had other holes been drilled; None if the model
            has none.
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
    interval: tuple[float, float] | None = None


def decide(probability: float, threshold: float) -> Decision:
    """Call a block by its probability alone."""
    return "ore" if probability >= threshold else "gangue"


def answer_blocks(
    bundle: OreBundle,
    blocks: Blocks,
    explain: bool = False,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
    measured: Measures | None = None,
) -> list[Answer]:
    """Answer for some rows of a table, each by itself; a whole table: `ground.answer_table`.

    A detection limit is replaced as it was in training (see `OreModel.inputs`) and named in the flags. A block that
    lacks more than the training blocks did, lies outside what they spanned, or holds values that do not belong together
    as theirs do, gets "cannot tell".

    Args:
        bundle: the model.
        blocks: read with the bundle's columns.
        explain: work out the contributions, too.
        elsewhere: holes of other ground, and why.
        measured: how far the blocks are from the training; None to measure it.
    """
    features = blocks.features
    sums = bundle.model.sums(bundle.model.inputs(blocks.values, blocks.bounds))
    probabilities = bundle.model.from_sums(sums)
    intervals = bundle.model.interval(sums)
    absent = np.isnan(features)
    lacking = absent.sum(axis=1)
    out = outside(bundle, blocks.values)
    odd = (lacking > 0) | out.any(axis=1) | blocks.bounds.any(axis=1)
    apart = together_reasons(bundle, features, blocks.bounds, measured=measured)
    answers = []
    for i, probability in enumerate(probabilities.tolist()):
        decision: Decision = decide(probability, bundle.threshold)
        reason = ""
        flags: tuple[str, ...] = ()
        if odd[i]:
            reason = too_little(bundle, int(lacking[i])) or outside_reason(bundle, blocks.values[i], out[i])
            flags = _flags(bundle.model, blocks.variables, blocks.values[i], blocks.bounds[i])
        reason = reason or apart.get(i, "")
        if elsewhere and not reason:
            reason = elsewhere.get(blocks.groups[i].casefold() if blocks.groups is not None else "", "")
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
                interval=None if intervals is None else (float(intervals[0][i]), float(intervals[1][i])),
            )
        )
    return answers


def _place(blocks: Blocks, row: int) -> dict[str, str | float | None]:
    place: dict[str, str | float | None] = {"hole": blocks.groups[row]} if blocks.groups is not None else {}
    found = {name: float(values[row]) for name, values in blocks.places.items()}
    return place | {name: None if value != value else value for name, value in found.items()}


def outside(bundle: OreBundle, values: Floats) -> NDArray[np.bool_]:
    """Say which values (rows, variables) lie outside what the training blocks spanned; a missing one does not.

    A bundle with a domain allows the room beyond that blocks of left-out holes needed.
    """
    allowed = bundle.domain if bundle.domain is not None else bundle.training
    return np.asarray((values < allowed.lowest) | (values > allowed.highest))


def together_reasons(
    bundle: OreBundle,
    features: Floats,
    bounds: NDArray[np.int8],
    texts: Sequence[str] = (),
    measured: Measures | None = None,
) -> dict[int, str]:
    """Say in words of which rows, and why, the values do not belong together; none if the bundle has no domain.

    Args:
        bundle: whose domain.
        features: (rows, variables) a number each, half of a detection limit.
        bounds: (rows, variables) where they are limits.
        texts: how each variable is written; none to write them by their numbers.
        measured: of these rows; None to measure them.
    """
    if bundle.domain is None:
        return {}
    found = measured if measured is not None else measure(bundle.domain, features)
    rows = np.flatnonzero(found.beyond(bundle.domain))
    if not rows.size:
        return {}
    odd = odd_pairs(bundle.domain, features, found, rows)
    return {
        int(row): _together_reason(
            [
                f"{variable.name} {texts[k] if texts else _written(variable, features[row, k], bounds[row, k])}"
                for k, variable in ((k, bundle.columns.variables[k]) for k in pair)
            ],
            bool(far),
        )
        for row, far, pair in zip(rows, odd.far, odd.pairs, strict=True)
    }


def _written(variable: Variable, value: float, bound: int) -> str:
    # Of a detection limit the features have half.
    return shown(variable, 2 * value if bound == BELOW else value, int(bound))


def _together_reason(pair: Sequence[str], far: bool) -> str:
    first, second = pair
    if far:
        return f"taken together further out than the training blocks, most in {first} and {second}"
    return f"values that do not belong together in the training blocks, most of all {first} and {second}"


def too_little(bundle: OreBundle, lacking: int) -> str:
    """Say that too much is missing, or ""."""
    most = bundle.training.most_missing
    if lacking <= most:
        return ""
    return f"{lacking} of {len(bundle.columns.variables)} variables missing; the training blocks lacked at most {most}"


def outside_reason(bundle: OreBundle, values: Floats, out: NDArray[np.bool_], texts: Sequence[str] = ()) -> str:
    """Say which values lie outside the training blocks, or ""; `texts` as of `together_reasons`."""
    parts = []
    for k in np.flatnonzero(out):
        variable = bundle.columns.variables[k]
        low, high = bundle.training.lowest[k], bundle.training.highest[k]
        side, end = ("below", low) if values[k] < low else ("above", high)
        written = texts[k] if texts else shown(variable, values[k])
        parts.append(f"{variable.name} {written} is {side} the training's {shown(variable, end)}")
    return f"outside the training blocks: {', '.join(parts)}" if parts else ""


def _flags(model: OreModel, variables: Sequence[Variable], values: Floats, bounds: NDArray[np.int8]) -> tuple[str, ...]:
    taken = {
        "half": "taken as half of it",
        "mark": "taken as half of it, and marked",
        "impute": "taken as the mean of what is below",
    }[model.below]
    flags = []
    for variable, value, bound in zip(variables, values.tolist(), bounds.tolist(), strict=True):
        if value != value:  # not-a-number
            flags.append(f"{variable.name} missing")
        elif bound == BELOW:
            flags.append(f"{variable.name} < {value:g} {taken}")
        elif bound == ABOVE:
            flags.append(f"{variable.name} > {value:g} taken as that")
    return tuple(flags)


def contributions_of(bundle: OreBundle, blocks: Blocks, row: int) -> tuple[float, tuple[Contribution, ...]]:
    """Work out one block's contributions, largest first."""
    values, bounds = blocks.values[row], blocks.bounds[row]
    found = bundle.model.contributions(bundle.model.inputs(values, bounds))
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
        return f"{'<' if bound == BELOW else '>'} {value:g} {variable.shown_unit}"
    return f"{in_figures(float(value))} {variable.shown_unit}"


def in_words(contributions: Sequence[Contribution]) -> str:
    """Write the leading contributions: "for ore: As 512 ppm (+1.21); against: Zn 30 ppm (-0.40)"."""
    sides: dict[str, list[str]] = {"for ore": [], "against": []}
    for c in contributions[:LEADING]:
        if c.amount:
            sides["for ore" if c.amount > 0 else "against"].append(f"{c.variable} {c.shown} ({c.amount:+.2f})")
    return "; ".join(f"{side}: {', '.join(parts)}" for side, parts in sides.items() if parts)
