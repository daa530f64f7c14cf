"""Several recipes side by side: one spectrum seen in several ways by one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats
from ..errors import RecipeError
from .recipe import Preprocessed, Recipe


@dataclass(frozen=True)
class Views:
    """Recipes whose features a model takes as one row, one after the other.

    All stand on the same grid and take the same splice correction, so that one spectrum suits all or none.

    Attributes:
        recipes: in the order of the features; `Preprocessed.spectra` is what the first one makes.
        name: of the preset, or "".

    Raises:
        RecipeError: no recipe, or recipes that begin differently.
    """

    recipes: tuple[Recipe, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipes", tuple(self.recipes))
        if not self.recipes:
            raise RecipeError("views need at least one recipe")
        beginnings = {tuple(s for s in r.steps if s.step in ("splice_correction", "resample")) for r in self.recipes}
        if len(beginnings) > 1:
            raise RecipeError("the recipes of views must share their splice correction and their grid")

    @property
    def grid_nm(self) -> Floats:
        """The model's grid: (bands,) in nm."""
        return self.recipes[0].grid_nm

    @property
    def range_nm(self) -> tuple[float, float]:
        """First and last wavelength that a spectrum must cover, in nm."""
        return self.recipes[0].range_nm

    @property
    def wavelengths_nm(self) -> Floats:
        """Wavelengths of `Preprocessed.spectra`: those of the first recipe."""
        return self.recipes[0].wavelengths_nm

    @property
    def judged_nm(self) -> Floats:
        """Wavelengths of `Preprocessed.reflectance`: the same for all recipes but for what they cut."""
        return self.recipes[0].judged_nm

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of features of each recipe."""
        return tuple(int(np.prod(recipe.feature_shape)) for recipe in self.recipes)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one spectrum's features: one row."""
        return (sum(self.sizes),)

    def preprocess(
        self, values: ArrayLike, wavelengths_nm: ArrayLike, splices_nm: Sequence[float] = ()
    ) -> Preprocessed:
        """Run all recipes; see `Recipe.preprocess`.

        Returns:
            `features` (n, features) or (features,); all else as the first recipe gives it.
        """
        done = [recipe.preprocess(values, wavelengths_nm, splices_nm) for recipe in self.recipes]
        first = done[0]
        lead = first.spectra.shape[:-1]
        features = np.concatenate([p.features.reshape(*lead, -1) for p in done], axis=-1)
        return Preprocessed(first.spectra, first.wavelengths_nm, features, first.reflectance, first.reflectance_nm)

    def to_dict(self) -> dict[str, Any]:
        """Give the views as JSON values."""
        return {"name": self.name, "views": [recipe.to_dict() for recipe in self.recipes]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Views:
        """Read what `to_dict` wrote.

        Raises:
            RecipeError: anything unknown or missing.
        """
        if set(data) != {"name", "views"} or not isinstance(data["views"], (list, tuple)):
            raise RecipeError("views have a name and a list of recipes, and nothing else")
        return cls(tuple(Recipe.from_dict(recipe) for recipe in data["views"]), data["name"])


def preprocessing_from_dict(data: Mapping[str, Any]) -> Recipe | Views:
    """Read a recipe, or views, from what their `to_dict` wrote."""
    if isinstance(data, Mapping) and "views" in data:
        return Views.from_dict(data)
    return Recipe.from_dict(data)
