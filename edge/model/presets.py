"""Preprocessing by name: what a training may be asked for in place of what its method would try by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from ..errors import RecipeError
from .recipe import Blocks, Recipe
from .steps import (
    Absorbance,
    ContinuumRemoval,
    Derivative,
    Resample,
    SavitzkyGolay,
    SavitzkyGolayDerivative,
    Spectrogram,
    SpliceCorrection,
    StandardNormalVariate,
    Step,
)

_PAPER_GRID = Resample()


def paper_recipe(continuum_first: bool = False, *, grid: Resample = _PAPER_GRID, name: str = "") -> Recipe:
    """Make the recipe of Carvalho et al. 2024 (Remote Sensing 16(11):1964).

    Splice correction; 400-2400 nm at 1 nm; absorbance, from which its hull is subtracted; Savitzky-Golay smoothing of
    degree 2 over 31 nm; first derivative; spectrogram. The paper's text gives a second order too: the hull is divided
    out of reflectance, and that turned into absorbance. It prints neither the frames' lengths (here those of
    TensorFlow's audio tutorial) nor how the splices were corrected (here additively to SWIR1; see `SpliceCorrection`).

    Args:
        continuum_first: take the second order.
        grid: other wavelengths.
        name: of the recipe.

    Raises:
        RecipeError: parameters that cannot be.
    """
    absorbance: tuple[Step, ...] = (Absorbance(), ContinuumRemoval("subtract"))
    if continuum_first:
        absorbance = (ContinuumRemoval("divide"), Absorbance())
    return Recipe((SpliceCorrection(), grid, *absorbance, SavitzkyGolay(), Derivative(1), Spectrogram()), name)


RECIPES: dict[str, Recipe] = {
    "paper": paper_recipe(name="paper"),
    "paper-continuum-first": paper_recipe(continuum_first=True, name="paper-continuum-first"),
}

KEEP_NM = 10.0
"""Distance of the bands that a block keeps."""


class BlockSetting(NamedTuple):
    """A block: derivative and window of a Savitzky-Golay filter of absorbance, after an SNV or not.

    Attributes:
        autoscale: give each band the same variance in training; no step of a recipe, a network's first layer does it.
    """

    order: int
    window_nm: float
    snv: bool
    autoscale: bool = False


BLOCKS = (
    BlockSetting(1, 31, False),
    BlockSetting(1, 31, True, True),
    BlockSetting(0, 15, True),
    BlockSetting(1, 61, False, True),
    BlockSetting(2, 61, True),
    BlockSetting(2, 61, False),
)
"""What the stack and the MobileNetV2 see where nobody says otherwise."""


def block_recipe(order: int, window_nm: float, snv: bool, grid: Resample, keep_nm: float = KEEP_NM) -> Recipe:
    """Give a block's preprocessing: absorbance, perhaps SNV, Savitzky-Golay in one with thinning."""
    steps: list[Step] = [SpliceCorrection(), grid, Absorbance()]
    if snv:
        steps.append(StandardNormalVariate())
    return Recipe((*steps, SavitzkyGolayDerivative(window_nm, 2, order, keep_nm)))


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of one's own choice: one recipe or several, from the same grid.

    Attributes:
        name: of the preset or the file.
        recipes: one or more. A method that takes one chooses among them inside its folds; one that takes blocks gets
            them side by side.
        autoscale: for each recipe, whether each of its bands is given the same variance in training.

    Raises:
        RecipeError: recipes that begin differently.
    """

    name: str
    recipes: tuple[Recipe, ...]
    autoscale: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.autoscale) != len(self.recipes):
            raise RecipeError(f"{len(self.recipes)} recipes, and {len(self.autoscale)} times said whether to autoscale")
        # It holds what blocks must have in common.
        _ = self.blocks

    @cached_property
    def blocks(self) -> Blocks:
        """The recipes side by side."""
        return Blocks(self.recipes, self.name)

    @property
    def range_nm(self) -> tuple[float, float]:
        """First and last wavelength that a spectrum must cover, in nm."""
        return self.blocks.range_nm

    @property
    def has_spectrogram(self) -> bool:
        """True if any recipe ends in one."""
        return any(recipe.has_spectrogram for recipe in self.recipes)

    def one_by_one(self) -> tuple[Preprocessing, ...]:
        """Give each recipe by itself; of several each has its own name, or its number in that of all."""
        several = len(self.recipes) > 1
        return tuple(
            Preprocessing((recipe.name or f"{self.name} {number}") if several else self.name, (recipe,), (autoscale,))
            for number, (recipe, autoscale) in enumerate(zip(self.recipes, self.autoscale, strict=True), 1)
        )


def _alone(recipe: Recipe, name: str) -> Preprocessing:
    return Preprocessing(name, (replace(recipe, name=name),), (False,))


_GRID = Resample(400, 2450, 1)

PRESETS: dict[str, Preprocessing] = {
    **{name: _alone(recipe, name) for name, recipe in RECIPES.items()},
    "derivative": _alone(block_recipe(1, 31, False, _GRID), "derivative"),
    "snv-derivative": _alone(block_recipe(1, 31, True, _GRID), "snv-derivative"),
    "blocks": Preprocessing(
        "blocks",
        tuple(block_recipe(one.order, one.window_nm, one.snv, _GRID) for one in BLOCKS),
        tuple(one.autoscale for one in BLOCKS),
    ),
}
"""Those that come with the package, by name."""
