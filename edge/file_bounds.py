"""What bounds one file that is read: the time it may take, and the lines that its refused rows get."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ..converters.spectra.errors import SpectrumFileError

T = TypeVar("T")

READ_S, READ_S_A_MB = 10.0, 2.0
"""How long a file may take to give its first or next spectrum, in seconds and in seconds for each MB.

A slow device reads about 1 MB of text a second.
"""

ROWS_NAMED = 20
"""Refused rows of one file that get a line each; the others are counted."""

LONGEST_REASON = 500


class RefusedRows:
    """Rows of a file that are refused: the first ones are named each, the rest counted by what is wrong with them."""

    def __init__(self) -> None:
        self._named = 0
        self._waiting: list[str] = []
        self._kinds: dict[str, tuple[int, str]] = {}

    def add(self, error: Exception) -> None:
        """Take note of a row."""
        if self._named < ROWS_NAMED:
            self._named += 1
            self._waiting.append(str(error))
            return
        # What tells the rows apart are numbers and what is quoted from them.
        kind = re.sub(r"\([^)]*\)|'[^']*'|[-+.\d]+", "", str(error)[:LONGEST_REASON])
        kind = kind if kind in self._kinds or len(self._kinds) < ROWS_NAMED else ""
        count, first = self._kinds.get(kind, (0, str(error)))
        self._kinds[kind] = (count + 1, first)

    def take(self) -> list[str]:
        """Give the rows that are named, since the last time."""
        taken, self._waiting = self._waiting, []
        return taken

    def others(self) -> list[str]:
        """Give one line for each kind of the others."""
        lines = []
        for kind, (count, first) in self._kinds.items():
            more = f", and {count - 1} more rows {'like this' if kind else 'with other reasons'}" if count > 1 else ""
            lines.append(f"{first[:LONGEST_REASON]}{more}")
        return lines


class _TooLong(BaseException):
    """Nothing that reads catches this by accident."""


@contextmanager
def reading_time(size: int) -> Iterator[Callable[[Callable[[], T]], T]]:
    """Bound the time until a file of so many bytes gives its next spectrum; outside the main thread there is no bound.

    Yields:
        What takes a reading step and does it, or raises SpectrumFileError if it took too long.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield lambda step: step()
        return
    seconds = READ_S + READ_S_A_MB * size / 1e6

    def stop(*_: object) -> None:
        raise _TooLong

    def bounded(step: Callable[[], T]) -> T:
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, seconds)
                return step()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except _TooLong:
            raise SpectrumFileError(
                f"reading it takes more than {seconds:.0f} s, which no file of this size does; is it damaged?"
            ) from None

    before = signal.signal(signal.SIGALRM, stop)
    try:
        yield bounded
    finally:
        signal.signal(signal.SIGALRM, before)
