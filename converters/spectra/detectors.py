"""Spectra of several detectors in one file: where they overlap, one of the two is kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableSpectrumError
from .spectrum import Floats

MAX_DETECTORS = 4
MIN_BANDS_PER_DETECTOR = 8
MIN_BANDS_IN_OVERLAP = 2
"""Of each of two detectors with the same distance of bands; a single one is a wavelength with a damaged digit."""
_ALIKE, _NEAR = 0.2, 8
_DAMAGED = "a wavelength is damaged or was edited: copy the file from the instrument again"
_EVEN, _OFF = 0.01, 0.05
"""Of the usual distance of bands: within the first distances are the same, beyond the second a band lies off them."""


def join_detectors(
    wavelengths_nm: Floats, source: str, joins_nm: Sequence[float] = ()
) -> tuple[NDArray[np.intp], tuple[float, ...]]:
    """Choose the bands to keep where the wavelengths of a file go back at the start of each next detector.

    Args:
        wavelengths_nm: (bands,) as in the file: ascending within each detector.
        source: named in errors.
        joins_nm: where the instrument wants the detectors joined; a join outside an overlap is not used.

    Returns:
        Indices of the bands to keep, whose wavelengths never descend, and the join of each pair of detectors
        in nm: the instrument's own, or the middle of their overlap. A detector's bands up to and including
        the join stay, and the next one's bands above it. Wavelengths that never go back give no joins.

    Raises:
        UnusableSpectrumError: the wavelengths go back in a way no row of detectors explains, or one lies off the
            even distances of all others.
    """
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    _check_even(nm, source)
    starts = np.flatnonzero(nm[1:] < nm[:-1]) + 1
    if not starts.size:
        return np.arange(nm.size), ()
    detectors = np.split(np.arange(nm.size), starts)
    if len(detectors) > MAX_DETECTORS or min(map(len, detectors)) < MIN_BANDS_PER_DETECTOR:
        raise UnusableSpectrumError(
            f"{source}: wavelengths do not ascend ({nm[starts[0]]:g} nm comes after {nm[starts[0] - 1]:g} nm)"
        )
    joins = []
    for left, right in pairwise(detectors):
        overlap = float(nm[right[0]]), float(nm[left[-1]])
        if overlap[0] <= nm[left[0]] or nm[right[-1]] <= overlap[1]:
            raise UnusableSpectrumError(
                f"{source}: wavelengths go back from {overlap[1]:g} to {overlap[0]:g} nm, as no detectors do"
            )
        shared = nm[left] >= overlap[0], nm[right] <= overlap[1]
        distances = [float(np.median(np.diff(part))) for part in (nm[left][-_NEAR:], nm[right][:_NEAR])]
        if min(map(np.count_nonzero, shared)) < MIN_BANDS_IN_OVERLAP and np.ptp(distances) <= _ALIKE * min(distances):
            raise UnusableSpectrumError(f"{source}: {overlap[0]:g} nm comes after {overlap[1]:g} nm; {_DAMAGED}")
        middle = round((overlap[0] + overlap[1]) / 2, 6)
        joins.append(next((join for join in joins_nm if overlap[0] <= join <= overlap[1]), middle))
    edges = [-np.inf, *joins, np.inf]
    kept = np.concatenate(
        [d[(nm[d] > low) & (nm[d] <= high)] for d, (low, high) in zip(detectors, pairwise(edges), strict=True)]
    )
    if (np.diff(nm[kept]) < 0).any():
        raise UnusableSpectrumError(f"{source}: more than two detectors overlap at one wavelength")
    return kept, tuple(joins)


def _check_even(nm: Floats, source: str) -> None:
    """Refuse an axis of even distances on which one band lies elsewhere between its neighbours.

    Holes, and axes of several distances, are left alone.
    """
    steps = np.diff(nm)
    usual = float(np.median(steps)) if steps.size else 0.0
    if usual <= 0 or steps.size < 2 * MIN_BANDS_PER_DETECTOR:
        return
    # What is a twentieth off by its digits may be a little less by its binary number.
    off = np.abs(steps - usual) > _OFF * usual * (1 - 1e-6)
    if np.count_nonzero(np.abs(steps - usual) > _EVEN * usual) > 0.05 * steps.size:
        return
    alone = off[:-1] & off[1:] & (np.abs(steps[:-1] + steps[1:] - 2 * usual) <= 2 * _EVEN * usual)
    if alone.any():
        at = int(np.flatnonzero(alone)[0]) + 1
        raise UnusableSpectrumError(
            f"{source}: {nm[at]:g} nm stands between {nm[at - 1]:g} and {nm[at + 1]:g} nm, where bands are {usual:g} "
            f"nm apart; {_DAMAGED}"
        )


def merge_equal(wavelengths_nm: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Average bands that a file gives the same wavelength, as instruments do that sort overlapping detectors.

    Args:
        wavelengths_nm: (bands,) not descending.
        values: (..., bands).

    Returns:
        Strictly ascending wavelengths and their values.
    """
    if (wavelengths_nm[1:] > wavelengths_nm[:-1]).all():
        return wavelengths_nm, values
    unique, first, counts = np.unique(wavelengths_nm, return_index=True, return_counts=True)
    return unique, np.add.reduceat(values, first, axis=-1) / counts
