"""The demonstration: probe and listener as two processes on a pseudo-terminal."""

from __future__ import annotations

import csv
import sqlite3
import subprocess
import sys
from pathlib import Path

import stibium.edge

SHIPPED = Path(stibium.edge.__path__[0]) / "shipped"


def test_demo_measures_every_recorded_sample_beside_its_laboratory_value(tmp_path: Path) -> None:
    log = tmp_path / "demo.db"
    command = [str(Path(sys.executable).parent / "stibium"), "demo", "--speed", "full", "--log", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" in done.stdout
    assert "What to type next" in done.stdout
    with (SHIPPED / "demo_assays.csv").open(newline="") as file:
        laboratory = {row["sample"]: row["Sb_ppm"] for row in csv.DictReader(file)}
    assert len(laboratory) >= 6
    for sample, value in laboratory.items():
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(f"{sample} "))
        assert f" {value} " in line
        assert "simulated" in line
    with sqlite3.connect(log) as db:
        stored = db.execute("SELECT r.sample_id FROM readings r JOIN estimates e ON e.reading_id = r.id").fetchall()
    assert sorted(s for (s,) in stored) == sorted(laboratory)


def test_what_the_demo_says_to_type_next_exists(tmp_path: Path) -> None:
    from stibium.edge.cli import DEVICE_COMMANDS
    from stibium.edge.cli.demo import NEXT

    named = [line.split()[1] for line in NEXT.splitlines() if line.startswith("  stibium ")]
    assert set(named) - {"--help"} <= set(DEVICE_COMMANDS)
    assert len(named) >= 5


def test_a_log_that_cannot_be_opened_ends_the_demo_in_one_line(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    diary.write_text("no log of ours\n")
    command = [str(Path(sys.executable).parent / "stibium"), "demo", "--speed", "full", "--log", str(diary)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 1
    assert done.stderr.startswith(f"stibium: 0 of 8 samples came before listening failed: {diary}: the log cannot be")
    assert done.stderr.count("\n") == 1
    assert "What to type next" not in done.stdout
    assert diary.read_text() == "no log of ours\n"
