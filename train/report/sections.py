"""The sections of a report, each made of one part of its contents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...edge.units import shown_unit
from ..crossval.metrics import Metrics, coverage, measure
from .assay_sections import correlation_section, quality_section, statistics_section
from .bands import known_bands
from .chart import fixed, number
from .contents import BaselineComparison, PredictedSet, ReportContents, Spread
from .figures import (
    Look,
    draw_baselines,
    draw_by_samples,
    draw_domain,
    draw_importance,
    draw_ladder,
    draw_learning,
    draw_predictions,
    draw_residuals,
    draw_spectrogram,
    draw_step,
    grade_quarters,
    written_percent,
)
from .page import Section, figure, figures, paragraph, table

IN_UNIT = ("RMSE", "bias", "SEP")
"""Figures of a comparison that have the element's unit."""

Maker = Callable[[ReportContents, Look], Section | None]


def make_sections(contents: ReportContents) -> list[Section]:
    """Make the sections whose parts are there, in reading order: how good it is, then why, then from what."""
    look = Look.at(contents)
    makers: tuple[Maker, ...] = (
        accuracy,
        predictions,
        residuals,
        baselines,
        importance,
        domain,
        spectra,
        learning,
        ladder,
        statistics_section,
        correlation_section,
        quality_section,
    )
    return [section for maker in makers if (section := maker(contents, look)) is not None]


def _optional(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else number(value, digits)


def _percent(value: float | None) -> str:
    return "" if value is None else written_percent(value, 3)


def _fixed(value: float | None, decimals: int = 2) -> str:
    return "–" if value is None else fixed(value, decimals)


def accuracy(contents: ReportContents, look: Look) -> Section | None:
    """Figures of merit: the last set's in the unit as cards, all of them as a table."""
    if not contents.metrics:
        return None
    columns = contents.metrics
    main = [c for c in columns if c.unit][-1] if any(c.unit for c in columns) else columns[-1]
    m = main.metrics
    unit = f" {shown_unit(main.unit)}" if main.unit else ""
    cards = [
        ("R²", _fixed(m.r2)),
        ("RMSE", _optional(m.rmse) + unit),
        ("bias", _optional(m.bias) + unit),
        ("RPD", _fixed(m.rpd)),
        ("RPIQ", _fixed(m.rpiq)),
        ("n", str(m.n)),
    ]
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in cards)
    rows = []
    for name, of in (
        ("n", lambda m: str(m.n)),
        ("R²", lambda m: _fixed(m.r2, 3)),
        ("RMSE", lambda m: _optional(m.rmse, 4)),
        ("bias", lambda m: _optional(m.bias, 4)),
        ("SEP", lambda m: _optional(m.sep, 4)),
        ("RPD", lambda m: _fixed(m.rpd)),
        ("RPIQ", lambda m: _fixed(m.rpiq)),
        ("concordance", lambda m: _fixed(m.concordance, 3)),
    ):
        read: Callable[[Metrics], str] = of
        rows.append((name, *(read(c.metrics) for c in columns)))
    header = ("", *(f"{c.name}, {shown_unit(c.unit)}" if c.unit else c.name for c in columns))
    body = (
        paragraph(f"{look.of}, {main.name}:", "lead")
        + f'<dl class="cards">{shown}</dl>'
        + table(header, rows)
        + paragraph(
            "R² is 1 − residual over total sum of squares, not a squared correlation; RPD and RPIQ are taken over "
            "RMSE, so that a bias is not hidden.",
            "lead",
        )
    )
    return Section("accuracy", "Accuracy", body)


def predictions(contents: ReportContents, look: Look) -> Section | None:
    """Predicted against measured, a figure a set."""
    part = contents.predictions
    if part is None:
        return None
    shown = []
    for i, s in enumerate(part.sets):
        said = [s.note] if s.note else []
        if s.low is not None and s.high is not None:
            share = 100 * coverage(s.low, s.high, s.measured)
            stated = f", {100 * part.coverage:g} % stated" if part.coverage is not None else ""
            said.append(f"Lines are prediction intervals; {share:.0f} % of the measured values lie in theirs{stated}.")
        if s.outside is not None and s.outside.any():
            n = int(np.count_nonzero(s.outside))
            said.append(f"{n} ringed {'spectrum lies' if n == 1 else 'spectra lie'} outside the calibration.")
        shown.append(figure(draw_predictions(s, part.sets, i, look), " ".join(said)))
    lead = "On the diagonal, predicted and measured agree."
    spacing = look.spacing(*(s.measured for s in part.sets))
    if spacing == "log10":
        lead += " Axes are logarithmic: equal distances from it are equal factors."
    elif spacing == "sqrt":
        lead += " Axes are spaced by square roots, in which the model answers."
    return Section("predictions", "Predicted against measured", paragraph(lead, "lead") + figures(shown))


def residuals(contents: ReportContents, look: Look) -> Section | None:
    """Residuals against grade, and errors by grade class."""
    part = contents.predictions
    if part is None:
        return None
    shown = []
    for i, s in enumerate(part.sets):
        shown.append(figure(draw_residuals(s, part.sets, i, look), "Bars are means over a quarter of the samples."))
    tables = figures([_by_grade(s, look) for s in part.sets])
    lead = (
        "Bars that fall from left to right show an estimate drawn towards the mean: too high at low grade, too low at "
        "high grade."
    )
    return Section("residuals", "Residuals against grade", paragraph(lead, "lead") + figures(shown) + tables)


def _by_grade(s: PredictedSet, look: Look) -> str:
    rows = []
    for members in grade_quarters(s.measured):
        y, p = s.measured[members], s.predicted[members]
        m = measure(p, y)
        inside = ""
        if s.low is not None and s.high is not None:
            inside = f"{100 * coverage(s.low[members], s.high[members], y):.0f} %"
        rows.append(
            (
                f"{number(float(y.min()), 3)} to {number(float(y.max()), 3)}",
                str(m.n),
                number(m.bias, 3),
                number(m.rmse, 3),
                number(float(np.median(np.abs(p - y) / y)) * 100, 2) + " %" if y.min() > 0 else "",
                inside,
            )
        )
    header = ("measured", "n", "bias", "RMSE", "median |err|", "covered")
    return table(header, rows, caption=f"{look.of}: error by grade, {s.name}")


def baselines(contents: ReportContents, look: Look) -> Section | None:
    """The comparison with other models on the same folds."""
    part = contents.baselines
    if part is None or not part.rows:
        return None
    names = list(dict.fromkeys(name for row in part.rows for name in row.figures))
    rows = []
    for row in part.rows:
        cells = []
        for name in names:
            spread = row.figures.get(name)
            if spread is None:
                cells.append("")
            else:
                cells.append(_of_merit(name, spread))
        rows.append((row.name, *cells))
    unit = f" ({look.unit})" if look.unit else ""
    header = ("model", *(name.replace("R2", "R²") + (unit if name in IN_UNIT else "") for name in names))
    repeated = any(spread.sd is not None for row in part.rows for spread in row.figures.values())
    ours = [i for i, row in enumerate(part.rows) if row.ours]
    better = "right" if part.higher_is_better else "left"
    shown = ""
    if any(part.plotted in row.figures for row in part.rows):
        several = any(spread.values for row in part.rows for spread in row.figures.values())
        marks = "Small dots are repeats, large marks their means with one standard deviation; f" if several else "F"
        best = "has the lowest RMSE" if part.plotted == "R2" else f"has the highest {part.plotted.replace('R2', 'R²')}"
        ours_is = best if contents.kind == "validation" else "is the model of this report"
        caption = f"{marks}urther {better} is better. The diamond {ours_is}."
        shown = figures([figure(draw_baselines(part, look), caption)])
    return Section(
        "baselines",
        "Comparison with baselines",
        paragraph(part.protocol, "lead")
        + shown
        + table(header, rows, strong=ours, caption="Mean ± SD over repeats" if repeated else "One repeat")
        + _by_class(part, look)
        + _chosen(part),
    )


def _of_merit(name: str, spread: Spread) -> str:
    """Write a figure of merit: in the target's unit with significant digits, else with decimals one can compare."""
    digits = {"RPD": 2, "RPIQ": 2}.get(name, 3)
    if name in IN_UNIT:
        return number(spread.mean, 3) + (f" ± {number(spread.sd, 2)}" if spread.sd is not None else "")
    return _fixed(spread.mean, digits) + (f" ± {_fixed(spread.sd, digits)}" if spread.sd is not None else "")


def _by_class(part: BaselineComparison, look: Look) -> str:
    """Error by class of grade of every model: RMSE, and the bias, which pulls towards the mean in all of them."""
    if not part.classes:
        return ""

    def said(spread: Spread | None) -> str:
        if spread is None:
            return "–"
        return number(spread.mean, 3) + (f" ± {number(spread.sd, 2)}" if spread.sd is not None else "")

    rows = [
        (grades if not at else "", str(n) if not at else "", row.name, said(rmse), said(bias))
        for grades, n, errors in part.classes
        for at, (row, (rmse, bias)) in enumerate(zip(part.rows, errors, strict=True))
    ]
    unit = f" ({look.unit})" if look.unit else ""
    header = (f"measured{unit}", "n", "model", f"RMSE{unit}", f"bias{unit}")
    return table(header, rows, left=1, text=("model",), caption=f"{look.of}: error by grade")


def _chosen(part: BaselineComparison) -> str:
    from html import escape

    items = "".join(f"<li><b>{escape(row.name)}</b>: {escape(row.note)}</li>" for row in part.rows if row.note)
    return f'<p class="lead">What was chosen inside the folds:</p><ul class="key wide">{items}</ul>' if items else ""


def importance(contents: ReportContents, look: Look) -> Section | None:
    """Which wavelengths carry the estimate."""
    part = contents.importance
    if part is None or not part.profiles:
        return None
    shown = [figure(draw_importance(p, look), f"{p.name}. {p.detail}") for p in part.profiles]
    first = min(float(p.first_nm[0]) for p in part.profiles)
    last = max(float(p.last_nm[-1]) for p in part.profiles)
    body = paragraph(
        "Three ways of asking, which need not agree: the first asks the model of this report, the others ask what "
        "a linear model and a forest would make of the same preprocessed spectra. Only where they agree is a band "
        "worth a geologist's reasoning."
        if len(part.profiles) > 1
        else "What each stretch of wavelengths adds to the answers of the model of this report.",
        "lead",
    ) + figures([*shown, _key(look.element, first, last)])
    return Section("importance", "Which wavelengths carry the estimate", body)


def _key(element: str, first_nm: float, last_nm: float) -> str:
    from html import escape

    items = "".join(f"<li>{escape(b.meaning)}</li>" for b in known_bands(element, first_nm, last_nm))
    if not items:
        return ""
    return f'<div><p class="lead">Known bands marked in the figures:</p><ul class="key">{items}</ul></div>'


def domain(contents: ReportContents, look: Look) -> Section | None:
    """The calibration's domain."""
    part = contents.domain
    if part is None or not part.sets:
        return None
    rows = []
    for s in part.sets:
        far, unlike = s.t2_over_limit > 1, s.q_over_limit > 1
        rows.append(
            (
                s.name,
                str(len(s.samples)),
                str(int(np.count_nonzero(far & ~unlike))),
                str(int(np.count_nonzero(unlike))),
                f"{100 * np.count_nonzero(far | unlike) / len(s.samples):.1f} %",
            )
        )
    header = ("spectra", "n", "T² only beyond", "Q beyond", "outside")
    caption = "Left of and below the dashed limits a spectrum belongs to the calibration."
    return Section(
        "domain",
        "Calibration domain",
        paragraph(
            "Hotelling T² says how extreme a spectrum is among the calibration soils, the Q residual how unlike them. "
            + part.method,
            "lead",
        )
        + figures([figure(draw_domain(part, look), caption), table(header, rows)]),
    )


def spectra(contents: ReportContents, look: Look) -> Section | None:
    """Spectra and what each step makes of them."""
    part = contents.spectra
    if part is None:
        return None
    shown = [
        figure(draw_step(step, part.samples, part.grade, look), f"{i + 1}. {step.name}. {step.detail}".strip())
        for i, step in enumerate(part.steps)
    ]
    if part.spectrogram is not None:
        caption = f"{len(part.steps) + 1}. Spectrogram, mean of the spectra shown. {part.spectrogram_detail}"
        shown.append(figure(draw_spectrogram(part, look), caption.strip()))
    low, high = number(float(part.grade.min()), 3), number(float(part.grade.max()), 3)
    lead = (
        f"{len(part.samples)} spectra from the lowest to the highest grade, {low} (dark) to {high} {look.unit} "
        "(light), as measured and after each step of preprocessing; the last step is what the network sees."
    )
    ends = part.steps[0].wavelengths_nm
    return Section(
        "spectra",
        "Spectra and preprocessing",
        paragraph(lead, "lead") + figures([*shown, _key(look.element, float(ends[0]), float(ends[-1]))]),
    )


def learning(contents: ReportContents, look: Look) -> Section | None:
    """Learning curves: by epoch, or by number of samples."""
    shown = []
    part, by_samples = contents.learning, contents.by_samples
    if part is not None and len(part.epoch):
        shown.append(
            figure(
                draw_learning(part, look),
                f"Loss: {part.loss}. Where training falls on and validation does not, the network learns by heart.",
            )
        )
    if by_samples is not None and len(by_samples.samples) > 1:
        caption = "Where the curve of what was left out still falls at its end, more samples would help."
        shown.append(figure(draw_by_samples(by_samples, look), f"{caption} {by_samples.note}".strip()))
    return Section("learning", "Learning curves", figures(shown)) if shown else None


def ladder(contents: ReportContents, look: Look) -> Section | None:
    """The quantisation ladder."""
    part = contents.ladder
    if part is None or not part.rows:
        return None
    rows = [
        (
            row.format,
            f"{row.bytes / 1024:.0f} KB" if row.bytes else "–",
            _optional(row.rmse, 4),
            _percent(row.added_percent),
            _percent(row.low_grade_added_percent),
            "✓ chosen" if row.chosen else row.note,
        )
        for row in part.rows
    ]
    header: Sequence[str] = (
        "format",
        "size",
        f"RMSE ({part.unit})" if part.unit else "RMSE",
        "added RMSE",
        "at low grade",
        "verdict",
    )
    strong = [i for i, row in enumerate(part.rows) if row.chosen]
    lead = (
        f"The smallest format that adds no more than {part.limit_percent:g} % to the error on unseen samples, at all "
        "grades and at low grade alone, is taken by export --quantise auto."
    )
    return Section(
        "quantisation",
        "Quantisation ladder",
        paragraph(lead, "lead")
        + (
            figures([figure(draw_ladder(part, look), "What each format adds to the error of the model as trained.")])
            if any(row.added_percent is not None for row in part.rows)
            else ""
        )
        + table(header, rows, strong=strong),
    )
