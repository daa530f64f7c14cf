"""Debian's Chromium, led by Playwright; where it is missing and may be installed, it is."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

INSTALL_S = 420
PATIENCE_S = 60.0
ALONE = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--no-first-run",
)
"""A browser that finds nobody but this device."""


def chromium() -> str:
    """Give the browser's path; skips, saying why, where there is none."""
    if shutil.which("chromium") is None:
        install("chromium", "fonts-dejavu-core")
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium: apt-get install chromium, as root")
    return found


def install(*packages: str) -> None:
    """Have packages of Debian where that may be; whoever asks looks afterwards whether they came."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Tests run side by side: one installs, the others wait for it and find it done.
    with open(Path(tempfile.gettempdir(), "stibium-install.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            done = ["apt-get", "-qq", *command]
            with suppress(subprocess.SubprocessError, OSError):
                subprocess.run(done, env=environment, check=True, capture_output=True, timeout=INSTALL_S)


@contextmanager
def browsing() -> Iterator[Any]:
    """Give a browser."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = chromium()
    with sync_api.sync_playwright() as playwright:
        # Root may start it only so, and what it shows comes from this machine.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", *ALONE])
        try:
            yield browser
        finally:
            browser.close()


class Phone:
    """A page in a window of a phone's size. Whatever it asks of another host is noted, and fails.

    Attributes:
        page: Playwright's.
        outside: addresses that were asked for elsewhere.
        wrong: what the browser complained of.
    """

    def __init__(self, browser: Any, address: tuple[str, int], width: int = 360) -> None:
        self.outside: list[str] = []
        self.wrong: list[str] = []
        self.requests: list[str] = []
        self.base = f"http://{address[0]}:{address[1]}/"
        self.page = browser.new_context(viewport={"width": width, "height": 740}, has_touch=True).new_page()
        self.page.set_default_timeout(60_000)
        self.page.route("**/*", self._route)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)

    def _route(self, route: Any) -> None:
        url = route.request.url
        self.requests.append(url)
        if url.startswith((self.base, "data:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def open(self) -> Phone:
        """Go to the page."""
        self.page.goto(self.base)
        return self

    def give_pin(self, pin: str) -> None:
        """Type the PIN into the dialog that is open."""
        self.page.locator("#pin").fill(pin)
        self.page.locator("#pin-form button").first.click()
        self.page.locator("#pin-dialog").wait_for(state="hidden")

    def begin(self, pin: str, prefix: str = "RS") -> None:
        """Begin a session, with the PIN that is asked for."""
        self.page.locator("#prefix").fill(prefix)
        self.page.locator("#new").click()
        self.give_pin(pin)
        self.ready()

    def until(self, expression: str, every_ms: int = 20) -> None:
        """Wait until something is true in the page, whose policy lets Playwright's own waiting evaluate nothing."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not self.page.evaluate(expression):
            assert time.monotonic() < give_up_s, expression
            self.page.wait_for_timeout(every_ms)

    def ready(self) -> None:
        """Wait until something is asked."""
        self.until(
            "(g => !g.disabled && (!g.hidden || !document.getElementById('choices').hidden))"
            "(document.getElementById('go'))"
        )

    def tap(self, choice: str = "Dry") -> None:
        """Tap the large button when it may be, or one of several, and wait for what comes of it."""
        self.ready()
        with self.page.expect_response(lambda answer: answer.url.endswith("/api/order")) as answered:
            if self.page.locator("#go").is_visible():
                self.page.locator("#go").tap()
            else:
                self.page.locator(f"#choices button:has-text('{choice}')").tap()
        assert answered.value.ok

    def readings(self) -> list[str]:
        """The list as it stands there, newest first."""
        return [text.replace("\n", " ") for text in self.page.locator("#list li").all_inner_texts()]

    def axe(self) -> list[str]:
        """Give what axe finds: rule and element."""
        return axe_of(self.page)


def axe_of(page: Any) -> list[str]:
    """Give what axe finds on a page of Playwright's: rule and element."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]
