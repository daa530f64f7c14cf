"""Soils that belong to a calibration, and spectra that do not, for `benchmarks/applicability.py`.

Real soils: the contact-probe survey in ../shared/data/soil, and the surveys of PyPI's `limesoda` if it is installed
(pip install limesoda). Foreign spectra: ../shared/data. What is not there is left out, and said to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from stibium.converters.spectra.read import read_spectra
from stibium.converters.spectra.spectrum import Floats, Spectrum
from stibium.edge.errors import UnsuitableSpectrumError
from stibium.edge.model.recipe import Recipe
from stibium.edge.model.steps import Resample, SpliceCorrection
from stibium.edge.model.suitability import require_reflectance

SHARED = Path(__file__).parents[2] / "shared" / "data"
LIMESODA = ("CV.98", "SC.93", "SL.125", "UL.120", "SSP.460")
WIDEST_GAP_NM = 30


@dataclass(frozen=True, eq=False)
class Survey:
    """Reflectance (n, bands) of one survey's soils, and what the laboratory found."""

    name: str
    wavelengths_nm: Floats
    reflectance: Floats
    targets: dict[str, Floats] = field(default_factory=dict)
    splices_nm: tuple[float, ...] = ()

    @property
    def recipe(self) -> Recipe:
        """Splices and grid: the verdict needs no more."""
        first, last = max(400.0, np.ceil(self.wavelengths_nm[0])), min(2400.0, np.floor(self.wavelengths_nm[-1]))
        return Recipe((SpliceCorrection(), Resample(float(first), float(last), 1.0)))


def surveys() -> Iterator[Survey]:
    """Give the real surveys that are here, and one that is simulated."""
    path = SHARED / "soil" / "geeves_contact_probe.csv.gz"
    if path.is_file():
        table = np.genfromtxt(path, delimiter=",", names=True, deletechars="")
        bands = [name for name in table.dtype.names if name.isdigit()]
        values = np.stack([table[name] for name in bands], axis=1)
        targets = {name: table[name] for name in ("clay_pct", "total_carbon_pct")}
        yield Survey("Geeves 261", np.array(bands, dtype=np.float64), values, targets)
    else:
        print(f"left out: {path} is not there")
    try:
        from LimeSoDa import load_dataset
    except ImportError:
        print("left out: limesoda is not installed")
    else:
        for name in LIMESODA:
            table = load_dataset(name)["Dataset"]
            bands = [c for c in table.columns if str(c).startswith("wl_")]
            targets = {c: table[c].to_numpy(float) for c in table.columns if str(c).endswith("_target")}
            nm = np.array([float(c[3:]) for c in bands])
            yield Survey(name, nm, table[bands].to_numpy(float) / 100, targets)
    yield simulated_survey()


def simulated_survey() -> Survey:
    """Mean spectra of the package's own simulated soils."""
    from stibium.train.simulate.simulate import simulate

    spectra = list(simulate().spectra())
    points: dict[str, list[Floats]] = {}
    for spectrum in spectra:
        points.setdefault(spectrum.sample_id, []).append(spectrum.values)
    values = np.stack([np.mean(group, axis=0) for group in points.values()])
    return Survey("simulated 107", spectra[0].wavelengths_nm, values, splices_nm=spectra[0].splices_nm)


def foreign(recipe: Recipe, soils: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Make sets of reflectance (n, bands) on the recipe's grid that belong to no soil survey.

    Args:
        recipe: of a survey.
        soils: (n, bands) of that survey, for what is made from them.
        rng: for what is varied.
    """
    nm = recipe.grid_nm
    sets: dict[str, Floats] = {}
    if (SHARED / "minerals").is_dir():
        library = read_spectra(SHARED / "minerals" / "usgs_splib07_224band.hdr")
        names = [s.sample_id for s in library]
        # The library's chapters follow each other, each in the order of the alphabet.
        rocks, plants, marsh = (
            next(i for i, n in enumerate(names) if n.startswith(first))
            for first in ("Acid_Mine_Dr", "Aspen Aspen-1", "Marsh SPAL80")
        )
        table = np.genfromtxt(SHARED / "minerals" / "usgs_splib07_1nm.csv", delimiter=",", skip_header=1)
        sets["mineral powders, 1 nm"] = _resampled(table[:, 0], table[:, 1:].T, nm)
        sets["minerals, USGS library"] = _on_grid(library[:rocks], recipe)
        plant = _on_grid(library[plants:marsh], recipe)
        sets["leaves and plants, USGS library"] = plant
        sets["leaves, varied"] = _noisy(_mixed(plant, plant, rng.uniform(0, 1, 100), rng) * _gain(100, 0.2, rng), rng)
        sets["half leaf, half soil"] = _mixed(plant, soils, np.full(60, 0.5), rng)
    if (SHARED / "instruments" / "panels").is_dir():
        panels = np.vstack([_read_panel(path, nm) for path in sorted((SHARED / "instruments" / "panels").iterdir())])
        sets["bare panels"] = panels
        dusty = _mixed(soils, panels, rng.uniform(0, 0.05, 60), rng)
        sets["bare panels, dusty or drifted"] = _noisy(dusty * _gain(60, 0.1, rng), rng)
    sets["the white reference itself"] = _noisy(np.ones((40, nm.size)) * _gain(40, 0.02, rng), rng)
    sets["nothing under the probe"] = np.maximum(_noisy(rng.uniform(0.005, 0.03, (40, 1)) + 0 * nm, rng), 1e-4)
    visible = soils[rng.integers(len(soils), size=40)].copy()
    end = int(np.argmin(np.abs(nm - (1000 if nm[0] < 900 else 1600))))
    visible[:, end:] = visible[:, [end]]
    sets["range of another instrument, filled up"] = visible
    return sets


def measured_worse(soils: Floats, rng: np.random.Generator) -> Floats:
    """Give soils as a worse measurement has them: white reference off by up to 10 %, 0.001 of noise in each band."""
    return np.asarray(soils * _gain(len(soils), 0.1, rng) + rng.normal(0, 0.001, soils.shape))


def read_other_range(survey: Survey) -> list[Spectrum]:
    """Cut the survey's soils to what instruments of another range would give."""
    spectra = []
    for first, last in ((350, 1075), (1000, 2500), (350, 1700), (1350, 2500)):
        kept = (survey.wavelengths_nm >= first) & (survey.wavelengths_nm <= last)
        if kept.any() and not kept.all():
            spectra += [
                Spectrum(survey.wavelengths_nm[kept], values[kept], "reflectance", f"{first}-{last}")
                for values in survey.reflectance[:20]
            ]
    handheld = SHARED / "instruments" / "asd" / "handheld2_325-1075.asd"
    return spectra + (read_spectra(handheld) if handheld.is_file() else [])


def two_soils(recipe: Recipe) -> dict[str, Floats]:
    """Give the same two soils as two makers' instruments saw them, {} if they are not here."""
    found = {}
    for name in ("asd", "spectral_evolution"):
        path = SHARED / "instruments" / f"two_soils_{name}.csv"
        if path.is_file():
            with path.open() as file:
                nm = np.array([float(c.strip('"').lstrip("X")) for c in file.readline().strip().split(",")[2:]])
                values = np.array([[float(v) for v in line.strip().split(",")[2:]] for line in file])
            found[name] = _resampled(nm, values, recipe.grid_nm)
    return found


def _on_grid(spectra: list[Spectrum], recipe: Recipe) -> Floats:
    """Keep what covers the range without gaps and is a plausible reflectance."""
    rows = []
    for s in spectra:
        used = (s.wavelengths_nm >= recipe.range_nm[0] - 10) & (s.wavelengths_nm <= recipe.range_nm[1] + 10)
        if np.diff(s.wavelengths_nm[used]).max(initial=0) > WIDEST_GAP_NM:
            continue
        try:
            values = require_reflectance(s, recipe.range_nm)
        except UnsuitableSpectrumError:
            continue
        rows.append(recipe.preprocess(values, s.wavelengths_nm).reflectance)
    return np.stack(rows)


def _resampled(nm: Floats, values: Floats, to_nm: Floats) -> Floats:
    return np.stack([np.interp(to_nm, nm, row) for row in values])


def _read_panel(path: Path, nm: Floats) -> Floats:
    text = path.read_text().replace(",", " ").split()
    pairs = np.array(text, dtype=np.float64).reshape(-1, 2)
    values = pairs[:, 1] / (100 if pairs[:, 1].max() > 2 else 1)
    return np.asarray(np.interp(nm, pairs[:, 0], values))[None]


def _mixed(first: Floats, second: Floats, share: Floats, rng: np.random.Generator) -> Floats:
    a, b = (s[rng.integers(len(s), size=share.size)] for s in (first, second))
    return np.asarray(share[:, None] * a + (1 - share[:, None]) * b)


def _gain(n: int, spread: float, rng: np.random.Generator) -> Floats:
    return rng.uniform(1 - spread, 1 + spread, (n, 1))


def _noisy(values: Floats, rng: np.random.Generator) -> Floats:
    return np.asarray(values + rng.normal(0, 0.002, values.shape))
