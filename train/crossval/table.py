"""A validation as a table for the terminal."""

from __future__ import annotations

import csv
from typing import TextIO

from ...converters.spectra.spectrum import CONDITIONS
from ...edge.units import shown_unit
from ..terminal import columns
from .metrics import FIGURES, Metrics
from .validation import R2_LOG10, Spread, Validation

ROWS = (*FIGURES, ("R2 of log10", R2_LOG10, 3))


def rows_of(validation: Validation) -> tuple[tuple[str, str, int], ...]:
    """Give label, name and digits of the figures that a validation has: R2 of log10 only of skewed values."""
    return tuple(
        row
        for row in ROWS
        if row[1] != R2_LOG10 or any(score.metrics[R2_LOG10].mean is not None for score in validation.scores)
    )


def validation_table(validation: Validation) -> str:
    """Lay methods out side by side: figures over all grades, then RMSE and bias by class of grade.

    Each cell is the mean and, where there are several repeats, the standard deviation over them.
    """
    scores = validation.scores
    rows = [(label, *(_cell(s.metrics[key], digits) for s in scores)) for label, key, digits in rows_of(validation)]
    for label, key in (("RMSE", "rmse"), ("bias", "bias")):
        for i, of_class in enumerate(scores[0].by_class):
            cells = (_cell(getattr(score.by_class[i], key), 0) for score in scores)
            rows.append((f"{label} {of_class.words()} (n {of_class.n})", *cells))
    for condition in (one for one in (*CONDITIONS, "") if one in validation.conditions):
        name = condition or "ground not said"
        found = [validation.of_condition(condition, score.method) for score in scores]
        rows.append((f"R2 {name} (n {validation.conditions.count(condition)})", *(_one(m, "r2", ".3f") for m in found)))
        rows.append((f"bias {name}", *(_one(m, "bias", ".3g") for m in found)))
    unit = f" ({shown_unit(validation.unit)})" if validation.unit else ""
    counted = f"{len(validation.measured)} rows"
    tested = sum(of_class.n for of_class in scores[0].by_class)
    if tested < len(validation.measured):
        counted += f", {tested} of them predicted"
    table = columns(("", *(score.method for score in scores)), rows, between=3)
    return f"{validation.name}{unit}, {counted}: {validation.folds}\n\n{table}{remarks(validation)}"


def remarks(validation: Validation) -> str:
    """Say below a table which methods are the best, and which are no better than the mean; "" where nothing is."""
    return "".join(f"\n\n{line}" for line in (best_three(validation), no_better(validation)) if line)


def no_better(validation: Validation) -> str:
    """Name the methods whose R2 is not above zero, as the mean's; "" where there are none."""
    found = [
        f"{s.method} {s.metrics['r2'].mean:.2f}"
        for s in validation.scores
        if s.metrics["r2"].mean is not None and s.metrics["r2"].mean <= 0
    ]
    of_logarithms = any((s.metrics[R2_LOG10].mean or 0.0) > 0 for s in validation.scores)
    unit = shown_unit(validation.unit) or "its unit"
    return (
        f"R2 not above zero: {', '.join(found)}. In {unit} the mean of the samples would have been as good an "
        f"answer{'; R2 of log10 says whether orders of magnitude are told' if of_logarithms else ''}."
        if found
        else ""
    )


def best_three(validation: Validation) -> str:
    """Name the three best of more methods; "" where there are no more."""
    left = [score.method for score in validation.scores]
    best: list[str] = []
    while left and len(best) < 3:
        best.append(validation.best(left).method)
        left.remove(best[-1])
    return f"The best three, by {validation.decided_by}: {', '.join(best)}" if left else ""


def _one(metrics: Metrics | None, key: str, digits: str) -> str:
    value = None if metrics is None else getattr(metrics, key)
    return "-" if value is None else f"{value:{digits}}"


def write_csv(validation: Validation, simulated: bool, out: TextIO, header: bool = True) -> None:
    """Write a figure a line: over all grades, and RMSE and bias by class of grade.

    Args:
        validation: of one element; `header` is for the first of several.
        simulated: whether any of its spectra is.
        out: where to.
        header: whether the columns' names come first.
    """
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(
            ("element", "unit", "folds", "method", "low", "high", "n", "figure", "mean", "sd", "repeats", "simulated")
        )
    head = (validation.name, validation.unit, validation.folds)
    for score in validation.scores:
        tested = sum(of_class.n for of_class in score.by_class)
        lines: list[tuple[float | None, float | None, int, str, Spread]] = [
            (None, None, tested, key, score.metrics[key]) for _, key, _ in rows_of(validation)
        ]
        for c in score.by_class:
            lines += [(c.low, c.high, c.n, "rmse", c.rmse), (c.low, c.high, c.n, "bias", c.bias)]
        for low, high, n, figure, spread in lines:
            writer.writerow(
                (*head, score.method, low, high, n, figure, spread.mean, spread.sd, len(spread.values), simulated)
            )


def comparison_table(validation: Validation) -> str:
    """Lay the figures over all grades out, a method a line."""
    figures = rows_of(validation)
    rows = [
        (score.method, *(_cell(score.metrics[key], digits) for _, key, digits in figures))
        for score in validation.scores
    ]
    table = columns(("", *(label for label, _, _ in figures)), rows, between=3)
    return f"On the same folds ({validation.folds}):\n{table}{remarks(validation)}"


def _cell(spread: Spread, digits: int) -> str:
    """Write mean ± sd with fixed decimals, or with significant digits where `digits` is 0."""
    if spread.mean is None:
        return "-"
    mean, sd = (f".{digits}f", f".{digits}f") if digits else (".3g", ".2g")
    return f"{spread.mean:{mean}}" + ("" if spread.sd is None else f" ± {spread.sd:{sd}}")
