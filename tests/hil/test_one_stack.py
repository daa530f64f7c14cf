"""`listen` and `measure` answer alike, and keep alike what they answer from."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from line_processes import STIBIUM, Listener, playing
from measure_processes import PROFILE, Measurer
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.bundle import Bundle, write_bundle

pytestmark = pytest.mark.usefixtures("virtual_only")


def rows(log: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(log)) as db:
        return db.execute(statement).fetchall()


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile whose white panel reflects 80 %."""
    (tmp_path / "panel.csv").write_text("nm,panel\n" + "".join(f"{nm},0.80\n" for nm in range(350, 2501, 10)))
    path = tmp_path / "panel_080.toml"
    path.write_text(PROFILE + 'panel_reflectance_file = "panel.csv"\n')
    return path


def test_the_panels_certificate_counts_however_one_measures(
    played: list[Spectrum], played_file: Path, tiny_bundle: Path, tmp_path: Path, profile: Path
) -> None:
    folders = [tmp_path / name for name in ("listen", "measure")]
    for folder in folders:
        folder.mkdir()
    listener, measurer = Listener(folders[0], tiny_bundle), Measurer(folders[1], tiny_bundle)
    how = ("--profile", str(profile), "--points", "3", "--scans", "2")
    with playing(folders[0], str(played_file), "--raw", "--speed", "full") as port:
        done = listener.run(port, *how, "--white", "now")
        assert done.code == 0, done.err
    with playing(folders[1], str(played_file), "--raw", "--speed", "full") as port:
        done = measurer.run(port, *how, "--count", "4")
        assert done.code == 0, done.err
    stored = [
        [np.frombuffer(blob, "<f4") for (blob,) in rows(log, "SELECT spectrum FROM readings ORDER BY id")]
        for log in (listener.log, measurer.log)
    ]
    assert len(stored[0]) == len(stored[1]) == 4
    for number, (listened, measured) in enumerate(zip(*stored, strict=True)):
        np.testing.assert_allclose(listened, measured, rtol=1e-3)
        soil = np.mean([spectrum.values for spectrum in played[3 * number : 3 * number + 3]], axis=0)
        np.testing.assert_allclose(listened, 0.8 * soil, rtol=2e-3)
    # The raw scans are kept alike, tied to their readings by the part they have in them, and to a session with an end.
    for log in (listener.log, measurer.log):
        assert rows(log, "SELECT kind, count(*) FROM scans GROUP BY kind ORDER BY kind") == [
            ("dark", 1),
            ("target", 12),
            ("white", 1),
        ]
        assert rows(log, "SELECT role, count(*) FROM reading_scans GROUP BY role ORDER BY role") == [
            ("dark", 4),
            ("target", 12),
            ("white", 4),
        ]
        assert rows(log, "SELECT ended_at IS NOT NULL, profile_text LIKE '%panel.csv%' FROM sessions") == [(1, 1)]
        assert rows(log, "SELECT count(*) FROM readings WHERE session_id IS NULL") == [(0,)]


def test_what_listen_stored_can_be_computed_again(
    played_file: Path, listener: Listener, tmp_path: Path, shipped_bundle: Bundle
) -> None:
    other = tmp_path / "other.tflite"
    write_bundle(other, replace(shipped_bundle, calibrated_range=(shipped_bundle.calibrated_range[0], 60.0)))
    with playing(tmp_path, str(played_file), "--raw", "--speed", "full") as port:
        assert listener.run(port, "--points", "3", "--white", "now").code == 0
    command = [STIBIUM, "reprocess", "--log", str(listener.log), "--model", str(other)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert rows(listener.log, "SELECT count(*) FROM estimates GROUP BY model_id") == [(4,), (4,)]
