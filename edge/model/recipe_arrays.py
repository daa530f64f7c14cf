"""Arrays of a recipe's steps, kept among a bundle's arrays and not in its manifest, once for all blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .recipe import EPO

PREFIX = "moisture_"
_NAMES = ("centre", "directions", "duals")


def arrays_apart(recipe: dict[str, Any]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Take the arrays out of what a recipe's or blocks' `to_dict` gave; their names stand in their place."""
    arrays: dict[str, NDArray[Any]] = {}

    def apart(step: dict[str, Any]) -> dict[str, Any]:
        if step["step"] != EPO:
            return step
        arrays.update({PREFIX + name: np.array(step[name], dtype=np.float64) for name in _NAMES})
        return {**step, **{name: PREFIX + name for name in _NAMES}}

    return _each_step(recipe, apart), arrays


def arrays_back(recipe: Any, arrays: Mapping[str, Any]) -> Any:
    """Put back what `arrays_apart` took out; anything else stays as it is, for the recipe to refuse."""

    def back(step: Any) -> Any:
        if not isinstance(step, Mapping) or step.get("step") != EPO:
            return step
        return {
            key: np.asarray(arrays[value]).tolist() if key in _NAMES and value in arrays else value
            for key, value in step.items()
        }

    return _each_step(recipe, back)


def _each_step(recipe: Any, change: Any) -> Any:
    if isinstance(recipe, Mapping) and isinstance(recipe.get("views"), list):
        return {**recipe, "views": [_each_step(one, change) for one in recipe["views"]]}
    if isinstance(recipe, Mapping) and isinstance(recipe.get("steps"), list):
        return {**recipe, "steps": [change(step) for step in recipe["steps"]]}
    return recipe
