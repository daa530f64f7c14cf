"""The virtual FieldSpec itself: its bytes, its light and dark, what is in front of it, and what it is told."""

from __future__ import annotations

import socket
import struct
from itertools import pairwise

import numpy as np
import pytest
from fieldspec_bench import bench, soil, tcp_bench
from framed_samples import some_spectra
from stibium.edge.errors import UnsuitableSpectrumError
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.in_front import GRID_NM, InFront, Thing, mylar_sheet, things_from


class Desk:
    """An instrument without a port, and a clock that the test turns."""

    def __init__(self, **options: object) -> None:
        options = {"warm_s": 3600.0} | options
        self.player = VirtualFieldSpec(InFront([soil(i) for i in range(3)]), **options)  # type: ignore[arg-type]
        self.now_s = 1000.0
        self.player.host_came(self.now_s)
        self.greeting = b"".join(self.player.outgoing(self.now_s))

    def ask(self, command: str, after_s: float = 0.0) -> bytes:
        self.player.receive(command.encode(), self.now_s)
        self.now_s += after_s
        return b"".join(self.player.outgoing(self.now_s))

    def codes(self, command: str) -> tuple[int, int]:
        header, errbyte = struct.unpack_from(">ii", self.ask(command))
        return header, errbyte

    def counts(self, scans: int = 100) -> tuple[tuple[int, ...], np.ndarray]:
        reply = self.ask(f"A,1,{scans}")
        return struct.unpack_from(">64i", reply), np.frombuffer(reply, ">f4", offset=256)


def test_its_replies_are_the_guide_s_byte_for_byte() -> None:
    desk = Desk()
    header, errbyte, text, value, kind = struct.unpack(">ii30sdi", desk.ask("V"))
    assert (header, errbyte, text.rstrip(b"\0"), value, kind) == (100, 0, b"stibium virtual", 1.5, 13)
    restored = struct.unpack(">ii6000s200dii", desk.ask("RESTORE,1"))
    assert restored[:2] == (100, 0)
    assert restored[2][:30].rstrip(b"\0") == b"SerialNumber"
    assert restored[3] == 18000.0
    assert restored[-2] == 12
    assert struct.unpack(">ii30sdi", desk.ask("INIT,0,VEndingWavelength"))[3] == 1000.0
    assert struct.unpack(">7i", desk.ask("OPT,7"))[:3] == (100, 0, 2)
    assert struct.unpack(">5i", desk.ask("IC,2,3,1")) == (100, 0, 2, 3, 1)
    reply = desk.ask("A,1,40")
    assert len(reply) == 8860
    head = struct.unpack_from(">64i", reply)
    assert (head[0], head[1], head[2], head[10], head[16], head[21]) == (100, 0, 40, 13, 2, 1)
    assert len(desk.ask("ABORT")) == 50


def test_its_greeting_is_text_of_varying_length() -> None:
    lengths = {len(Desk(seed=seed).greeting) for seed in range(20)}
    assert len(lengths) > 3
    assert b"virtual" in Desk().greeting


@pytest.mark.parametrize("command", ["ERASE", "SAVE", "INIT,1,X,5", "INIT,2,X", "ERASE,1", "NONSENSE", "RESTORE,2"])
def test_what_it_does_not_know_and_what_would_write_its_flash_is_refused(command: str) -> None:
    said: list[str] = []
    desk = Desk(log=said.append)
    before = desk.ask("RESTORE,1")
    assert desk.codes(command) == (400, -6)
    assert desk.ask("RESTORE,1") == before
    assert bool(said) == command.startswith(("ERASE", "SAVE", "INIT"))


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("A,1,1", (300, -1)),
        ("INIT,0", (400, -8)),
        ("INIT,0,Nothing", (400, -19)),
        ("OPT", (800, -8)),
        ("OPT,9", (800, -19)),
        ("IC,2,3", (900, -8)),
        ("IC,2,3,7", (900, -19)),
        ("A", (200, -8)),
        ("A,1,0", (200, -19)),
        ("A,1,40000", (200, -19)),
    ],
)
def test_wrong_states_and_parameters_have_their_codes(command: str, codes: tuple[int, int]) -> None:
    assert Desk().codes(command) == codes


def test_dark_grows_with_integration_time_and_wanders() -> None:
    desk = Desk()
    desk.ask("RESTORE,1")
    desk.ask("IC,2,3,1")
    means = []
    for step in (-1, 0, 3, 5):
        desk.ask(f"IC,2,0,{step}")
        head, values = desk.counts()
        assert head[16] == step
        means.append(values[:651].mean())
    assert np.diff(means).min() > 5
    desk.ask("IC,2,0,2")
    head, before = desk.counts()
    desk.now_s += 1500
    later_head, later = desk.counts()
    assert abs((later - before)[:651].mean()) > 3
    # The header's drift says how far.
    assert later_head[22] - head[22] == pytest.approx(-(later - before)[:651].mean(), abs=1.5)


def test_it_grows_brighter_as_it_warms_and_more_so_in_the_first_minutes() -> None:
    desk = Desk(warm_s=0.0)
    desk.ask("RESTORE,1")
    desk.ask("OPT,7")
    light = []
    for _ in range(4):
        light.append(desk.counts()[1].astype(float))
        desk.player.in_front.put("white")
        desk.now_s += 600
    gains = [(b / a)[300] for a, b in pairwise(light)]
    assert gains[0] > gains[1] > gains[2] > 1.0
    assert gains[0] > 1.01


def test_its_time_can_run_faster() -> None:
    slow, fast = Desk(warm_s=0.0), Desk(warm_s=0.0, time_scale=60.0)
    for desk, seconds in ((slow, 600.0), (fast, 10.0)):
        desk.ask("RESTORE,1")
        desk.now_s += seconds
    assert slow.counts(10**4)[1] == pytest.approx(fast.counts(10**4)[1], rel=1e-3, abs=1)


def test_optimising_brings_each_detector_to_half_its_range_and_fails_on_darkness() -> None:
    desk = Desk()
    desk.ask("RESTORE,1")
    assert struct.unpack(">7i", desk.ask("OPT,7"))[:2] == (100, 0)
    head, values = desk.counts()
    for part in (values[:651], values[651:1451], values[1451:]):
        assert 20000 < part.max() < 40000
    assert (head[20], head[36], head[52]) == (0, 0, 0)
    desk.player.in_front.put("cover")
    assert [desk.codes(f"OPT,{mask}") for mask in (1, 2, 4, 7)] == [(800, -15), (800, -16), (800, -17), (800, -15)]
    desk.player.in_front.put("white")
    desk.ask("IC,2,3,1")
    assert desk.codes("OPT,1") == (800, -15)


def test_it_saturates_detector_by_detector() -> None:
    desk = Desk()
    desk.ask("RESTORE,1")
    desk.ask("OPT,7")
    desk.player.in_front.put("white")
    for command, flag in (("IC,2,0,5", 20), ("IC,0,1,100", 36), ("IC,1,1,100", 52)):
        desk.ask(command)
        head, values = desk.counts()
        assert head[flag] == 1
    assert values.max() == 65535.0


def test_in_real_time_a_measurement_takes_as_long_as_its_scans_and_can_be_aborted() -> None:
    desk = Desk(real_time=True)
    assert desk.ask("RESTORE,1", after_s=1.9) == b""
    assert len(desk.ask("V", after_s=0.2)) == 7616 + 50
    desk.ask("OPT,7", after_s=9)
    assert desk.ask("A,1,40", after_s=3.9) == b""
    desk.now_s += 0.2
    assert len(b"".join(desk.player.outgoing(desk.now_s))) == 8860
    assert desk.ask("A,1,40", after_s=1.0) == b""
    assert len(desk.ask("ABORT")) == 50
    desk.now_s += 60
    assert desk.player.outgoing(desk.now_s) == []


def test_not_ready_after_being_switched_on() -> None:
    desk = Desk(not_ready_s=30.0)
    desk.ask("RESTORE,1")
    assert desk.codes("A,1,1") == (200, -12)
    desk.now_s += 31
    assert desk.codes("A,1,1") == (100, 0)


def test_a_power_cycle_forgets_everything_but_what_is_in_front() -> None:
    desk = Desk()
    desk.ask("RESTORE,1")
    desk.ask("IC,2,0,4")
    desk.player.power_cycle(desk.now_s)
    assert desk.codes("A,1,1") == (300, -1)
    desk.ask("RESTORE,1")
    assert desk.counts()[0][16] == 0
    assert desk.player.in_front.now.name == "white"


def test_one_host_at_a_time_is_greeted_each_time() -> None:
    with tcp_bench() as at:
        address = at.served.name.removeprefix("socket://").split(":")
        for _ in range(2):
            with socket.create_connection((address[0], int(address[1])), timeout=20) as host:
                assert host.recv(7) == b"stibium"


# --- what is in front --------------------------------------------------------------------------------------


def names(front: InFront, count: int) -> list[str]:
    found = []
    for _ in range(count):
        found.append(front.now.name)
        front.measured()
    return found


def test_white_until_referenced_then_what_follows_a_dark_then_the_soils() -> None:
    front = InFront([soil(0), soil(1)], after_dark=("white", "mylar"))
    assert names(front, 3) == ["white"] * 3
    front.referenced()
    front.referenced()
    assert names(front, 5) == ["white", "mylar", "S0", "S1", "S1"]
    front.referenced()
    assert names(front, 3) == ["white", "mylar", "S1"]
    front.optimising()
    assert front.now.name == "white"


def test_the_soils_begin_again_if_told_to() -> None:
    front = InFront([soil(0), soil(1)], after_dark=(), loop=True)
    front.referenced()
    assert names(front, 5) == ["S0", "S1", "S0", "S1", "S0"]


def test_a_measurement_that_was_lost_is_of_the_same_thing_again() -> None:
    front = InFront([soil(0), soil(1)])
    front.referenced()
    assert names(front, 2) == ["white", "S0"]
    front.not_delivered()
    assert names(front, 2) == ["S0", "S1"]
    front.delivered()
    front.not_delivered()
    assert front.now.name == "S1"


def test_what_is_put_there_stays_there() -> None:
    front = InFront([soil(0), soil(1), soil(0)])
    assert front.put("mylar") == "mylar"
    front.referenced()
    assert names(front, 3) == ["mylar"] * 3
    assert front.put("sample", "S1") == "S1"
    assert names(front, 3) == ["S1", "S0", "S0"]
    assert front.put("cover") == "cover"
    front.put("auto")
    front.referenced()
    assert names(front, 2) == ["white", "S0"]
    with pytest.raises(ValueError, match="no sample 'S9'; there are S0, S1"):
        front.put("sample", "S9")
    with pytest.raises(ValueError, match="cannot be put in front"):
        front.put("hand")


def test_soils_come_from_spectra_on_any_grid_that_reaches_far_enough() -> None:
    coarse = some_spectra(1, np.arange(340.0, 2511.0, 10.0))
    (thing,) = things_from(coarse)
    np.testing.assert_allclose(thing.reflectance, np.interp(GRID_NM, coarse[0].wavelengths_nm, coarse[0].values))
    with pytest.raises(UnsuitableSpectrumError, match="covers 400-2400 nm; the instrument measures 350-2500 nm"):
        things_from(some_spectra(1, np.arange(400.0, 2401.0)))
    with pytest.raises(UnsuitableSpectrumError, match="no spectra to play"):
        things_from([])


def test_mylar_has_its_bands_where_mylar_has_them() -> None:
    mylar = mylar_sheet().reflectance
    for band_nm in (1661.0, 2131.1):
        near = np.abs(GRID_NM - band_nm) < 12
        lowest = GRID_NM[near][np.argmin(mylar[near])]
        assert abs(lowest - band_nm) <= 1.0


# --- what it is told ---------------------------------------------------------------------------------------


def test_every_line_that_help_lists_is_obeyed() -> None:
    with bench() as at:
        obey = at.control.obey
        at.ready()
        assert obey("mylar") == "in front: mylar"
        assert obey("sample S2") == "in front: S2"
        assert obey("auto") == "in front: S2"
        assert obey("lamp off") == "lamp: False"
        assert obey("cooler SWIR1") == "cooler alarms: ('SWIR1',)"
        assert obey("cooler ok") == "cooler alarms: ()"
        assert obey("shutter stuck") == "shutter stuck: True"
        assert obey("answer -12 3") == "errors: (-12, -12, -12)"
        for word in ("silence", "short 2", "twice", "cut"):
            assert obey(word)
        assert obey("hang-up") == "the next reply will break off"
        assert obey("serial 5") == "serial number: 5"
        assert obey("unplug") == "unplugged"
        assert obey("plug") == "plugged"
        assert obey("status").startswith("in front: S2; 0 measurements; last command: OPT,7")


@pytest.mark.parametrize(
    "line",
    [
        "lamp",
        "lamp dim",
        "answer",
        "answer x",
        "silence 0",
        "cooler VNIR",
        "dance",
        "serial",
        "sample Nobody",
        "hang-up -1",
    ],
)
def test_a_line_that_says_nothing_is_an_error(line: str) -> None:
    with bench() as at, pytest.raises(ValueError):
        at.control.obey(line)


def test_a_real_thing_may_be_put_in_front() -> None:
    assert Thing("x", np.ones(2151), simulated=False).simulated is False
