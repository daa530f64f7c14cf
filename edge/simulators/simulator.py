"""What every simulator has in common: bytes from the host come in, bytes to it go out when they are due."""

from __future__ import annotations

from collections import deque


class Simulator:
    """The instrument's side of a protocol, without input or output; `serve.VirtualProbe` puts it on a port."""

    def __init__(self) -> None:
        self._outbox: deque[tuple[float, bytes]] = deque()

    @property
    def measured(self) -> int:
        """Measurements made since power-up."""
        return 0

    @property
    def held_frames(self) -> int:
        """Pieces of the last measurement."""
        return 0

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the host."""
        raise NotImplementedError

    def outgoing(self, now_s: float) -> list[bytes]:
        """Give what is due."""
        due = []
        while self._outbox and self._outbox[0][0] <= now_s:
            due.append(self._outbox.popleft()[1])
        return due

    def next_due_s(self) -> float | None:
        """When there will be something next; None if only the host can bring it on."""
        return self._outbox[0][0] if self._outbox else None

    def host_came(self, now_s: float) -> None:
        """A host has connected, where that can be told."""

    def reply_lost(self) -> None:
        """The connection ended while something was on its way."""

    def cable_pulled(self) -> None:
        """Forget what was on its way."""
        self._outbox.clear()

    def power_cycle(self, now_s: float) -> None:
        """Begin anew."""
        self.cable_pulled()

    def press_button(self, now_s: float) -> bool:
        """Measure unasked; False if that cannot be."""
        return False
