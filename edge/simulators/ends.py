"""The two sorts of port a virtual probe can offer: a pseudo-terminal and a TCP port."""

from __future__ import annotations

import os
import socket
import tty
from pathlib import Path
from typing import Protocol

from ..errors import PortError

_MOST_BYTES = 65536


class End(Protocol):
    """The instrument's end of a line."""

    name: str
    """What a host opens."""
    hosts: int
    """How many hosts have connected so far, where that can be told."""

    def plug(self) -> None:
        """Offer the port. PortError if that is not possible."""

    def unplug(self) -> None:
        """Hang up and take the port away."""

    def readable(self) -> list[int]:
        """File descriptors to wait on."""

    def writable(self) -> list[int]:
        """File descriptors that bytes go out on; empty while nobody is connected."""

    def receive(self) -> bytes | None:
        """Return what has come; None if the host has just hung up."""

    def send(self, data: bytes) -> int:
        """Send what fits now; return how many bytes that were. What nobody listens to counts as sent."""


class PtyEnd:
    """A pseudo-terminal.

    Args:
        link: a symbolic link that leads to it, so that it keeps its name when it is unplugged and plugged again.
    """

    def __init__(self, link: str | os.PathLike[str] | None = None) -> None:
        self._link = Path(link) if link is not None else None
        self._ours: int | None = None
        self._theirs: int | None = None
        self.name = ""
        self.hosts = 0

    def plug(self) -> None:
        """See `End`."""
        if self._link is not None and self._link.exists() and not self._link.is_symlink():
            raise PortError(f"{self._link}: exists and is no symbolic link; name another path for --link")
        self._ours, self._theirs = os.openpty()
        # No echo, no translation of line ends: from the first byte on, before any host has set it up.
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        device = os.ttyname(self._theirs)
        self.name = device
        if self._link is None:
            return
        self.name = os.fspath(self._link)
        try:
            fresh = self._link.with_name(f"{self._link.name}.{os.getpid()}")
            fresh.symlink_to(device)
            fresh.replace(self._link)
        except OSError as error:
            raise PortError(f"{self._link}: cannot be made: {error.strerror}") from error

    def unplug(self) -> None:
        """See `End`."""
        if self._link is not None and self._link.is_symlink():
            self._link.unlink()
        for descriptor in (self._ours, self._theirs):
            if descriptor is not None:
                os.close(descriptor)
        self._ours = self._theirs = None

    def readable(self) -> list[int]:
        """See `End`."""
        return [] if self._ours is None else [self._ours]

    writable = readable

    def receive(self) -> bytes | None:
        """See `End`; a host that goes leaves no trace here, as on a real line."""
        if self._ours is None:
            return b""
        try:
            return os.read(self._ours, _MOST_BYTES)
        except BlockingIOError:
            return b""

    def send(self, data: bytes) -> int:
        """See `End`."""
        if self._ours is None:
            return len(data)
        try:
            return os.write(self._ours, data)
        except BlockingIOError:
            return 0


class TcpEnd:
    """A TCP port for one host at a time.

    Args:
        host: address to listen on.
        port: number; 0 for any free one.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._listener: socket.socket | None = None
        self._host: socket.socket | None = None
        self.name = ""
        self.hosts = 0

    def plug(self) -> None:
        """See `End`."""
        try:
            family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
            self._listener = socket.create_server(self._address, family=family, backlog=1)
        except OSError as error:
            raise PortError(f"{self._address[0]}:{self._address[1]}: cannot listen there: {error.strerror}") from error
        self._listener.setblocking(False)
        # The same number again when it is plugged in again.
        self._address = (self._address[0], self._listener.getsockname()[1])
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        self.name = f"socket://{host}:{self._address[1]}"

    def unplug(self) -> None:
        """See `End`."""
        self._drop_host()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def readable(self) -> list[int]:
        """See `End`."""
        ends = (self._host or self._listener,)
        return [end.fileno() for end in ends if end is not None]

    def writable(self) -> list[int]:
        """See `End`."""
        return [] if self._host is None else [self._host.fileno()]

    def receive(self) -> bytes | None:
        """See `End`; a host that wants to connect is let in."""
        try:
            if self._host is None:
                if self._listener is not None:
                    self._host, _ = self._listener.accept()
                    self.hosts += 1
                    self._host.setblocking(False)
                    self._host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return b""
            data = self._host.recv(_MOST_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._drop_host()
            return None
        return data

    def send(self, data: bytes) -> int:
        """See `End`."""
        if self._host is None:
            return len(data)
        try:
            return self._host.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            # The host is gone; `receive` will notice and say so.
            return len(data)

    def _drop_host(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None
