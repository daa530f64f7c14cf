"""The driver against the virtual probe, over real pseudo-terminals and sockets, with everything going wrong."""

from __future__ import annotations

import os
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from framed_samples import GRID_NM, a_head, some_spectra
from stibium.edge.errors import InstrumentError, MeasurementError, NothingLeftError, PortError
from stibium.edge.instruments.framed_probe import FramedProbe
from stibium.edge.instruments.profile import Profile
from stibium.edge.instruments.serial_port import SerialPort
from stibium.edge.measure.referencing import References, to_spectrum
from stibium.edge.protocols.framed import Damaged, Frame, FrameDecoder, encode
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
    Message,
    Resend,
    State,
    Status,
)
from stibium.edge.protocols.framed_transfer import Measurement, split
from stibium.edge.protocols.host import Timeouts
from stibium.edge.simulators.ends import End, PtyEnd, TcpEnd
from stibium.edge.simulators.faults import Faults
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import Player, VirtualProbe
from stibium.edge.simulators.spectra import Repertoire, from_spectra

# Replies come at once here, but this machine may be busy with other things.
PATIENT = Profile(timeouts=Timeouts(reply_s=1.0, quiet_s=0.1, longest_scan_s=120.0, replug_s=60.0, request_attempts=8))
HASTY = Profile(
    timeouts=Timeouts(
        reply_s=0.05, quiet_s=0.02, longest_scan_s=60.0, replug_s=0.5, request_attempts=3, resend_attempts=4
    )
)
SPECTRA = some_spectra(4, np.arange(350.0, 750.0))


@contextmanager
def served(player: Player, end: End, **options: object) -> Iterator[VirtualProbe]:
    with VirtualProbe(player, end, **options) as probe:  # type: ignore[arg-type]
        yield probe


@contextmanager
def driving(name: str, profile: Profile = PATIENT, notices: list[str] | None = None) -> Iterator[FramedProbe]:
    driver = FramedProbe(lambda: SerialPort(name), profile, None if notices is None else notices.append)
    with closing(driver):
        driver.connect()
        yield driver


def take(driver: FramedProbe) -> Measurement:
    measurement = driver.acquire(Kind.TARGET, 1)
    driver.acknowledge(measurement)
    return measurement


def wait_to_the_end(driver: FramedProbe) -> None:
    """Ask how the instrument is until it says that it is at its end."""
    while driver.wait(0.1) is None:
        driver._send(GetStatus())


@pytest.fixture(params=["pty", "tcp"])
def end(request: pytest.FixtureRequest, tmp_path: Path) -> End:
    return PtyEnd(tmp_path / "port") if request.param == "pty" else TcpEnd("127.0.0.1", 0)


# --- what must work --------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [False, True])
def test_spectra_arrive_as_they_are_played(end: End, raw: bool) -> None:
    spectra = some_spectra(3, splices_nm=(1000.0, 1830.0), simulated=True)
    with served(VirtualInstrument(from_spectra(spectra, raw)), end) as probe, driving(probe.name) as driver:
        np.testing.assert_array_equal(driver.wavelengths_nm, GRID_NM)
        references = References(30)
        for kind in references.wanting(driver.identification):
            reference = driver.acquire(kind, 1)
            references.take(reference, driver.identification, driver.wavelengths_nm)
            driver.acknowledge(reference)
        for spectrum in spectra:
            got = to_spectrum(take(driver), driver.identification, driver.wavelengths_nm, references, driver.name)
            # As counts, a float32 has seven figures for target and white.
            np.testing.assert_allclose(got.values, spectrum.values, rtol=2e-6 if raw else 0)
            assert (got.sample_id, got.simulated, got.splices_nm) == (spectrum.sample_id, True, (1000.0, 1830.0))
        with pytest.raises(NothingLeftError, match="nothing more to measure"):
            driver.acquire(Kind.TARGET, 1)
        assert driver.counters.damaged == driver.counters.asked_again == 0
        assert driver.losses == []


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
def test_a_line_that_misbehaves_loses_nothing_and_doubles_nothing(tmp_path: Path, faults: Faults) -> None:
    # Noise is the same on every sort of port; a hang-up is not.
    end: End = TcpEnd("127.0.0.1", 0) if faults.disconnect and faults.flip else PtyEnd(tmp_path / "port")
    instrument = VirtualInstrument(from_spectra(SPECTRA))
    with (
        served(instrument, end, faults=faults, seed=5, unplug_s=0.02) as probe,
        driving(probe.name) as driver,
    ):
        for spectrum in SPECTRA:
            measurement = take(driver)
            assert measurement.head.label == spectrum.sample_id
            np.testing.assert_array_equal(measurement.values, spectrum.values)
        assert instrument.measured == len(SPECTRA)
        assert driver.losses == []
        counters = driver.counters
        if faults.flip or faults.drop or faults.garbage or faults.wrong_length:
            assert counters.damaged
            assert counters.asked_again
        if not (faults.flip or faults.drop):
            assert bool(counters.replugs) == bool(faults.disconnect)


def test_wavelengths_that_are_no_series_are_asked_for(end: End) -> None:
    grid_nm = np.float32(350.0 + 2150.0 * np.linspace(0, 1, 300) ** 1.1).astype(np.float64)
    spectra = some_spectra(2, grid_nm)
    with served(VirtualInstrument(from_spectra(spectra)), end) as probe, driving(probe.name) as driver:
        assert driver.identification.step_nm == 0
        np.testing.assert_array_equal(driver.wavelengths_nm, grid_nm)
        np.testing.assert_array_equal(take(driver).values, spectra[0].values)


def test_measuring_takes_time_in_real_time(end: End) -> None:
    instrument = VirtualInstrument(from_spectra(SPECTRA), real_time=True)
    with served(instrument, end, baudrate=1_000_000) as probe, driving(probe.name, HASTY) as driver:
        # 20 scans of 17 ms are far longer than this driver waits without being told.
        measurement = driver.acquire(Kind.TARGET, 20)
        np.testing.assert_array_equal(measurement.values, SPECTRA[0].values)
        assert measurement.head.scans == 20
        assert instrument.measured == 1


# --- unplugged -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [False, True])
def test_unplugged_amid_every_measurement(end: End, power: bool) -> None:
    notices: list[str] = []
    instrument = VirtualInstrument(from_spectra(SPECTRA, payload_limit=64))
    options = {"unplug_every": 1, "unplug_s": 0.05, "unplug_power": power}
    with served(instrument, end, **options) as probe, driving(probe.name, PATIENT, notices) as driver:
        if power:
            # With its power the instrument loses the measurement; it measures the next one again and again,
            # and each time the plug is pulled. That is not endless.
            with pytest.raises(MeasurementError, match="hung up 8 times during one measurement"):
                take(driver)
            assert driver.counters.restarts >= 7
            return
        labels = [take(driver).head.label for _ in SPECTRA]
        assert labels == [spectrum.sample_id for spectrum in SPECTRA]
        assert instrument.measured == len(SPECTRA)
        assert driver.counters.replugs == len(SPECTRA)
        assert driver.counters.restarts == 0
        assert driver.losses == []
    assert any("hung up; was it unplugged? (waiting for it to come back)" in line for line in notices)
    assert any("connected again" in line for line in notices)


def test_power_lost_between_measurements_is_noticed(end: End) -> None:
    with served(VirtualInstrument(from_spectra(SPECTRA, raw=True)), end) as probe, driving(probe.name) as driver:
        references = References(30)
        for kind in (Kind.DARK, Kind.WHITE):
            references.take(driver.acquire(kind, 1), driver.identification, driver.wavelengths_nm)
        assert references.wanting(driver.identification) == ()
        probe.unplug(power=True)
        probe.plug()
        measurement = take(driver)
        assert measurement.head.measurement == 1
        assert driver.counters.restarts == 1
        assert references.wanting(driver.identification) == (Kind.DARK, Kind.WHITE)
        with pytest.raises(MeasurementError, match="switched off and on"):
            to_spectrum(measurement, driver.identification, driver.wavelengths_nm, references, "port")


def test_another_instrument_on_the_same_port_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "port"
    ours, other = from_spectra(SPECTRA), from_spectra(SPECTRA)
    other = Repertoire(replace(other.identification, serial_number="other"), other.targets, other.wavelengths_nm)
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        first.enter_context(served(VirtualInstrument(ours), PtyEnd(link)))
        driver = stack.enter_context(driving(str(link), HASTY))
        take(driver)
        first.close()
        stack.enter_context(served(VirtualInstrument(other), PtyEnd(link)))
        with pytest.raises(PortError, match="another instrument answers now: stibium virtual probe other"):
            take(driver)


def test_a_port_that_never_comes_back_is_given_up(end: End) -> None:
    with served(VirtualInstrument(from_spectra(SPECTRA)), end) as probe, driving(probe.name, HASTY) as driver:
        take(driver)
        probe.unplug()
        with pytest.raises(PortError, match=r"gone for 0.5 s, given up"):
            take(driver)


def test_waiting_for_a_port_that_is_plugged_in_later(tmp_path: Path) -> None:
    link = tmp_path / "port"
    notices: list[str] = []
    driver = FramedProbe(lambda: SerialPort(str(link)), PATIENT, notices.append)
    waiting = threading.Event()
    driver._notify = lambda line: (notices.append(line), waiting.set())  # type: ignore[assignment, func-returns-value]
    with closing(driver):
        thread = threading.Thread(target=driver.connect, args=(True,))
        thread.start()
        assert waiting.wait(60)
        with served(VirtualInstrument(from_spectra(SPECTRA)), PtyEnd(link)):
            thread.join(60)
            assert not thread.is_alive()
            assert take(driver).head.label == "S0"
    assert "no such port" in notices[0]


# --- ports with nothing, or something else, behind them --------------------------------------------------


def test_a_silent_port_is_said_to_be_silent(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    driver = FramedProbe(lambda: SerialPort(os.ttyname(theirs)), HASTY)
    with closing(driver), pytest.raises(PortError, match=r"silent: no answer in 0.15 s; is the instrument switched on"):
        driver.connect()
    os.close(ours)
    os.close(theirs)


def test_an_echoing_port_is_recognised() -> None:
    driver = FramedProbe(lambda: SerialPort("loop://"), HASTY)
    with closing(driver), pytest.raises(PortError, match="what is sent comes back"):
        driver.connect()


@dataclass
class Scripted:
    """An instrument that answers as a test says."""

    answer: Callable[[Message], list[Message | bytes]]
    first_words: bytes = b""
    heard: list[Message] = field(default_factory=list)
    measured: int = 0
    held_frames: int = 0

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

    def power_cycle(self, now_s: float) -> None: ...

    def press_button(self, now_s: float) -> bool:
        return False


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


IDLE = Status(State.IDLE, 0, 0, 0, 0)


def test_another_speaker_is_told_from_silence(tmp_path: Path) -> None:
    boot_text = b"ets Jun  8 2016 00:22:57\r\nrst:0x1 (POWERON_RESET)\r\n"
    with (
        served(Scripted(lambda _: [boot_text]), PtyEnd(tmp_path / "port")) as probe,
        pytest.raises(PortError, match=r"bytes came .* and no identification; is it a probe .* 115200 bit/s"),
        driving(probe.name, HASTY),
    ):
        raise AssertionError("connected")


def test_a_newer_version_of_the_protocol_is_named(tmp_path: Path) -> None:
    import struct
    from zlib import crc32

    from stibium.edge.protocols.cobs import stuff

    body = struct.pack("<BBHH", 2, 0x81, 1, 0)
    newer = b"\0" + stuff(body + struct.pack("<I", crc32(body))) + b"\0"
    with (
        served(Scripted(lambda _: [newer]), PtyEnd(tmp_path / "port")) as probe,
        pytest.raises(PortError, match="speaks another version of the protocol than 1"),
        driving(probe.name, HASTY),
    ):
        raise AssertionError("connected")


def test_boot_messages_before_the_first_frame_do_no_harm(tmp_path: Path) -> None:
    script = Scripted(lambda message: [WHO] if isinstance(message, Identify) else [], b"Booting...\r\n\x81\x00\xff")
    with served(script, PtyEnd(tmp_path / "port")) as probe, driving(probe.name) as driver:
        assert driver.identification == WHO


@contextmanager
def scripted(
    tmp_path: Path, answer: Callable[[Message], list[Message | bytes]], profile: Profile = HASTY
) -> Iterator[tuple[FramedProbe, Scripted]]:
    script = Scripted(lambda message: [WHO] if isinstance(message, Identify) else answer(message))
    with served(script, PtyEnd(tmp_path / "port")) as probe, driving(probe.name, profile) as driver:
        yield driver, script


def test_missing_frames_are_asked_for_a_bounded_number_of_times(tmp_path: Path) -> None:
    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, Acquire):
            return [*spectrum_frames(message.request)[:3], IDLE]
        return []

    with scripted(tmp_path, answer) as (driver, script):
        with pytest.raises(MeasurementError, match="measurement 1 arrived in part: 2 of 5 frames") as caught:
            driver.acquire(Kind.TARGET, 1)
        assert "did not come, asked for 4 times" in str(caught.value)
        resends = [message for message in script.heard if isinstance(message, Resend)]
        assert resends == [Resend(((103, 3),))] * 4
        # It is told that nobody waits for it any more.
        while not isinstance(script.heard[-1], Acknowledge):
            driver.wait(0.01)
        assert script.heard[-1] == Acknowledge(1)


def test_frames_no_longer_held_end_the_measurement(tmp_path: Path) -> None:
    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, Acquire):
            return spectrum_frames(message.request)[1:]
        return [Fault(FaultCode.UNKNOWN_SEQUENCE, 1)] if isinstance(message, Resend) else []

    with (
        scripted(tmp_path, answer) as (driver, _),
        pytest.raises(MeasurementError, match="does not hold the missing frames any more"),
    ):
        driver.acquire(Kind.TARGET, 1)


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
def test_what_the_instrument_refuses_is_passed_on(
    tmp_path: Path, fault: Fault, error: type[Exception], says: str
) -> None:
    with (
        scripted(tmp_path, lambda message: [fault] if isinstance(message, Acquire) else []) as (driver, _),
        pytest.raises(error, match=says),
    ):
        driver.acquire(Kind.TARGET, 1)


def test_a_request_that_was_damaged_is_sent_again_under_its_number(tmp_path: Path) -> None:
    seen: list[int] = []

    def answer(message: Message) -> list[Message | bytes]:
        if not isinstance(message, Acquire):
            return []
        seen.append(message.request)
        return [*spectrum_frames(message.request)] if len(seen) == 3 else [Fault(FaultCode.DAMAGED_FRAME, 0)]

    with scripted(tmp_path, answer, PATIENT) as (driver, _):
        np.testing.assert_array_equal(driver.acquire(Kind.TARGET, 1).values, VALUES)
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_an_instrument_that_falls_silent_is_connected_to_again(tmp_path: Path) -> None:
    script = Scripted(lambda message: [WHO] if isinstance(message, Identify) else [])
    with (
        served(script, PtyEnd(tmp_path / "port")) as probe,
        driving(probe.name, HASTY) as driver,
        pytest.raises(MeasurementError, match="hung up 3 times"),
    ):
        driver.acquire(Kind.TARGET, 1)
    assert driver.counters.replugs == 3
    assert len({message.request for message in script.heard if isinstance(message, Acquire)}) == 1


def test_a_measurement_without_end_is_given_up(tmp_path: Path) -> None:
    profile = replace(HASTY, timeouts=replace(HASTY.timeouts, longest_scan_s=0.3))
    busy = Status(State.MEASURING, 100, 0, 0, 0)
    with (
        scripted(tmp_path, lambda message: [busy] * 50 if isinstance(message, Acquire) else [], profile) as (driver, _),
        pytest.raises(MeasurementError, match="no measurement in 0.3 s"),
    ):
        driver.acquire(Kind.TARGET, 1)


def test_an_old_answer_is_not_taken_for_the_new_one(tmp_path: Path) -> None:
    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, Acquire):
            old = spectrum_frames(message.request ^ 1, 1, values=VALUES + 1)
            return [*old, *spectrum_frames(message.request, 2, 300)]
        return []

    with scripted(tmp_path, answer, PATIENT) as (driver, _):
        np.testing.assert_array_equal(driver.acquire(Kind.TARGET, 1).values, VALUES)


# --- the button ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", [Faults(), Faults(flip=0.003), Faults(disconnect=0.02)])
def test_what_the_button_measures_comes_once_each(end: End, faults: Faults) -> None:
    instrument = VirtualInstrument(from_spectra(SPECTRA), button_s=0.0)
    with (
        served(instrument, end, faults=faults, seed=2, unplug_s=0.02) as probe,
        driving(probe.name) as driver,
    ):
        for spectrum in SPECTRA:
            measurement = None
            while measurement is None:
                measurement = driver.wait(1.0)
            assert measurement.head.request == 0
            np.testing.assert_array_equal(measurement.values, spectrum.values)
            driver.acknowledge(measurement)
        with pytest.raises(NothingLeftError):
            wait_to_the_end(driver)
        assert driver.losses == []


def test_a_measurement_that_is_not_acknowledged_is_offered_again_to_the_next_host(tmp_path: Path) -> None:
    instrument = VirtualInstrument(from_spectra(SPECTRA), button_s=0.0)
    with served(instrument, PtyEnd(tmp_path / "port")) as probe:
        numbers = []
        for _ in range(2):
            with driving(probe.name) as driver:
                measurement = None
                while measurement is None:
                    measurement = driver.wait(1.0)
                numbers.append(measurement.head.measurement)
        assert numbers == [1, 1]
        assert instrument.measured == 1


def test_an_acknowledgement_that_was_lost_is_given_again(tmp_path: Path) -> None:
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

    with scripted(tmp_path, answer, PATIENT) as (driver, _):
        driver._send(GetStatus())
        measurement = driver.wait(60.0)
        assert measurement is not None
        driver.acknowledge(measurement)
        for _ in range(600):
            assert driver.wait(0.1) is None
            if len(acknowledged) == 3:
                break
        assert acknowledged == [Acknowledge(1)] * 3
        assert driver.counters.repeated == 2


def test_a_measurement_that_never_arrived_is_reported(tmp_path: Path) -> None:
    def answer(message: Message) -> list[Message | bytes]:
        if isinstance(message, Acquire):
            number = 4 if message.scans == 2 else 1
            return [*spectrum_frames(message.request, number, 1000 * number), IDLE]
        return []

    with scripted(tmp_path, answer, PATIENT) as (driver, _):
        driver.acquire(Kind.TARGET, 1)
        driver.acquire(Kind.TARGET, 2)
        assert driver.losses == [
            f"measurement {number} was made by the instrument and never arrived" for number in (2, 3)
        ]


def test_a_dead_connection_is_noticed_while_waiting_for_the_button(tmp_path: Path) -> None:
    profile = replace(HASTY, timeouts=replace(HASTY.timeouts, keepalive_s=0.02))
    mute = threading.Event()

    def answer(message: Message) -> list[Message | bytes]:
        return [] if mute.is_set() else [IDLE]

    with scripted(tmp_path, answer, profile) as (driver, _):
        assert driver.wait(0.2) is None
        mute.set()
        while not driver.counters.replugs:
            assert driver.wait(0.05) is None


def test_a_socket_that_is_open_and_dead_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        driver = FramedProbe(lambda: SerialPort(f"socket://127.0.0.1:{server.getsockname()[1]}"), HASTY)
        with closing(driver), pytest.raises(PortError, match="silent"):
            driver.connect()
