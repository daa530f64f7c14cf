"""The log's tables, column by column, and what a row of each is read into. docs/log.md says what they are for.

A new column is a line here and a higher `schema.SCHEMA_VERSION`; logs that lack it get it when they are next written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

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
    Column,
    Table,
    column,
    columns_of,
)

if TYPE_CHECKING:
    from ..gates.scans import Scan

ScanRole = Literal["target", "dark", "white"]
SampleKind = Literal["sample", "blank", "reference", "duplicate"]
StoredScanKind = Literal["target", "dark", "white", "wavelength_check", "panel_check"]
"""What was in front of the probe; the last two are for checking the wavelengths and the white panel."""
Condition = Literal["dry", "damp", "wet"]
CorrectionKind = Literal["void", "rename", "note", "place", "together", "again", "condition", "photo"]
"""What a row of `corrections` does to the reading that it names."""

EMPTY = "NOT NULL DEFAULT ''"
_SESSION = "REFERENCES sessions(id)"
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
        condition: of the ground, as the person says; None if nobody said.
        water_index: depth of the water band at 1930 nm over the calibration's spread, no unit; None if not computed.
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
    condition: Condition | None = None
    water_index: float | None = None


NOTHING_MORE = ReadingFacts()


@dataclass(frozen=True)
class Reading:
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
    condition: str | None = column(TEXT, "CHECK (condition IN ('dry', 'damp', 'wet'))", _FACTS)
    water_index: float | None = column(REAL, NULLABLE, _FACTS)
    damaged: str = ""


SPECTRUM_COLUMNS = (
    Column("grid_id", INTEGER, "NOT NULL REFERENCES grids(id)"),
    Column("spectrum", FLOATS_32, NOT_NULL, _SPECTRUM, lambda s: s.values),
    Column("splices_nm", LIST, NOT_NULL, _SPECTRUM),
    Column("saturated", LIST, NOT_NULL, _SPECTRUM),
)
"""What a reading has beside `Reading`; listing readings does not read it."""


def _readings() -> tuple[Column, ...]:
    told = columns_of(Reading)
    after = [one.name for one in told].index("quantity") + 1
    return (*told[:after], *SPECTRUM_COLUMNS, *told[after:])


READINGS = Table("readings", _readings())
TOLD = Table("readings", columns_of(Reading))
"""The columns that `Reading` has."""

POINTS = Table(
    "points",
    (
        Column("reading_id", INTEGER, "NOT NULL REFERENCES readings(id)"),
        Column("point", INTEGER),
        # As those of the reading, whose quantity and grid they share.
        *READINGS.only("source", "measurement", "measured_at", "spectrum").columns,
    ),
    ("PRIMARY KEY (reading_id, point)",),
)

ESTIMATES = Table(
    "estimates",
    (
        Column("id", INTEGER, ID),
        Column("reading_id", INTEGER, "NOT NULL REFERENCES readings(id)"),
        Column("model_id", INTEGER, "NOT NULL REFERENCES models(id)"),
        Column("element", TEXT, NOT_NULL, 0),
        Column("unit", TEXT, NOT_NULL, 0),
        Column("value", REAL, NOT_NULL, 0),
        Column("bound", TEXT, NOT_NULL, 0),
        Column("low", REAL, NULLABLE, 0),
        Column("high", REAL, NULLABLE, 0),
        Column("coverage", REAL, NULLABLE, 0),
        Column("verdict", TEXT, NOT_NULL, 0),
        Column("reason", TEXT, NOT_NULL, 0),
        Column("flags", LIST, NOT_NULL, 0),
        Column("t2_over_limit", REAL, NULLABLE, 0),
        Column("q_over_limit", REAL, NULLABLE, 0),
        Column("simulated", BOOLEAN, NOT_NULL, 0),
        Column("points", INTEGER, "NOT NULL DEFAULT 1", 0),
        Column("points_low", REAL, NULLABLE, 0),
        Column("points_high", REAL, NULLABLE, 0),
        Column("scatter_over_limit", REAL, NULLABLE, 0),
        # NULL before version 3 of the log: a first estimate is as old as its reading.
        Column("stored_at", STAMP, NULLABLE),
        Column("software", TEXT, NULLABLE),
        Column("detection_limit", REAL, NULLABLE, 0),
        Column("critical_level", REAL, NULLABLE, 0),
    ),
)
ANSWERS = tuple(one.name for one in ESTIMATES.columns if one.source is not None)
"""The columns of an estimate that are attributes of `Estimate`."""

REFUSALS = Table(
    "refusals",
    (
        Column("id", INTEGER, ID),
        # NULL if the file could not be read at all.
        Column("reading_id", INTEGER, "REFERENCES readings(id)"),
        Column("stored_at", STAMP),
        Column("software", TEXT),
        Column("source", TEXT, NOT_NULL, 0),
        Column("sample_id", TEXT, NOT_NULL, 0),
        Column("reason", TEXT, NOT_NULL, 0),
        Column("model_id", INTEGER, "REFERENCES models(id)"),
        Column("session_id", INTEGER, _SESSION),
    ),
)


@dataclass(frozen=True)
class Model:
    """A row of `models`, a bundle that gave estimates; its range is not known from before version 3 of the log."""

    id: int = column(INTEGER, ID)
    sha256: str = column(TEXT, "NOT NULL UNIQUE")
    name: str = column(TEXT)
    calibrated_low: float | None = column(REAL, NULLABLE)
    calibrated_high: float | None = column(REAL, NULLABLE)

    @property
    def calibrated_range(self) -> tuple[float, float] | None:
        """Lowest and highest content calibrated for, in the bundle's unit."""
        low, high = self.calibrated_low, self.calibrated_high
        return None if low is None or high is None else (low, high)


MODELS = Table("models", columns_of(Model))

GRIDS = Table(
    "grids",
    (
        Column("id", INTEGER, ID),
        Column("sha256", TEXT, "NOT NULL UNIQUE"),
        Column("wavelengths_nm", FLOATS_64),
    ),
)


@dataclass(frozen=True)
class Session:
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


SESSIONS = Table("sessions", columns_of(Session))


def _flags(scan: Scan) -> dict[str, Any]:
    known = {name: getattr(scan, name) for name in SCAN_FLAGS}
    return known | {name: value for name, value in scan.extra.items() if name not in known}


SCAN_FLAGS = ("saturated", "shutter_closed", "cooler_alarms", "dark_subtracted", "drift", "temperature_c", "label")
"""What an instrument said of a scan, in its `flags`; what else is there is the scan's `extra`."""


@dataclass(frozen=True, eq=False)
class StoredScan:
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
    wavelengths_nm: Floats = field(default_factory=lambda: np.empty(0))


SCANS = Table("scans", columns_of(StoredScan))

READING_SCANS = Table(
    "reading_scans",
    (
        Column("reading_id", INTEGER, "NOT NULL REFERENCES readings(id)"),
        Column("scan_id", INTEGER, "NOT NULL REFERENCES scans(id)"),
        Column("role", TEXT),
    ),
    ("PRIMARY KEY (reading_id, scan_id, role)",),
    "WITHOUT ROWID",
)


@dataclass(frozen=True)
class Event:
    """A row of `events`."""

    id: int = column(INTEGER, ID)
    session_id: int | None = column(INTEGER, _SESSION)
    at: str = column(STAMP)
    kind: str = column(TEXT)
    text: str = column(TEXT)
    details: dict[str, Any] = column(OBJECT)


EVENTS = Table("events", columns_of(Event))


@dataclass(frozen=True)
class Correction:
    """A row of `corrections`: what somebody says of a reading afterwards, which itself stays as it is.

    Attributes:
        at: this device's clock, UTC.
        value: by kind: of a rename the new name, of a place latitude, longitude and source, of readings that belong
            together their numbers, of a photo the file's name beside the log, of a void the reason, ...
        who: says so.
    """

    id: int = column(INTEGER, ID)
    at: str = column(STAMP)
    reading_id: int = column(INTEGER, "NOT NULL REFERENCES readings(id)")
    kind: str = column(TEXT)
    value: dict[str, Any] = column(OBJECT)
    who: str = column(TEXT)


CORRECTIONS = Table("corrections", columns_of(Correction))


@dataclass(frozen=True)
class TimeOffset:
    """A row of `time_offsets`: by how much another clock is ahead of this device's; stored times stay as they are.

    Attributes:
        at: this device's clock, UTC.
        offset_s: the other clock minus this device's, in seconds.
        source: whose clock, such as "phone".
        host_boot: this device's power-up, within which the offset holds.
    """

    id: int = column(INTEGER, ID)
    at: str = column(STAMP)
    offset_s: float = column(REAL)
    source: str = column(TEXT)
    host_boot: str = column(TEXT)


TIME_OFFSETS = Table("time_offsets", columns_of(TimeOffset))

TAKEN_FILES = Table(
    "taken_files",
    # A path is kept as bytes: a name on a stick need not be UTF-8.
    (Column("path", BLOB, ID), Column("signature", TEXT)),
    options="WITHOUT ROWID",
)
TAKEN_ITEMS = Table(
    "taken_items",
    (Column("path", BLOB), Column("fingerprint", BLOB)),
    ("PRIMARY KEY (path, fingerprint)",),
    "WITHOUT ROWID",
)

TABLES = (
    MODELS,
    GRIDS,
    SESSIONS,
    READINGS,
    POINTS,
    ESTIMATES,
    REFUSALS,
    SCANS,
    READING_SCANS,
    EVENTS,
    CORRECTIONS,
    TIME_OFFSETS,
    TAKEN_FILES,
    TAKEN_ITEMS,
)


def spectrum_sha256(grid_sha256: str, values: bytes) -> str:
    """Return the hash that a stored spectrum is checked by.

    Args:
        grid_sha256: of its row in `grids`, the SHA-256 of its wavelengths, as hexadecimal digits.
        values: as stored, little-endian float32.
    """
    return hashlib.sha256(bytes.fromhex(grid_sha256) + values).hexdigest()
