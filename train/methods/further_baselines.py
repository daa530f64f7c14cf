"""More models that a chemometrician would use: ridge, a Gaussian process, Cubist, and PLSR local to each spectrum.

As the other baselines, each tries several preprocessings, its own hyperparameters and, on a skewed target, the target's
transform; what has the lowest inner loss is taken (`decision.unexplained`).

References:
    Hoerl & Kennard 1970, Technometrics 12(1):55 (ridge regression).
    Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, chapter 5 (marginal likelihood).
    Quinlan 1992, Learning with continuous classes (Cubist's model trees).
    Ramirez-Lopez et al. 2013, Geoderma 195-196:268 (memory-based learning).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.target import Transform, forward
from ..crossval.folds import Rows
from ..errors import MissingTrainingSideError
from .baselines import FAST_VARIANTS, Baseline, BaselineTraining, Candidate, Regression, Variant, further
from .regressions import BandScaling, out_of_fold, pls_coefficients, square_distances

VARIANTS = (*FAST_VARIANTS, Variant(1, 31, True, True), Variant(1, 61, False, True), Variant(2, 61, True))
PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-6, 0.1, 0.5))
"""Per training row, of a kernel whose mean diagonal is 1."""


@dataclass(frozen=True)
class Ridge(Baseline):
    """Ridge regression on all bands of one preprocessing."""

    name: str = "ridge"

    def usual(self) -> Sequence[Variant]:
        """See `Baseline`."""
        return FAST_VARIANTS if self.fast else VARIANTS

    def choose(self, data: BaselineTraining) -> Regression:
        """See `Baseline`."""
        tried = []
        for variant, transform in product(data.variants, data.transforms):
            z, x = forward(data.target, transform), data.scaled(variant)
            kernel = x @ x.T

            def fit_predict(training: Rows, test: Rows, kernel: Floats = kernel, z: Floats = z) -> Floats:
                own, mean = kernel[np.ix_(training, training)], z[training].mean()
                weights = dual_weights(own, z[training] - mean, PENALTIES)
                return np.asarray(kernel[np.ix_(test, training)] @ weights + mean)

            predicted = out_of_fold(data.folds, z.size, fit_predict, len(PENALTIES))
            for k, penalty in enumerate(PENALTIES):
                error = data.loss(predicted[..., k], transform)
                tried.append((error, variant, transform, penalty, predicted[..., k]))
        _, variant, transform, penalty, predicted = min(tried, key=lambda one: one[0])
        z, x = forward(data.target, transform), data.scaled(variant)
        mean = float(z.mean())
        weights = x.T @ dual_weights(x @ x.T, z - mean, (penalty,))[:, 0]
        return data.regression(
            variant, transform, predicted, lambda spectra: spectra @ weights + mean, f"penalty {penalty:.2g}"
        )


def dual_weights(kernel: Floats, z: Floats, penalties: Sequence[float]) -> Floats:
    """Solve (kernel + n penalty I) w = z for each penalty: (n, penalties)."""
    values, vectors = np.linalg.eigh(kernel)
    shrunk = np.maximum(values, 0.0)[:, None] + len(z) * np.asarray(penalties)
    return np.asarray(vectors @ ((vectors.T @ z)[:, None] / shrunk))


GAMMAS = (0.03, 0.1, 0.3, 1.0)
LINEAR_SHARES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class GaussianProcess(Baseline):
    """Gaussian process with a radial and a linear kernel; widths, shares and noise by the marginal likelihood."""

    name: str = "Gaussian process"

    def usual(self) -> Sequence[Variant]:
        """See `Baseline`."""
        return FAST_VARIANTS if self.fast else VARIANTS

    def choose(self, data: BaselineTraining) -> Regression:
        """See `Baseline`."""
        tried = []
        for variant in data.variants:
            x = data.scaled(variant)
            for transform in data.transforms:
                z = forward(data.target, transform)
                (gamma, share, noise), kernel = _most_likely(x, (z - z.mean()) / z.std())

                def fit_predict(
                    training: Rows, test: Rows, kernel: Floats = kernel, z: Floats = z, noise: float = noise
                ) -> Floats:
                    own, mean = kernel[np.ix_(training, training)], z[training].mean()
                    weights = dual_weights(own, z[training] - mean, (noise / len(training),))[:, 0]
                    return np.asarray(kernel[np.ix_(test, training)] @ weights + mean)

                predicted = out_of_fold(data.folds, z.size, fit_predict)
                error = data.loss(predicted, transform)
                tried.append((error, variant, transform, (gamma, share, noise), predicted))
        _, variant, transform, (gamma, share, noise), predicted = min(tried, key=lambda one: one[0])
        z, x = forward(data.target, transform), data.scaled(variant)
        mean = float(z.mean())
        weights = dual_weights(_covariance(x, x, gamma, share), z - mean, (noise / z.size,))[:, 0]
        words = f"gamma {gamma:g}, {share:.0%} linear, noise {noise:.2g}"
        return data.regression(
            variant,
            transform,
            predicted,
            lambda spectra: _covariance(spectra, x, gamma, share) @ weights + mean,
            words,
        )


def _covariance(a: Floats, b: Floats, gamma: float, share: float) -> Floats:
    return np.asarray(share * a @ b.T + (1.0 - share) * np.exp(-gamma * square_distances(a, b)))


def _most_likely(x: Floats, z: Floats) -> tuple[tuple[float, float, float], Floats]:
    """Find gamma, linear share and noise of the highest marginal likelihood, the signal's size profiled out."""
    best: tuple[float, tuple[float, float, float], Floats] | None = None
    for gamma, share in product(GAMMAS, LINEAR_SHARES):
        kernel = _covariance(x, x, gamma, share)
        values, vectors = np.linalg.eigh(kernel)
        along = (vectors.T @ z) ** 2
        for noise in PENALTIES:
            spread = np.maximum(values, 0.0) + noise
            likelihood = -0.5 * (z.size * np.log(np.mean(along / spread)) + np.sum(np.log(spread)))
            if best is None or likelihood > best[0]:
                best = float(likelihood), (gamma, share, noise), kernel
    assert best is not None
    return best[1:]


NEIGHBOURS = (30, 60, 120)
LOCAL_COMPONENTS = 12
SIMILAR_BY = 15
"""Principal components whose Mahalanobis distance says which spectra are alike."""


@dataclass(frozen=True)
class LocalPartialLeastSquares(Baseline):
    """Memory-based learning: for each spectrum a PLSR of the calibration spectra that are most like it."""

    name: str = "local PLSR"

    def usual(self) -> Sequence[Variant]:
        """See `Baseline`."""
        return FAST_VARIANTS[:1] if self.fast else FAST_VARIANTS

    def choose(self, data: BaselineTraining) -> Regression:
        """See `Baseline`."""
        # A regression for each row: one division of the rows has to do.
        rounds = data.folds[:1]
        fewest = min(fold.training.size for fold in rounds[0])
        counts = tuple(k for k in NEIGHBOURS if k < fewest) or (fewest,)
        most = max(1, min(LOCAL_COMPONENTS, counts[0] - 2))
        tried = []
        for variant, transform, count in product(data.variants, data.transforms, counts):
            x, z = data.scaled(variant), forward(data.target, transform)

            def fit_predict(training: Rows, test: Rows, x: Floats = x, z: Floats = z, count: int = count) -> Floats:
                return locally(x[training], z[training], x[test], count, most)

            predicted = out_of_fold(rounds, z.size, fit_predict, most)
            for k in range(most):
                error = data.loss(predicted[..., k], transform)
                tried.append((error, variant, transform, count, k, predicted[..., k]))
        _, variant, transform, count, k, predicted = min(tried, key=lambda one: one[0])
        x, z = data.scaled(variant), forward(data.target, transform)
        return data.regression(
            variant,
            transform,
            predicted,
            lambda spectra: locally(x, z, spectra, count, k + 1)[:, k],
            f"{count} neighbours, {k + 1} component{'s' if k else ''}",
        )


def locally(x: Floats, z: Floats, spectra: Floats, count: int, most: int) -> Floats:
    """Predict (m, most) with 1 to `most` components, each spectrum from its `count` neighbours among x."""
    centre = x.mean(axis=0)
    _, singular, directions = np.linalg.svd(x - centre, full_matrices=False)
    kept = max(1, min(SIMILAR_BY, int(np.sum(singular > 1e-8 * singular[0]))))
    to_scores = directions[:kept].T / singular[:kept]
    distances = square_distances((spectra - centre) @ to_scores, (x - centre) @ to_scores)
    found = np.empty((len(spectra), most))
    for i, near in enumerate(np.argsort(distances, axis=1, kind="stable")[:, :count]):
        if np.ptp(z[near]) == 0:
            found[i] = z[near[0]]
            continue
        scaling = BandScaling.learn(x[near], False)
        coefficients, mean = pls_coefficients(scaling(x[near]), z[near], most)
        found[i] = scaling(spectra[i]) @ coefficients + mean
    # Where few neighbours leave a component nothing, an answer far beyond all of them is none of theirs.
    return np.clip(found, z.min(), z.max())


CUBIST_SETTINGS = ((1, 0), (10, 0), (10, 5))
"""Committees, and neighbours that correct their rules."""
CUBIST_BAND_STEP = 4


@dataclass(frozen=True)
class Cubist(Baseline):
    """Cubist: preprocessing first, then committees, neighbours and transform; needs the package cubist."""

    name: str = "Cubist"

    def usual(self) -> Sequence[Variant]:
        """See `Baseline`."""
        return FAST_VARIANTS[:1] if self.fast else FAST_VARIANTS

    def choose(self, data: BaselineTraining) -> Regression:
        """See `Baseline`."""
        rounds, settings = data.folds[:1], CUBIST_SETTINGS[:1] if self.fast else CUBIST_SETTINGS
        rows = {variant: data.scaled(variant)[:, :: further(variant, CUBIST_BAND_STEP)] for variant in data.variants}
        found: dict[tuple[Candidate, tuple[int, int], Transform], tuple[float, Floats]] = {}

        def judge(variant: Candidate, setting: tuple[int, int], transform: Transform) -> float:
            key = variant, setting, transform
            if key not in found:
                x, z = rows[variant], forward(data.target, transform)

                def fit_predict(training: Rows, test: Rows) -> Floats:
                    return _answers(_cubist(x[training], z[training], setting[0], setting[1], data.seed), x[test])

                predicted = out_of_fold(rounds, z.size, fit_predict)
                found[key] = data.loss(predicted, transform), predicted
            return found[key][0]

        variant = min(data.variants, key=lambda v: judge(v, settings[0], data.transforms[0]))
        # Rules hardly change under a square root.
        transforms = tuple(t for t in data.transforms if t != "sqrt")
        setting, transform = min(product(settings, transforms), key=lambda choice: judge(variant, *choice))
        model = _cubist(rows[variant], forward(data.target, transform), setting[0], setting[1], data.seed)
        return data.regression(
            variant,
            transform,
            found[variant, setting, transform][1],
            lambda spectra: _answers(model, spectra[:, :: further(variant, CUBIST_BAND_STEP)]),
            f"{setting[0]} committee{'s' if setting[0] > 1 else ''}, {setting[1]} neighbours",
        )


def has_cubist() -> bool:
    """Say whether the package is installed."""
    try:
        return find_spec("cubist") is not None
    except ValueError:
        return False


def _cubist(x: Floats, z: Floats, committees: int, neighbours: int, seed: int) -> Any:
    if not has_cubist():
        raise MissingTrainingSideError("the method Cubist needs a package that is not installed: pip install cubist")
    from cubist import Cubist as Model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Model(n_committees=committees, neighbors=neighbours or None, random_state=seed).fit(x, z)


def _answers(model: Any, x: Floats) -> Floats:
    with warnings.catch_warnings():
        # It names the bands itself, and misses the names then.
        warnings.simplefilter("ignore")
        return np.asarray(model.predict(x), dtype=np.float64)


FURTHER_BASELINES: dict[str, Callable[[bool], Ridge | GaussianProcess | LocalPartialLeastSquares | Cubist]] = {
    "ridge": Ridge,
    "Gaussian process": GaussianProcess,
    "local PLSR": LocalPartialLeastSquares,
    "Cubist": Cubist,
}
"""Name in tables -> what makes the method; its argument says whether it is to be fast."""
