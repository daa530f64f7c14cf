"""`stibium measure` killed at any moment, and the line to a FieldSpec broken in every state; the real processes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fault_line import Cut, FaultLine, Way
from kills import kill_a_measuring_day
from line_processes import PATIENCE_S
from measuring_day import Measurer, shown_in
from shots import shipped_bundle
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.simulators.ends import TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.in_front import InFront, things_from
from stibium.edge.simulators.serve import VirtualProbe
from truth import assert_sound, numbered

pytestmark = pytest.mark.usefixtures("virtual_only")


# --- kill -9 ---------------------------------------------------------------------------------------------


def test_killed_again_and_again_a_measuring_day_goes_on(tmp_path: Path) -> None:
    done = kill_a_measuring_day(tmp_path, kills=8, samples=40, points=3, seed=31)
    assert "each once, 0 corrupt databases" in done


# --- the FieldSpec ---------------------------------------------------------------------------------------


class Field(InFront):
    """What lies before the probe, with somebody who puts it on the panel when the program is started again.

    Nobody moves the probe for the single scan by which the driver tells whether the instrument was switched off.
    """

    instrument: VirtualFieldSpec

    def measured(self) -> None:
        """See `InFront`."""
        if self.instrument.said[-1] == "A,1,1":
            self._before = None
        else:
            super().measured()

    def panel_first(self) -> None:
        """Put the probe on the white panel, until the white reference is taken."""
        self._begun, self._queue = False, []


@dataclass
class Bench:
    """A virtual FieldSpec, its cable, and what lies before it."""

    line: FaultLine
    probe: VirtualProbe
    instrument: VirtualFieldSpec
    field: Field

    def panel_first(self) -> None:
        """See `Field`."""
        self.probe.call(self.field.panel_first)


@contextmanager
def fieldspec(spectra: list[Spectrum], cuts: Iterable[Cut] = (), power: bool = False) -> Iterator[Bench]:
    """Put up a FieldSpec; with `power` each cut switches it off and on as well."""
    field = Field(things_from(spectra))
    instrument = field.instrument = VirtualFieldSpec(field)
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
            yield Bench(line, probe, instrument, field)


ALL_READINGS = "SELECT sample_id, spectrum FROM readings ORDER BY id"


def assert_these_soils(measurer: Measurer, spectra: list[Spectrum], which: str = ALL_READINGS) -> list[int]:
    """Each reading is the reflectance of a soil that lay there, in their order and none twice; give which."""
    truth = np.array([spectrum.values for spectrum in spectra])
    found = []
    for name, blob in measurer.rows(which):
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


@pytest.fixture(scope="module")
def states(distinct: list[Spectrum], tmp_path_factory: pytest.TempPathFactory) -> list[Cut]:
    """Places to break the line at, from an undisturbed day: connecting, optimising, dark, white, soils."""
    measurer = Measurer(tmp_path_factory.mktemp("undisturbed"), shipped_bundle(), "fieldspec")
    with fieldspec(distinct) as on:
        done = measurer.run(on.line.name, "--count", "3", "--points", "1")
        assert done.code == 0, done.err
        places = places_in_each_state(on.line)
    assert assert_these_soils(measurer, distinct) == [0, 1, 2]
    assert len(places) > 50
    return places


def test_a_fieldspec_whose_line_breaks_in_every_state(
    tiny_bundle: Path, distinct: list[Spectrum], tmp_path: Path
) -> None:
    # Connecting again is four commands and 17 kB of replies, a soil one and 9 kB. A break while it connects and one
    # while it measures take turns, because the driver waits longer each time that it fails to connect.
    dice = random.Random(33)
    connecting = [Cut("<", dice.randrange(1, 17_000)) for _ in range(6)] + [
        Cut(">", sent) for sent in (1, 5, 9, 14, 22)
    ]
    measuring = [Cut("<", dice.randrange(17_000, 30_000)) for _ in range(5)] + [Cut(">", sent) for sent in (40, 60)]
    pairs = zip(dice.sample(connecting, 7), dice.sample(measuring, 7), strict=True)
    cuts = [cut for pair in pairs for cut in pair]
    measurer = Measurer(tmp_path, tiny_bundle, "fieldspec")
    with fieldspec(distinct, cuts) as on:
        done = measurer.run(on.line.name, "--count", "6", "--points", "1")
        assert on.line.cut_count == len(cuts), done.err
    assert done.code == 0, done.err
    assert "new connections" in done.err
    assert_sound(measurer.log, tmp_path / "copy")
    measurer.assert_samples_once(6, 1)
    assert_these_soils(measurer, distinct)


def test_a_fieldspec_switched_off_and_on_in_every_state(
    tiny_bundle: Path, distinct: list[Spectrum], states: list[Cut], tmp_path: Path
) -> None:
    dice, outcomes = random.Random(34), set()
    # Before the first soil, and while the second or third is measured: three places for each command.
    for number, cut in enumerate([*dice.sample(states[:-9], 2), *dice.sample(states[-6:], 2)]):
        measurer = Measurer(mkdir(tmp_path / str(number)), tiny_bundle, "fieldspec")
        with fieldspec(distinct, [cut], power=True) as on:
            done = measurer.run(on.line.name, "--count", "3", "--points", "1")
            assert on.line.cut_count == 1
        shown = shown_in(done.out)
        assert shown == ["sample-001", "sample-002", "sample-003"], done.err
        reasons = [reason for (reason,) in measurer.rows("SELECT reason FROM refusals")]
        # Before the first soil everything is taken again; after it nobody is there to put the probe on the panel.
        assert done.code == (1 if reasons else 0)
        assert all("switched off and on" in reason or "missing" in reason for reason in reasons), reasons
        outcomes.add(bool(reasons))
        answered = "SELECT sample_id, spectrum FROM readings r JOIN estimates e ON e.reading_id = r.id ORDER BY r.id"
        assert_these_soils(measurer, distinct, answered)
    assert outcomes == {False, True}


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
        on.panel_first()
        again = measurer.run(on.line.name, "--count", "5", "--points", "1")
    assert again.code == 0, again.err
    assert len(shown_in(again.out)) == 5 - first
    measurer.assert_samples_once(5, 1)
    assert_these_soils(measurer, distinct)


def day_ended(measurer: Measurer) -> bool:
    return measurer.log.exists() and bool(
        measurer.rows("SELECT 1 FROM sqlite_master WHERE name = 'sessions'")
        and measurer.rows("SELECT 1 FROM sessions WHERE ended_at IS NOT NULL")
    )


def test_a_fieldspec_day_killed_again_and_again(tiny_bundle: Path, distinct: list[Spectrum], tmp_path: Path) -> None:
    dice = random.Random(35)
    measurer = Measurer(tmp_path, tiny_bundle, "fieldspec")
    options = ("--count", "8", "--points", "1")
    shown: list[str] = []
    kills = 0
    with fieldspec(distinct) as on:
        while kills < 6 and not day_ended(measurer):
            on.panel_first()
            with measurer.start(on.line.name, *options) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                # At most one answer a run, so that the day lasts; often it is killed before it has one.
                process.stderr.readline()
                line = process.stdout.readline() if dice.random() < 0.5 else ""
                time.sleep(dice.random() * 0.03)
                process.kill()
                out, _ = process.communicate(timeout=PATIENCE_S)
                kills += process.returncode == -9
            shown += shown_in(line + out)
            assert assert_sound(measurer.log, tmp_path / "copy") >= len(shown)
        assert kills
        # A run that was quicker than its kill may have ended the day; another one would begin a new day.
        if not day_ended(measurer):
            on.panel_first()
            done = measurer.run(on.line.name, *options)
            assert done.code == 0, done.err
            shown += shown_in(done.out)
    assert len(shown) == len(set(shown))
    measurer.assert_samples_once(8, 1)
    assert_these_soils(measurer, distinct)
