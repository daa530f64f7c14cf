"""Make the shipped bundle and the demonstration's samples again from nothing: `make model`.

Runs the same commands a user would: `stibium simulate`, `stibium train`, `stibium export`. Everything is seeded, so
the same versions on the same kind of machine give the same files.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from ..converters.spectra.read import iter_spectra
from ..converters.spectra.spectrum import Spectrum
from ..converters.spectra.table.write import write_table

SHIPPED = Path(__file__).parents[1] / "edge" / "shipped"

SAMPLES = 1500
"""Soils to simulate: the 107 published analyses and further ones drawn like them; on 107 alone nothing is learned."""
QUANTISATION = "float16"
"""The smallest format whose answers are the same, to the last digit shown, in both TFLite runtimes: where int8 and
dynamic range round otherwise, their answers move by several percent (`make bench` prints the table)."""
DEMO_SAMPLES = 8
PATIENCE = 30


def stibium(*arguments: str) -> None:
    """Run one command of this package; stop if it fails."""
    print("$ stibium", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "stibium.edge", *arguments], check=True)


def make_run(folder: Path) -> tuple[Path, Path]:
    """Simulate the soils and train the shipped model on them, in a folder.

    Returns:
        The simulation's folder and the run directory.
    """
    soils, run = folder / "soils", folder / "run"
    stibium("simulate", "--out", str(soils), "--samples", str(SAMPLES), "--as", "table")
    data = ("--spectra", str(soils / "spectra.csv.gz"), "--assays", str(soils / "assays.csv"))
    method = ("--method", "published", "--patience", str(PATIENCE), "--bounds", "check", "--no-baselines")
    stibium("train", *data, "--element", "Sb", "--out", str(run), *method)
    return soils, run


def main() -> None:
    """Simulate, train, export, and pick samples for the demonstration."""
    with tempfile.TemporaryDirectory(prefix="stibium-ship-") as folder:
        soils, run = make_run(Path(folder))
        stibium("export", str(run), "--quantise", QUANTISATION, "--out", str(SHIPPED / "sb_simulated.tflite"))
        validation = set(json.loads((run / "run.json").read_text())["split"]["validation"])
        chosen = choose_demo_samples(soils / "assays.csv", validation)
        write_table(SHIPPED / "demo_samples.csv.gz", points_of(soils / "spectra.csv.gz", list(chosen)))
    with (SHIPPED / "demo_assays.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sample", "Sb_ppm"])
        writer.writerows(chosen.items())
    print(f"demonstration: {', '.join(f'{name} ({ppm} ppm)' for name, ppm in chosen.items())}")


def choose_demo_samples(assays: Path, validation: set[str]) -> dict[str, str]:
    """Pick published analyses that the model was not trained on, evenly from the lowest grade to the highest.

    Returns:
        Name -> Sb in ppm as the laboratory reported it, in the order of the names.
    """
    with assays.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["sample"] in validation]
    # Soils of a simulation that no laboratory saw are no demonstration of "beside the laboratory value".
    published = [row for row in rows if not row["sample"].startswith("SIM") and row["Sb_ppm"][0] not in "<>"]
    ranked = sorted(published, key=lambda row: float(row["Sb_ppm"]))
    at = np.linspace(0, len(ranked) - 1, DEMO_SAMPLES).round().astype(int)
    return dict(sorted((ranked[i]["sample"], ranked[i]["Sb_ppm"]) for i in at))


def points_of(spectra: Path, samples: list[str]) -> list[Spectrum]:
    """Read every point of some samples, sample by sample."""
    kept = [spectrum for spectrum in iter_spectra(spectra) if spectrum.sample_id in samples]
    return sorted(kept, key=lambda spectrum: (samples.index(spectrum.sample_id), spectrum.measurement))


if __name__ == "__main__":
    main()
