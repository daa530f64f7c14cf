"""`stibium predict one.asd` as a whole process, against importing what it cannot do without."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from process import run_process
from samples import write_demo_asd
from stibium.edge.model.runtime import runtime_name

TIME_LIMIT = 1.55
MEMORY_LIMIT = 1.6
RUNS = 21


def main() -> bool:
    """Print both ratios; True if they are within bounds."""
    module = "ai_edge_litert.interpreter" if "ai-edge" in runtime_name() else "tflite_runtime.interpreter"
    reference = [sys.executable, "-c", f"import numpy, {module}, click"]
    with tempfile.TemporaryDirectory() as folder:
        (one,) = write_demo_asd(Path(folder), 1)
        program = str(Path(sys.executable).parent / "stibium")
        command = [program, "predict", str(one), "--log", str(Path(folder) / "log.db")]
        env = dict(os.environ)
        env.pop("STIBIUM_MODEL", None)
        # An installed package is compiled once; where this is set, it would be compiled at each start.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        # The program says so itself; the imports alone would take twice as long where a second thread has no core.
        env["OPENBLAS_NUM_THREADS"] = "1"
        ours, theirs = [], []
        for i in range(RUNS + 2):
            pair = run_process(command, env), run_process(reference, env)
            if i >= 2:  # the first two fill the caches
                ours.append(pair[0])
                theirs.append(pair[1])
    time_ratio = median(o.wall_s / t.wall_s for o, t in zip(ours, theirs, strict=True))
    memory_ratio = median(o.peak_mb for o in ours) / median(t.peak_mb for t in theirs)
    print(f"stibium predict one.asd, whole process, median of {RUNS} pairs")
    print(
        f"  time    {1e3 * median(o.wall_s for o in ours):6.0f} ms, imports alone {1e3 * median(t.wall_s for t in theirs):.0f} ms:"
        f" ratio {time_ratio:.2f} (bound {TIME_LIMIT})"
    )
    print(
        f"  memory  {median(o.peak_mb for o in ours):6.0f} MB, imports alone {median(t.peak_mb for t in theirs):.0f} MB:"
        f" ratio {memory_ratio:.2f} (bound {MEMORY_LIMIT})"
    )
    return time_ratio <= TIME_LIMIT and memory_ratio <= MEMORY_LIMIT


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
