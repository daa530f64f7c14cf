"""The log of readings: one SQLite file on the device, written before anything is shown.

Spectra are kept as measured, so that every estimate can be made again, by another model too. Nothing in this
program deletes from it. Write-ahead logging with `synchronous=FULL`: a committed reading survives a power cut
(https://www.sqlite.org/pragma.html#pragma_synchronous). `columns` has the tables, `read` and `spectra` read them.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ...converters.spectra.spectrum import Floats, Spectrum
from ..errors import LogError
from ..model.estimate import Estimate, Refusal
from ..model.replicates import MeanSpectrum
from ..record import SOFTWARE
from .columns import (
    ESTIMATES,
    EVENTS,
    GRIDS,
    MODELS,
    NOTHING_MORE,
    POINTS,
    READING_SCANS,
    READINGS,
    REFUSALS,
    SCANS,
    SESSIONS,
    ReadingFacts,
    StoredModel,
    StoredScanKind,
    spectrum_sha256,
)
from .disk_room import RESERVE_BYTES, DiskRoom, Reserve, disk_room
from .schema import Transaction, cannot, open_for_writing
from .table import FLOATS_32, FLOATS_64, as_json

if TYPE_CHECKING:
    from ..gates.scans import Scan

LOG_ENVIRONMENT_VARIABLE = "STIBIUM_LOG"

T = TypeVar("T")


class Result(NamedTuple):
    """One thing that was taken in, and what came of it.

    Attributes:
        spectrum: None if the file could not be read, or nothing was measured.
        outcome: what the log's model makes of it.
        about: what else is known of the reading.
        reading_id: its row in `readings`, once it is stored; None without a spectrum.
        stored_at: when it was stored, as the log writes times; "" before.
        others: what further models make of the same spectrum.
    """

    spectrum: Spectrum | None
    outcome: Estimate | Refusal
    about: ReadingFacts | None = None
    reading_id: int | None = None
    stored_at: str = ""
    others: tuple[tuple[StoredModel, Estimate | Refusal], ...] = ()

    @property
    def outcomes(self) -> tuple[Estimate | Refusal, ...]:
        """What each model makes of it, the log's first."""
        return (self.outcome, *(outcome for _, outcome in self.others))

    @property
    def refused(self) -> str:
        """Why no model gives an estimate; "" if one does."""
        if any(isinstance(outcome, Estimate) for outcome in self.outcomes):
            return ""
        return "; ".join(dict.fromkeys(one.reason for one in self.outcomes if isinstance(one, Refusal)))


def default_log_path() -> Path:
    """`STIBIUM_LOG`, or `stibium/readings.db` in the user's state folder (XDG base directory specification)."""
    named = os.environ.get(LOG_ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "stibium" / "readings.db"


def now() -> str:
    """This device's clock, UTC, to the millisecond, as the log writes it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def grid_of(db: sqlite3.Connection, wavelengths_nm: Floats) -> tuple[int, str]:
    """Return row and SHA-256 of a wavelength grid, written inside the caller's transaction if it is new."""
    digest = hashlib.sha256(FLOATS_64.write(wavelengths_nm)).hexdigest()
    found = db.execute("SELECT id FROM grids WHERE sha256=?", (digest,)).fetchone()
    grid_id = GRIDS.insert(db, sha256=digest, wavelengths_nm=wavelengths_nm) if found is None else int(found[0])
    return grid_id, digest


def add_event(
    db: sqlite3.Connection, kind: str, text: str, details: Mapping[str, Any] | None, session_id: int | None
) -> int:
    """Write down what happened, inside the caller's transaction."""
    return EVENTS.insert(db, session_id=session_id, at=now(), kind=kind, text=text, details=details or {})


class Log:
    """The log, open for appending. Several processes may hold the same file open.

    Args:
        path: the database; made, with its folder, if it is not there, and brought up to date if it is of an
            earlier version.
        model_name, model_sha256: the bundle whose estimates will be stored.
        calibrated_range: of that bundle, so that an interval's end that was cut off can be told later.

    Raises:
        LogError: cannot be opened, is no log of readings, or was made by a newer program.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model_name: str = "",
        model_sha256: str = "",
        calibrated_range: tuple[float, float] | None = None,
    ) -> None:
        self.path = Path(path)
        self._db = open_for_writing(self.path)
        self._reserve = Reserve(self.path)
        self._model = StoredModel(model_sha256, model_name, *(calibrated_range or (None, None)))
        self._software = SOFTWARE
        self._grids: dict[bytes, tuple[int, str]] = {}
        self._model_ids: dict[StoredModel, int] = {}

    @property
    def database(self) -> sqlite3.Connection:
        """The open connection, for what is kept beside the readings, such as which files were taken."""
        return self._db

    def add(
        self, results: Sequence[Result], also: Callable[[sqlite3.Connection], object] | None = None
    ) -> list[Result]:
        """Store results in one transaction; when this returns they are on disk.

        Args:
            results: what to store.
            also: called inside the transaction; what it writes is stored with the results or not at all. It may be
                called twice, after what it wrote the first time was undone.

        Returns:
            The results, with row and time.

        Raises:
            LogError: nothing of `results` was stored (disk full, file read-only, ...).
        """

        def work() -> list[Result]:
            stored_at = now()
            rows = [self._add_one(result, stored_at) for result in results]
            if also is not None:
                also(self._db)
            return rows

        return self._store(work)

    def add_estimates(self, outcomes: Sequence[tuple[int, Estimate | Refusal]]) -> list[bool]:
        """Store what this model makes of readings that are in the log, beside what was made of them before.

        Args:
            outcomes: (row in `readings`, outcome), in one transaction.

        Returns:
            For each whether it was stored; False if the reading has an answer or a refusal of this model already.

        Raises:
            LogError: nothing of `outcomes` was stored.
        """

        def work() -> list[bool]:
            stored_at, model_id = now(), self._model_id(self._model)
            stored = []
            for reading_id, outcome in outcomes:
                (known,) = self._db.execute(
                    "SELECT EXISTS (SELECT 1 FROM estimates WHERE reading_id=?1 AND model_id=?2)"
                    " OR EXISTS (SELECT 1 FROM refusals WHERE reading_id=?1 AND model_id=?2)",
                    (reading_id, model_id),
                ).fetchone()
                if not known:
                    self._add_outcome(reading_id, outcome, stored_at, None, model_id)
                stored.append(not known)
            return stored

        return self._store(work)

    def begin_session(
        self,
        *,
        port: str = "",
        instrument: str = "",
        profile_name: str = "",
        profile_text: str = "",
        operator: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> int:
        """Write the beginning of a measuring session and give its number; a reserve is laid by on the disk.

        A session without an end is one that runs, or that a crash cut off: `history.iter_sessions`.

        Raises:
            LogError: it cannot be written.
        """
        self._reserve.lay_by()

        def work() -> int:
            return SESSIONS.insert(
                self._db,
                started_at=now(),
                ended_at=None,
                software=self._software,
                port=port,
                instrument=instrument,
                profile_name=profile_name,
                profile_text=profile_text,
                model_id=self._model_id(self._model) if self._model.sha256 else None,
                operator=operator,
                settings=settings or {},
            )

        return self._store(work)

    def end_session(self, session_id: int) -> None:
        """Write the end of a session; of one that was taken up again, the last end counts.

        Raises:
            LogError: it cannot be written, or there is no such session.
        """

        def work() -> None:
            if not self._db.execute("UPDATE sessions SET ended_at=? WHERE id=?", (now(), session_id)).rowcount:
                raise LogError(f"the log has no session {session_id} to end")

        self._store(work)

    def reopen_session(self, session_id: int) -> None:
        """Take a session's end away, as it goes on: cut off now, it has none.

        Raises:
            LogError: it cannot be written.
        """
        self._store(lambda: self._db.execute("UPDATE sessions SET ended_at = NULL WHERE id = ?", (session_id,)))

    def add_scan(
        self,
        scan: Scan,
        *,
        session_id: int | None,
        kind: StoredScanKind,
        wavelengths_nm: Floats,
        sample_id: str = "",
        point: int = 0,
    ) -> int:
        """Store a scan as the instrument delivered it; when this returns it is on disk.

        Args:
            scan: one with the `key` of a scan in the log is not stored again.
            session_id: the session it belongs to, if any.
            kind: what was in front of the probe.
            wavelengths_nm: (bands,) of the instrument.
            sample_id, point: what it is a measurement of, as far as that is known.

        Returns:
            Its row in `scans`, for `ReadingFacts.scan_ids`.

        Raises:
            LogError: it was not stored.
        """

        def work() -> int:
            known = self._db.execute("SELECT id FROM scans WHERE scan_key=?", (as_json(scan.key),)).fetchone()
            if known is not None:
                return int(known[0])
            return SCANS.insert(
                self._db,
                scan,
                session_id=session_id,
                stored_at=now(),
                kind=kind,
                sample_id=sample_id,
                point=point,
                grid_id=self._grid(wavelengths_nm)[0],
            )

        return self._store(work)

    def add_event(
        self, kind: str, text: str, details: Mapping[str, Any] | None = None, session_id: int | None = None
    ) -> int:
        """Write down what happened: warm-up, a refused point, an instrument exchanged, a clock that jumped, ...

        Raises:
            LogError: it was not stored.
        """
        return self._store(lambda: add_event(self._db, kind, text, details, session_id))

    def room(self) -> DiskRoom:
        """Tell the room on the log's disk; look before measuring, as storing comes after.

        Raises:
            LogError: the disk does not answer.
        """
        try:
            return disk_room(self.path)
        except OSError as error:
            raise LogError(cannot(self.path, "be written", error)) from error

    def together(self, work: Callable[[], T]) -> T:
        """Store several things in one transaction: all that `work` writes by this log, or nothing.

        Args:
            work: may be called twice, after what it wrote the first time was undone.

        Raises:
            LogError: nothing was stored.
        """
        return self._store(work)

    def _store(self, work: Callable[[], T]) -> T:
        """Run `work` in a transaction; on a full disk give up the reserve for it, once."""
        if self._db.in_transaction:
            return work()  # a part of what is stored together
        try:
            return self._in_transaction(work)
        except sqlite3.Error as error:
            if not self._is_full(error) or not self._reserve.give_up():
                raise self._failed(error) from error
        try:
            return self._in_transaction(work)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _is_full(self, error: sqlite3.Error) -> bool:
        # Where a file of SQLite's own cannot grow, it speaks of an input/output error.
        text = str(error)
        return "is full" in text or ("I/O error" in text and disk_room(self.path).free_bytes < RESERVE_BYTES)

    def _in_transaction(self, work: Callable[[], T]) -> T:
        try:
            with Transaction(self._db):
                return work()
        except BaseException:
            # A row id handed out in the failed transaction is not there any more.
            self._grids.clear()
            self._model_ids.clear()
            raise

    def _failed(self, error: sqlite3.Error) -> LogError:
        return LogError(cannot(self.path, "be written, so nothing more is measured", error))

    def _add_one(self, result: Result, stored_at: str) -> Result:
        about = result.about or NOTHING_MORE
        reading_id = None
        if result.spectrum is not None:
            reading_id = self._add_reading(result.spectrum, about, stored_at)
        for model, outcome in ((self._model, result.outcome), *result.others):
            # A refusal, too, is the model's, and another model may think otherwise; unless nothing was there to judge.
            judged = reading_id is not None and model.sha256 and not about.rule_broken
            model_id = self._model_id(model) if judged or isinstance(outcome, Estimate) else None
            self._add_outcome(reading_id, outcome, stored_at, about.session_id, model_id)
        return Result(result.spectrum, result.outcome, result.about, reading_id, stored_at, result.others)

    def _add_outcome(
        self,
        reading_id: int | None,
        outcome: Estimate | Refusal,
        stored_at: str,
        session_id: int | None,
        model_id: int | None,
    ) -> None:
        row: dict[str, object] = {
            "reading_id": reading_id,
            "model_id": model_id,
            "stored_at": stored_at,
            "software": self._software,
        }
        if isinstance(outcome, Estimate):
            ESTIMATES.insert(self._db, outcome, **row)
        else:
            (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM readings").fetchone()
            REFUSALS.insert(self._db, outcome, **row, session_id=session_id, after_reading=last)

    def _add_reading(self, spectrum: Spectrum, about: ReadingFacts, stored_at: str) -> int:
        grid_id, grid_sha256 = self._grid(spectrum.wavelengths_nm)
        reading_id = READINGS.insert(
            self._db,
            spectrum,
            about,
            stored_at=stored_at,
            software=self._software,
            grid_id=grid_id,
            settings={**spectrum.extra, **about.settings},
            spectrum_sha256=spectrum_sha256(grid_sha256, FLOATS_32.write(spectrum.values)),
        )
        for scan_id, role in about.scan_ids:
            READING_SCANS.insert(self._db, reading_id=reading_id, scan_id=scan_id, role=role)
        if isinstance(spectrum, MeanSpectrum):
            for number, point in enumerate(spectrum.points, 1):
                POINTS.insert(self._db, point, reading_id=reading_id, point=number)
        return reading_id

    def _grid(self, wavelengths_nm: Floats) -> tuple[int, str]:
        blob = wavelengths_nm.tobytes()
        known = self._grids.get(blob)
        if known is None:
            known = self._grids[blob] = grid_of(self._db, wavelengths_nm)
        return known

    def _model_id(self, model: StoredModel) -> int:
        known = self._model_ids.get(model)
        if known is None:
            known = self._model_ids[model] = self._row_of(model)
        return known

    def _row_of(self, model: StoredModel) -> int:
        found = self._db.execute("SELECT id, calibrated_low FROM models WHERE sha256=?", (model.sha256,)).fetchone()
        if found is None:
            return MODELS.insert(self._db, model)
        if found[1] is None and model.calibrated_range is not None:
            # Known from before version 3 of the log, or from a program that did not say.
            ends = (*model.calibrated_range, found[0])
            self._db.execute("UPDATE models SET calibrated_low=?, calibrated_high=? WHERE id=?", ends)
        return int(found[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
