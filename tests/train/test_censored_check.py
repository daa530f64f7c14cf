"""Whether answers keep to censored values."""

from __future__ import annotations

import pytest
from stibium.edge.model.estimate import Estimate, Refusal
from stibium.train.assays.values import Assay
from stibium.train.censored_check import check_estimates, keeps

CALIBRATED = (5.0, 3000.0)


@pytest.mark.parametrize(
    ("value", "bound", "critical", "kept"),
    [
        (10.0, Assay(20.0, "<"), None, True),
        (30.0, Assay(20.0, "<"), None, False),
        (5.0, Assay(0.02, "<"), None, True),  # as low as the model can say
        (6.0, Assay(0.02, "<"), None, False),
        (25.0, Assay(0.02, "<"), 30.0, True),  # the device says < LOD
        (3000.0, Assay(4000.0, ">"), None, True),  # as high as the model can say
        (2500.0, Assay(4000.0, ">"), None, False),
        (2500.0, Assay(2000.0, ">"), None, True),
    ],
)
def test_an_answer_keeps_to_a_bound_as_far_as_it_can(
    value: float, bound: Assay, critical: float | None, kept: bool
) -> None:
    assert keeps(value, bound, CALIBRATED, critical) is kept


def test_a_devices_estimates_are_counted_by_side() -> None:
    plain = Estimate("A", "", "a", None, "Sb", "ppm", 100.0, "", None, None, None, "inside", "", (), None, None, False)
    estimates = [
        plain,
        plain._replace(sample_id="B", bound="< LOD"),
        plain._replace(sample_id="C", bound=">", value=3000.0),
        plain._replace(sample_id="D"),
    ]
    bounds = {"A": Assay(0.02, "<"), "B": Assay(0.02, "<"), "C": Assay(4000, ">"), "D": Assay(4000, ">")}
    found = check_estimates(estimates, bounds, CALIBRATED)
    assert (found.below, found.below_kept, found.above, found.above_kept) == (2, 1, 2, 1)
    assert found.line() == (
        "Censored samples: 1 of 2 given as below a limit are estimated below it; 1 of 2 given as above a limit are "
        "estimated above it or beyond the calibration"
    )


def test_a_bound_whose_spectrum_is_refused_is_counted_and_says_why() -> None:
    found = check_estimates([Refusal("a.asd", "covers 350-1049 nm", "A")], {"A": Assay(4000, ">")}, CALIBRATED)
    assert (found.total, found.above, found.unusable) == (1, 0, 1)
    assert found.line() == "Censored samples: 1 cannot be estimated: a.asd: covers 350-1049 nm"
