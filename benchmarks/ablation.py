"""`python benchmarks/ablation.py`: what each part of the default model is worth on real soils, one changed at a time.

Of the stack, or with `--student` of the MobileNetV2 that it teaches.
"""

from __future__ import annotations

import os
import sys

# Before anything imports NumPy: one thread, as these matrices are small.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time
from collections.abc import Callable
from dataclasses import replace

import click
import numpy as np
from comparison import chosen, run
from mobilenet_branch import WithMobileNet
from soil_sets import LIMESODA, SETS, SetUnavailableError, load
from stibium.converters.spectra.errors import StibiumError
from stibium.train.crossval.cache import KeptFits
from stibium.train.crossval.validation import Validation
from stibium.train.methods.stack import VARIANTS, Config, Stack
from student_parts import STUDENT, STUDENT_CHANGES

AS_IT_IS = "as it is"
WITH_MOBILENET = "MobileNetV2 learns the rest"
CONFIG = Config()


def changed(name: str, **values: object) -> Callable[[], Stack]:
    """Make the default model with some of its configuration changed."""
    # A method's name is its class's, and what keeps fits goes by it.
    kind = type("ChangedStack", (Stack,), {"name": name})
    return lambda: kind(config=replace(CONFIG, **values))  # type: ignore[arg-type]


def one_view(index: int) -> dict[str, object]:
    return {"variants": (VARIANTS[index],), "variants_of_many": (VARIANTS[index],)}


CHANGES: dict[str, Callable[[], Stack]] = {
    AS_IT_IS: changed(AS_IT_IS),
    "first derivative of SNV only": changed("first derivative of SNV only", **one_view(1)),
    "smoothed SNV only": changed("smoothed SNV only", **one_view(2)),
    "second derivative only": changed("second derivative only", **one_view(5)),
    "best setting for mean of three": changed("best setting for mean of three", averaged=1),
    "scores as they are only": changed("scores as they are only", powers=(0.0,)),
    "prior all support vectors": changed("prior all support vectors", linear_share=0.0),
    "prior all PLSR": changed("prior all PLSR", linear_share=1.0),
    "stack free of its prior": changed("stack free of its prior", prior_rows=0.0),
    "stack bound to its prior": changed("stack bound to its prior", prior_rows=1e6),
    "target as it is": changed("target as it is", transforms=("none",)),
    "target's logarithm only": changed("target's logarithm only", transforms=("log10",)),
    WITH_MOBILENET: lambda: WithMobileNet(name=WITH_MOBILENET),
}
SMALL = tuple(name for name in LIMESODA if name != "SSP.460")


@click.command(epilog="Example:  python benchmarks/ablation.py --sets CV.98 --splits 2")
@click.option("--sets", "sets", default=",".join(SMALL), show_default=True, help="Sets of soils, with commas between.")
@click.option("--targets", default="", help="Only these targets, with commas between, such as clay,pH.")
@click.option("--changes", help="Changes to try, with commas between; all unless named.")
@click.option("--student", is_flag=True, help="Parts of the MobileNetV2 that the stack teaches instead of the stack's.")
@click.option("--splits", default=2, show_default=True, type=click.IntRange(1, 100), help="Number of splits.")
@click.option(
    "--first-seed", default=52, show_default=True, type=click.IntRange(0), help="random_state of the first split."
)
@click.option(
    "--keep", type=click.Path(dir_okay=False), help="Keep every fit in this file, and take from it what is there."
)
def main(
    sets: str, targets: str, changes: str | None, student: bool, splits: int, first_seed: int, keep: str | None
) -> None:
    """Print by how much R2 on the third left out changes with each part of the default model, not quantised."""
    known, as_it_is = (STUDENT_CHANGES, STUDENT) if student else (CHANGES, AS_IT_IS)
    names = list(dict.fromkeys([as_it_is, *chosen(changes or ",".join(known), known, "change")]))
    wanted = {target.strip().lower() for target in targets.split(",") if target.strip()}
    kept, seeds, start = KeptFits(keep), tuple(range(first_seed, first_seed + splits)), time.monotonic()
    found: dict[str, Validation] = {}
    for set_name in chosen(sets, SETS, "set"):
        try:
            data_sets = load(set_name)
        except SetUnavailableError as error:
            print(f"skipped {set_name}: {error}")
            continue
        for data in data_sets:
            if wanted and data.element.lower() not in wanted:
                continue
            label = f"{set_name} {data.element}"
            found[label] = run(label, data, [known[name]() for name in names], seeds, False, kept)
    if not found:
        sys.exit(1)
    states = f"{seeds[0]} to {seeds[-1]}" if splits > 1 else f"{seeds[0]}"
    print(f"R2 on the third left out, random_state {states}: mean over {len(found)} sets and targets")
    print(f"({', '.join(found)})")
    print(f"\n{'change':<32}{'R2':>7}{'difference':>12}{'std. error':>12}{'better on':>12}")
    base = r2(found, as_it_is)
    for name in names:
        values = r2(found, name)
        if name == as_it_is:
            print(f"{name:<32}{values.mean():7.3f}")
            continue
        gains = values - base
        error = gains.std(ddof=1) / np.sqrt(gains.size) if gains.size > 1 else float("nan")
        better = f"{int(np.sum(gains > 0))} of {gains.size}"
        print(f"{name:<32}{values.mean():7.3f}{gains.mean():+12.3f}{error:12.3f}{better:>12}")
    shares = [
        float(words.rsplit(" ", 1)[1])
        for validation in found.values()
        if WITH_MOBILENET in names
        for choices in validation[WITH_MOBILENET].chosen
        for words in choices
    ]
    if shares:
        print(f"\nThe inner folds gave the MobileNetV2 a share of {np.mean(shares):.2f} on average (0 to 1).")
    print(f"{time.monotonic() - start:.0f} s")


def r2(found: dict[str, Validation], name: str) -> np.ndarray:
    """Give (sets and targets,) mean R2 over the splits."""
    means = [validation[name].metrics["r2"].mean for validation in found.values()]
    return np.array([mean for mean in means if mean is not None])


if __name__ == "__main__":
    try:
        main()
    except StibiumError as error:
        sys.exit(f"ablation.py: {error}")
