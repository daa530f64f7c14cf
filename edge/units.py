"""Units of an element's content, in one table: read from a column's name, compared, converted and shown.

A new unit is one line of `UNITS`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ContentUnit:
    """A unit of content by mass.

    Attributes:
        name: as the package writes it, and as a column's name may end.
        ppm: ppm (mg/kg) in one of it.
        shown: as people write it, which is understood as well.
    """

    name: str
    ppm: float
    shown: str


UNITS = [
    ContentUnit("ppm", 1.0, "ppm"),
    ContentUnit("ppb", 1e-3, "ppb"),
    ContentUnit("pct", 1e4, "%"),
    ContentUnit("permil", 1e3, "‰"),
    ContentUnit("g_t", 1.0, "g/t"),
    ContentUnit("g_kg", 1e3, "g/kg"),
    ContentUnit("mg_kg", 1.0, "mg/kg"),
    ContentUnit("ug_g", 1.0, "ug/g"),
    ContentUnit("ug_kg", 1e-3, "ug/kg"),
]


def find_unit(name: str) -> ContentUnit | None:
    """Find a unit by its name or by how it is shown, upper or lower case; None if there is none."""
    lower = name.lower()
    return next((unit for unit in UNITS if lower in (unit.name, unit.shown)), None)


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


def split_column(name: str) -> tuple[str, str] | None:
    """Split a column's name such as total_carbon_pct into what is measured and its unit; None without a unit."""
    lower = name.lower()
    for unit in sorted(UNITS, key=lambda unit: -len(unit.name)):
        for ending in (unit.name, unit.shown):
            if lower.endswith(f"_{ending}") and len(name) > len(ending) + 1:
                return name[: -len(ending) - 1], unit.name
    return None
