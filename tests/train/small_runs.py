"""The commands as a user types them, on data small enough to train in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "stibium"


@dataclass(frozen=True)
class Soils:
    """Where simulated soils lie."""

    spectra: Path
    assays: Path


def stibium(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "STIBIUM_TRACEBACK"}
    return subprocess.run(
        [str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, check=False, env=environment
    )


def succeed(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = stibium(*arguments)
    assert done.returncode == 0, done.stderr
    return done


def train_options(soils: Soils, out: Path, **other: object) -> list[object]:
    """A short training of the published network."""
    files = {"spectra": soils.spectra, "assays": soils.assays, "element": "Sb", "out": out}
    # Small batches, so that a few epochs have steps enough for the network to learn something.
    given = files | {"method": "published", "epochs": 30, "batch_size": 8} | other
    return [
        "train",
        "--no-baselines",
        *(part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)),
    ]
