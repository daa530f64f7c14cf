"""Simulated soils: spectra for the 107 published analyses, and for further soils drawn like them.

No public file pairs soil spectra with antimony. These spectra are made up: `soil_composition` draws what a soil of
given assays may consist of, `soil_optics` what that reflects, `probe_optics` what an instrument makes of it. Whatever
a model reaches on them is about the software, never about the ground.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ...converters.spectra.errors import StibiumError
from ...converters.spectra.spectrum import SIMULATED, Floats, Spectrum
from ..assays.published import read_table_a1
from . import probe_optics as probe
from .geochemistry import (
    Geochemistry,
    Resampling,
    draw_censored_Sb_ppm,
    fit_geochemistry,
    report,
)
from .soil_composition import POINT_DRAWS, SAMPLE_DRAWS, compose
from .soil_optics import Composition, reflectance

INSTRUMENT = "simulated contact-probe spectroradiometer"
FIRST_MEASUREMENT = datetime(2024, 6, 3, 9, 0)
"""Time stamp of the first spectrum, fixed so that equal seeds give equal files."""
FERROUS_SAMPLES = frozenset({"RS052"})
"""Soils for which the paper reports the ramp-like Fe2+ absorption."""

_BATCH_SOILS = 32
# Every soil and point has its own stream of chance, whatever else is simulated.
_SOIL, _POINT, _PROBE, _SESSION, _CENSORED, _NEW_SOIL = range(6)


class SimulationError(StibiumError, ValueError):
    """Arguments no simulation can be made from."""


@dataclass(frozen=True)
class SimulatedSoil:
    """One soil of a simulation.

    Attributes:
        sample: the published name, or SIM and a number for a soil drawn like the published ones.
        site: the mine it lies over, or whose soils it was drawn from.
        reported_ppm: one text per element of `ELEMENTS` as a laboratory would report it; ">4000" is a bound.
        simulated: what of it is made up: "spectra", or "spectra and assays".
    """

    sample: str
    site: str
    reported_ppm: tuple[str, ...]
    simulated: str


@dataclass(frozen=True, eq=False)
class Simulated:
    """Soils and the means to make their spectra, sample by sample, in any number.

    Attributes:
        soils: in the order of `spectra`.
        points: measuring points per soil.
        seed: what everything was drawn from.
    """

    soils: tuple[SimulatedSoil, ...]
    points: int
    seed: int
    _law: Geochemistry
    # Sb above the laboratory's limit is drawn to mix the soil with; it stays in here.
    _true_ppm: Floats

    def spectra(self) -> Iterator[Spectrum]:
        """Yield every point of every soil, a batch of soils in memory at a time.

        Returns:
            `len(soils) * points` reflectance spectra on 350-2500 nm at 1 nm, marked as simulated; equal for equal
            seeds, whatever the number of soils.
        """
        for first in range(0, len(self.soils), _BATCH_SOILS):
            batch = range(first, min(first + _BATCH_SOILS, len(self.soils)))
            values = self._measure(batch)
            for row, index in enumerate(batch):
                for point in range(self.points):
                    yield self._spectrum(index, point, values[row, point])

    def reflectance(self) -> Floats:
        """(soils, points, 2151) the values of all `spectra` at once: 0.09 MB a soil of 5 points."""
        starts = range(0, len(self.soils), _BATCH_SOILS)
        return np.concatenate([self._measure(range(s, min(s + _BATCH_SOILS, len(self.soils)))) for s in starts])

    def composition(self, batch: range | None = None) -> Composition:
        """Draw what lies under the probe at each point: `len(batch) * points` rows, the points of a soil together."""
        chosen = range(len(self.soils)) if batch is None else batch
        each_point = [(index, point) for index in chosen for point in range(self.points)]
        soil_draws = [self._chance(_SOIL, index).standard_normal(SAMPLE_DRAWS) for index in chosen]
        point_draws = [self._chance(_POINT, *key).standard_normal(POINT_DRAWS) for key in each_point]
        soils = np.repeat(np.array(chosen), self.points)
        true_ppm = self._true_ppm[soils]
        return compose(
            true_ppm,
            self._law.factors(true_ppm),
            np.array([self.soils[index].sample in FERROUS_SAMPLES for index in soils]),
            np.repeat(np.array(soil_draws), self.points, axis=0),
            np.array(point_draws),
        )

    def _measure(self, batch: range) -> Floats:
        resolved = probe.resolve(reflectance(self.composition(batch), probe.SCENE_NM))
        resolved = resolved.reshape(len(batch), self.points, probe.WAVELENGTHS_NM.size)
        measured = np.empty_like(resolved)
        numbers = {index // probe.SESSION_SAMPLES for index in batch}
        sessions = {number: probe.open_session(self._chance(_SESSION, number)) for number in numbers}
        for row, index in enumerate(batch):
            session = sessions[index // probe.SESSION_SAMPLES]
            for point in range(self.points):
                here = slice(point, point + 1)
                rng = self._chance(_PROBE, index, point)
                measured[row, here] = probe.measure(resolved[row, here], session, rng)
        # A hundredth of the noise, and it makes the figures the same whatever order a processor adds in.
        return np.round(measured, 6)

    def _chance(self, stream: int, *key: int) -> np.random.Generator:
        return _chance(self.seed, stream, *key)

    def _spectrum(self, index: int, point: int, values: Floats) -> Spectrum:
        soil = self.soils[index]
        return Spectrum(
            wavelengths_nm=probe.WAVELENGTHS_NM,
            values=values,
            quantity="reflectance",
            sample_id=soil.sample,
            source=f"{SIMULATED} {soil.sample}",
            measurement=f"{point + 1:05d}",
            measured_at=FIRST_MEASUREMENT + timedelta(minutes=5 * index + point),
            instrument=INSTRUMENT,
            splices_nm=probe.SPLICES_NM,
            comment=f"{SIMULATED} soil {soil.sample}, point {point + 1} of {self.points}, seed {self.seed}",
            simulated=True,
        )


def simulate(samples: int | None = None, points: int = 5, seed: int = 42) -> Simulated:
    """Set up simulated soils: the published ones first, then soils drawn like them.

    Args:
        samples: how many soils; None for the 107 published ones. Fewer takes the first of the table; more draws
            the rest by smoothed resampling of log10 ppm within each site.
        points: measuring points per soil, 1 to 99.
        seed: any integer from 0.

    Returns:
        The soils; their spectra are made when asked for.

    Raises:
        SimulationError: an argument is out of its range.

    Notes:
        Numbers come from numpy's PCG64 in one stream per soil and per point, so soil RS001 has the same spectra in
        a simulation of 107 soils and of 10,000.
    """
    if samples is not None and samples < 1:
        raise SimulationError(f"{samples} samples cannot be simulated; ask for 1 or more")
    if not 1 <= points <= 99:
        raise SimulationError(f"{points} points per sample cannot be simulated; ask for 1 to 99")
    if seed < 0:
        raise SimulationError(f"seed {seed} is negative; give 0 or more")
    published = read_table_a1()
    law = fit_geochemistry(published)
    true_ppm, soils = [], []
    for index, row in enumerate(published):
        ppm = np.array(row.bound_ppm)
        if row.above[0]:
            ppm[0] = draw_censored_Sb_ppm(row, law, _chance(seed, _CENSORED, index))
        true_ppm.append(ppm)
        soils.append(SimulatedSoil(row.sample, row.site, row.reported_ppm, "spectra"))
    wanted = len(published) if samples is None else samples
    resampling = Resampling([row.site for row in published], np.array(true_ppm))
    for number in range(1, wanted - len(published) + 1):
        site, ppm = resampling.draw(_chance(seed, _NEW_SOIL, number))
        true_ppm.append(ppm)
        soils.append(SimulatedSoil(f"SIM{number:04d}", site, report(ppm), "spectra and assays"))
    return Simulated(tuple(soils[:wanted]), points, seed, law, np.array(true_ppm[:wanted]))


def _chance(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
