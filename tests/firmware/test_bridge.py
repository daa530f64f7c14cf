"""The whole C bridge against the real driver and `stibium listen`, over real ports and lines that misbehave."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from bridge_building import BridgePlayer
from own_port import own_pty
from stibium.edge.errors import InstrumentError, NothingLeftError, PortError
from stibium.edge.instruments.framed import FramedInstrument
from stibium.edge.instruments.profile import Measuring, Profile
from stibium.edge.instruments.serial_port import SerialPort
from stibium.edge.protocols.framed import Damaged, Frame, FrameDecoder, encode
from stibium.edge.protocols.framed_fields import Message
from stibium.edge.protocols.framed_messages import (
    Acknowledge,
    Acquire,
    Fault,
    FaultCode,
    Feature,
    GetStatus,
    Identification,
    Identify,
    Kind,
    ProbeState,
    Resend,
    SpectrumHead,
    Status,
    Unit,
    Values,
)
from stibium.edge.protocols.host import Timeouts
from stibium.edge.simulators.ends import End, PtyEnd, TcpEnd
from stibium.edge.simulators.faults import Faults
from stibium.edge.simulators.serve import VirtualProbe

HASTY = Profile(
    measuring=Measuring(scans=1),
    timeouts=Timeouts(reply_s=1.0, quiet_s=0.1, replug_s=20.0, request_attempts=30, keepalive_s=0.5),
)
BANDS = 2151

LONG_TEXT = "Gestein " + "äöü" * 6


def reflectance(number: int, bands: int = BANDS) -> np.ndarray:
    """What the made-up spectrometer measures as its target `number`, from 0."""
    return 0.2 + 0.1 * np.arange(bands) / bands + 0.01 * number


@contextmanager
def bridge(
    program: Path, *arguments: str, end: End | None = None, faults: Faults | None = None, seed: int = 0
) -> Iterator[tuple[FramedInstrument, VirtualProbe]]:
    player = BridgePlayer(program, *arguments)
    try:
        with VirtualProbe(player, end or own_pty(), faults, seed, unplug_s=0.1) as served:
            driver = FramedInstrument(lambda: SerialPort(served.name), HASTY)
            with closing(driver):
                yield driver, served
    finally:
        player.stop()
    assert player.failures == []


@pytest.mark.parametrize("end", ["pty", "tcp"])
def test_driver_measures_with_the_bridge(bridge_program: Path, end: str) -> None:
    where = TcpEnd("127.0.0.1", 0) if end == "tcp" else own_pty()
    with bridge(bridge_program, str(BANDS), "1", "label", end=where) as (driver, _):
        driver.connect()
        who = driver.identification
        assert (who.name, who.serial_number, who.firmware) == ("Bridge", "B-1", "1.0")
        assert (who.count, who.first_nm, who.step_nm, who.splices_nm) == (BANDS, 350.0, 1.0, (1000.0, 1800.0))
        assert who.features == Feature.VIRTUAL | Feature.SIMULATED | Feature.BUTTON
        for number in range(3):
            measurement = driver.measure(Kind.TARGET, 2)
            driver.settle(measurement.head.measurement)
            assert np.allclose(measurement.values, reflectance(number), atol=1e-6)
            head = measurement.head
            assert (head.measurement, head.scans, head.simulated, head.unit) == (number + 1, 2, True, Unit.REFLECTANCE)
            assert (head.temperature_c, head.integration_us) == (21.5, 17000)
            assert head.label == LONG_TEXT[:24]  # 40 bytes
        assert driver.losses() == []


def test_counts_of_16_bits_with_dark_and_white_and_no_more_than_there_are(bridge_program: Path) -> None:
    with bridge(bridge_program, "500", "0", "raw") as (driver, _):
        driver.connect()
        assert driver.identification.features & (Feature.RAW_COUNTS | Feature.SHUTTER)
        dark, white = (driver.measure(kind, 1).values for kind in (Kind.DARK, Kind.WHITE))
        assert (dark == 300).all()
        assert (white == 20300).all()
        target = driver.measure(Kind.TARGET, 1)
        assert np.allclose((target.values - dark) / (white - dark), reflectance(0, 500), atol=1e-4)
        for _ in range(11):
            driver.measure(Kind.TARGET, 1)
        with pytest.raises(NothingLeftError):
            driver.measure(Kind.TARGET, 1)
        with pytest.raises(InstrumentError, match="error 2"):
            driver.measure(Kind.WAVELENGTHS, 1)


def test_table_of_wavelengths_and_the_least_memory(smallest_bridge_program: Path) -> None:
    with bridge(smallest_bridge_program, "300", "0", "table", "label") as (driver, _):
        driver.connect()
        who = driver.identification
        assert who.payload_limit == 64
        assert who.name == "Bridge"
        bands = np.arange(300)
        assert np.allclose(driver.wavelengths_nm, 350 + bands * (1 + bands / 1000), atol=1e-3)
        assert np.allclose(driver.measure(Kind.TARGET, 1).values, reflectance(0, 300), atol=1e-6)


def test_texts_are_cut_between_characters_or_left_out_and_never_written_over_the_end(
    bridge_program: Path, smallest_bridge_program: Path
) -> None:
    with bridge(bridge_program, "100", "0", "long") as (driver, _):
        driver.connect()
        who = driver.identification
        assert (who.name, who.serial_number, who.firmware) == (LONG_TEXT[:24], LONG_TEXT[:16], LONG_TEXT[:16])
    with bridge(smallest_bridge_program, "100", "0", "long") as (driver, _):
        driver.connect()
        who = driver.identification
        assert len(who.splices_nm) == 8
        assert (who.name, who.serial_number, who.firmware) == ("", "", "")


def test_warming_up_is_waited_for_and_a_broken_lamp_reported(bridge_program: Path) -> None:
    with bridge(bridge_program, "100", "0", "warm") as (driver, _):
        driver.connect()
        assert driver.measure(Kind.TARGET, 1).values.size == 100
    with bridge(bridge_program, "100", "0", "broken") as (driver, _):
        driver.connect()
        with pytest.raises(InstrumentError, match="error 5: the measurement failed"):
            driver.measure(Kind.TARGET, 1)


def test_button_measurements_come_once_and_in_order(bridge_program: Path) -> None:
    with bridge(bridge_program, "200", "5") as (driver, served):
        driver.connect()
        for number in range(4):
            served.press_button()
            measurement = None
            while measurement is None:
                measurement = driver.wait_for_measurement(1.0)
            assert measurement.head.request == 0
            assert np.allclose(measurement.values, reflectance(number, 200), atol=1e-6)
            driver.settle(measurement.head.measurement)
        assert driver.losses() == []


def test_button_measurement_is_kept_while_nobody_listens(bridge_program: Path) -> None:
    with bridge(bridge_program, "200", "0") as (driver, served):
        driver.connect()
        served.unplug()
        served.press_button()
        served.press_button()
        threading.Timer(0.3, served.plug).start()
        measurement = None
        while measurement is None:
            measurement = driver.wait_for_measurement(1.0)
        assert measurement.head.measurement == 1
        driver.settle(measurement.head.measurement)


def test_measuring_by_both_loses_neither(bridge_program: Path) -> None:
    with bridge(bridge_program, "200", "0") as (driver, served):
        driver.connect()
        served.unplug()
        served.press_button()
        threading.Timer(0.2, served.plug).start()
        # The button's is reported, as the driver does; it was not written over in the bridge.
        asked = driver.measure(Kind.TARGET, 1)
        assert asked.head.measurement == 2
        (loss,) = driver.losses()
        assert "measurement 1 came from the instrument's button" in loss


@pytest.mark.parametrize(
    "faults",
    [
        Faults(flip=0.001),
        Faults(drop=0.001),
        Faults(garbage=0.001),
        Faults(duplicate=0.2),
        Faults(wrong_length=0.05),
        Faults(stall=0.02, stall_s=0.3),
        Faults(disconnect=0.005),
    ],
    ids=["flip", "drop", "garbage", "duplicate", "wrong-length", "stall", "disconnect"],
)
def test_a_line_that_misbehaves_loses_nothing(bridge_program: Path, tmp_path: Path, faults: Faults) -> None:
    with bridge(bridge_program, "600", "0", end=PtyEnd(tmp_path / "port"), faults=faults, seed=3) as (driver, _):
        driver.connect()
        for number in range(5):
            measurement = driver.measure(Kind.TARGET, 1)
            driver.settle(measurement.head.measurement)
            assert measurement.head.measurement == number + 1
            assert np.allclose(measurement.values, reflectance(number, 600), atol=1e-6)
        assert driver.losses() == []


def test_power_is_lost_in_between(bridge_program: Path, tmp_path: Path) -> None:
    with bridge(bridge_program, "200", "0", end=PtyEnd(tmp_path / "port")) as (driver, served):
        driver.connect()
        driver.settle(driver.measure(Kind.TARGET, 1).head.measurement)
        served.unplug(power=True)
        threading.Timer(0.2, served.plug).start()
        measurement = driver.measure(Kind.TARGET, 1)
        assert driver.host.counters.restarts == 1
        assert measurement.head.measurement == 1


class Bench:
    """Frames to the bridge's process and back, nothing between."""

    def __init__(self, program: Path, *arguments: str) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        self._process = subprocess.Popen([program, *arguments], stdin=theirs, stdout=theirs)
        theirs.close()
        self._socket.settimeout(20.0)
        self._decoder = FrameDecoder()

    def send(self, message: Message | bytes, sequence: int = 1) -> None:
        self._socket.sendall(message if isinstance(message, bytes) else encode(message, sequence))

    def next(self) -> Frame:
        while True:
            event = self._decoder.next_event()
            assert not isinstance(event, Damaged)
            if isinstance(event, Frame):
                return event
            data = self._socket.recv(65536)
            assert data, "the bridge has ended"
            self._decoder.receive(data)

    def until(self, kind: type[Message]) -> list[Frame]:
        frames = [self.next()]
        while not isinstance(frames[-1].message, kind):
            frames.append(self.next())
        return frames

    def close(self) -> None:
        self._socket.close()
        assert self._process.wait(30) == 0


@pytest.fixture
def bench(bridge_program: Path) -> Iterator[Bench]:
    opened = Bench(bridge_program, "100", "0", "boot=65534")
    yield opened
    opened.close()


def test_identification_comes_once_by_itself_and_numbers_go_over_zero(bench: Bench) -> None:
    first = bench.next()
    assert isinstance(first.message, Identification)
    assert first.sequence == 65534
    bench.send(GetStatus())
    bench.send(Identify())
    status, again = bench.next(), bench.next()
    assert (status.sequence, again.sequence) == (65535, 0)
    assert isinstance(status.message, Status)
    assert status.message.state == ProbeState.IDLE
    assert again.message == first.message


def test_same_request_is_not_measured_twice_and_missing_frames_come_again(bench: Bench) -> None:
    bench.next()
    bench.send(Acquire(9, Kind.TARGET, 1, 64), 5)
    frames = [f for f in bench.until(Values) if isinstance(f.message, SpectrumHead | Values)]
    head = frames[0].message
    assert isinstance(head, SpectrumHead)
    assert head.values_per_frame == 14
    pieces = frames[1:]
    while len(pieces) < head.frame_count:
        pieces.append(bench.next())
    assert [(f.sequence - frames[0].sequence) & 0xFFFF for f in pieces] == list(range(1, head.frame_count + 1))
    last = bench.next().message
    assert isinstance(last, Status)
    assert last.unacknowledged == 1
    bench.send(Resend(((pieces[2].sequence, 2), (frames[0].sequence, 1))))
    assert [f.message for f in bench.until(Status)[:-1]][:2] == [pieces[2].message, pieces[3].message]
    bench.send(Resend(((pieces[-1].sequence, 2),)), 77)
    fault = bench.next().message
    assert isinstance(fault, Fault)
    assert (fault.code, fault.reply_to) == (FaultCode.UNKNOWN_SEQUENCE, 77)
    bench.send(Acquire(9, Kind.TARGET, 1))
    again = bench.until(Status)
    assert isinstance(again[0].message, SpectrumHead)
    assert again[0].message.measurement == 1
    assert again[0].sequence == frames[0].sequence
    bench.send(Acknowledge(1))
    bench.send(GetStatus())
    status = bench.next().message
    assert isinstance(status, Status)
    assert status.unacknowledged == 0


def test_what_cannot_be_is_answered_with_its_fault(bench: Bench) -> None:
    bench.next()

    def fault_after(data: bytes) -> tuple[int, int]:
        bench.send(data)
        fault = bench.next().message
        assert isinstance(fault, Fault)
        return fault.code, fault.reply_to

    good = encode(GetStatus(), 8)
    assert fault_after(good[:-3] + bytes([good[-3] ^ 1]) + good[-2:]) == (FaultCode.DAMAGED_FRAME, 0)
    assert fault_after(b"\0" + b"x" * 5000 + b"\0") == (FaultCode.DAMAGED_FRAME, 0)
    bench.send(b"\0\0\0")
    for payload, says in [
        (bytes(4) + b"\0\1\0\0\0", FaultCode.BAD_PARAMETER),
        (b"\1\0\0\0\0\0\0\0\0", FaultCode.BAD_PARAMETER),
        (b"\1\0\0\0\4\1\0\0\0", FaultCode.UNSUPPORTED),
        (b"\1\0\0\0\2\1\0\0\0", FaultCode.UNSUPPORTED),
    ]:
        assert fault_after(_raw(2, payload, 12)) == (says, 12)
    for type_code, payload in [
        (1, b"x"),
        (2, b"x"),
        (3, b"\0"),
        (3, b"\1\0\0\0\0"),
        (3, b"\x10" + bytes(64)),
        (4, bytes(4)),
    ]:
        assert fault_after(_raw(type_code, payload, 12)) == (FaultCode.DAMAGED_FRAME, 0)
    assert fault_after(_raw(0x33, b"", 12)) == (FaultCode.UNSUPPORTED, 12)
    # Its own words coming back are no questions.
    bench.send(_raw(0x85, bytes(15), 3))
    bench.send(GetStatus(), 4)
    assert isinstance(bench.next().message, Status)


def test_after_any_garbage_it_answers(bench: Bench) -> None:
    dice = random.Random(11)
    good = encode(Acquire(3, Kind.TARGET, 1), 5)
    garbage = bytearray()
    for _ in range(300):
        frame = bytearray(dice.choice([good, encode(Resend(((7, 2), (9, 1))), 6), dice.randbytes(dice.randrange(200))]))
        for _ in range(dice.randrange(3) if frame else 0):
            frame[dice.randrange(len(frame))] = dice.randrange(256)
        garbage += frame
    # At once: a bridge whose answers nobody reads waits before it reads on.
    bench.send(bytes(garbage) + b"\0" + encode(Identify(), 4242))
    frames = bench.until(Identification)
    # The first comes by itself; then the answer.
    assert isinstance(frames[-1].message, Identification)
    assert isinstance(bench.until(Identification)[-1].message, Identification)


def _raw(type_code: int, payload: bytes, sequence: int) -> bytes:
    import struct
    from zlib import crc32

    from stibium.edge.protocols.cobs import stuff

    body = struct.pack("<BBHH", 1, type_code, sequence, len(payload)) + payload
    return b"\0" + stuff(body + struct.pack("<I", crc32(body))) + b"\0"


def test_listen_estimates_from_the_bridge(bridge_program: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    player = BridgePlayer(bridge_program, str(BANDS), "1", "raw")
    profile = tmp_path / "bench.toml"
    profile.write_text("[patience]\nreply_s = 1.0\nquiet_s = 0.1\nrequest_attempts = 30\n")
    with VirtualProbe(player, own_pty(), Faults(flip=0.0005)) as served:
        command = [
            str(Path(sys.executable).parent / "stibium"), "listen", served.name, "--count", "2", "--points", "2",
            "--format", "jsonl", "--no-ask", "--white", "now", "--model", str(tiny_bundle), "--profile", str(profile),
            "--log", str(tmp_path / "log.db"), "--prefix", "BR",
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
        )
    player.stop()
    assert player.failures == []
    assert "Traceback" not in done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["sample_id"] for answer in answers] == ["BR001", "BR002"], done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIMULATED spectra, a program, no instrument" in done.stderr


def test_a_bridge_that_is_not_there_is_said(bridge_program: Path) -> None:
    driver = FramedInstrument(lambda: SerialPort("socket://127.0.0.1:9"), HASTY)
    with pytest.raises(PortError):
        driver.connect()
