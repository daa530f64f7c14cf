"""The measuring routine: leads from a cold instrument to judged samples. Commands in, prompts and facts out.

It neither prints nor waits for a person: a command line, a script or a test drives it. Every scan is committed to the
log before the instrument is told so and before anything is shown; every decision is an event there, so that a session
can be taken up again wherever it was cut off (`routine_resume`).

Warm-up, the ages of references, the number of points and scans follow Carvalho et al. 2024 (Remote Sensing 16(11):1964)
and the maker's rules for contact probes; the profile says each number.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Protocol

from ..converters.spectra.spectrum import Position
from .engine import Engine
from .errors import InstrumentError, InstrumentExchangedError, MeasurementError, NothingLeftError, PortError
from .estimate import Estimate, Refusal
from .instruments.driver import Instrument, Scan, ScanKind
from .log import Result
from .log_rows import ReadingFacts, ScanRole
from .log_sessions import StoredScanKind, add_event
from .profile import Profile
from .quality import Finding, instrument_exchanged, reason, refusing
from .quality_control import Judgement, Stated, judge_blank, judge_duplicate, judge_reference
from .quality_reflectance import panel, wrong_range
from .quality_time import ClockWatch, out_of_order, warming_up, white_valid_min
from .quality_wavelength import wavelength_check
from .references import References, read_panel
from .routine_plan import Plan, Planned, Run
from .routine_sample import BY_REPEATING, Place, Point, Sample, judge, sample_spectrum, scattering, who
from .routine_steps import Command, Fact, Prompt, Step

MOST_FAILURES = 5
"""Measurements that fail one after the other, after which measuring on makes no sense."""


class Fix(Protocol):
    """A position that is valid now; see `position.Fix`."""

    @property
    def position(self) -> Position: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102


class PositionSource(Protocol):
    """What knows where we are; see `position.PositionSource`."""

    def latest(self) -> Fix | None:
        """Give the newest fix; None if there is none."""


@dataclass(frozen=True)
class Settings:
    """How a session is measured.

    Attributes:
        points: of a sample.
        scans: averaged by the instrument into a point.
        plan: which samples.
        count: soils after which the session is over; 0 for no end.
        optimise: let the instrument optimise at the start, if it can.
        on_for_min: minutes that the instrument had been on when the session began.
        stated: of the reference soil.
        operator: who measures.
    """

    points: int = 5
    scans: int = 40
    plan: Plan = field(default_factory=Plan)
    count: int = 0
    optimise: bool = True
    on_for_min: float = 0.0
    stated: Stated | None = None
    operator: str = ""


class Routine:
    """One measuring session.

    Args:
        instrument: connected.
        engine: model and log.
        profile: rules.
        settings: how to measure.
        tell: called with everything that has happened, once it is in the log.
        position: where we are; None if nobody knows.
        monotonic: seconds that pass, the clock of `Scan.taken_s`.
    """

    def __init__(
        self,
        instrument: Instrument,
        engine: Engine,
        profile: Profile,
        settings: Settings,
        tell: Callable[[Fact], None],
        position: PositionSource | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.instrument, self.engine, self.profile, self.settings = instrument, engine, profile, settings
        self.tell, self._position, self.monotonic = tell, position, monotonic
        self._rules = profile.rules
        self._range_nm = engine.estimator.bundle.recipe.range_nm
        calibrated = read_panel(self._rules.panel_reflectance_file, instrument.wavelengths_nm)
        self.references = References(instrument, self._rules, calibrated)
        self.run = Run(settings.plan)
        self.sample: Sample | None = None
        self.session_id = 0
        self.done: dict[str, Estimate | Refusal] = {}
        """What came of each sample, the last time it was measured."""
        self.refused = self.estimated = self.failed_controls = 0
        self.measured_points = 0
        """Points measured since this process began."""
        self.on_since_s = monotonic() - 60 * settings.on_for_min
        self.warm_up_skipped = False
        self.optimised = False
        self.panel_checked_s: float | None = None
        self.wavelength_checked_s: float | None = None
        self.standing: list[Finding] = []
        """What forbids estimates until it is put right, such as shifted wavelengths."""
        self.instrument_key = ""
        self.boot: int | None = None
        self.named: Planned | None = None
        self.notes: list[str] = []
        self._want: deque[Step] = deque()
        self._waived = False
        self._over = False
        self._failures = 0
        self._before: Scan | None = None
        self._since_panel: list[str] = []
        self._clock_remarks: list[Finding] = []
        self._low_disk_told = False
        self._watch = ClockWatch(datetime.now(timezone.utc), monotonic())

    # --- a session's beginning and end ------------------------------------------------------------------------

    def begin(self, port: str, profile_name: str, profile_text: str, details: dict[str, Any]) -> None:
        """Begin a new session in the log; `details` are kept with it, for `routine_resume`."""
        self.session_id = self.engine.log.begin_session(
            port=port,
            instrument=who(self.instrument.identity),
            profile_name=profile_name,
            profile_text=profile_text,
            operator=self.settings.operator,
            settings=details,
        )
        self.introduce()

    def introduce(self) -> None:
        """Say what is known before the first measurement."""
        nm = self.instrument.wavelengths_nm
        for finding in wrong_range((float(nm[0]), float(nm[-1])), self._range_nm):
            self.standing.append(finding)
            self._happened("range", f"No estimates: the instrument {finding.text}", "warning")

    def close(self) -> bool:
        """End the session, unless a sample is half measured; False if it can be taken up again."""
        unfinished = self.sample is not None and bool(self.sample.points or self.sample.spoiled)
        if not unfinished:
            self.engine.log.end_session(self.session_id)
        return not unfinished

    # --- what comes next --------------------------------------------------------------------------------------

    @property
    def planned(self) -> Planned:
        """The sample that is measured, or comes next."""
        return self.sample.planned if self.sample is not None else self.named or self.run.next()

    def prompt(self) -> Prompt:
        """Say what is wanted next."""
        step = self._step()
        if step is Step.POINT:
            taken = len(self.sample.points) if self.sample is not None else 0
            planned = self.planned
            what = {"sample": "", "duplicate": " (again)"}.get(planned.kind, f" ({planned.kind})")
            return Prompt(step, f"{planned.sample_id}{what} {taken + 1}/{self.settings.points}, Enter")
        if step is Step.WARM_UP:
            left_s = 60 * self._rules.warm_up_min - (self.monotonic() - self.on_since_s)
            return Prompt(step, f"Warming up, {_minutes(left_s)} left", max(left_s, 0.0))
        texts = {
            Step.DISK: "Disk full: make room, then Enter",
            Step.OPTIMISE: "Probe on white panel: optimise, Enter",
            Step.DARK: "Cover the probe for the dark, Enter",
            Step.WHITE: "Probe on white panel: white, Enter",
            Step.PANEL: "Probe on white panel: check it, Enter",
            Step.WAVELENGTH: "Probe on reference material, Enter",
            Step.DONE: "All samples are measured",
        }
        return Prompt(step, texts[step])

    def _step(self) -> Step:
        if self._over:
            return Step.DONE
        if not self.engine.log.room().enough:
            return Step.DISK
        if not self.warm_up_skipped and warming_up(self._rules, self._on_for_min()):
            return Step.WARM_UP
        if self._want:
            return self._want[0]
        if self.instrument.identity.optimises and self.settings.optimise and not self.optimised:
            return Step.OPTIMISE
        if not self._waived and self.references.complaints(self.valid_min(), self.monotonic()):
            self._want.extend(self._reference_steps())
            return self._want[0]
        if self.sample is None and self._due(self.panel_checked_s, self._rules.panel_check_every_min):
            return Step.PANEL
        if self.sample is None and self._due_wavelength():
            return Step.WAVELENGTH
        if self.sample is None and 0 < self.settings.count <= self.run.soils and self.run.next().kind == "sample":
            return Step.DONE
        return Step.POINT

    def _reference_steps(self) -> list[Step]:
        # A new dark goes with a new white: both drift together as the instrument warms.
        identity = self.instrument.identity
        return [Step.DARK, Step.WHITE] if identity.needs_dark and not identity.shutter else [Step.WHITE]

    def _due(self, checked_s: float | None, every_min: float) -> bool:
        if not every_min or checked_s is None or self.instrument.identity.delivers == "reflectance":
            return False
        return self.monotonic() - checked_s > 60 * every_min

    def _due_wavelength(self) -> bool:
        every_min = self._rules.wavelength_check_every_min
        if not every_min:
            return False
        return self.wavelength_checked_s is None or self.monotonic() - self.wavelength_checked_s > 60 * every_min

    def _on_for_min(self) -> float:
        return (self.monotonic() - self.on_since_s) / 60

    def valid_min(self) -> float:
        """Minutes that dark and white may be used now."""
        return white_valid_min(self._rules, self.profile.measuring.white_valid_min, self._on_for_min())

    # --- what a person commands -------------------------------------------------------------------------------

    def do(self, command: Command) -> None:
        """Carry a command out; what comes of it is told.

        Raises:
            PortError: the port has gone for good, or another instrument is on it; the session can be taken up again.
            InstrumentError: nothing but failures.
            LogError: the log cannot be written; nothing that could not be stored was told.
        """
        try:
            self._do(command)
        except NothingLeftError as error:
            self._over = True
            self._happened("nothing_left", str(error))
        except InstrumentExchangedError as error:
            self._happened("exchanged", str(error), "warning")
            raise
        except PortError as error:
            self._happened("port", str(error), "warning")
            raise

    def _do(self, command: Command) -> None:
        letter, argument = command.letter, command.argument
        if letter == "n":
            self._note(argument)
        elif letter == "i":
            self._name(argument)
        elif letter == "r":
            self._repeat()
        elif letter == "s":
            self._skip(self._step())
        elif letter in _WANTED:
            self._wish(_WANTED[letter])
        elif letter == "":
            self._go(self._step())

    def _go(self, step: Step) -> None:
        if step is Step.OPTIMISE:
            self._optimise()
        elif step is Step.DARK:
            self._reference("dark")
        elif step is Step.WHITE:
            identity = self.instrument.identity
            if not (identity.needs_dark and identity.shutter) or self._reference("dark"):
                self._reference("white")
        elif step is Step.PANEL:
            self._check_panel()
        elif step is Step.WAVELENGTH:
            self._check_wavelengths()
        elif step is Step.POINT:
            self._measure_point()

    def _wish(self, step: Step) -> None:
        identity = self.instrument.identity
        if step is Step.OPTIMISE and not identity.optimises:
            self.tell(Fact("warning", "this instrument optimises itself"))
        elif step in (Step.WHITE, Step.DARK) and not self.references.needed:
            self.tell(Fact("warning", "this instrument delivers reflectance: no dark, no white"))
        elif step is Step.DARK and identity.shutter:
            self._reference("dark")
        else:
            self._want.clear()
            self._want.extend(self._reference_steps() if step is Step.WHITE else [step])

    def _note(self, text: str) -> None:
        if not text:
            return
        (self.sample.notes if self.sample is not None else self.notes).append(text)
        begun = self.sample.begun_id if self.sample is not None else 0
        self._happened("note", f"note: {text}", details={"text": text, "begun": begun})

    def _name(self, sample_id: str) -> None:
        if not sample_id:
            self.tell(Fact("warning", "no name; write: i RS007"))
        elif self.sample is not None:
            self.tell(Fact("warning", f"{self.sample.planned.sample_id} is half measured; s leaves it"))
        else:
            self.named = self.run.named(sample_id)

    def _repeat(self) -> None:
        sample = self.sample
        if sample is not None and sample.points:
            point = sample.points.pop()
            sample.repeated += 1
            self._happened(
                "point_replaced", f"point {len(sample.points) + 1} again", details=_point_details(point, sample)
            )
        elif self.done:
            self.named = Planned(next(reversed(self.done)), again=True)
            self.tell(Fact("note", f"{self.named.sample_id} again"))
        else:
            self.tell(Fact("warning", "nothing to repeat yet"))

    def _skip(self, step: Step) -> None:
        if step is Step.WARM_UP:
            self.warm_up_skipped = True
            on_for = f"warm-up cut short after {self._on_for_min():.0f} min"
            self._happened("warm_up_skipped", on_for, "warning")
        elif step is Step.OPTIMISE:
            self._drop_wish()
            self.optimised = True
            self._happened("skipped", "not optimised", "warning")
        elif step in (Step.DARK, Step.WHITE):
            self._want.clear()
            self._waived = True
            why = reason(self.references.complaints(self.valid_min(), self.monotonic()))
            self._happened("skipped", f"no new {step.value}" + (f": {why}" if why else ""), "warning")
        elif step is Step.PANEL:
            self._drop_wish()
            self.panel_checked_s = self.monotonic()
            self._happened("skipped", "panel not checked", "warning")
        elif step is Step.WAVELENGTH:
            self._drop_wish()
            self.wavelength_checked_s = self.monotonic()
            self._happened("skipped", "wavelengths not checked", "warning")
        elif step is Step.POINT:
            self._skip_sample()

    def _skip_sample(self) -> None:
        if self.sample is not None and (self.sample.points or self.sample.spoiled):
            self._finish()
            return
        planned = self.planned
        self.sample = self.named = None
        self.run.done(planned, measured=False)
        self._happened("sample_skipped", f"{planned.sample_id} left out", details=planned.as_details())

    def _drop_wish(self) -> None:
        if self._want:
            self._want.popleft()

    # --- steps ------------------------------------------------------------------------------------------------

    def _optimise(self) -> None:
        try:
            settings = self.instrument.optimise()
        except (PortError, NothingLeftError):
            raise
        except (MeasurementError, InstrumentError) as error:
            self._failed("optimise", error)
            return
        self._failures = 0
        self._drop_wish()
        self.optimised = True
        self.references.forget()
        self._happened("optimised", f"optimised: {settings}", details=dict(settings.values))

    def _reference(self, kind: ScanKind) -> bool:
        taken = self._acquire(kind, "dark" if kind == "dark" else "white")
        if taken is None:
            return False
        scan, scan_id = taken
        found = self.references.take(scan, scan_id)
        self._tell_remarks(found, scan_id)
        if refusing(found):
            self._happened("reference_refused", f"{kind}: {reason(found)}", "refused", {"scan_id": scan_id})
            self._count_failure(found)
            return False
        self._failures = 0
        if self._want and self._want[0].value == kind:
            self._want.popleft()
        if kind == "white":
            self._waived = False
            self.panel_checked_s = scan.taken_s
            self._since_panel.clear()
        self._happened("reference_taken", f"{kind} taken", details={"scan_id": scan_id, "kind": kind})
        return True

    def _check_panel(self) -> None:
        taken = self._acquire("target", "panel_check")
        if taken is None:
            return
        scan, scan_id = taken
        self._drop_wish()
        self.panel_checked_s = scan.taken_s
        found = self.panel_findings(scan, scan_id)
        if found:
            self.references.give_up(Finding("white_void", reason(found)))
            doubtful = f"; since the last good check: {', '.join(self._since_panel)}" if self._since_panel else ""
            self._happened("panel_check", reason(found) + doubtful, "refused", {"scan_id": scan_id, "ok": False})
        else:
            self._since_panel.clear()
            self._happened("panel_check", "the panel reads 1", details={"scan_id": scan_id, "ok": True})

    def panel_findings(self, scan: Scan, scan_id: int) -> list[Finding]:
        """Give what is wrong with the panel, measured as a sample."""
        point = self.judge(scan, scan_id)
        wrong = [finding for finding in refusing(point.findings) if finding.code in _SPOILS_CHECK]
        if wrong or point.spectrum is None or point.spectrum.quantity != "reflectance":
            return wrong
        relative = self.references.reflectance(scan)
        if self.references.panel is not None:
            relative = relative / self.references.panel
        return panel(self.instrument.wavelengths_nm, relative, self.instrument.identity, self._range_nm, self._rules)

    def _check_wavelengths(self) -> None:
        taken = self._acquire("target", "wavelength_check")
        if taken is None:
            return
        scan, scan_id = taken
        point = self.judge(scan, scan_id)
        if point.spectrum is None or point.spectrum.quantity != "reflectance" or point.bad:
            self._happened("wavelength_check", reason(point.findings), "refused", {"scan_id": scan_id, "ok": False})
            self._count_failure(list(point.findings))
            return
        spectrum = point.spectrum
        material = self.profile.reference_material
        found, wrong = wavelength_check(spectrum.wavelengths_nm, spectrum.values, material, self._rules)
        details = {"scan_id": scan_id, "ok": not wrong, "bands_nm": found}
        if any(finding.code == "wavelength_unknown" for finding in wrong):
            self._happened("wavelength_check", reason(wrong), "refused", details)
            self._count_failure(wrong)
            return
        self._failures = 0
        self._drop_wish()
        self.wavelength_checked_s = scan.taken_s
        self.standing = [f for f in self.standing if f.code != "wavelength_shift"] + wrong
        if wrong:
            self._happened("wavelength_check", reason(wrong), "refused", details)
        else:
            shifts = ", ".join(f"{at - due:+.1f} nm at {due:g} nm" for due, at in found)
            self._happened("wavelength_check", f"wavelengths hold: {shifts}", details=details)

    # --- a sample ---------------------------------------------------------------------------------------------

    def _measure_point(self) -> None:
        sample = self.sample or self._begin_sample()
        number = len(sample.points) + 1
        taken = self._acquire("target", "target", sample.planned.sample_id, number)
        if taken is None:
            return
        self.measured_points += 1
        self.take_point(sample, *taken)

    def _begin_sample(self) -> Sample:
        planned = self.planned
        fix = self._position.latest() if self._position is not None else None
        place = None if fix is None else Place(fix.position, fix.at, fix.source)
        (last,) = self.engine.log.database.execute("SELECT coalesce(max(id), 0) FROM scans").fetchone()
        details = {**planned.as_details(), "last_scan_id": last, "notes": self.notes}
        details["place"] = place.as_details() if place is not None else None
        begun = self._event("sample_begun", planned.sample_id, details)
        self.sample = Sample(planned, begun, notes=self.notes, place=place)
        self.named, self.notes = None, []
        return self.sample

    def judge(self, scan: Scan, scan_id: int) -> Point:
        """Make a point of a target scan with the references in force."""
        on_for_min = (scan.taken_s - self.on_since_s) / 60
        valid_min = white_valid_min(self._rules, self.profile.measuring.white_valid_min, on_for_min)
        point = judge(scan, scan_id, self.instrument, self.references, self._rules, self._range_nm, valid_min)
        white = self.references.white.scan if self.references.white is not None else None
        more = out_of_order(scan, self._before, white)
        more += instrument_exchanged(self.instrument_key, scan.key[0]) if self.instrument_key else []
        warm = warming_up(self._rules, on_for_min)
        if warm and self.warm_up_skipped:
            warm = [Finding("warm_up", f"warm-up cut short: {warm[0].text}", "remark")]
        return replace(point, findings=(*point.findings, *more, *warm))

    def take_point(self, sample: Sample, scan: Scan, scan_id: int) -> None:
        """Judge a scan of a sample that is in the log, and go on with the sample."""
        point = self.judge(scan, scan_id)
        self._before = scan
        number = len(sample.points) + 1
        outdated = [finding for finding in point.findings if finding.code in _OUTDATED]
        if outdated and not self._waived:
            # Another try with the same references would not help: the next prompt asks for new ones.
            self.references.give_up(outdated[0])
            self._refuse_point(point, sample, number)
            return
        if point.bad:
            sample.spoiled.append(point)
            self._refuse_point(point, sample, number)
            if sample.repeated >= self._rules.repeats_most:
                self._finish()
            else:
                sample.repeated += 1
            return
        sample.points.append(point)
        remark = f": {reason(point.findings)}" if refusing(point.findings) else ""
        name = f"{sample.planned.sample_id} {number}/{self.settings.points}"
        self._happened("point", f"{name} taken{remark}", "warning" if remark else "note", _point_details(point, sample))
        if number >= self.settings.points:
            self._settle(sample)

    def _refuse_point(self, point: Point, sample: Sample, number: int) -> None:
        text = f"{sample.planned.sample_id} {number}/{self.settings.points}: {reason(point.findings)}"
        self._happened("point_refused", text, "warning", _point_details(point, sample))

    def settle_if_complete(self) -> None:
        """Finish the sample if all its points are there, as after a crash between its last point and its reading."""
        sample = self.sample
        if sample is not None and len(sample.points) >= self.settings.points:
            self._settle(sample)
        elif sample is not None and sample.spoiled and sample.repeated > self._rules.repeats_most:
            self._finish()

    def _settle(self, sample: Sample) -> None:
        """Measure the farthest point again if the points scatter, or finish the sample."""
        far, scatter = scattering(sample.points, self._rules)
        if scatter and sample.repeated < self._rules.repeats_most:
            point = sample.points.pop(far)
            sample.repeated += 1
            text = f"{reason(scatter)}; one point again"
            self._happened("point_replaced", text, "warning", _point_details(point, sample))
            return
        self._finish(scatter)

    def _finish(self, findings: list[Finding] | None = None) -> None:
        """Store what the points make, tell it, and go on to the next sample."""
        sample = self.sample
        if sample is None:
            return
        points = sample.points or sample.spoiled
        found = [*self.standing, *(findings or []), *(f for point in points for f in point.findings)]
        if len(sample.points) < self.settings.points:
            found += [f for point in sample.spoiled[-1:] for f in point.findings]
            count = f"{len(sample.points)} of {self.settings.points} points"
            found.append(Finding("points_missing", count))
        # Points differ in the minutes they name; one text for each sort of finding is enough.
        found = list({(finding.code, finding.severity): finding for finding in found}.values()) + self._clock_remarks
        self._clock_remarks = []
        result = self._result(sample, points, found)
        details = {**sample.planned.as_details(), "begun": sample.begun_id, "repeated": sample.repeated}
        self.engine.log.add(
            [result],
            lambda db: _ignore(add_event(db, "sample_done", sample.planned.sample_id, details, self.session_id)),
        )
        self.sample, self._waived = None, False
        outcome = result.outcome
        self.run.done(sample.planned)
        self._since_panel.append(sample.planned.sample_id)
        self.refused += isinstance(outcome, Refusal)
        self.estimated += not isinstance(outcome, Refusal)
        self.tell(Fact("refused" if isinstance(outcome, Refusal) else "estimate", sample.planned.sample_id, result))
        self._judge_control(sample.planned, outcome)
        self.done.pop(sample.planned.sample_id, None)
        self.done[sample.planned.sample_id] = outcome

    def _result(self, sample: Sample, points: list[Point], found: list[Finding]) -> Result:
        name = sample.planned.sample_id
        spectrum = sample_spectrum(points, name)
        place = sample.place
        if spectrum is not None and place is not None:
            spectrum = replace(spectrum, position=place.position)
        why = reason(found)
        about = ReadingFacts(
            session_id=self.session_id,
            scan_ids=_scan_ids(points),
            settings={
                "on_for_min": round(self._on_for_min(), 2),
                "repeated": sample.repeated,
                "findings": [[f.code, f.severity, f.text] for f in found],
                "scan_settings": dict(points[0].scan.settings.values) if points else {},
            },
            notes="\n".join(sample.notes),
            sample_kind=sample.planned.kind,
            duplicate_of=sample.planned.duplicate_of,
            position_source=place.source if place is not None else "",
            position_at=place.at if place is not None else None,
            rule_broken=why,
        )
        source = spectrum.source if spectrum is not None else self.instrument.name
        if why or spectrum is None:
            return Result(spectrum, Refusal(source, why or "nothing was measured", name), about)
        (outcome,) = self.engine.estimator.estimate([spectrum])
        if isinstance(outcome, Estimate):
            outcome = replace(outcome, flags=(*outcome.flags, *(finding.text for finding in found)))
        return Result(spectrum, outcome, about)

    def _judge_control(self, planned: Planned, outcome: Estimate | Refusal) -> None:
        judgement: Judgement | None = None
        if planned.kind == "blank":
            judgement = judge_blank(planned.sample_id, outcome)
        elif planned.kind == "reference":
            judgement = judge_reference(planned.sample_id, outcome, self.settings.stated)
        elif planned.kind == "duplicate":
            first = self.done.get(planned.duplicate_of)
            judgement = judge_duplicate(planned.sample_id, outcome, first, self.engine.estimator.bundle)
        if judgement is None:
            return
        failed = judgement.passed is False
        self.failed_controls += failed
        words = {True: "passed", False: "FAILED", None: "open"}[judgement.passed]
        text = f"{judgement.kind} {judgement.sample_id} {words}: {judgement.text}"
        details = {"kind": judgement.kind, "sample_id": judgement.sample_id, "passed": judgement.passed}
        self._happened("control", text, "failed control" if failed else "control", details)

    # --- the instrument ---------------------------------------------------------------------------------------

    def _acquire(
        self, kind: ScanKind, stored_as: StoredScanKind, sample_id: str = "", point: int = 0
    ) -> tuple[Scan, int] | None:
        """Measure, store, and only then tell the instrument so; None if there is nothing to go on with."""
        log, instrument = self.engine.log, self.instrument
        room = log.room()
        if room.notice and not (self._low_disk_told and room.enough):
            self._low_disk_told = True
            self._happened("disk", room.notice, "warning")
        if not room.enough:
            return None
        try:
            scan = instrument.acquire(kind, self.settings.scans)
        except (PortError, NothingLeftError):
            self._tell_losses()
            raise
        except (MeasurementError, InstrumentError) as error:
            self._tell_losses()
            self._failed(stored_as, error)
            return None
        self._failures = 0 if kind == "target" else self._failures
        scan = replace(scan, extra={**scan.extra, "host_boot": host_boot(), "monotonic_s": scan.taken_s})
        nm = instrument.wavelengths_nm
        scan_id = log.add_scan(
            scan, session_id=self.session_id, kind=stored_as, wavelengths_nm=nm, sample_id=sample_id, point=point
        )
        instrument.acknowledge(scan)
        self._tell_losses()
        self._look_at(scan)
        return scan, scan_id

    def _look_at(self, scan: Scan) -> None:
        """Notice a clock that jumped, and an instrument that was switched off and on."""
        self.instrument_key = self.instrument_key or scan.key[0]
        jumps = self._watch.check(datetime.now(timezone.utc), self.monotonic(), self._rules)
        for finding in jumps:
            self._clock_remarks.append(finding)
            self._happened("clock", finding.text, "warning")
        if self.boot is not None and scan.boot != self.boot:
            self.on_since_s, self.warm_up_skipped, self.optimised = self.monotonic(), False, False
            self.references.give_up(
                Finding("reference_restart", "white reference from before the instrument was switched off and on")
            )
            self._happened(
                "restarted",
                "the instrument was switched off and on: warm up again",
                "warning",
                {"host_boot": host_boot(), "monotonic_s": self.on_since_s},
            )
        self.boot = scan.boot

    def _tell_losses(self) -> None:
        for loss in self.instrument.losses():
            self._happened("loss", loss, "warning")

    def _failed(self, what: str, error: Exception) -> None:
        name = self.instrument.name
        self._happened("failed", str(error).removeprefix(f"{name}: "), "warning", {"what": what})
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise InstrumentError(f"{name}: {self._failures} measurements in a row failed; see above") from error

    def _count_failure(self, found: list[Finding]) -> None:
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise InstrumentError(
                f"{self.instrument.name}: {self._failures} measurements in a row are no use: {reason(found)}"
            )

    # --- the log ----------------------------------------------------------------------------------------------

    def _happened(
        self,
        kind: str,
        text: str,
        shown_as: Any = "note",
        details: dict[str, Any] | None = None,
    ) -> None:
        """Store an event, then tell it."""
        self._event(kind, text, details)
        self.tell(Fact(shown_as, text))

    def _event(self, kind: str, text: str, details: dict[str, Any] | None = None) -> int:
        return self.engine.log.add_event(kind, text, details, self.session_id)

    def _tell_remarks(self, found: list[Finding], scan_id: int) -> None:
        for finding in found:
            if finding.severity == "remark":
                self._happened("remark", finding.text, "warning", {"scan_id": scan_id, "code": finding.code})


_OUTDATED = {"reference_restart", "reference_settings", "dark_drift"}
"""Findings that say that dark and white no longer belong to what is measured."""

_SPOILS_CHECK = (BY_REPEATING | _OUTDATED | {"dark_missing", "white_missing"}) - {"noise"}

_WANTED = {"w": Step.WHITE, "d": Step.DARK, "o": Step.OPTIMISE, "p": Step.PANEL, "v": Step.WAVELENGTH}


def host_boot() -> str:
    """Name this power-up of this device, so that its monotonic clock is told from another one's; "" if unknown."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""


def _scan_ids(points: list[Point]) -> tuple[tuple[int, ScanRole], ...]:
    ids: dict[tuple[int, ScanRole], None] = {}
    for point in points:
        if point.dark_id:
            ids[point.dark_id, "dark"] = None
        if point.white_id:
            ids[point.white_id, "white"] = None
        ids[point.scan_id, "target"] = None
    return tuple(ids)


def _point_details(point: Point, sample: Sample) -> dict[str, Any]:
    codes = [finding.code for finding in point.findings]
    return {"scan_id": point.scan_id, "begun": sample.begun_id, "findings": codes}


def _minutes(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d} min"


def _ignore(_: object) -> None:
    """Give nothing: what a transaction calls may not return a row."""
