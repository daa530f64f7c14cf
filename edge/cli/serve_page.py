"""The page of `stibium serve`: what it works with is put together here; needs the extra `web`."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..doctor.diagnosis import Patient
from ..doctor.system import clock, storage, temperature, throttling
from ..errors import ExportError, ServeError, StibiumError, installing
from ..log.day import Day, day_of, last_day, read_day
from ..log.export import iter_records
from ..log.exports import Noted, newest_rows
from ..log.read import Chosen, open_for_reading
from ..log.wide import elements_of
from ..page.address import address_of, listening
from ..page.desk import Desk, Equipment, Order
from ..page.door import Door, device_secret, own_names
from ..page.feed import Feed
from ..page.guard import MOST_PHOTO_BYTES
from ..page.portal import Portal
from ..page.server import Page
from ..page.serving import Serving, WantedFile
from ..page.writing import compare_clocks, correct_reading, photo, store_photo
from ..record import SOFTWARE
from ..supervise import Supervisor
from .options import load_bundles, open_engine
from .output import notice, say
from .record_files import MAPS, CsvForm, write_day, write_readings
from .serve_options import ServeOptions, in_words

if TYPE_CHECKING:
    from ..engine import Engine
    from ..instruments.driver import Instrument
    from ..model.bundle import Bundle

LOOK_AT_ADDRESS_S = 10.0
_HTTP = 80


def serve_page(options: ServeOptions, bundles: Sequence[Bundle], path: Path) -> None:
    """Serve until somebody ends it.

    Args:
        options: of the command.
        bundles: the usual models, one for each element.
        path: of the log, which is there.

    Raises:
        ServeError: there is no such address, or it has gone; the port is taken, or the PIN cannot be read.
        LogError: the log cannot be read.
    """
    secret_path = path.with_name(path.name + "-page")
    address = address_of(options.interface)
    with listening(address, options.http_port) as listener, closing(Feed(path, in_words)) as feed:
        secret = device_secret(secret_path)
        port = listener.getsockname()[1]
        url = f"http://{f'[{address}]' if ':' in address else address}{'' if port == _HTTP else f':{port}'}/"
        serving = Serving(
            feed=feed,
            door=Door(secret),
            about=_about(bundles, options),
            desk=None,
            health=lambda: _health(path),
            models=lambda: _models(bundles),
            export=lambda out, wanted: _export(path, out, wanted),
            exported=lambda noted, form, name: noted.note(path, form, name),
            photo=lambda name: photo(path, name),
            store_photo=lambda reading, content: store_photo(path, reading, content),
            writes={
                "correct": lambda said: correct_reading(path, said),
                "time": lambda said: compare_clocks(path, said),
            },
            portal=Portal(url) if options.captive else None,
        )
        supervisor = Supervisor()

        def started() -> None:
            if options.port:
                serving.desk = _desk(options, bundles, path, serving)
            _introduce(url, secret.pin, secret_path, options.qr)
            supervisor.ready(f"the page is at {url}")

        looked_s = time.monotonic()

        def alive() -> None:
            nonlocal looked_s
            supervisor.alive()
            if time.monotonic() - looked_s > LOOK_AT_ADDRESS_S:
                looked_s = time.monotonic()
                if address_of(options.interface) != address:
                    raise ServeError(f"{options.interface} has another address now; start again")

        page = Page(serving, own_names(options.names), alive, started)
        try:
            asyncio.run(page.run(listener))
        finally:
            supervisor.stopping()
            if serving.desk is not None:
                serving.desk.stop(patience_s=20.0)


def _introduce(url: str, pin: str, secret_path: Path, qr: bool) -> None:
    if qr:
        _show_qr(url)
    say(f"Page: {url}")
    if "JOURNAL_STREAM" in os.environ:
        # Others read the journal.
        say(f"The PIN for everything that changes is in {secret_path}")
    else:
        say(f"PIN for everything that changes: {pin}")


def _show_qr(url: str) -> None:
    try:
        import segno
    except ModuleNotFoundError:
        raise ServeError(f"segno is not installed; run: {installing('web')}") from None
    segno.make(url, error="m").terminal(compact=True)


def _desk(options: ServeOptions, bundles: Sequence[Bundle], path: Path, serving: Any) -> Desk:
    from ..instruments.profile import profile_text

    profile = options.read_profile()

    def connect(stack: ExitStack, tell: Any) -> Instrument:
        return options.connect(stack, profile, tell)

    @contextmanager
    def engine(model: str) -> Iterator[Engine]:
        with open_engine(load_bundles([model]) if model else bundles, path) as opened:
            yield opened

    equipment: Equipment = Equipment(
        port=options.port,
        profile=profile,
        profile_name=options.profile_name,
        profile_text=profile_text(options.profile_name),
        settings=options.session_settings(profile),
        connect=connect,
        open_engine=engine,
        open_position=options.open_position,
    )
    desk = Desk(equipment, serving.hub.poke)
    if serving.feed.unfinished_on(options.port) is not None:
        # The program was ended in the middle of a day.
        desk.order(Order("begin", begin={"resume": True}))
    return desk


def _about(bundles: Sequence[Bundle], options: ServeOptions) -> dict[str, Any]:
    lows, highs = zip(*(one.recipe.range_nm for one in bundles), strict=True)
    return {
        "software": SOFTWARE,
        "port": options.port,
        "prefix": options.prefix or "",
        "operator": options.operator,
        "on_for_min": options.on_for_min,
        "elements": [one.element for one in bundles],
        "headings": [one.heading for one in bundles],
        "range_nm": [min(lows), max(highs)],
        "most_photo_bytes": MOST_PHOTO_BYTES,
    }


def _health(path: Path) -> list[dict[str, Any]]:
    patient = Patient(path)
    found = [one for check in (clock, storage, temperature, throttling) for one in check(patient)]
    return [{"check": one.check, "level": one.level, "found": one.found, "advice": one.advice} for one in found]


def _models(bundles: Sequence[Bundle]) -> list[dict[str, Any]]:
    """List the models that are used if nothing is said, and those that lie beside the first."""
    from ..model.bundle import read_bundle

    found, used = list(bundles), {Path(one.path).absolute() for one in bundles}
    for path in sorted(Path(bundles[0].path).absolute().parent.glob("*.tflite")):
        if path not in used:
            try:
                found.append(read_bundle(path))
            except (StibiumError, OSError) as error:
                notice(str(error))
    names = ("name", "path", "element", "unit", "simulated", "sha256")
    return [{name: getattr(one, name) for name in names} for one in found]


def _export(path: Path, out: str, wanted: WantedFile) -> Noted:
    form = CsvForm(wanted.wide, wanted.separator, wanted.decimal)
    if why := form.wrong():
        raise ExportError(why.replace("--", ""))
    what, _, ending = wanted.name.rpartition(".")
    with open_for_reading(path) as db:
        noted = Noted(newest_rows(db), ending in MAPS)
        if what == "day":
            day = _day(db, wanted.day)
            write_day(day, out, ending, form)
            list(noted.look(day.readings))
            return noted
        chosen = Chosen(session=wanted.session)
        records = noted.look(iter_records(db, chosen))
        if not write_readings(records, out, ending, elements_of(db, chosen), form).rows:
            raise ExportError("the log has nothing of what is chosen")
    return noted


def _day(db: sqlite3.Connection, text: str) -> Day:
    try:
        wanted = read_day(text) if text else last_day(db)
    except ValueError:
        raise ExportError("write the day as in ?day=2026-05-06") from None
    if wanted is None:
        raise ExportError("there is no reading in the log yet")
    return day_of(db, wanted)
