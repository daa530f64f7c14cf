"""Spectra of the log, as they were measured."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from ...converters.spectra.errors import UnusableSpectrumError
from ...converters.spectra.spectrum import Position, Spectrum
from ..model.estimate import Refusal
from ..model.replicates import MeanSpectrum
from .columns import GRIDS, POINTS, READINGS, SPECTRUM_COLUMNS, TOLD, Reading, spectrum_sha256
from .corrections import corrected
from .read import ALL, Chosen, reading_from, sql_where, where_reading
from .table import FLOATS_32, FLOATS_64, DamagedRowError, LogTable

_SPECTRUM = LogTable(
    "readings", (*TOLD.only("id").columns, *SPECTRUM_COLUMNS, *READINGS.only("spectrum_sha256").columns)
)
_GRID = GRIDS.only("wavelengths_nm")
_POINT = POINTS.only("point", "source", "measurement", "measured_at", "spectrum")


def iter_spectra(
    db: sqlite3.Connection, chosen: Chosen = ALL, last: int | None = None
) -> Iterator[tuple[Reading, Spectrum | Refusal]]:
    """Give readings with their spectra, in the order they were stored. The mean of several points comes with them.

    Args:
        db: from `read.open_for_reading`.
        chosen: which, as for `read.iter_entries`.
        last: only so many, the last ones.

    Returns:
        A stream; a `Refusal` stands for what the database has and is no spectrum.
    """
    conditions, values = where_reading(chosen)
    if last is not None:
        newest = f"SELECT r.id FROM readings r {sql_where(conditions)} ORDER BY r.id DESC LIMIT {int(last)}"
        conditions = [f"r.id IN ({newest})"]
    yield from _spectra(db, conditions, values, "")


def unanswered(
    db: sqlite3.Connection, model_sha256: str, chosen: Chosen, after: int, most: int
) -> list[tuple[Reading, Spectrum | Refusal]]:
    """Give readings that a model has neither answered nor refused, and that broke no rule when they were measured.

    Args:
        db: from `read.open_for_reading`.
        model_sha256: of the bundle.
        chosen: which readings.
        after: row after which to go on; 0 for the first.
        most: how many at most.
    """
    conditions, values = where_reading(chosen)
    by_model = "(SELECT id FROM models WHERE sha256 = ?)"
    conditions += [
        "r.id > ?",
        "r.rule_broken = ''",
        f"NOT EXISTS (SELECT 1 FROM estimates e WHERE e.reading_id = r.id AND e.model_id = {by_model})",
        f"NOT EXISTS (SELECT 1 FROM refusals f WHERE f.reading_id = r.id AND f.model_id = {by_model})",
    ]
    return list(_spectra(db, conditions, [*values, after, model_sha256, model_sha256], f"LIMIT {int(most)}"))


def _spectra(
    db: sqlite3.Connection, conditions: list[str], values: list[object], limit: str
) -> Iterator[tuple[Reading, Spectrum | Refusal]]:
    rows = db.execute(
        f"SELECT {TOLD.select('r')}, {_SPECTRUM.select('r')}, {_GRID.select('g')},"
        " EXISTS (SELECT 1 FROM points p WHERE p.reading_id = r.id)"
        f" FROM readings r CROSS JOIN grids g ON g.id = r.grid_id {sql_where(conditions)} ORDER BY r.id {limit}",
        values,
    )
    width, end = len(TOLD.columns), len(TOLD.columns) + len(_SPECTRUM.columns)
    for row in rows:
        reading = corrected(db, reading_from(row[:width])).reading
        try:
            if reading.damaged:
                raise DamagedRowError(reading.damaged)
            stored = _SPECTRUM.read(row[width:end]) | _GRID.read(row[end:-1])
            _require_unchanged(reading, stored)
            spectrum = _spectrum(reading, stored)
            if row[-1]:
                spectrum = _with_points(db, reading, spectrum)
        except (UnusableSpectrumError, DamagedRowError) as error:
            yield reading, Refusal(reading.source, str(error), reading.sample_id)
        else:
            yield reading, spectrum


def _require_unchanged(reading: Reading, stored: dict[str, Any]) -> None:
    said = stored["spectrum_sha256"]  # None before version 4 of the log
    if said is not None:
        grid = hashlib.sha256(FLOATS_64.write(stored["wavelengths_nm"])).hexdigest()
        if spectrum_sha256(grid, FLOATS_32.write(stored["spectrum"])) != said:
            raise DamagedRowError(
                f"damaged in the log: row {reading.id} of readings, the spectrum is not the one that was stored"
            )


def _spectrum(reading: Reading, stored: dict[str, Any]) -> Spectrum:
    position = None
    if reading.latitude_deg is not None and reading.longitude_deg is not None:
        position = Position(reading.latitude_deg, reading.longitude_deg, reading.altitude_m)
    return Spectrum(
        wavelengths_nm=stored["wavelengths_nm"],
        values=stored["spectrum"],
        quantity=reading.quantity,  # type: ignore[arg-type]
        sample_id=reading.sample_id,
        source=reading.source,
        measurement=reading.measurement,
        measured_at=reading.measured_at,
        instrument=reading.instrument,
        position=position,
        splices_nm=stored["splices_nm"],
        saturated=stored["saturated"],
        condition=reading.condition or "",  # type: ignore[arg-type]
        comment=reading.comment,
        simulated=reading.simulated,
        extra=dict(reading.settings),
    )


def _with_points(db: sqlite3.Connection, reading: Reading, mean: Spectrum) -> MeanSpectrum:
    same = {field.name: getattr(mean, field.name) for field in fields(Spectrum)}
    rows = db.execute(f"SELECT {_POINT.select('p')} FROM points p WHERE reading_id = ? ORDER BY point", (reading.id,))
    points = []
    for row in rows:
        said = _POINT.read(row)
        said["values"] = said.pop("spectrum")
        said.pop("point")
        points.append(Spectrum(**same | said))
    return MeanSpectrum(**same, points=tuple(points))
