"""Columns files and scenarios: what comes with the package, and one clear line for each thing that can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from stibium.edge.errors import ColumnFileError, ScenarioError
from stibium.edge.ore.columns import Columns, columns_from_dict, parse_columns, read_columns
from stibium.edge.ore.scenarios import read_scenario, scenario_names

STUDY = {
    "Au", "As", "S", "Pb", "Zn", "Cu", "Class_Boud", "Sulfetac", "Au_Potenc", "Class_As", "Class_Hardn", "Class_Def",
    "sulphidation", "Class_Silic", "texture", "Class_Pb-Zn",
}  # fmt: skip

ASSAY = '[[variable]]\nname = "As"\nkind = "assay"\nunit = "ppm"\n'
CLASS = '[[variable]]\nname = "Boud"\nkind = "class"\nwords = ["Low", "High"]\n'


def test_default_columns_are_the_studys() -> None:
    columns = read_columns()
    assert set(columns.names) == STUDY
    assert {v.unit for v in columns.variables if v.kind == "assay"} == {"ppm", "%"}
    assert {v.words for v in columns.variables if v.kind == "class"} == {("Low", "Medium", "High")}


def test_columns_survive_a_manifest() -> None:
    columns = read_columns()
    assert columns_from_dict(columns.to_dict(), "manifest") == columns
    for wrong in ("As => 0.5", "As == 0.5", "As <> 0.5", "As >> 0.5"):
        with pytest.raises(ColumnFileError, match="mine.toml: label"):
            parse_columns(f'label = "{wrong}"\n' + ASSAY, "mine.toml")


def test_environment_names_a_columns_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(ASSAY)
    monkeypatch.setenv("STIBIUM_ORE_COLUMNS", str(tmp_path / "mine.toml"))
    assert read_columns().names == ("As",)


@pytest.mark.parametrize(
    ("column", "unit", "right"),
    [
        ("Zn (%)", "ppm", "%"),
        ("Au_ppb", "ppm", "ppb"),
        ("As_pct", "g/t", "%"),
        ("As_ppm", "g/t", ""),
        ("As mg/kg", "ppm", ""),
        ("As", "%", ""),
        ("Density_kg", "kg/m3", ""),
    ],
)
def test_a_unit_is_what_the_columns_name_says(column: str, unit: str, right: str) -> None:
    text = f'[[variable]]\nname = "x"\ncolumn = "{column}"\nkind = "assay"\nunit = "{unit}"\n'
    if not right:
        assert parse_columns(text, "mine.toml").variables[0].unit == unit
        return
    with pytest.raises(ColumnFileError, match=f'x is said to be in {unit}, but its column is .*say unit = "{right}"'):
        parse_columns(text, "mine.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("variable = 3", "no variable"),
        ("", "no variable"),
        ("x = [", "not TOML"),
        (ASSAY + "units = 'ppm'\n", "unknown key units"),
        (ASSAY.replace("ppm", ""), "needs a unit"),
        (ASSAY.replace('"assay"', '"number"'), "one of 'assay', 'class', 'category' is needed"),
        (ASSAY + ASSAY, "variable 'As' is named twice"),
        (ASSAY + CLASS.replace('"Boud"', '"Boud"\ncolumn = "As"'), "column 'As' is named twice"),
        (CLASS.replace('"High"', '"low"'), "twice"),
        (CLASS.replace('"High"', '"2"'), "are numbers; say what they mean"),
        (CLASS.replace(', "High"', ""), "two words"),
        ('[label]\ncolumn = "c"\nore = ["yes"]\ngangue = ["Yes"]\n' + ASSAY, "two of ore, gangue and unlabelled"),
        ('[label]\ncolumn = "c"\nore = []\ngangue = ["no"]\n' + ASSAY, "none of them empty"),
        ('group = "As"\n' + ASSAY, "column 'As' is named twice"),
        ('x = "As"\n' + ASSAY, "column 'As' is named twice"),
        ("epsg = 0\n" + ASSAY, "a whole number from 1"),
        ("wedges = 1\n" + ASSAY, "true or false is needed"),
        ('label = "Au >= much"\n' + ASSAY, "words for ore and words for gangue are needed"),
        ('label = "Au >= 1e"\n' + ASSAY, "is no number"),
        ('[label]\ncolumn = "Au > 1"\nore = ["1"]\n' + ASSAY, "leave them out"),
        ('[label]\ncolumn = "c"\nore = ["1"]\ngangue = ["0"]\nunlabelled = ["0"]\n' + ASSAY, "two of ore, gangue"),
    ],
)
def test_bad_columns_file_is_one_line(text: str, said: str) -> None:
    with pytest.raises(ColumnFileError) as caught:
        parse_columns(text, "mine.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("mine.toml: ")
    assert "\n" not in str(caught.value)


def test_pick_keeps_order_and_names_what_is_missing() -> None:
    columns: Columns = read_columns()
    assert columns.pick(["Zn", "Au"]).names == ("Zn", "Au")
    with pytest.raises(ColumnFileError, match="no variable Hg"):
        columns.pick(["Hg"])


def test_scenarios_of_the_study() -> None:
    assert scenario_names() == ["C1", "C2", "C3", "C4"]
    chosen = {name: set(read_scenario(name).variables) for name in scenario_names()}
    assert chosen["C1"] == STUDY
    assert chosen["C2"] == STUDY - {"As"}
    assert "As" in chosen["C3"]
    assert len(chosen["C3"]) < len(chosen["C1"])
    # What leads C4 in the study, and no assay that a probe cannot give at the face.
    assert {"Class_As", "Sulfetac", "Pb", "Class_Silic", "Zn"} <= chosen["C4"]
    assert not chosen["C4"] & {"Au", "As", "S", "Cu"}
    for name in scenario_names():
        read_columns().pick(read_scenario(name).variables)


def test_own_scenario(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "M"\nvariables = ["As"]\n')
    assert read_scenario(path).variables == ("As",)
    for text, said in (
        ('name = "M"\nvariables = []', "one name or more"),
        ('name = "M"', "variables is missing"),
        ('variables = ["As"]', "name is missing"),
        ('name = "M"\nvariables = ["As", "as"]', "twice"),
        ('name = "M"\nvariable = ["As"]', "unknown key variable"),
    ):
        path.write_text(text)
        with pytest.raises(ScenarioError, match=said):
            read_scenario(path)
    with pytest.raises(ScenarioError, match="there are C1, C2, C3, C4"):
        read_scenario("C5")
    with pytest.raises(ScenarioError, match="No such file"):
        read_scenario(tmp_path / "none.toml")


def test_a_label_from_a_cut_off_is_no_variable_unasked() -> None:
    columns = parse_columns('label = "As >= 0.5"\n' + ASSAY + CLASS, "mine.toml")
    assert columns.label is not None
    assert (columns.label.column, columns.label.sign, columns.label.cut_off) == ("As", ">=", 0.5)
    assert columns.pick(["Boud"]).names == ("Boud",)
    with pytest.raises(ColumnFileError, match="As is what the label is made of .As >= 0.5."):
        columns.pick(["Boud", "As"])
    told = parse_columns('[label]\ncolumn = "As >= 0.5"\nvariable = true\n' + ASSAY, "mine.toml")
    assert told.pick(["As"]).names == ("As",)
    assert columns_from_dict(columns.to_dict(), "manifest") == columns


def test_every_role_survives_a_manifest() -> None:
    roles = 'id = "n"\ngroup = "holeid"\nfrom = "f"\nto = "t"\nx = "e"\ny = "nn"\nz = "d"\narea = "a"\nsection = "s"\n'
    columns = parse_columns(roles + "epsg = 32629\nwedges = false\n" + ASSAY, "mine.toml")
    assert columns.places == {"from": "f", "to": "t", "x": "e", "y": "nn", "z": "d"}
    assert columns_from_dict(columns.to_dict(), "manifest") == columns


def test_an_unknown_variable_is_told_what_may_be_meant() -> None:
    with pytest.raises(ColumnFileError, match="no variable boudd; did you mean 'Boud'"):
        parse_columns(ASSAY + CLASS, "mine.toml").pick(["boudd"])
