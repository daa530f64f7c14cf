"""`kill -9` of the page's server, or of the phone's browser, in the middle of a day that a phone leads."""

from __future__ import annotations

import http.client
import random
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from browser import ALONE, chromium
from page_process import PATIENCE_S, Page
from shots import shipped_bundle, shipped_soils
from stibium.edge.simulators.ends import TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.in_front import InFront, things_from
from stibium.edge.simulators.serve import VirtualProbe
from truth import assert_sound

DAY = ("--points", "2", "--scans", "5")
PROFILE = """
protocol = "fieldspec"
[patience]
quiet_s = 0.05
reply_s = 20.0
replug_s = 30.0
[rules]
warm_up_min = 0.0
warming_min = 0.0
"""


def kill_the_page(folder: Path, kills: int, seed: int) -> str:
    """Kill a server of its own, with a virtual FieldSpec."""
    front = InFront(things_from(shipped_soils()), loop=True)
    with (
        VirtualProbe(VirtualFieldSpec(front), TcpEnd("127.0.0.1", 0)) as probe,
        Page(folder, shipped_bundle(), PROFILE) as page,
    ):
        return kill_a_day_on_the_page(page, probe.name, kills, seed)


def kill_the_browser(folder: Path, kills: int, seed: int) -> str:
    """The same with a real browser, which is killed as well."""
    front = InFront(things_from(shipped_soils()), loop=True)
    with (
        VirtualProbe(VirtualFieldSpec(front), TcpEnd("127.0.0.1", 0)) as probe,
        Page(folder, shipped_bundle(), PROFILE) as page,
    ):
        return kill_a_day_in_the_browser(page, probe.name, kills, seed)


def kill_a_day_on_the_page(page: Page, port: str, kills: int, seed: int) -> str:
    """Tap the large button again and again while the server is killed at random moments, then finish the day.

    What was confirmed is in the log, whatever is killed; each sample is there once, with each of its points.
    """
    dice = random.Random(seed)
    confirmed: Counter[str] = Counter()
    http_port = 0
    for number in range(kills):
        page.start(port, *DAY, http_port=http_port)
        http_port = page.address[1]
        if not page.cookie:
            page.log_in()
        # Soon, while the day is taken up again, or amid what is measured, of which a busy machine does little in a second.
        killer = threading.Timer(dice.random() * dice.choice((0.8, 3.0)), page.process.kill)  # type: ignore[union-attr]
        killer.start()
        try:
            if number == 0:
                page.order("begin")
            while True:
                desk = page.get("/api/state")["desk"]
                if desk["mode"] in ("idle", "failed"):
                    page.order("begin")
                elif desk["mode"] == "ready":
                    told = page.order()[1].get("told", [])
                    confirmed.update(one["text"] for one in told if one["kind"] == "estimate")
                else:
                    time.sleep(0.1)  # the server answers no more than so many questions a second
        except (OSError, http.client.HTTPException):
            pass  # killed
        killer.join()
        page.kill()
        if page.log.exists():
            assert assert_sound(page.log, page.folder / "copy") >= len(confirmed), "confirmed and not stored"
    return _ended_well(page, port, http_port, kills, confirmed)


def _ended_well(page: Page, port: str, http_port: int, kills: int, confirmed: Counter[str]) -> str:
    """Go on with the day for two samples; then each sample is there once, with each of its points."""
    page.start(port, *DAY, http_port=http_port)
    page.log_in()
    page.wait(lambda: page.get("/api/state")["desk"]["mode"] in ("ready", "idle"))
    if page.get("/api/state")["desk"]["mode"] == "idle":
        page.order("begin")
    stored = page.rows("SELECT count(*) FROM readings")[0][0]
    page.measured(stored + 2)
    found: list[tuple[Any, ...]] = page.rows("SELECT sample_id, count(*) FROM readings GROUP BY sample_id")
    assert all(count == 1 for _, count in found), "doubled"
    assert {f"sample-{number:03d}" for number in range(1, len(found) + 1)} == {name for name, _ in found}, "lost"
    assert set(confirmed) <= {name for name, _ in found}
    assert max(confirmed.values(), default=0) <= 1, "confirmed twice"
    assert page.rows("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(1,)]
    points = page.rows("SELECT count(*) FROM points GROUP BY reading_id")
    assert set(points) == {(2,)}
    return f"{kills} kills, {len(found)} samples: 0 lost, 0 doubled"


class KilledBrowser:
    """Chromium as a process of its own, which can be killed, with one window that Playwright leads.

    Args:
        playwright: from `sync_playwright`.
        folder: for its profile.
    """

    def __init__(self, playwright: Any, folder: Path) -> None:
        self._playwright, self._folder = playwright, folder
        self.process: subprocess.Popen[bytes] | None = None
        self.window: Any = None

    def start(self, url: str) -> None:
        """Start it and open a page."""
        self._folder.mkdir(exist_ok=True)
        port_file = self._folder / "DevToolsActivePort"
        port_file.unlink(missing_ok=True)
        (self._folder / "SingletonLock").unlink(missing_ok=True)
        command = [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        command += [*ALONE, f"--user-data-dir={self._folder}", "--window-size=360,740", "about:blank"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up_s = time.monotonic() + PATIENCE_S
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert time.monotonic() < give_up_s, "Chromium does not start"
            time.sleep(0.02)
        port = port_file.read_text().split("\n")[0]
        browser = self._playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        self.window = browser.contexts[0].new_page()
        self.window.set_default_timeout(10_000)
        self.window.goto(url)

    def kill(self) -> None:
        """Kill it, as a phone does with what it has no memory for."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
            self.process = self.window = None


STEP = """() => {
  const $ = id => document.getElementById(id), shown = e => e && e.offsetParent !== null && !e.disabled;
  const seen = [...document.querySelectorAll('#list [data-reading]')].map(e => e.dataset.reading).filter(Boolean);
  let did = '';
  if ($('pin-dialog').open) did = 'pin';
  else if (shown($('resume'))) { $('resume').click(); did = 'resume'; }
  else if (shown($('new'))) { $('new').click(); did = 'new'; }
  else if (shown($('choices').querySelector('button'))) { $('choices').querySelector('button').click(); did = 'ground'; }
  else if (shown($('go'))) { $('go').click(); did = 'go'; }
  return [did, seen];
}"""


def kill_a_day_in_the_browser(page: Page, port: str, kills: int, seed: int) -> str:
    """Tap in a real browser while the server or the browser is killed at random moments, then finish the day.

    What the page has ever listed is in the log, whatever is killed.
    """
    from playwright.sync_api import Error, sync_playwright

    dice = random.Random(seed)
    seen: set[str] = set()
    killed: Counter[str] = Counter()
    http_port, slow = 0, 1.0
    with sync_playwright() as playwright:
        browser = KilledBrowser(playwright, page.folder / "browser")
        try:
            for _ in range(kills):
                began_s = time.monotonic()
                if page.process is None:
                    page.start(port, *DAY, http_port=http_port)
                    http_port = page.address[1]
                url = f"http://127.0.0.1:{http_port}/"
                if browser.process is None:
                    browser.start(url)
                victim = dice.choice(["server", "browser"])
                process: Any = page.process if victim == "server" else browser.process
                # On a busy machine something is to happen in between, too.
                slow = max(1.0, 0.7 * slow + 0.3 * (time.monotonic() - began_s))
                killer = threading.Timer(slow * dice.random() * dice.choice((1.5, 4.0)), process.kill)
                killer.start()
                try:
                    while process.poll() is None:
                        did, listed = browser.window.evaluate(STEP)
                        seen.update(listed)
                        if did == "pin":
                            browser.window.locator("#pin").fill(page.pin)
                            browser.window.locator("#pin-form button").first.click()
                        browser.window.wait_for_timeout(20)
                except Error:
                    pass  # killed
                killer.join()
                killed[victim] += 1
                page.kill() if victim == "server" else browser.kill()
                if page.log.exists():
                    assert_sound(page.log, page.folder / "copy")
                    stored = {str(row) for (row,) in page.rows("SELECT id FROM readings")}
                    assert seen <= stored, f"on the page and not in the log: {seen - stored}"
        finally:
            browser.kill()
    if page.process is not None:
        page.kill()
    said = _ended_well(page, port, http_port, kills, Counter())
    return f"{said}; {killed['server']} of the server, {killed['browser']} of the browser"
