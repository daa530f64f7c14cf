"""What the network answers, and what that is in the element's unit."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats

Transform = Literal["none", "sqrt", "log10"]
Bound = Literal["", ">", "<", "< LOD"]


class DetectionStats(NamedTuple):
    """What can be told from nothing, in the element's unit.

    Attributes:
        critical: estimates up to this also come from samples that hold none.
        limit: the limit of detection: contents from this on are estimated above `critical`.
        method: how they were found.
    """

    critical: float
    limit: float
    method: str


def forward(values: Floats, transform: Transform) -> Floats:
    """Take values in the element's unit, any shape, to the space the network is trained in."""
    values = np.asarray(values, dtype=np.float64)
    if transform == "log10":
        return np.log10(values)
    return np.sqrt(values) if transform == "sqrt" else values


def inverse(values: Floats, transform: Transform) -> Floats:
    """Take values from the network's space back to the element's unit; no correction of the mean is made.

    Back from log10 the answer is a median, not a mean (Miller 1984, The American Statistician 38(2):124).
    """
    values = np.asarray(values, dtype=np.float64)
    if transform == "log10":
        return np.power(10.0, values)
    return np.square(np.maximum(values, 0.0)) if transform == "sqrt" else values


def within_range(outputs: ArrayLike, transform: Transform, calibrated_range: tuple[float, float]) -> list[float]:
    """Take (n,) outputs of the network to the element's unit, each kept within the calibrated range."""
    values: list[float] = np.clip(inverse(np.asarray(outputs, dtype=np.float64), transform), *calibrated_range).tolist()
    return values


def bounds_of(
    outputs: Floats, transform: Transform, calibrated_range: tuple[float, float], detection: DetectionStats | None
) -> list[Bound]:
    """Say of (n,) outputs of the network which may stand as plain values.

    Args:
        outputs: in the transform's space.
        transform: of the target.
        calibrated_range: lowest and highest value in the calibration.
        detection: of the bundle; None if all that the model was calibrated on can be told from nothing.

    Returns:
        (n,) "< LOD" for what is not above the critical value, ">" or "<" beyond the calibrated range, else "".
    """
    lowest, highest = calibrated_range
    critical = -np.inf if detection is None else detection.critical
    return [
        "< LOD" if value <= critical else ">" if value > highest else "<" if value < lowest else ""
        for value in inverse(outputs, transform).tolist()
    ]
