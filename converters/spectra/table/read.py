"""Reader of the project's own table of spectra."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import IO, Any, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import OnBad, SpectrumFileError, TruncatedFileError, UnusableSpectrumError
from ..files import unpacked
from ..scale import to_fraction
from ..spectrum import Quantity, Spectrum, with_remarks
from ..text import (
    MAX_COLUMNS,
    MAX_LINE_BYTES,
    MAX_NM,
    MIN_NM,
    as_float,
    no_soil,
    position_of,
    says_simulated,
    shortened,
    split_csv,
    to_floats,
)
from .layout import (
    CHECKSUM,
    CLOSED,
    COLUMNS,
    MAGIC,
    MAX_COMMENT_LINES,
    VERSIONS,
    WavelengthColumns,
    checksum_of,
    find_wavelengths,
)

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_END = re.compile(r"# end (\d{1,18})")
_TRUE, _FALSE = frozenset({"true", "yes", "1", "simulated"}), frozenset({"", "false", "no", "0"})


def read_table(path: str | os.PathLike[str]) -> list[Spectrum]:
    """Read a whole table; see `iter_table`, of which it raises the first refusal."""
    return list(iter_table(path))


def iter_table(path: str | os.PathLike[str], on_bad: OnBad | None = None) -> Iterator[Spectrum]:
    """Read a table row by row; memory is that of one row, whatever the table's length.

    Args:
        path: the file, plain or gzip (by content).
        on_bad: called with the reason for each row that is no usable spectrum, which then is passed over.
            Without it the first such row raises. A table that is cut off or has no valid header always
            raises.

    Yields:
        One spectrum a row, with `source` the path.

    Raises:
        TruncatedFileError: a row is short, the last line has no end, the announced number of rows is not
            there, or the gzip ends early. Rows before have been yielded.
        UnusableSpectrumError: a row is no usable spectrum (without `on_bad`).
        SpectrumFileError: no valid header, a newer version, or an unreadable file. Messages name file and
            row.

    References:
        docs/table_format.md
    """
    source = os.fspath(path)
    with unpacked(source) as file:
        yield from iter_rows(file, source, on_bad)


def iter_rows(file: IO[bytes], source: str, on_bad: OnBad | None = None) -> Iterator[Spectrum]:
    """Parse a table from an open file; see `iter_table`."""
    lines = _lines(file, source)
    header, header_line, closed, version = _header(lines, source)
    columns = find_wavelengths(header, source)
    checked = header_line.encode() if version == VERSIONS[-1] and header[-1] == CHECKSUM else None
    others = set(columns.at.tolist()) | ({len(header) - 1} if checked else set())
    known = {name.strip() for name in header}
    named = [(i, _understood(name.strip(), known)) for i, name in enumerate(header) if i not in others]
    row, announced = 0, None
    # One file has one scale, its first spectrum's.
    scale: tuple[str, ...] | None = None
    names: set[str] = set()
    for line in lines:
        # Spreadsheets fill up every line with commas, and add lines of nothing else.
        bare = line.rstrip(",").strip()
        if not bare:
            continue
        if announced is not None:
            raise SpectrumFileError(f"{source}: goes on after the line that ends it; two tables in one file?")
        found = _END.fullmatch(bare)
        if found is not None:
            announced = int(found[1])
            continue
        row += 1
        fields = split_csv(line, source, f"row {row}")
        if len(fields) != len(header):
            raise TruncatedFileError(f"{source}: row {row} has {len(fields)} of {len(header)} columns")
        try:
            spectrum, told = _spectrum(fields, named, columns, source, row, stated=bool(version))
            if scale not in (None, told):
                raise UnusableSpectrumError(
                    f"{source}: row {row} ({shortened(spectrum.sample_id, 60)[1:-1]}): it or the first row is in per "
                    "cent, the other not; give each its own file"
                )
            scale = told
            # What we wrote was judged before; what others call sample_id has their means and deviations too.
            if not version:
                names.add(spectrum.sample_id.lower())
                if why := no_soil(spectrum.sample_id, names):
                    raise UnusableSpectrumError(
                        f"{source}: row {row} ({shortened(spectrum.sample_id, 60)[1:-1]}): {why}"
                    )
            if checked is not None and fields[-1]:
                _check(line, checked, source, f"row {row} ({shortened(fields[header.index('sample_id')], 60)[1:-1]})")
        except SpectrumFileError as error:
            if on_bad is None:
                raise
            on_bad(error)
            continue
        yield spectrum
    if closed and announced != row:
        raise TruncatedFileError(
            f"{source}: cut off, {row} rows and {'no end' if announced is None else f'{announced} announced'}; "
            "copy it again"
        )
    if row == 0:
        raise SpectrumFileError(f"{source}: a table without a row")


def _check(line: str, header: bytes, source: str, where: str) -> None:
    before, _, checksum = line.rpartition(",")
    if checksum_of(before.encode(), header) != checksum:
        raise UnusableSpectrumError(
            f"{source}: {where} does not fit its checksum: damaged or edited by hand; copy the table again, or if the "
            "edit is meant, empty the row's cell in the column checksum (or remove that column)"
        )


def _lines(file: IO[bytes], source: str) -> Iterator[str]:
    """Yield lines without their ends; one with a quote left open goes on in the next."""
    open_lines: list[bytes] = []
    open_bytes = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        open_bytes += len(raw)
        if open_bytes > MAX_LINE_BYTES or raw.count(b",") > MAX_COLUMNS:
            raise SpectrumFileError(
                f"{source}: a line of more than {MAX_LINE_BYTES >> 20} MiB or {MAX_COLUMNS} columns; "
                "no table of spectra has such a line"
            )
        if not raw.endswith(b"\n"):
            raise TruncatedFileError(
                f"{source}: the last line has no line end, so it is cut off; "
                "copy the file again (or, if it is whole, save it with a line end)"
            )
        comment = raw.startswith(b"#") and not open_lines
        # A quote opens what is closed, and closes what is open.
        if not comment and bool(raw.count(b'"') % 2) != bool(open_lines):
            open_lines.append(raw)
            continue
        if open_lines:
            raw = b"".join([*open_lines, raw])
            open_lines.clear()
        open_bytes = 0
        try:
            yield raw.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError:
            raise SpectrumFileError(f"{source}: holds bytes that are no UTF-8; save it as UTF-8") from None
    if open_lines:
        raise TruncatedFileError(f"{source}: a quoted field is not closed, so the file is cut off or damaged")


def _header(lines: Iterator[str], source: str) -> tuple[list[str], str, bool, str]:
    """Read up to the header line: its columns, itself, whether the table promises its end, and its version, if any."""
    closed, version = False, ""
    for i, line in enumerate(lines):
        line = line.removeprefix("\ufeff")
        if line.startswith("#"):
            line = line.rstrip(",;\t ")
        if line.startswith(MAGIC):
            version = line[len(MAGIC) :].strip()
            if version not in VERSIONS:
                raise SpectrumFileError(
                    f"{source}: a table of version {shortened(version)}, which this program does not know (it knows "
                    f"{' and '.join(VERSIONS)}); update stibium"
                )
        closed = closed or line == CLOSED
        if line.strip() and not line.startswith("#"):
            return split_csv(line, source, "the header"), line, closed, version
        if i >= MAX_COMMENT_LINES:
            break
    raise TruncatedFileError(f"{source}: a table without its header line")


def _spectrum(
    fields: list[str], named: list[tuple[int, str]], columns: WavelengthColumns, source: str, row: int, stated: bool
) -> tuple[Spectrum, tuple[str, ...]]:
    """Read a row; give its spectrum, and what its values tell of their scale where the file does not."""
    texts = {name: fields[i].strip() for i, name in named}
    where = f"row {row} ({shortened(texts['sample_id'], 60)[1:-1]})"
    if not texts["sample_id"]:
        raise UnusableSpectrumError(f"{source}: row {row}: sample_id is empty")
    values = to_floats(columns.values(fields), source, where)
    told: list[str] = []
    # Only the format's own first line promises fractions; others call a column sample_id too.
    if not stated and texts.get("quantity", "") in ("", "reflectance"):
        values, told = to_fraction(values, None, f"{source}: {where}")
    spectrum = from_texts(texts, columns.wavelengths_nm, values, source, where)
    return with_remarks(spectrum, told) if told else spectrum, tuple(told)


def _understood(name: str, header: Collection[str]) -> str:
    """Give a column's name as this format has it: a spreadsheet may write Condition."""
    lower = name.lower()
    return lower if lower in COLUMNS and lower not in header else name


def from_texts(
    texts: Mapping[str, str],
    wavelengths_nm: NDArray[np.float64],
    values: NDArray[np.float64],
    source: str,
    where: str,
) -> Spectrum:
    """Make a spectrum from its values and the texts of the table's other columns.

    Args:
        texts: by column; `sample_id` is needed, the other COLUMNS are understood, the rest goes to `extra`.
        wavelengths_nm: (bands,) ascending.
        values: (bands,) as `quantity` says; reflectance as a fraction.
        source: the file, which becomes the spectrum's source.
        where: the row, named in errors.

    Raises:
        UnusableSpectrumError: a text that cannot be understood, or values that are no spectrum.
    """

    def number(name: str) -> float | None:
        text = texts.get(name, "")
        value = as_float(text)
        if value is None:
            raise UnusableSpectrumError(f"{source}: {where}: {name} {shortened(text)} is not a number")
        return None if np.isnan(value) else value

    quantity = texts.get("quantity", "") or "reflectance"
    if quantity not in get_args(Quantity):
        raise UnusableSpectrumError(
            f"{source}: {where}: unknown quantity {shortened(quantity)}; known are {', '.join(get_args(Quantity))}"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        mean = float(np.mean(values)) if values.size else 0.0
    if quantity == "reflectance" and 3.0 < mean < np.inf:
        raise UnusableSpectrumError(
            f"{source}: {where}: reflectance of {mean:.3g} on average; here it is a fraction, not %"
        )
    simulated = texts.get("simulated", "").lower()
    if simulated not in _TRUE | _FALSE:
        raise UnusableSpectrumError(f"{source}: {where}: simulated is {shortened(simulated)}, not true or false")
    splices_nm = [as_float(part) for part in re.split(r"[;\s]+", texts.get("splices_nm", "")) if part]
    if not all(splice is not None and MIN_NM <= splice <= MAX_NM for splice in splices_nm):
        raise UnusableSpectrumError(
            f"{source}: {where}: splices_nm {shortened(texts['splices_nm'])} are not wavelengths in nm"
        )
    comment = texts.get("comment", "")
    condition = texts.get("condition", "").lower()
    try:
        return Spectrum(
            wavelengths_nm=wavelengths_nm,
            values=values,
            quantity=quantity,  # type: ignore[arg-type]
            sample_id=texts["sample_id"],
            source=source,
            measurement=texts.get("measurement", ""),
            measured_at=_moment(texts.get("measured_at", ""), source, where),
            instrument=texts.get("instrument", ""),
            position=position_of(number("latitude_deg"), number("longitude_deg"), number("altitude_m")),
            splices_nm=tuple(sorted(splice for splice in splices_nm if splice is not None)),
            saturated=tuple(part.strip() for part in texts.get("saturated", "").split(";") if part.strip()),
            condition=condition,  # type: ignore[arg-type]
            comment=comment,
            simulated=simulated in _TRUE or says_simulated(comment),
            extra={name: _typed(text) for name, text in texts.items() if name not in COLUMNS and name and text},
        )
    except UnusableSpectrumError as error:
        # Spectrum names its source; in a file of many the row is needed to find it.
        reason = str(error).removeprefix(f"{source}: ")
        raise UnusableSpectrumError(f"{source}: {where}: {reason}") from None


def _moment(text: str, source: str, where: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.removesuffix("Z") + ("+00:00" if text.endswith("Z") else ""))
    except ValueError:
        raise UnusableSpectrumError(
            f"{source}: {where}: measured_at {shortened(text)} is no time; write it as 2024-05-06T07:08:09"
        ) from None


def _typed(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    # Numbers with leading zeros are names, so they stay text.
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
