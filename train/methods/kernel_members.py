"""Regressions on one block of the spectra that a stack averages: support vectors with a radial kernel, and PLSR.

Each member is a mean over the few settings that came out best in the inner cross-validation: with some hundred samples
the best of them is no better founded than its neighbours, and their mean varies less.

References:
    Smola & Schölkopf 2004, Statistics and Computing 14(3):199 (support vector regression).
    Wold, Sjöström & Eriksson 2001, Chemometrics and Intelligent Laboratory Systems 58(2):109 (PLSR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..crossval.decision import robust_square
from ..crossval.folds import InnerFolds, Rows
from .regressions import BandScaling, out_of_fold, pls_coefficients, square_distances, support_vectors


@dataclass(frozen=True, eq=False)
class Projection:
    """From a block's bands to scores: principal components, whose mean squared norm over the training rows is 1.

    A kernel of few scores needs few numbers for each of its centres. Divided by a power of the singular values, small
    components count for more in the distances, up to all for the same at a power of 1.

    Attributes:
        weights: (bands, components), scaling of the bands included; (bands,) where each band is a component.
        offset: (components,), so that scores are `spectra @ weights + offset`.
        factors: (powers, components) to multiply scores by; the mean squared norm stays 1.
    """

    weights: Floats
    offset: Floats
    factors: Floats

    @classmethod
    def learn(cls, spectra: Floats, autoscale: bool, components: int, powers: Sequence[float]) -> Projection:
        """Learn from training rows (n, bands).

        Args:
            spectra: (n, bands).
            autoscale: give every band the same variance first.
            components: to keep at most; no more than 0.8 n - 2, as inner folds have to span them.
            powers: of the singular values that scores are divided by.
        """
        scaling = BandScaling.learn(spectra, autoscale)
        _, singular, rows = np.linalg.svd(scaling(spectra), full_matrices=False)
        kept = max(1, min(components, int(0.8 * len(spectra)) - 2, int(np.sum(singular > 1e-8 * singular[0]))))
        weights = rows[:kept].T / scaling.scale[:, None]
        weights /= _norm((spectra - scaling.offset) @ weights)
        offset = -scaling.offset @ weights
        scores = spectra @ weights + offset
        # Equal singular values of spectra that are all alike leave nothing to weigh.
        ratio = singular[:kept] / singular[0] if singular[0] > 0 else np.ones(kept)
        factors = np.stack([ratio**-power for power in powers])
        factors /= np.array([_norm(scores * factor) for factor in factors])[:, None]
        return cls(weights, offset, factors)

    def scores(self, spectra: Floats) -> Floats:
        """Give (n, components) for (n, bands)."""
        return (spectra * self.weights if self.weights.ndim == 1 else spectra @ self.weights) + self.offset


@dataclass(frozen=True, eq=False)
class KernelMember:
    """Mean of support vector regressions on one block, with one weighting of its scores.

    Attributes:
        power: which of the projection's factors.
        gammas: which of the kernel widths, one for each model.
        models: scikit-learn's, on precomputed kernels between all training rows.
        out_of_fold: (repeats, n) mean of what such models say of rows they have not seen, standardised.
    """

    power: int
    gammas: tuple[int, ...]
    models: tuple[Any, ...]
    out_of_fold: Floats


@dataclass(frozen=True, eq=False)
class LinearMember:
    """Mean of PLS regressions with different numbers of components on one block.

    Attributes:
        weights: (bands,).
        intercept: added to `spectra @ weights`.
        components: that were averaged.
        out_of_fold: see `KernelMember`.
    """

    weights: Floats
    intercept: float
    components: tuple[int, ...]
    out_of_fold: Floats


def kernel_member(
    scores: Floats,
    power: int,
    z: Floats,
    folds: InnerFolds,
    *,
    settings: Sequence[tuple[float, float]],
    epsilon: float,
    averaged: int,
) -> KernelMember:
    """Fit support vectors of every setting, and keep the best.

    Args:
        scores: (n, components), multiplied by the factors that `power` names.
        power: for the member to remember.
        z: (n,) standardised target.
        folds: to choose by.
        settings: (gamma, C), of the kernel exp(-gamma d2).
        epsilon: half width of the tube within which errors cost nothing.
        averaged: settings to keep.
    """
    distances = square_distances(scores, scores)
    gammas = list(dict.fromkeys(gamma for gamma, _ in settings))
    kernels = [np.exp(-gamma * distances) for gamma in gammas]
    tried: list[tuple[float, int, float, Floats]] = []
    for gamma, cost in settings:
        g = gammas.index(gamma)
        kernel = kernels[g]

        def fit_predict(training: Rows, test: Rows, kernel: Floats = kernel, cost: float = cost) -> Floats:
            model = support_vectors(kernel[np.ix_(training, training)], z[training], cost, epsilon)
            support = training[model.support_]
            # What `predict` gives, without its checks, which take longer than some hundred rows do.
            return np.asarray(kernel[np.ix_(test, support)] @ model.dual_coef_[0] + model.intercept_[0])

        predicted = out_of_fold(folds, z.size, fit_predict)
        tried.append((robust_square(predicted - z, z), g, cost, predicted))
    tried.sort(key=lambda one: one[0])
    best = tried[:averaged]
    models = tuple(support_vectors(kernels[g], z, cost, epsilon) for _, g, cost, _ in best)
    return KernelMember(
        power, tuple(g for _, g, _, _ in best), models, np.mean([predicted for *_, predicted in best], axis=0)
    )


def linear_member(
    spectra: Floats, autoscale: bool, z: Floats, folds: InnerFolds, *, most_components: int, averaged: int
) -> LinearMember:
    """Fit PLSR of 1 to `most_components` components, and keep the best.

    Args:
        spectra: (n, bands).
        autoscale: give every band the same variance first.
        z: (n,) standardised target.
        folds: to choose by.
        most_components: tried at most; fewer where folds have fewer rows.
        averaged: numbers of components to keep.
    """
    fewest = min(fold.training.size for repeat in folds for fold in repeat)
    most = max(1, min(most_components, fewest - 2, spectra.shape[1]))

    def fit_predict(training: Rows, test: Rows) -> Floats:
        scaling = BandScaling.learn(spectra[training], autoscale)
        coefficients, mean = pls_coefficients(scaling(spectra[training]), z[training], most)
        return scaling(spectra[test]) @ coefficients + mean

    predicted = out_of_fold(folds, z.size, fit_predict, most)
    losses = [robust_square(predicted[..., k] - z, z) for k in range(most)]
    best = np.argsort(losses, kind="stable")[:averaged]
    scaling = BandScaling.learn(spectra, autoscale)
    coefficients, mean = pls_coefficients(scaling(spectra), z, most)
    weights = coefficients[:, best].mean(axis=1) / scaling.scale
    return LinearMember(
        weights,
        float(mean - scaling.offset @ weights),
        tuple(int(k) + 1 for k in best),
        predicted[..., best].mean(axis=-1),
    )


def _norm(scores: Floats) -> float:
    return float(np.sqrt(np.mean(np.sum(scores**2, axis=1)))) or 1.0
