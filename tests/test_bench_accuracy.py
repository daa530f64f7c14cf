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
    rows = [next(line for line in done.stdout.splitlines() if line.startswith("CV.98")) for done in (first, second)]
    assert rows[0] != rows[1]


def test_processes_side_by_side_say_the_same_as_one(tmp_path: Path) -> None:
    pytest.importorskip("LimeSoDa")
    options = ("--sets", "CV.98", "--methods", "PLSR", "--first-seed", 46, "--splits", 2, "--fast")
    files = [tmp_path / f"{jobs}.jsonl" for jobs in (1, 3)]
    one, three = (run(*options, "--jobs", jobs, "--keep", file) for jobs, file in zip((1, 3), files, strict=True))
    assert one.returncode == three.returncode == 0, one.stderr + three.stderr
    # All but the last line, which says how long it took.
    assert one.stdout.splitlines()[:-1] == three.stdout.splitlines()[:-1]
    kept = [
        {(fit["of"], fit["random_state"]): fit["fit"]["predicted"] for fit in map(json.loads, file.open())}
        for file in files
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 6


def test_splits_of_development_are_told_apart(tmp_path: Path) -> None:
    pytest.importorskip("LimeSoDa")
    keep = tmp_path / "fits.jsonl"
    options = ("--sets", "CV.98", "--targets", "SOC", "--methods", "PLSR,published network", "--first-seed", 46)
    assert run(*options, "--splits", 2, "--fast", "--keep", keep).returncode == 0
    fits = [json.loads(line) for line in keep.read_text().splitlines()]
    for fit in fits:
        # On the split of development the network becomes better than PLSR, on the other it stays worse.
        if fit["random_state"] == 46 and fit["fit"]["method"] == "PLSR":
            fit["fit"]["predicted"] = [1.0, 2.0] * (len(fit["fit"]["predicted"]) // 2) + [1.0] * (
                len(fit["fit"]["predicted"]) % 2
            )
    keep.write_text("".join(json.dumps(fit) + "\n" for fit in fits))
    lines = run(*options, "--splits", 2, "--fast", "--keep", keep).stdout.splitlines()
    (development,) = (line for line in lines if line.startswith("published network, on the splits of development"))
    (others,) = (line for line in lines if line.startswith("published network, on the other splits"))
    assert "random forest" not in development
    assert "on 1 of 1" in development
    assert "on 0 of 1" in others


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


def test_every_change_of_the_ablation_can_be_named_and_made() -> None:
    ablation = PROGRAM.with_name("ablation.py")
    done = subprocess.run(
        [sys.executable, str(ablation), "--sets", "Nowhere"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    # All changes are known by then.
    assert "no set Nowhere" in done.stderr
    made = "import ablation; [make() for make in ablation.CHANGES.values()]"
    subprocess.run([sys.executable, "-c", made], cwd=ablation.parent, check=True)
