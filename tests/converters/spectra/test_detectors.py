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


@given(
    st.sampled_from([(350.0, 1.0, 2151, 0), (344.6, 2.0, 400, 1), (400.0, 10.0, 206, 0)]),
    st.data(),
)
def test_one_damaged_digit_of_an_even_axis_is_refused_or_moves_no_band_between_others(axis, data):
    first, step, count, decimals = axis
    whole = first + step * np.arange(count)
    texts = [f"{nm:.{decimals}f}" for nm in whole]
    # The two ends have no neighbours on either side that could tell.
    band = data.draw(st.integers(1, count - 2))
    at = data.draw(st.sampled_from([i for i, c in enumerate(texts[band]) if c.isdigit()]))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != texts[band][at]]))
    texts[band] = texts[band][:at] + digit + texts[band][at + 1 :]
    nm = np.array([float(text) for text in texts])
    with pytest.raises(UnusableSpectrumError):
        join_detectors(nm, "x.txt")
    assert join_detectors(whole, "x.txt")[1] == ()


def test_a_band_that_is_just_a_twentieth_of_a_distance_off_is_refused():
    nm = np.array([float(f"{344.6 + 2.0 * i:.1f}") for i in range(400)])
    nm[1] = 346.7
    with pytest.raises(UnusableSpectrumError):
        join_detectors(nm, "x.txt")


@pytest.mark.parametrize(
    "nm",
    [
        # A hole, two distances, rounded wavelengths, one band of a detector in another's overlap.
        [*range(350, 1350, 1), *range(1450, 2501, 1)],
        [*range(350, 1000, 1), *range(1000, 2501, 2)],
        np.round(350 + 1.37 * np.arange(800), 1),
        [*range(350, 1000, 3), *range(995, 1900, 9)],
        # Detectors on one grid that share several bands.
        [*range(350, 1006), *range(995, 1806), *range(1796, 2501)],
    ],
)
def test_axes_of_good_files_are_taken(nm):
    kept, _ = join_detectors(np.array(nm, dtype=float), "x")
    assert (np.diff(np.array(nm, dtype=float)[kept]) >= 0).all()
