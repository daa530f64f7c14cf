"""Corrections that are typed while measuring: "edit rename RS007" of the last reading, "edit RS005 void wrong pit"."""

from __future__ import annotations

from ..errors import CorrectionError
from ..log.corrections import LONGEST_NAME, UNDONE, history_of, what_was_said
from ..log.names import reading_as_known, reading_of, warning_of
from ..log.typed import EXAMPLES, is_kind, parse_correction
from .points import Sample
from .session import Session
from .state import Event
from .steps import Fact


def edit(session: Session, text: str) -> None:
    """Correct a reading: the one that is named before what is said of it, or else the last one of this session.

    In the middle of a sample it is that one's name which `rename` means, and that one which `void` leaves out.
    """
    words = text.split()
    at = next((number for number, word in enumerate(words) if is_kind(word)), None)
    if at is None:
        session.tell(Fact("warning", f"write for example: e {EXAMPLES.replace('; ', '; e ')}"))
        return
    if session.state.sample is not None and at == 0:
        _edit_begun(session, session.state.sample, words[0].lower(), " ".join(words[1:]))
        return
    try:
        reading_id = _meant(session, " ".join(words[:at]))
        kind, value = parse_correction(session.engine.log.database, reading_id, " ".join(words[at:]))
        _correct(session, reading_id, kind, value)
    except (CorrectionError, LookupError) as error:
        session.tell(Fact("warning", str(error)))


def undo(session: Session) -> None:
    """Take back what was edited last and holds: a correction of this session's readings, or the name at hand."""
    sample, db = session.state.sample, session.engine.log.database
    row = db.execute(
        "SELECT c.reading_id, c.id FROM corrections c JOIN readings r ON r.id = c.reading_id"
        f" WHERE r.session_id = ? AND c.kind <> 'undo' AND NOT {UNDONE} ORDER BY c.id DESC LIMIT 1",
        (session.session_id,),
    ).fetchone()
    if sample is not None and sample.names_before:
        renamed = db.execute(
            "SELECT json_extract(details, '$.after_correction') FROM events WHERE session_id = ? AND kind = "
            "'sample_renamed' AND NOT json_extract(details, '$.back') AND json_extract(details, '$.was') = ?"
            " ORDER BY id DESC LIMIT 1",
            (session.session_id, sample.names_before[-1]),
        ).fetchone()
        if row is None or renamed is None or renamed[0] is None or row[1] <= renamed[0]:
            _rename_begun(session, sample, sample.names_before[-1], back=True)
            return
    if row is None:
        session.tell(Fact("warning", "nothing was edited in this session; e void leaves the last sample out"))
    else:
        _correct(session, row[0], "undo", {"correction": row[1]})


def _edit_begun(session: Session, sample: Sample, kind: str, text: str) -> None:
    name, taken = sample.planned.sample_id, len(sample.points)
    if kind in ("rename", "name"):
        new = text.removeprefix("to ").strip()
        if not new or len(new) > LONGEST_NAME:
            session.tell(Fact("warning", f"{name} is what? Write for example: e rename RS007"))
        elif new == name:
            session.tell(Fact("warning", f"it is {name} already"))
        else:
            _rename_begun(session, sample, new)
    elif kind in ("void", "delete", "remove"):
        why = f": {text}" if text else ""
        points = "1 point stays" if taken == 1 else f"{taken} points stay"
        said = f"{name} left out{why}; its {points} in the log and do not count"
        session.record(Event("sample_skipped", said, sample.planned.as_details() | {"why": text, "points": taken}))
    else:
        said = f"{name} is half measured: n and g say more of it; of another reading, e RS005 {kind} ..."
        session.tell(Fact("warning", said))


def _rename_begun(session: Session, sample: Sample, new: str, back: bool = False) -> None:
    was = sample.planned.sample_id
    db = session.engine.log.database
    # Which came first is told by rows: a clock may stand, or be set back.
    (after,) = db.execute("SELECT coalesce(max(id), 0) FROM corrections").fetchone()
    details = {"sample_id": new, "was": was, "back": back, "after_correction": after}
    warning = warning_of(db, 0, "rename", details)
    session.record(Event("sample_renamed", f"{was} is {new}{' again' if back else ''}", details))
    _warn(session, warning)


def _warn(session: Session, warning: str) -> None:
    if warning:
        session.tell(Fact("warning", warning))


def _meant(session: Session, text: str) -> int:
    if text:
        return reading_of(session.engine.log.database, text, session.session_id).reading
    reading_id = session.last_reading()
    if reading_id is None:
        raise LookupError("nothing was measured yet in this session")
    return reading_id


def _correct(session: Session, reading_id: int, kind: str, value: dict[str, object]) -> None:
    db = session.engine.log.database
    sample_id = reading_as_known(db, reading_id).sample_id
    undone = [one for one in history_of(db, reading_id) if kind == "undo" and one.id == value["correction"]]
    said = f"{sample_id} (reading {reading_id})"
    text = f"{said}: {kind} {' '.join(str(part) for part in value.values() if part is not None)}".strip()
    if undone:
        text = f"{said}: no longer {what_was_said(undone[0])}"
    details = {"reading": reading_id, "sample_id": sample_id, "kind": kind, "value": value}
    warning = warning_of(db, reading_id, kind, value)
    session.correct(Event("corrected", text, details), reading_id, kind, value)
    _warn(session, warning)
