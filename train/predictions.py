"""Results as data: what was answered for each sample, a line each, as CSV and as Parquet (docs/report.md).

The columns are the same for a training, a validation and an evaluation; what one of them does not know is empty.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from ..converters.spectra.files import write_whole
from ..converters.spectra.spectrum import Spectrum
from ..converters.spectra.text import for_spreadsheet
from ..edge.model.applicability import Applicability, assess
from ..edge.model.estimate import Estimate, Refusal
from ..edge.model.interval import interval
from ..edge.model.target import Bound, DetectionLevels, forward, not_detected, within_range
from ..edge.record import BOUNDS
from .crossval.validation import Validation
from .prepared import prepare
from .samples import Samples
from .training import Trained

Set = Literal["validation", "cross-validation", "evaluation"]
IN_UNIT = ("measured", "predicted", "low", "high")
"""Columns whose names end in the unit, such as measured_ppm."""


@dataclass(frozen=True)
class Prediction:
    """One answer beside the laboratory's value.

    Attributes:
        sample: its name.
        measured: by the laboratory, in the unit.
        predicted: likewise; None if the spectrum was refused.
        low, high: prediction interval; None without one.
        set: what the sample was to the model: held back in "validation", left out of a fold in "cross-validation", or
            given to a finished model in "evaluation".
        repeat: of a cross-validation, from 1.
        method: that answered; a bundle's name.
        group: that it was kept together with; "" without groups.
        condition: of the ground; "" if nobody said.
        verdict: "inside", "outside" or "unknown", whether its spectrum is like the calibration's; "refused"; "" where
            no model was made.
        flags: remarks, and the reason of a verdict or refusal; "; " between them.
        simulated: whether spectrum or model is.
    """

    sample: str
    measured: float
    predicted: float | None
    low: float | None
    high: float | None
    set: Set
    repeat: int
    method: str
    group: str
    condition: str
    verdict: str
    flags: str
    simulated: bool


def of_validation(validation: Validation, simulated: bool) -> list[Prediction]:
    """Give what every method of a validation answered for what it had not seen."""
    groups = validation.groups or ("",) * len(validation.samples)
    conditions = validation.conditions or ("",) * len(validation.samples)
    rows = list(zip(validation.samples, validation.measured, groups, conditions, strict=True))
    return [
        Prediction(
            sample, measured, value, None, None, "cross-validation", repeat, score.method, group, condition, "", "",
            simulated,
        )
        for score in validation.scores
        for repeat, predicted in enumerate(score.predicted, 1)
        for (sample, measured, group, condition), value in zip(rows, predicted, strict=True)
        if value is not None
    ]  # fmt: skip


def of_training(trained: Trained) -> list[Prediction]:
    """Give what the method answered for samples that had been left out, with the interval that the bundle would give.

    Interval and verdict come from the finished model, among whose statistics these very answers are.
    """
    spectra = trained.samples.rows(trained.options.replicates).spectra
    prepared = prepare(spectra, trained.recipe)
    judged = dict(zip(map(id, prepared.rows), assess(prepared, trained.domain), strict=True))
    name: Set = "validation" if trained.validation else "cross-validation"
    score = trained.comparison[trained.method.name]
    only = replace(trained.comparison, scores=(score,))
    of_row = [id(row) for repeat in score.predicted for row, v in zip(spectra, repeat, strict=True) if v is not None]
    answered = zip(of_validation(only, trained.samples.simulated), of_row, strict=True)
    levels = trained.bundle.levels
    return [_with_interval(replace(one, set=name), judged.get(row), trained, levels) for one, row in answered]


def _with_interval(
    one: Prediction, judged: Applicability | None, trained: Trained, levels: DetectionLevels
) -> Prediction:
    assert one.predicted is not None
    low = high = None
    if trained.interval is not None and judged is not None:
        z = forward(np.array([one.predicted]), trained.transform)
        ends = interval(z, trained.interval, judged.t2_over_limit, judged.q_over_limit)
        low, high = (float(within_range(end, trained.transform, trained.calibrated_range)[0]) for end in ends)
    lowest, highest = trained.calibrated_range
    bound: Bound = "<" if one.predicted <= lowest else ">" if one.predicted >= highest else ""
    if not_detected([one.predicted], [low], levels)[0]:
        # What cannot be told from nothing may be nothing.
        bound, low = "< LOD", lowest if low is not None else None
    flags = [judged.reason] if judged is not None and judged.reason else []
    flags += [BOUNDS[bound]] if bound else []
    verdict = judged.verdict if judged is not None else "unknown"
    return replace(one, low=low, high=high, verdict=verdict, flags="; ".join(flags))


def of_evaluation(
    model: str, answered: Iterable[tuple[Spectrum, Estimate | Refusal]], joined: Samples
) -> list[Prediction]:
    """Give a bundle's answers; what it refuses has a line with the reason.

    Args:
        model: its name.
        answered: spectra with values, and what it says of them.
        joined: where the values are.
    """
    found = []
    for row, answer in answered:
        one = Prediction(
            sample=row.sample_id,
            measured=joined.target[row.sample_id],
            predicted=None,
            low=None,
            high=None,
            set="evaluation",
            repeat=1,
            method=model,
            group=str((joined.groups or {}).get(row.sample_id, "")),
            condition=row.condition,
            verdict="refused",
            flags=answer.reason,
            simulated=row.simulated,
        )
        if isinstance(answer, Estimate):
            flags = "; ".join(filter(None, (answer.reason, BOUNDS.get(answer.bound), *answer.flags)))
            one = replace(
                one,
                predicted=answer.value,
                low=answer.low,
                high=answer.high,
                verdict=answer.verdict,
                flags=flags,
                simulated=answer.simulated,
            )
        found.append(one)
    return found


def beside(report: str | os.PathLike[str]) -> Path:
    """Name the predictions that stand beside a report, without their ending."""
    path = Path(report)
    return path.with_name(f"{path.stem}.predictions")


def write_predictions(path: str | os.PathLike[str], rows: Sequence[Prediction], element: str, unit: str) -> list[Path]:
    """Write rows as CSV and, where pyarrow is installed, as Parquet.

    Args:
        path: without an ending.
        rows: in the order that they are to have.
        element, unit: of the values.

    Returns:
        What was written.

    Raises:
        OSError: it cannot be.
    """
    names = {f.name: f"{f.name}_{unit}" if f.name in IN_UNIT else f.name for f in fields(Prediction)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names.values())
    for row in rows:
        cells = [getattr(row, name) for name in names]
        writer.writerow([for_spreadsheet(cell) if isinstance(cell, str) else cell for cell in cells])
    table = Path(f"{os.fspath(path)}.csv")
    write_whole(table, text.getvalue().encode())
    if find_spec("pyarrow") is None:
        return [table]
    return [table, _write_parquet(Path(f"{os.fspath(path)}.parquet"), rows, names, {"element": element, "unit": unit})]


def _write_parquet(path: Path, rows: Sequence[Prediction], names: dict[str, str], about: dict[str, str]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"repeat": pa.int64(), "simulated": pa.bool_(), **dict.fromkeys(IN_UNIT, pa.float64())}
    schema = pa.schema([(called, kinds.get(name, pa.string())) for name, called in names.items()], metadata=about)
    columns = [[getattr(row, name) for row in rows] for name in names]
    table = pa.table([pa.array(c, kind) for c, kind in zip(columns, schema.types, strict=True)], schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())
    return path
