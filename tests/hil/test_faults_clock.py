"""A device without a clock of its own: the time of day jumps by years while it measures and watches."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from line_processes import PATIENCE_S, STIBIUM, Listener
from stibium.converters.spectra.asd_write import pack_asd
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.simulators.ends import PtyEnd
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.spectra import from_spectra
from truth import assert_each_once, assert_sound, numbered, readings, refusals

pytestmark = pytest.mark.usefixtures("virtual_only")

YEAR_S = 365 * 86400


class Clock:
    """The time of day of a process, to be set wrong while it runs."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("no C compiler for the clock that jumps")
        library = folder / "jumping_clock.so"
        source = Path(__file__).with_name("jumping_clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
        self._offset = folder / "wrong_by_s"
        self.jump_to(0)
        self.env = os.environ | {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(self._offset)}

    def jump_to(self, wrong_by_s: int) -> None:
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(str(wrong_by_s))
        fresh.replace(self._offset)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    made = Clock(tmp_path)
    made.jump_to(10 * YEAR_S)
    show = [sys.executable, "-c", "import time; print(time.time())"]
    shown = float(subprocess.run(show, env=made.env, capture_output=True, text=True, check=True).stdout)
    assert shown - time.time() > 9 * YEAR_S, "the clock does not jump here"
    made.jump_to(0)
    return made


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "did not come"
        time.sleep(0.02)


def test_measuring_goes_on_whatever_the_time_of_day(
    listener: Listener, soils: list[Spectrum], tmp_path: Path, clock: Clock
) -> None:
    # Counts, so that dark and white are in force: their age must not come from the time of day.
    spectra = numbered(soils, 12)
    instrument = VirtualInstrument(from_spectra(spectra, raw=True))
    with VirtualProbe(instrument, PtyEnd(tmp_path / "port")) as probe:
        command = [*listener.command(probe.name, "--points", "1", "--white", "now"), "--ask"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clock.env
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            records = []
            for number in range(len(spectra)):
                clock.jump_to((0, 10, -20, 3, 40, -30)[number % 6] * YEAR_S)
                process.stdin.write("\n")
                process.stdin.flush()
                records.append(json.loads(process.stdout.readline()))
            process.communicate("\n", timeout=PATIENCE_S)
    assert process.returncode == 0
    assert [record["status"] for record in records] == ["estimated"] * len(spectra)
    assert [record["sample_id"] for record in records] == [spectrum.sample_id for spectrum in spectra]
    assert [name for name, _ in readings(listener.log)] == [spectrum.sample_id for spectrum in spectra]
    assert refusals(listener.log) == []
    assert_sound(listener.log, tmp_path / "copy")
    with closing(sqlite3.connect(listener.log)) as db:
        stored = [datetime.fromisoformat(at) for (at,) in db.execute("SELECT stored_at FROM readings ORDER BY id")]
    # The clock did jump, both ways, and the order of the readings is still that of the measurements.
    assert max(stored).year - min(stored).year > 40


def test_a_watched_folder_takes_each_file_once_whatever_the_time_of_day(
    tiny_bundle: Path, soils: list[Spectrum], tmp_path: Path, clock: Clock
) -> None:
    spectra = numbered(soils, 8)
    drop, log = tmp_path / "drop", tmp_path / "log.db"
    drop.mkdir()
    command = [STIBIUM, "watch", str(drop), "--log", str(log), "--model", str(tiny_bundle)]
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [*command, "--settle", "0.3", "--interval", "0.05", "--format", "jsonl"], env=clock.env, stdout=out
        )
        try:
            for number, spectrum in enumerate(spectra):
                clock.jump_to((5, -20, 0, 30)[number % 4] * YEAR_S)
                content = pack_asd(spectrum)
                # Half of it, then, after another jump, the rest; with times from another clock now and then.
                with (drop / f"{spectrum.sample_id}x.asd").open("wb", buffering=0) as file:
                    file.write(content[:9000])
                    time.sleep(0.15)
                    clock.jump_to((-10, 50)[number % 2] * YEAR_S)
                    file.write(content[9000:])
                if number % 2:
                    os.utime(drop / f"{spectrum.sample_id}x.asd", (1e9, 1e9))
                until(lambda wanted=number + 1: log.exists() and stored(log) == wanted)  # type: ignore[misc]
            clock.jump_to(-25 * YEAR_S)
            time.sleep(0.6)
            assert stored(log) == len(spectra)
        finally:
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
    assert sorted(name for name, _ in readings(log)) == [f"{s.sample_id}x" for s in spectra]


def stored(log: Path) -> int:
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True, timeout=30)) as db:
        try:
            return int(db.execute("SELECT count(*) FROM readings").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # made, but not filled yet


def test_a_log_filled_under_many_clocks_is_read_in_the_order_of_measuring(
    listener: Listener, soils: list[Spectrum], tmp_path: Path, clock: Clock
) -> None:
    spectra = numbered(soils, 6)
    instrument = VirtualInstrument(from_spectra(spectra), button_s=0.0)
    with VirtualProbe(instrument, PtyEnd(tmp_path / "port")) as probe:
        for years in (20, -20, 0):
            clock.jump_to(years * YEAR_S)
            command = listener.command(probe.name, "--passive", "--points", "1", "--count", "2")
            subprocess.run(command, env=clock.env, check=True, capture_output=True, timeout=PATIENCE_S)
    assert_each_once(listener.log, spectra)
    assert [name for name, _ in readings(listener.log)] == [spectrum.sample_id for spectrum in spectra]
