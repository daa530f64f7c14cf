"""Censored values used for what they say: whether a model's answers keep to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..edge.estimate import Estimate, inverse
from .assays import Assay
from .dataset import prepare, replicate_rows

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
    """

    below: int
    below_kept: int
    above: int
    above_kept: int

    @property
    def total(self) -> int:
        """Rows with a bound."""
        return self.below + self.above

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

    Raises:
        TrainingDataError: the recipe can take none of their spectra.
    """
    joined = trained.joined
    if not joined.bounded:
        return None
    rows = prepare(replicate_rows(joined.bounded, trained.settings.replicates), trained.recipe)
    values = [float(v) for v in inverse(trained.answer(rows.features), trained.transform)]
    bounds = [joined.bounds[name] for name in rows.samples]
    critical = trained.detection.critical if trained.detection else None
    kept = [keeps(v, b, trained.calibrated_range, critical) for v, b in zip(values, bounds, strict=True)]
    return count(bounds, kept)


def check_estimates(
    estimates: Sequence[Estimate], bounds: Mapping[str, Assay], calibrated: tuple[float, float]
) -> BoundsCheck:
    """Hold a device's estimates of censored samples against their bounds."""
    kept = [
        e.bound in ("<", "< LOD") or keeps(e.value, bounds[e.sample_id], calibrated)
        if bounds[e.sample_id].censored == "<"
        else e.bound == ">" or keeps(e.value, bounds[e.sample_id], calibrated)
        for e in estimates
    ]
    return count([bounds[e.sample_id] for e in estimates], kept)
