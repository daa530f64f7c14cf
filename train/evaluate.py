"""A bundle against spectra with laboratory values, through the device's own estimator. Needs no TensorFlow."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TextIO

import numpy as np

from ..converters.spectra.spectrum import Spectrum
from ..edge.engine import CHUNK
from ..edge.jobs import CarriedEstimator
from ..edge.model.bundle import Bundle
from ..edge.model.estimate import Estimate, Estimator, Refusal
from ..edge.model.target import forward
from ..edge.units import plain, shown_unit
from ..edge.workers import OneProcess, Workers
from .censored_check import CensoredCheck, check_estimates
from .conditions import ConditionScore, score_conditions
from .crossval.metrics import FIGURES, Metrics, coverage, measure
from .errors import TrainingDataError
from .samples import Replicates, Samples, replicate_rows
from .terminal import SIMULATED, columns

Format = Literal["table", "json", "jsonl", "csv"]


@dataclass(frozen=True)
class Evaluation:
    """How a bundle does on samples with laboratory values.

    Attributes:
        model, model_sha256, element, unit, simulated: of the bundle; `simulated` also if any spectrum is.
        samples: with a value and a usable spectrum.
        rows: estimates; more than `samples` if each measurement counts.
        refused: files and spectra refused.
        outside: estimates that are no plain value: outside the calibration, beyond its range, not detected, or of
            points that scatter.
        trained_on: samples with values whose names the model was trained on; figures on these flatter.
        coverage: share of values inside their interval, and `stated_coverage` what was promised; None without one.
        all: metrics of all estimates; `inside` of those whose spectra are inside the calibration, detected or
            not; None if there are none.
        transformed: metrics of all estimates in the space of `transform`; None if there is none, or a value has no
            place in it.
        by_condition: figures of each condition of the ground; () where nobody said any.
        bounds: censored samples that the model was not trained on, and how many are estimated as their bounds say.
    """

    model: str
    model_sha256: str
    element: str
    unit: str
    simulated: bool
    samples: int
    rows: int
    refused: int
    outside: int
    trained_on: int
    stated_coverage: float | None
    coverage: float | None
    all: Metrics
    inside: Metrics | None
    transform: str
    transformed: Metrics | None
    bounds: CensoredCheck
    by_condition: tuple[ConditionScore, ...] = ()


WITHOUT_A_VALUE = "without a plain value (outside the calibration or its range, < LOD, scattered points)"
"""What `Evaluation.outside` counts, in words."""

Answered = list[tuple[Spectrum, Estimate | Refusal]]


def answer_all(
    bundle: Bundle, joined: Samples, replicates: Replicates = "average", workers: Workers | None = None
) -> Answered:
    """Give what a bundle says of spectra with values.

    Args:
        bundle: of the element that `joined` has.
        joined: spectra and values.
        replicates: "average" estimates from each sample's mean spectrum, "each" from every measurement.
        workers: who estimates; None for this process.
    """
    rows = replicate_rows(joined.spectra, replicates)
    chunks = [rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK)]
    said = (workers or OneProcess())(CarriedEstimator(Estimator(bundle)), chunks)
    return list(zip(rows, [answer for some in said for answer in some], strict=True))


def evaluate(
    bundle: Bundle, joined: Samples, replicates: Replicates = "average", answered: Answered | None = None
) -> Evaluation:
    """Estimate spectra and hold the answers against the laboratory's.

    Args:
        bundle: of the element that `joined` has, in the same unit.
        joined: spectra and values.
        replicates: "average" estimates from each sample's mean spectrum, "each" from every measurement.
        answered: by `answer_all`, if that is done already.

    Raises:
        TrainingDataError: another element or unit, or every spectrum was refused.
    """
    joined.require_of(bundle)
    answered = answer_all(bundle, joined, replicates) if answered is None else answered
    pairs = [(row, a) for row, a in answered if isinstance(a, Estimate)]
    refused = [a for _, a in answered if isinstance(a, Refusal)]
    if not pairs:
        raise TrainingDataError(f"every spectrum was refused, the first: {refused[0].source}: {refused[0].reason}")
    measured = np.array([joined.target[row.sample_id] for row, _ in pairs])
    predicted = np.array([a.value for _, a in pairs])
    trusted = np.array([a.trusted for _, a in pairs])
    inside = np.array([a.verdict == "inside" for _, a in pairs])
    intervals = [(a.low, a.high) for _, a in pairs if a.low is not None and a.high is not None]
    covered = low = high = None
    if len(intervals) == len(pairs):
        low, high = np.array(intervals).T
        covered = coverage(low, high, measured, bundle.calibrated_range)
    said = [row.condition for row, _ in pairs]
    has_transform = bundle.transform != "none" and (bundle.transform == "sqrt" or measured.min() > 0)
    known = trained_on(bundle)
    bounded = CarriedEstimator(Estimator(bundle))(replicate_rows(joined.bounded, replicates))
    return Evaluation(
        model=bundle.name,
        model_sha256=bundle.sha256,
        element=bundle.element,
        unit=bundle.unit,
        simulated=bundle.simulated or joined.simulated,
        samples=len({row.sample_id for row, _ in pairs}),
        rows=len(pairs),
        refused=len(joined.refused) + len(refused),
        outside=int(np.count_nonzero(~trusted)),
        trained_on=len(known.intersection(row.sample_id for row, _ in pairs)),
        stated_coverage=bundle.interval.coverage if bundle.interval else None,
        coverage=covered,
        all=measure(predicted, measured),
        inside=measure(predicted[inside], measured[inside]) if inside.any() else None,
        transform=bundle.transform,
        transformed=measure(forward(predicted, bundle.transform), forward(measured, bundle.transform))
        if has_transform
        else None,
        bounds=check_estimates(bounded, joined.bounds, bundle.calibrated_range, known),
        by_condition=score_conditions(
            said, predicted, measured, low, high, [row.sample_id for row, _ in pairs], bundle.calibrated_range
        )
        if any(said)
        else (),
    )


def trained_on(bundle: Bundle) -> set[str]:
    """Name the samples that a bundle says it was trained on or adapted by, those known as bounds among them."""
    lists = ("training_samples", "training_bounds", "adaptation_samples")
    return {name for of in lists for name in bundle.provenance.get(of, ())}


def held_out_only(joined: Samples, bundle: Bundle) -> Samples:
    """Keep the samples whose names the bundle was not trained on.

    Raises:
        TrainingDataError: none is left, or the bundle does not say what it was trained on.
    """
    known = trained_on(bundle)
    if not known:
        raise TrainingDataError(f"{bundle.name} does not say which samples it was trained on; leave --held-out away")
    target = {name: value for name, value in joined.target.items() if name not in known}
    if not target:
        raise TrainingDataError(f"{bundle.name} was trained on every one of these samples; none is left to evaluate")
    return replace(joined, target=target, spectra=tuple(s for s in joined.spectra if s.sample_id in target))


def as_record(evaluation: Evaluation) -> dict[str, Any]:
    """Give an evaluation as flat JSON values: plain names for all estimates, then `inside_...` and `log10_...`."""
    record = {k: v for k, v in vars(evaluation).items() if k not in _PARTS}
    record |= {f"bounds_{k}": v for k, v in vars(evaluation.bounds).items()}
    record |= evaluation.all.to_dict()
    for prefix, part in (("inside", evaluation.inside), (evaluation.transform, evaluation.transformed)):
        if part is not None:
            record |= {f"{prefix}_{k}": v for k, v in part.to_dict().items()}
    for score in evaluation.by_condition:
        name = score.condition or "unsaid"
        record |= {f"{name}_{k}": v for k, v in {**score.metrics.to_dict(), "coverage": score.coverage}.items()}
    return record


_PARTS = ("all", "inside", "transformed", "bounds", "by_condition")


def write(evaluation: Evaluation, out_format: Format, out: TextIO) -> None:
    """Write an evaluation as a table, JSON, a JSON line or CSV."""
    record = as_record(evaluation)
    if out_format == "table":
        out.write(table(evaluation))
    elif out_format == "csv":
        writer = csv.DictWriter(out, list(record), lineterminator="\n")
        writer.writeheader()
        writer.writerow(record)
    else:
        out.write(json.dumps(record, ensure_ascii=False, indent=1 if out_format == "json" else None) + "\n")


def table(evaluation: Evaluation) -> str:
    """Lay an evaluation out for people."""
    e = evaluation
    lines = []
    if e.simulated:
        lines += [SIMULATED, ""]
    lines.append(
        f"{e.element} by {e.model}: {_count(e.rows, 'estimate')} of {_count(e.samples, 'sample')}, "
        f"{e.refused} refused, "
        f"{e.outside} {WITHOUT_A_VALUE}"
    )
    if e.trained_on:
        lines.append(
            f"{e.trained_on} of the samples have names the model was trained on: the figures flatter (see --held-out)"
        )
    parts = [("all", e.unit, e.all)]
    if e.inside is not None and e.inside.n < e.all.n:
        parts.append(("inside only", e.unit, e.inside))
    if e.transformed is not None:
        parts.append((f"all, {e.transform}", "", e.transformed))
    lines += ["", metrics_table(parts)]
    if e.by_condition:
        lines += ["", conditions_table(e.by_condition, e.unit)]
    if e.coverage is not None and e.stated_coverage is not None:
        lines += ["", f"{100 * e.coverage:.1f} % of the values lie in their {100 * e.stated_coverage:g} % interval"]
    if e.bounds.total or e.bounds.trained_on:
        lines += ["", e.bounds.line()]
    return "\n".join(lines) + "\n"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def metrics_table(parts: Sequence[tuple[str, str, Metrics]]) -> str:
    """Lay metrics out side by side.

    Args:
        parts: heading, unit of the errors ("" for none), metrics.
    """

    def cell(metrics: Metrics, name: str, digits: int, unit: str) -> str:
        value = getattr(metrics, name)
        text = "-" if value is None else f"{value:.{digits}f}" if digits else plain(value)
        return f"{text} {shown_unit(unit)}" if unit and not digits and name != "n" else text

    rows = [
        (label, *(cell(metrics, name, digits, unit) for _, unit, metrics in parts))
        for label, name, digits in (("n", "n", 0), *FIGURES)
    ]
    return columns(("", *(heading for heading, _, _ in parts)), rows, between=3, widths_from=17)


def conditions_table(scores: Sequence[ConditionScore], unit: str) -> str:
    """Lay scores out, a condition a line."""

    def cell(value: float | None, digits: str) -> str:
        return "-" if value is None else f"{value:{digits}}"

    rows = [
        (
            score.name,
            str(score.metrics.n),
            cell(score.metrics.r2, ".3f"),
            f"{plain(score.metrics.rmse)} {shown_unit(unit)}".strip(),
            f"{plain(score.metrics.bias)} {shown_unit(unit)}".strip(),
            "-" if score.coverage is None else f"{100 * score.coverage:.0f} %",
        )
        for score in scores
    ]
    return columns(("ground", "samples", "R2", "RMSE", "bias", "in interval"), rows, between=3)
