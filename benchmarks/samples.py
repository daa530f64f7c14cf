"""Files to measure with, made from the recorded samples that come with the package."""

from __future__ import annotations

import os
from pathlib import Path

import stibium.edge.shipped
from stibium.converters.spectra.asd_write import write_asd
from stibium.converters.spectra.read import read_spectra

DEMO_SAMPLES = Path(next(iter(stibium.edge.shipped.__path__))) / "demo_samples.csv.gz"


def write_demo_asd(folder: Path, count: int) -> list[Path]:
    """Write `count` .asd files; beyond the number of recorded spectra, further names for the same content."""
    spectra = read_spectra(DEMO_SAMPLES)
    paths = []
    for i in range(count):
        path = folder / f"soil{i:05d}.asd"
        if i < len(spectra):
            write_asd(path, spectra[i])
        else:
            os.link(paths[i % len(spectra)], path)
        paths.append(path)
    return paths
