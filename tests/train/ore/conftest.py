"""A small simulated deposit and a run trained on it, made once by the commands a user types."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import succeed


@pytest.fixture(scope="session")
def small_deposit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ore") / "deposit"
    succeed("ore", "simulate", "--out", folder, "--blocks", 1500, "--seed", 5)
    return folder / "blocks.csv"


@pytest.fixture(scope="session")
def small_ore_run(tmp_path_factory: pytest.TempPathFactory, small_deposit: Path) -> Path:
    folder = tmp_path_factory.mktemp("ore_runs") / "run"
    size = ("--fast", "--rows", 500, "--test-rows", 400, "--folds", 2, "--jobs", 1)
    models = ("--model", "logistic", "--model", "forest", "--model", "xgboost")
    succeed("ore", "train", small_deposit, "--out", folder, *size, *models, "--scenario", "C1", "--scenario", "C4")
    return folder
