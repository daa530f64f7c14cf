"""Ore bundles of simulated blocks, as the training side would export them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stibium.converters.models.ore import convert
from stibium.converters.spectra.spectrum import Floats
from stibium.edge.ore.bundle import Costs, OreBundle, read_ore_bundle, write_ore_bundle
from stibium.edge.ore.columns import Columns, read_columns
from stibium.edge.ore.scenarios import read_scenario


def blocks_of(columns: Columns, rows: int, seed: int, missing: float) -> tuple[Floats, NDArray[np.int64]]:
    """Simulated blocks of one hidden grade, and their labels."""
    r = np.random.default_rng(seed)
    grade = r.normal(size=rows)
    x = np.stack(
        [
            np.exp(3 + 0.7 * grade + r.normal(size=rows))
            if v.kind == "assay"
            else np.clip(np.round(2 + 0.6 * grade + 0.6 * r.normal(size=rows)), 1, 3)
            for v in columns.variables
        ],
        axis=1,
    )
    x[r.random(x.shape) < missing] = np.nan
    return x, (r.random(rows) < 1 / (1 + np.exp(-2 * grade))).astype(np.int64)


def make(path: Path, scenario: str, classifier: Any, missing: float = 0.03) -> OreBundle:
    chosen = read_scenario(scenario)
    columns = read_columns().pick(chosen.variables)
    x, y = blocks_of(columns, 1500, 7, missing)
    bundle = convert(
        classifier.fit(x, y),
        columns=columns,
        scenario=chosen,
        blocks=x,
        labels=y,
        threshold=0.4,
        costs=Costs(lost_ore=3, hauled_gangue=2),
        simulated=True,
        provenance={"seed": 7},
    )
    write_ore_bundle(path, bundle)
    return read_ore_bundle(path)


@pytest.fixture(scope="session")
def forest_c4(tmp_path_factory: pytest.TempPathFactory) -> OreBundle:
    forest = RandomForestClassifier(20, max_depth=6, random_state=1)
    path = tmp_path_factory.mktemp("ore") / "forest_c4.ore"
    return make(path, "C4", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), forest))


@pytest.fixture(scope="session")
def xgboost_c3(tmp_path_factory: pytest.TempPathFactory) -> OreBundle:
    boosted = xgboost.XGBClassifier(n_estimators=30, max_depth=4, learning_rate=0.3, random_state=1, n_jobs=1)
    return make(tmp_path_factory.mktemp("ore") / "xgboost_c3.ore", "C3", boosted)


@pytest.fixture(scope="session")
def logistic_c3(tmp_path_factory: pytest.TempPathFactory) -> OreBundle:
    linear = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression())
    return make(tmp_path_factory.mktemp("ore") / "logistic_c3.ore", "C3", linear)
