"""What gpsd reports of a position, as JSON lines over TCP, decoded without any input or output.

The classes and fields are those of gpsd_json(5), https://gpsd.gitlab.io/gpsd/gpsd_json.html.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

PORT = 2947
WATCH = b'?WATCH={"enable":true,"json":true};\n'
LONGEST = 65536
"""Bytes of a line; a sky view of many satellites has about 10,000."""


@dataclass(frozen=True)
class Tpv:
    """A time-position-velocity report. `mode` is 2 or 3 with a fix in two or three dimensions; below, no position.

    `altitude_m` is above mean sea level, `error_m` the horizontal error that gpsd expects (95 %).
    """

    mode: int
    at: datetime | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    altitude_m: float | None = None
    error_m: float | None = None


@dataclass(frozen=True)
class BadReport:
    """A line that gpsd would not send."""

    reason: str


class GpsdDecoder:
    """Puts bytes, in pieces of any size, together into lines and reads them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Tpv | BadReport]:
        """Return what has become complete with `data`; reports of other classes are passed over."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            self._rest = b""
            lines.append(b"?")
        events = (parse_report(line) for line in lines if line.strip())
        return [event for event in events if event is not None]


def parse_report(line: bytes) -> Tpv | BadReport | None:
    """Read one line; None if it is a report of another class. Never raises."""
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        return BadReport("not JSON")
    if not isinstance(report, dict):
        return BadReport("no report")
    if report.get("class") != "TPV":
        return None
    mode = report.get("mode")
    latitude, longitude = _number(report.get("lat"), 90), _number(report.get("lon"), 180)
    if mode not in (2, 3) or isinstance(mode, bool) or latitude is None or longitude is None:
        return Tpv(0, _time(report.get("time")))
    # The height above the ellipsoid is tens of metres off what maps and NMEA receivers say.
    altitude = _number(report.get("altMSL", report.get("alt"))) if mode == 3 else None
    return Tpv(mode, _time(report.get("time")), latitude, longitude, altitude, _number(report.get("eph")))


def _number(value: Any, most: float = 1e9) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Not a number compares false with everything.
    return float(value) if abs(value) <= most else None


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 does not know the letter Z.
        at = datetime.fromisoformat(f"{value[:-1]}+00:00" if value.endswith("Z") else value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)
