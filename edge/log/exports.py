"""What has left the log in a file: an event says which readings, so that a day can say what has not."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator

from ..errors import LogError
from ..record import ReadingRecord
from .columns import EVENTS, StoredEvent
from .read import open_for_reading
from .schema import SCHEMA_VERSION, version_of
from .write import Log

EXPORTED = "exported"


class Noted:
    """Looks on while records are exported, and then notes which readings they were."""

    def __init__(self) -> None:
        self.ranges: list[list[int]] = []

    def look(self, records: Iterable[ReadingRecord]) -> Iterator[ReadingRecord]:
        """Give the records on."""
        for record in records:
            if record.reading is not None:
                self._add(record.reading)
            yield record

    def _add(self, number: int) -> None:
        last = self.ranges[-1] if self.ranges else None
        if last is not None and number == last[1] + 1:
            last[1] = number
        elif last is None or number != last[1]:
            self.ranges.append([number, number])

    def note(self, log_path: str | os.PathLike[str], form: str, out: str) -> str:
        """Write the event; gives why it cannot be, as on a disk that is only read, and "" if it was."""
        with open_for_reading(log_path) as db:
            if version_of(db, log_path) != SCHEMA_VERSION:
                return f"{log_path}: a log of an earlier version stays as it is until something is measured"
        try:
            with Log(log_path) as log:
                details = {"format": form, "file": os.path.basename(out), "readings": self.ranges}
                log.add_event(EXPORTED, f"exported to {os.path.basename(out) or out}", details)
        except LogError as error:
            return str(error)
        return ""


def exported_readings(db: sqlite3.Connection, readings: Iterable[ReadingRecord]) -> set[int]:
    """Give the rows of the readings that an export has written, as they are: one that was corrected since is not."""
    rows = db.execute(f"SELECT {EVENTS.select('e')} FROM events e WHERE e.kind = ? ORDER BY e.id", (EXPORTED,))
    events = [StoredEvent(**EVENTS.read(row)) for row in rows]
    return {one.reading for one in readings if one.reading is not None and any(_holds(e, one) for e in events)}


def _holds(event: StoredEvent, record: ReadingRecord) -> bool:
    changed_at = max([record.stored_at or "", *(one.at for one in record.corrections)])
    if event.at < changed_at or record.reading is None:
        return False
    ranges = event.details.get("readings")
    if isinstance(ranges, list):
        return any(first <= record.reading <= last for first, last in ranges)
    # An export of a whole session, or of the whole log.
    return event.session_id in (None, record.session)
