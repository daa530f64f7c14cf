"""`stibium probe`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ...converters.spectra.spectrum import Spectrum
    from ..probe.ends import End
    from ..probe.faults import Faults
    from ..probe.serve import Player


def _parse_faults(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Faults:
    from ..probe.faults import Faults, parse_faults

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
    "--baud", type=click.IntRange(min=1), default=115200, show_default=True, help="Speed of the line in bit/s."
)
@click.option(
    "--raw/--reflectance", default=False, help="Deliver counts, dark and white, or reflectance.  [default: reflectance]"
)
@click.option("--frame-bytes", type=click.IntRange(64, 1024), metavar="N", help="Bytes of payload in a frame.")
@click.option(
    "--button",
    type=click.FloatRange(min=0),
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
    "--unplug-s", type=click.FloatRange(min=0), default=0.5, show_default=True, help="Seconds until plugged in again."
)
@click.option("--unplug-power", is_flag=True, help="Unplugged, the instrument is without power too.")
def probe(
    spectra: tuple[str, ...],
    recording: str | None,
    verbatim: bool,
    pty: bool,
    link: str | None,
    tcp: tuple[str, int] | None,
    speed: str,
    baud: int,
    raw: bool,
    frame_bytes: int | None,
    button: float | None,
    loop: bool,
    faults: Faults,
    seed: int,
    unplug_every: int | None,
    unplug_s: float,
    unplug_power: bool,
) -> None:
    """Play an instrument on a pseudo-terminal or a TCP port.

    SPECTRA are files or folders of spectra that it measures, in order; without any it plays the samples that
    come with the package, which are simulated. The first line on standard output is the port's name. Ctrl-C
    ends it.
    """
    from ..probe.ends import PtyEnd, TcpEnd
    from ..probe.instrument import VirtualInstrument
    from ..probe.repertoire import DEFAULT_PAYLOAD, from_recording, from_spectra
    from ..probe.replay import VerbatimReplay
    from ..probe.serve import VirtualProbe

    if tcp is not None and (pty or link):
        raise click.UsageError("--tcp excludes --pty and --link")
    if recording and spectra:
        raise click.UsageError("either SPECTRA or --recording")
    if verbatim and not recording:
        raise click.UsageError("--verbatim needs --recording")
    if recording and raw:
        raise click.UsageError("a recording plays what was recorded; --raw is for SPECTRA")
    player: Player
    if recording and verbatim:
        player = VerbatimReplay(recording, real_time=speed == "real")
    else:
        if recording:
            repertoire = from_recording(recording, frame_bytes or 0)
        else:
            repertoire = from_spectra(_read(spectra), raw, frame_bytes or DEFAULT_PAYLOAD)
        player = VirtualInstrument(repertoire, real_time=speed == "real", button_s=button, loop=loop)
    end: End = TcpEnd(*tcp) if tcp is not None else PtyEnd(link)
    served = VirtualProbe(
        player,
        end,
        faults,
        seed,
        baudrate=baud if speed == "real" else None,
        unplug_every=unplug_every or 0,
        unplug_s=unplug_s,
        unplug_power=unplug_power,
        log=_notice,
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: served.stop())
    try:
        click.echo(served.name)
        sys.stdout.flush()
        served.run()
    finally:
        served.close()


def _read(paths: Sequence[str]) -> list[Spectrum]:
    from importlib import resources

    from ...converters.spectra.spectrum import Spectrum
    from .. import shipped
    from ..errors import UnsuitableSpectrumError
    from ..probe.repertoire import why_not_playable
    from ..sources.files import iter_spectra

    playable: list[Spectrum] = []
    with resources.as_file(resources.files(shipped).joinpath("demo_samples.csv.gz")) as samples:
        for item in iter_spectra(paths or [str(samples)]):
            if isinstance(item, Spectrum):
                reason = why_not_playable(item, playable[0] if playable else item)
            else:
                reason = item.reason
            if isinstance(item, Spectrum) and not reason:
                playable.append(item)
            else:
                _notice(f"{item.source}: {reason} (left out)")
    if not playable:
        raise UnsuitableSpectrumError(f"{', '.join(paths)}: no spectra to play")
    return playable


def _notice(line: str) -> None:
    click.echo(f"stibium: {' '.join(line.split())}", err=True)
