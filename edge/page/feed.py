"""What the page is told of the log: a start, and from then on what is new, by the rows of the log themselves.

A row that is committed is the only news there is, whoever wrote it: `serve`'s own session, `listen`, `watch`, or a
`reprocess` in another terminal. How far a phone has heard is a `Cursor` of row numbers, so one that slept asks for the
rest and misses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ..log.check_soils import blank_data, chart_data, check_soils
from ..log.corrections import has_reading
from ..log.day import last_day, read_day, records_of
from ..log.export import iter_records, record_of_entry
from ..log.exports import EXPORTED, SENT, Left, left_since
from ..log.history import iter_sessions
from ..log.read import Chosen, open_for_reading, refusals_alone
from ..log.spectra import iter_spectra
from ..log.true_time import last_white
from ..log.write import now
from ..model.replicates import MeanSpectrum
from ..record import ReadingRecord, as_json, told
from ..units import shown_unit

SHOWN = 20
"""Readings and events that a page begins with."""
MOST_NEWS = 200
"""Rows that are told one by one; of more, a page begins anew."""
MOST_BANDS = 500
"""Of a spectrum that is drawn."""
MOST_PLACES = 2000
MOST_READINGS = 500
UNTOLD = frozenset({"wanted", "named", "sample_begun", "resumed", SENT})
"""Kinds of events that say nothing to a person."""

EVERY = Chosen(void=True)
"""What does not count any more is shown too, with the reason."""

Describe = Callable[[ReadingRecord], dict[str, Any]]
"""Says a record in words: `name`, `reason` of a refusal, and `words`, a list of remarks for each estimate."""


class Cursor(NamedTuple):
    """The newest rows that somebody knows of."""

    readings: int = 0
    estimates: int = 0
    refusals: int = 0
    events: int = 0
    corrections: int = 0
    time_offsets: int = 0

    def __str__(self) -> str:
        return ".".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Read what `str` gave; None if it is something else."""
        parts = text.split(".")
        if len(parts) != len(cls._fields) or not all(p.isascii() and p.isdecimal() and len(p) < 19 for p in parts):
            return None
        return cls(*map(int, parts))


@dataclass(frozen=True)
class News:
    """What has happened since a cursor.

    Attributes:
        cursor: up to here.
        readings: new ones, and older ones of which something is new, as the page shows them.
        events: new ones.
    """

    cursor: Cursor
    readings: list[dict[str, Any]]
    events: list[dict[str, Any]]


class Feed:
    """Reads a log for pages. Use it in one thread.

    Args:
        path: of the log.
        describe: see `Describe`.
        left: tell of each reading whether it has left the log, which is news too.

    Raises:
        LogError: the log cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], describe: Describe, left: bool = True) -> None:
        self.path, self._describe = Path(path), describe
        self._stack = ExitStack()
        self._open()
        self._left = {kind: Left(kind) for kind in (EXPORTED, SENT)} if left else {}
        self._last: tuple[Cursor, News | None] | None = None

    def _open(self) -> None:
        self._db = self._stack.enter_context(open_for_reading(self.path))
        self._schema, self._data = self._pragma("user_version"), self._pragma("data_version")

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def close(self) -> None:
        """Close the log."""
        self._stack.close()

    def another(self) -> Feed:
        """Give one of the same log, for another thread. Raises LogError."""
        return Feed(self.path, self._describe, left=False)

    def changed(self) -> bool:
        """Tell whether anybody has written to the log since this was last asked."""
        if self._pragma("user_version") != self._schema:
            # Brought up to date by the program that writes it: tables have come that were missing.
            self._stack.pop_all().close()
            self._open()
            return True
        before, self._data = self._data, self._pragma("data_version")
        return before != self._data

    # --- a start, and what is new ---------------------------------------------------------------------------

    def newest(self) -> Cursor:
        """Give the newest rows there are."""
        return Cursor(*(self._one(f"SELECT coalesce(max(id), 0) FROM {name}") for name in Cursor._fields))

    def _one(self, statement: str, *values: object) -> Any:
        return self._db.execute(statement, values).fetchone()[0]

    def start(self) -> dict[str, Any]:
        """Give what a page begins with: the last readings and events, the session, and the cursor they stand for."""
        cursor = self.newest()
        self._look_what_left()
        records = [self._shown(record) for record in iter_records(self._db, EVERY, last=SHOWN)]
        events = self._events("id > ? ORDER BY id DESC LIMIT ?", 0, SHOWN)[::-1]
        return {"cursor": str(cursor), "now": now(), "readings": records, "events": events, "session": self.session()}

    def _just_left(self, event: int) -> list[int]:
        """Give the newest readings of which it is news that they have left the log, by events after this one."""
        lowest = left_since(self._db, event) if self._left else None
        if lowest is None:
            return []
        rows = self._db.execute("SELECT id FROM readings WHERE id >= ? ORDER BY id DESC LIMIT ?", (lowest, SHOWN))
        return [row for (row,) in rows]

    def _look_what_left(self) -> None:
        for left in self._left.values():
            left.look(self._db)

    def since(self, cursor: Cursor) -> News | None:
        """Give what is new since a cursor; None if that is too much, or the cursor is of another log."""
        newest = self.newest()
        if any(known > there for known, there in zip(cursor, newest, strict=True)):
            return None
        if cursor == newest:
            return News(newest, [], [])
        if self._last is None or self._last[0] != cursor or (self._last[1] and self._last[1].cursor != newest):
            self._last = cursor, self._news(cursor, newest)
        return self._last[1]

    def _news(self, cursor: Cursor, newest: Cursor) -> News | None:
        changed = self._db.execute(
            "SELECT id FROM readings WHERE id > ?1 UNION SELECT reading_id FROM estimates WHERE id > ?2"
            " UNION SELECT reading_id FROM refusals WHERE id > ?3 AND reading_id IS NOT NULL"
            " UNION SELECT reading_id FROM corrections WHERE id > ?4 ORDER BY 1 LIMIT ?5",
            (cursor.readings, cursor.estimates, cursor.refusals, cursor.corrections, MOST_NEWS + 1),
        ).fetchall()
        self._look_what_left()
        changed = sorted({row for (row,) in changed}.union(self._just_left(cursor.events)))
        events = self._events("id > ? AND id <= ? ORDER BY id LIMIT ?", cursor.events, newest.events, MOST_NEWS + 1)
        alone = list(refusals_alone(self._db, cursor.refusals, MOST_NEWS + 1))
        if max(len(changed), len(events), len(alone)) > MOST_NEWS:
            return None
        records = [record for row in changed for record in iter_records(self._db, Chosen(reading=row, void=True))]
        records += [record_of_entry(entry) for entry in alone]
        return News(newest, [self._shown(record) for record in records], events)

    def _shown(self, record: ReadingRecord) -> dict[str, Any]:
        left = [kind for kind, left in self._left.items() if left.holds(record)]
        said = {**as_json(record), **self._describe(record), "left": left}
        for one, of in zip(said["estimates"], record.estimates, strict=True):
            # Of the model that said it: another one may be in use by now.
            one["calibrated_range"] = self._range_of(one["model_sha256"])
            one["shown_unit"], one["told"] = shown_unit(one["unit"]), told(of)
        return said

    def _range_of(self, model_sha256: str) -> list[float] | None:
        row = self._db.execute(
            "SELECT calibrated_low, calibrated_high FROM models WHERE sha256 = ?", (model_sha256,)
        ).fetchone()
        return None if row is None or None in row else list(row)

    def _events(self, condition: str, *values: object) -> list[dict[str, Any]]:
        hidden = ", ".join(f"'{kind}'" for kind in sorted(UNTOLD))
        rows = self._db.execute(
            f"SELECT id, at, kind, text, session_id FROM events WHERE text <> '' AND kind NOT IN ({hidden})"
            f" AND {condition}",
            values,
        )
        return [dict(zip(("id", "at", "kind", "text", "session"), row, strict=True)) for row in rows]

    # --- what is asked for -----------------------------------------------------------------------------------

    def session(self) -> dict[str, Any] | None:
        """Give the newest session, with the white reference that was taken last in it; None if there is none."""
        newest = self._one("SELECT max(id) FROM sessions")
        if newest is None:
            return None
        (one,) = iter_sessions(self._db, Chosen(session=newest))
        white = last_white(self._db, newest)
        names = ("id", "started_at", "ended_at", "port", "instrument", "profile_name", "operator", "model", "readings")
        return {**{name: getattr(one, name) for name in names}, "white_age_s": round(white[0]) if white else None}

    def unfinished_on(self, port: str) -> dict[str, Any] | None:
        """Give the attended session on a port that was never ended, as when a program is cut off; None without one."""
        for one in iter_sessions(self._db, unfinished=True):
            if one.port == port and not one.settings.get("unattended") and "begun_monotonic_s" in one.settings:
                return {"session": one.id, "begun": one.started_at, "samples": one.readings}
        return None

    def readings(self, since: int, most: int) -> list[dict[str, Any]]:
        """Give the readings after a row, oldest first, at most so many."""
        rows = self._db.execute(
            "SELECT id FROM readings WHERE id > ? ORDER BY id LIMIT ?", (since, min(most, MOST_READINGS))
        ).fetchall()
        return [as_json(record) for (row,) in rows for record in iter_records(self._db, Chosen(reading=row, void=True))]

    def last(self, most: int) -> list[dict[str, Any]]:
        """Give the last readings, and what was refused without one, oldest first."""
        return [as_json(record) for record in iter_records(self._db, EVERY, last=min(most, MOST_READINGS))]

    def exists(self, reading: int) -> bool:
        """Tell whether a reading is in the log."""
        return has_reading(self._db, reading)

    def spectrum(self, reading: int, full: bool) -> dict[str, Any] | None:
        """Give a reading's spectrum with its points; None if there is none.

        Args:
            reading: its row.
            full: every band; otherwise no more than a screen shows.
        """
        found = next(iter_spectra(self._db, Chosen(reading=reading, void=True)), None)
        if found is None:
            return None
        spectrum = found[1]
        if not isinstance(spectrum, Spectrum):
            return {"reading": reading, "reason": spectrum.reason}
        points: Iterable[Spectrum] = spectrum.points if isinstance(spectrum, MeanSpectrum) else ()
        bands = slice(None) if full else drawn_bands(spectrum.wavelengths_nm)
        return {
            "reading": reading,
            "sample_id": spectrum.sample_id,
            "quantity": spectrum.quantity,
            "simulated": spectrum.simulated,
            "wavelengths_nm": plain(spectrum.wavelengths_nm[bands], 8),
            "values": plain(spectrum.values[bands], 6),
            "points": [plain(point.values[bands], 6) for point in points],
        }

    def places(self, day: str) -> dict[str, Any]:
        """Give what a map of one day shows, the newest places only if there are very many.

        Args:
            day: such as "2026-05-06", in this device's time zone; "" for that of the newest reading.

        Raises:
            ValueError: it is no day.
        """
        wanted = read_day(day) if day else last_day(self._db)
        if wanted is None:
            return {"day": "", "places": []}
        records = records_of(self._db, wanted, void=False, last=MOST_PLACES)
        placed = [record for record in records if None not in (record.latitude_deg, record.longitude_deg)]
        return {"day": wanted.isoformat(), "places": [self._place(record) for record in placed]}

    def charts(self) -> dict[str, Any]:
        """Give the control charts: check soils with centre and limits, and blanks."""
        parts = [chart_data(soil) for soil in check_soils(self._db)], blank_data(self._db)
        soils, blanks = ([{**one, "unit": shown_unit(one["unit"])} for one in part] for part in parts)
        return {"soils": soils, "blanks": blanks}

    def _place(self, record: ReadingRecord) -> dict[str, Any]:
        names = ("reading", "sample_id", "latitude_deg", "longitude_deg", "status", "simulated")
        shown = [
            {"element": e.element, "shown": e.shown, "unit": e.unit, "value": e.value, "told": told(e)}
            for e in record.estimates
        ]
        return {**{name: getattr(record, name) for name in names}, "estimates": shown}


def drawn_bands(wavelengths_nm: Floats) -> slice:
    """Choose the bands that are drawn: every one, or every second, third, ... of many."""
    return slice(None, None, max(1, -(-wavelengths_nm.size // MOST_BANDS)))


def plain(values: Floats, digits: int) -> list[float | None]:
    """Give (bands,) numbers as JSON has them, with so many figures; None for what is no number."""
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values.tolist()]
