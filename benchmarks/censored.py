"""What training on bounds changes, on SIMULATED soils, whose true values are known: `python benchmarks/censored.py`.

Soils above a laboratory's upper limit are trained on in three ways: not at all (`--bounds check`), by the censored
likelihood, and, to show why nobody should, as if the limit were their value. Soils that no model saw are then held
against their true values. For the default method, whose members know squared or absolute error only, bounds are filled
in with the mean of what may lie beyond them (one round of expectation-maximisation from its own residuals).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from scipy.stats import truncnorm
from stibium.converters.spectra.spectrum import Floats, Spectrum
from stibium.edge.model.target import forward, inverse
from stibium.train.assays.table import Assays
from stibium.train.assays.values import Assay
from stibium.train.crossval.rows import TrainingRows
from stibium.train.methods.published import PublishedNetwork
from stibium.train.methods.stack import Stack
from stibium.train.methods.tensorflow_setup import import_tensorflow
from stibium.train.prepared import prepare
from stibium.train.samples import join, replicate_rows
from stibium.train.simulate.simulate import simulate
from stibium.train.training import TrainingOptions, train

TEST_SOILS = 400
POINTS = 2
FIGURES = (
    "RMSE up to the limit",
    "bias of their highest quarter",
    "bias above the limit",
    "above, and said to be",
    "not above, and said to be",
)


@dataclass(frozen=True)
class Case:
    """Soils to train on and soils to test with, all SIMULATED.

    Attributes:
        training, test: spectra, some points a soil.
        truth: soil -> true Sb in ppm.
        limit: of the laboratory, ppm.
        seed: of everything.
    """

    training: tuple[Spectrum, ...]
    test: tuple[Spectrum, ...]
    truth: dict[str, float]
    limit: float
    seed: int

    def assays(self, as_values: bool) -> Assays:
        """What a laboratory reports; with `as_values`, what is left of that once somebody has removed the signs."""
        names = dict.fromkeys(spectrum.sample_id for spectrum in self.training)
        bound = Assay(self.limit) if as_values else Assay(self.limit, ">")
        values = {name: Assay(v) if (v := self.truth[name]) <= self.limit else bound for name in names}
        return Assays("Sb", "ppm", values, 0, "simulated", "")


def make_case(soils: int, limit: float, seed: int) -> Case:
    simulated = simulate(soils + TEST_SOILS, POINTS, seed)
    # The published soils, and those drawn like them, come in some order: a share of each is tested with.
    chosen = set(np.random.default_rng(seed).permutation(soils + TEST_SOILS)[:soils].tolist())
    names = [soil.sample for soil in simulated.soils]
    training = {name for i, name in enumerate(names) if i in chosen}
    spectra = list(simulated.spectra())
    return Case(
        tuple(s for s in spectra if s.sample_id in training),
        tuple(s for s in spectra if s.sample_id not in training),
        dict(zip(names, simulated._true_ppm[:, 0].tolist(), strict=True)),
        limit,
        seed,
    )


def published(way: str, case: Case, network: PublishedNetwork) -> tuple[Floats, float]:
    """Train the network; answers for the test soils in log10, as the network gives them, and its highest value."""
    joined = join(case.training, case.assays(way == "as values"), None)
    method = replace(network, bounds="likelihood" if way == "likelihood" else "check")
    trained = train(joined, method, TrainingOptions(baselines=False, seed=case.seed))
    rows = prepare(replicate_rows(case.test, "average"), trained.recipe)
    assert not rows.refused
    return trained.answer(rows.features), trained.calibrated_range[1]


def default(way: str, case: Case, network: PublishedNetwork) -> tuple[Floats, float]:
    """The same for the default method, with its fast settings; it keeps its answers within what it was given."""
    joined = join(case.training, case.assays(way == "as values"), None)
    rows = joined.rows("average")
    grid = {"splices_nm": rows.splices_nm, "seed": case.seed}
    model = Stack(fast=True).fit(TrainingRows(rows.reflectance, rows.wavelengths_nm, rows.measured, **grid))
    if way == "filled in" and joined.bounded:
        bounded = np.stack([s.values for s in replicate_rows(joined.bounded, "average")])
        sd = float(np.std(forward(model.out_of_fold, model.transform) - forward(rows.measured, model.transform)))
        limits = forward(np.full(len(bounded), case.limit), model.transform)
        said = forward(model.predict(bounded), model.transform)
        filled = truncnorm.mean((limits - said) / sd, np.inf, loc=said, scale=sd)
        spectra = np.concatenate([rows.reflectance, bounded])
        values = np.concatenate([rows.measured, inverse(filled, model.transform)])
        model = Stack(fast=True).fit(TrainingRows(spectra, rows.wavelengths_nm, values, **grid))
    test = np.stack([s.values for s in replicate_rows(case.test, "average")])
    return np.log10(model.predict(test)), float(rows.measured.max())


def judge(outputs: Floats, highest: float, case: Case) -> Floats:
    """Hold answers against true values: the `FIGURES`, in log10 ppm and as shares."""
    names = [s.sample_id for s in replicate_rows(case.test, "average")]
    true = np.log10([case.truth[name] for name in names])
    above = true > np.log10(case.limit)
    high = ~above & (true > np.quantile(true[~above], 0.75))
    error = np.minimum(outputs, np.log10(highest)) - true
    # A device says "> highest" of these.
    beyond = outputs > np.log10(highest) - 1e-6
    return np.array(
        [
            np.sqrt(np.mean(error[~above] ** 2)),
            error[high].mean(),
            (outputs - true)[above].mean(),
            beyond[above].mean(),
            beyond[~above].mean(),
        ]
    )


METHODS: dict[str, tuple[Callable[[str, Case, PublishedNetwork], tuple[Floats, float]], tuple[str, ...]]] = {
    "published": (published, ("check", "likelihood", "as values")),
    "default": (default, ("check", "filled in", "as values")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=list(METHODS), default="published")
    parser.add_argument("--soils", type=int, default=300, help="to train on, validation included")
    parser.add_argument("--limit", type=float, default=4000.0, metavar="PPM", help="of the laboratory")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="from 42")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--patience", type=int, default=40)
    asked = parser.parse_args()
    run, ways = METHODS[asked.method]
    if asked.method == "published":
        import_tensorflow()
    found: dict[str, list[Floats]] = {way: [] for way in ways}
    bounds = []
    for seed in range(42, 42 + asked.seeds):
        case = make_case(asked.soils, asked.limit, seed)
        bounds.append(len(case.assays(False).censored))
        network = PublishedNetwork(epochs=asked.epochs, patience=asked.patience)
        for way in ways:
            found[way].append(judge(*run(way, case, network), case))
            print(f"seed {seed}, {way}: {found[way][-1].round(3).tolist()}", file=sys.stderr, flush=True)
    print(
        f"{asked.method} method, Sb of SIMULATED soils, laboratory's limit {asked.limit:g} ppm: {asked.soils} soils at "
        f"hand, {min(bounds)} to {max(bounds)} of them above it; {TEST_SOILS} others tested; mean of {asked.seeds} seeds "
        "(lowest to highest); log10 ppm"
    )
    print(f"{'':<30}" + "".join(f"{way:>27}" for way in ways))
    for i, figure in enumerate(FIGURES):
        cells = []
        for way in ways:
            values = np.array([row[i] for row in found[way]])
            low, mean, high = values.min(), values.mean(), values.max()
            share = "said" in figure
            text = f"{mean:.1%} ({low:.1%} to {high:.1%})" if share else f"{mean:.3f} ({low:.3f} to {high:.3f})"
            cells.append(f"{text:>27}")
        print(f"{figure:<30}" + "".join(cells))


if __name__ == "__main__":
    main()
