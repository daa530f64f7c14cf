"""The censored likelihood against SciPy's distributions, its slopes against differences, its fits against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats
from stibium.train.assays.censored import (
    ABOVE,
    BELOW,
    PLAIN,
    Observations,
    fit_normal,
    fit_tobit,
    gradient,
    impute_conditional_mean,
    log_jacobian,
    log_normal_cdf,
    mills,
    negative_log_likelihood,
    observe,
    score,
)
from stibium.train.assays.values import Assay
from stibium.train.errors import TrainingDataError

NUMBER = st.floats(-30, 30)
CASES = st.lists(st.tuples(NUMBER, NUMBER, st.sampled_from([BELOW, PLAIN, ABOVE])), min_size=1, max_size=20)
SD = st.floats(0.05, 20)


def observations(values: object, sides: object) -> Observations:
    return Observations(np.asarray(values, dtype=np.float64), np.asarray(sides, dtype=np.int8))


def split(cases: list[tuple[float, float, int]]) -> tuple[np.ndarray, Observations]:
    predicted, value, side = (np.array(column) for column in zip(*cases, strict=True))
    return predicted, observations(value, side)


@given(st.lists(st.floats(-1e5, 40), min_size=1, max_size=30))
def test_log_of_the_normal_distribution_is_scipys(z: list[float]) -> None:
    assert log_normal_cdf(z) == pytest.approx(special.log_ndtr(z), rel=2e-13, abs=1e-300)


@given(st.lists(st.floats(-1e4, 37), min_size=1, max_size=30))
def test_mills_ratio_is_scipys(z: list[float]) -> None:
    x = np.array(z)
    # phi / Phi by the scaled complementary error function, which does not underflow below 0.
    expected = np.sqrt(2 / np.pi) / special.erfcx(-x / np.sqrt(2))
    assert mills(x) == pytest.approx(expected, rel=1e-7)


@given(CASES, SD)
def test_likelihood_is_scipys(cases: list[tuple[float, float, int]], sd: float) -> None:
    predicted, observed = split(cases)
    law = stats.norm(predicted, sd)
    expected = np.select(
        [observed.side == BELOW, observed.side == ABOVE],
        [law.logcdf(observed.value), law.logsf(observed.value)],
        law.logpdf(observed.value),
    )
    assert negative_log_likelihood(predicted, observed, sd) == pytest.approx(-expected, rel=1e-9, abs=1e-12)


@given(CASES, st.floats(0.5, 20))
def test_gradient_is_the_slope(cases: list[tuple[float, float, int]], sd: float) -> None:
    predicted, observed = split(cases)
    by_prediction, by_log_sd = gradient(predicted, observed, sd)
    h = 1e-5
    up, down = (negative_log_likelihood(predicted + s * h, observed, sd) for s in (1, -1))
    assert by_prediction == pytest.approx((up - down) / (2 * h), rel=2e-4, abs=2e-4)
    up, down = (negative_log_likelihood(predicted, observed, sd * np.exp(s * h)) for s in (1, -1))
    assert by_log_sd == pytest.approx((up - down) / (2 * h), rel=2e-4, abs=2e-3)


def test_a_bound_costs_nothing_once_the_prediction_is_well_beyond_it_and_much_far_before_it() -> None:
    observed = observations([3.6, 3.6, 3.6], [ABOVE, ABOVE, ABOVE])
    cost = negative_log_likelihood([6.0, 3.6, 1.0], observed, 0.3)
    assert cost[0] == pytest.approx(0, abs=1e-12)
    assert cost[1] == pytest.approx(np.log(2))
    assert cost[2] > 35
    pull, _ = gradient([6.0, 3.6, 1.0], observed, 0.3)
    assert pull[0] == pytest.approx(0, abs=1e-12)
    assert pull[2] < pull[1] < 0


def test_slopes_stay_finite_a_thousand_standard_deviations_away() -> None:
    observed = observations([1000.0, -1000.0, 1000.0], [ABOVE, BELOW, PLAIN])
    for figures in (*gradient([0.0, 0.0, 0.0], observed, 1.0), negative_log_likelihood([0.0] * 3, observed, 1.0)):
        assert np.isfinite(figures).all()
    by_prediction, _ = gradient([0.0, 0.0, 0.0], observed, 1.0)
    assert by_prediction == pytest.approx([-1000, 1000, -1000], rel=1e-5)


@given(CASES, SD)
def test_conditional_means_are_those_of_scipys_truncated_normal(
    cases: list[tuple[float, float, int]], sd: float
) -> None:
    predicted, observed = split(cases)
    # Beyond 5 standard deviations SciPy's variance of a truncated normal loses its digits.
    near = np.abs(predicted - observed.value) < 5 * sd
    predicted, observed = predicted[near], observations(observed.value[near], observed.side[near])
    filled, variance = impute_conditional_mean(predicted, observed, sd)
    for p, value, side, mean, spread in zip(predicted, observed.value, observed.side, filled, variance, strict=True):
        bound = (value - p) / sd
        if side == PLAIN:
            assert (mean, spread) == (value, 0)
        else:
            low, high = (bound, np.inf) if side == ABOVE else (-np.inf, bound)
            law = stats.truncnorm(low, high, loc=p, scale=sd)
            assert mean == pytest.approx(law.mean(), rel=1e-8, abs=1e-8)
            assert spread == pytest.approx(law.var(), rel=1e-5, abs=1e-8)


@given(CASES, SD)
def test_imputed_values_keep_to_their_side(cases: list[tuple[float, float, int]], sd: float) -> None:
    predicted, observed = split(cases)
    filled, variance = impute_conditional_mean(predicted, observed, sd)
    assert (observed.side * (filled - observed.value) >= 0).all()
    assert (variance >= 0).all()
    assert (variance <= sd**2 * (1 + 1e-12)).all()


def draw(rng: np.random.Generator, n: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray, Observations]:
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    true = x @ np.array([1.5, 0.8, -0.5]) + rng.normal(scale=0.4, size=n)
    side = np.where(true > high, ABOVE, np.where(true < low, BELOW, PLAIN))
    return x, true, observations(np.clip(true, low, high), side)


def test_tobit_finds_the_law_that_least_squares_on_bounds_misses() -> None:
    x, _, observed = draw(np.random.default_rng(5), 4000, 0.8, 2.2)
    assert observed.censored.mean() > 0.4
    fit = fit_tobit(x, observed)
    assert fit.coefficients == pytest.approx([1.5, 0.8, -0.5], abs=0.03)
    assert fit.sd == pytest.approx(0.4, abs=0.02)
    naive, *_ = np.linalg.lstsq(x, observed.value, rcond=None)
    assert naive[1] < 0.6


@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_tobit_is_where_a_general_optimiser_ends(ridge: float) -> None:
    x, _, observed = draw(np.random.default_rng(2), 120, 0.7, 2.0)
    fit = fit_tobit(x, observed, ridge)

    def cost(theta: np.ndarray) -> float:
        sd = float(np.exp(theta[-1]))
        penalty = 0.5 * ridge * float(theta[:-1] @ theta[:-1]) / sd**2
        return float(negative_log_likelihood(x @ theta[:-1], observed, sd).sum()) + penalty

    found = optimize.minimize(cost, [0, 0, 0, 0], method="BFGS", options={"gtol": 1e-7})
    assert fit.coefficients == pytest.approx(found.x[:-1], abs=1e-4)
    assert fit.sd == pytest.approx(np.exp(found.x[-1]), rel=1e-4)
    assert fit.negative_log_likelihood == pytest.approx(
        negative_log_likelihood(x @ fit.coefficients, observed, fit.sd).sum(), rel=1e-9
    )


def test_imputing_again_and_again_comes_to_the_likelihoods_answer() -> None:
    x, _, observed = draw(np.random.default_rng(8), 300, 0.7, 2.0)
    fit = fit_tobit(x, observed)
    coefficients, sd = np.array([1.0, 0.0, 0.0]), 1.0
    for _ in range(400):
        filled, variance = impute_conditional_mean(x @ coefficients, observed, sd)
        coefficients, *_ = np.linalg.lstsq(x, filled, rcond=None)
        sd = float(np.sqrt(np.mean((filled - x @ coefficients) ** 2 + variance)))
    assert coefficients == pytest.approx(fit.coefficients, abs=1e-6)
    assert sd == pytest.approx(fit.sd, abs=1e-6)


SIDES = st.lists(st.tuples(st.floats(-50, 50), st.sampled_from([BELOW, PLAIN, PLAIN, ABOVE])), min_size=2, max_size=60)


@settings(deadline=None)
@given(SIDES, st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_normal_fit_moves_with_unit_and_origin(cases: list[tuple[float, int]], factor: float, offset: float) -> None:
    # Three values that lie apart keep the fit well posed whatever else is drawn.
    value, side = (np.array(column) for column in zip(*cases, (-3.0, PLAIN), (0.5, PLAIN), (7.0, PLAIN), strict=True))
    mean, sd = fit_normal(observations(value, side))
    moved_mean, moved_sd = fit_normal(observations(value * factor + offset, side))
    assert moved_mean == pytest.approx(mean * factor + offset, rel=1e-5, abs=1e-5 * (sd * factor + abs(offset)))
    assert moved_sd == pytest.approx(sd * factor, rel=1e-4)
    by_prediction, by_log_sd = gradient(np.full(value.size, mean), observations(value, side), sd)
    assert by_prediction.sum() * sd == pytest.approx(0, abs=1e-3)
    assert by_log_sd.sum() == pytest.approx(0, abs=1e-3)


def test_normal_fit_is_scipys_fit_to_censored_data() -> None:
    rng = np.random.default_rng(4)
    true = rng.normal(2.0, 0.7, 400)
    observed = observations(np.clip(true, 1.4, 2.9), np.where(true > 2.9, ABOVE, np.where(true < 1.4, BELOW, PLAIN)))
    data = stats.CensoredData(
        uncensored=observed.value[~observed.censored],
        left=observed.value[observed.side == BELOW],
        right=observed.value[observed.side == ABOVE],
    )
    assert fit_normal(observed) == pytest.approx(stats.norm.fit(data), abs=2e-3)
    assert fit_normal(observed) == pytest.approx([2.0, 0.7], abs=0.08)
    # With nothing censored it is the mean and the standard deviation over n.
    assert fit_normal(observations(true, np.zeros(400))) == pytest.approx((true.mean(), true.std()))


@pytest.mark.parametrize(
    ("values", "sides"),
    [([1.0, 2.0], [ABOVE, ABOVE]), ([1.0, 2.0], [PLAIN, BELOW]), ([2.0, 2.0, 2.0], [PLAIN] * 3)],
)
def test_too_few_known_values_are_refused_in_one_line(values: list[float], sides: list[int]) -> None:
    with pytest.raises(TrainingDataError, match="different known values are needed") as caught:
        fit_normal(observations(values, sides))
    assert "\n" not in str(caught.value)


def test_a_design_that_says_the_same_twice_is_refused() -> None:
    x, _, observed = draw(np.random.default_rng(1), 50, 0.7, 2.0)
    with pytest.raises(TrainingDataError, match="dependent"):
        fit_tobit(np.column_stack([x, x[:, 1]]), observed)


def test_a_perfect_fit_of_the_known_values_is_refused() -> None:
    x = np.column_stack([np.ones(6), np.arange(6.0)])
    with pytest.raises(TrainingDataError, match="no maximum"):
        fit_tobit(x, observations(1 + 2 * np.arange(6.0), [0, 0, 0, 0, 0, ABOVE]))


@pytest.mark.parametrize("transform", ["none", "sqrt", "log10"])
def test_bounds_keep_their_side_in_every_space(transform: str) -> None:
    observed = observe([Assay(0.02, "<"), Assay(12.5), Assay(4000.0, ">")], transform)  # type: ignore[arg-type]
    assert observed.side.tolist() == [BELOW, PLAIN, ABOVE]
    expected = {"none": lambda y: y, "sqrt": np.sqrt, "log10": np.log10}[transform](np.array([0.02, 12.5, 4000.0]))
    assert observed.value == pytest.approx(expected)


def test_zero_has_no_logarithm() -> None:
    with pytest.raises(TrainingDataError, match="no logarithm"):
        observe([Assay(0.0, "<")], "log10")


@pytest.mark.parametrize("transform", ["none", "sqrt", "log10"])
def test_likelihoods_of_two_spaces_compare_in_the_elements_unit(transform: str) -> None:
    ppm = np.linspace(0.01, 4000, 40_001)
    observed = observe([Assay(float(v)) for v in ppm], transform)  # type: ignore[arg-type]
    centre, sd = {"none": (900.0, 120.0), "sqrt": (30.0, 2.0), "log10": (2.9, 0.05)}[transform]
    cost = negative_log_likelihood(np.full(ppm.size, centre), observed, sd)
    density = np.exp(-(cost - log_jacobian(ppm, transform)))  # type: ignore[arg-type]
    middles = (density[1:] + density[:-1]) / 2
    assert middles @ np.diff(ppm) == pytest.approx(1, abs=1e-3)


def test_score_counts_bounds_for_what_they_say() -> None:
    observed = observations([3.6, 3.6, 1.0, 2.0, -1.0], [ABOVE, ABOVE, PLAIN, PLAIN, BELOW])
    result = score([4.0, 3.0, 1.5, 2.0, -2.0], observed, 0.5)
    assert (result.n, result.n_censored) == (5, 3)
    assert result.right_side == pytest.approx(2 / 3)
    assert result.rmse_plain == pytest.approx(np.sqrt(0.125))
    assert score([1.0], observations([1.0], [PLAIN]), 1.0).right_side is None
    assert score([1.0], observations([1.0], [ABOVE]), 1.0).rmse_plain is None


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="one each is needed"):
        negative_log_likelihood([1.0], observations([1.0, 2.0], [0, 0]), 1.0)
    for sd in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="not above 0"):
            gradient([1.0], observations([1.0], [0]), sd)
    with pytest.raises(ValueError, match="not finite"):
        observations([np.nan], [0])
    with pytest.raises(ValueError, match="none of"):
        observations([1.0], [2])
    with pytest.raises(ValueError, match="sides"):
        observations([1.0], [0, 0])
    with pytest.raises(ValueError, match="no observations"):
        score([], observations([], []), 1.0)
    with pytest.raises(ValueError, match=r"\(n, p\) is needed"):
        fit_tobit(np.ones((3, 1)), observations([1.0], [0]))
