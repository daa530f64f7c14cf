"""Connections of the page: how many there are at once, and how long one may keep the server waiting."""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .address import MOST_CONNECTIONS, most_crowded

PATIENCE_S = 30.0
"""For a request to come whole, and for some of an answer to be taken."""
LEAST_BYTES_A_S = 20_000
"""Of a request; for as long as it comes so fast, it may take longer."""
LOOK_S = 1.0


class Connection(H11Protocol):
    """uvicorn's, sent away where it keeps the server waiting, or there are too many and its address has the most."""

    _connected_s = _waits_since_s = 0.0
    _heard = 0

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        super().connection_made(transport)
        self._connected_s = self._waits_since_s = self.loop.time()
        open_ones = [one for one in self.connections if isinstance(one, Connection) and not one.transport.is_closing()]
        if len(open_ones) > MOST_CONNECTIONS:
            open_ones.sort(key=lambda one: one._connected_s)
            open_ones[most_crowded([one.client[0] if one.client else "" for one in open_ones])].transport.abort()
        self.loop.call_later(LOOK_S, self._look)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._heard += len(data)
        super().data_received(data)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        now_s = self.loop.time()
        if not (self.flow.write_paused or self.conn.their_state in (h11.IDLE, h11.SEND_BODY)):
            self._waits_since_s, self._heard = now_s, 0
        elif now_s - self._waits_since_s > PATIENCE_S + self._heard / LEAST_BYTES_A_S:
            self.transport.abort()
            return
        self.loop.call_later(LOOK_S, self._look)
