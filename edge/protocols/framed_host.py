"""The host's side of the framed protocol (docs/serial_protocol.md): who is there, measure, fetch what is missing.

Two things can be under way: a question (`Identify` or `Acquire`) that is asked again until it is answered, and a
measurement whose frames are arriving, of which those are asked for again that do not come. While frames arrive, the
question waits.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from ..errors import InstrumentError, MeasurementError, NothingLeftError, PortError, PortGoneError
from .framed import VERSION, Damaged, Foreign, Frame, FrameDecoder, encode
from .framed_fields import U16, U32, Message
from .framed_messages import (
    Acknowledge,
    Acquire,
    Fault,
    FaultCode,
    GetStatus,
    Identification,
    Identify,
    Kind,
    ProbeState,
    Resend,
    SpectrumHead,
    Status,
    Values,
    from_instrument,
)
from .framed_transfer import Assembler, Measurement
from .host import HostEvent, Outbox, Output, Problem, Remark, Send, Timeouts

_SMALL_PAYLOAD = 64
"""Payload limit in bytes asked for on a noisy line: the shorter a frame, the likelier it arrives."""
_NOISY, _QUIET = 0.25, 0.02
_LEAST_BUSY_S = 0.2
_KEEP_ALIVES = 3
_MOST_LOSSES = 100
_TELL_AFTER_S = 5.0
"""After so long, and again and again, it is told that a measurement has to be repeated: the program has not stopped."""


@dataclass(frozen=True)
class Identified(HostEvent):
    """The instrument says who it is: an answer, or unasked after it was switched off and on."""

    who: Identification


@dataclass(frozen=True, eq=False)
class Arrived(HostEvent):
    """A measurement is here whole, asked for or not."""

    measurement: Measurement


@dataclass(frozen=True)
class Lost(HostEvent):
    """A measurement was made, and will never arrive; in words."""

    what: str


@dataclass
class FramedCounters:
    """What happened on the line."""

    received_bytes: int = 0
    frames: int = 0
    damaged: int = 0
    echoes: int = 0
    asked_again: int = 0
    """Requests for missing frames."""
    repeated: int = 0
    """Measurements offered again after they had been taken; taken once."""
    restarts: int = 0
    """Times the instrument was found to have been switched off and on."""
    other_version: int = 0


@dataclass
class _FramedQuestion:
    """What an answer is awaited to, the sequence number under which it was asked last, and until when."""

    message: Identify | Acquire
    end_s: float
    sequence: int = 0
    asked: int = 0
    deadline_s: float = 0.0
    busy: bool = False


class FramedHost:
    """See `host.Host`.

    Args:
        timeouts: how long to wait, and how often to ask.
        baudrate: named where the line's speed may be the wrong one.
        dice: draws the first sequence and request numbers.
    """

    def __init__(self, timeouts: Timeouts, baudrate: int, dice: random.Random | None = None) -> None:
        dice = dice or random.Random()
        self._timeouts, self._baudrate = timeouts, baudrate
        self._outbox = Outbox()
        self._decoder = FrameDecoder()
        self._assembler = Assembler()
        self._sequence = dice.randrange(U16 + 1)
        self._request = dice.randrange(1, U32)
        self.wanted: Acquire | None = None
        """What `acquire` asked for and has not got, over however many connections."""
        self._question: _FramedQuestion | None = None
        self._identified = False
        self._boot: int | None = None
        self._newest: int | None = None
        self._settled = 0
        self._quiet_at_s = self._heard_at_s = self._tell_at_s = 0.0
        self._unanswered = 0
        self._rounds = _Rounds()
        self._judged = (0, 0)
        self._payload_limit = 0
        self._before = 0, 0
        self.counters = FramedCounters()

    # --- what its owner asks for --------------------------------------------------------------------------

    def opened(self, now_s: float) -> list[Output]:
        """Ask who is there: `Identified`, or PortError."""
        self._decoder, self._identified = FrameDecoder(), False
        self.counters.echoes = self.counters.other_version = 0
        self._before = self.counters.received_bytes, self.counters.damaged
        self._ask(Identify(), math.inf, now_s)
        return self._outbox.empty()

    def want(self, kind: Kind, scans: int) -> None:
        """Prepare to measure once, under a number of its own; `request` asks for it."""
        self._request = self._request % U32 + 1
        self.wanted = Acquire(self._request, kind, scans, self._payload_limit)

    def request(self, now_s: float) -> list[Output]:
        """Ask for what is wanted: `Arrived`, or MeasurementError, InstrumentError, PortGoneError.

        Over a new connection ask again: the instrument delivers what it measured under this number, or measures now.
        """
        if self.wanted is not None:
            self._tell_at_s = now_s + _TELL_AFTER_S
            self._ask(self.wanted, now_s + self._timeouts.longest_scan_s, now_s)
        return self._outbox.empty()

    def give_up(self, why: str) -> list[Output]:
        """Want nothing any more, and say to the instrument that it need not keep what is only partly here."""
        self._give_up(why)
        return self._outbox.empty()

    def settle(self, number: int) -> list[Output]:
        """Tell the instrument that the measurement of this number is safe here and may be forgotten there."""
        self._settled = max(self._settled, number)
        self._send(Acknowledge(number))
        return self._outbox.empty()

    def unfinished(self) -> str:
        """Say which measurement is only partly here; "" if there is none. It is given up."""
        abandoned = self._assembler.give_up()
        if abandoned is not None:
            self._note_losses(abandoned.measurement)
        return str(abandoned or "")

    @property
    def receiving(self) -> bool:
        """Whether a measurement is only partly here."""
        return bool(self._assembler.current)

    # --- host.Host ----------------------------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """See `host.Host`."""
        self.counters.received_bytes += len(data)
        self._decoder.receive(data)
        while (event := self._decoder.next_event()) is not None:
            if isinstance(event, Damaged):
                self.counters.damaged += 1
            elif isinstance(event, Foreign):
                self.counters.other_version += event.version != VERSION
            elif from_instrument(event.message.type_code):
                self.counters.frames += 1
                self._heard_at_s, self._unanswered = now_s, 0
                self._take(event, now_s)
            else:
                self.counters.echoes += 1
            self._put_off(now_s)
        return self._outbox.empty()

    def due(self, now_s: float) -> list[Output]:
        """See `host.Host`."""
        if self._fetching and now_s >= self._quiet_at_s:
            self._ask_for_missing(now_s)
            self._put_off(now_s)
        question = self._question
        if question is None:
            self._keep_alive(now_s)
        elif now_s >= question.end_s:
            self._give_up(f"no measurement in {self._timeouts.longest_scan_s:g} s")
        elif now_s >= question.deadline_s:
            self._ask_again(question, now_s)
        return self._outbox.empty()

    def next_due_s(self) -> float:
        """See `host.Host`."""
        times = [self._quiet_at_s] if self._fetching else []
        if self._question is not None:
            times += [self._question.deadline_s, self._question.end_s]
        elif self._identified and not self._fetching:
            times.append(self._heard_at_s + self._timeouts.keepalive_s)
        return min(times, default=math.inf)

    @property
    def _identifying(self) -> bool:
        return self._question is not None and isinstance(self._question.message, Identify)

    @property
    def _fetching(self) -> bool:
        """Whether missing frames are to be asked for; before it is known who is there, of nobody."""
        return self.receiving and not self._identifying

    def _put_off(self, now_s: float) -> None:
        if self._question is not None and self._fetching:
            self._question.deadline_s = now_s + max(self._timeouts.reply_s, self._timeouts.quiet_s)

    def _keep_alive(self, now_s: float) -> None:
        if self._fetching or not self._identified or now_s < self._heard_at_s + self._timeouts.keepalive_s:
            return
        self._heard_at_s = now_s
        self._unanswered += 1
        if self._unanswered > _KEEP_ALIVES:
            self._outbox.put(Problem(PortGoneError, f"{self._unanswered - 1} requests were not answered"))
        else:
            self._send(GetStatus())

    # --- questions ----------------------------------------------------------------------------------------

    def _ask(self, message: Identify | Acquire, end_s: float, now_s: float) -> None:
        self._question = _FramedQuestion(message, end_s)
        self._ask_again(self._question, now_s)

    def _ask_again(self, question: _FramedQuestion, now_s: float) -> None:
        if question.asked < self._timeouts.request_attempts:
            question.asked += 1
            question.deadline_s = now_s + self._timeouts.reply_s
            question.sequence = self._send(question.message)
            if question.asked > 1 and isinstance(question.message, Acquire):
                self._tell_repeating("the request is sent again", now_s)
            return
        self._question = None
        if isinstance(question.message, Identify):
            self._outbox.put(Problem(PortError, self._why_unknown()))
        elif question.busy:
            self._refused(Fault(FaultCode.BUSY, question.sequence))
        else:
            # As a socket whose other side was switched off: open, and silent for ever.
            self._outbox.put(Problem(PortGoneError, f"{question.asked} requests were not answered"))

    def _why_unknown(self) -> str:
        counters = self.counters
        received, damaged = counters.received_bytes - self._before[0], counters.damaged - self._before[1]
        if counters.other_version:
            return f"the instrument speaks another version of the protocol than {VERSION}; update one of the two"
        if counters.echoes:
            return "what is sent comes back: a loop, or an echoing line, but no instrument"
        if received:
            return (
                f"{received} bytes came ({damaged} damaged frames) and no identification; is it a probe of this "
                f"protocol, and {self._baudrate} bit/s its speed?"
            )
        seconds = self._timeouts.request_attempts * self._timeouts.reply_s
        return f"silent: no answer in {seconds:g} s; is the instrument switched on, and on this port?"

    def _refused(self, fault: Fault) -> None:
        self._question = self.wanted = None
        text = f": {fault.text}" if fault.text else ""
        if fault.code == FaultCode.NOTHING_LEFT:
            problem = Problem(NothingLeftError, f"the instrument has nothing more to measure{text}")
        elif fault.code == FaultCode.BUSY:
            problem = Problem(InstrumentError, "the instrument stays busy; is another host connected to it?")
        else:
            problem = Problem(InstrumentError, f"the instrument reports error {fault.code}{text}")
        self._outbox.put(problem)

    def _give_up(self, why: str) -> None:
        abandoned = self._assembler.give_up()
        if abandoned is not None:
            self._note_losses(abandoned.measurement)
            self._settled = max(self._settled, abandoned.measurement)
            self._send(Acknowledge(abandoned.measurement))
        self._question = self.wanted = None
        said = f"{abandoned}; {why}" if abandoned is not None else why
        self._outbox.put(Problem(MeasurementError, f"{said}; measure again"))

    # --- what the instrument says -------------------------------------------------------------------------

    def _send(self, message: Message) -> int:
        self._sequence = (self._sequence + 1) & U16
        self._outbox.put(Send(encode(message, self._sequence)))
        return self._sequence

    def _take(self, frame: Frame, now_s: float) -> None:
        message = frame.message
        if isinstance(message, Identification):
            self._take_identification(message, now_s)
        elif isinstance(message, Fault):
            self._take_fault(message, now_s)
        elif isinstance(message, Status):
            self._take_status(message, now_s)
        elif isinstance(message, Values) or (isinstance(message, SpectrumHead) and self._is_new(message)):
            self._take_piece(frame, now_s)

    def _take_identification(self, who: Identification, now_s: float) -> None:
        if self._identifying:
            self._question = None
            self._quiet_at_s = now_s + self._timeouts.quiet_s
        self._identified = True
        self._note_boot(who.boot)
        self._outbox.put(Identified(who))

    def _take_fault(self, fault: Fault, now_s: float) -> None:
        question = self._question
        if fault.code == FaultCode.UNKNOWN_SEQUENCE and self.receiving:
            self._give_up("the instrument does not hold the missing frames any more")
        elif fault.code == FaultCode.DAMAGED_FRAME:
            # What was asked did not arrive: no need to wait for an answer.
            self._quiet_at_s = now_s
            if question is not None and not self._fetching:
                self._ask_again(question, now_s)
        elif question is None:
            if fault.reply_to == 0:
                self._refused(fault)
        elif isinstance(question.message, Acquire) and fault.reply_to == question.sequence:
            if fault.code == FaultCode.BUSY:
                question.busy = True
                question.deadline_s = now_s + max(self._timeouts.reply_s / 4, _LEAST_BUSY_S)
            else:
                self._refused(fault)

    def _take_status(self, status: Status, now_s: float) -> None:
        question = self._question
        measuring = status.state in (ProbeState.MEASURING, ProbeState.WARMING_UP)
        if self._fetching and status.state != ProbeState.MEASURING:
            # A status ends every run of a spectrum's frames.
            self._ask_for_missing(now_s)
        elif question is None or not isinstance(question.message, Acquire):
            return
        elif measuring:
            question.deadline_s = now_s + status.remaining_ms / 1000 + self._timeouts.reply_s
        elif not self._fetching and status.unacknowledged > self._assembler.finished:
            # All of its answer was damaged, down to the status that ends it.
            self._ask_again(question, now_s)

    def _is_new(self, head: SpectrumHead) -> bool:
        """Whether frames of this measurement are wanted; it may also tell of a restart."""
        if head.boot != self._boot:
            self._send(Identify())
            self._note_boot(head.boot)
        if self._assembler.repeats(head):
            self.counters.repeated += 1
            if head.measurement <= self._settled:
                self._send(Acknowledge(head.measurement))
            return False
        if head.measurement <= self._assembler.finished:
            self._assembler.count_anew()
            self._note_restart()
        return True

    def _take_piece(self, frame: Frame, now_s: float) -> None:
        if not self.receiving and self.wanted is None:
            self._tell_at_s = now_s + _TELL_AFTER_S
        measurement = self._assembler.receive(frame)
        self._quiet_at_s = now_s + self._timeouts.quiet_s
        self._note_losses(measurement.head.measurement if measurement is not None else None)
        if measurement is None:
            return
        self._judge_line()
        if self.wanted is not None and measurement.head.request == self.wanted.request:
            self._question = self.wanted = None
        self._outbox.put(Arrived(measurement))

    def _ask_for_missing(self, now_s: float) -> None:
        gaps = self._assembler.missing()
        if self._rounds.ask(self._assembler) > self._timeouts.resend_attempts:
            self._give_up(f"the rest did not come, asked for {self._rounds.fruitless - 1} times")
            return
        self.counters.asked_again += 1
        self._send(Resend(gaps))
        self._quiet_at_s = now_s + self._timeouts.quiet_s
        head, arrived = self._assembler.head, self._assembler.arrived
        of = f"{arrived} of {head.frame_count}" if head is not None else f"{arrived}"
        self._tell_repeating(
            f"{of} frames of measurement {self._assembler.current} are here, the rest is asked for", now_s
        )

    def _tell_repeating(self, what: str, now_s: float) -> None:
        if now_s >= self._tell_at_s:
            self._tell_at_s = now_s + _TELL_AFTER_S
            self._outbox.put(Remark(f"{what} ({self.counters.damaged} damaged frames so far; is the cable sound?)"))

    # --- what is known of the instrument ------------------------------------------------------------------

    def _note_boot(self, boot: int) -> None:
        self._assembler.restart(boot)
        if self._boot is not None and self._boot != boot:
            self._note_restart()
        self._boot = boot

    def _note_restart(self) -> None:
        self._note_losses()
        self.counters.restarts += 1
        self._newest = self._settled = 0
        self._outbox.put(Remark("the instrument was switched off and on"))

    def _note_losses(self, number: int | None = None) -> None:
        """Note what broke off, and what lies between the newest measurement so far and this one."""
        for abandoned in self._assembler.abandoned:
            self._note_gap(abandoned.measurement)
            # One that was asked for is asked for again, as after a power cut, or has been reported as failed.
            if abandoned.request == 0 or self.wanted is None:
                self._outbox.put(Lost(str(abandoned)))
        self._assembler.abandoned.clear()
        if number is not None:
            self._note_gap(number)

    def _note_gap(self, number: int) -> None:
        if self._newest is not None:
            for missed in range(max(self._newest + 1, number - _MOST_LOSSES), number):
                self._outbox.put(Lost(f"measurement {missed} was made by the instrument and never arrived"))
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
