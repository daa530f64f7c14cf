"""Records as wide rows: one for each sample, or each reading, with columns for each element.

What may not be used as a number is never one here either: `Sb_value` is filled only where every reading that counts is
trusted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from ..record import FLAT_NAMES, EstimateRecord, ReadingRecord, as_rows, in_figures, refused_beside, rounded
from .read import ALL, Chosen, sql_where, where_reading

_OF_ELEMENT = (
    *("shown", "unit", "interval_shown", "value", "low", "high", "untrusted_value", "below_critical_value", "bound"),
    *("verdict", "trusted", "critical_level", "detection_limit", "reason", "flags", "model", "water_index"),
)
_NOT_SHARED = {*EstimateRecord._fields, "schema", "reading", "corrections"} - {
    "flags",
    "simulated",
    "reason",
    "water_index",
}
_SHARED = tuple(name for name in FLAT_NAMES if name not in _NOT_SHARED)


def elements_of(db: sqlite3.Connection, chosen: Chosen = ALL) -> list[str]:
    """Give the elements that were estimated of the readings chosen, sorted."""
    conditions, values = where_reading(chosen)
    rows = db.execute(
        "SELECT DISTINCT e.element FROM readings r JOIN estimates e ON e.reading_id = r.id"
        f" {sql_where(conditions)} ORDER BY e.element",
        values,
    )
    return [element for (element,) in rows if chosen.element in ("", element)]


def wide_names(elements: Sequence[str]) -> list[str]:
    """Name the columns of wide rows, in order."""
    return ["readings", *_SHARED, *(f"{element}_{name}" for element in elements for name in _OF_ELEMENT)]


def wide_row(record: ReadingRecord, elements: Sequence[str]) -> dict[str, Any]:
    """Give one reading in one row."""
    return _row([record], elements)


def wide_rows(records: Iterable[ReadingRecord], elements: Sequence[str]) -> list[dict[str, Any]]:
    """Give one row for each soil, and for each measurement of a control, in the order of their first readings.

    A soil of which several readings count has the mean of their values, if all may be used, between the lowest and the
    highest end of their intervals; else what each shows. A refused reading does not count beside one with an estimate.
    """
    soils: dict[object, list[ReadingRecord]] = {}
    for record in records:
        soil = record.sample_kind in ("", "sample") and record.reading is not None
        soils.setdefault(record.soil if soil else id(record), []).append(record)
    return [_row([one for one in of_one if one.estimates] or of_one, elements) for of_one in soils.values()]


def _row(records: Sequence[ReadingRecord], elements: Sequence[str]) -> dict[str, Any]:
    last = records[-1]
    shared = as_rows(last)[0]
    row: dict[str, Any] = {
        "readings": "; ".join(str(one.reading) for one in records if one.reading is not None),
        **{name: shared[name] for name in _SHARED},
        "flags": "; ".join(last.flags),
        "reason": last.reason,
        "water_index": last.water_index,
        "simulated": any(one.simulated or any(e.simulated for e in one.estimates) for one in records),
    }
    for element in elements:
        # Of a reading that was estimated again the last one: two models' answers are no two readings.
        latest = [{one.element: one for one in record.estimates}.get(element) for record in records]
        found = [one for one in latest if one is not None]
        said = _together(found) if found else {}
        row |= {f"{element}_{name}": said.get(name) for name in _OF_ELEMENT}
    refused = [f"{one.model}: {one.reason}" for one in refused_beside(last)]
    return row | {"reason": "; ".join(filter(None, (row["reason"], *refused)))}


def _together(found: Sequence[EstimateRecord]) -> dict[str, Any]:
    last = found[-1]
    said = {name: getattr(last, name) for name in _OF_ELEMENT} | {"flags": "; ".join(last.flags)}
    if len(found) == 1:
        return said
    values = [one.value for one in found if one.value is not None]
    usable = len(values) == len(found) and len({one.unit for one in found}) == 1
    mean = rounded(sum(values) / len(values)) if usable else None
    lows = [one.low for one in found if one.low is not None]
    highs = [one.high for one in found if one.high is not None]
    ends = [one.interval_shown for one in found]
    return said | {
        "shown": in_figures(mean) if mean is not None else "; ".join(one.shown for one in found),
        "value": mean,
        "trusted": usable,
        "untrusted_value": None,
        "below_critical_value": None,
        "low": min(lows) if usable and len(lows) == len(found) else None,
        "high": max(highs) if usable and len(highs) == len(found) else None,
        "interval_shown": "; ".join(ends),
        "bound": "; ".join(dict.fromkeys(filter(None, (one.bound for one in found)))),
        "verdict": "; ".join(dict.fromkeys(one.verdict for one in found)),
        "flags": "; ".join(dict.fromkeys([f"{len(found)} readings count", *(f for one in found for f in one.flags)])),
    }
