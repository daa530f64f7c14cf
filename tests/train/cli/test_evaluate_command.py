"""`stibium evaluate` as a user runs it: the figures, the formats, and that it needs no training side."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import Soils, stibium, succeed
from stibium import edge as stibium_edge
from stibium.converters.spectra.table.read import read_table
from stibium.converters.spectra.table.write import write_table
from stibium.edge.model.bundle import Bundle, read_bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.train.assays.table import parse_assay_tables, read_assay_table
from stibium.train.crossval.metrics import coverage, measure
from stibium.train.errors import TrainingDataError
from stibium.train.evaluate import as_record, evaluate, held_out_only
from stibium.train.samples import join, load, replicate_rows


def arguments(bundle: Path, soils: Soils, *more: object) -> list[object]:
    return ["evaluate", bundle, "--spectra", soils.spectra, "--assays", soils.assays, "--exclude-above", 1000, *more]


@pytest.fixture(scope="module")
def report(small_bundle: Path, small_soils: Soils) -> dict[str, Any]:
    return json.loads(succeed(*arguments(small_bundle, small_soils, "--format", "json")).stdout)  # type: ignore[no-any-return]


def test_figures_are_those_of_the_devices_answers(
    report: dict[str, Any], small_bundle: Path, small_soils: Soils
) -> None:
    bundle, assays = read_bundle(small_bundle), read_assay_table(small_soils.assays).assays("Sb")
    joined = load([str(small_soils.spectra)], assays, bundle.recipe.range_nm, 1000.0)
    rows = replicate_rows(joined.spectra, "average")
    answers = [a for a in Estimator(bundle).estimate(rows) if isinstance(a, Estimate)]
    measured = np.array([assays.plain[a.sample_id] for a in answers])
    values = np.array([a.value for a in answers])
    assert report["n"] == report["rows"] == report["samples"] == len(answers) == len(joined.target)
    for name, value in measure(values, measured).to_dict().items():
        assert report[name] == pytest.approx(value), name
    for name, value in measure(np.log10(values), np.log10(measured)).to_dict().items():
        assert report[f"log10_{name}"] == pytest.approx(value), name
    low, high = [a.low for a in answers], [a.high for a in answers]
    assert report["coverage"] == coverage(low, high, measured, bundle.calibrated_range)
    assert report["stated_coverage"] == 0.9
    assert report["outside"] == sum(not a.trusted for a in answers)
    inside = np.array([a.verdict == "inside" for a in answers])
    assert report["inside_n"] == np.count_nonzero(inside)
    assert report["simulated"] is True
    assert report["refused"] == 0
    assert report["model_sha256"] == bundle.sha256


def test_validation_figures_are_those_of_training(small_bundle: Path, small_soils: Soils, small_run: Path) -> None:
    done = succeed(*arguments(small_bundle, small_soils, "--format", "jsonl", "--held-out"))
    report = json.loads(done.stdout)
    trained = json.loads((small_run / "run.json").read_text())["metrics"]["validation"]
    assert report["trained_on"] == 0
    assert report["n"] == trained["n"]
    # int8 rounds; it is the same model all the same.
    assert report["rmse"] == pytest.approx(trained["rmse"], rel=0.1)


def test_training_samples_are_told(
    report: dict[str, Any], small_run: Path, small_bundle: Path, small_soils: Soils
) -> None:
    split = json.loads((small_run / "run.json").read_text())["split"]
    assert report["trained_on"] == len(split["training"])
    table = succeed(*arguments(small_bundle, small_soils)).stdout
    assert f"{len(split['training'])} of the samples have names the model was trained on: the figures flatter" in table
    assert table.startswith("SIMULATED: ")
    for label in ("R2", "RMSE", "bias", "SEP", "RPD", "RPIQ", "% of the values lie in their 90 % interval"):
        assert label in table


def test_csv_has_the_same_figures(report: dict[str, Any], small_bundle: Path, small_soils: Soils) -> None:
    done = succeed(*arguments(small_bundle, small_soils, "--format", "csv"))
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert set(row) == set(report)
    assert float(row["rmse"]) == pytest.approx(report["rmse"])


def test_each_measurement_counts_if_asked(small_bundle: Path, small_soils: Soils, report: dict[str, Any]) -> None:
    done = succeed(*arguments(small_bundle, small_soils, "--format", "json", "--replicates", "each"))
    each = json.loads(done.stdout)
    assert each["rows"] == each["n"] == 2 * report["n"]
    assert each["samples"] == report["samples"]


def test_a_refused_spectrum_is_told_and_does_not_stop_the_rest(
    small_bundle: Path, small_soils: Soils, tmp_path: Path, report: dict[str, Any]
) -> None:
    folder = tmp_path / "soils"
    folder.mkdir()
    (folder / "broken.asd").write_bytes(b"as7" + bytes(50))
    write_table(folder / "good.csv", read_table(small_soils.spectra))
    done = stibium(*arguments(small_bundle, Soils(folder, small_soils.assays), "--format", "json"))
    assert done.returncode == 1
    assert "broken.asd" in done.stderr
    assert json.loads(done.stdout) == report | {"refused": 1}


def test_nothing_of_the_training_side_is_imported(small_bundle: Path, small_soils: Soils) -> None:
    code = (
        "import sys\n"
        "from stibium.train.cli.evaluate import evaluate\n"
        "evaluate.main(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    options = [str(o) for o in arguments(small_bundle, small_soils)[1:]]
    subprocess.run([sys.executable, "-c", code, *options], check=True, capture_output=True)


def test_what_a_device_refuses_counts_neither_in_evaluate_nor_in_compare(tmp_path: Path) -> None:
    shipped = Path(stibium_edge.__file__).parent / "shipped"
    model, assays, table = shipped / "clay_geeves.tflite", shipped / "real_assays.csv", tmp_path / "soils.csv"
    first, *others = read_table(shipped / "real_soils.csv.gz")
    noise = np.random.default_rng(0).normal(0, 0.01, first.values.size)
    write_table(table, [replace(first, values=first.values + noise), *others])
    predicted = stibium("predict", table, "--average", "--no-log", "--model", model, "--format", "jsonl")
    refused = [one["reason"] for one in map(json.loads, predicted.stdout.splitlines()) if not one["estimates"]]
    assert len(refused) == 1
    data = ("--spectra", table, "--assays", assays, "--format", "json")
    evaluated = stibium("evaluate", model, *data)
    found = json.loads(evaluated.stdout)
    assert (evaluated.returncode, found["refused"], found["n"]) == (1, 1, 10)
    assert refused[0] in evaluated.stderr
    # Tables write the unit as everything else does, never by its name in a column.
    for command in (("evaluate", model), ("compare", model, model)):
        shown = stibium(*command, *data[:-2]).stdout
        assert re.search(r"RMSE +[\d.]+ %", shown)
        assert "pct" not in shown
    compared = stibium("compare", model, model, *data)
    assert (compared.returncode, json.loads(compared.stdout)["n"]) == (1, 10)


def test_other_elements_are_refused(small_bundle: Path, small_soils: Soils, tmp_path: Path) -> None:
    table = tmp_path / "assays.csv"
    table.write_text(
        "sample,As_ppm\n" + "".join(f"{name},5\n" for name in read_assay_table(small_soils.assays).assays("Sb").plain)
    )
    done = stibium(*arguments(small_bundle, Soils(small_soils.spectra, table)))
    assert done.returncode == 1
    assert "no column for Sb" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("column", "times"), [("Sb_mg_kg", 1), ("SB [mg/kg]", 1), ("Sb (%)", 1e-4), ("Sb_ppb", 1e3)])
def test_assays_in_another_unit_are_converted(
    report: dict[str, Any], small_bundle: Path, small_soils: Soils, tmp_path: Path, column: str, times: float
) -> None:
    table = tmp_path / "assays.csv"
    plain = read_assay_table(small_soils.assays).assays("Sb").plain
    table.write_text(f"sample,{column}\n" + "".join(f"{n},{v * times!r}\n" for n, v in plain.items() if v <= 1000))
    options = ("--spectra", small_soils.spectra, "--assays", table, "--format", "json")
    found = json.loads(succeed("evaluate", small_bundle, *options).stdout)
    assert found["unit"] == "ppm"
    assert (found["r2"], found["rmse"]) == pytest.approx((report["r2"], report["rmse"]))


def test_a_model_without_interval_or_verdict_is_evaluated_all_the_same(
    shipped_bundle: Bundle, small_soils: Soils
) -> None:
    bare = replace(shipped_bundle, interval=None, domain=None, provenance={})
    joined = load(
        [str(small_soils.spectra)],
        read_assay_table(small_soils.assays).assays("Sb"),
        bare.recipe.range_nm,
        exclude=1000,
    )
    evaluation = evaluate(bare, joined)
    assert (evaluation.coverage, evaluation.stated_coverage, evaluation.inside) == (None, None, None)
    assert "inside_n" not in as_record(evaluation)
    with pytest.raises(TrainingDataError, match="does not say which samples"):
        held_out_only(joined, bare)
    everything = replace(bare, provenance={"training_samples": list(joined.target)})
    with pytest.raises(TrainingDataError, match="was trained on every one of these samples"):
        held_out_only(joined, everything)


def test_a_value_of_zero_has_no_logarithm_and_is_compared_in_ppm_alone(
    shipped_bundle: Bundle, small_soils: Soils
) -> None:
    spectra = read_table(small_soils.spectra)[:4]
    names = dict.fromkeys(s.sample_id for s in spectra)
    assays = parse_assay_tables(
        (("sample,Sb_ppm\n" + "".join(f"{n},{i}\n" for i, n in enumerate(names))).encode(), "a")
    ).assays("Sb")
    evaluation = evaluate(shipped_bundle, join(spectra, assays, shipped_bundle.recipe.range_nm))
    assert evaluation.transformed is None
    assert evaluation.all.n == len(names)
