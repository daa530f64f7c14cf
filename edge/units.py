"""Units of an element's content, in one table: read from a column's name, compared, converted and shown.

A new unit is one line of `UNITS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class ContentUnit:
    """A unit of content by mass.

    Attributes:
        name: as the package writes it, and as a column's name may end.
        ppm: ppm (mg/kg) in one of it.
        shown: as people write it, which is understood as well.
        also: other ways to write it, in lower case; for a unit with a slash those with a negative power follow from
            `shown`.
    """

    name: str
    ppm: float
    shown: str
    also: tuple[str, ...] = ()


UNITS = [
    ContentUnit("ppm", 1.0, "ppm"),
    ContentUnit("ppb", 1e-3, "ppb"),
    ContentUnit("pct", 1e4, "%", ("percent", "per cent", "wt%", "wt.%", "wt. %", "wt %", "mass %", "% w/w")),
    ContentUnit("permil", 1e3, "‰", ("per mil", "per mille")),
    ContentUnit("g_t", 1.0, "g/t", ("gpt",)),
    ContentUnit("g_kg", 1e3, "g/kg"),
    ContentUnit("mg_kg", 1.0, "mg/kg"),
    ContentUnit("ug_g", 1.0, "ug/g", ("mcg/g",)),
    ContentUnit("ug_kg", 1e-3, "ug/kg", ("mcg/kg",)),
]


def find_unit(name: str) -> ContentUnit | None:
    """Find a unit by its name or by how people write it, such as mg/kg, µg g-1, wt%; None if there is none."""
    return _spellings(tuple(UNITS)).get(_spelled(name))


_DRY = re.compile(r"(?<=\w) \(?(?:ts|tm|ms|mt|dm|dw|d\.w\.|d\.m\.|dry(?: matter| weight)?)\)?$")
"""Of dry matter, in German, French and English: as soils are analysed everywhere."""


def _spelled(text: str) -> str:
    """Bring a unit's different ways of writing together: case, the letter µ, powers in place of a slash."""
    text = _DRY.sub("", " ".join(re.sub("[µμ]", "u", text.lower()).replace("⁻¹", "-1").split()))
    return re.sub(r"([a-z])[ .·*]([a-z]+) ?\^?-1", r"\1/\2", text)


@lru_cache(maxsize=4)
def _spellings(units: tuple[ContentUnit, ...]) -> dict[str, ContentUnit]:
    return {_spelled(text): unit for unit in units for text in (unit.name, unit.shown, *unit.also)}


def unit_names() -> str:
    """List all units, for messages."""
    return ", ".join(unit.name for unit in UNITS)


def shown_unit(name: str) -> str:
    """Write a unit as people do, such as mg/kg for mg_kg; one that is not in the table as it is."""
    unit = find_unit(name)
    return unit.shown if unit else name


def same_unit(first: str, second: str) -> bool:
    """Say whether two units are of one size, as mg_kg and ppm are."""
    a, b = find_unit(first), find_unit(second)
    return a.ppm == b.ppm if a and b else first == second


def conversion(unit: str, to: str) -> float:
    """Give what a value in one unit is multiplied by to be in another.

    Raises:
        ValueError: a unit that is not in the table.
    """
    if same_unit(unit, to):
        return 1.0
    a, b = find_unit(unit), find_unit(to)
    if a is None or b is None:
        raise ValueError(f"there is no unit {unit if a is None else to}; there are {unit_names()}")
    return a.ppm / b.ppm


def plain(value: float, digits: int = 4) -> str:
    """Write a figure with so many digits at most and no exponent: 0.0409, 12340."""
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    decimals = digits - 1 - int(text.partition("e")[2])
    return f"{float(text):.{decimals}f}".rstrip("0") if decimals > 0 else f"{float(text):.0f}"


def split_column(name: str) -> tuple[str, str] | None:
    """Split a column's name into what is measured and its unit; None without a unit.

    Such as total_carbon_pct, Sb (mg/kg), Clay (%), Sb [µg g-1], Sb, ppm: any unit that `find_unit` finds, behind a
    separator or in brackets.
    """
    text = name.strip()
    if found := _IN_BRACKETS(text):
        unit = find_unit(found[2])
        return (found[1], unit.name) if unit else None
    for separator in _SEPARATOR.finditer(text):
        # From the left, so that Sb_mg_kg is no element Sb_mg.
        what, unit = text[: separator.start()].rstrip(" _,.:;-"), find_unit(text[separator.end() :])
        if what and unit:
            return what, unit.name
    return (found[1], "pct" if found[2] == "%" else "permil") if (found := _SIGN_AT_END(text)) else None


_IN_BRACKETS = re.compile(r"(.*[^\s_,.:;-])[\s_,.:;-]*[(\[]\s*([^()\[\]]+?)\s*[)\]]").fullmatch
_SIGN_AT_END = re.compile(r"(.*[^\W_])[\s_,.:;-]*([%‰])").fullmatch
_SEPARATOR = re.compile(r"[\s_,.:;-]")
