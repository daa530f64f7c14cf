"""The end of the day: what was measured, controls, refusals, references, places, and what has been exported."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from routine_bench import QUICK, Bench
from scan_samples import GRID_NM
from stibium.converters.spectra.spectrum import Position
from stibium.edge.cli import stibium as program
from stibium.edge.log.corrections import correct
from stibium.edge.log.day import day_lines, day_of, last_day
from stibium.edge.log.day_page import day_page
from stibium.edge.log.read import open_for_reading
from stibium.edge.measure.plan import Plan
from stibium.edge.measure.position import Fix
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimator

PROGRAM = str(Path(sys.executable).parent / "stibium")
NASTY = "=RS<b>7&"


class Walking:
    """A place a little farther north each time."""

    north = 41.0

    def latest(self) -> Fix:
        self.north += 0.0005
        return Fix(Position(self.north, -8.36, None), datetime(2026, 6, 1, 9, tzinfo=timezone.utc), "gpsd", "3D")

    def complaint(self) -> str:
        return ""


@pytest.fixture
def day_log(tmp_path: Path, shipped_bundle: Bundle) -> Path:
    """Readings 1 to 4 are soils, 5 is a blank; the second was refused, the third is void."""
    golden = shipped_bundle.golden
    assert golden is not None
    plan = Plan(prefix="RS", blank_every=4)
    rules = replace(QUICK, panel_check_every_min=0.0)
    given: dict[str, Any] = {"points": 1, "plan": plan, "position": Walking(), "operator": "Ana", "rules": rules}
    bench = Bench(tmp_path, Estimator(shipped_bundle), **given)
    bench.instrument.in_front = np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[0])
    bench.begin()
    bench.type("", "")
    bench.wait_min(31)
    bench.type("s", "", "w", "", "", f"i {NASTY}", "", "")
    bench.session.close()
    correct(bench.log, 3, "void", {"reason": "wrong pit"}, "Ana")
    correct(bench.log, 1, "note", {"text": "ochre"}, "Ana")
    bench.log.close()
    return bench.log.path


@pytest.fixture
def db(day_log: Path) -> Iterator[Any]:
    with open_for_reading(day_log) as opened:
        yield opened


def stibium(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_a_day_holds_what_became_of_everything(db: Any) -> None:
    today = last_day(db)
    assert today is not None
    day = day_of(db, today)
    assert [(one.reading, one.sample_id) for one in day.estimated] == [(1, "RS001"), (4, NASTY), (5, "blank-1")]
    assert [(one.sample_id, "white reference 31 min old" in one.reason) for one in day.refused] == [("RS002", True)]
    assert [one.void for one in day.void] == ["void: wrong pit"]
    assert [one.details["sample_id"] for one in day.controls] == ["blank-1"]
    assert len(day.whites) == 2
    assert len(day.placed) == 4
    assert day.exported == frozenset()
    assert [one.reading for one in day.not_exported] == [1, 2, 4, 5]
    assert [one.operator for one in day.sessions] == ["Ana"]
    assert day.elements == ["Sb"]
    assert day.simulated
    assert day_of(db, today - timedelta(days=1)).readings == ()
    assert len(json.dumps(day.as_json())) > 1000


def test_its_lines_say_all_of_it(db: Any) -> None:
    today = last_day(db)
    assert today is not None
    text = "\n".join(day_lines(day_of(db, today)))
    for said in (
        "3 estimated, 1 refused, 1 do not count",
        "RS002: dark and white reference 31 min old",
        "RS003: void: wrong pit",
        "white references: 2: ",
        "positions: 4 of 4",
        "exported: 0 of 4",
        "SIMULATED",
    ):
        assert said in text
    # No number of a simulated spectrum stands as if it were one of the ground.
    assert len(re.findall(r"\n  \S.*: Sb .*, simulated", text)) == 3
    assert re.search(r"controls: \d passed, \d FAILED, \d open\n  blank blank-1", text)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "path", "br"):
            self.open.append(tag)
        self.foreign += [f"{n}={v}" for n, v in attrs if n in ("src", "href", "onclick") or tag == "script"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "path"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_needs_nothing_and_obeys_no_name(db: Any) -> None:
    today = last_day(db)
    assert today is not None
    page = day_page(day_of(db, today))
    parsed = _Page()
    parsed.feed(page)
    assert parsed.open == []
    assert parsed.foreign == []
    text = " ".join(parsed.text)
    for said in (NASTY, "wrong pit", "note: ochre", "SIMULATED", "31 min old", "Places", "blank-1"):
        assert said in text
    assert "<b>7" not in page
    assert html.escape(NASTY) in page
    assert len(re.findall("<circle", page)) == 4


def test_the_command_writes_page_and_tables_and_remembers_that(day_log: Path, tmp_path: Path) -> None:
    page, table, wide = tmp_path / "day.html", tmp_path / "day.csv", tmp_path / "wide.csv"
    before = stibium("day", "--log", day_log)
    assert "not exported:" in before.stdout
    code = before.returncode  # 1 if the blank failed
    done = stibium("day", "today", "--log", day_log, "--export", page, "--export", table)
    assert (done.returncode, done.stdout) == (code, "")
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    assert [row["reading"] for row in rows] == ["1", "2", "4", "5"]
    after = stibium("day", "--log", day_log)
    assert "exported: 4 of 4" in after.stdout
    assert "not exported" not in after.stdout
    assert stibium("log", "edit", "1", "note", "later", "--log", day_log).returncode == 0
    assert "exported: 3 of 4" in stibium("day", "--log", day_log).stdout
    options = ("--wide", "--separator", "semicolon", "--decimal", "comma")
    assert stibium("day", "--log", day_log, "--export", wide, *options).returncode == code
    first, *_ = csv.DictReader(io.StringIO(wide.read_text("utf-8")), delimiter=";")
    assert first["latitude_deg"] == "41,0005"
    assert first["Sb_shown"]
    assert "exported: 4 of 4" in stibium("day", "--log", day_log).stdout


def test_day_and_log_count_what_a_file_holds_alike(day_log: Path, tmp_path: Path) -> None:
    """Samples where a row is a sample, readings else, by the rows that are there."""
    assert stibium("log", "edit", "4", "rename", "RS001", "--log", day_log).returncode == 0
    outs = [tmp_path / f"{name}.csv" for name in ("day", "day_wide", "log", "log_wide")]
    for out in outs:
        wide = ("--wide",) if "wide" in out.stem else ()
        done = stibium(out.stem.partition("_")[0], *wide, "--log", day_log, "--export", out)
        soils = {row["reading" + "s" * bool(wide)] for row in csv.DictReader(io.StringIO(out.read_text("utf-8")))}
        assert f"{len(soils)} {'samples' if wide else 'readings'}: {out}" in done.stderr.splitlines()
        assert len(soils) == (3 if wide else 4)
    done = stibium("day", "--log", day_log, "--export", tmp_path / "d.html", "--export", tmp_path / "e.csv", "--wide")
    assert [line.partition(":")[0].removeprefix("stibium") for line in done.stderr.splitlines()] == [
        "4 readings",
        "3 samples",
    ]


def test_exports_of_the_log_count_too(day_log: Path, tmp_path: Path) -> None:
    assert stibium("log", "--log", day_log, "--sample", "RS*", "--export", tmp_path / "rs.csv").returncode == 0
    day = json.loads(stibium("day", "--log", day_log, "--format", "jsonl").stdout)
    assert (day["exported"], day["not_exported"]) == ([1, 2], [4, 5])


def test_the_workbook_has_a_sheet_for_each_thing(day_log: Path, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl, of the extra xlsx, is not installed")
    out = tmp_path / "day.xlsx"
    stibium("day", "--log", day_log, "--export", out)
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == ["samples", "readings", "controls", "refused", "references", "corrections"]
    samples = [[cell.value for cell in row] for row in book["samples"].iter_rows()]
    names = samples[0].index("sample_id")
    assert [row[names] for row in samples[1:]] == ["RS001", "RS002", NASTY, "blank-1"]
    cells = [cell for row in book["samples"].iter_rows() for cell in row if cell.value == NASTY]
    assert {cell.data_type for cell in cells} == {"s"}
    assert book["corrections"].max_row == 3


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("yesterday",), 2, "is no day; write 2026-05-06"),
        (("9999-12-31",), 2, "is no day; write 2026-05-06"),
        (("0001-01-01",), 2, "is no day; write 2026-05-06"),
        (("2001-01-01",), 1, "nothing was measured on 2001-01-01"),
        (("--export", "day.pdf"), 2, "end it in .html, .xlsx or .csv"),
        (("--decimal", "comma"), 2, "--decimal comma needs another --separator"),
        (("--wide",), 2, "--wide, --separator and --decimal are forms of CSV"),
        (("--separator", "tab", "--export", "day.html"), 2, "are forms of CSV"),
    ],
)
def test_what_cannot_be_is_one_line(day_log: Path, arguments: tuple[str, ...], code: int, why: str) -> None:
    done = stibium("day", *arguments, "--log", day_log)
    assert done.returncode == code
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_there_is_kept(day_log: Path, tmp_path: Path) -> None:
    out = tmp_path / "day.html"
    out.write_text("mine")
    assert stibium("day", "--log", day_log, "--export", out).returncode != 0
    assert out.read_text() == "mine"


@pytest.mark.parametrize("hours", [-30, 30])
def test_what_was_exported_is_told_by_rows_whatever_the_clock_says(
    day_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """A clock that is set between an export and a correction must not hide that the file lacks it, nor invent it."""
    runner = CliRunner()

    def run(*arguments: str) -> str:
        return runner.invoke(program, [*arguments, "--log", str(day_log)]).output

    def set_clock(by_hours: float) -> None:
        wrong = (datetime.now(timezone.utc) + timedelta(hours=by_hours)).isoformat(timespec="milliseconds")
        for module in ("write", "corrections"):
            monkeypatch.setattr(f"stibium.edge.log.{module}.now", lambda: wrong)

    run("log", "--export", str(tmp_path / "all.csv"))
    assert "exported: 4 of 4" in run("day")
    set_clock(hours)
    run("log", "edit", "1", "note", "red")
    assert "exported: 3 of 4" in run("day")
    set_clock(hours - 40)
    run("log", "--export", str(tmp_path / "again.csv"))
    assert "exported: 4 of 4" in run("day")
    with closing(sqlite3.connect(day_log)) as db, db:  # as `reprocess` adds one
        columns = ", ".join(row[1] for row in db.execute("PRAGMA table_info(estimates)") if row[1] != "id")
        db.execute(f"INSERT INTO estimates ({columns}) SELECT {columns} FROM estimates WHERE reading_id = 4")
    assert "exported: 3 of 4" in run("day")
