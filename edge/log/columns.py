"""The log's tables, column by column, and what a row of each is read into. docs/log.md says what they are for.

A new column is a line here and a higher `schema.SCHEMA_VERSION`; logs that lack it get it when they are next written.
Rows are named tuples, with annotations that are no texts: as data classes they would slow down each start.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ...converters.spectra.spectrum import Floats
from .table import (
    BLOB,
    BOOLEAN,
    FLOATS_32,
    FLOATS_64,
    ID,
    INTEGER,
    LIST,
    NOT_NULL,
    NULLABLE,
    OBJECT,
    REAL,
    STAMP,
    TEXT,
    TIME,
    LogColumn,
    LogTable,
    column,
    columns_of,
)

if TYPE_CHECKING:
    from ..gates.scans import Scan

ScanRole = Literal["target", "dark", "white"]
SampleKind = Literal["sample", "blank", "reference", "duplicate"]
StoredScanKind = Literal["target", "dark", "white", "wavelength_check", "panel_check"]
"""What was in front of the probe; the last two are for checking the wavelengths and the white panel."""

EMPTY = "NOT NULL DEFAULT ''"
_SESSION = "REFERENCES sessions(id)"
_ONE_CONDITION = "CHECK (condition IN ('dry', 'damp', 'wet'))"
_SPECTRUM, _FACTS = 0, 1


@dataclass(frozen=True)
class ReadingFacts:
    """What the measuring routine knows of a reading beside its spectrum.

    Attributes:
        session_id: the session it was measured in.
        scan_ids: (row of `scans`, role) of each scan that it was made of.
        settings: anything of the instrument or the routine that JSON can hold.
        notes: typed by the person who measures.
        sample_kind: a soil, a blank, a reference soil, or a soil measured twice.
        duplicate_of: sample id of the first measurement of a duplicate.
        position_source: "gpsd", "nmea", "typed", ...; "" if there is no position.
        position_at: when that position was valid.
        rule_broken: why no estimate may be made from this reading, by any model; "" if one may.
        water_index: depth of the water band at 1930 nm over the calibration's spread, no unit, by the first model that
            says; None if none does.
    """

    session_id: int | None = None
    scan_ids: tuple[tuple[int, ScanRole], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    sample_kind: SampleKind = "sample"
    duplicate_of: str = ""
    position_source: str = ""
    position_at: datetime | None = None
    rule_broken: str = ""
    water_index: float | None = None


NOTHING_MORE = ReadingFacts()


class Reading(NamedTuple):
    """A row of `readings` without its spectrum; `damaged` says what of it cannot be read, "" for nothing."""

    id: int = column(INTEGER, ID)
    stored_at: str = column(STAMP)
    software: str = column(TEXT)
    source: str = column(TEXT, NOT_NULL, _SPECTRUM)
    sample_id: str = column(TEXT, NOT_NULL, _SPECTRUM)
    measurement: str = column(TEXT, NOT_NULL, _SPECTRUM)
    measured_at: datetime | None = column(TIME, NULLABLE, _SPECTRUM)
    instrument: str = column(TEXT, NOT_NULL, _SPECTRUM)
    quantity: str = column(TEXT, NOT_NULL, _SPECTRUM)
    latitude_deg: float | None = column(REAL, NULLABLE, _SPECTRUM, lambda s: s.position and s.position.latitude_deg)
    longitude_deg: float | None = column(REAL, NULLABLE, _SPECTRUM, lambda s: s.position and s.position.longitude_deg)
    altitude_m: float | None = column(REAL, NULLABLE, _SPECTRUM, lambda s: s.position and s.position.altitude_m)
    comment: str = column(TEXT, NOT_NULL, _SPECTRUM)
    simulated: bool = column(BOOLEAN, NOT_NULL, _SPECTRUM)
    session_id: int | None = column(INTEGER, _SESSION, _FACTS)
    settings: dict[str, Any] = column(OBJECT, "NOT NULL DEFAULT '{}'")
    notes: str = column(TEXT, EMPTY, _FACTS)
    sample_kind: str = column(TEXT, "NOT NULL DEFAULT 'sample'", _FACTS)
    duplicate_of: str = column(TEXT, EMPTY, _FACTS)
    position_source: str = column(TEXT, EMPTY, _FACTS)
    position_at: str | None = column(TEXT, NULLABLE, _FACTS, lambda f: f.position_at and f.position_at.isoformat())
    rule_broken: str = column(TEXT, EMPTY, _FACTS)
    spectrum_sha256: str | None = column(TEXT, NULLABLE)
    condition: str | None = column(TEXT, _ONE_CONDITION, _SPECTRUM, lambda s: s.condition or None)
    water_index: float | None = column(REAL, NULLABLE, _FACTS)
    damaged: str = ""


SPECTRUM_COLUMNS = (
    LogColumn("grid_id", INTEGER, "NOT NULL REFERENCES grids(id)"),
    LogColumn("spectrum", FLOATS_32, NOT_NULL, _SPECTRUM, lambda s: s.values),
    LogColumn("splices_nm", LIST, NOT_NULL, _SPECTRUM),
    LogColumn("saturated", LIST, NOT_NULL, _SPECTRUM),
)
"""What a reading has beside `Reading`; listing readings does not read it."""


def _readings() -> tuple[LogColumn, ...]:
    told = columns_of(Reading)
    after = [one.name for one in told].index("quantity") + 1
    return (*told[:after], *SPECTRUM_COLUMNS, *told[after:])


READINGS = LogTable("readings", _readings())
TOLD = LogTable("readings", columns_of(Reading))
"""The columns that `Reading` has."""

POINTS = LogTable(
    "points",
    (
        LogColumn("reading_id", INTEGER, "NOT NULL REFERENCES readings(id)"),
        LogColumn("point", INTEGER),
        # As those of the reading, whose quantity and grid they share.
        *READINGS.only("source", "measurement", "measured_at", "spectrum").columns,
    ),
    ("PRIMARY KEY (reading_id, point)",),
)

ESTIMATES = LogTable(
    "estimates",
    (
        LogColumn("id", INTEGER, ID),
        LogColumn("reading_id", INTEGER, "NOT NULL REFERENCES readings(id)"),
        LogColumn("model_id", INTEGER, "NOT NULL REFERENCES models(id)"),
        LogColumn("element", TEXT, NOT_NULL, 0),
        LogColumn("unit", TEXT, NOT_NULL, 0),
        LogColumn("value", REAL, NOT_NULL, 0),
        LogColumn("bound", TEXT, NOT_NULL, 0),
        LogColumn("low", REAL, NULLABLE, 0),
        LogColumn("high", REAL, NULLABLE, 0),
        LogColumn("coverage", REAL, NULLABLE, 0),
        LogColumn("verdict", TEXT, NOT_NULL, 0),
        LogColumn("reason", TEXT, NOT_NULL, 0),
        LogColumn("flags", LIST, NOT_NULL, 0),
        LogColumn("t2_over_limit", REAL, NULLABLE, 0),
        LogColumn("q_over_limit", REAL, NULLABLE, 0),
        LogColumn("simulated", BOOLEAN, NOT_NULL, 0),
        LogColumn("points", INTEGER, "NOT NULL DEFAULT 1", 0),
        LogColumn("points_low", REAL, NULLABLE, 0),
        LogColumn("points_high", REAL, NULLABLE, 0),
        LogColumn("scatter_over_limit", REAL, NULLABLE, 0),
        # NULL before version 3 of the log: a first estimate is as old as its reading.
        LogColumn("stored_at", STAMP, NULLABLE),
        LogColumn("software", TEXT, NULLABLE),
        LogColumn("detection_limit", REAL, NULLABLE, 0),
        LogColumn("critical_level", REAL, NULLABLE, 0),
        LogColumn("movement_over_limit", REAL, NULLABLE, 0),
        # By this model's calibration, unlike the reading's; NULL before version 7 of the log.
        LogColumn("water_index", REAL, NULLABLE, 0),
    ),
)
ANSWERS = tuple(one.name for one in ESTIMATES.columns if one.source is not None)
"""The columns of an estimate that are attributes of `Estimate`."""

REFUSALS = LogTable(
    "refusals",
    (
        LogColumn("id", INTEGER, ID),
        # NULL if the file could not be read at all.
        LogColumn("reading_id", INTEGER, "REFERENCES readings(id)"),
        LogColumn("stored_at", STAMP),
        LogColumn("software", TEXT),
        LogColumn("source", TEXT, NOT_NULL, 0),
        LogColumn("sample_id", TEXT, NOT_NULL, 0),
        LogColumn("reason", TEXT, NOT_NULL, 0),
        LogColumn("model_id", INTEGER, "REFERENCES models(id)"),
        LogColumn("session_id", INTEGER, _SESSION),
        # The last row of `readings` when it was written, 0 for none yet, so that no clock says which came first; NULL
        # before version 6 of the log.
        LogColumn("after_reading", INTEGER, NULLABLE),
    ),
)


class StoredModel(NamedTuple):
    """A row of `models`, a bundle that gives estimates; its range is None from before version 3 of the log."""

    sha256: str = column(TEXT, "NOT NULL UNIQUE", 0)
    name: str = column(TEXT, NOT_NULL, 0)
    calibrated_low: float | None = column(REAL, NULLABLE, 0)
    calibrated_high: float | None = column(REAL, NULLABLE, 0)

    @property
    def calibrated_range(self) -> tuple[float, float] | None:
        """Lowest and highest content calibrated for, in the bundle's unit."""
        low, high = self.calibrated_low, self.calibrated_high
        return None if low is None or high is None else (low, high)


MODELS = LogTable("models", (LogColumn("id", INTEGER, ID), *columns_of(StoredModel)))

GRIDS = LogTable(
    "grids",
    (
        LogColumn("id", INTEGER, ID),
        LogColumn("sha256", TEXT, "NOT NULL UNIQUE"),
        LogColumn("wavelengths_nm", FLOATS_64),
    ),
)


class StoredSession(NamedTuple):
    """A row of `sessions`, and how much belongs to it; `ended_at` is None if it runs or was cut off."""

    id: int = column(INTEGER, ID)
    started_at: str = column(STAMP)
    ended_at: str | None = column(STAMP, NULLABLE)
    software: str = column(TEXT)
    port: str = column(TEXT)
    instrument: str = column(TEXT)
    profile_name: str = column(TEXT)
    profile_text: str = column(TEXT)
    model_id: int | None = column(INTEGER, "REFERENCES models(id)")
    operator: str = column(TEXT)
    settings: dict[str, Any] = column(OBJECT)
    model: str | None = None
    readings: int = 0
    refusals: int = 0
    scans: int = 0


SESSIONS = LogTable("sessions", columns_of(StoredSession))


def _flags(scan: "Scan") -> dict[str, Any]:
    known = {name: getattr(scan, name) for name in SCAN_FLAGS}
    return known | {name: value for name, value in scan.extra.items() if name not in known}


SCAN_FLAGS = ("saturated", "shutter_closed", "cooler_alarms", "dark_subtracted", "drift", "temperature_c", "label")
"""What an instrument said of a scan, in its `flags`; what else is there is the scan's `extra`."""


class StoredScan(NamedTuple):
    """A row of `scans`, as the instrument delivered it.

    Attributes:
        settings, flags: integration time and gains; what the instrument said of it.
        scan_key: instrument, power-up, number, checksum; unlike every other scan's.
        values: (bands,) as delivered, in `unit`; may hold anything.
        wavelengths_nm: (bands,) of the instrument.
    """

    id: int = column(INTEGER, ID)
    session_id: int | None = column(INTEGER, _SESSION)
    stored_at: str = column(STAMP)
    # All in one time zone, so that the newest can be found.
    measured_at: datetime = column(TIME, NOT_NULL, 0, lambda scan: scan.measured_at.astimezone(timezone.utc))
    instrument: str = column(TEXT, NOT_NULL, 0, lambda scan: scan.key[0])
    boot: int = column(INTEGER, NOT_NULL, 0)
    number: int = column(INTEGER, NOT_NULL, 0)
    kind: str = column(TEXT)
    unit: str = column(TEXT, NOT_NULL, 0)
    scans: int = column(INTEGER, NOT_NULL, 0)
    sample_id: str = column(TEXT)
    point: int = column(INTEGER)
    simulated: bool = column(BOOLEAN, NOT_NULL, 0)
    settings: dict[str, float] = column(OBJECT, NOT_NULL, 0, lambda scan: dict(scan.settings.values))
    flags: dict[str, Any] = column(OBJECT, NOT_NULL, 0, _flags)
    scan_key: tuple[str, int, int, int] = column(LIST, "NOT NULL UNIQUE", 0, lambda scan: scan.key)
    grid_id: int = column(INTEGER, "NOT NULL REFERENCES grids(id)")
    values: Floats = column(FLOATS_32, NOT_NULL, 0)
    wavelengths_nm: Floats = np.empty(0)


SCANS = LogTable("scans", columns_of(StoredScan))

READING_SCANS = LogTable(
    "reading_scans",
    (
        LogColumn("reading_id", INTEGER, "NOT NULL REFERENCES readings(id)"),
        LogColumn("scan_id", INTEGER, "NOT NULL REFERENCES scans(id)"),
        LogColumn("role", TEXT),
    ),
    ("PRIMARY KEY (reading_id, scan_id, role)",),
    "WITHOUT ROWID",
)


class StoredEvent(NamedTuple):
    """A row of `events`."""

    id: int = column(INTEGER, ID)
    session_id: int | None = column(INTEGER, _SESSION)
    at: str = column(STAMP)
    kind: str = column(TEXT)
    text: str = column(TEXT)
    details: dict[str, Any] = column(OBJECT)


EVENTS = LogTable("events", columns_of(StoredEvent))


class StoredCorrection(NamedTuple):
    """A row of `corrections`: what somebody has said of a reading afterwards; `corrections` says what each kind means.

    Attributes:
        undone: a later row takes it back.
        damaged: what of it cannot be read; "" for nothing.
    """

    id: int = column(INTEGER, ID)
    at: str = column(STAMP)
    reading_id: int = column(INTEGER, "NOT NULL REFERENCES readings(id)")
    kind: str = column(TEXT)
    value: dict[str, Any] = column(OBJECT)
    who: str = column(TEXT)
    undone: bool = False
    damaged: str = ""


CORRECTIONS = LogTable("corrections", columns_of(StoredCorrection))
TIME_OFFSETS = LogTable(
    "time_offsets",
    (
        LogColumn("id", INTEGER, ID),
        LogColumn("at", STAMP),
        LogColumn("offset_s", REAL),
        LogColumn("source", TEXT),
        LogColumn("host_boot", TEXT),
    ),
)
ORE_CALLS = LogTable(
    "ore_calls",
    (
        LogColumn("id", INTEGER, ID),
        LogColumn("stored_at", STAMP),
        LogColumn("software", TEXT),
        LogColumn("model", TEXT),
        LogColumn("model_sha256", TEXT),
        LogColumn("scenario", TEXT),
        LogColumn("sample_id", TEXT),
        LogColumn("probability", REAL),
        LogColumn("low", REAL, NULLABLE),
        LogColumn("high", REAL, NULLABLE),
        LogColumn("threshold", REAL),
        LogColumn("decision", TEXT),
        LogColumn("reason", TEXT),
        LogColumn("flags", LIST),
        LogColumn("inputs", OBJECT),
        LogColumn("contributions", OBJECT),
        LogColumn("simulated", BOOLEAN),
    ),
)

TAKEN_FILES = LogTable(
    "taken_files",
    # A path is kept as bytes: a name on a stick need not be UTF-8.
    (LogColumn("path", BLOB, ID), LogColumn("signature", TEXT)),
    options="WITHOUT ROWID",
)
TAKEN_ITEMS = LogTable(
    "taken_items",
    (LogColumn("path", BLOB), LogColumn("fingerprint", BLOB)),
    ("PRIMARY KEY (path, fingerprint)",),
    "WITHOUT ROWID",
)

TABLES = (
    *(MODELS, GRIDS, SESSIONS, READINGS, POINTS, ESTIMATES, REFUSALS, SCANS, READING_SCANS, EVENTS),
    *(CORRECTIONS, TIME_OFFSETS, ORE_CALLS, TAKEN_FILES, TAKEN_ITEMS),
)


def spectrum_sha256(grid_sha256: str, values: bytes) -> str:
    """Return the hash that a stored spectrum is checked by.

    Args:
        grid_sha256: of its row in `grids`, the SHA-256 of its wavelengths, as hexadecimal digits.
        values: as stored, little-endian float32.
    """
    return hashlib.sha256(bytes.fromhex(grid_sha256) + values).hexdigest()
