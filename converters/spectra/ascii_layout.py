"""Where in a text table of spectra the header and the numbers are."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from .detectors import MAX_DETECTORS
from .errors import SpectrumFileError, TruncatedFileError
from .spectrum import Floats
from .text import MAX_NM, MIN_NM, as_float, split_csv

MIN_BANDS = 10
"""Fewer numbers in a row or column are taken for something else than a spectrum."""

DELIMITERS = ("\t", ";", ",", None)
"""In the order in which they are tried; None is white space."""

HEADER_LINES = 100
"""Lines within which the table has to begin."""

LINES_OF_A_CELL = 20
"""That a cell in quotes may have."""

WAVELENGTH_COLUMN = re.compile(r"wave|wvl|wl\b|lambda|λ|[nuµμ]m\b", re.IGNORECASE)
SAMPLE_COLUMNS = (
    "sampleid", "sample", "samplename", "sampleno", "samplenumber", "labid", "labno", "id", "name", "names",
    "spectrum", "spectrumname", "spectra", "label", "file", "filename", "soil", "soilid",
)  # fmt: skip
"""Names of a column that names spectra, the surest first, as their letters in lower case."""

WAVELENGTH_NAME = re.compile(r"(\D*?)(\d+(?:[.,]\d+)?)(\D*(?:cm ?\^?-1)?)")
"""A column's name that is a wavelength with the letters around it."""


class Line(NamedTuple):
    """One line of a table: its number in the file, from 1, its text, and what separates its cells."""

    number: int
    text: str
    delimiter: str | None

    @property
    def cells(self) -> list[str]:
        """Split the line; the cells of all lines at once would take ten times the file's size."""
        return split(self.text, self.delimiter)


def split(line: str, delimiter: str | None) -> list[str]:
    """Split a line into cells; raises SpectrumFileError for quotes that do not match."""
    if delimiter is None:
        return line.split()
    cells = split_csv(line, "", "", delimiter) if '"' in line else line.split(delimiter)
    return [cell.strip() for cell in cells]


def rows_from(
    lines: list[str], start: int, delimiter: str | None, source: str, columns: int | None = None
) -> list[Line]:
    """Give the lines from `start` on, but those without content; lines within one pair of quotes are one.

    Args:
        lines: of the file.
        start: the first.
        delimiter: of cells.
        source: the file.
        columns: that rows should have, if it is known.

    Raises:
        SpectrumFileError: quotes that do not match.
    """
    rows: list[Line] = []
    behind = start
    for i in range(start, len(lines)):
        if i < behind:
            continue  # within quotes that an earlier line opened
        if lines[i].strip() and (delimiter is None or lines[i].replace(delimiter, "").strip()):
            row = Line(i + 1, lines[i], delimiter)
            try:
                if '"' in row.text:
                    row, behind = _whole(lines, i, delimiter, len(rows[0].cells) if rows else columns)
            except SpectrumFileError:
                raise SpectrumFileError(f"{source}: line {i + 1} has quotes that do not match") from None
            rows.append(row)
    return rows


def _whole(lines: list[str], at: int, delimiter: str | None, columns: int | None) -> tuple[Line, int]:
    """Give a line with those that belong to it since a cell in quotes goes over several, and the line behind it."""
    alone = Line(at + 1, lines[at], delimiter)
    if delimiter is None or columns is None or len(alone.cells) >= columns:
        split(alone.text, delimiter)
        return alone, at + 1
    for end in range(at + 2, min(at + LINES_OF_A_CELL, len(lines)) + 1):
        together = Line(at + 1, "\n".join(lines[at:end]), delimiter)
        if len(together.cells) == columns:
            return together, end
    return alone, at + 1


def check_columns(rows: list[Line], columns: int, source: str) -> None:
    """Raise TruncatedFileError if the last line is short, SpectrumFileError if another line has other columns."""
    for row in rows:
        has = len(row.cells)
        if has != columns:
            kind = TruncatedFileError if row is rows[-1] and has < columns else SpectrumFileError
            raise kind(f"{source}: line {row.number} has {has} of {columns} columns")


def find_across(lines: list[str], delimiter: str | None) -> int | None:
    """Find the line that names at least MIN_BANDS wavelengths."""
    for i, line in enumerate(lines[:HEADER_LINES]):
        try:
            if wavelength_groups(split(line, delimiter)):
                return i
        except SpectrumFileError:
            continue  # a line with unmatched quotes is no header; as a row it will be refused
    return None


def wavelength_groups(cells: list[str]) -> list[tuple[str, list[int]]]:
    """Find sets of columns named by wavelengths, as the letters around each and the columns' places."""
    if len(cells) < MIN_BANDS:
        return []
    groups: dict[tuple[str, str], list[int]] = {}
    numbers = {}
    for i, cell in enumerate(cells):
        found = WAVELENGTH_NAME.fullmatch(cell)
        if found is not None:
            groups.setdefault((found[1], found[3]), []).append(i)
            numbers[i] = float(found[2].replace(",", "."))
    return [
        (f"{around[0]} {around[1]}".strip(), at)
        for around, at in groups.items()
        if _are_wavelengths(np.array([numbers[i] for i in at]))
    ]


def _are_wavelengths(numbers: Floats) -> bool:
    if numbers.size < MIN_BANDS:
        return False
    low, high = numbers.min(), numbers.max()
    # Values of a spectrum also lie in the µm range and may ascend, but not by so much.
    if not (low >= MIN_NM and high <= MAX_NM) and not (low >= 0.2 and high <= 20.0 and high - low >= 0.5):
        return False
    steps = np.diff(numbers)
    return int(min((steps <= 0).sum(), (steps >= 0).sum())) < MAX_DETECTORS


def names_samples(lines: list[str], header_at: int, delimiter: str | None) -> bool:
    """Say whether a header's numbers are numbers of samples, and the wavelengths go down the first column.

    If the first column is called after samples they are there. If both look like wavelengths, those are that are evenly
    spaced, or else those that reach further.
    """
    header = split(lines[header_at], delimiter)
    if plain_words(header[0]) in SAMPLE_COLUMNS:
        return False
    first = []
    for line in lines[header_at + 1 :]:
        if line.strip():
            try:
                value = as_float(split(line, delimiter)[0].replace(",", ".", 1))
            except SpectrumFileError:
                return False
            if value is None or np.isnan(value):
                return False
            first.append(value)
    if not _are_wavelengths(np.array(first)):
        return False
    across = [
        np.array([float(WAVELENGTH_NAME.fullmatch(header[i])[2].replace(",", ".")) for i in at])  # type: ignore[index]
        for _, at in wavelength_groups(header)
    ]
    if _evenly_spaced(np.array(first)) != any(map(_evenly_spaced, across)):
        return _evenly_spaced(np.array(first))
    return bool(max(first) - min(first) > max(np.ptp(numbers) for numbers in across))


def _evenly_spaced(numbers: Floats) -> bool:
    """Tell the bands of an instrument, whose distances change slowly if at all, from numbers of samples."""
    steps = np.abs(np.diff(numbers))
    return float(np.median(np.abs(np.diff(steps)))) <= 0.05 * float(np.median(steps))


def plain_words(name: str) -> str:
    """Return the letters of a column's name in lower case."""
    return re.sub(r"[^a-z]", "", name.lower())


def find_down(lines: list[str], delimiter: str | None) -> int | None:
    """Find the first of three lines in a row that are numbers in the same number of columns, two or more."""
    before = (0, 0)
    seen = 0
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        seen += 1
        columns = _numeric_columns(line, delimiter)
        length = before[1] + 1 if columns >= 2 and columns == before[0] else min(columns // 2, 1)
        before = (columns, length)
        if length == 1:
            start = i
        if length == 3:
            return start
        if seen >= HEADER_LINES:
            return None
    return None


def _numeric_columns(line: str, delimiter: str | None) -> int:
    """Count the cells of a line if all are numbers or missing, and the first is a number; else 0."""
    try:
        cells = split(line, delimiter)
    except SpectrumFileError:
        return 0
    numbers = [as_float(cell.replace(",", ".", 1)) for cell in cells]
    return len(cells) if cells and cells[0] and all(number is not None for number in numbers) else 0


def down_header(before: list[str], columns: int, delimiter: str | None) -> tuple[list[str], list[str], list[str]]:
    """Find the columns' names among the lines before the numbers.

    Lines of units or depths may come between; they have as many cells, and name nothing.

    Returns:
        The names, "" where there are none; the lines between them and the numbers; the lines before them.
    """
    end = len(before)
    while end and not before[end - 1].strip():
        end -= 1
    heads: list[list[str]] = []
    for line in reversed(before[:end]):
        try:
            cells = split(line, delimiter)
        except SpectrumFileError:
            break
        if len(cells) != columns:
            break
        heads.append(cells)
    naming = [i for i, cells in enumerate(heads) if any(map(_is_name, cells[1:]))]
    at = next((i for i in naming or range(len(heads)) if _begins_a_header(heads[i][0])), next(iter(naming), 0))
    if not heads:
        return [""] * columns, [], before
    return heads[at], before[end - at : end], before[: end - at - 1]


def _begins_a_header(cell: str) -> bool:
    return plain_words(cell) in SAMPLE_COLUMNS or (len(cell) > 2 and WAVELENGTH_COLUMN.match(cell) is not None)


def _is_name(cell: str) -> bool:
    """Tell a spectrum's name from a number, a unit and nothing."""
    return as_float(cell) is None and cell.lower() not in _UNITS


_UNITS = ("nm", "um", "µm", "%", "pct", "fraction", "unitless", "dn", "counts", "cm", "m", "mm", "a.u.")
