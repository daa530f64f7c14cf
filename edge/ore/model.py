"""The classifier in NumPy: values of a block in, probability of ore out, and how much each variable moved it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import BundleError
from .cells import BELOW
from .shapley import Shapley
from .steps import Step, apply_steps, origins
from .trees import Trees, trees_from_arrays, trees_to_arrays

Kind = Literal["logistic regression", "decision tree", "random forest", "AdaBoost", "XGBoost"]
Space = Literal["probability", "log-odds"]
Below = Literal["half", "mark", "impute"]
"""What stands for a value below a detection limit: half the limit, that and a mark, or the mean of what is below."""
CalibrationKind = Literal["sigmoid", "platt", "beta", "isotonic", "venn-abers"]
_TAKES = ("sum", "probability")
SHORT_OF_CERTAIN = 1e-3
"""How far from 0 and 1 a probability is kept before its logarithm is taken."""
LEAST_DOUBT = 1e-4
"""How far from 0 and 1 a curve without steps stays: nobody has so many blocks that more could be known."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A sum of weighted columns.

    Attributes:
        weights: (columns,).
        intercept: added to the sum.
        mean: (columns,) means of the training blocks; a contribution is the way from there.
    """

    weights: Floats
    intercept: float
    mean: Floats

    def sums(self, x: Floats) -> Floats:
        """(rows,) of (rows, columns)."""
        return np.asarray(x @ self.weights + self.intercept, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Band:
    """How far calibrated probabilities would move had other holes been drilled, over (k,) values before calibration."""

    at: Floats
    low: Floats
    high: Floats

    def ends(self, values: Floats) -> tuple[Floats, Floats]:
        """Give the ends of the interval at (n,) values."""
        return np.interp(values, self.at, self.low), np.interp(values, self.at, self.high)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What turns the classifier's answer into a probability that can be believed.

    Attributes:
        kind: "sigmoid" and "platt" (Platt 1999), "beta" (Kull, Silva Filho & Flach 2017), "isotonic" (Zadrozny &
            Elkan 2002) or "venn-abers" (Vovk, Petej & Fedorova 2015).
        of: what it takes, the sum itself or the plain probability.
        x, y: of the latter two the corners of the curve, in float32 if the classifier answers so. For sigmoid x is
            (a, b) of 1 / (1 + exp(a s + b)), for platt (a, b) of 1 / (1 + exp(-(a ln(p / (1 - p)) + b))), for beta
            (a, b, c) of 1 / (1 + exp(-(a ln p - b ln(1 - p) + c))), and y is empty.
        band: interval of the probability; None if none was made.
    """

    kind: CalibrationKind
    of: Literal["sum", "probability"]
    x: NDArray[np.floating[Any]]
    y: NDArray[np.floating[Any]]
    band: Band | None = None

    def apply(self, values: Floats) -> Floats:
        """Give probabilities, of the same shape."""
        if self.kind == "sigmoid":
            return _logistic(-(self.x[0] * values + self.x[1]))
        if self.kind in ("platt", "beta"):
            p = np.clip(values, SHORT_OF_CERTAIN, 1 - SHORT_OF_CERTAIN)
            rising, falling, shift = (self.x[0], self.x[0], self.x[1]) if self.kind == "platt" else self.x
            stated = _logistic(rising * np.log(p) - falling * np.log1p(-p) + shift)
            return np.clip(stated, LEAST_DOUBT, 1 - LEAST_DOUBT)
        if self.x.dtype == np.float64:
            return np.interp(values, self.x, self.y)
        return _interpolated(values.astype(self.x.dtype), self.x, self.y)


@dataclass(frozen=True, eq=False)
class Contributions:
    """How much each variable moved the sum: base + values.sum() is the sum.

    Attributes:
        base: what the model says of no block in particular.
        values: (variables,).
    """

    base: float
    values: Floats


@dataclass(frozen=True, eq=False)
class OreModel:
    """A fitted pipeline: steps, then a sum, then a link, then perhaps a calibration.

    Attributes:
        kind: what it was trained as.
        variables: number of variables it takes.
        steps: see `steps`.
        core: a weighted sum or a sum of trees, of the columns that the steps give.
        space: what the sum is; log-odds become a probability through the logistic function.
        calibration: None if the probability stays as it is.
    """

    kind: Kind
    variables: int
    steps: tuple[Step, ...]
    core: Linear | Trees
    space: Space
    calibration: Calibration | None = None

    @property
    def below(self) -> Below:
        """What stands for a value below a detection limit."""
        step = self.steps[0] if self.takes_limits else {}
        return "mark" if step.get("mark") else "impute" if any(step.get("spread", ())) else "half"

    @property
    def takes_limits(self) -> bool:
        """Whether what is below a detection limit is given as the limit's negative; else as half of it."""
        return bool(self.steps) and self.steps[0]["do"] == "below"

    def inputs(self, values: Floats, bounds: NDArray[np.int8]) -> Floats:
        """Put values and their bounds, (rows, variables) each, as this model takes them."""
        return np.where(bounds == BELOW, -values if self.takes_limits else values / 2, values)

    @cached_property
    def players(self) -> NDArray[np.intp]:
        """(columns,) which variable each of the sum's columns comes from."""
        return origins(self.steps, self.variables)

    @cached_property
    def _shapley(self) -> Shapley:
        assert isinstance(self.core, Trees)
        return Shapley(self.core, self.players, self.variables)

    def sums(self, values: Floats) -> Floats:
        """Give the sum, in `space`: (rows,) of (rows, variables), not-a-number where missing."""
        return self.core.sums(apply_steps(self.steps, np.asarray(values, dtype=np.float64)))

    def probabilities(self, values: Floats) -> Floats:
        """Give the probability of ore: (rows,) of (rows, variables), not-a-number where missing."""
        return self.from_sums(self.sums(values))

    def from_sums(self, sums: Floats) -> Floats:
        """Take sums to probabilities."""
        if self.calibration is None:
            return self._plain(sums)
        return self.calibration.apply(self._before_calibration(self.calibration, sums))

    def interval(self, sums: Floats) -> tuple[Floats, Floats] | None:
        """Take sums to the ends of the probabilities' intervals; None if the bundle has none."""
        if self.calibration is None or self.calibration.band is None:
            return None
        return self.calibration.band.ends(self._before_calibration(self.calibration, sums))

    def _before_calibration(self, calibration: Calibration, sums: Floats) -> Floats:
        return sums if calibration.of == "sum" else self._plain(sums)

    def _plain(self, sums: Floats) -> Floats:
        plain = sums
        if self.space == "log-odds" and isinstance(self.core, Trees) and self.core.single:
            # As XGBoost rounds, for a calibration may be steep; NumPy's own exp of float32 is a few units coarser.
            plain = (1 / (1 + np.exp(-sums).astype(np.float32))).astype(np.float64)
        elif self.space == "log-odds":
            plain = _logistic(sums)
        return plain

    def prepare(self) -> None:
        """Work out now what every block's contributions share, so that the first one is as fast as the others."""
        if isinstance(self.core, Trees):
            self._shapley  # noqa: B018

    def contributions(self, values: Floats) -> Contributions:
        """Give the exact Shapley values of one block's sum, in `space` and before any calibration.

        Args:
            values: (variables,), not-a-number where missing.

        For trees the path-dependent game (see `shapley`); for a weighted sum that of independent columns, which has
        the closed form weight * (value - mean) (Lundberg & Lee 2017, NeurIPS 30, corollary 1).
        """
        x = apply_steps(self.steps, np.asarray(values, dtype=np.float64)[None])[0]
        if isinstance(self.core, Trees):
            return Contributions(self._shapley.base, self._shapley.values(x))
        moved = self.core.weights * (x - self.core.mean)
        base = float(self.core.weights @ self.core.mean + self.core.intercept)
        return Contributions(base, np.bincount(self.players, moved, self.variables).astype(np.float64))


def _interpolated(values: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> Floats:
    # A curve in float32 has steps so steep that the rounding shows: SciPy's order of operations, and its precision.
    clipped = np.clip(values, x[0], x[-1])
    high = np.searchsorted(x, clipped).clip(1, len(x) - 1)
    low = high - 1
    slope = (y[high] - y[low]) / (x[high] - x[low])
    return np.asarray(slope * (clipped - x[low]) + y[low], dtype=np.float64)


def _logistic(x: Floats) -> Floats:
    # exp of minus the size cannot overflow.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def model_to_arrays(model: OreModel) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Give a model as JSON values and as named arrays."""
    values: dict[str, Any] = {
        "kind": model.kind,
        "steps": [dict(step) for step in model.steps],
        "space": model.space,
        "calibration": None,
    }
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(model.core, Trees):
        values["trees"], arrays = trees_to_arrays(model.core)
    else:
        values["linear"] = {"intercept": model.core.intercept}
        arrays = {"linear_weights": model.core.weights, "linear_mean": model.core.mean}
    if model.calibration is not None:
        values["calibration"] = {"kind": model.calibration.kind, "of": model.calibration.of}
        arrays |= {"calibration_x": model.calibration.x, "calibration_y": model.calibration.y}
        if model.calibration.band is not None:
            arrays |= {f"band_{name}": values for name, values in vars(model.calibration.band).items()}
    return values, arrays


def model_from_arrays(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], variables: int) -> OreModel:
    """Read what `model_to_arrays` gave.

    Raises:
        BundleError: of a kind this program does not know.
        KeyError, ValueError: something is missing or does not fit.
    """
    for key, known in (("kind", get_args(Kind)), ("space", get_args(Space))):
        if values[key] not in known:
            raise BundleError(f"its {key} {values[key]!r} is unknown to this program; update stibium or export again")
    core: Linear | Trees
    if "trees" in values:
        core = trees_from_arrays(values["trees"], arrays)
    else:
        core = Linear(_floats(arrays["linear_weights"]), values["linear"]["intercept"], _floats(arrays["linear_mean"]))
    calibration = None
    if (found := values["calibration"]) is not None:
        if found["kind"] not in get_args(CalibrationKind):
            raise BundleError(f"its calibration {found['kind']!r} is unknown to this program; update stibium")
        x, y = np.asarray(arrays["calibration_x"]), np.asarray(arrays["calibration_y"])
        if x.dtype != y.dtype or x.dtype not in (np.float32, np.float64) or len(x) < 2 or found["of"] not in _TAKES:
            raise ValueError("its calibration curve is none")
        # Bundles of version 1 have no band.
        ends = [_floats(arrays[f"band_{name}"]) for name in ("at", "low", "high") if f"band_{name}" in arrays]
        calibration = Calibration(found["kind"], found["of"], x, y, Band(*ends) if ends else None)
    model = OreModel(values["kind"], variables, tuple(values["steps"]), core, values["space"], calibration)
    columns = core.columns if isinstance(core, Trees) else len(core.weights)
    if len(model.players) != columns:
        raise ValueError(f"the steps give {len(model.players)} columns, the classifier takes {columns}")
    return model


def _floats(array: NDArray[Any]) -> Floats:
    return np.asarray(array, dtype=np.float64)
