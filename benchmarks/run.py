"""`make bench`: every figure that the README states about speed, memory and agreement, in one run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = ("preprocess", "start", "folder", "latency", "quantisation", "ore")


def main() -> int:
    """Run each benchmark in a process of its own; 1 if any is out of its bound."""
    # One thread, so that a rate is a rate of one core.
    env = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    missed = []
    for name in BENCHMARKS:
        script = Path(__file__).with_name(f"{name}.py")
        if subprocess.run([sys.executable, str(script)], env=env, check=False).returncode != 0:
            missed.append(name)
        print(flush=True)
    print(f"out of bounds: {', '.join(missed)}" if missed else "all within bounds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
