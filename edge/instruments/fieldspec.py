"""The driver of the ASD FieldSpec 3/4 and TerraSpec over TCP (docs/fieldspec.md)."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...converters.spectra.spectrum import Floats
from ..errors import InstrumentError, MeasurementError
from ..gates.scans import Identity, Scan, ScanKind, ScanSettings
from ..protocols.fieldspec_messages import Acquire, Optimise
from ..protocols.fieldspec_replies import Acquired, Optimised, Version
from .fieldspec_link import FieldSpecLink
from .fieldspec_scan import (
    Layout,
    header_ms,
    layout_of,
    optimised_settings,
    scan_of,
    without_dark,
)
from .profile import Profile
from .profile_fieldspec import FieldSpecProfile
from .serial_port import BytePort

VIRTUAL_SETTING = "StibiumVirtual"
SIMULATED_SETTING = "StibiumSimulated"
"""Names that a virtual FieldSpec has among its settings; no instrument of the maker's has them."""


class FieldSpecInstrument:
    """See `driver.Instrument`.

    Args:
        open_port: opens the port, anew after each hang-up; raises PortError.
        profile: how patient to be.
        notify: called with one line for a person when something noteworthy happens.
    """

    def __init__(
        self, open_port: Callable[[], BytePort], profile: Profile, notify: Callable[[str], None] | None = None
    ) -> None:
        self._times = profile.fieldspec or FieldSpecProfile()
        self._link = FieldSpecLink(open_port, profile.patience, self._times, notify or (lambda line: None))
        self._known: tuple[Identity, Layout] | None = None
        self._number = 0

    @property
    def name(self) -> str:
        """The port's name."""
        return self._link.name

    @property
    def identity(self) -> Identity:
        """Who is there. InstrumentError before `connect`."""
        return self._connected[0]

    @property
    def wavelengths_nm(self) -> Floats:
        """(bands,) in nm. InstrumentError before `connect`."""
        return self._connected[1].wavelengths_nm

    @property
    def _connected(self) -> tuple[Identity, Layout]:
        if self._known is None:
            raise InstrumentError(f"{self.name}: not connected")
        return self._known

    def connect(self, wait_for_port: bool = False) -> Identity:
        """Open the port, find out who is there and make it ready to measure.

        Raises:
            PortError: the port cannot be opened, or no FieldSpec answers.
            InstrumentError: it answers with an error, or with what makes no sense.
        """
        version = self._link.connect(wait_for_port)
        layout = self._link.persist(lambda: layout_of(version.instrument_type, self._link.read_value, self._link.name))
        self._known = self._identify(version, layout), layout
        return self.identity

    def _identify(self, version: Version, layout: Layout) -> Identity:
        settings = self._link.settings
        virtual = bool(settings.get(VIRTUAL_SETTING))
        return Identity(
            name="ASD FieldSpec (virtual)" if virtual else "ASD FieldSpec",
            serial_number=str(self._link.serial_number),
            detectors=layout.detectors,
            splices_nm=layout.splices_nm,
            delivers="raw_dn",
            needs_dark="VNIR" in layout.detectors,
            shutter="VNIR" in layout.detectors,
            optimises=True,
            simulated=bool(settings.get(SIMULATED_SETTING)),
            virtual=virtual,
            firmware=f"{version.text} {version.value:g}".strip(),
        )

    def optimise(self) -> ScanSettings:
        """Let the instrument set integration time, gains and offsets on the white panel in front of it.

        Raises:
            InstrumentError: it could not, as on darkness; the message has its error in words.
            MeasurementError: it did not answer in time, or the connection broke each time.
            PortError: see `acquire`.
        """
        detectors = self.identity.detectors

        def run() -> ScanSettings:
            found = self._link.ask(Optimise(detectors), Optimised, self._times.optimise_s)
            self._link.optimised = found
            self._link.integration_ms = header_ms(found.integration_step)
            return optimised_settings(found, detectors)

        return self._link.persist(run)

    def acquire(self, kind: ScanKind, scans: int) -> Scan:
        """Measure once; with "dark" the shutter is closed for it and opened again whatever happens.

        Raises:
            MeasurementError: this scan did not come whole; the next one may.
            InstrumentError: the instrument refused, with its error in words.
            PortError: the port has gone and not come back, or another instrument is on it now.
        """
        if kind == "dark" and not self.identity.shutter:
            raise InstrumentError(f"{self.name}: no VNIR, so no shutter and no dark to measure")
        return self._link.persist(lambda: self._dark(scans) if kind == "dark" else self._take(kind, scans))

    def _dark(self, scans: int) -> Scan:
        try:
            self._link.set_shutter(closed=True)
            scan = self._take("dark", scans)
        finally:
            # Where the line is of no use any more, connecting anew opens the shutter.
            if self._link.in_step:
                self._link.set_shutter(closed=False)
        if not scan.shutter_closed:
            raise MeasurementError(f"{self.name}: the shutter did not close, so this is no dark; measure again")
        return scan

    def _take(self, kind: ScanKind, scans: int) -> Scan:
        identity, layout = self._connected
        reply = self._link.ask(Acquire(scans), Acquired, self._link.scan_timeout_s(scans))
        self._link.integration_ms = header_ms(reply.head.vnir.integration)
        self._number += 1
        return scan_of(reply, kind, scans, layout, identity, self._link.boot, self._number)

    def wait(self, timeout_s: float) -> Scan | None:
        """Return None: its button does not reach this protocol. The time passes, and a hang-up is noticed."""
        deadline = time.monotonic() + timeout_s
        self._link.persist(lambda: self._link.listen(max(0.0, deadline - time.monotonic())))
        return None

    def acknowledge(self, scan: Scan) -> None:
        """Do nothing: the instrument keeps no scan."""

    def correct_dark(self, scan: Scan, dark: Scan | None) -> Floats:
        """Give (bands,) counts without dark: target - dark + (VDarkCurrentCorrection + drift of the dark) in the VNIR.

        The SWIR detectors subtract their own dark; their counts stay as delivered.

        Raises:
            MeasurementError: the dark is needed and missing, or was taken with another integration time.
        """
        return without_dark(scan, dark, self._connected[1], self._times.dark_drift, self.name)

    def remarks(self) -> list[str]:
        """What happened on the line."""
        return self._link.counters.remarks()

    def losses(self) -> list[str]:
        """Nothing: a scan that does not arrive is reported by the call that asked for it."""
        return []

    def close(self) -> None:
        """Close the port, and leave the shutter open; may be called again."""
        self._link.close()
