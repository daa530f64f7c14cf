"""Scans of an instrument with three detectors, good ones, for tests to spoil."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np
from stibium.edge.gates.scans import Identity, Scan, ScanSettings

GRID_NM = np.arange(350.0, 2501.0)
SPLICES_NM = (1000.0, 1830.0)
RANGE_NM = (400.0, 2400.0)
IDENTITY = Identity(
    name="Probe",
    serial_number="7",
    detectors=("VNIR", "SWIR1", "SWIR2"),
    splices_nm=SPLICES_NM,
    delivers="raw_dn",
    needs_dark=True,
    shutter=True,
    optimises=True,
)
DARK = np.full(GRID_NM.size, 400.0)
LIGHT = 6000 + 24_000 * np.sin(np.pi * (GRID_NM - 350) / 2150) ** 2
SOIL = 0.2 + 0.1 * (GRID_NM - 350) / 2150
SETTINGS = ScanSettings((("integration_us", 17000.0), ("gain", 0.0)))


def a_scan(kind: str = "target", values: np.ndarray | None = None, **changes: Any) -> Scan:
    """A good scan of that kind."""
    good = {"dark": DARK, "white": DARK + LIGHT, "target": DARK + SOIL * LIGHT}[kind]
    fields: dict[str, Any] = {
        "kind": kind,
        "values": good if values is None else values,
        "unit": "raw_dn",
        "key": ("Probe 7", 1, 1, 99),
        "number": 1,
        "taken_s": 1000.0,
        "measured_at": datetime(2026, 6, 1, 9, 0, tzinfo=timezone.utc),
        "scans": 40,
        "settings": SETTINGS,
        "boot": 1,
    }
    return Scan(**(fields | changes))


def band(centre_nm: float, depth: float = 0.3, width_nm: float = 6.0) -> np.ndarray:
    """Reflectance of a material with one Gaussian absorption band."""
    return 0.9 * (1 - depth * np.exp(-0.5 * ((GRID_NM - centre_nm) / width_nm) ** 2))
