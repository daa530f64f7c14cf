"""`python benchmarks/disturbed.py`: what an instrument's faults cost methods on real soils, R2 on the third left out."""

from __future__ import annotations

import os
import sys

# Before anything imports NumPy: one thread, as these matrices are small.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time

import click
import numpy as np
from accuracy import MEASURED
from comparison import chosen
from soil_sets import LIMESODA, SETS, SetUnavailableError, load
from stibium.converters.spectra.errors import StibiumError
from stibium.edge.model.runtime import runtime_name
from stibium.train.crossval.folds import paper_split
from stibium.train.crossval.metrics import measure
from stibium.train.crossval.rows import TrainingRows
from stibium.train.methods.faults import FAULTS, with_faults
from stibium.train.methods.mobilenetv2 import MobileNetV2

SMALL = tuple(name for name in LIMESODA if name != "SSP.460")


@click.command(epilog="Example:  python benchmarks/disturbed.py --sets CV.98 --targets pH --methods SVR,MobileNetV2")
@click.option("--sets", default=",".join(SMALL), show_default=True, help="Sets of soils, with commas between.")
@click.option("--targets", default="", help="Only these targets, with commas between, such as clay,pH.")
@click.option("--methods", default=f"PLSR,SVR,{MobileNetV2.name}", show_default=True, help="Methods, likewise.")
@click.option("--first-seed", default=52, show_default=True, type=click.IntRange(0), help="random_state of the split.")
@click.option("--fast", is_flag=True, help="Smaller grids of hyperparameters and fewer steps.")
def main(sets: str, targets: str, methods: str, first_seed: int, fast: bool) -> None:
    """Fit methods to spectra as they are, and print R2 on left-out ones that are disturbed, one fault at a time.

    MobileNetV2 and stack answer as on a device: quantised, in this machine's TFLite runtime.
    """
    names = chosen(methods, MEASURED, "method")
    wanted = {target.strip().lower() for target in targets.split(",") if target.strip()}
    setting = ", fast settings" if fast else ""
    print(f"R2 on the third left out, random_state {first_seed}{setting}; {runtime_name()}")
    print(
        f"{'set':<8} {'target':<13}{'method':<16}" + "".join(f"{fault:>14}" for fault in ("as it is", *FAULTS)),
        flush=True,
    )
    start = time.monotonic()
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    for set_name in chosen(sets, SETS, "set"):
        try:
            data_sets = load(set_name)
        except SetUnavailableError as error:
            print(f"skipped {set_name}: {error}")
            continue
        for data in data_sets:
            if wanted and data.element.lower() not in wanted:
                continue
            ((fold,),) = paper_split(data.names, (first_seed,)).repeats
            # The same faults for every method.
            left_out = data.reflectance[fold.test]
            spectra = [left_out, *with_faults(left_out, data.wavelengths_nm, data.splices_nm, first_seed)]
            for name in names:
                rows = TrainingRows.by_sample(data).take(fold.training, seed=first_seed, groups=())
                model = MEASURED[name](fast).fit(rows)
                r2 = [measure(model.predict(seen), data.measured[fold.test]).r2 or 0.0 for seen in spectra]
                cells = "".join(f"{value:>14.3f}" for value in r2)
                print(f"{set_name:<8} {data.element:<13}{name:<16}{cells}", flush=True)
                found[name].append(r2)
    for name, rows in found.items():
        if len(rows) > 1:
            cells = "".join(f"{value:>14.3f}" for value in np.mean(rows, axis=0))
            print(f"{'mean of':<8} {len(rows):<13}{name:<16}{cells}")
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except StibiumError as error:
        sys.exit(f"disturbed.py: {error}")
