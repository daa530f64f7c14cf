"""Groups of samples, from a column or from where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from stibium.train.crossval.cache import KeptFits
from stibium.train.crossval.groups import read_cells, read_groups
from stibium.train.errors import AssayFileError, KeptFitsError, TrainingDataError


def table(folder: Path, text: str) -> str:
    path = folder / "assays.csv"
    path.write_text(text)
    return str(path)


def test_a_blank_has_no_site_and_needs_none(tmp_path: Path) -> None:
    path = table(tmp_path, "kind,number,name,Sb_ppm,site\nsample,1,A,3,north\nblank,2,BLK,<0.02,\nsample,3,B,4,south\n")
    assert read_groups(path, "site") == {"A": "north", "B": "south"}


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("sample,Lat,Lon", ["A,41.0,-8.0", "B,41.0004,-8.0", "C,41.0005,-8.0", "D,,"]),
        ("sample,easting_m,northing_m", ["A,561000,4550000", "B,561000,4550049", "C,561000,4550050", "D,,"]),
    ],
)
def test_cells_in_degrees_and_in_metres(tmp_path: Path, header: str, rows: list[str]) -> None:
    cells = read_cells(table(tmp_path, "\n".join([header, *rows]) + "\n"), 50)
    assert set(cells) == {"A", "B", "C"}, "D has no position"
    assert cells["A"] == cells["B"] != cells["C"]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("sample,Sb_ppm\nA,1\n", AssayFileError, "no positions; give columns latitude and longitude"),
        ("sample,lat,lon\nA,north,3\n", AssayFileError, "row 2: north, 3 is no position"),
        ("sample,lat,lon\nA,41,\n", AssayFileError, "row 2: 41,  is no position"),
        ("sample,lat,lon\nA,,\n", AssayFileError, "no sample has a position in lat and lon"),
        ("sample,lat,lon\nA,410,3\n", TrainingDataError, "have no position"),
        ("sample,lat,lon\nA,41\n", AssayFileError, "row 2 has 2 fields, the header 3"),
    ],
)
def test_what_is_no_position_is_said(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        read_cells(table(tmp_path, text), 50)


@pytest.mark.parametrize("text", ["mine, without an end", "mine\nand more", '{"of": "x"}\nmore', "{"])
def test_a_file_that_holds_something_else_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    if text == "{":
        KeptFits(path)  # as short as this it may be a fit that a kill cut off
        return
    with pytest.raises(KeptFitsError, match=r"line \d is no kept fit; name another file"):
        KeptFits(path)
    assert path.read_text() == text
