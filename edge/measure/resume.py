"""Takes a measuring session up again where it was cut off: all that it needs stands in the log.

References that are young enough and of the same power-up count, and so do the points of the sample that was not
finished. They are judged again by the same gates, from the same scans, in the same order.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import LogError
from ..gates.finding import Finding, reason
from ..gates.scans import Scan, ScanSettings
from ..log.write import Log
from ..model.estimate import Estimate
from .controls import Stated
from .plan import Plan, Planned
from .routine import Routine
from .sample import Place, Sample
from .session import Settings, host_boot
from .steps import Fact


@dataclass(frozen=True)
class Unfinished:
    """A session without an end.

    Attributes:
        session_id: its row.
        started_at: in UTC.
        samples: that were finished in it.
        details: as `session_details` gave them.
    """

    session_id: int
    started_at: datetime
    samples: int
    details: dict[str, Any]


def session_details(settings: Settings, monotonic_s: float) -> dict[str, Any]:
    """Give what has to stand in the log at a session's beginning, so that it can be taken up again."""
    return {
        **asdict(settings),
        "host_boot": host_boot(),
        "begun_monotonic_s": monotonic_s,
    }


def settings_of(details: dict[str, Any]) -> Settings:
    """Give the settings that a session was begun with."""
    plan, stated = dict(details["plan"]), details["stated"]
    plan["names"] = tuple(plan["names"])
    return Settings(
        points=details["points"],
        scans=details["scans"],
        plan=Plan(**plan),
        count=details["count"],
        optimise=details["optimise"],
        on_for_min=details["on_for_min"],
        stated=None if stated is None else Stated(**stated),
        operator=details["operator"],
    )


def unfinished_session(database: sqlite3.Connection, instrument: str) -> Unfinished | None:
    """Give the newest session of an instrument that was never ended; None if there is none.

    Args:
        database: the log's connection.
        instrument: as `routine_sample.who` names it.

    Raises:
        LogError: the log cannot be read.
    """
    rows = _rows(
        database,
        "SELECT s.id, started_at, settings, (SELECT count(*) FROM events e WHERE e.session_id = s.id"
        " AND e.kind = 'sample_done') FROM sessions s WHERE ended_at IS NULL AND instrument = ? ORDER BY s.id DESC",
        (instrument,),
    )
    for session_id, started_at, settings, samples in rows:
        details = json.loads(settings)
        if "begun_monotonic_s" in details:
            return Unfinished(session_id, datetime.fromisoformat(started_at), samples, details)
    return None


def give_up_session(log: Log, unfinished: Unfinished) -> None:
    """End a session that nobody wants to go on with; all that it holds stays in the log."""
    log.add_event("given_up", "another session was begun instead", session_id=unfinished.session_id)
    log.end_session(unfinished.session_id)


def take_up(routine: Routine, unfinished: Unfinished) -> None:
    """Bring a fresh routine to where a session was cut off.

    Args:
        routine: not begun, with `settings_of(unfinished.details)`.
        unfinished: the session; a sample whose last point had been stored is finished and told at once.

    Raises:
        LogError: the log cannot be read or written.
    """
    database, session_id = routine.engine.log.database, unfinished.session_id
    routine.session_id = session_id
    rows = _rows(database, "SELECT kind, details FROM events WHERE session_id = ? ORDER BY id", (session_id,))
    events = [(kind, json.loads(details)) for kind, details in rows]
    _restore_run(routine, events)
    _restore_warm_up(routine, unfinished, events)
    routine.introduce()
    routine.engine.log.add_event("resumed", "the session is taken up again", session_id=session_id)
    begun = _begun(database, session_id)
    _replay_scans(routine, events, begun)
    if routine.instrument.identity.optimises:
        # What it was set to may be gone with the connection, and with it what dark and white belong to.
        routine.optimised, routine.boot = False, None
        routine.references.forget()
    routine.resumed, routine.device_restarted = True, unfinished.details["host_boot"] != host_boot()
    sample = routine.sample
    points = 0 if sample is None else len(sample.points)
    half = f"; {sample.planned.sample_id} has {points} points" if sample is not None and points else ""
    routine.tell(Fact("note", f"Session {session_id} goes on: {unfinished.samples} samples done{half}"))
    complaint = reason(routine.references.complaints(routine.valid_min(), routine.monotonic()))
    if complaint:
        routine.tell(Fact("note", complaint))
    routine.settle_if_complete()


def _restore_run(routine: Routine, events: list[tuple[str, dict[str, Any]]]) -> None:
    for kind, details in events:
        if kind in ("sample_done", "sample_skipped"):
            routine.run.done(Planned.from_details(details), measured=kind == "sample_done")
    for sample_id, outcome in _estimates(routine).items():
        routine.done[sample_id] = outcome
    open_notes: list[str] = []
    for kind, details in events:
        if kind == "note" and not details["begun"]:
            open_notes.append(details["text"])
        elif kind == "sample_begun":
            open_notes.clear()
    routine.notes = open_notes


def _restore_warm_up(routine: Routine, unfinished: Unfinished, events: list[tuple[str, dict[str, Any]]]) -> None:
    details = unfinished.details
    began_s = _on_this_clock(details["host_boot"], details["begun_monotonic_s"], unfinished.started_at, routine)
    routine.on_since_s = began_s - 60 * details["on_for_min"]
    for kind, told in events:
        if kind == "restarted":
            routine.warm_up_skipped = routine.optimised = False
            routine.on_since_s = _on_this_clock(told["host_boot"], told["monotonic_s"], None, routine)
        elif kind == "warm_up_skipped":
            routine.warm_up_skipped = True
        elif kind == "optimised":
            routine.optimised = True


def _on_this_clock(boot: str, monotonic_s: float, at: datetime | None, routine: Routine) -> float:
    """Give a moment on the monotonic clock of now; after a restart of this device by its time of day."""
    now_s = routine.monotonic()
    if boot and boot == host_boot():
        return min(monotonic_s, now_s)
    if at is None:
        return now_s
    passed_s = (datetime.now(timezone.utc) - at).total_seconds()
    # A clock that runs behind after a restart must make nothing younger than it can be.
    return now_s - passed_s if passed_s >= 0 else now_s


def _begun(database: sqlite3.Connection, session_id: int) -> tuple[int, dict[str, Any]] | None:
    """Give the sample that was begun and not done, as the row of its event and what that says."""
    rows = _rows(
        database,
        "SELECT id, kind, details FROM events WHERE session_id = ? AND kind IN"
        " ('sample_begun', 'sample_done', 'sample_skipped') ORDER BY id DESC LIMIT 1",
        (session_id,),
    )
    if not rows or rows[0][1] != "sample_begun":
        return None
    return rows[0][0], json.loads(rows[0][2])


def _replay_scans(
    routine: Routine, events: list[tuple[str, dict[str, Any]]], begun: tuple[int, dict[str, Any]] | None
) -> None:
    """Give every reference of the session, and every scan of the unfinished sample, to the gates once more."""
    database = routine.engine.log.database
    first_scan = begun[1]["last_scan_id"] if begun is not None else None
    if begun is not None:
        details = begun[1]
        place = Place.from_details(details["place"]) if details["place"] else None
        own = [d["text"] for kind, d in events if kind == "note" and d["begun"] == begun[0]]
        routine.sample = Sample(Planned.from_details(details), begun[0], notes=[*details["notes"], *own], place=place)
        routine.notes = []
    dropped = {d["scan_id"] for kind, d in events if kind in ("point_replaced", "point_refused")}
    rows = _rows(
        database,
        "SELECT s.id, kind, point, instrument, boot, number, unit, measured_at, scans, settings, flags, scan_key,"
        ' simulated, "values", wavelengths_nm FROM scans s JOIN grids g ON g.id = grid_id WHERE session_id = ?'
        " AND (kind <> 'target' OR s.id > ?) ORDER BY s.id",
        (routine.session_id, first_scan if first_scan is not None else 1 << 62),
    )
    for row in rows:
        scan_id, stored_as = row[0], row[1]
        if not np.array_equal(np.frombuffer(row[-1], "<f8"), routine.instrument.wavelengths_nm):
            continue
        scan = _scan(row, routine)
        if scan is None:
            continue
        routine.instrument_key, routine.boot = scan.key[0], scan.boot
        if stored_as in ("dark", "white"):
            if not any(f.severity == "refuse" for f in routine.references.take(scan, scan_id)) and stored_as == "white":
                routine.panel_checked_s = scan.taken_s
        elif stored_as == "panel_check":
            routine.panel_checked_s = scan.taken_s
            found = routine.panel_findings(scan, scan_id)
            if found:
                routine.references.give_up(Finding("white_void", reason(found)))
        elif stored_as == "target" and routine.sample is not None and row[2]:
            _replay_point(routine, routine.sample, scan, scan_id, scan_id in dropped)
    for kind, details in events:
        if kind == "wavelength_check" and details["ok"]:
            routine.standing = [f for f in routine.standing if f.code != "wavelength_shift"]
        elif kind == "wavelength_check" and details.get("bands_nm"):
            routine.standing.append(Finding("wavelength_shift", "the wavelengths had shifted at the last check"))


def _replay_point(routine: Routine, sample: Sample, scan: Scan, scan_id: int, dropped: bool) -> None:
    point = routine.judge(scan, scan_id)
    if dropped or point.bad:
        sample.repeated += 1
        if point.bad:
            sample.spoiled.append(point)
        return
    sample.points.append(point)


def _scan(row: tuple[Any, ...], routine: Routine) -> Scan | None:
    (_, kind, _, _, boot, number, unit, measured_at, scans, settings, flags, key, simulated, values, _) = row
    told = json.loads(flags)
    at = datetime.fromisoformat(measured_at)
    taken_s = _on_this_clock(told.get("host_boot", ""), told.get("monotonic_s", 0.0), at, routine)
    if told.get("host_boot") != host_boot() and at > datetime.now(timezone.utc):
        return None  # measured in the future: this clock cannot tell how old it is
    known = ("saturated", "shutter_closed", "cooler_alarms", "dark_subtracted", "drift", "temperature_c", "label")
    return Scan(
        kind=kind if kind in ("dark", "white") else "target",
        values=_values(values),
        unit=unit,
        key=tuple(json.loads(key)),
        number=number,
        taken_s=taken_s,
        measured_at=at,
        scans=scans,
        settings=ScanSettings(tuple((name, value) for name, value in json.loads(settings).items())),
        boot=boot,
        saturated=tuple(told["saturated"]),
        shutter_closed=told["shutter_closed"],
        cooler_alarms=tuple(told["cooler_alarms"]),
        dark_subtracted=tuple(told["dark_subtracted"]),
        drift=told["drift"],
        temperature_c=told["temperature_c"],
        label=told["label"],
        simulated=bool(simulated),
        extra={name: value for name, value in told.items() if name not in known},
    )


def _values(blob: bytes) -> Floats:
    return np.frombuffer(blob, "<f4").astype(np.float64)


def _estimates(routine: Routine) -> dict[str, Estimate]:
    """Give the session's estimates by sample, with what a duplicate is held against."""
    bundle = routine.engine.estimator.bundle
    rows = _rows(
        routine.engine.log.database,
        "SELECT sample_id, value, bound, low, high, coverage, verdict, e.reason, e.simulated, points, measured_at,"
        " source FROM readings r JOIN estimates e ON e.reading_id = r.id JOIN models m ON m.id = model_id"
        " WHERE session_id = ? AND m.sha256 = ? ORDER BY e.id",
        (routine.session_id, bundle.sha256),
    )
    found: dict[str, Estimate] = {}
    for sample_id, value, bound, low, high, coverage, verdict, why, simulated, points, at, source in rows:
        found.pop(sample_id, None)
        found[sample_id] = Estimate(
            sample_id=sample_id,
            measurement="",
            source=source,
            measured_at=None if at is None else datetime.fromisoformat(at),
            element=bundle.element,
            unit=bundle.unit,
            value=value,
            bound=bound,
            low=low,
            high=high,
            coverage=coverage,
            verdict=verdict,
            reason=why,
            flags=(),
            t2_over_limit=None,
            q_over_limit=None,
            simulated=bool(simulated),
            points=points,
        )
    return found


def _rows(database: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> list[Any]:
    try:
        return database.execute(statement, values).fetchall()
    except sqlite3.Error as error:
        raise LogError(f"the log cannot be read to take a session up again: {error}") from error


def begun_at(unfinished: Unfinished) -> str:
    """Say when a session began, in this device's local time, such as "21 Nov 09:12"."""
    return unfinished.started_at.astimezone().strftime("%d %b %H:%M")
