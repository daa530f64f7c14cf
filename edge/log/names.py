"""Which names the log has, and of which readings."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ...converters.spectra.names import plain_name
from .corrections import COUNTS, SAMPLE_ID, UNDONE, has_reading


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


def names_taken(db: sqlite3.Connection, session_id: int) -> frozenset[str]:
    """Give the names, plain, of what was measured before a session's first reading, and those that were corrected."""
    (first,) = db.execute("SELECT min(id) FROM readings WHERE session_id = ?", (session_id,)).fetchone()
    before, values = ("r.id < ?", (first,)) if first is not None else ("1", ())
    measured = db.execute(f"SELECT DISTINCT r.sample_id FROM readings r WHERE {before}", values)
    # By whomever: on the page or by `log edit`, the session that runs hears nothing of it.
    renamed = db.execute(
        f"SELECT {SAMPLE_ID} FROM readings r WHERE r.id IN (SELECT reading_id FROM corrections WHERE kind = 'rename')"
    )
    return frozenset(plain_name(str(name)) for rows in (measured, renamed) for (name,) in rows)


def when(known: Known) -> str:
    """Say when a reading was stored, in this device's time zone; the day only if it is not today."""
    at = datetime.fromisoformat(known.stored_at).astimezone()
    today = at.date() == datetime.now().astimezone().date()
    return at.strftime("at %H:%M") if today else at.strftime("on %d %b %Y at %H:%M")


def warning_of(db: sqlite3.Connection, reading_id: int, kind: str, value: Mapping[str, Any]) -> str:
    """Say what comes with a correction: another sample's name, or a sample without a reading; "" if nothing does."""
    if kind == "void":
        replaced = [
            number
            for number, counts in db.execute(
                "SELECT c.reading_id, CASE WHEN json_valid(c.value) THEN json_extract(c.value, '$.counts') END"
                f" FROM corrections c WHERE c.kind = 'again' AND NOT {UNDONE} ORDER BY c.id"
            )
            if counts == reading_id
        ]
        if not replaced:
            return ""
        return f"it counted in place of reading {replaced[-1]}: undo that one's correction for it to count again"
    known = known_exactly(db, str(value.get("sample_id", ""))) if kind == "rename" else []
    if not known:
        return ""
    name = known[-1].sample_id
    return f"{name} was measured {when(known[-1])} too: in one session they are one soil; undo takes the new name back"


def reading_as_known(db: sqlite3.Connection, number: int) -> Known:
    """Give a reading that there is, by its number."""
    row = db.execute(f"SELECT r.id, {SAMPLE_ID}, r.session_id, r.stored_at FROM readings r WHERE r.id = ?", (number,))
    return Known(*row.fetchone())


def reading_of(db: sqlite3.Connection, text: str, session_id: int | None = None) -> Known:
    """Find the one reading that a person means by its number, or by its sample: the last that counts, if any does.

    Args:
        db: the log's connection.
        text: number or name; "reading 12" is the number, even where 12 is also a sample.
        session_id: whose samples are meant rather than those of others.

    Raises:
        LookupError: there is none, or more than one may be meant; says so in one line.
    """
    number = text.lower().removeprefix("reading ").strip()
    if number.isdecimal() and len(number) < 20 and has_reading(db, int(number)):
        meant = reading_as_known(db, int(number))
        others = [one for one in known_as(db, text) if one.sample_id == text and one.reading != meant.reading]
        if not others:
            return meant
        other = others[-1].reading
        raise LookupError(
            f"{text!r} may be reading {number} ({meant.sample_id}) or sample {text} (reading {other}); "
            f"write reading {number} or reading {other}"
        )
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
