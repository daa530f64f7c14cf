"""The page of a run of `stibium ore train`, in the look of the other reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...edge.ore.cells import BELOW
from ..report.figures import draw_correlations
from ..report.page import render, write_page
from . import report_figures, report_tables, search
from .models import MODELS
from .study import CITATION
from .training import OreResult


def domains_in_words(result: OreResult) -> list[str]:
    """Say of each scenario what its joint domain refuses, or that it has none."""
    lines = []
    for scenario in result.comparison.settings.scenarios:
        domain = result.bundles[scenario.name, result.comparison.best(scenario.name).model].domain
        if domain is None:
            what = "no joint domain, for want of holes or blocks: values that do not belong together go unnoticed"
        else:
            what = (
                f"cannot tell {100 * domain.left_out_share:.1f} % of the single blocks of left-out holes, and "
                f"{100 * domain.shuffled_share:.0f} % of blocks whose columns were shuffled each by itself"
            )
        lines.append(f"{scenario.name}: {what}")
    return lines


def limits_in_words(result: OreResult) -> list[str]:
    """Say of each scenario that has detection limits what stands for a value below one in its best model."""
    ways = {
        "half": "half the limit",
        "mark": "half the limit, and a mark of its own",
        "impute": "the mean of what is below it",
    }
    lines = []
    for scenario in result.comparison.settings.scenarios:
        at = result.data.columns_of(scenario.variables)
        if (result.data.bounds[:, at] == BELOW).any():
            best = result.bundles[scenario.name, result.comparison.best(scenario.name).model]
            lines.append(f"{scenario.name}: {ways[best.model.below]} stands for a value below a detection limit")
    return lines


def worthless(result: OreResult) -> list[str]:
    """Say of each model that is worth nothing why, in one sentence each."""
    lines = []
    for cell in result.comparison.cells:
        worth = result.bundles[cell.scenario, cell.model].worth
        if worth is not None and worth.nothing:
            best = " (the best of its scenario)" if result.comparison.best(cell.scenario) is cell else ""
            lines.append(f"{MODELS[cell.model].title} in {cell.scenario}{best} is {worth.nothing}")
    return lines


def write_ore_report(path: Path, result: OreResult, notes: Sequence[str]) -> None:
    """Write a run's report; raises ReportError if the file cannot be written."""
    comparison = result.comparison
    split, settings = comparison.split, comparison.settings
    facts = [
        ("table", Path(result.data.source).name),
        ("SHA-256 of the table", result.data.sha256[:16]),
        ("blocks", str(len(result.data.ore))),
        ("training rows", str(len(split.training))),
        ("test rows", str(len(split.test))),
        ("outer folds", f"{settings.folds}{', --fast' if settings.fast else ''}"),
        ("seed", str(settings.seed)),
        ("processor time of all fits", f"{comparison.processor_s / 60:.1f} min"),
    ]
    page = render(
        "ore.html",
        title="Ore or gangue",
        domains=domains_in_words(result),
        kind="training",
        simulated=result.data.simulated,
        facts=facts,
        notes=[*notes, *limits_in_words(result), *worthless(result)],
        r=result,
        t=report_tables,
        draw=report_figures,
        draw_correlations=draw_correlations,
        search=search,
        inner_folds=search.inner_folds(result.data.ore[split.training], None),
        MODELS=MODELS,
        CITATION=CITATION,
    )
    write_page(path, page)
