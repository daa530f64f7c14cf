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
    NothingLeftError,
    PortError,
    PortGoneError,
    ProfileError,
    ProtocolError,
)
from ..profile import Profile
from ..protocols.ascii_lines import CUE, VIRTUAL_NOTICE, Answer, AnswerReader, BadLine, LineDecoder, parse_values
from ..sources.referencing import detector_names
from ..sources.serial_port import BytePort
from .driver import Identity, Scan, ScanKind, ScanSettings

_LONGEST_PAUSE_S = 2.0
_ERROR_ATTEMPTS = 3
"""A command that was damaged on the way is answered with an error, too."""
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
        self._open_port, self._profile, self._ascii = open_port, profile, profile.ascii
        self._patience = profile.patience
        self._notify = notify or (lambda line: None)
        self._port: BytePort | None = None
        self._decoder = LineDecoder(self._ascii.line.longest_line)
        self._who: tuple[str, ...] | None = None
        self._identity: Identity | None = None
        # Counted from here on: with the time it makes numbers that no other run of the program gives.
        self._started_ms = int(time.time() * 1000) & _U32
        self._number = 0
        self._notice: str | None = None
        self._bad_lines = self._asked_again = self._replugs = self._received = 0
        self._wavelengths_nm: Floats | None = None
        self._order = slice(None) if not self._ascii.wavelengths_nm else np.argsort(self._ascii.wavelengths_nm)
        if self._ascii.wavelengths_nm:
            self._wavelengths_nm = np.array(self._ascii.wavelengths_nm, dtype=np.float64)[self._order]

    # --- what a caller does -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The port's name."""
        return self._port.name if self._port else "port"

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
                self._drop_port()
                if not wait_for_port or isinstance(error, InstrumentExchangedError):
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
        self._port = self._open_port()
        try:
            # Ends what somebody else may have left on the line, and lets the complaint about it pass.
            self._write("")
            self._fall_quiet()
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
                self._read(left_s)
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
        counted = [
            (self._bad_lines, "damaged lines"),
            (self._asked_again, "commands sent again"),
            (self._replugs, "times unplugged"),
        ]
        return [f"{number} {what}" for number, what in counted if number]

    def losses(self) -> list[str]:
        """Nothing: these instruments measure only when asked."""
        return []

    def close(self) -> None:
        """Switch the lamp off and close the port."""
        if self._port is not None and self._identity is not None:
            # A port that is gone cannot be told; the lamp has gone with it.
            with suppress(PortError):
                for command in self._ascii.lamp.off:
                    self._port.write(self._bytes(command))
        self._drop_port()

    # --- opening, and opening again -----------------------------------------------------------------------

    def _drop_port(self) -> None:
        if self._port is not None:
            self._port.close()

    def _open(self) -> None:
        self._decoder = LineDecoder(self._ascii.line.longest_line)
        self._received = 0
        self._port = self._open_port()
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

    def _ask_surely(self, command: str) -> str:
        """Ask until the same answer has come twice: on a noisy line one may be changed, and nothing would tell."""
        heard: list[str] = []
        for _ in range(self._patience.request_attempts):
            heard.append(" ".join(self._ask(command).lines))
            if heard.count(heard[-1]) == 2:
                return heard[-1]
        raise PortError(f"{self.name}: answers {command} differently each time: {heard[-2]!r}, then {heard[-1]!r}")

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
        notice = self._notice or ""
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
            virtual=self._notice is not None,
            firmware=" ".join(filter(None, who[:2])),
        )

    def _reconnect(self, cause: PortGoneError) -> None:
        self._replugs += 1
        self._notify(f"{cause} (waiting for it to come back)")
        told = ""
        deadline = time.monotonic() + self._patience.replug_s
        pause_s = 0.1
        while True:
            self._drop_port()
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
        if self._notice is not None:
            self._write(f"{CUE} {text}")

    def _scan_all(self, scans: int) -> Floats:
        if "{scans}" in self._ascii.commands.acquire:
            return self._scan_once(scans)[np.newaxis]
        return np.array([self._scan_once(1) for _ in range(scans)])

    def _scan_once(self, scans: int) -> Floats:
        command = self._ascii.commands.acquire.replace("{scans}", str(scans))
        layout = self._ascii.values
        extra_s = scans * self._ascii.integration.ms / 1000
        known = self._wavelengths_nm
        for _ in range(self._patience.request_attempts):
            answer = self._ask(command, lines=known.size if known is not None else 0, extra_s=extra_s)
            try:
                values, nm = parse_values(answer.lines, layout, known.size if known is not None else 0)
                values = self._in_order(values, nm) if nm is not None else values[self._order]
            except ProtocolError as error:
                self._bad_lines += 1
                why = str(error)
                self._fall_quiet()
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

    # --- commands and answers -----------------------------------------------------------------------------

    def _ask(self, command: str, expect: str = "", lines: int = 1, extra_s: float = 0.0) -> Answer:
        """Send a command until it is answered as it should be.

        Raises:
            PortGoneError: nothing came at all, as from a socket whose other side was switched off.
            PortError: the same before an instrument was found.
            InstrumentError: the instrument says an error, again and again.
            MeasurementError: what comes is damaged, again and again.
        """
        lines = lines if self._ascii.values.lines == "per_band" or lines <= 1 else 1
        errors, why, said = 0, "", ""
        silent = True
        for attempt in range(self._patience.request_attempts):
            if attempt:
                self._asked_again += 1
                self._fall_quiet()
            received = self._received
            try:
                answer = self._exchange(command, max(lines, 1), extra_s)
            except ProtocolError as error:
                why = str(error)
                silent = silent and self._received == received
                continue
            silent = False
            if answer.error is not None:
                errors, said = errors + 1, answer.error
                if errors >= _ERROR_ATTEMPTS:
                    break
            elif expect and not " ".join(answer.lines).startswith(expect):
                why = f"{' '.join(answer.lines)!r} came, which does not begin with {expect!r}"
            else:
                return answer
        if said:
            raise InstrumentError(f"{self.name}: the instrument answers {command} with {said!r}")
        if silent and self._identity is not None:
            raise PortGoneError(f"{self.name}: {self._patience.request_attempts} requests were not answered")
        if self._identity is None:
            raise PortError(f"{self.name}: {self._why_unknown(command, why, silent)}")
        raise MeasurementError(f"{self.name}: {command}: {why}; measure again")

    def _why_unknown(self, command: str, why: str, silent: bool) -> str:
        if silent:
            seconds = self._patience.request_attempts * self._patience.reply_s
            return f"silent: no answer in {seconds:g} s; is the instrument switched on, and on this port?"
        speed = self._profile.serial.baudrate
        return f"{command}: {why}; is it a {self._profile.name}, and {speed} bit/s its speed?"

    def _exchange(self, command: str, lines: int, extra_s: float) -> Answer:
        """Send once and take the answer; ProtocolError says why there is none."""
        self._forget_input()
        self._write(command)
        reader = AnswerReader(self._ascii.line, command, lines)
        start_s = time.monotonic()
        deadline = start_s + self._patience.reply_s + extra_s
        while True:
            line = self._decoder.next_line()
            if line is None:
                left_s = deadline - time.monotonic()
                if not self._read(max(left_s, 0.0)) and left_s <= 0:
                    raise ProtocolError(self._why_none(reader))
            elif isinstance(line, BadLine):
                self._bad_lines += 1
                raise ProtocolError(line.reason)
            elif line.startswith(VIRTUAL_NOTICE):
                self._take_notice(line)
            elif (answer := reader.take(line)) is not None:
                return answer
            elif time.monotonic() - start_s > self._patience.longest_scan_s:
                raise ProtocolError(f"no end of the answer in {self._patience.longest_scan_s:g} s")
            else:
                # Many lines may follow one another for longer than a reply takes.
                deadline = max(deadline, time.monotonic() + self._patience.reply_s)

    def _why_none(self, reader: AnswerReader) -> str:
        cut = self._decoder.give_up()
        if cut is not None:
            self._bad_lines += 1
            return cut.reason
        if reader.begun:
            return f"the answer stopped after {reader.begun} lines"
        if reader.echoes:
            return "what is sent comes back and nothing else: a loop, or the instrument is off"
        return "no answer in time"

    def _take_notice(self, line: str) -> None:
        self._notice = line
        if "nothing left" in line:
            raise NothingLeftError(f"{self.name}: the virtual instrument has played all its spectra")

    def _fall_quiet(self) -> None:
        """Let what is still on its way arrive, so that it is not taken for the next answer."""
        until_s = time.monotonic() + self._patience.reply_s
        while time.monotonic() < until_s and self._read(self._patience.quiet_s):
            self._forget_input()

    def _forget_input(self) -> None:
        while self._read(0.0):
            pass
        self._decoder = LineDecoder(self._ascii.line.longest_line)

    def _read(self, timeout_s: float) -> int:
        if self._port is None:
            raise PortError("the port is not open")
        data = self._port.read(timeout_s)
        self._received += len(data)
        self._decoder.receive(data)
        return len(data)

    def _write(self, command: str) -> None:
        if self._port is None:
            raise PortError("the port is not open")
        self._port.write(self._bytes(command))

    def _bytes(self, command: str) -> bytes:
        return (command + self._ascii.line.line_end).encode("ascii")


def _said(who: tuple[str, ...]) -> str:
    return " ".join(filter(None, who))
