"""A GeoPackage (OGC 12-128r19) with one layer of points, in SQL: what a GIS opens, of readings and of blocks alike."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from ...converters.spectra.files import appearing
from ..errors import ExportError

GEOPACKAGE_ID = 0x47504B47  # "GPKG"
GEOPACKAGE_VERSION = 10300
WGS_84 = 4326
CARTESIAN = -1
"""Coordinates of no named system."""


def write_layer(
    path: str,
    layer: str,
    about: str,
    types: Mapping[str, str],
    rows: Iterable[tuple[Sequence[float], Sequence[object]]],
    epsg: int = WGS_84,
) -> None:
    """Write points with their attributes; the file appears when it is whole.

    Args:
        path: of the file.
        layer: its name in the file.
        about: a line on what it is.
        types: SQL type of each attribute.
        rows: x and y (longitude and latitude) with the attributes, in the order of `types`.
        epsg: number of the coordinates' reference system, or `CARTESIAN`.

    Raises:
        ExportError: the file cannot be written.
    """
    try:
        with _replacing_database(path) as db:
            for statement in _GEOPACKAGE:
                db.execute(statement)
            systems = [*_REFERENCE_SYSTEMS]
            if epsg not in [system[1] for system in systems]:
                # A GIS knows its definition by the number.
                systems.append(
                    (f"EPSG:{epsg}", epsg, "EPSG", epsg, "undefined", "as the table's columns file names it")
                )
            db.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?,?,?,?,?,?)", systems)
            columns = [f'"{name}"' for name in types]
            described = ", ".join(f"{name} {kind}" for name, kind in zip(columns, types.values(), strict=True))
            db.execute(
                f"CREATE TABLE {layer} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POINT, {described})"
            )
            places = ", ".join("?" * (len(columns) + 1))
            statement = f"INSERT INTO {layer}(geom, {', '.join(columns)}) VALUES ({places})"
            bounds = _Bounds()
            for position, values in rows:
                bounds.take(position[0], position[1])
                db.execute(statement, [geometry(position[0], position[1], epsg), *map(_text, values)])
            db.execute(
                "INSERT INTO gpkg_contents(table_name, data_type, identifier, description, min_x, min_y, max_x, max_y,"
                " srs_id) VALUES (?, 'features', ?, ?, ?, ?, ?, ?, ?)",
                (layer, layer, about, *bounds.ends, epsg),
            )
            db.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'POINT', ?, 0, 0)", (layer, epsg))
    except sqlite3.Error as error:
        raise ExportError(f"{path}: cannot be written: {error}") from error


def geometry(x: float, y: float, epsg: int = WGS_84) -> bytes:
    """Encode a point as a GeoPackage does (12-128r19, 2.1.3): header with envelope, then well-known binary."""
    flags = 0b0000_0011  # little-endian, envelope of minx, maxx, miny, maxy, not empty
    return struct.pack("<2sBBi4d", b"GP", 0, flags, epsg, x, x, y, y) + struct.pack("<BI2d", 1, 1, x, y)


def _text(value: object) -> object:
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


class _Bounds:
    def __init__(self) -> None:
        self.ends: tuple[float | None, ...] = (None,) * 4

    def take(self, x: float, y: float) -> None:
        low_x, low_y, high_x, high_y = (end if end is not None else (x, y)[i % 2] for i, end in enumerate(self.ends))
        self.ends = (min(low_x, x), min(low_y, y), max(high_x, x), max(high_y, y))


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
