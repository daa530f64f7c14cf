"""Counts of a virtual FieldSpec: light, dark, warm-up, gain and saturation. Made up; only ratios mean something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..protocols.fieldspec_messages import integration_ms

FULL_SCALE = 65535.0
AIM = 0.5 * FULL_SCALE
"""Where optimising wants the brightest channel."""
DARK_CORRECTION = 3.0
"""VDarkCurrentCorrection: counts that an open shutter shows less than a closed one, besides light."""
RANGES_NM = {"VNIR": (350.0, 1000.0), "SWIR1": (1001.0, 1800.0), "SWIR2": (1801.0, 2500.0)}

_WHITE_PER_MS = 450.0
_DARK_BASE, _DARK_PER_MS = 600.0, 0.9
_LEAST_SIGNAL = 500.0
"""Brightest channel, in counts at the longest integration or highest gain tried, below which it gives up."""
_LONGEST_TRIED_STEP = 5
_LEAST_GAIN = 64
_NOISE_DN = 4.0
WARM_UP_S = 600.0


@dataclass
class DetectorSettings:
    """What optimising and instrument control set. Gain is inverse: 2048 is 1, 1024 is 2."""

    step: int = 0
    gain: tuple[int, int] = (2048, 2048)
    offset: tuple[int, int] = (2048, 2048)
    closed: bool = False


@dataclass(frozen=True, eq=False)
class DetectorReading:
    """One measurement of one detector: counts, whether it is saturated, and the VNIR's drift."""

    values: Floats
    saturated: bool
    drift: int = 0


def warming(on_s: float) -> float:
    """1 when just switched on, 0 when warm."""
    return float(np.exp(-on_s / WARM_UP_S))


def _response(detector: str, nm: Floats, on_s: float) -> Floats:
    """Light's way through lamp, fibre and detector: a broad hump, lower and redder while cold."""
    first, last = RANGES_NM[detector]
    along = np.clip((nm - first) / (last - first), 0.0, 1.0)
    hump: Floats = 0.12 + 0.88 * np.sin(np.pi * (0.12 + 0.76 * along)) ** 2
    loss = {"VNIR": 0.06, "SWIR1": 0.03, "SWIR2": 0.04}[detector]
    return np.asarray(hump * (1.0 - loss * warming(on_s) * (1.0 - 0.3 * along)), dtype=np.float64)


def dark_drift(on_s: float, step: int) -> float:
    """Counts that the VNIR's dark has risen by: it falls while warming, then wanders."""
    longer = 1.0 + integration_ms(step) / 200.0
    return longer * (60.0 * warming(on_s) + 6.0 * float(np.sin(on_s / 700.0)))


def vnir(
    nm: Floats, light: Floats, settings: DetectorSettings, on_s: float, scans: int, dice: np.random.Generator
) -> DetectorReading:
    """Measure with the VNIR.

    Args:
        nm: (bands,) wavelengths.
        light: (bands,) reflectance of what is in front times the lamp, 0 where it is dark.
        settings: integration time, shutter.
        on_s: seconds since it was switched on.
        scans: averaged.
        dice: of the noise.
    """
    ms = integration_ms(settings.step)
    pattern = 1.0 + 0.05 * np.sin(nm / 7.0)
    dark = (_DARK_BASE + _DARK_PER_MS * ms) * pattern + dark_drift(on_s, settings.step)
    signal = np.zeros_like(nm) if settings.closed else light * _response("VNIR", nm, on_s) * _WHITE_PER_MS * ms
    offset = 0.0 if settings.closed else DARK_CORRECTION
    counts = dark + signal - offset + _noise(nm, scans, dice)
    # Of masked channels; counted so that the maker's formula, which adds it, takes the drift off.
    drift = round(1000.0 - dark_drift(on_s, settings.step))
    return _clipped(counts, drift)


def swir(
    detector: str,
    nm: Floats,
    light: Floats,
    settings: DetectorSettings,
    on_s: float,
    scans: int,
    dice: np.random.Generator,
) -> DetectorReading:
    """Measure with a SWIR detector, which takes off its own dark."""
    number = {"SWIR1": 0, "SWIR2": 1}[detector]
    gain = 2048.0 / max(settings.gain[number], 1)
    strength = {"SWIR1": 9000.0, "SWIR2": 6000.0}[detector]
    signal = light * _response(detector, nm, on_s) * strength * gain
    # The offset moves where the converter ends, not what is delivered.
    headroom = FULL_SCALE - (2048 - settings.offset[number])
    counts = signal + _noise(nm, scans, dice)
    return DetectorReading(np.minimum(counts, headroom), bool((counts >= headroom).any()))


def _noise(nm: Floats, scans: int, dice: np.random.Generator) -> Floats:
    return np.asarray(dice.normal(0.0, _NOISE_DN / np.sqrt(scans), nm.size), dtype=np.float64)


def _clipped(counts: Floats, drift: int) -> DetectorReading:
    over: NDArray[np.bool_] = counts >= FULL_SCALE
    return DetectorReading(np.clip(counts, 0.0, FULL_SCALE), bool(over.any()), drift)


def optimise_vnir(nm: Floats, light: Floats, on_s: float) -> int | None:
    """Find the integration step whose brightest channel comes nearest to `AIM` from below; None on darkness."""
    brightest = float((light * _response("VNIR", nm, on_s)).max()) * _WHITE_PER_MS
    if brightest * integration_ms(_LONGEST_TRIED_STEP) < _LEAST_SIGNAL:
        return None
    steps = [step for step in range(-1, _LONGEST_TRIED_STEP + 1) if brightest * integration_ms(step) <= AIM]
    return max(steps, default=-1)


def optimise_swir(detector: str, nm: Floats, light: Floats, on_s: float) -> tuple[int, int] | None:
    """Find gain and offset whose brightest channel comes to `AIM`; None on darkness."""
    at_gain_one = swir(detector, nm, light, DetectorSettings(), on_s, 10**9, np.random.default_rng(0)).values.max()
    if at_gain_one * 2048.0 / _LEAST_GAIN < _LEAST_SIGNAL:
        return None
    return int(np.clip(round(2048.0 * at_gain_one / AIM), _LEAST_GAIN, 4096)), 2048
