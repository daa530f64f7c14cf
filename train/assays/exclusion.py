"""The paper's rule for outliers: samples above a grade are left out, whatever is estimated of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...edge.units import shown_unit

if TYPE_CHECKING:
    from .table import AssayTable


@dataclass(frozen=True)
class Exclusion:
    """A grade that samples are left out above.

    Attributes:
        limit: in the assays' unit.
        element: whose grade; "" for the one that is estimated. Carvalho et al. 2024 left soils above 1000 ppm Sb out of
            the models of all five elements.
    """

    limit: float
    element: str = ""

    def __str__(self) -> str:
        return f"{self.element}={self.limit:g}" if self.element else f"{self.limit:g}"


@dataclass(frozen=True)
class Excluded:
    """What a rule leaves out.

    Attributes:
        names: of samples that are above another element's limit, a bound such as >4000 included.
        limit: of the estimated element's own values; None where the rule is about another element.
        words: such as "Sb above 1000 ppm"; "" for no rule.
    """

    names: frozenset[str] = frozenset()
    limit: float | None = None
    words: str = ""


def names_above(table: AssayTable, rule: Exclusion | None) -> Excluded:
    """Apply a rule to a table of assays.

    Raises:
        AssayFileError: the table has no such element.
    """
    if rule is None:
        return Excluded()
    if not rule.element:
        return Excluded(limit=rule.limit)
    assays = table.assays(rule.element)
    above = (
        name
        for name, assay in assays.values.items()
        if assay.value > rule.limit or (assay.censored == ">" and assay.value >= rule.limit)
    )
    below = {name for name, assay in assays.values.items() if assay.censored == "<"}
    return Excluded(frozenset(above) - below, None, f"{assays.element} above {rule.limit:g} {shown_unit(assays.unit)}")
