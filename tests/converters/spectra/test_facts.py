"""What the gates judge by goes through text and ENVI: a spectrum that was refused does not pass because it was converted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra import Spectrum, write_envi
from stibium.converters.spectra.facts import facts_in, facts_text, with_facts
from stibium.converters.spectra.library_write import write_ascii_table
from stibium.converters.spectra.read import read_spectra
from stibium.edge.gates.header import from_header
from text_samples import soil_reflectance

NM = np.arange(400.0, 2401.0, 10.0)
GOOD = Spectrum(NM, soil_reflectance(NM), "reflectance", "S", source="s.asd")
TOLD = [
    GOOD,
    replace(GOOD, sample_id="dark", extra={"dark_corrected": False}),
    replace(GOOD, sample_id="warm", extra={"cooler_alarms": "SWIR1, SWIR2", "dark_corrected": True}),
    replace(GOOD, sample_id="old", extra={"white_age_min": 6.9e6}),
    replace(GOOD, sample_id="before", extra={"white_age_min": -12.5}),
    replace(GOOD, sample_id="bright", saturated=("VNIR", "SWIR2"), extra={"white_age_min": 3}),
]


@pytest.mark.parametrize("write", [write_ascii_table, write_envi])
@pytest.mark.parametrize("count", [1, len(TOLD)])
def test_the_gates_find_the_same_after_conversion(
    tmp_path: Path, write: Callable[[Path, Sequence[Spectrum]], int], count: int
) -> None:
    path = tmp_path / ("x.txt" if write is write_ascii_table else "x.hdr")
    for spectra in [TOLD] if count > 1 else [[one] for one in TOLD]:
        write(path, spectra)
        for before, after in zip(spectra, read_spectra(path), strict=True):
            assert from_header(after) == from_header(before)
            assert after.saturated == before.saturated
            np.testing.assert_allclose(after.values, before.values, rtol=1e-6)


def test_a_spectrum_without_facts_has_no_line_for_them(tmp_path: Path) -> None:
    write_ascii_table(tmp_path / "x.txt", [GOOD, replace(GOOD, sample_id="T", extra={"dark_corrected": True})])
    assert "facts" not in (tmp_path / "x.txt").read_text()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "dark_corrected": st.booleans(),
            "cooler_alarms": st.sampled_from(["SWIR1", "SWIR2", "SWIR1, SWIR2"]),
            "white_age_min": st.floats(-1e7, 1e7),
        },
    ),
    st.lists(st.sampled_from(["VNIR", "SWIR1", "SWIR2"]), unique=True).map(tuple),
)
def test_facts_come_back(extra: dict[str, object], saturated: tuple[str, ...]) -> None:
    spectrum = replace(GOOD, extra=extra, saturated=saturated)
    text = facts_text(spectrum)
    assert not set(text) & set(",{}\t\n")
    back = with_facts(GOOD, facts_in(text))
    assert from_header(back) == from_header(spectrum)
    assert back.saturated == saturated


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    from_header(with_facts(GOOD, facts_in(text)))
