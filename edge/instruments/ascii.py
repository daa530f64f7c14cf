"""The driver for line-oriented spectrometers: everything that differs between them stands in the profile."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from zlib import crc32

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import (
    InstrumentError,
    InstrumentExchangedError,
    MeasurementError,
    NoSuchPortError,
    NotAPortError,
    PortError,
    PortGoneError,
    ProfileError,
    ProtocolError,
)
from ..gates.scans import Identity, Scan, ScanKind, ScanSettings
from ..protocols.ascii_lines import CUE, parse_values
from .ascii_line import AsciiLine
from .driver import detector_names
from .profile import Profile
from .serial_port import BytePort

_LONGEST_PAUSE_S = 2.0
_U32 = 0xFFFFFFFF


class AsciiInstrument:
    """A line-oriented spectrometer behind a port; see `driver.Instrument`.

    A port that hangs up is opened again, the instrument asked again who it is, and set up again. An answer that is
    damaged, cut off or late is asked for again. Such instruments number nothing: a scan that is asked for again is
    measured again, and comes out once.

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
        self._patience = profile.patience
        self._notify = notify or (lambda line: None)
        self._line = AsciiLine(open_port, self._ascii.line, profile.patience)
        self._who: tuple[str, ...] | None = None
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
        return self._line.name

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
        pause_s, told = 0.1, ""
        while True:
            try:
                self._open()
                return self.identity
            except PortError as error:
                self._line.close()
                if not wait_for_port or isinstance(error, (InstrumentExchangedError, NotAPortError)):
                    raise
                if str(error) != told:
                    told = str(error)
                    self._notify(f"{told} (waiting)")
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def ask_who(self) -> Identity:
        """Open the port and only ask who is there: nothing is switched or measured.

        Raises:
            InstrumentError: the profile has no command for that.
            PortError: the port cannot be opened, or another instrument answers, or none.
        """
        if self._ascii.commands.identify is None:
            raise InstrumentError(f"{self._profile.name}: no command that asks who is there")
        self._line.open()
        try:
            # Ends what somebody else may have left on the line, and lets the complaint about it pass.
            self._line.send("")
            self._line.fall_quiet()
            return self._make_identity(self._ask_who())
        except (InstrumentError, MeasurementError) as error:
            raise PortError(str(error)) from error

    def optimise(self) -> ScanSettings:
        """Refuse: integration time and gain stand in the profile."""
        raise InstrumentError(f"{self.name}: the integration time is set in the profile, not by the instrument")

    def acquire(self, kind: ScanKind, scans: int) -> Scan:
        """Measure once; see `driver.Instrument`."""
        for _ in range(self._patience.request_attempts):
            try:
                return self._measure(kind, scans)
            except PortGoneError as error:
                self._reconnect(error)
        times = self._patience.request_attempts
        raise MeasurementError(f"{self.name}: the port hung up {times} times during one measurement; measure again")

    def wait(self, timeout_s: float) -> Scan | None:
        """Give None after a while: these instruments have no button. What they say unasked is passed over."""
        try:
            deadline = time.monotonic() + timeout_s
            while (left_s := deadline - time.monotonic()) > 0:
                self._line.read(left_s)
        except PortGoneError as error:
            self._reconnect(error)
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
        counters = self._line.counters
        counted = [
            (counters.damaged, "damaged line", "damaged lines"),
            (counters.asked_again, "command sent again", "commands sent again"),
            (counters.replugs, "time unplugged", "times unplugged"),
        ]
        return [f"{number} {one if number == 1 else many}" for number, one, many in counted if number]

    def losses(self) -> list[str]:
        """Nothing: these instruments measure only when asked."""
        return []

    def close(self) -> None:
        """Switch the lamp off and close the port."""
        if self._identity is not None:
            # A port that is gone cannot be told; the lamp has gone with it.
            with suppress(PortError):
                for command in self._ascii.lamp.off:
                    self._line.send(command)
        self._line.close()

    # --- opening, and opening again -----------------------------------------------------------------------

    def _open(self) -> None:
        self._line.open()
        try:
            who = self._ask_who()
            if self._who is not None and who != self._who:
                raise InstrumentExchangedError(
                    f"{self.name}: another instrument answers now: {_said(who)} in place of {_said(self._who)}"
                )
            self._set_up()
            # That it gives as many values as the profile says shows better than any name that it is this one.
            self._cue("test")
            self._scan_once(1)
        except (InstrumentError, MeasurementError) as error:
            raise PortError(str(error)) from error
        self._who = who
        self._identity = self._make_identity(who)
        self._line.found = True

    def _ask_who(self) -> tuple[str, ...]:
        commands = self._ascii.commands
        if commands.identify is None:
            return ()
        kind = self._line.ask_surely(commands.identify.send)
        expected = commands.identify.expect
        if not kind.startswith(expected):
            raise PortError(
                f"{self.name}: answers {commands.identify.send} with {kind!r}, which does not begin with {expected!r}: "
                f"not the instrument of profile {self._profile.name!r}"
            )
        more = [
            self._line.ask_surely(command) if command else "" for command in (commands.firmware, commands.serial_number)
        ]
        return (kind, *more)

    def _set_up(self) -> None:
        settings = self._ascii
        for step in settings.commands.init:
            self._line.ask(step.send, step.expect)
        if settings.integration.command:
            value = round(settings.integration.ms / settings.integration.unit_ms)
            self._line.ask(settings.integration.command.replace("{value}", str(value)))
        self._switch_lamp(True)

    def _switch_lamp(self, on: bool) -> None:
        commands = self._ascii.lamp.on if on else self._ascii.lamp.off
        for command in commands:
            self._line.ask(command)
        if commands:
            time.sleep(self._ascii.lamp.settle_s)

    def _make_identity(self, who: tuple[str, ...]) -> Identity:
        values = self._ascii.values
        raw = values.delivers == "counts"
        notice = self._line.notice or ""
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
            virtual=self._line.notice is not None,
            firmware=" ".join(filter(None, who[:2])),
        )

    def _reconnect(self, cause: PortGoneError) -> None:
        self._line.counters.replugs += 1
        self._notify(f"{cause} (waiting for it to come back)")
        told = ""
        deadline = time.monotonic() + self._patience.replug_s
        pause_s = 0.1
        while True:
            self._line.close()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                self._open()
            except InstrumentExchangedError:
                raise
            except PortError as error:
                if time.monotonic() >= deadline:
                    raise PortError(f"{error} (gone for {self._patience.replug_s:g} s, given up)") from error
                # That it is not there yet goes without saying.
                if str(error) != told and not isinstance(error, NoSuchPortError):
                    told = str(error)
                    self._notify(told)
            else:
                self._notify(f"{self.name}: connected again")
                return

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
        """Tell a program that plays an instrument what lies in front of it; a real instrument is told nothing."""
        if self._line.notice is not None:
            self._line.send(f"{CUE} {text}")

    def _scan_all(self, scans: int) -> Floats:
        if "{scans}" in self._ascii.commands.acquire:
            return self._scan_once(scans)[np.newaxis]
        return np.array([self._scan_once(1) for _ in range(scans)])

    def _scan_once(self, scans: int) -> Floats:
        command = self._ascii.commands.acquire.replace("{scans}", str(scans))
        layout = self._ascii.values
        extra_s = scans * self._ascii.integration.ms / 1000
        known = self._wavelengths_nm
        count = known.size if known is not None else 0
        lines = count if layout.lines == "per_band" else 1
        for _ in range(self._patience.request_attempts):
            answer = self._line.ask(command, lines=lines, extra_s=extra_s)
            try:
                values, nm = parse_values(answer.lines, layout, count)
                values = self._in_order(values, nm) if nm is not None else values[self._order]
            except ProtocolError as error:
                self._line.counters.damaged += 1
                why = str(error)
                self._line.fall_quiet()
                continue
            return values / 100 if layout.delivers == "percent" else values
        raise MeasurementError(f"{self.name}: {why}; measure again")

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


def _said(who: tuple[str, ...]) -> str:
    return " ".join(filter(None, who))
