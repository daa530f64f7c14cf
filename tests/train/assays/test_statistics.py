"""Statistics of the elements: the published table, SciPy's figures, and what bounds may and may not do."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from stibium.train.assays.published import read_published_table, read_table_a1
from stibium.train.assays.statistics import (
    METHODS,
    correlate,
    correlation,
    describe,
    describe_element,
    moments,
    sample_matrix,
)
from stibium.train.assays.table import parse_assay_tables
from stibium.train.assays.values import Assay
from stibium.train.simulate.geochemistry import fit_geochemistry

PPM = st.floats(1e-3, 1e5)


def plain(values: object) -> list[Assay]:
    return [Assay(float(v)) for v in values]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def published() -> dict[str, object]:
    return {d.element: d for d in describe(read_published_table())}


def test_published_rows_up_to_1000_ppm_have_the_figures_of_the_papers_kind() -> None:
    rows = [row for row in read_table_a1() if not row.above[0] and row.bound_ppm[0] <= 1000]
    found = moments([row.bound_ppm[0] for row in rows])
    assert found.n == 93
    assert found.mean == pytest.approx(130.7, abs=0.05)
    assert found.sd == pytest.approx(182.9, abs=0.05)
    assert (found.minimum, found.maximum) == (6.3, 895)
    assert (found.q1, found.median, found.q3) == pytest.approx((26, 59, 152), abs=0.5)
    assert found.skewness > 2


def test_published_antimony_in_all_its_readings() -> None:
    antimony = describe(read_published_table())[0]
    assert (antimony.element, antimony.unit, antimony.n, antimony.n_above, antimony.n_below) == ("Sb", "ppm", 107, 7, 0)
    assert antimony.as_values is not None
    assert antimony.as_values.maximum == 4000
    assert antimony.note == "7 of 107 are >4000, taken as that value"
    assert antimony.known is not None
    assert (antimony.known.n, antimony.known.maximum) == (100, 3786)
    assert antimony.product_limit is not None
    # The mean can be anything from where every bound is a value upwards.
    assert antimony.product_limit.mean_low == pytest.approx(antimony.as_values.mean)
    assert antimony.product_limit.mean_high is None
    assert antimony.product_limit.median == Assay(79.0)
    assert antimony.log_normal is not None
    assert antimony.log_normal.log10_sd > antimony.as_values.log10_sd > antimony.known.log10_sd  # type: ignore[operator]
    # The other elements of the censored soils say that they are richer still.
    law = fit_geochemistry(read_table_a1())
    assert antimony.as_values.log10_mean < antimony.log_normal.log10_mean < law.mean[0]  # type: ignore[operator]


def test_published_elements_without_bounds_are_simply_described() -> None:
    for d in describe(read_published_table())[1:]:
        assert (d.known, d.product_limit, d.note) == (None, None, "")
        assert d.as_values is not None
        assert d.log_normal is not None
        assert d.log_normal.log10_mean == pytest.approx(d.as_values.log10_mean)


def test_published_correlations() -> None:
    table = read_published_table()
    pearson = correlate(table)
    assert pearson.elements == ("Sb", "As", "Pb", "Mn", "Zn")
    assert pearson.r[0, 1] == pytest.approx(0.74, abs=0.005)
    assert pearson.n.min() == pearson.n.max() == 107
    assert (pearson.n_bounds[0, 1], pearson.n_bounds[1, 2]) == (7, 0)
    known = correlate(table, "pearson", "known values only")
    assert (known.n[0, 1], known.n[1, 2], known.n_bounds.max()) == (100, 107, 0)
    # Seven soils carry most of the relation of Sb with As.
    assert known.r[0, 1] < 0.5
    low = [row for row in read_table_a1() if not row.above[0] and row.bound_ppm[0] <= 1000]
    Sb, As = np.array([row.bound_ppm[:2] for row in low]).T
    assert correlation(Sb, As) == pytest.approx(0.47, abs=0.005)


@given(st.lists(PPM, min_size=1, max_size=50))
def test_moments_are_numpys_and_scipys(values: list[float]) -> None:
    y = np.array(values)
    found = moments(values)
    assert found.n == y.size
    assert found.mean == pytest.approx(y.mean())
    assert [found.q1, found.median, found.q3] == pytest.approx(np.percentile(y, [25, 50, 75]))
    assert found.log10_mean == pytest.approx(np.log10(y).mean(), abs=1e-12)
    if y.size == 1:
        assert found.sd is None
        assert found.log10_sd is None
    else:
        assert found.sd == pytest.approx(np.std(y, ddof=1), abs=1e-12 * y.max())
    if y.size > 2 and np.ptp(y) > 1e-6 * y.max():
        assert found.skewness == pytest.approx(stats.skew(y, bias=False), rel=1e-6, abs=1e-6)


def test_zero_has_no_logarithm_and_equal_values_no_skewness() -> None:
    assert moments([0.0, 1.0, 2.0]).log10_mean is None
    assert moments([2.0, 2.0, 2.0]).skewness is None
    # NumPy's standard deviation of these is 3.5e-18.
    alike = moments([0.02] * 30)
    assert (alike.mean, alike.sd, alike.log10_sd) == (0.02, 0.0, 0.0)
    assert describe_element("Sb", "ppm", plain([0, 1, 2])).log_normal is None
    for values in ([], [math.nan], [math.inf]):
        with pytest.raises(ValueError, match="no numbers"):
            moments(values)


@given(
    st.lists(st.tuples(PPM, st.sampled_from(["", "", "<", ">"])), max_size=40),
)
def test_any_column_is_described_and_its_records_are_json(cases: list[tuple[float, str]]) -> None:
    assays = [Assay(value, side) for value, side in cases]  # type: ignore[arg-type]
    found = describe_element("Sb", "ppm", assays, n_missing=3)
    json.dumps(found.to_records(), allow_nan=False)
    assert (found.n, found.n_missing) == (len(cases), 3)
    assert found.n_below + found.n_above == sum(side != "" for _, side in cases)
    assert (found.product_limit is not None) == (found.n_below + found.n_above > 0)
    if found.known is not None and found.as_values is not None and not found.n_below:
        assert found.known.n < found.as_values.n
    if found.product_limit is not None and found.product_limit.mean_high is not None:
        assert found.product_limit.mean_low <= found.product_limit.mean_high * (1 + 1e-9)


def test_censoring_bends_every_reading_but_the_law() -> None:
    rng = np.random.default_rng(11)
    logs = rng.normal(2.0, 0.7, 5000)
    ppm = 10**logs
    assays = [Assay(20.0, "<") if v < 20 else Assay(800.0, ">") if v > 800 else Assay(float(v)) for v in ppm]
    found = describe_element("Sb", "ppm", assays)
    assert found.log_normal is not None
    assert (found.log_normal.log10_mean, found.log_normal.log10_sd) == pytest.approx((2.0, 0.7), abs=0.03)
    assert found.log_normal.median == pytest.approx(100, rel=0.06)
    assert found.log_normal.mean == pytest.approx(ppm.mean(), rel=0.15)
    assert found.as_values is not None
    assert found.as_values.log10_sd < 0.6  # type: ignore[operator]
    assert found.product_limit is not None
    assert found.product_limit.median.value == pytest.approx(np.median(ppm), rel=0.01)
    assert found.note == (
        f"{found.n_below} of 5000 are <20, taken as that value; {found.n_above} of 5000 are >800, taken as that value"
    )


def test_moments_of_the_fitted_law_are_scipys() -> None:
    found = describe_element("Sb", "ppm", plain(10 ** np.linspace(0, 3, 40))).log_normal
    assert found is not None
    law = stats.lognorm(s=found.log10_sd * math.log(10), scale=found.median)
    assert (found.mean, found.sd) == pytest.approx((law.mean(), law.std()))
    assert (found.q1, found.q3) == pytest.approx(tuple(law.ppf([0.25, 0.75])))


@given(st.lists(st.tuples(PPM, PPM), min_size=3, max_size=40))
def test_correlations_are_scipys(pairs: list[tuple[float, float]]) -> None:
    x, y = np.array(pairs).T
    if np.ptp(x) < 1e-6 * x.max() or np.ptp(y) < 1e-6 * y.max():
        return
    assert correlation(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-7)
    assert correlation(x, y, "log-pearson") == pytest.approx(
        stats.pearsonr(np.log10(x), np.log10(y)).statistic, abs=1e-6
    )
    assert correlation(x, y, "spearman") == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)


def test_each_pair_of_elements_is_correlated_over_what_both_have() -> None:
    text = "sample,Sb_ppm,As_ppm,Zn_ppm\nA,1,2,\nB,2,4,5\nC,3,7,5\nD,>4,,5\nE,0,1,\nBLK,900,1,1\nREP A,50,1,9\n"
    table = parse_assay_tables((text.encode(), "t.csv"))
    assert sample_matrix(table, "known values only").tolist()[3][0] != 4
    pearson = correlate(table)
    assert (pearson.n[0, 1], pearson.n[0, 2], pearson.n[0, 0]) == (4, 3, 5)
    assert pearson.n_bounds[0, 2] == 1
    assert pearson.r[0, 1] == pytest.approx(stats.pearsonr([1, 2, 3, 0], [2, 4, 7, 1]).statistic)
    # Zn does not vary.
    assert math.isnan(pearson.r[0, 2])
    assert correlate(table, "log-pearson").n[0, 1] == 3
    for method in METHODS:
        records = correlate(table, method).to_records()
        assert len(json.loads(json.dumps(records, allow_nan=False))) == 3
        assert {record["r"] is None for record in records} == {True, False}
