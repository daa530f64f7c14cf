"""The messages of the framed serial protocol: what each one means, and its payload as bytes.

All numbers are little-endian. The byte tables are in `docs/serial_protocol.md`; a test decodes the
worked example there. Messages check themselves, so that one that cannot be sent cannot be made either.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, TypeAlias, TypeVar

from ..errors import ProtocolError

U16 = 0xFFFF
U32 = 0xFFFFFFFF
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


class State(IntEnum):
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


@dataclass(frozen=True)
class Identify:
    """Host: who is there?"""

    type_code: ClassVar[int] = 0x01

    def pack(self) -> bytes:
        """Return the payload."""
        return b""

    @classmethod
    def unpack(cls, payload: bytes) -> Identify:
        """Read a payload."""
        _Reader(payload).done()
        return cls()


@dataclass(frozen=True)
class Acquire:
    """Host: measure. The same `request` again means: send what you measured for it, do not measure twice."""

    type_code: ClassVar[int] = 0x02
    request: int
    kind: Kind
    scans: int
    payload_limit: int = 0
    """Largest payload the answer's frames may have, in bytes; 0 leaves it to the instrument."""

    def __post_init__(self) -> None:
        _in_range("request", self.request, 1, U32)
        _in_range("scans", self.scans, 1, U16)
        _in_range("payload_limit", self.payload_limit, 0, U16)

    def pack(self) -> bytes:
        """Return the payload."""
        return struct.pack("<IBHH", self.request, self.kind, self.scans, self.payload_limit)

    @classmethod
    def unpack(cls, payload: bytes) -> Acquire:
        """Read a payload; ProtocolError if it is none."""
        reader = _Reader(payload)
        request, kind, scans, payload_limit = reader.take("<IBHH")
        reader.done()
        return cls(request, _member(Kind, kind), scans, payload_limit)


@dataclass(frozen=True)
class Resend:
    """Host: these frames of the last measurement are missing: (first sequence number, count) of each gap."""

    type_code: ClassVar[int] = 0x03
    ranges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        _in_range("number of ranges", len(self.ranges), 1, MAX_RANGES)
        for first, count in self.ranges:
            _in_range("first sequence number", first, 0, U16)
            _in_range("count", count, 1, U16)

    def pack(self) -> bytes:
        """Return the payload."""
        return bytes([len(self.ranges)]) + b"".join(struct.pack("<HH", *gap) for gap in self.ranges)

    @classmethod
    def unpack(cls, payload: bytes) -> Resend:
        """Read a payload; ProtocolError if it is none."""
        reader = _Reader(payload)
        (number,) = reader.take("<B")
        ranges = []
        for _ in range(number):
            first, count = reader.take("<HH")
            ranges.append((first, count))
        reader.done()
        return cls(tuple(ranges))


@dataclass(frozen=True)
class Acknowledge:
    """Host: this measurement is safe with me; you may forget it."""

    type_code: ClassVar[int] = 0x04
    measurement: int

    def __post_init__(self) -> None:
        _in_range("measurement", self.measurement, 1, U32)

    def pack(self) -> bytes:
        """Return the payload."""
        return struct.pack("<I", self.measurement)

    @classmethod
    def unpack(cls, payload: bytes) -> Acknowledge:
        """Read a payload; ProtocolError if it is none."""
        reader = _Reader(payload)
        (measurement,) = reader.take("<I")
        reader.done()
        return cls(measurement)


@dataclass(frozen=True)
class GetStatus:
    """Host: how are you?"""

    type_code: ClassVar[int] = 0x05

    def pack(self) -> bytes:
        """Return the payload."""
        return b""

    @classmethod
    def unpack(cls, payload: bytes) -> GetStatus:
        """Read a payload."""
        _Reader(payload).done()
        return cls()


@dataclass(frozen=True)
class Identification:
    """Instrument: who I am. `boot` is another number after each power-up.

    With `step_nm` 0 the wavelengths are no arithmetic series: the host acquires them (`Kind.WAVELENGTHS`).
    """

    type_code: ClassVar[int] = 0x81
    boot: int
    features: Feature
    first_nm: float
    step_nm: float
    count: int
    saturation_dn: int
    """Counts from which a detector is saturated; 0 if unknown."""
    payload_limit: int
    """Largest payload the instrument sends or takes, in bytes."""
    splices_nm: tuple[float, ...]
    name: str
    serial_number: str
    firmware: str

    def __post_init__(self) -> None:
        _in_range("boot", self.boot, 0, U32)
        _in_range("features", int(self.features), 0, U16)
        _in_range("count", self.count, 2, U16)
        _in_range("saturation_dn", self.saturation_dn, 0, U32)
        _in_range("payload_limit", self.payload_limit, 64, U16)
        _in_range("number of splices", len(self.splices_nm), 0, 8)
        for wavelength_nm in (
            self.first_nm,
            self.first_nm + self.step_nm * (self.count - 1),
            *self.splices_nm,
        ):
            if not 0 <= wavelength_nm < 1e6:
                raise ProtocolError(f"a wavelength of {wavelength_nm} nm")
        if self.step_nm < 0:
            raise ProtocolError(f"a wavelength step of {self.step_nm} nm")
        _check_texts(self, "name", "serial_number", "firmware")

    def pack(self) -> bytes:
        """Return the payload."""
        head = struct.pack(
            "<IHffHIHB",
            self.boot,
            self.features,
            self.first_nm,
            self.step_nm,
            self.count,
            self.saturation_dn,
            self.payload_limit,
            len(self.splices_nm),
        )
        splices = struct.pack(f"<{len(self.splices_nm)}f", *self.splices_nm)
        return head + splices + _text(self.name) + _text(self.serial_number) + _text(self.firmware)

    @classmethod
    def unpack(cls, payload: bytes) -> Identification:
        """Read a payload; ProtocolError if it is none."""
        reader = _Reader(payload)
        boot, features, first_nm, step_nm, count, saturation_dn, payload_limit, splices = reader.take("<IHffHIHB")
        splices_nm = reader.take(f"<{splices}f")
        name, serial_number, firmware = reader.text(), reader.text(), reader.text()
        reader.done()
        return cls(
            boot=boot,
            features=Feature(features),
            first_nm=first_nm,
            step_nm=step_nm,
            count=count,
            saturation_dn=saturation_dn,
            payload_limit=payload_limit,
            splices_nm=tuple(splices_nm),
            name=name,
            serial_number=serial_number,
            firmware=firmware,
        )


@dataclass(frozen=True)
class SpectrumHead:
    """Instrument: a spectrum follows, in `frame_count` frames of values numbered right after this one."""

    type_code: ClassVar[int] = 0x82
    boot: int
    """As in `Identification`: tells measurements before and after a restart apart."""
    measurement: int
    """Counts up by one with each measurement since power-up, from 1."""
    request: int
    """The `Acquire` this answers; 0 if the instrument's button was pressed."""
    kind: Kind
    unit: Unit
    encoding: Encoding
    simulated: bool
    saturated: int
    """One bit for each detector, the one of the shortest wavelengths first."""
    count: int
    values_per_frame: int
    values_crc: int
    """CRC-32 of all value bytes in order."""
    scans: int
    integration_us: int
    gain: int
    """In the instrument's own terms; only compared with that of dark and white."""
    temperature_centi_c: int
    age_ms: int
    """How long ago it was measured when this frame was sent."""
    label: str = ""
    """What the instrument calls the sample, from a keypad or a barcode; may be empty."""

    def __post_init__(self) -> None:
        _in_range("boot", self.boot, 0, U32)
        _in_range("measurement", self.measurement, 1, U32)
        _in_range("request", self.request, 0, U32)
        _in_range("saturated", self.saturated, 0, U16)
        _in_range("count", self.count, 2, U16)
        _in_range("values_per_frame", self.values_per_frame, 1, U16)
        _in_range("frame_count", self.frame_count, 1, 0x8000)
        _in_range("values_crc", self.values_crc, 0, U32)
        _in_range("scans", self.scans, 0, U16)
        _in_range("integration_us", self.integration_us, 0, U32)
        _in_range("gain", self.gain, 0, U16)
        _in_range("temperature_centi_c", self.temperature_centi_c, -0x8000, 0x7FFF)
        _in_range("age_ms", self.age_ms, 0, U32)
        _check_texts(self, "label")

    @property
    def frame_count(self) -> int:
        """Number of frames of values."""
        return -(-self.count // self.values_per_frame)

    @property
    def temperature_c(self) -> float | None:
        """Temperature in degrees Celsius, if the instrument knows it."""
        return None if self.temperature_centi_c == NO_TEMPERATURE else self.temperature_centi_c / 100

    def pack(self) -> bytes:
        """Return the payload."""
        head = struct.pack(
            "<IIIBBBBHHHIHIHhI",
            self.boot,
            self.measurement,
            self.request,
            self.kind,
            self.unit,
            self.encoding,
            int(self.simulated),
            self.saturated,
            self.count,
            self.values_per_frame,
            self.values_crc,
            self.scans,
            self.integration_us,
            self.gain,
            self.temperature_centi_c,
            self.age_ms,
        )
        return head + _text(self.label)

    @classmethod
    def unpack(cls, payload: bytes) -> SpectrumHead:
        """Read a payload; ProtocolError if it is none."""
        reader = _Reader(payload)
        boot, measurement, request, kind, unit, encoding, flags, *numbers = reader.take("<IIIBBBBHHHIHIHhI")
        saturated, count, values_per_frame, values_crc, scans, integration_us, gain, temperature, age_ms = numbers
        label = reader.text()
        reader.done()
        return cls(
            boot=boot,
            measurement=measurement,
            request=request,
            kind=_member(Kind, kind),
            unit=_member(Unit, unit),
            encoding=_member(Encoding, encoding),
            simulated=bool(flags & 1),
            saturated=saturated,
            count=count,
            values_per_frame=values_per_frame,
            values_crc=values_crc,
            scans=scans,
            integration_us=integration_us,
            gain=gain,
            temperature_centi_c=temperature,
            age_ms=age_ms,
            label=label,
        )


@dataclass(frozen=True)
class Values:
    """Instrument: piece `index` (from 0) of a spectrum's values, as bytes."""

    type_code: ClassVar[int] = 0x83
    measurement: int
    index: int
    data: bytes

    def __post_init__(self) -> None:
        _in_range("measurement", self.measurement, 1, U32)
        _in_range("index", self.index, 0, U16)
        if not self.data:
            raise ProtocolError("a frame of values without values")

    def pack(self) -> bytes:
        """Return the payload."""
        return struct.pack("<IH", self.measurement, self.index) + self.data

    @classmethod
    def unpack(cls, payload: bytes) -> Values:
        """Read a payload; ProtocolError if it is none."""
        reader = _Reader(payload)
        measurement, index = reader.take("<IH")
        return cls(measurement, index, reader.rest())


VALUES_OVERHEAD = 6
"""Bytes of a `Values` payload before its values."""


@dataclass(frozen=True)
class Status:
    """Instrument: how I am; sent when asked, and at once when a measurement takes time."""

    type_code: ClassVar[int] = 0x85
    state: State
    remaining_ms: int
    """Time until the measurement, or the warming up, is over."""
    uptime_ms: int
    temperature_centi_c: int
    unacknowledged: int
    """A measurement the host has not acknowledged; 0 if there is none."""

    def __post_init__(self) -> None:
        _in_range("remaining_ms", self.remaining_ms, 0, U32)
        _in_range("uptime_ms", self.uptime_ms, 0, U32)
        _in_range("temperature_centi_c", self.temperature_centi_c, -0x8000, 0x7FFF)
        _in_range("unacknowledged", self.unacknowledged, 0, U32)

    def pack(self) -> bytes:
        """Return the payload."""
        return struct.pack(
            "<BIIhI",
            self.state,
            self.remaining_ms,
            self.uptime_ms,
            self.temperature_centi_c,
            self.unacknowledged,
        )

    @classmethod
    def unpack(cls, payload: bytes) -> Status:
        """Read a payload; ProtocolError if it is none."""
        reader = _Reader(payload)
        state, *rest = reader.take("<BIIhI")
        reader.done()
        return cls(_member(State, state), *rest)


@dataclass(frozen=True)
class Fault:
    """Instrument: I cannot do what frame `reply_to` asked (0: nothing asked it), and why."""

    type_code: ClassVar[int] = 0x8F
    code: int
    reply_to: int
    text: str = ""

    def __post_init__(self) -> None:
        _in_range("code", self.code, 1, U16)
        _in_range("reply_to", self.reply_to, 0, U16)
        _check_texts(self, "text")

    def pack(self) -> bytes:
        """Return the payload."""
        return struct.pack("<HH", self.code, self.reply_to) + _text(self.text)

    @classmethod
    def unpack(cls, payload: bytes) -> Fault:
        """Read a payload; ProtocolError if it is none."""
        reader = _Reader(payload)
        code, reply_to = reader.take("<HH")
        text = reader.text()
        reader.done()
        return cls(code, reply_to, text)


Request: TypeAlias = Identify | Acquire | Resend | Acknowledge | GetStatus
Reply: TypeAlias = Identification | SpectrumHead | Values | Status | Fault
Message: TypeAlias = Request | Reply
MESSAGES: dict[int, type[Message]] = {
    message.type_code: message
    for message in (
        Identify,
        Acquire,
        Resend,
        Acknowledge,
        GetStatus,
        Identification,
        SpectrumHead,
        Values,
        Status,
        Fault,
    )
}


def from_instrument(type_code: int) -> bool:
    """Whether frames of this type travel from the instrument to the host."""
    return type_code >= 0x80


_E = TypeVar("_E", bound=IntEnum)


class _Reader:
    """Takes a payload apart from the front; what does not fit is a ProtocolError."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(layout)
        piece = self._payload[self._at : self._at + size]
        if len(piece) < size:
            raise ProtocolError(f"a payload of {len(self._payload)} bytes that ends too early")
        self._at += size
        return struct.unpack(layout, piece)

    def text(self) -> str:
        (length,) = self.take("<B")
        piece = self._payload[self._at : self._at + length]
        if len(piece) < length:
            raise ProtocolError("a text that is longer than its payload")
        self._at += length
        try:
            return piece.decode()
        except UnicodeDecodeError:
            raise ProtocolError("a text that is not UTF-8") from None

    def rest(self) -> bytes:
        piece = self._payload[self._at :]
        self._at = len(self._payload)
        return piece

    def done(self) -> None:
        if self._at != len(self._payload):
            raise ProtocolError(f"{len(self._payload) - self._at} bytes too many in a payload")


def _in_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ProtocolError(f"{name} is {value}; it must be {low} to {high}")


def _member(enum: type[_E], value: int) -> _E:
    try:
        return enum(value)
    except ValueError:
        raise ProtocolError(f"{value} is no {enum.__name__.lower()}") from None


def _text(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _check_texts(message: object, *names: str) -> None:
    for name in names:
        size = len(getattr(message, name).encode())
        if size > TEXT_LIMITS[name]:
            raise ProtocolError(f"{name} has {size} bytes of UTF-8; {TEXT_LIMITS[name]} are allowed")
