"""Calls of ore and gangue as a layer of points for a GIS, with the columns that they have everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import ExportError
from ..log.geopackage import CARTESIAN, write_layer
from .answer import Answer
from .bundle import OreBundle
from .report import FIELDS, ore_record
from .table import RefusedRow

_NUMBERS = {"from", "to", "x", "y", "z", "probability", "interval_low", "interval_high", "low", "high", "threshold"}
_TYPES = {name: "DOUBLE" if name in _NUMBERS | {"base"} else "TEXT" for name in FIELDS} | {"simulated": "BOOLEAN"}
LAYER = "blocks"


def write_blocks(
    path: str, calls: Iterable[Answer | RefusedRow], bundle: OreBundle, epsg: int | None
) -> tuple[int, int]:
    """Write a GeoPackage of the calls that have x and y; the file appears when it is whole.

    Args:
        path: of the file.
        calls: answers and refused rows.
        bundle: whose answers.
        epsg: reference system of x and y; None if it is not known.

    Returns:
        How many are on the map, and how many have no place on it.

    Raises:
        ExportError: none has a place, or the file cannot be written.
    """
    placed = left_out = 0

    def rows() -> Iterator[tuple[tuple[float, float], list[Any]]]:
        nonlocal placed, left_out
        for call in calls:
            record = ore_record(call, bundle)
            x, y = record["x"], record["y"]
            if x is None or y is None:
                left_out += 1
                continue
            placed += 1
            yield (x, y), [_cell(record[name]) for name in FIELDS]
        if not placed:
            raise ExportError(
                f"{path}: not written, for none of {left_out} blocks has x and y; name these columns in the columns "
                "file, or write a .csv"
            )

    about = "blocks called ore or gangue; see decision, reason and simulated"
    write_layer(path, LAYER, about, _TYPES, rows(), CARTESIAN if epsg is None else epsg)
    return placed, left_out


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return (json.dumps(value, ensure_ascii=False) if value else None) if isinstance(value, dict) else value
