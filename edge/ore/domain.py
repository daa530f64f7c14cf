"""Whether a block's values belong together as those of the training blocks do: rock that could exist there.

Three measures, each with a limit that left-out holes keep (`stibium.train.ore.domain` fits them):

- Hotelling T2 and the Q residual of the values in standardised log space, as for spectra: how far from all blocks;
- trees that tell training blocks from the same blocks with every column shuffled by itself. Their sum is the log of how
  much likelier such values stand together than apart (Hastie, Tibshirani & Friedman 2009, The Elements of Statistical
  Learning, 14.2.4), whatever the shape of the dependence. Beside the values they see what a weighted sum of the other
  columns leaves of each, which few blocks suffice to find.

A hole as a whole is measured too: by the means of its blocks, which tell other ground where single blocks cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..model.applicability import ApplicabilityDomain, distances
from .columns import Variable
from .steps import log10_above, one_hot
from .trees import Trees, trees_from_arrays, trees_to_arrays

FEWEST_BLOCKS = 10
"""Of a hole, before anything is said of it as a whole."""
MOST_SHARE = 0.5
"""Of a hole's blocks that may lie outside or not belong together; of left-out holes it is a twentieth on average."""
FAR_SCORE, FAR_SUM = 4.0, 8.0
"""Normal score and sum of the trees beyond which a block counts no more in its hole's mean."""
_LINEAR = ("mean", "loadings", "score_variance", "residual_scale")
_OWN = ("floor", "centre", "scale", "knots", "lowest", "highest", "precision")
_LEAST = 1e-9
LEVELS = np.linspace(-2.25, 2.25, 19)
"""Normal scores at which the quantiles of a column are kept."""
_TAIL = 4
"""Knots that say how a score rises beyond them."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What holes of the training's ground are like as a whole: the means of their blocks, `hole_inputs`.

    Attributes:
        centre: (columns + 1,) of the means of left-out holes.
        between: (columns + 1, columns + 1) their covariance.
        within: the same of the blocks of one hole about its mean.
        blocks: of a usual hole; the means of a shorter one may lie further out.
        limit: Hotelling T2 of a hole's means that left-out holes keep.
        usual: the same that four of five keep; the middle of a table of holes lies further in.
    """

    centre: Floats
    between: Floats
    within: Floats
    blocks: float
    limit: float
    usual: float

    def parts(self, means: Floats, count: int) -> Floats:
        """Give what each of the means, (columns + 1,), of so many blocks has of their T2."""
        spread = self.between + self.within * max(0.0, 1 / count - 1 / self.blocks)
        away = means - self.centre
        return np.asarray(away * np.linalg.solve(spread, away))


_GROUND = ("centre", "between", "within")


@dataclass(frozen=True, eq=False)
class OreDomain:
    """What the training blocks are like together. Columns: one a variable, one a word of a category.

    Attributes:
        words: (variables,) number of words of a category; 0 for an assay and for a class.
        floor: (variables,) what an assay is at least before its logarithm is taken; 0 for no logarithm.
        centre, scale: (columns,) of the training blocks, robust.
        knots: (columns, levels) standardised values of the training blocks at `LEVELS`, rising.
        lowest, highest: (variables,) values that are allowed: the training's, with room that left-out holes needed.
        precision: (columns, columns) inverse of the columns' covariance.
        linear: principal components of the columns, limits of T2 and Q.
        trees: of `tree_inputs`; the sum is a log-odds, for "together" if positive.
        least_sum: a block whose sum is below does not belong.
        left_out_share: share of the blocks of left-out holes that any limit refuses.
        shuffled_share: the same of left-out blocks whose columns were shuffled each by itself: what it can tell.
        method: how it was fitted.
        ground: of whole holes; None of bundles before there was one, and where there were too few holes.
    """

    words: tuple[int, ...]
    floor: Floats
    centre: Floats
    scale: Floats
    knots: Floats
    lowest: Floats
    highest: Floats
    precision: Floats
    linear: ApplicabilityDomain
    trees: Trees
    least_sum: float
    left_out_share: float
    shuffled_share: float
    method: str
    ground: Ground | None = None

    @cached_property
    def variable_of(self) -> NDArray[np.intp]:
        """(columns,) which variable each column is of."""
        return np.repeat(np.arange(len(self.words)), [max(1, words) for words in self.words])

    @cached_property
    def _blame(self) -> Floats:
        """(nodes, inputs) how far each input moved the expected sum on the way to a node of the trees."""
        trees = self.trees
        inner = np.flatnonzero(trees.left != np.arange(len(trees.left)))
        mean = trees.value.copy()
        for node in inner[::-1]:  # a child always stands behind its parent
            pair = slice(trees.left[node], trees.left[node] + 2)
            cover = np.maximum(trees.cover[pair], _LEAST)
            mean[node] = float(cover @ mean[pair] / cover.sum())
        blame = np.zeros((len(mean), trees.columns))
        for node in inner:
            for child in (trees.left[node], trees.left[node] + 1):
                blame[child] = blame[node]
                blame[child, trees.feature[node]] += mean[child] - mean[node]
        return blame

    def blame(self, inputs: Floats) -> Floats:
        """Say how much each input, (rows, inputs), moved the sum: negative for not belonging together."""
        found = np.zeros(inputs.shape)
        for leaves in self.trees.leaves(inputs):
            found += self._blame[leaves]
        return found


def standardise(domain: OreDomain, values: Floats) -> Floats:
    """Take values (rows, variables) to standardised columns, not-a-number where missing."""
    return (unscaled(values, domain.words, domain.floor) - domain.centre) / domain.scale


def normal_scores(columns: Floats, knots: Floats) -> Floats:
    """Take standardised columns to normal scores: of spread 1 and with short tails, however skewed a column is."""
    scores = np.empty(columns.shape)
    for k, (column, at) in enumerate(zip(columns.T, knots, strict=True)):
        above, below = np.maximum(column - at[-1], 0), np.minimum(column - at[0], 0)
        scores[:, k] = np.interp(column, at, LEVELS) + above * _slope(at[-_TAIL:]) + below * _slope(at[:_TAIL])
    return scores


def unscaled(values: Floats, words: Sequence[int], floor: Floats) -> Floats:
    """Take values (rows, variables) to (rows, columns): logarithms of assays, categories as one column a word."""
    return one_hot(log10_above(values, floor), words)


def tree_inputs(columns: Floats, precision: Floats) -> Floats:
    """Give what the trees see: the columns, what the other columns leave of each, and two distances.

    Returns:
        (rows, 2 columns + 2) the columns, not-a-number where missing; residuals over their spread; the logarithm of
        the Mahalanobis distance; how much longer it is than without the covariances.
    """
    known = np.nan_to_num(columns)
    weighted = known @ precision
    squared = np.einsum("ij,ij->i", known, weighted)
    residuals = weighted / np.sqrt(np.diag(precision))
    distance = np.log(np.maximum(squared, _LEAST))
    return np.column_stack([columns, residuals, distance, squared - np.einsum("ij,ij->i", known, known)])


def _slope(at: Floats) -> float:
    """Return how much a score rises beyond the last knots: as it does along them, at most as the column itself."""
    return float(min(1.0, (_TAIL - 1) * (LEVELS[1] - LEVELS[0]) / (at[-1] - at[0])))


@dataclass(frozen=True, eq=False)
class Measures:
    """How far blocks are from the training.

    `scores`: (rows, columns) normal scores; `t2` and `q` over their limits, `sums` of the trees: (rows,) each.
    """

    scores: Floats
    t2: Floats
    q: Floats
    sums: Floats

    def beyond(self, domain: OreDomain) -> NDArray[np.bool_]:
        """Say which of the blocks do not belong."""
        return np.asarray((self.t2 > 1) | (self.q > 1) | (self.sums < domain.least_sum))


def measure(domain: OreDomain, values: Floats) -> Measures:
    """Measure blocks, (rows, variables) as models take them."""
    columns = normal_scores(standardise(domain, values), domain.knots)
    far = distances(np.nan_to_num(columns), domain.linear)
    return Measures(columns, far.t2, far.q, domain.trees.sums(tree_inputs(columns, domain.precision)))


def hole_inputs(found: Measures) -> Floats:
    """(rows, columns + 1) what a hole's means are of: normal scores, 0 where missing, and the sum of the trees."""
    scores = np.clip(np.nan_to_num(found.scores), -FAR_SCORE, FAR_SCORE)
    return np.column_stack([scores, np.clip(found.sums, -FAR_SUM, FAR_SUM)])


def beyond(domain: OreDomain, values: Floats) -> NDArray[np.bool_]:
    """Say of which blocks, (rows, variables), the values do not belong together."""
    return measure(domain, values).beyond(domain)


@dataclass(frozen=True, eq=False)
class Odd:
    """What does not belong in (rows,) blocks: `far` is True where the values are all far out, else the pair is odd.

    `pairs`: (rows, 2) the two variables that make the most of it.
    """

    far: NDArray[np.bool_]
    pairs: NDArray[np.intp]


def odd_pairs(domain: OreDomain, values: Floats, found: Measures, rows: NDArray[np.intp]) -> Odd:
    """Find the two variables of each of the `rows` that belong together least, or stand furthest out."""
    values, columns, sums = values[rows], found.scores[rows], found.sums[rows]
    known = np.nan_to_num(columns)
    count = known.shape[1]
    inputs = tree_inputs(columns, domain.precision)
    moved = -domain.blame(inputs)
    # A distance is made of all columns, of each by its share.
    shares = np.maximum(known * (known @ domain.precision), 0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), _LEAST)
    apart = moved[:, :count] + moved[:, count : 2 * count] + moved[:, 2 * count :].sum(axis=1, keepdims=True) * shares
    far = sums >= domain.least_sum
    apart[far] = shares[far]
    of_variables = np.zeros((len(values), len(domain.words)))
    np.add.at(of_variables.T, domain.variable_of, apart.T)
    of_variables[np.isnan(values)] = -np.inf
    return Odd(far, np.argsort(-of_variables, axis=1, kind="stable")[:, :2])


def domain_to_arrays(domain: OreDomain) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Give a domain as JSON values and as named arrays."""
    trees, arrays = trees_to_arrays(domain.trees)
    linear, ground = domain.linear, domain.ground
    values: dict[str, Any] = {
        "words": list(domain.words),
        "t2_limit": linear.t2_limit,
        "q_limit": linear.q_limit,
        "trees": trees,
        **{name: getattr(domain, name) for name in ("least_sum", "left_out_share", "shuffled_share", "method")},
    }
    arrays |= {name: getattr(domain, name) for name in _OWN} | {name: getattr(linear, name) for name in _LINEAR}
    if ground is not None:
        values["ground"] = {name: getattr(ground, name) for name in ("blocks", "limit", "usual")}
        arrays |= {f"ground_{name}": getattr(ground, name) for name in _GROUND}
    return values, {f"domain_{name}": array for name, array in arrays.items()}


def domain_from_arrays(
    values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], variables: Sequence[Variable]
) -> OreDomain:
    """Read what `domain_to_arrays` gave.

    Raises:
        KeyError, ValueError: something is missing or does not fit.
    """
    found = {name.removeprefix("domain_"): array for name, array in arrays.items() if name.startswith("domain_")}
    a = {name: np.asarray(found[name], dtype=np.float64) for name in (*_OWN, *_LINEAR)}
    linear = ApplicabilityDomain(
        mean=a["mean"],
        loadings=a["loadings"],
        score_variance=a["score_variance"],
        residual_scale=a["residual_scale"],
        t2_limit=float(values["t2_limit"]),
        q_limit=float(values["q_limit"]),
        method=values["method"],
    )
    domain = OreDomain(
        words=tuple(int(count) for count in values["words"]),
        **{name: a[name] for name in _OWN},
        linear=linear,
        trees=trees_from_arrays(values["trees"], found),
        least_sum=float(values["least_sum"]),
        left_out_share=float(values["left_out_share"]),
        shuffled_share=float(values["shuffled_share"]),
        method=values["method"],
        ground=_ground(values.get("ground"), found),
    )
    _require_fit(domain, variables)
    return domain


def _ground(values: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]]) -> Ground | None:
    if values is None:
        return None
    centre, between, within = (np.asarray(arrays[f"ground_{name}"], dtype=np.float64) for name in _GROUND)
    return Ground(centre, between, within, *(float(values[name]) for name in ("blocks", "limit", "usual")))


def _require_fit(domain: OreDomain, variables: Sequence[Variable]) -> None:
    count, columns = len(variables), sum(max(1, words) for words in domain.words)
    linear = domain.linear
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("floor", "lowest", "highest"), (count,))
    shapes |= {"centre": (columns,), "scale": (columns,), "knots": (columns, len(LEVELS))}
    fits = (
        domain.words == words_of(variables)
        and all(getattr(domain, name).shape == shape for name, shape in shapes.items())
        and bool((np.diff(domain.knots, axis=1) > 0).all())
        and domain.precision.shape == (columns, columns)
        and linear.mean.shape == (columns,)
        and linear.loadings.shape == (len(linear.score_variance), columns)
        and linear.residual_scale is not None
        and linear.residual_scale.shape == (columns,)
        and domain.trees.columns == 2 * columns + 2
    )
    if not fits:
        raise ValueError("its domain does not fit the variables")
    spreads = (np.diag(domain.precision), domain.scale, linear.score_variance, np.asarray(linear.residual_scale))
    limits = np.array([linear.t2_limit, linear.q_limit])
    if not all(bool(np.all(n > 0) and np.isfinite(n).all()) for n in (*spreads, limits)):
        raise ValueError("its domain has a spread or a limit that is not above zero")
    ground = domain.ground
    if ground is not None:
        square = (columns + 1, columns + 1)
        if (ground.centre.shape, ground.between.shape, ground.within.shape) != (square[:1], square, square):
            raise ValueError("its domain has holes that do not fit the variables")
        if not (min(ground.blocks, ground.limit, ground.usual) > 0 and np.linalg.eigvalsh(ground.between).min() > 0):
            raise ValueError("its domain has holes whose spread or limit is not above zero")
    if not np.isfinite(domain.least_sum) or (domain.lowest > domain.highest).any():
        raise ValueError("its domain has limits that no block keeps")


def least_of(variable: Variable, column: Floats) -> float:
    """Return what an assay is taken for at least before its logarithm: half the least above zero; 0 of others."""
    positive = column[column > 0]
    return float(positive.min() / 2) if variable.kind == "assay" and positive.size else 0.0


def words_of(variables: Sequence[Variable]) -> tuple[int, ...]:
    """Return the number of words of each category, 0 for every other variable."""
    return tuple(len(v.words) if v.kind == "category" else 0 for v in variables)


def with_limits(domain: OreDomain, t2: float, q: float, least_sum: float) -> OreDomain:
    """Give a domain other limits."""
    return replace(domain, linear=replace(domain.linear, t2_limit=t2, q_limit=q), least_sum=least_sum)
