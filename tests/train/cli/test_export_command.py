"""`stibium export` as a user runs it, and the bundle that comes out."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_runs import stibium, succeed
from stibium.converters.models.parity import device_answers
from stibium.edge.model.bundle import pack_bundle, read_bundle, unpack_bundle
from stibium.edge.model.check import recompute_golden
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.sense import MOST_TOLERANCE
from stibium.train import export
from stibium.train.export import (
    FLOAT_TOLERANCE,
    GOLDEN_REFLECTANCE_STEP,
    GOLDEN_SPECTRA,
    GOLDEN_STEPS,
    choose_golden,
    export_run,
    golden_tolerance,
)
from stibium.train.methods.rounding import MOST_ADDED
from stibium.train.run import load_run


def in_six_digits(value: object) -> object:
    return json.loads(json.dumps(value), parse_float=lambda text: float(f"{float(text):.6g}"))


def test_bundle_carries_what_the_run_knows(small_bundle: Path, small_run: Path) -> None:
    bundle, run = read_bundle(small_bundle), load_run(small_run)
    assert (bundle.element, bundle.unit, bundle.quantisation, bundle.transform) == ("Sb", "ppm", "int8", "log10")
    assert bundle.simulated is True
    assert bundle.recipe == run.bundle.recipe
    assert bundle.scaling == run.bundle.scaling
    assert bundle.calibrated_range == run.bundle.calibrated_range
    assert bundle.interval == run.bundle.interval
    assert bundle.domain is not None
    assert np.array_equal(bundle.domain.loadings, run.bundle.domain.loadings)
    provenance = bundle.provenance
    assert provenance["spectra"] == "simulated"
    for key in ("data", "metrics", "versions", "weights_sha256", "training", "method", "comparison", "parameters"):
        assert provenance[key] == in_six_digits(run.record[key])
    assert provenance["training_samples"] == run.record["split"]["training"]
    assert provenance["training"]["seed"] == 42
    assert provenance["parity"]["n"] == len(run.held_out)


def test_golden_answers_come_from_this_runtime(small_bundle: Path, small_run: Path) -> None:
    bundle, run = read_bundle(small_bundle), load_run(small_run)
    results = recompute_golden(bundle)
    assert len(results) == GOLDEN_SPECTRA
    assert all(r.answer == r.expected for r in results)
    assert bundle.golden is not None
    # Of the held-out spectra, rounded as a bundle stores them, and not all the same one.
    apart = [[np.abs(s.values - values).max() for s in run.held_out] for values in bundle.golden.reflectance]
    assert np.min(apart, axis=1).max() <= 0.5001 * GOLDEN_REFLECTANCE_STEP
    assert len(set(np.argmin(apart, axis=1))) == GOLDEN_SPECTRA
    succeed("check", small_bundle)


def test_domain_takes_in_what_is_like_it(small_bundle: Path, small_run: Path) -> None:
    """Held-out soils of the same simulation; few are in this calibration, so one in ten may be called outside."""
    answers = Estimator(read_bundle(small_bundle)).estimate(load_run(small_run).held_out)
    verdicts = [a.verdict for a in answers if isinstance(a, Estimate)]
    assert len(verdicts) == len(answers)
    assert verdicts.count("inside") >= 0.9 * len(verdicts)


def test_report_as_json(small_run: Path, tmp_path: Path) -> None:
    out, quantisation = tmp_path / "sb.tflite", "float16"
    done = succeed("export", small_run, "--quantise", quantisation, "--out", out, "--format", "json")
    report = json.loads(done.stdout)
    assert report["simulated"] is True
    assert report["quantisation"] == read_bundle(out).quantisation == quantisation
    assert report["n"] == len(load_run(small_run).held_out)
    assert report["rmse_of_difference"] < 0.02 * report["float_rmse"]
    assert abs(report["added"]) < 0.02
    assert report["float_rmse"] == pytest.approx(load_run(small_run).record["metrics"]["validation"]["rmse"], rel=1e-3)
    # One tidy line on the file, and nothing of TensorFlow's.
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"{out}: {quantisation}, ")


def test_auto_takes_the_smallest_format_that_rounds_little(small_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "sb.tflite"
    done = succeed("export", small_run, "--out", out, "--format", "json")
    report = json.loads(done.stdout)
    rungs = report["ladder"]["rungs"]
    assert {rung["format"] for rung in rungs} == {"int8", "int16x8", "dynamic", "float16", "float32"}
    assert [rung["bytes"] for rung in rungs] == sorted(rung["bytes"] for rung in rungs)
    within = [
        rung["format"]
        for rung in rungs
        if rung["added"] is not None
        and all(rung[f"{grade}_grade_added"] <= MOST_ADDED for grade in ("low", "middle", "high"))
    ]
    assert within[-1] == "float32"
    assert report["quantisation"] == read_bundle(out).quantisation == within[0]
    # By hand, for int8: as an error of its own, and as it came out on these spectra; the larger counts.
    run = load_run(small_run)
    exported = export_run(run, ("int8",))["int8"]
    device = device_answers(exported.bundle, run.held_out)
    trained, measured = run.out_of_fold[0], run.held_out_measured
    before, after = (np.sqrt(np.mean((answers - measured) ** 2)) for answers in (trained, device))
    apart = np.sqrt(np.mean((device - trained) ** 2))
    by_hand = max(np.hypot(before, apart), after) / before - 1
    assert next(r["added"] for r in rungs if r["format"] == "int8") == pytest.approx(by_hand, rel=0.02)
    table = succeed("export", small_run, "--out", out).stdout
    assert re.search(rf"{within[0]} .*taken\n", table)


def test_a_broken_export_is_reported_and_not_written(small_run: Path, tmp_path: Path) -> None:
    """Ranges taken from rows of zeros: every activation saturates."""
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    with np.load(run / "arrays.npz") as stored:
        arrays = dict(stored)
    arrays["calibration_features"] = np.zeros_like(arrays["calibration_features"])
    # Against a laboratory that the trained model meets within 10 %, so that the model's own error hides nothing.
    arrays["held_out_measured"] = arrays["held_out_predicted"] * np.resize(
        [0.9, 1.1], len(arrays["held_out_predicted"])
    )
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    (run / "arrays.npz").write_bytes(packed.getvalue())
    record = json.loads((run / "run.json").read_text())
    record["files"]["arrays.npz"] = hashlib.sha256(packed.getvalue()).hexdigest()
    (run / "run.json").write_text(json.dumps(record))
    done = stibium("export", run, "--quantise", "int8", "--out", tmp_path / "sb.tflite")
    assert done.returncode == 1, done.stdout
    assert "RMSE added" in done.stdout
    assert done.stderr.startswith("stibium: int8 adds ")
    assert not (tmp_path / "sb.tflite").exists()


def test_bad_arguments_are_one_line(small_run: Path, tmp_path: Path) -> None:
    for arguments, code, says in (
        ([tmp_path, "--out", tmp_path / "x.tflite"], 1, "no run directory"),
        ([small_run, "--out", tmp_path / "none" / "x.tflite"], 2, "is no folder"),
        ([small_run, "--out", tmp_path / "x.tflite", "--quantise", "int4"], 2, "'int4' is not one of"),
        ([small_run], 2, "Missing option '--out'"),
    ):
        done = stibium("export", *arguments)
        assert done.returncode == code
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def test_golden_answers_are_such_as_a_device_can_be_held_to(
    small_bundle: Path, small_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five steps of a square root doubled an answer of 5 ppm: the bundle was written, and refused where it was read."""
    run = load_run(small_run)
    bundle = replace(read_bundle(small_bundle), transform="sqrt", calibrated_range=(0.0, 100.0))
    lowest = choose_golden(bundle, run.held_out, run.held_out_measured)
    step, root = Estimator(bundle).runtime.output_step, np.sqrt(lowest.expected)
    # So coarse that the lowest answer may be half as much again, and the highest a third.
    monkeypatch.setattr(export, "GOLDEN_STEPS", 0.3 * root.min() / step)
    golden = choose_golden(bundle, run.held_out, run.held_out_measured)
    assert lowest.expected.min() < golden.expected.min()
    assert golden.tolerance < MOST_TOLERANCE
    assert unpack_bundle(pack_bundle(replace(bundle, golden=golden))).golden is not None


def test_golden_tolerance_is_a_few_output_steps() -> None:
    expected = np.array([10.0, 1000.0])
    step = 0.01
    assert golden_tolerance(expected, "log10", "int8", step) == pytest.approx(10 ** (GOLDEN_STEPS * step) - 1)
    assert golden_tolerance(expected, "none", "int8", step) == pytest.approx(GOLDEN_STEPS * step / 10.0)
    assert golden_tolerance(expected, "sqrt", "int8", step) == pytest.approx(
        (10**0.5 + GOLDEN_STEPS * step) ** 2 / 10 - 1
    )
    assert golden_tolerance(expected, "log10", "float32", 0.0) == FLOAT_TOLERANCE
    # What an 8-bit export of grades over five decades needs is never refused where the bundle is read.
    assert golden_tolerance(expected, "log10", "int8", 5 / 255) < MOST_TOLERANCE
    assert golden_tolerance(expected, "log10", "int16x8", 1e-7) == FLOAT_TOLERANCE
