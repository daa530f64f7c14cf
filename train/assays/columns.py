"""Columns of a table of assays: fields to values and bounds, decided from each column as a whole."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...converters.spectra.text import shortened
from ...edge.assay_values import (
    SIGNS,
    Bound,
    Content,
    DecimalMarks,
    ExactNumber,
    is_not_detected,
    is_withheld,
    parse_content,
)
from ...edge.units import conversion, find_unit, split_column, unit_names
from ..errors import AssayFileError
from .sheet import Sheet
from .values import Assay, as_reported

_QUALIFIER = re.compile(r"(?<![^\W_])(?:qual|qualifier|flag|sign|cen|cens|censored|symbol)s?(?![^\W_])", re.IGNORECASE)
_ALONE = re.compile(
    r"(?:(?:lab(?:oratory)?|data|result|final|validation)[ _.-]*)?(?:q|qual\w*|flags?|codes?)", re.IGNORECASE
)
"""What a column of qualifiers is called that is named after no element; U in it is "not detected"."""
_DETECTED = re.compile(
    r"(?:\w+[ _.-])?(?:detect(?:ed|s|ion)?|det|bdl|nd|non[ _-]?detects?|cens(?:ored)?)", re.IGNORECASE
)
_YES_OR_NO = frozenset({"y", "n", "yes", "no", "true", "false", "t", "f", "0", "1"})
ALL_PPM = 1e6
_NO_LIMIT = (
    "does not say below what; write the detection limit, such as <0.02, or give it in a row MDL; leave empty what was "
    "not determined"
)
_BOUNDS: dict[str, Bound] = {"": "", "=": "", "<": "<", "<=": "<", "≤": "<", "u": "<", ">": ">", ">=": ">", "≥": ">"}


@dataclass(frozen=True)
class Column:
    """An element and the unit its values are in."""

    element: str
    unit: str

    @property
    def name(self) -> str:
        """As a header has it, such as Sb_ppm."""
        return f"{self.element}_{self.unit}"

    def converted(self, assay: Assay, unit: str) -> Assay:
        """Give a value of this column in another unit; a bound stays a bound."""
        if unit == self.unit:
            return assay
        return replace(assay, value=assay.value * conversion(self.unit, unit))


@dataclass(frozen=True)
class ElementColumn:
    """Where an element stands in a sheet.

    Attributes:
        column: what it is.
        at: its position.
        sign_at: of the column that has its signs < and >; None without one.
    """

    column: Column
    at: int
    sign_at: int | None = None


def element_columns(sheet: Sheet) -> list[ElementColumn]:
    """Find the columns that hold elements, each with the column of its signs.

    Raises:
        AssayFileError: there is none, an element twice, or signs of which it is not said whose they are.
    """
    found = [(at, Column(*split)) for at, field in enumerate(sheet.header) if (split := split_column(field))]
    if not found:
        raise AssayFileError(
            f"{sheet.source}: no column is named <Element>_<unit>, such as Sb_ppm or Sb (mg/kg), and none has a unit "
            f"in the row below (units: {unit_names()})"
        )
    for at, column in found:
        for other_at, other in found:
            if at < other_at and column.element == other.element:
                first, second = sheet.header[at], sheet.header[other_at]
                raise AssayFileError(f"{sheet.source}: {column.element} stands in {first} and {second}; keep one")
    signs: dict[int, int] = {}
    for at, name in enumerate(sheet.header):
        if at in dict(found):
            continue
        named = [(len(word), i) for i, column in found if (word := _named_after(name, sheet.header[i], column))]
        fields = {fields[at].strip() for _, fields in sheet.rows} - {""}
        if _DETECTED.fullmatch(name.strip()) and {field.casefold() for field in fields} <= _YES_OR_NO and fields:
            raise AssayFileError(
                f"{sheet.source}: column {name!r} says by {min(fields)!r} what was detected; write < before the values "
                "that were not, and leave the column out"
            )
        if not (fields & SIGNS or (named and fields and _QUALIFIER.search(name)) or _tells_alone(name, fields)):
            continue
        meant = max(named)[1] if named else found[0][0]
        if (not named and len(found) > 1) or meant in signs:
            raise AssayFileError(
                f"{sheet.source}: column {name or at + 1!r} holds signs such as < and >; name it after its element, "
                f"such as {found[0][1].element}_qual, or write the signs before the values"
            )
        signs[meant] = at
    return [ElementColumn(column, at, signs.get(at)) for at, column in found]


def _tells_alone(name: str, fields: set[str]) -> bool:
    """Say whether a column that is named after no element holds signs in letters, and nothing else."""
    if any(is_not_detected(field) for field in fields):
        return all(is_not_detected(field) or field.casefold() in _BOUNDS or len(field) <= 2 for field in fields)
    return bool(_ALONE.fullmatch(name.strip()) and {"U", "UJ"} & {field.upper() for field in fields})


def _named_after(name: str, header: str, column: Column) -> str:
    """Return what of an element a column is named after, as Sb_qual and qualifier (Sb_ppm) are; "" for none."""
    words = (rf"(?<![^\W_]){re.escape(word)}(?![^\W_])" for word in (header, column.element))
    return next((found[0] for word in words if (found := re.search(word, name, re.IGNORECASE))), "")


def read_columns(
    sheet: Sheet, columns: Sequence[ElementColumn], wheres: Sequence[str], limits: Sequence[bool]
) -> tuple[list[tuple[Assay | None, ...]], list[str]]:
    """Read the elements of a sheet.

    Args:
        sheet: the table.
        columns: its elements.
        wheres: of each row, for messages.
        limits: of each row, whether it holds the method's detection limits.

    Returns:
        Values and bounds of each row, and notes on what is not as plain as it looks.

    Raises:
        AssayFileError: a field that is no value; the line names the first one and says how many there are.
    """
    marks = [_marks_of(sheet, column.at) for column in columns]
    together = DecimalMarks({mark: text for own in marks for mark, text in own.shown.items()})
    problems: list[tuple[int, str]] = []
    notes: list[str] = []
    read = []
    for column, own in zip(columns, marks, strict=True):
        name = sheet.header[column.at]
        try:
            decimal = own.decimal(together, sheet.usual)
        except ValueError as error:
            raise AssayFileError(f"{sheet.source}: column {name}: {error}") from None
        contents: list[Content | None] = []
        for i, (_, fields) in enumerate(sheet.rows):
            try:
                contents.append(_content(fields, column, decimal))
            except ValueError as error:
                contents.append(None)
                problems.append((i, f"{wheres[i]}, column {name}: {error}"))
        limit = _limit_of(contents, limits)
        unsaid = [i for i, content in enumerate(contents) if content is not None and content.without_limit]
        fields = [fields[column.at].strip() for _, fields in sheet.rows]
        if limit is None:
            problems += [(i, f"{wheres[i]}, column {name}: {fields[i] or '<'!r} {_NO_LIMIT}") for i in unsaid]
        read.append([c and Assay(limit.value if limit and c.without_limit else c.value, c.bound) for c in contents])
        group = "," if decimal == "." else "."
        parted = [row[column.at] for _, row in sheet.rows if group in row[column.at]]
        parted = [field for field in parted if not isinstance(field, ExactNumber)]
        for met, what in (
            ([fields[i] for i in unsaid], limit and f"taken as {as_reported(limit)}, the detection limit of the table"),
            (
                [f for f, c in zip(fields, contents, strict=True) if c is None and is_withheld(f)],
                "say that there is no value",
            ),
            (parted, f"read with {decimal!r} as the decimal mark"),
        ):
            if met and what:
                notes.append(f"{sheet.source}: {name}: {_counted(met)} {what}")
    if problems:
        more = f" ({len(problems)} fields of the table cannot be read)" if len(problems) > 1 else ""
        raise AssayFileError(min(problems)[1] + more)
    return list(zip(*read, strict=True)), notes


def _marks_of(sheet: Sheet, at: int) -> DecimalMarks:
    marks = DecimalMarks()
    for _, fields in sheet.rows:
        marks.see(fields[at])
    return marks


def _content(fields: Sequence[str], column: ElementColumn, decimal: str) -> Content | None:
    """Read one field, and the sign that stands in a column of its own; raises ValueError with what is wrong."""
    field = fields[column.at]
    content = parse_content(field, "." if isinstance(field, ExactNumber) else decimal, column.column.unit == "pct")
    unit = find_unit(column.column.unit)
    if content is not None and unit is not None and content.value * unit.ppm > ALL_PPM:
        raise ValueError(f"{field.strip()[:40]!r} {unit.shown} is more than the whole sample; is it another unit?")
    if column.sign_at is None:
        return content
    sign = fields[column.sign_at].strip()
    bound = "<" if is_not_detected(sign) else _BOUNDS.get(sign.casefold())
    if bound is None:
        raise ValueError(f"{sign[:40]!r} beside it is none of <, > and =; write one of them, or leave it empty")
    if content is None:
        return Content(math.nan, "<") if bound == "<" else None
    if bound and content.bound and bound != content.bound:
        raise ValueError(f"{fields[column.at].strip()[:40]!r} has {sign[:40]!r} beside it; leave one of them")
    if bound == "<" and content.value == 0:
        raise ValueError("<0 says nothing; give the detection limit")
    return Content(content.value, bound or content.bound)


def _limit_of(contents: Sequence[Content | None], limits: Sequence[bool]) -> Assay | None:
    """Return the detection limit of a column: of its row of limits, or the highest one that stands before a value."""
    stated = [c.value for c, is_limit in zip(contents, limits, strict=True) if is_limit and c and c.value > 0]
    met = stated or [c.value for c in contents if c and c.bound == "<" and not c.without_limit]
    return Assay(max(met), "<") if met else None


def _counted(fields: Sequence[str]) -> str:
    met = Counter(shortened(field) for field in fields).most_common(3)
    return ", ".join(f"{field} ({n} times)" if n > 1 else field for field, n in met)
