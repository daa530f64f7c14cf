"""Reflectance from counts with the dark and white in force, and every reason to make none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from routine_bench import BENCH, BenchInstrument
from scan_samples import DARK, GRID_NM, LIGHT, SETTINGS, SOIL, a_scan
from stibium.edge.errors import MeasurementError
from stibium.edge.gates.rules import Rules
from stibium.edge.gates.scans import Scan, ScanSettings
from stibium.edge.measure.references import References

VALID_MIN = 30.0


def references(*taken: Scan, instrument: BenchInstrument | None = None) -> References:
    made = References(instrument or BenchInstrument(), Rules())
    for scan in taken or (a_scan("dark"), a_scan("white")):
        assert made.take(scan, 1) == []
    return made


def codes(made: References, scan: Scan) -> list[str]:
    return [finding.code for finding in made.wrong_with(scan, VALID_MIN)]


def test_counts_become_the_reflectance_they_came_from() -> None:
    made = references()
    assert codes(made, a_scan()) == []
    np.testing.assert_allclose(made.reflectance(a_scan()), SOIL, rtol=1e-12)


@given(st.floats(1e-3, 1e3), st.floats(-50, 50))
def test_reflectance_does_not_depend_on_the_lamp_or_the_dark_level(lamp: float, offset: float) -> None:
    dark, light = DARK + offset, lamp * LIGHT
    made = references(a_scan("dark", dark), a_scan("white", dark + light))
    np.testing.assert_allclose(made.reflectance(a_scan("target", dark + SOIL * light)), SOIL, rtol=1e-6)


def test_an_instrument_that_subtracts_the_dark_needs_none() -> None:
    instrument = BenchInstrument(replace(BENCH, needs_dark=False))
    made = references(a_scan("white", LIGHT), instrument=instrument)
    assert made.needed == ("white",)
    np.testing.assert_allclose(made.reflectance(a_scan("target", SOIL * LIGHT)), SOIL)


def test_delivered_reflectance_needs_no_references() -> None:
    made = References(BenchInstrument(replace(BENCH, delivers="reflectance", needs_dark=False)), Rules())
    assert made.needed == ()
    assert made.complaints(VALID_MIN) == []
    np.testing.assert_array_equal(made.reflectance(a_scan("target", SOIL, unit="reflectance")), SOIL)


def test_counts_of_an_instrument_that_delivers_reflectance_are_none() -> None:
    made = References(BenchInstrument(replace(BENCH, delivers="reflectance", needs_dark=False)), Rules())
    with pytest.raises(MeasurementError, match="counts where reflectance is due"):
        made.reflectance(a_scan())


def test_bands_without_light_have_no_reflectance_and_a_white_without_light_is_not_kept() -> None:
    white = DARK + LIGHT
    white[:2], white[-1] = DARK[:2], DARK[-1] - 5
    made = references(a_scan("dark"), a_scan("white", white))
    assert np.flatnonzero(np.isnan(made.reflectance(a_scan()))).tolist() == [0, 1, GRID_NM.size - 1]
    assert [finding.code for finding in made.take(a_scan("white", DARK), 2)] == ["lamp"]
    assert made.white is not None
    assert made.white.scan.values is white


def test_missing_references_are_named() -> None:
    empty = References(BenchInstrument(), Rules())
    assert empty.needed == ("dark", "white")
    assert codes(empty, a_scan()) == ["dark_missing", "white_missing"]
    assert [finding.code for finding in empty.take(a_scan("white"), 1)] == ["dark_missing"]
    assert empty.white is None
    assert codes(references(a_scan("dark")), a_scan()) == ["white_missing"]


def test_references_grow_old() -> None:
    made = references()
    assert made.complaints(VALID_MIN, 1000.0 + 60 * 29) == []
    (finding,) = made.complaints(VALID_MIN, 1000.0 + 60 * 31)
    assert finding.text == "dark and white reference 31 min old, 30 min are allowed: take it again"


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"boot": 2}, "reference_restart", "from before the instrument was switched off and on"),
        (
            {"settings": ScanSettings((("integration_us", 34_000.0), ("gain", 0.0)))},
            "reference_settings",
            "(integration_us 17000, gain 0; now integration_us 34000, gain 0)",
        ),
        (
            {"settings": ScanSettings((("integration_us", 17_000.0), ("gain", 3.0)))},
            "reference_settings",
            "now integration_us 17000, gain 3",
        ),
    ],
)
def test_references_of_another_power_up_or_of_other_settings_do_not_count(
    changes: dict[str, object], code: str, says: str
) -> None:
    found = references().wrong_with(a_scan(**changes), VALID_MIN)
    assert [finding.code for finding in found] == [code, code]
    assert says in found[0].text
    assert found[0].text.startswith("dark reference")
    assert found[1].text.startswith("white reference")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"saturated": ("SWIR1",)}, "saturated"),
        ({"values": DARK[:12]}, "values"),
        ({"values": np.full(GRID_NM.size, np.nan)}, "values"),
        ({"shutter_closed": True}, "shutter"),
        ({"unit": "reflectance"}, "values"),
    ],
)
def test_a_white_that_is_no_use_leaves_the_one_before(changes: dict[str, object], code: str) -> None:
    made = references()
    before = made.white
    assert [finding.code for finding in made.take(a_scan("white", **changes), 9)] == [code]
    assert made.white is before


def test_what_was_measured_in_the_future_is_given_up() -> None:
    made = references(a_scan("dark", settings=SETTINGS), a_scan("white"))
    made.forget_future(2000.0)
    assert made.complaints(1e6, 2000.0) == []
    made.forget_future(500.0)
    assert [finding.code for finding in made.complaints(1e6, 500.0)] == ["dark_missing", "white_missing"]
