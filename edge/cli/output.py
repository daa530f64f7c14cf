"""How every command writes: a table for people, JSON lines and CSV for programs, single lines for a journal.

A command says in a `Layout` what its things are; how they come out is decided here.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TextIO, TypeVar

import click

from .progress import clear_line

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_LEAST_ROOM = 24
"""Columns for a table's last cell; with less, a row is written in lines of its own."""
PAGE = 200
"""Rows that a table's widths are made for; later rows that are wider push their line to the right."""


def format_of(*choices: str, about: str = "How results are written.") -> Callable[[F], F]:
    """`--format` with these choices; the first one is usual."""
    return click.option(
        "--format", "out_format", type=click.Choice(choices), default=choices[0], show_default=True, help=about
    )


format_option = format_of("table", "jsonl", "csv")
reading_format_option = format_of("table", "jsonl", "csv", "line")
"""Of commands that give readings, with `line` for the journal of a service."""


@dataclass(frozen=True, eq=False)
class Layout(Generic[T]):
    """How things of one kind are written.

    Attributes:
        record: gives a thing as plain values, for JSON lines.
        names: of the columns of CSV; those of the first record if they are not said.
        rows: gives its rows of CSV, where they are not the record itself.
        titles: of the table's columns.
        cells: gives its rows of the table, as texts; the last one may be of any length.
        right: columns of the table that are aligned right.
        lines: gives it as lines of text in place of a table, where columns would be too wide.
        note: stands above the table, and above single lines.
        line: gives it in one line, for `--format line`.
    """

    record: Callable[[T], Mapping[str, Any]]
    names: Sequence[str] = ()
    rows: Callable[[T], Iterable[Mapping[str, Any]]] | None = None
    titles: Sequence[str] = ()
    cells: Callable[[T], Iterable[Sequence[str]]] | None = None
    right: Sequence[int] = ()
    lines: Callable[[T], Iterable[str]] | None = None
    note: str = ""
    line: Callable[[T], str] | None = None


class Output(Generic[T]):
    """Writes things as they come.

    Args:
        out_format: "table", "jsonl", "csv" or "line".
        layout: of the things.
        out: where to; standard output if it is not said.
        separator, decimal: of CSV: between cells, and in numbers.
    """

    def __init__(
        self,
        out_format: str,
        layout: Layout[T],
        out: TextIO | None = None,
        separator: str = ",",
        decimal: str = ".",
    ) -> None:
        self._format, self._layout = out_format, layout
        self._out = out if out is not None else sys.stdout
        self._widths: list[int] | None = None
        # What goes into a file or to a program stays one line a row.
        self._columns = shutil.get_terminal_size().columns if self._out.isatty() else None
        if out_format == "csv":
            import csv

            self._csv = csv.writer(self._out, delimiter=separator, lineterminator="\n")
        self._decimal = decimal
        self._names: Sequence[str] = ()
        self._headed = False

    def write(self, things: Iterable[T]) -> int:
        """Write things, flush, and return how many they were. Memory is that of a page.

        Raises:
            OSError: the output takes no more.
        """
        count = 0
        things = iter(things)
        write = {"jsonl": self._json, "csv": self._rows, "line": self._single_lines}.get(self._format, self._table)
        while page := list(islice(things, PAGE)):
            count += len(page)
            write(page)
        if self._format == "csv" and not self._names and self._layout.names:
            self._head(self._layout.names)
        self._out.flush()
        return count

    def _json(self, page: Sequence[T]) -> None:
        for thing in page:
            self._out.write(f"{json_text(self._layout.record(thing))}\n")

    def _rows(self, page: Sequence[T]) -> None:
        from ...converters.spectra.text import for_spreadsheet  # only CSV pays for it

        def cell_of(value: object) -> object:
            if isinstance(value, (list, tuple)):
                value = "; ".join(map(str, value))
            if isinstance(value, str):
                return for_spreadsheet(printable(value)) if value else value
            if isinstance(value, float):
                return str(value).replace(".", ",") if self._decimal == "," else value
            return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value

        rows_of = self._layout.rows or (lambda thing: [self._layout.record(thing)])
        for thing in page:
            for row in rows_of(thing):
                if not self._names:
                    self._head(self._layout.names or list(row))
                self._csv.writerow([cell_of(row[name]) for name in self._names])

    def _head(self, names: Sequence[str]) -> None:
        self._names = names
        self._csv.writerow(names)

    def _single_lines(self, page: Sequence[T]) -> None:
        assert self._layout.line is not None
        if page and not self._headed and self._layout.note:
            self._out.write(f"{printable(self._layout.note)}\n")
        self._headed = True
        self._out.writelines(f"{printable(self._layout.line(thing))}\n" for thing in page)

    def _table(self, page: Sequence[T]) -> None:
        layout = self._layout
        if layout.lines is not None:
            for thing in page:
                for line in layout.lines(thing):
                    self._write_wrapped(printable(line), " " * (len(line) - len(line.lstrip()) + 2))
            return
        assert layout.cells is not None
        rows = [[printable(cell) for cell in row] for thing in page for row in layout.cells(thing)]
        if self._widths is None and rows:
            self._widths = [max(map(len, column)) for column in zip(layout.titles, *rows, strict=True)][:-1]
            if layout.note:
                self._write_wrapped(printable(layout.note), "  ")
                self._out.write("\n")
            rows.insert(0, list(layout.titles))
        room = None if self._columns is None else self._columns - sum(self._widths or ()) - 2 * len(self._widths or ())
        if room is None:
            self._out.writelines(self._line(row) for row in rows)
        elif room < _LEAST_ROOM:
            for row in rows:
                self._write_wrapped("  ".join(filter(None, (cell.strip() for cell in row[:-1]))), "  ")
                self._write_wrapped(f"  {row[-1]}".rstrip(), "  ")
        else:
            for row in rows:
                first, *rest = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
                self._out.write(self._line([*row[:-1], first]))
                before = " " * (sum(self._widths or ()) + 2 * len(self._widths or ()))
                self._out.writelines(f"{before}{line}\n" for line in rest)

    def _write_wrapped(self, line: str, indent: str) -> None:
        """Write a line, on a terminal in as many as it takes; what follows is indented."""
        if self._columns is None or len(line) <= self._columns:
            self._out.write(f"{line}\n" if line else "")
            return
        begins = line[: len(line) - len(line.lstrip())]
        wrapped = textwrap.wrap(
            line.strip(), self._columns, initial_indent=begins, subsequent_indent=indent, break_on_hyphens=False
        )
        self._out.writelines(f"{one}\n" for one in wrapped)

    def _line(self, row: Sequence[str]) -> str:
        cells = [
            f"{text:>{width}}" if number in self._layout.right else f"{text:<{width}}"
            for number, (text, width) in enumerate(zip(row, self._widths or (), strict=False))
        ]
        return "  ".join([*cells, row[-1]]).rstrip() + "\n"


def notice(line: str) -> None:
    """Show a line on standard error, clear of a progress line."""
    clear_line()
    click.echo(f"stibium: {printable(' '.join(line.split()))}", err=True)


def printable(text: str) -> str:
    """Make a text safe for a terminal: whatever moves the cursor, breaks the line or turns its direction is a space.

    Names of files and samples come from sticks and instruments and may hold anything.
    """
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def say(line: str, err: bool = False, nl: bool = True) -> None:
    """Show one line, made safe for a terminal."""
    click.echo(printable(line), err=err, nl=nl)


def json_text(value: object, indent: int | None = None) -> str:
    """Write JSON that a program reads as it is, and that a terminal obeys in nothing."""
    lines = json.dumps(value, ensure_ascii=False, indent=indent).split("\n")
    return "\n".join(line if line.isprintable() else _escaped(line) for line in lines)


def _escaped(text: str) -> str:
    # As JSON escapes what is no ASCII.
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)
