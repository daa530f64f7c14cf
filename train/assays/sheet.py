"""The sheet that assays stand in: CSV (comma, semicolon or tab; gzip or not) or the .xlsx of a spreadsheet."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

from ...converters.spectra.errors import SpectrumFileError
from ...converters.spectra.files import HEAD_BYTES, read_bytes, workbook_of
from ...converters.spectra.text import decode_text, shortened
from ...edge.assay_values import DECLARED_DELIMITER
from ...edge.units import split_column
from ..errors import AssayFileError
from .header import Row, Table, find_table
from .workbook import ZIP_MAGIC, read_workbook

DELIMITERS = "\t;,"


@dataclass(frozen=True)
class Sheet:
    """A table's header and rows, as text.

    Attributes:
        header: the columns' names, stripped; one a column, however many rows the header has.
        rows: (row as a spreadsheet counts it, as many fields as the header has); comments and empty rows left out.
        usual: the decimal mark where no number shows it: "." in a file parted by commas; "" for none.
        source: the file, for messages.
        sha256: of the file as it lies on the disk; "" where bytes were given.
        notes: what of the file was passed over.
    """

    header: list[str]
    rows: list[Row]
    usual: str
    source: str
    sha256: str = ""
    notes: tuple[str, ...] = ()


def read_file(path: str | os.PathLike[str]) -> tuple[bytes, str]:
    """Read a file, unpacked if it is gzip.

    Returns:
        Its content, and the SHA-256 of the file as it lies on the disk.

    Raises:
        AssayFileError: it cannot be read.
    """
    try:
        return read_bytes(os.fspath(path)), hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except SpectrumFileError as error:
        raise AssayFileError(str(error)) from error


def read_sheet(path: str | os.PathLike[str]) -> Sheet:
    """Read a sheet from a file; see `parse_sheet`."""
    data, sha256 = read_file(path)
    return parse_sheet(data, os.fspath(path), sha256)


def decoded(data: bytes, source: str) -> str:
    """Decode text as the readers of spectra do; see `decode_text`.

    Raises:
        AssayFileError: it is none.
    """
    try:
        return decode_text(data, source)
    except SpectrumFileError:
        raise AssayFileError(f"{source}: is no CSV table; save the sheet as CSV UTF-8") from None


def parse_sheet(data: bytes, source: str, sha256: str = "") -> Sheet:
    """Take the bytes of a table, named `source` in messages.

    Raises:
        AssayFileError: no text, no CSV, no workbook, empty, several sheets with assays, or a row that has not as
            many fields as the header.
    """
    if (workbook := workbook_of(data[:HEAD_BYTES])) and ".xlsx" not in workbook:
        raise AssayFileError(f"{source}: is {workbook}; save it as .xlsx, or the sheet as CSV UTF-8")
    notes = []
    if data.startswith(ZIP_MAGIC):
        usual, sheets = "", {name: find_table(rows) for name, rows in read_workbook(data, source).items()}
        name, table = _only_one(sheets, source)
        if len(sheets) > 1:
            notes.append(f"{source}: sheet {name}; no other has a column such as Sb_ppm")
    else:
        usual, table = _from_csv(data, source)
    if len(table.where) > 1 or table.above:
        passed = f", {table.above} rows above it passed over" if table.above else ""
        notes.append(f"{source}: header read from row {' and '.join(map(str, table.where))}{passed}")
    header, rows = _squared(table, source, usual)
    return Sheet(header, rows, usual, source, sha256, tuple(notes))


def _only_one(sheets: dict[str, Table], source: str) -> tuple[str, Table]:
    if not sheets:
        raise AssayFileError(f"{source}: is empty; a header and one row a sample are needed")
    found = {name: table for name, table in sheets.items() if table.elements} or dict([*sheets.items()][:1])
    if len(found) > 1:
        raise AssayFileError(
            f"{source}: sheets {', '.join(found)} all hold assays; keep one in the workbook, or save each as CSV UTF-8"
        )
    return next(iter(found.items()))


def _from_csv(data: bytes, source: str) -> tuple[str, Table]:
    """Read CSV with the delimiter that gives most columns of elements, then most columns."""
    text = decoded(data, source)
    if "\0" in text:
        raise AssayFileError(f"{source}: is no CSV table; save the sheet as CSV UTF-8")
    begin, _, rest = text.partition("\n")
    declared = DECLARED_DELIMITER.fullmatch(begin)
    found: list[tuple[str, Table]] = []
    wrong: list[str] = []
    for delimiter in declared[1] if declared else DELIMITERS:
        if delimiter not in text and delimiter != ",":
            continue
        try:
            # The declaration is a row of its own, so that rows have the numbers of the file's lines.
            rows = _rows(rest if declared else text, delimiter, 2 if declared else 1)
        except csv.Error as error:
            wrong.append(f"{source}: {error}")
            continue
        if rows:
            found.append((delimiter, find_table(rows)))
    if not found:
        raise AssayFileError(wrong[-1] if wrong else f"{source}: is empty; a header and one row a sample are needed")
    delimiter, table = max(found, key=lambda each: (each[1].elements, len(each[1].header)))
    return "." if delimiter == "," else "", table


def _rows(text: str, delimiter: str, first: int) -> list[Row]:
    """Part a text into rows, without comments and empty ones; raises csv.Error with the row's number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    number = first - 1
    try:
        for number, fields in enumerate(reader, first):
            if any(field.strip() for field in fields) and not fields[0].startswith("#"):
                rows.append((number, fields))
    except csv.Error as error:
        raise csv.Error(f"row {number + 1} is no CSV ({error})") from None
    return rows


def _squared(table: Table, source: str, usual: str) -> tuple[list[str], list[Row]]:
    """Cut off the empty cells that spreadsheets write behind a table, and refuse rows that do not fit its header."""
    header = table.header
    while header and not header[-1]:
        header = header[:-1]
    width = len(header)
    unnamed = [at for at, name in enumerate(header) if not name and any(map(split_column, header[:at]))]
    rows = []
    for number, fields in table.rows:
        behind = [field for field in fields[width:] if field.strip()]
        if len(fields) < width or behind:
            found = width + len(behind) if behind else len(fields)
            raise AssayFileError(
                f"{source}: row {number} has {found} fields, the header {width}"
                + ("; decimal commas need semicolons between fields" if usual == "." and behind else "")
                + ("" if behind else "; take notes below the table out of it")
            )
        for at in unnamed:
            if fields[at].strip():
                raise AssayFileError(
                    f"{source}: row {number} has {shortened(fields[at])} in column {at + 1}, which has no name; name "
                    "it, or empty it"
                )
        rows.append((number, fields[:width]))
    return header, rows
