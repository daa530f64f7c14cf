from __future__ import annotations

import numpy as np
import pytest
from stibium.train.trust import fit_domain, fit_interval


def test_interval_covers_what_it_promises() -> None:
    """Over many draws of validation sets, new samples are covered as often as stated, whatever the residuals' law."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        residuals = rng.gamma(1.5, size=60) - 1.0
        stats = fit_interval(np.zeros(60), residuals, range(60))
        assert stats is not None
        new = rng.gamma(1.5, size=200) - 1.0
        covered.append(np.mean((stats.low_offset <= new) & (new <= stats.high_offset)))
    assert 0.90 <= np.mean(covered) <= 0.935


@pytest.mark.parametrize("n", [1, 5, 18])
def test_too_few_samples_give_no_interval(n: int) -> None:
    assert fit_interval(np.zeros(n), np.arange(n, dtype=float), range(n)) is None


def test_nineteen_samples_give_their_extremes() -> None:
    residuals = np.random.default_rng(2).permutation(19) - 9.0
    stats = fit_interval(np.zeros(19), residuals, range(19))
    assert stats is not None
    assert (stats.low_offset, stats.high_offset) == (-9.0, 9.0)


def test_measurements_of_one_sample_count_as_one() -> None:
    """Ten thousand measurements of one wild sample do not widen the interval beyond that of one measurement."""
    residuals = np.linspace(-1, 1, 100)
    once = fit_interval(np.zeros(101), np.append(residuals, 50.0), range(101))
    often = fit_interval(np.zeros(1100), np.append(residuals, np.full(1000, 50.0)), [*range(100), *[100] * 1000])
    assert once is not None
    assert often is not None
    assert (once.low_offset, once.high_offset) == (often.low_offset, often.high_offset)
    # But eighteen samples measured ten times each are still eighteen.
    assert fit_interval(np.zeros(180), np.zeros(180), list(range(18)) * 10) is None


def spectra(n: int, seed: int, noise: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shapes = np.array([np.sin(np.arange(50) / w) for w in (3.0, 7.0, 11.0)])
    return rng.normal(size=(n, 3)) @ shapes + noise * rng.normal(size=(n, 50)) + 5.0


def test_domain_is_what_principal_components_say() -> None:
    from sklearn.decomposition import PCA

    training, held_out = spectra(200, 1), spectra(300, 2)
    domain = fit_domain(training, held_out)
    oracle = PCA(len(domain.loadings)).fit(training)
    assert len(domain.loadings) == 3
    assert domain.loadings @ domain.loadings.T == pytest.approx(np.eye(3), abs=1e-6)
    assert domain.score_variance == pytest.approx(oracle.explained_variance_, rel=1e-5)
    scores = oracle.transform(held_out)
    t2 = np.sum(scores**2 / oracle.explained_variance_, axis=1)
    q = np.sum((held_out - oracle.inverse_transform(scores)) ** 2, axis=1)
    # 0.99 of 301 ranks: all but three of the held-out spectra.
    assert domain.t2_limit == pytest.approx(np.sort(t2)[297], rel=1e-4)
    assert domain.q_limit == pytest.approx(np.sort(q)[297], rel=1e-4)


def test_few_held_out_spectra_all_belong() -> None:
    training, held_out = spectra(30, 1), spectra(5, 2)
    domain = fit_domain(training, held_out)
    scores = (held_out - domain.mean) @ domain.loadings.T
    assert np.max(np.sum(scores**2 / domain.score_variance, axis=1)) == pytest.approx(domain.t2_limit)


def test_components_stay_well_below_the_number_of_spectra() -> None:
    rng = np.random.default_rng(3)
    domain = fit_domain(rng.normal(size=(12, 50)), rng.normal(size=(6, 50)))
    assert len(domain.loadings) == 4
    assert len(fit_domain(rng.normal(size=(200, 50)), rng.normal(size=(6, 50))).loadings) == 20


def test_limits_are_never_zero() -> None:
    """Spectra without any noise leave no residual; a device must not divide by it."""
    training = np.outer(np.arange(1.0, 20.0), np.ones(8))
    domain = fit_domain(training, np.full((3, 8), 10.0))
    assert domain.t2_limit > 0
    assert domain.q_limit > 0


def test_equal_spectra_have_no_domain() -> None:
    with pytest.raises(ValueError, match="all the same"):
        fit_domain(np.ones((10, 5)), np.ones((3, 5)))
