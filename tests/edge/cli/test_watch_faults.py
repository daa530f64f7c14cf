"""What people and networks do to a watched folder, all at once, with the real process."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drop_files import asd_bytes, table_lines
from record_check import read_records
from test_watch import Device, device, until

__all__ = ["device"]  # the fixture of the other tests of the watcher

FILES = 1000
HUGE_BYTES = 1 << 30


def peak_memory_mb(process: subprocess.Popen[bytes]) -> float:
    """The most memory that a process has had in RAM."""
    (line,) = (s for s in Path(f"/proc/{process.pid}/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def test_a_thousand_files_at_once_among_everything_that_is_none(device: Device, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    whole = [asd_bytes(i) for i in range(20)]
    for i in range(FILES):
        (stick / f"s{i:04d}x.asd").write_bytes(whole[i % len(whole)])
    (stick / "empty.asd").touch()
    (stick / "half.asd").write_bytes(whole[0][:9000])
    (stick / "notes.txt").write_bytes(b"sunny, twelve samples\n")
    for name in ("film.mp4", "huge.asd", "huge.csv"):
        with (stick / name).open("wb") as file:
            file.write({"huge.csv": b"sample_id,350,351\n", "huge.asd": whole[0]}.get(name, b"\0\0\0 ftypmp42"))
            file.truncate(HUGE_BYTES)
    watcher = device.start(settle_s=0.4)
    until(device.log.exists)
    # All there at one moment, as when a stick is mounted.
    device.drop.rmdir()
    stick.rename(device.drop)
    bad = ["empty.asd", "film.mp4", "half.asd", "huge.asd", "huge.csv", "notes.txt"]
    until(lambda: len(device.readings()) >= FILES and len(device.refusals()) >= len(bad))
    peak_mb = peak_memory_mb(watcher.process)
    out, err = watcher.stop()
    assert "Traceback" not in err
    assert device.readings() == [f"s{i:04d}x" for i in range(FILES)]
    assert device.refusals() == bad
    # 3 GB of junk were looked at and not read into memory.
    assert peak_mb < 300
    records = read_records(out)
    reasons = {Path(record["source"]).name: record["reason"] for record in records if record["status"] == "refused"}
    assert all(reasons[name] for name in bad)
    assert all("1074 MB" in reasons[name] for name in ("film.mp4", "huge.asd", "huge.csv")), reasons
    again = device.once(settle_s=0.1)
    assert (again.returncode, again.stdout) == (0, "")


def test_files_renamed_over_each_other_while_they_are_read(device: Device, tmp_path: Path) -> None:
    contents = [asd_bytes(i) for i in range(12)]
    other = Device(mkdir(tmp_path / "other"), device.bundle)
    (other.drop / "same.asd").write_bytes(contents[-1])
    other.once(settle_s=0.1)
    final = other.rows("SELECT spectrum FROM readings")
    assert len(final) == 1
    watcher = device.start(settle_s=0.2)
    for i, content in enumerate(contents):
        fresh = tmp_path / "fresh"
        fresh.write_bytes(content)
        os.replace(fresh, device.drop / "same.asd")
        time.sleep(0.09 if i % 4 else 0.8)
    in_order = "SELECT spectrum FROM readings WHERE sample_id = 'same' ORDER BY id"
    until(lambda: device.rows(in_order)[-1:] == final)
    watcher.stop()
    # What was replaced before it had settled was never read; what stayed for a while was, once.
    spectra = device.rows(in_order)
    assert 1 < len(spectra) == len(set(spectra)) <= len(contents)
    assert device.refusals() == []


def mkdir(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_file_locked_by_the_program_that_writes_it(device: Device) -> None:
    watcher = device.start(settle_s=0.2)
    content = asd_bytes()
    with (device.drop / "a.asd").open("wb", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX)
        for start in range(0, len(content), 4000):
            file.write(content[start : start + 4000])
            time.sleep(0.05)
        # Locked, complete, and quiet: it may be read under the lock or after it, but not refused for it.
        time.sleep(0.5)
        assert device.refusals() == []
    until(lambda: device.readings() == ["a"])
    watcher.stop()
    assert device.refusals() == []


def test_a_file_without_permission_is_taken_when_it_is_given(device: Device) -> None:
    command = device.command(settle_s=0.1)
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything, and setpriv is not there to give that up")
        without = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--inh-caps={without}", f"--bounding-set={without}", *command]
    (device.drop / "a.asd").write_bytes(asd_bytes(1))
    (device.drop / "a.asd").chmod(0)
    (device.drop / "b.asd").write_bytes(asd_bytes(2))

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, "--once"], capture_output=True, text=True, timeout=120, check=False)

    done = run()
    assert done.returncode == 1
    refused = [json.loads(line) for line in done.stdout.splitlines() if '"refused"' in line]
    assert [record["reason"] for record in refused] == ["cannot be read: Permission denied"]
    assert device.readings() == ["b"]
    (device.drop / "a.asd").chmod(0o600)
    done = run()
    assert done.returncode == 0, done.stderr
    assert device.readings() == ["a", "b"]


def test_a_mount_without_change_events(device: Device, tmp_path: Path) -> None:
    # An overlay tells nothing of what is written into its lower folder behind its back, as a share tells nothing of
    # what other machines do.
    lower, upper, work = mkdir(tmp_path / "lower"), mkdir(tmp_path / "upper"), mkdir(tmp_path / "work")
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mounted = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", layers, str(device.drop)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine mounts no overlay")
    try:
        watcher = device.start(settle_s=0.2)
        (lower / "a.asd").write_bytes(asd_bytes())
        until(lambda: device.readings() == ["a"])
        (lower / "soils.csv").write_bytes(b"".join(table_lines(["r1", "r2"])))
        until(lambda: device.readings() == ["a", "r1", "r2"])
        watcher.stop()
    finally:
        subprocess.run(["umount", "-l", str(device.drop)], check=True)


def test_no_change_events_are_asked_for(device: Device) -> None:
    watcher = device.start(settle_s=0.1)
    (device.drop / "a.asd").write_bytes(asd_bytes())
    until(lambda: device.readings() == ["a"])
    opened = [os.readlink(entry) for entry in Path(f"/proc/{watcher.process.pid}/fd").iterdir()]
    watcher.stop()
    assert str(device.log) in opened
    assert not [name for name in opened if "notify" in name]


def test_a_file_that_is_never_whole_while_others_come(device: Device) -> None:
    endless = "import sys, time\nwhile True:\n open(sys.argv[1], 'ab').write(b'350,0.1\\n'); time.sleep(0.03)"
    writer = subprocess.Popen([sys.executable, "-c", endless, str(device.drop / "endless.csv")])
    try:
        watcher = device.start(settle_s=0.2)
        for i in range(5):
            (device.drop / f"s{i}x.asd").write_bytes(asd_bytes(i))
            until(lambda wanted=i + 1: len(device.readings()) == wanted)  # type: ignore[misc]
        assert device.refusals() == []
    finally:
        writer.kill()
        writer.wait()
    watcher.stop()


def test_a_quiet_file_is_not_left_because_the_others_took_long(device: Device) -> None:
    for i in range(1000):
        (device.drop / f"s{i:04d}x.asd").write_bytes(asd_bytes(i % 5))
    (device.drop / "half.asd").write_bytes(asd_bytes()[:9000])
    # From a camera's clock: its age says nothing, so it is waited for. Taking the others lasts longer than that.
    os.utime(device.drop / "half.asd", (time.time() + 1e4, time.time() + 1e4))
    done = device.once(settle_s=0.03)
    assert "still being written" not in done.stderr
    assert done.returncode == 1
    assert device.refusals() == ["half.asd"]
    assert len(device.readings()) == 1000
