"""The page of `stibium serve`: how soon an estimate is drawn, how large the page is, and what memory the server takes.

    python benchmarks/page.py            # needs Debian's chromium and Playwright's Python package for the first figure

The instruments are virtual, the spectra SIMULATED. "Drawn" is the second animation frame after the estimate stands in the
document of a headless Chromium on this machine; the clock starts with the last byte that the instrument sends.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "hil"), str(ROOT / "tests" / "edge")]

from browser import Phone, browsing
from line_processes import Listener
from page_process import Page, fill
from shots import Shots, shipped_bundle, shipped_soils
from stibium.edge.simulators.ends import PtyEnd, TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.in_front import InFront, things_from
from stibium.edge.simulators.serve import VirtualProbe

FIELDSPEC = 'protocol = "fieldspec"\n[rules]\nwarm_up_min = 0.0\nwarming_min = 0.0\n'
FRAMED = "[rules]\nwarm_up_min = 0.0\nwarming_min = 0.0\n"
WATCH = """() => { window.drawn = []; new MutationObserver(() => {
  const shown = document.querySelector('#last [data-estimate]');
  if (!shown || window.drawn.some(one => one[0] === shown.dataset.estimate)) return;
  window.drawn.push([shown.dataset.estimate, 0]); const mine = window.drawn[window.drawn.length - 1];
  requestAnimationFrame(() => requestAnimationFrame(() => { mine[1] = performance.timeOrigin + performance.now(); }));
}).observe(document.getElementById('last'), {childList: true, subtree: true}); }"""


class TimedEnd(TcpEnd):
    """A port that knows when it sent its last byte, by the clock of the day."""

    sent_s = 0.0

    def send(self, data: bytes) -> int:
        """Send, and look at the clock."""
        count = super().send(data)
        self.sent_s = time.time()
        return count


def latency(folder: Path, count: int) -> list[float]:
    """Give milliseconds from the last byte of a measurement to its estimate on the page, for so many."""
    found = []
    end = TimedEnd("127.0.0.1", 0)
    front = InFront(things_from(shipped_soils()), loop=True)
    with VirtualProbe(VirtualFieldSpec(front), end) as probe, Page(folder, shipped_bundle(), FIELDSPEC) as page:
        page.start(probe.name, "--points", "1", "--scans", "5", "--condition", "dry")
        with browsing() as browser:
            phone = Phone(browser, page.address).open()
            phone.begin(page.pin)
            phone.tap()
            phone.tap()
            phone.page.evaluate(WATCH)
            for number in range(count):
                phone.tap()
                # Asked seldom, for each question takes the browser's time too.
                phone.until(f"window.drawn.length > {number} && window.drawn[{number}][1] > 0", every_ms=300)
                found.append(phone.page.evaluate(f"window.drawn[{number}][1]") - 1000 * end.sent_s)
    return found


def page_bytes(folder: Path) -> int:
    """Give the bytes of the page with as many readings as it begins with."""
    with Page(folder, shipped_bundle()) as page:
        fill(page.log, 50)
        page.start()
        return len(page.ask("/")[1])


def resident_mb(pid: int) -> float:
    """What a process has in RAM now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def memory_of_listen(folder: Path, count: int) -> float:
    """Give the megabytes of `stibium listen` after so many measurements."""
    listener = Listener(folder, shipped_bundle())
    shots = Shots(shipped_soils())
    instrument = VirtualInstrument(shots.simulation(), button_s=0.02)
    with (
        VirtualProbe(instrument, PtyEnd(folder / "port")) as probe,
        listener.running(probe.name, "--passive", "--points", "1") as process,
    ):
        assert process.stdout is not None
        for _ in range(count):
            process.stdout.readline()
        found = resident_mb(process.pid)
        process.kill()
    return found


def memory_of_serve(folder: Path, count: int) -> float:
    """Give the megabytes of `stibium serve` after so many measurements with the same instrument and two open pages."""
    shots = Shots(shipped_soils())
    instrument = VirtualInstrument(shots.simulation())
    with (
        VirtualProbe(instrument, PtyEnd(folder / "port")) as probe,
        Page(folder, shipped_bundle(), FRAMED) as page,
    ):
        page.start(probe.name, "--points", "1")
        page.log_in()
        page.order("begin")
        with page.events(), page.events():
            page.measured(count)
            assert page.process is not None
            return resident_mb(page.process.pid)


def growth(folder: Path, count: int) -> tuple[float, float]:
    """Give the megabytes of `stibium serve` with two open pages before and after so many readings."""
    with Page(folder, shipped_bundle()) as page:
        fill(page.log, 200)
        page.start()
        with page.events(page.get("/api/state")["cursor"]) as first, page.events() as second:
            page.get("/")
            fill(page.log, 400)
            time.sleep(3)
            assert page.process is not None
            before = resident_mb(page.process.pid)
            writer = threading.Thread(target=fill, args=(page.log, count))
            writer.start()
            while writer.is_alive():
                page.get("/api/readings?last=20")
                time.sleep(0.2)
            writer.join()
            time.sleep(3)
            after = resident_mb(page.process.pid)
            assert first.qsize()
            assert second.qsize()
    return before, after


def installed_mb() -> float:
    """Give the megabytes of what the extra `web` brings, without what every device has."""
    size = 0
    for name in ("starlette", "uvicorn", "anyio", "h11", "idna", "segno", "typing_extensions"):
        for file in importlib.metadata.files(name) or ():
            path = Path(str(file.locate()))
            size += path.stat().st_size if path.is_file() else 0
    return size / 1e6


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="measurements for the latency")
    parser.add_argument("--readings", type=int, default=10_000, help="readings for the growth")
    given = parser.parse_args()
    print(f"extra web, installed: {installed_mb():.1f} MB (at most 8)")
    for name, run in (("page", page_bytes), ("latency", None), ("memory", None), ("growth", None)):
        with tempfile.TemporaryDirectory(prefix="stibium-bench-") as made:
            folder = Path(made)
            if run is not None:
                print(f"page with 20 readings, one request: {run(folder) / 1000:.1f} kB (below 150)", flush=True)
            elif name == "latency":
                found = latency(folder, given.count)
                print(
                    f"last byte to estimate drawn, {len(found)} times: median {median(found):.0f} ms, 90 % within "
                    f"{quantiles(found, n=10)[-1]:.0f} ms, longest {max(found):.0f} ms (at most 150)",
                    flush=True,
                )
            elif name == "memory":
                (folder / "listen").mkdir()
                (folder / "serve").mkdir()
                listen, serve = memory_of_listen(folder / "listen", 20), memory_of_serve(folder / "serve", 20)
                print(
                    f"after 20 measurements: listen {listen:.1f} MB, serve with two pages {serve:.1f} MB, ratio "
                    f"{serve / listen:.2f} (at most 1.6)",
                    flush=True,
                )
            else:
                before, after = growth(folder, given.readings)
                print(f"two pages, {given.readings} readings: {before:.1f} MB before, {after:.1f} MB after", flush=True)


if __name__ == "__main__":
    main()
