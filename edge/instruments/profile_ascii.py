"""The `[ascii]` part of a probe profile: a line-oriented spectrometer, described from its commands to its wavelengths.

`firmware_configs/probes/ascii_spectrometer.toml` shows every key; docs/ascii_spectrometers.md explains them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Annotated, Any

from ..limits import Within
from ..protocols.ascii_lines import AsciiText, LineMarks, ValuesFormat, read_ascii_text
from ..toml_file import Where, read_list, read_section

_MOST_BANDS = 65535


@dataclass(frozen=True)
class CommandStep:
    """A command and what its answer has to begin with; "" where any answer that is no error will do."""

    send: str
    expect: str = ""


def _read_command(value: Any, where: Where) -> str:
    text = read_ascii_text(value, where)
    if not text:
        raise where.says(f"{where.path}: an empty command")
    return text


def _read_commands(value: Any, where: Where) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else read_list(value, where)
    return tuple(_read_command(item, where) for item in items)


def _read_step(value: Any, where: Where) -> CommandStep:
    if isinstance(value, str):
        return CommandStep(_read_command(value, where))
    if not isinstance(value, dict) or "send" not in value or set(value) - {"send", "expect"}:
        raise where.says(f'{where.path}: write "COMMAND" or {{ send = "COMMAND", expect = "ANSWER" }}')
    return CommandStep(_read_command(value["send"], where), read_ascii_text(value.get("expect", ""), where))


@dataclass(frozen=True)
class Commands:
    """What is sent. `acquire` may hold `{scans}`; where it does not, this program averages the scans."""

    acquire: AsciiText = ""
    identify: Annotated[CommandStep | None, _read_step] = None
    firmware: AsciiText = ""
    serial_number: AsciiText = ""
    init: tuple[Annotated[CommandStep, _read_step], ...] = ()


@dataclass(frozen=True)
class Integration:
    """Integration time: `command` holds `{value}`, which is `ms` / `unit_ms` rounded to a whole number."""

    command: AsciiText = ""
    ms: Annotated[float, Within(0, 1e7, "ms")] = 0.0
    unit_ms: Annotated[float, Within(1e-6, 1e6, "ms")] = 1.0


@dataclass(frozen=True)
class Lamp:
    """Commands that switch the lamp, and seconds until its light is steady."""

    on: Annotated[tuple[str, ...], _read_commands] = ()
    off: Annotated[tuple[str, ...], _read_commands] = ()
    settle_s: Annotated[float, Within(0, 600, "seconds")] = 0.0


@dataclass(frozen=True)
class Wavelengths:
    """Wavelengths in the order in which the values come: `nm`, or a polynomial of the pixel number."""

    nm: Annotated[tuple[float, ...], Within(-1e12, 1e12)] = ()
    polynomial: Annotated[tuple[float, ...], Within(-1e12, 1e12)] = ()
    pixels: Annotated[int, Within(0, _MOST_BANDS)] = 0
    first_pixel: Annotated[int, Within(0, _MOST_BANDS)] = 0


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


@dataclass(frozen=True)
class _Sections:
    """What the sections of `[ascii]` hold; its own keys are those of `LineMarks`."""

    commands: Commands = field(default_factory=Commands)
    integration: Integration = field(default_factory=Integration)
    lamp: Lamp = field(default_factory=Lamp)
    values: ValuesFormat = field(default_factory=ValuesFormat)
    wavelengths: Wavelengths = field(default_factory=Wavelengths)


def read_ascii(table: Any, where: Where) -> AsciiProfile:
    """Read the `[ascii]` table of a profile.

    Raises:
        ProfileError: an unknown key, a value of the wrong kind or range, or two that do not go together.
    """
    names = [own.name for own in fields(_Sections)]
    line = read_section(LineMarks, table, where, also=names)
    parts = read_section(_Sections, {key: value for key, value in table.items() if key in names}, where)
    for complaint in _impossible(line, parts, table.get("values", {})):
        raise where.says(complaint)
    nm = _wavelengths_nm(parts.wavelengths, where.at("wavelengths"))
    return AsciiProfile(line, parts.commands, parts.integration, parts.lamp, parts.values, nm)


def _impossible(line: LineMarks, parts: _Sections, given: Mapping[str, Any]) -> list[str]:
    """What does not go together, in words."""
    commands, integration, lamp = parts.commands, parts.integration, parts.lamp
    values, wavelengths = parts.values, parts.wavelengths
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


def _wavelengths_nm(wavelengths: Wavelengths, where: Where) -> tuple[float, ...]:
    nm = wavelengths.nm
    if wavelengths.polynomial:
        pixels = range(wavelengths.first_pixel, wavelengths.first_pixel + wavelengths.pixels)
        nm = tuple(_polynomial(wavelengths.polynomial, pixel) for pixel in pixels)
    if not nm:
        return ()
    if len(nm) < 2 or len(nm) > _MOST_BANDS:
        raise where.says(f"{where.path}: {len(nm)} bands; 2 to {_MOST_BANDS} are possible")
    wrong = [value for value in nm if not (math.isfinite(value) and 0 < value < 1e6)]
    if wrong:
        raise where.says(f"{where.path}: {wrong[0]:g} nm is no wavelength")
    rising = [b > a for a, b in pairwise(nm)]
    if wavelengths.polynomial and any(rising) != all(rising):
        raise where.says(f"{where.path}.polynomial turns back inside the pixels; is a coefficient wrong?")
    if len(set(nm)) != len(nm):
        raise where.says(f"{where.path}: a wavelength comes twice")
    return nm


def _polynomial(coefficients: tuple[float, ...], x: int) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
