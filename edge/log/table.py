"""How tables of the log are declared: a column once, with its SQL, what it is made of, and how it is read back."""

import json
import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import numpy as np

from ...converters.spectra.names import as_utf8
from ..errors import LogError


class DamagedRowError(LogError):
    """A row of the log holds what no version of this program has written; the message names table, row and column."""


_UNREADABLE = (ValueError, TypeError, OverflowError)


def _same(value: Any) -> Any:
    return value


class ColumnKind(NamedTuple):
    """What a column holds. None is NULL in every kind, and is given to neither function.

    Attributes:
        sql: type in SQLite.
        write: makes what SQLite stores.
        read: makes the value again; raises one of `_UNREADABLE` for what cannot be one.
        blank: stands for a value that cannot be read, in a row that is refused for that.
    """

    sql: str
    write: Callable[[Any], Any] = _same
    read: Callable[[Any], Any] = _same
    blank: Any = None


def as_json(value: object) -> str:
    """Write anything an instrument or a file says as JSON that every reader takes: NaN becomes null, bytes hex."""
    try:
        text = _JSON.encode(value)
    except (TypeError, ValueError):
        text = _JSON.encode(_plain(value))
    return as_utf8(text)


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> object:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (dict, Mapping)):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _object(text: str) -> dict[str, Any]:
    if text == "{}":
        return {}
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"{text[:40]} is no JSON object")
    return value


def _floats(stored_as: str) -> ColumnKind:
    return ColumnKind(
        "BLOB",
        lambda values: np.asarray(values).astype(stored_as, copy=False).tobytes(),
        lambda blob: np.frombuffer(blob, stored_as).astype(np.float64, copy=False),
    )


def _stamp(stored: Any) -> str:
    datetime.fromisoformat(stored)
    return str(stored)


TEXT = ColumnKind("TEXT", as_utf8, str.__str__, "")
STAMP = ColumnKind("TEXT", as_utf8, _stamp, "1970-01-01T00:00:00.000+00:00")
"""This device's clock, UTC, as `write.now` gives it; kept as text, which sorts as times do."""
TIME = ColumnKind("TEXT", datetime.isoformat, datetime.fromisoformat)
INTEGER = ColumnKind("INTEGER", int, int, 0)
REAL = ColumnKind("REAL", float, float)
BOOLEAN = ColumnKind("INTEGER", bool, bool)
OBJECT = ColumnKind("TEXT", as_json, _object, {})
LIST = ColumnKind("TEXT", as_json, lambda text: () if text == "[]" else tuple(json.loads(text)), ())
BLOB = ColumnKind("BLOB")
FLOATS_32 = _floats("<f4")
FLOATS_64 = _floats("<f8")

ID = "PRIMARY KEY"
NOT_NULL = "NOT NULL"
NULLABLE = ""


class LogColumn(NamedTuple):
    """A column of a table.

    Attributes:
        name: in SQL, and of the attribute it is read into.
        kind: what it holds.
        rule: what SQL demands of it; with a DEFAULT for rows older than the column, unless NULL means that.
        source: which of the things that a row is made of gives the value; None if `LogTable.insert` is told it by name.
        get: takes the value from that thing; the attribute of the column's name if None.
    """

    name: str
    kind: ColumnKind
    rule: str = NOT_NULL
    source: int | None = None
    get: Callable[[Any], Any] | None = None

    @property
    def sql_name(self) -> str:
        """The name as SQL has to write it."""
        return '"values"' if self.name == "values" else self.name

    @property
    def definition(self) -> str:
        """The column in a CREATE TABLE or ALTER TABLE statement."""
        return f"{self.sql_name} {self.kind.sql} {self.rule}".rstrip()

    @property
    def default(self) -> str:
        """What SQL has for rows that are older than the column."""
        return self.rule.partition("DEFAULT ")[2] or "NULL"


def column(
    kind: ColumnKind, rule: str = NOT_NULL, source: int | None = None, get: Callable[[Any], Any] | None = None
) -> Any:
    """Declare a field of a row's class to be a column; see `LogColumn`."""
    return LogColumn("", kind, rule, source, get)


def columns_of(row_class: type[NamedTuple]) -> tuple[LogColumn, ...]:
    """Return the columns that a row's class declares, in its order."""
    declared = row_class._field_defaults.items()
    return tuple(one._replace(name=name) for name, one in declared if isinstance(one, LogColumn))


@dataclass(frozen=True, eq=False)
class LogTable:
    """A table.

    Attributes:
        name: of the table.
        columns: in the order in which versions of the log have added them.
        constraints: of the whole table.
        options: what follows the parenthesis, such as WITHOUT ROWID.
    """

    name: str
    columns: tuple[LogColumn, ...]
    constraints: tuple[str, ...] = ()
    options: str = ""

    @property
    def create(self) -> str:
        """The CREATE TABLE statement."""
        inside = ",\n    ".join((*(column.definition for column in self.columns), *self.constraints))
        return f"CREATE TABLE {self.name} (\n    {inside}\n) {self.options}".rstrip()

    def only(self, *names: str) -> "LogTable":
        """Return the table with some of its columns, for reading them."""
        return LogTable(self.name, tuple(column for column in self.columns if column.name in names))

    def select(self, alias: str) -> str:
        """Return the columns for a SELECT from the table by this alias."""
        return ", ".join(f"{alias}.{column.sql_name}" for column in self.columns)

    def read(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return what a row selected with `select` says, by column.

        Raises:
            DamagedRowError: a value that is none of its column's kind.
        """
        said, damage = self.read_what_can_be(row)
        if damage:
            raise DamagedRowError(damage)
        return said

    def read_what_can_be(self, row: Sequence[Any]) -> tuple[dict[str, Any], str]:
        """Return what a row says, and what is damaged in it; "" if nothing is."""
        names, readers = self._readers
        try:
            values = [None if stored is None else read(stored) for read, stored in zip(readers, row, strict=True)]
            return dict(zip(names, values, strict=True)), ""
        except _UNREADABLE:
            return self._read_damaged(row)

    @cached_property
    def _readers(self) -> tuple[list[str], list[Callable[[Any], Any]]]:
        return [one.name for one in self.columns], [one.kind.read for one in self.columns]

    def _read_damaged(self, row: Sequence[Any]) -> tuple[dict[str, Any], str]:
        said, damaged = {}, []
        for one, stored in zip(self.columns, row, strict=True):
            try:
                said[one.name] = None if stored is None else one.kind.read(stored)
            except _UNREADABLE as error:
                said[one.name] = one.kind.blank
                damaged.append(f"{one.name} ({error})")
        return said, f"damaged in the log: row {row[0]} of {self.name}, {', '.join(damaged)}"

    def insert(self, db: sqlite3.Connection, *sources: object, **given: object) -> int:
        """Add a row, inside the caller's transaction.

        Args:
            db: the log's connection.
            sources: what the row is made of.
            given: values of the columns that are made of none of these.

        Returns:
            Its id.
        """
        statement, written = self._insert
        things = (given, *sources)
        row = [None if (value := take(things[place])) is None else write(value) for place, take, write in written]
        return int(db.execute(statement, row).lastrowid or 0)

    def taken(self, *sources: object, **given: object) -> dict[str, Any]:
        """Return what the row that `insert` makes of the same will be read as, without storing it."""
        things = (given, *sources)
        return {name: take(things[place]) for name, place, take in self._takers}

    @cached_property
    def _takers(self) -> list[tuple[str, int, Callable[[Any], Any]]]:
        """Each column's name; from which thing its value is taken, and how."""
        return [
            (one.name, 0, itemgetter(one.name))
            if one.source is None
            else (one.name, one.source + 1, one.get or attrgetter(one.name))
            for one in self.columns
        ]

    @cached_property
    def _insert(self) -> tuple[str, list[tuple[int, Callable[[Any], Any], Callable[[Any], Any]]]]:
        """The statement; and for each of its values from which thing it is taken, how, and how it is written."""
        columns = [one for one in self.columns if one.rule != ID]
        written = [
            (place, take, one.kind.write)
            for one, (_, place, take) in zip(self.columns, self._takers, strict=True)
            if one.rule != ID
        ]
        names = [one.sql_name for one in columns]
        return f"INSERT INTO {self.name}({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", written
