"""The right time of readings that were stored while this device's clock was wrong, as another clock has said.

A clock without a battery stands still with the power, and in the field nothing sets it. What a phone says is written
down as an event: its clock minus the device's, at a moment of the monotonic clock, which runs on whatever happens to
the time of day. A scan of the same power-up has such a moment too, so its time follows, also where the clock jumped in
between. The stored times stay as they are.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from ..record import ReadingRecord
from .columns import TIME_OFFSETS, StoredEvent, StoredSession
from .write import Log, add_event, now

KIND = "time_offset"
LEAST_S = 2.0
"""Clocks that differ by less agree."""


@lru_cache(maxsize=1)
def host_boot() -> str:
    """Name this power-up of this device, so that its monotonic clock is told from another one's; "" if unknown."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""


def on_this_clock(boot: str, monotonic_s: float, at: datetime, now_s: float, now: datetime | None = None) -> float:
    """Give a moment on the monotonic clock of now; after a restart of this device by its time of day.

    Args:
        boot: the power-up it was in; "" if nobody knows.
        monotonic_s: when, on that one's clock.
        at: when, by the time of day.
        now_s: the monotonic clock.
        now: the time of day, if it is not this device's.
    """
    if boot and boot == host_boot():
        return min(monotonic_s, now_s)
    return now_s - ((now or datetime.now(timezone.utc)) - at).total_seconds()


def last_white(
    db: sqlite3.Connection, session_id: int | None = None, now: datetime | None = None
) -> tuple[float, bool] | None:
    """Give the age in seconds of the white reference that was taken last, and whether it is simulated; None without.

    Args:
        db: of the log.
        session_id: whose white; None for the last of all.
        now: see `on_this_clock`.
    """
    row = db.execute(
        "SELECT flags, measured_at, simulated FROM scans WHERE kind = 'white' AND session_id IS coalesce(?, session_id)"
        " ORDER BY id DESC LIMIT 1",
        (session_id,),
    ).fetchone()
    if row is None:
        return None
    try:
        flags, at, now_s = json.loads(row[0]), datetime.fromisoformat(row[1]), time.monotonic()
        taken_s = on_this_clock(flags.get("host_boot", ""), float(flags.get("monotonic_s", 0.0)), at, now_s, now)
    except (AttributeError, TypeError, ValueError):
        return None  # damaged
    return now_s - taken_s, bool(row[2])


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

    @property
    def known(self) -> bool:
        """Tell whether another clock has said anything at all."""
        return bool(self._compared)

    def of_readings(self) -> dict[int, str]:
        """Give the right time of all readings whose stored time is wrong, by their rows."""
        rows = self._db.execute(
            "SELECT r.reading_id, s.flags, s.measured_at FROM scans s JOIN reading_scans r ON r.scan_id = s.id"
            " WHERE r.role = 'target' AND CASE WHEN json_valid(s.flags) THEN json_extract(s.flags, '$.host_boot') END"
            f" IN ({', '.join('?' * len(self._compared))}) ORDER BY s.id",
            tuple(self._compared),
        )
        found = {reading: self._right(flags, measured_at) for reading, flags, measured_at in rows}
        return {reading: _written(right[0]) for reading, right in found.items() if right is not None}

    def of_event(self, event: StoredEvent) -> StoredEvent:
        """Give an event at the right time; as it is where that is not known."""
        right = self._right(event.details, event.at)
        return event if right is None else event._replace(at=_written(right[0]))

    def of_session(self, session: StoredSession) -> StoredSession:
        """Give a session that begins and ends at the right times; as it is where they are not known."""
        begun = {**session.settings, "monotonic_s": session.settings.get("begun_monotonic_s")}
        last = self._db.execute(
            "SELECT details, at FROM events WHERE session_id = ? ORDER BY id DESC LIMIT 1", (session.id,)
        ).fetchone()
        first, end = self._right(begun, session.started_at), self._right(*last) if last else None
        if first is not None:
            session = session._replace(started_at=_written(first[0]))
        if end is not None and session.ended_at is not None:
            ended = datetime.fromisoformat(session.ended_at) + timedelta(seconds=end[1])
            session = session._replace(ended_at=_written(ended))
        return session

    def _right(self, said: Any, device_at: str) -> tuple[datetime, float, str] | None:
        """Give the right time, what is added to the device's for it, and who said so; None if nothing is."""
        try:
            said = json.loads(said) if isinstance(said, str) else said
            at, compared = datetime.fromisoformat(device_at), self._compared[said["host_boot"]]
            true = compared.true + timedelta(seconds=float(said["monotonic_s"]) - compared.monotonic_s)
            offset_s = (true - at).total_seconds()
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return None if abs(offset_s) < LEAST_S else (true, offset_s, compared.source)

    def on(self, record: ReadingRecord) -> ReadingRecord:
        """Give a record with the right time, and a remark that says so; as it is where that is not known."""
        if not self._compared or record.reading is None:
            return record
        row = self._db.execute(
            "SELECT s.flags, s.measured_at FROM reading_scans r JOIN scans s ON s.id = r.scan_id"
            " WHERE r.reading_id = ? AND r.role = 'target' ORDER BY s.id DESC LIMIT 1",
            (record.reading,),
        ).fetchone()
        right = None if row is None else self._right(*row)
        if right is None:
            return record
        true, offset_s, source = right
        remark = f"time corrected by {signed(offset_s)}, as the {source} said"
        return record._replace(
            corrected_at=_written(true), time_offset_s=round(offset_s, 1), flags=(*record.flags, remark)
        )


def _written(at: datetime) -> str:
    return at.astimezone(timezone.utc).isoformat(timespec="seconds")


def signed(offset_s: float) -> str:
    """Write seconds with their sign as hours or days: "+3:12:05", "-2 days, 1:00:00"."""
    return f"{'+' if offset_s >= 0 else '-'}{timedelta(seconds=abs(round(offset_s)))}"
