"""Changes from the page that are not the session's: corrections of readings, photos, the phone's clock.

Each opens the log for itself, off the event loop, and returns when it is on disk.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

from ...converters.spectra.files import replacing
from ..doctor.diagnosis import Device
from ..doctor.system import EARLIEST, synchronised
from ..errors import CorrectionError
from ..log.corrections import correct
from ..log.names import warning_of
from ..log.true_time import LEAST_S, TrueTimes, add_time_offset, host_boot
from ..log.write import Log

EARLIEST_MS, LATEST_MS = 1000 * EARLIEST.timestamp(), 4e12
"""Between them lies every time that a phone may rightly show."""

_PHOTO_NAME = re.compile(r"reading-\d+-[0-9a-f]{12}\.(jpg|png|webp|heic)")
_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "heic": "image/heic"}


def correct_reading(log_path: Path, said: dict[str, Any]) -> dict[str, Any]:
    """Write a correction: `reading`, `kind`, `value`, and `who` says so.

    Raises:
        CorrectionError: it cannot be corrected so.
        LogError: it was not stored.
    """
    reading, kind, value, who = (said.get(name) for name in ("reading", "kind", "value", "who"))
    if isinstance(reading, bool) or not isinstance(reading, int) or kind == "photo":
        raise CorrectionError('write {"reading": 12, "kind": "rename", "value": {"sample_id": "RS007"}, "who": "Ana"}')
    plain = value if isinstance(value, dict) else {}
    with Log(log_path) as log:
        warning = warning_of(log.database, reading, str(kind), plain)
        row = correct(log, reading, str(kind), plain, who if isinstance(who, str) else "")
    return {"correction": row, **({"warning": warning} if warning else {})}


def compare_clocks(log_path: Path, said: dict[str, Any]) -> dict[str, Any]:
    """Write down how far a phone's clock, `phone_ms` since 1970, is from this device's, unless the network sets that.

    With `device_ms`, what this device's clock said at that moment, it does not matter how long this took to arrive.
    What is known already is no news. The device's clock stays as it is in any case.

    Raises:
        CorrectionError: that is no time.
        LogError: it was not stored.
    """
    device_s, monotonic_s = time.time(), time.monotonic()
    phone_ms = said.get("phone_ms")
    if isinstance(phone_ms, bool) or not isinstance(phone_ms, (int, float)) or not EARLIEST_MS < phone_ms < LATEST_MS:
        raise CorrectionError('write {"phone_ms": milliseconds since 1970, UTC}')
    device_ms = said.get("device_ms", 1000 * device_s)
    if isinstance(device_ms, bool) or not isinstance(device_ms, (int, float)) or abs(device_ms / 1000 - device_s) > 60:
        raise CorrectionError("device_ms is what /api/health has said as now_ms, at most a minute ago")
    offset_s = round((phone_ms - device_ms) / 1000, 3)
    if synchronised(Device()):
        return {"offset_s": offset_s, "stored": False}
    with Log(log_path) as log:
        known_s = TrueTimes(log.database).offset_s(host_boot(), device_s, monotonic_s)
        stored = abs(offset_s - known_s) >= LEAST_S
        if stored:
            add_time_offset(log, offset_s, "phone", host_boot(), monotonic_s)
    return {"offset_s": offset_s, "stored": stored}


def photos_of(log_path: Path) -> Path:
    """Give the folder of the photos, beside the log."""
    return log_path.with_name(log_path.name + "-photos")


def store_photo(log_path: Path, reading: int, content: bytes) -> dict[str, Any]:
    """Store a photo beside the log, then name it with its reading; a photo that is there already stays as it is.

    Raises:
        CorrectionError: it is no picture that a phone makes, or there is no room for it.
        LogError, OSError: it was not stored.
    """
    ending = _ending(content)
    if not ending:
        raise CorrectionError("no photo that is known here: JPEG, PNG, WebP and HEIC are")
    digest = hashlib.sha256(content).hexdigest()
    name = f"reading-{reading}-{digest[:12]}.{ending}"
    with Log(log_path) as log:
        if not log.room().enough:
            raise CorrectionError("no room for a photo: make room on the device's disk")
        folder = photos_of(log_path)
        folder.mkdir(mode=0o750, exist_ok=True)
        with replacing(os.fspath(folder / name)) as file:
            file.write(content)
        said = {"file": name, "sha256": digest, "bytes": len(content)}
        return {"correction": correct(log, reading, "photo", said), "file": name}


def photo(log_path: Path, name: str) -> tuple[Path, str] | None:
    """Give the path and type of a photo; None if there is none of that name."""
    found = _PHOTO_NAME.fullmatch(name)
    path = photos_of(log_path) / name
    return (path, _TYPES[found[1]]) if found is not None and path.is_file() else None


def _ending(content: bytes) -> str:
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return "heic" if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"hevc") else ""
