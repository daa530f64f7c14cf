"""`kill -9` at every point of a measurement, again and again: what was committed stays, what was not comes again."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kills import kill_again_and_again, kill_at_points
from line_processes import PATIENCE_S, Listener
from measuring_day import shown_in
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.simulators.ends import PtyEnd
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.spectra import from_spectra
from truth import assert_sound, assert_true, numbered, readings

pytestmark = pytest.mark.usefixtures("virtual_only")


def test_killed_at_every_point_of_a_measurement(tmp_path: Path) -> None:
    assert "0 lost, 0 doubled" in kill_at_points(tmp_path, 10, seed=9)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    assert "0 corrupt databases" in kill_again_and_again(tmp_path, 12, seed=10)


def test_killed_while_it_asks_no_measurement_is_stored_twice(
    listener: Listener, soils: list[Spectrum], tmp_path: Path
) -> None:
    dice = random.Random(12)
    spectra = numbered(soils, 120)
    shown: list[str] = []
    instrument = VirtualInstrument(from_spectra(spectra))
    with VirtualProbe(instrument, PtyEnd(tmp_path / "port")) as probe:
        for _ in range(3):
            with listener.running(probe.name, "--points", "1") as process:
                assert process.stderr is not None
                process.stderr.readline()
                time.sleep(dice.random() * 0.06)
                process.kill()
                out, _ = process.communicate(timeout=PATIENCE_S)
            shown += shown_in(out)
        done = listener.run(probe.name, "--points", "1")
    assert done.code == 0, done.err
    shown += [record["sample_id"] for record in done.records]
    names = [name for name, _ in readings(listener.log)]
    assert len(names) == len(set(names))
    assert set(shown) <= set(names)
    # At each kill one measurement at most was under way and not stored yet.
    assert len(spectra) - len(names) <= 3
    assert_true(listener.log, spectra)
    assert_sound(listener.log, tmp_path / "copy")


def test_killed_amid_a_sample_its_points_are_kept(listener: Listener, soils: list[Spectrum], tmp_path: Path) -> None:
    points, samples = 3, 5
    spectra = [
        replace(spectrum, sample_id=f"S{number // points}")
        for number, spectrum in enumerate(numbered(soils[:1], points * samples))
    ]
    options = ("--passive", "--points", str(points))
    instrument = VirtualInstrument(from_spectra(spectra), button_s=None)
    with VirtualProbe(instrument, PtyEnd(tmp_path / "port")) as probe:
        for kill_after in (2, 3, 4, 7):
            with listener.running(probe.name, *options) as process:
                assert process.stderr is not None
                while "stibium virtual probe" not in process.stderr.readline():
                    assert process.poll() is None
                while instrument.measured < kill_after or not acknowledged(instrument):
                    if instrument.measured < kill_after:
                        probe.press_button()
                    time.sleep(0.01)
                process.kill()
        assert_sound(listener.log, tmp_path / "copy")
        with listener.running(probe.name, *options) as process:
            assert process.stderr is not None
            while process.poll() is None and instrument.measured <= len(spectra):
                probe.press_button()
                time.sleep(0.01)
            _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    with closing(sqlite3.connect(listener.log)) as db:
        rows = db.execute(
            "SELECT sample_id, spectrum, points FROM readings r JOIN estimates e ON e.reading_id = r.id ORDER BY r.id"
        ).fetchall()
    used: Counter[str] = Counter()
    sums = dict.fromkeys({spectrum.sample_id for spectrum in spectra}, np.zeros(spectra[0].values.size))
    for name, blob, count in rows:
        used[name] += count
        sums[name] = sums[name] + count * np.frombuffer(blob, "<f4").astype(np.float64)
    # However a sample was cut up, each of its points is in one reading, and in one only.
    assert used == Counter(spectrum.sample_id for spectrum in spectra)
    for name, total in sums.items():
        measured = sum(spectrum.values for spectrum in spectra if spectrum.sample_id == name)
        np.testing.assert_allclose(total, measured, rtol=1e-6)


def acknowledged(instrument: VirtualInstrument) -> bool:
    held = instrument._held
    return held is None or held.acknowledged
