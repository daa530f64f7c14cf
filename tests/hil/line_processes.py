"""The two programs on either end of a serial line, run as a user runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record_check import read_records

STIBIUM = str(Path(sys.executable).parent / "stibium")
PATIENCE_S = 240.0

# A line of a busy test machine: answers come late, so waiting is longer than a person would set it.
PROFILE = """
name = "test bench"
[patience]
reply_s = 1.0
quiet_s = 0.1
replug_s = 60.0
request_attempts = 30
keepalive_s = 0.5
"""


@dataclass
class Outcome:
    """What a finished `stibium listen` left."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Its JSON lines."""
        return read_records(self.out)


class Listener:
    """`stibium listen` with a log, a model and a profile of its own."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.log = folder / "log.db"
        self.bundle = bundle
        self._profile = folder / "bench.toml"
        self._profile.write_text(PROFILE)

    def command(self, port: str, *options: str) -> list[str]:
        """The command line."""
        chosen = ["--model", str(self.bundle), "--log", str(self.log), "--profile", str(self._profile)]
        return [STIBIUM, "listen", port, *chosen, "--format", "jsonl", "--no-ask", *options]

    def run(self, port: str, *options: str, stdin: str = "") -> Outcome:
        """Run to the end."""
        done = subprocess.run(
            self.command(port, *options), input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert "Traceback" not in done.stderr
        assert "unexpected" not in done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, port: str, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run beside the test."""
        process = subprocess.Popen(
            self.command(port, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def playing(folder: Path, *options: str) -> Iterator[str]:
    """Run `stibium probe`; give its port's name."""
    with (folder / "probe.err").open("a") as errors:
        process = subprocess.Popen([STIBIUM, "probe", *options], stdout=subprocess.PIPE, stderr=errors, text=True)
        with process:
            try:
                assert process.stdout is not None
                name = process.stdout.readline().strip()
                assert name, (folder / "probe.err").read_text()
                yield name
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_S) == 0
            finally:
                process.kill()


def wait_for(path: Path) -> None:
    """Wait until a file or link is there."""
    deadline = time.monotonic() + PATIENCE_S
    while not os.path.lexists(path):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)
