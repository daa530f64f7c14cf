"""Readings as records, one for each with what came of it: those of the log, and those that have just been taken."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from ..model.estimate import Estimate, Refusal
from ..record import SOFTWARE, EstimateRecord, ReadingRecord, RefusalRecord, estimate_record, reading_flags
from .columns import NOTHING_MORE, TOLD, Reading, StoredModel
from .read import ALL, Chosen, Entry, StoredAnswer, iter_entries
from .write import Result

_SHARED = {field.name for field in fields(ReadingRecord)} & set(Reading._fields)
_NOT_YET_STORED = {"software": SOFTWARE, "spectrum_sha256": None}


def iter_records(
    db: sqlite3.Connection, chosen: Chosen = ALL, every: bool = False, last: int | None = None
) -> Iterator[ReadingRecord]:
    """Give records in the order in which their readings were stored; for the arguments see `iter_entries`."""
    return map(record_of_entry, iter_entries(db, chosen, every, last))


def record_of_entry(entry: Entry) -> ReadingRecord:
    """Put down a reading of the log and what came of it."""
    said = entry.reading._asdict() if entry.reading is not None else None
    return _record(said, (*entry.estimates, *entry.refusals), entry.session_id)


def record_of(result: Result, model: StoredModel) -> ReadingRecord:
    """Put down a result, as the log will give it.

    Args:
        result: as `Engine.take` returns it; one that is not stored has no row and no time.
        model: whose answer it is.
    """
    spectrum, about, at = result.spectrum, result.about or NOTHING_MORE, result.stored_at
    said = None
    if spectrum is not None:
        settings = {**spectrum.extra, **about.settings}
        said = TOLD.taken(spectrum, about, id=result.reading_id, stored_at=at, settings=settings, **_NOT_YET_STORED)
    # As `Log.add` has it: what broke a rule was refused by no model in particular.
    judged = said is not None and not about.rule_broken
    answers = [
        StoredAnswer(outcome, by if judged or isinstance(outcome, Estimate) else None, at, SOFTWARE)
        for by, outcome in ((model, result.outcome), *result.others)
    ]
    return _record(said, answers, about.session_id)


def _record(said: Mapping[str, Any] | None, answers: Iterable[StoredAnswer], session: int | None) -> ReadingRecord:
    """Make a record of the values of `Reading` by name; None where nothing was read."""
    estimates: list[EstimateRecord] = []
    refusals: list[RefusalRecord] = []
    for answer in answers:
        by = (answer.model.name, answer.model.sha256) if answer.model else ("", "")
        made = dict(zip(("software", "model", "model_sha256"), (answer.software, *by), strict=True))
        if isinstance(answer.outcome, Refusal):
            refusals.append(RefusalRecord(answer.outcome.reason, answer.stored_at, **made))
            unread = {"sample_id": answer.outcome.sample_id, "source": answer.outcome.source}
            continue
        calibrated_range = answer.model.calibrated_range if answer.model else None
        estimates.append(estimate_record(answer.outcome, calibrated_range, estimated_at=answer.stored_at, **made))
    about: dict[str, Any]
    if said is None:
        about = {**unread, "stored_at": refusals[0].refused_at or None}
    else:
        about = {name: said[name] for name in _SHARED}
        about["reading"] = said["id"]
        about["stored_at"] = said["stored_at"] or None
        about["measured_at"] = said["measured_at"].isoformat() if said["measured_at"] else None
        about["condition"] = said["condition"] or ""
        about["flags"] = reading_flags(said["settings"], said["simulated"])
    return ReadingRecord(
        **about,
        status="estimated" if estimates else "refused",
        session=session,
        estimates=tuple(estimates),
        refusals=tuple(refusals),
        reason="" if estimates else "; ".join(dict.fromkeys(refusal.reason for refusal in refusals)),
    )
