"""The way to an instrument: its port opened, watched, and opened again when it hangs up, for every protocol alike."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..errors import (
    InstrumentError,
    InstrumentExchangedError,
    MeasurementError,
    NoReplyError,
    NoSuchPortError,
    NotAPortError,
    PortError,
    PortGoneError,
    ProtocolError,
)
from ..protocols.host import Host, HostEvent, Output, Problem, Remark, Send, Timeouts
from .serial_port import BytePort

LONGEST_PAUSE_S = 2.0
_SHORTEST_PAUSE_S = 0.05
_LONGEST_READ_S = 60.0
_T = TypeVar("_T")


class Link:
    """The line to one instrument, which it stays with: another one on the same port is an error, at once.

    Args:
        open_port: opens the port, anew after each hang-up; raises PortError.
        host: the protocol's side of the line.
        timeouts: how long to wait, and how often to try.
        greet: finds out who is there, calls `found` and makes the instrument ready; given how often that has failed in
            a row, as what comes late on a line may be awaited longer each time.
        notify: called with one line for a person when something noteworthy happens.
        kind: what the instrument should be, in words.
    """

    def __init__(
        self,
        open_port: Callable[[], BytePort],
        host: Host,
        timeouts: Timeouts,
        greet: Callable[[int], None],
        notify: Callable[[str], None] | None,
        kind: str,
    ) -> None:
        self._open_port, self._host, self._timeouts, self._greet = open_port, host, timeouts, greet
        self._notify = notify or (lambda line: None)
        self._kind = kind
        self._port: BytePort | None = None
        self._who: str | None = None
        self._closed = True
        self._events: deque[HostEvent] = deque()
        self.name = "port"
        """The port's, as a person would name it."""
        self.reconnects = 0
        """Times the port was opened again."""

    # --- opening, and opening again -----------------------------------------------------------------------

    def connect(self, wait_for_port: bool = False) -> None:
        """Open the port and find out who is there.

        What was there a moment ago, or answers with rubbish, is tried again a few times; anything else only with
        `wait_for_port`, and then for ever.

        Raises:
            PortError: the port cannot be opened, or nothing that speaks the protocol answers.
            InstrumentError: the instrument answers, and says or is what cannot be used.
        """
        self._closed = False
        pauses, told, failures = _pauses(), "", 0
        while True:
            try:
                self._open(failures)
                return
            except (PortError, NoReplyError, ProtocolError) as error:
                came = isinstance(error, (PortGoneError, NoReplyError, ProtocolError))
                failures += came or bool(failures)
                if isinstance(error, (InstrumentExchangedError, NotAPortError)):
                    raise
                if not wait_for_port and not 0 < failures < self._timeouts.request_attempts:
                    if not came:
                        raise
                    raise PortError(f"{error} (connected {failures} times; is it {self._kind}?)") from error
                if wait_for_port and str(error) != told:
                    told = str(error)
                    self._notify(f"{told} (waiting)")
            time.sleep(next(pauses))

    def reconnect(self, cause: Exception) -> None:
        """Open the port again, for as long as the profile says.

        Raises:
            InstrumentExchangedError: another instrument answers on it.
            PortError: it does not come back.
        """
        self.reconnects += 1
        self._notify(f"{cause} (waiting for it to come back)")
        deadline_s = time.monotonic() + self._timeouts.replug_s
        pauses, told, failures = _pauses(), "", 0
        while True:
            try:
                self._open(failures)
            except InstrumentExchangedError:
                raise
            except (PortError, NoReplyError, ProtocolError, InstrumentError, MeasurementError) as error:
                failures += 1
                if time.monotonic() >= deadline_s:
                    raise PortError(f"{error} (gone for {self._timeouts.replug_s:g} s, given up)") from error
                # That it is not there yet goes without saying.
                if str(error) != told and not isinstance(error, NoSuchPortError):
                    told = str(error)
                    self._notify(told)
            else:
                self._notify(f"{self.name}: connected again")
                return
            time.sleep(next(pauses))

    def open_port(self) -> None:
        """Open the port alone, whoever is there. PortError if that is not possible."""
        self.hang_up()
        self._port = self._open_port()
        self.name = self._port.name
        self._events.clear()
        self._closed = False
        self._carry_out(self._host.opened(time.monotonic()))

    def _open(self, failures: int) -> None:
        try:
            self.open_port()
            self._greet(failures)
        except BaseException:
            self.hang_up()
            raise

    def found(self, who: str) -> None:
        """Compare who answers with who was there before; InstrumentExchangedError if that is another one."""
        if self._who is not None and who != self._who:
            self.hang_up()
            raise InstrumentExchangedError(
                f"{self.name}: another instrument answers now: {who} in place of {self._who}"
            )
        self._who = who

    @property
    def known(self) -> bool:
        """Whether an instrument has been found on this port before."""
        return self._who is not None

    @property
    def is_open(self) -> bool:
        """Whether the port is open."""
        return self._port is not None

    def persist(self, run: Callable[[], _T]) -> _T:
        """Run something on the line; begin it again over a new connection if the one it runs on breaks.

        Raises:
            MeasurementError: no answer in time, or the connection broke each time; there is a new one.
            InstrumentError: what `run` raised.
            PortError: the connection could not be had again, or another instrument is there, or it was closed.
        """
        if self._closed:
            raise PortError(f"{self.name}: the port is not open")
        attempts = self._timeouts.request_attempts
        last: Exception | None = None
        for _ in range(attempts):
            try:
                if not self.is_open:
                    raise PortGoneError(f"{self.name}: the connection is not usable any more")
                return run()
            except NoReplyError as error:
                self.reconnect(error)
                raise MeasurementError(f"{error} (measure again)") from error
            except InstrumentError as error:
                if not self.is_open:
                    self.reconnect(error)
                raise
            except (ProtocolError, PortGoneError) as error:
                last = error
                self.reconnect(error)
        raise MeasurementError(f"{last} (tried {attempts} times; measure again)") from last

    def notify(self, line: str) -> None:
        """Say something about the instrument to a person."""
        self._notify(f"{self.name}: {line}")

    def hang_up(self) -> None:
        """Close the port; `persist` opens it again."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def close(self) -> None:
        """Close the port for good; may be called again."""
        self._closed = True
        self.hang_up()

    # --- the loop around a port ---------------------------------------------------------------------------

    def tell(self, call: Callable[[float], list[Output]]) -> None:
        """Have the host do something, after it has heard what has come so far. PortGoneError if the port hung up."""
        port = self._line
        self._carry_out(self._host.receive(port.read(0.0), time.monotonic()))
        self._carry_out(call(time.monotonic()))

    def next_event(self, until_s: float = math.inf) -> HostEvent | None:
        """Wait for an event; None if none came by `until_s` (`time.monotonic`). Remarks are passed on to the person.

        Raises:
            StibiumError: what a `Problem` says.
            PortGoneError: the port hung up.
        """
        while True:
            event = self._events.popleft() if self._events else self._wait(until_s)
            if isinstance(event, Problem):
                if event.closes:
                    self.hang_up()
                raise event.error(f"{self.name}: {event.why}")
            if not isinstance(event, Remark):
                return event
            self.notify(event.text)

    def _wait(self, until_s: float) -> HostEvent | None:
        while not self._events:
            now_s = time.monotonic()
            self._carry_out(self._host.due(now_s))
            if self._events or now_s >= until_s:
                break
            wake_s = min(until_s, self._host.next_due_s())
            data = self._line.read(min(max(0.0, wake_s - time.monotonic()), _LONGEST_READ_S))
            if data:
                self._carry_out(self._host.receive(data, time.monotonic()))
        return self._events.popleft() if self._events else None

    @property
    def _line(self) -> BytePort:
        if self._port is None:
            raise PortGoneError(f"{self.name}: the port is not open")
        return self._port

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._line.write(output.data)
            else:
                self._events.append(output)


def _pauses() -> Iterator[float]:
    """Seconds between attempts to open a port, longer each time."""
    pause_s = _SHORTEST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def counted(*happened: tuple[int, str, str]) -> list[str]:
    """Say how often things happened, what did not left out: [(2, "damaged frame", "damaged frames")]."""
    return [f"{number} {one if number == 1 else many}" for number, one, many in happened if number]
