"""Reading the log."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing

import numpy as np

from ..converters.spectra.spectrum import Spectrum


def read_spectra_of_log(path: str | os.PathLike[str]) -> Iterable[tuple[int, Spectrum]]:
    """Give every reading of a log as (id, Spectrum), in the order they were stored."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        yield from (
            (
                row[0],
                Spectrum(
                    wavelengths_nm=np.frombuffer(row[6], "<f8"),
                    values=np.frombuffer(row[7], "<f4").astype(np.float64),
                    quantity=row[5],
                    sample_id=row[2],
                    source=row[1],
                    measurement=row[3],
                    instrument=row[4],
                    splices_nm=tuple(json.loads(row[8])),
                    saturated=tuple(json.loads(row[9])),
                    comment=row[10],
                    simulated=bool(row[11]),
                ),
            )
            for row in db.execute(
                "SELECT r.id, source, sample_id, measurement, instrument, quantity, wavelengths_nm, spectrum,"
                " splices_nm, saturated, comment, simulated"
                " FROM readings r JOIN grids g ON g.id = grid_id ORDER BY r.id"
            )
        )
