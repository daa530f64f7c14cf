"""A line of progress on standard error, if that is a terminal."""

from __future__ import annotations

import sys
import time

import click


class ProgressLine:
    """Shows what is being done on a terminal's last line; says nothing elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown_at = 0.0

    def show(self, what: str, done: int = 0, of: int = 0) -> None:
        """Show what is being done, at most five times a second."""
        now = time.monotonic()
        if not self._terminal or (of and done < of and now - self._shown_at < 0.2):
            return
        self._shown_at = now
        count = f", {done} of {of}" if of else ""
        click.echo(f"\r\x1b[Kreport: {what}{count}", nl=False, err=True)

    def close(self) -> None:
        """Clear the line."""
        if self._terminal:
            click.echo("\r\x1b[K", nl=False, err=True)
