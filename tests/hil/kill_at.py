"""Run `stibium ARGUMENTS...` and end it by SIGKILL at the N-th thing it does to the world.

A thing is a statement to the database, bytes read from or written to the port, or a line shown; each counts before it
is done and after. `python kill_at.py N COUNTED ARGUMENTS...`; a program that does fewer things ends by itself, and
writes their number into the file COUNTED.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from types import FrameType
from typing import Any


def touches_the_world(function: Any) -> bool:
    """Whether a builtin is one that reads a port, writes to it, to the database or to the screen."""
    owner, name = getattr(function, "__self__", None), function.__name__
    if isinstance(owner, (sqlite3.Connection, sqlite3.Cursor)):
        return name in ("execute", "executemany", "commit")
    if owner is sys.stdout or owner is sys.stdout.buffer:
        return name in ("write", "flush")
    return getattr(owner, "__name__", "") == "posix" and name in ("read", "write")


def main() -> None:
    at, counted = int(sys.argv[1]), Path(sys.argv[2])
    sys.argv = ["stibium", *sys.argv[3:]]
    from stibium.edge.cli import run as stibium

    done = 0

    def watch(frame: FrameType, event: str, function: Any) -> None:
        nonlocal done
        if event in ("c_call", "c_return") and touches_the_world(function):
            done += 1
            if done == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    try:
        stibium()
    finally:
        sys.setprofile(None)
        counted.write_text(str(done))


if __name__ == "__main__":
    main()
