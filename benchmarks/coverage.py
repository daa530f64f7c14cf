"""Intervals of the default model on real soils it has not seen, as `stibium train --fast` makes them, beside PLSR's.

Two thirds of a set go through what `stibium train --fast` does: a cross-validation, the model on all of them, intervals
from what was said of left-out samples, wider with T2, Q and level. The others are held against their intervals. Beside it
a split-conformal PLSR, equally wide everywhere.
"""

from __future__ import annotations

import os
import sys

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from dataclasses import replace

import click
import numpy as np
from soil_sets import SETS, SetUnavailableError, load
from stibium.edge.model.applicability import assess
from stibium.edge.model.interval import IntervalStats, interval
from stibium.edge.model.target import inverse
from stibium.train.applicability import fit_interval
from stibium.train.crossval.folds import paper_split, repeated_folds
from stibium.train.crossval.validation import cross_validate
from stibium.train.methods.baselines import PartialLeastSquares
from stibium.train.methods.stack import Stack
from stibium.train.prepared import prepare
from stibium.train.samples import Samples
from stibium.train.training import TrainingOptions, train

COVERAGE, BOUND = 90.0, 3.0
FIRST_SEED = 42


def some(data: Samples, rows: np.ndarray) -> Samples:
    return replace(
        data,
        spectra=tuple(data.spectra[row] for row in rows),
        target={data.names[r]: float(data.measured[r]) for r in rows},
    )


def held(low: np.ndarray, high: np.ndarray, true: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each value is inside, and each width over the standard deviation of the known values."""
    # Beyond the calibrated range an answer is a bound, and a true value there is what it says.
    value = np.clip(true, known.min(), known.max())
    return (low <= value) & (value <= high), (high - low) / known.std()


def of_default(data: Samples, training: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    trained = train(some(data, training), Stack(fast=True), TrainingOptions(baselines=False), curve=False)
    assert trained.interval is not None
    rows = prepare(some(data, test).spectra, trained.recipe)
    judged = assess(rows, trained.domain)
    t2, q = (np.array([getattr(j, name) for j in judged], dtype=float) for name in ("t2_over_limit", "q_over_limit"))
    return ends(trained.answer(rows.features), trained.interval, trained.transform, t2, q, data, training, test)


def of_plsr(data: Samples, training: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = some(data, training)
    method = PartialLeastSquares(True)
    folds = repeated_folds(known.names, repeats=1)
    said = np.array(cross_validate([method], known, folds)[method.name].predicted[0], dtype=float)
    stats = fit_interval(said, known.measured, None, known.names)
    assert stats is not None
    answers = method.fit(known.reflectance, known.wavelengths_nm, known.measured).predict(data.reflectance[test])
    nowhere = np.ones(len(test))
    return ends(answers, stats, "none", nowhere, nowhere, data, training, test)


def ends(
    answers: np.ndarray,
    stats: IntervalStats,
    transform,
    t2: np.ndarray,
    q: np.ndarray,
    data: Samples,
    training: np.ndarray,
    test: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    known = data.measured[training]
    low, high = (np.clip(inverse(end, transform), known.min(), known.max()) for end in interval(answers, stats, t2, q))
    return held(low, high, data.measured[test], known)


@click.command(epilog="Example:  python benchmarks/coverage.py --sets CV.98 --splits 2")
@click.option("--sets", default=",".join(SETS), show_default=True, help="Sets of soils, with commas between.")
@click.option("--splits", default=5, show_default=True, type=click.IntRange(1, 100), help="Number of splits.")
def main(sets: str, splits: int) -> None:
    """Print coverage and mean width of 90 % intervals on the third of each set that was left out."""
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + splits))
    print(f"{COVERAGE:g} % intervals, left-out soils: coverage in per cent, mean width over the standard deviation")
    print(f"{'set':<8} {'target':<13}{'default, fast':>20}{'PLSR, equally wide':>22}", flush=True)
    inside: dict[str, list[np.ndarray]] = {"default": [], "PLSR": []}
    widths: dict[str, list[float]] = {"default": [], "PLSR": []}
    for set_name in sets.split(","):
        try:
            data_sets = load(set_name)
        except SetUnavailableError as error:
            print(f"skipped {set_name}: {error}")
            continue
        for data in data_sets:
            cells = ""
            for name, make, wide in (("default", of_default, 20), ("PLSR", of_plsr, 22)):
                found = [
                    make(data, repeat[0].training, repeat[0].test) for repeat in paper_split(data.names, seeds).repeats
                ]
                covered, width = (np.concatenate(part) for part in zip(*found, strict=True))
                inside[name].append(covered)
                widths[name].append(float(width.mean()))
                cells += f"{100 * covered.mean():>{wide - 7}.1f}{width.mean():>7.2f}"
            print(f"{set_name:<8} {data.element:<13}{cells}", flush=True)
    if not widths["default"]:
        sys.exit(1)
    overall = {name: 100 * float(np.concatenate(parts).mean()) for name, parts in inside.items()}
    cells = "".join(
        f"{overall[name]:>{wide - 7}.1f}{np.mean(widths[name]):>7.2f}" for name, wide in (("default", 20), ("PLSR", 22))
    )
    print(f"{'all':<22}{cells}")
    sys.exit(0 if abs(overall["default"] - COVERAGE) <= BOUND else 1)


if __name__ == "__main__":
    main()
