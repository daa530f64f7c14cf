"""Censored values used for what they say: whether a model's answers keep to them."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace

from ..edge.model.estimate import Estimate, Refusal
from ..edge.model.target import inverse
from .assays.values import Assay
from .errors import TrainingDataError
from .methods.method import DeviceModel
from .prepared import prepare
from .samples import Replicates, Samples, replicate_rows

ROOM = 1e-4
"""Relative; an answer that is held at the end of the calibrated range is as far as it can be."""


@dataclass(frozen=True)
class CensoredCheck:
    """How many bounds a model keeps, of samples that it was not trained on.

    Attributes:
        below, below_kept: rows of samples below a detection limit, and those that the model says are as low.
        above, above_kept: rows of samples above a limit, and those that the model says are as high, or beyond what it
            was calibrated on.
        trained_on: samples that joined the training as bounds; a model that keeps to those shows nothing.
        unusable: rows of such samples that the model cannot take, and the reason for the first.
    """

    below: int
    below_kept: int
    above: int
    above_kept: int
    trained_on: int = 0
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
        if self.trained_on:
            joined = "1 was" if self.trained_on == 1 else f"{self.trained_on} were"
            parts.insert(0, f"{joined} trained on as bounds, by the censored likelihood")
            if self.total:
                parts[1] = f"of the others, {parts[1]}"
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


def count(bounds: Sequence[Assay], kept: Sequence[bool], trained_on: int = 0) -> CensoredCheck:
    """Count bounds, and those that are kept, beside a number of samples trained on."""
    below = [k for b, k in zip(bounds, kept, strict=True) if b.censored == "<"]
    above = [k for b, k in zip(bounds, kept, strict=True) if b.censored == ">"]
    return CensoredCheck(len(below), sum(below), len(above), sum(above), trained_on)


def check_held_back(
    samples: Samples,
    trained_on: Collection[str],
    replicates: Replicates,
    model: DeviceModel,
    calibrated: tuple[float, float],
    critical: float | None,
) -> CensoredCheck | None:
    """Hold a trained model against the censored samples that it was not trained on; None if there are no censored ones.

    A spectrum that the model cannot take is counted: what is trained by now is not lost for it.

    Args:
        samples: with the censored ones.
        trained_on: names of those that joined the training as bounds.
        replicates: what the model takes.
        model: the model.
        calibrated: lowest and highest value that it answers.
        critical: its critical level; answers up to it are "< LOD".
    """
    if not samples.bounded:
        return None
    held_back = [spectrum for spectrum in samples.bounded if spectrum.sample_id not in trained_on]
    if not held_back:
        return count((), (), len(trained_on))
    bounded = replicate_rows(held_back, replicates)
    try:
        rows = prepare(bounded, model.recipe)
    except TrainingDataError as error:
        return replace(count((), (), len(trained_on)), unusable=len(bounded), why=str(error))
    values = [float(v) for v in inverse(model.answer(rows.features), model.transform)]
    bounds = [samples.bounds[name] for name in rows.samples]
    kept = [keeps(value, bound, calibrated, critical) for value, bound in zip(values, bounds, strict=True)]
    return with_refused(count(bounds, kept, len(trained_on)), rows.refused)


def with_refused(found: CensoredCheck, refused: Sequence[Refusal]) -> CensoredCheck:
    """Add what was refused to a count."""
    if not refused:
        return found
    return replace(found, unusable=len(refused), why=f"{refused[0].source}: {refused[0].reason}")


def check_estimates(
    answers: Sequence[Estimate | Refusal],
    bounds: Mapping[str, Assay],
    calibrated: tuple[float, float],
    trained_on: Container[str] = (),
) -> CensoredCheck:
    """Hold a device's estimates of censored samples against their bounds, but for those named in `trained_on`.

    What the device refused is counted.
    """
    known = {a.sample_id for a in answers if isinstance(a, Estimate) and a.sample_id in trained_on}
    estimates = [a for a in answers if isinstance(a, Estimate) and a.sample_id not in known]
    refused = [a for a in answers if isinstance(a, Refusal)]
    kept = [
        e.bound in ("<", "< LOD") or keeps(e.value, bounds[e.sample_id], calibrated)
        if bounds[e.sample_id].censored == "<"
        else e.bound == ">" or keeps(e.value, bounds[e.sample_id], calibrated)
        for e in estimates
    ]
    return with_refused(count([bounds[e.sample_id] for e in estimates], kept, len(known)), refused)
