"""Readings as people see them: the table of `predict`, `watch`, `listen` and `log`, and the lines of `measure`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from ..errors import OutputError
from ..log.columns import StoredModel
from ..log.records import record_of
from ..record import (
    BOUNDS,
    FLAT_NAMES,
    EstimateRecord,
    ReadingRecord,
    as_json,
    as_rows,
    in_figures,
    refused_beside,
    told,
)
from ..units import shown_unit
from .output import Layout, Output

if TYPE_CHECKING:
    from ..log.write import Result
    from ..model.bundle import Bundle

VERDICTS = {"inside": "inside calibration", "outside": "outside calibration", "unknown": "verdict unknown"}


class Readings:
    """Writes results, and counts them.

    Args:
        out_format: see `Output`.
        bundles: the models, that of the log first.
        out: where to; standard output if it is not said.
    """

    def __init__(self, out_format: str, bundles: Sequence[Bundle], out: TextIO | None = None) -> None:
        bundle, *more = bundles
        self._model = StoredModel(bundle.sha256, bundle.name, *bundle.calibrated_range)
        cover = f"{100 * bundle.interval.coverage:g} % interval" if bundle.interval else "interval"
        titles = {"sample": "sample", "estimate": f"{bundle.element} {shown_unit(bundle.unit)}", "interval": cover}
        if more:
            titles = {"sample": "sample", "element": "", "estimate": "estimate", "interval": "interval"}
        heading = " ".join(one.heading for one in bundles)
        layout = reading_layout({**titles, "verdict": "verdict"}, heading)
        self._output = Output(out_format, layout, out)
        self.estimated = self.refused = self.remarked = 0

    def show(self, results: Sequence[Result]) -> None:
        """Write some results and count them.

        Raises:
            OutputError: the output takes no more, as a file on a full disk.
            BrokenPipeError: its reader has gone.
        """
        records = [record_of(result, self._model) for result in results]
        for record in records:
            self.refused += not record.estimates
            self.estimated += bool(record.estimates)
            self.remarked += any(one.bound or one.shown.startswith("(") for one in record.estimates)
        try:
            self._output.write(records)
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
        if not self.remarked:
            return line
        return (
            f"{line}; {self.remarked} to be read with the remark: outside the calibration, a bound or scattered points"
        )


Column = Callable[[ReadingRecord, EstimateRecord | None], str]
"""Text of a table's cell for an estimate of a reading; None stands for a reading that was refused."""

COLUMNS: dict[str, Column] = {
    "reading": lambda record, _: str(record.reading or "-"),
    "stored": lambda record, _: local(record.corrected_at or record.stored_at) if record.stored_at else "",
    "sample": lambda record, _: sample_name(record),
    "element": lambda _, one: f"{one.element} {shown_unit(one.unit)}" if one else "",
    "estimate": lambda _, one: one.shown if one else "refused",
    "interval": lambda _, one: (one.interval_shown or "-") if one else "",
    "model": lambda record, one: one.model if one else record.refusals[-1].model,
    "verdict": lambda record, one: "; ".join(remarks(record, one)) if one else refused_reason(record),
    "corrections": lambda record, _: "; ".join(one.text for one in record.corrections),
}
_RIGHT = ("reading", "estimate")


def reading_layout(titles: Mapping[str, str], note: str = "") -> Layout[ReadingRecord]:
    """Lay readings out; `titles` names columns of the table out of `COLUMNS`, with their headings."""
    columns = [COLUMNS[name] for name in titles]

    def cells(record: ReadingRecord) -> Iterator[list[str]]:
        for one in record.estimates or (None,):
            yield [column(record, one) for column in columns]
        for refusal in refused_beside(record):
            alone = record._replace(estimates=(), refusals=(refusal,), reason=f"{refusal.model}: {refusal.reason}")
            yield [column(alone, None) for column in columns]

    right = [number for number, name in enumerate(titles) if name in _RIGHT]
    return Layout(as_json, list(FLAT_NAMES), as_rows, list(titles.values()), cells, right, note=note, line=one_line)


def remarks(record: ReadingRecord, one: EstimateRecord) -> list[str]:
    """Say in words what is to be known beside the number, the verdict first."""
    verdict = VERDICTS[one.verdict]
    said = [f"{verdict}: {one.reason}" if one.reason else verdict]
    if one.bound:
        said.append(BOUNDS[one.bound])
    if one.points_low is not None and one.points_high is not None:
        said.append(f"points {in_figures(one.points_low)} - {in_figures(one.points_high)}")
    if one.water_index is not None:
        said.append(f"water index {round(one.water_index, 1) + 0.0:.1f}")  # -0.0 + 0.0 is 0.0
    said += dict.fromkeys((*one.flags, *record.flags))
    if one.simulated and not any("simulated" in remark for remark in said):
        said.append("simulated")
    return said


def refused_reason(record: ReadingRecord) -> str:
    """Say why a reading was refused, with its file where nothing could be read of it."""
    # Reasons from a file reader begin with the file's name already.
    named = record.reading is not None or record.reason.startswith(record.source)
    reason = record.reason if named else f"{record.source}: {record.reason}"
    return f"{reason} (simulated spectrum)" if record.simulated else reason


def sample_name(record: ReadingRecord) -> str:
    """Name a sample with its measurement, and what it is if it is no plain sample."""
    name = f"{record.sample_id or os.path.basename(record.source)} {record.measurement}".strip()
    if record.sample_kind in ("", "sample"):
        return name
    return f"{name} ({record.sample_kind}{' of ' + record.duplicate_of if record.duplicate_of else ''})"


def short_lines(record: ReadingRecord) -> Iterator[str]:
    """Give a reading in short lines, the sample with its value first."""
    if not record.estimates:
        yield f"{sample_name(record)} REFUSED"
        yield refused_reason(record)
    for one in record.estimates:
        yield f"{sample_name(record)} {told(one)}"
        if one.interval_shown and one.coverage is not None:
            yield f"{100 * one.coverage:g} %: {one.interval_shown} {shown_unit(one.unit)}"
        # What the first line says already is not said again.
        yield from (words for words in remarks(record, one) if one.bound != "< LOD" or words != BOUNDS[one.bound])
    for refusal in refused_beside(record):
        yield f"{sample_name(record)} {refusal.model} REFUSED"
        yield refusal.reason


def one_line(record: ReadingRecord) -> str:
    """Give a reading in one line, as a journal shows it."""
    first, *rest = short_lines(record)
    return f"{first}; {'; '.join(rest)}"


def local(stored_at: str) -> str:
    """Write a time of the log in this device's time zone, to the minute."""
    return datetime.fromisoformat(stored_at).astimezone().strftime("%Y-%m-%d %H:%M")
