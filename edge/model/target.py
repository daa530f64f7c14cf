"""What the network answers, and what that is in the element's unit."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats

Transform = Literal["none", "sqrt", "log10"]
Bound = Literal["", ">", "<", "< LOD"]


class DetectionStats(NamedTuple):
    """What can be told from nothing, in the element's unit, as bundles without an error model say it.

    Attributes:
        critical: critical level: estimates up to this also come from samples that hold none.
        limit: detection limit: contents from this on are estimated above `critical`.
        method: how they were found.
    """

    critical: float
    limit: float
    method: str


class DetectionLevels(NamedTuple):
    """What "not detected" goes by, in the element's unit, whichever section of a bundle says it.

    Attributes:
        critical: critical level; None if nothing shows what blanks read.
        limit: detection limit; None if there is none.
        blank: the most that a blank may be taken to hold.
    """

    critical: float | None
    limit: float | None
    blank: float


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


def not_detected(values: Sequence[float], lows: Sequence[float | None], levels: DetectionLevels) -> list[bool]:
    """Say which samples cannot be told from one that holds nothing: the one place where this is decided.

    An estimate up to the critical level comes from blanks too. But where the interval begins above what blanks hold,
    more than nothing is in the sample, and the verdict is not to say otherwise.

    Args:
        values: (n,) in the element's unit.
        lows: (n,) where their intervals begin; None where there is none.
        levels: of the bundle.
    """
    critical = levels.critical
    if critical is None:
        return [False] * len(values)
    return [value <= critical and (low is None or low <= levels.blank) for value, low in zip(values, lows, strict=True)]


def bounds_of(
    outputs: Floats, transform: Transform, calibrated_range: tuple[float, float], undetected: Sequence[bool]
) -> list[Bound]:
    """Say of (n,) outputs of the network which may stand as plain values.

    Args:
        outputs: in the transform's space.
        transform: of the target.
        calibrated_range: lowest and highest value in the calibration.
        undetected: (n,) from `not_detected`.

    Returns:
        (n,) "< LOD" for what was not detected, ">" or "<" beyond the calibrated range, else "".
    """
    lowest, highest = calibrated_range
    return [
        "< LOD" if nothing else ">" if value > highest else "<" if value < lowest else ""
        for value, nothing in zip(inverse(outputs, transform).tolist(), undetected, strict=True)
    ]
