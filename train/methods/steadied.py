"""Teachers that noise and an instrument's faults move little: fitted to disturbed copies of their rows beside these.

Support vectors alone are moved far by noise that an instrument has. A copy of each row, disturbed as an instrument
would, teaches them to rely on what survives that. How strongly the copies are disturbed is chosen by inner folds: as
strongly as a ridge regression on the same preprocessing blocks bears, at next to no cost of what it explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.target import forward
from ..crossval.folds import InnerFolds, Rows
from ..crossval.rows import TrainingRows
from .blocks import block_scaling, blocks_on
from .common import repeats_for, transforms_for
from .further_baselines import PENALTIES, dual_weights
from .regressions import out_of_fold
from .synthetic import ASD_JOINS_NM, Disturbance, absorbance_of, disturb
from .teachers import Teacher, TeachingPredictor

DISTURBED = Disturbance(noise=1e-4, gain=0.0, step=0.001, slope=0.0, scale=0.0, shift_nm=0.15)
"""A copy of strength 1: noise above all, which else moves the answers of support vectors most."""
STRENGTHS = (0.5, 1.0)
MOST_LOST = 0.005
"""Of R2 in the inner folds, that copies of the chosen strength may cost the ridge regression."""
TRIED_COPIES = 2


def of_strength(strength: float) -> Disturbance:
    """Give the disturbance of copies of a strength."""
    by = DISTURBED
    return replace(by, noise=strength * by.noise, step=strength * by.step, shift_nm=strength * by.shift_nm)


@dataclass(frozen=True)
class Steadied:
    """A teacher and the copies that it is given; see `teachers.Teacher`.

    Attributes:
        teacher: to be fitted.
        fast: whether the strength is chosen on one repeat of the inner folds.
    """

    teacher: Teacher
    fast: bool = False

    def fit(self, rows: TrainingRows) -> TeachingPredictor:
        """Fit the teacher to the rows and a copy of each, kept together with its row in all inner folds."""
        strength = bearable_strength(rows, rows.folds(repeats_for(len(rows), self.fast)))
        copies = _copies(rows, strength, np.random.default_rng((rows.seed, 2)))
        both = np.concatenate([rows.reflectance, copies])
        doubled = rows.among(both, np.tile(rows.target, 2), tuple(rows.groups) * 2)
        model = self.teacher.fit(replace(doubled, conditions=tuple(rows.conditions) * 2))
        words = f"{model.chosen}; copies with {100 * of_strength(strength).noise:.2g} % noise"
        # What is said of copies is said twice.
        return replace(model, out_of_fold=model.out_of_fold[:, : len(rows)], chosen=words)  # type: ignore[type-var]


def bearable_strength(rows: TrainingRows, folds: InnerFolds) -> float:
    """Choose of `STRENGTHS` the greatest that costs a ridge regression of undisturbed rows at most `MOST_LOST` of R2,
    or the least; folds are of the rows.
    """
    blocks = blocks_on(rows.wavelengths_nm)
    plain = rows.features(blocks)
    scaling = block_scaling(plain, blocks.sizes)
    own, rng = scaling.apply(plain), np.random.default_rng((rows.seed, 3))
    strongest = STRENGTHS[-1]
    # Disturbances are small, so that features move in proportion to them.
    moves = [
        (scaling.apply(replace(rows, reflectance=_copies(rows, strongest, rng)).features(blocks)) - own) / strongest
        for _ in range(TRIED_COPIES)
    ]
    z = forward(rows.target, transforms_for(rows.target)[-1])
    undisturbed, *explained = (
        _explained(own, [strength * move for move in moves], z, folds) for strength in (0.0, *STRENGTHS)
    )
    bears = [s for s, r2 in zip(STRENGTHS, explained, strict=True) if r2 >= undisturbed - MOST_LOST]
    # Without copies, noise of 0.05 % took a set of soils from an R2 of 0.66 to 0.07.
    return max(bears, default=STRENGTHS[0])


def _explained(own: Floats, moves: Sequence[Floats], z: Floats, folds: InnerFolds) -> float:
    """Give R2 of rows left out, by ridge regression on the others and their moved copies, with the best penalty."""

    def fit_predict(training: Rows, test: Rows) -> Floats:
        rows = np.concatenate([own[training], *(own[training] + move[training] for move in moves)])
        centre, mean = rows.mean(axis=0), float(z[training].mean())
        size = rows.shape[1]
        rows = rows - centre
        weights = dual_weights(rows @ rows.T / size, np.tile(z[training], len(moves) + 1) - mean, PENALTIES)
        return np.asarray((own[test] - centre) @ rows.T / size @ weights + mean)

    predicted = out_of_fold(folds, z.size, fit_predict, len(PENALTIES))
    errors = np.mean((predicted - z[:, None]) ** 2, axis=(0, 1))
    return float(1 - errors.min() / z.var())


def _copies(rows: TrainingRows, strength: float, rng: np.random.Generator) -> Floats:
    joins = rows.splices_nm or ASD_JOINS_NM
    return disturb(absorbance_of(rows.reflectance), rows.wavelengths_nm, joins, of_strength(strength), rng)
