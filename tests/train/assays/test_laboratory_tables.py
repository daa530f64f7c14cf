"""Tables as laboratories and spreadsheets send them: read for what they say, or refused by name."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from stibium.train.assays.table import AssayTable, parse_assay_tables, read_assay_table
from stibium.train.assays.values import Assay, as_reported
from stibium.train.crossval.groups import read_groups
from stibium.train.errors import AssayFileError


def table(text: str | bytes) -> AssayTable:
    return parse_assay_tables((text if isinstance(text, bytes) else text.encode(), "t"))


def values(text: str | bytes, element: str = "Sb") -> dict[str, str]:
    return {name: as_reported(assay) for name, assay in table(text).assays(element).values.items()}


@pytest.mark.parametrize(
    "text",
    [
        "sample;Sb_ppm\nA;12.5\nB;1,250\n",
        "sample;Sb_ppm\nA;12,5\nB;1.250\n",
        'sample,Sb_ppm\nA,12.5\nB,"1,250"\n',
        'sample,Sb_ppm\nA,"12,5"\nB,1.250\n',
        "sample\tSb_ppm\nA\t12.5\nB\t1 250\n",
        "sample;Sb_ppm;As_ppm\nA;12.5;3\nB;1250;1,250\n",
    ],
)
def test_thousands_are_told_from_decimals(text: str) -> None:
    assert values(text) == {"A": "12.5", "B": "1250"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample;Sb_ppm\nA;12\nB;1,250\n", "column Sb_ppm: '1,250' may be 1.250 or 1250"),
        ("sample;Sb_ppm\nA;12\nB;1.250\n", "column Sb_ppm: '1.250' may be 1.250 or 1250"),
        ("sample;Sb_ppm\nA;1,25\nB;3.1\n", "'3.1' and '1,25' stand together"),
        ("sample,Sb_ppm\nA,12.5\nB,1,250\n", "row 3 has 3 fields, the header 2; decimal commas need semicolons"),
        ("sample,Sb_ppm,,x\nA,12.5,,y\nB,1,250,y\n", "row 3 has '250' in column 3, which has no name"),
        # Signs apart from their values.
        ("sample,q,Sb_ppm,As_ppm\nA,<,5,1\n", "column 'q' holds signs such as < and >; name it after its element"),
        ("sample,Sb_ppm,Sb_qual\nA,5,J\n", r"row 2 \(A\), column Sb_ppm: 'J' beside it is none of <, > and ="),
        ("sample,Sb_ppm,Sb_qual\nA,<5,>\n", r"'<5' has '>' beside it"),
        ("sample,Sb_ppm,Sb_qual\nA,0,<\n", "<0 says nothing"),
        # Not detected, and nothing says below what.
        ("sample,Sb_ppm\nA,12\nB,n.d.\n", r"row 3 \(B\), column Sb_ppm: 'n.d.' does not say below what"),
        ("sample,Sb_ppm\nA,nd\nB,bdl\n", r"\(2 fields of the table cannot be read\)"),
        ("sample,Sb_ppm,Sb_qual\nA,,<\nB,3,\n", "does not say below what"),
        ("sample,Sb_ppm,Q\nA,5,U\nB,13,J\n", r"row 3 \(B\), column Sb_ppm: 'J' beside it is none of <, > and ="),
        ("sample,Sb_ppm,As_ppm,Q\nA,5,1,U\n", "name it after its element, such as Sb_qual"),
        ("sample,Sb_ppm,Detected\nA,5,N\nB,13,Y\n", "column 'Detected' says by 'N' what was detected; write < before"),
        ("sample,Sb_ppm,BDL\nA,5,TRUE\nB,13,FALSE\n", "column 'BDL' says by 'FALSE' what was detected"),
        ("sample,Sb_ppm\nA,-0.02\nB,-5\n", r"'-0.02' is negative; write .* \(2 fields of the table"),
        ("sample,Sb_ppm\nA,>UL\n", "does not say above what"),
        # Units below the header that are not those in it.
        ("sample,Sb_ppm\n,%\nA,5\n", "names no sample"),
        ("All values in ppm\nsample,Sb,As\nA,5,6\n", "none has a unit in the row below"),
    ],
)
def test_what_is_not_certain_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(AssayFileError, match=said) as caught:
        table(text)
    assert str(caught.value).startswith("t: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "sample,Sb_qual,Sb_ppm\nA,,12.5\nB,<,0.05\nC,>,4000\n",
        "sample,Sb_ppm,Sb_ppm_flag\nA,12.5,=\nB,0.05,U\nC,4000,>=\n",
        "sample;sign;Sb (ppm)\nA;;12,5\nB;<;0,05\nC;>;4000\n",
        "sample,qualifier (Sb),Sb_ppm,As_ppm,As_qual\nA,,12.5,1,<\nB,BDL,0.05,2,\nC,\u2265,4000,3,\n",
        "sample,Sb_ppm,Sb_qual\nA,12.5,\nB,<0.05,<\nC,>4000,\n",
        "sample,Sb_ppm,Lab Qualifier\nA,12.5,\nB,0.05,U\nC,>4000,\n",
        "sample,Sb_ppm,Remark\nA,12.5,\nB,0.05,n.d.\nC,>4000,\n",
        "sample,Lithology,Sb_ppm,Q\nA,ND,12.5,quartz\nB,shale,<0.05,\nC,,>4000,\n",
    ],
)
def test_a_sign_in_a_column_of_its_own_stays_with_its_value(text: str) -> None:
    assert values(text) == {"A": "12.5", "B": "<0.05", "C": ">4000"}


def test_not_detected_is_below_the_tables_limit() -> None:
    found = table("sample,Sb_ppm,As_ppm\nMDL,0.02,\nA,n.d.,bdl\nB,<0.01,<0.5\nC,5,<0.2\nD,IS,LNR\n")
    assert found.assays("Sb").values == {"A": Assay(0.02, "<"), "B": Assay(0.01, "<"), "C": Assay(5.0)}
    # Without a row of limits the highest that stands before a value: it holds for all.
    assert found.assays("As").values["A"] == Assay(0.5, "<")
    assert found.assays("Sb").missing == 1
    assert found.notes == (
        "t: Sb_ppm: 'n.d.' taken as <0.02, the detection limit of the table",
        "t: Sb_ppm: 'IS' say that there is no value",
        "t: As_ppm: 'bdl' taken as <0.5, the detection limit of the table",
        "t: As_ppm: 'LNR' say that there is no value",
    )


LABORATORIES = {
    "elements and units": "Sample,Sb,As\n,ppm,ppm\nA,13.38,25\nB,<0.05,18.1\n",
    "client, methods": 'XX24 - Finalized\nCLIENT : "TEST"\n# of SAMPLES : 2\n,MS-1,MS-1\nSAMPLE,Sb,As\nDESCRIPTION,ppm,ppm\n'
    "A,13.38,25\nB,<0.05,18.1\n",
    "names below": ",,Method,AQ200,AQ200\n,,Analyte,Sb,As\n,,Unit,PPM,PPM\n,,MDL,0.05,0.5\nSample,Type,,,\nA,Soil,,13.38,25\n"
    "B,Soil,,<0.05,18.1\n",
    "limits between": "ANALYTE,Sb,As\nMETHOD,ICM,ICM\nDETECTION,0.05,1\nUNITS,ppm,ppm\nA,13.38,25\nB,nd,18.1\n",
    "method last": "Report A24\n\nAnalyte Symbol,Sb,As\nUnit Symbol,ppm,ppm\nDetection Limit,0.05,0.1\nAnalysis Method,MS,MS\n"
    "A,13.38,25\nB,<0.05,18.1\n",
    "units above": "Units,mg/kg,mg/kg\nSample ID,Sb,As\nA,13.38,25\nB,<0.05,18.1\n",
    "limits below one row": "sample,Sb_ppm,As_ppm\nMethod,MS61,MS61\n,ppm,ppm\nMDL,0.05,0.5\nA,13.38,25\nB,<0.05,18.1\n",
    "title above one row": "Soils of May\nMore of it\nSample ID;Sb (mg/kg);As (mg/kg)\nA;13,38;25\nB;<0,05;18,1\n",
    "declared delimiter": "sep=;\nsample;Sb_ppm;As_ppm\nA;13,38;25\nB;<0,05;18,1\n",
    "empty cells": "sample,Sb_ppm,As_ppm,,\nA,13.38,25,,\nB,<0.05,18.1,,,\n,,,,\n",
    "broken names": '"Sample\nID","Sb\n(ppm)","As\nppm"\nA,13.38,25\nB,<0.05,18.1\n',
    "hole first": "Hole,Sample No.,Sb ppm,As ppm\nH1,A,13.38,25\nH1,B,<0.05,18.1\n",
}


@pytest.mark.parametrize("text", LABORATORIES.values(), ids=LABORATORIES)
def test_headers_of_laboratories(text: str, tmp_path: Path) -> None:
    assert values(text) == {"A": "13.38", "B": "<0.05"}
    assert values(text, "As") == {"A": "25", "B": "18.1"}
    # Groups are read out of the same table, by the same names.
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert read_assay_table(path).assays("Sb").values.keys() == {"A", "B"}


def test_units_and_elements_of_several_rows() -> None:
    found = table("Sample,site,Clay,Sb\n,,%,ppb\nA,x,12 %,900\n")
    assert [column.name for column in found.columns] == ["Clay_pct", "Sb_ppb"]
    assert found.rows[0].values == (Assay(12.0), Assay(900.0))
    assert found.notes == ("t: header read from row 1 and 2",)
    # The detection limits of a header are the table's.
    found = table(LABORATORIES["limits between"])
    assert [(row.name, row.kind) for row in found.rows] == [("DETECTION", "mdl"), ("A", "sample"), ("B", "sample")]
    with pytest.raises(AssayFileError, match="Sb stands in Sb_ppm and Sb_ppm; keep one"):
        table(",MS,FA\nSample,Sb,Sb\n,ppm,ppm\nA,1,2\n")


def test_names_that_a_spreadsheet_broke_into_lines_are_one() -> None:
    assert [column.name for column in table('sample,"Sb\ntotal (ppm)"\nA,5\n').columns] == ["Sb total_ppm"]


def test_groups_come_from_the_same_header(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Laboratory X\nSample,site,Sb\n,,ppm\nA,x,5\nB,y,6\n")
    assert read_groups(str(path), "site") == {"A": "x", "B": "y"}


Workbook = Callable[..., bytes]


@pytest.fixture
def workbook() -> Workbook:
    openpyxl = pytest.importorskip("openpyxl", reason="workbooks need openpyxl")

    def made(*sheets: list[list[Any]], formats: dict[str, str] | None = None) -> bytes:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for number, rows in enumerate(sheets):
            sheet = book.create_sheet(f"s{number}")
            for row in rows:
                sheet.append(row)
        for cell, form in (formats or {}).items():
            book.active[cell].number_format = form
        file = io.BytesIO()
        book.save(file)
        return file.getvalue()

    return made


def test_a_workbook_is_read_as_it_shows_itself(workbook: Workbook, tmp_path: Path) -> None:
    rows = [
        ["Sample ID", "Sb (mg/kg)", None],
        ["A", 12.5, None],
        ["B", "1.250", None],
        [312, "<0,02", None],
        ["D", "3,5", None],
    ]
    assert values(workbook(rows)) == {"A": "12.5", "B": "1250", "312": "<0.02", "D": "3.5"}
    path = tmp_path / "t.xlsx"
    path.write_bytes(workbook(rows))
    assert len(read_assay_table(path).assays("Sb").values) == 4
    # Formats that change what is seen.
    shown = workbook([["sample", "Sb_ppm", "Clay_pct"], ["A", 0.02, 0.125]], formats={"B2": '"<"0.00', "C2": "0.0%"})
    assert table(shown).rows[0].values == (Assay(0.02, "<"), Assay(12.5))
    # The sheet with assays, of several.
    book = workbook([["Client", "X"]], [["Report"], [None, "MS"], ["SAMPLE", "Sb"], [None, "ppm"], ["A", 3]])
    assert values(book) == {"A": "3"}
    assert "sheet s1; no other has a column" in table(book).notes[0]


OPEN_DOCUMENT = b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"


def test_workbooks_that_are_not_certain_are_refused(workbook: Workbook) -> None:
    head = ["sample", "Sb_ppm"]
    for data, said in (
        (workbook([head, ["A", 1]], [head, ["A", 2]]), "sheets s0, s1 all hold assays; keep one"),
        (workbook([head, ["A", "=1+1"]]), "cell B2 is a formula without its result"),
        (workbook([head, ["A", datetime(2024, 5, 1)]]), "'2024-05-01' is no value"),
        (workbook([head, ["A", "1.250"], ["B", 12.5]]), "may be 1.250 or 1250"),
        (workbook([]), "is empty"),
        (workbook([head, ["A", 1]])[:900], "is no workbook that can be read"),
        (b"\xd0\xcf\x11\xe0rest", r"old workbook \(.xls\); save it as .xlsx, or the sheet as CSV"),
        (OPEN_DOCUMENT, r"OpenDocument spreadsheet \(.ods\); save it as .xlsx, or the sheet as CSV"),
        (b"<html><table><tr><td>Sb_ppm</td></tr></table>", "saved as .xls; save it as .xlsx"),
    ):
        with pytest.raises(AssayFileError, match=said):
            table(data)


def test_a_row_of_methods_without_a_label_is_no_sample() -> None:
    head = "SAMPLE,Sb,As\nDESCRIPTION,ppm,ppm\n,ME-MS61,Au-AA23\nLOD,0.05,0.2\n"
    assert values(f"{head}A,12,3\nB,nd,4\n") == {"A": "12", "B": "<0.05"}
    assert values("SAMPLE,Sb,As\n,ppm,ppm\n,ICP-MS,XRF\nA,12,3\n") == {"A": "12"}
    # A sample that has lost its name is not taken for one.
    for lost in ("nd,IS", "<0.05,LNR", "3,XRF"):
        with pytest.raises(AssayFileError, match="names no sample"):
            table(f"SAMPLE,Sb,As\n,ppm,ppm\n,{lost}\nA,12,3\n")
    with pytest.raises(AssayFileError, match="row 4 names no sample"):
        table(f"{head[: head.index(',ME')]}A,12,3\n,14,3\n")


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Pulp Duplicates", "pulp"),
        ("DUPLICATES:", "replicate"),
        ("Certified Reference Materials", "crm"),
        ("Standards", "crm"),
        ("Blanks", "blank"),
    ],
)
def test_rows_below_a_title_are_of_its_kind(title: str, kind: str) -> None:
    made = table(f"sample,Sb_ppm,As_ppm\nBlank,,\nA,12,3\n{title},,\nA,13,4\nX9,1,1\n\nSamples,,\nB,5,6\n")
    assert [(row.name, row.kind) for row in made.rows] == [
        *(("Blank", "blank"), ("A", "sample"), ("A", kind), ("X9", kind), ("B", "sample")),
    ]
    assert made.assays("Sb").values.keys() == {"A", "B"}
    assert f"t: row 4: rows below {title!r} are of the kind {kind}" in made.notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_a_table_is_decoded_as_spectra_are(encoding: str) -> None:
    text = "Échantillon;Sb (mg/kg)\nMória;12,5\nRS2;<0,05\n"
    assert values(text.encode(encoding)) == {"Mória": "12.5", "RS2": "<0.05"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("*Rep RS001", "pulp"), ("*Dup RS001", "replicate"), ("*Std OREAS 45e", "crm"), ("*Blk BLANK", "blank")],
)
def test_a_row_marked_by_a_star_is_part_of_the_quality_control(name: str, kind: str) -> None:
    rows = table(f"sample,Sb_ppm\nRS001,12.5\n{name},12.7\n").rows
    assert [row.kind for row in rows] == ["sample", kind]
    assert rows[1].name == name


def test_notes_below_a_table_are_refused_by_their_row() -> None:
    with pytest.raises(AssayFileError, match="row 3 has 1 fields, the header 2; take notes below the table out of it"):
        table("sample,Sb_ppm\nRS001,12.5\nNSS: not sufficient sample\n")
