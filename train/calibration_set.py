"""Spectra on one grid beside laboratory values: what models are made from and held against."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.errors import UnsuitableSpectrumError
from ..edge.model.estimate import HIGHEST_REFLECTANCE, require_reflectance
from ..edge.model.recipe import Recipe
from ..edge.model.steps import Resample, SpliceCorrection
from .errors import TrainingDataError
from .methods.method import FEWEST_NM, FIRST_NM, LAST_NM
from .samples import Joined, Replicates, replicate_rows


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Rows of reflectance with a value each.

    Attributes:
        reflectance: (n, bands) as a fraction.
        wavelengths_nm: (bands,) ascending.
        target: (n,) laboratory values.
        samples: n names; several rows may be of one sample.
        name, unit: of the target, such as Sb and ppm.
        groups: n labels such as sites or grid cells; None for none.
        splices_nm: where the instrument's detectors join; () if unknown or corrected.

    Raises:
        TrainingDataError: a spectrum or value that cannot be used, or a target that does not vary; the line names the
            sample.
        ValueError: lengths that do not match.
    """

    reflectance: Floats
    wavelengths_nm: Floats
    target: Floats
    samples: tuple[str, ...]
    name: str
    unit: str
    groups: tuple[Hashable, ...] | None = None
    splices_nm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for field in ("reflectance", "wavelengths_nm", "target"):
            object.__setattr__(self, field, np.asarray(getattr(self, field), dtype=np.float64))
        n = self.target.size
        if self.reflectance.shape != (n, self.wavelengths_nm.size) or len(self.samples) != n:
            raise ValueError(
                f"{len(self.samples)} names, {n} values and {self.wavelengths_nm.size} wavelengths do not go with "
                f"reflectance of shape {self.reflectance.shape}"
            )
        if self.groups is not None and len(self.groups) != n:
            raise ValueError(f"{len(self.groups)} groups for {n} rows; one each is needed")
        if n < 2:
            raise TrainingDataError(
                f"{n} sample{'' if n == 1 else 's'} with spectrum and value; nothing can be learned"
            )
        self._check_values()

    def _check_values(self) -> None:
        bad = np.flatnonzero(~np.isfinite(self.target))
        if bad.size:
            raise TrainingDataError(f"sample {self.samples[bad[0]]} has {self.name} {self.target[bad[0]]}, no number")
        if self.target.min() == self.target.max():
            raise TrainingDataError(
                f"all {self.target.size} values of {self.name} are {self.target[0]:g} {self.unit}; "
                "there is nothing to learn"
            )
        used = (self.wavelengths_nm >= FIRST_NM) & (self.wavelengths_nm <= LAST_NM)
        good = np.isfinite(self.reflectance)
        good[:, used] &= (self.reflectance[:, used] > 0) & (self.reflectance[:, used] <= HIGHEST_REFLECTANCE)
        if not good.all():
            row, band = np.argwhere(~good)[0]
            raise TrainingDataError(
                f"sample {self.samples[row]} has reflectance {self.reflectance[row, band]:g} at "
                f"{self.wavelengths_nm[band]:g} nm; a number above 0 and up to {HIGHEST_REFLECTANCE:g} is needed: "
                "leave the spectrum out, or measure again"
            )

    def __len__(self) -> int:
        return int(self.target.size)


def from_spectra(
    spectra: Sequence[Spectrum],
    target: Mapping[str, float],
    name: str,
    unit: str,
    groups: Mapping[str, Hashable] | None = None,
) -> CalibrationSet:
    """Bring spectra of whatever grids onto one, beside their samples' values.

    Where all are on one grid with the same detector joins, they stay as they are. Otherwise each is corrected at its
    own joins and resampled to every nm of what all of them cover.

    Args:
        spectra: reflectance or absorbance.
        target: sample -> value.
        name, unit: of the values.
        groups: sample -> site or grid cell.

    Raises:
        TrainingDataError: nothing in common, a sample without value or group, or a spectrum that cannot be used.
    """
    if not spectra:
        raise TrainingDataError(f"no spectra to hold against {name}")
    for s in spectra:
        if s.sample_id not in target:
            raise TrainingDataError(f"{s.source}: sample {s.sample_id} has no value for {name}")
        if groups is not None and s.sample_id not in groups:
            raise TrainingDataError(f"{s.source}: sample {s.sample_id} belongs to no group; give one to every sample")
    first_nm, last_nm = (max(s.range_nm[0] for s in spectra), min(s.range_nm[1] for s in spectra))
    if last_nm - first_nm < FEWEST_NM:
        low, high = max(spectra, key=lambda s: s.range_nm[0]), min(spectra, key=lambda s: s.range_nm[1])
        raise TrainingDataError(
            f"{low.source} begins at {first_nm:g} nm and {high.source} ends at {last_nm:g} nm; spectra that are to be "
            f"used together need {FEWEST_NM:g} nm in common"
        )
    # Bands that no model uses need not be sound.
    needed = max(first_nm, FIRST_NM), min(last_nm, LAST_NM)
    rows = []
    for s in spectra:
        try:
            rows.append(require_reflectance(s, needed))
        except UnsuitableSpectrumError as error:
            raise TrainingDataError(f"{s.source}: {error}") from error
    one_grid = len({(s.wavelengths_nm.tobytes(), s.splices_nm) for s in spectra}) == 1
    if one_grid:
        nm, reflectance, splices = spectra[0].wavelengths_nm, np.stack(rows), spectra[0].splices_nm
    else:
        recipe = Recipe((SpliceCorrection(), Resample(math.ceil(first_nm), math.floor(last_nm), 1.0)))
        reflectance = np.stack(
            [recipe.preprocess(r, s.wavelengths_nm, s.splices_nm).spectra for r, s in zip(rows, spectra, strict=True)]
        )
        nm, splices = recipe.grid_nm, ()
    samples = tuple(s.sample_id for s in spectra)
    return CalibrationSet(
        reflectance,
        nm,
        np.array([target[sample] for sample in samples]),
        samples,
        name,
        unit,
        None if groups is None else tuple(groups[sample] for sample in samples),
        splices,
    )


def from_joined(
    joined: Joined, replicates: Replicates = "average", groups: Mapping[str, Hashable] | None = None
) -> CalibrationSet:
    """Make a calibration set of spectra that were joined with assays.

    Args:
        joined: see `dataset.join`.
        replicates: "average" for one row a sample, "each" for one a measurement.
        groups: sample -> site or grid cell.

    Raises:
        TrainingDataError: as `from_spectra` does.
    """
    return from_spectra(replicate_rows(joined.spectra, replicates), joined.target, joined.element, joined.unit, groups)
