"""Quantisation formats: every one that a network has, from small to large, and the smallest that rounds little."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..converters.models.apart import run_apart
from ..converters.models.errors import ConversionError, ParityError
from ..converters.models.parity import device_answers, trained_answers
from ..converters.spectra.spectrum import Floats
from ..edge.errors import BundleError
from ..edge.units import plain, shown_unit
from .crossval.metrics import rms
from .export import ConvertedRun, Exported, bundle_of, convert_run, finish
from .methods.registry import DEVICE_METHODS
from .methods.rounding import MOST_ADDED, added_by_rounding, grade_limits, rows_by_grade
from .run import TrainingRun, load_run


@dataclass(frozen=True)
class FormatResult:
    """One format.

    Attributes:
        format: int8, int16x8, dynamic, float16 or float32.
        bytes: of the network's file; 0 if it could not be made.
        added: RMSE added, as a share of the RMSE on unseen samples; None if this machine's runtime cannot run it.
        low_grade_added, middle_grade_added, high_grade_added: likewise, of the samples of a third of the grades.
        why_not: why it was not measured, in words; "" if it was.
    """

    format: str
    bytes: int
    added: float | None
    low_grade_added: float | None = None
    middle_grade_added: float | None = None
    high_grade_added: float | None = None
    why_not: str = ""

    @property
    def by_grade(self) -> tuple[float | None, ...]:
        """RMSE added at low, middle and high grade."""
        return self.low_grade_added, self.middle_grade_added, self.high_grade_added

    @property
    def within(self) -> bool:
        """True if it rounds little enough."""
        return self.added is not None and all(a is not None and a <= MOST_ADDED for a in self.by_grade)


@dataclass(frozen=True)
class QuantisationFormats:
    """All formats of one run.

    Attributes:
        results: from the smallest file to the largest.
        rmse, low_grade_rmse: of the trained model on unseen samples, in the unit.
        low_grade_up_to, middle_grade_up_to: highest grade of the lower and of the middle third.
        unit: of these.
    """

    results: tuple[FormatResult, ...]
    rmse: float
    low_grade_rmse: float
    low_grade_up_to: float
    middle_grade_up_to: float
    unit: str

    @property
    def chosen(self) -> str:
        """The smallest format within the limit; the last one if none is, which rounds least."""
        return next((result.format for result in self.results if result.within), self.results[-1].format)

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as JSON values."""
        record = asdict(self)
        return {"rungs": record.pop("results"), **record}

    def table(self) -> str:
        """Lay it out for people."""
        lines = [
            f"Quantisation: the smallest format that adds at most {100 * MOST_ADDED:g} % to the RMSE on unseen samples "
            f"({plain(self.rmse)} {shown_unit(self.unit)}; {plain(self.low_grade_rmse)} up to "
            f"{plain(self.low_grade_up_to)}), at low, middle (to {plain(self.middle_grade_up_to)}) and high grade too",
            "  format        size       added    at low grade      at middle        at high",
        ]
        for result in self.results:
            size = f"{result.bytes / 1024:.0f} KB" if result.bytes else "-"
            shares = (result.added, *result.by_grade)
            said = f"  {result.why_not}" if result.added is None else "".join(map(_percent, shares))
            taken = "   taken" if result.format == self.chosen else ""
            lines.append(f"  {result.format:<8}{size:>10}{said}{taken}")
        return "\n".join(lines)


def export_smallest(run: TrainingRun) -> tuple[QuantisationFormats, Exported]:
    """Export a run in the smallest format that adds next to nothing to its errors; see `compare_formats`.

    Whether it answers as the trained model did is for the caller to check (`parity.check_parity`) before it is written.
    """
    formats, converted = compare_formats(run)
    chosen = formats.chosen
    return formats, finish(run, bundle_of(run, converted.models[chosen], chosen), converted)


def compare_formats(run: TrainingRun) -> tuple[QuantisationFormats, ConvertedRun]:
    """Convert a run's network to every format it has, and measure what each adds.

    What a format adds is what its differences from the trained network add to that network's error on unseen samples,
    as two errors that do not depend on each other: sqrt(RMSE^2 + difference^2). Where the spectra at hand are unseen
    ones the error is also taken directly, and the larger of both counts: that a rounding hits the truth by chance is no
    merit.

    Raises:
        ConversionError: not even float32 could be made.
    """
    formats = DEVICE_METHODS[run.method].formats
    converted, failed = _convert(run, formats)
    measured, errors = run.out_of_fold_measured, _rms_of_columns(run.out_of_fold - run.out_of_fold_measured)
    limits = grade_limits(measured)
    # All grades, then each third of them: of the samples left out, and of the rows that an export is held against.
    of_errors, of_rows = (
        [np.ones(values.size, dtype=bool), *rows_by_grade(values, limits)]
        for values in (measured, run.held_out_measured)
    )
    results = []
    for name in formats:
        if name in failed:
            results.append(FormatResult(name, 0, None, why_not=failed[name]))
            continue
        bundle = bundle_of(run, converted.models[name], name)
        try:
            device = device_answers(bundle, converted.prepared.rows)
        except (BundleError, ParityError) as error:
            results.append(FormatResult(name, len(bundle.model), None, why_not=_short(str(error))))
            continue
        trained = trained_answers(bundle, converted.answers)
        added, low, middle, high = (
            _added(device[rows], trained[rows], run.held_out_measured[rows], errors[samples], run.validated)
            for samples, rows in zip(of_errors, of_rows, strict=True)
        )
        results.append(FormatResult(name, len(bundle.model), added, low, middle, high))
    results.sort(key=lambda result: (result.bytes or 0, formats.index(result.format)))
    rmse, low_rmse = rms(errors), rms(errors[of_errors[1]])
    return QuantisationFormats(tuple(results), rmse, low_rmse, *limits, run.bundle.unit), converted


def compare_formats_apart(folder: str | os.PathLike[str]) -> QuantisationFormats:
    """Compare them in a process of its own: where TensorFlow was imported, no TFLite interpreter can be built any more.

    Raises:
        ConversionError: it failed; the message is the last line it wrote.
    """
    folder = os.fspath(folder)
    printed = run_apart(__name__, (folder,), folder)
    said = json.loads(printed.splitlines()[-1])
    return QuantisationFormats(**{**said, "results": tuple(FormatResult(**result) for result in said["results"])})


def _convert(run: TrainingRun, formats: Sequence[str]) -> tuple[ConvertedRun, dict[str, str]]:
    try:
        return convert_run(run, formats), {}
    except ConversionError:
        # One of them is at fault: find it without losing the rest.
        models, failed, last = {}, {}, None
        for name in formats:
            try:
                last = convert_run(run, (name,))
                models[name] = last.models[name]
            except ConversionError as error:
                failed[name] = _short(str(error))
        if last is None:
            raise
        return ConvertedRun(models, last.prepared, last.answers), failed


def _added(device: Floats, trained: Floats, measured: Floats, errors: Floats, unseen: bool) -> float:
    as_independent = added_by_rounding(device - trained, errors)
    if not unseen or not device.size:
        return as_independent
    before = max(rms(trained - measured), float(np.finfo(np.float64).tiny))
    return max(as_independent, rms(device - measured) / before - 1)


def _percent(share: float | None) -> str:
    return f"{100 * (share or 0.0):>10.3g} %".rjust(15)


def _rms_of_columns(errors: Floats) -> Floats:
    """Give (n,) root mean square over repeats; a column that is all not a number does not occur."""
    return np.asarray(np.sqrt(np.nanmean(errors**2, axis=0)))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:87]}..."


if __name__ == "__main__":
    print(json.dumps(asdict(compare_formats(load_run(sys.argv[1]))[0])))
