"""Which names the log has, and of which readings."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from ...converters.spectra.names import plain_name
from .corrections import COUNTS, SAMPLE_ID


class Known(NamedTuple):
    """A reading that counts, by the name that it has after all corrections.

    Attributes:
        reading: its row.
        sample_id: as written there, which may be written otherwise than what was asked for.
        session: it belongs to, if any.
        stored_at: as the log writes times.
    """

    reading: int
    sample_id: str
    session: int | None
    stored_at: str


def known_as(db: sqlite3.Connection, name: str, counting: bool = True) -> list[Known]:
    """Give the readings of a name, or of one that is the same but for `plain_name`, oldest first; those that count."""
    if not plain_name(name):
        return []
    db.create_function("plain_name", 1, plain_name, deterministic=True)
    # The names alone are looked through: an index has them, and no spectrum is read.
    rows = db.execute(
        f"SELECT r.id, {SAMPLE_ID} AS name, r.session_id, r.stored_at FROM readings r WHERE (r.sample_id IN"
        " (SELECT n.sample_id FROM (SELECT DISTINCT sample_id FROM readings) n WHERE plain_name(n.sample_id) = ?1)"
        " OR r.id IN (SELECT reading_id FROM corrections WHERE kind = 'rename'))"
        f" AND plain_name(name) = ?1 {f'AND {COUNTS}' if counting else ''} ORDER BY r.id",
        (plain_name(name),),
    )
    return [Known(*row) for row in rows]


def known_exactly(db: sqlite3.Connection, name: str) -> list[Known]:
    """Give the readings that count of this name, oldest first; as fast in a large log as in a small one."""
    rows = db.execute(
        f"SELECT r.id, {SAMPLE_ID} AS name, r.session_id, r.stored_at FROM readings r WHERE (r.sample_id = ?1"
        f" OR r.id IN (SELECT reading_id FROM corrections WHERE kind = 'rename')) AND name = ?1 AND {COUNTS}"
        " ORDER BY r.id",
        (name,),
    )
    return [Known(*row) for row in rows]


def names_before(db: sqlite3.Connection, session_id: int) -> frozenset[str]:
    """Give the names, plain, that the log had before a session's first reading: as measured, and as corrected."""
    (first,) = db.execute("SELECT min(id) FROM readings WHERE session_id = ?", (session_id,)).fetchone()
    before, values = ("r.id < ?", (first,)) if first is not None else ("1", ())
    measured = db.execute(f"SELECT DISTINCT r.sample_id FROM readings r WHERE {before}", values)
    names = {plain_name(name) for (name,) in measured}
    renamed = db.execute(
        f"SELECT {SAMPLE_ID} FROM readings r WHERE {before} AND r.id IN"
        " (SELECT reading_id FROM corrections WHERE kind = 'rename')",
        values,
    )
    return frozenset(names | {plain_name(str(name)) for (name,) in renamed})


def reading_of(db: sqlite3.Connection, text: str, session_id: int | None = None) -> Known:
    """Find the one reading that a person means by its number, or by its sample: the last that counts, if any does.

    Args:
        db: the log's connection.
        text: number or name.
        session_id: whose samples are meant rather than those of others.

    Raises:
        LookupError: there is none, or several sessions have the name; says so in one line.
    """
    if text.isdecimal():
        row = db.execute(
            f"SELECT r.id, {SAMPLE_ID}, r.session_id, r.stored_at FROM readings r WHERE r.id = ?", (int(text),)
        ).fetchone()
        if row is not None:
            return Known(*row)
    # One that was left out is meant only where none of its name counts, as by "RS007 undo".
    found = known_as(db, text) or known_as(db, text, counting=False)
    found = [one for one in found if one.sample_id == text] or found
    found = [one for one in found if session_id is not None and one.session == session_id] or found
    if not found:
        raise LookupError(f"the log has no reading {text!r}; `stibium log` lists numbers and names")
    if len({(one.session, one.sample_id) for one in found}) > 1:
        listed = ", ".join(f"{one.reading} ({one.sample_id}, session {one.session or '-'})" for one in found[-5:])
        raise LookupError(f"{text!r} may be one of several soils; give the number of a reading: {listed}")
    return found[-1]
