"""The device's part on an emulated Raspberry Pi: the real aarch64 wheels answer as this machine does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stibium.edge
from emulated_pi import EmulatedPi
from record_check import read_records
from stibium.edge.model.bundle import read_bundle, shipped_bundle_path

# Building it takes minutes, once.
pytestmark = pytest.mark.timeout(1500)

PROGRAM = [sys.executable, "-m", "stibium.edge"]
SAMPLES = Path(stibium.edge.__path__[0]) / "shipped" / "demo_samples.csv.gz"
EQUAL = ("status", "sample_id", "measurement", "bound", "verdict", "reason", "flags", "trusted", "points", "simulated")
CLOSE = ("said", "said_low", "said_high", "detection_limit", "points_low", "points_high")
MOST = read_bundle(shipped_bundle_path()).golden.tolerance  # type: ignore[union-attr]
"""How far apart a concentration may be: a network in eight bits answers in steps, and another processor rounds otherwise."""


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def here(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=300)


def assert_same(there: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(there) == len(expected) > 0
    for a, b in zip(there, expected, strict=True):
        assert {name: a[name] for name in EQUAL} == {name: b[name] for name in EQUAL}
        for name in CLOSE:
            assert a[name] == (None if b[name] is None else pytest.approx(b[name], rel=MOST)), name


@contextmanager
def probe(*options: str) -> Iterator[str]:
    """The virtual probe on this machine, on a TCP port; the Pi shares its network."""
    command = [*PROGRAM, "probe", "--tcp", "127.0.0.1:0", "--speed", "full", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
            process.send_signal(signal.SIGTERM)
        finally:
            process.terminate()


def test_it_is_what_it_says(emulated_pi: EmulatedPi) -> None:
    code = (
        "import json, numpy, platform, sys, stibium.edge.model.runtime as r;"
        "print(json.dumps([platform.machine(), sys.version_info[:2], numpy.__version__, r.runtime_name()]))"
    )
    machine, python, numpy, runtime = json.loads(emulated_pi.run("python", "-c", code).stdout)
    assert (machine, python) == ("aarch64", [3, 11])
    assert numpy.startswith("1.")
    assert runtime.startswith("tflite-runtime 2.14")
    for name in ("tensorflow", "scipy"):
        assert emulated_pi.run("python", "-c", f"import {name}", code=1).stderr.strip().endswith(f"'{name}'")


def test_golden_answers(emulated_pi: EmulatedPi) -> None:
    there, expected = (
        records(emulated_pi.run("stibium", "check", "--format", "jsonl")),
        records(here("check", "--format", "jsonl")),
    )
    assert len(there) == len(expected) > 0
    for a, b in zip(there, expected, strict=True):
        assert (a["spectrum"], a["same"], b["same"]) == (b["spectrum"], True, True)
        assert a["here"] == pytest.approx(b["here"], rel=MOST)


def test_a_folder_of_samples(emulated_pi: EmulatedPi, tmp_path: Path) -> None:
    folder = emulated_pi.work / "samples"
    folder.mkdir()
    shutil.copy(SAMPLES, folder)
    (folder / "broken.asd").write_bytes(b"ASD" + os.urandom(500))
    chosen = ["--average", "--format", "jsonl"]
    there = emulated_pi.run("stibium", "predict", "samples", *chosen, "--log", "log.db", code=1)
    expected = here("predict", str(folder), *chosen, "--log", str(tmp_path / "log.db"))
    assert expected.returncode == 1
    a, b = read_records(there.stdout), read_records(expected.stdout)
    assert [record["status"] for record in b].count("refused") == 1
    for record in a + b:
        # Reasons name the file.
        record["reason"] = record["reason"].replace(f"{folder}/", "").replace("samples/", "")
    assert_same(a, b)


@pytest.mark.parametrize("options", [[], ["--raw"]], ids=["reflectance", "counts"])
def test_measuring_with_the_virtual_probe(emulated_pi: EmulatedPi, tmp_path: Path, options: list[str]) -> None:
    chosen = ["--count", "4", "--points", "5", "--white", "now", "--no-ask", "--format", "jsonl"]
    log = f"probe{len(options)}.db"
    with probe(*options) as port:
        there = emulated_pi.run("stibium", "listen", port, *chosen, "--log", log)
    with probe(*options) as port:
        expected = here("listen", port, *chosen, "--log", str(tmp_path / log))
    assert expected.returncode == 0, expected.stderr
    assert_same(read_records(there.stdout), read_records(expected.stdout))
    count = "import sqlite3; print(sqlite3.connect(%r).execute('SELECT count(*) FROM readings').fetchone()[0])"
    assert emulated_pi.run("python", "-c", count % log).stdout.strip() == "4"


def test_doctor(emulated_pi: EmulatedPi) -> None:
    """It runs there, and what it says of the device is what a device without power supply or ports is like."""
    done = emulated_pi.run("stibium", "doctor", "--log", "doctor.db", "--format", "jsonl", code=None)
    findings = {record["check"]: record for record in reversed(records(done))}
    assert findings["device"]["found"].endswith("Debian GNU/Linux 12 (bookworm), aarch64")
    assert "tflite-runtime 2.14" in findings["runtime"]["found"]
    assert (findings["model"]["level"], findings["log"]["level"]) == ("ok", "ok")
    assert findings["services"]["found"] == "no systemd runs here"
    assert done.returncode == (1 if any(finding["level"] == "problem" for finding in findings.values()) else 0)
