"""Spectra put together from their frames and taken apart into them, without input or output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import ProtocolError
from .framed import Frame
from .framed_fields import U16
from .framed_messages import ENCODING_DTYPES, MAX_RANGES, VALUE_BYTES, VALUES_OVERHEAD, SpectrumHead, Values

_REMEMBERED = 64


@dataclass(frozen=True, eq=False)
class Measurement:
    """One spectrum as the instrument delivered it.

    Attributes:
        head: what the instrument says of it.
        values: (bands,) counts, reflectance or wavelengths in nm, as `head.unit` says; may hold NaN.
    """

    head: SpectrumHead
    values: Floats


@dataclass(frozen=True)
class Abandoned:
    """A measurement whose frames began to arrive and never all did."""

    measurement: int
    arrived: int
    frame_count: int
    """0 if the head, which tells it, did not arrive."""
    request: int | None
    """As in the head; None if that did not arrive."""

    def __str__(self) -> str:
        """Say it for a person."""
        of = f"of {self.frame_count} " if self.frame_count else ""
        return f"measurement {self.measurement} arrived in part: {self.arrived} {of}frames of values"


class Assembler:
    """Collects the frames of one measurement at a time, in any order, each as often as it comes.

    Numbers of measurements count up, so one that is not above the last one finished is a repetition and
    ignored: a measurement comes out once. Unless its checksum is another one: then the instrument was switched
    off and on and did not say so, and counts from 1 again.
    """

    def __init__(self) -> None:
        self.finished = 0
        self._finished_crcs: dict[int, int | None] = {}
        self.abandoned: list[Abandoned] = []
        self._boot: int | None = None
        self._clear()

    def _clear(self) -> None:
        self.current = 0
        self.head: SpectrumHead | None = None
        self._first_sequence: int | None = None
        self._pieces: dict[int, bytes] = {}

    def restart(self, boot: int) -> None:
        """Begin to count anew if the instrument was switched off since: `boot` is another number then."""
        if self._boot is not None and self._boot != boot:
            self.count_anew()
        self._boot = boot

    def count_anew(self) -> None:
        """Forget what was finished, because the instrument counts from 1 again."""
        # Pieces that came before their head may belong to the new life; the checksum will tell.
        if self.head is not None:
            self._abandon()
        self.finished = 0
        self._finished_crcs.clear()

    def repeats(self, head: SpectrumHead) -> bool:
        """Whether this measurement has been finished or given up here already."""
        if head.boot != self._boot or head.measurement not in self._finished_crcs:
            return False
        return self._finished_crcs[head.measurement] in (None, head.values_crc)

    def _note_finished(self, number: int, values_crc: int | None) -> None:
        self.finished = max(self.finished, number)
        self._finished_crcs[number] = values_crc
        if len(self._finished_crcs) > _REMEMBERED:
            del self._finished_crcs[min(self._finished_crcs)]

    @property
    def arrived(self) -> int:
        """Frames of values of the current measurement that are here."""
        return len(self._pieces)

    def receive(self, frame: Frame) -> Measurement | None:
        """Take a frame and return the measurement it completes; frames of no spectrum are ignored."""
        message = frame.message
        if isinstance(message, SpectrumHead):
            self.restart(message.boot)
            if self.repeats(message):
                return None
            if message.measurement <= self.finished:
                self.count_anew()
            self._turn_to(message.measurement)
            if self.head is not None and replace(self.head, age_ms=message.age_ms) != message:
                self._pieces.clear()
            self.head = message
            self._first_sequence = frame.sequence
            self._pieces = {index: data for index, data in self._pieces.items() if index < message.frame_count}
        elif isinstance(message, Values):
            if message.measurement <= self.finished:
                return None
            self._turn_to(message.measurement)
            if self._first_sequence is None:
                self._first_sequence = (frame.sequence - 1 - message.index) & U16
            if self.head is None or message.index < self.head.frame_count:
                self._pieces[message.index] = message.data
        else:
            return None
        return self._finish()

    def missing(self) -> tuple[tuple[int, int], ...]:
        """Return (first sequence number, count) of each gap in the current measurement.

        At most `MAX_RANGES` of them, the first ones.
        """
        if self._first_sequence is None:
            return ()
        if self.head is None:
            # How many frames there are is in the head; without it only the gaps before the last one show.
            frame_count, gaps = max(self._pieces) + 1, [(-1, 1)]
        else:
            frame_count, gaps = self.head.frame_count, []
        for index in range(frame_count):
            if index in self._pieces:
                continue
            if gaps and sum(gaps[-1]) == index:
                gaps[-1] = (gaps[-1][0], gaps[-1][1] + 1)
            else:
                gaps.append((index, 1))
        first = self._first_sequence + 1
        # A piece may claim any place; no more is asked for than one range can say.
        return tuple(((first + index) & U16, min(count, U16)) for index, count in gaps[:MAX_RANGES])

    def give_up(self) -> Abandoned | None:
        """Stop waiting for the current measurement; later frames of it are ignored."""
        if not self.current:
            return None
        frame_count, request = (self.head.frame_count, self.head.request) if self.head else (0, None)
        abandoned = Abandoned(self.current, self.arrived, frame_count, request)
        self._note_finished(self.current, self.head.values_crc if self.head else None)
        self._clear()
        return abandoned

    def _turn_to(self, measurement: int) -> None:
        if self.current and self.current != measurement:
            self._abandon()
        self.current = measurement

    def _abandon(self) -> None:
        abandoned = self.give_up()
        if abandoned is not None:
            self.abandoned.append(abandoned)

    def _finish(self) -> Measurement | None:
        head = self.head
        if head is None or len(self._pieces) < head.frame_count:
            return None
        data = b"".join(self._pieces[index] for index in range(head.frame_count))
        if len(data) != head.count * VALUE_BYTES[head.encoding] or crc32(data) != head.values_crc:
            # Each frame was whole, together they are not: pieces of two spectra. All have to come again.
            self._pieces.clear()
            return None
        self._note_finished(head.measurement, head.values_crc)
        self._clear()
        return Measurement(head, np.frombuffer(data, ENCODING_DTYPES[head.encoding]).astype(np.float64))


def split(
    head: SpectrumHead, values: Floats | Sequence[float], payload_limit: int
) -> tuple[SpectrumHead, list[Values]]:
    """Return the messages of one spectrum: its head, with count and checksum filled in, and its pieces.

    Args:
        head: says the encoding; its `count`, `values_per_frame` and `values_crc` are replaced.
        values: (bands,) in `head.unit`.
        payload_limit: bytes a frame's payload may have.

    Raises:
        ProtocolError: a value that the encoding cannot hold, or a limit too small for one value.
    """
    size = VALUE_BYTES[head.encoding]
    per_frame = (payload_limit - VALUES_OVERHEAD) // size
    if per_frame < 1:
        raise ProtocolError(f"a payload limit of {payload_limit} bytes holds no value")
    numbers = np.asarray(values, dtype=np.float64)
    dtype = np.dtype(ENCODING_DTYPES[head.encoding])
    if dtype.kind == "u":
        numbers = np.rint(numbers)
        if not ((numbers >= 0) & (numbers <= np.iinfo(dtype).max)).all():
            raise ProtocolError(f"values that {head.encoding.name} cannot hold")
    data = numbers.astype(dtype).tobytes()
    step = per_frame * size
    pieces = [
        Values(head.measurement, index, data[start : start + step])
        for index, start in enumerate(range(0, len(data), step))
    ]
    return replace(head, count=numbers.size, values_per_frame=per_frame, values_crc=crc32(data)), pieces
