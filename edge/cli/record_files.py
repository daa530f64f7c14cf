"""Readings in files: CSV in long or wide form, JSON lines, maps. For `log`, `day` and the page alike."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, TypeVar

import click

from ...converters.spectra.files import replacing
from ..record import ReadingRecord
from .output import Layout, Output
from .readings import reading_layout

if TYPE_CHECKING:
    from ..log.day import Day

F = TypeVar("F", bound=Callable[..., Any])
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
DECIMALS = {"point": ".", "comma": ","}
MAPS = ("geojson", "gpkg")


@dataclass(frozen=True)
class CsvForm:
    """How CSV is written.

    Attributes:
        wide: one row for each sample, with columns for each element; else one for each estimate.
        separator, decimal: names of `SEPARATORS` and `DECIMALS`.
    """

    wide: bool = False
    separator: str = "comma"
    decimal: str = "point"

    def wrong(self) -> str:
        """Say what cannot be; "" if nothing."""
        if self.separator not in SEPARATORS or self.decimal not in DECIMALS:
            return f"the separator is {', '.join(SEPARATORS)}, the decimal {', '.join(DECIMALS)}"
        both = (self.separator, self.decimal) == ("comma", "comma")
        return "--decimal comma needs another --separator: semicolon or tab" if both else ""


def csv_options(command: F) -> F:
    """`--wide`, `--separator`, `--decimal`."""
    for option in (
        click.option(
            "--decimal",
            type=click.Choice(list(DECIMALS)),
            default="point",
            show_default=True,
            help="In numbers of CSV.",
        ),
        click.option(
            "--separator",
            type=click.Choice(list(SEPARATORS)),
            default="comma",
            show_default=True,
            help="Between cells of CSV.",
        ),
        click.option("--wide", is_flag=True, help="In CSV one row for each sample, with columns for each element."),
    ):
        command = option(command)
    return command


def csv_form(wide: bool, separator: str, decimal: str, is_csv: bool) -> CsvForm:
    """Give the form that was asked for. Raises UsageError: it cannot be, or nothing is written as CSV."""
    form = CsvForm(wide, separator, decimal)
    if why := form.wrong():
        raise click.UsageError(why)
    if form != CsvForm() and not is_csv:
        raise click.UsageError("--wide, --separator and --decimal are forms of CSV: --export OUT.csv --wide")
    return form


class Written(NamedTuple):
    """What a file holds.

    Attributes:
        rows: readings or samples, as `what` says.
        what: of them, in words.
        left_out: readings without a position, which a map cannot have.
    """

    rows: int
    what: str
    left_out: int = 0


def write_csv(records: Iterable[ReadingRecord], text: TextIO | None, elements: Sequence[str], form: CsvForm) -> int:
    """Write CSV, to standard output without a `text`; give how many readings, or samples, it has."""
    cells = (SEPARATORS[form.separator], DECIMALS[form.decimal])
    if not form.wide:
        return Output("csv", reading_layout({"sample": "sample"}), text, *cells).write(records)
    from ..log.wide import wide_names, wide_rows

    rows: Layout[dict[str, Any]] = Layout(dict, wide_names(elements))
    return Output("csv", rows, text, *cells).write(wide_rows(records, elements))


def write_readings(
    records: Iterable[ReadingRecord], out: str, as_format: str, elements: Sequence[str], form: CsvForm
) -> Written:
    """Write a file, which appears when it is whole: "csv", "jsonl", "geojson" or "gpkg".

    Raises:
        ExportError: no reading has a position, or the file cannot be written.
        OSError: the file cannot be written.
    """
    if as_format in MAPS:
        from ..log.export import write_geojson, write_geopackage

        written = (write_geojson if as_format == "geojson" else write_geopackage)(out, records, elements)
        return Written(written.placed, "readings", written.left_out)
    with replacing(out) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="\n")
        if as_format == "csv":
            count = write_csv(records, text, elements, form)
        else:
            count = Output(as_format, reading_layout({"sample": "sample"}), text).write(records)
        text.detach()
    return Written(count, "samples" if as_format == "csv" and form.wide else "readings")


def write_day(day: Day, out: str, form: str, csv: CsvForm) -> Written:
    """Write what a day came to: "html", "xlsx" or "csv". Raises ExportError, OSError."""
    if form == "xlsx":
        from ..log.day_workbook import write_workbook

        write_workbook(day, out)
    elif form == "html":
        from ..log.day_page import day_page

        with replacing(out) as file:
            file.write(day_page(day).encode("utf-8", "replace"))
    else:
        return write_readings(day.readings, out, form, day.elements, csv)
    return Written(len(day.readings), "readings")
