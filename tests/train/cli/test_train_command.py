"""`stibium train` as a user runs it: what it leaves behind, that it repeats itself, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import train_test_split
from small_runs import PROGRAM, Soils, stibium, succeed, train_options
from stibium.train.assays.table import read_assay_table
from stibium.train.errors import RunError
from stibium.train.methods.fit import TrainingProtocol
from stibium.train.run import load_run


def record_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())  # type: ignore[no-any-return]


def test_run_says_what_it_is(small_run: Path, small_soils: Soils) -> None:
    record = record_of(small_run)
    assert record["simulated"] is True
    assert (record["element"], record["unit"], record["transform"]) == ("Sb", "ppm", "log10")
    assert record["recipe"]["name"] == "paper"
    assert (record["method"], record["model"]) == ("published", "model.keras")
    assert record["training"]["protocol"] == TrainingProtocol().to_dict() | {"epochs": 30, "batch_size": 8}
    assert {"python", "stibium", "tensorflow", "keras", "numpy", "scikit-learn"} <= set(record["versions"])
    assert [epoch[0] for epoch in record["training"]["history"]] == list(range(1, 31))
    assert {"training", "validation", "training (log10)", "validation (log10)"} == set(record["metrics"])
    with small_soils.assays.open() as file:
        censored = [row["sample"] for row in csv.DictReader(file) if row["Sb_ppm"].startswith(">")]
    assert record["data"]["censored"] == censored
    assert censored, "the test's soils must have a censored one"
    assert record["data"]["spectra"] == 2 * record["data"]["samples"]


def test_protocol_is_the_papers_unless_told_otherwise() -> None:
    protocol = TrainingProtocol()
    assert (protocol.validation_share, protocol.split_seed) == (1 / 3, 42)
    assert (protocol.batch_size, protocol.shuffle_buffer, protocol.epochs) == (64, 100, 1000)
    help_text = " ".join(stibium("train", "--help").stdout.split())
    for name, value in (("epochs", 1000), ("batch-size", 64), ("patience", protocol.patience)):
        assert re.search(rf"--{name} INTEGER RANGE [^-]*\[default: {value}; ", help_text), name
    assert f"[default: {protocol.learning_rate}; " in help_text


def test_split_is_the_papers(small_run: Path, small_soils: Soils) -> None:
    plain = read_assay_table(small_soils.assays).assays("Sb").plain
    names = [name for name, value in plain.items() if value <= 1000]
    training, validation = train_test_split(names, test_size=1 / 3, random_state=42)
    split = record_of(small_run)["split"]
    assert set(split["training"]) == set(training)
    assert set(split["validation"]) == set(validation)


def test_range_and_statistics_come_from_the_right_samples(small_run: Path, small_soils: Soils) -> None:
    run, plain = load_run(small_run), read_assay_table(small_soils.assays).assays("Sb").plain
    split = run.record["split"]
    values = [plain[name] for name in split["training"]]
    assert run.bundle.calibrated_range == (min(values), max(values))
    assert [s.sample_id for s in run.held_out] == split["validation"]
    assert run.held_out_measured == pytest.approx([plain[name] for name in split["validation"]])
    assert run.bundle.interval is not None
    n = len(split["validation"])
    assert run.bundle.interval.method.startswith("conformal")
    assert run.bundle.interval.method.endswith(f"of {n} samples, {2 * n} measurements")
    assert all(s.simulated for s in run.held_out)
    # The scaling is of the training rows alone: on the calibration rows (all of them here) it gives mean 0, deviation 1.
    assert len(run.calibration_features) == len(split["training"])
    assert run.calibration_features.mean() == pytest.approx(0, abs=1e-4)
    assert run.calibration_features.std() == pytest.approx(1, abs=1e-4)


def test_same_seed_same_numbers_and_progress_on_a_terminal(small_run: Path, small_soils: Soils, tmp_path: Path) -> None:
    main, terminal = pty.openpty()
    options = train_options(small_soils, tmp_path / "again", exclude_above=1000)
    with subprocess.Popen([PROGRAM, *map(str, options)], stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:  # Linux: the other end has closed
                break
            shown += piece
            if not piece:
                break
        out = process.stdout.read().decode() if process.stdout else ""
        assert process.wait() == 0, shown
    os.close(main)
    assert re.search(rb"epoch 30 of at most 30, validation loss [\d.]+ \(best [\d.]+\), at most 0:00 left", shown)
    assert b"absl" not in shown
    assert b"oneDNN" not in shown
    assert "SIMULATED" in out
    assert {p.name for p in (tmp_path / "again").iterdir()} == {
        "run.json",
        "model.keras",
        "arrays.npz",
        "predictions.csv",
        "predictions.parquet",
        "report.html",
    }
    first, second = record_of(small_run), record_of(tmp_path / "again")
    for key in ("weights_sha256", "metrics", "training", "split", "interval", "domain", "data"):
        assert first[key] == second[key], key
    with np.load(small_run / "arrays.npz") as a, np.load(tmp_path / "again" / "arrays.npz") as b:
        assert set(a) == set(b)
        for name in a:
            assert np.array_equal(a[name], b[name]), name


def test_another_seed_each_measurement_untransformed(small_run: Path, small_soils: Soils, tmp_path: Path) -> None:
    out = tmp_path / "run"
    other = {"seed": 7, "replicates": "each", "transform": "none", "recipe": "paper-continuum-first", "epochs": 2}
    done = succeed(*train_options(small_soils, out, exclude_above=1000, **other))
    assert "absl" not in done.stderr
    record, first = record_of(out), record_of(small_run)
    assert record["weights_sha256"] != first["weights_sha256"]
    assert record["split"] == first["split"]
    assert set(record["metrics"]) == {"training", "validation"}
    assert record["metrics"]["training"]["n"] == 2 * len(record["split"]["training"])
    assert record["recipe"]["name"] == "paper-continuum-first"
    again = stibium(*train_options(small_soils, out, exclude_above=1000, **other))
    assert again.returncode == 1
    assert "holds a run already; name another folder, or overwrite it with --force" in again.stderr
    # Both points of a sample are on one side of the split.
    held_out = [s.sample_id for s in load_run(out).held_out]
    assert len(held_out) == 2 * len(record["split"]["validation"])
    assert not set(held_out) & set(record["split"]["training"])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (lambda names: [f"X{i},{i}" for i, _ in enumerate(names)], "the names must be the same"),
        (lambda names: [f"{names[0]},5"], "1 sample has both a spectrum and a value for Sb; at least 10"),
        (lambda names: [f"{n},{i + 1}" for i, n in enumerate(names[:9])], "9 samples have both"),
        (lambda names: [f"{n},7.5" for n in names], "every sample has Sb 7.5 ppm; there is nothing to learn"),
        (lambda names: [f"{n},>4000" for n in names], "every value of Sb is censored"),
        (lambda names: [f"{n},{i}" for i, n in enumerate(names)], "has Sb 0 ppm, which has no logarithm"),
        (lambda names: [f"{names[0]},1", f"{names[0]},2"], "row 3 has sample"),
        (lambda names: [f"{n},{'NaN ppm' if i == 3 else i + 1}" for i, n in enumerate(names)], "row 5"),
    ],
)
def test_bad_assays_are_one_line(small_soils: Soils, tmp_path: Path, rows: Any, says: str) -> None:
    names = list(read_assay_table(small_soils.assays).assays("Sb").values)
    table = tmp_path / "assays.csv"
    table.write_text("sample,Sb_ppm\n" + "\n".join(rows(names)) + "\n")
    done = stibium(*train_options(Soils(small_soils.spectra, table), tmp_path / "run"))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("stibium: ")
    assert says in last
    assert "Traceback" not in done.stderr
    # Nothing is left of it.
    assert list(tmp_path.iterdir()) == [table]


def test_constant_training_values_and_copied_spectra_are_refused(small_soils: Soils, tmp_path: Path) -> None:
    from stibium.converters.spectra.table.read import read_table
    from stibium.converters.spectra.table.write import write_table

    names = list(read_assay_table(small_soils.assays).assays("Sb").plain)[:12]
    training, validation = train_test_split(names, test_size=1 / 3, random_state=42)
    table = tmp_path / "assays.csv"
    table.write_text("sample,Sb_ppm\n" + "".join(f"{n},{8 if n == validation[0] else 5}\n" for n in names))
    done = stibium(*train_options(Soils(small_soils.spectra, table), tmp_path / "run"))
    assert done.returncode == 1
    assert "the 8 training samples all have Sb 5 ppm" in done.stderr
    assert len(training) == 8

    from dataclasses import replace

    first = read_table(small_soils.spectra)[0]
    write_table(tmp_path / "copies.csv", [replace(first, sample_id=name) for name in names])
    table.write_text("sample,Sb_ppm\n" + "".join(f"{n},{i + 1}\n" for i, n in enumerate(names)))
    done = stibium(*train_options(Soils(tmp_path / "copies.csv", table), tmp_path / "run"))
    assert done.returncode == 1
    assert "the training spectra are all the same" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "code", "says"),
    [
        ("spectra", "nowhere", 1, "nowhere"),
        ("assays", "nowhere.csv", 1, "nowhere.csv: there is no such file"),
        ("element", "Au", 1, "no column for Au; there are Sb, As, Pb, Mn, Zn"),
        ("recipe", "tea", 2, "tea: no recipe of that name; there are blocks, derivative, paper, paper-continuum-first"),
        ("transform", "ln", 2, "'ln' is not one of"),
        ("epochs", 0, 2, "0 is not in the range"),
    ],
)
def test_bad_arguments_are_one_line(
    small_soils: Soils, tmp_path: Path, option: str, value: object, code: int, says: str
) -> None:
    done = stibium(*train_options(small_soils, tmp_path / "run", **{option: value}))
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_occupied_folders_are_left_alone(small_soils: Soils, tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    done = stibium(*train_options(small_soils, tmp_path), "--force")
    assert done.returncode == 1
    assert "holds other files (thesis.docx); name a new folder" in done.stderr
    assert (tmp_path / "thesis.docx").read_text() == "years of work"


def test_damaged_runs_are_refused(small_run: Path, tmp_path: Path) -> None:
    import shutil

    with pytest.raises(RunError, match=r"no run directory \(run.json is missing\)"):
        load_run(tmp_path)
    for name in ("model.keras", "arrays.npz"):
        copy = tmp_path / name
        shutil.copytree(small_run, copy)
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(RunError, match="is not what run.json says"):
            load_run(copy)
        (copy / name).unlink()
        with pytest.raises(RunError, match=f"{name} is missing"):
            load_run(copy)
    (copy / "run.json").write_text("{}")
    with pytest.raises(RunError, match="was not written by stibium train"):
        load_run(copy)
    (copy / "run.json").write_text("{")
    with pytest.raises(RunError):
        load_run(copy)


def test_without_the_training_side_it_is_one_line(small_soils: Soils, tmp_path: Path) -> None:
    """As on a device that has only its own part: TensorFlow cannot be found."""
    import sys

    code = (
        "import sys, importlib.abc\n"
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'tensorflow' else find(name, *a)\n"
        "from stibium.edge.cli import main\n"
        "main()\n"
    )
    options = [str(o) for o in train_options(small_soils, tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "stibium: needs the training side, which is not installed here: pip install '.[train]' where stibium was cloned"
    )


def test_one_bad_file_shows_in_the_exit_code_and_the_model_is_made(small_soils: Soils, tmp_path: Path) -> None:
    (tmp_path / "cut.asd").write_bytes(b"as8" + bytes(100))
    options = train_options(small_soils, tmp_path / "run", epochs=1)
    done = stibium(*options, "--spectra", tmp_path / "cut.asd", "--no-report")
    assert done.returncode == 1
    assert f"refused {tmp_path / 'cut.asd'}: the file ends inside the header" in done.stderr
    record = record_of(tmp_path / "run")
    assert record["data"]["refused"] == 1
    (refused,) = record["left_out"]["refused"]
    assert refused.startswith(f"{tmp_path / 'cut.asd'}: the file ends inside the header")
    # One step of training teaches nothing, and that is said where the figures are.
    assert "this model is no better than their mean (R2 " in done.stdout


def test_a_recipe_of_ones_own_goes_from_a_file_to_an_answer(small_soils: Soils, tmp_path: Path) -> None:
    recipe, run, bundle = tmp_path / "mine.toml", tmp_path / "run", tmp_path / "mine.tflite"
    recipe.write_text(
        '[[steps]]\nstep = "resample"\nfirst_nm = 1000\nlast_nm = 2400\nstep_nm = 5\n'
        '[[steps]]\nstep = "continuum_removal"\n[[steps]]\nstep = "cut"\nfirst_nm = 1300\nlast_nm = 2400\n'
    )
    files = ["--spectra", small_soils.spectra, "--assays", small_soils.assays, "--element", "Sb", "--no-baselines"]
    succeed("train", *files, "--method", "plsr", "--fast", "--no-report", "--recipe", recipe, "--out", run)
    record = record_of(run)
    assert record["training"]["recipe"] == "mine"
    assert "recipe mine" in record["training"]["chosen"]
    succeed("export", run, "--out", bundle)
    (view,) = json.loads(succeed("info", bundle, "--format", "json", "--all").stdout)["recipe"]["views"]
    assert [step["step"] for step in view["steps"]] == ["resample", "continuum_removal", "cut"]
    answers = succeed("predict", small_soils.spectra, "--no-log", "--model", bundle, "--format", "csv").stdout
    assert answers.count("inside") > 40


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--recipe", "mine.toml"), "mine.toml: No such file"),
        (("--recipe", "papr"), "papr: no recipe of that name; there are blocks"),
        (("--recipe", "paper", "--method", "stack"), "recipe paper: ends in a spectrogram, which stack does not take"),
        (("--recipe", "blocks", "--method", "published"), "recipe blocks: --method published takes one recipe"),
        (("--recipe", "blocks", "--moisture-pairs", "shipped"), "--recipe and --moisture-pairs exclude each other"),
    ],
)
def test_a_recipe_that_cannot_be_is_one_line(
    given: tuple[str, ...], says: str, small_soils: Soils, tmp_path: Path
) -> None:
    files = ["--spectra", small_soils.spectra, "--assays", small_soils.assays, "--element", "Sb"]
    refused = stibium("train", *files, "--out", tmp_path / "run", *given)
    assert refused.returncode in (1, 2)
    assert says in refused.stderr.replace("\n", " ")
    assert not (tmp_path / "run").exists()
