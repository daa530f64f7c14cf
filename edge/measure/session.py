"""The frame of a measuring session: the instrument and the log, what is told, and what was noticed on the way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..engine import Engine
from ..errors import InstrumentError, MeasurementError, NothingLeftError, PortError
from ..gates.finding import Finding, instrument_exchanged, reason
from ..gates.scans import Scan, ScanKind
from ..gates.time import ClockWatch, out_of_order, warming_up, white_valid_min
from ..instruments.driver import Instrument
from ..instruments.profile import Profile
from ..log.columns import StoredScanKind
from ..model.estimate import Estimate, Refusal
from .controls import Stated
from .plan import Plan, Planned, Run
from .references import References, read_panel
from .sample import Point, Sample, judge
from .steps import Fact, Step

if TYPE_CHECKING:
    from .position import PositionSource

MOST_FAILURES = 5
"""Measurements that fail one after the other, after which measuring on makes no sense."""


@dataclass(frozen=True)
class Settings:
    """How a session is measured.

    Attributes:
        points: of a sample.
        scans: averaged by the instrument into a point.
        plan: which samples.
        count: soils after which the session is over; 0 for no end.
        optimise: let the instrument optimise at the start, if it can.
        on_for_min: minutes that the instrument had been on when the session began.
        stated: of the reference soil.
        operator: who measures.
    """

    points: int = 5
    scans: int = 40
    plan: Plan = field(default_factory=Plan)
    count: int = 0
    optimise: bool = True
    on_for_min: float = 0.0
    stated: Stated | None = None
    operator: str = ""


class Session:
    """What one measuring session has, and how a scan gets from the instrument into the log.

    Args:
        instrument: connected.
        engine: model and log.
        profile: rules.
        settings: how to measure.
        tell: called with everything that has happened, once it is in the log.
        position: where we are; None if nobody knows.
        monotonic: seconds that pass, the clock of `Scan.taken_s`.
    """

    def __init__(
        self,
        instrument: Instrument,
        engine: Engine,
        profile: Profile,
        settings: Settings,
        tell: Callable[[Fact], None],
        position: PositionSource | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.instrument, self.engine, self.profile, self.settings = instrument, engine, profile, settings
        self.tell, self._position, self.monotonic = tell, position, monotonic
        self._rules = profile.rules
        self._range_nm = engine.estimator.bundle.recipe.range_nm
        calibrated = read_panel(self._rules.panel_reflectance_file, instrument.wavelengths_nm)
        self.references = References(instrument, self._rules, calibrated)
        self.run = Run(settings.plan)
        self.sample: Sample | None = None
        self.session_id = 0
        self.done: dict[str, Estimate | Refusal] = {}
        """What came of each sample, the last time it was measured."""
        self.refused = self.estimated = self.failed_controls = 0
        self.measured_points = 0
        """Points measured since this process began."""
        self.on_since_s = monotonic() - 60 * settings.on_for_min
        self.warm_up_skipped = False
        self.optimised = False
        self.panel_checked_s: float | None = None
        self.wavelength_checked_s: float | None = None
        self.standing: list[Finding] = []
        """What forbids estimates until it is put right, such as shifted wavelengths."""
        self.instrument_key = ""
        self.boot: int | None = None
        self.resumed = self.device_restarted = False
        """Nothing was measured since the session was taken up again; this device was switched off in between."""
        self.named: Planned | None = None
        self.notes: list[str] = []
        self.asked: Step | None = None
        """What the last prompt asked for; Enter answers that, and nothing that has become due since."""
        self._want: deque[Step] = deque()
        self._waived = False
        self.over = False
        self._failures = self._useless = 0
        self._before: Scan | None = None
        self._since_panel: list[str] = []
        self._clock_remarks: list[Finding] = []
        self._low_disk_told = False
        self._no_place = ""
        self._watch = ClockWatch(datetime.now(timezone.utc), monotonic())

    def _on_for_min(self) -> float:
        return (self.monotonic() - self.on_since_s) / 60

    def valid_min(self) -> float:
        """Minutes that dark and white may be used now."""
        return white_valid_min(self._rules, self.profile.measuring.white_valid_min, self._on_for_min())

    def judge(self, scan: Scan, scan_id: int) -> Point:
        """Make a point of a target scan with the references in force."""
        on_for_min = (scan.taken_s - self.on_since_s) / 60
        valid_min = white_valid_min(self._rules, self.profile.measuring.white_valid_min, on_for_min)
        point = judge(scan, scan_id, self.instrument, self.references, self._rules, self._range_nm, valid_min)
        white = self.references.white.scan if self.references.white is not None else None
        more = out_of_order(scan, self._before, white)
        more += instrument_exchanged(self.instrument_key, scan.key[0]) if self.instrument_key else []
        warm = warming_up(self._rules, on_for_min)
        if warm and self.warm_up_skipped:
            warm = [Finding("warm_up", f"warm-up cut short: {warm[0].text}", "remark")]
        return replace(point, findings=(*point.findings, *more, *warm))

    # --- the instrument ---------------------------------------------------------------------------------------

    def _acquire(
        self, kind: ScanKind, stored_as: StoredScanKind, sample_id: str = "", point: int = 0
    ) -> tuple[Scan, int] | None:
        """Measure, store, and only then tell the instrument so; None if there is nothing to go on with."""
        log, instrument = self.engine.log, self.instrument
        room = log.room()
        if room.notice and not (self._low_disk_told and room.enough):
            self._low_disk_told = True
            self._happened("disk", room.notice, "warning")
        if not room.enough:
            return None
        try:
            scan = instrument.acquire(kind, self.settings.scans)
        except (PortError, NothingLeftError):
            self._tell_losses()
            raise
        except (MeasurementError, InstrumentError) as error:
            self._tell_losses()
            self._failed(stored_as, error)
            return None
        self._failures = 0
        scan = replace(scan, extra={**scan.extra, "host_boot": host_boot(), "monotonic_s": scan.taken_s})
        nm = instrument.wavelengths_nm
        scan_id = log.add_scan(
            scan, session_id=self.session_id, kind=stored_as, wavelengths_nm=nm, sample_id=sample_id, point=point
        )
        instrument.acknowledge(scan)
        self._tell_losses()
        self._look_at(scan)
        return scan, scan_id

    def _look_at(self, scan: Scan) -> None:
        """Notice a clock that jumped, and an instrument that was switched off and on."""
        self.instrument_key = self.instrument_key or scan.key[0]
        jumps = self._watch.check(datetime.now(timezone.utc), self.monotonic(), self._rules)
        for finding in jumps:
            self._clock_remarks.append(finding)
            self._happened("clock", finding.text, "warning")
        if self.boot is not None and scan.boot != self.boot:
            self._restarted(cold=not self.resumed or self.device_restarted)
        self.resumed = False
        self.boot = scan.boot

    def _restarted(self, cold: bool) -> None:
        """Dark and white are void; if the instrument was off for all we know, it has to warm up again too."""
        void = "white reference from before the instrument was switched off and on"
        self.references.give_up(Finding("reference_restart", void))
        self.optimised = False
        text = "the instrument was switched off and on"
        if cold:
            self.on_since_s, self.warm_up_skipped = self.monotonic(), False
            text += ": warm up again"
        details = {"host_boot": host_boot(), "monotonic_s": self.on_since_s}
        self._happened("restarted" if cold else "references_void", text, "warning", details)

    def _tell_losses(self) -> None:
        for loss in self.instrument.losses():
            self._happened("loss", loss, "warning")

    def _failed(self, what: str, error: Exception) -> None:
        name = self.instrument.name
        self._happened("failed", str(error).removeprefix(f"{name}: "), "warning", {"what": what})
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise InstrumentError(f"{name}: {self._failures} measurements in a row failed; see above") from error

    def _count_failure(self, found: list[Finding]) -> None:
        self._useless += 1
        if self._useless >= MOST_FAILURES:
            raise InstrumentError(
                f"{self.instrument.name}: {self._useless} measurements in a row are no use: {reason(found)}"
            )

    # --- the log ----------------------------------------------------------------------------------------------

    def _happened(
        self,
        kind: str,
        text: str,
        shown_as: Any = "note",
        details: dict[str, Any] | None = None,
    ) -> None:
        """Store an event, then tell it."""
        self._event(kind, text, details)
        self.tell(Fact(shown_as, text))

    def _event(self, kind: str, text: str, details: dict[str, Any] | None = None) -> int:
        return self.engine.log.add_event(kind, text, details, self.session_id)

    def _tell_remarks(self, found: list[Finding], scan_id: int) -> None:
        for finding in found:
            if finding.severity == "remark":
                self._happened("remark", finding.text, "warning", {"scan_id": scan_id, "code": finding.code})


@lru_cache(maxsize=1)
def host_boot() -> str:
    """Name this power-up of this device, so that its monotonic clock is told from another one's; "" if unknown."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""
