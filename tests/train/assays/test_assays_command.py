"""`stibium assays` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from stibium.train.cli.assays import assays

SOILS = """sample,site,Sb_ppm,As_ppm,clay_pct
S1,a,12.1,40,10
S2,a,55,71,14
S3,a,>4000,300,12
S4,b,<0.5,12,
S5,b,130,95,22
S5-D,b,150,101,21
REP S2,a,57,70,
BLK,,6,<1,
MDL,,0.5,1,
"""
CONTROL = "kind,name,Sb_ppb,As_ppm\ncrm,MADE-UP 1,100000,50\ncrm,made up 1,104000,52\n"
CERTIFIED = '["Made-up 1"]\nSb_ppm = { value = 100, sd = 4 }\nAs_ppm = { value = 40, sd = 2 }\n'


def run(*arguments: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "stibium"
    return subprocess.run([str(program), "assays", *map(str, arguments)], capture_output=True, text=True, check=False)


def records(*arguments: str | os.PathLike[str]) -> list[dict[str, Any]]:
    done = run(*arguments, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def soils(tmp_path: Path) -> Path:
    path = tmp_path / "soils.csv"
    path.write_text(SOILS)
    return path


@pytest.fixture
def control(tmp_path: Path) -> Path:
    path = tmp_path / "control.csv"
    path.write_text(CONTROL)
    return path


@pytest.fixture
def certified(tmp_path: Path) -> Path:
    path = tmp_path / "certified.toml"
    path.write_text(CERTIFIED)
    return path


def test_without_a_file_it_is_the_published_table() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("--published").stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "Carvalho et al. 2024, Remote Sensing 16(11):1964, table A1"
    assert lines[2].startswith("107 samples, 1 blank, 4 reference materials, 2 pulps, 2 replicates")
    assert "Sb: 7 of 107 are >4000, taken as that value" in done.stdout
    assert re.search(r"^Sb_ppm +bounds as values +107 +528\.7 +1114 ", done.stdout, re.MULTILINE)
    assert re.search(r"^As +0\.74 +1\.00$", done.stdout, re.MULTILINE)
    assert re.search(r"^Sb +pulps +2 +2 +2\.7 +12 .* pass$", done.stdout, re.MULTILINE)
    assert re.search(r"^Sb +OREAS 45h +2 .* warn +no certified value: repeatability only", done.stdout, re.MULTILINE)
    assert "Quality control: warn" in done.stdout
    assert "tables 1 and 2" not in done.stdout.lower()


def test_the_paper_is_compared_when_asked() -> None:
    done = run("--compare-paper")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^1 +Sb-As +0\.90 +0\.47 +0\.40 to 0\.63 +0\.74 +not from the table$", done.stdout, re.MULTILINE)
    assert re.search(r"^2 +Sb mean +132 +130\.7 .* one of those left out$", done.stdout, re.MULTILINE)
    assert "table 1 (correlations): 0 of 10 printed figures come out of table A1" in done.stdout
    assert "table 2 (descriptive statistics): 35 of 35 printed figures come out" in done.stdout


def test_own_soils_with_their_control(soils: Path, control: Path, certified: Path) -> None:
    found = records(soils, "--quality-control", control, "--certified", certified)
    head = found[0]
    assert head["paths"] == [str(soils), str(control)]
    assert (head["sample"], head["blank"], head["crm"], head["pulp"], head["replicate"], head["mdl"]) == (
        5,
        1,
        2,
        1,
        1,
        1,
    )
    by = {(r["section"], r.get("element"), r.get("stage") or r.get("material") or r.get("reading")): r for r in found}
    assert by["precision", "Sb", "field"]["cv_pct"] == pytest.approx(2**0.5 * 20 / 280 * 100)
    assert by["precision", "Sb", "pulp"]["n_used"] == 1
    antimony = by["reference material", "Sb", "MADE-UP 1"]
    assert (antimony["n"], antimony["recovery_pct"], antimony["verdict"]) == (2, pytest.approx(102), "pass")
    assert by["reference material", "As", "MADE-UP 1"]["verdict"] == "fail"
    blanks = {r["element"]: r for r in found if r["section"] == "blank"}
    assert (blanks["Sb"]["times_limit"], blanks["Sb"]["verdict"]) == (12, "fail")
    assert blanks["As"]["verdict"] == "pass"
    assert by["statistics", "Sb", "bounds as values"]["n"] == 5
    assert by["statistics", "Sb", "product limit"]["q3"] == "130"
    notes = [r["note"] for r in found if r["section"] == "note"]
    assert f"{control}: Sb_ppb converted to ppm" in notes


def test_csv_has_one_figure_a_row(soils: Path) -> None:
    done = run(soils, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["section", "element", "unit", "item", "figure", "value"]
    (mean,) = (
        r
        for r in rows
        if (r["section"], r["element"], r["item"], r["figure"]) == ("statistics", "As", "values", "mean")
    )
    assert float(mean["value"]) == pytest.approx((40 + 71 + 300 + 12 + 95) / 5)
    (verdict,) = (r for r in rows if (r["section"], r["element"], r["figure"]) == ("blank", "Sb", "verdict"))
    assert (verdict["item"], verdict["value"]) == ("BLK", "fail")
    (r,) = (
        r
        for r in rows
        if (r["section"], r["element"], r["item"], r["figure"])
        == ("correlation", "As", "bounds as values pearson clay", "r")
    )
    assert -1 <= float(r["value"]) <= 1
    assert not any(row["value"] in ("", "None", "nan") for row in rows)


def test_every_format_says_the_same(soils: Path) -> None:
    found = records(soils)
    rows = list(csv.DictReader(io.StringIO(run(soils, "--format", "csv").stdout)))
    (pair,) = (r for r in found if r["section"] == "pair" and r["element"] == "As" and r["stage"] == "field")
    figures = {
        r["figure"]: r["value"] for r in rows if (r["section"], r["element"], r["item"]) == ("pair", "As", "field S5")
    }
    assert float(figures["rpd_pct"]) == pair["rpd_pct"]
    assert (figures["first"], figures["second"], figures["used"]) == ("95", "101", "yes")
    assert f"{pair['rpd_pct']:.1f}" in run(soils).stdout


def test_one_element_alone(soils: Path) -> None:
    found = records(soils, "--element", "Sb")
    assert {r["element"] for r in found if "element" in r} == {"Sb"}
    assert not [r for r in found if r["section"] == "correlation"]
    everything = [r for r in records(soils) if r["section"] == "pair" and r["element"] == "Sb"]
    assert [r for r in found if r["section"] == "pair"] == everything


def test_only_control_rows_are_judged_as_far_as_they_go(tmp_path: Path, control: Path) -> None:
    done = run(control)
    assert done.returncode == 0
    assert "Descriptive statistics" not in done.stdout
    assert "Reference materials" in done.stdout
    assert "no samples to count them against" in done.stdout


def test_limits_can_be_set(soils: Path) -> None:
    def verdict(*arguments: str) -> str:
        found = records(soils, *arguments)
        return str(next(r["verdict"] for r in found if r["section"] == "blank" and r["element"] == "Sb"))

    assert verdict() == "fail"
    assert verdict("--limit", "blank_fail=12") == "warn"
    assert verdict("--limit", "blank_fail=30", "--limit", "blank_warn=20") == "pass"


def test_a_piped_head_is_no_error() -> None:
    program = Path(sys.executable).parent / "stibium"
    done = subprocess.run(
        f"'{program}' assays --compare-paper | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("Carvalho")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--published", "x.csv"], "--published stands for its own files"),
        (["--published", "--quality-control", "x.csv"], "--published stands for its own files"),
        (["--compare-paper", "x.csv"], "--compare-paper is about the published table"),
        (["--quality-control", "x.csv"], "--quality-control goes with the assays it controls"),
        (["--limit", "blank=3"], "'blank' is no limit; there are bias_fail_pct, "),
        (["--limit", "blank_fail"], "'' is no number from 0 up"),
        (["--limit", "blank_fail=-1"], "'-1' is no number from 0 up"),
        (["--limit", "blank_fail=nan"], "'nan' is no number from 0 up"),
        (["--format", "xlsx"], "'xlsx' is not one of"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], line: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert line in " ".join(done.stderr.split())
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("none.csv", None, "none.csv: there is no such file"),
        ("a.csv", "", "a.csv: is empty; a header and one row a sample are needed"),
        ("a.csv", "sample,Sb\nS1,3\n", "a.csv: no column is named <Element>_<unit>, such as Sb_ppm"),
        ("a.csv", "sample,Sb_ppm\nS1,high\n", "a.csv: row 2 (S1), column Sb_ppm: 'high' is no value"),
        ("a.csv", "sample,Sb_ppm\nS1\n", "a.csv: row 2 has 1 fields, the header 2"),
        ("a.csv", "kind,name,Sb_ppm\nspike,S1,3\n", "a.csv: row 2 (S1): kind 'spike' is none of sample, blank"),
        ("a.csv", "\x00\x01binary", "a.csv: is no CSV table"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, name: str, content: str | None, line: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    done = run(path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"stibium: {tmp_path}/{line}")
    assert done.stderr.count("\n") == 1


def test_certified_values_that_cannot_be_used_are_one_line(soils: Path, certified: Path) -> None:
    certified.write_text("[A]\nSb_ppm = 'much'\n")
    done = run(soils, "--certified", certified)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"stibium: {certified}: A: Sb_ppm: 'much' is no number above 0\n"


def test_an_absent_element_is_named(soils: Path) -> None:
    done = run(soils, "--element", "Au")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"stibium: {soils}: no column for Au; there are Sb, As, clay\n"


@pytest.mark.parametrize(
    "rows",
    ["S1,5\n", "S1,\nS2,\n", "S1,>5\nS2,>5\n", "S1,<5\n", "S1,5\nS2,5\nS3,5\n", "BLK,1\n", "S1,0\nS2,0\nREP S1,0\n"],
    ids=["one sample", "no values", "all above", "all below", "all the same", "no samples", "zeros"],
)
def test_tables_with_next_to_nothing_are_described(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "few.csv"
    path.write_text(f"sample,Sb_ppm\n{rows}")
    done = run(path)
    assert (done.returncode, done.stderr) == (0, "")
    for out_format in ("table", "jsonl", "csv"):
        # In this process, for the time's sake.
        result = CliRunner().invoke(assays, [str(path), "--format", out_format], catch_exceptions=False)
        assert result.exit_code == 0
        assert "nan" not in result.stdout
        assert result.stdout


DOCUMENT = Path(__file__).parents[3] / "docs" / "assays.md"


def block(language: str) -> str:
    return DOCUMENT.read_text().split(f"```{language}\n")[1].split("```")[0]


def test_documented_table_and_certificate_work(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(block("csv"))
    (tmp_path / "c.toml").write_text(block("toml").replace("MY CRM 1", "STD 7"))
    found = records(tmp_path / "a.csv", "--certified", tmp_path / "c.toml")
    assert {k: found[0][k] for k in ("sample", "pulp", "replicate", "blank", "crm", "mdl")} == {
        "sample": 2,
        "pulp": 1,
        "replicate": 1,
        "blank": 1,
        "crm": 1,
        "mdl": 1,
    }
    recovered = [r["recovery_pct"] for r in found if r["section"] == "reference material"]
    assert recovered == pytest.approx([100 * 1.12 / 5.1, 100 * 16.3 / 48])


def test_documented_limits_are_those_there_are() -> None:
    from dataclasses import fields

    from stibium.train.assays.findings import QualityLimits

    table = DOCUMENT.read_text().split("## Verdicts")[1].split("References")[0]
    assert {f.name for f in fields(QualityLimits)} == set(re.findall(r"`([a-z_]+_[a-z_]+|quantification)`", table))


def test_documented_figures_are_printed() -> None:
    text = run("--compare-paper").stdout
    documented = DOCUMENT.read_text().split("## Statistics")[1]
    for row in re.findall(r"^\| (?:bounds|known|product|log).*$", documented, re.MULTILINE):
        for number in re.findall(r"\d+\.\d+", row):
            assert number in text
    for words in (
        "33 of them at once without TP048",
        "0 of 10 printed figures",
        "35 of 35",
        "0.40 to 0.63 over any 92",
    ):
        assert words in text


def test_it_needs_scipy_and_says_so_where_only_the_devices_part_is() -> None:
    ask = "from stibium.edge.cli import stibium; stibium(['assays', '--compare-paper', '--format', 'csv'])"
    loaded = "import atexit, sys; atexit.register(lambda: print({'sklearn', 'tensorflow'} & set(sys.modules), file=sys.stderr)); "
    done = subprocess.run([sys.executable, "-c", loaded + ask], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "set()")
    hidden = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda n, *a: None if n == 'scipy' else find(n, *a); "
    main = "from stibium.edge.cli import main; import sys; sys.argv = ['stibium', 'assays']; main()"
    done = subprocess.run([sys.executable, "-c", hidden + main], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("stibium: needs the training side, which is not installed here: ")
