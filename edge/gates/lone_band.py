"""Quality gate on damage: a band that differs from all of its neighbours, as no instrument can measure it."""

from __future__ import annotations

import numpy as np

from ...converters.spectra.spectrum import Floats
from .finding import Finding
from .rules import Rules

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
    second = v[2:] - 2 * v[1:-1] + v[:-2]
    fourth = np.abs(second[2:] - 2 * second[1:-1] + second[:-2]) / 6
    before = max(int(first) - start - _EDGE, 0)
    least = rules.lone_band_most * _LEAST_SCATTER
    possible = [before + at for at in _standing_out(fourth[before : int(end) - start - _EDGE], least)]
    heights = {at: _height(nm, v, at, float(fourth[at])) for at in possible}
    ratios = {
        at + _EDGE: height / _scatter(fourth, at)
        for at, height in heights.items()
        if height > least and not _is_rounding(v, at + _EDGE, height)
    }
    band = max(ratios, key=ratios.__getitem__, default=0)
    if ratios.get(band, 0.0) <= rules.lone_band_most:
        return []
    between = (v[band - 1] + v[band + 1]) / 2
    return [
        Finding(
            "lone_band",
            f"the band at {nm[band]:g} nm is {v[band]:.4g}, and its neighbours {between:.4g}: a damaged file or a dead "
            "pixel? Copy it again, or measure again",
        )
    ]


def _height(nm: Floats, v: Floats, at: int, fourth: float) -> float:
    """Give the height of the band in the middle of the five from `at` on; 0 if it is no lone one."""
    a, b, c, d, e = v[at : at + 5].tolist()
    left, right = c - (2 * b - a), c - (2 * d - e)
    if left * right <= 0 or nm[at + 4] - nm[at] > 4 * _FARTHEST_NM:
        return 0.0
    return float(min(abs(left), abs(right), fourth))


def _standing_out(sizes: Floats, least: float) -> list[int]:
    """Give the place of the largest in each stretch of (n,) sizes, where it can be a lone band's."""
    starts = np.arange(0, sizes.size, _BLOCK)
    largest = np.maximum.reduceat(sizes, starts)
    possible = (largest > least) & (_BLOCK * largest > _TIMES_MEAN * np.add.reduceat(sizes, starts))
    return [at + int(sizes[at : at + _BLOCK].argmax()) for at in starts[possible].tolist()]


def _is_rounding(values: Floats, band: int, height: float) -> bool:
    """Say whether a band stands out by the few steps that values rounded to few digits can differ by."""
    steps = np.abs(np.diff(values[max(band - _NEAR, 0) : band + _NEAR]))
    differing = steps[steps > 1e-9]
    return bool(differing.size < 0.8 * steps.size and height < 3 * np.median(differing))


def _scatter(fourth: Floats, at: int) -> float:
    width = min(2 * _NEAR + 1, fourth.size)
    first = min(max(at - _NEAR, 0), fourth.size - width)
    nth = int(_QUANTILE * width)
    nth_of_all = float(np.partition(fourth[first : first + width], nth)[nth])
    return max(nth_of_all * float(_TO_SCATTER), _LEAST_SCATTER)
