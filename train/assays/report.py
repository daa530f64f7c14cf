"""What `stibium assays` found, for a terminal, as JSON lines and as CSV; a report page takes the same records."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from ...converters.spectra.text import for_spreadsheet
from ...edge.units import shown_unit
from ..terminal import columns, figure
from .findings import VERDICTS, QualityControl
from .paper_tables import PaperComparison
from .statistics import Correlations, ElementDescription, Moments
from .table import AssayTable
from .values import as_reported

KIND_WORDS = {
    "sample": ("sample", "samples"),
    "blank": ("blank", "blanks"),
    "crm": ("reference material", "reference materials"),
    "pulp": ("pulp", "pulps"),
    "replicate": ("replicate", "replicates"),
    "mdl": ("row of detection limits", "rows of detection limits"),
}

CSV_FIELDS = ("section", "element", "unit", "item", "figure", "value")
"""Columns of the CSV: one figure a row, so that a spreadsheet can filter and pivot them."""

_METHODS = {"pearson": "Pearson", "log-pearson": "Pearson, of logarithms", "spearman": "Spearman, of ranks"}
_Section = tuple[str, tuple[str, ...], Sequence[tuple[str, ...]], int, int]
_ITEM_KEYS = ("stage", "item", "material", "reading", "method", "table", "statistic", "other")


@dataclass(frozen=True)
class AssayReport:
    """Everything found in a table of assays.

    Attributes:
        table: what was read.
        descriptions, correlations: of its samples; empty without any.
        quality: None for a table that is not judged.
        paper: None unless it was asked for.
    """

    table: AssayTable
    descriptions: tuple[ElementDescription, ...]
    correlations: tuple[Correlations, ...]
    quality: QualityControl | None
    paper: PaperComparison | None

    def to_records(self) -> list[dict[str, Any]]:
        """Give everything as JSON values, `section` saying what each is."""
        counts = {kind: len(self.table.of_kind(kind)) for kind in KIND_WORDS}  # type: ignore[arg-type]
        records: list[dict[str, Any]] = [
            {"section": "table", "paths": list(self.table.paths), "sha256": list(self.table.sha256), **counts}
        ]
        for description in self.descriptions:
            records += description.to_records()
        for correlations in self.correlations:
            records += correlations.to_records()
        if self.quality is not None:
            records += self.quality.to_records()
        if self.paper is not None:
            records += self.paper.to_records()
        return records


def write_jsonl(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    """Write one JSON object a line."""
    for record in records:
        out.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    """Write one figure a row; what there is not has no row."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for record in records:
        item = for_spreadsheet(" ".join(str(record[key]) for key in _ITEM_KEYS if record.get(key) not in (None, "")))
        head = [record["section"], record.get("element", ""), record.get("unit", ""), item]
        for key, value in record.items():
            if key in ("section", "element", "unit", *_ITEM_KEYS) or value in (None, "", []):
                continue
            if isinstance(value, bool):
                value = "yes" if value else "no"
            writer.writerow([*head, key, for_spreadsheet(";".join(value)) if isinstance(value, list) else value])


def render(report: AssayReport) -> str:
    """Lay everything out for a terminal."""
    parts = [_heading(report.table)]
    if report.descriptions:
        parts.append(render_statistics(report.descriptions))
    parts += [render_correlations(correlations) for correlations in report.correlations]
    if report.quality is not None:
        parts.append(render_quality(report.quality))
    if report.paper is not None:
        parts.append(render_paper(report.paper))
    return "\n\n".join(parts) + "\n"


def _heading(table: AssayTable) -> str:
    counted = []
    for kind, words in KIND_WORDS.items():
        n = len(table.of_kind(kind))  # type: ignore[arg-type]
        if n:
            counted.append(f"{n} {words[n > 1]}")
    return "\n".join([*table.paths, ", ".join(counted)])


def render_statistics(descriptions: Sequence[ElementDescription]) -> str:
    """Lay descriptive statistics out, each reading of an element a line."""
    header = ("element", "reading", "n", "mean", "SD", "min", "Q1", "median", "Q3", "max", "skew", "log10 mean")
    rows: list[tuple[str, ...]] = []
    notes = []
    for d in descriptions:
        name = f"{d.element}_{d.unit}"
        readings: list[tuple[str, ...]] = []
        if d.as_values is not None:
            readings.append(("bounds as values" if d.n_below or d.n_above else "values", *_moments(d.as_values)))
        if d.known is not None:
            readings.append(("known values only", *_moments(d.known)))
        if d.product_limit is not None:
            p = d.product_limit
            mean = f">{figure(p.mean_low)}" if p.mean_high is None else f"{figure(p.mean_low)}-{figure(p.mean_high)}"
            quartiles = (f"{a.censored}{figure(a.value)}" for a in (p.q1, p.median, p.q3))
            readings.append(("product limit", str(d.n), mean, "", "", *quartiles, "", "", ""))
        if d.log_normal is not None:
            law = d.log_normal
            figures = (figure(law.q1), figure(law.median), figure(law.q3), "", "", f"{law.log10_mean:.3f}")
            readings.append(("log-normal law", str(d.n), figure(law.mean), figure(law.sd), "", *figures))
        rows += [(name if i == 0 else "", *reading) for i, reading in enumerate(readings)]
        if d.note:
            notes.append(f"{d.element}: {d.note} in the first line; product limit and log-normal law keep them bounds")
        if d.n_missing:
            notes.append(f"{d.element}: {d.n_missing} of {d.n + d.n_missing} samples have no value")
    table = [columns(header, rows, left=2)] if rows else []
    return "\n".join(["Descriptive statistics", *table, *notes])


def _moments(m: Moments) -> tuple[str, ...]:
    skewness = "" if m.skewness is None else f"{m.skewness:.2f}"
    logs = "" if m.log10_mean is None else f"{m.log10_mean:.3f}"
    figures = (m.mean, m.sd, m.minimum, m.q1, m.median, m.q3, m.maximum)
    return (str(m.n), *(figure(f) for f in figures), skewness, logs)


def render_correlations(correlations: Correlations) -> str:
    """Lay a correlation matrix out, its lower half."""
    n = correlations.n
    said = [_METHODS[correlations.method], f"n = {n.min()}" if n.min() == n.max() else f"n = {n.min()} to {n.max()}"]
    if correlations.n_bounds.any() or correlations.reading == "known values only":
        said.insert(1, correlations.reading)
    rows = []
    for i, element in enumerate(correlations.elements):
        cells = ["-" if math.isnan(r) else f"{r:.2f}" for r in correlations.r[i, : i + 1]]
        rows.append((element, *cells, *[""] * (len(correlations.elements) - i - 1)))
    return f"Correlation ({'; '.join(said)})\n{columns(('', *correlations.elements), rows)}"


def render_quality(quality: QualityControl) -> str:
    """Lay the findings of the quality control out, the most serious verdict first."""
    counted = Counter(finding.verdict for finding in quality.judged)
    counts = ", ".join(f"{counted[verdict]} {verdict}" for verdict in reversed(VERDICTS) if counted[verdict])
    parts = [f"Quality control: {quality.verdict} ({counts})"]
    parts += [
        f"{title}\n{columns(header, rows, left, left_from)}"
        for title, header, rows, left, left_from in quality_sections(quality)
    ]
    return "\n\n".join([*parts, "\n".join(quality.notes)] if quality.notes else parts)


def quality_sections(quality: QualityControl, pairs: bool = True) -> list[_Section]:
    """Lay out what quality control found; a kind of which there is nothing has no section.

    Args:
        quality: what was found.
        pairs: each pair of duplicates, too.
    """
    sections = [_precision(quality), _materials(quality), _blanks(quality), _detection(quality), _rates(quality)]
    if pairs:
        sections.insert(1, _pairs(quality))
    return [section for section in sections if section[2]]


def _precision(quality: QualityControl) -> _Section:
    title = "Precision of duplicates (root mean square CV; CV <: 95 % upper bound of it)"
    figures = ("CV %", "CV <", "RPD mean %", "median %", "max %", "HARD ok", "bias %")
    header = ("element", "duplicates", "pairs", "used", *figures, "verdict", "note")
    rows = [
        (
            p.element,
            {"pulp": "pulps", "field": "field duplicates"}[p.stage],
            str(p.n_pairs),
            str(p.n_used),
            figure(p.cv_pct, 2),
            figure(p.cv_upper_pct, 2),
            figure(p.rpd_mean_pct, 2),
            figure(p.rpd_median_pct, 2),
            figure(p.rpd_max_pct, 2),
            "" if p.hard_share is None else f"{p.hard_share:.0%}",
            "" if p.bias_pct is None else f"{p.bias_pct:+.1f}",
            p.verdict,
            p.note,
        )
        for p in quality.precision
    ]
    return title, header, rows, 2, 11


def _pairs(quality: QualityControl) -> _Section:
    header = ("element", "item", "duplicates", "first", "second", "RPD %", "note")
    rows = [
        (p.element, p.item, p.stage, as_reported(p.first), as_reported(p.second), figure(p.rpd_pct, 2), p.note)
        for p in quality.pairs
    ]
    return "Pairs", header, rows, 3, 6


def _materials(quality: QualityControl) -> _Section:
    figures = ("n", "mean", "RSD %", "certified", "recovery %", "worst SD")
    rows = [
        (
            r.element,
            r.material,
            str(r.n),
            figure(r.mean),
            figure(r.rsd_pct, 2),
            figure(r.certified),
            figure(r.recovery_pct, 3),
            "" if r.worst_sd is None else f"{r.worst_sd:+.1f}",
            shown_unit(r.unit),
            r.verdict,
            r.note,
        )
        for r in quality.recoveries
    ]
    return "Reference materials", ("element", "material", *figures, "unit", "verdict", "note"), rows, 2, 8


def _blanks(quality: QualityControl) -> _Section:
    header = ("element", "blank", "value", "limit", "times", "unit", "verdict", "note")
    rows = [
        (
            b.element,
            b.item,
            as_reported(b.value),
            _limit(b.detection_limit),
            figure(b.times_limit, 2),
            shown_unit(b.unit),
            b.verdict,
            b.note,
        )
        for b in quality.blanks
    ]
    return "Blanks against the detection limit", header, rows, 2, 5


def _detection(quality: QualityControl) -> _Section:
    header = ("element", "n", "missing", "below", "above", "limit", "unit", "verdict", "note")
    rows = [
        (
            d.element,
            str(d.n),
            str(d.n_missing or ""),
            str(d.n_below),
            str(d.n_above),
            _limit(d.detection_limit),
            shown_unit(d.unit),
            d.verdict,
            d.note,
        )
        for d in quality.detection
    ]
    return "Samples below and above what the method can tell", header, rows, 1, 6


def _rates(quality: QualityControl) -> _Section:
    rows = [(r.item, str(r.n), _share(r.share), _share(r.wanted), r.verdict, r.note) for r in quality.rates]
    return "How much control there is", ("control", "n", "of samples", "wanted", "verdict", "note"), rows, 1, 4


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _limit(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def render_paper(paper: PaperComparison) -> str:
    """Lay the paper's figures out beside those of its appendix."""
    header = ("table", "figure", "printed", "Sb <= 1000", "any 92 of them", "all rows", "comes out of")
    rows = []
    for c in paper.figures:
        f = c.figure
        name = f"{f.element}-{f.other}" if f.other else f"{f.element} {f.statistic}"
        digits = 2 if f.table == 1 else 1
        span = f"{c.low:.{digits}f} to {c.high:.{digits}f}"
        rows.append(
            (str(f.table), name, f.printed, f"{c.up_to_1000:.{digits}f}", span, f"{c.all_rows:.{digits}f}", c.origin)
        )
    title = "Tables 1 and 2 of Carvalho et al. 2024 against their appendix table A1"
    return "\n".join([title, columns(header, rows, left=2, left_from=6), *paper.notes])
