"""What a measuring session knows: everything that happens is an event, and `State.apply` is what an event changes.

The same events, read back from the log, bring a session that was cut off to where it was (`resume`).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ...converters.spectra.spectrum import Condition
from ..gates.finding import Finding
from ..gates.scans import Scan
from ..log.write import Result
from .controls import SampleAnswer, Stated
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
        condition: of the ground, for every soil; "ask" asks once a soil, "" leaves it unknown where nobody says it.
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
    condition: Condition | Literal["", "ask"] = ""
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
        condition: of the ground, as last said; "" if nobody knows.
        condition_known: that was said of the next soil already.
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
        done: what came of each sample, the last time it was measured, by its name then.
    """

    run: Run
    references: References
    on_since_s: float | None
    sample: Sample | None = None
    named: Planned | None = None
    condition: Condition | Literal[""] = ""
    condition_known: bool = False
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
    done: dict[str, SampleAnswer] = field(default_factory=dict)
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
        self._apply_to_instrument(event)
        self._apply_to_checks(event)
        self._apply_to_samples(event)

    def _apply_to_instrument(self, event: Event) -> None:
        """What happens to the instrument, its dark and its white, and to the session as a whole."""
        details = event.details
        match event.kind:
            case "resumed":
                self.over = False
                self.failures = self.useless = 0
                self.resumed, self.device_restarted = True, details["device_restarted"]
                if details["optimises"]:
                    # What it was set to may be gone with the connection, and with it what dark and white belong to.
                    self.optimised, self.boot = False, None
                    self.references.forget()
            case "range":
                self._stands("range", details["why"])
            case "warm_up_skipped":
                self.warm_up_skipped = True
            case "switched_off_and_on":
                self.boot, self.optimised = details["boot"], False
                self.references.give_up(Finding("reference_restart", details["void"]))
                if details["cold"] and self.on_since_s is not None:
                    self.on_since_s, self.warm_up_skipped = event.at_s, False
            case "optimised":
                self.failures, self.optimised = 0, True
                self.want.clear()
                self.references.forget()
            case "reference_taken" if event.scan is not None:
                self.references.keep(event.scan, details["scan_id"])
                if self.want and self.want[0].value == details["kind"]:
                    self.want.popleft()
                if details["kind"] == "white":
                    self.waived, self.useless = False, 0
                    self.panel_checked_s = event.scan.taken_s
                    self.since_panel.clear()
            case "reference_refused":
                self.useless += 1
                if details["kind"] == "white" and "saturated" in details["findings"]:
                    self.optimised = False
            case "clock":
                self.clock_remarks.append(Finding("clock", event.text, "remark"))
            case "known":
                self.known += 1
            case "failed" | "loss":
                self.failures += event.kind == "failed"
                self.refused += details["refused"]
            case "nothing_left":
                self.over = True

    def _apply_to_checks(self, event: Event) -> None:
        """What becomes of the steps that are asked for."""
        details = event.details
        match event.kind:
            case "wanted":
                self.want = deque(Step(step) for step in details["steps"])
            case "skipped":
                self._drop_wish()
                step = Step(details["step"])
                if step in (Step.DARK, Step.WHITE):
                    self.want.clear()
                    self.waived = True
                self.optimised = self.optimised or step is Step.OPTIMISE
                self.panel_checked_s = event.at_s if step is Step.PANEL else self.panel_checked_s
                self.wavelength_checked_s = event.at_s if step is Step.WAVELENGTH else self.wavelength_checked_s
            case "panel_check":
                self._drop_wish()
                self.panel_checked_s = event.at_s
                if details["ok"]:
                    self.since_panel.clear()
                else:
                    self.references.give_up(Finding("white_void", details["why"]))
            case "wavelength_check" if "bands_nm" not in details:
                self.useless += 1
            case "wavelength_check":
                self._drop_wish()
                self.useless, self.wavelength_checked_s = 0, event.at_s
                self._stands("wavelength_shift", "" if details["ok"] else event.text)

    def _apply_to_samples(self, event: Event) -> None:
        """What becomes of points, samples, notes and controls."""
        details, sample = event.details, self.sample
        match event.kind:
            case "named":
                self.named = Planned.from_details(details)
            case "condition":
                self.condition = details["condition"]
                if sample is not None:
                    sample.condition = self.condition
                else:
                    self.condition_known = True
            case "note" if details["of"] == "next":
                self.notes.append(details["text"])
            case "note" if details["of"] == "sample" and sample is not None:
                sample.notes.append(details["text"])
            case "no_position":
                self.no_place = details["why"]
            case "sample_begun":
                self.sample, self.named, self.notes = begun_sample(event), None, []
                self.condition_known = False
            case "point" if event.point is not None and sample is not None:
                sample.points.append(event.point)
                self.before, self.useless = event.point.scan, 0
            case "point_refused":
                self._point_refused(event)
            case "point_replaced" if sample is not None:
                sample.points = [point for point in sample.points if point.scan_id != details["scan_id"]]
                sample.repeated += 1
            case "sample_done":
                planned, answer = Planned.from_details(details), SampleAnswer(**details["answer"])
                self.sample, self.waived, self.clock_remarks = None, False, []
                self.run.done(planned)
                self.since_panel.append(planned.sample_id)
                self.refused += bool(answer.refused)
                self.estimated += not answer.refused
                self.done.pop(planned.sample_id, None)
                self.done[planned.sample_id] = answer
            case "sample_renamed" if sample is not None:
                if details["back"]:
                    sample.names_before.pop()
                else:
                    sample.names_before.append(sample.planned.sample_id)
                sample.planned = replace(sample.planned, sample_id=details["sample_id"])
            case "sample_skipped":
                self.sample = self.named = None
                self.run.done(Planned.from_details(details), measured=False)
            case "control":
                self.failed_controls += details["passed"] is False

    def _point_refused(self, event: Event) -> None:
        details = event.details
        if event.point is not None:
            self.before = event.point.scan
        if details["outdated"]:
            # Another try with the same references would not help: the next prompt asks for new ones.
            self.references.give_up(Finding(*details["outdated"]))
        elif event.point is not None and self.sample is not None and not details["alone"]:
            self.sample.spoiled.append(event.point)
            self.sample.repeated += details["again"]
        self.useless += details["alone"]
        self.refused += details["alone"]

    def _drop_wish(self) -> None:
        if self.want:
            self.want.popleft()

    def _stands(self, code: str, why: str) -> None:
        self.standing = [finding for finding in self.standing if finding.code != code]
        self.standing += [Finding(code, why)] if why else []


def begun_sample(event: Event) -> Sample:
    """Make the sample that a `sample_begun` begins."""
    place = Place.from_details(event.details["place"]) if event.details["place"] else None
    return Sample(
        Planned.from_details(event.details),
        notes=list(event.details["notes"]),
        place=place,
        condition=event.details.get("condition", ""),  # sessions of earlier versions do not say
    )
