"""Spectra from frames that come in any order, twice, or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from framed_samples import a_head
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.edge.errors import ProtocolError
from stibium.edge.protocols.framed import Frame
from stibium.edge.protocols.framed_fields import U16
from stibium.edge.protocols.framed_messages import MAX_RANGES, Encoding, Identify, Resend, SpectrumHead, Values
from stibium.edge.protocols.framed_transfer import Assembler, split

VALUES = np.arange(100, dtype=np.float64) / 128


def frames_of(
    number: int = 1, first: int = 10, values: np.ndarray = VALUES, limit: int = 26, **head: object
) -> list[Frame]:
    top, pieces = split(a_head(number, **head), values, limit)
    return [Frame((first + i) & 0xFFFF, message) for i, message in enumerate([top, *pieces])]


@settings(max_examples=200)
@given(st.data(), st.integers(0, 0xFFFF))
def test_any_order_any_repetition_gives_the_spectrum_once(data: st.DataObject, first: int) -> None:
    frames = frames_of(first=first)
    order = data.draw(st.permutations(frames))
    extra = data.draw(st.lists(st.sampled_from(frames), max_size=10))
    assembler = Assembler()
    results = [assembler.receive(frame) for frame in [*extra, *order, *extra]]
    (measurement,) = [result for result in results if result is not None]
    np.testing.assert_array_equal(measurement.values, VALUES)
    assert assembler.current == 0


@settings(max_examples=200)
@given(st.sets(st.integers(0, 20), max_size=20), st.integers(0, 0xFFFF))
def test_asking_for_what_is_missing_ends_with_the_spectrum(lost: set[int], first: int) -> None:
    frames = frames_of(first=first)
    by_sequence = {frame.sequence: frame for frame in frames}
    assembler = Assembler()
    done = [m for i, frame in enumerate(frames) if i not in lost and (m := assembler.receive(frame))]
    rounds = 0
    while not done:
        rounds += 1
        assert rounds <= 10
        gaps = assembler.missing()
        assert 1 <= len(gaps) <= MAX_RANGES
        asked = [(start + i) & 0xFFFF for start, count in gaps for i in range(count)]
        assert all(sequence in by_sequence for sequence in asked)
        done = [m for sequence in asked if (m := assembler.receive(by_sequence[sequence]))]
    np.testing.assert_array_equal(done[0].values, VALUES)
    assert bool(rounds) == bool(lost)


@pytest.mark.parametrize(
    ("encoding", "values"),
    [
        (Encoding.UINT16, np.array([0.0, 1.0, 65535.0])),
        (Encoding.UINT32, np.array([0.0, 70000.0, 4294967295.0])),
        (Encoding.FLOAT32, np.array([0.125, -1.5, np.nan])),
    ],
)
@pytest.mark.parametrize("limit", [10, 11, 12, 64, 1024])
def test_all_encodings_come_back(encoding: Encoding, values: np.ndarray, limit: int) -> None:
    frames = frames_of(values=values, limit=limit, encoding=encoding)
    assert all(len(frame.message.pack()) <= limit for frame in frames[1:])
    assembler = Assembler()
    (measurement,) = [m for frame in frames if (m := assembler.receive(frame))]
    np.testing.assert_array_equal(measurement.values, values)


def test_what_an_encoding_cannot_hold_is_refused() -> None:
    for values in ([-1.0, 5.0], [65536.0, 0.0], [np.nan, 0.0]):
        with pytest.raises(ProtocolError, match="UINT16 cannot hold"):
            split(a_head(encoding=Encoding.UINT16), values, 64)
    with pytest.raises(ProtocolError, match="holds no value"):
        split(a_head(), VALUES, 9)


def test_pieces_of_two_spectra_are_never_joined() -> None:
    good, other = frames_of(), frames_of(values=VALUES + 1)
    assembler = Assembler()
    assert all(assembler.receive(frame) is None for frame in [*good[:3], other[3], *good[4:]])
    assert assembler.arrived == 0
    assert assembler.missing() == ((11, 20),)
    (measurement,) = [m for frame in good[1:] if (m := assembler.receive(frame))]
    np.testing.assert_array_equal(measurement.values, VALUES)


def test_a_measurement_that_breaks_off_is_reported() -> None:
    assembler = Assembler()
    for frame in frames_of(1)[:4]:
        assembler.receive(frame)
    done = [m for frame in frames_of(2, first=60) if (m := assembler.receive(frame))]
    assert len(done) == 1
    (abandoned,) = assembler.abandoned
    assert (abandoned.measurement, abandoned.arrived, abandoned.frame_count) == (1, 3, 20)
    assert str(abandoned) == "measurement 1 arrived in part: 3 of 20 frames of values"
    # Its late frames are not taken for a new one.
    assert all(assembler.receive(frame) is None for frame in frames_of(1))
    assert assembler.current == 0


def test_a_restart_counts_anew_and_drops_what_was_half_there() -> None:
    assembler = Assembler()
    assert sum(assembler.receive(frame) is not None for n in (1, 2) for frame in frames_of(n)) == 2
    for frame in frames_of(3)[:4]:
        assembler.receive(frame)
    again = [m for frame in frames_of(1, boot=2) if (m := assembler.receive(frame))]
    assert len(again) == 1
    assert [abandoned.measurement for abandoned in assembler.abandoned] == [3]


def test_an_instrument_that_restarts_under_the_same_boot_number_loses_nothing() -> None:
    assembler = Assembler()
    assert sum(assembler.receive(frame) is not None for n in (1, 2, 3) for frame in frames_of(n)) == 3
    later = frames_of(1, values=VALUES + 5)
    first_pass = [m for frame in later if (m := assembler.receive(frame))]
    assert len(first_pass) == 1
    np.testing.assert_array_equal(first_pass[0].values, VALUES + 5)
    assert all(assembler.receive(frame) is None for frame in later)


def test_repetitions_are_known_by_their_head() -> None:
    assembler = Assembler()
    frames = frames_of()
    for frame in frames:
        assembler.receive(frame)
    head = frames[0].message
    assert isinstance(head, SpectrumHead)
    assert assembler.repeats(replace(head, age_ms=5000))
    assert not assembler.repeats(replace(head, values_crc=head.values_crc ^ 1))
    assert not assembler.repeats(replace(head, boot=2))
    assert not assembler.repeats(replace(head, measurement=2))


def test_other_messages_are_passed_over() -> None:
    assembler = Assembler()
    assert assembler.receive(Frame(1, Identify())) is None
    assert assembler.missing() == ()
    assert assembler.give_up() is None


def test_a_piece_of_the_last_place_that_there_can_be_is_no_reason_to_ask_for_more_than_can_be_asked() -> None:
    assembler = Assembler()
    assembler.receive(Frame(7, Values(1, U16, b"1234")))
    assert Resend(assembler.missing()).ranges[0][1] == U16
