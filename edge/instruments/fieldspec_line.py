"""The line to an ASD FieldSpec: one command out, one whole reply back, or an error that says why not."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from ..errors import NoReplyError, PortGoneError, ProtocolError, StibiumError
from ..protocols.fieldspec import ReplyBuffer
from ..protocols.fieldspec_messages import Abort, Command
from ..protocols.fieldspec_replies import AnyReply, Reply
from .serial_port import BytePort

_MOST_GREETING = 65536


@dataclass
class Counters:
    """What happened on the line."""

    reconnects: int = 0
    restarts: int = 0
    """Times the instrument was found to have been switched off and on."""
    silences: int = 0
    out_of_step: int = 0
    not_ready: int = 0

    def remarks(self) -> list[str]:
        """Say it in words, what did not happen left out."""
        counted = [
            (self.reconnects, "new connection", "new connections"),
            (self.restarts, "restart of the instrument", "restarts of the instrument"),
            (self.silences, "answer that did not come", "answers that did not come"),
            (self.out_of_step, "answer that was none", "answers that were none"),
            (self.not_ready, 'time "not ready"', 'times "not ready"'),
        ]
        return [f"{number} {one if number == 1 else many}" for number, one, many in counted if number]


class FieldSpecLine:
    """An open port to the instrument.

    After any error of `ask`, and when `in_step` is False, nothing that still comes can be told from the next reply:
    close it and open another one.

    Args:
        port: open.
        quiet_s: an error reply that ends early is over when nothing has come for so long.
        stall_s: a reply that has begun and does not go on for so long will not.
    """

    def __init__(self, port: BytePort, quiet_s: float, stall_s: float) -> None:
        self._port = port
        self._quiet_s, self._stall_s = quiet_s, stall_s
        self._buffer = ReplyBuffer()
        self.in_step = True

    @property
    def name(self) -> str:
        """The port's name."""
        return self._port.name

    def drain_greeting(self, quiet_s: float) -> bytes:
        """Read until the line is quiet. PortGoneError, or ProtocolError if it never becomes quiet."""
        greeting = b""
        while piece := self._port.read(quiet_s):
            greeting += piece
            if len(greeting) > _MOST_GREETING:
                raise ProtocolError(f"{self.name}: it never stops talking; is it an instrument?")
        return greeting

    def listen(self, timeout_s: float) -> None:
        """Let the time pass. PortGoneError if the line hangs up, ProtocolError if anything comes."""
        unasked = self._port.read(timeout_s)
        if unasked:
            self.in_step = False
            raise ProtocolError(f"{self.name}: {len(unasked)} bytes came unasked")

    def ask(self, command: Command, timeout_s: float, instrument_type: int | None = None) -> AnyReply | Reply:
        """Send a command and return its reply, whole; `Reply` alone for an error that the instrument left at that.

        Raises:
            PortGoneError: the line hung up.
            NoReplyError: no reply, or not all of it, within the time.
            ProtocolError: what came is no reply to this command.
        """
        said = command.pack().decode("ascii")
        try:
            unasked = self._port.read(0.0)
            if unasked:
                raise ProtocolError(f"{len(unasked)} bytes came unasked before {said}")
            self._buffer.expect(command, instrument_type)
            self._port.write(command.pack())
            begun = time.monotonic()
            deadline = begun + timeout_s
            while (reply := self._buffer.next_reply()) is None:
                refusal = self._buffer.refusal()
                left_s = deadline - time.monotonic()
                data = self._port.read(max(0.0, min(left_s, self._quiet_s) if refusal else left_s))
                if data:
                    self._buffer.receive(data)
                    deadline = min(deadline, time.monotonic() + self._stall_s)
                elif refusal:
                    self.in_step = False
                    return refusal
                elif time.monotonic() >= deadline:
                    raise NoReplyError(self._what_is_missing(said, time.monotonic() - begun))
        except (StibiumError, ValueError) as error:
            self.in_step = False
            if isinstance(error, (PortGoneError, NoReplyError)):
                raise
            raise ProtocolError(f"{self.name}: {error}") from error
        except BaseException:
            # Stopped while a reply was on its way: it would be taken for the next one.
            self.in_step = False
            raise
        return reply

    def _what_is_missing(self, said: str, seconds: float) -> str:
        if not self._buffer.pending:
            return f"{self.name}: no answer to {said} in {seconds:.1f} s; is the instrument switched on?"
        return f"{self.name}: {self._buffer.missing} bytes of the answer to {said} are missing after {seconds:.1f} s"

    def close(self, abort: bool = False) -> None:
        """Close the port.

        Args:
            abort: tell the instrument first that what is under way is not wanted any more.
        """
        if abort:
            # A line that has hung up needs no word of farewell.
            with suppress(PortGoneError):
                self._port.write(Abort().pack())
        self._port.close()
