"""Spectra whose target is known, made in a moment: a few absorption bands, one of which goes with the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from stibium.converters.spectra.spectrum import Spectrum
from stibium.train.crossval.rows import TrainingRows
from stibium.train.samples import Samples

NM = np.arange(400.0, 2451.0, 10.0)


def soil_like(n: int = 60, noise: float = 0.02, seed: int = 0, nm: np.ndarray = NM, **other: Any) -> Samples:
    """Make n soils; a band at 2200 nm deepens with the target, others and the level vary by themselves."""
    random = np.random.default_rng(seed)
    target = random.uniform(5.0, 60.0, n)
    level = random.uniform(0.2, 0.6, (n, 1)) + random.uniform(0, 0.2, (n, 1)) * (nm - 400) / 2050
    absorbance = -np.log10(level)
    for centre, width in ((500, 120), (1000, 200), (1410, 30), (1910, 40)):
        absorbance = absorbance + random.uniform(0.02, 0.2, (n, 1)) * np.exp(-0.5 * ((nm - centre) / width) ** 2)
    strength = 0.004 * target[:, None] * (1 + noise * random.normal(size=(n, 1)))
    absorbance = absorbance + strength * np.exp(-0.5 * ((nm - 2200) / 40) ** 2)
    given: dict[str, Any] = {"reflectance": 10.0**-absorbance, "wavelengths_nm": nm, "target": target}
    return as_samples(**(given | other))


def as_samples(
    reflectance: np.ndarray,
    wavelengths_nm: np.ndarray,
    target: np.ndarray,
    samples: Sequence[str] | None = None,
    groups: Sequence[object] | None = None,
    splices_nm: tuple[float, ...] = (),
) -> Samples:
    """Make samples of rows: clay in %."""
    names = samples or [f"S{i:03}" for i in range(len(target))]
    spectra = [
        Spectrum(wavelengths_nm, row, "reflectance", name, source=name, splices_nm=splices_nm)
        for row, name in zip(reflectance, names, strict=True)
    ]
    by_name = dict(zip(names, map(float, target), strict=True))
    of_group = None if groups is None else dict(zip(names, groups, strict=True))
    return Samples(tuple(spectra), by_name, "clay", "%", groups=of_group)  # type: ignore[arg-type]


def with_values(data: Samples, values: np.ndarray) -> Samples:
    """The same soils with other laboratory values."""
    return replace(data, target=dict(zip(data.names, map(float, values), strict=True)))


class Scripted:
    """A method whose predictor does what a function of the training data says."""

    def __init__(self, name: str, make: Any) -> None:
        self.name, self.make, self.calls = name, make, []

    def fit(self, rows: TrainingRows) -> Any:
        target = rows.target
        self.calls.append((rows.reflectance, target, rows.groups, rows.seed))
        answer = self.make(rows.reflectance, target)

        class Answer:
            chosen = f"{len(target)} rows"

            def predict(self, values: np.ndarray) -> np.ndarray:
                return np.array([answer(row) for row in values])

        return Answer()


def mean_of_training() -> Scripted:
    return Scripted("mean", lambda reflectance, target: lambda row: target.mean())


def memory() -> Scripted:
    """Knows what it has seen by heart, and has no idea of anything else."""

    def make(reflectance: np.ndarray, target: np.ndarray) -> Any:
        known = {row.tobytes(): value for row, value in zip(reflectance, target, strict=True)}
        return lambda row: known.get(row.tobytes(), target.mean())

    return Scripted("memory", make)
