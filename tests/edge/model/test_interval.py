"""Which values an interval holds: the same for a share of values inside and for the verdict on a reference soil."""

from __future__ import annotations

import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.measure.controls import Stated, judge_reference
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.interval import holding
from stibium.edge.record import shown_interval


@pytest.mark.parametrize(
    ("value", "give_or_take", "held"),
    [
        (50.0, 0.0, True),
        (100.0, 0.0, True),
        (5.0, 0.0, False),
        (5.0, 5.0, True),
        (5.0, 4.9, False),
        (4000.0, 0.0, False),
    ],
)
def test_what_an_interval_holds(value: float, give_or_take: float, held: bool) -> None:
    assert bool(holding(10.0, 100.0, value, (1.0, 895.0), give_or_take)) is held


@pytest.mark.parametrize(("low", "high", "value"), [(300.0, 895.0, 4000.0), (1.0, 40.0, 0.2)])
def test_an_end_that_was_cut_off_at_the_calibrated_range_is_open_for_everyone(
    low: float, high: float, value: float, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    """A share of values inside and the verdict on a reference soil go by the interval that is shown."""
    calibrated_range = (1.0, 895.0)
    assert bool(holding(low, high, value, calibrated_range))
    assert not bool(holding(low, high, value, (0.0, 1e6)))
    (answer,) = Estimator(shipped_bundle).estimate(soils[:1])
    assert isinstance(answer, Estimate)
    answer = answer._replace(value=(low + high) / 2, low=low, high=high, bound="")
    judged = judge_reference("OREAS", answer, Stated(value), calibrated_range)
    assert judged.passed is True
    assert judged.text.endswith(shown_interval(low, high, calibrated_range))
    assert judge_reference("OREAS", answer, Stated(value), (0.0, 1e6)).passed is False
