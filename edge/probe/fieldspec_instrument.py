"""A virtual FieldSpec: the server's side of the protocol, without input or output.

It plays reflectance spectra as made-up counts. Everything it says of itself is in its settings: `StibiumVirtual` is
1, and `StibiumSimulated` too if no instrument ever saw a spectrum that it plays.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..instruments.fieldspec import SIMULATED_SETTING, VIRTUAL_SETTING
from ..protocols.fieldspec_messages import (
    DETECTOR_CHANNELS,
    MOST_SCANS,
    TYPE_DETECTORS,
    Detector,
    Setting,
    integration_ms,
)
from ..protocols.fieldspec_replies import (
    Acquired,
    AcquireHead,
    AnyReply,
    Controlled,
    Optimised,
    SwirHead,
    Value,
    Version,
    VnirHead,
)
from ..protocols.fieldspec_replies import Settings as SettingsReply
from . import fieldspec_optics as optics
from .in_front import GRID_NM, InFront, Thing

_OPTIMISE_S, _RESTORE_S, _SWIR_SCAN_S = 8.0, 2.0, 0.1
_PIECES = 8
_NOT_LOADED, _FAILED_READ, _FAILED_OPTIMISE, _FAILED_CONTROL, _FAILED_SCAN = 300, 400, 800, 900, 200
_UNKNOWN, _MISSING, _WRONG = -6, -8, -19
_WRITES_FLASH = ("ERASE", "SAVE", "INIT,1", "INIT,2")


@dataclass
class Mishaps:
    """What goes wrong when it is told to.

    Attributes:
        lamp: whether it is lit.
        cooler_alarms: names of the detectors whose cooler gives an alarm.
        shutter_stuck: it stays as it is.
        errors: errbytes that the next measurements, optimisings and controls are answered with.
        silent: so many commands are not answered at all.
        short: so many measurements come with one channel too few.
        twice: so many replies come twice.
        cut: so many error replies end after their codes.
    """

    lamp: bool = True
    cooler_alarms: tuple[str, ...] = ()
    shutter_stuck: bool = False
    errors: tuple[int, ...] = ()
    silent: int = 0
    short: int = 0
    twice: int = 0
    cut: int = 0


class VirtualFieldSpec:
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
        self.in_front = in_front
        self.mishaps = Mishaps()
        self.serial_number = serial_number
        self.instrument_type = instrument_type
        self.said: list[str] = []
        """Commands that came, in order; the last thousand."""
        self._real_time, self._warm_s, self._time_scale = real_time, warm_s, time_scale
        self._not_ready_s, self._simulated = not_ready_s, simulated
        self._log = log or (lambda line: None)
        self._dice = np.random.default_rng(seed)
        self._greeting_dice = random.Random(seed)
        self._on_since_s: float | None = None
        self._fresh = True
        self._measured = 0
        self._outbox: deque[tuple[float, bytes]] = deque()
        self._reset()

    def _reset(self) -> None:
        self._outbox.clear()
        self._settings = optics.Settings()
        self._loaded = False
        self._busy_until_s = 0.0

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of its detectors."""
        return TYPE_DETECTORS[self.instrument_type]

    # --- what `VirtualProbe` asks of a player -------------------------------------------------------------

    @property
    def measured(self) -> int:
        """Measurements made since power-up."""
        return self._measured

    @property
    def held_frames(self) -> int:
        """Pieces in which a measurement goes out."""
        return _PIECES

    def host_came(self, now_s: float) -> None:
        """Greet; how long the greeting is differs each time."""
        self._switch_on(now_s)
        words = "stibium virtual FieldSpec, no instrument. " + "Hello. " * self._greeting_dice.randrange(1, 9)
        self._outbox.append((now_s, words.encode()))

    def cable_pulled(self) -> None:
        """Forget what was on its way; what is set stays set."""
        self._outbox.clear()
        self._busy_until_s = 0.0

    def reply_lost(self) -> None:
        """The connection ended before a reply was out."""
        self.in_front.not_delivered()

    def power_cycle(self, now_s: float) -> None:
        """Switch off and on: cold, nothing loaded, everything at its default."""
        self._reset()
        self._measured = 0
        self._on_since_s, self._fresh = now_s, False

    def press_button(self, now_s: float) -> bool:
        """Nothing happens: the button does not reach this protocol."""
        return False

    def outgoing(self, now_s: float) -> list[bytes]:
        """Give what is due."""
        due = []
        while self._outbox and self._outbox[0][0] <= now_s:
            due.append(self._outbox.popleft()[1])
        return due

    def next_due_s(self) -> float | None:
        """When there will be something next."""
        return self._outbox[0][0] if self._outbox else None

    def receive(self, data: bytes, now_s: float) -> None:
        """Take a command: what comes in one piece is one, as nothing else ends it."""
        self._switch_on(now_s)
        text = data.decode("ascii", "replace").strip()
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
            return Version(100, 0, "stibium virtual", 1.5, self.instrument_type), 0.0
        if text == "RESTORE,1":
            self._loaded = True
            values = self._flash()
            return SettingsReply(100, 0, tuple(values.items()), len(values), 0), _RESTORE_S
        if name == "INIT" and parameters[:1] == ["0"]:
            return self._read(parameters), 0.0
        if text == "ABORT":
            return Value(100, 0, "ABORT", 0.0, 0), 0.0
        if name == "OPT":
            return self._optimise(parameters, now_s), _OPTIMISE_S
        if name == "IC":
            return self._control(parameters, now_s), 0.05
        if name == "A":
            return self._acquire(parameters, now_s)
        return Value(_FAILED_READ, _UNKNOWN, name[:20], 0.0, 0), 0.0

    def _flash(self) -> dict[str, float]:
        values = {
            "SerialNumber": float(self.serial_number),
            "StartingWavelength": 350.0,
            "EndingWavelength": 2500.0,
            "VStartingWavelength": 350.0,
            "VEndingWavelength": 1000.0,
            "S1StartingWavelength": 1001.0 if self.instrument_type == 13 else 1000.0,
            "S1EndingWavelength": 1800.0,
            "S2StartingWavelength": 1801.0 if self.instrument_type == 13 else 1800.0,
            "S2EndingWavelength": 2500.0,
            "VDarkCurrentCorrection": optics.DARK_CORRECTION,
            VIRTUAL_SETTING: 1.0,
        }
        return values | ({SIMULATED_SETTING: 1.0} if self._simulated else {})

    def _read(self, parameters: list[str]) -> Value:
        if len(parameters) < 2:
            return Value(_FAILED_READ, _MISSING, "", 0.0, 0)
        values = self._flash()
        if parameters[1] not in values:
            return Value(_FAILED_READ, _WRONG, parameters[1][:29], 0.0, 0)
        return Value(100, 0, parameters[1], values[parameters[1]], 1)

    def _told_error(self, now_s: float) -> int:
        if self.mishaps.errors:
            errbyte, *rest = self.mishaps.errors
            self.mishaps.errors = tuple(rest)
            return errbyte
        return -12 if self._awake_s(now_s) < self._not_ready_s else 0

    def _light(self) -> Thing:
        thing = self.in_front.now
        return thing if self.mishaps.lamp else replace(thing, reflectance=np.zeros_like(GRID_NM))

    def _optimise(self, parameters: list[str], now_s: float) -> Optimised:
        mask = int(parameters[0]) if parameters and parameters[0].isdigit() else 0
        if not 0 < mask < 8:
            return Optimised(_FAILED_OPTIMISE, _MISSING if not parameters else _WRONG, 0, 0, 0, 0, 0)
        errbyte = self._told_error(now_s)
        settings, on_s = self._settings, self._on_s(now_s)
        gain, offset, step = list(settings.gain), list(settings.offset), settings.step
        for detector, bit, error in (("VNIR", 1, -15), ("SWIR1", 2, -16), ("SWIR2", 4, -17)):
            if errbyte or not mask & bit or detector not in self.detectors:
                continue
            nm, light = self._seen_by(detector)
            if detector == "VNIR":
                found = None if settings.closed else optics.optimise_vnir(nm, light, on_s)
                errbyte, step = (error, step) if found is None else (0, found)
            else:
                both = optics.optimise_swir(detector, nm, light, on_s)
                number = ("SWIR1", "SWIR2").index(detector)
                errbyte = error if both is None else 0
                gain[number], offset[number] = both or (gain[number], offset[number])
        if errbyte:
            return Optimised(_FAILED_OPTIMISE, errbyte, 0, 0, 0, 0, 0)
        settings.step, settings.gain, settings.offset = step, (gain[0], gain[1]), (offset[0], offset[1])
        self.in_front.referenced()
        return Optimised(100, 0, step, *settings.gain, *settings.offset)

    def _control(self, parameters: list[str], now_s: float) -> Controlled:
        try:
            detector, setting, value = map(int, parameters)
            _check_control(detector, setting, value)
        except ValueError:
            return Controlled(_FAILED_CONTROL, _MISSING if len(parameters) < 3 else _WRONG, 0, 0, 0)
        errbyte = self._told_error(now_s)
        if errbyte:
            return Controlled(_FAILED_CONTROL, errbyte, detector, setting, value)
        settings = self._settings
        if setting == Setting.SHUTTER and not self.mishaps.shutter_stuck:
            settings.closed = bool(value)
        elif setting == Setting.INTEGRATION:
            settings.step = value
        elif setting in (Setting.GAIN, Setting.OFFSET) and detector != Detector.VNIR:
            name = "gain" if setting == Setting.GAIN else "offset"
            pair = list(getattr(settings, name))
            pair[detector] = value
            setattr(settings, name, (pair[0], pair[1]))
        return Controlled(100, 0, detector, setting, value)

    def _acquire(self, parameters: list[str], now_s: float) -> tuple[Acquired, float]:
        scans = int(parameters[1]) if len(parameters) > 1 and parameters[1].isdigit() else 0
        if parameters[:1] != ["1"] or not 0 < scans <= MOST_SCANS:
            return self._no_scan(_FAILED_SCAN, _MISSING if len(parameters) < 2 else _WRONG), 0.0
        if not self._loaded:
            return self._no_scan(_NOT_LOADED, -1), 0.0
        errbyte = self._told_error(now_s)
        if errbyte:
            return self._no_scan(_FAILED_SCAN, errbyte), 0.0
        self._measured += 1
        reply = self._measure(scans, now_s)
        if self._settings.closed and "VNIR" in self.detectors:
            self.in_front.referenced()
        else:
            self.in_front.measured()
        step_s = integration_ms(self._settings.step) / 1000 if "VNIR" in self.detectors else 0.0
        swir_s = _SWIR_SCAN_S if len(self.detectors) > 1 or "VNIR" not in self.detectors else 0.0
        return reply, scans * max(step_s, swir_s)

    def _no_scan(self, header: int, errbyte: int) -> Acquired:
        head = AcquireHead(header, errbyte, instrument_type=self.instrument_type)
        return Acquired(head, np.zeros(sum(self._wavelengths(d).size for d in self.detectors)))

    def _wavelengths(self, detector: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """As delivered: with both others there, each detector ends where the next one begins."""
        if self.instrument_type == 13:
            first, last = optics.RANGES_NM[detector]
            return np.arange(first, last + 1)
        first = {"VNIR": 350.0, "SWIR1": 1000.0, "SWIR2": 1800.0}[detector]
        return first + np.arange(DETECTOR_CHANNELS[detector], dtype=np.float64)

    def _seen_by(self, detector: str) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        nm = self._wavelengths(detector)
        return nm, np.interp(nm, GRID_NM, self._light().reflectance)

    def _measure(self, scans: int, now_s: float) -> Acquired:
        on_s, settings = self._on_s(now_s), self._settings
        frames = {}
        for detector in self.detectors:
            nm, light = self._seen_by(detector)
            if detector == "VNIR":
                frames[detector] = optics.vnir(nm, light, settings, on_s, scans, self._dice)
            else:
                # The shutter is the VNIR's: the others see what is in front whatever it does.
                frames[detector] = optics.swir(detector, nm, light, settings, on_s, scans, self._dice)
        minutes = int(on_s // 60)
        head = AcquireHead(
            100,
            0,
            sample_count=scans,
            voltage=5 if self.mishaps.lamp else 0,
            current=1 if self.mishaps.lamp else 0,
            temperature=25,
            instrument_hours=1200 + minutes // 60,
            instrument_minutes=minutes % 60,
            instrument_type=self.instrument_type,
            vnir=self._vnir_head(frames, scans),
            swir1=self._swir_head("SWIR1", frames, scans),
            swir2=self._swir_head("SWIR2", frames, scans),
        )
        return Acquired(head, np.concatenate([frames[detector].values for detector in self.detectors]))

    def _vnir_head(self, frames: dict[str, optics.Frame], scans: int) -> VnirHead:
        frame = frames.get("VNIR")
        if frame is None:
            return VnirHead()
        return VnirHead(
            integration=self._settings.step,
            scans=scans,
            max_channel=int(frame.values.max()),
            min_channel=int(frame.values.min()),
            saturation=int(frame.saturated),
            shutter=int(self._settings.closed),
            drift=frame.drift,
        )

    def _swir_head(self, detector: str, frames: dict[str, optics.Frame], scans: int) -> SwirHead:
        frame = frames.get(detector)
        if frame is None:
            return SwirHead()
        number = ("SWIR1", "SWIR2").index(detector)
        return SwirHead(
            tec_status=int(detector in self.mishaps.cooler_alarms),
            tec_current=700,
            max_channel=int(frame.values.max()),
            min_channel=int(frame.values.min()),
            saturation=int(frame.saturated),
            a_scans=scans,
            b_scans=scans,
            gain=self._settings.gain[number],
            offset=self._settings.offset[number],
            dark_subtracted=1,
        )


def _check_control(detector: int, setting: int, value: int) -> None:
    ranges = {0: (-1, 15), 1: (0, 4096), 2: (0, 4096), 3: (0, 1), 4: (0, 1)}
    if detector not in (0, 1, 2) or setting not in ranges or not ranges[setting][0] <= value <= ranges[setting][1]:
        raise ValueError("out of range")
