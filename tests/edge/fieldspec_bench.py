"""A virtual FieldSpec, on a wire with a time of its own or on a real TCP port, and the driver at the other end of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from serial.urlhandler import protocol_socket
from stibium.edge.instruments.fieldspec import FieldSpecInstrument
from stibium.edge.instruments.opening import open_instrument
from stibium.edge.instruments.profile import Profile, parse_profile
from stibium.edge.simulators.ends import TcpEnd
from stibium.edge.simulators.faults import Faults
from stibium.edge.simulators.fieldspec_control import FieldSpecControl
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.in_front import GRID_NM, InFront, Thing
from stibium.edge.simulators.serve import VirtualProbe
from wire import Wire, wired


def soil(number: int) -> Thing:
    """A smooth reflectance, different for each number."""
    along = (GRID_NM - 350.0) / 2150.0
    return Thing(f"S{number}", 0.15 + 0.25 * along + 0.05 * np.sin(9.0 * along + number), simulated=True)


def quick_profile(**changes: Any) -> Profile:
    """Timeouts for a machine that is busy but has no cable."""
    patience = {"quiet_s": 0.05, "reply_s": 20.0, "replug_s": 30.0, "request_attempts": 3} | {
        key: value for key, value in changes.items() if key in vars(Profile().timeouts)
    }
    own = {"not_ready_s": 20.0} | {key: value for key, value in changes.items() if key not in vars(Profile().timeouts)}
    lines = [f"{key} = {value!r}" for key, value in own.items()]
    text = "\n".join(
        ['protocol = "fieldspec"', "[fieldspec]", *lines, "[patience]", *(f"{k} = {v}" for k, v in patience.items())]
    )
    return parse_profile(text.replace("'", '"'), "bench")


class Bench:
    """Both ends."""

    def __init__(
        self, player: VirtualFieldSpec, served: VirtualProbe, profile: Profile, wire: Wire | None = None
    ) -> None:
        self.player, self.served, self.wire = player, served, wire
        self.control = FieldSpecControl(player, served)
        self.told: list[str] = []
        self.profile = profile
        self.instrument = self.open()

    def open(self) -> FieldSpecInstrument:
        """Another driver for the same port."""
        if self.wire is not None:
            return FieldSpecInstrument(self.wire.open, self.profile, self.told.append)
        instrument = open_instrument(self.served.name, self.profile, self.told.append)
        assert isinstance(instrument, FieldSpecInstrument)
        return instrument

    def after(self, seconds: float, line: str) -> None:
        """Have something done in a while."""
        assert self.wire is not None
        self.wire.clock.after(seconds, lambda: self.control.obey(line))

    def ready(self) -> FieldSpecInstrument:
        """The driver, connected and optimised on white."""
        self.instrument.connect()
        self.instrument.optimise()
        return self.instrument


@contextmanager
def bench(
    profile: Profile | None = None,
    faults: Faults | None = None,
    soils: int = 3,
    after_dark: tuple[str, ...] = ("white",),
    **options: Any,
) -> Iterator[Bench]:
    """Have a virtual FieldSpec while the test runs, without a port and without waiting."""
    player = VirtualFieldSpec(InFront([soil(i) for i in range(soils)], after_dark), **options)
    with wired(player, faults=faults, unplug_s=0.05) as wire:
        made = Bench(player, wire.served, profile or quick_profile(), wire)
        with closing(made.instrument):
            yield made


@contextmanager
def tcp_bench(profile: Profile | None = None, piece_bytes: int | None = None, **options: Any) -> Iterator[Bench]:
    """Serve a virtual FieldSpec on a real port while the test runs."""
    player = VirtualFieldSpec(InFront([soil(i) for i in range(3)]), **options)
    served = VirtualProbe(player, TcpEnd("127.0.0.1", 0), unplug_s=0.05, piece_bytes=piece_bytes)
    # pyserial waits 0.3 s after closing each socket; nothing here needs that.
    hasty = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None})
    with served, patch.object(protocol_socket, "time", hasty):
        made = Bench(player, served, profile or quick_profile())
        with closing(made.instrument):
            yield made


def reflectance(instrument: FieldSpecInstrument, scans: int = 10) -> np.ndarray:
    """Measure dark, white and the next soil, and give the soil's reflectance."""
    dark = instrument.acquire("dark", scans) if instrument.identity.needs_dark else None
    white = instrument.acquire("white", scans)
    target = instrument.acquire("target", scans)
    return np.asarray(instrument.correct_dark(target, dark) / instrument.correct_dark(white, dark))
