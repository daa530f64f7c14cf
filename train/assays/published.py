"""The published analyses and their quality control, as tables of assays."""

from __future__ import annotations

from importlib.resources import files

from .table import AssayTable, parse_assay_tables

CITATION = "Carvalho et al. 2024, Remote Sensing 16(11):1964, table A1"


def read_published_table() -> AssayTable:
    """Read table A1 of the paper with its blanks, reference materials and duplicates, which ship with the package."""
    folder = files(f"{__package__}.data")
    return parse_assay_tables(
        ((folder / "icpms_table_a1.csv").read_bytes(), CITATION),
        ((folder / "icpms_qaqc.csv").read_bytes(), f"{CITATION}, its quality control"),
    )
