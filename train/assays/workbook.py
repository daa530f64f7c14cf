"""Sheets of a spreadsheet's .xlsx workbook, as the text that a person sees in them."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from datetime import date, datetime
from typing import Any

from ...edge.assay_values import ExactNumber
from ..errors import AssayFileError, MissingTrainingSideError

ZIP_MAGIC = b"PK\x03\x04"
MOST_BYTES = 200_000_000
MOST_COLUMNS = 5_000
"""Of an unpacked workbook and of a sheet; more is no table of assays."""

Row = tuple[int, list[str]]


def read_workbook(data: bytes, source: str) -> dict[str, list[Row]]:
    """Read the sheets of a workbook that hold anything.

    Returns:
        Name -> rows that are not empty, with their numbers.

    Raises:
        AssayFileError: no workbook, a damaged or huge one, or a formula whose result is not stored.
        MissingTrainingSideError: openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError:
        raise MissingTrainingSideError(
            f"{source}: reading .xlsx needs openpyxl, which is not installed here: pip install openpyxl, or save the "
            "sheet as CSV UTF-8"
        ) from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(member.file_size for member in packed.infolist()) > MOST_BYTES:
                raise AssayFileError(f"{source}: is larger than {MOST_BYTES:,} bytes unpacked; save the sheet as CSV")
        with warnings.catch_warnings():
            # Of styles and extensions that it passes over.
            warnings.simplefilter("ignore")
            shown = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            typed = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
            return {
                sheet.title: rows for sheet in shown.worksheets if (rows := _rows(sheet, typed[sheet.title], source))
            }
    except (AssayFileError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  (the library lets out any error of its XML and ZIP readers)
        raise AssayFileError(
            f"{source}: is no workbook that can be read ({type(error).__name__}); save it again as .xlsx, or the sheet "
            "as CSV UTF-8"
        ) from None


def _rows(sheet: Any, typed: Any, source: str) -> list[Row]:
    rows = []
    # What a workbook says of its size may be anything.
    sheet.reset_dimensions()
    typed.reset_dimensions()
    for number, (cells, formulas) in enumerate(zip(sheet.iter_rows(), typed.iter_rows(), strict=True), 1):
        if len(cells) > MOST_COLUMNS:
            raise AssayFileError(f"{source}: sheet {sheet.title} has more than {MOST_COLUMNS} columns; save it as CSV")
        for cell, formula in zip(cells, formulas, strict=True):
            if cell.value is None and isinstance(formula.value, str) and formula.value.startswith("="):
                raise AssayFileError(
                    f"{source}: sheet {sheet.title}, cell {formula.coordinate} is a formula without its result; open "
                    "the workbook in a spreadsheet program and save it again"
                )
        fields = [_text(cell) for cell in cells]
        if any(fields):
            rows.append((number, fields))
    return rows


def _text(cell: Any) -> str:
    """Return what a cell shows."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        whole_day = isinstance(value, datetime) and value == datetime.combine(value, datetime.min.time())
        return value.strftime("%Y-%m-%d") if whole_day and isinstance(value, date) else str(value).strip()
    # Colours and conditions stand in brackets; what else a format adds to a number, a person reads with it.
    form = re.sub(r"\[[^\]]*\]", "", str(cell.number_format or "")).split(";")[0]
    sign = next((sign for sign in "<>" if sign in form), "")
    percent = "%" in form
    text = f"{sign}{value * 100 if percent else value:.15g}{'%' if percent else ''}"
    return ExactNumber(text)
