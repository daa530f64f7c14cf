"""What a check of `stibium doctor` is given, and what it gives: what was found, how bad it is, and what to do.

Nothing is changed by looking. What is read of the system lies below a root folder and behind a function that runs
commands, so that another device can be played.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, TypeAlias

from ..gates.rules import WHITE_VALID_MIN

Level: TypeAlias = Literal["ok", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "problem")


@dataclass(frozen=True)
class Diagnosis:
    """One line of a check's outcome.

    Attributes:
        check: what was looked at, in one word.
        level: "warning" is to be known, "problem" keeps the device from measuring or readings from being safe.
        found: in words.
        advice: what to do about it; "" if it is ok.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


def worst(diagnoses: Sequence[Diagnosis]) -> Level:
    """Return the worst level of some diagnoses; "ok" of none."""
    return max((one.level for one in diagnoses), key=LEVELS.index, default="ok")


def _run(command: Sequence[str]) -> str | None:
    """Give a command's standard output; None if there is no such command, or it failed or took too long."""
    try:
        done = subprocess.run([*command], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Device:
    """The device that is looked at.

    Attributes:
        root: where `/proc`, `/sys`, `/run` and `/dev` are.
        run: runs a command and gives its output, None without success.
        now: the device's clock, UTC.
    """

    root: Path = Path("/")
    run: Callable[[Sequence[str]], str | None] = _run
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def read(self, path: str) -> str | None:
        """Give a small file of the system without trailing zeros and blanks; None if it is not there."""
        try:
            return (self.root / path.lstrip("/")).read_text("utf-8", "replace").strip("\0 \n")
        except OSError:
            return None

    def listed(self, pattern: str) -> list[str]:
        """Give the paths that match a pattern such as `/sys/class/thermal/thermal_zone*/temp`."""
        found = self.root.glob(pattern.lstrip("/"))
        return sorted(f"/{path.relative_to(self.root).as_posix()}" for path in found)


@dataclass(frozen=True)
class Patient:
    """What is examined.

    Attributes:
        log: the log of readings; it need not be there.
        model: path of a bundle; None for the one that measuring would use.
        host: the device.
        white_valid_min: minutes that a white reference may be used.
        all_hashes: compare every row of the log with its hash, not only the last ones.
    """

    log: Path
    model: str | None = None
    host: Device = field(default_factory=Device)
    white_valid_min: float = WHITE_VALID_MIN
    all_hashes: bool = False


Check: TypeAlias = Callable[[Patient], Iterator[Diagnosis]]
