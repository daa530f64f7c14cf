"""What the study prints, beside what this run gives, and why they differ.

Costa, Carneiro & Ulsen 2025, Geosciences 15(7):248. Figures are those of its text and tables; where it gives a range or
only an order, that is what stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .explore import Exploration, of_pair
from .models import MODELS
from .splits import Protocol

if TYPE_CHECKING:
    from .comparison import Cell, Comparison

CITATION = "Costa, Carneiro & Ulsen 2025, Geosciences 15(7):248"
SCENARIO_ORDER = ("C1", "C3", "C2", "C4")
"""Best first; of C2 and C4 the study only says that they come last."""


@dataclass(frozen=True)
class Beside:
    """A figure of the study and what this run has for it: random split as the study's, and whole holes apart.

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
    rows_here = len(comparison.splits[0].training)
    fewer = f"{ground}; {rows_here} rows to train on, and the study does not print how many it had"
    line = ground + (
        "; how far a straight line gets hangs on how the made-up grade falls again at high As" if simulated else ""
    )
    there = {s.name for s in comparison.settings.scenarios}
    rows = _correlation_rows(exploration, simulated)
    show = _Show(comparison)
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
            rows.append(show.row(what, scenario, model, score, low, high, why))
    return rows + _order_rows(comparison, show, ground) + _leading_rows(there, leading)


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


class _Show:
    """Figures of a comparison as text: the test set's value, and in brackets mean and spread of the outer folds."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.protocols = [s.protocol for s in comparison.splits]

    def text(self, protocol: Protocol, scenario: str, model: str, score: str) -> str:
        if protocol not in self.protocols:
            return "–"
        cell = self.comparison.cell(protocol, scenario, model)
        folds = cell.cross_validated[score]
        return f"{cell.test[score]:.3f} (folds {folds.mean:.3f} ± {folds.sd:.3f})"

    def row(self, what: str, scenario: str, model: str, score: str, low: float, high: float, why: str) -> Beside:
        cell = self.comparison.cell("random", scenario, model)
        value, room = cell.test[score], max(2 * cell.test_spread[score].sd, 0.01)
        agrees = low - room <= value <= high + room
        study = f"above {low:.2f}" if high == float("inf") else _range(low, high)
        return Beside(
            what,
            study,
            self.text("random", scenario, model, score),
            self.text("grouped", scenario, model, score),
            agrees,
            "" if agrees else why,
        )


def _range(low: float, high: float) -> str:
    digits = 3 if round(low, 2) != low else 2
    return f"{low:.{digits}f}" if low == high else f"{low:.{digits}f} to {high:.{digits}f}"


def order_of_scenarios(comparison: Comparison, model: str, protocol: str) -> list[str]:
    """Name the scenarios by a model's cross-validated AUC, best first."""
    cells = [c for c in comparison.cells if c.protocol == protocol and c.model == model]
    return [c.scenario for c in sorted(cells, key=lambda c: -c.cross_validated["auc"].mean)]


def order_of_models(comparison: Comparison, scenario: str, protocol: str) -> list[str]:
    """Name the models by their cross-validated AUC in a scenario, best first."""
    cells = [c for c in comparison.cells if c.protocol == protocol and c.scenario == scenario]
    return [c.model for c in sorted(cells, key=lambda c: -c.cross_validated["auc"].mean)]


def tied(first: Cell, second: Cell) -> bool:
    """Say whether two models differ in AUC by no more than the standard error of their folds' difference."""
    difference = np.array([a["auc"] - b["auc"] for a, b in zip(first.folds, second.folds, strict=True)])
    difference = difference[~np.isnan(difference)]
    if difference.size < 2:
        return True
    return bool(abs(difference.mean()) <= difference.std(ddof=1) / np.sqrt(difference.size))


def _order_rows(comparison: Comparison, show: _Show, ground: str) -> list[Beside]:
    rows: list[Beside] = []
    names, models = [s.name for s in comparison.settings.scenarios], comparison.settings.models
    if set(SCENARIO_ORDER) <= set(names) and "xgboost" in models:
        found = {
            p: [n for n in order_of_scenarios(comparison, "xgboost", p) if n in SCENARIO_ORDER] for p in show.protocols
        }
        order = found[comparison.honest]
        agrees = order[:2] == ["C1", "C3"]
        rows.append(
            Beside(
                "order of scenarios (XGBoost, AUC of the folds)",
                "C1, C3, then C2 and C4",
                ", ".join(found.get("random", ())) or "–",
                ", ".join(found.get("grouped", ())) or "–",
                agrees,
                "" if agrees else ground,
            )
        )
    for scenario, study, holds in (
        ("C1", "XGBoost, random forest close, logistic regression last", _c1_order),
        ("C4", "random forest slightly before XGBoost", _c4_order),
    ):
        if scenario not in names or not {"xgboost", "forest", "logistic"} <= set(models):
            continue
        shown = {p: order_of_models(comparison, scenario, p) for p in show.protocols}
        agrees, why = holds(comparison, shown[comparison.honest])
        rows.append(
            Beside(
                f"order of models in {scenario} (AUC of the folds)",
                study,
                ", ".join(MODELS[m].title for m in shown.get("random", ())) or "–",
                ", ".join(MODELS[m].title for m in shown.get("grouped", ())) or "–",
                agrees,
                why,
            )
        )
    return rows


def _c1_order(comparison: Comparison, order: list[str]) -> tuple[bool, str]:
    if order[0] == "xgboost" and order[-1] == "logistic":
        return True, ""
    best = comparison.cell(comparison.honest, "C1", order[0])
    close = tied(comparison.cell(comparison.honest, "C1", "xgboost"), best)
    why = f"{MODELS[order[0]].title} is first"
    return False, why + (", by less than the folds' standard error" if close else "")


def _c4_order(comparison: Comparison, order: list[str]) -> tuple[bool, str]:
    forest, boosted = (comparison.cell(comparison.honest, "C4", m) for m in ("forest", "xgboost"))
    close = "; the two differ by less than the folds' standard error" if tied(forest, boosted) else ""
    if order.index("forest") < order.index("xgboost"):
        return True, close.lstrip("; ")
    return False, "XGBoost is before random forest here" + close


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
