"""Runs the page on one address: a socket that says at once what is wrong with it, and an event loop around the rest."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import ipaddress
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from ..errors import ServeError
from .app import application
from .guard import Guard
from .hub import Hub
from .serving import Serving

HEALTH_S = 30.0
_MOST_CONNECTIONS = 64
_SIOCGIFADDR = 0x8915


def address_of(interface: str) -> str:
    """Give the address to serve on: one that is given, or that of a network interface such as wlan0.

    Raises:
        ServeError: there is no such interface, or it has no address.
    """
    with suppress(ValueError):
        return str(ipaddress.ip_address(interface))
    if interface == "localhost":
        return "127.0.0.1"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            request = struct.pack("256s", interface.encode()[:15])
            return socket.inet_ntoa(fcntl.ioctl(asked, _SIOCGIFADDR, request)[20:24])
    except OSError:
        there = ", ".join(name for _, name in socket.if_nameindex())
        raise ServeError(f"{interface}: no network interface with an address; there are {there}") from None


def listening(address: str, port: int) -> socket.socket:
    """Give a socket that listens; port 0 for any free one.

    Raises:
        ServeError: the address is not this device's, or the port is taken or not permitted.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(_MOST_CONNECTIONS)
    except OSError as error:
        made.close()
        what = {
            errno.EADDRINUSE: "another program serves there; choose another --port",
            errno.EADDRNOTAVAIL: "that is no address of this device; `ip addr` lists them",
            errno.EACCES: "ports below 1024 need permission; choose one above with --port",
        }.get(error.errno or 0, error.strerror or str(error))
        raise ServeError(f"{address}:{port}: {what}") from None
    return made


@dataclass
class Page:
    """The page on a socket.

    Attributes:
        serving: what it works with.
        names: under which this device may be asked for.
        stranger: see `Guard`.
        changed: set to what wakes the pages; the desk calls it.
        alive: called again and again while the loop goes round.
        started: called once pages are answered.
    """

    serving: Serving
    names: frozenset[str]
    stranger: Callable[[Request], Response] | None
    alive: Callable[[], None] = lambda: None
    started: Callable[[], None] = lambda: None

    async def run(self, listener: socket.socket) -> None:
        """Serve until SIGINT or SIGTERM."""
        serving = self.serving
        hub = serving.hub = Hub()
        guard = Guard(application(serving), serving.door, self.names, self.stranger)
        config = uvicorn.Config(
            guard,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            ws="none",
            http="h11",
            loop="asyncio",
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            h11_max_incomplete_event_size=16_384,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=3,
        )
        server = _Server(config, hub)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # What the parent has set to be ignored (nohup) stays ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, setattr, server, "should_exit", True)
        async with AsyncExitStack() as stack:
            for work in (hub.watch(serving.feed.changed), self._look_after(), self._beat()):
                task = asyncio.create_task(work)
                stack.callback(task.cancel)
            self.started()
            await server.serve([listener])

    async def _look_after(self) -> None:
        serving = self.serving
        while True:
            found = await asyncio.to_thread(serving.health)
            if found != serving.health_now:
                serving.health_now = found
                assert serving.hub is not None
                serving.hub.poke()
            await asyncio.sleep(HEALTH_S)

    async def _beat(self) -> None:
        while True:
            self.alive()
            await asyncio.sleep(1.0)


class _Server(uvicorn.Server):
    """Ends the streams of open pages when it is asked to stop; it waits for them otherwise."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `Page.run`: uvicorn would end the process by them, in the middle of a measurement."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.stop()
        await super().shutdown(sockets)
