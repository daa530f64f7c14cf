"""Which rows train and which judge: whole holes apart, and, beside it, the plain random split of the study.

Neighbouring blocks of a hole are alike. A random split puts them on both sides, and a model is then judged on rows it
all but knows. The same rows are split both ways here, so that the difference is a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ..errors import TrainingDataError

Protocol = Literal["grouped", "random"]
Rows = NDArray[np.intp]
Bools = NDArray[np.bool_]

TRAINING_ROWS = 6_730
TEST_ROWS = 6_730
"""As the study's test set."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the table that train and that test, by one protocol."""

    protocol: Protocol
    training: Rows
    test: Rows


def draw_splits(ore: Bools, groups: Rows | None, training_rows: int, test_rows: int, seed: int) -> tuple[Split, ...]:
    """Draw whole holes until there are rows enough, and divide them by hole and at random.

    Args:
        ore: (n,) labels.
        groups: (n,) hole or face of each; None if there are none, and then there is only the random split.
        training_rows, test_rows: how many; of a smaller table a fifth, but at most `test_rows`, tests.
        seed: of the draw.

    Returns:
        The grouped split, if there are groups, then the random one; both divide the same rows.

    Raises:
        TrainingDataError: a side would lack a class, or there are too few groups.
    """
    n = len(ore)
    if n < training_rows + test_rows:
        test_rows = min(test_rows, n // 5)
        training_rows = min(training_rows, n - test_rows)
    chance = np.random.default_rng(seed)
    if groups is None:
        drawn = chance.permutation(n)[: training_rows + test_rows]
        return (_random_split(drawn, ore, test_rows, seed),)
    order = chance.permutation(int(groups.max()) + 1)
    by_hole = np.argsort(np.argsort(order)[groups], kind="stable")
    # The last hole taken is cut where the rows suffice; the hole at the seam is on one side only.
    test, rest = by_hole[:test_rows], by_hole[test_rows:]
    rest = rest[~np.isin(groups[rest], groups[test])]
    training = rest[:training_rows]
    grouped = Split("grouped", np.sort(training), np.sort(test))
    for side, rows in (("training", grouped.training), ("test", grouped.test)):
        if len(rows) == 0 or ore[rows].all() or not ore[rows].any():
            raise TrainingDataError(f"the holes drawn for {side} have one class only; more holes are needed")
    return grouped, _random_split(np.concatenate([test, training]), ore, len(test), seed)


def _random_split(rows: Rows, ore: Bools, test_rows: int, seed: int) -> Split:
    from sklearn.model_selection import train_test_split

    rows = np.sort(rows)
    training, test = train_test_split(rows, test_size=test_rows, random_state=seed, stratify=ore[rows])
    return Split("random", np.sort(training), np.sort(test))


def folds(protocol: Protocol, ore: Bools, groups: Rows | None, parts: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Divide (n,) rows into stratified folds, by hole or at random: (training rows, left-out rows) each.

    Raises:
        TrainingDataError: too few rows of a class, or too few holes.
    """
    fewest = int(min(ore.sum(), (~ore).sum()))
    if fewest < parts:
        raise TrainingDataError(f"{fewest} blocks of the rarer class for {parts} folds; more are needed")
    if protocol == "random" or groups is None:
        division = StratifiedKFold(parts, shuffle=True, random_state=seed).split(ore, ore)
    else:
        holes = len(np.unique(groups))
        if holes < parts:
            raise TrainingDataError(f"{holes} holes or faces for {parts} folds; ask for fewer folds")
        division = StratifiedGroupKFold(parts, shuffle=True, random_state=seed).split(ore, ore, groups)
    out = [(np.asarray(a, dtype=np.intp), np.asarray(b, dtype=np.intp)) for a, b in division]
    for training, left_out in out:
        if len(left_out) == 0 or ore[training].all() or not ore[training].any():
            raise TrainingDataError(f"the holes cannot be divided into {parts} folds with both classes; ask for fewer")
    return out


def some_rows(protocol: Protocol, groups: Rows | None, share: float, seed: int) -> Rows:
    """Choose a share of (n,) rows: whole holes, or rows at random."""
    chance = np.random.default_rng(seed)
    assert groups is not None
    if protocol == "random":
        return np.sort(chance.permutation(len(groups))[: max(1, round(share * len(groups)))])
    names = np.unique(groups)
    kept = chance.permutation(names)[: max(1, round(share * len(names)))]
    return np.flatnonzero(np.isin(groups, kept))
