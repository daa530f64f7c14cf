"""Corrections and places as a person types them: "rename RS007", "void wrong pit", "place 41.15,-8.36"."""

from __future__ import annotations

import sqlite3
from typing import Any

from ..errors import CorrectionError, PositionError
from .corrections import KINDS, history_of
from .place import parse_place

_TYPED = {
    "void": "void wrong pit",
    "rename": "rename RS007",
    "note": "note wet, roots",
    "place": "place 41.15,-8.36",
    "together": "together 12",
    "again": "again 15",
    "condition": "condition damp",
    "undo": "undo, or undo 3",
}
"""What can be typed of a reading, with an example of each."""
EXAMPLES = "; ".join(_TYPED.values())
_MEANT = {
    "at": "place",
    "name": "rename",
    "delete": "void",
    "remove": "void",
    "same": "together",
    "ground": "condition",
}
assert set(_TYPED) <= set(KINDS)


def is_kind(word: str) -> bool:
    """Tell whether a word says what kind a correction is."""
    return word.lower() in _TYPED or word.lower() in _MEANT


def parse_correction(db: sqlite3.Connection, reading_id: int, words: str) -> tuple[str, dict[str, Any]]:
    """Read what is said of a reading.

    Args:
        db: the log's connection, for what `undo` alone takes back: the last correction that holds.
        reading_id: what it is said of.
        words: kind and value, such as "rename RS007"; upper and lower case do not matter in the kind.

    Returns:
        Kind and value, for `corrections.correct`.

    Raises:
        CorrectionError: not understood.
    """
    first, _, rest = words.strip().partition(" ")
    kind, rest = first.lower(), rest.strip()
    kind = _MEANT.get(kind, kind)
    if kind not in _TYPED:
        raise CorrectionError(f"{first!r} cannot be said of a reading; write one of: {EXAMPLES}")
    if kind == "void":
        return kind, {"reason": rest}
    if kind == "undo":
        return kind, {"correction": _number(rest.strip("[]"), kind) if rest else _last(db, reading_id)}
    if not rest:
        raise CorrectionError(f"{kind} of what? Write for example: {_TYPED[kind]}")
    if kind == "place":
        try:
            place = parse_place(rest)
        except PositionError as error:
            raise CorrectionError(str(error)) from None
        return kind, {
            "latitude_deg": place.latitude_deg,
            "longitude_deg": place.longitude_deg,
            "altitude_m": place.altitude_m,
        }
    if kind in ("together", "again"):
        other = rest.lower().removeprefix("with ").removeprefix("reading ")
        return kind, {"with" if kind == "together" else "counts": _number(other, kind)}
    name = {"rename": "sample_id", "note": "text", "condition": "condition"}[kind]
    if kind == "rename":
        rest = rest.removeprefix("to ")
    return kind, {name: rest.lower() if kind == "condition" else rest}


def _number(text: str, kind: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise CorrectionError(f"{kind}: {text!r} is no number; write for example: {_TYPED[kind]}") from None


def _last(db: sqlite3.Connection, reading_id: int) -> int:
    holding = [one.id for one in history_of(db, reading_id) if one.kind != "undo" and not one.undone]
    if not holding:
        raise CorrectionError(f"nothing was corrected of reading {reading_id}")
    return holding[-1]
