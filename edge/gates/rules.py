"""The `[rules]` and `[reference_material]` parts of a probe profile: when a measurement counts, and when it does not.

Every number is zero or above; zero switches its rule off. What each one means, and where its default comes from, is
said in `firmware_configs/probes/framed_serial.toml` and docs/measuring.md.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ProfileError


@dataclass(frozen=True)
class Rules:
    """Minutes and limits of the measuring routine.

    Attributes:
        warm_up_min: minutes that the instrument has to be on before a sample counts.
        warming_min: minutes from switching on during which a white reference lasts only `white_valid_warming_min`.
        white_valid_warming_min: minutes that dark and white may be used while the instrument is warming.
        panel_check_every_min: minutes after which the white panel is measured as a sample.
        panel_tolerance: by how much the panel's reflectance may differ from 1.
        panel_reflectance_file: calibrated reflectance of the panel; "" if none.
        full_scale_dn: counts at which a detector ends; 0 if unknown.
        white_signal_least: least white signal of each detector, as a fraction of `full_scale_dn`.
        signal_least: least reflectance of a sample, median over each detector.
        lamp_least: least part of the white signal before that a new white has to have.
        dark_drift_most: largest change of the dark between two references, or within them, as part of the white.
        noise_most: largest noise of a spectrum, as a standard deviation of reflectance.
        splice_step_most: largest step of reflectance where two detectors join, before it is corrected.
        scatter_most: largest scatter of a sample's points, relative to their mean.
        repeats_most: points of a sample that may be measured again.
        wavelength_check_every_min: minutes after which the reference material is asked for.
        wavelength_shift_most_nm: largest shift of its bands.
        clock_jump_s: largest difference between the clock's progress and the time that has passed.
    """

    warm_up_min: float = 15.0
    warming_min: float = 30.0
    white_valid_warming_min: float = 10.0
    panel_check_every_min: float = 15.0
    panel_tolerance: float = 0.02
    panel_reflectance_file: str = ""
    full_scale_dn: float = 0.0
    white_signal_least: float = 0.05
    signal_least: float = 0.01
    lamp_least: float = 0.5
    dark_drift_most: float = 0.02
    noise_most: float = 0.005
    splice_step_most: float = 0.05
    scatter_most: float = 0.15
    repeats_most: int = 2
    wavelength_check_every_min: float = 0.0
    wavelength_shift_most_nm: float = 1.5
    clock_jump_s: float = 60.0


DEFAULT_RULES = Rules()
"""Of spectra that come without a profile, as from files."""


@dataclass(frozen=True)
class ReferenceMaterial:
    """What the wavelengths are checked with.

    Attributes:
        name: as a person is asked for it.
        bands_nm: positions of its absorption bands.
        search_nm: how far from its position a band is looked for.
    """

    name: str = "Mylar sheet on the white panel"
    bands_nm: tuple[float, ...] = (1661.0, 2131.1)
    search_nm: float = 12.0


_MOST = 1e6


def parse_rules(document: Mapping[str, Any], source: str) -> tuple[Rules, ReferenceMaterial]:
    """Read both sections of a profile; what is left out has its default.

    Args:
        document: the profile's TOML document.
        source: what errors name; a relative `panel_reflectance_file` lies beside it, if it is a file.

    Raises:
        ProfileError: no sections, an unknown key, a value of the wrong kind or range.
    """
    rules = _section(document, "rules", Rules(), source)
    name = rules.get("panel_reflectance_file", "")
    if name and source.endswith(".toml"):
        rules["panel_reflectance_file"] = os.path.join(os.path.dirname(source), name)
    material = ReferenceMaterial(**_section(document, "reference_material", ReferenceMaterial(), source))
    if any(b - a <= 0 for a, b in zip(material.bands_nm[:-1], material.bands_nm[1:], strict=True)):
        raise ProfileError(f"{source}: reference_material.bands_nm do not ascend")
    if material.search_nm <= 0:
        raise ProfileError(f"{source}: reference_material.search_nm = {material.search_nm:g}; a number above 0")
    return Rules(**rules), material


def _section(document: Mapping[str, Any], section: str, defaults: Any, source: str) -> dict[str, Any]:
    table = document.get(section, {})
    if not isinstance(table, dict):
        raise ProfileError(f"{source}: {section} is no section; write [{section}]")
    known = [field.name for field in fields(defaults)]
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ProfileError(f"{source}: unknown key {section}.{unknown[0]}; known are {', '.join(known)}")
    return {key: _value(value, getattr(defaults, key), f"{source}: {section}.{key}") for key, value in table.items()}


def _value(value: Any, default: Any, where: str) -> Any:
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ProfileError(f"{where} = {value!r}; a text is needed")
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list) or not value or not all(_is_number(item) and item > 0 for item in value):
            raise ProfileError(f"{where} = {value!r}; a list of wavelengths in nm is needed")
        return tuple(float(item) for item in value)
    whole = isinstance(default, int)
    if not _is_number(value) or (whole and not isinstance(value, int)) or not 0 <= value <= _MOST:
        kind = "a whole number" if whole else "a number"
        raise ProfileError(f"{where} = {value!r}; {kind} from 0 to {_MOST:g} is needed, 0 for no such rule")
    return value if whole else float(value)


def _is_number(value: Any) -> bool:
    # TOML knows true and false, which Python counts among the integers.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
