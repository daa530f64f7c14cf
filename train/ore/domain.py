"""Fit the joint applicability domain of blocks: which values belong together, by limits that left-out holes keep.

Whole holes are left out in turn. What tells blocks from shuffled ones is chosen among ensembles by its log loss on
them; the limits are set together, so that the share of their blocks that any of them refuses, missing too much and
lying outside the range included, stays below 5 %, a standard error over holes allowed for. The means of left-out
holes say how unlike the training's a hole as a whole may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student
from xgboost import XGBClassifier

from ...converters.models.ore import most_missing, trees_of
from ...converters.spectra.spectrum import Floats
from ...edge.model.applicability import ApplicabilityDomain
from ...edge.ore.columns import Variable
from ...edge.ore.domain import (
    FEWEST_BLOCKS,
    LEVELS,
    Ground,
    OreDomain,
    hole_inputs,
    least_of,
    measure,
    normal_scores,
    standardise,
    tree_inputs,
    unscaled,
    with_limits,
    words_of,
)
from ...edge.ore.trees import Trees
from .calibration import rows_by_group
from .splits import some_rows

Rows = NDArray[np.intp]
Bools = NDArray[np.bool_]

MOST_REFUSED = 0.04
"""Share of left-out blocks, with a standard error over holes, that all limits of single blocks refuse."""
FAR_SHARES = {"excess": 0.002, "t2": 0.003, "q": 0.002}
"""Of them by the range, by T2 and by Q; the trees have the rest, as they see the distances too and tell more."""
FAR_HOLES, UNUSUAL_HOLES = 0.005, 0.2
"""Shares of holes that lie further out as a whole than the limit of one, and than that of a table's holes together."""
FOLDS, FAST_FOLDS = 8, 4
CHOOSING_FOLDS = 2
"""Folds that choose the ensemble."""
FEWEST_HOLES, FEWEST_ROWS, MOST_ROWS = 5, 60, 5_000
SHUFFLES = 3
FAR_WEIGHT, FAR_SPREAD = 0.25, 1.5
"""Share of blocks that were moved as well among what the trees tell from blocks, and how far, in normal scores."""
EXPLAINED = 0.8
"""Of the variance by the principal components."""
SHRINKAGE = 0.02
FEW_VALUES = 12
LEAST_STEP = 1e-6
LEAST_SPREAD = 0.01
"""Of the means of holes, in normal scores."""
CLIP = 4.0
"""Spreads beyond which a value counts no more for the covariance than at them."""
ROOM_FOR_FEW = 1.1
"""What the largest distance is multiplied by where there are too few blocks to show `FAR_SHARES`."""


@dataclass(frozen=True)
class Ensemble:
    """Trees that tell blocks from shuffled ones."""

    trees: int
    depth: int
    rate: float


ENSEMBLES = (Ensemble(60, 3, 0.1), Ensemble(150, 6, 0.12))
"""The first for a dependence along straight lines, the second for any other."""


def fit_ore_domain(
    variables: Sequence[Variable], features: Floats, holes: Rows, seed: int, fast: bool = False
) -> OreDomain | None:
    """Describe training blocks, and set limits that blocks of left-out holes keep.

    Args:
        variables: (k,) what the columns are.
        features: (n, k) as models take them, not-a-number where missing.
        holes: (n,) of each.
        seed: of folds, shuffles and trees.
        fast: fewer folds.

    Returns:
        The domain; None if there are fewer than two variables, `FEWEST_HOLES` holes or `FEWEST_ROWS` rows.
    """
    rows = some_rows(holes, min(1.0, MOST_ROWS / len(holes)), seed)
    features, holes = features[rows], holes[rows]
    names = np.unique(holes)
    if len(variables) < 2 or len(names) < FEWEST_HOLES or len(features) < FEWEST_ROWS:
        return None
    chance = np.random.default_rng(seed)
    folds = min(FAST_FOLDS if fast else FOLDS, len(names))
    fold = (chance.permutation(len(names)) % folds)[np.searchsorted(names, holes)]
    words = words_of(variables)
    few = np.isin(fold, np.unique(fold)[:CHOOSING_FOLDS])
    tried = {e: _leave_out(variables, features, fold, e, seed, few).loss for e in ENSEMBLES}
    ensemble = min(ENSEMBLES, key=tried.__getitem__)
    out = _leave_out(variables, features, fold, ensemble, seed, np.ones(len(fold), dtype=bool))
    whole = _fit(variables, features, ensemble, seed)
    allowed = _Allowed.of(out, holes, most_missing(features))
    room = np.where(whole.floor > 0, allowed.room * whole.scale[_first_columns(words)], 0.0)
    shift = np.where(whole.floor > 0, 10.0**room, 1.0)
    domain = with_limits(whole, allowed.t2, allowed.q, allowed.least_sum)
    ground = fit_ground(out.real.inputs, holes)
    shares = [float(allowed.refuses(found).mean()) for found in (out.real, out.shuffled)]
    return replace(
        domain,
        lowest=np.nanmin(features, axis=0) / shift,
        highest=np.nanmax(features, axis=0) * shift,
        left_out_share=shares[0],
        shuffled_share=shares[1],
        method=(
            f"{len(domain.linear.loadings)} principal components and {ensemble.trees} trees of depth {ensemble.depth} "
            f"on {len(features)} blocks of {len(names)} holes; limits by {folds} folds of whole holes"
        ),
        ground=ground,
    )


def fit_ground(inputs: Floats, holes: Rows) -> Ground | None:
    """Describe holes by the means of (n, columns + 1) `hole_inputs` of left-out blocks; None if there are too few."""
    rows = [own for own in rows_by_group(holes) if len(own) >= FEWEST_BLOCKS]
    if len(rows) < FEWEST_HOLES:
        return None
    counts = np.array([len(own) for own in rows])
    means = np.stack([inputs[own].mean(axis=0) for own in rows])
    about = np.concatenate([inputs[own] - mean for own, mean in zip(rows, means, strict=True)])
    within = about.T @ about / (len(about) - len(rows))
    blocks = float(1 / np.mean(1 / counts))

    def of(kept: Floats, limit: float = 1.0, usual: float = 1.0) -> Ground:
        between = np.cov(kept, rowvar=False)
        # Few holes tell spreads, and not yet which means go together.
        shrunk = min(1.0, len(between) / len(kept))
        least = np.maximum(np.diag(within) / blocks, LEAST_SPREAD**2)
        between += np.diag(shrunk * np.diag(between)) - shrunk * between
        between += np.diag(np.maximum(least - np.diag(between), 0))
        return Ground(kept.mean(axis=0), between, within, blocks, limit, usual)

    t2 = np.array([of(np.delete(means, k, axis=0)).parts(means[k], int(counts[k])).sum() for k in range(len(means))])
    logs, n = np.log(t2), len(t2)

    def kept_by_all_but(share: float) -> float:
        # Of few holes the furthest is no limit that the next one keeps; their logarithms are near normal.
        further = logs.mean() + student.ppf(1 - share, n - 1) * logs.std(ddof=1) * math.sqrt(1 + 1 / n)
        return max(math.exp(further), _highest(t2, share))

    return of(means, kept_by_all_but(FAR_HOLES), kept_by_all_but(UNUSUAL_HOLES))


def _first_columns(words: Sequence[int]) -> Rows:
    return np.cumsum([0, *(max(1, count) for count in words)])[:-1]


@dataclass(frozen=True, eq=False)
class _Found:
    """Of (n,) left-out blocks: how far beyond the range in spreads, T2, Q, the trees' sum, and how many are missing.

    `inputs`: (n, columns + 1) `hole_inputs`.
    """

    excess: Floats
    t2: Floats
    q: Floats
    sums: Floats
    lacking: NDArray[np.intp]
    inputs: Floats


@dataclass(frozen=True, eq=False)
class _LeftOut:
    """Left-out blocks as they are, and with every column shuffled within their fold; the log loss of telling them."""

    real: _Found
    shuffled: _Found
    loss: float


def _leave_out(
    variables: Sequence[Variable], features: Floats, fold: Rows, ensemble: Ensemble, seed: int, which: Bools
) -> _LeftOut:
    """Measure the blocks `which`, whole folds, by what the other folds are like."""
    chance = np.random.default_rng(seed + 1)
    real, shuffled = [], []
    for part in np.unique(fold[which]):
        rows = fold == part
        domain = _fit(variables, features[~rows], ensemble, seed)
        real.append(_found(domain, features[rows]))
        shuffled.append(_found(domain, shuffle_columns(features[rows], chance)))
    order = np.argsort(np.argsort(fold[which], kind="stable"), kind="stable")
    own, apart = (_Found(*(np.concatenate(of)[order] for of in zip(*parts, strict=True))) for parts in (real, shuffled))
    loss = float(np.logaddexp(0, -own.sums).mean() + np.logaddexp(0, apart.sums).mean())
    return _LeftOut(own, apart, loss)


def _found(domain: OreDomain, values: Floats) -> tuple[Floats, ...]:
    """Give what `_Found` holds, of some blocks."""
    far = measure(domain, values)
    first = _first_columns(domain.words)
    columns = standardise(domain, values)[:, first]
    ends = [unscaled(end[None], domain.words, domain.floor)[0] for end in (domain.lowest, domain.highest)]
    low, high = ((end - domain.centre)[first] / domain.scale[first] for end in ends)
    # A class has no room: a word that no training block had is not known.
    columns = np.where((domain.floor > 0) & ~np.isnan(columns), columns, low)
    excess = np.maximum(low - columns, columns - high).max(axis=1)
    return excess, far.t2, far.q, far.sums, np.isnan(values).sum(axis=1), hole_inputs(far)


def shuffle_columns(values: Floats, chance: np.random.Generator) -> Floats:
    """Shuffle each column of (n, k) by itself among the rows that have it; what is missing stays so."""
    shuffled = values.copy()
    for column in shuffled.T:
        known = np.flatnonzero(~np.isnan(column))
        column[known] = column[chance.permutation(known)]
    return shuffled


def _fit(variables: Sequence[Variable], features: Floats, ensemble: Ensemble, seed: int) -> OreDomain:
    """Fit everything but the limits, which are 1 and none."""
    # Of a column that only left-out holes have nothing is known.
    features = np.where(np.isnan(features).all(axis=0), 0.0, features)
    words = words_of(variables)
    floor = np.array([least_of(v, column) for v, column in zip(variables, features.T, strict=True)])
    columns = unscaled(features, words, floor)
    of_assay = np.repeat(floor > 0, [max(1, count) for count in words])
    centre, scale = _centre_and_scale(columns, of_assay)
    standard = (columns - centre) / scale
    knots = _knots(standard)
    standard = normal_scores(standard, knots)
    known = np.nan_to_num(np.clip(standard, -CLIP, CLIP))
    covariance = np.cov(known, rowvar=False)
    size = covariance.shape[0]
    covariance += SHRINKAGE * np.eye(size) * max(float(np.trace(covariance)) / size, 1e-9)
    precision = np.linalg.inv(covariance)
    return OreDomain(
        words,
        floor,
        centre,
        scale,
        knots,
        np.nanmin(features, axis=0),
        np.nanmax(features, axis=0),
        precision,
        _components(known, covariance),
        _trees(standard, of_assay, precision, ensemble, seed),
        -np.inf,
        0.0,
        0.0,
        "",
    )


def _centre_and_scale(columns: Floats, robust: Bools) -> tuple[Floats, Floats]:
    quarter, median, three_quarters = np.nanquantile(columns, (0.25, 0.5, 0.75), axis=0)
    mean, deviation = np.nanmean(columns, axis=0), np.nanstd(columns, axis=0)
    spread = (three_quarters - quarter) / 1.349
    robust = robust & (spread > 1e-9)
    scale = np.where(robust, spread, deviation)
    return np.where(robust, median, mean), np.where(scale > 1e-9, scale, 1.0)


def _knots(standard: Floats) -> Floats:
    """Find the quantiles of columns; one of few values stays as it is, for its steps are no distribution."""
    levels = norm.cdf(LEVELS)
    knots = np.tile(LEVELS, (standard.shape[1], 1))
    for k, column in enumerate(standard.T):
        if len(np.unique(column[~np.isnan(column)])) > FEW_VALUES:
            knots[k] = np.nanquantile(column, levels)
    # What many blocks share, such as a detection limit, is one value with several levels.
    return np.asarray(np.maximum.accumulate(knots, axis=1) + LEAST_STEP * np.arange(len(LEVELS)))


def _components(known: Floats, covariance: Floats) -> ApplicabilityDomain:
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(-values)
    reached = np.cumsum(values[order]) / values.sum()
    kept = order[: min(int(np.searchsorted(reached, EXPLAINED)) + 1, len(order) - 1)]
    mean, loadings = known.mean(axis=0), vectors[:, kept].T
    left = (known - mean) - (known - mean) @ loadings.T @ loadings
    usual = np.sqrt((left**2).mean(axis=0))
    return ApplicabilityDomain(
        mean, loadings, values[kept], 1.0, 1.0, "", residual_scale=np.maximum(usual, 0.1 * max(usual.max(), 1e-6))
    )


def _trees(standard: Floats, moved: Bools, precision: Floats, ensemble: Ensemble, seed: int) -> Trees:
    chance = np.random.default_rng(seed)
    apart = np.concatenate([shuffle_columns(standard, chance) for _ in range(SHUFFLES)])
    far = shuffle_columns(standard, chance)
    far[:, moved] += FAR_SPREAD * chance.standard_normal((len(far), int(moved.sum())))
    rows = np.array([len(standard), len(apart), len(far)])
    together = np.repeat([1, 0, 0], rows)
    weights = np.repeat([1.0, (1 - FAR_WEIGHT) / SHUFFLES, FAR_WEIGHT], rows)
    fitted = XGBClassifier(
        n_estimators=ensemble.trees,
        max_depth=ensemble.depth,
        learning_rate=ensemble.rate,
        subsample=0.5,
        colsample_bynode=0.5,
        min_child_weight=5,
        reg_lambda=5,
        tree_method="hist",
        max_bin=128,
        random_state=seed,
        n_jobs=1,
    ).fit(tree_inputs(np.concatenate([standard, apart, far]), precision), together, sample_weight=weights)
    return trees_of(fitted, 2 * standard.shape[1] + 2)


@dataclass(frozen=True)
class _Allowed:
    """The limits; `room` in spreads beyond the training's range."""

    most_missing: int
    room: float
    t2: float
    q: float
    least_sum: float

    @classmethod
    def of(cls, out: _LeftOut, holes: Rows, missing: int) -> _Allowed:
        """Set the far ones at their small share, and then the trees' so that all together refuse what is allowed."""
        room, t2, q = (_highest(getattr(out.real, name), share) for name, share in FAR_SHARES.items())
        found = cls(missing, max(room, 0.0), t2, q, -np.inf)
        refused = found.refuses(out.real)
        hole = np.unique(holes, return_inverse=True)[1]
        rows = np.bincount(hole)
        order = np.argsort(np.where(refused, np.inf, out.real.sums), kind="stable")
        order = order[: int((~refused).sum())]
        counts = np.bincount(hole, refused)

        def expected(more: int) -> float:
            of_holes = counts + np.bincount(hole[order[:more]], minlength=len(rows))
            share = float(of_holes.sum() / rows.sum())
            apart = of_holes - share * rows
            error = math.sqrt(float(apart @ apart) * len(rows) / (len(rows) - 1)) / float(rows.sum())
            return share + error

        low, high = 0, len(order) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if expected(middle) <= MOST_REFUSED else (low, middle - 1)
        return replace(found, least_sum=float(out.real.sums[order[low]]))

    def refuses(self, found: _Found) -> Bools:
        return np.asarray(
            (found.lacking > self.most_missing)
            | (found.excess > self.room)
            | (found.t2 > self.t2)
            | (found.q > self.q)
            | (found.sums < self.least_sum)
        )


def _highest(distance: Floats, share: float) -> float:
    """Return the limit that a share of left-out blocks exceed."""
    rank = math.ceil((len(distance) + 1) * (1 - share))
    if rank > len(distance):
        return float(distance.max() * ROOM_FOR_FEW)
    return float(np.sort(distance)[rank - 1])
