"""The driver for line-oriented spectrometers: everything that differs between them stands in the profile."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any
from zlib import crc32

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import (
    InstrumentError,
    MeasurementError,
    PortError,
    ProfileError,
    ProtocolError,
)
from ..gates.scans import Identity, Scan, ScanKind, ScanSettings
from ..protocols.ascii_host import Answered, AsciiHost
from ..protocols.ascii_lines import CUE, AsciiAnswer, parse_values
from .driver import detector_names
from .link import Link, counted
from .profile import Profile
from .serial_port import BytePort

_U32 = 0xFFFFFFFF


class AsciiInstrument:
    """A line-oriented spectrometer behind a port; see `driver.Instrument`.

    An answer that is damaged, cut off or late is asked for again. Such instruments number nothing: a scan that is asked
    for again is measured again, and comes out once.

    Args:
        open_port: opens the port, anew after each hang-up; raises PortError.
        profile: of protocol "ascii".
        notify: called with one line for a person when something noteworthy happens.

    Raises:
        ProfileError: a profile of another protocol.
    """

    def __init__(
        self, open_port: Callable[[], BytePort], profile: Profile, notify: Callable[[str], None] | None = None
    ) -> None:
        if profile.ascii is None:
            raise ProfileError(f"{profile.name}: not a profile of an ASCII instrument")
        self._profile, self._ascii = profile, profile.ascii
        self._host = AsciiHost(self._ascii.line, profile.timeouts)
        self._link = Link(open_port, self._host, profile.timeouts, self._greet, notify, profile.name)
        self._identity: Identity | None = None
        # Counted from here on: with the time it makes numbers that no other run of the program gives.
        self._started_ms = int(time.time() * 1000) & _U32
        self._number = 0
        self._wavelengths_nm: Floats | None = None
        self._order = slice(None) if not self._ascii.wavelengths_nm else np.argsort(self._ascii.wavelengths_nm)
        if self._ascii.wavelengths_nm:
            self._wavelengths_nm = np.array(self._ascii.wavelengths_nm, dtype=np.float64)[self._order]

    # --- what a caller does -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The port's name."""
        return self._link.name

    @property
    def identity(self) -> Identity:
        """Who is there; `connect` first."""
        if self._identity is None:
            raise InstrumentError(f"{self.name}: not connected")
        return self._identity

    @property
    def wavelengths_nm(self) -> Floats:
        """(bands,) ascending."""
        if self._wavelengths_nm is None:
            raise InstrumentError(f"{self.name}: the instrument's wavelengths are not known yet")
        return self._wavelengths_nm

    def connect(self, wait_for_port: bool = False) -> Identity:
        """Open the port, find out who is there and set the instrument up; see `driver.Instrument`."""
        self._link.connect(wait_for_port)
        return self.identity

    def ask_who(self) -> Identity:
        """Open the port and only ask who is there: nothing is switched or measured.

        Raises:
            InstrumentError: the profile has no command for that.
            PortError: the port cannot be opened, or another instrument answers, or none.
        """
        if self._ascii.commands.identify is None:
            raise InstrumentError(f"{self._profile.name}: no command that asks who is there")
        self._link.open_port()
        try:
            # Ends what somebody else may have left on the line, and lets the complaint about it pass.
            self._say("")
            self._link.tell(self._host.hush)
            self._link.next_event()
            return self._make_identity(self._ask_who())
        except (InstrumentError, MeasurementError) as error:
            raise PortError(str(error)) from error

    def optimise(self) -> ScanSettings:
        """Refuse: integration time and gain stand in the profile."""
        raise InstrumentError(f"{self.name}: the integration time is set in the profile, not by the instrument")

    def acquire(self, kind: ScanKind, scans: int) -> Scan:
        """Measure once; see `driver.Instrument`."""
        return self._link.persist(lambda: self._measure(kind, scans))

    def wait(self, timeout_s: float) -> Scan | None:
        """Give None after a while: these instruments have no button. What they say unasked is passed over."""
        until_s = time.monotonic() + timeout_s
        self._link.persist(lambda: self._link.next_event(until_s))
        return None

    def acknowledge(self, scan: Scan) -> None:
        """Nothing to tell: these instruments keep nothing."""

    def correct_dark(self, scan: Scan, dark: Scan | None) -> Floats:
        """Give (bands,) counts without dark; see `driver.Instrument`. Raises MeasurementError without a usable dark."""
        if not self.identity.needs_dark:
            return scan.values
        if dark is None:
            raise MeasurementError(f"{self.name}: no dark reference; take one")
        if dark.settings != scan.settings or dark.values.shape != scan.values.shape:
            raise MeasurementError(f"{self.name}: the dark reference was taken with other settings; take it again")
        return scan.values - dark.values

    def remarks(self) -> list[str]:
        """What happened on the line."""
        counters = self._host.counters
        return counted(
            (counters.damaged, "damaged line", "damaged lines"),
            (counters.asked_again, "command sent again", "commands sent again"),
            (self._link.reconnects, "new connection", "new connections"),
        )

    def losses(self) -> list[str]:
        """Nothing: these instruments measure only when asked."""
        return []

    def close(self) -> None:
        """Switch the lamp off and close the port."""
        if self._identity is not None:
            # A port that is gone cannot be told; the lamp has gone with it.
            with suppress(PortError):
                for command in self._ascii.lamp.off:
                    self._say(command)
        self._link.close()

    # --- each new connection ------------------------------------------------------------------------------

    def _greet(self, failures: int) -> None:
        try:
            who = self._ask_who()
            self._link.found(" ".join(filter(None, who)))
            self._set_up()
            # That it gives as many values as the profile says shows better than any name that it is this one.
            self._cue("test")
            self._scan_once(1)
        except (InstrumentError, MeasurementError) as error:
            raise PortError(str(error)) from error
        self._identity = self._make_identity(who)
        self._host.found = True

    def _ask_who(self) -> tuple[str, ...]:
        commands = self._ascii.commands
        if commands.identify is None:
            return ()
        kind = self._ask_surely(commands.identify.send)
        expected = commands.identify.expect
        if not kind.startswith(expected):
            raise PortError(
                f"{self.name}: answers {commands.identify.send} with {kind!r}, which does not begin with {expected!r}: "
                f"not the instrument of profile {self._profile.name!r}"
            )
        more = [self._ask_surely(command) if command else "" for command in (commands.firmware, commands.serial_number)]
        return (kind, *more)

    def _set_up(self) -> None:
        settings = self._ascii
        for step in settings.commands.init:
            self._ask(step.send, step.expect)
        if settings.integration.command:
            value = round(settings.integration.ms / settings.integration.unit_ms)
            self._ask(settings.integration.command.replace("{value}", str(value)))
        self._switch_lamp(True)

    def _switch_lamp(self, on: bool) -> None:
        commands = self._ascii.lamp.on if on else self._ascii.lamp.off
        for command in commands:
            self._ask(command)
        if commands:
            time.sleep(self._ascii.lamp.settle_s)

    def _make_identity(self, who: tuple[str, ...]) -> Identity:
        values = self._ascii.values
        raw = values.delivers == "counts"
        notice = self._host.notice or ""
        return Identity(
            name=self._profile.name,
            serial_number=who[2] if who else "",
            detectors=detector_names(len(values.splices_nm)),
            splices_nm=values.splices_nm,
            delivers="raw_dn" if raw else "reflectance",
            needs_dark=raw and values.dark != "subtracted",
            shutter=raw and values.dark == "lamp_off",
            optimises=False,
            simulated="simulated" in notice,
            virtual=self._host.notice is not None,
            firmware=" ".join(filter(None, who[:2])),
        )

    # --- asking -------------------------------------------------------------------------------------------

    def _say(self, command: str) -> None:
        """Send a line and wait for nothing."""
        self._link.tell(lambda _: self._host.say(command))

    def _ask(self, command: str, expect: str = "") -> str:
        """Give the text of the answer, which has to begin with `expect`; raises as `_read`."""

        def text_of(answer: AsciiAnswer) -> str:
            text = " ".join(answer.lines)
            if not text.startswith(expect):
                raise ProtocolError(f"{text!r} came, which does not begin with {expect!r}")
            return text

        return str(self._read(command, text_of))

    def _ask_surely(self, command: str) -> str:
        """Ask until the same answer has come twice: on a noisy line one may be changed, and nothing would tell."""
        heard: list[str] = []
        for _ in range(max(2, self._profile.timeouts.request_attempts)):
            heard.append(self._ask(command))
            if heard.count(heard[-1]) == 2:
                return heard[-1]
        raise PortError(f"{self.name}: answers {command} differently each time: {heard[-2]!r}, then {heard[-1]!r}")

    def _read(self, command: str, read: Callable[[AsciiAnswer], Any], lines: int = 1, extra_s: float = 0.0) -> Any:
        """Send a command until its answer can be read; see `AsciiHost.ask`, also for what it raises."""
        self._link.tell(lambda now_s: self._host.ask(command, read, now_s, lines, extra_s))
        event = self._link.next_event()
        return event.result if isinstance(event, Answered) else None

    # --- measuring ----------------------------------------------------------------------------------------

    def _measure(self, kind: ScanKind, scans: int) -> Scan:
        dark = kind == "dark" and self.identity.shutter
        self._cue(f"{kind} {self._started_ms}-{self._number + 1}")
        try:
            if dark:
                self._switch_lamp(False)
            raw = self._scan_all(scans)
        finally:
            if dark:
                self._switch_lamp(True)
        values = raw.mean(axis=0)
        self._number += 1
        crc = crc32(values.astype("<f8").tobytes())
        integration = self._ascii.integration
        return Scan(
            kind=kind,
            values=values,
            unit=self.identity.delivers,
            key=(str(self.identity), self._started_ms, self._number, crc),
            number=self._number,
            taken_s=time.monotonic(),
            measured_at=datetime.now(timezone.utc),
            scans=scans,
            settings=ScanSettings((("integration_ms", integration.ms),) if integration.command else ()),
            saturated=self._saturated(raw),
            dark_subtracted=() if self.identity.needs_dark else self.identity.detectors,
            simulated=self.identity.simulated,
        )

    def _cue(self, text: str) -> None:
        """Tell a program that simulates an instrument what lies in front of it; a real instrument is told nothing."""
        if self._host.notice is not None:
            self._say(f"{CUE} {text}")

    def _scan_all(self, scans: int) -> Floats:
        if "{scans}" in self._ascii.commands.acquire:
            return self._scan_once(scans)[np.newaxis]
        return np.array([self._scan_once(1) for _ in range(scans)])

    def _scan_once(self, scans: int) -> Floats:
        layout = self._ascii.values
        known = self._wavelengths_nm
        count = known.size if known is not None else 0

        def values_of(answer: AsciiAnswer) -> Floats:
            values, nm = parse_values(answer.lines, layout, count)
            values = self._in_order(values, nm) if nm is not None else values[self._order]
            return values / 100 if layout.delivers == "percent" else values

        return np.asarray(
            self._read(
                self._ascii.commands.acquire.replace("{scans}", str(scans)),
                values_of,
                lines=count if layout.lines == "per_band" else 1,
                extra_s=scans * self._ascii.integration.ms / 1000,
            )
        )

    def _in_order(self, values: Floats, nm: Floats) -> Floats:
        order = np.argsort(nm, kind="stable")
        nm = nm[order]
        if self._wavelengths_nm is None:
            if nm.size < 2 or (np.diff(nm) <= 0).any() or nm[0] <= 0:
                raise ProtocolError("the wavelengths that come with the values are no series in nm")
            self._wavelengths_nm = nm
        elif nm.shape != self._wavelengths_nm.shape or not np.array_equal(nm, self._wavelengths_nm):
            raise ProtocolError("the wavelengths that come with the values are others than before")
        return values[order]

    def _saturated(self, raw: Floats) -> tuple[str, ...]:
        limit = self._ascii.values.saturation
        if not limit:
            return ()
        over = self.wavelengths_nm[(raw >= limit).any(axis=0)]
        detectors = np.unique(np.searchsorted(self.identity.splices_nm, over, side="left"))
        return tuple(self.identity.detectors[int(number)] for number in detectors)
