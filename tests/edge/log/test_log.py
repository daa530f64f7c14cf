"""The log: committed before shown, whole or not at all, and enough to make every estimate again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from log_samples import spectra_in
from stibium.converters.spectra.spectrum import Position, Spectrum
from stibium.edge.engine import Engine, average_samples, in_chunks
from stibium.edge.errors import LogError
from stibium.edge.log.write import Log, default_log_path
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal


@pytest.fixture
def engine(shipped_bundle: Bundle, tmp_path: Path):
    with Log(tmp_path / "log.db", shipped_bundle.name, shipped_bundle.sha256) as log:
        yield Engine(Estimator(shipped_bundle), log)


def count(path: Path, table: str) -> int:
    with sqlite3.connect(path) as db:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_results_are_on_disk_when_take_returns(engine: Engine, soils: list[Spectrum]) -> None:
    bad = Refusal("x.asd", "is empty", "x")
    results = engine.take([soils[0], bad, replace(soils[1], quantity="raw_dn")])
    assert [type(r.outcome) for r in results] == [Estimate, Refusal, Refusal]
    # Another connection sees only what is committed.
    path = engine.log.path
    assert (count(path, "readings"), count(path, "estimates"), count(path, "refusals")) == (2, 1, 2)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT reading_id, reason FROM refusals ORDER BY id").fetchall()[0] == (
            None,
            "is empty",
        )
        assert db.execute("SELECT name FROM models").fetchall() == [(engine.estimator.bundle.name,)]
        assert db.execute("SELECT software FROM readings").fetchone()[0].startswith("stibium ")


def test_every_estimate_can_be_made_again(engine: Engine, soils: list[Spectrum]) -> None:
    results = engine.take(soils)
    stored = spectra_in(engine.log.path)
    again = engine.estimator.estimate(stored)
    for before, after in zip(results, again, strict=True):
        assert isinstance(before.outcome, Estimate)
        assert isinstance(after, Estimate)
        # Stored in single precision: what lies between two of the network's steps may come out a step off.
        moved = np.log10(after.value / before.outcome.value)
        assert abs(moved) <= 1.01 * engine.estimator.runtime.output_step
        assert after.flags == before.outcome.flags


def test_what_the_file_said_is_kept(engine: Engine, soils: list[Spectrum]) -> None:
    full = replace(
        soils[0],
        position=Position(41.15, -8.36, 120.0),
        measured_at=datetime(2024, 5, 1, 10, 30),
        instrument="ASD FieldSpec 4 18234",
        comment="Tapada, grid 12",
    )
    engine.take([full])
    with sqlite3.connect(engine.log.path) as db:
        row = db.execute(
            "SELECT latitude_deg, longitude_deg, altitude_m, measured_at, instrument, comment FROM readings"
        ).fetchone()
    assert row == (41.15, -8.36, 120.0, "2024-05-01T10:30:00", "ASD FieldSpec 4 18234", "Tapada, grid 12")


def test_a_failed_write_stores_nothing_and_shows_nothing(engine: Engine, soils: list[Spectrum]) -> None:
    engine.log.database.execute("PRAGMA max_page_count=40")  # a disk that is nearly full
    with pytest.raises(LogError, match="the log cannot be written"):
        engine.take([replace(s, sample_id=f"{i}") for i, s in enumerate(soils * 20)])
    assert count(engine.log.path, "readings") == 0
    engine.log.database.execute("PRAGMA max_page_count=100000")
    engine.take(soils[:2])
    assert count(engine.log.path, "readings") == 2
    assert count(engine.log.path, "grids") == 1


def test_several_processes_may_write(shipped_bundle: Bundle, tmp_path: Path, soils: list[Spectrum]) -> None:
    path = tmp_path / "log.db"
    errors: list[Exception] = []

    def write(name: str) -> None:
        try:
            with Log(path, shipped_bundle.name, shipped_bundle.sha256) as log:
                engine = Engine(Estimator(shipped_bundle), log)
                for _ in range(10):
                    engine.take([replace(soils[0], sample_id=name)])
        except Exception as error:
            errors.append(error)

    # All at once on a file that is not there yet: each may be the one that makes it.
    threads = [threading.Thread(target=write, args=(f"t{i}",)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    assert count(path, "readings") == 40


KILLED = """
import os, sys
from dataclasses import replace
from pathlib import Path
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.bundle import read_bundle
from stibium.edge.engine import Engine
from stibium.edge.model.estimate import Estimator
from stibium.edge.log.write import Log
bundle = read_bundle(sys.argv[1])
golden = bundle.golden
spectrum = Spectrum(golden.wavelengths_nm, golden.reflectance[0], "reflectance", "S", splices_nm=golden.splices_nm)
# One process that has everything imported makes those that are killed.
for _ in sys.stdin:
    pid = os.fork()
    if not pid:
        with Log(sys.argv[2], bundle.name, bundle.sha256) as log:
            engine = Engine(Estimator(bundle), log)
            for i in range(100000):
                engine.take([replace(spectrum, sample_id=f"S{i}")])
                os.write(1, f"{i}\\n".encode())
    os.write(1, f"pid {pid}\\n".encode())
    os.waitpid(pid, 0)
    os.write(1, b"dead\\n")
"""


def test_kill_9_loses_no_reading_that_was_shown(tiny_bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    shown_before = 0
    command = [sys.executable, "-c", KILLED, str(tiny_bundle), str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for round_number in range(5):
            process.stdin.write("\n")
            process.stdin.flush()
            shown = pid = 0
            for line in process.stdout:
                if line == "dead\n":
                    break
                if line.startswith("pid "):
                    pid = int(line[4:])
                else:
                    shown = int(line) + 1
                if pid and shown > 3 + 7 * round_number:
                    os.kill(pid, signal.SIGKILL)
                    pid = 0
            assert shown > 3
            stored = count(log, "readings")
            # At most the one that was committed and not yet shown comes on top.
            assert shown_before + shown <= stored <= shown_before + shown + 1
            assert count(log, "estimates") == stored
            with sqlite3.connect(log) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            shown_before = stored
        process.stdin.close()


def test_foreign_and_newer_databases_are_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE mine(x)")
    with pytest.raises(LogError, match="another program"):
        Log(foreign)
    newer = tmp_path / "newer.db"
    Log(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(LogError, match="version 99"):
        Log(newer)


def test_no_database_at_all_is_one_line(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be looked at\n" * 50)
    with pytest.raises(LogError, match=r"notes\.txt: the log cannot be used"):
        Log(text)
    assert text.read_text().startswith("not a database")
    with pytest.raises(LogError, match="cannot be opened"):
        Log(text / "under" / "a-file.db")


def test_default_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIBIUM_LOG", "/data/readings.db")
    assert default_log_path() == Path("/data/readings.db")
    monkeypatch.delenv("STIBIUM_LOG")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_log_path() == Path("/state/stibium/readings.db")


def test_neighbouring_measurements_of_a_sample_are_averaged(soils: list[Spectrum]) -> None:
    a, b = soils[0], replace(soils[1], sample_id="B")
    broken = Refusal("x.asd", "is empty")
    saturated = replace(a, saturated=("VNIR",))
    items = [a, replace(a, values=a.values * 1.2), saturated, broken, b, b, b]
    out = list(average_samples(items))
    assert [getattr(o, "measurement", "refused") for o in out] == ["mean of 2", "", "refused", "mean of 3"]
    assert isinstance(out[0], Spectrum)
    np.testing.assert_allclose(out[0].values, a.values * 1.1, rtol=1e-12)
    assert out[1] is saturated
    assert out[2] is broken


def test_chunks_keep_everything_in_order() -> None:
    items = [Refusal(str(i), "r") for i in range(10)]
    chunks = list(in_chunks(items, 4))
    assert [len(c) for c in chunks] == [4, 4, 2]
    assert [i for c in chunks for i in c] == items
