"""Disks that fill up, are read-only or lose power: nothing committed is lost, and what is shown is committed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from line_processes import PATIENCE_S, STIBIUM, Listener
from small_disk import card, fill, meet_an_error, memory_disk, repair, resize, set_read_only
from stibium.converters.spectra.asd_write import write_asd
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.simulators.ends import PtyEnd
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.spectra import from_spectra
from truth import assert_each_once, assert_intact, assert_sound, numbered, readings

pytestmark = pytest.mark.usefixtures("virtual_only")

PASSIVE = ("--passive", "--points", "1")


@contextmanager
def button_pressed(spectra: list[Spectrum], folder: Path) -> Iterator[str]:
    """An instrument that measures as soon as the last measurement is acknowledged; gives its port."""
    instrument = VirtualInstrument(from_spectra(spectra), button_s=0.0)
    with VirtualProbe(instrument, PtyEnd(folder / "port")) as probe:
        yield probe.name


def assert_one_clear_line(err: str, *words: str) -> None:
    """The last thing said is one line that says what happened and what to do; nothing is a traceback."""
    assert "Traceback" not in err
    last = [line for line in err.splitlines() if line.startswith("stibium: ")][-1]
    for word in words:
        assert word in last


# --- full ------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_stops_measuring_and_keeps_what_is_taken(
    listener: Listener, soils: list[Spectrum], tmp_path: Path
) -> None:
    spectra = numbered(soils, 80)
    with memory_disk(tmp_path / "disk", 700) as disk, button_pressed(spectra, tmp_path) as port:
        listener.log = disk / "log.db"
        done = listener.run(port, *PASSIVE)
        assert done.code == 1
        assert_one_clear_line(done.err, str(listener.log), "so nothing more is measured", "free space")
        shown = [record["sample_id"] for record in done.records]
        assert 0 < len(shown) < len(spectra)
        again = listener.run(port, *PASSIVE)
        assert (again.code, again.out) == (1, "")
        assert_one_clear_line(again.err, str(listener.log), "free space")
        assert assert_sound(listener.log, tmp_path / "copy") >= len(shown)
        resize(disk, 20_000)
        done = listener.run(port, *PASSIVE)
        assert done.code == 0, done.err
        assert shown + [record["sample_id"] for record in done.records] == [s.sample_id for s in spectra]
        assert_each_once(listener.log, spectra)


def test_a_disk_without_room_for_a_log(listener: Listener, soils: list[Spectrum], tmp_path: Path) -> None:
    spectra = numbered(soils, 2)
    with memory_disk(tmp_path / "disk", 64) as disk, button_pressed(spectra, tmp_path) as port:
        listener.log = disk / "log.db"
        filler = fill(disk)
        done = listener.run(port, *PASSIVE)
        assert (done.code, done.out) == (1, "")
        assert len(done.err.splitlines()) == 1
        assert_one_clear_line(done.err, str(listener.log), "free space")
        filler.unlink()
        resize(disk, 4000)
        assert listener.run(port, *PASSIVE).code == 0
        assert_each_once(listener.log, spectra)


def test_a_full_disk_while_a_folder_is_watched(tiny_bundle: Path, soils: list[Spectrum], tmp_path: Path) -> None:
    spectra = numbered(soils, 100)
    drop = tmp_path / "drop"
    drop.mkdir()
    for spectrum in spectra:
        write_asd(drop / f"{spectrum.sample_id}x.asd", spectrum)
    with memory_disk(tmp_path / "disk", 900) as disk:
        log = disk / "log.db"
        chosen = ["--log", str(log), "--model", str(tiny_bundle), "--settle", "0.1", "--format", "jsonl", "--once"]
        first = subprocess.run(
            [STIBIUM, "watch", str(drop), *chosen], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert first.returncode == 1
        assert_one_clear_line(first.stderr, str(log), "free space")
        assert len(first.stdout.splitlines()) < len(spectra)
        assert assert_sound(log, tmp_path / "copy") == len(first.stdout.splitlines())
        resize(disk, 20_000)
        second = subprocess.run(
            [STIBIUM, "watch", str(drop), *chosen], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert second.returncode == 0, second.stderr
        lines = (first.stdout + second.stdout).splitlines()
        assert sorted(json.loads(line)["sample_id"] for line in lines) == [f"{s.sample_id}x" for s in spectra]
        assert len(readings(log)) == len(spectra)


@pytest.mark.parametrize("out_format", ["table", "jsonl", "csv"])
def test_results_that_cannot_be_written_out_are_in_the_log(
    listener: Listener, soils: list[Spectrum], tmp_path: Path, out_format: str
) -> None:
    spectra = numbered(soils, 5)
    with button_pressed(spectra, tmp_path) as port:
        command = [*listener.command(port, *PASSIVE), "--format", out_format]
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False
            )
        assert done.returncode == 1
        assert_one_clear_line(
            done.stderr, "the output cannot be written", "No space left", "the results are in the log"
        )
        assert len(readings(listener.log)) >= 1
        done_after = listener.run(port, *PASSIVE)
    assert done_after.code == 0, done_after.err
    assert_each_once(listener.log, spectra)


def test_a_recording_that_fills_the_disk(listener: Listener, soils: list[Spectrum], tmp_path: Path) -> None:
    spectra = numbered(soils, 20)
    with memory_disk(tmp_path / "disk", 100) as disk, button_pressed(spectra, tmp_path) as port:
        record = disk / "day.rec"
        done = listener.run(port, *PASSIVE, "--record", str(record))
        assert done.code == 1
        assert_one_clear_line(done.err, str(record))
        assert 0 < len(done.records) < len(spectra)
        after = listener.run(port, *PASSIVE)
    assert after.code == 0, after.err
    assert_each_once(listener.log, spectra)


# --- read-only -------------------------------------------------------------------------------------------


def test_a_log_on_a_read_only_disk(listener: Listener, soils: list[Spectrum], tmp_path: Path) -> None:
    spectra = numbered(soils, 4)
    with memory_disk(tmp_path / "disk", 4000) as disk, button_pressed(spectra, tmp_path) as port:
        listener.log = disk / "log.db"
        for _ in range(2):  # without a log on it, then with one
            set_read_only(disk, True)
            done = listener.run(port, *PASSIVE, "--count", "1")
            assert (done.code, done.out) == (1, "")
            assert len(done.err.splitlines()) == 1
            assert_one_clear_line(done.err, str(listener.log), "permission is needed, or another file with --log")
            set_read_only(disk, False)
            assert listener.run(port, *PASSIVE, "--count", "1").code == 0
        assert listener.run(port, *PASSIVE).code == 0
        assert_each_once(listener.log, spectra)


def test_a_card_that_turns_read_only_while_it_measures(
    listener: Listener, soils: list[Spectrum], tmp_path: Path
) -> None:
    spectra = numbered(soils, 250)
    with card(tmp_path / "card") as disk, button_pressed(spectra, tmp_path) as port:
        listener.log = disk / "log.db"
        with listener.running(port, *PASSIVE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(5)]
            meet_an_error(disk)
            out, err = process.communicate(timeout=PATIENCE_S)
        shown = [json.loads(line)["sample_id"] for line in [*lines, *out.splitlines()]]
        assert process.returncode == 1
        assert len(shown) < len(spectra)
        assert_one_clear_line(err, str(listener.log), "so nothing more is measured")
        repair(disk)
        assert_intact(listener.log)
        # A bare loop of pwrite and fdatasync shows it too: at the moment of the error Linux may confirm one write that
        # it then does not keep. What had been shown before that moment is there, and nothing is there twice.
        stored = {name for name, _ in readings(listener.log)}
        lost = set(shown) - stored
        assert lost <= {shown[-1]} - set(shown[: len(lines)])
        done = listener.run(port, *PASSIVE)
        assert done.code == 0, done.err
        assert_each_once(listener.log, [spectrum for spectrum in spectra if spectrum.sample_id not in lost])


def test_a_write_protected_stick_is_read(tiny_bundle: Path, soils: list[Spectrum], tmp_path: Path) -> None:
    spectra = numbered(soils, 5)
    with memory_disk(tmp_path / "stick", 2000) as stick:
        for spectrum in spectra:
            write_asd(stick / f"{spectrum.sample_id}x.asd", spectrum)
        set_read_only(stick, True)
        command = [STIBIUM, "watch", str(stick), "--log", str(tmp_path / "log.db"), "--model", str(tiny_bundle)]
        done = subprocess.run(
            [*command, "--settle", "0.1", "--once"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, done.stderr
    assert len(readings(tmp_path / "log.db")) == len(spectra)


# --- a power cut -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """The log's files at one moment, and how many readings had been shown by then."""

    database: bytes
    wal: bytes
    shown: int

    @property
    def page_bytes(self) -> int:
        return struct.unpack_from(">I", self.wal, 8)[0]

    def frames(self) -> list[tuple[int, int, bool]]:
        """(where it ends, page, whether it ends a transaction) of the frames that count.

        https://www.sqlite.org/fileformat2.html#the_write_ahead_log
        """
        if len(self.wal) < 32:
            return []
        found, at, salts = [], 32, self.wal[16:24]
        while at + 24 + self.page_bytes <= len(self.wal) and self.wal[at + 8 : at + 16] == salts:
            page, size = struct.unpack_from(">II", self.wal, at)
            at += 24 + self.page_bytes
            found.append((at, page, size != 0))
        return found

    def is_being_checkpointed(self) -> bool:
        """Whether pages of the log ahead are in the database already; then all of that log is on the disk for sure."""
        size = self.page_bytes
        newest = {page: self.wal[end - size : end] for end, page, _ in self.frames()}
        return any(self.database[(page - 1) * size : page * size] == content for page, content in newest.items())


def taken_while_measuring(
    listener: Listener, port: str, spectra: list[Spectrum], count: int, dice: random.Random
) -> list[Snapshot]:
    """Stop `stibium listen` at random moments and copy what lies on the disk; the last time after a checkpoint."""
    snapshots: list[Snapshot] = []
    shown = 0
    wal = Path(f"{listener.log}-wal")
    with listener.running(port, *PASSIVE) as process:
        assert process.stdout is not None
        for number in range(count + 1):
            wanted = shown + dice.randrange(1, len(spectra) // (4 * count))
            while shown < wanted or (number == count and listener.log.stat().st_size < 100_000):
                assert process.stdout.readline(), "it ended before its log had a checkpoint"
                shown += 1
            process.send_signal(signal.SIGSTOP)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            snapshots.append(Snapshot(listener.log.read_bytes(), wal.read_bytes() if wal.exists() else b"", shown))
            process.send_signal(signal.SIGCONT)
        process.kill()
    return snapshots


def readings_after(folder: Path, database: bytes, wal: bytes) -> int:
    """Open what a power cut left; give the readings, all of it being intact."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "log.db").write_bytes(database)
    (folder / "log.db-wal").write_bytes(wal)
    return assert_intact(folder / "log.db")


def torn(data: bytes, at: int, dice: random.Random) -> bytes:
    """Data whose sectors from one place on were written, not written, or hold anything."""
    out = bytearray(data)
    start = at
    while start < len(out):
        end = min(start - start % 512 + 512, len(out))
        what = dice.randrange(3)
        if what:
            out[start:end] = dice.randbytes(end - start) if what == 1 else bytes(end - start)
        start = end
    return bytes(out)


def test_a_power_cut_takes_nothing_that_was_committed(
    listener: Listener, soils: list[Spectrum], tmp_path: Path
) -> None:
    dice = random.Random(14)
    spectra = numbered(soils, 400)
    with button_pressed(spectra, tmp_path) as port:
        snapshots = taken_while_measuring(listener, port, spectra, 6, dice)
    after = tmp_path / "after"
    torn_pages = cuts = 0
    for snapshot in snapshots:
        frames = snapshot.frames()
        whole = readings_after(after, snapshot.database, snapshot.wal)
        assert whole >= snapshot.shown
        commits = [end for end, _, commits in frames if commits]
        if not commits:
            continue
        # What had been shown was synchronised to the disk: no power cut reaches before the commit it was shown by.
        counts = {}
        for end in [] if snapshot.is_being_checkpointed() else dice.sample(commits, min(4, len(commits))):
            counts[end] = readings_after(after, snapshot.database, snapshot.wal[:end])
            cuts += 1
        for end, wanted in counts.items():
            following = min((c for c in commits if c > end), default=len(snapshot.wal))
            cut = dice.randrange(end, following) if following > end else end
            # Up to the next commit's last byte nothing more and nothing less is there.
            assert readings_after(after, snapshot.database, snapshot.wal[:cut]) == wanted
            assert readings_after(after, snapshot.database, torn(snapshot.wal, end, dice)) in (wanted, wanted + 1)
            place = commits.index(end)
            assert whole - wanted <= len(commits) - 1 - place, "a commit before the cut is gone"
        # The database itself may be torn wherever the log ahead of it has the page, as amid a checkpoint.
        database = bytearray(snapshot.database)
        size = snapshot.page_bytes
        for page in {page for end, page, _ in frames if end <= commits[-1] and page > 1}:
            start = (page - 1) * size
            if start + size <= len(database) and dice.random() < 0.7:
                torn_pages += 1
                database[start : start + size] = torn(bytes(database[start : start + size]), 0, dice)
        assert readings_after(after, bytes(database), snapshot.wal) == whole
    assert torn_pages
    assert cuts > 10
    # And the program goes on from the worst of them.
    shutil.copy(after / "log.db", listener.log)
    for suffix in ("-wal", "-shm"):
        Path(f"{listener.log}{suffix}").unlink(missing_ok=True)
    with button_pressed(spectra[:3], tmp_path) as port:
        done = listener.run(port, *PASSIVE)
    assert done.code == 0, done.err
    assert assert_sound(listener.log, tmp_path / "copy") == whole + 3


def test_the_disk_has_confirmed_a_reading_before_it_is_shown(
    tiny_bundle: Path, soils: list[Spectrum], tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    write_asd(tmp_path / "one.asd", numbered(soils, 1)[0])
    calls = tmp_path / "calls"
    watched = ["strace", "-f", "-y", "-o", str(calls), "-e", "trace=write,writev,pwrite64,fsync,fdatasync"]
    command = [STIBIUM, "predict", str(tmp_path / "one.asd"), "--log", str(tmp_path / "log.db")]
    done = subprocess.run(
        [*watched, *command, "--model", str(tiny_bundle), "--format", "jsonl"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode != 0 and "ptrace" in done.stderr:
        pytest.skip("tracing is not permitted here")
    assert done.returncode == 0, done.stderr
    lines = calls.read_text().splitlines()
    shown = next(i for i, line in enumerate(lines) if " write(1<" in line)
    log_calls = [line for line in lines[:shown] if "log.db-wal>" in line]
    assert "pwrite64(" in "".join(log_calls)
    assert "sync(" in log_calls[-1], "the last thing done to the log before showing was no synchronisation"


def test_the_settings_that_this_rests_on(tmp_path: Path) -> None:
    from stibium.edge.log.write import Log

    with Log(tmp_path / "log.db") as log:
        assert log.database.execute("PRAGMA synchronous").fetchone() == (2,)
        assert log.database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with sqlite3.connect(tmp_path / "log.db") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
