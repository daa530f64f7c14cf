from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.train.assays.table import Assays, parse_assay_tables, read_assay_table
from stibium.train.assays.values import Assay
from stibium.train.errors import AssayFileError


def parse(text: str, element: str = "Sb") -> Assays:
    return parse_assay_tables((text.encode(), "assays.csv")).assays(element)


TABLE = """sample,site,Sb_ppm,As_ppm,total_carbon_pct,depth_cm
RS001,Tapada,13.38,25.0,1.2,5
RS002,Tapada,<0.02,18.1,,5
RS003,Ribeira,>4000,97.5,0.4,5
RS004,Ribeira,,3,2,5
"""


def test_values_bounds_and_blanks() -> None:
    assays = parse(TABLE)
    assert (assays.element, assays.unit, assays.missing) == ("Sb", "ppm", 1)
    assert assays.values == {"RS001": Assay(13.38), "RS002": Assay(0.02, "<"), "RS003": Assay(4000.0, ">")}
    assert assays.plain == {"RS001": 13.38}
    assert set(assays.censored) == {"RS002", "RS003"}


def test_elements_with_underscores_and_other_units() -> None:
    assays = parse(TABLE, "total_carbon")
    assert (assays.unit, assays.missing) == ("pct", 1)
    assert assays.plain["RS003"] == 0.4


def test_the_sample_column_is_named_or_the_first() -> None:
    assert list(parse("Sb_ppm,sample\n5,A\n").values) == ["A"]
    assert list(parse("Sb_ppm,sample_id\n5,A\n").values) == ["A"]
    assert list(parse("hole,Sb_ppm\nA,5\n").values) == ["A"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_allow_decimal_commas(delimiter: str) -> None:
    text = "\r\n".join(delimiter.join(row) for row in (("sample", "Sb_ppm"), ("A", "1,5"), ("B", "<0,02")))
    assert parse("\ufeff" + text).values == {"A": Assay(1.5), "B": Assay(0.02, "<")}


def test_an_element_is_found_in_upper_and_lower_case() -> None:
    text = "sample,clay_pct,Sb_ppm,sb_ppb\nA,12,5,6\n"
    assays = parse(text, "Clay")
    assert (assays.element, assays.plain) == ("clay", {"A": 12.0})
    assert parse(text, "Clay_PCT").plain == {"A": 12.0}
    # Exactly first; two that differ in case only are never guessed between.
    assert parse(text, "sb").plain == {"A": 6.0}
    with pytest.raises(AssayFileError, match="no column for SB; did you mean Sb?"):
        parse(text, "SB")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("sample,Sb_ppm\nA,5\nB,x\n", r"row 3 \(B\), column Sb_ppm: 'x' is no value"),
        ("sample,Sb_ppm\nA,5\n\nA,6\n", r"row 4 has sample A again, first in assays\.csv: row 2"),
        ("sample,Sb_ppm\nA,5\n,6\n", "row 3 names no sample"),
        ("sample,Sb_ppm\nA,5,7\n", "row 2 has 3 fields, the header 2"),
        ("sample,Sb_ppm\nA,-5\n", "'-5' is negative; write a detection limit as <0.02"),
        ("sample,Sb_ppm\nA,inf\n", "'inf' is no value"),
        ("sample,Sb_ppm\nA,1e999\n", "'1e999' is no value"),
        ("sample,Sb_ppm\nA,<\n", "'<' is no value"),
        ("sample,As_ppm,Pb_ppm\nA,5,6\n", "no column for Sb; there are As, Pb"),
        ("sample,Sbb_ppm\nA,5\n", "did you mean Sbb?"),
        ("sample,Sb\nA,5\n", "no column is named <Element>_<unit>"),
        ('sample,Sb_ppm\n"A,5\n', "is no CSV"),
        ("PK\x03\x04\0\0", "is no workbook that can be read"),
        ("\0\1\2", "is no CSV table"),
    ],
)
def test_bad_tables_are_refused_in_one_line(text: str, says: str) -> None:
    if text.startswith("PK"):
        pytest.importorskip("openpyxl", reason="workbooks need openpyxl")
    with pytest.raises(AssayFileError, match=says) as caught:
        parse(text)
    assert str(caught.value).startswith("assays.csv: ")
    assert "\n" not in str(caught.value)


def test_files(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text(TABLE)
    packed.write_bytes(gzip.compress(TABLE.encode()))
    assert read_assay_table(plain).assays("As").values == read_assay_table(packed).assays("As").values
    assert read_assay_table(plain).assays("As").sha256 != read_assay_table(packed).assays("As").sha256
    with pytest.raises(AssayFileError, match="there is no such file"):
        read_assay_table(tmp_path / "none.csv").assays("As")
    with pytest.raises(AssayFileError, match="is a folder"):
        read_assay_table(tmp_path).assays("As")


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
fields = st.one_of(
    st.just(None),
    st.tuples(st.sampled_from(["", "<", ">"]), st.floats(1e-9, 1e6, allow_nan=False, allow_subnormal=False)),
)


@given(st.dictionaries(names, fields, min_size=1, max_size=20))
def test_what_is_written_comes_back(rows: dict[str, tuple[str, float] | None]) -> None:
    text = "kind,sample,Sb_ppm\n" + "".join(
        f"sample,{name},{'' if field is None else f'{field[0]}{field[1]!r}'}\n" for name, field in rows.items()
    )
    assays = parse(text)
    assert assays.values == {n: Assay(f[1], f[0]) for n, f in rows.items() if f is not None}  # type: ignore[arg-type]
    assert assays.missing == sum(f is None for f in rows.values())


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        assays = parse("sample,Sb_ppm\n" + text)
    except AssayFileError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert all(assay.value >= 0 for assay in assays.values.values())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_assay_tables((data, "assays.csv"))
    except AssayFileError as error:
        assert str(error)  # noqa: PT017
