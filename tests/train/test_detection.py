"""Critical estimate and limit of detection, by what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from stibium.train.detection import fit_detection, tells_no_grade


def predictions(n: int, slope: float, at_zero: float, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    measured = rng.lognormal(4, 1.2, n)
    return at_zero + slope * measured + rng.normal(0, noise, n), measured


def test_limits_of_an_unbiased_model_with_normal_errors_are_curries() -> None:
    found = fit_detection(*predictions(4000, 1.0, 0.0, 5.0))
    assert found is not None
    assert found.critical == pytest.approx(1.645 * 5, rel=0.15)
    assert found.limit == pytest.approx(3.29 * 5, rel=0.15)


def test_one_blank_in_twenty_is_detected_and_one_sample_at_the_limit_missed() -> None:
    rng = np.random.default_rng(1)
    false, missed = [], []
    for seed in range(60):
        found = fit_detection(*predictions(150, 0.6, 20.0, 5.0, seed))
        assert found is not None
        false.append(np.mean(20.0 + rng.normal(0, 5, 500) > found.critical))
        missed.append(np.mean(20.0 + 0.6 * found.limit + rng.normal(0, 5, 500) <= found.critical))
    assert np.mean(false) <= 0.06
    assert np.mean(missed) <= 0.10


def test_errors_that_grow_with_the_content_do_not_hide_low_contents() -> None:
    """Relative errors: a blank reads almost nothing, however far off the high contents are."""
    rng = np.random.default_rng(2)
    measured = rng.lognormal(4, 1, 1000)
    found = fit_detection(measured * rng.lognormal(0, 0.5, 1000), measured)
    assert found is not None
    assert found.critical < np.quantile(measured, 0.15)
    assert found.limit < np.quantile(measured, 0.5)


def test_a_model_that_knows_nothing_detects_next_to_nothing() -> None:
    shares, limits = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        measured = rng.lognormal(4, 1.2, 80)
        found = fit_detection(90.0 + rng.normal(0, 1, 80), measured)
        assert found is not None
        shares.append(np.mean(90.0 + rng.normal(0, 1, 500) > found.critical))
        limits.append(np.mean(measured >= found.limit))
    assert np.mean(shares) <= 0.06
    assert np.mean(limits) <= 0.05


def test_high_contents_are_told_where_low_ones_are_not() -> None:
    rng = np.random.default_rng(7)
    measured = np.sort(rng.lognormal(4, 1, 100))
    low = measured <= np.median(measured)
    found = fit_detection(np.where(low, 55.0, measured) + rng.normal(0, 5, 100), measured)
    assert found is not None
    assert 55.0 < found.critical < 75.0
    assert np.median(measured) < found.limit < 0.5 * measured.max()


def test_no_limit_where_it_would_say_nothing() -> None:
    predicted, measured = predictions(100, 1.0, 0.0, 1e-6)
    assert fit_detection(predicted, measured) is None  # all of them are above it
    assert fit_detection(predicted[:19], measured[:19]) is None  # too few
    assert fit_detection(measured + 500, measured + 500) is None  # nothing near zero


def test_many_blanks_and_equal_contents_are_no_trouble() -> None:
    rng = np.random.default_rng(3)
    measured = np.where(np.arange(100) < 60, 0.0, rng.lognormal(4, 1, 100))
    found = fit_detection(measured + rng.normal(0, 2, 100), measured)
    assert found is not None
    assert 0 < found.critical < 3 * 2
    assert found.limit > found.critical


def test_a_model_that_tells_no_grade_from_none_is_said_to() -> None:
    blind = fit_detection(*predictions(100, 0.0, 20.0, 5.0))
    assert blind is not None
    highest = predictions(100, 0.0, 20.0, 5.0)[1].max()
    said = tells_no_grade(blind, highest, "ppm")
    assert said.startswith(f"No grade up to {highest:.4g} ppm is told from none nineteen times in twenty: ")
    assert f"counts from {blind.critical:.4g} ppm on" in said
    assert tells_no_grade(fit_detection(*predictions(4000, 1.0, 0.0, 5.0)), 1e4, "ppm") == ""
    assert tells_no_grade(None, highest, "ppm") == ""
