"""A folder of 10,000 .asd files through `stibium predict` on one core: rate, also with `--stability`, and memory."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from process import Run, run_process
from samples import write_demo_asd

RATE_BOUND = 1000
MEMORY_BOUND = 1.1
FILES = 10_000


def main() -> bool:
    """Print rate and memory ratio; True if they are within bounds."""
    program = str(Path(sys.executable).parent / "stibium")
    core = max(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary:
        few, many = Path(temporary) / "few", Path(temporary) / "many"
        for folder, count in ((few, FILES // 10), (many, FILES)):
            folder.mkdir()
            write_demo_asd(folder, count)

        def predict(folder: Path, n: int, *more: str) -> Run:
            log = Path(temporary) / f"{folder.name}-{n}.db"
            run = run_process([program, "predict", str(folder), "--format", "csv", "--log", str(log), *more], core=core)
            for path in log.parent.glob(f"{log.name}*"):
                path.unlink()
            return run

        pairs = [(predict(few, n), predict(many, n)) for n in range(3)]
        steady = [predict(many, n, "--stability") for n in range(3)]
    rate = median(FILES / b.wall_s for _, b in pairs)
    steady_rate = median(FILES / run.wall_s for run in steady)
    memory = median(b.peak_mb / a.peak_mb for a, b in pairs)
    print(f"stibium predict FOLDER, {FILES} .asd files, one core, each stored in the log, median of {len(pairs)}")
    print(f"  rate    {rate:6.0f} spectra/s (bound {RATE_BOUND})")
    print(f"  rate    {steady_rate:6.0f} spectra/s with --stability (bound {RATE_BOUND})")
    print(
        f"  memory  {median(b.peak_mb for _, b in pairs):6.0f} MB, with {FILES // 10} files"
        f" {median(a.peak_mb for a, _ in pairs):.0f} MB: ratio {memory:.2f} (bound {MEMORY_BOUND})"
    )
    return min(rate, steady_rate) >= RATE_BOUND and memory <= MEMORY_BOUND


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
