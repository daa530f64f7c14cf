"""The log under kill -9, power cuts, several writers and a full disk: what was committed is there, and no more."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from log_samples import a_scan, own_disk
from old_logs import spectra_of
from stibium.edge.errors import LogError
from stibium.edge.log.columns import ReadingFacts
from stibium.edge.log.disk_room import LEAST_BYTES, RESERVE_BYTES, DiskRoom, disk_room
from stibium.edge.log.history import iter_sessions
from stibium.edge.log.read import iter_entries, open_for_reading
from stibium.edge.log.write import Log, Result
from stibium.edge.model.estimate import Refusal
from stibium.edge.model.replicates import mean_spectrum

KILLS = int(os.environ.get("STIBIUM_KILLS", "40"))
"""How often the writer is killed; more in a long run."""

WRITER = """
import json, os, sys
from dataclasses import replace
sys.path.insert(0, sys.argv[1])
import numpy as np
from log_samples import a_scan, own_disk
from old_logs import spectra_of
from stibium.edge.log.columns import ReadingFacts
from stibium.edge.log.write import Log, Result
from stibium.edge.model.estimate import Estimate, Refusal
spectra = spectra_of(2, 300)
nm = spectra[0].wavelengths_nm

def write(path, round_number, most):
    with Log(path, "m.tflite", "ab" * 32) as log:
        session = log.begin_session(port=f"round {round_number}")
        for i in range(most):
            number = 1000000 * round_number + i
            scan = log.add_scan(a_scan(number, 300), session_id=session, kind="target", wavelengths_nm=nm)
            os.write(1, f"scan {number}\\n".encode())
            name = f"R{number}"
            estimate = Estimate(name, "", "x", None, "Sb", "ppm", 1.0, "", 0.5, 2.0, 0.9, "inside", "", (), 0.1, 0.1, False)
            about = ReadingFacts(session_id=session, scan_ids=((scan, "target"),))
            log.add([Result(replace(spectra[i % 2], sample_id=name), estimate, about)])
            os.write(1, f"reading {number}\\n".encode())
        log.end_session(session)

# One process that has everything imported makes the writers, so that the time goes into writing and dying.
for line in sys.stdin:
    path, most, *rounds = json.loads(line)
    pids = []
    for round_number in rounds:
        pid = os.fork()
        if not pid:
            write(path, round_number, most)
            os._exit(0)
        pids.append(pid)
        os.write(1, f"pid {pid}\\n".encode())
    ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    os.write(1, f"dead {sum(map(abs, ended))}\\n".encode())
"""


@pytest.fixture(scope="module")
def writer() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def start(writer: subprocess.Popen[str], path: Path, most: int, *rounds: int) -> None:
    """Let a process for each round write `most` readings; their lines come from `writer.stdout`."""
    assert writer.stdin is not None
    writer.stdin.write(json.dumps([str(path), most, *rounds]) + "\n")
    writer.stdin.flush()


def stored(path: Path) -> tuple[set[int], set[int]]:
    """Numbers of the scans and readings in a log, which must be sound."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        scans = [number for (number,) in db.execute("SELECT number FROM scans")]
        readings = [int(name[1:]) for (name,) in db.execute("SELECT sample_id FROM readings")]
        (estimates,) = db.execute("SELECT count(DISTINCT reading_id) FROM estimates").fetchone()
        (made_of,) = db.execute("SELECT count(*) FROM reading_scans").fetchone()
    assert estimates == made_of == len(readings)
    assert len(set(scans)) == len(scans)
    assert len(set(readings)) == len(readings)
    return set(scans), set(readings)


def made(path: Path) -> bool:
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as db:
        return bool(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


@pytest.mark.timeout(60 + 2 * KILLS)
def test_kill_9_at_random_moments_loses_nothing(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    assert writer.stdout is not None
    chance = random.Random(4)
    said: dict[str, set[int]] = {"scan": set(), "reading": set()}
    killed_while_writing = 0
    for round_number in range(KILLS):
        start(writer, tmp_path / "log.db", 100_000, round_number)
        started = pid = 0
        # In some rounds before the file is even open, in most of them in the middle of writing.
        after = chance.choice([0, 0, 1, 3, 8])
        for line in writer.stdout:
            word, number = line.split()
            if word == "dead":
                break
            if word in said:
                said[word].add(int(number))
                started += 1
            else:
                pid = int(number)
            if started >= after and word != "dead" and pid:
                time.sleep(chance.uniform(0, 0.01))
                os.kill(pid, signal.SIGKILL)
                pid = 0
        killed_while_writing += started > 0
        if round_number % 10 == 0 or round_number == KILLS - 1:
            scans, readings = stored(tmp_path / "log.db") if made(tmp_path / "log.db") else (set(), set())
            assert said["scan"] <= scans
            assert said["reading"] <= readings
            # At most what was committed and not yet said comes on top: one of the two in each round.
            assert len(scans - said["scan"]) + len(readings - said["reading"]) <= round_number + 1
    assert killed_while_writing > KILLS / 4
    assert len(said["reading"]) > KILLS / 4
    with Log(tmp_path / "log.db") as log:
        # Every session was cut off, is known as such, and can be ended by whoever takes it up again.
        for session in list(iter_sessions(log.database, unfinished=True)):
            log.end_session(session.id)
        assert list(iter_sessions(log.database, unfinished=True)) == []


def test_two_processes_write_at_once(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    assert writer.stdout is not None
    start(writer, tmp_path / "log.db", 60, 0, 1)
    assert next(line for line in writer.stdout if line.startswith("dead")) == "dead 0\n"
    expected = {1_000_000 * n + i for n in range(2) for i in range(60)}
    assert stored(tmp_path / "log.db") == (expected, expected)
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        assert db.execute("SELECT count(*) FROM grids").fetchone() == (2,)
        assert db.execute("SELECT count(*) FROM models").fetchone() == (1,)


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[int]]:
    """Copy of a log and its write-ahead file, with the file's size after each of 25 commits."""
    path, copy = tmp_path / "log.db", tmp_path / "copy" / "log.db"
    copy.parent.mkdir()
    sizes = []
    # Made and closed first, so that tables and schema are in the database itself.
    Log(path).close()
    with Log(path) as log:
        journal = Path(f"{path}-wal")
        for number, spectrum in enumerate(spectra_of(25, 700)):
            log.add([Result(spectrum, Refusal("x", f"number {number}"))])
            sizes.append(journal.stat().st_size)
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    assert sizes == sorted(set(sizes))
    return copy, sizes


def readings_after_power_cut(copy: Path, place: Path, journal: bytes, database: bytes | None = None) -> list[str]:
    place.mkdir()
    (place / "log.db").write_bytes(copy.read_bytes() if database is None else database)
    (place / "log.db-wal").write_bytes(journal)
    with closing(sqlite3.connect(place / "log.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = [name for (name,) in db.execute("SELECT sample_id FROM readings ORDER BY id")]
        (refusals,) = db.execute("SELECT count(*) FROM refusals").fetchone()
    assert refusals == len(names)
    # And the log goes on being written.
    with Log(place / "log.db") as log:
        log.add([Result(None, Refusal("x", "after the power cut"))])
    return names


def test_a_power_cut_keeps_every_commit_before_it(written: tuple[Path, list[int]], tmp_path: Path) -> None:
    copy, sizes = written
    journal = Path(f"{copy}-wal").read_bytes()
    chance = random.Random(5)
    cuts = {0, 31, 32, *sizes, *(size - 1 for size in sizes), *(chance.randrange(len(journal)) for _ in range(30))}
    for cut in sorted(cuts):
        # What reached the disk ends here, or goes on with what was there before: zeros, rubbish.
        tails = (b"", bytes(5000), chance.randbytes(5000))
        names = readings_after_power_cut(copy, tmp_path / f"cut{cut}", journal[:cut] + tails[cut % 3])
        committed = sum(size <= cut for size in sizes)
        assert names == [f"P{number:03d}" for number in range(committed)], cut


def test_a_power_cut_while_the_journal_is_copied_into_the_database(
    written: tuple[Path, list[int]], tmp_path: Path
) -> None:
    copy, sizes = written
    before, journal = copy.read_bytes(), Path(f"{copy}-wal").read_bytes()
    done = tmp_path / "done" / "log.db"
    done.parent.mkdir()
    done.write_bytes(before)
    Path(f"{done}-wal").write_bytes(journal)
    with closing(sqlite3.connect(done)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    after = done.read_bytes()
    page = struct.unpack(">H", before[16:18])[0]
    chance = random.Random(6)
    for trial in range(12):
        # Any of the pages may have been written, in any order, and the file may not have grown yet.
        mixed = bytearray(before + bytes(chance.choice([0, len(after) - len(before)])))
        for at in range(0, len(mixed), page):
            if chance.random() < 0.5:
                mixed[at : at + page] = after[at : at + page]
        names = readings_after_power_cut(copy, tmp_path / f"mixed{trial}", journal, bytes(mixed))
        assert len(names) == len(sizes) == 25


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with own_disk(tmp_path / "small") as place:
        yield place


def fill(place: Path, leave: int) -> Path:
    filler = place / f"filler-{leave}"
    with open(filler, "wb") as file:
        while (room := disk_room(filler).free_bytes - leave) > 0:
            file.write(bytes(min(room, 1_000_000)))
            file.flush()
    return filler


def test_a_disk_that_fills_up_is_announced_and_stores_what_was_measured(small_disk: Path) -> None:
    path = small_disk / "log.db"
    nm = np.linspace(350, 2500, 2151)
    spectrum = spectra_of(1, 2151)[0]
    with Log(path) as log:
        session = log.begin_session(port="p")
        assert Path(f"{path}-reserve").stat().st_size == RESERVE_BYTES
        room = log.room()
        assert room.enough
        assert room.low
        assert "MB left on the disk; nothing more is measured below 20 MB" in room.notice
        fill(small_disk, 15_000_000)
        room = log.room()
        assert not room.enough
        assert "nothing more is measured until there are 20 MB" in room.notice
        # Meanwhile another program takes the last byte; a sample was just measured.
        fill(small_disk, 0)
        scans = []
        for number in range(5):
            scan_id = log.add_scan(a_scan(number), session_id=session, kind="target", wavelengths_nm=nm)
            scans.append((scan_id, "target"))
        log.add([Result(spectrum, Refusal("x", "y"), ReadingFacts(session_id=session, scan_ids=tuple(scans)))])
        log.add_event("disk_full", log.room().notice, session_id=session)
        assert not Path(f"{path}-reserve").exists()

        def go_on() -> None:
            for number in range(5, 1000):
                log.add_scan(a_scan(number), session_id=session, kind="target", wavelengths_nm=nm)

        with pytest.raises(LogError, match="the log cannot be written, so nothing more is measured"):
            go_on()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert [row[0] for row in db.execute("SELECT number FROM scans LIMIT 5")] == [0, 1, 2, 3, 4]
        assert db.execute("SELECT count(*) FROM readings").fetchone() == (1,)
        (before,) = db.execute("SELECT count(*) FROM scans").fetchone()
    for filler in small_disk.glob("filler-*"):
        filler.unlink()
    with Log(path) as log:
        # Room again: the reserve is laid by anew, and the scan that was refused goes in.
        log.begin_session(port="p")
        assert Path(f"{path}-reserve").exists()
        log.add_scan(a_scan(5000), session_id=session, kind="target", wavelengths_nm=nm)
        assert log.database.execute("SELECT count(*) FROM scans").fetchone() == (before + 1,)


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    # https://www.sqlite.org/pragma.html#pragma_synchronous: with WAL only FULL (2) survives a power cut.
    with Log(tmp_path / "log.db") as log:
        assert log.database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert log.database.execute("PRAGMA synchronous").fetchone() == (2,)
        assert log.database.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_the_reserve_and_the_least_room_hold_many_samples(tmp_path: Path) -> None:
    path, nm = tmp_path / "log.db", np.arange(350.0, 2501.0)
    point = replace(spectra_of(1, nm.size)[0], wavelengths_nm=nm)
    with Log(path) as log:
        session = log.begin_session(port="p")

        def on_disk() -> int:
            return path.stat().st_size + Path(f"{path}-wal").stat().st_size

        before = on_disk()
        ids = [
            log.add_scan(a_scan(number), session_id=session, kind="target", wavelengths_nm=nm) for number in range(5)
        ]
        about = ReadingFacts(session_id=session, scan_ids=tuple((scan_id, "target") for scan_id in ids))
        log.add([Result(mean_spectrum([point] * 5), Refusal("x", "y"), about)])
        sample = on_disk() - before
    # docs/log.md says 0.3 MB, before the journal is used again.
    assert sample < 300_000
    assert 5 * sample < RESERVE_BYTES
    assert 50 * sample < LEAST_BYTES


def test_a_log_on_a_full_disk_is_read(small_disk: Path) -> None:
    path = small_disk / "log.db"
    with Log(path) as log:
        log.add([Result(spectrum, Refusal("x", "y")) for spectrum in spectra_of(4)])
    fill(small_disk, 0)
    with open_for_reading(path) as db:
        assert [entry.reading.sample_id for entry in iter_entries(db) if entry.reading] == [f"P00{i}" for i in range(4)]
    with pytest.raises(LogError, match="free space"):
        Log(path)


def test_room_is_that_of_the_disk(tmp_path: Path) -> None:
    room = disk_room(tmp_path / "not" / "there" / "yet" / "log.db")
    found = shutil.disk_usage(tmp_path)
    assert room.folder == tmp_path
    assert room.total_bytes == found.total
    assert room.free_bytes == pytest.approx(found.free, rel=0.05)


@pytest.mark.parametrize(
    ("free_mb", "total_mb", "enough", "low"),
    [
        (LEAST_BYTES / 1e6 - 1, 32_000, False, True),
        (LEAST_BYTES / 1e6, 32_000, True, True),
        (999, 32_000, True, True),
        (1001, 32_000, True, False),
        (201, 2_000, True, False),
        (199, 2_000, True, True),
        (1001, 1_000_000, True, False),
    ],
)
def test_low_and_enough(free_mb: float, total_mb: float, enough: bool, low: bool) -> None:
    room = DiskRoom(Path("/data"), int(free_mb * 1e6), int(total_mb * 1e6))
    assert (room.enough, room.low, bool(room.notice)) == (enough, low, low)
