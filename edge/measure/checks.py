"""What a measuring session does with the white panel, the cover and the reference material under the probe."""

from __future__ import annotations

from ..errors import InstrumentError, MeasurementError, NothingLeftError, PortError
from ..gates.finding import Finding, reason, refusing
from ..gates.reflectance import panel
from ..gates.scans import Scan, ScanKind
from ..gates.wavelength import wavelength_check
from .sample import BY_REPEATING
from .session import Session

OUTDATED = {"reference_restart", "reference_settings", "dark_drift"}
"""Findings that say that dark and white no longer belong to what is measured."""

_SPOILS_CHECK = (BY_REPEATING | OUTDATED | {"dark_missing", "white_missing"}) - {"noise"}


class Checks(Session):
    """Optimising, dark and white, the panel check and the wavelength check."""

    def _optimise(self) -> None:
        try:
            settings = self.instrument.optimise()
        except (PortError, NothingLeftError):
            raise
        except (MeasurementError, InstrumentError) as error:
            self._failed("optimise", error)
            return
        self._failures = 0
        self._drop_wish()
        self._want.clear()
        self.optimised = True
        self.references.forget()
        self._happened("optimised", f"optimised: {settings}", details=dict(settings.values))

    def _reference(self, kind: ScanKind) -> bool:
        taken = self._acquire(kind, "dark" if kind == "dark" else "white")
        if taken is None:
            return False
        scan, scan_id = taken
        found = self.references.take(scan, scan_id)
        self._tell_remarks(found, scan_id)
        if refusing(found):
            self._happened("reference_refused", f"{kind}: {reason(found)}", "refused", {"scan_id": scan_id})
            if kind == "white" and any(finding.code == "saturated" for finding in found):
                self.optimised = False
            self._count_failure(found)
            return False
        if kind == "white":
            self._useless = 0
        if self._want and self._want[0].value == kind:
            self._want.popleft()
        if kind == "white":
            self._waived = False
            self.panel_checked_s = scan.taken_s
            self._since_panel.clear()
        self._happened("reference_taken", f"{kind} taken", details={"scan_id": scan_id, "kind": kind})
        return True

    def _check_panel(self) -> None:
        taken = self._acquire("target", "panel_check")
        if taken is None:
            return
        scan, scan_id = taken
        self._drop_wish()
        self.panel_checked_s = scan.taken_s
        found = self.panel_findings(scan, scan_id)
        if found:
            self.references.give_up(Finding("white_void", reason(found)))
            doubtful = f"; since the last good check: {', '.join(self._since_panel)}" if self._since_panel else ""
            self._happened("panel_check", reason(found) + doubtful, "refused", {"scan_id": scan_id, "ok": False})
        else:
            self._since_panel.clear()
            self._happened("panel_check", "the panel reads 1", details={"scan_id": scan_id, "ok": True})

    def panel_findings(self, scan: Scan, scan_id: int) -> list[Finding]:
        """Give what is wrong with the panel, measured as a sample."""
        point = self.judge(scan, scan_id)
        wrong = [finding for finding in refusing(point.findings) if finding.code in _SPOILS_CHECK]
        if wrong or point.spectrum is None or point.spectrum.quantity != "reflectance":
            return wrong
        relative = self.references.reflectance(scan)
        if self.references.panel is not None:
            relative = relative / self.references.panel
        return panel(self.instrument.wavelengths_nm, relative, self.instrument.identity, self._range_nm, self._rules)

    def _check_wavelengths(self) -> None:
        taken = self._acquire("target", "wavelength_check")
        if taken is None:
            return
        scan, scan_id = taken
        point = self.judge(scan, scan_id)
        if point.spectrum is None or point.spectrum.quantity != "reflectance" or point.bad:
            self._happened("wavelength_check", reason(point.findings), "refused", {"scan_id": scan_id, "ok": False})
            self._count_failure(list(point.findings))
            return
        spectrum = point.spectrum
        material = self.profile.reference_material
        found, wrong = wavelength_check(spectrum.wavelengths_nm, spectrum.values, material, self._rules)
        details = {"scan_id": scan_id, "ok": not wrong, "bands_nm": found}
        if any(finding.code == "wavelength_unknown" for finding in wrong):
            self._happened("wavelength_check", reason(wrong), "refused", details)
            self._count_failure(wrong)
            return
        self._useless = 0
        self._drop_wish()
        self.wavelength_checked_s = scan.taken_s
        self.standing = [f for f in self.standing if f.code != "wavelength_shift"] + wrong
        if wrong:
            self._happened("wavelength_check", reason(wrong), "refused", details)
        else:
            shifts = ", ".join(f"{at - due:+.1f} nm at {due:g} nm" for due, at in found)
            self._happened("wavelength_check", f"wavelengths hold: {shifts}", details=details)

    def _drop_wish(self) -> None:
        if self._want:
            self._want.popleft()
