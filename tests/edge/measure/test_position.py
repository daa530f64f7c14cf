"""Positions from a receiver on a pseudo-terminal, from a gpsd that is played over TCP, and typed in."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest
from stibium.converters.spectra.spectrum import Position
from stibium.edge.errors import PortError, PositionError
from stibium.edge.measure.position import Fix, GpsdSource, PositionSource, open_position
from stibium.edge.protocols import nmea

PATIENCE_S = 30.0
GGA = nmea.encode("GNGGA,000010.00,4712.600,N,01537.200,E,1,09,0.9,703.5,M,45.0,M,,")
NO_FIX = nmea.encode("GNGGA,000010.00,,,,,0,00,99.9,,M,,M,,")
ZEROS = nmea.encode("GNGGA,000010.00,0000.000,N,00000.000,E,1,05,1.0,0.0,M,,M,,")
RMC = nmea.encode("GNRMC,235955.00,A,4712.000,N,01537.200,E,,,211126,,,A")
TPV = {"class": "TPV", "mode": 3, "time": "2026-11-21T10:20:30Z", "lat": 47.21, "lon": 15.62, "altMSL": 703.5}


def until(what: Callable[[], object]) -> object:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def fix_of(source: PositionSource) -> Fix:
    fix = until(source.latest)
    assert isinstance(fix, Fix)
    return fix


@pytest.fixture
def receiver() -> Iterator[tuple[str, int]]:
    """A pseudo-terminal: its name, and the end that a receiver writes to."""
    ours, theirs = os.openpty()
    yield os.ttyname(theirs), ours
    os.close(ours)
    os.close(theirs)


def test_zeros_are_no_fix(receiver: tuple[str, int]) -> None:
    name, line = receiver
    source = open_position(f"{name}@4800")
    try:
        os.write(line, ZEROS)
        until(lambda: source.complaint() == f"{name}: the receiver has no fix yet")
        assert source.latest() is None
    finally:
        source.close()


def test_a_receiver_on_a_port(receiver: tuple[str, int]) -> None:
    name, line = receiver
    source = open_position(f"{name}@4800")
    try:
        assert source.latest() is None
        os.write(line, RMC)
        fix = fix_of(source)
        assert fix.position == Position(pytest.approx(47.2), pytest.approx(15.62))
        assert fix.at == datetime(2026, 11, 21, 23, 59, 55, tzinfo=timezone.utc)
        os.write(line, GGA)
        until(lambda: fix_of(source).position.altitude_m)
        fix = fix_of(source)
        assert fix.position == Position(pytest.approx(47.21), pytest.approx(15.62), 703.5)
        # Ten seconds past midnight: the date comes from the sentence before, and the day has changed since.
        assert fix.at == datetime(2026, 11, 22, 0, 0, 10, tzinfo=timezone.utc)
        assert (fix.source, fix.quality) == (name, "GPS, 9 satellites, HDOP 0.9")
        assert source.complaint() == ""
        os.write(line, NO_FIX)
        until(lambda: source.latest() is None)
        assert source.complaint() == f"{name}: the receiver has no fix yet"
    finally:
        source.close()
        source.close()


def test_a_damaged_sentence_does_not_cost_the_fix(receiver: tuple[str, int]) -> None:
    name, line = receiver
    source = open_position(name)
    try:
        os.write(line, b"\xff\xfe garbage\r\n")
        until(lambda: "is the speed right?" in source.complaint())
        os.write(line, GGA)
        first = fix_of(source)
        os.write(line, GGA.replace(b"4712", b"4812") + b"noise\r\n" + GGA)
        until(lambda: source.latest() is not first)
        assert fix_of(source).position == first.position
    finally:
        source.close()


def test_an_old_fix_is_not_given_out(receiver: tuple[str, int]) -> None:
    name, line = receiver
    source = open_position(name, oldest_s=0.5)
    try:
        os.write(line, GGA)
        fix_of(source)
        until(lambda: source.latest() is None)
        assert "s old" in source.complaint()
    finally:
        source.close()


def test_a_receiver_that_is_unplugged_and_comes_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        name = f"socket://127.0.0.1:{server.getsockname()[1]}"
        source = open_position(name)
        try:
            line, _ = server.accept()
            line.sendall(GGA)
            fix_of(source)
            line.close()
            until(lambda: "hung up" in source.complaint())
            assert source.latest() is None
            line, _ = server.accept()
            with line:
                # As a receiver does, again and again: pyserial drops what comes while it opens a port.
                until(lambda: line.sendall(GGA) or source.latest())
                assert fix_of(source).position.altitude_m == 703.5
        finally:
            source.close()


@pytest.fixture
def gpsd() -> Iterator[tuple[str, Callable[[object], None], list[bytes]]]:
    """A gpsd that is played: its address, what it says to whoever watches, and what it was asked."""
    asked: list[bytes] = []
    said: list[object] = []
    stop = threading.Event()

    def serve(server: socket.socket) -> None:
        line, _ = server.accept()
        with line:
            line.sendall(b'{"class":"VERSION","release":"3.22","proto_major":3,"proto_minor":14}\r\n')
            asked.append(line.recv(1000))
            line.sendall(b'{"class":"DEVICES","devices":[]}\r\n{"class":"WATCH","enable":true,"json":true}\r\n')
            while not stop.wait(0.01):
                while said:
                    data = json.dumps(said.pop(0)).encode() + b"\r\n"
                    for piece in (data[:20], data[20:]):
                        line.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield f"gpsd://127.0.0.1:{server.getsockname()[1]}", said.append, asked
        stop.set()
        thread.join()


def test_gpsd(gpsd: tuple[str, Callable[[object], None], list[bytes]]) -> None:
    address, say, asked = gpsd
    source = open_position(address)
    try:
        say({"class": "TPV", "mode": 1})
        until(lambda: source.complaint() == f"{address}: gpsd has no fix yet")
        say(TPV | {"eph": 4.25})
        fix = fix_of(source)
        assert fix == Fix(
            Position(47.21, 15.62, 703.5),
            datetime(2026, 11, 21, 10, 20, 30, tzinfo=timezone.utc),
            address,
            "3D, 4.25 m",
        )
        assert asked[0].startswith(b"?WATCH={")
        say({"class": "TPV", "mode": 1})
        until(lambda: source.latest() is None)
    finally:
        source.close()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PortError, match="nothing listens there"):
        GpsdSource("127.0.0.1", port)
    with pytest.raises(PortError, match="no such port"):
        open_position("/dev/no-such-port")
    source = open_position(f"gpsd://127.0.0.1:{port}", patient=True)
    try:
        until(lambda: "nothing listens there" in source.complaint())
        assert source.latest() is None
    finally:
        source.close()


def test_typed_in() -> None:
    fix = open_position(" 47.21, -15.62 , 703").latest()
    assert fix is not None
    assert fix.position == Position(47.21, -15.62, 703.0)
    assert fix.quality == "as typed in"
    fix = open_position("-47.21,15.62").latest()
    assert fix is not None
    assert fix.position == Position(-47.21, 15.62)


@pytest.mark.parametrize(
    "text",
    ["", "here", "91,0", "0,181", "1.2.3,4", "gpsd://host:no", "gpsd://host:99999", "gpsd://host/x", "47.2", "1,2,3,4"],
)
def test_what_is_no_source_is_told_in_one_line(text: str) -> None:
    with pytest.raises(PositionError) as caught:
        open_position(text)
    assert "\n" not in str(caught.value)
