"""Frames of the serial protocol, decoded without any input or output.

A frame is `00`, stuffed (header, payload, CRC-32), `00`. The header is version, type, sequence number
(uint16) and payload length (uint16), little-endian; the CRC-32 is that of zlib (IEEE 802.3) over header and
payload. A zero byte stands on both sides of a frame, so that damage to a frame, its own delimiters
included, never reaches its neighbours.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

from ..errors import ProtocolError
from .cobs import encoded_length, stuff, unstuff
from .framed_fields import U16, Message
from .framed_messages import MESSAGES

VERSION = 1
MAX_PAYLOAD = 1024
"""Longest payload in bytes that this protocol knows; an instrument may keep well below it."""

_HEADER = struct.Struct("<BBHH")
_CRC = struct.Struct("<I")
_LONGEST = encoded_length(_HEADER.size + MAX_PAYLOAD + _CRC.size)


@dataclass(frozen=True)
class Frame:
    """A frame that arrived whole."""

    sequence: int
    message: Message


@dataclass(frozen=True)
class Damaged:
    """Bytes between two delimiters that are no frame: line noise, a cut frame, another program's text."""

    reason: str
    size: int


@dataclass(frozen=True)
class Foreign:
    """A whole frame of a version or type this program does not know; later versions may send such."""

    version: int
    type_code: int
    sequence: int


Event: TypeAlias = Frame | Damaged | Foreign


def encode(message: Message, sequence: int) -> bytes:
    """Return one frame, delimiters included.

    Raises:
        ProtocolError: the sequence number is no uint16 or the payload is longer than `MAX_PAYLOAD`.
    """
    if not 0 <= sequence <= U16:
        raise ProtocolError(f"sequence number {sequence}; it must be 0 to {U16}")
    payload = message.pack()
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError(f"a payload of {len(payload)} bytes; {MAX_PAYLOAD} are allowed")
    body = _HEADER.pack(VERSION, message.type_code, sequence, len(payload)) + payload
    return b"\0" + stuff(body + _CRC.pack(crc32(body))) + b"\0"


class FrameDecoder:
    """Turns bytes into frames. Feed it with `receive`, then call `next_event` until it returns None.

    It holds at most one frame's bytes besides those not yet asked for, whatever arrives.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._too_long = 0

    def receive(self, data: bytes) -> None:
        """Append bytes as they came, in pieces of any size."""
        self._buffer += data

    @property
    def pending(self) -> int:
        """Bytes of a frame whose end has not come yet."""
        return self._too_long + len(self._buffer)

    def next_event(self) -> Event | None:
        """Return the next frame or damage; None if more bytes are needed."""
        while True:
            end = self._buffer.find(0, self._searched)
            if end < 0:
                self._searched = len(self._buffer)
                if len(self._buffer) > _LONGEST:
                    self._too_long += len(self._buffer)
                    self._buffer.clear()
                    self._searched = 0
                return None
            piece = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            if self._too_long:
                size, self._too_long = self._too_long + len(piece), 0
                return Damaged("longer than any frame", size)
            if piece:
                return _parse(piece)


def _parse(piece: bytes) -> Event:
    if len(piece) > _LONGEST:
        return Damaged("longer than any frame", len(piece))
    try:
        body = unstuff(piece)
        if len(body) < _HEADER.size + _CRC.size:
            raise ProtocolError(f"{len(body)} bytes are less than an empty frame")
        (crc,) = _CRC.unpack_from(body, len(body) - _CRC.size)
        body = body[: -_CRC.size]
        if crc32(body) != crc:
            raise ProtocolError("the checksum does not match")
        version, type_code, sequence, length = _HEADER.unpack_from(body)
        payload = body[_HEADER.size :]
        if version != VERSION:
            return Foreign(version, type_code, sequence)
        if length != len(payload):
            raise ProtocolError(f"{len(payload)} bytes of payload where {length} are announced")
        if type_code not in MESSAGES:
            return Foreign(version, type_code, sequence)
        return Frame(sequence, MESSAGES[type_code].unpack(payload))
    except ProtocolError as error:
        return Damaged(str(error), len(piece))
