"""Whole tables of assays: every row and every element, blanks, reference materials and duplicates included.

    kind,name,Sb_ppm,As_ppm
    mdl,MDL,0.02,0.2
    blank,BLK,<0.02,0.3
    crm,STD 7,1.12,16.3
    sample,S090,101.96,76.7
    pulp,S090,96.97,76.5
    replicate,S090-D,110.4,71.2

What a row is, its column `kind` or its name says: see `kinds`. The first column, or the one named `sample`, is the
sample's name. A column `<Element>_<unit>` holds an element (units: `edge.units`); all others are passed over. `<0.02`
and `>4000` are censored: the laboratory gave a bound, and nothing here turns it into a number. An empty field is a
missing value. How values may be written is in `edge.assay_values`, what a header may look like in `header`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from ...converters.spectra.text import no_soil
from ...edge.units import find_unit, shown_unit
from ..errors import AssayFileError
from .columns import Column, element_columns, read_columns
from .header import Row, is_name
from .kinds import Kind, kind_below, parse_kind, recognise
from .sheet import Sheet, parse_sheet, read_sheet
from .values import Assay


@dataclass(frozen=True)
class Assays:
    """The column of one element, samples only.

    Attributes:
        element, unit: from the column's name.
        values: sample name -> value, in the file's order; samples without a value are absent.
        missing: how many rows have no value.
        path: the file.
        sha256: of the file as it lies on the disk.
    """

    element: str
    unit: str
    values: dict[str, Assay]
    missing: int
    path: str
    sha256: str

    @property
    def plain(self) -> dict[str, float]:
        """Sample name -> value, of those that are not censored."""
        return {name: assay.value for name, assay in self.values.items() if not assay.censored}

    @property
    def censored(self) -> dict[str, Assay]:
        """Sample name -> bound, of those that are."""
        return {name: assay for name, assay in self.values.items() if assay.censored}


@dataclass(frozen=True)
class AssayRow:
    """One line of a table.

    Attributes:
        name: of the sample or material.
        kind: what the row is.
        of: name of the row that a pulp or replicate repeats; otherwise `name`.
        values: one for each of the table's columns; None where the field is empty.
        where: file and row, for messages.
    """

    name: str
    kind: Kind
    of: str
    values: tuple[Assay | None, ...]
    where: str


@dataclass(frozen=True)
class AssayTable:
    """Rows of one or several files, each element in one unit.

    Attributes:
        columns: elements in the order met.
        rows: in the order met.
        paths: the files.
        notes: what was done to them that a reader of the figures should know.
        sha256: of the files as they lie on the disk.
    """

    columns: tuple[Column, ...]
    rows: tuple[AssayRow, ...]
    paths: tuple[str, ...]
    notes: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The files' names, for messages."""
        return ", ".join(self.paths)

    def of_kind(self, *kinds: Kind) -> tuple[AssayRow, ...]:
        """Rows of the given kinds."""
        return tuple(row for row in self.rows if row.kind in kinds)

    def index(self, element: str) -> int:
        """Position of an element's column.

        Args:
            element: as Sb or as Sb_ppm; upper or lower case, where that leaves one column.

        Raises:
            AssayFileError: there is none.
        """
        spelled = [(at, name) for at, column in enumerate(self.columns) for name in (column.element, column.name)]
        found = {at for at, name in spelled if name == element}
        found = found or {at for at, name in spelled if name.lower() == element.lower()}
        if len(found) == 1:
            return found.pop()
        there = [column.element for column in self.columns]
        near = get_close_matches(element.lower(), [name.lower() for name in there], 1)
        meant = next((f"did you mean {name}?" for name in there if near and name.lower() == near[0]), "there are ")
        listed = ", ".join(there[:12]) + (", ..." if len(there) > 12 else "")
        raise AssayFileError(f"{self.source}: no column for {element}; {meant}{listed if meant.endswith(' ') else ''}")

    def select(self, elements: Sequence[str]) -> AssayTable:
        """Keep some of the columns, in the order given.

        Raises:
            AssayFileError: one of them is not there.
        """
        kept = list(dict.fromkeys(self.index(element) for element in elements))
        rows = tuple(replace(row, values=tuple(row.values[at] for at in kept)) for row in self.rows)
        return replace(self, columns=tuple(self.columns[at] for at in kept), rows=rows)

    def assays(self, element: str) -> Assays:
        """Give one element of the samples proper, as training takes it: no blank, reference material or repeat.

        Raises:
            AssayFileError: no such element, or a sample twice.
        """
        at = self.index(element)
        values: dict[str, Assay] = {}
        seen: dict[str, str] = {}
        for row in self.of_kind("sample"):
            if row.name in seen:
                raise AssayFileError(
                    f"{row.where} has sample {row.name} again, first in {seen[row.name]}; keep one, or their mean, or "
                    "mark it as pulp or replicate in a column kind"
                )
            seen[row.name] = row.where
            assay = row.values[at]
            if assay is not None:
                values[row.name] = assay
        column = self.columns[at]
        missing = len(seen) - len(values)
        return Assays(column.element, column.unit, values, missing, self.source, ", ".join(self.sha256))

    def assays_for(self, element: str, unit: str) -> Assays:
        """Give the assays that a model's answers are held against, however the table writes its element and unit.

        Args:
            element, unit: as the model has them; the assays keep their unit if one of the two is none of content.

        Raises:
            AssayFileError: as `assays`.
        """
        return replace(as_unit(self.assays(element), unit), element=element)


def as_unit(assays: Assays, unit: str) -> Assays:
    """Give the assays in another unit, such as that of a model; as they are if one of the two is no unit of content."""
    if not (find_unit(assays.unit) and find_unit(unit)):
        return assays
    column = Column(assays.element, assays.unit)
    return replace(assays, unit=unit, values={name: column.converted(v, unit) for name, v in assays.values.items()})


def read_assay_table(*paths: str | os.PathLike[str]) -> AssayTable:
    """Read whole tables of assays and put them one under the other.

    Args:
        paths: CSV (comma, semicolon or tab; gzip or not) or .xlsx, each with its own columns; an element that
            the files have in different units is converted to the first one's.

    Returns:
        All rows, with what each is. A row may repeat one of another file.

    Raises:
        AssayFileError: no such file, no table, no element's column, one twice, or a field that is no value; the
            message names file and row.
    """
    return _together([_part_of(read_sheet(path)) for path in paths])


def parse_assay_tables(*tables: tuple[bytes, str]) -> AssayTable:
    """Take the bytes of tables, each with the name messages call it by; see `read_assay_table`."""
    return _together([_part_of(parse_sheet(data, source)) for data, source in tables])


@dataclass(frozen=True)
class _Line:
    where: str
    name: str
    kind: Kind | None
    values: tuple[Assay | None, ...]


@dataclass(frozen=True)
class _Part:
    """A file as it stands, names not yet looked at."""

    columns: tuple[Column, ...]
    lines: tuple[_Line, ...]
    path: str
    sha256: str
    notes: tuple[str, ...]


def name_column(header: Sequence[str]) -> int:
    """Say which column of a table of assays names the sample: by its own name, or the first that is no kind."""
    first = 1 if _kind_column(header) == 0 and len(header) > 1 else 0
    return next((i for i, field in enumerate(header) if is_name(field)), first)


def _kind_column(header: Sequence[str]) -> int | None:
    return next((i for i, field in enumerate(header) if field.lower() in ("kind", "qc_type")), None)


def _without_sums(sheet: Sheet, name_at: int, kind_at: int | None) -> Sheet:
    """Pass over rows that a spreadsheet made of the others: their mean, deviation, extremes."""
    rows: list[Row] = []
    passed: list[Row] = []
    for row in sheet.rows:
        name = row[1][name_at].strip()
        says_kind = kind_at is not None and row[1][kind_at].strip()
        # Among assays "STD" is a standard.
        made = not says_kind and name.lower() not in ("std", "stds") and no_soil(name, {"a soil"})
        (passed if made else rows).append(row)
    if not passed or not rows:
        return sheet
    which = ", ".join(f"{fields[name_at].strip()} (row {row})" for row, fields in passed)
    note = f"{sheet.source}: {which}: made of the other rows by name, no sample: left out"
    return replace(sheet, rows=rows, notes=(*sheet.notes, note))


def _part_of(sheet: Sheet) -> _Part:
    header, source = sheet.header, sheet.source
    kind_at, name_at = _kind_column(header), name_column(header)
    sheet = _without_sums(sheet, name_at, kind_at)
    columns = element_columns(sheet)
    if not sheet.rows:
        raise AssayFileError(f"{source}: has a header and no rows")
    named: list[tuple[str, str, Kind | None]] = []
    titles: list[str] = []
    rows: list[Row] = []
    below: Kind | None = None
    for row, fields in sheet.rows:
        where = f"{source}: row {row}"
        name = fields[name_at].strip()
        title = None if any(map(str.strip, fields[:name_at] + fields[name_at + 1 :])) else kind_below(name)
        if title is not None:
            below = title
            titles.append(f"{where}: rows below {name!r} are of the kind {title}")
            continue
        rows.append((row, fields))
        if not name:
            raise AssayFileError(f"{where} names no sample in column {header[name_at]!r}")
        try:
            kind = (parse_kind(fields[kind_at]) if kind_at is not None else None) or below
        except ValueError as error:
            raise AssayFileError(f"{where} ({name}): {error}") from None
        named.append((where, name, kind))
    sheet = replace(sheet, rows=rows, notes=(*sheet.notes, *titles))
    wheres = [f"{where} ({name})" for where, name, _ in named]
    limits = [recognise(name, kind, ())[0] == "mdl" for _, name, kind in named]
    values, notes = read_columns(sheet, columns, wheres, limits)
    lines = tuple(_Line(*line, of_row) for line, of_row in zip(named, values, strict=True))
    return _Part(tuple(each.column for each in columns), lines, source, sheet.sha256, (*sheet.notes, *notes))


def _together(parts: Sequence[_Part]) -> AssayTable:
    columns: dict[str, Column] = {}
    notes = [note for part in parts for note in part.notes]
    for part in parts:
        for column in part.columns:
            known = columns.setdefault(column.element, column)
            if known.unit != column.unit:
                notes.append(f"{part.path}: {column.name} converted to {shown_unit(known.unit)}")
    names = {line.name for part in parts for line in part.lines}
    rows = []
    for part in parts:
        for line in part.lines:
            kind, of = recognise(line.name, line.kind, names)
            mine = dict(
                zip((c.element for c in part.columns), zip(part.columns, line.values, strict=True), strict=True)
            )
            values = []
            for element, column in columns.items():
                own, value = mine.get(element, (column, None))
                values.append(value and own.converted(value, column.unit))
            rows.append(AssayRow(line.name, kind, of, tuple(values), line.where))
    paths = tuple(part.path for part in parts)
    sums = tuple(part.sha256 for part in parts if part.sha256)
    return AssayTable(tuple(columns.values()), tuple(rows), paths, tuple(notes), sums)
