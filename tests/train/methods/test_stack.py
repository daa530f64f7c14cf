from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel
from soil_like import NM, soil_like, with_values
from stibium.edge.model.recipe import Recipe, preprocessing_from_dict
from stibium.train.crossval.folds import inner_folds
from stibium.train.crossval.metrics import measure
from stibium.train.crossval.rows import TrainingRows
from stibium.train.crossval.validation import Method
from stibium.train.errors import TrainingDataError
from stibium.train.methods import stack as stack_module
from stibium.train.methods.baselines import PartialLeastSquares, SupportVectors
from stibium.train.methods.kernel_members import Projection
from stibium.train.methods.radial_network import RadialNetwork, reduce_centres
from stibium.train.methods.stack import (
    FAST_CONFIG,
    VARIANTS,
    Config,
    Stack,
    StackModel,
    fit_space,
)
from stibium.train.methods.stacking import soft_shares, stack_weights
from stibium.train.methods.teachers import find_teacher
from stibium.train.samples import Samples


def curved(n: int = 150, seed: int = 3) -> Samples:
    """Soils whose target depends on how deep one absorption is and, bent, on another."""
    random = np.random.default_rng(seed)
    first, second = random.uniform(0, 1, (2, n, 1))
    absorbance = 0.4 + 0.1 * random.uniform(0, 1, (n, 1)) + 0.0003 * random.normal(size=(n, NM.size))
    absorbance = absorbance + 0.3 * first * np.exp(-0.5 * ((NM - 900) / 90) ** 2)
    absorbance = absorbance + 0.3 * second * np.exp(-0.5 * ((NM - 2000) / 90) ** 2)
    target = 20 + 12 * np.sin(np.pi * first[:, 0]) + 5 * second[:, 0] + 0.3 * random.normal(size=n)
    return soil_like(n, reflectance=10.0**-absorbance, target=target)


@pytest.fixture(scope="module")
def data() -> Samples:
    return curved()


@pytest.fixture(scope="module")
def trained(data: Samples) -> StackModel:
    return Stack(fast=True).fit(TrainingRows(data.reflectance[:100], NM, data.measured[:100]))


def test_recovers_a_bent_relation_that_plsr_does_not(data: Samples, trained: StackModel) -> None:
    left_out = data.reflectance[100:], data.measured[100:]
    line = PartialLeastSquares(fast=True).fit(TrainingRows(data.reflectance[:100], NM, data.measured[:100]))
    bent, straight = (measure(m.predict(left_out[0]), left_out[1]).r2 for m in (trained, line))
    assert bent > 0.75
    assert bent > straight + 0.3
    assert trained.chosen.startswith("support vectors ")
    assert trained.chosen.endswith(f"target's transform none; {trained.parameters} parameters")


def test_the_same_data_and_seed_give_the_same_model(data: Samples, trained: StackModel) -> None:
    again = Stack(fast=True).fit(TrainingRows(data.reflectance[:100], NM, data.measured[:100]))
    np.testing.assert_array_equal(again.predict(data.reflectance), trained.predict(data.reflectance))
    np.testing.assert_array_equal(again.out_of_fold, trained.out_of_fold)
    other = Stack(fast=True).fit(TrainingRows(data.reflectance[:100], NM, data.measured[:100], seed=1))
    assert (other.out_of_fold != trained.out_of_fold).any()
    # One spectrum is answered as it is among others.
    one = trained.predict(data.reflectance[120:121])
    np.testing.assert_allclose(one, trained.predict(data.reflectance)[120:121], rtol=1e-9)


def test_out_of_fold_predictions_are_as_good_as_new_ones(data: Samples, trained: StackModel) -> None:
    assert trained.out_of_fold.shape == (1, 100)
    inner = measure(trained.out_of_fold[0], data.measured[:100]).rmse
    outer = measure(trained.predict(data.reflectance[100:]), data.measured[100:]).rmse
    assert 0.5 < inner / outer < 2
    # What was fitted to is answered better than it was out of its fold.
    assert measure(trained.predict(data.reflectance[:100]), data.measured[:100]).rmse < inner


def test_rows_of_one_group_are_never_on_both_sides() -> None:
    # Every spectrum comes five times, and nothing else tells the target: only a twin on the other side could.
    random = np.random.default_rng(0)
    level = np.repeat(random.uniform(0.2, 0.6, (16, 1)) + 0.05 * random.normal(size=(16, NM.size)), 5, axis=0)
    target = np.repeat(random.uniform(10, 30, 16), 5)
    groups = [f"site {i // 5}" for i in range(80)]
    method = Stack(config=FAST_CONFIG)
    parted = method.fit(TrainingRows(level, NM, target))
    together = method.fit(TrainingRows(level, NM, target, groups=groups))
    assert measure(parted.out_of_fold[0], target).r2 > 0.8
    assert measure(together.out_of_fold[0], target).r2 < 0.3
    with pytest.raises(TrainingDataError, match="two groups are needed"):
        method.fit(TrainingRows(level, NM, target, groups=["one site"] * 80))


def test_answers_stay_within_the_calibrated_range(data: Samples) -> None:
    low = data.measured < np.median(data.measured)
    predictor = Stack(fast=True).fit(TrainingRows(data.reflectance[low], NM, data.measured[low]))
    answers = predictor.predict(np.concatenate([data.reflectance, data.reflectance**3]))
    assert data.measured[low].min() <= answers.min()
    assert answers.max() == data.measured[low].max()
    for inner in predictor.out_of_fold:
        assert data.measured[low].min() <= inner.min() <= inner.max() <= data.measured[low].max()


def test_the_network_is_the_weighted_sum_of_scikit_learns_models(data: Samples) -> None:
    grades = 10 ** ((45 - data.measured[:60]) / 12)
    config = Config(variants=VARIANTS[:2], settings=tuple(product((0.05, 0.3), (5.0, 100.0))))
    predictor = Stack(config=config).fit(TrainingRows(data.reflectance[:60], NM, grades))
    network = predictor.network
    parts, new = (
        np.split(predictor.features(rows), 2, axis=1) for rows in (data.reflectance[:60], data.reflectance[60:90])
    )
    projections = [Projection.learn(x, v.autoscale, 40, config.powers) for x, v in zip(parts, VARIANTS, strict=False)]
    answer = np.zeros(30)
    for share, back in zip(network.shares, network.backs, strict=True):
        folds = inner_folds(60, repeats=2)
        space = fit_space(parts, projections, VARIANTS[:2], grades, back.transform, folds, config)
        z = np.zeros(30)
        for v, projection in enumerate(projections):
            for p, factor in enumerate(projection.factors):
                member = space.kernels[v][p]
                a, b = (projection.scores(x[v]) * factor for x in (new, parts))
                said = [
                    m.predict(rbf_kernel(a, b, gamma=config.gammas[g]))
                    for g, m in zip(member.gammas, member.models, strict=True)
                ]
                assert len(said) == 3
                z += space.weights[v, p] * np.mean(said, axis=0)
            z += space.weights[v, -1] * (new[v] @ space.linears[v].weights + space.linears[v].intercept)
        answer += share * back(z * space.deviation + space.mean)
    assert len(network.shares) > 1, "the target is skewed; more than one transform should be in the answer"
    assert f"{predictor.transform} " in predictor.chosen
    np.testing.assert_allclose(network.predict(np.hstack(new)), answer, rtol=1e-6)
    assert np.ptp(answer) > 0.2 * np.ptp(grades)


def test_centres_are_left_out_until_the_network_is_small_enough(data: Samples, trained: StackModel) -> None:
    assert trained.parameters == count(trained.network) <= stack_module.MOST_PARAMETERS == 84_000
    features = trained.features(data.reflectance)
    full = trained.network.raw(features)
    most = trained.parameters - 2_000
    small = reduce_centres(trained.network, most)
    assert most - 300 < small.parameters == count(small) <= most
    lost = np.sqrt(np.mean((small.raw(features) - full) ** 2)) / full.std()
    assert 0 < lost < 0.05
    assert reduce_centres(trained.network, trained.parameters) is trained.network
    with pytest.raises(ValueError, match="too few"):
        reduce_centres(trained.network, 1_000)


def count(network: RadialNetwork) -> int:
    norms = sum(branch.centres.shape[0] * len(branch.projection.factors) for branch in network.branches)
    arrays = {name: value for name, value in network.to_arrays().items() if value.dtype.kind == "f"}
    # One range and one transform's name for each way back.
    return sum(value.size for value in arrays.values()) + norms + 2 * len(network.backs) - 2


def test_the_whole_model_of_many_samples_keeps_to_its_parameters() -> None:
    data = curved(340)
    config = Config(settings=((0.1, 20.0), (0.4, 20.0)), averaged=2)
    predictor = Stack(config=config).fit(TrainingRows(data.reflectance[:300], NM, data.measured[:300]))
    assert len(predictor.recipe.recipes) == 5
    assert 83_500 < predictor.parameters <= 84_000
    assert measure(predictor.predict(data.reflectance[300:]), data.measured[300:]).r2 > 0.9


def test_a_stack_that_teaches_keeps_all_it_has_learned(data: Samples) -> None:
    twice = tuple(range(62)) * 2
    rows = TrainingRows(np.tile(data.reflectance[:62], (2, 1)), NM, np.tile(data.measured[:62], 2), groups=twice)
    model = find_teacher("stack", fast=True).fit(rows)
    assert isinstance(model, StackModel)
    assert len(model.recipe.recipes) == len(VARIANTS)
    config = replace(FAST_CONFIG, variants_of_many=VARIANTS)
    carried = Stack(fast=True, config=config).fit(rows)
    assert model.parameters >= carried.parameters


def test_a_prior_counts_the_less_the_more_soils_there_are() -> None:
    bent = curved(60)
    config = Config(settings=((0.4, 20.0),), averaged=1)
    features = np.stack([bent.reflectance[:, 100::200], bent.reflectance[:, 50::200] ** 2])
    projections = [Projection.learn(part, False, 10, config.powers) for part in features]

    def distance(soils: int) -> float:
        space = fit_space(
            features, projections, VARIANTS[:2], bent.measured, "none", inner_folds(60), config, soils=soils
        )
        prior = np.array([[0.175, 0.175, 0.15]] * 2)
        return float(np.abs(space.weights - prior).sum())

    assert 0 < 2 * distance(10) < distance(60) < distance(1000)


def test_preprocessing_is_the_devices_and_can_be_written_down(trained: StackModel) -> None:
    blocks = trained.recipe
    assert preprocessing_from_dict(blocks.to_dict()) == blocks
    assert all(isinstance(recipe, Recipe) for recipe in blocks.recipes)
    np.testing.assert_array_equal(blocks.wavelengths_nm, np.arange(400.0, 2451.0, 10.0))
    assert [step.step for step in blocks.recipes[1].steps] == [
        *("splice_correction", "resample", "absorbance", "standard_normal_variate", "savitzky_golay_derivative")
    ]


def test_a_projection_keeps_distances_and_weighs_components_by_their_power() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(30, 6)) * [5, 3, 2, 1, 0.5, 0.1] + 7
    projection = Projection.learn(x, False, 10, (0.0, 1.0))
    scores = projection.scores(x)
    assert scores.shape == (30, 6)
    between = ((x[3] - x[8]) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert ((scores[3] - scores[8]) ** 2).sum() == pytest.approx(between)
    np.testing.assert_allclose((scores * projection.factors[1]).std(axis=0), np.full(6, 1 / np.sqrt(6)), rtol=1e-9)
    scaled = Projection.learn(x, True, 10, (0.0,)).scores(x)
    again = Projection.learn(x * [1, 100, 1, 1, 1, 9], True, 10, (0.0,)).scores(x * [1, 100, 1, 1, 1, 9])
    np.testing.assert_allclose(np.abs(again), np.abs(scaled), atol=1e-9)


def test_a_stack_prefers_what_predicts_and_bows_to_its_prior() -> None:
    random = np.random.default_rng(2)
    target = random.normal(size=200)
    predicted = np.stack([target + s * random.normal(size=200) for s in (0.2, 0.2, 2.0)])[:, None]
    prior = np.full(3, 1 / 3)
    free = stack_weights(predicted, target, prior, 0.0)
    assert free.sum() == pytest.approx(1)
    np.testing.assert_allclose(free, [0.5, 0.5, 0], atol=0.06)
    # Two unbiased answers of equal error: their weights are those of the inverse variances.
    drawn = stack_weights(predicted, target, prior, 1.0)
    assert free[2] < drawn[2] < 1 / 3
    np.testing.assert_allclose(stack_weights(predicted, target, prior, 1e4), prior, atol=1e-3)


def test_shares_follow_errors() -> None:
    np.testing.assert_allclose(soft_shares([2.0, 2.0], 0.2, 0.1), [0.5, 0.5])
    shares = soft_shares([1.0, 1.2, 9.0], 0.2, 0.1)
    assert shares[0] / shares[1] == pytest.approx(np.e)
    assert shares[2] == 0
    np.testing.assert_allclose(soft_shares([0.0, 0.0, 1.0], 0.2, 0.1), [0.5, 0.5, 0])
    np.testing.assert_allclose(soft_shares([1.0, 1.0, 1.0], 0.2, 0.1, [1.0, 1.0, 0.0]), [0.5, 0.5, 0])
    # No share comes or goes all at once.
    ever = np.array([soft_shares([1.0, error, 1.2], 0.2, 0.1) for error in np.linspace(1.0, 2.0, 400)])
    assert np.abs(np.diff(ever, axis=0)).max() < 0.01
    assert ever[-1, 1] == 0


def over_decades(ratio: float) -> Samples:
    """Soils whose 95 % quantile is this many times their 5 % quantile, and whose logarithms are told in part."""
    data = soil_like(110, seed=8)
    logarithms = data.measured / 60 + 0.25 * np.random.default_rng(8).normal(size=110)
    low, high = np.quantile(logarithms, [0.05, 0.95])
    return with_values(data, 5 * 10.0 ** ((logarithms - low) / (high - low) * np.log10(ratio)))


@pytest.mark.parametrize("method", [Stack(fast=True), SupportVectors(fast=True), PartialLeastSquares(fast=True)])
def test_there_is_no_cliff_however_far_grades_go(method: Method) -> None:
    def said(ratio: float) -> np.ndarray:
        data = over_decades(ratio)
        answers = method.fit(TrainingRows(data.reflectance[:80], NM, data.measured[:80])).predict(data.reflectance[80:])
        return np.log10(answers / np.median(data.measured))

    below, above = said(49.0), said(51.0)
    assert np.abs(above - below).max() < 0.02
    assert below.std() > 0.1


def test_copper_does_not_collapse_between_draws() -> None:
    # Logarithms are told in half, so that the rich ones are hardly; R2 in ppm is what a few of these make of it.
    found = []
    for draw in range(4):
        random = np.random.default_rng(draw)
        data = soil_like(160, seed=draw)
        copper = 10.0 ** (0.6 + 0.015 * data.measured + 0.28 * random.normal(size=160))
        rows = data.reflectance, copper
        model = Stack(fast=True).fit(TrainingRows(rows[0][:110], NM, rows[1][:110]))
        found.append(measure(model.predict(rows[0][110:]), rows[1][110:]).r2)
    assert min(found) > 0
    assert np.mean(found) > 0.2


def test_too_few_rows_are_refused_and_few_are_enough() -> None:
    data = soil_like(12)
    with pytest.raises(TrainingDataError, match="4 training rows"):
        Stack(fast=True).fit(TrainingRows(data.reflectance[:4], NM, data.measured[:4]))
    predictor = Stack(fast=True).fit(TrainingRows(data.reflectance[:5], NM, data.measured[:5]))
    assert np.isfinite(predictor.predict(data.reflectance)).all()
