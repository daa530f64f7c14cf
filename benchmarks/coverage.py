"""Intervals around a method's answers on real soils, as `stibium train --fast` makes them, beside PLSR's.

Two thirds of a set go through what `stibium train --method METHOD --fast` does: a cross-validation, the model on all of them, intervals
from what was said of left-out samples, wider with T2, Q and level. The others are held against their intervals. Beside it
a split-conformal PLSR, equally wide everywhere.
"""

from __future__ import annotations

import os
import sys

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import click
import numpy as np
from soil_sets import SETS, SetUnavailableError, load
from stibium.edge.model.applicability import assess
from stibium.edge.model.interval import IntervalStats, interval
from stibium.edge.model.target import forward, inverse
from stibium.train.applicability import fit_interval
from stibium.train.crossval.folds import paper_split, repeated_folds
from stibium.train.crossval.rows import TrainingRows
from stibium.train.crossval.validation import cross_validate
from stibium.train.methods.baselines import PartialLeastSquares
from stibium.train.methods.mobilenetv2 import MobileNetV2
from stibium.train.methods.registry import DEVICE_METHODS
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


class Held(NamedTuple):
    """Whether each value is inside, each width over the standard deviation of the known values, and in which tenth of
    the estimates and of the true values each is.
    """

    inside: np.ndarray
    width: np.ndarray
    of_estimates: np.ndarray
    of_values: np.ndarray


def held(low: np.ndarray, high: np.ndarray, true: np.ndarray, known: np.ndarray, answers: np.ndarray) -> Held:
    # Beyond the calibrated range an answer is a bound, and a true value there is what it says.
    value = np.clip(true, known.min(), known.max())
    inside = (low <= value) & (value <= high)
    return Held(inside, (high - low) / known.std(), tenths(answers), tenths(true))


def tenths(values: np.ndarray) -> np.ndarray:
    """Which tenth of them each is in, from 0 up."""
    return np.argsort(np.argsort(values, kind="stable")) * 10 // values.size


def of_method(key: str, data: Samples, training: np.ndarray, test: np.ndarray) -> Held:
    method = DEVICE_METHODS[key](fast=True)
    trained = train(some(data, training), method, TrainingOptions(baselines=False), curve=False)
    assert trained.interval is not None
    rows = prepare(some(data, test).spectra, trained.recipe)
    judged = assess(rows, trained.domain)
    t2, q = (np.array([getattr(j, name) for j in judged], dtype=float) for name in ("t2_over_limit", "q_over_limit"))
    return ends(trained.answer(rows.features), trained.interval, trained.transform, t2, q, data, training, test)


def of_plsr(data: Samples, training: np.ndarray, test: np.ndarray) -> Held:
    known = some(data, training)
    method = PartialLeastSquares(True)
    folds = repeated_folds(known.names, repeats=1)
    said = np.array(cross_validate([method], known, folds)[method.name].predicted[0], dtype=float)
    stats = fit_interval(said, known.measured, None, known.names)
    assert stats is not None
    answers = method.fit(TrainingRows(known.reflectance, known.wavelengths_nm, known.measured)).predict(
        data.reflectance[test]
    )
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
) -> Held:
    known = data.measured[training]
    # As on the device.
    within = np.clip(answers, *forward(np.array([known.min(), known.max()]), transform))
    low, high = (np.clip(inverse(end, transform), known.min(), known.max()) for end in interval(within, stats, t2, q))
    return held(low, high, data.measured[test], known, answers)


@click.command(epilog="Example:  python benchmarks/coverage.py --sets CV.98 --splits 2")
@click.option("--sets", default=",".join(SETS), show_default=True, help="Sets of soils, with commas between.")
@click.option("--splits", default=5, show_default=True, type=click.IntRange(1, 100), help="Number of splits.")
@click.option(
    "--method",
    default=MobileNetV2.key,
    show_default=True,
    type=click.Choice(sorted(DEVICE_METHODS)),
    help="Of `train`.",
)
def main(sets: str, splits: int, method: str) -> None:
    """Print coverage and mean width of 90 % intervals on the third of each set that was left out."""
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + splits))
    print(f"{COVERAGE:g} % intervals, left-out soils: coverage in per cent, mean width over the standard deviation")
    print(f"{'set':<8} {'target':<13}{f'{method}, fast':>20}{'PLSR, equally wide':>22}", flush=True)
    all_held: dict[str, list[Held]] = {method: [], "PLSR": []}
    widths: dict[str, list[float]] = {method: [], "PLSR": []}
    for set_name in sets.split(","):
        try:
            data_sets = load(set_name)
        except SetUnavailableError as error:
            print(f"skipped {set_name}: {error}")
            continue
        for data in data_sets:
            cells = ""
            for name, make, wide in ((method, partial(of_method, method), 20), ("PLSR", of_plsr, 22)):
                found = [
                    make(data, repeat[0].training, repeat[0].test) for repeat in paper_split(data.names, seeds).repeats
                ]
                covered, width = (np.concatenate([getattr(one, part) for one in found]) for part in ("inside", "width"))
                all_held[name] += found
                widths[name].append(float(width.mean()))
                cells += f"{100 * covered.mean():>{wide - 7}.1f}{width.mean():>7.2f}"
            print(f"{set_name:<8} {data.element:<13}{cells}", flush=True)
    if not widths[method]:
        sys.exit(1)
    overall = {name: 100 * float(np.concatenate([p.inside for p in parts]).mean()) for name, parts in all_held.items()}
    cells = "".join(
        f"{overall[name]:>{wide - 7}.1f}{np.mean(widths[name]):>7.2f}" for name, wide in ((method, 20), ("PLSR", 22))
    )
    print(f"{'all':<22}{cells}")
    for name, parts in all_held.items():
        for what, part in (("of the estimates", "of_estimates"), ("of the true values", "of_values")):
            inside, tenth = (np.concatenate([getattr(one, key) for one in parts]) for key in ("inside", part))
            shares = " ".join(f"{100 * inside[tenth == k].mean():.1f}" for k in range(10))
            print(f"{name}, tenths {what}: {shares}")
    sys.exit(0 if abs(overall[method] - COVERAGE) <= BOUND else 1)


if __name__ == "__main__":
    main()
