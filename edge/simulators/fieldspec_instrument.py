"""A virtual FieldSpec: the server's side of the protocol, without input or output.

It plays reflectance spectra as made-up counts. Everything it says of itself is in its settings: `StibiumVirtual` is
1, and `StibiumSimulated` too if no instrument ever saw a spectrum that it plays.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ..instruments.fieldspec import SIMULATED_SETTING, VIRTUAL_SETTING
from ..protocols.fieldspec_replies import Acquired, AnyReply, FlashSettings, Value, Version
from .fieldspec_optics import DARK_CORRECTION
from .fieldspec_spectrometer import MISSING, WRONG, Spectrometer
from .in_front import InFront
from .simulator import Simulator

_OPTIMISE_S, _RESTORE_S, _CONTROL_S = 8.0, 2.0, 0.05
_PIECES = 8
_FAILED_READ, _UNKNOWN = 400, -6
_WRITES_FLASH = ("ERASE", "SAVE", "INIT,1", "INIT,2")


class VirtualFieldSpec(Simulator):
    """Plays an instrument.

    Args:
        in_front: what it measures.
        real_time: measuring takes as long as it would; otherwise no time.
        instrument_type: 1, 4, 5, 8, 9, 12 or 13.
        serial_number: as it says.
        warm_s: seconds that it has been on at the start.
        time_scale: its warm-up and drift run so many times as fast.
        not_ready_s: after being switched on it answers "not ready" for so long.
        seed: of noise and greeting.
    """

    def __init__(
        self,
        in_front: InFront,
        real_time: bool = False,
        instrument_type: int = 13,
        serial_number: int = 18000,
        warm_s: float = 3600.0,
        time_scale: float = 1.0,
        not_ready_s: float = 0.0,
        seed: int = 0,
        simulated: bool = True,
        log: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.in_front = in_front
        self.spectrometer = Spectrometer(in_front, instrument_type, seed)
        self.mishaps = self.spectrometer.mishaps
        self.serial_number = serial_number
        self.said: list[str] = []
        """Commands that came, in order; the last thousand."""
        self._real_time, self._warm_s, self._time_scale = real_time, warm_s, time_scale
        self._not_ready_s, self._simulated = not_ready_s, simulated
        self._log = log or (lambda line: None)
        self._greeting_dice = random.Random(seed)
        self._on_since_s: float | None = None
        self._fresh = True
        self._busy_until_s = 0.0

    # --- what `VirtualProbe` asks of a simulator -------------------------------------------------------------

    @property
    def held_frames(self) -> int:
        """Pieces in which a measurement goes out."""
        return _PIECES

    @property
    def measured(self) -> int:
        """Measurements made since power-up."""
        return self.spectrometer.measured

    def host_came(self, now_s: float) -> None:
        """Greet; how long the greeting is differs each time."""
        self._switch_on(now_s)
        self.spectrometer.host_came()
        words = "stibium virtual FieldSpec, no instrument. " + "Hello. " * self._greeting_dice.randrange(1, 9)
        self._outbox.append((now_s + self.mishaps.greeting_s, words.encode()))

    def cable_pulled(self) -> None:
        """Forget what was on its way; what is set stays set."""
        super().cable_pulled()
        self._busy_until_s = 0.0

    def reply_lost(self) -> None:
        """The connection ended before a reply was out."""
        self.in_front.not_delivered()

    def power_cycle(self, now_s: float) -> None:
        """Switch off and on: cold, nothing loaded, everything at its default."""
        self.cable_pulled()
        self.spectrometer.reset()
        self._on_since_s, self._fresh = now_s, False

    def receive(self, data: bytes, now_s: float) -> None:
        """Take a command: what comes in one piece is one, as nothing else ends it."""
        self._switch_on(now_s)
        text = data.decode("ascii", "replace").strip()
        if text == "ABORT":
            self.in_front.not_delivered()
        # Whoever asks for the next thing has got the last one.
        self.in_front.delivered()
        self.said = [*self.said[-999:], text]
        if self.mishaps.silent:
            self.mishaps.silent -= 1
            self._log(f"{text}: not answered, as told")
            return
        begin_s = max(now_s, self._busy_until_s)
        if text == "ABORT":
            self._outbox.clear()
            begin_s = now_s
        reply, seconds = self._answer(text, now_s)
        due_s = begin_s + (seconds if self._real_time else 0.0)
        self._busy_until_s = due_s
        self._send(reply, due_s)

    # --- answers ------------------------------------------------------------------------------------------

    def _switch_on(self, now_s: float) -> None:
        if self._on_since_s is None:
            self._on_since_s = now_s

    def _on_s(self, now_s: float) -> float:
        on_s = self._awake_s(now_s) * self._time_scale
        return on_s + self._warm_s if self._fresh else on_s

    def _awake_s(self, now_s: float) -> float:
        return 0.0 if self._on_since_s is None else now_s - self._on_since_s

    def _send(self, reply: AnyReply, due_s: float) -> None:
        data = reply.pack()
        if not reply.good and self.mishaps.cut:
            self.mishaps.cut -= 1
            data = data[:8]
        if isinstance(reply, Acquired) and reply.good and self.mishaps.short:
            self.mishaps.short -= 1
            data = data[:-4]
        if self.mishaps.twice:
            self.mishaps.twice -= 1
            data += data
        size = -(-len(data) // _PIECES) if isinstance(reply, Acquired) else len(data)
        self._outbox.extend((due_s, data[start : start + size]) for start in range(0, len(data), size))

    def _answer(self, text: str, now_s: float) -> tuple[AnyReply, float]:
        """Give the reply and the seconds it takes."""
        name, *parameters = text.split(",")
        if text.startswith(_WRITES_FLASH):
            self._log(f"{text}: would write an instrument's flash; no program may send that")
            return Value(_FAILED_READ, _UNKNOWN, name, 0.0, 0), 0.0
        if name == "V" and not parameters:
            return Version(100, 0, "stibium virtual", 1.5, self.spectrometer.instrument_type), 0.0
        if text == "RESTORE,1":
            self.spectrometer.restore()
            values = self._flash()
            return FlashSettings(100, 0, tuple(values.items()), len(values), 0), _RESTORE_S
        if name == "INIT" and parameters[:1] == ["0"]:
            return self._read(parameters), 0.0
        if text == "ABORT":
            return Value(100, 0, "ABORT", 0.0, 0), 0.0
        if name == "OPT":
            return self.spectrometer.optimise(parameters, self._on_s(now_s), self._error(now_s)), _OPTIMISE_S
        if name == "IC":
            return self.spectrometer.control(parameters, self._error(now_s)), _CONTROL_S
        if name == "A":
            return self.spectrometer.acquire(parameters, self._on_s(now_s), self._error(now_s))
        return Value(_FAILED_READ, _UNKNOWN, name[:20], 0.0, 0), 0.0

    def _flash(self) -> dict[str, float]:
        whole = self.spectrometer.instrument_type == 13
        values = {
            "SerialNumber": float(self.serial_number),
            "StartingWavelength": 350.0,
            "EndingWavelength": 2500.0,
            "VStartingWavelength": 350.0,
            "VEndingWavelength": 1000.0,
            "S1StartingWavelength": 1001.0 if whole else 1000.0,
            "S1EndingWavelength": 1800.0,
            "S2StartingWavelength": 1801.0 if whole else 1800.0,
            "S2EndingWavelength": 2500.0,
            "VDarkCurrentCorrection": DARK_CORRECTION,
            VIRTUAL_SETTING: 1.0,
        }
        return values | ({SIMULATED_SETTING: 1.0} if self._simulated else {})

    def _read(self, parameters: list[str]) -> Value:
        if len(parameters) < 2:
            return Value(_FAILED_READ, MISSING, "", 0.0, 0)
        values = self._flash()
        if parameters[1] not in values:
            return Value(_FAILED_READ, WRONG, parameters[1][:29], 0.0, 0)
        return Value(100, 0, parameters[1], values[parameters[1]], 1)

    def _error(self, now_s: float) -> int:
        if self.mishaps.errors:
            errbyte, *rest = self.mishaps.errors
            self.mishaps.errors = tuple(rest)
            return errbyte
        return -12 if self._awake_s(now_s) < self._not_ready_s else 0
