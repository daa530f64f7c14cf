"""What the log's estimates were worth, now that the laboratory's results are in; and whether to calibrate again.

References:
    Student 1908, Biometrika 6(1):1 (the bias); the share inside is held against a binomial distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..converters.spectra.spectrum import Floats
from ..edge.log.columns import StoredModel
from ..edge.log.read import Entry
from ..edge.model.estimate import Estimate
from ..edge.model.interval import holding
from ..edge.units import shown_unit
from .assays.table import Assays, as_unit
from .crossval.metrics import NOWHERE_OPEN, Metrics, measure
from .errors import TrainingDataError
from .samples import did_you_mean, few

SIGNIFICANT = 0.05
"""Chance by which a calibration that holds would be called one that does not, of both tests together."""
FEWEST = 5
"""Samples below which no test says anything."""


@dataclass(frozen=True)
class Watched:
    """One model's estimates in the log beside later assays.

    Attributes:
        model, model_sha256, element, unit: whose estimates these are.
        simulated: True if the model or a spectrum of these is.
        samples: with an estimate and an assay, each counted once.
        without_value: of these, answered with a bound or outside the calibration; they count all the same.
        logarithmic: whether bias and its test are of logarithms, as where all values are above zero.
        bias: mean of estimate minus assay, in the unit; the mean ratio less 1 where it is logarithmic.
        bias_p: chance of so much bias by accident.
        stated_coverage, covered: share promised and found inside intervals; None without intervals.
        coverage_p: chance of so few inside by accident.
        metrics: of all estimates.
        advice: in words, with what it stands on.
        recalibrate: True if one of the tests says so; None if there are too few samples to say.
    """

    model: str
    model_sha256: str
    element: str
    unit: str
    simulated: bool
    samples: int
    without_value: int
    logarithmic: bool
    bias: float
    bias_p: float | None
    stated_coverage: float | None
    covered: float | None
    coverage_p: float | None
    metrics: Metrics
    advice: str
    recalibrate: bool | None


def evaluate_log(entries: Iterable[Entry], assays: Assays) -> list[Watched]:
    """Hold the estimates of a log against assays, for each model apart.

    A sample that was measured several times counts once, by the last reading that a model answered: what a person would
    have acted on. Blanks, check soils and duplicates of the routine are no samples.

    Args:
        entries: of the log, with every estimate, in the order of time.
        assays: of one element; bounds are passed over.

    Raises:
        TrainingDataError: no estimate has an assay, or they are in another unit.
    """
    wanted, order = assays.plain.keys(), assays.values
    latest: dict[StoredModel, dict[str, Estimate]] = {}
    seen: set[str] = set()
    units: set[str] = set()
    for entry in entries:
        reading = entry.reading
        if reading is None or reading.sample_kind not in ("", "sample"):
            continue
        seen.add(reading.sample_id)
        for answer in entry.estimates:
            outcome = answer.outcome
            if not isinstance(outcome, Estimate) or answer.model is None or reading.sample_id not in wanted:
                continue
            if outcome.element.lower() != assays.element.lower():
                continue
            units.add(shown_unit(outcome.unit))
            if as_unit(assays, outcome.unit).unit == outcome.unit:
                latest.setdefault(answer.model, {})[reading.sample_id] = outcome
    missing = [name for name in order if name not in seen]
    if meant := did_you_mean(sorted(seen - order.keys()), missing, missing):
        raise TrainingDataError(f"{assays.path}: {meant}")
    if units and not latest:
        raise TrainingDataError(
            f"{assays.path}: has {assays.element} in {shown_unit(assays.unit)}, and the log's estimates are in "
            f"{', '.join(sorted(units))}: write the assays so"
        )
    if not latest:
        raise TrainingDataError(
            f"{assays.path}: no sample with {assays.element} has an estimate of it in the log, whose samples are "
            f"{few(sorted(seen))}; the names must be the same"
        )
    return [_watched(model, found, assays) for model, found in latest.items()]


def _watched(model: StoredModel, estimates: Mapping[str, Estimate], assays: Assays) -> Watched:
    answers = list(estimates.values())
    wanted = as_unit(assays, answers[0].unit).plain
    predicted = np.array([a.value for a in answers])
    measured = np.array([wanted[name] for name in estimates])
    logarithmic = bool(predicted.min() > 0 and measured.min() > 0)
    errors = np.log10(predicted / measured) if logarithmic else predicted - measured
    n = errors.size
    bias = 10 ** float(errors.mean()) - 1 if logarithmic else float(errors.mean())
    with_ends = [
        (bool(holding(a.low, a.high, value, model.calibrated_range or NOWHERE_OPEN)), a.coverage)
        for a, value in zip(answers, measured.tolist(), strict=True)
        if a.low is not None and a.high is not None and a.coverage is not None
    ]
    inside = sum(held for held, _ in with_ends)
    stated = float(np.mean([coverage for _, coverage in with_ends])) if with_ends else None
    bias_p = _bias_p(errors) if n >= FEWEST else None
    coverage_p = _few_inside_p(inside, len(with_ends), stated) if stated is not None and n >= FEWEST else None
    recalibrate, advice = _advice(n, bias, logarithmic, answers[0].unit, bias_p, coverage_p)
    return Watched(
        model=model.name,
        model_sha256=model.sha256,
        element=answers[0].element,
        unit=answers[0].unit,
        simulated=any(a.simulated for a in answers),
        samples=n,
        without_value=sum(not a.trusted for a in answers),
        logarithmic=logarithmic,
        bias=bias,
        bias_p=bias_p,
        stated_coverage=stated,
        covered=inside / len(with_ends) if with_ends else None,
        coverage_p=coverage_p,
        metrics=measure(predicted, measured),
        advice=advice,
        recalibrate=recalibrate,
    )


def _bias_p(errors: Floats) -> float:
    """Two-sided t test of a mean of zero."""
    from scipy.stats import t

    spread = float(errors.std(ddof=1)) / math.sqrt(errors.size)
    if spread == 0:
        return 1.0 if errors.mean() == 0 else 0.0
    return float(2 * t.sf(abs(float(errors.mean())) / spread, errors.size - 1))


def _few_inside_p(inside: int, of: int, stated: float) -> float:
    """Chance of so few or fewer inside, if each is inside by the stated share."""
    from scipy.stats import binom

    return float(binom.cdf(inside, of, stated))


def _advice(
    n: int, bias: float, logarithmic: bool, unit: str, bias_p: float | None, coverage_p: float | None
) -> tuple[bool | None, str]:
    if bias_p is None:
        return None, f"{n} samples cannot tell whether the calibration holds; at least {FEWEST} are needed"
    # Two tests: each gets half (Bonferroni).
    limit = SIGNIFICANT / 2
    of = f"{100 * bias:+.3g} %" if logarithmic else f"{bias:+.3g} {shown_unit(unit)}".rstrip()
    found = [f"bias {of} (t test, p = {bias_p:.2g})"] if bias_p < limit else []
    if coverage_p is not None and coverage_p < limit:
        found.append(f"too few values inside their intervals (binomial test, p = {coverage_p:.2g})")
    if found:
        return True, f"RECALIBRATE: {'; '.join(found)}. stibium adapt takes these samples"
    said = f"bias p = {bias_p:.2g}" + (f", coverage p = {coverage_p:.2g}" if coverage_p is not None else "")
    return False, f"the calibration holds as far as {n} samples tell ({said})"


def as_record(found: Watched) -> dict[str, Any]:
    """Give it as flat JSON values."""
    return {k: v for k, v in vars(found).items() if k != "metrics"} | found.metrics.to_dict()
