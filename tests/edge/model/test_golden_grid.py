from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.model.golden_grid import EACH, GRID, MOST_BANDS, pack_grid, unpack_grid


@given(
    st.floats(200, 3000, allow_nan=False),
    st.sampled_from([0.5, 1.0, 1.4, 2.0, 10.0]),
    st.integers(2, 3000),
)
def test_every_digit_comes_back(first: float, step: float, count: int) -> None:
    nm = first + step * np.arange(count)
    np.testing.assert_array_equal(unpack_grid(pack_grid(nm)), nm)


def test_an_instruments_grid_takes_three_numbers_and_an_uneven_one_all_of_its() -> None:
    assert list(pack_grid(np.arange(350.0, 2501.0))) == [GRID]
    uneven = np.array([350.0, 351.0, 352.0, 353.5])
    assert list(pack_grid(uneven)) == [EACH]
    np.testing.assert_array_equal(unpack_grid(pack_grid(uneven)), uneven)
    # What earlier versions wrote.
    np.testing.assert_array_equal(unpack_grid({EACH: uneven}), uneven)


@pytest.mark.parametrize(
    "grid", [[350.0, 1.0], [350.0, 1.0, 1.0], [350.0, 1.0, MOST_BANDS + 1], [np.nan, 1.0, 9.0], [350.0, 1.0, 9.5]]
)
def test_a_grid_that_is_none_is_refused(grid: list[float]) -> None:
    with pytest.raises(ValueError, match="not first, step and count"):
        unpack_grid({GRID: np.array(grid)})
