"""`stibium probe --instrument as7265x`, as a process, and a driver on its port."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from stibium.edge.instruments.opening import open_instrument
from stibium.edge.instruments.profile import read_profile

STIBIUM = str(Path(sys.executable).parent / "stibium")


@contextmanager
def playing(*options: str) -> Iterator[str]:
    process = subprocess.Popen([STIBIUM, "probe", *options], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("where", [["--pty"], ["--tcp", "127.0.0.1:0"]], ids=["pty", "tcp"])
def test_the_triad_is_played_from_the_shipped_samples(where: list[str]) -> None:
    with playing("--instrument", "as7265x", "--speed", "full", "--misbehave", "stall=0.01,stall-s=0.1", *where) as port:
        with closing(open_instrument(port, read_profile("as7265x"))) as instrument:
            identity = instrument.connect()
            assert identity.virtual
            assert identity.simulated
            white, dark = instrument.acquire("white", 2), instrument.acquire("dark", 2)
            target = instrument.acquire("target", 2)
        assert instrument.wavelengths_nm.tolist() == sorted(instrument.wavelengths_nm)
        values = instrument.correct_dark(target, dark) / instrument.correct_dark(white, dark)
        assert np.all((values > 0) & (values < 1))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--instrument", "as7265x", "--raw"], "--raw is nothing that an ASCII instrument has"),
        (["--instrument", "as7265x", "--button", "1"], "--button is nothing that an ASCII instrument has"),
        (["--instrument", "as7265x", "--misbehave", "wrong-length=0.1"], "lines of text say no length"),
        (["--instrument", "as7265x", "--control"], "--control needs --instrument fieldspec"),
    ],
)
def test_options_that_mean_nothing_here_are_refused(options: list[str], says: str) -> None:
    done = subprocess.run([STIBIUM, "probe", *options], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize("profile", ["as7265x", "fieldspec"])
def test_listen_takes_such_an_instrument_too(profile: str) -> None:
    # A port of its own: beside another test this one would be told who has it.
    port = f"/dev/no-such-port-{profile}"
    command = [STIBIUM, "listen", port, "--profile", profile]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"stibium: {port}: no such port" in done.stderr
