"""What a model can bear of a spectrum, as found in training."""

from typing import NamedTuple


class StabilityLimits(NamedTuple):
    """Limits beyond which a spectrum moves a model's estimates too far; None where nobody has found out.

    Attributes:
        noise_most: largest noise, as a standard deviation of reflectance.
        splice_step_most: largest step of reflectance where two detectors join.
        sampling_most: largest distance of bands, in times of the calibration's.
    """

    noise_most: float | None = None
    splice_step_most: float | None = None
    sampling_most: float | None = None


UNKNOWN_LIMITS = StabilityLimits()
