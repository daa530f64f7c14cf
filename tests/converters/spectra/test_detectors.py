"""Overlapping detectors: one of the two is kept, and nothing else is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra import UnusableSpectrumError
from stibium.converters.spectra.detectors import join_detectors, merge_equal

spans = st.lists(st.tuples(st.integers(8, 40), st.floats(1.0, 5.0), st.floats(0.05, 0.45)), min_size=1, max_size=4)


@given(spans)
def test_kept_bands_ascend_and_leave_no_gap(spans):
    detectors, first = [], 350.0
    for count, step, overlap in spans:
        nm = first + step * np.arange(count)
        detectors.append(nm)
        first = nm[-1] - overlap * (nm[-1] - nm[0])
    nm = np.concatenate(detectors)
    try:
        kept, joins = join_detectors(nm, "x.sig")
    except UnusableSpectrumError:
        # Only where a short detector lies within its neighbours' overlaps.
        assert len(detectors) > 1
        return
    assert len(joins) == len(detectors) - 1
    assert (np.diff(nm[kept]) >= 0).all()
    assert nm[kept][0] == nm.min()
    assert nm[kept][-1] == nm.max()
    for join, left, right in zip(joins, detectors[:-1], detectors[1:], strict=True):
        assert right[0] <= join <= left[-1]
    # Every detector keeps exactly its bands between its joins.
    edges = [-np.inf, *joins, np.inf]
    expected = [d[(d > a) & (d <= b)] for d, a, b in zip(detectors, edges[:-1], edges[1:], strict=True)]
    np.testing.assert_array_equal(nm[kept], np.concatenate(expected))


def test_the_instrument_s_own_join_wins_where_it_can():
    nm = np.concatenate([np.arange(350, 1051, 10.0), np.arange(950, 1801, 10.0)])
    assert join_detectors(nm, "x", (975.0,))[1] == (975.0,)
    assert join_detectors(nm, "x", (1100.0,))[1] == (1000.0,)


@pytest.mark.parametrize(
    ("nm", "reason"),
    [
        ([350, 360, 355, 370, 380, 390], "do not ascend"),
        ([*range(1000, 1100, 10), *range(900, 1000, 10)], "go back"),
        ([*range(1000, 1100, 10), *range(1050, 1090, 5)], "go back"),
        ([*range(350, 550, 10)] * 5, "do not ascend"),
    ],
)
def test_other_ways_back_are_refused(nm, reason):
    with pytest.raises(UnusableSpectrumError, match=rf"^x.sig: wavelengths {reason}"):
        join_detectors(np.array(nm, dtype=float), "x.sig")


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-1, 1)), min_size=1, max_size=30))
def test_equal_wavelengths_are_averaged(pairs):
    pairs = sorted(pairs)
    nm = np.array([350.0 + n for n, _ in pairs])
    values = np.array([[v for _, v in pairs], [2 * v for _, v in pairs]])
    merged_nm, merged = merge_equal(nm, values)
    assert (np.diff(merged_nm) > 0).all()
    for i, wavelength in enumerate(merged_nm):
        mean = np.mean([v for n, v in pairs if 350.0 + n == wavelength])
        np.testing.assert_allclose(merged[:, i], [mean, 2 * mean], atol=1e-12)
