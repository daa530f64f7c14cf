"""What a measuring session knows: everything that happens is an event, and `State.apply` is what an event changes.

The same events, read back from the log, bring a session that was cut off to where it was (`resume`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..gates.finding import Finding
from ..gates.scans import Scan
from ..log.write import Result
from .controls import Answer, Stated
from .plan import Plan, Planned, Run
from .points import Place, Point, Sample
from .references import References
from .steps import FactKind, Step


@dataclass(frozen=True)
class SessionSettings:
    """How a session is measured.

    Attributes:
        points: of a sample.
        scans: averaged by the instrument into a point.
        plan: which samples.
        count: soils after which the session is over; 0 for no end.
        optimise: let the instrument optimise at the start, if it can.
        on_for_min: minutes that the instrument had been on when the session began; None if nobody says, and it is
            taken as warm.
        stated: of the reference soil.
        operator: who measures.
        unattended: nobody answers prompts. What cannot be used is refused at once, each measurement by itself, and
            a sample counts with the points it has.
        by_label: the instrument's labels name the samples, where it gives any.
        again: scans that are in the log are measured again, as from a recording.
    """

    points: int = 5
    scans: int = 40
    plan: Plan = field(default_factory=Plan)
    count: int = 0
    optimise: bool = True
    on_for_min: float | None = 0.0
    stated: Stated | None = None
    operator: str = ""
    unattended: bool = False
    by_label: bool = False
    again: bool = False


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happened.

    Attributes:
        kind: one of those that `State.apply` knows, or one that changes nothing and is only remembered.
        text: for a person, one line.
        details: plain values, for the log; `scan_id` if it is about a scan.
        shown: how it is told; None if it is not.
        at_s: when, on the clock of `Scan.taken_s`.
        scan: what it is about, where that is a dark, a white, or a check.
        point: what it is about, where that is a point of a sample.
        result: that it brings, not stored yet.
    """

    kind: str
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    shown: FactKind | None = "note"
    at_s: float = 0.0
    scan: Scan | None = None
    point: Point | None = None
    result: Result | None = None


@dataclass
class State:
    """Where a session stands; nothing but `apply` changes it.

    Attributes:
        run: which sample comes next.
        references: the dark and white in force.
        on_since_s: when the instrument was switched on; None if it is taken as warm.
        sample: the one that is half measured.
        named: the next one, where a person has named it.
        notes: typed for the next sample.
        want: steps that were asked for, or are due.
        waived: the sample is measured with the references there are.
        over: there is nothing more to measure.
        standing: what forbids estimates until it is put right, such as shifted wavelengths.
        clock_remarks: for the next reading.
        instrument_key, boot: who measured last, and its power-up; None where that is not known.
        resumed, device_restarted: nothing was measured since the session was taken up again; this device was switched
            off in between.
        since_panel: samples since the panel last read 1.
        failures, useless: measurements in a row that failed, and that were no use.
        known: measurements that the log held already.
        done: what came of each sample, the last time it was measured.
    """

    run: Run
    references: References
    on_since_s: float | None
    sample: Sample | None = None
    named: Planned | None = None
    notes: list[str] = field(default_factory=list)
    want: deque[Step] = field(default_factory=deque)
    waived: bool = False
    over: bool = False
    warm_up_skipped: bool = False
    optimised: bool = False
    panel_checked_s: float | None = None
    wavelength_checked_s: float | None = None
    standing: list[Finding] = field(default_factory=list)
    clock_remarks: list[Finding] = field(default_factory=list)
    no_place: str = ""
    before: Scan | None = None
    instrument_key: str = ""
    boot: int | None = None
    resumed: bool = False
    device_restarted: bool = False
    since_panel: list[str] = field(default_factory=list)
    failures: int = 0
    useless: int = 0
    known: int = 0
    done: dict[str, Answer] = field(default_factory=dict)
    estimated: int = 0
    refused: int = 0
    failed_controls: int = 0

    @property
    def planned(self) -> Planned:
        """The sample that is measured, or comes next."""
        return self.sample.planned if self.sample is not None else self.named or self.run.next()

    def on_for_min(self, at_s: float) -> float:
        """Minutes that the instrument had been on at a time; infinite if it is taken as warm."""
        return math.inf if self.on_since_s is None else (at_s - self.on_since_s) / 60

    def apply(self, event: Event) -> None:
        """Change what an event changes, whether it has just happened or is read back from the log."""
        scan = event.point.scan if event.point is not None else event.scan
        if scan is not None:
            self.instrument_key, self.boot = self.instrument_key or scan.key[0], scan.boot
            self.failures, self.resumed = 0, False
        change = _CHANGES.get(event.kind)
        if change is not None:
            change(self, event)

    def drop_wish(self) -> None:
        """Forget the step that was asked for first: it is done."""
        if self.want:
            self.want.popleft()


# --- instrument and references ----------------------------------------------------------------------------


def _wanted(state: State, event: Event) -> None:
    state.want = deque(Step(step) for step in event.details["steps"])


def _warm_up_skipped(state: State, event: Event) -> None:
    state.warm_up_skipped = True


def _skipped(state: State, event: Event) -> None:
    step = Step(event.details["step"])
    state.drop_wish()
    if step in (Step.DARK, Step.WHITE):
        state.want.clear()
        state.waived = True
    elif step is Step.OPTIMISE:
        state.optimised = True
    elif step is Step.PANEL:
        state.panel_checked_s = event.at_s
    elif step is Step.WAVELENGTH:
        state.wavelength_checked_s = event.at_s


def _optimised(state: State, event: Event) -> None:
    state.failures = 0
    state.want.clear()
    state.optimised = True
    state.references.forget()


def _reference_taken(state: State, event: Event) -> None:
    if event.scan is None:
        return
    kind = event.details["kind"]
    state.references.keep(event.scan, event.details["scan_id"])
    if state.want and state.want[0].value == kind:
        state.want.popleft()
    if kind == "white":
        state.waived, state.useless = False, 0
        state.panel_checked_s = event.scan.taken_s
        state.since_panel.clear()


def _reference_refused(state: State, event: Event) -> None:
    state.useless += 1
    if event.details["kind"] == "white" and "saturated" in event.details["findings"]:
        state.optimised = False


def _panel_check(state: State, event: Event) -> None:
    state.drop_wish()
    state.panel_checked_s = event.at_s
    if event.details["ok"]:
        state.since_panel.clear()
    else:
        state.references.give_up(Finding("white_void", event.details["why"]))


def _wavelength_check(state: State, event: Event) -> None:
    if "bands_nm" not in event.details:
        state.useless += 1
        return
    state.useless = 0
    state.drop_wish()
    state.wavelength_checked_s = event.at_s
    state.standing = [finding for finding in state.standing if finding.code != "wavelength_shift"]
    if not event.details["ok"]:
        state.standing.append(Finding("wavelength_shift", event.text))


def _out_of_range(state: State, event: Event) -> None:
    state.standing = [finding for finding in state.standing if finding.code != "range"]
    state.standing.append(Finding("range", event.details["why"]))


def _switched_off_and_on(state: State, event: Event) -> None:
    state.boot = event.details["boot"]
    state.references.give_up(Finding("reference_restart", event.details["void"]))
    state.optimised = False
    if event.details["cold"] and state.on_since_s is not None:
        state.on_since_s, state.warm_up_skipped = event.at_s, False


def _failed(state: State, event: Event) -> None:
    state.failures += 1
    state.refused += event.details["refused"]


def _loss(state: State, event: Event) -> None:
    state.refused += event.details["refused"]


def _known(state: State, event: Event) -> None:
    state.known += 1


def _clock(state: State, event: Event) -> None:
    state.clock_remarks.append(Finding("clock", event.text, "remark"))


# --- samples ----------------------------------------------------------------------------------------------


def _named(state: State, event: Event) -> None:
    state.named = Planned.from_details(event.details)


def _note(state: State, event: Event) -> None:
    if event.details["of"] == "sample" and state.sample is not None:
        state.sample.notes.append(event.details["text"])
    elif event.details["of"] == "next":
        state.notes.append(event.details["text"])


def _no_position(state: State, event: Event) -> None:
    state.no_place = event.details["why"]


def _sample_begun(state: State, event: Event) -> None:
    state.sample = begun_sample(event)
    state.named, state.notes = None, []


def begun_sample(event: Event) -> Sample:
    """Make the sample that a `sample_begun` begins."""
    place = Place.from_details(event.details["place"]) if event.details["place"] else None
    return Sample(Planned.from_details(event.details), notes=list(event.details["notes"]), place=place)


def _point(state: State, event: Event) -> None:
    if event.point is not None and state.sample is not None:
        state.sample.points.append(event.point)
        state.before, state.useless = event.point.scan, 0


def _point_refused(state: State, event: Event) -> None:
    details = event.details
    if event.point is not None:
        state.before = event.point.scan
    if details["outdated"]:
        # Another try with the same references would not help: the next prompt asks for new ones.
        state.references.give_up(Finding(*details["outdated"]))
    elif event.point is not None and state.sample is not None and not details["alone"]:
        state.sample.spoiled.append(event.point)
        state.sample.repeated += details["again"]
    if details["alone"]:
        state.useless += 1
        state.refused += 1


def _point_replaced(state: State, event: Event) -> None:
    if state.sample is not None:
        dropped = event.details["scan_id"]
        state.sample.points = [point for point in state.sample.points if point.scan_id != dropped]
        state.sample.repeated += 1


def _sample_done(state: State, event: Event) -> None:
    planned = Planned.from_details(event.details)
    state.sample, state.waived = None, False
    state.clock_remarks = []
    state.run.done(planned)
    state.since_panel.append(planned.sample_id)
    answer = Answer(**event.details["answer"])
    state.refused += bool(answer.refused)
    state.estimated += not answer.refused
    state.done.pop(planned.sample_id, None)
    state.done[planned.sample_id] = answer


def _sample_skipped(state: State, event: Event) -> None:
    state.sample = state.named = None
    state.run.done(Planned.from_details(event.details), measured=False)


def _control(state: State, event: Event) -> None:
    state.failed_controls += event.details["passed"] is False


# --- the session ------------------------------------------------------------------------------------------


def _nothing_left(state: State, event: Event) -> None:
    state.over = True


def _resumed(state: State, event: Event) -> None:
    state.over = False
    state.failures = state.useless = 0
    state.resumed, state.device_restarted = True, event.details["device_restarted"]
    if event.details["optimises"]:
        # What it was set to may be gone with the connection, and with it what dark and white belong to.
        state.optimised, state.boot = False, None
        state.references.forget()


_CHANGES: dict[str, Callable[[State, Event], None]] = {
    "wanted": _wanted,
    "warm_up_skipped": _warm_up_skipped,
    "skipped": _skipped,
    "optimised": _optimised,
    "reference_taken": _reference_taken,
    "reference_refused": _reference_refused,
    "panel_check": _panel_check,
    "wavelength_check": _wavelength_check,
    "range": _out_of_range,
    "switched_off_and_on": _switched_off_and_on,
    "failed": _failed,
    "loss": _loss,
    "known": _known,
    "clock": _clock,
    "named": _named,
    "note": _note,
    "no_position": _no_position,
    "sample_begun": _sample_begun,
    "point": _point,
    "point_refused": _point_refused,
    "point_replaced": _point_replaced,
    "sample_done": _sample_done,
    "sample_skipped": _sample_skipped,
    "control": _control,
    "nothing_left": _nothing_left,
    "resumed": _resumed,
}
