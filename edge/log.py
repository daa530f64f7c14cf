"""The log of readings: one SQLite file on the device, written before anything is shown.

Spectra are kept as measured, so that every estimate can be made again, by another model too. Nothing in this
program deletes from it. Write-ahead logging with `synchronous=FULL`: a committed reading survives a power cut
(https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from ..converters.spectra.spectrum import Spectrum
from . import __version__
from .errors import LogError
from .estimate import Estimate, Refusal

SCHEMA_VERSION = 2
APPLICATION_ID = 0x53624C67  # "SbLg"
LOG_ENVIRONMENT_VARIABLE = "STIBIUM_LOG"
BUSY_S = 30.0
"""How long to wait for another process that is writing."""

SCHEMA = """
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
    simulated INTEGER NOT NULL,
    points INTEGER NOT NULL DEFAULT 1,    -- measurements that the reading is the mean of
    points_low REAL, points_high REAL, scatter_over_limit REAL
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

FROM_VERSION_1 = (
    "ALTER TABLE estimates ADD COLUMN points INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE estimates ADD COLUMN points_low REAL",
    "ALTER TABLE estimates ADD COLUMN points_high REAL",
    "ALTER TABLE estimates ADD COLUMN scatter_over_limit REAL",
)
"""What a log of version 1 lacks; its estimates stay as they are."""


@dataclass(frozen=True, eq=False)
class Result:
    """One thing that was taken in, and what came of it. `spectrum` is None if the file could not be read."""

    spectrum: Spectrum | None
    outcome: Estimate | Refusal


def default_log_path() -> Path:
    """`STIBIUM_LOG`, or `stibium/readings.db` in the user's state folder (XDG base directory specification)."""
    named = os.environ.get(LOG_ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "stibium" / "readings.db"


class Log:
    """The log, open for appending. Several processes may hold the same file open.

    Args:
        path: the database; made, with its folder, if it is not there.
        model_name, model_sha256: the bundle whose estimates will be stored.

    Raises:
        LogError: cannot be opened, is no log of readings, or was made by a newer program.
    """

    def __init__(self, path: str | os.PathLike[str], model_name: str = "", model_sha256: str = "") -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise LogError(_cannot(self.path, "be opened", error)) from error
        try:
            _write_ahead(self._db)
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._prepare_schema()
            self._model = (model_sha256, model_name)
            self._software = f"stibium {__version__}"
            self._grid_ids: dict[bytes, int] = {}
        except sqlite3.Error as error:
            self._db.close()
            raise LogError(_cannot(self.path, "be used", error)) from error
        except LogError:
            self._db.close()
            raise

    def _prepare_schema(self) -> None:
        with _Transaction(self._db):
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version == 0 and tables == 0:
                for statement in SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
                self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            elif application != APPLICATION_ID:
                raise LogError(f"{self.path}: a database of another program; name another file with --log")
            elif version == 1:
                for statement in FROM_VERSION_1:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise LogError(
                    f"{self.path}: log version {version}, this program writes version {SCHEMA_VERSION}; update stibium"
                )

    @property
    def database(self) -> sqlite3.Connection:
        """The open connection, for what is kept beside the readings, such as which files were taken."""
        return self._db

    def add(self, results: Sequence[Result], also: Callable[[sqlite3.Connection], None] | None = None) -> None:
        """Store results in one transaction; when this returns they are on disk.

        Args:
            results: what to store.
            also: called inside the transaction; what it writes is stored with the results or not at all.

        Raises:
            LogError: nothing of `results` was stored (disk full, file read-only, ...).
        """
        stored_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            with _Transaction(self._db):
                for result in results:
                    self._add_one(result, stored_at)
                if also is not None:
                    also(self._db)
        except BaseException as error:
            # A row id handed out in the failed transaction is not there any more.
            self._grid_ids.clear()
            if isinstance(error, sqlite3.Error):
                raise LogError(_cannot(self.path, "be written, so nothing more is measured", error)) from error
            raise

    def _add_one(self, result: Result, stored_at: str) -> None:
        reading_id = None if result.spectrum is None else self._add_reading(result.spectrum, stored_at)
        outcome = result.outcome
        if isinstance(outcome, Refusal):
            self._db.execute(
                "INSERT INTO refusals(reading_id, stored_at, software, source, sample_id, reason) VALUES (?,?,?,?,?,?)",
                (reading_id, stored_at, self._software, outcome.source, outcome.sample_id, outcome.reason),
            )
            return
        self._db.execute(
            "INSERT INTO estimates(reading_id, model_id, element, unit, value, bound, low, high, coverage, verdict,"
            " reason, flags, t2_over_limit, q_over_limit, simulated, points, points_low, points_high,"
            " scatter_over_limit) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                reading_id,
                self._model_id(),
                outcome.element,
                outcome.unit,
                outcome.value,
                outcome.bound,
                outcome.low,
                outcome.high,
                outcome.coverage,
                outcome.verdict,
                outcome.reason,
                json.dumps(outcome.flags),
                outcome.t2_over_limit,
                outcome.q_over_limit,
                outcome.simulated,
                outcome.points,
                outcome.points_low,
                outcome.points_high,
                outcome.scatter_over_limit,
            ),
        )

    def _add_reading(self, spectrum: Spectrum, stored_at: str) -> int | None:
        position = spectrum.position
        cursor = self._db.execute(
            "INSERT INTO readings(stored_at, software, source, sample_id, measurement, measured_at, instrument,"
            " quantity, grid_id, spectrum, splices_nm, saturated, latitude_deg, longitude_deg, altitude_m, comment,"
            " simulated)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                stored_at,
                self._software,
                spectrum.source,
                spectrum.sample_id,
                spectrum.measurement,
                spectrum.measured_at.isoformat() if spectrum.measured_at else None,
                spectrum.instrument,
                spectrum.quantity,
                self._grid_id(spectrum),
                spectrum.values.astype("<f4").tobytes(),
                json.dumps(spectrum.splices_nm),
                json.dumps(spectrum.saturated),
                position.latitude_deg if position else None,
                position.longitude_deg if position else None,
                position.altitude_m if position else None,
                spectrum.comment,
                spectrum.simulated,
            ),
        )
        return cursor.lastrowid

    def _grid_id(self, spectrum: Spectrum) -> int:
        blob = spectrum.wavelengths_nm.astype("<f8", copy=False).tobytes()
        if blob not in self._grid_ids:
            digest = hashlib.sha256(blob).hexdigest()
            self._db.execute("INSERT OR IGNORE INTO grids(sha256, wavelengths_nm) VALUES (?,?)", (digest, blob))
            (self._grid_ids[blob],) = self._db.execute("SELECT id FROM grids WHERE sha256=?", (digest,)).fetchone()
        return self._grid_ids[blob]

    def _model_id(self) -> int:
        self._db.execute("INSERT OR IGNORE INTO models(sha256, name) VALUES (?,?)", self._model)
        (model_id,) = self._db.execute("SELECT id FROM models WHERE sha256=?", self._model[:1]).fetchone()
        return int(model_id)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_spectra_of_log(path: str | os.PathLike[str]) -> Iterable[tuple[int, Spectrum]]:
    """Give every reading of a log as (id, Spectrum), in the order they were stored."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        yield from (
            (
                row[0],
                Spectrum(
                    wavelengths_nm=np.frombuffer(row[6], "<f8"),
                    values=np.frombuffer(row[7], "<f4").astype(np.float64),
                    quantity=row[5],
                    sample_id=row[2],
                    source=row[1],
                    measurement=row[3],
                    instrument=row[4],
                    splices_nm=tuple(json.loads(row[8])),
                    saturated=tuple(json.loads(row[9])),
                    comment=row[10],
                    simulated=bool(row[11]),
                ),
            )
            for row in db.execute(
                "SELECT r.id, source, sample_id, measurement, instrument, quantity, wavelengths_nm, spectrum,"
                " splices_nm, saturated, comment, simulated"
                " FROM readings r JOIN grids g ON g.id = grid_id ORDER BY r.id"
            )
        )


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


class _Transaction:
    """All or nothing; takes the write lock at once, so that two processes wait instead of failing half-way."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _cannot(path: Path, what: str, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return f"{path}: the log cannot {what}: {reason}; free space or permission is needed, or another file with --log"
