"""Which rows train and which test: whole holes apart; and the same training rows divided by hole and at random.

Neighbouring blocks of a hole are alike. Folds at random put them on both sides, and a model is then judged on rows it
all but knows. The same training rows, models and search stand behind both ways of dividing; only the folds differ, so
that the difference is what neighbours give away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from ..errors import TrainingDataError

Rows = NDArray[np.intp]
Bools = NDArray[np.bool_]

TRAINING_ROWS = 6_730
TEST_ROWS = 6_730
"""As the study's test set."""


DRAWS = 50
"""Draws of the test holes before it is said that they lack a class."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the table that train and that test."""

    training: Rows
    test: Rows


def draw_split(ore: Bools, groups: Rows | None, training_rows: int, test_rows: int, seed: int) -> Split:
    """Draw whole holes until there are rows enough, some to train and others to test.

    Args:
        ore: (n,) labels.
        groups: (n,) hole or face of each; None if there are none, and rows are then drawn one by one.
        training_rows, test_rows: how many; of a smaller table a fifth, but at most `test_rows`, tests.
        seed: of the draw. One whose sides lack a class is drawn again, up to `DRAWS` times.

    Raises:
        TrainingDataError: a side would lack a class, or there are too few groups.
    """
    n = len(ore)
    if n < training_rows + test_rows:
        test_rows = min(test_rows, n // 5)
        training_rows = min(training_rows, n - test_rows)
    chance = np.random.default_rng(seed)
    if groups is None:
        return _split_at_random(chance.permutation(n)[: training_rows + test_rows], ore, test_rows, seed)
    for _ in range(DRAWS):
        order = chance.permutation(int(groups.max()) + 1)
        by_hole = np.argsort(np.argsort(order)[groups], kind="stable")
        # The last hole taken is cut where the rows suffice; the hole at the seam is on one side only.
        test, rest = by_hole[:test_rows], by_hole[test_rows:]
        training = rest[~np.isin(groups[rest], groups[test])][:training_rows]
        lacking = [
            side
            for side, rows in (("training", training), ("test", test))
            if len(rows) == 0 or ore[rows].all() or not ore[rows].any()
        ]
        if not lacking:
            return Split(np.sort(training), np.sort(test))
    raise TrainingDataError(f"the holes drawn for {lacking[0]} have one class only; more holes are needed")


def _split_at_random(rows: Rows, ore: Bools, test_rows: int, seed: int) -> Split:
    rows = np.sort(rows)
    training, test = train_test_split(rows, test_size=test_rows, random_state=seed, stratify=ore[rows])
    return Split(np.sort(training), np.sort(test))


def folds(ore: Bools, groups: Rows | None, parts: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Divide (n,) rows into stratified folds, whole holes apart, or at random where there are none.

    Returns:
        Training rows and left-out rows of each.

    Raises:
        TrainingDataError: too few rows of a class, or too few holes.
    """
    fewest = int(min(ore.sum(), (~ore).sum()))
    if fewest < parts:
        raise TrainingDataError(f"{fewest} blocks of the rarer class for {parts} folds; more are needed")
    if groups is None:
        division = StratifiedKFold(parts, shuffle=True, random_state=seed).split(ore, ore)
    else:
        holes = len(np.unique(groups))
        if holes < parts:
            raise TrainingDataError(f"too few holes or faces ({holes}) for {parts} folds; {_instead(parts)}")
        division = StratifiedGroupKFold(parts, shuffle=True, random_state=seed).split(ore, ore, groups)
    out = [(np.asarray(a, dtype=np.intp), np.asarray(b, dtype=np.intp)) for a, b in division]
    for training, left_out in out:
        if len(left_out) == 0 or ore[training].all() or not ore[training].any():
            raise TrainingDataError(
                f"the holes cannot be divided into {parts} folds with both classes; {_instead(parts)}"
            )
    return out


def _instead(parts: int) -> str:
    return "ask for fewer folds" if parts > 2 else "blocks of more holes are needed"


def some_rows(groups: Rows, share: float, seed: int) -> Rows:
    """Choose a share of (n,) rows, whole holes; rows one by one if each is its own hole."""
    chance = np.random.default_rng(seed)
    names = np.unique(groups)
    kept = chance.permutation(names)[: max(1, round(share * len(names)))]
    return np.flatnonzero(np.isin(groups, kept))
