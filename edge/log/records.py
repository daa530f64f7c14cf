"""One outcome of the log as plain values, the same in every listing and export.

No number stands alone that may not be trusted: `value`, `low` and `high` are filled only where the estimate may be
taken as it is; `estimate` and `interval` say in a text what there is in any case, such as "< LOD" or "(> 3840)".
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import IO, Any, Literal

from ..model.estimate import Estimate
from ..report import in_figures, shown_interval, shown_value
from .read import Outcome

FIELDS = {
    "status": str,
    "reading": int,
    "session": int,
    "sample_id": str,
    "sample_kind": str,
    "duplicate_of": str,
    "measurement": str,
    "stored_at": str,
    "measured_at": str,
    "element": str,
    "unit": str,
    "estimate": str,
    "interval": str,
    "trusted": bool,
    "verdict": str,
    "simulated": bool,
    "reason": str,
    "flags": str,
    "value": float,
    "bound": str,
    "low": float,
    "high": float,
    "coverage": float,
    "detection_limit": float,
    "points": int,
    "points_range": str,
    "scatter_over_limit": float,
    "t2_over_limit": float,
    "q_over_limit": float,
    "latitude_deg": float,
    "longitude_deg": float,
    "altitude_m": float,
    "position_source": str,
    "position_at": str,
    "notes": str,
    "comment": str,
    "instrument": str,
    "source": str,
    "estimated_at": str,
    "software": str,
    "model": str,
    "model_sha256": str,
}
"""Names in this order with the kind of their values, any of which may be None; `status` is "estimate" or "refused"."""


def as_record(entry: Outcome) -> dict[str, Any]:
    """Give an outcome under the names of `FIELDS`."""
    record: dict[str, Any] = dict.fromkeys(FIELDS)
    outcome, reading, model = entry.outcome, entry.reading, entry.model
    record |= {
        "session": entry.session_id,
        "sample_id": outcome.sample_id,
        "source": outcome.source,
        "reason": outcome.reason,
        "stored_at": entry.stored_at,
        "estimated_at": entry.stored_at,
        "software": entry.software,
        "model": model.name if model else None,
        "model_sha256": model.sha256 if model else None,
        "flags": "",
        "trusted": False,
    }
    if reading is not None:
        record |= {
            "reading": reading.id,
            "sample_id": reading.sample_id,
            "source": reading.source,
            "stored_at": reading.stored_at,
            "measured_at": reading.measured_at.isoformat() if reading.measured_at else None,
            "simulated": reading.simulated,
        }
        for name in ("sample_kind", "duplicate_of", "measurement", "latitude_deg", "longitude_deg", "altitude_m"):
            record[name] = getattr(reading, name)
        for name in ("position_source", "position_at", "notes", "comment", "instrument"):
            record[name] = getattr(reading, name)
    if not isinstance(outcome, Estimate):
        return record | {"status": "refused", "estimate": "refused"}
    return record | _estimate_fields(outcome, model.calibrated_range if model else None)


def _estimate_fields(outcome: Estimate, calibrated_range: tuple[float, float] | None) -> dict[str, Any]:
    low = high = None
    if outcome.verdict == "inside" and calibrated_range and outcome.low is not None and outcome.high is not None:
        # An end on the edge of the calibrated range was cut off there.
        low = outcome.low if outcome.low > calibrated_range[0] else None
        high = outcome.high if outcome.high < calibrated_range[1] else None
    return {
        "status": "estimate",
        "element": outcome.element,
        "unit": outcome.unit,
        "estimate": _shown(outcome),
        "interval": _range(outcome.low, outcome.high, calibrated_range),
        "trusted": outcome.trusted,
        "verdict": outcome.verdict,
        "simulated": outcome.simulated,
        "flags": "; ".join(outcome.flags),
        "value": _rounded(outcome.value) if outcome.trusted else None,
        "bound": outcome.bound,
        "low": _rounded(low),
        "high": _rounded(high),
        "coverage": outcome.coverage,
        "detection_limit": _rounded(outcome.detection_limit),
        "points": outcome.points,
        "points_range": _range(outcome.points_low, outcome.points_high, calibrated_range),
        "scatter_over_limit": _rounded(outcome.scatter_over_limit),
        "t2_over_limit": _rounded(outcome.t2_over_limit),
        "q_over_limit": _rounded(outcome.q_over_limit),
    }


def _shown(outcome: Estimate) -> str:
    text = shown_value(outcome.value, outcome.bound, outcome.verdict)
    return text if outcome.trusted or outcome.bound or text.startswith("(") else f"({text})"


def _range(low: float | None, high: float | None, calibrated_range: tuple[float, float] | None) -> str:
    if low is None or high is None:
        return ""
    if calibrated_range is None:
        # From before version 3 of the log: whether an end was cut off is not known.
        return f"({in_figures(low)} - {in_figures(high)})"
    return shown_interval(low, high, calibrated_range)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def write_records(entries: Iterable[Outcome], out: IO[str], out_format: Literal["csv", "jsonl"]) -> int:
    """Write outcomes as CSV with a heading or as JSON lines; return how many."""
    table = csv.DictWriter(out, list(FIELDS), lineterminator="\n") if out_format == "csv" else None
    if table is not None:
        table.writeheader()
    count = 0
    for entry in entries:
        count += 1
        record = as_record(entry)
        if table is None:
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            table.writerow({name: _cell(value) for name, value in record.items()})
    return count


def _cell(value: object) -> object:
    # Without line ends, so that a row is a line; booleans as `stibium predict` writes them.
    return " ".join(value.splitlines()) if isinstance(value, str) else value
