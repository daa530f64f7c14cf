"""Each new reading as one line of text on a TCP port, for forms of a GIS and for whatever reads lines.

The fields of a line, with tabs between them: time of storing, number of the reading, sample, status, words; then for
each element its symbol, the estimate, its unit and its interval. docs/phone.md describes them. Nothing is ever sent but
what is new: an old reading in a new form would be a wrong number that looks right.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
from contextlib import suppress
from typing import Any

from ..errors import LogError
from ..log.exports import AsOf, Noted
from .address import most_crowded
from .feed import Describe, Feed

LOOK_S = 0.2
MOST_CLIENTS = 8
_SEND_S = 2.0


def as_line(said: dict[str, Any]) -> str:
    """Write a reading, as `Feed` gives it, in one line; what breaks lines or fields is a space."""
    fields = [said["stored_at"] or "", said["reading"] or "", said["sample_id"] or said["source"], _status(said)]
    fields.append("; ".join(filter(None, (said["void"], said["why"], *(w for words in said["words"] for w in words)))))
    for one in said["estimates"]:
        fields += [one["element"], _never_bare(one), one["unit"], one["interval_shown"]]
    return "\t".join("".join(c if c.isprintable() else " " for c in str(field)) for field in fields) + "\n"


def _never_bare(one: dict[str, Any]) -> str:
    # A form reads the field alone: a simulated number is none of the ground either.
    shown: str = one["shown"]
    return shown if one["trusted"] or one["bound"] or shown.startswith("(") else f"({shown})"


def _status(said: dict[str, Any]) -> str:
    if said["void"]:
        return "void"
    if not said["estimates"]:
        return "refused"
    return "ok" if all(one["trusted"] for one in said["estimates"]) else "remark"


class LineServer:
    """Sends lines to everybody who connects, from a thread of its own.

    Args:
        listener: a socket that listens.
        path: of the log.
        describe: says a record in words.

    Raises:
        LogError: the log cannot be read.
    """

    def __init__(self, listener: socket.socket, path: str | os.PathLike[str], describe: Describe) -> None:
        self._listener, self._path, self._describe = listener, path, describe
        self._stopping = threading.Event()
        self._clients: dict[socket.socket, str] = {}  # with their addresses, the oldest first
        self.failure = ""
        """Why it ended, where nobody asked it to."""
        self.unnoted = ""
        """Why it cannot be noted in the log what was sent; "" if it was."""
        self.thread = threading.Thread(target=self._run, name="lines", daemon=True)

    def __enter__(self) -> LineServer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.thread.join(5 * LOOK_S)

    def _run(self) -> None:
        try:
            # SQLite's connections belong to the thread that made them.
            # That a line was sent is no news to send.
            feed = Feed(self._path, self._describe, left=False)
            try:
                self._serve(feed)
            finally:
                feed.close()
        except LogError as error:
            self.failure = str(error)
        finally:
            for client in self._clients:
                client.close()

    def _serve(self, feed: Feed) -> None:
        cursor = feed.newest()
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stopping.is_set():
                for key, _ in selector.select(LOOK_S):
                    self._hear(selector, key.fileobj)
                if not feed.changed():
                    continue
                news, before = feed.since(cursor), cursor
                cursor = feed.newest() if news is None else news.cursor
                sent = Noted(AsOf(cursor.estimates, cursor.corrections))
                for said in news.readings if news is not None else ():
                    # A correction of an older reading is no new reading; that one has become void is worth a line.
                    if said["reading"] is None or said["reading"] > before.readings or said["void"]:
                        self._send(selector, as_line(said).encode("utf-8", "replace"))
                        if self._clients and said["reading"] is not None:
                            sent.add(said["reading"])
                if sent.ranges:
                    self.unnoted = sent.note_sent(self._path, len(self._clients))

    def _hear(self, selector: selectors.BaseSelector, who: Any) -> None:
        if who is self._listener:
            with suppress(OSError):  # gone already
                client, address = self._listener.accept()
                client.settimeout(_SEND_S)
                selector.register(client, selectors.EVENT_READ)
                self._clients[client] = address[0]
                if len(self._clients) > MOST_CLIENTS:
                    self._drop(selector, list(self._clients)[most_crowded(list(self._clients.values()))])
            return
        with suppress(OSError):
            # Nothing that is sent here means anything.
            if who.recv(4096):
                return
        self._drop(selector, who)

    def _send(self, selector: selectors.BaseSelector, line: bytes) -> None:
        for client in list(self._clients):
            try:
                client.sendall(line)
            except OSError:
                self._drop(selector, client)

    def _drop(self, selector: selectors.BaseSelector, client: socket.socket) -> None:
        selector.unregister(client)
        del self._clients[client]
        client.close()
