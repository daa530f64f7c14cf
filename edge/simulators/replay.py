"""Plays a recording byte by byte, whatever the host says."""

from __future__ import annotations

import os

from ..errors import RecordingError
from ..instruments.recording import read_recording


class VerbatimReplay:
    """The instrument's bytes of a recording, from the moment a host first says something.

    Args:
        path: a recording.
        real_time: at the recorded times; otherwise as fast as the line takes them.

    Raises:
        RecordingError: not a recording, or the instrument says nothing in it.
    """

    measured = 0
    held_frames = 0

    def __init__(self, path: str | os.PathLike[str], real_time: bool) -> None:
        lines = [line for line in read_recording(path) if line.direction == "<"]
        if not lines:
            raise RecordingError(f"{os.fspath(path)}: the instrument says nothing in it")
        start_s = lines[0].at_s
        self._pieces = [(line.at_s - start_s if real_time else 0.0, line.data) for line in lines]
        self._next = 0
        self._start_s: float | None = None

    def receive(self, data: bytes, now_s: float) -> None:
        """Begin, if this is the first the host says."""
        if self._start_s is None:
            self._start_s = now_s

    def outgoing(self, now_s: float) -> list[bytes]:
        """Give the pieces that are due."""
        due = []
        while (due_s := self.next_due_s()) is not None and due_s <= now_s:
            due.append(self._pieces[self._next][1])
            self._next += 1
        return due

    def next_due_s(self) -> float | None:
        """When the next piece is due; None before the start and after the end."""
        if self._start_s is None or self._next == len(self._pieces):
            return None
        return self._start_s + self._pieces[self._next][0]

    def cable_pulled(self) -> None:
        """Go on where it stopped."""

    def power_cycle(self, now_s: float) -> None:
        """Begin anew."""
        self._next, self._start_s = 0, None

    def press_button(self, now_s: float) -> bool:
        """Nothing to press."""
        return False
