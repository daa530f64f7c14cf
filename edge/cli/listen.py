"""`stibium listen`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from .options import load_bundle, log_option, model_option, open_engine
from .output import notice, reading_format_option
from .progress import clear_line, show_line
from .stopping import Stop

if TYPE_CHECKING:
    from ...converters.spectra.spectrum import Spectrum
    from ..engine import Engine
    from ..instruments.profile import Profile
    from ..instruments.serial_port import BytePort
    from ..measure.listening import Key, Measuring, Samples, TakenMeasurements
    from ..measure.open_points import OpenPoints
    from ..model.estimate import Refusal
    from ..protocols.framed_transfer import Measurement
    from ..supervise import Supervisor
    from .readings import Readings

POLL_S = 1.0


@click.command(epilog="Example:  stibium listen /dev/ttyUSB0 --prefix RS --count 10")
@click.argument("port")
@click.option("--profile", metavar="NAME|FILE", help="Probe profile.  [default: framed_serial]")
@click.option(
    "--baud", type=click.IntRange(min=1), metavar="BIT/S", help="Speed of the line, instead of the profile's."
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after this many samples.")
@click.option("--points", type=click.IntRange(1, 1000), metavar="N", help="Measurements averaged into one sample.")
@click.option("--scans", type=click.IntRange(1, 0xFFFF), metavar="N", help="Scans averaged by the instrument.")
@click.option("--sample-id", metavar="ID", help="Name of the one sample to measure.")
@click.option(
    "--prefix", metavar="TEXT", help="Name samples TEXT001, TEXT002, ... in place of the instrument's labels."
)
@click.option("--passive", is_flag=True, help="Ask for nothing: wait for the instrument's button.")
@click.option(
    "--white",
    type=click.Choice(["ask", "now"]),
    help="Ask before the white reference is taken, or take it at once.  [default: ask]",
)
@click.option("--ask/--no-ask", default=None, help="Ask before each measurement.  [default: on a terminal]")
@click.option("--record", type=click.Path(), metavar="FILE", help="Record the port's bytes with their times.")
@click.option("--wait-for-port", is_flag=True, help="Wait until the port is there and somebody answers.")
@model_option
@log_option
@reading_format_option
@click.pass_context
def listen(
    ctx: click.Context,
    port: str,
    profile: str | None,
    baud: int | None,
    count: int | None,
    points: int | None,
    scans: int | None,
    sample_id: str | None,
    prefix: str | None,
    passive: bool,
    white: str | None,
    ask: bool | None,
    record: str | None,
    wait_for_port: bool,
    model: str | None,
    log: str | None,
    out_format: str,
) -> None:
    """Measure with a probe on a serial port and estimate.

    PORT is a device, socket://HOST:PORT, rfc2217://HOST:PORT, or replay://FILE for a recording. Several points
    make a sample; each result is in the log before it is shown. A measurement that cannot be used is refused
    with a reason. Ctrl-C ends it.
    """
    from dataclasses import replace

    from ..instruments.profile import DEFAULT_PROFILE, read_profile
    from ..instruments.recording import REPLAY_SCHEME
    from ..measure.listening import Samples, TakenMeasurements
    from ..measure.open_points import OpenPoints
    from ..supervise import Supervisor
    from .readings import Readings

    replay = port.startswith(REPLAY_SCHEME)
    if sample_id and prefix:
        raise click.UsageError("--sample-id and --prefix exclude each other")
    if sample_id and count not in (None, 1):
        raise click.UsageError("--sample-id names one sample; use --prefix with --count")
    if replay and record:
        raise click.UsageError("a recording that is replayed is not recorded again")
    settings = read_profile(profile or DEFAULT_PROFILE)
    if settings.protocol != "framed":
        raise click.UsageError(
            f"an instrument of profile {profile} does not send by itself: stibium measure {port} --profile {profile}"
        )
    if baud is not None:
        settings = replace(settings, serial=replace(settings.serial, baudrate=baud))
    bundle = load_bundle(model)
    report = Readings(out_format, bundle)
    samples = Samples(points or settings.measuring.points, sample_id or "", prefix or "")
    count = 1 if sample_id else count
    scans = scans or settings.measuring.scans
    run: _Run | None = None
    stopped = False
    supervisor = Supervisor()
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(bundle, log, settings.rules))
        stop = stack.enter_context(Stop())
        try:
            measuring = _open_probe(stack, port, settings, record, wait_for_port)
            # What a recording holds may be looked at as often as one likes.
            taken = None if replay else TakenMeasurements(engine.log.database)
            open_points = None if replay else OpenPoints(engine.log.database)
            run = _Run(measuring, samples, engine, report, stop, taken, open_points, count, supervisor)
            notice(_introduction(measuring))
            supervisor.ready(_introduction(measuring))
            run.finish_left_over()
            if passive or replay:
                if white is not None and not replay:
                    measuring.take_references(scans, unattended=white == "now")
                run.wait_for_measurements()
            else:
                run.measure(scans, white == "now", sys.stdin.isatty() if ask is None else ask)
        except KeyboardInterrupt:
            stopped = True
        finally:
            supervisor.stopping()
            if run is not None:
                click.echo("; ".join([report.summary(), *run.remarks()]), err=True)
    if stopped and count is not None:
        ctx.exit(130)
    ctx.exit(1 if report.refused or (count is not None and samples.complete < count) else 0)


def _open_probe(stack: ExitStack, port: str, settings: Profile, record: str | None, wait_for_port: bool) -> Measuring:
    from ..errors import PortError, ProfileError
    from ..instruments.framed_probe import FramedProbe
    from ..instruments.recording import REPLAY_SCHEME, EndOfRecordingError, RecordingWriter, ReplayPort
    from ..instruments.serial_port import SerialPort
    from ..measure.listening import Measuring

    if settings.protocol != "framed":
        raise ProfileError(
            f"{settings.name}: listen speaks the framed protocol only; for this instrument: "
            f"stibium measure {port} with the same --profile"
        )
    writer = stack.enter_context(RecordingWriter(record, f"port {port}")) if record else None

    def open_port() -> BytePort:
        if port.startswith(REPLAY_SCHEME):
            return ReplayPort(port[len(REPLAY_SCHEME) :])
        return SerialPort(port, settings.serial.baudrate, tap=writer)

    probe = FramedProbe(open_port, settings, notice)
    stack.callback(probe.close)
    try:
        probe.connect(wait_for_port)
    except EndOfRecordingError:
        raise PortError(f"{port}: no instrument identifies itself in this recording") from None
    return Measuring(probe, settings.measuring.white_valid_min, _ask, notice)


class _Run:
    """One call of the command: from measurements to what is shown."""

    def __init__(
        self,
        measuring: Measuring,
        samples: Samples,
        engine: Engine,
        report: Readings,
        stop: Stop,
        taken: TakenMeasurements | None,
        open_points: OpenPoints | None,
        count: int | None,
        supervisor: Supervisor,
    ) -> None:
        self._measuring, self._samples, self._engine = measuring, samples, engine
        self._supervisor = supervisor
        self._report, self._stop, self._taken, self._count = report, stop, taken, count
        self._known = 0
        self._open = open_points

    @property
    def _done(self) -> bool:
        return self._count is not None and self._samples.complete >= self._count

    def finish_left_over(self) -> None:
        """Make samples of the points that a run left behind when it was cut off: which soil comes now, nobody knows."""
        from ..measure.listening import Samples

        who = self._measuring.probe.identification
        left = []
        if self._open is not None:
            left = self._open.left_over(self._measuring.instrument, who.boot, unique=bool(who.serial_number))
        if left:
            notice(f"{len(left)} points were left by a run that was cut off; they count as they are")
        rest = Samples(len(left) + 1)
        with self._stop.held_back():
            for spectrum, key in left:
                self._show_samples(rest.add(spectrum, key))
            self._show_samples(rest.finish())

    def measure(self, scans: int, white_now: bool, ask_points: bool) -> None:
        """Ask the instrument for one point after the other."""
        from ..errors import InstrumentError, NothingLeftError
        from ..measure.listening import MOST_FAILURES

        measuring, samples = self._measuring, self._samples
        measuring.take_references(scans, unattended=white_now)
        failures = 0
        while not self._done:
            self._supervisor.alive()
            if white_now and measuring.wants_references():
                # By now there is soil under the probe, and nobody to put it on the panel.
                raise InstrumentError(f"{measuring.why_references()}; start again with the probe on the white panel")
            measuring.take_references(scans, unattended=False)
            if ask_points:
                _ask(f"Put the probe on {samples.current_id or 'the sample'}, point {samples.pending + 1}")
            self._show_progress()
            try:
                measurement, outcome = measuring.acquire(scans, samples.given_id)
            except NothingLeftError as error:
                notice(str(error))
                break
            failures = 0 if self._take(measurement, outcome) else failures + 1
            if failures == MOST_FAILURES:
                raise InstrumentError(f"{measuring.probe.name}: {failures} measurements in a row failed; see above")
        self._show_samples(samples.finish())

    def wait_for_measurements(self) -> None:
        """Take what the instrument sends by itself."""
        from ..errors import NothingLeftError
        from ..instruments.recording import EndOfRecordingError

        while not self._done:
            self._supervisor.alive()
            self._show_progress()
            try:
                measurement, outcome = self._measuring.wait(POLL_S, self._samples.given_id)
            except NothingLeftError as error:
                notice(str(error))
                break
            except EndOfRecordingError:
                self._show_refusals(self._measuring.unfinished())
                break
            self._take(measurement, outcome)
        self._show_samples(self._samples.finish())

    def remarks(self) -> list[str]:
        """What else there is to say at the end."""
        counters = self._measuring.probe.counters
        counted = [
            (counters.damaged, "damaged frames"),
            (counters.asked_again, "requests for missing frames"),
            (counters.replugs, "times unplugged"),
            (counters.restarts, "restarts of the instrument"),
            (self._known, "measurements that were in the log already"),
            (self._samples.pending, "points of a sample that is not complete, kept for the next start"),
        ]
        return [f"{number} {what}" for number, what in counted if number]

    def _take(self, measurement: Measurement | None, outcome: Spectrum | Refusal | None) -> bool:
        """Store, show and only then acknowledge; False if there is a refusal among it."""
        from ..model.estimate import Refusal

        with self._stop.held_back():
            self._show_refusals(self._measuring.losses())
            if measurement is None:
                self._show_refusals([outcome] if isinstance(outcome, Refusal) else [])
            elif outcome is not None:
                key = self._measuring.key(measurement)
                if self._taken is not None and self._taken.holds(key):
                    self._known += 1
                    notice(f"measurement {measurement.head.measurement} is in the log already; not taken again")
                elif isinstance(outcome, Refusal):
                    self._show_refusals([outcome], [key])
                else:
                    self._show_samples(self._samples.add(outcome, key))
                    self._keep_open(key)
        if measurement is not None:
            self._measuring.probe.acknowledge(measurement)
        return not isinstance(outcome, Refusal)

    def _keep_open(self, key: Key) -> None:
        newest = self._samples.newest
        if self._open is not None and newest is not None:
            self._engine.log.add([], also=self._open.keeper(key, newest))

    def _show_samples(self, samples: Iterable[tuple[Spectrum, list[Key]]]) -> None:
        for spectrum, keys in samples:
            if keys and len(keys) < self._samples.points:
                notice(f"{spectrum.sample_id}: {len(keys)} points of {self._samples.points}")
            self._store_and_show([spectrum], keys)

    def _show_refusals(self, refusals: Sequence[Refusal], keys: Sequence[Key] = ()) -> None:
        if refusals:
            self._store_and_show(refusals, keys)

    def _store_and_show(self, items: Sequence[Spectrum | Refusal], keys: Sequence[Key]) -> None:
        also = self._taken.marker(keys) if self._taken is not None else None
        results = self._engine.take(items, also)
        clear_line()
        self._report.show(results)
        self._supervisor.alive(self._report.summary())

    def _show_progress(self) -> None:
        name = self._samples.current_id or f"sample {self._samples.complete + 1}"
        show_line(f"{name}, point {self._samples.pending + 1} of {self._samples.points}")


def _ask(line: str) -> None:
    clear_line()
    click.echo(f"{line}, then press Enter: ", nl=False, err=True)
    if not sys.stdin.readline():
        raise click.UsageError(
            "nobody to ask on standard input; give --white now with the probe on the white panel, and --no-ask"
        )


def _introduction(measuring: Measuring) -> str:
    from ..protocols.framed_messages import Feature

    who, wavelengths_nm = measuring.probe.identification, measuring.probe.wavelengths_nm
    what = [f"{wavelengths_nm[0]:g}-{wavelengths_nm[-1]:g} nm in {wavelengths_nm.size} bands"]
    if who.features & Feature.SIMULATED:
        what.append("SIMULATED spectra")
    if who.features & Feature.VIRTUAL:
        what.append("a program, no instrument")
    name = " ".join(filter(None, (who.name, who.serial_number)))
    return f"{measuring.probe.name}: {name}, {', '.join(what)}"
