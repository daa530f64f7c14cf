"""Text tables of spectra as ViewSpec Pro, R, spreadsheets and people write them, wavelengths down or across."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from .ascii_layout import (
    DELIMITERS,
    MIN_BANDS,
    SAMPLE_COLUMNS,
    WAVELENGTH_COLUMN,
    WAVELENGTH_NAME,
    Line,
    check_columns,
    down_header,
    find_across,
    find_down,
    names_samples,
    plain_words,
    rows_from,
    split,
    wavelength_groups,
)
from .clock import any_moment
from .detectors import join_detectors, merge_equal
from .errors import (
    OnBad,
    SpectrumFileError,
    TruncatedFileError,
    UnknownFormatError,
    UnusableSpectrumError,
)
from .facts import TITLE, facts_in, with_facts
from .files import read_bytes
from .names import file_name, split_name
from .scale import Scaled, scale_in, to_fractions
from .spectrum import Floats, Quantity, Spectrum, with_remarks
from .table.read import from_texts
from .text import (
    FARTHEST_NM,
    as_float,
    decode_text,
    is_text,
    joins_in,
    no_soil,
    position_of,
    quantity_in,
    shortened,
    split_lines,
    to_floats,
    to_nm,
    wavelength_unit,
)

_PLACE = {
    "latitude_deg": ("latitudedeg", "latitude", "lat", "decimallatitude", "latitudewgs"),
    "longitude_deg": ("longitudedeg", "longitude", "long", "lon", "lng", "decimallongitude", "longitudewgs"),
}
"""Columns of decimal degrees, by the letters of what tables call them."""
_MOMENT = ("datetime", "timestamp", "measurementdate", "datemeasured", "acquisitiondate", "scandate", "date")
"""Columns of when it was measured, likewise; `Time` beside a date is of it."""
_ALIKE = 3.0
"""Soils measured with one instrument differ in the middle of their bands by less than this."""
_SAYS_WHAT = re.compile(r"quantity|reflect|absorb|log\W{0,3}1|transmi|radian|unit|y.?axis", re.IGNORECASE)
_PLAIN_NAMES = re.compile(r"(?:mean )?(?:reflect\w*|refl?|r|value|absorbance|intensity|y)\b.*", re.IGNORECASE)


@dataclass(frozen=True)
class _Said:
    """What header and preamble say: quantity, per cent or fraction, unit of wavelength; None where silent.

    Attributes:
        joins_nm: of detectors.
        measured_at: of a single spectrum.
    """

    quantity: Quantity | None
    scale: float | None
    unit: str | None
    joins_nm: tuple[float, ...] = ()
    measured_at: datetime | None = None


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
    return any(find_across(whole, d) is not None or find_down(whole, d) is not None for d in DELIMITERS)


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
        cent, and wavelengths in nm or µm, is said by its header or else seen in its values (`to_fractions`,
        `to_nm`). A table that says nothing else is taken for reflectance.

    Raises:
        TruncatedFileError: the last line has no end or lacks columns. Rows missing at the very end are not
            noticed: nothing in such a file says how many there should be.
        UnknownFormatError: no table of spectra can be found in the text.
        SpectrumFileError: anything else that makes the file unusable, or that could be read in two ways.
            Messages name the file and the line or column.

    """
    source = os.fspath(path)
    return list(iter_ascii_table(read_bytes(source), source, on_bad))


def iter_ascii_table(data: bytes, source: str, on_bad: OnBad | None = None) -> Iterator[Spectrum]:
    """Parse a text table and yield its spectra; see `read_ascii_table`."""
    lines = split_lines(decode_text(data, source), source)
    for delimiter in DELIMITERS:
        header_at = find_across(lines, delimiter)
        if header_at is not None and not names_samples(lines, header_at, delimiter):
            return _read_across(lines, header_at, delimiter, source, on_bad)
    for delimiter in DELIMITERS:
        start = find_down(lines, delimiter)
        if start is not None:
            return _read_down(lines, start, delimiter, source, on_bad)
    raise UnknownFormatError(
        f"{source}: text without a table of spectra: neither a header of {MIN_BANDS} wavelengths nor columns of numbers"
    )


# Wavelengths across


def _read_across(
    lines: list[str], header_at: int, delimiter: str | None, source: str, on_bad: OnBad | None
) -> Iterator[Spectrum]:
    header = split(lines[header_at], delimiter)
    rows = rows_from(lines, header_at + 1, delimiter, source, len(header))
    if not rows:
        raise TruncatedFileError(f"{source}: a header of wavelengths without a row of values")
    if all(len(row.cells) == len(header) + 1 for row in rows):
        header = ["", *header]  # R leaves the column of row names without one
    check_columns(rows, len(header), source)
    groups = _of_wavelengths(header, source)
    if len(groups) > 1:
        raise SpectrumFileError(
            f"{source}: two sets of wavelength columns, {shortened(groups[0][0])} and {shortened(groups[1][0])}; "
            "leave one in the file"
        )
    around, at = groups[0]
    said = _what_is_said([around], lines[:header_at], source)
    numbers = [WAVELENGTH_NAME.fullmatch(header[i])[2].replace(",", ".") for i in at]  # type: ignore[index]
    rows = rows[_rows_of_units(rows, at) :]
    values = _numbers(rows, at, source)
    nm, values, splices_nm = _put_in_order(np.array([*map(float, numbers)]), values, said.unit, source)
    scaled = _scaled(values, said, source)
    others = sorted({*range(len(header))}.difference(*(columns for _, columns in wavelength_groups(header))))
    sample_at = _sample_column(header, others, rows, source)
    names = {row.cells[sample_at].lower() for row in rows} if sample_at is not None else set()
    for row, row_values, wrong in zip(rows, scaled.values, scaled.wrong, strict=True):
        cells = row.cells
        texts = {header[i]: cells[i] for i in others if i != sample_at and header[i]}
        name = cells[sample_at] if sample_at is not None else f"{file_name(source)}_{row.number}"
        sample_id, measurement, simulated = split_name(name)
        texts = {"measurement": measurement, "quantity": said.quantity or "reflectance", **_named_here(texts)}
        texts["sample_id"] = sample_id
        joins = splices_nm or tuple(join for join in said.joins_nm if nm[0] < join < nm[-1])
        texts["splices_nm"] = texts.get("splices_nm") or ";".join(map(str, joins))
        texts["simulated"] = texts.get("simulated") or str(simulated)
        where = f"line {row.number} ({shortened(name, 60)[1:-1]})"
        try:
            if not sample_id:
                raise UnusableSpectrumError(f"{source}: {where}: {shortened(header[sample_at or 0])} is empty")
            if why := wrong or no_soil(name, names):
                raise UnusableSpectrumError(f"{source}: {where}: {why}")
            spectrum = with_remarks(from_texts(texts, nm, row_values, source, where), scaled.remarks)
        except UnusableSpectrumError as error:
            if on_bad is None:
                raise
            on_bad(error)
            continue
        yield spectrum


def _named_here(texts: dict[str, str]) -> dict[str, str]:
    """Give columns of place and time by their usual names, such as Latitude and Date, the names that they have here."""
    plain = {re.sub(r"[^a-z]", "", name.lower()): name for name in texts}
    found = {here: next((plain[word] for word in words if word in plain), "") for here, words in _PLACE.items()}
    latitude, longitude = (as_float(texts.get(name, "")) for name in found.values())
    if not all(found.values()) or position_of(latitude, longitude, None) is None:
        found = {}
    told = {name: text for name, text in texts.items() if name not in found.values()}
    told |= {here: texts[name] for here, name in found.items()}
    day = next((plain[word] for word in _MOMENT if word in plain), "")
    time = "" if ":" in texts.get(day, "") else plain.get("time", "")
    moment = any_moment(f"{texts.get(day, '')} {texts.get(time, '')}")
    if moment is None or told.get("measured_at"):
        return told
    return {name: text for name, text in told.items() if name not in (day, time)} | {"measured_at": moment.isoformat()}


def _of_wavelengths(header: list[str], source: str) -> list[tuple[str, list[int]]]:
    """Find the sets of columns named by wavelengths, without those named by wavenumbers beside them."""
    groups = wavelength_groups(header)
    of_nm = [
        (around, at)
        for around, at in groups
        if not re.search(r"(?<![a-z])mir(?![a-z])|cm|wave\s*n", around, re.IGNORECASE)
        and max(float(WAVELENGTH_NAME.fullmatch(header[i])[2].replace(",", ".")) for i in at) <= FARTHEST_NM  # type: ignore[index]
    ]
    return of_nm if of_nm and len(of_nm) < len(groups) else groups


def _rows_of_units(rows: list[Line], at: Sequence[int]) -> int:
    """Count the first rows that hold no number under any wavelength."""
    for count, row in enumerate(rows):
        cells = row.cells
        values = (as_float(cells[i].replace(",", ".", 1)) for i in at)
        if any(value is not None and not np.isnan(value) for value in values):
            return count
    return 0


def _sample_column(header: list[str], others: list[int], rows: list[Line], source: str) -> int | None:
    """Choose the column that names samples: by its name, or else the first.

    Raises:
        SpectrumFileError: the first says the same of several rows, and another tells them apart: a drill hole's name?
    """
    plain = {i: plain_words(header[i]) for i in others}
    for name in SAMPLE_COLUMNS:
        for i in others:
            if plain[i] == name:
                return i
    named = [i for i in others if header[i]] or others
    if not named:
        return None
    distinct = {i: len({row.cells[i] for row in rows}) for i in named}
    best = max(named, key=lambda i: distinct[i])
    if distinct[named[0]] < len(rows) and distinct[best] > distinct[named[0]]:
        raise SpectrumFileError(
            f"{source}: which column names the samples? {shortened(header[named[0]])} says the same of several rows, "
            f"{shortened(header[best])} does not; call the right one sample"
        )
    return named[0]


# Wavelengths down


def _read_down(
    lines: list[str], start: int, delimiter: str | None, source: str, on_bad: OnBad | None
) -> Iterator[Spectrum]:
    rows = rows_from(lines, start, delimiter, source)
    columns = len(rows[0].cells)
    check_columns(rows, columns, source)
    if len(rows) < MIN_BANDS:
        raise SpectrumFileError(f"{source}: {len(rows)} lines of numbers are no spectrum; {MIN_BANDS} are needed")
    names, between, preamble = down_header(lines[:start], columns, delimiter)
    table = _numbers(rows, range(columns), source)
    axis = next((i for i, name in enumerate(names) if WAVELENGTH_COLUMN.match(name)), 0)
    at = [i for i in range(axis + 1, columns) if names[i] or not np.isnan(table[:, i]).all()]
    stated = [i for i in at if quantity_in([names[i]]) == "reflectance"]
    at = stated or at
    words = [names[axis], *((names[i] for i in at) if all(quantity_in([names[i]]) for i in at) else ())]
    said = _what_is_said([*words, *between], preamble, source)
    if not at:
        raise SpectrumFileError(f"{source}: no column of values beside the wavelengths")
    if delimiter == "," and said.quantity != "raw_dn" and columns > 2 and not np.mod(table, 1).any():
        raise SpectrumFileError(
            f"{source}: only whole numbers between commas: a comma may be the decimal sign here; "
            "separate the columns by tabs or semicolons"
        )
    unclear = _unclear_columns(names, at, table)
    lower = {names[i].lower() for i in at}
    told = _told_of_columns(preamble, columns, delimiter, "join")
    joins = [joins_in([f"join {cell}"]) for cell in told] or [said.joins_nm] * columns
    facts = _told_of_columns(preamble, columns, delimiter, TITLE) or [""] * columns
    nm, values, splices_nm = _put_in_order(table[:, axis], table[:, at].T, said.unit, source)
    scaled = _scaled(values, said, source)
    for i, column_values, wrong in zip(at, scaled.values, scaled.wrong, strict=True):
        sample_id, measurement, simulated = _column_name(names[i], i, len(at), source)
        where = f"column {i + 1}{f' ({shortened(names[i], 60)[1:-1]})' if names[i] else ''}"
        try:
            if why := unclear.get(i) or no_soil(names[i], lower) or wrong:
                raise UnusableSpectrumError(why)
            spectrum = Spectrum(
                wavelengths_nm=nm,
                values=column_values,
                quantity=said.quantity or "reflectance",
                sample_id=sample_id,
                source=source,
                measurement=measurement,
                measured_at=said.measured_at if len(at) == 1 else None,
                splices_nm=splices_nm or tuple(join for join in joins[i] if nm[0] < join < nm[-1]),
                simulated=simulated,
            )
        except UnusableSpectrumError as error:
            located = UnusableSpectrumError(f"{source}: {where}: {str(error).removeprefix(f'{source}: ')}")
            if on_bad is None:
                raise located from None
            on_bad(located)
            continue
        yield with_remarks(with_facts(spectrum, facts_in(facts[i])), scaled.remarks)


def _unclear_columns(names: Sequence[str], at: Sequence[int], table: Floats) -> dict[int, str]:
    """Say which columns of values nobody may take for a soil's, and why, since they have no name."""
    unnamed = [i for i in at if not names[i]]
    if len(unnamed) < len(at):
        return dict.fromkeys(unnamed, "has values and no name; name it, or take it out")
    middles = np.nanmedian(np.abs(table[:, at]), axis=0)
    if middles.max() <= _ALIKE * middles.min():
        return {}
    why = "columns without names differ so much that one may be a deviation or counts; write names above them"
    return dict.fromkeys(at, why)


def _told_of_columns(preamble: list[str], columns: int, delimiter: str | None, what: str) -> list[str]:
    """Read a line above the table that has a cell for each column, as we write it; nothing if there is none."""
    for line in preamble:
        cells = line.split(delimiter)
        if len(cells) == columns > 1 and what in cells[0].lower():
            return cells
    return []


def _column_name(name: str, column: int, columns: int, source: str) -> tuple[str, str, bool]:
    sample_id, measurement, simulated = split_name(name)
    if sample_id and not (columns == 1 and _PLAIN_NAMES.fullmatch(name)):
        return sample_id, measurement, simulated
    if columns == 1:
        return split_name(os.path.basename(file_name(source)) + ".txt")
    return file_name(source), str(column), simulated


# Both


def _what_is_said(words: Sequence[str], preamble: list[str], source: str) -> _Said:
    telling = [line for line in preamble if _SAYS_WHAT.search(line)]
    axis = [line for line in preamble if re.search(r"wave\s*(?:length|number)", line, re.IGNORECASE)]
    return _Said(
        quantity=quantity_in(words) or quantity_in(telling),
        scale=scale_in(words) or scale_in(telling),
        unit=wavelength_unit("\n".join(words), source) or wavelength_unit("\n".join(axis), source),
        joins_nm=joins_in(preamble),
        measured_at=_saved_at(preamble),
    )


def _saved_at(preamble: list[str]) -> datetime | None:
    """Read ViewSpec's "Spectrum saved: 05/16/2024 at 07:08:09", month first."""
    for line in preamble:
        found = re.search(r"saved:?\s*(\d+/\d+/\d{4}) at (\d+:\d+:\d+)", line, re.IGNORECASE)
        if found is not None:
            try:
                return datetime.strptime(f"{found[1]} {found[2]}", "%m/%d/%Y %H:%M:%S")
            except ValueError:
                return None
    return None


def _numbers(rows: Sequence[Line], at: Sequence[int], source: str) -> Floats:
    """Convert the columns `at` to (rows, columns) numbers; a decimal comma is one everywhere or nowhere."""
    comma = point = 0
    values = np.empty((len(rows), len(at)))
    for row, numbers in zip(rows, values, strict=True):
        cells = row.cells
        cells = cells if len(at) == len(cells) else [cells[i] for i in at]
        joined = "".join(cells)
        comma, point = comma or row.number * ("," in joined), point or row.number * ("." in joined)
        if comma and point:
            raise SpectrumFileError(
                f"{source}: decimal commas (line {comma}) and points (line {point}) in one table; use one of them"
            )
        numbers[:] = to_floats(
            [cell.replace(",", ".") for cell in cells] if comma else cells, source, f"line {row.number}"
        )
    return values


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


def _scaled(values: Floats, said: _Said, source: str) -> Scaled:
    if said.quantity in (None, "reflectance", "transmittance"):
        advice = "write the unit into the header (fraction, %, x 10000, absorbance, DN)"
        return to_fractions(values, said.scale, said.quantity is not None, advice, source)
    return Scaled(values, ("",) * len(values))
