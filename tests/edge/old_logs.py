"""Logs as earlier versions of the program made them, by the statements they used."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
from stibium.converters.spectra.spectrum import Spectrum

TABLES_OF_VERSION_1 = """
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);
CREATE TABLE grids (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    wavelengths_nm BLOB NOT NULL          -- little-endian float64
);
CREATE TABLE readings (
    id INTEGER PRIMARY KEY,
    stored_at TEXT NOT NULL,              -- this device's clock, UTC
    software TEXT NOT NULL,
    source TEXT NOT NULL,
    sample_id TEXT NOT NULL,
    measurement TEXT NOT NULL,
    measured_at TEXT,                     -- the instrument's clock
    instrument TEXT NOT NULL,
    quantity TEXT NOT NULL,
    grid_id INTEGER NOT NULL REFERENCES grids(id),
    spectrum BLOB NOT NULL,               -- little-endian float32
    splices_nm TEXT NOT NULL,
    saturated TEXT NOT NULL,
    latitude_deg REAL, longitude_deg REAL, altitude_m REAL,
    comment TEXT NOT NULL,
    simulated INTEGER NOT NULL
);
CREATE INDEX readings_by_sample ON readings(sample_id);
CREATE TABLE estimates (
    id INTEGER PRIMARY KEY,
    reading_id INTEGER NOT NULL REFERENCES readings(id),
    model_id INTEGER NOT NULL REFERENCES models(id),
    element TEXT NOT NULL, unit TEXT NOT NULL,
    value REAL NOT NULL, bound TEXT NOT NULL,
    low REAL, high REAL, coverage REAL,
    verdict TEXT NOT NULL, reason TEXT NOT NULL, flags TEXT NOT NULL,
    t2_over_limit REAL, q_over_limit REAL,
    simulated INTEGER NOT NULL
);
CREATE INDEX estimates_by_reading ON estimates(reading_id);
CREATE TABLE refusals (
    id INTEGER PRIMARY KEY,
    reading_id INTEGER REFERENCES readings(id),   -- NULL if the file could not be read at all
    stored_at TEXT NOT NULL,
    software TEXT NOT NULL,
    source TEXT NOT NULL,
    sample_id TEXT NOT NULL,
    reason TEXT NOT NULL
);
"""

TABLES_OF_VERSION_2 = TABLES_OF_VERSION_1.replace(
    """    t2_over_limit REAL, q_over_limit REAL,
    simulated INTEGER NOT NULL
""",
    """    t2_over_limit REAL, q_over_limit REAL,
    simulated INTEGER NOT NULL,
    points INTEGER NOT NULL DEFAULT 1,
    points_low REAL, points_high REAL, scatter_over_limit REAL
""",
)

BESIDE = (
    "CREATE TABLE taken_files (path BLOB PRIMARY KEY, signature TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE taken_measurements (instrument TEXT NOT NULL, boot INTEGER NOT NULL, measurement INTEGER NOT NULL,"
    " values_crc INTEGER NOT NULL, PRIMARY KEY (instrument, boot, measurement, values_crc)) WITHOUT ROWID",
)


def make_old_log(path: Path, version: int, spectra: list[Spectrum], model_sha256: str = "ab" * 32) -> None:
    """Write a log of version 1 or 2 with a reading, an estimate and a file memory for each spectrum, and a refusal."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(TABLES_OF_VERSION_1 if version == 1 else TABLES_OF_VERSION_2)
        for statement in BESIDE:
            db.execute(statement)
        db.execute(f"PRAGMA user_version={version}")
        db.execute(f"PRAGMA application_id={0x53624C67}")
        db.execute("INSERT INTO models(sha256, name) VALUES (?, 'old.tflite')", (model_sha256,))
        for number, spectrum in enumerate(spectra):
            grid = spectrum.wavelengths_nm.astype("<f8").tobytes()
            digest = hashlib.sha256(grid).hexdigest()
            db.execute("INSERT OR IGNORE INTO grids(sha256, wavelengths_nm) VALUES (?,?)", (digest, grid))
            (grid_id,) = db.execute("SELECT id FROM grids WHERE sha256=?", (digest,)).fetchone()
            reading_id = db.execute(
                "INSERT INTO readings(stored_at, software, source, sample_id, measurement, measured_at, instrument,"
                " quantity, grid_id, spectrum, splices_nm, saturated, latitude_deg, longitude_deg, altitude_m, comment,"
                " simulated) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    f"2025-05-01T10:{number:02d}:00.000+00:00",
                    "stibium 0.1.0",
                    spectrum.source,
                    spectrum.sample_id,
                    spectrum.measurement,
                    None,
                    "",
                    spectrum.quantity,
                    grid_id,
                    spectrum.values.astype("<f4").tobytes(),
                    str([float(nm) for nm in spectrum.splices_nm]),
                    "[]",
                    41.15,
                    -8.36,
                    None,
                    spectrum.comment,
                    spectrum.simulated,
                ),
            ).lastrowid
            columns, values = "", ()
            if version == 2:
                columns, values = ", points, points_low, points_high, scatter_over_limit", (5, 90.0, 140.0, 0.7)
            db.execute(
                "INSERT INTO estimates(reading_id, model_id, element, unit, value, bound, low, high, coverage, verdict,"
                f" reason, flags, t2_over_limit, q_over_limit, simulated{columns}) VALUES (?, 1, 'Sb', 'ppm', ?, '',"
                f" 10.0, 900.0, 0.9, 'inside', '', '[\"simulated model\"]', 0.5, 0.5, 1{', ?' * len(values)})",
                (reading_id, 100.0 + number, *values),
            )
            db.execute("INSERT INTO taken_files VALUES (?, '1 2 3')", (spectrum.source.encode(),))
        db.execute(
            "INSERT INTO refusals(reading_id, stored_at, software, source, sample_id, reason)"
            " VALUES (NULL, '2025-05-01T11:00:00.000+00:00', 'stibium 0.1.0', 'x.asd', 'x', 'is empty')"
        )


def everything_in(path: Path, version: int) -> dict[str, list[tuple[object, ...]]]:
    """Read the rows of all tables, in the columns that a log of this version has."""
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(TABLES_OF_VERSION_1 if version == 1 else TABLES_OF_VERSION_2)
        for statement in BESIDE:
            empty.execute(statement)
        names = [name for (name,) in empty.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        columns = {name: [row[1] for row in empty.execute(f"PRAGMA table_info({name})")] for name in names}
    with closing(sqlite3.connect(path)) as db:
        return {
            name: db.execute(f"SELECT {', '.join(columns[name])} FROM {name} ORDER BY 1").fetchall() for name in names
        }


def spectra_of(count: int, bands: int = 30) -> list[Spectrum]:
    """Make a few small spectra on two grids."""
    generator = np.random.default_rng(4)
    return [
        Spectrum(
            np.linspace(350.0 + 50 * (number % 2), 2500.0, bands),
            generator.uniform(0.1, 0.6, bands),
            "reflectance",
            f"P{number:03d}",
            source=f"P{number:03d}.asd",
            splices_nm=(1000.0, 1830.0),
            comment="grid 12",
        )
        for number in range(count)
    ]
