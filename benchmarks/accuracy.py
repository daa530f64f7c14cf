"""`make bench-accuracy`: every method on real soils, two thirds to learn from and one third left out, several times."""

from __future__ import annotations

import os
import sys

# Before anything imports NumPy: one thread, as these matrices are small.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import click
import numpy as np
from comparison import chosen, expected, run
from numpy.typing import NDArray
from on_device import QUANTISATION, OnDevice
from soil_sets import SETS, SetUnavailableError, load
from stibium.converters.spectra.errors import StibiumError
from stibium.converters.spectra.spectrum import Floats
from stibium.edge.model.runtime import runtime_name
from stibium.train.crossval.cache import KeptFits
from stibium.train.crossval.folds import paper_split
from stibium.train.crossval.validation import Validation
from stibium.train.methods.further_baselines import FURTHER_BASELINES
from stibium.train.methods.registry import ALL_BASELINES, BASELINES, METHODS
from stibium.train.methods.stack import Stack
from stibium.train.samples import Samples

# Not the stack's NumPy network: the exported file, as the device's runtime runs it. The MobileNetV2 is by itself.
MEASURED = {**METHODS, Stack.name: OnDevice}
USUAL = tuple(name for name in METHODS if name not in FURTHER_BASELINES or name in ALL_BASELINES)
FIRST_SEED = 42
SPLITS = 10
DEVELOPMENT = range(42, 47)
"""Splits whose results were seen while stack and MobileNetV2 were designed; none of its choices was made on others."""
CLEARLY = 0.02
Bools = NDArray[np.bool_]
SUMMARY = "the same samples are left out for all methods"


@click.command(
    epilog="Example:  python benchmarks/accuracy.py --sets CV.98,Geeves --methods PLSR,SVR --splits 2 --fast"
)
@click.option("--sets", "sets", default=",".join(SETS), show_default=True, help="Sets of soils, with commas between.")
@click.option("--targets", default="", help="Only these targets, with commas between, such as clay,pH.")
@click.option("--methods", default=",".join(USUAL), show_default=True, help="Methods, with commas between.")
@click.option("--splits", default=SPLITS, show_default=True, type=click.IntRange(1, 100), help="Number of splits.")
@click.option(
    "--first-seed", default=FIRST_SEED, show_default=True, type=click.IntRange(0), help="random_state of the first."
)
@click.option(
    "--jobs", default=os.cpu_count() or 1, show_default="processors", type=click.IntRange(1), help="Processes."
)
@click.option("--fast", is_flag=True, help="Smaller grids of hyperparameters and fewer epochs.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write predictions and choices to this file."
)
@click.option(
    "--keep", type=click.Path(dir_okay=False), help="Keep every fit in this file, and take from it what is there."
)
def main(
    sets: str,
    targets: str,
    methods: str,
    splits: int,
    first_seed: int,
    jobs: int,
    fast: bool,
    json_path: str | None,
    keep: str | None,
) -> None:
    """Print R2 of methods on real soils: mean and standard deviation over the splits, in the target's own unit.

    MobileNetV2 and stack answer as on a device: quantised, in this machine's TFLite runtime.
    """
    set_names, method_names = chosen(sets, SETS, "set"), chosen(methods, METHODS, "method")
    kept = KeptFits(keep)
    wanted = {target.strip().lower() for target in targets.split(",") if target.strip()}
    seeds = tuple(range(first_seed, first_seed + splits))
    states = f"random_state {seeds[0]}" + (f" to {seeds[-1]}" if splits > 1 else "")
    print(f"R2 on the third left out, mean ± standard deviation over {states}; {SUMMARY}")
    print(f"MobileNetV2 as quantised, stack as exported in {QUANTISATION}, both run by {runtime_name()}")
    print(
        f"{'set':<8} {'target':<13}{'n':>4}  " + "".join(f" {name:<18}" for name in method_names) + "best", flush=True
    )
    start, results, skipped, tasks = time.monotonic(), [], [], []
    for set_name in set_names:
        try:
            data_sets = load(set_name)
        except SetUnavailableError as error:
            skipped.append(f"skipped {set_name}: {error}")
            continue
        tasks += [(set_name, data) for data in data_sets if not wanted or data.element.lower() in wanted]
    plans = [(f"{name} {data.element}", data, paper_split(data.names, seeds)) for name, data in tasks]
    print(expected(plans, method_names, fast, kept, seeds), file=sys.stderr, flush=True)
    for (set_name, data), validation in zip(
        tasks, in_processes(jobs, tasks, method_names, seeds, fast, kept), strict=True
    ):
        print(f"{set_name:<8} {data.element:<13}{len(data):>4}  {cells(validation)}", flush=True)
        results.append((set_name, validation))
    print("\n".join([*skipped, *summary([v for _, v in results], seeds)]))
    seconds = {name: sum(v[name].seconds for _, v in results) for name in method_names}
    print(f"{time.monotonic() - start:.0f} s: " + ", ".join(f"{name} {taken:.0f} s" for name, taken in seconds.items()))
    if json_path is not None:
        with open(json_path, "w", encoding="utf-8") as file:
            json.dump([{"set": name, **v.to_dict()} for name, v in results], file)
    if not results:
        sys.exit(1)


def in_processes(
    jobs: int,
    tasks: Sequence[tuple[str, Samples]],
    methods: Sequence[str],
    seeds: tuple[int, ...],
    fast: bool,
    kept: KeptFits,
) -> Iterator[Validation]:
    """Compare on each set and target, in their order."""
    todo = [(f"{set_name} {data.element}", data, tuple(methods), seeds, fast, kept) for set_name, data in tasks]
    if jobs == 1 or len(todo) < 2:
        yield from map(compare, todo)
        return
    # Not forked: threads of TensorFlow do not survive that.
    with ProcessPoolExecutor(min(jobs, len(todo)), get_context("spawn")) as pool:
        for done, validation in enumerate(pool.map(compare, todo), 1):
            if sys.stderr.isatty():
                print(f"\r\033[K{done} of {len(todo)} sets and targets\r", end="", file=sys.stderr, flush=True)
            yield validation


def compare(task: tuple[str, Samples, tuple[str, ...], tuple[int, ...], bool, KeptFits]) -> Validation:
    label, data, methods, seeds, fast, kept = task
    return run(label, data, [MEASURED[name](fast) for name in methods], seeds, fast, kept)


def r2_of(validation: Validation, name: str) -> Floats:
    """Give (splits,) R2."""
    return np.array(validation[name].metrics["r2"].values, dtype=np.float64)


def cells(validation: Validation) -> str:
    texts = []
    for score in validation.scores:
        r2 = score.metrics["r2"]
        texts.append(f"{r2.mean:6.3f}" + ("" if r2.sd is None else f" ± {r2.sd:.3f}"))
    best = max(validation.scores, key=lambda score: r2_of(validation, score.method).mean()).method
    return "".join(f"{text:<19}" for text in texts) + best


def summary(validations: list[Validation], seeds: tuple[int, ...]) -> list[str]:
    """Hold what is no baseline against the best baseline of each set and target."""
    names = [score.method for score in validations[0].scores] if validations else []
    sets_of_baselines = [[name for name in names if name in of] for of in (BASELINES, ALL_BASELINES)]
    if len(sets_of_baselines[0]) == len(sets_of_baselines[1]):
        sets_of_baselines.pop()
    used = np.isin(seeds, DEVELOPMENT)
    parts = [("", np.ones(len(seeds), dtype=bool))]
    if used.any() and not used.all():
        parts += [(", on the splits of development", used), (", on the other splits", ~used)]
    return [
        held_against(validations, name, baselines, where, chosen_splits)
        for name in names
        if name not in ALL_BASELINES
        for baselines in sets_of_baselines
        if baselines
        for where, chosen_splits in parts
    ]


def held_against(validations: list[Validation], name: str, baselines: list[str], where: str, splits: Bools) -> str:
    gains = [
        r2_of(v, name)[splits].mean() - max(r2_of(v, baseline)[splits].mean() for baseline in baselines)
        for v in validations
    ]
    single = np.concatenate(
        [r2_of(v, name)[splits] - np.max([r2_of(v, b)[splits] for b in baselines], axis=0) for v in validations]
    )
    return (
        f"{name}{where}: at or above the best of {', '.join(baselines)} on {sum(g >= 0 for g in gains)} of "
        f"{len(gains)}, {CLEARLY:g} or more above on {sum(g >= CLEARLY for g in gains)}; "
        f"mean difference {sum(gains) / len(gains):+.3f}, worst {min(gains):+.3f}; "
        f"on {np.mean(single >= 0):.0%} of {single.size} single splits"
    )


if __name__ == "__main__":
    try:
        main()
    except StibiumError as error:
        sys.exit(f"accuracy.py: {error}")
