"""One block at the face: what is known only as a range is carried into the probability as a range.

The range of the probability is its lowest and highest value on a grid: every combination of the points that stand for
each variable known as a range (both ends of the interval, its middle value and points between), and of everything that
a variable not known could be. Nothing is assumed of how a model rises or falls, and nothing is drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan, prod

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..record import in_figures
from .answer import Answer, Contribution, Decision, decide, outside, outside_reason, shown, together_reasons
from .bundle import OreBundle
from .cells import ABOVE, BELOW, EXACT
from .columns import Variable
from .domain import beyond
from .probe_estimates import ProbeEstimate

MOST_TRIED = 512
"""Combinations of which one must belong together, where the values in the middle do not."""
MOST_ROWS = 20_000
"""Combinations that are tried; where there are more, too much is unknown."""
FEWEST_POINTS, MOST_POINTS = 5, 129


@dataclass(frozen=True)
class Known:
    """What is known of one variable.

    Attributes:
        variable: which.
        value: the number a model takes; not-a-number if nothing is known.
        low, high: what it may be; both the value where that is exact, not-a-number if nothing is known.
        limit: 0, or -1 and 1 where all that is known is that it lies below `high` or above `low`.
        source: who says so, for the log.
        text: how it is written, where not by its number.
        laboratory: True if `limit` is a laboratory's, as those of the training blocks are.
    """

    variable: Variable
    value: float
    low: float
    high: float
    limit: int = EXACT
    source: str = "not known"
    text: str = ""
    laboratory: bool = False

    @property
    def words(self) -> str:
        """The value as people write it, with its range."""
        if isnan(self.value):
            return "not known"
        if self.text:
            return self.text
        if self.limit:
            return shown(self.variable, self.high if self.limit == BELOW else self.low, self.limit)
        plain = shown(self.variable, self.value)
        if self.low == self.high:
            return plain
        return f"{plain} ({in_figures(self.low)} - {in_figures(self.high)})"


def unknown(variable: Variable) -> Known:
    """Nothing is known."""
    return Known(variable, nan, nan, nan)


def from_field(variable: Variable, value: float, bound: int, highest: float, source: str) -> Known:
    """Take what somebody typed, as `table.field_reader` reads it.

    Args:
        variable: which.
        value, bound: a number, with -1 where the truth is below and 1 where it is above.
        highest: of the training blocks; `> 900` may be anything up to there.
        source: for the log.
    """
    if isnan(value):
        return unknown(variable)
    if bound == BELOW:
        return Known(variable, value / 2, 0.0, value, BELOW, source, laboratory=True)
    if bound == ABOVE:
        return Known(variable, value, value, max(value, highest), ABOVE, source)
    return Known(variable, value, value, value, EXACT, source)


def from_probe(variable: Variable, estimate: ProbeEstimate, highest: float) -> Known:
    """Take the probe's estimate as the range that its interval is.

    `< LOD` (not detected) and `<` may be anything from zero to the interval's upper end; `>` anything from its lower
    end to the highest value in the training. An end that was cut off at the probe's calibrated range is no end: it may
    be anything beyond.
    """
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    interval = "no interval" if estimate.low is None else f"{100 * (estimate.coverage or 0):g} % interval"
    source = f"probe, estimate {estimate.id} of {estimate.model}, {interval}"
    if estimate.bound == ">" or estimate.open_above:
        high = max(high, highest)
    if estimate.bound in ("<", "< LOD"):
        limit = f"{in_figures(high)} {variable.shown_unit}"
        text = f"not detected (0 - {limit})" if estimate.bound == "< LOD" else f"< {limit}"
        return Known(variable, high / 2, 0.0, high, BELOW, source, text)
    return Known(variable, estimate.value, 0.0 if estimate.open_below else low, high, EXACT, source)


def answer_at_face(bundle: OreBundle, sample: str, known: Sequence[Known], simulated: bool = False) -> Answer:
    """Answer for one block.

    Args:
        bundle: the model.
        sample: the block's name.
        known: one for each of the bundle's variables, in their order.
        simulated: True if something of `known` is.
    """
    values = np.array([[k.value for k in known]], dtype=np.float64)
    # A laboratory's limit is what training met; a probe's is a range, and half of it the number in its middle.
    limits = np.array([[k.limit if k.laboratory else EXACT for k in known]], dtype=np.int8)
    inputs = bundle.model.inputs(np.where(limits == BELOW, values * 2, values), limits)
    sums = bundle.model.sums(inputs)
    probability = float(bundle.model.from_sums(sums)[0])
    found = bundle.model.contributions(inputs[0])
    grid = grid_of(bundle, known)
    low, high = _range(bundle, grid, probability)
    interval = bundle.model.interval(sums)
    decision: Decision = decide(probability, bundle.threshold)
    lacking = [k.variable.name for k in known if isnan(k.value)]
    texts = [k.words for k in known]
    reason = outside_reason(bundle, values[0], outside(bundle, values)[0], texts)
    if not reason and low is None:
        reason = f"too much is not known: {', '.join(lacking)}"
    reason = reason or _apart(bundle, known, values, grid)
    if not reason and low is not None and high is not None and low < bundle.threshold <= high:
        reason = f"{low:.2f} to {high:.2f} holds the threshold {bundle.threshold:.2f}"
    order = np.argsort(-np.abs(found.values), kind="stable")
    return Answer(
        id=sample,
        probability=probability,
        low=low,
        high=high,
        decision="cannot tell" if reason else decision,
        reason=reason,
        flags=(*(f"{name} not known" for name in lacking), *_beyond(bundle, known)),
        base=found.base,
        contributions=tuple(
            Contribution(known[k].variable.name, known[k].words, float(found.values[k])) for k in order
        ),
        simulated=bundle.simulated or simulated,
        interval=None if interval is None else (float(interval[0][0]), float(interval[1][0])),
    )


def _apart(bundle: OreBundle, known: Sequence[Known], values: Floats, grid: Floats | None) -> str:
    """Say why the values do not belong together, if no combination of what they may be does; else ""."""
    bounds = np.array([[k.limit for k in known]], dtype=np.int8)
    reason = together_reasons(bundle, values, bounds, [k.words for k in known]).get(0, "")
    if reason and bundle.domain is not None and grid is not None and len(grid) > 1:
        some = grid[np.linspace(0, len(grid) - 1, min(len(grid), MOST_TRIED)).round().astype(int)]
        # What is not known is no evidence against a block: it stays missing.
        some = np.where(np.isnan(values), np.nan, some)
        if not beyond(bundle.domain, some).all():
            return ""
    return reason


def _range(bundle: OreBundle, grid: Floats | None, probability: float) -> tuple[float | None, float | None]:
    if grid is None:
        return None, None
    found = bundle.model.probabilities(grid)
    return min(float(found.min()), probability), max(float(found.max()), probability)


def grid_of(bundle: OreBundle, known: Sequence[Known]) -> Floats | None:
    """Give every combination of what the variables may be, (rows, variables); None if they are too many."""
    fixed = {i: _choices(bundle, i, k) for i, k in enumerate(known) if isnan(k.value) or k.low == k.high}
    ranges = [i for i in range(len(known)) if i not in fixed]
    rows = prod(len(choices) for choices in fixed.values())
    if rows * FEWEST_POINTS ** len(ranges) > MOST_ROWS:
        return None
    points = MOST_POINTS
    while points > FEWEST_POINTS and rows * points ** len(ranges) > MOST_ROWS:
        points -= 1
    choices = [fixed[i] if i in fixed else spread(known[i], points) for i in range(len(known))]
    return np.asarray(np.stack([axis.ravel() for axis in np.meshgrid(*choices, indexing="ij")], axis=1))


def _choices(bundle: OreBundle, index: int, known: Known) -> Floats:
    if not isnan(known.value):
        return np.array([known.value])
    if known.variable.kind != "assay":
        return np.arange(1.0, len(known.variable.words) + 1)
    training = bundle.training
    return np.asarray(np.unique([training.lowest[index], *training.quantiles[index], training.highest[index]]))


def spread(known: Known, points: int) -> Floats:
    """Give points of a range: both ends, the value, the rest between at equal ratios, as concentrations spread."""
    low, high = known.low, known.high
    start = max(low, high / 1000)
    between = np.geomspace(start, high, points - 1 - (low < start))
    return np.asarray(np.unique(np.clip([low, known.value, *between], low, high)))


def _beyond(bundle: OreBundle, known: Sequence[Known]) -> list[str]:
    flags = []
    for k, highest in zip(known, bundle.training.highest.tolist(), strict=True):
        if not isnan(k.value) and k.value <= highest < k.high:
            flags.append(f"{k.variable.name} may be above the training's {shown(k.variable, highest)}")
    return flags
