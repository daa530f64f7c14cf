"""The published table, its censoring, and the law fitted to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.train.assays.published import ELEMENTS, Analysis, read_table_a1
from stibium.train.simulate.geochemistry import (
    SB_CEILING_PPM,
    SB_LIMIT_PPM,
    Resampling,
    draw_censored_Sb_ppm,
    fit_geochemistry,
    report,
)


def test_rows_have_the_descriptive_statistics_of_the_published_table() -> None:
    rows = read_table_a1()
    assert len(rows) == 107
    assert sum(row.site == "Ribeiro da Serra" for row in rows) == 54
    assert sum(row.site == "Tapada" for row in rows) == 53
    Sb_ppm = np.array([row.bound_ppm[0] for row in rows])
    Sb_ppm = Sb_ppm[Sb_ppm <= 1000]
    assert Sb_ppm.size == 93
    assert Sb_ppm.mean() == pytest.approx(130.7, abs=0.05)
    assert Sb_ppm.std(ddof=1) == pytest.approx(182.9, abs=0.05)
    assert Sb_ppm.min() == 6.3
    assert Sb_ppm.max() == 895
    assert np.quantile(Sb_ppm, [0.25, 0.5, 0.75]) == pytest.approx([26, 59, 152], abs=0.5)


def test_censored_values_stay_bounds() -> None:
    censored = [row for row in read_table_a1() if any(row.above)]
    assert sorted(row.sample for row in censored) == ["RS066", "RS078", "RS118", "RS131", "RS143", "TP051", "TP099"]
    for row in censored:
        assert row.above == (True, False, False, False, False)
        assert row.reported_ppm[0] == ">4000"
        assert row.bound_ppm[0] == 4000


def test_sample_names_are_unique() -> None:
    names = [row.sample for row in read_table_a1()]
    assert len(set(names)) == len(names)


def made_up_analyses(logs: np.ndarray, limit_ppm: float) -> tuple[Analysis, ...]:
    rows = []
    for number, row in enumerate(10.0**logs):
        texts = [repr(float(value)) for value in row]
        if row[0] > limit_ppm:
            texts[0] = f">{limit_ppm:g}"
        rows.append(Analysis(f"S{number}", "x", tuple(texts)))
    return tuple(rows)


def test_censoring_does_not_bias_the_fitted_law() -> None:
    rng = np.random.default_rng(7)
    root = np.tril(rng.normal(size=(5, 5)) * 0.15) + np.diag([0.6, 0.3, 0.25, 0.35, 0.2])
    mean = np.array([2.0, 1.6, 1.4, 1.7, 1.5])
    logs = mean + rng.normal(size=(3000, 5)) @ root.T
    limit_ppm = float(10 ** np.quantile(logs[:, 0], 0.75))
    law = fit_geochemistry(made_up_analyses(logs, limit_ppm))
    assert law.mean == pytest.approx(mean, abs=0.05)
    assert law.covariance == pytest.approx(root @ root.T, abs=0.04)
    as_if_known = np.minimum(logs[:, 0], np.log10(limit_ppm))
    assert as_if_known.std() < 0.85 * np.sqrt((root @ root.T)[0, 0])


def test_factors_are_independent_and_bounded() -> None:
    rows = read_table_a1()
    law = fit_geochemistry(rows)
    rng = np.random.default_rng(3)
    logs = rng.multivariate_normal(law.mean, law.covariance, 20_000)
    factors = law.factors(10.0**logs)
    assert np.corrcoef(factors.T) == pytest.approx(np.eye(5), abs=0.03)
    # One standard deviation, less what drawing outliers in takes away.
    assert factors.std(axis=0) == pytest.approx(np.full(5, 0.91), abs=0.02)
    assert np.abs(factors).max() <= 3.0


def test_law_needs_enough_rows_and_only_Sb_censored() -> None:
    rows = read_table_a1()
    with pytest.raises(ValueError, match="9 analyses are too few"):
        fit_geochemistry(rows[:9])
    bad = Analysis("X1", "x", ("5", ">4000", "3", "4", "5"))
    with pytest.raises(ValueError, match="X1: only Sb may be right-censored"):
        fit_geochemistry((*rows, bad))


def test_drawn_Sb_lies_above_the_bound_and_follows_the_other_elements() -> None:
    rows = read_table_a1()
    law = fit_geochemistry(rows)
    rng = np.random.default_rng(1)
    poor = Analysis("A", "x", (">4000", "40", "25", "40", "30"))
    rich = Analysis("B", "x", (">4000", "1200", "400", "40", "30"))
    drawn = {row.sample: [draw_censored_Sb_ppm(row, law, rng) for _ in range(400)] for row in (poor, rich)}
    for values in drawn.values():
        assert min(values) > 4000
        assert max(values) <= SB_CEILING_PPM
    assert np.median(drawn["B"]) > 1.2 * np.median(drawn["A"])


def test_resampled_soils_have_the_sites_moments() -> None:
    rows = read_table_a1()
    ppm = np.array([row.bound_ppm for row in rows])
    sites = [row.site for row in rows]
    resampling = Resampling(sites, ppm)
    rng = np.random.default_rng(5)
    drawn = [resampling.draw(rng) for _ in range(6000)]
    for site in sorted(set(sites)):
        new = np.log10([soil for name, soil in drawn if name == site])
        old = np.log10(ppm[[name == site for name in sites]])
        assert new.mean(axis=0) == pytest.approx(old.mean(axis=0), abs=0.05)
        assert new.std(axis=0) == pytest.approx(old.std(axis=0, ddof=1), rel=0.06)
        assert np.corrcoef(new.T) == pytest.approx(np.corrcoef(old.T), abs=0.08)
    exact = {tuple(np.round(row, 6)) for row in ppm}
    assert not any(tuple(np.round(soil, 6)) in exact for _, soil in drawn)


@given(st.lists(st.floats(0.1, 1e5), min_size=5, max_size=5))
def test_reports_read_back_and_never_show_more_than_the_limit(ppm: list[float]) -> None:
    texts = report(np.array(ppm))
    for text, value, half_a_digit in zip(texts, ppm, (0.005, 0.05, 0.005, 0.5, 0.05), strict=True):
        if text.startswith(">"):
            assert text == ">4000"
            assert value > SB_LIMIT_PPM
        else:
            assert abs(float(text) - value) <= half_a_digit * (1 + 1e-9)
    assert float(texts[0].lstrip(">")) <= SB_LIMIT_PPM
    assert len(texts) == len(ELEMENTS)
