"""Critical level and detection limit on real soils that a model has not seen, and on simulated errors.

Two thirds of a set go through what `stibium train --method stack --fast` does, the rest is held against its critical level
and detection limit, in ten splits. Beside it, errors are drawn for contents of a log-normal distribution, where the
blanks and the limit are known.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from collections.abc import Callable

import click
import numpy as np
from coverage import some
from soil_sets import SetUnavailableError, load
from stibium.edge.model.error_model import ErrorModel
from stibium.edge.model.target import inverse
from stibium.train.crossval.folds import paper_split
from stibium.train.detection import NEAR_LIMIT, TENTHS, fit_error_model
from stibium.train.methods.stack import Stack
from stibium.train.prepared import prepare
from stibium.train.training import TrainingOptions, train

FIRST_SEED = 42
ERRORS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "right on average": lambda x, rng: x + rng.normal(0, 5, x.size),
    "pulls to the mean": lambda x, rng: 20 + 0.6 * x + rng.normal(0, 5, x.size),
    "errors that grow": lambda x, rng: 30 + 0.6 * x + rng.normal(0, 1, x.size) * (15 + 0.2 * x),
    "heavy tails": lambda x, rng: 10 + 0.8 * x + rng.standard_t(3, x.size) * (4 + 0.1 * x),
    "knows nothing": lambda x, rng: 90 + rng.normal(0, 1, x.size),
}


@click.command(epilog="Example:  python benchmarks/detection.py --splits 2")
@click.option("--splits", default=10, show_default=True, type=click.IntRange(1, 100), help="Splits of the real soils.")
@click.option("--draws", default=30, show_default=True, type=click.IntRange(1, 1000), help="Sets of simulated errors.")
@click.option("--leave-one-out/--no-leave-one-out", default=True, help="Whether each sample is removed in turn, too.")
def main(splits: int, draws: int, leave_one_out: bool) -> None:
    """Print how often blanks are detected and contents at the limit missed, and how far one sample moves both."""
    print(
        "simulated errors: per cent of blanks detected, of samples at the detection limit missed; sets without a limit"
    )
    for name, read in ERRORS.items():
        print(f"  {name:<20}" + "".join(simulated(read, n, draws) for n in (40, 80, 170)), flush=True)
    try:
        (data,) = (one for one in load("Geeves") if one.element == "total carbon")
    except SetUnavailableError as error:
        print(f"skipped Geeves: {error}")
        return
    print("Geeves, total carbon in per cent, stack with its fast settings, a third left out")
    chances, seen, tenths, near, hidden = [], [], [], [], []
    for fold in paper_split(data.names, tuple(range(FIRST_SEED, FIRST_SEED + splits))).repeats:
        known, test = some(data, fold[0].training), fold[0].test
        trained = train(known, Stack(fast=True), TrainingOptions(baselines=False), curve=False)
        model, true = trained.error_model, data.measured[test]
        assert model is not None
        assert model.critical is not None
        rows = prepare(some(data, test).spectra, trained.recipe)
        answers = np.clip(inverse(trained.answer(rows.features), trained.transform), *trained.calibrated_range)
        detected = answers > model.critical
        said = np.nanmean(trained.out_of_fold, axis=0)
        print(f"  {levels(model)}; not detected {np.sum(~detected)} of {true.size}", end="", flush=True)
        if leave_one_out:
            print(f"; one sample moves them by at most {most_moved(model, said, trained.out_of_fold_measured)}", end="")
        print(flush=True)
        # The mean and spread say what soils of such content read; a normal error stands for the one that was found.
        mean, sd = (np.interp(true, model.content, curve) for curve in (model.mean, model.sd))
        chances.append([above(m, s, model.critical) for m, s in zip(mean, sd, strict=True)])
        seen.append(detected)
        tenths.append(np.argsort(np.argsort(true)) * TENTHS // true.size)
        hidden.append(np.mean(~detected))
        if model.limit is not None:
            near += (~detected[np.abs(true - model.limit) <= NEAR_LIMIT * model.limit]).tolist()
    chance, found, tenth = (np.concatenate(part) for part in (chances, seen, tenths))
    print(f"not detected, mean of splits: {100 * np.mean(hidden):.1f} % (at most 20 is wanted)")
    print("tenths of content, predicted and observed per cent detected: ", end="")
    print(
        ", ".join(f"{100 * chance[tenth == k].mean():.0f} {100 * found[tenth == k].mean():.0f}" for k in range(TENTHS))
    )
    print(
        f"of {len(near)} soils within a fifth of the limit {100 * np.mean(near):.1f} % are missed (5, give or take 5)"
    )


def above(mean: float, sd: float, level: float) -> float:
    from statistics import NormalDist

    return 1 - NormalDist(mean, sd).cdf(level)


def levels(model: ErrorModel) -> str:
    limit = "no limit" if model.limit is None else f"limit {model.limit:.3f}"
    check = model.check
    blanks = "" if check is None else f"; check: {100 * check.blanks_detected:.1f} % of blanks"
    return f"critical {model.critical:.3f}, {limit}{blanks}"


def most_moved(model: ErrorModel, said: np.ndarray, measured: np.ndarray) -> str:
    moved = []
    for left_out in range(said.size):
        found = fit_error_model(np.delete(said, left_out), np.delete(measured, left_out))
        assert found is not None
        for level, before in ((found.critical, model.critical), (found.limit, model.limit)):
            if before is not None:
                moved.append(np.inf if level is None else abs(level / before - 1))
    return f"{100 * max(moved):.1f} %"


def simulated(read: Callable[[np.ndarray, np.random.Generator], np.ndarray], n: int, draws: int) -> str:
    false, missed = [], []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        x = rng.lognormal(4, 1.2, n)
        found = fit_error_model(read(x, rng), x)
        assert found is not None
        assert found.critical is not None
        false.append(np.mean(read(np.zeros(2000), rng) > found.critical))
        if found.limit is not None:
            missed.append(np.mean(read(np.full(2000, found.limit), rng) <= found.critical))
    at_limit = f"{100 * np.mean(missed):5.1f}" if missed else "    -"
    return f"   {n:>4} samples: {100 * np.mean(false):5.1f} {at_limit} {draws - len(missed):>4}"


if __name__ == "__main__":
    main()
