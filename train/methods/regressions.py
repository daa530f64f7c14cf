"""What several methods fit: PLSR and support vectors on scaled bands, and predictions of rows left out from both."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..crossval.folds import InnerFolds, Rows

TOLERANCE = 1e-2
MOST_ITERATIONS = 20_000


@dataclass(frozen=True, eq=False)
class BandScaling:
    """Centres bands and scales them, so that the mean squared norm of the training rows is 1.

    One scale for all bands, or one for each where they are autoscaled.
    """

    offset: Floats
    scale: Floats

    @classmethod
    def learn(cls, spectra: Floats, autoscale: bool) -> BandScaling:
        """Learn from training rows (n, bands)."""
        deviation = spectra.std(axis=0)
        together = float(np.sqrt(np.sum(deviation**2))) or 1.0
        if not autoscale:
            return cls(spectra.mean(axis=0), np.full_like(deviation, together))
        varies = deviation > 1e-12 * together
        return cls(spectra.mean(axis=0), np.where(varies, deviation, together) * np.sqrt(deviation.size))

    def __call__(self, spectra: Floats) -> Floats:
        """Scale (n, bands)."""
        scaled: Floats = (spectra - self.offset) / self.scale
        return scaled


def square_distances(a: Floats, b: Floats) -> Floats:
    """Give (n, m) squared distances between the rows of (n, k) and (m, k)."""
    squares = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2.0 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0))


def out_of_fold(folds: InnerFolds, n: int, fit_predict: Callable[[Rows, Rows], Floats], *k: int) -> Floats:
    """Predict every row from a model that has not seen it: (repeats, n), or (repeats, n, k) for k models."""
    found = np.empty((len(folds), n, *k))
    for r, repeat in enumerate(folds):
        for fold in repeat:
            found[r, fold.test] = fit_predict(fold.training, fold.test)
    return found


def pls_coefficients(x: Floats, z: Floats, most: int) -> tuple[Floats, float]:
    """Fit 1 to `most` components at once: coefficients (bands, most), and the mean of z. x has mean 0."""
    from sklearn.cross_decomposition import PLSRegression

    with warnings.catch_warnings():
        # Where all of z is explained before the last component, the rest of them add nothing.
        warnings.filterwarnings("ignore", "y residual is constant", UserWarning)
        model = PLSRegression(most, scale=False).fit(x, z)
    # Components do not change when further ones are added.
    return np.cumsum(model.x_rotations_ * model.y_loadings_, axis=1), float(z.mean())


def support_vectors(kernel: Floats, z: Floats, cost: float, epsilon: float) -> Any:
    """Fit epsilon support vectors (scikit-learn's) to a precomputed kernel (n, n) and target (n,)."""
    from sklearn import config_context
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVR

    # Kernels made here are finite and settings valid; with some hundred rows, to check it takes longer than to fit.
    with warnings.catch_warnings(), config_context(assume_finite=True, skip_parameter_validation=True):
        # A setting that does not settle is judged by its error like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SVR(kernel="precomputed", C=cost, epsilon=epsilon, tol=TOLERANCE, max_iter=MOST_ITERATIONS)
        return model.fit(kernel, z)
