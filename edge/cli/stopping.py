"""A run that is asked to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stop:
    """Ctrl-C, SIGTERM or a closed terminal: ends the run, but never between storing and showing.

    Args:
        second_breaks: a second one ends it at once, also there.
    """

    def __init__(self, second_breaks: bool = False) -> None:
        self._second_breaks = second_breaks
        self._held = self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # What the parent has set to be ignored (nohup) stays ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Put a stop off until the end of this block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, _: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if not self._held or (again and self._second_breaks):
            raise KeyboardInterrupt
