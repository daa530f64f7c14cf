"""Quality gates on scans as the instrument delivered them: counts, flags, dark and white."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...converters.spectra.spectrum import Floats
from .finding import Finding
from .rules import Rules

if TYPE_CHECKING:
    from .scans import Identity, Scan

_KIND_NAMES = {"dark": "dark", "white": "white reference", "target": "sample"}


def flags(scan: Scan, identity: Identity) -> list[Finding]:
    """Saturation, shutter, coolers: what the instrument says of a scan itself."""
    return [*saturation(scan), *shutter(scan, identity), *cooler(scan)]


def saturation(scan: Scan) -> list[Finding]:
    """No detector may be at its end; in a saturated band everything reads alike."""
    if not scan.saturated:
        return []
    what = _KIND_NAMES[scan.kind]
    return [Finding("saturated", f"{', '.join(scan.saturated)} saturated in the {what}: optimise, then white again")]


def shutter(scan: Scan, identity: Identity) -> list[Finding]:
    """Open for white and sample, closed for the dark, where the instrument tells."""
    if scan.shutter_closed is None:
        return []
    if scan.shutter_closed and scan.kind != "dark":
        return [Finding("shutter", f"shutter closed during the {_KIND_NAMES[scan.kind]}: measure again")]
    if not scan.shutter_closed and scan.kind == "dark" and identity.shutter:
        return [Finding("shutter", "shutter open during the dark: take the dark again")]
    return []


def cooler(scan: Scan) -> list[Finding]:
    """A detector that is not at its temperature drifts and is noisy."""
    return cooler_alarm(scan.cooler_alarms)


def cooler_alarm(detectors: Sequence[str]) -> list[Finding]:
    """Say whose cooler gives an alarm."""
    if not detectors:
        return []
    names = ", ".join(detectors)
    return [Finding("cooler", f"cooler alarm of {names}: let the instrument cool, in the shade, and measure again")]


def numbers(scan: Scan, bands: int) -> list[Finding]:
    """As many values as bands, all of them numbers."""
    what = _KIND_NAMES[scan.kind]
    if scan.values.size != bands:
        return [Finding("values", f"{scan.values.size} values for {bands} bands in the {what}: measure again")]
    bad = int(np.count_nonzero(~np.isfinite(scan.values)))
    return [Finding("values", f"{bad} values that are no numbers in the {what}: measure again")] if bad else []


def parts(wavelengths_nm: Floats, identity: Identity) -> list[tuple[str, slice]]:
    """Give each detector's name and bands; a detector without bands is left out."""
    edges = [0, *np.searchsorted(wavelengths_nm, identity.splices_nm, side="right").tolist(), wavelengths_nm.size]
    names = (
        identity.detectors
        if len(identity.detectors) == len(edges) - 1
        else tuple(f"detector {number}" for number in range(1, len(edges)))
    )
    return [(name, slice(a, b)) for name, a, b in zip(names, edges[:-1], edges[1:], strict=True) if b > a]


def white_light(
    light: Floats, wavelengths_nm: Floats, identity: Identity, rules: Rules, before: Floats | None = None
) -> list[Finding]:
    """Enough light from the panel in every detector, and not much less than before.

    Args:
        light: (bands,) counts of the white scan without the dark.
        wavelengths_nm: (bands,).
        identity: whose detectors.
        rules: `white_signal_least` of `full_scale_dn`, `lamp_least`.
        before: (bands,) of the white before, with the same settings; None if there is none.
    """
    findings: list[Finding] = []
    lit = light > 0
    if np.count_nonzero(lit) < light.size / 2:
        return [Finding("lamp", "the white is not brighter than the dark: is the lamp on, the probe on the panel?")]
    for name, part in parts(wavelengths_nm, identity):
        signal = _signal(light[part])
        least = rules.white_signal_least * rules.full_scale_dn
        if signal < least:
            share = 100 * signal / rules.full_scale_dn
            findings.append(
                Finding(
                    "low_signal", f"{name} uses {share:.1f} % of its range on the panel: optimise, then white again"
                )
            )
        if before is not None and rules.lamp_least:
            then = _signal(before[part])
            if then > 0 and signal < rules.lamp_least * then:
                percent = 100 * signal / then
                findings.append(
                    Finding(
                        "lamp", f"{name} sees {percent:.0f} % of the last white's light: lamp failing, panel dirty?"
                    )
                )
    return findings


def dark_level(
    dark: Floats, before: Floats, white: Floats | None, rules: Rules, what: str = "since the last one"
) -> list[Finding]:
    """A dark that changes much says that the instrument warms, or that light gets in.

    Args:
        dark, before: (bands,) counts, with the same settings.
        white: (bands,) white counts without dark, to hold the change against; None if not known yet.
        rules: `dark_drift_most`, as part of the white.
        what: since when.
    """
    if white is None or not rules.dark_drift_most:
        return []
    scale = _signal(white)
    change = float(np.median(dark - before))
    if scale <= 0 or abs(change) <= rules.dark_drift_most * scale:
        return []
    return [
        Finding(
            "dark_drift",
            f"the dark changed by {100 * change / scale:.1f} % of the white {what}: warming, or light gets in; take "
            "dark and white again",
        )
    ]


def drift_count(scan: Scan, dark: Scan, white: Floats, rules: Rules) -> list[Finding]:
    """The drift that the instrument itself counts, between the dark in force and this scan."""
    if scan.drift is None or dark.drift is None or not rules.dark_drift_most:
        return []
    scale, change = _signal(white), scan.drift - dark.drift
    if scale <= 0 or abs(change) <= rules.dark_drift_most * scale:
        return []
    return [
        Finding(
            "dark_drift",
            f"the dark drifted by {change:.0f} counts since it was taken: take dark and white again",
        )
    ]


def _signal(light: Floats) -> float:
    """Light of a detector where it sees well: the ninth decile, so that its dim ends do not count."""
    return float(np.quantile(light, 0.9)) if light.size else 0.0
