"""What a virtual probe plays: spectra from files, or the measurements of a recording."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ..errors import RecordingError, UnsuitableSpectrumError
from ..instruments.driver import detector_names
from ..instruments.recording import decode_recording
from ..protocols.framed import MAX_PAYLOAD
from ..protocols.framed_messages import TEXT_LIMITS, Encoding, Feature, Identification, Kind, Unit
from ..protocols.framed_transfer import Measurement

DEFAULT_PAYLOAD = 200
"""Bytes of payload in a frame of values: what a microcontroller with little memory would choose."""

_NAME = "stibium virtual probe"
_SCAN_US = 17_000
_DARK_DN, _WHITE_DN = 400.0, 30_000.0


@dataclass(frozen=True, eq=False)
class SimulatedScan:
    """One measurement to play; `dark` and `white` are those that belong to it, if counts are played."""

    values: Floats
    unit: Unit
    encoding: Encoding = Encoding.FLOAT32
    label: str = ""
    simulated: bool = False
    saturated: int = 0
    integration_us: int = _SCAN_US
    gain: int = 0
    dark: SimulatedScan | None = None
    white: SimulatedScan | None = None


@dataclass(frozen=True, eq=False)
class FramedSimulation:
    """An instrument's identity and all it will measure; `wavelengths_nm` is the table if it has one."""

    identification: Identification
    targets: tuple[SimulatedScan, ...]
    wavelengths_nm: Floats


def from_spectra(
    spectra: Sequence[Spectrum], raw: bool = False, payload_limit: int = DEFAULT_PAYLOAD
) -> FramedSimulation:
    """Play spectra as reflectance, or as counts beside made-up dark and white counts.

    Args:
        spectra: reflectance or absorbance, all on one wavelength grid; played in this order.
        raw: counts instead of reflectance.
        payload_limit: bytes of payload in a frame, 64 to 1024.

    Raises:
        UnsuitableSpectrumError: no spectra, different grids, or a quantity that no probe measures.
    """
    if not spectra:
        raise UnsuitableSpectrumError("no spectra to play")
    first = spectra[0]
    dark_dn, light_dn = made_up_counts(first.wavelengths_nm)
    dark, white = (SimulatedScan(counts, Unit.RAW_DN) for counts in (dark_dn, dark_dn + light_dn))
    takes = []
    for spectrum in spectra:
        reason = why_not_simulated(spectrum, first)
        if reason:
            raise UnsuitableSpectrumError(f"{_named(spectrum)}: {reason}")
        reflectance = reflectance_of(spectrum)
        counts = dark_dn + reflectance * light_dn
        take = SimulatedScan(
            values=counts if raw else reflectance,
            unit=Unit.RAW_DN if raw else Unit.REFLECTANCE,
            label=_short(spectrum.sample_id, "label"),
            simulated=spectrum.simulated,
            saturated=_saturation_bits(spectrum),
            dark=dark if raw else None,
            white=white if raw else None,
        )
        takes.append(take)
    first_nm, step_nm = _series(first.wavelengths_nm)
    features = Feature.VIRTUAL | Feature.BUTTON
    if raw:
        features |= Feature.RAW_COUNTS | Feature.SHUTTER
    if all(spectrum.simulated for spectrum in spectra):
        features |= Feature.SIMULATED
    identification = Identification(
        boot=0,
        features=features,
        first_nm=first_nm,
        step_nm=step_nm,
        count=first.wavelengths_nm.size,
        saturation_dn=0,
        payload_limit=min(max(payload_limit, 64), MAX_PAYLOAD),
        splices_nm=first.splices_nm,
        name=_NAME,
        serial_number="",
        firmware="1",
    )
    return FramedSimulation(identification, tuple(takes), first.wavelengths_nm)


def from_recording(path: str | os.PathLike[str], payload_limit: int = 0) -> FramedSimulation:
    """Play the measurements of a recording, each with the dark and white that were taken before it.

    Args:
        path: a recording.
        payload_limit: bytes of payload in a frame; 0 for what the recorded instrument used.

    Raises:
        RecordingError: not a recording, or it holds no identification or no measurement.
    """
    decoded = decode_recording(path)
    if not decoded.identifications:
        raise RecordingError(f"{os.fspath(path)}: holds no identification, so nobody can be played; try --verbatim")
    identification = decoded.identifications[0]
    wavelengths_nm: Floats | None = None
    if identification.step_nm > 0:
        wavelengths_nm = identification.first_nm + identification.step_nm * np.arange(identification.count)
    dark: SimulatedScan | None = None
    white: SimulatedScan | None = None
    targets = []
    for measurement in decoded.measurements:
        kind = measurement.head.kind
        if kind == Kind.WAVELENGTHS:
            wavelengths_nm = measurement.values
        elif kind == Kind.DARK:
            dark = _as_take(measurement)
        elif kind == Kind.WHITE:
            white = _as_take(measurement)
        else:
            targets.append(replace(_as_take(measurement), dark=dark, white=white))
    if not targets:
        raise RecordingError(f"{os.fspath(path)}: holds no complete measurement of a target")
    if wavelengths_nm is None:
        raise RecordingError(f"{os.fspath(path)}: the instrument's table of wavelengths is not in it; try --verbatim")
    identification = replace(
        identification,
        features=identification.features | Feature.VIRTUAL,
        payload_limit=payload_limit or identification.payload_limit,
    )
    return FramedSimulation(identification, tuple(targets), wavelengths_nm)


def _as_take(measurement: Measurement) -> SimulatedScan:
    head = measurement.head
    return SimulatedScan(
        values=measurement.values,
        unit=head.unit,
        encoding=head.encoding,
        label=head.label,
        simulated=head.simulated,
        saturated=head.saturated,
        integration_us=head.integration_us,
        gain=head.gain,
    )


def _named(spectrum: Spectrum) -> str:
    return spectrum.source or spectrum.sample_id


def why_not_simulated(spectrum: Spectrum, first: Spectrum) -> str:
    """Say why a spectrum cannot be played by the probe that plays `first`; "" if it can."""
    if spectrum.quantity not in ("reflectance", "absorbance"):
        return f"holds {spectrum.quantity.replace('_', ' ')}; a probe is played from reflectance"
    if not np.array_equal(spectrum.wavelengths_nm, first.wavelengths_nm):
        return f"not on the wavelengths of {_named(first)}; play them apart"
    return ""


def reflectance_of(spectrum: Spectrum) -> Floats:
    """Give (bands,) reflectance of a spectrum of reflectance or absorbance."""
    return np.power(10.0, -spectrum.values) if spectrum.quantity == "absorbance" else spectrum.values


def reflectance_on(wavelengths_nm: Floats, spectrum: Spectrum) -> Floats:
    """Give (bands,) reflectance as an instrument of these wavelengths would measure it: interpolated.

    Raises:
        UnsuitableSpectrumError: another quantity, or a range that does not reach over the wavelengths.
    """
    reason = why_not_simulated(spectrum, spectrum)
    first_nm, last_nm = spectrum.range_nm
    if not reason and (wavelengths_nm.min() < first_nm or wavelengths_nm.max() > last_nm):
        reason = (
            f"covers {first_nm:g}-{last_nm:g} nm; the instrument measures {wavelengths_nm.min():g}-"
            f"{wavelengths_nm.max():g} nm"
        )
    if reason:
        raise UnsuitableSpectrumError(f"{_named(spectrum)}: {reason}")
    return np.interp(wavelengths_nm, spectrum.wavelengths_nm, reflectance_of(spectrum))


def made_up_counts(wavelengths_nm: Floats) -> tuple[Floats, Floats]:
    """Give (bands,) of a dark level, and of a lamp's broad hump over it.

    Counts of no real instrument, only their ratio means something.
    """
    first_nm, last_nm = wavelengths_nm.min(), wavelengths_nm.max()
    along = (wavelengths_nm - first_nm) / (last_nm - first_nm)
    return _DARK_DN + 40.0 * along, _WHITE_DN * (0.2 + 0.8 * np.sin(np.pi * along))


def _series(wavelengths_nm: Floats) -> tuple[float, float]:
    """First wavelength and step as the protocol's float32; step 0 if the wavelengths are no arithmetic series."""
    steps = wavelengths_nm.size - 1
    first_nm = float(np.float32(wavelengths_nm[0]))
    step_nm = float(np.float32((wavelengths_nm[-1] - wavelengths_nm[0]) / steps))
    series = first_nm + step_nm * np.arange(steps + 1)
    return first_nm, step_nm if np.abs(series - wavelengths_nm).max() < 1e-3 else 0.0


def _saturation_bits(spectrum: Spectrum) -> int:
    names = detector_names(len(spectrum.splices_nm))
    bits = 0
    for name in spectrum.saturated:
        bits |= 1 << (names.index(name) if name in names else 0)
    return bits


def _short(text: str, field: str) -> str:
    return text.encode()[: TEXT_LIMITS[field]].decode(errors="ignore")
