"""Quality gates on what an instrument measured: light of each detector, and the white panel."""

from __future__ import annotations

import numpy as np

from ...converters.spectra.spectrum import Floats
from .finding import Finding
from .rules import Rules
from .scan import parts
from .scans import Identity


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


def _inside(wavelengths_nm: Floats, range_nm: tuple[float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return (wavelengths_nm >= range_nm[0] - 1e-6) & (wavelengths_nm <= range_nm[1] + 1e-6)
