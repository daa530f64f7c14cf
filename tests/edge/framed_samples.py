"""Messages, spectra and instruments that several tests of the serial line use."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.protocols.framed_fields import U16, U32
from stibium.edge.protocols.framed_messages import (
    MAX_RANGES,
    Acknowledge,
    Acquire,
    Encoding,
    Fault,
    Feature,
    GetStatus,
    Identification,
    Identify,
    Kind,
    ProbeState,
    Resend,
    SpectrumHead,
    Status,
    Unit,
    Values,
)

GRID_NM = np.arange(350.0, 2501.0)

u16, u32 = st.integers(0, U16), st.integers(0, U32)
positive16, positive32 = st.integers(1, U16), st.integers(1, U32)
int16 = st.integers(-0x8000, 0x7FFF)
_wavelengths = st.floats(0, 9000, width=32)


def texts(limit: int) -> st.SearchStrategy[str]:
    return st.text(max_size=limit).filter(lambda text: len(text.encode("utf-8", "ignore")) <= limit).filter(_is_utf8)


def _is_utf8(text: str) -> bool:
    return text.encode("utf-8", "ignore").decode() == text


heads = st.builds(
    SpectrumHead,
    boot=u32,
    measurement=positive32,
    request=u32,
    kind=st.sampled_from(Kind),
    unit=st.sampled_from(Unit),
    encoding=st.sampled_from(Encoding),
    simulated=st.booleans(),
    saturated=u16,
    count=st.integers(2, 0x8000),
    values_per_frame=positive16,
    values_crc=u32,
    scans=u16,
    integration_us=u32,
    gain=u16,
    temperature_centi_c=int16,
    age_ms=u32,
    label=texts(40),
)

messages = st.one_of(
    st.just(Identify()),
    st.just(GetStatus()),
    st.builds(Acquire, request=positive32, kind=st.sampled_from(Kind), scans=positive16, payload_limit=u16),
    st.builds(Resend, st.lists(st.tuples(u16, positive16), min_size=1, max_size=MAX_RANGES).map(tuple)),
    st.builds(Acknowledge, positive32),
    st.builds(
        Identification,
        boot=u32,
        features=st.integers(0, 63).map(Feature),
        first_nm=_wavelengths,
        step_nm=st.floats(0, 8, width=32),
        count=st.integers(2, U16),
        saturation_dn=u32,
        payload_limit=st.integers(64, U16),
        splices_nm=st.lists(_wavelengths, max_size=8).map(tuple),
        name=texts(40),
        serial_number=texts(24),
        firmware=texts(24),
    ),
    heads,
    st.builds(Values, measurement=positive32, index=u16, data=st.binary(min_size=1, max_size=900)),
    st.builds(
        Status,
        state=st.sampled_from(ProbeState),
        remaining_ms=u32,
        uptime_ms=u32,
        temperature_centi_c=int16,
        unacknowledged=u32,
    ),
    st.builds(Fault, code=positive16, reply_to=u16, text=texts(120)),
)


def a_head(measurement: int = 1, **changes: object) -> SpectrumHead:
    fields: dict[str, object] = {
        "boot": 1,
        "measurement": measurement,
        "request": 0,
        "kind": Kind.TARGET,
        "unit": Unit.REFLECTANCE,
        "encoding": Encoding.FLOAT32,
        "simulated": False,
        "saturated": 0,
        "count": 2,
        "values_per_frame": 1,
        "values_crc": 0,
        "scans": 10,
        "integration_us": 17000,
        "gain": 0,
        "temperature_centi_c": 2000,
        "age_ms": 0,
        "label": "",
    }
    return SpectrumHead(**(fields | changes))  # type: ignore[arg-type]


def some_spectra(number: int, grid_nm: np.ndarray = GRID_NM, **changes: object) -> list[Spectrum]:
    """Smooth, different, float32-exact reflectance spectra named S0, S1, ..."""
    along = (grid_nm - grid_nm[0]) / (grid_nm[-1] - grid_nm[0])
    spectra = []
    for i in range(number):
        values = 0.2 + 0.15 * along + 0.05 * np.sin(8 * along + i) + 0.01 * i
        fields = {"sample_id": f"S{i}", "source": f"S{i}.asd"} | changes
        spectra.append(
            Spectrum(grid_nm, values.astype(np.float32).astype(np.float64), "reflectance", **fields)  # type: ignore[arg-type]
        )
    return spectra
