"""`stibium measure` against the virtual probe: the real command, a real port, and real kills."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from line_processes import Listener, playing
from measure_processes import PATIENCE_S, PROFILE, Measurer, Terminal
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.engine import average_samples
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.protocols import nmea

pytestmark = pytest.mark.usefixtures("virtual_only")
THREE = ("--points", "3", "--scans", "2", "--prefix", "RS")


@pytest.fixture
def measurer(tmp_path: Path, tiny_bundle: Path) -> Measurer:
    return Measurer(tmp_path, tiny_bundle)


@pytest.fixture
def port(tmp_path: Path, played_file: Path) -> Iterator[str]:
    with playing(tmp_path, str(played_file), "--raw", "--speed", "full", "--loop") as name:
        yield name


def test_a_scripted_run_answers_as_the_same_spectra_do(
    port: str, measurer: Measurer, played: list[Spectrum], shipped_bundle: Bundle
) -> None:
    done = measurer.run(port, *THREE, script="# white first\n\n" + 6 * "\n" + "q\n")
    assert done.code == 0, done.err
    assert "2 estimated, 0 refused" in done.err
    means = [item for item in average_samples(played[:6]) if isinstance(item, Spectrum)]
    for record, wanted in zip(done.records, Estimator(shipped_bundle).estimate(means), strict=True):
        assert isinstance(wanted, Estimate)
        assert (record["status"], record["bound"], record["points"]) == ("estimated", wanted.bound, 3)
        assert record["said_low"] == pytest.approx(wanted.low, rel=shipped_bundle.golden.tolerance)
        assert record["simulated"]
    assert [record["sample_id"] for record in done.records] == ["RS001", "RS002"]
    assert measurer.rows("SELECT kind, count(*) FROM scans GROUP BY kind ORDER BY kind") == [
        ("dark", 1),
        ("target", 6),
        ("white", 1),
    ]
    (session,) = measurer.rows("SELECT ended_at IS NOT NULL, profile_text FROM sessions")
    assert session == (1, PROFILE)


def test_all_is_told_by_options_and_nobody_is_asked(port: str, measurer: Measurer) -> None:
    options = ("--sample", "A1", "--sample", "A2", "--blank-every", "2", "--note", "pit 3", "--operator", "Ana")
    done = measurer.run(port, "--points", "2", *options, "--position", "41.1,-8.5,90", "--duplicate-every", "2")
    assert [record["sample_id"] for record in done.records] == ["A1", "A2", "blank-1", "A2-dup"]
    assert "blank blank-1 " in done.err
    assert "duplicate A2-dup " in done.err
    rows = measurer.rows("SELECT sample_kind, duplicate_of, notes, latitude_deg, position_source FROM readings")
    assert rows == [
        ("sample", "", "pit 3", 41.1, "typed in"),
        ("sample", "", "", 41.1, "typed in"),
        ("blank", "", "", 41.1, "typed in"),
        ("duplicate", "A2", "", 41.1, "typed in"),
    ]
    assert measurer.rows("SELECT operator FROM sessions") == [("Ana",)]


def test_a_white_that_has_become_too_old_refuses_the_sample(port: str, tmp_path: Path, tiny_bundle: Path) -> None:
    measurer = Measurer(tmp_path, tiny_bundle, PROFILE + "[measuring]\nwhite_valid_min = 0.05\n")
    script = "\n" + 3 * "\n" + "pause 3.5\ns\n" + 3 * "\n" + "\n" + 3 * "\n" + "q\n"
    done = measurer.run(port, *THREE, script=script)
    assert done.code == 1
    assert [record["status"] for record in done.records] == ["estimated", "refused", "estimated"]
    assert "white reference 0.1 min old, 0.05 min are allowed" in done.records[1]["reason"]
    # Stored all the same, with its scans, and no model may make an estimate of it.
    (row,) = measurer.rows("SELECT id, rule_broken FROM readings WHERE sample_id = 'RS002'")
    assert row[1] == done.records[1]["reason"]
    assert measurer.rows(f"SELECT count(*) FROM reading_scans WHERE reading_id = {row[0]} AND role = 'target'") == [
        (3,)
    ]


def test_a_bad_spectrum_is_measured_again_and_then_refused(
    measurer: Measurer, played: list[Spectrum], tmp_path: Path
) -> None:
    dice = np.random.default_rng(4)
    noisy = [replace(s, values=s.values + dice.normal(0, 0.02, s.values.size)) for s in played[3:6]]
    path = tmp_path / "noisy.csv"
    write_table(path, [*played[:1], *noisy, *played[:3]])
    with playing(tmp_path, str(path), "--raw", "--speed", "full") as port:
        done = measurer.run(port, *THREE, "--count", "2")
    assert [record["status"] for record in done.records] == ["refused", "estimated"]
    assert done.records[0]["reason"].startswith("noise 0.0")
    assert "1 of 3 points" in done.records[0]["reason"]
    assert measurer.rows("SELECT count(*) FROM events WHERE kind = 'point_refused'") == [(3,)]
    assert measurer.rows("SELECT count(*) FROM scans WHERE kind = 'target'") == [(7,)]


def test_an_instrument_that_loses_power_is_not_measured_with_the_old_white(
    measurer: Measurer, played_file: Path, tmp_path: Path
) -> None:
    link = str(tmp_path / "port")
    options = ("--raw", "--speed", "full", "--loop", "--unplug-every", "7", "--unplug-s", "0.1", "--unplug-power")
    with playing(tmp_path, str(played_file), *options, "--link", link):
        done = measurer.run(link, *THREE, "--count", "2", script=30 * "\n")
    assert done.code == 0, done.err
    assert len(done.records) == 2
    assert "switched off and on" in done.err
    (whites,) = measurer.rows("SELECT count(*) FROM scans WHERE kind = 'white'")
    assert whites[0] > 1
    mixed = measurer.rows(
        "SELECT count(*) FROM reading_scans a JOIN scans t ON t.id = a.scan_id AND a.role = 'target' WHERE NOT EXISTS"
        " (SELECT 1 FROM reading_scans b JOIN scans w ON w.id = b.scan_id AND b.role = 'white'"
        " WHERE b.reading_id = a.reading_id AND w.boot = t.boot)"
    )
    assert mixed == [(0,)]


def test_killed_again_and_again_a_session_goes_on(port: str, tmp_path: Path, tiny_bundle: Path) -> None:
    """Each process is killed as soon as the log has grown by a few scans."""
    # A scan under way is lost with the process, and the probe plays on: one sample's points are of two soils then.
    measurer = Measurer(tmp_path, tiny_bundle, PROFILE + "scatter_most = 0.0\n")
    command = measurer.command(port, *THREE, "--count", "6", "--format", "jsonl", "--yes")
    for wanted in (3, 9, 15):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            deadline = time.monotonic() + PATIENCE_S
            while process.poll() is None and _scans(measurer) < wanted and time.monotonic() < deadline:
                time.sleep(0.002)
            process.kill()
        assert _scans(measurer) >= wanted
    done = measurer.run(port, "--resume")
    assert done.code == 0, done.err
    assert "Session 1 goes on" in done.err
    assert measurer.rows("SELECT count(*) FROM sessions") == [(1,)]
    assert measurer.rows("PRAGMA integrity_check") == [("ok",)]
    names = [name for (name,) in measurer.rows("SELECT sample_id FROM readings ORDER BY id")]
    assert names == [f"RS{number:03d}" for number in range(1, 7)]
    used = measurer.rows("SELECT reading_id, scan_id FROM reading_scans WHERE role = 'target'")
    assert len(used) == len({scan for _, scan in used}) == 18
    assert len(measurer.rows("SELECT id FROM scans WHERE kind = 'target'")) == 18
    assert measurer.rows("SELECT count(*) FROM estimates") == [(6,)]


def _scans(measurer: Measurer) -> int:
    if not measurer.log.exists():
        return 0
    # While the file is being made there is no table in it yet.
    if not measurer.rows("SELECT 1 FROM sqlite_master WHERE name = 'events'"):
        return 0
    return int(measurer.rows("SELECT count(*) FROM scans")[0][0])


def test_a_day_on_a_screen_of_forty_columns(port: str, measurer: Measurer) -> None:
    options = (*THREE, "--position", "41.1,-8.5")
    terminal = Terminal(measurer.command(port, *options))
    terminal.expect("white, Enter: $")
    terminal.type("?")
    terminal.expect(r"names the sample[\s\S]*Enter: $")
    terminal.type()
    terminal.expect("RS001 1/3, Enter: $")
    terminal.type("KX-17")
    terminal.expect("KX-17 1/3, Enter: $")
    terminal.type("n roots, very wet, beside the old adit")
    terminal.expect("KX-17 1/3, Enter: $")
    for _ in range(3):
        terminal.type()
        terminal.expect(r"taken[\s\S]*Enter: $")
    assert "ppm" in terminal.text
    terminal.type("y")
    terminal.expect(r"no such command[\s\S]*Enter: $")
    for letter in ("w", "", "p", "", "v", "", "s", "", "r", "s"):
        terminal.type(letter)
        terminal.expect(r"\n[^\n]*Enter: $")
    terminal.type("q")
    assert terminal.finish() in (0, 1)
    # What a person typed stands behind a prompt; the program's own lines fit.
    for line in terminal.text.split("\n"):
        assert len(line) <= 40 or "n roots" in line, line
    assert "estimated" in terminal.text


def test_on_a_terminal_the_ground_is_asked_once_a_soil(port: str, measurer: Measurer) -> None:
    command = [word for word in measurer.command(port, *THREE) if word != "--no-ask-condition"]
    terminal = Terminal(command)
    terminal.expect("white, Enter: $")
    terminal.type()
    terminal.expect("RS001 dry, damp, wet[?] Enter: none: $")
    terminal.type("damp")
    for number in (1, 2, 3):
        terminal.expect(f"RS001 {number}/3, Enter: $")
        terminal.type()
    terminal.expect("RS002 dry, damp, wet[?] Enter: damp: $")
    terminal.type("q")
    terminal.finish()
    assert measurer.rows("SELECT sample_id, condition FROM readings") == [("RS001", "damp")]


def test_on_a_terminal_going_on_is_offered(port: str, measurer: Measurer) -> None:
    assert "1 estimated" in measurer.run(port, *THREE, script=6 * "\n").err
    terminal = Terminal(measurer.command(port, *THREE))
    terminal.expect(r"Unfinished session of [\s\S]*Enter goes on, n begins a new one: $")
    terminal.type()
    terminal.expect("RS002 3/3, Enter: $")
    terminal.type("q")
    assert terminal.finish() == 0
    assert "RS002 has 2 of 3 points; --resume goes on with it" in terminal.text.replace("\n ", "")
    terminal = Terminal(measurer.command(port, *THREE))
    terminal.expect("new one: $")
    terminal.type("n")
    terminal.expect("white, Enter: $")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.finish() == 130
    assert measurer.rows("SELECT ended_at IS NOT NULL FROM sessions ORDER BY id") == [(1,), (0,)]


def test_the_totals_are_those_of_the_session_with_its_log_and_what_comes_next(port: str, measurer: Measurer) -> None:
    first = measurer.run(port, *THREE, script="\n" + 4 * "\n" + "q\n")
    said = first.err.replace("\n  ", "")
    assert f"1 estimated, 0 refused\nLog: {measurer.log}\nRS002 has 1 of 3 points; --resume goes on with it\n" in said
    second = measurer.run(port, *THREE, "--resume", script="\n\nq\n")
    assert "2 estimated, 0 refused\n" in second.err
    assert "stibium log --session 1 lists them" in second.err


def test_a_session_that_was_ended_goes_on_for_whoever_asks_for_that(port: str, measurer: Measurer) -> None:
    first = measurer.run(port, *THREE, script=4 * "\n" + "q\n")
    assert "stibium log --session 1 lists them" in first.err
    second = measurer.run(port, *THREE, "--resume", script=4 * "\n")
    assert "Session 1 goes on: 1 sample done" in second.err
    # Cut off now, it is unfinished again.
    assert measurer.rows("SELECT id, ended_at FROM sessions") == [(1, None)]
    assert measurer.rows("SELECT sample_id FROM readings ORDER BY id") == [("RS001",), ("RS002",)]


def test_a_half_done_session_of_an_earlier_version_ends_with_one_line_and_loses_nothing(
    port: str, measurer: Measurer
) -> None:
    measurer.run(port, *THREE, script="\n" + 4 * "\n" + "q\n")
    with closing(sqlite3.connect(measurer.log)) as db, db:
        # As version 3 of the log had it: the same row, without the format of its events.
        db.execute(
            "INSERT INTO sessions(started_at, software, port, instrument, profile_name, profile_text, operator, settings)"
            " SELECT started_at, 'stibium 0.3.0', port, instrument, profile_name, profile_text, operator,"
            " json_remove(settings, '$.format', '$.unattended') FROM sessions"
        )
        before = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in ("readings", "scans", "events")}
    done = measurer.run(port, *THREE, "--resume", script=4 * "\n" + "q\n")
    (line,) = [line for line in done.err.splitlines() if "earlier version" in line]
    assert line.startswith("! The session of ")
    assert "cannot go on" in line
    assert measurer.rows("SELECT count(*) FROM events WHERE kind = 'given_up' AND session_id = 2") == [(1,)]
    assert measurer.rows("SELECT ended_at IS NULL FROM sessions WHERE id < 3 ORDER BY id") == [(1,), (0,)]
    for table, rows in before.items():
        assert measurer.rows(f"SELECT * FROM {table}")[: len(rows)] == rows


def test_lines_may_come_from_another_program(port: str, measurer: Measurer) -> None:
    command = measurer.command(port, *THREE, "--format", "csv")
    done = subprocess.run(
        command, input="\nKX9\n\n\n\n", capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    heading, row = done.stdout.splitlines()
    record = dict(zip(heading.split(","), row.split(","), strict=False))
    assert (record["status"], record["sample_id"]) == ("estimated", "KX9")


def test_wrong_use_is_one_line_and_code_two(measurer: Measurer, tmp_path: Path) -> None:
    script = tmp_path / "s"
    script.write_text("")
    for options, words in (
        (("--yes", "--script", str(script)), "either --script or --yes"),
        (("--points", "0"), "points"),
        ((), "nobody to ask on standard input"),
    ):
        done = subprocess.run(
            measurer.command("nowhere", *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 2
        assert words in done.stderr
    done = subprocess.run(
        measurer.command("/dev/nowhere", "--yes"), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "no such port" in done.stderr


def test_a_terminal_counts_the_seconds_and_rings_when_a_measurement_is_over(
    measurer: Measurer, played_file: Path, tmp_path: Path
) -> None:
    with playing(tmp_path, str(played_file), "--loop") as port:
        options = ("--points", "1", "--scans", "40", "--prefix", "RS", "--bell")
        terminal = Terminal(measurer.command(port, *options))
        assert terminal.expect("RS001 1/1, Enter: $").count("\a") == 0
        terminal.type()
        taken = terminal.expect("RS002 1/1, Enter: $")
        # Counted up in one line, which is taken away before anything else is written.
        assert re.search(r"\rRS001 1/1 \.\.\. [12] s\x1b\[K\r\x1b\[K", taken)
        assert taken.count("\a") == 1
        # Not at all where nothing was measured.
        terminal.type("n wet")
        assert terminal.expect("RS002 1/1, Enter: $").count("\a") == 0
        terminal.type("q")
        assert terminal.finish() == 0


def test_who_listens_has_a_place_for_each_sample_from_the_gps_of_a_phone(port: str, listener: Listener) -> None:
    fix = nmea.encode("GNGGA,000010.00,4103.000,N,00754.600,W,1,09,0.9,500.0,M,45.0,M,,")
    with socket.create_server(("127.0.0.1", 0)) as phone:
        stop = threading.Event()

        def say_where() -> None:
            line, _ = phone.accept()
            with line, suppress(OSError):
                while not stop.wait(0.1):
                    line.sendall(fix)

        thread = threading.Thread(target=say_where, daemon=True)
        thread.start()
        where = f"socket://127.0.0.1:{phone.getsockname()[1]}"
        done = listener.run(port, "--points", "1", "--count", "20", "--white", "now", "--position", where)
        stop.set()
    assert done.code == 0, done.err
    places = [(one["latitude_deg"], one["longitude_deg"], one["altitude_m"]) for one in done.records]
    # What was measured before the first fix has no place, and says so.
    assert places[-1] == (41.05, -7.91, 500.0)
    assert {one["position_source"] for one in done.records if one["latitude_deg"]} == {where}
