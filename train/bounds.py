"""Censored values used for what they say: whether a model's answers keep to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..edge.estimate import Estimate, Refusal, inverse
from .assays import Assay
from .dataset import prepare, replicate_rows
from .errors import TrainingDataError

if TYPE_CHECKING:
    from .training import Trained

ROOM = 1e-4
"""Relative; an answer that is held at the end of the calibrated range is as far as it can be."""


@dataclass(frozen=True)
class BoundsCheck:
    """How many bounds a model keeps.

    Attributes:
        below, below_kept: rows of samples below a detection limit, and those that the model says are as low.
        above, above_kept: rows of samples above a limit, and those that the model says are as high, or beyond what it
            was calibrated on.
        unusable: rows of such samples that the model cannot take, and the reason for the first.
    """

    below: int
    below_kept: int
    above: int
    above_kept: int
    unusable: int = 0
    why: str = ""

    @property
    def total(self) -> int:
        """Rows with a bound, usable or not."""
        return self.below + self.above + self.unusable

    def line(self) -> str:
        """Say it."""
        parts = [
            f"{kept} of {n} {what}"
            for n, kept, what in (
                (self.below, self.below_kept, "given as below a limit are estimated below it"),
                (
                    self.above,
                    self.above_kept,
                    "given as above a limit are estimated above it or beyond the calibration",
                ),
            )
            if n
        ]
        if self.unusable:
            parts.append(f"{self.unusable} cannot be estimated: {self.why}")
        return "Censored samples: " + "; ".join(parts)


def keeps(value: float, bound: Assay, calibrated: tuple[float, float], critical: float | None = None) -> bool:
    """Say whether an answer keeps to a bound, as far as the calibrated range lets it.

    Args:
        value: in the bound's unit.
        bound: such as <0.02 or >4000.
        calibrated: lowest and highest value that the model answers.
        critical: answers up to this are "< LOD".
    """
    if bound.censored == ">":
        return value >= min(bound.value, calibrated[1]) * (1 - ROOM)
    return value <= max(bound.value, calibrated[0], critical or 0.0) * (1 + ROOM)


def count(bounds: Sequence[Assay], kept: Sequence[bool]) -> BoundsCheck:
    """Count bounds, and those that are kept."""
    below = [k for b, k in zip(bounds, kept, strict=True) if b.censored == "<"]
    above = [k for b, k in zip(bounds, kept, strict=True) if b.censored == ">"]
    return BoundsCheck(len(below), sum(below), len(above), sum(above))


def check_bounds(trained: Trained) -> BoundsCheck | None:
    """Hold a trained model against the censored samples; None if there are none.

    A spectrum that the model cannot take is counted: what is trained by now is not lost for it.
    """
    joined = trained.joined
    if not joined.bounded:
        return None
    bounded = replicate_rows(joined.bounded, trained.settings.replicates)
    try:
        rows = prepare(bounded, trained.recipe)
    except TrainingDataError as error:
        return BoundsCheck(0, 0, 0, 0, len(bounded), str(error))
    values = [float(v) for v in inverse(trained.answer(rows.features), trained.transform)]
    bounds = [joined.bounds[name] for name in rows.samples]
    critical = trained.detection.critical if trained.detection else None
    kept = [keeps(v, b, trained.calibrated_range, critical) for v, b in zip(values, bounds, strict=True)]
    return with_refused(count(bounds, kept), rows.refused)


def with_refused(found: BoundsCheck, refused: Sequence[Refusal]) -> BoundsCheck:
    """Add what was refused to a count."""
    if not refused:
        return found
    return replace(found, unusable=len(refused), why=f"{refused[0].source}: {refused[0].reason}")


def check_estimates(
    answers: Sequence[Estimate | Refusal], bounds: Mapping[str, Assay], calibrated: tuple[float, float]
) -> BoundsCheck:
    """Hold a device's estimates of censored samples against their bounds, and count those that it refused."""
    estimates = [a for a in answers if isinstance(a, Estimate)]
    refused = [a for a in answers if isinstance(a, Refusal)]
    kept = [
        e.bound in ("<", "< LOD") or keeps(e.value, bounds[e.sample_id], calibrated)
        if bounds[e.sample_id].censored == "<"
        else e.bound == ">" or keeps(e.value, bounds[e.sample_id], calibrated)
        for e in estimates
    ]
    return with_refused(count([bounds[e.sample_id] for e in estimates], kept), refused)
