"""Writing blocks as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stibium.edge.ore.bundle import OreBundle


def table_of(bundle: OreBundle, values: NDArray[np.float64], folder: Path) -> Path:
    """Write blocks b0, b1, ... with words for classes and every digit of a number."""
    variables = bundle.columns.variables
    lines = [",".join(["block", *(v.column for v in variables)])]
    for i, row in enumerate(values.tolist()):
        cells = [
            "" if x != x else v.word(x) if v.kind == "class" else repr(x) for v, x in zip(variables, row, strict=True)
        ]
        lines.append(",".join([f"b{i}", *cells]))
    path = folder / "blocks.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
