"""Dark and white in force for an instrument, whatever it speaks, and reflectance made with them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ..errors import MeasurementError, ProfileError
from ..gates.finding import Finding, refusing
from ..gates.rules import Rules
from ..gates.scan import dark_level, drift_count, flags, numbers, parts, white_light
from ..gates.scans import Scan
from ..gates.time import too_old
from ..instruments.driver import Instrument


@dataclass(frozen=True, eq=False)
class Reference:
    """A dark or white that has passed its gates.

    Attributes:
        scan: as delivered.
        scan_id: its row in the log.
        light: (bands,) counts of a white without its dark; of a dark its counts.
    """

    scan: Scan
    scan_id: int
    light: Floats


class References:
    """The dark and white in force.

    Args:
        instrument: connected.
        rules: the profile's.
        panel: (bands,) calibrated reflectance of the white panel on the instrument's wavelengths; None for 1.
    """

    def __init__(self, instrument: Instrument, rules: Rules, panel: Floats | None = None) -> None:
        self._instrument, self._rules = instrument, rules
        self.panel = panel
        self.dark: Reference | None = None
        self.white: Reference | None = None
        self._void: Finding | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """What a sample cannot be measured without, in the order in which it is measured."""
        identity = self._instrument.identity
        if identity.delivers == "reflectance":
            return ()
        return ("dark", "white") if identity.needs_dark else ("white",)

    def take(self, scan: Scan, scan_id: int) -> list[Finding]:
        """Keep a dark or white from now on unless something refuses it; give what is wrong with it."""
        found = self.judge(scan)
        if not refusing(found):
            self.keep(scan, scan_id)
        return found

    def judge(self, scan: Scan) -> list[Finding]:
        """Say what is wrong with a dark or white."""
        instrument = self._instrument
        found = [*flags(scan, instrument.identity), *numbers(scan, instrument.wavelengths_nm.size)]
        if scan.unit != "raw_dn":
            found.append(Finding("values", f"reflectance where counts are due, in the {scan.kind}: measure again"))
        if refusing(found):
            return found
        return found + (self._wrong_with_dark(scan) if scan.kind == "dark" else self._wrong_with_white(scan))

    def keep(self, scan: Scan, scan_id: int) -> None:
        """Use a dark or white from now on; `judge` it first."""
        if scan.kind == "dark":
            self.dark = Reference(scan, scan_id, scan.values)
            return
        light = self._instrument.correct_dark(scan, self.dark.scan if self.dark is not None else None)
        self.white = Reference(scan, scan_id, light)
        self._void = None

    def _wrong_with_dark(self, scan: Scan) -> list[Finding]:
        before = self.dark
        if before is None or before.scan.settings != scan.settings or before.scan.boot != scan.boot:
            return []
        white = self.white.light if self.white is not None else None
        # Worth knowing, and no fault of this dark: it is the newer one that counts.
        own = self._own_dark(scan)
        seen = None if white is None or not own.any() else white[own]
        drifted = dark_level(scan.values[own], before.scan.values[own], seen, self._rules)
        return [Finding(finding.code, finding.text, "remark") for finding in drifted]

    def _wrong_with_white(self, scan: Scan) -> list[Finding]:
        if "dark" in self.needed:
            missing = self._wrong_with("dark", scan)
            if missing:
                return missing
        try:
            light = self._instrument.correct_dark(scan, self.dark.scan if self.dark is not None else None)
        except MeasurementError as error:
            return [Finding("reference_settings", str(error).removeprefix(f"{self._instrument.name}: "))]
        before = self.white
        same = before is not None and before.scan.settings == scan.settings
        identity, nm = self._instrument.identity, self._instrument.wavelengths_nm
        return white_light(light, nm, identity, self._rules, before.light if before is not None and same else None)

    def give_up(self, finding: Finding) -> None:
        """Use this white no more, for a reason; a new one makes good for it."""
        self._void = finding

    def forget_future(self, now_s: float) -> None:
        """Give up what was measured in the future, as a clock that was set back says: nobody knows how old it is."""
        if any(kept is not None and kept.scan.taken_s > now_s for kept in (self.dark, self.white)):
            self.forget()

    def forget(self) -> None:
        """Use neither any more, as after the instrument has set its integration time and gains anew."""
        self.dark = self.white = self._void = None

    def complaints(self, valid_min: float, now_s: float | None = None) -> list[Finding]:
        """Say why the next sample cannot be measured with the dark and white there are; [] if it can.

        Args:
            valid_min: minutes that they may be used now.
            now_s: `time.monotonic()`; now if not given.
        """
        now_s = time.monotonic() if now_s is None else now_s
        found = []
        for kind in self.needed:
            reference = self._of(kind)
            if reference is None:
                found.append(Finding(f"{kind}_missing", f"{kind} reference missing: take it first"))
            else:
                found += too_old(kind, (now_s - reference.scan.taken_s) / 60, valid_min)
        if [finding.code for finding in found] == ["dark_old", "white_old"]:
            # Both are taken together, and one line says it.
            found = [Finding("white_old", found[1].text.replace("white reference", "dark and white reference"))]
        return [*found, *([self._void] if self._void is not None and self.white is not None else [])]

    def wrong_with(self, scan: Scan, valid_min: float) -> list[Finding]:
        """Say why no reflectance may be made of a scan; [] if it may."""
        found = [finding for kind in self.needed for finding in self._wrong_with(kind, scan)]
        found = found or self.complaints(valid_min, scan.taken_s)
        if not found and self.dark is not None and self.white is not None:
            own = self._own_dark(self.dark.scan)
            if own.any():
                found = drift_count(scan, self.dark.scan, self.white.light[own], self._rules)
        return found

    def _own_dark(self, scan: Scan) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Mark the bands whose detectors do not subtract their dark themselves: only there a dark is one."""
        marked = np.zeros(scan.values.size, dtype=bool)
        for name, part in parts(self._instrument.wavelengths_nm, self._instrument.identity):
            marked[part] = name not in scan.dark_subtracted
        return marked

    def _wrong_with(self, kind: str, scan: Scan) -> list[Finding]:
        reference = self._of(kind)
        if reference is None:
            return [Finding(f"{kind}_missing", f"{kind} reference missing: take it first")]
        if reference.scan.boot != scan.boot:
            return [
                Finding(
                    "reference_restart",
                    f"{kind} reference from before the instrument was switched off and on: take dark and white again",
                )
            ]
        if reference.scan.settings != scan.settings:
            return [
                Finding(
                    "reference_settings",
                    f"{kind} reference taken with other settings ({reference.scan.settings}; now {scan.settings}): "
                    "take dark and white again",
                )
            ]
        return []

    def reflectance(self, scan: Scan) -> Floats:
        """Return (bands,) reflectance, NaN where the white shows no light; as delivered where the instrument does it.

        Raises:
            MeasurementError: a dark is needed and missing, or there are counts where reflectance is due.
            ValueError: a white is needed and missing; `wrong_with` says so first.
        """
        if scan.unit == "reflectance":
            return scan.values
        if not self.needed:
            raise MeasurementError("counts where reflectance is due: measure again")
        if self.white is None:
            raise ValueError("no white reference")
        light = self._instrument.correct_dark(scan, self.dark.scan if self.dark is not None else None)
        span = self.white.light
        relative = np.divide(light, span, out=np.full_like(span, np.nan), where=span > 0)
        return relative if self.panel is None else relative * self.panel

    def _of(self, kind: str) -> Reference | None:
        return self.dark if kind == "dark" else self.white


def read_panel(path: str, wavelengths_nm: Floats) -> Floats | None:
    """Read a panel's calibrated reflectance, two columns or any spectrum file, onto an instrument's wavelengths.

    Args:
        path: "" for none.
        wavelengths_nm: (bands,).

    Returns:
        (bands,) reflectance as a fraction; beyond the ends of a certificate that nearly covers the instrument, its
        last value holds. None if there is no file.

    Raises:
        ProfileError: the file cannot be read, is no reflectance, or covers less than the instrument.
    """
    from ..files import iter_spectra

    if not path:
        return None
    items = list(iter_spectra([path])) if os.path.exists(path) else []
    if not items:
        raise ProfileError(f"{path}: the panel's calibrated reflectance is not there; see rules.panel_reflectance_file")
    item = items[0]
    if not isinstance(item, Spectrum):
        raise ProfileError(f"{path}: no calibrated reflectance of a panel: {item.reason}")
    if len(items) > 1 or item.quantity != "reflectance":
        raise ProfileError(f"{path}: one reflectance spectrum of the white panel is needed")
    spare_nm = 0.05 * (wavelengths_nm[-1] - wavelengths_nm[0])
    if item.range_nm[0] > wavelengths_nm[0] + spare_nm or item.range_nm[1] < wavelengths_nm[-1] - spare_nm:
        raise ProfileError(
            f"{path}: covers {item.range_nm[0]:g}-{item.range_nm[1]:g} nm; the instrument has "
            f"{wavelengths_nm[0]:g}-{wavelengths_nm[-1]:g} nm"
        )
    panel = np.interp(wavelengths_nm, item.wavelengths_nm, item.values)
    if not 0 < panel.min() <= panel.max() <= 1.1:
        raise ProfileError(f"{path}: reflectance {panel.min():.3g} to {panel.max():.3g} is none of a white panel")
    return panel
