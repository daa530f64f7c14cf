"""Recipes as TOML: read from a file of one's own or by name, and written to start from. See docs/recipes.md."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from .errors import RecipeError, RecipeFileError
from .model.presets import PRESETS, Preprocessing
from .model.recipe import Recipe
from .model.steps import STEPS, Step
from .toml_file import Where, parse_toml, read_list, read_named, read_section


def _steps(value: Any, where: Where) -> tuple[Step, ...]:
    return tuple(_step(one, where.item(number)) for number, one in enumerate(read_list(value, where), 1))


def _step(value: Any, where: Where) -> Step:
    if not isinstance(value, dict):
        raise where.needs(value, 'a table is needed, such as step = "absorbance"')
    name = value.get("step")
    if not isinstance(name, str) or name not in STEPS:
        place = where.at("step")
        if name is None:
            raise where.says(f"{place.path} is missing; one of {', '.join(STEPS)} is needed")
        raise place.needs(name, f"one of {', '.join(STEPS)} is needed")
    try:
        return read_section(STEPS[name], value, where, also=("step",))
    except RecipeFileError:
        raise
    except RecipeError as error:
        raise where.says(f"{where.path}: {error}") from error


@dataclass(frozen=True)
class _Block:
    steps: Annotated[tuple[Step, ...], _steps]
    autoscale: bool = False


@dataclass(frozen=True)
class _File:
    name: str = ""
    autoscale: bool = False
    steps: Annotated[tuple[Step, ...], _steps] = ()
    blocks: tuple[_Block, ...] = ()


def read_preprocessing(name_or_path: str | os.PathLike[str]) -> Preprocessing:
    """Read preprocessing by its name, or from a TOML file by its path.

    Args:
        name_or_path: a path has a folder in it, or ends with .toml.

    Raises:
        RecipeFileError: no such name or file, or something in it that cannot be; one line that names it.
    """
    given = os.fspath(name_or_path)
    if given in PRESETS:
        return PRESETS[given]
    shipped: dict[str, Callable[[], str]] = dict.fromkeys(PRESETS, lambda: "")
    return from_toml(read_named(given, shipped, "recipe", RecipeFileError), given)


def from_toml(text: str, source: str) -> Preprocessing:
    """Read preprocessing from TOML.

    Args:
        text: of the file.
        source: its name, for what is said of it; without a `name` in the text, what it is called.

    Raises:
        RecipeFileError: see `read_preprocessing`.
    """
    where = Where(source, RecipeFileError)
    file = read_section(_File, parse_toml(text, source, RecipeFileError), where)
    if bool(file.steps) == bool(file.blocks):
        raise where.says(
            "has steps and blocks; one recipe has [[steps]], several side by side have [[blocks]]"
            if file.steps
            else "has no step; write [[steps]], or [[blocks]] for several recipes side by side"
        )
    if file.blocks and file.autoscale:
        raise where.says("autoscale is said of each of the [[blocks]]")
    name = file.name or Path(source).stem
    blocks = file.blocks or (_Block(file.steps, file.autoscale),)
    recipes = []
    for number, block in enumerate(blocks, 1):
        try:
            recipes.append(Recipe(block.steps, "" if file.blocks else name))
        except RecipeError as error:
            raise where.says(f"block {number}: {error}" if file.blocks else str(error)) from error
    try:
        return Preprocessing(name, tuple(recipes), tuple(block.autoscale for block in blocks))
    except RecipeError as error:
        raise where.says(str(error)) from error


def to_toml(chosen: Preprocessing) -> str:
    """Write preprocessing as TOML that `from_toml` reads back, with what else each parameter may be."""
    alone = len(chosen.recipes) == 1
    lines = [f"name = {_toml(chosen.name)}"]
    for recipe, autoscale in zip(chosen.recipes, chosen.autoscale, strict=True):
        if not alone:
            lines += ["", "[[blocks]]"]
        lines.append(f"autoscale = {_toml(autoscale)}")
        for step in recipe.steps:
            lines += ["", f"[[{'' if alone else 'blocks.'}steps]]", f"step = {_toml(step.step)}"]
            for parameter in parameters_of(type(step)):
                value = getattr(step, parameter.name)
                if value is not None:
                    text = f"{parameter.name} = {_toml(value)}"
                    lines.append(f"{text}  # {parameter.may_be}" if len(parameter.may_be) else text)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a step.

    Attributes:
        name: as it is written.
        usual: taken where it is left out; None if it must be there, or is worked out.
        needed: whether it must be there.
        may_be: words that it can be, such as "additive or multiplicative"; "" for a number.
    """

    name: str
    usual: Any
    needed: bool
    may_be: str


def parameters_of(kind: type[Step]) -> tuple[Parameter, ...]:
    """Give the parameters of a step."""
    hints = get_type_hints(kind)
    return tuple(
        Parameter(
            own.name,
            None if own.default is MISSING else own.default,
            own.default is MISSING,
            " or ".join(get_args(hints[own.name])) if get_origin(hints[own.name]) is Literal else "",
        )
        for own in fields(kind)
    )


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # A text of TOML is escaped as one of JSON is.
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)
