"""Quality gate on damage: a band that differs from all of its neighbours, as no instrument can measure it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from .finding import Finding
from .rules import Rules

_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
_BLOCK, _NEAR, _EDGE = 50, 25, 2
_QUANTILE, _TO_SCATTER = 0.8, 1 / 1.2816 * 6 / 70**0.5
"""Of the fourth differences around a band, in sizes of a lone band; over the normal distribution's for white noise.
The median would be zero in values that were rounded to few digits, and the largest would be the band's own."""
_LEAST_SCATTER = 2e-5
_TIMES_MEAN = 6.0
"""What a lone band has over the mean of its stretch at the very least; saves looking at the scatter elsewhere."""
_FARTHEST_NM = 5.0
"""Bands farther apart may well differ; instruments that resolve 3 to 10 nm sample more closely."""


def lone_band(wavelengths_nm: Floats, values: Floats, range_nm: tuple[float, float], rules: Rules) -> list[Finding]:
    """Compare each band with its neighbours: one digit or bit that was changed in a file shows so, and a dead pixel.

    A lone band's height is the lesser of what its fourth difference, and the straight lines through the two bands on
    either side, make of it. So a narrow absorption, the step where detectors join, and noise are none.

    Args:
        wavelengths_nm, values: (bands,) reflectance or absorbance.
        range_nm: what the model needs; the rest is not judged.
        rules: `lone_band_most`, height over the scatter of the fourth differences around it.
    """
    first, end = np.searchsorted(wavelengths_nm, (range_nm[0] - 1e-6, range_nm[1] + 1e-6))
    # Bands outside are not judged, but tell how the first and the last inside scatter.
    start = max(int(first) - _NEAR, 0)
    nm, v = (part[start : end + _NEAR] for part in (wavelengths_nm, values))
    if not rules.lone_band_most or nm.size < 2 * _NEAR:
        return []
    fourth = np.abs(np.convolve(v, _FOURTH, "valid")) / 6
    before = max(int(first) - start - _EDGE, 0)
    at = before + _standing_out(fourth[before : int(end) - start - _EDGE], rules.lone_band_most * _LEAST_SCATTER)
    if not at.size:
        return []
    i = at + _EDGE
    left, right = v[i] - (2 * v[i - 1] - v[i - 2]), v[i] - (2 * v[i + 1] - v[i + 2])
    height = np.where(left * right > 0, np.minimum(np.minimum(np.abs(left), np.abs(right)), fourth[at]), 0.0)
    height[(nm[i + 2] - nm[i - 2] > 4 * _FARTHEST_NM)] = 0.0
    ratio = height / _scatter(fourth, at)
    for k in np.flatnonzero(ratio > rules.lone_band_most):
        if _is_rounding(v, int(i[k]), float(height[k])):
            ratio[k] = 0.0
    worst = int(ratio.argmax())
    if ratio[worst] <= rules.lone_band_most:
        return []
    band, between = i[worst], (v[i[worst] - 1] + v[i[worst] + 1]) / 2
    return [
        Finding(
            "lone_band",
            f"the band at {nm[band]:g} nm is {v[band]:.4g}, and its neighbours {between:.4g}: a damaged file or a dead "
            "pixel? Copy it again, or measure again",
        )
    ]


def _standing_out(sizes: Floats, least: float) -> NDArray[np.intp]:
    """Give the place of the largest in each stretch of (n,) sizes, where it can be a lone band's."""
    starts = np.arange(0, sizes.size, _BLOCK)
    largest = np.maximum.reduceat(sizes, starts)
    possible = (largest > least) & (_BLOCK * largest > _TIMES_MEAN * np.add.reduceat(sizes, starts))
    return np.array([at + int(sizes[at : at + _BLOCK].argmax()) for at in starts[possible].tolist()], dtype=np.intp)


def _is_rounding(values: Floats, band: int, height: float) -> bool:
    """Say whether a band stands out by the few steps that values rounded to few digits can differ by."""
    steps = np.abs(np.diff(values[max(band - _NEAR, 0) : band + _NEAR]))
    differing = steps[steps > 1e-9]
    return bool(differing.size < 0.8 * steps.size and height < 3 * np.median(differing))


def _scatter(fourth: Floats, at: NDArray[np.intp]) -> Floats:
    width = min(2 * _NEAR + 1, fourth.size)
    first = np.clip(at - _NEAR, 0, fourth.size - width)
    around = fourth[first[:, np.newaxis] + np.arange(width)]
    nth = int(_QUANTILE * width)
    scatter: Floats = np.maximum(np.partition(around, nth, axis=1)[:, nth] * _TO_SCATTER, _LEAST_SCATTER)
    return scatter
