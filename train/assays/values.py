"""Laboratory values: one CSV row a sample, one column an element.

    sample,Sb_ppm,As_ppm,clay_pct
    RS001,13.38,25.0,12
    RS002,<0.02,18.1,
    RS003,>4000,97.5,31

The first column, or the one named `sample`, is the sample's name. A column `<Element>_<unit>` holds an element;
all others are passed over. `<0.02` and `>4000` are censored: the laboratory gave a bound, and nothing here turns
it into a number. An empty field is a missing value.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...converters.spectra.errors import SpectrumFileError
from ...converters.spectra.files import read_bytes
from ..errors import AssayFileError

UNITS = ("ppm", "ppb", "pct", "permil", "g_t", "g_kg", "mg_kg", "ug_g", "ug_kg")
"""Units a column's name may end in."""

MISSING = frozenset({"", "-", "na", "n/a", "nan", "n.a.", "n.d.", "null", "none"})
"""Fields, in lower case, that mean there is no value."""

_COLUMN = re.compile(rf"(?P<element>.+)_(?P<unit>{'|'.join(UNITS)})", re.IGNORECASE)
_VALUE = re.compile(r"(?P<censored>[<>]?)\s*(?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)")


@dataclass(frozen=True)
class Assay:
    """One laboratory value.

    Attributes:
        value: the value, or the bound if it is censored; in the column's unit.
        censored: "" for a plain value, "<" for one below `value`, ">" for one above it.
    """

    value: float
    censored: Literal["", "<", ">"] = ""


@dataclass(frozen=True)
class Assays:
    """The column of one element.

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


def read_assays(path: str | os.PathLike[str], element: str) -> Assays:
    """Read one element's column of a table of assays.

    Args:
        path: CSV (comma, semicolon or tab; UTF-8; gzip or not).
        element: as the column has it before the unit, such as Sb; the whole name, such as Sb_ppm, is taken too.

    Returns:
        The values by sample.

    Raises:
        AssayFileError: no such file, no table, no such element, a sample twice, or a field that is no value; the
            message names the row as a spreadsheet counts it.
    """
    name = os.fspath(path)
    data, packed = read_csv_bytes(name)
    return parse_assays(data, name, element, hashlib.sha256(packed).hexdigest())


def parse_assays(data: bytes, source: str, element: str, sha256: str = "") -> Assays:
    """Take the bytes of a table of assays; see `read_assays`."""
    header, rows, delimiter = open_csv(data, source)
    sample_at = next((i for i, field in enumerate(header) if field.lower() in ("sample", "sample_id")), 0)
    at, found, unit = _find_column(header, element, source)
    values: dict[str, Assay] = {}
    first_row: dict[str, int] = {}
    missing = 0
    for row, fields in rows:
        if len(fields) != len(header):
            raise AssayFileError(
                f"{source}: row {row} has {len(fields)} fields, the header {len(header)}"
                + ("; decimal commas need semicolons between fields" if delimiter == "," else "")
            )
        sample = fields[sample_at].strip()
        if not sample:
            raise AssayFileError(f"{source}: row {row} names no sample in column {header[sample_at]!r}")
        if sample in first_row:
            raise AssayFileError(
                f"{source}: row {row} has sample {sample} again, first in row {first_row[sample]}; "
                "keep one, or their mean"
            )
        first_row[sample] = row
        assay = parse_value(fields[at], delimiter, f"{source}: row {row} ({sample}), column {header[at]}")
        if assay is None:
            missing += 1
        else:
            values[sample] = assay
    return Assays(found, unit, values, missing, source, sha256)


def read_csv_bytes(name: str) -> tuple[bytes, bytes]:
    """Read a file, unpacked if it is gzip, and as it lies on the disk.

    Raises:
        AssayFileError: it cannot be read.
    """
    try:
        return read_bytes(name), Path(name).read_bytes()
    except SpectrumFileError as error:
        raise AssayFileError(str(error)) from error


def open_csv(data: bytes, source: str) -> tuple[list[str], Iterator[tuple[int, list[str]]], str]:
    """Find a table's header and what parts its fields.

    Returns:
        The header, an iterator of (row as a spreadsheet counts it, fields), and the delimiter.

    Raises:
        AssayFileError: no UTF-8 text, no CSV, or empty; also while iterating.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AssayFileError(f"{source}: is not UTF-8 text (byte {error.start}); save it as CSV UTF-8") from None
    if "\0" in text:
        raise AssayFileError(f"{source}: is no CSV table; save the sheet as CSV")
    head = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    delimiter = max(",;\t", key=head.count)
    rows = _rows(text, source, delimiter)
    try:
        _, header = next(rows)
    except StopIteration:
        raise AssayFileError(f"{source}: is empty; a header and one row a sample are needed") from None
    return [field.strip() for field in header], rows, delimiter


def _rows(text: str, source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (row, fields), rows counted from 1 as a spreadsheet does; comments and empty rows are passed over."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    row = 0
    try:
        for row, fields in enumerate(reader, start=1):
            if not any(field.strip() for field in fields) or fields[0].startswith("#"):
                continue
            yield row, fields
    except csv.Error as error:
        raise AssayFileError(f"{source}: row {row + 1} is no CSV ({error})") from None


def split_column(name: str) -> tuple[str, str] | None:
    """Split a column's name into element and unit; None if it does not end in a unit."""
    match = _COLUMN.fullmatch(name)
    return (match["element"], match["unit"]) if match else None


def _find_column(header: list[str], element: str, source: str) -> tuple[int, str, str]:
    columns = [(i, *split) for i, name in enumerate(header) if (split := split_column(name))]
    wanted = [column for column in columns if element in (column[1], header[column[0]])]
    if len(wanted) == 1:
        return wanted[0]
    if wanted:
        names = ", ".join(header[i] for i, _, _ in wanted)
        raise AssayFileError(f"{source}: more than one column for {element} ({names}); name one of them whole")
    if not columns:
        raise AssayFileError(
            f"{source}: no column is named <Element>_<unit>, such as Sb_ppm (units: {', '.join(UNITS)})"
        )
    there = list(dict.fromkeys(name for _, name, _ in columns))
    near = next((name for name in there if name.lower() == element.lower()), None)
    listed = ", ".join(there[:12]) + (", ..." if len(there) > 12 else "")
    hint = f"did you mean {near}?" if near else f"there are {listed}"
    raise AssayFileError(f"{source}: no column for {element}; {hint}")


def parse_value(field: str, delimiter: str, where: str) -> Assay | None:
    """Read a field of a table.

    Args:
        field: such as 12.3, <0.02, >4000, or nothing.
        delimiter: of the table's fields.
        where: names file, row and column in the message.

    Returns:
        The value or bound; None where there is none.

    Raises:
        AssayFileError: it is no value.
    """
    text = field.strip()
    if text.lower() in MISSING:
        return None
    # Where fields are not parted by commas, a comma is a decimal one.
    match = _VALUE.fullmatch(text if delimiter == "," else text.replace(",", "."))
    number = float(match["number"]) if match else math.nan
    if match is None or not math.isfinite(number):
        raise AssayFileError(f"{where}: {text[:40]!r} is no value; write 12.3, <0.02, >4000, or leave it empty")
    return Assay(number, match["censored"])  # type: ignore[arg-type]
