"""`stibium train` as it is by default: a MobileNetV2, quantised, that says of itself what a device will do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import Soils, stibium, succeed
from stibium.edge.model.bundle import read_bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.runtime import Runtime
from stibium.edge.model.target import inverse
from stibium.train.run import load_run

pytestmark = pytest.mark.timeout(900)


def options(soils: Soils, out: Path, *more: object) -> list[object]:
    data = ["--spectra", soils.spectra, "--assays", soils.assays, "--element", "Sb"]
    return ["train", *data, "--out", out, "--fast", *more]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, small_soils: Soils) -> Path:
    folder = tmp_path_factory.mktemp("mobilenetv2") / "run"
    succeed(*options(small_soils, folder, "--folds", 3))
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, run_folder: Path) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("mobilenetv2-bundle") / "sb.tflite"
    return path, succeed("export", run_folder, "--out", path).stdout


def test_a_run_says_who_taught_it_and_in_which_format_it_was_judged(run_folder: Path) -> None:
    record: dict[str, Any] = json.loads((run_folder / "run.json").read_text())
    assert (record["method"], record["model"], record["parameters"]) == ("mobilenetv2", "model.keras", 15_093)
    made = record["training"]
    assert made["teacher"] == "stack"
    assert made["taught_by"].startswith("support vectors ")
    assert made["quantisation"] in ("int8", "int16x8")
    assert list(record["comparison"]["methods"]) == ["MobileNetV2", "PLSR", "SVR", "random forest"]
    assert record["metrics"]["cross-validation"]["r2"] == pytest.approx(
        record["comparison"]["methods"]["MobileNetV2"]["r2"]["mean"]
    )


def test_auto_begins_at_eight_bits(run_folder: Path, exported: tuple[Path, str]) -> None:
    path, said = exported
    bundle, run = read_bundle(path), load_run(run_folder)
    tried = re.findall(r"^  (int8|int16x8|float16) ", said, re.MULTILINE)
    assert tried[0] == "int8"
    assert bundle.quantisation in ("int8", "int16x8")
    assert f"  {bundle.quantisation} " in next(line for line in said.splitlines() if line.endswith("taken"))
    assert len(bundle.model) <= 46_080
    # What the run was judged by is what is carried to the device.
    if bundle.quantisation == run.record["training"]["quantisation"]:
        prepared = bundle.recipe.preprocess(
            np.stack([s.values for s in run.held_out[:5]]), run.held_out[0].wavelengths_nm, run.held_out[0].splices_nm
        )
        answers = Runtime(bundle.model).run(bundle.scaling.apply(prepared.features))
        estimates = [a for a in Estimator(bundle).estimate(run.held_out[:5]) if isinstance(a, Estimate)]
        low, high = bundle.calibrated_range
        wanted = np.clip(inverse(answers, bundle.transform), low, high)
        np.testing.assert_allclose([e.value for e in estimates], wanted, rtol=1e-6)


def test_a_teacher_that_is_none_is_refused_before_anything_is_fitted(small_soils: Soils, tmp_path: Path) -> None:
    done = stibium(*options(small_soils, tmp_path / "run", "--teacher", "sklearn.nothing:Nobody"))
    assert done.returncode == 1
    assert "the teacher sklearn.nothing:Nobody cannot be imported" in done.stderr.strip().splitlines()[-1]
    done = stibium(*options(small_soils, tmp_path / "run", "--method", "stack", "--teacher", "PLSR"))
    assert done.returncode == 2
    assert "--teacher PLSR is for --method mobilenetv2" in done.stderr


@pytest.mark.parametrize(
    ("asked", "name"), [("local-plsr", "local PLSR"), ("random-forest", "random forest"), ("Cubist", "Cubist")]
)
def test_a_method_without_a_network_says_how_it_is_carried_to_a_device(
    small_soils: Soils, tmp_path: Path, asked: str, name: str
) -> None:
    done = stibium(*options(small_soils, tmp_path / "run", "--method", asked))
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert (
        f'{name} has no network of its own that a device could run; distil it: --method mobilenetv2 --teacher "{name}"'
        in said
    )
    assert not (tmp_path / "run").exists()
