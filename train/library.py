"""A library of other people's soils, read for `stibium train --library`."""

from __future__ import annotations

import os
from dataclasses import replace

from ..edge.units import shown_unit
from .assays.table import read_assay_table
from .errors import TrainingDataError
from .samples import Samples, load


def read_library(path: str | os.PathLike[str], samples: Samples) -> Samples:
    """Read a table that has spectra and values, one row a soil; samples of the same name are left out.

    Args:
        path: of the table.
        samples: the local ones, whose element and unit it must have.

    Returns:
        The library's soils with a value, one mean spectrum each.

    Raises:
        AssayFileError, TrainingDataError: no such element, another unit, or no usable soil.
    """
    assays = read_assay_table(path).assays_for(samples.element, samples.unit)
    if assays.unit != samples.unit:
        raise TrainingDataError(
            f"{os.fspath(path)}: has {assays.element} in {shown_unit(assays.unit)}, and your assays in "
            f"{shown_unit(samples.unit)}: write both in one unit"
        )
    found = load([os.fspath(path)], replace(assays, path=""), None).rows("average")
    target = {name: value for name, value in found.target.items() if name not in samples.target}
    if not target:
        raise TrainingDataError(f"{os.fspath(path)}: every soil of the library is among your own")
    return replace(found, target=target, spectra=tuple(s for s in found.spectra if s.sample_id in target))
