"""`stibium measure` as a user runs it: scripted, unattended, or typed on a terminal of 40 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import sqlite3
import struct
import subprocess
import termios
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from line_processes import STIBIUM, Outcome

PATIENCE_S = 60.0

# A line of a busy test machine, an instrument that is warm at once, and no white that ages in a test.
PROFILE = """
name = "test bench"
[patience]
reply_s = 1.0
quiet_s = 0.1
replug_s = 60.0
request_attempts = 30
[rules]
warm_up_min = 0.0
warming_min = 0.0
"""


class Measurer:
    """`stibium measure` with a log, a model and a profile of its own."""

    def __init__(self, folder: Path, bundle: Path, profile: str = PROFILE) -> None:
        self.folder, self.bundle, self.log = folder, bundle, folder / "log.db"
        self.profile = folder / "measure.toml"
        self.profile.write_text(profile)

    def command(self, port: str, *options: str) -> list[str]:
        """The command line."""
        chosen = ["--model", str(self.bundle), "--log", str(self.log), "--profile", str(self.profile)]
        return [STIBIUM, "measure", port, *chosen, "--no-ask-condition", *options]

    def run(self, port: str, *options: str, script: str | None = None) -> Outcome:
        """Run to the end, with a script if there is one, else unattended."""
        path = self.folder / "script.txt"
        if script is not None:
            path.write_text(script)
        how = ["--yes"] if script is None else ["--script", str(path)]
        done = subprocess.run(
            self.command(port, "--format", "jsonl", *how, *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert "unexpected" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the log."""
        with closing(sqlite3.connect(self.log, timeout=30)) as db:
            return db.execute(statement).fetchall()


class Terminal:
    """A program on a terminal of so many columns."""

    def __init__(self, command: list[str], columns: int = 40) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.text = ""

    def expect(self, pattern: str) -> str:
        """Read until the pattern has come since the last call; give what came."""
        seen = ""
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, seen):
            assert time.monotonic() < deadline, f"{pattern!r} did not come; there was:\n{seen}"
            ready, _, _ = select.select([self._ours], [], [], 1.0)
            if not ready:
                continue
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # the program has ended
                data = b""
            assert data, f"{pattern!r} did not come before the end; there was:\n{seen}"
            piece = data.decode().replace("\r\n", "\n")
            seen, self.text = seen + piece, self.text + piece
        return seen

    def type(self, line: str = "") -> None:
        """Type a line."""
        os.write(self._ours, f"{line}\n".encode())

    def finish(self) -> int:
        """Read to the end; give the exit code."""
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode().replace("\r\n", "\n")
        os.close(self._ours)
        return self.process.wait(PATIENCE_S)
