"""A model of one instrument on another: corn on m5 and mp5, by pairs and by five assays; simulated detectors besides.

Each draw trains a PLSR on some samples of the parent instrument, makes it a bundle with domain and interval, adapts that
as `stibium adapt` does, and holds it against samples that took no part. Beside it stands the same method trained on the
child's own spectra of the same samples. What is picked is picked without the test samples. The regression's own
arithmetic stands in for the TFLite runtime, which says the same in less exact figures.

    python benchmarks/transfer.py [--draws 20] [--sets moisture,oil,clay] [--keep FILE]
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import click
import numpy as np
import stibium.edge.model.estimate as device
from comparison import chosen
from soil_sets import SetUnavailableError, geeves
from stibium.converters.spectra.errors import StibiumError
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.scaling import Scaling
from stibium.edge.model.target import forward
from stibium.train.adaptation.by_assays import adapt_by_assays
from stibium.train.adaptation.by_pairs import adapt_by_pairs
from stibium.train.applicability import fit_domain, fit_interval
from stibium.train.assays.table import read_assay_table
from stibium.train.crossval.rows import TrainingRows
from stibium.train.methods.baselines import BAND_STEP, PartialLeastSquares
from stibium.train.prepared import prepare
from stibium.train.samples import Samples, load

CORN = Path(__file__).parents[2] / "shared" / "data" / "instruments" / "transfer"
TRAINING, PAIRS, ASSAYS = 55, 20, 5
BOUNDS = {("moisture", "m5 to mp5"): 1.5, ("oil", "m5 to mp5"): 1.1}
"""RMSE by 20 pairs, over that of a model of the child's own training samples."""


def corn(instrument: str, target: str) -> Samples:
    path = CORN / f"corn_{instrument}.csv.gz"
    if not path.is_file():
        raise SetUnavailableError("../shared/data/instruments is not there: real spectra are not part of the project")
    return load([str(path)], read_assay_table(str(path)).assays(target), None)


def other_detector(samples: Samples) -> Samples:
    """The same soils on a simulated instrument: bands every 3 nm that are 1 nm off, stray light, another level, noise."""
    rng = np.random.default_rng(4)
    nm = np.arange(353.0, 2497.0, 3.0)

    def seen(s: Spectrum) -> Spectrum:
        values = np.interp(nm + 1.0, s.wavelengths_nm, s.values)
        values = 0.02 + 0.93 * values * (1 + 3e-5 * (nm - 1400)) + rng.normal(0, 3e-4, nm.size)
        return replace(s, wavelengths_nm=nm, values=values, splices_nm=(), simulated=True)

    return replace(samples, spectra=tuple(seen(s) for s in samples.spectra))


def part(samples: Samples, names: list[str]) -> Samples:
    kept = set(names)
    return replace(
        samples,
        spectra=tuple(s for s in samples.spectra if s.sample_id in kept),
        target={name: value for name, value in samples.target.items() if name in kept},
    )


class Arithmetic:
    """Stands in for the TFLite runtime: a regression, found by its number."""

    known: ClassVar[list] = []
    output_step = 0.0

    def __init__(self, model: bytes, known_good: bool = False) -> None:
        self.regression = self.known[int(model)]

    def run(self, features: np.ndarray) -> np.ndarray:
        return self.regression.answer(self.regression.scaling(features[:, ::BAND_STEP]))


device.Runtime = Arithmetic  # type: ignore[misc]


def model_of(samples: Samples) -> Bundle:
    names = samples.names
    found = PartialLeastSquares(fast=True).fit(TrainingRows.by_sample(samples))
    rows = prepare(samples.spectra, found.recipe)
    domain = fit_domain(rows.reflectance, rows.reflectance_nm, names, 42)
    left_out = forward(found.out_of_fold.mean(axis=0), found.transform)
    measured = forward(samples.measured, found.transform)
    Arithmetic.known.append(found)
    bands = found.recipe.wavelengths_nm.size
    return Bundle(
        model=str(len(Arithmetic.known) - 1).encode(),
        element=samples.element,
        unit=samples.unit,
        recipe=found.recipe,
        scaling=Scaling(np.zeros(bands), np.ones(bands)),
        transform=found.transform,
        calibrated_range=(float(samples.measured.min()), float(samples.measured.max())),
        quantisation="float32",
        simulated=samples.simulated,
        interval=fit_interval(left_out, measured, domain.difficulty, names),
        domain=domain.stats,
    )


def judged(bundle: Bundle, test: Samples) -> dict[str, float]:
    answers = Estimator(bundle).estimate(test.spectra)
    pairs = [(a, test.target[a.sample_id]) for a in answers if isinstance(a, Estimate)]
    error = np.array([a.value - value for a, value in pairs])
    covered = [a.low <= value <= a.high for a, value in pairs if a.low is not None and a.high is not None]
    return {
        "mse": float(np.mean(error**2)),
        "covered": float(np.mean(covered)) if covered else float("nan"),
        "outside": float(np.mean([a.verdict == "outside" for a, _ in pairs])),
        "refused": len(answers) - len(pairs),
    }


def draw(parent: Samples, child: Samples, seed: int, training: int) -> dict[str, dict[str, float]]:
    names = sorted(parent.target)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    known, test = order[:training], part(child, order[training:])
    model = model_of(part(parent, known))
    found = {
        "own model": judged(model_of(part(child, known)), test),
        "nothing done": judged(model, test),
    }
    sides = (part(samples, known[:PAIRS]).spectra for samples in (parent, child))
    for name, adapt in (
        (f"{PAIRS} pairs", lambda: adapt_by_pairs(model, *sides)),
        (f"{ASSAYS} assays", lambda: adapt_by_assays(model, part(child, known[:ASSAYS]))),
    ):
        try:
            adapted = adapt()
        except StibiumError as error:
            print(f"  draw {seed}, {name}: refused: {error}", file=sys.stderr)
            continue
        found[name] = judged(adapted.bundle, test)
        print(f"  draw {seed}, {name}: {adapted.did.what}", file=sys.stderr, flush=True)
    return found


@click.command()
@click.option("--draws", default=20, show_default=True)
@click.option("--sets", default="moisture,oil,clay", show_default=True)
@click.option("--forth", is_flag=True, help="Corn from m5 to mp5 only, not back.")
@click.option(
    "--keep", type=click.Path(dir_okay=False), help="File where draws are kept, and from which they are taken."
)
def main(draws: int, sets: str, forth: bool, keep: str | None) -> None:
    """Print RMSE, coverage and share outside the domain, pooled over draws."""
    kept = json.loads(Path(keep).read_text()) if keep and Path(keep).exists() else {}
    missed = []
    todo = []
    names = chosen(sets, ("moisture", "oil", "clay"), "set")
    try:
        for target in names:
            if target == "clay":
                clay = geeves()[0]
                todo.append((target, "ASD to a SIMULATED detector", clay, other_detector(clay), 150))
                continue
            m5, mp5 = corn("m5", target), corn("mp5", target)
            todo.append((target, "m5 to mp5", m5, mp5, TRAINING))
            if not forth:
                todo.append((target, "mp5 to m5", mp5, m5, TRAINING))
    except SetUnavailableError as error:
        raise click.ClickException(str(error)) from error
    for target, way, parent, child, training in todo:
        results = defaultdict(list)
        for seed in range(draws):
            key = f"{target}/{way}/{seed}"
            if key not in kept:
                kept[key] = draw(parent, child, seed, training)
                if keep:
                    Path(keep).write_text(json.dumps(kept))
            for name, figures in kept[key].items():
                results[name].append(figures)
        print(
            f"\n{target}, {way}: {draws} draws, {training} training samples, {len(parent.target) - training} test samples"
        )
        own = np.sqrt(np.mean([f["mse"] for f in results["own model"]]))
        print(f"{'':16}{'RMSE':>8}{'of own':>8}{'90 % interval holds':>21}{'outside':>10}{'draws':>7}")
        for name, of in results.items():
            rmse = np.sqrt(np.mean([f["mse"] for f in of]))
            covered, outside = (100 * np.mean([f[k] for f in of]) for k in ("covered", "outside"))
            print(f"{name:16}{rmse:8.3f}{rmse / own:8.2f}{covered:19.1f} %{outside:8.1f} %{len(of):7d}")
            bound = BOUNDS.get((target, way))
            if bound and name == f"{PAIRS} pairs" and rmse > bound * own:
                missed.append(f"{target}, {way}: {rmse / own:.2f} times the own model's RMSE, {bound} asked")
    print("\n" + ("\n".join(f"MISSED: {line}" for line in missed) if missed else "all within bounds"))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
