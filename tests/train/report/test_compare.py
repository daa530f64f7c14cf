"""A validation as a comparison with baselines and as a set of predictions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stibium.train.crossval.metrics import measure
from stibium.train.crossval.validation import METRICS, R2_LOG10, ClassError, MethodScore, Spread, Validation
from stibium.train.report.figures import Look, plotted_merit
from stibium.train.report.gather import axes_for, cross_validated_set
from stibium.train.report.tables import choices, class_table, merits_table

CLAY = Look("clay", "%", "none", False)

MEASURED = (1.0, 4.0, 9.0, 16.0)


def a_score(name: str, *repeats: tuple[float | None, ...]) -> MethodScore:
    tested = [[(p, y) for p, y in zip(r, MEASURED, strict=True) if p is not None] for r in repeats]
    found = [measure(*map(list, zip(*pairs, strict=True))) for pairs in tested]
    metrics = {key: Spread.of([getattr(m, key) for m in found]) for key in METRICS} | {R2_LOG10: Spread.of([None])}
    high = ClassError(9.0, None, 2, Spread.of([1.0, 3.0]), Spread.of([None, -1.0]))
    return MethodScore(name, repeats, metrics, (high,), (("7 components", "9 components"), ("7 components", "")), 1.0)


def a_validation() -> Validation:
    return Validation(
        folds="2 folds, 2 repeats",
        name="clay",
        unit="pct",
        samples=("A", "B", "C", "D"),
        groups=None,
        measured=MEASURED,
        scores=(
            a_score("plsr", (2.0, 4.0, 8.0, None), (4.0, 5.0, 8.0, None)),
            a_score("network", (1.0, 4.0, 9.0, 15.0), (1.0, 5.0, 9.0, 16.0)),
        ),
    )


def test_each_method_is_a_row_with_its_spread_and_choices() -> None:
    validation = a_validation()
    table = merits_table(validation, "network", CLAY)
    assert [row[0] for row in table.rows] == ["plsr", "network"]
    assert table.strong == [1]
    assert table.rows[1][table.header.index("RMSE (%)")] == "0.5 ± 0"
    assert choices(validation["plsr"]) == "7 components (2×); 9 components (1×)"


def test_predictions_are_means_over_repeats_of_the_rows_that_were_tested() -> None:
    plsr = cross_validated_set(a_validation(), "plsr")
    assert plsr.samples == ("A", "B", "C")
    assert plsr.predicted == pytest.approx([3.0, 4.5, 8.0])
    assert plsr.measured == pytest.approx(MEASURED[:3])
    assert "mean of 2 repeats" in plsr.note
    with pytest.raises(KeyError):
        cross_validated_set(a_validation(), "forest")


def test_errors_by_grade_keep_their_spread() -> None:
    table = class_table(a_validation(), CLAY)
    assert table is not None
    assert table.rows[0] == ("from 9", "2", "plsr", "2 ± 1.4", "−1")
    assert table.rows[1][:3] == ("", "", "network"), "a class is named once"


def test_grades_over_decades_get_logarithmic_axes() -> None:
    assert axes_for("none", [6.0, 20.0, 70.0, 210.0, 3800.0]) == "log10"
    assert axes_for("none", [0.0, 20.0, 70.0, 210.0, 3800.0]) == "none", "0 has no logarithm"
    assert axes_for("none", [5.0, 19.0, 73.0]) == "none"
    assert axes_for("sqrt", [6.0, 20.0, 70.0, 210.0, 3800.0]) == "sqrt"


def test_logarithms_are_plotted_where_they_decide() -> None:
    plain = a_validation()
    assert plotted_merit(plain) == "r2"
    judged = [replace(s, metrics=s.metrics | {R2_LOG10: Spread.of([0.4, 0.6])}) for s in plain.scores]
    assert plotted_merit(replace(plain, scores=tuple(judged))) == "r2"
    logarithmic = replace(plain, scores=tuple(judged), decide_by="median")
    assert plotted_merit(logarithmic) == R2_LOG10
    table = merits_table(logarithmic, None, CLAY)
    assert list(table.header[1:3]) == ["R²", "R² of log10"]
    assert table.rows[0][2] == "0.500 ± 0.141"
