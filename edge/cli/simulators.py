"""The simulators that `stibium probe` can put on a port, one function for each protocol, and their own options."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .finite import FiniteRange
from .output import notice

if TYPE_CHECKING:
    from ...converters.spectra.spectrum import Spectrum
    from ..instruments.profile import Profile
    from ..simulators.fieldspec_instrument import VirtualFieldSpec
    from ..simulators.serve import VirtualProbe
    from ..simulators.simulator import Simulator

F = TypeVar("F", bound=Callable[..., Any])


def framed_simulator(spectra: Sequence[str], given: SimpleNamespace) -> Simulator:
    """Simulate a framed probe, from spectra or a recording; `given` holds the options of `stibium probe`."""
    from ..simulators.framed_instrument import VirtualInstrument
    from ..simulators.replay import VerbatimReplay
    from ..simulators.spectra import DEFAULT_PAYLOAD, from_recording, from_spectra

    if given.verbatim:
        return VerbatimReplay(given.recording, real_time=given.real_time)
    if given.recording:
        simulation = from_recording(given.recording, given.frame_bytes or 0)
    else:
        simulation = from_spectra(_read(spectra), given.raw, given.frame_bytes or DEFAULT_PAYLOAD)
    return VirtualInstrument(simulation, real_time=given.real_time, button_s=given.button, loop=given.loop)


def _parse_things(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    from ..simulators.in_front import THINGS

    things = tuple(item.strip() for item in text.split(",") if item.strip())
    unknown = [thing for thing in things if thing not in THINGS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r}; there are {', '.join(THINGS)}")
    return things


def fieldspec_options(command: F) -> F:
    """Options of a virtual FieldSpec; they arrive as keyword arguments that begin with `fs_`."""
    options = [
        click.option(
            "--type",
            "fs_type",
            type=click.Choice(["1", "4", "5", "8", "9", "12", "13"]),
            default="13",
            show_default=True,
            help="FieldSpec: instrument type, a sum of VNIR 1, SWIR1 4, SWIR2 8.",
        ),
        click.option(
            "--serial-number",
            "fs_serial_number",
            type=click.IntRange(1, 999999),
            default=18000,
            show_default=True,
            help="FieldSpec: what it says of itself.",
        ),
        click.option(
            "--warm-min",
            "fs_warm_min",
            type=FiniteRange(min=0),
            default=60.0,
            show_default=True,
            help="FieldSpec: minutes that it has been on already.",
        ),
        click.option(
            "--time-scale",
            "fs_time_scale",
            type=FiniteRange(min=0, min_open=True),
            default=1.0,
            show_default=True,
            help="FieldSpec: its warm-up and drift run so many times as fast.",
        ),
        click.option(
            "--not-ready-s",
            "fs_not_ready_s",
            type=FiniteRange(min=0),
            default=0.0,
            show_default=True,
            help='FieldSpec: seconds that it answers "not ready" at first.',
        ),
        click.option(
            "--after-dark",
            "fs_after_dark",
            callback=_parse_things,
            default="white",
            show_default=True,
            metavar="THING,...",
            help="FieldSpec: what is measured after each dark, before the spectra go on: white, mylar, cover, sample.",
        ),
        click.option(
            "--piece-bytes",
            "fs_piece_bytes",
            type=click.IntRange(min=1),
            metavar="N",
            help="FieldSpec: replies go out in pieces of at most so many bytes.",
        ),
        click.option(
            "--control",
            "fs_control",
            is_flag=True,
            help="FieldSpec: obey lines on standard input; `help` lists them.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def fieldspec_simulator(spectra: Sequence[str], given: SimpleNamespace) -> Simulator:
    """Simulate an ASD FieldSpec."""
    from ..simulators.fieldspec_instrument import VirtualFieldSpec
    from ..simulators.in_front import InFront, things_from

    soils = things_from(_read(spectra))
    return VirtualFieldSpec(
        InFront(soils, given.fs_after_dark, given.loop),
        real_time=given.real_time,
        instrument_type=int(given.fs_type),
        serial_number=given.fs_serial_number,
        warm_s=60 * given.fs_warm_min,
        time_scale=given.fs_time_scale,
        not_ready_s=given.fs_not_ready_s,
        seed=given.seed,
        simulated=any(soil.simulated for soil in soils),
        log=notice,
    )


def ascii_simulator(profile: Profile, spectra: Sequence[str], given: SimpleNamespace) -> Simulator:
    """Simulate the ASCII instrument of a profile."""
    from ..simulators.ascii_instrument import ascii_simulator

    return ascii_simulator(profile, _read(spectra), real_time=given.real_time, loop=given.loop)


def obey_standard_input(simulator: VirtualFieldSpec, served: VirtualProbe) -> None:
    """Obey lines on standard input from now on, each answered by one line on standard output."""
    from ..simulators.fieldspec_control import HELP, FieldSpecControl

    control = FieldSpecControl(simulator, served)

    def listen() -> None:
        for line in sys.stdin:
            if not line.strip():
                continue
            try:
                said = HELP if line.strip() == "help" else f"ok, {control.obey(line)}"
            except ValueError as error:
                said = f"no: {error}"
            click.echo(said)
            sys.stdout.flush()

    # It ends with the program: a read of standard input cannot be stopped.
    threading.Thread(target=listen, name="control", daemon=True).start()


def _read(paths: Sequence[str]) -> list[Spectrum]:
    from importlib import resources

    from ...converters.spectra.spectrum import Spectrum
    from .. import shipped
    from ..errors import UnsuitableSpectrumError
    from ..files import iter_spectra
    from ..simulators.spectra import why_not_simulated

    playable: list[Spectrum] = []
    with resources.as_file(resources.files(shipped).joinpath("demo_samples.csv.gz")) as samples:
        for item in iter_spectra([_spectra_in(path) for path in paths] or [str(samples)]):
            if isinstance(item, Spectrum):
                reason = why_not_simulated(item, playable[0] if playable else item)
            else:
                reason = item.reason
            if isinstance(item, Spectrum) and not reason:
                playable.append(item)
            else:
                notice(f"{item.source}: {reason} (left out)")
    if not playable:
        raise UnsuitableSpectrumError(f"{', '.join(paths)}: no spectra to play")
    return playable


def _spectra_in(path: str) -> str:
    """Give the folder of spectra inside a folder that holds more, as `stibium simulate` makes it."""
    inner = Path(path) / "spectra"
    if not inner.is_dir():
        return path
    notice(f"{path}: its spectra are in {inner}; only these are measured")
    return str(inner)
