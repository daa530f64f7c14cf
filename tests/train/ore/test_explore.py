"""Statistics, frequencies and correlations by hand; Shapley summaries; calibrated models on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from stibium.converters.models.ore import convert_model
from stibium.edge.ore.columns import read_columns
from stibium.edge.ore.table import read_blocks
from stibium.train.ore.calibration import Calibrated, fit_calibration
from stibium.train.ore.data import from_blocks, notes
from stibium.train.ore.explain import summarise, telling_rows, waterfall
from stibium.train.ore.explore import correlations, explore, of_pair
from stibium.train.ore.models import MODELS

TABLE = """block,hole,As_ppm,Au_ppm,Class_As,label
1,A,<10,0.1,Low,gangue
2,A,20,,Medium,ore
3,B,30,0.3,High,ore
4,B,>100,0.9,Low,gangue
5,B,20,0.2,,1
"""


@pytest.fixture
def small(tmp_path: Path):
    path = tmp_path / "blocks.csv"
    path.write_text(TABLE)
    return from_blocks(read_blocks(path, read_columns().pick(["As", "Au", "Class_As"])), "blocks.csv")


def test_statistics_by_hand(small):
    found = explore(small)
    arsenic = found.descriptions[0]
    values = np.array([5.0, 20, 30, 100, 20])
    assert arsenic.variable.name == "As"
    assert (arsenic.raw["n"], arsenic.raw["below"], arsenic.raw["above"]) == (5, 1, 1)
    assert arsenic.raw["mean"] == pytest.approx(values.mean())
    assert arsenic.raw["sd"] == pytest.approx(values.std(ddof=1))
    assert [arsenic.raw[q] for q in ("min", "q1", "median", "q3", "max")] == [5, 20, 20, 30, 100]
    scaled = (values - values.mean()) / values.std()
    assert arsenic.standardised["mean"] == pytest.approx(0, abs=1e-12)
    assert arsenic.standardised["max"] == pytest.approx(scaled.max())
    assert arsenic.standardised["skewness"] == pytest.approx(arsenic.raw["skewness"])
    assert found.descriptions[1].raw["missing"] == 1
    assert found.ore_percent == pytest.approx(60)


def test_frequencies_are_percent_of_what_was_logged(small):
    (logged,) = explore(small).frequencies
    assert logged.percent == (50, 25, 25)
    assert logged.ore_percent == (0, 100, 100)
    assert logged.missing_percent == pytest.approx(20)


def test_notes_say_what_is_missing_and_what_is_a_bound(small):
    text = "\n".join(notes(small))
    assert "Au 20.0 %" in text
    assert "2 values are bounds" in text


def test_correlations_are_over_pairs_that_are_known():
    chance = np.random.default_rng(0)
    x = chance.standard_normal((200, 3))
    x[:, 1] += 2 * x[:, 0]
    x[:20, 0], x[190:, 1] = np.nan, np.nan
    both = slice(20, 190)
    assert correlations(x)[0, 1] == pytest.approx(np.corrcoef(x[both, 0], x[both, 1])[0, 1])
    x[:, 2] = np.round(x[:, 2])
    ranks = correlations(x, ranks=True)
    assert ranks[0, 2] == pytest.approx(spearmanr(x[20:, 0], x[20:, 2]).statistic)
    x[:, 2] = 1.0
    assert np.isnan(correlations(x)[0, 2])


def test_a_pair_that_is_not_there_has_no_correlation(small):
    found = explore(small)
    assert np.isfinite(of_pair(found, "As", "Au"))
    assert np.isnan(of_pair(found, "As", "Zn"))


def fitted(name: str, missing: bool = True):
    chance = np.random.default_rng(3)
    x = chance.standard_normal((300, 3))
    ore = x[:, 0] + 0.3 * chance.standard_normal(300) > 0
    if missing:
        x[chance.random(x.shape) < 0.05] = np.nan
    return MODELS[name].pipeline(MODELS[name].candidates(0, fast=True)[0], 0).fit(x, ore), x, ore


@pytest.mark.parametrize("kind", ["platt", "beta", "isotonic", "venn-abers"])
@pytest.mark.parametrize("name", list(MODELS))
def test_a_calibrated_model_answers_the_same_on_the_device(name, kind):
    pipeline, x, ore = fitted(name)
    model = Calibrated(pipeline, fit_calibration(kind, pipeline.predict_proba(x)[:, 1], ore))
    device = convert_model(model, x)
    assert device.probabilities(x) == pytest.approx(model.probability(x), abs=1e-6)
    assert model.predict_proba(x).sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("name", list(MODELS))
def test_a_summary_finds_what_moves_and_which_way(name):
    pipeline, x, _ = fitted(name)
    device = convert_model(Calibrated(pipeline, None), x)
    summary = summarise("S", name, device, ("a", "b", "c"), x[:80])
    assert summary.leading[0] == "a"
    assert summary.direction[0] > 0.7
    assert summary.base + summary.contributions.sum(axis=1) == pytest.approx(device.sums(x[:80]), abs=1e-6)
    one = waterfall("S", name, device, ("a", "b", "c"), x[0], "first", True)
    assert one.contributions == pytest.approx(summary.contributions[0])
    assert one.probability == pytest.approx(float(device.probabilities(x[:1])[0]))


def test_telling_rows():
    assert dict(telling_rows(np.array([0.9, 0.1, 0.55, 0.3]), 0.5)) == {
        "surest ore": 0,
        "surest gangue": 1,
        "nearest to the threshold": 2,
    }
