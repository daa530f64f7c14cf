"""`make bench`: every figure that the README states about speed, memory and quantisation, in one run."""

from __future__ import annotations

import os
import sys

# Before anything imports NumPy: one thread, so that a rate is a rate of one core.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import folder
import preprocess
import quantisation
import start


def main() -> int:
    """Run all; 1 if any is out of its bound."""
    missed = []
    for module in (preprocess, start, folder, quantisation):
        if not module.main():
            missed.append(module.__name__)
        print(flush=True)
    print(f"out of bounds: {', '.join(missed)}" if missed else "all within bounds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
