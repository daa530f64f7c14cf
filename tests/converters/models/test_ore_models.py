"""Converted classifiers answer as the libraries do: probabilities to 1e-6, contributions as TreeSHAP defines them."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from stibium.converters.models.errors import ConversionError, ParityError
from stibium.converters.models.ore import convert, convert_model
from stibium.converters.spectra.spectrum import Floats
from stibium.edge.ore.bundle import Costs
from stibium.edge.ore.columns import Columns, Variable
from stibium.edge.ore.model import OreModel
from stibium.edge.ore.scenarios import Scenario
from stibium.edge.ore.trees import Trees

COLUMNS = Columns(tuple(Variable(n, n, "assay", "ppm") for n in "abcdef"))
SCENARIO = Scenario("T", tuple("abcdef"), "test")


def data(seed: int, rows: int = 400, missing: float = 0.1) -> tuple[Floats, NDArray[np.int64]]:
    r = np.random.default_rng(seed)
    x = np.concatenate([r.lognormal(3, 1.5, (rows, 3)), r.integers(1, 4, (rows, 3))], axis=1)
    chance = 1 / (1 + np.exp(-(np.log(x[:, 0]) - 3 + x[:, 3] - 2 + (x[:, 4] > 2) * (x[:, 1] > 20))))
    y = (r.random(rows) < chance).astype(np.int64)
    y[:2] = 0, 1
    x[r.random(x.shape) < missing] = np.nan
    return x, y


CLASSIFIERS: dict[str, Any] = {
    "logistic": lambda seed: LogisticRegression(C=0.7, max_iter=300),
    "tree": lambda seed: DecisionTreeClassifier(max_depth=1 + seed % 9, random_state=seed),
    "forest": lambda seed: RandomForestClassifier(7, max_depth=None if seed % 2 else 6, random_state=seed),
    "adaboost": lambda seed: AdaBoostClassifier(
        DecisionTreeClassifier(max_depth=1 + seed % 3), n_estimators=9, random_state=seed
    ),
    "xgboost": lambda seed: xgboost.XGBClassifier(
        n_estimators=12, max_depth=1 + seed % 6, learning_rate=0.3, random_state=seed, n_jobs=1
    ),
}
SPACES = {
    "logistic": "log-odds",
    "tree": "probability",
    "forest": "probability",
    "adaboost": "log-odds",
    "xgboost": "log-odds",
}
BEFORE: dict[str, Any] = {
    "scaled": lambda: [SimpleImputer(strategy="median", add_indicator=True), StandardScaler()],
    "logs": lambda: [
        ColumnTransformer(
            [
                ("assays", make_pipeline(SimpleImputer(), FunctionTransformer(np.log1p), RobustScaler()), [0, 1, 2]),
                ("classes", SimpleImputer(strategy="most_frequent"), slice(3, 6)),
            ]
        ),
        MinMaxScaler(),
    ],
    "reversed": lambda: [
        ColumnTransformer(
            [("last", "passthrough", [5, 4])], remainder=SimpleImputer(strategy="constant", fill_value=-1)
        ),
        SimpleImputer(add_indicator=True),
    ],
}


def worst(model: OreModel, fitted: Any, x: Floats) -> float:
    return float(np.abs(model.probabilities(x) - fitted.predict_proba(x)[:, 1]).max())


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("name", CLASSIFIERS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000))
def test_probabilities_are_the_librarys(name: str, before: str, seed: int) -> None:
    x, y = data(seed)
    fitted = make_pipeline(*BEFORE[before](), CLASSIFIERS[name](seed)).fit(x, y)
    model = convert_model(fitted, x)
    assert model.space == SPACES[name]
    fresh = data(seed + 1, 300, 0.3)[0]
    assert worst(model, fitted, np.concatenate([x, fresh])) < 1e-6
    # One at a time as in a table, and every answer is the sum of its contributions.
    for block in fresh[:3]:
        assert model.probabilities(block[None])[0] == pytest.approx(fitted.predict_proba(block[None])[0, 1], abs=1e-6)
        found = model.contributions(block)
        assert found.base + found.values.sum() == pytest.approx(model.sums(block[None])[0], abs=1e-5)


@pytest.mark.parametrize("name", ["tree", "forest", "xgboost"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_missing_values_go_where_the_library_sends_them(name: str, seed: int) -> None:
    x, y = data(seed)
    fitted = CLASSIFIERS[name](seed).fit(x, y)
    model = convert_model(fitted, x)
    fresh = data(seed + 1, 300, 0.4)[0]
    assert worst(model, fitted, np.concatenate([fresh, x, np.full((1, 6), np.nan)])) < 1e-6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_values_on_a_threshold_go_the_same_way(seed: int) -> None:
    # Few distinct values, thresholds between them, and values that are not float32.
    r = np.random.default_rng(seed)
    x = r.integers(0, 6, (200, 6)) / 10 + r.integers(0, 2, (200, 6)) * 1e-9
    y = (x.sum(axis=1) + r.normal(0, 0.3, 200) > 1.5).astype(int)
    y[:2] = 0, 1
    for name in ("tree", "forest", "xgboost"):
        fitted = CLASSIFIERS[name](seed).fit(x, y)
        model = convert_model(fitted, x)
        assert isinstance(model.core, Trees)
        edges = np.unique(model.core.threshold[np.isfinite(model.core.threshold)]).astype(np.float64)
        near = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf), edges.astype("f4")])
        on = np.resize(near, (len(near), 6))
        assert worst(model, fitted, np.concatenate([x, on])) < 1e-6


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), depth=st.integers(1, 8))
def test_contributions_are_xgboosts(seed: int, depth: int) -> None:
    x, y = data(seed, 500)
    fitted = xgboost.XGBClassifier(n_estimators=20, max_depth=depth, random_state=seed, n_jobs=1).fit(x, y)
    model = convert_model(fitted, x)
    theirs = fitted.get_booster().predict(xgboost.DMatrix(x[:40]), pred_contribs=True)
    ours = [model.contributions(block) for block in x[:40]]
    np.testing.assert_allclose([c.values for c in ours], theirs[:, :-1], atol=1e-5)
    np.testing.assert_allclose([c.base for c in ours], theirs[:, -1], atol=1e-5)


def expected_value(tree: Any, x: Floats, known: set[int], node: int = 0) -> float:
    """Path-dependent expectation by recursion: the definition, as slow as it is."""
    t = tree.tree_
    if t.children_left[node] < 0:
        return float(t.value[node, 0, 1] / t.value[node, 0].sum())
    left, right = t.children_left[node], t.children_right[node]
    if t.feature[node] in known:
        go = left if np.float32(x[t.feature[node]]) <= t.threshold[node] else right
        return expected_value(tree, x, known, go)
    weight = t.weighted_n_node_samples
    both = expected_value(tree, x, known, left) * weight[left] + expected_value(tree, x, known, right) * weight[right]
    return float(both / weight[node])


def by_definition(trees: list[Any], x: Floats, players: list[set[int]]) -> Floats:
    n = len(players)
    worth = {
        s: np.mean([expected_value(t, x, set().union(*(players[i] for i in s))) for t in trees])
        for size in range(n + 1)
        for s in combinations(range(n), size)
    }
    found = np.zeros(n)
    for s, value in worth.items():
        for i in set(range(n)) - set(s):
            weight = factorial(len(s)) * factorial(n - len(s) - 1) / factorial(n)
            found[i] += weight * (worth[tuple(sorted((*s, i)))] - value)
    return found


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_contributions_are_shapley_values_by_definition(seed: int) -> None:
    x, y = data(seed, 200, 0)
    forest = RandomForestClassifier(4, max_depth=9, random_state=seed).fit(x, y)
    model = convert_model(forest, x)
    for block in x[:3]:
        found = model.contributions(block).values
        np.testing.assert_allclose(found, by_definition(forest.estimators_, block, [{i} for i in range(6)]), atol=1e-6)


def test_a_value_and_its_mark_of_absence_are_one_player() -> None:
    x, y = data(3, 200, 0.3)
    imputer = SimpleImputer(add_indicator=True)
    fitted = make_pipeline(imputer, RandomForestClassifier(3, max_depth=5, random_state=0)).fit(x, y)
    model = convert_model(fitted, x)
    players = [{i, 6 + i} for i in range(6)]
    for block in x[:3]:
        expected = by_definition(fitted[-1].estimators_, imputer.transform(block[None])[0], players)
        np.testing.assert_allclose(model.contributions(block).values, expected, atol=1e-6)


def test_linear_contributions_are_the_way_from_the_mean() -> None:
    x, y = data(5, 300, 0)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    model = convert_model(fitted, x)
    found = model.contributions(x[7])
    np.testing.assert_allclose(found.values, fitted[-1].coef_[0] * fitted[0].transform(x[7:8])[0], atol=1e-9)
    assert found.base == pytest.approx(fitted[-1].intercept_[0])


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_calibrated(name: str, method: str) -> None:
    x, y = data(11, 900)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), CLASSIFIERS[name](4))
    for fitted in (
        CalibratedClassifierCV(pipeline, method=method, cv=3, ensemble=False).fit(x, y),
        CalibratedClassifierCV(FrozenEstimator(pipeline.fit(x[:600], y[:600])), method=method).fit(x[600:], y[600:]),
    ):
        model = convert_model(fitted, x)
        assert model.calibration is not None
        assert worst(model, fitted, data(12, 300)[0]) < 1e-6


def test_trees_without_a_test() -> None:
    x, y = data(9)
    fitted = xgboost.XGBClassifier(n_estimators=3, gamma=1e9, n_jobs=1).fit(x, y)
    model = convert_model(fitted, x)
    assert isinstance(model.core, Trees)
    assert model.core.depth == 0
    assert worst(model, fitted, x) < 1e-6
    found = model.contributions(x[0])
    assert not found.values.any()
    assert found.base == pytest.approx(model.sums(x[:1])[0], abs=1e-6)


def test_ways_that_hardly_a_block_went() -> None:
    """Without a least weight XGBoost's covers go down to nearly nothing; what is divided by them stays finite."""
    x, _ = data(4, 300)
    sharp = (np.nan_to_num(x[:, 0]) > 20).astype(int)
    fitted = xgboost.XGBClassifier(
        n_estimators=60, max_depth=9, min_child_weight=0, reg_lambda=0.0, learning_rate=1.0, n_jobs=1
    ).fit(x, sharp)
    model = convert_model(fitted, x)
    theirs = fitted.get_booster().predict(xgboost.DMatrix(x[:50]), pred_contribs=True)
    ours = np.stack([model.contributions(block).values for block in x[:50]])
    np.testing.assert_allclose(ours, theirs[:, :-1], atol=1e-5)


def test_early_stopping_and_weights() -> None:
    x, y = data(21, 600)
    fitted = xgboost.XGBClassifier(
        n_estimators=200, max_depth=5, early_stopping_rounds=3, scale_pos_weight=3, base_score=0.2, n_jobs=1
    )
    fitted.fit(x[:400], y[:400], eval_set=[(x[400:], y[400:])], verbose=False)
    model = convert_model(fitted, x)
    assert isinstance(model.core, Trees)
    assert len(model.core.roots) < 200
    assert worst(model, fitted, x) < 1e-6
    weighted = RandomForestClassifier(5, class_weight="balanced", random_state=0).fit(x, y)
    assert worst(convert_model(weighted, x), weighted, x) < 1e-6


def test_what_the_device_cannot_do_is_one_line() -> None:
    x, y = data(1)
    full = np.nan_to_num(x)
    cases = [
        (GradientBoostingClassifier(n_estimators=2).fit(full, y), "GradientBoostingClassifier cannot"),
        (make_pipeline(KNNImputer(), LogisticRegression()).fit(x, y), "KNNImputer in the pipeline"),
        (CalibratedClassifierCV(LogisticRegression(max_iter=2000), cv=2).fit(full, y), "2 members"),
        (RandomForestClassifier(2).fit(full, y + 1), r"classes \[1, 2\]"),
        (make_pipeline(FunctionTransformer(np.cbrt), LogisticRegression()).fit(full, y), "FunctionTransformer"),
        (AdaBoostClassifier(LogisticRegression(), n_estimators=2).fit(full, y), "something else"),
        (xgboost.XGBClassifier(booster="gblinear", n_estimators=2).fit(full, y), "gblinear"),
        (xgboost.XGBClassifier(objective="binary:logitraw", n_estimators=2).fit(full, y), "logitraw"),
    ]
    for fitted, said in cases:
        with pytest.raises(ConversionError, match=said):
            convert_model(fitted, x)


def test_a_pipeline_that_answers_otherwise_is_refused() -> None:
    x, y = data(2)
    fitted = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=2000)).fit(x, y)

    class Shifted:
        steps = fitted.steps

        def predict_proba(self, blocks: Floats) -> Floats:
            return np.asarray(fitted.predict_proba(blocks)) + 2e-6

    Shifted.__name__ = "Pipeline"
    arguments: dict[str, Any] = {
        "columns": COLUMNS, "scenario": SCENARIO, "blocks": x, "labels": y, "threshold": 0.4,
        "costs": Costs(3, 2), "simulated": True,
    }  # fmt: skip
    with pytest.raises(ParityError, match="answers differently"):
        convert(Shifted(), **arguments)
    bundle = convert(fitted, **arguments)
    np.testing.assert_allclose(
        bundle.model.probabilities(bundle.golden.values), bundle.golden.expected, atol=bundle.golden.tolerance
    )
    assert bundle.training.most_missing == int(np.quantile(np.isnan(x).sum(axis=1), 0.995))
    assert bundle.training.ore_share == y.mean()
