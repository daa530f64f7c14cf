"""Wakes the pages that wait for news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LOOK_S = 0.2
"""How often the log is looked at for what another program has written; `serve`'s own session says so itself."""


class Hub:
    """Counts news. Made in the event loop that waits; `poke` may be called from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()
        self.stopping = False

    def poke(self) -> None:
        """Wake everybody who waits."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    def stop(self) -> None:
        """Let nobody wait any more."""
        self.stopping = True
        self.poke()

    async def wait(self, timeout_s: float) -> None:
        """Return when there may be news, or after so many seconds."""
        try:
            await asyncio.wait_for(self._more.wait(), timeout_s)
        except asyncio.TimeoutError:
            return

    async def watch(self, changed: Callable[[], bool]) -> None:
        """Poke whenever something has changed, for as long as this runs."""
        while True:
            await asyncio.sleep(LOOK_S)
            if changed():
                self._wake()
