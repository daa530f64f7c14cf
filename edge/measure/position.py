"""Where a sample was taken: from gpsd, from an NMEA receiver on a port, or a place that is typed in.

A receiver is read in a thread of its own, since a port that nobody reads keeps its oldest bytes and drops the newest.
It may be unplugged and come back; a fix that has become old is not given out.
"""

from __future__ import annotations

import math
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from ...converters.spectra.spectrum import Position
from ...converters.spectra.text import position_of
from ..errors import PortError, PositionError
from ..instruments.serial_port import BytePort
from ..log.place import is_place, parse_place
from ..protocols import gpsd, nmea

NMEA_BAUDRATE = 9600
OLDEST_S = 10.0
"""A fix older than this is of where we were. Receivers give one each second."""
_POLL_S = 0.25
_AGAIN_S = 2.0
_CONNECT_S = 5.0
_PORT = re.compile(r"(?P<name>/[^@]+|[a-z0-9]+://[^@]+)(?:@(?P<baud>\d+))?")


@dataclass(frozen=True)
class Fix:
    """A position that is valid now.

    Attributes:
        position: WGS 84; the height is above mean sea level.
        at: UTC, by the receiver's clock if it tells, else by this device's.
        source: port or address, as the person named it.
        quality: in words, such as "GPS, 9 satellites, HDOP 0.9".
    """

    position: Position
    at: datetime
    source: str
    quality: str


@dataclass(frozen=True)
class _NoFix:
    """The receiver says that it does not know where it is, or cannot be heard; the fix before is void."""

    why: str


_News: TypeAlias = "Fix | _NoFix | str"
"""What bytes said of our place; a text is a remark on the line that leaves the fix before in force, "" nothing."""


class PositionSource(Protocol):
    """Something that knows where we are."""

    def latest(self) -> Fix | None:
        """Give the newest fix; None if there is none, or only an old one. Does not wait."""

    def complaint(self) -> str:
        """Say in one line why there is no fix; "" if there is one."""

    def close(self) -> None:
        """Close; may be called again."""


class FixedPosition:
    """A place that a person typed in."""

    def __init__(self, position: Position) -> None:
        self._position = position

    def latest(self) -> Fix:
        """See `PositionSource`."""
        return Fix(self._position, datetime.now(timezone.utc), "typed in", "as typed in")

    def complaint(self) -> str:
        """See `PositionSource`."""
        return ""

    def close(self) -> None:
        """See `PositionSource`."""


class _Receiver:
    """Reads a port in a thread, opens it again when it has gone, and keeps the newest fix.

    Args:
        name: as the person named it.
        open_port: opens it; raises PortError.
        new_decoder: gives, for each time it is opened, what makes news of bytes.
        oldest_s: see `OLDEST_S`.
        patient: do not raise if the port is not there yet.

    Raises:
        PortError: it cannot be opened, and `patient` is False.
    """

    def __init__(
        self,
        name: str,
        open_port: Callable[[], BytePort],
        new_decoder: Callable[[], Callable[[bytes], _News]],
        oldest_s: float,
        patient: bool,
    ) -> None:
        self.name = name
        self._open_port, self._new_decoder, self._oldest_s = open_port, new_decoder, oldest_s
        self._lock = threading.Lock()
        self._fix: Fix | None = None
        self._fix_s = 0.0
        self._complaint = f"{name}: nothing has come yet"
        self._closing = threading.Event()
        port = None if patient else open_port()
        self._thread = threading.Thread(target=self._run, args=(port,), name=f"position {name}", daemon=True)
        self._thread.start()

    def latest(self) -> Fix | None:
        """See `PositionSource`."""
        with self._lock:
            fresh = self._fix is not None and time.monotonic() - self._fix_s <= self._oldest_s
            return self._fix if fresh else None

    def complaint(self) -> str:
        """See `PositionSource`."""
        if self.latest() is not None:
            return ""
        with self._lock:
            if self._complaint or self._fix is None:
                return self._complaint
            return f"{self.name}: the last fix is {time.monotonic() - self._fix_s:.0f} s old"

    def close(self) -> None:
        """See `PositionSource`."""
        self._closing.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self, port: BytePort | None) -> None:
        while not self._closing.is_set():
            try:
                port = port or self._open_port()
                self._read(port)
            except PortError as error:
                self._set(_NoFix(str(error)))
                self._closing.wait(_AGAIN_S)
            finally:
                if port is not None:
                    port.close()
                port = None

    def _read(self, port: BytePort) -> None:
        decode = self._new_decoder()
        while not self._closing.is_set():
            data = port.read(_POLL_S)
            if data:
                self._set(decode(data))

    def _set(self, news: _News) -> None:
        with self._lock:
            if isinstance(news, Fix):
                self._fix, self._fix_s, self._complaint = news, time.monotonic(), ""
            elif isinstance(news, _NoFix):
                self._fix, self._complaint = None, news.why
            elif news and self._fix is None:
                self._complaint = news


class NmeaSource(_Receiver):
    """A receiver that sends NMEA 0183: GGA, RMC or both.

    Args:
        open_port: opens the port.
        name: of the port, for the log.
        oldest_s, patient: as for `open_position`.

    Raises:
        PortError: it cannot be opened, and `patient` is False.
    """

    def __init__(
        self, open_port: Callable[[], BytePort], name: str = "NMEA", oldest_s: float = OLDEST_S, patient: bool = False
    ) -> None:
        super().__init__(name, open_port, lambda: _NmeaFixes(name, oldest_s).take, oldest_s, patient)


class _NmeaFixes:
    """Joins what GGA and RMC say: height and quality from the one, the date from the other."""

    def __init__(self, name: str, oldest_s: float) -> None:
        self._name, self._oldest_s = name, oldest_s
        self._decoder = nmea.NmeaDecoder()
        self._dated: tuple[float, datetime] | None = None
        self._gga_s = -math.inf

    def take(self, data: bytes) -> _News:
        """Give what the last of the sentences said."""
        news: _News = ""
        for event in self._decoder.feed(data):
            if isinstance(event, nmea.BadSentence):
                news = news or f"{self._name}: no NMEA can be read ({event.reason}); is the speed right?"
            elif isinstance(event, nmea.Gga):
                news = self._from_gga(event)
            else:
                news = self._from_rmc(event) or news
        return news

    def _from_gga(self, gga: nmea.Gga) -> Fix | _NoFix:
        position = position_of(gga.latitude_deg, gga.longitude_deg, gga.altitude_m)
        if position is None:
            self._gga_s = -math.inf
            return _NoFix(f"{self._name}: the receiver has no fix yet")
        self._gga_s = time.monotonic()
        counted = f"{gga.satellites} satellites" if gga.satellites is not None else ""
        dilution = f"HDOP {gga.hdop:g}" if gga.hdop is not None else ""
        quality = ", ".join(filter(None, (gga.quality, counted, dilution)))
        return Fix(position, self._time(gga), self._name, quality)

    def _from_rmc(self, rmc: nmea.Rmc) -> _News:
        if rmc.at is not None:
            self._dated = (time.monotonic(), rmc.at)
        position = position_of(rmc.latitude_deg, rmc.longitude_deg, None)
        if position is None:
            return _NoFix(f"{self._name}: the receiver has no fix yet")
        if time.monotonic() - self._gga_s <= self._oldest_s:
            return ""  # GGA says the same, and the height as well
        at = rmc.at or datetime.now(timezone.utc)
        return Fix(position, at, self._name, rmc.quality)

    def _time(self, gga: nmea.Gga) -> datetime:
        around = self._dated[1] if self._dated is not None else datetime.now(timezone.utc)
        return around if gga.time_of_day is None else nmea.nearest_day(gga.time_of_day, around)


class GpsdSource(_Receiver):
    """gpsd on this or another machine.

    Args:
        host, port: its address.
        oldest_s, patient: as for `open_position`.

    Raises:
        PortError: nobody answers there, and `patient` is False.
    """

    def __init__(
        self, host: str = "localhost", port: int = gpsd.PORT, oldest_s: float = OLDEST_S, patient: bool = False
    ) -> None:
        name = f"gpsd://{f'[{host}]' if ':' in host else host}:{port}"
        super().__init__(
            name,
            lambda: _SocketPort(name, host, port),
            lambda: _gpsd_fixes(name, gpsd.GpsdDecoder()),
            oldest_s,
            patient,
        )


def _gpsd_fixes(name: str, decoder: gpsd.GpsdDecoder) -> Callable[[bytes], _News]:
    def take(data: bytes) -> _News:
        news: _News = ""
        for event in decoder.feed(data):
            if isinstance(event, gpsd.BadReport):
                news = news or f"{name}: {event.reason}; is that gpsd?"
            elif (position := position_of(event.latitude_deg, event.longitude_deg, event.altitude_m)) is None:
                news = _NoFix(f"{name}: gpsd has no fix yet")
            else:
                error = f", {event.error_m:.3g} m" if event.error_m is not None else ""
                news = Fix(position, event.at or datetime.now(timezone.utc), name, f"{event.mode}D{error}")
        return news

    return take


class _SocketPort:
    """A TCP connection to gpsd, as a `BytePort`; asks to be told of fixes as soon as it is open."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        try:
            self._socket = socket.create_connection((host, port), _CONNECT_S)
        except socket.gaierror:
            raise PortError(f"{name}: no such host") from None
        except ConnectionRefusedError:
            raise PortError(f"{name}: nothing listens there; `sudo systemctl start gpsd.socket` starts it") from None
        except OSError as error:
            raise PortError(f"{name}: cannot be reached: {error.strerror or error}") from error
        self.write(gpsd.WATCH)

    def read(self, timeout_s: float) -> bytes:
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return b""
        except OSError as error:
            raise PortError(f"{self.name}: {error.strerror or error}") from error
        if not data:
            raise PortError(f"{self.name}: gpsd closed the connection")
        return data

    def write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            self._socket.close()
            raise PortError(f"{self.name}: {error.strerror or error}") from error

    def close(self) -> None:
        self._socket.close()


def open_position(text: str, oldest_s: float = OLDEST_S, patient: bool = False) -> PositionSource:
    """Open what a person named.

    Args:
        text: `gpsd://host[:2947]`, `/dev/ttyACM0[@9600]` or another port that pyserial opens (`socket://host:port`)
            with an NMEA receiver behind it, or `latitude,longitude[,height]` in degrees and metres.
        oldest_s: age from which on a fix is not given out.
        patient: do not raise if nobody answers yet, as when a service starts before gpsd does.

    Raises:
        PositionError: nothing of these.
        PortError: it cannot be opened, and `patient` is False.
    """
    if is_place(text):
        return FixedPosition(parse_place(text))
    if text.startswith("gpsd://"):
        host, port = _address(text)
        return GpsdSource(host, port, oldest_s, patient)
    named = _PORT.fullmatch(text)
    if named is None:
        raise PositionError(
            f"{text!r}: no source of positions; write gpsd://localhost, /dev/ttyACM0[@{NMEA_BAUDRATE}],"
            " socket://PHONE:PORT or LATITUDE,LONGITUDE[,HEIGHT] in degrees and metres"
        )

    def open_port() -> BytePort:
        from ..instruments.serial_port import SerialPort

        return SerialPort(named["name"], int(named["baud"] or NMEA_BAUDRATE))

    return NmeaSource(open_port, named["name"], oldest_s, patient)


def _address(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise PositionError(f"{text}: {error}; write gpsd://HOST:PORT") from None
    if parts.path.strip("/") or parts.query:
        raise PositionError(f"{text}: write gpsd://HOST:PORT, without anything after it")
    return parts.hostname or "localhost", gpsd.PORT if port is None else port
