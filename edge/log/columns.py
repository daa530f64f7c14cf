"""What one reading, one of its points and one estimate are in the log: values by column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ...converters.spectra.spectrum import Spectrum
from ..model.estimate import Estimate
from .sessions import as_json, plain_text

ScanRole = Literal["target", "dark", "white"]
SampleKind = Literal["sample", "blank", "reference", "duplicate"]


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


NOTHING_MORE = ReadingFacts()


def reading_columns(spectrum: Spectrum, about: ReadingFacts) -> dict[str, object]:
    """Give the columns of `readings` for a spectrum; the file's own fields and the routine's settings share one."""
    position = spectrum.position
    return {
        "source": plain_text(spectrum.source),
        "sample_id": plain_text(spectrum.sample_id),
        "measurement": plain_text(spectrum.measurement),
        "measured_at": _time(spectrum.measured_at),
        "instrument": plain_text(spectrum.instrument),
        "quantity": spectrum.quantity,
        "spectrum": spectrum.values.astype("<f4").tobytes(),
        "splices_nm": json.dumps(spectrum.splices_nm),
        "saturated": json.dumps(spectrum.saturated),
        "latitude_deg": position.latitude_deg if position else None,
        "longitude_deg": position.longitude_deg if position else None,
        "altitude_m": position.altitude_m if position else None,
        "comment": plain_text(spectrum.comment),
        "simulated": spectrum.simulated,
        "session_id": about.session_id,
        "settings": as_json({**spectrum.extra, **about.settings}),
        "notes": plain_text(about.notes),
        "sample_kind": about.sample_kind,
        "duplicate_of": plain_text(about.duplicate_of),
        "position_source": about.position_source,
        "position_at": _time(about.position_at),
        "rule_broken": plain_text(about.rule_broken),
    }


def point_columns(point: Spectrum) -> dict[str, object]:
    """Give the columns of `points` for one measurement of a mean; its grid and quantity are the mean's."""
    return {
        "source": plain_text(point.source),
        "measurement": plain_text(point.measurement),
        "measured_at": _time(point.measured_at),
        "spectrum": point.values.astype("<f4").tobytes(),
    }


def estimate_columns(estimate: Estimate) -> dict[str, object]:
    """Give the columns of `estimates` that an estimate fills."""
    return {
        "element": estimate.element,
        "unit": estimate.unit,
        "value": estimate.value,
        "bound": estimate.bound,
        "low": estimate.low,
        "high": estimate.high,
        "coverage": estimate.coverage,
        "verdict": estimate.verdict,
        "reason": estimate.reason,
        "flags": json.dumps(estimate.flags),
        "t2_over_limit": estimate.t2_over_limit,
        "q_over_limit": estimate.q_over_limit,
        "simulated": estimate.simulated,
        "points": estimate.points,
        "points_low": estimate.points_low,
        "points_high": estimate.points_high,
        "scatter_over_limit": estimate.scatter_over_limit,
        "detection_limit": estimate.detection_limit,
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
