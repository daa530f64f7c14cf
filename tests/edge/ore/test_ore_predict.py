"""`stibium ore predict TABLE` as a user meets it: answers, reasons, refusals, formats, and nothing heavy imported."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from ore_tables import table_of
from stibium.edge.cli import stibium
from stibium.edge.cli.ore import ore
from stibium.edge.ore.bundle import OreBundle
from stibium.edge.ore.table import CHUNK

BLOCKED = (
    "import sys\n"
    "for name in ('sklearn', 'xgboost', 'scipy', 'pandas', 'tensorflow', 'stibium.train', 'stibium.converters.models'):\n"
    "    sys.modules[name] = None\n"
    "from stibium.edge.cli import main\n"
    "main()\n"
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(stibium, ["ore", "predict", *arguments])


def known(bundle: OreBundle) -> list[int]:
    """Golden blocks of which everything is known."""
    return np.flatnonzero(~np.isnan(bundle.golden.values).any(axis=1)).tolist()


@pytest.mark.parametrize("name", ["forest_c4", "xgboost_c3", "logistic_c3"])
def test_a_device_without_the_libraries_gives_their_answers(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle: OreBundle = request.getfixturevalue(name)
    table = table_of(bundle, bundle.golden.values, tmp_path)
    command = [sys.executable, "-c", BLOCKED, "ore", "predict", str(table), "--model", bundle.path]
    done = subprocess.run([*command, "--explain", "--format", "jsonl"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["id"] for r in records] == [f"b{i}" for i in range(len(records))]
    np.testing.assert_allclose([r["probability"] for r in records], bundle.golden.expected, atol=1.5e-6)
    for record, expected, given in zip(records, bundle.golden.contributions, bundle.golden.values, strict=True):
        found = [record["contributions"][v.name] for v in bundle.columns.variables]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        total = record["base"] + sum(found)
        assert total == pytest.approx(bundle.model.sums(given[None])[0], abs=2e-5)
        assert record["simulated"] is True
        assert record["model_sha256"] == bundle.sha256


def test_decisions_follow_the_threshold(xgboost_c3: OreBundle, tmp_path: Path) -> None:
    rows = known(xgboost_c3)
    table = table_of(xgboost_c3, xgboost_c3.golden.values[rows], tmp_path)
    done = run(str(table), "--model", xgboost_c3.path, "--format", "csv")
    assert done.exit_code == 0
    records = list(csv.DictReader(io.StringIO(done.stdout)))
    expected = ["ore" if p >= 0.4 else "gangue" for p in xgboost_c3.golden.expected[rows]]
    assert [r["decision"] for r in records] == expected
    assert {"ore", "gangue"} <= set(expected)
    assert f"{expected.count('ore')} ore, {expected.count('gangue')} gangue, 0 cannot tell; 0 refused" in done.stderr


def test_the_table_says_simulated_and_why(forest_c4: OreBundle, tmp_path: Path) -> None:
    table = table_of(forest_c4, forest_c4.golden.values[known(forest_c4)], tmp_path)
    done = run(str(table), "--model", forest_c4.path, "--explain")
    assert done.stdout.startswith("Model forest_c4.ore, SHA-256 ")
    assert "unsigned. It has no joint domain: " in done.stdout
    assert "Trained on SIMULATED blocks" in done.stdout
    lines = done.stdout.splitlines()[3:]
    assert any("for ore: " in line for line in lines)
    assert any("against: " in line for line in lines)
    assert "for ore" not in run(str(table), "--model", forest_c4.path).stdout


def test_outside_missing_and_limits(xgboost_c3: OreBundle, tmp_path: Path) -> None:
    block = xgboost_c3.golden.values[known(xgboost_c3)[0]]
    names = xgboost_c3.columns.names
    lacking = np.where(np.arange(len(block)) < xgboost_c3.training.most_missing + 1, np.nan, block)
    table = table_of(xgboost_c3, np.stack([block] * 4 + [lacking]), tmp_path)
    lines = table.read_text().splitlines()
    fields = lines[1].split(",")
    at = 1 + names.index("As")
    highest = xgboost_c3.training.highest[names.index("As")]
    for row, text in ((2, f"{10 * highest:.1f}"), (3, f"<{2 * block[names.index('As')]!r}"), (4, f">{highest!r}")):
        lines[row] = ",".join([f"c{row}", *fields[1:at], text, *fields[at + 1 :]])
    table.write_text("\n".join(lines) + "\n")
    records = [
        json.loads(x) for x in run(str(table), "--model", xgboost_c3.path, "--format", "jsonl").stdout.splitlines()
    ]
    assert records[0]["decision"] in ("ore", "gangue")
    assert records[0]["flags"] == []
    assert records[1]["decision"] == "cannot tell"
    assert "outside the training blocks: As" in records[1]["reason"]
    assert "above the training's" in records[1]["reason"]
    # Below twice the value is taken as the value itself.
    assert records[2]["probability"] == records[0]["probability"]
    assert "taken as half of it" in records[2]["flags"][0]
    assert records[3]["decision"] in ("ore", "gangue")
    assert "taken as that" in records[3]["flags"][0]
    assert records[4]["decision"] == "cannot tell"
    assert "variables missing; the training blocks lacked at most" in records[4]["reason"]


def test_a_bad_row_is_refused_and_the_rest_answered(xgboost_c3: OreBundle, tmp_path: Path) -> None:
    values = xgboost_c3.golden.values[known(xgboost_c3)][[0, 1, 2]]
    table = table_of(xgboost_c3, values, tmp_path)
    lines = table.read_text().splitlines()
    lines[2] = lines[2].rsplit(",", 1)[0] + ",Huge"
    table.write_text("\n".join(lines) + "\n")
    for out_format in ("table", "jsonl", "csv"):
        done = run(str(table), "--model", xgboost_c3.path, "--format", out_format)
        assert done.exit_code == 1
        assert "blocks.csv:3: Class_Pb-Zn: 'Huge' is no class; known are Low, Medium, High" in done.stdout
        assert "1 refused" in done.stderr
        assert "b0" in done.stdout
        assert "b2" in done.stdout


def test_long_tables_come_in_pieces_and_in_order(logistic_c3: OreBundle, tmp_path: Path) -> None:
    count = CHUNK + 500
    values = np.resize(logistic_c3.golden.values[known(logistic_c3)], (count, len(logistic_c3.columns.variables)))
    done = run(str(table_of(logistic_c3, values, tmp_path)), "--model", logistic_c3.path, "--format", "csv")
    records = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [r["id"] for r in records] == [f"b{i}" for i in range(count)]
    assert "0 refused" in done.stderr


def test_whole_tables_that_cannot_be_used(xgboost_c3: OreBundle, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "stibium.edge", "ore", "predict", "--model", xgboost_c3.path]
    (tmp_path / "no_as.csv").write_text("block,Pb_ppm\nb,1\n")
    (tmp_path / "twice.csv").write_text("block,As_ppm,As_ppm\nb,1,2\n")
    for name, said in (
        ("no_as.csv", "no column 'As_ppm'"),
        ("twice.csv", "is there twice"),
        ("no.csv", "no such file"),
    ):
        done = subprocess.run([*program, str(tmp_path / name)], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert said in done.stderr
        assert done.stderr.startswith("stibium: ")
        assert done.stderr.count("\n") == 1


def test_own_headers_and_words(xgboost_c3: OreBundle, tmp_path: Path) -> None:
    table = table_of(xgboost_c3, xgboost_c3.golden.values[known(xgboost_c3)], tmp_path)
    before = run(str(table), "--model", xgboost_c3.path, "--format", "csv").stdout
    text = table.read_text().replace("As_ppm", "arsenic").replace("High", "stark").replace("block", "Nr")
    table.write_text(text)
    sections = [
        f'[[variable]]\nname = "{v.name}"\nkind = "{v.kind}"\n'
        + (f'column = "arsenic"\nunit = "{v.unit}"\n' if v.name == "As" else "")
        + (f'column = "{v.column}"\nunit = "{v.unit}"\n' if v.kind == "assay" and v.name != "As" else "")
        + ('words = ["Low", "Medium", "stark"]\n' if v.kind == "class" else "")
        for v in xgboost_c3.columns.variables
    ]
    columns = tmp_path / "mine.toml"
    columns.write_text('id = "Nr"\n' + "".join(sections))
    done = run(str(table), "--model", xgboost_c3.path, "--columns", str(columns), "--format", "csv")
    assert done.stdout == before
    columns.write_text('id = "Nr"\n' + "".join(sections).replace('unit = "ppm"', 'unit = "%"', 1))
    done = run(str(table), "--model", xgboost_c3.path, "--columns", str(columns))
    assert done.exit_code == 1
    assert "As: the model takes it as assay, ppm" in str(done.exception)
    columns.write_text(
        'id = "Nr"\n' + "".join(sections).replace('"Low", "Medium", "stark"', '"Medium", "Low", "stark"')
    )
    done = run(str(table), "--model", xgboost_c3.path, "--columns", str(columns))
    assert done.exit_code == 1
    assert "the model has its words in the order Low, Medium, High" in str(done.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--at-face"],
        ["t.csv", "--at-face", "--sample", "F1"],
        ["t.csv", "--class", "Sulfetac=High"],
        ["t.csv", "--sample", "F1"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_every_option_has_help_and_the_command_an_example() -> None:
    command = ore.commands.get("predict") or ore.get_command(None, "predict")  # type: ignore[arg-type]
    assert command is not None
    assert all(getattr(p, "help", "") for p in command.params if p.param_type_name == "option")
    assert "stibium ore predict" in (command.epilog or "")
