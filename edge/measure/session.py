"""A measuring session: an instrument, an engine, and the state that its events make.

A scan is committed to the log, with what came of it, before the instrument is told so; an event is committed, then
applied to the state, then told. So the state is never ahead of the log, and what is shown is on disk.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeAlias

from ...converters.spectra.names import plain_name
from ..engine import Engine
from ..errors import InstrumentError, MeasurementError, NothingLeftError, PortError
from ..gates.finding import Finding, instrument_exchanged
from ..gates.rules import Rules
from ..gates.scans import Scan, ScanKind
from ..gates.spectrum import wrong_range
from ..gates.time import ClockWatch, out_of_order, warming_up, white_valid_min
from ..instruments.driver import Instrument
from ..instruments.profile import Profile
from ..log.columns import ReadingFacts, StoredScanKind
from ..log.corrections import correct, soil_of
from ..log.names import names_taken, reading_as_known
from ..log.true_time import host_boot
from ..log.write import Result, add_event
from ..model.estimate import Refusal
from .plan import NameAsked, Planned, Run
from .points import Point, judge, who
from .references import References, read_panel
from .state import Event, SessionSettings, State
from .steps import Fact, Step

if TYPE_CHECKING:
    from .position import PositionSource

MOST_FAILURES = 5
"""Measurements that fail one after the other, after which measuring on makes no sense."""
FORMAT = 2
"""Of the events in the log; a session of another format is not taken up again."""

Judge: TypeAlias = "Callable[[Scan, int], list[Event]]"
"""Makes of a scan, and its row in the log, what has happened by it."""


class Session:
    """What a measuring session works with.

    Args:
        instrument: connected.
        engine: model and log.
        profile: rules.
        settings: how to measure.
        tell: called with everything that has happened, once it is in the log.
        position: where we are; None if nobody knows.
        monotonic: seconds that pass, the clock of `Scan.taken_s`.
        hold: puts a stop off while what was measured is stored and told.
        busy: goes around what takes the instrument seconds, with what that is; shows a sign of life.
    """

    def __init__(
        self,
        instrument: Instrument,
        engine: Engine,
        profile: Profile,
        settings: SessionSettings,
        tell: Callable[[Fact], None],
        position: PositionSource | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        hold: Callable[[], AbstractContextManager[None]] = nullcontext,
        busy: Callable[[str], AbstractContextManager[None]] = lambda what: nullcontext(),
    ) -> None:
        self.instrument, self.engine, self.profile, self.settings = instrument, engine, profile, settings
        self.tell, self.position, self.monotonic, self.hold, self.busy = tell, position, monotonic, hold, busy
        self.range_nm = engine.range_nm
        on_for = settings.on_for_min
        self.state = State(
            Run(settings.plan, self._is_taken),
            self.go_by(profile.rules),
            None if on_for is None else monotonic() - 60 * on_for,
        )
        self.session_id = 0
        self.asked: Step | None = None
        """What the last prompt asked for; Enter answers that, and nothing that has become due since."""
        self.name_asked: NameAsked | None = None
        """A name that is asked about before it is used."""
        self.listed_asked = ""
        """The listed name that was asked about last, or needed no question."""
        self.measured_points = 0
        """Since this process began."""
        self.watch = ClockWatch(datetime.now(timezone.utc), monotonic())
        self._low_disk_told = False
        self._names_taken: tuple[int, frozenset[str]] | None = None
        """As of which correction, and names that are other samples'."""
        (self._newest_scan,) = engine.log.database.execute("SELECT coalesce(max(id), 0) FROM scans").fetchone()

    def go_by(self, rules: Rules) -> References:
        """Measure and answer by these rules; give references that keep to them."""
        self.rules, self.engine = rules, self.engine.under(rules)
        panel = read_panel(rules.panel_reflectance_file, self.instrument.wavelengths_nm)
        return References(self.instrument, rules, panel)

    def begin(self, port: str, profile_name: str, profile_text: str) -> None:
        """Begin a new session in the log, with all that `resume` needs."""
        details = {"format": FORMAT, "host_boot": host_boot(), "begun_monotonic_s": self.monotonic()}
        self.session_id = self.engine.log.begin_session(
            port=port,
            instrument=who(self.instrument.identity),
            profile_name=profile_name,
            profile_text=profile_text,
            operator=self.settings.operator,
            settings={**asdict(self.settings), **details},
        )
        self.introduce()

    def _is_taken(self, name: str) -> bool:
        """Tell whether a name that is counted up is that of another sample, or of one that a recording repeats."""
        if self.settings.again:
            return False
        db = self.engine.log.database
        (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM corrections").fetchone()
        if self._names_taken is None or self._names_taken[0] != newest:
            self._names_taken = newest, names_taken(db, self.session_id)
        wanted = plain_name(name)
        return wanted in self._names_taken[1] or any(plain_name(done) == wanted for done in self.state.done)

    def introduce(self) -> None:
        """Say what is known before the first measurement, and have the models ready for it."""
        self.engine.rehearse()
        nm = self.instrument.wavelengths_nm
        bundles = [one.bundle for one in self.engine.estimators]
        wrong = {one.element: wrong_range((float(nm[0]), float(nm[-1])), one.recipe.range_nm) for one in bundles}
        if all(wrong.values()):
            finding = wrong[bundles[0].element][0]
            text = f"No estimates: the instrument {finding.text}"
            self.record(Event("range", text, {"why": finding.text}, "warning"))
            return
        for element, found in wrong.items():
            for finding in found:
                self.tell(Fact("warning", f"No {element}: the instrument {finding.text}"))

    def close(self) -> bool:
        """End the session, unless a sample is half measured; False if it can be taken up again."""
        sample = self.state.sample
        unfinished = sample is not None and bool(sample.points or sample.spoiled)
        if not unfinished:
            self.engine.log.end_session(self.session_id)
        return not unfinished

    # --- events -----------------------------------------------------------------------------------------------

    def record(self, *events: Event) -> None:
        """Store events, with the results that they bring, in one transaction; then apply them, then tell them."""
        self._have_happened(self._store(events))

    def _store(self, events: Sequence[Event]) -> list[Event]:
        now_s = self.monotonic()
        clock = {"host_boot": host_boot(), "monotonic_s": now_s}

        def write(db: sqlite3.Connection) -> None:
            for event in events:
                add_event(db, event.kind, event.text, {**event.details, **clock}, self.session_id)

        def work() -> list[Event]:
            stored = iter(self.engine.log.add([event.result for event in events if event.result is not None], write))
            kept = [replace(event, at_s=now_s, result=event.result and next(stored)) for event in events]
            reading_id = max((event.result.reading_id or 0 for event in kept if event.result), default=0)
            for event in kept:
                if event.kind == "again" and event.details["counts"] and reading_id:
                    self._count_in_place_of(event.details["replaces"], reading_id)
            return kept

        return self.engine.log.together(work)

    def _count_in_place_of(self, earlier: int, reading_id: int) -> None:
        log, operator = self.engine.log, self.settings.operator
        correct(log, earlier, "again", {"counts": reading_id}, operator)
        if soil_of(log.database, earlier) != soil_of(log.database, reading_id):
            correct(log, reading_id, "together", {"with": earlier}, operator)

    def _have_happened(self, events: Sequence[Event]) -> None:
        for event in events:
            self.state.apply(event)
        for event in events:
            if event.shown is not None:
                self.tell(Fact(event.shown, event.text, event.result))

    def correct(self, event: Event, reading_id: int, kind: str, value: Mapping[str, Any]) -> None:
        """Correct a reading of the log, and record that it was done, in one transaction.

        Raises:
            CorrectionError: it cannot be corrected so.
        """

        def work() -> list[Event]:
            correct(self.engine.log, reading_id, kind, value, self.settings.operator)
            return self._store([event])

        self._have_happened(self.engine.log.together(work))

    def last_sample(self) -> Planned | None:
        """Give what was measured here last, to be measured again, by the name that it has now; None if nothing was."""
        if not self.state.done:
            return None
        name = next(reversed(self.state.done))
        reading_id = self.last_reading(name)
        if reading_id is None:
            return Planned(name, again=True)
        now = reading_as_known(self.engine.log.database, reading_id)
        return Planned(now.sample_id, again=True, replaces=reading_id)

    def last_reading(self, sample_id: str = "") -> int | None:
        """Give the row of this session's last reading: of a sample, or of any."""
        (found,) = self.engine.log.database.execute(
            "SELECT max(id) FROM readings WHERE session_id = ?1 AND ?2 IN ('', sample_id)", (self.session_id, sample_id)
        ).fetchone()
        return None if found is None else int(found)

    def refuse(self, kind: str, why: str, details: dict[str, Any], sample_id: str = "") -> None:
        """Record what failed: where nobody attends, as a refusal among the results."""
        details = {**details, "refused": self.settings.unattended}
        if not self.settings.unattended:
            self.record(Event(kind, why, details, "warning"))
            return
        refusal = Refusal(self.instrument.name, why, sample_id)
        result = Result(None, refusal, ReadingFacts(session_id=self.session_id))
        self.record(Event(kind, why, details, "refused", result=result))

    # --- the instrument ---------------------------------------------------------------------------------------

    def acquire(self, kind: ScanKind, stored_as: StoredScanKind, judge: Judge) -> Sequence[Event]:
        """Measure, and `take` the scan; give what came of it, nothing if it failed or there is no room for it."""
        if not self.has_room():
            return ()
        try:
            with self.busy(self._what_is_measured(stored_as)):
                scan = self.instrument.acquire(kind, self.settings.scans)
        except (PortError, NothingLeftError):
            self.tell_losses()
            raise
        except (MeasurementError, InstrumentError) as error:
            self.tell_losses()
            self.failed(stored_as, error)
            return ()
        self.measured_points += stored_as == "target"
        return self.take(scan, stored_as, judge)

    def _what_is_measured(self, stored_as: StoredScanKind) -> str:
        if stored_as != "target":
            return stored_as.replace("_", " ")
        sample, points = self.state.sample, self.settings.points
        return f"{self.state.planned.sample_id} {1 + (len(sample.points) if sample is not None else 0)}/{points}"

    def take(self, scan: Scan, stored_as: StoredScanKind, judge: Judge) -> Sequence[Event]:
        """Store a scan with what comes of it, tell that, and tell the instrument that the scan is safe."""
        with self.hold():
            self._look_at(scan)
            scan_id, events = self.engine.log.together(lambda: self._store_scan(scan, stored_as, judge))
            self._newest_scan = max(self._newest_scan, scan_id)
            self._have_happened(events)
            self.instrument.acknowledge(scan)
            self.tell_losses()
        return events

    def _store_scan(self, scan: Scan, stored_as: StoredScanKind, judge: Judge) -> tuple[int, list[Event]]:
        scan = replace(scan, extra={**scan.extra, "host_boot": host_boot(), "monotonic_s": scan.taken_s})
        name, number = "", 0
        if stored_as == "target":
            sample, planned = self.state.sample, self.planned_for(scan)
            name = planned.sample_id
            number = 1 + (len(sample.points) if sample is not None and sample.planned == planned else 0)
        nm = self.instrument.wavelengths_nm
        scan_id = self.engine.log.add_scan(
            scan, session_id=self.session_id, kind=stored_as, wavelengths_nm=nm, sample_id=name, point=number
        )
        if scan_id <= self._newest_scan and self.settings.unattended and not self.settings.again:
            text = f"measurement {scan.number} is in the log already; not taken again"
            return scan_id, self._store([Event("known", text, {"scan_id": scan_id})])
        return scan_id, self._store(judge(scan, scan_id))

    def has_room(self) -> bool:
        """Look whether the log's disk has room for more, and say once that it is getting full.

        Where nobody is there to make room, measuring ends when the log cannot be written, and not before.
        """
        room = self.engine.log.room()
        if room.notice and not (self._low_disk_told and room.enough):
            self._low_disk_told = True
            self.record(Event("disk", room.notice, shown="warning"))
        return room.enough or self.settings.unattended

    def planned_for(self, scan: Scan) -> Planned:
        """Give the sample that a scan is of: by the instrument's label, where that counts, or whose turn it is."""
        if self.settings.by_label and scan.label:
            return Planned(scan.label, by_label=True)
        return self.state.planned

    def _look_at(self, scan: Scan) -> None:
        """Notice a clock that jumped, and an instrument that was switched off and on."""
        for finding in self.watch.check(datetime.now(timezone.utc), self.monotonic(), self.rules):
            self.record(Event("clock", finding.text, shown="warning"))
        state = self.state
        if state.boot is None or scan.boot == state.boot:
            return
        cold = not state.resumed or state.device_restarted
        text = "the instrument was switched off and on"
        warm_up = ": warm up again" if cold and state.on_since_s is not None else ""
        details = {"boot": scan.boot, "void": f"white reference from before {text}", "cold": cold}
        self.record(Event("switched_off_and_on", text + warm_up, details, "warning"))

    def tell_losses(self) -> None:
        """Record what the instrument measured and what never arrived."""
        for loss in self.instrument.losses():
            self.refuse("loss", loss, {})

    def failed(self, what: str, error: Exception) -> None:
        """Record a measurement that failed; raises InstrumentError if it is one too many."""
        name = self.instrument.name
        sample_id = self.state.planned.sample_id if what == "target" and not self.settings.by_label else ""
        self.refuse("failed", str(error).removeprefix(f"{name}: "), {"what": what}, sample_id)
        if self.state.failures >= MOST_FAILURES:
            raise InstrumentError(f"{name}: {self.state.failures} measurements in a row failed; see above") from error

    def stop_if_useless(self) -> None:
        """Raise InstrumentError if one measurement after the other is no use."""
        if self.state.useless >= MOST_FAILURES:
            count = self.state.useless
            raise InstrumentError(f"{self.instrument.name}: {count} measurements in a row are no use; see above")

    # --- judging ----------------------------------------------------------------------------------------------

    def valid_min(self, at_s: float) -> float:
        """Minutes that dark and white may be used, at a time."""
        return white_valid_min(self.rules, self.profile.measuring.white_valid_min, self.state.on_for_min(at_s))

    def complaints(self) -> list[Finding]:
        """Say why the next sample cannot be measured with the dark and white there are; [] if it can."""
        now_s = self.monotonic()
        return self.state.references.complaints(self.valid_min(now_s), now_s)

    def judge(self, scan: Scan, scan_id: int) -> Point:
        """Make a point of a target scan with the references in force."""
        state, references = self.state, self.state.references
        valid_min = self.valid_min(scan.taken_s)
        point = judge(scan, scan_id, self.instrument, references, self.rules, self.range_nm, valid_min)
        white = references.white.scan if references.white is not None else None
        more = out_of_order(scan, state.before, white)
        more += instrument_exchanged(state.instrument_key, scan.key[0]) if state.instrument_key else []
        warm = warming_up(self.rules, state.on_for_min(scan.taken_s))
        if warm and state.warm_up_skipped:
            warm = [Finding("warm_up", f"warm-up cut short: {warm[0].text}", "remark")]
        return replace(point, findings=(*point.findings, *more, *warm))
