"""A line that misbehaves as it is told, with seeded dice."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, fields
from typing import TypeAlias
from zlib import crc32

from ..protocols.cobs import stuff, unstuff


@dataclass(frozen=True)
class Faults:
    """What goes wrong, as probabilities: of each byte, or of each frame.

    Attributes:
        flip: a byte becomes another one.
        drop: a byte is left out.
        garbage: a byte of noise is put in.
        duplicate: a frame comes twice.
        wrong_length: a frame says a wrong length, with a checksum that is right.
        stall: the line stops for `stall_s` seconds before a frame.
        disconnect: the port hangs up in the middle of a frame.
    """

    flip: float = 0.0
    drop: float = 0.0
    garbage: float = 0.0
    duplicate: float = 0.0
    wrong_length: float = 0.0
    stall: float = 0.0
    stall_s: float = 1.0
    disconnect: float = 0.0


def parse_faults(text: str) -> Faults:
    """Read `flip=0.01,stall=0.1,stall-s=2`; ValueError with a line for the user if it is anything else."""
    known = [field.name for field in fields(Faults)]
    found: dict[str, float] = {}
    for item in filter(None, text.split(",")):
        name, _, number = item.partition("=")
        key = name.strip().replace("-", "_")
        if key not in known:
            raise ValueError(f"unknown fault {name!r}; there are {', '.join(known).replace('_', '-')}")
        try:
            found[key] = float(number)
        except ValueError:
            raise ValueError(f"{item!r}: write {name}=NUMBER") from None
        if not 0 <= found[key] <= (3600 if key == "stall_s" else 1):
            raise ValueError(f"{item!r}: {'seconds' if key == 'stall_s' else 'a probability'} out of range")
    return Faults(**found)


@dataclass(frozen=True)
class Pause:
    """Nothing is sent for so long."""

    seconds: float


@dataclass(frozen=True)
class HangUp:
    """The port goes away."""


Action: TypeAlias = bytes | Pause | HangUp


class FaultyLine:
    """Spoils what passes. The same seed spoils the same bytes in the same way."""

    def __init__(self, faults: Faults, seed: int = 0) -> None:
        self._faults = faults
        self._dice = random.Random(seed)

    def spoil_frame(self, frame: bytes) -> list[Action]:
        """Return what becomes of one frame on its way to the host."""
        faults, happens = self._faults, self._happens
        actions: list[Action] = []
        if happens(faults.stall):
            actions.append(Pause(faults.stall_s))
        if happens(faults.wrong_length):
            frame = _lie_about_length(frame, self._dice.choice((-3, -1, 1, 2, 200)))
        if happens(faults.duplicate):
            frame += frame
        if happens(faults.disconnect):
            return [*actions, self.spoil_bytes(frame[: self._dice.randrange(len(frame))]), HangUp()]
        return [*actions, self.spoil_bytes(frame)]

    def spoil_bytes(self, data: bytes) -> bytes:
        """Flip, drop and insert bytes, in either direction."""
        faults, happens = self._faults, self._happens
        if not faults.flip and not faults.drop and not faults.garbage:
            return data
        out = bytearray()
        for byte in data:
            if happens(faults.garbage):
                out.append(self._dice.randrange(256))
            if happens(faults.drop):
                continue
            out.append(byte ^ self._dice.randrange(1, 256) if happens(faults.flip) else byte)
        return bytes(out)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._dice.random() < probability


def _lie_about_length(frame: bytes, by: int) -> bytes:
    body = bytearray(unstuff(frame.strip(b"\0"))[:-4])
    (length,) = struct.unpack_from("<H", body, 4)
    struct.pack_into("<H", body, 4, (length + by) & 0xFFFF)
    return b"\0" + stuff(bytes(body) + struct.pack("<I", crc32(body))) + b"\0"
