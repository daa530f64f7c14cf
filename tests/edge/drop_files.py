"""Small files of spectra that the tests of files, folders and the watcher drop."""

from __future__ import annotations

import numpy as np
from stibium.converters.spectra.asd_write import pack_asd
from stibium.converters.spectra.spectrum import Floats, Spectrum

WAVELENGTHS_NM: Floats = np.arange(350.0, 2501.0)


def soil(sample_id: str, seed: int = 0) -> Spectrum:
    """A smooth made-up reflectance with a water band, different for each seed."""
    x = (WAVELENGTHS_NM - 350) / 2150
    generator = np.random.default_rng(seed)
    values = 0.08 + (0.3 + 0.1 * generator.random()) * np.sqrt(x + 0.01)
    values -= 0.05 * generator.random() * np.exp(-(((WAVELENGTHS_NM - 1910) / 40) ** 2))
    return Spectrum(WAVELENGTHS_NM, values, "reflectance", sample_id, comment="simulated", simulated=True)


def asd_bytes(seed: int = 0) -> bytes:
    """An .asd file; its sample is named by the file."""
    return pack_asd(soil("any", seed))


def table_lines(sample_ids: list[str], bands: int = 1076) -> list[bytes]:
    """Header and rows of a table, one row a sample, on a coarse grid."""
    grid_nm = np.linspace(350, 2500, bands)
    lines = ["sample_id," + ",".join(f"{nm:g}" for nm in grid_nm)]
    for i, sample_id in enumerate(sample_ids):
        values = np.interp(grid_nm, WAVELENGTHS_NM, soil(sample_id, i).values)
        lines.append(f"{sample_id}," + ",".join(f"{v:.6f}" for v in values))
    return [line.encode() + b"\n" for line in lines]
