"""Pictures of spectra: as measured, step by step through a model's preprocessing, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

import numpy as np

from ..converters.spectra.spectrum import Floats, Spectrum
from .chart import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILLION, WIDTH, Axis, Chart, axis_over, drawing
from .model.applicability import absorbance_shapes, distances
from .model.bundle import Bundle
from .model.recipe import Blocks, Recipe
from .model.runtime import Runtime
from .model.steps import Derivative, SavitzkyGolayDerivative, Step
from .record import EstimateRecord, ReadingRecord, told
from .units import shown_unit

COLOURS = (INK, VERMILLION, BLUE, GREEN, ORANGE, PURPLE, SKY)
MOST_NAMED = len(COLOURS)
"""Spectra that have a colour and a name each; of more, lines are grey."""
WINDOW_NM = 50.0
"""Width of the stretches that are bridged to see what the estimate rests on."""
TITLES = {
    "splice_correction": "joins corrected",
    "resample": "on the model's grid",
    "absorbance": "absorbance",
    "continuum_removal": "continuum removed",
    "savitzky_golay": "smoothed",
    "standard_normal_variate": "standard normal variate",
    "cut": "bands cut away",
    "thin": "every so-many-th band",
}


def step_in_words(step: Step) -> str:
    """Say in a few words what spectra are after a step."""
    words = TITLES.get(step.step, step.step.replace("_", " "))
    if isinstance(step, (SavitzkyGolayDerivative, Derivative)):
        orders = {0: "smoothed", 1: "first derivative", 2: "second derivative"}
        words = orders.get(step.order, f"derivative of order {step.order}")
    window_nm = getattr(step, "window_nm", None)
    return words if window_nm is None else f"{words} over {window_nm:g} nm"


def draw_spectra(spectra: Sequence[Spectrum]) -> str:
    """Draw spectra over each other, with the joins of their detectors; SVG.

    Args:
        spectra: at least one; of one quantity.
    """
    quantity = spectra[0].quantity
    chart = _spectra_chart([s.wavelengths_nm for s in spectra], [s.values for s in spectra], quantity, "Spectra")
    for join in sorted({join for spectrum in spectra for join in spectrum.splices_nm}):
        chart.rule(x=join, colour=GREY, dash="2 3")
    _lines(chart, [(_name(s), s.wavelengths_nm, s.values) for s in spectra])
    return chart.svg(any(s.simulated for s in spectra))


def draw_steps(spectrum: Spectrum, recipe: Recipe | Blocks) -> list[tuple[str, str]]:
    """Draw one spectrum after each step of its preprocessing; (title, SVG) each.

    Steps that several preprocessing blocks share are drawn once.

    Raises:
        PreprocessError: the recipe cannot be done on this spectrum.
    """
    figures: dict[tuple[object, ...], tuple[str, str]] = {}
    recipes = recipe.recipes if isinstance(recipe, Blocks) else (recipe,)
    for number, one in enumerate(recipes, 1):
        for count in range(1, len(one.steps) + 1):
            done = one.steps[:count]
            if done in figures or done[-1].step == "spectrogram":
                continue
            if done[-1].step == "splice_correction":
                values, nm = done[-1].apply(spectrum.values, spectrum.wavelengths_nm, spectrum.splices_nm), None
            else:
                part = Recipe(done).preprocess(spectrum.values, spectrum.wavelengths_nm, spectrum.splices_nm)
                values, nm = part.spectra, part.wavelengths_nm
            title = step_in_words(done[-1])
            if len(recipes) > 1 and count > len(one.beginning):
                title = f"block {number}: {title}"
            grid = spectrum.wavelengths_nm if nm is None else nm
            chart = _spectra_chart([grid], [values], "", title, height=190)
            chart.line(grid, values, INK)
            figures[done] = title, chart.svg(spectrum.simulated)
    return list(figures.values())


def draw_estimate(estimate: EstimateRecord, calibrated_range: tuple[float, float], transform: str) -> str:
    """Draw an estimate with its interval over the calibrated range; SVG."""
    low, high = (_either(estimate.low, estimate.untrusted_low), _either(estimate.high, estimate.untrusted_high))
    value = _either(estimate.value, estimate.untrusted_value, estimate.below_critical_value)
    kind = "log10" if transform == "log10" and calibrated_range[0] > 0 else "none"
    unit = shown_unit(estimate.unit)
    label = f"{estimate.element} ({unit}), as far as the model is calibrated"
    axis = Axis(label, *calibrated_range, kind)  # type: ignore[arg-type]
    detected = estimate.below_critical_value is None
    said = told(estimate)
    if estimate.interval_shown and estimate.coverage is not None:
        said += f", {100 * estimate.coverage:g} % interval {estimate.interval_shown}{'' if detected else f' {unit}'}"
    chart = Chart(axis, Axis("", 0, 1), said, height=110, left=24, right=24, y_ticks=[])
    trusted = estimate.value is not None
    y = float(chart.py(0.4))
    colour = BLUE if trusted else GREY
    if low is not None and high is not None:
        first, last = (float(chart.px(v)) for v in np.clip([low, high], *calibrated_range))
        chart.raw(
            f'<line x1="{first:.1f}" x2="{last:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="9" '
            'stroke-opacity="0.35" stroke-linecap="round"/>'
        )
    if value is not None:
        at = float(chart.px(float(np.clip(value, *calibrated_range))))
        hollow = f'fill="{VERMILLION}"' if trusted else f'fill="#fff" stroke="{GREY}" stroke-width="2"'
        chart.raw(f'<circle cx="{at:.1f}" cy="{y:.1f}" r="6" {hollow}/>')
    chart.text(WIDTH / 2, y - 16, said, anchor="middle", bold=True)
    return chart.svg(estimate.simulated)


def draw_beside_laboratory(
    samples: Sequence[tuple[str, float, Mapping[str, Any]]], calibrated_range: tuple[float, float]
) -> str:
    """Draw estimates with their intervals beside laboratory values; SVG.

    Args:
        samples: name, laboratory value in the estimate's unit, and the estimate as a record of JSON lines has it.
        calibrated_range: of the model.
    """
    element, unit = samples[0][2]["element"], shown_unit(samples[0][2]["unit"])
    ends = {name: [_either(one[name], one[f"untrusted_{name}"]) for _, _, one in samples] for name in ("low", "high")}
    values = [_either(one["value"], one["untrusted_value"], one["below_critical_value"]) for _, _, one in samples]
    known = [v for v in (*values, *ends["low"], *ends["high"]) if v is not None]
    x = axis_over(f"{element} by the laboratory ({unit})", [value for _, value, _ in samples], calibrated_range)
    low, high = calibrated_range
    # The legend stands above all that is drawn.
    y = axis_over(f"{element} by the probe ({unit})", known, calibrated_range, [high + 0.1 * (high - low)])
    chart = Chart(x, y, f"{element} by the probe beside the laboratory's value", height=380)
    chart.line([x.low, x.high], [x.low, x.high], GREY, width=1, dash="4 3")
    for trusted in (False, True):
        rows = [i for i, (_, _, one) in enumerate(samples) if (one["value"] is not None) is trusted]
        drawn = [(i, values[i]) for i in rows if values[i] is not None]
        colour = BLUE if trusted else GREY
        whole = [i for i in rows if ends["low"][i] is not None and ends["high"][i] is not None]
        at = [samples[i][1] for i in whole]
        chart.whiskers(at, [ends["low"][i] for i in whole], [ends["high"][i] for i in whole], colour, 6)  # type: ignore[arg-type]
        titles = [f"{samples[i][0]}: {samples[i][2]['shown']}, laboratory {samples[i][1]:g} {unit}" for i, _ in drawn]
        chart.points(
            [samples[i][1] for i, _ in drawn],
            [value for _, value in drawn],  # type: ignore[arg-type]
            VERMILLION if trusted else GREY,
            shape="circle" if trusted else "ring",
            size=5,
            titles=titles,
        )
    chart.legend([("inside the calibration, with interval", VERMILLION, "circle"), ("outside", GREY, "ring")])
    return chart.svg(any(one["simulated"] for _, _, one in samples))


def draw_unlike(spectrum: Spectrum, bundle: Bundle) -> str:
    """Draw what of a spectrum the calibration's soils do not have, over the size that is usual; SVG, or "".

    Nothing is drawn for a bundle without a domain, or of version 1.

    Raises:
        PreprocessError: the recipe cannot be done on this spectrum.
    """
    domain = bundle.domain
    if domain is None or domain.space != "absorbance shape":
        return ""
    done = bundle.recipe.preprocess(spectrum.values[None], spectrum.wavelengths_nm, spectrum.splices_nm)
    shapes = absorbance_shapes(done.reflectance, done.reflectance_nm, domain.bands_per_bin)
    deviation = distances(shapes.shapes, domain).deviation[0]
    # At the limit of Q every bin deviates by this much.
    usual = (domain.q_limit / deviation.size) ** 0.5
    times = deviation / usual
    room = max(1.5, float(np.abs(times).max()) * 1.1)
    y = Axis("deviation / limit", -room, room)
    nm = shapes.wavelengths_nm
    chart = Chart(Axis("wavelength (nm)", float(nm[0]), float(nm[-1])), y, "Unlike the calibration", height=190)
    for limit in (-1.0, 1.0):
        chart.rule(y=limit, colour=GREY, dash="4 3")
    chart.line(nm, times, VERMILLION)
    return chart.svg(bundle.simulated or spectrum.simulated)


def draw_rests_on(spectrum: Spectrum, bundle: Bundle) -> str:
    """Draw how far the answer moves when stretches of 50 nm are bridged by a straight line; SVG.

    What is bridged holds no band any more, so a stretch that moves the answer far is one that it rests on. In the
    space that the model answers in, relative to the largest.

    Raises:
        PreprocessError: the recipe cannot be done on this spectrum.
    """
    first, last = bundle.recipe.range_nm
    edges = np.arange(first, last, WINDOW_NM)
    nm, values = spectrum.wavelengths_nm, spectrum.values
    rows = [values]
    for edge in edges:
        inside = (nm >= edge) & (nm <= edge + WINDOW_NM)
        outside = ~inside
        rows.append(np.where(inside, np.interp(nm, nm[outside], values[outside]), values))
    done = bundle.recipe.preprocess(np.stack(rows), nm, spectrum.splices_nm)
    outputs = Runtime(bundle.model, known_good=bundle.is_known).run(bundle.scaling.apply(done.features))
    moved = np.abs(outputs[1:] - outputs[0])
    moved /= max(float(moved.max()), 1e-12)
    chart = Chart(
        Axis("wavelength (nm)", first, last),
        Axis("moves the answer", 0, 1.05),
        "Wavelengths that the estimate rests on",
        height=170,
    )
    titles = [f"{e:g}-{min(e + WINDOW_NM, last):g} nm: {m:.2f}" for e, m in zip(edges, moved, strict=True)]
    chart.columns(edges, np.minimum(edges + WINDOW_NM, last), moved, BLUE, titles)
    return chart.svg(bundle.simulated or spectrum.simulated)


def as_page(title: str, figures: Sequence[tuple[str, str]], text: str = "") -> str:
    """Give figures as one HTML page that needs nothing else, above them a text as it is laid out."""
    # Words wrap on a narrow screen, columns must not.
    said = "".join(
        f"<pre>{escape(part)}</pre>" if "   " in part else f"<p>{escape(part)}</p>"
        for part in text.strip().split("\n\n")
        if part
    )
    body = ""
    for _, group in groupby(figures, lambda figure: figure[0].partition(": ")[0]):
        drawn = [f"<figure><figcaption>{escape(name)}</figcaption>{svg}</figure>" for name, svg in group]
        # What is of one spectrum begins a row of its own.
        body += f"<section>{''.join(drawn)}</section>" if len(drawn) > 1 else drawn[0]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        "body{font:16px/1.4 system-ui,sans-serif;margin:1rem;color:#1f2933}main,section{display:grid;"
        "gap:1rem;grid-column:1/-1;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr))}figure{margin:0}svg{width:100%;height:auto}"
        "h1{overflow-wrap:anywhere;line-height:1.2}pre{font:13px/1.5 ui-monospace,monospace;overflow-x:auto}"
        "p{white-space:pre-line}@media(max-width:30em){pre{font-size:11px}}"
        "figcaption{font-weight:600;overflow-wrap:anywhere}"
        "@media print{main,section{grid-template-columns:1fr 1fr}figure{break-inside:avoid}"
        "figure:only-child{grid-column:1/-1}}"
        f"</style><h1>{escape(title)}</h1>{said}<main>{body}</main></html>\n"
    )


def as_picture(figures: Sequence[tuple[str, str]]) -> str:
    """Give figures one below the other as one SVG file."""
    parts, at = [], 0.0
    for name, svg in figures:
        height = float(svg.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()[1])
        parts.append(f'<text x="8" y="{at + 14:g}" font-weight="600" fill="{INK}">{escape(name)}</text>')
        parts.append(svg.replace("<svg ", f'<svg y="{at + 20:g}" width="{WIDTH}" height="{height:g}" ', 1))
        at += height + 26
    alt = "; ".join(name for name, _ in figures)
    whole = drawing("".join(parts), at, alt)
    size = f'xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" style="background:#fff" '
    return whole.replace("<svg ", f"<svg {size}", 1) + "\n"


def verdict_of(reading: ReadingRecord) -> str:
    """Say in a line what came of a reading."""
    if not reading.estimates:
        return f"refused: {reading.reason}"
    one = reading.estimates[0]
    return f"{one.verdict} calibration{': ' + one.reason if one.reason else ''}"


def _name(spectrum: Spectrum) -> str:
    return f"{spectrum.sample_id} {spectrum.measurement}".strip() or spectrum.source


def _spectra_chart(grids: Sequence[Floats], values: Sequence[Floats], label: str, alt: str, height: int = 300) -> Chart:
    finite = [v[np.isfinite(v)] for v in values]
    x = Axis("wavelength (nm)", float(min(nm[0] for nm in grids)), float(max(nm[-1] for nm in grids)))
    return Chart(x, axis_over(label, *(v for v in finite if v.size)), alt, height=height)


def _lines(chart: Chart, lines: Sequence[tuple[str, Floats, Floats]]) -> None:
    named = len({name for name, _, _ in lines}) <= MOST_NAMED
    names = list(dict.fromkeys(name for name, _, _ in lines))
    for name, nm, values in lines:
        colour = COLOURS[names.index(name)] if named else GREY
        chart.line(nm, values, colour, width=1.5 if named else 0.6, title=name)
    if named:
        for row, name in enumerate(names):
            chart.legend([(name, COLOURS[row], "line")], row)


def _either(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
