"""NMEA 0183 sentences of a position receiver, decoded without any input or output.

A sentence is `$`, an address of talker and type (`GPGGA`), fields between commas, `*` and the exclusive-or of
everything between `$` and `*` as two hexadecimal digits. GGA and RMC are read, from any talker; the layout of their
fields is described in the gpsd project's "NMEA Revealed" (https://gpsd.gitlab.io/gpsd/NMEA.html).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import TypeAlias

LONGEST = 256
"""Bytes of a line; the standard says 82, and receivers exceed it."""

GGA_QUALITIES = {1: "GPS", 2: "differential", 3: "PPS", 4: "RTK fixed", 5: "RTK float"}
"""Fix qualities that were measured. 6 is dead reckoning, 7 typed in, 8 a simulator: none of them says where we are."""
RMC_MODES = {"A": "GPS", "D": "differential", "P": "precise", "R": "RTK fixed", "F": "RTK float"}
"""Mode indicators of NMEA 2.3 and later that were measured; E, M, N and S are not."""

_ANGLE = re.compile(r"(\d{2,3})([0-5]\d(?:\.\d*)?)")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d*))?")
_DATE = re.compile(r"(\d\d)(\d\d)(\d\d)")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?|[+-]?\.\d+")


@dataclass(frozen=True)
class Gga:
    """Fix data. Without a fix position and `quality` are None and "".

    `altitude_m` is above mean sea level, `hdop` the horizontal dilution of precision.
    """

    time_of_day: time | None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    altitude_m: float | None = None
    quality: str = ""
    satellites: int | None = None
    hdop: float | None = None


@dataclass(frozen=True)
class Rmc:
    """Recommended minimum data. Without a fix position and `quality` are None and ""."""

    at: datetime | None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    quality: str = ""


@dataclass(frozen=True)
class BadSentence:
    """A line that is no sentence, or one that was damaged on its way."""

    reason: str


Event: TypeAlias = Gga | Rmc | BadSentence


def checksum(body: bytes) -> int:
    """Exclusive-or of the bytes between `$` and `*`."""
    value = 0
    for byte in body:
        value ^= byte
    return value


def encode(body: str) -> bytes:
    """Make a sentence of `GPGGA,...`, for a receiver that is played."""
    data = body.encode("ascii")
    return b"$%b*%02X\r\n" % (data, checksum(data))


def parse_sentence(line: bytes) -> Event | None:
    """Read one line; None if it is a whole sentence of another type.

    Never raises: what a line brings is not under our control.
    """
    text = line.strip()
    body, star, digits = text[1:].rpartition(b"*")
    if not text.startswith(b"$") or not star or not re.fullmatch(rb"[0-9A-Fa-f]{2}", digits):
        return BadSentence("no sentence with a checksum")
    if checksum(body) != int(digits, 16):
        return BadSentence("wrong checksum")
    try:
        address, *fields = body.decode("ascii").split(",")
    except UnicodeDecodeError:
        return BadSentence("not ASCII")
    # A first letter P makes it a maker's own sentence: Garmin's PGRMC is no RMC.
    if len(address) != 5 or address.startswith("P"):
        return None
    try:
        if address.endswith("GGA"):
            return _gga(fields)
        return _rmc(fields) if address.endswith("RMC") else None
    except ValueError as error:
        return BadSentence(f"{address}: {error}")


class NmeaDecoder:
    """Puts bytes, in pieces of any size, together into lines and reads them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        """Return what has become complete with `data`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = [parse_sentence(line) if len(line) <= LONGEST else BadSentence("too long") for line in lines if line]
        if len(self._rest) > LONGEST:
            # Another speed, or no receiver at all; the end is kept in case a sentence begins in it.
            self._rest = self._rest[-LONGEST // 2 :]
            events.append(BadSentence("no end of line"))
        return [event for event in events if event is not None]


def nearest_day(time_of_day: time, around: datetime) -> datetime:
    """Give a time of day (UTC) its date: the one that lies nearest to `around` (with time zone)."""
    around = around.astimezone(timezone.utc)
    days = (around.date() + timedelta(days=shift) for shift in (-1, 0, 1))
    candidates = (datetime.combine(day, time_of_day, timezone.utc) for day in days)
    return min(candidates, key=lambda candidate: abs(candidate - around))


def _gga(fields: list[str]) -> Gga:
    if len(fields) < 14:
        raise ValueError(f"{len(fields)} fields, 14 are needed")
    clock, latitude, north, longitude, east, quality, satellites, hdop, altitude, metres = fields[:10]
    time_of_day = _time(clock)
    if not re.fullmatch(r"\d?", quality):
        raise ValueError(f"fix quality {quality!r}")
    words = GGA_QUALITIES.get(int(quality or "0"), "")
    if not words:
        return Gga(time_of_day)
    return Gga(
        time_of_day,
        _degrees(latitude, north, "NS", 90),
        _degrees(longitude, east, "EW", 180),
        _number(altitude) if metres == "M" else None,
        words,
        int(satellites) if satellites.isdecimal() else None,
        _number(hdop),
    )


def _rmc(fields: list[str]) -> Rmc:
    if len(fields) < 9:
        raise ValueError(f"{len(fields)} fields, 9 are needed")
    clock, status, latitude, north, longitude, east, _, _, day = fields[:9]
    time_of_day, on = _time(clock), _date(day)
    at = datetime.combine(on, time_of_day, timezone.utc) if time_of_day and on else None
    # Before NMEA 2.3 the status alone tells.
    words = RMC_MODES.get(fields[11], "") if len(fields) > 11 and fields[11] else "GPS"
    if status != "A" or not words:
        return Rmc(at)
    return Rmc(at, _degrees(latitude, north, "NS", 90), _degrees(longitude, east, "EW", 180), words)


def _degrees(text: str, letter: str, letters: str, most: int) -> float:
    """`ddmm.mmmm` and a hemisphere to degrees, north and east positive."""
    match = _ANGLE.fullmatch(text)
    if match is None or letter not in tuple(letters):
        raise ValueError(f"position {text!r} {letter!r}")
    degrees = int(match[1]) + float(match[2]) / 60
    if degrees > most:
        raise ValueError(f"position {text!r} is above {most} degrees")
    return degrees if letter in "NE" else -degrees


def _time(text: str) -> time | None:
    if not text:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"time {text!r}")
    hour, minute, second, fraction = match.groups()
    # A leap second is the 60th, which Python has no time for.
    return time(int(hour), int(minute), min(int(second), 59), int(f"{fraction or '':0<6.6}"), timezone.utc)


def _date(text: str) -> date | None:
    if not text:
        return None
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"date {text!r}")
    day, month, year = (int(part) for part in match.groups())
    return date(2000 + year, month, day)


def _number(text: str) -> float | None:
    number = float(text) if _NUMBER.fullmatch(text) else None
    return number if number is not None and math.isfinite(number) else None
