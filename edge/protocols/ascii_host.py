"""The host's side of a line-oriented dialect: a command is sent until it is answered as it should be."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import InstrumentError, MeasurementError, NothingLeftError, PortError, PortGoneError, ProtocolError
from .ascii_lines import VIRTUAL_NOTICE, AnswerReader, AsciiAnswer, BadLine, LineDecoder, LineMarks
from .host import HostEvent, Outbox, Output, Problem, Send, Timeouts

_LONGEST_QUIET_S = 2.0
_ERROR_ATTEMPTS = 3
"""A command that was damaged on the way is answered with an error, too."""


@dataclass(frozen=True, eq=False)
class Answered(HostEvent):
    """The answer to what was asked, as `read` made it of the lines."""

    result: Any


@dataclass(frozen=True)
class Quiet(HostEvent):
    """Nothing is on its way any more."""


@dataclass
class AsciiCounters:
    """What happened on the line."""

    damaged: int = 0
    asked_again: int = 0
    received_bytes: int = 0


@dataclass
class _AsciiQuestion:
    """A command, what its answer is read with, and how often it failed. `reader` is None while the line falls quiet."""

    command: str
    read: Callable[[AsciiAnswer], Any]
    lines: int
    extra_s: float
    begun_s: float
    attempts: int = 0
    errors: int = 0
    late: int = 0
    why: str = ""
    silent: bool = True
    received: int = 0
    reader: AnswerReader | None = field(default=None)
    deadline_s: float = 0.0
    last_s: float = 0.0


class AsciiHost:
    """See `host.Host`.

    Args:
        marks: how lines look.
        timeouts: how long to wait, and how often to ask.
    """

    def __init__(self, marks: LineMarks, timeouts: Timeouts) -> None:
        self._marks, self._timeouts = marks, timeouts
        self._outbox = Outbox()
        self._decoder = LineDecoder(marks.longest_line)
        self._question: _AsciiQuestion | None = None
        self._quiet_at_s = self._quiet_end_s = math.inf
        self._quiet_s = timeouts.quiet_s
        self.counters = AsciiCounters()
        self.found = False
        """Whether an instrument has been found on this line: set by the owner; it decides which error silence is."""
        self.notice: str | None = None
        """What a program that simulates an instrument said of itself; None from a real one."""

    # --- what its owner asks for --------------------------------------------------------------------------

    def opened(self, now_s: float) -> list[Output]:
        """Begin anew; such instruments say nothing unasked."""
        self._forget()
        self._question, self._quiet_at_s = None, math.inf
        return []

    def say(self, command: str) -> list[Output]:
        """Send a line and wait for nothing."""
        return [Send((command + self._marks.line_end).encode("ascii"))]

    def ask(
        self, command: str, read: Callable[[AsciiAnswer], Any], now_s: float, lines: int = 1, extra_s: float = 0.0
    ) -> list[Output]:
        """Send a command until it is answered: `Answered`.

        Args:
            command: without its line end.
            read: makes of an answer what it means; raises ProtocolError if it is damaged.
            now_s: the time.
            lines: how many the answer has, where no mark ends it.
            extra_s: how much longer than any answer this one may take.

        Problems:
            PortGoneError: nothing came at all. PortError: the same, or only rubbish, before an instrument was found.
            InstrumentError: the instrument says an error, again and again. MeasurementError: what comes is damaged.
            NothingLeftError: a virtual instrument has no more spectra.
        """
        self._question = _AsciiQuestion(command, read, max(lines, 1), extra_s, now_s)
        self._send(self._question, now_s)
        return self._outbox.empty()

    def hush(self, now_s: float) -> list[Output]:
        """Let what is on its way arrive, so that it is not taken for the next answer: `Quiet`."""
        self._question = None
        self._fall_quiet(self._timeouts.quiet_s, now_s)
        return []

    # --- host.Host ----------------------------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """See `host.Host`."""
        if not data:
            return []
        self.counters.received_bytes += len(data)
        question = self._question
        if question is None or question.reader is None:
            # Nobody waits for it; no answer while it goes on.
            self._quiet_at_s = now_s + self._quiet_s if self._quiet_at_s < math.inf else math.inf
            return []
        self._decoder.receive(data)
        # A long line takes its time: 2048 values at 9600 bit/s more than ten seconds.
        question.deadline_s = max(question.deadline_s, now_s + self._timeouts.reply_s)
        while question.reader is not None and question is self._question:
            line = self._decoder.next_line()
            if line is None:
                break
            self._take(question, line, now_s)
        return self._outbox.empty()

    def due(self, now_s: float) -> list[Output]:
        """See `host.Host`."""
        question = self._question
        if question is not None and question.reader is not None:
            if now_s >= min(question.deadline_s, question.last_s):
                question.late += 1
                self._try_again(question, self._why_none(question.reader), now_s)
        elif now_s >= min(self._quiet_at_s, self._quiet_end_s):
            self._quiet_at_s = self._quiet_end_s = math.inf
            if question is None:
                self._outbox.put(Quiet())
            else:
                self._send(question, now_s)
        return self._outbox.empty()

    def next_due_s(self) -> float:
        """See `host.Host`."""
        if self._question is not None and self._question.reader is not None:
            return min(self._question.deadline_s, self._question.last_s)
        return min(self._quiet_at_s, self._quiet_end_s)

    # --- one attempt after the other ----------------------------------------------------------------------

    def _send(self, question: _AsciiQuestion, now_s: float) -> None:
        self._forget()
        self.counters.asked_again += question.attempts > 0
        question.attempts += 1
        question.received = self.counters.received_bytes
        question.reader = AnswerReader(self._marks, question.command, question.lines)
        question.deadline_s = now_s + self._timeouts.reply_s + question.extra_s
        question.last_s = now_s + self._timeouts.longest_scan_s
        for output in self.say(question.command):
            self._outbox.put(output)

    def _forget(self) -> None:
        self._decoder = LineDecoder(self._marks.longest_line)

    def _take(self, question: _AsciiQuestion, line: str | BadLine, now_s: float) -> None:
        assert question.reader is not None
        if isinstance(line, BadLine):
            self.counters.damaged += 1
            self._try_again(question, line.reason, now_s)
        elif line.startswith(VIRTUAL_NOTICE):
            self.notice = line
            if "nothing left" in line:
                self._end(Problem(NothingLeftError, "the virtual instrument has played all its spectra"))
        elif (answer := question.reader.take(line)) is not None:
            self._take_answer(question, answer, now_s)

    def _take_answer(self, question: _AsciiQuestion, answer: AsciiAnswer, now_s: float) -> None:
        if answer.error is not None:
            question.errors += 1
            if question.errors >= _ERROR_ATTEMPTS or question.attempts >= self._timeouts.request_attempts:
                self._end(Problem(InstrumentError, f"the instrument answers {question.command} with {answer.error!r}"))
            else:
                self._try_again(question, f"it answers {answer.error!r}", now_s)
            return
        try:
            result = question.read(answer)
        except ProtocolError as error:
            self.counters.damaged += 1
            self._try_again(question, str(error), now_s)
        else:
            self._end(Answered(result))

    def _try_again(self, question: _AsciiQuestion, why: str, now_s: float) -> None:
        question.reader, question.why = None, why
        question.silent = question.silent and self.counters.received_bytes == question.received
        too_long = now_s - question.begun_s > self._timeouts.longest_scan_s
        if question.attempts >= self._timeouts.request_attempts or too_long:
            self._end(self._failure(question))
        else:
            # A line that stalls may bring the rest of an answer late, and again late: wait longer each time.
            self._fall_quiet(min(self._timeouts.quiet_s * 2**question.late, _LONGEST_QUIET_S), now_s)

    def _failure(self, question: _AsciiQuestion) -> Problem:
        attempts, said = self._timeouts.request_attempts, f"{question.command}: {question.why}"
        if question.silent and self.found:
            # As from a socket whose other side was switched off.
            return Problem(PortGoneError, f"{attempts} requests were not answered")
        if question.silent:
            seconds = attempts * self._timeouts.reply_s
            why = f"silent: no answer in {seconds:g} s; is the instrument switched on, and on this port?"
            return Problem(PortError, why)
        if self.found:
            return Problem(MeasurementError, f"{said}; measure again")
        return Problem(PortError, f"{said}; are profile and speed of the line the instrument's?")

    def _fall_quiet(self, quiet_s: float, now_s: float) -> None:
        self._forget()
        self._quiet_s, self._quiet_at_s = quiet_s, now_s + quiet_s
        self._quiet_end_s = now_s + max(self._timeouts.reply_s, 4 * quiet_s)

    def _end(self, event: HostEvent) -> None:
        self._question = None
        self._outbox.put(event)

    def _why_none(self, reader: AnswerReader) -> str:
        cut = self._decoder.give_up()
        if cut is not None:
            self.counters.damaged += 1
            return cut.reason
        if reader.begun:
            return f"the answer stopped after {reader.begun} lines"
        if reader.echoes:
            return "what is sent comes back and nothing else: a loop, or the instrument is off"
        return "no answer in time"
