"""Shapley values, VIP and forest importance held to their definitions."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Floats
from stibium.train.report.importance import (
    Players,
    Predict,
    ShapleyValues,
    forest_importance,
    plsr_vip,
    sample_shapley,
    stretches,
    take_apart,
    vip_scores,
)

NM = np.arange(400.0, 701.0, 5.0)
BACKGROUND = 0.3 + 0.1 * np.sin(NM / 90)


def soils(n: int, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.0, 0.2, (n, 1))
    gain = rng.uniform(0.7, 1.3, (n, 1))
    return gain * BACKGROUND * (1 - depth * np.exp(-0.5 * ((NM - 550) / 15) ** 2))


def curved(reflectance: Floats) -> Floats:
    """A model with interactions: nothing adds up in it."""
    absorbance = np.log10(1 / reflectance)
    return np.asarray(absorbance[:, 30] * absorbance[:, 10] + np.square(absorbance[:, 45]) - absorbance[:, 5])


def exact_shapley(predict: Predict, players: Players) -> ShapleyValues:
    """The definition: over all coalitions, 2^k predictions a spectrum."""
    n, k = len(players.rest), len(players.names)
    coalitions = (np.arange(2**k)[:, None] >> np.arange(k)) & 1
    values, answers, expected = np.zeros((n, k)), np.zeros(n), 0.0
    for i in range(n):
        worth = predict(players.assemble(i, coalitions.astype(bool)))
        for player in range(k):
            others = [j for j in range(k) if j != player]
            for size in range(k):
                weight = 1.0 / (k * comb(k - 1, size))
                for members in combinations(others, size):
                    code = sum(1 << j for j in members)
                    values[i, player] += weight * (worth[code | 1 << player] - worth[code])
        answers[i], expected = worth[-1], float(worth[0])
    return ShapleyValues(values, answers, expected)


def test_parts_make_the_whole() -> None:
    spectra = soils(6)
    players = take_apart(spectra, NM, BACKGROUND, 50.0)
    k = len(players.names)
    assert k == 7
    assert players.weights.sum(axis=0) == pytest.approx(np.ones(NM.size))
    for i in range(6):
        both = players.assemble(i, np.array([[False] * k, [True] * k]))
        assert both[0] == pytest.approx(BACKGROUND)
        assert both[1] == pytest.approx(spectra[i])


def test_brightness_alone_leaves_nothing_for_the_wavelengths() -> None:
    players = take_apart(np.array([1.2, 0.6])[:, None] * BACKGROUND, NM, BACKGROUND, 50.0)
    assert np.abs(players.rest).max() < 1e-12


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_values_add_up_to_the_answer(seed: int, permutations: int) -> None:
    players = take_apart(soils(2, seed), NM, BACKGROUND, 50.0)
    found = sample_shapley(curved, players, permutations, seed)
    assert found.values.sum(axis=1) == pytest.approx(found.answers - found.expected, abs=1e-12)
    assert found.answers == pytest.approx(curved(soils(2, seed)))
    assert found.expected == pytest.approx(float(curved(BACKGROUND[None])[0]))


def test_sampling_comes_to_the_exact_values() -> None:
    players = take_apart(soils(3), NM, BACKGROUND, 60.0)
    exact = exact_shapley(curved, players)
    assert exact.values.sum(axis=1) == pytest.approx(exact.answers - exact.expected, abs=1e-12)
    error = [float(np.abs(sample_shapley(curved, players, n).values - exact.values).max()) for n in (2, 400)]
    assert error[1] < 0.002 * np.abs(exact.values).max() + 0.05 * error[0] + 1e-9
    assert error[1] < error[0]


def test_a_linear_model_needs_one_order() -> None:
    weights = np.random.default_rng(3).normal(size=NM.size)
    players = take_apart(soils(3), NM, BACKGROUND, 60.0)

    def linear(reflectance: Floats) -> Floats:
        return reflectance @ weights

    expected = np.concatenate(
        [(players.level @ weights)[:, None], (players.rest[:, None] * players.weights) @ weights], axis=1
    )
    assert sample_shapley(linear, players, 1).values == pytest.approx(expected, abs=1e-9)
    assert exact_shapley(linear, players).values == pytest.approx(expected, abs=1e-9)


def test_what_a_model_does_not_look_at_counts_nothing() -> None:
    players = take_apart(soils(4), NM, BACKGROUND, 30.0)

    def at_550(reflectance: Floats) -> Floats:
        return np.log10(reflectance[:, 30])

    counts = np.abs(sample_shapley(at_550, players, 4).values).mean(axis=0)[1:]
    far = np.abs(players.centres_nm - 550) > players.width_nm
    assert (counts[far] == 0).all()
    assert counts[~far].min() > 0
    assert np.abs(players.centres_nm[np.argmax(counts)] - 550) <= players.width_nm / 2 + 1e-9


def test_progress_is_told_and_the_seed_decides() -> None:
    players = take_apart(soils(3), NM, BACKGROUND, 60.0)
    told: list[tuple[int, int]] = []
    first = sample_shapley(curved, players, 2, 7, batch=3, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert (first.values == sample_shapley(curved, players, 2, 7).values).all()
    assert (first.values != sample_shapley(curved, players, 2, 8).values).any()


def test_vip_by_hand() -> None:
    weights = np.array([[3.0, 0.0], [4.0, 1.0], [0.0, 1.0]])
    scores = np.array([[1.0, 2.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    loadings = np.array([1.0, 0.5])
    # SS: 1 * 4 = 4 and 0.25 * 4 = 1. Squared shares: 9/25, 16/25, 0 and 0, 1/2, 1/2.
    expected = np.sqrt(3 * np.array([4 * 9 / 25, 4 * 16 / 25 + 1 / 2, 1 / 2]) / 5)
    vip = vip_scores(weights, scores, loadings)
    assert vip == pytest.approx(expected)
    assert np.mean(vip**2) == pytest.approx(1.0)
    assert (vip_scores(weights, scores, np.zeros(2)) == 0).all()


def test_plsr_and_forest_find_the_band() -> None:
    spectra = soils(60, 5)
    depth = np.random.default_rng(5).uniform(0.0, 0.2, (60, 1))[:, 0]
    derivative = np.gradient(np.log10(1 / spectra), NM, axis=1)
    vip, components = plsr_vip(derivative, depth, [f"s{i // 2}" for i in range(60)])
    assert vip.shape == NM.shape
    assert 1 <= components <= 15
    assert np.mean(vip**2) == pytest.approx(1.0)
    assert abs(NM[np.argmax(vip)] - 550) < 40
    first, last, share = forest_importance(derivative, NM, depth, 20.0, 30)
    assert share.sum() == pytest.approx(1.0)
    assert (last > first).all()
    assert abs(first[np.argmax(share)] - 550) < 40


def test_stretches_hold_every_band_once() -> None:
    first, last, at = stretches(np.array([400.0, 404.0, 410.0, 435.0, 440.0]), 10.0)
    assert first.tolist() == [400.0, 410.0, 430.0]
    assert last.tolist() == [410.0, 420.0, 440.0]
    assert at.tolist() == [0, 0, 1, 2, 2]


def test_plsr_takes_few_samples_and_flat_spectra() -> None:
    rng = np.random.default_rng(0)
    vip, components = plsr_vip(rng.normal(size=(4, 30)), np.arange(4.0), ["a", "b", "c", "d"])
    assert np.isfinite(vip).all()
    assert components >= 1
