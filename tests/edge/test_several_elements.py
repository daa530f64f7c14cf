"""Several models, one for each element: one reading of the file or port, one record, one estimate for each."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_check import conforms
from routine_bench import QUICK, Bench
from scan_samples import GRID_NM
from stibium.converters.spectra.asd_write import write_asd
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.engine import Engine
from stibium.edge.log.corrections import correct
from stibium.edge.log.export import iter_records
from stibium.edge.log.read import open_for_reading
from stibium.edge.log.wide import elements_of, wide_row, wide_rows
from stibium.edge.log.write import Log
from stibium.edge.measure.plan import Plan
from stibium.edge.model.bundle import Bundle, bundle_paths, read_bundle, shipped_bundle_path, write_bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.record import as_json

PROGRAM = str(Path(sys.executable).parent / "stibium")


@pytest.fixture(scope="module")
def lead(shipped_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model under another element's name."""
    path = tmp_path_factory.mktemp("models") / "pb.tflite"
    write_bundle(path, replace(shipped_bundle, element="Pb", path="", sha256=""))
    return path


@pytest.fixture
def models(lead: Path, tiny_bundle: Path) -> list[Path]:
    return [tiny_bundle, lead]


@pytest.fixture
def folder(tmp_path: Path, soils: list[Spectrum]) -> Path:
    path = tmp_path / "soils"
    path.mkdir()
    for number, soil in enumerate(soils[:3]):
        write_asd(path / f"S{number}_00001.asd", replace(soil, sample_id=f"S{number}"))
    (path / "empty.asd").write_bytes(b"")
    return path


def stibium(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})


def _alone(estimate: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in estimate.items() if name != "estimated_at"}


def test_one_record_holds_what_each_model_says_alone(folder: Path, models: list[Path], tmp_path: Path) -> None:
    both = stibium(
        "predict", folder, "--model", models[0], "--model", models[1], "--format", "jsonl", "--log", tmp_path / "b.db"
    )
    assert both.returncode == 1  # for the empty file
    records = [json.loads(line) for line in both.stdout.splitlines()]
    for record in records:
        conforms(record)
    assert [[one["element"] for one in record["estimates"]] for record in records].count(["Sb", "Pb"]) == 3
    for model, place in ((models[0], 0), (models[1], 1)):
        alone = stibium("predict", folder, "--model", model, "--format", "jsonl", "--log", tmp_path / f"{place}.db")
        for record, single in zip(records, map(json.loads, alone.stdout.splitlines()), strict=True):
            if record["estimates"]:
                assert _alone(record["estimates"][place]) == _alone(single["estimates"][0])
            else:
                assert record["reason"] == single["reason"]
    with closing(sqlite3.connect(tmp_path / "b.db")) as db:
        assert db.execute("SELECT count(*) FROM readings").fetchone() == (3,)
        assert db.execute("SELECT count(*), count(DISTINCT model_id) FROM estimates").fetchone() == (6, 2)
        assert db.execute("SELECT count(*) FROM refusals").fetchone() == (1,)
    listed = stibium("log", "--format", "jsonl", "--log", tmp_path / "b.db")
    assert [json.loads(line)["estimates"] for line in listed.stdout.splitlines()] == [r["estimates"] for r in records]


def test_a_table_names_the_element_of_each_line(folder: Path, models: list[Path], tmp_path: Path) -> None:
    done = stibium(
        "predict", folder / "S0_00001.asd", "--model", models[0], "--model", models[1], "--log", tmp_path / "l.db"
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("S0")]
    assert ["Sb" in rows[0], "Pb" in rows[1], len(rows)] == [True, True, 2]
    assert "1 estimated, 0 refused" in done.stderr


def test_a_folder_or_a_list_names_several(
    models: list[Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "all"
    place.mkdir()
    for model in models:
        (place / model.name).write_bytes(model.read_bytes())
    (place / "README").write_text("no model")
    assert bundle_paths([place]) == [place / "pb.tflite", place / "sb_simulated.tflite"]
    for value in (str(place), f"{models[0]}:{models[1]}"):
        done = stibium(
            "predict",
            folder / "S0_00001.asd",
            "--format",
            "jsonl",
            "--log",
            tmp_path / "x.db",
            env={"STIBIUM_MODEL": value},
        )
        assert {one["element"] for one in json.loads(done.stdout)["estimates"]} == {"Sb", "Pb"}
    monkeypatch.setenv("STIBIUM_MODEL", str(place))
    with pytest.raises(ValueError, match="names 2 models"):
        shipped_bundle_path()
    odd = tmp_path / "a:b.tflite"
    odd.write_bytes(models[0].read_bytes())
    assert bundle_paths([odd]) == [odd]


@pytest.mark.parametrize("command", ["predict", "watch"])
def test_two_models_of_one_element_are_refused(command: str, models: list[Path], folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "sb_2.tflite"
    other.write_bytes(models[0].read_bytes())
    more = ["--once"] if command == "watch" else []
    done = stibium(command, folder, *more, "--model", models[0], "--model", other, "--log", tmp_path / "l.db")
    assert done.returncode == 2
    assert f"two models of Sb: {models[0]} and {other}; name one for each element" in done.stderr
    assert not (tmp_path / "l.db").exists()


def test_an_option_that_is_given_twice_says_which_counts(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.db", tmp_path / "b.db"
    done = stibium(
        "predict", folder / "S0_00001.asd", "--log", first, f"--log={second}", "--format", "csv", "--format", "csv"
    )
    assert done.stderr.splitlines()[0] == f"stibium: --log is given 2 times: {second} counts, not {first}"
    assert "--format" not in done.stderr
    assert (first.exists(), second.exists()) == (False, True)


def test_a_command_without_anything_after_it_starts(tmp_path: Path) -> None:
    done = stibium("predict", env={"STIBIUM_LOG": str(tmp_path / "l.db")})
    assert done.returncode == 2
    assert "Missing argument" in done.stderr
    assert "unexpected" not in stibium("ports").stderr


def test_a_folder_without_a_model_is_named(folder: Path, tmp_path: Path) -> None:
    done = stibium("predict", folder, "--model", folder, "--log", tmp_path / "l.db")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("no model in this folder; a model is a .tflite file")


def test_preprocessing_is_done_once_for_models_that_prepare_alike(
    shipped_bundle: Bundle, lead: Path, soils: list[Spectrum], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    recipe = type(shipped_bundle.recipe)
    real = recipe.preprocess

    def counting(self: Any, values: Any, *rest: Any) -> Any:
        calls.append(len(values))
        return real(self, values, *rest)

    monkeypatch.setattr(recipe, "preprocess", counting)
    engine = Engine(Estimator(shipped_bundle), None, others=[Estimator(read_bundle(lead))])
    results = engine.answer(soils[:4])
    assert calls == [4]
    for result in results:
        first, second = result.outcomes
        assert isinstance(first, Estimate)
        assert isinstance(second, Estimate)
        assert (first.element, second.element, first.value) == ("Sb", "Pb", second.value)


@pytest.fixture
def demanding(shipped_bundle: Bundle) -> Bundle:
    """A model of As that bears almost no noise."""
    limits = shipped_bundle.stability._replace(noise_most=1e-12)
    return replace(shipped_bundle, element="As", stability=limits, path="as.tflite", sha256="as" * 32)


def test_what_one_model_refuses_another_may_answer(
    shipped_bundle: Bundle, demanding: Bundle, soils: list[Spectrum], tmp_path: Path
) -> None:
    for order in ((shipped_bundle, demanding), (demanding, shipped_bundle)):
        path = tmp_path / f"{order[0].element}.db"
        first, second = map(Estimator, order)
        with Log(path, order[0].name, order[0].sha256, order[0].calibrated_range) as log:
            (result,) = Engine(first, log, others=[second]).take(soils[:1])
            assert not result.refused
            assert result.about is not None
            assert result.about.rule_broken == ""
        with open_for_reading(path) as db:
            (record,) = iter_records(db)
            assert elements_of(db) == ["Sb"]
        conforms(json.loads(json.dumps(as_json(record))))
        assert [one.element for one in record.estimates] == ["Sb"]
        (refusal,) = record.refusals
        assert (refusal.model, refusal.reason[:5]) == ("as.tflite", "noise")
        assert refusal.reason in wide_row(record, ["As", "Sb"])["reason"]
        listed = stibium("log", "--log", path)
        assert "as.tflite: noise" in listed.stdout
        rows = list(csv.DictReader(io.StringIO(stibium("log", "--format", "csv", "--log", path).stdout)))
        assert [(row["status"], row["element"], row["model"]) for row in rows] == [
            ("estimated", "Sb", shipped_bundle.name),
            ("refused", "", "as.tflite"),
        ]


def test_what_every_model_refuses_is_barred(demanding: Bundle, soils: list[Spectrum]) -> None:
    other = replace(demanding, element="Zn")
    (result,) = Engine(Estimator(demanding), None, others=[Estimator(other)]).answer(soils[:1])
    assert result.refused.startswith("noise")
    assert result.about is not None
    assert result.about.rule_broken.startswith("noise")


def test_a_map_has_one_point_a_reading_and_wide_csv_one_row_a_sample(
    folder: Path, models: list[Path], tmp_path: Path
) -> None:
    log = tmp_path / "l.db"
    for _ in range(2):
        stibium(
            "predict",
            folder / "S0_00001.asd",
            folder / "S1_00001.asd",
            "--model",
            models[0],
            "--model",
            models[1],
            "--log",
            log,
        )
    with Log(log) as opened:
        for number in range(1, 5):
            correct(opened, number, "place", {"latitude_deg": 41.0, "longitude_deg": -8.0 - number})
        correct(opened, 4, "void", {"reason": "again"})
    assert stibium("log", "--log", log, "--export", tmp_path / "day.geojson").returncode == 0
    features = json.loads((tmp_path / "day.geojson").read_text())["features"]
    assert [f["geometry"]["coordinates"] for f in features] == [[-9.0, 41.0], [-10.0, 41.0], [-11.0, 41.0]]
    assert {"Sb_shown", "Pb_shown", "Sb_value", "Pb_trusted"} <= set(features[0]["properties"])
    assert stibium("log", "--log", log, "--export", tmp_path / "day.gpkg").returncode == 0
    with closing(sqlite3.connect(tmp_path / "day.gpkg")) as db:
        assert db.execute("SELECT count(*) FROM readings").fetchone() == (3,)
        types = {row[1]: row[2] for row in db.execute("PRAGMA table_info(readings)")}
    assert (types["Sb_value"], types["Pb_trusted"], types["Sb_shown"]) == ("DOUBLE", "BOOLEAN", "TEXT")
    done = stibium("log", "--log", log, "--export", tmp_path / "wide.csv", "--wide")
    assert "2 samples" in done.stderr
    rows = list(csv.DictReader(io.StringIO((tmp_path / "wide.csv").read_text("utf-8"))))
    assert [(row["sample_id"], row["readings"]) for row in rows] == [("S0", "1; 3"), ("S1", "2")]
    assert rows[0]["Sb_value"] == ""  # simulated
    assert "2 readings count" in rows[0]["Sb_flags"]
    assert stibium("log", "--log", log, "--export", tmp_path / "w.jsonl", "--wide").returncode == 2


def test_a_mean_over_readings_is_a_value_only_if_all_may_be_used(
    folder: Path, models: list[Path], tmp_path: Path
) -> None:
    log = tmp_path / "l.db"
    for _ in range(2):
        stibium("predict", folder / "S0_00001.asd", "--model", models[0], "--log", log)
    with open_for_reading(log) as db:
        first, second = iter_records(db)

    def with_value(record: Any, value: float | None, low: float | None, high: float) -> Any:
        (one,) = record.estimates
        trusted = value is not None
        return record._replace(
            estimates=(one._replace(value=value, trusted=trusted, low=low, high=high, shown=str(value), untrusted_value=None if trusted else 9.0),)
        )  # fmt: skip

    (row,) = wide_rows([with_value(first, 100.0, 50.0, 150.0), with_value(second, 120.0, 70.0, 210.0)], ["Sb"])
    assert (row["Sb_value"], row["Sb_low"], row["Sb_high"], row["Sb_trusted"], row["Sb_shown"]) == (
        110.0,
        50.0,
        210.0,
        True,
        "110",
    )
    (row,) = wide_rows([with_value(first, 100.0, 50.0, 150.0), with_value(second, None, None, 210.0)], ["Sb"])
    assert (row["Sb_value"], row["Sb_low"], row["Sb_trusted"], row["Sb_shown"]) == (None, None, False, "100.0; None")
    # With no more figures than a record has, and down to zero.
    (row,) = wide_rows([with_value(first, 0.1, 0.05, 1.0), with_value(second, 0.2, 0.0, 2.0)], ["Sb"])
    assert (row["Sb_value"], row["Sb_low"], row["Sb_high"]) == (0.15, 0.0, 2.0)
    # Estimated again, by another model, it is one reading still.
    again = with_value(first, 300.0, 200.0, 400.0)
    both = first._replace(estimates=(*with_value(first, 100.0, 50.0, 150.0).estimates, *again.estimates))
    (row,) = wide_rows([both], ["Sb"])
    assert (row["Sb_value"], row["Sb_low"], row["Sb_high"]) == (300.0, 200.0, 400.0)
    assert "readings count" not in row["Sb_flags"]


def test_a_session_measures_once_for_all_and_judges_a_blank_for_each(
    shipped_bundle: Bundle, lead: Path, tmp_path: Path
) -> None:
    golden = shipped_bundle.golden
    assert golden is not None
    bench = Bench(tmp_path, Estimator(shipped_bundle), points=1, plan=Plan(blank_every=1))
    bench.session.engine = Engine(bench.session.engine.estimator, bench.log, QUICK, [Estimator(read_bundle(lead))])
    bench.instrument.in_front = np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[0])
    bench.begin()
    bench.type("", "", "")
    assert bench.rows("SELECT count(*) FROM scans WHERE kind = 'target'") == [(2,)]
    assert bench.rows("SELECT reading_id, element FROM estimates ORDER BY id") == [
        (1, "Sb"),
        (1, "Pb"),
        (2, "Sb"),
        (2, "Pb"),
    ]
    controls = [fact.text for fact in bench.facts if fact.kind in ("control", "failed control")]
    assert len(controls) == 2


def test_reprocess_takes_several(folder: Path, models: list[Path], tmp_path: Path) -> None:
    log = tmp_path / "l.db"
    stibium("predict", folder / "S0_00001.asd", "--model", models[0], "--log", log)
    done = stibium("reprocess", "--model", models[0], "--model", models[1], "--log", log)
    assert done.returncode == 0, done.stderr
    assert "Pb" in done.stdout
    assert "1 estimated again" in done.stderr
    assert (
        "have answered or refused"
        in stibium("reprocess", "--model", models[0], "--model", models[1], "--log", log).stderr
    )
