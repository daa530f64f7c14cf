"""`stibium measure` against the virtual FieldSpec: optimise, shutter, panel, Mylar, and what fails in a field."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from line_processes import STIBIUM, Listener
from measure_processes import Measurer, Terminal

pytestmark = pytest.mark.usefixtures("virtual_only")

PROFILE = """
name = "virtual FieldSpec"
protocol = "fieldspec"
[rules]
warm_up_min = 0.0
warming_min = 0.0
full_scale_dn = 65535.0
"""


class FieldSpec:
    """The virtual FieldSpec, and a hand that puts things in front of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.port = process.stdout.readline().strip()
        assert self.port.startswith("socket://"), self.port

    def do(self, line: str) -> None:
        """Say it, and wait until it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer.strip()


@contextmanager
def fieldspec(*options: str) -> Iterator[FieldSpec]:
    command = [STIBIUM, "probe", "--instrument", "fieldspec", "--speed", "full", "--loop", "--control", *options]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        try:
            yield FieldSpec(process)
        finally:
            process.kill()


@pytest.fixture
def measurer(tmp_path: Path, tiny_bundle: Path) -> Measurer:
    return Measurer(tmp_path, tiny_bundle, PROFILE)


def test_a_day_with_a_fieldspec(measurer: Measurer) -> None:
    with fieldspec() as instrument:
        terminal = Terminal(measurer.command(instrument.port, "--points", "2", "--scans", "5", "--prefix", "RS"))
        terminal.expect("optimise, Enter: $")
        terminal.type()
        terminal.expect("white, Enter: $")
        terminal.type()
        terminal.expect("RS001 1/2, Enter: $")
        instrument.do("sample")
        terminal.type()
        terminal.expect("RS001 2/2, Enter: $")
        terminal.type()
        terminal.expect(r"RS001 Sb [\s\S]*Enter: $")
        # The panel, the Mylar sheet, a lamp that fails, a cooler that does.
        instrument.do("white")
        terminal.type("p")
        terminal.expect("check it, Enter: $")
        terminal.type()
        terminal.expect(r"the panel reads 1\n[\s\S]*Enter: $")
        instrument.do("mylar")
        terminal.type("v")
        terminal.expect("reference material, Enter: $")
        terminal.type()
        terminal.expect(r"wavelengths hold[\s\S]*Enter: $")
        instrument.do("sample TP091")
        instrument.do("lamp off")
        terminal.type()
        terminal.expect(r"no light from[\s\S]*Enter: $")
        instrument.do("lamp on")
        instrument.do("cooler SWIR1")
        terminal.type()
        terminal.expect(r"cooler alarm of[\s\S]*Enter: $")
        instrument.do("cooler ok")
        terminal.type()
        terminal.expect("RS002 2/2, Enter: $")
        terminal.type()
        terminal.expect(r"RS002 Sb [\s\S]*Enter: $")
        terminal.type("q")
        assert terminal.finish() == 0, terminal.text
    assert all(len(line) <= 40 for line in terminal.text.split("\n"))
    kinds = dict(measurer.rows("SELECT kind, count(*) FROM scans GROUP BY kind"))
    assert kinds == {"dark": 1, "white": 1, "panel_check": 1, "wavelength_check": 1, "target": 6}
    refused = [
        json.loads(details)["findings"]
        for (details,) in measurer.rows("SELECT details FROM events WHERE kind = 'point_refused'")
    ]
    assert refused[0][0] == "lamp"
    assert refused[1][0] == "cooler"


def test_killed_amid_a_sample_it_optimises_and_goes_on(measurer: Measurer) -> None:
    with fieldspec() as instrument:
        command = measurer.command(instrument.port, "--points", "3", "--scans", "5", "--prefix", "RS")
        terminal = Terminal(command)
        for question in ("optimise", "white"):
            terminal.expect(f"{question}, Enter: $")
            terminal.type()
        terminal.expect("RS001 1/3, Enter: $")
        instrument.do("sample TP091")
        terminal.type()
        terminal.expect("RS001 2/3, Enter: $")
        terminal.type()
        terminal.expect("RS001 3/3, Enter: $")
        terminal.process.kill()
        terminal.finish()
        # The two points count; what the instrument was set to, and the white with it, may be gone.
        instrument.do("white")
        terminal = Terminal([*command, "--resume"])
        terminal.expect(r"RS001\n? +has 2 of 3\n? +points[\s\S]*optimise, Enter: $")
        terminal.type()
        terminal.expect("white, Enter: $")
        terminal.type()
        terminal.expect("RS001 3/3, Enter: $")
        instrument.do("sample TP091")
        terminal.type()
        terminal.expect(r"RS001 Sb [\s\S]*Enter: $")
        terminal.type("q")
        assert terminal.finish() == 0, terminal.text
    (points,) = measurer.rows("SELECT count(DISTINCT scan_id) FROM reading_scans WHERE role = 'target'")
    (whites,) = measurer.rows("SELECT count(DISTINCT scan_id) FROM reading_scans WHERE role = 'white'")
    assert (points, whites) == ((3,), (2,))


def test_it_runs_unattended(measurer: Measurer) -> None:
    with fieldspec() as instrument:
        done = measurer.run(instrument.port, "--points", "2", "--count", "2")
    assert done.code == 0, done.err
    assert [record["status"] for record in done.records] == ["estimated"] * 2
    assert "optimised: VNIR integration_ms" in done.err


def test_listen_optimises_takes_dark_and_white_and_measures(tmp_path: Path, tiny_bundle: Path) -> None:
    listener = Listener(tmp_path, tiny_bundle)
    path = tmp_path / "fieldspec.toml"
    path.write_text(PROFILE)
    how = ("--profile", str(path), "--white", "now", "--count", "2", "--points", "2", "--scans", "5", "--prefix", "F")
    with fieldspec() as on:
        done = listener.run(on.port, *how)
    assert done.code == 0, done.err
    assert [(r["sample_id"], r["status"]) for r in done.records] == [("F001", "estimated"), ("F002", "estimated")]
    with closing(sqlite3.connect(listener.log)) as db:
        kinds = db.execute("SELECT kind, count(*) FROM scans GROUP BY kind ORDER BY kind").fetchall()
    assert kinds == [("dark", 1), ("target", 4), ("white", 1)]
