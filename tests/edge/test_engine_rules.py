"""The limits of the measuring routine behind `watch` and `listen`: a spectrum that breaks one is stored, not estimated."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table_write import write_table
from stibium.edge.engine import Engine, average_samples
from stibium.edge.gates.rules import Rules
from stibium.edge.log.write import Log
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal

NOISE = np.random.default_rng(7)


def noisy(spectrum: Spectrum) -> Spectrum:
    return replace(spectrum, values=spectrum.values + NOISE.normal(0, 0.02, spectrum.values.size))


def stepped(spectrum: Spectrum) -> Spectrum:
    return replace(spectrum, values=spectrum.values + np.where(spectrum.wavelengths_nm > 1000, 0.1, 0.0))


def scattering(spectrum: Spectrum) -> Spectrum:
    points = [replace(spectrum, values=factor * spectrum.values) for factor in (0.6, 1.0, 1.6)]
    (mean,) = average_samples(points)
    assert isinstance(mean, Spectrum)
    return mean


@pytest.mark.parametrize(
    ("spoil", "words"), [(noisy, "noise 0.0"), (stepped, "step of +0.1"), (scattering, "the 3 points scatter")]
)
def test_a_spectrum_that_breaks_a_rule_is_stored_and_not_estimated(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum], spoil: object, words: str
) -> None:
    good = replace(soils[0], splices_nm=(1000.0, 1830.0))
    with Log(tmp_path / "log.db", shipped_bundle.name, shipped_bundle.sha256) as log:
        estimator = Estimator(shipped_bundle)
        first, second = Engine(estimator, log, Rules()).take([spoil(good), good])  # type: ignore[operator]
        (free,) = Engine(estimator, log).take([spoil(good)])  # type: ignore[operator]
    assert isinstance(first.outcome, Refusal)
    assert words in first.outcome.reason
    assert isinstance(second.outcome, Estimate)
    assert isinstance(free.outcome, Estimate)
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        rows = db.execute("SELECT rule_broken FROM readings ORDER BY id").fetchall()
    assert rows == [(first.outcome.reason,), ("",), ("",)]


def test_watch_refuses_a_noisy_file_with_its_reason(tmp_path: Path, soils: list[Spectrum]) -> None:
    stibium_program = str(Path(sys.executable).parent / "stibium")
    drop = tmp_path / "drop"
    drop.mkdir()
    log = str(tmp_path / "log.db")
    write_table(drop / "a.csv", [noisy(soils[0]), soils[1]])
    done = subprocess.run(
        [stibium_program, "watch", str(drop), "--once", "--settle", "0.05", "--format", "jsonl", "--log", log],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.count('"status": "refused"') == 1
    assert "of reflectance, 0.005 is allowed" in done.stdout
