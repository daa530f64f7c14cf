"""What the ore report shows as tables, and `tables/*.csv` as files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...edge.chart import fixed, number
from ...edge.ore.columns import Variable
from ..report.page import Table, tabulate
from .calibration import TITLES as CALIBRATIONS
from .comparison import Cell
from .explain import Waterfall
from .explore import STATISTICS
from .models import MODELS
from .report_figures import Curve
from .scores import SCORES, TITLES, confusion
from .threshold import mean_cost
from .training import OreResult

Bools = NDArray[np.bool_]
TIMES_CHANCE = 1.5
"""A calibration error that is no more than so many times what true probabilities would have passes."""


def curves(result: OreResult, scenario: str) -> list[Curve]:
    """Return what curves are drawn of, a model each."""
    cells = result.comparison.of(scenario)
    return [Curve(c.model, c.test_probability, c.test, c.calibration, c.test_raw) for c in cells]


def test_ore(result: OreResult) -> Bools:
    """(test rows,) what they were."""
    return result.data.ore[result.comparison.split.test]


def three(value: float) -> str:
    """Write a number with three decimals."""
    return fixed(value, 3) if np.isfinite(value) else "–"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + three(value)


def outcome_table(result: OreResult) -> Table:
    """The best model of each scenario in a line, and whether its probabilities can be believed."""
    rows = [(s, result.comparison.best(s.name)) for s in result.comparison.settings.scenarios]
    base = base_rate(test_ore(result))
    return tabulate(
        rows,
        {
            "scenario": lambda row: row[0].name,
            "best model": lambda row: MODELS[row[1].model].title,
            "worth": lambda row: worth_in_words(result, row[1]),
            "threshold": lambda row: three(result.thresholds[row[0].name, row[1].model].value),
            "accuracy": lambda row: three(row[1].test["accuracy"]),
            "base rate": lambda _: three(base),
            "AUC": lambda row: three(row[1].test["auc"]),
            "Brier": lambda row: three(row[1].test["brier"]),
            "ECE": lambda row: three(row[1].test["ece"]),
            "by chance": lambda row: three(row[1].test_chance_error),
            "verdict": lambda row: "pass" if row[1].test["ece"] <= TIMES_CHANCE * row[1].test_chance_error else "warn",
            "variables": lambda row: row[0].title,
        },
        left=3,
        text=("variables",),
    )


def base_rate(ore: Bools) -> float:
    """Return the share of blocks that are called right if all are called what most of them are."""
    return float(max(ore.mean(), 1 - ore.mean()))


def worth_in_words(result: OreResult, cell: Cell) -> str:
    """Say what a model saves a block, or that it is worth nothing."""
    worth = result.bundles[cell.scenario, cell.model].worth
    if worth is None:
        return ""
    saved = min(worth.haul_all, worth.haul_none) - worth.cost
    return worth.nothing or f"saves {three(saved)} a block"


def score_table(result: OreResult) -> Table:
    """The comparison; every score with its spread over the outer folds."""
    cells = result.comparison.cells
    rows = []
    for cell in cells:
        spreads = [f"{three(cell.cross_validated[s].mean)} ± {three(cell.cross_validated[s].sd)}" for s in SCORES]
        spreads[SCORES.index("ece")] = three(cell.unseen_error)
        spreads.append(three(cell.unseen_chance))
        parameters = ", ".join(f"{name} {value}" for name, value in cell.parameters.items())
        rows.append([cell.scenario, MODELS[cell.model].title, *spreads, CALIBRATIONS[cell.calibration], parameters])
    header = [
        "scenario",
        "model",
        *_titles(result.data.ore[result.comparison.split.training]),
        "calibration",
        "parameters",
    ]
    strong = [i for i, cell in enumerate(cells) if result.comparison.best(cell.scenario) is cell]
    return Table(header, rows, left=2, strong=strong, caption="Left-out folds")


def _titles(ore: Bools) -> list[str]:
    """Return the scores' headings, the accuracy with that of calling all blocks alike, the ECE followed by chance's."""
    titles = [TITLES[s] for s in SCORES]
    titles[SCORES.index("accuracy")] += f" (base {three(base_rate(ore))})"
    return [*titles, "ECE by chance"]


def test_table(result: OreResult) -> Table:
    """The test set: every score with its spread over holes drawn anew, and the confusion matrix."""
    counts = ["ore found", "ore lost", "gangue hauled", "gangue left"]
    ore = test_ore(result)
    header = ["scenario", "model", *_titles(ore), *counts]
    rows = []
    for cell in result.comparison.cells:
        lost, hauled, found, left = confusion(cell.test_probability, ore)
        spreads = [f"{three(cell.test[s])} ± {three(cell.test_spread[s].sd)}" for s in SCORES]
        spreads.append(three(cell.test_chance_error))
        rows.append([cell.scenario, MODELS[cell.model].title, *spreads, *map(str, (found, lost, hauled, left))])
    return Table(header, rows, left=2, caption="Test blocks")


def leakage_differences(result: OreResult) -> tuple[str, str]:
    """By how much the AUC is higher at random, on average and at most."""
    found = [c.leakage.difference["auc"] for c in result.comparison.cells if c.leakage is not None]
    return three(float(np.mean(found))), three(float(np.max(found)))


def leakage_table(result: OreResult) -> Table:
    """What AUC and accuracy gain by folds at random alone."""
    rows = []
    for cell in result.comparison.cells:
        row = [cell.scenario, MODELS[cell.model].title]
        if cell.leakage is not None:
            for name in ("auc", "accuracy"):
                spreads = (cell.leakage.by_hole[name], cell.leakage.at_random[name])
                row += [*(f"{three(s.mean)} ± {three(s.sd)}" for s in spreads), _signed(cell.leakage.difference[name])]
            rows.append(row)
    header = ["scenario", "model", "AUC by hole", "AUC at random", "gain", "accuracy by hole", "at random", "gain "]
    return Table(header, rows, left=2)


def threshold_table(result: OreResult) -> Table:
    """Each model's threshold, and what its calls cost there and at 0.5."""
    costs, ore = result.costs, test_ore(result)
    rows = []
    for cell in result.comparison.cells:
        t = result.thresholds[cell.scenario, cell.model]
        lost, hauled, _, _ = confusion(cell.test_probability, ore, t.value)
        tested = (mean_cost(cell.test_probability, ore, costs, at) for at in (t.value, 0.5))
        numbers = map(three, (t.value, t.cost, *tested))
        words = worth_in_words(result, cell)
        rows.append([cell.scenario, MODELS[cell.model].title, *numbers, str(lost), str(hauled), words])
    header = [
        "scenario",
        "model",
        "threshold",
        "cost, folds",
        "cost, test",
        "at 0.5, test",
        "ore lost",
        "gangue hauled",
    ]
    return Table([*header, "worth"], rows, left=2, text=("worth",))


def study_table(result: OreResult) -> Table:
    """Every figure of the study beside this run's."""
    verdicts = {True: "pass", False: "warn", None: "not judged"}
    return tabulate(
        result.beside,
        {
            "figure": lambda b: b.what,
            "study": lambda b: b.study,
            "here, at random": lambda b: b.random,
            "here, by hole": lambda b: b.grouped,
            "verdict": lambda b: verdicts[b.agrees],
            "note": lambda b: b.why,
        },
        left=4,
    )


def statistics_table(result: OreResult) -> Table:
    """Descriptive statistics of the variables, as they are and standardised."""
    rows = []
    for d in result.exploration.descriptions:
        counts = [str(round(d.raw[s])) for s in STATISTICS[:4]]
        rows.append([d.variable.title, "as they are", *counts, *(number(d.raw[s], 4) for s in STATISTICS[4:])])
        scaled = (number(round(d.standardised[s], 9) + 0.0, 3) for s in STATISTICS[4:])
        rows.append(["", "standardised", *([""] * 4), *scaled])
    return Table(["variable", "values", *STATISTICS], rows, left=2)


def frequency_table(result: OreResult) -> Table:
    """Class frequencies in percent."""
    rows = []
    for f in result.exploration.frequencies:
        for k, word in enumerate(f.variable.words):
            name, missing = (f.variable.name, fixed(f.missing_percent, 1)) if k == 0 else ("", "")
            rows.append([name, word, fixed(f.percent[k], 1), fixed(f.ore_percent[k], 1), missing])
    return Table(["class", "word", "% of blocks", "% of them ore", "% not logged"], rows, left=2)


def correlation_table(names: Sequence[str], matrix: NDArray[np.float64]) -> Table:
    """A correlation matrix."""
    return Table(["variable", *names], [[a, *(f"{v:.4f}" for v in row)] for a, row in zip(names, matrix, strict=True)])


def as_tables(result: OreResult) -> dict[str, Table]:
    """Return what stands on the page as tables, by the name of its file."""
    e = result.exploration
    tables = {
        "scores": score_table(result),
        "test_scores": test_table(result),
        "statistics": statistics_table(result),
        "frequencies": frequency_table(result),
        "pearson": correlation_table(e.names, e.pearson),
        "spearman": correlation_table(e.names, e.spearman),
    }
    if result.comparison.grouped:
        tables["leakage"] = leakage_table(result)
    return tables


def values_in_words(result: OreResult, fall: Waterfall) -> list[str]:
    """Return the values of a waterfall's variables as people write them."""
    known = {v.name: v for v in result.data.variables}
    return [value_text(known[name], value) for name, value in zip(fall.names, fall.values, strict=True)]


def value_text(variable: Variable, value: float) -> str:
    """Write a value as people do: the class's word, or a number with its unit."""
    if np.isnan(value):
        return "missing"
    return variable.word(value) if variable.kind == "class" else f"{number(value, 3)} {variable.shown_unit}"
