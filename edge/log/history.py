"""What the log knows beside readings: sessions, raw scans, and what happened."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from ...converters.spectra.spectrum import Floats
from .read import ALL, Chosen, where_reading


@dataclass(frozen=True)
class Session:
    """A row of `sessions`, and how much belongs to it; `ended_at` is None if it runs or was cut off."""

    id: int
    started_at: str
    ended_at: str | None
    software: str
    port: str
    instrument: str
    profile_name: str
    profile_text: str
    model: str | None
    operator: str
    settings: dict[str, Any]
    readings: int
    refusals: int
    scans: int


@dataclass(frozen=True)
class Event:
    """A row of `events`."""

    id: int
    session_id: int | None
    at: str
    kind: str
    text: str
    details: dict[str, Any]


@dataclass(frozen=True, eq=False)
class StoredScan:
    """A row of `scans`, as the instrument delivered it.

    Attributes:
        key: instrument, power-up, number, checksum; unlike every other scan's.
        wavelengths_nm: of the instrument.
        values: (bands,) as delivered, in `unit`; may hold anything.
        settings, flags: integration time and gains; what the instrument said of it.
    """

    id: int
    session_id: int | None
    stored_at: str
    measured_at: datetime
    instrument: str
    boot: int
    number: int
    kind: str
    unit: str
    scans: int
    sample_id: str
    point: int
    simulated: bool
    settings: dict[str, float]
    flags: dict[str, Any]
    key: tuple[str, int, int, int]
    wavelengths_nm: Floats
    values: Floats


def iter_sessions(db: sqlite3.Connection, chosen: Chosen = ALL, unfinished: bool = False) -> Iterator[Session]:
    """Give sessions, oldest first.

    Args:
        db: from `log_read.open_for_reading`, or a `Log`'s own.
        chosen: session and times in it are heeded; a session has the time at which it began.
        unfinished: only those without an end.
    """
    conditions, values = _where(chosen, "s.id", "s.started_at")
    if unfinished:
        conditions.append("s.ended_at IS NULL")
    rows = db.execute(
        "SELECT s.id, started_at, ended_at, software, port, instrument, profile_name, profile_text, m.name, operator,"
        " settings, (SELECT count(*) FROM readings r WHERE r.session_id = s.id),"
        " (SELECT count(*) FROM refusals f WHERE f.session_id = s.id),"
        " (SELECT count(*) FROM scans c WHERE c.session_id = s.id)"
        f" FROM sessions s LEFT JOIN models m ON m.id = s.model_id WHERE {' AND '.join(conditions)} ORDER BY s.id",
        values,
    )
    for row in rows:
        parts: list[Any] = [*row[:10], json.loads(row[10]), *row[11:]]
        yield Session(*parts)


def unfinished_sessions(db: sqlite3.Connection) -> list[Session]:
    """Give the sessions that run or that a crash cut off, oldest first."""
    return list(iter_sessions(db, unfinished=True))


def iter_events(db: sqlite3.Connection, chosen: Chosen = ALL) -> Iterator[Event]:
    """Give what happened, oldest first; session and times in `chosen` are heeded."""
    conditions, values = _where(chosen, "session_id", "at")
    rows = db.execute(
        f"SELECT id, session_id, at, kind, text, details FROM events WHERE {' AND '.join(conditions)} ORDER BY id",
        values,
    )
    for row in rows:
        parts: list[Any] = [*row[:5], json.loads(row[5])]
        yield Event(*parts)


def iter_scans(
    db: sqlite3.Connection, session_id: int | None = None, reading_id: int | None = None
) -> Iterator[StoredScan]:
    """Give raw scans in the order they were stored: of a session, of one reading, or all."""
    conditions, values = ["1"], []
    if session_id is not None:
        conditions.append("c.session_id = ?")
        values.append(session_id)
    if reading_id is not None:
        conditions.append("c.id IN (SELECT scan_id FROM reading_scans WHERE reading_id = ?)")
        values.append(reading_id)
    rows = db.execute(
        "SELECT c.id, session_id, stored_at, measured_at, instrument, boot, number, kind, unit, scans, sample_id,"
        ' point, simulated, settings, flags, scan_key, wavelengths_nm, "values"'
        f" FROM scans c CROSS JOIN grids g ON g.id = c.grid_id WHERE {' AND '.join(conditions)} ORDER BY c.id",
        values,
    )
    for row in rows:
        instrument, boot, number, checksum = json.loads(row[15])
        parts: list[Any] = [
            *row[:3],
            datetime.fromisoformat(row[3]),
            *row[4:12],
            bool(row[12]),
            json.loads(row[13]),
            json.loads(row[14]),
            (instrument, boot, number, checksum),
            np.frombuffer(row[16], "<f8"),
            np.frombuffer(row[17], "<f4").astype(np.float64),
        ]
        yield StoredScan(*parts)


def _where(chosen: Chosen, session: str, time: str) -> tuple[list[str], list[object]]:
    conditions, values = where_reading(Chosen(since=chosen.since, until=chosen.until, session=chosen.session))
    renamed = [condition.replace("r.session_id", session).replace("r.stored_at", time) for condition in conditions]
    return ["1", *renamed], values
