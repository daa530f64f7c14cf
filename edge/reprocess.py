"""Estimates made again, from the spectra in the log, by another model."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from ..converters.spectra.spectrum import Spectrum
from .engine import CHUNK, Engine
from .gates.rules import DEFAULT_RULES, Rules
from .instruments.profile import stored_rules
from .jobs import CarriedEstimator
from .log.columns import Reading, StoredModel
from .log.corrections import history_of, soil_of
from .log.export import record_of_entry
from .log.history import iter_sessions
from .log.read import Chosen, Entry, StoredAnswer, iter_entries, sql_where, where_reading
from .log.spectra import unanswered
from .log.write import Log, now
from .model.estimate import Estimate, Estimator, Refusal
from .model.replicates import MeanSpectrum
from .record import SOFTWARE, EstimateRecord, ReadingRecord
from .workers import OneProcess, Workers

NO_POINTS = "how its points scatter is not known, for they were not stored before version 3 of the log"
MEAN_OF = "mean of "
"""What `replicates.mean_spectrum` calls a mean."""


@dataclass(frozen=True)
class Redone:
    """A reading with what the model makes of it now, and the latest estimate there was.

    Attributes:
        before: for the same element; None if no model has estimated it.
    """

    record: ReadingRecord
    before: EstimateRecord | None


def redo(
    db: sqlite3.Connection,
    estimator: Estimator,
    log: Log | None,
    chosen: Chosen,
    gates: bool = True,
    stability: bool = False,
    workers: Workers | None = None,
) -> Iterator[list[Redone]]:
    """Estimate the readings that a model has neither answered nor refused, a chunk at a time.

    A reading that broke a rule when it was measured is passed over: no model may estimate it. Each chunk is on disk
    before it is given. Whoever is killed and starts again goes on where it ended; two at once store no answer twice.

    Args:
        db: from `log.read.open_for_reading`.
        estimator: with the model.
        log: to store in, opened for the same model; None to store nothing.
        chosen: which readings.
        gates: hold the spectra against the rules of their session, or the default ones.
        stability: see `Engine`. Readings that were measured so are estimated so whatever this says.
        workers: who estimates; None for this process. This one stores, in the order of the readings.

    Raises:
        LogError: nothing of the chunk was stored.
        ProfileError: the profile of a session is in the log and cannot be read.
    """
    taken: deque[list[tuple[Reading, Spectrum | Refusal]]] = deque()
    for outcomes in (workers or OneProcess())(
        partial(_outcomes, CarriedEstimator(estimator)),
        _sessions(db, estimator.bundle.sha256, chosen, gates, stability, taken),
    ):
        chunk = taken.popleft()
        before = [_latest(db, reading, estimator.bundle.element) for reading, _ in chunk]
        new = [True] * len(chunk)
        if log is not None:
            ids = [reading.id for reading, _ in chunk]
            new = log.add_estimates(list(zip(ids, outcomes, strict=True)))
        yield [
            Redone(_record(db, reading, outcome, estimator), earlier)
            for (reading, _), earlier, outcome, is_new in zip(chunk, before, outcomes, new, strict=True)
            if is_new
        ]


Group = tuple[Rules | None, bool, list[Spectrum | Refusal]]


def _sessions(
    db: sqlite3.Connection,
    sha256: str,
    chosen: Chosen,
    gates: bool,
    stability: bool,
    taken: deque[list[tuple[Reading, Spectrum | Refusal]]],
) -> Iterator[list[Group]]:
    """Take chunks of readings out of the log, each in groups that keep to the same rules and are estimated alike.

    `taken` gets the chunks.
    """
    after = 0
    rules: dict[int | None, Rules | None] = {None: DEFAULT_RULES}
    while chunk := unanswered(db, sha256, chosen, after, CHUNK):
        after = chunk[-1][0].id
        taken.append(chunk)
        moved = _told_how_stable(db, chunk[0][0].id, after)

        def alike(one: tuple[Reading, Spectrum | Refusal], moved: frozenset[int] = moved) -> tuple[int | None, bool]:
            reading = one[0]
            return reading.session_id, stability or reading.session_id is not None or reading.id in moved

        groups: list[Group] = []
        for (session, told), group in groupby(chunk, alike):
            if session not in rules:
                rules[session] = _rules_of(db, session)
            groups.append((rules[session] if gates else None, told, [spectrum for _, spectrum in group]))
        yield groups


def _told_how_stable(db: sqlite3.Connection, first: int, last: int) -> frozenset[int]:
    """Name the readings of which an answer says how stable it is: those that a watched folder gave."""
    rows = db.execute(
        "SELECT reading_id FROM estimates WHERE movement_over_limit IS NOT NULL AND reading_id BETWEEN ? AND ?",
        (first, last),
    )
    return frozenset(number for (number,) in rows)


def _outcomes(carried: CarriedEstimator, groups: Sequence[Group]) -> list[Estimate | Refusal]:
    return [
        outcome
        for rules, stability, spectra in groups
        for outcome in _estimates(Engine(carried.estimator, None, rules, stability=stability), spectra)
    ]


def left_out(db: sqlite3.Connection, chosen: Chosen) -> int:
    """Count the readings chosen that broke a rule when they were measured."""
    conditions, values = where_reading(chosen)
    where = sql_where(["r.rule_broken <> ''", *conditions])
    (count,) = db.execute(f"SELECT count(*) FROM readings r {where}", values).fetchone()
    return int(count)


def _rules_of(db: sqlite3.Connection, session_id: int | None) -> Rules:
    for session in iter_sessions(db, Chosen(session=session_id)):
        if session.profile_text:
            return stored_rules(session.profile_text, f"profile of session {session.id}")
    return DEFAULT_RULES


def _estimates(engine: Engine, spectra: Sequence[Spectrum | Refusal]) -> list[Estimate | Refusal]:
    outcomes = [result.outcome for result in engine.answer(spectra)]
    return [_marked(item, outcome) for item, outcome in zip(spectra, outcomes, strict=True)]


def _marked(item: Spectrum | Refusal, outcome: Estimate | Refusal) -> Estimate | Refusal:
    if isinstance(item, (Refusal, MeanSpectrum)) or not item.measurement.startswith(MEAN_OF):
        return outcome
    return outcome._replace(flags=(*outcome.flags, NO_POINTS)) if isinstance(outcome, Estimate) else outcome


def _record(
    db: sqlite3.Connection, reading: Reading, outcome: Estimate | Refusal, estimator: Estimator
) -> ReadingRecord:
    bundle = estimator.bundle
    answer = StoredAnswer(outcome, StoredModel(bundle.sha256, bundle.name, *bundle.calibrated_range), now(), SOFTWARE)
    estimated = isinstance(outcome, Estimate)
    estimates, refusals = ((answer,), ()) if estimated else ((), (answer,))
    # `reading` is as corrected already, and void ones are not estimated.
    soil, history = soil_of(db, reading.id), history_of(db, reading.id)
    return record_of_entry(Entry(reading, estimates, refusals, reading.session_id, soil=soil, history=history))


def _latest(db: sqlite3.Connection, reading: Reading, element: str) -> EstimateRecord | None:
    for entry in iter_entries(db, Chosen(element=element, reading=reading.id)):
        return record_of_entry(entry).estimates[-1]
    return None
