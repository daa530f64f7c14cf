"""Quantisation formats: every one that a network has, from small to large, and the smallest that rounds little."""

from __future__ import annotations

import json
import os
import re
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
from .export import ConvertedRun, bundle_of, convert_run
from .methods.registry import DEVICE_METHODS
from .run import TrainingRun, load_run

LIMIT = 0.01
"""Share of the cross-validated RMSE that a format may add, over all grades and at low grade alone."""


@dataclass(frozen=True)
class FormatResult:
    """One format.

    Attributes:
        format: int8, int16x8, dynamic, float16 or float32.
        bytes: of the network's file; 0 if it could not be made.
        added, low_grade_added: RMSE added, as a share of the RMSE on unseen samples of all grades, and of the lowest
            third; None if this machine's runtime cannot run it.
        why_not: why it was not measured, in words; "" if it was.
    """

    format: str
    bytes: int
    added: float | None
    low_grade_added: float | None
    why_not: str = ""

    @property
    def within(self) -> bool:
        """True if it rounds little enough."""
        return (
            self.added is not None
            and self.low_grade_added is not None
            and max(self.added, self.low_grade_added) <= LIMIT
        )


@dataclass(frozen=True)
class QuantisationFormats:
    """All formats of one run.

    Attributes:
        results: from the smallest file to the largest.
        rmse, low_grade_rmse: of the trained model on unseen samples, in the unit.
        low_grade_up_to: highest grade of the lowest third.
        unit: of these.
    """

    results: tuple[FormatResult, ...]
    rmse: float
    low_grade_rmse: float
    low_grade_up_to: float
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
            f"Quantisation: the smallest format that adds at most {100 * LIMIT:g} % to the RMSE on unseen samples "
            f"({self.rmse:.4g} {self.unit}; {self.low_grade_rmse:.4g} up to {self.low_grade_up_to:.4g})",
            "  format        size      added   at low grade",
        ]
        for result in self.results:
            size = f"{result.bytes / 1024:.0f} KB" if result.bytes else "-"
            if result.added is None or result.low_grade_added is None:
                said = f"  {result.why_not}"
            else:
                said = f"{100 * result.added:>9.3g} %{100 * result.low_grade_added:>13.3g} %"
            taken = "   taken" if result.format == self.chosen else ""
            lines.append(f"  {result.format:<8}{size:>10}{said}{taken}")
        return "\n".join(lines)


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
    errors = _rms_of_columns(run.out_of_fold - run.out_of_fold_measured)
    low_up_to = float(np.quantile(run.out_of_fold_measured, 1 / 3))
    rmse = _rms(errors)
    low_rmse = _rms(errors[run.out_of_fold_measured <= low_up_to])
    low_rows = run.held_out_measured <= low_up_to
    results = []
    for name in formats:
        if name in failed:
            results.append(FormatResult(name, 0, None, None, failed[name]))
            continue
        bundle = bundle_of(run, converted.models[name], name)
        try:
            device = device_answers(bundle, converted.prepared.rows)
        except (BundleError, ParityError) as error:
            results.append(FormatResult(name, len(bundle.model), None, None, _short(str(error))))
            continue
        trained = trained_answers(bundle, converted.answers)
        added = [
            _added(device[rows], trained[rows], run.held_out_measured[rows], of, run.validated)
            for rows, of in ((np.ones(len(device), dtype=bool), rmse), (low_rows, low_rmse))
        ]
        results.append(FormatResult(name, len(bundle.model), added[0], added[1]))
    results.sort(key=lambda result: (result.bytes or 0, formats.index(result.format)))
    return QuantisationFormats(tuple(results), rmse, low_rmse, low_up_to, run.bundle.unit), converted


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


def _added(device: Floats, trained: Floats, measured: Floats, rmse: float, unseen: bool) -> float:
    if not device.size or rmse <= 0:
        return 0.0 if np.array_equal(device, trained) else float("inf")
    as_independent = float(np.hypot(rmse, _rms(device - trained)) / rmse - 1)
    if not unseen:
        return as_independent
    before = max(_rms(trained - measured), float(np.finfo(np.float64).tiny))
    return max(as_independent, _rms(device - measured) / before - 1)


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _rms_of_columns(errors: Floats) -> Floats:
    """Give (n,) root mean square over repeats; a column that is all not a number does not occur."""
    return np.asarray(np.sqrt(np.nanmean(errors**2, axis=0)))


def _short(text: str) -> str:
    missing = re.search(r"Didn't find op for builtin opcode '(\w+)'", text)
    if missing:
        return f"the TFLite runtime here has no {missing[1]} in this format"
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:87]}..."


if __name__ == "__main__":
    print(json.dumps(asdict(compare_formats(load_run(sys.argv[1]))[0])))
