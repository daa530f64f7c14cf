"""The `[ascii]` part of a probe profile: a line-oriented spectrometer, described from its commands to its wavelengths.

`firmware_configs/probes/ascii_spectrometer.toml` shows every key; docs/ascii_spectrometers.md explains them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, TypeVar

from ..errors import ProfileError
from ..protocols.ascii_lines import LineMarks, ValuesFormat

LONGEST_LINE = 1 << 20
_MOST_BANDS = 65535
_FRAMINGS = tuple(f"{bits}{parity}{stop}" for bits in (7, 8) for parity in "NEO" for stop in (1, 2))
_LINE_ENDS = ("\n", "\r", "\r\n")


@dataclass(frozen=True)
class Step:
    """A command and what its answer has to begin with; "" where any answer that is no error will do."""

    send: str
    expect: str = ""


@dataclass(frozen=True)
class Commands:
    """What is sent. `acquire` may hold `{scans}`; where it does not, this program averages the scans."""

    acquire: str = ""
    identify: Step | None = None
    firmware: str = ""
    serial_number: str = ""
    init: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Integration:
    """Integration time: `command` holds `{value}`, which is `ms` / `unit_ms` rounded to a whole number."""

    command: str = ""
    ms: float = 0.0
    unit_ms: float = 1.0


@dataclass(frozen=True)
class Lamp:
    """Commands that switch the lamp, and seconds until its light is steady."""

    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    settle_s: float = 0.0


@dataclass(frozen=True)
class Wavelengths:
    """Wavelengths in the order in which the values come: `nm`, or a polynomial of the pixel number."""

    nm: tuple[float, ...] = ()
    polynomial: tuple[float, ...] = ()
    pixels: int = 0
    first_pixel: int = 0


@dataclass(frozen=True)
class AsciiProfile:
    """A line-oriented spectrometer.

    Attributes:
        wavelengths_nm: one for each value, in the order in which they come, not ascending as a rule; () if each line
            brings its own.
    """

    line: LineMarks
    commands: Commands
    integration: Integration
    lamp: Lamp
    values: ValuesFormat
    wavelengths_nm: tuple[float, ...]


_T = TypeVar("_T", LineMarks, Commands, Integration, Lamp, ValuesFormat, Wavelengths)
_SECTIONS = ("commands", "integration", "lamp", "values", "wavelengths")
_CHOICES: dict[str, tuple[str, ...]] = {
    "framing": _FRAMINGS,
    "line_end": _LINE_ENDS,
    "delivers": ("counts", "reflectance", "percent"),
    "dark": ("cover", "lamp_off", "subtracted"),
    "lines": ("one", "per_band"),
}
_LIMITS: dict[str, tuple[float, float]] = {
    "longest_line": (16, LONGEST_LINE),
    "value_column": (1, 1000),
    "wavelength_column": (0, 1000),
    "skip": (0, 1000),
    "pixels": (0, _MOST_BANDS),
    "first_pixel": (0, _MOST_BANDS),
    "saturation": (0, 1e12),
    "settle_s": (0, 600),
    "ms": (0, 1e7),
    "unit_ms": (1e-6, 1e6),
}


def parse_ascii(table: Any, source: str) -> AsciiProfile:
    """Read the `[ascii]` table of a profile; `source` is what errors name.

    Raises:
        ProfileError: an unknown key, a value of the wrong kind or range, or two that do not go together.
    """
    if not isinstance(table, dict):
        raise ProfileError(f"{source}: ascii is no section; write [ascii]")
    parts = {}
    for name in _SECTIONS:
        part = table.get(name, {})
        if not isinstance(part, dict):
            raise ProfileError(f"{source}: ascii.{name} is no section; write [ascii.{name}]")
        parts[name] = part
    own = {key: value for key, value in table.items() if key not in _SECTIONS}
    line = _section(LineMarks, own, source, "ascii.", _SECTIONS)
    commands = _section(Commands, parts["commands"], source, "ascii.commands.")
    integration = _section(Integration, parts["integration"], source, "ascii.integration.")
    lamp = _section(Lamp, parts["lamp"], source, "ascii.lamp.")
    values = _section(ValuesFormat, parts["values"], source, "ascii.values.")
    wavelengths = _section(Wavelengths, parts["wavelengths"], source, "ascii.wavelengths.")
    for complaint in _impossible(line, commands, integration, lamp, values, wavelengths, parts["values"]):
        raise ProfileError(f"{source}: {complaint}")
    return AsciiProfile(line, commands, integration, lamp, values, _wavelengths_nm(wavelengths, source))


def _section(
    kind: type[_T],
    table: Mapping[str, Any],
    source: str,
    prefix: str,
    also: tuple[str, ...] = (),
) -> _T:
    known: dict[str, Any] = {field.name: field.default for field in fields(kind)}
    for key in table:
        if key not in known:
            raise ProfileError(f"{source}: unknown key {prefix}{key}; known are {', '.join([*known, *also])}")
    found = {key: _value(key, known[key], value, f"{source}: {prefix}{key}") for key, value in table.items()}
    return kind(**found)


def _value(key: str, default: Any, value: Any, where: str) -> Any:
    if key == "identify":
        return _step(value, where)
    if key == "init":
        return tuple(_step(item, f"{where}[{number}]") for number, item in enumerate(_list(value, where), 1))
    if key in ("on", "off"):
        return tuple(_command(item, where) for item in _list([value] if isinstance(value, str) else value, where))
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise ProfileError(f"{where} = {value!r}; one of {', '.join(map(repr, _CHOICES[key]))} is needed")
        return value
    if isinstance(default, tuple):
        return tuple(_number(item, where, -1e12, 1e12, False) for item in _list(value, where))
    if isinstance(default, str):
        return _text(value, where)
    low, high = _LIMITS[key]
    return _number(value, where, low, high, isinstance(default, int))


def _step(value: Any, where: str) -> Step:
    if isinstance(value, str):
        return Step(_command(value, where))
    if not isinstance(value, dict) or "send" not in value or set(value) - {"send", "expect"}:
        raise ProfileError(f'{where}: write "COMMAND" or {{ send = "COMMAND", expect = "ANSWER" }}')
    return Step(_command(value["send"], where), _text(value.get("expect", ""), where))


def _command(value: Any, where: str) -> str:
    text = _text(value, where)
    if not text:
        raise ProfileError(f"{where}: an empty command")
    return text


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.isascii() or any(c in value for c in "\r\n\0"):
        raise ProfileError(f"{where} = {value!r}; a text of ASCII characters without line ends is needed")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ProfileError(f"{where} = {value!r}; a list is needed")
    return value


def _number(value: Any, where: str, low: float, high: float, whole: bool) -> Any:
    # TOML knows true and false, which Python counts among the integers.
    right_kind = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not right_kind or not math.isfinite(value) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise ProfileError(f"{where} = {value!r}; {kind} from {low:g} to {high:g} is needed")
    return value if whole else float(value)


def _impossible(
    line: LineMarks,
    commands: Commands,
    integration: Integration,
    lamp: Lamp,
    values: ValuesFormat,
    wavelengths: Wavelengths,
    given: Mapping[str, Any],
) -> list[str]:
    """What does not go together, in words."""
    raw, per_band = values.delivers == "counts", values.lines == "per_band"
    texts = [commands.firmware, commands.serial_number, *lamp.on, *lamp.off, *(s.send for s in commands.init)]
    texts += [commands.identify.send] if commands.identify else []
    sources = [bool(wavelengths.nm), bool(wavelengths.polynomial), bool(values.wavelength_column)]
    checks = [
        (not commands.acquire, "ascii.commands.acquire is missing: the command that measures"),
        (_unknown_fields(commands.acquire, "scans"), "ascii.commands.acquire may hold {scans} and no other braces"),
        (any("{" in text or "}" in text for text in texts), "only acquire and integration commands may hold braces"),
        (
            bool(integration.command)
            and ("{value}" not in integration.command or _unknown_fields(integration.command, "value")),
            "ascii.integration.command has to hold {value} and no other braces",
        ),
        (bool(integration.command) != (integration.ms > 0), "ascii.integration needs both command and ms, or neither"),
        (
            integration.ms > 0 and round(integration.ms / integration.unit_ms) < 1,
            "ascii.integration.ms is less than one unit_ms",
        ),
        (line.ok != "" and line.ok == line.error, "ascii.ok and ascii.error are the same"),
        (
            not line.ok and any(step.expect == "" for step in commands.init),
            "without ascii.ok each step of init needs what to expect: { send = ..., expect = ... }",
        ),
        (
            not line.ok and bool(integration.command or lamp.on or lamp.off),
            "integration and lamp commands need ascii.ok, so that their end is known",
        ),
        (not raw and "dark" in given, f"ascii.values.dark is for counts, not for {values.delivers}"),
        (not raw and values.saturation > 0, f"ascii.values.saturation is for counts, not for {values.delivers}"),
        (raw and values.dark == "lamp_off" and not lamp.off, 'dark = "lamp_off" needs ascii.lamp.on and off'),
        (bool(lamp.on) != bool(lamp.off), "ascii.lamp needs both on and off, or neither"),
        (values.separator == "", 'ascii.values.separator is empty; write " " for white space'),
        (not per_band and values.wavelength_column > 0, 'ascii.values.wavelength_column needs lines = "per_band"'),
        (not per_band and "value_column" in given, 'ascii.values.value_column needs lines = "per_band"; use skip'),
        (per_band and values.skip > 0, 'ascii.values.skip is for lines = "one"; use value_column'),
        (
            per_band and values.value_column == values.wavelength_column,
            "ascii.values.value_column and wavelength_column are the same",
        ),
        (
            sum(sources) != 1,
            "wavelengths come from exactly one of ascii.wavelengths.nm, ascii.wavelengths.polynomial and "
            "ascii.values.wavelength_column",
        ),
        (
            per_band and bool(values.wavelength_column) and not line.ok,
            "lines that bring their wavelengths need ascii.ok, so that their end is known",
        ),
        (
            bool(wavelengths.polynomial) != (wavelengths.pixels >= 2),
            "ascii.wavelengths.polynomial needs pixels, 2 or more",
        ),
        (wavelengths.first_pixel > 0 and not wavelengths.polynomial, "ascii.wavelengths.first_pixel needs polynomial"),
    ]
    return [complaint for wrong, complaint in checks if wrong]


def _unknown_fields(text: str, name: str) -> bool:
    rest = text.replace("{" + name + "}", "")
    return "{" in rest or "}" in rest


def _wavelengths_nm(wavelengths: Wavelengths, source: str) -> tuple[float, ...]:
    nm = wavelengths.nm
    if wavelengths.polynomial:
        pixels = range(wavelengths.first_pixel, wavelengths.first_pixel + wavelengths.pixels)
        nm = tuple(_polynomial(wavelengths.polynomial, pixel) for pixel in pixels)
    if not nm:
        return ()
    where = f"{source}: ascii.wavelengths"
    if len(nm) < 2 or len(nm) > _MOST_BANDS:
        raise ProfileError(f"{where}: {len(nm)} bands; 2 to {_MOST_BANDS} are possible")
    wrong = [value for value in nm if not (math.isfinite(value) and 0 < value < 1e6)]
    if wrong:
        raise ProfileError(f"{where}: {wrong[0]:g} nm is no wavelength")
    rising = [b > a for a, b in pairwise(nm)]
    if wavelengths.polynomial and any(rising) != all(rising):
        raise ProfileError(f"{where}.polynomial turns back inside the pixels; is a coefficient wrong?")
    if len(set(nm)) != len(nm):
        raise ProfileError(f"{where}: a wavelength comes twice")
    return nm


def _polynomial(coefficients: tuple[float, ...], x: int) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
