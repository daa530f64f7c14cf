"""Scenarios: which variables a model may use, as TOML files. C1 to C4 are those of the study (docs/ore_device.md)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from ..errors import ScenarioError
from ..toml_file import Where, parse_toml, read_named, read_names, read_section

SHIPPED = Path(__file__).parent / "scenario_files"


def _read_variables(value: Any, where: Where) -> tuple[str, ...]:
    names = read_names(value, where)
    if not names or not all(names):
        raise where.needs(value, "one name or more is needed")
    return names


@dataclass(frozen=True)
class Scenario:
    """A named choice of variables.

    Attributes:
        name: such as C4.
        variables: names, in the order in which a model takes them.
        title: what it stands for, in a few words.
    """

    name: str
    variables: Annotated[tuple[str, ...], _read_variables]
    title: str = ""


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the package."""
    return sorted(file.stem for file in SHIPPED.glob("*.toml"))


def read_scenario(name_or_path: str | os.PathLike[str]) -> Scenario:
    """Read a scenario: one that comes with the package, by its name, or a file.

    Raises:
        ScenarioError: no such scenario or file, not TOML, an unknown key, no variables.
    """
    shipped = {file.stem: partial(file.read_text, "utf-8") for file in SHIPPED.glob("*.toml")}
    return parse_scenario(read_named(name_or_path, shipped, "scenario", ScenarioError), os.fspath(name_or_path))


def parse_scenario(text: str, source: str) -> Scenario:
    """Read a scenario's TOML text; `source` is what errors name. Raises ScenarioError."""
    return read_section(Scenario, parse_toml(text, source, ScenarioError), Where(source, ScenarioError))
