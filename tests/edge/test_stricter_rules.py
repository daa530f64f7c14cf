"""The gates' limits are the stricter of the profile's and the model's; a spectrum that changed in the log is refused."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from routine_bench import Bench
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.cli import stibium
from stibium.edge.engine import Engine
from stibium.edge.errors import BundleError
from stibium.edge.gates.rules import DEFAULT_RULES, stricter
from stibium.edge.loaded_model import Model
from stibium.edge.log.read import ALL, open_for_reading
from stibium.edge.log.write import Log
from stibium.edge.model.bundle import Bundle, pack_bundle, read_bundle, unpack_bundle, write_bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.model.stability import StabilityLimits
from stibium.edge.reprocess import redo


def test_whichever_allows_less_counts() -> None:
    profile = replace(DEFAULT_RULES, noise_most=0.005, splice_step_most=0.0)
    assert stricter(profile, StabilityLimits()) == profile
    assert stricter(profile, StabilityLimits(0.002, 0.03)) == replace(profile, noise_most=0.002, splice_step_most=0.03)
    assert stricter(profile, StabilityLimits(0.01)) == profile


def test_a_model_carries_its_limits(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    lenient = replace(shipped_bundle, stability=StabilityLimits())
    strict = unpack_bundle(pack_bundle(replace(shipped_bundle, stability=StabilityLimits(noise_most=0.0005))))
    assert strict.stability == StabilityLimits(noise_most=0.0005)
    noise = np.random.default_rng(3).normal(0, 0.001, soils[0].values.size)
    noisy = replace(soils[0], values=soils[0].values + noise)
    outcomes = [Engine(Estimator(b), None).answer([noisy])[0].outcome for b in (lenient, strict)]
    assert [type(outcome) for outcome in outcomes] == [Estimate, Refusal]
    for senseless in (-0.1, float("nan"), True, "x"):
        forged = replace(shipped_bundle, stability=StabilityLimits(noise_most=senseless))  # type: ignore[arg-type]
        with pytest.raises((BundleError, ValueError)):
            unpack_bundle(pack_bundle(forged))


def test_a_spectrum_that_changed_in_the_log_is_not_estimated_again(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    path = tmp_path / "log.db"
    with Log(path) as log:
        Engine(Estimator(shipped_bundle), log).take(soils[:2])
    with closing(sqlite3.connect(path)) as db:
        values = bytearray(db.execute("SELECT spectrum FROM readings WHERE id = 1").fetchone()[0])
        values[5001] ^= 1
        # A damaged card asks no trigger.
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("UPDATE readings SET spectrum = ? WHERE id = 1", (bytes(values),))
        db.execute("DELETE FROM estimates")
        db.commit()
    with open_for_reading(path) as db:
        ((first, second),) = redo(db, Estimator(shipped_bundle), None, ALL)
    assert not first.record.estimates
    assert "not the one that was stored" in first.record.reason
    assert second.record.estimates


def test_a_models_limit_holds_in_every_way_in(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    path, drop, lenient = tmp_path / "strict.tflite", tmp_path / "drop", tmp_path / "lenient.db"
    strict = replace(shipped_bundle, stability=StabilityLimits(noise_most=1e-9))
    write_bundle(path, strict)
    drop.mkdir()
    write_table(drop / "a.csv", soils[:2])
    with Log(lenient) as log:
        Engine(Estimator(replace(shipped_bundle, stability=StabilityLimits())), log).take(soils[:2])
    ways = {
        "predict": ["predict", drop / "a.csv", "--no-log"],
        "processes": ["predict", drop / "a.csv", "--no-log", "--jobs", "2"],
        "watch": ["watch", drop, "--once", "--settle", "0.05", "--log", tmp_path / "watch.db"],
        "reprocess": ["reprocess", "--log", lenient],
    }
    for way, command in ways.items():
        done = CliRunner().invoke(stibium, [*map(str, command), "--model", str(path), "--format", "jsonl"])
        reasons = [json.loads(line)["reason"] for line in done.stdout.splitlines()]
        assert len(reasons) == 2, (way, done.output)
        assert all("noise" in reason and "1e-09 is allowed" in reason for reason in reasons), way
    assert all("1e-09 is allowed" in record.reason for record in Model(read_bundle(path)).estimate(soils[:2]))
    # A session measures by its profile; what comes of a sample is held against the model as well.
    bench = Bench(tmp_path, Estimator(strict), points=1).begin()
    bench.type("", "", "")
    assert any("1e-09 is allowed" in reason for (reason,) in bench.rows("SELECT reason FROM refusals"))
    bench.log.close()
