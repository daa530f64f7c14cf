"""What has left the log, into a file or as a line: events say which readings, and as of when.

One rule says of a reading whether it has left as it is now, for `stibium day` and for the page alike.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator

from ..errors import LogError
from ..record import ReadingRecord
from .columns import EVENTS, StoredEvent
from .export import is_placed
from .read import open_for_reading
from .schema import SCHEMA_VERSION, version_of
from .write import Log, now

EXPORTED, SENT = "exported", "sent"
"""Kinds of events: into a file; as a line to whoever was connected (`edge/page/lines.py`)."""


class Noted:
    """Looks on while records leave the log, and then notes which readings they were.

    Args:
        placed: those with a position only, as a map's file has them.
    """

    def __init__(self, placed: bool = False) -> None:
        self.ranges: list[list[int]] = []
        self._placed = placed
        self._as_of = now()
        """What is corrected from here on has not left."""

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
                log.add_event(kind, text, {**details, "readings": self.ranges, "as_of": self._as_of})
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
        self._single: dict[int, str] = {}
        self._ranges: list[tuple[int, int, str]] = []
        self._sessions: list[tuple[int | None, str]] = []

    def look(self, db: sqlite3.Connection) -> None:
        """Read what has left since this was last called."""
        rows = db.execute(
            f"SELECT {EVENTS.select('e')} FROM events e WHERE e.kind = ? AND e.id > ? ORDER BY e.id",
            (self._kind, self._known),
        )
        for event in [StoredEvent(**EVENTS.read(row)) for row in rows]:
            self._known = event.id
            at, ranges = str(event.details.get("as_of", event.at)), event.details.get("readings")
            if not isinstance(ranges, list):
                # An export of a whole session, or of the whole log.
                self._sessions.append((event.session_id, at))
                continue
            for first, last in ranges:
                if first == last:
                    self._single[first] = max(at, self._single.get(first, ""))
                else:
                    self._ranges.append((first, last, at))

    def holds(self, record: ReadingRecord) -> bool:
        """Tell whether a reading has left as it is now."""
        number = record.reading
        if number is None:
            return False
        said = (*(one.at for one in record.corrections), *(one.estimated_at for one in record.estimates))
        changed_at = max([record.stored_at or "", *said])
        return (
            self._single.get(number, "") >= changed_at
            or any(first <= number <= last and at >= changed_at for first, last, at in self._ranges)
            or any(session in (None, record.session) and at >= changed_at for session, at in self._sessions)
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
