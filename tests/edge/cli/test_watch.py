"""`stibium watch` as a process: copies made by other processes, kills at any moment, and what it says at the end."""

from __future__ import annotations

import csv
import json
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from drop_files import asd_bytes, table_lines
from stibium.converters.spectra.asd_write import write_asd
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.gathering import Gathering
from stibium.edge.log.taken import Piece

STIBIUM = str(Path(sys.executable).parent / "stibium")


@dataclass
class Watcher:
    """A running `stibium watch`."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def stop(self, number: int = signal.SIGTERM) -> tuple[str, str]:
        """Send a signal; give what it printed."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> tuple[str, str]:
        self.process.wait(timeout=120)
        return self.out.read_text(), self.err.read_text()


class Device:
    """A folder, a log, and the watcher's processes."""

    def __init__(self, tmp_path: Path, bundle: Path) -> None:
        self.drop = tmp_path / "drop"
        self.drop.mkdir()
        self.log = tmp_path / "log.db"
        self.bundle = bundle
        self.outputs = tmp_path / "outputs"
        self.outputs.mkdir()
        self.watchers: list[Watcher] = []

    def command(self, *options: str, settle_s: float = 0.3) -> list[str]:
        chosen = ["--model", str(self.bundle), "--log", str(self.log), "--settle", str(settle_s), "--interval", "0.05"]
        return [STIBIUM, "watch", str(self.drop), *chosen, "--format", "jsonl", *options]

    def start(self, *options: str, settle_s: float = 0.3) -> Watcher:
        # Into files: nobody reads while it runs, and a full pipe would hold it up.
        out = self.outputs / f"{len(self.watchers)}.out"
        err = self.outputs / f"{len(self.watchers)}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(self.command(*options, settle_s=settle_s), stdout=out_file, stderr=err_file)
        watcher = Watcher(process, out, err)
        self.watchers.append(watcher)
        return watcher

    def once(self, *options: str, settle_s: float = 0.3) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command("--once", *options, settle_s=settle_s),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def rows(self, question: str) -> list[tuple[str, ...]]:
        if not self.log.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.log}?mode=ro", uri=True, timeout=30)) as db:
            try:
                return db.execute(question).fetchall()
            except sqlite3.OperationalError:
                return []  # made, but not filled yet

    def readings(self) -> list[str]:
        return sorted(row[0] for row in self.rows("SELECT sample_id FROM readings"))

    def refusals(self) -> list[str]:
        return sorted(Path(row[0]).name for row in self.rows("SELECT source FROM refusals"))


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Path) -> Iterator[Device]:
    made = Device(tmp_path, tiny_bundle)
    yield made
    for watcher in made.watchers:
        if watcher.process.poll() is None:
            watcher.process.kill()
            watcher.process.wait()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come; the time limit is only there so that a failure ends."""
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s, "did not come"
        time.sleep(0.02)


def test_once_takes_what_is_there_and_the_next_time_nothing(device: Device) -> None:
    for name in ("a", "b"):
        (device.drop / f"{name}.asd").write_bytes(asd_bytes())
    done = device.once()
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["sample_id"] for line in done.stdout.splitlines()] == ["a", "b"]
    assert "2 estimated, 0 refused" in done.stderr
    # As `predict` says it of one spectrum under two names.
    assert ["the same spectrum as sample a, so one" in line for line in done.stdout.splitlines()] == [False, True]
    assert device.readings() == ["a", "b"]
    again = device.once()
    assert (again.returncode, again.stdout) == (0, "")
    assert "0 estimated, 0 refused" in again.stderr


def test_once_refuses_with_a_reason_and_exit_code_1(device: Device) -> None:
    (device.drop / "a.asd").write_bytes(asd_bytes())
    (device.drop / "b.asd").write_bytes(asd_bytes()[:8000])
    done = device.once(settle_s=0.1)
    assert done.returncode == 1
    records = {json.loads(line)["source"]: json.loads(line) for line in done.stdout.splitlines()}
    assert records[str(device.drop / "a.asd")]["status"] == "estimated"
    assert records[str(device.drop / "b.asd")]["status"] == "refused"
    assert "Traceback" not in done.stderr
    assert (device.readings(), device.refusals()) == (["a"], ["b.asd"])


def test_once_leaves_what_is_still_being_written_and_says_so(device: Device) -> None:
    (device.drop / "a.asd").write_bytes(asd_bytes())
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nwhile True:\n open(sys.argv[1], 'ab').write(b'x'); time.sleep(0.02)",
            str(device.drop / "endless.log"),
        ]
    )
    try:
        until((device.drop / "endless.log").exists)
        done = device.once(settle_s=0.2)
    finally:
        writer.kill()
        writer.wait()
    assert done.returncode == 1
    assert "endless.log: left, it is still being written" in done.stderr
    assert (device.readings(), device.refusals()) == (["a"], [])


def test_a_folder_that_is_not_there(device: Device) -> None:
    device.drop.rmdir()
    done = device.once()
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
    device.drop.write_text("a file")
    assert device.once().returncode == 2


@pytest.mark.parametrize("option", [["--settle", "0"], ["--interval", "-1"], ["--settle", "soon"]])
def test_impossible_options_are_a_usage_error(device: Device, option: list[str]) -> None:
    done = device.once(*option)
    assert done.returncode == 2
    assert option[0] in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_it_cleanly_with_a_summary(device: Device, number: int) -> None:
    (device.drop / "a.asd").write_bytes(asd_bytes())
    (device.drop / "b.asd").write_bytes(b"no spectrum\n")
    watcher = device.start(settle_s=0.1)
    until(lambda: (device.readings(), device.refusals()) == (["a"], ["b.asd"]))
    out, err = watcher.stop(number)
    assert watcher.process.returncode == 0
    assert len(out.splitlines()) == 2
    assert err == "1 estimated, 1 refused\n" or err.startswith("1 estimated, 1 refused; ")


SLOW_COPY = textwrap.dedent(
    """
    import os, random, sys, time
    source, target, way, pause_s = sys.argv[1:3] + [sys.argv[3], float(sys.argv[4])]
    content = open(source, "rb").read()
    name = target + ".part" if way == "rename" else target
    pieces = [content[i : i + 7000] for i in range(0, len(content), 7000)]
    with open(name, "wb", buffering=0) as file:
        if way == "preallocate":
            os.posix_fallocate(file.fileno(), 0, len(content))
        if way == "sparse":
            file.truncate(len(content))
        for piece in pieces:
            time.sleep(pause_s)
            file.write(piece)
    if way == "keep times":
        os.utime(name, (1e9, 1e9))
    if way == "rename":
        os.rename(name, target)
    """
)


def test_copies_of_all_kinds_by_other_processes_are_taken_once(device: Device, tmp_path: Path) -> None:
    (tmp_path / "soil.asd").write_bytes(asd_bytes())
    (tmp_path / "table.csv").write_bytes(b"".join(table_lines([f"row{i}" for i in range(20)])))
    watcher = device.start(settle_s=0.6)
    ways = ["pieces", "preallocate", "sparse", "rename", "keep times"]
    writers = []
    for way in ways:
        # Pauses shorter and longer than the settling time.
        for pause_s in ("0.1", "0.8"):
            for source in ("soil.asd", "table.csv"):
                target = device.drop / f"{way}{pause_s}{Path(source).suffix}"
                arguments = [str(tmp_path / source), str(target), way, pause_s]
                writers.append(subprocess.Popen([sys.executable, "-c", SLOW_COPY, *arguments]))
    for writer in writers:
        assert writer.wait(timeout=60) == 0
    expected = sorted([f"{way}{p}" for way in ways for p in ("0.1", "0.8")] + 10 * [f"row{i}" for i in range(20)])
    until(lambda: len(device.readings()) >= len(expected))
    watcher.stop()
    assert device.readings() == expected
    assert device.refusals() == []


def test_new_content_moved_over_an_old_file_is_a_new_reading(device: Device, tmp_path: Path) -> None:
    (device.drop / "a.asd").write_bytes(asd_bytes(1))
    watcher = device.start()
    until(lambda: device.readings() == ["a"])
    (tmp_path / "new.asd").write_bytes(asd_bytes(2))
    os.replace(tmp_path / "new.asd", device.drop / "a.asd")
    until(lambda: device.readings() == ["a", "a"])
    (device.drop / "last.asd").write_bytes(asd_bytes())
    until(lambda: "last" in device.readings())
    watcher.stop()
    assert device.readings() == ["a", "a", "last"]
    spectra = device.rows("SELECT DISTINCT spectrum FROM readings WHERE sample_id = 'a'")
    assert len(spectra) == 2


def test_killed_at_any_moment_each_file_is_in_the_log_exactly_once(device: Device, tmp_path: Path) -> None:
    random.seed(20)
    names = [f"s{i:03d}x" for i in range(700)]
    rows = [f"r{i:03d}x" for i in range(200)]
    writer = textwrap.dedent(
        """
        import pickle, os, sys, time
        folder, contents = sys.argv[1], pickle.load(sys.stdin.buffer)
        for name, content in contents.items():
            with open(os.path.join(folder, name), "wb", buffering=0) as file:
                for start in range(0, len(content), 30000):
                    file.write(content[start : start + 30000])
                    time.sleep(0.002)
        """
    )
    contents = {f"{name}.asd": asd_bytes(i) for i, name in enumerate(names)}
    contents["table.csv"] = b"".join(table_lines(rows))
    (tmp_path / "contents").write_bytes(pickle.dumps(contents))
    with (tmp_path / "contents").open("rb") as stdin:
        copying = subprocess.Popen([sys.executable, "-c", writer, str(device.drop)], stdin=stdin)
    shown: Counter[str] = Counter()
    stored_at_kill = []
    total = len(names + rows)
    for _ in range(9):
        watcher = device.start(settle_s=0.3)
        seen = len(device.readings())
        # Sometimes while it starts, mostly in the midst of storing.
        if random.random() < 0.8:
            until(lambda before=seen: before < len(device.readings()) or before == total)  # type: ignore[misc]
        time.sleep(random.random() * 0.05)
        out, _ = watcher.stop(signal.SIGKILL)
        stored_at_kill.append(len(device.readings()))
        for line in out.splitlines():
            if line.endswith("}"):
                shown[json.loads(line)["sample_id"]] += 1
    assert copying.wait(timeout=60) == 0
    done = device.once()
    assert done.returncode == 0, done.stderr
    shown.update(json.loads(line)["sample_id"] for line in done.stdout.splitlines())
    assert device.readings() == sorted(names + rows)
    assert device.refusals() == []
    assert max(shown.values()) == 1
    # The kills did fall between the first reading and the last.
    assert len({count for count in stored_at_kill if 0 < count < total}) >= 2
    (estimates,) = device.rows("SELECT count(*) FROM estimates")[0]
    assert estimates == total


def test_two_watchers_of_one_folder_and_log_take_each_file_once(device: Device) -> None:
    for i in range(300):
        (device.drop / f"s{i:03d}x.asd").write_bytes(asd_bytes(i))
    first, second = device.start("--once"), device.start("--once")
    outputs = [watcher.end() for watcher in (first, second)]
    assert [first.process.returncode, second.process.returncode] == [0, 0], outputs
    assert device.readings() == [f"s{i:03d}x" for i in range(300)]
    lines = [line for out, _ in outputs for line in out.splitlines()]
    assert len(lines) == 300


def test_the_folder_may_vanish_and_return(device: Device, tmp_path: Path) -> None:
    (device.drop / "a.asd").write_bytes(asd_bytes())
    device.drop.rename(tmp_path / "stick")
    watcher = device.start()
    until(lambda: device.log.exists())
    (tmp_path / "stick").rename(device.drop)
    until(lambda: device.readings() == ["a"])
    device.drop.rename(tmp_path / "stick")
    time.sleep(0.5)
    (tmp_path / "stick" / "b.asd").write_bytes(asd_bytes())
    (tmp_path / "stick").rename(device.drop)
    until(lambda: device.readings() == ["a", "b"])
    _, err = watcher.stop()
    assert watcher.process.returncode == 0
    assert err.count("waiting for it") >= 1
    assert err.count("is there") >= 1


def test_log_and_output_in_the_watched_folder_are_not_read(device: Device) -> None:
    device.log = device.drop / "log.db"
    (device.drop / "a.asd").write_bytes(asd_bytes())
    with (device.drop / "results.csv").open("w") as out, (device.drop / "messages.txt").open("w") as err:
        command = [*device.command(), "--format", "csv"]
        process = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            until(lambda: device.readings() == ["a"])
            (device.drop / "b.asd").write_bytes(b"no spectrum\n")
            until(lambda: device.refusals() == ["b.asd"])
            (device.drop / "c.asd").write_bytes(asd_bytes())
            until(lambda: device.readings() == ["a", "c"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
    assert device.refusals() == ["b.asd"]
    with (device.drop / "results.csv").open() as file:
        assert [Path(row["source"]).name for row in csv.DictReader(file)] == ["a.asd", "b.asd", "c.asd"]


def test_a_log_that_cannot_be_written_ends_it_with_one_line_and_loses_nothing(device: Device) -> None:
    (device.drop / "a.asd").write_bytes(asd_bytes())
    device.log.mkdir()
    done = device.once()
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    device.log.rmdir()
    assert device.once().returncode == 0
    assert device.readings() == ["a"]


def test_a_reader_that_has_gone_loses_no_reading(device: Device) -> None:
    for i in range(200):
        (device.drop / f"s{i:03d}x.asd").write_bytes(asd_bytes(i))
    process = subprocess.Popen(device.command("--once"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        process.stdout.readline()
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    process.wait(timeout=60)
    device.once()
    assert device.readings() == [f"s{i:03d}x" for i in range(200)]


# --- the mean of a sample's measurements ----------------------------------------------------------------------


def points(device: Device, soil: Spectrum, name: str, numbers: range) -> None:
    for number in numbers:
        spectrum = replace(soil, sample_id=name, measurement=str(number), values=soil.values * (1 + 0.001 * number))
        write_asd(device.drop / f"{name}_{number:05d}.asd", spectrum)


def means(device: Device) -> list[tuple[str, ...]]:
    return device.rows(
        "SELECT sample_id, measurement, (SELECT count(*) FROM points p WHERE p.reading_id = r.id) FROM readings r"
        " ORDER BY r.id"
    )


def test_the_mean_of_each_sample_is_taken_and_nothing_twice(device: Device, soils: list[Spectrum]) -> None:
    points(device, soils[0], "A1", range(3))
    points(device, soils[1], "B2", range(2))
    (device.drop / "bad.asd").write_bytes(b"bad")
    done = device.once("--average")
    assert done.returncode == 1
    assert [(name, count) for name, _, count in means(device)] == [("A1", 3), ("B2", 2)]
    assert device.refusals() == ["bad.asd"]
    assert device.once("--average").returncode == 0
    points(device, soils[2], "C3", range(1))
    device.once("--average")
    assert [(name, count) for name, _, count in means(device)] == [("A1", 3), ("B2", 2), ("C3", 0)]


def test_a_sample_is_complete_when_no_more_comes_of_it(device: Device, soils: list[Spectrum]) -> None:
    device.start("--average", "--sample-pause", "4", settle_s=0.2)
    points(device, soils[0], "A1", range(1))
    time.sleep(1.5)
    points(device, soils[0], "A1", range(1, 3))
    until(lambda: len(means(device)) == 1)
    assert [(name, count) for name, _, count in means(device)] == [("A1", 3)]


def test_many_files_at_once_are_not_all_held(soils: list[Spectrum]) -> None:
    small = replace(soils[0], wavelengths_nm=soils[0].wavelengths_nm[:50], values=soils[0].values[:50], splices_nm=())
    pieces = [
        Piece(f"/f/S{number:03d}_{k}", (replace(small, sample_id=f"S{number:03d}"),), (b"x",), (1, 1, 1))
        for number in range(400)
        for k in range(3)
    ]

    class Folder:
        def poll(self) -> Iterator[list[Piece]]:
            yield from (pieces[begin : begin + 64] for begin in range(0, len(pieces), 64))

        def hold(self, batch: list[Piece]) -> None:
            pass

    gathering = Gathering(60.0, clock=lambda: 0.0)
    given = list(gathering.poll(Folder()))  # type: ignore[arg-type]
    # Whole samples only, each in one piece of work.
    names = [{piece.path[:-2] for piece in batch} for batch in given]
    assert sum(map(len, names)) == len(set().union(*names))
    assert all(
        sum(piece.path.startswith(name) for piece in batch) == 3
        for batch, of in zip(given, names, strict=True)
        for name in of
    )
    assert 900 < sum(map(len, given)) < 1200
    rest = list(gathering.poll(type("Empty", (Folder,), {"poll": lambda self: iter(())})(), everything=True))
    assert sum(map(len, given)) + sum(map(len, rest)) == 1200
    assert not gathering.paths
