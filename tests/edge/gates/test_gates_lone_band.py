"""A band that differs from all of its neighbours: found in whatever else a spectrum has, and never where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.read import read_spectra
from stibium.edge.gates.lone_band import lone_band
from stibium.edge.gates.rules import DEFAULT_RULES

NM = np.arange(350.0, 2501.0)
RANGE_NM = (400.0, 2400.0)


def soil(nm: np.ndarray = NM, noise: float = 2e-4, seed: int = 1) -> np.ndarray:
    bands = sum(
        d * np.exp(-0.5 * ((nm - at) / w) ** 2)
        for d, at, w in [(0.05, 1414, 6), (0.09, 1915, 20), (0.04, 2207, 6), (0.03, 900, 80)]
    )
    clean = 0.05 + 0.35 * (1 - np.exp(-(nm - 300) / 500)) - bands
    return clean + np.random.default_rng(seed).normal(0, noise, nm.size)


def found(values: np.ndarray, nm: np.ndarray = NM, range_nm: tuple[float, float] = RANGE_NM) -> str:
    return "; ".join(finding.text for finding in lone_band(nm, values, range_nm, DEFAULT_RULES))


@pytest.mark.parametrize("at_nm", [400, 401, 449, 450, 700, 1000, 1001, 1414, 1800, 2207, 2399, 2400])
@pytest.mark.parametrize("size", [0.01, -0.01, 0.2])
@pytest.mark.parametrize("noise", [0.0, 2e-4])
def test_a_damaged_band_is_named(at_nm: int, size: float, noise: float) -> None:
    values = soil(noise=noise)
    values[at_nm == NM] += size
    values[NM > 1000] += 0.004  # where two detectors join
    assert f"the band at {at_nm} nm is" in found(values)


@pytest.mark.parametrize("noise", [0.0, 1e-5, 2e-4, 2e-3])
@pytest.mark.parametrize("step", [0.0, 0.03])
@pytest.mark.parametrize("digits", [3, 4, 9])
def test_noise_steps_rounding_and_narrow_absorptions_are_none(noise: float, step: float, digits: int) -> None:
    for seed in range(20):
        values = soil(noise=noise, seed=seed)
        values[NM > 1000] += step
        values[NM > 1800] -= step
        assert found(np.round(values, digits)) == ""


def test_what_was_rounded_as_absorbance_has_steps_of_many_sizes() -> None:
    assert found(10 ** -np.round(-np.log10(soil(noise=0.0)), 3)) == ""


@pytest.mark.parametrize("at_nm", [360, 398, 2402, 2490])
def test_bands_outside_what_the_model_needs_are_not_judged(at_nm: int) -> None:
    values = soil()
    values[at_nm == NM] += 0.1
    assert found(values) == ""


def test_a_coarse_grid_is_not_judged() -> None:
    nm = NM[::10]
    values = soil(nm)
    values[nm == 1000] += 0.1
    assert found(values, nm) == ""


@pytest.mark.parametrize("bands", [2, 10, 49, 50, 51, 104, 105])
def test_any_number_of_bands(bands: int) -> None:
    found(soil()[:bands], NM[:bands])
    found(soil()[:bands], NM[:bands], (0, 1e4))


def test_zero_switches_the_rule_off() -> None:
    values = soil()
    values[700] += 0.1
    assert lone_band(NM, values, RANGE_NM, replace(DEFAULT_RULES, lone_band_most=0)) == []


@pytest.mark.parametrize(
    "name", ["australia_742_clay", "geeves_contact_probe", "moisture_60_soils", "local_farm_30_clay"]
)
def test_good_soils_give_no_alarm(shared_data: Path, name: str) -> None:
    spectra = read_spectra(shared_data / "soil" / f"{name}.csv.gz")
    assert [s.sample_id for s in spectra if lone_band(s.wavelengths_nm, s.values, RANGE_NM, DEFAULT_RULES)] == []


def test_instruments_give_no_alarm(shared_data: Path) -> None:
    files = sorted((shared_data / "instruments").glob("two_soils_*.csv")) + sorted(
        (shared_data / "instruments" / "sed").glob("*.sed")
    )
    assert files
    for path in files:
        for s in read_spectra(path):
            assert lone_band(s.wavelengths_nm, s.values, RANGE_NM, DEFAULT_RULES) == [], path
