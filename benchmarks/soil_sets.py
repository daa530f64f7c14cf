"""Real soils with reflectance and laboratory values, as calibration sets."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from stibium.converters.spectra.errors import StibiumError
from stibium.converters.spectra.read import read_spectra
from stibium.converters.spectra.spectrum import Spectrum
from stibium.train.samples import Samples

GEEVES = Path(__file__).parents[2] / "shared" / "data" / "soil" / "geeves_contact_probe.csv.gz"
LIMESODA = ("CV.98", "SC.93", "SL.125", "UL.120", "SSP.460")
SETS = ("Geeves", *LIMESODA)


class SetUnavailableError(StibiumError):
    """A set of soils that cannot be had here."""


def load(name: str) -> list[Samples]:
    """Load a set, once for each of its targets.

    Raises:
        SetUnavailableError: why it cannot be had.
    """
    return geeves() if name == "Geeves" else limesoda(name)


def geeves() -> list[Samples]:
    """Australian soils measured with a contact probe: clay and total carbon."""
    if not GEEVES.is_file():
        raise SetUnavailableError("../shared/data/soil is not there: real spectra are not part of the project")
    spectra = read_spectra(GEEVES)
    rows = np.stack([s.values for s in spectra])
    names = tuple(s.sample_id for s in spectra)
    sets = []
    for column, target in (("clay_pct", "clay"), ("total_carbon_pct", "total carbon")):
        values = np.array([float(dict(s.extra)[column]) for s in spectra])
        sets.append(as_samples(rows, spectra[0].wavelengths_nm, values, names, target, "%"))
    return sets


def limesoda(name: str) -> list[Samples]:
    """A set of the package limesoda, whose reflectance is in percent: clay, organic matter or carbon, pH."""
    try:
        from LimeSoDa import load_dataset
    except ImportError:
        raise SetUnavailableError("the package limesoda is not installed: pip install 'stibium[bench]'") from None
    table = load_dataset(name)["Dataset"]
    bands = {column: re.fullmatch(r"wl_(\d+(?:\.\d+)?)", column) for column in table.columns}
    columns = [column for column, match in bands.items() if match]
    nm = np.array([float(match[1]) for match in bands.values() if match])
    names = tuple(f"{name}-{i + 1}" for i in range(len(table)))
    reflectance = table[columns].to_numpy(dtype=float) / 100.0
    sets = []
    for column in table.columns:
        if column.endswith("_target"):
            target = column.removesuffix("_target")
            unit = "" if target == "pH" else "%"
            sets.append(as_samples(reflectance, nm, table[column].to_numpy(dtype=float), names, target, unit))
    return sets


def limesoda_folds(name: str) -> np.ndarray:
    """Give the number (n,) of the outer fold of each soil of a set, as published with it."""
    try:
        from LimeSoDa import load_dataset
    except ImportError:
        raise SetUnavailableError("the package limesoda is not installed: pip install 'stibium[bench]'") from None
    return np.asarray(load_dataset(name)["Folds"])


def as_samples(
    reflectance: np.ndarray, nm: np.ndarray, values: np.ndarray, names: tuple[str, ...], target: str, unit: str
) -> Samples:
    """Make samples of rows on one grid."""
    spectra = tuple(Spectrum(nm, row, "reflectance", name) for row, name in zip(reflectance, names, strict=True))
    return Samples(spectra, dict(zip(names, values.tolist(), strict=True)), target, unit)
