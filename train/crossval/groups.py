"""Which samples belong together, so that no validation has some of them on both sides."""

from __future__ import annotations

import math
from collections.abc import Hashable

from ..assays.sheet import read_sheet
from ..assays.table import name_column
from ..errors import AssayFileError
from .folds import grid_cells, square_cells

DEGREES = (("latitude_deg", "longitude_deg"), ("latitude", "longitude"), ("lat", "lon"))
METRES = (("easting_m", "northing_m"), ("easting", "northing"), ("x_m", "y_m"))
"""Columns that positions may stand in, in lower case: WGS 84, and any projection in metres."""


def read_groups(path: str, column: str) -> dict[str, Hashable]:
    """Read which group each sample of an assay table belongs to.

    Args:
        path: the table.
        column: such as site; a sample without an entry, as a blank or a reference material may be, gets no group.

    Raises:
        AssayFileError: there is no such column, or two of them.
    """
    file = read_sheet(path)
    header = file.header
    if column not in header:
        raise AssayFileError(f"{path}: no column {column}; there are {', '.join(header[:12])}")
    if header.count(column) > 1:
        raise AssayFileError(f"{path}: column {column} stands there twice; rename one of them")
    at, name_at = header.index(column), name_column(header)
    return {row[name_at].strip(): row[at].strip() for _, row in file.rows if row[at].strip()}


def columns_with(path: str, group: str) -> list[str]:
    """Name the columns of an assay table, other than the samples' names, that have a group in some row."""
    file = read_sheet(path)
    header = file.header
    name_at = name_column(header)
    return [
        column
        for at, column in enumerate(header)
        if at != name_at and any(row[at].strip() == group for _, row in file.rows)
    ]


def read_cells(path: str, size_m: float) -> dict[str, Hashable]:
    """Read in which cell of a square grid each sample of an assay table lies.

    Args:
        path: the table, with columns latitude and longitude in degrees, or easting and northing in metres.
        size_m: edge of a cell.

    Raises:
        AssayFileError: there are no such columns, or a field is no number; a sample without a position gets no cell.
        TrainingDataError: a position that is none on Earth.
    """
    file = read_sheet(path)
    header = file.header
    lower = [name.lower() for name in header]
    found = [(pair, pair in DEGREES) for pair in (*DEGREES, *METRES) if set(pair) <= set(lower)]
    if not found:
        raise AssayFileError(
            f"{path}: no positions; give columns latitude and longitude in degrees, or easting and northing in metres"
        )
    (first, second), in_degrees = found[0]
    columns = lower.index(first), lower.index(second)
    name_at = name_column(header)
    names, positions = [], []
    for number, row in file.rows:
        fields = [row[at].strip() for at in columns]
        if not any(fields):
            continue
        try:
            position = [float(field) for field in fields]
        except ValueError:
            position = [math.nan, math.nan]
        if not all(map(math.isfinite, position)):
            raise AssayFileError(f"{path}: row {number}: {', '.join(fields)} is no position; write decimal numbers")
        names.append(row[name_at].strip())
        positions.append(position)
    if not names:
        raise AssayFileError(f"{path}: no sample has a position in {header[columns[0]]} and {header[columns[1]]}")
    a, b = zip(*positions, strict=True)
    cells = grid_cells(a, b, size_m) if in_degrees else square_cells(a, b, size_m)
    return dict(zip(names, cells, strict=True))
