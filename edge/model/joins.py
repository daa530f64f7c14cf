"""Where one detector of an instrument ends and the next begins: the step there, and how it is taken out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError
from .grid import Grid, Operator, which

SpliceMethod = Literal["additive", "multiplicative"]
Detector = Literal["VNIR", "SWIR1", "SWIR2"]

DETECTORS_NM: dict[Detector, float] = {"VNIR": 700.0, "SWIR1": 1400.0, "SWIR2": 2100.0}
"""A wavelength that each detector sees, whatever the maker's joins: how a detector is found by its name."""


BOUNDARIES_NM = ((900.0, 1100.0), (1650.0, 1950.0))
"""Where instruments of three detectors have their joins: a spectrum that covers one of these has one there."""
_STEP_BANDS, _NEAR, _CANDIDATES = 5, 25, 8
_CLEAR, _CLEARER = 10.0, 2.5
"""A step stands out by so many times the scatter around it, and so many times the next largest. Of 261 soils that were
measured with a FieldSpec (Geeves) one stood out at 1000 nm in 196, at 1800 nm in 175, and nowhere else."""


def find_step(wavelengths_nm: Floats, values: Floats, first_nm: float, last_nm: float) -> float | None:
    """Find the one band after which a spectrum steps up or down as no soil does.

    No soil has a band narrower than an instrument resolves, several of its bands at the sampling of a spectrometer; a
    detector's end is between two.

    Args:
        wavelengths_nm: (bands,) in nm.
        values: (bands,) reflectance or absorbance.
        first_nm, last_nm: where to look.

    Returns:
        The wavelength of the last band before the step; None if none stands out.
    """
    margin = 2 * _NEAR
    first, end = np.searchsorted(wavelengths_nm, (first_nm, last_nm))
    low, high = max(int(first) - margin, 0), min(int(end) + margin, wavelengths_nm.size)
    differences, distances_nm = np.diff(values[low:high]), np.diff(wavelengths_nm[low:high])
    if differences.size < 2 * margin:
        return None
    middle = _STEP_BANDS // 2
    slopes = differences / distances_nm
    medians = np.partition(sliding_window_view(slopes, _STEP_BANDS), middle, axis=-1)[:, middle]
    # Of each difference what its neighbours on both sides do not explain.
    own = slopes[_STEP_BANDS:-_STEP_BANDS] - (medians[: -_STEP_BANDS - 1] + medians[_STEP_BANDS + 1 :]) / 2
    size = np.abs(own) * distances_nm[_STEP_BANDS:-_STEP_BANDS]
    nm = wavelengths_nm[low + _STEP_BANDS : high - _STEP_BANDS - 1]
    within = np.flatnonzero((nm >= first_nm) & (nm <= last_nm))
    # Rounded values may not scatter at all; the least that they can differ by is noise too.
    least = np.abs(differences[differences != 0]).min(initial=np.inf)
    # Differences next to nothing make ratios without end, of which none stands out.
    with np.errstate(over="ignore"):
        ratios = {
            int(i): float(size[i] / (1.4826 * max(np.median(size[max(i - _NEAR, 0) : i + _NEAR + 1]), least)))
            for i in within[np.argsort(size[within])[-_CANDIDATES:]]
        }
    largest, second = sorted(ratios, key=ratios.__getitem__, reverse=True)[:2]
    clear = ratios[largest] > _CLEAR and ratios[largest] > _CLEARER * ratios[second]
    return float(nm[largest]) if clear else None


def _line_to(at_nm: float, nm: Floats, bands: slice, width_nm: float) -> Floats:
    """Return (all bands,) weights whose product with a spectrum is the value at `at_nm` of a straight line.

    It is the least-squares line through those of `bands` that lie within `width_nm` of `at_nm`, or the nearest two.
    """
    distance = np.abs(nm[bands] - at_nm)
    used = distance <= max(width_nm, float(np.sort(distance)[:2][-1]))
    x = nm[bands][used] - at_nm
    centred = x - x.mean()
    spread = float(np.square(centred).sum())
    line = np.full(x.size, 1 / x.size)
    if spread > 0:
        line -= x.mean() * centred / spread
    weights = np.zeros(nm.size)
    weights[bands][used] = line
    return weights


@dataclass(frozen=True)
class Joins:
    """What joins inside a grid mean for its bands.

    Attributes:
        detectors: the bands of each; a band at a join belongs to the detector before it.
        middles_nm: between the last band of a detector and the first of the next.
        support: (k,) bands next to joins, that the two lines at each are laid through.
        to_left, to_right: (k, joins) weights of these bands, for what each side's line reads in the middle.
    """

    detectors: tuple[slice, ...]
    middles_nm: tuple[float, ...]
    support: NDArray[np.intp]
    to_left: Floats
    to_right: Floats

    def sides(self, values: Floats) -> tuple[Floats, Floats]:
        """Read the lines on both sides of each join: (..., joins) of (..., bands)."""
        beside = values.take(self.support, axis=-1)
        return beside @ self.to_left, beside @ self.to_right


def joins_in(grid: Grid, width_nm: float) -> Joins | None:
    """Lay out the lines beside the joins of a grid, `width_nm` long; None if no join lies inside."""
    nm = grid.wavelengths_nm
    detector_of_band = np.searchsorted(np.sort(np.asarray(grid.splices_nm, dtype=np.float64)), nm, side="left")
    joins = (np.flatnonzero(np.diff(detector_of_band)) + 1).tolist()
    if not joins:
        return None
    detectors = tuple(slice(a, b) for a, b in pairwise([0, *joins, nm.size]))
    middles = [(nm[join - 1] + nm[join]) / 2 for join in joins]
    # Everything beside the joins is a sum over the few bands next to them, and is taken in one product.
    lines = np.array(
        [
            [_line_to(at, nm, detectors[i], width_nm), _line_to(at, nm, detectors[i + 1], width_nm)]
            for i, at in enumerate(middles)
        ]
    )
    support = np.flatnonzero(lines.any(axis=(0, 1)))
    to_left, to_right = (np.ascontiguousarray(lines[:, side, support].T) for side in (0, 1))
    return Joins(detectors, tuple(map(float, middles)), support, to_left, to_right)


def joining(grid: Grid, method: SpliceMethod, reference: Detector, width_nm: float) -> Operator:
    """Prepare the correction of the steps at the grid's joins; see `steps.SpliceCorrection`."""
    found = joins_in(grid, width_nm)
    if found is None:
        return lambda values: values
    detectors, joins = found.detectors, found.middles_nm
    nearest_band = int(np.abs(grid.wavelengths_nm - DETECTORS_NM[reference]).argmin())
    fixed = next(i for i, bands in enumerate(detectors) if bands.start <= nearest_band < bands.stop)
    # Steps add up outward from the detector that stays: +1 for those to its left, -1 to its right.
    add_up = np.array(
        [[(i <= join < fixed) - (fixed <= join < i) for i in range(len(detectors))] for join in range(len(joins))],
        dtype=np.float64,
    )
    moved = [i for i in range(len(detectors)) if i != fixed]

    def correct(values: Floats) -> Floats:
        left, right = found.sides(values)
        corrected = values.copy()
        if method == "additive":
            shift = (right - left) @ add_up
            for i in moved:
                corrected[..., detectors[i]] += shift[..., i : i + 1]
            return corrected
        for side in (left, right):
            if not (side > 0).all():
                raise PreprocessError(
                    f"reflectance beside a detector join, {which(side, ~(side > 0), np.array(joins))}, is not above "
                    "zero: no factor can take the step out"
                )
        factor = np.exp(np.log(right / left) @ add_up)
        for i in moved:
            corrected[..., detectors[i]] *= factor[..., i : i + 1]
        return corrected

    return correct
