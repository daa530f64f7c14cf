"""Which samples are learned from and which are predicted: the splits that every model is judged on.

A fold holds row numbers. Rows of one sample are never on both sides, nor are rows of one group (a site, a grid cell, a
profile) when groups are given. Nothing here looks at spectra or laboratory values, and the same seed gives the same
folds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import TrainingDataError

Rows = NDArray[np.intp]

N_FOLDS = 5
REPEATS = 5
METRES_PER_DEGREE = 111_195.0
"""Along a meridian of the sphere of radius 6371 km."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Row numbers to learn from and row numbers to predict, ascending, none in both."""

    training: Rows
    test: Rows


InnerFolds = tuple[tuple[Fold, ...], ...]
"""Repeats of folds."""


@dataclass(frozen=True, eq=False)
class Folds:
    """A plan of splits.

    Attributes:
        description: for people, such as "5-fold cross-validation by site, 5 repeats, seed 42".
        repeats: each a tuple of folds whose test rows do not overlap; they need not cover every row.
        n: rows that the numbers refer to.
        keys: n labels, equal where rows must stay together; methods split by them inside, too.
        seed: that the plan was drawn with, and that methods draw theirs from.
    """

    description: str
    repeats: tuple[tuple[Fold, ...], ...]
    n: int
    keys: tuple[Hashable, ...]
    seed: int

    @property
    def count(self) -> int:
        """Fits that one method needs."""
        return sum(map(len, self.repeats))


def repeated_folds(
    samples: Sequence[Hashable],
    groups: Sequence[Hashable] | None = None,
    *,
    n_folds: int = N_FOLDS,
    repeats: int = REPEATS,
    seed: int = 42,
) -> Folds:
    """Plan a repeated grouped cross-validation: in every repeat each row is predicted exactly once.

    Args:
        samples: n names, one a row; rows of one sample stay together.
        groups: n labels such as sites or grid cells; None for none.
        n_folds: parts that each repeat is divided into, as equal in rows as the groups allow.
        repeats: times that the division is drawn anew.
        seed: of the division.

    Raises:
        TrainingDataError: fewer than 2 folds or 1 repeat, fewer samples or groups than folds, one group only, or a
            sample in two groups.
        ValueError: lengths that differ.
    """
    if n_folds < 2 or repeats < 1:
        raise TrainingDataError(f"{n_folds} folds, {repeats} repeats: at least 2 and 1 are needed")
    keys = _keys(samples, groups)
    found, noun = len(set(keys)), "sample" if groups is None else "group"
    if found == 1:
        raise TrainingDataError(
            f"all {len(keys)} rows belong to one {noun}, {keys[0]}; nothing is left to predict: "
            + ("measure more samples" if groups is None else "leave the groups out, or give finer ones")
        )
    if found < n_folds:
        raise TrainingDataError(
            f"{found} {noun}s for {n_folds} folds; use at most {found} folds"
            + ("" if groups is None else ", or finer groups")
        )
    rounds = tuple(_divide(keys, n_folds, np.random.default_rng((seed, r))) for r in range(repeats))
    by = "sample" if groups is None else "group"
    times = "1 repeat" if repeats == 1 else f"{repeats} repeats"
    return Folds(f"{n_folds}-fold cross-validation by {by}, {times}, seed {seed}", rounds, len(keys), keys, seed)


def hold_out(
    groups: Sequence[Hashable], held: Hashable, samples: Sequence[Hashable] | None = None, seed: int = 42
) -> Folds:
    """Plan a single split: one group is predicted from all the others, such as one mine's soils from another's.

    Args:
        groups: n labels.
        held: the one to predict.
        samples: n names; rows of one sample must be in one group. None if every row is a sample.
        seed: that methods draw theirs from.

    Raises:
        TrainingDataError: no row has this group, or every row has.
    """
    keys = _keys(range(len(groups)) if samples is None else samples, groups)
    test = np.array([key == held for key in keys])
    known = ", ".join(map(str, dict.fromkeys(keys)))
    if not test.any():
        raise TrainingDataError(f"no sample belongs to {held}, which is to be held out; there are {known}")
    if test.all():
        raise TrainingDataError(
            f"every sample belongs to {held}, which is to be held out; nothing is left to learn from"
        )
    description = f"{held} predicted from {', '.join(str(key) for key in dict.fromkeys(keys) if key != held)}"
    return Folds(description, ((_fold(test),),), len(keys), keys, seed)


HELD_OUT_SHARE, SPLIT_SEED = 1 / 3, 42
"""Of the samples, what Carvalho et al. 2024 left out, and the `random_state` they drew it with."""


def split_names(
    names: Sequence[str], share: float = HELD_OUT_SHARE, seed: int = SPLIT_SEED
) -> tuple[list[str], list[str]]:
    """Divide samples into training and validation, as the paper does; all spectra of a sample go with it.

    Args:
        names: in an order that does not depend on how files were listed, such as the assay table's.
        share: of the names, for validation.
        seed: `random_state` of scikit-learn's `train_test_split`.

    Returns:
        Names for training and for validation, each in the order given.
    """
    from sklearn.model_selection import train_test_split

    training, validation = train_test_split(np.arange(len(names)), test_size=share, random_state=seed)
    return [names[i] for i in sorted(training)], [names[i] for i in sorted(validation)]


def paper_split(
    samples: Sequence[Hashable], seeds: Sequence[int] = (SPLIT_SEED,), share: float = HELD_OUT_SHARE
) -> Folds:
    """Plan the split of Carvalho et al. 2024: one third of the samples drawn at random and left out, once.

    Args:
        samples: n names in the order of the assay table, on which the drawing depends.
        seeds: `random_state` of scikit-learn's `train_test_split`, one repeat each; the paper has 42 alone.
        share: of the samples, left out.

    Raises:
        TrainingDataError: fewer than three samples.
    """
    keys = _keys(samples, None)
    names = list(dict.fromkeys(keys))
    if len(names) < 3:
        raise TrainingDataError(f"{len(names)} samples cannot be split into two thirds and one third; 3 are needed")
    labels = [str(i) for i in range(len(names))]
    rounds = []
    for seed in seeds:
        _, left_out = split_names(labels, share, seed)
        test_names = {names[int(label)] for label in left_out}
        rounds.append((_fold(np.array([key in test_names for key in keys])),))
    states = ", ".join(map(str, seeds))
    description = f"{share:.0%} of the samples left out at random, random_state {states}"
    return Folds(description, tuple(rounds), len(keys), keys, seeds[0])


def inner_folds(
    n: int, groups: Sequence[Hashable] | None = None, *, n_folds: int = N_FOLDS, repeats: int = 1, seed: int = 0
) -> InnerFolds:
    """Divide training rows once more, for a method to make its choices by.

    Args:
        n: rows.
        groups: n labels, equal where rows must stay together; None if every row stands for itself.
        n_folds: where there are fewer groups than this, there are as many folds as groups.
        repeats: times that the division is drawn anew.
        seed: of the division.

    Returns:
        Repeats of folds; in each repeat every row is in exactly one fold's test part.

    Raises:
        TrainingDataError: fewer than two rows or groups.
    """
    keys = tuple(range(n) if groups is None else groups)
    if len(keys) != n:
        raise ValueError(f"{len(keys)} groups for {n} rows; one each is needed")
    found = len(set(keys))
    if found < 2:
        raise TrainingDataError(f"{n} training rows in {found} group; two groups are needed to choose a model by")
    return tuple(_divide(keys, min(n_folds, found), np.random.default_rng((seed, r))) for r in range(repeats))


def grid_cells(latitude_deg: ArrayLike, longitude_deg: ArrayLike, size_m: float) -> tuple[str, ...]:
    """Name the cell of a square grid that each position lies in, as groups to cross-validate by.

    Soils beside each other resemble each other; where they are on both sides of a split, the error looks too small.

    Args:
        latitude_deg, longitude_deg: (n,) of WGS 84.
        size_m: edge of a cell; at least the distance over which the element's grades are alike.

    Returns:
        n names such as "cell 3,-2", counted from the most south-western position.

    Raises:
        TrainingDataError: a position is missing or no position, or `size_m` no length.
    """
    latitude, longitude = np.asarray(latitude_deg, dtype=np.float64), np.asarray(longitude_deg, dtype=np.float64)
    bad = ~((np.abs(latitude) <= 90) & (np.abs(longitude) <= 180))
    if bad.any():
        raise TrainingDataError(
            f"{int(bad.sum())} of {bad.size} samples have no position; a grid cell needs latitude and longitude"
        )
    north_m = latitude * METRES_PER_DEGREE
    east_m = longitude * METRES_PER_DEGREE * math.cos(math.radians(float(latitude.mean())))
    return square_cells(east_m, north_m, size_m)


def square_cells(east_m: ArrayLike, north_m: ArrayLike, size_m: float) -> tuple[str, ...]:
    """Name the cell that each position of a projection in metres lies in; see `grid_cells`.

    Args:
        east_m, north_m: (n,), finite.
        size_m: edge of a cell.

    Raises:
        TrainingDataError: `size_m` is no length.
    """
    if not (math.isfinite(size_m) and size_m > 0):
        raise TrainingDataError(f"a grid cell of {size_m:g} m is none; give its edge in metres")
    east, north = np.asarray(east_m, dtype=np.float64), np.asarray(north_m, dtype=np.float64)
    from_corner = np.stack([east - east.min(), north - north.min()], axis=1)
    return tuple(f"cell {a},{b}" for a, b in np.floor(from_corner / size_m).astype(int))


def _keys(samples: Sequence[Hashable], groups: Sequence[Hashable] | None) -> tuple[Hashable, ...]:
    """Label rows by what must stay together, and see that a sample is in one group only."""
    if not len(samples):
        raise TrainingDataError("there are no samples to validate on")
    if groups is None:
        return tuple(samples)
    if len(groups) != len(samples):
        raise ValueError(f"{len(groups)} groups for {len(samples)} rows; one each is needed")
    first: dict[Hashable, Hashable] = {}
    for sample, group in zip(samples, groups, strict=True):
        if first.setdefault(sample, group) != group:
            raise TrainingDataError(f"sample {sample} is in two groups, {first[sample]} and {group}; put it into one")
    return tuple(groups)


def _fold(test: NDArray[np.bool_]) -> Fold:
    return Fold(np.flatnonzero(~test), np.flatnonzero(test))


def _divide(keys: tuple[Hashable, ...], n_folds: int, random: np.random.Generator) -> tuple[Fold, ...]:
    """Deal the keys out at random, the most frequent first, each to the fold that has the fewest rows so far."""
    names = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    codes = np.array([names[key] for key in keys])
    sizes = np.bincount(codes)
    order = random.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of = np.empty(len(names), dtype=np.intp)
    rows = np.zeros(n_folds)
    for key in order:
        fold_of[key] = smallest = int(rows.argmin())
        rows[smallest] += sizes[key]
    return tuple(_fold(fold_of[codes] == i) for i in range(n_folds))
