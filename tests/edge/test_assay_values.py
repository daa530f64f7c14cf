"""How laboratories write values: marks decided from all numbers together, bounds and words never plain values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.assay_values import Content, DecimalMarks, ExactNumber, is_not_detected, is_withheld, parse_content
from stibium.edge.units import find_unit, split_column


def decided(*fields: str, others: tuple[str, ...] = (), usual: str = "") -> list[float]:
    own, rest = DecimalMarks(), DecimalMarks()
    for field in fields:
        own.see(field)
    for field in others:
        rest.see(field)
    decimal = own.decimal(rest, usual)
    return [content.value for field in fields if (content := parse_content(field, decimal))]


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        (("12.5", "1,250"), [12.5, 1250]),
        (("12,5", "1.250"), [12.5, 1250]),
        (("1,250,000", "1,250"), [1250000, 1250]),
        (("1.250.000", "0"), [1250000, 0]),
        (("1,250.5",), [1250.5]),
        (("1.250,5", "1.250"), [1250.5, 1250]),
        (("0,125", "1,250"), [0.125, 1.25]),
        (("1250,125", "1,250"), [1250.125, 1.25]),
        (("1,5E3", "1,250"), [1500, 1.25]),
        (("1 250", "12 500,5"), [1250, 12500.5]),
        (("1'250.5", "2\u2019000"), [1250.5, 2000]),
        (("3\u00a0000",), [3000]),
        (("<0,02", "1.250"), [0.02, 1250]),
    ],
)
def test_the_numbers_of_a_column_tell_what_their_marks_are(fields: tuple[str, ...], values: list[float]) -> None:
    assert decided(*fields) == values


def test_what_the_column_does_not_tell_the_table_or_the_delimiter_may() -> None:
    assert decided("1,250", "12", others=("0,5",)) == [1.25, 12]
    assert decided("1,250", "12", others=("0.5",)) == [1250, 12]
    assert decided("1.250", "3.125", usual=".") == [1.25, 3.125]
    for field, usual in (("1,250", ""), ("1.250", ""), ("1,250", ".")):
        with pytest.raises(
            ValueError, match=r"may be 1\.250 or 1250, and no other number tells; write 1\.2500 or 1250"
        ):
            decided(field, "12", usual=usual)
    # Others that contradict each other tell nothing.
    with pytest.raises(ValueError, match="may be"):
        decided("1,250", others=("0.5", "0,5"))


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValueError, match="'3.1' and '1,25' stand together"):
        decided("1,25", "3.1")
    with pytest.raises(ValueError, match="'1,25' is no value"):
        parse_content("1,25", ".")
    # A spreadsheet's own number says nothing of the marks of text beside it.
    with pytest.raises(ValueError, match="may be"):
        decided(ExactNumber("12.5"), "1,250")


@given(st.floats(0.001, 9e6), st.sampled_from(".,"), st.booleans())
def test_any_number_comes_back_however_its_country_writes_it(value: float, decimal: str, grouped: bool) -> None:
    text = f"{value:{',' if grouped else ''}.4f}"
    written = text if decimal == "." else text.translate(str.maketrans(".,", ",."))
    assert decided(written) == [float(text.replace(",", ""))]


@given(st.text(st.sampled_from("0123456789.,<> -eE'nd%"), max_size=14), st.sampled_from(".,"))
def test_any_field_is_a_value_a_bound_nothing_or_refused(field: str, decimal: str) -> None:
    try:
        content = parse_content(field, decimal)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    if content is not None and not content.without_limit:
        assert content.value >= 0
        assert ("<" in field) == (content.bound == "<")
        assert (">" in field) == (content.bound == ">")


@pytest.mark.parametrize(
    "word",
    [
        "n.d.",
        "ND",
        "n/d",
        "nd",
        "bdl",
        "BDL",
        "b.d.l.",
        "<DL",
        "< LOD",
        "<MDL",
        "not detected",
        "n.n.",
        "<BG",
        "<NG",
        "<LQ",
    ],
)
def test_not_detected_is_a_bound_without_its_limit(word: str) -> None:
    content = parse_content(word)
    assert is_not_detected(word)
    assert content is not None
    assert content.without_limit
    assert content.bound == "<"


@pytest.mark.parametrize("word", ["IS", "LNR", "l.n.r.", "i/s", "insufficient sample", "n.b."])
def test_a_reason_for_no_value_is_no_value(word: str) -> None:
    assert is_withheld(word)
    assert parse_content(word) is None


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("-0.02", "is negative; write a detection limit as <0.02"),
        ("\u22125", "is negative"),
        ("<0", "<0 says nothing"),
        (">UL", "does not say above what"),
        ("12 ppm", "is no value"),
        ("1_000", "is no value"),
        ("0x10", "is no value"),
        ("\u0663", "is no value"),
        ("1 25", "is no value"),
        ("12%", "is no value"),
        ("9" * 400, "is no value"),
    ],
)
def test_what_is_no_value_is_refused(field: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_content(field)
    assert parse_content("12 %", percent=True) == Content(12.0)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Sb_ppm", ("Sb", "ppm")),
        ("Sb (mg/kg)", ("Sb", "mg_kg")),
        ("Sb [\u00b5g g-1]", ("Sb", "ug_g")),
        ("Sb mg kg\u207b\u00b9", ("Sb", "mg_kg")),
        ("Sb_mg_kg", ("Sb", "mg_kg")),
        ("Clay (%)", ("Clay", "pct")),
        ("Clay%", ("Clay", "pct")),
        ("Al2O3, wt.%", ("Al2O3", "pct")),
        ("total_carbon_pct", ("total_carbon", "pct")),
        ("Organic Carbon (g/kg)", ("Organic Carbon", "g_kg")),
        ("Sb [mg/kg TS]", ("Sb", "mg_kg")),
        ("Sb (mg/kg TM)", ("Sb", "mg_kg")),
        ("Sb (mg/kg dry weight)", ("Sb", "mg_kg")),
        ("Sb [mg kg-1 d.w.]", ("Sb", "mg_kg")),
        ("Sb mg/kg MS", ("Sb", "mg_kg")),
        ("depth_cm", None),
        ("ppm", None),
        ("Sb (ppm) ICP", None),
        ("Sb_ppm_qual", None),
    ],
)
def test_a_columns_name_is_split_however_its_unit_is_written(name: str, split: tuple[str, str] | None) -> None:
    assert split_column(name) == split
    assert split is None or find_unit(split[1]) is not None
