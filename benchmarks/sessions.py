"""Dry soils of another session of the same laboratory: how many are inside the calibration, and inside their intervals.

    python benchmarks/sessions.py [--draws 10] [--keep FILE]

Calibrated on the Geeves survey's soils (total carbon), answered for 60 soils of that survey that were scanned in another
session. Which soils these are is not told, so every calibration soil whose carbon one of them has as well is left out. Each
draw takes 100 calibration soils; the stack, with its fast settings. Ten soils left out of each calibration stand for its own
session.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import numpy as np
from moisture import Pool, answer, read, samples_of
from soil_sets import SetUnavailableError, geeves
from stibium.converters.spectra.spectrum import Spectrum
from stibium.train.methods.stack import Stack
from stibium.train.training import TrainingOptions, train

SOILS = Path(__file__).parents[2] / "shared" / "data" / "soil"
CALIBRATION, OWN = 100, 10
ROUNDED_PCT = 0.0051


def one_draw(seed: int, survey: list[Spectrum], others: list[Spectrum], carbon: dict[str, float]) -> dict[str, dict]:
    """Train on some soils of the survey, and answer: lists of a pool for its own session and for the other one."""
    order = np.random.default_rng(seed).permutation(len(survey))
    chosen = [survey[i] for i in order[: CALIBRATION + OWN]]
    options = TrainingOptions(baselines=False, seed=seed)
    trained = train(samples_of(chosen[:CALIBRATION], carbon), Stack(fast=True), options, curve=False)
    sessions = {"its own": chosen[CALIBRATION:], "another": others}
    return {name: answer(trained, spectra, carbon) for name, spectra in sessions.items()}


@click.command()
@click.option("--draws", default=10, show_default=True)
@click.option(
    "--keep", type=click.Path(dir_okay=False), help="File where draws are kept, and from which they are taken."
)
def main(draws: int, keep: str | None) -> None:
    """Print what becomes of soils of either session."""
    path = SOILS / "moisture_60_soils.csv.gz"
    try:
        of_survey = geeves()[1]
    except SetUnavailableError as error:
        raise click.ClickException(str(error)) from error
    if not path.is_file():
        raise click.ClickException(f"{path} is not there: real spectra are not part of the project")
    soils, carbon = read(str(path))
    others = [spectrum for (_, state), spectrum in soils.items() if state == "dry"]
    known = np.array(list(carbon.values()))
    own = of_survey.target
    survey = [s for s in of_survey.spectra if np.abs(known - own[s.sample_id]).min() > ROUNDED_PCT]
    carbon |= dict(own)
    kept = json.loads(Path(keep).read_text()) if keep and Path(keep).exists() else {}
    pools = {"its own": Pool(), "another": Pool()}
    for seed in range(draws):
        if str(seed) not in kept:
            kept[str(seed)] = one_draw(seed, survey, others, carbon)
            if keep:
                Path(keep).write_text(json.dumps(kept))
        for name, pool in pools.items():
            pool.add(kept[str(seed)][name])
    print(
        f"total carbon, {CALIBRATION} of {len(survey)} soils of the Geeves survey, stack (fast), {draws} draws pooled"
    )
    print(f"{'session':9}{'soils':>7}{'R2 log10':>10}{'inside':>9}{'covered':>9}{'of those inside':>17}")
    for name, pool in pools.items():
        r2, _, covered, outside = pool.figures()
        inside = ~np.array(pool.outside)
        of_inside = np.mean(np.array(pool.covered)[inside])
        print(
            f"{name:9}{len(pool.measured) // draws:7}{r2:10.3f}{100 * (1 - outside):7.0f} %{100 * covered:7.0f} %"
            f"{100 * of_inside:15.0f} %"
        )


if __name__ == "__main__":
    sys.exit(main())
