"""The demonstration: probe and listener as two processes on a pseudo-terminal."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import pytest
import stibium.edge

SHIPPED = Path(stibium.edge.__path__[0]) / "shipped"


def laboratory_of(name: str) -> dict[str, str]:
    with (SHIPPED / name).open(newline="") as file:
        return dict(list(csv.reader(file))[1:])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    log = tmp_path_factory.mktemp("demo") / "demo.db"
    command = [str(Path(sys.executable).parent / "stibium"), "demo", "--speed", "full", "--log", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout, log


@pytest.mark.parametrize("table", ["real_assays.csv", "demo_assays.csv"])
def test_demo_measures_every_recorded_sample_beside_its_laboratory_value(shown: tuple[str, Path], table: str) -> None:
    laboratory = laboratory_of(table)
    assert len(laboratory) >= 6
    for sample, value in laboratory.items():
        (line,) = (line for line in shown[0].splitlines() if line.startswith(f"{sample} "))
        assert f" {value} " in line
        assert ("simulated" in line) is (table == "demo_assays.csv")


def test_what_the_demo_counts_is_what_it_shows_and_stores(shown: tuple[str, Path]) -> None:
    text, log = shown
    with sqlite3.connect(log) as db:
        stored = db.execute("SELECT count(*) FROM readings r JOIN estimates e ON e.reading_id = r.id").fetchone()
    assert stored == (len(laboratory_of("real_assays.csv")) + len(laboratory_of("demo_assays.csv")),)
    rows = [
        line for name in laboratory_of("real_assays.csv") for line in text.splitlines() if line.startswith(f"{name} ")
    ]
    inside = [row for row in rows if "inside calibration" in row]
    assert len(rows) - len(inside) >= 1, "one soil is unlike the calibration"
    covered = 0
    for row in inside:
        low, high, value = re.search(r"([\d.]+) - ([\d.]+) +([\d.]+) ", row).groups()  # type: ignore[union-attr]
        covered += float(low) <= float(value) <= float(high)
    assert f"{covered} of {len(inside)} laboratory values lie within the interval" in text
    assert covered >= 6
    for row in (line for line in text.splitlines() if re.match(r"\w+ +\(", line)):
        assert re.search(r"calibration[:;] (?!simulated)", row), f"a number in parentheses, and no reason: {row}"


def test_the_demo_draws_what_it_measured(shown: tuple[str, Path]) -> None:
    text, log = shown
    picture = log.with_name("demo.svg")
    assert f"A picture of it: {picture}" in text
    svg = picture.read_text("utf-8")
    ElementTree.fromstring(svg)
    assert all(f"<title>{name}: " in svg for name in laboratory_of("real_assays.csv"))
    assert "SIMULATED" not in svg


def test_what_it_says_to_type_next_can_be_typed(shown: tuple[str, Path]) -> None:
    lines = shown[0].split("What to type next:\n")[1].splitlines()
    assert len(lines) >= 5
    program = lines[0].split()[0]
    done = subprocess.run([program, "info"], capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr


def test_what_the_demo_says_to_type_next_exists() -> None:
    from stibium.edge.cli import DEVICE_COMMANDS
    from stibium.edge.cli.demo import NEXT

    named = [arguments.split()[0] for arguments, _ in NEXT]
    assert set(named) - {"--help"} <= set(DEVICE_COMMANDS)
    assert len(named) >= 5


def test_a_log_that_cannot_be_opened_ends_the_demo_in_one_line(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    diary.write_text("no log of ours\n")
    command = [str(Path(sys.executable).parent / "stibium"), "demo", "--speed", "full", "--log", str(diary)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 1
    assert done.stderr.startswith(f"stibium: 0 of 11 samples came before listening failed: {diary}: the log cannot be")
    assert done.stderr.count("\n") == 1
    assert "What to type next" not in done.stdout
    assert diary.read_text() == "no log of ours\n"


def test_demo_ends_with_the_address_of_a_page(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="the extra `web` is not installed")
    command = [str(Path(sys.executable).parent / "stibium"), "demo", "--speed", "full", "--page"]
    environment = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    with subprocess.Popen(
        [*command, "--log", str(tmp_path / "demo.db")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        url = next(line for line in process.stdout if line.startswith("Page: ")).removeprefix("Page: ").strip()
        with urllib.request.urlopen(f"{url}api/state", timeout=60) as answer:
            state = json.load(answer)
        # Ctrl-C on a terminal reaches all of them.
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert state["desk"]["mode"] == "idle"
    assert len(state["readings"]) > 5
    assert "Traceback" not in said
