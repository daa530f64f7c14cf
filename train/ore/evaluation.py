"""A bundle held against a table of labelled blocks, as the device would answer."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...converters.models.errors import ParityError
from ...converters.spectra.spectrum import Floats
from ...edge.ore.answer import Answer
from ...edge.ore.bundle import OreBundle, Worth
from ...edge.ore.columns import Columns
from ...edge.ore.ground import answer_table
from ...edge.ore.table import ORE, UNLABELLED, iter_blocks
from ..errors import TrainingDataError
from ..report.page import Table, render, tabulate, write_page
from . import report_figures
from .calibration import chance_error
from .data import hole_keys
from .explain import summarise
from .report_figures import Curve
from .report_tables import three
from .scores import SCORES, TITLES, Spread, bootstrap, confusion, score
from .threshold import worth_of

EXPLAINED = 200
NO_SPREAD = Spread(float("nan"), float("nan"))
_NAMES = {
    "logistic regression": "logistic",
    "decision tree": "tree",
    "random forest": "forest",
    "AdaBoost": "adaboost",
    "XGBoost": "xgboost",
}


@dataclass(frozen=True, eq=False)
class OreEvaluation:
    """What came of it.

    Attributes:
        bundle: that answered.
        source: the table.
        features: (n, k) of all labelled blocks, as the model takes them.
        told: (n,) True where the answer was ore or gangue. What follows is of these blocks alone.
        probability: (m,) of ore.
        ore: (m,) what they were.
        scores: at a threshold of 0.5, by the names of `SCORES`; `spread` over holes drawn anew; none if nothing was
            told.
        counts: confusion matrix at the bundle's threshold; how many blocks of ore and of gangue were not told.
        worth: what the calls cost, beside what there is without a model; None if nothing was told.
        refused: a line for each row that could not be used.
        unlabelled: rows that were passed over.
        simulated: True if the table or the bundle is.
    """

    bundle: OreBundle
    source: str
    features: Floats
    told: NDArray[np.bool_]
    probability: Floats
    ore: NDArray[np.bool_]
    scores: dict[str, float]
    spread: dict[str, Spread]
    counts: dict[str, int]
    worth: Worth | None
    refused: tuple[str, ...]
    unlabelled: int
    simulated: bool

    @property
    def ore_share(self) -> float:
        """Share of ore among all labelled blocks."""
        n_ore = self.counts["ore_found"] + self.counts["ore_lost"] + self.counts["ore_not_told"]
        return n_ore / len(self.told)


def evaluate_bundle(
    bundle: OreBundle, path: str | os.PathLike[str], columns: Columns, needed: Collection[str] = (), seed: int = 42
) -> OreEvaluation:
    """Answer every block of a labelled table as the device does, in pieces: "cannot tell" is counted, never called.

    Args:
        bundle: the model.
        path: the table.
        columns: how it names the model's variables, the label and the hole.
        needed: as of `edge.ore.table.iter_blocks`.
        seed: of the draws for the spread.

    Raises:
        BlockTableError: the table cannot be used.
        TrainingDataError: no block of it can.
    """
    answers: list[Answer] = []
    ore, groups, features, refused = [], [], [], []
    simulated, unlabelled = bundle.simulated, 0
    for blocks, called in answer_table(bundle, iter_blocks(path, columns, labelled=True, needed=needed)):
        refused += [row.reason for row in blocks.refused]
        simulated = simulated or blocks.simulated
        assert blocks.labels is not None
        rows = np.flatnonzero(blocks.labels != UNLABELLED)
        labelled = blocks.take(rows)
        unlabelled += len(blocks.ids) - len(labelled.ids)
        if labelled.ids:
            answers += [called[row] for row in rows]
            features.append(bundle.model.inputs(labelled.values, labelled.bounds))
            ore.append(np.asarray(labelled.labels) == ORE)
            groups += list(labelled.ids) if labelled.groups is None else hole_keys(labelled.groups, columns.wedges)
    if not ore:
        reason = f"; first reason: {refused[0]}" if refused else ""
        raise TrainingDataError(f"{os.fspath(path)}: no usable block{reason}")
    was = np.concatenate(ore)
    told = np.array([a.decision != "cannot tell" for a in answers])
    p, holes = np.array([a.probability for a in answers]), np.unique(np.array(groups), return_inverse=True)[1]
    counts = dict.fromkeys(("ore_found", "ore_lost", "gangue_hauled", "gangue_left"), 0)
    counts |= {"ore_not_told": int((was & ~told).sum()), "gangue_not_told": int((~was & ~told).sum())}
    scores, spreads, worth = dict.fromkeys(SCORES, float("nan")), dict.fromkeys(SCORES, NO_SPREAD), None
    if told.any():
        p, was, holes = p[told], was[told], holes[told]
        lost, hauled, found, left = confusion(p, was, bundle.threshold)
        counts |= {"ore_found": found, "ore_lost": lost, "gangue_hauled": hauled, "gangue_left": left}
        scores, spreads = score(p, was), bootstrap(p, was, holes, seed)
        worth = worth_of(p, was, bundle.threshold, bundle.costs, scores["ece"], chance_error(p, holes, seed))
    else:
        p, was = p[:0], was[:0]
    return OreEvaluation(
        bundle,
        os.fspath(path),
        np.concatenate(features),
        told,
        p,
        was,
        scores,
        spreads,
        counts,
        worth,
        tuple(refused),
        unlabelled,
        simulated,
    )


def golden_difference(bundle: OreBundle) -> float:
    """Compute a bundle's known answers again; gives the largest difference, raises ParityError if it is too large."""
    difference = float(np.abs(bundle.model.probabilities(bundle.golden.values) - bundle.golden.expected).max())
    if not difference <= bundle.golden.tolerance:
        raise ParityError(
            f"{bundle.name}: its known answers come out {difference:.1e} apart, {bundle.golden.tolerance:g} is "
            "allowed; train again"
        )
    return difference


def write_evaluation_page(path: Path, evaluation: OreEvaluation) -> None:
    """Write an evaluation's page; raises ReportError if the file cannot be written."""
    bundle = evaluation.bundle
    line = Curve(_NAMES[bundle.model.kind], evaluation.probability, evaluation.scores)
    some = evaluation.features[:: max(1, len(evaluation.features) // EXPLAINED)][:EXPLAINED]
    n, told = len(evaluation.told), int(evaluation.told.sum())
    page = render(
        "ore_evaluation.html",
        title="Ore or gangue",
        kind="evaluation",
        simulated=evaluation.simulated,
        facts=[
            ("model", bundle.name),
            ("kind", bundle.model.kind),
            ("scenario", f"{bundle.scenario.name}: {bundle.scenario.title}"),
            ("table", Path(evaluation.source).name),
            ("blocks", str(n)),
            ("cannot tell", f"{n - told} ({100 * (n - told) / n:.1f} %)"),
            ("ore", f"{100 * evaluation.ore_share:.1f} % of the blocks"),
            ("SHA-256 of the model", bundle.sha256[:16]),
        ],
        notes=[*verdicts(evaluation), *evaluation.refused[:20]],
        e=evaluation,
        told=told,
        line=line,
        draw=report_figures,
        summary=summarise(bundle.scenario.name, line.model, bundle.model, bundle.scenario.variables, some),
        score_table=tabulate(
            SCORES,
            {
                "score": TITLES.__getitem__,
                "value": lambda name: three(evaluation.scores[name]),
                "spread": lambda name: f"± {three(evaluation.spread[name].sd)}",
                "beside": lambda name: beside(evaluation, name),
            },
            text=("beside",),
        ),
        count_table=Table(
            ("at the bundle's threshold", "blocks"),
            [(name.replace("_", " "), str(count)) for name, count in evaluation.counts.items()],
        ),
    )
    write_page(path, page)


def beside(evaluation: OreEvaluation, name: str) -> str:
    """Say what a score is to be held against."""
    if name == "accuracy":
        share = float(evaluation.ore.mean()) if evaluation.ore.size else 0.5
        call = "ore" if share >= 0.5 else "gangue"
        return f"{three(max(share, 1 - share))} is right who calls all {call}"
    if name == "ece" and evaluation.worth is not None:
        return f"{three(evaluation.worth.by_chance)} by chance, if all probabilities were true"
    return ""


def verdicts(evaluation: OreEvaluation) -> list[str]:
    """Say in a sentence each what must not be overlooked."""
    n, told = len(evaluation.told), int(evaluation.told.sum())
    lines = []
    if told < n:
        lines.append(f"{n - told} of {n} blocks are answered with cannot tell; all figures are of the other {told}")
    if evaluation.unlabelled:
        lines.append(f"{evaluation.unlabelled} rows are unlabelled and passed over")
    if evaluation.worth is not None and evaluation.worth.nothing:
        lines.append(f"the model is {evaluation.worth.nothing}")
    return lines
