"""The continuum of a spectrum: its convex hull, a string laid over it that absorption bands hang below."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError
from .arrays import Operator, as_spectra, as_wavelengths, which

ContinuumMethod = Literal["divide", "subtract"]
HullSide = Literal["upper", "lower"]

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
    """Give the places of the corners of the upper hull of a few points: Andrew's monotone chain (1979), upper half."""
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


def _upper_hull(rows: Floats, nm: Floats, part: Floats) -> Floats:
    """Draw the upper hull over each of (n, bands); `part` is how far along the spectrum each band is, 0 to 1."""
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


def continuum_operator(wavelengths_nm: ArrayLike, hull: HullSide = "upper") -> Operator:
    """Twin of `continuum`."""
    nm = as_wavelengths(wavelengths_nm)
    if hull not in ("upper", "lower"):
        raise PreprocessError(f"a hull is upper or lower, not {hull!r}")
    part = (nm - nm[0]) / (nm[-1] - nm[0])

    def draw(values: Floats) -> Floats:
        rows = values.reshape(-1, nm.size)
        drawn = _upper_hull(rows, nm, part) if hull == "upper" else -_upper_hull(-rows, nm, part)
        return drawn.reshape(values.shape)

    return draw


def continuum(values: ArrayLike, wavelengths_nm: ArrayLike, hull: HullSide = "upper") -> Floats:
    """Draw the convex hull over (or under) each spectrum, straight between its corners.

    Args:
        values: (bands,) or (n, bands).
        wavelengths_nm: (bands,), uniform or not.
        hull: "upper" lies over the spectrum and nowhere below it, "lower" under it.

    Returns:
        Same shape and unit as `values`.

    Raises:
        PreprocessError: unknown side, or values that are not finite or do not match the wavelengths.
    """
    nm = as_wavelengths(wavelengths_nm)
    return continuum_operator(nm, hull)(as_spectra(values, nm.size))


def remove_continuum_operator(
    wavelengths_nm: ArrayLike, method: ContinuumMethod = "divide", hull: HullSide = "upper"
) -> Operator:
    """Twin of `remove_continuum`."""
    nm = as_wavelengths(wavelengths_nm)
    draw = continuum_operator(nm, hull)
    if method not in ("divide", "subtract"):
        raise PreprocessError(f"a continuum is removed by divide or subtract, not by {method!r}")

    def subtract(values: Floats) -> Floats:
        drawn = draw(values)
        return np.subtract(values, drawn, out=drawn)

    def divide(values: Floats) -> Floats:
        drawn = draw(values)
        if not (drawn > 0).all():
            raise PreprocessError(
                f"the continuum is {which(drawn, ~(drawn > 0), nm)}: only one above zero can be divided by"
            )
        return np.divide(values, drawn, out=drawn)

    return subtract if method == "subtract" else divide


def remove_continuum(
    values: ArrayLike,
    wavelengths_nm: ArrayLike,
    method: ContinuumMethod = "divide",
    hull: HullSide = "upper",
) -> Floats:
    """Take the continuum out of each spectrum (Clark and Roush 1984, J. Geophysical Research 89(B7):6329).

    Carvalho et al. 2024 (Remote Sensing 16(11):1964) divide for reflectance and subtract for absorbance, both with
    the hull over the spectrum.

    Args:
        values: (bands,) or (n, bands) reflectance or absorbance.
        wavelengths_nm: (bands,), uniform or not.
        method: "divide" leaves 1 on the hull, "subtract" leaves 0.
        hull: "upper" lies over the spectrum, "lower" under it.

    Returns:
        Same shape as `values`; never above 1 or 0 with the upper hull, never below with the lower.

    Raises:
        PreprocessError: unknown method or side; a continuum that is to be divided by and is not above zero.
    """
    nm = as_wavelengths(wavelengths_nm)
    return remove_continuum_operator(nm, method, hull)(as_spectra(values, nm.size))
