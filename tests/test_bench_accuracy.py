"""`make bench-accuracy` on one small piece of its work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import r2_score

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "accuracy.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_prints_what_its_predictions_give(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "accuracy.json"
    done = run(
        *("--sets", "Geeves", "--targets", "clay", "--methods", "PLSR,SVR", "--splits", 2, "--fast", "--json", out)
    )
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(out.read_text())
    row = next(line for line in done.stdout.splitlines() if line.startswith("Geeves"))
    measured, means = np.array(result["measured"]), {}
    for score in result["scores"]:
        r2 = []
        for repeat in score["predicted"]:
            tested = [i for i, value in enumerate(repeat) if value is not None]
            assert len(tested) == 87
            r2.append(r2_score(measured[tested], [repeat[i] for i in tested]))
        means[score["method"]] = np.mean(r2)
        assert f"{np.mean(r2):.3f} ± {np.std(r2, ddof=1):.3f}" in row
    assert row.endswith(max(means, key=lambda name: means[name]))
    assert min(means.values()) > 0.5


def test_what_is_not_there_is_said_in_one_line() -> None:
    done = run("--sets", "Nowhere")
    assert done.returncode == 2
    assert "no set Nowhere; there are Geeves, CV.98" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("--methods", "oracle")
    assert done.returncode == 2
    assert "no method oracle; there are PLSR, SVR" in done.stderr


def test_splits_can_begin_anywhere() -> None:
    pytest.importorskip("LimeSoDa")
    options = ("--sets", "CV.98", "--targets", "SOC", "--methods", "PLSR", "--splits", 2, "--fast")
    first, second = (run(*options, "--first-seed", seed) for seed in (47, 48))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "over random_state 47 to 48;" in first.stdout
    assert first.stdout.splitlines()[2] != second.stdout.splitlines()[2]


def test_an_interrupted_benchmark_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("LimeSoDa")
    keep, out = tmp_path / "fits.jsonl", tmp_path / "out.json"
    options = ("--sets", "CV.98", "--targets", "SOC", "--methods", "PLSR", "--fast", "--keep", keep)
    assert run(*options, "--splits", 1).returncode == 0
    (first,) = keep.read_text().splitlines()
    marked = json.loads(first)
    marked["fit"]["chosen"] = "kept"
    # The second line was being written when the run was killed.
    keep.write_text(json.dumps(marked) + "\n" + first[:40])
    done = run(*options, "--splits", 2, "--json", out)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(out.read_text())
    chosen = [choices[0] for choices in result["scores"][0]["chosen"]]
    assert chosen[0] == "kept"
    assert chosen[1] != "kept"
    assert [json.loads(line)["random_state"] for line in keep.read_text().splitlines()] == [42, 43]


def test_a_file_of_something_else_is_not_taken_for_kept_fits(tmp_path: Path) -> None:
    keep = tmp_path / "fits.jsonl"
    keep.write_text("sample,Sb_ppm\n")
    done = run("--keep", keep)
    assert done.returncode == 1
    assert "line 1 is no kept fit; name another file" in done.stderr
    assert keep.read_text() == "sample,Sb_ppm\n"
