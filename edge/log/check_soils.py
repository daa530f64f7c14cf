"""Check soils of the log: what a model has read of the same jar, day after day."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..gates.control_chart import FIRST, ControlChart, control_chart, rules_in_words
from ..model.estimate import Refusal
from ..units import shown_unit
from .read import ALL, Chosen, iter_entries

KIND = "reference"
"""What such a reading is called in the log: a soil whose content does not change."""
BLANK = "blank"
MOST_BLANKS = 200


@dataclass(frozen=True)
class CheckSoil:
    """One check soil as one model reads it.

    Attributes:
        sample_id, element, unit, model, model_sha256: what was read, and by what.
        readings: (n,) rows of the log, in the order they were stored.
        stored_at: (n,) when.
        values: (n,) in the unit; readings without a plain value are left out.
        chart: None as long as there are fewer than ten.
    """

    sample_id: str
    element: str
    unit: str
    model: str
    model_sha256: str
    readings: tuple[int, ...]
    stored_at: tuple[str, ...]
    values: tuple[float, ...]
    chart: ControlChart | None

    @property
    def said(self) -> str:
        """How it stands, in words."""
        if self.chart is None:
            return f"{len(self.values)} of the {FIRST} readings that limits come from"
        return drift_of(self.values, self.sample_id) or "in control"


def drift_of(values: Sequence[float], sample_id: str) -> str:
    """Say what the last of a check soil's readings breaks, and what to do; "" for nothing."""
    chart = control_chart(values)
    why = chart.drifts if chart is not None else ""
    return f"{sample_id} DRIFTS: {why}; measure it again, then the white panel, before more soils" if why else ""


def soil_of(db: sqlite3.Connection, sample_id: str, element: str, model_sha256: str) -> tuple[float, ...]:
    """Give the values that a model has read of one check soil, in the order they were stored."""
    # Brackets, so that a name with * or ? is that name.
    pattern = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in sample_id)
    for soil in check_soils(db, Chosen(sample=pattern)):
        if (soil.sample_id, soil.element, soil.model_sha256) == (sample_id, element, model_sha256):
            return soil.values
    return ()


def check_soils(db: sqlite3.Connection, chosen: Chosen = ALL) -> list[CheckSoil]:
    """Give the check soils of a log, each as each model reads it.

    Args:
        db: from `read.open_for_reading`.
        chosen: which readings; every model's estimates of them count, not only the latest.
    """
    series: dict[tuple[str, str, str, str], list[tuple[int, str, float, str]]] = {}
    for entry in iter_entries(db, replace(chosen, kind=KIND), every=True):
        reading = entry.reading
        if reading is None:
            continue
        for answer in entry.estimates:
            outcome, model = answer.outcome, answer.model
            if model is None or isinstance(outcome, Refusal) or outcome.bound:
                continue
            key = reading.sample_id, outcome.element, outcome.unit, model.sha256
            series.setdefault(key, []).append((reading.id, reading.stored_at, outcome.value, model.name))
    return [_soil(key, points) for key, points in series.items()]


def _soil(key: tuple[str, str, str, str], points: Sequence[tuple[int, str, float, str]]) -> CheckSoil:
    sample_id, element, unit, sha256 = key
    ids, times, values, names = zip(*points, strict=True)
    return CheckSoil(sample_id, element, unit, names[-1], sha256, ids, times, values, control_chart(values))


def chart_data(soil: CheckSoil) -> dict[str, Any]:
    """Give a chart as JSON values, for a page: centre, limits, and each reading with its score and broken rules."""
    chart = soil.chart
    return {
        "sample_id": soil.sample_id,
        "element": soil.element,
        "unit": soil.unit,
        "shown_unit": shown_unit(soil.unit),
        "model": soil.model,
        "model_sha256": soil.model_sha256,
        "centre": chart.centre if chart else None,
        "limits": list(chart.limits) if chart else None,
        "logarithmic": chart.logarithmic if chart else None,
        "said": soil.said,
        "readings": [
            {
                "reading": soil.readings[i],
                "stored_at": soil.stored_at[i],
                "value": value,
                "score": chart.scores[i] if chart else None,
                "broken": list(chart.broken[i]) if chart else [],
                "words": rules_in_words(chart.broken[i]) if chart else "",
            }
            for i, value in enumerate(soil.values)
        ],
    }


def blank_data(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Give the last blanks as JSON values, with the critical level that each must stay below."""
    return [
        {
            "reading": entry.reading.id,
            "sample_id": entry.reading.sample_id,
            "stored_at": entry.reading.stored_at,
            "element": one.outcome.element,
            "unit": one.outcome.unit,
            "shown_unit": shown_unit(one.outcome.unit),
            "value": one.outcome.value,
            "critical_level": one.outcome.critical_level,
            "detected": one.outcome.bound != "< LOD",
        }
        for entry in iter_entries(db, Chosen(kind=BLANK), last=MOST_BLANKS)
        if entry.reading is not None
        for one in entry.estimates
        if not isinstance(one.outcome, Refusal)
    ]
