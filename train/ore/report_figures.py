"""Figures of the ore report, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.chart import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    Axis,
    Chart,
    drawing,
    fixed,
    hexadecimal,
    sequential,
)
from ...edge.ore.bundle import Costs
from .calibration import reliability
from .comparison import Cell
from .explain import ONE_WAY, Summary, Waterfall
from .explore import Frequency
from .models import MODELS
from .scores import precision_recall_curve, roc_curve
from .threshold import RATIOS, Threshold, cost_curve

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Curve:
    """What curves are drawn of.

    Attributes:
        model: its short name.
        probability: (n,) of ore.
        scores: by the names of `scores.SCORES`.
        calibration: its kind; "none" if there is none.
        raw: (n,) before calibration.
    """

    model: str
    probability: Floats
    scores: dict[str, float]
    calibration: str = "none"
    raw: Floats | None = None


COLOURS = {"logistic": GREY, "tree": ORANGE, "forest": GREEN, "adaboost": PURPLE, "xgboost": BLUE}
_CLASS_COLOURS = (SKY, ORANGE, VERMILLION, PURPLE, GREEN)


def draw_roc(cells: Sequence[Curve], ore: Bools, simulated: bool) -> str:
    """Share of ore found against share of gangue hauled, a line a model."""
    chart = _unit_chart("gangue called ore", "ore called ore", "ROC curves.")
    chart.line([0, 1], [0, 1], GREY, width=1, dash="3 3")
    for cell in cells:
        x, y = roc_curve(cell.probability, ore)
        chart.line(x, y, COLOURS[cell.model], title=f"{MODELS[cell.model].title}, AUC {cell.scores['auc']:.3f}")
    _corner_legend(chart, [(MODELS[c.model].title, f"AUC {c.scores['auc']:.3f}", COLOURS[c.model]) for c in cells])
    return chart.svg(simulated)


def draw_precision_recall(cells: Sequence[Curve], ore: Bools, simulated: bool) -> str:
    """Precision against recall, a line a model."""
    chart = _unit_chart("recall: ore called ore", "precision", "Precision-recall curves.")
    chart.rule(y=float(ore.mean()), colour=GREY, dash="3 3")
    for cell in cells:
        x, y = precision_recall_curve(cell.probability, ore)
        chart.line(x, y, COLOURS[cell.model], title=MODELS[cell.model].title)
    _corner_legend(chart, [(MODELS[c.model].title, "", COLOURS[c.model]) for c in cells], left=True)
    return chart.svg(simulated)


def draw_reliability(cell: Curve, ore: Bools, simulated: bool) -> str:
    """How often it was ore against the probability that was stated; hollow: as the library gave it."""
    chart = _unit_chart("stated probability of ore", "share that was ore", "Calibration curve.")
    chart.line([0, 1], [0, 1], GREY, width=1, dash="3 3")
    if cell.raw is not None and cell.calibration != "none":
        _, stated, found, _ = reliability(cell.raw, ore)
        chart.line(stated, found, GREY, width=1)
        chart.points(stated, found, GREY, shape="ring")
    _, stated, found, rows = reliability(cell.probability, ore)
    error = np.sqrt(found * (1 - found) / rows)
    chart.whiskers(stated, np.clip(found - 2 * error, 0, 1), np.clip(found + 2 * error, 0, 1), COLOURS[cell.model], 2)
    chart.line(stated, found, COLOURS[cell.model])
    titles = [f"{n} blocks, stated {s:.3f}, found {f:.3f}" for s, f, n in zip(stated, found, rows, strict=True)]
    chart.points(stated, found, COLOURS[cell.model], titles=titles)
    chart.text(chart.right - 8, chart.bottom - 12, f"ECE {cell.scores['ece']:.3f}", anchor="end", bold=True)
    return chart.svg(simulated)


def draw_cost(threshold: Threshold, chosen: float, simulated: bool) -> str:
    """Mean cost a block against the threshold."""
    high = 1.05 * max(threshold.cost_all_ore, threshold.cost_all_gangue, float(threshold.curve.max()))
    chart = Chart(Axis("threshold", 0.0, 1.0), Axis("cost a block", 0.0, high), "Cost against threshold.", height=260)
    chart.rule(y=threshold.cost_all_ore, colour=GREY, dash="3 3")
    chart.rule(x=0.5, colour=GREY, dash="1 3")
    chart.line(threshold.grid, threshold.curve, BLUE, width=2)
    chart.rule(x=chosen, colour=VERMILLION)
    chart.text(float(chart.px(chosen)) + 5, chart.top + 14, f"{chosen:.3f}", colour=VERMILLION, bold=True)
    chart.text(
        chart.right - 4, float(chart.py(threshold.cost_all_ore)) - 5, "haul everything", anchor="end", colour=GREY
    )
    return chart.svg(simulated)


def draw_cost_curves(curves: Sequence[Curve], ore: Bools, costs: Costs, simulated: bool) -> str:
    """Cost of each model's calls over that of no model, against the ratio of the costs; below 1 it saves money."""
    found = [cost_curve(c.probability, ore) for c in curves]
    high = min(1.6, 1.05 * max(1.0, *(float(np.nanmax(values)) for values in found)))
    now = costs.lost_ore / costs.hauled_gangue
    at_now = [float(np.interp(np.log(now), np.log(RATIOS), values)) for values in found]
    told = ", ".join(f"{MODELS[c.model].title} {v:.2f}" for c, v in zip(curves, at_now, strict=True))
    chart = Chart(
        Axis("cost of lost ore / cost of hauled gangue", float(RATIOS[0]), float(RATIOS[-1]), "log10"),
        Axis("cost / cost without a model", 0.0, high),
        f"Cost over that without a model; at a ratio of {now:g}: {told}.",
        height=300,
    )
    chart.rule(y=1.0, dash="3 3")
    chart.rule(x=now, colour=VERMILLION)
    for curve, values in zip(curves, found, strict=True):
        chart.line(RATIOS, np.minimum(values, high), COLOURS[curve.model], title=MODELS[curve.model].title)
    _corner_legend(chart, [(MODELS[c.model].title, "", COLOURS[c.model]) for c in curves], left=True)
    return chart.svg(simulated)


def draw_leakage(cells: Sequence[Cell], simulated: bool) -> str:
    """AUC of each model by hole (filled) and at random (hollow), with the spread of the folds."""
    rows = [(c, c.leakage) for c in cells if c.leakage is not None]
    every = [of["auc"] for _, found in rows for of in (found.by_hole, found.at_random)]
    low = min(s.mean - s.sd for s in every)
    pairs = (f"{MODELS[c.model].title} {f.by_hole['auc'].mean:.3f} and {f.at_random['auc'].mean:.3f}" for c, f in rows)
    places = np.arange(len(rows))[::-1].astype(float)
    chart = Chart(
        Axis("AUC of the left-out folds", max(0.0, low - 0.01), 1.0),
        Axis("", -0.6, len(rows) - 0.4),
        f"AUC in {rows[0][0].scenario} by hole and at random: {', '.join(pairs)}.",
        height=40 + 34 * len(rows),
        left=130,
        y_ticks=[(p, MODELS[c.model].title) for p, (c, _) in zip(places, rows, strict=True)],
    )
    for place, (cell, found) in zip(places, rows, strict=True):
        for s, shift, hollow in ((found.by_hole["auc"], 0.12, False), (found.at_random["auc"], -0.12, True)):
            colour = COLOURS[cell.model]
            chart.level_whiskers([place + shift], [s.mean - s.sd], [min(s.mean + s.sd, 1.0)], colour, 1.4)
            chart.points(
                [s.mean],
                [place + shift],
                colour,
                shape="ring" if hollow else "circle",
                titles=[f"{s.mean:.3f} ± {s.sd:.3f}"],
            )
    return chart.svg(simulated)


def draw_frequencies(frequencies: Sequence[Frequency], simulated: bool) -> str:
    """Class frequencies in percent, a bar a variable."""
    left, right, step = 100.0, WIDTH - 14.0, 24.0
    parts = []
    scale = (right - left) / 100
    for row, f in enumerate(frequencies):
        y, at = 26 + row * step, left
        parts.append(
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end" fill="{INK}">{escape(f.variable.name)}</text>'
        )
        for k, (percent, word) in enumerate(zip(f.percent, f.variable.words, strict=True)):
            width = percent * scale
            colour = _CLASS_COLOURS[k % len(_CLASS_COLOURS)]
            title = f"{f.variable.name} {word}: {percent:.1f} % of the blocks, {f.ore_percent[k]:.1f} % of them ore"
            parts.append(
                f'<rect x="{at:.1f}" y="{y}" width="{max(width - 1, 0):.1f}" height="18" fill="{colour}">'
                f"<title>{escape(title)}</title></rect>"
            )
            if width > 40:
                parts.append(
                    f'<text x="{at + width / 2:.1f}" y="{y + 13}" text-anchor="middle" fill="{INK}" font-size="11">'
                    f"{percent:.1f}</text>"
                )
            at += width
    names = []
    at = left
    words = {f.variable.words for f in frequencies}
    # Words that differ between variables have no common key; each bar tells its own.
    for k, word in enumerate(words.pop() if len(words) == 1 else ()):
        names.append(
            f'<rect x="{at:.0f}" y="6" width="9" height="9" fill="{_CLASS_COLOURS[k % len(_CLASS_COLOURS)]}"/>'
            f'<text x="{at + 13:.0f}" y="15" fill="{INK}">{escape(word)}</text>'
        )
        at += 30 + 7 * len(word)
    return drawing("".join([*names, *parts]), 44 + step * len(frequencies), "Class frequencies in percent.", simulated)


def draw_magnitudes(summary: Summary, simulated: bool) -> str:
    """Mean size of each variable's contribution; the colour is the direction."""
    order = np.argsort(-summary.magnitude, kind="stable")
    places = np.arange(len(order))[::-1].astype(float)
    magnitude, direction = summary.magnitude[order], summary.direction[order]
    unit = "probability" if summary.space == "probability" else "log-odds"
    chart = Chart(
        Axis(f"mean |contribution| ({unit})", 0.0, max(1.08 * float(magnitude.max()), 1e-6)),
        Axis("", -0.7, len(order) - 0.3),
        f"SHAP summary of {MODELS[summary.model].title} in {summary.scenario}.",
        height=58 + 17 * len(order),
        left=96,
        top=8,
        y_ticks=[(p, summary.names[i]) for p, i in zip(places, order, strict=True)],
    )
    chart.bars(places, 0.0, magnitude, [_direction_colour(d) for d in direction], 10)
    return chart.svg(simulated)


def _direction_colour(direction: float) -> str:
    if not np.isfinite(direction) or abs(direction) < ONE_WAY:
        return GREY
    return VERMILLION if direction > 0 else BLUE


def draw_swarm(summary: Summary, simulated: bool, most: int = 120) -> str:
    """Contribution of each variable in single blocks, dark for low values and light for high ones."""
    order = np.argsort(-summary.magnitude, kind="stable")[:10]
    places = np.arange(len(order))[::-1].astype(float)
    shown = summary.contributions[:most][:, order]
    reach = 1.05 * max(float(np.abs(shown).max()), 1e-6)
    unit = "probability" if summary.space == "probability" else "log-odds"
    chart = Chart(
        Axis(f"contribution ({unit})", -reach, reach),
        Axis("", -0.7, len(order) - 0.3),
        f"SHAP values of {MODELS[summary.model].title} in {summary.scenario}.",
        height=58 + 27 * len(order),
        left=96,
        top=8,
        y_ticks=[(p, summary.names[i]) for p, i in zip(places, order, strict=True)],
    )
    chart.rule(x=0.0, colour=GREY)
    scatter = np.random.default_rng(0).uniform(-0.3, 0.3, len(shown))
    for place, column, i in zip(places, shown.T, order, strict=True):
        values = summary.values[:most, i]
        known = ~np.isnan(values)
        ranks = np.full(len(values), 0.5)
        if known.any():
            ranks[known] = np.searchsorted(np.sort(values[known]), values[known]) / max(known.sum() - 1, 1)
        xs, ys = chart.px(column), chart.py(place + scatter)
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.1" fill="{hexadecimal(sequential(c)) if k else PAPER}"/>'
            for x, y, c, k in zip(xs, ys, ranks, known, strict=True)
        )
        chart.raw(f'<g class="points" stroke="{GREY}" stroke-width="0.3">{dots}</g>')
    return chart.svg(simulated)


def draw_waterfall(w: Waterfall, words: Sequence[str], simulated: bool, most: int = 8) -> str:
    """One block: from the base, variable by variable, to the sum.

    Args:
        w: the block.
        words: (k,) each value as people read it.
        simulated: whether it says so.
        most: variables shown by name; the others are one step.
    """
    order = np.argsort(-np.abs(w.contributions), kind="stable")
    named, rest = order[:most], order[most:]
    steps = [(f"{w.names[i]} = {words[i]}", float(w.contributions[i])) for i in named]
    if rest.size:
        steps.append((f"{rest.size} others", float(w.contributions[rest].sum())))
    ends = w.base + np.cumsum([0.0, *(s for _, s in steps)])
    low, high = float(ends.min()), float(ends.max())
    room = 0.12 * max(high - low, 1e-6)
    unit = "probability" if w.space == "probability" else "log-odds"
    places = np.arange(len(steps))[::-1].astype(float)
    chart = Chart(
        Axis(f"sum ({unit})", low - room, high + room),
        Axis("", -0.7, len(steps) - 0.3),
        f"Waterfall of one block, {MODELS[w.model].title} in {w.scenario}, {w.block}.",
        height=58 + 22 * len(steps),
        left=150,
        top=8,
        y_ticks=[(p, text) for p, (text, _) in zip(places, steps, strict=True)],
        x_grid=False,
    )
    chart.rule(x=w.base, colour=GREY, dash="3 3")
    for place, start, end, (_, step) in zip(places, ends[:-1], ends[1:], steps, strict=True):
        chart.bars([place], float(start), [float(end)], [VERMILLION if step > 0 else BLUE], 13)
        right = max(float(chart.px(start)), float(chart.px(end))) + 4
        chart.text(right, float(chart.py(place)) + 4, ("+" if step > 0 else "") + fixed(step), size=10.5)
    return chart.svg(simulated)


def _unit_chart(x: str, y: str, alt: str) -> Chart:
    return Chart(Axis(x, 0.0, 1.0), Axis(y, 0.0, 1.0), alt, height=330)


def _corner_legend(chart: Chart, entries: Sequence[tuple[str, str, str]], left: bool = False) -> None:
    x = chart.left + 12 if left else chart.right - 8
    for i, (name, more, colour) in enumerate(entries):
        y = chart.bottom - 12 - 16 * (len(entries) - 1 - i)
        text = f"{name} {more}".strip()
        chart.text(x, y, text, anchor="start" if left else "end", colour=colour, bold=True, size=11.5)
