"""Which wavelengths carry an estimate: Shapley values through a whole model, PLSR's VIP, random-forest importance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats

Predict = Callable[[Floats], Floats]
"""(n, bands) reflectance -> (n,) answers."""

LEAST_REFLECTANCE = 1e-4
"""A masked spectrum is kept above this; logarithms come after it."""
VIP_FOLDS = 5
MOST_COMPONENTS = 15


@dataclass(frozen=True, eq=False)
class Players:
    """What a spectrum is made of when it is taken apart for Shapley values.

    A spectrum is its background (the mean spectrum), plus what its brightness and slope alone make of that, plus what
    is left in each stretch of wavelengths. Stretches fade into each other, for a step in a spectrum is what no soil
    has, and a derivative would see nothing else.

    Attributes:
        names: k players; the first is the brightness and slope.
        centres_nm, width_nm: of the k - 1 stretches.
        background: (bands,) mean spectrum.
        level: (n, bands) what brightness and slope alone add to the background, for each spectrum.
        weights: (k - 1, bands), in each band adding up to 1.
        rest: (n, bands) what is left.
    """

    names: tuple[str, ...]
    centres_nm: Floats
    width_nm: float
    background: Floats
    level: Floats
    weights: Floats
    rest: Floats

    def assemble(self, spectrum: int, present: NDArray[np.bool_]) -> Floats:
        """Put one spectrum together from some of its players.

        Args:
            spectrum: which of the n.
            present: (m, k) players that take part, m coalitions.

        Returns:
            (m, bands) reflectance; with nobody the background, with everybody the spectrum itself.
        """
        share = present.astype(np.float64)
        level, rest = self.level[spectrum], self.rest[spectrum]
        masked = self.background + share[:, :1] * level + (share[:, 1:] @ self.weights) * rest
        return np.asarray(np.maximum(masked, LEAST_REFLECTANCE))


def take_apart(spectra: Floats, wavelengths_nm: Floats, background: Floats, width_nm: float = 40.0) -> Players:
    """Take spectra apart into brightness and slope, and stretches of wavelengths.

    Args:
        spectra: (n, bands) reflectance.
        wavelengths_nm: (bands,) ascending.
        background: (bands,) such as the mean spectrum of the training set.
        width_nm: from the centre of a stretch to that of the next.
    """
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    stretches = max(2, round((nm[-1] - nm[0]) / width_nm))
    centres = nm[0] + (np.arange(stretches) + 0.5) * (nm[-1] - nm[0]) / stretches
    identity = np.eye(stretches)
    weights = np.array([np.interp(nm, centres, row) for row in identity])
    tilt = (nm - nm.mean()) / max(float(np.ptp(nm)), 1.0)
    basis = np.stack([background, background * tilt], axis=1)
    deviation = spectra - background
    fitted, *_ = np.linalg.lstsq(basis, deviation.T, rcond=None)
    level = (basis @ fitted).T
    return Players(
        names=("brightness and slope", *(f"{c:.0f} nm" for c in centres)),
        centres_nm=centres,
        width_nm=float((nm[-1] - nm[0]) / stretches),
        background=background,
        level=level,
        weights=weights,
        rest=deviation - level,
    )


@dataclass(frozen=True, eq=False)
class ShapleyValues:
    """What each player adds to each answer.

    Attributes:
        values: (n, k), in the unit of the answers; each row adds up to answer - expected.
        answers: (n,) of the whole spectra.
        expected: of the background.
    """

    values: Floats
    answers: Floats
    expected: float


def sample_shapley(
    predict: Predict,
    players: Players,
    permutations: int = 4,
    seed: int = 42,
    batch: int = 256,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> ShapleyValues:
    """Estimate Shapley values by walking players in at random orders, each order once forwards and once backwards.

    Whatever the number of orders, each spectrum's values add up to its answer less the background's.

    Args:
        predict: the whole model, from reflectance to answer.
        players: of the spectra to explain.
        permutations: orders for each spectrum, rounded up to an even number.
        seed: of the orders.
        batch: spectra that `predict` is given at a time.
        progress: called with spectra done and their number.

    Notes:
        Castro, Gómez & Tejada 2009, Computers & Operations Research 36:1726; orders and their reverse as in Mitchell
        et al. 2022, JMLR 23(43):1.
    """
    n, k = len(players.rest), len(players.names)
    rng = np.random.default_rng(seed)
    values, answers = np.zeros((n, k)), np.zeros(n)
    expected = 0.0
    for i in range(n):
        orders = []
        for _ in range((permutations + 1) // 2):
            order = rng.permutation(k)
            orders += [order, order[::-1]]
        walks = np.zeros((len(orders), k + 1, k), dtype=bool)
        for walk, order in zip(walks, orders, strict=True):
            for step, player in enumerate(order):
                walk[step + 1 :, player] = True
        found = _in_batches(predict, players.assemble(i, walks.reshape(-1, k)), batch).reshape(len(orders), k + 1)
        for order, line in zip(orders, found, strict=True):
            values[i, order] += np.diff(line) / len(orders)
        answers[i], expected = found[0, -1], float(found[0, 0])
        progress(i + 1, n)
    return ShapleyValues(values, answers, expected)


def _in_batches(predict: Predict, spectra: Floats, batch: int) -> Floats:
    return np.concatenate([predict(spectra[i : i + batch]) for i in range(0, len(spectra), batch)])


def vip_scores(weights: Floats, scores: Floats, y_loadings: Floats) -> Floats:
    """Compute the variable importance in projection of a PLS regression on one target.

    `VIP_j = sqrt(p * sum_a(SS_a (w_ja / |w_a|)^2) / sum_a(SS_a))` with `SS_a = q_a^2 t_a't_a`, the variation of the
    target that component a explains. The mean of the squares is 1, hence the usual rule that above 1 counts.

    Args:
        weights: (p, components) X weights w.
        scores: (n, components) X scores t.
        y_loadings: (components,) loadings q of the target.

    Returns:
        (p,) scores.

    Notes:
        Wold, Sjöström & Eriksson 2001, Chemometrics and Intelligent Laboratory Systems 58:109.
    """
    explained = np.square(y_loadings) * np.sum(scores**2, axis=0)
    if explained.sum() <= 0:
        return np.zeros(len(weights))
    share = np.square(weights / np.linalg.norm(weights, axis=0))
    return np.asarray(np.sqrt(len(weights) * (share @ explained) / explained.sum()))


def plsr_vip(spectra: Floats, target: Floats, groups: Sequence[str], seed: int = 42) -> tuple[Floats, int]:
    """Fit a PLSR, its components chosen by grouped cross-validation, and score its wavelengths.

    Args:
        spectra: (n, bands) preprocessed.
        target: (n,) in the transform's space, not all the same.
        groups: n names; rows of one name stay on one side.

    Returns:
        (bands,) VIP scores, and the number of components.
    """
    from sklearn.cross_decomposition import PLSRegression

    _, group = np.unique(np.asarray(groups), return_inverse=True)
    folds = min(VIP_FOLDS, int(group.max()) + 1)
    fold = np.random.default_rng(seed).permutation(int(group.max()) + 1)[group] % folds
    smallest = min(int(np.count_nonzero(fold != f)) for f in range(folds))
    most = max(1, min(MOST_COMPONENTS, smallest - 1, np.linalg.matrix_rank(spectra - spectra.mean(axis=0)) - 1))
    errors = np.zeros(most)
    for f in range(folds):
        inside, held = fold != f, fold == f
        model = PLSRegression(most, scale=False).fit(spectra[inside], target[inside])
        centred = spectra[held] - spectra[inside].mean(axis=0)
        # The first a components of a larger fit are the fit with a components.
        steps = (centred @ model.x_rotations_) * model.y_loadings_[0]
        predicted = target[inside].mean() + np.cumsum(steps, axis=1)
        errors += np.sum((predicted - target[held][:, None]) ** 2, axis=0)
    components = int(np.argmin(errors)) + 1
    model = PLSRegression(components, scale=False).fit(spectra, target)
    return vip_scores(model.x_weights_, model.x_scores_, model.y_loadings_[0]), components


def stretches(wavelengths_nm: Floats, width_nm: float) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Divide wavelengths into stretches, leaving out those without any band.

    Args:
        wavelengths_nm: (bands,) ascending, two at least.
        width_nm: of a stretch; the last may be narrower.

    Returns:
        First and last wavelength of the m stretches, and which of them each band is in, (bands,).
    """
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    count = max(1, int(np.ceil((nm[-1] - nm[0]) / width_nm - 1e-9)))
    at = np.minimum(((nm - nm[0]) / width_nm + 1e-9).astype(np.intp), count - 1)
    used, index = np.unique(at, return_inverse=True)
    first = nm[0] + used * width_nm
    return first, np.minimum(first + width_nm, nm[-1]), index


def forest_importance(
    spectra: Floats, wavelengths_nm: Floats, target: Floats, width_nm: float = 10.0, trees: int = 200, seed: int = 42
) -> tuple[Floats, Floats, Floats]:
    """Fit a random forest on means over stretches of wavelengths, and give each stretch's share of what it explains.

    Args:
        spectra: (n, bands) preprocessed.
        wavelengths_nm: (bands,) ascending.
        target: (n,) in the transform's space.
        width_nm: of a stretch.

    Returns:
        First and last wavelength of the stretches, and their shares, (m,) each; the shares add up to 1. The share is
        the mean decrease in impurity (Breiman 2001, Machine Learning 45:5).
    """
    from sklearn.ensemble import RandomForestRegressor

    first, last, at = stretches(wavelengths_nm, width_nm)
    means = np.stack([spectra[:, at == u].mean(axis=1) for u in range(len(first))], axis=1)
    forest = RandomForestRegressor(trees, max_features=1 / 3, min_samples_leaf=2, random_state=seed, n_jobs=1)
    forest.fit(means, target)
    return first, last, np.asarray(forest.feature_importances_)
