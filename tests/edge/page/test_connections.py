"""Connections that keep the server waiting, or of which somebody has too many."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from stibium.edge.page.address import most_crowded

pytest.importorskip("uvicorn", reason="the extra `web` is not installed")

import uvicorn
from stibium.edge.page import connections
from stibium.edge.page.connections import Connection

LONG = b"x" * 50_000_000
asked: list[str] = []


async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    asked.append(scope["path"])
    while scope["method"] == "POST" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": LONG if scope["path"] == "/long" else b"done"})


@contextmanager
def serving() -> Iterator[tuple[tuple[str, int], uvicorn.Server]]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, http=Connection, ws="none", lifespan="off"))
    server.capture_signals = lambda: nullcontext()  # type: ignore[method-assign]
    thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),))
    thread.start()
    try:
        yield listener.getsockname(), server
    finally:
        server.should_exit = server.force_exit = True
        thread.join(30)
        listener.close()


def test_the_oldest_of_whoever_has_the_most_is_sent_away() -> None:
    assert most_crowded(["a", "b", "b", "a", "b"]) == 1
    assert most_crowded(["a", "b", "a", "b"]) == 0
    assert most_crowded(["a"]) == 0


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
        b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nG",
    ],
    ids=["nothing", "half a head", "half a body", "an answer that is not taken", "half a second request"],
)
def test_who_keeps_the_server_waiting_is_sent_away(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked.clear()
    monkeypatch.setattr(connections, "PATIENCE_S", 0.5)
    monkeypatch.setattr(connections, "LOOK_S", 0.05)
    with serving() as (address, server), socket.create_connection(address, 30) as line:
        line.sendall(said)
        if b"long" in said:  # nothing is read before the connection is gone
            deadline_s = time.monotonic() + 30
            while "/long" not in asked or server.server_state.connections:
                assert time.monotonic() < deadline_s
                time.sleep(0.02)
        total = 0
        try:
            while more := line.recv(65536):
                total += len(more)
        except ConnectionResetError:
            pass
        assert total < len(LONG)
        # It is there for others.
        with socket.create_connection(address, 30) as other:
            other.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200")


def test_a_body_that_comes_slowly_but_comes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 0.3)
    monkeypatch.setattr(connections, "LOOK_S", 0.05)
    with serving() as (address, _), socket.create_connection(address, 30) as line:
        parts = [b"x" * 40_000] * 8
        line.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % sum(map(len, parts)))
        for part in parts:
            line.sendall(part)
            time.sleep(0.1)
        assert line.recv(100).startswith(b"HTTP/1.1 200")
