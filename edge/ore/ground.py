"""Whether a hole is other ground than the model's: so many of its blocks do not belong that the others do by chance.

Of few variables, or where all of them are merely higher, single blocks of another deposit often look like the model's
own. Those that stand beside many that cannot be told are not told either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from .answer import outside
from .bundle import OreBundle
from .domain import beyond
from .table import Blocks

FEWEST_BLOCKS = 10
"""Of a hole, before anything is said of it as a whole."""
MOST_SHARE = 0.5
"""Of a hole's blocks that may lie outside or not belong together; of left-out holes it is a twentieth on average."""


def other_ground(bundle: OreBundle, pieces: Iterable[Blocks]) -> dict[str, str]:
    """Find the holes most of whose blocks do not belong to the model's ground.

    Args:
        bundle: the model; one without a domain knows no ground.
        pieces: the whole table, as `iter_blocks` gives it. One without holes is taken as one hole.

    Returns:
        Name of the hole, without case ("" of a table without holes) -> why it cannot be told, for `answer_blocks`.
    """
    if bundle.domain is None:
        return {}
    blocks, apart, names = Counter[str](), Counter[str](), dict[str, str]()
    for piece in pieces:
        alien = outside(bundle, piece.values).any(axis=1) | beyond(bundle.domain, piece.features)
        holes = piece.groups if piece.groups is not None else ("",) * len(piece.ids)
        keys = [hole.casefold() for hole in holes]
        names |= dict(zip(keys, holes, strict=True))
        blocks.update(keys)
        apart.update(keys[row] for row in np.flatnonzero(alien))
    return {
        hole: f"other ground than the model's: {apart[hole]} of {count} blocks of "
        f"{f'hole {names[hole]}' if hole else 'the table'} lie outside the training blocks or do not belong together"
        for hole, count in blocks.items()
        if count >= FEWEST_BLOCKS and apart[hole] > MOST_SHARE * count
    }
