"""What a session does with the white panel, the cover and the reference material under the probe."""

from __future__ import annotations

from functools import partial

from ..errors import InstrumentError, MeasurementError, NothingLeftError, PortError
from ..gates.finding import Finding, reason, refusing
from ..gates.reflectance import panel
from ..gates.scans import Scan, ScanKind
from ..gates.wavelength import wavelength_check
from .points import BY_REPEATING
from .session import Session
from .state import Event

OUTDATED = {"reference_restart", "reference_settings", "dark_drift"}
"""Findings that say that dark and white no longer belong to what is measured."""

_SPOILS_CHECK = (BY_REPEATING | OUTDATED | {"dark_missing", "white_missing"}) - {"noise"}


def optimise(session: Session) -> None:
    """Let the instrument set integration time and gains; dark and white are void afterwards."""
    try:
        with session.busy("optimising"):
            settings = session.instrument.optimise()
    except (PortError, NothingLeftError):
        raise
    except (MeasurementError, InstrumentError) as error:
        session.failed("optimise", error)
        return
    session.record(Event("optimised", f"optimised: {settings}", dict(settings.values)))


def measure_reference(session: Session, kind: ScanKind) -> bool:
    """Measure a dark or white and use it from now on; False if it is no use."""
    events = session.acquire(kind, "dark" if kind == "dark" else "white", partial(judge_reference, session))
    session.stop_if_useless()
    return any(event.kind == "reference_taken" for event in events)


def judge_reference(session: Session, scan: Scan, scan_id: int) -> list[Event]:
    """Say what a dark or white is good for."""
    found = session.state.references.judge(scan)
    remarks = [
        Event("remark", finding.text, {"scan_id": scan_id, "code": finding.code}, "warning")
        for finding in found
        if finding.severity == "remark"
    ]
    details = {"scan_id": scan_id, "kind": scan.kind, "findings": [finding.code for finding in found]}
    if refusing(found):
        text = f"{scan.kind}: {reason(found)}"
        return [*remarks, Event("reference_refused", text, details, "refused", scan=scan)]
    return [*remarks, Event("reference_taken", f"{scan.kind} taken", details, scan=scan)]


def check_panel(session: Session) -> None:
    """Measure the white panel as a sample; if it does not read 1, the white is void."""
    session.acquire("target", "panel_check", partial(judge_panel_check, session))


def judge_panel_check(session: Session, scan: Scan, scan_id: int) -> list[Event]:
    """Say what a scan of the panel says of the white."""
    found = _wrong_with_panel(session, scan, scan_id)
    why = reason(found)
    details = {"scan_id": scan_id, "ok": not found, "why": why}
    since = session.state.since_panel
    doubtful = f"; since the last good check: {', '.join(since)}" if found and since else ""
    text = why + doubtful if found else "the panel reads 1"
    return [Event("panel_check", text, details, "refused" if found else "note", scan=scan)]


def _wrong_with_panel(session: Session, scan: Scan, scan_id: int) -> list[Finding]:
    point, references = session.judge(scan, scan_id), session.state.references
    wrong = [finding for finding in refusing(point.findings) if finding.code in _SPOILS_CHECK]
    if wrong or point.spectrum is None or point.spectrum.quantity != "reflectance":
        return wrong
    relative = references.reflectance(scan)
    if references.panel is not None:
        relative = relative / references.panel
    instrument = session.instrument
    return panel(instrument.wavelengths_nm, relative, instrument.identity, session.range_nm, session.rules)


def check_wavelengths(session: Session) -> None:
    """Measure the reference material; bands that are not in their place forbid estimates until a check passes."""
    session.acquire("target", "wavelength_check", partial(judge_wavelength_check, session))
    session.stop_if_useless()


def judge_wavelength_check(session: Session, scan: Scan, scan_id: int) -> list[Event]:
    """Say what a scan of the reference material says of the wavelengths."""
    point = session.judge(scan, scan_id)
    spectrum, wrong = point.spectrum, list(point.findings)
    details: dict[str, object] = {"scan_id": scan_id, "ok": False}
    if spectrum is not None and spectrum.quantity == "reflectance" and not point.bad:
        material = session.profile.reference_material
        found, wrong = wavelength_check(spectrum.wavelengths_nm, spectrum.values, material, session.rules)
        if not any(finding.code == "wavelength_unknown" for finding in wrong):
            details |= {"ok": not wrong, "bands_nm": found}
            shifts = ", ".join(f"{round(at - due, 1) + 0.0:+.1f} nm at {due:g} nm" for due, at in found)
            text = reason(wrong) if wrong else f"wavelengths hold: {shifts}"
            return [Event("wavelength_check", text, details, "refused" if wrong else "note", scan=scan)]
    return [Event("wavelength_check", reason(wrong), details, "refused", scan=scan)]
