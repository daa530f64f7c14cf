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

import numpy as np
from numpy.typing import NDArray

from .trees import Trees

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
GROUP_EDGES = 1 << 15
"""Edges of the trees that are worked on together: their arrays stay in the cache."""
_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class _Level:
    """The edges on one level, in pairs from the same node: all left ones, then all right ones.

    Attributes:
        edges: where they stand among all edges.
        above: (pairs,) the edge that leads to the node; 0 for a root.
        earlier: (repeats,) for the first pairs, the last edge above that tested the same player.
        repeats: where `earlier` stands among all of them.
    """

    edges: slice
    above: Indices
    earlier: Indices
    repeats: slice


class Shapley:
    """Shapley values of the players, each of whom holds one or several columns of a sum of trees.

    Args:
        trees: the trees.
        players: (columns,) whose each column is; an imputed value and the mark that it was missing are one variable's.
        count: number of players.

    Everything that does not depend on the block is worked out here, once.
    """

    def __init__(self, trees: Trees, players: Indices, count: int) -> None:
        sizes = np.diff([*trees.roots.tolist(), len(trees.left)])
        filled = [0, *accumulate(sizes.tolist())]
        numbers = [size // GROUP_EDGES for size in filled[1:]]
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
    """Some trees' edges, level by level. Edge 0 is the way to every root: nobody's, and taken by all."""

    def __init__(self, trees: Trees, roots: Indices, players: Indices, count: int) -> None:
        self._count = count
        node, edge = roots, np.zeros(len(roots), dtype=np.intp)
        last_edge = np.zeros((len(roots), count), dtype=np.intp)  # of each player, on the way to each node
        z = [np.ones(1)]
        ends: list[Indices] = []
        tested: list[Indices] = []
        owner: list[Indices] = []
        played = [np.zeros(1, dtype=np.int64)]
        self._levels: list[_Level] = []
        made, repeated = 1, 0
        while True:
            inner = np.flatnonzero(trees.left[node] != node)
            if not inner.size:
                break
            again = last_edge[inner, players[trees.feature[node[inner]]]] > 0
            inner = np.concatenate([inner[again], inner[~again]])
            up, repeats = node[inner], int(again.sum())
            who = players[trees.feature[up]].astype(np.intp)
            before = last_edge[inner, who]
            below = np.concatenate([trees.left[up], trees.left[up] + 1]).astype(np.intp)
            cover = np.maximum(trees.cover[up], _NOTHING)
            # A way that no training row went has a share, too, of nearly nothing: it is divided by.
            shares = np.maximum(trees.cover[below] / np.tile(cover, 2), _NOTHING)
            all_z = np.concatenate(z)
            z.append(np.maximum(np.tile(all_z[before], 2) * shares, _NOTHING))
            level = slice(made, made + below.size)
            self._levels.append(_Level(level, edge[inner], before[:repeats], slice(repeated, repeated + repeats)))
            played.append(np.tile(np.concatenate(played)[edge[inner]] + (before == 0), 2))
            tested.append(up)
            owner.append(who)
            ends.append(below)
            edge = np.arange(made, made + below.size)
            last_edge = np.tile(last_edge[inner], (2, 1))
            last_edge[np.arange(below.size), np.tile(who, 2)] = edge
            node, made, repeated = below, made + below.size, repeated + repeats
        end = np.concatenate([np.zeros(0, np.intp), *ends])
        value = np.concatenate([np.zeros(1), np.where(trees.left[end] == end, trees.value[end], 0.0)])
        self._tests = np.concatenate([np.zeros(0, np.intp), *tested])
        self._feature = trees.feature[self._tests].astype(np.intp)
        self._threshold = trees.threshold[self._tests]
        self._missing_left = trees.missing_left[self._tests]
        self._owner = np.concatenate([np.zeros(1, np.intp), *(np.tile(who, 2) for who in owner)])
        self._repeat_owner = np.concatenate(
            [np.zeros(0, np.intp), *(who[: len(lv.earlier)] for who, lv in zip(owner, self._levels, strict=True))]
        )
        self._earlier = np.concatenate([np.zeros(0, np.intp), *(lv.earlier for lv in self._levels)])
        self._z = np.concatenate(z)
        x, w = np.polynomial.legendre.leggauss(max((int(np.concatenate(played).max()) + 1) // 2, 1))  # type: ignore[no-untyped-call]
        # Single precision: a factor's relative error is 6e-8, a value's stays below 1e-6 of the answer.
        self._t, self._w = ((x + 1) / 2).astype(np.float32), (w / 2).astype(np.float32)
        self._absent = ((1 - (x + 1) / 2)[:, None] * self._z).astype(np.float32)
        self._value = value.astype(np.float32)
        self.mean = self._mean(trees, roots, value)

    def _mean(self, trees: Trees, roots: Indices, value: Floats) -> float:
        single = trees.left[roots] == roots
        share = np.ones(len(self._z))
        for level in self._levels:
            own = self._z[level.edges].copy()
            half = len(own) // 2
            for start in (0, half):
                own[start : start + len(level.earlier)] /= self._z[level.earlier]
            share[level.edges] = own * np.tile(share[level.above], 2)
        return float(trees.value[roots[single]].sum() + (share * value).sum())

    def values(self, x: NDArray[np.float32]) -> Floats:
        """Give (players,) the group's share, of x (columns,)."""
        tested = x.take(self._feature)
        left = tested < self._threshold
        if np.isnan(tested).any():
            left |= np.isnan(tested) & self._missing_left
        passed = self._passed(left)
        factor = self._t[:, None] * passed
        factor += self._absent
        factor[:, 0] = 1
        earlier = factor.take(self._earlier, axis=1)
        product = np.empty_like(factor)
        product[:, 0] = 1
        # Down: the product of every player's last factor on the way.
        for level in self._levels:
            way = product.take(level.above, axis=1, mode="clip")
            way[:, : len(level.earlier)] /= earlier[:, level.repeats]
            np.multiply(_pairs(factor, level), way[:, None, :], out=_pairs(product, level))
        # Up: sums over the leaves below each edge.
        product *= self._value
        for level in reversed(self._levels[1:]):
            pairs = _pairs(product, level)
            for row, below in zip(product, pairs[:, 0] + pairs[:, 1], strict=True):
                row[level.above] = below
        weighted = self._w @ (product / factor)
        moved = (passed - self._z) * weighted
        gains = np.bincount(self._owner[1:], moved[1:], self._count)
        # Where a player is tested again below, only the last of its factors counts there.
        again = np.empty_like(earlier)
        for level in self._levels:
            pairs = _pairs(product, level)[:, :, : len(level.earlier)]
            np.add(pairs[:, 0], pairs[:, 1], out=again[:, level.repeats])
        again /= earlier
        taken_back = (passed.take(self._earlier) - self._z.take(self._earlier)) * (self._w @ again)
        return np.asarray(gains - np.bincount(self._repeat_owner, taken_back, self._count))

    def _passed(self, left: NDArray[np.bool_]) -> NDArray[np.float32]:
        passed = np.empty(len(self._z), dtype=np.bool_)
        passed[0] = True
        start = 0
        for level in self._levels:
            half = len(level.above)
            edges = passed[level.edges]
            edges[:half] = left[start : start + half]
            np.logical_not(edges[:half], out=edges[half:])
            still = passed[level.earlier]
            for side in (0, half):
                edges[side : side + len(still)] &= still
            start += half
        return passed.astype(np.float32)


def _pairs(edges: NDArray[np.float32], level: _Level) -> NDArray[np.float32]:
    """Give a view of one level of (points, edges) as (points, left and right, pairs)."""
    return edges[:, level.edges].reshape(len(edges), 2, -1)
