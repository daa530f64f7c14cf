"""Spectra and ASD files made for the tests of the reader and the writer."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from stibium.converters.spectra import asd_layout as layout
from stibium.converters.spectra.asd import parse_asd
from stibium.converters.spectra.errors import SpectrumFileError
from stibium.converters.spectra.spectrum import Position, Spectrum


def soil(bands: int = 2151, **changes: Any) -> Spectrum:
    """Something like a soil, 350 nm upwards in steps of 1 nm."""
    nm = 350.0 + np.arange(bands)
    values = 0.12 + 0.3 * (1 - np.exp(-(nm - 300) / 600)) - 0.05 * np.exp(-(((nm - 1910) / 40) ** 2))
    fields: dict[str, Any] = {
        "wavelengths_nm": nm,
        "values": values,
        "quantity": "reflectance",
        "sample_id": "RS052",
        "measured_at": datetime(2024, 10, 23, 16, 58, 34),
        "instrument": "ASD FieldSpec FR 18234",
        "position": Position(41.2345, -7.5678, 640.5),
        "splices_nm": (1000.0, 1800.0) if bands > 1500 else (),
        "comment": "dried, < 2 mm",
    }
    return Spectrum(**{**fields, **changes})


def panel(bands: int = 2151) -> np.ndarray:
    """Counts of a white panel under a halogen lamp."""
    return 300.0 + 30_000 * np.hanning(bands + 40)[20:-20]


def patched(data: bytes, offset: int, layout_of_value: str, *values: Any) -> bytes:
    """The file with other bytes at one place."""
    piece = struct.pack("<" + layout_of_value, *values)
    return data[:offset] + piece + data[offset + len(piece) :]


def refusal(data: bytes, kind: type[SpectrumFileError] = SpectrumFileError) -> str:
    """The one line with which a file is refused."""
    return refusal_of(lambda: parse_asd(data, "field/RS052_00003.asd"), kind).removeprefix("field/RS052_00003.asd: ")


def refusal_of(call: Callable[[], Any], kind: type[SpectrumFileError] = SpectrumFileError) -> str:
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def text(value: str) -> bytes:
    return struct.pack("<H", len(value)) + value.encode()


def array(count: int) -> bytes:
    return struct.pack("<HII", 1, count, 0) if count else bytes(2)


def classifier(constituents: int = 2) -> bytes:
    entry = text("clay.41D") + text("1") + struct.pack("<9di2d", *range(9), 2, 0.0, 0.0)
    texts = b"".join(text(value) for value in ["Material Report", "", "Product", *[""] * 16, "reserved"])
    return b"\2\2" + texts + struct.pack("<H", constituents) + array(constituents) + entry * constituents


def dependent_variables(count: int = 3) -> bytes:
    labels = b"".join(text(f"Dep{i}") for i in range(count))
    return struct.pack("<HH", 0xFFFF, count) + array(count) + labels + array(count) + bytes(4 * count)


def calibrations(series_bytes: int, kinds: tuple[int, ...] = (1, 2, 3)) -> bytes:
    headers = b"".join(layout.SERIES.pack(kind, b"bse63554.ref", 136, 31, 16) for kind in kinds)
    return bytes([len(kinds)]) + headers + bytes(len(kinds) * series_bytes)


def audit_log(events: int = 2) -> bytes:
    event = text("<Audit_Event><Audit_Notes>x</Audit_Notes></Audit_Event>")
    return struct.pack("<i", events) + array(events) + event * events


def signature() -> bytes:
    return (
        b"\1"
        + bytes(8)
        + b"".join(text(value) for value in ["ASDI", "me", "Me", "C:\\x.asd", "", "", "<RSA/>"])
        + bytes(128)
    )
