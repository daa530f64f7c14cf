"""Spectra step by step: the last step is what the recipe itself gives, whatever the recipe."""

from __future__ import annotations

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.presets import RECIPES
from stibium.edge.model.recipe import Recipe
from stibium.edge.model.steps import (
    Absorbance,
    ContinuumRemoval,
    Cut,
    Derivative,
    Resample,
    SavitzkyGolayDerivative,
    StandardNormalVariate,
)
from stibium.train.report.trace import on_one_grid, spread_by_grade, trace_spectra

NM = np.arange(350.0, 2501.0)


def rows(n: int) -> list[Spectrum]:
    rng = np.random.default_rng(0)
    base = 0.3 + 0.1 * np.sin(NM / 300)
    return [
        Spectrum(
            NM, base * rng.uniform(0.8, 1.2) + rng.normal(0, 1e-4, NM.size), "reflectance", f"S{i}", source=f"S{i}"
        )
        for i in range(n)
    ]


@pytest.mark.parametrize(
    "recipe",
    [
        *RECIPES.values(),
        Recipe((Resample(), Cut(500.0, 2300.0), ContinuumRemoval("divide", "upper"), StandardNormalVariate())),
        Recipe((Resample(), Absorbance(), Derivative(2))),
        Recipe((Resample(), Absorbance(), SavitzkyGolayDerivative(31.0, 2, 1, 4.0))),
    ],
    ids=lambda recipe: recipe.name or "-".join(step.step for step in recipe.steps),
)
def test_the_last_step_is_what_the_recipe_gives(recipe: Recipe) -> None:
    spectra = rows(9)
    target = {row.sample_id: float(i) for i, row in enumerate(spectra)}
    trace = trace_spectra(spectra, target, recipe, 4)
    assert trace.samples == ("S0", "S3", "S5", "S8")
    chosen = np.stack([spectra[i].values for i in (0, 3, 5, 8)])
    whole = recipe.preprocess(chosen, NM)
    assert trace.steps[0].values == pytest.approx(chosen)
    assert trace.steps[-1].values == pytest.approx(whole.spectra)
    assert trace.steps[-1].wavelengths_nm == pytest.approx(whole.wavelengths_nm)
    assert all(step.name and step.y_label for step in trace.steps)
    if whole.features.ndim > 2:
        assert trace.spectrogram == pytest.approx(whole.features.mean(axis=0)[..., 0])
        assert trace.frame_centres_nm is not None
        assert len(trace.frame_centres_nm) == len(whole.features[0])
    else:
        assert trace.spectrogram is None


def test_the_commonest_grid_is_shown_and_the_ends_of_grade_are_among_them() -> None:
    spectra = rows(5)
    other = Spectrum(NM[::2], spectra[0].values[::2], "reflectance", "X", source="X")
    assert [row.sample_id for row in on_one_grid([other, *spectra])] == ["S0", "S1", "S2", "S3", "S4"]
    target = {"S0": 5.0, "S1": 1.0, "S2": 3.0, "S3": 4.0, "S4": 2.0}
    assert [row.sample_id for row in spread_by_grade(spectra, target, 3)] == ["S1", "S2", "S0"]
    assert len(spread_by_grade(spectra, target, 50)) == 5
