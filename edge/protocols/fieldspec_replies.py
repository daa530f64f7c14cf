"""The replies of an ASD FieldSpec: big-endian structures of fixed length, as frozen objects and back."""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass, field, replace
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import ProtocolError
from .fieldspec_messages import NO_ERROR, explain

PARAMETERS = 200
_NAME_BYTES = 30
_R = TypeVar("_R", bound="Reply")


def _text(raw: bytes) -> str:
    """A C text in a field of fixed length; whatever stands after its zero byte is left-over memory."""
    return raw.split(b"\0")[0].decode("ascii", "replace").strip()


def _raw(text: str) -> bytes:
    return text.encode("ascii", "replace")[: _NAME_BYTES - 1]


@dataclass(frozen=True)
class Reply:
    """How every reply begins.

    Attributes:
        header: 100, or the class of error.
        errbyte: 0, or the error.
    """

    header: int
    errbyte: int

    @property
    def good(self) -> bool:
        """Whether neither code tells of an error."""
        return self.header == NO_ERROR and self.errbyte == 0

    @property
    def explained(self) -> str:
        """What the two codes mean."""
        return explain(self.header, self.errbyte)

    def pack(self) -> bytes:
        """Return the structure."""
        return self._LAYOUT.pack(*(_raw(item) if isinstance(item, str) else item for item in astuple(self)))

    @classmethod
    def unpack(cls: type[_R], data: bytes) -> _R:
        """Read the structure; ProtocolError if its length is another."""
        values: list[Any] = [_text(item) if isinstance(item, bytes) else item for item in cls._numbers(data)]
        return cls(*values)

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(">ii")
    SIZE: ClassVar[int] = _LAYOUT.size

    @classmethod
    def _numbers(cls, data: bytes) -> tuple[Any, ...]:
        return cls._LAYOUT.unpack(_exactly(data, cls._LAYOUT.size, cls.__name__))


def _exactly(data: bytes, size: int, what: str) -> bytes:
    if len(data) != size:
        raise ProtocolError(f"{len(data)} bytes for a reply {what} of {size}")
    return data


@dataclass(frozen=True)
class Version(Reply):
    """Firmware and instrument type; to `GetVersion`."""

    text: str
    value: float
    instrument_type: int

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(f">ii{_NAME_BYTES}sdi")
    SIZE: ClassVar[int] = _LAYOUT.size


@dataclass(frozen=True)
class Value(Reply):
    """One setting; to `ReadValue`, and to `Abort`."""

    name: str
    value: float
    count: int

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(f">ii{_NAME_BYTES}sdi")
    SIZE: ClassVar[int] = _LAYOUT.size


@dataclass(frozen=True)
class FlashSettings(Reply):
    """All settings; to `Restore`.

    Attributes:
        values: pairs of name and value, unused entries left out.
        count: entries in use, as the instrument counts them.
        checksum: as the instrument gives it; how it is made is not published.
    """

    values: tuple[tuple[str, float], ...]
    count: int
    checksum: int

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(f">ii{_NAME_BYTES * PARAMETERS}s{PARAMETERS}dii")
    SIZE: ClassVar[int] = _LAYOUT.size

    @classmethod
    def unpack(cls, data: bytes) -> FlashSettings:
        """Read the structure; ProtocolError if its length is another."""
        header, errbyte, block, *values, count, checksum = cls._LAYOUT.unpack(_exactly(data, cls.SIZE, "FlashSettings"))
        names = [_text(block[start : start + _NAME_BYTES]) for start in range(0, len(block), _NAME_BYTES)]
        pairs = tuple((name, value) for name, value in zip(names, values, strict=True) if name)
        return cls(header, errbyte, pairs, count, checksum)

    def pack(self) -> bytes:
        """Return the structure."""
        block = b"".join(_raw(name).ljust(_NAME_BYTES, b"\0") for name, _ in self.values)
        values = [value for _, value in self.values]
        values += [0.0] * (PARAMETERS - len(values))
        return self._LAYOUT.pack(self.header, self.errbyte, block, *values, self.count, self.checksum)


@dataclass(frozen=True)
class Optimised(Reply):
    """What optimising found; to `Optimise`. `integration_step`: see `fieldspec_messages.integration_ms`."""

    integration_step: int
    swir1_gain: int
    swir2_gain: int
    swir1_offset: int
    swir2_offset: int

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(">7i")
    SIZE: ClassVar[int] = _LAYOUT.size


@dataclass(frozen=True)
class Controlled(Reply):
    """What was set; to `Control`."""

    detector: int
    setting: int
    value: int

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(">5i")
    SIZE: ClassVar[int] = _LAYOUT.size


@dataclass(frozen=True)
class VnirHead:
    """The VNIR's part of a measurement's header.

    `integration`: as delivered. `saturation`: 1 saturated. `shutter`: 0 open, 1 closed. `drift`: of the dark, counts.
    """

    integration: int = 0
    scans: int = 0
    max_channel: int = 0
    min_channel: int = 0
    saturation: int = 0
    shutter: int = 0
    drift: int = 0
    dark_subtracted: int = 0


@dataclass(frozen=True)
class SwirHead:
    """A SWIR detector's part of a measurement's header. `tec_status`: 0, or its cooler gives an alarm."""

    tec_status: int = 0
    tec_current: int = 0
    max_channel: int = 0
    min_channel: int = 0
    saturation: int = 0
    a_scans: int = 0
    b_scans: int = 0
    dark_current: int = 0
    gain: int = 0
    offset: int = 0
    scan_size_1: int = 0
    scan_size_2: int = 0
    dark_subtracted: int = 0


@dataclass(frozen=True)
class AcquireHead(Reply):
    """The 64 numbers in front of a measurement. Units of voltage, current and temperature are the instrument's own."""

    sample_count: int = 0
    trigger: int = 0
    voltage: int = 0
    current: int = 0
    temperature: int = 0
    motor_current: int = 0
    instrument_hours: int = 0
    instrument_minutes: int = 0
    instrument_type: int = 0
    ab: int = 0
    vnir: VnirHead = VnirHead()
    swir1: SwirHead = SwirHead()
    swir2: SwirHead = SwirHead()

    # Reserved numbers are skipped: four here, eight after the VNIR's, three after each SWIR's.
    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(">12i16x8i32x13i12x13i12x")
    SIZE: ClassVar[int] = _LAYOUT.size

    @classmethod
    def unpack(cls, data: bytes) -> AcquireHead:
        """Read the structure; ProtocolError if its length is another."""
        numbers = cls._numbers(data)
        vnir, swir1, swir2 = VnirHead(*numbers[12:20]), SwirHead(*numbers[20:33]), SwirHead(*numbers[33:46])
        return replace(cls(*numbers[:12]), vnir=vnir, swir1=swir1, swir2=swir2)

    def pack(self) -> bytes:
        """Return the structure."""
        *common, vnir, swir1, swir2 = astuple(self)
        return self._LAYOUT.pack(*common, *vnir, *swir1, *swir2)


@dataclass(frozen=True, eq=False)
class Acquired:
    """A measurement; to `AcquireScans`.

    Attributes:
        head: what is said of it.
        values: (channels,) as delivered; nothing is judged yet. Empty if the reply is an error that ended early.
    """

    head: AcquireHead
    values: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def good(self) -> bool:
        """See `Reply`."""
        return self.head.good

    @property
    def header(self) -> int:
        """See `Reply`."""
        return self.head.header

    @property
    def errbyte(self) -> int:
        """See `Reply`."""
        return self.head.errbyte

    @property
    def explained(self) -> str:
        """See `Reply`."""
        return self.head.explained

    @classmethod
    def unpack(cls, data: bytes) -> Acquired:
        """Read header and all values behind it; ProtocolError if they are no whole number of floats."""
        size = AcquireHead.SIZE
        if len(data) < size or (len(data) - size) % 4:
            raise ProtocolError(f"{len(data)} bytes are no measurement")
        return cls(AcquireHead.unpack(data[:size]), np.frombuffer(data, ">f4", offset=size).astype(np.float64))

    def pack(self) -> bytes:
        """Return header and values."""
        return self.head.pack() + self.values.astype(">f4").tobytes()


AnyReply: TypeAlias = Version | Value | FlashSettings | Optimised | Controlled | Acquired
