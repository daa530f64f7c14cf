"""Recipes: which can be, what they cover, how they travel, and that a batch is treated as its spectra one by one."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.edge.errors import PreprocessError, RecipeError, WavelengthRangeError
from stibium.edge.model import recipe as preprocess
from stibium.edge.model.presets import RECIPES, paper_recipe
from stibium.edge.model.recipe import Recipe
from stibium.edge.model.scaling import Scaling, fit_scaling
from stibium.edge.model.steps import (
    Absorbance,
    ContinuumRemoval,
    Cut,
    Derivative,
    Resample,
    SavitzkyGolay,
    SavitzkyGolayDerivative,
    Spectrogram,
    SpliceCorrection,
    StandardNormalVariate,
    Step,
)

ASD_NM = np.arange(350.0, 2501.0)
JOINS_NM = (1000.0, 1800.0)


def made_up_soils(nm: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = 0.1 + 0.4 * (1 - np.exp(-(nm - 300) / 500)) * rng.uniform(0.6, 1, (n, 1))
    depth = rng.uniform(0.02, 0.2, (3, n, 1))
    bands = [(900, 100), (1910, 35), (2200, 20)]
    dips = sum(d * np.exp(-(((nm - at) / width) ** 2)) for d, (at, width) in zip(depth, bands, strict=True))
    return np.asarray(level * (1 - dips) + rng.normal(0, 3e-4, (n, nm.size)))


GRID = Resample(400, 500, 1)

# --- what a recipe may be ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((), "no resample step"),
        ((Absorbance(),), "no resample step"),
        ((Absorbance(), GRID), "resample must come first"),
        ((GRID, SpliceCorrection()), "splice_correction must come first"),
        ((GRID, GRID), "resample comes 2 times"),
        ((GRID, Absorbance(), Absorbance()), "absorbance comes 2 times"),
        ((GRID, Spectrogram(50, 20), Derivative()), "spectrogram must come last"),
        ((GRID, Derivative(), Absorbance()), "absorbance must come before derivative"),
        ((GRID, StandardNormalVariate(), Absorbance()), "absorbance must come before standard_normal_variate"),
        ((GRID, Derivative(), ContinuumRemoval()), "continuum_removal must come before derivative"),
        ((GRID, ContinuumRemoval("subtract"), Absorbance()), "subtracted continuum"),
        ((GRID, ContinuumRemoval("subtract", "lower"), Absorbance()), "subtracted continuum"),
        ((GRID, SavitzkyGolay(1)), "degree 2 needs 3"),
        ((GRID, SavitzkyGolay(103)), "the spectrum has 101"),
        ((GRID, Cut(390, 450)), "covers 400-500 nm; 390-450 nm is needed"),
        ((GRID, Spectrogram()), "frame of 255 bands is longer"),
        ((GRID, Cut(400, 440), Spectrogram(50, 20)), "frame of 50 bands is longer"),
        ((GRID, "absorbance"), "no preprocessing step"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(steps: tuple[Step, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe(steps)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (SpliceCorrection, {"method": "parabolic"}),
        (SpliceCorrection, {"reference": "NIR"}),
        (SpliceCorrection, {"width_nm": 0}),
        (Resample, {"first_nm": 400, "last_nm": 400}),
        (Resample, {"first_nm": 400, "last_nm": 2400, "step_nm": 0.3}),
        (Resample, {"first_nm": 400, "last_nm": 2400, "step_nm": -1}),
        (Resample, {"first_nm": 400, "last_nm": 2400, "step_nm": 1e-6}),
        (Resample, {"first_nm": 400, "last_nm": float("inf")}),
        (Resample, {"first_nm": "400"}),
        (Resample, {"first_nm": True}),
        (Cut, {"first_nm": float("nan"), "last_nm": 500}),
        (Cut, {"first_nm": 450, "last_nm": 450}),
        (ContinuumRemoval, {"method": "multiply"}),
        (ContinuumRemoval, {"hull": None}),
        (SavitzkyGolay, {"window_nm": 0}),
        (SavitzkyGolay, {"degree": 2.0}),
        (SavitzkyGolay, {"degree": -1}),
        (SavitzkyGolay, {"degree": 11}),
        (SavitzkyGolayDerivative, {"order": 3}),
        (Derivative, {"order": 0}),
        (Derivative, {"order": True}),
        (Derivative, {"order": 3}),
        (Spectrogram, {"frame_length": 0}),
        (Spectrogram, {"frame_step": 1.5}),
        (Spectrogram, {"fft_length": 0}),
        (Spectrogram, {"fft_length": 10**9}),
        (Spectrogram, {"frame_length": 50, "fft_length": 32}),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_by_its_step(kind: type, arguments: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=kind.step):  # type: ignore[attr-defined]
        kind(**arguments)


def test_the_presets_are_the_papers_two_orders() -> None:
    front, end = (
        (SpliceCorrection("additive", "SWIR1"), Resample(400, 2400, 1)),
        (
            SavitzkyGolay(31, 2),
            Derivative(1),
            Spectrogram(255, 128),
        ),
    )
    assert RECIPES["paper"].steps == (*front, Absorbance(), ContinuumRemoval("subtract", "upper"), *end)
    first = (ContinuumRemoval("divide", "upper"), Absorbance())
    assert RECIPES["paper-continuum-first"].steps == (*front, *first, *end)
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.range_nm == (400, 2400)
        assert recipe.feature_shape == (14, 129, 1)


def leaving_out(recipe: Recipe, *kinds: type) -> Recipe:
    """The same steps but for some."""
    return Recipe(tuple(step for step in recipe.steps if not isinstance(step, kinds)))


def test_variants_leave_steps_out() -> None:
    plain = leaving_out(paper_recipe(), SpliceCorrection, SavitzkyGolay, Derivative, Spectrogram)
    assert plain.steps == (Resample(), Absorbance(), ContinuumRemoval("subtract", "upper"))
    assert plain.feature_shape == (2001,)
    short = Recipe((Resample(350, 2500, 2), Cut(400, 1500), Spectrogram(64, 32)))
    assert short.range_nm == (350, 2500)
    np.testing.assert_array_equal(short.wavelengths_nm, np.arange(400.0, 1501.0, 2.0))
    assert short.feature_shape == (16, 33, 1)


# --- how recipes travel -----------------------------------------------------------------------------------------

steps_st = st.tuples(
    st.none() | st.builds(SpliceCorrection, st.sampled_from(["additive", "multiplicative"]), st.just("VNIR")),
    st.builds(
        lambda first, bands, step: Resample(first, first + (bands - 1) * step, step),
        st.sampled_from([350, 400.0, 412.5]),
        st.integers(200, 400),
        st.sampled_from([1, 1.5, 2.0, 10]),
    ),
    st.sampled_from(
        [
            (),
            (Absorbance(),),
            (Absorbance(), ContinuumRemoval("subtract")),
            (ContinuumRemoval(), Absorbance()),
            (SavitzkyGolay(90, 3), Absorbance()),
        ]
    ),
    st.none() | st.just(StandardNormalVariate()),
    st.none() | st.builds(Derivative, st.sampled_from([1, 2])),
    st.none() | st.builds(Spectrogram, st.integers(1, 64), st.integers(1, 64), st.sampled_from([None, 64, 100])),
)


@given(steps_st, st.text(max_size=10))
@settings(deadline=None)
def test_a_recipe_comes_back_from_json_as_it_was(parts: tuple[object, ...], name: str) -> None:
    front, grid, absorbance, *rest = parts
    recipe = Recipe(tuple(s for s in (front, grid, *absorbance, *rest) if s is not None), name)  # type: ignore[misc]
    back = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert back == recipe
    assert hash(back) == hash(recipe)
    assert back.to_dict() == recipe.to_dict()
    assert json.dumps(back.to_dict()) == json.dumps(recipe.to_dict())


def test_a_recipe_is_a_key_and_can_be_copied_and_pickled() -> None:
    recipe = paper_recipe()
    recipe.preprocess(made_up_soils(ASD_NM, 1), ASD_NM)
    assert {recipe: 1}[paper_recipe()] == 1
    assert pickle.loads(pickle.dumps(recipe)) == copy.deepcopy(recipe) == recipe
    assert paper_recipe(name="other") != recipe
    assert Resample(400, 2400, 1) == Resample(400.0, 2400.0, 1.0)
    with pytest.raises(AttributeError):
        recipe.name = "x"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        recipe.grid_nm[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        recipe.wavelengths_nm[0] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("name"), "a name and steps"),
        (lambda d: d.update(version=2), "a name and steps"),
        (lambda d: d.update(name=3), "name is a text"),
        (lambda d: d.update(steps="resample"), "steps are a list"),
        (lambda d: d["steps"].append("absorbance"), "'absorbance' is no preprocessing step"),
        (lambda d: d["steps"].append({}), "None is no preprocessing step"),
        (lambda d: d["steps"].append({"step": ["cut"]}), "is no preprocessing step"),
        (lambda d: d["steps"].append({"step": "wavelet"}), "'wavelet' is no preprocessing step"),
        (lambda d: d["steps"][4].pop("degree"), "savitzky_golay: degree is missing"),
        (lambda d: d["steps"][4].update(mode="nearest"), "savitzky_golay: mode is unknown"),
        (lambda d: d["steps"][4].update(window="31", **{"degree": d["steps"][4].pop("degree")}), "window is unknown"),
        (lambda d: d["steps"][4].update(window_nm="31"), "savitzky_golay: window_nm is '31'"),
        (lambda d: d["steps"][4].update(window_nm=None), "savitzky_golay: window_nm is None"),
        (lambda d: d["steps"][1].update(step_nm=1e-9), "is no grid"),
        (lambda d: d["steps"].reverse(), "must come first"),
    ],
)
def test_a_dictionary_that_is_no_recipe_is_refused(change: object, message: str) -> None:
    data = json.loads(json.dumps(RECIPES["paper"].to_dict()))
    change(data)  # type: ignore[operator]
    with pytest.raises(RecipeError, match=message):
        Recipe.from_dict(data)


@pytest.mark.parametrize("data", [None, [], "paper", 3, {"name": "", "steps": {}}])
def test_what_is_not_even_a_dictionary_is_refused(data: object) -> None:
    with pytest.raises(RecipeError):
        Recipe.from_dict(data)  # type: ignore[arg-type]


# --- what recipes do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("n", [1, 2, preprocess.CHUNK, preprocess.CHUNK + 1, 3 * preprocess.CHUNK + 5])
def test_a_batch_is_treated_as_its_spectra_one_by_one(name: str, n: int) -> None:
    soils = made_up_soils(ASD_NM, n) + 0.01 * (ASD_NM > 1000)
    before = soils.copy()
    batch = RECIPES[name].preprocess(soils, ASD_NM, JOINS_NM)
    assert batch.features.shape == (n, 14, 129, 1)
    assert batch.spectra.shape == (n, 2001)
    np.testing.assert_array_equal(batch.wavelengths_nm, np.arange(400.0, 2401.0))
    for i in range(n):
        one = RECIPES[name].preprocess(soils[i], ASD_NM, JOINS_NM)
        assert one.features.shape == (14, 129, 1)
        assert np.abs(one.features - batch.features[i]).max() <= 1e-12 * np.abs(batch.features[i]).max()
        assert np.abs(one.spectra - batch.spectra[i]).max() <= 1e-12 * np.abs(batch.spectra[i]).max()
    np.testing.assert_array_equal(soils, before)


def test_no_spectra_give_no_features() -> None:
    none = RECIPES["paper"].preprocess(np.empty((0, ASD_NM.size)), ASD_NM, JOINS_NM)
    assert none.features.shape == (0, 14, 129, 1)
    assert none.spectra.shape == (0, 2001)


def test_without_a_spectrogram_the_features_are_the_spectra() -> None:
    done = leaving_out(paper_recipe(), Spectrogram).preprocess(made_up_soils(ASD_NM, 20), ASD_NM)
    assert done.features is done.spectra


def test_a_recipe_does_what_its_steps_do_one_by_one() -> None:
    soils = made_up_soils(ASD_NM, 11) + 0.02 * (ASD_NM > 1800)
    ours = RECIPES["paper-continuum-first"].preprocess(soils, ASD_NM, JOINS_NM)
    x = SpliceCorrection("additive", "SWIR1").apply(soils, ASD_NM, JOINS_NM)[:, 50:2051]
    nm = ASD_NM[50:2051]
    for step in (ContinuumRemoval("divide"), Absorbance(), SavitzkyGolay(31, 2), Derivative()):
        x = step.apply(x, nm)
    np.testing.assert_allclose(ours.spectra, x, rtol=0, atol=1e-15)
    np.testing.assert_allclose(ours.features, Spectrogram().apply(x, nm), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("step_nm", "tolerance"), [(0.5, 1e-3), (1.5, 1e-3), (2, 2e-3), (10, 0.05)])
def test_instruments_on_other_grids_give_nearly_the_same_spectra(step_nm: float, tolerance: float) -> None:
    """Noise-free, so that all that differs is the sampling."""
    recipe = leaving_out(paper_recipe(), Spectrogram)
    fine_nm = np.arange(350.0, 2501.0)
    other_nm = 350 + step_nm * np.arange(int(2150 / step_nm) + 1)

    def soil(nm: np.ndarray) -> np.ndarray:
        dips = 0.1 * np.exp(-(((nm - 900) / 120) ** 2)) + 0.15 * np.exp(-(((nm - 1915) / 45) ** 2))
        return np.asarray((0.1 + 0.4 * (1 - np.exp(-(nm - 300) / 500))) * (1 - dips))

    fine = recipe.preprocess(soil(fine_nm), fine_nm).spectra
    other = recipe.preprocess(soil(other_nm), other_nm).spectra
    difference = np.abs(other - fine).max() / np.abs(fine).max()
    assert difference < tolerance


@pytest.mark.parametrize("step_nm", [1.0, 1.5, 2.0, 10.0])
def test_the_models_grid_may_be_another(step_nm: float) -> None:
    grid = Resample(400, 400 + step_nm * round(2000 / step_nm), step_nm)
    begins = (SpliceCorrection(), grid, Absorbance(), ContinuumRemoval("subtract"))
    recipe = Recipe((*begins, SavitzkyGolay(31, 2), Derivative(1), Spectrogram(64, 32)))
    done = recipe.preprocess(made_up_soils(ASD_NM, 3), ASD_NM, JOINS_NM)
    assert done.features.shape == (3, *recipe.feature_shape)
    assert done.wavelengths_nm.size == grid.wavelengths_nm.size == done.spectra.shape[1]


def test_splices_matter_only_where_there_are_some() -> None:
    soils = made_up_soils(ASD_NM, 2)
    stepped = soils + 0.02 * (ASD_NM > 1000)
    with_joins = RECIPES["paper"].preprocess(stepped, ASD_NM, JOINS_NM).spectra
    without = RECIPES["paper"].preprocess(stepped, ASD_NM).spectra
    beside = slice(590, 611)
    assert np.abs(with_joins[:, beside]).max() < 0.3 * np.abs(without[:, beside]).max()
    unspliced = leaving_out(paper_recipe(), SpliceCorrection).preprocess(stepped, ASD_NM, JOINS_NM).spectra
    np.testing.assert_array_equal(unspliced, without)


# --- what recipes refuse ----------------------------------------------------------------------------------------


def test_a_spectrum_that_does_not_cover_the_range_is_refused() -> None:
    nm = np.arange(325.0, 1076.0)
    with pytest.raises(WavelengthRangeError, match=r"covers 325-1075 nm; 400-2400 nm is needed"):
        RECIPES["paper"].preprocess(np.full((2, nm.size), 0.3), nm)


def test_a_bad_spectrum_is_named_by_its_place_in_the_whole_batch() -> None:
    soils = made_up_soils(ASD_NM, 2 * preprocess.CHUNK + 3)
    bad = preprocess.CHUNK + 2
    soils[bad, 60] = -0.5
    with pytest.raises(PreprocessError, match=rf"-0.5 at 410 nm of spectrum {bad} is not above zero"):
        RECIPES["paper"].preprocess(soils, ASD_NM, JOINS_NM)
    soils[bad, 60] = np.inf
    with pytest.raises(PreprocessError, match=f"inf at band 60 of spectrum {bad}"):
        RECIPES["paper"].preprocess(soils, ASD_NM, JOINS_NM)


def test_what_lies_outside_the_range_may_be_anything_finite() -> None:
    soils = made_up_soils(ASD_NM, 1)
    worse = soils.copy()
    worse[:, :50] = -3
    for spectra in (soils, worse):
        assert np.isfinite(RECIPES["paper"].preprocess(spectra, ASD_NM, JOINS_NM).features).all()
    np.testing.assert_array_equal(
        RECIPES["paper"].preprocess(soils, ASD_NM, JOINS_NM).features,
        RECIPES["paper"].preprocess(worse, ASD_NM, JOINS_NM).features,
    )


@pytest.mark.parametrize(
    ("values", "nm"),
    [
        (np.full((2, 2150), 0.3), ASD_NM),
        (np.full((2, 2151), 0.3), ASD_NM[::-1]),
        (np.full((2, 3, 2151), 0.3), ASD_NM),
        (np.full((2, 2151), 0.3), ASD_NM[np.newaxis]),
        (np.full((2, 2151), 0.3), np.where(ASD_NM == 900, np.nan, ASD_NM)),
        (0.3, ASD_NM),
    ],
)
def test_arrays_that_do_not_match_are_refused(values: np.ndarray, nm: np.ndarray) -> None:
    with pytest.raises(PreprocessError):
        RECIPES["paper"].preprocess(values, nm)


# --- scaling ----------------------------------------------------------------------------------------------------


def test_scaling_gives_mean_0_and_deviation_1() -> None:
    features = np.random.default_rng(0).gamma(2, size=(30, 5, 7, 1)) * np.arange(1, 8)[:, None]
    overall = fit_scaling(features)
    assert overall.offset.shape == ()
    np.testing.assert_allclose([overall.apply(features).mean(), overall.apply(features).std()], [0, 1], atol=1e-12)
    per_bin = fit_scaling(features, per="bin")
    assert per_bin.offset.shape == (7, 1)
    scaled = per_bin.apply(features)
    np.testing.assert_allclose(scaled.mean(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=(0, 1)), 1)
    np.testing.assert_array_equal(per_bin.apply(features[3]), scaled[3])
    bands = fit_scaling(features[:, 0, :, 0], per="bin")
    assert bands.offset.shape == (7,)
    np.testing.assert_allclose(bands.apply(features[:, 0, :, 0]).std(axis=0), 1)


def test_what_never_varies_is_not_divided_by_zero() -> None:
    features = np.random.default_rng(0).normal(size=(10, 4))
    features[:, 2] = 5
    scaled = fit_scaling(features, per="bin").apply(features)
    np.testing.assert_allclose(scaled[:, 2], 0, atol=1e-12)
    assert np.isfinite(scaled).all()


def test_scalings_are_values() -> None:
    one = Scaling(offset=np.zeros((129, 1)), scale=np.full((129, 1), 2.0))
    same = Scaling(offset=np.zeros((129, 1)), scale=np.full((129, 1), 2.0))
    assert one == same
    assert hash(one) == hash(same)
    assert one != Scaling(offset=np.zeros((129, 1)), scale=np.full((129, 1), 3.0))
    assert one != "scaling"
    assert replace(one, scale=np.array(1.0)).scale == 1
    with pytest.raises(ValueError, match="read-only"):
        one.offset[0] = 1


def test_scaling_refuses_what_cannot_be() -> None:
    for offset, scale in [(0, 0), (0, -1), (np.nan, 1), (0, np.inf)]:
        with pytest.raises(RecipeError, match="scaling needs"):
            Scaling(np.array(offset), np.array(scale))
    for features, per in [(np.ones((0, 3)), "bin"), (np.ones(3), "bin"), (np.ones((2, 3)), "frame")]:
        with pytest.raises(RecipeError, match="no scaling per"):
            fit_scaling(features, per)  # type: ignore[arg-type]
    per_bin = Scaling(np.zeros((129, 1)), np.ones((129, 1)))
    for shape in [(14, 128, 1), (129,), (2, 14, 129), (1, 1)]:
        with pytest.raises(PreprocessError, match="do not fit"):
            per_bin.apply(np.ones(shape))
