"""Quality gates: what is wrong with a measurement, in words. All are pure functions; docs/measuring.md lists them.

A gate gives findings. One that refuses means: the reading is stored, and no estimate is made from it. A remark goes
with the estimate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["refuse", "remark"]

CODES: dict[str, str] = {
    "saturated": "a detector is at the end of its range",
    "shutter": "the shutter is closed in front of a sample or the panel, or open for the dark",
    "cooler": "a detector's cooler gives an alarm",
    "values": "counts or reflectance that are no numbers, or too few",
    "low_signal": "too little light from the sample, or from the panel",
    "lamp": "the lamp is off, failing, or much weaker than before",
    "lone_band": "a single band is far off its neighbours, as a damaged file has it",
    "noise": "the spectrum is noisier than the profile allows",
    "dark_missing": "there is no dark reference",
    "dark_old": "the dark reference is too old",
    "dark_drift": "the dark has changed",
    "white_missing": "there is no white reference",
    "white_old": "the white reference is too old",
    "white_void": "the white reference was given up",
    "reference_restart": "dark or white are from before the instrument was switched off and on",
    "reference_settings": "dark or white were taken with another integration time or gain",
    "panel_drift": "the panel no longer reads 1",
    "splice_step": "the step where two detectors join is too large to be corrected",
    "wavelength_shift": "bands of the reference material are not where they belong",
    "wavelength_unknown": "bands of the reference material cannot be found",
    "range": "the spectrum does not cover what the model needs",
    "scatter": "the points of a sample scatter too much",
    "points_missing": "a sample has fewer points than it should have",
    "warm_up": "the instrument has not been on for long enough",
    "clock": "this device's clock has jumped",
    "order": "the measurement is older than the one before it, or than its references",
    "ungated": "the spectrum was held against no rules, as somebody asked for",
    "exchanged": "another instrument than the session's has measured",
}
"""Every code a finding may have, and what it means."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: one of `CODES`.
        text: what is wrong and what to do, for a person; one line.
        severity: "refuse" if no estimate may be made, "remark" if it only goes with it.
    """

    code: str
    text: str
    severity: Severity = "refuse"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown finding {self.code!r}")

    def __str__(self) -> str:
        return self.text


def refusing(findings: Iterable[Finding]) -> list[Finding]:
    """Give those that forbid an estimate."""
    return [finding for finding in findings if finding.severity == "refuse"]


def reason(findings: Iterable[Finding]) -> str:
    """Say in one line why there is no estimate: each text once, in order; "" if nothing refuses."""
    return "; ".join(dict.fromkeys(finding.text for finding in refusing(findings)))


def instrument_exchanged(session_instrument: str, instrument: str) -> list[Finding]:
    """Hold who has measured against who measured at the start of the session."""
    if instrument == session_instrument:
        return []
    return [
        Finding(
            "exchanged",
            f"measured by {instrument or 'an unknown instrument'}, and the session is {session_instrument}'s: begin a "
            "new session",
        )
    ]
