from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from stibium.train.crossval.folds import (
    Folds,
    grid_cells,
    hold_out,
    inner_folds,
    paper_split,
    repeated_folds,
    split_names,
)
from stibium.train.errors import TrainingDataError

labels = st.lists(st.integers(0, 12), min_size=2, max_size=60)


def as_lists(folds: Folds) -> list[list[list[int]]]:
    return [[fold.test.tolist() for fold in repeat] for repeat in folds.repeats]


def check(folds: Folds, keys: list[object], everything: bool = True) -> None:
    for repeat in folds.repeats:
        tested = np.concatenate([fold.test for fold in repeat])
        assert len(tested) == len(set(tested.tolist()))
        if everything:
            assert sorted(tested) == list(range(len(keys)))
        for fold in repeat:
            assert fold.training.size
            assert fold.test.size
            assert sorted([*fold.training, *fold.test]) == list(range(len(keys)))
            assert not {keys[i] for i in fold.training} & {keys[i] for i in fold.test}


@given(labels, st.integers(2, 6), st.integers(1, 3), st.integers(0, 9))
def test_every_row_is_tested_once_a_repeat_and_no_sample_is_on_both_sides(
    samples: list[int], n_folds: int, repeats: int, seed: int
) -> None:
    if len(set(samples)) < n_folds:
        with pytest.raises(TrainingDataError):
            repeated_folds(samples, n_folds=n_folds)
        return
    folds = repeated_folds(samples, n_folds=n_folds, repeats=repeats, seed=seed)
    check(folds, list(samples))
    assert folds.count == n_folds * repeats
    assert as_lists(folds) == as_lists(repeated_folds(samples, n_folds=n_folds, repeats=repeats, seed=seed))


@given(labels, st.integers(2, 4), st.integers(0, 9))
def test_no_group_is_on_both_sides(groups: list[int], n_folds: int, seed: int) -> None:
    if len(set(groups)) < n_folds:
        return
    samples = [f"S{i // 2}-{g}" for i, g in enumerate(groups)]
    folds = repeated_folds(samples, groups, n_folds=n_folds, repeats=2, seed=seed)
    check(folds, list(groups))
    check(folds, list(samples))
    assert folds.keys == tuple(groups)


@given(st.integers(2, 80), st.integers(2, 8))
def test_folds_of_equal_samples_differ_by_one_row_at_most(n: int, n_folds: int) -> None:
    if n < n_folds:
        return
    sizes = [fold.test.size for fold in repeated_folds(range(n), n_folds=n_folds, repeats=1).repeats[0]]
    assert max(sizes) - min(sizes) <= 1


def test_repeats_and_seeds_draw_anew() -> None:
    first = as_lists(repeated_folds(range(40), seed=1))
    assert len({str(repeat) for repeat in first}) == 5
    assert first != as_lists(repeated_folds(range(40), seed=2))


@given(labels, st.integers(2, 7), st.integers(0, 5))
def test_inner_folds_keep_groups_together_and_make_do_with_few(groups: list[int], n_folds: int, seed: int) -> None:
    found = len(set(groups))
    if found < 2:
        with pytest.raises(TrainingDataError, match="two groups"):
            inner_folds(len(groups), groups, n_folds=n_folds, seed=seed)
        return
    repeats = inner_folds(len(groups), groups, n_folds=n_folds, repeats=2, seed=seed)
    assert [len(repeat) for repeat in repeats] == [min(n_folds, found)] * 2
    check(Folds("", repeats, len(groups), tuple(groups), seed), list(groups))


@settings(max_examples=30)
@given(st.integers(3, 120), st.integers(0, 50))
def test_paper_split_is_that_of_scikit_learn_and_of_training(n: int, seed: int) -> None:
    names = [f"RS{i:03}" for i in range(n)]
    fold = paper_split(names, (seed,)).repeats[0][0]
    _, left_out = train_test_split(np.arange(n), test_size=1 / 3, random_state=seed)
    assert fold.test.tolist() == sorted(left_out)
    training, validation = split_names(names, seed=seed)
    assert [names[i] for i in fold.training] == training
    assert [names[i] for i in fold.test] == validation


def test_paper_split_keeps_measurements_of_a_sample_together() -> None:
    samples = [f"RS{i // 3}" for i in range(30)]
    folds = paper_split(samples, (42, 43))
    check(folds, list(samples), everything=False)
    assert len(folds.repeats) == 2
    assert "random_state 42, 43" in folds.description


def test_a_site_is_held_out() -> None:
    groups = ["Ribeiro da Serra"] * 5 + ["Tapada"] * 4
    folds = hold_out(groups, "Tapada")
    ((fold,),) = folds.repeats
    assert (fold.training.tolist(), fold.test.tolist()) == (list(range(5)), list(range(5, 9)))
    assert folds.description == "Tapada predicted from Ribeiro da Serra"


def test_grid_cells_are_squares_on_the_ground() -> None:
    # 50 m are 0.00045 degrees of latitude, and at 60 degrees north twice as many of longitude.
    step = 50 / 111_195
    latitude = 60 + step * np.array([0.1, 0.9, 1.1, 0.1, 0.1])
    longitude = 8 + 2 * step * np.array([0.1, 0.9, 0.1, 1.2, 2.2])
    assert grid_cells(latitude, longitude, 50) == ("cell 0,0", "cell 0,0", "cell 0,1", "cell 1,0", "cell 2,0")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: repeated_folds(["a", "b", "c"]), "3 samples for 5 folds; use at most 3 folds"),
        (lambda: repeated_folds(["a"] * 9), "all 9 rows belong to one sample, a"),
        (lambda: repeated_folds(range(9), ["x"] * 9), "all 9 rows belong to one group, x"),
        (lambda: repeated_folds(range(9), [*"xyz" * 3]), "3 groups for 5 folds"),
        (lambda: repeated_folds(["a", "a", "b"], ["x", "y", "y"], n_folds=2), "sample a is in two groups, x and y"),
        (lambda: repeated_folds([]), "there are no samples"),
        (
            lambda: hold_out(["x", "y"], "Tapada"),
            "no sample belongs to Tapada, which is to be held out; there are x, y",
        ),
        (lambda: hold_out(["x", "x"], "x"), "every sample belongs to x"),
        (lambda: paper_split(["a", "b"]), "2 samples cannot be split"),
        (lambda: grid_cells([41.0, np.nan], [-8.0, -8.0], 50), "1 of 2 samples have no position"),
        (lambda: grid_cells([41.0], [-8.0], 0), "a grid cell of 0 m is none"),
    ],
)
def test_what_cannot_be_split_is_said_in_one_line(make: object, line: str) -> None:
    with pytest.raises(TrainingDataError) as caught:
        make()  # type: ignore[operator]
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_misuse_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 folds"):
        repeated_folds(range(9), n_folds=1)
    with pytest.raises(ValueError, match="2 groups for 3 rows"):
        repeated_folds(range(3), ["x", "y"])
    with pytest.raises(ValueError, match="2 groups for 3 rows"):
        inner_folds(3, ["x", "y"])
