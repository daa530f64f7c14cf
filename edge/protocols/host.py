"""The host's side of any protocol, without input or output and without a clock.

A host is given the bytes that came and the time, and gives back bytes to send and events; when it wants to be called
again it says. So the same host works on a port (`instruments.link`), in a test that has neither port nor clock, and on
whatever a fuzzer makes up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol, TypeAlias

from ..errors import StibiumError
from ..limits import Within

_Seconds = Annotated[float, Within(0, 1e6, "seconds", above=True)]
_Times = Annotated[int, Within(0, 1000, "times", above=True)]


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, in seconds, and how often to ask again; the profile shipped says what each is for."""

    reply_s: _Seconds = 2.0
    quiet_s: _Seconds = 0.3
    longest_scan_s: _Seconds = 120.0
    keepalive_s: _Seconds = 10.0
    replug_s: _Seconds = 120.0
    request_attempts: _Times = 8
    resend_attempts: _Times = 20


@dataclass(frozen=True)
class Send:
    """Bytes for the instrument."""

    data: bytes


class HostEvent:
    """Something that the owner of a host has to know. Each protocol has its own, as frozen dataclasses."""


@dataclass(frozen=True)
class Problem(HostEvent):
    """What was asked for cannot be had.

    Attributes:
        error: what the owner raises, with the port's name before `why`.
        why: in words.
        closes: nothing that still comes can be told from an answer: the line has to be opened anew.
    """

    error: type[StibiumError]
    why: str
    closes: bool = False


@dataclass(frozen=True)
class Remark(HostEvent):
    """Something that a person should know, in words; it goes on."""

    text: str


Output: TypeAlias = Send | HostEvent


class Host(Protocol):
    """What drives a line needs of a protocol. Times are seconds of any clock that never goes back."""

    def opened(self, now_s: float) -> list[Output]:
        """Begin on a line that has just been opened: nothing that was on its way will come any more."""

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take bytes as they came, in pieces of any size."""

    def due(self, now_s: float) -> list[Output]:
        """Do what is to be done by now though nothing came."""

    def next_due_s(self) -> float:
        """When `due` has something to do; infinity if only bytes can bring it on."""


class Outbox:
    """What a host has to say, collected while it takes one call."""

    def __init__(self) -> None:
        self._outputs: list[Output] = []

    def put(self, output: Output) -> None:
        """Add something to send or to tell."""
        self._outputs.append(output)

    def empty(self) -> list[Output]:
        """Give all of it, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs
