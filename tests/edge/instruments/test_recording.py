"""Recordings of a port: written as they come, read back whole, cut or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from framed_samples import a_head, some_spectra
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.errors import RecordingError
from stibium.edge.instruments.recording import (
    EndOfRecordingError,
    RecordingWriter,
    ReplayPort,
    decode_pieces,
    decode_recording,
    read_recording,
)
from stibium.edge.protocols.framed import encode
from stibium.edge.protocols.framed_messages import Identify
from stibium.edge.protocols.framed_transfer import split


def instrument_bytes(numbers: range = range(1, 4)) -> bytes:
    data = b""
    for number, spectrum in zip(numbers, some_spectra(len(numbers)), strict=True):
        head, pieces = split(a_head(number), spectrum.values, 1000)
        data += b"".join(encode(m, 100 * number + i) for i, m in enumerate([head, *pieces]))
    return data


def test_what_is_written_is_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "rec.txt"
    with RecordingWriter(path, "port /dev/ttyX\nsecond line") as record:
        record("!", b"opened /dev/ttyX")
        record(">", encode(Identify(), 1))
        record("<", bytes(range(256)))
        # Not closed yet: every piece is in the file already.
        pieces = list(read_recording(path))
        assert [(p.direction, p.data) for p in pieces] == [
            ("!", b"opened /dev/ttyX"),
            (">", encode(Identify(), 1)),
            ("<", bytes(range(256))),
        ]
        record("<", b"")
    times = [piece.at_s for piece in read_recording(path)]
    assert times == sorted(times)
    head = path.read_text().splitlines()[:3]
    assert head[:2] == ["# stibium recording 1", "# port /dev/ttyX second line"]
    assert head[2].startswith("# started 20")


@given(st.lists(st.tuples(st.sampled_from("<>"), st.binary(max_size=50)), min_size=1, max_size=10), st.data())
def test_a_recording_cut_anywhere_gives_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "rec.txt"
    with RecordingWriter(path) as record:
        for direction, piece in written:
            record(direction, piece)  # type: ignore[arg-type]
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    cut = data.draw(st.integers(first, len(whole)))
    path.write_bytes(whole[:cut])
    lines = whole[:cut].count(b"\n") - 3
    assert [(p.direction, p.data) for p in read_recording(path)] == written[: max(lines, 0)]


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "rec.txt"
    path.write_text("precious")
    with pytest.raises(RecordingError, match="is there already; name another file"):
        RecordingWriter(path)
    assert path.read_text() == "precious"
    with pytest.raises(RecordingError, match="cannot record there: No such file or directory"):
        RecordingWriter(tmp_path / "no" / "rec.txt")


def test_a_recording_of_nothing_is_not_left_to_forbid_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rec.txt"
    with pytest.raises(OSError, match="no such port"), RecordingWriter(path, "port /dev/ttyX"):
        raise OSError("no such port")
    assert not path.exists()
    with RecordingWriter(path) as record:
        record("!", b"opened /dev/ttyX")
    assert path.exists()


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "rec.txt") as record:
        record._file.close()
        record._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        with pytest.raises(RecordingError, match="rec.txt: cannot record any more: No space left"):
            record("<", b"x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "not a recording"),
        (b"hello\n", "not a recording: its first line is not"),
        (b"\xff\xfe\n", "not a recording: it is not text"),
        (b"# stibium recording 1\n0.1 < 0g\n", "line 2: not `seconds direction bytes`"),
        (b"# stibium recording 1\nx < 00\n", "line 2"),
        (b"# stibium recording 1\n0.1\n", "line 2"),
        (b"# stibium recording 1\n# note\n0.1 = 00\n", "line 3: direction '=' is none of < > !"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "rec.txt"
    path.write_bytes(text)
    with pytest.raises(RecordingError, match="rec.txt") as caught:
        list(read_recording(path))
    assert says in str(caught.value)
    with pytest.raises(RecordingError, match="No such file"):
        list(read_recording(tmp_path / "none"))


def test_decoding_reports_what_is_there_and_what_is_missing(tmp_path: Path) -> None:
    data = instrument_bytes()
    decoded = decode_pieces([data])
    assert [m.head.measurement for m in decoded.measurements] == [1, 2, 3]
    assert (decoded.frames, decoded.damaged, decoded.unfinished) == (30, 0, ())
    cut = data[: len(data) // 2]
    decoded = decode_pieces([b"noise\0", cut[:1], cut[1:]])
    assert [m.head.measurement for m in decoded.measurements] == [1]
    assert decoded.damaged == 1
    (rest,) = decoded.unfinished
    assert (rest.measurement, rest.frame_count) == (2, 9)


def test_only_the_instruments_bytes_are_replayed(tmp_path: Path) -> None:
    path = tmp_path / "rec.txt"
    data = instrument_bytes()
    with RecordingWriter(path) as record:
        record("!", b"opened")
        record("<", data[:3000])
        record(">", encode(Identify(), 1))
        record("<", data[3000:])
    assert decode_recording(path).frames == 30
    port = ReplayPort(path)
    port.write(b"nobody reads this")
    assert port.read(0.0) + port.read(0.0) == data
    with pytest.raises(EndOfRecordingError, match="at its end"):
        port.read(0.0)
