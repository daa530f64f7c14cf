"""Text tables of spectra as ViewSpec Pro, R, spreadsheets and people write them, wavelengths down or across."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .detectors import MAX_DETECTORS, join_detectors, merge_equal
from .errors import SpectrumFileError, TruncatedFileError, UnknownFormatError, UnusableSpectrumError
from .files import read_bytes
from .spectrum import Floats, Quantity, Spectrum
from .table import OnBad, from_texts, split_csv
from .text import (
    MAX_NM,
    MIN_NM,
    Scale,
    as_float,
    decode_text,
    is_text,
    quantity_in,
    scale_in,
    shortened,
    split_lines,
    split_name,
    stem_of,
    to_floats,
    to_fraction,
    to_nm,
    wavelength_unit,
)

MIN_BANDS = 10
"""Fewer numbers in a row or column are taken for something else than a spectrum."""

DELIMITERS = ("\t", ";", ",", None)
"""In the order in which they are tried; None is white space."""

_HEADER_LINES = 100
_WAVELENGTH_NAME = re.compile(r"(\D*?)(\d+(?:[.,]\d+)?)(\D*)")
_WAVELENGTH_COLUMN = re.compile(r"wave|wvl|wl\b|lambda|λ|[nuµμ]m\b", re.IGNORECASE)
_SAYS_WHAT = re.compile(r"quantity|reflect|absorb|transmi|radian|unit|y.?axis", re.IGNORECASE)
_PLAIN_NAMES = re.compile(r"(?:mean )?(?:reflect\w*|refl?|r|value|absorbance|intensity|y)\b.*", re.IGNORECASE)
_SAMPLE_COLUMNS = (
    "sampleid", "sample", "samplename", "sampleno", "samplenumber", "labid", "labno", "id", "name", "names",
    "spectrum", "spectrumname", "spectra", "label", "file", "filename", "soil", "soilid",
)  # fmt: skip


class _Line(NamedTuple):
    number: int
    cells: list[str]


@dataclass(frozen=True)
class _Said:
    """What header and preamble say: quantity, per cent or fraction, unit of wavelength; None where silent."""

    quantity: Quantity | None
    scale: Scale | None
    unit: str | None


def looks_like_ascii_table(head: bytes) -> bool:
    """Say whether the start of a (decompressed) file can be a text table of spectra."""
    if not is_text(head):
        return False
    try:
        text = decode_text(head[: len(head) & ~1], "")
    except UnknownFormatError:
        return False
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    whole = lines[:-1] or lines
    return any(_across_header(whole, d) is not None or _block(whole, d) is not None for d in DELIMITERS)


def read_ascii_table(path: str | os.PathLike[str], on_bad: OnBad | None = None) -> list[Spectrum]:
    """Read a text table of spectra.

    Lines of text may come first. Then either wavelengths go down: a first column of wavelengths (its header,
    if there is one, names the other columns' spectra); or across: a header with at least 10 wavelengths, alone or
    with the same letters around each (`X350`, `350nm`, `scan_visnir.350_ref`), and a row for each spectrum,
    named by a column such as `sample`, `id` or `name`, else by the first; further columns go to `extra`.
    Columns are separated by tab, semicolon, comma or white space, and numbers may have a decimal comma.
    Wavelengths may descend, and go back where detectors overlap (joined in the middle).

    Args:
        path: the file, plain or gzip (by content).
        on_bad: called with the reason for each spectrum of the table that is unusable, which then is passed
            over. Without it the first such spectrum raises.

    Returns:
        The table's spectra; reflectance and transmittance as fractions. Whether the file has them in per
        cent, and wavelengths in nm or µm, is said by its header or else seen in its values (`to_fraction`,
        `to_nm`). A table that says nothing else is taken for reflectance.

    Raises:
        TruncatedFileError: the last line has no end or lacks columns. Rows missing at the very end are not
            noticed: nothing in such a file says how many there should be.
        UnknownFormatError: no table of spectra can be found in the text.
        SpectrumFileError: anything else that makes the file unusable, or that could be read in two ways.
            Messages name the file and the line or column.

    Notes:
        A wavenumber axis that is not named as such, 4000 to 400, would be taken for nm.
    """
    source = os.fspath(path)
    return list(iter_ascii_table(read_bytes(source), source, on_bad))


def parse_ascii_table(data: bytes, source: str, on_bad: OnBad | None = None) -> list[Spectrum]:
    """Parse the decompressed content of a text table; see `read_ascii_table`."""
    return list(iter_ascii_table(data, source, on_bad))


def iter_ascii_table(data: bytes, source: str, on_bad: OnBad | None = None) -> Iterator[Spectrum]:
    """Parse a text table and yield its spectra; see `read_ascii_table`."""
    lines = split_lines(decode_text(data, source), source)
    for delimiter in DELIMITERS:
        header_at = _across_header(lines, delimiter)
        if header_at is not None:
            return _read_across(lines, header_at, delimiter, source, on_bad)
    for delimiter in DELIMITERS:
        start = _block(lines, delimiter)
        if start is not None:
            return _read_down(lines, start, delimiter, source, on_bad)
    raise UnknownFormatError(
        f"{source}: text without a table of spectra: no header of {MIN_BANDS} wavelengths or more, "
        "and no lines of numbers in two columns or more"
    )


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    cells = split_csv(line, "", "", delimiter) if '"' in line else line.split(delimiter)
    return [cell.strip() for cell in cells]


def _rows(lines: list[str], start: int, delimiter: str | None, source: str) -> list[_Line]:
    rows = []
    for i in range(start, len(lines)):
        if lines[i].strip():
            try:
                rows.append(_Line(i + 1, _split(lines[i], delimiter)))
            except SpectrumFileError:
                raise SpectrumFileError(f"{source}: line {i + 1} has quotes that do not match") from None
    return rows


def _check_columns(rows: list[_Line], columns: int, source: str) -> None:
    for row in rows:
        if len(row.cells) != columns:
            kind = TruncatedFileError if row is rows[-1] and len(row.cells) < columns else SpectrumFileError
            raise kind(f"{source}: line {row.number} has {len(row.cells)} of {columns} columns")


# Wavelengths across


def _across_header(lines: list[str], delimiter: str | None) -> int | None:
    """Find the line that names at least MIN_BANDS wavelengths."""
    for i, line in enumerate(lines[:_HEADER_LINES]):
        try:
            if _wavelength_groups(_split(line, delimiter)):
                return i
        except SpectrumFileError:
            continue  # a line with unmatched quotes is no header; as a row it will be refused
    return None


def _wavelength_groups(cells: list[str]) -> list[tuple[str, list[int]]]:
    """Find sets of columns named by wavelengths, as the letters around each and the columns' places."""
    if len(cells) < MIN_BANDS:
        return []
    groups: dict[tuple[str, str], list[int]] = {}
    numbers = {}
    for i, cell in enumerate(cells):
        found = _WAVELENGTH_NAME.fullmatch(cell)
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


def _read_across(
    lines: list[str], header_at: int, delimiter: str | None, source: str, on_bad: OnBad | None
) -> Iterator[Spectrum]:
    header = _split(lines[header_at], delimiter)
    rows = _rows(lines, header_at + 1, delimiter, source)
    if not rows:
        raise TruncatedFileError(f"{source}: a header of wavelengths without a row of values")
    if all(len(row.cells) == len(header) + 1 for row in rows):
        header = ["", *header]  # R leaves the column of row names without one
    _check_columns(rows, len(header), source)
    groups = sorted(_wavelength_groups(header), key=lambda group: -len(group[1]))
    if len(groups) > 1 and len(groups[0][1]) == len(groups[1][1]):
        raise SpectrumFileError(
            f"{source}: two sets of wavelength columns, {shortened(groups[0][0])} and {shortened(groups[1][0])}; "
            "leave one in the file"
        )
    around, at = groups[0]
    said = _what_is_said([around], lines[:header_at], source)
    numbers = [_WAVELENGTH_NAME.fullmatch(header[i])[2].replace(",", ".") for i in at]  # type: ignore[index]
    values = _numbers([_Line(row.number, [row.cells[i] for i in at]) for row in rows], source)
    nm, values, splices_nm = _put_in_order(np.array([*map(float, numbers)]), values, said.unit, source)
    values = _scaled(values, said, source)
    others = sorted({*range(len(header))}.difference(at))
    sample_at = _sample_column(header, others)
    for row, row_values in zip(rows, values, strict=True):
        texts = {header[i]: row.cells[i] for i in others if i != sample_at and header[i]}
        name = row.cells[sample_at] if sample_at is not None else f"{stem_of(source)}_{row.number}"
        sample_id, measurement, simulated = split_name(name)
        texts = {"measurement": measurement, "quantity": said.quantity or "reflectance", **texts}
        texts["sample_id"] = sample_id
        texts["splices_nm"] = texts.get("splices_nm") or ";".join(map(str, splices_nm))
        texts["simulated"] = texts.get("simulated") or str(simulated)
        where = f"line {row.number} ({shortened(name, 60)[1:-1]})"
        try:
            if not sample_id:
                raise UnusableSpectrumError(f"{source}: {where}: {shortened(header[sample_at or 0])} is empty")
            spectrum = from_texts(texts, nm, row_values, source, where)
        except UnusableSpectrumError as error:
            if on_bad is None:
                raise
            on_bad(error)
            continue
        yield spectrum


def _sample_column(header: list[str], others: list[int]) -> int | None:
    plain = {i: re.sub(r"[^a-z]", "", header[i].lower()) for i in others}
    for name in _SAMPLE_COLUMNS:
        for i in others:
            if plain[i] == name:
                return i
    return next((i for i in others if header[i]), others[0] if others else None)


# Wavelengths down


def _block(lines: list[str], delimiter: str | None) -> int | None:
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
        if seen >= _HEADER_LINES:
            return None
    return None


def _numeric_columns(line: str, delimiter: str | None) -> int:
    """Count the cells of a line if all are numbers or missing, and the first is a number; else 0."""
    try:
        cells = _split(line, delimiter)
    except SpectrumFileError:
        return 0
    numbers = [as_float(cell.replace(",", ".", 1)) for cell in cells]
    return len(cells) if cells and cells[0] and all(number is not None for number in numbers) else 0


def _read_down(
    lines: list[str], start: int, delimiter: str | None, source: str, on_bad: OnBad | None
) -> Iterator[Spectrum]:
    rows = _rows(lines, start, delimiter, source)
    columns = len(rows[0].cells)
    _check_columns(rows, columns, source)
    if len(rows) < MIN_BANDS:
        raise SpectrumFileError(f"{source}: {len(rows)} lines of numbers are no spectrum; {MIN_BANDS} are needed")
    names, preamble = _down_header(lines[:start], columns, delimiter)
    table = _numbers(rows, source)
    axis = next((i for i, name in enumerate(names) if _WAVELENGTH_COLUMN.match(name)), 0)
    at = [i for i in range(axis + 1, columns) if names[i] or not np.isnan(table[:, i]).all()]
    stated = [i for i in at if quantity_in([names[i]]) == "reflectance"]
    at = stated or at
    words = [names[axis], *((names[i] for i in at) if all(quantity_in([names[i]]) for i in at) else ())]
    said = _what_is_said(words, preamble, source)
    if not at:
        raise SpectrumFileError(f"{source}: no column of values beside the wavelengths")
    if delimiter == "," and said.quantity != "raw_dn" and columns > 2 and not np.mod(table, 1).any():
        raise SpectrumFileError(
            f"{source}: only whole numbers between commas: a comma may be the decimal sign here; "
            "separate the columns by tabs or semicolons"
        )
    nm, values, splices_nm = _put_in_order(table[:, axis], table[:, at].T, said.unit, source)
    values = _scaled(values, said, source)
    for i, column_values in zip(at, values, strict=True):
        sample_id, measurement, simulated = _column_name(names[i], i, len(at), source)
        where = f"column {i + 1}{f' ({shortened(names[i], 60)[1:-1]})' if names[i] else ''}"
        try:
            spectrum = Spectrum(
                wavelengths_nm=nm,
                values=column_values,
                quantity=said.quantity or "reflectance",
                sample_id=sample_id,
                source=source,
                measurement=measurement,
                splices_nm=splices_nm,
                simulated=simulated,
            )
        except UnusableSpectrumError as error:
            located = UnusableSpectrumError(f"{source}: {where}: {str(error).removeprefix(f'{source}: ')}")
            if on_bad is None:
                raise located from None
            on_bad(located)
            continue
        yield spectrum


def _down_header(before: list[str], columns: int, delimiter: str | None) -> tuple[list[str], list[str]]:
    """Return the columns' names, "" where there are none, and the lines before the header."""
    for i in reversed(range(len(before))):
        if before[i].strip():
            try:
                cells = _split(before[i], delimiter)
            except SpectrumFileError:
                break
            if len(cells) == columns:
                return cells, before[:i]
            break
    return [""] * columns, before


def _column_name(name: str, column: int, columns: int, source: str) -> tuple[str, str, bool]:
    sample_id, measurement, simulated = split_name(name)
    if sample_id and not (columns == 1 and _PLAIN_NAMES.fullmatch(name)):
        return sample_id, measurement, simulated
    if columns == 1:
        return split_name(os.path.basename(stem_of(source)) + ".txt")
    return stem_of(source), str(column), simulated


# Both


def _what_is_said(words: Sequence[str], preamble: list[str], source: str) -> _Said:
    telling = [line for line in preamble if _SAYS_WHAT.search(line)]
    axis = [line for line in preamble if re.search(r"wave\s*(?:length|number)", line, re.IGNORECASE)]
    return _Said(
        quantity=quantity_in(words) or quantity_in(telling),
        scale=scale_in(words) or scale_in(telling),
        unit=wavelength_unit("\n".join(words), source) or wavelength_unit("\n".join(axis), source),
    )


def _numbers(rows: list[_Line], source: str) -> Floats:
    """Convert rows of cells to (rows, columns) numbers; a decimal comma is one everywhere or nowhere."""
    comma = next((row.number for row in rows if "," in "".join(row.cells)), None)
    if comma is not None:
        point = next((row.number for row in rows if "." in "".join(row.cells)), None)
        if point is not None:
            raise SpectrumFileError(
                f"{source}: decimal commas (line {comma}) and points (line {point}) in one table; use one of them"
            )
        rows = [_Line(row.number, [cell.replace(",", ".") for cell in row.cells]) for row in rows]
    return np.stack([to_floats(row.cells, source, f"line {row.number}") for row in rows])


def _put_in_order(
    wavelengths: Floats, values: Floats, unit: str | None, source: str
) -> tuple[Floats, Floats, tuple[float, ...]]:
    """Return ascending wavelengths in nm, (spectra, bands) values and the joins of overlapping detectors."""
    if wavelengths[0] > wavelengths[-1]:
        wavelengths, values = wavelengths[::-1], values[:, ::-1]
    nm = to_nm(wavelengths, unit, source)
    kept, splices_nm = join_detectors(nm, source)
    nm, values = merge_equal(nm[kept], values[:, kept])
    return nm, values, splices_nm


def _scaled(values: Floats, said: _Said, source: str) -> Floats:
    if said.quantity in (None, "reflectance", "transmittance"):
        return to_fraction(values, said.scale, source)
    return values
