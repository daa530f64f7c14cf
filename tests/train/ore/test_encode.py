"""Skewed assays and words without an order: what models make of them, and that the device makes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import PowerTransformer
from stibium.converters.models.ore import convert
from stibium.edge.cli import stibium
from stibium.edge.ore.bundle import Costs, OreBundle, pack_ore_bundle, unpack_ore_bundle
from stibium.edge.ore.columns import Columns, Variable
from stibium.edge.ore.scenarios import Scenario
from stibium.edge.ore.steps import apply_steps, mean_below, origins, power
from stibium.train.ore.encode import Encode, lognormal_of
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


def test_at_the_face_a_word_without_an_order_is_a_class(tmp_path: Path) -> None:
    """It is logged by eye: `--class` takes it, and it is asked for before assays."""
    _, bundle = fitted("logistic")
    path = tmp_path / "mine.ore"
    path.write_bytes(pack_ore_bundle(bundle))
    face = ["ore", "predict", "--at-face", "--sample", "F1", "--model", str(path), "--log", str(tmp_path / "calls.db")]
    given = ["--class", "rock=Vein", "--class", "alteration=2", "--assay", "Au=1", "--assay", "As=1", "--no-ask"]
    done = CliRunner().invoke(stibium, [*face, *given], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "rock vein" in done.stdout
    asked = CliRunner().invoke(stibium, face, input="?\nvein\n2\n1\n1\n", catch_exceptions=False)
    assert asked.exit_code == 0, asked.output
    questions = [line.removeprefix("> ") for line in asked.stderr.splitlines() if "/4" in line]
    assert questions == ["1/4 rock", "2/4 alteration", "3/4 Au ppm", "4/4 As ppm"]
    order = asked.stderr.split("2/4")[0]
    assert "A word or its number. Enter" in order, "a rock has no lowest word"


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


ASSAY = (Variable("Sb", "Sb", "assay", "ppm"), Variable("As", "As", "assay", "ppm"))


def below_limits(seed: int, rows: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Antimony of two laboratories, whose limits lie a decade apart; ore is mostly what either did not detect."""
    chance = np.random.default_rng(seed)
    x = np.exp(chance.normal(1.0, 1.2, (rows, 2)))
    limit = np.where(chance.random(rows) < 0.5, 0.4, 6.0)
    ore = (x[:, 0] < limit) ^ (chance.random(rows) < 0.1)
    x[:, 0] = np.where(x[:, 0] < limit, -limit, x[:, 0])
    return x, ore


def test_the_mean_below_a_limit_is_that_of_the_lognormal_of_all_values() -> None:
    chance = np.random.default_rng(3)
    true = np.exp(chance.normal(0.5, 0.8, 20_000))
    limit = np.where(np.arange(20_000) % 2, 1.0, 2.0)
    column = np.where(true < limit, -limit, true)
    mean, spread = lognormal_of(column)
    assert (mean, spread) == (pytest.approx(0.5, abs=0.03), pytest.approx(0.8, abs=0.03))
    for one in (1.0, 2.0):
        below = np.exp(np.log(true[true < one]).mean())
        assert mean_below(np.array([one]), mean, spread)[0] == pytest.approx(below, rel=0.03)
    # However far below all values a limit lies, what is below it is above 0 and not above it.
    for one in (1e-9, 1e-3, 1e6):
        assert 0 < mean_below(np.array([one]), mean, spread)[0] <= one


@pytest.mark.parametrize("column", [[-1.0, -2.0, np.nan], [-1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]])
def test_too_little_to_fit_takes_half_the_limit(column: list[float]) -> None:
    assert lognormal_of(np.array(column)) == (0.0, 0.0)
    found = Encode(ASSAY[:1], below="impute").fit(np.array(column)[:, None]).transform(np.array([[-3.0], [5.0]]))
    assert found[:, 0].tolist() == [1.5, 5.0]


@pytest.mark.parametrize("below", ["half", "mark", "impute"])
@pytest.mark.parametrize("curve", ["none", "log10", "yeo-johnson"])
def test_limits_are_taken_on_the_device_as_in_training(below: str, curve: str) -> None:
    x, ore = below_limits(0, 400)
    pipeline = MODELS["logistic"].pipeline({"C": 1.0, "curve": curve, "below": below}, 0, ASSAY).fit(x, ore)
    columns = Columns(ASSAY)
    bundle = convert(
        pipeline, columns=columns, scenario=Scenario("s", ("Sb", "As")), blocks=x, labels=ore, threshold=0.5,
        costs=Costs(1, 1), simulated=True,
    )  # fmt: skip
    assert bundle.model.below == below
    assert bundle.training.lowest[0] == 0.2
    values, bounds = np.abs(x), (x < 0) * np.int8(-1)
    np.testing.assert_array_equal(bundle.model.inputs(values, bounds), x)
    inputs = bundle.model.inputs(values, bounds)
    assert bundle.model.probabilities(inputs) == pytest.approx(pipeline.predict_proba(x)[:, 1], abs=1e-9)
    # A mark's part is its variable's, as that of a missing value is.
    told = bundle.model.contributions(inputs[0])
    assert told.base + told.values.sum() == pytest.approx(float(bundle.model.sums(inputs[:1])[0]), abs=1e-9)
    assert told.values.shape == (2,)


def test_what_stands_for_a_value_below_a_limit_is_chosen_in_the_folds_or_given() -> None:
    x, ore = below_limits(1)
    groups = np.repeat(np.arange(30), 50)
    chosen = choose_and_fit(MODELS["logistic"], x, ore, groups, 0, fast=True, variables=ASSAY)
    assert chosen.parameters["below"] == "mark"
    given = choose_and_fit(MODELS["logistic"], x, ore, groups, 0, fast=True, variables=ASSAY, below="impute")
    assert given.parameters["below"] == "impute"
    # Where nothing lies in it, the usual half.
    chance = np.random.default_rng(2)
    few = np.where(x < 0, -0.4, x)
    nothing = choose_and_fit(MODELS["logistic"], few, chance.random(1500) < 0.3, groups, 0, fast=True, variables=ASSAY)
    assert nothing.parameters["below"] == "half"
