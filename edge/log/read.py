"""Reading the log: what was measured and what came of it, as streams that need no more memory for a larger log.

`log_spectra` gives spectra, `log_history` sessions, scans and events.
"""

from __future__ import annotations

import heapq
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import LogError
from ..model.estimate import Estimate, Refusal
from .schema import BUSY_S, SCHEMA_VERSION, cannot, open_for_writing, version_of


@dataclass(frozen=True)
class Chosen:
    """Which readings and outcomes are wanted; what is not given does not matter.

    Attributes:
        sample: sample id with `*`, `?` and `[...]` as in file names; upper and lower case differ.
        since, until: by this device's clock when it was stored, with a time zone; `until` itself is left out.
        element, verdict: estimates with these, no refusals.
        refused: refusals only.
        session: number of a session.
        simulated: whether the spectrum is simulated.
        reading: this one only.
    """

    sample: str = ""
    since: datetime | None = None
    until: datetime | None = None
    element: str = ""
    verdict: str = ""
    refused: bool = False
    session: int | None = None
    simulated: bool | None = None
    reading: int | None = None


ALL = Chosen()


@dataclass(frozen=True)
class Reading:
    """A row of `readings` without its spectrum; see docs/log.md for the columns."""

    id: int
    stored_at: str
    software: str
    source: str
    sample_id: str
    measurement: str
    measured_at: datetime | None
    instrument: str
    quantity: str
    latitude_deg: float | None
    longitude_deg: float | None
    altitude_m: float | None
    comment: str
    simulated: bool
    session_id: int | None
    settings: dict[str, Any]
    notes: str
    sample_kind: str
    duplicate_of: str
    position_source: str
    position_at: str | None
    rule_broken: str


@dataclass(frozen=True)
class Model:
    """A bundle that gave estimates; its calibrated range is None in estimates from before version 3 of the log."""

    id: int
    sha256: str
    name: str
    calibrated_range: tuple[float, float] | None


@dataclass(frozen=True)
class Entry:
    """One outcome, with the reading it was made from.

    Attributes:
        reading: None for a refusal without a spectrum.
        outcome: what came of it.
        model: that gave it; None for a refusal by no model in particular, or from before version 3.
        stored_at, software: when and by what it was made.
        session_id: the session it belongs to, if any.
    """

    reading: Reading | None
    outcome: Estimate | Refusal
    model: Model | None
    stored_at: str
    software: str
    session_id: int | None


@contextmanager
def open_for_reading(path: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Open a log that is only read, also on a disk that cannot be written; one of an earlier version is brought
    up to date first.

    Raises:
        LogError: it is not there, is no log, or cannot be opened; or the database fails while it is read.
    """
    path = Path(path)
    if not path.is_file():
        raise LogError(f"{path}: there is no log; measure first, or name another file with --log")
    db = _connect(path)
    try:
        if version_of(db, path) != SCHEMA_VERSION:
            db.close()
            open_for_writing(path).close()
            db = _connect(path)
        yield db
    except sqlite3.Error as error:
        raise LogError(cannot(path, "be read", error)) from error
    finally:
        db.close()


def _connect(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    db = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        # On a disk that is full or cannot be written SQLite cannot make the index of the write-ahead file.
        journal = path.with_name(path.name + "-wal")
        if "locked" in str(error):
            raise LogError(cannot(path, "be read", error)) from error
        if journal.exists() and journal.stat().st_size:
            raise LogError(
                f"{path}: its newest readings are in {journal.name}, which cannot be used on a disk that is full or "
                "cannot be written; copy both files to another folder and name the copy with --log"
            ) from error
        return sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        db.close()
        raise LogError(cannot(path, "be read", error)) from error
    return db


READING_COLUMNS = tuple(field.name for field in fields(Reading))
MODEL_COLUMNS = ("id", "sha256", "name", "calibrated_low", "calibrated_high")
_ESTIMATE_COLUMNS = (
    "element",
    "unit",
    "value",
    "bound",
    "low",
    "high",
    "coverage",
    "verdict",
    "reason",
    "flags",
    "t2_over_limit",
    "q_over_limit",
    "simulated",
    "points",
    "points_low",
    "points_high",
    "scatter_over_limit",
    "detection_limit",
)


def columns(table: str, names: Sequence[str]) -> str:
    """List columns of a table for a SELECT."""
    return ", ".join(f"{table}.{name}" for name in names)


def reading_from(row: Sequence[Any]) -> Reading:
    """Make a reading of the columns READING_COLUMNS."""
    values = dict(zip(READING_COLUMNS, row, strict=True))
    values["measured_at"] = time_from(values["measured_at"])
    values["simulated"] = bool(values["simulated"])
    values["settings"] = json.loads(values["settings"])
    return Reading(**values)


def time_from(text: str | None) -> datetime | None:
    """Read a time as the log writes it."""
    return datetime.fromisoformat(text) if text else None


def where_reading(chosen: Chosen) -> tuple[list[str], list[object]]:
    """Give conditions on `readings r` and their parameters."""
    conditions: list[str] = []
    values: list[object] = []
    for condition, value in (
        # The plus keeps SQLite from taking the index on samples and sorting everything afterwards.
        ("+r.sample_id GLOB ?", chosen.sample or None),
        ("r.stored_at >= ?", _utc(chosen.since)),
        ("r.stored_at < ?", _utc(chosen.until)),
        ("r.session_id = ?", chosen.session),
        ("r.simulated = ?", chosen.simulated),
        ("r.id = ?", chosen.reading),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return conditions, values


def iter_entries(db: sqlite3.Connection, chosen: Chosen = ALL, every: bool = False) -> Iterator[Entry]:
    """Give outcomes, in the order in which their readings were stored.

    Args:
        db: from `open_for_reading`.
        chosen: which.
        every: all estimates and refusals of each reading. Otherwise the latest estimate for each element, and a
            reading's refusals only if it has no estimate.
    """
    refusals_too = not (chosen.element or chosen.verdict)
    of_readings: list[Iterator[Entry]] = []
    if not chosen.refused:
        of_readings.append(_estimates(db, chosen, every))
    if refusals_too:
        of_readings.append(_refused_readings(db, chosen, every or chosen.refused))
    merged = heapq.merge(*of_readings, key=lambda entry: (entry.reading.id if entry.reading else 0, entry.stored_at))
    if not refusals_too or chosen.simulated is not None or chosen.reading is not None:
        yield from merged
        return
    yield from heapq.merge(
        merged,
        _refused_unread(db, chosen),
        key=lambda entry: entry.reading.stored_at if entry.reading else entry.stored_at,
    )


def _estimates(db: sqlite3.Connection, chosen: Chosen, every: bool) -> Iterator[Entry]:
    conditions, values = where_reading(chosen)
    if chosen.element:
        conditions.append("e.element = ?")
        values.append(chosen.element)
    if chosen.verdict:
        conditions.append("e.verdict = ?")
        values.append(chosen.verdict)
    if not every:
        conditions.append(
            "NOT EXISTS (SELECT 1 FROM estimates n"
            " WHERE n.reading_id = e.reading_id AND n.element = e.element AND n.id > e.id)"
        )
    rows = db.execute(
        f"SELECT {columns('r', READING_COLUMNS)}, {columns('m', MODEL_COLUMNS)}, e.stored_at, e.software,"
        f" {columns('e', _ESTIMATE_COLUMNS)}"
        " FROM readings r CROSS JOIN estimates e ON e.reading_id = r.id JOIN models m ON m.id = e.model_id"
        f" {_where(conditions)} ORDER BY r.id, e.id",
        values,
    )
    width, model_end = len(READING_COLUMNS), len(READING_COLUMNS) + len(MODEL_COLUMNS)
    for row in rows:
        reading = reading_from(row[:width])
        stored_at, software = row[model_end], row[model_end + 1]
        said = dict(zip(_ESTIMATE_COLUMNS, row[model_end + 2 :], strict=True))
        said["flags"] = tuple(json.loads(said["flags"]))
        said["simulated"] = bool(said["simulated"])
        estimate = Estimate(reading.sample_id, reading.measurement, reading.source, reading.measured_at, **said)
        yield Entry(
            reading,
            estimate,
            model_from(row[width:model_end]),
            stored_at or reading.stored_at,
            software or reading.software,
            reading.session_id,
        )


def _refused_readings(db: sqlite3.Connection, chosen: Chosen, every: bool) -> Iterator[Entry]:
    conditions, values = where_reading(chosen)
    if not every:
        conditions.append("NOT EXISTS (SELECT 1 FROM estimates e WHERE e.reading_id = r.id)")
    rows = db.execute(
        f"SELECT {columns('r', READING_COLUMNS)}, {columns('m', MODEL_COLUMNS)}, {columns('f', _REFUSAL_COLUMNS)}"
        " FROM readings r CROSS JOIN refusals f ON f.reading_id = r.id LEFT JOIN models m ON m.id = f.model_id"
        f" {_where(conditions)} ORDER BY r.id, f.id",
        values,
    )
    width, model_end = len(READING_COLUMNS), len(READING_COLUMNS) + len(MODEL_COLUMNS)
    for row in rows:
        model = model_from(row[width:model_end]) if row[width] is not None else None
        yield _refused(reading_from(row[:width]), model, row[model_end:])


def _refused_unread(db: sqlite3.Connection, chosen: Chosen) -> Iterator[Entry]:
    conditions, values = where_reading(chosen)
    unread = [condition.replace("r.", "f.") for condition in conditions]
    rows = db.execute(
        f"SELECT {columns('f', _REFUSAL_COLUMNS)} FROM refusals f"
        f" {_where(['f.reading_id IS NULL', *unread])} ORDER BY f.id",
        values,
    )
    for row in rows:
        yield _refused(None, None, row)


_REFUSAL_COLUMNS = ("stored_at", "software", "source", "sample_id", "reason", "session_id")


def _refused(reading: Reading | None, model: Model | None, row: Sequence[Any]) -> Entry:
    stored_at, software, source, sample_id, reason, session_id = row
    if session_id is None and reading is not None:
        session_id = reading.session_id
    return Entry(reading, Refusal(source, reason, sample_id), model, stored_at, software, session_id)


def model_from(row: Sequence[Any]) -> Model:
    """Make a model of the columns MODEL_COLUMNS."""
    model_id, sha256, name, low, high = row
    return Model(model_id, sha256, name, None if low is None else (low, high))


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _utc(time: datetime | None) -> str | None:
    # As `log_sessions.now` writes it, so that texts compare as times do.
    return None if time is None else time.astimezone(timezone.utc).isoformat(timespec="milliseconds")
