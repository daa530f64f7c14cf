"""docs/serial_protocol.md is held to its word: its tables decode every message, its example is decoded."""

from __future__ import annotations

import re
import struct
from dataclasses import fields
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from framed_samples import messages
from hypothesis import given, settings
from stibium.edge.protocols.cobs import stuff
from stibium.edge.protocols.framed import Frame, FrameDecoder, encode
from stibium.edge.protocols.framed_fields import Message
from stibium.edge.protocols.framed_messages import MESSAGES, FaultCode, Feature, Resend

DOC = (Path(__file__).parents[3] / "docs" / "serial_protocol.md").read_text("utf-8")
FORMATS = {"uint8": "<B", "uint16": "<H", "uint32": "<I", "int16": "<h", "float32": "<f"}


def table_rows(text: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def sections() -> dict[int, list[list[str]]]:
    """Type code -> rows (offset, size, type, field, meaning)."""
    found = re.findall(r"^### [\w ]+ \(0x([0-9A-F]{2})\)\n(.*?)(?=^##|\Z)", DOC, re.MULTILINE | re.DOTALL)
    return {int(code, 16): [row for row in table_rows(text) if len(row) == 5] for code, text in found}


def decode_by_table(payload: bytes, rows: list[list[str]]) -> dict[str, Any]:
    """Take a payload apart with nothing but the document's table."""
    at, values = 0, {}
    for offset, size, kind, field, _ in rows:
        if offset:
            assert int(offset) == at or field in ("count", "first"), f"{field} is said to be at {offset}"
        if kind == "text":
            length = payload[at]
            values[field] = payload[at + 1 : at + 1 + length].decode()
            at += 1 + length
        elif kind == "bytes":
            values[field] = payload[at:]
            at = len(payload)
        else:
            assert struct.calcsize(FORMATS[kind]) == int(size)
            repeat = values["splices"] if field == "splices_nm" else 1
            numbers = struct.unpack_from("<" + FORMATS[kind][1] * repeat, payload, at)
            values[field] = numbers if field == "splices_nm" else numbers[0]
            at += int(size) * repeat
    assert at == len(payload)
    return values


def test_every_message_has_its_section() -> None:
    assert sections().keys() == MESSAGES.keys()


@settings(max_examples=400)
@given(messages)
def test_the_tables_decode_every_message(message: Message) -> None:
    rows = sections()[message.type_code]
    payload = message.pack()
    if isinstance(message, Resend):
        head, *gap = rows
        count = decode_by_table(payload[:1], [head])["ranges"]
        assert [row[3] for row in gap] == ["first", "count"]
        assert struct.unpack(f"<{2 * count}H", payload[1:]) == tuple(n for pair in message.ranges for n in pair)
        return
    decoded = decode_by_table(payload, rows)
    decoded.pop("splices", None)
    assert decoded == {field.name: getattr(message, field.name) for field in fields(message)}


def test_header_and_checksum_are_as_described() -> None:
    rows = table_rows(DOC.split("## Frames")[1].split("## From the host")[0])
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("0", "1", "version"),
        ("1", "1", "type"),
        ("2", "2", "sequence"),
        ("4", "2", "length"),
        ("6", "length", "payload"),
        ("6 + length", "4", "crc"),
    ]
    assert f"0x{crc32(b'123456789'):08X}" in DOC


def test_the_codes_are_all_there() -> None:
    codes = table_rows(DOC.split("### Fault")[1].split("## What the host")[0])
    assert [int(row[0]) for row in codes if row[0].isdigit() and len(row) == 3] == [int(code) for code in FaultCode]
    (features,) = [row[4] for row in sections()[0x81] if row[3] == "features"]
    assert [int(n) for n in re.findall(r"\b(\d+) ", features)] == [feature.value for feature in Feature]


def example() -> list[tuple[str, bytes, str]]:
    """(direction, bytes of the frame, what the document says they say) of the worked example."""
    block = DOC.split("## Worked example")[1].split("```")[1]
    found = re.findall(r"^([<>]) ((?:[0-9a-f]{2}\s+)+)(\d+: .*?)(?=^[<>]|\Z)", block, re.MULTILINE | re.DOTALL)
    return [(way, bytes.fromhex(digits), " ".join(says.split())) for way, digits, says in found]


def test_the_worked_example_decodes_to_what_it_says() -> None:
    frames = example()
    assert len(frames) == 9
    for way, data, says in frames:
        decoder = FrameDecoder()
        decoder.receive(data)
        event = decoder.next_event()
        assert isinstance(event, Frame)
        assert decoder.next_event() is None
        assert decoder.pending == 0
        assert f"{event.sequence}: {event.message!r}" == says
        assert (way == "<") == (event.message.type_code >= 0x80)
        assert encode(event.message, event.sequence) == data


def test_the_frame_taken_apart_is_the_one_of_the_example() -> None:
    rows = table_rows(DOC.split("byte by byte")[1].split("## Recordings")[0])
    body = bytes.fromhex("".join(row[0] for row in rows))
    assert b"\0" + stuff(body) + b"\0" == example()[2][1]
    assert body[-4:] == struct.pack("<I", crc32(body[:-4]))


@pytest.mark.parametrize("heading", ["## Recordings"])
def test_the_recording_shown_is_one(tmp_path: Path, heading: str) -> None:
    from stibium.edge.instruments.recording import decode_recording, read_recording

    lines = [line[4:] for line in DOC.split(heading)[1].splitlines() if line.startswith("    ")]
    path = tmp_path / "shown.txt"
    path.write_text("\n".join(lines) + "\n")
    pieces = list(read_recording(path))
    assert [piece.direction for piece in pieces] == ["!", ">"]
    assert decode_recording(path).frames == 0
