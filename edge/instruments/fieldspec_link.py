"""Keeps an ASD FieldSpec reachable: opens the line, opens it again, asks until the instrument is ready."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import (
    InstrumentError,
    InstrumentExchangedError,
    MeasurementError,
    NoReplyError,
    NoSuchPortError,
    NotAPortError,
    PortError,
    PortGoneError,
    ProtocolError,
)
from ..protocols.fieldspec_messages import (
    CHANNELS,
    NOT_OPTIMISED,
    NOT_READY,
    TYPE_DETECTORS,
    Acquire,
    Command,
    Control,
    Detector,
    GetVersion,
    ReadValue,
    Restore,
    Setting,
)
from ..protocols.fieldspec_replies import Acquired, AnyReply, Controlled, Optimised, Settings, Value, Version
from .fieldspec_line import Counters, FieldSpecLine
from .fieldspec_scan import header_ms
from .profile import Patience
from .profile_fieldspec import FieldSpecProfile
from .serial_port import BytePort

_LONGEST_PAUSE_S = 2.0
_NOT_LOADED = 300
_U31 = 0x7FFFFFFF
_T = TypeVar("_T")
_R = TypeVar("_R", bound=AnyReply)


class FieldSpecLink:
    """The connection to one instrument, which it stays with: another one on the same address is an error.

    Args:
        open_port: opens the port, anew after each hang-up; raises PortError.
        patience: how patient to be.
        times: what is particular to this instrument.
        notify: called with one line for a person when something noteworthy happens.
    """

    def __init__(
        self,
        open_port: Callable[[], BytePort],
        patience: Patience,
        times: FieldSpecProfile,
        notify: Callable[[str], None],
    ) -> None:
        self._open_port, self._patience, self._times, self._notify = open_port, patience, times, notify
        self._line: FieldSpecLine | None = None
        self.name = times.address
        self.version: Version | None = None
        self.serial_number: int | None = None
        self.settings: dict[str, float] = {}
        """What the instrument keeps in its flash, by the maker's names."""
        self.optimised: Optimised | None = None
        """Set again after each new connection."""
        self.integration_ms = 0.0
        self.shutter_closed = False
        self.boot = random.randrange(1, _U31)
        """Another number after each power-up that was noticed."""
        self.counters = Counters()

    # --- opening, and opening again -----------------------------------------------------------------------

    def connect(self, wait_for_port: bool) -> Version:
        """Open the line and make the instrument ready. PortError, InstrumentError."""
        pause_s, told, quiet_s, failures = 0.1, "", self._patience.quiet_s, 0
        while True:
            try:
                return self._open(quiet_s)
            except (InstrumentExchangedError, NotAPortError):
                raise
            except (NoReplyError, ProtocolError, PortGoneError) as error:
                failures += 1
                # A greeting that came late may have been taken for an answer: wait longer for it.
                quiet_s *= 2
                if failures >= self._patience.request_attempts:
                    raise PortError(f"{error} (connected {failures} times; is it an ASD FieldSpec?)") from error
            except PortError as error:
                # One that was there a moment ago may be back in a moment.
                failures += bool(failures)
                if not wait_for_port and not 0 < failures < self._patience.request_attempts:
                    raise
                if str(error) != told:
                    told = str(error)
                    self._notify(f"{told} (waiting)")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _open(self, quiet_s: float) -> Version:
        self.hang_up()
        try:
            return self._make_ready(quiet_s)
        except BaseException:
            self.hang_up()
            raise

    def _make_ready(self, quiet_s: float) -> Version:
        self._greet(quiet_s)
        version = self.ask(GetVersion(), Version)
        if version.instrument_type not in CHANNELS:
            raise InstrumentError(
                f"{self.name}: instrument type {version.instrument_type}, whose channels are not known; "
                f"known are {', '.join(map(str, CHANNELS))}"
            )
        if self.version is not None and version.instrument_type != self.version.instrument_type:
            raise InstrumentExchangedError(
                f"{self.name}: an instrument of type {version.instrument_type} answers now, in place of type "
                f"{self.version.instrument_type}"
            )
        first = self.version is None
        self.version = version
        restarted = not first and self._was_restarted()
        self.settings = dict(self.ask(Restore(), Settings, self._times.restore_s).values)
        self._verify_serial_number()
        if restarted:
            self.counters.restarts += 1
            self.boot = random.randrange(1, _U31)
            self._notify(f"{self.name}: the instrument was switched off and on; dark and white are void")
        self._set_again()
        return version

    def _greet(self, quiet_s: float) -> None:
        port = self._open_port()
        self.name = port.name
        self._line = FieldSpecLine(port, self._patience.quiet_s, self._patience.reply_s)
        self._line.drain_greeting(quiet_s)

    def _was_restarted(self) -> bool:
        """Whether the calibration arrays or the integration time that it had are gone; before `Restore`."""
        reply = self._open_line.ask(Acquire(1), self.scan_timeout_s(1), self._instrument_type)
        if not isinstance(reply, Acquired) or not reply.good:
            if not self._open_line.in_step:
                raise PortGoneError(f"{self.name}: {reply.explained}")
            return True
        kept = header_ms(reply.head.vnir.integration) == self.integration_ms
        return self.optimised is not None and bool(self._detectors & {"VNIR"}) and not kept

    def _verify_serial_number(self) -> None:
        number = int(self.read_value("SerialNumber"))
        if self.serial_number is not None and number != self.serial_number:
            raise InstrumentExchangedError(
                f"{self.name}: another instrument answers now: serial number {number} in place of {self.serial_number}"
            )
        self.serial_number = number

    def _set_again(self) -> None:
        """Open the shutter, whatever closed it, and give back what optimising had found."""
        if "VNIR" in self._detectors:
            self.set_shutter(closed=False)
        found = self.optimised
        if found is None:
            return
        if "VNIR" in self._detectors:
            self.control(Detector.VNIR, Setting.INTEGRATION, found.integration_step)
        for detector, gain, offset in (
            (Detector.SWIR1, found.swir1_gain, found.swir1_offset),
            (Detector.SWIR2, found.swir2_gain, found.swir2_offset),
        ):
            if detector.name in self._detectors:
                self.control(detector, Setting.OFFSET, offset)
                self.control(detector, Setting.GAIN, gain)

    def reconnect(self, cause: Exception) -> None:
        """Open the line again, for as long as patience goes. PortError if it does not come back."""
        self.counters.reconnects += 1
        self._notify(f"{cause} (connecting again)")
        deadline, pause_s, told, quiet_s = time.monotonic() + self._patience.replug_s, 0.05, "", self._patience.quiet_s
        while True:
            try:
                self._open(quiet_s)
            except InstrumentExchangedError:
                raise
            except (PortError, NoReplyError, ProtocolError, InstrumentError) as error:
                if time.monotonic() >= deadline:
                    raise PortError(f"{error} (gone for {self._patience.replug_s:g} s, given up)") from error
                # That it is not there yet goes without saying.
                if str(error) != told and not isinstance(error, NoSuchPortError):
                    told = str(error)
                    self._notify(told)
                quiet_s = min(2 * quiet_s, _LONGEST_PAUSE_S)
            else:
                self._notify(f"{self.name}: connected again")
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    # --- asking -------------------------------------------------------------------------------------------

    @property
    def _open_line(self) -> FieldSpecLine:
        if self._line is None:
            raise PortGoneError(f"{self.name}: not connected")
        return self._line

    @property
    def _instrument_type(self) -> int | None:
        return self.version.instrument_type if self.version else None

    @property
    def _detectors(self) -> frozenset[str]:
        return frozenset(TYPE_DETECTORS.get(self._instrument_type or 0, ()))

    @property
    def in_step(self) -> bool:
        """Whether the next bytes will be the next reply's."""
        return self._line is not None and self._line.in_step

    def scan_timeout_s(self, scans: int) -> float:
        """How long the mean of so many scans may take."""
        seconds = scans * max(self._times.scan_s, 1.5 * self.integration_ms / 1000)
        return min(self._patience.reply_s + seconds, self._patience.longest_scan_s)

    def ask(self, command: Command, kind: type[_R], timeout_s: float | None = None) -> _R:
        """Ask until the instrument is ready, and give its good reply.

        Raises:
            InstrumentError: it refused; its error in words.
            PortGoneError, NoReplyError, ProtocolError: see `FieldSpecLine.ask`.
        """
        deadline, pause_s, told = time.monotonic() + self._times.not_ready_s, 0.1, False
        may_restore = isinstance(command, Acquire)
        timeout_s = self._patience.reply_s if timeout_s is None else timeout_s
        while True:
            reply = self._open_line.ask(command, timeout_s, self._instrument_type)
            if isinstance(reply, kind) and reply.good:
                return reply
            text = f"{self.name}: {command.pack().decode()}: {reply.explained}"
            waiting = reply.errbyte in NOT_READY and time.monotonic() < deadline
            if waiting:
                self.counters.not_ready += 1
                if not told:
                    told = True
                    self._notify(f"{text} (asking again)")
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            if not self.in_step and waiting:
                # The rest of a reply that ended early may still come: not over a new connection.
                raise PortGoneError(text)
            if reply.header == _NOT_LOADED and may_restore:
                may_restore = False
                self.ask(Restore(), Settings, self._times.restore_s)
            elif not waiting:
                raise InstrumentError(text + self._advice(reply.errbyte))

    def _advice(self, errbyte: int) -> str:
        if errbyte in NOT_READY:
            return f" for {self._times.not_ready_s:g} s; switch the instrument off and on if it stays so"
        if errbyte in NOT_OPTIMISED:
            return "; is the probe on the white panel, and the lamp on?"
        return ""

    def read_value(self, name: str) -> float:
        """Read a setting. InstrumentError if there is none of that name; ProtocolError if another one came."""
        reply = self.ask(ReadValue(name), Value)
        if reply.name and reply.name.lower() != name.lower():
            self._open_line.in_step = False
            raise ProtocolError(f"{self.name}: {reply.name} came where {name} was asked for")
        if reply.value != reply.value or abs(reply.value) == float("inf"):
            raise InstrumentError(f"{self.name}: {name} is {reply.value}")
        return reply.value

    def control(self, detector: Detector, setting: Setting, value: int) -> None:
        """Set something. ProtocolError if the reply is about something else; each scan's header says what is set."""
        reply = self.ask(Control(detector, setting, value), Controlled)
        if (reply.detector, reply.setting) != (detector, setting):
            self._open_line.in_step = False
            raise ProtocolError(
                f"{self.name}: setting {int(setting)} of detector {int(detector)} was answered with setting "
                f"{reply.setting} of detector {reply.detector}"
            )

    def set_shutter(self, closed: bool) -> None:
        """Close or open the shutter."""
        self.shutter_closed = self.shutter_closed or closed
        self.control(Detector.VNIR, Setting.SHUTTER, int(closed))
        self.shutter_closed = closed

    def listen(self, timeout_s: float) -> None:
        """Let the time pass. PortGoneError if the line hangs up, ProtocolError if anything comes."""
        self._open_line.listen(timeout_s)

    def persist(self, run: Callable[[], _T]) -> _T:
        """Run something; begin it again over a new connection if the one it runs on breaks.

        Raises:
            MeasurementError: no answer in time, or the connection broke each time. There is a new one.
            InstrumentError: what `run` raised.
            PortError: the connection could not be had again.
        """
        attempts = self._patience.request_attempts
        last: Exception = PortGoneError(f"{self.name}: not connected")
        for _ in range(attempts):
            try:
                if not self.in_step:
                    raise PortGoneError(f"{self.name}: the connection is not usable any more")
                return run()
            except NoReplyError as error:
                self.counters.silences += 1
                self.hang_up(abort=True)
                self.reconnect(error)
                raise MeasurementError(f"{error} (measure again)") from error
            except InstrumentError:
                if not self.in_step:
                    self.reconnect(PortGoneError(f"{self.name}: an error came without the rest of its reply"))
                raise
            except ProtocolError as error:
                self.counters.out_of_step += 1
                last = error
                self.reconnect(error)
            except PortGoneError as error:
                last = error
                self.reconnect(error)
        raise MeasurementError(f"{last} (begun {attempts} times; measure again)") from last

    def hang_up(self, abort: bool = False) -> None:
        """Close the line; with `abort`, tell the instrument that what is under way is not wanted any more."""
        if self._line is not None:
            self._line.close(abort)
            self._line = None

    def close(self) -> None:
        """Close the line, and leave the shutter open."""
        if self.shutter_closed:
            self.shutter_closed = False
            try:
                self.hang_up(abort=True)
                self._greet(self._patience.quiet_s)
                self.set_shutter(closed=False)
            except (PortError, InstrumentError, NoReplyError, ProtocolError) as error:
                self._notify(f"{self.name}: the shutter may have stayed closed: {error}")
        self.hang_up()
