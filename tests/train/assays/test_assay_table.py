"""Whole tables: what each row is, units, several files, and every way they can be wrong."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.train.assays.kinds import KINDS, parse_kind, recognise
from stibium.train.assays.published import read_published_table
from stibium.train.assays.table import AssayTable, parse_assay_tables, read_assay_table
from stibium.train.assays.values import Assay
from stibium.train.errors import AssayFileError


def table(text: str) -> AssayTable:
    return parse_assay_tables((text.encode(), "t.csv"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MDL", "mdl"),
        ("lod", "mdl"),
        ("Detection limit", "mdl"),
        ("BLK", "blank"),
        ("Blank-3", "blank"),
        ("FIELD BLANK 2", "blank"),
        ("BLK07", "blank"),
        ("OREAS 45h", "crm"),
        ("oreas-501d", "crm"),
        ("GBMS304-2", "crm"),
        ("STD 7", "crm"),
        ("NIST_2710", "crm"),
        ("RS090", "sample"),
        # Names that only begin like one.
        ("BLACKWOOD 3", "sample"),
        ("BLKHILL-4", "sample"),
        ("STDAVIDS", "sample"),
        ("MDL-7", "sample"),
        ("REP RS091", "sample"),
        ("RS091-D", "sample"),
        ("SAND", "sample"),
    ],
)
def test_a_name_says_what_a_row_is(name: str, kind: str) -> None:
    assert recognise(name, None, {name, "RS090"}) == (kind, name)


@pytest.mark.parametrize("name", ["Mean", "average", "Total", "MAX", "Min", "Std dev", "Standard deviation", "Moyenne"])
def test_what_a_spreadsheet_made_of_the_rows_is_no_sample(name: str) -> None:
    found = table(f"sample,Sb_ppm\nRS001,3\nRS002,5\n{name},4\n")
    assert [row.name for row in found.rows] == ["RS001", "RS002"]
    assert found.notes == (f"t.csv: {name} (row 4): made of the other rows by name, no sample: left out",)


def test_a_standard_and_a_row_of_a_stated_kind_stay() -> None:
    assert [row.name for row in table("sample,Sb_ppm\nRS001,3\nSTD,5\nMaxwell 3,4\n").rows] == [
        "RS001",
        "STD",
        "Maxwell 3",
    ]
    stated = table("sample,kind,Sb_ppm\nRS001,,3\nMean,sample,5\n")
    assert [row.name for row in stated.rows] == ["RS001", "Mean"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("REP RS090", "pulp"),
        ("rep_RS090", "pulp"),
        ("REP RS090 QC", "pulp"),
        ("PULP-RS090", "pulp"),
        ("RS090 PULP", "pulp"),
        ("RS090-rpt2", "pulp"),
        ("RS090REP", "pulp"),
        ("DUP RS090", "replicate"),
        ("RS090DUP", "replicate"),
        ("RS090-D", "replicate"),
        ("RS090_D2", "replicate"),
        ("RS090 FD", "replicate"),
        ("RS090-duplicate", "replicate"),
    ],
)
def test_a_name_that_repeats_another_row_is_its_duplicate(name: str, kind: str) -> None:
    assert recognise(name, None, {name, "RS090"}) == (kind, "RS090")
    # The column has the last word on what it is, the name on what it repeats.
    assert recognise(name, "replicate", {name, "RS090"}) == ("replicate", "RS090")
    assert recognise(name, "sample", {name, "RS090"}) == ("sample", name)


@given(st.text(max_size=30), st.sets(st.text(max_size=8), max_size=5))
def test_any_name_is_something_and_repeats_only_what_is_there(name: str, names: set[str]) -> None:
    kind, of = recognise(name, None, names | {name})
    assert of == name or of in names
    assert kind in set(KINDS.values())
    assert kind in ("pulp", "replicate") or of == name


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("Field Duplicate", "replicate"),
        ("lab-duplicate", "pulp"),
        (" STD ", "crm"),
        ("detection_limit", "mdl"),
        ("", None),
    ],
)
def test_the_column_may_say_it_in_several_ways(field: str, kind: str | None) -> None:
    assert parse_kind(field) == kind


def test_a_table_of_samples_and_its_control() -> None:
    found = table(
        "kind,name,Sb_ppm,site,clay_pct\n"
        "mdl,MDL,0.02,,\n"
        "blank,B1,<0.02,,\n"
        "crm,STD 7,1.12,,\n"
        ",S1,>4000,Tapada,12\n"
        "pulp,S1,96.97,Tapada,\n"
        "field duplicate,S1-D,110.4,Tapada,11\n"
        ",BLK 2,0.3,,\n"
    )
    assert [column.name for column in found.columns] == ["Sb_ppm", "clay_pct"]
    assert [row.kind for row in found.rows] == ["mdl", "blank", "crm", "sample", "pulp", "replicate", "blank"]
    assert [row.of for row in found.rows] == ["MDL", "B1", "STD 7", "S1", "S1", "S1", "BLK 2"]
    assert found.rows[3].values == (Assay(4000.0, ">"), Assay(12.0))
    assert found.rows[4].values == (Assay(96.97), None)
    assert found.rows[6].where == "t.csv: row 8"


def test_training_gets_the_samples_and_no_control() -> None:
    found = table("sample,Sb_ppm\nS1,5\nS2,<0.02\nREP S1,6\nS2-D,7\nBLK,0.1\nOREAS 45h,1\nS3,\nMDL,0.02\n")
    assays = found.assays("Sb")
    assert assays.values == {"S1": Assay(5.0), "S2": Assay(0.02, "<")}
    assert (assays.element, assays.unit, assays.missing) == ("Sb", "ppm", 1)


def test_a_plain_table_reads_as_a_single_column_does(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"sample;Sb_ppm;As_ppm\nS1;13,38;25\nS2;<0,02;18,1\nS3;n.d.;7\n"))
    for element in ("Sb", "As_ppm"):
        assert read_assay_table(path).assays(element) == read_assay_table(path).assays(element)


def test_several_files_become_one_table_in_one_unit(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sample,Sb_ppm,As_ppm\nS1,5,10\nS2,7,>100\n")
    (tmp_path / "b.csv").write_text("qc_type,name,As_pct,Zn_ppb\nrepeat,REP S2,0.012,\nblank,B,<0.0001,40\n")
    found = read_assay_table(tmp_path / "a.csv", tmp_path / "b.csv")
    assert [column.name for column in found.columns] == ["Sb_ppm", "As_ppm", "Zn_ppb"]
    assert found.rows[2].kind == "pulp"
    assert found.rows[2].of == "S2"
    assert found.rows[2].values[1] == Assay(pytest.approx(120.0))  # type: ignore[arg-type]
    assert found.rows[3].values == (None, Assay(pytest.approx(1.0), "<"), Assay(40.0))  # type: ignore[arg-type]
    assert found.notes == (f"{tmp_path / 'b.csv'}: As_pct converted to ppm",)
    assert len(found.sha256) == 2


@pytest.mark.parametrize(("column", "value"), [("clay_pct", "101"), ("clay_g_kg", "1001"), ("Sb_ppm", ">2000000")])
def test_more_than_the_whole_sample_is_another_unit(column: str, value: str) -> None:
    with pytest.raises(AssayFileError, match=r"row 3 \(B\), .* is more than the whole sample; is it another unit\?"):
        table(f"sample,{column}\nA,5\nB,{value}\n")
    assert table("sample,clay_pct\nA,5\nB,100\n")


def test_columns_can_be_chosen() -> None:
    found = table("sample,Sb_ppm,As_ppm,Zn_ppm\nS1,1,2,3\n").select(["Zn", "Sb_ppm", "Zn"])
    assert [column.element for column in found.columns] == ["Zn", "Sb"]
    assert found.rows[0].values == (Assay(3.0), Assay(1.0))
    with pytest.raises(AssayFileError, match=r"t\.csv: no column for Au; there are Sb"):
        table("sample,Sb_ppm\nS1,1\n").select(["Au"])


def test_the_published_table_is_whole() -> None:
    found = read_published_table()
    counts = {kind: len(found.of_kind(kind)) for kind in ("sample", "blank", "crm", "pulp", "replicate", "mdl")}  # type: ignore[arg-type]
    assert counts == {"sample": 107, "blank": 1, "crm": 4, "pulp": 2, "replicate": 2, "mdl": 1}
    assert sum(row.values[0] == Assay(4000.0, ">") for row in found.of_kind("sample")) == 7


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "t.csv: is empty; a header and one row a sample are needed"),
        ("sample,Sb_ppm\n", "t.csv: has a header and no rows"),
        (
            "sample,Sb\nS1,5\n",
            "t.csv: no column is named <Element>_<unit>, such as Sb_ppm or Sb (mg/kg), and none has a unit",
        ),
        ("sample,Sb_ppm,Sb_ppb\nS1,5,5000\n", "t.csv: Sb stands in Sb_ppm and Sb_ppb; keep one"),
        ("sample,Sb_ppm\nS1,5,6\n", "t.csv: row 2 has 3 fields, the header 2; decimal commas need semicolons"),
        ("sample,Sb_ppm\nS1,five\n", "t.csv: row 2 (S1), column Sb_ppm: 'five' is no value; write 12.3, <0.02, >4000"),
        (
            "sample,Sb_ppm\nS1,-3\n",
            "t.csv: row 2 (S1), column Sb_ppm: '-3' is negative; write a detection limit as <0.02",
        ),
        ("sample,Sb_ppm\nS1,<0\n", "t.csv: row 2 (S1), column Sb_ppm: <0 says nothing; give the detection limit"),
        ("sample,Sb_ppm\n ,5\n", "t.csv: row 2 names no sample in column 'sample'"),
        ("kind,name,Sb_ppm\nspike,S1,5\n", "t.csv: row 2 (S1): kind 'spike' is none of sample, blank, crm, pulp"),
    ],
)
def test_a_table_that_cannot_be_used_says_why_in_one_line(text: str, line: str) -> None:
    with pytest.raises(AssayFileError, match=f"^{re.escape(line)}") as caught:
        table(text)
    assert "\n" not in str(caught.value)


def test_a_sample_twice_is_refused_for_training() -> None:
    with pytest.raises(AssayFileError, match=r"row 3 has sample S1 again, first in t\.csv: row 2; keep one"):
        table("sample,Sb_ppm\nS1,5\nS1,6\n").assays("Sb")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused_in_one_line(data: bytes) -> None:
    try:
        found = parse_assay_tables((data, "t.csv"))
    except AssayFileError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert str(error).startswith("t.csv")  # noqa: PT017
    else:
        assert found.rows


FIELD = st.sampled_from(["", "5", "<0.02", ">4000", "x", "1e400", '"', "0", "nan", "-1"])


@given(st.lists(st.tuples(st.sampled_from(["sample", "pulp", "", "mdl", "?"]), FIELD, FIELD), max_size=6))
def test_any_fields_are_values_or_refused_in_one_line(rows: list[tuple[str, str, str]]) -> None:
    text = "kind,name,Sb_ppm,As_ppm\n" + "".join(f"{kind},S{i},{a},{b}\n" for i, (kind, a, b) in enumerate(rows))
    try:
        found = table(text)
    except AssayFileError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert len(found.rows) == len(rows)
