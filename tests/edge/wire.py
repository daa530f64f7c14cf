"""A simulator and a driver with no port and no clock between them: time passes when nothing else is left to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from stibium.edge.errors import NoSuchPortError, PortGoneError
from stibium.edge.instruments import ascii as ascii_driver
from stibium.edge.instruments import fieldspec, fieldspec_scan, framed, link
from stibium.edge.simulators import serve
from stibium.edge.simulators.serve import VirtualProbe

_LONGEST_S = 1e5


class Clock:
    """What the modules of driver and simulator take for `time`."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.alarms: list[tuple[float, Callable[[], object]]] = []

    def monotonic(self) -> float:
        """See `time.monotonic`."""
        return self.now_s

    def time(self) -> float:
        """See `time.time`."""
        return 1.7e9 + self.now_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.pass_until(self.now_s + seconds)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something when so much time has passed."""
        self.alarms.append((self.now_s + seconds, action))

    def pass_until(self, at_s: float) -> None:
        """Let time pass until then, and what has been planned happen."""
        while due := [alarm for alarm in self.alarms if alarm[0] <= at_s]:
            alarm = min(due, key=lambda item: item[0])
            self.alarms.remove(alarm)
            self.now_s = max(self.now_s, alarm[0])
            alarm[1]()
        self.now_s = max(self.now_s, at_s)
        assert self.now_s < _LONGEST_S, "nobody gives up"


class _End:
    """See `simulators.ends.End`."""

    def __init__(self) -> None:
        self.name, self.hosts = "wire", 0
        self.plugged = False
        self.port: _Port | None = None

    def plug(self) -> None:
        self.plugged = True

    def unplug(self) -> None:
        self.plugged, self.port = False, None

    def readable(self) -> list[int]:
        return []

    writable = readable

    def receive(self) -> bytes | None:
        if self.port is None:
            return b""
        data, self.port.sent = self.port.sent, b""
        return data

    def send(self, data: bytes) -> int:
        if self.port is not None:
            self.port.coming += data
        return len(data)


class _Port:
    """See `serial_port.BytePort`."""

    def __init__(self, wire: Wire) -> None:
        self.name, self._wire = "wire", wire
        self.sent = self.coming = b""

    def read(self, timeout_s: float) -> bytes:
        clock = self._wire.clock
        until_s = clock.now_s + timeout_s
        while True:
            self._wire.step()
            if self.coming:
                data, self.coming = self.coming, b""
                return data
            self._check()
            if clock.now_s >= until_s:
                return b""
            alarms = [at_s for at_s, _ in clock.alarms]
            clock.pass_until(min(until_s, max(min([self._wire.served.next_due_s(), *alarms]), clock.now_s + 1e-3)))

    def write(self, data: bytes) -> None:
        self._check()
        self.sent += data
        self._wire.step()

    def close(self) -> None:
        if self._wire.end.port is self:
            self._wire.end.port = None

    def _check(self) -> None:
        if self._wire.end.port is not self:
            raise PortGoneError("wire: the port hung up; was it unplugged?")


class Wire:
    """A simulator, served where `open` leads.

    Args:
        simulator: what answers.
        clock: the time there.
        options: see `VirtualProbe`.
    """

    def __init__(self, simulator: Any, clock: Clock, **options: Any) -> None:
        self.clock, self.end = clock, _End()
        self.served = VirtualProbe(simulator, self.end, **options)
        # There is no other thread that serves: what it would be told is done at once.
        self.served._call = lambda action: action()  # type: ignore[assignment, return-value]

    def open(self) -> _Port:
        """Open the port, as a driver does."""
        if not self.end.plugged:
            self.step()
        if not self.end.plugged:
            raise NoSuchPortError("wire: no such port")
        self.end.port = _Port(self)
        self.end.hosts += 1
        self.served.receive()
        return self.end.port

    def step(self) -> None:
        """Let the simulator do what is due."""
        if self.end.port is not None and self.end.port.sent:
            self.served.receive()
        self.served.step(self.clock.now_s)


@contextmanager
def wired(simulator: Any, **options: Any) -> Iterator[Wire]:
    """Serve a simulator without a port, in a time of its own."""
    clock = Clock()
    with ExitStack() as stack:
        for module in (link, framed, ascii_driver, fieldspec, fieldspec_scan, serve):
            if hasattr(module, "time"):
                stack.enter_context(patch.object(module, "time", clock))
        wire = Wire(simulator, clock, **options)
        stack.callback(wire.served.close)
        yield wire
