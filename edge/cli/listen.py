"""`stibium listen`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from ..errors import InstrumentError
from ..instruments.profile import profile_text
from ..instruments.recording import REPLAY_SCHEME
from ..measure.plan import Plan
from ..measure.resume import Unfinished, left_behind, open_points_notice, take_up
from ..measure.routine import do, prompt, wait
from ..measure.samples import finish
from ..measure.session import Session
from ..measure.state import SessionSettings
from ..measure.steps import Command, Fact, Prompt, Step
from ..supervise import Supervisor
from .options import load_bundles, open_engine
from .output import notice, printable, say
from .progress import SignOfLife, clear_line, show_line
from .readings import Readings
from .session_options import MeasuringOptions, option, takes
from .stopping import Stop

if TYPE_CHECKING:
    from ..instruments.driver import Instrument
    from ..instruments.profile import Profile

POLL_S = 1.0


@dataclass(frozen=True)
class ListenOptions(MeasuringOptions):
    """What `stibium listen` has to be told."""

    sample_id: str | None = option("--sample-id", metavar="ID", help="Name of the one sample to measure.")
    prefix: str | None = option(
        "--prefix", metavar="TEXT", help="Name samples TEXT001, TEXT002, ... in place of the instrument's labels."
    )
    passive: bool = option("--passive", is_flag=True, help="Ask for nothing: wait for the instrument's button.")
    white: str | None = option(
        "--white",
        type=click.Choice(["ask", "now"]),
        help="Ask before the white reference is taken, or take it at once.  [default: ask]",
    )
    ask: bool | None = option(
        "--ask/--no-ask", default=None, help="Ask before each measurement.  [default: on a terminal]"
    )

    @property
    def replays(self) -> bool:
        """True if a recording is in the instrument's place."""
        return self.port.startswith(REPLAY_SCHEME)

    def check(self) -> None:
        """Refuse what contradicts itself. Raises UsageError."""
        if self.sample_id and self.prefix:
            raise click.UsageError("--sample-id and --prefix exclude each other")
        if self.sample_id and self.count not in (None, 1):
            raise click.UsageError("--sample-id names one sample; use --prefix with --count")
        if self.replays and self.record:
            raise click.UsageError("a recording that is replayed is not recorded again")
        if self.replays and self.position:
            raise click.UsageError("where a recording was made, a position of now does not say: leave --position out")

    def check_button(self, profile: Profile) -> None:
        """Refuse to wait for a button that the instrument does not have. Raises UsageError."""
        if self.passive and profile.protocol != "framed":
            raise click.UsageError(
                f"an instrument of profile {self.profile_name} does not measure by itself: leave --passive out"
            )

    def session_settings(self, profile: Profile) -> SessionSettings:
        """Give the plan of a session that nobody attends."""
        names = (self.sample_id,) if self.sample_id else ()
        return SessionSettings(
            points=self.points or profile.measuring.points,
            scans=self.scans or profile.measuring.scans,
            plan=Plan(names, self.prefix or Plan.prefix),
            count=1 if self.sample_id else self.count or 0,
            on_for_min=None,
            unattended=True,
            by_label=not self.sample_id and not self.prefix,
            condition=self.condition or "",
            again=self.replays,
        )


@click.command(epilog="Example:  stibium listen /dev/ttyUSB0 --prefix RS --count 10")
@takes(ListenOptions)
def listen(options: ListenOptions) -> None:
    """Measure with a probe on a serial port and estimate.

    PORT is a device, socket://HOST:PORT, rfc2217://HOST:PORT, or replay://FILE for a recording. Several points
    make a sample; each result is in the log before it is shown. A measurement that cannot be used is refused
    with a reason. Ctrl-C ends it.
    """
    options.check()
    profile = options.read_profile()
    options.check_button(profile)
    settings = options.session_settings(profile)
    bundles = load_bundles(options.models)
    report = Readings(options.out_format, bundles)
    voice = _Voice(report, Supervisor())
    session: Session | None = None
    instrument: Instrument | None = None
    stopped = False
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(bundles, options.log))
        stop = stack.enter_context(Stop())
        try:
            instrument = options.connect(stack, profile, notice)
            voice.introduce(instrument)
            earlier = open_points_notice(engine.log)
            if earlier:
                notice(earlier)
            place = options.open_position(stack)
            begin = partial(
                Session,
                instrument,
                engine,
                profile,
                tell=voice.tell,
                position=place,
                hold=stop.held_back,
                busy=SignOfLife,
            )
            if not options.replays:
                for unfinished in left_behind(engine.log.database, instrument.identity, options.port):
                    _finish_left_behind(begin(unfinished.settings), unfinished)
            session = begin(settings)
            session.begin(options.port, options.profile_name, profile_text(options.profile_name))
            _measure(session, options, voice)
            session.close()
        except KeyboardInterrupt:
            stopped = True
            if session is not None and session.session_id:
                session.close()
        finally:
            voice.end(instrument, session)
    short = settings.count > (session.state.run.soils if session is not None else 0)
    ctx = click.get_current_context()
    ctx.exit(130 if stopped and settings.count else 1 if report.refused or short else 0)


def _measure(session: Session, options: ListenOptions, voice: _Voice) -> None:
    """Measure until the plan is done: with the instrument's button, or one point after the other."""
    attendant = _Attendant(session, options, voice)
    passive = options.passive or options.replays
    while (asked := prompt(session)).step is not Step.DONE:
        voice.alive()
        wants_reference = asked.step in (Step.OPTIMISE, Step.DARK, Step.WHITE)
        if passive and not (wants_reference and options.white and not session.measured_points and not options.replays):
            voice.progress(session)
            wait(session, POLL_S)
        else:
            attendant.prepare(asked)
            voice.progress(session)
            do(session, Command(""))
    with session.hold():
        finish(session)


def _finish_left_behind(session: Session, unfinished: Unfinished) -> None:
    """End the sample of a run that was cut off with the points it has: which soil comes now, nobody knows."""
    with session.hold():
        take_up(session, unfinished)
        sample = session.state.sample
        if sample is not None and sample.points:
            notice(f"{len(sample.points)} points were left by a run that was cut off; they count as they are")
        finish(session)
        session.close()


class _Attendant:
    """Sees to it that the right thing is under the probe: asks the person, if there is one."""

    def __init__(self, session: Session, options: ListenOptions, voice: _Voice) -> None:
        self._session, self._voice = session, voice
        self._white_now = options.white == "now"
        self._ask_points = sys.stdin.isatty() if options.ask is None else options.ask

    def prepare(self, asked: Prompt) -> None:
        """Return when what is asked for can be measured.

        Raises:
            InstrumentError: the white panel is needed amid the samples, and nobody is there to put the probe on it.
            UsageError: nobody answers.
        """
        session = self._session
        if asked.step is Step.POINT:
            state = session.state
            known = not session.settings.by_label or state.sample is not None
            name = state.planned.sample_id if known else "the sample"
            taken = len(state.sample.points) if state.sample is not None else 0
            if self._ask_points:
                self._voice.ask(f"Put the probe on {name}, point {taken + 1}")
        elif self._white_now:
            if session.measured_points:
                # By now there is soil under the probe, and nobody to put it on the panel.
                why = "; ".join(finding.text.partition(": ")[0] for finding in session.complaints())
                raise InstrumentError(
                    f"{session.instrument.name}: {why}; start again with the probe on the white panel"
                )
        elif asked.step is Step.DARK:
            self._voice.ask("Cover the probe so that no light gets in, for the dark measurement")
        else:
            self._voice.ask("Put the probe on the white panel")


class _Voice:
    """What is shown: results on standard output, everything else on standard error, and how it goes to systemd."""

    def __init__(self, report: Readings, supervisor: Supervisor) -> None:
        self._report, self._supervisor = report, supervisor

    def introduce(self, instrument: Instrument) -> None:
        """Say who is there."""
        who, nm = instrument.identity, instrument.wavelengths_nm
        what = [f"{nm[0]:g}-{nm[-1]:g} nm in {nm.size} bands"]
        what += ["SIMULATED spectra"] * who.simulated + ["a program, no instrument"] * who.virtual
        line = f"{instrument.name}: {who}, {', '.join(what)}"
        notice(line)
        self._supervisor.ready(line)

    def tell(self, fact: Fact) -> None:
        """Show what has happened; it is in the log."""
        if fact.result is None:
            notice(fact.text)
            return
        clear_line()
        self._report.show([fact.result])
        self._supervisor.alive(self._report.summary())

    def ask(self, line: str) -> None:
        """Wait until the person is ready. Raises UsageError if there is none."""
        clear_line()
        say(f"{line}, then press Enter: ", nl=False, err=True)
        if not sys.stdin.readline():
            raise click.UsageError(
                "nobody to ask on standard input; give --white now with the probe on the white panel, and --no-ask"
            )

    def alive(self) -> None:
        """The loop goes round."""
        self._supervisor.alive()

    def progress(self, session: Session) -> None:
        """Show on a terminal what is measured now."""
        state = session.state
        known = not session.settings.by_label or state.sample is not None
        name = state.planned.sample_id if known else f"sample {state.run.soils + 1}"
        taken = len(state.sample.points) if state.sample is not None else 0
        show_line(f"{printable(name)}, point {taken + 1} of {session.settings.points}")

    def end(self, instrument: Instrument | None, session: Session | None) -> None:
        """Say what came of it all."""
        self._supervisor.stopping()
        if instrument is None:
            return
        remarks = [self._report.summary(), *instrument.remarks()]
        if session is not None:
            sample = session.state.sample
            pending = len(sample.points) if sample is not None else 0
            remarks += [f"{session.state.known} measurements that were in the log already"] * bool(session.state.known)
            points = f"{pending} point{'s' * (pending > 1)}"
            remarks += [f"{points} of a sample that is not complete, kept for the next start"] * bool(pending)
        clear_line()
        say("; ".join(remarks), err=True)
