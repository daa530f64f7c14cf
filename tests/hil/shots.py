"""An instrument's endless day: every measurement is known by its number, good ones and bad ones, and why they are bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from stibium.converters.spectra.spectrum import Floats, Spectrum
from stibium.edge.model.bundle import read_bundle, shipped_bundle_path
from stibium.edge.protocols.framed_messages import Unit
from stibium.edge.simulators.spectra import FramedSimulation, SimulatedScan, from_spectra

REASONS = {
    "saturated": "saturated",
    "not a number": "values that are no numbers",
    "no light": "low signal",
    "in percent": "in percent, or a bad white reference?",
    "lamp failed": "reflectance is the same at every wavelength",
    "no white": "counts where reflectance is due",
    "short": "values for 2151 bands",
}
"""What is wrong with a bad measurement -> what the refusal must say."""


def shipped_soils() -> list[Spectrum]:
    """The golden spectra of the shipped bundle (simulated)."""
    golden = read_bundle(shipped_bundle_path()).golden
    assert golden is not None
    return [
        Spectrum(
            golden.wavelengths_nm,
            values,
            "reflectance",
            f"G{number}",
            splices_nm=golden.splices_nm,
            comment="simulated",
            simulated=True,
        )
        for number, values in enumerate(golden.reflectance)
    ]


class Shots(Sequence[SimulatedScan]):
    """Measurements made up when they are asked for: soils that differ in every value, and bad ones among them.

    Args:
        soils: the spectra they vary.
        bad_every: one in so many is bad, each in another way; 0: all are good.
    """

    def __init__(self, soils: Sequence[Spectrum], bad_every: int = 0) -> None:
        self._soils = soils
        self._bad_every = bad_every
        self.limit = 10**9
        self.highest = -1

    def __len__(self) -> int:
        return self.limit

    def __getitem__(self, number: int) -> SimulatedScan:  # type: ignore[override]
        self.highest = max(self.highest, number)
        return self.take(number)

    def end(self) -> None:
        """Nothing is left to measure after what is before the probe now."""
        self.limit = self.highest + 1

    def name(self, number: int) -> str:
        """What the instrument calls it."""
        return f"M{number:07d}"

    def fault(self, number: int) -> str:
        """What is wrong with a measurement; "" if nothing is."""
        if not self._bad_every or number % self._bad_every != self._bad_every - 1:
            return ""
        return list(REASONS)[number // self._bad_every % len(REASONS)]

    def values(self, number: int) -> Floats:
        """(bands,) what it measures, exact in float32."""
        soil = self._soils[number % len(self._soils)].values * (1 + 1e-6 * (number // len(self._soils)))
        fault = self.fault(number)
        if fault == "not a number":
            soil[soil.size // 2] = np.nan
        elif fault == "no light":
            soil[soil.size // 3 :] = 0.0
        elif fault == "in percent":
            soil = 100 * soil
        elif fault == "lamp failed":
            soil[:] = 0.25
        elif fault == "short":
            soil = soil[:-7]
        return np.asarray(soil.astype(np.float32), np.float64)

    def take(self, number: int) -> SimulatedScan:
        """The measurement, as the virtual instrument plays it."""
        fault = self.fault(number)
        return SimulatedScan(
            self.values(number),
            Unit.RAW_DN if fault == "no white" else Unit.REFLECTANCE,
            label=self.name(number),
            simulated=True,
            saturated=int(fault == "saturated"),
        )

    def simulation(self) -> FramedSimulation:
        """All of it, to be played."""
        return replace(from_spectra(self._soils), targets=self)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[SimulatedScan]:
        return (self.take(number) for number in range(self.limit))


def shipped_bundle() -> Path:
    """The bundle that comes with the package."""
    return Path(shipped_bundle_path())
