"""Files of instruments, made from scratch in the makers' layouts, and what must be read from them."""

from __future__ import annotations

import io

import numpy as np
from stibium.converters.spectra import Spectrum
from stibium.converters.spectra.ascii_table import iter_ascii_table
from stibium.converters.spectra.errors import OnBad
from stibium.converters.spectra.table.read import iter_rows


def parse_ascii_table(data: bytes, source: str, on_bad: OnBad | None = None) -> list[Spectrum]:
    return list(iter_ascii_table(data, source, on_bad))


def parse_table(data: bytes, source: str) -> list[Spectrum]:
    return list(iter_rows(io.BytesIO(data), source))


SED_HEADER = {
    "Comment": "",
    "Version": "2.0",
    "File Name": "\\Storage Card\\survey\\2201045_00007.sed",
    "Instrument": "PSR-3500_SN2201045 [3]",
    "Detectors": "512,256,256",
    "Measurement": "REFLECTANCE",
    "Date": "05/06/2024,05/06/2024",
    "Time": "07:01:02,07:08:09",
    "Temperature (C)": "30.1,8.9,-5.1,30.1,8.9,-5.1",
    "Battery Voltage": "7.4,7.4",
    "Averages": "40,40",
    "Integration": "8,20,10,8,20,10",
    "Dark Mode": "AUTO,AUTO",
    "Foreoptic": "PROBE ,PROBE ",
    "Radiometric Calibration": "DN",
    "Units": "None",
    "Wavelength Range": "350,2500",
    "Latitude": "41.18521",
    "Longitude": "-7.55410",
    "Altitude": "512.30",
    "GPS Time": "06:08:09",
    "Satellites": "7/12",
    "Calibrated Reference Correction File": "none",
}
SVC_HEADER = {
    "name": "RS052_003.sig",
    "instrument": "HI: 7142055 (HR-1024i)",
    "integration": "60.0, 20.0, 10.0, 90.0, 30.0, 10.0",
    "scan method": "Time-based, Time-based",
    "scan coadds": "33, 92, 156, 22, 61, 156",
    "scan time": "2, 2",
    "scan settings": "AI, AI",
    "external data set1": ",".join(["0"] * 32),
    "external data set2": ",".join(["0"] * 32),
    "external data dark": ",".join(["0"] * 16),
    "external data mask": "0",
    "optic": "FIBER1(2), FIBER1(2)",
    "temp": "30.6, -4.8, -10.2, 31.0, -4.8, -10.2",
    "battery": "7.59, 7.56",
    "error": "6, 1",
    "units": "Radiance, Radiance",
    "time": "7/29/2024 1:54:23 PM, 7/29/2024 1:55:32 PM",
    "longitude": "00733.1234W     , 00733.1250W     ",
    "latitude": "4111.0500N      , 4111.0512N      ",
    "gpstime": "125423.000      , 125532.000      ",
    "comm": "",
    "memory slot": "0, 0",
    "factors": "0.800, 0.844, 1.000 [Overlap: Preserve, Matching Type: None]",
}
DETECTORS_NM = (np.arange(338.2, 1017, 6.8), np.arange(971.8, 1913, 13.5), np.arange(1898.4, 2518, 9.5))
"""An HR-1024i's three detectors and their overlaps, every fifth band or so."""


def soil_reflectance(nm: np.ndarray) -> np.ndarray:
    """A soil-like curve: rising, with bands at 1414, 1915 and 2207 nm."""
    bands = sum(
        d * np.exp(-0.5 * ((nm - at) / w) ** 2) for d, at, w in [(0.05, 1414, 25), (0.09, 1915, 30), (0.04, 2207, 15)]
    )
    return 0.05 + 0.35 * (1 - np.exp(-(nm - 300) / 500)) - bands


def sed(
    nm: np.ndarray,
    columns: dict[str, np.ndarray],
    *,
    drop: tuple[str, ...] = (),
    channels: int | None = None,
    end: str = "\r\n",
    **header: str,
) -> bytes:
    """A `.sed` file: wavelengths and columns by label; header keys may be replaced (`File_Name=...`) or dropped."""
    keys = SED_HEADER | {key.replace("_", " "): value for key, value in header.items()}
    keys["Channels"] = str(nm.size if channels is None else channels)
    lines = [f"{key}: {value}" for key, value in keys.items() if key not in drop]
    lines += [f"Columns [{len(columns) + 1}]:", "Data:", "\t".join(["Wvl", *columns])]
    for i, wavelength in enumerate(nm):
        cells = [f"{wavelength:6.1f}"]
        for label, values in columns.items():
            cells.append(
                f"{values[i]:7.3f}" if "%" in label else f"{values[i]:.6E}".replace("E+", "E+0").replace("E-", "E-0")
            )
        lines.append("\t".join(cells))
    return (end.join(lines) + end).encode()


def svc(
    nm: np.ndarray,
    reflectance: np.ndarray,
    *,
    columns: int = 4,
    white: float = 100000.0,
    end: str = "\r\n",
    **header: str,
) -> bytes:
    """A `.sig` file of radiances over a white reference, with reflectance in % as the fourth column."""
    keys = SVC_HEADER | {key.replace("_", " "): value for key, value in header.items()}
    lines = ["/*** Spectra Vista SIG Data ***/", *(f"{key}= {value}" for key, value in keys.items()), "data= "]
    for wavelength, value in zip(nm, reflectance, strict=True):
        cells = [f"{wavelength:.1f}", f"{white:.2f}", f"{white * value:.2f}", f"{100 * value:.2f}"]
        lines.append("  ".join(cells[:columns]))
    return (end.join(lines) + end).encode()


def svc_detectors(step: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths and reflectance of three overlapping detectors; the middle one reads `step` higher."""
    nm = np.concatenate(DETECTORS_NM)
    steps = np.repeat([0.0, step, 0.0], [d.size for d in DETECTORS_NM])
    return nm, soil_reflectance(nm) + steps
