"""Bounds keep their side, and a normal law is fitted to them as bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from stibium.train.assays.censored import ABOVE, BELOW, PLAIN, Observations, fit_normal, observe
from stibium.train.assays.published import read_published_table
from stibium.train.assays.values import Assay
from stibium.train.errors import TrainingDataError


def observations(values: object, sides: object) -> Observations:
    return Observations(np.asarray(values, dtype=np.float64), np.asarray(sides, dtype=np.int8))


def negative_log_likelihood(mean: float, sd: float, observed: Observations) -> float:
    law = stats.norm(mean, sd)
    value, side = observed.value, observed.side
    return -float(
        law.logpdf(value[side == PLAIN]).sum()
        + law.logcdf(value[side == BELOW]).sum()
        + law.logsf(value[side == ABOVE]).sum()
    )


def test_published_antimony_has_the_law_that_it_had_before_scipy_fitted_it() -> None:
    assays = list(read_published_table().assays("Sb").values.values())
    assert fit_normal(observe(assays, "log10")) == pytest.approx((2.03295, 0.80174), abs=1e-5)


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
    observed = observations(value, side)
    least = negative_log_likelihood(mean, sd, observed)
    for other in ((mean + 1e-3 * sd, sd), (mean - 1e-3 * sd, sd), (mean, 1.001 * sd), (mean, 0.999 * sd)):
        assert negative_log_likelihood(*other, observed) >= least - 1e-9 * abs(least)


def test_normal_fit_is_where_a_general_optimiser_ends() -> None:
    rng = np.random.default_rng(4)
    true = rng.normal(2.0, 0.7, 400)
    observed = observations(np.clip(true, 1.4, 2.9), np.where(true > 2.9, ABOVE, np.where(true < 1.4, BELOW, PLAIN)))
    found = optimize.minimize(
        lambda theta: negative_log_likelihood(theta[0], np.exp(theta[1]), observed), [2.0, 0.0], method="BFGS"
    )
    assert fit_normal(observed) == pytest.approx([found.x[0], np.exp(found.x[1])], abs=1e-5)
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


@pytest.mark.parametrize("transform", ["none", "sqrt", "log10"])
def test_bounds_keep_their_side_in_every_space(transform: str) -> None:
    observed = observe([Assay(0.02, "<"), Assay(12.5), Assay(4000.0, ">")], transform)  # type: ignore[arg-type]
    assert observed.side.tolist() == [BELOW, PLAIN, ABOVE]
    expected = {"none": lambda y: y, "sqrt": np.sqrt, "log10": np.log10}[transform](np.array([0.02, 12.5, 4000.0]))
    assert observed.value == pytest.approx(expected)


def test_zero_has_no_logarithm() -> None:
    with pytest.raises(TrainingDataError, match="no logarithm"):
        observe([Assay(0.0, "<")], "log10")


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="not finite"):
        observations([np.nan], [0])
    with pytest.raises(ValueError, match="none of"):
        observations([1.0], [2])
    with pytest.raises(ValueError, match="sides"):
        observations([1.0], [0, 0])
