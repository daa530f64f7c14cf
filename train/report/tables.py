"""Tables and large figures of a report, as text, each made of one part of its contents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...edge.chart import fixed, number, written_percent
from ...edge.units import shown_unit
from ..assays.findings import DuplicatePair, QualityControl
from ..assays.report import quality_sections
from ..assays.statistics import ElementDescription, Moments
from ..crossval.metrics import FIGURES, coverage, measure
from ..crossval.table import ROWS, no_better
from ..crossval.validation import MethodScore, Spread, Validation
from ..formats import FormatResult, QuantisationFormats
from ..methods.faults import FAULTS
from .contents import DomainPart, MetricsColumn, PredictedSet, PrintedTables, in_words
from .figures import Look, grade_classes
from .page import Table, tabulate

STATISTICS = ("mean", "sd", "minimum", "q1", "median", "q3", "maximum", "skewness")
_HEADS = ("mean", "SD", "min", "Q1", "median", "Q3", "max", "skewness")
_NOT_COMPARED = "sep"
"""Bias stands beside RMSE."""
MOST_CHOICES = 3
LONG_CHOICE = 80


def written(value: float | None, digits: int = 3, absent: str = "") -> str:
    """Write a number with so many significant digits."""
    return absent if value is None else number(value, digits)


def _fixed(value: float | None, decimals: int = 2) -> str:
    return "–" if value is None else fixed(value, decimals)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _column(element: str, unit: str) -> str:
    return f"{in_words(element)} ({shown_unit(unit)})" if unit else in_words(element)


def leading_column(columns: Sequence[MetricsColumn]) -> MetricsColumn:
    """Choose what the page opens with: the last set whose figures have a unit."""
    return next((c for c in reversed(columns) if c.unit), columns[-1])


def accuracy_cards(column: MetricsColumn) -> list[tuple[str, str]]:
    """Give the large figures."""
    m, unit = column.metrics, f" {shown_unit(column.unit)}" if column.unit else ""
    return [
        ("R²", _fixed(m.r2)),
        ("RMSE", written(m.rmse, absent="–") + unit),
        ("bias", written(m.bias, absent="–") + unit),
        ("RPD", _fixed(m.rpd)),
        ("RPIQ", _fixed(m.rpiq)),
        ("n", str(m.n)),
    ]


def accuracy_table(columns: Sequence[MetricsColumn]) -> Table:
    """Figures of merit, a column a set."""

    def cell(value: float | None, digits: int) -> str:
        return _fixed(value, digits) if digits else written(value, 4, "–")

    rows = [("n", *(str(c.metrics.n) for c in columns))]
    for label, name, digits in FIGURES:
        rows.append((_heading(label), *(cell(getattr(c.metrics, name), digits) for c in columns)))
    header = ("", *(f"{c.name}, {shown_unit(c.unit)}" if c.unit else c.name for c in columns))
    return Table(header, rows)


def grade_table(part: PredictedSet, every: Sequence[PredictedSet], look: Look) -> Table:
    """Errors by class of grade; all sets of a report have the same classes."""
    rows = []
    for low, high, members in grade_classes(part.measured, *(s.measured for s in every)):
        label = f"{number(low, 3)} to {number(high, 3)}"
        if not members.size:
            rows.append((label, "0", *[""] * 4))
            continue
        y, p = part.measured[members], part.predicted[members]
        m = measure(p, y)
        inside = ""
        if part.low is not None and part.high is not None:
            inside = f"{100 * coverage(part.low[members], part.high[members], y, part.calibrated_range):.0f} %"
        relative = f"{number(float(np.median(np.abs(p - y) / y)) * 100, 2)} %" if y.min() > 0 else ""
        rows.append((label, str(m.n), number(m.bias, 3), number(m.rmse, 3), relative, inside))
    header = ("measured", "n", "bias", "RMSE", "median |err|", "covered")
    return Table(header, rows, caption=f"{look.of}: error by grade, {part.name}")


def merits_table(validation: Validation, ours: str | None, look: Look) -> Table:
    """Figures of merit of every method, mean and standard deviation over repeats."""
    unit = f" ({look.unit})" if look.unit else ""
    # Of either R2 first.
    shown = sorted((row for row in ROWS if row[1] != _NOT_COMPARED), key=lambda row: not row[0].startswith("R2"))
    shown = [row for row in shown if any(s.metrics[row[1]].mean is not None for s in validation.scores)]
    rows = [(s.method, *(_merit(s.metrics[name], digits) for _, name, digits in shown)) for s in validation.scores]
    header = ("model", *(_heading(label) + ("" if digits else unit) for label, _, digits in shown))
    repeated = any(s.metrics[name].sd is not None for s in validation.scores for _, name, _ in shown)
    strong = [i for i, s in enumerate(validation.scores) if s.method == ours]
    return Table(header, rows, strong=strong, caption="Mean ± SD over repeats" if repeated else "One repeat")


def no_better_than_the_mean(validation: Validation) -> str:
    """Name the methods whose R2 is not above zero, as a sentence; "" where there are none."""
    return no_better(validation)


def faults_table(validation: Validation, ours: str | None) -> Table | None:
    """R2 of left-out samples with faults of an instrument: of the report's model and the best other one."""
    others = [s.method for s in validation.scores if s.method != ours and s.with_faults]
    best = validation.best(others).method if others else None
    found = [s for s in validation.scores if s.method in (ours, best) and s.with_faults]
    if not found:
        return None
    rows = [(s.method, *("" if r2 is None else _fixed(r2, 3) for r2 in s.with_faults)) for s in found]
    strong = [i for i, s in enumerate(found) if s.method == ours]
    caption = "R² of samples left out, their spectra as they are and with one fault each"
    return Table(("model", "as it is", *FAULTS), rows, strong=strong, caption=caption)


def _heading(label: str) -> str:
    return label.replace("R2", "R²")


def _merit(spread: Spread, digits: int) -> str:
    """Write a figure of merit: in the target's unit with significant digits, else with decimals one can compare."""
    if not digits:
        return _with_spread(spread)
    if spread.mean is None:
        return ""
    return _fixed(spread.mean, digits) + (f" ± {_fixed(spread.sd, digits)}" if spread.sd is not None else "")


def _with_spread(spread: Spread) -> str:
    sd = f" ± {number(spread.sd, 2)}" if spread.sd is not None else ""
    return "–" if spread.mean is None else number(spread.mean, 3) + sd


def class_table(validation: Validation, look: Look) -> Table | None:
    """Error by class of grade of every method: RMSE, and the bias, which pulls towards the mean in all of them."""
    unit = f" ({look.unit})" if look.unit else ""
    rows = []
    for of_class in zip(*(score.by_class for score in validation.scores), strict=True):
        for score, c in zip(validation.scores, of_class, strict=True):
            first = score is validation.scores[0]
            name = (c.words(), str(c.n)) if first else ("", "")
            rows.append((*name, score.method, _with_spread(c.rmse), _with_spread(c.bias)))
    header = (f"measured{unit}", "n", "model", f"RMSE{unit}", f"bias{unit}")
    return Table(header, rows, text=("model",), caption=f"{look.of}: error by grade") if rows else None


def choices(score: MethodScore) -> str:
    """Say what a method chose inside the folds, the most frequent first."""
    counts: dict[str, int] = {}
    for choice in (choice for repeat in score.chosen for choice in repeat if choice):
        counts[choice] = counts.get(choice, 0) + 1
    often = sorted(counts, key=lambda choice: -counts[choice])
    # One long choice says as much as three: the others differ in small numbers.
    shown = often[: 1 if often and len(often[0]) > LONG_CHOICE else MOST_CHOICES]
    text = "; ".join(f"{choice} ({counts[choice]}×)" for choice in shown)
    return text + ("; ..." if len(often) > len(shown) else "")


def domain_table(part: DomainPart) -> Table:
    """How many spectra lie beyond each limit."""
    rows = []
    for s in part.sets:
        far, unlike = s.t2_over_limit > 1, s.q_over_limit > 1
        counts = (np.count_nonzero(far & ~unlike), np.count_nonzero(unlike))
        outside = f"{100 * np.count_nonzero(far | unlike) / len(s.samples):.1f} %"
        rows.append((s.name, str(len(s.samples)), *(str(int(n)) for n in counts), outside))
    return Table(("spectra", "n", "T² only beyond", "Q beyond", "outside"), rows)


def ladder_table(ladder: QuantisationFormats) -> Table:
    """What each quantisation format adds to the error."""
    unit = f" ({shown_unit(ladder.unit)})" if ladder.unit else ""

    def added(share: float | None) -> str:
        return "" if share is None else written_percent(100 * share, 3)

    def rmse(rung: FormatResult) -> str:
        return "–" if rung.added is None else number(ladder.rmse * (1 + rung.added), 4)

    return tabulate(
        ladder.results,
        {
            "format": lambda r: r.format,
            "size": lambda r: f"{r.bytes / 1024:.0f} KB" if r.bytes else "–",
            f"RMSE{unit}": rmse,
            "added RMSE": lambda r: added(r.added),
            "at low grade": lambda r: added(r.low_grade_added),
            "at middle grade": lambda r: added(r.middle_grade_added),
            "at high grade": lambda r: added(r.high_grade_added),
            "verdict": lambda r: "✓ chosen" if r.format == ladder.chosen else r.why_not,
        },
        strong=[i for i, rung in enumerate(ladder.results) if rung.format == ladder.chosen],
    )


def statistics_table(descriptions: Sequence[ElementDescription], printed: PrintedTables | None) -> Table:
    """Describe each element, each reading of its bounds a line, the paper's printed figures beneath."""
    rows: list[tuple[str, ...]] = []
    faint: list[int] = []
    for d in descriptions:
        censored = bool(d.n_below or d.n_above)
        reading, moments = "no values", ("",) * len(STATISTICS)
        if d.as_values is not None:
            reading, moments = "bounds as values" if censored else "values", _moments(d.as_values)
        rows.append((_column(d.element, d.unit), reading, str(d.n), *moments))
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
            q1, median, q3 = (written(q) for q in (law.q1, law.median, law.q3))
            rows.append(
                ("", "log-normal law", str(d.n), written(law.mean), written(law.sd), "", q1, median, q3, "", "")
            )
        digits = [printed.statistics.get((d.element, name), "") for name in STATISTICS] if printed else []
        if any(digits):
            faint.append(len(rows))
            rows.append(("", "paper, table 2", "", *digits))
    return Table(("element", "reading", "n", *_HEADS), rows, left=2, faint=faint)


def _moments(m: Moments) -> tuple[str, ...]:
    return tuple(written(getattr(m, name)) for name in STATISTICS)


def duplicates_by_stage(q: QualityControl) -> list[tuple[str, float, list[DuplicatePair]]]:
    """Give the pairs that can be drawn: the stage's name, its limit in percent, and its pairs."""
    drawable = [p for p in q.pairs if p.hard_pct is not None and p.first.value + p.second.value > 0]
    stages = (("pulp", q.limits.pulp_hard_pct), ("field", q.limits.field_hard_pct))
    by_stage = [(stage, limit, [p for p in drawable if p.stage == stage]) for stage, limit in stages]
    return [found for found in by_stage if found[2]]


def quality_tables(q: QualityControl) -> list[Table]:
    """Lay out the findings of quality control; a kind of which there are none has no table."""
    return [
        Table(header, rows, left=left, text=("unit",), caption=title)
        for title, header, rows, left, _ in quality_sections(q, pairs=False)
    ]
