"""From a validation of several methods to what a report shows of it."""

from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np

from ...edge.units import shown_unit
from ..assays.files import AssayFiles
from ..crossval.metrics import Metrics, measure
from ..crossval.validation import MethodScore, Validation
from ..samples import Samples
from .contents import MetricsColumn, Predictions, ReportContents, in_words
from .gather import assay_parts, axes_for, cross_validated_set, spoken
from .importance_part import Progress


def validation_contents(
    validation: Validation,
    joined: Samples,
    assays: AssayFiles,
    progress: Progress = lambda what, done, of: None,
) -> ReportContents:
    """Gather the report of a validation.

    Args:
        validation: of any number of methods; the best by what the user decides by is marked.
        joined: spectra and values that it was done on.
        assays: laboratory values and their quality control; all elements are described.
        progress: called with what is being done, how much of it is done, and of how much.
    """
    best = validation.best().method
    sets, columns = [], []
    for score in validation.scores:
        found = cross_validated_set(validation, score.method)
        sets.append(replace(found, name=score.method))
        columns.append(MetricsColumn(score.method, validation.unit, over_repeats(validation, score)))
    # The page's large figures are those of the last column.
    columns.sort(key=lambda column: column.name == best)
    return ReportContents(
        title=f"{spoken(validation.name)} in soil: methods on the same folds",
        kind="validation",
        element=validation.name,
        unit=validation.unit,
        transform=axes_for("none", validation.measured),
        simulated=joined.simulated,
        facts=(
            ("property", f"{in_words(validation.name)}, in {shown_unit(validation.unit)}"),
            ("samples", str(len(set(validation.samples)))),
            ("folds", validation.folds),
            ("data", f"{assays.name}, SHA-256 {joined.sha256[:12]}…"),
            (f"best by {validation.decided_by}", best),
            ("date", datetime.date.today().isoformat()),
        ),
        metrics=tuple(columns),
        predictions=Predictions(tuple(sets)),
        baselines=validation,
        ours=best,
        **assay_parts(assays, joined.notes(None), progress),  # type: ignore[arg-type]
    )


def over_repeats(validation: Validation, score: MethodScore) -> Metrics:
    """Give a method's figures over all repeats together: the mean of several answers would look better than one."""
    said = np.array([[np.nan if v is None else v for v in repeat] for repeat in score.predicted], dtype=np.float64)
    tested = np.isfinite(said)
    measured = np.broadcast_to(np.asarray(validation.measured), said.shape)
    return replace(measure(said[tested], measured[tested]), n=int(tested.any(axis=0).sum()))
