"""Writing ASD binary files that the maker's and other readers take for their own."""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from . import asd_layout as layout
from .errors import SpectrumFileError, UnusableSpectrumError
from .files import write_whole
from .spectrum import SIMULATED, Floats, Position, Spectrum

NumberFormat = Literal["float32", "int32", "float64"]

COMMENT_BYTES = 157
_DATA_TYPE_OF = {
    "raw_dn": layout.RAW_DN,
    "reflectance": layout.REFLECTANCE,
    "radiance": layout.RADIANCE,
    "irradiance": layout.IRRADIANCE,
    "transmittance": layout.TRANSMITTANCE,
    "absorbance": layout.ABSORBANCE,
}
_FORMAT_OF: dict[str, int] = {"float32": 0, "int32": 1, "float64": 2}
_INSTRUMENT_TYPES = {"": 0, **{model: kind for kind, model in layout.INSTRUMENTS.items()}}
_OLE_EPOCH = datetime(1899, 12, 30)
_SETTINGS = {
    # name in Spectrum.extra: value when it is not there, least, greatest
    "integration_time_ms": (17, 0, 0xFFFFFFFF),
    "foreoptic_deg": (0, -0x8000, 0x7FFF),
    "dark_count": (0, 0, 0xFFFF),
    "reference_count": (0, 0, 0xFFFF),
    "sample_count": (0, 0, 0xFFFF),
    "swir1_gain": (2048, 0, 0xFFFF),
    "swir2_gain": (2048, 0, 0xFFFF),
    "swir1_offset": (2048, 0, 0xFFFF),
    "swir2_offset": (2048, 0, 0xFFFF),
    "dark_corrected": (1, 0, 1),
}


def write_asd(
    path: str | os.PathLike[str],
    spectrum: Spectrum,
    *,
    reference: Spectrum | ArrayLike | None = None,
    revision: int = 7,
) -> None:
    """Write a spectrum as an ASD binary file, which appears under its name only when it is whole.

    Args:
        path: the file; one of that name is replaced. Readers take sample and measurement from the name.
        spectrum: of any quantity, on evenly spaced wavelengths. The settings in `extra` are written under the
            names that `read_asd` gives them.
        reference: the white reference, (bands,) in counts. With raw counts both are written; with reflectance
            its counts are made with it, as the maker's programs store reflectance; other quantities take none.
            Reflectance without a reference gets one of ones, so that any reader divides by it unharmed.
        revision: 1 to 8.

    Raises:
        UnusableSpectrumError: the format cannot hold it: uneven wavelengths, a comment of more than 157 bytes,
            more than two splices, a setting out of range, a reference that does not fit.
        SpectrumFileError: the file cannot be written.
        ValueError: there is no such revision.

    Notes:
        The format has no room for: time zone and parts of a second, the model of an instrument that is not
        ASD's, an unknown time (written as 1900-01-01, since readers fail on none at all), a position of
        exactly 0 N 0 E and an altitude of exactly 0. Wavelengths are kept to 0.01 nm. The comment of a
        simulated spectrum begins with that word.
    """
    name = os.fspath(path)
    data = pack_asd(spectrum, reference=reference, revision=revision)
    try:
        write_whole(name, data)
    except OSError as error:
        raise SpectrumFileError(f"{name}: cannot be written: {error.strerror or error}") from error


def pack_asd(
    spectrum: Spectrum,
    *,
    reference: Spectrum | ArrayLike | None = None,
    revision: int = 7,
    number_format: NumberFormat = "float64",
) -> bytes:
    """Return the bytes of an ASD binary file. Arguments and errors as for `write_asd`.

    Args:
        number_format: of the stored values. int32 rounds, and is for counts. Other readers expect float64.
    """
    if revision not in layout.MAGIC_OF:
        raise ValueError(f"there is no ASD revision {revision}, only 1 to 8")
    name = spectrum.source or spectrum.sample_id
    white = None if reference is None else _white(spectrum, reference, revision, name)
    values = spectrum.values
    if spectrum.quantity == "reflectance" and white is not None:
        values = values * white
    elif spectrum.quantity == "reflectance":
        white = np.ones(values.size)
    dtype = layout.DATA_FORMATS[_FORMAT_OF[number_format]]
    parts = [_header(spectrum, values, revision, _FORMAT_OF[number_format], name), _stored(values, dtype, name)]
    if revision >= 2:
        taken = (spectrum.measured_at or _OLE_EPOCH).replace(tzinfo=None)
        days = (taken - _OLE_EPOCH).total_seconds() / 86400
        flag = layout.FALSE if white is None else layout.TRUE
        age_min = spectrum.extra.get("white_age_min")
        white_days = days - (age_min if isinstance(age_min, int | float) else 0) / 1440
        parts.append(layout.REFERENCE.pack(flag, 0.0 if white is None else white_days, days, 0))
        parts.append(_stored(np.zeros(values.size) if white is None else white, dtype, name))
    parts.append(_blocks(revision))
    return b"".join(parts)


def _white(spectrum: Spectrum, reference: Spectrum | ArrayLike, revision: int, name: str) -> Floats:
    if isinstance(reference, Spectrum):
        if not np.array_equal(reference.wavelengths_nm, spectrum.wavelengths_nm):
            raise UnusableSpectrumError(f"{name}: its white reference has other wavelengths")
        reference = reference.values
    white = np.asarray(reference, dtype=np.float64)
    if white.shape != spectrum.values.shape:
        raise UnusableSpectrumError(
            f"{name}: {white.shape} values of the white reference for {spectrum.values.shape} of the spectrum"
        )
    if not np.isfinite(white).all() or (white == 0).any():
        raise UnusableSpectrumError(f"{name}: the white reference has zeros or values that are not numbers")
    if spectrum.quantity not in ("raw_dn", "reflectance"):
        raise UnusableSpectrumError(f"{name}: {spectrum.quantity} is not stored with a white reference")
    if revision == 1:
        raise UnusableSpectrumError(f"{name}: ASD revision 1 has no room for a white reference; take 2 to 8")
    return white


def _stored(values: Floats, dtype: str, name: str) -> bytes:
    if dtype == "<i4":
        values = np.rint(values)
        fits = bool((np.abs(values) < 2**31).all())
    else:
        fits = bool((np.abs(values) <= np.finfo(dtype).max).all())
    if not fits:
        raise UnusableSpectrumError(f"{name}: values do not fit into the file's number format {dtype}")
    return values.astype(dtype).tobytes()


def _header(spectrum: Spectrum, values: Floats, revision: int, data_format: int, name: str) -> bytes:
    first_nm, step_nm, channels = _grid(spectrum.wavelengths_nm, name)
    setting = {key: _setting(spectrum.extra, key, name) for key in _SETTINGS}
    kind, number = _instrument(spectrum.instrument)
    latitude, longitude, altitude_m = _gps(spectrum.position)
    splice1_nm, splice2_nm = _splices_nm(spectrum, name)
    saturation = sum(1 << bit for bit, detector in enumerate(layout.DETECTORS) if detector in spectrum.saturated)
    alarms = spectrum.extra.get("cooler_alarms", ())
    saturation |= 8 * ("SWIR1" in alarms) | 16 * ("SWIR2" in alarms)
    header = layout.Header(
        magic=layout.MAGIC_OF[revision],
        comment=_comment(spectrum, name),
        **_struct_tm(spectrum.measured_at or datetime(1900, 1, 1)),
        program_version=0x10,
        file_version=revision << 4,
        old_integration_time=0,
        dark_corrected=setting["dark_corrected"],
        dark_time=0,
        data_type=_DATA_TYPE_OF[spectrum.quantity],
        reference_time=0,
        first_nm=first_nm,
        step_nm=step_nm,
        data_format=data_format,
        old_dark_count=0,
        old_reference_count=0,
        old_sample_count=0,
        application=0,
        channels=channels,
        application_data=b"",
        heading_deg=0.0,
        speed=0.0,
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude_m,
        gps_rest=b"",
        integration_time_ms=setting["integration_time_ms"],
        foreoptic_deg=setting["foreoptic_deg"],
        dark_current_correction=0,
        calibration_series=0,
        instrument_number=number,
        y_min=0.0,
        y_max=min(float(values.max()), float(np.finfo(np.float32).max)),
        x_min=first_nm,
        x_max=float(spectrum.wavelengths_nm[-1]),
        dynamic_range_bits=16,
        x_mode=0,
        average_fixed=0,
        saturation=saturation,
        flags=b"",
        dark_count=setting["dark_count"],
        reference_count=setting["reference_count"],
        sample_count=setting["sample_count"],
        instrument_type=kind,
        lamp=0,
        swir1_gain=setting["swir1_gain"],
        swir2_gain=setting["swir2_gain"],
        swir1_offset=setting["swir1_offset"],
        swir2_offset=setting["swir2_offset"],
        splice1_nm=splice1_nm,
        splice2_nm=splice2_nm,
        smart_detector=b"",
        spare=b"",
    )
    return layout.HEADER.pack(*header)


def _grid(wavelengths_nm: Floats, name: str) -> tuple[float, float, int]:
    """First wavelength and step as the float32 numbers of the header give them back, and the channels."""
    channels = wavelengths_nm.size
    first_nm = float(np.float32(wavelengths_nm[0]))
    step_nm = float(np.float32((wavelengths_nm[-1] - wavelengths_nm[0]) / (channels - 1)))
    error_nm = np.abs(first_nm + step_nm * np.arange(channels) - wavelengths_nm).max()
    if error_nm > 0.01:
        raise UnusableSpectrumError(
            f"{name}: an .asd file holds evenly spaced wavelengths, these are off by up to {error_nm:.2g} nm; "
            "resample the spectrum or write a table"
        )
    if channels > 0xFFFF:
        raise UnusableSpectrumError(f"{name}: {channels} bands are more than an .asd file holds")
    return first_nm, step_nm, channels


def _comment(spectrum: Spectrum, name: str) -> bytes:
    comment = spectrum.comment
    if spectrum.simulated and not comment.lower().startswith(SIMULATED):
        comment = f"{SIMULATED}; {comment}" if comment else SIMULATED
    field = comment.encode("utf-8")
    if len(field) > COMMENT_BYTES or b"\0" in field:
        raise UnusableSpectrumError(
            f"{name}: a comment of {len(field)} bytes; an .asd file holds {COMMENT_BYTES}, none of them zero"
        )
    return field


def _setting(extra: dict[str, Any], key: str, name: str) -> int:
    default, least, greatest = _SETTINGS[key]
    value = extra.get(key)
    if value is None or value == "":  # as an empty cell of a table comes
        value = default
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = least - 1
    if not least <= number <= greatest:
        raise UnusableSpectrumError(f"{name}: {key} is {value!r}; an .asd file holds {least} to {greatest}")
    return number


def _instrument(text: str) -> tuple[int, int]:
    """Type and number of an ASD instrument, zeros for what is not known or another maker's."""
    maker, *words = text.split() or [""]
    if maker != "ASD":
        return 0, 0
    kind, number = _instrument_type(" ".join(words)), 0
    if words and words[-1].isdecimal():
        kind_before = _instrument_type(" ".join(words[:-1]))
        # The 4 of a bare "FieldSpec 4" is no serial number.
        if kind is None or (kind_before is not None and len(words[-1]) > 2):
            kind, number = kind_before, int(words[-1])
    return kind or 0, number if number <= 0xFFFF else 0


def _instrument_type(model: str) -> int | None:
    if model in _INSTRUMENT_TYPES:
        return _INSTRUMENT_TYPES[model]
    if re.fullmatch(r"type \d{1,3}", model):
        return int(model[5:]) if int(model[5:]) <= 0xFF else 0
    return 4 if re.match(r"(Field|Terra)Spec [34]\b", model) else None


def _splices_nm(spectrum: Spectrum, name: str) -> tuple[float, float]:
    splices_nm = spectrum.splices_nm
    if len(splices_nm) > 2:
        raise UnusableSpectrumError(f"{name}: {len(splices_nm)} splices; an .asd file holds two")
    if len(splices_nm) == 2:
        return splices_nm[0], splices_nm[1]
    if not splices_nm:
        return 0.0, 0.0
    # The first place is for the end of the VNIR, the second for the end of SWIR1.
    return (splices_nm[0], 0.0) if splices_nm[0] < 1300 else (0.0, splices_nm[0])


def _struct_tm(time: datetime) -> dict[str, int]:
    return {
        "tm_sec": time.second,
        "tm_min": time.minute,
        "tm_hour": time.hour,
        "tm_mday": time.day,
        "tm_mon": time.month - 1,
        "tm_year": time.year - 1900 if time.year < 3800 else time.year,
        "tm_wday": (time.weekday() + 1) % 7,
        "tm_yday": time.timetuple().tm_yday - 1,
        "tm_isdst": -1,
    }


def _gps(position: Position | None) -> tuple[float, float, float]:
    """Latitude and longitude (west positive) in degrees and minutes, and altitude in m."""
    if position is None:
        return 0.0, 0.0, 0.0
    latitude, longitude = _degrees_and_minutes(position.latitude_deg), _degrees_and_minutes(position.longitude_deg)
    return latitude, -longitude, position.altitude_m or 0.0


def _degrees_and_minutes(angle_deg: float) -> float:
    degrees, fraction = divmod(abs(angle_deg), 1)
    return float(np.copysign(100 * degrees + 60 * fraction, angle_deg))


def _blocks(revision: int) -> bytes:
    """Blocks after the white reference, each as an instrument without anything to say writes it."""
    classifier, variables, calibrations = bytes(46), bytes(8), bytes(1)
    if revision < 6:
        return b""
    if revision == 6:
        return classifier
    if revision == 7:
        return classifier + variables + calibrations
    fields = ("Application", "AppVersion", "Name", "Login", "Time", "Source", "Function", "Notes")
    texts = {"Application": "stibium", "Function": "Written"}
    tags = "".join(f"<Audit_{field}>{texts.get(field, '')}</Audit_{field}>" for field in fields)
    event = f"<Audit_Event>{tags}</Audit_Event>".encode()
    one = (1).to_bytes(4, "little")
    array = (1).to_bytes(2, "little") + one + bytes(4)
    audit_log = one + array + len(event).to_bytes(2, "little") + event
    unsigned = bytes(1 + 8 + 7 * 2 + layout.SIGNATURE_BYTES)
    return classifier + variables + calibrations + audit_log + unsigned
