"""The driver of the ASD FieldSpec 3/4 and TerraSpec over TCP (docs/fieldspec.md)."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TypeVar

from ...converters.spectra.spectrum import Floats
from ..errors import (
    InstrumentError,
    MeasurementError,
    NoReplyError,
    PortError,
    PortGoneError,
    ProtocolError,
)
from ..gates.scans import Identity, Scan, ScanKind, ScanSettings
from ..protocols.fieldspec_host import FieldSpecHost, Greeted, Replied
from ..protocols.fieldspec_messages import (
    CHANNELS,
    TYPE_DETECTORS,
    Abort,
    AcquireScans,
    Command,
    Control,
    DetectorNumber,
    GetVersion,
    Optimise,
    ReadValue,
    Restore,
    Setting,
)
from ..protocols.fieldspec_replies import Acquired, AnyReply, Controlled, FlashSettings, Optimised, Value, Version
from ..protocols.host import Send
from .fieldspec_scan import ChannelLayout, header_ms, layout_of, optimised_settings, scan_of, without_dark
from .link import LONGEST_PAUSE_S, Link, counted
from .profile import Profile
from .profile_fieldspec import FieldSpecProfile
from .serial_port import BytePort

VIRTUAL_SETTING = "StibiumVirtual"
SIMULATED_SETTING = "StibiumSimulated"
"""Names that a virtual FieldSpec has among its settings; no instrument of the maker's has them."""

_U31 = 0x7FFFFFFF
_R = TypeVar("_R", bound=AnyReply)


class FieldSpecInstrument:
    """See `driver.Instrument`.

    Args:
        open_port: opens the port, anew after each hang-up; raises PortError.
        profile: how long to wait.
        notify: called with one line for a person when something noteworthy happens.
    """

    def __init__(
        self, open_port: Callable[[], BytePort], profile: Profile, notify: Callable[[str], None] | None = None
    ) -> None:
        self._times, self._timeouts = profile.fieldspec or FieldSpecProfile(), profile.timeouts
        self._host = FieldSpecHost(profile.timeouts, self._times.not_ready_s, self._times.restore_s)
        self._link = Link(open_port, self._host, profile.timeouts, self._greet, notify, "an ASD FieldSpec")
        self._known: tuple[Identity, ChannelLayout] | None = None
        self._number = 0
        # Another number after each power-up that was noticed.
        self._boot = random.randrange(1, _U31)
        self._version: Version | None = None
        self._serial_number = 0
        self._flash: dict[str, float] = {}
        # Set again after each new connection.
        self._optimised: Optimised | None = None
        self._integration_ms = 0.0
        self._shutter_closed = False
        self._restarts = 0

    # --- who is there -------------------------------------------------------------------------------------

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
    def _connected(self) -> tuple[Identity, ChannelLayout]:
        if self._known is None:
            raise InstrumentError(f"{self.name}: not connected")
        return self._known

    def connect(self, wait_for_port: bool = False) -> Identity:
        """Open the port, find out who is there and make it ready to measure.

        Raises:
            PortError: the port cannot be opened, or no FieldSpec answers.
            InstrumentError: it answers with an error, or with what makes no sense.
        """
        self._link.connect(wait_for_port)

        def identify() -> tuple[Identity, ChannelLayout]:
            version = self._ask(GetVersion(), Version)
            layout = layout_of(version.instrument_type, self._read_value, self.name)
            return self._identify(version, layout), layout

        self._known = self._link.persist(identify)
        return self.identity

    def _identify(self, version: Version, layout: ChannelLayout) -> Identity:
        virtual = bool(self._flash.get(VIRTUAL_SETTING))
        return Identity(
            name="ASD FieldSpec (virtual)" if virtual else "ASD FieldSpec",
            serial_number=str(self._serial_number),
            detectors=layout.detectors,
            splices_nm=layout.splices_nm,
            delivers="raw_dn",
            needs_dark="VNIR" in layout.detectors,
            shutter="VNIR" in layout.detectors,
            optimises=True,
            simulated=bool(self._flash.get(SIMULATED_SETTING)),
            virtual=virtual,
            firmware=f"{version.text} {version.value:g}".strip(),
        )

    # --- each new connection ------------------------------------------------------------------------------

    def _greet(self, failures: int) -> None:
        # A greeting that came late may have been taken for an answer: wait longer for it.
        quiet_s = min(self._timeouts.quiet_s * 2**failures, max(LONGEST_PAUSE_S, self._timeouts.quiet_s))
        self._link.tell(lambda now_s: self._host.greet(now_s, quiet_s))
        while not isinstance(self._link.next_event(), Greeted):
            pass
        version = self._ask(GetVersion(), Version)
        if version.instrument_type not in CHANNELS:
            raise InstrumentError(
                f"{self.name}: instrument type {version.instrument_type}, whose channels are not known; "
                f"known are {', '.join(map(str, CHANNELS))}"
            )
        before, self._version = self._version, version
        restarted = before is not None and before.instrument_type == version.instrument_type and self._was_restarted()
        self._flash = dict(self._ask(Restore(), FlashSettings, self._times.restore_s).values)
        self._serial_number = int(self._read_value("SerialNumber"))
        self._link.found(f"ASD FieldSpec of type {version.instrument_type}, serial number {self._serial_number}")
        if restarted:
            self._restarts += 1
            self._boot = random.randrange(1, _U31)
            self._link.notify("the instrument was switched off and on; dark and white are void")
        self._set_again()

    def _was_restarted(self) -> bool:
        """Whether the calibration arrays or the integration time that it had are gone; before `Restore`."""
        timeout_s = self._scan_timeout_s(1)
        self._link.tell(lambda now_s: self._host.ask(AcquireScans(1), now_s, timeout_s, once=True))
        try:
            event = self._link.next_event()
        except InstrumentError as error:
            if not self._link.is_open:
                raise PortGoneError(str(error)) from error
            return True
        if not isinstance(event, Replied) or not isinstance(event.reply, Acquired):
            return True
        kept = header_ms(event.reply.head.vnir.integration) == self._integration_ms
        return self._optimised is not None and "VNIR" in self._detectors and not kept

    def _set_again(self) -> None:
        """Open the shutter, whatever closed it, and give back what optimising had found."""
        if "VNIR" in self._detectors:
            self._set_shutter(closed=False)
        found = self._optimised
        if found is None:
            return
        if "VNIR" in self._detectors:
            self._control(DetectorNumber.VNIR, Setting.INTEGRATION, found.integration_step)
        for detector, gain, offset in (
            (DetectorNumber.SWIR1, found.swir1_gain, found.swir1_offset),
            (DetectorNumber.SWIR2, found.swir2_gain, found.swir2_offset),
        ):
            if detector.name in self._detectors:
                self._control(detector, Setting.OFFSET, offset)
                self._control(detector, Setting.GAIN, gain)

    @property
    def _detectors(self) -> tuple[str, ...]:
        return TYPE_DETECTORS[self._version.instrument_type] if self._version else ()

    # --- measuring ----------------------------------------------------------------------------------------

    def optimise(self) -> ScanSettings:
        """Let the instrument set integration time, gains and offsets on the white panel in front of it.

        Raises:
            InstrumentError: it could not, as on darkness; the message has its error in words.
            MeasurementError: it did not answer in time, or the connection broke each time.
            PortError: see `acquire`.
        """
        detectors = self.identity.detectors

        def run() -> ScanSettings:
            found = self._ask(Optimise(detectors), Optimised, self._times.optimise_s)
            self._optimised, self._integration_ms = found, header_ms(found.integration_step)
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
            self._set_shutter(closed=True)
            scan = self._take("dark", scans)
        finally:
            # Where the line is of no use any more, connecting anew opens the shutter.
            if self._link.is_open:
                self._set_shutter(closed=False)
        if not scan.shutter_closed:
            raise MeasurementError(f"{self.name}: the shutter did not close, so this is no dark; measure again")
        return scan

    def _take(self, kind: ScanKind, scans: int) -> Scan:
        identity, layout = self._connected
        reply = self._ask(AcquireScans(scans), Acquired, self._scan_timeout_s(scans))
        self._integration_ms = header_ms(reply.head.vnir.integration)
        self._number += 1
        return scan_of(reply, kind, scans, layout, identity, self._boot, self._number)

    def _scan_timeout_s(self, scans: int) -> float:
        """How long the mean of so many scans may take."""
        seconds = scans * max(self._times.scan_s, 1.5 * self._integration_ms / 1000)
        return min(self._timeouts.reply_s + seconds, self._timeouts.longest_scan_s)

    def wait(self, timeout_s: float) -> Scan | None:
        """Return None: its button does not reach this protocol. The time passes, and a hang-up is noticed."""
        until_s = time.monotonic() + timeout_s
        self._link.persist(lambda: self._link.next_event(until_s))
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

    # --- asking -------------------------------------------------------------------------------------------

    def _ask(self, command: Command, kind: type[_R], timeout_s: float | None = None) -> _R:
        """Ask until the instrument is ready, and give its good reply; raises as `FieldSpecHost.ask`."""
        seconds = self._timeouts.reply_s if timeout_s is None else timeout_s
        self._link.tell(lambda now_s: self._host.ask(command, now_s, seconds))
        while not isinstance(event := self._link.next_event(), Replied):
            pass
        assert isinstance(event.reply, kind)
        return event.reply

    def _drop_out_of_step(self, why: str) -> NoReturn:
        self._host.out_of_step += 1
        self._link.hang_up()
        raise ProtocolError(f"{self.name}: {why}")

    def _read_value(self, name: str) -> float:
        reply = self._ask(ReadValue(name), Value)
        if reply.name and reply.name.lower() != name.lower():
            self._drop_out_of_step(f"{reply.name} came where {name} was asked for")
        if not math.isfinite(reply.value):
            raise InstrumentError(f"{self.name}: {name} is {reply.value}")
        return reply.value

    def _control(self, detector: DetectorNumber, setting: Setting, value: int) -> None:
        """Set something; each scan's header says what is set."""
        reply = self._ask(Control(detector, setting, value), Controlled)
        if (reply.detector, reply.setting) != (detector, setting):
            self._drop_out_of_step(
                f"setting {int(setting)} of detector {int(detector)} was answered with setting {reply.setting} of "
                f"detector {reply.detector}"
            )

    def _set_shutter(self, closed: bool) -> None:
        self._shutter_closed = self._shutter_closed or closed
        self._control(DetectorNumber.VNIR, Setting.SHUTTER, int(closed))
        self._shutter_closed = closed

    # --- what happened, and the end -----------------------------------------------------------------------

    def remarks(self) -> list[str]:
        """What happened on the line."""
        return counted(
            (self._link.reconnects, "new connection", "new connections"),
            (self._restarts, "restart of the instrument", "restarts of the instrument"),
            (self._host.silences, "answer that did not come", "answers that did not come"),
            (self._host.out_of_step, "answer that was none", "answers that were none"),
            (self._host.not_ready, 'time "not ready"', 'times "not ready"'),
        )

    def losses(self) -> list[str]:
        """Nothing: a scan that does not arrive is reported by the call that asked for it."""
        return []

    def close(self) -> None:
        """Close the port, and leave the shutter open; may be called again."""
        if self._shutter_closed:
            self._shutter_closed = False
            try:
                # Stopped in the middle: the instrument need not go on, and a line that hung up is told nothing.
                with suppress(PortGoneError):
                    self._link.tell(lambda _: [Send(Abort().pack())])
                self._link.open_port()
                self._link.tell(lambda now_s: self._host.greet(now_s, self._timeouts.quiet_s))
                while not isinstance(self._link.next_event(), Greeted):
                    pass
                self._set_shutter(closed=False)
            except (PortError, InstrumentError, NoReplyError, ProtocolError) as error:
                self._link.notify(f"the shutter may have stayed closed: {error}")
        self._link.close()
