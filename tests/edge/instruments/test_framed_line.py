"""The framed driver against its simulator and against scripts, with everything going wrong, in a time of its own."""

from __future__ import annotations

import os
import socket
import tty
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from framed_samples import GRID_NM, a_head, some_spectra
from stibium.edge.errors import InstrumentError, MeasurementError, NothingLeftError, PortError
from stibium.edge.instruments.framed import FramedInstrument
from stibium.edge.instruments.profile import Profile
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
    Status,
)
from stibium.edge.protocols.framed_transfer import Measurement, split
from stibium.edge.protocols.host import Timeouts
from stibium.edge.simulators.faults import Faults
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.simulator import Simulator
from stibium.edge.simulators.spectra import from_spectra
from wire import Wire, wired

# Replies come at once here, but this machine may be busy with other things.
PATIENT = Profile(timeouts=Timeouts(reply_s=1.0, quiet_s=0.1, longest_scan_s=120.0, replug_s=60.0, request_attempts=8))
HASTY = Profile(
    timeouts=Timeouts(
        reply_s=0.05, quiet_s=0.02, longest_scan_s=60.0, replug_s=0.5, request_attempts=3, resend_attempts=4
    )
)
SPECTRA = some_spectra(4, np.arange(350.0, 750.0))


@contextmanager
def driving(wire: Wire, profile: Profile = PATIENT, notices: list[str] | None = None) -> Iterator[FramedInstrument]:
    driver = FramedInstrument(wire.open, profile, None if notices is None else notices.append)
    with closing(driver):
        driver.connect()
        yield driver


def take(driver: FramedInstrument) -> Measurement:
    measurement = driver.measure(Kind.TARGET, 1)
    driver.settle(measurement.head.measurement)
    return measurement


def wait_for(driver: FramedInstrument) -> Measurement:
    while (measurement := driver.wait_for_measurement(1.0)) is None:
        pass
    return measurement


# --- what must work --------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [False, True])
def test_spectra_arrive_as_they_are_played(raw: bool) -> None:
    spectra = some_spectra(3, splices_nm=(1000.0, 1830.0), simulated=True)
    with wired(VirtualInstrument(from_spectra(spectra, raw))) as wire, driving(wire) as driver:
        np.testing.assert_array_equal(driver.wavelengths_nm, GRID_NM)
        dark = driver.acquire("dark", 1) if raw else None
        white = driver.correct_dark(driver.acquire("white", 1), dark) if raw else 1.0
        for spectrum in spectra:
            got = driver.acquire("target", 1)
            driver.acknowledge(got)
            # As counts, a float32 has seven figures for target and white.
            reflectance = driver.correct_dark(got, dark) / white
            np.testing.assert_allclose(reflectance, spectrum.values, rtol=2e-6 if raw else 0)
            assert (got.label, got.simulated) == (spectrum.sample_id, True)
        assert driver.identity.splices_nm == (1000.0, 1830.0)
        with pytest.raises(NothingLeftError, match="nothing more to measure"):
            driver.measure(Kind.TARGET, 1)
        assert driver.host.counters.damaged == driver.host.counters.asked_again == 0
        assert driver.losses() == []


@pytest.mark.parametrize(
    "faults",
    [
        Faults(flip=0.003),
        Faults(flip=0.01),
        Faults(drop=0.003),
        Faults(garbage=0.003),
        Faults(duplicate=0.3),
        Faults(wrong_length=0.2),
        Faults(stall=0.02, stall_s=0.2),
        Faults(disconnect=0.03),
        Faults(flip=0.001, drop=0.001, garbage=0.001, duplicate=0.05, wrong_length=0.05, disconnect=0.005),
    ],
    ids=lambda faults: "+".join(k for k, v in vars(faults).items() if v and k != "stall_s"),
)
def test_a_line_that_misbehaves_loses_nothing_and_doubles_nothing(faults: Faults) -> None:
    instrument = VirtualInstrument(from_spectra(SPECTRA))
    with (
        wired(instrument, faults=faults, seed=5, unplug_s=0.02) as wire,
        driving(wire) as driver,
    ):
        for spectrum in SPECTRA:
            measurement = take(driver)
            assert measurement.head.label == spectrum.sample_id
            np.testing.assert_array_equal(measurement.values, spectrum.values)
        assert instrument.measured == len(SPECTRA)
        assert driver.losses() == []
        counters = driver.host.counters
        if faults.flip or faults.drop or faults.garbage or faults.wrong_length:
            assert counters.damaged
            assert counters.asked_again
        if not (faults.flip or faults.drop):
            assert bool(driver.link.reconnects) == bool(faults.disconnect)


def test_wavelengths_that_are_no_series_are_asked_for() -> None:
    grid_nm = np.float32(350.0 + 2150.0 * np.linspace(0, 1, 300) ** 1.1).astype(np.float64)
    spectra = some_spectra(2, grid_nm)
    with wired(VirtualInstrument(from_spectra(spectra))) as wire, driving(wire) as driver:
        assert driver.identification.step_nm == 0
        np.testing.assert_array_equal(driver.wavelengths_nm, grid_nm)
        np.testing.assert_array_equal(take(driver).values, spectra[0].values)


def test_measuring_takes_time_in_real_time() -> None:
    instrument = VirtualInstrument(from_spectra(SPECTRA), real_time=True)
    with wired(instrument, baudrate=1_000_000) as wire, driving(wire, HASTY) as driver:
        # 20 scans of 17 ms are far longer than this driver waits without being told.
        measurement = driver.measure(Kind.TARGET, 20)
        np.testing.assert_array_equal(measurement.values, SPECTRA[0].values)
        assert measurement.head.scans == 20
        assert instrument.measured == 1


def test_what_is_repeated_on_a_noisy_line_is_told() -> None:
    notices: list[str] = []
    simulator = VirtualInstrument(from_spectra(SPECTRA, payload_limit=64))
    with (
        wired(simulator, faults=Faults(flip=0.01), seed=5, baudrate=9600) as wire,
        driving(
            wire,
            replace(PATIENT, timeouts=replace(PATIENT.timeouts, request_attempts=30, resend_attempts=100)),
            notices,
        ) as driver,
    ):
        for _ in SPECTRA:
            take(driver)
    told = [line for line in notices if "damaged frames so far; is the cable sound?" in line]
    assert any("frames of measurement 1 are here, the rest is asked for" in line for line in told)
    assert 2 <= len(told) <= 40


# --- unplugged -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [False, True])
def test_unplugged_amid_every_measurement(power: bool) -> None:
    notices: list[str] = []
    instrument = VirtualInstrument(from_spectra(SPECTRA, payload_limit=64))
    options = {"unplug_every": 1, "unplug_s": 0.05, "unplug_power": power}
    with wired(instrument, **options) as wire, driving(wire, PATIENT, notices) as driver:
        if power:
            # With its power the instrument loses the measurement; it measures the next one again and again,
            # and each time the plug is pulled. That is not endless.
            with pytest.raises(MeasurementError, match=r"hung up; was it unplugged\? \(tried 8 times; measure again\)"):
                take(driver)
            assert driver.host.counters.restarts >= 7
            return
        labels = [take(driver).head.label for _ in SPECTRA]
        assert labels == [spectrum.sample_id for spectrum in SPECTRA]
        assert instrument.measured == len(SPECTRA)
        assert driver.link.reconnects == len(SPECTRA)
        assert driver.host.counters.restarts == 0
        assert driver.losses() == []
    assert any("hung up; was it unplugged? (waiting for it to come back)" in line for line in notices)
    assert any("connected again" in line for line in notices)


def test_power_lost_between_measurements_is_noticed() -> None:
    notices: list[str] = []
    simulator = VirtualInstrument(from_spectra(SPECTRA, raw=True))
    with wired(simulator) as wire, driving(wire, notices=notices) as driver:
        white = driver.acquire("white", 1)
        wire.served.unplug(power=True)
        wire.served.plug()
        scan = driver.acquire("target", 1)
        assert scan.number == 1
        assert scan.boot != white.boot
        assert driver.host.counters.restarts == 1
        assert any("switched off and on" in line for line in notices)


def test_a_port_that_never_comes_back_is_given_up() -> None:
    with wired(VirtualInstrument(from_spectra(SPECTRA))) as wire, driving(wire, HASTY) as driver:
        take(driver)
        wire.served.unplug()
        with pytest.raises(PortError, match=r"gone for 0.5 s, given up"):
            take(driver)


def test_waiting_for_a_port_that_is_plugged_in_later() -> None:
    notices: list[str] = []
    with wired(VirtualInstrument(from_spectra(SPECTRA))) as wire:
        wire.served.unplug()
        wire.clock.after(3600.0, wire.served.plug)
        driver = FramedInstrument(wire.open, PATIENT, notices.append)
        with closing(driver):
            driver.connect(wait_for_port=True)
            assert take(driver).head.label == "S0"
    assert notices == ["wire: no such port (waiting)"]


# --- ports with nothing, or something else, behind them --------------------------------------------------


def test_a_silent_port_is_said_to_be_silent() -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    driver = FramedInstrument(lambda: SerialPort(os.ttyname(theirs)), HASTY)
    with closing(driver), pytest.raises(PortError, match=r"silent: no answer in 0.15 s; is the instrument switched on"):
        driver.connect()
    os.close(ours)
    os.close(theirs)


def test_an_echoing_port_is_recognised() -> None:
    driver = FramedInstrument(lambda: SerialPort("loop://"), HASTY)
    with closing(driver), pytest.raises(PortError, match="what is sent comes back"):
        driver.connect()


@dataclass
class Scripted(Simulator):
    """An instrument that answers as a test says."""

    answer: Callable[[Message], list[Message | bytes]]
    first_words: bytes = b""
    heard: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._decoder, self._out, self._sequence = FrameDecoder(), [self.first_words] if self.first_words else [], 0
        self._last_heard = 0

    def receive(self, data: bytes, now_s: float) -> None:
        self._decoder.receive(data)
        while (event := self._decoder.next_event()) is not None:
            assert not isinstance(event, Damaged)
            assert isinstance(event, Frame)
            self.heard.append(event.message)
            self._last_heard = event.sequence
            for message in self.answer(event.message):
                if isinstance(message, Fault) and message.reply_to == 1:
                    message = replace(message, reply_to=event.sequence)
                self._sequence += 1
                self._out.append(message if isinstance(message, bytes) else encode(message, self._sequence))

    def outgoing(self, now_s: float) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def next_due_s(self) -> float | None:
        return 0.0 if self._out else None

    def cable_pulled(self) -> None:
        self._decoder = FrameDecoder()


WHO = Identification(
    boot=1,
    features=Feature.BUTTON,
    first_nm=400.0,
    step_nm=10.0,
    count=5,
    saturation_dn=0,
    payload_limit=64,
    splices_nm=(),
    name="Script",
    serial_number="1",
    firmware="1",
)
VALUES = np.array([0.25, 0.5, 0.75, 0.5, 0.25])


def spectrum_frames(request: int, number: int = 1, first: int = 100, values: np.ndarray = VALUES) -> list[bytes]:
    head, pieces = split(a_head(number, request=request), values, 10)
    return [encode(message, first + i) for i, message in enumerate([head, *pieces])]


IDLE = Status(ProbeState.IDLE, 0, 0, 0, 0)


def test_another_speaker_is_told_from_silence() -> None:
    boot_text = b"ets Jun  8 2016 00:22:57\r\nrst:0x1 (POWERON_RESET)\r\n"
    with (
        wired(Scripted(lambda _: [boot_text])) as wire,
        pytest.raises(PortError, match=r"bytes came .* and no identification; is it a probe .* 115200 bit/s"),
        driving(wire, HASTY),
    ):
        raise AssertionError("connected")


def test_a_newer_version_of_the_protocol_is_named() -> None:
    import struct
    from zlib import crc32

    from stibium.edge.protocols.cobs import stuff

    body = struct.pack("<BBHH", 2, 0x81, 1, 0)
    newer = b"\0" + stuff(body + struct.pack("<I", crc32(body))) + b"\0"
    with (
        wired(Scripted(lambda _: [newer])) as wire,
        pytest.raises(PortError, match="speaks another version of the protocol than 1"),
        driving(wire, HASTY),
    ):
        raise AssertionError("connected")


def test_boot_messages_before_the_first_frame_do_no_harm() -> None:
    script = Scripted(lambda message: [WHO] if isinstance(message, Identify) else [], b"Booting...\r\n\x81\x00\xff")
    with wired(script) as wire, driving(wire) as driver:
        assert driver.identification == WHO


@contextmanager
def scripted(
    answer: Callable[[Message], list[Message | bytes]], profile: Profile = HASTY
) -> Iterator[tuple[FramedInstrument, Scripted]]:
    script = Scripted(lambda message: [WHO] if isinstance(message, Identify) else answer(message))
    with wired(script) as wire, driving(wire, profile) as driver:
        yield driver, script


def test_missing_frames_are_asked_for_a_bounded_number_of_times() -> None:
    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, Acquire):
            return [*spectrum_frames(message.request)[:3], IDLE]
        return []

    with scripted(answer) as (driver, script):
        with pytest.raises(MeasurementError, match="measurement 1 arrived in part: 2 of 5 frames") as caught:
            driver.measure(Kind.TARGET, 1)
        assert "did not come, asked for 4 times" in str(caught.value)
        resends = [message for message in script.heard if isinstance(message, Resend)]
        assert resends == [Resend(((103, 3),))] * 4
        # It is told that nobody waits for it any more.
        while not isinstance(script.heard[-1], Acknowledge):
            driver.wait_for_measurement(0.01)
        assert script.heard[-1] == Acknowledge(1)


def test_frames_no_longer_held_end_the_measurement() -> None:
    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, Acquire):
            return spectrum_frames(message.request)[1:]
        return [Fault(FaultCode.UNKNOWN_SEQUENCE, 1)] if isinstance(message, Resend) else []

    with (
        scripted(answer) as (driver, _),
        pytest.raises(MeasurementError, match="does not hold the missing frames any more"),
    ):
        driver.measure(Kind.TARGET, 1)


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (Fault(FaultCode.HARDWARE, 1, "lamp failure"), InstrumentError, "reports error 5: lamp failure"),
        (Fault(FaultCode.UNSUPPORTED, 1), InstrumentError, "reports error 2$"),
        (Fault(999, 1, "new"), InstrumentError, "reports error 999: new"),
        (Fault(FaultCode.BUSY, 1), InstrumentError, "stays busy"),
        (Fault(FaultCode.NOTHING_LEFT, 1), NothingLeftError, "nothing more to measure"),
    ],
)
def test_what_the_instrument_refuses_is_passed_on(fault: Fault, error: type[Exception], says: str) -> None:
    with (
        scripted(lambda message: [fault] if isinstance(message, Acquire) else []) as (driver, _),
        pytest.raises(error, match=says),
    ):
        driver.measure(Kind.TARGET, 1)


def test_a_request_that_was_damaged_is_sent_again_under_its_number() -> None:
    seen: list[int] = []

    def answer(message: Message) -> list[Message | bytes]:
        if not isinstance(message, Acquire):
            return []
        seen.append(message.request)
        return [*spectrum_frames(message.request)] if len(seen) == 3 else [Fault(FaultCode.DAMAGED_FRAME, 0)]

    with scripted(answer, PATIENT) as (driver, _):
        np.testing.assert_array_equal(driver.measure(Kind.TARGET, 1).values, VALUES)
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_an_instrument_that_falls_silent_is_connected_to_again() -> None:
    script = Scripted(lambda message: [WHO] if isinstance(message, Identify) else [])
    with (
        wired(script) as wire,
        driving(wire, HASTY) as driver,
        pytest.raises(MeasurementError, match=r"3 requests were not answered \(tried 3 times"),
    ):
        driver.measure(Kind.TARGET, 1)
    assert driver.link.reconnects == 3
    assert len({message.request for message in script.heard if isinstance(message, Acquire)}) == 1


def test_a_measurement_without_end_is_given_up() -> None:
    profile = replace(HASTY, timeouts=replace(HASTY.timeouts, longest_scan_s=0.3))
    busy = Status(ProbeState.MEASURING, 100, 0, 0, 0)
    with (
        scripted(lambda message: [busy] * 50 if isinstance(message, Acquire) else [], profile) as (driver, _),
        pytest.raises(MeasurementError, match="no measurement in 0.3 s"),
    ):
        driver.measure(Kind.TARGET, 1)


def test_an_old_answer_is_not_taken_for_the_new_one() -> None:
    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, Acquire):
            old = spectrum_frames(message.request ^ 1, 1, values=VALUES + 1)
            return [*old, *spectrum_frames(message.request, 2, 300)]
        return []

    with scripted(answer, PATIENT) as (driver, _):
        np.testing.assert_array_equal(driver.measure(Kind.TARGET, 1).values, VALUES)


# --- the button ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", [Faults(), Faults(flip=0.003), Faults(disconnect=0.02)])
def test_what_the_button_measures_comes_once_each(faults: Faults) -> None:
    instrument = VirtualInstrument(from_spectra(SPECTRA), button_s=0.0)
    with (
        wired(instrument, faults=faults, seed=2, unplug_s=0.02) as wire,
        driving(wire) as driver,
    ):
        for spectrum in SPECTRA:
            measurement = wait_for(driver)
            assert measurement.head.request == 0
            np.testing.assert_array_equal(measurement.values, spectrum.values)
            driver.settle(measurement.head.measurement)
        with pytest.raises(NothingLeftError):
            wait_for(driver)
        assert driver.losses() == []


def test_a_measurement_that_is_not_acknowledged_is_offered_again_to_the_next_host() -> None:
    instrument = VirtualInstrument(from_spectra(SPECTRA), button_s=0.0)
    with wired(instrument) as wire:
        numbers = []
        for _ in range(2):
            with driving(wire) as driver:
                measurement = wait_for(driver)
                numbers.append(measurement.head.measurement)
        assert numbers == [1, 1]
        assert instrument.measured == 1


def test_an_acknowledgement_that_was_lost_is_given_again() -> None:
    frames = spectrum_frames(0)
    acknowledged: list[Message] = []

    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, GetStatus):
            return [*frames, IDLE]
        if isinstance(message, Acknowledge):
            acknowledged.append(message)
            # As if it had not been heard: the first frame is offered again.
            return [frames[0], IDLE] if len(acknowledged) < 3 else []
        return []

    with scripted(answer, PATIENT) as (driver, _):
        measurement = wait_for(driver)
        driver.settle(measurement.head.measurement)
        for _ in range(600):
            assert driver.wait_for_measurement(0.1) is None
            if len(acknowledged) == 3:
                break
        assert acknowledged == [Acknowledge(1)] * 3
        assert driver.host.counters.repeated == 2


def test_a_measurement_that_never_arrived_is_reported() -> None:
    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, Acquire):
            number = 4 if message.scans == 2 else 1
            return [*spectrum_frames(message.request, number, 1000 * number), IDLE]
        return []

    with scripted(answer, PATIENT) as (driver, _):
        driver.measure(Kind.TARGET, 1)
        driver.measure(Kind.TARGET, 2)
        assert driver.losses() == [
            f"measurement {number} was made by the instrument and never arrived" for number in (2, 3)
        ]


def test_a_dead_connection_is_noticed_while_waiting_for_the_button() -> None:
    profile = replace(HASTY, timeouts=replace(HASTY.timeouts, keepalive_s=0.02))
    mute: list[bool] = []

    def answer(message: Message) -> list[Message | bytes]:
        return [] if mute else [IDLE]

    with scripted(answer, profile) as (driver, _):
        assert driver.wait_for_measurement(0.2) is None
        mute.append(True)
        while not driver.link.reconnects:
            assert driver.wait_for_measurement(0.05) is None


def test_a_socket_that_is_open_and_dead_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        driver = FramedInstrument(lambda: SerialPort(f"socket://127.0.0.1:{server.getsockname()[1]}"), HASTY)
        with closing(driver), pytest.raises(PortError, match="silent"):
            driver.connect()
