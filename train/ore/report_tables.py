"""What the ore report shows as tables, and `tables/*.csv` as files: headers and rows of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..report.chart import fixed, number
from .comparison import Cell
from .explore import STATISTICS
from .models import MODELS
from .scores import SCORES, TITLES, confusion
from .splits import Protocol
from .training import OreResult

Bools = NDArray[np.bool_]


def score_rows(result: OreResult, protocol: Protocol) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows and the best rows of the comparison under one protocol; every score with its spread."""
    header = ["scenario", "model", *(TITLES[s] for s in SCORES), "calibration", "parameters"]
    rows: list[list[str]] = []
    strong: list[int] = []
    for cell in cells_of(result, protocol):
        if protocol == result.comparison.honest and result.comparison.best(cell.scenario) is cell:
            strong.append(len(rows))
        spreads = [f"{three(cell.cross_validated[s].mean)} ± {three(cell.cross_validated[s].sd)}" for s in SCORES]
        rows.append([cell.scenario, MODELS[cell.model].title, *spreads, cell.calibration, _parameters(cell)])
    return header, rows, strong


def test_rows(result: OreResult, protocol: Protocol) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the test set: every score with its spread over holes drawn anew, and the confusion matrix."""
    header = [
        "scenario",
        "model",
        *(TITLES[s] for s in SCORES),
        "ore found",
        "ore lost",
        "gangue hauled",
        "gangue left",
    ]
    ore = test_ore(result, protocol)
    rows = []
    for cell in cells_of(result, protocol):
        lost, hauled, found, left = confusion(cell.test_probability, ore)
        spreads = [f"{three(cell.test[s])} ± {three(cell.test_spread[s].sd)}" for s in SCORES]
        counts = [str(n) for n in (found, lost, hauled, left)]
        rows.append([cell.scenario, MODELS[cell.model].title, *spreads, *counts])
    return header, rows


def leakage_rows(result: OreResult) -> tuple[list[str], list[list[str]]]:
    """Header and rows: what each score gains by the random split alone."""
    header = ["scenario", "model", "AUC by hole", "AUC at random", "gain", "accuracy by hole", "at random", "gain "]
    rows = []
    for cell in cells_of(result, "grouped"):
        mixed = result.comparison.cell("random", cell.scenario, cell.model)
        row = [cell.scenario, MODELS[cell.model].title]
        for name in ("auc", "accuracy"):
            a, b = cell.cross_validated[name], mixed.cross_validated[name]
            row += [
                f"{three(a.mean)} ± {three(a.sd)}",
                f"{three(b.mean)} ± {three(b.sd)}",
                _signed(b.mean - a.mean),
            ]
        rows.append(row)
    return header, rows


def statistics_rows(result: OreResult) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the descriptive statistics, as they are and standardised."""
    header = ["variable", "values", *STATISTICS]
    rows = []
    for d in result.exploration.descriptions:
        rows.append(
            [
                d.variable.title,
                "as they are",
                *(str(round(d.raw[s])) for s in STATISTICS[:4]),
                *(number(d.raw[s], 4) for s in STATISTICS[4:]),
            ]
        )
        rows.append(
            ["", "standardised", *([""] * 4), *(number(round(d.standardised[s], 9) + 0.0, 3) for s in STATISTICS[4:])]
        )
    return header, rows


def frequency_rows(result: OreResult) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the class frequencies, in percent."""
    header = ["class", "word", "% of blocks", "% of them ore", "% not logged"]
    rows = []
    for f in result.exploration.frequencies:
        for k, word in enumerate(f.variable.words):
            first = k == 0
            missing = fixed(f.missing_percent, 1) if first else ""
            percent, ore = fixed(f.percent[k], 1), fixed(f.ore_percent[k], 1)
            rows.append([f.variable.name if first else "", word, percent, ore, missing])
    return header, rows


def as_tables(result: OreResult) -> dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]]:
    """Give what stands on the page as tables: name -> header and rows."""
    e = result.exploration
    header, rows, _ = score_rows(result, result.comparison.honest)
    out: dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]] = {
        "scores": (header, rows),
        "test_scores": test_rows(result, result.comparison.honest),
        "statistics": statistics_rows(result),
        "frequencies": frequency_rows(result),
    }
    if result.comparison.honest == "grouped":
        header, rows, _ = score_rows(result, "random")
        out |= {"scores_random_split": (header, rows), "leakage": leakage_rows(result)}
    for name, matrix in (("pearson", e.pearson), ("spearman", e.spearman)):
        out[name] = (
            ["variable", *e.names],
            [[a, *(f"{v:.4f}" for v in row)] for a, row in zip(e.names, matrix, strict=True)],
        )
    return out


def cells_of(result: OreResult, protocol: Protocol) -> list[Cell]:
    """The cells of one protocol."""
    return [c for c in result.comparison.cells if c.protocol == protocol]


def test_ore(result: OreResult, protocol: Protocol) -> Bools:
    """(test rows,) what they were."""
    return result.data.ore[result.comparison.split(protocol).test]


def _parameters(cell: Cell) -> str:
    return ", ".join(f"{name} {value}" for name, value in cell.parameters.items())


def three(value: float) -> str:
    """Write a number with three decimals."""
    return fixed(value, 3) if np.isfinite(value) else "–"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + three(value)
