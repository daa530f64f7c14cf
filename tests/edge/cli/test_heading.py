"""Every way of measuring says which model answers, and that its file does not say who made it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from drop_files import asd_bytes
from stibium.edge.model.bundle import Bundle

STIBIUM = str(Path(sys.executable).parent / "stibium")


@pytest.mark.parametrize("out_format", ["table", "line"])
@pytest.mark.parametrize("command", [["predict"], ["watch", "--once", "--settle", "0.05"]])
def test_what_measures_names_its_model(
    tmp_path: Path, shipped_bundle: Bundle, command: list[str], out_format: str
) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.asd").write_bytes(asd_bytes())
    named = [STIBIUM, *command, tmp_path / "drop", "--log", tmp_path / "log.db", "--format", out_format]
    done = subprocess.run([*named], capture_output=True, text=True, check=True, timeout=60)
    first = done.stdout.splitlines()[0]
    assert f"SHA-256 {shipped_bundle.sha256[:16]}, unsigned" in first
    assert "SIMULATED" in first
    again = [STIBIUM, "reprocess", "--log", tmp_path / "log.db", "--dry-run"]
    done = subprocess.run(again, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize("command", ["check", "info", "doctor"])
def test_what_looks_at_a_model_names_its_hash(tmp_path: Path, shipped_bundle: Bundle, command: str) -> None:
    log = ["--log", tmp_path / "log.db"] if command == "doctor" else []
    done = subprocess.run([STIBIUM, command, *log], capture_output=True, text=True, check=False, timeout=60)
    assert shipped_bundle.sha256 in done.stdout + done.stderr
    assert "unsigned" in done.stdout + done.stderr
