"""`stibium validate` in real processes, on a small simulated survey."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = str(Path(sys.executable).parent / "stibium")


def stibium(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("survey") / "soils"
    done = stibium("simulate", "--out", str(folder), "--samples", "40", "--points", "1", "--as", "table")
    assert done.returncode == 0, done.stderr
    return ("--spectra", str(folder / "spectra.csv.gz"), "--assays", str(folder / "assays.csv"))


def test_every_element_in_one_command(survey: tuple[str, ...]) -> None:
    done = stibium("validate", *survey, "--fast", "--method", "PLSR", "--repeats", "2", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["name"] for line in lines] == ["Sb", "As", "Pb", "Mn", "Zn"]
    for line in lines:
        assert line["simulated"] is True
        (score,) = line["scores"]
        assert len(score["metrics"]["rmse"]["values"]) == 2
        assert all(None not in repeat for repeat in score["predicted"])


def test_a_site_is_predicted_from_the_other(survey: tuple[str, ...]) -> None:
    options = ("--fast", "--method", "PLSR", "--element", "As", "--format", "jsonl")
    done = stibium("validate", *survey, *options, "--group-by", "site", "--hold-out", "Tapada")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert line["folds"] == "Tapada predicted from Ribeiro da Serra"
    (predicted,) = line["scores"][0]["predicted"]
    tested = [group for group, value in zip(line["groups"], predicted, strict=True) if value is not None]
    assert set(tested) == {"Tapada"}
    assert tested.count("Tapada") == line["groups"].count("Tapada")


def test_the_papers_protocol_leaves_a_third_out_once(survey: tuple[str, ...]) -> None:
    options = ("--fast", "--method", "PLSR", "--element", "Zn", "--format", "jsonl", "--protocol", "paper")
    line = json.loads(stibium("validate", *survey, *options).stdout)
    (predicted,) = line["scores"][0]["predicted"]
    assert sum(value is not None for value in predicted) == 14


def test_the_table_says_simulated(survey: tuple[str, ...]) -> None:
    done = stibium("validate", *survey, "--fast", "--method", "PLSR", "--element", "Zn", "--repeats", "1")
    assert done.stdout.startswith("SIMULATED")
    assert "concordance" in done.stdout


def test_a_page_for_each_element_and_fits_that_are_kept(survey: tuple[str, ...], tmp_path: Path) -> None:
    keep = tmp_path / "fits.jsonl"
    options = ("--fast", "--method", "PLSR", "--repeats", "2", "--folds", "3", "--keep", str(keep))
    two = ("--element", "Zn", "--element", "Pb", "--report", str(tmp_path / "pages"))
    first = stibium("validate", *survey, *options, *two)
    assert first.returncode == 0, first.stderr
    for element in ("Zn", "Pb"):
        page = (tmp_path / "pages" / f"{element}.html").read_text()
        assert "SIMULATED" in page
        assert '<section id="baselines"' in page
        assert "VALIDATION REPORT" in page.upper()
    fits = keep.read_text().splitlines()
    assert len(fits) == 2 * 2 * 3
    again = stibium("validate", *survey, *options, "--element", "Zn", "--report", str(tmp_path / "zn.html"))
    assert again.stdout in first.stdout + "\n"
    assert (tmp_path / "zn.html").exists()
    assert keep.read_text().splitlines() == fits


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--method", "oracle"), 2, "is not one of PLSR"),
        (("--hold-out", "Tapada"), 2, "--group-by"),
        (("--protocol", "paper", "--group-by", "site"), 2, "no groups"),
        (("--element", "Au"), 1, "no column for Au"),
        (("--element", "Zn", "--group-by", "mine"), 1, "no column mine"),
        (("--element", "Zn", "--group-by", "site", "--hold-out", "Mars"), 1, "no sample belongs to Mars"),
        (("--element", "Zn", "--group-by", "site"), 1, "2 groups for 5 folds"),
        (("--element", "Zn", "--folds", "41"), 1, "40 samples for 41 folds"),
        (("--element", "Zn", "--report", "nowhere/page.html"), 2, "nowhere is no folder"),
        (("--element", "Zn", "--report", "."), 2, "is a folder; name a file"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    survey: tuple[str, ...], options: tuple[str, ...], code: int, words: str
) -> None:
    done = stibium("validate", *survey, "--fast", *options)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.splitlines()[-1].startswith("stibium: ")
