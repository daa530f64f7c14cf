"""Where the header of a table of assays is, and the one name of each column that its rows come to.

A header may be one row with elements and units (`Sb_ppm`, `Clay (%)`), or several as laboratories send them: elements,
units, method, detection limits, in any order, below lines about the client and the job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...edge.assay_values import is_not_detected, is_withheld, plain_word
from ...edge.units import find_unit, split_column
from .kinds import recognise

Row = tuple[int, list[str]]

FARTHEST = 60
"""Rows among which the header is looked for."""
_METHOD = re.compile(r"\s*[^\W\d_][\w .()/-]+\s*")
"""A method, or a laboratory's code of one, such as ICP-MS or Au-AA23."""
BLOCK = 4
"""Rows between the elements and their units at most."""

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
    "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt "
    "Au Hg Tl Pb Bi Th U"
)
_ELEMENTS = "analyte analytes analytesymbol element elements parameter parameters component"
_NO_SAMPLES = (
    "method methods methodcode analysismethod analyticalmethod technique digestion instrument unit units unitsymbol "
    "upperlimit upperdetectionlimit upperlimitofdetection udl uloq scheme package lab laboratory " + _ELEMENTS
)
"""What rows of a header are called that hold no sample."""
_NAMES = (
    "sample samples sampleid samplename sampleno samplenumber samplenr samplecode sampledescription sampleident "
    "sampleidentification name"
)
SYMBOLS, ELEMENTS, NO_SAMPLES, NAMES = (
    frozenset(words.split()) for words in (_SYMBOLS, _ELEMENTS, _NO_SAMPLES, _NAMES)
)


@dataclass(frozen=True)
class Table:
    """A table with one name a column.

    Attributes:
        header: such as Sb_ppm; "" for a column without a name.
        rows: those of detection limits that stand in the header among them.
        where: rows that the header was read from.
        above: rows above the header, such as a laboratory's address.
        elements: how many columns have a unit.
    """

    header: list[str]
    rows: list[Row]
    where: tuple[int, ...]
    above: int
    elements: int


def is_name(field: str) -> bool:
    """Say whether a column's name is that of the samples' names."""
    return plain_word(field) in NAMES


def find_table(rows: Sequence[Row]) -> Table:
    """Find the header of a table and give it as one row; its first row where none has a unit.

    Args:
        rows: that are not empty, with their numbers; at least one.
    """
    # Spreadsheets break long names into lines.
    top = [[" ".join(field.split()) for field in fields] for _, fields in rows[:FARTHEST]]
    alone = max(range(len(top)), key=lambda at: (len(_named_with_units(top[at])), len(top[at]) > 1))
    units = max(range(len(top)), key=lambda at: len(_units(top[at])))
    # What each column of elements is in.
    columns, in_units = _named_with_units(top[alone]), _units(top[units])
    elements = _element_row(top, units, in_units) if len(in_units) > len(columns) else None
    first = last = alone
    if elements is not None:
        columns, first, last = in_units, min(elements, units), max(elements, units)
    unnamed = elements is not None and not any(map(is_name, [*top[first], *top[last]]))
    # Units, methods and limits may stand below as well.
    end = next((at for at in range(last + 1, len(rows)) if not _is_header(rows[at][1], columns, unnamed)), len(rows))
    header = top[alone]
    if elements is not None:
        block = top[max(0, first - BLOCK) : end]
        header = [_name_of([row[at] for row in block if at < len(row)]) for at in range(len(top[units]))]
        for at, unit in columns.items():
            header[at] = f"{top[elements][at]}_{unit}"
    name_at = next((at for at, name in enumerate(header) if is_name(name)), 0)
    limits = [
        (
            number,
            [field if field.strip() or at != name_at else _label(fields, columns) for at, field in enumerate(fields)],
        )
        for number, fields in rows[max(0, first - BLOCK) : end]
        if _is_limits(fields, columns)
    ]
    where = tuple(dict.fromkeys((rows[first][0], rows[last][0])))
    return Table(header, [*limits, *rows[end:]], where, first, len(columns))


def _named_with_units(fields: Sequence[str]) -> dict[int, str]:
    # A line of text is no header, although it may say "all values in ppm".
    splits = {at: split_column(field) for at, field in enumerate(fields)} if len(list(filter(None, fields))) > 1 else {}
    return {at: split[1] for at, split in splits.items() if split}


def _units(fields: Sequence[str]) -> dict[int, str]:
    return {at: unit.name for at, field in enumerate(fields) if (unit := find_unit(field))}


def _element_row(top: Sequence[Sequence[str]], units: int, columns: Mapping[int, str]) -> int | None:
    """Find the row that names what each of the columns of a row of units holds."""

    def score(at: int) -> tuple[bool, int, bool, int]:
        symbols = sum(_is_symbol(field.strip()) for field in _of(top[at], columns))
        return plain_word(_label(top[at], columns)) in ELEMENTS, symbols, at < units, -abs(at - units)

    def is_one(at: int) -> bool:
        fields = _of(top[at], columns)
        return len(fields) == len(columns) and all(
            re.match(r"[^\W\d_]", field.strip()) and not find_unit(field) for field in fields
        )

    near = range(max(0, units - BLOCK), min(len(top), units + BLOCK + 1))
    return max((at for at in near if at != units and is_one(at)), key=score, default=None)


def _is_symbol(field: str) -> bool:
    return field in SYMBOLS or (field.isupper() and field.capitalize() in SYMBOLS and not is_not_detected(field))


def _name_of(texts: Sequence[str]) -> str:
    return next(filter(is_name, texts), next((text for text in reversed(texts) if text), ""))


def _is_header(fields: Sequence[str], columns: Mapping[int, str], unnamed: bool) -> bool:
    """Say whether a row below the elements is no sample.

    Such as units, methods, limits, or the names of the other columns where they are `unnamed` so far.
    """
    label, values = plain_word(_label(fields, columns)), [field for field in _of(fields, columns) if field.strip()]
    if label in NO_SAMPLES or _is_limits(fields, columns):
        return True
    if not values:
        return unnamed and any(map(is_name, fields))
    if label:
        return False
    # Other units than those of the columns' names are left to be refused as values.
    in_units = len(_units(fields)) == len(values) and _units(fields).items() <= columns.items()
    return in_units or all(
        _METHOD.fullmatch(value) and not (is_not_detected(value) or is_withheld(value)) for value in values
    )


def _is_limits(fields: Sequence[str], columns: Mapping[int, str]) -> bool:
    """Say whether a row holds detection limits."""
    values = any(re.search(r"\d", field) for field in _of(fields, columns))
    return values and recognise(_label(fields, columns), None, ())[0] == "mdl"


def _label(fields: Sequence[str], columns: Mapping[int, str]) -> str:
    return next((field.strip() for at, field in enumerate(fields) if at not in columns and field.strip()), "")


def _of(fields: Sequence[str], columns: Mapping[int, str]) -> list[str]:
    return [fields[at] for at in columns if at < len(fields)]
