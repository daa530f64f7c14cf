"""A cable between a host and an instrument's TCP port that is cut, spoiled, silenced or filled with noise in use.

It knows nothing of what passes, so it serves every protocol. The host sees a pseudo-terminal or a TCP port of its own.
"""

from __future__ import annotations

import os
import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from stibium.edge.simulators.ends import End

Way = Literal["<", ">"]
"""From the instrument, to it; as in a recording."""
LONGEST_WAIT_S = 0.2
NOISE_PAUSE_S, NOISE_BYTES = 0.005, 58
"""A line of 115200 bit/s that is never silent."""


@dataclass(frozen=True)
class Cut:
    """The cable comes out when so many bytes have passed one way since it was plugged in."""

    way: Way
    after_bytes: int
    away_s: float = 0.02


class FaultLine:
    """Carries bytes both ways in a thread of its own, while it is used as a context manager.

    Args:
        instrument: host and port number of its TCP port; connected to anew each time a host is there.
        end: what the host opens.
        cuts: one for each time the cable is plugged in; after the last it stays in.
        on_cut: called in the line's thread while the cable is out.
        adapter_stays: an instrument that hangs up leaves the host's port as it is, as one switched off behind a serial
            adapter does; otherwise its port goes with it.
    """

    def __init__(
        self,
        instrument: tuple[str, int],
        end: End,
        cuts: Iterable[Cut] = (),
        on_cut: Callable[[], None] = lambda: None,
        adapter_stays: bool = False,
        seed: int = 0,
    ) -> None:
        self._address = instrument
        self._end = end
        self._cuts: Iterator[Cut] = iter(cuts)
        self._on_cut = on_cut
        self._adapter_stays = adapter_stays
        self._dice = random.Random(seed)
        self._instrument: socket.socket | None = None
        self._to_host = bytearray()
        self._plug_at_s: float | None = None
        self._noise_until_s = self._next_noise_s = 0.0
        self._calls: deque[Callable[[], object]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        self._stopping = False
        self._failure: BaseException | None = None
        self.spoil: Callable[[Way, bytes], bytes] = lambda way, data: data
        """What becomes of the bytes that pass; may be set at any time."""
        self.heard: dict[Way, bytearray] = {"<": bytearray(), ">": bytearray()}
        """What has passed since the cable was last plugged in, before it was spoiled."""
        self.said = b""
        """The last that the host said, as it came in one piece."""
        self.commands: list[int] = []
        self.replies: list[int] = []
        """How many bytes had passed to the instrument after each piece, and from it before."""
        self.cut_count = 0
        self._cut = next(self._cuts, None)
        end.plug()

    @property
    def name(self) -> str:
        """What the host opens."""
        return self._end.name

    def unplug(self, away_s: float | None = None) -> None:
        """Pull the cable, for some seconds or until `plug`."""
        self._call(lambda: self._pull(away_s))

    def plug(self) -> None:
        """Put the cable in."""
        self._call(self._plug)

    def make_noise(self, seconds: float) -> None:
        """Send random bytes to the host between those of the instrument."""

        def begin() -> None:
            self._noise_until_s = time.monotonic() + seconds

        self._call(begin)

    def _call(self, action: Callable[[], object]) -> None:
        self._calls.append(action)
        os.write(self._wake_write, b"!")

    def __enter__(self) -> FaultLine:
        self._thread = threading.Thread(target=self._run_guarded, name="fault line", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        os.write(self._wake_write, b"!")
        self._thread.join()
        self._hang_up()
        self._end.unplug()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._failure is not None and kind is None:
            raise self._failure

    def _run_guarded(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException as failure:
            self._failure = failure

    def _turn(self) -> None:
        now_s = time.monotonic()
        if self._plug_at_s is not None and now_s >= self._plug_at_s:
            self._plug()
        if self._end.writable() and self._instrument is None:
            self._connect()
        self._hum(now_s)
        if self._to_host:
            del self._to_host[: self._end.send(bytes(self._to_host))]
        read: list[int | socket.socket] = [self._wake_read, *self._end.readable()]
        if self._instrument is not None and len(self._to_host) < 65536:
            read.append(self._instrument)
        humming = now_s < self._noise_until_s
        wait_s = NOISE_PAUSE_S if humming or (self._end.writable() and self._instrument is None) else LONGEST_WAIT_S
        if self._plug_at_s is not None:
            wait_s = min(wait_s, max(self._plug_at_s - now_s, 0.0))
        readable, _, _ = select.select(read, self._end.writable() if self._to_host else [], [], wait_s)
        if self._wake_read in readable:
            os.read(self._wake_read, 4096)
        while self._calls:
            self._calls.popleft()()
        if self._instrument in readable and self._instrument is not None:
            self._from_instrument()
        if self._plug_at_s is None and any(isinstance(ready, int) and ready != self._wake_read for ready in readable):
            self._from_host()

    def _connect(self) -> None:
        try:
            self._instrument = socket.create_connection(self._address, timeout=5)
            self._instrument.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self._instrument = None  # switched off; tried again at the next turn

    def _from_instrument(self) -> None:
        assert self._instrument is not None
        try:
            data = self._instrument.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._instrument_gone()
            return
        self._pass("<", data, self._to_host.extend)

    def _from_host(self) -> None:
        data = self._end.receive()
        if data is None:
            self._hang_up()
        elif data:
            self._pass(">", data, self._to_instrument)

    def _to_instrument(self, data: bytes) -> None:
        # Nobody there: what is said to it is lost, as on a cable.
        if self._instrument is None:
            return
        try:
            self._instrument.sendall(data)
        except OSError:
            self._instrument_gone()

    def _instrument_gone(self) -> None:
        if self._adapter_stays:
            self._hang_up()
        else:
            self._pull(0.02)

    def _pass(self, way: Way, data: bytes, on: Callable[[bytes], object]) -> None:
        cut = self._cut if self._cut is not None and self._cut.way == way else None
        if cut is not None:
            data = data[: max(cut.after_bytes - len(self.heard[way]), 0)]
        if way == ">":
            self.said = data
            self.replies.append(len(self.heard["<"]))
            self.commands.append(len(self.heard[">"]) + len(data))
        self.heard[way] += data
        on(self.spoil(way, data))
        if cut is not None and len(self.heard[way]) >= cut.after_bytes:
            while self._to_host and self._end.writable():
                select.select([], self._end.writable(), [], LONGEST_WAIT_S)
                sent = self._end.send(bytes(self._to_host))
                del self._to_host[:sent]
                if not sent:
                    break
            self.cut_count += 1
            self._cut = next(self._cuts, None)
            self._pull(cut.away_s)

    def _hum(self, now_s: float) -> None:
        if self._next_noise_s <= now_s < self._noise_until_s and self._end.writable():
            self._next_noise_s = now_s + NOISE_PAUSE_S
            self._to_host += self._dice.randbytes(NOISE_BYTES)

    def _hang_up(self) -> None:
        if self._instrument is not None:
            self._instrument.close()
            self._instrument = None
        self._to_host.clear()

    def _pull(self, away_s: float | None) -> None:
        self._hang_up()
        self._end.unplug()
        self._on_cut()
        self._plug_at_s = None if away_s is None else time.monotonic() + away_s

    def _plug(self) -> None:
        self._plug_at_s = None
        for passed in (*self.heard.values(), self.commands, self.replies):
            passed.clear()  # type: ignore[attr-defined]
        self._end.plug()
