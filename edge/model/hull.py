"""The continuum of a spectrum: its convex hull, a string laid over it that absorption bands hang below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats

# A band below the chord of any two others is no corner. Comparing each with its neighbours at these distances, in this
# order and among those that are left, thins noisy and smooth spectra alike to a few dozen before a corner is sought.
_STRIDES = (1, 8, 32, 1, 8, 1)
_FEW = 48


def _thin(values: Floats, x: Floats, bands: NDArray[np.intp]) -> NDArray[np.intp]:
    """Leave out those of `bands` that lie on or below a chord between two others."""
    for stride in _STRIDES:
        if bands.size <= max(_FEW, 2 * stride):
            break
        y, at = values.take(bands), x.take(bands)
        rise, run = y[stride:] - y[:-stride], at[stride:] - at[:-stride]
        kept = np.ones(bands.size, dtype=bool)
        np.greater(rise[:-stride] * run[stride:], rise[stride:] * run[:-stride], out=kept[stride:-stride])
        bands = bands[kept]
    return bands


def _corners(values: list[float], x: list[float]) -> list[int]:
    """Find the corners of the upper hull of a few points, by place: Andrew's monotone chain (1979), upper half."""
    corners, slopes = [0], [0.0]
    last_x, last_y = x[0], values[0]
    for i in range(1, len(x)):
        at, y = x[i], values[i]
        slope = (y - last_y) / (at - last_x)
        while len(corners) > 1 and slope >= slopes[-1]:
            corners.pop()
            slopes.pop()
            last_x, last_y = x[corners[-1]], values[corners[-1]]
            slope = (y - last_y) / (at - last_x)
        corners.append(i)
        slopes.append(slope)
        last_x, last_y = at, y
    return corners


def upper_hull(rows: Floats, nm: Floats) -> Floats:
    """Draw the upper convex hull of each of (n, bands), straight between its corners; nowhere below the spectrum."""
    part = (nm - nm[0]) / (nm[-1] - nm[0])
    first, last = rows[:, :1], rows[:, -1:]
    hull: Floats = (last - first) * part
    hull += first
    above = rows > hull
    above[:, 0] = above[:, -1] = True
    for row, values in enumerate(rows):
        bands = np.flatnonzero(above[row])
        if bands.size > 2:
            bands = _thin(values, nm, bands)
            x, y = nm.take(bands), values.take(bands)
            corners = _corners(y.tolist(), x.tolist())
            hull[row] = np.interp(nm, x[corners], y[corners])
    # Rounding must not leave a band sticking out of its own hull.
    return np.maximum(hull, rows, out=hull)
