"""What the study prints, beside what this run gives, and why they differ.

Costa, Carneiro & Ulsen 2025, Geosciences 15(7):248. Figures are those of its text and tables; where it gives a range or
only an order, that is what stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .explore import Exploration, of_pair
from .models import MODELS
from .scores import Spread

if TYPE_CHECKING:
    from .comparison import Cell, Comparison

CITATION = "Costa, Carneiro & Ulsen 2025, Geosciences 15(7):248"
SCENARIO_ORDER = ("C1", "C3", "C2", "C4")
"""Best first; of C2 and C4 the study only says that they come last."""


@dataclass(frozen=True)
class Beside:
    """A figure of the study and what this run has for it: folds at random as the study's, and whole holes apart.

    `agrees` is None where there is nothing to hold against it; `why` says where a difference comes from.
    """

    what: str
    study: str
    random: str
    grouped: str
    agrees: bool | None
    why: str


_OTHER_GROUND = "other ground: this deposit is simulated"
_HARD_LABELS = (
    "the study's MSE is about 1 - accuracy, which is what hard labels give; the Brier score of a probability is lower"
)


def beside_the_study(
    exploration: Exploration, comparison: Comparison, leading: Callable[[str], Sequence[str]], simulated: bool
) -> list[Beside]:
    """Put every figure that the study reports beside this run's.

    Args:
        exploration: of the table.
        comparison: all cells.
        leading: names of a scenario's variables, those that move its best model most first.
        simulated: whether the table is; real data differ for other reasons than a simulation.
    """
    ground = _OTHER_GROUND if simulated else "another deposit"
    rows_here = len(comparison.split.training)
    fewer = f"{ground}; {rows_here} rows to train on, and the study does not print how many it had"
    line = ground + (
        "; how far a straight line gets hangs on how the made-up grade falls again at high As" if simulated else ""
    )
    there = {s.name for s in comparison.settings.scenarios}
    rows = _correlation_rows(exploration, simulated)
    wanted = [
        ("accuracy, XGBoost, C1", "C1", "xgboost", "accuracy", 0.96, 0.96, fewer),
        ("AUC, XGBoost, C1", "C1", "xgboost", "auc", 0.985, 0.985, fewer),
        ("MSE, XGBoost, C1", "C1", "xgboost", "brier", 0.05, 0.05, _HARD_LABELS),
        ("precision, XGBoost, C1", "C1", "xgboost", "precision", 0.96, 0.96, fewer),
        ("precision, AdaBoost, C1", "C1", "adaboost", "precision", 0.94, 0.94, fewer),
        ("accuracy, AdaBoost, C2", "C2", "adaboost", "accuracy", 0.76, 0.88, fewer),
        ("accuracy, AdaBoost, C3", "C3", "adaboost", "accuracy", 0.76, 0.88, fewer),
        ("accuracy, AdaBoost, C4", "C4", "adaboost", "accuracy", 0.76, 0.88, fewer),
        ("accuracy, logistic regression, C1", "C1", "logistic", "accuracy", 0.79, 0.79, line),
        ("accuracy, logistic regression, C2", "C2", "logistic", "accuracy", 0.75, 0.75, line),
        ("accuracy, logistic regression, C3", "C3", "logistic", "accuracy", 0.79, 0.79, line),
        ("precision, logistic regression, C1", "C1", "logistic", "precision", 0.71, 0.76, line),
        ("precision, logistic regression, C2", "C2", "logistic", "precision", 0.71, 0.76, line),
        ("precision, logistic regression, C3", "C3", "logistic", "precision", 0.71, 0.76, line),
        ("MSE, logistic regression, C1", "C1", "logistic", "brier", 0.20, float("inf"), _HARD_LABELS),
    ]
    for what, scenario, model, score, low, high, why in wanted:
        if scenario in there and model in comparison.settings.models:
            rows.append(_figure_row(comparison.cell(scenario, model), what, score, low, high, why))
    return rows + _order_rows(comparison, ground) + _leading_rows(there, leading)


def _correlation_rows(exploration: Exploration, simulated: bool) -> list[Beside]:
    made = "drawn to come near the study's; classes cut from latents lose some" if simulated else "another deposit"
    wanted = [
        ("r Sulfetac-Au_Potenc", [("Sulfetac", "Au_Potenc")], 0.95, 0.95),
        ("r Class_Pb-Zn-sulphidation", [("Class_Pb-Zn", "sulphidation")], 0.5, 0.7),
        ("r Class_Pb-Zn-Au_Potenc", [("Class_Pb-Zn", "Au_Potenc")], 0.5, 0.7),
        (
            "r of Pb, Zn, Cu with hardness and deformation, largest",
            [(a, b) for a in ("Pb", "Zn", "Cu") for b in ("Class_Hardn", "Class_Def")],
            0.0,
            0.0,
        ),
    ]
    rows = []
    for what, pairs, low, high in wanted:
        found = [of_pair(exploration, a, b) for a, b in pairs]
        if not all(np.isfinite(found)):
            continue
        value = max(found, key=abs)
        ranks = of_pair(exploration, *pairs[found.index(value)], ranks=True)
        study = "almost 0" if high == 0 else _range(low, high)
        # Of a correlation coefficient a difference of 0.05 is below what anyone would act on.
        agrees = low - 0.05 <= value <= high + 0.05
        rows.append(Beside(what, study, f"{value:.2f} (Spearman {ranks:.2f})", "", agrees, "" if agrees else made))
    return rows


def _figure_row(cell: Cell, what: str, score: str, low: float, high: float, why: str) -> Beside:
    """Hold a score of the study against folds at random, as the study's are, and show the test blocks beside it."""
    folds = cell.leakage.at_random[score] if cell.leakage is not None else cell.cross_validated[score]
    room = max(2 * folds.sd / np.sqrt(len(cell.folds)), 0.01)
    agrees = bool(low - room <= folds.mean <= high + room)
    apart = f"{cell.test[score]:.3f} (folds {_with_sd(cell.cross_validated[score])})" if cell.leakage else "–"
    study = f"above {low:.2f}" if high == float("inf") else _range(low, high)
    return Beside(what, study, _with_sd(folds), apart, agrees, "" if agrees else why)


def _with_sd(spread: Spread) -> str:
    return f"{spread.mean:.3f} ± {spread.sd:.3f}"


def _range(low: float, high: float) -> str:
    digits = 3 if round(low, 2) != low else 2
    return f"{low:.{digits}f}" if low == high else f"{low:.{digits}f} to {high:.{digits}f}"


def by_auc(cells: Iterable[Cell], at_random: bool = False) -> list[Cell]:
    """Sort cells by the AUC of left-out folds, best first."""

    def auc(cell: Cell) -> float:
        found = cell.leakage.at_random if at_random and cell.leakage is not None else cell.cross_validated
        return -found["auc"].mean

    return sorted(cells, key=auc)


def tied(first: Cell, second: Cell) -> bool:
    """Say whether two models differ in AUC by no more than the standard error of their folds' difference."""
    difference = np.array([a["auc"] - b["auc"] for a, b in zip(first.folds, second.folds, strict=True)])
    difference = difference[~np.isnan(difference)]
    if difference.size < 2:
        return True
    return bool(abs(difference.mean()) <= difference.std(ddof=1) / np.sqrt(difference.size))


def _order_rows(comparison: Comparison, ground: str) -> list[Beside]:
    rows: list[Beside] = []
    names, models = [s.name for s in comparison.settings.scenarios], comparison.settings.models

    def add(what: str, study: str, cells: list[Cell], names_of: Callable[[Cell], str], agrees: bool, why: str) -> None:
        mixed, apart = (", ".join(map(names_of, by_auc(cells, at_random))) for at_random in (True, False))
        rows.append(Beside(what, study, mixed, apart if comparison.grouped else "–", agrees, why))

    if set(SCENARIO_ORDER) <= set(names) and "xgboost" in models:
        cells = [c for c in comparison.cells if c.model == "xgboost" and c.scenario in SCENARIO_ORDER]
        agrees = [c.scenario for c in by_auc(cells)[:2]] == ["C1", "C3"]
        what = "order of scenarios (XGBoost, AUC of the folds)"
        add(what, "C1, C3, then C2 and C4", cells, lambda c: c.scenario, agrees, "" if agrees else ground)
    for scenario, study in (
        ("C1", "XGBoost, random forest close, logistic regression last"),
        ("C4", "random forest slightly before XGBoost"),
    ):
        if scenario in names and {"xgboost", "forest", "logistic"} <= set(models):
            cells = comparison.of(scenario)
            agrees, why = _order_agrees(comparison, scenario, [c.model for c in by_auc(cells)])
            what = f"order of models in {scenario} (AUC of the folds)"
            add(what, study, cells, lambda c: MODELS[c.model].title, agrees, why)
    return rows


def _order_agrees(comparison: Comparison, scenario: str, order: list[str]) -> tuple[bool, str]:
    boosted = comparison.cell(scenario, "xgboost")
    if scenario == "C1":
        agrees = order[0] == "xgboost" and order[-1] == "logistic"
        other, said = order[0], f"{MODELS[order[0]].title} is first"
    else:
        agrees = order.index("forest") < order.index("xgboost")
        other, said = "forest", "XGBoost is before random forest here"
    close = "the two differ by less than the folds' standard error"
    close = close if tied(boosted, comparison.cell(scenario, other)) else ""
    if agrees:
        return True, close if scenario == "C4" else ""
    return False, said + (f"; {close}" if close else "")


def _leading_rows(there: set[str], leading: Callable[[str], Sequence[str]]) -> list[Beside]:
    rows = []
    for scenario, study in (
        ("C1", ("As",)),
        ("C2", ("Au", "S", "Pb")),
        ("C3", ("As",)),
        ("C4", ("Class_As", "Sulfetac", "Pb", "Class_Silic", "Zn")),
    ):
        if scenario not in there:
            continue
        found = list(leading(scenario))[: max(len(study), 3)]
        if not found:
            continue
        agrees = found[0] == study[0]
        both = len(set(study) & set(found[: len(study)]))
        why = f"{both} of the study's {len(study)} are among the first {len(study)}" if len(study) > 1 else ""
        if not agrees:
            why = f"{found[0]} leads here" + (f"; {why}" if why else "")
        rows.append(
            Beside(f"variables that lead {scenario} (SHAP)", ", ".join(study), "", ", ".join(found), agrees, why)
        )
    return rows
