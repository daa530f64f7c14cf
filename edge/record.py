"""One reading with what was made of it: the only thing that tables, files, maps and pages are made from.

docs/records.md says in words what each key means; `record.schema.json` says it to programs.
"""

from collections.abc import Mapping
from math import inf
from typing import Any, Literal, NamedTuple

from . import __version__
from .model.estimate import Estimate
from .model.target import Bound
from .units import shown_unit

SCHEMA = "stibium.reading/1"
"""What a record names as its schema. A key that is added leaves the number as it is; one that changes raises it."""

SOFTWARE = f"stibium {__version__}"
"""Who made an answer, as the log and every record name it."""

BOUNDS: dict[Bound, str] = {
    ">": "above the calibrated range",
    "<": "below the calibrated range",
    "< LOD": "not detected",
}
"""What a bound means, in words."""


# Named tuples: a start pays three times as much for data classes of so many fields, and so does each reading.


class EstimateRecord(NamedTuple):
    """What one model says of one element; concentrations are in `unit`.

    Exactly one of `value`, `untrusted_value` and `below_critical_value` is a number. Of each end of the interval it is
    `low` or `untrusted_low`, `high` or `untrusted_high`; none of them if the model gives no interval.

    Attributes:
        value: a number that may be used: inside the calibration, no bound, points that agree, nothing simulated.
        untrusted_value: what the model says where it may not be used.
        below_critical_value: what the model says where nothing was detected: it is below the critical level.
        low, high: ends of the interval, inside the calibration, nothing simulated, not cut off at its range.
        untrusted_low, untrusted_high: what the model says of an end where that is not so.
        trusted: `value` may be used.
        simulated: the model or the spectrum is.
        shown: the estimate as a person should see it, such as "128", "> 3840", "< LOD" or "(128)".
        interval_shown: the interval likewise; "" if there is none.
        water_index: depth of the water band at 1930 nm over the spread of this model's calibration.
    """

    element: str
    unit: str
    shown: str
    interval_shown: str
    value: float | None
    untrusted_value: float | None
    below_critical_value: float | None
    low: float | None
    high: float | None
    untrusted_low: float | None
    untrusted_high: float | None
    coverage: float | None
    bound: Bound
    critical_level: float | None
    detection_limit: float | None
    trusted: bool
    verdict: str
    simulated: bool
    reason: str
    flags: tuple[str, ...]
    points: int
    points_low: float | None
    points_high: float | None
    scatter_over_limit: float | None
    movement_over_limit: float | None
    water_index: float | None
    t2_over_limit: float | None
    q_over_limit: float | None
    estimated_at: str
    software: str
    model: str
    model_sha256: str


class RefusalRecord(NamedTuple):
    """Why a reading was refused, when, by which program and by which model; no model if it was not the model's say."""

    reason: str
    refused_at: str
    software: str
    model: str
    model_sha256: str


class CorrectionRecord(NamedTuple):
    """What somebody said of a reading afterwards; `text` says all of it in one line."""

    id: int
    at: str
    kind: str
    value: Mapping[str, Any]
    who: str
    undone: bool
    text: str


class ReadingRecord(NamedTuple):
    """One reading. Texts that are not known are "", numbers and times that are not known are None.

    Attributes:
        status: "refused" if nothing was estimated.
        reading, session: rows in the log; None for a file that could not be read, or without a session.
        condition: of the ground, such as "damp".
        water_index: depth of the water band at 1930 nm over the calibration's spread, by the first model that said so
            when it was measured; an estimate has that of its own model.
        simulated: the spectrum is.
        reason: why it was refused; "" otherwise.
        flags: remarks on the measurement itself; those on an estimate stand there.
        soil: equal for readings of one soil, which alone may be averaged: equal names of two sessions are two soils.
        void: why the reading does not count; "" if it does.
        corrections: what somebody said of it afterwards; the other keys say what holds after that.
        corrected_at: when it was measured, UTC, where another clock has said that the device's was wrong.
        time_offset_s: what that adds to the device's time, seconds.
    """

    status: Literal["estimated", "refused"]
    reading: int | None = None
    session: int | None = None
    sample_id: str = ""
    sample_kind: str = ""
    duplicate_of: str = ""
    measurement: str = ""
    stored_at: str | None = None
    measured_at: str | None = None
    estimates: tuple[EstimateRecord, ...] = ()
    refusals: tuple[RefusalRecord, ...] = ()
    reason: str = ""
    flags: tuple[str, ...] = ()
    simulated: bool = False
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    altitude_m: float | None = None
    position_source: str = ""
    position_at: str | None = None
    condition: str = ""
    water_index: float | None = None
    notes: str = ""
    comment: str = ""
    instrument: str = ""
    source: str = ""
    soil: str = ""
    void: str = ""
    corrections: tuple[CorrectionRecord, ...] = ()
    corrected_at: str | None = None
    time_offset_s: float | None = None


_COPIED = ("element", "unit", "coverage", "bound", "verdict", "simulated", "reason", "flags", "points")
_ROUNDED = (
    *("critical_level", "detection_limit", "points_low", "points_high"),
    *("scatter_over_limit", "movement_over_limit", "water_index", "t2_over_limit", "q_over_limit"),
)


def estimate_record(estimate: Estimate, calibrated_range: tuple[float, float] | None, **made: Any) -> EstimateRecord:
    """Tell what may be used of an estimate from what may not.

    Args:
        estimate: as the model gave it.
        calibrated_range: of the model; None if it is not known any more.
        made: `estimated_at`, `software`, `model` and `model_sha256`.
    """
    trusted = estimate.trusted and not estimate.simulated
    detected = estimate.bound != "< LOD"
    value, low, high = rounded(estimate.value), rounded(estimate.low), rounded(estimate.high)
    sound = estimate.verdict == "inside" and not estimate.simulated
    # An end on the edge of the calibrated range was cut off there.
    lowest, highest = calibrated_range or (inf, -inf)
    low_sound = sound and estimate.low is not None and estimate.low > lowest
    high_sound = sound and estimate.high is not None and estimate.high < highest
    same: dict[str, Any] = {name: getattr(estimate, name) for name in _COPIED}
    same |= {name: rounded(getattr(estimate, name)) for name in _ROUNDED}
    return EstimateRecord(
        **same,
        shown=shown_estimate(estimate),
        interval_shown=_interval_shown(estimate.low, estimate.high, calibrated_range),
        value=value if trusted else None,
        untrusted_value=value if detected and not trusted else None,
        below_critical_value=None if detected else value,
        low=low if low_sound else None,
        high=high if high_sound else None,
        untrusted_low=None if low_sound else low,
        untrusted_high=None if high_sound else high,
        trusted=trusted,
        **made,
    )


def distrusted(one: EstimateRecord, why: str) -> EstimateRecord:
    """Take the trust from an estimate that may not be used whatever the model says of it, and give the reason."""
    return one._replace(
        shown=one.shown if one.shown.startswith("(") else f"({one.shown})",
        value=None,
        untrusted_value=one.untrusted_value if one.value is None else one.value,
        low=None,
        high=None,
        untrusted_low=one.untrusted_low if one.low is None else one.low,
        untrusted_high=one.untrusted_high if one.high is None else one.high,
        trusted=False,
        flags=(why, *one.flags),
    )


def reading_flags(settings: Mapping[str, Any], simulated: bool) -> tuple[str, ...]:
    """Give the remarks on a measurement, of the findings that `Engine` puts into a reading's settings."""
    found = settings.get("findings")
    # A file may have a field of its own of that name.
    known = [one for one in found if isinstance(one, list) and len(one) == 3] if isinstance(found, list) else []
    remarks = [str(text) for _, severity, text in known if severity == "remark"]
    return (*remarks, "simulated spectrum") if simulated else tuple(remarks)


def as_json(record: ReadingRecord) -> dict[str, Any]:
    """Give a record as plain values, as JSON lines have it."""
    nested = {name: [one._asdict() for one in getattr(record, name)] for name in (*_NESTED, "corrections")}
    return {"schema": SCHEMA, **record._asdict(), **nested}


def as_rows(record: ReadingRecord) -> list[dict[str, Any]]:
    """Give a record as flat rows, one for each estimate, or one for a refusal, under the names of `FLAT_NAMES`.

    `reason`, `flags` and `simulated` of reading and estimate are put together; `water_index` is the estimate's; lists
    are joined by "; ". A refusal fills the columns that say when and by what an estimate was made.
    """
    said = record._asdict()
    shared = {name: said[name] for name in _READING_NAMES}
    shared["corrections"] = "; ".join(one.text for one in record.corrections)
    rows = []
    for one in record.estimates:
        flags = dict.fromkeys((*one.flags, *record.flags))
        together = {
            "reason": one.reason or record.reason,
            "flags": "; ".join(flags),
            "simulated": one.simulated or record.simulated,
        }
        rows.append({**_EMPTY_ROW, **shared, **one._asdict(), **together})
    if not record.estimates:
        return [_refusal_row(record, shared, refusal) for refusal in record.refusals[-1:]]
    beside = refused_beside(record)
    rows += [_refusal_row(record, shared | {"status": "refused", "reason": one.reason}, one) for one in beside]
    return rows


def refused_beside(record: ReadingRecord) -> list[RefusalRecord]:
    """Give the refusals of models where others, asked at the same time, gave an estimate."""
    asked_at = {one.estimated_at for one in record.estimates}
    return [one for one in record.refusals if one.refused_at in asked_at]


def _refusal_row(record: ReadingRecord, shared: dict[str, Any], refusal: RefusalRecord) -> dict[str, Any]:
    by = {name: getattr(refusal, name) for name in ("software", "model", "model_sha256")}
    said = {"flags": "; ".join(record.flags), "trusted": False, "estimated_at": refusal.refused_at, **by}
    return {**_EMPTY_ROW, **shared, **said}


_NESTED = ("estimates", "refusals")
_READING_NAMES = tuple(name for name in ReadingRecord._fields if name not in _NESTED)


def _flat_names() -> tuple[str, ...]:
    of_estimate = [name for name in EstimateRecord._fields if name not in _READING_NAMES]
    # One row has the estimate where the record has its list of them.
    first = _READING_NAMES.index("measured_at") + 1
    return ("schema", *_READING_NAMES[:first], *of_estimate, *_READING_NAMES[first:])


FLAT_NAMES = _flat_names()
"""Names of a flat row, in order; any value may be None."""
_EMPTY_ROW: dict[str, Any] = dict.fromkeys(FLAT_NAMES) | {"schema": SCHEMA}


def shown_estimate(estimate: Estimate) -> str:
    """Write an estimate for a person: "128", "> 3840", "< LOD".

    In parentheses outside the calibration, and where points scatter too much or the answer is unstable, for somebody
    will copy just the number.
    """
    text = shown_value(estimate.value, estimate.bound, estimate.verdict)
    return text if estimate.trusted or estimate.bound or text.startswith("(") else f"({text})"


def shown_value(value: float, bound: str, verdict: str) -> str:
    """Write a value with its bound; in parentheses if the verdict is not "inside"."""
    text = f"{bound} {'' if bound == '< LOD' else in_figures(value)}".strip()
    return text if verdict == "inside" else f"({text})"


def told(one: EstimateRecord) -> str:
    """Say an estimate with element and unit: "Sb 128 ppm", "Sb not detected"; in parentheses as `shown` is."""
    return f"{one.element} {amount(one)}"


def amount(one: EstimateRecord) -> str:
    """Say an estimate with its unit: "128 ppm", "not detected"; in parentheses as `shown` is."""
    return in_unit(one.shown, one.bound, one.unit)


def in_unit(shown: str, bound: str, unit: str) -> str:
    """Put the unit to what `shown_value` gives; what was not detected is said in words."""
    if bound != "< LOD":
        return f"{shown} {shown_unit(unit)}"
    words = BOUNDS["< LOD"]
    return f"({words})" if shown.startswith("(") else words


def shown_interval(low: float | None, high: float | None, calibrated_range: tuple[float, float]) -> str:
    """Write an interval; an end on the edge of the calibrated range was cut off there and is shown as a bound."""
    if low is None or high is None:
        return "-"
    lowest, highest = calibrated_range
    first = f"{'< ' if low <= lowest else ''}{in_figures(low)}"
    last = f"{'> ' if high >= highest else ''}{in_figures(high)}"
    if low >= highest or high <= lowest:
        return last if low >= highest else first
    return f"{first} - {last}"


def _interval_shown(low: float | None, high: float | None, calibrated_range: tuple[float, float] | None) -> str:
    if low is None or high is None:
        return ""
    if calibrated_range is None:
        # From before version 3 of the log: whether an end was cut off is not known.
        return f"({in_figures(low)} - {in_figures(high)})"
    return shown_interval(low, high, calibrated_range)


def in_figures(value: float) -> str:
    """Write a concentration with three significant figures and no exponent: 0.123, 12.3, 123, 1230."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):.0f}"
    text = f"{value:#.3g}"
    return (f"{value:.4f}" if "e" in text else text).rstrip(".")


def rounded(value: float | None) -> float | None:
    """Keep six digits: no more of a figure means anything."""
    return None if value is None else float(f"{value:.6g}")
