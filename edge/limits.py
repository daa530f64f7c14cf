"""Limits of a number in a TOML file, apart from the reader: spectra's rules are declared with them at each start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Within:
    """Limits of a number; `above`: it may not be `low` itself. `note` says what else there is to know."""

    low: float
    high: float
    unit: str = ""
    above: bool = False
    note: str = ""

    def __str__(self) -> str:
        """Say it behind "a number"."""
        unit = f" {self.unit}" if self.unit else ""
        first = f"above {self.low:g} and at most" if self.above else f"from {self.low:g} to"
        return f"{first} {self.high:g}{unit} is needed" + (f", {self.note}" if self.note else "")
