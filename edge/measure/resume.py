"""Takes a measuring session up again where it was cut off: its events are read back and applied once more.

A scan is stored in one transaction with what came of it, so an event is there for every scan. Ages of dark and white go
on while the program does not run.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from ..errors import LogError
from ..gates.rules import Rules, beside
from ..gates.scans import Identity, Scan, ScanSettings
from ..instruments.profile import stored_rules
from ..log.columns import SCAN_FLAGS, StoredScan
from ..log.history import iter_events, iter_scans, iter_sessions
from ..log.read import Chosen
from ..log.true_time import host_boot, on_this_clock
from ..log.write import Log
from .controls import Stated
from .plan import Plan
from .points import who
from .session import FORMAT, Session
from .state import Event, SessionSettings

LONGEST_SAMPLE = timedelta(hours=1)
"""Nobody measures longer at one sample."""

_OF_REFERENCES = ("reference_taken", "panel_check", "wavelength_check")
_OF_POINTS = ("point", "point_refused")
"""Kinds of events that are about a scan."""
_Clock: TypeAlias = "Callable[[str, float, datetime], float]"


@dataclass(frozen=True)
class Unfinished:
    """A session without an end.

    Attributes:
        session_id: its row.
        started_at: in UTC.
        samples: that were finished in it.
        port: it was measured on.
        profile_name, profile_text: of the profile that it was begun with.
        details: settings and clocks of its beginning.
    """

    session_id: int
    started_at: datetime
    samples: int
    port: str
    profile_name: str
    profile_text: str
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
        kept = {field.name: self.details[field.name] for field in fields(SessionSettings) if field.name in self.details}
        plan, stated = dict(kept["plan"]), kept["stated"]
        plan["names"] = tuple(plan["names"])
        return SessionSettings(**kept | {"plan": Plan(**plan), "stated": None if stated is None else Stated(**stated)})

    @property
    def rules(self) -> Rules:
        """By which it was begun. Raises ProfileError if they cannot be read."""
        return beside(stored_rules(self.profile_text, f"profile of session {self.session_id}"), self.profile_name)


def unfinished_sessions(
    database: sqlite3.Connection, instrument: str, unattended: bool, ended: bool = False
) -> list[Unfinished]:
    """Give the sessions of an instrument that were never ended, oldest first; those of `listen` are the unattended.

    Args:
        database: the log's connection.
        instrument: as `points.who` names it.
        unattended: which ones.
        ended: those too that have an end, and can go on after it all the same.

    Raises:
        LogError: the log cannot be read.
    """
    try:
        found = [one for one in iter_sessions(database, unfinished=not ended) if one.instrument == instrument]
    except sqlite3.Error as error:
        raise LogError(f"the log cannot be read to take a session up again: {error}") from error
    return [
        Unfinished(
            one.id,
            datetime.fromisoformat(one.started_at),
            one.readings,
            one.port,
            one.profile_name,
            one.profile_text,
            one.settings,
        )
        for one in found
        if "begun_monotonic_s" in one.settings and bool(one.settings.get("unattended")) == unattended
    ]


def left_behind(database: sqlite3.Connection, identity: Identity, port: str) -> list[Unfinished]:
    """Give the unattended sessions of an instrument that were cut off, oldest first.

    Another instrument of the same name may be measuring with another program now: only the one on this port, one with
    a serial number, or one that has been silent for long is known to be this one.
    """
    now_s = time.monotonic()
    found = []
    for one in unfinished_sessions(database, who(identity), unattended=True):
        last_s = on_this_clock("", 0.0, one.started_at, now_s)
        for event in iter_events(database, Chosen(session=one.session_id)):
            said = event.details.get("host_boot", ""), event.details.get("monotonic_s", 0.0)
            last_s = on_this_clock(*said, datetime.fromisoformat(event.at), now_s)
        silent = now_s - last_s > LONGEST_SAMPLE.total_seconds()
        if one.readable and (identity.serial_number or one.port == port or silent):
            found.append(one)
    return found


def open_points_notice(log: Log) -> str:
    """Say once that an earlier version left points of samples half done in the log; "" if there is nothing to say."""
    database = log.database
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'open_points'").fetchone():
        return ""
    (count,) = database.execute(
        "SELECT count(*) FROM open_points o WHERE NOT EXISTS (SELECT 1 FROM taken_measurements t"
        " WHERE t.instrument = o.instrument AND t.boot = o.boot AND t.measurement = o.measurement)"
    ).fetchone()
    if not count or database.execute("SELECT 1 FROM events WHERE kind = 'open_points'").fetchone():
        return ""
    text = f"{count} points of samples that an earlier version left half done stay in the log: measure those again"
    log.add_event("open_points", text)
    return text


def give_up_session(log: Log, unfinished: Unfinished, why: str = "another session was begun instead") -> None:
    """End a session that nobody goes on with; all that it holds stays in the log."""
    log.add_event("given_up", why, session_id=unfinished.session_id)
    log.end_session(unfinished.session_id)


def take_up(session: Session, unfinished: Unfinished) -> None:
    """Bring a fresh session to where it was cut off.

    Args:
        session: not begun, with `unfinished.settings`.
        unfinished: what to go on with.

    Raises:
        LogError: the log cannot be read or written.
        ProfileError: the rules that it was begun with, by which it goes on, cannot be read.
    """
    if unfinished.profile_text:
        session.state.references = session.go_by(unfinished.rules)
    session.session_id, state, details = unfinished.session_id, session.state, unfinished.details
    clock = partial(on_this_clock, now_s=session.monotonic())
    if details["on_for_min"] is not None:
        began_s = clock(details["host_boot"], details["begun_monotonic_s"], unfinished.started_at)
        state.on_since_s = began_s - 60 * details["on_for_min"]
    for event in _events(session, clock):
        state.apply(event)
    state.references.forget_future(session.monotonic())
    restarted = details["host_boot"] != host_boot()
    session.engine.log.reopen_session(session.session_id)
    facts = {"device_restarted": restarted, "optimises": session.instrument.identity.optimises}
    session.record(Event("resumed", "the session is taken up again", facts, None))
    session.introduce()


def _events(session: Session, clock: _Clock) -> Iterator[Event]:
    """Give a session's events, each with the scan or the point that it is about."""
    database, session_id = session.engine.log.database, session.session_id
    try:
        told = list(iter_events(database, Chosen(session=session_id)))
        # The points of samples that are done need not be judged again.
        done = max((one.id for one in told if one.kind in ("sample_done", "sample_skipped")), default=0)
        needed = {
            one.details["scan_id"]
            for one in told
            if one.kind in _OF_REFERENCES or (one.kind in _OF_POINTS and one.id > done)
        }
        scans = {one.id: _scan(one, clock) for one in iter_scans(database, session_id) if one.id in needed}
    except sqlite3.Error as error:
        raise LogError(f"the log cannot be read to take a session up again: {error}") from error
    for one in told:
        details = one.details
        at_s = clock(details.get("host_boot", ""), details.get("monotonic_s", 0.0), datetime.fromisoformat(one.at))
        event = Event(one.kind, one.text, details, None, at_s)
        scan = scans.get(details.get("scan_id", 0))
        if scan is None:
            yield event
        elif one.kind in _OF_POINTS:
            yield replace(event, point=session.judge(scan, details["scan_id"]))
        else:
            yield replace(event, scan=scan)


def _scan(stored: StoredScan, clock: _Clock) -> Scan:
    told = stored.flags
    said: dict[str, Any] = {name: told[name] for name in SCAN_FLAGS}
    for name in ("saturated", "cooler_alarms", "dark_subtracted"):
        said[name] = tuple(said[name])
    return Scan(
        kind=stored.kind if stored.kind in ("dark", "white") else "target",  # type: ignore[arg-type]
        values=stored.values,
        unit=stored.unit,  # type: ignore[arg-type]
        key=stored.scan_key,
        number=stored.number,
        taken_s=clock(told.get("host_boot", ""), told.get("monotonic_s", 0.0), stored.measured_at),
        measured_at=stored.measured_at,
        scans=stored.scans,
        settings=ScanSettings(tuple(stored.settings.items())),
        boot=stored.boot,
        simulated=stored.simulated,
        extra={name: value for name, value in told.items() if name not in SCAN_FLAGS},
        **said,
    )
