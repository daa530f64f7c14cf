"""A probe that speaks the framed serial protocol, with the face every instrument has."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import InstrumentError, MeasurementError
from ..gates.scans import Identity, Scan, ScanKind, ScanSettings
from ..protocols.framed_messages import Feature, Identification, Kind, Unit
from ..protocols.framed_transfer import Measurement
from .driver import detector_names
from .framed_probe import FramedProbe

_KINDS: dict[ScanKind, Kind] = {"target": Kind.TARGET, "white": Kind.WHITE, "dark": Kind.DARK}
_NAMES: dict[Kind, ScanKind] = {kind: name for name, kind in _KINDS.items()}


class FramedInstrument:
    """See `driver.Instrument`.

    Args:
        probe: the driver of the line; connected by `connect`, if it is not yet.
    """

    def __init__(self, probe: FramedProbe) -> None:
        self.probe = probe

    @property
    def name(self) -> str:
        """The port's name."""
        return self.probe.name

    @property
    def identity(self) -> Identity:
        """Who is there. InstrumentError before `connect`."""
        who = self.probe.identification
        counts = bool(who.features & Feature.RAW_COUNTS)
        return Identity(
            name=who.name,
            serial_number=who.serial_number,
            detectors=detector_names(len(who.splices_nm)),
            splices_nm=who.splices_nm,
            delivers="raw_dn" if counts else "reflectance",
            needs_dark=counts and not who.features & Feature.DARK_SUBTRACTED,
            shutter=bool(who.features & Feature.SHUTTER),
            optimises=False,
            simulated=bool(who.features & Feature.SIMULATED),
            virtual=bool(who.features & Feature.VIRTUAL),
            firmware=who.firmware,
        )

    @property
    def wavelengths_nm(self) -> Floats:
        """(bands,) in nm."""
        return self.probe.wavelengths_nm

    def connect(self, wait_for_port: bool = False) -> Identity:
        """Open the port and find out who is there. Raises PortError, InstrumentError."""
        self.probe.connect(wait_for_port)
        return self.identity

    def optimise(self) -> ScanSettings:
        """Raise InstrumentError: the protocol has no such command."""
        raise InstrumentError(f"{self.name}: this instrument sets integration time and gain by itself")

    def acquire(self, kind: ScanKind, scans: int) -> Scan:
        """Measure once. Raises MeasurementError, NothingLeftError, InstrumentError, PortError."""
        return self._scan(self.probe.acquire(_KINDS[kind], scans))

    def wait(self, timeout_s: float) -> Scan | None:
        """Give what was measured by the instrument's button. Raises as `acquire`."""
        measurement = self.probe.wait(timeout_s)
        if measurement is None:
            return None
        if measurement.head.kind not in _NAMES:
            # A table of wavelengths that nobody asked for says nothing about a sample.
            self.probe.acknowledge(measurement)
            return None
        return self._scan(measurement)

    def acknowledge(self, scan: Scan) -> None:
        """Tell the instrument that a scan is on disk here."""
        self.probe.settle(scan.number)

    def correct_dark(self, scan: Scan, dark: Scan | None) -> Floats:
        """Give (bands,) counts without dark. MeasurementError if the dark is needed and missing."""
        if not self.identity.needs_dark:
            return scan.values
        if dark is None:
            raise MeasurementError(f"{self.name}: the dark reference is missing; take dark and white again")
        return scan.values - dark.values

    def remarks(self) -> list[str]:
        """What happened on the line."""
        counters = self.probe.counters
        counted = [
            (counters.damaged, "damaged frame", "damaged frames"),
            (counters.asked_again, "request for missing frames", "requests for missing frames"),
            (counters.replugs, "time unplugged", "times unplugged"),
            (counters.restarts, "restart of the instrument", "restarts of the instrument"),
        ]
        return [f"{number} {one if number == 1 else many}" for number, one, many in counted if number]

    def losses(self) -> list[str]:
        """Measurements that were made and never arrived, each once."""
        losses, self.probe.losses[:] = list(self.probe.losses), []
        return losses

    def close(self) -> None:
        """Close the port."""
        self.probe.close()

    def _scan(self, measurement: Measurement) -> Scan:
        return as_scan(measurement, self.probe.identification, self.wavelengths_nm, self.name)


def saturated_detectors(
    measurement: Measurement, identification: Identification, wavelengths_nm: Floats
) -> tuple[str, ...]:
    """Name the detectors that were saturated: as the instrument says, or by their counts."""
    names = detector_names(len(identification.splices_nm))
    bits = measurement.head.saturated
    if measurement.head.unit == Unit.RAW_DN and identification.saturation_dn:
        over = measurement.values >= identification.saturation_dn
        for detector in np.unique(np.searchsorted(identification.splices_nm, wavelengths_nm[over], side="left")):
            bits |= 1 << int(detector)
    named = [name for number, name in enumerate(names) if bits >> number & 1]
    return tuple(named) if named or not bits else ("detector",)


def as_scan(measurement: Measurement, who: Identification, wavelengths_nm: Floats, port: str) -> Scan:
    """Give a measurement of a target, dark or white in the form that every instrument's scans have.

    Raises:
        MeasurementError: it has another number of values than the instrument has bands, or they are wavelengths.
    """
    head = measurement.head
    if measurement.values.size != wavelengths_nm.size:
        raise MeasurementError(
            f"{port}: {measurement.values.size} values from an instrument with {wavelengths_nm.size} bands; "
            "measure again"
        )
    if head.unit == Unit.WAVELENGTH_NM:
        raise MeasurementError(f"{port}: wavelengths where a measurement is due; measure again")
    return Scan(
        kind=_NAMES[head.kind],
        values=measurement.values,
        unit="raw_dn" if head.unit == Unit.RAW_DN else "reflectance",
        key=(f"{who.name} {who.serial_number}", head.boot, head.measurement, head.values_crc),
        number=head.measurement,
        taken_s=time.monotonic() - head.age_ms / 1000,
        measured_at=datetime.now(timezone.utc) - timedelta(milliseconds=head.age_ms),
        scans=head.scans,
        settings=ScanSettings((("integration_us", float(head.integration_us)), ("gain", float(head.gain)))),
        boot=head.boot,
        saturated=saturated_detectors(measurement, who, wavelengths_nm),
        dark_subtracted=detector_names(len(who.splices_nm)) if who.features & Feature.DARK_SUBTRACTED else (),
        temperature_c=head.temperature_c,
        label=head.label,
        simulated=head.simulated or bool(who.features & Feature.SIMULATED),
    )
