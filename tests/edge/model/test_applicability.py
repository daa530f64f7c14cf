"""Verdict, interval and scatter as the device computes them, against their definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stibium.edge.model.applicability import (
    ApplicabilityDomain,
    absorbance_shapes,
    assess,
    band_shifts,
    chlorophyll_depth,
    distances,
    shape_changes,
    unexplained,
)
from stibium.edge.model.interval import IntervalStats, interval, normal_quantile, widening
from stibium.edge.model.recipe import Preprocessed
from stibium.edge.model.replicates import ReplicateStats, scatter

NM = np.arange(400.0, 2401.0)


def soil_like(n: int, seed: int = 0) -> np.ndarray:
    """Reflectance that rises to the near infrared, with bands at 1910 and 2200 nm of varying depth."""
    rng = np.random.default_rng(seed)
    level, steepness, water, clay, iron = (rng.uniform(0.7, 1.3, (n, 1)) for _ in range(5))
    absorbance = 0.35 * level + 0.9 * steepness * np.exp(-(NM - 400) / 300)
    for depth, at, width in ((0.15 * water, 1910, 35), (0.06 * clay, 2205, 20), (0.08 * iron, 900, 90)):
        absorbance = absorbance + depth * np.exp(-(((NM - at) / width) ** 2))
    return 10**-absorbance + rng.normal(0, 2e-4, (n, NM.size))


def batch(reflectance: np.ndarray) -> Preprocessed:
    return Preprocessed(reflectance, NM, reflectance, reflectance, NM)


def a_domain(components: int = 3, t2_limit: float = 2.0, q_limit: float = 30.0) -> ApplicabilityDomain:
    shapes = absorbance_shapes(soil_like(60), NM, 10)
    mean = shapes.shapes.mean(axis=0)
    _, s, rows = np.linalg.svd(shapes.shapes - mean, full_matrices=False)
    return ApplicabilityDomain(
        mean=mean,
        loadings=rows[:components],
        score_variance=s[:components] ** 2 / 59,
        t2_limit=t2_limit,
        q_limit=q_limit,
        method="by hand",
        space="absorbance shape",
        bands_per_bin=10,
        residual_scale=np.full(mean.size, 0.02),
        brightness_range=(shapes.brightness.min() - 0.1, shapes.brightness.max() + 0.1),
        contrast_range=(shapes.contrast.min() / 1.5, shapes.contrast.max() * 1.5),
        most_chlorophyll=0.05,
    )


def test_shapes_are_binned_absorbance_with_mean_zero_and_deviation_one() -> None:
    reflectance = soil_like(5)
    shapes = absorbance_shapes(reflectance, NM, 10)
    absorbance = np.stack([[-np.log10(row[10 * i : 10 * i + 10].mean()) for i in range(200)] for row in reflectance])
    np.testing.assert_allclose(shapes.brightness, absorbance.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(shapes.contrast, absorbance.std(axis=1), rtol=1e-12)
    again = shapes.shapes * shapes.contrast[:, None] + shapes.brightness[:, None]
    np.testing.assert_allclose(again, absorbance, rtol=1e-10)
    # 2001 bands: the last stands alone and is left out.
    np.testing.assert_allclose(shapes.wavelengths_nm, np.arange(404.5, 2400, 10))


@given(st.floats(0.3, 3.0))
def test_the_white_reference_changes_no_shape(gain: float) -> None:
    reflectance = soil_like(3)
    plain, dimmed = (absorbance_shapes(r, NM, 10) for r in (reflectance, gain * reflectance))
    np.testing.assert_allclose(dimmed.shapes, plain.shapes, atol=1e-9)
    np.testing.assert_allclose(dimmed.brightness, plain.brightness - np.log10(gain), atol=1e-12)


def test_constant_and_black_spectra_have_finite_shapes() -> None:
    shapes = absorbance_shapes(np.stack([np.full(NM.size, 0.5), np.zeros(NM.size), np.full(NM.size, -1.0)]), NM, 10)
    assert np.isfinite(shapes.shapes).all()
    assert shapes.contrast == pytest.approx(0, abs=1e-9)


def test_distances_against_explicit_linear_algebra() -> None:
    domain = a_domain()
    spectra = absorbance_shapes(soil_like(7, 1), NM, 10).shapes
    far = distances(spectra.copy(), domain)
    assert domain.residual_scale is not None
    for i, row in enumerate(spectra):
        x = row - domain.mean
        scores = domain.loadings @ x
        t2 = scores @ np.linalg.inv(np.diag(domain.score_variance)) @ scores
        residual = x - domain.loadings.T @ scores
        weights = np.diag(domain.residual_scale**-2)
        assert far.t2[i] == pytest.approx(t2 / domain.t2_limit, rel=1e-9)
        assert far.q[i] == pytest.approx(residual @ weights @ residual / domain.q_limit, rel=1e-9)


def test_the_spectra_are_left_as_they_were() -> None:
    reflectance = soil_like(4)
    before = reflectance.copy()
    assess(batch(reflectance), a_domain())
    np.testing.assert_array_equal(reflectance, before)


@pytest.mark.parametrize("how_many", [1, 2, 9])
def test_alone_or_together_is_the_same_verdict(how_many: int) -> None:
    reflectance, domain = soil_like(how_many, 3), a_domain()
    together = assess(batch(reflectance), domain)
    for i, judged in enumerate(together):
        (alone,) = assess(batch(reflectance[i : i + 1]), domain)
        assert alone.verdict == judged.verdict
        assert alone.t2_over_limit == pytest.approx(judged.t2_over_limit, rel=1e-9)


def reason(reflectance: np.ndarray, **limits: float) -> str:
    (judged,) = assess(batch(reflectance[None]), a_domain(**limits))
    assert judged.verdict == "outside"
    return judged.reason


def test_reasons_say_what_was_measured() -> None:
    soil = soil_like(1, 4)[0]
    assert assess(batch(soil[None]), a_domain(t2_limit=30.0, q_limit=500.0))[0].verdict == "inside"
    assert reason(np.full(NM.size, 0.98) + 1e-3 * np.sin(NM)).startswith("flatter than any calibration soil")
    leaf = soil * (1 - 0.6 * np.exp(-(((NM - 675) / 25) ** 2)))
    assert reason(leaf).startswith("a band at 675 nm that no calibration soil has")
    assert reason(soil / 3, t2_limit=30.0, q_limit=500.0).startswith("darker than any calibration soil, ")
    assert reason(soil * 2.5, t2_limit=30.0, q_limit=500.0).startswith("brighter than any calibration soil, ")
    banded = soil * (1 - 0.5 * np.exp(-(((NM - 2340) / 15) ** 2)))
    assert "most at 2344 nm, a band of carbonate" in reason(banded, t2_limit=1e6, q_limit=100.0)
    assert "Hotelling T2" in reason(soil, t2_limit=1e-3, q_limit=1e9)
    (steep,) = assess(batch(soil[None] ** 3 / soil.mean() ** 2), a_domain(t2_limit=1e9, q_limit=1e9))
    assert steep.reason == "stronger contrast than any calibration soil"


def test_chlorophyll_needs_its_bands() -> None:
    infrared = NM >= 1000
    shapes = absorbance_shapes(soil_like(2)[:, infrared], NM[infrared], 10)
    assert chlorophyll_depth(shapes) is None


def test_a_spectrum_as_the_recipe_gives_it_is_judged_as_in_version_1() -> None:
    """No bins, no weights, no level: T2 and Q of the preprocessed spectrum alone."""
    spectra = np.random.default_rng(1).normal(size=(5, NM.size))
    loadings = np.linalg.qr(np.random.default_rng(2).normal(size=(NM.size, 2)))[0].T
    old = ApplicabilityDomain(spectra.mean(axis=0), loadings, np.array([2.0, 1.0]), 3.0, 1500.0, "version 1")
    for row, judged in zip(spectra, assess(Preprocessed(spectra, NM, spectra, spectra, NM), old), strict=True):
        x = row - old.mean
        scores = loadings @ x
        assert judged.t2_over_limit == pytest.approx(float(np.sum(scores**2 / old.score_variance)) / 3, rel=1e-9)
        assert judged.q_over_limit == pytest.approx(float(x @ x - scores @ scores) / 1500, rel=1e-9)


def test_no_statistics_is_unknown() -> None:
    assert [j.verdict for j in assess(batch(soil_like(3)), None)] == ["unknown"] * 3


STATS = IntervalStats(0.9, -0.3, 0.5, "by hand", (0.4, 0.2, -0.3), (-1.0, -0.5, 2.0), (0.8, 0.6, 0.4))


def test_widening_against_its_formula() -> None:
    t2, q, output = 0.7, 1.9, 1.8
    z = np.array([(np.log(t2) + 1.0) / 0.8, (np.log(q) + 0.5) / 0.6, (output - 2.0) / 0.4])
    assert widening(STATS, [t2], [q], [output])[0] == pytest.approx(np.exp(np.dot(STATS.slopes, np.clip(z, -2.5, 2.5))))
    low, high = interval([output], STATS, [t2], [q])
    factor = np.exp(np.dot(STATS.slopes, np.clip(z, -2.5, 2.5)))
    assert low[0] == pytest.approx(output - 0.3 * factor)
    assert high[0] == pytest.approx(output + 0.5 * factor)


positive = st.floats(1e-6, 1e6)


@given(positive, positive, positive, st.floats(-5, 5))
def test_never_narrower_farther_away(t2: float, farther: float, q: float, output: float) -> None:
    near, far = sorted((t2, farther))
    widths = [float(np.subtract(*interval(output, STATS, d, q)[::-1])) for d in (near, far)]
    assert widths[0] <= widths[1] * (1 + 1e-12)
    widths = [float(np.subtract(*interval(output, STATS, q, d)[::-1])) for d in (near, far)]
    assert widths[0] <= widths[1] * (1 + 1e-12)


@given(st.floats(0, 3), st.floats(0, 3))
def test_extra_scatter_only_widens(extra: float, more: float) -> None:
    small, large = sorted((extra, more))
    ends = [interval(1.0, STATS, 0.5, 0.5, sd) for sd in (0.0, small, large)]
    lows, highs = ([float(e[i]) for e in ends] for i in (0, 1))
    assert lows[0] >= lows[1] >= lows[2]
    assert highs[0] <= highs[1] <= highs[2]
    alone = interval(1.0, IntervalStats(0.9, 0.0, 0.0, ""), None, None, small)
    assert float(alone[1]) == pytest.approx(1.0 + 1.6448536 * small)


def test_without_a_domain_nothing_widens_but_the_level() -> None:
    assert widening(STATS, None, None, [2.0])[0] == 1.0
    plain = IntervalStats(0.9, -0.2, 0.3, "version 1")
    low, high = interval([1.0, 2.0], plain)
    assert low == pytest.approx([0.8, 1.8])
    assert high == pytest.approx([1.3, 2.3])


def test_offsets_on_one_side_stay_there() -> None:
    """A model that always answers too low has both ends above its answer; scatter still only widens."""
    biased = IntervalStats(0.9, 0.1, 0.4, "")
    assert [float(e) for e in interval(1.0, biased)] == pytest.approx([1.1, 1.4])
    low, high = (float(e) for e in interval(1.0, biased, extra_sd=0.2))
    assert low < 1.1
    assert high > 1.4


@settings(max_examples=50)
@given(arrays(np.float64, st.integers(2, 9), elements=st.floats(-3, 3)))
def test_scatter_against_its_definition(outputs: np.ndarray) -> None:
    replicates = ReplicateStats(typical=0.1, limit=0.25, method="")
    found = scatter(outputs, replicates, STATS)
    sd = float(np.sqrt(np.sum((outputs - outputs.mean()) ** 2) / (outputs.size - 1)))
    assert found.sd == pytest.approx(sd, abs=1e-12)
    assert found.over_limit == pytest.approx(sd / 0.25, abs=1e-12)
    expected = np.sqrt((sd**2 - 0.01) / outputs.size) if sd > 0.25 else 0.0
    assert found.extra_sd == pytest.approx(expected, abs=1e-9)


def test_scatter_where_the_bundle_says_nothing_of_replicates() -> None:
    outputs = [1.0, 2.0, 3.0]
    found = scatter(outputs, None, STATS)
    assert found.over_limit == pytest.approx(1.0 / (0.4 / normal_quantile(0.9)))
    assert found.extra_sd == pytest.approx(np.sqrt(1 / 3))
    assert scatter(outputs, None, None).over_limit is None
    assert scatter([1.0, 1.0], ReplicateStats(0.1, 0.2, ""), None).over_limit == 0.0


def test_changes_of_a_shape_are_those_of_a_spectrum_that_is_shifted() -> None:
    soils = soil_like(5) + 0.0
    shapes = absorbance_shapes(soils, NM, 10)
    up, down = (
        absorbance_shapes(np.stack([np.interp(NM - by, NM, soil) for soil in soils]), NM, 10).shapes
        for by in (0.5, -0.5)
    )
    inner = slice(1, -1)  # beyond its ends a spectrum has nothing to be shifted in
    found = shape_changes(shapes, soils, 10)
    np.testing.assert_allclose(found[:, inner], (up - down)[:, inner], atol=2e-4)


@pytest.mark.parametrize("by_nm", [-5.0, -3.0, 3.0, 5.0])
def test_bands_that_lie_elsewhere_than_the_calibrations_are_told_in_words(by_nm: float) -> None:
    domain, soils = replace(a_domain(5, 1e6, 1e6), most_shift_nm=2.0), soil_like(8, 3)
    shifted = np.stack([np.interp(NM - by_nm, NM, soil) for soil in soils])
    assert all(one.verdict == "inside" for one in assess(batch(soils), domain))
    assert all(one.verdict == "inside" for one in assess(batch(shifted), replace(domain, most_shift_nm=None)))
    told = assess(batch(shifted), domain)
    assert all(one.verdict == "outside" for one in told)
    assert all(f"nm too {'high' if by_nm > 0 else 'low'}, as at " in one.reason for one in told)
    assert all("(2.0 nm allowed): check the instrument's wavelengths" in one.reason for one in told)
    shapes = absorbance_shapes(shifted, NM, 10)
    changes = unexplained(shape_changes(shapes, shifted, 10), domain)
    assert band_shifts(distances(shapes.shapes, domain).deviation, changes) == pytest.approx(by_nm, rel=0.35)


def test_what_is_unlike_the_calibration_in_another_way_is_not_called_shifted() -> None:
    domain = replace(a_domain(3, 1e6, 30.0), most_shift_nm=2.0)
    banded = soil_like(4, 3) * (1 - 0.3 * np.exp(-(((NM - 1700) / 20) ** 2)))
    assert all("most at 1" in one.reason for one in assess(batch(banded), domain))
