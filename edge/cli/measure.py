"""`stibium measure`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

import click

from ..instruments.profile import profile_text
from ..measure.points import who
from ..measure.resume import Unfinished, give_up_session, take_up, unfinished_sessions
from ..measure.routine import do, note, prompt
from ..measure.session import Session
from ..measure.state import SessionSettings
from ..measure.steps import Command, Step, parse_command
from .measure_screen import Lines, Screen, Script, Typed, Yes, nobody_there
from .options import load_bundles, open_engine
from .output import reading_format_option
from .readings import Readings
from .session_options import LedOptions, option, shared, takes
from .stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine import Engine
    from ..instruments.driver import Instrument
    from ..instruments.profile import Profile
    from ..model.bundle import Bundle


@dataclass(frozen=True)
class MeasureOptions(LedOptions):
    """What `stibium measure` has to be told."""

    out_format: str = shared(reading_format_option)
    ask_condition: bool | None = option(
        "--ask-condition/--no-ask-condition",
        default=None,
        help="Ask once a soil whether it is dry, damp or wet.  [default: yes on a terminal, without --condition]",
    )
    samples: tuple[str, ...] = option(
        "--sample", multiple=True, metavar="ID", help="Name of a sample to measure; may be repeated."
    )
    notes: tuple[str, ...] = option(
        "--note", multiple=True, metavar="TEXT", help="Note for the first sample; may be repeated."
    )
    resume: bool = option("--resume", is_flag=True, help="Go on with the instrument's unfinished session.")
    new: bool = option("--new", is_flag=True, help="Begin a new session, whatever is unfinished.")
    script: TextIO | None = option(  # noqa: RUF009 - as the others, whose types the rule takes for plain
        "--script", type=click.File("r"), metavar="FILE", help="Take what would be typed from a file."
    )
    bell: bool = option(
        "--bell", is_flag=True, help="Ring when a measurement is over; twice where something is to be read."
    )
    yes: bool = option("--yes", is_flag=True, help="Ask nobody: panel and samples are in place, in that order.")

    @property
    def asks(self) -> bool:
        """True if a person sits at a terminal and can be asked how wet the ground is."""
        return self.ask_condition if self.ask_condition is not None else self._typed and sys.stdin.isatty()

    @property
    def _typed(self) -> bool:
        return self.script is None and not self.yes

    def check(self) -> None:
        """Refuse what contradicts itself, and a run that nobody leads. Raises UsageError."""
        if self.script is not None and self.yes:
            raise click.UsageError("either --script or --yes")
        if self.resume and self.new:
            raise click.UsageError("either --resume or --new")
        if self.condition and self.ask_condition:
            raise click.UsageError("either --condition or --ask-condition")
        if self._typed and nobody_there():
            raise click.UsageError("nobody to ask on standard input; give --script FILE, or --yes with all in place")

    def session_settings(self, profile: Profile) -> SessionSettings:
        """Give the plan of the session."""
        condition = self.condition or ("ask" if self.asks else "")
        listed = len(self.samples) if self.prefix is None else 0
        return self.settings(profile, condition, self.samples, listed)


@click.command(epilog="Example:  stibium measure /dev/ttyUSB0 --prefix RS --blank-every 20 --duplicate-every 10")
@takes(MeasureOptions)
def measure(options: MeasureOptions) -> None:
    """Lead through a day of measuring, by the profile's rules.

    Warm-up, optimising, dark, white reference, samples of several points, checks of the panel and the wavelengths,
    blanks, reference soils and duplicates. Enter does what is asked for; ? shows the other keys. A measurement that
    breaks a rule is stored, with the reason in place of an estimate. What is shown is in the log already, and a
    session that was cut off goes on with --resume. PORT is a device, socket://HOST:PORT or rfc2217://HOST:PORT.
    """
    options.check()
    profile = options.read_profile()
    bundles = load_bundles(options.models)
    report = None if options.out_format == "table" else Readings(options.out_format, bundles)
    screen = Screen(report, bundles[0], options.bell)
    with ExitStack() as stack:
        place = options.open_position(stack)
        engine = stack.enter_context(open_engine(bundles, options.log))
        code, ended = 0, False
        stop = stack.enter_context(Stop(second_breaks=True))
        instrument = options.connect(stack, profile, screen.say)
        _introduce(instrument, bundles, screen)
        unfinished = _unfinished(engine, instrument, options, screen)
        settings = options.session_settings(profile)
        if unfinished is not None:
            kept = unfinished.settings
            settings = kept if options.count is None else replace(kept, count=options.count)
        session = Session(instrument, engine, profile, settings, screen.tell, place, busy=screen.busy)
        lines = _lines(session, options, screen)
        before = 0
        try:
            if unfinished is not None:
                take_up(session, unfinished)
                before = session.state.refused + session.state.failed_controls
                _say_resumed(session, unfinished, screen)
            else:
                session.begin(options.port, options.profile_name, profile_text(options.profile_name))
            for text in options.notes:
                note(session, text, for_next=True)
            _lead(session, lines, stop, screen)
            ended = session.close()
        except KeyboardInterrupt:
            code = 130
        finally:
            _sum_up(session, ended, screen)
    state = session.state
    failed = state.refused + state.failed_controls - before
    click.get_current_context().exit(code or int(failed > 0 or state.run.soils < settings.count))


def _lead(session: Session, lines: Lines, stop: Stop, screen: Screen) -> None:
    """Answer prompts until there is nothing more to do, or nobody to answer."""
    screen.say("? shows the commands.")
    while True:
        lines.pause()
        asked = prompt(session)
        if asked.step is Step.DONE:
            return
        line = lines.read(asked)
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
                do(session, command)
            screen.ring()


def _say_resumed(session: Session, unfinished: Unfinished, screen: Screen) -> None:
    sample = session.state.sample
    points = 0 if sample is None else len(sample.points)
    of = f"{points} of {session.settings.points} points"
    half = f"; {sample.planned.sample_id} has {of}" if sample is not None and points else ""
    done = len(session.state.done)
    screen.say(f"Session {unfinished.session_id} goes on: {done} sample{'s' * (done != 1)} done{half}")
    for finding in session.complaints():
        screen.say(finding.text)


def _sum_up(session: Session, ended: bool, screen: Screen) -> None:
    """Say what the whole session came to, where it is, and what comes next."""
    state = session.state
    for remark in session.instrument.remarks():
        screen.say(remark)
    controls = f", {state.failed_controls} controls FAILED" if state.failed_controls else ""
    screen.say(f"{state.estimated} estimated, {state.refused} refused{controls}")
    if not session.session_id:
        return
    screen.say(f"Log: {session.engine.log.path}")
    if ended:
        screen.say(f"stibium log --session {session.session_id} lists them, stibium day sums up the day")
    else:
        # Stopped, or failed: what comes next would be the same as without that.
        sample, name = state.sample, state.planned.sample_id
        half = f"{name} has {len(sample.points)} of {session.settings.points} points" if sample else f"Next is {name}"
        screen.say(f"{half}; --resume goes on with it")


def _lines(session: Session, options: MeasureOptions, screen: Screen) -> Lines:
    if options.script is not None:
        return Script(options.script, screen)
    return Yes(lambda: session.measured_points > 0, screen) if options.yes else Typed(screen)


def _introduce(instrument: Instrument, bundles: Sequence[Bundle], screen: Screen) -> None:
    who, nm = instrument.identity, instrument.wavelengths_nm
    screen.say(f"{who}, {nm[0]:g}-{nm[-1]:g} nm, on {instrument.name}")
    if who.virtual:
        screen.say("A program plays it, no instrument.")
    if who.simulated:
        screen.say("All its spectra are SIMULATED.")
    for bundle in bundles:
        screen.say(bundle.heading)


def _unfinished(engine: Engine, instrument: Instrument, options: MeasureOptions, screen: Screen) -> Unfinished | None:
    """Give the session to go on with; one that is not wanted any more is ended."""
    unfinished = unfinished_sessions(engine.log.database, who(instrument.identity), unattended=False)
    if not unfinished and options.resume:
        # One that was ended goes on as well, for whoever asks for that.
        ended = unfinished_sessions(engine.log.database, who(instrument.identity), unattended=False, ended=True)
        unfinished = [one for one in ended if one.readable]
    if not unfinished:
        if options.resume:
            screen.say("No session of this instrument to go on with; a new one begins.")
        return None
    found = unfinished[-1]
    if not found.readable:
        text = f"session of {found.begun} is of an earlier version and cannot go on; all it measured stays in the log"
        screen.say(f"! The {text}. A new session begins.")
        give_up_session(engine.log, found, f"this {text}")
        return None
    new = options.new
    if not (new or options.resume or options.yes or options.script) and sys.stdin.isatty():
        screen.say(f"Unfinished session of {found.begun} with {found.samples} samples.")
        screen.ask("Enter goes on, n begins a new one")
        new = sys.stdin.readline().strip().lower().startswith("n")
    if new:
        give_up_session(engine.log, found)
        return None
    return found
