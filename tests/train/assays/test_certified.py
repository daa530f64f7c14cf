"""Certified values from TOML and CSV, and every way a file of them can be wrong. All values here are made up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.train.assays.certified import CertifiedValue, material_key, parse_certificates, read_certificates
from stibium.train.errors import AssayFileError

TOML = """
# of the certificates
["MADE-UP 1"]
method = "aqua regia, ICP-MS"
Sb_ppm = { value = 5.1, sd = 0.3 }
As_ppb = 48000

["Made Up 2"]
Sb_ppm = 250
"""
CSV = "name;Sb_ppm;Sb_ppm_sd;As_ppb\nMADE-UP 1;5,1;0,3;48000\nMade Up 2;250;;\n"


@pytest.mark.parametrize(("text", "method"), [(TOML, "aqua regia, ICP-MS"), (CSV, "")])
def test_toml_and_csv_say_the_same(tmp_path: Path, text: str, method: str) -> None:
    # The content decides what it is, not the name.
    path = tmp_path / "values.txt"
    path.write_text(text)
    found = read_certificates(path)
    assert set(found) == {"madeup1", "madeup2"}
    first = found["madeup1"]
    assert (first.material, first.method) == ("MADE-UP 1", method)
    assert first.values["Sb"] == CertifiedValue(5.1, 0.3, "ppm")
    assert first.values["As"] == CertifiedValue(48000, None, "ppb")
    assert first.values["As"].converted("ppm") == CertifiedValue(pytest.approx(48), None, "ppm")  # type: ignore[arg-type]
    assert set(found["madeup2"].values) == {"Sb"}


def test_a_deviation_is_converted_with_its_value() -> None:
    assert CertifiedValue(0.5, 0.1, "pct").converted("ppm") == CertifiedValue(5000, 1000, "ppm")


@pytest.mark.parametrize("name", ["OREAS 45h", "Oreas-45H", "OREAS45h", "oreas_45 h"])
def test_spellings_of_a_material_are_one(name: str) -> None:
    assert material_key(name) == "oreas45h"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "c: is empty; a header and one row"),
        ("name,x\nA,1\n", "c: is neither TOML nor a table with columns such as name,Sb_ppm,Sb_ppm_sd"),
        ("[A\nSb_ppm = 1\n", "c: is no TOML ("),
        ("Sb_ppm = 1\n", 'c: Sb_ppm stands outside of a material; put it under ["NAME"]'),
        ("# nothing\n[[A]]\n", "c: A stands outside of a material"),
        ("[A]\nSb = 1\n", "c: A: Sb is no <Element>_<unit>, such as Sb_ppm (units: "),
        ("[A]\nSb_ppm = 'much'\n", "c: A: Sb_ppm: 'much' is no number above 0"),
        ("[A]\nSb_ppm = 0\n", "c: A: Sb_ppm: 0 is no number above 0"),
        ("[A]\nSb_ppm = nan\n", "c: A: Sb_ppm: nan is no number above 0"),
        ("[A]\nSb_ppm = true\n", "c: A: Sb_ppm: True is no number above 0"),
        ("[A]\nSb_ppm = { sd = 1 }\n", "c: A: Sb_ppm: write { value = 5.1, sd = 0.3 } or one number"),
        ("[A]\nSb_ppm = { value = 1, std = 1 }\n", "c: A: Sb_ppm: write { value = 5.1, sd = 0.3 } or one number"),
        ("[A]\nSb_ppm = { value = 1, sd = -1 }\n", "c: A: Sb_ppm: -1 is no number above 0"),
        ("[A]\nmethod = 3\n", "c: A: method is no text"),
        (
            "[A]\nSb_ppm = 1\nSb_ppb = 900\n",
            "c: A: Sb_ppb: Sb stands twice for one material; keep the one of the method",
        ),
        ("['A 1']\nSb_ppm = 1\n[a-1]\nSb_ppm = 2\n", "c: a-1 stands twice (also as A 1); keep one"),
        ("name,Sb_ppm\nA,<5\n", "c: row 2 (A), column Sb_ppm: a certified value is no bound"),
        ("name,Sb_ppm\nA,five\n", "c: row 2 (A), column Sb_ppm: 'five' is no value"),
        ("name,Sb_ppm,Sb_ppm_sd\nA,5,x\n", "c: row 2 (A), column Sb_ppm_sd: 'x' is no value"),
        ("name,Sb_ppm\nA,5,6\n", "c: row 2 has 3 fields, the header 2"),
        ("name,Sb_ppm\n", "c: names no material; give"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_in_one_line(text: str, line: str) -> None:
    with pytest.raises(AssayFileError, match=f"^{re.escape(line)}") as caught:
        parse_certificates(text.encode(), "c")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssayFileError, match=r"none\.toml: there is no such file"):
        read_certificates(tmp_path / "none.toml")


@given(st.binary(max_size=120) | st.text(alphabet='[]"= \n{}Sb_pm.,15#A', max_size=120).map(str.encode))
def test_any_bytes_are_values_or_refused_in_one_line(data: bytes) -> None:
    try:
        found = parse_certificates(data, "c")
    except AssayFileError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all(value.value > 0 for certificate in found.values() for value in certificate.values.values())
