"""`stibium measure`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

import click

from ..instruments.profile import DEFAULT_PROFILE, profile_text, read_profile
from ..measure.controls import Stated
from ..measure.plan import Plan
from ..measure.resume import (
    Unfinished,
    begun_at,
    give_up_session,
    session_details,
    settings_of,
    take_up,
    unfinished_session,
)
from ..measure.routine import Routine
from ..measure.sample import who
from ..measure.session import Settings
from ..measure.steps import Command, Step, parse_command
from .measure_screen import Lines, Screen, Script, Typed, Yes, nobody_there
from .options import load_bundle, log_option, model_option, open_engine
from .output import reading_format_option
from .readings import Readings
from .stopping import Stop

if TYPE_CHECKING:
    from ..engine import Engine
    from ..instruments.driver import Instrument
    from ..instruments.profile import Profile
    from ..measure.position import PositionSource
    from ..model.bundle import Bundle


@click.command(epilog="Example:  stibium measure /dev/ttyUSB0 --prefix RS --blank-every 20 --duplicate-every 10")
@click.argument("port")
@click.option("--profile", metavar="NAME|FILE", help="Probe profile, with its rules.  [default: framed_serial]")
@click.option(
    "--baud", type=click.IntRange(min=1), metavar="BIT/S", help="Speed of the line, instead of the profile's."
)
@click.option("--wait-for-port", is_flag=True, help="Wait until the port is there and somebody answers.")
@click.option("--record", type=click.Path(), metavar="FILE", help="Record the port's bytes with their times.")
@click.option("--operator", default="", metavar="NAME", help="Who measures, for the log.")
@click.option(
    "--on-for",
    "on_for_min",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MINUTES",
    help="How long the instrument has been switched on already, for the warm-up.",
)
@click.option(
    "--points", type=click.IntRange(1, 1000), metavar="N", help="Points of a sample, instead of the profile's."
)
@click.option(
    "--scans", type=click.IntRange(1, 0x7FFF), metavar="N", help="Scans of a point, instead of the profile's."
)
@click.option(
    "--optimise/--no-optimise", default=True, help="Optimise at the start, where the instrument can.  [default: yes]"
)
@click.option("--sample", "samples", multiple=True, metavar="ID", help="Name of a sample to measure; may be repeated.")
@click.option("--prefix", metavar="TEXT", help="Name samples TEXT001, TEXT002, ...  [default: sample-]")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after this many samples.")
@click.option("--note", "notes", multiple=True, metavar="TEXT", help="Note for the first sample; may be repeated.")
@click.option(
    "--position", metavar="SOURCE", help="gpsd://HOST, /dev/ttyACM0 with NMEA, or LATITUDE,LONGITUDE[,HEIGHT]."
)
@click.option(
    "--blank-every", type=click.IntRange(min=0), default=0, metavar="N", help="Ask for a blank after N samples."
)
@click.option(
    "--reference-every",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Ask for the reference soil after N samples.",
)
@click.option(
    "--reference-id", default="reference", show_default=True, metavar="ID", help="Name of the reference soil."
)
@click.option("--reference-value", type=float, metavar="PPM", help="Stated content of the reference soil.")
@click.option(
    "--reference-uncertainty", type=click.FloatRange(min=0), default=0.0, metavar="PPM", help="Its stated uncertainty."
)
@click.option(
    "--duplicate-every",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Ask for a sample again after N samples.",
)
@click.option("--resume", "resume", flag_value="resume", help="Go on with the instrument's unfinished session.")
@click.option("--new", "resume", flag_value="new", help="Begin a new session, whatever is unfinished.")
@click.option("--script", type=click.File("r"), metavar="FILE", help="Take what would be typed from a file.")
@click.option("--yes", is_flag=True, help="Ask nobody: panel and samples are in place, in that order.")
@model_option
@log_option
@reading_format_option
@click.pass_context
def measure(
    ctx: click.Context,
    port: str,
    profile: str | None,
    baud: int | None,
    wait_for_port: bool,
    record: str | None,
    operator: str,
    on_for_min: float,
    points: int | None,
    scans: int | None,
    optimise: bool,
    samples: tuple[str, ...],
    prefix: str | None,
    count: int | None,
    notes: tuple[str, ...],
    position: str | None,
    blank_every: int,
    reference_every: int,
    reference_id: str,
    reference_value: float | None,
    reference_uncertainty: float,
    duplicate_every: int,
    resume: str | None,
    script: TextIO | None,
    yes: bool,
    model: str | None,
    log: str | None,
    out_format: str,
) -> None:
    """Lead through a day of measuring, by the profile's rules.

    Warm-up, optimising, dark, white reference, samples of several points, checks of the panel and the wavelengths,
    blanks, reference soils and duplicates. Enter does what is asked for; ? shows the other keys. A measurement that
    breaks a rule is stored, with the reason in place of an estimate. What is shown is in the log already, and a
    session that was cut off goes on with --resume. PORT is a device, socket://HOST:PORT or rfc2217://HOST:PORT.
    """
    if script is not None and yes:
        raise click.UsageError("either --script or --yes")
    if script is None and not yes and nobody_there():
        raise click.UsageError("nobody to ask on standard input; give --script FILE, or --yes with all in place")
    profile_name = profile or DEFAULT_PROFILE
    rules = read_profile(profile_name)
    if baud is not None:
        rules = replace(rules, serial=replace(rules.serial, baudrate=baud))
    if count is None and samples and prefix is None:
        count = len(samples)
    settings = Settings(
        points=points or rules.measuring.points,
        scans=scans or rules.measuring.scans,
        plan=Plan(samples, prefix or Plan.prefix, blank_every, reference_every, duplicate_every, reference_id),
        count=count or 0,
        optimise=optimise,
        on_for_min=on_for_min,
        stated=None if reference_value is None else Stated(reference_value, reference_uncertainty),
        operator=operator,
    )
    bundle = load_bundle(model)
    report = None if out_format == "table" else Readings(out_format, bundle)
    screen = Screen(report, bundle)
    with ExitStack() as stack:
        place = _open_position(stack, position)
        engine = stack.enter_context(open_engine(bundle, log))
        code, ended = 0, False
        stop = stack.enter_context(Stop(second_breaks=True))
        instrument = _open(stack, port, rules, record, wait_for_port, screen)
        _introduce(instrument, bundle, screen)
        unfinished = _unfinished(engine, instrument, resume, script is None and not yes, screen)
        if unfinished is not None:
            kept = settings_of(unfinished.details)
            settings = kept if count is None else replace(kept, count=count)
        routine = Routine(instrument, engine, rules, settings, screen.tell, place)
        lines = _lines(routine, script, yes, screen)
        try:
            if unfinished is not None:
                take_up(routine, unfinished)
            else:
                details = session_details(settings, routine.monotonic())
                routine.begin(port, profile_name, profile_text(profile_name), details)
            _lead(routine, lines, notes, stop, screen)
            ended = routine.close()
        except KeyboardInterrupt:
            code = 130
        finally:
            _sum_up(routine, ended, screen)
    ctx.exit(code or _exit_code(routine))


def _lead(routine: Routine, lines: Lines, notes: Sequence[str], stop: Stop, screen: Screen) -> None:
    """Answer prompts until there is nothing more to do, or nobody to answer."""
    for note in notes:
        routine.do(Command("n", note))
    screen.say("? shows the commands.")
    while True:
        lines.pause()
        prompt = routine.prompt()
        if prompt.step is Step.DONE:
            return
        line = lines.read(prompt)
        command = Command("q") if line is None else parse_command(line)
        if command is None:
            screen.say(f"! {(line or '').strip()[:20]}: no such command; ? shows them")
        elif command.letter == "q":
            return
        elif command.letter == "?":
            screen.help()
        else:
            # A measurement is stored and told whole before a stop counts.
            with stop.held_back():
                routine.do(command)


def _sum_up(routine: Routine, ended: bool, screen: Screen) -> None:
    for remark in routine.instrument.remarks():
        screen.say(remark)
    controls = f", {routine.failed_controls} controls FAILED" if routine.failed_controls else ""
    screen.say(f"{routine.estimated} estimated, {routine.refused} refused{controls}")
    if not ended and routine.session_id:
        # Stopped, or failed: what comes next would be the same as without that.
        screen.say(f"Next is {routine.planned.sample_id}; --resume goes on with it")


def _exit_code(routine: Routine) -> int:
    short = routine.run.soils < routine.settings.count
    return 1 if routine.refused or routine.failed_controls or short else 0


def _lines(routine: Routine, script: TextIO | None, yes: bool, screen: Screen) -> Lines:
    if script is not None:
        return Script(script, screen)
    return Yes(lambda: routine.measured_points > 0, screen) if yes else Typed(screen)


def _open(
    stack: ExitStack, port: str, profile: Profile, record: str | None, wait_for_port: bool, screen: Screen
) -> Instrument:
    from ..instruments.opening import open_instrument
    from ..instruments.recording import RecordingWriter

    writer = stack.enter_context(RecordingWriter(record, f"port {port}")) if record else None
    instrument = open_instrument(port, profile, screen.say, writer)
    stack.callback(instrument.close)
    instrument.connect(wait_for_port)
    return instrument


def _open_position(stack: ExitStack, position: str | None) -> PositionSource | None:
    if position is None:
        return None
    from ..measure.position import open_position

    source = open_position(position, patient=True)
    stack.callback(source.close)
    return source


def _introduce(instrument: Instrument, bundle: Bundle, screen: Screen) -> None:
    who, nm = instrument.identity, instrument.wavelengths_nm
    screen.say(f"{who}, {nm[0]:g}-{nm[-1]:g} nm, on {instrument.name}")
    if who.virtual:
        screen.say("A program plays it, no instrument.")
    if who.simulated:
        screen.say("All its spectra are SIMULATED.")
    if bundle.simulated:
        screen.say(f"Model {bundle.name} was calibrated on SIMULATED soils: it says nothing about real ground.")


def _unfinished(
    engine: Engine, instrument: Instrument, resume: str | None, person: bool, screen: Screen
) -> Unfinished | None:
    """Give the session to go on with; one that is not wanted any more is ended."""
    found = unfinished_session(engine.log.database, who(instrument.identity))
    if found is None:
        if resume == "resume":
            screen.say("No unfinished session of this instrument; a new one begins.")
        return None
    if resume is None and person and sys.stdin.isatty():
        screen.say(f"Unfinished session of {begun_at(found)} with {found.samples} samples.")
        screen.ask("Enter goes on, n begins a new one")
        resume = "new" if sys.stdin.readline().strip().lower().startswith("n") else "resume"
    if resume == "new":
        give_up_session(engine.log, found)
        return None
    return found
