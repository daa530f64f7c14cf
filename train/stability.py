"""Find what a finished model can bear of a spectrum; stored in the bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.errors import UnsuitableSpectrumError
from ..edge.gates.spectrum import noise_of, steps_of
from ..edge.model.bundle import Bundle
from ..edge.model.estimate import Estimate, Estimator
from ..edge.model.joins import BOUNDARIES_NM
from ..edge.model.stability import UNKNOWN_LIMITS, StabilityLimits
from ..edge.model.suitability import require_reflectance
from ..edge.model.target import forward

TRIED = (2, 3, 4, 5, 6, 8, 10, 15, 20)
"""Times the calibration's distance of bands."""
MOVED = 0.1
"""Of the interval's width, by which estimates may move where bands are missing."""
NOISE_TRIED = (0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.0007, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01)
STEPS_TRIED = (0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1)
MOVED_OUT, KEPT_SHARE = 0.5, 0.95
"""Of the interval's width, by which an estimate moves out of it; and the share of spectra that noise or a step at the
limit must not move so far."""
OWN_ROOM = 1.5
"""Times the noise and the steps that the calibration's spectra have themselves: no limit is lower."""
DRAWS, SEED = 2, 0
ENOUGH = 40


class _Known(NamedTuple):
    """Spectra that a bundle answers, with the answers and the widths of their intervals in the transform's space."""

    estimator: Estimator
    spectra: list[Spectrum]
    answers: Floats
    widths: Floats

    def moved(self, worse: Sequence[Spectrum]) -> Floats:
        """Say how far (n,) answers move, in widths of their intervals; NaN for those that are refused then."""
        transform = self.estimator.bundle.transform
        values = [one.value if isinstance(one, Estimate) else np.nan for one in self.estimator.estimate(worse)]
        return np.asarray(np.abs(forward(np.array(values), transform) - self.answers) / self.widths)

    def used(self, spectrum: Spectrum) -> tuple[Floats, Floats]:
        """Give wavelengths and reflectance of the bands that the model uses."""
        first_nm, last_nm = self.estimator.bundle.recipe.range_nm
        used = slice(*np.searchsorted(spectrum.wavelengths_nm, (first_nm - 1e-6, last_nm + 1e-6)))
        return spectrum.wavelengths_nm[used], spectrum.values[used]


def fit_stability(bundle: Bundle, spectra: Sequence[Spectrum]) -> StabilityLimits:
    """Find the noise, the step at a detector join and the distance of bands that a finished model can bear.

    Noise and steps are put onto the spectra, more and more of them, as far as 95 of 100 answers stay within half of
    their interval's width. A limit is never below one and a half times what 95 of 100 of the spectra have themselves.
    Steps are put where the spectra's detectors join, or, where they name no joins, where instruments of three detectors
    have them.

    Args:
        bundle: finished but for this.
        spectra: of the calibration's kind, reflectance or absorbance.

    Returns:
        The limits; all unknown if the bundle has no interval, or answers for too few of the spectra.
    """
    known = _known(bundle, spectra)
    if known is None:
        return UNKNOWN_LIMITS
    return StabilityLimits(_fit_noise(known), _fit_step(known), _fit_sampling(known))


def _fit_sampling(known: _Known) -> float:
    borne = 1.0
    for times in TRIED:
        moved = known.moved([_thinned(spectrum, times) for spectrum in known.spectra])
        if np.isnan(moved).all() or np.nanpercentile(moved, 75) > MOVED:
            break
        borne = float(times)
    return borne


def _fit_noise(known: _Known) -> float:
    own = [noise_of(*known.used(spectrum), spectrum.splices_nm) for spectrum in known.spectra]

    def worse(noise: float, rng: np.random.Generator) -> list[list[Spectrum]]:
        return [
            [replace(one, values=one.values + rng.normal(0, noise, one.values.size)) for one in known.spectra]
            for _ in range(DRAWS)
        ]

    return _borne(known, NOISE_TRIED, worse, own)


def _fit_step(known: _Known) -> float | None:
    low, high = known.estimator.bundle.recipe.range_nm
    middles = tuple((first + last) / 2 for first, last in BOUNDARIES_NM)
    named = [spectrum.splices_nm or middles for spectrum in known.spectra]
    own = [
        abs(step)
        for spectrum, joins in zip(known.spectra, named, strict=True)
        for _, step in steps_of(*known.used(spectrum), joins)
    ]
    joins_nm = sorted({join for joins in named for join in joins if low < join < high})

    def worse(step: float, rng: np.random.Generator) -> list[list[Spectrum]]:
        return [
            [replace(one, values=one.values + sign * step * (one.wavelengths_nm > join)) for one in known.spectra]
            for join in joins_nm
            for sign in (1, -1)
        ]

    return _borne(known, STEPS_TRIED, worse, own) if joins_nm else None


def _borne(
    known: _Known,
    tried: Sequence[float],
    worse: Callable[[float, np.random.Generator], list[list[Spectrum]]],
    own: Sequence[float],
) -> float:
    """Give the largest size of a fault that is borne in each of the ways that `worse` puts it."""
    rng = np.random.default_rng(SEED)
    borne = 0.0
    for size in tried:
        ways = [known.moved(spectra) for spectra in worse(size, rng)]
        if any(np.isnan(way).all() or np.nanpercentile(way, 100 * KEPT_SHARE) > MOVED_OUT for way in ways):
            break
        borne = size
    return max(borne, tried[0], OWN_ROOM * float(np.percentile(own, 100 * KEPT_SHARE)) if own else 0.0)


def _known(bundle: Bundle, spectra: Sequence[Spectrum]) -> _Known | None:
    """Choose spectra evenly, as reflectance, and ask for their answers; None if too few of these have an interval."""
    at = np.unique(np.linspace(0, len(spectra) - 1, min(ENOUGH, len(spectra))).round().astype(int)) if spectra else ()
    chosen = [one for i in at if (one := _reflectance(spectra[i], bundle)) is not None]
    # Without golden spectra it compares no sampling with the calibration's.
    estimator = Estimator(replace(bundle, golden=None))
    known = [
        (spectrum, answer)
        for spectrum, answer in zip(chosen, estimator.estimate(chosen), strict=True)
        if isinstance(answer, Estimate) and answer.low is not None and answer.high is not None
    ]
    low, high, value = (
        forward(np.array([getattr(answer, name) for _, answer in known], dtype=np.float64), bundle.transform)
        for name in ("low", "high", "value")
    )
    telling = high > low
    if np.count_nonzero(telling) < 3:
        return None
    return _Known(
        estimator,
        [spectrum for (spectrum, _), tells in zip(known, telling, strict=True) if tells],
        value[telling],
        (high - low)[telling],
    )


def _reflectance(spectrum: Spectrum, bundle: Bundle) -> Spectrum | None:
    try:
        values = require_reflectance(spectrum, bundle.recipe.range_nm)
    except UnsuitableSpectrumError:
        return None
    return replace(spectrum, values=values, quantity="reflectance")


def _thinned(spectrum: Spectrum, times: int) -> Spectrum:
    """Keep every so-many-th band, and the last."""
    kept = np.unique([*range(0, spectrum.wavelengths_nm.size, times), spectrum.wavelengths_nm.size - 1])
    return replace(spectrum, wavelengths_nm=spectrum.wavelengths_nm[kept], values=spectrum.values[kept])
