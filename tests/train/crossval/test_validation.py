from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import mean_squared_error, r2_score
from soil_like import Scripted, mean_of_training, memory, soil_like, with_values
from stibium.train.crossval.cache import KeptFits, cross_validate_kept
from stibium.train.crossval.folds import hold_out, paper_split, repeated_folds
from stibium.train.crossval.metrics import measure
from stibium.train.crossval.table import validation_table
from stibium.train.crossval.validation import METRICS, R2_LOG10, FitProgress, FoldResult, cross_validate
from stibium.train.errors import TrainingDataError
from stibium.train.methods.baselines import PartialLeastSquares
from stibium.train.methods.faults import FAULTS, with_faults
from stibium.train.report.tables import faults_table


def test_every_method_gets_the_same_folds_and_never_a_row_it_is_tested_on() -> None:
    data = soil_like(20)
    folds = repeated_folds(data.names, n_folds=4, repeats=2)
    a, b = mean_of_training(), memory()
    cross_validate([a, b], data, folds)
    plan = [fold for repeat in folds.repeats for fold in repeat]
    assert len(a.calls) == len(b.calls) == len(plan) == 8
    for fold, (rows, target, groups, seed), (rows_b, target_b, groups_b, seed_b) in zip(
        plan, a.calls, b.calls, strict=True
    ):
        np.testing.assert_array_equal(rows, data.reflectance[fold.training])
        np.testing.assert_array_equal(target, data.measured[fold.training])
        np.testing.assert_array_equal(rows, rows_b)
        np.testing.assert_array_equal(target, target_b)
        assert groups == groups_b == tuple(data.names[i] for i in fold.training)
        assert seed == seed_b
        assert not {row.tobytes() for row in rows} & {row.tobytes() for row in data.reflectance[fold.test]}
    assert len({seed for *_, seed in a.calls}) == 8


def test_learning_by_heart_gains_nothing() -> None:
    # Three measurements of each of 20 soils; were they parted, memory would be right two times out of three.
    one = soil_like(20)
    rows = np.repeat(np.arange(20), 3)
    data = soil_like(
        60, reflectance=one.reflectance[rows], target=one.measured[rows], samples=tuple(one.names[i] for i in rows)
    )
    found = cross_validate([memory(), mean_of_training()], data, repeated_folds(data.names, repeats=2))
    assert found["memory"].metrics["r2"] == found["mean"].metrics["r2"]
    assert found["memory"].metrics["r2"].mean < 0
    apart = soil_like(60, reflectance=data.reflectance, target=data.measured)
    parted = cross_validate([memory()], apart, repeated_folds(range(60)))
    assert parted["memory"].metrics["r2"].mean > 0.5


def test_a_shuffled_target_is_not_predicted() -> None:
    honest = soil_like(40)
    shuffled = with_values(honest, np.random.default_rng(1).permutation(honest.measured))
    folds = repeated_folds(honest.names, repeats=2)
    method = PartialLeastSquares(fast=True)
    assert cross_validate([method], honest, folds)["PLSR"].metrics["r2"].mean > 0.9
    assert cross_validate([method], shuffled, folds)["PLSR"].metrics["r2"].mean < 0.1


def test_figures_are_those_of_scikit_learn_on_each_repeats_predictions() -> None:
    data = soil_like(23)
    noise = Scripted("noise", lambda reflectance, target: lambda row: target.mean() + 30 * (row[3] - row[40]))
    folds = repeated_folds(data.names, n_folds=3, repeats=3)
    score = cross_validate([noise], data, folds)["noise"]
    predicted = np.array(score.predicted, dtype=float)
    assert predicted.shape == (3, 23)
    for r, row in enumerate(predicted):
        assert score.metrics["r2"].values[r] == pytest.approx(r2_score(data.measured, row))
        assert score.metrics["rmse"].values[r] == pytest.approx(mean_squared_error(data.measured, row) ** 0.5)
        assert score.metrics["bias"].values[r] == pytest.approx(np.mean(row - data.measured))
        assert score.metrics["concordance"].values[r] == measure(row, data.measured).concordance
    assert score.metrics[R2_LOG10].mean is None
    for spread in (score.metrics[key] for key in METRICS):
        assert spread.mean == pytest.approx(np.mean(spread.values))
        assert spread.sd == pytest.approx(np.std(spread.values, ddof=1))
    assert score.chosen[0] == tuple(f"{fold.training.size} rows" for fold in folds.repeats[0])


def test_over_decades_logarithms_are_judged_too() -> None:
    plain = soil_like(40)
    data = with_values(plain, 10.0 ** np.linspace(0.0, 3.0, 40))
    folds = repeated_folds(data.names, n_folds=4, repeats=2)
    # One is about right in ratio, and off by a factor for the few richest, which decide in the unit; one is their mean.
    rows = {row.tobytes(): value for row, value in zip(data.reflectance, data.measured, strict=True)}
    ratio = Scripted("ratio", lambda r, y: lambda row: rows[row.tobytes()] * (0.01 if rows[row.tobytes()] > 300 else 1))
    mean = Scripted("mean", lambda r, y: lambda row: y.mean())
    found = cross_validate([mean, ratio], data, folds)
    said = np.array(found["ratio"].predicted[1], dtype=float)
    expected = r2_score(np.log10(data.measured), np.log10(said))
    assert found["ratio"].metrics[R2_LOG10].values[1] == pytest.approx(expected)
    assert found["ratio"].metrics["rmse"].mean > found["mean"].metrics["rmse"].mean
    assert found.best().method == "ratio"
    assert "R2 of log10" in validation_table(found)
    assert "R2 of log10" not in validation_table(cross_validate([mean_of_training()], plain, folds))


def test_left_out_rows_are_also_predicted_with_faults(tmp_path: Path) -> None:
    data = soil_like(40)
    folds = repeated_folds(data.names, repeats=2)
    method = PartialLeastSquares(fast=True)
    kept = KeptFits(tmp_path / "fits.jsonl")
    plain = cross_validate_kept([method], data, folds, True, kept)
    assert plain["PLSR"].with_faults == ()
    # What is kept without them does not do.
    found = cross_validate_kept([method], data, folds, True, KeptFits(tmp_path / "fits.jsonl"), spoil=with_faults)
    as_it_is, *spoilt = found["PLSR"].with_faults
    assert as_it_is == pytest.approx(found["PLSR"].metrics["r2"].values[0])
    assert len(spoilt) == len(FAULTS)
    assert min(spoilt) < as_it_is
    again = cross_validate_kept([method], data, folds, True, KeptFits(tmp_path / "fits.jsonl"), spoil=with_faults)
    assert again["PLSR"].with_faults == found["PLSR"].with_faults
    table = faults_table(found, "PLSR")
    assert table is not None
    assert table.header[:2] == ("model", "as it is")


def test_error_by_class_of_grade_takes_the_error_apart() -> None:
    data = soil_like(30)
    folds = repeated_folds(data.names, repeats=2)
    score = cross_validate([mean_of_training()], data, folds)["mean"]
    assert [c.n for c in score.by_class] == [8, 7, 7, 8]
    assert score.by_class[0].low is score.by_class[-1].high is None
    # A mean is too high at low grade and too low at high grade.
    assert score.by_class[0].bias.mean > 0 > score.by_class[-1].bias.mean
    for r in range(2):
        total = sum(c.n * c.rmse.values[r] ** 2 for c in score.by_class)
        assert total == pytest.approx(30 * score.metrics["rmse"].values[r] ** 2)


def test_classes_of_grade_are_of_what_was_predicted() -> None:
    data = soil_like(12, groups=("Ribeiro da Serra",) * 7 + ("Tapada",) * 5)
    assert data.row_groups is not None
    found = cross_validate([mean_of_training()], data, hold_out(data.row_groups, "Tapada", data.names))
    classes = found["mean"].by_class
    assert sum(c.n for c in classes) == 5
    assert all(c.n for c in classes)
    assert classes[0].high == pytest.approx(np.quantile(data.measured[7:], 0.25))
    assert validation_table(found).startswith("clay (%), 12 rows, 5 of them predicted: Tapada predicted from")


def test_there_is_no_class_below_the_lowest_grade() -> None:
    data = soil_like(16)
    lowest = with_values(data, np.where(data.measured < np.median(data.measured), data.measured.min(), data.measured))
    classes = cross_validate([mean_of_training()], lowest, repeated_folds(data.names))["mean"].by_class
    assert [c.n for c in classes] == [8, 4, 4]


def test_a_held_out_site_leaves_the_rest_untested() -> None:
    data = soil_like(12, groups=("Ribeiro da Serra",) * 7 + ("Tapada",) * 5)
    method = mean_of_training()
    found = cross_validate([method], data, hold_out(data.row_groups, "Tapada"))
    (predicted,) = found["mean"].predicted
    assert predicted[:7] == (None,) * 7
    assert predicted[7:] == (pytest.approx(data.measured[:7].mean()),) * 5
    assert found["mean"].metrics["r2"].sd is None
    # One site alone cannot be parted by site, so it is parted by sample.
    assert method.calls[0][2] == data.names[:7]
    assert found.folds == "Tapada predicted from Ribeiro da Serra"


def test_groups_reach_the_inner_folds() -> None:
    data = soil_like(12, groups=tuple("ABC" * 4))
    method = mean_of_training()
    cross_validate([method], data, repeated_folds(data.names, data.row_groups, n_folds=3, repeats=1))
    assert sorted("".join(sorted(set(groups))) for _, _, groups, _ in method.calls) == ["AB", "AC", "BC"]


def test_what_is_known_is_not_done_again() -> None:
    data = soil_like(15)
    folds = repeated_folds(data.names, n_folds=3, repeats=2)
    seen: list[FitProgress] = []
    whole = cross_validate([mean_of_training(), memory()], data, folds, progress=seen.append)
    assert [p.done for p in seen] == list(range(1, 13))
    assert {p.total for p in seen} == {12}
    assert seen[-1].remaining_s == 0
    assert all(p.remaining_s > 0 for p in seen[:-1])
    # As it comes back from a file.
    known = [FoldResult.from_dict(json.loads(json.dumps(p.result.to_dict()))) for p in seen[:7]]
    method, later = mean_of_training(), []
    resumed = cross_validate([method, memory()], data, folds, known=known, progress=later.append)
    assert len(method.calls) == 2
    assert [p.done for p in later] == list(range(8, 13))
    assert [s.predicted for s in resumed.scores] == [s.predicted for s in whole.scores]
    with pytest.raises(ValueError, match="it was of other folds"):
        cross_validate([mean_of_training()], data, repeated_folds(data.names, n_folds=4), known=known)


def test_the_result_is_json_and_the_same_again() -> None:
    data = soil_like(15, groups=tuple("ABCDE" * 3))
    folds = paper_split(data.names, (42, 43))
    a, b = (cross_validate([mean_of_training()], data, folds) for _ in range(2))
    written = json.loads(json.dumps(a.to_dict(), allow_nan=False))
    assert written["scores"][0]["metrics"]["rmse"]["mean"] == a["mean"].metrics["rmse"].mean
    assert written["groups"] == list("ABCDE" * 3)
    assert a["mean"].predicted == b["mean"].predicted
    assert a.best().method == "mean"
    with pytest.raises(KeyError):
        a["PLSR"]


def test_the_table_says_what_the_result_holds() -> None:
    data = soil_like(20)
    found = cross_validate([mean_of_training(), memory()], data, repeated_folds(data.names, repeats=2))
    lines = validation_table(found).splitlines()
    assert lines[0] == f"clay (%), 20 rows: {found.folds}"
    assert lines[2].split() == ["mean", "memory"]
    rmse = found["mean"].metrics["rmse"]
    (row,) = (line for line in lines if line.startswith("RMSE  "))
    assert row.split()[1:4] == [f"{rmse.mean:.3g}", "±", f"{rmse.sd:.2g}"]
    low = found["memory"].by_class[0]
    (row,) = (line for line in lines if line.startswith("RMSE below"))
    assert row.startswith(f"RMSE below {low.high:.4g} (n {low.n})")
    assert row.endswith(f"{low.rmse.mean:.3g} ± {low.rmse.sd:.2g}")
    single = cross_validate([memory()], data, paper_split(data.names))
    assert "±" not in validation_table(single)


def test_what_cannot_be_validated_is_said_in_one_line() -> None:
    data = soil_like(10)
    folds = repeated_folds(data.names)
    flat = with_values(data, np.r_[np.full(9, 5.0), 7.0])
    with pytest.raises(TrainingDataError, match=r"8 training samples of repeat 1, fold \d all have clay 5 %"):
        cross_validate([mean_of_training()], flat, folds)
    with pytest.raises(TrainingDataError, match=r"^PLSR, repeat 1, fold 1: 4 training rows; at least 5"):
        cross_validate([PartialLeastSquares()], soil_like(5), repeated_folds(range(5), n_folds=5))
    with pytest.raises(TrainingDataError, match=r"^4 training rows; at least 5"):
        cross_validate([PartialLeastSquares()], soil_like(4), repeated_folds(range(4), n_folds=4))
    with pytest.raises(ValueError, match="each name once"):
        cross_validate([memory(), memory()], data, folds)
    with pytest.raises(ValueError, match="10 rows for 9"):
        cross_validate([memory()], soil_like(9), folds)
    nothing = Scripted("nothing", lambda reflectance, target: lambda row: np.nan)
    with pytest.raises(ValueError, match="nothing gave no finite number"):
        cross_validate([nothing], data, folds)


pairs = hnp.arrays(np.float64, st.integers(3, 30), elements=st.floats(-50, 50, width=32))


@given(pairs, st.floats(0.1, 3), st.floats(-20, 20))
def test_concordance_is_correlation_less_bias_and_slope(y: np.ndarray, slope: float, bias: float) -> None:
    if np.ptp(y) < 1e-3:
        return
    found = measure(slope * y + bias, y).concordance
    assert found is not None
    scale, shift = slope, (slope * y + bias - y).mean() / np.sqrt(slope * y.var())
    assert found == pytest.approx(2 / (scale + 1 / scale + shift**2), rel=1e-6, abs=1e-9)
    assert measure(y, y).concordance == pytest.approx(1)
    assert measure(np.full(y.size, 3.0), y).concordance == pytest.approx(0, abs=1e-9)
