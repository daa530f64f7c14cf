"""The published analyses of 107 soils and their quality control, which ship with the package.

Source: Carvalho et al. 2024, Remote Sensing 16(11):1964, appendix table A1: Sb, As, Pb, Mn and Zn by ICP-MS in
soils over two old Sb-Au mines, Ribeiro da Serra and Tapada. `>4000` is what the laboratory reported above its
upper limit: the value is right-censored, and nothing here turns it into a number.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

from .table import AssayTable, parse_assay_tables

CITATION = "Carvalho et al. 2024, Remote Sensing 16(11):1964, table A1"
ELEMENTS: tuple[str, ...] = ("Sb", "As", "Pb", "Mn", "Zn")
"""Element symbols in the order of the table's columns and of every array of assays of the simulation."""


def shipped_table(name: str) -> bytes:
    """Read a table that ships with the package."""
    return (files(f"{__package__}.data") / name).read_bytes()


def read_published_table() -> AssayTable:
    """Read table A1 of the paper with its blanks, reference materials and duplicates."""
    return parse_assay_tables(
        (shipped_table("icpms_table_a1.csv"), CITATION),
        (shipped_table("icpms_qaqc.csv"), f"{CITATION}, its quality control"),
    )


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
    """Read the 107 rows of table A1 in their published order, with site and asterisk."""
    return tuple(
        Analysis(
            row["sample"],
            row["site"],
            tuple(row[f"{element}_ppm"] for element in ELEMENTS),
            row["excluded_in_paper"] == "True",
        )
        for row in csv.DictReader(shipped_table("icpms_table_a1.csv").decode().splitlines())
    )
