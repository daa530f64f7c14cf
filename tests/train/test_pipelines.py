"""A scikit-learn pipeline on a device: the same answers, with an interval; what a device has not is refused by name."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stibium
from sklearn import svm
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from stibium.edge.model.estimate import Estimator
from stibium.train.errors import TrainingDataError
from stibium.train.estimators import (
    PLSR,
    SVR,
    Absorbance,
    RidgeRegressor,
    SavitzkyGolay,
    SavitzkyGolayDerivative,
    StandardNormalVariate,
)
from stibium.train.network_estimators import MobileNetV2Regressor, StackRegressor
from stibium.train.pipelines import export_pipeline, radial_network_of

NM = np.arange(500.0, 1001.0)
AT = {"wavelengths_nm": NM}
DERIVATIVE = SavitzkyGolayDerivative(31, keep_nm=5, **AT)
VIEWS = make_union(DERIVATIVE, make_pipeline(StandardNormalVariate(**AT), SavitzkyGolayDerivative(61, 2, 2, 5, **AT)))


def soils(rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    level, band = rng.uniform(0.3, 0.5, (rows, 1)), rng.uniform(0.05, 0.5, (rows, 1))
    x = level * (1 - band * np.exp(-(((NM - 760) / 60) ** 2))) + rng.normal(0, 2e-4, (rows, NM.size))
    return x, 5 + 60 * band[:, 0] + rng.normal(0, 0.3, rows)


@pytest.mark.parametrize(
    ("steps", "regressor"),
    [
        ((SavitzkyGolay(31, **AT),), PLSR(6)),
        ((DERIVATIVE,), SVR()),
        ((DERIVATIVE,), svm.SVR(C=100)),
        ((VIEWS,), PLSR(4)),
        ((VIEWS,), StackRegressor(blocks=2, fast=True)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_device_answers_as_the_pipeline_does(steps: tuple[Any, ...], regressor: Any, tmp_path: Path) -> None:
    x, y = soils()
    pipeline = make_pipeline(Absorbance(**AT), *steps, regressor)
    out = tmp_path / "sb.tflite"
    model = export_pipeline(pipeline, x, y, out, wavelengths_nm=NM, element="Sb", unit="ppm", folds=2, repeats=1)
    spectra = [stibium.Spectrum(NM, row, "reflectance", f"S{i}") for i, row in enumerate(x)]
    readings = model.estimate(spectra)
    answers = np.array([answer.value for answer in Estimator(model.bundle).estimate(spectra)])
    fitted = np.clip(np.ravel(pipeline.fit(x, y).predict(x)), y.min(), y.max())
    np.testing.assert_allclose(answers, fitted, rtol=1e-6)
    # A record has six digits.
    np.testing.assert_allclose([_said(reading) for reading in readings], fitted, rtol=6e-6)
    inside = [r.estimates[0] for r in readings if r.estimates[0].verdict == "inside"]
    assert len(inside) > 30
    assert all(one.coverage == 0.9 and one.interval_shown for one in inside)
    assert model.bundle.domain is not None


def _slope(model: stibium.Model) -> float:
    """Say what one of the network's own unit is in the element's, at most."""
    high = model.bundle.calibrated_range[1]
    return {"none": 1.0, "sqrt": 2 * high**0.5, "log10": high * float(np.log(10))}[model.bundle.transform]


def _said(reading: stibium.ReadingRecord) -> float:
    (one,) = reading.estimates
    return next(v for v in (one.value, one.untrusted_value, one.below_critical_value) if v is not None)


@pytest.mark.timeout(600)  # it teaches four networks
def test_a_network_in_eight_bits_answers_as_its_pipeline_does_in_the_runtime(tmp_path: Path) -> None:
    x, y = soils(24)
    regressor = MobileNetV2Regressor(blocks=2, fast=True, steps=10, mixtures=100)
    pipeline = make_pipeline(Absorbance(**AT), VIEWS, regressor)
    at = {"wavelengths_nm": NM, "element": "Sb", "unit": "ppm", "folds": 2, "repeats": 1}
    model = export_pipeline(pipeline, x, y, tmp_path / "sb.tflite", **at)
    assert model.bundle.provenance["method"] == "mobilenetv2"
    spectra = [stibium.Spectrum(NM, row, "reflectance", f"S{i}") for i, row in enumerate(x)]
    estimator = Estimator(model.bundle)
    answers = np.array([answer.value for answer in estimator.estimate(spectra)])
    # It is fitted and converted once more, so that a value in eight bits may come out a step further.
    fitted = pipeline.fit(x, y).predict(x)
    assert model.bundle.quantisation == pipeline[-1].distilled_.quantisation
    np.testing.assert_allclose(answers, fitted, atol=1.01 * estimator.runtime.output_step * _slope(model))
    assert None not in (model.bundle.interval, model.bundle.domain)
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(again.predict(x), fitted)


@pytest.mark.parametrize(
    "regressor", [PLSRegression(4), Ridge(1e-3), RidgeRegressor()], ids=lambda one: type(one).__name__
)
def test_what_is_linear_is_carried_as_its_weights(regressor: Any) -> None:
    x, y = soils()
    network = radial_network_of(regressor.fit(x, y), x, y)
    fitted = np.clip(np.ravel(regressor.predict(x)), y.min(), y.max())
    np.testing.assert_allclose(network.predict(x), fitted, rtol=1e-9)


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        (make_pipeline(Absorbance(**AT), StandardScaler(), PLSR()), "StandardScaler.*is no step that a device has"),
        (make_pipeline(Absorbance(**AT), RandomForestRegressor(5)), "RandomForestRegressor is neither.*distil it"),
        (make_pipeline(Absorbance(**AT), svm.SVR(kernel="poly")), "SVR is neither linear nor.*distil it"),
        (make_pipeline(FeatureUnion([("a", Absorbance(**AT))], transformer_weights={"a": 2.0}), PLSR()), "no weights"),
        (make_pipeline(Absorbance(), PLSR()), "was given other wavelengths"),
        (make_pipeline(Absorbance(least=1e-3, **AT), PLSR()), "a device refuses what is not above zero"),
    ],
    ids=["scaler", "forest", "poly", "weights", "wavelengths", "least"],
)
def test_what_a_device_does_not_have_is_refused_by_name(pipeline: Any, said: str, tmp_path: Path) -> None:
    x, y = soils()
    with pytest.raises(TrainingDataError, match=said):
        export_pipeline(pipeline, x, y, tmp_path / "m.tflite", wavelengths_nm=NM, element="Sb", unit="ppm")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pipeline": PLSR()}, "PLSR is no pipeline"),
        ({"out": "no/such/m.tflite"}, "m.tflite: there is no such folder"),
        ({"y": np.ones(3)}, r"y \(3,\)"),
        ({"X": np.ones(3)}, r"X is \(3,\)"),
        ({"names": ["a"]}, "1 names"),
        ({"unit": "bananas"}, "there is no unit 'bananas'; there are ppm, ppb, pct"),
        ({"unit": ""}, "there is no unit ''"),
        ({"element": " "}, "of which element"),
        ({"out": "."}, r"^\.: is a folder; name a file in it"),
        ({"y": np.r_[np.nan, np.ones(39)]}, "^row 1: nan is no content"),
        ({"y": np.r_[1.0, -2.0, np.ones(38)]}, "^row 2: -2 is no content"),
        ({"y": ["1", "n.d.", *"1" * 38]}, "y is not numbers"),
        ({"names": ["a", "a", *map(str, range(38))]}, r"^a: two values, [\d.]+ and [\d.]+"),
        ({"folds": 1}, "1 folds, 2 repeats: at least 2 and 1"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_what_cannot_be_trained_on_is_told_before_time_is_spent(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    x, y = soils()
    given = {"pipeline": make_pipeline(Absorbance(**AT), PLSR()), "X": x, "y": y, "out": tmp_path / "m.tflite"}
    with pytest.raises(TrainingDataError, match=said):
        export_pipeline(**{"wavelengths_nm": NM, "element": "Sb", "unit": "ppm", **given, **changed})


@pytest.mark.parametrize(("written", "kept"), [("mg kg-1", "mg_kg"), ("%", "pct"), ("PPM", "ppm")])
def test_a_unit_is_kept_as_the_table_of_units_names_it(written: str, kept: str, tmp_path: Path) -> None:
    x, y = soils()
    pipeline = make_pipeline(Absorbance(**AT), PLSR(2))
    at = {"wavelengths_nm": NM, "element": "Sb", "unit": written, "folds": 2, "repeats": 1}
    assert export_pipeline(pipeline, x, y, tmp_path / "m.tflite", **at).bundle.unit == kept


def test_a_row_that_is_no_reflectance_is_named(tmp_path: Path) -> None:
    x, y = soils()
    pipeline = make_pipeline(Absorbance(**AT), PLSR())
    with pytest.raises(TrainingDataError, match=r"^row 1: reflectance .* in percent"):
        export_pipeline(pipeline, 100 * x, y, tmp_path / "m.tflite", wavelengths_nm=NM, element="Sb", unit="ppm")
