"""The host's side of the ASD FieldSpec protocol: one command out, one whole reply back, or why there is none.

After a `Problem` that closes, nothing that still comes can be told from the next reply: the line has to be opened anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InstrumentError, NoReplyError, ProtocolError
from .fieldspec import ReplyBuffer
from .fieldspec_messages import NOT_OPTIMISED, NOT_READY, Abort, AcquireScans, Command, Restore
from .fieldspec_replies import AnyReply, Reply, Version
from .host import HostEvent, Outbox, Output, Problem, Remark, Send, Timeouts

_MOST_GREETING = 65536
_NOT_LOADED = 300
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


@dataclass(frozen=True)
class Greeted(HostEvent):
    """Whatever the instrument says to who connects has been said."""


@dataclass(frozen=True, eq=False)
class Replied(HostEvent):
    """The good reply to what was asked."""

    reply: AnyReply | Reply


@dataclass
class _FieldSpecQuestion:
    """A command and until when; `sent` is what is being asked for its sake."""

    command: Command
    timeout_s: float
    ready_end_s: float
    once: bool
    sent: Command
    begun_s: float = 0.0
    deadline_s: float = 0.0
    again_s: float = math.inf
    pause_s: float = _SHORTEST_PAUSE_S
    told: bool = False
    restored: bool = False


class FieldSpecHost:
    """See `host.Host`.

    Args:
        timeouts: `quiet_s`: an error reply that ends early is over when nothing has come for so long; `reply_s`: a
            reply that has begun and does not go on for so long will not.
        not_ready_s: for so long "not ready" is asked again.
        restore_s: until the settings have to be loaded.
    """

    def __init__(self, timeouts: Timeouts, not_ready_s: float, restore_s: float) -> None:
        self._timeouts, self._not_ready_s, self._restore_s = timeouts, not_ready_s, restore_s
        self._outbox = Outbox()
        self._buffer = ReplyBuffer()
        self._question: _FieldSpecQuestion | None = None
        self._greeting: int | None = None
        self._quiet_s = self._quiet_at_s = math.inf
        self._type: int | None = None
        self.not_ready = self.silences = self.out_of_step = 0
        """Times the instrument said that it is not ready, did not answer, or sent what is no answer."""

    # --- what its owner asks for --------------------------------------------------------------------------

    def opened(self, now_s: float) -> list[Output]:
        """Forget what was under way."""
        self._buffer, self._question, self._greeting = ReplyBuffer(), None, 0
        self._quiet_at_s = math.inf
        return []

    def greet(self, now_s: float, quiet_s: float) -> list[Output]:
        """Take the greeting, until nothing has come for `quiet_s`: `Greeted`."""
        self._quiet_s, self._quiet_at_s = quiet_s, now_s + quiet_s
        return []

    def ask(self, command: Command, now_s: float, timeout_s: float, once: bool = False) -> list[Output]:
        """Ask until the instrument is ready: `Replied`, or InstrumentError, NoReplyError, ProtocolError.

        Args:
            command: any.
            now_s: the time.
            timeout_s: for one reply.
            once: "not ready" and "not loaded" are an answer like any other.
        """
        self._question = _FieldSpecQuestion(command, timeout_s, now_s + self._not_ready_s, once, command)
        self._send(self._question, command, timeout_s, now_s)
        return self._outbox.empty()

    # --- host.Host ----------------------------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """See `host.Host`."""
        question = self._question
        if not data:
            return []
        if self._greeting is not None:
            self._greeting += len(data)
            self._quiet_at_s = now_s + self._quiet_s
            if self._greeting > _MOST_GREETING:
                self._end_out_of_step("it never stops talking; is it an instrument?")
        elif question is None or question.again_s < math.inf:
            self._end_out_of_step(f"{len(data)} bytes came unasked")
        else:
            self._buffer.receive(data)
            question.deadline_s = min(question.begun_s + question.timeout_s, now_s + self._timeouts.reply_s)
            self._take(question, now_s)
        return self._outbox.empty()

    def due(self, now_s: float) -> list[Output]:
        """See `host.Host`."""
        question = self._question
        if self._greeting is not None:
            if now_s >= self._quiet_at_s:
                self._greeting = None
                self._outbox.put(Greeted())
        elif question is None:
            pass
        elif now_s >= question.again_s:
            self._send(question, question.command, question.timeout_s, now_s)
        elif now_s >= question.deadline_s and question.again_s == math.inf:
            refusal = self._buffer.refusal()
            if refusal is not None:
                self._take_reply(question, refusal, False, now_s)
            else:
                self._end_silent(question, now_s)
        return self._outbox.empty()

    def next_due_s(self) -> float:
        """See `host.Host`."""
        if self._greeting is not None:
            return self._quiet_at_s
        question = self._question
        return math.inf if question is None else min(question.again_s, question.deadline_s)

    # --- one reply after the other ------------------------------------------------------------------------

    def _send(self, question: _FieldSpecQuestion, command: Command, timeout_s: float, now_s: float) -> None:
        question.sent, question.again_s = command, math.inf
        question.begun_s, question.deadline_s = now_s, now_s + timeout_s
        try:
            self._buffer.expect(command, self._type)
        except ProtocolError as error:
            self._end_out_of_step(str(error))
        else:
            self._outbox.put(Send(command.pack()))

    def _take(self, question: _FieldSpecQuestion, now_s: float) -> None:
        try:
            reply = self._buffer.next_reply()
            refusal = self._buffer.refusal() if reply is None else None
        except ProtocolError as error:
            self._end_out_of_step(str(error))
            return
        if reply is not None:
            self._take_reply(question, reply, True, now_s)
        elif refusal is not None:
            question.deadline_s = min(question.deadline_s, now_s + self._timeouts.quiet_s)

    def _take_reply(self, question: _FieldSpecQuestion, reply: AnyReply | Reply, whole: bool, now_s: float) -> None:
        if isinstance(reply, Version):
            self._type = reply.instrument_type
        waiting = reply.errbyte in NOT_READY and now_s < question.ready_end_s and not question.once
        loadable = reply.header == _NOT_LOADED and isinstance(question.sent, AcquireScans) and not question.restored
        if reply.good and question.sent is not question.command:
            self._send(question, question.command, question.timeout_s, now_s)
        elif reply.good:
            self._end(Replied(reply))
        elif question.once or not (waiting or loadable):
            text = f"{_said(question.command)}: {reply.explained}{self._advice(reply.errbyte)}"
            self._end(Problem(InstrumentError, text, closes=not whole))
        elif not whole:
            self._end_out_of_step(f"{_said(question.command)}: {reply.explained}")
        elif loadable:
            question.restored = True
            self._send(question, Restore(), self._restore_s, now_s)
        else:
            self._wait_until_ready(question, reply, now_s)

    def _wait_until_ready(self, question: _FieldSpecQuestion, reply: AnyReply | Reply, now_s: float) -> None:
        self.not_ready += 1
        if not question.told:
            question.told = True
            self._outbox.put(Remark(f"{_said(question.command)}: {reply.explained} (asking again)"))
        question.again_s = now_s + question.pause_s
        question.deadline_s = math.inf
        question.pause_s = min(2 * question.pause_s, _LONGEST_PAUSE_S)

    def _end(self, event: HostEvent) -> None:
        self._question = self._greeting = None
        self._outbox.put(event)

    def _end_out_of_step(self, why: str) -> None:
        self.out_of_step += 1
        self._end(Problem(ProtocolError, why, closes=True))

    def _end_silent(self, question: _FieldSpecQuestion, now_s: float) -> None:
        self.silences += 1
        self._outbox.put(Send(Abort().pack()))
        self._end(Problem(NoReplyError, self._what_is_missing(question, now_s), closes=True))

    def _advice(self, errbyte: int) -> str:
        if errbyte in NOT_READY:
            return f" for {self._not_ready_s:g} s; switch the instrument off and on if it stays so"
        return "; is the probe on the white panel, and the lamp on?" if errbyte in NOT_OPTIMISED else ""

    def _what_is_missing(self, question: _FieldSpecQuestion, now_s: float) -> str:
        seconds, said = now_s - question.begun_s, _said(question.sent)
        if not self._buffer.pending:
            return f"no answer to {said} in {seconds:.1f} s; is the instrument switched on?"
        return f"{self._buffer.missing} bytes of the answer to {said} are missing after {seconds:.1f} s"


def _said(command: Command) -> str:
    return command.pack().decode("ascii")
