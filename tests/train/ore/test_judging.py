"""Splits, scores, calibration, thresholds: against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from stibium.edge.ore.bundle import Costs, Worth
from stibium.train.errors import TrainingDataError
from stibium.train.ore.calibration import (
    along,
    calibration_error,
    chance_error,
    choose_calibration,
    fit_calibration,
    with_band,
)
from stibium.train.ore.models import MODELS
from stibium.train.ore.scores import bootstrap, confusion, precision_recall_curve, roc_curve, score, spread
from stibium.train.ore.search import choose_and_fit
from stibium.train.ore.splits import draw_split, folds, some_rows
from stibium.train.ore.threshold import choose_threshold, cost_curve, mean_cost, stated_threshold, worth_of


def deposit(seed=0, holes=40, size=25):
    chance = np.random.default_rng(seed)
    groups = np.repeat(np.arange(holes), size)
    level = np.repeat(chance.standard_normal(holes), size)
    return (level + 0.5 * chance.standard_normal(len(groups))) > 0, groups


def test_holes_are_on_one_side() -> None:
    ore, groups = deposit()
    split = draw_split(ore, groups, 400, 200, seed=3)
    assert not set(groups[split.training]) & set(groups[split.test])
    assert (len(split.training), len(split.test)) == (400, 200)


def test_a_small_table_tests_a_fifth():
    ore, groups = deposit(holes=10, size=10)
    split = draw_split(ore, groups, 6730, 6730, seed=0)
    assert (len(split.training), len(split.test)) == (80, 20)


def test_without_holes_rows_are_drawn_one_by_one():
    ore, _ = deposit()
    split = draw_split(ore, None, 300, 100, seed=1)
    assert not set(split.training) & set(split.test)


def test_test_holes_without_any_ore_are_drawn_again():
    groups = np.repeat(np.arange(10), 10)
    ore = groups >= 8
    for seed in range(5):
        split = draw_split(ore, groups, 6730, 6730, seed)
        assert ore[split.test].any()
        assert ore[split.training].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_folds_leave_out_every_row_once_and_no_hole_twice(seed, parts):
    ore, groups = deposit(seed)
    out = folds(ore, groups, parts, seed)
    assert sorted(np.concatenate([left for _, left in out])) == list(range(len(ore)))
    for training, left_out in out:
        assert not set(groups[training]) & set(groups[left_out])


def test_part_of_the_rows_is_whole_holes():
    _, groups = deposit()
    rows = some_rows(groups, 0.25, 0)
    assert len(rows) == 250
    assert set(np.bincount(groups[rows]).tolist()) == {0, 25}


@pytest.mark.parametrize(
    ("ore", "groups", "parts", "words"),
    [
        (np.array([1, 0, 0, 0, 0, 0], bool), np.arange(6), 2, "1 blocks of the rarer class"),
        (np.array([1, 0] * 6, bool), np.repeat([0, 1], 6), 3, "too few holes or faces .2. for 3 folds; ask for fewer"),
        (np.repeat([True, False], 6), np.repeat([0, 1], 6), 2, "cannot be divided"),
    ],
)
def test_what_cannot_be_divided_is_said(ore, groups, parts, words):
    with pytest.raises(TrainingDataError, match=words):
        folds(ore, groups, parts, 0)


probabilities = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=4, max_size=60).filter(
    lambda rows: 0 < sum(ore for _, ore in rows) < len(rows)
)


@settings(deadline=None)
@given(probabilities)
def test_scores_are_scikit_learns(rows):
    p, ore = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    found = score(p, ore)
    called = p >= 0.5
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(ore, called))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(ore, p))
    assert found["recall"] == pytest.approx(metrics.recall_score(ore, called))
    if called.any():
        assert found["precision"] == pytest.approx(metrics.precision_score(ore, called))
    lost, hauled, kept, left = confusion(p, ore)
    assert [[left, hauled], [lost, kept]] == metrics.confusion_matrix(ore, called).tolist()
    x, y = roc_curve(p, ore)
    assert metrics.auc(x, y) == pytest.approx(found["auc"])
    recall, precision = precision_recall_curve(p, ore)
    assert float(np.sum(np.diff(np.append(0, recall)) * precision)) == pytest.approx(
        metrics.average_precision_score(ore, p)
    )


def test_calibration_error_by_hand():
    p, ore = np.array([0.05, 0.05, 0.95, 0.95]), np.array([False, True, True, True])
    assert calibration_error(p, ore) == pytest.approx((2 * 0.45 + 2 * 0.05) / 4)


KINDS = ["platt", "beta", "isotonic", "venn-abers"]


def test_a_curve_helps_where_help_is_needed_and_does_no_harm_else():
    chance = np.random.default_rng(1)
    truth = chance.random(4000)
    ore = chance.random(4000) < truth
    parts = np.array_split(chance.permutation(4000), 3)
    kind, honest, losses = choose_calibration(truth, ore, parts)
    assert kind == "platt"
    assert set(losses) == set(KINDS)
    assert np.abs(along(honest, truth) - truth).max() < 0.1
    # A model that is right in order and timid in size, as AdaBoost is.
    timid = 0.5 + 0.1 * (truth - 0.5)
    _, curve, _ = choose_calibration(timid, ore, parts)
    assert calibration_error(along(curve, timid), ore) < 0.03 < calibration_error(timid, ore)


def test_of_curves_that_hardly_differ_the_simplest_is_taken():
    chance = np.random.default_rng(4)
    plain = 1 / (1 + np.exp(-chance.normal(0, 1, 300)))
    ore = chance.random(300) < plain
    holes = np.repeat(np.arange(10), 30)
    parts = [np.flatnonzero(holes % 3 == k) for k in range(3)]
    assert choose_calibration(plain, ore, parts, holes)[0] == "platt"


@pytest.mark.parametrize("kind", ["platt", "beta"])
def test_few_rows_hardly_bend_a_curve_and_many_do(kind):
    apart = []
    for rows in (30, 30_000):
        chance = np.random.default_rng(8)
        plain = chance.uniform(0.02, 0.4, rows)
        truth = plain**2
        curve = fit_calibration(kind, plain, chance.random(rows) < truth)
        apart.append(float(np.abs(along(curve, plain) - truth).mean()))
    assert apart[1] < 0.02
    assert apart[0] > 2 * apart[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_curve_never_turns_the_order_round(kind):
    p = np.linspace(0, 1, 50)
    curve = fit_calibration(kind, p, p < 0.4)
    assert np.all(np.diff(along(curve, p)) >= 0)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 10_000), st.integers(4, 60))
def test_no_probability_is_certain(kind, seed, rows):
    """Whatever a model says, also where it tells all blocks apart, or all the same."""
    chance = np.random.default_rng(seed)
    ore = np.arange(rows) % 3 == 0
    for plain in (chance.random(rows), ore.astype(float), np.full(rows, 0.3)):
        curve = fit_calibration(kind, plain, ore)
        stated = along(curve, np.array([0.0, *plain, 1.0]))
        assert stated.min() > 0
        assert stated.max() < 1


def test_venn_abers_is_between_its_two_ends():
    """By hand: for one value among n the two isotonic fits with one more row are (k, k + 1) of n + 1."""
    plain, ore = np.full(9, 0.5), np.arange(9) < 3
    p0, p1 = 3 / 10, 4 / 10
    assert along(fit_calibration("venn-abers", plain, ore), np.array([0.5]))[0] == pytest.approx(p1 / (1 - p0 + p1))


def test_the_interval_of_a_probability_holds_it_and_narrows_with_more_holes():
    chance = np.random.default_rng(5)
    widths = []
    for holes in (8, 80):
        groups = np.repeat(np.arange(holes), 25)
        plain = chance.random(len(groups))
        shift = chance.normal(0, 0.8, holes)[groups]
        ore = chance.random(len(groups)) < 1 / (1 + np.exp(-(6 * (plain - 0.5) + shift)))
        curve = with_band("beta", fit_calibration("beta", plain, ore), plain, ore, groups, seed=0)
        low, high = curve.band.ends(plain)
        assert np.all((low <= curve.apply(plain) + 1e-3) & (curve.apply(plain) <= high + 1e-3))
        widths.append(float(np.mean(high - low)))
    assert widths[1] < 0.6 * widths[0]


def test_chance_error_is_that_of_true_probabilities():
    chance = np.random.default_rng(6)
    groups = np.repeat(np.arange(40), 25)
    p = chance.beta(1, 4, len(groups))
    true = [calibration_error(p, chance.random(len(p)) < p) for _ in range(200)]
    assert chance_error(p, groups, seed=1) == pytest.approx(np.mean(true), rel=0.15)
    assert calibration_error(np.sqrt(p), chance.random(len(p)) < p) > 3 * chance_error(p, groups, seed=1)


@pytest.mark.parametrize("model", ["logistic", "tree"])
def test_left_out_holes_of_small_and_uneven_tables_are_calibrated(model):
    """Ten holes, 7 % ore: the mean calibration error over tables is at most 1.5 times that of true probabilities."""
    ratios = []
    for seed in range(5):
        chance = np.random.default_rng(seed)
        groups = np.repeat(np.arange(10), 60)
        latent = chance.standard_normal((600, 3)) + 0.5 * chance.standard_normal((10, 3))[groups]
        chances = 1 / (1 + np.exp(-(latent @ [1.6, 0.8, 0.0] - 4.2)))
        ore = chance.random(600) < chances
        errors, by_chance = [], []
        for training, left_out in folds(ore, groups, 5, seed):
            rows = np.exp(latent[training]), ore[training], groups[training]
            chosen = choose_and_fit(MODELS[model], *rows, seed, fast=True)
            p = chosen.model.probability(np.exp(latent[left_out]))
            errors.append(calibration_error(p, ore[left_out]))
            by_chance.append(chance_error(p, groups[left_out], seed, draws=50))
        ratios.append(np.mean(errors) / np.mean(by_chance))
    assert np.mean(ratios) <= 1.5


def test_the_threshold_is_the_cheapest_and_near_what_costs_say():
    chance = np.random.default_rng(2)
    p = chance.random(20_000)
    ore = chance.random(20_000) < p
    costs = Costs(lost_ore=4.0, hauled_gangue=1.0)
    found = choose_threshold(p, ore, costs)
    assert stated_threshold(costs) == pytest.approx(0.2)
    assert found.value == pytest.approx(0.2, abs=0.06)
    assert found.cost == min(mean_cost(p, ore, costs, t) for t in np.arange(201) / 200)
    assert found.cost < found.cost_at_half
    assert found.cost <= min(found.cost_all_ore, found.cost_all_gangue)
    assert found.cost_all_gangue == pytest.approx(4 * ore.mean())


def test_thresholds_include_hauling_all_and_hauling_none():
    chance = np.random.default_rng(3)
    ore = chance.random(2000) < 0.3
    guess = np.clip(chance.normal(0.3, 0.05, 2000), 0.01, 0.99)
    cheap_loss, dear_loss = Costs(1.0, 20.0), Costs(50.0, 1.0)
    none, every = choose_threshold(guess, ore, cheap_loss), choose_threshold(guess, ore, dear_loss)
    assert none.cost == pytest.approx(none.cost_all_gangue)
    assert every.cost == pytest.approx(every.cost_all_ore)
    sure = np.where(ore, 0.9, 0.1)
    assert worth_of(sure, ore, choose_threshold(sure, ore, dear_loss).value, dear_loss, 0.0, 0.0).nothing == ""
    for threshold, costs, words in (
        (none, cheap_loss, "hauling nothing costs"),
        (every, dear_loss, "hauling everything costs"),
    ):
        said = worth_of(guess, ore, threshold.value, costs, 0.0, 0.0).nothing
        assert said.startswith("worth nothing at these costs: ")
        assert words in said


def test_calling_nothing_gangue_is_worth_nothing():
    assert "calls nothing gangue" in Worth(0.5, 0.6, 0.7, 10, 0, 0.0, 0.0).nothing
    assert "calls nothing ore" in Worth(0.5, 0.6, 0.7, 0, 10, 0.0, 0.0).nothing


def test_a_cost_curve_is_below_one_where_a_model_saves():
    chance = np.random.default_rng(7)
    p = chance.random(5000)
    ore = chance.random(5000) < p
    curve = cost_curve(p, ore)
    assert curve[40] == pytest.approx(mean_cost(p, ore, Costs(1.0, 1.0), 0.5) / min(ore.mean(), 1 - ore.mean()))
    assert curve.max() < 1.05
    assert cost_curve(1 - p, ore)[40] > 1.3


def test_spread_and_bootstrap_vary_by_hole():
    ore, groups = deposit(size=50)
    p = np.clip(ore * 0.6 + 0.2, 0, 1)
    wide = bootstrap(p, ore, groups, seed=0)["recall"]
    assert wide.mean == pytest.approx(1.0)
    chance = np.random.default_rng(0)
    noisy = np.clip(p + np.repeat(chance.normal(0, 0.6, 40), 50), 0, 1)
    by_hole = bootstrap(noisy, ore, groups, seed=0)["accuracy"].sd
    by_row = bootstrap(noisy, ore, np.arange(len(ore)), seed=0)["accuracy"].sd
    assert by_hole > 1.5 * by_row
    two = spread([{**score(p, ore), "auc": 0.5}, {**score(p, ore), "auc": float("nan")}])["auc"]
    assert two.mean == 0.5
    assert np.isnan(two.sd)


@pytest.mark.parametrize("kind", ["isotonic", "venn-abers"])
def test_sums_that_differ_in_their_last_digit_are_no_step(kind):
    """A boosted model's sum is made in one order by the library, in another on the device."""
    chance = np.random.default_rng(0)
    stated = chance.choice([0.1, 0.3, 0.55, 0.8], 400)
    twin = stated + 2e-15
    either = np.where(chance.random(400) < 0.5, stated, twin)
    curve = fit_calibration(kind, either, chance.random(400) < stated)
    assert np.abs(curve.apply(stated) - curve.apply(twin)).max() < 1e-9
