"""The log of readings: one SQLite file on the device, written before anything is shown.

Spectra are kept as measured, so that every estimate can be made again, by another model too. Nothing in this
program deletes from it. Write-ahead logging with `synchronous=FULL`: a committed reading survives a power cut
(https://www.sqlite.org/pragma.html#pragma_synchronous). `log_schema` has the tables, `log_read` reads them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...converters.spectra.spectrum import Floats, Spectrum
from .. import __version__
from ..errors import LogError
from ..model.estimate import Estimate, Refusal
from ..model.replicates import MeanSpectrum
from . import sessions as log_sessions
from .columns import (
    NOTHING_MORE,
    ReadingFacts,
    estimate_columns,
    point_columns,
    reading_columns,
)
from .disk_room import RESERVE_BYTES, DiskRoom, Reserve, disk_room
from .schema import APPLICATION_ID, SCHEMA_VERSION, Transaction, cannot, open_for_writing
from .sessions import StoredScanKind, grid_id_of, now, plain_text

if TYPE_CHECKING:
    from ..gates.scans import Scan

__all__ = [
    "APPLICATION_ID",
    "LOG_ENVIRONMENT_VARIABLE",
    "SCHEMA_VERSION",
    "Log",
    "ReadingFacts",
    "Result",
    "default_log_path",
    "read_spectra_of_log",
]

LOG_ENVIRONMENT_VARIABLE = "STIBIUM_LOG"

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Result:
    """One thing that was taken in, and what came of it.

    Attributes:
        spectrum: None if the file could not be read, or nothing was measured.
        outcome: what came of it.
        about: what else is known of the reading.
        reading_id: its row in `readings`, once it is stored; None without a spectrum.
        stored_at: when it was stored, as the log writes times; "" before.
    """

    spectrum: Spectrum | None
    outcome: Estimate | Refusal
    about: ReadingFacts | None = None
    reading_id: int | None = None
    stored_at: str = ""


def default_log_path() -> Path:
    """`STIBIUM_LOG`, or `stibium/readings.db` in the user's state folder (XDG base directory specification)."""
    named = os.environ.get(LOG_ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "stibium" / "readings.db"


def read_spectra_of_log(path: str | os.PathLike[str]) -> Iterable[tuple[int, Spectrum]]:
    """Give every reading of a log as (id, Spectrum); see `log_spectra.read_spectra_of_log`."""
    from .spectra import read_spectra_of_log as read

    return read(path)


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
        self._model = (model_sha256, model_name)
        self._calibrated_range = calibrated_range
        self._software = f"stibium {__version__}"
        self._grid_ids: dict[bytes, int] = {}

    @property
    def database(self) -> sqlite3.Connection:
        """The open connection, for what is kept beside the readings, such as which files were taken."""
        return self._db

    def add(self, results: Sequence[Result], also: Callable[[sqlite3.Connection], None] | None = None) -> list[Result]:
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
            stored_at, model_id = now(), self._model_id()
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

        A session without an end is one that runs, or that a crash cut off: `log_read.unfinished_sessions`.

        Raises:
            LogError: it cannot be written.
        """
        self._reserve.lay_by()

        def work() -> int:
            facts = {
                "software": self._software,
                "port": port,
                "instrument": instrument,
                "profile_name": profile_name,
                "profile_text": profile_text,
                "model_id": self._model_id() if self._model[0] else None,
                "operator": operator,
            }
            return log_sessions.begin_session(self._db, facts, settings or {})

        return self._store(work)

    def end_session(self, session_id: int) -> None:
        """Write the end of a session. Raises LogError if it cannot be written or there is no such session."""
        self._store(lambda: log_sessions.end_session(self._db, session_id))

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
            grid_id = self._grid_id(wavelengths_nm)
            return log_sessions.add_scan(self._db, scan, grid_id, session_id, kind, sample_id, point)

        return self._store(work)

    def add_event(
        self, kind: str, text: str, details: Mapping[str, Any] | None = None, session_id: int | None = None
    ) -> int:
        """Write down what happened: warm-up, a refused point, an instrument exchanged, a clock that jumped, ...

        Raises:
            LogError: it was not stored.
        """
        return self._store(lambda: log_sessions.add_event(self._db, kind, text, details, session_id))

    def room(self) -> DiskRoom:
        """Tell the room on the log's disk; look before measuring, as storing comes after.

        Raises:
            LogError: the disk does not answer.
        """
        try:
            return disk_room(self.path)
        except OSError as error:
            raise LogError(cannot(self.path, "be written", error)) from error

    def _store(self, work: Callable[[], T]) -> T:
        """Run `work` in a transaction; on a full disk give up the reserve for it, once."""
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
            self._grid_ids.clear()
            raise

    def _failed(self, error: sqlite3.Error) -> LogError:
        return LogError(cannot(self.path, "be written, so nothing more is measured", error))

    def _add_one(self, result: Result, stored_at: str) -> Result:
        about = result.about or NOTHING_MORE
        reading_id = model_id = None
        if result.spectrum is not None:
            reading_id = self._add_reading(result.spectrum, about, stored_at)
            if self._model[0] and not about.rule_broken:
                # A refusal, too, is the model's then, and another model may think otherwise.
                model_id = self._model_id()
        self._add_outcome(reading_id, result.outcome, stored_at, about.session_id, model_id)
        return Result(result.spectrum, result.outcome, result.about, reading_id, stored_at)

    def _add_outcome(
        self,
        reading_id: int | None,
        outcome: Estimate | Refusal,
        stored_at: str,
        session_id: int | None,
        model_id: int | None,
    ) -> None:
        if isinstance(outcome, Refusal):
            self._db.execute(
                "INSERT INTO refusals(reading_id, stored_at, software, source, sample_id, reason, model_id, session_id)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (
                    reading_id,
                    stored_at,
                    self._software,
                    plain_text(outcome.source),
                    plain_text(outcome.sample_id),
                    plain_text(outcome.reason),
                    model_id,
                    session_id,
                ),
            )
            return
        row = {
            "reading_id": reading_id,
            "model_id": self._model_id() if model_id is None else model_id,
            **estimate_columns(outcome),
            "stored_at": stored_at,
            "software": self._software,
        }
        self._insert("estimates", row)

    def _add_reading(self, spectrum: Spectrum, about: ReadingFacts, stored_at: str) -> int:
        row = {
            "stored_at": stored_at,
            "software": self._software,
            "grid_id": self._grid_id(spectrum.wavelengths_nm),
            **reading_columns(spectrum, about),
        }
        reading_id = self._insert("readings", row)
        for scan_id, role in about.scan_ids:
            self._insert("reading_scans", {"reading_id": reading_id, "scan_id": scan_id, "role": role})
        if isinstance(spectrum, MeanSpectrum):
            for number, point in enumerate(spectrum.points, 1):
                self._insert("points", {"reading_id": reading_id, "point": number, **point_columns(point)})
        return reading_id

    def _insert(self, table: str, row: Mapping[str, object]) -> int:
        statement = f"INSERT INTO {table}({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        return int(self._db.execute(statement, tuple(row.values())).lastrowid or 0)

    def _grid_id(self, wavelengths_nm: Floats) -> int:
        blob = wavelengths_nm.tobytes()
        if blob not in self._grid_ids:
            self._grid_ids[blob] = grid_id_of(self._db, wavelengths_nm)
        return self._grid_ids[blob]

    def _model_id(self) -> int:
        self._db.execute("INSERT OR IGNORE INTO models(sha256, name) VALUES (?,?)", self._model)
        if self._calibrated_range is not None:
            self._db.execute(
                "UPDATE models SET calibrated_low=?, calibrated_high=? WHERE sha256=? AND calibrated_low IS NULL",
                (*self._calibrated_range, self._model[0]),
            )
        (model_id,) = self._db.execute("SELECT id FROM models WHERE sha256=?", self._model[:1]).fetchone()
        return int(model_id)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
