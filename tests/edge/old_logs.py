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


def _kept(table: str, changes: str = "UPDATE") -> tuple[str, str]:
    """Make the database itself refuse to delete or change rows, whoever asks."""
    return (
        f"CREATE TRIGGER {table}_are_not_deleted BEFORE DELETE ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'nothing is deleted from the log'); END",
        f"CREATE TRIGGER {table}_are_not_changed BEFORE {changes} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'nothing in the log is changed'); END",
    )


FROM_VERSION_2_TO_3 = (
    """CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,             -- this device's clock, UTC
    ended_at TEXT,                        -- NULL while it runs, and after a crash
    software TEXT NOT NULL,
    port TEXT NOT NULL,
    instrument TEXT NOT NULL,
    profile_name TEXT NOT NULL,
    profile_text TEXT NOT NULL,           -- TOML, as it was used
    model_id INTEGER REFERENCES models(id),
    operator TEXT NOT NULL,
    settings TEXT NOT NULL                -- JSON object
)""",
    """CREATE TABLE scans (
    id INTEGER PRIMARY KEY,
    session_id INTEGER REFERENCES sessions(id),
    stored_at TEXT NOT NULL,
    measured_at TEXT NOT NULL,            -- this device's clock when it was measured
    instrument TEXT NOT NULL,
    boot INTEGER NOT NULL,                -- power-up of the instrument
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,                   -- target, dark, white, wavelength_check, panel_check
    unit TEXT NOT NULL,                   -- raw_dn, reflectance
    scans INTEGER NOT NULL,               -- averaged by the instrument
    sample_id TEXT NOT NULL,
    point INTEGER NOT NULL,               -- of the sample, from 1; 0 if it is none
    simulated INTEGER NOT NULL,
    settings TEXT NOT NULL,               -- JSON object: integration time and gains by detector
    flags TEXT NOT NULL,                  -- JSON object: saturated, shutter_closed, drift, temperature_c, ...
    scan_key TEXT NOT NULL UNIQUE,        -- JSON: instrument, power-up, number, checksum
    grid_id INTEGER NOT NULL REFERENCES grids(id),
    "values" BLOB NOT NULL                -- little-endian float32, as delivered
)""",
    "CREATE INDEX scans_by_session ON scans(session_id)",
    """CREATE TABLE reading_scans (
    reading_id INTEGER NOT NULL REFERENCES readings(id),
    scan_id INTEGER NOT NULL REFERENCES scans(id),
    role TEXT NOT NULL,                   -- target, dark, white
    PRIMARY KEY (reading_id, scan_id, role)
) WITHOUT ROWID""",
    "CREATE INDEX reading_scans_by_scan ON reading_scans(scan_id)",
    """CREATE TABLE points (
    reading_id INTEGER NOT NULL REFERENCES readings(id),
    point INTEGER NOT NULL,               -- from 1
    source TEXT NOT NULL,
    measurement TEXT NOT NULL,
    measured_at TEXT,
    spectrum BLOB NOT NULL,               -- little-endian float32, quantity and grid of the reading
    PRIMARY KEY (reading_id, point)
)""",
    """CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    session_id INTEGER REFERENCES sessions(id),
    at TEXT NOT NULL,                     -- this device's clock, UTC
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    details TEXT NOT NULL                 -- JSON object
)""",
    "CREATE INDEX events_by_session ON events(session_id)",
    "ALTER TABLE models ADD COLUMN calibrated_low REAL",
    "ALTER TABLE models ADD COLUMN calibrated_high REAL",
    "ALTER TABLE readings ADD COLUMN session_id INTEGER REFERENCES sessions(id)",
    "ALTER TABLE readings ADD COLUMN settings TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE readings ADD COLUMN notes TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE readings ADD COLUMN sample_kind TEXT NOT NULL DEFAULT 'sample'",
    "ALTER TABLE readings ADD COLUMN duplicate_of TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE readings ADD COLUMN position_source TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE readings ADD COLUMN position_at TEXT",
    "ALTER TABLE readings ADD COLUMN rule_broken TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX readings_by_session ON readings(session_id)",
    # NULL in these means: unknown, from before version 3; a first estimate is as old as its reading.
    "ALTER TABLE estimates ADD COLUMN stored_at TEXT",
    "ALTER TABLE estimates ADD COLUMN software TEXT",
    "ALTER TABLE estimates ADD COLUMN detection_limit REAL",
    "ALTER TABLE refusals ADD COLUMN model_id INTEGER REFERENCES models(id)",
    "ALTER TABLE refusals ADD COLUMN session_id INTEGER REFERENCES sessions(id)",
    "CREATE INDEX refusals_by_reading ON refusals(reading_id)",
    *_kept("readings"),
    *_kept("points"),
    *_kept("estimates"),
    *_kept("refusals"),
    *_kept("scans"),
    *_kept("reading_scans"),
    *_kept("grids"),
    *_kept("events"),
    *_kept(
        "sessions",
        "UPDATE OF id, started_at, software, port, instrument, profile_name, profile_text, model_id, operator,"
        " settings",
    ),
    *_kept("models", "UPDATE OF id, sha256, name"),
)

BESIDE = (
    "CREATE TABLE taken_files (path BLOB PRIMARY KEY, signature TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE taken_measurements (instrument TEXT NOT NULL, boot INTEGER NOT NULL, measurement INTEGER NOT NULL,"
    " values_crc INTEGER NOT NULL, PRIMARY KEY (instrument, boot, measurement, values_crc)) WITHOUT ROWID",
)


def make_tables(db: sqlite3.Connection, version: int) -> None:
    """Make the tables of a version."""
    db.executescript(TABLES_OF_VERSION_1 if version == 1 else TABLES_OF_VERSION_2)
    for statement in (*(FROM_VERSION_2_TO_3 if version == 3 else ()), *BESIDE):
        db.execute(statement)


def make_old_log(path: Path, version: int, spectra: list[Spectrum], model_sha256: str = "ab" * 32) -> None:
    """Write a log of version 1, 2 or 3: a reading, an estimate and a file memory for each spectrum, and a refusal.

    One of version 3 also has a session with a scan and an event, and points of each reading.
    """
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode=WAL")
        make_tables(db, version)
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
            if version >= 2:
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
        if version == 3:
            _add_session(db, spectra)


def _add_session(db: sqlite3.Connection, spectra: list[Spectrum]) -> None:
    at = "2025-05-01T09:00:00.000+00:00"
    db.execute(
        "INSERT INTO sessions VALUES (1, ?, NULL, 'stibium 0.3.0', '/dev/ttyUSB0', 'probe 7', 'framed_serial', '',"
        " 1, 'Ana', '{\"points\": 2}')",
        (at,),
    )
    values = spectra[0].values.astype("<f4").tobytes()
    db.execute(
        "INSERT INTO scans VALUES (1, 1, ?, ?, 'probe 7', 3, 12, 'white', 'raw_dn', 10, '', 0, 1, '{}',"
        " '{\"drift\": null}', '[\"probe 7\", 3, 12, 99]', 1, ?)",
        (at, at, values),
    )
    db.execute("INSERT INTO events VALUES (1, 1, ?, 'warm_up_skipped', 'the warm-up was cut short', '{}')", (at,))
    db.execute(
        "INSERT INTO readings(stored_at, software, source, sample_id, measurement, instrument, quantity, grid_id,"
        " spectrum, splices_nm, saturated, comment, simulated, session_id, settings, notes, sample_kind, duplicate_of,"
        " position_source, rule_broken) VALUES (?, 'stibium 0.3.0', 'port', 'S', 'mean of 2', 'probe 7', 'reflectance',"
        " 1, ?, '[]', '[]', '', 1, 1, '{\"white_age_min\": 2}', 'stony', 'duplicate', 'P000', '', 'too noisy')",
        (at, values),
    )
    (reading_id,) = db.execute("SELECT max(id) FROM readings").fetchone()
    db.execute("INSERT INTO reading_scans VALUES (?, 1, 'white')", (reading_id,))
    db.executemany(
        "INSERT INTO points VALUES (?, ?, 'port', ?, NULL, ?)",
        [(reading_id, number, str(number), values) for number in (1, 2)],
    )
    db.execute(
        "INSERT INTO refusals VALUES (NULL, ?, ?, 'stibium 0.3.0', 'port', 'S', 'too noisy', NULL, 1)",
        (reading_id, at),
    )


def quoted(names: list[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def everything_in(path: Path, version: int) -> dict[str, list[tuple[object, ...]]]:
    """Read the rows of all tables, in the columns that a log of this version has."""
    with closing(sqlite3.connect(":memory:")) as empty:
        make_tables(empty, version)
        names = [name for (name,) in empty.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        columns = {name: [row[1] for row in empty.execute(f"PRAGMA table_info({name})")] for name in names}
    with closing(sqlite3.connect(path)) as db:
        return {
            name: db.execute(f"SELECT {', '.join(quoted(columns[name]))} FROM {name} ORDER BY 1").fetchall()
            for name in names
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
