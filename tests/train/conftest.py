"""A small simulated data set, a run trained on it and a bundle, made once by the commands a user types."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import Soils, succeed, train_options


@pytest.fixture(scope="session")
def small_soils(tmp_path_factory: pytest.TempPathFactory) -> Soils:
    folder = tmp_path_factory.mktemp("simulated") / "soils"
    succeed("simulate", "--out", folder, "--samples", 75, "--points", 2, "--as", "table", "--seed", 3)
    return Soils(folder / "spectra.csv.gz", folder / "assays.csv")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, small_soils: Soils) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    succeed(*train_options(small_soils, folder, exclude_above=1000))
    return folder


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory, small_run: Path) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "sb.tflite"
    succeed("export", small_run, "--quantise", "int8", "--out", path)
    return path
