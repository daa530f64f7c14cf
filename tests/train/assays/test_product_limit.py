"""Kaplan-Meier and Turnbull: SciPy's estimate, the likelihood's conditions, and figures by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from stibium.train.assays.censored import ABOVE, BELOW, PLAIN, Observations
from stibium.train.assays.product_limit import Distribution, product_limit
from stibium.train.assays.values import Assay
from stibium.train.errors import TrainingDataError

# Few different values, so that bounds and values often meet.
VALUE = st.integers(1, 12).map(float)


def observations(cases: list[tuple[float, int]]) -> Observations:
    value, side = zip(*cases, strict=True)
    return Observations(np.array(value, dtype=np.float64), np.array(side, dtype=np.int8))


def share_up_to(found: Distribution, value: float) -> float:
    return float(found.mass[found.high <= value].sum())


@given(st.lists(st.tuples(VALUE, st.sampled_from([PLAIN, PLAIN, ABOVE])), min_size=1, max_size=40))
def test_bounds_above_give_scipys_kaplan_meier(cases: list[tuple[float, int]]) -> None:
    observed = observations(cases)
    data = stats.CensoredData.right_censored(observed.value, observed.side == ABOVE)
    expected = stats.ecdf(data).cdf
    found = product_limit(observed)
    for value in np.unique(observed.value):
        assert share_up_to(found, value) == pytest.approx(float(expected.evaluate(value)), abs=1e-6)


@given(st.lists(st.tuples(VALUE, st.sampled_from([PLAIN, PLAIN, BELOW])), min_size=1, max_size=40))
def test_bounds_below_give_kaplan_meier_turned_round(cases: list[tuple[float, int]]) -> None:
    observed = observations(cases)
    data = stats.CensoredData.right_censored(-observed.value, observed.side == BELOW)
    expected = stats.ecdf(data).cdf
    found = product_limit(observed, floor=0.0)
    for value in np.unique(observed.value):
        over = float(found.mass[found.low >= value].sum())
        assert over == pytest.approx(float(expected.evaluate(-value)), abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(VALUE, st.sampled_from([PLAIN, PLAIN, ABOVE, BELOW])), min_size=1, max_size=40))
def test_no_distribution_is_likelier(cases: list[tuple[float, int]]) -> None:
    observed = observations(cases)
    found = product_limit(observed, floor=0.0)
    assert found.mass.sum() == pytest.approx(1)
    assert (np.diff(found.low) >= 0).all()
    known = found.low == found.high
    rows = []
    for value, side in cases:
        if side == PLAIN:
            rows.append(known & (found.low == value))
        elif side == BELOW:
            rows.append(np.where(known, found.low < value, found.high <= value))
        else:
            rows.append(np.where(known, found.low > value, found.low >= value))
    inside = np.array(rows)
    slope = (inside / (inside @ found.mass)[:, None]).sum(axis=0)
    # Kuhn-Tucker: the slope of the log-likelihood is n where there is mass, and nowhere more (Gentleman & Geyer 1994).
    assert (slope <= len(cases) * 1.01).all()
    assert slope[found.mass > 1e-3] == pytest.approx(len(cases), rel=1e-2)


def test_nothing_censored_is_the_share_of_values() -> None:
    found = product_limit(observations([(3.0, PLAIN), (1.0, PLAIN), (3.0, PLAIN), (2.0, PLAIN)]))
    assert found.low.tolist() == found.high.tolist() == [1, 2, 3]
    assert found.mass == pytest.approx([0.25, 0.25, 0.5])
    assert found.mean() == pytest.approx((2.25, 2.25))
    assert [found.quantile(p).value for p in (0.25, 0.26, 0.5, 0.51, 1.0)] == [1, 2, 2, 3, 3]


def test_quantiles_on_open_stretches_are_bounds() -> None:
    cases = [(0.5, BELOW)] * 3 + [(2.0, PLAIN)] * 4 + [(4000.0, ABOVE)] * 3
    found = product_limit(observations(cases), floor=0.0)
    assert found.quantile(0.25) == Assay(0.5, "<")
    assert found.quantile(0.5) == Assay(2.0)
    assert found.quantile(0.75) == Assay(4000.0, ">")
    assert found.mean() == pytest.approx((0 + 0.8 + 1200, math.inf))


def test_a_bound_below_known_values_takes_its_share_from_those_under_it() -> None:
    # Of <3 and the values 1, 2, 4 the bound's quarter goes to 1 and 2 alike.
    found = product_limit(observations([(1.0, PLAIN), (2.0, PLAIN), (3.0, BELOW), (4.0, PLAIN)]), floor=0.0)
    assert found.mass == pytest.approx([0.375, 0.375, 0.25], abs=1e-8)


def test_a_bound_at_a_known_value_keeps_to_its_side() -> None:
    found = product_limit(observations([(5.0, BELOW), (5.0, PLAIN), (5.0, ABOVE), (9.0, PLAIN)]), floor=0.0)
    assert found.low.tolist() == [0, 5, 9]
    assert found.high.tolist() == [5, 5, 9]
    assert found.mass == pytest.approx([0.25, 0.25, 0.5])


def test_nothing_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="no values"):
        product_limit(Observations(np.empty(0), np.empty(0, dtype=np.int8)))
    with pytest.raises(ValueError, match="impossible"):
        product_limit(observations([(0.0, BELOW)]), floor=0.0)
