"""From a validation of several methods to the parts of a report that show it."""

from __future__ import annotations

import numpy as np

from ..crossval.validation import R2_LOG10, MethodScore, Validation
from ..crossval.validation import Spread as OverRepeats
from .contents import BaselineComparison, BaselineRow, PredictedSet, Spread

OF_LOG10 = "R2 of log10"
SHOWN = (
    ("R2", "r2"),
    (OF_LOG10, R2_LOG10),
    ("RMSE", "rmse"),
    ("bias", "bias"),
    ("RPD", "rpd"),
    ("RPIQ", "rpiq"),
    ("concordance", "concordance"),
)
MOST_CHOICES = 3
LONG_CHOICE = 80


def compare_methods(validation: Validation, ours: str | None = None) -> BaselineComparison:
    """Show how methods did on the same folds.

    Args:
        validation: of any number of methods.
        ours: name of the method whose model the report is about.
    """
    rows = []
    for score in validation.scores:
        figures = {}
        for label, key in SHOWN:
            spread = score.metrics[key]
            if spread.mean is not None:
                values = tuple(v for v in spread.values if v is not None)
                figures[label] = Spread(spread.mean, spread.sd, values if len(values) > 1 else ())
        rows.append(BaselineRow(score.method, figures, score.method == ours, _choices(score)))
    plotted = OF_LOG10 if all(OF_LOG10 in row.figures for row in rows) else "R2"
    return BaselineComparison(tuple(rows), f"{validation.folds}.", plotted, classes=_classes(validation))


def _classes(
    validation: Validation,
) -> tuple[tuple[str, int, tuple[tuple[Spread | None, Spread | None], ...]], ...]:
    """Give the error by class of grade, method beside method; all have the same classes."""
    found = []
    for of_class in zip(*(score.by_class for score in validation.scores), strict=True):
        errors = tuple((_spread(c.rmse), _spread(c.bias)) for c in of_class)
        found.append((of_class[0].words(), of_class[0].n, errors))
    return tuple(found)


def _spread(found: OverRepeats) -> Spread | None:
    if found.mean is None:
        return None
    return Spread(found.mean, found.sd, tuple(v for v in found.values if v is not None))


def _choices(score: MethodScore) -> str:
    counts: dict[str, int] = {}
    for choice in (choice for repeat in score.chosen for choice in repeat if choice):
        counts[choice] = counts.get(choice, 0) + 1
    often = sorted(counts, key=lambda choice: -counts[choice])
    # One long choice says as much as three: the others differ in small numbers.
    shown = often[: 1 if often and len(often[0]) > LONG_CHOICE else MOST_CHOICES]
    text = "; ".join(f"{choice} ({counts[choice]}×)" for choice in shown)
    return text + ("; ..." if len(often) > len(shown) else "")


def cross_validated_set(validation: Validation, method: str) -> PredictedSet:
    """Show what one method said of rows that it had not seen, the mean over repeats where there are several.

    Raises:
        KeyError: there is no such method.
    """
    score = validation[method]
    predicted = np.array([[np.nan if v is None else v for v in repeat] for repeat in score.predicted], dtype=np.float64)
    tested = np.isfinite(predicted).any(axis=0)
    repeats = len(score.predicted)
    return PredictedSet(
        name="cross-validation",
        samples=tuple(name for name, yes in zip(validation.samples, tested, strict=True) if yes),
        measured=np.asarray(validation.measured, dtype=np.float64)[tested],
        predicted=np.nanmean(predicted[:, tested], axis=0),
        note=f"Each estimated by a fit without it, method: {method}"
        + (f"; mean of {repeats} repeats." if repeats > 1 else "."),
    )
