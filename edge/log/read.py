"""Reading the log: what was measured and what came of it, as streams that need no more memory for a larger log.

`spectra` gives spectra, `history` sessions, scans and events.
"""

from __future__ import annotations

import heapq
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cmp_to_key
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import LogError
from ..model.estimate import Estimate, Refusal
from .columns import ANSWERS, ESTIMATES, MODELS, REFUSALS, TOLD, Reading, StoredCorrection, StoredModel
from .corrections import COUNTS, SAMPLE_ID, corrected, soil_key
from .schema import BUSY_S, SCHEMA_VERSION, cannot, show_as_today, version_of
from .table import DamagedRowError
from .write import now


@dataclass(frozen=True)
class Chosen:
    """Which readings and outcomes are wanted; what is not given does not matter.

    Attributes:
        sample: sample id, as corrected, with `*`, `?` and `[...]` as in file names; upper and lower case differ.
        since, until: by this device's clock when it was stored, with a time zone; `until` itself is left out.
        element, verdict: estimates with these, no refusals.
        refused: refusals only.
        session: number of a session.
        simulated: whether the spectrum is simulated.
        reading: this one only.
        void: those too that do not count: void, or measured again.
        kind: of sample, such as "reference"; no refusals without a spectrum then.
    """

    sample: str = ""
    since: datetime | None = None
    until: datetime | None = None
    element: str = ""
    verdict: str = ""
    refused: bool = False
    session: int | None = None
    simulated: bool | None = None
    reading: int | None = None
    void: bool = False
    kind: str = ""


ALL = Chosen()


@dataclass(frozen=True)
class StoredAnswer:
    """What came of a reading, and who says so.

    Attributes:
        outcome: an estimate, or a refusal.
        model: that gave it; None for a refusal by no model in particular, or from before version 3.
        stored_at, software: when and by what it was made.
    """

    outcome: Estimate | Refusal
    model: StoredModel | None
    stored_at: str
    software: str


@dataclass(frozen=True)
class Entry:
    """A reading, and what came of it.

    Attributes:
        reading: None for what was refused without a spectrum.
        estimates: in the order they were made.
        refusals: likewise; where there is an estimate only those of models that were asked at the same time, unless
            all are wanted.
        session_id: the session it belongs to, if any.
        void: why the reading does not count; "" if it does.
        soil: equal for all readings of one soil; see `corrections.Corrected`.
        history: what was said of the reading afterwards.
        after_reading: the last row of `readings` when what has none was refused; None before version 6 of the log.
    """

    reading: Reading | None
    estimates: tuple[StoredAnswer, ...]
    refusals: tuple[StoredAnswer, ...]
    session_id: int | None
    void: str = ""
    soil: str = ""
    history: tuple[StoredCorrection, ...] = ()
    after_reading: int | None = None

    @property
    def stored_at(self) -> str:
        """When the reading, or else the refusal, was stored."""
        return self.reading.stored_at if self.reading else self.refusals[0].stored_at


@contextmanager
def open_for_reading(path: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Open a log that is only read, also on a disk that cannot be written; one of an earlier version stays as it is.

    Raises:
        LogError: it is not there, is no log, or cannot be opened; or the database fails while it is read.
    """
    path = Path(path)
    if not path.is_file():
        raise LogError(f"{path}: there is no log; measure first, or name another file with --log")
    db = _connect(path)
    try:
        if version_of(db, path) != SCHEMA_VERSION:
            show_as_today(db)
        yield db
    except sqlite3.Error as error:
        raise LogError(cannot(path, "be read", error)) from error
    finally:
        db.close()


def _connect(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    db = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        # On a disk that is full or cannot be written SQLite cannot make the index of the write-ahead file.
        journal = path.with_name(path.name + "-wal")
        if "locked" in str(error):
            raise LogError(cannot(path, "be read", error)) from error
        if journal.exists() and journal.stat().st_size:
            raise LogError(
                f"{path}: its newest readings are in {journal.name}, which cannot be used on a disk that is full or "
                "cannot be written; copy both files to another folder and name the copy with --log"
            ) from error
        return sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        db.close()
        raise LogError(cannot(path, "be read", error)) from error
    return db


def reading_from(row: Sequence[Any]) -> Reading:
    """Make a reading of the columns of `TOLD`."""
    said, damage = TOLD.read_what_can_be(row)
    return Reading(**said, damaged=damage)


def where_reading(chosen: Chosen, every: bool = False) -> tuple[list[str], list[object]]:
    """Return conditions on `readings r`, and their parameters.

    Args:
        chosen: which readings.
        every: any estimate of a reading counts for `element` and `verdict`, not only the latest of each element.
    """
    conditions, values = _conditions(
        (f"{SAMPLE_ID} GLOB ?", chosen.sample or None),
        ("r.stored_at >= ?", _utc(chosen.since)),
        ("r.stored_at < ?", _utc(chosen.until)),
        ("r.session_id = ?", chosen.session),
        ("r.simulated = ?", chosen.simulated),
        ("r.id = ?", chosen.reading),
        ("r.sample_kind = ?", chosen.kind or None),
    )
    inner, wanted = _conditions(("e.element = ?", chosen.element or None), ("e.verdict = ?", chosen.verdict or None))
    if inner:
        if not every:
            inner.append(
                "NOT EXISTS (SELECT 1 FROM estimates n"
                " WHERE n.reading_id = r.id AND n.element = e.element AND n.id > e.id)"
            )
        estimate = " AND ".join(["e.reading_id = r.id", *inner])
        conditions.append(f"EXISTS (SELECT 1 FROM estimates e WHERE {estimate})")
        values += wanted
    if chosen.refused:
        conditions.append("EXISTS (SELECT 1 FROM refusals f WHERE f.reading_id = r.id)")
    if not chosen.void:
        conditions.append(COUNTS)
    return conditions, values


def iter_entries(
    db: sqlite3.Connection, chosen: Chosen = ALL, every: bool = False, last: int | None = None
) -> Iterator[Entry]:
    """Give readings with what came of them, in the order in which they were stored.

    Args:
        db: from `open_for_reading`.
        chosen: which. With `element` or `verdict` no refusals come, with `refused` no estimates.
        every: all estimates and refusals of each reading. Otherwise the latest estimate for each element, and a
            reading's refusals only if it has no estimate, or of models that were asked at the same time.
        last: only so many, the last ones; what is read does not grow with the log then.
    """
    order = "DESC" if last is not None else "ASC"
    streams = [_of_readings(db, chosen, every, order)]
    alone = not (chosen.element or chosen.verdict or chosen.kind)
    if alone and chosen.simulated is None and chosen.reading is None:
        streams.append(_without_reading(db, chosen, order))
    if last is None:
        yield from heapq.merge(*streams, key=_PLACE)
    else:
        # Backwards the streams come in the other order, so that what was stored at once stays in one.
        merged = heapq.merge(*reversed(streams), key=_PLACE, reverse=True)
        yield from reversed(list(islice(merged, last)))


def _compare(one: Entry, other: Entry) -> int:
    """Tell which of a reading and what was refused without one was stored first, as `cmp_to_key` wants it."""
    if one.reading is None:
        return -_compare(other, one)
    if other.after_reading is not None:
        return 1 if other.after_reading < one.reading.id else -1
    # Clocks, then. What is dated later than the present was stored before the clock was set back.
    here, there = ((entry.stored_at <= now(), entry.stored_at) for entry in (one, other))
    return (here > there) - (here < there)


_PLACE = cmp_to_key(_compare)


def _of_readings(db: sqlite3.Connection, chosen: Chosen, every: bool, order: str) -> Iterator[Entry]:
    conditions, values = where_reading(chosen, every)
    rows = db.execute(
        f"SELECT {TOLD.select('r')} FROM readings r {sql_where(conditions)} ORDER BY r.id {order}", values
    )
    for row in rows:
        about = corrected(db, reading_from(row))
        reading, said = about.reading, (about.void, about.soil, about.history)
        if reading.damaged:
            yield Entry(reading, (), (_damaged(reading, reading.damaged),), reading.session_id, *said)
            continue
        answers = [] if chosen.refused else _estimates(db, reading)
        estimates = [answer for answer in answers if isinstance(answer.outcome, Estimate)]
        if not every:
            estimates = list({_element(answer): answer for answer in estimates}.values())
        refusals = [answer for answer in answers if isinstance(answer.outcome, Refusal)]
        if not (chosen.element or chosen.verdict):
            # Where there is an estimate, only those of models that were asked together with the one that gave it.
            asked_at = {answer.stored_at for answer in estimates}
            found = _refusals(db, reading)
            refusals += [one for one in found if every or not estimates or one.stored_at in asked_at]
        estimates = [answer for answer in estimates if _wanted(answer.outcome, chosen)]
        if estimates or refusals:
            yield Entry(reading, tuple(estimates), tuple(refusals), reading.session_id, *said)


def _element(answer: StoredAnswer) -> str:
    return answer.outcome.element if isinstance(answer.outcome, Estimate) else ""


def _wanted(outcome: Estimate | Refusal, chosen: Chosen) -> bool:
    return isinstance(outcome, Estimate) and (
        chosen.element in ("", outcome.element) and chosen.verdict in ("", outcome.verdict)
    )


def _damaged(reading: Reading, damage: str) -> StoredAnswer:
    return StoredAnswer(Refusal(reading.source, damage, reading.sample_id), None, reading.stored_at, reading.software)


def _estimates(db: sqlite3.Connection, reading: Reading) -> list[StoredAnswer]:
    return [_estimate(reading, row) for row in db.execute(_ESTIMATES_OF_ONE, (reading.id,))]


def _estimate(reading: Reading, row: Sequence[Any]) -> StoredAnswer:
    width = len(_ESTIMATE.columns)
    try:
        said, model = _ESTIMATE.read(row[:width]), _model(MODELS.read(row[width:]))
    except DamagedRowError as error:
        return _damaged(reading, str(error))
    stored_at, software = said.pop("stored_at") or reading.stored_at, said.pop("software") or reading.software
    said.pop("id")
    estimate = Estimate(reading.sample_id, reading.measurement, reading.source, reading.measured_at, **said)
    return StoredAnswer(estimate, model, stored_at, software)


def _refusals(db: sqlite3.Connection, reading: Reading) -> list[StoredAnswer]:
    return [_refusal(row)[0] for row in db.execute(_REFUSALS_OF_ONE, (reading.id,))]


def _without_reading(db: sqlite3.Connection, chosen: Chosen, order: str) -> Iterator[Entry]:
    conditions, values = where_reading(replace(chosen, refused=False, sample="", void=True))
    here = [condition.replace("r.", "f.") for condition in conditions]
    if chosen.sample:
        here, values = [*here, "f.sample_id GLOB ?"], [*values, chosen.sample]
    rows = db.execute(
        f"{_REFUSALS} {sql_where(['f.reading_id IS NULL', *here])} ORDER BY f.id {order}",
        values,
    )
    for row in rows:
        yield _alone(row)


def refusals_alone(db: sqlite3.Connection, after: int, most: int) -> Iterator[Entry]:
    """Give what was refused without a reading, such as a file that could not be read, in the order it was stored.

    Args:
        db: from `open_for_reading`.
        after: row of `refusals` after which to begin.
        most: how many at most.
    """
    conditions = sql_where(["f.reading_id IS NULL", "f.id > ?"])
    for row in db.execute(f"{_REFUSALS} {conditions} ORDER BY f.id LIMIT ?", (after, most)):
        yield _alone(row)


def _alone(row: Sequence[Any]) -> Entry:
    answer, said = _refusal(row)
    session_id, after = said["session_id"], said["after_reading"]
    soil = soil_key(answer.outcome.sample_id, session_id)
    return Entry(None, (), (answer,), session_id, soil=soil, after_reading=after)


def _refusal(row: Sequence[Any]) -> tuple[StoredAnswer, dict[str, Any]]:
    width = len(REFUSALS.columns)
    said, damage = REFUSALS.read_what_can_be(row[:width])
    model = None if row[width] is None else _model(MODELS.read_what_can_be(row[width:])[0])
    refusal = Refusal(said["source"], damage or said["reason"], said["sample_id"])
    return StoredAnswer(refusal, model, said["stored_at"], said["software"]), said


def _model(said: dict[str, Any]) -> StoredModel:
    said.pop("id")
    return StoredModel(**said)


_ESTIMATE = ESTIMATES.only("id", *ANSWERS, "stored_at", "software")
_ESTIMATES_OF_ONE = (
    f"SELECT {_ESTIMATE.select('e')}, {MODELS.select('m')} FROM estimates e JOIN models m ON m.id = e.model_id"
    " WHERE e.reading_id = ? ORDER BY e.id"
)
_REFUSALS = (
    f"SELECT {REFUSALS.select('f')}, {MODELS.select('m')} FROM refusals f LEFT JOIN models m ON m.id = f.model_id"
)
_REFUSALS_OF_ONE = f"{_REFUSALS} WHERE f.reading_id = ? ORDER BY f.id"


def sql_where(conditions: Sequence[str]) -> str:
    """Return a WHERE clause for conditions that all hold; "" for none."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _conditions(*given: tuple[str, object]) -> tuple[list[str], list[object]]:
    wanted = [(condition, value) for condition, value in given if value is not None]
    return [condition for condition, _ in wanted], [value for _, value in wanted]


def _utc(time: datetime | None) -> str | None:
    # As `write.now` gives it, so that texts compare as times do.
    return None if time is None else time.astimezone(timezone.utc).isoformat(timespec="milliseconds")
