"""Takes a measuring session up again where it was cut off: its events are read back and applied once more.

Ages of dark and white go on while the program does not run. A scan that was stored, and whose event was not, is
judged now, by what judges a scan that has just come.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import numpy as np

from ..errors import LogError
from ..gates.scans import Identity, Scan, ScanSettings
from ..log.write import Log
from .checks import take_panel_check, take_reference, take_wavelength_check
from .controls import Stated
from .plan import Plan
from .points import who
from .samples import take_point
from .session import FORMAT, Session, host_boot
from .state import Event, SessionSettings

LONGEST_SAMPLE = timedelta(hours=1)
"""Nobody measures longer at one sample."""

_JUDGED_BY: dict[str, Callable[[Session, Scan, int], object]] = {
    "dark": take_reference,
    "white": take_reference,
    "target": take_point,
    "panel_check": take_panel_check,
    "wavelength_check": take_wavelength_check,
}
_SETTLE = {"reference_taken", "reference_refused", "panel_check", "wavelength_check", "known"}
_OF_POINTS = {"point", "point_refused"}
"""Kinds of events that say what became of a scan."""


@dataclass(frozen=True)
class Unfinished:
    """A session without an end.

    Attributes:
        session_id: its row.
        started_at: in UTC.
        samples: that were finished in it.
        port: it was measured on.
        details: settings and clocks of its beginning.
    """

    session_id: int
    started_at: datetime
    samples: int
    port: str
    details: dict[str, Any]

    @property
    def begun(self) -> str:
        """When it began, in this device's local time, such as "21 Nov 09:12"."""
        return self.started_at.astimezone().strftime("%d %b %H:%M")

    @property
    def readable(self) -> bool:
        """False if an earlier version wrote it, whose events say too little."""
        return self.details.get("format") == FORMAT

    @property
    def settings(self) -> SessionSettings:
        """How it was begun."""
        kept = {name: self.details[name] for name in SessionSettings.__dataclass_fields__}
        plan, stated = dict(kept["plan"]), kept["stated"]
        plan["names"] = tuple(plan["names"])
        return SessionSettings(**kept | {"plan": Plan(**plan), "stated": None if stated is None else Stated(**stated)})


def unfinished_sessions(database: sqlite3.Connection, instrument: str, unattended: bool) -> Iterator[Unfinished]:
    """Give the sessions of an instrument that were never ended, newest first; those of `listen` are the unattended.

    Args:
        database: the log's connection.
        instrument: as `points.who` names it.
        unattended: which ones.

    Raises:
        LogError: the log cannot be read.
    """
    rows = _rows(
        database,
        "SELECT s.id, started_at, settings, port, (SELECT count(*) FROM events e WHERE e.session_id = s.id"
        " AND e.kind = 'sample_done') FROM sessions s WHERE ended_at IS NULL AND instrument = ? ORDER BY s.id DESC",
        (instrument,),
    )
    for session_id, started_at, settings, port, samples in rows:
        details = json.loads(settings)
        if "begun_monotonic_s" in details and bool(details.get("unattended")) == unattended:
            yield Unfinished(session_id, datetime.fromisoformat(started_at), samples, port, details)


def left_behind(database: sqlite3.Connection, identity: Identity, port: str) -> list[Unfinished]:
    """Give the unattended sessions of an instrument that were cut off, oldest first.

    Another instrument of the same name may be measuring with another program now: only the one on this port, one with
    a serial number, or one that has been silent for long is known to be this one.
    """
    long_ago = (datetime.now(timezone.utc) - LONGEST_SAMPLE).isoformat()
    found = []
    for one in unfinished_sessions(database, who(identity), unattended=True):
        ((last,),) = _rows(database, "SELECT max(at) FROM events WHERE session_id = ?", (one.session_id,))
        silent = (last or one.started_at.isoformat()) < long_ago
        if one.readable and (identity.serial_number or one.port == port or silent):
            found.append(one)
    return found[::-1]


def give_up_session(log: Log, unfinished: Unfinished, why: str = "another session was begun instead") -> None:
    """End a session that nobody goes on with; all that it holds stays in the log."""
    log.add_event("given_up", why, session_id=unfinished.session_id)
    log.end_session(unfinished.session_id)


def take_up(session: Session, unfinished: Unfinished) -> None:
    """Bring a fresh session to where it was cut off.

    Args:
        session: not begun, with `unfinished.settings`.
        unfinished: what to go on with; a sample whose last point had been stored is finished and told at once.

    Raises:
        LogError: the log cannot be read or written.
    """
    session.session_id, state = unfinished.session_id, session.state
    clock = partial(_on_this_clock, now_s=session.monotonic())
    details = unfinished.details
    began_s = clock(details["host_boot"], details["begun_monotonic_s"], unfinished.started_at)
    if details["on_for_min"] is not None:
        state.on_since_s = began_s - 60 * details["on_for_min"]
    events, unjudged = _events(session, clock)
    for event in events:
        if event.kind in _OF_POINTS:
            event = _with_point(session, event)
        state.apply(event)
    for scan_id, stored_as, scan in unjudged:
        _JUDGED_BY[stored_as](session, scan, scan_id)
    state.references.forget_future(session.monotonic())
    restarted = details["host_boot"] != host_boot()
    optimises = session.instrument.identity.optimises
    facts = {"device_restarted": restarted, "optimises": optimises}
    session.record(Event("resumed", "the session is taken up again", facts, None))
    session.introduce()


def _with_point(session: Session, event: Event) -> Event:
    if event.scan is None:
        return event
    point = session.judge(event.scan, event.details["scan_id"])
    return Event(event.kind, event.text, event.details, None, event.at_s, point=point)


def _events(
    session: Session, clock: Callable[[str, float, datetime], float]
) -> tuple[list[Event], list[tuple[int, str, Scan]]]:
    """Give a session's events, with the scans that they are about, and the scans without an event."""
    database, session_id = session.engine.log.database, session.session_id
    rows = _rows(database, "SELECT kind, text, at, details FROM events WHERE session_id = ? ORDER BY id", (session_id,))
    told = [(kind, text, datetime.fromisoformat(at), json.loads(details)) for kind, text, at, details in rows]
    last_done = max((n for n, (kind, *_) in enumerate(told) if kind in ("sample_done", "sample_skipped")), default=-1)
    settled = {details["scan_id"] for kind, *_, details in told if kind in _SETTLE | _OF_POINTS}
    # The points of samples that are done need not be judged again.
    needed = {
        details["scan_id"]
        for number, (kind, *_, details) in enumerate(told)
        if "scan_id" in details and (kind not in _OF_POINTS or number > last_done)
    }
    scans = {
        scan_id: (stored_as, scan)
        for scan_id, stored_as, scan in _scans(session, clock)
        if scan_id in needed or scan_id not in settled
    }
    events = []
    for kind, text, at, details in told:
        stored = scans.get(details.get("scan_id", 0))
        at_s = clock(details.get("host_boot", ""), details.get("monotonic_s", 0.0), at)
        events.append(Event(kind, text, details, None, at_s, stored[1] if stored else None))
    return events, [(scan_id, *scans[scan_id]) for scan_id in sorted(scans.keys() - settled)]


def _scans(session: Session, clock: Callable[[str, float, datetime], float]) -> Iterator[tuple[int, str, Scan]]:
    rows = _rows(
        session.engine.log.database,
        "SELECT s.id, kind, boot, number, unit, measured_at, scans, settings, flags, scan_key, simulated,"
        ' wavelengths_nm, "values" FROM scans s JOIN grids g ON g.id = grid_id WHERE session_id = ? ORDER BY s.id',
        (session.session_id,),
    )
    for scan_id, kind, boot, number, unit, at, scans, settings, flags, key, simulated, nm, values in rows:
        if not np.array_equal(np.frombuffer(nm, "<f8"), session.instrument.wavelengths_nm):
            continue
        told = json.loads(flags)
        measured_at = datetime.fromisoformat(at)
        said: dict[str, Any] = {name: told.pop(name) for name in ("shutter_closed", "drift", "temperature_c", "label")}
        said |= {name: tuple(told.pop(name)) for name in ("saturated", "cooler_alarms", "dark_subtracted")}
        scan = Scan(
            kind=kind if kind in ("dark", "white") else "target",
            values=np.frombuffer(values, "<f4").astype(np.float64),
            unit=unit,
            key=tuple(json.loads(key)),
            number=number,
            taken_s=clock(told.get("host_boot", ""), told.get("monotonic_s", 0.0), measured_at),
            measured_at=measured_at,
            scans=scans,
            settings=ScanSettings(tuple(json.loads(settings).items())),
            boot=boot,
            simulated=bool(simulated),
            extra=told,
            **said,
        )
        yield scan_id, kind, scan


def _on_this_clock(boot: str, monotonic_s: float, at: datetime, now_s: float) -> float:
    """Give a moment on the monotonic clock of now; after a restart of this device by its time of day."""
    if boot and boot == host_boot():
        return min(monotonic_s, now_s)
    return now_s - (datetime.now(timezone.utc) - at).total_seconds()


def _rows(database: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> list[Any]:
    try:
        return database.execute(statement, values).fetchall()
    except sqlite3.Error as error:
        raise LogError(f"the log cannot be read to take a session up again: {error}") from error
