"""The receiving side of the ASD FieldSpec protocol without input or output: bytes in, at most one reply out.

There are no frames and no numbers to tell replies apart: only their lengths. So one command is under way at a time,
its reply is given out only when all of it is there, and bytes that belong to no command are an error, never the next
reply's beginning.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from ..errors import ProtocolError
from .fieldspec_messages import (
    CHANNELS,
    NO_ERROR,
    Abort,
    AcquireScans,
    Command,
    Control,
    GetVersion,
    Optimise,
    ReadValue,
    Restore,
)
from .fieldspec_replies import (
    Acquired,
    AcquireHead,
    AnyReply,
    Controlled,
    FlashSettings,
    Optimised,
    Reply,
    Value,
    Version,
)

_STATUS = struct.Struct(">ii")
_LOWEST_ERROR, _HIGHEST_ERROR = 200, 9999
_LOWEST_ERRBYTE, _HIGHEST_ERRBYTE = -9999, 9999

_FixedReply: TypeAlias = type[Version] | type[Value] | type[FlashSettings] | type[Optimised] | type[Controlled]
_FIXED: dict[type[Command], _FixedReply] = {
    GetVersion: Version,
    Restore: FlashSettings,
    ReadValue: Value,
    Optimise: Optimised,
    Control: Controlled,
    Abort: Value,
}


def reply_bytes(command: Command, instrument_type: int | None) -> int:
    """Length of the reply to a command.

    Args:
        command: any.
        instrument_type: as `Version` gives it; only `AcquireScans` depends on it.

    Raises:
        ProtocolError: `AcquireScans` for a type whose channels are not known.
    """
    if not isinstance(command, AcquireScans):
        return _FIXED[type(command)].SIZE
    if instrument_type not in CHANNELS:
        raise ProtocolError(
            f"instrument type {instrument_type}: how many channels it has is not known; "
            f"known are {', '.join(map(str, CHANNELS))}"
        )
    return AcquireHead.SIZE + 4 * CHANNELS[instrument_type]


class ReplyBuffer:
    """Collects the reply to one command after the other. `expect` a command, `receive` bytes, ask `next_reply`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._command: Command | None = None
        self._type: int | None = None
        self._size = 0

    def expect(self, command: Command, instrument_type: int | None = None) -> None:
        """Begin to wait for a reply.

        Raises:
            ProtocolError: the reply to the command before is still out, or bytes are here that belong to nothing,
                or the length of the reply is not known.
        """
        if self._command is not None:
            raise ProtocolError(f"a reply to {_name(self._command)} is still to come")
        if self._buffer:
            raise ProtocolError(f"{len(self._buffer)} bytes that belong to no command")
        self._size = reply_bytes(command, instrument_type)
        self._command, self._type = command, instrument_type

    def receive(self, data: bytes) -> None:
        """Append bytes as they came, in pieces of any size."""
        self._buffer += data

    @property
    def pending(self) -> int:
        """Bytes that are here."""
        return len(self._buffer)

    @property
    def missing(self) -> int:
        """Bytes of the reply that are still to come."""
        return max(0, self._size - len(self._buffer)) if self._command is not None else 0

    def next_reply(self) -> AnyReply | None:
        """Return the reply once it is whole; None if more bytes are needed.

        Raises:
            ProtocolError: what came is no reply to the command, or goes on after the reply's end. The connection
                is of no use after that.
        """
        if self._command is None:
            if self._buffer:
                raise ProtocolError(f"{len(self._buffer)} bytes that belong to no command")
            return None
        self.refusal()
        if isinstance(self._command, AcquireScans) and len(self._buffer) >= AcquireHead.SIZE:
            self._check_type()
        if len(self._buffer) < self._size:
            return None
        if len(self._buffer) > self._size:
            extra = len(self._buffer) - self._size
            raise ProtocolError(f"{extra} bytes more than the reply to {_name(self._command)} has")
        data, command = bytes(self._buffer), self._command
        self._buffer.clear()
        self._command = None
        return Acquired.unpack(data) if isinstance(command, AcquireScans) else _FIXED[type(command)].unpack(data)

    def refusal(self) -> Reply | None:
        """Return the codes of an error reply as soon as they are here, for an instrument that leaves it at them.

        Raises:
            ProtocolError: the first numbers are no codes of a reply.
        """
        if len(self._buffer) < _STATUS.size:
            return None
        header, errbyte = _STATUS.unpack_from(self._buffer)
        known = header == NO_ERROR or _LOWEST_ERROR <= header <= _HIGHEST_ERROR
        if not known or not _LOWEST_ERRBYTE <= errbyte <= _HIGHEST_ERRBYTE:
            what = _name(self._command) if self._command is not None else "anything"
            raise ProtocolError(f"what came begins with {header}, {errbyte}, as no reply to {what} does")
        reply = Reply(header, errbyte)
        return None if reply.good else reply

    def _check_type(self) -> None:
        head = AcquireHead.unpack(bytes(self._buffer[: AcquireHead.SIZE]))
        if head.good and head.instrument_type in CHANNELS and head.instrument_type != self._type:
            raise ProtocolError(
                f"a measurement of an instrument of type {head.instrument_type} ({CHANNELS[head.instrument_type]} "
                f"channels) where type {self._type} is connected"
            )


def _name(command: Command) -> str:
    return command.pack().decode("ascii")
