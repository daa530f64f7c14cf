"""What the log knows beside readings: sessions, raw scans, and what happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from .columns import EVENTS, GRIDS, SCANS, SESSIONS, StoredEvent, StoredScan, StoredSession
from .read import ALL, Chosen, sql_where, where_reading

_GRID = GRIDS.only("wavelengths_nm")


def iter_sessions(db: sqlite3.Connection, chosen: Chosen = ALL, unfinished: bool = False) -> Iterator[StoredSession]:
    """Give sessions, oldest first.

    Args:
        db: from `read.open_for_reading`, or a `Log`'s own.
        chosen: session and times in it are heeded; a session has the time at which it began.
        unfinished: only those without an end.
    """
    conditions, values = _where(chosen, "s.id", "s.started_at")
    if unfinished:
        conditions.append("s.ended_at IS NULL")
    rows = db.execute(
        f"SELECT {SESSIONS.select('s')}, m.name, (SELECT count(*) FROM readings r WHERE r.session_id = s.id),"
        # As `log` lists them: a reading that another model has answered is none, and one that two refused is one.
        " (SELECT count(DISTINCT coalesce(f.reading_id, -f.id)) FROM refusals f WHERE f.session_id = s.id"
        " AND NOT EXISTS (SELECT 1 FROM estimates e WHERE e.reading_id = f.reading_id)),"
        " (SELECT count(*) FROM scans c WHERE c.session_id = s.id)"
        f" FROM sessions s LEFT JOIN models m ON m.id = s.model_id {sql_where(conditions)} ORDER BY s.id",
        values,
    )
    for row in rows:
        *stored, model, readings, refusals, scans = row
        yield StoredSession(**SESSIONS.read(stored), model=model, readings=readings, refusals=refusals, scans=scans)


def iter_events(db: sqlite3.Connection, chosen: Chosen = ALL) -> Iterator[StoredEvent]:
    """Give what happened, oldest first; session and times in `chosen` are heeded."""
    conditions, values = _where(chosen, "e.session_id", "e.at")
    rows = db.execute(f"SELECT {EVENTS.select('e')} FROM events e {sql_where(conditions)} ORDER BY e.id", values)
    for row in rows:
        yield StoredEvent(**EVENTS.read(row))


def iter_scans(
    db: sqlite3.Connection, session_id: int | None = None, reading_id: int | None = None
) -> Iterator[StoredScan]:
    """Give raw scans in the order they were stored: of a session, of one reading, or all."""
    conditions: list[str] = []
    values: list[object] = []
    if session_id is not None:
        conditions.append("c.session_id = ?")
        values.append(session_id)
    if reading_id is not None:
        conditions.append("c.id IN (SELECT scan_id FROM reading_scans WHERE reading_id = ?)")
        values.append(reading_id)
    rows = db.execute(
        f"SELECT {SCANS.select('c')}, {_GRID.select('g')} FROM scans c CROSS JOIN grids g ON g.id = c.grid_id"
        f" {sql_where(conditions)} ORDER BY c.id",
        values,
    )
    for row in rows:
        yield StoredScan(**SCANS.read(row[:-1]), **_GRID.read(row[-1:]))


def _where(chosen: Chosen, session: str, time: str) -> tuple[list[str], list[object]]:
    conditions, values = where_reading(
        Chosen(since=chosen.since, until=chosen.until, session=chosen.session, void=True)
    )
    return [c.replace("r.session_id", session).replace("r.stored_at", time) for c in conditions], values
