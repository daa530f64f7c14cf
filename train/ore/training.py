"""`stibium ore train` from the table to everything a run holds, apart from how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...edge.ore.bundle import Costs, OreBundle, Worth
from ...edge.ore.columns import Columns
from ...edge.ore.domain import OreDomain
from ..errors import TrainingDataError
from .comparison import Cell, Comparison, Settings, compare
from .data import OreData
from .domain import fit_ore_domain
from .explain import Summary, Waterfall, summarise, telling_rows, waterfall
from .explore import Exploration, explore
from .run import make_bundle
from .study import Beside, beside_the_study
from .tasks import Progress
from .threshold import Threshold, choose_threshold, worth_of

EXPLAINED = 200
"""Test blocks that a SHAP summary stands on."""
EXPLAINED_FAST = 40

Key = tuple[str, str]
"""Scenario and model."""


@dataclass(frozen=True, eq=False)
class OreResult:
    """Everything that came of a training; dictionaries by scenario and model."""

    data: OreData
    columns: Columns
    costs: Costs
    exploration: Exploration
    comparison: Comparison
    thresholds: dict[Key, Threshold]
    bundles: dict[Key, OreBundle]
    summaries: dict[Key, Summary]
    waterfalls: dict[Key, tuple[Waterfall, ...]]
    beside: tuple[Beside, ...]


def train_ore(
    data: OreData,
    columns: Columns,
    settings: Settings,
    costs: Costs,
    folder: Path,
    jobs: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    explaining: Callable[[int, int], None] | None = None,
    domain_done: Callable[[int, int], None] | None = None,
) -> OreResult:
    """Explore, compare, convert, explain.

    Args:
        data: the table.
        columns: as it was read by.
        settings: what to compare.
        costs: of a wrong call; they choose the thresholds, on left-out folds.
        folder: of the run; see `comparison.compare`.
        jobs: processes.
        progress: called after each fit.
        explaining: called after each model that is explained, with how many of how many are.
        domain_done: the same of scenarios whose domain is fitted.

    Raises:
        TrainingDataError: the table has too few rows, holes or blocks of a class.
        ConversionError, ParityError: a model would answer differently on the device.
    """
    exploration = explore(data)
    try:
        comparison = compare(data, settings, folder, jobs, progress)
    except TrainingDataError as error:
        raise TrainingDataError(f"{data.source}: {error}") from None
    training_ore = data.ore[comparison.split.training]
    thresholds = {(c.scenario, c.model): choose_threshold(c.unseen, training_ore, costs) for c in comparison.cells}
    test_ore = data.ore[comparison.split.test]
    domains = fit_domains(data.take(comparison.split.training), settings, domain_done)
    bundles, summaries, waterfalls = {}, {}, {}
    for done, cell in enumerate(comparison.cells, start=1):
        key = cell.scenario, cell.model
        worth = judge_worth(cell, thresholds[key], training_ore, test_ore, costs)
        domain = domains[cell.scenario]
        bundles[key] = make_bundle(cell, comparison, data, columns, costs, thresholds[key], worth, domain)
        summaries[key], waterfalls[key] = _explain(cell, comparison, data, bundles[key], thresholds)
        if explaining is not None:
            explaining(done, len(comparison.cells))
    beside = beside_the_study(
        exploration,
        comparison,
        lambda scenario: summaries[scenario, comparison.best(scenario).model].leading,
        data.simulated,
    )
    return OreResult(
        data, columns, costs, exploration, comparison, thresholds, bundles, summaries, waterfalls, tuple(beside)
    )


def fit_domains(
    training: OreData, settings: Settings, done: Callable[[int, int], None] | None = None
) -> dict[str, OreDomain | None]:
    """Fit the joint domain of each scenario's variables to the training rows; see `fit_ore_domain`."""
    domains: dict[str, OreDomain | None] = {}
    for scenario in settings.scenarios:
        at = training.columns_of(scenario.variables)
        variables = [training.variables[i] for i in at]
        domains[scenario.name] = fit_ore_domain(
            variables, training.features[:, at], training.holes, settings.seed, settings.fast
        )
        if done is not None:
            done(len(domains), len(settings.scenarios))
    return domains


def judge_worth(
    cell: Cell, threshold: Threshold, ore: NDArray[np.bool_], test_ore: NDArray[np.bool_], costs: Costs
) -> Worth:
    """Say what a cell's calls cost on the test blocks, or, if they are worth nothing there, on the left-out folds."""
    at = threshold.value
    left_out = worth_of(cell.unseen, ore, at, costs, cell.unseen_error, cell.unseen_chance)
    tested = worth_of(cell.test_probability, test_ore, at, costs, cell.test["ece"], cell.test_chance_error)
    return left_out if left_out.nothing else tested


def _explain(
    cell: Cell, comparison: Comparison, data: OreData, bundle: OreBundle, thresholds: dict[Key, Threshold]
) -> tuple[Summary, tuple[Waterfall, ...]]:
    settings = comparison.settings
    test = data.take(comparison.split.test)
    names = bundle.scenario.variables
    features = test.marked[:, data.columns_of(names)]
    count = min(EXPLAINED_FAST if settings.fast else EXPLAINED, len(features))
    drawn = np.random.default_rng(settings.seed).choice(len(features), count, replace=False)
    summary = summarise(cell.scenario, cell.model, bundle.model, names, features[np.sort(drawn)])
    # The same blocks for every model of a scenario, so that their ways can be compared.
    best = comparison.best(cell.scenario)
    rows = telling_rows(best.test_probability, thresholds[best.scenario, best.model].value)
    falls = tuple(
        waterfall(cell.scenario, cell.model, bundle.model, names, features[row], called, bool(test.ore[row]))
        for called, row in rows
    )
    return summary, falls
