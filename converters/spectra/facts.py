"""What an instrument's file says of its measurement beside the values, in a text that other formats can carry.

The gates (`edge.gates`) judge by it: a spectrum that was refused must not pass because it was converted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .spectrum import Spectrum
from .text import as_float

FACTS = ("dark_corrected", "cooler_alarms", "white_age_min")
"""Of `Spectrum.extra`; `Spectrum.saturated` goes with them."""
TITLE = "measurement facts"
"""What the line of a text table and the field of an ENVI header begin with that have one text for each spectrum."""


def facts_text(spectrum: Spectrum) -> str:
    """Write the facts of a spectrum, such as "dark_corrected=false; saturated=VNIR SWIR1"; "-" for none."""
    facts = {name: spectrum.extra[name] for name in FACTS if name in spectrum.extra}
    # What is as it should be needs no line.
    if facts.get("dark_corrected") is True:
        del facts["dark_corrected"]
    facts |= {"saturated": " ".join(spectrum.saturated)} if spectrum.saturated else {}
    # Commas and braces part the entries of an ENVI header.
    texts = (f"{name}={str(value).replace(',', '')}" for name, value in facts.items())
    return "; ".join(texts) or "-"


def facts_in(text: str) -> dict[str, str]:
    """Read what `facts_text` wrote; what it did not write is passed over."""
    parts = (part.strip().partition("=") for part in text.split(";"))
    return {name: value for name, _, value in parts if name in (*FACTS, "saturated") and value}


def with_facts(spectrum: Spectrum, facts: Mapping[str, str]) -> Spectrum:
    """Give a spectrum the facts that were read beside it."""
    if not facts:
        return spectrum
    extra: dict[str, Any] = dict(spectrum.extra)
    if "dark_corrected" in facts:
        extra["dark_corrected"] = facts["dark_corrected"].lower() != "false"
    if "cooler_alarms" in facts:
        extra["cooler_alarms"] = ", ".join(facts["cooler_alarms"].split())
    age_min = as_float(facts.get("white_age_min", ""))
    if age_min is not None and math.isfinite(age_min):
        extra["white_age_min"] = age_min
    return replace(spectrum, extra=extra, saturated=tuple(facts.get("saturated", "").split()) or spectrum.saturated)
