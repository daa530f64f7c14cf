"""Blanks, reference soils and duplicates that stand in a run: what they have to give, and whether they did."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..model.estimate import Estimate, Refusal
from ..model.interval import holding, normal_quantile
from ..model.target import forward
from ..record import in_figures, in_unit, shown_interval, shown_value
from ..units import shown_unit

if TYPE_CHECKING:
    from ..model.bundle import Bundle

ControlKind = Literal["blank", "reference", "duplicate"]


@dataclass(frozen=True)
class Judgement:
    """What became of one control.

    Attributes:
        kind: which sort.
        sample_id: of the control.
        passed: None if it could not be judged.
        text: in words, one line.
    """

    kind: ControlKind
    sample_id: str
    passed: bool | None
    text: str


@dataclass(frozen=True)
class SampleAnswer:
    """What came of a sample, as far as a second measurement of it is held against it.

    Attributes:
        refused: why there is no estimate; "" if there is one.
        value, bound, low, high, verdict, points: of the estimate.
    """

    refused: str
    value: float = 0.0
    bound: str = ""
    low: float | None = None
    high: float | None = None
    verdict: str = "unknown"
    points: int = 0

    @classmethod
    def of(cls, outcome: Estimate | Refusal) -> SampleAnswer:
        """Keep what counts of an outcome."""
        if isinstance(outcome, Refusal):
            return cls(outcome.reason)
        return cls("", *(getattr(outcome, field.name) for field in fields(cls)[1:]))


@dataclass(frozen=True)
class Stated:
    """What a reference soil's certificate says: `value` +- `uncertainty` in the element's unit."""

    value: float
    uncertainty: float = 0.0


def judge_blank(sample_id: str, outcome: Estimate | Refusal) -> Judgement:
    """A blank holds none, so it must not be told from nothing."""
    if isinstance(outcome, Refusal):
        return _not_judged("blank", sample_id, outcome.reason)
    shown = f"{outcome.element} {_shown(outcome, outcome.unit)}"
    if outcome.critical_level is None:
        return _not_judged("blank", sample_id, f"{shown}; the model has no critical level")
    passed = outcome.bound == "< LOD"
    level = f"critical level {in_figures(outcome.critical_level)} {shown_unit(outcome.unit)}"
    return Judgement("blank", sample_id, passed, f"{shown}, {level}" if passed else f"{shown} is detected, {level}")


def judge_reference(
    sample_id: str, outcome: Estimate | Refusal, stated: Stated | None, calibrated_range: tuple[float, float]
) -> Judgement:
    """A reference soil's stated value, give or take its uncertainty, must lie in the estimate's interval.

    An end that was cut off at the model's calibrated range is open, as it is shown.
    """
    if isinstance(outcome, Refusal):
        return _not_judged("reference", sample_id, outcome.reason)
    if stated is None:
        return _not_judged("reference", sample_id, "its value was not stated")
    if outcome.low is None or outcome.high is None:
        return _not_judged("reference", sample_id, "the model gives no interval")
    passed = bool(holding(outcome.low, outcome.high, stated.value, calibrated_range, stated.uncertainty))
    interval = shown_interval(outcome.low, outcome.high, calibrated_range)
    where = "inside" if passed else "outside"
    return Judgement("reference", sample_id, passed, f"stated {in_figures(stated.value)} is {where} {interval}")


def judge_duplicate(
    sample_id: str, outcome: Estimate | Refusal, first: SampleAnswer | None, bundle: Bundle
) -> Judgement:
    """Two measurements of one soil may differ as two means of points that scatter as in the calibration.

    The limit is normal_quantile(0.95) x sqrt(2 / points) x the largest standard deviation of points that calibration
    samples show, in the transform's space; where a bundle does not say, the two intervals have to overlap.
    """
    if isinstance(outcome, Refusal):
        return _not_judged("duplicate", sample_id, outcome.reason)
    if first is None or first.refused:
        why = first.refused if first is not None else "it is not in this session"
        return _not_judged("duplicate", sample_id, f"no estimate of the first measurement: {why}")
    both = f"{_shown(first, outcome.unit)} and {_shown(outcome, outcome.unit)}"
    if first.bound == outcome.bound == "< LOD":
        return Judgement("duplicate", sample_id, True, both)
    if bundle.replicates is None:
        ends = (first.low, first.high, outcome.low, outcome.high)
        if None in ends:
            return _not_judged("duplicate", sample_id, "the model knows neither scatter nor interval")
        low, high, low_2, high_2 = (end or 0.0 for end in ends)
        passed = low <= high_2 and low_2 <= high
        return Judgement("duplicate", sample_id, passed, f"{both}: intervals {'overlap' if passed else 'are apart'}")
    a, b = forward(np.array([first.value, outcome.value]), bundle.transform)
    limit = normal_quantile(0.95) * sqrt(2 / min(first.points, outcome.points)) * bundle.replicates.limit
    ratio = abs(float(a - b)) / limit if limit > 0 else 0.0
    words = f"{both}: {ratio:.1f} times the difference allowed"
    return Judgement("duplicate", sample_id, ratio <= 1, words)


def _shown(estimate: Estimate | SampleAnswer, unit: str) -> str:
    return in_unit(shown_value(estimate.value, estimate.bound, estimate.verdict), estimate.bound, unit)


def _not_judged(kind: ControlKind, sample_id: str, why: str) -> Judgement:
    return Judgement(kind, sample_id, None, f"cannot be judged: {why}")
