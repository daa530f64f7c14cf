"""`kill -9` of the page's server in the middle of a day that a phone leads."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from page_process import Page
from shots import shipped_bundle, shipped_soils
from stibium.edge.simulators.ends import TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.in_front import InFront, things_from
from stibium.edge.simulators.serve import VirtualProbe
from truth import assert_sound

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


def kill_a_day_on_the_page(page: Page, port: str, kills: int, seed: int) -> str:
    """Tap the large button again and again while the server is killed at random moments, then finish the day.

    What was confirmed is in the log, whatever is killed; each sample is there once, with each of its points.
    """
    dice = random.Random(seed)
    confirmed: Counter[str] = Counter()
    http_port = 0
    for number in range(kills):
        page.start(port, "--points", "2", "--scans", "5", http_port=http_port)
        http_port = page.address[1]
        if not page.cookie:
            page.log_in()
        killer = threading.Timer(dice.random() * 0.8, page.process.kill)  # type: ignore[union-attr]
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
                    time.sleep(0.01)
        except (OSError, http.client.HTTPException):
            pass  # killed
        killer.join()
        page.kill()
        if page.log.exists():
            assert assert_sound(page.log, page.folder / "copy") >= len(confirmed), "confirmed and not stored"
    page.start(port, "--points", "2", "--scans", "5", http_port=http_port)
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
