"""Bytes to lines to answers to values, without a port: any piece size, any garbage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.errors import ProtocolError
from stibium.edge.instruments.profile import Profile, parse_profile, read_profile
from stibium.edge.instruments.profile_ascii import AsciiProfile
from stibium.edge.protocols.ascii_lines import (
    AnswerReader,
    AsciiAnswer,
    BadLine,
    LineDecoder,
    LineMarks,
    ValuesFormat,
    parse_number,
    parse_values,
)
from stibium.edge.simulators.ascii_instrument import VirtualAsciiInstrument

texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)


def in_pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def lines_of(decoder: LineDecoder) -> list[str | BadLine]:
    lines = []
    while (line := decoder.next_line()) is not None:
        lines.append(line)
    return lines


@given(st.lists(texts, max_size=8), st.sampled_from(["\n", "\r", "\r\n"]), st.lists(st.integers(0, 9), max_size=40))
def test_lines_come_out_whatever_the_pieces(lines: list[str], end: str, sizes: list[int]) -> None:
    decoder = LineDecoder(64)
    for piece in in_pieces("".join(line + end for line in lines).encode(), sizes):
        decoder.receive(piece)
    assert lines_of(decoder) == lines
    assert decoder.pending == 0
    assert decoder.give_up() is None


@given(st.binary(max_size=400), st.lists(st.integers(0, 50), max_size=20))
def test_garbage_never_raises_and_a_good_line_after_it_is_read(garbage: bytes, sizes: list[int]) -> None:
    decoder = LineDecoder(32)
    for piece in in_pieces(garbage, sizes):
        decoder.receive(piece)
        assert len(decoder._buffer) <= 32
    decoder.receive(b"\nOK\n")
    *before, last = lines_of(decoder)
    assert last == "OK"
    for line in before:
        assert isinstance(line, BadLine) or line.isascii()


def test_what_is_no_line_is_said() -> None:
    decoder = LineDecoder(16)
    decoder.receive(b"x" * 40)
    assert decoder.pending == 40
    decoder.receive(b"y\n12\xff4\n1234")
    assert lines_of(decoder) == [
        BadLine("a line of 41 bytes, where at most 16 are expected", 41),
        BadLine("a line of 4 bytes with byte 0xff, which is no text", 4),
    ]
    assert decoder.give_up() == BadLine("a line was cut off after 4 bytes", 4)
    decoder.receive(b"56\n")
    assert lines_of(decoder) == ["56"]


def read_answer(line: LineMarks, command: str, lines: list[str], wanted: int = 1) -> AsciiAnswer | None:
    reader = AnswerReader(line, command, wanted)
    for text in lines:
        answer = reader.take(text)
        if answer is not None:
            return answer
    return None


def test_answers_with_and_without_marks() -> None:
    at = LineMarks(ok="OK", error="ERROR", ignore="#")
    assert read_answer(at, "ATDATA", ["ATDATA", "# warm", "1,2 OK"]) == AsciiAnswer(("1,2",))
    assert read_answer(at, "ATDATA", ["1", "2", "OK"]) == AsciiAnswer(("1", "2"))
    assert read_answer(at, "AT", ["OK"]) == AsciiAnswer(())
    assert read_answer(at, "AT", ["ERROR 5"]) == AsciiAnswer((), "ERROR 5")
    assert read_answer(at, "AT", ["1", "2"]) is None
    # A second echo is no echo: it is what the instrument says.
    assert read_answer(at, "7", ["7", "7", "OK"]) == AsciiAnswer(("7",))
    assert read_answer(LineMarks(), "S", ["S", "1 2 3"]) == AsciiAnswer(("1 2 3",))
    assert read_answer(LineMarks(), "S", ["1", "2", "3"], 3) == AsciiAnswer(("1", "2", "3"))


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e999", "0x10", "1,5", "--1", "1 2", "1_000", "½", "OK"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ProtocolError, match="number"):
        parse_number(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_was(value: float) -> None:
    assert parse_number(repr(value)) == value


ONE = ValuesFormat(prefix="S:", suffix=";", skip=1)
BAND = ValuesFormat(lines="per_band", separator=" ", value_column=2, wavelength_column=1)


def test_values_of_one_line_and_of_many() -> None:
    values, nm = parse_values(["S:7,1,2.5,3e1;"], ONE, 3)
    assert values.tolist() == [1.0, 2.5, 30.0]
    assert nm is None
    values, nm = parse_values(["400  1", "410  2"], BAND, 0)
    assert values.tolist() == [1.0, 2.0]
    assert nm is not None
    assert nm.tolist() == [400.0, 410.0]


@pytest.mark.parametrize(
    ("lines", "layout", "count", "says"),
    [
        (["S:7,1,2;"], ONE, 3, "2 values, where 3 are due"),
        (["S:7,1,2,3,4;"], ONE, 3, "4 values, where 3 are due"),
        (["S:7,1,2,3"], ONE, 3, "lacks ';'"),
        (["7,1,2,3;"], ONE, 3, "lacks 'S:'"),
        (["S:7,1,x,3;"], ONE, 3, "value 2: 'x' is no number"),
        (["S:7,1,,3;"], ONE, 3, "value 2: '' is no number"),
        (["S:7,1", "2,3;"], ONE, 3, "2 lines, where one"),
        ([], ONE, 3, "0 lines"),
        (["400 1", "410"], BAND, 2, "line 2 has 1 columns; 2 are needed"),
        (["400 1"], BAND, 2, "1 values, where 2 are due"),
        (["x 1"], BAND, 1, "wavelength in line 1: 'x' is no number"),
    ],
)
def test_values_that_are_not_exactly_as_described_are_refused(
    lines: list[str], layout: ValuesFormat, count: int, says: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_values(lines, layout, count)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@st.composite
def dialects(draw: st.DrawFn) -> Profile:
    """Any dialect in which values can be said."""
    per_band = draw(st.booleans())
    ok = draw(st.sampled_from(["OK", "DONE", ">"])) if per_band else draw(st.sampled_from(["OK", ">", ""]))
    own_nm = per_band and draw(st.booleans())
    delivers = draw(st.sampled_from(["counts", "reflectance", "percent"]))
    column = draw(st.integers(1, 3))
    line_end = draw(st.sampled_from(["\\n", "\\r", "\\r\\n"]))
    text = f"""
    protocol = "ascii"
    [ascii]
    ok = "{ok}"
    line_end = "{line_end}"
    [ascii.commands]
    acquire = "{draw(st.sampled_from(["SCAN {scans}", "S"]))}"
    [ascii.values]
    delivers = "{delivers}"
    lines = "{"per_band" if per_band else "one"}"
    separator = "{draw(st.sampled_from([" ", ",", ";", "|"]))}"
    prefix = "{draw(st.sampled_from(["", "S:", "$"]))}"
    suffix = "{draw(st.sampled_from(["", "*", " end"]))}"
    {f"skip = {draw(st.integers(0, 3))}" if not per_band else f"value_column = {column}"}
    {f"wavelength_column = {column % 3 + 1}" if own_nm else ""}
    {"" if own_nm else "[ascii.wavelengths]"}
    {"" if own_nm else "nm = [610, 410, 800]"}
    """
    return parse_profile(text, "drawn")


@given(dialects(), st.lists(st.floats(0.0, 1.2), min_size=3, max_size=3))
def test_what_a_virtual_instrument_says_is_read_as_it_was_meant(profile: Profile, reflectance: list[float]) -> None:
    settings = profile.ascii
    assert settings is not None
    settings = replace(settings, values=replace(settings.values, **dark_of(settings)))
    nm = np.array([610.0, 410.0, 800.0])
    instrument = VirtualAsciiInstrument(settings, [np.array(reflectance)], nm)
    command = settings.commands.acquire.replace("{scans}", "2")
    instrument.receive((command + settings.line.line_end).encode(), 0.0)
    decoder = LineDecoder(settings.line.longest_line)
    for piece in instrument.outgoing(0.0):
        decoder.receive(piece)
    notice, *lines = lines_of(decoder)
    assert isinstance(notice, str)
    assert notice.startswith("#stibium virtual")
    answer = read_answer(settings.line, command, [str(line) for line in lines])
    assert answer is not None
    values, own_nm = parse_values(answer.lines, settings.values, 3)
    if settings.values.delivers == "counts":
        white = instrument._white
        assert np.allclose(values, np.array(reflectance) * white, atol=0.51)
    else:
        scale = 100 if settings.values.delivers == "percent" else 1
        assert np.allclose(values / scale, reflectance, atol=1e-6)
    if settings.values.wavelength_column:
        assert own_nm is not None
        assert own_nm.tolist() == nm.tolist()


def dark_of(settings: AsciiProfile) -> dict[str, str]:
    return {"dark": "subtracted"} if settings.values.delivers == "counts" else {}


def test_as7265x_values_are_put_to_their_filters() -> None:
    settings = read_profile("as7265x").ascii
    assert settings is not None
    assert settings.values.dark == "lamp_off"
    assert sorted(settings.wavelengths_nm) == [
        410, 435, 460, 485, 510, 535, 560, 585, 610, 645, 680, 705, 730, 760, 810, 860, 900, 940,
    ]  # fmt: skip
    # R, the first value, is 610 nm; A, the thirteenth, 410 nm; L, the twelfth, 940 nm.
    assert [settings.wavelengths_nm[i] for i in (0, 12, 11)] == [610, 410, 940]
