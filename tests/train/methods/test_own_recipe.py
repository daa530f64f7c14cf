"""A recipe of one's own with every method: it is what the model takes, or one line says why it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from soil_like import soil_like
from stibium.edge.model.presets import PRESETS, Preprocessing
from stibium.edge.model.recipe import Recipe
from stibium.edge.model.steps import (
    Absorbance,
    ContinuumRemoval,
    Cut,
    Derivative,
    Resample,
    SavitzkyGolayDerivative,
    Spectrogram,
)
from stibium.train.crossval.cache import asked_otherwise
from stibium.train.crossval.rows import TrainingRows
from stibium.train.errors import TrainingDataError
from stibium.train.methods.common import with_recipe
from stibium.train.methods.mobilenetv2 import MobileNetV2
from stibium.train.methods.network import Block, NetworkConfig
from stibium.train.methods.published import PublishedNetwork
from stibium.train.methods.registry import DEVICE_METHODS, METHODS
from stibium.train.methods.student import StudentConfig
from stibium.train.methods.synthetic import Synthesis

GRID = Resample(500, 2400, 10)
HULL = Recipe((GRID, ContinuumRemoval("divide"), Cut(2000, 2400)), "hull")
SLOPE = Recipe((GRID, Absorbance(), SavitzkyGolayDerivative(50, 2, 1, 20)), "slope")
OWN = Preprocessing("own", (HULL,), (True,))
BOTH = Preprocessing("both", (HULL, SLOPE), (False, True))
PICTURE = Preprocessing("picture", (Recipe((GRID, Absorbance(), Derivative(), Spectrogram(64, 16))),), (False,))

SMALL: dict[str, dict[str, Any]] = {
    MobileNetV2.name: {
        "student": StudentConfig(residuals=(Block(8, 2, 1),), steps=30),
        "synthesis": Synthesis(mixtures=200, most_copies=100),
        "teacher": "ridge",
    }
}
FOR_BANDS = [name for name in METHODS if name != PublishedNetwork.name]


def made(name: str) -> Any:
    method = METHODS[name](True)
    return type(method)(**{"fast": True, **SMALL.get(name, {})})


@pytest.mark.parametrize("name", FOR_BANDS)
def test_a_method_takes_the_recipe_and_nothing_else(name: str) -> None:
    data = soil_like(40)
    predictor = with_recipe(made(name), OWN).fit(
        TrainingRows(data.reflectance, data.wavelengths_nm, data.measured, seed=1)
    )
    recipe = predictor.recipe
    assert HULL.steps in [one.steps for one in getattr(recipe, "recipes", (recipe,))]
    assert "own" in predictor.chosen or name == MobileNetV2.name
    assert np.corrcoef(predictor.predict(data.reflectance), data.measured)[0, 1] > 0.9


@pytest.mark.parametrize("name", [name for name in FOR_BANDS if name != MobileNetV2.name])
def test_of_several_recipes_one_is_chosen_or_all_are_taken_side_by_side(name: str) -> None:
    data = soil_like(40)
    predictor = with_recipe(made(name), BOTH).fit(
        TrainingRows(data.reflectance, data.wavelengths_nm, data.measured, seed=1)
    )
    if name == "stack":
        assert predictor.recipe == BOTH.blocks
    else:
        assert any(f"recipe {one.name}" in predictor.chosen for one in (HULL, SLOPE))


def test_a_spectrogram_is_for_the_published_network_and_bands_are_not() -> None:
    for name in FOR_BANDS:
        with pytest.raises(TrainingDataError, match=r"^recipe picture: ends in a spectrogram, which .* does not take"):
            with_recipe(METHODS[name](True), PICTURE)
    for other in (OWN, BOTH, PRESETS["blocks"]):
        with pytest.raises(TrainingDataError, match=rf"^recipe {other.name}: --method published takes one recipe"):
            PublishedNetwork(recipe=other)
    assert PublishedNetwork(recipe=PICTURE).range_nm == (500, 2400)


def test_the_published_network_takes_a_spectrogram_of_ones_own() -> None:
    data = soil_like(24)
    predictor = PublishedNetwork(epochs=1, network=NetworkConfig(4, 3, (4, 8), (Block(4, 2, 2),)), recipe=PICTURE).fit(
        TrainingRows(data.reflectance, data.wavelengths_nm, data.measured)
    )
    assert predictor.recipe == PICTURE.recipes[0]


def test_blocks_of_unequal_size_are_none_for_the_mobilenetv2() -> None:
    with pytest.raises(TrainingDataError, match=r"^recipe both: its blocks leave 41, 96 bands, and mobilenetv2 takes"):
        MobileNetV2(recipe=BOTH)


def test_more_bands_than_a_network_can_take_is_said_before_hours_are_spent() -> None:
    data = soil_like(80)
    many = Preprocessing("many", (Recipe((Resample(400, 2450, 0.5), Absorbance())),), (False,))
    with pytest.raises(
        TrainingDataError, match=r"^recipe many: leaves 4101 bands, and a network of 84000 .* keep fewer"
    ):
        with_recipe(METHODS["stack"](True), many).fit(
            TrainingRows(data.reflectance, data.wavelengths_nm, data.measured)
        )


@pytest.mark.parametrize("name", METHODS)
def test_fits_that_are_kept_are_of_one_recipe(name: str) -> None:
    plain = METHODS[name](True)
    assert asked_otherwise(plain) == ""
    recipe = PICTURE if name == PublishedNetwork.name else OWN
    own, other = with_recipe(plain, recipe), with_recipe(plain, PRESETS["paper" if recipe is PICTURE else "derivative"])
    assert len({asked_otherwise(method) for method in (plain, own, other)}) == 3


@pytest.mark.parametrize("key", DEVICE_METHODS)
def test_a_run_says_by_name_what_was_asked_for(key: str) -> None:
    recipe = PICTURE if key == PublishedNetwork.key else OWN
    assert DEVICE_METHODS[key](recipe=recipe).settings()["recipe"] == recipe.name
