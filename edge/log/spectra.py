"""Spectra of the log, as they were measured."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import fields

import numpy as np

from ...converters.spectra.errors import UnusableSpectrumError
from ...converters.spectra.spectrum import Position, Spectrum
from ..model.estimate import Refusal
from ..model.replicates import MeanSpectrum
from .read import (
    ALL,
    READING_COLUMNS,
    Chosen,
    Reading,
    columns,
    open_for_reading,
    reading_from,
    time_from,
    where_reading,
)

_MORE = ("spectrum", "splices_nm", "saturated")


def read_spectra_of_log(path: str | os.PathLike[str]) -> Iterable[tuple[int, Spectrum]]:
    """Give every reading of a log as (id, Spectrum), in the order they were stored.

    Raises:
        LogError: see `log_read.open_for_reading`.
        UnusableSpectrumError: the database has a spectrum that is none.
    """
    with open_for_reading(path) as db:
        for reading, spectrum in iter_spectra(db):
            if isinstance(spectrum, Refusal):
                raise UnusableSpectrumError(spectrum.reason)
            yield reading.id, spectrum


def iter_spectra(db: sqlite3.Connection, chosen: Chosen = ALL) -> Iterator[tuple[Reading, Spectrum | Refusal]]:
    """Give readings with their spectra, in the order they were stored. The mean of several points comes with them.

    Args:
        db: from `log_read.open_for_reading`.
        chosen: which, as for `log_read.iter_entries`.

    Returns:
        A stream; a `Refusal` stands for what the database has and is no spectrum.
    """
    conditions, values = where_reading(chosen)
    outcome = [("element", chosen.element), ("verdict", chosen.verdict)]
    wanted = [(name, value) for name, value in outcome if value]
    if wanted:
        # As in `log_read.iter_entries`, the latest estimate for each element counts.
        conditions.append(
            "EXISTS (SELECT 1 FROM estimates e WHERE e.reading_id = r.id AND"
            f" {' AND '.join(f'e.{name} = ?' for name, _ in wanted)} AND NOT EXISTS (SELECT 1 FROM estimates n"
            " WHERE n.reading_id = r.id AND n.element = e.element AND n.id > e.id))"
        )
        values += [value for _, value in wanted]
    if chosen.refused:
        conditions.append("EXISTS (SELECT 1 FROM refusals f WHERE f.reading_id = r.id)")
    yield from _spectra(db, conditions, values, "")


def unanswered(
    db: sqlite3.Connection, model_sha256: str, chosen: Chosen, after: int, most: int
) -> list[tuple[Reading, Spectrum | Refusal]]:
    """Give readings that a model has neither answered nor refused.

    Args:
        db: from `log_read.open_for_reading`.
        model_sha256: of the bundle.
        chosen: which readings.
        after: row after which to go on; 0 for the first.
        most: how many at most.
    """
    conditions, values = where_reading(chosen)
    by_model = "(SELECT id FROM models WHERE sha256 = ?)"
    conditions += [
        "r.id > ?",
        f"NOT EXISTS (SELECT 1 FROM estimates e WHERE e.reading_id = r.id AND e.model_id = {by_model})",
        f"NOT EXISTS (SELECT 1 FROM refusals f WHERE f.reading_id = r.id AND f.model_id = {by_model})",
    ]
    return list(_spectra(db, conditions, [*values, after, model_sha256, model_sha256], f"LIMIT {int(most)}"))


def _spectra(
    db: sqlite3.Connection, conditions: list[str], values: list[object], limit: str
) -> Iterator[tuple[Reading, Spectrum | Refusal]]:
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = db.execute(
        f"SELECT {columns('r', READING_COLUMNS)}, {columns('r', _MORE)}, g.wavelengths_nm,"
        " EXISTS (SELECT 1 FROM points p WHERE p.reading_id = r.id)"
        f" FROM readings r CROSS JOIN grids g ON g.id = r.grid_id {where} ORDER BY r.id {limit}",
        values,
    )
    width = len(READING_COLUMNS)
    for row in rows:
        reading = reading_from(row[:width])
        try:
            spectrum = _spectrum(reading, *row[width:-1])
            if row[-1]:
                spectrum = _with_points(db, reading, spectrum)
        except UnusableSpectrumError as error:
            yield reading, Refusal(reading.source, str(error), reading.sample_id)
        else:
            yield reading, spectrum


def _spectrum(reading: Reading, values: bytes, splices_nm: str, saturated: str, wavelengths_nm: bytes) -> Spectrum:
    position = None
    if reading.latitude_deg is not None and reading.longitude_deg is not None:
        position = Position(reading.latitude_deg, reading.longitude_deg, reading.altitude_m)
    return Spectrum(
        wavelengths_nm=np.frombuffer(wavelengths_nm, "<f8"),
        values=np.frombuffer(values, "<f4").astype(np.float64),
        quantity=reading.quantity,  # type: ignore[arg-type]
        sample_id=reading.sample_id,
        source=reading.source,
        measurement=reading.measurement,
        measured_at=reading.measured_at,
        instrument=reading.instrument,
        position=position,
        splices_nm=tuple(json.loads(splices_nm)),
        saturated=tuple(json.loads(saturated)),
        comment=reading.comment,
        simulated=reading.simulated,
        extra=dict(reading.settings),
    )


def _with_points(db: sqlite3.Connection, reading: Reading, mean: Spectrum) -> MeanSpectrum:
    said = {field.name: getattr(mean, field.name) for field in fields(Spectrum)}
    points = [
        Spectrum(
            **said
            | {
                "values": np.frombuffer(values, "<f4").astype(np.float64),
                "source": source,
                "measurement": measurement,
                "measured_at": time_from(measured_at),
            }
        )
        for source, measurement, measured_at, values in db.execute(
            "SELECT source, measurement, measured_at, spectrum FROM points WHERE reading_id = ? ORDER BY point",
            (reading.id,),
        )
    ]
    return MeanSpectrum(**said, points=tuple(points))
