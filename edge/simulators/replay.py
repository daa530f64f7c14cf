"""Replays a recording byte by byte, whatever the host says."""

from __future__ import annotations

import os

from ..errors import RecordingError
from ..instruments.recording import read_recording
from .simulator import Simulator


class VerbatimReplay(Simulator):
    """The instrument's bytes of a recording, from the moment a host first says something.

    Args:
        path: a recording.
        real_time: at the recorded times; otherwise as fast as the line takes them.

    Raises:
        RecordingError: not a recording, or the instrument says nothing in it.
    """

    def __init__(self, path: str | os.PathLike[str], real_time: bool) -> None:
        super().__init__()
        lines = [line for line in read_recording(path) if line.direction == "<"]
        if not lines:
            raise RecordingError(f"{os.fspath(path)}: the instrument says nothing in it")
        start_s = lines[0].at_s
        self._pieces = [(line.at_s - start_s if real_time else 0.0, line.data) for line in lines]
        self._begun = False

    def receive(self, data: bytes, now_s: float) -> None:
        """Begin, if this is the first the host says."""
        if not self._begun:
            self._begun = True
            self._outbox.extend((now_s + at_s, piece) for at_s, piece in self._pieces)

    def cable_pulled(self) -> None:
        """Go on where it stopped."""

    def power_cycle(self, now_s: float) -> None:
        """Begin anew."""
        self._outbox.clear()
        self._begun = False
