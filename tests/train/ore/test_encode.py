"""Skewed assays and words without an order: what models make of them, and that the device makes the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import PowerTransformer
from stibium.converters.models.ore import convert
from stibium.edge.ore.bundle import Costs, OreBundle, pack_ore_bundle, unpack_ore_bundle
from stibium.edge.ore.columns import Columns, Variable
from stibium.edge.ore.scenarios import Scenario
from stibium.edge.ore.steps import apply_steps, origins, power
from stibium.train.ore.encode import Encode
from stibium.train.ore.models import MODELS
from stibium.train.ore.search import Chosen, choose_and_fit

WORDS = ("slate", "quartzite", "dyke", "vein", "breccia")
VARIABLES = (
    Variable("Au", "Au_ppm", "assay", "ppm"),
    Variable("As", "As_ppm", "assay", "ppm"),
    Variable("rock", "rock", "category", words=WORDS),
    Variable("alteration", "alteration", "class", words=("Low", "Medium", "High")),
)
ROWS = 700


def table(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Skewed assays whose logarithms tell ore, and a rock of which only the first and the fourth word are rich."""
    r = np.random.default_rng(seed)
    assays = r.normal(size=(ROWS, 2))
    rock = r.integers(1, 6, ROWS)
    ore = 1.2 * assays.sum(axis=1) + 2.5 * np.isin(rock, (1, 4)) - 1 + r.logistic(size=ROWS) > 0
    values = np.column_stack([np.exp(1.8 * assays), rock, r.integers(1, 4, ROWS)]).astype(float)
    values[r.random(values.shape) < 0.02] = np.nan
    values[5, 0] = 0.0
    return values, ore


def fitted(name: str, variables: tuple[Variable, ...] = VARIABLES) -> tuple[Chosen, OreBundle]:
    values, ore = table(0)
    chosen = choose_and_fit(MODELS[name], values, ore, np.repeat(np.arange(35), 20), 1, True, variables=variables)
    scenario = Scenario("mine", tuple(v.name for v in variables))
    bundle = convert(
        chosen.model, columns=Columns(variables), scenario=scenario, blocks=values, labels=ore, threshold=0.5,
        costs=Costs(1, 1), simulated=True,
    )  # fmt: skip
    return chosen, unpack_ore_bundle(pack_ore_bundle(bundle))


@pytest.mark.parametrize("name", ["logistic", "forest", "xgboost"])
def test_the_device_encodes_as_training_does(name: str) -> None:
    chosen, bundle = fitted(name)
    values, ore = table(1)
    found = bundle.model.probabilities(values)
    np.testing.assert_allclose(found, chosen.model.probability(values), atol=1e-6)
    assert roc_auc_score(ore, found) > 0.8
    # A rock's five columns are one variable's.
    assert set(bundle.model.players.tolist()) == {0, 1, 2, 3}
    told = bundle.model.contributions(values[0])
    assert told.values.shape == (4,)
    assert told.base + told.values.sum() == pytest.approx(float(bundle.model.sums(values[:1])[0]), abs=1e-6)


def test_a_linear_model_chooses_a_curve_for_skewed_assays_inside_the_folds() -> None:
    chosen, bundle = fitted("logistic")
    assert chosen.parameters["curve"] in ("log10", "yeo-johnson")
    values, ore = table(2)
    plain = MODELS["logistic"].pipeline({"C": 1.0, "curve": "none"}, 1, VARIABLES).fit(*table(0))
    better = roc_auc_score(ore, bundle.model.probabilities(values))
    assert better > roc_auc_score(ore, plain.predict_proba(values)[:, 1]) + 0.02


def test_words_without_an_order_are_no_numbers() -> None:
    values, ore = table(2)
    as_codes = tuple(Variable(v.name, v.column, "class", words=v.words) if v.name == "rock" else v for v in VARIABLES)
    _, one_hot = fitted("logistic")
    _, ordered = fitted("logistic", as_codes)
    gained = roc_auc_score(ore, one_hot.model.probabilities(values)) - roc_auc_score(
        ore, ordered.model.probabilities(values)
    )
    assert gained > 0.02


@settings(max_examples=60, deadline=None)
@given(
    values=arrays(np.float64, (30, 1), elements=st.floats(-1e3, 1e5, allow_subnormal=False)),
    exponent=st.floats(-3, 3) | st.sampled_from([0.0, 1.0, 2.0]),
)
def test_yeo_johnson_is_the_librarys(values: np.ndarray, exponent: float) -> None:
    library = PowerTransformer(standardize=False).fit(np.arange(9.0)[:, None])
    library.lambdas_ = np.array([exponent])
    np.testing.assert_allclose(power(values, np.array([exponent])), library.transform(values), rtol=1e-7, atol=1e-9)


def test_what_is_missing_stays_missing_and_steps_that_do_not_fit_are_refused() -> None:
    from stibium.edge.errors import BundleError

    values, _ = table(0)
    for curve in ("none", "log10", "yeo-johnson"):
        steps = Encode(VARIABLES, curve).fit(values).steps_
        found = apply_steps(steps, values)
        assert found.shape == (ROWS, 8)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(values)[:, origins(steps, 4)])
        for step in steps:
            key = next(k for k in step if k != "do")
            with pytest.raises(BundleError, match="cannot be done"):
                origins([{**step, key: list(step[key])[1:]}], 4)
