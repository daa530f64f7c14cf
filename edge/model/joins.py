"""Where one detector of an instrument ends and the next begins: the step there, and how it is taken out."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError
from .grid import Grid, Operator, which

SpliceMethod = Literal["additive", "multiplicative"]
Detector = Literal["VNIR", "SWIR1", "SWIR2"]

DETECTORS_NM: dict[Detector, float] = {"VNIR": 700.0, "SWIR1": 1400.0, "SWIR2": 2100.0}
"""A wavelength that each detector sees, whatever the maker's joins: how a detector is found by its name."""


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


def joining(grid: Grid, method: SpliceMethod, reference: Detector, width_nm: float) -> Operator:
    """Prepare the correction of the steps at the grid's joins; see `steps.SpliceCorrection`.

    A band at the join belongs to the detector before it. Where no join lies inside the grid there is nothing to do.
    """
    nm = grid.wavelengths_nm
    detector_of_band = np.searchsorted(np.sort(np.asarray(grid.splices_nm, dtype=np.float64)), nm, side="left")
    joins = (np.flatnonzero(np.diff(detector_of_band)) + 1).tolist()
    if not joins:
        return lambda values: values
    detectors = [slice(a, b) for a, b in pairwise([0, *joins, nm.size])]
    nearest_band = int(np.abs(nm - DETECTORS_NM[reference]).argmin())
    fixed = next(i for i, bands in enumerate(detectors) if bands.start <= nearest_band < bands.stop)

    # Everything beside the joins is a sum over the few bands next to them, and is taken in one product.
    middles = [(nm[join - 1] + nm[join]) / 2 for join in joins]
    lines = np.array(
        [
            [_line_to(at, nm, detectors[i], width_nm), _line_to(at, nm, detectors[i + 1], width_nm)]
            for i, at in enumerate(middles)
        ]
    )
    support = np.flatnonzero(lines.any(axis=(0, 1)))
    to_left, to_right = (np.ascontiguousarray(lines[:, side, support].T) for side in (0, 1))
    # Steps add up outward from the detector that stays: +1 for those to its left, -1 to its right.
    add_up = np.array(
        [[(i <= join < fixed) - (fixed <= join < i) for i in range(len(detectors))] for join in range(len(joins))],
        dtype=np.float64,
    )
    moved = [i for i in range(len(detectors)) if i != fixed]

    def correct(values: Floats) -> Floats:
        beside = values.take(support, axis=-1)
        left, right = beside @ to_left, beside @ to_right
        corrected = values.copy()
        if method == "additive":
            shift = (right - left) @ add_up
            for i in moved:
                corrected[..., detectors[i]] += shift[..., i : i + 1]
            return corrected
        for side in (left, right):
            if not (side > 0).all():
                raise PreprocessError(
                    f"reflectance beside a detector join, {which(side, ~(side > 0), np.array(middles))}, is not above "
                    "zero: no factor can take the step out"
                )
        factor = np.exp(np.log(right / left) @ add_up)
        for i in moved:
            corrected[..., detectors[i]] *= factor[..., i : i + 1]
        return corrected

    return correct
