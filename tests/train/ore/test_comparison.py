"""The nested comparison: nothing leaks into a fold, an interrupted one goes on, processes change nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_runs import PROGRAM
from stibium.edge.errors import JobsError
from stibium.edge.ore.columns import read_columns
from stibium.edge.ore.scenarios import Scenario
from stibium.train.ore.calibration import calibration_error
from stibium.train.ore.comparison import Settings, compare, forget_parts
from stibium.train.ore.data import OreData, load_ore_data
from stibium.train.ore.folder import PARTS
from stibium.train.ore.models import MODELS
from stibium.train.ore.search import choose_and_fit
from stibium.train.ore.study import by_auc, tied

SCENARIO = Scenario("few", ("As", "Au", "Class_As"), "three of them")
SETTINGS = Settings((SCENARIO,), ("logistic", "tree"), training_rows=400, test_rows=300, folds=2, seed=1, fast=True)


@pytest.fixture(scope="module")
def data(small_deposit: Path) -> OreData:
    return load_ore_data(small_deposit, read_columns())


@pytest.fixture(scope="module")
def whole(data: OreData, tmp_path_factory: pytest.TempPathFactory):
    return compare(data, SETTINGS, tmp_path_factory.mktemp("whole"), jobs=1)


def test_every_cell_is_there_and_judged_on_rows_it_had_not_seen(whole, data: OreData):
    assert [c.model for c in whole.cells] == ["logistic", "tree"]
    split = whole.split
    assert whole.grouped
    assert not set(data.groups[split.training]) & set(data.groups[split.test])
    for cell in whole.cells:
        assert len(cell.folds) == 2
        assert np.isfinite(cell.unseen).all()
        assert cell.cross_validated["auc"].mean == pytest.approx(np.mean([f["auc"] for f in cell.folds]))
        assert len(cell.test_probability) == 300
        assert len(cell.unseen) == 400
        assert cell.unseen_error == calibration_error(cell.unseen, data.ore[split.training])
        assert 0 < cell.unseen_chance < cell.chance_error, "more rows, less chance"
    assert whole.cell("few", "tree").test["auc"] > 0.75
    assert whole.best("few").model == "tree"
    assert [c.model for c in by_auc(whole.cells)] == ["tree", "logistic"]
    assert tied(whole.cells[0], whole.cells[0])


def test_a_fold_is_not_told_what_it_is_asked(data: OreData):
    """What is imputed, scaled and searched comes from the training rows: others may be anything."""
    rows = np.arange(600)
    features, ore = data.features[rows][:, data.columns_of(SCENARIO.variables)], data.ore[rows]
    chosen = choose_and_fit(MODELS["tree"], features, ore, data.groups[rows], 0, fast=True)
    fill = chosen.model.pipeline.named_steps["imputer"].statistics_
    assert fill == pytest.approx(np.nanmedian(features, axis=0))
    assert chosen.model.pipeline.named_steps["imputer"].add_indicator
    assert chosen.tried == 3


def test_labels_of_chance_give_no_better_than_chance(data: OreData, tmp_path: Path):
    ore = np.random.default_rng(0).permutation(data.ore)
    mixed = OreData(
        data.variables, data.features, data.bounds, ore, data.groups, data.group_names, True, "chance", "chance"
    )
    found = compare(mixed, SETTINGS, tmp_path, jobs=1)
    for cell in found.cells:
        assert abs(cell.cross_validated["auc"].mean - 0.5) < 0.1


class _StopError(Exception):
    pass


def test_an_interrupted_comparison_goes_on(data: OreData, whole, tmp_path: Path):
    def stop(progress):
        if progress.done == 4:
            raise _StopError

    with pytest.raises(_StopError):
        compare(data, SETTINGS, tmp_path, jobs=1, progress=stop)
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / PARTS).glob("*.npz")}
    assert kept
    steps = []
    again = compare(data, SETTINGS, tmp_path, jobs=1, progress=lambda p: steps.append(p.done))
    assert len(steps) == 6 - len(kept)
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / PARTS).glob("*.npz") if p.name in kept} == kept
    for a, b in zip(again.cells, whole.cells, strict=True):
        assert np.array_equal(a.unseen, b.unseen)
        assert a.test == b.test
    forget_parts(tmp_path)
    assert not (tmp_path / PARTS).exists()


def test_other_settings_start_anew(data: OreData, whole, tmp_path: Path):
    compare(data, SETTINGS, tmp_path, jobs=1)
    steps = []
    other = Settings(**{**vars(SETTINGS), "seed": 2})
    compare(data, other, tmp_path, jobs=1, progress=lambda p: steps.append(p))
    assert len(steps) == 6
    assert steps[-1].done == steps[-1].total == 6
    assert steps[-1].remaining_s == pytest.approx(0, abs=1e-6)


def test_processes_change_nothing(data: OreData, whole, tmp_path: Path):
    parallel = compare(data, SETTINGS, tmp_path, jobs=2)
    for a, b in zip(parallel.cells, whole.cells, strict=True):
        assert np.array_equal(a.test_probability, b.test_probability)
        assert a.folds == b.folds


def _children(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_command_leaves_no_process_behind(small_deposit: Path, tmp_path: Path):
    command = [
        PROGRAM,
        "ore",
        "train",
        small_deposit,
        "--out",
        tmp_path / "run",
        "--jobs",
        "2",
        "--rows",
        "900",
        "--fast",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "run" / PARTS).glob("*.npz")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.1)
        children = _children(process.pid)
        assert len(children) >= 2
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 60
    while any(_alive(c) for c in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [c for c in children if _alive(c)]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_process_that_is_killed_is_one_line(data: OreData, tmp_path: Path):
    def kill(progress):
        for child in _children(os.getpid()):
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(child, signal.SIGKILL)

    with pytest.raises(JobsError, match="was killed"):
        compare(data, SETTINGS, tmp_path, jobs=2, progress=kill)
