"""What `stibium doctor` looks at in the log. It is opened for reading only."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import LogError
from ..log.read import open_for_reading
from ..log.true_time import last_white
from ..log.verify import damaged_rows
from .diagnosis import Check, Diagnosis, Patient

LAST_ROWS = 1000
"""So many rows of each table are compared with their hashes, if not all are asked for."""
LOOKED_THROUGH_BYTES = 256 << 20
"""Of a larger log the last rows alone: a memory card takes a minute to read so much."""
_COPY_AWAY = "copy the log, with its -wal file, to another disk before anything else; then sqlite3 LOG .recover"


def log(patient: Patient) -> Iterator[Diagnosis]:
    """Whether the log can be written, is whole, and is of a version this program knows."""
    path = patient.log
    if not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not os.access(folder, os.W_OK):
            yield Diagnosis("log", "problem", f"{path}: cannot be made, {folder} is not writable", _permission(folder))
        else:
            yield Diagnosis("log", "ok", f"{path}: not there yet, will be made by the first reading")
        return
    try:
        with open_for_reading(path) as db:
            yield from _contents(patient, db)
    except LogError as error:
        found, _, advice = str(error).partition("; ")
        if isinstance(error.__cause__, sqlite3.Error):
            # "file is not a database", "disk image is malformed", "unable to open": all come as this.
            advice = _COPY_AWAY if os.access(path, os.R_OK) else _permission(path)
        yield Diagnosis("log", "problem", found, advice)
        return
    for place in (path, path.parent):
        if not os.access(place, os.W_OK):
            yield Diagnosis("log", "problem", f"{place}: not writable, so nothing can be measured", _permission(place))


def _contents(patient: Patient, db: sqlite3.Connection) -> Iterator[Diagnosis]:
    path = patient.log
    looked_through = patient.all_hashes or path.stat().st_size <= LOOKED_THROUGH_BYTES
    damages = [str(row[0]) for row in db.execute("PRAGMA main.quick_check(3)")] if looked_through else ["ok"]
    if damages != ["ok"]:
        yield Diagnosis("log", "problem", f"{path}: damaged: {'; '.join(damages)}", _COPY_AWAY)
        return
    readings, refusals = (db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("readings", "refusals"))
    whole = "whole" if looked_through else "opens (--all-hashes looks through all of it)"
    yield Diagnosis("log", "ok", f"{path}: {whole}, {readings} readings, {refusals} refusals")
    damages = list(damaged_rows(db, None if patient.all_hashes else LAST_ROWS))
    if damages:
        more = f", and {len(damages) - 3} more" if len(damages) > 3 else ""
        yield Diagnosis("hashes", "problem", f"{'; '.join(damages[:3])}{more}", _COPY_AWAY)
    elif patient.all_hashes or readings <= LAST_ROWS:
        yield Diagnosis("hashes", "ok", "every row is as it was stored")
    else:
        yield Diagnosis("hashes", "ok", f"the last {LAST_ROWS} rows are as they were stored; --all-hashes compares all")


def newest_reading(path: Path) -> datetime | None:
    """When the newest reading or scan was stored, UTC; None if there is none or the log cannot be read."""
    newest = "SELECT max(stored_at) FROM (SELECT stored_at FROM {} ORDER BY id DESC LIMIT 1000)"
    found = [_first(path, newest.format(table)) for table in ("readings", "scans")]
    return max((at for row in found if row and (at := _time(row[0]))), default=None)


def white_reference(patient: Patient) -> Iterator[Diagnosis]:
    """How old the newest white reference is."""
    try:
        with open_for_reading(patient.log) as db:
            white = last_white(db, now=patient.host.now)
    except LogError:
        white = None  # it is not there, or `log` says what is wrong with it
    if white is None:
        yield Diagnosis("white", "ok", "no white reference in the log yet; measuring asks for one")
        return
    age_min = white[0] / 60
    what = f"the last white reference{' (SIMULATED)' if white[1] else ''}"
    found = f"{what} is {_in_words(age_min)} old"
    if age_min < -1:
        found = f"{what} is dated {_in_words(-age_min)} ahead of this device's clock, which was set back"
        yield Diagnosis("white", "warning", found, "take one before the next sample")
    elif age_min > patient.white_valid_min:
        yield Diagnosis("white", "warning", found, "take one before the next sample; measuring asks for it")
    else:
        yield Diagnosis("white", "ok", f"{found}, valid for {patient.white_valid_min:g} min")


CHECKS: tuple[Check, ...] = (log, white_reference)


def _first(path: Path, statement: str) -> tuple[Any, ...] | None:
    try:
        with open_for_reading(path) as db:
            row: tuple[Any, ...] | None = db.execute(statement).fetchone()
            return row
    except LogError:
        return None  # it is not there, or `log` says what is wrong with it


def _time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)


def _permission(path: Path) -> str:
    try:
        owner, group = path.owner(), path.group()
        for_group = bool(path.stat().st_mode & stat.S_IWGRP) and group != "root"
    except (OSError, KeyError):
        return "name another file with --log"
    if for_group:
        return f"it belongs to group {group}: sudo usermod -a -G {group} $USER, then log in again"
    return f"it belongs to {owner}: run as {owner}, change its permissions, or name another file with --log"


def _in_words(minutes: float) -> str:
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"
