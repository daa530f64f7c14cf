"""Tables of blocks, read in pieces: numbers, bounds, classes, labels and groups out of CSV.

A detection limit stays what it says: `<0.02` is a value with the bound -1, `>4000` one with the bound 1. What is not
known is not-a-number. Nothing is guessed: a field that is neither a number, a word of its class nor a known word for
"missing" refuses its row, in one line that names file, line and column.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.errors import SpectrumFileError
from ...converters.spectra.files import HEAD_BYTES, unpacked, workbook_of
from ...converters.spectra.spectrum import Floats
from ...converters.spectra.text import encoding_of, says_simulated, shortened
from ..assay_values import DECLARED_DELIMITER, SIGNS, DecimalMarks, finite_number
from ..errors import BlockTableError
from .cells import ABOVE, BELOW, ReadCell, field_reader, read_column
from .columns import Columns, Variable, did_you_mean

CHUNK = 2048
ORE, GANGUE, UNLABELLED = 1, 0, -1
DELIMITERS = ",;\t"

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class RefusedRow:
    """A row that is no usable block. `reason` is one line that names file, line and column."""

    line: int
    id: str
    reason: str


@dataclass(frozen=True, eq=False)
class Blocks:
    """Some rows of a table.

    Attributes:
        variables: (k,) what the columns of `values` are.
        ids: (n,) the block's name, or "line 7" where the table has none.
        lines: (n,) line of the file.
        values: (n, k) concentration in the variable's unit, or code of the class (1 is the lowest word); the limit
            itself where there is a bound; not-a-number where it is missing.
        bounds: (n, k) -1 where the true value is below the one given, 1 where it is above, else 0.
        labels: (n,) 1 ore, 0 gangue, -1 unlabelled; None if labels were not asked for.
        groups: (n,) drill hole or face; None if the table has no such column.
        places: `from`, `to`, `x`, `y`, `z` -> (n,) where the table has that column; not-a-number where it is empty.
        parts: `area`, `section` -> (n,) names, where the table has that column.
        refused: rows among these that are not usable; they are not in the arrays.
        simulated: True if a comment at the table's top begins with that word (`# simulated ...`).
    """

    variables: tuple[Variable, ...]
    ids: tuple[str, ...]
    lines: NDArray[np.int64]
    values: Floats
    bounds: NDArray[np.int8]
    labels: NDArray[np.int8] | None
    groups: tuple[str, ...] | None
    refused: tuple[RefusedRow, ...] = ()
    simulated: bool = False
    places: Mapping[str, Floats] = field(default_factory=dict)
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def take(self, rows: NDArray[np.intp]) -> Blocks:
        """Give some of the rows."""
        return Blocks(
            self.variables,
            tuple(self.ids[i] for i in rows),
            self.lines[rows],
            self.values[rows],
            self.bounds[rows],
            None if self.labels is None else self.labels[rows],
            None if self.groups is None else tuple(self.groups[i] for i in rows),
            (),
            self.simulated,
            {name: values[rows] for name, values in self.places.items()},
            {name: tuple(values[i] for i in rows) for name, values in self.parts.items()},
        )

    def pick(self, names: Sequence[str]) -> Blocks:
        """Give these rows with only the named variables, in that order."""
        at = [[v.name for v in self.variables].index(name) for name in names]
        variables = tuple(self.variables[i] for i in at)
        return replace(self, variables=variables, values=self.values[:, at], bounds=self.bounds[:, at])

    @property
    def features(self) -> Floats:
        """(n, k) a number each; see `plain_values`. A model's own inputs: `OreModel.inputs`."""
        return plain_values(self.values, self.bounds)


def plain_values(values: Floats, bounds: NDArray[np.int8]) -> Floats:
    """Put a number where there is a bound: half of a lower detection limit, an upper limit itself.

    Half the limit is the usual substitute (Helsel 2012, Statistics for Censored Environmental Data, names it and its
    faults). The joint domain takes it; a model may take another (`steps`, "below").
    """
    return np.where(bounds == BELOW, values / 2, values)


def iter_blocks(
    path: str | os.PathLike[str],
    columns: Columns,
    *,
    labelled: bool = False,
    strict: bool = False,
    chunk: int = CHUNK,
    needed: Collection[str] = (),
) -> Iterator[Blocks]:
    """Read a table in pieces; memory is that of one piece, whatever the table's length.

    Args:
        path: CSV with comma, semicolon or tab, plain or gzip, encoded as `decode_text` says; `#` lines at the top are
            comments.
        columns: which columns to read, and as what; others are passed over.
        labelled: read the label, too; a block without one is then refused.
        strict: raise for the first row that is not usable, instead of handing it out in `Blocks.refused`.
        chunk: rows in a piece.
        needed: names of `Columns.roles`, such as "group", without whose column the table cannot be used.

    Raises:
        BlockTableError: no such file, no header, a column that is missing or there twice, no row at all, no text;
            with `strict` also a bad row.
    """
    source = os.fspath(path)
    try:
        # Once through for the marks of its numbers, as no single one tells whether 1.250 is 1250.
        with unpacked(source) as file:
            encoding = _encoding(file, source)
        with unpacked(source) as file:
            decimals = _decimal_marks(_text_of(file, encoding), source, columns)
        with unpacked(source) as file:
            yield from _pieces(_text_of(file, encoding), source, columns, decimals, labelled, strict, chunk, needed)
    except SpectrumFileError as error:
        raise BlockTableError(str(error)) from None


def read_blocks(
    path: str | os.PathLike[str], columns: Columns, *, labelled: bool = True, needed: Collection[str] = ()
) -> Blocks:
    """Read a whole table, every row of which must be usable; raises like `iter_blocks` with `strict`."""
    pieces = list(iter_blocks(path, columns, labelled=labelled, strict=True, needed=needed))
    first = pieces[0]
    return Blocks(
        variables=first.variables,
        ids=tuple(i for piece in pieces for i in piece.ids),
        lines=np.concatenate([piece.lines for piece in pieces]),
        values=np.concatenate([piece.values for piece in pieces]),
        bounds=np.concatenate([piece.bounds for piece in pieces]),
        labels=np.concatenate([piece.labels for piece in pieces if piece.labels is not None]) if labelled else None,
        groups=None if first.groups is None else tuple(g for piece in pieces for g in piece.groups or ()),
        simulated=first.simulated,
        places={name: np.concatenate([piece.places[name] for piece in pieces]) for name in first.places},
        parts={name: tuple(p for piece in pieces for p in piece.parts[name]) for name in first.parts},
    )


@dataclass(frozen=True)
class _Layout:
    """Where in a row things stand; -1 for what is not there. `commas`: columns whose decimal mark is one; `others`: no
    variables; `places`: with their decimal marks.
    """

    width: int
    at: tuple[int, ...]
    readers: tuple[ReadCell, ...]
    commas: frozenset[str]
    others: Mapping[int, str]
    label: int
    read_label: Callable[[str], int]
    group: int
    id: int
    places: Mapping[str, tuple[int, str]]
    parts: Mapping[str, int]


def _pieces(
    text: io.TextIOWrapper,
    source: str,
    columns: Columns,
    decimals: Mapping[str, str],
    labelled: bool,
    strict: bool,
    chunk: int,
    needed: Collection[str],
) -> Iterator[Blocks]:
    comments, header, delimiter, skipped = _top(text, source)
    layout = _layout(header, source, columns, decimals, labelled, needed)
    reader = csv.reader(text, delimiter=delimiter)
    simulated = any(says_simulated(line.lstrip("#")) for line in comments)

    def piece(rows: list[Row]) -> Blocks:
        return _blocks(rows, source, columns, layout, strict, simulated)

    rows: list[Row] = []
    found = False
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise BlockTableError(f"{source}:{skipped + reader.line_num}: damaged row ({error})") from None
        if fields is None:
            break
        if any(field.strip() for field in fields):
            found = True
            rows.append((skipped + reader.line_num, fields))
        if len(rows) >= chunk:
            yield piece(rows)
            rows = []
    if not found:
        raise BlockTableError(f"{source}: a table without a row")
    if rows:
        yield piece(rows)


def _blocks(
    rows: list[Row],
    source: str,
    columns: Columns,
    layout: _Layout,
    strict: bool,
    simulated: bool,
) -> Blocks:
    wrong: dict[int, str] = {}
    for i, (_, fields) in enumerate(rows):
        if len(fields) != layout.width:
            wrong[i] = f"{len(fields)} of {layout.width} columns"
    if wrong:
        blank = [""] * layout.width
        table = list(zip(*(blank if i in wrong else fields for i, (_, fields) in enumerate(rows)), strict=True))
    else:
        table = list(zip(*(fields for _, fields in rows), strict=True))
    values = np.empty((len(rows), len(columns.variables)))
    bounds = np.zeros(values.shape, dtype=np.int8)
    for k, (at, read, variable) in enumerate(zip(layout.at, layout.readers, columns.variables, strict=True)):
        dots = variable.column not in layout.commas
        problems = read_column(table[at], variable, read, values[:, k], bounds[:, k], dots)
        for i, problem in problems.items():
            wrong.setdefault(i, f"{variable.column}: {problem}")
    for at, name in layout.others.items():
        if SIGNS.isdisjoint(table[at]):
            continue
        for i in (i for i, text in enumerate(table[at]) if text in SIGNS):
            wrong.setdefault(
                i, f"{name}: the sign {table[at][i]} stands apart from its value; write it there, as <0.02"
            )
    labels = np.zeros(len(rows), dtype=np.int8)
    if layout.label >= 0:
        for i, text in enumerate(table[layout.label]):
            try:
                labels[i] = layout.read_label(text)
            except ValueError as error:
                wrong.setdefault(i, str(error))
    refused = tuple(
        RefusedRow(rows[i][0], _id_of(rows[i][1], rows[i][0], layout), f"{source}:{rows[i][0]}: {wrong[i]}")
        for i in sorted(wrong)
    )
    if refused and strict:
        raise BlockTableError(refused[0].reason)
    good = [i for i in range(len(rows)) if i not in wrong] if wrong else range(len(rows))
    kept = list(good)
    return Blocks(
        variables=columns.variables,
        ids=tuple(_id_of(rows[i][1], rows[i][0], layout) for i in good),
        lines=np.array([rows[i][0] for i in good], dtype=np.int64),
        values=values[kept],
        bounds=bounds[kept],
        labels=labels[kept] if layout.label >= 0 else None,
        groups=tuple(rows[i][1][layout.group].strip() for i in good) if layout.group >= 0 else None,
        refused=refused,
        simulated=simulated,
        # A place is carried, not calculated with: one that is no number is none.
        places={
            name: np.array([finite_number(table[at][i], mark) for i in good])
            for name, (at, mark) in layout.places.items()
        },
        parts={name: tuple(table[at][i].strip() for i in good) for name, at in layout.parts.items()},
    )


def _encoding(file: IO[bytes], source: str) -> str:
    head = file.read(HEAD_BYTES)
    if workbook := workbook_of(head):
        raise BlockTableError(f"{source}: is {workbook}; open it and save its sheet of blocks as CSV")
    return encoding_of(chain([head], iter(lambda: file.read(HEAD_BYTES), b"")), source)


def _text_of(file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    # newline="" leaves line ends inside quoted fields to the csv module.
    return io.TextIOWrapper(file, encoding=encoding, newline="")


def _top(text: io.TextIOWrapper, source: str) -> tuple[list[str], list[str], str, int]:
    """Read the comments and the header; give both, the delimiter and how many lines that was."""
    comments = []
    for number, line in enumerate(text, 1):
        line = line.rstrip("\r\n")
        if line.startswith("#"):
            comments.append(line)
        elif line.strip() and not DECLARED_DELIMITER.fullmatch(line):
            delimiter = max(DELIMITERS, key=line.count)
            return comments, [name.strip() for name in next(csv.reader([line], delimiter=delimiter))], delimiter, number
    raise BlockTableError(f"{source}: empty; a header with the columns' names is needed")


def _decimal_marks(text: io.TextIOWrapper, source: str, columns: Columns) -> dict[str, str]:
    """Decide the decimal mark of each column of assays or places as a whole.

    Returns:
        By column; nothing for a table parted by commas, in whose numbers no comma is taken.

    Raises:
        BlockTableError: it cannot be told, or the file as for `iter_blocks`.
    """
    _, header, delimiter, skipped = _top(text, source)
    if delimiter == ",":
        return {}
    assays = [v.column for v in columns.variables if v.kind == "assay"]
    assays += [columns.label.column] if columns.label and columns.label.cut_off is not None else []
    marks = {header.index(c): DecimalMarks() for c in (*assays, *columns.places.values()) if c in header}
    reader = csv.reader(text, delimiter=delimiter)
    try:
        for fields in reader:
            for at, own in marks.items():
                if at < len(fields):
                    own.see(fields[at])
    except csv.Error as error:
        raise BlockTableError(f"{source}:{skipped + reader.line_num}: damaged row ({error})") from None
    together = DecimalMarks({mark: text for own in marks.values() for mark, text in own.shown.items()})
    decimals = {}
    for at, own in marks.items():
        try:
            # A place is as a computer writes it where nothing else shows: 512.300 is no half million.
            decimals[header[at]] = own.decimal(together, "" if header[at] in assays else ".")
        except ValueError as error:
            raise BlockTableError(f"{source}: column {header[at]}: {error}") from None
    return decimals


def _layout(
    header: list[str],
    source: str,
    columns: Columns,
    decimals: Mapping[str, str],
    labelled: bool,
    needed: Collection[str],
) -> _Layout:
    twice = [name for name, times in Counter(header).items() if name and times > 1]
    if twice:
        raise BlockTableError(f"{source}: column {twice[0]!r} is there twice; remove or rename one of them")
    wanted = {v.column: f"variable {v.name}" for v in columns.variables}
    wanted |= {columns.roles[role]: role for role in needed if role in columns.roles}
    if labelled:
        if columns.label is None:
            raise BlockTableError(f"{source}: the columns file names no label; add a [label] section to it")
        wanted[columns.label.column] = "label"
    absent = {column: what for column, what in wanted.items() if column not in header}
    if absent:
        first, what = next(iter(absent.items()))
        others = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
        without = ' (or "" if there is none)' if what in columns.roles else ""
        raise BlockTableError(
            f"{source}: no column {first!r}, which is named as {what}{others}{did_you_mean(first, header)}; it has "
            f"{_shown(header)}: name your own headers in a columns file{without}"
        )

    def at(column: str) -> int:
        return header.index(column) if column and column in header else -1

    return _Layout(
        width=len(header),
        at=tuple(header.index(v.column) for v in columns.variables),
        readers=tuple(field_reader(v, columns.missing, decimals.get(v.column, "")) for v in columns.variables),
        commas=frozenset(column for column, mark in decimals.items() if mark == ","),
        others={i: n for i, n in enumerate(header) if n not in {v.column for v in columns.variables}},
        label=at(columns.label.column) if labelled and columns.label else -1,
        read_label=label_reader(columns, decimals) if labelled else lambda _: UNLABELLED,
        group=at(columns.group),
        id=at(columns.id),
        places={n: (at(c), decimals.get(c, ".")) for n, c in columns.places.items() if at(c) >= 0},
        parts={n: at(c) for n, c in (("area", columns.area), ("section", columns.section)) if at(c) >= 0},
    )


def _shown(header: list[str], most: int = 8) -> str:
    return ", ".join(header[:most]) + (f", ... ({len(header)} in all)" if len(header) > most else "")


def label_reader(columns: Columns, decimals: Mapping[str, str] | None = None) -> Callable[[str], int]:
    """Return what reads a label's field into `ORE`, `GANGUE` or `UNLABELLED`; it raises ValueError for what is none."""
    label = columns.label
    assert label is not None  # `_layout` has refused it before
    cut_off, sign = label.cut_off, label.sign
    if cut_off is not None:
        decimal = (decimals or {}).get(label.column, "")
        read = field_reader(Variable(label.column, label.column, "assay"), columns.missing, decimal)
        return lambda text: _side_of(*read(text), cut_off, sign)
    known = {word.casefold(): ORE for word in label.ore}
    known |= {word.casefold(): GANGUE for word in label.gangue}
    known |= {word.casefold(): UNLABELLED for word in label.unlabelled}
    missing = {m.casefold() for m in columns.missing}

    def read_word(text: str) -> int:
        folded = text.strip().casefold()
        if folded in known:
            return known[folded]
        if folded in missing:
            raise ValueError(
                f"{label.column}: the label is missing; fill it in, or say in [label] that such rows are unlabelled: "
                f"unlabelled = [{text.strip()!r}]"
            )
        words = ", ".join([*label.ore, *label.gangue, *label.unlabelled])
        raise ValueError(f"{label.column}: {shortened(text)} is no label; known are {words}")

    return read_word


def _side_of(value: float, bound: int, cut_off: float, sign: str) -> int:
    """Say on which side of a cut-off an assay lies; one that is not known, or a limit beyond it, on neither."""
    if math.isnan(value):
        return UNLABELLED
    above = value >= cut_off if sign in (">=", "<") else value > cut_off
    # "<1" may be either side of 0.5, and ">1" either side of 5.
    if (bound == BELOW and value > cut_off) or (bound == ABOVE and value < cut_off):
        return UNLABELLED
    if bound == BELOW:
        above = False
    return ORE if above == (sign in (">=", ">")) else GANGUE


def _id_of(fields: list[str], line: int, layout: _Layout) -> str:
    named = fields[layout.id].strip() if 0 <= layout.id < len(fields) else ""
    return named or f"line {line}"
