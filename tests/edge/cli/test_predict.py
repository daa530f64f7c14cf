"""`stibium predict` as a process: real files in, one table out, and nothing that is bad stops what is good."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from record_check import read_records
from stibium.converters.spectra.asd_write import write_asd
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimator

PROGRAM = str(Path(sys.executable).parent / "stibium")


def predict(*arguments: object, log: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "predict", *map(str, arguments), "--log", str(log)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def folder(tmp_path: Path, soils: list[Spectrum]) -> Path:
    """Good .asd files, and among them everything that goes wrong with files."""
    path = tmp_path / "soils"
    path.mkdir()
    for i, soil in enumerate(soils[:3]):
        write_asd(path / f"good{i}_00001.asd", soil)
    whole = (path / "good0_00001.asd").read_bytes()
    (path / "cut.asd").write_bytes(whole[: len(whole) // 2])
    (path / "empty.asd").write_bytes(b"")
    (path / "notes.txt").write_text("Tapada, second day, rain after lunch\n")
    short = soils[0].wavelengths_nm <= 1075
    write_asd(
        path / "handheld.asd",
        replace(soils[0], wavelengths_nm=soils[0].wavelengths_nm[short], values=soils[0].values[short], splices_nm=()),
    )
    return path


def test_a_path_that_is_not_there_is_refused_and_leaves_the_log_alone(folder: Path, log: Path) -> None:
    done = predict(folder / "good0_00001.asd", folder / "god1.asd", "--format", "jsonl", log=log)
    assert done.returncode == 1
    assert [record["status"] for record in read_records(done.stdout)] == ["refused", "estimated"]
    with sqlite3.connect(log) as db:
        assert db.execute("SELECT count(*) FROM refusals").fetchone() == (0,)
    alone = predict(folder / "god1.asd", log=folder / "none.db")
    assert alone.returncode == 1
    assert "god1.asd" in alone.stdout
    assert not (folder / "none.db").exists()


def test_at_the_desk_nothing_is_kept(folder: Path, tmp_path: Path) -> None:
    home = {"STIBIUM_LOG": str(tmp_path / "never.db")}
    command = [PROGRAM, "predict", str(folder / "good0_00001.asd"), "--format", "jsonl", "--no-log"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **home})
    assert done.returncode == 0, done.stderr
    (record,) = read_records(done.stdout)
    assert (record["status"], record["reading"]) == ("estimated", None)
    assert not (tmp_path / "never.db").exists()
    assert predict(folder, "--no-log", log=tmp_path / "x.db").returncode == 2


def test_good_files_are_answered_and_bad_ones_refused_each_with_its_reason(
    folder: Path, log: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    done = predict(folder, "--format", "jsonl", log=log)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    records = {Path(r["source"]).name: r for r in read_records(done.stdout)}
    expected = [answer.value for answer in Estimator(shipped_bundle).estimate(soils[:3])]
    for i in range(3):
        record = records.pop(f"good{i}_00001.asd")
        critical = shipped_bundle.levels.critical
        assert critical is not None
        if record["bound"] == "< LOD":
            assert record["said"] is None
            assert record["below_critical_value"] == pytest.approx(expected[i], rel=1e-3)
            assert expected[i] <= critical
        else:
            assert record["said"] == pytest.approx(expected[i], rel=1e-3)
        assert (record["sample_id"], record["measurement"]) == (f"good{i}", "00001")
        assert record["simulated"] is True
    reasons = {name: r["reason"] for name, r in records.items()}
    assert {r["status"] for r in records.values()} == {"refused"}
    assert set(reasons) == {"cut.asd", "empty.asd", "notes.txt", "handheld.asd"}
    assert "ends" in reasons["cut.asd"]
    assert "empty" in reasons["empty.asd"]
    assert "the model needs 400-2450 nm" in reasons["handheld.asd"]
    assert all("\n" not in reason for reason in reasons.values())
    assert "3 estimated, 4 refused" in done.stderr


def test_table_says_simulated_at_every_answer(folder: Path, log: Path) -> None:
    lines = predict(folder, log=log).stdout.splitlines()
    assert "SIMULATED" in lines[0]
    answers = [line for line in lines if line.startswith("good")]
    assert len(answers) == 3
    assert all("simulated model" in line for line in answers)


def test_all_good_is_exit_0_and_everything_is_in_the_log(tmp_path: Path, soils: list[Spectrum], log: Path) -> None:
    for i, soil in enumerate(soils):
        write_asd(tmp_path / f"s{i}.asd", soil)
    files = sorted(tmp_path.glob("*.asd"))
    done = predict(*files, "--format", "csv", log=log)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    with sqlite3.connect(log) as db:
        stored = db.execute(
            "SELECT r.source, CASE e.bound WHEN '< LOD' THEN NULL ELSE e.value END FROM readings r JOIN estimates e ON e.reading_id = r.id ORDER BY r.id"
        ).fetchall()
    # The shipped model is simulated: none of its numbers stands under `value`.
    assert not any(r["value"] for r in rows)
    said = [r["untrusted_value"] for r in rows]
    assert [
        (r["source"], pytest.approx(float(n), rel=1e-5) if n else None) for r, n in zip(rows, said, strict=True)
    ] == stored
    assert sum(map(bool, said)) >= 2


def test_measurements_of_a_sample_are_averaged_on_request(tmp_path: Path, soils: list[Spectrum], log: Path) -> None:
    rng = np.random.default_rng(1)
    points = tmp_path / "points"
    points.mkdir()
    for k in range(5):
        point = replace(soils[0], values=soils[0].values * rng.uniform(0.95, 1.05))
        write_asd(points / f"RS052_{k:05d}.asd", point)
    done = predict(points, "--average", "--format", "jsonl", log=log)
    (record,) = read_records(done.stdout)
    assert (record["sample_id"], record["measurement"]) == ("RS052", "mean of 5")
    each = predict(points, "--format", "jsonl", log=log)
    assert len(each.stdout.splitlines()) == 5


def test_a_table_of_many_spectra(tmp_path: Path, soils: list[Spectrum], log: Path) -> None:
    write_table(tmp_path / "many.csv.gz", [replace(soils[i % 4], sample_id=f"S{i}") for i in range(150)])
    done = predict(tmp_path / "many.csv.gz", "--format", "jsonl", log=log)
    assert done.returncode == 0
    assert [json.loads(line)["sample_id"] for line in done.stdout.splitlines()] == [f"S{i}" for i in range(150)]


def test_missing_file_is_refused_and_the_rest_goes_on(folder: Path, log: Path) -> None:
    done = predict(folder / "nowhere.asd", folder / "good0_00001.asd", "--format", "jsonl", log=log)
    assert done.returncode == 1
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["refused", "estimated"]


def test_empty_folder_is_a_usage_error(tmp_path: Path, log: Path) -> None:
    (tmp_path / "void").mkdir()
    done = predict(tmp_path / "void", log=log)
    assert done.returncode == 2
    assert "no files in" in done.stderr


def test_damaged_model_is_one_line(folder: Path, tiny_bundle: Path, log: Path) -> None:
    tiny_bundle.write_bytes(tiny_bundle.read_bytes()[:-1000])
    done = predict(folder, "--model", tiny_bundle, log=log)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert str(tiny_bundle) in done.stderr


def test_log_that_cannot_be_written_stops_before_anything_is_shown(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = predict(folder, log=tmp_path / "file" / "log.db")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "the log cannot be opened" in done.stderr


def test_a_closed_pipe_is_no_traceback(tmp_path: Path, soils: list[Spectrum], log: Path) -> None:
    write_table(tmp_path / "many.csv.gz", [replace(soils[0], sample_id=f"S{i}") for i in range(300)])
    command = f"{PROGRAM} predict {tmp_path / 'many.csv.gz'} --log {log} --format csv | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("schema,status,")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_real_instrument_files_predict_or_are_refused_for_the_right_reason(shared_data: Path, log: Path) -> None:
    done = predict(shared_data / "instruments", "--format", "jsonl", log=log)
    assert "Traceback" not in done.stderr
    records: dict[str, dict[str, object]] = {}
    for record in read_records(done.stdout):
        records[Path(str(record["source"]).split(":")[0]).name] = record
    for name in ("revision1_float32.000", "v6sample00000.asd", "v8sample00001.asd"):
        assert records[name]["status"] == "estimated", records[name]
    # Noise of 0.002: more than some models bear.
    for name in ("1456045_00115.sed", "1456045_00116.sed"):
        refused = records[name]["status"] == "refused"
        assert ("noise 0.00" in str(records[name]["reason"])) is refused, records[name]
    # Its detectors differ by 0.024 at 1800 nm: more than some models bear, and like no soil to the others.
    (estimate,) = records["44231B009-1-FW300000.asd"]["estimates"] or [{"value": None}]  # type: ignore[misc]
    assert estimate["value"] is None
    assert re.search("step of -0.024 at 1800 nm|unlike the", str(records["44231B009-1-FW300000.asd"]["reason"]))
    for name in ("v7sample00000.asd", "v7sample00001.asd"):
        assert records[name]["status"] == "refused"
        assert "radiance" in str(records[name]["reason"])
    assert records["handheld2_325-1075.asd"]["status"] == "refused"
    assert "325-1075 nm" in str(records["handheld2_325-1075.asd"]["reason"])
