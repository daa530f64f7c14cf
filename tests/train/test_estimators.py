"""scikit-learn's habits: its own checks pass, and what a pipeline gives is what a device gives."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from stibium.edge.errors import PreprocessError
from stibium.edge.model import steps
from stibium.edge.model.recipe import Recipe
from stibium.edge.model.target import forward, inverse
from stibium.train import estimators, network_estimators
from stibium.train.estimators import (
    PLSR,
    SVR,
    Absorbance,
    ContinuumRemoval,
    Cut,
    Derivative,
    RidgeRegressor,
    SavitzkyGolay,
    SavitzkyGolayDerivative,
    StandardNormalVariate,
)
from stibium.train.methods import mobilenetv2
from stibium.train.methods.mobilenetv2 import space_to_learn_in
from stibium.train.network_estimators import MobileNetV2Regressor, StackRegressor

TOO_FEW_BANDS = "the checks fit two bands; a window needs as many bands as it is wide"
FLAT = "the check has a row that is the same everywhere, which has no variance to be scaled by"
TWO_BANDS = (
    *("check_estimators_overwrite_params", "check_estimators_fit_returns_self", "check_readonly_memmap_input"),
    *("check_fit_idempotent", "check_fit_check_is_fitted", "check_n_features_in"),
)


def not_passed(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, (SavitzkyGolay, SavitzkyGolayDerivative)) and estimator.window_nm > 2:
        return dict.fromkeys(TWO_BANDS, TOO_FEW_BANDS)
    if isinstance(estimator, StandardNormalVariate):
        return {"check_estimators_dtypes": FLAT}
    return {}


@parametrize_with_checks(
    [
        Absorbance(least=1e-4),
        ContinuumRemoval(least=1e-4),
        ContinuumRemoval("subtract"),
        SavitzkyGolay(1, 0),
        SavitzkyGolay(3, 1),
        SavitzkyGolayDerivative(1, 0, 0),
        SavitzkyGolayDerivative(3, 2, 1),
        Derivative(),
        StandardNormalVariate(),
        Cut(400, 401),
        PLSR(),
        RidgeRegressor(),
        SVR(),
        StackRegressor(fast=True),
    ],
    expected_failed_checks=not_passed,
)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    with np.errstate(all="ignore"):
        check(estimator)


def least_squares(rows: Any, labels: Any, own: Any, target: Any, out_of_fold: Any, *rest: Any) -> SimpleNamespace:
    """Stand in for `distil`, which takes up to a minute: what answers is fitted, as bytes, to the same rows."""
    transform = space_to_learn_in(out_of_fold, target, "both")
    weights = np.linalg.lstsq(np.c_[rows, np.ones(len(rows))].astype(float), forward(labels, transform), rcond=None)[0]
    runtime = Answers(weights.tobytes())
    return SimpleNamespace(transform=transform, model=weights.tobytes(), quantisation="int8", runtime=runtime)


class Answers:
    """Stand in for the runtime."""

    def __init__(self, model: bytes, known_good: bool = False) -> None:
        self.weights = np.frombuffer(model)

    def run(self, features: Any) -> Any:
        return features @ self.weights[:-1] + self.weights[-1]


@parametrize_with_checks([MobileNetV2Regressor(fast=True, mixtures=60)])
def test_scikit_learns_own_checks_of_what_is_around_the_network(estimator: Any, check: Any) -> None:
    # A check that passes a network's wrapper passes the network: that it answers as it should is test_pipelines.py's.
    with pytest.MonkeyPatch.context() as patched, np.errstate(all="ignore"):
        patched.setattr(network_estimators, "distil", least_squares)
        patched.setattr(network_estimators, "Runtime", Answers)
        check(estimator)


@pytest.mark.parametrize("space", ["sqrt", "log10"])
def test_a_student_answers_in_the_space_that_was_chosen_for_it(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The regressor took its teacher's space, where `train` chose the student's own."""
    monkeypatch.setattr(mobilenetv2, "space_to_learn_in", lambda *_: space)
    target = np.linspace(1.0, 9.0, 12)
    regressor = MobileNetV2Regressor(fast=True, steps=2, mixtures=60).fit(reflectance(), target)
    assert regressor.transform_ == space
    said = regressor.predict(reflectance())
    z = regressor._runtime.run(regressor.scaling_.apply(reflectance()))
    np.testing.assert_array_equal(said, np.clip(inverse(z, space), 1.0, 9.0))


def test_blocks_are_of_one_size() -> None:
    with pytest.raises(ValueError, match="X has 120 features, which are not 7 blocks of one size"):
        StackRegressor(blocks=7).fit(reflectance(), np.arange(12.0))


def reflectance(rows: int = 12, bands: int = 120) -> np.ndarray:
    rng = np.random.default_rng(rows)
    x = np.linspace(0, 3, bands)
    return 0.3 + 0.1 * np.sin(x + rng.uniform(0, 2, (rows, 1))) + rng.normal(0, 1e-3, (rows, bands))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([11.0, 21.0]), st.integers(1, 3), st.booleans(), st.integers(1, 2))
def test_a_pipeline_is_the_devices_recipe(window_nm: float, degree: int, snv: bool, order: int) -> None:
    rows = reflectance()
    pipeline = make_pipeline(
        Absorbance(), *([StandardNormalVariate()] if snv else []), SavitzkyGolay(window_nm, degree), Derivative(order)
    )
    recipe = Recipe(
        (
            steps.Resample(400, 519),
            steps.Absorbance(),
            *([steps.StandardNormalVariate()] if snv else []),
            steps.SavitzkyGolay(window_nm, degree),
            steps.Derivative(order),
        )
    )
    nm = 400.0 + np.arange(120)
    np.testing.assert_array_equal(pipeline.fit_transform(rows), recipe.preprocess(rows, nm).spectra)


def test_every_step_of_a_recipe_but_the_grid_and_the_spectrogram_is_a_transformer() -> None:
    kinds = {kind.kind for kind in estimators.StepTransformer.__subclasses__()}
    # These are fitted to pairs of wet and dry scans, which no X has.
    of_pairs = {steps.ExternalParameterOrthogonalisation, steps.FeatureOrthogonalisation}
    others = {steps.SpliceCorrection, steps.Resample, steps.Spectrogram, *of_pairs}
    assert kinds == set(steps.STEPS.values()) - others


def test_bands_that_are_left_are_named_by_their_wavelengths() -> None:
    nm = np.arange(1000.0, 1120.0)
    cut = Cut(1010, 1019, wavelengths_nm=nm).fit(reflectance())
    assert cut.transform(reflectance()).shape == (12, 10)
    assert list(cut.get_feature_names_out()) == [f"{v:g}" for v in range(1010, 1020)]
    with pytest.raises(ValueError, match="X has 120 bands and wavelengths_nm 3"):
        Derivative(wavelengths_nm=[1, 2, 3]).fit(reflectance())


def test_black_is_refused_unless_it_is_asked_for() -> None:
    rows = reflectance()
    rows[3, 7] = 0.0
    with pytest.raises(PreprocessError, match="407 nm of spectrum 3"):
        Absorbance().fit(rows).transform(rows)
    assert Absorbance(least=1e-3).fit(rows).transform(rows)[3, 7] == pytest.approx(3.0)


def test_a_fitted_transformer_survives_pickling_and_cloning() -> None:
    fitted = SavitzkyGolay(11).fit(reflectance())
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(reflectance()), fitted.transform(reflectance()))
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "grid_")


@pytest.mark.parametrize("regressor", [PLSR(8), RidgeRegressor(), SVR()], ids=lambda one: type(one).__name__)
def test_regressions_learn_within_scikit_learns_tools(regressor: Any) -> None:
    rng = np.random.default_rng(1)
    rows = reflectance(60)
    y = 50 * rows[:, 30] - 40 * rows[:, 90] + rng.normal(0, 0.05, 60)
    pipeline = make_pipeline(Absorbance(), SavitzkyGolay(11), regressor)
    assert cross_val_score(pipeline, rows, y, cv=3).min() > 0.8
    search = GridSearchCV(pipeline, {"savitzkygolay__window_nm": [11.0, 21.0]}, cv=2).fit(rows, y)
    assert search.best_score_ > 0.8


def test_weights_of_linear_regressions_are_of_the_bands_as_given() -> None:
    rows = reflectance(40)
    y = 3 + 20 * rows[:, 10]
    for regressor in (PLSR(), RidgeRegressor(), RidgeRegressor(autoscale=True)):
        fitted = regressor.fit(rows, y)
        np.testing.assert_allclose(fitted.predict(rows), rows @ fitted.coef_ + fitted.intercept_)
