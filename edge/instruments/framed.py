"""A probe that speaks the framed serial protocol, with the face every instrument has."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import InstrumentError, MeasurementError, PortGoneError
from ..gates.scans import Identity, Scan, ScanKind, ScanSettings
from ..protocols.framed_host import Arrived, FramedHost, Identified, Lost
from ..protocols.framed_messages import Feature, Identification, Kind, Unit
from ..protocols.framed_transfer import Measurement
from ..protocols.host import HostEvent, Output
from .driver import detector_names
from .link import Link, counted
from .profile import Profile
from .serial_port import BytePort

_KINDS: dict[ScanKind, Kind] = {"target": Kind.TARGET, "white": Kind.WHITE, "dark": Kind.DARK}
_NAMES: dict[Kind, ScanKind] = {kind: name for name, kind in _KINDS.items()}


class FramedInstrument:
    """See `driver.Instrument`.

    What was under way when the port hung up is asked for again under the same request number, so the instrument either
    delivers what it measured or measures now, and no measurement is lost or comes twice. What cannot be had is
    reported: by MeasurementError, or in `losses`.

    Args:
        open_port: opens the port, anew after each hang-up; raises PortError.
        profile: of protocol "framed".
        notify: called with one line for a person when something noteworthy happens.
    """

    def __init__(
        self, open_port: Callable[[], BytePort], profile: Profile, notify: Callable[[str], None] | None = None
    ) -> None:
        self.host = FramedHost(profile.timeouts, profile.serial.baudrate)
        self.link = Link(open_port, self.host, profile.timeouts, self._greet, notify, "a probe of this protocol")
        self._identification: Identification | None = None
        self._wavelengths_nm: Floats | None = None
        self._ready: deque[Measurement] = deque()
        self._losses: list[str] = []

    # --- who is there -------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The port's name."""
        return self.link.name

    @property
    def identification(self) -> Identification:
        """What the instrument says of itself. InstrumentError before `connect`."""
        if self._identification is None:
            raise InstrumentError(f"{self.name}: not connected")
        return self._identification

    @property
    def identity(self) -> Identity:
        """Who is there. InstrumentError before `connect`."""
        who = self.identification
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
        who = self.identification
        if self._wavelengths_nm is None:
            if who.step_nm == 0:
                raise InstrumentError(f"{self.name}: the instrument's wavelengths are not known yet")
            self._wavelengths_nm = who.first_nm + who.step_nm * np.arange(who.count, dtype=np.float64)
        return self._wavelengths_nm

    def connect(self, wait_for_port: bool = False) -> Identity:
        """Open the port and find out who is there. Raises PortError, InstrumentError."""
        self.link.connect(wait_for_port)
        if self.identification.step_nm == 0:
            self._wavelengths_nm = self._acquire_wavelengths()
        return self.identity

    def _greet(self, failures: int) -> None:
        while not isinstance(self._next(), Identified):
            pass

    def _acquire_wavelengths(self) -> Floats:
        measurement = self.measure(Kind.WAVELENGTHS, 1)
        self.settle(measurement.head.measurement)
        values = measurement.values
        usable = measurement.head.unit == Unit.WAVELENGTH_NM and values.size == self.identification.count
        if not usable or not np.isfinite(values).all() or (np.diff(values) <= 0).any():
            raise InstrumentError(f"{self.name}: the instrument's table of wavelengths is no ascending series in nm")
        return values

    # --- measuring ----------------------------------------------------------------------------------------

    def optimise(self) -> ScanSettings:
        """Raise InstrumentError: the protocol has no such command."""
        raise InstrumentError(f"{self.name}: this instrument sets integration time and gain by itself")

    def acquire(self, kind: ScanKind, scans: int) -> Scan:
        """Measure once. Raises MeasurementError, NothingLeftError, InstrumentError, PortError."""
        return self._scan(self.measure(_KINDS[kind], scans))

    def measure(self, kind: Kind, scans: int) -> Measurement:
        """Measure once, as the protocol has it; raises as `acquire`. It is to be settled when it is safe."""
        self.host.want(kind, scans)
        try:
            return self.link.persist(self._fetch)
        finally:
            if self.host.wanted is not None:
                # Given up, or stopped by the user: nobody waits for it any more.
                self.host.give_up("")

    def _fetch(self) -> Measurement:
        wanted = self.host.wanted
        if wanted is not None:
            self.link.tell(self.host.request)
        while True:
            while not self._ready:
                self._next()
            measurement = self._ready.popleft()
            if wanted is None or measurement.head.request == wanted.request:
                return measurement
            number = measurement.head.measurement
            if measurement.head.request == 0:
                self._losses.append(
                    f"measurement {number} came from the instrument's button while the program was measuring; use "
                    "--passive to measure with the button"
                )
            self.link.tell(partial(self._settling, number))

    def wait(self, timeout_s: float) -> Scan | None:
        """Give what was measured by the instrument's button. Raises as `acquire`.

        None if none has come in time, or there is something new in `losses`.
        """
        measurement = self.wait_for_measurement(timeout_s)
        if measurement is None:
            return None
        if measurement.head.kind not in _NAMES:
            # A table of wavelengths that nobody asked for says nothing about a sample.
            self.settle(measurement.head.measurement)
            return None
        return self._scan(measurement)

    def wait_for_measurement(self, timeout_s: float) -> Measurement | None:
        """Give what the instrument sends unasked, as the protocol has it; see `wait`."""
        until_s = time.monotonic() + timeout_s
        while not self._ready and not self._losses:
            try:
                event = self._next(until_s)
            except PortGoneError as error:
                self.link.reconnect(error)
                continue
            if event is None and not self.host.receiving:
                return None
            if event is None:
                # It is about to be whole, or to be given up.
                until_s = time.monotonic() + timeout_s
        return self._ready.popleft() if self._ready else None

    def acknowledge(self, scan: Scan) -> None:
        """Tell the instrument that a scan is on disk here."""
        self.settle(scan.number)

    def settle(self, number: int) -> None:
        """Tell the instrument that the measurement of this number is safe here."""
        try:
            self.link.tell(partial(self._settling, number))
        except PortGoneError as error:
            # The instrument offers it again when the port is back, and is told again then.
            self.link.reconnect(error)

    def _settling(self, number: int, now_s: float) -> list[Output]:
        return self.host.settle(number)

    def _next(self, until_s: float = math.inf) -> HostEvent | None:
        """Take the next event: keep what has arrived or is lost; raises as `Link.next_event`."""
        event = self.link.next_event(until_s)
        if isinstance(event, Identified):
            self.link.found(f"{event.who.name} {event.who.serial_number}".strip())
            self._identification = event.who
        elif isinstance(event, Arrived):
            self._ready.append(event.measurement)
        elif isinstance(event, Lost):
            self._losses.append(event.what)
        return event

    def correct_dark(self, scan: Scan, dark: Scan | None) -> Floats:
        """Give (bands,) counts without dark. MeasurementError if the dark is needed and missing."""
        if not self.identity.needs_dark:
            return scan.values
        if dark is None:
            raise MeasurementError(f"{self.name}: the dark reference is missing; take dark and white again")
        return scan.values - dark.values

    # --- what happened, and the end -----------------------------------------------------------------------

    def remarks(self) -> list[str]:
        """What happened on the line."""
        counters = self.host.counters
        return counted(
            (counters.damaged, "damaged frame", "damaged frames"),
            (counters.asked_again, "request for missing frames", "requests for missing frames"),
            (self.link.reconnects, "new connection", "new connections"),
            (counters.restarts, "restart of the instrument", "restarts of the instrument"),
        )

    def losses(self) -> list[str]:
        """Measurements that were made and never arrived, each once."""
        losses, self._losses = self._losses, []
        return losses

    def unfinished(self) -> str:
        """Say which measurement is only partly here, as at a recording's end; "" if there is none. It is given up."""
        return self.host.unfinished()

    def close(self) -> None:
        """Close the port."""
        self.link.close()

    def _scan(self, measurement: Measurement) -> Scan:
        return as_scan(measurement, self.identification, self.wavelengths_nm, self.name)


def saturated_detectors(
    measurement: Measurement, identification: Identification, wavelengths_nm: Floats
) -> tuple[str, ...]:
    """Name the detectors that were saturated: as the instrument says, or by their counts."""
    names = detector_names(len(identification.splices_nm))
    bits = measurement.head.saturated
    counts = measurement.head.unit == Unit.RAW_DN and measurement.values.size == wavelengths_nm.size
    if counts and identification.saturation_dn:
        over = measurement.values >= identification.saturation_dn
        for detector in np.unique(np.searchsorted(identification.splices_nm, wavelengths_nm[over], side="left")):
            bits |= 1 << int(detector)
    named = [name for number, name in enumerate(names) if bits >> number & 1]
    return tuple(named) if named or not bits else ("detector",)


def as_scan(measurement: Measurement, who: Identification, wavelengths_nm: Floats, port: str) -> Scan:
    """Give a measurement of a target, dark or white in the form that every instrument's scans have.

    It is not judged: there may be more or fewer values than bands, and any values.

    Raises:
        MeasurementError: the values are wavelengths.
    """
    head = measurement.head
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
