"""Options of a command stated once, as the fields of a frozen dataclass; and those that all measuring shares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from ...converters.spectra.spectrum import CONDITIONS, Condition
from .finite import FiniteRange
from .options import log_option, models_option
from .output import reading_format_option

if TYPE_CHECKING:
    from ..instruments.driver import Instrument
    from ..instruments.profile import Profile
    from ..measure.position import PositionSource
    from ..measure.state import SessionSettings

T = TypeVar("T")
_EVERY = {"type": click.IntRange(min=0), "default": 0, "metavar": "N"}


def option(*names: str, **said: Any) -> Any:
    """A field that is a `click.option`, with its arguments; what else it is named after is the field's own name."""
    return field(metadata={"decorate": lambda name: click.option(*names, name, **said)})


def shared(decorate: Callable[[Any], Any]) -> Any:
    """A field that is an option of `options`."""
    return field(metadata={"decorate": lambda name: decorate})


def takes(options: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Give a command the options that a dataclass states, as an object of that class."""

    def decorated(command: Callable[[T], None]) -> Callable[..., None]:
        def call(**said: Any) -> None:
            command(options(**said))

        call.__doc__, call.__name__ = command.__doc__, command.__name__
        for one in reversed(fields(options)):  # type: ignore[arg-type]
            call = one.metadata["decorate"](one.name)(call)
        return call

    return decorated


@dataclass(frozen=True)
class InstrumentOptions:
    """What every command that has an instrument has to be told."""

    port: str = field(metadata={"decorate": click.argument})
    profile: str | None = option(
        "--profile", metavar="NAME|FILE", help="Probe profile, with its rules.  [default: framed_serial]"
    )
    baud: int | None = option(
        "--baud", type=click.IntRange(min=1), metavar="BIT/S", help="Speed of the line, instead of the profile's."
    )
    wait_for_port: bool = option(
        "--wait-for-port", is_flag=True, help="Wait until the port is there and somebody answers."
    )
    record: str | None = option(
        "--record", type=click.Path(), metavar="FILE", help="Record the port's bytes with their times."
    )
    points: int | None = option(
        "--points", type=click.IntRange(1, 1000), metavar="N", help="Points of a sample, instead of the profile's."
    )
    scans: int | None = option(
        "--scans", type=click.IntRange(1, 0x7FFF), metavar="N", help="Scans of a point, instead of the profile's."
    )
    condition: Condition | None = option(  # noqa: RUF009 - as the others, whose types the rule takes for plain
        "--condition",
        type=click.Choice(CONDITIONS),
        help="Of the ground, for every soil: a model that knows dry soils only says so of damp or wet ground.",
    )
    count: int | None = option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after this many samples.")
    position: str | None = option(
        "--position",
        metavar="SOURCE",
        help="gpsd://HOST, NMEA from /dev/ttyACM0 or socket://PHONE:PORT, or LATITUDE,LONGITUDE[,HEIGHT].",
    )
    models: tuple[str, ...] = shared(models_option)
    log: str | None = shared(log_option)

    @property
    def profile_name(self) -> str:
        """The profile, or the default one."""
        from ..instruments.profile import DEFAULT_PROFILE

        return self.profile or DEFAULT_PROFILE

    def read_profile(self) -> Profile:
        """Read the profile, with the speed that was asked for. Raises ProfileError."""
        from ..instruments.profile import read_profile

        profile = read_profile(self.profile_name)
        return profile if self.baud is None else replace(profile, serial=replace(profile.serial, baudrate=self.baud))

    def connect(self, stack: ExitStack, profile: Profile, say: Callable[[str], None]) -> Instrument:
        """Open the port, for this program alone, and find out who is there; closed with the stack.

        Raises:
            PortError, InstrumentError, ProfileError, RecordingError: see `open_instrument` and its `connect`.
        """
        from ..instruments.opening import open_instrument
        from ..instruments.owner import owning
        from ..instruments.recording import RecordingWriter

        stack.enter_context(owning(self.port, self.wait_for_port, say))
        writer = stack.enter_context(RecordingWriter(self.record, f"port {self.port}")) if self.record else None
        instrument = open_instrument(self.port, profile, say, writer)
        stack.callback(instrument.close)
        instrument.connect(self.wait_for_port)
        return instrument

    def open_position(self, stack: ExitStack) -> PositionSource | None:
        """Open what says where we are, closed with the stack; None if nobody says. Raises PositionError."""
        if self.position is None:
            return None
        from ..measure.position import open_position

        source = open_position(self.position, patient=True)
        stack.callback(source.close)
        return source


@dataclass(frozen=True)
class LedOptions(InstrumentOptions):
    """What a session that a person is led through has to be told, on a terminal or from the page."""

    operator: str = option("--operator", default="", metavar="NAME", help="Who measures, for the log.")
    on_for_min: float = option(
        "--on-for",
        type=FiniteRange(min=0),
        default=0.0,
        metavar="MINUTES",
        help="How long the instrument has been switched on already, for the warm-up.",
    )
    optimise: bool = option(
        "--optimise/--no-optimise",
        default=True,
        help="Optimise at the start, where the instrument can.  [default: yes]",
    )
    prefix: str | None = option(
        "--prefix", metavar="TEXT", help="Name samples TEXT001, TEXT002, ...  [default: sample-]"
    )
    blank_every: int = option("--blank-every", help="Ask for a blank after N samples.", **_EVERY)
    reference_every: int = option("--reference-every", help="Ask for the reference soil after N samples.", **_EVERY)
    reference_id: str = option(
        "--reference-id", default="reference", show_default=True, metavar="ID", help="Name of the reference soil."
    )
    reference_value: float | None = option(
        "--reference-value", type=FiniteRange(min=0), metavar="PPM", help="Stated content of the reference soil."
    )
    reference_uncertainty: float = option(
        "--reference-uncertainty",
        type=FiniteRange(min=0),
        default=0.0,
        metavar="PPM",
        help="Its stated uncertainty.",
    )
    duplicate_every: int = option("--duplicate-every", help="Ask for a sample again after N samples.", **_EVERY)

    def __post_init__(self) -> None:
        if self.reference_value is not None and not self.reference_every:
            raise click.UsageError("--reference-value is of a soil that nobody asks for: add --reference-every N")

    def settings(
        self,
        profile: Profile,
        condition: Condition | Literal["", "ask"],
        samples: tuple[str, ...] = (),
        listed: int = 0,
    ) -> SessionSettings:
        """Give the plan of the session; with `listed` it is over after so many samples, unless `--count` says more."""
        from ..measure.controls import Stated
        from ..measure.plan import Plan
        from ..measure.state import SessionSettings

        every = (self.blank_every, self.reference_every, self.duplicate_every)
        stated = self.reference_value
        return SessionSettings(
            points=self.points or profile.measuring.points,
            scans=self.scans or profile.measuring.scans,
            plan=Plan(samples, self.prefix or Plan.prefix, *every, self.reference_id),
            count=self.count or listed,
            optimise=self.optimise,
            on_for_min=self.on_for_min,
            stated=None if stated is None else Stated(stated, self.reference_uncertainty),
            operator=self.operator,
            condition=condition,
        )


@dataclass(frozen=True)
class MeasuringOptions(InstrumentOptions):
    """What every command that measures and shows results has to be told."""

    out_format: str = shared(reading_format_option)
