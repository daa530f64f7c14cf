"""A table of blocks as training takes it, and what no model can be trained on."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.ore.cells import BELOW, EXACT
from ...edge.ore.columns import Columns, Variable
from ...edge.ore.table import ORE, UNLABELLED, Blocks, read_blocks
from ..errors import TrainingDataError

FEWEST_ALIKE = 2
"""Measured assays that two rows must share before they are taken for one block twice."""


@dataclass(frozen=True, eq=False)
class OreData:
    """Blocks with their labels.

    Attributes:
        variables: (k,) what the columns are.
        features: (n, k) numbers, half of a lower limit; not-a-number where a value is missing.
        bounds: (n, k) -1 below a detection limit, 1 above an upper limit, else 0.
        ore: (n,) the label.
        groups: (n,) number of the hole or face; None if the table has none.
        group_names: by that number.
        simulated: whether the table says so.
        source: the file.
        sha256: of the file.
        unlabelled: rows whose label is not known; None if there are none.
        remarks: what was noticed when the rows were taken.
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
    unlabelled: Blocks | None = None
    remarks: tuple[str, ...] = ()

    @property
    def marked(self) -> Floats:
        """(n, k) the features with a limit's negative where a value is below it, as `Encode` takes them."""
        return np.where(self.bounds == BELOW, -2 * self.features, self.features)

    @property
    def holes(self) -> NDArray[np.intp]:
        """(n,) number of the hole or face; the row's own number where the table has none."""
        return self.groups if self.groups is not None else np.arange(len(self.ore))

    def take(self, rows: NDArray[np.intp]) -> OreData:
        """Give some of the rows; groups keep their numbers."""
        return replace(
            self,
            features=self.features[rows],
            bounds=self.bounds[rows],
            ore=self.ore[rows],
            groups=None if self.groups is None else self.groups[rows],
            unlabelled=None,
        )

    def columns_of(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Say in which columns the named variables are."""
        at = {v.name: i for i, v in enumerate(self.variables)}
        return np.array([at[name] for name in names], dtype=np.intp)


def load_ore_data(
    path: str | os.PathLike[str], columns: Columns, needed: Collection[str] = ("group",), whole: str = "hole"
) -> OreData:
    """Read a table of labelled blocks; every row must be usable.

    Args:
        path: the table.
        columns: what its columns are.
        needed: as of `edge.ore.table.iter_blocks`.
        whole: what folds keep whole: "hole" (with its wedges, unless `columns` says otherwise), "section" or "area".

    Raises:
        BlockTableError: the table, or a row of it, cannot be used.
        TrainingDataError: it has one class only, a column without any value, or groups that group nothing.
    """
    source = os.fspath(path)
    if whole != "hole":
        if not columns.roles.get(whole):
            raise TrainingDataError(f"{source}: no column is named as {whole}; name one in the columns file")
        needed = {*needed, whole}
    blocks = read_blocks(source, columns, needed=needed)
    if whole != "hole":
        blocks = replace(blocks, groups=blocks.parts[whole])
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    return from_blocks(blocks, source, digest, columns.wedges and whole == "hole")


def from_blocks(blocks: Blocks, source: str, sha256: str = "", wedges: bool = True) -> OreData:
    """Take blocks read with their labels; raises TrainingDataError as `load_ore_data` does."""
    assert blocks.labels is not None
    unlabelled = np.flatnonzero(blocks.labels == UNLABELLED)
    said = [*_twice(blocks)]
    if unlabelled.size:
        said.append(f"{unlabelled.size} rows are unlabelled: not trained on, and answered for afterwards")
        passed_over = blocks.take(unlabelled)
        blocks = blocks.take(np.flatnonzero(blocks.labels != UNLABELLED))
    labels = np.asarray(blocks.labels)
    ore = labels == ORE
    if ore.all() or not ore.any():
        only = "ore" if ore.any() else "gangue" if ore.size else "unlabelled"
        raise TrainingDataError(f"{source}: all {len(ore)} blocks are {only}; both ore and gangue are needed")
    for i in np.flatnonzero(np.isnan(blocks.values).all(axis=0)):
        column = blocks.variables[i].column
        raise TrainingDataError(f"{source}: column {column} has no value at all; leave it out of the scenarios")
    names: tuple[str, ...] = ()
    groups = None
    if blocks.groups is not None:
        names, groups, merged = _number_groups(blocks, source, wedges)
        said += merged
    return OreData(
        blocks.variables,
        blocks.features,
        blocks.bounds,
        ore,
        groups,
        names,
        blocks.simulated,
        source,
        sha256,
        passed_over if unlabelled.size else None,
        tuple(f"{source}: {line}" for line in said),
    )


_WEDGE = re.compile(r"(?<=\d)(?:[-_ .]?[Ww]\d+[A-Za-z]?)+$")


def parent_hole(name: str) -> str:
    """Return the hole that a wedge was drilled from, as X195 of X195W1; another name as it is."""
    return _WEDGE.sub("", name)


def hole_keys(names: Iterable[str], wedges: bool) -> list[str]:
    """Return what is the same of all names of one hole, whatever their case and, with `wedges`, its wedges."""
    return [(parent_hole(name) if wedges else name).casefold() for name in names]


def _number_groups(
    blocks: Blocks, source: str, wedges: bool
) -> tuple[tuple[str, ...], NDArray[np.intp], Iterator[str]]:
    """Number the holes, their names compared without case, and say what was put together."""
    assert blocks.groups is not None
    empty = [line for line, name in zip(blocks.lines, blocks.groups, strict=True) if not name]
    if empty:
        raise TrainingDataError(
            f'{source}:{empty[0]}: no hole or face ({len(empty)} such rows); name one in each, or set group = "" '
            "in the columns file"
        )
    keys = hole_keys(blocks.groups, wedges)
    _, first, codes = np.unique(np.array(keys), return_index=True, return_inverse=True)
    if np.bincount(codes).max() == 1:
        raise TrainingDataError(
            f'{source}: every block has a hole or face of its own, so they group nothing; set group = "" in the '
            "columns file"
        )

    def merged() -> Iterator[str]:
        spellings = dict(zip(blocks.groups or (), keys, strict=True))
        for what, found in (
            ("wedges belong to their parent holes", [n for n in spellings if wedges and parent_hole(n) != n]),
            ("names of holes differ in case only", [n for n in spellings if _other_case(n, spellings)]),
        ):
            if found:
                yield f"{len(found)} {what} (such as {found[0]}) and are kept together in folds"

    return tuple(blocks.groups[i] for i in first), codes.astype(np.intp), merged()


def _other_case(name: str, names: Iterable[str]) -> bool:
    return any(other != name and other.casefold() == name.casefold() for other in names)


def _twice(blocks: Blocks) -> Iterator[str]:
    """Say which names and which rows stand in the table more than once."""
    named = Counter(name for name in blocks.ids if not name.startswith("line "))
    repeated = [name for name, count in named.items() if count > 1]
    if repeated:
        yield f"{len(repeated)} names of blocks stand for several rows (such as {repeated[0]})"
    assays = [i for i, v in enumerate(blocks.variables) if v.kind == "assay"]
    seen: dict[tuple[object, ...], int] = {}
    same = []
    for i, (line, values) in enumerate(zip(blocks.lines.tolist(), blocks.values, strict=True)):
        # Of classes alone, or of what was not detected, blocks are alike by right.
        if np.count_nonzero(~np.isnan(values[assays]) & (blocks.bounds[i, assays] == EXACT)) >= FEWEST_ALIKE:
            key = (values.tobytes(), blocks.bounds[i].tobytes())
            if key in seen:
                same.append((seen[key], line))
            seen.setdefault(key, line)
    if same:
        first, again = same[0]
        yield f"{len(same)} rows repeat another's values (lines {first} and {again}); is one block there twice?"


def folds_for(data: OreData, most: int) -> int:
    """Choose how many outer folds a table bears: no more than half its holes, or a fifth of its rarer class."""
    rarer = int(min(data.ore.sum(), (~data.ore).sum()))
    holes = len(data.group_names) if data.groups is not None else most * 2
    return max(2, min(most, holes // 2, rarer // 5))


def notes(data: OreData) -> list[str]:
    """Say in lines what of the data wants to be known before it is used: small groups, missing values, bounds."""
    lines = list(data.remarks)
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
            f"{data.source}: {bounded} values are bounds (<, >); an upper limit stands for itself, and for a lower one "
            "what --below-detection says"
        )
    return lines
