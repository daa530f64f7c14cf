"""How the C bridge is compiled and started."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import stibium.firmware_configs.bridge
from stibium.edge.simulators.simulator import Simulator

SOURCES = Path(stibium.firmware_configs.bridge.__path__[0])
HERE = Path(__file__).parent
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-g"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

Compile = Callable[..., Path]

_LOOK_S = 0.002


class BridgePlayer(Simulator):
    """The bridge's process behind a virtual port, so that the line can be made to misbehave"""

    def __init__(self, program: Path, *arguments: str) -> None:
        super().__init__()
        self._command = [str(program), *arguments]
        self._rest = b""
        self.failures: list[str] = []
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_NONBLOCK)

    def stop(self) -> None:
        """End the process; what a sanitizer said is in `failures`."""
        assert self._process.stderr is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        said = self._process.stderr.read().decode()
        if self._process.wait(30) != 0 or said:
            self.failures.append(f"exit code {self._process.returncode}: {said}")

    def receive(self, data: bytes, now_s: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def outgoing(self, now_s: float) -> list[bytes]:
        assert self._process.stdout is not None
        self._rest += self._process.stdout.read(65536) or b""
        # Frames end with a zero and begin with one.
        *frames, self._rest = self._rest.split(b"\0\0")
        return [b"\0" * (not frame.startswith(b"\0")) + frame + b"\0" for frame in frames] + self._last()

    def _last(self) -> list[bytes]:
        if len(self._rest) < 2 or not self._rest.endswith(b"\0"):
            return []
        last, self._rest = self._rest, b""
        return [b"\0" * (not last.startswith(b"\0")) + last]

    def next_due_s(self) -> float | None:
        return time.monotonic() + _LOOK_S

    def cable_pulled(self) -> None:
        self._rest = b""

    def power_cycle(self, now_s: float) -> None:
        self.stop()
        self._start()

    def press_button(self, now_s: float) -> bool:
        self._process.send_signal(signal.SIGUSR1)
        return True
