"""The hosts of all protocols alone: bytes and times in, bytes and events out; nothing waits, nothing is opened."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from framed_samples import messages
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.edge.errors import InstrumentError, NoReplyError, PortError, PortGoneError, ProtocolError
from stibium.edge.protocols.ascii_host import Answered, AsciiHost, Quiet
from stibium.edge.protocols.ascii_lines import LineMarks
from stibium.edge.protocols.fieldspec_host import FieldSpecHost, Greeted, Replied
from stibium.edge.protocols.fieldspec_messages import GetVersion
from stibium.edge.protocols.fieldspec_replies import Version
from stibium.edge.protocols.framed import Frame, FrameDecoder, encode
from stibium.edge.protocols.framed_fields import Message
from stibium.edge.protocols.framed_host import FramedHost, Identified
from stibium.edge.protocols.framed_messages import Acquire, Feature, GetStatus, Identification, Identify, Kind
from stibium.edge.protocols.host import Host, HostEvent, Output, Problem, Send, Timeouts

TIMEOUTS = Timeouts(reply_s=1.0, quiet_s=0.1, keepalive_s=10.0, request_attempts=3)
WHO = Identification(7, Feature.BUTTON, 400.0, 1.0, 5, 0, 64, (), "probe", "1", "")


def sent(outputs: list[Output]) -> list[Message]:
    decoder = FrameDecoder()
    for output in outputs:
        if isinstance(output, Send):
            decoder.receive(output.data)
    messages = []
    while (event := decoder.next_event()) is not None:
        assert isinstance(event, Frame)
        messages.append(event.message)
    return messages


def events(outputs: list[Output]) -> list[HostEvent]:
    return [output for output in outputs if isinstance(output, HostEvent)]


def pass_time(host: Host, from_s: float, to_s: float) -> list[Output]:
    """Call the host whenever it wants to be called."""
    outputs: list[Output] = []
    for _ in range(500):
        if host.next_due_s() > to_s:
            return outputs
        from_s = max(from_s, host.next_due_s())
        outputs += host.due(from_s)
    raise AssertionError("it wants to be called without end")


def framed() -> FramedHost:
    return FramedHost(TIMEOUTS, 115200, random.Random(1))


def test_a_question_is_asked_again_until_nobody_is_taken_to_be_there() -> None:
    host = framed()
    assert sent(host.opened(50.0)) == [Identify()]
    assert host.next_due_s() == 51.0
    assert host.due(50.9) == []
    outputs = pass_time(host, 50.0, 60.0)
    assert sent(outputs) == [Identify(), Identify()]
    assert events(outputs) == [
        Problem(PortError, "silent: no answer in 3 s; is the instrument switched on, and on this port?")
    ]
    assert host.next_due_s() == math.inf


def test_an_open_line_is_kept_alive_and_found_dead() -> None:
    host = framed()
    host.opened(0.0)
    assert events(host.receive(encode(WHO, 1), 0.5)) == [Identified(WHO)]
    outputs = pass_time(host, 0.5, 45.0)
    assert sent(outputs) == [GetStatus()] * 3
    assert events(outputs) == [Problem(PortGoneError, "3 requests were not answered")]


def test_over_a_new_connection_the_same_request_is_asked_for() -> None:
    host = framed()
    host.opened(0.0)
    host.receive(encode(WHO, 1), 0.0)
    host.want(Kind.TARGET, 5)
    (first,) = sent(host.request(1.0))
    assert isinstance(first, Acquire)
    assert (first.kind, first.scans) == (Kind.TARGET, 5)
    host.opened(2.0)
    host.receive(encode(WHO, 1), 2.0)
    assert sent(host.request(2.5)) == [first]
    host.want(Kind.TARGET, 5)
    (second,) = sent(host.request(3.0))
    assert isinstance(second, Acquire)
    assert second.request != first.request


def test_a_line_of_text_falls_quiet_before_it_is_asked_again() -> None:
    host = AsciiHost(LineMarks(error="E"), TIMEOUTS)
    host.opened(0.0)
    read: Callable[..., object] = lambda answer: answer.lines  # noqa: E731
    assert host.ask("S", read, 0.0) == [Send(b"S\n")]
    assert host.receive(b"1,\xff\n", 0.2) == []
    assert host.next_due_s() == pytest.approx(0.3)
    # What goes on arriving is not the next answer's.
    assert host.receive(b"9,9\n", 0.25) == []
    assert host.next_due_s() == pytest.approx(0.35)
    assert host.due(0.35) == [Send(b"S\n")]
    (event,) = host.receive(b"1,2\n", 0.4)
    assert isinstance(event, Answered)
    assert event.result == ("1,2",)
    assert host.counters.damaged == 1


def test_how_a_line_of_text_ends() -> None:
    host = AsciiHost(LineMarks(error="E"), TIMEOUTS)
    read: Callable[..., object] = lambda answer: answer.lines  # noqa: E731
    host.ask("S", read, 0.0)
    outputs = pass_time(host, 0.0, 60.0)
    assert events(outputs) == [
        Problem(PortError, "silent: no answer in 3 s; is the instrument switched on, and on this port?")
    ]
    assert outputs.count(Send(b"S\n")) == 2
    host.ask("S", read, 100.0)
    said = []
    for _ in range(3):
        said += host.receive(b"E lamp\n", 100.0)
        said += pass_time(host, 100.0, 100.5)
    assert events(said) == [Problem(InstrumentError, "the instrument answers S with 'E lamp'")]
    host.hush(200.0)
    assert events(pass_time(host, 200.0, 201.0)) == [Quiet()]


def test_a_fieldspec_is_greeted_asked_and_given_up() -> None:
    host = FieldSpecHost(TIMEOUTS, 60.0, 30.0)
    host.opened(0.0)
    host.greet(0.0, 0.5)
    assert host.receive(b"hello", 0.4) == []
    assert pass_time(host, 0.0, 1.0) == [Greeted()]
    assert host.ask(GetVersion(), 1.0, 2.0) == [Send(b"V")]
    reply = Version(100, 0, "x", 1.5, 13)
    assert host.receive(reply.pack()[:20], 1.5) == []
    (event,) = host.receive(reply.pack()[20:], 1.6)
    assert isinstance(event, Replied)
    assert event.reply == reply
    assert host.receive(b"?", 2.0) == [Problem(ProtocolError, "1 bytes came unasked", closes=True)]
    host.opened(3.0)
    host.greet(3.0, 0.1)
    host.due(3.1)
    host.ask(GetVersion(), 4.0, 2.0)
    why = "no answer to V in 2.0 s; is the instrument switched on?"
    assert pass_time(host, 4.0, 9.0) == [Send(b"ABORT"), Problem(NoReplyError, why, closes=True)]


pieces = st.lists(
    st.tuples(st.one_of(st.binary(max_size=60), messages.map(lambda m: encode(m, 3))), st.floats(0, 5)), max_size=8
)


@settings(max_examples=150, deadline=None)
@given(pieces, st.sampled_from(["framed", "ascii", "fieldspec"]))
def test_whatever_comes_a_host_goes_on_and_comes_to_an_end(stream: list[tuple[bytes, float]], kind: str) -> None:
    now_s = 0.0
    if kind == "framed":
        host: Host = framed()
        host.opened(now_s)
        host.want(Kind.TARGET, 1)  # type: ignore[attr-defined]
        host.request(now_s)  # type: ignore[attr-defined]
    elif kind == "ascii":
        host = AsciiHost(LineMarks(), TIMEOUTS)
        host.ask("S", lambda answer: answer.lines, now_s)
    else:
        host = FieldSpecHost(TIMEOUTS, 1.0, 1.0)
        host.opened(now_s)
        host.greet(now_s, 0.1)
        host.due(1.0)
        host.ask(GetVersion(), 1.0, 1.0)
    for data, seconds in stream:
        pass_time(host, now_s, now_s + seconds)
        now_s += seconds
        host.receive(data, now_s)
    told = events(pass_time(host, now_s, now_s + 1000.0))
    assert host.next_due_s() > now_s + 1000.0 or kind == "framed"
    assert all(isinstance(event, HostEvent) for event in told)
