"""External parameter orthogonalisation: what it takes out, what it leaves, and that a bundle keeps it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import RecipeError
from stibium.edge.model.bundle import Bundle, pack_bundle, to_record, unpack_bundle
from stibium.edge.model.recipe import Blocks, Recipe
from stibium.edge.model.scaling import Scaling
from stibium.edge.model.steps import Absorbance, ExternalParameterOrthogonalisation, FeatureOrthogonalisation, Resample

NM = np.linspace(400.0, 2400.0, 101)
GRID = Resample(400.0, 2400.0, 20.0)


def step_of(directions: np.ndarray, duals: np.ndarray | None = None) -> ExternalParameterOrthogonalisation:
    rows = tuple(map(tuple, directions.tolist()))
    others = rows if duals is None else tuple(map(tuple, duals.tolist()))
    return ExternalParameterOrthogonalisation(0.4, 0.1, tuple(np.zeros(101).tolist()), rows, others)


def normalised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=-1, keepdims=True)) / values.std(axis=-1, ddof=1, keepdims=True)


@given(st.integers(0, 10_000))
def test_orthogonal_directions_are_projected_away(seed: int) -> None:
    """As Roger et al. write it: X (I - V V'), V the directions, orthonormal."""
    random = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(random.normal(size=(101, 3)))
    absorbance = random.normal(size=(4, 101))
    found = (step_of(directions.T).apply(absorbance, NM) - 0.4) / 0.1
    wanted = normalised(absorbance) @ (np.eye(101) - directions @ directions.T)
    np.testing.assert_allclose(found, wanted, atol=1e-9)


@given(st.integers(0, 10_000))
def test_other_duals_project_too(seed: int) -> None:
    random = np.random.default_rng(seed)
    directions, duals = random.normal(size=(2, 2, 101))
    step = step_of(directions, duals)
    absorbance = random.normal(size=(3, 101))
    once = (step.apply(absorbance, NM) - 0.4) / 0.1
    # Nothing is left that the duals see.
    np.testing.assert_allclose(once @ duals.T, 0, atol=1e-8 * max(1, np.abs(once).max()))


@pytest.mark.parametrize(
    "change",
    [
        {"directions": ((1.0, 2.0),)},
        {"duals": ()},
        {"centre": (1.0,)},
        {"centre": ("a",) * 101},
        {"spread": 0.0},
        {"level": float("nan")},
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        replace(step_of(np.eye(101)[:2]), **change)  # type: ignore[arg-type]


def test_it_comes_right_after_absorbance() -> None:
    step = step_of(np.eye(101)[:2])
    assert Recipe((GRID, Absorbance(), step)).grid_nm.size == 101
    with pytest.raises(RecipeError, match="right after absorbance"):
        Recipe((GRID, step))


def test_a_bundle_keeps_it_once_among_its_arrays(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    step = step_of(np.random.default_rng(1).normal(size=(2, 101)).astype(np.float32).astype(np.float64))
    blocks = Blocks(tuple(Recipe((GRID, Absorbance(), step), name) for name in ("a", "b")))
    bundle = replace(
        shipped_bundle, recipe=blocks, scaling=Scaling(np.zeros(202), np.ones(202)), domain=None, golden=None
    )
    content = pack_bundle(bundle)
    assert unpack_bundle(content).recipe == blocks
    assert hash(unpack_bundle(content).recipe) == hash(blocks)
    assert to_record(bundle)[1]["moisture_directions"].shape == (2, 101)
    wet = blocks.preprocess(soils[0].values, soils[0].wavelengths_nm).features
    again = unpack_bundle(content).recipe.preprocess(soils[0].values, soils[0].wavelengths_nm).features
    np.testing.assert_array_equal(again, wet)


def of_features(seed: int, bands: int = 101, count: int = 3) -> FeatureOrthogonalisation:
    random = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(random.normal(size=(bands, count)))
    centre, scale = random.normal(size=bands), random.uniform(0.5, 2, bands)
    arrays = [array.astype(np.float32).astype(np.float64) for array in (centre, scale, directions.T)]
    return FeatureOrthogonalisation(*(tuple(map(tuple, a)) if a.ndim == 2 else tuple(a) for a in arrays))  # type: ignore[arg-type]


@given(st.integers(0, 10_000))
def test_features_are_scaled_and_projected(seed: int) -> None:
    """As Roger et al. write it: X (I - V V'), V the directions, orthonormal."""
    step = of_features(seed)
    features = np.random.default_rng(seed).normal(size=(4, 101))
    v = np.array(step.directions).T
    wanted = (features - np.array(step.centre)) / np.array(step.scale) @ (np.eye(101) - v @ v.T)
    np.testing.assert_allclose(step.apply(features, NM), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"directions": ((1.0, 2.0),)},
        {"directions": (1.0, 2.0)},
        {"scale": (0.0,) * 101},
        {"scale": (1.0,)},
        {"centre": ("a",) * 101},
        {"centre": ()},
    ],
)
def test_features_that_cannot_be_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        replace(of_features(1), **change)  # type: ignore[arg-type]


def test_features_come_last_and_fit_their_bands() -> None:
    with pytest.raises(RecipeError, match="feature_orthogonalisation must come last"):
        Recipe((GRID, of_features(1), Absorbance()))
    with pytest.raises(RecipeError, match="made for 50 bands, and there are 101"):
        Recipe((GRID, Absorbance(), of_features(1, bands=50)))


def test_a_bundle_keeps_the_directions_of_each_block(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    blocks = Blocks(tuple(Recipe((GRID, Absorbance(), of_features(seed))) for seed in (1, 2, 1)))
    bundle = replace(
        shipped_bundle, recipe=blocks, scaling=Scaling(np.zeros(303), np.ones(303)), domain=None, golden=None
    )
    assert sorted(name for name in to_record(bundle)[1] if "directions" in name) == [
        "moisture_directions",
        "moisture_directions_2",
    ]
    again = unpack_bundle(pack_bundle(bundle)).recipe
    assert again == blocks
    assert hash(again) == hash(blocks)


def test_directions_of_half_the_digits_take_half_the_room(shipped_bundle: Bundle) -> None:
    def packed(precision: type[np.floating]) -> tuple[Blocks, bytes]:
        step = of_features(2, count=8)
        rows = np.array(step.directions).astype(precision).astype(np.float64)
        step = replace(step, directions=tuple(map(tuple, rows.tolist())))
        blocks = Blocks((Recipe((GRID, Absorbance(), step), "a"),))
        bundle = replace(
            shipped_bundle, recipe=blocks, scaling=Scaling(np.zeros(101), np.ones(101)), domain=None, golden=None
        )
        return blocks, pack_bundle(bundle)

    (half, small), (full, large) = packed(np.float16), packed(np.float32)
    assert unpack_bundle(small).recipe == half
    assert unpack_bundle(large).recipe == full
    assert len(large) - len(small) > 0.8 * 2 * 8 * 101
