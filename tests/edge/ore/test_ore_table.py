"""Tables of blocks: what is read, and one clear line for each thing that can be wrong."""

from __future__ import annotations

import gzip
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.edge.errors import BlockTableError
from stibium.edge.ore.cells import field_reader
from stibium.edge.ore.columns import Columns, Label, parse_columns
from stibium.edge.ore.table import Blocks, iter_blocks, plain_values, read_blocks

COLUMNS: Columns = parse_columns(
    """
id = "block"
group = "hole"
[label]
column = "label"
ore = ["ore"]
gangue = ["gangue", "waste"]
[[variable]]
name = "As"
column = "As_ppm"
kind = "assay"
unit = "ppm"
[[variable]]
name = "Boud"
kind = "class"
words = ["Low", "Medium", "High"]
""",
    "columns.toml",
)
HEADER = "block,hole,As_ppm,Boud,label\n"


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "blocks.csv"
    path.write_bytes(text.encode())
    return path


def test_values_bounds_classes_labels_groups(tmp_path: Path) -> None:
    rows = "a,h1,12.5,Low,ore\nb,h1,<0.02,medium,Waste\nc,h2,>4000,3,gangue\nd,h2,n.a.,,ORE\n"
    blocks = read_blocks(table(tmp_path, "# simulated deposit\n\n" + HEADER + rows), COLUMNS)
    assert blocks.ids == ("a", "b", "c", "d")
    assert blocks.lines.tolist() == [4, 5, 6, 7]
    assert blocks.groups == ("h1", "h1", "h2", "h2")
    assert blocks.simulated
    np.testing.assert_equal(blocks.values, [[12.5, 1], [0.02, 2], [4000, 3], [np.nan, np.nan]])
    np.testing.assert_equal(blocks.bounds, [[0, 0], [-1, 0], [1, 0], [0, 0]])
    np.testing.assert_equal(blocks.features, [[12.5, 1], [0.01, 2], [4000, 3], [np.nan, np.nan]])
    assert blocks.labels is not None
    assert blocks.labels.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("packed", [False, True])
def test_other_delimiters_line_ends_and_gzip(tmp_path: Path, delimiter: str, packed: bool) -> None:
    text = "\ufeff" + (HEADER + 'x,h,"1.5",2.0,ore\n').replace(",", delimiter).replace("\n", "\r\n")
    path = tmp_path / "blocks.csv"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    blocks = read_blocks(path, COLUMNS)
    np.testing.assert_equal(blocks.values, [[1.5, 2]])
    assert not blocks.simulated


def test_no_id_and_no_group(tmp_path: Path) -> None:
    blocks = read_blocks(table(tmp_path, "Boud,As_ppm\nHigh,1\n"), COLUMNS, labelled=False)
    assert blocks.ids == ("line 2",)
    assert blocks.groups is None
    assert blocks.labels is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty; a header"),
        ("# only a comment\n", "empty; a header"),
        (HEADER, "without a row"),
        ("block,As_ppm,Boud,label,As_ppm\na,1,Low,ore,2\n", "column 'As_ppm' is there twice"),
        (
            "block,As_ppm,label\na,1,ore\n",
            "no column 'Boud', which is named as variable Boud; it has block, As_ppm, label",
        ),
        ("block,As_ppm,Boud\na,1,Low\n", "no column 'label'"),
        (HEADER + "a,h,1,Low,ore\nb,h,1,Huge,ore\n", "blocks.csv:3: Boud: 'Huge' is no class; known are Low, Medium"),
        (HEADER + "a,h,1,4,ore\n", "blocks.csv:2: Boud: '4' is no class"),
        (HEADER + "a,h,1,0,ore\n", "codes 1 to 3"),
        (HEADER + "a,h,1,1.5,ore\n", "is no class"),
        (HEADER + "a,h,much,Low,ore\n", "blocks.csv:2: As_ppm: 'much' is no value"),
        (HEADER + 'a,h,"1,5",Low,ore\n', "is no value"),
        (HEADER + "a,h,1_000,Low,ore\n", "is no value"),
        (HEADER + "a,h,inf,Low,ore\n", "is no value"),
        (HEADER + "a,h," + "9" * 400 + ",Low,ore\n", "is no value"),
        (HEADER + "a,h,<,Low,ore\n", "is no value"),
        (HEADER + "a,h,1e300,Low,ore\n", "'1e300' is more than there can be; 1e+06 ppm would be all of the rock"),
        (HEADER + "a,h,1000001,Low,ore\n", "is more than there can be"),
        (HEADER + "a,h,-0.02,Low,ore\n", "is negative; write a detection limit as <0.02"),
        (HEADER + "a,h,<0,Low,ore\n", "<0 says nothing"),
        (HEADER + "a,h,1,Low,\n", "blocks.csv:2: label: the label is missing"),
        (HEADER + "a,h,1,Low,maybe\n", "'maybe' is no label; known are ore, gangue, waste"),
        (HEADER + "a,h,1,Low\n", "blocks.csv:2: 4 of 5 columns"),
        (HEADER + 'a,h,1,"Low\n', "of 5 columns"),
    ],
)
def test_bad_table_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BlockTableError) as caught:
        read_blocks(table(tmp_path, text), COLUMNS)
    assert said in str(caught.value)
    assert "blocks.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_words_are_read_as_spreadsheets_write_them(tmp_path: Path, encoding: str, packed: bool) -> None:
    columns = replace(COLUMNS, variables=(replace(COLUMNS.variables[1], words=("fraco", "m\xe9dio", "forte")),))
    text = (HEADER + "a,h,1,M\xc9DIO,ore\n").encode(encoding)
    path = tmp_path / "blocks.csv"
    path.write_bytes(gzip.compress(text) if packed else text)
    assert read_blocks(path, columns).values.tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 [Content_Types].xml xl/", r"a workbook \(\.xlsx\); open it and save its sheet of blocks as CSV"),
        (b"\xd0\xcf\x11\xe0 old", "an old workbook"),
        (HEADER.encode() + b"a,h,1\0,Low,ore\n", "it is no text, or it is damaged"),
        (b"\xff\xfeabc", "begins like UTF-16 text but is none"),
        (None, "there is no such file"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "blocks.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BlockTableError, match=said):
        read_blocks(path, COLUMNS)


def test_a_bad_row_refuses_that_row_only(tmp_path: Path) -> None:
    text = HEADER + "a,h,1,Low,\nb,h,x,Low,\nc,h,3,Wrong,\nd,h,4,High,\n\ne\n"
    pieces = list(iter_blocks(table(tmp_path, text), COLUMNS, chunk=2))
    assert [i for piece in pieces for i in piece.ids] == ["a", "d"]
    refused = [row for piece in pieces for row in piece.refused]
    assert [(row.line, row.id) for row in refused] == [(3, "b"), (4, "c"), (7, "e")]
    assert all(len(piece.ids) + len(piece.refused) <= 2 for piece in pieces)


def test_line_numbers_after_a_quoted_line_end(tmp_path: Path) -> None:
    text = "note," + HEADER + '"two\nlines",a,h,1,Low,ore\n,b,h,zz,Low,ore\n'
    with pytest.raises(BlockTableError, match=r"blocks\.csv:4: As_ppm: 'zz'"):
        read_blocks(table(tmp_path, text), COLUMNS)


@given(st.text(max_size=12))
def test_every_field_is_read_or_refused(field: str) -> None:
    for variable in COLUMNS.variables:
        read = field_reader(variable, COLUMNS.missing)
        try:
            value, bound = read(field)
        except ValueError:
            continue
        assert bound in (-1, 0, 1)
        assert math.isnan(value) or value >= 0
        if math.isnan(value):
            assert field.strip().casefold() in {m.casefold() for m in COLUMNS.missing}


@given(st.floats(0, 1e6), st.sampled_from(["", "<", ">"]))
def test_numbers_come_back_as_written(value: float, bound: str) -> None:
    if value == 0 and bound == "<":
        return
    read = field_reader(COLUMNS.variables[0], COLUMNS.missing)
    found, kind = read(f" {bound}{value!r} ")
    assert (found, kind) == (value, {"": 0, "<": -1, ">": 1}[bound])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(1e-3, 1e5), st.sampled_from(["Low", "2", "HIGH", ""])), min_size=1, max_size=30))
def test_pieces_join_to_the_same_table(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]]) -> None:
    path = tmp_path_factory.mktemp("t") / "blocks.csv"
    path.write_text(HEADER + "".join(f"b{i},h,{a!r},{c},ore\n" for i, (a, c) in enumerate(rows)))
    whole: Blocks = read_blocks(path, COLUMNS)
    pieces = list(iter_blocks(path, COLUMNS, labelled=True, chunk=7))
    np.testing.assert_array_equal(np.concatenate([p.values for p in pieces]), whole.values)
    assert whole.values[:, 0].tolist() == [a for a, _ in rows]


def test_substitutes() -> None:
    values = np.array([[0.02, 4000.0, 5.0, np.nan]])
    bounds = np.array([[-1, 1, 0, 0]], dtype=np.int8)
    np.testing.assert_equal(plain_values(values, bounds), [[0.01, 4000.0, 5.0, np.nan]])


MINE = parse_columns(
    """
id = "n"
group = "holeid"
from = "from_m"
to = "to_m"
x = "east"
y = "north"
area = "pit"
[label]
column = "Au_ppm >= 0.5"
[[variable]]
name = "rock"
kind = "category"
words = ["schist", "vein", "dyke"]
""",
    "mine.toml",
)


def test_a_label_may_be_a_cut_off_and_what_is_on_neither_side_is_unlabelled(tmp_path: Path) -> None:
    cells = {"0.5": 1, "0.49": 0, "<0.02": 0, ">10": 1, "<1": -1, ">0.1": -1, "": -1, "<0.5": 0}
    text = "Au_ppm,rock\n" + "".join(f"{cell},vein\n" for cell in cells)
    blocks = read_blocks(table(tmp_path, text), MINE)
    assert blocks.labels is not None
    assert blocks.labels.tolist() == list(cells.values())
    below = replace(MINE, label=Label("Au_ppm", cut_off=0.5, sign="<"))
    found = read_blocks(table(tmp_path, text), below).labels
    assert found is not None
    assert found.tolist() == [0, 1, 1, 0, -1, -1, -1, 1]


def test_words_may_say_that_a_block_is_unlabelled(tmp_path: Path) -> None:
    label = Label("label", ("ore",), ("gangue",), unlabelled=("?", ""))
    text = HEADER + "a,h,1,Low,ore\nb,h,1,Low,?\nc,h,1,Low,\n"
    blocks = read_blocks(table(tmp_path, text), replace(COLUMNS, label=label))
    assert blocks.labels is not None
    assert blocks.labels.tolist() == [1, -1, -1]


def test_a_mines_own_rock_codes_are_words(tmp_path: Path) -> None:
    text = '[[variable]]\nname = "rock"\nkind = "category"\nwords = ["210", "2", "340A"]\n'
    columns = parse_columns(text, "mine.toml")
    assert read_blocks(table(tmp_path, 'rock\n2\n210\n340a\n""\n'), columns, labelled=False).values[:3].tolist() == [
        [2.0],
        [1.0],
        [3.0],
    ]
    for code in ("1", "3", "999"):
        with pytest.raises(BlockTableError, match="is no class; known are 210, 2, 340A$"):
            read_blocks(table(tmp_path, f"rock\n{code}\n"), columns, labelled=False)


def test_places_and_parts_of_the_mine_are_carried(tmp_path: Path) -> None:
    text = "n,holeid,from_m,to_m,east,north,pit,Au_ppm,rock\n7,H1,10,11.5,500000,,west,1,dyke\n"
    blocks = read_blocks(table(tmp_path, text), MINE)
    assert {name: values.tolist() for name, values in blocks.places.items() if name != "y"} == {
        "from": [10.0],
        "to": [11.5],
        "x": [500000.0],
    }
    assert math.isnan(blocks.places["y"][0])
    assert blocks.parts == {"area": ("west",)}
    assert blocks.take(np.array([0])).places["to"].tolist() == [11.5]


def test_places_are_read_with_the_marks_of_their_country(tmp_path: Path) -> None:
    head = "n;holeid;from_m;to_m;east;north;pit;Au_ppm;rock\n"
    rows = "7;H1;1;2,5;512300,5;7.412.200,25;west;0,4;dyke\n8;H1;-2,5;4,125;inf;1e300;west;2;dyke\n"
    places = read_blocks(table(tmp_path, head + rows), MINE).places
    np.testing.assert_equal(places["from"], [1.0, -2.5])
    np.testing.assert_equal(places["to"], [2.5, 4.125])
    np.testing.assert_equal(places["x"], [512300.5, np.nan])
    assert places["y"][0] == 7412200.25
    # Nothing shows what a comma would be: places are then as a computer writes them.
    plain = read_blocks(table(tmp_path, head + "7;H1;12.500;14.500;300.125;;west;2;dyke\n"), MINE).places
    assert (plain["from"][0], plain["x"][0]) == (12.5, 300.125)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("n,holes,Au_ppm,rock", "no column 'holeid', which is named as group; did you mean 'holes'?"),
        ("holeid,Au_ppm,rock", "no column 'n', which is named as id"),
        ("n,holeid,au_ppm,rock", "no column 'Au_ppm', which is named as label; did you mean 'au_ppm'?"),
        ("n,holeid,Au_ppm,rocks", "no column 'rock', which is named as variable rock; did you mean 'rocks'?"),
    ],
)
def test_a_column_that_is_named_and_absent_is_an_error(tmp_path: Path, header: str, said: str) -> None:
    path = table(tmp_path, f"{header}\n{','.join('1' * len(header.split(',')))}\n")
    with pytest.raises(BlockTableError, match=re.escape(said)):
        read_blocks(path, MINE, needed=("id", "group"))


@pytest.mark.parametrize(("rows", "values"), [(("12.5", "1,250"), [12.5, 1250]), (("12,5", "1.250"), [12.5, 1250])])
def test_thousands_are_told_from_decimals_by_the_whole_column(
    tmp_path: Path, rows: tuple[str, ...], values: list[float]
) -> None:
    text = HEADER.replace(",", ";") + "".join(f"b;h;{value};Low;ore\n" for value in reversed(rows))
    blocks = list(iter_blocks(table(tmp_path, "sep=;\n" + text), COLUMNS, chunk=1))
    assert [piece.values[0, 0] for piece in reversed(blocks)] == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEADER.replace(",", ";") + "a;h;12;Low;ore\nb;h;1,250;Low;ore\n",
            "column As_ppm: '1,250' may be 1.250 or 1250",
        ),
        (HEADER + "a,h,n.d.,Low,ore\n", "blocks.csv:2: As_ppm: 'n.d.' does not say below what"),
        (HEADER[:-1] + ",As_qual\na,h,5,Low,ore,\nb,h,5,Low,ore,<\n", "blocks.csv:3: As_qual: the sign < stands apart"),
    ],
)
def test_what_is_no_plain_value_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BlockTableError, match=re.escape(said)):
        read_blocks(table(tmp_path, text), COLUMNS)
