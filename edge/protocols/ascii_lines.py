"""Line-oriented instruments without any input or output: bytes to lines, lines to answers, answers to values.

Such a line has no checksum: what is not plainly damaged cannot be told from what was measured. So everything is
refused that is not exactly what the profile says: a character too many, a value too few, a number that is none.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import ProtocolError
from ..limits import Within
from ..toml_file import Where

VIRTUAL_NOTICE = "#stibium virtual instrument"
"""A line that begins so, from a program that plays an instrument, says that it is one; never part of an answer."""
CUE = "#stibium cue"
"""What such a program is told of what lies in front of it. No real instrument is ever sent this."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SHOWN = 40


_FRAMINGS = tuple(f"{bits}{parity}{stop}" for bits in (7, 8) for parity in "NEO" for stop in (1, 2))
_Column = Annotated[int, Within(0, 1000)]


def read_ascii_text(value: Any, where: Where) -> str:
    """Read a text of a profile that goes over the line, or is looked for in what comes; white space counts."""
    if not isinstance(value, str) or not value.isascii() or any(c in value for c in "\r\n\0"):
        raise where.needs(value, "a text of ASCII characters without line ends is needed")
    return value


def _read_framing(value: Any, where: Where) -> str:
    if value not in _FRAMINGS:
        raise where.needs(value, f"one of {', '.join(map(repr, _FRAMINGS))} is needed")
    return str(value)


AsciiText = Annotated[str, read_ascii_text]


@dataclass(frozen=True)
class LineMarks:
    """How lines look.

    Attributes:
        framing: data bits, parity and stop bits of a serial line, as in "8N1"; without meaning for a socket.
        line_end: what ends a command; lines from the instrument may end with CR, LF or both.
        ok: ends an answer, alone on a line or after the answer's last text; "" if there is no such mark.
        error: begins a line that says an error; "" if there is no such mark.
        ignore: lines that begin with it are no part of an answer; "" if there are none.
        longest_line: bytes; a longer line is refused.
    """

    framing: Annotated[str, _read_framing] = "8N1"
    line_end: Literal["\n", "\r", "\r\n"] = "\n"
    ok: AsciiText = ""
    error: AsciiText = ""
    ignore: AsciiText = ""
    longest_line: Annotated[int, Within(16, 1 << 20, "bytes")] = 65536


@dataclass(frozen=True)
class ValuesFormat:
    """What the answer to `acquire` holds.

    Attributes:
        delivers: "counts", "reflectance" (1 is white) or "percent" (100 is white).
        dark: how counts lose their dark: "cover" (a person covers the probe), "lamp_off" (measured with the lamp
            switched off), "subtracted" (the instrument did it).
        saturation: counts from which a band is saturated; 0 if unknown.
        lines: "one" line with all values, or one "per_band".
        separator: between values; " " for any white space.
        prefix, suffix: what the line begins and ends with beside the values.
        skip: columns before the first value, in a line with all values.
        value_column, wavelength_column: numbered from 1, in lines per band; 0 if no wavelength stands there.
        splices_nm: where detectors join.
    """

    delivers: Literal["counts", "reflectance", "percent"] = "counts"
    dark: Literal["cover", "lamp_off", "subtracted"] = "cover"
    saturation: Annotated[float, Within(0, 1e12, "counts")] = 0.0
    lines: Literal["one", "per_band"] = "one"
    separator: AsciiText = ","
    prefix: AsciiText = ""
    suffix: AsciiText = ""
    skip: _Column = 0
    value_column: Annotated[int, Within(1, 1000)] = 1
    wavelength_column: _Column = 0
    splices_nm: Annotated[tuple[float, ...], Within(-1e12, 1e12)] = ()


@dataclass(frozen=True)
class BadLine:
    """Bytes that are no line: too long, not text, or cut off."""

    reason: str
    size: int


TextOrBad: TypeAlias = str | BadLine


class LineDecoder:
    """Turns bytes into lines. Feed it with `receive`, then call `next_line` until it returns None.

    Lines end with CR, LF or both; empty lines mean nothing. It holds at most one line besides those not yet asked for.

    Args:
        longest: bytes a line may have without its end.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._buffer = bytearray()
        self._too_long = 0
        self._ready: deque[TextOrBad] = deque()

    def receive(self, data: bytes) -> None:
        """Append bytes as they came, in pieces of any size."""
        *whole, rest = data.replace(b"\r", b"\n").split(b"\n")
        for piece in whole:
            self._extend(piece)
            self._end_line()
        self._extend(rest)

    @property
    def pending(self) -> int:
        """Bytes of a line whose end has not come yet."""
        return self._too_long + len(self._buffer)

    def next_line(self) -> TextOrBad | None:
        """Return the next line or what is wrong with it; None if more bytes are needed."""
        return self._ready.popleft() if self._ready else None

    def give_up(self) -> BadLine | None:
        """Stop waiting for the end of a line; None if none has begun."""
        size = self.pending
        self._buffer.clear()
        self._too_long = 0
        return BadLine(f"a line was cut off after {size} bytes", size) if size else None

    def _extend(self, piece: bytes) -> None:
        self._buffer += piece
        if len(self._buffer) > self._longest:
            self._too_long += len(self._buffer)
            self._buffer.clear()

    def _end_line(self) -> None:
        line, size = bytes(self._buffer), self.pending
        too_long = bool(self._too_long)
        self._buffer.clear()
        self._too_long = 0
        if too_long:
            self._ready.append(BadLine(f"a line of {size} bytes, where at most {self._longest} are expected", size))
        elif line:
            self._ready.append(_as_text(line))


def _as_text(line: bytes) -> TextOrBad:
    for byte in line:
        if not 0x20 <= byte < 0x7F and byte != 0x09:
            return BadLine(f"a line of {len(line)} bytes with byte 0x{byte:02x}, which is no text", len(line))
    text = line.decode("ascii").strip()
    return text


@dataclass(frozen=True)
class AsciiAnswer:
    """A whole answer: its lines without echo and end mark, or the error that the instrument said."""

    lines: tuple[str, ...]
    error: str | None = None


class AnswerReader:
    """Puts the lines of one answer together.

    Args:
        line: the profile's marks.
        command: what was sent; a line that equals it before anything else has come is an echo.
        lines: how many lines the answer has, where no `line.ok` ends it.
    """

    def __init__(self, line: LineMarks, command: str, lines: int = 1) -> None:
        self._marks, self._command, self._wanted = line, command, lines
        self._lines: list[str] = []
        self.echoes = 0

    @property
    def begun(self) -> int:
        """Lines of the answer so far."""
        return len(self._lines)

    def take(self, text: str) -> AsciiAnswer | None:
        """Take a line; give the answer that it completes."""
        marks = self._marks
        if not text or (marks.ignore and text.startswith(marks.ignore)):
            return None
        if not self._lines and not self.echoes and text == self._command:
            self.echoes = 1
            return None
        if marks.error and text.startswith(marks.error):
            return AsciiAnswer(tuple(self._lines), text)
        if not marks.ok:
            self._lines.append(text)
            return AsciiAnswer(tuple(self._lines)) if len(self._lines) >= self._wanted else None
        if text.endswith(marks.ok):
            rest = text[: -len(marks.ok)].rstrip()
            return AsciiAnswer((*self._lines, rest) if rest else tuple(self._lines))
        self._lines.append(text)
        return None


def parse_number(text: str) -> float:
    """Read a decimal number; ProtocolError for anything else, "nan", "inf" and what no float can hold included."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise ProtocolError(f"{_short(text)} is no number")
    value = float(text)
    if not np.isfinite(value):
        raise ProtocolError(f"{_short(text)} is too large a number")
    return value


def parse_values(lines: Sequence[str], layout: ValuesFormat, count: int) -> tuple[Floats, Floats | None]:
    """Read the lines of a measurement.

    Args:
        lines: of the answer.
        layout: how they look.
        count: values that are due; 0 if not known.

    Returns:
        (count,) values in the order in which they came and as they stand there, and their wavelengths in nm if
        `layout.wavelength_column` is set.

    Raises:
        ProtocolError: anything that is not exactly as the layout says; the message says what and where.
    """
    if layout.lines == "one":
        if len(lines) != 1:
            raise ProtocolError(f"{len(lines)} lines, where one with all values is due")
        columns = _columns(lines[0], layout)
        if len(columns) < layout.skip:
            raise ProtocolError(f"{len(columns)} columns, where {layout.skip} stand before the first value")
        values = [_numbered(text, f"value {i}") for i, text in enumerate(columns[layout.skip :], 1)]
        _check_count(len(values), count)
        return np.array(values, dtype=np.float64), None
    _check_count(len(lines), count)
    values, wavelengths = [], []
    needed = max(layout.value_column, layout.wavelength_column)
    for number, line in enumerate(lines, 1):
        columns = _columns(line, layout)
        if len(columns) < needed:
            raise ProtocolError(f"line {number} has {len(columns)} columns; {needed} are needed")
        values.append(_numbered(columns[layout.value_column - 1], f"line {number}"))
        if layout.wavelength_column:
            wavelengths.append(_numbered(columns[layout.wavelength_column - 1], f"wavelength in line {number}"))
    return np.array(values, dtype=np.float64), np.array(wavelengths, dtype=np.float64) if wavelengths else None


def _check_count(have: int, due: int) -> None:
    if due and have != due:
        raise ProtocolError(f"{have} values, where {due} are due")


def _columns(line: str, layout: ValuesFormat) -> list[str]:
    for mark, there in ((layout.prefix, line.startswith(layout.prefix)), (layout.suffix, line.endswith(layout.suffix))):
        if not there:
            raise ProtocolError(f"{_short(line)} lacks {mark!r}")
    body = line[len(layout.prefix) : len(line) - len(layout.suffix)]
    columns = body.split() if layout.separator == " " else body.split(layout.separator)
    # A list that ends with its separator has no empty last value.
    if len(columns) > 1 and not columns[-1].strip():
        columns.pop()
    return columns


def _numbered(text: str, where: str) -> float:
    try:
        return parse_number(text)
    except ProtocolError as error:
        raise ProtocolError(f"{where}: {error}") from None


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
