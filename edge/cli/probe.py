"""`stibium probe`."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click

from .finite import FiniteRange
from .output import notice
from .simulators import (
    ascii_simulator,
    fieldspec_options,
    fieldspec_simulator,
    framed_simulator,
    obey_standard_input,
)

if TYPE_CHECKING:
    from ..simulators.ends import End
    from ..simulators.faults import Faults
    from ..simulators.simulator import Simulator


def _parse_faults(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Faults:
    from ..simulators.faults import Faults, parse_faults

    try:
        return parse_faults(text) if text else Faults()
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _parse_address(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    host, colon, number = text.rpartition(":")
    if not colon or not number.isdigit() or int(number) > 0xFFFF:
        raise click.BadParameter(f"{text!r}; write HOST:PORT, such as 127.0.0.1:4000, or port 0 for any free one")
    return host.strip("[]") or "127.0.0.1", int(number)


@click.command(epilog="Example:  stibium probe soils.csv --link /tmp/probe --misbehave flip=0.001,stall=0.01")
@click.argument("spectra", nargs=-1, type=click.Path())
@click.option(
    "--instrument",
    default="framed_serial",
    show_default=True,
    metavar="PROFILE",
    help="Profile of the instrument to play: framed_serial, fieldspec, as7265x, ascii_spectrometer, or a .toml file.",
)
@click.option("--recording", type=click.Path(), metavar="FILE", help="Play the measurements of a recording.")
@click.option("--verbatim", is_flag=True, help="Play the recording's bytes as they are, whatever the host says.")
@click.option("--pty", is_flag=True, help="Offer a pseudo-terminal.  [default]")
@click.option("--link", type=click.Path(), metavar="PATH", help="Keep a symbolic link on the pseudo-terminal.")
@click.option("--tcp", callback=_parse_address, metavar="HOST:PORT", help="Offer a TCP port; 0 is any free one.")
@click.option(
    "--speed",
    type=click.Choice(["real", "full"]),
    default="real",
    show_default=True,
    help="Scans and bytes take the time they would take, or none.",
)
@click.option(
    "--baud", type=click.IntRange(min=1), metavar="BIT/S", help="Speed of the line.  [default: the profile's]"
)
@click.option(
    "--raw/--reflectance", default=False, help="Deliver counts, dark and white, or reflectance.  [default: reflectance]"
)
@click.option("--frame-bytes", type=click.IntRange(64, 1024), metavar="N", help="Bytes of payload in a frame.")
@click.option(
    "--button",
    type=FiniteRange(min=0),
    metavar="SECONDS",
    help="Press the button this often; 0: as soon as possible.",
)
@click.option("--loop", is_flag=True, help="Begin again after the last spectrum.")
@click.option(
    "--misbehave",
    "faults",
    callback=_parse_faults,
    metavar="FAULT=P,...",
    help="Probability for each byte: flip, drop, garbage; for each frame: duplicate, wrong-length, stall, "
    "disconnect; stall-s=SECONDS.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the misbehaviour.")
@click.option("--unplug-every", type=click.IntRange(min=1), metavar="N", help="Hang up amid every Nth measurement.")
@click.option(
    "--unplug-s", type=FiniteRange(min=0), default=0.5, show_default=True, help="Seconds until plugged in again."
)
@click.option("--unplug-power", is_flag=True, help="Unplugged, the instrument is without power too.")
@fieldspec_options
@click.pass_context
def probe(
    ctx: click.Context,
    /,
    spectra: tuple[str, ...],
    **options: Any,
) -> None:
    """Play an instrument on a pseudo-terminal or a TCP port.

    SPECTRA are files or folders of spectra that it measures, in order; without any it plays the samples that
    come with the package, which are simulated. The first line on standard output is the port's name. Ctrl-C
    ends it.

    With --instrument fieldspec it is an ASD FieldSpec on a TCP port: the white panel is in front of it until it has
    optimised and after each dark, then the spectra, one for each measurement. With an ASCII instrument's profile, such
    as as7265x, it answers that profile's commands.
    """
    from ..instruments.profile import read_profile
    from ..simulators.ends import PtyEnd, TcpEnd
    from ..simulators.fieldspec_instrument import VirtualFieldSpec
    from ..simulators.serve import VirtualProbe

    # Every option by its name, as declared above.
    given = SimpleNamespace(**options)
    if given.tcp is not None and (given.pty or given.link):
        raise click.UsageError("--tcp excludes --pty and --link")
    if given.recording and spectra:
        raise click.UsageError("either SPECTRA or --recording")
    if given.verbatim and not given.recording:
        raise click.UsageError("--verbatim needs --recording")
    if given.recording and given.raw:
        raise click.UsageError("a recording plays what was recorded; --raw is for SPECTRA")
    profile = read_profile(given.instrument)
    protocol = profile.protocol
    _refuse_options_of_others(ctx, protocol)
    if given.faults.wrong_length and protocol != "framed":
        whose = "a FieldSpec's replies" if protocol == "fieldspec" else "lines of text"
        raise click.UsageError(f"wrong-length: {whose} say no length")
    given.real_time = given.speed == "real"
    simulator: Simulator
    if protocol == "fieldspec":
        simulator = fieldspec_simulator(spectra, given)
    elif protocol == "ascii":
        simulator = ascii_simulator(profile, spectra, given)
    else:
        simulator = framed_simulator(spectra, given)
    if given.tcp is not None or protocol == "fieldspec":
        end: End = TcpEnd(*(given.tcp or ("127.0.0.1", 0)))
    else:
        end = PtyEnd(given.link)
    served = VirtualProbe(
        simulator,
        end,
        given.faults,
        given.seed,
        baudrate=(given.baud or profile.serial.baudrate) if given.real_time and protocol != "fieldspec" else None,
        unplug_every=given.unplug_every or 0,
        unplug_s=given.unplug_s,
        unplug_power=given.unplug_power,
        log=notice,
        piece_bytes=given.fs_piece_bytes,
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: served.stop())
    try:
        click.echo(served.name)
        sys.stdout.flush()
        if given.fs_control and isinstance(simulator, VirtualFieldSpec):
            obey_standard_input(simulator, served)
        served.run()
    finally:
        served.close()


_FRAMED_PROTOCOL_ONLY = ("recording", "verbatim", "raw", "frame_bytes", "button")
_FRAMED_ONLY = (*_FRAMED_PROTOCOL_ONLY, "pty", "link", "baud")


def _refuse_options_of_others(ctx: click.Context, protocol: str) -> None:
    """An option that would mean nothing for this instrument is an error, not silently without effect."""
    for option in ctx.command.params:
        name = option.name or ""
        if ctx.get_parameter_source(name) in (None, click.core.ParameterSource.DEFAULT):
            continue
        if protocol == "fieldspec" and name in _FRAMED_ONLY:
            raise click.UsageError(f"{option.opts[0]} is nothing that a FieldSpec has")
        if protocol == "ascii" and name in _FRAMED_PROTOCOL_ONLY:
            raise click.UsageError(f"{option.opts[0]} is nothing that an ASCII instrument has")
        if protocol != "fieldspec" and name.startswith("fs_"):
            raise click.UsageError(f"{option.opts[0]} needs --instrument fieldspec")
