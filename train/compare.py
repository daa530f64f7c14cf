"""Two bundles on the same soils: which is nearer to the laboratory, and whether that may be chance."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from ..converters.spectra.spectrum import Floats
from ..edge.chart import BLUE, GREY, VERMILLION, Chart, axis_over
from ..edge.jobs import CarriedEstimator
from ..edge.model.bundle import Bundle
from ..edge.model.estimate import Estimate, Estimator
from ..edge.model.target import forward
from ..edge.units import plain, shown_unit
from .crossval.metrics import Metrics, coverage, measure
from .errors import TrainingDataError
from .evaluate import WITHOUT_A_VALUE, metrics_table, trained_on
from .samples import Replicates, Samples, replicate_rows
from .terminal import SIMULATED

RESAMPLED = 2000
CONFIDENCE = 0.95
FEWEST = 6
"""Soils below which no paired test can reach 5 %."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two.

    Attributes:
        model, model_sha256: of the bundle.
        answers: (n,) its estimates, in the unit.
        metrics: of these.
        coverage: share of values inside their interval; None without intervals.
        width: median width of the intervals, in the unit; None without.
        outside: estimates that are no plain value, as `evaluate` counts them.
        refused: rows that it gives no estimate for.
        trained_on: soils whose names it was trained on.
    """

    model: str
    model_sha256: str
    answers: Floats
    metrics: Metrics
    coverage: float | None
    width: float | None
    outside: int
    refused: int
    trained_on: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two models held against the laboratory's values of the same soils.

    Attributes:
        element, unit, simulated: of the models; `simulated` also if any spectrum is.
        names: n soils that both answer.
        measured: (n,) of the laboratory.
        first, second: the models.
        difference: RMSE of the second minus that of the first, in the space of `transform`.
        low, high: 95 % bootstrap interval of it, soils resampled together.
        p: of Wilcoxon's signed-rank test on the absolute errors, two-sided; None of fewer than 6 soils.
        transform: space in which errors are compared: that of both models where it is one, else the unit.
    """

    element: str
    unit: str
    simulated: bool
    names: tuple[str, ...]
    measured: Floats
    first: Side
    second: Side
    difference: float
    low: float
    high: float
    p: float | None
    transform: str

    @property
    def says(self) -> str:
        """Which is better, in words."""
        if self.first.model_sha256 == self.second.model_sha256:
            same = f"both are one model (SHA-256 {self.first.model_sha256[:16]})"
            return f"No difference: {same}; name another to compare it with."
        if self.p is None:
            return f"{len(self.names)} soils are too few to tell which is better; {FEWEST} at least are needed."
        if self.p >= 1 - CONFIDENCE or self.low <= 0 <= self.high:
            return "No difference is shown: by chance alone the errors would differ as much."
        better = self.second if self.difference < 0 else self.first
        return f"{better.model} is nearer to the laboratory's values on these soils."

    def to_dict(self) -> dict[str, Any]:
        """Give the comparison as JSON values."""
        record: dict[str, Any] = {name: getattr(self, name) for name in ("element", "unit", "simulated", "transform")}
        record |= {"n": len(self.names), "rmse_difference": self.difference, "low": self.low, "high": self.high}
        record |= {"p": self.p, "says": self.says}
        for name, side in (("first", self.first), ("second", self.second)):
            values = {key: value for key, value in vars(side).items() if key not in ("answers", "metrics")}
            record |= {f"{name}_{key}": value for key, value in {**values, **asdict(side.metrics)}.items()}
        return record


def compare(
    first: Bundle, second: Bundle, samples: Samples, replicates: Replicates = "average", seed: int = 0
) -> Comparison:
    """Hold two bundles against the same laboratory values.

    Args:
        first, second: of the element and unit that `samples` has.
        samples: spectra and values.
        replicates: "average" estimates from each sample's mean spectrum, "each" from every measurement.
        seed: of the bootstrap.

    Returns:
        The comparison, on what both answer.

    Raises:
        TrainingDataError: another element or unit, or fewer than two soils that both answer.

    Notes:
        Wilcoxon 1945, Biometrics Bulletin 1(6):80; Efron & Tibshirani 1993, An Introduction to the Bootstrap.
    """
    for bundle in (first, second):
        samples.require_of(bundle)
    rows = replicate_rows(samples.spectra, replicates)
    found = [CarriedEstimator(Estimator(bundle))(rows) for bundle in (first, second)]
    both = [i for i in range(len(rows)) if all(isinstance(answers[i], Estimate) for answers in found)]
    if len({rows[i].sample_id for i in both}) < 2:
        raise TrainingDataError(f"{len(both)} of {len(rows)} spectra are answered by both models; nothing to compare")
    measured = np.array([samples.target[rows[i].sample_id] for i in both])
    sides = []
    for bundle, name, answers in zip((first, second), _told_apart(first, second), found, strict=True):
        known = trained_on(bundle)
        usable: list[Estimate] = [answers[i] for i in both]  # type: ignore[misc]
        values = np.array([one.value for one in usable])
        covered = width = None
        if all(one.low is not None and one.high is not None for one in usable):
            low, high = np.array([(one.low, one.high) for one in usable], dtype=np.float64).T
            covered, width = coverage(low, high, measured, bundle.calibrated_range), float(np.median(high - low))
        sides.append(
            Side(
                model=name,
                model_sha256=bundle.sha256,
                answers=values,
                metrics=measure(values, measured),
                coverage=covered,
                width=width,
                outside=sum(not one.trusted for one in usable),
                refused=sum(not isinstance(one, Estimate) for one in answers),
                trained_on=len({rows[i].sample_id for i in both} & known),
            )
        )
    transform = first.transform if first.transform == second.transform else "none"
    if transform == "log10" and measured.min() <= 0:
        transform = "none"
    a, b = (np.abs(forward(side.answers, transform) - forward(measured, transform)) for side in sides)
    names = [rows[i].sample_id for i in both]
    difference, low, high = _rmse_difference(a, b, names, seed)
    return Comparison(
        element=samples.element,
        unit=samples.unit,
        simulated=first.simulated or second.simulated or samples.simulated,
        names=tuple(names),
        measured=measured,
        first=sides[0],
        second=sides[1],
        difference=difference,
        low=low,
        high=high,
        p=_signed_rank(a, b, names),
        transform=transform,
    )


def _told_apart(first: Bundle, second: Bundle) -> list[str]:
    # An old model and a new one are often of one name, in two folders: as much of their paths as tells them apart.
    paths = [os.path.abspath(bundle.path) for bundle in (first, second)]
    if first.name != second.name:
        return [first.name, second.name]
    if paths[0] == paths[1]:
        return [f"first {first.name}", f"second {second.name}"]
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [os.path.relpath(path, common) for path in paths]


def _rmse_difference(a: Floats, b: Floats, names: list[str], seed: int) -> tuple[float, float, float]:
    """Give the difference and its bootstrap interval; measurements of one soil are drawn together."""
    unique = list(dict.fromkeys(names))
    of = np.array([unique.index(name) for name in names])
    counts = np.bincount(of)
    squares = np.stack([np.bincount(of, errors**2) for errors in (a, b)])
    draws = np.random.default_rng(seed).integers(0, len(unique), (RESAMPLED, len(unique)))
    sums, n = squares[:, draws].sum(axis=2), counts[draws].sum(axis=1)
    drawn = np.sqrt(sums[1] / n) - np.sqrt(sums[0] / n)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    whole = np.sqrt(squares.sum(axis=1) / len(names))
    return float(whole[1] - whole[0]), float(low), float(high)


def _signed_rank(a: Floats, b: Floats, names: list[str]) -> float | None:
    unique = list(dict.fromkeys(names))
    of = np.array([unique.index(name) for name in names])
    apart = np.bincount(of, b - a) / np.bincount(of)
    if len(unique) < FEWEST:
        return None
    return 1.0 if not apart.any() else float(stats.wilcoxon(apart).pvalue)


def table(comparison: Comparison) -> str:
    """Lay a comparison out for people."""
    c = comparison
    lines = []
    if c.simulated:
        lines += [SIMULATED, ""]
    lines += [f"{c.element} of {len(c.names)} soils that both models answer", ""]
    lines.append(metrics_table([(side.model, c.unit, side.metrics) for side in (c.first, c.second)]))
    lines.append("")
    for side in (c.first, c.second):
        said = [f"{side.outside} {WITHOUT_A_VALUE}", f"{side.refused} refused"]
        if side.coverage is not None and side.width is not None:
            width = f"median width {plain(side.width)} {shown_unit(c.unit)}"
            said.append(f"{100 * side.coverage:.1f} % of the values in their interval, {width}")
        if side.trained_on:
            said.append(f"TRAINED on {side.trained_on} of these soils: its figures flatter")
        lines.append(f"{side.model}: {'; '.join(said)}")
    space = shown_unit(c.unit) if c.transform == "none" else c.transform
    tested = "" if c.p is None else f"; Wilcoxon's signed-rank test p = {c.p:.3g}"
    lines += [
        "",
        f"RMSE of {c.second.model} minus {c.first.model}: {c.difference:+.4g} {space} "
        f"(95 % {c.low:+.4g} to {c.high:+.4g}){tested}",
        c.says,
    ]
    return "\n".join(lines) + "\n"


def draw(comparison: Comparison, kind: str) -> list[tuple[str, str]]:
    """Draw both models beside the laboratory, and their errors beside each other; (title, SVG) each.

    Args:
        comparison: to draw.
        kind: how the axes are spaced: none, sqrt or log10.
    """
    c = comparison
    spaced: Any = kind
    unit, element = shown_unit(c.unit), c.element.replace("_", " ")
    figures = []
    values = [c.measured, c.first.answers, c.second.answers]
    for side, colour in ((c.first, BLUE), (c.second, VERMILLION)):
        x = axis_over(f"{element} by the laboratory ({unit})", *values, kind=spaced)
        y = axis_over(f"{element} by {side.model} ({unit})", *values, kind=spaced)
        chart = Chart(x, y, f"{side.model} beside the laboratory", height=360)
        chart.line([x.low, x.high], [x.low, x.high], GREY, dash="4 3")
        titles = [
            f"{name}: {plain(a)}, laboratory {plain(m)}"
            for name, a, m in zip(c.names, side.answers, c.measured, strict=True)
        ]
        chart.points(c.measured, side.answers, colour, titles=titles)
        figures.append(
            (f"{side.model}: R2 {'-' if side.metrics.r2 is None else f'{side.metrics.r2:.3f}'}", chart.svg(c.simulated))
        )
    errors = [np.abs(side.answers - c.measured) for side in (c.first, c.second)]
    x = axis_over(f"error of {c.first.model} ({unit})", *errors, kind="sqrt")
    y = axis_over(f"error of {c.second.model} ({unit})", *errors, kind="sqrt")
    chart = Chart(x, y, "Errors of both models", height=360)
    chart.line([x.low, x.high], [x.low, x.high], GREY, dash="4 3")
    chart.points(errors[0], errors[1], BLUE, titles=list(c.names))
    figures.append(("Errors: above the line the first model is nearer", chart.svg(c.simulated)))
    return figures
