"""A day of measuring, put together from the log: what was measured, what became of it, and what has been exported."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from ..record import ReadingRecord, as_json, told
from .columns import StoredEvent, StoredSession
from .export import iter_records
from .exports import AsOf, exported_readings, newest_rows
from .history import iter_events, iter_sessions
from .read import Chosen
from .true_time import TrueTimes

_REFERENCES = ("reference_taken", "reference_refused", "panel_check", "wavelength_check", "optimised")


@dataclass(frozen=True)
class Day:
    """What the log holds of a day, in this device's time zone.

    Attributes:
        date: of the day.
        sessions: that anything of the day belongs to.
        readings: that count, in the order they were stored; refusals without a spectrum among them.
        void: readings that do not count.
        controls: what became of blanks, reference soils and duplicates.
        references: dark, white, checks of panel and wavelengths, optimising.
        exported: rows of the readings that a file holds as they are now.
        as_of: the newest rows when it was put together.
    """

    date: date
    sessions: tuple[StoredSession, ...]
    readings: tuple[ReadingRecord, ...]
    void: tuple[ReadingRecord, ...]
    controls: tuple[StoredEvent, ...]
    references: tuple[StoredEvent, ...]
    exported: frozenset[int]
    as_of: AsOf

    @property
    def estimated(self) -> list[ReadingRecord]:
        """Readings that count, with an estimate."""
        return [one for one in self.readings if one.estimates]

    @property
    def refused(self) -> list[ReadingRecord]:
        """Readings and files without one, and why is their `reason`."""
        return [one for one in self.readings if not one.estimates]

    @property
    def elements(self) -> list[str]:
        """What was estimated, sorted."""
        return sorted({one.element for record in (*self.readings, *self.void) for one in record.estimates})

    @property
    def placed(self) -> list[ReadingRecord]:
        """Readings with a position."""
        return [one for one in self.readings if one.latitude_deg is not None and one.longitude_deg is not None]

    @property
    def not_exported(self) -> list[ReadingRecord]:
        """Readings that count and are in no file as they are now."""
        return [one for one in self.readings if one.reading is not None and one.reading not in self.exported]

    @property
    def whites(self) -> list[StoredEvent]:
        """White references that were taken."""
        return [one for one in self.references if one.kind == "reference_taken" and one.details.get("kind") == "white"]

    @property
    def simulated(self) -> bool:
        """True if a spectrum or a model of the day is simulated."""
        return any(one.simulated or any(e.simulated for e in one.estimates) for one in (*self.readings, *self.void))

    def judged(self, passed: bool | None) -> list[StoredEvent]:
        """Controls that passed, failed (False), or could not be judged (None)."""
        return [one for one in self.controls if one.details.get("passed") is passed]

    def as_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            "schema": "stibium.day/1",
            "date": self.date.isoformat(),
            "elements": self.elements,
            "simulated": self.simulated,
            "sessions": [_session(one) for one in self.sessions],
            "readings": [as_json(one) for one in self.readings],
            "void": [as_json(one) for one in self.void],
            "controls": [_event(one) for one in self.controls],
            "references": [_event(one) for one in self.references],
            "exported": sorted(self.exported),
            "not_exported": [one.reading for one in self.not_exported],
        }


def day_of(db: sqlite3.Connection, day: date) -> Day:
    """Put a day together, from midnight to midnight of this device's time zone, by the right time where it is known.

    Args:
        db: from `read.open_for_reading`.
        day: the date.
    """
    as_of, times = newest_rows(db), TrueTimes(db)
    records = records_of(db, day)
    counting = tuple(one for one in records if not one.void)
    chosen = [whole_day(day)]
    if times.known:
        chosen += [Chosen(session=number) for number in {one.session for one in records} - {None}]
    found = {event.id: times.of_event(event) for one in chosen for event in iter_events(db, one)}
    events = [found[number] for number in sorted(found) if is_within(found[number].at, day)]
    numbers = {one.session for one in records} | {one.session_id for one in events}
    return Day(
        date=day,
        sessions=tuple(times.of_session(one) for one in iter_sessions(db) if one.id in numbers),
        readings=counting,
        void=tuple(one for one in records if one.void),
        controls=tuple(one for one in events if one.kind == "control"),
        references=tuple(one for one in events if one.kind in _REFERENCES),
        exported=frozenset(exported_readings(db, counting)),
        as_of=as_of,
    )


def records_of(db: sqlite3.Connection, day: date, void: bool = True, last: int | None = None) -> list[ReadingRecord]:
    """Give the records of a day, in order, by the right time of each where another clock has said it.

    Args:
        db: from `read.open_for_reading`.
        day: the date.
        void: those too that do not count.
        last: only so many, the last ones.
    """
    times, chosen = TrueTimes(db), whole_day(day, void)
    right = times.of_readings() if times.known else {}
    if not right:
        return list(iter_records(db, chosen, last=last))
    stored = [one for one in iter_records(db, chosen) if one.reading not in right]
    numbers = [number for number, at in right.items() if is_within(at, day)]
    moved = [one for number in numbers for one in iter_records(db, Chosen(reading=number, void=void))]
    found = sorted((*stored, *moved), key=lambda one: one.corrected_at or one.stored_at or "")
    return found if last is None else found[-last:]


def is_within(at: str, day: date) -> bool:
    """Tell whether a time of the log is of a day in this device's time zone."""
    return datetime.fromisoformat(at).astimezone().date() == day


def read_day(text: str) -> date:
    """Read a day such as "2026-05-06". Raises ValueError: it is none, or has none before or after it."""
    day = date.fromisoformat(text)
    if not date.min + timedelta(days=2) < day < date.max - timedelta(days=2):
        raise ValueError(f"{text}: none before or after it")
    return day


def whole_day(day: date, void: bool = True) -> Chosen:
    """Choose what was stored on a day, from midnight to midnight of this device's time zone."""
    begins = datetime.combine(day, time()).astimezone()
    ends = datetime.combine(day + timedelta(days=1), time()).astimezone()
    return Chosen(since=begins, until=ends, void=void)


def last_day(db: sqlite3.Connection) -> date | None:
    """Give the day of the log's last reading; None if it has none."""
    (number,) = db.execute("SELECT max(id) FROM readings").fetchone()
    if number is None:
        return None
    (stored_at,) = db.execute("SELECT stored_at FROM readings WHERE id = ?", (number,)).fetchone()
    times = TrueTimes(db)
    at = times.of_readings().get(number, stored_at) if times.known else stored_at
    return datetime.fromisoformat(at).astimezone().date()


def day_lines(day: Day) -> Iterator[str]:
    """Say what a day came to, in lines for a person; those that belong to the line before begin with two spaces."""
    yield f"{day.date:%A, %d %B %Y}{' SIMULATED' if day.simulated else ''}"
    for session in day.sessions:
        until = clock(session.ended_at) if session.ended_at else "not ended"
        yield f"session {session.id}: {clock(session.started_at)} to {until}, {session.instrument or session.port}"
    wrong = next((one for one in (*day.readings, *day.void) if one.corrected_at), None)
    if wrong is not None:
        yield wrong.flags[-1]
    yield f"{len(day.estimated)} estimated, {len(day.refused)} refused, {len(day.void)} do not count"
    for one in day.estimated:
        said = (f"{told(e)}, simulated" if e.simulated else told(e) for e in one.estimates)
        yield f"  {one.sample_id}: {'; '.join(said)}"
    passed, failed, open_ = (len(day.judged(said)) for said in (True, False, None))
    yield f"controls: {passed} passed, {failed} FAILED, {open_} open"
    for event in day.controls:
        yield f"  {event.text}"
    yield from _listed("refused", [f"{one.sample_id or one.source}: {one.reason}" for one in day.refused])
    yield from _listed("do not count", [f"{one.sample_id}: {one.void}" for one in day.void])
    times = ", ".join(clock(one.at) for one in day.whites)
    yield f"white references: {len(day.whites)}{': ' if times else ''}{times}"
    for event in day.references:
        if event.kind == "reference_refused" or event.details.get("ok") is False:
            yield f"  {clock(event.at)} {event.text}"
    yield f"positions: {len(day.placed)} of {len(day.readings)}"
    missing = day.not_exported
    yield f"exported: {len(day.exported)} of {len(day.exported) + len(missing)}"
    yield from _listed("not exported", [one.sample_id or one.source for one in missing])


def clock(stored_at: str) -> str:
    """Write a time of the log in this device's time zone, such as 14:05."""
    return datetime.fromisoformat(stored_at).astimezone().strftime("%H:%M")


def _listed(title: str, texts: list[str]) -> Iterator[str]:
    if texts:
        yield f"{title}:"
        yield from (f"  {text}" for text in texts)


def _session(one: StoredSession) -> dict[str, Any]:
    names = ("id", "started_at", "ended_at", "instrument", "port", "profile_name", "operator", "model", "software")
    return {name: getattr(one, name) for name in names}


def _event(one: StoredEvent) -> dict[str, Any]:
    return {"at": one.at, "session": one.session_id, "kind": one.kind, "text": one.text, **_said(one.details)}


def _said(details: dict[str, Any]) -> dict[str, Any]:
    return {name: details[name] for name in ("passed", "sample_id", "ok") if name in details} | (
        {"what": details["kind"]} if "kind" in details else {}
    )
