"""`stibium validate` in real processes, on a small simulated survey."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.files import iter_spectra

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
    done = stibium("validate", *survey, *options, "--hold-out", "Tapada")
    assert done.returncode == 0, done.stderr
    told = stibium("validate", *survey, *options, "--group-by", "site", "--hold-out", "Tapada")
    assert json.loads(told.stdout)["scores"][0]["predicted"] == json.loads(done.stdout)["scores"][0]["predicted"]
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
        (("--hold-out", "Mars"), 2, "no column has it; say with --group-by"),
        (("--exclude-above", "Sb>1000"), 2, "write a number above 0, such as 1000, or Sb=1000"),
        (("--exclude-above", "Au=1000"), 1, "no column for Au"),
        (("--element", "Zn", "--exclude-above", "Sb=0.001"), 1, "every sample with spectra has Sb above 0.001 ppm"),
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


def table_of(survey: tuple[str, ...], path: Path, change: Callable[[dict[str, str], int], dict[str, str]]) -> str:
    """Write the survey's assays again, each row as `change` has it."""
    with open(survey[3], newline="") as file:
        rows = [change(row, i) for i, row in enumerate(csv.DictReader(file))]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def test_an_element_that_tells_nothing_does_not_stop_the_others(survey: tuple[str, ...], tmp_path: Path) -> None:
    assays = table_of(survey, tmp_path / "a.csv", lambda row, i: row | {"Sb_ppm": "<0.02", "Pb_ppm": "7"})
    options = ("--fast", "--method", "PLSR", "--repeats", "1", "--folds", "2", "--format", "csv")
    done = stibium("validate", *survey[:2], "--assays", assays, *options)
    assert done.returncode == 1
    assert f"refused Sb: {assays}: every value of Sb is censored" in done.stderr
    assert "refused Pb: every sample has Pb 7 ppm; there is nothing to learn" in done.stderr
    assert "Traceback" not in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(dict.fromkeys(row["element"] for row in rows)) == ["As", "Mn", "Zn"]
    whole = [row for row in rows if row["element"] == "As" and not row["low"] and not row["high"]]
    assert [row["figure"] for row in whole] == ["r2", "rmse", "bias", "sep", "rpd", "rpiq", "concordance", "r2_log10"]
    assert {(row["n"], row["method"], row["repeats"], row["simulated"]) for row in whole} == {
        ("40", "PLSR", "1", "True")
    }
    classes = [
        row for row in rows if row["element"] == "As" and row["figure"] == "rmse" and (row["low"] or row["high"])
    ]
    assert sum(int(row["n"]) for row in classes) == 40
    total = sum(int(row["n"]) * float(row["mean"]) ** 2 for row in classes) / 40
    assert total**0.5 == pytest.approx(float(whole[1]["mean"]))


def test_a_refused_spectrum_shows_in_the_exit_code(survey: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("rain in the afternoon\n")
    options = ("--fast", "--method", "PLSR", "--repeats", "1", "--element", "Zn")
    done = stibium("validate", *survey, "--spectra", str(tmp_path), *options)
    assert done.returncode == 1
    assert f"refused {tmp_path / 'notes.txt'}: text without a table of spectra" in done.stderr
    assert "concordance" in done.stdout


def test_what_a_device_would_refuse_is_named_and_may_be_left_out(survey: tuple[str, ...], tmp_path: Path) -> None:
    soils = [one for one in iter_spectra([survey[1]]) if isinstance(one, Spectrum)]
    noise = 0.02 * (-1.0) ** np.arange(soils[0].values.size)
    table = tmp_path / "noisy.csv"
    write_table(table, [*(replace(one, values=one.values + noise) for one in soils[:2]), *soils[2:]])
    options = ("--fast", "--method", "PLSR", "--element", "Zn", "--repeats", "1", "--format", "jsonl")
    options = ("--spectra", str(table), *survey[2:], *options)
    done = stibium("validate", *options)
    assert done.returncode == 0
    assert (
        len([line for line in done.stderr.splitlines() if "2 spectra that a device would refuse are used" in line]) == 1
    )
    left = stibium("validate", *options, "--leave-out-refused")
    assert left.returncode == 1
    assert left.stderr.count("of reflectance, 0.005 is allowed") == 2
    counts = [len(json.loads(one.stdout)["scores"][0]["predicted"][0]) for one in (done, left)]
    assert counts[0] - counts[1] == 2


def test_neighbours_stay_together(survey: tuple[str, ...], tmp_path: Path) -> None:
    # Four soils in each of ten cells of 50 m; a degree of latitude is some 111 km.
    near = table_of(
        survey,
        tmp_path / "near.csv",
        lambda row, i: row | {"Latitude": f"{41 + i // 4 * 0.001:.6f}", "Longitude": "-8.4"},
    )
    options = ("--fast", "--method", "PLSR", "--repeats", "1", "--element", "Zn", "--format", "jsonl")
    done = stibium("validate", *survey[:2], "--assays", near, *options, "--group-cell", "50")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert line["folds"] == "5-fold cross-validation by group, 1 repeat, seed 42"
    assert len(set(line["groups"])) == 10
    assert all(line["groups"].count(cell) == 4 for cell in set(line["groups"]))
    both = stibium("validate", *survey[:2], "--assays", near, *options, "--group-cell", "50", "--group-by", "site")
    assert both.returncode == 2
    none = stibium("validate", *survey, *options, "--group-cell", "50")
    assert none.returncode == 1
    assert (
        "no positions; give columns latitude and longitude in degrees, or easting and northing in metres" in none.stderr
    )


def test_the_papers_comparison_has_their_network_and_their_outlier_rule(survey: tuple[str, ...]) -> None:
    with open(survey[3], newline="") as file:
        rich = {row["sample"] for row in csv.DictReader(file) if float(row["Sb_ppm"].lstrip(">")) > 1000}
    assert rich, "the survey must have an outlier"
    options = ("--fast", "--element", "Zn", "--protocol", "paper", "--exclude-above", "Sb=1000", "--format", "jsonl")
    done = stibium("validate", *survey, *options)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert [score["method"] for score in line["scores"]] == ["published network", "PLSR", "SVR", "random forest"]
    beside, (network, *_) = line["table_3"], line["scores"]
    assert (beside["printed"]["r2"], round(beside["printed"]["implied_r2"], 2)) == (0.78, 0.39)
    assert beside["here"]["r2"] == pytest.approx(network["metrics"]["r2"]["mean"])
    assert beside["here"]["training_rmse"] == pytest.approx(network["training"][1]["mean"])
    assert len(line["samples"]) == 40 - len(rich)
    assert not rich & set(line["samples"])
    noun = "sample" if len(rich) == 1 else "samples"
    assert f"{len(rich)} {noun} left out: Sb above 1000 ppm: " in done.stderr


def test_a_report_that_cannot_be_written_costs_no_figures(survey: tuple[str, ...]) -> None:
    options = ("--fast", "--method", "PLSR", "--repeats", "1", "--element", "Zn", "--report", "/proc/page.html")
    done = stibium("validate", *survey, *options)
    assert done.returncode == 1
    assert done.stderr == "stibium: /proc/page.html: the report cannot be written: No such file or directory\n"
    assert "concordance" in done.stdout


def test_the_documented_python_runs(survey: tuple[str, ...], tmp_path: Path) -> None:
    document = (Path(__file__).parents[3] / "docs" / "validation.md").read_text()
    code = document.split("```python\n")[1].split("```")[0]
    for name, path in (("soils", survey[1]), ("assays.csv", survey[3])):
        (tmp_path / name).symlink_to(path)
    code = code.replace('"soils/"', '"soils"')
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rmse, best = done.stdout.split("\n", 1)
    assert float(rmse) > 0
    assert best.strip() in ("PLSR", "SVR", "random forest")
