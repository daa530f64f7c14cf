"""Readings of the log as records, one for each reading with all that was chosen of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..model.estimate import Estimate
from ..record import Maker, ReadingRecord, estimate_record, reading_flags, refusal_record, unread_record
from .columns import Reading
from .read import ALL, Chosen, Entry, StoredAnswer, iter_entries


def iter_records(
    db: sqlite3.Connection, chosen: Chosen = ALL, every: bool = False, last: int | None = None
) -> Iterator[ReadingRecord]:
    """Give records in the order in which their readings were stored; for the arguments see `iter_entries`."""
    return map(record_of_entry, iter_entries(db, chosen, every, last))


def maker_of(answer: StoredAnswer) -> Maker:
    """Say who made an answer."""
    if answer.model is None:
        return Maker(answer.stored_at, answer.software)
    model = answer.model
    return Maker(answer.stored_at, answer.software, model.name, model.sha256, model.calibrated_range)


def record_of_entry(entry: Entry) -> ReadingRecord:
    """Put down a reading and what came of it."""
    refusals = [refusal_record(answer.outcome.reason, maker_of(answer)) for answer in entry.refusals]
    if entry.reading is None:
        outcome = entry.refusals[0].outcome
        return unread_record(outcome.source, outcome.sample_id, entry.session_id, refusals[0])
    estimates = [
        estimate_record(answer.outcome, maker_of(answer))
        for answer in entry.estimates
        if isinstance(answer.outcome, Estimate)
    ]
    reading: Reading = entry.reading
    return ReadingRecord(
        status="estimated" if estimates else "refused",
        reading=reading.id,
        session=reading.session_id,
        sample_id=reading.sample_id,
        sample_kind=reading.sample_kind,
        duplicate_of=reading.duplicate_of,
        measurement=reading.measurement,
        stored_at=reading.stored_at,
        measured_at=reading.measured_at.isoformat() if reading.measured_at else None,
        estimates=tuple(estimates),
        refusals=tuple(refusals),
        reason="" if estimates else "; ".join(dict.fromkeys(refusal.reason for refusal in refusals)),
        flags=reading_flags(reading.settings, reading.simulated),
        simulated=reading.simulated,
        latitude_deg=reading.latitude_deg,
        longitude_deg=reading.longitude_deg,
        altitude_m=reading.altitude_m,
        position_source=reading.position_source,
        position_at=reading.position_at,
        condition=reading.condition or "",
        notes=reading.notes,
        comment=reading.comment,
        instrument=reading.instrument,
        source=reading.source,
    )
