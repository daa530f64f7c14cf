"""`stibium serve` as a user runs it, and what a phone or a program says to it, over plain HTTP."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import Any

from line_processes import STIBIUM
from shots import shipped_bundle, shipped_soils
from stibium.edge.log.write import Log, Result
from stibium.edge.model.bundle import read_bundle
from stibium.edge.model.estimate import Estimator

PATIENCE_S = 60.0


def fill(log: Path, count: int) -> None:
    """Store readings, some hundred in a transaction."""
    bundle, soils = read_bundle(shipped_bundle()), shipped_soils()
    outcomes = Estimator(bundle).estimate(soils)
    results = [Result(soil, outcome) for soil, outcome in zip(soils, outcomes, strict=True)]
    with Log(log, bundle.name, bundle.sha256, bundle.calibrated_range) as opened:
        for begin in range(0, count, 200):
            opened.add([results[number % len(results)] for number in range(begin, min(begin + 200, count))])


class Page:
    """The process, with a log, a model and a profile of its own."""

    def __init__(self, folder: Path, bundle: Path, profile: str = "") -> None:
        self.folder, self.bundle, self.log = folder, bundle, folder / "log.db"
        self.profile = folder / "page.toml"
        self.profile.write_text(profile)
        self.process: subprocess.Popen[str] | None = None
        self.address, self.pin, self.cookie = ("127.0.0.1", 0), "", ""

    def start(self, port: str = "", *options: str, http_port: int = 0) -> Page:
        """Start it and wait until it answers."""
        command = [STIBIUM, "serve", *([port] if port else []), "--http-port", str(http_port)]
        command += ["--model", str(self.bundle), "--log", str(self.log), *options]
        command += ["--profile", str(self.profile)] if port else []
        environment = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
        self.errors = (self.folder / "serve-errors.txt").open("a+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        self.lines = ("127.0.0.1", 0)
        if said.startswith("Lines: "):
            self.lines = ("127.0.0.1", int(said.strip().rpartition(":")[2]))
            said = self.process.stdout.readline()
        assert said.startswith("Page: http://"), said + self.said_wrong()
        self.address = ("127.0.0.1", int(said.strip().rstrip("/").rpartition(":")[2]))
        self.pin = self.process.stdout.readline().strip().rpartition(" ")[2]
        return self

    def said_wrong(self) -> str:
        """What it wrote to standard error so far."""
        return (self.folder / "serve-errors.txt").read_text()

    def kill(self) -> None:
        """Kill it, as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        """Ask it to end; give its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        self.errors.close()
        self.process = None
        return code

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()

    # --- requests ---------------------------------------------------------------------------------------------

    def ask(
        self, path: str, body: object = None, method: str = "", **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Send a request; give its status, its answer (parsed if it is JSON), and its headers."""
        given = {"Host": f"127.0.0.1:{self.address[1]}", "Cookie": self.cookie}
        content: bytes | None = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            given["Content-Type"] = "application/json"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection(*self.address, timeout=PATIENCE_S)) as connection:
            connection.request(method or ("GET" if content is None else "POST"), path, content, given)
            answer = connection.getresponse()
            found = answer.read()
        is_json = answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(found) if is_json else found, answer.headers

    def patiently(self, path: str, body: object = None) -> tuple[int, Any]:
        """Ask, and once more as a page does where that was too often: a quick machine's test taps faster than a hand."""
        give_up_s = time.monotonic() + PATIENCE_S
        status, said, _ = self.ask(path, body)
        while status == 429 and time.monotonic() < give_up_s:
            time.sleep(0.2)
            status, said, _ = self.ask(path, body)
        return status, said

    def get(self, path: str) -> Any:
        """Give what is answered; it must be found."""
        status, said = self.patiently(path)
        assert status == 200, said
        return said

    def log_in(self) -> None:
        """Give the PIN, and keep the cookie."""
        status, said, headers = self.ask("/api/login", {"pin": self.pin})
        assert status == 200, said
        self.cookie = headers["set-cookie"].partition(";")[0]

    def order(self, kind: str = "do", letter: str = "", argument: str = "", **more: Any) -> tuple[int, Any]:
        """Tap, in answer to what is asked now."""
        prompt = self.get("/api/state")["desk"].get("prompt", {}).get("id", "")
        said = {"kind": kind, "tap": secrets.token_hex(8), "prompt": prompt, "letter": letter, "argument": argument}
        return self.patiently("/api/order", said | more)

    def tap(self, letter: str = "", argument: str = "") -> dict[str, Any]:
        """Tap, and give what the session shows afterwards; it must be done."""
        status, said = self.order("do", letter, argument)
        assert status == 200, said
        return dict(said["desk"])

    def desk(self, *modes: str) -> dict[str, Any]:
        """Wait until the session is in one of these modes; give what it shows."""
        return self.wait(lambda: found if (found := self.get("/api/state")["desk"])["mode"] in modes else None)

    def wait(self, look: Any) -> Any:
        """Wait until something is there."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not (found := look()):
            assert time.monotonic() < give_up_s, self.said_wrong()
            time.sleep(0.02)
        return found

    def measured(self, samples: int) -> dict[str, Any]:
        """Tap the large button until so many samples are in the log; give the session then."""
        desk = self.desk("ready", "done")
        while self.rows("SELECT count(*) FROM readings")[0][0] < samples:
            desk = self.tap()
        return desk

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the log."""
        with closing(sqlite3.connect(self.log, timeout=30)) as db:
            return db.execute(statement).fetchall()

    @contextmanager
    def events(self, after: str = "") -> Iterator[Queue[dict[str, Any]]]:
        """Listen to the stream of news; what comes is put into a queue as `event`, `id` and `data`."""
        queue: Queue[dict[str, Any]] = Queue()
        line = socket.create_connection(self.address, PATIENCE_S)
        asked = f"GET /api/events?after={after} HTTP/1.1\r\nHost: 127.0.0.1:{self.address[1]}\r\n\r\n"
        line.sendall(asked.encode())

        def read() -> None:
            with line.makefile("rb") as stream, suppress(OSError, ValueError):
                one: dict[str, Any] = {}
                for raw in stream:
                    name, _, value = raw.decode().strip().partition(": ")
                    if name in ("event", "id", "data"):
                        one[name] = json.loads(value) if name == "data" else value
                    elif not raw.strip() and "event" in one:
                        queue.put(one)
                        one = {}

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            yield queue
        finally:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
            thread.join(PATIENCE_S)
