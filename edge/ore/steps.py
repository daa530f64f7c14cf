"""What happens to a block's values before the classifier: imputing, marking what was missing, scaling, functions.

A pipeline is a list of steps, each plain JSON values, so that it stands in a bundle's manifest and floats keep every
digit. Each step does what scikit-learn's transformer of that name does, in the same order of operations, so that the
numbers are the same to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import BundleError

Step = Mapping[str, Any]

FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "log1p": np.log1p,
    "log10": np.log10,
    "log": np.log,
    "sqrt": np.sqrt,
}


_LOWEST_SCORE = -30.0
"""In spreads from the mean; below, the share that lies there can no longer be told from none."""


def apply_steps(steps: Sequence[Step], x: Floats) -> Floats:
    """Take values (rows, variables), not-a-number where missing, to what the classifier sees (rows, columns)."""
    for step in steps:
        x = _APPLY[step["do"]](step, x)
    return x


def origins(steps: Sequence[Step], count: int) -> NDArray[np.intp]:
    """Say which of `count` variables each of the classifier's columns comes from.

    Raises:
        BundleError: a step this program does not know, or one whose numbers do not fit its columns.
    """
    return _origins(steps, np.arange(count))


def _origins(steps: Sequence[Step], source: NDArray[np.intp]) -> NDArray[np.intp]:
    for step in steps:
        kind = step["do"]
        if kind == "below":
            _require(len(step["mean"]) == len(source) == len(step["spread"]), kind)
            _require(all(0 <= i < len(source) for i in step["mark"]), kind)
            source = np.concatenate([source, source[np.array(step["mark"], dtype=np.intp)]])
        elif kind == "impute":
            _require(len(step["fill"]) == len(source) and all(0 <= i < len(source) for i in step["mark"]), kind)
            source = np.concatenate([source, source[np.array(step["mark"], dtype=np.intp)]])
        elif kind == "scale":
            _require(len(step["offset"]) == len(source) == len(step["divisor"]), kind)
        elif kind == "multiply":
            _require(len(step["factor"]) == len(source) == len(step["offset"]), kind)
        elif kind in ("log10", "power"):
            _require(len(step["floor" if kind == "log10" else "exponent"]) == len(source), kind)
        elif kind == "one-hot":
            _require(len(step["words"]) == len(source) and all(words >= 0 for words in step["words"]), kind)
            source = np.repeat(source, [max(1, words) for words in step["words"]])
        elif kind == "function":
            _require(step["name"] in FUNCTIONS, f"function {step['name']}")
        elif kind == "columns":
            branches = []
            for branch in step["branches"]:
                _require(all(0 <= i < len(source) for i in branch["of"]), kind)
                branches.append(_origins(branch["steps"], source[np.array(branch["of"], dtype=np.intp)]))
            source = np.concatenate(branches) if branches else source[:0]
        else:
            _require(False, f"step {kind}")
    return source


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise BundleError(f"its {what} cannot be done by this program; update stibium or export again")


def halved(values: Floats) -> Floats:
    """Put half the limit where a value is below it, which is written as the limit's negative."""
    return np.where(values < 0, -values / 2, values)


def mean_below(limits: Floats, mean: float, spread: float) -> Floats:
    """Return exp of the mean logarithm of what lies below limits, of a lognormal with that mean and spread."""
    found = np.empty(len(limits))
    for i, limit in enumerate(limits.tolist()):
        a = max((math.log(limit) - mean) / spread, _LOWEST_SCORE)
        density, below = math.exp(-a * a / 2) / math.sqrt(2 * math.pi), math.erfc(-a / math.sqrt(2)) / 2
        found[i] = min(math.exp(mean - spread * density / below), limit)
    return found


def _below(step: Step, x: Floats) -> Floats:
    """Take what is below a detection limit to a number, and perhaps mark it; a spread of 0 takes half the limit."""
    filled = halved(x)
    for k, (mean, spread) in enumerate(zip(step["mean"], step["spread"], strict=True)):
        rows = np.flatnonzero(x[:, k] < 0)
        if spread > 0 and rows.size:
            limits, which = np.unique(-x[rows, k], return_inverse=True)
            filled[rows, k] = mean_below(limits, mean, spread)[which]
    mark = step["mark"]
    return np.concatenate([filled, (x[:, mark] < 0).astype(np.float64)], axis=1) if mark else filled


def _impute(step: Step, x: Floats) -> Floats:
    absent = np.isnan(x)
    filled = np.where(absent, np.array(step["fill"], dtype=np.float64), x)
    mark = step["mark"]
    return np.concatenate([filled, absent[:, mark].astype(np.float64)], axis=1) if mark else filled


def _scale(step: Step, x: Floats) -> Floats:
    return (x - np.array(step["offset"], dtype=np.float64)) / np.array(step["divisor"], dtype=np.float64)


def _multiply(step: Step, x: Floats) -> Floats:
    return x * np.array(step["factor"], dtype=np.float64) + np.array(step["offset"], dtype=np.float64)


def log10_above(values: Floats, floor: Floats) -> Floats:
    """Take logarithms of columns, (rows, columns), no lower than their floors; those whose floor is 0 stay."""
    logged = floor > 0
    return np.where(logged, np.log10(np.maximum(values, np.where(logged, floor, 1.0))), values)


def power(values: Floats, exponent: Floats) -> Floats:
    """Straighten columns as Yeo & Johnson 2000 (Biometrika 87:954); an exponent of 1 leaves one as it is."""
    size = np.log1p(np.abs(values))
    # Of a negative value 2 - exponent takes the exponent's part, with the sign turned round.
    of = np.where(values < 0, 2 - exponent, exponent)
    safe = np.where(of == 0, 1.0, of)
    curved = np.where(of == 0, size, np.expm1(safe * size) / safe)
    return np.where(exponent == 1, values, np.where(values < 0, -curved, curved))


def one_hot(values: Floats, words: Sequence[int]) -> Floats:
    """Give each column of codes from 1 as one column a word, not-a-number where it is missing; 0 words leave it."""
    if not any(words):
        return values
    parts = [
        np.where(np.isnan(column)[:, None], np.nan, column[:, None] == np.arange(1, count + 1))
        if count
        else column[:, None]
        for column, count in zip(values.T, words, strict=True)
    ]
    return np.concatenate(parts, axis=1)


def _columns(step: Step, x: Floats) -> Floats:
    parts = [apply_steps(branch["steps"], x[:, np.array(branch["of"], np.intp)]) for branch in step["branches"]]
    return np.concatenate(parts, axis=1)


_APPLY: dict[str, Callable[[Step, Floats], Floats]] = {
    "below": _below,
    "impute": _impute,
    "scale": _scale,
    "multiply": _multiply,
    "log10": lambda step, x: log10_above(x, np.array(step["floor"], dtype=np.float64)),
    "power": lambda step, x: power(x, np.array(step["exponent"], dtype=np.float64)),
    "one-hot": lambda step, x: one_hot(x, step["words"]),
    "function": lambda step, x: FUNCTIONS[step["name"]](x),
    "columns": _columns,
}
