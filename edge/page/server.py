"""Runs the page on a socket: an event loop around it, and what has to be done now and then."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass

import uvicorn

from .address import MOST_CONNECTIONS
from .app import application
from .connections import Connection
from .guard import Guard
from .hub import Hub
from .serving import Serving

HEALTH_S = 30.0


@dataclass
class Page:
    """The page on a socket.

    Attributes:
        serving: what it works with.
        names: under which this device may be asked for.
        alive: called again and again while the loop goes round; raises what ends the serving.
        started: called once pages are answered.
    """

    serving: Serving
    names: frozenset[str]
    alive: Callable[[], None] = lambda: None
    started: Callable[[], None] = lambda: None

    async def run(self, listener: socket.socket) -> None:
        """Serve until SIGINT or SIGTERM."""
        serving = self.serving
        hub = serving.hub = Hub()
        guard = Guard(
            application(serving), serving.door, self.names, serving.portal.stranger if serving.portal else None
        )
        config = uvicorn.Config(
            guard,
            log_config=None,
            log_level="error",  # of what strangers send wrongly nothing is said
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            ws="none",
            http=Connection,
            loop="asyncio",
            proxy_headers=False,
            backlog=MOST_CONNECTIONS,
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
            beat = asyncio.create_task(self._beat(server))
            for task in (beat, *map(asyncio.create_task, (hub.watch(serving.feed.changed), self._look_after()))):
                stack.callback(task.cancel)
            self.started()
            await server.serve([listener])
            if beat.done():
                beat.result()

    async def _look_after(self) -> None:
        serving = self.serving
        while True:
            found = await asyncio.to_thread(serving.health)
            if found != serving.health_now:
                serving.health_now = found
                assert serving.hub is not None
                serving.hub.poke()
            await asyncio.sleep(HEALTH_S)

    async def _beat(self, server: uvicorn.Server) -> None:
        try:
            while True:
                self.alive()
                await asyncio.sleep(1.0)
        finally:
            server.should_exit = True


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
