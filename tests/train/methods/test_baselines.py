from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from soil_like import soil_like
from stibium.edge.model.target import forward, inverse
from stibium.train.crossval.decision import DECIDE_BY, DecideBy, unexplained
from stibium.train.crossval.metrics import measure
from stibium.train.crossval.rows import TrainingRows
from stibium.train.crossval.validation import Method
from stibium.train.errors import MissingTrainingSideError, TrainingDataError
from stibium.train.methods.baselines import PartialLeastSquares, RandomForest, SupportVectors, Variant
from stibium.train.methods.common import BackTransformation, common_range, inner_loss, transforms_for
from stibium.train.methods.further_baselines import (
    Cubist,
    GaussianProcess,
    LocalPartialLeastSquares,
    Ridge,
    has_cubist,
    locally,
)
from stibium.train.methods.regressions import BandScaling, pls_coefficients
from stibium.train.samples import Samples

FAST = [
    (PartialLeastSquares(fast=True), 0.95),
    (SupportVectors(fast=True), 0.9),
    (RandomForest(fast=True), 0.5),
    (Ridge(fast=True), 0.95),
    (GaussianProcess(fast=True), 0.95),
    (LocalPartialLeastSquares(fast=True), 0.9),
]


@pytest.fixture(scope="module")
def data() -> Samples:
    return soil_like(90, seed=4)


def split_fit(method: Method, data: Samples, **other: object) -> tuple[np.ndarray, np.ndarray, object]:
    predictor = method.fit(TrainingRows(data.reflectance[:60], data.wavelengths_nm, data.measured[:60], **other))  # type: ignore[arg-type]
    return predictor.predict(data.reflectance[60:]), data.measured[60:], predictor


@pytest.mark.parametrize(("method", "least"), FAST, ids=lambda value: getattr(value, "name", ""))
def test_recovers_a_signal_within_the_calibrated_range(method: Method, least: float, data: Samples) -> None:
    predicted, measured, predictor = split_fit(method, data)
    assert measure(predicted, measured).r2 > least
    assert predicted.min() >= data.measured[:60].min()
    assert predicted.max() <= data.measured[:60].max()
    assert "target's transform none" in predictor.chosen  # type: ignore[attr-defined]
    again, _, _ = split_fit(method, data)
    np.testing.assert_array_equal(again, predicted)
    # One spectrum is answered as it is among others.
    one = predictor.predict(data.reflectance[60:61])  # type: ignore[attr-defined]
    np.testing.assert_allclose(one, predicted[:1], rtol=1e-9)


@pytest.mark.skipif(not has_cubist(), reason="the package cubist is not installed")
def test_cubist_recovers_a_signal(data: Samples) -> None:
    predicted, measured, predictor = split_fit(Cubist(fast=True), data)
    assert measure(predicted, measured).r2 > 0.5
    assert "1 committee, 0 neighbours" in predictor.chosen  # type: ignore[attr-defined]


def test_without_its_package_cubist_is_refused_in_one_line(data: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cubist", None)
    with pytest.raises(MissingTrainingSideError, match="pip install cubist") as caught:
        split_fit(Cubist(fast=True), data)
    assert "\n" not in str(caught.value)


def test_neighbours_answer_for_what_differs_from_place_to_place() -> None:
    # Two places where the same band means the opposite: no line fits both, the neighbours' lines do.
    place, band = np.repeat([0.0, 10.0], 60), np.tile(np.linspace(-1, 1, 60), 2)
    rows, content = np.stack([band, place], axis=1), np.where(place == 0, band, -band)
    test = np.arange(120) % 3 == 0
    found = locally(rows[~test], content[~test], rows[test], 20, 2)
    assert found.shape == (40, 2)
    inside = np.abs(content[test]) < 0.9
    np.testing.assert_allclose(found[inside, 1], content[test][inside], atol=1e-6)
    line = np.linalg.lstsq(np.column_stack([rows[~test], np.ones(80)]), content[~test], rcond=None)[0]
    assert measure(np.column_stack([rows[test], np.ones(40)]) @ line, content[test]).r2 < 0.1


def test_extrapolates_nothing(data: Samples) -> None:
    low = data.measured < 30
    predictor = PartialLeastSquares(fast=True).fit(
        TrainingRows(data.reflectance[low], data.wavelengths_nm, data.measured[low])
    )
    predicted = predictor.predict(data.reflectance[~low])
    assert predicted.max() == data.measured[low].max()


@pytest.mark.parametrize("method", [PartialLeastSquares(fast=True), SupportVectors(fast=True)], ids=lambda m: m.name)
def test_finds_the_transform_that_makes_the_spectrum_linear(method: Method, data: Samples) -> None:
    # The band goes with the logarithm, over two decades.
    grades = 10 ** (data.measured / 25)
    logarithmic = soil_like(90, reflectance=data.reflectance, target=grades)
    predicted, measured, predictor = split_fit(method, logarithmic)
    assert "transform log10" in predictor.chosen  # type: ignore[attr-defined]
    assert measure(np.log10(predicted), np.log10(measured)).r2 > 0.9


def test_full_search_tries_more_than_the_fast_one(data: Samples) -> None:
    arguments = data.reflectance[:40], data.wavelengths_nm, data.measured[:40]
    full, fast = (
        PartialLeastSquares().fit(TrainingRows(*arguments)),
        PartialLeastSquares(fast=True).fit(TrainingRows(*arguments)),
    )
    assert measure(full.predict(data.reflectance[60:]), data.measured[60:]).r2 > 0.9
    # Two inner repeats against one: alike, not equal.
    assert full.inner_rmse < 1.5 * fast.inner_rmse


def test_groups_are_not_parted_by_the_inner_folds(data: Samples) -> None:
    # Copies of 15 soils under a target of pure noise: parted, they would look perfectly predictable.
    rows = np.repeat(np.arange(15), 4)
    noise = np.random.default_rng(0).uniform(5, 60, 15)[rows]
    arguments = data.reflectance[rows], data.wavelengths_nm, noise
    grouped = SupportVectors(fast=True).fit(TrainingRows(*arguments, groups=[f"S{i}" for i in rows]))
    parted = SupportVectors(fast=True).fit(TrainingRows(*arguments))
    assert parted.inner_rmse < 0.5 * noise.std() < 0.8 * noise.std() < grouped.inner_rmse


def test_all_numbers_of_components_come_from_one_fit(data: Samples) -> None:
    scaling = BandScaling.learn(data.reflectance, autoscale=True)
    x = scaling(data.reflectance)
    assert np.mean(np.sum(x**2, axis=1)) == pytest.approx(1)
    coefficients, mean = pls_coefficients(x, data.measured, 6)
    for k in range(6):
        expected = PLSRegression(k + 1, scale=False).fit(x, data.measured).predict(x).ravel()
        np.testing.assert_allclose(x @ coefficients[:, k] + mean, expected, rtol=1e-8)


def test_takes_any_grid_and_range() -> None:
    for nm in (np.arange(420.0, 1050.0, 3.5), np.r_[350:1000:1.0, 1000:2500:5.0]):
        data = soil_like(40, nm=nm)
        assert common_range(nm).first_nm == max(400, nm[0])
        random = np.random.default_rng(2)
        noise = 1 + 1e-4 * random.normal(size=data.reflectance.shape)
        predictor = PartialLeastSquares(fast=True).fit(
            TrainingRows(data.reflectance * noise, nm, data.measured, splices_nm=(1000.0,))
        )
        assert np.isfinite(predictor.predict(data.reflectance)).all()


def test_back_transformation_keeps_the_mean() -> None:
    random = np.random.default_rng(5)
    z = random.normal(1.5, 0.3, 4000)
    error = random.normal(0, 0.25, z.size)
    for transform, power in (("log10", 1.0), ("sqrt", 4.0)):
        target = inverse(power * (z + error), transform)
        back = BackTransformation.learn(transform, target, power * z, "mean")
        naive = inverse(power * z, transform)
        assert abs(back(power * z).mean() / target.mean() - 1) < 0.02
        assert naive.mean() / target.mean() < 0.99
        assert inner_loss((power * z)[None], target, transform, "mean") < unexplained(naive, target, "mean")
        # One wild extrapolation is worth no more than the end of the range.
        assert back(np.array([1e6])) == target.max()
    plain = BackTransformation.learn("none", z, z)
    np.testing.assert_array_equal(plain(np.array([-1e9, 1.5, 1e9])), [z.min(), 1.5, z.max()])
    np.testing.assert_allclose(forward(np.array([100.0]), "log10"), 2.0)


def test_transforms_are_tried_where_they_may_help() -> None:
    skewed = np.random.default_rng(0).lognormal(size=200)
    assert transforms_for(skewed) == ("none", "sqrt", "log10")
    assert transforms_for(skewed - skewed.min()) == ("none",)
    assert transforms_for(np.linspace(1, 2, 20)) == ("none",)


def test_what_one_decides_by_says_whether_answers_are_means_medians_or_between() -> None:
    random = np.random.default_rng(3)
    z = random.normal(2.0, 0.3, 3000)
    target = 10.0 ** (z + random.normal(0, 0.3, z.size))
    assert transforms_for(target) == ("none", "sqrt", "log10")
    # Some without: no logarithm.
    assert transforms_for(np.append(target, 0.0)) == ("none",)
    factors = {by: BackTransformation.learn("log10", target, z, by).first for by in DECIDE_BY}
    assert factors["median"] == 1
    # The mean is above that: most soils of such a spectrum hold less.
    assert factors["mean"] == pytest.approx(np.mean(target / 10.0**z), rel=1e-9)
    assert 1.02 < factors["both"] < factors["mean"] - 0.05
    answers = BackTransformation.learn("log10", target, z, "quantile")(z)
    assert np.mean(target <= answers) == pytest.approx(0.8, abs=0.02)
    for by in ("mean", "median", "quantile"):
        losses = {other: unexplained(z_to(target, z, other), target, by) for other in DECIDE_BY}
        assert losses[by] < 1.03 * min(losses.values())
        assert losses[by] < 0.9 * max(losses.values())


def z_to(target: np.ndarray, z: np.ndarray, by: DecideBy) -> np.ndarray:
    return BackTransformation.learn("log10", target, z, by)(z)


def test_one_odd_soil_decides_nothing() -> None:
    random = np.random.default_rng(4)
    target = 10.0 ** random.normal(2.5, 0.2, 120)
    good, bad = target * 10.0 ** random.normal(0, 0.05, (2, 120)) * [[1.0], [1.3]]
    odd = np.append(target, 20 * target.max())
    # The worse answers are right where the better ones miss the one odd soil, by chance.
    good, bad = np.append(good, np.median(good)), np.append(bad, 10 * target.max())
    assert np.mean((bad - odd) ** 2) < np.mean((good - odd) ** 2)
    assert unexplained(good, odd, "both") < unexplained(bad, odd, "both")


def test_a_variant_says_what_it_is(data: Samples) -> None:
    variant = Variant(1, 31.0, True, True)
    assert str(variant) == "1st derivative 31 nm, SNV, autoscaled"
    steps = [step.step for step in variant.recipe(common_range(data.wavelengths_nm)).steps]
    assert steps == [
        "splice_correction",
        "resample",
        "absorbance",
        "standard_normal_variate",
        "savitzky_golay",
        "derivative",
    ]


@pytest.mark.parametrize("method", [m for m, _ in FAST], ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda r, nm, y: (r[:4], nm, y[:4]), "4 training rows; at least 5 are needed"),
        (lambda r, nm, y: (r, nm, np.full(y.size, 7.0)), "all 90 training values are 7; there is nothing to learn"),
        (lambda r, nm, y: (np.where(r == r[3, 5], np.nan, r), nm, y), "is not a finite number"),
        (lambda r, nm, y: (r[:, :10], nm[:10], y), "the spectra cover 400-490 nm; a model needs at least 150 nm"),
        (lambda r, nm, y: (r, nm, y[:50]), "for 50 values"),
    ],
)
def test_what_cannot_be_learned_is_said_in_one_line(method: Method, change: object, line: str) -> None:
    data = soil_like(90)
    arguments = change(data.reflectance, data.wavelengths_nm, data.measured)  # type: ignore[operator]
    with pytest.raises(TrainingDataError) as caught:
        method.fit(TrainingRows(*arguments))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
