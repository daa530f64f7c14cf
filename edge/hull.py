"""The convex hull over a spectrum: the straight-line "continuum" that absorption bands hang below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def upper_hull(values: Floats, x: Floats) -> list[int]:
    """Find the corners of the upper convex hull of one curve.

    Args:
        values: (bands,).
        x: (bands,) ascending.

    Returns:
        Indices of the corners, ascending, the first and last band among them.
    """
    corners = [0]
    stack = [(0, values.size - 1)]
    while stack:
        first, last = stack.pop()
        if last - first > 1:
            slope = (values[last] - values[first]) / (x[last] - x[first])
            above = values[first + 1 : last] - (values[first] + slope * (x[first + 1 : last] - x[first]))
            farthest = int(above.argmax())
            if above[farthest] > 0:
                middle = first + 1 + farthest
                stack.append((middle, last))
                stack.append((first, middle))
                continue
        corners.append(last)
    return corners


def upper_continuum(values: Floats, x: Floats) -> Floats:
    """Draw the upper convex hull over each curve, at every band.

    Args:
        values: (n, bands).
        x: (bands,) ascending.

    Returns:
        (n, bands), nowhere below `values` by more than rounding, equal to them at the hull's corners.
    """
    continuum = np.empty_like(values)
    for row, curve in enumerate(values):
        corners = upper_hull(curve, x)
        continuum[row] = np.interp(x, x[corners], curve[corners])
    return continuum
