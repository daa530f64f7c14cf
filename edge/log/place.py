"""Places as people type them: 41.15,-8.36 or 41,15; -8,36 or 41.15N 8.36W or 41°09'N 8°21'36"W, and a height."""

from __future__ import annotations

import re

from ...converters.spectra.spectrum import Position
from ..errors import PositionError

EXAMPLES = "41.15,-8.36 or 41.15 N 8.36 W"

_SIGNS = str.maketrans("−–’′‘´”″“º", "--''''\"\"\"°")
_NUMBER = r"\d+(?:[.,]\d+)?|\.\d+"
_ANGLE = rf"""(?:({_NUMBER})\s*°?\s*(?:({_NUMBER})\s*'\s*)?(?:({_NUMBER})\s*(?:"|'')\s*)?)"""
_HEIGHT = rf"(?:[\s,;]\s*([+-]?(?:{_NUMBER}))\s*m?)?"
_LETTERS_BEHIND = re.compile(rf"{_ANGLE}\s*([NSEW])\s*[,;]?\s*{_ANGLE}\s*([NSEW]){_HEIGHT}", re.IGNORECASE)
_LETTERS_BEFORE = re.compile(rf"([NSEW])\s*{_ANGLE}\s*[,;]?\s*([NSEW])\s*{_ANGLE}{_HEIGHT}", re.IGNORECASE)
_PLAIN = re.compile(rf"[+-]?(?:{_NUMBER})")


def is_place(text: str) -> bool:
    """Tell whether a text is meant as latitude, longitude and perhaps height."""
    return re.match(r"\s*[NSEW]?\s*[+-]?\.?\d", text.translate(_SIGNS), re.IGNORECASE) is not None


def parse_place(text: str) -> Position:
    """Read latitude, longitude and perhaps height, in degrees and metres.

    Between them stand commas, semicolons or blanks; what has letters may have minutes and seconds, and longitude first.
    Commas within numbers are understood where they can be nothing else, as in "41,15; -8,36" and "41,15 -8,36".

    Raises:
        PositionError: no place, or one that can be read in two ways.
    """
    plain = text.translate(_SIGNS).strip()
    if found := _LETTERS_BEHIND.fullmatch(plain):
        *first, first_side, d, m, s, second_side, height = found.groups()
    elif found := _LETTERS_BEFORE.fullmatch(plain):
        first_side, *first, second_side, d, m, s, height = found.groups()
    else:
        return _on_earth(text, *_numbers(text, plain))
    sides = {first_side.upper(): first, second_side.upper(): [d, m, s]}
    north, east = (next((side for side in sides if side in pair), "") for pair in ("NS", "EW"))
    if not north or not east:
        raise PositionError(f"{text!r}: one of the two is N or S, the other E or W; write {EXAMPLES}")
    latitude, longitude = (_degrees(text, sides[side]) * (-1 if side in "SW" else 1) for side in (north, east))
    return _on_earth(text, latitude, longitude, None if height is None else _number(height))


def _numbers(text: str, plain: str) -> list[float]:
    """Give two or three numbers without letters."""
    if ";" in plain:
        parts = plain.split(";")
    elif "." in plain or "," not in plain or not re.search(r"\d,\d+\s", plain):
        parts = re.split(r"\s*,\s*|\s+", plain.replace("°", " ").strip())
    else:
        # A comma within each number and blanks between them: 41,15 -8,36. Else nobody can say what a comma is.
        parts = plain.split()
        if not all(re.fullmatch(r"[+-]?\d+,\d+", part) for part in parts):
            parts = []
    parts = [part.strip(" °") for part in parts]
    if len(parts) == 3 and not re.search("[,;]", plain) and parts[0].lstrip("+-").isdigit():
        # Whole degrees, then blanks: 41 15 -8 may be a height, or degrees and minutes.
        parts = []
    if len(parts) not in (2, 3) or not all(_PLAIN.fullmatch(part) for part in parts):
        raise PositionError(f"{text!r}: no place, or one with two meanings; write degrees with a point, as {EXAMPLES}")
    return [_number(part) for part in parts]


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _degrees(text: str, parts: list[str | None]) -> float:
    """Add degrees, minutes and seconds up; what has smaller parts is whole."""
    given = [part for part in parts if part is not None]
    values = [0.0 if part is None else _number(part) for part in parts]
    if any(not part.isdigit() for part in given[:-1]) or values[1] >= 60 or values[2] >= 60:
        raise PositionError(f"{text!r}: what has smaller parts behind it is whole, minutes and seconds are below 60")
    return values[0] + values[1] / 60 + values[2] / 3600


def _on_earth(text: str, latitude: float, longitude: float, height: float | None = None) -> Position:
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise PositionError(f"{text!r}: latitude is -90 to 90 and comes first, longitude -180 to 180")
    return Position(latitude, longitude, height)
