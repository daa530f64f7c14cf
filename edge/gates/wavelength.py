"""Quality gate on wavelengths: are the bands of the `[reference_material]` of a profile where they belong?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..limits import Within
from ..toml_file import Where, read_list
from .finding import Finding
from .rules import Rules

_LEAST_DEPTH = 0.01
"""A band shallower than this, relative to the lower end of its stretch, cannot be told from noise."""


def _read_bands(value: Any, where: Where) -> tuple[float, ...]:
    bands = read_list(value, where)
    if not bands or not all(type(band) in (int, float) and 0 < band < 1e6 for band in bands):
        raise where.needs(value, "a list of wavelengths in nm is needed")
    if any(b <= a for a, b in pairwise(bands)):
        raise where.says(f"{where.path} do not ascend")
    return tuple(float(band) for band in bands)


@dataclass(frozen=True)
class ReferenceMaterial:
    """What the wavelengths are checked with.

    Attributes:
        name: as a person is asked for it.
        bands_nm: positions of its absorption bands.
        search_nm: how far from its position a band is looked for.
    """

    name: str = "Mylar sheet on the white panel"
    bands_nm: Annotated[tuple[float, ...], _read_bands] = (1661.0, 2131.1)
    search_nm: Annotated[float, Within(0, 1e6, "nm", above=True)] = 12.0


def wavelength_check(
    wavelengths_nm: Floats, reflectance: Floats, material: ReferenceMaterial, rules: Rules
) -> tuple[list[tuple[float, float]], list[Finding]]:
    """Find the bands of the reference material.

    Args:
        wavelengths_nm, reflectance: (bands,) of the material.
        material: where its bands belong.
        rules: `wavelength_shift_most_nm`.

    Returns:
        (position that is due, position that was found), in nm, of each band that could be found; and what is wrong.
        Bands outside the instrument's range are not asked for.
    """
    found, wrong, seen = [], [], 0
    for due_nm in material.bands_nm:
        low_nm, high_nm = due_nm - material.search_nm, due_nm + material.search_nm
        if low_nm < wavelengths_nm[0] or high_nm > wavelengths_nm[-1]:
            continue
        seen += 1
        at_nm = band_position(wavelengths_nm, reflectance, (low_nm, high_nm))
        if at_nm is None:
            wrong.append(
                Finding("wavelength_unknown", f"no band near {due_nm:g} nm: is the probe on the {material.name}?")
            )
            continue
        found.append((due_nm, at_nm))
        shift_nm = at_nm - due_nm
        if rules.wavelength_shift_most_nm and abs(shift_nm) > rules.wavelength_shift_most_nm:
            wrong.append(
                Finding(
                    "wavelength_shift",
                    f"the band at {due_nm:g} nm is found at {at_nm:.1f} nm ({shift_nm:+.1f} nm): the instrument needs "
                    "its maker's service",
                )
            )
    if not seen:
        wrong.append(Finding("wavelength_unknown", f"no band of the {material.name} is in this instrument's range"))
    return found, wrong


def band_position(wavelengths_nm: Floats, values: Floats, between_nm: tuple[float, float]) -> float | None:
    """Give where an absorption band is deepest, in nm; None if there is none.

    A parabola is laid by least squares through the lowest third of the band. A background that slopes moves the lowest
    point by its slope times the band's variance over its depth: 0.02 nm for 2 % in 100 nm under a band 0.3 deep.

    Args:
        wavelengths_nm, values: (bands,) reflectance or transmittance.
        between_nm: the stretch in which the band lies.
    """
    first, end = np.searchsorted(wavelengths_nm, (between_nm[0] - 1e-9, between_nm[1] + 1e-9))
    nm, part = wavelengths_nm[first:end], values[first:end]
    if nm.size < 3 or not np.isfinite(part).all() or (part <= 0).any():
        return None
    lowest = int(part.argmin())
    rim, floor = float(min(part[0], part[-1])), float(part[lowest])
    if lowest in (0, nm.size - 1) or 1 - floor / rim < _LEAST_DEPTH:
        return None
    # Several bands where there are several, so that one noisy band does not decide.
    low = high = lowest
    while low > 0 and part[low - 1] < floor + (rim - floor) / 3:
        low -= 1
    while high < nm.size - 1 and part[high + 1] < floor + (rim - floor) / 3:
        high += 1
    low, high = min(low, lowest - 1), max(high, lowest + 1)
    x = nm[low : high + 1] - nm[lowest]
    curvature, slope, _ = np.polyfit(x, part[low : high + 1], 2)
    if curvature <= 0:
        return None
    at_nm = float(nm[lowest] - slope / (2 * curvature))
    return at_nm if nm[low] <= at_nm <= nm[high] else float(nm[lowest])
