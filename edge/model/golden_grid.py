"""Wavelengths of a bundle's golden spectra: first, step and count where these say all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats

GRID, EACH = "golden_grid", "golden_wavelengths_nm"
MOST_BANDS = 100_000
"""A grid in a damaged file could else ask for any amount of memory."""


def pack_grid(nm: Floats) -> dict[str, NDArray[Any]]:
    """Give wavelengths (bands,) in nm as an array of a bundle: a grid only where it gives back every digit of them."""
    grid = np.array([nm[0], nm[1] - nm[0], nm.size])
    return {GRID: grid} if np.array_equal(_on(grid), nm) else {EACH: nm}


def unpack_grid(arrays: Mapping[str, Any]) -> Floats:
    """Read what `pack_grid` gave; bundles of versions 1 and 2 have each wavelength.

    Raises:
        KeyError, ValueError: no such array, or a grid that is none.
    """
    if GRID not in arrays:
        return np.asarray(arrays[EACH], dtype=np.float64)
    grid = np.asarray(arrays[GRID], dtype=np.float64)
    if grid.shape != (3,) or not np.isfinite(grid).all() or not 2 <= grid[2] <= MOST_BANDS or grid[2] % 1:
        raise ValueError(f"{GRID} is {grid.tolist()}, not first, step and count")
    return _on(grid)


def _on(grid: Floats) -> Floats:
    first, step, count = (float(value) for value in grid)
    return np.asarray(first + step * np.arange(int(count)))
