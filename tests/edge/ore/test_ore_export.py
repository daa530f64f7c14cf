"""Answers as files: the same values in CSV, JSON lines and a GeoPackage that a GIS opens."""

from __future__ import annotations

import csv
import json
import sqlite3
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ore_tables import table_of
from stibium.edge.cli import stibium
from stibium.edge.errors import ExportError
from stibium.edge.ore.bundle import OreBundle
from stibium.edge.ore.report import FIELDS

EPSG = 32629


def run(*arguments: object) -> Result:
    return CliRunner().invoke(stibium, ["ore", "predict", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def mine(forest_c4: OreBundle, tmp_path: Path) -> tuple[Path, Path]:
    """A table with places, a row of which is bad and one of which has no place; and its columns file."""
    plain = table_of(forest_c4, forest_c4.golden.values[:6], tmp_path).read_text().splitlines()
    placed = [f"{plain[0]},hole,from,to,X,Y,RL"]
    placed += [f"{line},H{i // 3},{i},{i + 1},{600_000 + i},{4_500_000 - i},{-i}" for i, line in enumerate(plain[1:])]
    placed[3] = placed[3].rsplit(",", 3)[0] + ",,,"
    bad = placed[1].split(",")
    bad[0], bad[1] = "bad", "much"
    (tmp_path / "mine.csv").write_text("\n".join([*placed, ",".join(bad)]) + "\n")
    columns = forest_c4.columns
    top = f'id = "block"\ngroup = "hole"\nfrom = "from"\nto = "to"\nx = "X"\ny = "Y"\nz = "RL"\nepsg = {EPSG}\n'
    sections = []
    for v in columns.variables:
        values = {k: list(x) if isinstance(x, tuple) else x for k, x in asdict(v).items() if x}
        sections.append("[[variable]]\n" + "\n".join(f"{k} = {json.dumps(x)}" for k, x in values.items()))
    (tmp_path / "mine.toml").write_text(top + "\n".join(sections) + "\n")
    return tmp_path / "mine.csv", tmp_path / "mine.toml"


def rows_of(path: Path) -> tuple[list[dict[str, Any]], sqlite3.Connection]:
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    return [dict(row) for row in db.execute("SELECT * FROM blocks ORDER BY fid")], db


def test_every_format_has_the_same_answers(forest_c4: OreBundle, mine: tuple[Path, Path], tmp_path: Path) -> None:
    table, columns = mine
    common = (table, "--model", forest_c4.path, "--columns", columns, "--explain", "--export")
    for name in ("map.gpkg", "calls.csv", "calls.jsonl"):
        done = run(*common, tmp_path / name)
        assert done.exit_code == 1  # a row is refused
        assert done.stdout == ""
        assert "1 refused" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["answer"] * 6 + ["refused"]
    with (tmp_path / "calls.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["id"] for row in cells] == [line["id"] for line in lines]
    features, db = rows_of(tmp_path / "map.gpkg")
    # One has no place, one is refused and has none either.
    placed = [line for line in lines if line["x"] is not None]
    assert [f["id"] for f in features] == [line["id"] for line in placed]
    assert len(placed) == 5
    for feature, line in zip(features, placed, strict=True):
        assert set(feature) == {"fid", "geom", *FIELDS}
        for name in (
            "probability",
            "interval_low",
            "low",
            "threshold",
            "decision",
            "hole",
            "from",
            "z",
            "model_sha256",
        ):
            assert feature[name] == line[name]
        assert json.loads(feature["contributions"]) == line["contributions"]
        assert feature["simulated"] == 1
        assert struct.unpack("<i", feature["geom"][4:8]) == (EPSG,)
        assert struct.unpack("<2d", feature["geom"][-16:]) == (line["x"], line["y"])
    assert db.execute("SELECT srs_id, min_x, max_y FROM gpkg_contents").fetchone()[:] == (EPSG, 600_000, 4_500_000)
    assert db.execute("SELECT organization FROM gpkg_spatial_ref_sys WHERE srs_id = ?", (EPSG,)).fetchone()[0] == "EPSG"
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_map_without_places_is_refused_and_not_left_half(forest_c4: OreBundle, tmp_path: Path) -> None:
    table = table_of(forest_c4, forest_c4.golden.values[:3], tmp_path)
    with pytest.raises(ExportError, match="none of 3 blocks has x and y"):
        run(table, "--model", forest_c4.path, "--export", tmp_path / "map.gpkg")
    assert not (tmp_path / "map.gpkg").exists()


def test_what_is_there_is_replaced_only_if_told_to(forest_c4: OreBundle, tmp_path: Path) -> None:
    table = table_of(forest_c4, forest_c4.golden.values[:3], tmp_path)
    out = tmp_path / "calls.csv"
    out.write_text("mine")
    command = (table, "--model", forest_c4.path, "--export")
    assert run(*command, out).exit_code == 2
    assert out.read_text() == "mine"
    assert run(*command, out, "--force").exit_code == 0
    assert out.read_text().startswith("status,id")
    assert run(*command, tmp_path / "calls.xlsx").exit_code == 2
    assert run(table, "--force").exit_code == 2
