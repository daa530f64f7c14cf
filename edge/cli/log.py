"""`stibium log`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import click

from .log_options import reading_options
from .options import log_option
from .output import Layout, Output, format_option, notice, say
from .progress import Progress
from .readings import local, reading_layout
from .record_files import MAPS, CsvForm, csv_form, csv_options, write_csv, write_readings
from .spectra_out import Fit, Tally, check_out, format_of, write_spectra

if TYPE_CHECKING:
    import sqlite3
    from os import PathLike

    from ...converters.spectra.spectrum import Spectrum
    from ..log.columns import Reading, StoredEvent, StoredSession
    from ..log.read import Chosen
    from ..model.estimate import Refusal
    from ..record import ReadingRecord

FORMATS = ("csv", "jsonl", "geojson", "gpkg", "asd", "table")
NOTHING = "the log has nothing of what is chosen"
_FORMAT_OF = {".csv": "csv", ".jsonl": "jsonl", ".geojson": "geojson", ".json": "geojson", ".gpkg": "gpkg"}
_ENDINGS = (
    "end it in .csv, .jsonl, .geojson or .gpkg, in / for a folder of spectra, or give --as (--as table makes one file "
    "of spectra)"
)


class _Group(click.Group):
    """What is listed and exported without a command; the commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["checks", "edit"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "edit":
            from .log_edit import edit

            return edit
        if cmd_name == "checks":
            from .log_checks import checks

            return checks
        return None


@click.group(
    cls=_Group,
    invoke_without_command=True,
    subcommand_metavar="[checks | edit READING WHAT...]",
    epilog="Example:  stibium log --since 2026-05-06 --export day.gpkg",
)
@reading_options
@click.option("--element", metavar="SYMBOL", default="", help="Only estimates of this element.")
@click.option(
    "--verdict", type=click.Choice(["inside", "outside", "unknown"]), help="Only estimates with this verdict."
)
@click.option("--refused", is_flag=True, help="Only what was refused.")
@click.option("--all-estimates", is_flag=True, help="Every estimate of a reading, not only the latest.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N of what else is chosen.")
@click.option("--history", is_flag=True, help="What does not count too, and what was said of each reading.")
@click.option("--sessions", is_flag=True, help="List measuring sessions instead of readings.")
@click.option("--events", is_flag=True, help="List what happened instead of readings.")
@click.option(
    "--export",
    "out",
    metavar="OUT",
    type=click.Path(),
    help="Write to this file: .csv, .jsonl, .geojson, .gpkg; or to a folder of spectra.",
)
@click.option(
    "--as",
    "as_format",
    type=click.Choice(FORMATS),
    help="Format of OUT; asd and table are spectra.  [default: by its ending]",
)
@csv_options
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@log_option
@format_option
@click.pass_context
def log(
    ctx: click.Context,
    chosen: Chosen,
    element: str,
    verdict: str | None,
    refused: bool,
    all_estimates: bool,
    last: int | None,
    history: bool,
    sessions: bool,
    events: bool,
    out: str | None,
    as_format: str | None,
    wide: bool,
    separator: str,
    decimal: str,
    force: bool,
    log: str | None,
    out_format: str,
) -> None:
    """List what is in the log, or export it.

    Each reading comes with its latest estimate, or the reason why there is none, and as it was corrected with `edit`;
    what does not count any more is left out. The same options choose what is listed and what is exported. --since and
    --until go by this device's clock. Nothing in the log is changed.
    """
    if ctx.invoked_subcommand is not None:
        _only_the_log(ctx)
        return
    from ..log.read import Chosen, open_for_reading
    from ..log.write import default_log_path

    if sessions and events:
        raise click.UsageError("--sessions and --events exclude each other")
    if out is None and (as_format or force):
        raise click.UsageError("--as and --force belong to --export OUT")
    chosen = replace(chosen, element=element, verdict=verdict or "", refused=refused, void=history)
    plain = Chosen(since=chosen.since, until=chosen.until, session=chosen.session)
    if (sessions or events) and (out is not None or chosen != plain):
        raise click.UsageError(
            "--sessions and --events take --since, --until and --session only; write them with > FILE"
        )
    if refused and (element or verdict):
        raise click.UsageError("what is refused has no element and no verdict; leave --element and --verdict out")
    as_format = as_format or (format_of(out, _FORMAT_OF, _ENDINGS) if out is not None else None)
    form = csv_form(wide, separator, decimal, as_format == "csv" or (out_format == "csv" and not wide))
    if out is not None and as_format is not None:
        check_out(out, as_format, force)
    path = log if log is not None else default_log_path()
    with open_for_reading(path) as db:
        if out is not None and as_format is not None:
            code = _export(db, path, chosen, all_estimates, last, out, as_format, form)
            _say_left_out(db, chosen)
            ctx.exit(code)
        if sessions or events:
            from ..log.history import iter_events, iter_sessions

            if sessions:
                listed = Output(out_format, SESSIONS).write(_last(iter_sessions(db, chosen), last))
            else:
                listed = Output(out_format, EVENTS).write(_last(iter_events(db, chosen), last))
        else:
            from ..log.export import iter_records

            records = iter_records(db, chosen, all_estimates, last)
            if out_format == "csv":
                listed = write_csv(records, None, (), form)
            else:
                listed = Output(out_format, _layout(all_estimates, history)).write(records)
            _say_left_out(db, chosen)
        if not listed:
            say(NOTHING, err=True)


def _only_the_log(ctx: click.Context) -> None:
    sources = {one.opts[0]: ctx.get_parameter_source(one.name) for one in ctx.command.params if one.name != "log"}
    if wrong := [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]:
        raise click.UsageError(f"edit takes none of these: {', '.join(wrong)}")


def _say_left_out(db: sqlite3.Connection, chosen: Chosen) -> None:
    from ..log.corrections import COUNTS
    from ..log.read import sql_where, where_reading

    if chosen.void:
        return
    conditions, values = where_reading(replace(chosen, void=True))
    where = sql_where([*conditions, f"NOT {COUNTS}"])
    (count,) = db.execute(f"SELECT count(*) FROM readings r {where}", values).fetchone()
    if count:
        what = "1 reading that does not count" if count == 1 else f"{count} readings that do not count"
        say(f"left out: {what}, void or measured again; --history shows what", err=True)


def _layout(models: bool, history: bool = False) -> Layout[ReadingRecord]:
    """Lay readings out; `models` says by which model each estimate is, where a reading may have several."""
    titles = {"reading": "reading", "stored": "stored", "sample": "sample", "element": "", "estimate": "estimate"}
    titles |= {"interval": "interval", **({"model": "model"} if models else {}), "verdict": "verdict"}
    if history:
        titles["corrections"] = "corrections"
    return reading_layout(titles)


def _session_cells(session: StoredSession) -> list[tuple[str, ...]]:
    ended = local(session.ended_at) if session.ended_at else "not ended"
    who = (session.instrument or session.port, session.profile_name, session.operator)
    counts = map(str, (session.readings, session.refusals, session.scans))
    return [(str(session.id), local(session.started_at), ended, *who, *counts)]


SESSIONS: Layout[StoredSession] = Layout(
    lambda session: session._asdict(),
    titles=("session", "began", "ended", "instrument", "profile", "operator", "readings", "refused", "scans"),
    cells=_session_cells,
    right=(0, 6, 7, 8),
)
EVENTS: Layout[StoredEvent] = Layout(
    lambda event: event._asdict(),
    titles=("at", "session", "event", ""),
    cells=lambda event: [(local(event.at), str(event.session_id or "-"), event.kind, event.text)],
    right=(1,),
)


@dataclass
class _Export(Tally):
    """What became of an export; `left_out` readings have no place on a map."""

    left_out: int = 0


def _export(
    db: sqlite3.Connection,
    path: str | PathLike[str],
    chosen: Chosen,
    every: bool,
    last: int | None,
    out: str,
    as_format: str,
    form: CsvForm,
) -> int:
    from ..log.export import iter_records
    from ..log.spectra import iter_spectra

    tally = _Export()
    if as_format in ("asd", "table"):
        what = "spectra"
        _export_spectra(iter_spectra(db, chosen, last), out, as_format, tally)
    else:
        from ..log.exports import Noted, newest_rows

        what, as_of = "readings", newest_rows(db)
        records = iter_records(db, chosen, every, last)
        first = next(records, None)
        if first is not None:
            from ..log.wide import elements_of

            noted = Noted(as_of, as_format in MAPS)
            every_one = noted.look(_counted(chain([first], records)))
            tally.written, what, tally.left_out = write_readings(
                every_one, out, as_format, elements_of(db, chosen), form
            )
            if why := noted.note(path, as_format, out):
                notice(f"that it was exported cannot be kept: {why}")
    line = f"{tally.written} {what}: {out}"
    if not tally.written:
        line = "nothing written" if tally.refused else f"nothing written: {NOTHING}"
    if tally.left_out:
        line += f"; {tally.left_out} left out, since they have no position (a .csv has them all)"
    if tally.refused:
        line += f"; {tally.refused} refused"
    say(line, err=True)
    return 0 if tally.written and not tally.refused else 1


T = TypeVar("T")


def _last(items: Iterable[T], number: int | None) -> Iterator[T]:
    return iter(items if number is None else deque(items, maxlen=number))


def _counted(items: Iterable[T]) -> Iterator[T]:
    with Progress("readings", every=500) as progress:
        for number, item in enumerate(items, 1):
            progress.at(number)
            yield item


def _export_spectra(
    readings: Iterable[tuple[Reading, Spectrum | Refusal]], out: str, as_format: str, tally: Tally
) -> None:
    from ...converters.spectra.errors import StibiumError
    from ...converters.spectra.spectrum import Spectrum

    fit = Fit(as_format, otherwise="--as asd holds both")

    def usable() -> Iterator[Spectrum]:
        for reading, spectrum in _counted(readings):
            try:
                if isinstance(spectrum, Spectrum):
                    yield fit.of(spectrum)
                else:
                    tally.refuse(f"reading {reading.id}: {spectrum.reason}")
            except StibiumError as error:
                tally.refuse(f"reading {reading.id}: {error}")

    write_spectra(usable(), out, as_format, tally)
