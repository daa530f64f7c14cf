"""The samples of a measuring session: points, repetitions, the reading that they make, and controls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..gates.finding import Finding, reason
from ..gates.scans import Scan
from ..log.columns import ReadingFacts, ScanRole
from ..log.write import Result, add_event
from ..model.estimate import Estimate, Refusal
from .checks import OUTDATED, Checks
from .controls import Judgement, judge_blank, judge_duplicate, judge_reference
from .plan import Planned
from .sample import Place, Point, Sample, sample_spectrum, scattering
from .steps import Fact

_NUMBERED = {"white_old", "dark_old", "order", "noise", "splice_step", "low_signal", "warm_up"}
"""Findings whose text differs from point to point in its number only."""


class Sampling(Checks):
    """From points to readings."""

    @property
    def planned(self) -> Planned:
        """The sample that is measured, or comes next."""
        return self.sample.planned if self.sample is not None else self.named or self.run.next()

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
        complaint = self._position.complaint() if self._position is not None and fix is None else ""
        if complaint and complaint != self._no_place:
            self._happened("no_position", f"no position: {complaint}", "warning")
        self._no_place = complaint
        (last,) = self.engine.log.database.execute("SELECT coalesce(max(id), 0) FROM scans").fetchone()
        details = {**planned.as_details(), "last_scan_id": last, "notes": self.notes}
        details["place"] = place.as_details() if place is not None else None
        begun = self._event("sample_begun", planned.sample_id, details)
        self.sample = Sample(planned, begun, notes=self.notes, place=place)
        self.named, self.notes = None, []
        return self.sample

    def take_point(self, sample: Sample, scan: Scan, scan_id: int) -> None:
        """Judge a scan of a sample that is in the log, and go on with the sample."""
        point = self.judge(scan, scan_id)
        self._before = scan
        number = len(sample.points) + 1
        outdated = [finding for finding in point.findings if finding.code in OUTDATED]
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
        # The reason is told once for a sample; every point's stands in the log.
        known = any(before.refused for before in sample.points[:-1])
        remark = "" if not point.refused else ", no estimate" if known else f": {reason(point.findings)}"
        name = f"{sample.planned.sample_id} {number}/{self.settings.points}"
        self._happened("point", f"{name} taken{remark}", "warning" if remark else "note", point_details(point, sample))
        if number >= self.settings.points:
            self._settle(sample)

    def _refuse_point(self, point: Point, sample: Sample, number: int) -> None:
        text = f"{sample.planned.sample_id} {number}/{self.settings.points}: {reason(point.findings)}"
        self._happened("point_refused", text, "warning", point_details(point, sample))

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
            self._happened("point_replaced", text, "warning", point_details(point, sample))
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
        found = _once(found) + self._clock_remarks
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
            # Another model may need no more than this instrument sees.
            rule_broken=reason(finding for finding in found if finding.code != "range"),
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


def _scan_ids(points: list[Point]) -> tuple[tuple[int, ScanRole], ...]:
    ids: dict[tuple[int, ScanRole], None] = {}
    for point in points:
        if point.dark_id:
            ids[point.dark_id, "dark"] = None
        if point.white_id:
            ids[point.white_id, "white"] = None
        ids[point.scan_id, "target"] = None
    return tuple(ids)


def point_details(point: Point, sample: Sample) -> dict[str, Any]:
    """Say which point an event is about."""
    codes = [finding.code for finding in point.findings]
    return {"scan_id": point.scan_id, "begun": sample.begun_id, "findings": codes}


def _once(found: list[Finding]) -> list[Finding]:
    """Give each finding once; of those that name another number for each point, the last."""
    return list({(f.code, f.severity, "" if f.code in _NUMBERED else f.text): f for f in found}.values())


def _ignore(_: object) -> None:
    """Give nothing: what a transaction calls may not return a row."""
