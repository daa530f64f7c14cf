"""Work that is spread gives what one process gives: over processes, and over a cluster whose worker is killed."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dask_cluster import cluster
from small_runs import PROGRAM, Soils, stibium
from soil_like import soil_like
from stibium import edge
from stibium.edge.errors import JobsError
from stibium.edge.workers import OneProcess, Processes, workers_for
from stibium.train.cluster import connect
from stibium.train.crossval.folds import repeated_folds
from stibium.train.crossval.learning_curve import learning_curve
from stibium.train.crossval.validation import Validation, cross_validate
from stibium.train.errors import TrainingDataError
from stibium.train.methods.registry import METHODS

SHIPPED = Path(edge.__path__[0]) / "shipped"
MODEL = SHIPPED / "sb_simulated.tflite"


def without_seconds(validation: Validation) -> Validation:
    return replace(validation, scores=tuple(replace(score, seconds=0.0) for score in validation.scores))


def test_fits_in_two_processes_are_those_of_one() -> None:
    data = soil_like(40)
    folds = repeated_folds(data.names, n_folds=3, repeats=1, seed=1)
    methods = [METHODS["PLSR"](True), METHODS["ridge"](True)]
    shown: list[int] = []
    here = cross_validate(methods, data, folds)
    spread = cross_validate(methods, data, folds, workers=Processes(2), progress=lambda p: shown.append(p.done))
    assert without_seconds(spread) == without_seconds(here)
    assert shown == list(range(1, 7))
    curve = [learning_curve(methods[0], data, folds, workers=workers) for workers in (OneProcess(), Processes(2))]
    assert curve[0] == curve[1]


def fails(item: int) -> int:
    if item == 3:
        raise TrainingDataError("item 3: is bad")
    return -item


def dies(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_in_order_or_as_done_and_what_is_raised_comes_out() -> None:
    assert isinstance(workers_for(1), OneProcess)
    two = workers_for(2)
    assert list(two(abs, range(-20, 0))) == list(range(20, 0, -1))
    assert sorted(two(abs, range(-20, 0), in_order=False)) == list(range(1, 21))
    with pytest.raises(TrainingDataError, match="item 3: is bad"):
        list(two(fails, range(9)))
    with pytest.raises(JobsError, match="a process of --jobs was killed"):
        list(two(dies, range(9)))


def test_processes_end_with_the_command_that_began_them(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        "import os, sys, time\nfrom stibium.edge.workers import Processes\n"
        "def slow(item):\n    open(f'{os.getpid()}.pid', 'w').close()\n    time.sleep(600)\n"
        "if __name__ == '__main__':\n    list(Processes(2)(slow, range(2)))\n"
    )
    for stop in (signal.SIGINT, signal.SIGKILL):
        folder = tmp_path / stop.name
        folder.mkdir()
        command = subprocess.Popen(
            [sys.executable, script], cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        until = time.monotonic() + 60
        while len(list(folder.glob("*.pid"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        numbers = [int(path.stem) for path in folder.glob("*.pid")]
        assert len(numbers) == 2
        # At Ctrl-C a terminal signals all of them.
        (os.killpg if stop is signal.SIGINT else os.kill)(command.pid, stop)
        said = command.communicate(timeout=60)[1]
        assert "SpawnProcess" not in said
        while any(Path(f"/proc/{number}/exe").exists() for number in numbers) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(Path(f"/proc/{number}/exe").exists() for number in numbers)


@pytest.fixture(scope="module")
def spectra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 files of the shipped soils, one of them cut."""
    folder = tmp_path_factory.mktemp("files") / "spectra"
    folder.mkdir()
    made = folder.parent / "asd"
    assert stibium("convert", SHIPPED / "demo_samples.csv.gz", f"{made}/").returncode == 0
    for copy in range(4):
        for path in sorted(made.iterdir()):
            shutil.copy(path, folder / f"c{copy}_{path.name}")
    (folder / "c1_cut.asd").write_bytes((folder / "c1_TP091_00001.asd").read_bytes()[:3000])
    return folder


def told(text: str) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name not in ("stored_at", "estimated_at", "before_estimated_at")}
        for row in csv.DictReader(io.StringIO(text))
    ]


def test_reprocess_in_two_processes_stores_and_says_the_same(spectra: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    assert stibium("predict", spectra, "--log", log, "--model", SHIPPED / "clay_geeves.tflite").returncode == 1
    said = []
    for jobs in (1, 2):
        copy = tmp_path / f"{jobs}.db"
        shutil.copy(log, copy)
        done = stibium("reprocess", "--log", copy, "--model", MODEL, "--format", "csv", "--jobs", jobs)
        assert done.returncode == 0, done.stderr
        said.append(told(done.stdout))
        assert "nothing to do" in stibium("reprocess", "--log", copy, "--model", MODEL, "--jobs", jobs).stderr
    assert len(said[0]) == 160
    assert said[0] == said[1]


def test_evaluate_in_two_processes_says_the_same(small_soils: Soils, small_bundle: Path) -> None:
    files = ["--spectra", small_soils.spectra, "--assays", small_soils.assays, "--replicates", "each"]
    one, two = (stibium("evaluate", small_bundle, *files, "--format", "json", "--jobs", jobs) for jobs in (1, 2))
    assert one.returncode == two.returncode == 0, two.stderr
    assert one.stdout == two.stdout


@pytest.fixture(scope="module")
def soils(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("simulated") / "soils"
    done = stibium("simulate", "--out", folder, "--samples", 40, "--points", 1, "--as", "table", "--seed", 3)
    assert done.returncode == 0
    return ["--spectra", str(folder / "spectra.csv.gz"), "--assays", str(folder / "assays.csv"), "--element", "Sb"]


@pytest.mark.timeout(600)
def test_a_cluster_predicts_validates_and_trains_as_one_machine_and_a_worker_may_die(
    spectra: Path, soils: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    predict = ["predict", "spectra", "--model", MODEL, "--format", "csv", "--no-log"]
    validate = ["validate", *soils, "--method", "PLSR", "--method", "SVR", "--fast", "--repeats", "2"]
    validate += ["--format", "jsonl"]
    train = ["train", *soils, "--method", "plsr", "--fast", "--no-report"]

    def run(*arguments: object) -> subprocess.Popen[str]:
        command = [str(PROGRAM), *map(str, arguments)]
        # Paths are those of whoever types them.
        return subprocess.Popen(command, cwd=spectra.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    here = [run(*predict), run(*validate), run(*train, "--out", tmp_path / "one")]
    expected = [process.communicate(timeout=250) for process in here]
    keep = tmp_path / "fits.jsonl"
    with cluster(tmp_path / "dask") as (address, workers):
        with connect(address) as two:
            asked = (
                "(__import__('numpy'), [p['num_threads'] for p in __import__('threadpoolctl').threadpool_info()])[1]"
            )
            assert {count for counts in two(eval, [asked] * 4) for count in counts} == {1}
        there = run(*predict, "--scheduler", address)
        assert (there.communicate(timeout=120)[0], there.returncode) == (expected[0][0], here[0].returncode)
        killed = run(*validate, "--keep", keep, "--scheduler", address)
        until = time.monotonic() + 120
        while not keep.is_file() and killed.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        workers[0].send_signal(signal.SIGKILL)
        out, said = killed.communicate(timeout=200)
        assert killed.returncode == 0, said
        assert of_fits(out) == of_fits(expected[1][0])
        # What is kept is not done again.
        kept = keep.read_bytes()
        again = run(*validate, "--keep", keep, "--scheduler", address)
        assert of_fits(again.communicate(timeout=120)[0]) == of_fits(out)
        assert keep.read_bytes() == kept
        trained = run(*train, "--out", tmp_path / "two", "--scheduler", address)
        assert trained.wait(timeout=200) == 0
    assert (tmp_path / "one/predictions.csv").read_bytes() == (tmp_path / "two/predictions.csv").read_bytes()
    hashes = [json.loads((tmp_path / run / "run.json").read_text())["weights_sha256"] for run in ("one", "two")]
    assert hashes[0] == hashes[1]


def of_fits(text: str) -> Any:
    record = json.loads(text)
    for score in record["scores"]:
        score["seconds"] = 0
    return record


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--scheduler", "nonsense"], 1, "nonsense: is no scheduler's address; write tcp://HOST:PORT"),
        (["--scheduler", "http://127.0.0.1:9"], 1, "http://127.0.0.1:9: is no scheduler's address"),
        (["--scheduler", "tcp://127.0.0.1:9"], 1, "tcp://127.0.0.1:9: no Dask scheduler answers there"),
        (["--scheduler", "tcp://127.0.0.1:9", "--jobs", "2"], 2, "--jobs and --scheduler exclude each other"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_line(
    spectra: Path, tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    pytest.importorskip("distributed")
    done = stibium("predict", spectra, "--no-log", *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
