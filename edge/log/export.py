"""Readings of the log as records, and as files that a GIS opens: GeoJSON (RFC 7946) and GeoPackage (OGC 12-128r19).

Positions are WGS 84. Written as bytes and SQL, since neither needs a library.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from ...converters.spectra.files import replacing
from ..errors import ExportError
from ..record import FLAT_NAMES, EstimateRecord, ReadingRecord, as_rows
from .geopackage import write_layer
from .read import ALL, Chosen, Entry, iter_entries
from .records import put_down
from .true_time import TrueTimes
from .wide import wide_names, wide_row


@dataclass(frozen=True)
class Written:
    """How many estimates and refusals are on the map, and how many readings have no position, or an impossible one."""

    placed: int
    left_out: int


def iter_records(
    db: sqlite3.Connection, chosen: Chosen = ALL, every: bool = False, last: int | None = None
) -> Iterator[ReadingRecord]:
    """Give records in the order in which their readings were stored; for the arguments see `iter_entries`."""
    times = TrueTimes(db)
    return (times.on(record_of_entry(entry)) for entry in iter_entries(db, chosen, every, last))


def record_of_entry(entry: Entry) -> ReadingRecord:
    """Put down a reading of the log and what came of it."""
    answers = [(one.outcome, one.model, one.stored_at, one.software) for one in (*entry.estimates, *entry.refusals)]
    said = entry.reading._asdict() if entry.reading is not None else None
    return put_down(said, answers, entry.session_id, entry.soil, entry.void, entry.history)


def write_geojson(path: str, records: Iterable[ReadingRecord], elements: Sequence[str] = ()) -> Written:
    """Write a FeatureCollection of points; the file appears when it is whole. Memory is that of one reading.

    Args:
        path: of the file.
        records: of readings.
        elements: of which there are estimates. Of several, a reading is one point with columns for each; else it is
            one with the columns of CSV.

    Raises:
        ExportError: no reading has a position.
        OSError: the file cannot be written.
    """
    placed = _Placed(records, path, elements)
    with replacing(path) as file:
        file.write(b'{"type": "FeatureCollection", "features": [')
        for number, (position, row) in enumerate(placed):
            feature = {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": position},
                "properties": row,
            }
            text = json.dumps(feature, ensure_ascii=False, allow_nan=False)
            file.write((",\n" if number else "\n").encode() + text.encode("utf-8", "replace"))
        file.write(b"\n]}\n")
    return placed.written


def write_geopackage(path: str, records: Iterable[ReadingRecord], elements: Sequence[str] = ()) -> Written:
    """Write a GeoPackage with one layer of points, `readings`; the file appears when it is whole.

    `elements` as for `write_geojson`.

    Raises:
        ExportError: no reading has a position, or the file cannot be written.
    """
    placed = _Placed(records, path, elements)
    rows = ((position, [_cell(name, row[name]) for name in placed.names]) for position, row in placed)
    about = "estimates from soil reflectance; see trusted, verdict and simulated"
    write_layer(path, "readings", about, {name: _column_type(name, elements) for name in placed.names}, rows)
    return placed.written


def is_placed(record: ReadingRecord) -> bool:
    """Tell whether a reading has a position on the Earth, and so a place in a map's file."""
    longitude, latitude = record.longitude_deg, record.latitude_deg
    return longitude is not None and latitude is not None and abs(longitude) <= 180 and abs(latitude) <= 90


class _Placed:
    """Rows of readings that have a position on the Earth, with [longitude, latitude, height if known]."""

    def __init__(self, records: Iterable[ReadingRecord], path: str, elements: Sequence[str]) -> None:
        self._records, self._path = records, path
        self._elements = elements if len(elements) > 1 else ()
        self.names = wide_names(elements) if self._elements else list(FLAT_NAMES)
        self.written = Written(0, 0)

    def __iter__(self) -> Iterator[tuple[list[float], dict[str, Any]]]:
        placed = left_out = 0
        for record in self._records:
            longitude, latitude, altitude = record.longitude_deg, record.latitude_deg, record.altitude_m
            if not is_placed(record) or longitude is None or latitude is None:
                left_out += 1
                continue
            height = [altitude] if altitude is not None and math.isfinite(altitude) else []
            for row in [wide_row(record, self._elements)] if self._elements else as_rows(record):
                placed += 1
                yield [longitude, latitude, *height], row | {"altitude_m": height[0] if height else None}
        if not placed:
            raise ExportError(
                f"{self._path}: not written, for none of {left_out} readings has a position; a .csv has them all"
            )
        self.written = Written(placed, left_out)


def _column_type(name: str, elements: Sequence[str]) -> str:
    for element in elements:
        name = name.removeprefix(f"{element}_")
    # stored_at has a time zone and so is a DATETIME; the instrument's clock may have none and stays a text.
    if name in _UTC:
        return "DATETIME"
    said = next((kinds[name] for kinds in _KINDS if name in kinds), str)
    held = get_args(said)[0] if get_args(said) else said
    return {int: "INTEGER", float: "DOUBLE", bool: "BOOLEAN"}.get(held, "TEXT")


_UTC = ("stored_at", "estimated_at", "corrected_at")
_KINDS = [get_type_hints(part) for part in (ReadingRecord, EstimateRecord)]


def _cell(name: str, value: object) -> object:
    if name in _UTC and isinstance(value, str):
        return value.replace("+00:00", "Z")
    return value
