"""Figures from plain arrays. Each is an SVG text with a description for those who cannot see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.chart import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    Anchor,
    Axis,
    Chart,
    Mark,
    Shape,
    axis_over,
    diverging,
    drawing,
    fixed,
    hexadecimal,
    image,
    number,
    sequential,
    written_percent,
)
from ...edge.model.target import Transform, forward
from ...edge.units import plain, shown_unit
from ..assays.findings import DuplicatePair
from ..assays.statistics import Correlations
from ..crossval.metrics import measure
from ..crossval.validation import R2_LOG10, Validation, quartiles
from ..formats import QuantisationFormats
from ..methods.rounding import MOST_ADDED
from .bands import known_bands
from .contents import (
    BandProfile,
    DomainPart,
    LearningCurves,
    PredictedSet,
    PrintedTables,
    ReportContents,
    SampleCurves,
    SpectraTrace,
    StepResult,
    in_words,
)

SET_STYLES: tuple[tuple[str, Shape], ...] = (
    (BLUE, "ring"),
    (VERMILLION, "diamond"),
    (GREEN, "square"),
    (PURPLE, "circle"),
)
ELEMENT_STYLES: tuple[tuple[str, Shape], ...] = (
    (VERMILLION, "circle"),
    (BLUE, "diamond"),
    (GREEN, "square"),
    (PURPLE, "circle"),
    (ORANGE, "diamond"),
    (SKY, "square"),
)
BAND_LABELS_TOP = 34


@dataclass(frozen=True)
class Look:
    """What figures of one report share: element and unit, the spacing of grades, and whether it is simulated."""

    element: str
    unit: str
    transform: Transform
    simulated: bool

    @classmethod
    def at(cls, contents: ReportContents) -> Look:
        """Take it from a report's contents, the unit as people write it."""
        return cls(in_words(contents.element), shown_unit(contents.unit), contents.transform, contents.simulated)

    @property
    def of(self) -> str:
        """Element with unit, such as "Sb (ppm)"."""
        return f"{self.element} ({self.unit})" if self.unit else self.element

    def spacing(self, *values: ArrayLike) -> Transform:
        """Give the spacing of axes of grade: the transform's, unless a value has no place in it."""
        lowest = min(float(np.min(v)) for v in values)
        if (self.transform == "log10" and lowest <= 0) or (self.transform == "sqrt" and lowest < 0):
            return "none"
        return self.transform

    def spacing_of(self, sets: Sequence[PredictedSet]) -> Transform:
        """Give the spacing of axes that show measured and predicted grades."""
        return self.spacing(*(v for s in sets for v in (s.measured, s.predicted)))


def draw_step(step: StepResult, samples: Sequence[str], grade: Floats, look: Look) -> str:
    """Draw spectra after one step, coloured from low grade (dark) to high (light), known bands marked."""
    x = Axis("wavelength (nm)", float(step.wavelengths_nm[0]), float(step.wavelengths_nm[-1]))
    y = axis_over(step.y_label, step.values)
    alt = (
        f"{step.name}: {len(samples)} spectra from {x.low:.0f} to {x.high:.0f} nm, {step.y_label} from "
        f"{number(float(step.values.min()), 3)} to {number(float(step.values.max()), 3)}."
    )
    chart = Chart(x, y, alt, height=270, top=BAND_LABELS_TOP, x_grid=False)
    _mark_bands(chart, look.element)
    colours = [hexadecimal(c) for c in sequential(_ranks(grade))]
    for name, value, colour, spectrum in zip(samples, grade, colours, step.values, strict=True):
        chart.line(step.wavelengths_nm, spectrum, colour, title=f"{name}: {number(float(value), 4)} {look.unit}")
    return chart.svg(look.simulated)


def _ranks(values: Floats) -> Floats:
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(order / max(len(values) - 1, 1), dtype=np.float64)


def _mark_bands(chart: Chart, element: str, shade: bool = True) -> None:
    bands = known_bands(element, chart.x.low, chart.x.high)
    for band in bands:
        if shade and band.last_nm - band.first_nm <= 150:
            chart.span(band.first_nm, band.last_nm)
    for band in bands:
        ends = np.clip([band.first_nm, band.last_nm], chart.x.low, chart.x.high)
        a, b = chart.px(ends)
        y = chart.top - 20 if band.row == 0 else chart.top - 7
        wide = band.last_nm - band.first_nm > 150
        anchor: Anchor = "start" if wide or a < chart.left + 20 else "end" if b > chart.right - 20 else "middle"
        at = a if anchor == "start" else b if anchor == "end" else (a + b) / 2
        chart.text(at, y, band.label, anchor=anchor, colour="#7a6220", size=10.5)
        if wide:
            chart.raw(f'<path d="M{a:.1f} {chart.top - 2}H{b:.1f}" stroke="#b8973a" stroke-width="3"/>')


def draw_spectrogram(trace: SpectraTrace, look: Look) -> str:
    """Draw the mean spectrogram, logarithm of the magnitude, each frame at its wavelengths."""
    spectrogram, centres = trace.spectrogram, trace.frame_centres_nm
    if spectrogram is None or centres is None:
        raise ValueError("there is no spectrogram to draw")
    frames, bins = spectrogram.shape
    level = np.log10(np.maximum(spectrogram, np.max(spectrogram) * 1e-6))
    low, high = float(level.min()), float(level.max())
    half = float(centres[1] - centres[0]) / 2 if frames > 1 else 50.0
    chart = Chart(
        Axis("centre of the frame (nm)", float(centres[0]) - half, float(centres[-1]) + half),
        Axis("frequency bin", 0, bins),
        f"Mean spectrogram of {len(trace.samples)} spectra: {frames} frames of {bins} frequency bins, log10 magnitude "
        f"from {low:.1f} to {high:.1f}.",
        height=270,
        top=BAND_LABELS_TOP,
        x_grid=False,
    )
    _mark_bands(chart, look.element, shade=False)
    share = (level - low) / (high - low) if high > low else np.zeros_like(level)
    width, height = chart.right - chart.left, chart.bottom - chart.top
    chart.raw(image(sequential(share).transpose(1, 0, 2)[::-1], chart.left, chart.top, width, height))
    at = chart.height - 8
    chart.text(chart.left - 46, at, f"log₁₀ {number(low, 2)}", size=10.5, colour=GREY)
    chart.raw(image(sequential(np.linspace(0, 1, 32))[None], chart.left + 12, at - 8, 48, 8))
    chart.text(chart.left + 66, at, number(high, 2), size=10.5, colour=GREY)
    return chart.svg(look.simulated)


def draw_learning(curves: LearningCurves, look: Look) -> str:
    """Draw training and validation loss by epoch, on a logarithmic axis, and the epoch that was kept."""
    floor = 1e-6
    training, validation = np.maximum(curves.training, floor), np.maximum(curves.validation, floor)
    best = float(validation[np.flatnonzero(curves.epoch == curves.best_epoch)[0]])
    x = Axis("epoch", float(curves.epoch[0]), float(max(curves.epoch[-1], curves.epoch[0] + 1)))
    y = axis_over("loss", training, validation, kind="log10", pad=0.1)
    alt = (
        f"Learning curves over {len(curves.epoch)} epochs: training loss ends at {training[-1]:.3g}, validation loss "
        f"at {validation[-1]:.3g}; lowest validation loss {best:.3g} in epoch {curves.best_epoch}."
    )
    chart = Chart(x, y, alt, top=40)
    chart.line(curves.epoch, training, BLUE, width=1.6, dash="5 3")
    chart.line(curves.epoch, validation, VERMILLION, width=1.8)
    chart.rule(x=float(curves.best_epoch), colour=GREY, dash="2 3")
    chart.points([curves.best_epoch], [best], VERMILLION, shape="diamond", size=4.5)
    at = float(chart.px(curves.best_epoch))
    late = at > (chart.left + chart.right) / 2
    chart.text(
        at - 8 if late else at + 8,
        chart.bottom - 8,
        f"kept: epoch {curves.best_epoch}, {best:.3g}",
        anchor="end" if late else "start",
    )
    _legend_above(chart, [("training", BLUE, "dashes"), ("validation", VERMILLION, "line")])
    return chart.svg(look.simulated)


def draw_by_samples(curves: SampleCurves, look: Look) -> str:
    """Draw the error on samples fitted to and on others, by number of samples."""
    low, high = float(curves.samples[0]), float(curves.samples[-1])
    x = Axis("samples fitted to", low - 0.05 * (high - low), high + 0.05 * (high - low))
    y = axis_over(f"RMSE ({look.unit})" if look.unit else "RMSE", [0.0], curves.training, curves.validation)
    alt = "Error by number of samples: " + "; ".join(
        f"{n:.0f} samples, {number(t, 3)} on those fitted to, {number(v, 3)} on others"
        for n, t, v in zip(curves.samples, curves.training, curves.validation, strict=True)
    )
    chart = Chart(x, y, f"{alt}.", top=40)
    chart.line(curves.samples, curves.training, BLUE, width=1.6, dash="5 3")
    chart.line(curves.samples, curves.validation, VERMILLION, width=1.8)
    chart.points(curves.samples, curves.training, BLUE, shape="circle", size=4.0)
    chart.points(curves.samples, curves.validation, VERMILLION, shape="diamond", size=4.5)
    _legend_above(chart, [("fitted to", BLUE, "dashes"), ("left out", VERMILLION, "line")])
    return chart.svg(look.simulated)


def _legend_above(chart: Chart, entries: Sequence[tuple[str, str, Mark]]) -> None:
    top = chart.top
    chart.top = 4
    chart.legend(entries)
    chart.top = top


def draw_predictions(part: PredictedSet, every: Sequence[PredictedSet], which: int, look: Look) -> str:
    """Draw predicted against measured with intervals; all sets of a report share the axes."""
    shown = [v for s in every for v in (s.measured, s.predicted, s.low, s.high) if v is not None]
    kind = look.spacing(*shown)
    x = axis_over(f"measured {look.of}", *shown, kind=kind)
    y = Axis(f"predicted {look.of}", x.low, x.high, kind)
    figures = measure(part.predicted, part.measured)
    r2 = "–" if figures.r2 is None else fixed(figures.r2)
    alt = (
        f"Predicted against measured {look.of} of {len(part.measured)} {part.name} rows: R2 {r2}, RMSE "
        f"{plain(figures.rmse, 3)} {look.unit}, "
        f"measured from {plain(part.measured.min(), 3)} to {plain(part.measured.max(), 3)}."
    )
    # What is said of a set stands above it: within, it would hide a soil in a corner.
    chart = Chart(x, y, alt, height=430, top=44)
    chart.line([x.low, x.high], [x.low, x.high], INK, width=1)
    colour, shape = SET_STYLES[which % len(SET_STYLES)]
    if part.low is not None and part.high is not None:
        chart.whiskers(part.measured, part.low, part.high, colour)
    titles = []
    for at, name in enumerate(part.samples):
        said = f"{name}: measured {number(part.measured[at], 4)}, predicted {number(part.predicted[at], 4)} {look.unit}"
        if part.low is not None and part.high is not None:
            said += f" ({number(part.low[at], 4)} to {number(part.high[at], 4)})"
        titles.append(said)
    chart.points(part.measured, part.predicted, colour, shape=shape, titles=titles)
    if part.outside is not None and part.outside.any():
        xs, ys = chart.px(part.measured[part.outside]), chart.py(part.predicted[part.outside])
        rings = "".join(f'<ellipse cx="{a:.1f}" cy="{b:.1f}" rx="7" ry="7"/>' for a, b in zip(xs, ys, strict=True))
        chart.raw(f'<g fill="none" stroke="{INK}" stroke-width="1.2">{rings}</g>')
    chart.text(chart.left, 14, part.name, bold=True, size=13)
    facts = [f"R² {r2}", f"RMSE {number(figures.rmse, 3)} {look.unit}", f"n {len(part.measured)}"]
    if kind != "none":
        # What the axes show; a few high grades decide the plain figure alone.
        of_axes = measure(forward(part.predicted, kind), forward(part.measured, kind))
        facts.append(f"R² of {kind} {'–' if of_axes.r2 is None else fixed(of_axes.r2)}")
    chart.text(chart.left, 32, " · ".join(facts))
    return chart.svg(look.simulated)


def residuals_of(part: PredictedSet, transform: Transform) -> Floats:
    """Give (n,) residuals as they are drawn: the ratio of predicted to measured on log axes, else the difference."""
    if transform == "log10":
        return np.asarray(part.predicted / part.measured)
    return np.asarray(part.predicted - part.measured)


def draw_residuals(part: PredictedSet, every: Sequence[PredictedSet], which: int, look: Look) -> str:
    """Draw residuals against grade: as factors on log axes, as differences else; means of quarters as bars."""
    kind = look.spacing_of(every)
    all_residuals = [residuals_of(s, kind) for s in every]
    residuals = all_residuals[which]
    x = axis_over(f"measured {look.of}", *(s.measured for s in every), kind=kind)
    if kind == "log10":
        furthest = max(float(np.abs(np.log10(r)).max()) for r in all_residuals)
        end = 10 ** max(1.12 * furthest, 0.1)
        y, neutral, what = Axis("predicted / measured", 1 / end, end, "log10"), 1.0, "factors"
    else:
        furthest = 1.12 * max(float(np.abs(r).max()) for r in all_residuals) or 1.0
        y, neutral, what = Axis(f"predicted − measured ({look.unit})", -furthest, furthest), 0.0, "differences"
    chart = Chart(
        x,
        y,
        f"Residuals of {len(residuals)} {part.name} rows against measured {look.of}, as {what} from "
        f"{number(float(residuals.min()), 3)} to {number(float(residuals.max()), 3)}.",
        height=296,
        top=26,
        left=66,
    )
    chart.rule(y=neutral)
    colour, shape = SET_STYLES[which % len(SET_STYLES)]
    verb = "times" if kind == "log10" else "off by"
    titles = [
        f"{s}: measured {number(float(m), 4)} {look.unit}, {verb} {number(float(r), 3)}"
        for s, m, r in zip(part.samples, part.measured, residuals, strict=True)
    ]
    chart.points(part.measured, residuals, colour, shape=shape, titles=titles)
    for low, high, rows in grade_classes(part.measured, *(s.measured for s in every)):
        if rows.size:
            centre = forward(residuals[rows], kind if kind == "log10" else "none").mean()
            at = 10**centre if kind == "log10" else centre
            chart.line([low, high], [at, at], INK, width=3)
    chart.text(chart.left, 14, part.name, bold=True, size=13)
    return chart.svg(look.simulated)


def grade_classes(measured: Floats, *every: Floats) -> list[tuple[float, float, NDArray[np.intp]]]:
    """Divide samples into classes of grade, those of a validation: quarters of all samples, fewer than eight are one.

    Args:
        measured: (n,) grades of one set.
        every: grades of all sets, (m,) each; tables and figures side by side then have the same classes.

    Returns:
        Of each class its lowest and highest grade among all sets, and its rows of `measured`.
    """
    together = np.concatenate(every or (measured,))
    bounds = quartiles(together) if len(together) >= 8 else np.empty(0)
    of_all, of_one = (np.searchsorted(bounds, grades, side="right") for grades in (together, measured))
    classes = ((together[of_all == i], np.flatnonzero(of_one == i)) for i in range(bounds.size + 1))
    return [(float(grades.min()), float(grades.max()), rows) for grades, rows in classes if grades.size]


def plotted_merit(validation: Validation) -> str | None:
    """Choose which figure of merit is drawn: R2, or of log10 where that decides; None without either."""
    for name in (R2_LOG10, "r2") if validation.decide_by == "median" else ("r2",):
        known = [s.metrics[name].mean is not None for s in validation.scores]
        if all(known) or (name == "r2" and any(known)):
            return name
    return None


def repeats_of(validation: Validation, name: str) -> int:
    """Count the repeats that have a figure of merit."""
    return max(sum(v is not None for v in s.metrics[name].values) for s in validation.scores)


def draw_baselines(validation: Validation, ours: str | None, look: Look) -> str:
    """Draw one figure of merit of every method: each repeat a dot, their mean and standard deviation beside it."""
    plotted = plotted_merit(validation) or "r2"
    what = "R² of log10" if plotted == R2_LOG10 else "R²"
    found = [(s.method, s.metrics[plotted], s.metrics[plotted].mean) for s in validation.scores]
    rows = [(name, spread, mean) for name, spread, mean in found if mean is not None]
    ends = [v for _, s, mean in rows for v in (*s.values, mean - (s.sd or 0), mean + (s.sd or 0)) if v is not None]
    short = [name if len(name) < 24 else name[:22] + "…" for name, _, _ in rows]
    ticks = [(float(len(rows) - 1 - i), name) for i, name in enumerate(short)]
    longest = max(len(text) for _, text in ticks)
    chart = Chart(
        axis_over(what, ends, pad=0.08),
        Axis("", -0.6, len(rows) - 0.4),
        f"{what} of {len(rows)} models: "
        + ", ".join(f"{name} {number(m, 3)}" + (f" ± {number(s.sd, 2)}" if s.sd else "") for name, s, m in rows)
        + ".",
        height=60 + 40 * len(rows),
        left=int(min(170, 16 + 6.6 * longest)),
        y_ticks=ticks,
    )
    for (at, _), (name, spread, mean) in zip(ticks, rows, strict=True):
        colour = VERMILLION if name == ours else BLUE
        repeats = [v for v in spread.values if v is not None]
        if len(repeats) > 1:
            chart.points(repeats, [at - 0.22] * len(repeats), colour, size=2.6)
        if spread.sd:
            chart.level_whiskers([at], [mean - spread.sd], [mean + spread.sd], colour)
        chart.points([mean], [at], colour, shape="diamond" if name == ours else "square", size=5, titles=[name])
        x, y = float(chart.px(mean)), float(chart.py(at)) - 9
        chart.text(x, y, number(mean, 3), anchor="middle", bold=name == ours)
    return chart.svg(look.simulated)


def draw_ladder(ladder: QuantisationFormats, look: Look) -> str:
    """Draw how much each quantisation format adds to the error, the limit, and which was chosen."""
    rows = [(rung.format, 100 * rung.added) for rung in ladder.results if rung.added is not None]
    added, limit = np.array([percent for _, percent in rows]), 100 * MOST_ADDED
    at = np.arange(len(rows))[::-1].astype(float)
    chart = Chart(
        axis_over("added RMSE (%)", [0.0, limit, *added], pad=0.12),
        Axis("", -0.6, len(rows) - 0.4),
        "Added RMSE by format: "
        + ", ".join(f"{n} {written_percent(by, 3)}{', chosen' if n == ladder.chosen else ''}" for n, by in rows)
        + f"; the limit is {limit:g} %.",
        height=58 + 34 * len(rows),
        left=78,
        y_ticks=[(float(a), name) for a, (name, _) in zip(at, rows, strict=True)],
    )
    chart.bars(at, 0.0, added, [VERMILLION if name == ladder.chosen else SKY for name, _ in rows])
    chart.rule(x=0.0)
    chart.rule(x=limit, dash="4 3")
    chart.text(float(chart.px(limit)), chart.top - 3, f"limit {limit:g} %", anchor="middle", size=10.5)
    for a, (name, percent) in zip(at, rows, strict=True):
        end = float(chart.px(max(percent, 0.0)))
        chosen = name == ladder.chosen
        right = end > chart.right - 90
        text = written_percent(percent, 2) + (" ✓ chosen" if chosen else "")
        y = float(chart.py(a)) + 4
        chart.text(end - 6 if right else end + 6, y, text, anchor="end" if right else "start", bold=chosen)
    return chart.svg(look.simulated)


def draw_domain(part: DomainPart, look: Look) -> str:
    """Draw Hotelling T2 against the Q residual, both over their limits, on log axes; inside is lower left."""
    floor = 1e-3
    t2 = [np.maximum(s.t2_over_limit, floor) for s in part.sets]
    q = [np.maximum(s.q_over_limit, floor) for s in part.sets]
    counts = [int(np.count_nonzero((s.t2_over_limit > 1) | (s.q_over_limit > 1))) for s in part.sets]
    chart = Chart(
        axis_over("Hotelling T² / limit", *t2, [2.0], kind="log10"),
        axis_over("Q residual / limit", *q, [2.0], kind="log10"),
        "Calibration domain, Hotelling T2 against Q residual over their limits: "
        + ", ".join(f"{c} of {len(s.samples)} {s.name} spectra outside" for c, s in zip(counts, part.sets, strict=True))
        + ".",
        height=380,
        top=30,
    )
    a, b = float(chart.px(1.0)), float(chart.py(1.0))
    inside = f'width="{a - chart.left:.1f}" height="{chart.bottom - b:.1f}" fill="#e6f3ee"'
    chart.raw(f'<rect x="{chart.left}" y="{b:.1f}" {inside}/>')
    chart.rule(x=1.0, dash="4 3")
    chart.rule(y=1.0, dash="4 3")
    for i, (part_set, xs, ys) in enumerate(zip(part.sets, t2, q, strict=True)):
        colour, shape = SET_STYLES[i % len(SET_STYLES)]
        titles = [
            f"{s}: T² {number(float(u), 3)}, Q {number(float(v), 3)} times the limit"
            for s, u, v in zip(part_set.samples, part_set.t2_over_limit, part_set.q_over_limit, strict=True)
        ]
        chart.points(xs, ys, colour, shape=shape, titles=titles)
    # Calibration spectra gather below and to the left; right under the limit there is room.
    chart.text(chart.left + 8, b + 15, "inside the calibration", colour=GREEN, size=11.5)
    _legend_above(chart, [(s.name, *SET_STYLES[i % len(SET_STYLES)]) for i, s in enumerate(part.sets)])
    return chart.svg(look.simulated)


def draw_importance(profile: BandProfile, look: Look) -> str:
    """Draw how much each stretch of wavelengths counts, known bands marked."""
    top = int(np.argmax(profile.height))
    middle = (profile.first_nm + profile.last_nm) / 2
    ends = [0.0, float(profile.height.max()) or 1.0, *([profile.threshold] if profile.threshold else [])]
    chart = Chart(
        Axis("wavelength (nm)", float(profile.first_nm[0]), float(profile.last_nm[-1])),
        Axis(profile.y_label, 0.0, 1.08 * max(ends)),
        f"{profile.name}, {len(profile.height)} stretches of wavelengths from {profile.first_nm[0]:.0f} to "
        f"{profile.last_nm[-1]:.0f} nm; the highest at {middle[top]:.0f} nm.",
        height=250,
        top=BAND_LABELS_TOP,
        x_grid=False,
    )
    _mark_bands(chart, look.element)
    titles = [
        f"{a:.0f}–{b:.0f} nm: {number(float(h), 3)}"
        for a, b, h in zip(profile.first_nm, profile.last_nm, profile.height, strict=True)
    ]
    chart.columns(profile.first_nm, profile.last_nm, profile.height, BLUE, titles)
    if profile.threshold:
        chart.rule(y=profile.threshold, dash="4 3")
    return chart.svg(look.simulated)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A correlation matrix to be drawn: (k,) elements, (k, k) coefficients, and whether they are the paper's."""

    elements: Sequence[str]
    r: Floats
    caption: str
    is_printed: bool = False


METHODS = {"pearson": "Pearson's r", "log-pearson": "Pearson's r of the logarithms", "spearman": "Spearman's ranks"}


def matrices(correlations: Sequence[Correlations], printed: PrintedTables | None) -> list[Matrix]:
    """Choose the correlation matrices that are drawn: those of two elements or more, and the paper's beside them."""
    parts = [part for part in correlations if len(part.elements) > 1]
    found = []
    for part in parts:
        n = part.n[np.triu_indices(len(part.elements), 1)]
        over = f"{n.min()} samples" if n.min() == n.max() else f"{n.min()} to {n.max()} samples a pair"
        bounds = int(part.n_bounds.max())
        more = f"; in up to {bounds} of them a bound is taken as the value" if bounds else ""
        found.append(Matrix(tuple(map(in_words, part.elements)), part.r, f"{METHODS[part.method]} over {over}{more}."))
    if not parts or printed is None:
        return found
    elements = parts[0].elements
    digits = {**printed.correlations, **{(b, a): d for (a, b), d in printed.correlations.items()}}
    r = np.array([[1.0 if a == b else float(digits.get((a, b), "nan")) for b in elements] for a in elements])
    if np.isfinite(r).sum() > len(elements):
        found.append(Matrix(elements, r, f"As printed, table 1: {printed.citation}.", is_printed=True))
    return found


def draw_correlations(names: Sequence[str], r: Floats, simulated: bool, what: str = "Correlation matrix") -> str:
    """Draw a correlation matrix: blue below 0, vermillion above, every number written in and told where one points.

    Names stand upright above many columns, else level and cut to their column.
    """
    k, longest = len(names), max(map(len, names))
    upright = k > 8
    # Room for the longest name on the left, and columns that names fit over.
    left = min(max(60.0, 16 + 6.6 * longest), WIDTH / 3)
    top = left if upright else 30.0
    size = min((WIDTH - left - 10) / k, WIDTH if upright else max(62.0, 10 + 6.6 * longest))
    fits = max(3, int((size - 4) / 6.2))
    parts = []
    for i, name in enumerate(names):
        y, column = top + i * size, left + (i + 0.5) * size
        if upright:
            place, short = f'transform="translate({column + 4:.1f} {top - 6:.1f}) rotate(-90)"', name
        else:
            place = f'x="{column:.1f}" y="22" text-anchor="middle"'
            short = name if len(name) <= fits else name[: fits - 1] + "…"
        row = f'x="{left - 8}" y="{y + size / 2 + 4:.1f}" text-anchor="end"'
        parts += [f'<text {at} fill="{INK}">{escape(text)}</text>' for at, text in ((row, name), (place, short))]
        for j, other in enumerate(names):
            value = float(r[i, j])
            # Every element is at one with itself; colour there would only draw the eye.
            plain = i == j or not np.isfinite(value)
            ink = INK if plain or abs(value) <= 0.85 else PAPER
            text = fixed(value) if np.isfinite(value) else "–"
            written = text.replace("0.", ".") if upright else text
            parts.append(
                f'<g class="cell"><rect x="{left + j * size:.1f}" y="{y:.1f}" width="{size - 2:.1f}" '
                f'height="{size - 2:.1f}" rx="2" fill="{FAINT if plain else diverging(value)}">'
                f"<title>{escape(f'{name} and {other}: {text}')}</title></rect>"
                f'<text x="{left + (j + 0.5) * size - 1:.1f}" y="{y + size / 2 + 3:.1f}" text-anchor="middle" '
                f'font-size="{min(12.0, size * 0.4):.1f}" fill="{ink}">{written}</text></g>'
            )
    pairs = [f"{names[i]} and {names[j]} {r[i, j]:.2f}" for i in range(k) for j in range(i) if np.isfinite(r[i, j])]
    # Of many variables the words would be longer than anyone listens to; each cell has its own.
    words = ", ".join(pairs) if not upright else f"{len(pairs)} pairs of {k} variables"
    return drawing("".join(parts), top + 22 + k * size, f"{what}: {words}.", simulated)


def draw_duplicates(pairs: Sequence[DuplicatePair], limit_pct: float, look: Look) -> str:
    """Draw how far duplicates are apart against their grade.

    Args:
        pairs: whose half absolute relative difference is known, and whose mean is above 0.
        limit_pct: drawn as a line.
        look: of the report.
    """
    elements = [p.element for p in pairs]
    level = np.array([(p.first.value + p.second.value) / 2 for p in pairs])
    hard_pct = np.array([p.hard_pct for p in pairs], dtype=np.float64)
    x = axis_over("mean of the pair (in the table's units)", level, kind="log10")
    y = Axis("half relative difference (%)", 0.0, 1.15 * max(float(hard_pct.max()), limit_pct))
    within = int(np.count_nonzero(hard_pct <= limit_pct))
    alt = f"{len(level)} pairs of duplicates: {within} have a half relative difference of at most {limit_pct:g} %."
    chart = Chart(x, y, alt, height=280, top=30)
    chart.rule(y=limit_pct, dash="4 3")
    names = list(dict.fromkeys(elements))
    for i, name in enumerate(names):
        colour, shape = ELEMENT_STYLES[i % len(ELEMENT_STYLES)]
        mine = [j for j, e in enumerate(elements) if e == name]
        titles = [
            f"{name}, {pairs[j].item}: {number(float(level[j]), 4)}, {number(float(hard_pct[j]), 3)} %" for j in mine
        ]
        chart.points(level[mine], hard_pct[mine], colour, shape=shape, titles=titles)
    styles = [ELEMENT_STYLES[i % len(ELEMENT_STYLES)] for i in range(len(names))]
    _legend_above(chart, [(name, *style) for name, style in zip(names[:8], styles, strict=False)])
    return chart.svg(look.simulated)
