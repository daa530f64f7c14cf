"""Sections on the laboratory's values: descriptive statistics, correlations, quality control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...edge.units import shown_unit
from ..assays.findings import DuplicatePair, QualityControl
from ..assays.statistics import Moments
from ..assays.values import as_reported
from .chart import number
from .contents import PrintedTables, ReportContents
from .figures import Look, draw_correlations, draw_duplicates
from .page import Section, figure, figures, paragraph, table

STATISTICS = ("mean", "sd", "minimum", "q1", "median", "q3", "maximum", "skewness")
_HEADS = ("mean", "SD", "min", "Q1", "median", "Q3", "max", "skewness")
_DIFFERENCES = ("CV %", "median RPD %", "max RPD %", "bias %")
PRECISION_HEADER = ("element", "duplicates", "verdict", "pairs used", *_DIFFERENCES, "note")
RECOVERY_HEADER = ("material", "element", "verdict", "n", "mean", "RSD %", "certified", "recovery %", "note")
BLANK_HEADER = ("blank", "element", "verdict", "value", "detection limit", "times limit", "note")
DETECTION_HEADER = ("element", "verdict", "n", "missing", "below", "above", "detection limit", "note")
RATE_HEADER = ("control", "verdict", "n", "share", "wanted", "note")
METHODS = {"pearson": "Pearson's r", "log-pearson": "Pearson's r of the logarithms", "spearman": "Spearman's ranks"}


def _optional(value: float | None, digits: int = 3) -> str:
    return "" if value is None else number(value, digits)


def _column(element: str, unit: str) -> str:
    return f"{element} ({shown_unit(unit)})" if unit else element


def statistics_section(contents: ReportContents, look: Look) -> Section | None:
    """Describe each element, each reading of its bounds a line, the paper's printed figures beneath."""
    if not contents.statistics:
        return None
    rows: list[tuple[str, ...]] = []
    faint: list[int] = []
    notes: list[str] = []
    blank = ("",) * len(STATISTICS)
    for d in contents.statistics:
        name = _column(d.element, d.unit)
        censored = bool(d.n_below or d.n_above)
        if d.as_values is not None:
            rows.append((name, "bounds as values" if censored else "values", str(d.n), *_moments(d.as_values)))
        else:
            rows.append((name, "no values", str(d.n), *blank))
        if d.known is not None:
            rows.append(("", "known values only", str(d.known.n), *_moments(d.known)))
        if d.product_limit is not None:
            p = d.product_limit
            mean = f"≥ {number(p.mean_low, 3)}"
            if p.mean_high is not None:
                mean = f"{number(p.mean_low, 3)} to {number(p.mean_high, 3)}"
            quartiles = [f"{bound.censored}{number(bound.value, 3)}" for bound in (p.q1, p.median, p.q3)]
            rows.append(("", "product limit", str(d.n), mean, "", "", *quartiles, "", ""))
        if d.log_normal is not None:
            law = d.log_normal
            quartiles = [_optional(q) for q in (law.q1, law.median, law.q3)]
            moments = (_optional(law.mean), _optional(law.sd))
            rows.append(("", "log-normal law", str(d.n), *moments, "", *quartiles, "", ""))
        printed = _printed(contents.printed, d.element)
        if printed is not None:
            faint.append(len(rows))
            rows.append(("", "paper, table 2", "", *printed))
        if d.note:
            notes.append(f"{d.element}: {d.note} in the first line.")
    lead = (
        "Each element of the assays, samples only; values of which only a bound is known are shown in several readings."
    )
    if contents.printed is not None:
        lead += f" Beneath, as printed: {contents.printed.citation}."
    body = paragraph(lead, "lead") + table(("element", "reading", "n", *_HEADS), rows, left=2, faint=faint)
    return Section("statistics", "Elements", body + "".join(paragraph(n, "lead") for n in notes))


def _moments(m: Moments) -> tuple[str, ...]:
    return tuple(_optional(getattr(m, name)) for name in STATISTICS)


def _printed(printed: PrintedTables | None, element: str) -> tuple[str, ...] | None:
    if printed is None:
        return None
    found = tuple(printed.statistics.get((element, name), "") for name in STATISTICS)
    return found if any(found) else None


def correlation_section(contents: ReportContents, look: Look) -> Section | None:
    """Correlation matrices as heat maps, the paper's beside them."""
    parts = [part for part in contents.correlations or () if len(part.elements) > 1]
    if not parts:
        return None
    items = []
    for part in parts:
        n = part.n[np.triu_indices(len(part.elements), 1)]
        over = f"{n.min()} samples" if n.min() == n.max() else f"{n.min()} to {n.max()} samples a pair"
        bounds = int(part.n_bounds.max())
        more = f"; in up to {bounds} of them a bound is taken as the value" if bounds else ""
        items.append(
            figure(draw_correlations(part.elements, part.r, look), f"{METHODS[part.method]} over {over}{more}.")
        )
    elements, printed = parts[0].elements, contents.printed
    if printed is not None and any((a, b) in printed.correlations for a in elements for b in elements):
        r = np.full((len(elements), len(elements)), np.nan)
        np.fill_diagonal(r, 1.0)
        for i, a in enumerate(elements):
            for j, b in enumerate(elements):
                digits = printed.correlations.get((a, b), printed.correlations.get((b, a)))
                if digits is not None:
                    r[i, j] = float(digits)
        # The paper's soils are real.
        paper = replace(look, simulated=False)
        items.append(figure(draw_correlations(elements, r, paper), f"As printed, table 1: {printed.citation}."))
    return Section("correlations", "Correlation of the elements", figures(items))


def quality_section(contents: ReportContents, look: Look) -> Section | None:
    """Quality control of the assays, each kind of finding a table; a kind that is not there has none."""
    q = contents.quality
    if q is None or not (q.judged or q.pairs):
        return None
    parts = [
        paragraph(
            "What blanks, reference materials, duplicates and detection limits say of the laboratory's values. A model "
            "cannot be better than these.",
            "lead",
        )
    ]
    used = [p for p in q.pairs if p.hard_pct is not None and p.first.value + p.second.value > 0]
    if used:
        items = []
        for stage, limit in (("pulp", q.limits.pulp_hard_pct), ("field", q.limits.field_hard_pct)):
            mine = [p for p in used if p.stage == stage]
            if mine:
                items.append(
                    figure(_pairs_figure(mine, limit, look), f"{stage.capitalize()} duplicates, limit {limit:g} %.")
                )
        parts.append(figures(items))
    parts += _tables(q)
    parts += [paragraph(note, "lead") for note in q.notes]
    return Section("quality", "Assay quality control", "".join(parts))


def _pairs_figure(pairs: list[DuplicatePair], limit: float, look: Look) -> str:
    level = np.array([(p.first.value + p.second.value) / 2 for p in pairs])
    hard = np.array([p.hard_pct for p in pairs], dtype=np.float64)
    return draw_duplicates([p.element for p in pairs], [p.item for p in pairs], level, hard, limit, look)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _tables(q: QualityControl) -> list[str]:
    precision = [
        (
            p.element,
            p.stage,
            p.verdict,
            f"{p.n_used} of {p.n_pairs}",
            _optional(p.cv_pct),
            _optional(p.rpd_median_pct),
            _optional(p.rpd_max_pct),
            _optional(p.bias_pct),
            p.note,
        )
        for p in q.precision
    ]
    recoveries = [
        (
            r.material,
            _column(r.element, r.unit),
            r.verdict,
            str(r.n),
            _optional(r.mean, 4),
            _optional(r.rsd_pct),
            _optional(r.certified, 4),
            _optional(r.recovery_pct, 4),
            r.note,
        )
        for r in q.recoveries
    ]
    blanks = [
        (
            b.item,
            _column(b.element, b.unit),
            b.verdict,
            as_reported(b.value),
            _optional(b.detection_limit),
            _optional(b.times_limit),
            b.note,
        )
        for b in q.blanks
    ]
    detection = [
        (
            _column(d.element, d.unit),
            d.verdict,
            str(d.n),
            str(d.n_missing) if d.n_missing else "",
            str(d.n_below),
            str(d.n_above),
            _optional(d.detection_limit),
            d.note,
        )
        for d in q.detection
    ]
    rates = [(r.item, r.verdict, str(r.n), _percent(r.share), _percent(r.wanted), r.note) for r in q.rates]
    return [
        table(header, rows, caption=caption, left=left)
        for caption, left, header, rows in (
            ("Precision", 2, PRECISION_HEADER, precision),
            ("Reference materials", 2, RECOVERY_HEADER, recoveries),
            ("Blanks", 2, BLANK_HEADER, blanks),
            ("Values beyond what the method can tell", 1, DETECTION_HEADER, detection),
            ("How much control there is", 1, RATE_HEADER, rates),
        )
        if rows
    ]
