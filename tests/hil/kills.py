"""`kill -9` of the real programs, at every point of a measurement and at random moments, as often as one likes."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from line_processes import PATIENCE_S, Listener
from measuring_day import Measurer, shown_in
from shots import Shots, shipped_bundle, shipped_soils
from stibium.edge.simulators.ends import PtyEnd
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe
from truth import assert_sound, readings

CHECKED_EVERY = 25
KILL_AT = str(Path(__file__).with_name("kill_at.py"))


def kill_at_points(folder: Path, count: int | None, seed: int) -> str:
    """Kill `stibium listen` before or after the things it does to the world, one start for each (`kill_at.py`).

    Args:
        folder: to work in.
        count: of the things that a run of two measurements does, so many are drawn; None: all of them.
        seed: of the draw.
    """
    shots = Shots(shipped_soils())
    listener = Listener(folder, shipped_bundle())
    counted = folder / "counted"
    with VirtualProbe(VirtualInstrument(shots.simulation(), button_s=0.0), PtyEnd(folder / "port")) as probe:
        arguments = listener.command(probe.name, "--passive", "--points", "1", "--count", "2")[1:]

        def run(at: int) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, KILL_AT, str(at), str(counted), *arguments]
            return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

        assert run(0).returncode == 0
        things = int(counted.read_text())
        assert things > 60
        points = list(range(1, things))
        shown, kills = 2, 0
        for at in points if count is None else sorted(random.Random(seed).sample(points, count)):
            done = run(at)
            assert done.returncode in (-signal.SIGKILL, 0), done.stderr
            kills += done.returncode != 0
            shown += len(shown_in(done.stdout))
            if count is not None or at % CHECKED_EVERY == 0:
                assert assert_sound(listener.log, folder / "copy") >= shown, "shown and not stored"
        shots.end()
        last = listener.run(probe.name, "--passive", "--points", "1")
    assert last.code == 0, last.err
    stored = assert_all_there(listener.log, shots)
    assert_sound(listener.log, folder / "copy")
    return f"{kills} kills at {things} points of a run, {len(stored)} measurements: 0 lost, 0 doubled"


def kill_again_and_again(folder: Path, count: int, seed: int) -> str:
    """Kill `stibium listen` at random moments; every measurement must be there once, and each that was shown."""
    dice = random.Random(seed)
    shots = Shots(shipped_soils())
    listener = Listener(folder, shipped_bundle())
    shown: list[str] = []
    kills = 0
    with VirtualProbe(VirtualInstrument(shots.simulation(), button_s=0.0), PtyEnd(folder / "port")) as probe:
        for number in range(count):
            with listener.running(probe.name, "--passive", "--points", "1") as process:
                assert process.stderr is not None
                if dice.random() < 0.2:
                    time.sleep(dice.random() * 0.4)  # while it starts
                else:
                    process.stderr.readline()
                    time.sleep(dice.random() * 0.06)
                process.kill()
                out, _ = process.communicate(timeout=PATIENCE_S)
                kills += process.returncode == -9
            shown += [json.loads(line)["sample_id"] for line in out.splitlines(True) if line.endswith("}\n")]
            if listener.log.exists() and (number < CHECKED_EVERY or number % CHECKED_EVERY == 0):
                assert assert_sound(listener.log, folder / "copy") >= len(shown), "shown and not stored"
        shots.end()
        done = listener.run(probe.name, "--passive", "--points", "1")
    assert done.code == 0, done.err
    shown += [record["sample_id"] for record in done.records]
    assert len(shown) == len(set(shown)), "shown twice"
    stored = assert_all_there(listener.log, shots)
    assert set(shown) <= stored, "shown and not stored"
    assert_sound(listener.log, folder / "copy")
    return f"{kills} kills, {len(stored)} measurements: 0 lost, 0 doubled, 0 corrupt databases"


def assert_all_there(log: Path, shots: Shots) -> set[str]:
    """Every measurement that was made is in the log once, with its values."""
    names: Counter[str] = Counter()
    for name, values in readings(log):
        assert values == shots.values(int(name[1:])).astype("<f4").tobytes(), f"{name}: not the values measured"
        names[name] += 1
    assert names == Counter(shots.name(number) for number in range(shots.highest + 1)), "lost or doubled"
    return set(names)


def kill_a_measuring_day(folder: Path, kills: int, samples: int, points: int, seed: int) -> str:
    """Kill `stibium measure` at random moments; the day goes on each time, and ends with each sample measured once."""
    dice = random.Random(seed)
    shots = Shots(shipped_soils())
    measurer = Measurer(folder, shipped_bundle(), "framed")
    options = ("--count", str(samples), "--points", str(points))
    shown: list[str] = []
    killed = scans = 0
    with VirtualProbe(VirtualInstrument(shots.simulation()), PtyEnd(folder / "port")) as probe:
        for number in range(kills):
            with measurer.start(probe.name, *options) as process:
                assert process.stderr is not None
                if dice.random() < 0.2:
                    time.sleep(dice.random() * 0.5)
                else:
                    process.stderr.readline()
                    time.sleep(dice.random() * 0.12)
                process.kill()
                out, _ = process.communicate(timeout=PATIENCE_S)
                killed += process.returncode == -9
            shown += shown_in(out)
            if measurer.log.exists() and (number < CHECKED_EVERY or number % CHECKED_EVERY == 0):
                assert assert_sound(measurer.log, folder / "copy") >= len(shown), "shown and not stored"
                scans, before = scans_in(folder / "copy" / "copy.db"), scans
                assert scans >= before, "a stored scan is gone"
            if process.returncode == 0:
                break  # the day was over before the kill
        # A day that had ended is not begun again.
        done = measurer.run(probe.name, *options) if process.returncode else None
    if done is not None:
        assert done.code == 0, done.err
        shown += shown_in(done.out)
    assert len(shown) == len(set(shown)), "shown twice"
    measurer.assert_samples_once(samples, points)
    # Each scan is a soil's, each soil is there once, in their order; a kill loses what was on its way, nothing else.
    measured = []
    played = {shots.values(number).astype("<f4").tobytes(): number for number in range(shots.highest + 1)}
    for (values,) in measurer.rows('SELECT "values" FROM scans ORDER BY id'):
        measured.append(played[values])
    assert measured == sorted(set(measured)), "a scan is there twice, or in the wrong place"
    assert len(measured) == samples * points, "a scan is lost or doubled"
    lost = measured[-1] + 1 - len(measured)
    assert lost <= killed, f"{lost} scans lost by {killed} kills"
    return f"{killed} kills, {samples} samples of {points} points: each once, 0 corrupt databases"


def scans_in(database: Path) -> int:
    """How many scans are stored; 0 before there is a table for them."""
    with closing(sqlite3.connect(database)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'scans'").fetchone():
            return 0
        return int(db.execute("SELECT count(*) FROM scans").fetchone()[0])
