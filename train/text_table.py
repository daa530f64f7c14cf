"""Tables and figures as text, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence


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
