"""Places as people type them: what can be read in one way is read, and nothing is read in a way that was not meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Position
from stibium.edge.errors import PositionError
from stibium.edge.log.place import is_place, parse_place

HERE = Position(41.15, -8.36)


@pytest.mark.parametrize(
    "text",
    [
        "41.15,-8.36",
        " 41.15 , -8.36 ",
        "41.15 -8.36",
        "41.15\t-8.36",
        "41.15;-8.36",
        "41.15; -8.36",
        "41,15; -8,36",
        "41,15 -8,36",
        "41.15 −8.36",
        "41.15° -8.36°",
        "41.15°, -8.36°",
        "41.15N 8.36W",
        "41.15 N, 8.36 W",
        "41.15°N 8.36°W",
        "41,15°N 8,36°W",
        "n41.15 w8.36",
        "N 41.15° W 8.36°",
        "8.36W 41.15N",
        "W8.36; N41.15",
        "41°09'N 8°21'36\"W",
        "41° 9.0′ N, 8° 21′ 36.0″ W",
        "41º 9' 0'' N 8º 21' 36'' W",
    ],
)
def test_each_way_to_write_a_place_is_read(text: str) -> None:
    assert is_place(text)
    found = parse_place(text)
    assert (found.latitude_deg, found.longitude_deg) == pytest.approx((41.15, -8.36), abs=1e-12)
    assert found.altitude_m is None


@pytest.mark.parametrize(
    "text",
    [
        *("41.15,-8.36,703", "41.15 -8.36 703", "41,15; -8,36; 703", "41,15 -8,36 703,0", "41.15N 8.36W 703"),
        *("N41.15 W8.36, 703 m", "41.15, -8.36 703.0"),
    ],
)
def test_a_height_may_follow(text: str) -> None:
    found = parse_place(text)
    assert (found.latitude_deg, found.longitude_deg, found.altitude_m) == pytest.approx((41.15, -8.36, 703.0))


@pytest.mark.parametrize(
    "text",
    [
        *("41", "41.15", "41,15,-8,36", "41,15 -8", "41,15 -8.36,5", "1.2.3,4", "1,2,3,4", "1 2 3 4", "41;8;1;1"),
        *("41.15N 8.36", "41.15N 8.36S", "41.15E 8.36W", "-41.15S 8.36W", "41.15N", "41°60'N 8°0'W", "41.5°9'N 8°W"),
        *("41°9'60\"N 8°W", "41,, 8", "41.15,-8.36,", "", "N W", "41 north 8 west", "1e1,2", "nan,1", "41.15N 8.36O"),
        *("91,0", "0,181", "91N 0E", "0N 181W", "8;-8;inf", "41 15 -8", "-41 15 8.5", "41° 15 8"),
    ],
)
def test_what_is_no_place_or_has_two_meanings_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(PositionError) as caught:
        parse_place(text)
    assert "\n" not in str(caught.value)


@given(
    st.integers(-9000, 9000),
    st.integers(-18000, 18000),
    st.sampled_from(["{:.2f},{:.2f}", "{:.2f} {:.2f}", "{:.2f};{:.2f}", "{:+.2f}, {:+.2f}"]),
    st.booleans(),
)
def test_what_is_written_is_what_is_read(north: int, east: int, form: str, decimal_commas: bool) -> None:
    text = form.format(north / 100, east / 100)
    if decimal_commas and "," not in text:
        text = text.replace(".", ",")
    found = parse_place(text)
    assert (found.latitude_deg, found.longitude_deg) == (north / 100, east / 100)


@given(st.text("0123456789.,;NSEWnw°'\" +-m", max_size=24))
def test_any_text_is_a_place_on_the_earth_or_refused(text: str) -> None:
    try:
        found = parse_place(text)
    except PositionError:
        return
    assert abs(found.latitude_deg) <= 90
    assert abs(found.longitude_deg) <= 180
    assert is_place(text)
