"""Shift or stretch a model's outputs by a few samples whose content is known, or leave them as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.lineage import Tried
from ..crossval.metrics import rms

Kind = Literal["nothing", "bias", "slope and bias"]
KINDS: tuple[Kind, ...] = ("nothing", "bias", "slope and bias")
"""From the simplest on; the number is how many figures are fitted."""
FEWEST = 3
"""A bias needs one sample to be found, and another two to be judged by."""
FEWEST_FOR_SLOPE = 4
WORTH = 0.95
"""A correction with one more figure is taken if it brings the left-out error to this share or less."""


@dataclass(frozen=True, eq=False)
class OutputFit:
    """A correction of outputs, and how it was chosen.

    Attributes:
        kind: that was chosen.
        slope, intercept: outputs become `intercept + slope * output`.
        tried: every kind with its leave-one-out error.
        errors: (n,) measured minus predicted in the transform's space, each sample left out from the fit and from the
            choice of the kind.
    """

    kind: Kind
    slope: float
    intercept: float
    tried: tuple[Tried, ...]
    errors: Floats

    @property
    def fitted(self) -> int:
        """How many figures were fitted."""
        return KINDS.index(self.kind)

    @property
    def rmse(self) -> float:
        """Root mean square of the left-out errors."""
        return rms(self.errors)


def fit_output(outputs: Floats, measured: Floats) -> OutputFit:
    """Choose between nothing, bias, and slope and bias by leave-one-out.

    The errors that are kept come from a second leave-one-out around the choice, so that they do not flatter.

    Args:
        outputs, measured: (n,) in the transform's space, n at least `FEWEST`.
    """
    kind, tried = _choose(outputs, measured)
    errors = np.empty(outputs.size)
    for i in range(outputs.size):
        kept = np.arange(outputs.size) != i
        chosen, _ = _choose(outputs[kept], measured[kept])
        intercept, slope = fit_kind(outputs[kept], measured[kept], chosen) or (0.0, 1.0)
        errors[i] = measured[i] - intercept - slope * outputs[i]
    intercept, slope = fit_kind(outputs, measured, kind) or (0.0, 1.0)
    return OutputFit(kind, slope, intercept, tried, errors)


def _choose(outputs: Floats, measured: Floats) -> tuple[Kind, tuple[Tried, ...]]:
    chosen: Kind = "nothing"
    best = rms(measured - outputs)
    tried = [Tried(chosen, best)]
    for kind in KINDS[1:]:
        if kind == "slope and bias" and outputs.size < FEWEST_FOR_SLOPE:
            break
        errors = _left_out(outputs, measured, kind)
        if errors is None:
            continue
        tried.append(Tried(kind, rms(errors)))
        if tried[-1].rmse <= WORTH * best:
            chosen, best = kind, tried[-1].rmse
    return chosen, tuple(tried)


def _left_out(outputs: Floats, measured: Floats, kind: Kind) -> Floats | None:
    errors = np.empty(outputs.size)
    for i in range(outputs.size):
        kept = np.arange(outputs.size) != i
        found = fit_kind(outputs[kept], measured[kept], kind)
        if found is None:
            return None
        errors[i] = measured[i] - found[0] - found[1] * outputs[i]
    return errors


def fit_kind(outputs: Floats, measured: Floats, kind: Kind) -> tuple[float, float] | None:
    """Give intercept and slope by least squares; None if there is no slope above zero."""
    if kind == "nothing":
        return 0.0, 1.0
    if kind == "bias":
        return float(np.mean(measured - outputs)), 1.0
    centred = outputs - outputs.mean()
    spread = float(centred @ centred)
    slope = float(centred @ (measured - measured.mean())) / spread if spread > 0 else 0.0
    return (float(measured.mean() - slope * outputs.mean()), slope) if slope > 0 else None
