"""How far calls of ore and gangue can be trusted: what the joint domain refuses, and how true probabilities are.

Tables are made up, and SIMULATED deposits drawn. Beside the share of shuffled blocks that are refused stands that of the
best test there is (Neyman & Pearson: the ratio of the known densities) at the same share of own blocks refused.
`ore_trust.py domain`, `calibration` or `truth` for one part: the last says what calibration error true probabilities
have, where blocks of a hole are ore together by more than the variables tell.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import LogisticRegression
from stibium.converters.models.ore import convert
from stibium.edge.ore.bundle import Costs, OreBundle
from stibium.edge.ore.columns import Columns, Variable
from stibium.edge.ore.ground import answer_table
from stibium.edge.ore.scenarios import Scenario
from stibium.edge.ore.table import Blocks
from stibium.train.ore import deposit as deposit_module
from stibium.train.ore.calibration import calibration_error, chance_error, fit_calibration, rows_by_group
from stibium.train.ore.comparison import Settings, compare
from stibium.train.ore.data import OreData
from stibium.train.ore.deposit import ASSAYS, LOGGED, simulate_deposit
from stibium.train.ore.domain import fit_ore_domain, shuffle_columns
from stibium.train.ore.models import MODELS

Values = NDArray[np.float64]
OWN_BOUND, SHUFFLED_BOUND, OTHER_BOUND, CHANCE_BOUND = 0.05, 0.8, 0.9, 1.5
TABLES = (
    (3, 0.5, 0.5, 3000, 30), (5, 0.5, 0.5, 3000, 30),
    (8, 0.5, 0.5, 3000, 30), (12, 0.5, 0.5, 3000, 30), (16, 0.5, 0.5, 3000, 30), (24, 0.5, 0.5, 3000, 30),
    (8, 0.5, 0.9, 3000, 30), (12, 0.5, 0.9, 3000, 30),
    (8, 0.7, 0.7, 3000, 30), (12, 0.7, 0.7, 3000, 30), (12, 0.7, 0.7, 300, 10),
)  # fmt: skip
"""Columns, their least and highest multiple R2 on the others, blocks, holes."""
DIFFER = (0.0, 0.5)
"""How far the levels of holes lie apart, in spreads of their blocks; they go together as the columns of a block do."""
NEW_BLOCKS, NEW_HOLES = 10_000, 100
OTHERS = 8
"""Other deposits: the same dependence, each column's level 1.5 spreads higher or lower, as chance has it."""
DRAWS = 5
RANGES_M = ((12.0, 30.0, 22.0), deposit_module._RANGES_M["ore"])
"""Of the deposit's fields: longer ones, and those that it has."""
TRUTH_DRAWS = 60


def loadings(count: int, least: float, most: float) -> Values:
    """Return what each column has of one common factor, so that its multiple R2 on the others is from least to most."""
    r2 = np.linspace(least, most, count)
    squared = r2.copy()
    for _ in range(200):
        told = squared / (1 - squared)
        others = told.sum() - told
        squared = np.clip(r2 * (1 + others) / others, 0, 1 - 1e-9)
    return np.sqrt(squared)


def covariance(loading: Values) -> Values:
    return np.outer(loading, loading) + np.diag(1 - loading**2)


def correlated(n: int, loading: Values, chance: np.random.Generator) -> Values:
    own = np.sqrt(1 - loading**2)
    return loading * chance.standard_normal((n, 1)) + own * chance.standard_normal((n, len(loading)))


def drawn(
    n: int, holes: int, loading: Values, differ: float, chance: np.random.Generator
) -> tuple[Values, NDArray[np.intp]]:
    """Return assays of holes whose levels differ by that many spreads, and which hole each block is of."""
    hole = np.repeat(np.arange(holes), n // holes)
    return np.exp(correlated(n, loading, chance) + differ * correlated(holes, loading, chance)[hole]), hole


def best_there_is(loading: Values, own: float, chance: np.random.Generator) -> float:
    """Return the share of shuffled blocks that the ratio of densities refuses."""
    together = multivariate_normal(cov=covariance(loading))
    x = correlated(NEW_BLOCKS, loading, chance)
    ratio, shuffled = (together.logpdf(v) - norm.logpdf(v).sum(axis=1) for v in (x, shuffle_columns(x, chance)))
    return float((shuffled < np.quantile(ratio, own)).mean())


def with_domain(variables: list[Variable], x: Values, hole: NDArray[np.intp]) -> OreBundle:
    """A model of nothing in particular, for what it cannot tell."""
    columns = Columns(tuple(variables), group="hole")
    ore = x[:, 0] > np.median(x[:, 0])
    fitted = LogisticRegression().fit(np.zeros(x.shape), ore)
    return convert(
        fitted, columns=columns, scenario=Scenario("made", columns.names), blocks=x, labels=ore.astype(int),
        threshold=0.5, costs=Costs(1, 1), simulated=True, domain=fit_ore_domain(variables, x, hole, 0),
    )  # fmt: skip


def refused(bundle: OreBundle, values: Values, holes: int) -> float:
    """Share of a table's blocks that are answered with cannot tell; without holes block by block."""
    n = len(values)
    groups = tuple(f"H{i}" for i in np.repeat(np.arange(holes), n // holes)) if holes else tuple(map(str, range(n)))
    blocks = Blocks(
        bundle.columns.variables, groups, np.arange(n), values, np.zeros(values.shape, dtype=np.int8), None, groups
    )
    ((_, answers),) = answer_table(bundle, [blocks])
    return float(np.mean([a.decision == "cannot tell" for a in answers]))


def joint_domain() -> bool:
    print("joint domain, made tables of skewed assays whose logarithms depend along straight lines")
    print("holes: how many train, and how far their levels lie apart, in spreads of their blocks")
    print("cannot be told, block by block and as a table of holes of 100 blocks; in brackets the best test of a block")
    print("  columns  R2         blocks holes        own            shuffled       another deposit  (best)     fit")
    within = True
    for (count, least, most, rows, holes), differ in ((table, differ) for differ in DIFFER for table in TABLES):
        chance = np.random.default_rng(count)
        loading = loadings(count, least, most)
        variables = [Variable(f"v{i}", f"v{i}", "assay", "ppm") for i in range(count)]
        x, hole = drawn(rows, holes, loading, differ, chance)
        started = perf_counter()
        bundle = with_domain(variables, x, hole)
        took = perf_counter() - started
        new, _ = drawn(NEW_BLOCKS, NEW_HOLES, loading, differ, chance)
        apart = 1.5 * np.sqrt(1 + differ**2)
        others = [new * np.exp(apart * chance.choice([-1, 1], count)) for _ in range(OTHERS)]
        own, shuffled, other = (
            [float(np.mean([refused(bundle, values, k) for values in tables])) for k in (0, NEW_HOLES)]
            for tables in ([new], [shuffle_columns(new, chance)], others)
        )
        best = f"({100 * best_there_is(loading, own[0], chance):.1f})" if not differ else ""
        met = own[1] <= OWN_BOUND and shuffled[1] >= SHUFFLED_BOUND and other[1] >= OTHER_BOUND
        within = within and met
        shares = " ".join(f"{100 * a:7.1f}, {100 * b:5.1f} %" for a, b in (own, shuffled, other))
        print(
            f"  {count:7} {least:3.1f} - {most:3.1f} {rows:8} {holes:3} {differ:4.1f} {shares} {best:>7} {took:5.1f} s"
            f"{'' if met else '   out of bounds'}",
            flush=True,
        )
    print(
        f"  bounds, as a table: own at most {OWN_BOUND:.0%}, shuffled {SHUFFLED_BOUND:.0%}, another {OTHER_BOUND:.0%}"
    )
    return within


def deposit(blocks: int, seed: int, ore_share: float | None) -> OreData:
    """A simulated deposit; with `ore_share` its cut-off is set so that so many blocks are ore."""
    made = simulate_deposit(blocks, seed)
    ore = made.ore if ore_share is None else made.grade_g_t > np.quantile(made.grade_g_t, 1 - ore_share)
    variables = (
        *(Variable(name, name, "assay", "ppm") for name in ASSAYS),
        *(Variable(name, name, "class", words=("Low", "Medium", "High")) for name in LOGGED),
    )
    values = np.where(made.missing, np.nan, np.hstack([made.assays, made.classes + 1.0]))
    names = tuple(f"H{i}" for i in range(int(made.hole.max()) + 1))
    bounds = np.zeros(values.shape, dtype=np.int8)
    return OreData(variables, values, bounds, ore, made.hole, names, True, "simulated", f"{blocks} {seed} {ore_share}")


def told_by_variables(blocks: int, holes: int, seed: int, ore_share: float) -> OreData:
    """A table whose holes differ in their assays, and in ore by no more than these tell."""
    chance = np.random.default_rng(seed)
    hole = np.repeat(np.arange(holes), blocks // holes)
    latent = chance.standard_normal((len(hole), 3)) + 0.5 * chance.standard_normal((holes, 3))[hole]
    grade = latent @ [1.6, 0.8, 0.0]

    def share(shift: float) -> float:
        return float((1 / (1 + np.exp(-(grade - shift)))).mean() - ore_share)

    ore = chance.random(len(hole)) < 1 / (1 + np.exp(-(grade - brentq(share, -20, 20))))
    variables = tuple(Variable(name, name, "assay", "ppm") for name in "abc")
    bounds = np.zeros(latent.shape, dtype=np.int8)
    names = tuple(f"H{i}" for i in range(holes))
    return OreData(variables, np.exp(latent), bounds, ore, hole, names, True, "made", f"made {seed} {ore_share}")


def calibration() -> bool:
    print(
        "\nECE of all left-out holes over its level by chance, best of logistic regression and random forest, SIMULATED"
    )
    print(
        "  made: holes differ in ore by no more than their assays tell; deposit: by more than the logged classes tell"
    )
    logged = Scenario("C4", ("Pb", "Zn", *LOGGED))
    assays = Scenario("abc", ("a", "b", "c"))
    within = True
    for what, blocks, holes, ore_share, scenario, folds in (
        ("made, 10 holes, 7 % ore", 1000, 10, 0.07, assays, 4), ("made, 10 holes, 40 % ore", 1000, 10, 0.4, assays, 4),
        ("made, 60 holes, 7 % ore", 6000, 60, 0.07, assays, 5),
        ("deposit, 10 holes, 7 % ore", 1000, 0, 0.07, logged, 4), ("deposit, 10 holes", 1000, 0, None, logged, 4),
        ("deposit, 60 holes, 7 % ore", 6000, 0, 0.07, logged, 5), ("deposit, 60 holes", 6000, 0, None, logged, 5),
    ):  # fmt: skip
        ratios = []
        for seed in range(DRAWS):
            made = holes and ore_share
            data = told_by_variables(blocks, holes, seed, ore_share) if made else deposit(blocks, seed, ore_share)
            settings = Settings(
                (scenario,), ("logistic", "forest"), blocks * 4 // 5, blocks // 5, folds, seed, fast=True
            )
            with tempfile.TemporaryDirectory() as folder:
                cell = compare(data, settings, Path(folder), jobs=1).best(scenario.name)
            ratios.append(cell.unseen_error / cell.unseen_chance)
        mean = float(np.mean(ratios))
        within = within and mean <= CHANCE_BOUND
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"  {what:26} {mean:.2f} on average of {DRAWS} (bound {CHANCE_BOUND}): {each}", flush=True)
    return within


def truth() -> bool:
    print(
        "\nECE of new holes over its level by chance, of probabilities that are true: of the logged classes, Pb and Zn of"
    )
    print("a SIMULATED deposit of 67,300 blocks, a forest of 400 holes, its steps fitted to the labels of all others")
    for ranges_m in RANGES_M:
        deposit_module._RANGES_M["ore"] = ranges_m
        for ore_share in (0.07, None):
            data = deposit(67_300, 42, ore_share)
            chance = np.random.default_rng(0)
            taught = np.isin(data.groups, chance.permutation(len(data.group_names))[:400])
            at = data.columns_of(("Pb", "Zn", *LOGGED))
            parameters = {"n_estimators": 100, "max_depth": 12, "min_samples_leaf": 10, "max_features": "sqrt"}
            forest = MODELS["forest"].pipeline(parameters, 0).fit(data.features[taught][:, at], data.ore[taught])
            rest = data.take(np.flatnonzero(~taught))
            plain = forest.predict_proba(rest.features[:, at])[:, 1]
            p = fit_calibration("isotonic", plain, rest.ore).apply(plain)
            rows = rows_by_group(rest.holes)
            for holes in (10, 60):
                ratios = []
                for seed in range(TRUTH_DRAWS):
                    some = np.concatenate([rows[i] for i in chance.choice(len(rows), holes, replace=False)])
                    by_chance = chance_error(p[some], rest.holes[some], seed, draws=50)
                    ratios.append(calibration_error(p[some], rest.ore[some]) / by_chance)
                low, high = np.quantile(ratios, [0.1, 0.9])
                fields = (
                    f"fields of {ranges_m[0]:g} to {ranges_m[1]:g} m, {holes} holes, {100 * rest.ore.mean():.0f} % ore"
                )
                print(f"  {fields:48} {np.mean(ratios):.2f}, eight of ten {low:.2f} to {high:.2f}", flush=True)
    return True


if __name__ == "__main__":
    parts = {"domain": joint_domain, "calibration": calibration, "truth": truth}
    met = [parts[name]() for name in sys.argv[1:] or parts]
    sys.exit(0 if all(met) else 1)
