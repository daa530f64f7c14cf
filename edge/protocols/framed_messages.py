"""The messages of the framed serial protocol: what each one means, and its payload as bytes.

A message is a dataclass whose fields follow each other as in its payload, each with the form in which it stands
there (`framed_fields`); all numbers are little-endian. The byte tables are in `docs/serial_protocol.md`; a test decodes
the worked example there. Messages check themselves, so that one that cannot be sent cannot be made either.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Annotated, ClassVar

from ..errors import ProtocolError
from .framed_fields import Bytes, Counted, Message, Number, Pairs, Text

MAX_RANGES = 15
"""Ranges in one `Resend`: its payload stays within the 64 bytes every instrument has to accept."""
NO_TEMPERATURE = -0x8000

TEXT_LIMITS = {"name": 40, "serial_number": 24, "firmware": 24, "label": 40, "text": 120}
"""Bytes of UTF-8 that a text may have."""


class Kind(IntEnum):
    """What is under the probe, or asked of it."""

    TARGET = 0
    WHITE = 1
    DARK = 2
    WAVELENGTHS = 3


class Unit(IntEnum):
    """What the values of a spectrum are."""

    RAW_DN = 0
    REFLECTANCE = 1
    WAVELENGTH_NM = 2


class Encoding(IntEnum):
    """How one value is stored."""

    FLOAT32 = 0
    UINT16 = 1
    UINT32 = 2


ENCODING_DTYPES = {Encoding.FLOAT32: "<f4", Encoding.UINT16: "<u2", Encoding.UINT32: "<u4"}
VALUE_BYTES = {Encoding.FLOAT32: 4, Encoding.UINT16: 2, Encoding.UINT32: 4}


class ProbeState(IntEnum):
    """What the instrument is doing."""

    IDLE = 0
    MEASURING = 1
    WARMING_UP = 2
    FAULT = 3


class FaultCode(IntEnum):
    """Why an instrument does not do what was asked. Unknown codes are passed on as numbers."""

    DAMAGED_FRAME = 1
    UNSUPPORTED = 2
    BAD_PARAMETER = 3
    BUSY = 4
    HARDWARE = 5
    UNKNOWN_SEQUENCE = 6
    NOTHING_LEFT = 7


class Feature(IntFlag):
    """What an instrument is and can do."""

    RAW_COUNTS = 1
    """Delivers counts: dark and white have to be measured too."""
    SHUTTER = 2
    """Measures dark by itself, whatever the probe stands on."""
    DARK_SUBTRACTED = 4
    """Counts have the dark taken off already."""
    BUTTON = 8
    """Sends a spectrum unasked when its button is pressed."""
    SIMULATED = 16
    """Every spectrum it delivers is made up."""
    VIRTUAL = 32
    """A program, not an instrument."""


_Id = Annotated[int, Number("I", low=1)]
_Whole = Annotated[int, Number("I")]
_Half = Annotated[int, Number("H")]
_HalfFrom1 = Annotated[int, Number("H", low=1)]
_CentiC = Annotated[int, Number("h", low=-0x8000, high=0x7FFF)]


@dataclass(frozen=True)
class Identify(Message):
    """Host: who is there?"""

    type_code: ClassVar[int] = 0x01


@dataclass(frozen=True)
class Acquire(Message):
    """Host: measure. The same `request` again means: send what you measured for it, do not measure twice."""

    type_code: ClassVar[int] = 0x02
    request: _Id
    kind: Annotated[Kind, Number("B", of=Kind)]
    scans: _HalfFrom1
    payload_limit: _Half = 0
    """Largest payload the answer's frames may have, in bytes; 0 leaves it to the instrument."""


@dataclass(frozen=True)
class Resend(Message):
    """Host: these frames of the last measurement are missing: (first sequence number, count) of each gap."""

    type_code: ClassVar[int] = 0x03
    ranges: Annotated[tuple[tuple[int, int], ...], Pairs(1, MAX_RANGES)]


@dataclass(frozen=True)
class Acknowledge(Message):
    """Host: this measurement is safe with me; you may forget it."""

    type_code: ClassVar[int] = 0x04
    measurement: _Id


@dataclass(frozen=True)
class GetStatus(Message):
    """Host: how are you?"""

    type_code: ClassVar[int] = 0x05


@dataclass(frozen=True)
class Identification(Message):
    """Instrument: who I am. `boot` is another number after each power-up.

    With `step_nm` 0 the wavelengths are no arithmetic series: the host acquires them (`Kind.WAVELENGTHS`).
    """

    type_code: ClassVar[int] = 0x81
    boot: _Whole
    features: Annotated[Feature, Number("H", of=Feature)]
    first_nm: Annotated[float, Number("f")]
    step_nm: Annotated[float, Number("f")]
    count: Annotated[int, Number("H", low=2)]
    saturation_dn: _Whole
    """Counts from which a detector is saturated; 0 if unknown."""
    payload_limit: Annotated[int, Number("H", low=64)]
    """Largest payload the instrument sends or takes, in bytes."""
    splices_nm: Annotated[tuple[float, ...], Counted("f", 8)]
    name: Annotated[str, Text(TEXT_LIMITS["name"])]
    serial_number: Annotated[str, Text(TEXT_LIMITS["serial_number"])]
    firmware: Annotated[str, Text(TEXT_LIMITS["firmware"])]

    def __post_init__(self) -> None:
        super().__post_init__()
        last_nm = self.first_nm + self.step_nm * (self.count - 1)
        for wavelength_nm in (self.first_nm, last_nm, *self.splices_nm):
            if not 0 <= wavelength_nm < 1e6:
                raise ProtocolError(f"a wavelength of {wavelength_nm} nm")
        if self.step_nm < 0:
            raise ProtocolError(f"a wavelength step of {self.step_nm} nm")


@dataclass(frozen=True)
class SpectrumHead(Message):
    """Instrument: a spectrum follows, in `frame_count` frames of values numbered right after this one."""

    type_code: ClassVar[int] = 0x82
    boot: _Whole
    """As in `Identification`: tells measurements before and after a restart apart."""
    measurement: _Id
    """Counts up by one with each measurement since power-up, from 1."""
    request: _Whole
    """The `Acquire` this answers; 0 if the instrument's button was pressed."""
    kind: Annotated[Kind, Number("B", of=Kind)]
    unit: Annotated[Unit, Number("B", of=Unit)]
    encoding: Annotated[Encoding, Number("B", of=Encoding)]
    simulated: Annotated[bool, Number("B", of=lambda flags: bool(flags & 1))]
    saturated: _Half
    """One bit for each detector, the one of the shortest wavelengths first."""
    count: Annotated[int, Number("H", low=2)]
    values_per_frame: _HalfFrom1
    values_crc: _Whole
    """CRC-32 of all value bytes in order."""
    scans: _Half
    integration_us: _Whole
    gain: _Half
    """In the instrument's own terms; only compared with that of dark and white."""
    temperature_centi_c: _CentiC
    age_ms: _Whole
    """How long ago it was measured when this frame was sent."""
    label: Annotated[str, Text(TEXT_LIMITS["label"])] = ""
    """What the instrument calls the sample, from a keypad or a barcode; may be empty."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.frame_count <= 0x8000:
            raise ProtocolError(f"frame_count is {self.frame_count}; it must be 1 to {0x8000}")

    @property
    def frame_count(self) -> int:
        """Number of frames of values."""
        return -(-self.count // self.values_per_frame)

    @property
    def temperature_c(self) -> float | None:
        """Temperature in degrees Celsius, if the instrument knows it."""
        return None if self.temperature_centi_c == NO_TEMPERATURE else self.temperature_centi_c / 100


@dataclass(frozen=True)
class Values(Message):
    """Instrument: piece `index` (from 0) of a spectrum's values, as bytes."""

    type_code: ClassVar[int] = 0x83
    measurement: _Id
    index: _Half
    data: Annotated[bytes, Bytes()]


VALUES_OVERHEAD = 6
"""Bytes of a `Values` payload before its values."""


@dataclass(frozen=True)
class Status(Message):
    """Instrument: how I am; sent when asked, and at once when a measurement takes time."""

    type_code: ClassVar[int] = 0x85
    state: Annotated[ProbeState, Number("B", of=ProbeState)]
    remaining_ms: _Whole
    """Time until the measurement, or the warming up, is over."""
    uptime_ms: _Whole
    temperature_centi_c: _CentiC
    unacknowledged: _Whole
    """A measurement the host has not acknowledged; 0 if there is none."""


@dataclass(frozen=True)
class Fault(Message):
    """Instrument: I cannot do what frame `reply_to` asked (0: nothing asked it), and why."""

    type_code: ClassVar[int] = 0x8F
    code: _HalfFrom1
    reply_to: _Half
    text: Annotated[str, Text(TEXT_LIMITS["text"])] = ""


_REQUESTS: tuple[type[Message], ...] = (Identify, Acquire, Resend, Acknowledge, GetStatus)
_REPLIES: tuple[type[Message], ...] = (Identification, SpectrumHead, Values, Status, Fault)
MESSAGES = {message.type_code: message for message in (*_REQUESTS, *_REPLIES)}


def from_instrument(type_code: int) -> bool:
    """Whether frames of this type travel from the instrument to the host."""
    return type_code >= 0x80
