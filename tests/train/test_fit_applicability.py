"""Limits hold for what was left out: domain, interval, detection, replicates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.converters.spectra.read import read_spectra
from stibium.edge.errors import UnsuitableSpectrumError
from stibium.edge.model.applicability import ApplicabilityDomain, absorbance_shapes, assess
from stibium.edge.model.interval import FARTHEST, IntervalStats, interval, widening
from stibium.edge.model.recipe import Preprocessed, Recipe
from stibium.edge.model.steps import Resample
from stibium.edge.model.suitability import require_reflectance
from stibium.train import applicability as trust
from stibium.train.applicability import fit_domain, fit_interval, fit_replicates
from stibium.train.errors import TrainingDataError

NM = np.arange(400.0, 2401.0, 2.0)


def soil_like(n: int, seed: int = 0) -> np.ndarray:
    """Simulated reflectance: seven shapes of absorbance in skewed amounts, and a little noise."""
    rng = np.random.default_rng(seed)
    shapes = [np.exp(-(NM - 400) / 300), np.ones(NM.size)]
    shapes += [np.exp(-(((NM - at) / w) ** 2)) for at, w in ((900, 90), (1410, 25), (1910, 35), (2205, 20), (2340, 20))]
    amounts = np.array([0.8, 0.3, 0.08, 0.05, 0.15, 0.06, 0.03]) * rng.lognormal(0, 0.35, (n, 7))
    return 10 ** -(amounts @ np.array(shapes)) + rng.normal(0, 3e-4, (n, NM.size))


def outside(reflectance: np.ndarray, domain: ApplicabilityDomain, nm: np.ndarray = NM) -> np.ndarray:
    return np.array(
        [j.verdict == "outside" for j in assess(Preprocessed(reflectance, nm, reflectance, reflectance, nm), domain)]
    )


@pytest.mark.parametrize("n", [25, 60, 150])
def test_soils_like_the_calibrations_belong(n: int) -> None:
    shares = []
    for seed in range(6):
        domain = fit_domain(soil_like(n, seed), NM, range(n)).stats
        shares.append(outside(soil_like(200, 100 + seed), domain).mean())
    assert np.mean(shares) <= 0.05


def test_soils_measured_a_little_worse_belong_too() -> None:
    domain = fit_domain(soil_like(100), NM, range(100)).stats
    rng = np.random.default_rng(9)
    worse = soil_like(200, 1) * rng.uniform(0.9, 1.1, (200, 1)) + rng.normal(0, 7e-4, (200, NM.size))
    assert outside(worse, domain).mean() <= 0.06


def test_what_is_changed_by_others_belongs_too() -> None:
    def changed(soils: np.ndarray, by: int, seed: int) -> tuple[np.ndarray, list[int]]:
        """Soils with bands of water, no two waters alike."""
        rng = np.random.default_rng(seed)
        centres, depths = 1930 + rng.normal(0, 15, by), rng.uniform(0.2, 0.6, by)
        waters = [d * np.exp(-(((NM - c) / rng.uniform(50, 90)) ** 2)) for c, d in zip(centres, depths, strict=True)]
        of = [i % by for i in range(len(soils))]
        return soils * 10 ** -np.stack(waters)[of], of

    refused = {"as ever": 0.0, "judged without theirs": 0.0}
    for seed in range(4):
        soils = soil_like(40, seed)
        wet, of = changed(soils, 5, 50 + seed)
        rows, names = np.concatenate([soils, wet]), [*range(40), *range(40)]
        test, _ = changed(soil_like(100, 20 + seed), 100, 90 + seed)
        for name, by in (("as ever", []), ("judged without theirs", [*[None] * 40, *of])):
            refused[name] += outside(test, fit_domain(rows, NM, names, changed_by=by).stats).mean() / 4
    assert refused["judged without theirs"] < 0.5 * refused["as ever"]


def test_other_things_do_not_belong() -> None:
    rng = np.random.default_rng(3)
    soils = soil_like(100)
    domain = fit_domain(soils, NM, range(100)).stats
    others = {
        "panel": np.full((20, NM.size), 0.98) + rng.normal(0, 1e-3, (20, NM.size)),
        "nothing": np.full((20, NM.size), 0.01) + rng.uniform(0, 1e-3, (20, NM.size)),
        "band of its own": soils[:20] * (1 - 0.3 * np.exp(-(((NM - 1700) / 20) ** 2))),
        "chlorophyll": soils[:20] * (1 - 0.5 * np.exp(-(((NM - 675) / 25) ** 2))),
        "no infrared": np.where(NM > 1000, soils[:20, [300]], soils[:20]),
        "much darker": soils[:20] / 8,
    }
    for what, reflectance in others.items():
        assert outside(reflectance, domain).all(), what


def test_t2_and_q_are_what_principal_components_say() -> None:
    from sklearn.decomposition import PCA

    soils, new = soil_like(120), soil_like(50, 1)
    domain = fit_domain(soils, NM, range(120)).stats
    shapes, others = (absorbance_shapes(r, NM, domain.bands_per_bin).shapes for r in (soils, new))
    assert domain.bands_per_bin == 5
    oracle = PCA(len(domain.loadings)).fit(shapes)
    assert domain.score_variance == pytest.approx(oracle.explained_variance_, rel=1e-4)
    scores = oracle.transform(others)
    residuals = others - oracle.inverse_transform(scores)
    judged = assess(Preprocessed(new, NM, new, new, NM), domain)
    t2 = np.sum(scores**2 / oracle.explained_variance_, axis=1) / domain.t2_limit
    q = np.sum((residuals / domain.residual_scale) ** 2, axis=1) / domain.q_limit
    np.testing.assert_allclose([j.t2_over_limit for j in judged], t2, rtol=1e-3)
    np.testing.assert_allclose([j.q_over_limit for j in judged], q, rtol=1e-3)


def test_measurements_of_one_sample_are_left_out_together() -> None:
    """Were a sample's twin in the calibration, a strange sample would seem to belong."""
    soils = soil_like(40)
    strange = soils[:1] * (1 - 0.4 * np.exp(-(((NM - 1700) / 30) ** 2)))
    reflectance = np.vstack([soils, strange, strange * 1.001])
    samples = [*range(40), 40, 40]
    found = fit_domain(reflectance, NM, samples)
    assert found.difficulty.shape == (42, 2)
    assert (found.difficulty[40:].max(axis=1) > 3 * np.median(found.difficulty[:40].max(axis=1))).all()


def test_the_same_soils_give_the_same_domain_and_it_is_small() -> None:
    one, two = (fit_domain(soil_like(90), NM, range(90)).stats for _ in range(2))
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(two, name))
    assert sum(a.size for a in vars(one).values() if isinstance(a, np.ndarray)) * 4 < 20_000


@pytest.mark.parametrize("n", [40, 120])
def test_the_limit_of_a_shift_spares_good_soils_and_tells_5_nm(n: int) -> None:
    domain, new = fit_domain(soil_like(n), NM, range(n)).stats, soil_like(100, 7)
    assert domain.most_shift_nm is not None
    assert domain.most_shift_nm >= trust.LEAST_SHIFT_NM
    without = replace(domain, most_shift_nm=None)
    assert (outside(new, domain) == outside(new, without)).mean() >= 0.99
    for by_nm in (-5, 5):
        assert outside(np.stack([np.interp(NM - by_nm, NM, soil) for soil in new]), domain).mean() >= 0.95


def test_soils_without_bands_learn_no_limit_of_a_shift() -> None:
    rng = np.random.default_rng(4)
    tilt, level = rng.uniform(0.5, 1.5, (2, 80, 1))
    bare = 0.3 * level + 0.1 * tilt * (NM - 400) / 2000 + rng.normal(0, 1e-3, (80, NM.size))
    assert fit_domain(bare, NM, range(80)).stats.most_shift_nm is None


def test_few_and_equal_spectra_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="4 training samples do not show"):
        fit_domain(soil_like(4), NM, range(4))
    with pytest.raises(TrainingDataError, match="all have the same shape"):
        fit_domain(np.repeat(soil_like(1), 10, axis=0), NM, range(10))
    assert len(fit_domain(soil_like(5), NM, range(5)).stats.loadings) == 1


def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, truths and distances of exchangeable samples whose errors grow with distance and level."""
    distance = rng.lognormal(-1, 0.6, (n, 2))
    predicted = rng.normal(2, 0.5, n)
    size = 0.1 * distance[:, 0] ** 0.5 * np.exp(0.5 * (predicted - 2))
    return predicted, predicted + size * rng.standard_t(5, n), distance


@settings(max_examples=4, deadline=None)
@given(st.sampled_from([40, 120]), st.sampled_from([0.8, 0.9, 0.95]), st.integers(0, 10**6))
def test_intervals_cover_what_they_promise(n: int, coverage: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    covered = []
    for _ in range(150):
        predicted, measured, distance = draw(n, rng)
        stats = fit_interval(predicted, measured, distance, range(n), coverage)
        assert stats is not None
        new, true, far = draw(300, rng)
        low, high = interval(new, stats, far[:, 0], far[:, 1])
        covered.append(np.mean((low <= true) & (true <= high)))
    # The rank promises at least the coverage and at most 1 / (n + 1) more; folds cost a little of that.
    assert coverage - 0.02 <= np.mean(covered) <= coverage + 1 / (n + 1) + 0.025


def test_intervals_are_wider_where_less_is_known_and_better_for_it() -> None:
    rng = np.random.default_rng(5)
    predicted, measured, distance = draw(200, rng)
    plain = fit_interval(predicted, measured, None, range(200))
    ours = fit_interval(predicted, measured, distance, range(200))
    assert plain is not None
    assert ours is not None
    assert plain.slopes == (0.0, 0.0, 0.0)
    assert ours.slopes[0] > 0.05
    new, true, far = draw(20_000, rng)
    farthest = far[:, 0] > np.quantile(far[:, 0], 0.75)
    missed = []
    for stats in (plain, ours):
        low, high = interval(new, stats, far[:, 0], far[:, 1])
        missed.append(0.9 - np.mean(((low <= true) & (true <= high))[farthest]))
    assert 0 <= missed[1] + 0.03 < missed[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(30, 80), st.integers(0, 10**6))
def test_slopes_with_distance_are_never_negative(n: int, seed: int) -> None:
    """Even where the data say that errors shrink with distance."""
    rng = np.random.default_rng(seed)
    distance = rng.lognormal(0, 1, (n, 2))
    predicted = rng.normal(size=n)
    stats = fit_interval(predicted, predicted + rng.normal(size=n) / distance[:, 0], distance, range(n))
    assert stats is not None
    assert stats.slopes[0] >= 0
    assert stats.slopes[1] >= 0
    near, far = (widening(stats, [d], [1.0], [0.0])[0] for d in (0.01, 100.0))
    assert near <= far


@pytest.mark.parametrize("n", [0, 1, 8])
def test_too_few_samples_give_no_interval(n: int) -> None:
    assert fit_interval(np.zeros(n), np.arange(n, dtype=float), None, range(n)) is None


def test_the_richest_are_covered_though_the_model_pulls_to_the_mean() -> None:
    covered, rich_covered, plain_rich, high_tenth = [], [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)

        def draw(n: int, rng: np.random.Generator = rng) -> tuple[np.ndarray, np.ndarray]:
            true = rng.normal(size=n)
            return 0.6 * true + rng.normal(0, 0.45, n), true

        distance = np.ones((150, 2))
        predicted, measured = draw(150)
        stats = fit_interval(predicted, measured, distance, range(150))
        assert stats is not None
        assert stats.high_lift > 0
        new, true = draw(2000)
        low, high = interval(new, stats, np.ones(2000), np.ones(2000))
        inside, rich = (low <= true) & (true <= high), true >= np.quantile(true, 0.9)
        covered.append(inside.mean())
        rich_covered.append(inside[rich].mean())
        high_tenth.append(inside[new >= np.quantile(new, 0.9)].mean())
        plain = fit_interval(predicted, measured, None, range(150))
        assert plain is not None
        plain_rich.append((true[rich] <= new[rich] + plain.high_offset).mean())
    assert 0.87 <= np.mean(covered) <= 0.93
    assert np.mean(plain_rich) < np.mean(rich_covered) - 0.05
    assert np.mean(rich_covered) >= 0.85
    assert np.mean(high_tenth) >= 0.85


def test_only_above_high_estimates_an_interval_reaches_farther_up() -> None:
    plain = IntervalStats(0.9, -1.0, 1.0, "by hand", (0.1, 0.0, 0.0), (0.0, 0.0, 5.0), (1.0, 1.0, 2.0))
    lifted = plain._replace(high_lift=0.5)
    outputs = np.array([1.0, 5.0, 7.0, 9.0, 1000.0])
    low, high = interval(outputs, lifted)
    np.testing.assert_allclose(low, outputs - 1)
    np.testing.assert_allclose(high - outputs, [1.0, 1.0, 1.5, 2.0, 1 + 0.5 * FARTHEST])
    np.testing.assert_allclose(interval(outputs, plain)[1], outputs + 1)


def test_nine_samples_give_their_extreme() -> None:
    residuals = np.random.default_rng(2).permutation(9) - 3.0
    stats = fit_interval(np.zeros(9), residuals, None, range(9))
    assert stats is not None
    assert (stats.low_offset, stats.high_offset) == (-5.0, 5.0)


def test_measurements_of_one_sample_count_as_one() -> None:
    """A thousand measurements of one wild sample do not widen the interval beyond that of one measurement."""
    residuals = np.linspace(-1, 1, 100)
    once = fit_interval(np.zeros(101), np.append(residuals, 50.0), None, range(101))
    often = fit_interval(np.zeros(1100), np.append(residuals, np.full(1000, 50.0)), None, [*range(100), *[100] * 1000])
    assert once is not None
    assert often is not None
    assert (once.low_offset, once.high_offset) == (often.low_offset, often.high_offset)
    # But eight samples measured ten times each are still eight.
    assert fit_interval(np.zeros(80), np.zeros(80), None, list(range(8)) * 10) is None


def test_a_perfect_model_has_no_width() -> None:
    stats = fit_interval(np.arange(50.0), np.arange(50.0), np.ones((50, 2)), range(50))
    assert stats is not None
    assert (stats.low_offset, stats.high_offset, stats.slopes) == (0.0, 0.0, (0.0, 0.0, 0.0))


def test_replicates_are_pooled_within_samples() -> None:
    rng = np.random.default_rng(4)
    names = [i for i in range(200) for _ in range(5)]
    outputs = np.repeat(rng.normal(0, 3, 200), 5) + rng.normal(0, 0.2, 1000)
    found = fit_replicates(outputs, names)
    assert found is not None
    assert found.typical == pytest.approx(0.2, rel=0.05)
    sds = outputs.reshape(200, 5).std(axis=1, ddof=1)
    assert np.count_nonzero(sds > found.limit) == 4
    assert fit_replicates(outputs[::5], names[::5]) is None
    assert fit_replicates(np.zeros(20), [i // 2 for i in range(20)]) is None


def test_real_soils_of_a_survey_belong_and_other_real_things_do_not(shared_data: Path) -> None:
    table = np.genfromtxt(
        shared_data / "soil" / "geeves_contact_probe.csv.gz", delimiter=",", names=True, deletechars=""
    )
    bands = [name for name in table.dtype.names if name.isdigit()]
    recipe = Recipe((Resample(),))
    soils = recipe.preprocess(np.stack([table[b] for b in bands], axis=1), np.array(bands, dtype=float)).reflectance
    refused = []
    for seed in (42, 43):
        order = np.random.default_rng(seed).permutation(len(soils))
        domain = fit_domain(soils[order[87:]], recipe.grid_nm, order[87:].tolist()).stats
        refused.append(outside(soils[order[:87]], domain, recipe.grid_nm).mean())
    assert np.mean(refused) <= 0.05

    others = []
    for path in (
        shared_data / "minerals" / "usgs_splib07_224band.hdr",
        *(shared_data / "instruments" / "panels").iterdir(),
    ):
        for spectrum in read_spectra(path):
            gaps = np.diff(spectrum.wavelengths_nm)
            try:
                values = require_reflectance(spectrum, recipe.range_nm)
            except UnsuitableSpectrumError:
                continue
            if gaps.max() < 30:
                others.append(recipe.preprocess(values, spectrum.wavelengths_nm).reflectance)
    assert len(others) > 1000
    assert outside(np.stack(others), domain, recipe.grid_nm).mean() >= 0.95


def test_the_perturbation_leaves_the_given_spectra_alone() -> None:
    soils = soil_like(12)
    before = soils.copy()
    fit_domain(soils, NM, range(12))
    np.testing.assert_array_equal(soils, before)
    assert trust.REFUSED_SHARE <= 0.05
