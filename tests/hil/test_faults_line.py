"""What a cable and an instrument do to a measurement under way; the programs are the real ones.

The instrument is the virtual probe on a TCP port; between it and `stibium listen` lies a `FaultLine`.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_line import Cut, FaultLine, Way
from line_processes import PATIENCE_S, Listener, playing
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.simulators.ends import PtyEnd, TcpEnd
from stibium.edge.simulators.faults import Faults, FaultyLine
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.spectra import from_spectra
from truth import assert_each_once, assert_true, numbered, readings, refusals

pytestmark = pytest.mark.usefixtures("virtual_only")


@dataclass
class Bench:
    """An instrument, the cable to it, and what lies before it."""

    line: FaultLine
    probe: VirtualProbe
    spectra: list[Spectrum]


@contextmanager
def bench(
    spectra: Sequence[Spectrum],
    folder: Path,
    cuts: Iterable[Cut] = (),
    power: bool = False,
    button: bool = False,
    raw: bool = False,
) -> Iterator[Bench]:
    """Put up an instrument and its cable; with `power` each cut switches it off and on as well."""
    instrument = VirtualInstrument(from_spectra(spectra, raw=raw), button_s=0.0 if button else None)
    end = TcpEnd("127.0.0.1", 0)
    with VirtualProbe(instrument, end) as probe:
        number = int(probe.name.rpartition(":")[2])

        def switch_off_and_on() -> None:
            probe.unplug(power=True)
            probe.plug()

        with FaultLine(
            ("127.0.0.1", number), PtyEnd(folder / "cable"), cuts, switch_off_and_on if power else lambda: None
        ) as line:
            yield Bench(line, probe, list(spectra))


def frame_ends(passed: bytes) -> list[int]:
    """Where each frame that has passed ends."""
    return [place + 1 for place in range(1, len(passed)) if passed[place] == 0 and passed[place - 1] != 0]


def places_in_each_state(passed: dict[Way, bytearray]) -> list[Cut]:
    """Before, within and after the frames of a measurement that passed undisturbed, both ways."""
    ends = frame_ends(passed["<"])
    frames = list(zip([0, *ends], ends))  # noqa: B905 - the last end begins no frame
    # Identification; then head, the first pieces, one amid, the last one and the status that ends the answer.
    chosen = [*frames[:4], frames[len(frames) // 2], *frames[-2:]]
    places: list[tuple[Way, int]] = [("<", at) for a, b in chosen for at in (a, a + 1, (a + b) // 2, b - 1)]
    ends = frame_ends(passed[">"])
    for a, b in zip([0, *ends], ends):  # noqa: B905 - as above
        places += [(">", at) for at in (a + 1, (a + b) // 2, b)]
    return [Cut(way, at) for way, at in sorted(set(places)) if at]


@pytest.fixture(scope="module")
def dialogue(soils: list[Spectrum], tmp_path_factory: pytest.TempPathFactory, shipped: Path) -> list[Cut]:
    """The states of one measurement, as places to cut at: identify, acquire, its frames, acknowledge."""
    folder = tmp_path_factory.mktemp("dialogue")
    with bench(numbered(soils, 1), folder) as on:
        done = Listener(folder, shipped).run(on.line.name, "--count", "1", "--points", "1")
        assert done.code == 0, done.err
        return places_in_each_state(on.line.heard)


@pytest.fixture(scope="session")
def shipped(shipped_bundle: object) -> Path:
    from stibium.edge.model.bundle import shipped_bundle_path

    return Path(shipped_bundle_path())


@pytest.mark.parametrize("power", [False, True], ids=["cable", "power"])
def test_pulled_and_replugged_in_every_state(
    listener: Listener, soils: list[Spectrum], dialogue: list[Cut], tmp_path: Path, power: bool
) -> None:
    # Half of the places for the power, which is more of an end than a cable.
    cuts = random.Random(3).sample(dialogue, len(dialogue) // (2 if power else 1))
    assert len(cuts) > 15
    assert {cut.way for cut in cuts} == {"<", ">"}
    spectra = numbered(soils, len(cuts))
    with bench(spectra, tmp_path, cuts, power) as on:
        done = listener.run(on.line.name, "--points", "1")
        assert on.line.cut_count == len(cuts), "it ended before every state had its cut"
    if not power:
        assert done.code == 0, done.err
        assert_each_once(listener.log, spectra)
        return
    # Switched off between storing and the acknowledgement it cannot know that its measurement arrived, and measures
    # the soil that lies before it again: another measurement, by its number. None is lost and none is another's.
    assert_true(listener.log, spectra)
    names = [name for name, _ in readings(listener.log)]
    assert set(names) == {spectrum.sample_id for spectrum in spectra}
    assert "restarts of the instrument" in done.err


@pytest.mark.parametrize(
    ("fault", "button"), [("lost", False), ("changed", True), ("doubled", False), ("all", False), ("all", True)]
)
def test_bytes_lost_changed_and_doubled_both_ways(
    listener: Listener, soils: list[Spectrum], tmp_path: Path, fault: str, button: bool
) -> None:
    dice = random.Random(5)
    faulty = FaultyLine(Faults(drop=4e-4 * (fault in ("lost", "all")), flip=4e-4 * (fault in ("changed", "all"))), 7)

    def double(data: bytes) -> bytes:
        return b"".join(data[i : i + 1] * (2 if dice.random() < 4e-4 else 1) for i in range(len(data)))

    spectra = numbered(soils, 6)
    with bench(spectra, tmp_path, button=button) as on:
        on.line.spoil = lambda way, data: faulty.spoil_bytes(double(data) if fault in ("doubled", "all") else data)
        done = listener.run(on.line.name, "--points", "1", *(["--passive"] if button else []))
    assert done.code == 0, done.err
    assert_each_once(listener.log, spectra)
    assert "damaged frames" in done.err


def test_garbage_while_it_connects_measures_and_waits(
    listener: Listener, soils: list[Spectrum], tmp_path: Path
) -> None:
    spectra = numbered(soils, 8)
    with bench(spectra, tmp_path, button=True) as on:
        on.line.make_noise(1.0)
        with listener.running(on.line.name, "--passive", "--points", "1") as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            # Now nothing else comes through for a while.
            on.line.spoil = lambda way, data: b""
            on.line.make_noise(2.5)
            time.sleep(2.5)
            on.line.spoil = lambda way, data: data
            out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    shown = [json.loads(line)["sample_id"] for line in [*lines, *out.splitlines()]]
    assert shown == [spectrum.sample_id for spectrum in spectra]
    assert_each_once(listener.log, spectra)
    assert "damaged frames" in err


def test_a_reply_that_never_comes_ends_with_one_line_and_keeps_what_there_is(
    listener: Listener, soils: list[Spectrum], tmp_path: Path
) -> None:
    hasty = tmp_path / "hasty.toml"
    hasty.write_text("[patience]\nreply_s = 0.3\nreplug_s = 1.0\nrequest_attempts = 3\n")
    spectra = numbered(soils, 4)
    with bench(spectra, tmp_path) as on:
        command = [*listener.command(on.line.name, "--profile", str(hasty), "--points", "1"), "--ask"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["sample_id"] == "N00000"
            on.line.spoil = lambda way, data: b"" if way == "<" else data
            out, err = process.communicate("\n", timeout=PATIENCE_S)
        assert process.returncode == 1
        assert out == ""
        assert "Traceback" not in err
        assert "3 requests were not answered (waiting for it to come back)" in err
        assert err.splitlines()[-1].startswith(f"stibium: {on.line.name}: silent: no answer in 0.9 s")
        assert err.splitlines()[-1].endswith("(gone for 1 s, given up)")
        on.line.spoil = lambda way, data: data
        done = listener.run(on.line.name, "--points", "1")
    assert done.code == 0, done.err
    # The virtual instrument did measure N00001 when asked; with a real one the soil would still lie before it.
    assert [name for name, _ in readings(listener.log)] == ["N00000", "N00002", "N00003"]
    assert_true(listener.log, spectra)


def test_two_probes_into_one_log(listener: Listener, soils: list[Spectrum], tmp_path: Path) -> None:
    left, right = numbered(soils, 15, "L"), numbered(soils, 15, "R")
    with ExitStack() as stack:
        processes = []
        for name, spectra in (("left", left), ("right", right)):
            (tmp_path / name).mkdir()
            write_table(tmp_path / name / "soils.csv", spectra)
            port = stack.enter_context(playing(tmp_path / name, str(tmp_path / name / "soils.csv"), "--speed", "full"))
            processes.append(stack.enter_context(listener.running(port, "--points", "1")))
        results = [process.communicate(timeout=PATIENCE_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert [len(out.splitlines()) for out, _ in results] == [len(left), len(right)]
    assert_each_once(listener.log, [*left, *right])
    assert refusals(listener.log) == []
