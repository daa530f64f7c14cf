"""All five formats of one trained network: size, time, and what each adds to the RMSE on simulated validation soils."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stibium.converters.models.quantise import QUANTISATIONS
from stibium.edge.bundle import read_bundle, shipped_bundle_path
from stibium.edge.runtime import Runtime, runtime_name
from stibium.train.export import export_run
from stibium.train.run import load_run

ADDED_BOUND = 0.02
SAMPLES = 1500


def main() -> bool:
    """Print the table; True if the format that is shipped adds no more than the bound."""
    shipped = read_bundle(shipped_bundle_path()).quantisation
    with tempfile.TemporaryDirectory() as folder:
        soils, run_folder = Path(folder) / "soils", Path(folder) / "run"
        _stibium("simulate", "--out", str(soils), "--samples", str(SAMPLES), "--as", "table")
        data = ("--spectra", str(soils / "spectra.csv.gz"), "--assays", str(soils / "assays.csv"))
        _stibium("train", *data, "--element", "Sb", "--out", str(run_folder), "--patience", "30")
        run = load_run(run_folder)
        exported = export_run(run, QUANTISATIONS)
        features = run.calibration_features
        rows = []
        for name in QUANTISATIONS:
            bundle, parity = exported[name].bundle, exported[name].parity
            runtime = Runtime(bundle.model)
            runtime.run(features[:10])
            times = []
            for _ in range(5):
                start = time.perf_counter()
                runtime.run(features)
                times.append((time.perf_counter() - start) / len(features))
            rows.append((name, len(bundle.model), parity, 1e3 * min(times)))
    float_ms = rows[QUANTISATIONS.index("float32")][3]
    print(f"formats of one network, {rows[0][2].n} SIMULATED validation soils, {runtime_name()}")
    print(f"  {'format':<10}{'KB':>6}{'ms':>8}{'of float':>10}{'RMSE ppm':>10}{'added':>9}{'distinct':>10}")
    within = True
    for name, size, parity, ms in rows:
        mark = ""
        if name == shipped:
            within = parity.added <= ADDED_BOUND
            mark = f"  shipped (bound {100 * ADDED_BOUND:g} % added)"
        print(
            f"  {name:<10}{size / 1024:>6.0f}{ms:>8.3f}{ms / float_ms:>9.1f}x{parity.exported_rmse:>10.1f}"
            f"{100 * parity.added:>+8.2f} %{parity.distinct_answers:>9}{mark}"
        )
    return within


def _stibium(*arguments: str) -> None:
    command = [sys.executable, "-m", "stibium.edge", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
