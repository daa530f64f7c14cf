"""`stibium ore train`, `export`, `evaluate` on a small simulated deposit: in a real process where a run is made and used,
else in this one, as most of a process is its start.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import warnings
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from click.testing import CliRunner
from small_runs import succeed
from stibium.converters.spectra.errors import StibiumError
from stibium.edge.cli import stibium as program
from stibium.edge.ore.bundle import read_ore_bundle
from stibium.edge.ore.columns import read_columns
from stibium.train.ore.data import load_ore_data
from stibium.train.ore.scores import SCORES

FAST = ("--fast", "--rows", 400, "--test-rows", 300, "--folds", 2, "--jobs", 1, "--model", "tree", "--scenario", "C4")


def stibium(*arguments: object) -> CompletedProcess[str]:
    """Run a command in this process, and end it as `main` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(program, [str(a) for a in arguments])
    if isinstance(done.exception, StibiumError):
        return CompletedProcess([], 1, done.stdout, f"{done.stderr}stibium: {done.exception}\n")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return CompletedProcess([], done.exit_code, done.stdout, done.stderr)


def succeed_here(*arguments: object) -> CompletedProcess[str]:
    done = stibium(*arguments)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def tree_run(small_deposit: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CompletedProcess[str]]:
    """A run of one tree without a page, and what its command printed."""
    out = tmp_path_factory.mktemp("tree") / "run"
    return out, succeed_here("ore", "train", small_deposit, "--out", out, *FAST, "--no-report", "--format", "jsonl")


@pytest.fixture(scope="module")
def costly_run(small_deposit: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CompletedProcess[str]]:
    """The same with a page, where losing ore costs a thousand times as much as hauling gangue."""
    out = tmp_path_factory.mktemp("costly") / "run"
    return out, succeed_here("ore", "train", small_deposit, "--out", out, *FAST, "--cost-lost-ore", 2000)


@pytest.fixture(scope="module")
def record(small_ore_run: Path) -> dict:
    return json.loads((small_ore_run / "run.json").read_text())


def test_the_record_has_every_score_with_its_spread(record: dict):
    assert record["simulated"] is True
    assert record["whole_holes_apart"] is True
    keys = {(c["scenario"], c["model"]) for c in record["cells"]}
    assert len(keys) == len(record["cells"]) == 2 * 3
    for cell in record["cells"]:
        assert set(cell["cross_validated"]) == set(SCORES) == set(cell["test"])
        assert all(set(s) == {"mean", "sd"} for s in cell["cross_validated"].values())
        counts = cell["confusion"]
        assert sum(counts.values()) == record["split"]["test"] == 400
        right = counts["ore_found"] + counts["gangue_left"]
        assert cell["test"]["accuracy"] == pytest.approx(right / 400)
        at_random, by_hole = (cell["leakage"][way]["auc"]["mean"] for way in ("at_random", "by_hole"))
        assert cell["leakage"]["difference"]["auc"] == pytest.approx(at_random - by_hole)


def test_arsenic_makes_the_difference_and_boosting_beats_a_line(record: dict):
    auc = {(c["scenario"], c["model"]): c["test"]["auc"] for c in record["cells"]}
    assert auc["C1", "xgboost"] > auc["C4", "xgboost"] + 0.03
    assert auc["C4", "xgboost"] > auc["C4", "logistic"]


def test_the_studys_figures_stand_beside_this_runs(record: dict):
    rows = {row["what"]: row for row in record["study"]}
    assert rows["accuracy, XGBoost, C1"]["study"] == "0.96"
    assert rows["r Sulfetac-Au_Potenc"]["agrees"] is True
    # It needs AdaBoost, which this run leaves out, or all four scenarios.
    assert "precision, AdaBoost, C1" not in rows
    assert not any(what.startswith("order of scenarios") for what in rows)
    for row in rows.values():
        assert row["agrees"] or row["why"]


def test_each_bundle_answers_as_the_run_did(small_ore_run: Path, small_deposit: Path, record: dict):
    assert len(record["files"]) == 6
    data = load_ore_data(small_deposit, read_columns())
    for name, sha256 in record["files"].items():
        bundle = read_ore_bundle(small_ore_run / name)
        assert bundle.sha256 == sha256
        assert bundle.simulated
        found = bundle.model.probabilities(bundle.golden.values)
        assert found == pytest.approx(bundle.golden.expected, abs=1e-6)
        features = data.features[:50, data.columns_of(bundle.columns.names)]
        block = bundle.model.contributions(features[0])
        assert block.base + block.values.sum() == pytest.approx(float(bundle.model.sums(features[:1])[0]), abs=1e-6)
        cell = next(c for c in record["cells"] if name == f"models/{c['scenario']}-{c['model']}.ore")
        assert bundle.threshold == cell["threshold"]["value"]
        assert bundle.provenance["parameters"] == cell["parameters"]


def test_the_page_has_everything_and_loads_nothing(small_ore_run: Path):
    page = (small_ore_run / "report.html").read_text()
    assert page.count("SIMULATED") > 20
    for title in ("What came out", "By hole and at random", "Threshold by cost", "Beside the study", "Correlations"):
        assert title in page
    assert "src=" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    # Six models: a summary each, and waterfalls of three blocks each.
    assert page.count('aria-label="SIMULATED. SHAP summary of') == 6
    assert page.count('aria-label="SIMULATED. Waterfall of one block') == 18
    assert page.count('aria-label="SIMULATED. Calibration curve') == 6


def test_tables_lie_beside_it(small_ore_run: Path):
    with open(small_ore_run / "tables" / "pearson.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][0] == "variable"
    assert len(rows) == len(rows[0]) == 17
    names = {p.stem for p in (small_ore_run / "tables").iterdir()}
    assert {"scores", "test_scores", "statistics", "frequencies", "spearman", "leakage"} <= names
    frequencies = list(csv.DictReader((small_ore_run / "tables" / "frequencies.csv").open()))
    assert sum(float(row["% of blocks"]) for row in frequencies[:3]) == pytest.approx(100, abs=0.2)


def test_an_exported_model_predicts_and_is_evaluated(small_ore_run: Path, small_deposit: Path, tmp_path: Path):
    face = tmp_path / "face.ore"
    done = succeed("ore", "export", small_ore_run, "--scenario", "C4", "--model", "forest", "--out", face)
    assert "random forest for C4" in done.stderr
    assert face.read_bytes() == (small_ore_run / "models" / "C4-forest.ore").read_bytes()
    done = succeed("ore", "evaluate", face, small_deposit, "--format", "jsonl", "--report", tmp_path / "page.html")
    line = json.loads(done.stdout)
    assert line["blocks"] == 1500
    assert sum(line["confusion"].values()) == 1500
    not_told = line["confusion"]["ore_not_told"] + line["confusion"]["gangue_not_told"]
    assert not_told == line["cannot_tell"] > 0
    predicted = succeed_here("ore", "predict", small_deposit, "--model", face, "--format", "jsonl").stdout.splitlines()
    assert not_told == sum(json.loads(answer)["decision"] == "cannot tell" for answer in predicted)
    assert line["worth"]["nothing"] == ""
    assert line["ore_share"] == pytest.approx(np.mean(load_ore_data(small_deposit, read_columns()).ore))
    assert line["scores"]["auc"] > 0.7
    assert line["spread"]["auc"]["sd"] > 0
    assert "SIMULATED" in (tmp_path / "page.html").read_text()
    table = succeed_here("ore", "evaluate", face, small_deposit).stdout
    assert table.startswith("SIMULATED")
    assert "cost a block" in table
    assert f"{not_told} of 1500 blocks are answered with cannot tell" in table
    assert "is right who calls all" in table
    assert "by chance, if all probabilities were true" in table
    # Of gangue alone there is no recall, and no number that is none.
    alone = tmp_path / "gangue.csv"
    rows = small_deposit.read_text().splitlines()
    alone.write_text("\n".join([*rows[:2], *(row for row in rows[2:] if ",gangue" in row)]) + "\n")
    undefined = succeed_here("ore", "evaluate", face, alone).stdout
    assert "nan" not in undefined
    assert "recall       – ± –" in undefined
    header, values = succeed_here("ore", "evaluate", face, small_deposit, "--format", "csv").stdout.splitlines()
    row = dict(zip(header.split(","), values.split(","), strict=True))
    assert float(row["auc"]) == pytest.approx(line["scores"]["auc"], abs=1e-4)


def test_a_model_that_is_worth_nothing_is_said_to_be_and_not_handed_over_unasked(
    costly_run: tuple[Path, CompletedProcess[str]], small_deposit: Path, tmp_path: Path
):
    """Where losing ore costs a thousand times as much as hauling gangue, everything is hauled."""
    run, done = costly_run
    (said,) = [line for line in done.stderr.splitlines() if "worth nothing at these costs" in line]
    assert said.startswith("decision tree in C4 (the best of its scenario) is worth nothing")
    assert "worth nothing" in done.stdout
    assert "worth nothing at these costs" in (run / "report.html").read_text()
    record = json.loads((run / "run.json").read_text())
    assert "worth nothing" in record["cells"][0]["worth"]["nothing"]
    export = ("ore", "export", run, "--out", tmp_path / "x.ore")
    refused = stibium(*export)
    assert refused.returncode == 1
    assert "worth nothing" in refused.stderr
    assert "--anyway" in refused.stderr
    assert not (tmp_path / "x.ore").exists()
    assert "worth nothing" in succeed_here(*export, "--anyway").stderr
    assert "worth nothing" in succeed_here("info", tmp_path / "x.ore").stdout
    assert "the model is worth nothing" in succeed_here("ore", "evaluate", tmp_path / "x.ore", small_deposit).stdout


def test_the_costs_move_the_threshold(
    tree_run: tuple[Path, CompletedProcess[str]], costly_run: tuple[Path, CompletedProcess[str]]
):
    usual, costly = (read_ore_bundle(run / "models" / "C4-tree.ore").threshold for run, _ in (tree_run, costly_run))
    assert costly < usual
    assert not (tree_run[0] / "report.html").exists()


def test_scores_come_out_as_lines(tree_run: tuple[Path, CompletedProcess[str]], small_deposit: Path):
    run, done = tree_run
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["scenario"], line["model"], line["best"]) for line in lines] == [("C4", "tree", True)]
    assert set(lines[0]["at_random"]) == set(lines[0]["leakage"]) == set(SCORES)
    assert all(line["simulated"] for line in lines)
    again = stibium("ore", "train", small_deposit, "--out", run, *FAST)
    assert again.returncode == 1
    assert "--force" in again.stderr


def _damaged(small_deposit: Path, change, rows: int = 400) -> str:
    comment, header, *lines = small_deposit.read_text().splitlines()[: rows + 2]
    cells = [line.split(",") for line in lines]
    names = header.split(",")
    names, cells = change(names, cells)
    return "\n".join([comment, ",".join(names), *(",".join(row) for row in cells)]) + "\n"


def _set(column: str, value: str, row: int | None = None):
    def change(names, cells):
        at = names.index(column)
        for i, line in enumerate(cells):
            if row is None or i == row:
                line[at] = value
        return names, cells

    return change


def _own_hole(names, cells):
    for i, line in enumerate(cells):
        line[names.index("hole")] = f"H{i}"
    return names, cells


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("Class_As", "Enormous", 7), ("blocks.csv:10: Class_As", "Enormous", "Low, Medium, High")),
        (_set("label", "", 3), ("blocks.csv:6: label", "missing")),
        (_set("label", "ore"), ("all 400 blocks are ore", "both ore and gangue are needed")),
        (lambda names, cells: ([*names, "As_ppm"], [[*row, "5"] for row in cells]), ("'As_ppm' is there twice",)),
        (lambda names, cells: ([n for n in names if n != "label"], [r[:-1] for r in cells]), ("no column 'label'",)),
        (_set("hole", "", 5), ("blocks.csv:8", "no hole or face")),
        (_own_hole, ("a hole or face of its own",)),
        (_set("hole", "H1"), ("blocks.csv: ", "more holes are needed")),
        (_set("Class_Def", ""), ("Class_Def", "no value at all")),
        (_set("Pb_ppm", "many", 0), ("blocks.csv:3: Pb_ppm", "is no value")),
    ],
)
def test_a_bad_table_is_one_line(small_deposit: Path, tmp_path: Path, change, words):
    table = tmp_path / "blocks.csv"
    table.write_text(_damaged(small_deposit, change))
    done = stibium("ore", "train", table, "--out", tmp_path / "run", *FAST)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("stibium:")]
    assert len(lines) == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_group_of_one_row_is_said_and_does_no_harm_in_place_of_an_earlier_run(
    tree_run: tuple[Path, CompletedProcess[str]], small_deposit: Path, tmp_path: Path
):
    table, run = tmp_path / "blocks.csv", tmp_path / "run"
    shutil.copytree(tree_run[0], run)
    table.write_text(_damaged(small_deposit, _set("hole", "LONELY", 0)))
    done = stibium("ore", "train", table, "--out", run, *FAST, "--no-report", "--force", "--format", "csv")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "LONELY" in line]
    assert "1 of" in line
    assert "one row" in line
    (row,) = csv.DictReader(done.stdout.splitlines())
    (cell,) = json.loads((run / "run.json").read_text())["cells"]
    assert row["model"] == "tree"
    assert float(row["auc_leakage"]) == pytest.approx(cell["leakage"]["difference"]["auc"], abs=1e-4)
    assert float(row["auc"]) == pytest.approx(cell["cross_validated"]["auc"]["mean"], abs=1e-4)


def test_without_holes_the_random_split_is_all_there_is_and_it_says_so(small_deposit: Path, tmp_path: Path):
    text = (small_deposit.parent / "columns.toml").read_text().replace('group = "hole"', 'group = ""')
    (tmp_path / "columns.toml").write_text(text)
    columns = ("--columns", tmp_path / "columns.toml")
    done = succeed_here("ore", "train", small_deposit, "--out", tmp_path / "run", *FAST, *columns)
    assert "no holes or faces" in done.stderr
    assert "at random" in done.stdout
    page = (tmp_path / "run" / "report.html").read_text()
    assert "By hole and at random" not in page


MINE = """
id = "block"
group = "{group}"
from = "depth_m"
x = "east_m"
y = "north_m"
[label]
column = "label"
ore = ["ore"]
gangue = ["gangue"]
unlabelled = ["?"]
[[variable]]
name = "arsenic"
column = "As_ppm"
kind = "assay"
unit = "ppm"
[[variable]]
name = "silica"
column = "Class_Silic"
kind = "class"
words = ["Low", "Medium", "High"]
"""


def test_variables_of_ones_own_need_a_scenario_of_ones_own(small_deposit: Path, tmp_path: Path):
    (tmp_path / "mine.toml").write_text(MINE.format(group="hole"))
    own = ("--out", tmp_path / "run", "--columns", tmp_path / "mine.toml")
    done = stibium("ore", "train", small_deposit, *own)
    assert done.returncode == 1
    assert "for variables of your own name a scenario of your own, --scenario FILE.toml" in done.stderr
    (tmp_path / "two.toml").write_text('name = "two"\nvariables = ["arsenic", "silicas"]\n')
    done = stibium("ore", "train", small_deposit, *own, "--scenario", tmp_path / "two.toml")
    assert "scenario two: no variable silicas; did you mean 'silica'?" in done.stderr
    (tmp_path / "mine.toml").write_text(MINE.format(group="holeid"))
    (tmp_path / "two.toml").write_text('name = "two"\nvariables = ["arsenic", "silica"]\n')
    done = stibium("ore", "train", small_deposit, *own, "--scenario", tmp_path / "two.toml")
    assert done.returncode == 1
    assert "no column 'holeid', which is named as group" in done.stderr


def test_unlabelled_rows_are_answered_for_where_they_are(small_deposit: Path, tmp_path: Path):
    table = tmp_path / "blocks.csv"
    table.write_text(_damaged(small_deposit, _set("label", "?", 7), rows=1500))
    (tmp_path / "mine.toml").write_text(MINE.format(group="hole"))
    (tmp_path / "two.toml").write_text('name = "two"\nvariables = ["arsenic", "silica"]\n')
    options = ("--columns", tmp_path / "mine.toml", "--scenario", tmp_path / "two.toml", "--model", "logistic")
    fast = ("--fast", "--jobs", 1, "--folds", 2, "--rows", 400)
    done = succeed_here("ore", "train", table, "--out", tmp_path / "run", *options, *fast)
    assert "1 unlabelled rows are answered for in" in done.stderr
    (row,) = csv.DictReader((tmp_path / "run" / "tables" / "unlabelled_two.csv").open())
    original = list(csv.DictReader(small_deposit.read_text().splitlines()[1:]))[7]
    assert (row["id"], row["hole"]) == (original["block"], original["hole"])
    assert [float(row[name]) for name in ("from", "x", "y")] == [
        float(original[name]) for name in ("depth_m", "east_m", "north_m")
    ]
    assert row["decision"] in ("ore", "gangue", "cannot tell")
    bundle = read_ore_bundle(tmp_path / "run" / "models" / "two-logistic.ore")
    assert bundle.training.blocks < 1499
    assert (row["model"], row["model_sha256"]) == (bundle.name, bundle.sha256)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Beside the study" not in page, "the study has other variables"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--model", "oracle"), 2, "is not one of 'logistic'"),
        (("--scenario", "C4"), 2, "named twice"),
        (("--scenario", "C9"), 1, "no scenario of that name"),
        (("--columns", "/nowhere.toml"), 1, "nowhere.toml"),
        (("--cost-lost-ore", "0"), 2, "cost-lost-ore"),
    ],
)
def test_wrong_options_are_one_line(small_deposit: Path, tmp_path: Path, options, code, words):
    done = stibium("ore", "train", small_deposit, "--out", tmp_path / "run", *FAST, *options)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_exported_or_evaluated_is_one_line(small_ore_run: Path, small_deposit: Path, tmp_path: Path):
    out = ("--out", tmp_path / "x.ore")
    for options, words in (
        ((tmp_path, *out), "no run directory"),
        ((small_ore_run, *out, "--scenario", "C7"), "no scenario C7; there are C1, C4"),
        ((small_ore_run, *out, "--model", "adaboost"), "no model adaboost"),
    ):
        done = stibium("ore", "export", *options)
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x.ore").exists()
    table = tmp_path / "blocks.csv"
    table.write_text(_damaged(small_deposit, _set("Class_As", "Enormous", 7)))
    done = stibium("ore", "evaluate", small_ore_run / "models" / "C4-forest.ore", table, "--format", "jsonl")
    assert done.returncode == 1
    assert "Enormous" in done.stderr
    line = json.loads(done.stdout)
    assert (line["blocks"], line["refused"]) == (399, 1)


def test_an_evaluation_takes_columns_and_holes_as_the_other_commands_do(
    small_ore_run: Path, small_deposit: Path, tmp_path: Path
):
    bundle = small_ore_run / "models" / "C4-forest.ore"
    columns = tmp_path / "mine.toml"
    shipped = files("stibium.edge.ore").joinpath("default_columns.toml").read_text("utf-8")
    columns.write_text(shipped.replace('"Low", "Medium", "High"', '"High", "Medium", "Low"'))
    done = stibium("ore", "evaluate", bundle, small_deposit, "--columns", columns)
    assert done.returncode == 1
    assert "the model has its words in the order Low, Medium, High" in done.stderr
    table, found = tmp_path / "blocks.csv", []
    for other in (str, str.lower):

        def renamed(names, cells, other=other):
            for line in cells[1::2]:
                line[names.index("hole")] = other(line[names.index("hole")])
            return names, cells

        table.write_text(_damaged(small_deposit, renamed))
        found.append(json.loads(stibium("ore", "evaluate", bundle, table, "--format", "jsonl").stdout)["spread"])
    assert found[0] == found[1]


def test_a_changed_model_is_not_exported(small_ore_run: Path, tmp_path: Path):
    copy = tmp_path / "run"
    (copy / "models").mkdir(parents=True)
    (copy / "run.json").write_bytes((small_ore_run / "run.json").read_bytes())
    other = (small_ore_run / "models" / "C1-forest.ore").read_bytes()
    (copy / "models" / "C4-forest.ore").write_bytes(other)
    done = stibium("ore", "export", copy, "--model", "forest", "--out", tmp_path / "x.ore")
    assert done.returncode == 1
    assert "is not what run.json says" in done.stderr


def test_what_is_explained_is_what_moves(small_ore_run: Path, small_deposit: Path):
    bundle = read_ore_bundle(small_ore_run / "models" / "C1-xgboost.ore")
    data = load_ore_data(small_deposit, read_columns())
    features = data.features[:60, data.columns_of(bundle.columns.names)]
    sizes = np.mean([np.abs(bundle.model.contributions(block).values) for block in features], axis=0)
    assert bundle.columns.names[int(np.argmax(sizes))] in ("As", "Au")


MINE_S_OWN = """
group = "HOLEID"
missing = ["", "-9999"]
from = "FROM"
to = "TO"
x = "X"
y = "Y"
z = "RL"
epsg = 32629
label = "Au_ppm >= 0.5"
[[variable]]
name = "As"
column = "As_ppm"
kind = "assay"
unit = "ppm"
[[variable]]
name = "LITH"
kind = "category"
words = ["slate", "quartzite", "dyke"]
"""


def test_a_mines_walk_from_a_table_of_assays_to_a_layer_for_a_gis(tmp_path: Path):
    """As docs/ore.md has it: a label from a cut-off, wedges, names in either case, limits, -9999 and words."""
    chance = np.random.default_rng(0)
    rows = ["HOLEID,FROM,TO,X,Y,RL,LITH,Au_ppm,As_ppm"]
    for k in range(15):
        for i in range(14):
            rich = chance.standard_normal()
            hole = (f"X{195 + k}", f"x{195 + k}", f"X{195 + k}W1")[0 if i < 8 else 1 + k % 2]
            gold = f"{np.exp(rich - 0.7):.2f}" if rich > -1.5 else "<0.01" if i else "-9999"
            arsenic = f"{np.exp(5 + rich + 0.5 * chance.standard_normal()):.0f}" if rich > -1 else "<50"
            words = ("Slate", "quartzite", "dyke ")[int(chance.integers(3))]
            rows.append(f"{hole},{i},{i + 1},{500 + k},{600 + i},{-i},{words},{gold},{arsenic if i else -9999}")
    (tmp_path / "assays.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "mine.toml").write_text(MINE_S_OWN)
    (tmp_path / "face.toml").write_text('name = "face"\nvariables = ["As", "LITH"]\n')
    table, columns, run = tmp_path / "assays.csv", ("--columns", tmp_path / "mine.toml"), tmp_path / "run"
    fast = ("--fast", "--jobs", 1, "--folds", 2, "--model", "logistic", "--no-report")
    trained = succeed_here("ore", "train", table, *columns, "--scenario", tmp_path / "face.toml", "--out", run, *fast)
    assert "wedges belong to their parent holes (such as X196W1)" in trained.stderr
    assert "names of holes differ in case only" in trained.stderr
    assert "what folds at random add to the AUC, on the same rows" in trained.stdout
    face = tmp_path / "face.ore"
    succeed_here("ore", "export", run, "--scenario", "face", "--out", face, "--anyway")
    succeed_here("ore", "predict", table, *columns, "--model", face, "--export", tmp_path / "blocks.gpkg")
    with closing(sqlite3.connect(tmp_path / "blocks.gpkg")) as layer:
        found = layer.execute('SELECT hole, "from", "to", x, y, z FROM blocks ORDER BY fid').fetchall()
        (told,) = layer.execute("SELECT count(*) FROM blocks WHERE decision IN ('ore', 'gangue')").fetchone()
        (system,) = layer.execute("SELECT srs_id FROM gpkg_geometry_columns").fetchone()
    expected = [row.split(",")[:6] for row in rows[1:]]
    assert [[hole, *places] for hole, *places in found] == [[hole, *map(float, places)] for hole, *places in expected]
    assert told >= 0.9 * len(found)
    assert system == 32629
    wrong = stibium(
        "ore", "predict", table, "--columns", tmp_path / "mine.toml", "--model", run / "models" / "none.ore"
    )
    assert wrong.returncode == 1
    (tmp_path / "other.toml").write_text(MINE_S_OWN.replace('name = "As"', 'name = "Arsenic"'))
    wrong = stibium("ore", "predict", table, "--columns", tmp_path / "other.toml", "--model", face)
    assert "face.ore: no variable As; there are Arsenic, LITH" in wrong.stderr
