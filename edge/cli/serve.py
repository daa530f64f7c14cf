"""`stibium serve`."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ServeError, StibiumError
from ..log.write import default_log_path
from ..measure.plan import Plan
from ..measure.state import SessionSettings
from ..supervise import Supervisor
from .options import load_bundles, open_engine
from .output import notice, say
from .session_options import InstrumentOptions, option, shared, takes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..engine import Engine
    from ..instruments.driver import Instrument
    from ..measure.position import PositionSource
    from ..model.bundle import Bundle
    from ..page.desk import Desk, Equipment
    from ..record import ReadingRecord


@dataclass(frozen=True)
class ServeOptions(InstrumentOptions):
    """What `stibium serve` has to be told."""

    port: str = shared(click.argument("port", required=False, default=""))
    interface: str = option(
        "--on",
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS|INTERFACE",
        help="Serve on this address or network interface only, such as wlan0.",
    )
    http_port: int = option(
        "--http-port",
        type=click.IntRange(0, 0xFFFF),
        default=8000,
        show_default=True,
        metavar="N",
        help="TCP port of the page; 0: any free one.",
    )
    names: tuple[str, ...] = option(
        "--name", multiple=True, metavar="HOST", help="Another name that this device is asked for under."
    )
    operator: str = option("--operator", default="", metavar="NAME", help="Who measures, for the log.")
    prefix: str | None = option(
        "--prefix", metavar="TEXT", help="Name samples TEXT001, TEXT002, ...  [default: sample-]"
    )
    on_for_min: float = option(
        "--on-for",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="MINUTES",
        help="How long the instrument has been switched on already, for the warm-up.",
    )
    optimise: bool = option(
        "--optimise/--no-optimise",
        default=True,
        help="Optimise at the start, where the instrument can.  [default: yes]",
    )
    position: str | None = option(
        "--position", metavar="SOURCE", help="gpsd://HOST, /dev/ttyACM0 with NMEA, or LATITUDE,LONGITUDE[,HEIGHT]."
    )
    qr: bool = option("--qr", is_flag=True, help="Show the address as a QR code too.")

    def session_settings(self, profile: Any) -> SessionSettings:
        """Give the plan of a session that the page begins."""
        return SessionSettings(
            points=self.points or profile.measuring.points,
            scans=self.scans or profile.measuring.scans,
            plan=Plan((), self.prefix or Plan.prefix),
            count=self.count or 0,
            optimise=self.optimise,
            on_for_min=self.on_for_min,
            operator=self.operator,
        )


@click.command(epilog="Example:  stibium serve /dev/ttyUSB0 --on wlan0 --qr")
@takes(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Serve a page for a phone: what the log has, and a measuring day led from it.

    With PORT the page leads a session as `stibium measure` does; without, or where another program measures, it shows
    what is committed to the log. Looking is free to all who reach the address; everything that changes needs the PIN,
    which is printed at the start. Needs the extra: pip install 'stibium[web]'. Ctrl-C ends it; a session that is under
    way goes on at the next start.
    """
    try:
        from ..page.server import Page, address_of, listening
        from ..page.serving import Serving
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio", "h11"):
            raise
        raise ServeError(f"{error.name} is not installed; run: pip install 'stibium[web]'") from None
    from ..log.write import Log
    from ..page.door import Door, device_secret, own_names
    from ..page.feed import Feed
    from ..page.writing import correct_reading, note_export, photo, store_photo

    bundles = load_bundles(options.models)
    path = Path(options.log) if options.log is not None else default_log_path()
    secret_path = path.with_name(path.name + "-page")
    with ExitStack() as stack:
        address = address_of(options.interface)
        listener = stack.enter_context(listening(address, options.http_port))
        if not path.is_file():
            Log(path).close()
        secret = device_secret(secret_path)
        feed = Feed(path, _in_words)
        stack.callback(feed.close)
        serving = Serving(
            feed=feed,
            door=Door(secret),
            about=_about(bundles[0], options),
            desk=None,
            health=lambda: _health(path),
            models=lambda: _models(bundles),
            export=lambda out, form, session: _export(path, out, form, session),
            exported=lambda form, session: note_export(path, form, session),
            photo=lambda name: photo(path, name),
            store_photo=lambda reading, content: store_photo(path, reading, content),
            writes={"correct": lambda said: correct_reading(path, said)},
        )
        supervisor = Supervisor()
        url = f"http://{f'[{address}]' if ':' in address else address}:{listener.getsockname()[1]}/"

        def started() -> None:
            if options.port:
                serving.desk = _desk(options, bundles, path, serving)
            _introduce(url, secret.pin, secret_path, options.qr)
            supervisor.ready(f"the page is at {url}")

        page = Page(serving, own_names(options.names), None, supervisor.alive, started)
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
        raise ServeError("segno is not installed; run: pip install 'stibium[web]'") from None
    segno.make(url, error="m").terminal(compact=True)


def _desk(options: ServeOptions, bundles: Sequence[Bundle], path: Path, serving: Any) -> Desk:
    from ..instruments.profile import profile_text
    from ..page.desk import Desk, Equipment, Order

    profile = options.read_profile()

    def connect(stack: ExitStack, tell: Any) -> Instrument:
        return options.connect(stack, profile, tell)

    @contextmanager
    def engine(model: str) -> Iterator[Engine]:
        with open_engine(load_bundles([model]) if model else bundles, path, profile.rules) as opened:
            yield opened

    def position(stack: ExitStack) -> PositionSource | None:
        if options.position is None:
            return None
        from ..measure.position import open_position

        source = open_position(options.position, patient=True)
        stack.callback(source.close)
        return source

    equipment: Equipment = Equipment(
        port=options.port,
        profile=profile,
        profile_name=options.profile_name,
        profile_text=profile_text(options.profile_name),
        settings=options.session_settings(profile),
        connect=connect,
        open_engine=engine,
        open_position=position,
    )
    desk = Desk(equipment, serving.hub.poke)
    if serving.feed.unfinished_on(options.port) is not None:
        # The program was ended in the middle of a day.
        desk.order(Order("begin", begin={"resume": True}))
    return desk


def _in_words(record: ReadingRecord) -> dict[str, Any]:
    from .readings import refused_reason, remarks, sample_name

    return {
        "name": sample_name(record),
        "why": "" if record.estimates else refused_reason(record),
        "words": [remarks(record, one) for one in record.estimates],
    }


def _about(bundle: Bundle, options: ServeOptions) -> dict[str, Any]:
    from ..record import SOFTWARE

    detection = bundle.detection
    return {
        "software": SOFTWARE,
        "port": options.port,
        "prefix": options.prefix or "",
        "operator": options.operator,
        "model": bundle.name,
        "heading": bundle.heading,
        "element": bundle.element,
        "unit": bundle.unit,
        "simulated": bundle.simulated,
        "calibrated_range": list(bundle.calibrated_range),
        "range_nm": list(bundle.recipe.range_nm),
        "coverage": bundle.interval.coverage if bundle.interval else None,
        "critical_level": detection.critical if detection else None,
    }


def _health(path: Path) -> list[dict[str, Any]]:
    from ..doctor.diagnosis import Patient
    from ..doctor.system import clock, storage, temperature, throttling

    patient = Patient(path)
    found = [one for check in (clock, storage, temperature, throttling) for one in check(patient)]
    return [{"check": one.check, "level": one.level, "found": one.found, "advice": one.advice} for one in found]


def _models(bundles: Sequence[Bundle]) -> list[dict[str, Any]]:
    """List the models that are used if nothing is said, and those that lie beside the first."""
    from ..model.bundle import read_bundle

    beside = sorted(Path(bundles[0].path).absolute().parent.glob("*.tflite"))
    found, used = list(bundles), {Path(one.path).absolute() for one in bundles}
    for path in beside:
        if path not in used:
            try:
                found.append(read_bundle(path))
            except (StibiumError, OSError) as error:
                notice(str(error))
    names = ("name", "path", "element", "unit", "simulated", "sha256")
    return [{name: getattr(one, name) for name in names} for one in found]


def _export(path: Path, out: str, form: str, session: int | None) -> None:
    import io

    from ..errors import ExportError
    from ..log.export import iter_records, write_geojson, write_geopackage
    from ..log.read import Chosen, open_for_reading
    from ..log.wide import elements_of
    from .output import Output
    from .readings import reading_layout

    with open_for_reading(path) as db:
        records = iter_records(db, Chosen(session=session))
        if form in ("geojson", "gpkg"):
            elements = elements_of(db, Chosen(session=session))
            (write_geojson if form == "geojson" else write_geopackage)(out, records, elements)
            return
        with open(out, "wb") as file:
            text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="\n")
            if not Output(form, reading_layout({"sample": "sample"}), text).write(records):
                raise ExportError("the log has nothing of what is chosen")
            text.flush()
