"""The ASD FieldSpec's protocol: what is said, what is understood, and what can never be said."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.errors import ProtocolError
from stibium.edge.protocols import fieldspec_messages
from stibium.edge.protocols.fieldspec import ReplyBuffer, reply_bytes
from stibium.edge.protocols.fieldspec_messages import (
    CHANNELS,
    ERROR_CLASSES,
    ERRORS,
    Abort,
    AcquireScans,
    Command,
    Control,
    DetectorNumber,
    GetVersion,
    Optimise,
    ReadValue,
    Restore,
    Setting,
    explain,
    integration_ms,
)
from stibium.edge.protocols.fieldspec_replies import (
    Acquired,
    AcquireHead,
    AnyReply,
    Controlled,
    FlashSettings,
    Optimised,
    SwirHead,
    Value,
    Version,
    VnirHead,
)

i32 = st.integers(-(2**31), 2**31 - 1)
doubles = st.floats(allow_nan=False)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,28}", fullmatch=True)
good = {"header": st.just(100), "errbyte": st.just(0)}
vnirs = st.builds(VnirHead, *[i32] * 8)
swirs = st.builds(SwirHead, *[i32] * 13)
pairs = st.lists(st.tuples(names, doubles), max_size=200).map(tuple)


def heads(kind: int) -> st.SearchStrategy[AcquireHead]:
    common = [i32] * 8
    return st.builds(
        AcquireHead, st.just(100), st.just(0), *common, st.just(kind), i32, vnir=vnirs, swir1=swirs, swir2=swirs
    )


def acquired(kind: int) -> st.SearchStrategy[Acquired]:
    seeds = st.integers(0, 2**32 - 1)
    return st.builds(lambda head, seed: Acquired(head, _some_values(CHANNELS[kind], seed)), heads(kind), seeds)


def _some_values(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-100, 65535, count).astype(np.float32).astype(np.float64)


control_arguments = st.tuples(st.sampled_from(DetectorNumber), st.sampled_from(Setting), st.integers(0, 1)).filter(
    lambda c: c[0] == DetectorNumber.VNIR or c[1] not in (Setting.INTEGRATION, Setting.SHUTTER)
)
exchanges: st.SearchStrategy[tuple[Command, int, AnyReply]] = st.one_of(
    st.tuples(
        st.just(GetVersion()), st.just(13), st.builds(Version, **good, text=names, value=doubles, instrument_type=i32)
    ),
    st.tuples(st.just(Restore()), st.just(13), st.builds(FlashSettings, **good, values=pairs, count=i32, checksum=i32)),
    st.tuples(names.map(ReadValue), st.just(13), st.builds(Value, **good, name=names, value=doubles, count=i32)),
    st.tuples(st.just(Optimise()), st.just(13), st.builds(Optimised, st.just(100), st.just(0), *[i32] * 5)),
    st.tuples(
        control_arguments.map(lambda c: Control(*c)),
        st.just(13),
        st.builds(Controlled, st.just(100), st.just(0), *[i32] * 3),
    ),
    st.tuples(st.just(Abort()), st.just(13), st.builds(Value, **good, name=names, value=doubles, count=i32)),
    st.sampled_from(sorted(CHANNELS)).flatmap(
        lambda kind: st.tuples(st.builds(AcquireScans, st.integers(1, 32767)), st.just(kind), acquired(kind))
    ),
)


# --- what is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "bytes_"),
    [
        (GetVersion(), b"V"),
        (Restore(), b"RESTORE,1"),
        (ReadValue("SerialNumber"), b"INIT,0,SerialNumber"),
        (Optimise(), b"OPT,7"),
        (Optimise(("SWIR2", "VNIR")), b"OPT,5"),
        (Control(DetectorNumber.VNIR, Setting.SHUTTER, 1), b"IC,2,3,1"),
        (Control(DetectorNumber.VNIR, Setting.INTEGRATION, -1), b"IC,2,0,-1"),
        (Control(DetectorNumber.SWIR2, Setting.GAIN, 4096), b"IC,1,1,4096"),
        (AcquireScans(40), b"A,1,40"),
        (Abort(), b"ABORT"),
    ],
)
def test_commands_are_written_as_the_guide_writes_them(command: Command, bytes_: bytes) -> None:
    assert command.pack() == bytes_


anything = st.one_of(
    st.integers(), st.text(max_size=40), st.none(), st.booleans(), st.floats(), st.binary(max_size=8),
    st.sampled_from(["ERASE", "SAVE", "1", "2", "0,X", "X\nSAVE", "X,1", "A\0", "INIT,1", "INIT,2,X,5", "RESTORE,0"]),
    names,
)  # fmt: skip
detector_names = st.lists(st.one_of(st.sampled_from(["VNIR", "SWIR1", "SWIR2"]), st.text(max_size=5)), max_size=4)
ALLOWED = {
    b"V", b"RESTORE,1", b"ABORT", *(b"OPT,%d" % mask for mask in range(1, 8)),
}  # fmt: skip


def _harmless(data: bytes) -> bool:
    parts = data.split(b",")
    if data in ALLOWED:
        return True
    if parts[0] == b"INIT":
        return len(parts) == 3 and parts[1] == b"0" and parts[2].isalnum() and len(parts[2]) <= 30
    if parts[0] == b"A":
        return len(parts) == 3 and parts[1] == b"1" and parts[2].isdigit() and 1 <= int(parts[2]) <= 32767
    if parts[0] == b"IC":
        detector, setting, value = (int(part) for part in parts[1:])
        ranges = {0: (-1, 15), 1: (0, 4096), 2: (0, 4096), 3: (0, 1), 4: (0, 1)}
        return 0 <= detector <= 2 and ranges[setting][0] <= value <= ranges[setting][1]
    return False


@given(kind=st.sampled_from(get_args(Command)), arguments=st.lists(anything, max_size=3), chosen=detector_names)
def test_no_command_can_be_made_to_write_the_flash(
    kind: Callable[..., Command], arguments: list[Any], chosen: list[str]
) -> None:
    try:
        command = kind(tuple(chosen)) if kind is Optimise else kind(*arguments)
    except (ProtocolError, TypeError):
        return
    assert _harmless(command.pack())


def test_nothing_in_the_product_spells_a_command_that_writes_the_flash() -> None:
    folder = Path(fieldspec_messages.__file__).parent
    source = "".join(path.read_text("utf-8") for path in sorted(folder.glob("fieldspec*.py")))
    assert "RESTORE,1" in source
    for word in ("ERASE", '"SAVE', "INIT,1", "INIT,2", "RESTORE,0"):
        assert word not in source
    assert {kind.__name__ for kind in get_args(Command)} == {
        "GetVersion", "Restore", "ReadValue", "Optimise", "Control", "AcquireScans", "Abort",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", "A,B", "A B", "x" * 31, "SerialNumber\n", "9x", "Ä", "1", b"Serial", None])
def test_a_name_that_could_be_more_is_refused(name: Any) -> None:
    with pytest.raises(ProtocolError, match="name of a setting"):
        ReadValue(name)


@pytest.mark.parametrize(
    ("detector", "setting", "value", "says"),
    [
        (2, 0, 16, "integration 16; a whole number from -1 to 15"),
        (2, 0, -2, "integration -2"),
        (0, 1, 4097, "gain 4097"),
        (1, 2, -1, "offset -1"),
        (2, 3, 2, "shutter 2"),
        (2, 3, True, "shutter True"),
        (3, 3, 1, "detector 3"),
        (2, 5, 1, "setting 5"),
        (0, 3, 1, "SWIR1 has no shutter"),
        (1, 0, 1, "SWIR2 has no integration"),
    ],
)
def test_instrument_control_keeps_its_ranges(detector: Any, setting: Any, value: Any, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        Control(detector, setting, value)


@pytest.mark.parametrize("scans", [0, -1, 32768, 1.0, "40", True])
def test_scans_keep_their_range(scans: Any) -> None:
    with pytest.raises(ProtocolError, match="scans"):
        AcquireScans(scans)


# --- codes -----------------------------------------------------------------------------------------------


def test_every_code_has_words_and_unknown_ones_their_number() -> None:
    for header, words in ERROR_CLASSES.items():
        assert words in explain(header, 0)
        assert str(header) in explain(header, 0)
    for errbyte, words in ERRORS.items():
        assert explain(100, errbyte) == f"{words} ({errbyte})"
    assert sorted(ERROR_CLASSES) == list(range(200, 1000, 100))
    assert explain(800, -15) == "optimisation failed (800): VNIR could not be optimised (-15)"
    assert "1234" in explain(1234, -99)
    assert "-99" in explain(1234, -99)
    assert "does not name" in explain(100, -99)
    assert explain(100, 0) == "no error"


def test_integration_times_double() -> None:
    assert [integration_ms(step) for step in (-1, 0, 1, 2, 15)] == [8.5, 17.0, 34.0, 68.0, 17.0 * 2**15]
    with pytest.raises(ProtocolError):
        integration_ms(16)


# --- lengths and layouts ---------------------------------------------------------------------------------


def test_replies_have_the_lengths_of_the_guide() -> None:
    assert [reply_bytes(c, None) for c in (GetVersion(), Restore(), ReadValue("X"), Optimise(), Abort())] == [
        50, 7616, 50, 28, 50,
    ]  # fmt: skip
    assert reply_bytes(Control(DetectorNumber.VNIR, Setting.SHUTTER, 0), None) == 20
    channels = {1: 701, 4: 801, 5: 1502, 8: 701, 9: 1402, 12: 1502, 13: 2151}
    for kind, count in channels.items():
        assert reply_bytes(AcquireScans(1), kind) == 256 + 4 * count
    assert reply_bytes(AcquireScans(1), 13) == 8860
    for kind in (None, 0, 2, 14):
        with pytest.raises(ProtocolError, match="channels it has is not known"):
            reply_bytes(AcquireScans(1), kind)


def test_each_number_of_the_header_has_its_place() -> None:
    head = AcquireHead.unpack(struct.pack(">64i", *range(64)))
    assert (head.header, head.errbyte, head.sample_count, head.voltage, head.current) == (0, 1, 2, 4, 5)
    assert (head.temperature, head.instrument_hours, head.instrument_minutes) == (6, 8, 9)
    assert (head.instrument_type, head.ab) == (10, 11)
    assert head.vnir == VnirHead(*range(16, 24))
    assert (head.vnir.saturation, head.vnir.shutter, head.vnir.drift, head.vnir.dark_subtracted) == (20, 21, 22, 23)
    assert head.swir1 == SwirHead(*range(32, 45))
    assert (head.swir1.tec_status, head.swir1.gain, head.swir1.offset, head.swir1.dark_subtracted) == (32, 40, 41, 44)
    assert head.swir2 == SwirHead(*range(48, 61))


def test_names_end_at_their_zero_byte() -> None:
    value = Value.unpack(struct.pack(">ii30sdi", 100, 0, b"SerialNumber\0left over memory", 18001.0, 1))
    assert (value.name, value.value) == ("SerialNumber", 18001.0)
    version = Version.unpack(struct.pack(">ii30sdi", 100, 0, b"\xff\xfefull thirty bytes, no end....", 1.5, 13))
    assert version.instrument_type == 13
    assert version.value == 1.5


@given(exchanges)
def test_a_reply_packed_is_read_again(exchange: tuple[Command, int, AnyReply]) -> None:
    command, kind, reply = exchange
    data = reply.pack()
    assert len(data) == reply_bytes(command, kind)
    _same(type(reply).unpack(data), reply)


def _same(found: AnyReply | None, sent: AnyReply) -> None:
    if isinstance(sent, Acquired):
        assert isinstance(found, Acquired)
        assert found.head == sent.head
        np.testing.assert_array_equal(found.values, sent.values)
    else:
        assert found == sent


# --- receiving -------------------------------------------------------------------------------------------


@given(st.lists(exchanges, min_size=1, max_size=4), st.data())
def test_any_splitting_gives_the_same_replies(sent: list[tuple[Command, int, AnyReply]], data: st.DataObject) -> None:
    buffer = ReplyBuffer()
    for command, kind, reply in sent:
        raw = reply.pack()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
        buffer.expect(command, kind)
        for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
            if start < len(raw):
                assert buffer.next_reply() is None
                assert buffer.missing == len(raw) - start
            buffer.receive(raw[start:end])
        _same(buffer.next_reply(), reply)
        assert buffer.pending == buffer.missing == 0


def test_one_byte_at_a_time() -> None:
    reply = Acquired(AcquireHead(100, 0, instrument_type=13), np.arange(2151.0))
    buffer = ReplyBuffer()
    buffer.expect(AcquireScans(1), 13)
    raw = reply.pack()
    for byte in raw[:-1]:
        buffer.receive(bytes([byte]))
        assert buffer.next_reply() is None
    buffer.receive(raw[-1:])
    _same(buffer.next_reply(), reply)


@given(exchanges, st.integers(1, 300))
def test_what_goes_on_after_its_end_is_no_reply(exchange: tuple[Command, int, AnyReply], extra: int) -> None:
    command, kind, reply = exchange
    buffer = ReplyBuffer()
    buffer.expect(command, kind)
    buffer.receive(reply.pack() + bytes(extra))
    with pytest.raises(ProtocolError, match=f"{extra} bytes more"):
        buffer.next_reply()


@given(exchanges, st.floats(0, 0.999))
def test_a_truncated_reply_is_none(exchange: tuple[Command, int, AnyReply], part: float) -> None:
    command, kind, reply = exchange
    raw = reply.pack()
    buffer = ReplyBuffer()
    buffer.expect(command, kind)
    buffer.receive(raw[: int(len(raw) * part)])
    assert buffer.next_reply() is None
    assert buffer.missing == len(raw) - int(len(raw) * part)


@given(exchanges, st.lists(st.binary(max_size=3000), max_size=5))
def test_garbage_is_a_protocol_error_or_a_reply_never_anything_else(
    exchange: tuple[Command, int, AnyReply], pieces: list[bytes]
) -> None:
    command, kind, _ = exchange
    buffer = ReplyBuffer()
    buffer.expect(command, kind)
    reply, error = None, ""
    for piece in pieces:
        buffer.receive(piece)
        try:
            reply = buffer.next_reply()
        except ProtocolError as caught:
            error = str(caught)
        if reply is not None or error:
            break
    else:
        assert buffer.pending == sum(map(len, pieces)) < reply_bytes(command, kind)
    assert "\n" not in error


def test_text_in_place_of_a_reply_is_told_apart_at_once() -> None:
    buffer = ReplyBuffer()
    buffer.expect(AcquireScans(1), 13)
    buffer.receive(b"ASD FR TCP")
    with pytest.raises(ProtocolError, match="as no reply to A,1,1 does"):
        buffer.next_reply()


@pytest.mark.parametrize("other", [1, 5, 12])
def test_a_measurement_of_another_type_is_refused_before_its_end(other: int) -> None:
    buffer = ReplyBuffer()
    buffer.expect(AcquireScans(1), 13)
    buffer.receive(Acquired(AcquireHead(100, 0, instrument_type=other), np.zeros(CHANNELS[other])).pack()[:300])
    with pytest.raises(ProtocolError, match=f"type {other} .* where type 13 is connected"):
        buffer.next_reply()


def test_one_channel_too_few_never_becomes_a_reply() -> None:
    buffer = ReplyBuffer()
    buffer.expect(AcquireScans(1), 13)
    buffer.receive(Acquired(AcquireHead(100, 0, instrument_type=13), np.zeros(2150)).pack())
    assert buffer.next_reply() is None
    assert buffer.missing == 4
    with pytest.raises(ProtocolError, match="still to come"):
        buffer.expect(GetVersion())


def test_bytes_that_nobody_asked_for_are_never_a_reply() -> None:
    buffer = ReplyBuffer()
    buffer.receive(Version(100, 0, "1.5", 1.5, 13).pack())
    with pytest.raises(ProtocolError, match="50 bytes that belong to no command"):
        buffer.next_reply()
    with pytest.raises(ProtocolError, match="50 bytes that belong to no command"):
        buffer.expect(GetVersion())


def test_an_error_is_known_from_its_first_eight_bytes_and_whole_at_its_length() -> None:
    reply = Optimised(800, -16, 0, 0, 0, 0, 0)
    buffer = ReplyBuffer()
    buffer.expect(Optimise())
    buffer.receive(reply.pack()[:7])
    assert buffer.refusal() is None
    buffer.receive(reply.pack()[7:12])
    refusal = buffer.refusal()
    assert refusal is not None
    assert not refusal.good
    assert refusal.explained == "optimisation failed (800): SWIR1 could not be optimised (-16)"
    assert buffer.next_reply() is None
    buffer.receive(reply.pack()[12:])
    found = buffer.next_reply()
    assert found == reply
    assert isinstance(found, Optimised)
    assert not found.good


def test_a_good_measurement_header_is_no_refusal_and_an_error_header_is() -> None:
    assert AcquireHead(100, 0).good
    assert not AcquireHead(100, -1).good
    assert not Acquired(AcquireHead(200, 0)).good
    assert Acquired(AcquireHead(200, -12)).explained == "measuring failed (200): VNIR not ready (-12)"
