"""Archives: the same answers on one process, several, and a cluster whose worker dies; nothing twice, nothing lost."""

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
import stibium.edge
from dask_cluster import cluster
from small_runs import stibium as run
from stibium.converters.spectra import read_spectra as read_file
from stibium.converters.spectra.table.write import write_table
from stibium.edge.jobs import Task, batches
from stibium.train import archive as archives

pq = pytest.importorskip("pyarrow.parquet")
SHIPPED = Path(stibium.edge.__path__[0]) / "shipped"
MODEL = SHIPPED / "sb_simulated.tflite"


@pytest.fixture(scope="module")
def spectra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """562 files, one of them cut, one empty: three batches."""
    folder = tmp_path_factory.mktemp("archive") / "spectra"
    folder.mkdir()
    made = folder.parent / "asd"
    done = run("convert", SHIPPED / "demo_samples.csv.gz", f"{made}/")
    assert done.returncode == 0, done.stderr
    for copy in range(14):
        for path in sorted(made.iterdir()):
            os.link(path, folder / f"c{copy:02d}_{path.name}")
    (folder / "c01_cut.asd").write_bytes((folder / "c01_TP091_00001.asd").read_bytes()[:3000])
    (folder / "c02_empty.asd").write_bytes(b"")
    return folder


def rows(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder).to_pylist() if (folder / "_archive.json").is_file() else []


@pytest.fixture(scope="module")
def expected(spectra: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `predict` says, one process, row by row."""
    log = tmp_path_factory.mktemp("log") / "log.db"
    done = run("predict", spectra, "--model", MODEL, "--format", "jsonl", "--log", log)
    assert done.returncode == 1
    return [json.loads(line) for line in done.stdout.splitlines()]


def same(found: list[dict[str, Any]], said: list[dict[str, Any]]) -> None:
    assert len(found) == len(said) == 562
    for row, record in zip(found, said, strict=True):
        one = record["estimates"][0] if record["estimates"] else {"shown": None, "low": None}
        keys = (row["status"], row["sample_id"], row["source"], row["shown"], row["low"])
        assert keys == (record["status"], record["sample_id"], record["source"], one["shown"], one["low"])
        if row["status"] == "refused":
            assert row["reason"] == record["reason"]


def test_a_soil_under_two_names_is_told_within_a_part(tmp_path: Path) -> None:
    first = read_file(SHIPPED / "demo_samples.csv.gz")[0]
    write_table(tmp_path / "twins.csv", [replace(first, sample_id=name) for name in ("A", "B")])
    done = run("archive", tmp_path / "twins.csv", "--model", MODEL, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told = "the same spectrum as sample A, so one of the two names is wrong"
    assert [told in row["flags"] for row in rows(tmp_path / "out")] == [False, True]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_archive_says_what_predict_says(
    spectra: Path, expected: list[dict[str, Any]], tmp_path: Path, jobs: int
) -> None:
    out = tmp_path / "out"
    done = run("archive", spectra, "--model", MODEL, "--out", out, "--jobs", jobs)
    assert done.returncode == 1, done.stderr
    assert "560 estimated, 2 refused" in done.stderr
    same(rows(out), expected)


@pytest.mark.parametrize("average", [False, True])
def test_predict_over_processes_stores_and_says_the_same(spectra: Path, tmp_path: Path, average: bool) -> None:
    options = ["--average"] * average
    said = []
    for jobs in (1, 2):
        log = tmp_path / f"{jobs}.db"
        done = run("predict", spectra, "--model", MODEL, "--format", "csv", "--log", log, "--jobs", jobs, *options)
        assert done.returncode == 1, done.stderr
        stored = run("log", "--log", log, "--format", "jsonl").stdout.splitlines()
        told = [
            {name: value for name, value in row.items() if name not in ("stored_at", "estimated_at")}
            for row in csv.DictReader(io.StringIO(done.stdout))
        ]
        said.append((told, len(stored)))
    assert said[0] == said[1]


def test_a_batch_never_parts_a_sample_that_is_averaged(tmp_path: Path) -> None:
    made = tmp_path / "asd"
    assert run("convert", SHIPPED / "demo_samples.csv.gz", f"{made}/").returncode == 0
    points = sorted(made.iterdir())
    for number in range(300):  # one sample over more than a batch of 256 files
        os.link(points[0], made / f"LONG_{number:05d}.asd")
    for average in (False, True):
        parts = list(batches([made], average))
        files = [path for batch in parts for path in batch.files]
        assert files == sorted(map(str, made.iterdir()))
        assert [batch.number for batch in parts] == list(range(len(parts)))
        if average:
            names = [{read_file(path)[0].sample_id for path in batch.files} for batch in parts]
            assert not set.intersection(*names) if len(names) > 1 else True


def test_a_run_that_was_stopped_does_only_what_is_missing(
    spectra: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("archive", spectra, "--model", MODEL, "--out", out).returncode == 1
    whole = {path.name: path.read_bytes() for path in out.glob("part-*")}
    gone = out / "part-000001.parquet"
    gone.unlink()
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    done = run("archive", spectra, "--model", MODEL, "--out", out)
    assert f"({len(whole)} parts, {len(whole) - 1} of them were there)" in done.stderr
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("part-*") if path != gone} == times
    assert {path.name: path.read_bytes() for path in out.glob("part-*")} == whole
    same(rows(out), expected)


@pytest.mark.parametrize(
    ("options", "said"), [(["--average"], "average"), (["--no-gates"], "gates")], ids=["average", "gates"]
)
def test_two_runs_are_never_mixed(spectra: Path, tmp_path: Path, options: list[str], said: str) -> None:
    out = tmp_path / "out"
    (tmp_path / "few").mkdir()
    shutil.copy(sorted(spectra.iterdir())[0], tmp_path / "few")
    assert run("archive", tmp_path / "few", "--model", MODEL, "--out", out).returncode == 0
    done = run("archive", tmp_path / "few", "--model", MODEL, "--out", out, *options)
    assert done.returncode == 1
    assert f"holds an archive of another run ({said})" in done.stderr
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    done = run("archive", tmp_path / "few", "--out", tmp_path / "notes")
    assert (done.returncode, (tmp_path / "notes" / "a.txt").read_text()) == (1, "mine")


def test_a_cluster_gives_the_same_and_a_worker_may_die(
    spectra: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    out = tmp_path / "out"
    with cluster(tmp_path / "dask") as (address, workers):
        command = [str(Path(sys.executable).parent / "stibium"), "archive", str(spectra), "--model", str(MODEL)]
        process = subprocess.Popen(
            [*command, "--out", str(out), "--scheduler", address], stderr=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 120
        while not list(out.glob("part-*")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        workers[0].send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 1, said
    assert "560 estimated, 2 refused" in said
    same(rows(out), expected)


def test_a_cluster_that_is_not_there_is_one_line(spectra: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    done = run("archive", spectra, "--out", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert "no Dask scheduler answers there" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_files_leave_no_archive(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("archive", tmp_path / "empty", "--out", tmp_path / "out")
    assert (done.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "no files in" in done.stderr


def test_a_mistyped_path_leaves_no_archive(spectra: Path, tmp_path: Path) -> None:
    done = run("archive", spectra, tmp_path / "spctra", "--out", tmp_path / "out")
    assert (done.returncode, (tmp_path / "out").exists()) == (1, False)
    assert done.stderr.strip().endswith("spctra: no such file or folder; nothing was written")


def test_spectra_survive_parquet(tmp_path: Path) -> None:
    out = tmp_path / "soils.parquet"
    done = run("convert", SHIPPED / "demo_samples.csv.gz", out)
    assert done.returncode == 0, done.stderr
    before, after = read_file(SHIPPED / "demo_samples.csv.gz"), list(archives.read_spectra(out))
    assert len(before) == len(after) == 40
    for a, b in zip(before, after, strict=True):
        assert (a.values == b.values).all()
        assert (a.wavelengths_nm == b.wavelengths_nm).all()
        for name in vars(a):
            if name not in ("values", "wavelengths_nm"):
                assert getattr(a, name) == getattr(b, name), name
    assert run("convert", SHIPPED / "demo_samples.csv.gz", out).returncode == 2
    with pytest.raises(archives.ArchiveError, match="holds no part"):
        list(archives.read_spectra(tmp_path / "nowhere"))


def test_a_task_travels_small() -> None:
    import pickle

    assert len(pickle.dumps(archives.Part(Task((os.fspath(MODEL),), True, True), "/out"))) < 500


def test_readings_are_counted_as_predict_counts_them(tmp_path: Path) -> None:
    """Two elements are one reading; one of them refused is none; the parts say so again where a run goes on."""
    one = read_file(SHIPPED / "demo_samples.csv.gz")[0]
    table = tmp_path / "soils.csv"
    write_table(table, [one, replace(one, sample_id="S")])
    (tmp_path / "bad.asd").write_bytes(b"")
    files = (table, tmp_path / "bad.asd", "--model", MODEL, "--model", SHIPPED / "clay_geeves.tflite")
    predicted = run("predict", *files, "--no-log")
    assert predicted.stderr.splitlines()[-1].startswith("2 estimated, 1 refused")
    for _ in range(2):
        done = run("archive", *files, "--out", tmp_path / "out")
        assert done.returncode == predicted.returncode == 1
        assert done.stderr.startswith("2 estimated, 1 refused")


def test_an_archive_asks_what_predict_asks(tmp_path: Path) -> None:
    one = read_file(SHIPPED / "demo_samples.csv.gz")[0]
    write_table(tmp_path / "soils.csv", [replace(one, condition="")])
    asked = ("--model", MODEL, "--condition", "wet", "--stability")
    predicted = run("predict", tmp_path / "soils.csv", "--no-log", *asked, "--format", "jsonl")
    (record,) = map(json.loads, predicted.stdout.splitlines())
    assert run("archive", tmp_path / "soils.csv", *asked, "--out", tmp_path / "out").returncode == 0
    (row,) = rows(tmp_path / "out")
    (said,) = record["estimates"]
    assert (row["condition"], row["verdict"], row["shown"]) == ("wet", said["verdict"], said["shown"])
    assert row["movement_over_limit"] == said["movement_over_limit"] is not None
    other = run("archive", tmp_path / "soils.csv", *asked[:-1], "--out", tmp_path / "out")
    assert "archive of another run (stability)" in other.stderr
