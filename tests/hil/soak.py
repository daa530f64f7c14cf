"""`make soak`: what the tests do for seconds, done for as long as a day in the field.

`python tests/hil/soak.py --minutes 60` replays known measurements over lines on which something goes wrong every few
seconds, kills the program a thousand times, measures ten thousand times in a row and drops ten thousand files at once.
It ends with 1 and a line that says what was lost, doubled or answered wrongly; with 0 if nothing was.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from fault_line import FaultLine, Way
from kills import assert_all_there, kill_a_measuring_day, kill_again_and_again, kill_at_points
from line_processes import PATIENCE_S, STIBIUM, Listener
from page_kills import kill_the_browser, kill_the_page
from shots import REASONS, Shots, shipped_bundle, shipped_soils
from stibium.converters.spectra.asd_write import write_asd
from stibium.edge.simulators.ends import PtyEnd, TcpEnd
from stibium.edge.simulators.faults import Faults, FaultyLine
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe
from truth import assert_sound, numbered, readings, refusals

TRANSPORT = ("arrived in part", "hung up", "never arrived", "no measurement in", "did not come")
"""What a refusal says whose measurement was good and did not come through."""
STARTS_TO_END = 10
"""How often the program may be started once more for the last measurement."""


@dataclass
class Account:
    """What a replay came to."""

    measured: int = 0
    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    again: int = 0
    """Soils measured once more because the instrument lost its power before it knew that they had arrived."""
    not_through: int = 0
    """Good measurements that were refused because the line did not carry them."""
    faults: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    memory_mb: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        """For the end of a run."""
        faults = ", ".join(f"{count} {what}" for what, count in sorted(self.faults.items()))
        return (
            f"{self.measured} measured, {self.answered} answered, {sum(self.refused.values())} bad ones refused with "
            f"the right reason, 0 lost, 0 doubled; {self.again} measured again after a power cut, {self.not_through} "
            f"that the line did not carry; {sum(self.faults.values())} faults ({faults}); {self.starts} starts; memory "
            f"{min(self.memory_mb):.0f}-{max(self.memory_mb):.0f} MB"
        )


def memory_mb(process: subprocess.Popen[str]) -> float | None:
    """What a process has in RAM now; None if it has ended."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(found[0].split()[1]) / 1024 if found else None


# --- something goes wrong every few seconds --------------------------------------------------------------


class Mishaps:
    """Draws what goes wrong next, and does it."""

    def __init__(self, line: FaultLine, probe: VirtualProbe, dice: random.Random) -> None:
        self._line, self._probe, self._dice = line, probe, dice

    def happen(self) -> str:
        """Let one thing go wrong for a while; give its name."""
        name = self._dice.choice(["unplugged", "power cuts", "noise", "silences", "bytes spoiled"])
        {
            "unplugged": self._unplug,
            "power cuts": self._cut_power,
            "noise": self._noise,
            "silences": lambda: self._spoil(lambda way, data: b""),
            "bytes spoiled": self._spoil_bytes,
        }[name]()
        return name

    def _unplug(self) -> None:
        self._line.unplug(self._dice.uniform(0.02, 1.0))

    def _cut_power(self) -> None:
        self._probe.unplug(power=True)
        time.sleep(self._dice.uniform(0.0, 0.5))
        self._probe.plug()

    def _noise(self) -> None:
        self._line.make_noise(self._dice.uniform(0.1, 1.5))

    def _spoil_bytes(self) -> None:
        rate = 10 ** self._dice.uniform(-4, -2.7)
        faulty = FaultyLine(Faults(flip=rate, drop=rate / 4, garbage=rate / 4), self._dice.randrange(1 << 30))
        self._spoil(lambda way, data: faulty.spoil_bytes(data))

    def _spoil(self, how: Callable[[Way, bytes], bytes]) -> None:
        self._line.spoil = how
        time.sleep(self._dice.uniform(0.1, 1.2))
        self._line.spoil = lambda way, data: data


def replay(
    folder: Path,
    seconds: float,
    pace_s: tuple[float, float],
    button: bool,
    seed: int,
    scan_share: float = 1.0,
    least: int = 0,
) -> Account:
    """Measure for some seconds over a line with mishaps; then everything must be where it belongs.

    Args:
        folder: to work in.
        seconds: how long.
        pace_s: least and longest time between two mishaps.
        button: the instrument measures by itself; otherwise it is asked.
        seed: of the dice.
        scan_share: of the time that measuring takes the instrument; 1 for that of a real one.
        least: go on until so many have been measured, however long that takes.
    """
    dice = random.Random(seed)
    shots = Shots(shipped_soils(), bad_every=5)
    account = Account()
    listener = Listener(folder, shipped_bundle())
    instrument = VirtualInstrument(
        shots.simulation(), real_time=scan_share > 0, button_s=0.25 * scan_share if button else None
    )
    options = ["--points", "1", "--scans", str(max(1, round(10 * scan_share))), *(["--passive"] if button else [])]
    with (
        VirtualProbe(instrument, TcpEnd("127.0.0.1", 0)) as probe,
        FaultLine(
            ("127.0.0.1", int(probe.name.rpartition(":")[2])),
            PtyEnd(folder / "port"),
            adapter_stays=not button,
            seed=seed,
        ) as line,
        (folder / "out").open("a+") as out,
        (folder / "err").open("a+") as err,
    ):
        mishaps = Mishaps(line, probe, dice)
        end_s = time.monotonic() + seconds
        process: subprocess.Popen[str] | None = None
        late_starts = 0
        try:
            while True:
                ended = time.monotonic() >= end_s and shots.highest >= least
                if process is None or process.poll() is not None:
                    # A program that gave up before the last measurement had come goes on with it, as every day.
                    if ended and process is not None and not (button and instrument.waiting):
                        break
                    command = [*listener.command(line.name, *options), "--wait-for-port"]
                    process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, text=True)
                    account.starts += 1
                    late_starts += ended
                    assert late_starts <= STARTS_TO_END, "it does not come to its end"
                if ended:
                    shots.end()
                    process.wait(PATIENCE_S)
                    continue
                time.sleep(dice.uniform(*pace_s))
                account.faults[mishaps.happen()] += 1
                resident = memory_mb(process)
                if resident is not None:
                    account.memory_mb.append(resident)
        finally:
            if process is not None:
                process.kill()
        for text in (out, err):
            text.seek(0)
        settle(account, shots, listener.log, folder, out.read(), err.read())
    return account


def settle(account: Account, shots: Shots, log: Path, folder: Path, out: str, err: str) -> None:
    """Compare what was played with what is in the log and what was shown."""
    assert "Traceback" not in err, err
    assert "unexpected" not in err, err
    assert_sound(log, folder / "copy")
    answered: Counter[str] = Counter()
    with closing(sqlite3.connect(log)) as db:
        rows = db.execute(
            "SELECT sample_id, spectrum, e.id FROM readings r LEFT JOIN estimates e ON e.reading_id = r.id"
        )
        for name, values, estimate in rows:
            number = int(name.removeprefix("M"))
            if estimate is not None:
                assert not shots.fault(number), f"{name} is bad ({shots.fault(number)}) and was answered"
                assert values == shots.values(number).astype("<f4").tobytes(), f"{name}: not the values measured"
                answered[name] += 1
    reasons: dict[str, list[str]] = {}
    for name, reason in refusals(log):
        reasons.setdefault(name, []).append(reason)
    unnamed = reasons.pop("", [])
    strange = [reason for reason in unnamed if not any(words in reason for words in TRANSPORT)]
    assert not strange, f"refused for no reason that was given it: {strange[0]}"
    account.measured = shots.highest + 1
    missing: list[str] = []
    for number in range(account.measured):
        name, fault = shots.name(number), shots.fault(number)
        said = reasons.pop(name, [])
        if fault:
            assert any(REASONS[fault] in reason for reason in said), f"{name} is bad ({fault}); said was {said}"
            account.refused[fault] += 1
            account.again += len(said) - 1
        elif name not in answered:
            account.not_through += 1
            missing.append(name)
        else:
            assert not said, f"{name} is good and was refused: {said[0]}"
            account.answered += 1
            account.again += answered[name] - 1
    assert not reasons, f"refused and never measured: {reasons}"
    given_up = sum("measure again" in reason for reason in unnamed)
    silent = account.not_through - given_up
    assert silent <= 0, (
        f"{silent} measurements lost without a word; not there: {missing}; said was: {unnamed}; {err[-4000:]}"
    )
    assert account.again <= account.faults["power cuts"], f"{account.again} measurements are there twice"
    shown = Counter(json.loads(text)["status"] for text in out.splitlines())
    assert shown["estimated"] == sum(answered.values()), "shown is not what is stored"
    assert shown["refused"] == len(refusals(log)), "shown is not what is stored"


# --- ten thousand in a row -------------------------------------------------------------------------------


def measure_in_a_row(folder: Path, count: int) -> str:
    """Measure at full speed; memory must not grow with the number of measurements."""
    shots = Shots(shipped_soils())
    shots.limit = count
    listener = Listener(folder, shipped_bundle())
    memory: list[float] = []
    began_s = time.monotonic()
    with (
        VirtualProbe(VirtualInstrument(shots.simulation(), button_s=0.0), PtyEnd(folder / "port")) as probe,
        listener.running(probe.name, "--passive", "--points", "1") as process,
    ):
        assert process.stdout is not None
        for number in range(count):
            assert process.stdout.readline(), f"it ended after {number} measurements"
            if number % max(count // 20, 1) == 0:
                memory.append(memory_mb(process) or 0.0)
        process.communicate(timeout=PATIENCE_S)
    took_s = time.monotonic() - began_s
    assert process.returncode == 0
    assert len(assert_all_there(listener.log, shots)) == count
    # What is cached once, SQLite's pages above all, is cached in the first tenth.
    early, late = max(memory[:4]), max(memory[4:])
    assert late <= 1.05 * early + 1, f"memory grew from {early:.1f} to {late:.1f} MB"
    return (
        f"{count} measurements in {took_s:.0f} s ({count / took_s:.0f}/s): 0 lost, 0 doubled; memory {early:.1f} MB at "
        f"the start, {late:.1f} MB at the end"
    )


# --- a folder full at once -------------------------------------------------------------------------------


def drop_files(folder: Path, count: int) -> str:
    """Mount a stick, as it were, with so many files and a huge one on it."""
    drop, stick, log = folder / "drop", folder / "stick", folder / "log.db"
    stick.mkdir()
    first = numbered(shipped_soils(), 50)
    for number in range(count):
        target = stick / f"s{number:05d}x.asd"
        if number < len(first):
            write_asd(target, first[number])
        else:
            target.write_bytes((stick / f"s{number % len(first):05d}x.asd").read_bytes())
    with (stick / "huge.asd").open("wb") as file:
        file.truncate(1 << 30)
    drop.symlink_to(stick)
    began_s = time.monotonic()
    command = [STIBIUM, "watch", str(drop), "--once", "--settle", "1", "--format", "jsonl", "--log", str(log)]
    done = subprocess.run(
        [*command, "--model", str(shipped_bundle())], capture_output=True, text=True, timeout=3600, check=False
    )
    took_s = time.monotonic() - began_s
    assert "Traceback" not in done.stderr
    assert Counter(name for name, _ in readings(log)) == Counter(f"s{number:05d}x" for number in range(count))
    assert ["1074 MB" in reason for _, reason in refusals(log)] == [True]
    assert_sound(log, folder / "copy")
    return f"{count} files and one of 1 GB at once, in {took_s:.0f} s: 0 lost, 0 doubled, the huge one refused"


# --- all of it -------------------------------------------------------------------------------------------


def main() -> int:
    """Run it; 1 if anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long measurements are replayed")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--measurements", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}; the instrument is the virtual probe, its spectra are SIMULATED", flush=True)
    wrong = []

    def do(name: str, part: Callable[[Path], object]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                line = str(part(Path(folder)))
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                wrong.append(name)
                line = f"FAILED: {error}"
        print(f"{name:<14} {line}", flush=True)

    seconds, pace_s = 60 * chosen.minutes, (1.0, 5.0)
    lanes = [
        threading.Thread(
            target=do, args=(name, lambda folder, b=button: replay(folder, seconds, pace_s, b, chosen.seed + b))
        )
        for name, button in (("replay, asked", False), ("replay, button", True))
        if seconds
    ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    if chosen.measurements:
        do("in a row", lambda folder: measure_in_a_row(folder, chosen.measurements))
    if chosen.kills:
        do("kill -9", lambda folder: kill_again_and_again(folder, chosen.kills, chosen.seed))
        do("kill -9, each", lambda folder: kill_at_points(folder, None, chosen.seed))
        day = max(chosen.kills // 10, 5)
        do("kill -9, phone", lambda folder: kill_the_browser(folder, chosen.kills, chosen.seed))
        do("kill -9, page", lambda folder: kill_the_page(folder, max(chosen.kills // 5, 5), chosen.seed))
        do("kill -9, day", lambda folder: kill_a_measuring_day(folder, day, 4 * day, 3, chosen.seed))
    if chosen.files:
        do("dropped files", lambda folder: drop_files(folder, chosen.files))
    print(f"failed: {', '.join(wrong)}" if wrong else "nothing lost, nothing doubled, nothing wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
