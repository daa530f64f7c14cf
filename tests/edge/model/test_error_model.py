"""The error model in a bundle, and the one rule of what is detected."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.cli.bundle import describe
from stibium.edge.errors import BundleError
from stibium.edge.measure.controls import judge_blank
from stibium.edge.model.bundle import Bundle, pack_bundle, unpack_bundle
from stibium.edge.model.error_model import (
    Check,
    ErrorModel,
    check_in_words,
    pack_error_model,
    unpack_error_model,
)
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.interval import IntervalStats
from stibium.edge.model.target import DetectionLevels, not_detected

CHECK = Check(40, 0.05, 6, 0.0, (10.0, 100.0), (0.25, 1.0), (0.2, 1.0))


def error_model(critical: float | None = 20.0, **changed: Any) -> ErrorModel:
    known = critical is not None
    found = ErrorModel(
        critical=critical,
        critical_range=(15.0, 26.0) if known else None,
        limit=35.0 if known else None,
        limit_range=(28.0, None) if known else None,
        blank=12.0 if known else None,
        quantification=None,
        method="by hand",
        remark="" if known else "no detection limit: by hand",
        content=np.array([0.0, 10.0, 500.0]),
        mean=np.array([8.0, 15.0, 400.0]),
        sd=np.array([6.0, 7.0, 60.0]),
        check=CHECK,
    )
    return replace(found, **changed)


def test_an_error_model_comes_back_as_it_was(shipped_bundle: Bundle) -> None:
    bundle = replace(shipped_bundle, detection=None, error_model=error_model())
    again = unpack_bundle(pack_bundle(bundle)).error_model
    assert again is not None
    for name, value in vars(error_model()).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert unpack_bundle(pack_bundle(replace(bundle, error_model=None))).error_model is None


def changing(*path: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(values: dict[str, Any], arrays: dict[str, Any]) -> None:
        where = values
        for name in path[:-1]:
            where[name] = copy.deepcopy(where[name])
            where = where[name]
        where[path[-1]] = value

    return change


SENSELESS = {
    "level below zero": changing("critical", value=-1.0),
    "level in words": changing("critical", value="1"),
    "level that is no number": changing("critical", value=float("nan")),
    "limit without a level": changing("critical", value=None),
    "nothing for blanks": changing("blank", value=None),
    "ends the wrong way": changing("critical_range", value=(3.0, 1.0)),
    "one end": changing("limit_range", value=(3.0,)),
    "ends that are a number": changing("limit_range", value=3.0),
    "share in words": changing("check", "blanks_detected", value="5"),
    "nine tenths": changing("check", "predicted", value=(0.5,) * 9),
    "tenths that are a number": changing("check", "predicted", value=0.5),
    "a remark of a number": changing("remark", value=3),
    "spread of NaN": lambda _, arrays: arrays.update(error_model_sd=arrays["error_model_sd"] * np.nan),
    "spread below zero": lambda _, arrays: arrays.update(error_model_sd=-arrays["error_model_sd"]),
    "contents that descend": lambda _, arrays: arrays.update(error_model_content=arrays["error_model_content"][::-1]),
    "another size": lambda _, arrays: arrays.update(error_model_mean=arrays["error_model_mean"][:-1]),
}


@pytest.mark.parametrize("what", SENSELESS)
def test_what_cannot_be_is_refused(what: str) -> None:
    values, arrays = pack_error_model(error_model())
    assert unpack_error_model(values, arrays).critical == 20.0
    values["check"] = dict(values["check"])
    SENSELESS[what](values, arrays)
    with pytest.raises(BundleError, match=r"^error_model .* cannot be"):
        unpack_error_model(values, arrays)


numbers = st.floats(0.0, 100.0)


@given(numbers, st.none() | numbers, numbers, numbers)
def test_not_detected_is_up_to_the_critical_level_unless_the_interval_begins_higher(
    value: float, below: float | None, critical: float, blank: float
) -> None:
    low = None if below is None else max(value - below, 0.0)
    (nothing,) = not_detected([value], [low], DetectionLevels(critical, None, blank))
    assert nothing == (value <= critical and not (low is not None and low > blank))
    assert not_detected([value], [low], DetectionLevels(None, None, blank)) == [False]


def answer(bundle: Bundle, soil: Spectrum) -> Estimate:
    (found,) = Estimator(bundle).estimate([soil])
    assert isinstance(found, Estimate)
    return found


@pytest.fixture
def wide(shipped_bundle: Bundle) -> Bundle:
    """Intervals from a tenth of the answer to ten times it, over a range that is wider still."""
    return replace(
        shipped_bundle, detection=None, interval=IntervalStats(0.9, -1.0, 1.0, "by hand"), calibrated_range=(0.01, 1e6)
    )


def test_interval_and_verdict_do_not_contradict_each_other(wide: Bundle, soils: list[Spectrum]) -> None:
    value = answer(wide, soils[0]).value
    model = error_model(value * 1.01, critical_range=None, limit=value * 2, limit_range=None, blank=value / 2)
    below = answer(replace(wide, error_model=model), soils[0])
    assert (below.bound, below.low) == ("< LOD", 0.01)
    assert below.high == pytest.approx(10 * value, rel=1e-3)
    assert (below.critical_level, below.detection_limit) == (model.critical, model.limit)
    # Surely more than blanks hold, though blanks read as much.
    surely = answer(replace(wide, error_model=replace(model, blank=value / 20)), soils[0])
    assert (surely.bound, surely.value) == ("", pytest.approx(value))
    assert surely.low == pytest.approx(value / 10, rel=1e-3)
    above = answer(replace(wide, error_model=replace(model, critical=value * 0.99)), soils[0])
    assert above.bound == ""


def test_without_a_critical_level_nothing_is_below_it(wide: Bundle, soils: list[Spectrum]) -> None:
    none = replace(wide, error_model=error_model(None))
    found = answer(none, soils[0])
    assert (found.bound, found.critical_level, found.detection_limit) == ("", None, None)
    assert judge_blank("B", found).passed is None


def test_info_says_the_levels_with_their_uncertainty(shipped_bundle: Bundle) -> None:
    found = describe(replace(shipped_bundle, detection=None, error_model=error_model()))["detection"]
    assert found == {
        "critical_level": 20.0,
        "detection_limit": 35.0,
        "critical_level_90_percent_interval": [15.0, 26.0],
        "detection_limit_90_percent_interval": [28.0, None],
        "check": check_in_words(CHECK),
        "method": "by hand",
    }
    assert check_in_words(CHECK) == (
        "40 soils, left out in turn: of blanks with their errors 5.0 % are detected; 6 soils are within a fifth of the "
        "detection limit (0 % missed); over tenths of content, shares detected are at most 5 points from those predicted"
    )
    none = describe(replace(shipped_bundle, detection=None, error_model=error_model(None)))["detection"]
    assert none["remark"] == "no detection limit: by hand"
    assert none["critical_level"] is None
    assert "detection" not in describe(replace(shipped_bundle, detection=None, error_model=None))
