"""Precision of duplicates: known figures, and laws that hold for any pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.train.assays.duplicates import pair_statistics, relative_difference_pct

GRADE = st.floats(1e-3, 1e5)
PAIRS = st.lists(st.tuples(GRADE, GRADE), min_size=1, max_size=40)


def test_a_pair_by_hand() -> None:
    # 90 and 110: mean 100, difference 20, standard deviation of the two 14.142.
    found = pair_statistics([90.0], [110.0], 10.0)
    assert found.rpd_mean_pct == pytest.approx(20)
    assert found.cv_pct == pytest.approx(100 * np.std([90, 110], ddof=1) / 100)
    assert found.hard_share == 1
    assert pair_statistics([90.0], [110.0], 9.9).hard_share == 0
    assert found.bias_pct == pytest.approx(20)


@given(PAIRS)
def test_cv_is_the_root_mean_square_of_the_pairs_own(pairs: list[tuple[float, float]]) -> None:
    first, second = np.array(pairs).T
    own = np.array([np.std(pair, ddof=1) / np.mean(pair) for pair in pairs])
    found = pair_statistics(first, second, 10.0)
    assert found.cv_pct == pytest.approx(100 * np.sqrt(np.mean(own**2)), rel=1e-9, abs=1e-9)
    assert found.cv_upper_pct >= found.cv_pct
    assert found.rpd_median_pct <= found.rpd_max_pct <= 200
    assert abs(found.bias_pct) <= found.rpd_mean_pct * (1 + 1e-12)


@given(PAIRS, st.floats(1e-3, 1e3))
def test_unit_does_not_matter_and_order_turns_only_the_bias(pairs: list[tuple[float, float]], factor: float) -> None:
    first, second = np.array(pairs).T
    found, turned = pair_statistics(first, second, 10.0), pair_statistics(second * factor, first * factor, 10.0)
    assert turned.cv_pct == pytest.approx(found.cv_pct, rel=1e-9, abs=1e-9)
    assert turned.rpd_median_pct == pytest.approx(found.rpd_median_pct, rel=1e-9, abs=1e-9)
    assert turned.bias_pct == pytest.approx(-found.bias_pct, rel=1e-9, abs=1e-9)


def test_many_pairs_give_the_precision_they_were_drawn_with() -> None:
    rng = np.random.default_rng(3)
    true = 10 ** rng.uniform(0, 3, 20_000)
    first, second = (true * (1 + 0.07 * rng.standard_normal(true.size)) for _ in range(2))
    found = pair_statistics(first, second, 10.0)
    assert found.cv_pct == pytest.approx(7, rel=0.02)
    assert found.cv_upper_pct == pytest.approx(7, rel=0.03)
    assert found.bias_pct == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_upper_bound_holds_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(n)
    held = []
    for _ in range(2000):
        first, second = (100 * (1 + 0.02 * rng.standard_normal(n)) for _ in range(2))
        held.append(pair_statistics(first, second, 10.0).cv_upper_pct >= 2)
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("pair", [(0.0, 0.0), (-1.0, 2.0), (np.nan, 1.0), (1.0, np.inf)])
def test_pairs_without_a_mean_are_refused(pair: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="pairs must be"):
        relative_difference_pct([pair[0]], [pair[1]])


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        pair_statistics([], [], 10.0)
