"""Find what a finished model can bear of a spectrum; stored in the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..converters.spectra.spectrum import Spectrum
from ..edge.model.bundle import Bundle
from ..edge.model.estimate import Estimate, Estimator
from ..edge.model.target import forward

TRIED = (2, 3, 4, 5, 6, 8, 10, 15, 20)
"""Times the calibration's distance of bands."""
MOVED = 0.1
"""Of the interval's width."""
ENOUGH = 40


def fit_sampling(bundle: Bundle, spectra: Sequence[Spectrum]) -> float | None:
    """Find how far apart bands may lie before estimates move by more than a tenth of their intervals.

    Args:
        bundle: finished but for this.
        spectra: of the calibration's kind.

    Returns:
        Times the calibration's distance of bands, 1 or more, at which a quarter of the spectra still move by less; None
        if the bundle has no interval, or answers for too few of them.
    """
    # Without golden spectra it compares no sampling with the calibration's.
    estimator = Estimator(replace(bundle, golden=None))
    known = [
        (spectrum, answer)
        for spectrum, answer in zip(spectra[:ENOUGH], estimator.estimate(spectra[:ENOUGH]), strict=True)
        if isinstance(answer, Estimate) and answer.low is not None and answer.high is not None
    ]
    low, high, value = (
        forward(np.array([getattr(answer, name) for _, answer in known], dtype=np.float64), bundle.transform)
        for name in ("low", "high", "value")
    )
    telling = high > low
    if np.count_nonzero(telling) < 3:
        return None
    borne = 1.0
    for times in TRIED:
        answers = estimator.estimate([_thinned(spectrum, times) for spectrum, _ in known])
        moved = [
            abs(float(forward(np.array(answer.value), bundle.transform)) - before) / width
            for answer, before, width, usable in zip(answers, value, high - low, telling, strict=True)
            if usable and isinstance(answer, Estimate)
        ]
        if not moved or float(np.percentile(moved, 75)) > MOVED:
            break
        borne = float(times)
    return borne


def _thinned(spectrum: Spectrum, times: int) -> Spectrum:
    """Keep every so-many-th band, and the last."""
    kept = np.unique([*range(0, spectrum.wavelengths_nm.size, times), spectrum.wavelengths_nm.size - 1])
    return replace(spectrum, wavelengths_nm=spectrum.wavelengths_nm[kept], values=spectrum.values[kept])
