"""What neighbours give away, held against an independent computation on the same rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler
from stibium.edge.ore.columns import Variable
from stibium.edge.ore.scenarios import Scenario
from stibium.train.ore.comparison import Comparison, Settings, compare
from stibium.train.ore.data import OreData
from stibium.train.ore.deposit import simulate_deposit
from stibium.train.ore.leakage import measure_leakage
from stibium.train.ore.models import MODELS

NAMES = ("a", "b", "c", "d")
FOLDS = 4


def strong_neighbours(seed: int = 0, holes: int = 24, size: int = 30) -> OreData:
    """Blocks that are ore because their neighbours are; `a` to `c` tell where a block is, `d` a little of its grade."""
    chance = np.random.default_rng(seed)
    groups = np.repeat(np.arange(holes), size)
    depth = np.tile(np.arange(size), holes) / size
    lens = np.sin(2 * np.pi * (depth * 2 + chance.random(holes)[groups])) + chance.standard_normal(holes)[groups]
    places = [chance.standard_normal(holes)[groups] + 0.3 * depth for _ in range(3)]
    grade = lens + 0.3 * chance.standard_normal(len(groups))
    told = 0.6 * lens + chance.standard_normal(len(groups))
    features = np.exp(np.stack([*places, told], axis=1))
    variables = tuple(Variable(name, name, "assay", "ppm") for name in NAMES)
    bounds = np.zeros(features.shape, dtype=np.int8)
    names = tuple(f"H{i}" for i in range(holes))
    return OreData(variables, features, bounds, grade > 0, groups, names, False, "neighbours", "neighbours")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    scenario = Scenario("all", NAMES)
    settings = Settings((scenario,), ("logistic", "forest"), 600, 120, folds=FOLDS, seed=3)
    return compare(strong_neighbours(), settings, tmp_path_factory.mktemp("leakage"), jobs=1)


def auc_of_folds(model, data: OreData, division) -> float:
    left_out = []
    for training, rows in division:
        fitted = clone(model).fit(data.features[training], data.ore[training])
        left_out.append(roc_auc_score(data.ore[rows], fitted.predict_proba(data.features[rows])[:, 1]))
    return float(np.mean(left_out))


@pytest.mark.parametrize("name", ["logistic", "forest"])
def test_leakage_is_what_an_independent_computation_finds_on_the_same_rows(found: Comparison, name: str) -> None:
    rows = strong_neighbours().take(found.split.training)
    parameters = dict(found.cell("all", name).parameters)
    # scikit-learn's own, of what was chosen inside the folds.
    curve = {
        "none": FunctionTransformer(),
        "log10": FunctionTransformer(np.log10),
        "yeo-johnson": PowerTransformer(standardize=False),
    }[parameters.get("curve", "none")]
    model = {
        "logistic": make_pipeline(
            curve, StandardScaler(), LogisticRegression(C=parameters.get("C", 1.0), max_iter=2000)
        ),
        "forest": RandomForestClassifier(random_state=3, **{k: v for k, v in parameters.items() if name == "forest"}),
    }[name]
    apart = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=3).split(rows.ore, rows.ore, rows.groups)
    mixed = StratifiedKFold(FOLDS, shuffle=True, random_state=3).split(rows.ore, rows.ore)
    expected = auc_of_folds(model, rows, mixed) - auc_of_folds(model, rows, apart)
    leakage = found.cell("all", name).leakage
    assert leakage is not None
    assert leakage.difference["auc"] == pytest.approx(expected, abs=0.005)


def test_neighbours_give_much_away_to_a_forest(found: Comparison) -> None:
    leakage = found.cell("all", "forest").leakage
    assert leakage is not None
    assert leakage.difference["auc"] > 0.1
    assert leakage.by_hole["auc"].mean == pytest.approx(
        found.cell("all", "forest").cross_validated["auc"].mean, abs=0.05
    )


def test_neighbours_of_the_simulated_deposit_give_away_what_a_test_sees() -> None:
    """Logged classes of thirty holes: what the eye missed is continuous along them, and trees know the place again."""
    made = simulate_deposit(3000, seed=1)
    features = np.where(made.missing, np.nan, np.hstack([made.assays, made.classes + 1.0]))[:, [3, 4, *range(6, 16)]]
    parameters = {"n_estimators": 60, "max_depth": 7, "learning_rate": 0.2}
    leakage = measure_leakage(MODELS["xgboost"], parameters, features, made.ore, made.hole, FOLDS, seed=1)
    assert leakage.difference["auc"] > 0.05
    assert leakage.difference["accuracy"] > 0.03


def test_a_table_without_holes_has_no_leakage_to_tell(tmp_path: Path) -> None:
    data = replace(strong_neighbours(holes=8), groups=None, group_names=())
    alone = compare(data, Settings((Scenario("all", NAMES),), ("tree",), 150, 60, folds=2, fast=True), tmp_path, jobs=1)
    assert not alone.grouped
    assert alone.cell("all", "tree").leakage is None
