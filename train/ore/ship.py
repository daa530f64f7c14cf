"""Make the shipped ore bundle again from nothing: `make ore-model`.

Runs the same commands a user would: `stibium ore simulate`, `stibium ore train`, `stibium ore export`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..ship import SHIPPED, stibium

SCENARIO = "C4"
"""What can be had at the face before any assay: the classes by eye, and Pb and Zn."""

MODEL = "forest"
"""What a comparison of all five chooses there (docs/ore.md)."""


def main() -> None:
    """Simulate a deposit, train the model for the face on it, and hand it over."""
    with tempfile.TemporaryDirectory(prefix="stibium-ship-") as name:
        folder = Path(name)
        stibium("ore", "simulate", "--out", str(folder / "deposit"))
        # Other scenarios and models have no part in this one's.
        options = ("--out", str(folder / "run"), "--scenario", SCENARIO, "--model", MODEL, "--no-report")
        stibium("ore", "train", str(folder / "deposit" / "blocks.csv"), *options)
        bundle = str(SHIPPED / "ore_simulated.ore")
        stibium("ore", "export", str(folder / "run"), "--scenario", SCENARIO, "--out", bundle)


if __name__ == "__main__":
    main()
