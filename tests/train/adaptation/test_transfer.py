"""SST, DS and PDS against a public implementation where there is one, and against what they must do."""

from __future__ import annotations

import numpy as np
import pytest
from stibium.train.adaptation.transfer import Way, fit_ways, mean_of, ways


def two_instruments(n: int = 20, bands: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Absorbance of n samples: the child sees it stretched, shifted by a band, and with an own baseline."""
    rng = np.random.default_rng(seed)
    nm = np.arange(bands)
    shapes = np.array([np.exp(-0.5 * ((nm - centre) / 8) ** 2) for centre in (10, 25, 40, 52)])
    parent = 0.3 + rng.uniform(0.1, 1.0, (n, 4)) @ shapes
    child = np.roll(parent, 1, axis=1)
    child[:, 0] = parent[:, 0]
    return parent, 0.05 + 1.1 * child + 0.002 * nm


@pytest.mark.parametrize("way", [Way("SST", 4), Way("DS", 4), Way("PDS", 3, 3)])
def test_new_samples_look_as_the_parent_sees_them(way: Way) -> None:
    parent, child = two_instruments(40)
    (correction,) = fit_ways([way], parent[:20], child[:20])
    before = np.sqrt(np.mean((child[20:] - parent[20:]) ** 2))
    after = np.sqrt(np.mean((correction.apply(child[20:]) - parent[20:]) ** 2))
    assert after < 0.05 * before


def test_the_mean_difference_is_taken_off() -> None:
    parent, _ = two_instruments()
    (correction,) = fit_ways([Way("offset")], parent, parent + np.linspace(0, 1, 60))
    np.testing.assert_allclose(correction.apply(parent + np.linspace(0, 1, 60)), parent, atol=1e-6)


def test_together_they_are_as_alone() -> None:
    parent, child = two_instruments()
    tried = list(ways(18, 60, 2.0))
    for way, together in zip(tried, fit_ways(tried, parent, child), strict=True):
        (alone,) = fit_ways([way], parent, child)
        np.testing.assert_array_equal(alone.apply(child), together.apply(child))


def test_piecewise_is_a_regression_of_each_band_on_its_window() -> None:
    parent, child = two_instruments()
    (correction,) = fit_ways([Way("PDS", 3, 1)], parent, child)
    band = 30
    x = child[:, band - 1 : band + 2]
    solved, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), parent[:, band], rcond=None)
    np.testing.assert_allclose(correction.weights[band], solved[:3], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        correction.apply(child)[:, band], np.column_stack([x, np.ones(len(x))]) @ solved, atol=1e-5
    )


def test_the_mean_of_several_is_one_correction() -> None:
    parent, child = two_instruments()
    several = fit_ways([Way("DS", 4), Way("SST", 6), Way("PDS", 2, 3), Way("PDS", 1, 1), Way("offset")], parent, child)
    one = mean_of(several, "mean")
    np.testing.assert_allclose(one.apply(child), np.mean([c.apply(child) for c in several], axis=0), atol=1e-5)
    assert one.left.shape[1] <= len(child)
    assert mean_of(several[:1], "alone") is several[0]
    windows_only = mean_of(several[2:], "mean")
    np.testing.assert_allclose(
        windows_only.apply(child), np.mean([c.apply(child) for c in several[2:]], axis=0), atol=1e-5
    )


def test_no_more_is_tried_than_the_pairs_can_carry() -> None:
    tried = list(ways(5, 60, 1.0))
    assert max(way.rank for way in tried) == 3
    assert tried[0].kind == "offset"
    assert {way.kind for way in tried} == {"offset", "PDS", "SST", "DS"}


def test_as_chemotools_does_it() -> None:
    adaptation = pytest.importorskip("chemotools.adaptation", reason="chemotools (needs NumPy 2) is not installed")
    parent, child = two_instruments()
    noise = np.random.default_rng(5)
    parent, child = parent + noise.normal(0, 1e-3, parent.shape), child + noise.normal(0, 1e-3, child.shape)
    sst = adaptation.SpectralSpaceTransform(n_components=4).fit(child, X_source=parent)
    (ours,) = fit_ways([Way("SST", 4)], parent, child)
    np.testing.assert_allclose(ours.apply(child), sst.transform(child), atol=1e-5)
    # It centres nothing, so it is given what is centred.
    means = parent.mean(axis=0), child.mean(axis=0)
    ds = adaptation.DirectStandardization().fit(child - means[1], X_source=parent - means[0])
    (ours,) = fit_ways([Way("DS", 19)], parent, child)
    np.testing.assert_allclose(ours.apply(child), ds.transform(child - means[1]) + means[0], atol=1e-4)
    # Theirs is by PLS in each window and ours by principal components, so they agree in what comes of it only.
    pds = adaptation.PiecewiseDirectStandardization(window_length=3, n_components=2, scale=False)
    pds.fit(child, X_source=parent)
    (ours,) = fit_ways([Way("PDS", 2, 3)], parent, child)
    apart = np.abs(ours.apply(child) - pds.transform(child))[:, 3:-3]
    assert np.sqrt(np.mean(apart**2)) < 0.05 * np.sqrt(np.mean((child - parent) ** 2))
