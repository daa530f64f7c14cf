"""The right time of readings that were stored while this device's clock was wrong, as another clock has said.

A clock without a battery stands still with the power, and in the field nothing sets it. What a phone says is written
down as an event: its clock minus the device's, at a moment of the monotonic clock, which runs on whatever happens to
the time of day. A scan of the same power-up has such a moment too, so its time follows, also where the clock jumped in
between. The stored times stay as they are.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..record import ReadingRecord
from .columns import TIME_OFFSETS
from .write import Log, add_event, now

KIND = "time_offset"
LEAST_S = 2.0
"""Clocks that differ by less agree."""


def add_time_offset(log: Log, offset_s: float, source: str, host_boot: str, monotonic_s: float) -> None:
    """Write down that another clock was compared with this device's; when this returns it is on disk.

    Args:
        log: open.
        offset_s: the other clock minus this one.
        source: whose clock it was, such as "phone".
        host_boot: this power-up of the device.
        monotonic_s: when that was, on the clock of `Scan.taken_s`.

    Raises:
        LogError: it was not stored.
    """

    def work() -> None:
        at = now()
        row = {"at": at, "offset_s": offset_s, "source": source, "host_boot": host_boot}
        TIME_OFFSETS.insert(log.database, **row)
        text = f"the {source}'s clock minus this device's: {signed(offset_s)}"
        add_event(log.database, KIND, text, {**row, "monotonic_s": monotonic_s}, None)

    log.together(work)


@dataclass(frozen=True)
class _Compared:
    true: datetime
    monotonic_s: float
    source: str


class TrueTimes:
    """Puts the right time beside those of records; nothing where nobody has said one.

    Args:
        db: of the log.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._compared: dict[str, _Compared] = {}
        for (text,) in db.execute("SELECT details FROM events WHERE kind = ? ORDER BY id", (KIND,)):
            try:
                said = json.loads(text)
                true = datetime.fromisoformat(said["at"]) + timedelta(seconds=said["offset_s"])
                self._compared[str(said["host_boot"])] = _Compared(true, float(said["monotonic_s"]), said["source"])
            except (KeyError, TypeError, ValueError, OverflowError):
                continue  # damaged: what cannot be read corrects nothing

    def offset_s(self, host_boot: str, device_s: float, monotonic_s: float) -> float:
        """Give what this device's clock lacks at a moment, in seconds; 0.0 where nobody has said so."""
        compared = self._compared.get(host_boot)
        return compared.true.timestamp() + monotonic_s - compared.monotonic_s - device_s if compared else 0.0

    def on(self, record: ReadingRecord) -> ReadingRecord:
        """Give a record with the right time, and a remark that says so; as it is where that is not known."""
        if not self._compared or record.reading is None:
            return record
        row = self._db.execute(
            "SELECT s.flags, s.measured_at FROM reading_scans r JOIN scans s ON s.id = r.scan_id"
            " WHERE r.reading_id = ? AND r.role = 'target' ORDER BY s.id DESC LIMIT 1",
            (record.reading,),
        ).fetchone()
        if row is None:
            return record
        try:
            flags, measured_at = json.loads(row[0]), datetime.fromisoformat(row[1])
            compared = self._compared[flags["host_boot"]]
            true = compared.true + timedelta(seconds=float(flags["monotonic_s"]) - compared.monotonic_s)
            offset_s = (true - measured_at).total_seconds()
        except (KeyError, TypeError, ValueError, OverflowError):
            return record
        if abs(offset_s) < LEAST_S:
            return record
        remark = f"time corrected by {signed(offset_s)}, as the {compared.source} said"
        at = true.astimezone(timezone.utc).isoformat(timespec="seconds")
        return record._replace(corrected_at=at, time_offset_s=round(offset_s, 1), flags=(*record.flags, remark))


def signed(offset_s: float) -> str:
    """Write seconds with their sign as hours or days: "+3:12:05", "-2 days, 1:00:00"."""
    return f"{'+' if offset_s >= 0 else '-'}{timedelta(seconds=abs(round(offset_s)))}"
