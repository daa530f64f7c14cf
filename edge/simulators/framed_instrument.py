"""The instrument's side of the framed protocol, without input or output: bytes in, frames out when they are due."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, replace
from itertools import chain

from ..protocols.framed import Damaged, Foreign, FrameDecoder, encode
from ..protocols.framed_fields import U16, U32, Message
from ..protocols.framed_messages import (
    NO_TEMPERATURE,
    Acknowledge,
    Acquire,
    Fault,
    FaultCode,
    GetStatus,
    Identify,
    Kind,
    ProbeState,
    Resend,
    SpectrumHead,
    Status,
    Unit,
)
from ..protocols.framed_transfer import split
from .simulator import Simulator
from .spectra import FramedSimulation, SimulatedScan

REMIND_S = 2.0
"""A pushed measurement that is not acknowledged is offered again this often."""


@dataclass
class _Held:
    """The one measurement an instrument keeps: what it sent, to send it again."""

    number: int
    request: int
    kind: Kind
    first_sequence: int
    messages: list[Message]
    made_s: float
    acknowledged: bool = False


class VirtualInstrument(Simulator):
    """Simulates an instrument that speaks the framed protocol.

    Args:
        simulation: who it is and what it measures.
        real_time: measuring takes as long as the scans would; otherwise no time.
        button_s: press the button by itself this often, in seconds, once a host has identified the instrument;
            0: as soon as the last measurement is acknowledged; None: never.
        loop: begin again after the last target.
        boot: number of this power-up; drawn if None.
    """

    def __init__(
        self,
        simulation: FramedSimulation,
        real_time: bool = False,
        button_s: float | None = None,
        loop: bool = False,
        boot: int | None = None,
    ) -> None:
        super().__init__()
        self._simulation = simulation
        self._real_time = real_time
        self._button_s = button_s
        self._loop = loop
        self._next_target = 0
        self._held: _Held | None = None
        self._to_push: deque[tuple[Kind, SimulatedScan]] = deque()
        self.power_cycle(0.0, boot)

    def power_cycle(self, now_s: float, boot: int | None = None) -> None:
        """Switch off and on: everything is forgotten except what is in front of the probe."""
        held = self._held.kind if self._held is not None and not self._held.acknowledged else None
        # Its references may be on their way still, and it behind them.
        if Kind.TARGET in (held, *(kind for kind, _ in self._to_push)):
            self._next_target -= 1
        self._identification = replace(
            self._simulation.identification, boot=random.randrange(1, U32) if boot is None else boot
        )
        self._switched_on_s = now_s
        self._decoder = FrameDecoder()
        self._outbox.clear()
        self._sequence = random.randrange(U16 + 1)
        self._number = 0
        self._last_request = 0
        self._ready_s = 0.0
        self._held = None
        self._pushed: dict[Kind, SimulatedScan] = {}
        self._to_push.clear()
        self._identified = False
        self._press_s: float | None = None
        self._remind_s: float | None = None

    @property
    def measured(self) -> int:
        """Measurements made since power-up."""
        return self._number

    @property
    def held_frames(self) -> int:
        """Frames of the measurement last made."""
        return len(self._held.messages) if self._held else 0

    @property
    def waiting(self) -> bool:
        """Whether something measured is not known to have arrived."""
        return bool(self._to_push) or (self._held is not None and not self._held.acknowledged)

    def cable_pulled(self) -> None:
        """What was on its way out is gone; what was measured is not."""
        super().cable_pulled()
        self._decoder = FrameDecoder()

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the host."""
        self._decoder.receive(data)
        while (event := self._decoder.next_event()) is not None:
            if isinstance(event, Damaged):
                self._reply(Fault(FaultCode.DAMAGED_FRAME, 0, event.reason[:40]), now_s)
            elif isinstance(event, Foreign):
                self._reply(Fault(FaultCode.UNSUPPORTED, event.sequence, "version or type unknown"), now_s)
            else:
                self._answer(event.message, event.sequence, now_s)

    def outgoing(self, now_s: float) -> list[bytes]:
        """Give the frames that are due."""
        self._press_by_itself(now_s)
        if self._remind_s is not None and now_s >= self._remind_s and not self._outbox:
            self._send_held([range(1)], now_s)
        return super().outgoing(now_s)

    def next_due_s(self) -> float | None:
        """When `outgoing` will next have something."""
        times = [t for t in (self._press_s, self._remind_s) if t is not None]
        if self._outbox:
            times = [self._outbox[0][0], *([self._press_s] if self._press_s is not None else [])]
        return min(times) if times else None

    def press_button(self, now_s: float) -> bool:
        """Measure the next target unasked. False if a measurement is not acknowledged yet, or none is left."""
        if self.waiting:
            return False
        take = self._target()
        if take is None:
            self._reply(Fault(FaultCode.NOTHING_LEFT, 0, "all spectra have been played"), now_s)
            return False
        self._next_target += 1
        # A recording took new references here; they go out first.
        for kind, reference in ((Kind.DARK, take.dark), (Kind.WHITE, take.white)):
            if reference is not None and self._pushed.get(kind) is not reference:
                self._pushed[kind] = reference
                self._to_push.append((kind, reference))
        self._to_push.append((Kind.TARGET, take))
        self._push(now_s)
        return True

    def _push(self, now_s: float) -> None:
        kind, take = self._to_push.popleft()
        self._measure(take, kind, 0, 1, 0, now_s)

    def _press_by_itself(self, now_s: float) -> None:
        if self._press_s is not None and now_s >= self._press_s:
            self._press_s = None
            # A press while the host is away is in vain; the next one comes all the same.
            waiting = self.waiting
            if (self.press_button(now_s) or waiting) and self._button_s:
                self._press_s = now_s + self._button_s

    def _answer(self, message: Message, sequence: int, now_s: float) -> None:
        if isinstance(message, Identify):
            self._reply(self._identification, now_s)
            if not self._identified:
                self._identified = True
                if self._button_s is not None:
                    self._press_s = now_s + self._button_s
            elif self._remind_s is not None:
                self._remind_s = now_s
        elif isinstance(message, Acquire):
            self._acquire(message, sequence, now_s)
        elif isinstance(message, Resend):
            self._resend(message, sequence, now_s)
        elif isinstance(message, Acknowledge):
            self._acknowledge(message, now_s)
        elif isinstance(message, GetStatus):
            self._reply(self._status(now_s), now_s)
            # Not as long as the last one may not have arrived: the host would leave without it.
            if self._button_s is not None and self._target() is None and not self.waiting:
                self._reply(Fault(FaultCode.NOTHING_LEFT, 0, "all spectra have been played"), now_s)

    def _acquire(self, message: Acquire, sequence: int, now_s: float) -> None:
        if now_s < self._ready_s:
            same = message.request == self._last_request
            self._reply(self._status(now_s) if same else Fault(FaultCode.BUSY, sequence, "measuring"), now_s)
            return
        if message.request == self._last_request and self._held is not None:
            self._send_held([range(len(self._held.messages))], now_s)
            return
        take = self._take_for(message.kind)
        if take is None and message.kind == Kind.TARGET:
            self._reply(Fault(FaultCode.NOTHING_LEFT, sequence, "all spectra have been played"), now_s)
            return
        if take is None:
            self._reply(Fault(FaultCode.UNSUPPORTED, sequence, f"no {message.kind.name.lower()} here"), now_s)
            return
        if message.kind == Kind.TARGET:
            self._next_target += 1
        self._last_request = message.request
        self._measure(take, message.kind, message.request, message.scans, message.payload_limit, now_s)

    def _take_for(self, kind: Kind) -> SimulatedScan | None:
        if kind == Kind.WAVELENGTHS:
            return SimulatedScan(self._simulation.wavelengths_nm, Unit.WAVELENGTH_NM)
        # Dark and white are those of the target that comes next, or of the last one.
        target = self._target() or self._simulation.targets[-1]
        if kind == Kind.DARK:
            return target.dark
        return target.white if kind == Kind.WHITE else self._target()

    def _target(self) -> SimulatedScan | None:
        targets = self._simulation.targets
        if self._loop:
            return targets[self._next_target % len(targets)]
        return targets[self._next_target] if self._next_target < len(targets) else None

    def _measure(self, take: SimulatedScan, kind: Kind, request: int, scans: int, limit: int, now_s: float) -> None:
        seconds = scans * take.integration_us / 1e6 if self._real_time else 0.0
        self._number += 1
        self._ready_s = now_s + seconds
        head = SpectrumHead(
            boot=self._identification.boot,
            measurement=self._number,
            request=request,
            kind=kind,
            unit=take.unit,
            encoding=take.encoding,
            simulated=take.simulated,
            saturated=take.saturated,
            count=take.values.size,
            values_per_frame=1,
            values_crc=0,
            scans=scans,
            integration_us=take.integration_us,
            gain=take.gain,
            temperature_centi_c=NO_TEMPERATURE,
            age_ms=0,
            label=take.label,
        )
        own = self._identification.payload_limit
        head, pieces = split(head, take.values, min(own, limit or own))
        if seconds:
            self._reply(self._status(now_s), now_s)
        self._held = _Held(self._number, request, kind, self._sequence, [head, *pieces], self._ready_s)
        self._sequence = (self._sequence + 1 + len(pieces)) & U16
        self._send_held([range(len(self._held.messages))], self._ready_s)

    def _send_held(self, runs: list[range], now_s: float) -> None:
        held = self._held
        if held is None:
            return
        for index in chain(*runs):
            message = held.messages[index]
            if isinstance(message, SpectrumHead):
                message = replace(message, age_ms=max(0, int(1000 * (now_s - held.made_s))))
            self._outbox.append((now_s, encode(message, (held.first_sequence + index) & U16)))
        # The end of the run, so that the host need not wait for silence.
        self._reply(self._status(now_s), now_s)
        if held.request == 0 and not held.acknowledged:
            self._remind_s = now_s + REMIND_S

    def _resend(self, message: Resend, sequence: int, now_s: float) -> None:
        runs = []
        for first, count in message.ranges:
            start = (first - self._held.first_sequence) & U16 if self._held else 0
            if start + count > self.held_frames:
                self._reply(Fault(FaultCode.UNKNOWN_SEQUENCE, sequence, f"{first} is not held"), now_s)
                return
            runs.append(range(start, start + count))
        self._send_held(runs, now_s)

    def _acknowledge(self, message: Acknowledge, now_s: float) -> None:
        if self._held is None or self._held.number != message.measurement or self._held.acknowledged:
            return
        self._held.acknowledged = True
        self._remind_s = None
        if self._to_push:
            self._push(now_s)
        elif self._button_s == 0:
            self._press_s = now_s

    def _status(self, now_s: float) -> Status:
        measuring = now_s < self._ready_s
        unacknowledged = self._held is not None and not measuring and not self._held.acknowledged
        return Status(
            state=ProbeState.MEASURING if measuring else ProbeState.IDLE,
            remaining_ms=max(0, int(1000 * (self._ready_s - now_s))),
            uptime_ms=int(1000 * max(0.0, now_s - self._switched_on_s)) & U32,
            temperature_centi_c=NO_TEMPERATURE,
            unacknowledged=self._number if unacknowledged else 0,
        )

    def _reply(self, message: Message, now_s: float) -> None:
        data = encode(message, self._sequence)
        self._sequence = (self._sequence + 1) & U16
        # A measurement may be due later; this goes out before it.
        place = next((i for i, (due_s, _) in enumerate(self._outbox) if due_s > now_s), len(self._outbox))
        self._outbox.insert(place, (now_s, data))
