"""Quality gates on what an instrument's file says of its measurement: dark, coolers, white reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...converters.spectra.spectrum import Spectrum
from .finding import Finding
from .rules import WHITE_VALID_MIN
from .scan import cooler_alarm
from .time import before_its_white, too_old

_DAY_MIN = 24 * 60.0
"""A white reference that is older was taken on another day: the lamp and the instrument were switched off since."""


def from_header(spectrum: Spectrum) -> list[Finding]:
    """Judge what `Spectrum.extra` has of a file's header: dark_corrected, cooler_alarms, white_age_min.

    In a live session this is asked of each scan. A white reference that is older than `WHITE_VALID_MIN` is remarked
    here and not refused within a day: whoever has files can take no new one, and nothing says how warm the lamp was.
    """
    extra = spectrum.extra
    found = []
    if extra.get("dark_corrected", True) in (False, "false"):
        found.append(
            Finding("dark_missing", "dark current not subtracted: take a dark reference, then white, and measure again")
        )
    found += cooler_alarm(_names(extra.get("cooler_alarms")))
    age_min = extra.get("white_age_min")
    if isinstance(age_min, int | float):
        found += before_its_white(-60 * age_min)
        if age_min > _DAY_MIN:
            text = f"white reference {age_min / _DAY_MIN:.0f} days older than the spectrum: measure with a new one"
            found.append(Finding("white_old", text))
        else:
            found += [replace(finding, severity="remark") for finding in too_old("white", age_min, WHITE_VALID_MIN)]
    return found


def _names(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else ()
    return tuple(filter(None, (str(part).strip() for part in parts)))
