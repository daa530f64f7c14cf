"""What somebody says of a reading afterwards: rows that name the reading, who and when. Nothing is changed or deleted.

`correct` writes a row, `corrected` puts a reading's rows on it; every list, average and export goes through that.

| kind | value | what it does |
|---|---|---|
| `void` | `reason` | the reading does not count |
| `again` | `counts` | the sample was measured again, and that reading counts in place of this one |
| `rename` | `sample_id` | it is of another sample than was typed |
| `note` | `text` | is added to its notes |
| `place` | `latitude_deg`, `longitude_deg`, `altitude_m` | where it was measured |
| `together` | `with` | it is of the same soil as that reading, whatever their names and sessions |
| `condition` | `condition` | of the ground: dry, damp or wet |
| `photo` | `file` | a picture of it, beside the log |
| `undo` | `correction` | takes an earlier row back |
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...converters.spectra.spectrum import CONDITIONS
from ..errors import CorrectionError
from .columns import CORRECTIONS, Reading, StoredCorrection
from .write import Log, now

KINDS = ("void", "again", "rename", "note", "place", "together", "condition", "photo", "undo")
LONGEST_NAME = 200
LONGEST_TEXT = 2000

UNDONE = (
    "EXISTS (SELECT 1 FROM corrections u WHERE u.reading_id = c.reading_id AND u.kind = 'undo'"
    " AND CASE WHEN json_valid(u.value) THEN json_extract(u.value, '$.correction') END = c.id)"
)
"""Whether a row `c` of `corrections` was taken back."""
COUNTS = (
    "NOT EXISTS (SELECT 1 FROM corrections c"
    f" WHERE c.reading_id = r.id AND c.kind IN ('void', 'again') AND NOT {UNDONE})"
)
"""Whether a row `r` of `readings` counts."""
SAMPLE_ID = (
    "coalesce((SELECT CASE WHEN json_valid(c.value) THEN json_extract(c.value, '$.sample_id') END FROM corrections c"
    f" WHERE c.reading_id = r.id AND c.kind = 'rename' AND NOT {UNDONE} ORDER BY c.id DESC LIMIT 1), r.sample_id)"
)
"""The sample that a row `r` of `readings` is of."""
_OF_ONE = f"SELECT {CORRECTIONS.select('c')}, {UNDONE} FROM corrections c WHERE c.reading_id = ? ORDER BY c.id"


@dataclass(frozen=True, eq=False)
class Corrected:
    """A reading as it is to be taken.

    Attributes:
        reading: with its name, notes, place and condition as corrected.
        void: why it does not count; "" if it does.
        soil: equal for readings of one soil: session and sample, or those of the reading it belongs together with.
        history: all that was said of it, in order.
    """

    reading: Reading
    void: str
    soil: str
    history: tuple[StoredCorrection, ...]


def correct(log: Log, reading_id: int, kind: str, value: Mapping[str, Any], who: str = "") -> int:
    """Write a correction; when this returns it is on disk.

    Args:
        log: open.
        reading_id: row of `readings`.
        kind: one of `KINDS`.
        value: see above; what is not known of a place's height is None.
        who: says so; "" if nobody told.

    Returns:
        Its row, for `undo`.

    Raises:
        CorrectionError: no such reading, or a kind or value that cannot be; nothing was written.
        LogError: it was not stored.
    """

    def work() -> int:
        said = _checked(log.database, reading_id, kind, value)
        row = {"at": now(), "reading_id": reading_id, "kind": kind, "value": said, "who": _line(who)}
        return CORRECTIONS.insert(log.database, **row)

    return log.together(work)


def has_reading(db: sqlite3.Connection, number: int) -> bool:
    """Tell whether the log has a reading of this number, which may be any."""
    return abs(number) < 2**63 and bool(
        db.execute("SELECT EXISTS (SELECT 1 FROM readings WHERE id = ?)", (number,)).fetchone()[0]
    )


def history_of(db: sqlite3.Connection, reading_id: int) -> tuple[StoredCorrection, ...]:
    """Give all that was said of a reading, in order."""
    found = []
    for *row, undone in db.execute(_OF_ONE, (reading_id,)):
        said, damage = CORRECTIONS.read_what_can_be(row)
        found.append(StoredCorrection(**said, undone=bool(undone), damaged=damage))
    return tuple(found)


def corrected(db: sqlite3.Connection, reading: Reading) -> Corrected:
    """Put what was said of a reading on it; the reading's own row stays as it is.

    A row that cannot be read makes the reading a damaged one: nobody knows whether it counts.
    """
    history, void = history_of(db, reading.id), ""
    for one in history:
        if one.undone:
            continue
        try:
            if one.damaged:
                raise ValueError(one.damaged)
            reading, void = _applied(reading, one), _void(one) or void
        except (KeyError, TypeError, ValueError) as error:
            damage = one.damaged or f"damaged in the log: row {one.id} of corrections: {error}"
            reading = reading._replace(damaged=reading.damaged or damage)
    if _together_with(history) is None:
        return Corrected(reading, void, soil_key(reading.sample_id, reading.session_id, reading.id), history)
    return Corrected(reading, void, soil_of(db, reading.id), history)


def soil_of(db: sqlite3.Connection, reading_id: int) -> str:
    """Name the soil of a reading; see `Corrected`. Raises ValueError if there is no such reading."""
    chain = [reading_id]
    while (following := _together_with(history_of(db, chain[-1]))) is not None and following not in chain:
        chain.append(following)
    # Where each belongs together with the other, the first of them names the soil.
    first = chain[-1] if following is None else min(chain[chain.index(following) :])
    row = db.execute(f"SELECT {SAMPLE_ID}, r.session_id FROM readings r WHERE r.id = ?", (first,)).fetchone()
    if row is None:
        raise ValueError(f"no reading {first}")
    return soil_key(row[0], row[1], first)


def soil_key(sample_id: str, session_id: int | None, reading_id: int | None = None) -> str:
    """Name a soil: equal names of different sessions are different soils."""
    return f"{session_id or ''}/{sample_id}" if sample_id else f"reading {reading_id}"


def what_was_said(one: StoredCorrection) -> str:
    """Say in words what was said of a reading."""
    try:
        return _WORDS[one.kind].format_map({"was": "", "reason": "", **one.value}).removesuffix(": ")
    except (KeyError, ValueError):
        return f"{one.kind} that cannot be read"


def in_words(one: StoredCorrection) -> str:
    """Say in one line what was said of a reading, when and by whom."""
    by = f" {one.who}:" if one.who else ""
    said = f"{what_was_said(one)}{' (taken back)' if one.undone else ''}"
    return f"[{one.id}] {one.at[:16].replace('T', ' ')} UTC{by} {said}"


_WORDS = {
    "void": "void: {reason}",
    "again": "measured again: reading {counts} counts",
    "rename": "renamed {was} -> {sample_id}",
    "note": "note: {text}",
    "place": "place {latitude_deg}, {longitude_deg}",
    "together": "belongs together with reading {with}",
    "condition": "ground {condition}",
    "photo": "photo {file}",
    "undo": "correction {correction} taken back",
}


def _together_with(history: Sequence[StoredCorrection]) -> int | None:
    found = [one.value.get("with") for one in history if one.kind == "together" and not one.undone]
    return found[-1] if found and isinstance(found[-1], int) else None


def _applied(reading: Reading, one: StoredCorrection) -> Reading:
    value = one.value
    match one.kind:
        case "rename":
            return reading._replace(sample_id=str.__str__(value["sample_id"]))
        case "note":
            return reading._replace(notes="\n".join(filter(None, (reading.notes, str.__str__(value["text"])))))
        case "condition":
            return reading._replace(condition=_condition(value["condition"]))
        case "place":
            height = value.get("altitude_m")
            return reading._replace(
                latitude_deg=float(value["latitude_deg"]),
                longitude_deg=float(value["longitude_deg"]),
                altitude_m=None if height is None else float(height),
                position_source=str(value.get("source") or "typed in"),
                position_at=None,
            )
    return reading


def _void(one: StoredCorrection) -> str:
    if one.kind == "void":
        return f"void: {one.value['reason']}" if one.value.get("reason") else "void"
    return f"measured again: reading {int(one.value['counts'])} counts" if one.kind == "again" else ""


# --- what may be written ------------------------------------------------------------------------------------


def _checked(db: sqlite3.Connection, reading_id: int, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    if kind not in KINDS:
        raise CorrectionError(f"{kind!r}: no such correction; there are {', '.join(KINDS)}")
    if not has_reading(db, reading_id):
        raise CorrectionError(f"reading {reading_id} is not in this log; `stibium log` lists their numbers")
    try:
        return _CHECKS[kind](db, reading_id, value)
    except KeyError as error:
        raise CorrectionError(f"{kind}: {error.args[0]} is missing") from None
    except (TypeError, ValueError) as error:
        raise CorrectionError(f"{kind}: {error}") from None


def _check_void(_db: sqlite3.Connection, _reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"reason": _line(value.get("reason") or "")}


def _check_rename(db: sqlite3.Connection, reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    name = _line(value["sample_id"])
    if not name or len(name) > LONGEST_NAME:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} characters")
    (was,) = db.execute(f"SELECT {SAMPLE_ID} FROM readings r WHERE r.id = ?", (reading_id,)).fetchone()
    if name == was:
        raise ValueError(f"it is {was} already")
    return {"sample_id": name, "was": was}


def _check_note(_db: sqlite3.Connection, _reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    text = _line(value["text"])
    if not text:
        raise ValueError("nothing is said")
    return {"text": text}


def _check_place(_db: sqlite3.Connection, _reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    latitude, longitude = float(value["latitude_deg"]), float(value["longitude_deg"])
    height = None if value.get("altitude_m") is None else float(value["altitude_m"])
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and math.isfinite(height or 0.0)):
        raise ValueError("latitude is -90 to 90, longitude -180 to 180, both in degrees")
    source = _line(value.get("source") or "typed in")
    return {"latitude_deg": latitude, "longitude_deg": longitude, "altitude_m": height, "source": source}


def _check_together(db: sqlite3.Connection, reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"with": _other(db, reading_id, value["with"])}


def _check_again(db: sqlite3.Connection, reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    counts = _other(db, reading_id, value["counts"])
    if db.execute(f"SELECT NOT {COUNTS} FROM readings r WHERE r.id = ?", (counts,)).fetchone()[0]:
        raise ValueError(f"reading {counts} does not count itself")
    return {"counts": counts}


def _check_condition(_db: sqlite3.Connection, _reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"condition": _condition(value["condition"])}


def _check_photo(_db: sqlite3.Connection, _reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    name = _line(value["file"])
    if not name:
        raise ValueError("no file is named")
    return {**value, "file": name}


def _check_undo(db: sqlite3.Connection, reading_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
    number = value["correction"]
    found = [one for one in history_of(db, reading_id) if one.id == number]
    if not found or found[0].kind == "undo":
        raise ValueError(f"reading {reading_id} has no correction {number} to take back")
    if found[0].undone:
        raise ValueError(f"correction {number} has been taken back already")
    return {"correction": found[0].id}


_Check: TypeAlias = "Callable[[sqlite3.Connection, int, Mapping[str, Any]], dict[str, Any]]"
_CHECKS: dict[str, _Check] = {
    "void": _check_void,
    "rename": _check_rename,
    "note": _check_note,
    "place": _check_place,
    "together": _check_together,
    "again": _check_again,
    "condition": _check_condition,
    "photo": _check_photo,
    "undo": _check_undo,
}


def _other(db: sqlite3.Connection, reading_id: int, other: object) -> int:
    if isinstance(other, bool) or not isinstance(other, int):
        raise ValueError(f"{other!r} is no number of a reading")
    if other == reading_id:
        raise ValueError(f"{other} is the reading itself")
    if not has_reading(db, other):
        raise ValueError(f"reading {other} is not in this log")
    return other


def _condition(said: object) -> str:
    if said not in CONDITIONS:
        raise ValueError(f"{said!r}; the ground is {', '.join(CONDITIONS)}")
    return str(said)


def _line(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no text")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:LONGEST_TEXT]
