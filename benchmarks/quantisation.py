"""The formats of the shipped network against the trained one, on simulated soils.

Trains the shipped model again from nothing, as `make model` does, so it takes a minute or two.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from stibium.edge.model.bundle import Bundle, read_bundle, shipped_bundle_path
from stibium.edge.model.runtime import Runtime, runtime_name
from stibium.train.export import export_run
from stibium.train.methods.registry import DEVICE_METHODS
from stibium.train.methods.tensorflow_setup import quiet
from stibium.train.run import load_run
from stibium.train.samples import prepare
from stibium.train.ship import make_run

ADDED_BOUND = 0.02
TIMED_ROWS = 100
PASSES = 5


def main() -> bool:
    """Print the table; True if the shipped format is within its bound.

    In a process of its own: once another benchmark has imported TensorFlow, no TFLite interpreter can be built.
    """
    return subprocess.run([sys.executable, __file__], check=False).returncode == 0


def measure() -> bool:
    with tempfile.TemporaryDirectory(prefix="stibium-bench-") as folder:
        print("quantisation: training the shipped model again on simulated soils ...", file=sys.stderr, flush=True)
        # What the commands print of the training is shown only if one of them fails.
        with quiet(), _stdout_to_stderr():
            _, path = make_run(Path(folder))
        run = load_run(path)
        exported = export_run(run, DEVICE_METHODS[run.method].formats)
    weights, shipped = run.record["weights_sha256"], read_bundle(shipped_bundle_path())
    same = shipped.provenance.get("weights_sha256") == weights
    rmse = next(iter(exported.values())).parity.float_rmse
    log_rmse = run.record["metrics"]["cross-validation (log10)"]["rmse"]
    print(
        f"quantisation, on {len(run.held_out)} SIMULATED spectra in {runtime_name()}; the trained model's RMSE on them is "
        f"{rmse:.1f} ppm, cross-validated {log_rmse:.3f} in log10;\n"
        f"its weights are {'those of the shipped bundle' if same else 'not those of the shipped bundle, which another machine made'}"
    )
    print("  format      network      RMSE   added to RMSE   between the two   distinct answers   ms/spectrum")
    features = run.bundle.scaling.apply(prepare(run.held_out[:TIMED_ROWS], run.bundle.recipe).features)
    for name, result in exported.items():
        parity = result.parity
        print(
            f"  {name:<8}{len(result.bundle.model) / 1024:>8.1f} KB{parity.exported_rmse:>10.1f}"
            f"{100 * parity.added:>+14.2f} %{100 * parity.difference_share:>16.2f} %"
            f"{parity.distinct_answers:>12} of {parity.n}{milliseconds(result.bundle, features):>12.3f}"
        )
    added = exported[shipped.quantisation].parity.added
    within = added <= ADDED_BOUND
    print(
        f"  shipped: {shipped.quantisation}, {100 * added:+.2f} % added (at most {100 * ADDED_BOUND:g} %)"
        f"{'' if within else '  OUT OF BOUND'}",
        flush=True,
    )
    return within


def milliseconds(bundle: Bundle, features: np.ndarray) -> float:
    """Median time of one spectrum through the network."""
    runtime = Runtime(bundle.model)
    times = []
    for _ in range(PASSES):
        start = perf_counter()
        runtime.run(features)
        times.append(1e3 * (perf_counter() - start) / len(features))
    return median(times)


@contextlib.contextmanager
def _stdout_to_stderr():
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


if __name__ == "__main__":
    sys.exit(0 if measure() else 1)
