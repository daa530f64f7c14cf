"""Tables 1 and 2 of Carvalho et al. 2024, and which of their figures come out of the paper's own appendix table.

The paper describes 92 soils, those with spectra and up to 1000 ppm Sb; the appendix lists 107 analyses, 93 of them up
to 1000 ppm, and does not say which one is missing. So a printed figure counts as coming out of the appendix if it
does, to the printed digits, over those 93, or over some 92 of them; whether it does over all 107, `>4000` taken as
4000, is looked at too.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from ...converters.spectra.spectrum import Floats
from .published import ELEMENTS, Analysis, read_table_a1, shipped_table
from .statistics import METHODS, Method, correlation, moments

Origin = Literal["Sb up to 1000 ppm", "one of those left out", "all rows", "not from the table"]

OUTLIER_PPM = 1000.0
"""The paper leaves soils above this Sb out."""


@dataclass(frozen=True)
class PrintedFigure:
    """A figure of the paper.

    Attributes:
        table: 1 (correlations) or 2 (descriptive statistics).
        statistic: "pearson", or as in `element_statistics.Moments`.
        element, other: symbols; `other` is empty in table 2.
        unit: ppm, or empty.
        printed: the digits as they stand.
    """

    table: int
    statistic: str
    element: str
    other: str
    unit: str
    printed: str

    @property
    def value(self) -> float:
        """The figure as a number."""
        return float(self.printed)

    def is_met_by(self, value: float) -> bool:
        """Whether a number rounds to the printed digits, either way at a half."""
        _, _, decimals = self.printed.partition(".")
        return abs(value - self.value) <= 0.5 * 10.0 ** -len(decimals) * (1 + 1e-9)


@dataclass(frozen=True)
class ComparedFigure:
    """A printed figure beside what the appendix gives.

    Attributes:
        figure: as printed.
        up_to_1000: over the 93 rows up to 1000 ppm Sb.
        low, high: lowest and highest over any 92 of them.
        all_rows: over all 107, `>4000` as 4000.
        origin: where the printed figure comes out, the first that fits.
        nearest, nearest_by: of every reading tried, the figure that comes nearest, and the reading.
    """

    figure: PrintedFigure
    up_to_1000: float
    low: float
    high: float
    all_rows: float
    origin: Origin
    nearest: float
    nearest_by: str


@dataclass(frozen=True)
class PaperComparison:
    """Every printed figure, and what can be said of them together.

    Attributes:
        figures: in the paper's order.
        left_out: the sample whose absence from the 93 makes most figures of table 2 come out, and how many do.
        notes: what a reader of the paper should know.
    """

    figures: tuple[ComparedFigure, ...]
    left_out: tuple[str, int]
    notes: tuple[str, ...]

    def to_records(self) -> list[dict[str, Any]]:
        """Give each figure as JSON values; `section` is "paper"."""
        records: list[dict[str, Any]] = []
        for compared in self.figures:
            values = {key: value for key, value in asdict(compared).items() if key != "figure"}
            printed = {**asdict(compared.figure), "printed": compared.figure.value}
            records.append({"section": "paper", **printed, **values})
        return records + [{"section": "note", "note": note} for note in self.notes]


@dataclass(frozen=True)
class _Reading:
    rows: str
    method: Method
    figure: Callable[[PrintedFigure], float]


def printed_figures() -> tuple[PrintedFigure, ...]:
    """Read the printed figures that ship with the package."""
    text = shipped_table("paper_tables.csv").decode()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        PrintedFigure(int(row["table"]), row["statistic"], row["element"], row["other"], row["unit"], row["printed"])
        for row in rows
    )


def compare_with_paper(law: Floats) -> PaperComparison:
    """Compare the printed figures with what the shipped appendix table gives.

    Args:
        law: (5, 5) correlations of the logarithms by a law that keeps >4000 a bound, elements as in `ELEMENTS`.
    """
    analyses = read_table_a1()
    figures = printed_figures()
    every = _bounds(analyses)
    kept = [row for row in analyses if not row.above[0] and row.bound_ppm[0] <= OUTLIER_PPM]
    up_to_1000 = _bounds(kept)
    without = [np.delete(up_to_1000, i, axis=0) for i in range(len(kept))]
    readings = _readings(analyses, every, up_to_1000, law)
    compared = []
    met = np.zeros(len(kept), dtype=int)
    for figure in figures:
        here, all_rows = _figure(figure, up_to_1000), _figure(figure, every)
        left_out = [_figure(figure, part) for part in without]
        meets = np.array([figure.is_met_by(value) for value in left_out])
        if figure.table == 2:
            met += meets
        origin: Origin = "not from the table"
        if figure.is_met_by(here):
            origin = "Sb up to 1000 ppm"
        elif meets.any():
            origin = "one of those left out"
        elif figure.is_met_by(all_rows):
            origin = "all rows"
        tried = [
            (reading.figure(figure), f"{reading.rows}, {reading.method}" if figure.table == 1 else reading.rows)
            for reading in readings
            if figure.table == 1 or reading.method == "pearson"
        ]
        nearest, nearest_by = min(tried, key=lambda found: abs(found[0] - figure.value))
        compared.append(
            ComparedFigure(figure, here, min(left_out), max(left_out), all_rows, origin, nearest, nearest_by)
        )
    best = int(met.argmax())
    left_out_best = (kept[best].sample, int(met[best]))
    closest = _closest([figure for figure in figures if figure.table == 1], readings)
    notes = _notes(compared, left_out_best, len(kept), len(analyses), closest)
    return PaperComparison(tuple(compared), left_out_best, notes)


def _bounds(rows: Sequence[Analysis]) -> Floats:
    return np.array([row.bound_ppm for row in rows])


def _figure(figure: PrintedFigure, ppm: Floats, method: Method = "pearson") -> float:
    x = ppm[:, ELEMENTS.index(figure.element)]
    if figure.table == 1:
        return correlation(x, ppm[:, ELEMENTS.index(figure.other)], method)
    return float(getattr(moments(x), figure.statistic))


def _readings(analyses: Sequence[Analysis], every: Floats, up_to_1000: Floats, law: Floats) -> list[_Reading]:
    """Every way of reading the appendix that a correlation or statistic might have been taken by."""
    rows = {
        "all 107, >4000 as 4000": every,
        "up to 1000 ppm Sb": up_to_1000,
        "without >4000": _bounds([row for row in analyses if not row.above[0]]),
        "without asterisked rows": _bounds([row for row in analyses if not row.excluded_in_paper]),
        "Ribeiro da Serra alone": _bounds([row for row in analyses if row.site == "Ribeiro da Serra"]),
        "Tapada alone": _bounds([row for row in analyses if row.site == "Tapada"]),
    }
    readings = [
        _Reading(name, method, partial(_figure, ppm=ppm, method=method))
        for name, ppm in rows.items()
        for method in METHODS
    ]

    def of_law(figure: PrintedFigure) -> float:
        return float(law[ELEMENTS.index(figure.element), ELEMENTS.index(figure.other)])

    return [*readings, _Reading("log-normal law, >4000 as bounds", "log-pearson", of_law)]


def _closest(figures: Sequence[PrintedFigure], readings: Sequence[_Reading]) -> str:
    """The one reading whose largest difference from a table's figures is smallest, in words."""
    worst = [max(abs(reading.figure(figure) - figure.value) for figure in figures) for reading in readings]
    best = min(range(len(readings)), key=worst.__getitem__)
    return f"{readings[best].rows}, {readings[best].method}, off by up to {worst[best]:.2f}"


def _notes(
    compared: Sequence[ComparedFigure], left_out: tuple[str, int], kept: int, every: int, closest: str
) -> tuple[str, ...]:
    correlations, statistics = ([c for c in compared if c.figure.table == table] for table in (1, 2))
    wrong = [c for c in correlations if c.origin == "not from the table"]
    found = sum(c.origin != "not from the table" for c in statistics)
    notes = [
        f"table 1 (correlations): {len(correlations) - len(wrong)} of {len(correlations)} printed figures come out of "
        f"table A1; of all readings tried the closest to the ten together is {closest}",
        f"table 2 (descriptive statistics): {found} of {len(statistics)} printed figures come out of table A1, "
        f"{left_out[1]} of them at once without {left_out[0]}",
    ]
    for c in wrong:
        f = c.figure
        notes.append(
            f"{f.element}-{f.other}: printed {f.printed}; {c.all_rows:.2f} over all {every} rows with >4000 taken as "
            f"4000, {c.up_to_1000:.2f} over the {kept} up to {OUTLIER_PPM:g} ppm Sb, {c.low:.2f} to {c.high:.2f} "
            f"over any {kept - 1} of them; nearest {c.nearest:.2f} ({c.nearest_by})"
        )
    return tuple(notes)
