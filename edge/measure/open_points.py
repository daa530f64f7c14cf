"""Points of samples that are not complete yet, in the log's own database.

An instrument forgets a measurement once it is acknowledged, and a sample's mean is stored with its last point. So each
point before that is written down first: a program that is killed amid a sample leaves its points to the next one.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

from ...converters.spectra.spectrum import Spectrum
from ..errors import LogError
from ..log.write import grid_of
from .listening import Key

_SCHEMA = """
CREATE TABLE IF NOT EXISTS open_points (
    id INTEGER PRIMARY KEY,
    instrument TEXT NOT NULL, boot INTEGER NOT NULL, measurement INTEGER NOT NULL, values_crc INTEGER NOT NULL,
    about TEXT NOT NULL,                  -- what else a spectrum says of itself
    grid_id INTEGER NOT NULL REFERENCES grids(id),
    spectrum BLOB NOT NULL,               -- little-endian float32
    stored_at INTEGER NOT NULL,           -- this device's clock, seconds since 1970
    UNIQUE (instrument, boot, measurement, values_crc)
)
"""
LONGEST_SAMPLE_S = 3600
"""Nobody measures longer at one sample."""
_TEXTS = ("quantity", "sample_id", "source", "measurement", "instrument", "comment")


class OpenPoints:
    """The points that wait for the rest of their sample, until `TakenMeasurements` knows them.

    Args:
        database: the log's connection, with the table of taken measurements.

    Raises:
        LogError: the database cannot be used.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._rows(_SCHEMA)

    @staticmethod
    def keeper(key: Key, spectrum: Spectrum) -> Callable[[sqlite3.Connection], None]:
        """Return what writes a point down, inside a transaction of the log."""
        about: dict[str, Any] = {name: getattr(spectrum, name) for name in _TEXTS}
        about["measured_at"] = spectrum.measured_at.isoformat() if spectrum.measured_at else None
        about["splices_nm"], about["simulated"] = spectrum.splices_nm, spectrum.simulated

        def keep(database: sqlite3.Connection) -> None:
            grid_id = grid_of(database, spectrum.wavelengths_nm)[0]
            database.execute(
                "INSERT OR IGNORE INTO open_points(instrument, boot, measurement, values_crc, about, grid_id,"
                " spectrum, stored_at) VALUES (?,?,?,?,?,?,?,?)",
                (*key, json.dumps(about), grid_id, spectrum.values.astype("<f4").tobytes(), int(time.time())),
            )

        return keep

    def left_over(self, instrument: str, boot: int, unique: bool) -> list[tuple[Spectrum, Key]]:
        """Give an instrument's points that no sample has, in the order in which they were measured.

        Args:
            instrument: its name and serial number.
            boot: its power-up.
            unique: no other instrument has that name. Otherwise points of another power-up may be those of an
                instrument that another program is measuring with, unless they are old.

        Raises:
            LogError: the database cannot be used.
        """
        rows = self._rows(
            "SELECT instrument, boot, measurement, values_crc, about, wavelengths_nm, spectrum FROM open_points o"
            " JOIN grids g ON g.id = grid_id WHERE instrument = ? AND (? OR boot = ? OR stored_at < ?)"
            " AND NOT EXISTS (SELECT 1 FROM taken_measurements t WHERE t.instrument = o.instrument AND t.boot = o.boot"
            " AND t.measurement = o.measurement AND t.values_crc = o.values_crc) ORDER BY o.id",
            (instrument, unique, boot, int(time.time()) - LONGEST_SAMPLE_S),
        )
        return [(_spectrum(*row[4:]), row[:4]) for row in rows]

    def _rows(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise LogError(f"the log cannot be used to keep the points of a sample: {error}") from error


def _spectrum(about: str, wavelengths_nm: bytes, values: bytes) -> Spectrum:
    told = json.loads(about)
    return Spectrum(
        wavelengths_nm=np.frombuffer(wavelengths_nm, "<f8"),
        values=np.frombuffer(values, "<f4").astype(np.float64),
        measured_at=datetime.fromisoformat(told["measured_at"]) if told["measured_at"] else None,
        splices_nm=tuple(told["splices_nm"]),
        simulated=told["simulated"],
        **{name: told[name] for name in _TEXTS},
    )
