"""A mine's table as training takes it: holes and wedges, rows without a label, rows there twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from stibium.edge.errors import BlockTableError
from stibium.edge.ore.columns import parse_columns
from stibium.train.errors import TrainingDataError
from stibium.train.ore.data import folds_for, load_ore_data, notes, parent_hole

COLUMNS = """
id = "id"
group = "holeid"
section = "line"
{more}
[label]
column = "label"
ore = ["ore"]
gangue = ["gangue"]
unlabelled = ["?"]
[[variable]]
name = "As"
kind = "assay"
unit = "ppm"
[[variable]]
name = "Pb"
kind = "assay"
unit = "ppm"
"""


def load(tmp_path: Path, rows: str, more: str = "", **options: object):
    (tmp_path / "mine.csv").write_text(f"id,holeid,line,As,Pb,label\n{rows}")
    return load_ore_data(tmp_path / "mine.csv", parse_columns(COLUMNS.format(more=more), "mine.toml"), **options)


ROWS = (
    "1,X195,A,1,10,ore\n2,x195,A,2,20,gangue\n3,X195W1,A,3,30,ore\n4,X195-W2,B,4,40,ore\n"
    "5,SW12,B,5,50,gangue\n6,SW12,B,6,60,ore\n7,SW12,C,7,70,?\n"
)


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("X195W1", "X195"),
        ("X195-W2", "X195"),
        ("DD0012w3", "DD0012"),
        ("X195W1W2", "X195"),
        ("SW12", "SW12"),
        ("W1", "W1"),
        ("X195", "X195"),
        ("NEW7", "NEW7"),
    ],
)
def test_a_wedge_belongs_to_its_parent_hole(name: str, parent: str) -> None:
    assert parent_hole(name) == parent


def test_holes_are_compared_without_case_and_with_their_wedges(tmp_path: Path) -> None:
    data = load(tmp_path, ROWS)
    assert data.groups.tolist() == [1, 1, 1, 1, 0, 0]
    assert data.group_names == ("SW12", "X195")
    said = "\n".join(notes(data))
    assert "2 wedges belong to their parent holes (such as X195W1)" in said
    assert "differ in case only (such as X195)" in said


def test_wedges_may_be_holes_of_their_own(tmp_path: Path) -> None:
    data = load(tmp_path, ROWS, more="wedges = false")
    assert len(data.group_names) == 4
    assert "wedges belong" not in "\n".join(notes(data))


def test_folds_may_keep_sections_whole(tmp_path: Path) -> None:
    data = load(tmp_path, ROWS, whole="section")
    assert data.group_names == ("A", "B")
    assert data.groups.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(TrainingDataError, match="no column is named as area"):
        load(tmp_path, ROWS, whole="area")


def test_unlabelled_rows_are_passed_over_and_kept(tmp_path: Path) -> None:
    data = load(tmp_path, ROWS)
    assert data.ore.tolist() == [True, False, True, True, False, True]
    assert data.unlabelled.ids == ("7",)
    assert data.unlabelled.values.tolist() == [[7.0, 70.0]]
    assert any("1 rows are unlabelled" in line for line in notes(data))


def test_what_stands_twice_is_remarked(tmp_path: Path) -> None:
    data = load(tmp_path, ROWS + "1,X9,C,5,50,ore\n9,X9,C,1,10,gangue\n")
    said = "\n".join(notes(data))
    assert "1 names of blocks stand for several rows (such as 1)" in said
    assert "2 rows repeat another's values (lines 6 and 9)" in said
    assert "repeat" not in "\n".join(notes(load(tmp_path, ROWS)))
    undetected = ROWS + "8,SW12,C,<1,<5,ore\n9,SW12,C,<1,<5,ore\n"
    assert "repeat" not in "\n".join(notes(load(tmp_path, undetected)))


def test_a_group_that_is_named_and_absent_is_an_error(tmp_path: Path) -> None:
    columns = parse_columns(COLUMNS.format(more="").replace('"holeid"', '"holes"'), "mine.toml")
    (tmp_path / "mine.csv").write_text(f"id,holeid,line,As,Pb,label\n{ROWS}")
    with pytest.raises(BlockTableError, match="'holes', which is named as group; did you mean 'holeid'"):
        load_ore_data(tmp_path / "mine.csv", columns)


def test_a_small_table_gets_fewer_folds(tmp_path: Path) -> None:
    assert folds_for(load(tmp_path, ROWS), 10) == 2
