"""Quality gates on reflectance: light, noise, steps at the splices, range, the panel, the scatter of points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from .finding import Finding
from .rules import Rules
from .scan import parts
from .scans import Identity

_LEAST_BANDS = 30
"""A detector with fewer bands has no noise that could be told from its spectrum."""
_STEP_BANDS = 5


def spectrum_gates(spectrum: Spectrum, rules: Rules, range_nm: tuple[float, float]) -> list[Finding]:
    """All gates that need nothing but a spectrum of reflectance, as from a file.

    Args:
        spectrum: reflectance.
        rules: limits.
        range_nm: first and last wavelength that the model needs; the rest is not judged.
    """
    found = [*saturated(spectrum), *wrong_range(spectrum.range_nm, range_nm)]
    if spectrum.quantity != "reflectance":
        return found
    inside = _inside(spectrum.wavelengths_nm, range_nm)
    nm, values = spectrum.wavelengths_nm[inside], spectrum.values[inside]
    if nm.size:
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


def low_signal(
    wavelengths_nm: Floats, reflectance: Floats, identity: Identity, range_nm: tuple[float, float], rules: Rules
) -> list[Finding]:
    """Some light from the sample in each detector; none in any says that the lamp is off or the probe in the air."""
    inside = _inside(wavelengths_nm, range_nm)
    dim = []
    judged = 0
    for name, part in parts(wavelengths_nm, identity):
        values = reflectance[part][inside[part]]
        values = values[np.isfinite(values)]
        if values.size:
            judged += 1
            level = float(np.median(values))
            if level < rules.signal_least:
                dim.append((name, level))
    if not dim:
        return []
    if len(dim) == judged:
        return [Finding("lamp", "no light from the sample: lamp off or failed, or the probe is not on the sample")]
    names = ", ".join(f"{name} {100 * level:.1f} %" for name, level in dim)
    return [Finding("low_signal", f"low signal, reflectance of {names}: press the probe on, or check the fibre")]


def noise(wavelengths_nm: Floats, values: Floats, splices_nm: tuple[float, ...], rules: Rules) -> list[Finding]:
    """Noise from second differences: what is smooth over three bands cancels out of them.

    The standard deviation of white noise is that of its second differences over sqrt(6); its median absolute deviation
    keeps single bands from counting (Rousseeuw & Croux 1993, JASA 88(424):1273).
    """
    worst = noise_of(wavelengths_nm, values, splices_nm)
    if not rules.noise_most or worst <= rules.noise_most:
        return []
    return [
        Finding("noise", f"noise {worst:.4f} of reflectance, {rules.noise_most:g} is allowed: more scans, more light")
    ]


def noise_of(wavelengths_nm: Floats, values: Floats, splices_nm: tuple[float, ...]) -> float:
    """Give the noise of the noisiest detector, as a standard deviation of `values`; 0 with too few bands to tell."""
    edges = [0, *np.searchsorted(wavelengths_nm, splices_nm, side="right").tolist(), values.size]
    worst = 0.0
    for first, end in pairwise(edges):
        if end - first >= _LEAST_BANDS:
            second = np.diff(values[first:end], 2)
            worst = max(worst, 1.4826 * float(np.median(np.abs(second - np.median(second)))) / np.sqrt(6))
    return float(worst)


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
            middle = (wavelengths_nm[at - 1] + wavelengths_nm[at]) / 2
            before, after = slice(at - _STEP_BANDS, at), slice(at, at + _STEP_BANDS)
            left, right = (_line_at(wavelengths_nm[side] - middle, values[side]) for side in (before, after))
            steps.append((splice_nm, right - left))
    return steps


def _line_at(x: Floats, y: Floats) -> float:
    """Value at 0 of the least-squares line through the points."""
    dx = x - x.mean()
    return float(y.mean() - x.mean() * (dx @ y) / (dx @ dx))


def panel(
    wavelengths_nm: Floats,
    relative: Floats,
    identity: Identity,
    range_nm: tuple[float, float],
    rules: Rules,
) -> list[Finding]:
    """The white panel, measured as a sample against the white in force, has to read 1.

    Args:
        wavelengths_nm, relative: (bands,) of the panel, relative to its own calibrated reflectance.
        identity: whose detectors.
        range_nm: what the model needs; the rest is not judged.
        rules: `panel_tolerance`.
    """
    inside = _inside(wavelengths_nm, range_nm)
    off = []
    for name, part in parts(wavelengths_nm, identity):
        values = relative[part][inside[part]]
        values = values[np.isfinite(values)]
        level = float(values.mean()) if values.size else 1.0
        if abs(level - 1) > rules.panel_tolerance:
            off.append(f"{name} {level:.3f}")
    if not off or not rules.panel_tolerance:
        return []
    return [Finding("panel_drift", f"the panel reads {', '.join(off)}, not 1: clean it, take a new white")]


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


def _inside(wavelengths_nm: Floats, range_nm: tuple[float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return (wavelengths_nm >= range_nm[0] - 1e-6) & (wavelengths_nm <= range_nm[1] + 1e-6)
