"""A handful of spectra, and what each step of a recipe makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Spectrum
from ...edge.model.recipe import Recipe
from ...edge.model.steps import (
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
from ...edge.model.suitability import require_reflectance
from .contents import SpectraTrace, StepResult

SPECTRA_SHOWN = 7


def on_one_grid(rows: Sequence[Spectrum]) -> list[Spectrum]:
    """Keep the rows of the grid that most of them are on."""
    grids: dict[tuple[object, ...], list[Spectrum]] = {}
    for row in rows:
        grids.setdefault((row.wavelengths_nm.tobytes(), row.splices_nm), []).append(row)
    return max(grids.values(), key=len)


def spread_by_grade(rows: Sequence[Spectrum], target: Mapping[str, float], most: int) -> list[Spectrum]:
    """Choose at most `most` rows, evenly from the lowest to the highest grade, both among them."""
    ranked = sorted(rows, key=lambda row: (target[row.sample_id], row.sample_id))
    at = np.unique(np.linspace(0, len(ranked) - 1, min(most, len(ranked))).round().astype(int))
    return [ranked[i] for i in at]


def trace_spectra(
    rows: Sequence[Spectrum], target: Mapping[str, float], recipe: Recipe, most: int = SPECTRA_SHOWN
) -> SpectraTrace:
    """Take spectra through a recipe, keeping what they are after each step.

    Args:
        rows: usable spectra that the recipe can take.
        target: sample -> grade.
        recipe: its steps are run, one more each time, by the recipe itself.
        most: spectra to show.
    """
    chosen = spread_by_grade(on_one_grid(rows), target, most)
    nm, splices_nm = chosen[0].wavelengths_nm, chosen[0].splices_nm
    values = np.stack([require_reflectance(row, recipe.range_nm) for row in chosen])
    joins = ", ".join(f"{s:g}" for s in splices_nm)
    detectors = f"Detectors join at {joins} nm." if joins else ""
    found = [StepResult("As measured", detectors, "reflectance", nm, values)]
    label = "reflectance"
    spectrogram: NDArray[np.float64] | None = None
    centres: NDArray[np.float64] | None = None
    detail = ""
    for i, step in enumerate(recipe.steps):
        if isinstance(step, SpliceCorrection):
            continue
        if isinstance(step, Spectrogram):
            features = recipe.preprocess(values, nm, splices_nm).features
            spectrogram = features.mean(axis=0)[..., 0]
            last_nm = found[-1].wavelengths_nm
            at = np.arange(len(spectrogram)) * step.frame_step + (step.frame_length - 1) / 2
            centres = np.interp(at, np.arange(last_nm.size), last_nm)
            detail = f"Frames of {step.frame_length} bands, {step.frame_step} apart."
            continue
        done = Recipe(recipe.steps[: i + 1]).preprocess(values, nm, splices_nm)
        name, said, label = describe_step(step, label, recipe.steps[0] if i == 1 else None)
        found.append(StepResult(name, said, label, done.wavelengths_nm, done.spectra))
    return SpectraTrace(
        samples=tuple(row.sample_id for row in chosen),
        grade=np.array([target[row.sample_id] for row in chosen]),
        steps=tuple(found),
        spectrogram=spectrogram,
        frame_centres_nm=centres,
        spectrogram_detail=detail,
    )


def describe_step(step: Step, label: str, before: Step | None = None) -> tuple[str, str, str]:
    """Say in words what a step does.

    Args:
        step: other than splice correction and spectrogram.
        label: what the values were before it.
        before: a splice correction done together with it.

    Returns:
        Its name, its parameters, and what the values are after it.
    """
    if isinstance(step, Resample):
        grid = step.wavelengths_nm
        said = f"{grid[0]:g}–{grid[-1]:g} nm every {grid[1] - grid[0]:g} nm"
        if isinstance(before, SpliceCorrection):
            said = f"{before.method.capitalize()}, to {before.reference}; {said}"
            return "Splice correction and resampling", f"{said}.", label
        return "Resampling", f"{said}.", label
    if isinstance(step, Cut):
        return "Cut", f"{step.first_nm:g}–{step.last_nm:g} nm.", label
    if isinstance(step, Absorbance):
        return "Absorbance", "log₁₀(1/R).", "absorbance"
    if isinstance(step, ContinuumRemoval):
        way = "divided out" if step.method == "divide" else "subtracted"
        return "Continuum removal", f"{step.hull.capitalize()} hull {way}.", f"{label}, hull removed"
    if isinstance(step, SavitzkyGolay):
        return "Savitzky–Golay smoothing", f"Degree {step.degree} over {step.window_nm:g} nm.", label
    if isinstance(step, SavitzkyGolayDerivative):
        name, _, after = describe_step(Derivative(step.order), label) if step.order else ("Smoothing", "", label)
        said = f"Savitzky–Golay, degree {step.degree} over {step.window_nm:g} nm; a band every {step.keep_nm:g} nm."
        return name, said, after
    if isinstance(step, Derivative):
        order = {1: "First", 2: "Second"}.get(step.order, f"{step.order}th")
        per = "nm⁻¹" if step.order == 1 else f"nm⁻{'²³⁴⁵⁶⁷⁸⁹'[step.order - 2]}" if step.order < 10 else "nm"
        return f"{order} derivative", "", f"derivative ({per})"
    if isinstance(step, StandardNormalVariate):
        return "Standard normal variate", "", "standard deviations"
    return step.step.replace("_", " ").capitalize(), "", label
