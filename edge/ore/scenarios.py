"""Scenarios: which variables a model may use, as TOML files. C1 to C4 are those of the study (docs/ore_device.md)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import ScenarioError
from ..toml_file import parse_toml, read_text, refuse_unknown, text_of, texts_of

SHIPPED = Path(__file__).parent / "scenario_files"


@dataclass(frozen=True)
class Scenario:
    """A named choice of variables.

    Attributes:
        name: such as C4.
        title: what it stands for, in a few words.
        variables: names, in the order in which a model takes them.
    """

    name: str
    title: str
    variables: tuple[str, ...]


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the package."""
    return sorted(file.stem for file in SHIPPED.glob("*.toml"))


def read_scenario(name_or_path: str | os.PathLike[str]) -> Scenario:
    """Read a scenario: one that comes with the package, by its name, or a file.

    Raises:
        ScenarioError: no such scenario or file, not TOML, an unknown key, no variables.
    """
    name = os.fspath(name_or_path)
    if os.sep not in name and not name.endswith(".toml"):
        if name in scenario_names():
            return parse_scenario((SHIPPED / f"{name}.toml").read_text("utf-8"), name)
        raise ScenarioError(
            f"{name}: no scenario of that name; there are {', '.join(scenario_names())}, or a .toml file"
        )
    return parse_scenario(read_text(name, ScenarioError), name)


def parse_scenario(text: str, source: str) -> Scenario:
    """Read a scenario's TOML text; `source` is what errors name. Raises ScenarioError."""
    document = parse_toml(text, source, ScenarioError)
    refuse_unknown(document, ("name", "title", "variables"), source, ScenarioError)
    variables = texts_of(document, "variables", source, ScenarioError, None)
    if not variables or not all(variables):
        raise ScenarioError(f"{source}: variables = {list(variables)}; one name or more is needed")
    return Scenario(
        name=text_of(document, "name", source, ScenarioError, None),
        title=text_of(document, "title", source, ScenarioError),
        variables=variables,
    )
