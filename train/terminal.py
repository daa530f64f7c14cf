"""What commands of the training side show on a terminal: tables, figures, and how far they have come."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from ..edge.cli.progress import clear_line, show_line

EVERY_S = 0.2

SIMULATED = "SIMULATED: these figures are about the software and say nothing about real ground."


def figure(value: float | None, digits: int = 4) -> str:
    """Write a number with some significant digits, without an exponent; nothing for None."""
    if value is None:
        return ""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    # Rounded first: 9.996 with 3 digits is 10.0, not 10.00.
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{rounded:.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def columns(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    left_from: int | None = None,
    between: int = 2,
    widths_from: int = 0,
) -> str:
    """Align columns with `between` spaces, each but the first at least `widths_from` wide.

    The first `left` and those from `left_from` on stand on the left, the rest on the right. A column without any entry
    is left out.
    """
    used = [i for i in range(len(header)) if any(row[i] for row in rows) or i < left]
    widths = {i: max(widths_from if i else 0, *(len(row[i]) for row in (header, *rows))) for i in used}
    lines = []
    for row in (header, *rows):
        cells = [
            row[i].ljust(widths[i])
            if i < left or (left_from is not None and i >= left_from)
            else row[i].rjust(widths[i])
            for i in used
        ]
        lines.append((" " * between).join(cells).rstrip())
    return "\n".join(lines)


class ProgressLine:
    """Shows on standard error's last line how far a computation has come, if that is a terminal.

    Args:
        what: is computed; stands before each line.
    """

    def __init__(self, what: str = "") -> None:
        self._before = f"{what}: " if what else ""
        self._shown_at = 0.0

    def show(self, line: object) -> None:
        """Show a line in place of the last one."""
        show_line(f"{self._before}{line}")

    def count(self, what: str, done: int = 0, of: int = 0) -> None:
        """Show how much of something is done, at most five times a second and at its end."""
        now = time.monotonic()
        if not of or done >= of or now - self._shown_at >= EVERY_S:
            self._shown_at = now
            self.show(f"{what}, {done} of {of}" if of else what)

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *error: object) -> None:
        clear_line()
