"""One program at a time has an instrument, however its port is written, and until its process ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stibium.edge.errors import PortError
from stibium.edge.instruments.owner import owning


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("socket://127.0.0.1:47110", "socket://localhost:47110"),
        ("socket://127.0.0.1:47110", "rfc2217://127.0.0.1:47110"),
        ("socket://127.0.0.1:47110", "spy://socket://127.0.0.1:47110"),
        # Not the one of the tests below, which run at the same time.
        ("/dev/zero", "/dev/../dev/zero"),
    ],
)
def test_the_same_port_in_other_words(first: str, second: str) -> None:
    with owning(first):
        with pytest.raises(PortError, match="measures with this instrument; end it first"), owning(second):
            pass
        with owning("socket://127.0.0.1:47111"):
            pass
    with owning(second):
        pass


def test_a_link_is_the_port_it_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "probe"
    link.symlink_to("/dev/null")
    with owning("/dev/null"), pytest.raises(PortError), owning(str(link)):
        pass


def test_recordings_are_everybodys() -> None:
    with owning("replay://a.rec"), owning("replay://a.rec"), owning("loop://"), owning("loop://"):
        pass


def test_it_is_said_who_has_it_and_it_is_free_when_that_is_killed() -> None:
    port = f"socket://127.0.0.1:{20_000 + os.getpid() % 20_000}"
    program = f"import time\nfrom stibium.edge.instruments.owner import owning\nwith owning({port!r}):\n    print(flush=True)\n    time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        told: list[str] = []
        with pytest.raises(PortError, match=f"process {process.pid}"), owning(port):
            pass
        process.kill()
        process.wait()
        with owning(port, wait=True, notify=told.append):
            assert told == []


def test_one_that_waits_gets_it_and_has_said_so() -> None:
    port = f"socket://127.0.0.1:{40_000 + os.getpid() % 20_000}"
    program = f"import time\nfrom stibium.edge.instruments.owner import owning\nwith owning({port!r}):\n    print(flush=True)\n    time.sleep(1.5)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        told: list[str] = []
        began_s = time.monotonic()
        with owning(port, wait=True, notify=told.append):
            assert time.monotonic() > began_s + 0.2
        assert len(told) == 1
        assert told[0].endswith("(waiting)")


def test_a_pseudo_terminal_whose_number_is_given_again_is_another_one() -> None:
    first, end = os.openpty()
    name = os.ttyname(end)
    with owning(name):
        with pytest.raises(PortError), owning(name):
            pass
        os.close(first)
        os.close(end)
        time.sleep(0.05)  # file times tell no two moments apart within some milliseconds
        again, end = os.openpty()
        try:
            if os.ttyname(end) != name:
                pytest.skip("the number went to another program")
            with owning(name):
                pass
        finally:
            os.close(again)
            os.close(end)
