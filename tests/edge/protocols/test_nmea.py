"""NMEA and gpsd reports: what is read, what is refused, and that nothing on a line makes them raise."""

from __future__ import annotations

import json
from datetime import datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.protocols import gpsd, nmea

GGA = "GPGGA,123519.50,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
RMC = "GPRMC,123519.50,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W"


def test_a_known_sentence() -> None:
    # Position and checksum computed by hand: 48 degrees 7.038 minutes.
    assert nmea.encode("GPGGA,,,,,,0,,,,M,,M,,") == b"$GPGGA,,,,,,0,,,,M,,M,,*66\r\n"
    event = nmea.parse_sentence(nmea.encode(GGA))
    assert event == nmea.Gga(time(12, 35, 19, 500_000, timezone.utc), 48 + 7.038 / 60, 11 + 31 / 60, 545.4, "GPS", 8, 0.9)  # fmt: skip


def test_rmc_brings_the_date() -> None:
    event = nmea.parse_sentence(nmea.encode("GNRMC,235959.00,A,3351.5,S,15112.6,E,,,311226,,,R"))
    assert isinstance(event, nmea.Rmc)
    assert event.at == datetime(2026, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    assert (event.latitude_deg, event.longitude_deg) == pytest.approx((-33.858333333, 151.21))
    assert event.quality == "RTK fixed"


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "GB"])
@pytest.mark.parametrize(("letters", "signs"), [("NE", (1, 1)), ("NW", (1, -1)), ("SE", (-1, 1)), ("SW", (-1, -1))])
def test_talkers_and_hemispheres(talker: str, letters: str, signs: tuple[int, int]) -> None:
    event = nmea.parse_sentence(nmea.encode(f"{talker}GGA,,0130.0,{letters[0]},10030.0,{letters[1]},2,,,,M,,M,,"))
    assert isinstance(event, nmea.Gga)
    assert (event.latitude_deg, event.longitude_deg) == (signs[0] * 1.5, signs[1] * 100.5)
    assert (event.quality, event.altitude_m, event.satellites, event.hdop) == ("differential", None, None, None)


@pytest.mark.parametrize("quality", ["0", "6", "7", "8", ""])
def test_what_was_not_measured_is_no_fix(quality: str) -> None:
    event = nmea.parse_sentence(nmea.encode(f"GPGGA,120000,4807.038,N,01131.000,E,{quality},08,0.9,545.4,M,,M,,"))
    assert event == nmea.Gga(time(12, 0, tzinfo=timezone.utc))


@pytest.mark.parametrize("mode", ["E", "M", "N", "S"])
def test_modes_that_are_no_fix(mode: str) -> None:
    event = nmea.parse_sentence(nmea.encode(f"{RMC},{mode}"))
    assert isinstance(event, nmea.Rmc)
    assert event.latitude_deg is None


def test_status_void_is_no_fix() -> None:
    event = nmea.parse_sentence(nmea.encode(RMC.replace(",A,", ",V,")))
    assert isinstance(event, nmea.Rmc)
    assert event.latitude_deg is None


@pytest.mark.parametrize(
    "body",
    [
        GGA.replace("4807.038", "4860.000"),
        GGA.replace("4807.038", "9000.001"),
        GGA.replace("01131.000", "18100.0"),
        GGA.replace(",N,", ",E,"),
        GGA.replace(",N,", ",,"),
        GGA.replace(",N,", ",NS,"),
        GGA.replace("123519", "243519"),
        GGA.replace("4807.038", "-807.038"),
        "GPGGA,1,2",
        RMC.replace("230394", "310294"),
    ],
)
def test_impossible_sentences_are_refused(body: str) -> None:
    assert isinstance(nmea.parse_sentence(nmea.encode(body)), nmea.BadSentence)


@pytest.mark.parametrize("body", ["PGRMC,A,1,2", "PUBX,00", "GPGSV,1,1,00", "GPRMCX,1"])
def test_other_sentences_are_passed_over(body: str) -> None:
    assert nmea.parse_sentence(nmea.encode(body)) is None


@given(st.integers(1, len(GGA)), st.integers(1, 255))
def test_a_changed_byte_never_passes(place: int, change: int) -> None:
    line = bytearray(nmea.encode(GGA))
    line[place] ^= change
    events = nmea.NmeaDecoder().feed(bytes(line))
    assert not [event for event in events if isinstance(event, (nmea.Gga, nmea.Rmc))]


def angle(degrees: float, width: int) -> str:
    thousandths = round(abs(degrees) * 60 * 100_000)
    return f"{thousandths // 6_000_000:0{width}d}{thousandths % 6_000_000 / 100_000:08.5f}"


@given(st.floats(-90, 90), st.floats(-180, 180), st.lists(st.integers(1, 40)))
def test_any_position_comes_through_in_pieces_of_any_size(lat: float, lon: float, sizes: list[int]) -> None:
    body = f"GNGGA,000000,{angle(lat, 2)},{'NS'[lat < 0]},{angle(lon, 3)},{'EW'[lon < 0]},4,12,1.0,-3.5,M,,M,,"
    data = b"rubbish\r\n" + nmea.encode(body)
    decoder, events = nmea.NmeaDecoder(), []
    for size in sizes:
        events += decoder.feed(data[:size])
        data = data[size:]
    events += decoder.feed(data)
    bad, event = events
    assert isinstance(bad, nmea.BadSentence)
    assert isinstance(event, nmea.Gga)
    assert event.latitude_deg == pytest.approx(lat, abs=1e-7)
    assert event.longitude_deg == pytest.approx(lon, abs=1e-7)
    assert event.altitude_m == -3.5


@given(st.lists(st.binary(max_size=300)))
def test_no_bytes_make_it_raise_or_grow(pieces: list[bytes]) -> None:
    decoder = nmea.NmeaDecoder()
    for piece in pieces:
        decoder.feed(piece)
    assert len(decoder._rest) <= nmea.LONGEST
    last = decoder.feed(b"\r\n" + nmea.encode(GGA))[-1]
    assert isinstance(last, nmea.Gga)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="*$"), max_size=80))
def test_no_fields_make_it_raise(fields: str) -> None:
    for address in ("GPGGA", "GPRMC"):
        nmea.parse_sentence(nmea.encode(f"{address},{fields}"))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)), st.integers(-11 * 3600, 11 * 3600))
def test_a_time_of_day_gets_the_nearest_date(moment: datetime, off_s: int) -> None:
    at = moment.replace(tzinfo=timezone.utc)
    assert nmea.nearest_day(at.timetz(), at + timedelta(seconds=off_s)) == at


# --- gpsd --------------------------------------------------------------------------------------------------

TPV = {
    "class": "TPV", "mode": 3, "time": "2026-11-21T10:20:30.000Z", "lat": 47.21, "lon": 15.62, "altHAE": 751.0,
    "altMSL": 703.5, "alt": 703.5, "eph": 3.2,
}  # fmt: skip


def test_a_report_with_a_fix() -> None:
    assert gpsd.parse_report(json.dumps(TPV).encode()) == gpsd.Tpv(
        3, datetime(2026, 11, 21, 10, 20, 30, tzinfo=timezone.utc), 47.21, 15.62, 703.5, 3.2
    )


@pytest.mark.parametrize(
    "change",
    [{"mode": 1}, {"mode": 0}, {"mode": True}, {"lat": None}, {"lat": 91}, {"lon": float("nan")}, {"mode": "3"}],
)
def test_reports_without_a_fix(change: dict[str, object]) -> None:
    event = gpsd.parse_report(json.dumps(TPV | change).encode())
    assert isinstance(event, gpsd.Tpv)
    assert (event.mode, event.latitude_deg) == (0, None)


def test_two_dimensions_have_no_height() -> None:
    event = gpsd.parse_report(json.dumps(TPV | {"mode": 2}).encode())
    assert isinstance(event, gpsd.Tpv)
    assert (event.mode, event.latitude_deg, event.altitude_m) == (2, 47.21, None)


def test_other_classes_are_passed_over_and_rubbish_is_told() -> None:
    events = gpsd.GpsdDecoder().feed(b'{"class":"SKY"}\r\nHTTP/1.1 400\n[]\n' + json.dumps(TPV).encode() + b"\n")
    assert [type(event) for event in events] == [gpsd.BadReport, gpsd.BadReport, gpsd.Tpv]


@given(st.lists(st.binary(max_size=200)))
def test_gpsd_bytes_never_make_it_raise(pieces: list[bytes]) -> None:
    decoder = gpsd.GpsdDecoder()
    for piece in [*pieces, b"[" * 100_000, b"\n"]:
        decoder.feed(piece)
    (event,) = decoder.feed(json.dumps(TPV).encode() + b"\n")
    assert isinstance(event, gpsd.Tpv)


@given(
    st.dictionaries(
        st.sampled_from(["mode", "lat", "lon", "time", "altMSL", "eph"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.just(10**400) | st.text("2026-1TZ:+."),
            st.lists,
            max_leaves=3,
        ),
    )
)
def test_no_report_makes_it_raise(fields: dict[str, object]) -> None:
    event = gpsd.parse_report(json.dumps({"class": "TPV", **fields}).encode())
    assert isinstance(event, gpsd.Tpv)
