"""Spectral Evolution `.sed` files (PSR, PSR+, SR, RS, NaturaSpec; software DARWin)."""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import Any

import numpy as np

from .clock import month_first, white_age
from .detectors import join_detectors, merge_equal
from .ends import over_reference, without_empty_ends
from .errors import SpectrumFileError, TruncatedFileError
from .files import read_bytes
from .names import sample_and_measurement
from .scale import scale_in, to_fraction
from .spectrum import Floats, Quantity, Spectrum, with_remarks
from .text import (
    as_float,
    decode_text,
    position_of,
    quantity_in,
    says_simulated,
    shortened,
    split_lines,
    to_floats,
    to_nm,
)
from .three_ways import check_three_ways

PER_CENT_ROUNDING = 1e-5
"""Per cent have three decimals."""
_KEY = re.compile(r"([A-Z][A-Za-z0-9 .()/]*?)(?: \[\d+\])?:(.*)")
_TIME = re.compile(r"\d+:\d\d:\d\d(?:[.,]\d+(?![\d:]))?(?: *[AP]M)?", re.IGNORECASE)
_SIGNATURE = re.compile(rb"^(?:Measurement|Instrument|Detectors|Dark Mode|Foreoptic|Radiometric Calibration):", re.M)
_TAKEN = {
    "Comment", "Version", "File Name", "Instrument", "Measurement", "Date", "Time", "Latitude", "Longitude",
    "Altitude", "Channels", "Columns", "Data", "Units", "Wavelength Range",
}  # fmt: skip


def looks_like_spectral_evolution(head: bytes) -> bool:
    """Say whether the start of a file has the header of a `.sed` file."""
    head = head.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"\n")
    return head.startswith((b"Comment:", b"Version:")) and len(set(_SIGNATURE.findall(head))) >= 2


def read_spectral_evolution(path: str | os.PathLike[str]) -> list[Spectrum]:
    """Read a Spectral Evolution `.sed` file, which holds one spectrum.

    Args:
        path: the file; its name gives sample and measurement.

    Returns:
        One spectrum: reflectance as a fraction, from the `Reflect. %` or `Reflect. [1.0]` column or, in a
        file of a reflectance measurement that has only them, the ratio of its target and reference columns.
        Other kinds of measurement come out as the quantity they are. Bands given twice (the instrument sorts
        overlapping detectors into each other) are averaged; wavelengths that go back are joined in the middle
        of the overlap, which `splices_nm` then tells.

    Raises:
        TruncatedFileError: fewer rows than `Channels:` announces, or a last line without its end.
        SpectrumFileError: anything else that makes the file unusable. The message names the file.

    Notes:
        Dates are read month first, as DARWin writes them. Where the header gives two (reference, target) the
        target's counts. Files are named serial number and counter unless the operator chose a name; the
        serial number is no sample, so then the whole name stands for the sample.

    References:
        Column labels and header keys: files of PSR-3500 and PSR+3500 instruments, versions 2.0 and 2.2.
    """
    source = os.fspath(path)
    return parse_spectral_evolution(read_bytes(source), source)


def parse_spectral_evolution(data: bytes, source: str) -> list[Spectrum]:
    """Parse the content of a `.sed` file; see `read_spectral_evolution`."""
    lines = split_lines(decode_text(data, source), source)
    start = next((i for i, line in enumerate(lines) if line.strip() == "Data:"), None)
    if start is None or start + 1 >= len(lines):
        raise TruncatedFileError(f"{source}: ends within its header; copy it from the instrument again")
    header = _header(lines[:start])
    labels = [label.strip() for label in lines[start + 1].rstrip("\t").split("\t")]
    columns = _columns(lines[start + 2 :], labels, header, source)
    nm = to_nm(columns.pop(_wavelength_label(labels, source)), "nm", source)
    _check_range(nm, header, source)
    quantity, values, energy = _values(columns, header.get("Measurement", "").strip().upper(), source)
    if quantity == "reflectance":
        both = _target_and_reference(columns)
        if both is not None:
            check_three_ways(nm, *both, values, PER_CENT_ROUNDING, source)
    nm, values, remarks = without_empty_ends(nm, values)
    remarks += energy
    kept, splices_nm = join_detectors(nm, source)
    nm, values = merge_equal(nm[kept], values[kept])
    comment = header.get("Comment", "").strip()
    model, _, serial = header.get("Instrument", "").split(" [")[0].strip().partition("_SN")
    measured_at = _measured_at(header)
    own = rf"(?:\w+_)?(?:(?:SN)?{re.escape(serial)}|SN\d{{3,}})"
    sample_id, measurement = sample_and_measurement(source, no_sample=own, measured_at=measured_at)
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
                instrument=f"Spectral Evolution {model}{f' SN{serial}' if serial else ''}".strip(),
                position=position_of(*(as_float(header.get(key, "")) for key in ("Latitude", "Longitude", "Altitude"))),
                splices_nm=splices_nm,
                comment=comment,
                simulated=says_simulated(comment),
                extra=_extra(header) | white_age(*_moments(header)),
            ),
            remarks,
        )
    ]


def _header(lines: list[str]) -> dict[str, str]:
    found = (_KEY.fullmatch(line) for line in lines)
    return {match[1]: match[2].strip() for match in found if match}


def _wavelength_label(labels: list[str], source: str) -> str:
    for label in labels:
        if re.match(r"wvl|wavel", label, re.IGNORECASE):
            return label
    raise SpectrumFileError(f"{source}: no wavelengths among the columns {shortened(', '.join(labels))}")


def _columns(lines: list[str], labels: list[str], header: dict[str, str], source: str) -> dict[str, Floats]:
    while lines and not lines[-1].strip():
        lines.pop()
    if len(set(labels)) != len(labels):
        raise SpectrumFileError(f"{source}: two columns have the same name ({shortened(', '.join(labels))})")
    rows = [line.rstrip("\t").split("\t") for line in lines]
    announced = header.get("Channels", "")
    for i, row in enumerate(rows):
        if len(row) != len(labels):
            raise TruncatedFileError(f"{source}: row {i + 1} of the data has {len(row)} of {len(labels)} columns")
    if announced:
        if not re.fullmatch(r"\d{1,9}", announced):
            raise SpectrumFileError(f"{source}: Channels: {shortened(announced)} is not a number")
        if len(rows) < int(announced):
            raise TruncatedFileError(f"{source}: cut off, {len(rows)} of {announced} channels are there; copy it again")
        if len(rows) > int(announced):
            raise SpectrumFileError(f"{source}: {len(rows)} rows of data, but Channels: says {announced}")
    if len(rows) < 2:
        raise TruncatedFileError(f"{source}: has {len(rows)} rows of data")
    fields = [field.replace(",", ".") for row in rows for field in row]
    table = to_floats(fields, source, "data").reshape(len(rows), len(labels))
    return {label: table[:, i] for i, label in enumerate(labels) if not label.startswith("Chan")}


def _check_range(nm: Floats, header: dict[str, str], source: str) -> None:
    """Without `Channels:`, the announced range is what shows that rows are missing at the end."""
    announced = [as_float(part) for part in header.get("Wavelength Range", "").split(",")]
    if "Channels" not in header and len(announced) == 2 and announced[1] is not None:
        step = float(np.median(np.abs(np.diff(nm))))
        if nm.max() < announced[1] - 2 * step:
            raise TruncatedFileError(f"{source}: cut off at {nm.max():g} nm, its header announces {announced[1]:g} nm")


def _values(columns: dict[str, Floats], measurement: str, source: str) -> tuple[Quantity, Floats, list[str]]:
    for label, values in columns.items():
        quantity = quantity_in([label]) or ("reflectance" if label.startswith("Tgt./Ref.") else None)
        if quantity in ("reflectance", "transmittance", "absorbance"):
            if measurement.startswith("TRANSM"):
                quantity = "transmittance"
            if quantity == "absorbance":
                return quantity, values, []
            scale = scale_in([label])
            # A label with a unit is the instrument's own; however dark the sample, it is believed.
            return quantity, *((values / scale, []) if scale is not None else to_fraction(values, None, source))
    reference = next((v for label, v in columns.items() if "ref" in label.lower()), None)
    target = next(
        ((label, v) for label, v in columns.items() if "target" in label.lower() or "tgt" in label.lower()),
        None,
    )
    if target is None:
        raise SpectrumFileError(f"{source}: neither reflectance nor target among {shortened(', '.join(columns))}")
    if measurement in ("", "REFLECTANCE", "TRANSMITTANCE") and reference is not None:
        ratio = over_reference(target[1], reference, source)
        return "transmittance" if measurement == "TRANSMITTANCE" else "reflectance", ratio, []
    energy = f"a measurement of {measurement}, with columns of target and reference: save it as REFLECTANCE in DARWin"
    return quantity_in([target[0]]) or "raw_dn", target[1], [energy] if measurement and reference is not None else []


def _target_and_reference(columns: dict[str, Floats]) -> tuple[Floats, Floats] | None:
    """Find the columns that reflectance was made of, if the file has both."""
    target = next((v for label, v in columns.items() if re.search(r"target|\(tgt", label, re.IGNORECASE)), None)
    reference = next((v for label, v in columns.items() if re.search(r"\(ref", label, re.IGNORECASE)), None)
    return None if target is None or reference is None else (target, reference)


def _measured_at(header: dict[str, str]) -> datetime | None:
    times = _TIME.findall(header.get("Time", ""))
    return month_first(f"{header.get('Date', '').split(',')[-1].strip()} {times[-1]}") if times else None


def _moments(header: dict[str, str]) -> tuple[datetime | None, datetime | None]:
    """Of reference and target, where the header gives both."""
    days, times = header.get("Date", "").split(","), _TIME.findall(header.get("Time", ""))
    if len(days) != 2 or len(times) != 2:
        return None, None
    white, target = (month_first(f"{day.strip()} {time}") for day, time in zip(days, times, strict=True))
    return white, target


def _extra(header: dict[str, str]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key not in _TAKEN and value}
