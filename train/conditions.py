"""Conditions of the ground in a calibration: what it holds, what it shows of water, and figures for each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ..converters.spectra.spectrum import CONDITIONS, Floats, Spectrum
from ..edge.model.conditions import Conditions, Water, depths, sees_water
from .crossval.metrics import NOWHERE_OPEN, Metrics, coverage, measure

MADE = " (made of dry soils)"
"""Stands after the condition of soils that nobody scanned so."""
WETTER_SHARE = 0.02
"""Share of the calibration's own soils that may be called wetter than the calibration."""
ROOM = 0.15
"""Beyond these, in standard deviations of dry soils about the line: a few soils make too narrow a limit for others."""
MOST_LEVERAGE = 0.9


@dataclass(frozen=True)
class ConditionScore:
    """How well ground in one condition is predicted.

    Attributes:
        condition: dry, damp or wet; "" for soils of which nobody said.
        metrics: in the unit; `n` counts samples.
        coverage: share of the laboratory's values inside their intervals; None without intervals.
    """

    condition: str
    metrics: Metrics
    coverage: float | None

    @property
    def name(self) -> str:
        """For people."""
        return self.condition or "not said"


def fit_conditions(
    spectra: Sequence[Spectrum],
    reflectance: Floats,
    wavelengths_nm: Floats,
    corrected: Sequence[str] = (),
    more: Floats | None = None,
) -> Conditions:
    """Count the conditions of a calibration, and find how much water its spectra show.

    The depth of the band at 1930 nm is regressed on that at 2205 nm in the dry soils, or in all where none is called
    dry. What lies farther beyond that line than 98 % of the calibration's spectra, and `ROOM` more, is wetter than they
    are. Each dry spectrum is held against a line without it: its own would follow it.

    Args:
        spectra: n of the calibration.
        reflectance: (n, bands) of these, as `Preprocessed.reflectance` has it.
        wavelengths_nm: (bands,).
        corrected: conditions that a correction was made for.
        more: (m, bands) of spectra that it made for these.
    """
    counts = Counter(str(condition) for _, condition in {(s.sample_id, s.condition) for s in spectra})
    ordered = {name: counts[name] for name in (*CONDITIONS, "") if counts[name]}
    if not sees_water(wavelengths_nm):
        return Conditions(ordered, tuple(corrected), None, "the model does not see both bands, of water and of clay")
    water, clay = depths(reflectance, wavelengths_nm)
    dry = np.array([s.condition == "dry" for s in spectra])
    dry = dry if dry.sum() > 2 else np.ones(len(spectra), dtype=bool)
    slope, offset = _line(clay[dry], water[dry])
    beyond = water - offset - slope * clay
    beyond[dry] /= 1.0 - _leverage(clay[dry], slope)
    room = ROOM * float(beyond[dry].std())
    if more is not None and len(more):
        wetted, under = depths(more, wavelengths_nm)
        beyond = np.concatenate([beyond, wetted - offset - slope * under])
    rank = min(math.ceil((1 - WETTER_SHARE) * (beyond.size + 1)), beyond.size)
    most = float(np.sort(beyond)[rank - 1]) + room
    stats = Water(float(water.mean()), max(float(water.std()), 1e-6), offset, slope, most)
    of = f"{beyond.size} spectra of {len({s.sample_id for s in spectra})} samples"
    return Conditions(ordered, tuple(corrected), stats, of)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope and offset by least squares; a slope below 0 means nothing here."""
    centred = x - x.mean()
    square = float(centred @ centred)
    slope = max(float(centred @ y) / square, 0.0) if square > 0 else 0.0
    return slope, float(y.mean() - slope * x.mean())


def _leverage(x: Floats, slope: float) -> Floats:
    """Give by how much each of the rows (n,) draws the line of `_line` to itself, 0 to 1."""
    own = np.full(x.size, 1.0 / x.size)
    if slope > 0:
        centred = x - x.mean()
        own += centred**2 / float(centred @ centred)
    return np.minimum(own, MOST_LEVERAGE)


def what_is_missing(conditions: Conditions) -> str:
    """Say in a line which ground a calibration does not hold, and what to do; "" if it holds several conditions."""
    if len(conditions.known) > 1:
        return ""
    if not conditions.known:
        return (
            "Nobody said whether these soils were dry, damp or wet: name it in a column condition, or by folders of "
            "these names. A model does not know ground that its calibration did not hold (docs/in_situ.md)."
        )
    (only,) = conditions.known
    other = "wet and one day later" if only == "dry" else "air-dried too"
    return (
        f"The calibration holds {only} soils only, and the model is for no other: scan 20 of your soils {other}, "
        "and train with --moisture-pairs; pairs need no assays (docs/in_situ.md)."
    )


def score_conditions(
    conditions: Sequence[str],
    predicted: ArrayLike,
    measured: ArrayLike,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    samples: Sequence[str] | None = None,
    calibrated_range: tuple[float, float] = NOWHERE_OPEN,
) -> tuple[ConditionScore, ...]:
    """Hold predictions against laboratory values, condition by condition from dry to wet.

    Args:
        conditions: n, "" where nobody said.
        predicted, measured: (n,) in the unit.
        low, high: (n,) ends of their intervals.
        samples: n names, where several rows are of one sample.
        calibrated_range: see `coverage`.
    """
    said, p, y = np.array(conditions), np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    names = np.array(samples if samples is not None else range(len(y)))
    scores = []
    made = sorted({one for one in conditions if one.endswith(MADE)})
    for one in (*CONDITIONS, "", *made):
        here = said == one
        if here.any():
            found = measure(p[here], y[here])
            found = replace(found, n=len(set(names[here].tolist())))
            inside = None
            if low is not None and high is not None:
                inside = coverage(np.asarray(low)[here], np.asarray(high)[here], y[here], calibrated_range)
            scores.append(ConditionScore(one, found, inside))
    return tuple(scores)
