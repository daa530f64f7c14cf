"""A simulation on disk: spectra, the assay table, and a note that says what they are."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from ...converters.spectra.asd_write import write_asd
from ...converters.spectra.errors import StibiumError
from ...converters.spectra.files import write_whole
from ...converters.spectra.spectrum import SIMULATED, Spectrum
from ...converters.spectra.table.write import write_table
from ..assays.published import ELEMENTS
from .simulate import Simulated

Form = Literal["asd", "table"]

README = "README.txt"
ASSAYS = "assays.csv"
TABLE = "spectra.csv.gz"
ASD_FOLDER = "spectra"

_FIRST_LINE = "These spectra are simulated. No instrument measured them."


class OccupiedFolderError(StibiumError, FileExistsError):
    """The folder for a simulation already holds something."""


def write_simulation(
    folder: str | os.PathLike[str],
    simulated: Simulated,
    form: Form = "asd",
    replace: bool = False,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write spectra, assays and a README into a folder, which is made if need be.

    The same simulation gives the same bytes. The README is written first, so that an interrupted run is marked too.

    Args:
        folder: where to; `spectra/SAMPLE_00001.asd` ... or `spectra.csv.gz`, `assays.csv` and `README.txt` go there.
        simulated: what `simulate` returned.
        form: "asd" for a file per point, "table" for one table.
        replace: remove an earlier simulation from the folder; whatever else is in it stays where it is.
        progress: called with the number of spectra made so far.

    Returns:
        The number of spectra written.

    Raises:
        OccupiedFolderError: the folder holds files, and `replace` is not set or they are no simulation.
        SpectrumFileError: a spectrum cannot be written.
        OSError: the folder or a file cannot be written.
    """
    out = Path(folder)
    if make_room(out, _FIRST_LINE, replace):
        for old in [out / TABLE, out / ASSAYS, *filter(_is_simulated, (out / ASD_FOLDER).glob("*.asd"))]:
            old.unlink(missing_ok=True)
    write_text(out / README, _readme(simulated, form))
    write_text(out / ASSAYS, assay_table(simulated))
    spectra = _counted(simulated.spectra(), progress)
    if form == "table":
        return write_table(out / TABLE, spectra, {"simulated": _FIRST_LINE, "seed": str(simulated.seed)})
    (out / ASD_FOLDER).mkdir(exist_ok=True)
    for spectrum in spectra:
        write_asd(out / ASD_FOLDER / f"{spectrum.sample_id}_{spectrum.measurement}.asd", spectrum)
    return len(simulated.soils) * simulated.points


def _counted(spectra: Iterator[Spectrum], progress: Callable[[int], None] | None) -> Iterator[Spectrum]:
    for made, spectrum in enumerate(spectra, start=1):
        yield spectrum
        if progress is not None:
            progress(made)


def assay_table(simulated: Simulated) -> str:
    """Return the assays as CSV text: ppm as reported, `>4000` kept, and what of each row is simulated."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["sample", "site", *(f"{element}_ppm" for element in ELEMENTS), "simulated"])
    table.writerows([soil.sample, soil.site, *soil.reported_ppm, soil.simulated] for soil in simulated.soils)
    return text.getvalue()


def make_room(out: Path, first_line: str, replace: bool) -> bool:
    """Make a folder for a simulation, whose README begins with `first_line`; return whether there was one before.

    Raises:
        OccupiedFolderError: the folder holds files, and `replace` is not set or they are no simulation.
        OSError: the folder cannot be made.
    """
    occupied = out.is_dir() and any(out.iterdir())
    if occupied:
        readme = out / README
        if not (readme.is_file() and readme.read_text("utf-8", "replace").startswith(first_line)):
            raise OccupiedFolderError(f"{out}: holds other files; name a new or empty folder")
        if not replace:
            raise OccupiedFolderError(f"{out}: holds an earlier simulation; name another folder or give --force")
    out.mkdir(parents=True, exist_ok=True)
    return occupied


def _is_simulated(asd: Path) -> bool:
    # The comment stands behind the three bytes of the revision; a real measurement that strayed in is not ours.
    with open(asd, "rb") as file:
        return file.read(3 + len(SIMULATED))[3:] == SIMULATED.encode()


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    write_whole(path, text.encode())


def _readme(simulated: Simulated, form: Form) -> str:
    drawn = sum(soil.simulated != "spectra" for soil in simulated.soils)
    where = TABLE if form == "table" else f"{ASD_FOLDER}/SAMPLE_00001.asd to _{simulated.points:05d}.asd"
    text = f"""{_FIRST_LINE}

Made by: stibium simulate, seed {simulated.seed}, {simulated.points} points per sample

{where}: simulated reflectance, 350-2500 nm at 1 nm, detectors joined at 1000 and 1800 nm.
{ASSAYS}: Sb, As, Pb, Mn, Zn in ppm. ">4000" is right-censored: above the laboratory's upper limit.

{len(simulated.soils) - drawn} rows (simulated = "spectra") carry published analyses: Carvalho et al. 2024,
Remote Sensing 16(11):1964, table A1. Their spectra are simulated all the same.
"""
    if drawn:
        text += f"""{drawn} rows (simulated = "spectra and assays") are drawn like the published ones.
"""
    return f"""{text}
How well a model does on these spectra says something about the software and nothing about the ground.
"""
