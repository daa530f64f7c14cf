"""Spectra Vista Corporation `.sig` files (SVC HR-1024i, HR-1024, HR-768i, HR-640i)."""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import Any

from .clock import either_first, month_first, white_age
from .detectors import join_detectors, merge_equal
from .ends import over_reference, without_empty_ends
from .errors import SpectrumFileError, TruncatedFileError
from .files import read_bytes
from .names import SVC_BASES, SVC_NUMBER, sample_and_measurement
from .spectrum import Floats, Position, Quantity, Spectrum, with_remarks
from .text import decode_text, position_of, says_simulated, split_lines, to_floats, to_nm
from .three_ways import check_three_ways

_TAKEN = {"name", "instrument", "units", "time", "longitude", "latitude", "comm", "data"}
PER_CENT_ROUNDING = 5e-5
"""Per cent have two decimals."""
_COORDINATE = re.compile(r"(\d{1,3})(\d\d\.\d*)\s*,?\s*([NSEW])")
_CLOCKS = (
    ("%d.%m.%Y %H:%M:%S", r"\d+\.\d+\.\d{4} .*"),
    ("%Y-%m-%d %H:%M:%S", r"\d{4}-.*"),
)


def looks_like_svc(head: bytes) -> bool:
    """Say whether the start of a file is that of a `.sig` file."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(b"/*** Spectra Vista ")


def read_svc(path: str | os.PathLike[str]) -> list[Spectrum]:
    """Read a Spectra Vista `.sig` file, which holds one spectrum.

    Args:
        path: the file; its name gives sample and measurement.

    Returns:
        One spectrum of reflectance as a fraction: the file's fourth column, which is in %, or target over
        reference in files with three columns. Where the file keeps the overlap of its detectors
        ("Overlap: Preserve") they are joined in the middle of each overlap; where the maker's software has
        removed it ("Overlap: Remove @ 990,1902"), at the wavelengths it names. `splices_nm` tells them.

    Raises:
        TruncatedFileError: a detector, a column or the last line's end is missing. Rows missing at the very
            end of a file are not noticed otherwise than by its range: the format announces no number of rows.
        SpectrumFileError: anything else that makes the file unusable. The message names the file.

    Notes:
        Position and time are those of the target (the header's second value), else of the reference.
        Longitude 09231.1579W is 92 degrees 31.1579 minutes west. The clock is written in the style of the
        computer: with AM or PM month first unless that cannot be, with points day first; a 24-hour date with slashes
        whose first two numbers could both be the month is left out.
        Files are named base and scan number, `RS052_003.sig`: sample RS052, measurement 003. A base of two
        letters and a date, `gr072817_003.sig`, is the instrument's own and no sample, so then the whole name
        stands for the sample.

    References:
        SVC HR-1024i / HR-768i User Manual 1.6, as its readers describe it; files of HR-1024i instruments.
    """
    source = os.fspath(path)
    return parse_svc(read_bytes(source), source)


def parse_svc(data: bytes, source: str) -> list[Spectrum]:
    """Parse the content of a `.sig` file; see `read_svc`."""
    lines = split_lines(decode_text(data, source), source)
    start = next((i for i, line in enumerate(lines) if line.strip().lower() == "data="), None)
    if start is None:
        raise TruncatedFileError(f"{source}: ends within its header; copy it from the instrument again")
    header = _header(lines[1:start])
    table = _table(lines[start + 1 :], source)
    nm = to_nm(table[:, 0], "nm", source)
    overlap = re.search(r"Overlap:\s*Remove\s*@\s*([\d., ]+)", header.get("factors", ""))
    removed_nm = tuple(map(float, re.findall(r"\d+(?:\.\d+)?", overlap[1]))) if overlap else ()
    quantity, values = _values(table, source)
    if table.shape[1] == 4:
        check_three_ways(nm, table[:, 2], table[:, 1], values, PER_CENT_ROUNDING, source)
    nm, values, remarks = without_empty_ends(nm, values)
    remarks += _error_codes(header.get("error", ""))
    kept, splices_nm = join_detectors(nm, source, removed_nm)
    _check_detectors(header, splices_nm, source)
    if not splices_nm:
        splices_nm = tuple(join for join in sorted(removed_nm) if nm[0] < join < nm[-1])
    nm, values = merge_equal(nm[kept], values[kept])
    comment = header.get("comm", "")
    measured_at = _measured_at(header.get("time", ""))
    sample_id, measurement = sample_and_measurement(source, SVC_NUMBER, SVC_BASES, measured_at)
    return [
        with_remarks(
            Spectrum(
                wavelengths_nm=nm,
                values=values,
                quantity=quantity,
                sample_id=sample_id,
                source=source,
                measurement=measurement,
                measured_at=measured_at,
                instrument=_instrument(header.get("instrument", "")),
                position=_position(header.get("latitude", ""), header.get("longitude", "")),
                splices_nm=splices_nm,
                comment=comment,
                simulated=says_simulated(comment),
                extra=_extra(header) | _white_age(header.get("time", "")),
            ),
            remarks,
        )
    ]


def _error_codes(text: str) -> list[str]:
    """Remark on codes other than zero, of reference and target.

    Most public files have some. Bit by detector they may say that it was saturated, or nothing; the manual does not
    say, so they are no reason to refuse.
    """
    codes = [code.strip() for code in text.split(",") if code.strip(" 0")]
    return [f"error codes {text.strip()} in the file: compare with another measurement"] if codes else []


def _header(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines)
    return {key.strip().lower(): value.strip() for key, found, value in pairs if found}


def _table(lines: list[str], source: str) -> Floats:
    rows = [line.split() for line in lines if line.strip()]
    if len(rows) < 2:
        raise TruncatedFileError(f"{source}: has {len(rows)} rows of data; copy it from the instrument again")
    columns = len(rows[0])
    if columns not in (3, 4):
        raise SpectrumFileError(
            f"{source}: {columns} columns of data; a .sig file has wavelength, reference, target, reflectance"
        )
    for i, row in enumerate(rows):
        if len(row) != columns:
            raise TruncatedFileError(f"{source}: row {i + 1} of the data has {len(row)} of {columns} columns")
    # Computers set to a decimal comma have written such files.
    fields = [field.replace(",", ".") for row in rows for field in row]
    return to_floats(fields, source, "data").reshape(len(rows), columns)


def _check_detectors(header: dict[str, str], splices_nm: tuple[float, ...], source: str) -> None:
    """An HR-1024 has three detectors: a file that keeps their overlaps and shows fewer is cut off."""
    whole = "resampl" not in header.get("comm", "").lower() and "1024" in header.get("instrument", "")
    preserved = re.search(r"Overlap:\s*(\w+)", header.get("factors", ""))
    if whole and preserved and preserved[1].lower() == "preserve" and len(splices_nm) < 2:
        raise TruncatedFileError(f"{source}: cut off, {len(splices_nm) + 1} of 3 detectors are there; copy it again")


def _values(table: Floats, source: str) -> tuple[Quantity, Floats]:
    if table.shape[1] == 4:
        return "reflectance", table[:, 3] / 100.0
    return "reflectance", over_reference(table[:, 2], table[:, 1], source)


def _instrument(text: str) -> str:
    found = re.fullmatch(r"\w+:\s*(\w+)\s*\(([^)]*)\)", text)
    return f"Spectra Vista {found[2]} SN{found[1]}" if found else f"Spectra Vista {text}".strip()


def _measured_at(text: str) -> datetime | None:
    moments = (_moment(part.strip()) for part in reversed(text.split(",")))
    return next((moment for moment in moments if moment is not None), None)


def _moment(text: str) -> datetime | None:
    if (slashes := either_first(text)) is not None:
        return slashes
    for clock, pattern in _CLOCKS:
        if re.fullmatch(pattern, text, re.IGNORECASE):
            try:
                return datetime.strptime(text, clock)
            except ValueError:
                continue  # the next style may fit; none is no reason to refuse a spectrum
    return None


def _white_age(text: str) -> dict[str, float]:
    """Of the reference, whose time is the first of two."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2:
        return {}
    white, target = map(_moment, parts)
    if white is None and target is None and parts[0].split(" ")[0] == parts[1].split(" ")[0]:
        # Of one day it does not matter which number is the month.
        white, target = map(month_first, parts)
    return white_age(white, target)


def _position(latitude: str, longitude: str) -> Position | None:
    for i in (-1, 0):
        degrees = []
        for text in (latitude, longitude):
            found = _COORDINATE.findall(text)
            degrees.append(_degrees(*found[i]) if found else None)
        position = position_of(degrees[0], degrees[1], None)
        if position is not None:
            return position
    return None


def _degrees(whole: str, minutes: str, side: str) -> float:
    value = int(whole) + float(minutes) / 60.0
    return -value if side in "SW" else value


def _extra(header: dict[str, str]) -> dict[str, Any]:
    return {
        key: value
        for key, value in header.items()
        if key not in _TAKEN and value.strip(" ,0") and "external" not in key
    }
