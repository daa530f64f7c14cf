"""Make the shipped bundle and the demonstration's samples again from nothing: `make model`.

Runs the same commands a user would: `stibium simulate`, `stibium train`, `stibium export`, `stibium validate`.
Everything is seeded, so the same versions on the same kind of machine give the same files.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from ..converters.spectra.read import iter_spectra
from ..converters.spectra.spectrum import Spectrum
from ..converters.spectra.table.write import write_table

SHIPPED = Path(__file__).parents[1] / "edge" / "shipped"

SAMPLES = 1500
"""Soils to simulate: the 107 published analyses and further ones drawn like them; on 107 alone nothing is learned."""
QUANTISATION = "auto"
DEMO_SAMPLES = ("RS045", "TP072", "TP079", "TP091", "TP109", "TP133", "TP159", "TP177")
"""Published analyses, evenly from the lowest grade to the highest; the model is not trained on them."""
BESIDE = ("MobileNetV2", "PLSR", "published network")
"""What is compared on the same folds when the model is made."""


def stibium(*arguments: str) -> None:
    """Run one command of this package; stop if it fails."""
    print("$ stibium", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "stibium.edge", *arguments], check=True)


def make_run(folder: Path) -> tuple[Path, Path]:
    """Simulate the soils and train the shipped model on them, but for the demonstration's, in a folder.

    Returns:
        The simulation's folder and the run directory.
    """
    soils, run = folder / "soils", folder / "run"
    stibium("simulate", "--out", str(soils), "--samples", str(SAMPLES), "--as", "table")
    rows = (soils / "assays.csv").read_text("utf-8").splitlines(keepends=True)
    assays = folder / "assays.csv"
    assays.write_text("".join(row for row in rows if row.split(",")[0] not in DEMO_SAMPLES), "utf-8")
    data = ("--spectra", str(soils / "spectra.csv.gz"), "--assays", str(assays), "--element", "Sb", "--fast")
    stibium("train", *data, "--no-report", "--out", str(run))
    return soils, run


def compare(folder: Path) -> None:
    """Print how good the shipped method, PLSR and the published network are on the same folds of a folder's soils."""
    data = ("--spectra", str(folder / "soils" / "spectra.csv.gz"), "--assays", str(folder / "assays.csv"))
    methods = [option for name in BESIDE for option in ("--method", name)]
    stibium("validate", *data, "--element", "Sb", *methods, "--folds", "3", "--repeats", "1", "--fast")


def main() -> None:
    """Simulate, train, export, write the demonstration's samples, and compare."""
    with tempfile.TemporaryDirectory(prefix="stibium-ship-") as folder:
        soils, run = make_run(Path(folder))
        stibium("export", str(run), "--quantise", QUANTISATION, "--out", str(SHIPPED / "sb_simulated.tflite"))
        write_table(SHIPPED / "demo_samples.csv.gz", points_of(soils / "spectra.csv.gz", list(DEMO_SAMPLES)))
        with (soils / "assays.csv").open(newline="") as file:
            grades = {row["sample"]: row["Sb_ppm"] for row in csv.DictReader(file)}
        with (SHIPPED / "demo_assays.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["sample", "Sb_ppm"])
            writer.writerows((name, grades[name]) for name in DEMO_SAMPLES)
        compare(Path(folder))


def points_of(spectra: Path, samples: list[str]) -> list[Spectrum]:
    """Read every point of some samples, sample by sample."""
    kept = [spectrum for spectrum in iter_spectra(spectra) if spectrum.sample_id in samples]
    return sorted(kept, key=lambda spectrum: (samples.index(spectrum.sample_id), spectrum.measurement))


if __name__ == "__main__":
    main()
