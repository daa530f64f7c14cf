"""The measuring routine: what a session asks for next, and what it does with the answer. Commands in, facts out.

It neither prints nor waits for a person: a command line, a script or a test drives it. Warm-up, the ages of
references, the number of points and scans follow Carvalho et al. 2024 (Remote Sensing 16(11):1964) and the maker's
rules for contact probes; the profile says each number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...converters.spectra.spectrum import CONDITIONS
from ..errors import InstrumentError, InstrumentExchangedError, MeasurementError, NothingLeftError, PortError
from ..gates.finding import reason
from ..gates.scans import Scan
from ..gates.time import warming_up
from .checks import check_panel, check_wavelengths, judge_reference, measure_reference, optimise
from .editing import edit, undo
from .naming import answer_name, ask_if_listed, name
from .samples import finish, judge_point, measure_point
from .session import Session
from .state import Event
from .steps import Command, Fact, FactKind, Prompt, Step

# --- what comes next --------------------------------------------------------------------------------------


def prompt(session: Session) -> Prompt:
    """Say what is wanted next; references that have become due are put down as wanted."""
    step = session.asked = _next_step(session)
    if step is Step.POINT:
        ask_if_listed(session)
    if session.name_asked is not None and step is not Step.DONE:
        session.asked = Step.NAME
        return Prompt(Step.NAME, session.name_asked.prompt)
    if step in (Step.DARK, Step.WHITE) and not session.state.want:
        _want(session, _reference_steps(session))
        step = session.asked = session.state.want[0]
    if step is Step.POINT:
        state, points = session.state, session.settings.points
        taken = len(state.sample.points) if state.sample is not None else 0
        what = {"sample": "", "duplicate": " (again)"}.get(state.planned.kind, f" ({state.planned.kind})")
        return Prompt(step, f"{state.planned.sample_id}{what} {taken + 1}/{points}, Enter")
    if step is Step.GROUND:
        known = session.state.condition
        return Prompt(step, f"{session.state.planned.sample_id} dry, damp, wet? Enter: {known or 'none'}")
    if step is Step.WARM_UP:
        left_s = 60 * (session.rules.warm_up_min - session.state.on_for_min(session.monotonic()))
        return Prompt(step, f"Warming up, {_minutes(left_s)} left", max(left_s, 0.0))
    return Prompt(step, _ASKED[step])


_ASKED = {
    Step.DISK: "Disk full: make room, then Enter",
    Step.OPTIMISE: "Probe on white panel: optimise, Enter",
    Step.DARK: "Cover the probe for the dark, Enter",
    Step.WHITE: "Probe on white panel: white, Enter",
    Step.PANEL: "Probe on white panel: check it, Enter",
    Step.WAVELENGTH: "Probe on reference material, Enter",
    Step.DONE: "All samples are measured",
}


def _next_step(session: Session) -> Step:
    state, rules, settings = session.state, session.rules, session.settings
    now_s = session.monotonic()
    if state.over:
        return Step.DONE
    if not settings.unattended and not session.engine.log.room().enough:
        return Step.DISK
    if not state.warm_up_skipped and warming_up(rules, state.on_for_min(now_s)):
        return Step.WARM_UP
    if session.instrument.identity.optimises and settings.optimise and not state.optimised:
        return Step.OPTIMISE
    if state.want:
        return state.want[0]
    if not state.waived and session.complaints():
        return _reference_steps(session)[0]
    if state.sample is None and not settings.unattended:
        panel_s = state.panel_checked_s if session.instrument.identity.delivers != "reflectance" else None
        if panel_s is not None and _due(session, panel_s, rules.panel_check_every_min):
            return Step.PANEL
        if _due(session, state.wavelength_checked_s, rules.wavelength_check_every_min):
            return Step.WAVELENGTH
    if state.sample is None and 0 < settings.count <= state.run.soils and state.run.next().kind == "sample":
        return Step.DONE
    soil = state.planned.kind in ("sample", "duplicate")
    if settings.condition == "ask" and soil and state.sample is None and not state.condition_known:
        return Step.GROUND
    return Step.POINT


def _reference_steps(session: Session) -> list[Step]:
    # A new dark goes with a new white: both drift together as the instrument warms.
    identity = session.instrument.identity
    return [Step.DARK, Step.WHITE] if identity.needs_dark and not identity.shutter else [Step.WHITE]


def _due(session: Session, checked_s: float | None, every_min: float) -> bool:
    return bool(every_min) and (checked_s is None or session.monotonic() - checked_s > 60 * every_min)


def _minutes(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d} min"


# --- what is done -----------------------------------------------------------------------------------------


def do(session: Session, command: Command) -> None:
    """Carry a command out; what comes of it is told.

    Raises:
        PortError: the port has gone for good, or another instrument is on it; the session can be taken up again.
        InstrumentError: nothing but failures.
        LogError: the log cannot be written; nothing that could not be stored was told.
    """
    _guarded(session, lambda: _do(session, command))


def wait(session: Session, timeout_s: float) -> None:
    """Take what is measured with the instrument's own button, if something comes in time.

    Raises:
        PortError, LogError: as `do`.
    """
    _guarded(session, lambda: _wait(session, timeout_s))


def _guarded(session: Session, work: Callable[[], None]) -> None:
    try:
        work()
    except NothingLeftError as error:
        session.record(Event("nothing_left", str(error)))
        if session.settings.unattended:
            with session.hold():
                finish(session)
    except InstrumentExchangedError as error:
        session.record(Event("exchanged", str(error), shown="warning"))
        raise
    except PortError as error:
        session.record(Event("port", str(error), shown="warning"))
        raise


def _wait(session: Session, timeout_s: float) -> None:
    instrument = session.instrument
    try:
        scan = instrument.wait(timeout_s)
    except (PortError, NothingLeftError):
        session.tell_losses()
        raise
    except (MeasurementError, InstrumentError) as error:
        session.tell_losses()
        why = str(error).removeprefix(f"{instrument.name}: ")
        session.refuse("failed", why, {"what": "target"})
        return
    if scan is None:
        session.tell_losses()
        return
    take(session, scan)


def take(session: Session, scan: Scan) -> None:
    """Store what was measured unasked, and go on with it: a dark, a white, or a point of a sample."""
    session.take(scan, scan.kind, partial(judge_point if scan.kind == "target" else judge_reference, session))


def _do(session: Session, command: Command) -> None:
    letter, argument = command.letter, command.argument
    if session.name_asked is not None and answer_name(session, letter):
        return
    step = _next_step(session) if letter in ("", "s") else None
    if step is not None and step is not session.asked:
        # Time has passed since the question: a white taken now would be one of the soil under the probe.
        warm = session.asked is Step.WARM_UP
        session.tell(Fact("note", "warm" if warm else "things have changed since that was asked"))
    elif letter == "" and step is not None:
        _go(session, step)
    elif letter == "s" and step is not None:
        _skip(session, step)
    elif letter == "g":
        _say_condition(session, argument)
    elif letter == "n" and argument:
        note(session, argument)
    elif letter == "n":
        session.tell(Fact("warning", "no note; write: n wet, roots"))
    elif letter == "i":
        _name(session, argument, command.doubt)
    elif letter == "r":
        _repeat(session)
    elif letter == "e":
        edit(session, argument)
    elif letter == "u":
        undo(session)
    elif letter in _WANTED:
        _wish(session, _WANTED[letter])


_WANTED = {"w": Step.WHITE, "d": Step.DARK, "o": Step.OPTIMISE, "p": Step.PANEL, "v": Step.WAVELENGTH}


def _go(session: Session, step: Step) -> None:
    identity = session.instrument.identity
    if step is Step.OPTIMISE:
        optimise(session)
    elif step is Step.DARK:
        measure_reference(session, "dark")
    elif step is Step.WHITE:
        if not (identity.needs_dark and identity.shutter) or measure_reference(session, "dark"):
            measure_reference(session, "white")
    elif step is Step.PANEL:
        check_panel(session)
    elif step is Step.WAVELENGTH:
        check_wavelengths(session)
    elif step is Step.GROUND:
        _say_condition(session, session.state.condition or "unknown")
    elif step is Step.POINT:
        measure_point(session)


def _wish(session: Session, step: Step) -> None:
    identity = session.instrument.identity
    if step is Step.OPTIMISE and not identity.optimises:
        session.tell(Fact("warning", "this instrument optimises itself"))
    elif step in (Step.WHITE, Step.DARK) and not session.state.references.needed:
        session.tell(Fact("warning", "this instrument delivers reflectance: no dark, no white"))
    elif step is Step.DARK and identity.shutter:
        measure_reference(session, "dark")
    else:
        _want(session, _reference_steps(session) if step is Step.WHITE else [step])


def _want(session: Session, steps: list[Step]) -> None:
    text = ", ".join(step.value for step in steps)
    session.record(Event("wanted", text, {"steps": [step.value for step in steps]}, None))


def note(session: Session, text: str, for_next: bool = False) -> None:
    """Put a note to the sample that is being measured; between two samples, to the one that has just been measured.

    Args:
        session: where it is written.
        text: of the note.
        for_next: between two samples, put it to the next one; so it is once that has been named, or is the first.
    """
    state = session.state
    last, reading = session.last_sample(), 0
    if state.sample is not None:
        of, name = "sample", state.sample.planned.sample_id
    elif for_next or state.named is not None or last is None:
        of, name = "next", state.planned.sample_id
    else:
        of, name, reading = "last", last.sample_id, last.replaces
    event = Event("note", f"note for {name}: {text}", {"text": text, "of": of, "sample_id": name})
    if reading:
        session.correct(event, reading, "note", {"text": text})
    else:
        session.record(event)


def _name(session: Session, sample_id: str, doubt: str) -> None:
    state = session.state
    if not sample_id:
        session.tell(Fact("warning", "no name; write: i RS007"))
    elif state.sample is not None:
        known = f"{state.sample.planned.sample_id} has {len(state.sample.points)} of {session.settings.points} points"
        text = f"{known}: e rename {sample_id} if that is its name; s ends it, e void leaves it out"
        session.tell(Fact("warning", text))
    else:
        name(session, sample_id, doubt)


def _say_condition(session: Session, text: str) -> None:
    """Put down the condition of the ground of the sample that is measured, or comes next."""
    said = text.strip().lower()
    if said not in (*CONDITIONS, "unknown"):
        what = f"{said[:40]} is no state of the ground" if said else "no state of the ground; write"
        session.tell(Fact("warning", f"{what}: g dry, g damp or g wet"))
        return
    details = {"condition": "" if said == "unknown" else said, "sample_id": session.state.planned.sample_id}
    # Where it was asked for, what is asked next says enough.
    shown: FactKind | None = None if session.asked is Step.GROUND else "note"
    session.record(Event("condition", f"{details['sample_id']}: ground {said}", details, shown))


def _repeat(session: Session) -> None:
    state = session.state
    if state.sample is not None and state.sample.points:
        number, point = len(state.sample.points), state.sample.points[-1]
        session.record(Event("point_replaced", f"point {number} again", {"scan_id": point.scan_id}))
    elif (last := session.last_sample()) is not None:
        session.record(Event("named", f"{last.sample_id} again", last.as_details()))
    else:
        session.tell(Fact("warning", "nothing to repeat yet"))


def _skip(session: Session, step: Step) -> None:
    state = session.state
    if step is Step.WARM_UP:
        text = f"warm-up cut short after {state.on_for_min(session.monotonic()):.0f} min"
        session.record(Event("warm_up_skipped", text, shown="warning"))
    elif step is Step.GROUND:
        _say_condition(session, "unknown")
    elif step is Step.POINT and state.sample is not None and (state.sample.points or state.sample.spoiled):
        finish(session)
    elif step is Step.POINT:
        planned = state.planned
        session.record(Event("sample_skipped", f"{planned.sample_id} left out", planned.as_details()))
    elif step in _SKIPPED:
        text = _SKIPPED[step]
        why = reason(session.complaints()) if step in (Step.DARK, Step.WHITE) else ""
        text += f": {why}" if why else ""
        session.record(Event("skipped", text, {"step": step.value}, "warning"))


_SKIPPED = {
    Step.OPTIMISE: "not optimised",
    Step.DARK: "no new dark",
    Step.WHITE: "no new white",
    Step.PANEL: "panel not checked",
    Step.WAVELENGTH: "wavelengths not checked",
}
