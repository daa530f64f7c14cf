"""The instrument's side of a line-oriented dialect, played from the very profile that the driver reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ..errors import ProfileError, UnsuitableSpectrumError
from ..instruments.profile import Profile
from ..instruments.profile_ascii import AsciiProfile
from ..protocols.ascii_lines import CUE, VIRTUAL_NOTICE, LineDecoder
from .simulator import Simulator
from .spectra import made_up_counts, reflectance_on

_PIECE = 64


class VirtualAsciiInstrument(Simulator):
    """Answers a profile's commands; see `Simulator`. Every answer begins with a line that says it is a program.

    What lies in front of it is dark while its lamp is off; else what the last cue said (`ascii_lines.CUE`): a kind and
    a word that is another one for the next target. A host that gives no cues measures one target after the other.

    Args:
        settings: the dialect.
        targets: (bands,) reflectance each, in the order in which values go out.
        wavelengths_nm: (bands,) in the same order.
        serial_number: said if the profile has a command for it.
        simulated: no instrument ever saw some of the targets, or any.
        real_time: measuring takes as long as the scans would.
        loop: begin again after the last target.
    """

    def __init__(
        self,
        settings: AsciiProfile,
        targets: Sequence[Floats],
        wavelengths_nm: Floats,
        serial_number: str = "VIRTUAL-1",
        simulated: bool = False,
        real_time: bool = False,
        loop: bool = False,
    ) -> None:
        super().__init__()
        self._settings, self._targets, self._wavelengths_nm = settings, list(targets), wavelengths_nm
        self._serial_number, self._simulated = serial_number, simulated
        self._real_time, self._loop = real_time, loop
        self._next_target = 0
        self._cue, self._last_target, self._target = "", "", -1
        self._dark, self._white = made_up_counts(wavelengths_nm)
        self.power_cycle(0.0)

    # --- Simulator ----------------------------------------------------------------------------------------

    @property
    def measured(self) -> int:
        """See `Simulator`."""
        return self._measured

    @property
    def held_frames(self) -> int:
        """See `Simulator`."""
        return self._held_frames

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the host."""
        self._decoder.receive(data)
        while (line := self._decoder.next_line()) is not None:
            if isinstance(line, str):
                if line.startswith(CUE):
                    self._take_cue(line.removeprefix(CUE).strip())
                elif line:
                    self._answer(line, now_s)
            else:
                self._say_error(line.reason, now_s)

    def cable_pulled(self) -> None:
        """Forget what was on its way."""
        super().cable_pulled()
        self._decoder = LineDecoder(self._settings.line.longest_line)

    def power_cycle(self, now_s: float) -> None:
        """Begin anew, lamp off and without integration time; what is in front of it stays."""
        self.cable_pulled()
        self._measured = self._held_frames = 0
        self._lamp = not self._settings.lamp.on
        self._integration_ms = 0.0

    # --- answers ------------------------------------------------------------------------------------------

    def _take_cue(self, cue: str) -> None:
        if not self._cue:
            # What was measured before a host began to give cues was no target.
            self._next_target = 0
        if cue.startswith("target") and cue != self._last_target:
            self._last_target, self._target = cue, self._take_next()
        self._cue = cue

    def _take_next(self) -> int:
        number, self._next_target = self._next_target, self._next_target + 1
        return number

    def _answer(self, command: str, now_s: float) -> None:
        settings = self._settings
        commands = settings.commands
        scans = _matched(commands.acquire, "scans", command)
        integration = _matched(settings.integration.command, "value", command)
        steps = {step.send: step.expect for step in commands.init}
        if scans is not None:
            self._measure(scans, now_s)
        elif commands.identify is not None and command == commands.identify.send:
            self._say([commands.identify.expect or "virtual"], now_s)
        elif command == commands.firmware:
            self._say(["1.0"], now_s)
        elif command == commands.serial_number:
            self._say([self._serial_number], now_s)
        elif integration is not None:
            self._integration_ms = integration * settings.integration.unit_ms
            self._say([], now_s)
        elif command in settings.lamp.on or command in settings.lamp.off:
            self._lamp = command in settings.lamp.on
            self._say([], now_s)
        elif command in steps:
            self._say([steps[command]] if steps[command] and steps[command] != settings.line.ok else [], now_s)
        else:
            self._say_error("unknown command", now_s)

    def _measure(self, scans: int, now_s: float) -> None:
        values = self._in_front()
        if values is None:
            self._send([self._notice("nothing left")], now_s)
            return
        self._measured += 1
        seconds = scans * self._integration_ms / 1000 if self._real_time else 0.0
        self._held_frames = self._say(self._lines(values), now_s + seconds)

    def _in_front(self) -> Floats | None:
        """(bands,) reflectance in front of the probe; None if all targets have been measured."""
        raw = self._settings.values.delivers == "counts"
        if raw and (self._cue.startswith("dark") or not self._lamp):
            return np.zeros_like(self._dark)
        if self._cue and not self._cue.startswith("target"):
            return np.ones_like(self._dark)
        if not self._cue:
            self._target = self._take_next()
        if self._loop:
            return self._targets[self._target % len(self._targets)]
        return self._targets[self._target] if self._target < len(self._targets) else None

    def _lines(self, reflectance: Floats) -> list[str]:
        layout = self._settings.values
        if layout.delivers == "counts":
            dark = 0.0 if layout.dark == "subtracted" else self._dark
            texts = [str(round(v)) for v in dark + reflectance * self._white]
        else:
            scale = 100.0 if layout.delivers == "percent" else 1.0
            texts = [f"{v * scale:.6f}" for v in reflectance]
        if layout.lines == "one":
            return [layout.prefix + layout.separator.join(["0"] * layout.skip + texts) + layout.suffix]
        lines = []
        for wavelength_nm, text in zip(self._wavelengths_nm, texts, strict=True):
            columns = ["0"] * max(layout.value_column, layout.wavelength_column)
            columns[layout.value_column - 1] = text
            if layout.wavelength_column:
                columns[layout.wavelength_column - 1] = f"{wavelength_nm:.3f}"
            lines.append(layout.prefix + layout.separator.join(columns) + layout.suffix)
        return lines

    def _notice(self, also: str = "") -> str:
        return ", ".join(filter(None, [VIRTUAL_NOTICE, "simulated" if self._simulated else "", also]))

    def _say(self, lines: list[str], now_s: float) -> int:
        ok = self._settings.line.ok
        if ok and len(lines) == 1:
            lines = [f"{lines[0]} {ok}"]
        elif ok:
            lines = [*lines, ok]
        return self._send([self._notice(), *lines], now_s)

    def _say_error(self, text: str, now_s: float) -> None:
        error = self._settings.line.error
        # An instrument without a mark for errors says nothing.
        if error:
            self._send([self._notice(), f"{error} {text}"], now_s)

    def _send(self, lines: list[str], at_s: float) -> int:
        data = "".join(line + "\r\n" for line in lines).encode("ascii")
        pieces = [data[i : i + _PIECE] for i in range(0, len(data), _PIECE)]
        self._outbox.extend((at_s, piece) for piece in pieces)
        return len(pieces)


def ascii_simulator(
    profile: Profile, spectra: Sequence[Spectrum], real_time: bool = False, loop: bool = False
) -> VirtualAsciiInstrument:
    """Play spectra as the instrument of a profile would measure them: interpolated to its wavelengths.

    Args:
        profile: of protocol "ascii".
        spectra: reflectance or absorbance that reach over the instrument's wavelengths.
        real_time, loop: see `VirtualAsciiInstrument`.

    Raises:
        ProfileError: a profile of another protocol.
        UnsuitableSpectrumError: no spectra, another quantity, or too short a range.
    """
    settings = profile.ascii
    if settings is None:
        raise ProfileError(f"{profile.name}: not a profile of an ASCII instrument")
    if not spectra:
        raise UnsuitableSpectrumError("no spectra to play")
    nm = np.array(settings.wavelengths_nm or spectra[0].wavelengths_nm, dtype=np.float64)
    targets = [reflectance_on(nm, spectrum) for spectrum in spectra]
    simulated = any(spectrum.simulated for spectrum in spectra)
    return VirtualAsciiInstrument(settings, targets, nm, simulated=simulated, real_time=real_time, loop=loop)


def _matched(template: str, name: str, command: str) -> int | None:
    """The number in a command's braces, 1 if it has none; None if it is another command."""
    if not template:
        return None
    pattern = re.escape(template).replace(re.escape("{" + name + "}"), r"(\d{1,9})")
    match = re.fullmatch(pattern, command)
    return None if match is None else int(match[1]) if match.groups() else 1
