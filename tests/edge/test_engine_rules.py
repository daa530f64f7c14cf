"""One gate call for every way in: a spectrum that breaks a rule is stored and not estimated, whoever brings it."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.asd_write import pack_asd
from stibium.converters.spectra.read import read_spectra
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.engine import Engine, Measured, average_samples
from stibium.edge.gates.finding import Finding
from stibium.edge.log.columns import ReadingFacts
from stibium.edge.log.write import Log
from stibium.edge.model import estimate
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal

NOISE = np.random.default_rng(7)


def noisy(spectrum: Spectrum) -> Spectrum:
    return replace(spectrum, values=spectrum.values + NOISE.normal(0, 0.008, spectrum.values.size))


def stepped(spectrum: Spectrum) -> Spectrum:
    return replace(spectrum, values=spectrum.values + np.where(spectrum.wavelengths_nm > 1000, 0.1, 0.0))


def scattering(spectrum: Spectrum) -> Spectrum:
    points = [replace(spectrum, values=factor * spectrum.values) for factor in (0.6, 1.0, 1.6)]
    (mean,) = average_samples(points)
    assert isinstance(mean, Spectrum)
    return mean


def damaged(spectrum: Spectrum) -> Spectrum:
    return replace(spectrum, values=spectrum.values + np.where(spectrum.wavelengths_nm == 700, 0.05, 0.0))


def with_one_point_damaged(spectrum: Spectrum) -> Spectrum:
    (mean,) = average_samples([spectrum] * 4 + [damaged(spectrum)])
    assert isinstance(mean, Spectrum)
    return mean


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (noisy, "noise 0.0"),
        (stepped, "step of +0.1"),
        (scattering, "the 3 points scatter"),
        (damaged, "the band at 700 nm is"),
        (with_one_point_damaged, "the band at 700 nm is"),
    ],
)
def test_a_spectrum_that_breaks_a_rule_is_stored_and_not_estimated(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum], spoil: object, words: str
) -> None:
    good = replace(soils[0], splices_nm=(1000.0, 1830.0))
    with Log(tmp_path / "log.db", shipped_bundle.name, shipped_bundle.sha256) as log:
        estimator = Estimator(shipped_bundle)
        first, second = Engine(estimator, log).take([spoil(good), good])  # type: ignore[operator]
        (free,) = Engine(estimator, log, rules=None).take([spoil(good)])  # type: ignore[operator]
    assert isinstance(first.outcome, Refusal)
    assert words in first.outcome.reason
    assert isinstance(second.outcome, Estimate)
    assert isinstance(free.outcome, Estimate)
    assert "gates not applied" in free.outcome.flags
    assert "gates not applied" not in second.outcome.flags
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        rows = db.execute("SELECT rule_broken FROM readings ORDER BY id").fetchall()
    assert rows == [(first.outcome.reason,), ("",), ("",)]


@pytest.mark.parametrize("kind", ["asd", "csv"])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize(
    ("header", "words", "refused"),
    [
        ({"dark_corrected": False}, "dark current not subtracted", True),
        ({"cooler_alarms": "SWIR1"}, "cooler alarm of SWIR1", True),
        ({"cooler_alarms": "SWIR1, SWIR2"}, "cooler alarm of SWIR1, SWIR2", True),
        ({"white_age_min": -5.0}, "measured 300 s before its white reference", True),
        ({"white_age_min": 2880.0}, "white reference 2 days older", True),
        ({"white_age_min": 45.0}, "white reference 45 min old, 30 min are allowed", False),
        ({"white_age_min": 20.0, "dark_corrected": True}, "", False),
    ],
)
def test_what_a_header_says_of_its_measurement_counts(
    tmp_path: Path,
    shipped_bundle: Bundle,
    soils: list[Spectrum],
    kind: str,
    average: bool,
    header: dict[str, object],
    words: str,
    refused: bool,
) -> None:
    good = replace(
        soils[0], splices_nm=(1000.0, 1830.0), measurement="00000", extra={}, measured_at=datetime(2024, 6, 3)
    )
    bad = replace(good, measurement="00001", extra=header)
    for spectrum in (good, bad):
        counts = replace(spectrum, quantity="raw_dn", values=spectrum.values * 20_000)
        path = tmp_path / f"{spectrum.sample_id}_{spectrum.measurement}.{kind}"
        if kind == "asd":
            path.write_bytes(pack_asd(counts, reference=np.full(counts.values.size, 20_000.0)))
        else:
            write_table(path, [spectrum])
    spectra = [one for path in sorted(tmp_path.glob(f"*.{kind}")) for one in read_spectra(path)]
    items = list(average_samples(spectra)) if average else spectra
    results = Engine(Estimator(shipped_bundle), None).answer(items)
    assert len(results) == (1 if average else 2)
    outcome = results[-1].outcome
    said = outcome.reason if isinstance(outcome, Refusal) else "; ".join(outcome.flags)
    assert isinstance(outcome, Refusal) == refused
    assert words in said
    assert "white reference" in words or "white reference" not in said


def test_what_a_session_found_goes_with_its_spectrum(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    lamp = Finding("lamp", "the lamp is off")
    clock = Finding("clock", "this device's clock jumped 90 s ahead", "remark")
    about = ReadingFacts(notes="by the adit", settings={"repeated": 1})
    with Log(tmp_path / "log.db", shipped_bundle.name, shipped_bundle.sha256) as log:
        engine = Engine(Estimator(shipped_bundle), log)
        refused, remarked, nothing, noisy_twice = engine.take(
            [
                Measured(soils[0], (lamp, clock), about),
                Measured(soils[0], (clock,), about),
                Measured(Refusal("/dev/ttyUSB0", "nothing was measured", "T9"), (lamp,), about),
                Measured(noisy(soils[0]), (Finding("noise", "point 2 is noisy"),), about),
            ]
        )
    assert isinstance(refused.outcome, Refusal)
    assert refused.outcome.reason == nothing.outcome.reason == "the lamp is off"
    assert isinstance(remarked.outcome, Estimate)
    assert remarked.outcome.flags[-1] == clock.text
    assert noisy_twice.outcome.reason == "point 2 is noisy"
    # How wet the ground is, if the model says so, is put down beside it.
    assert replace(remarked.about, water_index=None) == replace(
        about, settings={"repeated": 1, "findings": [["clock", "remark", clock.text]]}, rule_broken=""
    )
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        rows = db.execute("SELECT id, stored_at, rule_broken, notes FROM readings ORDER BY id").fetchall()
    stored = (refused, remarked, noisy_twice)
    assert rows == [(r.reading_id, r.stored_at, r.about.rule_broken, "by the adit") for r in stored]
    assert nothing.reading_id is None


def run(*arguments: object) -> list[dict[str, object]]:
    command = [str(Path(sys.executable).parent / "stibium"), *map(str, arguments), "--format", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def timeless(record: object) -> str:
    return re.sub(r'"\d{4}-\d\d-\d\dT[^"]*"', "", json.dumps(record))


def test_predict_and_watch_say_the_same_of_a_noisy_file(tmp_path: Path, soils: list[Spectrum]) -> None:
    """Noise of 0.008: `predict` once answered 588 ppm where `watch` refused."""
    drop = tmp_path / "drop"
    drop.mkdir()
    spoiled = replace(soils[2], values=soils[2].values + NOISE.normal(0, 0.008, soils[2].values.size))
    write_table(drop / "a.csv", [spoiled, soils[1]])
    predicted = run("predict", drop, "--stability", "--log", tmp_path / "predict.db")
    watched = run("watch", drop, "--once", "--settle", "0.05", "--log", tmp_path / "watch.db")
    assert [timeless(record) for record in predicted] == [timeless(record) for record in watched]
    assert re.search(r"noise 0\.00\d+ of reflectance, 0\.00\d is allowed", str(predicted[0]["reason"]))
    # A spectrum is estimated in spite of its noise only if somebody asks for that, and the answer says so.
    free = run("predict", drop, "--no-gates", "--log", tmp_path / "free.db")
    assert ["refused" in str(r["status"]) for r in free] == [False, False]
    assert all("gates not applied" in str(r) for r in free)


def test_a_rehearsed_engine_has_found_what_is_found_once(
    shipped_bundle: Bundle, soils: list[Spectrum], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(Estimator(shipped_bundle), None, stability=True)
    engine.rehearse()
    monkeypatch.setattr(estimate, "find_directions", None)
    (result,) = engine.answer(soils[:1])
    assert isinstance(result.outcome, Estimate)
    assert result.outcome.movement_over_limit is not None
