"""The tables of the log in one piece, how a log of an earlier version comes to have them, and how a log is opened.

Each version has only added tables and columns, so what a log lacks is found by comparing it with `columns.TABLES`, and
a log made new and one brought up to date end up the same. docs/log.md describes the tables.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from ..errors import LogError
from .columns import TABLES

SCHEMA_VERSION = 7
APPLICATION_ID = 0x53624C67  # "SbLg"
BUSY_S = 30.0
"""How long to wait for another process that is writing."""

_INDICES = {
    "readings_by_sample": "readings(sample_id)",
    "readings_by_session": "readings(session_id)",
    "estimates_by_reading": "estimates(reading_id)",
    "refusals_by_reading": "refusals(reading_id)",
    "refusals_by_session": "refusals(session_id)",
    "scans_by_session": "scans(session_id)",
    "reading_scans_by_scan": "reading_scans(scan_id)",
    "events_by_session": "events(session_id)",
    "corrections_by_reading": "corrections(reading_id)",
    "ore_calls_by_sample": "ore_calls(sample_id)",
}

_MAY_CHANGE = {"sessions": ("ended_at",), "models": ("calibrated_low", "calibrated_high")}
"""Columns that are filled in later."""
_NOT_KEPT = ("taken_files", "taken_items")
"""What was taken from a drop folder; `taken_files` follows the files."""


def _lacking(db: sqlite3.Connection) -> Iterator[str]:
    """Give the statements that make the tables, indices and triggers which a log does not have yet."""
    for table in TABLES:
        there = columns_in(db, table.name)
        if not there:
            yield table.create
            continue
        for column in table.columns:
            if column.name not in there:
                yield f"ALTER TABLE {table.name} ADD COLUMN {column.definition}"
    for name, place in _INDICES.items():
        yield f"CREATE INDEX IF NOT EXISTS {name} ON {place}"
    # The database itself refuses to delete or change rows, whoever asks.
    for table in TABLES:
        if table.name in _NOT_KEPT:
            continue
        free = _MAY_CHANGE.get(table.name, ())
        kept = [column.sql_name for column in table.columns if column.name not in free]
        changes = f"UPDATE OF {', '.join(kept)}" if free else "UPDATE"
        yield (
            f"CREATE TRIGGER IF NOT EXISTS {table.name}_are_not_deleted BEFORE DELETE ON {table.name}"
            " BEGIN SELECT RAISE(ABORT, 'nothing is deleted from the log'); END"
        )
        yield (
            f"CREATE TRIGGER IF NOT EXISTS {table.name}_are_not_changed BEFORE {changes} ON {table.name}"
            " BEGIN SELECT RAISE(ABORT, 'nothing in the log is changed'); END"
        )


def columns_in(db: sqlite3.Connection, table: str) -> set[str]:
    """Return the columns of a table as it is in the file; none if it is not there."""
    return {str(row[1]) for row in db.execute(f"PRAGMA main.table_info({table})")}


def show_as_today(db: sqlite3.Connection) -> None:
    """Let a log of an earlier version, open for reading only, be asked as one of today; the file stays as it is.

    Temporary views and empty tables of the same names stand before what the file lacks.
    """
    db.execute("PRAGMA temp_store=MEMORY")
    for table in TABLES:
        there = columns_in(db, table.name)
        if not there:
            db.execute(table.create.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        elif any(column.name not in there for column in table.columns):
            columns = ", ".join(c.sql_name if c.name in there else f"{c.default} AS {c.name}" for c in table.columns)
            db.execute(f"CREATE TEMP VIEW {table.name} AS SELECT {columns} FROM main.{table.name}")


class Transaction:
    """All or nothing; takes the write lock at once, so that two processes wait instead of failing half-way."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            # A commit may fail too, and must not leave the next writer inside a transaction that cannot end.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a log, made or brought up to date as needed, with settings under which a commit survives a power cut.

    Raises:
        LogError: cannot be opened, is no log of readings, or was made by a newer program.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise LogError(cannot(path, "be opened", error)) from error
    try:
        _write_ahead(db)
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        _bring_up_to_date(db, path)
    except sqlite3.Error as error:
        db.close()
        raise LogError(cannot(path, "be used", error)) from error
    except LogError:
        db.close()
        raise
    return db


def version_of(db: sqlite3.Connection, path: str | PathLike[str]) -> int:
    """Give the version of a log, 0 for an empty file; raises LogError if it is no log or a newer one."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise LogError(f"{path}: a database of another program; name another file with --log")
    if not 1 <= version <= SCHEMA_VERSION:
        raise LogError(f"{path}: log version {version}, this program writes version {SCHEMA_VERSION}; update stibium")
    return int(version)


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    # One transaction, in which the version changes too: a program that is killed in it leaves the old version whole.
    with Transaction(db):
        if version_of(db, path) == SCHEMA_VERSION:
            return
        for statement in _lacking(db):
            db.execute(statement)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _write_ahead(db: sqlite3.Connection) -> None:
    # Another process that is making the same file holds it for a moment, and this statement does not wait for locks.
    give_up = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def cannot(path: str | PathLike[str], what: str, error: Exception) -> str:
    """Say in one line that the log cannot be opened, written, ... and what helps."""
    reason = getattr(error, "strerror", None) or str(error)
    helps = "" if "not a database" in reason else "free space or permission is needed, or "
    return f"{path}: the log cannot {what}: {reason}; {helps or 'name '}another file with --log"
