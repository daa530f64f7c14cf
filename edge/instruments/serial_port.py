"""A port with bytes on it: anything that pyserial's `serial_for_url` opens, and a recording.

What differs between a USB adapter, a pseudo-terminal, a socket and pyserial's in-process ports ends here.
"""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import termios
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from ..errors import NoSuchPortError, NotAPortError, PortError, PortGoneError

Direction = Literal["<", ">", "!"]
"""From the instrument, to it, or a remark on the port."""
Tap = Callable[[Direction, bytes], None]

_PORT_NUMBER = re.compile(r"^\w+://[^/?]*:\d+")
_MOST_BYTES = 65536
_POLL_S = 0.005


class BytePort(Protocol):
    """What a driver needs of a port."""

    name: str

    def read(self, timeout_s: float) -> bytes:
        """Return what has come, nothing if nothing came in time. PortGoneError if hung up."""

    def write(self, data: bytes) -> None:
        """Send all of it. PortGoneError if hung up."""

    def close(self) -> None:
        """Close; may be called again."""


class SerialPort:
    """An open port.

    Args:
        name: `/dev/ttyUSB0`, `socket://host:port`, `rfc2217://host:port`, `loop://`, `spy:///dev/ttyUSB0`.
        baudrate: bit/s; without meaning for a socket.
        write_timeout_s: a port that takes no bytes for this long counts as hung up.
        tap: called with every piece of bytes, as it came or went.
        framing: data bits, parity and stop bits, such as "8N1" or "7E1"; without meaning for a socket.

    Raises:
        PortError: it cannot be opened; the message says what to do about it.
    """

    def __init__(
        self,
        name: str,
        baudrate: int = 115200,
        write_timeout_s: float = 5.0,
        tap: Tap | None = None,
        framing: str = "8N1",
    ) -> None:
        import serial

        self.name = name
        self._tap = tap
        if not name.strip():
            raise NotAPortError("no port: its name is empty; give /dev/..., socket://HOST:PORT or rfc2217://HOST:PORT")
        if name.startswith(("socket://", "rfc2217://")) and not _PORT_NUMBER.search(name):
            raise NotAPortError(f"{name}: a port number is missing; write {name.split('://')[0]}://HOST:PORT")
        # pyserial's RFC 2217 client knows no time-out for writing and refuses one.
        write_timeout = None if name.startswith("rfc2217://") else write_timeout_s
        try:
            # Reading never blocks inside pyserial: a change of its time-out would reconfigure the port each
            # time, and a longer read that ends in a hang-up would take the bytes before it along.
            self._serial: Any = serial.serial_for_url(
                name,
                baudrate=baudrate,
                bytesize=int(framing[0]),
                parity=framing[1],
                stopbits=int(framing[2]),
                timeout=0,
                write_timeout=write_timeout,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as error:
            raise _why_not_open(name, error) from error
        self._fd = _file_descriptor(self._serial)
        self._remark("opened")

    def read(self, timeout_s: float) -> bytes:
        """See `BytePort`."""
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                data = bytes(self._serial.read(_MOST_BYTES))
                left_s = deadline - time.monotonic()
                if data or left_s <= 0:
                    break
                if self._fd is None:
                    time.sleep(min(left_s, _POLL_S))
                else:
                    select.select([self._fd], [], [], left_s)
        except (OSError, termios.error) as error:
            raise self._hung_up(error) from error
        if data and self._tap:
            self._tap("<", data)
        return data

    def write(self, data: bytes) -> None:
        """See `BytePort`."""
        if self._tap:
            self._tap(">", data)
        try:
            self._serial.write(data)
        except (OSError, termios.error) as error:
            raise self._hung_up(error) from error

    def close(self) -> None:
        """See `BytePort`."""
        if self._serial.is_open:
            self._serial.close()
            self._remark("closed")

    def _hung_up(self, error: Exception) -> PortGoneError:
        self._remark(f"hung up: {error}")
        return PortGoneError(f"{self.name}: the port hung up; was it unplugged?")

    def _remark(self, text: str) -> None:
        if self._tap:
            self._tap("!", f"{text} {self.name}".encode())


def _file_descriptor(port: Any) -> int | None:
    # loop:// and rfc2217:// have nothing that select could wait on; pyserial says so by an error.
    try:
        return int(port.fileno())
    except (AttributeError, OSError):
        return None


def _why_not_open(name: str, error: Exception) -> PortError:
    cause = error
    while getattr(cause, "errno", None) is None and isinstance(cause.__context__, Exception):
        cause = cause.__context__
    number = getattr(cause, "errno", None)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return NoSuchPortError(f"{name}: no such port; {_ports_there()}; --wait-for-port waits for it")
    if number == errno.ECONNREFUSED:
        return NoSuchPortError(f"{name}: nothing listens there; is the instrument, or `stibium probe --tcp`, running?")
    kind = NotAPortError if _is_no_name(error) else PortError
    return kind(f"{name}: {_what_to_do(name, error, cause, number)}")


def _is_no_name(error: Exception) -> bool:
    # pyserial's own error of a port that cannot be opened is a ValueError, too.
    return isinstance(error, ValueError) and not isinstance(error, OSError)


def _what_to_do(name: str, error: Exception, cause: Exception, number: int | None) -> str:
    path = name.removeprefix("spy://").split("?")[0]
    if isinstance(cause, socket.gaierror):
        return "no such host"
    if isinstance(cause, TimeoutError):
        return "no answer from there; is it the right address, and on the same network?"
    if number in (errno.EACCES, errno.EPERM):
        return what_without_permission(path)
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"another program has it open; `fuser -v {path}` names it"
    if number in (errno.ENOTTY, errno.EISDIR, errno.EINVAL) or isinstance(error, termios.error):
        return f"not a serial port; {_ports_there()}"
    if "Could not configure port" in str(error):
        return f"not a serial port, or one without hardware behind it; {_ports_there()}"
    if isinstance(error, ValueError):
        return f"not a port ({error}); give /dev/..., socket://HOST:PORT or rfc2217://HOST:PORT"
    return f"cannot be opened: {getattr(cause, 'strerror', None) or error}"


def what_without_permission(path: str) -> str:
    """Say what a person without permission for a device does."""
    return f"no permission; `sudo usermod -a -G {_group_of(path)} $USER`, then log in again"


def _ports_there() -> str:
    from serial.tools import list_ports

    names = sorted(port.device for port in list_ports.comports() if port.hwid != "n/a")
    return f"there are {', '.join(names)}" if names else "no serial device is plugged in"


def _group_of(path: str) -> str:
    import grp

    try:
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
