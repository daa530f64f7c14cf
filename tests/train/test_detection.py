"""Critical level and detection limit, by what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from stibium.train.detection import fit_error_model, tells_no_grade


def predictions(n: int, slope: float, at_zero: float, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    measured = rng.lognormal(4, 1.2, n)
    return at_zero + slope * measured + rng.normal(0, noise, n), measured


def test_levels_of_an_unbiased_model_with_normal_errors_are_curries() -> None:
    found = fit_error_model(*predictions(2000, 1.0, 0.0, 5.0))
    assert found is not None
    assert found.critical == pytest.approx(1.645 * 5, rel=0.15)
    assert found.limit == pytest.approx(3.29 * 5, rel=0.15)
    assert found.blank == pytest.approx(1.645 * 5, rel=0.15)
    for level, ends in ((found.critical, found.critical_range), (found.limit, found.limit_range)):
        assert ends is not None
        assert ends[0] < level < ends[1]
        assert ends[1] - ends[0] < level


@pytest.mark.parametrize(("at_zero", "slope", "noise"), [(20.0, 0.6, 5.0), (0.0, 1.0, 5.0), (90.0, 0.0, 1.0)])
def test_one_blank_in_twenty_is_detected_and_one_sample_at_the_limit_missed(
    at_zero: float, slope: float, noise: float
) -> None:
    """Of a model that pulls towards the mean, of one that is right on average, and of one that knows nothing."""
    rng = np.random.default_rng(1)
    false, missed = [], []
    for seed in range(24):
        found = fit_error_model(*predictions(100, slope, at_zero, noise, seed))
        assert found is not None
        assert found.critical is not None
        false.append(np.mean(at_zero + rng.normal(0, noise, 500) > found.critical))
        if found.limit is not None:
            missed.append(np.mean(at_zero + slope * found.limit + rng.normal(0, noise, 500) <= found.critical))
    assert 0.02 <= np.mean(false) <= 0.08
    if slope:
        assert len(missed) == 24
        assert np.mean(missed) <= 0.10
    else:
        assert len(missed) <= 1


def test_no_sample_decides() -> None:
    predicted, measured = predictions(80, 0.6, 20.0, 5.0)
    whole = fit_error_model(predicted, measured)
    assert whole is not None
    for left_out in range(0, 80, 2):
        found = fit_error_model(np.delete(predicted, left_out), np.delete(measured, left_out))
        assert found is not None
        assert found.critical == pytest.approx(whole.critical, rel=0.15)
        assert found.limit == pytest.approx(whole.limit, rel=0.15)


def test_one_low_soil_that_reads_high_hides_no_others() -> None:
    """With the highest of the lowest as the critical level, one wrong assay made it the level."""
    predicted, measured = predictions(120, 0.9, 5.0, 5.0)
    before = fit_error_model(predicted, measured)
    predicted[np.argmin(measured)] = 500.0
    after = fit_error_model(predicted, measured)
    assert before is not None
    assert after is not None
    assert after.critical == pytest.approx(before.critical, rel=0.15)


def test_the_order_of_samples_is_no_matter() -> None:
    predicted, measured = predictions(60, 0.6, 20.0, 5.0)
    backwards = fit_error_model(predicted[::-1], measured[::-1])
    found = fit_error_model(predicted, measured)
    assert found is not None
    assert backwards is not None
    assert (backwards.critical, backwards.limit) == (found.critical, found.limit)


def test_errors_that_grow_with_the_content_do_not_hide_low_contents() -> None:
    """Relative errors: a blank reads almost nothing, however far off the high contents are."""
    rng = np.random.default_rng(2)
    measured = rng.lognormal(4, 1, 1000)
    found = fit_error_model(measured * rng.lognormal(0, 0.5, 1000), measured)
    assert found is not None
    assert found.critical is not None
    assert found.limit is not None
    assert found.critical < np.quantile(measured, 0.15)
    assert found.limit < np.quantile(measured, 0.5)


def test_high_contents_are_told_where_low_ones_are_not() -> None:
    rng = np.random.default_rng(7)
    measured = np.sort(rng.lognormal(4, 1, 200))
    low = measured <= np.median(measured)
    found = fit_error_model(np.where(low, 55.0, measured) + rng.normal(0, 5, 200), measured)
    assert found is not None
    assert found.critical is not None
    assert found.limit is not None
    assert 55.0 < found.critical < 75.0
    assert np.median(measured) < found.limit < 0.5 * measured.max()


def test_no_level_where_contents_never_come_near_zero() -> None:
    _, measured = predictions(100, 1.0, 0.0, 5.0)
    found = fit_error_model(measured + 500, measured + 500)
    assert found is not None
    assert (found.critical, found.limit, found.blank) == (None, None, None)
    assert "above a third of the median" in found.remark
    assert tells_no_grade(found, "ppm") == ""


def test_too_few_samples_or_nothing_but_zeros_give_no_error_model() -> None:
    predicted, measured = predictions(19, 1.0, 0.0, 5.0)
    assert fit_error_model(predicted, measured) is None
    assert fit_error_model(np.zeros(40), np.zeros(40)) is None


def test_many_blanks_and_equal_contents_are_no_trouble() -> None:
    rng = np.random.default_rng(3)
    measured = np.where(np.arange(100) < 60, 0.0, rng.lognormal(4, 1, 100))
    found = fit_error_model(measured + rng.normal(0, 2, 100), measured)
    assert found is not None
    assert found.critical is not None
    assert found.limit is not None
    assert 0 < found.critical < 3 * 2
    assert found.limit > found.critical


def test_the_check_says_what_held_back_soils_show() -> None:
    found = fit_error_model(*predictions(600, 0.6, 20.0, 5.0))
    assert found is not None
    check = found.check
    assert check is not None
    assert check.soils == 600
    assert 0.03 <= check.blanks_detected <= 0.07
    assert check.near_limit > 5
    assert len(check.upper) == 10
    np.testing.assert_allclose(check.predicted, check.observed, atol=0.1)
    assert fit_error_model(*predictions(30, 0.6, 20.0, 5.0)).check is None  # type: ignore[union-attr]


def test_content_from_which_on_an_estimate_is_sure_to_a_tenth() -> None:
    found = fit_error_model(*predictions(1000, 1.0, 0.0, 5.0))
    assert found is not None
    assert found.quantification == pytest.approx(50, rel=0.3)
    blind = fit_error_model(*predictions(100, 0.0, 20.0, 5.0))
    assert blind is not None
    assert blind.quantification is None


def test_a_model_that_tells_no_grade_from_none_is_said_to() -> None:
    blind = fit_error_model(*predictions(100, 0.0, 20.0, 5.0))
    assert blind is not None
    assert blind.limit is None
    said = tells_no_grade(blind, "ppm")
    highest = predictions(100, 0.0, 20.0, 5.0)[1].max()
    assert said.startswith(f"No detection limit: no grade up to {highest:.4g} ppm is told from none nineteen times in")
    assert f"the critical level, {blind.critical:.4g} ppm" in said
    assert tells_no_grade(fit_error_model(*predictions(1000, 1.0, 0.0, 5.0)), "ppm") == ""
    assert tells_no_grade(None, "ppm") == ""
