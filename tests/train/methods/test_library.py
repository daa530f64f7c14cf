"""A library helps a few local soils, by as much as they say, and never where it does harm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soil_like import NM, as_samples, soil_like, with_values
from stibium.train.crossval.rows import TrainingRows
from stibium.train.errors import TrainingDataError
from stibium.train.methods.baselines import PartialLeastSquares
from stibium.train.methods.library import Helped, helped, share_of
from stibium.train.methods.mobilenetv2 import MobileNetV2
from stibium.train.samples import Samples

PLSR = PartialLeastSquares(fast=True)


def taught(local: Samples, library: Samples) -> Helped:
    found = helped(PLSR, TrainingRows.by_sample(local), library)
    assert isinstance(found, Helped)
    return found


def r2(predicted: np.ndarray, measured: np.ndarray) -> float:
    return float(1 - np.sum((predicted - measured) ** 2) / np.sum((measured - measured.mean()) ** 2))


def test_a_library_of_the_same_kind_helps() -> None:
    local, library, test = soil_like(12, seed=1), soil_like(150, seed=2), soil_like(80, seed=3)
    found = taught(local, library)
    alone = PLSR.fit(TrainingRows.by_sample(local))
    assert found.share > 0.4
    assert r2(found.predict(test.reflectance), test.measured) > r2(alone.predict(test.reflectance), test.measured)
    assert "library: 150 of 150 soils, share" in found.chosen
    assert found.out_of_fold.shape == (1, 12)


def test_a_library_with_other_values_is_left_alone() -> None:
    local, library = soil_like(40, seed=1), soil_like(150, seed=2)
    wrong = with_values(library, 500 - 5 * library.measured)
    found = taught(local, wrong)
    alone = PLSR.fit(TrainingRows.by_sample(local))
    assert found.share < 0.05
    test = soil_like(80, seed=3)
    harm = r2(alone.predict(test.reflectance), test.measured) - r2(found.predict(test.reflectance), test.measured)
    assert harm < 0.01


def test_the_networks_teacher_is_helped() -> None:
    local, library = soil_like(12, seed=1), soil_like(60, seed=2)
    rows = TrainingRows.by_sample(local)
    alone = MobileNetV2(fast=True, teacher="PLSR").teacher_of(rows)
    with_library = MobileNetV2(fast=True, teacher="PLSR", library=library).teacher_of(rows)
    assert not isinstance(alone, Helped)
    assert isinstance(with_library, Helped)
    assert with_library.transform == alone.transform
    assert with_library.out_of_fold.shape[1] >= len(local)


def test_only_the_nearest_are_taken() -> None:
    local, library = soil_like(12, seed=1), soil_like(200, seed=2)
    assert "library: 150 of 200 soils" in taught(local, library).chosen


def test_another_grid_is_brought_to_the_local_one() -> None:
    fine = np.arange(350.0, 2501.0, 2.0)
    local, library = soil_like(12, seed=1), soil_like(60, seed=2, nm=fine)
    assert taught(local, library).share > 0


def test_a_library_of_less_range_is_one_line() -> None:
    library = soil_like(30, seed=2)
    short = as_samples(library.reflectance[:, 20:], NM[20:], library.measured)
    with pytest.raises(TrainingDataError, match=r"the library covers 600-2450 nm and your soils 400-2450 nm"):
        taught(soil_like(12, seed=1), short)


@given(st.integers(0, 1000), st.integers(3, 60), st.floats(0.1, 10))
def test_the_share_never_makes_left_out_soils_much_worse(seed: int, n: int, apart: float) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=n)
    local, pooled = target + rng.normal(size=n), target + apart * rng.normal(size=n)
    share = share_of(local, pooled, target)
    assert 0 <= share <= 1
    mixed = (1 - share) * local + share * pooled
    assert np.mean((mixed - target) ** 2) <= 1.3 * np.mean((local - target) ** 2)


def test_two_that_err_apart_are_mixed() -> None:
    target = np.linspace(0, 1, 20)
    error = np.tile([0.1, -0.1], 10)
    assert share_of(target + error, target - error, target) == pytest.approx(0.5, abs=0.01)


def test_decades_are_mixed_as_logarithms() -> None:
    rng = np.random.default_rng(5)
    local, library = (replace(soil_like(n, seed=s)) for n, s in ((20, 1), (100, 2)))
    local, library = (
        with_values(s, 10 ** (s.measured / 20 + 0.02 * rng.normal(size=len(s)))) for s in (local, library)
    )
    found = taught(local, library)
    assert found.space == "log10"
    assert (found.predict(local.reflectance) > 0).all()
