"""A whole table answered, holes of other ground than the model's told as such.

Of few variables, or where all of them are merely higher, single blocks of another deposit often look like the model's
own. A hole is judged as a whole: by how many of its blocks do not belong, and by the means of its blocks.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from .answer import Answer, answer_blocks, outside
from .bundle import OreBundle
from .domain import FEWEST_BLOCKS, MOST_SHARE, hole_inputs, measure
from .table import Blocks

FEWEST_HOLES = 5
"""Of a table, before anything is said of its holes together."""
IN_MEMORY = 4_000_000
"""Bytes of a table that are kept in memory until it was read to its end; those of a longer one lie in a file."""


@dataclass
class _Hole:
    """What is summed up of a hole: its name, blocks, those that do not belong, and `hole_inputs` of all."""

    name: str
    blocks: int = 0
    apart: int = 0
    sums: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def means(self) -> Floats:
        """(columns + 1,) of its blocks."""
        return self.sums / self.blocks


def answer_table(
    bundle: OreBundle, pieces: Iterable[Blocks], explain: bool = False
) -> Iterator[tuple[Blocks, list[Answer]]]:
    """Answer for every block of a table, which is read once and needs the memory of one piece.

    Args:
        bundle: the model; one without a domain knows no ground, and each piece is answered as it comes.
        pieces: the whole table, as `iter_blocks` gives it. One without holes is taken as one hole.
        explain: work out the contributions, too.

    Yields:
        Each piece and its answers. No block of a hole of other ground is told.
    """
    if bundle.domain is None:
        for piece in pieces:
            yield piece, answer_blocks(bundle, piece, explain)
        return
    holes: dict[str, _Hole] = {}
    read = 0
    with SpooledTemporaryFile(max_size=IN_MEMORY) as kept:
        for piece in pieces:
            found = measure(bundle.domain, piece.features)
            apart = outside(bundle, piece.values).any(axis=1) | found.beyond(bundle.domain)
            _add(holes, piece, apart, hole_inputs(found))
            read += 1
            pickle.dump((piece, found), kept, pickle.HIGHEST_PROTOCOL)
        whole = _other_table(bundle, holes.values())
        elsewhere = {key: why for key, hole in holes.items() if (why := _other_hole(bundle, hole) or whole)}
        kept.seek(0)
        for _ in range(read):
            piece, found = pickle.load(kept)
            yield piece, answer_blocks(bundle, piece, explain, elsewhere, found)


def _add(holes: dict[str, _Hole], piece: Blocks, apart: NDArray[np.bool_], inputs: Floats) -> None:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(piece.groups if piece.groups is not None else ("",) * len(piece.ids)):
        rows[name.casefold()].append(row)
    for key, own in rows.items():
        hole = holes.setdefault(key, _Hole(piece.groups[own[0]] if piece.groups is not None else ""))
        hole.blocks += len(own)
        hole.apart += int(apart[own].sum())
        total = inputs[own].sum(axis=0)
        hole.sums = hole.sums + total if hole.sums.size else total


def _other_hole(bundle: OreBundle, hole: _Hole) -> str:
    """Say why a hole is other ground than the model's; "" if it is not."""
    if hole.blocks < FEWEST_BLOCKS:
        return ""
    assert bundle.domain is not None
    of, ground = f"hole {hole.name}" if hole.name else "the table", bundle.domain.ground
    if hole.apart > MOST_SHARE * hole.blocks:
        return (
            f"other ground than the model's: {hole.apart} of {hole.blocks} blocks of {of} lie outside the training "
            "blocks or do not belong together"
        )
    if ground is None or (parts := ground.parts(hole.means, hole.blocks)).sum() <= ground.limit:
        return ""
    return f"other ground than the model's: the {hole.blocks} blocks of {of} are on average {_unlike(bundle, parts)}"


def _other_table(bundle: OreBundle, holes: Iterable[_Hole]) -> str:
    """Say why a table's holes together are other ground: their middle is further out than most holes alone."""
    assert bundle.domain is not None
    ground, long = bundle.domain.ground, [hole for hole in holes if hole.blocks >= FEWEST_BLOCKS]
    if ground is None or len(long) < FEWEST_HOLES:
        return ""
    means = np.mean([hole.means for hole in long], axis=0)
    parts = ground.parts(means, sum(hole.blocks for hole in long))
    if parts.sum() <= ground.usual:
        return ""
    return f"other ground than the model's: the table's {len(long)} holes are together {_unlike(bundle, parts)}"


def _unlike(bundle: OreBundle, parts: Floats) -> str:
    """Name the variables by whose means a hole is unlike those of the training; `parts` of its T2."""
    assert bundle.domain is not None
    if parts[-1] >= parts[:-1].sum():
        return "unlike those of the training's holes in how values go together"
    of_variables = np.bincount(bundle.domain.variable_of, parts[:-1])
    first, second = (bundle.columns.variables[k].name for k in np.argsort(-of_variables, kind="stable")[:2])
    return f"unlike those of the training's holes, most in {first} and {second}"
