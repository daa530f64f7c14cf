"""The second part of `make bench-accuracy`, on one small piece of its work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import r2_score

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "published_folds.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_pools_the_published_folds_and_goes_on_from_what_is_kept(tmp_path: Path) -> None:
    limesoda = pytest.importorskip("LimeSoDa")
    keep = tmp_path / "fits.jsonl"
    options = ("--sets", "CV.98", "--targets", "SOC", "--methods", "PLSR", "--fast", "--jobs", 1, "--keep", keep)
    first = run(*options)
    assert first.returncode == 0, first.stderr
    assert "10 fits, 0 of them kept" in first.stdout
    table = limesoda.load_dataset("CV.98")
    measured, folds = table["Dataset"]["SOC_target"].to_numpy(dtype=float), np.asarray(table["Folds"])
    predicted = np.full(measured.size, np.nan)
    for line in keep.read_text().splitlines():
        fit = json.loads(line)["fit"]
        predicted[folds == fit["fold"] + 1] = fit["predicted"]
    r2 = r2_score(measured, predicted)
    row = next(line for line in first.stdout.splitlines() if line.startswith("CV.98"))
    assert row.split() == ["CV.98", "SOC", "98", "0.708", "SVR", f"{r2:.3f}", f"({r2 - 0.708:+.3f})"]
    again = run(*options)
    assert "10 fits, 10 of them kept" in again.stdout
    assert row in again.stdout


def test_sets_that_stay_unseen_are_no_default() -> None:
    said = run("--help").stdout
    assert "MG.44, SP.231, SSP.58 are for a last run" in " ".join(said.split())
    assert "CV.98,SC.93,SL.125,UL.120]" in "".join(said.split())
    assert run("--sets", "Geeves").returncode == 2
