"""`make bench-accuracy`: every method on real soils, two thirds to learn from and one third left out, several times."""

from __future__ import annotations

import os
import sys

# Before anything imports NumPy: one thread, as these matrices are small.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import json
import time

import click
from on_device import QUANTISATION, OnDevice
from soil_sets import SETS, SetUnavailableError, load
from stibium.converters.spectra.errors import StibiumError
from stibium.edge.runtime import runtime_name
from stibium.train.calibration_set import CalibrationSet
from stibium.train.folds import paper_split
from stibium.train.kept_fits import KeptFits, key_of
from stibium.train.methods_registry import BASELINES, METHODS
from stibium.train.validation import Progress, Validation, cross_validate

# Not the method's NumPy network: the exported file, as the device's runtime runs it.
MEASURED = {**METHODS, "default": OnDevice}
FIRST_SEED = 42
CLEARLY = 0.02
SUMMARY = "the same samples are left out for all methods"


@click.command(
    epilog="Example:  python benchmarks/accuracy.py --sets CV.98,Geeves --methods PLSR,SVR --splits 2 --fast"
)
@click.option("--sets", "sets", default=",".join(SETS), show_default=True, help="Sets of soils, with commas between.")
@click.option("--targets", default="", help="Only these targets, with commas between, such as clay,pH.")
@click.option("--methods", default=",".join(METHODS), show_default=True, help="Methods, with commas between.")
@click.option("--splits", default=5, show_default=True, type=click.IntRange(1, 100), help="Number of splits.")
@click.option(
    "--first-seed", default=FIRST_SEED, show_default=True, type=click.IntRange(0), help="random_state of the first."
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
    fast: bool,
    json_path: str | None,
    keep: str | None,
) -> None:
    """Print R2 of methods on real soils: mean and standard deviation over the splits, in the target's own unit.

    The default model answers as on a device: quantised, in this machine's TFLite runtime.
    """
    set_names, method_names = chosen(sets, SETS, "set"), chosen(methods, METHODS, "method")
    kept = KeptFits(keep)
    wanted = {target.strip().lower() for target in targets.split(",") if target.strip()}
    seeds = tuple(range(first_seed, first_seed + splits))
    states = f"random_state {seeds[0]}" + (f" to {seeds[-1]}" if splits > 1 else "")
    print(f"R2 on the third left out, mean ± standard deviation over {states}; {SUMMARY}")
    if "default" in method_names:
        print(f"default: as exported in {QUANTISATION} and run by {runtime_name()}")
    print(
        f"{'set':<8} {'target':<13}{'n':>4}  " + "".join(f" {name:<18}" for name in method_names) + "best", flush=True
    )
    start, results, skipped = time.monotonic(), [], []
    for set_name in set_names:
        try:
            data_sets = load(set_name)
        except SetUnavailableError as error:
            skipped.append(f"skipped {set_name}: {error}")
            continue
        for data in data_sets:
            if wanted and data.name.lower() not in wanted:
                continue
            validation = run(f"{set_name} {data.name}", data, method_names, seeds, fast, kept)
            print(f"{set_name:<8} {data.name:<13}{len(data):>4}  {cells(validation)}", flush=True)
            results.append((set_name, validation))
    print("\n".join([*skipped, *summary([v for _, v in results])]))
    seconds = {name: sum(v[name].seconds for _, v in results) for name in method_names}
    print(f"{time.monotonic() - start:.0f} s: " + ", ".join(f"{name} {taken:.0f} s" for name, taken in seconds.items()))
    if json_path is not None:
        with open(json_path, "w", encoding="utf-8") as file:
            json.dump([{"set": name, **v.to_dict()} for name, v in results], file)
    if not results:
        sys.exit(1)


def chosen(text: str, known: tuple[str, ...] | dict[str, object], what: str) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise click.UsageError(f"no {what} {', '.join(unknown) or 'named'}; there are {', '.join(known)}")
    return names


def run(
    label: str, data: CalibrationSet, names: list[str], seeds: tuple[int, ...], fast: bool, kept: KeptFits
) -> Validation:
    methods = [MEASURED[name](fast) for name in names]
    key = key_of(label, data, fast)

    def show(progress: Progress) -> None:
        kept.keep(key, seeds[progress.result.repeat], progress.result)
        if sys.stderr.isatty():
            left = "" if progress.done == progress.total else f", about {progress.remaining_s:.0f} s left"
            print(
                f"\r\033[K{label}: {progress.done} of {progress.total} fits{left}", end="", file=sys.stderr, flush=True
            )

    try:
        return cross_validate(
            methods, data, paper_split(data.samples, seeds), progress=show, known=kept.known(key, seeds)
        )
    finally:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def mean_r2(validation: Validation, name: str) -> float:
    mean = validation[name].metrics["r2"].mean
    assert mean is not None
    return mean


def cells(validation: Validation) -> str:
    texts = []
    for score in validation.scores:
        r2 = score.metrics["r2"]
        texts.append(f"{r2.mean:6.3f}" + ("" if r2.sd is None else f" ± {r2.sd:.3f}"))
    best = max(validation.scores, key=lambda score: mean_r2(validation, score.method)).method
    return "".join(f"{text:<19}" for text in texts) + best


def summary(validations: list[Validation]) -> list[str]:
    """Hold what is no baseline against the best baseline of each set and target."""
    lines = []
    names = [score.method for score in validations[0].scores] if validations else []
    baselines = [name for name in names if name in BASELINES]
    for name in names:
        if name in BASELINES or not baselines:
            continue
        gains = [mean_r2(v, name) - max(mean_r2(v, baseline) for baseline in baselines) for v in validations]
        lines.append(
            f"{name}: at or above the best of {', '.join(baselines)} on {sum(g >= 0 for g in gains)} of {len(gains)}, "
            f"{CLEARLY:g} or more above on {sum(g >= CLEARLY for g in gains)}; "
            f"mean difference {sum(gains) / len(gains):+.3f}, worst {min(gains):+.3f}"
        )
    return lines


if __name__ == "__main__":
    try:
        main()
    except StibiumError as error:
        sys.exit(f"accuracy.py: {error}")
