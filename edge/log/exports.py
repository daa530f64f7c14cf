"""What has left the log, into a file or as a line: events say which readings, and as of when.

One rule says of a reading whether it has left as it is now, for `stibium day` and for the page alike.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from operator import ge
from typing import NamedTuple

from ..errors import LogError
from ..record import ReadingRecord
from .columns import EVENTS, StoredEvent
from .export import is_placed
from .read import open_for_reading
from .schema import SCHEMA_VERSION, version_of
from .write import Log

EXPORTED, SENT = "exported", "sent"
"""Kinds of events: into a file; as a line to whoever was connected (`edge/page/lines.py`)."""


class AsOf(NamedTuple):
    """The newest rows there are while readings leave the log. Rows tell what came first, as no clock can."""

    estimates: int
    corrections: int


def newest_rows(db: sqlite3.Connection) -> AsOf:
    """Give them; ask before anything is read that is to leave."""
    return AsOf(*(db.execute(f"SELECT coalesce(max(id), 0) FROM {name}").fetchone()[0] for name in AsOf._fields))


class Noted:
    """Looks on while records leave the log, and then notes which readings they were.

    Args:
        as_of: from before they were read; what is corrected or estimated after that has not left.
        placed: those with a position only, as a map's file has them.
    """

    def __init__(self, as_of: AsOf, placed: bool = False) -> None:
        self.ranges: list[list[int]] = []
        self._placed, self._as_of = placed, as_of

    def look(self, records: Iterable[ReadingRecord]) -> Iterator[ReadingRecord]:
        """Give the records on."""
        for record in records:
            if record.reading is not None and (is_placed(record) or not self._placed):
                self.add(record.reading)
            yield record

    def add(self, number: int) -> None:
        """Take note of a reading."""
        last = self.ranges[-1] if self.ranges else None
        if last is not None and number == last[1] + 1:
            last[1] = number
        elif last is None or number != last[1]:
            self.ranges.append([number, number])

    def note(self, log_path: str | os.PathLike[str], form: str, out: str) -> str:
        """Write the event of a file; gives why it cannot be, as on a disk that is only read, and "" if it was."""
        name = os.path.basename(out) or out
        return self._write(log_path, EXPORTED, f"exported to {name}", {"format": form, "file": name})

    def note_sent(self, log_path: str | os.PathLike[str], listeners: int) -> str:
        """Write the event of lines that were sent to so many; gives as `note` does."""
        return self._write(log_path, SENT, f"sent to {listeners}", {"listeners": listeners})

    def _write(self, log_path: str | os.PathLike[str], kind: str, text: str, details: dict[str, object]) -> str:
        try:
            with open_for_reading(log_path) as db:
                if version_of(db, log_path) != SCHEMA_VERSION:
                    return f"{log_path}: a log of an earlier version stays as it is until something is measured"
            with Log(log_path) as log:
                log.add_event(kind, text, {**details, "readings": self.ranges, "as_of_rows": self._as_of})
        except LogError as error:
            return str(error)
        return ""


class Left:
    """Which readings have left the log in one way, as they are now: one that was corrected since has not.

    Args:
        kind: `EXPORTED` or `SENT`.
    """

    def __init__(self, kind: str) -> None:
        self._kind, self._known = kind, 0
        self._single: dict[int, AsOf | str] = {}
        self._ranges: list[tuple[int, int, AsOf | str]] = []
        self._sessions: list[tuple[int | None, str]] = []

    def look(self, db: sqlite3.Connection) -> None:
        """Read what has left since this was last called."""
        self._db = db
        rows = db.execute(
            f"SELECT {EVENTS.select('e')} FROM events e WHERE e.kind = ? AND e.id > ? ORDER BY e.id",
            (self._kind, self._known),
        )
        for event in [StoredEvent(**EVENTS.read(row)) for row in rows]:
            self._known = event.id
            said, ranges = event.details, event.details.get("readings")
            # Events of earlier versions have a time only.
            at = AsOf(*said["as_of_rows"]) if "as_of_rows" in said else str(said.get("as_of", event.at))
            if not isinstance(ranges, list):
                # An export of a whole session, or of the whole log.
                self._sessions.append((event.session_id, str(at)))
                continue
            for first, last in ranges:
                if first == last:
                    self._single[first] = at
                else:
                    self._ranges.append((first, last, at))

    def holds(self, record: ReadingRecord) -> bool:
        """Tell whether a reading has left as it is now."""
        number = record.reading
        if number is None:
            return False
        (estimate,) = self._db.execute("SELECT max(id) FROM estimates WHERE reading_id = ?", (number,)).fetchone()
        rows = AsOf(estimate or 0, max((one.id for one in record.corrections), default=0))
        said = (*(one.at for one in record.corrections), *(one.estimated_at for one in record.estimates))
        changed_at = max([record.stored_at or "", *said])

        def since(at: AsOf | str) -> bool:
            return at >= changed_at if isinstance(at, str) else all(map(ge, at, rows))

        return (
            (number in self._single and since(self._single[number]))
            or any(first <= number <= last and since(at) for first, last, at in self._ranges)
            or any(session in (None, record.session) and since(at) for session, at in self._sessions)
        )


def left_since(db: sqlite3.Connection, event: int) -> int | None:
    """Give the first reading that has left the log, in any way, by events after this one; None if none has."""
    (lowest,) = db.execute(
        "SELECT min(coalesce(json_extract(e.details, '$.readings[0][0]'), 1)) FROM events e"
        " WHERE e.kind IN (?, ?) AND e.id > ? AND json_valid(e.details)",
        (EXPORTED, SENT, event),
    ).fetchone()
    return None if lowest is None else int(lowest)


def exported_readings(db: sqlite3.Connection, readings: Iterable[ReadingRecord]) -> set[int]:
    """Give the rows of the readings that a file holds as they are now."""
    left = Left(EXPORTED)
    left.look(db)
    return {one.reading for one in readings if one.reading is not None and left.holds(one)}
