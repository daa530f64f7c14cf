"""Savitzky-Golay derivatives against SciPy, and several recipes side by side."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_filter
from stibium.edge.errors import RecipeError
from stibium.edge.model.grid import Grid
from stibium.edge.model.presets import RECIPES
from stibium.edge.model.recipe import Blocks, Recipe, preprocessing_from_dict
from stibium.edge.model.steps import (
    Absorbance,
    Resample,
    SavitzkyGolayDerivative,
    SpliceCorrection,
    StandardNormalVariate,
)

NM = np.arange(400.0, 2401.0)


@settings(max_examples=60, deadline=None)
@given(
    bands=st.integers(40, 400),
    half=st.integers(2, 18),
    degree=st.integers(1, 4),
    order=st.integers(0, 2),
    every=st.integers(1, 12),
    step_nm=st.sampled_from([0.5, 1.0, 2.0, 10.0]),
    seed=st.integers(0, 1000),
)
def test_equals_scipy_at_every_kept_band_ends_included(bands, half, degree, order, every, step_nm, seed) -> None:
    window = 2 * half + 1
    if degree >= window or order > degree:
        return
    nm = 400 + step_nm * np.arange(bands)
    values = np.random.default_rng(seed).normal(size=(3, bands))
    step = SavitzkyGolayDerivative(window * step_nm, degree, order, every * step_nm)
    ours, kept_nm = step.apply(values, nm), step.prepare(Grid(nm))[1].wavelengths_nm
    theirs = savgol_filter(values, window, degree, deriv=order, delta=step_nm)[:, ::every]
    np.testing.assert_array_equal(kept_nm, nm[::every])
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9 * np.abs(theirs).max())


def test_a_polynomial_has_its_own_derivative() -> None:
    ours = SavitzkyGolayDerivative(31, 2, 1, 10.0).apply(0.5 * NM**2, NM)
    np.testing.assert_allclose(ours, NM[::10], rtol=1e-8)


def test_order_above_degree_is_refused() -> None:
    with pytest.raises(RecipeError, match="degree 1 has no derivative of order 2"):
        SavitzkyGolayDerivative(window_nm=31, degree=1, order=2)


def blocks() -> Blocks:
    begin = (SpliceCorrection(), Resample(), Absorbance())
    return Blocks(
        (
            Recipe((*begin, SavitzkyGolayDerivative(31, 2, 1, 10.0))),
            Recipe((*begin, StandardNormalVariate(), SavitzkyGolayDerivative(61, 2, 2, 10.0))),
            RECIPES["paper"],
        ),
        "three",
    )


def test_features_stand_side_by_side() -> None:
    spectra = np.random.default_rng(1).uniform(0.2, 0.4, (4, NM.size))
    both = blocks().preprocess(spectra, NM)
    singly = [r.preprocess(spectra, NM) for r in blocks().recipes]
    assert blocks().sizes == (201, 201, 14 * 129)
    assert blocks().feature_shape == (201 + 201 + 14 * 129,)
    np.testing.assert_array_equal(both.features, np.hstack([p.features.reshape(4, -1) for p in singly]))
    np.testing.assert_array_equal(both.spectra, singly[0].spectra)
    np.testing.assert_array_equal(both.wavelengths_nm, np.arange(400.0, 2401.0, 10))
    # Thinned features or not, the applicability domain sees every band of the grid.
    np.testing.assert_array_equal(both.reflectance, spectra)
    np.testing.assert_array_equal(both.reflectance_nm, NM)
    one = blocks().preprocess(spectra[2], NM)
    np.testing.assert_allclose(one.features, both.features[2], rtol=1e-9, atol=1e-12)


def test_written_and_read_back_they_are_the_same() -> None:
    assert preprocessing_from_dict(json.loads(json.dumps(blocks().to_dict()))) == blocks()
    assert preprocessing_from_dict(json.loads(json.dumps(RECIPES["paper"].to_dict()))) == RECIPES["paper"]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(more=1),
        lambda d: d.update(name=[]),
        lambda d: d.update(views=[]),
        lambda d: d.update(views="x"),
        lambda d: d["views"].append({}),
    ],
)
def test_anything_unknown_is_refused(change) -> None:
    data = blocks().to_dict()
    change(data)
    with pytest.raises(RecipeError):
        preprocessing_from_dict(data)


def test_recipes_on_other_grids_are_no_blocks() -> None:
    with pytest.raises(RecipeError, match="share"):
        Blocks((RECIPES["paper"], Recipe((Resample(400, 2400, 2),))))
