"""The spectrometer inside a virtual FieldSpec: what it is set to, what it sees, and what it answers to that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..protocols.fieldspec_messages import (
    DETECTOR_CHANNELS,
    MOST_SCANS,
    TYPE_DETECTORS,
    DetectorNumber,
    Setting,
    integration_ms,
)
from ..protocols.fieldspec_replies import Acquired, AcquireHead, Controlled, Optimised, SwirHead, VnirHead
from . import fieldspec_optics as optics
from .in_front import GRID_NM, InFront

MISSING, WRONG = -8, -19
_NOT_LOADED, _FAILED_OPTIMISE, _FAILED_CONTROL, _FAILED_SCAN = 300, 800, 900, 200
_SWIR_SCAN_S = 0.1


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
        greeting_s: the greeting comes so many seconds late.
    """

    lamp: bool = True
    cooler_alarms: tuple[str, ...] = ()
    shutter_stuck: bool = False
    errors: tuple[int, ...] = ()
    silent: int = 0
    short: int = 0
    twice: int = 0
    cut: int = 0
    greeting_s: float = 0.0


class Spectrometer:
    """Detectors, shutter and lamp.

    Args:
        in_front: what it sees.
        instrument_type: 1, 4, 5, 8, 9, 12 or 13.
        seed: of the noise.
    """

    def __init__(self, in_front: InFront, instrument_type: int, seed: int) -> None:
        self.in_front = in_front
        self.mishaps = Mishaps()
        self.instrument_type = instrument_type
        self.detectors = TYPE_DETECTORS[instrument_type]
        self.measured = 0
        self._dice = np.random.default_rng(seed)
        self._sampling = False
        self.reset()

    def reset(self) -> None:
        """Switch it off and on."""
        self._settings = optics.DetectorSettings()
        self.loaded = False
        self.measured = 0

    def host_came(self) -> None:
        """What a host measures before it restores is to find out about the instrument: no sample is used up."""
        self._sampling = False

    def restore(self) -> None:
        """Answer `RESTORE,1`."""
        self.loaded = self._sampling = True

    def _light(self) -> Floats:
        return self.in_front.now.reflectance if self.mishaps.lamp else np.zeros_like(GRID_NM)

    def optimise(self, parameters: list[str], on_s: float, errbyte: int) -> Optimised:
        """Answer `OPT`, `on_s` seconds after it was switched on; `errbyte` if it is to fail."""
        mask = int(parameters[0]) if parameters and parameters[0].isdigit() else 0
        if not 0 < mask < 8:
            return Optimised(_FAILED_OPTIMISE, MISSING if not parameters else WRONG, 0, 0, 0, 0, 0)
        self.in_front.optimising()
        settings = self._settings
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

    def control(self, parameters: list[str], errbyte: int) -> Controlled:
        """Answer `IC`."""
        try:
            detector, setting, value = map(int, parameters)
            _check_control(detector, setting, value)
        except ValueError:
            return Controlled(_FAILED_CONTROL, MISSING if len(parameters) < 3 else WRONG, 0, 0, 0)
        if errbyte:
            return Controlled(_FAILED_CONTROL, errbyte, detector, setting, value)
        settings = self._settings
        if setting == Setting.SHUTTER and not self.mishaps.shutter_stuck:
            settings.closed = bool(value)
        elif setting == Setting.INTEGRATION:
            settings.step = value
        elif setting in (Setting.GAIN, Setting.OFFSET) and detector != DetectorNumber.VNIR:
            name = "gain" if setting == Setting.GAIN else "offset"
            pair = list(getattr(settings, name))
            pair[detector] = value
            setattr(settings, name, (pair[0], pair[1]))
        return Controlled(100, 0, detector, setting, value)

    def acquire(self, parameters: list[str], on_s: float, errbyte: int) -> tuple[Acquired, float]:
        """Answer `A`; give the seconds it takes, too."""
        scans = int(parameters[1]) if len(parameters) > 1 and parameters[1].isdigit() else 0
        if parameters[:1] != ["1"] or not 0 < scans <= MOST_SCANS:
            return self._no_scan(_FAILED_SCAN, MISSING if len(parameters) < 2 else WRONG), 0.0
        if not self.loaded:
            return self._no_scan(_NOT_LOADED, -1), 0.0
        if errbyte:
            return self._no_scan(_FAILED_SCAN, errbyte), 0.0
        self.measured += 1
        reply = self._measure(scans, on_s)
        if self._settings.closed and "VNIR" in self.detectors:
            self.in_front.referenced()
        elif self._sampling:
            self.in_front.measured()
        step_s = integration_ms(self._settings.step) / 1000 if "VNIR" in self.detectors else 0.0
        swir_s = _SWIR_SCAN_S if len(self.detectors) > 1 or "VNIR" not in self.detectors else 0.0
        return reply, scans * max(step_s, swir_s)

    def _no_scan(self, header: int, errbyte: int) -> Acquired:
        head = AcquireHead(header, errbyte, instrument_type=self.instrument_type)
        return Acquired(head, np.zeros(sum(self._wavelengths(d).size for d in self.detectors)))

    def _wavelengths(self, detector: str) -> Floats:
        """As delivered: with both others there, each detector ends where the next one begins."""
        if self.instrument_type == 13:
            first, last = optics.RANGES_NM[detector]
            return np.arange(first, last + 1)
        first = {"VNIR": 350.0, "SWIR1": 1000.0, "SWIR2": 1800.0}[detector]
        return first + np.arange(DETECTOR_CHANNELS[detector], dtype=np.float64)

    def _seen_by(self, detector: str) -> tuple[Floats, Floats]:
        nm = self._wavelengths(detector)
        return nm, np.interp(nm, GRID_NM, self._light())

    def _measure(self, scans: int, on_s: float) -> Acquired:
        settings = self._settings
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

    def _vnir_head(self, frames: dict[str, optics.DetectorReading], scans: int) -> VnirHead:
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

    def _swir_head(self, detector: str, frames: dict[str, optics.DetectorReading], scans: int) -> SwirHead:
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
