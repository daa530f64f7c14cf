"""Make the shipped differences of wet and dry soils again: `make moisture SOILS=TABLE`.

    python -m stibium.train.ship_moisture SOILS

SOILS is a table of soils scanned dry, and damp or wet, under one name (column condition, or comment: air-dried, wet,
wet then one day of drying). The same table gives the same file.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ..converters.spectra.spectrum import Condition, Spectrum
from ..edge.files import iter_spectra
from .moisture import SHIPPED_FILE, pairs_of, write_differences

TARGET = Path(__file__).parent / "data" / SHIPPED_FILE
IN_COMMENT: dict[str, Condition] = {"air-dried": "dry", "wet": "wet", "wet then one day of drying": "damp"}
SAID = (
    "Differences of the absorbance of 60 soils of the survey of Geeves et al. 1994 (New South Wales and Victoria),",
    "wet and one day later minus air-dried, and the air-dried soils; from the R package soilspec (A. Wadoux), MIT.",
)


def main() -> None:
    """Read the table that is named, and write the file."""
    (path,) = sys.argv[1:] or [""]
    if not path:
        raise SystemExit("name the table of soils: python -m stibium.train.ship_moisture SOILS")
    items = [
        replace(item, condition=item.condition or IN_COMMENT.get(item.comment, ""))
        if isinstance(item, Spectrum)
        else item
        for item in iter_spectra([path])
    ]
    pairs = pairs_of(items, path)
    TARGET.parent.mkdir(exist_ok=True)
    write_differences(str(TARGET), pairs, SAID)
    print(f"{TARGET}: {pairs.source}, {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
