"""Results as data: CSV and Parquet say the same, for a training, a validation and an evaluation."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import Soils, succeed
from stibium.train.crossval.metrics import measure
from stibium.train.predictions import Prediction, write_predictions
from stibium.train.run import load_run

pq = pytest.importorskip("pyarrow.parquet")
COLUMNS = [
    "sample", "measured_ppm", "predicted_ppm", "low_ppm", "high_ppm", "set", "repeat", "method", "group", "condition",
    "verdict", "flags", "simulated",
]  # fmt: skip


def both(path: Path) -> list[dict[str, Any]]:
    """Read a table, and see that it is the same twice."""
    table = pq.read_table(path.with_suffix(".parquet"))
    assert table.column_names == COLUMNS
    assert table.schema.metadata[b"unit"] == b"ppm"
    rows = table.to_pylist()
    with path.with_suffix(".csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows] == written
    return rows  # type: ignore[no-any-return]


def test_a_training_leaves_every_answer_with_its_interval(small_run: Path) -> None:
    run, rows = load_run(small_run), both(small_run / "predictions.csv")
    assert sorted(row["sample"] for row in rows) == sorted(run.record["split"]["validation"])
    assert {row["set"] for row in rows} == {"validation"}
    predicted, measured = (np.array([row[f"{name}_ppm"] for row in rows]) for name in ("predicted", "measured"))
    assert measure(predicted, measured).r2 == pytest.approx(run.record["metrics"]["validation"]["r2"])
    assert all(row["low_ppm"] <= row["predicted_ppm"] <= row["high_ppm"] for row in rows)
    inside = np.mean([row["low_ppm"] <= row["measured_ppm"] <= row["high_ppm"] for row in rows])
    assert inside > 0.8
    levels, lowest = run.bundle.levels, run.bundle.calibrated_range[0]
    assert levels.critical is not None
    told = [row for row in rows if "not detected" in row["flags"]]
    assert all(row["predicted_ppm"] <= levels.critical and row["low_ppm"] == lowest for row in told)
    # As a device has it: what begins above the blanks is something.
    others = [row for row in rows if row not in told and row["predicted_ppm"] <= levels.critical]
    assert all(row["low_ppm"] > levels.blank for row in others)


def test_an_evaluation_and_a_validation_leave_theirs_beside_the_page(
    small_soils: Soils, small_bundle: Path, tmp_path: Path
) -> None:
    files = ["--spectra", small_soils.spectra, "--assays", small_soils.assays]
    succeed("evaluate", small_bundle, *files, "--report", tmp_path / "new.html")
    rows = both(tmp_path / "new.predictions.csv")
    assert {row["set"] for row in rows} == {"evaluation"}
    assert {row["simulated"] for row in rows} == {True}
    assert {row["verdict"] for row in rows} <= {"inside", "outside"}
    succeed(
        "validate", *files, "--element", "Sb", "--method", "PLSR", "--method", "SVR", "--fast", "--folds", 3, "--repeats",
        2, "--report", tmp_path / "all.html",
    )  # fmt: skip
    rows = both(tmp_path / "all.predictions.csv")
    assert {(row["method"], row["repeat"]) for row in rows} == {(m, r) for m in ("PLSR", "SVR") for r in (1, 2)}
    assert len({row["sample"] for row in rows}) * 4 == len(rows)


def test_names_are_no_formulas_and_nothing_is_a_word_for_no_number(tmp_path: Path) -> None:
    row = Prediction("=A1", 3.0, None, None, None, "evaluation", 1, "m", "", "", "refused", "not read; cut", False)
    written = write_predictions(tmp_path / "p", [row], "Sb", "%")
    with written[0].open(newline="") as file:
        (read,) = csv.DictReader(file)
    assert (read["sample"], read["predicted_%"], read["verdict"]) == ("'=A1", "", "refused")
    (stored,) = pq.read_table(written[1]).to_pylist()
    assert (stored["sample"], stored["predicted_%"]) == ("=A1", None)
