"""The virtual probe itself: what it plays, how it misbehaves, and the ports it offers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from framed_samples import GRID_NM, some_spectra
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.errors import PortError, RecordingError, UnsuitableSpectrumError
from stibium.edge.instruments.recording import RecordingWriter, decode_pieces
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
from stibium.edge.protocols.framed_transfer import Measurement
from stibium.edge.simulators.ends import PtyEnd, TcpEnd
from stibium.edge.simulators.faults import Faults, FaultyLine, HangUp, Pause, parse_faults
from stibium.edge.simulators.framed_instrument import REMIND_S, VirtualInstrument
from stibium.edge.simulators.replay import VerbatimReplay
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.spectra import FramedSimulation, SimulatedScan, from_recording, from_spectra

SMALL = some_spectra(3, np.arange(400.0, 460.0))


class Bench:
    """An instrument on the bench, with a clock that the test turns."""

    def __init__(self, simulation: FramedSimulation, **options: Any) -> None:
        self.instrument = VirtualInstrument(simulation, **options)
        self.now_s = 0.0
        self._decoder, self._sequence = FrameDecoder(), 0
        self.sent = b""

    def ask(self, *messages: Message) -> list[Frame]:
        for message in messages:
            self._sequence += 1
            self.instrument.receive(encode(message, self._sequence), self.now_s)
        return self.hear()

    def hear(self, after_s: float = 0.0) -> list[Frame]:
        self.now_s += after_s
        heard = []
        for frame in self.instrument.outgoing(self.now_s):
            self.sent += frame
            self._decoder.receive(frame)
            event = self._decoder.next_event()
            assert isinstance(event, Frame)
            heard.append(event)
        return heard


def spectra_in(frames: list[Frame]) -> list[Measurement]:
    decoded = decode_pieces(encode(frame.message, frame.sequence) for frame in frames)
    assert not decoded.unfinished
    return list(decoded.measurements)


# --- the instrument --------------------------------------------------------------------------------------


def test_targets_come_in_order_then_no_more() -> None:
    bench = Bench(from_spectra(SMALL, payload_limit=64))
    (who,) = [frame.message for frame in bench.ask(Identify())]
    assert isinstance(who, Identification)
    assert (who.first_nm, who.step_nm, who.count, who.payload_limit) == (400.0, 1.0, 60, 64)
    for number, spectrum in enumerate(SMALL, start=1):
        frames = bench.ask(Acquire(number, Kind.TARGET, 10))
        (measurement,) = spectra_in(frames)
        assert isinstance(frames[-1].message, Status)
        assert frames[-1].message.unacknowledged == number
        np.testing.assert_array_equal(measurement.values, spectrum.values)
        assert measurement.head.request == measurement.head.measurement == number
        sequences = [frame.sequence for frame in frames]
        assert sequences == [(sequences[0] + i) & 0xFFFF for i in range(len(sequences))]
        assert all(len(frame.message.pack()) <= 64 for frame in frames if isinstance(frame.message, Values))
    (end,) = [frame.message for frame in bench.ask(Acquire(9, Kind.TARGET, 1))]
    assert isinstance(end, Fault)
    assert end.code == FaultCode.NOTHING_LEFT
    assert end.reply_to == bench._sequence


def test_the_same_request_is_measured_once() -> None:
    bench = Bench(from_spectra(SMALL))
    (first,) = spectra_in(bench.ask(Acquire(7, Kind.TARGET, 1)))
    (again,) = spectra_in(bench.ask(Acquire(7, Kind.TARGET, 1)))
    assert first.head == again.head
    np.testing.assert_array_equal(first.values, again.values)
    assert bench.instrument.measured == 1


def test_a_payload_limit_is_kept() -> None:
    bench = Bench(from_spectra(SMALL))
    for limit in (10, 33, 64):
        frames = bench.ask(Acquire(limit, Kind.TARGET, 1, limit))
        assert max(len(f.message.pack()) for f in frames if isinstance(f.message, Values)) <= limit
        assert len(spectra_in(frames)) == 1


def test_frames_are_sent_again_under_their_numbers() -> None:
    bench = Bench(from_spectra(SMALL, payload_limit=64))
    frames = bench.ask(Acquire(1, Kind.TARGET, 1))
    head, pieces = frames[0], frames[1:-1]
    again = bench.ask(Resend(((pieces[1].sequence, 2), (head.sequence, 1))))
    assert again[:3] == [pieces[1], pieces[2], head]
    assert isinstance(again[3].message, Status)
    (fault,) = [f.message for f in bench.ask(Resend(((head.sequence - 1 & 0xFFFF, 1),)))]
    assert isinstance(fault, Fault)
    assert fault.code == FaultCode.UNKNOWN_SEQUENCE
    (fault,) = [f.message for f in Bench(from_spectra(SMALL)).ask(Resend(((5, 1),)))]
    assert isinstance(fault, Fault)
    assert fault.code == FaultCode.UNKNOWN_SEQUENCE


def test_in_real_time_a_measurement_is_announced_and_comes_when_it_is_done() -> None:
    bench = Bench(from_spectra(SMALL), real_time=True)
    (status,) = [f.message for f in bench.ask(Acquire(1, Kind.TARGET, 100))]
    assert isinstance(status, Status)
    assert (status.state, status.remaining_ms) == (ProbeState.MEASURING, 1700)
    bench.now_s += 1.0
    busy, same = (f.message for f in bench.ask(Acquire(2, Kind.TARGET, 1), Acquire(1, Kind.TARGET, 100)))
    assert isinstance(busy, Fault)
    assert busy.code == FaultCode.BUSY
    assert isinstance(same, Status)
    assert same.remaining_ms == 700
    assert bench.hear(0.6) == []
    (measurement,) = spectra_in(bench.hear(0.11))
    assert measurement.head.request == 1
    bench.now_s += 5
    (again,) = spectra_in(bench.ask(Acquire(1, Kind.TARGET, 100)))
    assert again.head.age_ms == pytest.approx(5010, abs=2)


def test_the_button_waits_for_the_acknowledgement_and_reminds() -> None:
    bench = Bench(from_spectra(SMALL), button_s=0.0)
    assert bench.hear(100.0) == []
    frames = bench.ask(Identify())
    (measurement,) = spectra_in(frames)
    assert measurement.head.request == 0
    assert bench.hear(REMIND_S / 2) == []
    reminder = [f.message for f in bench.hear(REMIND_S)]
    assert isinstance(reminder[0], SpectrumHead)
    assert isinstance(reminder[1], Status)
    assert replace(reminder[0], age_ms=0) == measurement.head
    # After the host came back it is reminded at once.
    back = bench.ask(Identify()) + bench.hear()
    heads = [f.message for f in back if isinstance(f.message, SpectrumHead)]
    assert [head.measurement for head in heads] == [1]
    assert not bench.instrument.press_button(bench.now_s)
    (second,) = spectra_in(bench.ask(Acknowledge(1)))
    (third,) = spectra_in(bench.ask(Acknowledge(2)))
    assert [m.head.label for m in (measurement, second, third)] == ["S0", "S1", "S2"]
    (end,) = [f.message for f in bench.ask(Acknowledge(3))]
    assert isinstance(end, Fault)
    assert end.code == FaultCode.NOTHING_LEFT
    assert [type(f.message) for f in bench.ask(GetStatus())] == [Status, Fault]


def test_a_power_cut_before_a_target_s_references_have_arrived_keeps_the_target() -> None:
    soils = from_spectra(SMALL)
    dark, white = (
        SimulatedScan(soils.targets[0].values * 0, Unit.RAW_DN),
        SimulatedScan(soils.targets[0].values, Unit.RAW_DN),
    )
    bench = Bench(
        replace(soils, targets=[replace(take, dark=dark, white=white) for take in soils.targets]), button_s=1.0
    )
    bench.ask(Identify())
    (first,) = spectra_in(bench.hear(1.1))
    assert first.head.kind == Kind.DARK
    bench.instrument.power_cycle(bench.now_s)
    bench.ask(Identify())
    kinds = []
    for number in (1, 2, 3):
        (found,) = spectra_in(bench.hear(1.1) if number == 1 else bench.ask(Acknowledge(number - 1)))
        kinds.append((found.head.kind, found.head.label))
    assert kinds[-1] == (Kind.TARGET, "S0")


def test_nothing_is_left_only_when_the_last_has_arrived() -> None:
    bench = Bench(from_spectra(SMALL[:1]), button_s=1.0)
    bench.ask(Identify())
    bench.hear(1.1)  # The line carries none of this.
    assert [type(f.message) for f in bench.ask(GetStatus())] == [Status]
    heads = [f.message for f in bench.hear(REMIND_S) if isinstance(f.message, SpectrumHead)]
    assert [head.measurement for head in heads] == [1]
    bench.ask(Acknowledge(1))
    assert [type(f.message) for f in bench.ask(GetStatus())] == [Status, Fault]


def test_the_button_is_pressed_again_after_a_press_in_vain() -> None:
    bench = Bench(from_spectra(SMALL), button_s=1.0)
    bench.ask(Identify())
    (first,) = spectra_in(bench.hear(1.1))
    # The host is away for longer than the button waits: it is reminded, and nothing new is measured.
    bench.hear(1.1)
    bench.hear(1.1)
    assert bench.instrument.measured == 1
    assert spectra_in(bench.ask(Acknowledge(first.head.measurement))) == []
    (second,) = spectra_in(bench.hear(1.1))
    assert (second.head.measurement, second.head.label) == (2, "S1")


def test_a_power_cut_forgets_all_but_the_sample_in_front_of_it() -> None:
    bench = Bench(from_spectra(SMALL))
    (first,) = spectra_in(bench.ask(Acquire(1, Kind.TARGET, 1)))
    bench.ask(Acknowledge(1))
    (second,) = spectra_in(bench.ask(Acquire(2, Kind.TARGET, 1)))
    bench.instrument.power_cycle(bench.now_s)
    (again,) = spectra_in(bench.ask(Acquire(2, Kind.TARGET, 1)))
    assert [m.head.label for m in (first, second, again)] == ["S0", "S1", "S1"]
    assert again.head.measurement == 1
    assert again.head.boot != second.head.boot


def test_damage_and_the_unknown_are_answered() -> None:
    bench = Bench(from_spectra(SMALL))
    bench.instrument.receive(b"\0noise\0", 0.0)
    (fault,) = [f.message for f in bench.hear()]
    assert isinstance(fault, Fault)
    assert (fault.code, fault.reply_to) == (FaultCode.DAMAGED_FRAME, 0)
    (fault,) = [f.message for f in bench.ask(Acquire(1, Kind.WHITE, 1))]
    assert isinstance(fault, Fault)
    assert fault.code == FaultCode.UNSUPPORTED


def test_it_loops_when_told() -> None:
    bench = Bench(from_spectra(SMALL), loop=True)
    labels = [spectra_in(bench.ask(Acquire(n, Kind.TARGET, 1)))[0].head.label for n in range(1, 8)]
    assert labels == ["S0", "S1", "S2", "S0", "S1", "S2", "S0"]


# --- what it plays ---------------------------------------------------------------------------------------


def test_counts_lead_back_to_the_reflectance() -> None:
    bench = Bench(from_spectra(SMALL, raw=True))
    kinds = (Kind.DARK, Kind.WHITE, Kind.TARGET)
    dark, white, target = (spectra_in(bench.ask(Acquire(kind + 1, kind, 1)))[0] for kind in kinds)
    assert {m.head.unit for m in (dark, white, target)} == {Unit.RAW_DN}
    ratio = (target.values - dark.values) / (white.values - dark.values)
    np.testing.assert_allclose(ratio, SMALL[0].values, rtol=2e-6)


def test_what_spectra_say_of_themselves_is_played() -> None:
    spectra = some_spectra(1, GRID_NM, splices_nm=(1000.0, 1830.0), saturated=("VNIR", "SWIR2"), simulated=True)
    simulation = from_spectra(spectra)
    assert simulation.identification.splices_nm == (1000.0, 1830.0)
    assert simulation.identification.features & Feature.SIMULATED
    (take,) = simulation.targets
    assert (take.saturated, take.simulated) == (0b101, True)
    long = from_spectra(some_spectra(1, sample_id="ä" * 30)).targets[0].label
    assert long == "ä" * 20


def test_absorbance_is_played_as_reflectance() -> None:
    spectrum = replace(SMALL[0], values=-np.log10(SMALL[0].values), quantity="absorbance")
    np.testing.assert_allclose(from_spectra([spectrum]).targets[0].values, SMALL[0].values)


@pytest.mark.parametrize(
    ("spectra", "says"),
    [
        ([], "no spectra to play"),
        ([SMALL[0], some_spectra(1)[0]], "not on the wavelengths of S0.asd"),
        ([replace(SMALL[0], quantity="radiance")], "holds radiance; a probe is played from reflectance"),
    ],
)
def test_what_cannot_be_played_is_refused(spectra: list[Any], says: str) -> None:
    with pytest.raises(UnsuitableSpectrumError, match=says):
        from_spectra(spectra)


def recording_of(tmp_path: Path, simulation: FramedSimulation, kinds: list[Kind]) -> Path:
    bench = Bench(simulation)
    bench.ask(Identify())
    for number, kind in enumerate(kinds, start=1):
        bench.ask(Acquire(number, kind, 5))
        bench.ask(Acknowledge(number))
    path = tmp_path / "recording.txt"
    with RecordingWriter(path) as record:
        for start in range(0, len(bench.sent), 1000):
            record("<", bench.sent[start : start + 1000])
    return path


def test_a_recording_is_played_with_its_references(tmp_path: Path) -> None:
    kinds = [Kind.DARK, Kind.WHITE, Kind.TARGET, Kind.TARGET, Kind.TARGET]
    original = from_spectra(SMALL, raw=True)
    played = from_recording(recording_of(tmp_path, original, kinds))
    assert [take.label for take in played.targets] == ["S0", "S1", "S2"]
    for ours, theirs in zip(played.targets, original.targets, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values.astype(np.float32))
        assert ours.white is not None
        np.testing.assert_array_equal(ours.white.values, theirs.white.values.astype(np.float32))  # type: ignore[union-attr]
    assert played.identification.features & Feature.VIRTUAL


def test_with_the_button_the_references_of_a_recording_go_first(tmp_path: Path) -> None:
    path = recording_of(tmp_path, from_spectra(SMALL, raw=True), [Kind.DARK, Kind.WHITE, Kind.TARGET, Kind.TARGET])
    bench = Bench(from_recording(path), button_s=0.0)
    heard = bench.ask(Identify())
    kinds = []
    for number in range(1, 5):
        (measurement,) = spectra_in(heard)
        kinds.append(measurement.head.kind)
        heard = bench.ask(Acknowledge(number))
    assert kinds == [Kind.DARK, Kind.WHITE, Kind.TARGET, Kind.TARGET]


def test_recordings_that_hold_nothing_to_play(tmp_path: Path) -> None:
    path = tmp_path / "r1.txt"
    with RecordingWriter(path) as record:
        record(">", b"x")
    with pytest.raises(RecordingError, match="holds no identification"):
        from_recording(path)
    with pytest.raises(RecordingError, match="the instrument says nothing"):
        VerbatimReplay(path, real_time=False)
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(RecordingError, match="no complete measurement of a target"):
        from_recording(recording_of(bare, from_spectra(SMALL, raw=True), [Kind.DARK]))


def test_a_verbatim_replay_keeps_the_recorded_times(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text("# stibium recording 1\n5.0 < 01\n5.5 > 02\n6.5 < 03\n7.0 < 04\n")
    real, full = VerbatimReplay(path, real_time=True), VerbatimReplay(path, real_time=False)
    for replay in (real, full):
        assert replay.outgoing(100.0) == []
        assert replay.next_due_s() is None
        replay.receive(b"anything", 200.0)
    assert full.outgoing(200.0) == [b"\1", b"\3", b"\4"]
    assert real.outgoing(200.0) == [b"\1"]
    assert real.next_due_s() == 201.5
    assert real.outgoing(201.4) == []
    assert real.outgoing(202.0) == [b"\3", b"\4"]
    assert real.next_due_s() is None


# --- misbehaviour ----------------------------------------------------------------------------------------


def test_faults_are_read_and_refused() -> None:
    assert parse_faults("flip=0.01,wrong-length=0.5,stall-s=2") == Faults(flip=0.01, wrong_length=0.5, stall_s=2)
    for text, says in [
        ("melt=1", "unknown fault 'melt'; there are flip, drop"),
        ("flip", "'flip': write flip=NUMBER"),
        ("flip=x", "write flip=NUMBER"),
        ("flip=1.5", "a probability out of range"),
        ("stall-s=-1", "seconds out of range"),
    ]:
        with pytest.raises(ValueError, match=says):
            parse_faults(text)


FRAME = encode(Values(3, 4, bytes(range(100))), 5)


@given(st.integers(0, 1000))
def test_the_same_seed_does_the_same_harm(seed: int) -> None:
    faults = Faults(flip=0.05, drop=0.05, garbage=0.05, duplicate=0.2, wrong_length=0.2, stall=0.2, disconnect=0.2)
    first, second = FaultyLine(faults, seed), FaultyLine(faults, seed)
    assert [first.spoil_frame(FRAME) for _ in range(5)] == [second.spoil_frame(FRAME) for _ in range(5)]


def test_each_fault_does_what_it_says() -> None:
    def spoil(**faults: float) -> list[Any]:
        return FaultyLine(Faults(**faults), 1).spoil_frame(FRAME)

    assert spoil() == [FRAME]
    assert spoil(duplicate=1) == [FRAME * 2]
    assert spoil(stall=1, stall_s=3) == [Pause(3), FRAME]
    *_, cut, end = spoil(disconnect=1)
    assert FRAME.startswith(cut)
    assert len(cut) < len(FRAME)
    assert end == HangUp()
    assert spoil(drop=1) == [b""]
    (flipped,) = spoil(flip=1)
    assert len(flipped) == len(FRAME)
    assert all(a != b for a, b in zip(flipped, FRAME, strict=True))
    (garbled,) = spoil(garbage=1)
    assert garbled[1::2] == FRAME
    (lying,) = spoil(wrong_length=1)
    decoder = FrameDecoder()
    decoder.receive(lying)
    event = decoder.next_event()
    assert isinstance(event, Damaged)
    assert "bytes of payload where" in event.reason


def test_harm_is_as_frequent_as_asked() -> None:
    data = bytes(200_000)
    flipped = FaultyLine(Faults(flip=0.01), 3).spoil_bytes(data)
    assert 1700 < sum(byte != 0 for byte in flipped) < 2300
    assert 197_000 < len(FaultyLine(Faults(drop=0.01), 3).spoil_bytes(data)) < 199_000


# --- ports -----------------------------------------------------------------------------------------------


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "port"


def test_a_link_leads_to_the_port_while_it_is_plugged_in(link: Path) -> None:
    with VirtualProbe(VirtualInstrument(from_spectra(SMALL)), PtyEnd(link)) as probe:
        assert probe.name == str(link)
        assert os.readlink(link).startswith("/dev/")
        probe.unplug()
        assert not link.is_symlink()
    assert not link.is_symlink()


def test_a_file_is_never_replaced_by_a_link(link: Path) -> None:
    link.write_text("precious")
    with pytest.raises(PortError, match="exists and is no symbolic link"):
        PtyEnd(link).plug()
    assert link.read_text() == "precious"
    with pytest.raises(PortError, match="cannot be made: No such file"):
        PtyEnd(link.parent / "no" / "port").plug()


def test_a_stale_link_is_replaced(link: Path) -> None:
    link.symlink_to("/nowhere")
    end = PtyEnd(link)
    end.plug()
    assert os.readlink(link).startswith("/dev/")
    end.unplug()


def test_a_tcp_port_that_is_taken_is_refused() -> None:
    first = TcpEnd("127.0.0.1", 0)
    first.plug()
    number = int(first.name.rsplit(":", 1)[1])
    with pytest.raises(PortError, match=f"127.0.0.1:{number}: cannot listen there"):
        TcpEnd("127.0.0.1", number).plug()
    first.unplug()


def test_a_failure_in_the_probes_thread_is_not_swallowed(link: Path) -> None:
    class Broken(VirtualInstrument):
        def outgoing(self, now_s: float) -> list[bytes]:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), VirtualProbe(Broken(from_spectra(SMALL)), PtyEnd(link)):
        pass


def test_a_folder_that_holds_more_than_spectra_is_looked_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from stibium.edge.cli.simulators import _read

    (tmp_path / "spectra").mkdir()
    (tmp_path / "assays.csv").write_text("sample,Sb\nS0,3\n")
    bands = ",".join(map(str, range(400, 460)))
    (tmp_path / "spectra" / "s.csv").write_text(f"sample,{bands}\nS0{',0.3' * 60}\n")
    assert [spectrum.sample_id for spectrum in _read([str(tmp_path)])] == ["S0"]
    assert capsys.readouterr().err.splitlines() == [
        f"stibium: {tmp_path}: its spectra are in {tmp_path / 'spectra'}; only these are measured"
    ]
