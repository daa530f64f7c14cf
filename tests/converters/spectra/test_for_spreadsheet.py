"""Texts in CSV that a spreadsheet must not run, and that come back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra.text import for_spreadsheet, from_spreadsheet


@pytest.mark.parametrize(
    "text", ["=1+1", "+49 1", "-2+3", "@SUM(A1)", "=HYPERLINK(x)", "'=1", "''=1", "--1", " =1", "-A", "+"]
)
def test_a_formula_is_text(text: str) -> None:
    safe = for_spreadsheet(text)
    assert safe[0] not in "=+-@" or len(safe) == 1
    assert from_spreadsheet(safe) == text


@pytest.mark.parametrize("text", ["", "-", "RS052", "-5.2", "+1e3", "'quoted'", "a=b", "< LOD", "(12)"])
def test_other_texts_stay(text: str) -> None:
    assert for_spreadsheet(text) == text
    assert from_spreadsheet(text) == text


@given(st.text(alphabet="'=+-@ a1.e", max_size=8))
def test_any_text_comes_back(text: str) -> None:
    assert from_spreadsheet(for_spreadsheet(text)) == text
