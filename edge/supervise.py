"""Tells systemd how a service is doing: started, alive, stopping, and a line on what it does.

The protocol of sd_notify(3): datagrams of NAME=VALUE lines to the socket that `NOTIFY_SOCKET` names. Without that
variable, as when a person types the command, nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

_LONGEST_BEAT_S = 10.0


class Supervisor:
    """The line to systemd.

    The watchdog is fed from the loop that does the work and by nothing else: a loop that hangs shall be noticed.

    Args:
        environment: where the variables stand; those of this process if None.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.beat_s = _beat_s(environment) if self._address else _LONGEST_BEAT_S
        """Seconds after which `alive` is due again, at most."""
        self._socket: socket.socket | None = None
        self._fed_s = -_LONGEST_BEAT_S
        self._status = ""

    def ready(self, status: str = "") -> None:
        """The service works from now on."""
        self._send("READY=1", *self._changed(status))

    def alive(self, status: str = "") -> None:
        """The loop goes round; may be called as often as one likes."""
        now_s = time.monotonic()
        lines = self._changed(status)
        if lines or now_s - self._fed_s >= self.beat_s / 2:
            self._fed_s = now_s
            self._send("WATCHDOG=1", *lines)

    def stopping(self) -> None:
        """The service ends by itself or was asked to."""
        self._send("STOPPING=1")

    def rest(self, seconds: float, wait: Callable[[float], object] = time.sleep) -> None:
        """Wait for so long, in pieces, but stay alive meanwhile."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self.alive()
            wait(min(left_s, self.beat_s))

    def _changed(self, status: str) -> tuple[str, ...]:
        line = " ".join(status.split())
        if not line or line == self._status:
            return ()
        self._status = line
        return (f"STATUS={line}",)

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                # A service manager that does not read must not stop the measuring.
                self._socket.settimeout(1.0)
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            # systemd is being restarted, or its socket cannot be seen from here. If that lasts, its watchdog says so.
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _address(text: str) -> str | None:
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _beat_s(environment: Mapping[str, str]) -> float:
    """A third of what the watchdog waits for; the limit is not ours if it was set for another process."""
    microseconds, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or int(microseconds) == 0 or process != str(os.getpid()):
        return _LONGEST_BEAT_S
    return min(int(microseconds) / 3e6, _LONGEST_BEAT_S)
