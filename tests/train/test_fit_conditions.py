"""Conditions of the ground in a calibration: counted, judged apart, and what is missing said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from soil_like import NM, mean_of_training, soil_like
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.conditions import Conditions, depths, why_not
from stibium.train.conditions import fit_conditions, score_conditions, what_is_missing
from stibium.train.crossval.folds import repeated_folds
from stibium.train.crossval.table import validation_table
from stibium.train.crossval.validation import cross_validate
from stibium.train.evaluate import conditions_table
from stibium.train.samples import Samples


def in_states(data: Samples, *conditions: str) -> list[Spectrum]:
    return [replace(s, condition=c) for s in data.spectra for c in conditions]  # type: ignore[arg-type]


def fitted(spectra: list[Spectrum]) -> Conditions:
    return fit_conditions(spectra, np.stack([s.values for s in spectra]), spectra[0].wavelengths_nm)


def wetted(values: np.ndarray, nm: np.ndarray, depth: float) -> np.ndarray:
    return values * 10 ** -(depth * np.exp(-0.5 * ((nm - 1930) / 40) ** 2))


def test_samples_are_counted_and_not_their_measurements() -> None:
    data = soil_like(12)
    spectra = [*in_states(data, "dry", "dry"), *in_states(data, "wet")[:5]]
    assert fitted(spectra).counts == {"dry": 12, "wet": 5}
    assert fitted(list(data.spectra)).counts == {"": 12}


def test_wet_soils_are_told_and_dry_ones_left_alone() -> None:
    data = soil_like(60, seed=3)
    calibration, others = in_states(data, "dry")[:40], np.stack([s.values for s in data.spectra[40:]])
    stats = fitted(calibration)
    for depth, wetter in ((0.0, False), (0.5, True)):
        reasons, indices = why_not([""] * 20, *depths(wetted(others, NM, depth), NM), stats)
        assert sum(map(bool, reasons)) >= 18 if wetter else sum(map(bool, reasons)) <= 2
        assert all(index is not None for index in indices)


def test_few_soils_call_few_other_dry_ones_wetter() -> None:
    spectra = in_states(soil_like(160, seed=5), "dry")
    water, clay = depths(np.stack([s.values for s in spectra]), NM)
    named = []
    for seed in range(40):
        order = np.random.default_rng(seed).permutation(160)
        stats = fitted([spectra[i] for i in order[:20]])
        reasons, _ = why_not([""] * 140, water[order[20:]], clay[order[20:]], stats)
        named.append(np.mean([bool(why) for why in reasons]))
    # The farthest of 20 is passed by 4.8 % of others, on the whole.
    assert np.mean(named) <= 0.03


def test_wet_soils_in_the_calibration_are_none_that_it_does_not_know() -> None:
    data = soil_like(40, seed=3)
    dry = in_states(data, "dry")
    wet = [replace(s, condition="wet", values=wetted(s.values, NM, 0.5)) for s in dry]
    reasons, _ = why_not(["wet"] * 40, *depths(np.stack([s.values for s in wet]), NM), fitted([*dry, *wet]))
    assert sum(map(bool, reasons)) <= 2


def test_a_model_that_does_not_see_the_water_says_nothing_of_it() -> None:
    nm = np.arange(400.0, 1001.0, 10.0)
    found = fitted(in_states(soil_like(12, nm=nm), "dry"))
    assert found.water is None
    assert why_not(["wet", ""], None, None, found) == (
        ["calibrated for dry soils only, and this ground is said to be wet", ""],
        [None, None],
    )


@pytest.mark.parametrize(
    ("counts", "corrected", "said"),
    [
        ({"dry": 9}, (), "holds dry soils only, and the model is for no other: scan 20 of your soils wet and one day"),
        ({"wet": 9}, (), "holds wet soils only"),
        ({"": 9}, (), "Nobody said whether these soils were dry, damp or wet"),
        ({"dry": 9, "damp": 9}, (), ""),
        ({"dry": 9}, ("damp", "wet"), ""),
    ],
)
def test_one_state_only_is_said_with_what_to_do(counts: dict[str, int], corrected: tuple[str, ...], said: str) -> None:
    line = what_is_missing(Conditions(counts, corrected, None, ""))
    assert said in line
    assert bool(line) == bool(said)


def test_figures_of_each_condition() -> None:
    scores = score_conditions(["dry", "dry", "wet", "wet"], [1, 2, 2, 4], [1, 2, 1, 3], [0] * 4, [2.5] * 4)
    assert [(s.condition, s.metrics.n, s.metrics.bias, s.coverage) for s in scores] == [
        ("dry", 2, 0.0, 1.0),
        ("wet", 2, 1.0, 0.5),
    ]
    # An interval that was cut off at the calibrated range is open there, as it is for all soils together.
    open_above = score_conditions(["wet"] * 2, [2, 4], [1, 3], [0] * 2, [2.5] * 2, calibrated_range=(0.0, 2.5))
    assert open_above[0].coverage == 1.0
    assert [line.split()[0] for line in conditions_table(scores, "ppm").splitlines()] == ["ground", "dry", "wet"]


def test_validation_shows_conditions_apart() -> None:
    data = soil_like(20)
    both = replace(data, spectra=tuple(in_states(data, "dry", "wet")))
    found = cross_validate([mean_of_training()], both, repeated_folds(both.names, None, n_folds=5, repeats=1, seed=1))
    table = validation_table(found)
    assert "R2 dry (n 20)" in table
    assert "bias wet" in table
    plain = cross_validate([mean_of_training()], data, repeated_folds(data.names, None, n_folds=5, repeats=1, seed=1))
    assert "dry" not in validation_table(plain)
