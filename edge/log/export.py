"""Readings of the log as records, and as files that a GIS opens: GeoJSON (RFC 7946) and GeoPackage (OGC 12-128r19).

Positions are WGS 84. Written as bytes and SQL, since neither needs a library.
"""

from __future__ import annotations

import json
import math
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from ...converters.spectra.files import appearing, replacing
from ..errors import ExportError
from ..record import FLAT_NAMES, EstimateRecord, ReadingRecord, as_rows
from .read import ALL, Chosen, Entry, iter_entries
from .records import put_down
from .wide import wide_names, wide_row

GEOPACKAGE_ID = 0x47504B47  # "GPKG"
GEOPACKAGE_VERSION = 10300
WGS_84 = 4326


@dataclass(frozen=True)
class Written:
    """How many estimates and refusals are on the map, and how many readings have no position, or an impossible one."""

    placed: int
    left_out: int


def iter_records(
    db: sqlite3.Connection, chosen: Chosen = ALL, every: bool = False, last: int | None = None
) -> Iterator[ReadingRecord]:
    """Give records in the order in which their readings were stored; for the arguments see `iter_entries`."""
    return map(record_of_entry, iter_entries(db, chosen, every, last))


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
    try:
        with _replacing_database(path) as db:
            for statement in _GEOPACKAGE:
                db.execute(statement)
            db.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?,?,?,?,?,?)", _REFERENCE_SYSTEMS)
            names = placed.names
            db.execute(
                "CREATE TABLE readings (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POINT,"
                f" {', '.join(f'{name} {_column_type(name, elements)}' for name in names)})"
            )
            statement = f"INSERT INTO readings(geom, {', '.join(names)}) VALUES ({', '.join('?' * (len(names) + 1))})"
            bounds = _Bounds()
            for position, row in placed:
                bounds.take(position[0], position[1])
                values = [_cell(name, row[name]) for name in names]
                db.execute(statement, [geometry(position[0], position[1]), *values])
            db.execute(
                "INSERT INTO gpkg_contents(table_name, data_type, identifier, description, min_x, min_y, max_x, max_y,"
                " srs_id) VALUES ('readings', 'features', 'readings', ?, ?, ?, ?, ?, ?)",
                ("estimates from soil reflectance; see trusted, verdict and simulated", *bounds.ends, WGS_84),
            )
            db.execute("INSERT INTO gpkg_geometry_columns VALUES ('readings', 'geom', 'POINT', ?, 0, 0)", (WGS_84,))
    except sqlite3.Error as error:
        raise ExportError(f"{path}: cannot be written: {error}") from error
    return placed.written


def geometry(longitude_deg: float, latitude_deg: float) -> bytes:
    """Encode a point as a GeoPackage does (12-128r19, 2.1.3): header with envelope, then well-known binary."""
    flags = 0b0000_0011  # little-endian, envelope of minx, maxx, miny, maxy, not empty
    header = struct.pack("<2sBBi4d", b"GP", 0, flags, WGS_84, *(longitude_deg,) * 2, *(latitude_deg,) * 2)
    return header + struct.pack("<BI2d", 1, 1, longitude_deg, latitude_deg)


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
            if longitude is None or latitude is None or not (abs(longitude) <= 180 and abs(latitude) <= 90):
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


class _Bounds:
    def __init__(self) -> None:
        self.ends: tuple[float | None, ...] = (None,) * 4

    def take(self, x: float, y: float) -> None:
        low_x, low_y, high_x, high_y = (end if end is not None else (x, y)[i % 2] for i, end in enumerate(self.ends))
        self.ends = (min(low_x, x), min(low_y, y), max(high_x, x), max(high_y, y))


def _column_type(name: str, elements: Sequence[str]) -> str:
    for element in elements:
        name = name.removeprefix(f"{element}_")
    # stored_at has a time zone and so is a DATETIME; the instrument's clock may have none and stays a text.
    if name in _UTC:
        return "DATETIME"
    said = next((kinds[name] for kinds in _KINDS if name in kinds), str)
    held = get_args(said)[0] if get_args(said) else said
    return {int: "INTEGER", float: "DOUBLE", bool: "BOOLEAN"}.get(held, "TEXT")


_UTC = ("stored_at", "estimated_at")
_KINDS = [get_type_hints(part) for part in (ReadingRecord, EstimateRecord)]


def _cell(name: str, value: object) -> object:
    if name in _UTC and isinstance(value, str):
        return value.replace("+00:00", "Z")
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


@contextmanager
def _replacing_database(path: str) -> Iterator[sqlite3.Connection]:
    """Write a database that appears under its name only when it is complete and on the disk."""
    # Closing rolls back what was not committed, and takes the journal away.
    with appearing(path) as temporary, closing(sqlite3.connect(temporary, isolation_level=None)) as db:
        db.execute(f"PRAGMA application_id={GEOPACKAGE_ID}")
        db.execute(f"PRAGMA user_version={GEOPACKAGE_VERSION}")
        db.execute("BEGIN")
        yield db
        db.execute("COMMIT")


_GEOPACKAGE = (
    """CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL,
    definition TEXT NOT NULL,
    description TEXT
)""",
    """CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY,
    data_type TEXT NOT NULL,
    identifier TEXT UNIQUE,
    description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    min_x DOUBLE,
    min_y DOUBLE,
    max_x DOUBLE,
    max_y DOUBLE,
    srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
)""",
    """CREATE TABLE gpkg_geometry_columns (
    table_name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL,
    z TINYINT NOT NULL,
    m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
    CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id)
)""",
)

_REFERENCE_SYSTEMS = (
    ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "Cartesian coordinates of no named system"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "geographic coordinates of no named system"),
    (
        "WGS 84 geodetic",
        WGS_84,
        "EPSG",
        WGS_84,
        'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
        'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
        'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],'
        'AUTHORITY["EPSG","4326"]]',
        "longitude and latitude in decimal degrees on the WGS 84 ellipsoid",
    ),
)
