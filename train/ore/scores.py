"""How good probabilities of ore are: the study's figures and those it lacks, each with its spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ...converters.spectra.spectrum import Floats
from .calibration import calibration_error, rows_by_group

Bools = NDArray[np.bool_]

SCORES = ("accuracy", "precision", "recall", "f1", "brier", "auc", "ece")
TITLES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "brier": "Brier (MSE)",
    "auc": "AUC",
    "ece": "ECE",
}


@dataclass(frozen=True)
class Spread:
    """A score over folds or draws: mean and standard deviation; not-a-number where it is not defined."""

    mean: float
    sd: float


def score(probability: Floats, ore: Bools, threshold: float = 0.5) -> dict[str, float]:
    """Score (n,) probabilities of ore.

    Returns:
        By the names of `SCORES`. Ore is what is called positive; "brier" is the mean squared error of the
        probability; a score that these rows do not define (no ore among them, nothing called ore) is not-a-number.
    """
    lost, hauled, found, left = confusion(probability, ore, threshold)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = float(np.float64(found) / (found + hauled))
        recall = float(np.float64(found) / (found + lost))
        f1 = float(np.float64(2 * found) / (2 * found + hauled + lost))
    return {
        "accuracy": (found + left) / len(ore),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "brier": float(np.mean((probability - ore) ** 2)),
        "auc": float(roc_auc_score(ore, probability)) if ore.any() and not ore.all() else float("nan"),
        "ece": calibration_error(probability, ore),
    }


def confusion(probability: Floats, ore: Bools, threshold: float = 0.5) -> tuple[int, int, int, int]:
    """Count ore called gangue (lost), gangue called ore (hauled), ore found, gangue left."""
    called = probability >= threshold
    return (
        int((ore & ~called).sum()),
        int((~ore & called).sum()),
        int((ore & called).sum()),
        int((~ore & ~called).sum()),
    )


def spread(scores: Sequence[dict[str, float]]) -> dict[str, Spread]:
    """Give mean and standard deviation (n - 1) of each score, over those that are defined."""
    out = {}
    for name in SCORES:
        values = np.array([s[name] for s in scores], dtype=np.float64)
        values = values[~np.isnan(values)]
        mean = float(values.mean()) if values.size else float("nan")
        out[name] = Spread(mean, float(values.std(ddof=1)) if values.size > 1 else float("nan"))
    return out


def bootstrap(
    probability: Floats, ore: Bools, groups: NDArray[np.intp], seed: int, draws: int = 200
) -> dict[str, Spread]:
    """Say how far scores would vary with other holes: whole groups are drawn with replacement.

    Args:
        probability: (n,).
        ore: (n,).
        groups: (n,) number of the group each row belongs to; the row's own number where there are none.
        seed: of the draws.
        draws: how many.
    """
    chance = np.random.default_rng(seed)
    rows = rows_by_group(groups)
    found = []
    for _ in range(draws):
        drawn = np.concatenate([rows[i] for i in chance.integers(0, len(rows), len(rows))])
        found.append(score(probability[drawn], ore[drawn]))
    return spread(found)


def roc_curve(probability: Floats, ore: Bools) -> tuple[Floats, Floats]:
    """Give the share of gangue hauled and of ore found as the threshold falls from 1 to 0."""
    found, hauled = _running(probability, ore)
    return np.append(0.0, hauled / max(hauled[-1], 1)), np.append(0.0, found / max(found[-1], 1))


def precision_recall_curve(probability: Floats, ore: Bools) -> tuple[Floats, Floats]:
    """Give recall and precision as the threshold falls from 1 to 0."""
    found, hauled = _running(probability, ore)
    return found / max(found[-1], 1), found / (found + hauled)


def _running(probability: Floats, ore: Bools) -> tuple[Floats, Floats]:
    order = np.argsort(-probability, kind="stable")
    last = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    found = np.cumsum(ore[order])[last].astype(np.float64)
    return found, last + 1 - found
