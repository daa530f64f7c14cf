"""What is attached: serial ports, what their USB ids say, and who answers on them if asked."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import (
    InstrumentError,
    MeasurementError,
    NoReplyError,
    NoSuchPortError,
    PortError,
    ProtocolError,
)
from ..gates.scans import Identity
from .profile import Profile, profile_names, read_profile
from .serial_port import SerialPort, what_without_permission

EXAMPLE = "ascii_spectrometer"
"""A shipped profile of no instrument: nobody answers to it."""

# As the makers registered them (usb.ids); None for all of a maker's.
_USB: dict[tuple[int, int | None], str] = {
    (0x0403, 0x6001): "USB serial adapter (FTDI FT232)",
    (0x0403, 0x6010): "USB serial adapter (FTDI FT2232)",
    (0x0403, 0x6011): "USB serial adapter (FTDI FT4232)",
    (0x0403, 0x6014): "USB serial adapter (FTDI FT232H)",
    (0x0403, 0x6015): "USB serial adapter (FTDI FT-X)",
    (0x10C4, 0xEA60): "USB serial adapter (Silicon Labs CP210x)",
    (0x1A86, 0x7523): "USB serial adapter (WCH CH340)",
    (0x1A86, 0x5523): "USB serial adapter (WCH CH341)",
    (0x1A86, 0x55D4): "USB serial adapter (WCH CH9102)",
    (0x067B, 0x2303): "USB serial adapter (Prolific PL2303)",
    (0x0483, 0x5740): "microcontroller (STM32)",
    (0x16C0, 0x0483): "microcontroller (Teensy)",
    (0x2E8A, None): "microcontroller (Raspberry Pi)",
    (0x303A, None): "microcontroller (Espressif)",
    (0x2341, None): "microcontroller (Arduino)",
    (0x239A, None): "microcontroller (Adafruit)",
    (0x1B4F, None): "microcontroller (SparkFun)",
    (0x1546, None): "GNSS receiver (u-blox)",
}
_LINKS = ("/dev/serial/by-id/*", "/dev/stibium*", "/dev/serial0", "/dev/serial1")


@dataclass(frozen=True)
class AttachedPort:
    """A port, and what is known of it.

    Attributes:
        port: what other commands take as PORT.
        device: what it is, by its USB id or its own description; "" if nothing tells.
        usb_id: vendor and product, such as "0403:6001"; "" if it is no USB device.
        serial_number: of the USB device.
        links: other names that lead to it and stay the same when it is plugged in again.
        profile: profile that is answered to; "" if none was, or nobody asked.
        instrument: who answers.
        remark: why it cannot be used, or why nobody answered.
    """

    port: str
    device: str = ""
    usb_id: str = ""
    serial_number: str = ""
    links: tuple[str, ...] = ()
    profile: str = ""
    instrument: str = ""
    remark: str = ""


def attached_ports(names: Sequence[str] = ()) -> list[AttachedPort]:
    """List ports without opening any.

    Args:
        names: ports to look at, whether pyserial lists them or not; () for all that it lists.
    """
    from serial.tools import list_ports

    found: dict[str, Any] = {port.device: port for port in list_ports.comports() if port.hwid != "n/a"}
    links = _links()
    if not names:
        # A Raspberry Pi's own UART is not always listed; its link is.
        extra = [device for device in links if device not in found and any("/serial" in link for link in links[device])]
        return [_describe(name, found.get(name), links) for name in sorted([*found, *extra])]
    return [_describe(name, found.get(os.path.realpath(name)), links) for name in names]


def is_there(port: AttachedPort) -> bool:
    """Whether a device of that name exists; a network port may always."""
    return "://" in port.port or os.path.exists(port.port)


def _describe(name: str, listed: Any, links: dict[str, tuple[str, ...]]) -> AttachedPort:
    own = tuple(link for link in links.get(os.path.realpath(name), ()) if link != name)
    port = AttachedPort(name, links=own)
    if listed is not None:
        usb_id = "" if listed.vid is None else f"{listed.vid:04x}:{listed.pid:04x}"
        known = _USB.get((listed.vid, listed.pid)) or _USB.get((listed.vid, None)) or ""
        said = "" if listed.description in (None, "n/a") else listed.description
        device = f"{said}, {known}" if said and known else said or known
        port = replace(port, device=device, usb_id=usb_id, serial_number=listed.serial_number or "")
    return replace(port, remark=_why_not_usable(port))


def _why_not_usable(port: AttachedPort) -> str:
    if not is_there(port):
        return "no such port"
    if "://" not in port.port and not os.access(port.port, os.R_OK | os.W_OK):
        return what_without_permission(port.port)
    return ""


def _links() -> dict[str, tuple[str, ...]]:
    links: dict[str, tuple[str, ...]] = {}
    for pattern in _LINKS:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            device = os.path.realpath(path)
            if path.is_symlink() and os.path.exists(device):
                links[device] = (*links.get(device, ()), str(path))
    return links


def profiles_to_ask(names: Iterable[str] = ()) -> dict[str, Profile]:
    """Give the profiles that `ask` tries, by name: those named, or all that come with the package but the example.

    Raises:
        ProfileError: one cannot be read.
    """
    return {name: read_profile(name) for name in names or [n for n in profile_names() if n != EXAMPLE]}


def ask(port: AttachedPort, profiles: dict[str, Profile], timeout_s: float) -> AttachedPort:
    """Open a port and ask who is there, in each profile's own words, until somebody answers.

    An ASCII instrument is only asked its identity, a framed one its identification; a FieldSpec is looked for on
    network ports only, connected and left again. Nothing is measured.

    Args:
        port: free, or not.
        profiles: by name; see `profiles_to_ask`.
        timeout_s: for one answer.
    """
    if port.remark:
        return port
    if "://" not in port.port:
        try:
            SerialPort(port.port).close()
        except PortError as error:
            return replace(port, remark=_without_name(port, error))
    remarks: list[str] = []
    for name, profile in _in_order(port, profiles):
        hasty = replace(
            profile,
            timeouts=replace(
                profile.timeouts, reply_s=timeout_s, quiet_s=min(0.3, timeout_s), request_attempts=2, replug_s=0.1
            ),
        )
        try:
            identity = _ask_one(port.port, hasty)
        except (PortError, InstrumentError, MeasurementError, ProtocolError, NoReplyError) as error:
            if isinstance(error, NoSuchPortError):
                return replace(port, remark=_without_name(port, error))
            remarks.append(_without_name(port, error))
        else:
            words = [str(identity), identity.firmware and f"firmware {identity.firmware}"]
            words += ["SIMULATED spectra" if identity.simulated else "", "a program" if identity.virtual else ""]
            return replace(port, profile=name, instrument=", ".join(filter(None, words)))
    silent = [remark for remark in remarks if not remark.startswith("silent")]
    # What is not silence says more than silence does.
    return replace(port, remark=f"nobody answers: {(silent or remarks)[-1]}" if remarks else "no profile to ask with")


def _without_name(port: AttachedPort, error: Exception) -> str:
    return " ".join(str(error).removeprefix(f"{port.port}: ").split())


def _in_order(port: AttachedPort, profiles: dict[str, Profile]) -> list[tuple[str, Profile]]:
    # A FieldSpec must not hear what is not for it; an ASCII instrument is first told that a line has ended.
    order = {"fieldspec": 0, "framed": 1, "ascii": 2}
    usable = [
        (name, profile)
        for name, profile in profiles.items()
        if (profile.protocol != "fieldspec" or "://" in port.port)
        and (profile.ascii is None or profile.ascii.commands.identify is not None)
    ]
    return sorted(usable, key=lambda item: order[item[1].protocol])


def _ask_one(port: str, profile: Profile) -> Identity:
    from .opening import open_instrument

    if profile.ascii is not None:
        from .ascii import AsciiInstrument

        framing = profile.ascii.line.framing
        asked = AsciiInstrument(lambda: SerialPort(port, profile.serial.baudrate, framing=framing), profile)
        with closing(asked):
            return asked.ask_who()
    with closing(open_instrument(port, profile)) as instrument:
        return instrument.connect()


def network_ports(profiles: dict[str, Profile], timeout_s: float) -> list[AttachedPort]:
    """Give the network ports at which a profile's instrument is delivered, if something listens there.

    Args:
        profiles: by name.
        timeout_s: for a connection.
    """
    found = []
    for profile in profiles.values():
        name = profile.default_port
        match = re.match(r"socket://(.+):(\d+)$", name or "")
        if name is None or match is None:
            continue
        with suppress(OSError):  # nothing there: most devices have no such instrument
            socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=timeout_s).close()
            found.append(AttachedPort(name, device=f"address of an {profile.name} as delivered"))
    return found
