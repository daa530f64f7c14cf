"""`stibium day`."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from .options import log_option
from .output import Layout, Output, format_option, notice, say
from .record_files import csv_form, csv_options, write_csv, write_day
from .spectra_out import check_out, format_of

if TYPE_CHECKING:
    from ..log.day import Day

_FORMAT_OF = {".html": "html", ".htm": "html", ".xlsx": "xlsx", ".csv": "csv"}


def _date(ctx: click.Context, param: click.Parameter, text: str | None) -> date | None:
    from ..log.day import read_day

    if not text or text == "today":
        return datetime.now().astimezone().date() if text else None
    try:
        return read_day(text)
    except ValueError:
        raise click.BadParameter(f"{text} is no day; write 2026-05-06, or today", ctx, param) from None


@click.command(epilog="Example:  stibium day 2026-05-06 --export day.html --export day.xlsx")
@click.argument("day", metavar="[DATE]", required=False, callback=_date)
@click.option(
    "--export",
    "outs",
    multiple=True,
    metavar="OUT",
    type=click.Path(dir_okay=False),
    help="Write to this file, .html, .xlsx or .csv; may be repeated.",
)
@csv_options
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@log_option
@format_option
@click.pass_context
def day(
    ctx: click.Context,
    day: date | None,
    outs: tuple[str, ...],
    wide: bool,
    separator: str,
    decimal: str,
    force: bool,
    log: str | None,
    out_format: str,
) -> None:
    """Say what a day came to: what was measured, controls, refusals, white references, places, what was exported.

    DATE is a day in this device's time zone; without it the day of the last reading. An .html is one page to read or
    print, an .xlsx a workbook (pip install '.[xlsx]'), a .csv one row for each estimate. What was corrected
    with `stibium log edit` counts as corrected. Exit code 1 if a control failed.
    """
    from ..errors import LogError
    from ..log.day import day_lines, day_of, last_day
    from ..log.exports import Noted
    from ..log.read import open_for_reading
    from ..log.write import default_log_path

    forms = [(out, format_of(out, _FORMAT_OF, "end it in .html, .xlsx or .csv")) for out in outs]
    is_csv = any(form == "csv" for _, form in forms) if forms else out_format == "csv"
    csv = csv_form(wide, separator, decimal, is_csv)
    for out, form in forms:
        check_out(out, form, force)
    path = log if log is not None else default_log_path()
    with open_for_reading(path) as db:
        wanted = day if day is not None else last_day(db)
        if wanted is None:
            raise LogError(f"{path}: there is no reading in the log yet")
        found = day_of(db, wanted)
        if not found.readings and not found.void:
            raise LogError(f"{path}: nothing was measured on {wanted}; `stibium log` lists what was")
    for out, form in forms:
        written = write_day(found, out, form, csv)
        noted = Noted(found.as_of)
        list(noted.look(found.readings))
        if why := noted.note(path, form, out):
            notice(f"that it was exported cannot be kept: {why}")
        say(f"{written.rows} {written.what}: {out}", err=True)
    if not outs:
        layout: Layout[Day] = Layout(lambda one: one.as_json(), lines=day_lines)
        if out_format == "csv":
            write_csv(found.readings, None, found.elements, csv)
        else:
            Output(out_format, layout).write([found])
    ctx.exit(1 if found.judged(False) else 0)
