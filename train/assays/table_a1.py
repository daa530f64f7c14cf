"""The published analyses of 107 soils that the simulation is conditioned on.

Source: Carvalho et al. 2024, Remote Sensing 16(11):1964, appendix table A1: Sb, As, Pb, Mn and Zn by ICP-MS in
soils over two old Sb-Au mines, Ribeiro da Serra and Tapada. `>4000` is what the laboratory reported above its
upper limit: the value is right-censored, and this module never turns it into a number.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

ELEMENTS: tuple[str, ...] = ("Sb", "As", "Pb", "Mn", "Zn")
"""Element symbols in the order of the table's columns and of every array of assays here."""


@dataclass(frozen=True)
class Analysis:
    """One soil as the laboratory reported it.

    Attributes:
        sample: the published sample name, such as RS052.
        site: mine the soil lies over.
        reported_ppm: one text per element of `ELEMENTS`, as printed; right-censored values begin with ">".
        excluded_in_paper: the row carries the asterisk of the published table.
    """

    sample: str
    site: str
    reported_ppm: tuple[str, ...]
    excluded_in_paper: bool = False

    @property
    def above(self) -> tuple[bool, ...]:
        """Per element: whether only a lower bound is known."""
        return tuple(text.startswith(">") for text in self.reported_ppm)

    @property
    def bound_ppm(self) -> tuple[float, ...]:
        """Per element: the value in ppm, or the lower bound where `above` says so."""
        return tuple(float(text.lstrip(">")) for text in self.reported_ppm)


def read_table_a1() -> tuple[Analysis, ...]:
    """Read the table that ships with the package.

    Returns:
        The 107 rows in their published order.

    Raises:
        ValueError: a column is missing or a figure is neither a number nor a right-censored one; the message
            names the row.
    """
    text = (files(f"{__package__}.data") / "icpms_table_a1.csv").read_text(encoding="utf-8")
    return parse_table_a1(text, "icpms_table_a1.csv")


def parse_table_a1(text: str, source: str) -> tuple[Analysis, ...]:
    """Parse the table's text; see `read_table_a1`."""
    reader = csv.DictReader(text.splitlines())
    columns = ("sample", "site", *(f"{element}_ppm" for element in ELEMENTS), "excluded_in_paper")
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{source}: column {missing[0]} is missing")
    analyses = []
    for row in reader:
        reported = tuple((row[f"{element}_ppm"] or "").strip() for element in ELEMENTS)
        for element, value in zip(ELEMENTS, reported, strict=True):
            _check(value, f"{source}: {row['sample']}: {element}_ppm")
        analyses.append(Analysis(row["sample"], row["site"], reported, row["excluded_in_paper"] == "True"))
    return tuple(analyses)


def _check(text: str, where: str) -> None:
    try:
        positive = 0.0 < float(text.removeprefix(">")) < 1e6
    except ValueError:
        positive = False
    if not positive:
        raise ValueError(f"{where}: {text!r} is neither ppm nor a bound such as >4000")
