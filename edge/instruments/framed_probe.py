"""The driver: an instrument that speaks the framed protocol, on a port that may be noisy and come and go."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import (
    InstrumentError,
    InstrumentExchangedError,
    MeasurementError,
    NoSuchPortError,
    NotAPortError,
    NothingLeftError,
    PortError,
    PortGoneError,
)
from ..protocols.framed import VERSION, Damaged, Event, Foreign, Frame, FrameDecoder, encode
from ..protocols.framed_fields import U16, U32, Message
from ..protocols.framed_messages import (
    Acknowledge,
    Acquire,
    Fault,
    FaultCode,
    GetStatus,
    Identification,
    Identify,
    Kind,
    Resend,
    SpectrumHead,
    State,
    Status,
    Unit,
    Values,
    from_instrument,
)
from ..protocols.framed_transfer import Assembler, Measurement
from .profile import Profile
from .serial_port import BytePort

_SMALL_PAYLOAD = 64
"""Payload limit in bytes asked for on a noisy line: the shorter a frame, the likelier it arrives."""
_NOISY, _QUIET = 0.25, 0.02
_LONGEST_PAUSE_S = 2.0
_LEAST_BUSY_S = 0.2
_KEEP_ALIVES = 3
_MOST_LOSSES = 100


@dataclass
class Counters:
    """What happened on the line."""

    received_bytes: int = 0
    frames: int = 0
    damaged: int = 0
    echoes: int = 0
    asked_again: int = 0
    """Requests for missing frames."""
    repeated: int = 0
    """Measurements offered again after they had been taken; taken once."""
    replugs: int = 0
    restarts: int = 0
    """Times the instrument was found to have been switched off and on."""
    other_version: int = 0


class FramedProbe:
    """An instrument behind a port.

    A port that hangs up is opened again and the instrument identified again; what was under way is asked for
    again under the same request number, so the instrument either delivers what it measured or measures now, and
    no measurement is lost or comes twice. What cannot be had is reported: by MeasurementError, or in `losses`.

    Args:
        open_port: opens the port, anew after each hang-up; raises PortError.
        profile: how patient to be.
        notify: called with one line for a person when something noteworthy happens.
    """

    def __init__(
        self, open_port: Callable[[], BytePort], profile: Profile, notify: Callable[[str], None] | None = None
    ) -> None:
        self._open_port = open_port
        self._patience = profile.timeouts
        self._baudrate = profile.serial.baudrate
        self._notify = notify or (lambda line: None)
        self._port: BytePort | None = None
        self._decoder = FrameDecoder()
        self._assembler = Assembler()
        self._ready: deque[Measurement] = deque()
        self._sequence = random.randrange(U16 + 1)
        self._request = random.randrange(1, U32)
        self._identification: Identification | None = None
        self._wavelengths_nm: Floats | None = None
        self._boot: int | None = None
        self._newest: int | None = None
        self._settled = 0
        self._fetching = False
        self._quiet_at = 0.0
        self._heard_at = 0.0
        self._unanswered = 0
        self._rounds = _Rounds()
        self._judged = (0, 0)
        self._payload_limit = 0
        self.counters = Counters()
        self.losses: list[str] = []
        """Measurements the instrument made that did not arrive; the caller empties it."""

    # --- what a caller does -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The port's name."""
        return self._port.name if self._port else "port"

    @property
    def identification(self) -> Identification:
        """Who is there; `connect` first."""
        if self._identification is None:
            raise InstrumentError(f"{self.name}: not connected")
        return self._identification

    @property
    def wavelengths_nm(self) -> Floats:
        """(bands,) wavelengths in nm of the instrument's spectra."""
        identification = self.identification
        if self._wavelengths_nm is None:
            if identification.step_nm == 0:
                raise InstrumentError(f"{self.name}: the instrument's wavelengths are not known yet")
            bands = np.arange(identification.count, dtype=np.float64)
            self._wavelengths_nm = identification.first_nm + identification.step_nm * bands
        return self._wavelengths_nm

    def connect(self, wait_for_port: bool = False) -> Identification:
        """Open the port and find out who is there.

        Raises:
            PortError: the port cannot be opened, or nothing that speaks this protocol answers.
            InstrumentError: the instrument's wavelengths make no sense.
        """
        pause_s, told = 0.1, ""
        while True:
            try:
                self._open()
                break
            except PortError as error:
                self.close()
                if not wait_for_port or isinstance(error, NotAPortError):
                    raise
                if str(error) != told:
                    told = str(error)
                    self._notify(f"{told} (waiting)")
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        if self.identification.step_nm == 0:
            self._wavelengths_nm = self._acquire_wavelengths()
        return self.identification

    def acquire(self, kind: Kind, scans: int) -> Measurement:
        """Measure once. The caller confirms the result with `acknowledge` when it is safe.

        Raises:
            MeasurementError: it could not be fetched whole, or took too long; the next one may work.
            NothingLeftError: the instrument has nothing more to measure.
            InstrumentError: the instrument refused.
            PortError: the port has gone and not come back, or another instrument is on it now.
        """
        self._request = self._request % U32 + 1
        message = Acquire(self._request, kind, scans, self._payload_limit)
        self._fetching = True
        try:
            for _ in range(self._patience.request_attempts):
                try:
                    return self._fetch(message)
                except PortGoneError as error:
                    self._reconnect(error)
            raise self._give_up(f"the port hung up {self._patience.request_attempts} times during one measurement")
        finally:
            self._fetching = False

    def wait(self, timeout_s: float) -> Measurement | None:
        """Return a measurement that the instrument sends unasked.

        None if none has come in time, or there is something new in `losses`.

        Raises:
            MeasurementError, InstrumentError, PortError: as `acquire`.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ready and not self.losses:
            try:
                event = self._pump(deadline)
                if isinstance(event, Frame) and isinstance(event.message, Fault):
                    if event.message.code == FaultCode.DAMAGED_FRAME:
                        self._quiet_at = time.monotonic()
                    elif event.message.reply_to == 0:
                        raise self._refused(event.message)
                self._keep_alive()
            except PortGoneError as error:
                self._reconnect(error)
            if time.monotonic() >= deadline and not self._assembler.current:
                break
        return self._ready.popleft() if self._ready else None

    def acknowledge(self, measurement: Measurement) -> None:
        """Tell the instrument that a measurement is safe here and may be forgotten there."""
        self.settle(measurement.head.measurement)

    def settle(self, number: int) -> None:
        """Tell the instrument that the measurement of this number is safe here."""
        self._settled = max(self._settled, number)
        try:
            self._send(Acknowledge(number))
        except PortGoneError as error:
            # The instrument offers it again when the port is back, and is told again then.
            self._reconnect(error)

    def unfinished(self) -> str:
        """Say which measurement is only partly here; "" if there is none. It is given up."""
        abandoned = self._assembler.give_up()
        if abandoned is not None:
            self._note_losses(abandoned.measurement)
        return str(abandoned or "")

    def close(self) -> None:
        """Close the port."""
        if self._port is not None:
            self._port.close()

    # --- opening, and opening again -----------------------------------------------------------------------

    def _open(self) -> None:
        self._decoder = FrameDecoder()
        self._port = self._open_port()
        self._identify()

    def _identify(self) -> None:
        received, damaged = self.counters.received_bytes, self.counters.damaged
        self.counters.echoes = self.counters.other_version = 0
        for _ in range(self._patience.request_attempts):
            self._send(Identify())
            deadline = time.monotonic() + self._patience.reply_s
            while (event := self._next_event(deadline)) is not None:
                if isinstance(event, Frame):
                    self._take(event)
                    if isinstance(event.message, Identification):
                        self._quiet_at = time.monotonic() + self._patience.quiet_s
                        return
                if _is_fault(event, FaultCode.DAMAGED_FRAME) or time.monotonic() >= deadline:
                    break
        received = self.counters.received_bytes - received
        raise PortError(f"{self.name}: {self._why_unknown(received, self.counters.damaged - damaged)}")

    def _why_unknown(self, received: int, damaged: int) -> str:
        if self.counters.other_version:
            return f"the instrument speaks another version of the protocol than {VERSION}; update one of the two"
        if self.counters.echoes:
            return "what is sent comes back: a loop, or an echoing line, but no instrument"
        if received:
            return (
                f"{received} bytes came ({damaged} damaged frames) and no identification; is it a probe of this "
                f"protocol, and {self._baudrate} bit/s its speed?"
            )
        seconds = self._patience.request_attempts * self._patience.reply_s
        return f"silent: no answer in {seconds:g} s; is the instrument switched on, and on this port?"

    def _reconnect(self, cause: PortGoneError) -> None:
        self.counters.replugs += 1
        self._notify(f"{cause} (waiting for it to come back)")
        told = ""
        deadline = time.monotonic() + self._patience.replug_s
        pause_s = 0.1
        while True:
            self.close()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                self._open()
            except PortError as error:
                if time.monotonic() >= deadline:
                    exchanged = isinstance(error, InstrumentExchangedError)
                    kind = InstrumentExchangedError if exchanged else PortError
                    raise kind(f"{error} (gone for {self._patience.replug_s:g} s, given up)") from error
                # That it is not there yet goes without saying.
                if str(error) != told and not isinstance(error, NoSuchPortError):
                    told = str(error)
                    self._notify(told)
            else:
                self._notify(f"{self.name}: connected again")
                return

    def _adopt(self, identification: Identification) -> None:
        before = self._identification
        if before is not None and _who(before) != _who(identification):
            raise InstrumentExchangedError(
                f"{self.name}: another instrument answers now: {_who(identification)} in place of {_who(before)}"
            )
        self._identification = identification
        self._note_boot(identification.boot)

    def _note_boot(self, boot: int) -> None:
        self._assembler.restart(boot)
        if self._boot is not None and self._boot != boot:
            self._note_restart()
        self._boot = boot

    def _note_restart(self) -> None:
        self._note_losses()
        self.counters.restarts += 1
        self._newest = self._settled = 0
        self._notify(f"{self.name}: the instrument was switched off and on")

    def _acquire_wavelengths(self) -> Floats:
        measurement = self.acquire(Kind.WAVELENGTHS, 1)
        self.acknowledge(measurement)
        values = measurement.values
        usable = measurement.head.unit == Unit.WAVELENGTH_NM and values.size == self.identification.count
        if not usable or not np.isfinite(values).all() or (np.diff(values) <= 0).any():
            raise InstrumentError(f"{self.name}: the instrument's table of wavelengths is no ascending series in nm")
        return values

    # --- measuring ----------------------------------------------------------------------------------------

    def _fetch(self, message: Acquire) -> Measurement:
        patience = self._patience
        give_up_at = time.monotonic() + patience.longest_scan_s
        sent, attempts = self._send(message), 1
        deadline = time.monotonic() + patience.reply_s
        busy = False
        while True:
            measurement = self._answer_to(message.request)
            if measurement is not None:
                return measurement
            event = self._pump(min(deadline, give_up_at))
            now = time.monotonic()
            again = False
            if isinstance(event, Frame) and isinstance(event.message, Status):
                status = event.message
                if status.state in (State.MEASURING, State.WARMING_UP):
                    deadline = now + status.remaining_ms / 1000 + patience.reply_s
                else:
                    # All of its answer was damaged, down to the status that ends it.
                    again = not self._assembler.current and status.unacknowledged > self._assembler.finished
            elif isinstance(event, Frame) and isinstance(event.message, Fault):
                fault = event.message
                if fault.code == FaultCode.DAMAGED_FRAME:
                    again = not self._assembler.current
                    self._quiet_at = now
                elif fault.code == FaultCode.BUSY and fault.reply_to == sent:
                    busy, deadline = True, now + max(patience.reply_s / 4, _LEAST_BUSY_S)
                elif fault.reply_to == sent:
                    raise self._refused(fault)
            elif self._assembler.current:
                deadline = now + patience.reply_s
            elif now >= deadline and not self._ready:
                again = True
            if now >= give_up_at and not self._ready:
                raise self._give_up(f"no measurement in {patience.longest_scan_s:g} s")
            if again:
                if attempts == patience.request_attempts and busy:
                    raise InstrumentError(f"{self.name}: the instrument stays busy; is another host connected to it?")
                if attempts == patience.request_attempts:
                    # As a socket whose other side was switched off: open, and silent for ever.
                    raise PortGoneError(f"{self.name}: {attempts} requests were not answered")
                sent, attempts = self._send(message), attempts + 1
                deadline = now + patience.reply_s

    def _answer_to(self, request: int) -> Measurement | None:
        while self._ready:
            measurement = self._ready.popleft()
            if measurement.head.request == request:
                return measurement
            if measurement.head.request == 0:
                self.losses.append(
                    f"measurement {measurement.head.measurement} came from the instrument's button while the program "
                    "was measuring; use --passive to measure with the button"
                )
            self.acknowledge(measurement)
        return None

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if self._assembler.current or now < self._heard_at + self._patience.keepalive_s:
            return
        self._heard_at = now
        self._unanswered += 1
        if self._unanswered > _KEEP_ALIVES:
            raise PortGoneError(f"{self.name}: {self._unanswered - 1} requests were not answered")
        self._send(GetStatus())

    def _refused(self, fault: Fault) -> InstrumentError:
        text = f": {fault.text}" if fault.text else ""
        if fault.code == FaultCode.NOTHING_LEFT:
            return NothingLeftError(f"{self.name}: the instrument has nothing more to measure{text}")
        return InstrumentError(f"{self.name}: the instrument reports error {fault.code}{text}")

    # --- frames -------------------------------------------------------------------------------------------

    def _send(self, message: Message) -> int:
        if self._port is None:
            raise PortError("the port is not open")
        self._sequence = (self._sequence + 1) & U16
        self._port.write(encode(message, self._sequence))
        return self._sequence

    def _pump(self, deadline: float) -> Event | None:
        """Take the next event, or ask for missing frames when the line has gone quiet before the deadline."""
        event = self._next_event(min(deadline, self._quiet_at) if self._assembler.current else deadline)
        if isinstance(event, Frame):
            self._take(event)
        if self._assembler.current and (time.monotonic() >= self._quiet_at or _ends_answer(event)):
            self._ask_again()
        return event

    def _next_event(self, deadline: float) -> Event | None:
        if self._port is None:
            raise PortError("the port is not open")
        while (event := self._decoder.next_event()) is None:
            left_s = deadline - time.monotonic()
            data = self._port.read(max(left_s, 0.0))
            if not data and left_s <= 0:
                return None
            self._decoder.receive(data)
            self.counters.received_bytes += len(data)
        if isinstance(event, Damaged):
            self.counters.damaged += 1
        elif isinstance(event, Foreign):
            self.counters.other_version += event.version != VERSION
        elif from_instrument(event.message.type_code):
            self.counters.frames += 1
            self._heard_at, self._unanswered = time.monotonic(), 0
        else:
            self.counters.echoes += 1
        return event

    def _take(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Identification):
            self._adopt(message)
        elif isinstance(message, Fault) and message.code == FaultCode.UNKNOWN_SEQUENCE and self._assembler.current:
            raise self._give_up("the instrument does not hold the missing frames any more")
        if not isinstance(message, (SpectrumHead, Values)):
            return
        if isinstance(message, SpectrumHead):
            if message.boot != self._boot:
                self._send(Identify())
                self._note_boot(message.boot)
            if self._assembler.repeats(message):
                self.counters.repeated += 1
                if message.measurement <= self._settled:
                    self._send(Acknowledge(message.measurement))
                return
            if message.measurement <= self._assembler.finished:
                self._assembler.count_anew()
                self._note_restart()
        measurement = self._assembler.receive(frame)
        self._quiet_at = time.monotonic() + self._patience.quiet_s
        self._note_losses(measurement.head.measurement if measurement is not None else None)
        if measurement is not None:
            self._judge_line()
            self._ready.append(measurement)

    def _ask_again(self) -> None:
        gaps = self._assembler.missing()
        if self._rounds.ask(self._assembler) > self._patience.resend_attempts:
            raise self._give_up(f"the rest did not come, asked for {self._rounds.fruitless - 1} times")
        self.counters.asked_again += 1
        self._send(Resend(gaps))
        self._quiet_at = time.monotonic() + self._patience.quiet_s

    def _note_losses(self, number: int | None = None) -> None:
        """Note what broke off, and what lies between the newest measurement so far and this one."""
        for abandoned in self._assembler.abandoned:
            self._note_gap(abandoned.measurement)
            # One that was asked for is asked for again, as after a power cut, or has been reported as failed.
            if abandoned.request == 0 or not self._fetching:
                self.losses.append(str(abandoned))
        self._assembler.abandoned.clear()
        if number is not None:
            self._note_gap(number)

    def _note_gap(self, number: int) -> None:
        if self._newest is not None:
            for missed in range(max(self._newest + 1, number - _MOST_LOSSES), number):
                self.losses.append(f"measurement {missed} was made by the instrument and never arrived")
        self._newest = max(number, self._newest or 0)

    def _judge_line(self) -> None:
        """Ask for short frames from now on if many were damaged, and for the instrument's own if none is."""
        frames, damaged = self.counters.frames - self._judged[0], self.counters.damaged - self._judged[1]
        self._judged = self.counters.frames, self.counters.damaged
        share = damaged / (frames + damaged)
        if share > _NOISY:
            self._payload_limit = _SMALL_PAYLOAD
        elif share < _QUIET:
            self._payload_limit = 0

    def _give_up(self, why: str) -> MeasurementError:
        abandoned = self._assembler.give_up()
        if abandoned is None:
            return self._failed(why)
        self._note_losses(abandoned.measurement)
        self.settle(abandoned.measurement)
        return self._failed(f"{abandoned}; {why}")

    def _failed(self, why: str) -> MeasurementError:
        return MeasurementError(f"{self.name}: {why}; measure again")


class _Rounds:
    """Counts how often the frames of one measurement were asked for in vain."""

    def __init__(self) -> None:
        self._measurement = 0
        self._had = -1
        self.fruitless = 0

    def ask(self, assembler: Assembler) -> int:
        """Count one more request; those before it do not count if something has come since."""
        had = assembler.arrived + (assembler.head is not None)
        progress = had > self._had or self._measurement != assembler.current
        self.fruitless = 1 if progress else self.fruitless + 1
        self._measurement, self._had = assembler.current, had
        return self.fruitless


def _ends_answer(event: Event | None) -> bool:
    """A status ends every run of a spectrum's frames."""
    return isinstance(event, Frame) and isinstance(event.message, Status) and event.message.state != State.MEASURING


def _is_fault(event: Event | None, code: FaultCode) -> bool:
    return isinstance(event, Frame) and isinstance(event.message, Fault) and event.message.code == code


def _who(identification: Identification) -> str:
    return f"{identification.name} {identification.serial_number}".strip()
