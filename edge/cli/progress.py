"""One line on standard error that counts up while somebody looks on."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

import click

_ERASE = "\x1b[K"
_there = threading.Event()
"""Whether a line stands that has no end yet."""


class Progress:
    """Shows how far a long run is; nothing where standard error is no terminal.

    Args:
        what: is counted, such as "spectra".
        every: how many pass between two lines.
        beside: results scroll by on the same terminal, and say enough.
    """

    def __init__(self, what: str, every: int = 1, beside: bool = False) -> None:
        self._what, self._every = what, every
        self._shows = sys.stderr.isatty() and not (beside and sys.stdout.isatty())
        self._shown = False

    def at(self, number: int) -> None:
        """Show the number reached."""
        if self._shows and number % self._every == 0:
            show_line(f"{number} {self._what}")
            self._shown = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._shown:
            click.echo(err=True)


class SignOfLife:
    """Counts the seconds of something that takes long and says nothing meanwhile; nothing where nobody looks on.

    Args:
        what: is done, such as "RS001 2/5".
        first_s: after which it is shown; what is done sooner needs no sign.
    """

    def __init__(self, what: str, first_s: float = 1.0) -> None:
        self._what, self._first_s = what, first_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True) if sys.stderr.isatty() else None

    def __enter__(self) -> None:
        self._began_s = time.monotonic()
        if self._thread is not None:
            self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _count(self) -> None:
        if self._over.wait(self._first_s):
            return
        while True:
            show_line(f"{self._what} ... {time.monotonic() - self._began_s:.0f} s")
            if self._over.wait(1.0):
                clear_line()
                return


def show_line(text: str) -> None:
    """Show a text in place of the line there is, if standard error is a terminal."""
    if sys.stderr.isatty():
        _there.set()
        click.echo(f"\r{text}{_ERASE}", nl=False, err=True)


def clear_line() -> None:
    """Take the line away, if there is one, for something else to be written."""
    if _there.is_set():
        show_line("")
        _there.clear()
