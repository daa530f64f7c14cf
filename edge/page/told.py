"""A session as the page shows it: the one next step with the words on its button, and what is known around it."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...converters.spectra.spectrum import CONDITIONS
from ..log.names import when
from ..measure.plan import NameAsked
from ..measure.points import who
from ..measure.session import Session
from ..measure.steps import Prompt, Step
from .feed import drawn_bands, plain


class Asked(NamedTuple):
    """The words of a step: what is wanted, what for, and what is on the buttons (go, skip, again); "" for none.

    `choices` are large buttons in place of the one; each is a command's letter, what comes after it, and its words.
    """

    title: str
    text: str
    button: str
    skip: str = ""
    again: str = ""
    choices: tuple[tuple[str, str, str], ...] = ()


_WHITE = "Put the probe on the white panel"
_WORDS = {
    Step.DISK: Asked("The disk is full", "Make room on the device's disk.", "Look again"),
    Step.WARM_UP: Asked(
        "Warming up", "Until the instrument is warm it drifts. This goes on by itself.", "", "Cut the warm-up short"
    ),
    Step.OPTIMISE: Asked(_WHITE, "The instrument sets its integration time and gains.", "Optimise", "Do not optimise"),
    Step.DARK: Asked("Cover the probe", "No light may get in.", "Measure the dark", "Go on with the old dark"),
    Step.WHITE: Asked(_WHITE, "Samples are compared with it.", "Measure the white", "Go on with the old white"),
    Step.PANEL: Asked(_WHITE, "It is measured like a sample and should read 1.", "Check the panel", "Not now"),
    Step.WAVELENGTH: Asked(
        "Put the probe on the reference material", "Its bands show whether wavelengths are right.", "Check", "Not now"
    ),
    Step.DONE: Asked("All samples are measured", "", ""),
}


def asked_words(session: Session, asked: Prompt) -> Asked:
    """Give the words of a question."""
    state = session.state
    again = "Last sample again" if state.done else ""
    if asked.step is Step.NAME and session.name_asked is not None:
        return _name_words(session.name_asked)
    if asked.step is Step.GROUND:
        name, known = state.planned.sample_id, state.condition
        before = f" It was {known} before." if known else ""
        text = f"How wet is the ground? A model of dry soils is none for damp ones.{before}"
        choices = tuple(
            ("g", one, f"{one.capitalize()}, as before" if one == known else one.capitalize()) for one in CONDITIONS
        )
        return Asked(name, text, "", "Not known", again, choices)
    if asked.step is not Step.POINT:
        return _WORDS[asked.step]._replace(again=again)
    taken = len(state.sample.points) if state.sample is not None else 0
    what = "" if state.planned.kind == "sample" else f" ({state.planned.kind})"
    text = f"Point {taken + 1} of {session.settings.points}"
    if state.sample is None:
        text += ". Put the probe on the sample."
        skip = "Leave it out"
    else:
        text += ". Put the probe on another place of the same sample."
        skip = "Enough points" if taken else "Leave it out"
        again = "Last point again" if taken else again
    return Asked(f"{state.planned.sample_id}{what}", text, "Measure", skip, again)


def _name_words(asked: NameAsked) -> Asked:
    known = asked.known
    skip = "Leave it out" if asked.listed else "Another name"
    if known is None:
        title, text, button = f"Is {asked.name} the name of a sample?", "It is an unusual one.", "Yes, it is"
    else:
        text = f"{known.sample_id} was measured {when(known)}."
        title, button = f"{asked.name}: the same sample again?", f"No, another sample: {asked.name}"
    again = f"Yes, {known.sample_id} again" if known is not None else ""
    return Asked(title, text, f"Really: {button[0].lower()}{button[1:]}" if asked.once else button, skip, again)


def of_session(session: Session, asked: Prompt, prompt_id: str) -> dict[str, Any]:
    """Give what the page shows of a session, as plain values."""
    state, identity, references = session.state, session.instrument.identity, session.state.references
    now_s = session.monotonic()
    white = references.white
    words = asked_words(session, asked)
    sample = state.sample
    return {
        "prompt": {
            "id": prompt_id,
            "step": asked.step.value,
            "title": words.title,
            "text": words.text,
            "button": words.button,
            "skip": words.skip,
            "again": words.again,
            "choices": words.choices,
            # In whole steps, so that time that passes is no news.
            "wait_s": None if asked.wait_s is None else 10 * -(-asked.wait_s // 10),
        },
        "session": session.session_id,
        "instrument": who(identity),
        "simulated": identity.simulated,
        "virtual": identity.virtual,
        "model": session.engine.estimator.bundle.name,
        "sample": {
            "id": state.planned.sample_id,
            "kind": state.planned.kind,
            "again": state.planned.again,
            "begun": sample is not None,
            "points": len(sample.points) if sample is not None else 0,
            "of": session.settings.points,
            "notes": list(sample.notes) if sample is not None else list(state.notes),
            "condition": (sample.condition if sample is not None else state.condition_known and state.condition) or "",
        },
        "white": {
            "needed": "white" in references.needed,
            "age_min": None if white is None else round((now_s - white.scan.taken_s) / 60),
            "valid_min": session.valid_min(now_s),
        },
        "complaints": [finding.text for finding in session.complaints()] + [one.text for one in state.standing],
        "can": {"optimise": identity.optimises, "white": bool(references.needed), "dark": "dark" in references.needed},
        "counts": {"estimated": state.estimated, "refused": state.refused, "failed_controls": state.failed_controls},
        "operator": session.settings.operator,
        "scans": session.settings.scans,
    }


def points_key(session: Session) -> tuple[object, ...]:
    """Tell whether `points_of` would give the same again."""
    sample = session.state.sample
    points = sample.points if sample is not None else []
    return (session.state.planned.sample_id, *(point.scan_id for point in points))


def points_of(session: Session) -> dict[str, Any]:
    """Give the spectra of the sample that is half measured, as far as it has any."""
    sample = session.state.sample
    spectra = [point.spectrum for point in sample.points if point.spectrum is not None] if sample is not None else []
    return {
        "sample_id": session.state.planned.sample_id,
        "points": [
            {
                "wavelengths_nm": plain(one.wavelengths_nm[drawn_bands(one.wavelengths_nm)], 8),
                "values": plain(one.values[drawn_bands(one.wavelengths_nm)], 6),
                "quantity": one.quantity,
            }
            for one in spectra
        ],
    }
