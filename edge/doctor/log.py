"""What `stibium doctor` looks at in the log. It is opened for reading only."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..log.schema import APPLICATION_ID, SCHEMA_VERSION
from .examine import Finding

_COPY_AWAY = "copy the log, with its -wal file, to another disk before anything else; then sqlite3 LOG .recover"


def log(path: Path) -> Iterator[Finding]:
    """Whether the log can be written, is whole, and is of a version this program knows."""
    if not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not os.access(folder, os.W_OK):
            yield Finding("log", "problem", f"{path}: cannot be made, {folder} is not writable", _permission(folder))
        else:
            yield Finding("log", "ok", f"{path}: not there yet, will be made by the first reading")
        return
    try:
        with closing(_open(path)) as db:
            yield from _contents(path, db)
    except sqlite3.DatabaseError as error:
        # "file is not a database", "disk image is malformed", "unable to open": all come as this.
        readable = os.access(path, os.R_OK)
        advice = _COPY_AWAY if readable else _permission(path)
        yield Finding("log", "problem", f"{path}: cannot be read: {error}", advice)
        return
    for place in (path, path.parent):
        if not os.access(place, os.W_OK):
            yield Finding("log", "problem", f"{place}: not writable, so nothing can be measured", _permission(place))


def _contents(path: Path, db: sqlite3.Connection) -> Iterator[Finding]:
    damages = [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]
    if damages != ["ok"]:
        yield Finding("log", "problem", f"{path}: damaged: {'; '.join(damages)}", _COPY_AWAY)
        return
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if not _tables(db):
        yield Finding("log", "ok", f"{path}: empty")
    elif application != APPLICATION_ID:
        yield Finding("log", "problem", f"{path}: a database of another program", "name another file with --log")
    elif version > SCHEMA_VERSION:
        found = f"{path}: version {version}, this program knows {SCHEMA_VERSION}"
        yield Finding("log", "problem", found, "update stibium")
    else:
        (readings,) = db.execute("SELECT count(*) FROM readings").fetchone()
        (refusals,) = db.execute("SELECT count(*) FROM refusals").fetchone()
        yield Finding("log", "ok", f"{path}: whole, {readings} readings, {refusals} refusals")


def newest_reading(path: Path) -> datetime | None:
    """When the newest reading or scan was stored, UTC; None if there is none or the log cannot be read."""
    found = [_first(path, table, f"SELECT max(stored_at) FROM {table}") for table in ("readings", "scans")]
    return max((at for row in found if row and (at := _time(row[0]))), default=None)


def white_reference(path: Path, now: datetime, valid_min: float) -> Iterator[Finding]:
    """How old the newest white reference is.

    Args:
        path: the log.
        now: the device's clock.
        valid_min: minutes that a white reference may be used.
    """
    newest = "SELECT measured_at, simulated FROM scans WHERE kind = 'white' ORDER BY measured_at DESC LIMIT 1"
    row = _first(path, "scans", newest)
    taken = _time(row[0]) if row else None
    if row is None or taken is None:
        yield Finding("white", "ok", "no white reference in the log yet; measuring asks for one")
        return
    age_min = (now - taken).total_seconds() / 60
    found = f"the last white reference{' (SIMULATED)' if row[1] else ''} is {_in_words(age_min)} old"
    if age_min > valid_min:
        yield Finding("white", "warning", found, "take one before the next sample; measuring asks for it")
    else:
        yield Finding("white", "ok", f"{found}, valid for {valid_min:g} min")


def _first(path: Path, table: str, statement: str) -> tuple[Any, ...] | None:
    if not path.exists():
        return None
    try:
        with closing(_open(path)) as db:
            return db.execute(statement).fetchone() if table in _tables(db) else None
    except sqlite3.DatabaseError:
        return None  # `log` says what is wrong with it


def _time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)


def _open(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(address, uri=True, timeout=5)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        db.close()
        journal = path.with_name(path.name + "-wal")
        if journal.exists() and journal.stat().st_size:
            raise
        # Where nothing can be written SQLite cannot make the index of the write-ahead file; but there is no such file.
        return sqlite3.connect(f"{address}&immutable=1", uri=True)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _tables(db: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


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
