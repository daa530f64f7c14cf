"""`stibium measure` killed at any moment, and the line to a FieldSpec broken in every state; the real processes."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fault_line import Cut, FaultLine, Way
from line_processes import PATIENCE_S
from measure_process import Measurer, shown_in
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.probe.ends import PtyEnd, TcpEnd
from stibium.edge.probe.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.probe.in_front import InFront, things_from
from stibium.edge.probe.instrument import VirtualInstrument
from stibium.edge.probe.repertoire import from_spectra
from stibium.edge.probe.serve import VirtualProbe
from truth import assert_sound, numbered, stored_values

pytestmark = pytest.mark.usefixtures("virtual_only")


# --- kill -9 ---------------------------------------------------------------------------------------------


def test_killed_again_and_again_a_measuring_day_goes_on(
    tiny_bundle: Path, soils: list[Spectrum], tmp_path: Path
) -> None:
    dice = random.Random(31)
    samples, points, kills = 24, 3, 14
    spectra = numbered(soils, samples * points + kills)
    measurer = Measurer(tmp_path, tiny_bundle, "framed")
    options = ("--count", str(samples), "--points", str(points))
    shown: list[str] = []
    scans = 0
    with VirtualProbe(VirtualInstrument(from_spectra(spectra)), PtyEnd(tmp_path / "port")) as probe:
        for _ in range(kills):
            with measurer.start(probe.name, *options) as process:
                assert process.stderr is not None
                if dice.random() < 0.2:
                    time.sleep(dice.random() * 0.5)
                else:
                    process.stderr.readline()
                    time.sleep(dice.random() * 0.12)
                process.kill()
                out, _ = process.communicate(timeout=PATIENCE_S)
            shown += shown_in(out)
            if measurer.log.exists():
                assert assert_sound(measurer.log, tmp_path / "copy") >= len(shown)
                scans, before = scans_in(tmp_path / "copy" / "copy.db"), scans
                assert scans >= before, "a stored scan is gone"
        done = measurer.run(probe.name, *options)
    assert done.code == 0, done.err
    shown += shown_in(done.out)
    assert len(shown) == len(set(shown)), "shown twice"
    measurer.assert_samples_once(samples, points)
    # Each scan is a soil's, each soil is there once, in their order; a kill loses what was on its way, nothing else.
    order = {stored_values(spectrum): number for number, spectrum in enumerate(spectra)}
    measured = [order[values] for (values,) in measurer.rows('SELECT "values" FROM scans ORDER BY id')]
    assert measured == sorted(set(measured))
    assert len(measured) == samples * points
    assert measured[-1] + 1 - len(measured) <= kills


def scans_in(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'scans'").fetchone():
            return 0
        return int(db.execute("SELECT count(*) FROM scans").fetchone()[0])


# --- the FieldSpec ---------------------------------------------------------------------------------------


@dataclass
class Bench:
    """A virtual FieldSpec, its cable, and what lies before it."""

    line: FaultLine
    probe: VirtualProbe
    instrument: VirtualFieldSpec
    spectra: list[Spectrum]


@contextmanager
def fieldspec(spectra: list[Spectrum], cuts: Iterable[Cut] = (), power: bool = False) -> Iterator[Bench]:
    """Put up a FieldSpec; with `power` each cut switches it off and on as well."""
    instrument = VirtualFieldSpec(InFront(things_from(spectra)))
    with VirtualProbe(instrument, TcpEnd("127.0.0.1", 0)) as probe:

        def cut() -> None:
            if line.said.startswith(b"A,"):
                # What was on its way is lost, and what it was of still lies there.
                probe.call(instrument.reply_lost)
            if power:
                probe.unplug(power=True)
                probe.plug()

        line = FaultLine(("127.0.0.1", int(probe.name.rpartition(":")[2])), TcpEnd("127.0.0.1", 0), cuts, cut)
        with line:
            yield Bench(line, probe, instrument, spectra)


def assert_these_soils(measurer: Measurer, spectra: list[Spectrum]) -> list[int]:
    """Each reading is the reflectance of a soil that lay there, in their order and none twice; give which."""
    truth = np.array([spectrum.values for spectrum in spectra])
    found = []
    for name, blob in measurer.rows("SELECT sample_id, spectrum FROM readings ORDER BY id"):
        values = np.frombuffer(blob, "<f4").astype(np.float64)
        apart = np.sqrt(np.mean((truth - values) ** 2, axis=1))
        assert apart.min() < 0.01, f"{name} is no soil that was measured"
        found.append(int(apart.argmin()))
    assert found == sorted(set(found))
    return found


def places_in_each_state(line: FaultLine) -> list[Cut]:
    """After each command, within its reply and at the reply's last byte but one, of a day that passed undisturbed."""
    ends = [*line.replies[1:], len(line.heard["<"])]
    places: list[tuple[Way, int]] = [("<", 1)]
    for said, start, end in zip(line.commands, line.replies, ends, strict=True):
        places += [(">", said), ("<", (start + end) // 2), ("<", end - 1)]
    return [Cut(way, at) for way, at in places]


@pytest.mark.parametrize("power", [False, True], ids=["cable", "power"])
def test_a_fieldspec_that_hangs_up_in_every_state(
    tiny_bundle: Path, distinct: list[Spectrum], tmp_path: Path, power: bool
) -> None:
    undisturbed = Measurer(mkdir(tmp_path / "undisturbed"), tiny_bundle, "fieldspec")
    with fieldspec(distinct) as on:
        done = undisturbed.run(on.line.name, "--count", "3", "--points", "1")
        assert done.code == 0, done.err
        states = places_in_each_state(on.line)
    assert_these_soils(undisturbed, distinct)
    assert len(states) > 50
    cuts = random.Random(33).sample(states, len(states) // (4 if power else 1))
    measurer = Measurer(mkdir(tmp_path / "broken"), tiny_bundle, "fieldspec")
    with fieldspec(distinct, cuts, power) as on:
        done = measurer.run(on.line.name, "--count", "8", "--points", "1")
        assert on.line.cut_count > len(cuts) // 2
    print(done.err)
    assert "new connections" in done.err
    assert_sound(measurer.log, tmp_path / "copy")
    if not power:
        assert done.code == 0, done.err
        measurer.assert_samples_once(8, 1)
    assert_these_soils(measurer, distinct)


@pytest.fixture(scope="session")
def distinct(soils: list[Spectrum]) -> list[Spectrum]:
    """Twenty soils that differ by more than a FieldSpec's noise."""
    from dataclasses import replace

    return [
        replace(soil, sample_id=f"D{number}", values=soil.values * (0.5 + 0.05 * number))
        for number, soil in enumerate(numbered(soils[:1], 24))
    ]


def mkdir(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_fieldspec_that_never_answers_ends_with_one_line_and_the_day_goes_on(
    tiny_bundle: Path, distinct: list[Spectrum], tmp_path: Path
) -> None:
    measurer = Measurer(tmp_path, tiny_bundle, "fieldspec", reply_s=0.3)
    text = (tmp_path / "fieldspec.toml").read_text()
    text = text.replace("replug_s = 60.0", "replug_s = 1.0").replace("request_attempts = 40", "request_attempts = 3")
    (tmp_path / "fieldspec.toml").write_text(text + "[fieldspec]\nscan_s = 0.1\nrestore_s = 0.5\noptimise_s = 5.0\n")
    with fieldspec(distinct) as on:

        def mute_after_two(way: Way, data: bytes) -> bytes:
            return b"" if way == "<" and on.instrument.measured >= 4 else data

        on.line.spoil = mute_after_two
        done = measurer.run(on.line.name, "--count", "5", "--points", "1")
        assert done.code == 1
        assert "no answer to A,1,5" in done.err
        assert done.err.splitlines()[-1].startswith("stibium: ")
        first = len(shown_in(done.out))
        assert first < 5
        on.line.spoil = lambda way, data: data
        again = measurer.run(on.line.name, "--count", "5", "--points", "1")
    assert again.code == 0, again.err
    assert len(shown_in(again.out)) == 5 - first
    measurer.assert_samples_once(5, 1)
    assert_these_soils(measurer, distinct)


def test_a_fieldspec_day_killed_again_and_again(tiny_bundle: Path, distinct: list[Spectrum], tmp_path: Path) -> None:
    dice = random.Random(35)
    measurer = Measurer(tmp_path, tiny_bundle, "fieldspec")
    options = ("--count", "8", "--points", "1")
    shown: list[str] = []
    with fieldspec(distinct) as on:
        for _ in range(8):
            with measurer.start(on.line.name, *options) as process:
                assert process.stderr is not None
                process.stderr.readline()
                time.sleep(dice.random() * 0.25)
                process.kill()
                out, _ = process.communicate(timeout=PATIENCE_S)
            shown += shown_in(out)
            assert assert_sound(measurer.log, tmp_path / "copy") >= len(shown)
        done = measurer.run(on.line.name, *options)
    assert done.code == 0, done.err
    shown += shown_in(done.out)
    assert len(shown) == len(set(shown))
    measurer.assert_samples_once(8, 1)
    assert_these_soils(measurer, distinct)
