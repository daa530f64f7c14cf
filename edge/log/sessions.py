"""Rows of the log that belong to a measuring session: the session, its raw scans, and what happened in it.

Every function writes inside a transaction that the caller has begun.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..errors import LogError

if TYPE_CHECKING:
    from ..gates.scans import Scan

StoredScanKind = Literal["target", "dark", "white", "wavelength_check", "panel_check"]
"""What was in front of the probe; the last two are for checking the wavelengths and the white panel."""


def now() -> str:
    """This device's clock, UTC, to the millisecond, as the log writes it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def begin_session(db: sqlite3.Connection, facts: Mapping[str, object], settings: Mapping[str, Any]) -> int:
    """Write the beginning of a session; `facts` are its columns apart from times and settings."""
    row = {"started_at": now(), **facts, "settings": as_json(settings)}
    cursor = db.execute(
        f"INSERT INTO sessions({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
        [plain_text(value) if isinstance(value, str) else value for value in row.values()],
    )
    return int(cursor.lastrowid or 0)


def end_session(db: sqlite3.Connection, session_id: int) -> None:
    """Write the end of a session; of one that was taken up again, the last end counts."""
    if not db.execute("UPDATE sessions SET ended_at=? WHERE id=?", (now(), session_id)).rowcount:
        raise LogError(f"the log has no session {session_id} to end")


def add_scan(
    db: sqlite3.Connection,
    scan: Scan,
    grid_id: int,
    session_id: int | None,
    kind: StoredScanKind,
    sample_id: str,
    point: int,
) -> int:
    """Write a scan as it was delivered, once; give its row, or that of the same scan stored before."""
    key = as_json([scan.key[0], *(int(part) for part in scan.key[1:])])
    known = db.execute("SELECT id FROM scans WHERE scan_key=?", (key,)).fetchone()
    if known is not None:
        return int(known[0])
    flags = {
        "saturated": scan.saturated,
        "shutter_closed": scan.shutter_closed,
        "cooler_alarms": scan.cooler_alarms,
        "dark_subtracted": scan.dark_subtracted,
        "drift": scan.drift,
        "temperature_c": scan.temperature_c,
        "label": scan.label,
        **{name: value for name, value in scan.extra.items() if name not in _FLAGS},
    }
    cursor = db.execute(
        "INSERT INTO scans(session_id, stored_at, measured_at, instrument, boot, number, kind, unit, scans, sample_id,"
        ' point, simulated, settings, flags, scan_key, grid_id, "values") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)',
        (
            session_id,
            now(),
            # All in one time zone, so that the newest can be found.
            scan.measured_at.astimezone(timezone.utc).isoformat(),
            plain_text(scan.key[0]),
            int(scan.boot),
            int(scan.number),
            kind,
            scan.unit,
            int(scan.scans),
            plain_text(sample_id),
            point,
            scan.simulated,
            as_json(dict(scan.settings.values)),
            as_json(flags),
            key,
            grid_id,
            np.asarray(scan.values).astype("<f4").tobytes(),
        ),
    )
    return int(cursor.lastrowid or 0)


_FLAGS = ("saturated", "shutter_closed", "cooler_alarms", "dark_subtracted", "drift", "temperature_c", "label")


def add_event(
    db: sqlite3.Connection, kind: str, text: str, details: Mapping[str, Any] | None, session_id: int | None
) -> int:
    """Write down what happened."""
    cursor = db.execute(
        "INSERT INTO events(session_id, at, kind, text, details) VALUES (?,?,?,?,?)",
        (session_id, now(), plain_text(kind), plain_text(text), as_json(details or {})),
    )
    return int(cursor.lastrowid or 0)


def grid_id_of(db: sqlite3.Connection, wavelengths_nm: Floats) -> int:
    """Give the row of a wavelength grid, written if it is new."""
    blob = np.asarray(wavelengths_nm).astype("<f8", copy=False).tobytes()
    digest = hashlib.sha256(blob).hexdigest()
    db.execute("INSERT OR IGNORE INTO grids(sha256, wavelengths_nm) VALUES (?,?)", (digest, blob))
    (grid_id,) = db.execute("SELECT id FROM grids WHERE sha256=?", (digest,)).fetchone()
    return int(grid_id)


def as_json(value: object) -> str:
    """Write anything an instrument or a file says as JSON that every reader takes: NaN becomes null, bytes hex."""
    return plain_text(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def plain_text(text: str) -> str:
    """Replace what is no UTF-8, as in a name typed or read in another encoding; SQLite takes no such text."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
