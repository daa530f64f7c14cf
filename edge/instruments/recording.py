"""Recordings: the bytes of a port with their times, in a text file that grows as they come.

The first line is `# stibium recording 1`. Then, one line each: seconds since the start, direction (`<` from the
instrument, `>` to it, `!` a remark on the port), bytes in hexadecimal (a remark: text). Lines that begin with `#`
are notes. A line without its line feed at the end of the file was cut by a power failure and is left out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType

from ..errors import PortError, RecordingError
from ..protocols.framed import Damaged, Frame, FrameDecoder
from ..protocols.framed_messages import Identification
from ..protocols.framed_transfer import Abandoned, Assembler, Measurement
from .serial_port import Direction

FIRST_LINE = "# stibium recording 1"
REPLAY_SCHEME = "replay://"


class EndOfRecordingError(PortError):
    """All bytes of a recording have been read."""


class RecordingWriter:
    """Writes a port's bytes to a file as they come; usable as the `tap` of a `SerialPort`.

    Every line is handed to the operating system before the bytes are used, so a recording holds everything
    up to the moment a program fails. One that ends without any is taken away: nobody was there to be recorded, and
    the name is free for the next try.

    Args:
        path: the file; one that exists is not overwritten.
        note: stands at the head of the file.

    Raises:
        RecordingError: the file cannot be made, or exists.
    """

    def __init__(self, path: str | os.PathLike[str], note: str = "") -> None:
        self._path = os.fspath(path)
        self._start = time.monotonic()
        started = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            # Unbuffered: what could not be written must not be tried again when the file is closed.
            self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115
        except FileExistsError:
            raise RecordingError(f"{self._path}: is there already; name another file to record in") from None
        except OSError as error:
            raise RecordingError(f"{self._path}: cannot record there: {error.strerror or error}") from error
        self._empty = True
        self._line(f"{FIRST_LINE}\n# {' '.join(note.split())}\n# started {started}\n")

    def __call__(self, direction: Direction, data: bytes) -> None:
        """Append one piece. RecordingError if it cannot be written."""
        self._empty = False
        text = " ".join(data.decode("utf-8", "replace").split()) if direction == "!" else data.hex()
        self._line(f"{time.monotonic() - self._start:.6f} {direction} {text}\n")

    def _line(self, line: str) -> None:
        try:
            rest = memoryview(line.encode())
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise RecordingError(f"{self._path}: cannot record any more: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file, and take it away if nothing was recorded."""
        self._file.close()
        if self._empty:
            with suppress(OSError):
                os.unlink(self._path)

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class RecordedBytes:
    """One line of a recording: seconds since its start, direction, and the bytes (a remark's text in UTF-8)."""

    at_s: float
    direction: Direction
    data: bytes


def read_recording(path: str | os.PathLike[str]) -> Iterator[RecordedBytes]:
    """Give a recording line by line.

    Raises:
        RecordingError: not a recording, or a line in the middle that cannot be read.
    """
    name = os.fspath(path)
    try:
        with open(name, encoding="utf-8", newline="\n") as file:
            if file.readline().rstrip("\n") != FIRST_LINE:
                raise RecordingError(f"{name}: not a recording: its first line is not `{FIRST_LINE}`")
            for number, line in enumerate(file, start=2):
                if line.startswith("#") or not line.endswith("\n") or not line.strip():
                    continue
                yield _parse_line(line, f"{name}: line {number}")
    except OSError as error:
        raise RecordingError(f"{name}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise RecordingError(f"{name}: not a recording: it is not text") from None


def _parse_line(line: str, where: str) -> RecordedBytes:
    parts = line.rstrip("\n").split(" ", 2)
    try:
        at_s, direction, text = float(parts[0]), parts[1], parts[2]
        if direction == "!":
            return RecordedBytes(at_s, "!", text.encode())
        if direction in ("<", ">"):
            return RecordedBytes(at_s, "<" if direction == "<" else ">", bytes.fromhex(text))
    except (ValueError, IndexError):
        raise RecordingError(f"{where}: not `seconds direction bytes`; the recording is damaged") from None
    raise RecordingError(f"{where}: direction {direction!r} is none of < > !")


class ReplayPort:
    """A recording as a port: gives the instrument's bytes as fast as they are read and takes no others."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = REPLAY_SCHEME + os.fspath(path)
        self._pieces = iter([piece.data for piece in read_recording(path) if piece.direction == "<"])

    def read(self, timeout_s: float) -> bytes:
        """Return the next piece; EndOfRecordingError when there is none."""
        for data in self._pieces:
            return data
        raise EndOfRecordingError(f"{self.name}: the recording is at its end")

    def write(self, data: bytes) -> None:
        """Take bytes that nobody answers."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Decoded:
    """What an instrument's bytes hold.

    Attributes:
        identifications: each as it came.
        measurements: complete ones, in order.
        frames: whole frames of any type.
        damaged: pieces between delimiters that are no frame.
        unfinished: measurements of which frames are missing.
    """

    identifications: tuple[Identification, ...]
    measurements: tuple[Measurement, ...]
    frames: int
    damaged: int
    unfinished: tuple[Abandoned, ...]


def decode_recording(path: str | os.PathLike[str]) -> Decoded:
    """Decode what the instrument sent in a recording; RecordingError as `read_recording`."""
    return decode_pieces(piece.data for piece in read_recording(path) if piece.direction == "<")


def decode_pieces(pieces: Iterable[bytes]) -> Decoded:
    """Decode an instrument's bytes, in pieces of any size."""
    decoder, assembler = FrameDecoder(), Assembler()
    identifications: list[Identification] = []
    measurements: list[Measurement] = []
    frames = damaged = 0
    for data in pieces:
        decoder.receive(data)
        while (event := decoder.next_event()) is not None:
            if isinstance(event, Damaged):
                damaged += 1
            elif isinstance(event, Frame):
                frames += 1
                if isinstance(event.message, Identification):
                    identifications.append(event.message)
                    assembler.restart(event.message.boot)
                measurement = assembler.receive(event)
                if measurement is not None:
                    measurements.append(measurement)
    last = assembler.give_up()
    unfinished = [*assembler.abandoned, *([last] if last else [])]
    return Decoded(tuple(identifications), tuple(measurements), frames, damaged, tuple(unfinished))
