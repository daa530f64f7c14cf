from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from soil_like import NM, soil_like
from stibium.converters.spectra.spectrum import Floats
from stibium.edge.model.runtime import Runtime
from stibium.train.crossval.folds import inner_folds
from stibium.train.crossval.metrics import measure
from stibium.train.crossval.rows import TrainingRows
from stibium.train.errors import TrainingDataError
from stibium.train.methods import mobilenetv2
from stibium.train.methods.baselines import PartialLeastSquares
from stibium.train.methods.faults import FAULTS
from stibium.train.methods.method import ModelFile
from stibium.train.methods.mobilenetv2 import (
    DistilledModel,
    MobileNetV2,
    moved_by_noise,
    scaled,
    space_to_learn_in,
    spanning,
)
from stibium.train.methods.rounding import added_by_rounding, grade_limits, rows_by_grade
from stibium.train.methods.steadied import STRENGTHS, Steadied, bearable_strength, of_strength
from stibium.train.methods.student import CLIP, StudentConfig, ridge
from stibium.train.methods.synthetic import Disturbance, Synthesis, absorbance_of, disturb, synthetic_spectra
from stibium.train.methods.teachers_of_water import of_dry_and_wet
from stibium.train.samples import Samples

TRAINING = 70
QUICK = MobileNetV2(fast=True, student=StudentConfig(steps=80), synthesis=Synthesis(mixtures=1500, most_copies=500))


@pytest.fixture(scope="module")
def data() -> Samples:
    return soil_like(100, noise=0.01)


@pytest.fixture(scope="module")
def trained(data: Samples) -> DistilledModel:
    return QUICK.fit(TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING]))


def r2(model: DistilledModel, data: Samples) -> float:
    return measure(model.predict(data.reflectance[TRAINING:]), data.measured[TRAINING:]).r2


def test_answers_in_eight_bits_what_its_teacher_does(data: Samples, trained: DistilledModel) -> None:
    teacher = QUICK.teacher_of(TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING]))
    known = measure(teacher.predict(data.reflectance[TRAINING:]), data.measured[TRAINING:]).r2
    assert r2(trained, data) > max(0.9, known - 0.03)
    assert trained.quantisation == "int8"
    assert trained.parameters == 15_093
    assert trained.runtime.output_step > 0
    assert trained.chosen.startswith("int8, 15093 parameters, ridge ")
    assert "support vectors" in trained.record["taught_by"]
    low, high = trained.calibrated_range
    answers = trained.predict(data.reflectance)
    assert low <= answers.min() <= answers.max() <= high


def test_a_student_learns_where_its_misses_cost_least() -> None:
    """Shares of half a square root and half a logarithm sent grades over three decades to the root, and low ones off."""
    rng = np.random.default_rng(4)
    many = 10 ** rng.uniform(0.3, 3.6, 300)
    taught = many * 10 ** rng.normal(0, 0.3, (1, many.size))
    assert space_to_learn_in(taught, many, "both") == "log10"
    assert space_to_learn_in(taught, many, "median") == "log10"
    # Who decides by means is cost most by a logarithm's misses of the rich.
    assert space_to_learn_in(taught, many, "mean") != "log10"
    even = rng.normal(30, 5, 300)
    assert space_to_learn_in(even[None], even, "both") == "none"


def test_the_same_data_and_seed_give_the_same_weights(data: Samples, trained: DistilledModel) -> None:
    again = QUICK.fit(TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING]))
    assert again.weights_sha256() == trained.weights_sha256()
    np.testing.assert_array_equal(again.predict(data.reflectance), trained.predict(data.reflectance))
    other = QUICK.fit(TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING], seed=1))
    assert other.weights_sha256() != trained.weights_sha256()


def test_a_stored_network_is_converted_to_what_answered_here(
    data: Samples, trained: DistilledModel, tmp_path: Path
) -> None:
    path = tmp_path / QUICK.file_name
    trained.save(path)
    stored = ModelFile(path, trained.scaling, trained.transform, trained.representative)
    features = trained.recipe.preprocess(data.reflectance[TRAINING:], NM).features
    converted = QUICK.to_tflite(stored, ("int8", "int16x8"), features)
    assert len(converted.models["int8"]) <= 45_000
    for name, within in (("int8", 0.1), ("int16x8", 0.02)):
        found = Runtime(converted.models[name]).run(scaled(trained.scaling, features))
        assert np.sqrt(np.mean((found - converted.answers) ** 2)) < within * data.measured.std()
    again = Runtime(converted.models["int8"]).run(scaled(trained.scaling, features))
    np.testing.assert_array_equal(again, trained.answer(features))


def test_any_regressor_teaches(data: Samples) -> None:
    taught = replace(QUICK, teacher="sklearn.linear_model:Ridge").fit(
        TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING])
    )
    strengths = [f"{100 * of_strength(strength).noise:.2g}" for strength in STRENGTHS]
    own, copies = taught.record["taught_by"].removesuffix(" % noise").split("; copies with ")
    assert own == "Ridge; target's transform none"
    assert copies in strengths
    assert r2(taught, data) > 0.85
    by_plsr = replace(QUICK, teacher="PLSR").fit(
        TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING])
    )
    assert "component" in by_plsr.record["taught_by"]
    assert r2(by_plsr, data) > 0.9


TEACHERS_OF_A_KIND = """
import numpy as np

class Mean:
    def fit(self, X, y):
        self.mean = y.mean()
    def predict(self, X):
        return np.full(len(X), self.mean)

class NeedsWords(Mean):
    def __init__(self, words):
        pass

class Mute(Mean):
    def predict(self, X):
        raise RuntimeError("not today,\\nand not tomorrow")

class Infinite(Mean):
    def predict(self, X):
        return np.full(len(X), np.inf)
"""


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        (
            "nobody",
            "no teacher nobody; there are stack, PLSR, SVR, random forest, ridge, Gaussian process, local PLSR, Cubist, and any package.module:Class",
        ),
        ("no_such_package:Thing", "the teacher no_such_package:Thing cannot be imported"),
        ("sklearn.linear_model:Nothing", "the teacher sklearn.linear_model:Nothing cannot be imported"),
        ("os:getcwd", "the teacher os:getcwd is no regressor"),
        ("sklearn.linear_model:LogisticRegression", "the teacher LogisticRegression cannot be fitted"),
        ("odd_teachers:Exits", "the teacher odd_teachers:Exits cannot be imported: goodbye for ever"),
        ("teachers_of_a_kind:NeedsWords", "the teacher NeedsWords cannot be fitted: .*missing 1 required positional"),
        ("teachers_of_a_kind:Mute", "the teacher Mute does not answer: not today, and not tomorrow"),
        ("teachers_of_a_kind:Infinite", "the teacher Infinite does not give one finite number for each spectrum"),
    ],
)
def test_a_teacher_that_cannot_teach_is_named_in_one_line(
    data: Samples, teacher: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_teachers.py").write_text("raise SystemExit('goodbye\\nfor ever')")
    (tmp_path / "teachers_of_a_kind.py").write_text(TEACHERS_OF_A_KIND)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TrainingDataError, match=said) as caught:
        replace(QUICK, teacher=teacher).fit(TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING]))
    assert "\n" not in str(caught.value)


def test_a_short_range_is_enough(data: Samples) -> None:
    short = (NM >= 400) & (NM <= 560)
    taught = QUICK.fit(TrainingRows(data.reflectance[:TRAINING, short], NM[short], data.measured[:TRAINING]))
    assert np.isfinite(taught.predict(data.reflectance[:3, short])).all()


def test_synthetic_spectra_are_mixtures_of_the_rows_and_the_rows_themselves(data: Samples) -> None:
    nothing = Disturbance(noise=0, gain=0, step=0, slope=0, scale=0, shift_nm=0)
    how = Synthesis(mixtures=1200, jitter=0.0, beyond=0.0, copies=3, most_copies=250, disturbance=nothing)
    pairs = list(synthetic_spectra(data.reflectance, NM, (), how, 0.25, np.random.default_rng(0)))
    portions = [seen for _, seen in pairs]
    # Without noise the teacher sees what the student does.
    assert all(np.array_equal(told, seen) for told, seen in pairs)
    assert [len(portion) for portion in portions] == [1000, 200, 200]
    # Two copies of a hundred rows: three would be more than 250.
    np.testing.assert_allclose(portions[2], np.tile(data.reflectance, (2, 1)), rtol=1e-9)
    mixed, own = absorbance_of(np.concatenate(portions[:2])), absorbance_of(data.reflectance)
    assert (mixed.min(axis=0) >= own.min(axis=0) - 1e-9).all()
    assert (mixed.max(axis=0) <= own.max(axis=0) + 1e-9).all()
    # Every mixture lies in the plane of a few soils: shares of them, 1 together, explain it.
    shares = np.linalg.lstsq(np.vstack([own.T, np.ones(len(own))]), np.vstack([mixed[:5].T, np.ones(5)]), rcond=None)
    np.testing.assert_allclose(own.T @ shares[0], mixed[:5].T, atol=1e-6)


def test_a_teacher_sees_a_share_of_the_noise(data: Samples) -> None:
    noise = Disturbance(noise=1e-3, gain=0, step=0, slope=0, scale=0, shift_nm=0)
    how = Synthesis(mixtures=0, copies=1, disturbance=noise)
    ((told, seen),) = synthetic_spectra(data.reflectance, NM, (), how, 0.25, np.random.default_rng(0))
    assert np.std(seen - data.reflectance) == pytest.approx(1e-3, rel=0.02)
    np.testing.assert_allclose(told - data.reflectance, 0.25 * (seen - data.reflectance), atol=1e-9)


def test_half_of_the_synthetic_spectra_are_wet_for_teacher_and_network_where_it_is_known_what_water_does(
    data: Samples,
) -> None:
    nothing = Disturbance(noise=0, gain=0, step=0, slope=0, scale=0, shift_nm=0)
    how = Synthesis(mixtures=0, copies=20, disturbance=nothing)
    water = np.stack([np.full(NM.size, 0.1), np.full(NM.size, 0.3)])
    pairs = list(synthetic_spectra(data.reflectance, NM, (), how, 0.25, np.random.default_rng(0), water))
    assert all(np.array_equal(told, seen) for told, seen in pairs)
    seen = absorbance_of(np.concatenate([seen for _, seen in pairs]))
    added = (seen - absorbance_of(np.tile(data.reflectance, (20, 1)))).mean(axis=1)
    assert np.mean(added > 1e-9) == pytest.approx(0.5, abs=0.05)
    assert 0.3 < added.max() < 0.37, "a little more than the wetter of the two"


def test_two_teachers_answer_each_for_its_ground(data: Samples) -> None:
    """A model that does without what water changes reads dry soils the worse for it."""

    class Says(SimpleNamespace):
        def predict(self, reflectance: Floats) -> Floats:
            return np.full(len(reflectance), self.value)

    def says(value: float) -> Says:
        return Says(
            value=value, transform="none", chosen=f"says {value}", out_of_fold=np.full((2, 2 * TRAINING), value)
        )

    rows = TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING], seed=3)
    band = np.exp(-0.5 * ((NM - NM.mean()) / 30) ** 2)
    both = of_dry_and_wet(says(1.0), says(2.0), rows, np.stack([0.2 + band, 0.3 + 1.5 * band]))
    assert both.out_of_fold.shape == (1, TRAINING)
    assert both.out_of_fold.mean() < 1.1
    dry = data.reflectance[TRAINING:]
    wet = 10.0 ** -(absorbance_of(dry) + 0.25 + 1.2 * band)
    assert np.mean(both.predict(dry) < 1.2) > 0.9
    assert (both.predict(wet) == 2.0).all()
    assert both.chosen == "says 1.0; of wet soils: says 2.0"


def test_a_student_that_noise_moves_far_learns_again_from_a_teacher_told_less(
    data: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise of 0.05 % took 0.36 of R2 from a model of acidity that nothing had asked what noise does to it."""
    rows = TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING])

    def taught(*told: float, most: float) -> DistilledModel:
        monkeypatch.setattr(mobilenetv2, "MOST_MOVED", most)
        assert QUICK.synthesis is not None
        return replace(QUICK, synthesis=replace(QUICK.synthesis, told=told)).fit(rows)

    far, near = (moved_by_noise(taught(share, most=0.0), rows) for share in (1.0, 0.0))
    assert near < 0.9 * far
    between = (near + far) / 2
    assert taught(1.0, 0.0, most=between).record["share_of_noise_told"] == 0.0
    assert taught(1.0, 0.0, most=1.1 * far).record["share_of_noise_told"] == 1.0


def test_what_noise_moves_is_what_r2_loses_by_it(data: Samples, trained: DistilledModel) -> None:
    noisy = disturb(absorbance_of(data.reflectance), NM, (), FAULTS["noise 0.05 %"], np.random.default_rng(0))
    answers = trained.predict(noisy[TRAINING:])
    lost = r2(trained, data) - measure(answers, data.measured[TRAINING:]).r2
    assert lost > 0
    rows = TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING])
    assert moved_by_noise(trained, rows) == pytest.approx(lost, abs=0.02)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ({"gain": 0.1}, lambda before, after: np.allclose(np.ptp(after / before, axis=1), 0, atol=1e-9)),
        ({"offset": 0.01}, lambda before, after: np.allclose(np.ptp(after - before, axis=1), 0, atol=1e-9)),
        ({"noise": 1e-3}, lambda before, after: abs(np.std(after - before) - 1e-3) < 1e-4),
        ({"scale": 0.1}, lambda before, after: np.allclose(np.ptp(np.log(after) / np.log(before), axis=1), 0)),
        ({"step": 0.1}, lambda before, after: all(len(np.unique(r.round(9))) == 3 for r in after / before)),
    ],
)
def test_a_spectrum_is_disturbed_in_the_way_asked_for(data: Samples, by: dict, expected) -> None:  # type: ignore[no-untyped-def,type-arg]
    none = dict.fromkeys(("noise", "gain", "step", "slope", "scale", "shift_nm"), 0.0)
    before = data.reflectance[:20]
    after = disturb(absorbance_of(before), NM, (1000.0, 1830.0), Disturbance(**(none | by)), np.random.default_rng(0))
    assert not np.allclose(after, before)
    assert expected(before, after)


def test_a_shift_of_wavelengths_follows_the_curve() -> None:
    nm = np.arange(400.0, 2451.0)
    curve = 0.3 + 0.2 * np.exp(-0.5 * ((nm - 1400) / 30) ** 2)
    none = Disturbance(noise=0, gain=0, step=0, slope=0, scale=0, shift_nm=1.0)
    after = absorbance_of(disturb(np.tile(curve, (50, 1)), nm, (), none, np.random.default_rng(0)))
    peaks = nm[after.argmax(axis=1)] - 1400
    assert 0.6 < peaks.std() < 1.5
    assert abs(after.max() - curve.max()) < 1e-4


def test_representative_rows_span_labels_and_features() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, 5)).astype(np.float32).clip(-CLIP, CLIP)
    labels = random.normal(size=2000)
    rows[7] = CLIP
    chosen = spanning(rows, labels, 100)
    assert 90 <= len(chosen) <= 100
    for wanted in (rows[7], rows[labels.argmin()], rows[labels.argmax()]):
        assert (chosen == wanted).all(axis=1).any()


def test_what_rounding_adds_is_told_by_grade() -> None:
    measured = np.arange(9.0)
    grades = rows_by_grade(measured, grade_limits(measured))
    assert [list(np.flatnonzero(rows)) for rows in grades] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    errors, rounding = np.ones((2, 9)), np.repeat([0.0, 0.1, 1.0], 3)
    found = [added_by_rounding(rounding[rows], errors[:, rows]) for rows in grades]
    np.testing.assert_allclose(found, [0.0, np.hypot(1, 0.1) - 1, 2**0.5 - 1])
    assert added_by_rounding(np.zeros(3), np.zeros(3)) == 0.0
    assert added_by_rounding(np.ones(3), np.zeros(3)) == float("inf")


def test_ridge_is_least_squares_drawn_to_zero() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3)).astype(np.float32)
    y = x @ np.array([1.0, -2.0, 0.5]) + 7.0
    (free, intercept), (drawn, _) = ridge(x, y, (1e-9, 1.0))
    np.testing.assert_allclose(free, [1.0, -2.0, 0.5], atol=1e-4)
    assert intercept == pytest.approx(7.0, abs=1e-3)
    assert np.abs(drawn).sum() < 0.7 * np.abs(free).sum()


def test_copies_are_as_strong_as_the_soils_bear() -> None:
    data = soil_like(60, noise=0.01)
    folds = inner_folds(60, None)

    def bears(reflectance: np.ndarray) -> float:
        return bearable_strength(TrainingRows(reflectance, NM, data.measured), folds)

    assert bears(data.reflectance) == STRENGTHS[-1]
    # What tells the target is a line as weak as noise: any copy costs.
    weak = soil_like(60, seed=5).reflectance
    line = 1e-4 * (data.measured - 30)[:, None] / 30 * (np.abs(NM - 1000) < 20)
    assert bears(weak * (1 + line)) == STRENGTHS[0]


def test_a_steadied_teacher_answers_for_the_rows_alone(data: Samples) -> None:
    rows = data.reflectance[:TRAINING], NM, data.measured[:TRAINING]
    found = Steadied(PartialLeastSquares(fast=True), fast=True).fit(TrainingRows(*rows))
    assert found.out_of_fold.shape == (1, TRAINING)
    assert "; copies with 0.01 % noise" in found.chosen
    noisy = data.reflectance[TRAINING:] + 2e-3 * np.random.default_rng(0).normal(size=(30, NM.size))
    plain = PartialLeastSquares(fast=True).fit(TrainingRows(*rows))
    lost, lost_plain = (measure(m.predict(noisy), data.measured[TRAINING:]).rmse for m in (found, plain))
    assert lost < 1.05 * lost_plain
