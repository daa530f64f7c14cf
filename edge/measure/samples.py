"""The samples of a session: points, repetitions, the reading that they make, and controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

from ..engine import Measured
from ..gates.finding import Finding, reason
from ..gates.scans import Scan
from ..log.check_soils import drift_of, soil_of
from ..log.columns import ReadingFacts, ScanRole
from ..log.names import known_exactly, when
from ..log.write import Result
from ..model.estimate import Refusal
from .checks import OUTDATED
from .controls import Judgement, SampleAnswer, judge_blank, judge_duplicate, judge_reference
from .plan import Planned
from .points import Place, Point, Sample, sample_spectrum, scattering, with_condition
from .session import Session
from .state import Event, begun_sample
from .steps import FactKind

_NUMBERED = {"white_old", "dark_old", "order", "noise", "splice_step", "low_signal", "warm_up"}
"""Findings whose text differs from point to point in its number only."""


def measure_point(session: Session) -> None:
    """Measure a point of the sample whose turn it is, and go on with the sample."""
    session.acquire("target", "target", partial(judge_point, session))
    if session.settings.unattended:
        session.stop_if_useless()


def judge_point(session: Session, scan: Scan, scan_id: int) -> list[Event]:
    """Say what a target scan makes of its sample."""
    planned = session.planned_for(scan)
    point = session.judge(scan, scan_id)
    if session.settings.unattended and point.refused:
        return [_refused_alone(session, planned, point)]
    events: list[Event] = []
    sample = session.state.sample
    if sample is not None and sample.planned != planned:
        events = _done(session, sample, sample.points, sample.spoiled)  # a new label begins a new sample
        sample = None
    if sample is None:
        events += _begin(session, planned)
        sample = begun_sample(events[-1])
    number = len(sample.points) + 1
    name = f"{planned.sample_id} {number}/{session.settings.points}"
    outdated = [finding for finding in point.findings if finding.code in OUTDATED]
    if (outdated and not session.state.waived) or point.bad:
        again = sample.repeated < session.rules.repeats_most
        details = _about(point) | {"again": again, "alone": False, "outdated": None}
        if outdated and not session.state.waived:
            details["outdated"] = (outdated[0].code, outdated[0].text)
        refused = Event("point_refused", f"{name}: {reason(point.findings)}", details, "warning", point=point)
        if again or details["outdated"]:
            return [*events, refused]
        return [*events, refused, *_done(session, sample, sample.points, [*sample.spoiled, point])]
    points = [*sample.points, point]
    # The reason is told once for a sample; every point's stands in the log.
    known = any(before.refused for before in sample.points)
    remark = "" if not point.refused else ", no estimate" if known else f": {reason(point.findings)}"
    shown: FactKind | None = "warning" if remark else None if session.settings.unattended else "note"
    events.append(Event("point", f"{name} taken{remark}", _about(point), shown, point=point))
    if number < session.settings.points:
        return events
    if session.settings.unattended:
        return [*events, *_done(session, sample, points, sample.spoiled)]
    far, scatter = scattering(points, session.rules)
    if scatter and sample.repeated < session.rules.repeats_most:
        text = f"{reason(scatter)}; point {far + 1} again"
        return [*events, Event("point_replaced", text, _about(points[far]), "warning")]
    return [*events, *_done(session, sample, points, sample.spoiled, scatter)]


def finish(session: Session) -> None:
    """End the sample that is being measured with the points it has; nothing if there is none."""
    sample = session.state.sample
    if sample is not None and (sample.points or sample.spoiled):
        session.record(*_done(session, sample, sample.points, sample.spoiled))


def _begin(session: Session, planned: Planned) -> list[Event]:
    """Give the events that begin a sample here; the last is the beginning."""
    source, events = session.position, []
    fix = source.latest() if source is not None else None
    place = None if fix is None else Place(fix.position, fix.at, fix.source)
    complaint = source.complaint() if source is not None and fix is None else ""
    if complaint != session.state.no_place:
        shown: FactKind | None = "warning" if complaint else None
        events.append(Event("no_position", f"no position: {complaint}", {"why": complaint}, shown))
    if session.settings.unattended and not session.settings.again and planned.kind == "sample":
        name, done = planned.sample_id, planned.sample_id in session.state.done
        here = session.session_id
        known = [one for one in known_exactly(session.engine.log.database, name) if done or one.session != here]
        if known:
            text = f"{name} was measured {when(known[-1])} too; this is a second one"
            events.append(Event("known_name", text, {"reading": known[-1].reading}))
    details = {**planned.as_details(), "notes": session.state.notes}
    state, said = session.state, session.settings.condition
    if planned.kind in ("sample", "duplicate"):
        details["condition"] = state.condition if state.condition_known else "" if said == "ask" else said
    details["place"] = place.as_details() if place is not None else None
    return [*events, Event("sample_begun", planned.sample_id, details, None)]


def _refused_alone(session: Session, planned: Planned, point: Point) -> Event:
    """A measurement that cannot be used is a reading of its own; the sample goes on without it."""
    why = reason(point.findings)
    outdated = [finding for finding in point.findings if finding.code in OUTDATED]
    details = _about(point) | {"alone": True, "again": False, "outdated": None}
    if outdated:
        details["outdated"] = (outdated[0].code, outdated[0].text)
    result = _result(session, Sample(planned), [point], list(point.findings))
    text = f"{planned.sample_id}: {why}"
    return Event("point_refused", text, details, "refused", point=point, result=result)


def _done(
    session: Session, sample: Sample, good: list[Point], spoiled: list[Point], findings: Sequence[Finding] = ()
) -> list[Event]:
    """Give the end of a sample, with the result that its points make, and what became of a control."""
    state, settings = session.state, session.settings
    points = good or spoiled
    found = [*state.standing, *findings, *(f for point in points for f in point.findings)]
    if len(good) < settings.points:
        found += [f for point in spoiled[-1:] for f in point.findings]
        few = Finding("points_missing", f"{len(good)} of {settings.points} points")
        found.append(replace(few, severity="remark") if settings.unattended and good else few)
    result = _result(session, sample, points, _once(found) + state.clock_remarks)
    refused = bool(result.refused)
    details = {**sample.planned.as_details(), "answer": asdict(SampleAnswer.of(result.outcome))}
    shown: FactKind = "refused" if refused else "estimate"
    done = Event("sample_done", sample.planned.sample_id, details, shown, result=result)
    return [done, *_again(session, sample.planned, refused), *_control(session, sample.planned, result)]


def _again(session: Session, planned: Planned, refused: bool) -> list[Event]:
    """Say which reading counts of a sample that was measured again; one that was refused makes none void."""
    earlier, name = planned.replaces, planned.sample_id
    if not earlier:
        return []
    (answered,) = session.engine.log.database.execute(
        "SELECT EXISTS (SELECT 1 FROM estimates WHERE reading_id = ?)", (earlier,)
    ).fetchone()
    if refused and answered:
        text = f"{name}: reading {earlier} counts still"
        return [Event("again", text, {"replaces": earlier, "counts": False}, "warning")]
    text = f"{name}: counts in place of reading {earlier}"
    return [Event("again", text, {"replaces": earlier, "counts": True})]


def _result(session: Session, sample: Sample, points: list[Point], found: list[Finding]) -> Result:
    name = sample.planned.sample_id
    spectrum = sample_spectrum(points, name)
    place = sample.place
    if spectrum is not None and place is not None:
        spectrum = replace(spectrum, position=place.position)
    if spectrum is not None and sample.condition:
        spectrum = with_condition(spectrum, sample.condition)
    about = ReadingFacts(
        session_id=session.session_id,
        scan_ids=_scan_ids(points),
        settings={
            "on_for_min": round(session.state.on_for_min(session.monotonic()), 2),
            "repeated": sample.repeated,
            "scan_settings": dict(points[0].scan.settings.values) if points else {},
        },
        notes="\n".join(sample.notes),
        sample_kind=sample.planned.kind,
        duplicate_of=sample.planned.duplicate_of,
        position_source=place.source if place is not None else "",
        position_at=place.at if place is not None else None,
    )
    item = spectrum if spectrum is not None else Refusal(session.instrument.name, "nothing was measured", name)
    (result,) = session.engine.answer([Measured(item, tuple(found), about)])
    return result


def _control(session: Session, planned: Planned, result: Result) -> list[Event]:
    """Judge a control; give the events that say so, none for a soil.

    A blank is judged for each element; a reference soil and a duplicate for the first, whose content was stated.
    """
    judgement: Judgement
    outcome, bundle = result.outcome, session.engine.estimator.bundle
    if planned.kind == "blank":
        return [_judged(judge_blank(planned.sample_id, one)) for one in result.outcomes]
    elif planned.kind == "reference":
        judgement = judge_reference(planned.sample_id, outcome, session.settings.stated, bundle.calibrated_range)
        return [_judged(judgement), *_drifts(session, planned, result)]
    elif planned.kind == "duplicate":
        counting = known_exactly(session.engine.log.database, planned.duplicate_of)
        counts = any(one.session == session.session_id for one in counting)
        first = session.state.done.get(planned.duplicate_of) if counts else None
        judgement = judge_duplicate(planned.sample_id, outcome, first, bundle)
    else:
        return []
    return [_judged(judgement)]


def _judged(judgement: Judgement) -> Event:
    words = {True: "passed", False: "FAILED", None: "open"}[judgement.passed]
    text = f"{judgement.kind} {judgement.sample_id} {words}: {judgement.text}"
    details = {"kind": judgement.kind, "sample_id": judgement.sample_id, "passed": judgement.passed}
    details["text"] = judgement.text
    return Event("control", text, details, "failed control" if judgement.passed is False else "control")


def _drifts(session: Session, planned: Planned, result: Result) -> list[Event]:
    """Put a check soil's readings on their control charts, one a model; say what they break."""
    bundle = session.engine.estimator.bundle
    answers = [(bundle.sha256, result.outcome), *((model.sha256, outcome) for model, outcome in result.others)]
    said = []
    for sha256, outcome in answers:
        if isinstance(outcome, Refusal) or outcome.bound:
            continue
        before = soil_of(session.engine.log.database, planned.sample_id, outcome.element, sha256)
        said.append(drift_of((*before, outcome.value), planned.sample_id))
    return [Event("remark", text, {"code": "control_chart"}, "warning") for text in said if text]


def _scan_ids(points: list[Point]) -> tuple[tuple[int, ScanRole], ...]:
    ids: dict[tuple[int, ScanRole], None] = {}
    for point in points:
        if point.dark_id:
            ids[point.dark_id, "dark"] = None
        if point.white_id:
            ids[point.white_id, "white"] = None
        ids[point.scan_id, "target"] = None
    return tuple(ids)


def _about(point: Point) -> dict[str, object]:
    """Say which point an event is about."""
    return {"scan_id": point.scan_id, "findings": [finding.code for finding in point.findings]}


def _once(found: list[Finding]) -> list[Finding]:
    """Give each finding once; of those that name another number for each point, the last."""
    return list({(f.code, f.severity, "" if f.code in _NUMBERED else f.text): f for f in found}.values())
