"""What is said to an ASD FieldSpec over TCP, and what its replies hold; no input or output.

Commands are ASCII with commas and no terminator; replies are big-endian structures of fixed length (the maker's
developer guide, revision E). The guide's commands that write the instrument's flash have no counterpart here: every
command is one of the classes below, and none of them can be made to say anything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from ..errors import ProtocolError

NO_ERROR = 100
ERROR_CLASSES = {
    200: "measuring failed",
    300: "the calibration is not loaded",
    400: "reading a value failed",
    500: "the flash memory failed",
    600: "a reset failed",
    700: "interpolation failed",
    800: "optimisation failed",
    900: "instrument control failed",
}
"""`header` of a reply that is an error, in words."""
ERRORS = {
    -1: "not ready",
    -2: "no index marks from the grating",
    -3: "too many zeros in the data",
    -4: "wrong scan size",
    -6: "unknown command",
    -7: "the parameter table is full",
    -8: "a parameter is missing",
    -10: "VNIR timed out",
    -11: "SWIR timed out",
    -12: "VNIR not ready",
    -13: "SWIR1 not ready",
    -14: "SWIR2 not ready",
    -15: "VNIR could not be optimised",
    -16: "SWIR1 could not be optimised",
    -17: "SWIR2 could not be optimised",
    -18: "aborted",
    -19: "a parameter is wrong",
    -20: "VNIR could not be interpolated",
    -21: "SWIR1 could not be interpolated",
    -22: "SWIR2 could not be interpolated",
}
"""`errbyte` of a reply, in words."""
NOT_READY = (-1, -12, -13, -14)
NOT_OPTIMISED = (-15, -16, -17)

DETECTOR_CHANNELS = {"VNIR": 701, "SWIR1": 801, "SWIR2": 701}
"""Channels that a detector delivers where it does not stand with both others."""
TYPE_DETECTORS = {
    1: ("VNIR",),
    4: ("SWIR1",),
    5: ("VNIR", "SWIR1"),
    8: ("SWIR2",),
    9: ("VNIR", "SWIR2"),
    12: ("SWIR1", "SWIR2"),
    13: ("VNIR", "SWIR1", "SWIR2"),
}
"""Instrument type -> its detectors."""
CHANNELS = {
    kind: 2151 if len(names) == 3 else sum(DETECTOR_CHANNELS[name] for name in names)
    for kind, names in TYPE_DETECTORS.items()
}
"""Instrument type -> channels in the reply to `AcquireScans`."""

MOST_SCANS = 32767
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,29}")
_SHORTEST_STEP, _LONGEST_STEP = -1, 15
_MOST_GAIN = 4096


def explain(header: int, errbyte: int) -> str:
    """Say in words what a reply's codes mean; unknown ones by their number."""
    kind = ERROR_CLASSES.get(header, f"error class {header}, which the maker's guide does not name")
    what = f"{kind} ({header})" if header in ERROR_CLASSES else kind
    if header == NO_ERROR:
        what = ""
    if errbyte:
        detail = ERRORS.get(errbyte, "an error that the maker's guide does not name")
        what = f"{what}: {detail} ({errbyte})" if what else f"{detail} ({errbyte})"
    return what or "no error"


def integration_ms(step: int) -> float:
    """Integration time in ms of the VNIR's step -1 (8.5 ms), 0 (17 ms) to 15 (17 ms times 2 to the 15th)."""
    if not _SHORTEST_STEP <= step <= _LONGEST_STEP:
        raise ProtocolError(f"integration step {step}; -1 to 15 are known")
    return 17.0 * 2.0**step


class DetectorNumber(IntEnum):
    """As `Control` numbers them."""

    SWIR1 = 0
    SWIR2 = 1
    VNIR = 2


class Setting(IntEnum):
    """What `Control` sets."""

    INTEGRATION = 0
    GAIN = 1
    OFFSET = 2
    SHUTTER = 3
    TRIGGER_RESET = 4


_RANGES = {
    Setting.INTEGRATION: (_SHORTEST_STEP, _LONGEST_STEP),
    Setting.GAIN: (0, _MOST_GAIN),
    Setting.OFFSET: (0, _MOST_GAIN),
    Setting.SHUTTER: (0, 1),
    Setting.TRIGGER_RESET: (0, 1),
}
_OF_THE_VNIR = (Setting.INTEGRATION, Setting.SHUTTER)


def _whole(value: object, low: int, high: int, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProtocolError(f"{what} {value!r}; a whole number from {low} to {high} is needed")
    return int(value)


# --- commands ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GetVersion:
    """Which firmware, which instrument type. Reply: `Version`."""

    def pack(self) -> bytes:
        """Return the command."""
        return b"V"


@dataclass(frozen=True)
class Restore:
    """Load the settings from flash and build the calibration arrays, as measuring needs. Reply: `FlashSettings`."""

    def pack(self) -> bytes:
        """Return the command."""
        return b"RESTORE,1"


@dataclass(frozen=True)
class ReadValue:
    """Read one setting. Reply: `Value`. ProtocolError if the name could be anything but a name."""

    name: str

    def __post_init__(self) -> None:
        if type(self.name) is not str or not _NAME.fullmatch(self.name):
            raise ProtocolError(f"name of a setting {self.name!r}; 1 to 30 letters and digits are needed")

    def pack(self) -> bytes:
        """Return the command."""
        return b"INIT,0," + self.name.encode("ascii")


@dataclass(frozen=True)
class Optimise:
    """Set integration time, gains and offsets on what is in front of the probe. Reply: `Optimised`."""

    detectors: tuple[str, ...] = ("VNIR", "SWIR1", "SWIR2")

    def __post_init__(self) -> None:
        unknown = [name for name in self.detectors if name not in _OPTIMISE_BITS]
        if unknown or not self.detectors:
            raise ProtocolError(f"detectors to optimise {self.detectors}; some of {', '.join(_OPTIMISE_BITS)}")

    def pack(self) -> bytes:
        """Return the command."""
        return b"OPT,%d" % sum({_OPTIMISE_BITS[name] for name in self.detectors})


_OPTIMISE_BITS = {"VNIR": 1, "SWIR1": 2, "SWIR2": 4}


@dataclass(frozen=True)
class Control:
    """Set one thing of one detector. Reply: `Controlled`. ProtocolError if it is out of range."""

    detector: DetectorNumber
    setting: Setting
    value: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "detector", DetectorNumber(_whole(self.detector, 0, 2, "detector")))
        object.__setattr__(self, "setting", Setting(_whole(self.setting, 0, 4, "setting")))
        low, high = _RANGES[self.setting]
        object.__setattr__(self, "value", _whole(self.value, low, high, self.setting.name.lower()))
        if self.setting in _OF_THE_VNIR and self.detector != DetectorNumber.VNIR:
            raise ProtocolError(f"{self.detector.name} has no {self.setting.name.lower()}; the VNIR has")

    def pack(self) -> bytes:
        """Return the command."""
        return b"IC,%d,%d,%d" % (self.detector, self.setting, self.value)


@dataclass(frozen=True)
class AcquireScans:
    """Measure the mean of so many scans, interpolated to 1 nm. Reply: `Acquired`."""

    scans: int

    def __post_init__(self) -> None:
        _whole(self.scans, 1, MOST_SCANS, "scans")

    def pack(self) -> bytes:
        """Return the command."""
        return b"A,1,%d" % self.scans


@dataclass(frozen=True)
class Abort:
    """Stop a running `AcquireScans` or `Optimise`. Reply: `Value`."""

    def pack(self) -> bytes:
        """Return the command."""
        return b"ABORT"


Command: TypeAlias = GetVersion | Restore | ReadValue | Optimise | Control | AcquireScans | Abort
