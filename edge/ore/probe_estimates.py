"""What the probe has said of a sample: the latest usable estimate of each element in the log of readings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..log.corrections import COUNTS, SAMPLE_ID, soil_of
from ..log.read import open_for_reading
from ..model.estimate import within_limits
from ..units import conversion

_SOILS = ("sample", "duplicate")

# As corrected: under the name that a reading has now, and only if it counts.
_ESTIMATES = (
    "SELECT e.id, e.element, e.unit, e.value, e.bound, e.low, e.high, e.coverage, m.name, e.simulated,"
    " m.calibrated_low, m.calibrated_high, e.verdict, e.reason, r.sample_kind, r.id, r.stored_at,"
    " e.scatter_over_limit, e.movement_over_limit"
    " FROM readings r JOIN estimates e ON e.reading_id = r.id JOIN models m ON m.id = e.model_id"
    f" WHERE {SAMPLE_ID} = ? AND {COUNTS} ORDER BY r.id DESC, e.id DESC"
)
_LAST_REFUSAL = (
    "SELECT f.reason FROM refusals f LEFT JOIN readings r ON r.id = f.reading_id"
    f" WHERE CASE WHEN r.id IS NULL THEN f.sample_id ELSE {SAMPLE_ID} END = ?1 AND (r.id IS NULL OR {COUNTS})"
    " AND CASE WHEN r.id IS NOT NULL THEN r.id > ?2 WHEN f.after_reading IS NOT NULL THEN f.after_reading >= ?2"
    " ELSE f.stored_at > ?3 END ORDER BY f.id DESC LIMIT 1"
)


@dataclass(frozen=True)
class ProbeEstimate:
    """One estimate of the log.

    Attributes:
        id: its row in the log.
        element, unit: such as As, ppm.
        value: within the calibrated range of the probe's model.
        bound: "", "<", ">" or "< LOD", as of `estimate.Estimate`.
        low, high: prediction interval; None if its model gives none.
        coverage: of the interval.
        model: name of the probe's model.
        simulated: True if that model or the spectrum is simulated.
        open_below, open_above: True if that end of the interval was cut off at the calibrated range, and says nothing.
    """

    id: int
    element: str
    unit: str
    value: float
    bound: str
    low: float | None
    high: float | None
    coverage: float | None
    model: str
    simulated: bool
    open_below: bool
    open_above: bool

    def in_unit(self, unit: str) -> ProbeEstimate:
        """Give the estimate in another unit. Raises ValueError where there is no way from one to the other."""
        times = conversion(self.unit, unit)
        low, high = (None if end is None else times * end for end in (self.low, self.high))
        return replace(self, unit=unit, value=times * self.value, low=low, high=high)


def latest_estimates(
    log: Path, sample: str, elements: Iterable[str]
) -> tuple[dict[str, ProbeEstimate], tuple[str, ...]]:
    """Give the latest usable estimate of each element for a sample, and remarks on what was not used.

    The latest is that of the newest reading, and of that the one made last. Corrections are heeded. An estimate
    outside its calibration, or whose model cannot tell, is not used; an older one that is usable is. Nor is one of a
    blank or a reference soil.

    Raises:
        LogError: the file is no log of readings, or cannot be read.
    """
    if not log.exists():
        return {}, (f"no log at {log}: nothing from the probe",)
    with open_for_reading(log) as db:
        rows = db.execute(_ESTIMATES, (sample,)).fetchall()
        soils = {number: soil_of(db, number) for number in {row[15] for row in rows}}
        newest = (rows[0][15], rows[0][16]) if rows else (0, "")
        refusal = db.execute(_LAST_REFUSAL, (sample, *newest)).fetchone()
    found: dict[str, ProbeEstimate] = {}
    remarks = []
    # Equal names of two sessions are two soils, and no block is made of both.
    here = [row for row in rows if soils[row[15]] == soils[newest[0]]]
    if len(here) < len(rows):
        remarks.append(f"{sample} is in several sessions: the last one counts, as they may be of different soils")
    rows = here
    for element in sorted(set(elements) & {row[1] for row in rows}):
        for row in (row for row in rows if row[1] == element):
            has_interval, unsteady = row[5] is not None, not within_limits(*row[17:19])
            why = _why_not(*row[12:15]) or ("its points scatter, or it is unstable" * (unsteady and not has_interval))
            if not why:
                found[element] = _estimate(row)
                if unsteady:
                    remarks.append(
                        f"the probe's {element} is to be read with care: its points scatter, or it is unstable"
                    )
                break
            remarks.append(f"an estimate of {element} is not used: {why}")
    if refusal is not None:
        remarks.append(f"the last measurement of {sample} was refused: {refusal[0]}")
    if not rows:
        remarks.append(f"no estimate of {sample} in the log")
    return found, tuple(remarks)


def _why_not(verdict: str, reason: str, sample_kind: str) -> str:
    if sample_kind not in _SOILS:
        return f"it is of a {sample_kind}"
    if verdict == "inside":
        return ""
    return reason or ("outside its calibration" if verdict == "outside" else "its model cannot tell")


def _estimate(row: tuple[Any, ...]) -> ProbeEstimate:
    number, element, unit, value, bound, low, high, coverage, model, simulated, lowest, highest = row[:12]
    return ProbeEstimate(
        id=number,
        element=element,
        unit=unit,
        value=value,
        bound=bound,
        low=low,
        high=high,
        coverage=coverage,
        model=model,
        simulated=bool(simulated),
        open_below=low is not None and lowest is not None and low <= lowest,
        open_above=high is not None and highest is not None and high >= highest,
    )
