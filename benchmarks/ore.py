"""Ore or gangue on the device: one block with its contributions, and a long table, for the two heaviest classifiers."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from process import run_process
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from stibium.converters.models.ore import convert
from stibium.edge.ore.bundle import Costs, OreBundle, read_ore_bundle, write_ore_bundle
from stibium.edge.ore.cells import most_of
from stibium.edge.ore.columns import Columns, read_columns
from stibium.edge.ore.domain import beyond
from stibium.edge.ore.scenarios import read_scenario
from stibium.train.ore.domain import fit_ore_domain

BLOCK_MS = 5
TABLE_S = 10
MEMORY_LIMIT = 1.2
TRAINING_BLOCKS = 60_000
TABLE_BLOCKS = 100_000
DOMAIN_BLOCKS = 3_000
SINGLE_BLOCKS = 200
DIFFERENCE_BOUND = 1e-6
SCENARIO = "C1"


def simulated_blocks(columns: Columns, rows: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Blocks of one hidden grade with noise enough that trees grow as large as they may."""
    r = np.random.default_rng(seed)
    grade = r.normal(size=rows)
    x = np.stack(
        [
            np.minimum(np.exp(3 + 0.7 * grade + r.normal(size=rows)), most_of(v.unit))
            if v.kind == "assay"
            else np.clip(np.round(2 + 0.6 * grade + 0.6 * r.normal(size=rows)), 1, 3)
            for v in columns.variables
        ],
        axis=1,
    )
    x[r.random(x.shape) < 0.02] = np.nan
    return x, (r.random(rows) < 1 / (1 + np.exp(-2 * grade))).astype(np.int64)


def classifiers() -> dict[str, Any]:
    forest = RandomForestClassifier(100, max_depth=10, n_jobs=2, random_state=0)
    return {
        "XGBoost, 100 trees, depth 6": xgboost.XGBClassifier(n_estimators=100, max_depth=6, n_jobs=2),
        "random forest, 100 trees, depth 10": make_pipeline(SimpleImputer(strategy="median"), forest),
    }


def write_table(path: Path, columns: Columns, values: NDArray[np.float64]) -> None:
    with path.open("w") as out:
        out.write(",".join(["block", *(v.column for v in columns.variables)]) + "\n")
        for i, row in enumerate(values.tolist()):
            cells = [
                "" if x != x else v.word(x) if v.kind == "class" else f"{x:.4g}"
                for v, x in zip(columns.variables, row, strict=True)
            ]
            out.write(f"b{i}," + ",".join(cells) + "\n")


def one_block_ms(bundle: OreBundle, values: NDArray[np.float64]) -> float:
    bundle.model.prepare()
    assert bundle.domain is not None
    beyond(bundle.domain, values[:1])
    taken = []
    for block in values:
        start = perf_counter()
        bundle.model.probabilities(block[None])
        bundle.model.contributions(block)
        beyond(bundle.domain, block[None])
        taken.append(1e3 * (perf_counter() - start))
    return median(taken[10:])


def main() -> bool:
    """Print the figures of both classifiers; True if they are within bounds."""
    scenario = read_scenario(SCENARIO)
    columns = read_columns().pick(scenario.variables)
    x, y = simulated_blocks(columns, TRAINING_BLOCKS, 0)
    fresh, _ = simulated_blocks(columns, TABLE_BLOCKS, 1)
    within = True
    print(f"ore or gangue on the device, scenario {SCENARIO}, trained on {TRAINING_BLOCKS:,} SIMULATED blocks")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "long.csv", columns, fresh)
        write_table(folder / "short.csv", columns, fresh[: TABLE_BLOCKS // 10])
        some = slice(0, DOMAIN_BLOCKS)
        domain = fit_ore_domain(
            columns.variables, x[some], np.repeat(np.arange(DOMAIN_BLOCKS // 100), 100), 0, fast=True
        )
        for what, classifier in classifiers().items():
            fitted = classifier.fit(x, y)
            made = convert(
                fitted, columns=columns, scenario=scenario, blocks=x, labels=y, threshold=0.4, costs=Costs(3, 2),
                simulated=True, domain=domain,
            )  # fmt: skip
            path = folder / "model.ore"
            write_ore_bundle(path, made)
            bundle = read_ore_bundle(path)
            difference = float(np.abs(bundle.model.probabilities(fresh) - fitted.predict_proba(fresh)[:, 1]).max())
            block_ms = one_block_ms(bundle, fresh[:SINGLE_BLOCKS])
            command = [sys.executable, "-m", "stibium.edge", "ore", "predict", "--model", str(path), "--format", "csv"]
            short = run_process([*command, str(folder / "short.csv")])
            long = run_process([*command, str(folder / "long.csv")])
            memory = long.peak_mb / short.peak_mb
            print(f"  {what} ({path.stat().st_size / 1e6:.1f} MB)")
            print(
                f"    one block with its contributions and joint domain, median of {SINGLE_BLOCKS}: {block_ms:.2f} ms (bound {BLOCK_MS})"
            )
            print(
                f"    {TABLE_BLOCKS:,} blocks, whole process: {long.wall_s:.1f} s (bound {TABLE_S}); memory"
                f" {long.peak_mb:.0f} MB, {memory:.2f} times that of {TABLE_BLOCKS // 10:,} (bound {MEMORY_LIMIT})"
            )
            print(
                f"    largest difference from the library's probability: {difference:.1e} (bound {DIFFERENCE_BOUND:g})"
            )
            within = within and block_ms <= BLOCK_MS and long.wall_s <= TABLE_S and memory <= MEMORY_LIMIT
            within = within and difference <= DIFFERENCE_BOUND
    return within


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
