"""Gates on reflectance: limits lie between what is good and what is not, and every reason names its number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scan_samples import GRID_NM, IDENTITY, RANGE_NM, SOIL, SPLICES_NM
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.files import iter_spectra
from stibium.edge.gates import reflectance
from stibium.edge.gates import spectrum as gates
from stibium.edge.gates.rules import Rules

RULES = Rules()
DICE = np.random.default_rng(5)


def a_spectrum(values: np.ndarray = SOIL, grid_nm: np.ndarray = GRID_NM, **changes: object) -> Spectrum:
    return Spectrum(grid_nm, values, "reflectance", "S", splices_nm=SPLICES_NM, **changes)  # type: ignore[arg-type]


def test_a_good_spectrum_passes() -> None:
    assert gates.spectrum_gates(a_spectrum(), RULES, RANGE_NM) == []
    assert reflectance.low_signal(GRID_NM, SOIL, IDENTITY, RANGE_NM, RULES) == []


def test_all_that_is_wrong_is_said() -> None:
    noisy = SOIL + DICE.normal(0, 0.008, GRID_NM.size)
    noisy[GRID_NM > 1000] += 0.2
    found = gates.spectrum_gates(a_spectrum(noisy, saturated=("VNIR",)), RULES, (300.0, 2400.0))
    assert [finding.code for finding in found] == ["saturated", "range", "noise", "splice_step"]


@given(st.floats(1e-3, 5e-2))
def test_noise_is_found_as_large_as_it_is(sd: float) -> None:
    noisy = SOIL + np.random.default_rng(1).normal(0, sd, GRID_NM.size)
    assert gates.noise_of(GRID_NM, noisy, SPLICES_NM) == pytest.approx(sd, rel=0.15)
    found = gates.noise(GRID_NM, noisy, SPLICES_NM, replace(RULES, noise_most=0.01))
    assert bool(found) == (gates.noise_of(GRID_NM, noisy, SPLICES_NM) > 0.01)


def test_noise_of_one_detector_is_enough_and_too_few_bands_say_nothing() -> None:
    noisy = SOIL.copy()
    noisy[GRID_NM > 1830] += DICE.normal(0, 0.02, int((GRID_NM > 1830).sum()))
    (finding,) = gates.noise(GRID_NM, noisy, SPLICES_NM, RULES)
    assert finding.code == "noise"
    few = DICE.uniform(0.1, 0.9, 18)
    assert gates.noise_of(np.linspace(410, 940, 18), few, ()) == 0.0
    assert gates.noise(GRID_NM, noisy, SPLICES_NM, replace(RULES, noise_most=0.0)) == []


@given(st.floats(-0.3, 0.3), st.floats(-1e-4, 1e-4))
def test_a_step_is_found_as_large_as_it_is_on_any_slope(step: float, slope: float) -> None:
    values = 0.5 + slope * (GRID_NM - 1000) + np.where(GRID_NM > 1000, step, 0.0)
    steps = dict(gates.steps_of(GRID_NM, values, SPLICES_NM))
    assert steps[1000.0] == pytest.approx(step, abs=1e-9)
    assert steps[1830.0] == pytest.approx(0, abs=1e-9)
    found = gates.splice_steps(GRID_NM, values, SPLICES_NM, RULES)
    assert bool(found) == (abs(steps[1000.0]) > RULES.splice_step_most)


def test_a_step_outside_the_spectrum_is_none() -> None:
    assert gates.steps_of(GRID_NM[:652], SOIL[:652], SPLICES_NM) == []


def test_a_range_that_is_too_short_is_named() -> None:
    assert gates.wrong_range((350, 2500), RANGE_NM) == []
    (finding,) = gates.wrong_range((410, 940), RANGE_NM)
    assert finding.text == "covers 410-940 nm; the model needs 400-2400 nm"


def test_low_signal_names_the_detector_and_none_at_all_the_lamp() -> None:
    dim = SOIL.copy()
    dim[GRID_NM <= 1000] = 0.004
    (finding,) = reflectance.low_signal(GRID_NM, dim, IDENTITY, RANGE_NM, RULES)
    assert finding.code == "low_signal"
    assert "VNIR 0.4 %" in finding.text
    (finding,) = reflectance.low_signal(GRID_NM, 0.001 * SOIL, IDENTITY, RANGE_NM, RULES)
    assert finding.code == "lamp"


def test_the_panel_has_to_read_one() -> None:
    good = 1 + DICE.normal(0, 0.01, GRID_NM.size)
    assert reflectance.panel(GRID_NM, good, IDENTITY, RANGE_NM, RULES) == []
    aged = np.where(GRID_NM > 1830, 0.95, 1.0)
    (finding,) = reflectance.panel(GRID_NM, aged, IDENTITY, RANGE_NM, RULES)
    assert finding.code == "panel_drift"
    assert "SWIR2 0.950" in finding.text
    assert "VNIR" not in finding.text
    assert reflectance.panel(GRID_NM, aged, IDENTITY, RANGE_NM, replace(RULES, panel_tolerance=0.0)) == []


def test_points_that_scatter_are_noticed_and_the_farthest_is_found() -> None:
    points = [SOIL * factor for factor in (1.0, 1.03, 0.98, 1.01)]
    assert gates.replicate_scatter(points, RULES) == []
    points.insert(2, 1.8 * SOIL)
    (finding,) = gates.replicate_scatter(points, RULES)
    assert finding.code == "scatter"
    assert "the 5 points scatter by" in finding.text
    assert gates.farthest(points) == 2
    assert gates.replicate_scatter(points[:1], RULES) == []


def test_spectra_of_real_instruments_pass(shared_data: Path) -> None:
    """The limits are no use if they refuse what good instruments measure of soils and rocks."""
    judged = 0
    for item in iter_spectra([str(shared_data / "instruments")]):
        if isinstance(item, Spectrum) and item.quantity == "reflectance" and item.range_nm[1] > 2400:
            found = gates.spectrum_gates(item, RULES, RANGE_NM)
            assert found == [] or item.saturated, item.source
            judged += 1
    assert judged >= 5


@given(st.integers(0, 10_000), st.floats(0.2, 5.0), st.floats(0.0, 0.01))
def test_the_quick_look_at_noise_lets_nothing_noisy_pass(seed: int, level: float, slope: float) -> None:
    nm = np.arange(400.0, 1200.0)
    values = np.random.default_rng(seed).normal(0, level * RULES.noise_most, nm.size) + slope * np.square(nm / 400)
    noisy = gates.noise_of(nm, values, (1000.0,)) > RULES.noise_most
    assert bool(gates.noise(nm, values, (1000.0,), RULES)) == noisy


@given(st.integers(0, 10_000))
def test_a_step_is_that_between_two_straight_lines(seed: int) -> None:
    generator = np.random.default_rng(seed)
    nm = np.cumsum(generator.uniform(0.5, 4.0, 40)) + 900
    values = generator.normal(0.3, 0.05, 40)
    at = 17
    middle = (nm[at - 1] + nm[at]) / 2
    lines = [
        np.polyval(np.polyfit(nm[side], values[side], 1), middle) for side in (slice(at - 5, at), slice(at, at + 5))
    ]
    ((_, step),) = gates.steps_of(nm, values, (nm[at - 1],))
    assert step == pytest.approx(lines[1] - lines[0], abs=1e-9)


@pytest.mark.parametrize("factor", [0.1, 0.5, 0.9, 1.1, 2.0, 10.0])
@pytest.mark.parametrize("at_nm", [410.0, 466.0, 1411.0, 1905.0, 2390.0])
def test_a_lone_band_is_damage(factor: float, at_nm: float) -> None:
    values = SOIL + DICE.normal(0, 2e-4, GRID_NM.size)
    values[np.searchsorted(GRID_NM, at_nm)] *= factor
    (found,) = gates.spectrum_gates(a_spectrum(values), RULES, RANGE_NM)
    assert (found.code, found.severity) == ("lone_band", "refuse")
    assert f"the band at {GRID_NM[np.searchsorted(GRID_NM, at_nm)]:g} nm" in found.text
    absorbance = Spectrum(GRID_NM, -np.log10(values), "absorbance", "S", splices_nm=SPLICES_NM)
    assert [finding.code for finding in gates.spectrum_gates(absorbance, RULES, RANGE_NM)] == ["lone_band"]


def test_what_is_no_lone_band() -> None:
    quiet = SOIL + DICE.normal(0, 2e-4, GRID_NM.size)
    stepped = quiet + 0.03 * (SPLICES_NM[0] < GRID_NM) - 0.02 * (SPLICES_NM[-1] < GRID_NM)
    sharp = quiet - 0.1 * np.exp(-0.5 * ((GRID_NM - 2205) / 3) ** 2)
    outside = np.where(GRID_NM[5] == GRID_NM, 3.0, quiet)
    rounded = quiet.round(2)
    for values in (stepped, sharp, outside, rounded, np.full(GRID_NM.size, 0.3)):
        assert "lone_band" not in [f.code for f in gates.spectrum_gates(a_spectrum(values), RULES, RANGE_NM)]
    # Bands as far apart as an instrument resolves may each be a feature of their own.
    coarse = Spectrum(GRID_NM[::10], np.where(GRID_NM[::10] == 1400, 0.9, quiet[::10]), "reflectance", "S")
    assert "lone_band" not in [f.code for f in gates.spectrum_gates(coarse, RULES, RANGE_NM)]


def test_no_real_soil_has_a_lone_band(shared_data: Path) -> None:
    for name in ("geeves_contact_probe", "australia_742_clay", "moisture_60_soils", "local_farm_30_clay"):
        for spectrum in iter_spectra([str(shared_data / "soil" / f"{name}.csv.gz")]):
            assert isinstance(spectrum, Spectrum)
            found = gates.lone_band(spectrum.wavelengths_nm, spectrum.values, spectrum.range_nm, RULES)
            assert found == [], spectrum.sample_id
