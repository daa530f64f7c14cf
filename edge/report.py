"""Results as people and programs read them: a table, JSON lines, or CSV."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from typing import Any, Literal, TextIO

from .errors import OutputError
from .log.write import Result
from .model.bundle import Bundle
from .model.estimate import Estimate, Refusal
from .model.target import Bound

Format = Literal["table", "jsonl", "csv"]

FIELDS = (
    "status",
    "sample_id",
    "measurement",
    "source",
    "measured_at",
    "element",
    "value",
    "unit",
    "bound",
    "detection_limit",
    "low",
    "high",
    "coverage",
    "points",
    "points_low",
    "points_high",
    "scatter_over_limit",
    "trusted",
    "verdict",
    "reason",
    "flags",
    "t2_over_limit",
    "q_over_limit",
    "simulated",
    "model",
    "model_sha256",
)
"""What stands in JSON lines and CSV, in this order; `status` is "estimate" or "refused"."""

BOUNDS: dict[Bound, str] = {
    ">": "above the calibrated range",
    "<": "below the calibrated range",
    "< LOD": "cannot be told from soil that holds none",
}
"""What a bound means, in words."""


class Report:
    """Writes results as they come. Counts what it has shown."""

    def __init__(self, out_format: Format, out: TextIO, bundle: Bundle) -> None:
        self._format = out_format
        self._out = out
        self._bundle = bundle
        self._widths: tuple[int, int, int] | None = None
        self._csv = csv.DictWriter(out, FIELDS, lineterminator="\n") if out_format == "csv" else None
        self.estimated = 0
        self.refused = 0
        self.outside = 0

    def show(self, results: Sequence[Result]) -> None:
        """Write some results and count them.

        Raises:
            OutputError: the output takes no more, as a file on a full disk.
            BrokenPipeError: its reader has gone.
        """
        for result in results:
            if isinstance(result.outcome, Refusal):
                self.refused += 1
            else:
                self.estimated += 1
                self.outside += not result.outcome.trusted
        try:
            if self._format == "table":
                self._show_table(results)
            else:
                self._show_records(results)
            self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"the output cannot be written: {error.strerror or error}; the results are in the log; free space, or "
                "send the output elsewhere"
            ) from error

    def summary(self) -> str:
        """One line on what was shown, for the end of a run."""
        line = f"{self.estimated} estimated, {self.refused} refused"
        if self.outside:
            line += f"; {self.outside} to be read with the remark: outside the calibration, a bound or scattered points"
        return line

    def _show_records(self, results: Sequence[Result]) -> None:
        if self._csv is not None and self.estimated + self.refused == len(results):
            self._csv.writeheader()
        for result in results:
            record = as_record(result.outcome, self._bundle)
            if self._csv is None:
                self._out.write(json.dumps(record, ensure_ascii=False) + "\n")
            else:
                self._csv.writerow(record | {"flags": "; ".join(record["flags"])})

    def _show_table(self, results: Sequence[Result]) -> None:
        if not results:
            return
        rows = [_table_row(r.outcome, self._bundle) for r in results]
        if self._widths is None:
            self._widths = (
                max(6, *(len(r[0]) for r in rows)),
                max(9, *(len(r[1]) for r in rows)),
                max(13, *(len(r[2]) for r in rows)),
            )
            self._out.write(table_heading(self._bundle, self._widths))
        sample, value, interval = self._widths
        for row in rows:
            self._out.write(f"{row[0]:<{sample}}  {row[1]:>{value}}  {row[2]:^{interval}}  {row[3]}".rstrip() + "\n")


def table_heading(bundle: Bundle, widths: tuple[int, int, int]) -> str:
    """Heading of the table, with the word simulated above it if the model deserves it."""
    sample, value, interval = widths
    title = f"{bundle.element} {bundle.unit}"
    cover = f"{100 * bundle.interval.coverage:g} % interval" if bundle.interval else "interval"
    note = ""
    if bundle.simulated:
        note = f"Model {bundle.name} was calibrated on SIMULATED soils: it says nothing about real ground.\n\n"
    return f"{note}{'sample':<{sample}}  {title:>{value}}  {cover:^{interval}}  verdict\n"


def _table_row(outcome: Estimate | Refusal, bundle: Bundle) -> tuple[str, str, str, str]:
    if isinstance(outcome, Refusal):
        return outcome.sample_id or os.path.basename(outcome.source), "refused", "", _refused_reason(outcome)
    name = outcome.sample_id if not outcome.measurement else f"{outcome.sample_id} {outcome.measurement}"
    value = shown_value(outcome.value, outcome.bound, outcome.verdict)
    interval = shown_interval(outcome.low, outcome.high, bundle.calibrated_range)
    verdict = {"inside": "inside calibration", "outside": "outside calibration", "unknown": "unknown"}[outcome.verdict]
    remarks = [f"{verdict}: {outcome.reason}" if outcome.reason else verdict]
    if outcome.bound:
        remarks.append(BOUNDS[outcome.bound])
    if outcome.points_low is not None and outcome.points_high is not None:
        remarks.append(f"points {in_figures(outcome.points_low)} - {in_figures(outcome.points_high)}")
    return name, value, interval, "; ".join([*remarks, *outcome.flags])


def shown_value(value: float | None, bound: str, verdict: str) -> str:
    """Write an estimate; outside the calibration it never stands bare, for somebody will copy just the number."""
    number = "" if bound == "< LOD" or value is None else in_figures(value)
    text = f"{bound} {number}".strip()
    return text if verdict == "inside" else f"({text})"


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


def _refused_reason(outcome: Refusal) -> str:
    # Reasons from a file reader begin with the file's name already.
    return outcome.reason if outcome.reason.startswith(outcome.source) else f"{outcome.source}: {outcome.reason}"


def in_figures(value: float) -> str:
    """Write a concentration with three significant figures and no exponent: 0.123, 12.3, 123, 1230."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):.0f}"
    text = f"{value:#.3g}"
    return (f"{value:.4f}" if "e" in text else text).rstrip(".")


def as_record(outcome: Estimate | Refusal, bundle: Bundle) -> dict[str, Any]:
    """Give an outcome as plain values under the names of `FIELDS`."""
    record: dict[str, Any] = dict.fromkeys(FIELDS)
    record |= {
        "sample_id": outcome.sample_id,
        "source": outcome.source,
        "reason": outcome.reason,
        "flags": [],
        "model": bundle.name,
        "model_sha256": bundle.sha256,
    }
    if isinstance(outcome, Refusal):
        return record | {"status": "refused", "trusted": False, "element": bundle.element}
    return record | {
        "status": "estimate",
        "measurement": outcome.measurement,
        "measured_at": outcome.measured_at.isoformat() if outcome.measured_at else None,
        "element": outcome.element,
        "value": None if outcome.bound == "< LOD" else _rounded(outcome.value),
        "unit": outcome.unit,
        "bound": outcome.bound,
        "detection_limit": _rounded(outcome.detection_limit),
        "low": _rounded(outcome.low),
        "high": _rounded(outcome.high),
        "coverage": outcome.coverage,
        "points": outcome.points,
        "points_low": _rounded(outcome.points_low),
        "points_high": _rounded(outcome.points_high),
        "scatter_over_limit": _rounded(outcome.scatter_over_limit),
        "trusted": outcome.trusted,
        "verdict": outcome.verdict,
        "flags": list(outcome.flags),
        "t2_over_limit": _rounded(outcome.t2_over_limit),
        "q_over_limit": _rounded(outcome.q_over_limit),
        "simulated": outcome.simulated,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
