"""Which conditions of the ground a model was calibrated for, and whether a spectrum is wetter than any of them.

Water absorbs at 1930 nm, clay minerals at 2205 nm. A dry soil with much clay holds water too, so what tells a wet soil
is a band at 1930 nm that is deeper than its clay accounts for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import CONDITIONS, Floats
from .applicability import LEAST_REFLECTANCE

BANDS_NM = (1830.0, 1930.0, 2130.0, 2140.0, 2205.0, 2245.0)
"""Shoulder, band and shoulder of water, and of clay minerals."""
HALF_WIDTH_NM = 5.0
"""Bands so near are averaged, so that the noise of one counts little."""


class Water(NamedTuple):
    """What a model's calibration spectra show of water; depths are in absorbance.

    Attributes:
        mean, spread: mean and standard deviation of the depth at 1930 nm.
        offset, slope: of the line that gives the depth at 1930 nm from that at 2205 nm, in dry soils.
        most: largest depth beyond that line; above it a soil is wetter than those of the calibration.
    """

    mean: float
    spread: float
    offset: float
    slope: float
    most: float


class Conditions(NamedTuple):
    """What a model was calibrated for.

    Attributes:
        counts: condition -> samples of the calibration in it; those of which nobody said are under "".
        corrected: conditions that a correction was made for, without laboratory values of its own.
        water: None if the model does not see both bands.
        method: what `corrected` and `water` come from, in words.
    """

    counts: Mapping[str, int]
    corrected: tuple[str, ...]
    water: Water | None
    method: str

    @property
    def known(self) -> tuple[str, ...]:
        """The conditions that the model may be used in, from dry to wet."""
        return tuple(one for one in CONDITIONS if self.counts.get(one, 0) or one in self.corrected)


def conditions_to_dict(stats: Conditions) -> dict[str, Any]:
    """Give it as JSON values."""
    water = stats.water._asdict() if stats.water else None
    return {**stats._asdict(), "counts": dict(stats.counts), "corrected": list(stats.corrected), "water": water}


def conditions_from_dict(said: Mapping[str, Any]) -> Conditions:
    """Read what `conditions_to_dict` gave, through JSON."""
    water = said["water"]
    known = {**said, "corrected": tuple(said["corrected"]), "water": Water(**water) if water else None}
    return Conditions(**known)


def sees_water(wavelengths_nm: Floats) -> bool:
    """Say whether a grid (bands,) has both bands, and close enough together."""
    needed = [at for at in BANDS_NM if (np.abs(wavelengths_nm - at) <= HALF_WIDTH_NM + 1e-6).any()]
    return len(needed) == len(BANDS_NM)


def depths(reflectance: ArrayLike, wavelengths_nm: Floats) -> tuple[Floats, Floats]:
    """Measure the bands of water at 1930 nm and of clay minerals at 2205 nm against lines between their shoulders.

    Args:
        reflectance: (n, bands) as a fraction.
        wavelengths_nm: (bands,) of a grid that `sees_water`.

    Returns:
        (n,) and (n,) in absorbance.
    """
    values = np.asarray(reflectance, dtype=np.float64)
    at = []
    for nm in BANDS_NM:
        near = slice(*np.searchsorted(wavelengths_nm, (nm - HALF_WIDTH_NM - 1e-6, nm + HALF_WIDTH_NM + 1e-6)))
        at.append(values[:, near].mean(axis=1))
    absorbance = -np.log10(np.maximum(at, LEAST_REFLECTANCE))
    found = []
    for first in (0, 3):
        left, band, right = BANDS_NM[first : first + 3]
        along = (band - left) / (right - left)
        line = (1 - along) * absorbance[first] + along * absorbance[first + 2]
        found.append(absorbance[first + 1] - line)
    return found[0], found[1]


def water_indices(depth: Floats, water: Water) -> Floats:
    """Give depths (n,) at 1930 nm over the calibration's spread: 0 is its mean, 3 three standard deviations more."""
    return (depth - water.mean) / water.spread


def why_not(
    said: Sequence[str], water_depth: Floats | None, clay_depth: Floats | None, stats: Conditions
) -> tuple[list[str], list[float | None]]:
    """Say of each spectrum why its ground is none that the model is for; "" if nothing speaks against it.

    Args:
        said: n conditions, "" where nobody said.
        water_depth, clay_depth: (n,) from `depths`; None if the model does not see them.
        stats: of the bundle.

    Returns:
        n reasons, and n water indices.
    """
    known = stats.known
    unfit = [_not_for(condition, known) for condition in said]
    if stats.water is None or water_depth is None or clay_depth is None:
        return unfit, [None] * len(unfit)
    beyond = water_depth - stats.water.offset - stats.water.slope * clay_depth
    indices = water_indices(water_depth, stats.water).tolist()
    wetter = (beyond > stats.water.most).tolist()
    reasons = [
        why or (f"wetter than the calibration soils, by the water at 1930 nm (index {index:.1f})" if wet else "")
        for why, wet, index in zip(unfit, wetter, indices, strict=True)
    ]
    return reasons, indices


def _not_for(said: str, known: Sequence[str]) -> str:
    if not said or not known or said in known:
        return ""
    return f"calibrated for {' and '.join(known)} soils only, and this ground is said to be {said}"


def remarks_on_ground(said: str, stats: Conditions) -> tuple[str, ...]:
    """Give what is to be known beside an answer of ground that somebody called damp or wet."""
    if said in ("", "dry"):
        return ()
    if not stats.known:
        return (f"the calibration does not say whether its soils were dry, and this ground is said to be {said}",)
    if said in stats.corrected and not stats.counts.get(said, 0):
        return (f"corrected for {said} ground without assays of it",)
    return ()
