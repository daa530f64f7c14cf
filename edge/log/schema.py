"""Tables of the log of readings, and how a log of an earlier version comes to have them.

A new log is made as version 2 and brought up to date like an old one, so that both end up the same.
docs/log.md describes the tables.
"""

from __future__ import annotations

import sqlite3
import time
from os import PathLike
from pathlib import Path

from ..errors import LogError

SCHEMA_VERSION = 3
APPLICATION_ID = 0x53624C67  # "SbLg"
BUSY_S = 30.0
"""How long to wait for another process that is writing."""

VERSION_2 = (
    """CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
)""",
    """CREATE TABLE grids (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    wavelengths_nm BLOB NOT NULL          -- little-endian float64
)""",
    """CREATE TABLE readings (
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
)""",
    "CREATE INDEX readings_by_sample ON readings(sample_id)",
    """CREATE TABLE estimates (
    id INTEGER PRIMARY KEY,
    reading_id INTEGER NOT NULL REFERENCES readings(id),
    model_id INTEGER NOT NULL REFERENCES models(id),
    element TEXT NOT NULL, unit TEXT NOT NULL,
    value REAL NOT NULL, bound TEXT NOT NULL,
    low REAL, high REAL, coverage REAL,
    verdict TEXT NOT NULL, reason TEXT NOT NULL, flags TEXT NOT NULL,
    t2_over_limit REAL, q_over_limit REAL,
    simulated INTEGER NOT NULL,
    points INTEGER NOT NULL DEFAULT 1,    -- measurements that the reading is the mean of
    points_low REAL, points_high REAL, scatter_over_limit REAL
)""",
    "CREATE INDEX estimates_by_reading ON estimates(reading_id)",
    """CREATE TABLE refusals (
    id INTEGER PRIMARY KEY,
    reading_id INTEGER REFERENCES readings(id),   -- NULL if the file could not be read at all
    stored_at TEXT NOT NULL,
    software TEXT NOT NULL,
    source TEXT NOT NULL,
    sample_id TEXT NOT NULL,
    reason TEXT NOT NULL
)""",
)

FROM_VERSION_1 = (
    "ALTER TABLE estimates ADD COLUMN points INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE estimates ADD COLUMN points_low REAL",
    "ALTER TABLE estimates ADD COLUMN points_high REAL",
    "ALTER TABLE estimates ADD COLUMN scatter_over_limit REAL",
)
"""What a log of version 1 lacks; its estimates stay as they are."""


def _kept(table: str, changes: str = "UPDATE") -> tuple[str, str]:
    """Make the database itself refuse to delete or change rows, whoever asks."""
    return (
        f"CREATE TRIGGER {table}_are_not_deleted BEFORE DELETE ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'nothing is deleted from the log'); END",
        f"CREATE TRIGGER {table}_are_not_changed BEFORE {changes} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'nothing in the log is changed'); END",
    )


FROM_VERSION_2 = (
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
"""What a log of version 2 lacks. Its rows stay as they are; `ALTER TABLE ADD COLUMN` does not touch them."""


class Transaction:
    """All or nothing; takes the write lock at once, so that two processes wait instead of failing half-way."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            # A commit may fail too, and must not leave the next writer inside a transaction that cannot end.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a log, made or brought up to date as needed, with settings under which a commit survives a power cut.

    Raises:
        LogError: cannot be opened, is no log of readings, or was made by a newer program.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise LogError(cannot(path, "be opened", error)) from error
    try:
        _write_ahead(db)
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        _bring_up_to_date(db, path)
    except sqlite3.Error as error:
        db.close()
        raise LogError(cannot(path, "be used", error)) from error
    except LogError:
        db.close()
        raise
    return db


def version_of(db: sqlite3.Connection, path: str | PathLike[str]) -> int:
    """Give the version of a log, 0 for an empty file; raises LogError if it is no log or a newer one."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise LogError(f"{path}: a database of another program; name another file with --log")
    if not 1 <= version <= SCHEMA_VERSION:
        raise LogError(f"{path}: log version {version}, this program writes version {SCHEMA_VERSION}; update stibium")
    return int(version)


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    # One transaction, in which the version changes too: a program that is killed in it leaves the old version whole.
    with Transaction(db):
        version = version_of(db, path)
        if version == SCHEMA_VERSION:
            return
        steps = {0: VERSION_2 + FROM_VERSION_2, 1: FROM_VERSION_1 + FROM_VERSION_2, 2: FROM_VERSION_2}
        for statement in steps[version]:
            db.execute(statement)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _write_ahead(db: sqlite3.Connection) -> None:
    # Another process that is making the same file holds it for a moment, and this statement does not wait for locks.
    give_up = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def cannot(path: str | PathLike[str], what: str, error: Exception) -> str:
    """Say in one line that the log cannot be opened, written, ... and what helps."""
    reason = getattr(error, "strerror", None) or str(error)
    return f"{path}: the log cannot {what}: {reason}; free space or permission is needed, or another file with --log"
