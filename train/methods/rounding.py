"""What rounding a network to fewer bits adds to its error, at low, middle and high grade."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..crossval.metrics import rms

MOST_ADDED = 0.01
"""Share of the RMSE that a format may add at any grade."""


def grade_limits(measured: Floats) -> tuple[float, float]:
    """Give the highest value of the lower third of (n,), and of the middle third."""
    low, middle = np.quantile(measured, [1 / 3, 2 / 3])
    return float(low), float(middle)


def rows_by_grade(measured: Floats, limits: tuple[float, float]) -> list[NDArray[np.bool_]]:
    """Say which of (n,) values are of low, middle and high grade."""
    low, middle = limits
    return [measured <= low, (measured > low) & (measured <= middle), measured > middle]


def added_by_rounding(rounding: Floats, errors: Floats) -> float:
    """Give the share of the RMSE that rounding adds.

    Both are taken for independent: that a rounding hits the truth by chance is no merit.

    Args:
        rounding: what it changes, in the unit; of any shape.
        errors: of answers to unseen samples, likewise.
    """
    change, rmse = rms(rounding), rms(errors)
    if rmse == 0:
        return float("inf") if change else 0.0
    return float(np.hypot(rmse, change) / rmse - 1.0)
