"""The wavelength check: bands are found to a tenth of a nanometre, and a shift is told from no band at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scan_samples import GRID_NM, SOIL, band
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.files import iter_spectra
from stibium.edge.gates.rules import Rules
from stibium.edge.gates.wavelength import ReferenceMaterial, band_position, wavelength_check

MATERIAL, RULES = ReferenceMaterial(), Rules()


@given(st.floats(1653.0, 1669.0), st.floats(3.0, 8.0))
def test_a_band_is_found_where_it_is(centre_nm: float, width_nm: float) -> None:
    found = band_position(GRID_NM, band(centre_nm, width_nm=width_nm), (1636.0, 1686.0))
    assert found == pytest.approx(centre_nm, abs=0.1)


def test_a_sloping_background_moves_it_little() -> None:
    tilted = band(1661.0) * (1 + 2e-4 * (GRID_NM - 1661))
    assert band_position(GRID_NM, tilted, (1649.0, 1673.0)) == pytest.approx(1661.0, abs=0.1)


def test_noise_moves_it_little() -> None:
    noisy = band(1661.0) + np.random.default_rng(2).normal(0, 0.002, GRID_NM.size)
    assert band_position(GRID_NM, noisy, (1649.0, 1673.0)) == pytest.approx(1661.0, abs=0.5)


@pytest.mark.parametrize(
    "values",
    [SOIL, np.full(GRID_NM.size, 0.99), np.zeros(GRID_NM.size), np.full(GRID_NM.size, np.nan), 2 - band(1661.0)],
)
def test_where_there_is_no_band_none_is_found(values: np.ndarray) -> None:
    assert band_position(GRID_NM, values, (1649.0, 1673.0)) is None


def mylar(shift_nm: float) -> np.ndarray:
    return band(1661.0 + shift_nm) * band(2131.1 + shift_nm) / 0.9


def test_bands_in_their_place_pass() -> None:
    found, wrong = wavelength_check(GRID_NM, mylar(0.3), MATERIAL, RULES)
    assert wrong == []
    assert [due_nm for due_nm, _ in found] == [1661.0, 2131.1]
    assert [at_nm - due_nm for due_nm, at_nm in found] == pytest.approx([0.3, 0.3], abs=0.1)


def test_a_shift_is_said_band_by_band() -> None:
    _, wrong = wavelength_check(GRID_NM, mylar(-2.5), MATERIAL, RULES)
    assert [finding.code for finding in wrong] == ["wavelength_shift"] * 2
    assert "the band at 1661 nm is found at 1658.5 nm (-2.5 nm)" in wrong[0].text
    _, wrong = wavelength_check(GRID_NM, mylar(-2.5), MATERIAL, replace(RULES, wavelength_shift_most_nm=0.0))
    assert wrong == []


def test_soil_is_no_mylar_and_a_short_instrument_sees_no_band() -> None:
    found, wrong = wavelength_check(GRID_NM, SOIL, MATERIAL, RULES)
    assert found == []
    assert [finding.code for finding in wrong] == ["wavelength_unknown"] * 2
    assert "is the probe on the Mylar sheet" in wrong[0].text
    _, wrong = wavelength_check(GRID_NM[:700], SOIL[:700], MATERIAL, RULES)
    assert [finding.code for finding in wrong] == ["wavelength_unknown"]


def test_the_shipped_positions_are_those_of_the_reference_library(shared_data: Path) -> None:
    """USGS splib07 at 10 nm: the positions of its Mylar, and of two clear PETE bottles by another instrument."""
    seen = []
    for item in iter_spectra([str(shared_data / "minerals" / "usgs_splib07_224band.hdr")]):
        if isinstance(item, Spectrum) and any(name in item.sample_id for name in ("Mylar", "GDS380", "GDS383")):
            for due_nm in MATERIAL.bands_nm:
                at_nm = band_position(item.wavelengths_nm, item.values, (due_nm - 40, due_nm + 40))
                assert at_nm == pytest.approx(due_nm, abs=1.0), (item.sample_id, due_nm)
                seen.append(item.sample_id)
    assert len(set(seen)) == 3
