"""Shewhart limits from the first ten, and the Western Electric rules by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.gates.control_chart import C4, FIRST, control_chart, rules_in_words

FIRST_TEN = [100.0 * 10 ** (0.01 * z) for z in (-1.2, 0.4, 1.1, -0.3, 0.9, -1.0, 0.2, -0.6, 1.3, -0.8)]
SPREAD = float(np.log10(FIRST_TEN).std(ddof=1)) / C4
CENTRE = float(np.log10(FIRST_TEN).mean())


def at(*scores: float) -> list[float]:
    """Readings so many standard deviations from the centre."""
    return [10 ** (CENTRE + SPREAD * score) for score in scores]


@pytest.mark.parametrize(
    ("after", "broken"),
    [
        ((0.5,), ()),
        ((2.9,), ()),
        ((3.1,), (1,)),
        ((-3.1,), (1,)),
        ((2.1, 0.0, 2.1), (2,)),
        ((2.1, 0.0, -2.1), ()),
        ((2.1, 2.1, 0.0), ()),
        ((1.2, 1.2, -0.1, 1.2, 1.2), (3,)),
        ((1.2, 1.2, -0.1, 1.2, 0.9), ()),
        ((0.2, 0.3, 0.1, 0.4, 0.2, 0.3, 0.1, 0.2), (4,)),
        ((-0.2, -0.3, -0.1, -0.4, -0.2, -0.3, -0.1, -0.2), (4,)),
        ((0.2, 0.3, 0.1, -0.1, 0.2, 0.3, 0.1, 0.2), ()),
        ((2.2, 3.5), (1, 2)),
    ],
)
def test_rules_are_told_by_name(after: tuple[float, ...], broken: tuple[int, ...]) -> None:
    chart = control_chart([*FIRST_TEN, *at(*after)])
    assert chart is not None
    # The window of a rule may reach into the first ten, whose last one lies low.
    assert chart.broken[-1] == broken
    assert (chart.drifts != "") == bool(broken)
    for number in broken:
        assert f"Western Electric rule {number}:" in chart.drifts


def test_limits_are_three_standard_deviations_from_the_first_ten() -> None:
    chart = control_chart([*FIRST_TEN, *at(9.0, 9.0)])
    assert chart is not None
    assert chart.logarithmic
    assert chart.limits == pytest.approx(tuple(at(-3.0, 3.0)))
    assert chart.centre == pytest.approx(10**CENTRE)
    assert chart.broken[:FIRST] == ((),) * FIRST


def test_fewer_than_ten_make_no_chart() -> None:
    assert control_chart(FIRST_TEN[:9]) is None


def test_values_at_or_below_zero_are_taken_as_they_are() -> None:
    values = [-1.0, 1.0, 0.0, 0.5, -0.5, 0.2, -0.3, 0.8, -0.7, 0.0]
    chart = control_chart([*values, 50.0])
    assert chart is not None
    assert not chart.logarithmic
    assert chart.broken[-1] == (1,)


def test_ten_that_are_the_same_still_make_a_chart() -> None:
    chart = control_chart([5.0] * 11)
    assert chart is not None
    assert chart.broken[-1] == ()
    assert control_chart([*[5.0] * 10, 6.0]).broken[-1] == (1,)  # type: ignore[union-attr]


@given(st.lists(st.floats(-1e6, 1e6), min_size=10, max_size=30))
def test_any_readings_make_a_chart(values: list[float]) -> None:
    chart = control_chart(values)
    assert chart is not None
    assert len(chart.scores) == len(chart.broken) == len(values)
    assert np.isfinite(chart.scores).all()
    assert rules_in_words(()) == ""


@pytest.mark.parametrize("first", [[100.0] * 10, [100.0, 103.6, 100.0, 100.0, 100.0] * 2, [0.0] * 10])
def test_a_step_of_a_coarse_answer_is_no_drift(first: list[float]) -> None:
    """A network of 8 bits may give one value ten times, and then the next one that it has."""
    other = 103.6 if first[0] else 1e-12
    steady, gone = (control_chart([*first, value]) for value in (other, 150.0))
    assert steady is not None
    assert gone is not None
    assert not steady.drifts
    assert "rule 1" in gone.drifts
