"""Range, interval, detection, domain and conditions follow from an adaptation, and no farther than it was judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.applicability import ApplicabilityDomain, absorbance_shapes, assess, distances
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.conditions import Conditions, Water
from stibium.edge.model.estimate import Estimator
from stibium.edge.model.interval import IntervalStats
from stibium.edge.model.target import DetectionStats
from stibium.train.adaptation.adapted import on_grid_of, reach_of, require_room
from stibium.train.adaptation.follow import (
    following_conditions,
    following_domain,
    own_detection,
    own_interval,
    own_range,
    wider_interval,
)
from stibium.train.errors import TrainingDataError

NOWHERE = (-np.inf, np.inf)


@pytest.fixture(scope="module")
def on_grid(shipped_bundle: Bundle, soils: list[Spectrum]) -> np.ndarray:
    return on_grid_of(shipped_bundle, soils)[0]


def test_intervals_are_as_wide_as_so_few_samples_say(shipped_bundle: Bundle) -> None:
    few, many = (own_interval(shipped_bundle, 0.1, freedom, freedom + 1) for freedom in (4, 400))
    assert few.high_offset == pytest.approx(0.1 * 2.132, rel=1e-3)
    assert many.high_offset == pytest.approx(0.1 * 1.649, rel=1e-3)
    assert few.slopes == (0.0, 0.0, 0.0)


def test_pairs_add_to_the_parents_interval() -> None:
    stats = IntervalStats(0.9, -0.3, 0.3, "by hand", (0.1, 0.1, 0.0))
    wider = wider_interval(stats, 0.4 / 1.729, 19, 20)
    assert wider is not None
    assert wider.high_offset == pytest.approx(0.9, rel=1e-3)
    assert wider.low_offset == pytest.approx(-0.9, rel=1e-3)
    assert wider.slopes == stats.slopes
    assert wider_interval(None, 0.4, 19, 20) is None


def test_ranges_reach_no_farther_than_was_judged(shipped_bundle: Bundle) -> None:
    bundle = replace(shipped_bundle, calibrated_range=(10.0, 100.0))
    assert own_range(bundle, [40.0, 120.0], False, NOWHERE) == (10.0, 120.0)
    assert own_range(bundle, [40.0, 60.0], True, NOWHERE) == (30.0, 70.0)
    assert own_range(bundle, [40.0, 120.0], False, (20.0, 90.0)) == (20.0, 90.0)
    with pytest.raises(TrainingDataError, match="measure pairs"):
        own_range(bundle, [40.0, 120.0], False, (200.0, 300.0))


def test_detection_moves_up_with_the_errors_and_never_down(shipped_bundle: Bundle) -> None:
    bundle = replace(
        shipped_bundle,
        transform="none",
        detection=DetectionStats(5.0, 10.0, "by hand"),
        error_model=None,
        interval=IntervalStats(0.9, -3.0, 3.0, "by hand"),
        calibrated_range=(0.0, 100.0),
    )
    larger, smaller = (IntervalStats(0.9, -half, half, "by hand") for half in (6.0, 1.0))
    found = own_detection(bundle, larger, 0, 100.0)
    assert found is not None
    assert (found.critical, found.limit) == pytest.approx((8.0, 16.0))
    assert own_detection(bundle, smaller, 0, 100.0) == bundle.detection
    # All above nothing before; with large errors the lowest is not.
    none = replace(bundle, detection=None, calibrated_range=(4.0, 100.0))
    assert own_detection(none, smaller, 0, 100.0) is None
    now = own_detection(none, larger, 0, 100.0)
    assert now is not None
    assert (now.critical, now.limit) == pytest.approx((6.0, 12.0))


def narrow(bundle: Bundle, on_grid: np.ndarray) -> tuple[Bundle, ApplicabilityDomain]:
    """A domain around these spectra that holds them just so."""
    found = bundle.recipe.preprocess(on_grid, bundle.recipe.grid_nm, ())
    seen = absorbance_shapes(found.reflectance, found.reflectance_nm, 10)
    _, _, rows = np.linalg.svd(seen.shapes - seen.shapes.mean(axis=0), full_matrices=False)
    level = (float(seen.brightness.min()) - 0.01, float(seen.brightness.max()) + 0.01)
    contrast = (float(seen.contrast.min()) - 0.01, float(seen.contrast.max()) + 0.01)
    plain = ApplicabilityDomain(
        *(
            seen.shapes.mean(axis=0),
            rows[:2],
            np.ones(2),
            1.0,
            1.0,
            "by hand",
            "absorbance shape",
            10,
            None,
            level,
            contrast,
        )
    )
    far = distances(seen.shapes, plain)
    domain = replace(plain, t2_limit=float(far.t2.max()) * 1.01, q_limit=float(far.q.max()) * 1.01)
    return replace(bundle, domain=domain), domain


def test_the_domain_stays_where_all_are_inside(shipped_bundle: Bundle, on_grid: np.ndarray) -> None:
    bundle, domain = narrow(shipped_bundle, on_grid)
    found, words = following_domain(bundle, on_grid, "samples")
    assert words == ""
    assert found is domain


def test_the_domain_follows_a_common_difference(shipped_bundle: Bundle, on_grid: np.ndarray) -> None:
    bundle, _ = narrow(shipped_bundle, on_grid)
    nm = bundle.recipe.grid_nm
    elsewhere = on_grid * 10 ** -(0.05 * np.exp(-0.5 * ((nm - 1700) / 60) ** 2))
    found, words = following_domain(bundle, elsewhere, "samples")
    assert found is not None
    assert "its centre moved to that of 5 samples" in words
    preprocessed = bundle.recipe.preprocess(elsewhere, nm, ())
    far = distances(absorbance_shapes(preprocessed.reflectance, preprocessed.reflectance_nm, 10).shapes, found)
    assert max(far.t2.max(), far.q.max()) <= 1
    # And not so wide that anything is inside.
    plant = on_grid * 10 ** -(0.4 * np.exp(-0.5 * ((nm - 675) / 20) ** 2))
    preprocessed = bundle.recipe.preprocess(plant, nm, ())
    far = distances(absorbance_shapes(preprocessed.reflectance, preprocessed.reflectance_nm, 10).shapes, found)
    assert (np.maximum(far.t2, far.q) > 1).all()


def test_the_limit_of_a_shift_follows_an_instrument_whose_bands_lie_elsewhere(
    shipped_bundle: Bundle, on_grid: np.ndarray
) -> None:
    bundle, domain = narrow(shipped_bundle, on_grid)
    nm = bundle.recipe.grid_nm
    wide = replace(domain, t2_limit=1e9, q_limit=1e9, brightness_range=None, contrast_range=None, most_shift_nm=0.1)
    bundle = replace(bundle, domain=wide)
    shifted = np.stack([np.interp(nm - 3, nm, row) for row in on_grid])
    found, words = following_domain(bundle, shifted, "samples")
    assert found is not None
    assert "its limit of a shift to" in words
    preprocessed = bundle.recipe.preprocess(shifted, nm, ())
    assert all(one.verdict == "outside" for one in assess(preprocessed, wide))
    assert all(one.verdict == "inside" for one in assess(preprocessed, found))


def test_ground_that_was_assayed_is_ground_that_the_model_is_for(shipped_bundle: Bundle, on_grid: np.ndarray) -> None:
    stats = Conditions({"dry": 40}, (), Water(0.1, 0.02, 0.0, 0.0, 1e-6), "by hand")
    bundle = replace(shipped_bundle, conditions=stats)
    found = following_conditions(bundle, ["damp"] * 3 + ["wet"] * 2, on_grid)
    assert found is not None
    assert found.known == ("dry", "damp")
    assert found.water is not None
    assert found.water.most > 0
    assert following_conditions(replace(bundle, conditions=None), ["damp"] * 5, on_grid) is None


def test_a_network_that_says_its_end_only_is_not_shifted(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    low, high = reach_of(Estimator(shipped_bundle), soils)
    assert low < high
    outputs = np.array(Estimator(shipped_bundle).outputs(soils))
    require_room(outputs, (low, high), "model")
    with pytest.raises(TrainingDataError, match=r"answers 5 of 5 samples with the end of what it can say"):
        require_room(outputs, (float(outputs.max()) + 1, np.inf), "model")
