"""Quality gates on a spectrum, whoever brings it: range, noise, steps at the splices, the scatter of points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from .finding import Finding
from .lone_band import lone_band
from .rules import Rules

_LEAST_BANDS = 30
"""A detector with fewer bands has no noise that could be told from its spectrum."""
_STEP_BANDS = 5
_TO_NOISE = 1.4826 / 6**0.5
"""From the median size of second differences to the standard deviation of white noise."""


def spectrum_gates(spectrum: Spectrum, rules: Rules, range_nm: tuple[float, float]) -> list[Finding]:
    """All gates that need nothing but a spectrum of reflectance, as from a file.

    Args:
        spectrum: reflectance.
        rules: limits.
        range_nm: first and last wavelength that the model needs; the rest is not judged.
    """
    found = [*saturated(spectrum), *wrong_range(spectrum.range_nm, range_nm)]
    first, end = np.searchsorted(spectrum.wavelengths_nm, (range_nm[0] - 1e-6, range_nm[1] + 1e-6))
    nm, values = spectrum.wavelengths_nm[first:end], spectrum.values[first:end]
    found += lone_band(spectrum.wavelengths_nm, spectrum.values, range_nm, rules)
    if spectrum.quantity == "reflectance" and nm.size:
        found += noise(nm, values, spectrum.splices_nm, rules)
        found += splice_steps(nm, values, spectrum.splices_nm, rules)
    return found


def saturated(spectrum: Spectrum) -> list[Finding]:
    """As the file or the instrument says."""
    if not spectrum.saturated:
        return []
    return [Finding("saturated", f"{', '.join(spectrum.saturated)} saturated: optimise again, then measure again")]


def wrong_range(has_nm: tuple[float, float], needs_nm: tuple[float, float]) -> list[Finding]:
    """The instrument has to see all that the model needs."""
    if has_nm[0] <= needs_nm[0] + 1e-6 and has_nm[1] >= needs_nm[1] - 1e-6:
        return []
    return [
        Finding(
            "range",
            f"covers {has_nm[0]:g}-{has_nm[1]:g} nm; the model needs {needs_nm[0]:g}-{needs_nm[1]:g} nm",
        )
    ]


def noise(wavelengths_nm: Floats, values: Floats, splices_nm: tuple[float, ...], rules: Rules) -> list[Finding]:
    """Noise from second differences: what is smooth over three bands cancels out of them.

    The standard deviation of white noise is that of its second differences over sqrt(6); their median size, about zero,
    keeps single bands from counting (Rousseeuw & Croux 1993, JASA 88(424):1273).
    """
    if not rules.noise_most or _is_quiet(wavelengths_nm, values, splices_nm, rules.noise_most):
        return []
    worst = noise_of(wavelengths_nm, values, splices_nm)
    if worst <= rules.noise_most:
        return []
    return [
        Finding("noise", f"noise {worst:.4f} of reflectance, {rules.noise_most:g} is allowed: more scans, more light")
    ]


def _is_quiet(wavelengths_nm: Floats, values: Floats, splices_nm: tuple[float, ...], most: float) -> bool:
    """Say whether noise is at most so much, by counting: at a tenth of what the median costs."""
    near = _seconds(values) <= most / _TO_NOISE
    parts = [near[first : end - 2] for first, end in _detectors(wavelengths_nm, splices_nm)]
    return all(2 * np.count_nonzero(part) > part.size for part in parts)


def noise_in(spectrum: Spectrum, range_nm: tuple[float, float]) -> float:
    """Give the noise of a spectrum's reflectance, as a standard deviation, within the range that a model needs."""
    used = slice(*np.searchsorted(spectrum.wavelengths_nm, (range_nm[0] - 1e-6, range_nm[1] + 1e-6)))
    values = spectrum.values[used]
    if spectrum.quantity == "absorbance":
        values = np.power(10.0, -values)
    return noise_of(spectrum.wavelengths_nm[used], values, spectrum.splices_nm)


def noise_of(wavelengths_nm: Floats, values: Floats, splices_nm: tuple[float, ...]) -> float:
    """Give the noise of the noisiest detector, as a standard deviation of `values`; 0 with too few bands to tell."""
    seconds = _seconds(values)
    of_each = [_median(seconds[first : end - 2]) for first, end in _detectors(wavelengths_nm, splices_nm)]
    return _TO_NOISE * max(of_each, default=0.0)


def _seconds(values: Floats) -> Floats:
    """Sizes of second differences."""
    return np.asarray(np.abs(values[2:] - 2 * values[1:-1] + values[:-2]))


def _median(values: Floats) -> float:
    """Give what `np.median` gives of (n,) finite values, at a third of its cost."""
    middle = values.size // 2
    parted = np.partition(values, middle)
    return float(parted[middle] if values.size % 2 else (parted[:middle].max() + parted[middle]) / 2)


def _detectors(wavelengths_nm: Floats, splices_nm: tuple[float, ...]) -> list[tuple[int, int]]:
    """Give first and end of the bands of each detector that has enough of them."""
    edges = [0, *np.searchsorted(wavelengths_nm, splices_nm, side="right").tolist(), wavelengths_nm.size]
    return [(first, end) for first, end in pairwise(edges) if end - first >= _LEAST_BANDS]


def splice_steps(wavelengths_nm: Floats, values: Floats, splices_nm: tuple[float, ...], rules: Rules) -> list[Finding]:
    """A step that is too large is no drift that the recipe's splice correction may hide."""
    if not rules.splice_step_most:
        return []
    found = []
    for splice_nm, step in steps_of(wavelengths_nm, values, splices_nm):
        if abs(step) > rules.splice_step_most:
            found.append(
                Finding(
                    "splice_step",
                    f"step of {step:+.3f} at {splice_nm:g} nm, {rules.splice_step_most:g} is allowed: warm up, hold "
                    "still, white again",
                )
            )
    return found


def steps_of(wavelengths_nm: Floats, values: Floats, splices_nm: tuple[float, ...]) -> list[tuple[float, float]]:
    """Give (splice in nm, step of `values` there), from straight lines through five bands on either side."""
    steps = []
    for splice_nm in splices_nm:
        at = int(np.searchsorted(wavelengths_nm, splice_nm, side="right"))
        if _STEP_BANDS <= at <= wavelengths_nm.size - _STEP_BANDS:
            around = slice(at - _STEP_BANDS, at + _STEP_BANDS)
            steps.append((splice_nm, float(_step_weights(wavelengths_nm[around].tobytes()) @ values[around])))
    return steps


@lru_cache(maxsize=64)
def _step_weights(wavelengths_nm: bytes) -> Floats:
    """Give what the bands around a splice are multiplied by to give the step between the lines through either side.

    A least-squares line's value at 0 is the sum of y times (1/n - mean(x) dx / (dx . dx)), with dx = x - mean(x).
    """
    x = np.frombuffer(wavelengths_nm)
    x = x - (x[_STEP_BANDS - 1] + x[_STEP_BANDS]) / 2
    before, after = (_weights_at_0(side) for side in (x[:_STEP_BANDS], x[_STEP_BANDS:]))
    return np.concatenate([-before, after])


def _weights_at_0(x: Floats) -> Floats:
    dx = x - x.mean()
    return np.asarray(1 / x.size - x.mean() * dx / (dx @ dx))


def scatter_of(points: Sequence[Floats]) -> float:
    """Give how much points scatter: standard deviation over mean, averaged over the bands; 0 for a single one."""
    if len(points) < 2:
        return 0.0
    stacked = np.stack(points)
    mean = stacked.mean(axis=0)
    usable = mean > 0
    return float(np.mean(stacked.std(axis=0, ddof=1)[usable] / mean[usable])) if usable.any() else 0.0


def replicate_scatter(points: Sequence[Floats], rules: Rules) -> list[Finding]:
    """Points of one sample, (bands,) each, may differ by so much."""
    found = scatter_of(points)
    if not rules.scatter_most or found <= rules.scatter_most:
        return []
    return [
        Finding(
            "scatter",
            f"the {len(points)} points scatter by {100 * found:.0f} %, {100 * rules.scatter_most:g} % is allowed: mix "
            "the sample, measure again",
        )
    ]


def farthest(points: Sequence[Floats]) -> int:
    """Give the index of the point that is farthest from the others' middle, in mean relative difference."""
    stacked = np.stack(points)
    middle = np.median(stacked, axis=0)
    safe = np.where(middle > 0, middle, 1.0)
    return int(np.argmax(np.mean(np.abs(stacked - middle) / safe, axis=1)))
