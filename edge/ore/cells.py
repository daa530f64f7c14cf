"""Fields of a table of blocks: text to a value and a bound, or one line on what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.text import shortened
from ..assay_values import parse_content
from ..units import find_unit
from .columns import Variable

BELOW, EXACT, ABOVE = -1, 0, 1
"""Bounds: the true value is below the one given, is it, is above it."""

Cell = tuple[float, int]
ReadCell = Callable[[str], Cell]
_PLAIN = re.compile(r"[0-9]{1,30}(?:\.[0-9]{0,30})?").fullmatch
_WHOLE = re.compile(r"[0-9]{1,30}").fullmatch
"""Most assays; a match is cheaper than an exception for those that are not."""


def field_reader(variable: Variable, missing: Sequence[str], decimal: str = "") -> ReadCell:
    """Give what reads one variable's field into (value, bound), and raises ValueError with what is wrong.

    A class takes its words, whatever their case, and where none of them is a number the codes 1 to the number of words.
    Each distinct field of a class is parsed once.

    Args:
        variable: what the column is.
        missing: fields that say "not known".
        decimal: the decimal mark of an assay; "" where nothing tells what a comma would be, then none may be there.
    """
    absent = {m.strip().casefold() for m in missing}
    if variable.kind != "assay":
        known: dict[str, Cell] = dict.fromkeys(absent, (math.nan, EXACT))
        known |= {word.casefold(): (float(code), EXACT) for code, word in enumerate(variable.words, 1)}
        return lambda field: _class_cell(field, variable, known)
    most = most_of(variable.unit)
    return lambda field: _assay_cell(field, absent, most, variable.shown_unit, decimal)


def most_of(unit: str) -> float:
    """Return the most there can be: all of the rock, or in a unit that is none of content what only a slip exceeds."""
    found = find_unit(unit)
    return 1e6 / found.ppm if found else 1e12


def _class_cell(field: str, variable: Variable, known: dict[str, Cell]) -> Cell:
    found = known.get(field)
    if found is None:
        found = known.get(field.strip().casefold())
    if found is not None:
        return found
    try:
        code = float(field)
    except ValueError:
        code = math.nan
    if variable.coded and code in range(1, len(variable.words) + 1):
        known[field] = code, EXACT
        return known[field]
    raise ValueError(f"{shortened(field)} is no class; known are {variable.choices}")


def _assay_cell(field: str, absent: set[str], most: float, unit: str, decimal: str) -> Cell:
    text = field.strip()
    if text.casefold() in absent:
        return math.nan, EXACT
    if "," in text and not decimal:
        raise ValueError(f"{shortened(field)} is no value; write 12.3, without a comma")
    content = parse_content(text, decimal or ".")
    if content is None:
        return math.nan, EXACT
    if content.without_limit:
        raise ValueError(f"{shortened(field)} does not say below what; write the detection limit, such as <0.02")
    if content.value > most:
        raise ValueError(f"{shortened(field)} is more than there can be; {most:g} {unit} would be all of the rock")
    return content.value, {"<": BELOW, ">": ABOVE, "": EXACT}[content.bound]


def read_column(
    fields: Sequence[str],
    variable: Variable,
    read: ReadCell,
    values: NDArray[np.float64],
    bounds: NDArray[np.int8],
    dots: bool = True,
) -> dict[int, str]:
    """Fill one column's values and bounds; give what is wrong, by row.

    Plain numbers (their dots decimal marks, or with `dots` false none) and words as they stand in the columns file are
    read here, fast; all else by `read`.
    """
    quick: list[float | None]
    if variable.kind != "assay":
        codes = {word: float(code) for code, word in enumerate(variable.words, 1)}
        quick = [codes.get(field) for field in fields]
    else:
        most = most_of(variable.unit)
        plain = _PLAIN if dots else _WHOLE
        quick = [float(field) if plain(field) and float(field) <= most else None for field in fields]
    problems: dict[int, str] = {}
    for i, number in enumerate(quick):
        if number is None:
            try:
                number, bounds[i] = read(fields[i])
            except ValueError as error:
                problems[i] = str(error)
                number = math.nan
            quick[i] = number
    values[:] = quick
    return problems
