"""Mixing and instrument: what optics demands, whatever the coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from stibium.train.assays.published import read_table_a1
from stibium.train.simulate import probe_optics as probe
from stibium.train.simulate.geochemistry import fit_geochemistry
from stibium.train.simulate.soil_composition import POINT_DRAWS, SAMPLE_DRAWS, compose
from stibium.train.simulate.soil_constituents import MATRIX, STIBNITE, Band
from stibium.train.simulate.soil_optics import Composition, grain_albedo, reflectance, reflectance_factor

NM = np.arange(350.0, 2501.0)


@given(hnp.arrays(np.float64, 20, elements=st.floats(0, 1e6)), st.floats(0.5, 500), st.floats(1.3, 4.2))
def test_albedo_is_a_fraction_and_falls_with_absorption(absorption: np.ndarray, path_um: float, index: float) -> None:
    albedo = grain_albedo(np.sort(absorption), path_um, index)
    assert ((albedo > 0) & (albedo <= 1)).all()
    assert (np.diff(albedo) <= 1e-12).all()


def test_no_absorption_scatters_everything() -> None:
    assert grain_albedo(np.zeros(3), 20.0, 1.55) == pytest.approx(np.ones(3))


@given(st.floats(0.01, 0.999), st.floats(0, 60), st.floats(0, 60))
def test_reflectance_rises_with_albedo_and_is_reciprocal(albedo: float, lamp: float, fibre: float) -> None:
    low, high = reflectance_factor(np.array([albedo, albedo + 0.0005]), lamp, fibre)
    assert 0 < low < high < 1.25
    assert reflectance_factor(np.array(albedo), fibre, lamp) == pytest.approx(float(low))


def test_isotropic_layer_agrees_with_kubelka_munk_where_both_hold() -> None:
    # The diffusive reflectance (1-g)/(1+g), g = sqrt(1-w), is Kubelka-Munk's with K/S = 2 g^2/(1-g^2).
    albedo = np.linspace(0.5, 0.999, 50)
    gamma2 = 1.0 - albedo
    k_over_s = 2.0 * gamma2 / (1.0 - gamma2)
    kubelka_munk = 1.0 + k_over_s - np.sqrt(k_over_s**2 + 2.0 * k_over_s)
    # At 60 degrees H(mu) = 2/(1+g), and the bidirectional factor is the two-stream one.
    assert reflectance_factor(albedo, 60.0, 60.0) == pytest.approx(kubelka_munk, rel=1e-9)


def test_bands_stand_where_the_literature_has_them() -> None:
    def peak_nm(name: str, low: float, high: float) -> float:
        here = (low <= NM) & (high >= NM)
        return float(NM[here][MATRIX[name].absorption_per_cm(NM)[here].argmax()])

    assert peak_nm("kaolinite_ordered", 2180, 2240) == pytest.approx(2207, abs=3)
    assert peak_nm("kaolinite_ordered", 2140, 2175) == pytest.approx(2163, abs=5)
    assert peak_nm("kaolinite_ordered", 1380, 1440) == pytest.approx(1413, abs=3)
    assert peak_nm("illite_muscovitic", 2150, 2260) < peak_nm("illite_phengitic", 2150, 2260)
    assert peak_nm("smectite", 1850, 2050) == pytest.approx(1910, abs=6)
    assert peak_nm("water", 1850, 2100) == pytest.approx(1915, abs=12)
    assert peak_nm("water", 1350, 1550) == pytest.approx(1440, abs=20)
    assert peak_nm("goethite", 800, 1100) == pytest.approx(920, abs=20)
    assert peak_nm("hematite", 800, 1000) == pytest.approx(870, abs=15)
    assert peak_nm("jarosite", 2200, 2320) == pytest.approx(2265, abs=5)
    assert peak_nm("chlorite", 2290, 2400) == pytest.approx(2340, abs=10)


def test_stibnite_goes_from_opaque_to_clear_at_its_band_gap() -> None:
    absorption = STIBNITE.absorption_per_cm(NM)
    assert absorption[500 - 350] > 1000 * absorption[1000 - 350]
    steepest = NM[np.argmin(np.gradient(absorption, NM))]
    assert 1239.842 / steepest == pytest.approx(1.72, abs=0.06)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_compositions_are_whole_and_their_soils_reflect_a_fraction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ppm = 10.0 ** rng.uniform([0.3, 0.8, 0.6, 0.6, 0.8], [4.69, 3.4, 3.2, 3.2, 2.4], size=(6, 5))
    factors = fit_geochemistry(read_table_a1()).factors(ppm)
    draws = rng.standard_normal((6, SAMPLE_DRAWS)) * 1.5, rng.standard_normal((6, POINT_DRAWS)) * 1.5
    soil = compose(ppm, factors, rng.random(6) < 0.5, *draws)
    parts = np.column_stack([soil.matrix, soil.sand, soil.stibnite, soil.iron_sulphide])
    assert (parts >= 0).all()
    assert parts.sum(axis=1) == pytest.approx(np.ones(6))
    values = reflectance(soil, NM)
    assert np.isfinite(values).all()
    assert ((values > 0) & (values < 1.1)).all()


def plain_soil(**changes: float) -> Composition:
    masses = dict.fromkeys(MATRIX, 0.0) | {"kaolinite_disordered": 0.1, "quartz_silt": 0.3, "goethite": 0.01}
    masses |= {"water": 0.01, "organic_matter": 0.02}
    single = {"sand": 0.3, "stibnite": 0.0, "iron_sulphide": 0.0, "path_um": 20.0, "coating": 0.03}
    masses |= {name: value for name, value in changes.items() if name in MATRIX}
    single |= {name: value for name, value in changes.items() if name in single}
    return Composition(
        matrix=np.array([list(masses.values())]), **{name: np.array([value]) for name, value in single.items()}
    )


def test_finer_grains_are_brighter() -> None:
    assert (reflectance(plain_soil(path_um=10.0), NM) > reflectance(plain_soil(path_um=40.0), NM)).all()


@pytest.mark.parametrize(
    ("name", "more", "darkens_nm", "spares_nm"),
    [
        ("water", 0.06, 1912, 800),
        ("kaolinite_disordered", 0.3, 2208, 800),
        ("organic_matter", 0.08, 600, 1640),
        ("hematite", 0.01, 540, 1640),
        ("stibnite", 0.01, 650, 1000),
    ],
)
def test_each_constituent_darkens_its_own_wavelengths(name: str, more: float, darkens_nm: int, spares_nm: int) -> None:
    ratio = reflectance(plain_soil(**{name: more}), NM)[0] / reflectance(plain_soil(), NM)[0]
    darkened, spared = ratio[darkens_nm - 350], ratio[spares_nm - 350]
    assert darkened < 0.97
    assert darkened < spared - 0.02


@pytest.mark.parametrize(("line_nm", "fwhm_nm"), [(700, 3.0), (1500, 10.0), (2100, 10.0)])
def test_a_narrow_line_is_seen_with_the_detectors_resolution(line_nm: int, fwhm_nm: float) -> None:
    scene = Band(line_nm, 0.5, 1.0).at(probe.SCENE_NM)[None]
    seen = probe.resolve(scene)[0]
    above = np.flatnonzero(seen >= seen.max() / 2)
    # Half-maximum crossings between channels, by straight lines.
    first, last = above[0], above[-1]
    half = seen.max() / 2
    left = first - (seen[first] - half) / (seen[first] - seen[first - 1])
    right = last + (seen[last] - half) / (seen[last] - seen[last + 1])
    assert right - left == pytest.approx(fwhm_nm, rel=0.04)
    assert probe.WAVELENGTHS_NM[seen.argmax()] == line_nm


def test_a_flat_scene_stays_flat_to_the_last_channel() -> None:
    assert probe.resolve(np.full((2, probe.SCENE_NM.size), 0.37)) == pytest.approx(np.full((2, 2151), 0.37))


def test_noise_rises_at_both_ends_of_the_range() -> None:
    grey = np.full((400, 2151), 0.4)
    rng = np.random.default_rng(0)
    session = probe.open_session(rng)
    measured = probe.measure(grey, session, rng)
    # Differences of neighbours see the noise but neither level nor steps.
    spread = np.diff(measured, 3, axis=1).std(axis=0)

    def at(low: int, high: int) -> float:
        return float(np.median(spread[low - 350 : high - 350]))

    assert at(350, 370) > 10 * at(600, 900)
    assert at(370, 395) > 3 * at(600, 900)
    assert at(2450, 2490) > 3 * at(2000, 2200)
    assert at(2400, 2450) > 1.5 * at(2000, 2200)


def test_a_session_shares_its_white_reference() -> None:
    grey = np.full((200, 2151), 0.4)
    session = probe.open_session(np.random.default_rng(1))
    other = probe.open_session(np.random.default_rng(2))
    here = probe.measure(grey, session, np.random.default_rng(3)).mean(axis=0)
    again = probe.measure(grey, session, np.random.default_rng(4)).mean(axis=0)
    elsewhere = probe.measure(grey, other, np.random.default_rng(5)).mean(axis=0)
    fine = slice(400, 600)
    pattern, same, different = (np.diff(mean[fine], 2) for mean in (here, again, elsewhere))
    assert np.corrcoef(pattern, same)[0, 1] > 0.8
    assert abs(np.corrcoef(pattern, different)[0, 1]) < 0.3
