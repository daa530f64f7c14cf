"""What methods have in common: what they refuse, the grid they stand on, transforms of the target and the way back.

A method is a way of making a model: it is given training data and nothing else, makes all its choices (preprocessing,
components, hyperparameters, the target's transform) by an inner cross-validation of its own, and answers with a
predictor. So whatever is left out stays out of every choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar, get_args

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.presets import Preprocessing
from ...edge.model.recipe import Recipe
from ...edge.model.scaling import Scaling
from ...edge.model.steps import Resample, SpliceCorrection, Step
from ...edge.model.target import Transform, forward
from ..crossval.decision import QUANTILE, DecideBy, share_of_logarithms, unexplained
from ..errors import TrainingDataError
from ..samples import FEWEST_NM, FIRST_NM, LAST_NM
from .stacking import soft_shares

M = TypeVar("M")
SOFTNESS, LEAST_SHARE = 0.2, 0.1
"""Of shares by errors; see `stacking.soft_shares`."""


def common_range(wavelengths_nm: Floats, first_nm: float = FIRST_NM, last_nm: float = LAST_NM) -> Resample:
    """Give the 1 nm grid on which models of these spectra stand: what is there of 400-2450 nm.

    Raises:
        TrainingDataError: less than 150 nm of it.
    """
    first, last = math.ceil(max(first_nm, wavelengths_nm[0])), math.floor(min(last_nm, wavelengths_nm[-1]))
    if last - first < FEWEST_NM:
        raise TrainingDataError(
            f"the spectra cover {wavelengths_nm[0]:g}-{wavelengths_nm[-1]:g} nm; a model needs at least "
            f"{FEWEST_NM:g} nm of {first_nm:g}-{last_nm:g} nm"
        )
    return Resample(first, last, 1.0)


def recipe_on(grid: Resample, *steps: Step) -> Recipe:
    """Make a recipe of steps on a grid, after a splice correction (which does nothing without splices)."""
    return Recipe((SpliceCorrection(), grid, *steps))


def with_recipe(method: M, recipe: Preprocessing | None) -> M:
    """Give a method with preprocessing in place of what it would try.

    Raises:
        TrainingDataError: it cannot take this one.
    """
    changed: M = method if recipe is None else replace(method, recipe=recipe)  # type: ignore[type-var]
    return changed


def is_taught_water(method: object) -> bool:
    """Say whether a method learns by itself what water changes; see `mobilenetv2.MobileNetV2.water`."""
    return hasattr(method, "water")


def with_water_known(method: M, differences: Floats, corrected: Preprocessing) -> M:
    """Give a method that learns by itself what water changes.

    Args:
        method: such a one.
        differences: (q, bands) of absorbance, that water changes.
        corrected: preprocessing that takes water out.
    """
    return replace(method, water=differences, corrected=corrected)  # type: ignore[type-var]


def refuse_spectrogram(method: str, recipe: Preprocessing | None) -> None:
    """Refuse a recipe whose features are a picture, for a method that takes a row of bands.

    Raises:
        TrainingDataError: it is one.
    """
    if recipe is not None and recipe.has_spectrogram:
        raise TrainingDataError(
            f"recipe {recipe.name}: ends in a spectrogram, which {method} does not take; leave that step out, or train "
            "with --method published"
        )


def transforms_for(target: Floats) -> tuple[Transform, ...]:
    """Give the transforms worth trying: none, and for skewed positive values square root and logarithm too."""
    choices: tuple[Transform, ...] = get_args(Transform)
    return choices if share_of_logarithms(target) > 0 else ("none",)


@dataclass(frozen=True)
class BackTransformation:
    """The way from a transform's space back to the target's unit, within the calibrated range.

    Undoing a transform of the best guess gives a median, which is below the mean. To the mean it is the smearing
    estimate of Duan 1983 (JASA 78(383):605): the mean over what each residual, added to the guess, would give; to a
    quantile it is the residuals' quantile. Where mean and median both have a claim (`decision.DecideBy`), the
    correction is that of the mean times its share, which goes by the loss of both on samples that were left out.

    Attributes:
        transform: to undo.
        low, high: calibrated range in the target's unit; answers outside become its ends.
        first, second: for the square root z, what is added to z squared: twice the first times z, and the second; for
            the logarithm, the factor, and 0; for none, what is added, and 0.
    """

    transform: Transform
    low: float
    high: float
    first: float
    second: float

    @classmethod
    def learn(
        cls, transform: Transform, target: Floats, predicted: Floats, decide_by: DecideBy = "both"
    ) -> BackTransformation:
        """Learn the correction from predictions that were not fitted to.

        Args:
            transform: that was used.
            target: (n,) in its own unit.
            predicted: (..., n) in the transform's space, by inner cross-validation.
            decide_by: what for.
        """
        low, high = float(target.min()), float(target.max())
        ends = forward(np.array([low, high]), transform)
        residuals = forward(target, transform) - np.clip(predicted, ends[0], ends[1])
        if decide_by == "quantile":
            above = float(np.quantile(residuals, QUANTILE))
            return cls(transform, low, high, *_corrections(transform, np.array([above])))
        mean = cls(transform, low, high, *_corrections(transform, residuals))
        median = cls(transform, low, high, *_corrections(transform, np.zeros(1)))
        if transform == "none" or decide_by == "median":
            return median
        if decide_by == "mean":
            return mean
        losses = [unexplained(back(predicted), target, decide_by) for back in (mean, median)]
        share, _ = soft_shares(losses, SOFTNESS, LEAST_SHARE)
        first, second = (
            float(share * of_mean + (1.0 - share) * of_median)
            for of_mean, of_median in ((mean.first, median.first), (mean.second, median.second))
        )
        return cls(transform, low, high, first, second)

    def __call__(self, predicted: Floats) -> Floats:
        """Take predictions of any shape from the transform's space to the target's unit."""
        ends = forward(np.array([self.low, self.high]), self.transform)
        z = np.clip(predicted, ends[0], ends[1])
        if self.transform == "sqrt":
            z = z**2 + 2 * self.first * z + self.second
        elif self.transform == "log10":
            z = 10.0**z * self.first
        else:
            z = z + self.first
        return np.clip(z, self.low, self.high)


def _corrections(transform: Transform, residuals: Floats) -> tuple[float, float]:
    """Give first and second of a `BackTransformation` by which such residuals are made up for on average."""
    if transform == "sqrt":
        return float(residuals.mean()), float(np.mean(residuals**2))
    if transform == "log10":
        return float(np.mean(10.0**residuals)), 0.0
    return float(residuals.mean()), 0.0


def inner_loss(predicted: Floats, target: Floats, transform: Transform, decide_by: DecideBy = "both") -> float:
    """Give the loss that a choice is judged by (`decision.unexplained`).

    Args:
        predicted: (repeats, n) in the transform's space, by inner cross-validation.
        target: (n,) in its own unit.
        transform: that was used.
        decide_by: what for.
    """
    answers = BackTransformation.learn(transform, target, predicted, decide_by)(predicted)
    return unexplained(answers, target, decide_by)


def repeats_for(n: int, fast: bool) -> int:
    """Say how often the inner cross-validation is repeated: choices on few samples are noisy."""
    return 1 if fast or n > 200 else 2


def as_stored(scaling: Scaling) -> Scaling:
    """Round as a bundle does, which keeps single precision: training must see what the device will."""
    return Scaling(*(a.astype(np.float32).astype(np.float64) for a in (scaling.offset, scaling.scale)))
