"""Frames as the C code writes and reads them, against the Python code, byte by byte."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
from bridge_building import HERE, SOURCES, STRICT, Compile
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.edge.errors import ProtocolError
from stibium.edge.protocols.cobs import stuff, unstuff
from stibium.edge.protocols.framed import MAX_PAYLOAD, Damaged, Event, Foreign, Frame, FrameDecoder, encode
from stibium.edge.protocols.framed_fields import U16, U32
from stibium.edge.protocols.framed_messages import (
    MAX_RANGES,
    MESSAGES,
    Acknowledge,
    Acquire,
    GetStatus,
    Identify,
    Kind,
    Resend,
    Values,
)

WHOLE, DAMAGED, FOREIGN = 1, 2, 3


class Codec:
    """The C functions in a process of their own."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command: bytes, data: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + struct.pack("<I", len(data)) + data)
        self._process.stdin.flush()
        head = self._process.stdout.read(4)
        assert len(head) == 4, "the C program has ended"
        return self._process.stdout.read(struct.unpack("<I", head)[0])

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def codec(compile_c: Compile) -> Iterator[Codec]:
    opened = Codec(compile_c("codec_main", ["stibium_frame.c"], f"-DSTIBIUM_MAX_PAYLOAD={MAX_PAYLOAD}"))
    yield opened
    opened.close()


# Zeros and runs of 254 are what COBS is about.
blobs = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from([b"\0", b"x", b"y" * 253, b"z" * 254, b"w" * 255, b"v" * 600]), max_size=6).map(b"".join),
)


@settings(deadline=None)
@given(blobs)
def test_checksum_and_stuffing_are_the_same(codec: Codec, data: bytes) -> None:
    assert codec.ask(b"C", data) == struct.pack("<I", crc32(data))
    assert codec.ask(b"S", data) == stuff(data)
    assert codec.ask(b"U", stuff(data)) == b"\0" + data


@settings(deadline=None)
@given(st.one_of(blobs, st.lists(st.integers(1, 6), max_size=30).map(bytes)))
def test_what_is_not_stuffed_is_refused_by_both(codec: Codec, data: bytes) -> None:
    try:
        expected = b"\0" + unstuff(data)
    except ProtocolError:
        expected = b"\1"
    assert codec.ask(b"U", data) == expected


_u16, _u32 = st.integers(0, U16), st.integers(0, U32)
requests = st.one_of(
    st.just(Identify()),
    st.just(GetStatus()),
    st.builds(
        Acquire,
        request=st.integers(1, U32),
        kind=st.sampled_from(Kind),
        scans=st.integers(1, U16),
        payload_limit=_u16,
    ),
    st.builds(Resend, st.lists(st.tuples(_u16, st.integers(1, U16)), min_size=1, max_size=MAX_RANGES).map(tuple)),
    st.builds(Acknowledge, st.integers(1, U32)),
    st.builds(Values, measurement=st.integers(1, U32), index=_u16, data=st.binary(min_size=1, max_size=900)),
)


@settings(deadline=None)
@given(requests, _u16)
def test_frames_are_written_the_same(codec: Codec, message: Values, sequence: int) -> None:
    asked = bytes([message.type_code]) + struct.pack("<H", sequence) + message.pack()
    assert codec.ask(b"E", asked) == encode(message, sequence)


def test_a_payload_that_is_too_long_is_not_written(codec: Codec) -> None:
    assert codec.ask(b"E", b"\x83\0\0" + b"x" * MAX_PAYLOAD) != b""
    assert codec.ask(b"E", b"\x83\0\0" + b"x" * (MAX_PAYLOAD + 1)) == b""


def _lying_frame(version: int, type_code: int, length: int, payload: bytes) -> bytes:
    body = struct.pack("<BBHH", version, type_code, 7, length) + payload
    return b"\0" + stuff(body + struct.pack("<I", crc32(body))) + b"\0"


def _flipped(frame: bytes, at: int, by: int) -> bytes:
    at %= len(frame)
    return frame[:at] + bytes([frame[at] ^ by]) + frame[at + 1 :]


frames = st.builds(encode, requests, _u16)
pieces = st.one_of(
    frames,
    st.builds(_flipped, frames, st.integers(0, 2000), st.integers(1, 255)),
    st.builds(lambda frame, cut: frame[:cut], frames, st.integers(0, 60)),
    st.builds(_lying_frame, st.integers(0, 3), st.integers(0, 255), st.integers(0, 12), st.binary(max_size=12)),
    st.binary(max_size=60),
    st.integers(1000, 3000).map(lambda size: b"n" * size),
)


def _same(theirs: tuple[int, int, int, int, bytes], ours: Event) -> None:
    kind, version, type_code, sequence, payload = theirs
    if kind == DAMAGED:
        assert isinstance(ours, Damaged)
    elif kind == FOREIGN:
        assert ours == Foreign(version, type_code, sequence)
        assert version != 1
    elif isinstance(ours, Frame):
        assert (ours.sequence, ours.message.type_code, ours.message.pack()) == (sequence, type_code, payload)
    elif isinstance(ours, Foreign):
        # What a type means is the state machine's business there, and the decoder's here.
        assert ours == Foreign(1, type_code, sequence)
    else:
        with pytest.raises(ProtocolError):
            MESSAGES[type_code].unpack(payload)


@settings(deadline=None, max_examples=200)
@given(st.lists(pieces, max_size=8).map(b"".join))
def test_streams_are_read_the_same_whatever_is_wrong_with_them(codec: Codec, stream: bytes) -> None:
    decoder, ours = FrameDecoder(), []
    decoder.receive(stream)
    while (event := decoder.next_event()) is not None:
        ours.append(event)
    answer, theirs, at = codec.ask(b"D", stream), [], 0
    while at < len(answer):
        kind, version, type_code, sequence, size = struct.unpack_from("<BBBHH", answer, at)
        theirs.append((kind, version, type_code, sequence, answer[at + 7 : at + 7 + size]))
        at += 7 + size
    assert len(theirs) == len(ours)
    for theirs_one, ours_one in zip(theirs, ours, strict=True):
        _same(theirs_one, ours_one)


def test_worked_example_of_the_document_is_read(codec: Codec) -> None:
    text = (Path(__file__).parents[2] / "docs" / "serial_protocol.md").read_text()
    lines = text.split("## Worked example")[1].split("```")[1].splitlines()
    frames: list[bytes] = []
    for line in lines:
        if re.match(r"[<>] ", line):
            frames.append(bytes.fromhex(line[2:]))
        elif re.match(r"  [0-9a-f]{2} ", line):
            frames[-1] += bytes.fromhex(line)
    assert len(frames) == 9
    for frame in frames:
        assert codec.ask(b"D", frame)[0] == WHOLE


@pytest.mark.parametrize("size", [64, 200, 1024])
def test_sources_are_plain_c99_without_library(compiler: str, size: int, tmp_path: Path) -> None:
    for source in sorted(SOURCES.glob("*.c")):
        options = [*STRICT, "-Wconversion", "-Wshadow", "-ffreestanding", f"-DSTIBIUM_MAX_PAYLOAD={size}"]
        out = tmp_path / f"{source.stem}.o"
        done = subprocess.run(
            [compiler, *options, "-c", str(source), "-o", str(out)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        included = set(re.findall(r"#include <(\S+)>", source.read_text()))
        assert included <= {"string.h", "stdint.h"}, source
    for header in SOURCES.glob("*.h"):
        assert set(re.findall(r"#include <(\S+)>", header.read_text())) <= {"stdint.h", "stddef.h", "stdbool.h"}
    assert not re.search(
        r"\b(malloc|calloc|realloc|free|printf)\s*\(", "".join(p.read_text() for p in SOURCES.glob("*.[ch]"))
    )
    assert (HERE / "bridge_main.c").exists()
