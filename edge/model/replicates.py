"""The points of one sample: their mean spectrum, and how much they scatter."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Spectrum, with_remarks
from .interval import IntervalStats, normal_quantile


@dataclass(frozen=True, eq=False)
class MeanSpectrum(Spectrum):
    """The mean of several measurements of one sample, which does not forget them.

    Attributes:
        points: the measurements.
    """

    points: tuple[Spectrum, ...] = ()


def mean_spectrum(points: Sequence[Spectrum]) -> MeanSpectrum:
    """Average measurements of one sample, of one quantity, on one grid; what else they say is the first one's."""
    first = points[0]
    said = {field.name: getattr(first, field.name) for field in fields(Spectrum)}
    said |= {
        "values": np.stack([point.values for point in points]).mean(axis=0),
        "measurement": f"mean of {len(points)}",
        "source": f"{first.source} and {len(points) - 1} more",
    }
    return with_remarks(MeanSpectrum(**said, points=tuple(points)), (r for point in points for r in point.remarks))


class ReplicateStats(NamedTuple):
    """How much the points of one calibration sample scatter, in the transform's space.

    Attributes:
        typical: pooled standard deviation of a sample's points.
        limit: standard deviation above which a sample's points scatter more than the calibration's do.
        method: from how many samples and points.
    """

    typical: float
    limit: float
    method: str


class Scatter(NamedTuple):
    """How the points of one sample scatter.

    Attributes:
        sd: standard deviation of the points' outputs, in the transform's space.
        over_limit: that over what calibration samples show, or over the interval where the bundle does not say; None
            if neither is known.
        extra_sd: standard error of the mean beyond what the calibration's samples have; 0 within the limit.
    """

    sd: float
    over_limit: float | None
    extra_sd: float


def scatter(outputs: ArrayLike, replicates: ReplicateStats | None, stats: IntervalStats | None) -> Scatter:
    """Hold the scatter of a sample's points against the calibration's.

    Args:
        outputs: (points,) of the network, two or more.
        replicates: of the bundle. Without it the points may scatter as much as an interval's error does.
        stats: of the bundle.
    """
    outputs = np.asarray(outputs, dtype=np.float64)
    sd = float(outputs.std(ddof=1))
    if replicates is not None:
        typical, limit = replicates.typical, replicates.limit
    elif stats is not None:
        typical = 0.0
        limit = 0.5 * (stats.high_offset - stats.low_offset) / normal_quantile(stats.coverage)
    else:
        return Scatter(sd, None, 0.0)
    if limit <= 0:
        return Scatter(sd, None, 0.0)
    excess = max(sd**2 - typical**2, 0.0) / outputs.size if sd > limit else 0.0
    return Scatter(sd, sd / limit, float(np.sqrt(excess)))
