"""Names of samples: one that the log has, or that may be no name, is asked about before it is used."""

from __future__ import annotations

from dataclasses import replace

from ..log.names import known_as, when
from .plan import NameAsked, Planned
from .session import Session
from .state import Event
from .steps import Fact


def name(session: Session, sample_id: str, doubt: str = "") -> None:
    """Name the next sample, or ask whether that is meant.

    Args:
        session: between two samples.
        sample_id: the name.
        doubt: why it may be no name; "" if there is no doubt.
    """
    session.name_asked = _asked(session, sample_id, doubt)
    if session.name_asked is None:
        _take(session, sample_id)


def ask_if_listed(session: Session) -> None:
    """Ask about a name that was listed before it is used; nobody is there to be asked where nobody attends."""
    state = session.state
    listed = state.run.listed
    free = state.sample is None and state.named is None and session.name_asked is None
    if free and listed and not session.settings.unattended and session.listed_asked != listed:
        session.listed_asked = listed
        asked = _asked(session, listed, "")
        session.name_asked = asked and replace(asked, listed=True)


def answer_name(session: Session, letter: str) -> bool:
    """Take the answer to what is asked about a name; False if it is another command."""
    asked = session.name_asked
    if asked is None:
        return False
    if letter == "":
        session.name_asked = None if asked.once else replace(asked, once=True)
        if asked.once:
            _take(session, asked.name)
        return True
    if letter == "r" and asked.known is not None:
        session.name_asked = None
        planned = Planned(asked.known.sample_id, again=not asked.listed, replaces=asked.known.reading)
        session.record(Event("named", f"{planned.sample_id} again", planned.as_details()))
        return True
    if letter == "s" and not asked.listed:
        session.name_asked = None
        session.tell(Fact("note", f"not named {asked.name}"))
        return True
    if letter in ("i", "s"):
        session.name_asked = None  # another name instead, or the sample is left out
    return False


def _take(session: Session, sample_id: str) -> None:
    session.record(Event("named", sample_id, session.state.run.named(sample_id).as_details(), None))


def _asked(session: Session, sample_id: str, doubt: str) -> NameAsked | None:
    found = known_as(session.engine.log.database, sample_id)
    same = [one for one in found if one.sample_id == sample_id]
    if same:
        known = same[-1]
        session.tell(Fact("note", f"{sample_id} was measured {when(known)}; r repeats it; Enter twice: a second one"))
        return NameAsked(sample_id, known)
    if found:
        known = found[-1]
        text = f"{known.sample_id} was measured {when(known)}; r repeats it; Enter twice: {sample_id} is another one"
        session.tell(Fact("note", text))
        return NameAsked(sample_id, known)
    if doubt:
        session.tell(Fact("note", f"{sample_id}: {doubt}; Enter twice names a sample so; n makes notes, ? helps"))
        return NameAsked(sample_id)
    return None
