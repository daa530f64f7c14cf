"""Commands and answers on an ASCII instrument's port: asked again until they are as they should be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import (
    InstrumentError,
    MeasurementError,
    NothingLeftError,
    PortError,
    PortGoneError,
    ProtocolError,
)
from ..protocols.ascii_lines import VIRTUAL_NOTICE, Answer, AnswerReader, BadLine, LineDecoder
from .profile import Patience
from .profile_ascii import Line
from .serial_port import BytePort

_LONGEST_QUIET_S = 2.0
_ERROR_ATTEMPTS = 3
"""A command that was damaged on the way is answered with an error, too."""


class _LateError(ProtocolError):
    """Not all of an answer came in time."""


@dataclass
class Counters:
    """What happened on the line."""

    damaged: int = 0
    asked_again: int = 0
    replugs: int = 0
    received_bytes: int = 0


class AsciiLine:
    """A port on which lines of text are answered by lines of text.

    Args:
        open_port: opens the port, anew after each hang-up; raises PortError.
        marks: how lines look.
        patience: how long to wait, and how often to ask.
    """

    def __init__(self, open_port: Callable[[], BytePort], marks: Line, patience: Patience) -> None:
        self._open_port, self._marks, self._patience = open_port, marks, patience
        self._port: BytePort | None = None
        self._name = "port"
        self._decoder = LineDecoder(marks.longest_line)
        self.counters = Counters()
        self.notice: str | None = None
        """What a program that plays an instrument said of itself; None from a real one."""
        self.found = False
        """Whether an instrument has been found here: set by the owner; it decides which error silence is."""

    @property
    def name(self) -> str:
        """The port's name."""
        return self._name

    def open(self) -> None:
        """Open the port. PortError if that is not possible."""
        self._decoder = LineDecoder(self._marks.longest_line)
        self._port = self._open_port()
        self._name = self._port.name

    def close(self) -> None:
        """Close the port; may be called again."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def send(self, command: str) -> None:
        """Send a line and wait for nothing. PortGoneError if the port hung up."""
        if self._port is None:
            raise PortError(f"{self.name}: the port is not open")
        self._port.write((command + self._marks.line_end).encode("ascii"))

    def ask(self, command: str, expect: str = "", lines: int = 1, extra_s: float = 0.0) -> Answer:
        """Send a command until it is answered as it should be.

        Args:
            command: without its line end.
            expect: what the answer has to begin with.
            lines: how many the answer has, where no mark ends it.
            extra_s: how much longer than any answer this one may take.

        Raises:
            PortGoneError: nothing came at all, as from a socket whose other side was switched off.
            PortError: the same, or only rubbish, before an instrument was found.
            InstrumentError: the instrument says an error, again and again.
            MeasurementError: what comes is damaged, again and again.
        """
        errors, late, why, said, silent = 0, 0, "", "", True
        start_s = time.monotonic()
        for attempt in range(self._patience.request_attempts):
            if attempt:
                self.counters.asked_again += 1
                # A line that stalls may bring the rest of an answer late, and again late: wait longer each time.
                self.fall_quiet(min(self._patience.quiet_s * 2**late, _LONGEST_QUIET_S))
            received = self.counters.received_bytes
            try:
                answer = self._exchange(command, lines, extra_s)
            except ProtocolError as error:
                why = str(error)
                late += isinstance(error, _LateError)
                silent = silent and self.counters.received_bytes == received
                if time.monotonic() - start_s > self._patience.longest_scan_s:
                    break
                continue
            silent = False
            if answer.error is not None:
                errors, said = errors + 1, answer.error
                if errors >= _ERROR_ATTEMPTS:
                    break
            elif expect and not " ".join(answer.lines).startswith(expect):
                why = f"{' '.join(answer.lines)!r} came, which does not begin with {expect!r}"
            else:
                return answer
        raise self._failure(command, why, said, silent)

    def _failure(
        self, command: str, why: str, said: str, silent: bool
    ) -> PortError | InstrumentError | MeasurementError:
        if said:
            return InstrumentError(f"{self.name}: the instrument answers {command} with {said!r}")
        if silent and self.found:
            return PortGoneError(f"{self.name}: {self._patience.request_attempts} requests were not answered")
        if silent:
            seconds = self._patience.request_attempts * self._patience.reply_s
            return PortError(
                f"{self.name}: silent: no answer in {seconds:g} s; is the instrument switched on, and on this port?"
            )
        if self.found:
            return MeasurementError(f"{self.name}: {command}: {why}; measure again")
        return PortError(f"{self.name}: {command}: {why}; are profile and speed of the line the instrument's?")

    def ask_surely(self, command: str) -> str:
        """Ask until the same answer has come twice: on a noisy line one may be changed, and nothing would tell."""
        heard: list[str] = []
        for _ in range(max(2, self._patience.request_attempts)):
            heard.append(" ".join(self.ask(command).lines))
            if heard.count(heard[-1]) == 2:
                return heard[-1]
        raise PortError(f"{self.name}: answers {command} differently each time: {heard[-2]!r}, then {heard[-1]!r}")

    def fall_quiet(self, quiet_s: float = 0.0) -> None:
        """Let what is still on its way arrive, so that it is not taken for the next answer.

        Args:
            quiet_s: until nothing has come for so long; 0 for what the profile says.
        """
        quiet_s = quiet_s or self._patience.quiet_s
        until_s = time.monotonic() + max(self._patience.reply_s, 4 * quiet_s)
        while time.monotonic() < until_s and self.read(quiet_s):
            self._decoder = LineDecoder(self._marks.longest_line)

    def read(self, timeout_s: float) -> int:
        """Take what comes; give its number of bytes. PortGoneError if the port hung up."""
        if self._port is None:
            raise PortError(f"{self.name}: the port is not open")
        data = self._port.read(timeout_s)
        self.counters.received_bytes += len(data)
        self._decoder.receive(data)
        return len(data)

    def _exchange(self, command: str, lines: int, extra_s: float) -> Answer:
        """Send once and take the answer; ProtocolError says why there is none."""
        # What is here already cannot be the answer.
        self.read(0.0)
        self._decoder = LineDecoder(self._marks.longest_line)
        self.send(command)
        reader = AnswerReader(self._marks, command, max(lines, 1))
        start_s = time.monotonic()
        deadline = start_s + self._patience.reply_s + extra_s
        last_s = start_s + self._patience.longest_scan_s
        while True:
            line = self._decoder.next_line()
            if line is None:
                left_s = min(deadline, last_s) - time.monotonic()
                if left_s <= 0:
                    raise _LateError(self._why_none(reader))
                if self.read(left_s):
                    # A long line takes its time: 2048 values at 9600 bit/s more than ten seconds.
                    deadline = max(deadline, time.monotonic() + self._patience.reply_s)
            elif isinstance(line, BadLine):
                self.counters.damaged += 1
                raise ProtocolError(line.reason)
            elif line.startswith(VIRTUAL_NOTICE):
                self._take_notice(line)
            elif (answer := reader.take(line)) is not None:
                return answer

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

    def _take_notice(self, line: str) -> None:
        self.notice = line
        if "nothing left" in line:
            raise NothingLeftError(f"{self.name}: the virtual instrument has played all its spectra")
