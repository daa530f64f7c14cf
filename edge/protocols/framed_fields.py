"""How the fields of the framed protocol's messages stand in a payload, and the messages' way there and back."""

from __future__ import annotations

import struct
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from ..errors import ProtocolError

U16 = 0xFFFF
U32 = 0xFFFFFFFF
_HIGHEST = {"B": 0xFF, "H": U16, "I": U32, "h": 0x7FFF}
_STRUCTS = {code: struct.Struct(f"<{code}") for code in "BHIhf"}
_M = TypeVar("_M", bound="Message")


class Form(Protocol):
    """How a field stands in a payload."""

    def check(self, name: str, value: Any) -> None:
        """Raise ProtocolError for a value that cannot stand there."""

    def pack(self, value: Any) -> bytes:
        """Return its bytes."""

    def take(self, payload: Payload) -> Any:
        """Take it from the front of a payload."""


class Payload:
    """Takes a payload apart from the front; what does not fit is a ProtocolError."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        """Give so many bytes."""
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise ProtocolError(f"a payload of {len(self._data)} bytes that ends too early")
        self._at += size
        return piece

    @property
    def left(self) -> int:
        """Bytes that are left."""
        return len(self._data) - self._at


@dataclass(frozen=True)
class Number:
    """A number, by its code in `struct`; `of` makes of it what it means."""

    code: str
    low: int = 0
    high: int | None = None
    of: Callable[[int], Any] | None = None

    def check(self, name: str, value: Any) -> None:
        """See `Form`. A float may be any."""
        if self.code != "f":
            _in_range(name, int(value), self.low, _HIGHEST[self.code] if self.high is None else self.high)

    def pack(self, value: Any) -> bytes:
        """See `Form`."""
        return _STRUCTS[self.code].pack(value)

    def take(self, payload: Payload) -> Any:
        """See `Form`."""
        layout = _STRUCTS[self.code]
        (value,) = layout.unpack(payload.take(layout.size))
        if self.of is None:
            return value
        try:
            return self.of(value)
        except ValueError:
            raise ProtocolError(f"{value} is no {getattr(self.of, '__name__', 'value').lower()}") from None


@dataclass(frozen=True)
class Counted:
    """Numbers behind a byte that says how many, at most `most`."""

    code: str
    most: int

    def check(self, name: str, value: Any) -> None:
        """See `Form`."""
        _in_range(f"number of {name}", len(value), 0, self.most)

    def pack(self, value: Any) -> bytes:
        """See `Form`."""
        return struct.pack(f"<B{len(value)}{self.code}", len(value), *value)

    def take(self, payload: Payload) -> Any:
        """See `Form`."""
        layout = f"<{payload.take(1)[0]}{self.code}"
        return struct.unpack(layout, payload.take(struct.calcsize(layout)))


@dataclass(frozen=True)
class Pairs:
    """Pairs of uint16, first and count from 1 on, behind a byte that says how many pairs."""

    least: int
    most: int

    def check(self, name: str, value: Any) -> None:
        """See `Form`."""
        _in_range(f"number of {name}", len(value), self.least, self.most)
        for first, count in value:
            _in_range("first", first, 0, U16)
            _in_range("count", count, 1, U16)

    def pack(self, value: Any) -> bytes:
        """See `Form`."""
        return bytes([len(value)]) + b"".join(struct.pack("<HH", *pair) for pair in value)

    def take(self, payload: Payload) -> Any:
        """See `Form`."""
        return tuple(struct.unpack("<HH", payload.take(4)) for _ in range(payload.take(1)[0]))


@dataclass(frozen=True)
class Text:
    """UTF-8 behind a byte that says how many bytes, at most `most`."""

    most: int

    def check(self, name: str, value: Any) -> None:
        """See `Form`."""
        size = len(value.encode())
        if size > self.most:
            raise ProtocolError(f"{name} has {size} bytes of UTF-8; {self.most} are allowed")

    def pack(self, value: Any) -> bytes:
        """See `Form`."""
        data = value.encode()
        return bytes([len(data)]) + bytes(data)

    def take(self, payload: Payload) -> Any:
        """See `Form`."""
        try:
            return payload.take(payload.take(1)[0]).decode()
        except UnicodeDecodeError:
            raise ProtocolError("a text that is not UTF-8") from None


@dataclass(frozen=True)
class Bytes:
    """All that is left, one byte or more."""

    def check(self, name: str, value: Any) -> None:
        """See `Form`."""
        if not value:
            raise ProtocolError(f"{name} is empty")

    def pack(self, value: Any) -> bytes:
        """See `Form`."""
        return bytes(value)

    def take(self, payload: Payload) -> Any:
        """See `Form`."""
        return payload.take(payload.left)


class Message:
    """A message: a frozen dataclass of which each field is annotated with its `Form`."""

    type_code: ClassVar[int]

    def __post_init__(self) -> None:
        for name, form in _forms(type(self)):
            form.check(name, getattr(self, name))

    def pack(self) -> bytes:
        """Return the payload."""
        return b"".join(form.pack(getattr(self, name)) for name, form in _forms(type(self)))

    @classmethod
    def unpack(cls: type[_M], data: bytes) -> _M:
        """Read a payload; ProtocolError if it is none."""
        payload = Payload(data)
        found = {name: form.take(payload) for name, form in _forms(cls)}
        if payload.left:
            raise ProtocolError(f"{payload.left} bytes too many in a payload")
        return cls(**found)


_FORMS: dict[type[Message], tuple[tuple[str, Form], ...]] = {}


def _forms(kind: type[Message]) -> tuple[tuple[str, Form], ...]:
    if kind not in _FORMS:
        hints = typing.get_type_hints(kind, include_extras=True)
        annotated = {name: hint for name, hint in hints.items() if hasattr(hint, "__metadata__")}
        _FORMS[kind] = tuple((name, hint.__metadata__[0]) for name, hint in annotated.items())
    return _FORMS[kind]


def _in_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ProtocolError(f"{name} is {value}; it must be {low} to {high}")
