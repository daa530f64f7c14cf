"""Quality gates on time: ages of references, the order of measurements, a clock that jumps, warming up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from .finding import Finding
from .rules import Rules

if TYPE_CHECKING:
    from .scans import Scan

_SLACK_S = 2.0
"""Two scans may seem to be in the wrong order by as much as an instrument's own account of their age is wrong."""


def white_valid_min(rules: Rules, valid_min: float, on_for_min: float) -> float:
    """Give how many minutes a white lasts now.

    Args:
        rules: `warming_min` and `white_valid_warming_min`.
        valid_min: minutes that it lasts with a warm instrument.
        on_for_min: minutes that the instrument has been on.
    """
    warming = on_for_min < rules.warming_min and rules.white_valid_warming_min > 0
    return min(valid_min, rules.white_valid_warming_min) if warming else valid_min


def too_old(kind: str, age_min: float, valid_min: float) -> list[Finding]:
    """A dark or white that is older than it may be."""
    if age_min <= valid_min:
        return []
    # Minutes that round to the limit would say "10 min old, 10 min are allowed".
    shown = f"{age_min:.0f}" if round(age_min) > round(valid_min) else f"{age_min:.1f}"
    what = "white" if kind == "white" else "dark"
    return [Finding(f"{what}_old", f"{what} reference {shown} min old, {valid_min:g} min are allowed: take it again")]


def warming_up(rules: Rules, on_for_min: float) -> list[Finding]:
    """An instrument that is not warm drifts faster than references can follow."""
    if not rules.warm_up_min or on_for_min >= rules.warm_up_min:
        return []
    return [Finding("warm_up", f"warming up: on for {max(on_for_min, 0):.0f} of {rules.warm_up_min:g} min")]


def out_of_order(scan: Scan, before: Scan | None, reference: Scan | None) -> list[Finding]:
    """A measurement that is older than the one before it, or than its white, belongs to another time."""
    if before is not None and scan.taken_s < before.taken_s - _SLACK_S:
        gap_s = before.taken_s - scan.taken_s
        return [Finding("order", f"measured {gap_s:.0f} s before the measurement before it: measure again")]
    return before_its_white(reference.taken_s - scan.taken_s) if reference is not None else []


def before_its_white(by_s: float) -> list[Finding]:
    """A measurement from so many seconds before its white."""
    if by_s <= _SLACK_S:
        return []
    return [Finding("order", f"measured {by_s:.0f} s before its white reference: measure again")]


@dataclass(eq=False)
class ClockWatch:
    """Holds the clock against the time that has really passed.

    Attributes:
        at: this device's clock when the watch began.
        monotonic_s: `time.monotonic()` at the same moment.
    """

    at: datetime
    monotonic_s: float

    def check(self, at: datetime, monotonic_s: float, rules: Rules) -> list[Finding]:
        """Say by how much the clock has jumped since the last call that said so.

        A jump is a remark: ages are told from the time that passes, and only the time of day beside a reading is
        wrong.
        """
        jump_s = (at - self.at).total_seconds() - (monotonic_s - self.monotonic_s)
        if not rules.clock_jump_s or abs(jump_s) <= rules.clock_jump_s:
            return []
        self.at, self.monotonic_s = at, monotonic_s
        direction = "back" if jump_s < 0 else "ahead"
        return [Finding("clock", f"this device's clock jumped {abs(jump_s):.0f} s {direction}", "remark")]
