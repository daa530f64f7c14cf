"""`stibium watch`."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import click

from .options import load_bundles, log_option, models_option, open_engine
from .output import notice, reading_format_option
from .stopping import Stop

if TYPE_CHECKING:
    from ..drop_folder import DropFolder
    from ..engine import Engine
    from ..supervise import Supervisor
    from .readings import Readings

LISTING_SHARE = 5
"""Listing a large folder over a slow network takes at most one part in so many of the time."""


@click.command(epilog="Example:  stibium watch /media/usb0 --format csv >> readings.csv")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--once", is_flag=True, help="Take what is there, then exit.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.01),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks into the folder.",
)
@click.option(
    "--settle",
    "settle_s",
    type=click.FloatRange(min=0.01),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a file must not have changed before it is taken.",
)
@models_option
@log_option
@reading_format_option
@click.pass_context
def watch(
    ctx: click.Context,
    folder: str,
    once: bool,
    interval_s: float,
    settle_s: float,
    models: tuple[str, ...],
    log: str | None,
    out_format: str,
) -> None:
    """Estimate from each file that appears in a folder: a USB stick, an SMB share.

    A file is taken once it is complete, and never twice: what was taken stands in the log. The folder may
    vanish and come back. Folders in it are watched too; hidden and temporary files and a README are not read. A
    file that cannot be used is refused with a reason, and read again if it changes. Ctrl-C ends it.
    """
    from ..drop_folder import DropFolder
    from ..log.taken import Taken
    from ..supervise import Supervisor
    from .readings import Readings

    bundles = load_bundles(models)
    report = Readings(out_format, bundles)
    left = True
    with open_engine(bundles, log) as engine, Stop(second_breaks=True) as stop:
        log_path = os.fspath(engine.log.path)
        watched = DropFolder(
            os.path.realpath(folder),
            Taken(engine.log.database),
            settle_s,
            own_files=lambda: files_of_this_program(log_path),
            notice=notice,
        )
        if sys.stderr.isatty():
            notice(f"watching {folder}, log {log_path}" + ("" if once else "; Ctrl-C ends"))
        supervisor = Supervisor()
        try:
            if once:
                left = _take_what_is_there(watched, engine, report, stop, interval_s)
            else:
                supervisor.ready(f"watching {watched.root}")
                _take_for_ever(watched, engine, report, stop, interval_s, supervisor)
        except KeyboardInterrupt:
            supervisor.stopping()
    click.echo(report.summary(), err=True)
    ctx.exit(1 if once and (left or report.refused) else 0)


def _take_for_ever(
    watched: DropFolder, engine: Engine, report: Readings, stop: Stop, interval_s: float, supervisor: Supervisor
) -> None:
    gone = ""
    while True:
        _take(watched, engine, report, stop, supervisor)
        if watched.gone != gone:
            gone = watched.gone
            notice(f"{watched.root} {gone}; waiting for it" if gone else f"{watched.root} is there")
        supervisor.alive(f"{watched.root} {gone}" if gone else report.summary())
        supervisor.rest(max(interval_s, LISTING_SHARE * watched.listed_in_s))


def _take_what_is_there(watched: DropFolder, engine: Engine, report: Readings, stop: Stop, interval_s: float) -> bool:
    """Take what the first listing shows; True if anything had to be left."""
    from ..drop_folder import GIVE_UP

    patience_s = 3 * GIVE_UP * watched.settle_s
    first: set[str] | None = None
    while True:
        stored = _take(watched, engine, report, stop)
        if watched.gone:
            notice(f"{watched.root} {watched.gone}")
            return True
        waiting = watched.waiting()
        if first is None:
            first = set(waiting)
        open_files = {path: since_s for path, since_s in waiting.items() if path in first}
        changing = watched.changing()
        if stored and all(path in changing and since_s > patience_s for path, since_s in open_files.items()):
            for path in open_files:
                notice(f"{path}: left, it is still being written")
            return bool(open_files)
        time.sleep(min(interval_s, watched.settle_s))


def _take(
    watched: DropFolder, engine: Engine, report: Readings, stop: Stop, supervisor: Supervisor | None = None
) -> bool:
    """Read, store and then show what is complete; False if another process was faster with some of it."""
    from ..log.taken import TakenMeanwhileError

    for batch in watched.poll():
        items = [item for piece in batch for item in piece.items]
        with stop.held_back():
            try:
                results = engine.take(items, also=partial(watched.taken.mark, batch))
            except TakenMeanwhileError:
                watched.reload()
                return False
            watched.remember(batch)
            report.show(results)
        if supervisor is not None:
            supervisor.alive(report.summary())
    return True


def files_of_this_program(log_path: str) -> frozenset[tuple[int, int]]:
    """Identify the log and the files that output is redirected to: reading them would never end."""
    found = set()
    paths: list[str | int] = [1, 2, *(log_path + suffix for suffix in ("", "-wal", "-shm", "-journal"))]
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue  # closed, or not there at the moment
        found.add((status.st_dev, status.st_ino))
    return frozenset(found)
