from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import mean_squared_error, r2_score
from stibium.train.crossval.metrics import (
    coverage,
    measure,
    most_influential,
    no_better_than_the_mean,
    worse_in_the_unit,
)

values = hnp.arrays(np.float64, st.integers(2, 50), elements=st.floats(1.0, 1e4, width=32))


@given(values, st.integers(0, 1000))
def test_agrees_with_sklearn_and_the_definitions(y: np.ndarray, seed: int) -> None:
    p = y + np.random.default_rng(seed).normal(size=y.size)
    m = measure(p, y)
    assert m.n == y.size
    assert m.rmse == pytest.approx(mean_squared_error(y, p) ** 0.5, rel=1e-12)
    assert m.bias == pytest.approx(np.mean(p) - np.mean(y), abs=1e-9)
    assert m.sep is not None
    assert m.rmse**2 == pytest.approx(m.bias**2 + m.sep**2 * (m.n - 1) / m.n, rel=1e-9, abs=1e-12)
    if np.ptp(y) > 0:
        assert m.r2 == pytest.approx(r2_score(y, p), rel=1e-9)
        assert m.rpd == pytest.approx(np.std(y, ddof=1) / m.rmse)
        q1, q3 = np.percentile(y, [25, 75])
        assert m.rpiq == pytest.approx((q3 - q1) / m.rmse)
    else:
        assert (m.r2, m.rpd, m.rpiq) == (None, None, None)


def test_a_bias_is_not_hidden() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0])
    m = measure(y + 10, y)
    assert (m.bias, m.sep) == (10.0, 0.0)
    assert m.rmse == 10.0
    assert m.rpd == pytest.approx(np.std(y, ddof=1) / 10)
    assert m.r2 == pytest.approx(1 - 400 / 5)


def test_what_the_data_cannot_give_is_none() -> None:
    one = measure([2.0], [1.0])
    assert (one.n, one.rmse, one.bias) == (1, 1.0, 1.0)
    assert (one.r2, one.sep, one.rpd, one.rpiq) == (None, None, None, None)
    perfect = measure([1.0, 2.0], [1.0, 2.0])
    assert (perfect.r2, perfect.rmse, perfect.rpd, perfect.rpiq) == (1.0, 0.0, None, None)


@pytest.mark.parametrize(
    ("p", "y"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [np.inf]), ([[1.0]], [[1.0]])]
)
def test_nothing_to_compare_is_an_error(p: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError):
        measure(p, y)


def test_an_end_that_was_cut_off_at_the_calibrated_range_is_open() -> None:
    """`> 8.65` says that there may be any more; 9 is no miss of it."""
    low, high = [1.0, 8.65, 0.1, 1.0, 0.2], [8.65, 8.65, 2.0, 8.0, 2.0]
    measured = [9.0, 9.0, 0.01, 9.0, 0.01]
    assert coverage(low, high, measured) == 0
    assert coverage(low, high, measured, (0.1, 8.65)) == 0.6


def test_the_sample_that_r2_rests_on_is_named() -> None:
    rng = np.random.default_rng(0)
    measured = np.append(rng.lognormal(5, 0.5, 40), 4059.0)
    predicted = measured * rng.lognormal(0, 0.05, 41)
    predicted[-1] = 400.0
    names = [f"s{i}" for i in range(40)] + ["ipo43"]
    whole, without = measure(predicted, measured).r2, measure(predicted[:-1], measured[:-1]).r2
    assert most_influential(predicted, measured, names) == (
        f"Without ipo43 (4059, estimated 400) R2 would be {without:.2f} instead of {whole:.2f}."
    )
    assert most_influential(predicted[:-1], measured[:-1], names[:-1]) == ""
    assert most_influential([1.0, 2.0], [1.0, 2.0], ["a", "b"]) == ""
    assert most_influential([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], ["a", "b", "c"]) == ""


def test_contents_that_are_no_better_than_the_mean_are_said_though_logarithms_are() -> None:
    measured = np.array([5.0, 10.0, 20.0, 40.0, 4000.0])
    predicted = np.array([6.0, 9.0, 25.0, 3500.0, 300.0])
    plain, log = measure(predicted, measured), measure(np.log10(predicted), np.log10(measured))
    assert plain.r2 is not None
    assert log.r2 is not None
    assert plain.r2 < 0 < log.r2
    said = worse_in_the_unit({"cross-validation": plain, "cross-validation (log10)": log}, "ppm")
    assert said.startswith(f"In ppm this model is no better than the mean of the samples (R2 {plain.r2:.2f} in")
    assert worse_in_the_unit({"training": plain, "training (log10)": log}, "ppm") == ""
    assert worse_in_the_unit({"validation": log, "validation (log10)": log}, "ppm") == ""
    assert worse_in_the_unit({"validation": plain}, "ppm") == ""
    assert no_better_than_the_mean({"cross-validation": plain, "cross-validation (log10)": log}) == ""
    assert "(R2 -" in no_better_than_the_mean({"cross-validation": plain})
    # The other way round: the rich are told, and nothing among the others.
    turned = worse_in_the_unit({"validation": log, "validation (log10)": plain}, "ppm")
    assert turned.startswith(f"It does not tell orders of magnitude (R2 of log10 {plain.r2:.2f} in validation)")


def test_coverage_counts_the_ends() -> None:
    assert coverage([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1.01, -0.01]) == 0.5
