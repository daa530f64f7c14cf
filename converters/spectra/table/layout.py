"""Layout of the project's own table: the lines around it and its columns (docs/table_format.md)."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SpectrumFileError, UnusableSpectrumError
from ..spectrum import Floats, Spectrum
from ..text import MAX_NM, MIN_NM, shortened

MAGIC = "# stibium spectra "
VERSION = "2"
VERSIONS = ("1", VERSION)
"""That are read; version 1 has no checksums."""
COLUMNS = (
    "sample_id",
    "measurement",
    "quantity",
    "measured_at",
    "instrument",
    "latitude_deg",
    "longitude_deg",
    "altitude_m",
    "splices_nm",
    "saturated",
    "condition",
    "comment",
    "simulated",
)
"""Columns with a meaning; every other column that is no wavelength goes to `Spectrum.extra`."""

CHECKSUM = "checksum"
"""Last column from version 2 on: of header and row, see `checksum_of`."""

CLOSED = "# closed: yes"
"""Promises that the table's last line says how many rows there are, so that missing rows are noticed."""

MAX_COMMENT_LINES = 1000
WAVELENGTH = re.compile(r"\d+(?:\.\d+)?")
"""Name of a column of values: its wavelength in nm."""


@dataclass(frozen=True)
class WavelengthColumns:
    """Which columns of a table are wavelengths.

    Attributes:
        wavelengths_nm: (bands,) ascending.
        at: (bands,) their places among the columns.
        first: the first of a closed block of columns in ascending order, or None if they lie otherwise.
    """

    wavelengths_nm: Floats
    at: NDArray[np.intp]
    first: int | None

    def values(self, fields: list[str]) -> list[str]:
        """Return the wavelengths' fields of a row, by ascending wavelength."""
        if self.first is not None:
            return fields[self.first : self.first + self.at.size]
        return [fields[i] for i in self.at]


def checksum_of(row: bytes, header: bytes) -> str:
    """Return the checksum of a row in a table with this header line, both as they are written without line ends.

    Args:
        row: its line up to the checksum's comma.
        header: the whole header line; a damaged name of a column changes what all rows mean.
    """
    # A letter before it, or spreadsheets would make numbers of some.
    return f"x{zlib.crc32(row, zlib.crc32(header)):08x}"


def looks_like_table(head: bytes) -> bool:
    """Say whether the start of a (decompressed) file is that of our table.

    It is if it begins with the format's own first line, or if its first line that is no comment has a column named
    `sample_id` between commas, and two that are wavelengths as they are named here: others call a column so too.
    """
    head = head.removeprefix(b"\xef\xbb\xbf")
    if head.startswith(MAGIC.encode()):
        return True
    for line in head.split(b"\n", MAX_COMMENT_LINES):
        if not line.startswith(b"#"):
            of_ours = re.match(rb'(?:[^,"]*,|"[^"]*",)*"?sample_id"?,', line) is not None
            return of_ours and len(re.findall(rb'(?<=,)"?\d+(?:\.\d+)?"?(?=,|\s*$)', b"," + line)) > 1
    return False


def find_wavelengths(header: Sequence[str], source: str) -> WavelengthColumns:
    """Find the wavelength columns of a header: those whose name is a number.

    Raises:
        SpectrumFileError: a name twice, no sample_id, fewer than two wavelengths, or wavelengths outside 200
            to 20000 nm.
    """
    names = [name.strip() for name in header]
    if len(set(names)) < len(names):
        twice = min(name for name, times in Counter(names).items() if times > 1)
        raise SpectrumFileError(f"{source}: more than one column is named {shortened(twice)}")
    if "sample_id" not in names:
        saved = " between commas: saved by a spreadsheet? Take it as stibium wrote it" if len(names) == 1 else ""
        raise SpectrumFileError(f"{source}: has no column sample_id{saved}")
    at = np.array([i for i, name in enumerate(names) if WAVELENGTH.fullmatch(name)], dtype=np.intp)
    nm = np.array([float(names[i]) for i in at], dtype=np.float64)
    if nm.size < 2:
        raise SpectrumFileError(f"{source}: {nm.size} columns are wavelengths; a column each, named in nm, is needed")
    order = np.argsort(nm, kind="stable")
    at, nm = at[order], nm[order]
    if not (nm[1:] > nm[:-1]).all():
        raise SpectrumFileError(f"{source}: two columns are for the same wavelength")
    if nm[0] < MIN_NM or nm[-1] > MAX_NM:
        raise UnusableSpectrumError(
            f"{source}: wavelengths from {nm[0]:g} to {nm[-1]:g}; columns are named in nm, {MIN_NM:g} to {MAX_NM:g}"
        )
    block = bool((np.diff(at) == 1).all())
    return WavelengthColumns(nm, at, int(at[0]) if block else None)


def name_nm(nm: float) -> str:
    """Return the shortest text that is exactly this wavelength, without an exponent."""
    return np.format_float_positional(nm, trim="-")


def other_grid(spectrum: Spectrum, grid_nm: NDArray[np.float64]) -> str:
    """Say how a spectrum's wavelengths differ from those of the first one written."""
    first, last = spectrum.range_nm
    return (
        f"{spectrum.wavelengths_nm.size} bands of {first:g} to {last:g} nm do not fit beside the first spectrum's "
        f"{grid_nm.size} of {grid_nm[0]:g} to {grid_nm[-1]:g} nm"
    )
