"""A bundle held against a table of labelled blocks, as the device would answer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...converters.models.errors import ParityError
from ...converters.spectra.spectrum import Floats
from ...edge.ore.bundle import OreBundle
from ...edge.ore.columns import Columns
from ...edge.ore.table import iter_blocks
from ..errors import TrainingDataError
from ..report.chart import fixed
from ..report.page import Table, render, tabulate, write_page
from . import report_figures
from .explain import summarise
from .report_figures import Curve
from .scores import SCORES, TITLES, Spread, bootstrap, confusion, score
from .threshold import mean_cost

EXPLAINED = 200
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
        features: (n, k) of the blocks.
        probability: (n,) of ore.
        ore: (n,) what they were.
        scores: at a threshold of 0.5, by the names of `SCORES`; `spread` over holes drawn anew.
        counts: confusion matrix at the bundle's threshold.
        cost: mean cost of a block there, by the bundle's costs.
        refused: a line for each row that could not be used.
        simulated: True if the table or the bundle is.
    """

    bundle: OreBundle
    source: str
    features: Floats
    probability: Floats
    ore: NDArray[np.bool_]
    scores: dict[str, float]
    spread: dict[str, Spread]
    counts: dict[str, int]
    cost: float
    refused: tuple[str, ...]
    simulated: bool


def evaluate_bundle(bundle: OreBundle, path: str | os.PathLike[str], columns: Columns, seed: int = 42) -> OreEvaluation:
    """Answer every block of a labelled table, in pieces.

    Args:
        bundle: the model.
        path: the table.
        columns: how it names the model's variables, the label and the hole.
        seed: of the draws for the spread.

    Raises:
        BlockTableError: the table cannot be used.
        TrainingDataError: no block of it can.
    """
    probability, ore, groups, features, refused = [], [], [], [], []
    simulated = bundle.simulated
    for blocks in iter_blocks(path, columns, labelled=True):
        refused += [row.reason for row in blocks.refused]
        simulated = simulated or blocks.simulated
        if blocks.ids:
            assert blocks.labels is not None
            features.append(blocks.features)
            probability.append(bundle.model.probabilities(blocks.features))
            ore.append(blocks.labels == 1)
            groups += list(blocks.groups if blocks.groups is not None else blocks.ids)
    if not ore:
        raise TrainingDataError(f"{os.fspath(path)}: no usable block; first reason: {refused[0]}")
    p, was = np.concatenate(probability), np.concatenate(ore)
    codes = np.unique(np.array(groups), return_inverse=True)[1]
    lost, hauled, found, left = confusion(p, was, bundle.threshold)
    return OreEvaluation(
        bundle,
        os.fspath(path),
        np.concatenate(features),
        p,
        was,
        score(p, was),
        bootstrap(p, was, codes, seed),
        {"ore_found": found, "ore_lost": lost, "gangue_hauled": hauled, "gangue_left": left},
        mean_cost(p, was, bundle.costs, bundle.threshold),
        tuple(refused),
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
            ("blocks", str(len(evaluation.ore))),
            ("SHA-256 of the model", bundle.sha256[:16]),
        ],
        notes=evaluation.refused[:20],
        e=evaluation,
        line=line,
        draw=report_figures,
        summary=summarise(bundle.scenario.name, line.model, bundle.model, bundle.scenario.variables, some),
        score_table=tabulate(
            SCORES,
            {
                "score": TITLES.__getitem__,
                "value": lambda name: fixed(evaluation.scores[name], 3),
                "spread": lambda name: f"± {fixed(evaluation.spread[name].sd, 3)}",
            },
        ),
        count_table=Table(
            ("confusion matrix", "blocks"),
            [(name.replace("_", " "), str(count)) for name, count in evaluation.counts.items()],
        ),
    )
    write_page(path, page)
