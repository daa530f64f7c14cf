"""Teachers that noise and an instrument's faults move little: fitted to disturbed copies of their rows beside these.

Support vectors alone are moved far by noise that an instrument has. A copy of each row, disturbed as an instrument
would, teaches them to rely on what survives that. How strongly the copies are disturbed is chosen by inner folds: as
strongly as a ridge regression on the same preprocessing blocks bears, at next to no cost of what it explains.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.scaling import Scaling
from ...edge.model.target import forward
from ..crossval.folds import InnerFolds, Rows, inner_folds
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

    def fit(
        self,
        reflectance: Floats,
        wavelengths_nm: Floats,
        target: Floats,
        *,
        splices_nm: tuple[float, ...] = (),
        groups: Sequence[Hashable] | None = None,
        seed: int = 0,
    ) -> TeachingPredictor:
        """Fit the teacher to the rows and a copy of each, kept together with its row in all inner folds."""
        keys = tuple(range(target.size)) if groups is None else tuple(groups)
        repeats = 1 if self.fast else repeats_for(target.size, self.fast)
        folds = inner_folds(target.size, keys, repeats=repeats, seed=seed)
        strength = bearable_strength(reflectance, wavelengths_nm, target, splices_nm, folds, seed)
        rng = np.random.default_rng((seed, 2))
        copies = _copies(reflectance, wavelengths_nm, splices_nm, strength, rng)
        model = self.teacher.fit(
            np.concatenate([reflectance, copies]),
            wavelengths_nm,
            np.tile(target, 2),
            splices_nm=splices_nm,
            groups=keys * 2,
            seed=seed,
        )
        words = f"{model.chosen}; copies with {100 * of_strength(strength).noise:.2g} % noise"
        # What is said of copies is said twice.
        return replace(model, out_of_fold=model.out_of_fold[:, : target.size], chosen=words)  # type: ignore[type-var]


def bearable_strength(
    reflectance: Floats,
    wavelengths_nm: Floats,
    target: Floats,
    splices_nm: tuple[float, ...],
    folds: InnerFolds,
    seed: int,
) -> float:
    """Choose of `STRENGTHS` the greatest that costs a ridge regression of undisturbed rows at most `MOST_LOST` of R2,
    or the least.

    Args:
        reflectance: (n, bands) of the training rows.
        wavelengths_nm: (bands,).
        target: (n,).
        splices_nm: where detectors join; () if unknown.
        folds: of the rows.
        seed: of the copies.
    """
    blocks = blocks_on(wavelengths_nm)

    def features(rows: Floats, scaling: Scaling | None = None) -> Floats:
        found = blocks.preprocess(rows, wavelengths_nm, splices_nm).features
        return found if scaling is None else scaling.apply(found)

    scaling = block_scaling(features(reflectance), blocks.sizes)
    own, rng = features(reflectance, scaling), np.random.default_rng((seed, 3))
    strongest = STRENGTHS[-1]
    # Disturbances are small, so that features move in proportion to them.
    moves = [
        (features(_copies(reflectance, wavelengths_nm, splices_nm, strongest, rng), scaling) - own) / strongest
        for _ in range(TRIED_COPIES)
    ]
    z = forward(target, transforms_for(target)[-1])
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


def _copies(
    reflectance: Floats, nm: Floats, splices_nm: tuple[float, ...], strength: float, rng: np.random.Generator
) -> Floats:
    joins = splices_nm or ASD_JOINS_NM
    return disturb(absorbance_of(reflectance), nm, joins, of_strength(strength), rng)
