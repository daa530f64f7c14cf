"""Values of laboratories."""

from __future__ import annotations

from dataclasses import dataclass

from ...edge.assay_values import Bound


@dataclass(frozen=True)
class Assay:
    """One laboratory value.

    Attributes:
        value: the value, or the bound if it is censored; in the column's unit.
        censored: "" for a plain value, "<" for one below `value`, ">" for one above it.
    """

    value: float
    censored: Bound = ""


def as_reported(assay: Assay) -> str:
    """Write a value or bound as a laboratory does."""
    return f"{assay.censored}{assay.value:.15g}"
