"""Sums of decision trees in NumPy: what a decision tree, a random forest, AdaBoost and XGBoost all come down to.

Every test is "x < threshold in float32 goes left". scikit-learn tests `float32(x) <= threshold` with a threshold in
float64; that is the same as `x < t` with t the float32 next above it, so one rule does for both libraries exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats

STATES = 1 << 13
"""Pairs of tree and row that go down together: few enough to stay in the cache, enough to pay for the call."""


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree as the libraries keep it, n nodes, root first.

    Attributes:
        left, right: (n,) node that a test leads to; -1 at a leaf.
        feature: (n,) column that is tested.
        threshold: (n,) float32; less goes left.
        missing_left: (n,) where not-a-number goes.
        value: (n,) of a leaf.
        cover: (n,) weight of the training rows that came by.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    missing_left: NDArray[np.bool_]
    value: Floats
    cover: Floats


@dataclass(frozen=True, eq=False)
class Trees:
    """A sum of trees, all n nodes in one row: tree after tree, level by level, a right child next to its left one.

    Attributes:
        roots: (trees,) first node of each.
        left: (n,) left child; a leaf's is itself.
        feature, threshold, missing_left, value, cover: (n,) as of `Tree`; a leaf's threshold is infinite.
        columns: number of columns of the input.
        base: added to the sum.
        single: True if the sum is made in float32, tree after tree, as XGBoost does; answers then agree to the bit.
    """

    roots: NDArray[np.int32]
    left: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    missing_left: NDArray[np.bool_]
    value: Floats
    cover: Floats
    columns: int
    base: float = 0.0
    single: bool = False

    @cached_property
    def depth(self) -> int:
        """Tests on the longest way down."""
        node, depth = self.roots, 0
        while True:
            inner = node[self.left[node] != node]
            if not inner.size:
                return depth
            node, depth = np.concatenate([self.left[inner], self.left[inner] + 1]), depth + 1

    @cached_property
    def _column(self) -> NDArray[np.intp]:
        # Missing values stand twice in the input: as minus infinity, which always goes left, and as infinity.
        return np.asarray(self.feature + self.columns * ~self.missing_left, dtype=np.intp)

    @cached_property
    def _left(self) -> NDArray[np.intp]:
        return self.left.astype(np.intp)

    def leaves(self, x: Floats, first: int = 0, last: int | None = None) -> NDArray[np.intp]:
        """Give the leaf of every row in the trees `first` to `last`: (trees, rows) nodes.

        Args:
            x: (rows, columns), not-a-number where missing.
            first, last: which trees, as in a slice.
        """
        single = x.astype(np.float32)
        absent = np.isnan(single)
        doubled = np.concatenate(
            [np.where(absent, np.float32(-np.inf), single), np.where(absent, np.float32(np.inf), single)], axis=1
        ).ravel()
        roots = self.roots[first:last].astype(np.intp)
        row = np.tile(np.arange(len(x), dtype=np.intp) * (2 * self.columns), len(roots))
        node = np.repeat(roots, len(x))
        left, column, threshold = self._left, self._column, self.threshold
        for _ in range(self.depth):
            tested = doubled.take(row + column.take(node))
            node = left.take(node) + (tested >= threshold.take(node))
        return node.reshape(len(roots), len(x))

    def sums(self, x: Floats) -> Floats:
        """Give base + sum of the trees' values: (rows,) of (rows, columns)."""
        kind = np.float32 if self.single else np.float64
        value = self.value.astype(kind)
        total = np.full(len(x), self.base, dtype=kind)
        for start in range(0, len(x), STATES):
            part = x[start : start + STATES]
            together = max(1, STATES // max(len(part), 1))
            for first in range(0, len(self.roots), together):
                reached = value.take(self.leaves(part, first, first + together))
                # One after the other: float32 sums depend on the order.
                reached[0] += total[start : start + STATES]
                total[start : start + STATES] = np.add.accumulate(reached, axis=0)[-1]
        return total.astype(np.float64)


def join_trees(trees: Sequence[Tree], columns: int, base: float = 0.0, single: bool = False) -> Trees:
    """Put trees into one `Trees`."""
    parts: list[dict[str, NDArray[Any]]] = []
    roots, start = [], 0
    for tree in trees:
        roots.append(start)
        parts.append(_by_level(tree, start))
        start += len(tree.left)
    joined: dict[str, NDArray[Any]] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Trees(roots=np.array(roots, dtype=np.int32), columns=columns, base=base, single=single, **joined)


def _by_level(tree: Tree, start: int) -> dict[str, NDArray[Any]]:
    order, level = [0], [0]
    while level:
        level = [child for node in level if tree.left[node] >= 0 for child in (tree.left[node], tree.right[node])]
        order += level
    at = np.array(order)
    leaf = tree.left[at] < 0
    place = np.zeros(len(tree.left), dtype=np.int64)
    place[at] = np.arange(len(at))
    return {
        "left": (start + np.where(leaf, np.arange(len(at)), place[tree.left[at]])).astype(np.int32),
        "feature": np.where(leaf, 0, tree.feature[at]).astype(np.int16),
        "threshold": np.where(leaf, np.float32(np.inf), tree.threshold[at]).astype(np.float32),
        # Minus infinity, not infinity, must stand for a missing value at a leaf's test: it stays.
        "missing_left": leaf | tree.missing_left[at],
        "value": np.where(leaf, tree.value[at], 0.0).astype(np.float64),
        "cover": tree.cover[at].astype(np.float64),
    }


def trees_to_arrays(trees: Trees) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Give trees as JSON values and as named arrays."""
    all_values = {f.name: getattr(trees, f.name) for f in fields(trees)}
    values = {name: value for name, value in all_values.items() if not isinstance(value, np.ndarray)}
    return values, {f"trees_{n}": value for n, value in all_values.items() if isinstance(value, np.ndarray)}


def trees_from_arrays(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Trees:
    """Read what `trees_to_arrays` gave.

    Raises:
        KeyError: an array is missing.
        ValueError: a node points to nowhere, or back, so that going down might never end.
    """
    kinds = {
        "roots": np.int32, "left": np.int32, "feature": np.int16, "threshold": np.float32, "missing_left": np.bool_,
        "value": np.float64, "cover": np.float64,
    }  # fmt: skip
    found: dict[str, NDArray[Any]] = {n: np.asarray(arrays[f"trees_{n}"], dtype=kind) for n, kind in kinds.items()}
    trees = Trees(
        columns=int(values["columns"]),
        base=float(values["base"]),
        single=bool(values["single"]),
        **found,
    )
    nodes = np.arange(len(trees.left))
    leaf = trees.left == nodes
    if (
        any(len(found[n]) != len(nodes) for n in kinds if n != "roots")
        or not len(trees.roots)
        or trees.roots.min() < 0
        or trees.roots.max() >= len(nodes)
        or (trees.left[~leaf] <= nodes[~leaf]).any()
        or (trees.left[~leaf] + 1 >= len(nodes)).any()
        or trees.feature.min() < 0
        or trees.feature.max() >= trees.columns
        or np.isfinite(trees.threshold[leaf]).any()
    ):
        raise ValueError("the trees do not hang together")
    return trees
