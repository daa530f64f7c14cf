"""Frames of the serial protocol: everything that may happen to bytes on their way."""

from __future__ import annotations

import random
import struct
from zlib import crc32

import numpy as np
import pytest
from framed_samples import a_head, messages, some_spectra
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.edge.errors import ProtocolError
from stibium.edge.protocols.cobs import encoded_length, stuff, unstuff
from stibium.edge.protocols.framed import MAX_PAYLOAD, Damaged, Event, Foreign, Frame, FrameDecoder, encode
from stibium.edge.protocols.framed_fields import Message
from stibium.edge.protocols.framed_messages import Acquire, Identify, Kind, Resend, Values
from stibium.edge.protocols.framed_transfer import split

stuffable = st.lists(st.sampled_from([b"\0", b"\1", b"\xff", b"a" * 253, b"b" * 254, b"c" * 255]), max_size=8).map(
    b"".join
)


def decode(data: bytes, sizes: list[int] | None = None) -> list[Event]:
    """All events of some bytes, fed whole or in pieces."""
    decoder, events, start = FrameDecoder(), [], 0
    for size in sizes or [len(data)]:
        decoder.receive(data[start : start + size])
        start += size
        while (event := decoder.next_event()) is not None:
            events.append(event)
    decoder.receive(data[start:])
    while (event := decoder.next_event()) is not None:
        events.append(event)
    return events


# --- COBS -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "stuffed"),
    [
        # The examples of the paper and of the usual test vectors.
        (b"", b"\x01"),
        (b"\x00", b"\x01\x01"),
        (b"\x00\x00", b"\x01\x01\x01"),
        (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01"),
        (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255))),
        (bytes(range(255)), b"\x01\xff" + bytes(range(1, 255))),
        (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
        (bytes(range(2, 256)) + b"\x00", b"\xff" + bytes(range(2, 256)) + b"\x01\x01"),
        (bytes(range(3, 256)) + b"\x00\x01", b"\xfe" + bytes(range(3, 256)) + b"\x02\x01"),
    ],
)
def test_stuffing_matches_known_vectors(data: bytes, stuffed: bytes) -> None:
    assert stuff(data) == stuffed
    assert unstuff(stuffed) == data


@given(st.binary(max_size=1200) | stuffable)
def test_stuffed_bytes_have_no_zero_and_come_back(data: bytes) -> None:
    stuffed = stuff(data)
    assert 0 not in stuffed
    assert len(stuffed) <= encoded_length(len(data))
    assert unstuff(stuffed) == data


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_are_unstuffed_or_refused(data: bytes) -> None:
    try:
        unstuff(data)
    except ProtocolError:
        pass
    else:
        assert 0 not in data


# --- messages ---------------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(messages, st.integers(0, 0xFFFF))
def test_every_message_comes_back_as_it_was(message: Message, sequence: int) -> None:
    data = encode(message, sequence)
    assert data[0] == data[-1] == 0
    assert 0 not in data[1:-1]
    assert decode(data) == [Frame(sequence, message)]


@settings(max_examples=300)
@given(messages, st.data())
def test_a_payload_cut_or_lengthened_is_no_message(message: Message, data: st.DataObject) -> None:
    payload = message.pack()
    kind = type(message)
    if not isinstance(message, Values):
        with pytest.raises(ProtocolError):
            kind.unpack(payload + b"\0")
    if payload:
        cut = data.draw(st.integers(0, len(payload) - 1))
        if isinstance(message, Values) and cut > 6:
            assert kind.unpack(payload[:cut]) != message
        else:
            with pytest.raises(ProtocolError):
                kind.unpack(payload[:cut])


@settings(max_examples=500)
@given(st.integers(0, 255), st.binary(max_size=120))
def test_any_payload_with_a_good_checksum_is_a_message_or_refused(type_code: int, payload: bytes) -> None:
    body = struct.pack("<BBHH", 1, type_code, 5, len(payload)) + payload
    (event,) = decode(b"\0" + stuff(body + struct.pack("<I", crc32(body))) + b"\0")
    if isinstance(event, Frame):
        # What was read says the same again, though not always in the same bytes (unknown bits of flags).
        assert decode(encode(event.message, 5)) == [event]


def test_what_cannot_be_sent_cannot_be_made() -> None:
    with pytest.raises(ProtocolError, match="scans is 0"):
        Acquire(1, Kind.TARGET, 0)
    with pytest.raises(ProtocolError, match="ranges"):
        Resend(())
    with pytest.raises(ProtocolError, match="label has 41 bytes"):
        a_head(label="x" * 41)
    with pytest.raises(ProtocolError, match="sequence number 65536"):
        encode(Identify(), 65536)
    with pytest.raises(ProtocolError, match="1024 are allowed"):
        encode(Values(1, 0, b"x" * MAX_PAYLOAD), 0)


def test_other_versions_and_types_are_told_apart_from_damage() -> None:
    def frame(version: int, type_code: int) -> bytes:
        body = struct.pack("<BBHH", version, type_code, 9, 0)
        return b"\0" + stuff(body + struct.pack("<I", crc32(body))) + b"\0"

    assert decode(frame(2, 0x01) + frame(1, 0x70)) == [Foreign(2, 0x01, 9), Foreign(1, 0x70, 9)]


def test_a_length_that_lies_is_damage_though_the_checksum_is_right() -> None:
    for lie in (0, 8, 10, 65535):
        body = struct.pack("<BBHH", 1, Acquire.type_code, 5, lie) + Acquire(1, Kind.TARGET, 1).pack()
        (event,) = decode(b"\0" + stuff(body + struct.pack("<I", crc32(body))) + b"\0")
        assert isinstance(event, Damaged)


# --- streams ----------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 40), max_size=60))
def test_pieces_of_any_size_make_no_difference(sent: list[Message], sizes: list[int]) -> None:
    data = b"".join(encode(message, number) for number, message in enumerate(sent))
    expected = [Frame(number, message) for number, message in enumerate(sent)]
    assert decode(data) == expected
    assert decode(data, sizes) == expected
    assert decode(data, [1] * len(data)) == expected


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=40) | messages, max_size=8))
def test_after_any_garbage_the_next_frame_is_read(parts: list[bytes | Message]) -> None:
    data = b"".join(part if isinstance(part, bytes) else encode(part, 3) for part in parts)
    frames = [event for event in decode(data) if isinstance(event, Frame)]
    assert frames == [Frame(3, part) for part in parts if not isinstance(part, bytes)]


@settings(max_examples=200)
@given(st.lists(messages, min_size=3, max_size=3), st.data())
def test_damage_to_one_frame_never_reaches_its_neighbours(sent: list[Message], data: st.DataObject) -> None:
    frames = [bytearray(encode(message, number)) for number, message in enumerate(sent)]
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(frames[1]) - 1))
        frames[1][place] = data.draw(st.integers(0, 255))
    events = [event for event in decode(b"".join(frames)) if isinstance(event, Frame)]
    assert Frame(0, sent[0]) in events
    assert Frame(2, sent[2]) in events
    assert all(event.message == sent[event.sequence] for event in events)


def test_a_stream_without_delimiters_is_not_kept() -> None:
    decoder = FrameDecoder()
    for _ in range(1000):
        decoder.receive(b"x" * 1000)
        assert decoder.next_event() is None
        assert len(decoder._buffer) < 4000
    assert decoder.pending == 1_000_000
    decoder.receive(encode(Identify(), 1))
    assert decoder.next_event() == Damaged("longer than any frame", 1_000_000)
    assert decoder.next_event() == Frame(1, Identify())


def recorded_line(spectra: int) -> list[bytes]:
    """The frames of some measurements as an instrument sends them."""
    frames, sequence = [], 65_000
    for number, spectrum in enumerate(some_spectra(spectra), start=1):
        head, pieces = split(a_head(number), spectrum.values, 200)
        for message in (head, *pieces):
            frames.append(encode(message, sequence))
            sequence = (sequence + 1) % 65_536
    return frames


@pytest.mark.parametrize("seed", range(10))
def test_with_one_percent_of_bytes_damaged_no_good_frame_is_lost_and_none_invented(seed: int) -> None:
    frames = recorded_line(20)
    dice = random.Random(seed)
    hit, damaged = set(), bytearray()
    for number, frame in enumerate(frames):
        for byte in frame:
            if dice.random() < 0.01:
                hit.add(number)
                byte ^= dice.randrange(1, 256)
            damaged.append(byte)
    assert 0.7 < len(hit) / len(frames) < 0.95
    decoded = [event for event in decode(bytes(damaged), [977] * 200) if isinstance(event, Frame)]
    sent = [decode(frame)[0] for frame in frames]
    assert decoded == [frame for number, frame in enumerate(sent) if number not in hit]


def test_random_bytes_hold_no_frame() -> None:
    noise = np.random.default_rng(1).integers(0, 256, 2_000_000, dtype=np.uint8)
    noise[::37] = 0
    events = decode(noise.tobytes())
    assert len(events) > 50_000
    assert all(isinstance(event, Damaged) for event in events)
