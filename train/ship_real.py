"""Make the demonstration of real ground again: `make real-model`.

A model of clay, calibrated on soils of the Geeves survey but for eleven, which are shipped beside it with their
laboratory values: ten evenly from the lowest clay content to the highest, and the one whose spectrum is least like all
others. None of them was chosen by how well it is estimated. What a user would type makes the model.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np

from ..converters.spectra.read import read_spectra
from ..converters.spectra.spectrum import Spectrum
from ..converters.spectra.table.write import write_table
from .applicability import fit_domain
from .errors import TrainingDataError
from .ship import SHIPPED, stibium

GEEVES = Path(__file__).parents[2] / "shared" / "data" / "soil" / "geeves_contact_probe.csv.gz"
COLUMN, ELEMENT = "clay_pct", "clay"
MODEL, SOILS, ASSAYS = "clay_geeves.tflite", "real_soils.csv.gz", "real_assays.csv"
SHOWN = 10
SOURCE = (
    "261 soils of Geeves et al. 1994 (CSIRO), ASD with contact probe, as distributed with the R package soilspec "
    "(A. Wadoux), MIT licence"
)


def main() -> None:
    """Choose, train, export; the survey's table may be named on the command line.

    Raises:
        TrainingDataError: the table is not there.
    """
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else GEEVES
    if not source.is_file():
        raise TrainingDataError(f"{source}: there is no such file; name the survey's table ({SOURCE})")
    soils = read_spectra(source)
    clay = {soil.sample_id: float(dict(soil.extra)[COLUMN]) for soil in soils}
    chosen = choose_soils(soils, clay)
    with tempfile.TemporaryDirectory(prefix="stibium-ship-") as folder:
        spectra, assays, run = Path(folder) / "spectra.csv.gz", Path(folder) / "assays.csv", Path(folder) / "run"
        others = [soil for soil in soils if soil.sample_id not in chosen]
        write_table(spectra, others)
        write_assays(assays, {soil.sample_id: clay[soil.sample_id] for soil in others})
        data = ("--spectra", str(spectra), "--assays", str(assays), "--element", ELEMENT, "--fast")
        stibium("train", *data, "--no-report", "--out", str(run))
        stibium("export", str(run), "--out", str(SHIPPED / MODEL))
    shown = {soil.sample_id: soil for soil in soils}
    write_table(SHIPPED / SOILS, [shown[name] for name in chosen])
    write_assays(SHIPPED / ASSAYS, {name: clay[name] for name in chosen})
    print(f"{MODEL}: calibrated on {len(others)} soils; shown: {', '.join(f'{n} ({clay[n]:g} %)' for n in chosen)}")


def choose_soils(soils: list[Spectrum], values: dict[str, float]) -> list[str]:
    """Choose soils to show: ten evenly by value, then the one whose spectrum is least like all others.

    Args:
        soils: one spectrum each, on one grid.
        values: of the laboratory, by name.

    Returns:
        Eleven names.
    """
    names = [soil.sample_id for soil in soils]
    far = fit_domain(np.stack([soil.values for soil in soils]), soils[0].wavelengths_nm, names).difficulty
    odd = names[int(np.argmax(far.max(axis=1)))]
    ranked = sorted((name for name in names if name != odd), key=lambda name: (values[name], name))
    # Not the very ends: a soil outside the range of the others cannot be estimated by them.
    at = np.linspace(0, len(ranked) - 1, SHOWN + 2)[1:-1].round().astype(int)
    return [*(ranked[i] for i in at), odd]


def write_assays(path: Path, values: dict[str, float]) -> None:
    """Write a table of laboratory values."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sample", COLUMN])
        writer.writerows((name, f"{value:g}") for name, value in values.items())


if __name__ == "__main__":
    main()
