"""`stibium train --method stack`: what it leaves behind, that it resumes, what the device makes of it."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import PROGRAM, Soils, stibium, succeed
from stibium.converters.spectra.table.read import read_table
from stibium.converters.spectra.table.write import write_table
from stibium.edge.model.bundle import read_bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.recipe import Blocks
from stibium.train.assays.table import read_assay_table
from stibium.train.crossval.metrics import measure
from stibium.train.methods.stack import read_radial_network
from stibium.train.prepared import prepare
from stibium.train.run import load_run


def options(soils: Soils, out: Path, *more: object) -> list[object]:
    data = ["--spectra", soils.spectra, "--assays", soils.assays, "--element", "Sb"]
    return ["train", "--method", "stack", *data, "--out", out, "--fast", *more]


@pytest.fixture(scope="module")
def stack_run(tmp_path_factory: pytest.TempPathFactory, small_soils: Soils) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("stack") / "run"
    return folder, succeed(*options(small_soils, folder)).stdout


@pytest.fixture(scope="module")
def stack_bundle(tmp_path_factory: pytest.TempPathFactory, stack_run: tuple[Path, str]) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("stack-bundle") / "sb.tflite"
    return path, succeed("export", stack_run[0], "--out", path).stdout


def record_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())  # type: ignore[no-any-return]


def test_a_run_says_how_it_was_judged(stack_run: tuple[Path, str], small_soils: Soils) -> None:
    folder, said = stack_run
    record = record_of(folder)
    plain = read_assay_table(small_soils.assays).assays("Sb").plain
    assert record["method"] == "stack"
    assert record["simulated"] is True
    assert set(record["split"]["training"]) == set(plain)
    assert record["split"]["validation"] == []
    assert record["parameters"] <= 100_000
    methods = record["comparison"]["methods"]
    assert list(methods) == ["stack", "PLSR", "SVR", "random forest"]
    assert record["comparison"]["folds"] == "5-fold cross-validation by sample, 1 repeat, seed 42"
    for name, figures in methods.items():
        assert re.search(rf"^{name} +{figures['r2']['mean']:.3f}", said, re.MULTILINE)
    # The figure that is called cross-validation is that of the comparison.
    assert record["metrics"]["cross-validation"]["r2"] == pytest.approx(methods["stack"]["r2"]["mean"])
    assert record["metrics"]["training"]["rmse"] < record["metrics"]["cross-validation"]["rmse"]
    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "model.npz",
        "arrays.npz",
        "predictions.csv",
        "predictions.parquet",
        "report.html",
    }
    assert "Censored samples: " in said
    assert record["bounds"]["below"] + record["bounds"]["above"] == len(record["data"]["censored"])
    assert (record["bounds"]["unusable"], record["bounds"]["why"]) == (0, "")


def test_predictions_of_left_out_samples_are_a_table(stack_run: tuple[Path, str]) -> None:
    record = record_of(stack_run[0])
    with (stack_run[0] / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == record["split"]["training"]
    assert {(row["set"], row["repeat"], row["simulated"]) for row in rows} == {("cross-validation", "1", "True")}
    measured, predicted = (np.array([float(row[f"{name}_ppm"]) for row in rows]) for name in ("measured", "predicted"))
    assert measure(predicted, measured).r2 == pytest.approx(record["metrics"]["cross-validation"]["r2"])


def test_intervals_come_from_left_out_samples(stack_run: tuple[Path, str]) -> None:
    run = load_run(stack_run[0])
    assert isinstance(run.bundle.recipe, Blocks)
    assert run.bundle.interval is not None
    samples = len(run.record["split"]["training"])
    assert run.bundle.interval.method.endswith(
        f"cross-validated predictions of {samples} samples, {2 * samples} measurements"
    )
    # Predictions of samples that a model had not seen are farther off than those it was fitted to.
    network = read_radial_network(run.model_path)
    fitted = network.predict(prepare(run.held_out, run.bundle.recipe).features)
    assert run.out_of_fold.shape == (1, samples)
    unseen_error = np.mean((run.out_of_fold - run.out_of_fold_measured) ** 2)
    assert unseen_error > np.mean((fitted - run.held_out_measured) ** 2)


def test_the_report_compares(stack_run: tuple[Path, str]) -> None:
    page = (stack_run[0] / "report.html").read_text()
    sections = set(re.findall(r'<section id="(\w+)"', page))
    assert {
        "accuracy",
        "predictions",
        "baselines",
        "quantisation",
        "domain",
        "importance",
        "spectra",
        "learning",
    } <= sections
    assert "random forest" in page
    assert "http://" not in re.sub(r"http://www.w3.org/[^\"]*", "", page)


def test_a_learning_curve_says_whether_more_samples_would_help(stack_run: tuple[Path, str]) -> None:
    record = record_of(stack_run[0])
    curve = record["training"]["learning"]
    assert curve["samples"] == sorted(curve["samples"])
    # Four fifths of all samples at the end.
    assert curve["samples"][-1] == pytest.approx(0.8 * record["data"]["samples"], abs=1)
    assert len(curve["samples"]) == 4
    assert all(seen < unseen for seen, unseen in zip(curve["training"], curve["validation"], strict=True))
    assert curve["validation"][-1] < curve["validation"][0]


def test_the_bundle_answers_as_the_trained_model(stack_run: tuple[Path, str], stack_bundle: tuple[Path, str]) -> None:
    run, bundle = load_run(stack_run[0]), read_bundle(stack_bundle[0])
    assert bundle.recipe == run.bundle.recipe
    assert bundle.quantisation == "float16"
    assert re.search(r"float16 .*taken\n", stack_bundle[1])
    assert "Parity on" in stack_bundle[1]
    answers = Estimator(bundle).estimate(run.held_out)
    device = np.array([a.value for a in answers if isinstance(a, Estimate)])
    network = read_radial_network(run.model_path)
    trained = network.predict(prepare(run.held_out, run.bundle.recipe).features)
    assert device == pytest.approx(trained, rel=0.02)
    assert bundle.provenance["training_samples"] == run.record["split"]["training"]
    succeed("check", stack_bundle[0])
    # Domain limits are of bins of 10 nm, however thinned the features are.
    assert bundle.domain is not None
    assert bundle.domain.bands_per_bin == 10
    verdicts = [a.verdict for a in answers if isinstance(a, Estimate)]
    assert verdicts.count("inside") >= 0.9 * len(verdicts)


def test_predict_with_it_on_single_points_and_means(
    small_soils: Soils, stack_bundle: tuple[Path, str], tmp_path: Path
) -> None:
    log = tmp_path / "r.db"
    done = succeed(
        "predict", small_soils.spectra, "--average", "--model", stack_bundle[0], "--log", log, "--format", "jsonl"
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 75
    estimates = [a["estimates"][0] for a in answers]
    assert all(e["points"] == 2 for e in estimates)
    # Answers below the limit of detection have no value, and those of a simulated model may not be trusted.
    shown = [e for e in estimates if e["untrusted_value"] is not None]
    assert shown
    assert all(e["untrusted_low"] <= e["untrusted_value"] <= e["untrusted_high"] for e in shown)


def test_killed_it_goes_on_and_ends_the_same(stack_run: tuple[Path, str], small_soils: Soils, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [str(part) for part in (PROGRAM, *options(small_soils, folder, "--no-report"))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fits = folder / "fits.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (fits.exists() and fits.read_bytes().count(b"\n") >= 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = fits.read_text().splitlines()
    assert len(kept) >= 3
    assert not (folder / "run.json").exists()
    # What was kept is what is used: a fit of PLSR that is altered in between shows, in PLSR alone.
    lines = [json.loads(line) for line in kept]
    for line in lines:
        if line["fit"]["method"] == "PLSR":
            line["fit"]["predicted"] = [1e5] * len(line["fit"]["predicted"])
    fits.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    succeed(*options(small_soils, folder, "--no-report"))
    first, second = record_of(stack_run[0]), record_of(folder)
    for key in ("weights_sha256", "metrics", "interval", "error_model", "training"):
        assert first[key] == second[key], key
    of_first, of_second = ({m: f["r2"] for m, f in r["comparison"]["methods"].items()} for r in (first, second))
    assert of_first.pop("PLSR")["mean"] > 0
    assert of_second.pop("PLSR")["mean"] < -100
    assert of_first == of_second
    assert not fits.exists()


def test_stopped_by_hand_it_says_that_nothing_is_lost(small_soils: Soils, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [str(part) for part in (PROGRAM, *options(small_soils, folder, "--no-report"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    fits = folder / "fits.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not fits.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.endswith(f"what is done is kept in {folder}: the same command goes on from there\nstibium: stopped\n"), (
        err
    )
    assert fits.exists()


def test_groups_are_never_parted_controls_are_no_samples_and_grids_are_brought_together(
    small_soils: Soils, tmp_path: Path
) -> None:
    spectra = read_table(small_soils.spectra)
    write_table(tmp_path / "one.csv", spectra[:80])
    coarse = [replace(s, wavelengths_nm=s.wavelengths_nm[::2], values=s.values[::2]) for s in spectra[80:]]
    write_table(tmp_path / "two.csv", coarse)
    header, *rows = small_soils.assays.read_text().splitlines()
    lines = [
        f"{header},cell",
        *(f"{row},cell {i % 6}" for i, row in enumerate(rows)),
    ]
    columns = header.count(",")
    lines += [f"BLK{i}{',0.1' * columns},none" for i in (1, 2)] + [f"OREAS 45h{',5' * columns},none"] * 2
    table = tmp_path / "assays.csv"
    table.write_text("\n".join(lines) + "\n")
    out = tmp_path / "run"
    soils = Soils(tmp_path / "one.csv", table)
    more = ("--spectra", tmp_path / "two.csv", "--no-report", "--no-baselines", "--group-by", "cell")
    # By the name that the method had in earlier versions.
    done = succeed(*options(soils, out, *more, "--method", "default"))
    assert "--method default is called stack now; left out, it is mobilenetv2\n" in done.stderr
    assert {s.wavelengths_nm.size for s in load_run(out).held_out} == {2151, 1076}
    record = record_of(out)
    assert record["comparison"]["folds"] == "5-fold cross-validation by group, 1 repeat, seed 42"
    assert record["training"]["group_by"] == "cell"
    assert len(record["split"]["training"]) == len(read_assay_table(small_soils.assays).assays("Sb").plain)
    assert record["method"] == "stack"
    assert list(record["comparison"]["methods"]) == ["stack"]
    table.write_text("\n".join([lines[0].replace(",cell", ",cell,cell"), *(f"{line},x" for line in lines[1:])]) + "\n")
    done = stibium(*options(soils, tmp_path / "other", "--group-by", "cell"))
    assert done.returncode == 1
    assert "column cell stands there twice" in done.stderr


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--epochs", 5), 2, "--epochs 5 is for --method published"),
        (("--method", "published", "--folds", 3), 2, "--folds 3 is for --method mobilenetv2 or stack"),
        (("--folds", 400), 1, "400"),
        (("--group-by", "county"), 1, "no column county"),
        (("--element", "Au"), 1, "no column for Au"),
        (("--exclude-above", "1"), 1, "every sample with spectra is censored or left out"),
    ],
)
def test_bad_arguments_are_one_line(
    small_soils: Soils, tmp_path: Path, more: tuple[object, ...], code: int, says: str
) -> None:
    done = stibium(*options(small_soils, tmp_path / "run", *more))
    assert done.returncode == code
    assert says in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
