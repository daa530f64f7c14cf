"""Arrays of a recipe's steps, kept among a bundle's arrays and not in its manifest; what blocks share is kept once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .recipe import EPO
from .steps import FeatureOrthogonalisation

PREFIX = "moisture_"
_NAMES: dict[str, tuple[str, ...]] = {
    EPO: ("centre", "directions", "duals"),
    FeatureOrthogonalisation.step: ("centre", "scale", "directions"),
}
"""Of the steps that have arrays."""


def arrays_apart(recipe: dict[str, Any]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Take the arrays out of what a recipe's or blocks' `to_dict` gave; their names stand in their place."""
    arrays: dict[str, NDArray[Any]] = {}

    def apart(step: dict[str, Any]) -> dict[str, Any]:
        return {**step, **{name: kept(name, np.array(step[name])) for name in _NAMES.get(step["step"], ())}}

    def kept(name: str, array: NDArray[Any]) -> str:
        key, number = PREFIX + name, 1
        while key in arrays and not np.array_equal(arrays[key], array):
            number += 1
            key = f"{PREFIX}{name}_{number}"
        arrays[key] = array
        return key

    return _each_step(recipe, apart), arrays


def arrays_back(recipe: Any, arrays: Mapping[str, Any]) -> Any:
    """Put back what `arrays_apart` took out; anything else stays as it is, for the recipe to refuse."""

    def back(step: Any) -> Any:
        names = _NAMES.get(str(step.get("step")), ()) if isinstance(step, Mapping) else ()
        if not names:
            return step
        return {
            key: np.asarray(arrays[value]).tolist() if key in names and value in arrays else value
            for key, value in step.items()
        }

    return _each_step(recipe, back)


def _each_step(recipe: Any, change: Any) -> Any:
    if isinstance(recipe, Mapping) and isinstance(recipe.get("views"), list):
        return {**recipe, "views": [_each_step(one, change) for one in recipe["views"]]}
    if isinstance(recipe, Mapping) and isinstance(recipe.get("steps"), list):
        return {**recipe, "steps": [change(step) for step in recipe["steps"]]}
    return recipe
