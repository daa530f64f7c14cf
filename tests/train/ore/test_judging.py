"""Splits, scores, calibration, thresholds: against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from stibium.edge.ore.bundle import Costs
from stibium.train.errors import TrainingDataError
from stibium.train.ore.calibration import along, calibration_error, choose_calibration, fit_calibration
from stibium.train.ore.scores import bootstrap, confusion, precision_recall_curve, roc_curve, score, spread
from stibium.train.ore.splits import draw_split, folds, some_rows
from stibium.train.ore.threshold import choose_threshold, mean_cost, stated_threshold


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
        (np.array([1, 0] * 6, bool), np.repeat([0, 1], 6), 3, "2 holes or faces for 3 folds"),
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


def test_a_curve_is_chosen_only_where_it_helps():
    chance = np.random.default_rng(1)
    truth = chance.random(4000)
    ore = chance.random(4000) < truth
    parts = np.array_split(chance.permutation(4000), 3)
    honest, scores = choose_calibration(truth, ore, parts)
    assert scores["none"] <= min(scores.values()) + 1e-4
    assert np.abs(along(honest, truth) - truth).max() < 0.1
    # A model that is right in order and timid in size, as AdaBoost is.
    timid = 0.5 + 0.1 * (truth - 0.5)
    curve, scores = choose_calibration(timid, ore, parts)
    assert curve is not None
    assert calibration_error(along(curve, timid), ore) < 0.03 < calibration_error(timid, ore)
    assert scores["none"] > scores[curve.kind]


@pytest.mark.parametrize("kind", ["sigmoid", "isotonic"])
def test_a_curve_never_turns_the_order_round(kind):
    p = np.linspace(0, 1, 50)
    curve = fit_calibration(kind, p, p < 0.4)
    assert np.all(np.diff(along(curve, p)) >= 0)


def test_the_threshold_is_the_cheapest_and_near_what_costs_say():
    chance = np.random.default_rng(2)
    p = chance.random(20_000)
    ore = chance.random(20_000) < p
    costs = Costs(lost_ore=4.0, hauled_gangue=1.0)
    found = choose_threshold(p, ore, costs)
    assert stated_threshold(costs) == pytest.approx(0.2)
    assert found.value == pytest.approx(0.2, abs=0.06)
    assert found.cost == min(mean_cost(p, ore, costs, t) for t in np.arange(1, 200) / 200)
    assert found.cost < found.cost_at_half
    assert found.cost <= min(found.cost_all_ore, found.cost_all_gangue)
    assert found.cost_all_gangue == pytest.approx(4 * ore.mean())


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
