"""Serves a virtual instrument on a port, over a line that may misbehave."""

from __future__ import annotations

import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from .ends import End
from .faults import Action, Faults, FaultyLine, HangUp, Pause
from .simulator import Simulator

_LONGEST_WAIT_S = 60.0


class VirtualProbe:
    """An instrument on a port, served by `run` in this thread or, as a context manager, by another one.

    Args:
        simulator: what answers.
        end: the port; plugged in at once, so that `name` is known.
        faults: how the line misbehaves, in both directions for bytes.
        seed: of the dice.
        baudrate: bytes go out as slowly as on a line of this speed; None: at once.
        piece_bytes: bytes go out in pieces of at most so many; None: as many as fit.
        unplug_every: hang up in the middle of every so-many-th measurement; 0: never.
        unplug_s: how long the port stays away then.
        unplug_power: the instrument loses power with the port.
        log: called with one line about each mishap.
    """

    def __init__(
        self,
        simulator: Simulator,
        end: End,
        faults: Faults | None = None,
        seed: int = 0,
        baudrate: int | None = None,
        unplug_every: int = 0,
        unplug_s: float = 0.5,
        unplug_power: bool = False,
        log: Callable[[str], None] | None = None,
        piece_bytes: int | None = None,
    ) -> None:
        self._simulator = simulator
        self._end = end
        self._line = FaultyLine(faults or Faults(), seed)
        self._byte_s = 10.0 / baudrate if baudrate else 0.0
        self._piece_bytes = piece_bytes or (1 << 20)
        self._hosts = 0
        self._hang_up_after = -1
        self._unplug_every, self._unplug_s, self._unplug_power = unplug_every, unplug_s, unplug_power
        self._log = log or (lambda line: None)
        self._queue: deque[Action] = deque()
        self._send_at_s = 0.0
        self._plug_at_s: float | None = None
        self._seen, self._frames_to_unplug = 0, -1
        self._calls: deque[Callable[[], object]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._pulled_out = threading.Event()
        end.plug()

    @property
    def name(self) -> str:
        """What a host opens."""
        return self._end.name

    # --- from other threads -------------------------------------------------------------------------------

    def stop(self) -> None:
        """End `run`. May be called from a signal handler."""
        self._stopping = True
        os.write(self._wake_write, b"s")

    def unplug(self, power: bool = False) -> None:
        """Take the port away until `plug`; returns when it is gone."""
        self._pulled_out.clear()
        self._call(lambda: self._hang_up(None, power))
        self._pulled_out.wait(_LONGEST_WAIT_S)

    def plug(self) -> None:
        """Offer the port again."""
        self._call(self._plug)

    def press_button(self) -> None:
        """Measure unasked."""
        self._call(lambda: self._simulator.press_button(time.monotonic()))

    def hang_up_after(self, count: int) -> None:
        """Hang up as soon as so many further bytes have gone out; back `unplug_s` later."""
        self._call(lambda: setattr(self, "_hang_up_after", count))

    def call(self, action: Callable[[], object]) -> None:
        """Run something in the thread that serves, and wait until it is done."""
        done = threading.Event()

        def run() -> None:
            action()
            done.set()

        self._call(run)
        done.wait(_LONGEST_WAIT_S)

    def _call(self, action: Callable[[], object]) -> None:
        self._calls.append(action)
        os.write(self._wake_write, b"c")

    def __enter__(self) -> VirtualProbe:
        self._thread = threading.Thread(target=self._run_guarded, name="virtual probe", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self.close()
        if self._failure is not None:
            raise self._failure

    def _run_guarded(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that owns this one
            self._failure = error

    def close(self) -> None:
        """Take the port away for good."""
        self._end.unplug()
        os.close(self._wake_read)
        os.close(self._wake_write)

    # --- the loop -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping:
            now_s = time.monotonic()
            self.step(now_s)
            self._wait(now_s)

    def step(self, now_s: float) -> None:
        """Do what is due by now."""
        if self._plug_at_s is not None and now_s >= self._plug_at_s:
            self._plug()
        self._collect(now_s)
        self._send(now_s)

    def next_due_s(self) -> float:
        """When there is something to do though the host says nothing; infinity if never."""
        times = [self._plug_at_s, self._simulator.next_due_s() if not self._queue else self._send_at_s]
        return min((t for t in times if t is not None), default=math.inf)

    def _wait(self, now_s: float) -> None:
        wait_s = min(_LONGEST_WAIT_S, self.next_due_s() - now_s)
        blocked = bool(self._queue) and now_s >= self._send_at_s
        readable, _, _ = select.select(
            [self._wake_read, *self._end.readable()],
            self._end.writable() if blocked else [],
            [],
            _LONGEST_WAIT_S if blocked else max(wait_s, 0.0),
        )
        if self._wake_read in readable:
            os.read(self._wake_read, 4096)
            while self._calls:
                self._calls.popleft()()
        if readable and self._plug_at_s is None:
            self.receive()

    def receive(self) -> None:
        """Take what the host has sent, if it has."""
        data = self._end.receive()
        if self._end.hosts != self._hosts:
            self._hosts = self._end.hosts
            self._simulator.host_came(time.monotonic())
        if data is None:
            self._forget()
        elif data:
            self._simulator.receive(self._line.spoil_bytes(data), time.monotonic())

    def _collect(self, now_s: float) -> None:
        for frame in self._simulator.outgoing(now_s):
            if self._simulator.measured > self._seen:
                self._seen = self._simulator.measured
                if self._unplug_every and self._seen % self._unplug_every == 0:
                    self._frames_to_unplug = self._simulator.held_frames // 2
            self._queue.extend(self._line.spoil_frame(frame))
            if self._frames_to_unplug >= 0:
                self._frames_to_unplug -= 1
                if self._frames_to_unplug < 0:
                    self._queue.append(HangUp())

    def _send(self, now_s: float) -> None:
        while self._queue and now_s >= self._send_at_s:
            action = self._queue[0]
            if isinstance(action, Pause):
                self._queue.popleft()
                self._log(f"the line stalls for {action.seconds:g} s")
                self._send_at_s = now_s + action.seconds
            elif isinstance(action, HangUp):
                self._hang_up(now_s + self._unplug_s, self._unplug_power)
            else:
                piece = action[: max(1, int(0.01 / self._byte_s))] if self._byte_s else action
                piece = piece[: self._piece_bytes]
                if self._hang_up_after >= 0:
                    piece = piece[: self._hang_up_after]
                    if not piece:
                        self._hang_up(now_s + self._unplug_s, self._unplug_power)
                        return
                    self._hang_up_after -= len(piece)
                sent = self._end.send(piece) if piece else 0
                self._send_at_s = max(self._send_at_s, now_s) + sent * self._byte_s
                if sent == len(action):
                    self._queue.popleft()
                else:
                    self._queue[0] = action[sent:]
                if sent < len(piece):
                    return

    def _hang_up(self, plug_at_s: float | None, power: bool) -> None:
        self._log(f"{self.name}: unplugged{' with its power' if power else ''}")
        self._frames_to_unplug = self._hang_up_after = -1
        self._end.unplug()
        self._forget()
        if power:
            self._simulator.power_cycle(time.monotonic())
            self._seen = 0
        self._plug_at_s = plug_at_s
        self._pulled_out.set()

    def _forget(self) -> None:
        """What was on its way to the host is gone."""
        if self._queue:
            self._simulator.reply_lost()
        self._queue.clear()
        self._simulator.cable_pulled()

    def _plug(self) -> None:
        self._plug_at_s = None
        self._end.plug()
        self._log(f"{self.name}: plugged in")
