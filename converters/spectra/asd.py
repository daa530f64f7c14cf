"""ASD binary files (`.asd`, older `.000`, `.001`, ...), revisions 1 to 8, as reflectance or as raw counts."""

import math
import os
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import asd_layout as layout
from .asd_layout import Header
from .asd_white import check_plausible, possible
from .ends import remarks_on_ends, usable_between
from .errors import SpectrumFileError, UnknownFormatError, UnusableSpectrumError
from .files import read_bytes
from .names import sample_and_measurement
from .spectrum import SIMULATED, Floats, Position, Quantity, Spectrum, as_doubles, with_remarks

MAX_CHANNELS = 10_000
MAX_OLE_DAY = 1e6
FULL_RANGE = 2151, 350.0, 1.0
"""Channels, first wavelength and step in nm of every instrument of full range."""

_WITH_REFERENCE: dict[int, Quantity] = {
    layout.RAW_DN: "reflectance",
    layout.REFLECTANCE: "reflectance",
    layout.RADIANCE: "reflectance",
    layout.TRANSMITTANCE: "transmittance",
    layout.ABSORBANCE: "reflectance",
}
_WITHOUT_REFERENCE: dict[int, Quantity] = {
    layout.REFLECTANCE: "reflectance",
    layout.TRANSMITTANCE: "transmittance",
    layout.ABSORBANCE: "absorbance",
}
_UNKNOWN_TIME = datetime(1900, 1, 1)


class _Content(NamedTuple):
    header: Header
    wavelengths_nm: Floats
    target: Floats
    white: Floats | None
    white_age_min: float | None = None


def looks_like_asd(head: bytes) -> bool:
    """Say whether a file that begins so is an ASD binary file.

    Args:
        head: its first bytes; 180 or more decide. Three letters could begin a text as well, but the time
            stamp at byte 160 has zero bytes in any file.
    """
    return head[:3] in layout.REVISION_OF and (len(head) == 3 or b"\0" in head[:180])


def read_asd(path: str | os.PathLike[str]) -> list[Spectrum]:
    """Read an ASD binary file as reflectance.

    Args:
        path: the file.

    Returns:
        One spectrum: reflectance; or transmittance or absorbance where the file holds that. Its wavelengths
        are shared between files of one grid and read-only. `extra` has the revision, integration time (ms),
        gains, offsets, averages, fore optic (degrees), whether the dark current was subtracted, minutes that the white
        reference was old, and the detectors with a cooler alarm (`edge.gates.header` judges these three).

    Raises:
        TruncatedFileError: the file ends before what it announces, be it by a single byte.
        UnknownFormatError: it is not an ASD binary file.
        UnusableSpectrumError: it is whole but gives no reflectance: counts or radiance without a white
            reference, values that are not numbers, not a fraction, or nothing but darkness.
        SpectrumFileError: it cannot be opened, or its header contradicts itself.

    Notes:
        The maker's programs store the counts of target and white reference whatever the data type in the
        header; that only tells how a viewer shows them. So with a reference the reflectance is target over
        reference, for data type radiance too, and a file without one (revision 1, or the flag not set) is
        taken at its word. One header with one integration time and one pair of gains describes both, so
        there is nothing to scale by.
        Reflectance is relative to the panel: its calibration, which revision 7 may carry, is not applied.

        Where other readers differ. pyASDReader 1.2.3 gives no reflectance for raw counts with a reference,
        reads all numbers as float64 (None for revision 1, which holds float32), fails on integration times
        that are not of its list, leaves memory as it was where the reference is zero, and normalises by
        channel number in place of wavelength (which cancels in its reflectance, not in its white reference).
        specdal 0.2.1 ignores the reference flag and so divides a radiance by whatever reference was taken
        before, looks for the GPS block 10 bytes too late, and knows revisions 1 and 6 to 8, of these
        float64 only (float32 in revision 1).

        GPS: degrees and minutes as DDMM.mmmm, north and *west* positive (the maker's export to text prints
        southern latitudes as S- and eastern longitudes as E-); both zero mean none, and a zero altitude
        that it is not known.

        Cut short exactly before the three-byte mark that newer programs end a file with, a file lacks
        nothing and is read: older programs write none. So is one of revision 6 cut exactly behind its white
        reference: there are programs that write no more.

        Channels that cannot be (no number, or beyond 100) in the outermost twentieth of the file are left out with
        all outside of them, and a remark says so; elsewhere they are a reason to refuse.
    """
    source = os.fspath(path)
    return parse_asd(read_bytes(source), source)


def parse_asd(data: bytes, source: str) -> list[Spectrum]:
    """Read the bytes of an ASD binary file as reflectance. `source` names them; see `read_asd`."""
    header, wavelengths_nm, target, white, white_age_min = _content(data, source)
    if white is None:
        quantity = _WITHOUT_REFERENCE.get(header.data_type)
        values = target
    else:
        quantity = _WITH_REFERENCE.get(header.data_type)
        with np.errstate(all="ignore"):  # what comes of zeros is looked at below
            values = target / white
    if quantity is None:
        reference = "no white reference" if white is None else "a white reference"
        raise UnusableSpectrumError(
            f"{source}: holds {layout.DATA_TYPES[header.data_type]} with {reference}: no reflectance in it; "
            f"{'save it with its white reference' if white is None else 'save it as reflectance'}"
        )
    kept = usable_between(possible(values, quantity, white))
    remarks = remarks_on_ends(wavelengths_nm, kept)
    if remarks:
        wavelengths_nm, values, target = wavelengths_nm[kept], values[kept], target[kept]
        white = None if white is None else white[kept]
    check_plausible(values, quantity, source, wavelengths_nm, target, white)
    return [with_remarks(_spectrum(header, wavelengths_nm, values, quantity, source, white_age_min), remarks)]


def _content(data: bytes, source: str) -> _Content:
    revision = layout.REVISION_OF.get(data[:3])
    if revision is None:
        raise UnknownFormatError(f"{source}: does not begin like an ASD binary file (ASD, as2 ... as8)")
    cursor = layout.Cursor(data, source, 0, "the header")
    cursor.take(layout.HEADER_BYTES)
    header = Header._make(layout.HEADER.unpack_from(data))
    wavelengths_nm = _wavelengths_nm(header, source)
    if header.data_type >= len(layout.DATA_TYPES):
        raise SpectrumFileError(f"{source}: data type {header.data_type} in the header is none; the file is damaged")
    number = layout.DATA_FORMATS.get(header.data_format)
    if number is None:
        raise SpectrumFileError(
            f"{source}: number format {header.data_format} is none of 0 (float32), 1 (int32), 2 (float64); "
            "the file is damaged"
        )
    dtype = np.dtype(number)
    spectrum_bytes = header.channels * dtype.itemsize
    cursor.block = "the spectrum"
    start = cursor.take(spectrum_bytes)
    target = as_doubles(np.frombuffer(data, dtype, header.channels, start))
    if revision == 1:
        return _Content(header, wavelengths_nm, target, None)
    cursor.block = "the header of the white reference"
    flag, white_day, day, text_bytes = layout.REFERENCE.unpack_from(data, cursor.take(layout.REFERENCE.size))
    if flag not in layout.FLAGS:
        raise SpectrumFileError(
            f"{source}: white reference flag {flag:#06x} is neither yes nor no; the file is damaged"
        )
    cursor.take(text_bytes)
    cursor.block = "the white reference"
    start = cursor.take(spectrum_bytes)
    layout.check_blocks(data, source, cursor.at, revision, spectrum_bytes, flag)
    white = as_doubles(np.frombuffer(data, dtype, header.channels, start)) if flag else None
    told = white is not None and all(1 < at < MAX_OLE_DAY for at in (white_day, day))
    return _Content(header, wavelengths_nm, target, white, round((day - white_day) * 1440, 3) if told else None)


def _wavelengths_nm(header: Header, source: str) -> Floats:
    if not 1 < header.channels <= MAX_CHANNELS:
        raise SpectrumFileError(
            f"{source}: {header.channels} channels in the header, 2 to {MAX_CHANNELS} are possible; the file is damaged"
        )
    first_nm, step_nm = header.first_nm, header.step_nm
    last_nm = first_nm + step_nm * (header.channels - 1)
    # Not-a-number fails each of these.
    if not (first_nm >= 1 and step_nm >= 0.001 and last_nm <= 100_000):
        raise SpectrumFileError(
            f"{source}: wavelengths from {first_nm:g} nm in steps of {step_nm:g} nm cannot be; the file is damaged"
        )
    if header.channels == FULL_RANGE[0] and (round(first_nm, 3), round(step_nm, 5)) != FULL_RANGE[1:]:
        raise SpectrumFileError(
            f"{source}: {header.channels} channels from {first_nm:g} nm in steps of {step_nm:g} nm; instruments with "
            "so many begin at 350 nm in steps of 1 nm: the file is damaged"
        )
    return _grid_nm(first_nm, step_nm, header.channels)


@lru_cache(maxsize=16)
def _grid_nm(first_nm: float, step_nm: float, channels: int) -> Floats:
    grid_nm = first_nm + step_nm * np.arange(channels)
    grid_nm.flags.writeable = False
    return grid_nm


def _spectrum(
    header: Header,
    wavelengths_nm: Floats,
    values: Floats,
    quantity: Quantity,
    source: str,
    white_age_min: float | None,
) -> Spectrum:
    measured_at = _time(header)
    sample_id, measurement = sample_and_measurement(source, measured_at=measured_at)
    comment = _text(header.comment)
    first_nm, last_nm = header.first_nm, float(wavelengths_nm[-1])
    extra: dict[str, Any] = {
        "revision": layout.REVISION_OF[header.magic],
        "data_type": header.data_type,
        "dark_corrected": bool(header.dark_corrected),
        "integration_time_ms": header.integration_time_ms,
        "swir1_gain": header.swir1_gain,
        "swir2_gain": header.swir2_gain,
        "swir1_offset": header.swir1_offset,
        "swir2_offset": header.swir2_offset,
        "dark_count": header.dark_count,
        "reference_count": header.reference_count,
        "sample_count": header.sample_count,
        "foreoptic_deg": header.foreoptic_deg,
    }
    alarms = tuple(name for bit, name in ((8, "SWIR1"), (16, "SWIR2")) if header.saturation & bit)
    if alarms:
        extra["cooler_alarms"] = ", ".join(alarms)
    if white_age_min is not None:
        extra["white_age_min"] = white_age_min
    return Spectrum(
        wavelengths_nm=wavelengths_nm,
        values=values,
        quantity=quantity,
        sample_id=sample_id,
        source=source,
        measurement=measurement,
        measured_at=measured_at,
        instrument=_instrument(header),
        position=_position(header),
        splices_nm=tuple(nm for nm in (header.splice1_nm, header.splice2_nm) if first_nm < nm < last_nm),
        saturated=tuple(name for bit, name in enumerate(layout.DETECTORS) if header.saturation >> bit & 1),
        comment=comment,
        simulated=comment.lower().startswith(SIMULATED),
        extra=extra,
    )


def _text(field: bytes) -> str:
    text = field.split(b"\0", 1)[0]
    try:
        return text.decode("utf-8").strip()
    except UnicodeDecodeError:  # written by a program for Windows
        return text.decode("cp1252", "replace").strip()


def _time(header: Header) -> datetime | None:
    """Read the struct tm. It is of the instrument's clock, without a time zone; None if it is no time."""
    year = header.tm_year if header.tm_year >= 1900 else header.tm_year + 1900
    try:
        time = datetime(year, header.tm_mon + 1, header.tm_mday, header.tm_hour, header.tm_min, min(header.tm_sec, 59))
    except ValueError:
        return None
    return None if time == _UNKNOWN_TIME else time


def _instrument(header: Header) -> str:
    model = layout.INSTRUMENTS.get(header.instrument_type, "")
    if not model and header.instrument_type:
        model = f"type {header.instrument_type}"
    number = str(header.instrument_number) if header.instrument_number else ""
    return " ".join(part for part in ("ASD", model, number) if part) if model or number else ""


def _position(header: Header) -> Position | None:
    latitude_deg, longitude_deg = _degrees(header.latitude), 0.0 - _degrees(header.longitude)
    # Not-a-number is not within either.
    possible = abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180
    if not possible or (latitude_deg == 0 and longitude_deg == 0):
        return None
    altitude_m = header.altitude_m
    known = altitude_m != 0 and abs(altitude_m) < 1e5
    return Position(latitude_deg, longitude_deg, altitude_m if known else None)


def _degrees(degrees_and_minutes: float) -> float:
    """Degrees from DDMM.mmmm; not-a-number if it is not of that form."""
    size = abs(degrees_and_minutes)
    if not size <= 18_000:
        return float("nan")
    degrees, minutes = divmod(size, 100)
    if minutes > 60:
        return float("nan")
    return math.copysign(degrees + minutes / 60, degrees_and_minutes)
