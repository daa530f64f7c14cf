"""A day as a workbook (.xlsx), a sheet for each thing; needs the extra `xlsx`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...converters.spectra.files import replacing
from ..errors import ExportError, installing
from ..record import FLAT_NAMES, as_rows
from .day import Day
from .wide import wide_names, wide_rows


def write_workbook(day: Day, out: str) -> None:
    """Write the workbook; the file appears when it is whole.

    Raises:
        ExportError: the extra is not installed.
        OSError: it cannot be written.
    """
    try:
        from openpyxl import Workbook
    except ModuleNotFoundError:
        raise ExportError(f"{out}: openpyxl is not installed; run: {installing('xlsx')}") from None
    book = Workbook()
    book.remove(book.active)
    names = wide_names(day.elements)
    _sheet(book, "samples", names, ([row[name] for name in names] for row in wide_rows(day.readings, day.elements)))
    long = [row for record in (*day.readings, *day.void) for row in as_rows(record)]
    _sheet(book, "readings", FLAT_NAMES, ([row[name] for name in FLAT_NAMES] for row in long))
    passed = {True: "passed", False: "FAILED", None: "open"}
    controls = (
        [one.at, one.details.get("sample_id"), passed[one.details.get("passed")], one.text] for one in day.controls
    )
    _sheet(book, "controls", ("at", "sample_id", "judgement", "text"), controls)
    refused = ([one.corrected_at or one.stored_at, one.sample_id, one.source, one.reason] for one in day.refused)
    _sheet(book, "refused", ("at", "sample_id", "source", "reason"), refused)
    _sheet(book, "references", ("at", "session", "text"), ([e.at, e.session_id, e.text] for e in day.references))
    said = ([one.reading, one.sample_id, said.text] for one in (*day.readings, *day.void) for said in one.corrections)
    _sheet(book, "corrections", ("reading", "sample_id", "text"), said)
    with replacing(out) as file:
        book.save(file)


def _sheet(book: Any, title: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    sheet = book.create_sheet(title)
    sheet.append(list(names))
    for number, row in enumerate(rows, 2):
        for column, value in enumerate(row, 1):
            cell = sheet.cell(number, column, value=None)
            if isinstance(value, str):
                # As a text, whatever it begins with: a name is never a formula.
                cell.value = "".join(letter if letter.isprintable() else " " for letter in value)
                cell.data_type = "s"
            else:
                cell.value = value
    sheet.freeze_panes = "A2"
