"""What the probe has said of a sample: the latest usable estimate of each element in the log of readings."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LogError
from ..log import APPLICATION_ID, BUSY_S


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


def latest_estimates(
    log: Path, sample: str, elements: Iterable[str]
) -> tuple[dict[str, ProbeEstimate], tuple[str, ...]]:
    """Give the latest usable estimate of each element for a sample, and remarks on what was not used.

    An estimate outside its calibration, or whose model cannot tell, is not used; an older one that is usable is.

    Raises:
        LogError: the file is no log of readings, or cannot be read.
    """
    if not log.exists():
        return {}, (f"no log at {log}: nothing from the probe",)
    try:
        with closing(sqlite3.connect(f"{log.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as db:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                raise LogError(f"{log}: a database of another program; name the log of readings with --log")
            rows = db.execute(
                "SELECT e.id, e.element, e.unit, e.value, e.bound, e.low, e.high, e.coverage, m.name, e.simulated,"
                " e.verdict, e.reason, r.stored_at FROM estimates e JOIN readings r ON r.id = e.reading_id"
                " JOIN models m ON m.id = e.model_id WHERE r.sample_id = ? ORDER BY e.id DESC",
                (sample,),
            ).fetchall()
            refusal = db.execute(
                "SELECT reason, stored_at FROM refusals WHERE sample_id = ? ORDER BY id DESC LIMIT 1", (sample,)
            ).fetchone()
    except sqlite3.Error as error:
        raise LogError(f"{log}: the log cannot be read: {error}; name another with --log") from error
    wanted, found, remarks = set(elements), {}, []
    for element in sorted(wanted & {row[1] for row in rows}):
        for row in (row for row in rows if row[1] == element):
            verdict, reason = row[10], row[11]
            if verdict == "inside":
                found[element] = _estimate(row)
                break
            why = reason or ("outside its calibration" if verdict == "outside" else "its model cannot tell")
            remarks.append(f"an estimate of {element} is not used: {why}")
    newest = max((row[12] for row in rows), default="")
    if refusal is not None and refusal[1] > newest:
        remarks.append(f"the last measurement of {sample} was refused: {refusal[0]}")
    if not rows:
        remarks.append(f"no estimate of {sample} in the log")
    return found, tuple(remarks)


def _estimate(row: tuple[Any, ...]) -> ProbeEstimate:
    number, element, unit, value, bound, low, high, coverage, model, simulated = row[:10]
    return ProbeEstimate(number, element, unit, value, bound, low, high, coverage, model, bool(simulated))
