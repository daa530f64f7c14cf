"""`make bench-accuracy`, second part: models beside the published ones of LimeSoDa, on the very folds of these."""

from __future__ import annotations

import os
import sys

# Before anything imports NumPy: one thread, as these matrices are small.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import click
import numpy as np
from accuracy import MEASURED
from comparison import chosen, expected, run_plan
from soil_sets import SetUnavailableError, limesoda, limesoda_folds
from stibium.converters.spectra.errors import StibiumError
from stibium.edge.model.runtime import runtime_name
from stibium.train.crossval.cache import KeptFits
from stibium.train.crossval.folds import Fold, Folds
from stibium.train.crossval.validation import Validation
from stibium.train.methods.mobilenetv2 import MobileNetV2
from stibium.train.samples import Samples

PUBLISHED = {
    ("CV.98", "clay"): (0.881, "SVR"),
    ("CV.98", "carbon"): (0.708, "SVR"),
    ("CV.98", "pH"): (0.585, "CatBoost"),
    ("MG.44", "clay"): (0.763, "MLR"),
    ("MG.44", "carbon"): (0.372, "CatBoost"),
    ("MG.44", "pH"): (0.636, "MLR"),
    ("SC.93", "clay"): (0.422, "MLR"),
    ("SC.93", "carbon"): (0.215, "random forest"),
    ("SC.93", "pH"): (0.004, "SVR"),
    ("SL.125", "clay"): (0.923, "SVR"),
    ("SL.125", "carbon"): (0.722, "SVR"),
    ("SL.125", "pH"): (0.801, "SVR"),
    ("SP.231", "clay"): (0.483, "CatBoost"),
    ("SP.231", "carbon"): (0.658, "random forest"),
    ("SP.231", "pH"): (0.768, "SVR"),
    ("SSP.58", "clay"): (0.299, "CatBoost"),
    ("SSP.58", "carbon"): (0.606, "MLR"),
    ("SSP.58", "pH"): (0.440, "MLR"),
    ("UL.120", "clay"): (0.647, "CatBoost"),
    ("UL.120", "carbon"): (0.728, "CatBoost"),
    ("UL.120", "pH"): (0.592, "MLR"),
}
"""The best of MLR, SVR, CatBoost and random forest in Schmidinger et al. 2025 (arXiv:2502.20139), R2 of all ten folds'
predictions together. Their models of SL.125 and UL.120 saw the soil's apparent conductivity as well."""
FINAL = ("MG.44", "SP.231", "SSP.58")
"""Never used in development: run when nothing more is chosen."""
DEVELOPMENT = tuple(dict.fromkeys(name for name, _ in PUBLISHED if name not in FINAL))
KINDS = {"clay": "clay", "soc": "carbon", "som": "carbon", "ph": "pH"}


@click.command(epilog="Example:  python benchmarks/published_folds.py --sets CV.98 --fast --keep fits.jsonl")
@click.option(
    "--sets",
    default=",".join(DEVELOPMENT),
    show_default=True,
    help=f"Sets of soils, with commas between. {', '.join(FINAL)} are for a last run, as they stay unseen until then.",
)
@click.option("--targets", default="", help="Only these targets, with commas between, such as clay,pH.")
@click.option("--methods", default=MobileNetV2.name, show_default=True, help="Methods, with commas between.")
@click.option(
    "--jobs", default=os.cpu_count() or 1, show_default="processors", type=click.IntRange(1), help="Processes."
)
@click.option("--fast", is_flag=True, help="Smaller grids of hyperparameters and fewer steps.")
@click.option(
    "--keep", type=click.Path(dir_okay=False), help="Keep every fit in this file, and take from it what is there."
)
def main(sets: str, targets: str, methods: str, jobs: int, fast: bool, keep: str | None) -> None:
    """Print pooled R2 on LimeSoDa's own ten outer folds, spectra alone, beside the best that is published on them.

    MobileNetV2 and stack answer as on a device: quantised, in this machine's TFLite runtime.
    """
    set_names = chosen(sets, [*DEVELOPMENT, *FINAL], "set")
    names = chosen(methods, MEASURED, "method")
    kept = KeptFits(keep)
    wanted = {target.strip().lower() for target in targets.split(",") if target.strip()}
    tasks, skipped = [], []
    for set_name in set_names:
        try:
            folds = limesoda_folds(set_name)
            data_sets = [data for data in limesoda(set_name) if not wanted or data.element.lower() in wanted]
        except SetUnavailableError as error:
            skipped.append(f"skipped {set_name}: {error}")
            continue
        tasks += [(set_name, data, plan(folds, data), tuple(names), fast, kept) for data in data_sets]
    setting = ", fast settings" if fast else ""
    print(f"R2 of all predictions of LimeSoDa's ten outer folds together, spectra alone{setting}; {runtime_name()}")
    print(expected([(label(task), task[1], task[2]) for task in tasks], names, fast, kept))
    print(f"{'set':<8} {'target':<8}{'n':>4}  {'published best':<22}" + "".join(f"{n:<18}" for n in names), flush=True)
    start, gains = time.monotonic(), {name: [] for name in names}
    for (set_name, data, *_), validation in zip(tasks, in_processes(jobs, tasks), strict=True):
        best, method = PUBLISHED[set_name, KINDS[data.element.lower()]]
        found = [validation[name].metrics["r2"].values[0] or 0.0 for name in names]
        cells = "".join(f"{f'{r2:.3f} ({r2 - best:+.3f})':<18}" for r2 in found)
        print(f"{set_name:<8} {data.element:<8}{len(data):>4}  {f'{best:.3f} {method}':<22}{cells}", flush=True)
        for name, r2 in zip(names, found, strict=True):
            gains[name].append(r2 - best)
    print("\n".join(skipped), end="\n" if skipped else "")
    for name, differences in gains.items():
        if differences:
            print(
                f"{name}: at or above the best published on {sum(g >= 0 for g in differences)} of {len(differences)}; "
                f"mean difference {np.mean(differences):+.3f}, worst {min(differences):+.3f}"
            )
    print(f"{time.monotonic() - start:.0f} s")
    if not tasks:
        sys.exit(1)


def plan(numbers: np.ndarray, data: Samples) -> Folds:
    """Make LimeSoDa's fold numbers (n,) a plan: fold by fold, predicted from the nine others."""
    folds = tuple(Fold(np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in np.unique(numbers))
    return Folds("LimeSoDa's ten outer folds", (folds,), len(data), data.names, 0)


def label(task: tuple[str, Samples, Folds, tuple[str, ...], bool, KeptFits]) -> str:
    return f"published folds {task[0]} {task[1].element}"


def compare(task: tuple[str, Samples, Folds, tuple[str, ...], bool, KeptFits]) -> Validation:
    _, data, folds, names, fast, kept = task
    return run_plan(label(task), data, [MEASURED[name](fast) for name in names], folds, fast, kept)


def in_processes(jobs: int, tasks: list[tuple[str, Samples, Folds, tuple[str, ...], bool, KeptFits]]):  # type: ignore[no-untyped-def]
    """Compare on each set and target, in their order."""
    if jobs == 1 or len(tasks) < 2:
        yield from map(compare, tasks)
        return
    with ProcessPoolExecutor(min(jobs, len(tasks)), get_context("spawn")) as pool:
        yield from pool.map(compare, tasks)


if __name__ == "__main__":
    try:
        main()
    except StibiumError as error:
        sys.exit(f"published_folds.py: {error}")
