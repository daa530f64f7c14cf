"""What a second process, or a second Dask worker, is worth on an archive; simulated soils, all in one run on one machine.

`python benchmarks/archive.py --spectra 200000` takes eight minutes on two idle cores; the default is for a look.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import stibium.edge
from stibium.converters.spectra import read_spectra, write_asd
from stibium.edge.jobs import FILES

SHIPPED = Path(stibium.edge.__path__[0]) / "shipped"
WANTED = 1.7
PER_FOLDER = 1000
FEW = 2 * FILES
"""A task for each of two workers, so that the start of both is told from their work."""


def make(folder: Path, count: int) -> None:
    """Write .asd files, the shipped samples again and again."""
    files = []
    for i, spectrum in enumerate(read_spectra(SHIPPED / "demo_samples.csv.gz")):
        files.append(folder / f"sample{i:03d}.asd")
        write_asd(files[-1], spectrum)
    for number in range(count):
        part = folder / "spectra" / f"{number // PER_FOLDER:04d}"
        part.mkdir(parents=True, exist_ok=True)
        # A hard link costs no disk, and is read like any other file.
        os.link(files[number % len(files)], part / f"soil{number:07d}.asd")
    few = folder / "few"
    few.mkdir()
    for number in range(FEW):
        os.link(files[number % len(files)], few / f"soil{number:07d}.asd")


def timed(spectra: Path, out: Path, *options: str) -> float:
    """Run `stibium archive`, and give its seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "stibium.edge", "archive", str(spectra), "--out", str(out), *options]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    shutil.rmtree(out)
    return seconds


class Timed(NamedTuple):
    """Seconds of all spectra, and of starting: of `FEW` of them, by the same means."""

    whole: float
    start: float

    @classmethod
    def best_of(cls, rounds: int, folder: Path, *options: str) -> Timed:
        """Time both, each as often, once all is loaded; the least is what the machine can do."""
        # Workers of a cluster load what they need once, for all commands.
        timed(folder / "few", folder / "out", *options)
        few = [timed(folder / "few", folder / "out", *options) for _ in range(rounds)]
        return cls(min(timed(folder / "spectra", folder / "out", *options) for _ in range(rounds)), min(few))

    @property
    def beyond(self) -> float:
        """Seconds beyond starting."""
        return max(self.whole - self.start, 1e-3)


def workers(folder: Path, count: int) -> tuple[str, list[subprocess.Popen[bytes]]]:
    """Start a Dask scheduler and workers, each of one thread."""
    file = folder / f"scheduler{count}.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    main = "from distributed.cli.dask_{0} import main; main()"
    begin = [sys.executable, "-c", main.format("scheduler"), "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    processes = [subprocess.Popen([*begin, "--scheduler-file", str(file)], **quiet)]
    while not file.is_file():
        if processes[0].poll() is not None:
            raise SystemExit("the Dask scheduler did not start; is stibium[cluster] installed?")
        time.sleep(0.1)
    address = json.loads(file.read_text())["address"]
    one = [sys.executable, "-c", main.format("worker"), address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    processes += [subprocess.Popen(one, **quiet) for _ in range(count)]
    time.sleep(5)
    return address, processes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=1, help="how often each is timed; the best counts")
    parser.add_argument("--no-dask", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stibium-archive-") as name:
        folder = Path(name)
        make(folder, chosen.spectra)
        rows = [("1 process", Timed.best_of(chosen.rounds, folder))]
        rows.append(("2 processes", Timed.best_of(chosen.rounds, folder, "--jobs", "2")))
        for count in () if chosen.no_dask else (1, 2):
            address, processes = workers(folder, count)
            try:
                found = Timed.best_of(chosen.rounds, folder, "--scheduler", address)
                rows.append((f"{count} Dask worker{'s' * (count > 1)}", found))
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
    print(f"{chosen.spectra} spectra (.asd, simulated), {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for what, one in rows:
        rate = (chosen.spectra - FEW) / one.beyond
        print(f"{what:<16}{one.whole:8.1f} s, starting {one.start:.1f} s, beyond it {rate:.0f} spectra/s")
    for (what, one), (other, two) in zip(rows[::2], rows[1::2], strict=True):
        print(
            f"{other} {one.beyond / two.beyond:.2f} times {what} beyond starting (wanted {WANTED}), "
            f"{one.whole / two.whole:.2f} with it"
        )


if __name__ == "__main__":
    main()
