"""`stibium doctor`: this device as it is, and devices that are played by a folder of files and answers of commands."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from old_logs import make_old_log, spectra_of
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.doctor import log as doctor_log
from stibium.edge.doctor import software
from stibium.edge.doctor import system as doctor_system
from stibium.edge.doctor.diagnosis import Check, Device, Diagnosis, Patient, worst
from stibium.edge.doctor.examine import examine
from stibium.edge.gates.scans import Scan
from stibium.edge.log.disk_room import DiskRoom
from stibium.edge.log.true_time import host_boot
from stibium.edge.log.write import Log, Result
from stibium.edge.model.estimate import Refusal

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)


class Played:
    """A device made of files; commands answer what they are told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, str] = {}

    def file(self, path: str, text: str) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def patient(self, now: datetime = NOW, log: Path = Path("no.db"), model: Path | None = None) -> Patient:
        def run(command: Sequence[str]) -> str | None:
            return self.answers.get(command[0])

        return Patient(log, model and str(model), Device(self.root, run, now))


@pytest.fixture
def played(tmp_path: Path) -> Played:
    root = tmp_path / "device"
    root.mkdir()
    return Played(root)


def levels(findings: Sequence[Diagnosis]) -> list[str]:
    return [finding.level for finding in findings]


def one(check: Check, patient: Patient) -> Diagnosis:
    (finding,) = list(check(patient))
    assert bool(finding.advice) == (finding.level != "ok")
    return finding


@pytest.fixture
def log(tmp_path: Path, soils: list[Spectrum]) -> Path:
    path = tmp_path / "state" / "readings.db"
    with Log(path) as opened:
        opened.add([Result(soil, Refusal("port", "for the test")) for soil in soils])
    return path


# --- this device ---------------------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "stibium.edge", "doctor", *arguments], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    # What is wrong with the machine the tests run on is not known: its temporary files may lie in memory.
    said = re.fullmatch(r"(\d+) problem(s?), (\d+) warning(s?)\n", done.stderr)
    assert said, done.stderr
    problems = int(said[1])
    assert [said[2] == "", said[4] == ""] == [said[1] == "1", said[3] == "1"]
    assert done.stdout.count("problem") >= problems
    assert done.returncode == (1 if problems else 0), done.stdout + done.stderr
    return done


CHECKS = {"device", "runtime", "model", "ports", "log", "clock", "white", "disk", "memory", "temperature", "power", "services"}  # fmt: skip


def test_the_command_in_three_formats(log: Path, tiny_bundle: Path) -> None:
    chosen = ["--log", str(log), "--model", str(tiny_bundle)]
    table = run(*chosen)
    assert f"{log}: whole, " in table.stdout
    assert "golden answers as expected" in table.stdout
    assert f"SHA-256 {hashlib.sha256(tiny_bundle.read_bytes()).hexdigest()}, unsigned" in table.stdout
    assert "-> train one on your own soils" in table.stdout
    records = [json.loads(line) for line in run(*chosen, "--format", "jsonl").stdout.splitlines()]
    assert {record["check"] for record in records} >= CHECKS - {"memory"}
    rows = list(csv.DictReader(run(*chosen, "--all-hashes", "--format", "csv").stdout.splitlines()))
    assert "every row is as it was stored" in [row["found"] for row in rows]
    assert [row["check"] for row in rows] == [record["check"] for record in records]


def test_a_damaged_model_and_log_fail_it(log: Path, tiny_bundle: Path) -> None:
    log.write_bytes(log.read_bytes()[:4096] + b"\xff" * 8192)
    data = bytearray(tiny_bundle.read_bytes())
    data[len(data) // 2] ^= 1
    tiny_bundle.write_bytes(data)
    done = run("--log", str(log), "--model", str(tiny_bundle), "--format", "jsonl")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    problems = {record["check"]: record for record in records if record["level"] == "problem"}
    assert done.returncode == 1
    assert set(problems) >= {"model", "log"}
    assert "copy the log" in problems["log"]["advice"]
    assert str(tiny_bundle) in problems["model"]["found"]


def test_without_a_tflite_runtime_it_says_so(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['tflite_runtime'] = sys.modules['ai_edge_litert'] = None; sys.argv = ['stibium', 'doctor', '--format', 'jsonl']\n"
        "from stibium.edge.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"STIBIUM_LOG": str(tmp_path / "log.db")},
    )
    assert done.returncode == 1, done.stderr
    problems = [record for record in map(json.loads, done.stdout.splitlines()) if record["level"] == "problem"]
    assert problems[0]["check"] == "runtime"
    assert "no TFLite runtime can be loaded" in problems[0]["found"]
    assert "install again" in problems[0]["advice"]


def test_all_checks_of_a_played_device(played: Played, tmp_path: Path, tiny_bundle: Path) -> None:
    played.file("/proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    played.file("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable:    7000000 kB\n")
    findings = list(examine(played.patient(NOW, tmp_path / "new" / "log.db", tiny_bundle)))
    assert {finding.check for finding in findings} == CHECKS
    assert findings[0].found.startswith("Raspberry Pi 5 Model B Rev 1.0")
    assert worst(findings) == "warning"
    # Looking changes nothing.
    assert not (tmp_path / "new").exists()


# --- the log --------------------------------------------------------------------------------------------------


def looked_at(path: Path) -> Diagnosis:
    """What is said of a log, whose rows are as they were stored if they can be read."""
    finding, *others = doctor_log.log(Patient(path))
    assert [(other.check, other.level) for other in others] == ([("hashes", "ok")] if finding.level == "ok" else [])
    assert bool(finding.advice) == (finding.level != "ok")
    return finding


def white_of(log: Path, now: datetime, valid_min: float = 30.0) -> Diagnosis:
    return one(doctor_log.white_reference, Patient(log, host=Device(now=now), white_valid_min=valid_min))


def test_a_whole_log(log: Path, soils: list[Spectrum]) -> None:
    finding = looked_at(log)
    assert finding.found == f"{log}: whole, {len(soils)} readings, {len(soils)} refusals"


def test_logs_that_are_not_right(log: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(log)) as db:
        db.execute("PRAGMA user_version=99")
    assert "update stibium" in looked_at(log).advice
    text = tmp_path / "text.db"
    text.write_text("sample,ppm\n" * 100)
    finding = looked_at(text)
    assert (finding.level, "not a database" in finding.found) == ("problem", True)
    other = tmp_path / "it's 100 %? other.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE music (title TEXT)")
    assert "another program" in looked_at(other).found
    empty = tmp_path / "empty.db"
    empty.touch()
    assert looked_at(empty).level == "ok"


def test_pages_that_were_lost_are_found(log: Path) -> None:
    with closing(sqlite3.connect(log)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page_size,) = db.execute("PRAGMA page_size").fetchone()
        (root_page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name='refusals'").fetchone()
    data = bytearray(log.read_bytes())
    data[(root_page - 1) * page_size : root_page * page_size] = bytes(page_size)
    log.write_bytes(data)
    finding = looked_at(log)
    assert finding.level == "problem"
    assert "copy the log" in finding.advice


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_log_that_may_not_be_written(log: Path) -> None:
    log.chmod(0o444)
    if os.geteuid() != 0:
        assert "change its permissions" in list(doctor_log.log(Patient(log)))[2].advice
        return
    # Root may do everything; somebody else looks. The test's own folders are for root only.
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "log.db"
        shutil.copy(log, path)
        code = f"from pathlib import Path; from stibium.edge.doctor.diagnosis import Patient\nfrom stibium.edge.doctor.log import log\nfor f in log(Patient(Path({str(path)!r}))): print(f.level, f.found)"
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c", code], capture_output=True, text=True
        )
        if "No module named" in done.stderr or "ermission denied" in done.stderr:
            pytest.skip("nobody but root may read the project here")
        whole, _, *others = done.stdout.splitlines()
        assert whole.startswith(f"ok {path}: whole, "), done.stderr
        assert [line.endswith("not writable, so nothing can be measured") for line in others] == [True, True]


def test_rows_that_are_not_as_they_were_stored_are_found(log: Path) -> None:
    with Log(log) as opened:
        opened.add([Result(spectrum, Refusal("port", "for the test")) for spectrum in spectra_of(10) * 220])
    with closing(sqlite3.connect(log)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        (last,) = db.execute("SELECT max(id) FROM readings").fetchone()
        assert last > 2 * doctor_log.LAST_ROWS
        # One bit of one value, in an old reading: the file is sound, and so is the spectrum as far as anybody can see.
        (blob,) = db.execute("SELECT spectrum FROM readings WHERE id = 3").fetchone()
        db.execute("UPDATE readings SET spectrum = ? WHERE id = 3", (bytes([blob[0] ^ 1]) + blob[1:],))
        db.commit()
    whole, hashes = doctor_log.log(Patient(log))
    assert (whole.level, hashes.level) == ("ok", "ok")
    assert hashes.found == "the last 1000 rows are as they were stored; --all-hashes compares all"
    whole, hashes = doctor_log.log(Patient(log, all_hashes=True))
    assert (whole.level, hashes.level) == ("ok", "problem")
    assert hashes.found == "damaged in the log: row 3 of readings, the spectrum is not the one that was stored"
    assert "copy the log" in hashes.advice
    with closing(sqlite3.connect(log)) as db:
        db.execute("UPDATE readings SET settings = 'x' WHERE id = ?", (last,))
        db.execute("UPDATE refusals SET stored_at = 'x' WHERE id > ?", (last - 4,))
        db.commit()
    found = list(doctor_log.log(Patient(log)))[1].found
    assert found.startswith(f"damaged in the log: row {last} of readings, settings (")
    assert found.endswith(", and 2 more")


def test_a_large_log_is_looked_through_when_that_is_asked_for(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Log(log) as opened:
        opened.add([Result(spectrum, Refusal("port", "for the test")) for spectrum in spectra_of(10) * 20])
    content = bytearray(log.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = bytes(4096)
    log.write_bytes(content)
    monkeypatch.setattr(doctor_log, "LOOKED_THROUGH_BYTES", log.stat().st_size)
    assert next(iter(doctor_log.log(Patient(log)))).level == "problem"
    monkeypatch.setattr(doctor_log, "LOOKED_THROUGH_BYTES", log.stat().st_size - 1)
    assert "--all-hashes looks through all of it" in next(iter(doctor_log.log(Patient(log)))).found
    assert next(iter(doctor_log.log(Patient(log, all_hashes=True)))).level == "problem"


def white(measured_at: datetime, number: int, simulated: bool = False) -> Scan:
    return Scan(
        kind="white",
        values=np.full(3, 30000.0),
        unit="raw_dn",
        key=("probe", 1, number, 7),
        number=number,
        taken_s=0.0,
        measured_at=measured_at,
        scans=10,
        simulated=simulated,
    )


def test_the_age_of_the_white_reference(log: Path) -> None:
    assert "no white reference" in white_of(log, NOW, 30).found
    grid = np.array([400.0, 500.0, 600.0])
    with Log(log) as opened:
        opened.add_scan(white(NOW, 1), session_id=None, kind="target", wavelengths_nm=grid)
        assert "no white reference" in white_of(log, NOW, 30).found
        for number, age_min in ((2, 200), (3, 10), (4, 20)):
            scan = white(NOW - timedelta(minutes=age_min), number)
            opened.add_scan(scan, session_id=None, kind="white", wavelengths_nm=grid)
    found = "the last white reference is 20 min old"
    assert white_of(log, NOW, 30).found == f"{found}, valid for 30 min"
    old = white_of(log, NOW, 15)
    assert (old.level, old.found) == ("warning", found)
    assert "5 days old" in white_of(log, NOW + timedelta(days=5), 30).found
    with Log(log) as opened:
        opened.add_scan(white(NOW, 5, simulated=True), session_id=None, kind="white", wavelengths_nm=grid)
    assert "white reference (SIMULATED) is 0 min old" in white_of(log, NOW, 30).found
    back = white_of(log, NOW - timedelta(hours=5), 30)
    assert (back.level, "dated 5 h ahead" in back.found) == ("warning", True)


def test_a_white_of_this_power_up_is_as_old_as_the_time_that_has_passed(log: Path) -> None:
    """Whatever the time of day was set to in between; the last one is that of the last row."""
    with Log(log) as opened:
        for number, (hours, passed_s) in enumerate(((9, 3000.0), (-5, 900.0))):
            clocks = {"host_boot": host_boot(), "monotonic_s": time.monotonic() - passed_s}
            scan = replace(white(NOW + timedelta(hours=hours), number), extra=clocks)
            opened.add_scan(scan, session_id=None, kind="white", wavelengths_nm=np.array([400.0, 500.0, 600.0]))
    assert "the last white reference is 15 min old" in white_of(log, NOW, 30).found


def test_a_log_of_an_earlier_version(tmp_path: Path) -> None:
    """As it lies on a device before the first measurement with a newer program."""
    path = tmp_path / "old.db"
    make_old_log(path, 2, [])
    assert looked_at(path).found.endswith("whole, 0 readings, 1 refusals")
    assert "no white reference" in white_of(path, NOW, 30).found
    assert doctor_log.newest_reading(path) is None


# --- the system -----------------------------------------------------------------------------------------------


def test_clock(played: Played, log: Path) -> None:
    newest = doctor_log.newest_reading(log)
    assert newest is not None
    host = played.patient(newest + timedelta(hours=1), log)
    assert "stops with the power" in one(doctor_system.clock, host).found
    played.file("/sys/class/rtc/rtc0/name", "ds3231")
    assert "kept by the clock in the device" in one(doctor_system.clock, host).found
    played.answers["timedatectl"] = "yes\n"
    assert one(doctor_system.clock, host).found.endswith("set by the network")
    back = one(doctor_system.clock, played.patient(newest - timedelta(hours=1), log))
    assert (back.level, "before the newest reading" in back.found) == ("problem", True)
    first = one(doctor_system.clock, played.patient(datetime(1970, 1, 1, tzinfo=timezone.utc)))
    assert first.level == "problem"


def test_heat(played: Played) -> None:
    assert one(doctor_system.temperature, played.patient()).found == "no sensor"
    for millidegrees, level in (("41300", "ok"), ("76000", "warning"), ("84500", "problem"), ("-5000", "ok")):
        played.file("/sys/class/thermal/thermal_zone0/temp", millidegrees + "\n")
        assert one(doctor_system.temperature, played.patient()).level == level
    played.file("/sys/class/thermal/thermal_zone1/temp", "82000\n")
    assert one(doctor_system.temperature, played.patient()).found.startswith("82 degrees")


def test_power(played: Played) -> None:
    def found() -> list[tuple[str, str]]:
        return [(finding.level, finding.found) for finding in doctor_system.throttling(played.patient())]

    assert found() == [("ok", "not reported by this device")]
    played.answers["vcgencmd"] = "throttled=0x0\n"
    assert levels(list(doctor_system.throttling(played.patient()))) == ["ok"]
    played.answers["vcgencmd"] = "throttled=0x50005\n"
    assert found() == [("problem", "now: under-voltage, slowed down")]
    played.answers["vcgencmd"] = "throttled=0xd0008\n"
    assert found() == [
        ("problem", "now: soft limit of temperature"),
        ("warning", "since it was switched on: under-voltage, slowed down"),
    ]
    played.answers["vcgencmd"] = "throttled=0x20000\n"
    assert found() == [("warning", "since it was switched on: frequency capped")]
    played.answers["vcgencmd"] = "VCHI initialization failed\n"
    assert found() == [("ok", "not reported by this device")]
    del played.answers["vcgencmd"]
    played.file("/sys/devices/platform/soc/soc:firmware/get_throttled", "10000\n")
    assert found() == [("warning", "since it was switched on: under-voltage")]


def test_memory(played: Played) -> None:
    for kilobytes, level in ((900_000, "ok"), (100_000, "warning"), (50_000, "problem")):
        played.file("/proc/meminfo", f"MemTotal: 1000000 kB\nMemAvailable:  {kilobytes} kB\n")
        assert one(doctor_system.memory, played.patient()).level == level


def test_a_log_in_memory_and_a_read_only_card(played: Played, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n"
    played.file("/proc/self/mounts", card)
    assert levels(list(doctor_system.storage(played.patient(log=log)))) == ["ok"]
    played.file("/proc/self/mounts", f"{card}tmpfs {log.parent} tmpfs rw 0 0\n")
    findings = list(doctor_system.storage(played.patient(log=log)))
    assert levels(findings) == ["ok", "problem"]
    assert "gone when the power is" in findings[1].found
    played.file("/proc/self/mounts", "overlay / overlay rw 0 0\n")
    assert levels(list(doctor_system.storage(played.patient(log=log)))) == ["ok", "problem"]
    played.file("/proc/self/mounts", card.replace("rw", "ro"))
    findings = list(doctor_system.storage(played.patient(log=log)))
    assert levels(findings) == ["ok", "warning"]
    assert "read-only" in findings[1].found


@pytest.mark.parametrize(("free_mb", "level"), [(10, "problem"), (100, "warning"), (50_000, "ok")])
def test_room(played: Played, log: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, level: str) -> None:
    room = DiskRoom(log.parent, free_mb * 1_000_000, 64_000_000_000)
    monkeypatch.setattr(doctor_system, "disk_room", lambda _: room)
    assert one(doctor_system.storage, played.patient(log=log)).level == level


def test_services(played: Played) -> None:
    assert one(doctor_system.services, played.patient()).found == "no systemd runs here"
    played.answers["systemctl"] = ""
    assert "none is set up" in one(doctor_system.services, played.patient()).found
    played.answers["systemctl"] = (
        "stibium-listen@stibium-probe.service loaded activating auto-restart Antimony estimates\n"
        "stibium-watch.service loaded active running Antimony estimates from the spectra in a folder\n"
    )
    findings = list(doctor_system.services(played.patient()))
    assert levels(findings) == ["warning", "ok"]
    assert findings[0].advice == "journalctl -u stibium-listen@stibium-probe.service -n 20 says why"
    played.answers["systemctl"] = "stibium-watch.service loaded failed failed x\n"
    assert one(doctor_system.services, played.patient()).level == "problem"


def test_ports(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no serial port" in one(doctor_system.ports, played.patient()).found
    played.file("/dev/ttyUSB0", "")
    os.symlink("ttyUSB0", played.root / "dev/stibium-probe")
    assert one(doctor_system.ports, played.patient()).found == "/dev/ttyUSB0 (/dev/stibium-probe) may be opened"
    monkeypatch.setattr(os, "access", lambda *_: False)
    finding = one(doctor_system.ports, played.patient())
    assert finding.level == "problem"
    assert finding.advice.startswith("sudo usermod -a -G ")


def test_a_model_that_answers_otherwise(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    from dataclasses import replace

    real = software.recompute_golden
    monkeypatch.setattr(
        software,
        "recompute_golden",
        lambda bundle: [replace(result, answer=1.5 * result.answer) for result in real(bundle)],
    )
    finding = one(software.model, Patient(Path("no.db"), str(tiny_bundle)))
    assert finding.level == "problem"
    assert "do not measure" in finding.advice


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    assert one(software.model, Patient(Path("no.db"), str(tmp_path / "none.tflite"))).level == "problem"
