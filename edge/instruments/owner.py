"""One program at a time for an instrument, whatever kind of port it is on.

Serial ports can be kept from others by the system, sockets cannot, and two programs that measure with one instrument
get each other's scans. So the name of the port is taken, as an abstract socket (unix(7)): it needs no folder that every
user may write to, and is free again when its process ends, however that ends.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..errors import PortError

_RETRY_S = 1.0
_NETWORK = re.compile(r"(?:socket|rfc2217)://(?P<host>[^/?]*):(?P<port>\d+)")
_PSEUDO_TERMINALS = "/dev/pts/"
_NOT_SHARED = ("replay://", "loop://")
"""A recording, and pyserial's port within one process."""


@contextmanager
def owning(port: str, wait: bool = False, notify: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Have the instrument on a port for this program alone while the block runs.

    Args:
        port: as `open_instrument` takes it.
        wait: until the other program gives it back.
        notify: told once that this is waited for.

    Raises:
        PortError: another program of this device has it; the message names it.
    """
    name = _name(port)
    if not name or not sys.platform.startswith("linux"):
        yield
        return
    with ExitStack() as stack:
        told = False
        while not _take(stack, name):
            line = f"{port}: {_who(name)} measures with this instrument"
            if not wait:
                raise PortError(f"{line}; end it first, or let it measure and look at what it stores")
            if not told:
                notify(f"{line} (waiting)")
                told = True
            time.sleep(_RETRY_S)
        # For the one that comes too late: /proc/net/unix shows names to every user, and processes only to some.
        _take(stack, f"{name}-process-{os.getpid()}")
        yield


def _take(stack: ExitStack, name: str) -> bool:
    taken = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))
    try:
        taken.bind(f"\0{name}")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise PortError(f"the instrument cannot be kept from other programs: {error.strerror}") from error
        return False
    return True


def _name(port: str) -> str:
    """Name what a port leads to, the same for every way to write it; "" for what others cannot open."""
    plain = port.removeprefix("spy://")
    if plain.startswith(_NOT_SHARED):
        return ""
    found = _NETWORK.match(plain)
    if found is None:
        end = os.path.realpath(plain.partition("?")[0])
        if end.startswith(_PSEUDO_TERMINALS):
            # A number is given again as soon as it is free; who still waits for the last one does not have this one.
            with suppress(OSError):
                end += f" of {os.stat(end).st_ctime_ns}"
    else:
        end = f"{_address(found['host'])}:{int(found['port'])}"
    return f"stibium-instrument-{hashlib.sha256(end.encode()).hexdigest()[:32]}"


def _address(host: str) -> str:
    try:
        return min(str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError:
        return host.lower()


def _who(name: str) -> str:
    """Say which program has taken a name."""
    try:
        names = Path("/proc/net/unix").read_text("utf-8", "replace")
    except OSError:
        names = ""
    found = re.search(rf"@{name}-process-(\d+)", names)
    if found is None:
        return "another program"
    number = found[1]
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        words = []
    command = next((word for word in words[1:] if word.isalpha() and word != "stibium"), "")
    return f"stibium {command} (process {number})" if command else f"process {number}"
