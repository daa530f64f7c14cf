"""How much each variable moved one answer: exact Shapley values of a sum of trees, path-dependent, in NumPy.

The game is that of TreeSHAP (Lundberg et al. 2020, Nature Machine Intelligence 2:56), as in XGBoost's `pred_contribs`:
at a test of a variable that is left out, both ways are gone, by the shares in which the training rows went.

For one leaf with value v, on whose way the variables D are tested, let o_i be 1 if the block passes all tests of
variable i and else 0, and z_i the product of the shares of these tests. The leaf gives variable i
    v (o_i - z_i) * integral over t from 0 to 1 of product over j in D without i of (o_j t + z_j (1 - t)),
because the integral of t^s (1-t)^(d-1-s) is s! (d-1-s)! / d!, the Shapley weight of s others. The product is a
polynomial in t, so Gauss-Legendre quadrature with half as many points as variables on a way is exact. Products run
down the trees once and sums of leaves run up once (compare Linear TreeSHAP, Yu et al. 2022, NeurIPS 35).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from .trees import Trees

Indices = NDArray[np.intp]
GROUP_TESTS = 1 << 15
"""Tests of the trees that are worked on together: their arrays stay in the cache."""
_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class _Level:
    """The tests on one level: first those whose player was tested above.

    Attributes:
        nodes: where they stand among all tests.
        above: (nodes,) the test above; none on the first level.
        edge: (nodes,) the edge from there, among all left and then all right ones.
        again: the first of `nodes`, whose player was tested above.
        repeats: where these stand among all repeats.
        earlier: (repeats,) the test that the last edge for that player leads to.
        below: (2, nodes) tests that the left and the right edge lead to, or one behind the last; None if all lead to
            leaves.
    """

    nodes: slice
    above: Indices
    edge: Indices
    again: slice
    repeats: slice
    earlier: Indices
    below: Indices | None


class Shapley:
    """Shapley values of the players, each of whom holds one or several columns of a sum of trees.

    Args:
        trees: the trees.
        players: (columns,) whose each column is; an imputed value and the mark that it was missing are one variable's.
        count: number of players.

    Everything that does not depend on the block is worked out here, once.
    """

    def __init__(self, trees: Trees, players: Indices, count: int) -> None:
        sizes = np.diff([*trees.roots.tolist(), len(trees.left)]) // 2
        filled = [0, *accumulate(sizes.tolist())]
        numbers = [size // GROUP_TESTS for size in filled[1:]]
        groups = [np.flatnonzero(np.array(numbers) == number) for number in sorted(set(numbers))]
        self._groups = [_Group(trees, trees.roots[group].astype(np.intp), players, count) for group in groups]
        self._count = count
        self.base = trees.base + sum(group.mean for group in self._groups)
        """What the trees say of no block in particular: base + sum of the values = the answer."""

    def values(self, x: Floats) -> Floats:
        """Give (players,) Shapley values of one block, x (columns,) with not-a-number where missing."""
        single = x.astype(np.float32)
        total = np.zeros(self._count)
        for group in self._groups:
            total += group.values(single)
        return total


class _Group:
    """Some trees' tests, level by level; an edge is named by the test that it leads to.

    Edges to leaves need no products of their own: with w the product above a test, less its player's earlier factor,
    the leaves below it give w * sum of (o t + z (1 - t)) v, of which all but the sum of o v is known beforehand.
    """

    def __init__(self, trees: Trees, roots: Indices, players: Indices, count: int) -> None:
        self._count = count
        alone = trees.left[roots] == roots
        self.mean = float(trees.value[roots[alone]].sum())
        node = roots[~alone]
        n = len(node)
        self._firsts = n
        last = np.full((n, count), -1, dtype=np.intp)  # of each player, the test its last edge leads to
        z, share, unlike = np.ones(n), np.ones(n), np.zeros(n, dtype=np.int64)
        above = side = edge_player = np.zeros(0, dtype=np.intp)
        made = most = 0
        parts: dict[str, list[NDArray[Any]]] = {}
        places: list[tuple[slice, Indices, Indices, int, Indices]] = []
        while n:
            who = players[trees.feature[node]].astype(np.intp)
            known = last[np.arange(n), who] >= 0
            if above.size:
                known |= edge_player == who
            # Those whose player was tested above come first.
            order = np.argsort(~known, kind="stable")
            node, who, last = node[order], who[order], last[order]
            z, share, unlike = z[order], share[order], unlike[order]
            if above.size:
                above, side, edge_player = above[order], side[order], edge_player[order]
                last[np.arange(n), edge_player] = np.arange(made, made + n)
                parts.setdefault("edge_player", []).append(edge_player)
            repeats = int(known.sum())
            earlier = last[np.arange(repeats), who[:repeats]]
            places.append((slice(made, made + n), above, side, repeats, earlier))
            before = np.ones(n)
            before[:repeats] = np.concatenate([*parts.get("z", []), z])[earlier]
            below = np.stack([trees.left[node], trees.left[node] + 1]).astype(np.intp)
            # A way that no training row went has a share, too, of nearly nothing: it is divided by.
            ratio = np.maximum(trees.cover[below] / np.maximum(trees.cover[node], _NOTHING), _NOTHING)
            child_z = np.maximum(before * ratio, _NOTHING)
            leaf = trees.left[below] == below
            value = np.where(leaf, trees.value[below], 0.0)
            self.mean += float((share * ratio * value).sum())
            unlike = unlike + 1
            unlike[:repeats] -= 1
            most = max(most, int(unlike.max()))
            for name, part in (
                ("test", node), ("z", z), ("player", who), ("value", value), ("fixed", (child_z * value).sum(axis=0)),
                ("again_player", who[:repeats]), ("again", np.arange(made, made + repeats)), ("earlier", earlier),
            ):  # fmt: skip
                parts.setdefault(name, []).append(part)
            side, at = (part.astype(np.intp) for part in np.nonzero(~leaf))
            above, edge_player, last, unlike = at + made, who[at], last[at], unlike[at]
            node, z, share = below[side, at], child_z[side, at], (share * ratio)[side, at]
            made, n = made + len(who), len(at)
        self._levels = _levels(places, made)
        joined = {name: np.concatenate(part, axis=-1) for name, part in parts.items()}
        empty = np.zeros(0, dtype=np.intp)
        tests = joined.get("test", empty)
        self._feature = trees.feature[tests].astype(np.intp)
        self._threshold = trees.threshold[tests]
        self._missing_left = trees.missing_left[tests]
        self._player, self._again_player = joined.get("player", empty), joined.get("again_player", empty)
        self._edge_player = joined.get("edge_player", empty)
        self._again, self._earlier = joined.get("again", empty), joined.get("earlier", empty)
        x, w = np.polynomial.legendre.leggauss(max((most + 1) // 2, 1))  # type: ignore[no-untyped-call]
        # Single precision: a factor's relative error is 6e-8, a value's stays below 1e-6 of the answer.
        t = (x + 1) / 2
        self._t, self._w = t.astype(np.float32), (w / 2).astype(np.float32)
        self._z = joined.get("z", np.zeros(0)).astype(np.float32)
        self._value = joined.get("value", np.zeros((2, 0))).astype(np.float32)
        self._fixed = joined.get("fixed", np.zeros(0)).astype(np.float32)
        self._absent = ((1 - t)[:, None] * self._z).astype(np.float32)
        self._fixed_part = ((1 - t)[:, None] * self._fixed).astype(np.float32)

    def values(self, x: NDArray[np.float32]) -> Floats:
        """Give (players,) the group's share, of x (columns,)."""
        if not len(self._feature):
            return np.zeros(self._count)
        tested = x.take(self._feature)
        left = tested < self._threshold
        if np.isnan(tested).any():
            left |= np.isnan(tested) & self._missing_left
        passed, left_passed, right_passed = self._passed(left)
        alive = left_passed * self._value[0] + right_passed * self._value[1]
        factor = self._t[:, None] * passed
        factor += self._absent
        earlier = factor.take(self._earlier, axis=1)
        # Down: the product of every player's last factor on the way, without that of the player tested next.
        way = np.empty_like(factor)
        way[:, : self._firsts] = 1
        for level in self._levels[1:]:
            np.multiply(way.take(level.above, axis=1, mode="clip"), factor[:, level.nodes], out=way[:, level.nodes])
            way[:, level.again] /= earlier[:, level.repeats]
        # Up: sums over the leaves below each test.
        sums = np.zeros((len(way), way.shape[1] + 1), dtype=np.float32)  # the last is that of no test
        own = sums[:, :-1]
        np.multiply(self._t[:, None], alive, out=own)
        own += self._fixed_part
        own *= way
        for level in reversed(self._levels):
            if level.below is not None:
                below = sums.take(level.below[0], axis=1, mode="clip")
                below += sums.take(level.below[1], axis=1, mode="clip")
                sums[:, level.nodes] += below
        gains: Floats = np.bincount(self._player, (alive - self._fixed) * (self._w @ way), self._count).astype(float)
        first = self._firsts
        if len(self._edge_player):
            inner = (passed - self._z)[first:] * (self._w @ (own[:, first:] / factor[:, first:]))
            gains += np.bincount(self._edge_player, inner, self._count)
        if not len(self._again):
            return gains
        # Where a player is tested again below, only the last of its factors counts there.
        back = sums.take(self._again, axis=1)
        back /= earlier
        moved = (passed - self._z).take(self._earlier) * (self._w @ back)
        return np.asarray(gains - np.bincount(self._again_player, moved, self._count))

    def _passed(self, left: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        """Say of each test whether the block passes all tests of the player before it, and on either side of it."""
        count = len(left)
        passed = np.ones(count, dtype=np.bool_)
        still = np.ones(count, dtype=np.bool_)
        on_side = np.empty((2, count), dtype=np.bool_)
        for level in self._levels:
            if level.above.size:
                passed[level.nodes] = on_side.ravel().take(level.edge)
            still[level.again] = passed.take(level.earlier)
            np.logical_and(left[level.nodes], still[level.nodes], out=on_side[0, level.nodes])
            np.greater(still[level.nodes], left[level.nodes], out=on_side[1, level.nodes])
        return passed.astype(np.float32), on_side[0], on_side[1]


def _levels(places: list[tuple[slice, Indices, Indices, int, Indices]], count: int) -> list[_Level]:
    levels = []
    below = np.full((2, count), count, dtype=np.intp)
    for nodes, above, side, _, _ in places:
        below[side, above] = np.arange(nodes.start, nodes.start + len(above))
    repeated = 0
    for nodes, above, side, repeats, earlier in places:
        inner = below[:, nodes]
        levels.append(
            _Level(
                nodes=nodes,
                above=above,
                edge=side * count + above,
                again=slice(nodes.start, nodes.start + repeats),
                repeats=slice(repeated, repeated + repeats),
                earlier=earlier,
                below=inner if (inner < count).any() else None,
            )
        )
        repeated += repeats
    return levels
