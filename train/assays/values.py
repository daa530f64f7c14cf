"""Values of laboratories, and the CSV that they stand in: comma, semicolon or tab; UTF-8; gzip or not."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...converters.spectra.errors import SpectrumFileError
from ...converters.spectra.files import read_bytes
from ..errors import AssayFileError

MISSING = frozenset({"", "-", "na", "n/a", "nan", "n.a.", "n.d.", "null", "none"})
"""Fields, in lower case, that mean there is no value."""

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


def as_reported(assay: Assay) -> str:
    """Write a value or bound as a laboratory does."""
    return f"{assay.censored}{assay.value:.15g}"


@dataclass(frozen=True)
class CsvFile:
    """A table's header and rows, as text.

    Attributes:
        header: the columns' names, stripped.
        rows: (row as a spreadsheet counts it, as many fields as the header has); comments and empty rows left out.
        delimiter: what parts the fields.
        source: the file, for messages.
        sha256: of the file as it lies on the disk; "" where bytes were given.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]
    delimiter: str
    source: str
    sha256: str = ""

    def value(self, field: str, where: str) -> Assay | None:
        """Read a field such as 12.3, <0.02, >4000, or nothing.

        Args:
            field: the text.
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
        match = _VALUE.fullmatch(text if self.delimiter == "," else text.replace(",", "."))
        number = float(match["number"]) if match else math.nan
        if match is None or not math.isfinite(number):
            raise AssayFileError(f"{where}: {text[:40]!r} is no value; write 12.3, <0.02, >4000, or leave it empty")
        return Assay(number, match["censored"])  # type: ignore[arg-type]


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


def read_csv(path: str | os.PathLike[str]) -> CsvFile:
    """Read a table from a file; see `parse_csv`."""
    data, sha256 = read_file(path)
    return parse_csv(data, os.fspath(path), sha256)


def decoded(data: bytes, source: str) -> str:
    """Take bytes for UTF-8 text.

    Raises:
        AssayFileError: they are none.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AssayFileError(f"{source}: is not UTF-8 text (byte {error.start}); save it as CSV UTF-8") from None


def parse_csv(data: bytes, source: str, sha256: str = "") -> CsvFile:
    """Take the bytes of a table, named `source` in messages.

    Raises:
        AssayFileError: no UTF-8 text, no CSV, empty, or a row that has not as many fields as the header.
    """
    text = decoded(data, source)
    if "\0" in text:
        raise AssayFileError(f"{source}: is no CSV table; save the sheet as CSV")
    head = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    row = 0
    try:
        for row, fields in enumerate(reader, start=1):
            if any(field.strip() for field in fields) and not fields[0].startswith("#"):
                rows.append((row, fields))
    except csv.Error as error:
        raise AssayFileError(f"{source}: row {row + 1} is no CSV ({error})") from None
    if not rows:
        raise AssayFileError(f"{source}: is empty; a header and one row a sample are needed")
    header = [field.strip() for field in rows.pop(0)[1]]
    for row, fields in rows:
        if len(fields) != len(header):
            raise AssayFileError(
                f"{source}: row {row} has {len(fields)} fields, the header {len(header)}"
                + ("; decimal commas need semicolons between fields" if delimiter == "," else "")
            )
    return CsvFile(header, rows, delimiter, source, sha256)
