"""A table of blocks as training takes it, and what no model can be trained on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.ore.columns import Columns, Variable
from ...edge.ore.table import Blocks, read_blocks
from ..errors import TrainingDataError


@dataclass(frozen=True, eq=False)
class OreData:
    """Blocks with their labels.

    Attributes:
        variables: (k,) what the columns are.
        features: (n, k) numbers as models take them; not-a-number where a value is missing.
        bounds: (n, k) -1 below a detection limit, 1 above an upper limit, else 0.
        ore: (n,) the label.
        groups: (n,) number of the hole or face; None if the table has none.
        group_names: by that number.
        simulated: whether the table says so.
        source: the file.
        sha256: of the file.
    """

    variables: tuple[Variable, ...]
    features: Floats
    bounds: NDArray[np.int8]
    ore: NDArray[np.bool_]
    groups: NDArray[np.intp] | None
    group_names: tuple[str, ...]
    simulated: bool
    source: str
    sha256: str

    @property
    def holes(self) -> NDArray[np.intp]:
        """(n,) number of the hole or face; the row's own number where the table has none."""
        return self.groups if self.groups is not None else np.arange(len(self.ore))

    def take(self, rows: NDArray[np.intp]) -> OreData:
        """Give some of the rows; groups keep their numbers."""
        return OreData(
            self.variables,
            self.features[rows],
            self.bounds[rows],
            self.ore[rows],
            None if self.groups is None else self.groups[rows],
            self.group_names,
            self.simulated,
            self.source,
            self.sha256,
        )

    def columns_of(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Say in which columns the named variables are."""
        at = {v.name: i for i, v in enumerate(self.variables)}
        return np.array([at[name] for name in names], dtype=np.intp)


def load_ore_data(path: str | os.PathLike[str], columns: Columns) -> OreData:
    """Read a table of labelled blocks; every row must be usable.

    Raises:
        BlockTableError: the table, or a row of it, cannot be used.
        TrainingDataError: it has one class only, a column without any value, or groups that group nothing.
    """
    source = os.fspath(path)
    return from_blocks(read_blocks(source, columns), source, hashlib.sha256(Path(source).read_bytes()).hexdigest())


def from_blocks(blocks: Blocks, source: str, sha256: str = "") -> OreData:
    """Take blocks read with their labels; raises TrainingDataError as `load_ore_data` does."""
    assert blocks.labels is not None
    ore = blocks.labels == 1
    if ore.all() or not ore.any():
        only = "ore" if ore.all() else "gangue"
        raise TrainingDataError(f"{source}: all {len(ore)} blocks are {only}; both ore and gangue are needed")
    for i in np.flatnonzero(np.isnan(blocks.values).all(axis=0)):
        column = blocks.variables[i].column
        raise TrainingDataError(f"{source}: column {column} has no value at all; leave it out of the scenarios")
    names: tuple[str, ...] = ()
    groups = None
    if blocks.groups is not None:
        empty = [line for line, name in zip(blocks.lines, blocks.groups, strict=True) if not name]
        if empty:
            raise TrainingDataError(
                f'{source}:{empty[0]}: no hole or face ({len(empty)} such rows); name one in each, or set group = "" '
                "in the columns file"
            )
        unique, codes = np.unique(np.array(blocks.groups), return_inverse=True)
        names, groups = tuple(map(str, unique)), codes.astype(np.intp)
        rows = np.bincount(groups)
        if rows.max() == 1:
            raise TrainingDataError(
                f'{source}: every block has a hole or face of its own, so they group nothing; set group = "" in the '
                "columns file"
            )
    return OreData(
        blocks.variables, blocks.features, blocks.bounds, ore, groups, names, blocks.simulated, source, sha256
    )


def notes(data: OreData) -> list[str]:
    """Say in lines what of the data wants to be known before it is used: small groups, missing values, bounds."""
    lines = []
    if data.groups is None:
        lines.append(f"{data.source}: no holes or faces; neighbours cannot be kept apart and figures will flatter")
    else:
        rows = np.bincount(data.groups, minlength=len(data.group_names))
        single = np.flatnonzero(rows == 1)
        if single.size:
            lines.append(
                f"{data.source}: {single.size} of {len(rows)} holes or faces have one row "
                f"({data.group_names[single[0]]}); a group of one tells nothing of its neighbours"
            )
    absent = np.isnan(data.features).mean(axis=0)
    worst = np.argsort(-absent, kind="stable")[:3]
    if absent.max() > 0:
        named = ", ".join(f"{data.variables[i].name} {100 * absent[i]:.1f} %" for i in worst if absent[i] > 0)
        lines.append(f"{data.source}: values are missing (most: {named}); models impute them inside each fold")
    bounded = np.count_nonzero(data.bounds)
    if bounded:
        lines.append(
            f"{data.source}: {bounded} values are bounds (<, >); half a lower limit and an upper limit stand for them"
        )
    return lines
