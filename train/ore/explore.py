"""What a table of blocks looks like before any model: statistics, class frequencies, correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ...converters.spectra.spectrum import Floats
from ...edge.ore.columns import Variable
from .data import OreData

STATISTICS = ("n", "missing", "below", "above", "mean", "sd", "min", "q1", "median", "q3", "max", "skewness")


@dataclass(frozen=True)
class Description:
    """One variable: by the names of `STATISTICS`, as it is and standardised (mean 0, standard deviation 1).

    Bounds count as the numbers that stand for them (`plain_values`); "below" and "above" say how many there are.
    """

    variable: Variable
    raw: dict[str, float]
    standardised: dict[str, float]


@dataclass(frozen=True)
class Frequency:
    """How often a class was logged, in percent of the blocks where it was; and percent of ore among those."""

    variable: Variable
    percent: tuple[float, ...]
    ore_percent: tuple[float, ...]
    missing_percent: float


@dataclass(frozen=True, eq=False)
class Exploration:
    """All of it; `pearson` and `spearman` are (k, k) over pairs of rows that have both values."""

    rows: int
    ore_percent: float
    descriptions: tuple[Description, ...]
    frequencies: tuple[Frequency, ...]
    names: tuple[str, ...]
    pearson: Floats
    spearman: Floats


def explore(data: OreData) -> Exploration:
    """Describe a table; nothing is imputed here."""
    assays = [(i, v) for i, v in enumerate(data.variables) if v.kind == "assay"]
    classes = [(i, v) for i, v in enumerate(data.variables) if v.kind == "class"]
    return Exploration(
        len(data.ore),
        100 * float(data.ore.mean()),
        tuple(_describe(v, data.features[:, i], data.bounds[:, i]) for i, v in (*assays, *classes)),
        tuple(_frequency(v, data.features[:, i], data.ore) for i, v in classes),
        tuple(v.name for v in data.variables),
        correlations(data.features),
        correlations(data.features, ranks=True),
    )


def _describe(variable: Variable, values: Floats, bounds: NDArray[np.int8]) -> Description:
    known = values[~np.isnan(values)]
    counts = {
        "n": float(known.size),
        "missing": float(values.size - known.size),
        "below": float((bounds < 0).sum()),
        "above": float((bounds > 0).sum()),
    }
    sd = float(known.std()) if known.size else float("nan")
    scaled = (known - known.mean()) / sd if known.size and sd > 0 else known * float("nan")
    return Description(variable, counts | _moments(known), counts | _moments(scaled))


def _moments(values: Floats) -> dict[str, float]:
    if not values.size:
        return dict.fromkeys(STATISTICS[4:], float("nan"))
    quartiles = np.percentile(values, [0, 25, 50, 75, 100])
    sd = float(values.std(ddof=1)) if values.size > 1 else float("nan")
    spread = float(values.std())
    skewness = float(np.mean(((values - values.mean()) / spread) ** 3)) if spread > 0 else float("nan")
    numbers = (float(values.mean()), sd, *map(float, quartiles), skewness)
    return dict(zip(STATISTICS[4:], numbers, strict=True))


def _frequency(variable: Variable, codes: Floats, ore: NDArray[np.bool_]) -> Frequency:
    logged = ~np.isnan(codes)
    words = range(1, len(variable.words) + 1)
    total = max(int(logged.sum()), 1)
    return Frequency(
        variable,
        tuple(100 * float((codes == w).sum()) / total for w in words),
        tuple(100 * float(ore[codes == w].mean()) if (codes == w).any() else float("nan") for w in words),
        100 * float(1 - logged.mean()),
    )


def correlations(features: Floats, ranks: bool = False) -> Floats:
    """(k, k) Pearson's r of (n, k) values, or Spearman's of their ranks, over the rows where both are known.

    Ranks are taken among the rows of the pair, ties share theirs. A column that does not vary has no correlation.
    """
    k = features.shape[1]
    known = ~np.isnan(features)
    out = np.full((k, k), np.nan)
    for i in range(k):
        for j in range(i + 1):
            both = known[:, i] & known[:, j]
            a, b = features[both, i], features[both, j]
            if ranks:
                a, b = rankdata(a), rankdata(b)
            if a.size > 1 and a.std() > 0 and b.std() > 0:
                out[i, j] = out[j, i] = float(np.corrcoef(a, b)[0, 1])
    return out


def of_pair(exploration: Exploration, a: str, b: str, ranks: bool = False) -> float:
    """Give one correlation by names; not-a-number if the table lacks one of them."""
    names: Sequence[str] = exploration.names
    if a not in names or b not in names:
        return float("nan")
    matrix = exploration.spearman if ranks else exploration.pearson
    return float(matrix[names.index(a), names.index(b)])
