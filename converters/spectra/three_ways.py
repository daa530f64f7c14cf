"""Files that hold a spectrum three ways, as target, white reference and reflectance: the three are compared."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .errors import UnusableSpectrumError
from .spectrum import Floats

_SAME, _SIDE, _KNOWN = 0.001, 9, 7


def check_three_ways(
    wavelengths_nm: Floats, target: Floats, reference: Floats, reflectance: Floats, rounding: float, source: str
) -> None:
    """Compare reflectance with target over reference: a damaged number is in one of the three.

    Their ratio is not 1 (counts of other integration times, a calibrated panel), and steps where detectors join, but no
    band alone is off those on both sides of it.

    Args:
        wavelengths_nm: (bands,) as they stand in the file.
        target, reference: (bands,) in any unit.
        reflectance: (bands,) as a fraction.
        rounding: by which a reflectance in the file may be off.
        source: the file.

    Raises:
        UnusableSpectrumError: one is not what the other two make of it; the message names the wavelength.
    """
    if reflectance.size < 4 * _SIDE:
        return
    # Counts that are no number say nothing; the reflectance beside them is looked at elsewhere.
    usable = (reference > 0) & (reflectance > 0) & (target > 0)
    usable &= np.isfinite(target) & np.isfinite(reference) & np.isfinite(reflectance)
    with np.errstate(all="ignore"):
        ratio = np.where(usable, np.log(target) - np.log(reference) - np.log(reflectance), 0.0)
    sides = sliding_window_view(ratio, _SIDE)
    known = sliding_window_view(usable, _SIDE).sum(axis=-1) >= _KNOWN
    medians = np.median(sides, axis=-1)
    left, right = medians[: -_SIDE - 1], medians[_SIDE + 1 :]
    spread = np.median(np.abs(sides - medians[:, None]), axis=-1)
    inner = slice(_SIDE, -_SIDE)
    off = np.minimum(np.abs(ratio[inner] - left), np.abs(ratio[inner] - right))
    alone = (ratio[inner] - left) * (ratio[inner] - right) > 0
    allowed = _SAME + rounding / np.maximum(reflectance[inner], 1e-9)
    for counts in (target, reference):
        allowed = allowed + _step_of(counts) / np.maximum(counts[inner], 1e-9)
    scatter = 1.4826 * np.maximum(spread[: -_SIDE - 1], spread[_SIDE + 1 :])
    wrong = np.zeros(reflectance.size, dtype=np.bool_)
    with np.errstate(all="ignore"):
        wrong[inner] = usable[inner] & alone & (off > allowed + 20 * scatter)
    wrong[inner] &= known[: -_SIDE - 1] & known[_SIDE + 1 :]
    if wrong.any():
        at_nm = wavelengths_nm[int(np.flatnonzero(wrong)[0])]
        raise UnusableSpectrumError(
            f"{source}: reflectance at {at_nm:g} nm is not target over reference; the file is damaged or was edited: "
            "copy it from the instrument again"
        )


def _step_of(counts: Floats) -> float:
    """Give the step that (bands,) are rounded to, 1, 0.1 or 0.01; 0 if to none of these.

    Half of them are enough: where detectors overlap they are averaged.
    """
    finite = counts[np.isfinite(counts)]
    for step in (1.0, 0.1, 0.01):
        if finite.size and np.mean(np.abs(finite / step - np.round(finite / step)) < 1e-6) >= 0.5:
            return step
    return 0.0
