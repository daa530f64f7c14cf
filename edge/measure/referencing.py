"""Counts to reflectance, with the dark and white that belong to them, or the reason why not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ..errors import MeasurementError
from ..instruments.framed import saturated_detectors
from ..protocols.framed_messages import Feature, Identification, Kind, Unit
from ..protocols.framed_transfer import Measurement


@dataclass(frozen=True, eq=False)
class Reference:
    """A dark or white measurement that has passed its checks, and when it was taken (`time.monotonic`)."""

    measurement: Measurement
    taken_s: float


class References:
    """The dark and white in force.

    Args:
        valid_min: minutes after which they are too old.
    """

    def __init__(self, valid_min: float) -> None:
        self._valid_min = valid_min
        self._taken: dict[Kind, Reference] = {}

    def take(self, measurement: Measurement, identification: Identification, wavelengths_nm: Floats) -> None:
        """Keep a dark or white measurement from now on.

        Raises:
            MeasurementError: saturated, not finite, or a white that is not above the dark; the one before stays.
        """
        kind = measurement.head.kind
        name = kind.name.lower()
        _check_counts(measurement, identification, wavelengths_nm, name)
        if kind == Kind.WHITE:
            dark = self._dark_for(measurement, identification)
            lit = measurement.values > dark
            inside = _lit_range(lit)
            unlit = wavelengths_nm[inside][~lit[inside]]
            if not lit.any() or unlit.size:
                at = f"at {unlit[0]:g} nm and {unlit.size - 1} other bands" if unlit.size else "anywhere"
                raise MeasurementError(
                    f"the white reference is not brighter than dark {at}; is the lamp on, and the probe on the panel?"
                )
        self._taken[kind] = Reference(measurement, time.monotonic() - measurement.head.age_ms / 1000)

    def wanting(self, identification: Identification) -> tuple[Kind, ...]:
        """Give what has to be measured before the next target, in order; () if all is there and fresh."""
        if not identification.features & Feature.RAW_COUNTS:
            return ()
        # A new dark goes with a new white: both drift together as the instrument warms.
        return self._needed(identification) if self.complaint(identification) else ()

    def complaint(self, identification: Identification) -> str:
        """Say what is wrong with the dark and white in force; "" if nothing is."""
        for kind in self._needed(identification):
            why_not = self._why_not(kind, identification.boot)
            if why_not:
                return f"the {kind.name.lower()} reference {why_not}"
        return ""

    def reflectance(self, measurement: Measurement, identification: Identification, wavelengths_nm: Floats) -> Floats:
        """Return (bands,) (target - dark) / (white - dark); NaN where the white shows no light.

        Raises:
            MeasurementError: dark or white is missing, too old, from before a restart, or was taken with another
                integration time or gain; or the target is saturated.
        """
        head = measurement.head
        _check_counts(measurement, identification, wavelengths_nm, "target")
        for kind in self._needed(identification):
            why_not = self._why_not(kind, head.boot)
            if why_not:
                raise MeasurementError(f"the {kind.name.lower()} reference {why_not}; take dark and white again")
            reference = self._taken[kind].measurement.head
            if (reference.integration_us, reference.gain) != (head.integration_us, head.gain):
                raise MeasurementError(
                    f"the {kind.name.lower()} reference was taken with other settings (integration "
                    f"{reference.integration_us} us, gain {reference.gain}; now {head.integration_us} us, "
                    f"{head.gain}); take dark and white again"
                )
        dark = self._dark_for(measurement, identification)
        span = self._taken[Kind.WHITE].measurement.values - dark
        return np.divide(measurement.values - dark, span, out=np.full_like(span, np.nan), where=span > 0)

    def _needed(self, identification: Identification) -> tuple[Kind, ...]:
        return (Kind.WHITE,) if identification.features & Feature.DARK_SUBTRACTED else (Kind.DARK, Kind.WHITE)

    def _why_not(self, kind: Kind, boot: int) -> str:
        reference = self._taken.get(kind)
        if reference is None:
            return "is missing"
        if reference.measurement.head.boot != boot:
            return "is from before the instrument was switched off and on"
        age_min = (time.monotonic() - reference.taken_s) / 60
        if age_min > self._valid_min:
            return f"is {age_min:.0f} min old"
        return ""

    def _dark_for(self, measurement: Measurement, identification: Identification) -> Floats:
        if identification.features & Feature.DARK_SUBTRACTED:
            return np.zeros_like(measurement.values)
        why_not = self._why_not(Kind.DARK, measurement.head.boot)
        if why_not:
            raise MeasurementError(f"the dark reference {why_not}; take dark and white again")
        return self._taken[Kind.DARK].measurement.values


def to_spectrum(
    measurement: Measurement,
    identification: Identification,
    wavelengths_nm: Floats,
    references: References,
    port: str,
    sample_id: str = "",
) -> Spectrum:
    """Turn a target measurement into a spectrum of reflectance.

    Args:
        measurement: counts or reflectance.
        identification: of the instrument it is from.
        wavelengths_nm: (bands,).
        references: the dark and white in force; not asked if reflectance was delivered.
        port: what to name as the source.
        sample_id: "" for the label that the instrument gave.

    Raises:
        MeasurementError: it is no usable reflectance; the message says why and what to do.
        UnusableSpectrumError: delivered reflectance that is no number somewhere.
    """
    head = measurement.head
    if head.kind != Kind.TARGET or head.unit == Unit.WAVELENGTH_NM:
        raise MeasurementError(f"a measurement of {head.kind.name.lower()}, no target; measure again")
    if measurement.values.size != wavelengths_nm.size:
        raise MeasurementError(
            f"{measurement.values.size} values from an instrument with {wavelengths_nm.size} bands; measure again"
        )
    values = measurement.values
    used = slice(None)
    if head.unit == Unit.RAW_DN:
        values = references.reflectance(measurement, identification, wavelengths_nm)
        # Bands at the ends where the lamp gives nothing are left away; the model says if it needs them.
        used = _lit_range(np.isfinite(values))
    else:
        _refuse_saturated(measurement, identification, wavelengths_nm, "target")
    age = timedelta(milliseconds=head.age_ms)
    return Spectrum(
        wavelengths_nm=wavelengths_nm[used],
        values=values[used],
        quantity="reflectance",
        sample_id=sample_id or head.label,
        source=f"{port} measurement {head.measurement}",
        measurement=str(head.measurement),
        measured_at=datetime.now(timezone.utc) - age,
        instrument=_instrument(identification),
        splices_nm=identification.splices_nm,
        simulated=head.simulated or bool(identification.features & Feature.SIMULATED),
        extra={"scans": head.scans, "temperature_c": head.temperature_c},
    )


def _instrument(identification: Identification) -> str:
    parts = [identification.name, identification.serial_number]
    if identification.features & Feature.VIRTUAL and "virtual" not in identification.name:
        parts.append("(played by a virtual probe)")
    return " ".join(part for part in parts if part)


def _check_counts(measurement: Measurement, identification: Identification, wavelengths_nm: Floats, name: str) -> None:
    if measurement.head.unit != Unit.RAW_DN:
        raise MeasurementError(f"{name}: {measurement.head.unit.name.lower()} where counts are due")
    if measurement.values.size != wavelengths_nm.size:
        raise MeasurementError(
            f"{name}: {measurement.values.size} values for {wavelengths_nm.size} bands; measure again"
        )
    if not np.isfinite(measurement.values).all():
        raise MeasurementError(f"{name}: counts that are no numbers; measure again")
    _refuse_saturated(measurement, identification, wavelengths_nm, name)


def _refuse_saturated(
    measurement: Measurement, identification: Identification, wavelengths_nm: Floats, name: str
) -> None:
    saturated = saturated_detectors(measurement, identification, wavelengths_nm)
    if saturated:
        raise MeasurementError(
            f"{name}: {', '.join(saturated)} saturated; shorten the integration time or lower the gain, take dark and "
            "white again, then measure again"
        )


def _lit_range(lit: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> slice:
    """From the first to the last band that is lit."""
    bands = np.flatnonzero(lit)
    return slice(int(bands[0]), int(bands[-1]) + 1) if bands.size else slice(0, 0)
