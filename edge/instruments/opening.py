"""Opens the driver that a profile asks for."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ProfileError
from .driver import Instrument
from .profile import Profile
from .recording import REPLAY_SCHEME
from .serial_port import BytePort, SerialPort, Tap


def open_instrument(
    port: str, profile: Profile, notify: Callable[[str], None] | None = None, tap: Tap | None = None
) -> Instrument:
    """Give the driver for a profile's protocol; nothing is opened before its `connect`.

    Args:
        port: anything that pyserial opens, such as /dev/ttyUSB0 or socket://169.254.1.11:8080; or replay://FILE.
        profile: names the protocol, and how patient to be.
        notify: called with one line for a person when something noteworthy happens on the line.
        tap: called with every piece of bytes, as it came or went; for a recording.

    Raises:
        ProfileError: the profile's protocol has no driver here.
    """

    def open_port() -> BytePort:
        framing = profile.ascii.line.framing if profile.ascii else "8N1"
        return SerialPort(port, profile.serial.baudrate, tap=tap, framing=framing)

    if port.startswith(REPLAY_SCHEME):
        from .replay import ReplayedInstrument

        if profile.protocol != "framed":
            raise ProfileError(f"{port}: only recordings of the framed protocol can be replayed")
        return ReplayedInstrument(port, profile, notify)
    # Each driver is imported only where it is used: the device starts fast.
    if profile.protocol == "framed":
        from .framed import FramedInstrument

        return FramedInstrument(open_port, profile, notify)
    if profile.protocol == "fieldspec":
        from .fieldspec import FieldSpecInstrument

        return FieldSpecInstrument(open_port, profile, notify)
    if profile.protocol == "ascii":
        from .ascii import AsciiInstrument

        return AsciiInstrument(open_port, profile, notify)
    raise ProfileError(f"{port}: no driver for protocol {profile.protocol!r}")
