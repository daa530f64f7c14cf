"""`stibium watch`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from .finite import FiniteRange
from .options import load_bundles, log_option, models_option, open_engine
from .output import notice, reading_format_option
from .stopping import Stop

if TYPE_CHECKING:
    from ..drop_folder import DropFolder
    from ..engine import Engine
    from ..gathering import Gathering
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
    type=FiniteRange(min=0.01),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks into the folder.",
)
@click.option(
    "--settle",
    "settle_s",
    type=FiniteRange(min=0.01),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a file must not have changed before it is taken.",
)
@click.option(
    "--average",
    is_flag=True,
    help="Estimate from the mean spectrum of each sample's measurements in a folder, once no more come of it.",
)
@click.option(
    "--sample-pause",
    "pause_s",
    type=FiniteRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="With --average: a sample is complete when nothing new has come of it for so long.",
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
    average: bool,
    pause_s: float,
    models: tuple[str, ...],
    log: str | None,
    out_format: str,
) -> None:
    """Estimate from each file that appears in a folder: a USB stick, an SMB share.

    A file is taken once it is complete, and never twice: what was taken stands in the log. The folder may
    vanish and come back. Folders in it are watched too; hidden and temporary files and a README are not read. A
    file that cannot be used is refused with a reason, and read again if it changes. Ctrl-C ends it; with --average what
    is not complete then comes again at the next start.
    """
    from ..drop_folder import DropFolder
    from ..gathering import Gathering
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
        taker = _Taker(watched, engine, report, stop, Gathering(pause_s) if average else None)
        try:
            if once:
                left = _take_what_is_there(taker, interval_s)
            else:
                supervisor.ready(f"watching {watched.root}")
                _take_for_ever(taker, interval_s, supervisor)
        except KeyboardInterrupt:
            supervisor.stopping()
    click.echo(report.summary(), err=True)
    ctx.exit(1 if once and (left or report.refused) else 0)


@dataclass(frozen=True)
class _Taker:
    """Takes what is complete in a folder; with a `gathering` the files of a sample together."""

    watched: DropFolder
    engine: Engine
    report: Readings
    stop: Stop
    gathering: Gathering | None

    def take(self, supervisor: Supervisor | None = None, everything: bool = False) -> bool:
        """Read, store and then show; False if another process was faster with some of it.

        Args:
            supervisor: told that this is alive.
            everything: wait for no more of any sample.
        """
        from ..engine import average_files
        from ..log.taken import TakenMeanwhileError

        watched, gathering = self.watched, self.gathering
        for batch in watched.poll() if gathering is None else gathering.poll(watched, everything):
            items = [item for piece in batch for item in piece.items]
            if gathering is not None:
                items = list(average_files(items))
            with self.stop.held_back():
                try:
                    results = self.engine.take(items, also=partial(watched.taken.mark, batch))
                except TakenMeanwhileError:
                    watched.reload()
                    if gathering is not None:
                        gathering.clear()
                    return False
                watched.remember(batch)
                self.report.show(results)
            if supervisor is not None:
                supervisor.alive(self.report.summary())
        return True

    def waiting(self) -> dict[str, float]:
        """Name the files that may yet be read, with the seconds since each was first seen."""
        held = self.gathering.paths if self.gathering is not None else frozenset()
        return {path: since_s for path, since_s in self.watched.waiting().items() if path not in held}


def _take_for_ever(taker: _Taker, interval_s: float, supervisor: Supervisor) -> None:
    gone, watched = "", taker.watched
    while True:
        taker.take(supervisor)
        if watched.gone != gone:
            gone = watched.gone
            notice(f"{watched.root} {gone}; waiting for it" if gone else f"{watched.root} is there")
        supervisor.alive(f"{watched.root} {gone}" if gone else taker.report.summary())
        supervisor.rest(max(interval_s, LISTING_SHARE * watched.listed_in_s))


def _take_what_is_there(taker: _Taker, interval_s: float) -> bool:
    """Take what the first listing shows; True if anything had to be left."""
    from ..drop_folder import GIVE_UP

    watched = taker.watched
    patience_s = 3 * GIVE_UP * watched.settle_s
    first: set[str] | None = None
    while True:
        stored = taker.take()
        if watched.gone:
            notice(f"{watched.root} {watched.gone}")
            return True
        waiting = taker.waiting()
        if first is None:
            first = set(waiting)
        open_files = {path: since_s for path, since_s in waiting.items() if path in first}
        changing = watched.changing()
        if stored and all(path in changing and since_s > patience_s for path, since_s in open_files.items()):
            for path in open_files:
                notice(f"{path}: left, it is still being written")
            return not taker.take(everything=True) or bool(open_files)
        time.sleep(min(interval_s, watched.settle_s))


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
