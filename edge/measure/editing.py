"""Corrections that are typed while measuring: "edit rename RS007" of the last reading, "edit RS005 void wrong pit"."""

from __future__ import annotations

from ..errors import CorrectionError
from ..log.corrections import UNDONE, history_of, in_words
from ..log.names import reading_of
from ..log.typed import EXAMPLES, is_kind, parse_correction
from .session import Session
from .state import Event
from .steps import Fact


def edit(session: Session, text: str) -> None:
    """Correct a reading: the last one of this session, or the one that is named before what is said of it."""
    words = text.split()
    at = next((number for number, word in enumerate(words) if is_kind(word)), None)
    if at is None:
        session.tell(Fact("warning", f"write for example: e {EXAMPLES.replace('; ', '; e ')}"))
        return
    try:
        reading_id = _meant(session, " ".join(words[:at]))
        kind, value = parse_correction(session.engine.log.database, reading_id, " ".join(words[at:]))
        _correct(session, reading_id, kind, value)
    except (CorrectionError, LookupError) as error:
        session.tell(Fact("warning", str(error)))


def undo(session: Session) -> None:
    """Take back the last correction that holds of this session's readings."""
    row = session.engine.log.database.execute(
        "SELECT c.reading_id, c.id FROM corrections c JOIN readings r ON r.id = c.reading_id"
        f" WHERE r.session_id = ? AND c.kind <> 'undo' AND NOT {UNDONE} ORDER BY c.id DESC LIMIT 1",
        (session.session_id,),
    ).fetchone()
    if row is None:
        session.tell(Fact("warning", "nothing was edited in this session; e void leaves the last sample out"))
    else:
        _correct(session, row[0], "undo", {"correction": row[1]})


def _meant(session: Session, text: str) -> int:
    if text:
        return reading_of(session.engine.log.database, text, session.session_id).reading
    reading_id = session.last_reading()
    if reading_id is None:
        raise LookupError("nothing was measured yet in this session")
    return reading_id


def _correct(session: Session, reading_id: int, kind: str, value: dict[str, object]) -> None:
    db = session.engine.log.database
    sample_id = reading_of(db, str(reading_id)).sample_id
    undone = [one for one in history_of(db, reading_id) if kind == "undo" and one.id == value["correction"]]
    said = f"{sample_id} (reading {reading_id})"
    text = f"{said}: {kind} {' '.join(str(part) for part in value.values() if part is not None)}".strip()
    if undone:
        text = f"{said}: no longer {in_words(undone[0])}"
    details = {"reading": reading_id, "sample_id": sample_id, "kind": kind, "value": value}
    session.correct(Event("corrected", text, details), reading_id, kind, value)
