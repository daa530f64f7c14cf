"""Preprocessing steps as scikit-learn transformers, and tuned regressions as its regressors.

They stand in a `Pipeline`, a `GridSearchCV` and `cross_val_score`. Each transformer is one step of a recipe, computed
by the device's own code: what a pipeline of them gives is what a device gives. X is (n, bands), a spectrum a row; the
wavelengths come with the transformer, since an array has none.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..converters.spectra.spectrum import Floats
from ..edge.model import steps
from ..edge.model.grid import Grid
from .crossval.folds import inner_folds
from .methods.baselines import PARSIMONY
from .methods.further_baselines import PENALTIES, dual_weights
from .methods.regressions import BandScaling, out_of_fold, pls_coefficients, square_distances, support_vectors

FIRST_NM = 400.0
"""Where bands begin, 1 nm apart, if a transformer is not told their wavelengths."""


class StepTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One step of a recipe; see `stibium.edge.model.steps` for what each does.

    Attributes:
        wavelengths_nm: (bands,) of X, ascending; None for 400, 401, 402 nm ... For a step after one that leaves out
            bands they are those that are left.
        grid_, out_nm_: the grid of X, and (bands',) the wavelengths of what `transform` returns, once fitted.
    """

    kind: ClassVar[type[steps.Step]]
    wavelengths_nm: ArrayLike | None
    least = 0.0

    @property
    def positive(self) -> bool:
        """True if the step takes values above zero only."""
        return False

    def step(self) -> steps.Step:
        """Give the step as a recipe has it.

        Raises:
            RecipeError: a parameter that cannot be.
        """
        given = self.get_params()
        return self.kind(**{name: given[name] for name in given.keys() - {"wavelengths_nm", "least"}})

    def fit(self, X: ArrayLike, y: object = None) -> StepTransformer:
        """Prepare the step for the wavelengths of X; nothing is learned from its values.

        Raises:
            PreprocessError: the step cannot be done on these wavelengths.
        """
        rows = validate_data(self, X, dtype=np.float64, ensure_min_features=2)
        self._check_sign(rows)
        count = rows.shape[1]
        nm = FIRST_NM + np.arange(count) if self.wavelengths_nm is None else np.asarray(self.wavelengths_nm, float)
        if nm.shape != (count,):
            raise ValueError(f"X has {count} bands and wavelengths_nm {nm.size}; one wavelength a band is needed")
        self.grid_ = Grid(nm, ())
        self._operator, out = self.step().prepare(self.grid_)
        self.out_nm_ = out.wavelengths_nm
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Take (n, bands) through the step: (n, bands').

        Raises:
            PreprocessError: values that the step cannot take; the message says which.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        self._check_sign(rows)
        return np.array(self._operator(np.maximum(rows, self.least) if self.least else rows))

    def _check_sign(self, rows: Floats) -> None:
        if self.positive and (rows < 0).any():
            # The words that scikit-learn's own checks look for.
            raise ValueError(f"Negative values in data passed to {type(self).__name__}")

    def get_feature_names_out(self, input_features: object = None) -> Any:
        """Name the bands that are left by their wavelengths in nm."""
        check_is_fitted(self)
        return np.array([f"{nm:g}" for nm in self.out_nm_], dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        # An operator is a function within another, which cannot be pickled; it is made again.
        return {name: value for name, value in super().__getstate__().items() if name != "_operator"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "grid_"):
            self._operator, _ = self.step().prepare(self.grid_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.positive
        tags.requires_fit = True
        return tags


class Absorbance(StepTransformer):
    """Reflectance, a fraction, to log10(1 / R).

    Reflectance below `least` is taken for it. A device refuses zero, and so does this with `least` at 0.
    """

    kind = steps.Absorbance
    positive = True

    def __init__(self, least: float = 0.0, wavelengths_nm: ArrayLike | None = None) -> None:
        self.least = least
        self.wavelengths_nm = wavelengths_nm


class ContinuumRemoval(StepTransformer):
    """Take the continuum out; `method` is "divide" or "subtract", `hull` "upper" or "lower", `least` as above."""

    kind = steps.ContinuumRemoval

    @property
    def positive(self) -> bool:
        """Only a continuum above zero can be divided by."""
        return self.method == "divide"

    def __init__(
        self,
        method: str = "divide",
        hull: str = "upper",
        least: float = 0.0,
        wavelengths_nm: ArrayLike | None = None,
    ) -> None:
        self.least = least
        self.method = method
        self.hull = hull
        self.wavelengths_nm = wavelengths_nm


class SavitzkyGolay(StepTransformer):
    """Smooth by polynomials of `degree` in a window of `window_nm`."""

    kind = steps.SavitzkyGolay

    def __init__(self, window_nm: float = 31.0, degree: int = 2, wavelengths_nm: ArrayLike | None = None) -> None:
        self.window_nm = window_nm
        self.degree = degree
        self.wavelengths_nm = wavelengths_nm


class SavitzkyGolayDerivative(StepTransformer):
    """Differentiate the sliding polynomials `order` times, and keep a band every `keep_nm`."""

    kind = steps.SavitzkyGolayDerivative

    def __init__(
        self,
        window_nm: float = 31.0,
        degree: int = 2,
        order: int = 1,
        keep_nm: float = 1.0,
        wavelengths_nm: ArrayLike | None = None,
    ) -> None:
        self.window_nm = window_nm
        self.degree = degree
        self.order = order
        self.keep_nm = keep_nm
        self.wavelengths_nm = wavelengths_nm


class Derivative(StepTransformer):
    """Central differences per nm, `order` 1 or 2."""

    kind = steps.Derivative

    def __init__(self, order: int = 1, wavelengths_nm: ArrayLike | None = None) -> None:
        self.order = order
        self.wavelengths_nm = wavelengths_nm


class StandardNormalVariate(StepTransformer):
    """Each spectrum with mean 0 and standard deviation 1."""

    kind = steps.StandardNormalVariate

    def __init__(self, wavelengths_nm: ArrayLike | None = None) -> None:
        self.wavelengths_nm = wavelengths_nm


class Cut(StepTransformer):
    """Keep the bands from `first_nm` to `last_nm`."""

    kind = steps.Cut

    def __init__(
        self, first_nm: float = 400.0, last_nm: float = 2450.0, wavelengths_nm: ArrayLike | None = None
    ) -> None:
        self.first_nm = first_nm
        self.last_nm = last_nm
        self.wavelengths_nm = wavelengths_nm


class TunedRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regression whose settings are chosen by inner folds; the way of `stibium train`'s baselines.

    Attributes:
        autoscale: each band to standard deviation 1, or all together.
        seed: of the inner folds.
        chosen_: the settings in words, once fitted.
    """

    autoscale: bool
    seed: int
    _fewest_rows: ClassVar[int] = 2

    def fit(self, X: ArrayLike, y: ArrayLike) -> TunedRegressor:
        """Choose and fit.

        Args:
            X: (n, bands) preprocessed spectra.
            y: (n,) values.
        """
        rows, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=self._fewest_rows)
        target = np.asarray(target, dtype=np.float64)
        self._fit(rows, target, inner_folds(target.size, None, repeats=self._repeats(target.size), seed=self.seed))
        return self

    def _repeats(self, count: int) -> int:
        """Say how often so many rows are divided."""
        return 1

    def _fit(self, rows: Floats, target: Floats, folds: Any) -> None:
        raise NotImplementedError

    def predict(self, X: ArrayLike) -> Floats:
        """Predict (n,) values from (n, bands)."""
        check_is_fitted(self)
        return self._predict(validate_data(self, X, dtype=np.float64, reset=False))

    def _predict(self, rows: Floats) -> Floats:
        raise NotImplementedError


class _Linear(TunedRegressor):
    """A regression that is a weight a band; `coef_` (bands,) and `intercept_` are of X as it is given."""

    def _keep(self, scaling: BandScaling, weights: Floats, mean: float) -> None:
        self.coef_ = weights / scaling.scale
        self.intercept_ = float(mean - scaling.offset @ self.coef_)

    def _predict(self, rows: Floats) -> Floats:
        return np.asarray(rows @ self.coef_ + self.intercept_)


class PLSR(_Linear):
    """Partial least squares: the fewest components whose error is within 5 % of the lowest, `most_components` at most.

    Wold, Sjöström & Eriksson 2001, Chemometrics and Intelligent Laboratory Systems 58(2):109.
    """

    def __init__(self, most_components: int = 20, autoscale: bool = False, seed: int = 0) -> None:
        self.most_components = most_components
        self.autoscale = autoscale
        self.seed = seed

    def _fit(self, rows: Floats, target: Floats, folds: Any) -> None:
        fewest = min(fold.training.size for repeat in folds for fold in repeat)
        most = max(1, min(self.most_components, fewest - 1, rows.shape[1]))

        def fit_predict(training: Any, test: Any) -> Floats:
            scaling = BandScaling.learn(rows[training], self.autoscale)
            coefficients, mean = pls_coefficients(scaling(rows[training]), target[training], most)
            return scaling(rows[test]) @ coefficients + mean

        predicted = out_of_fold(folds, target.size, fit_predict, most)
        errors = np.sqrt(np.mean((predicted - target[:, None]) ** 2, axis=(0, 1)))
        self.n_components_ = int(np.argmax(errors <= PARSIMONY * errors.min())) + 1
        scaling = BandScaling.learn(rows, self.autoscale)
        coefficients, mean = pls_coefficients(scaling(rows), target, self.n_components_)
        self._keep(scaling, coefficients[:, -1], mean)
        self.chosen_ = f"{self.n_components_} components"


class RidgeRegressor(_Linear):
    """Ridge regression, its penalty chosen from `penalties` per row (Hoerl & Kennard 1970, Technometrics 12(1):55)."""

    def __init__(
        self,
        penalties: tuple[float, ...] = PENALTIES,
        autoscale: bool = False,
        seed: int = 0,
    ) -> None:
        self.penalties = penalties
        self.autoscale = autoscale
        self.seed = seed

    def _fit(self, rows: Floats, target: Floats, folds: Any) -> None:
        def fit_predict(training: Any, test: Any) -> Floats:
            scaling = BandScaling.learn(rows[training], self.autoscale)
            x, mean = scaling(rows[training]), target[training].mean()
            weights = x.T @ dual_weights(x @ x.T, target[training] - mean, self.penalties)
            return np.asarray(scaling(rows[test]) @ weights + mean)

        predicted = out_of_fold(folds, target.size, fit_predict, len(self.penalties))
        errors = np.mean((predicted - target[:, None]) ** 2, axis=(0, 1))
        self.penalty_ = float(self.penalties[int(errors.argmin())])
        scaling = BandScaling.learn(rows, self.autoscale)
        x, mean = scaling(rows), float(target.mean())
        self._keep(scaling, x.T @ dual_weights(x @ x.T, target - mean, (self.penalty_,))[:, 0], mean)
        self.chosen_ = f"penalty {self.penalty_:g}"


class SVR(TunedRegressor):
    """Support vectors with a radial kernel; C from `costs`, gamma (per mean squared distance) from `gammas`.

    Smola & Schölkopf 2004, Statistics and Computing 14(3):199.
    """

    def __init__(
        self,
        costs: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0),
        gammas: tuple[float, ...] = (0.03, 0.1, 0.3),
        epsilon: float = 0.1,
        autoscale: bool = False,
        seed: int = 0,
    ) -> None:
        self.costs = costs
        self.gammas = gammas
        self.epsilon = epsilon
        self.autoscale = autoscale
        self.seed = seed

    def _fit(self, rows: Floats, target: Floats, folds: Any) -> None:
        self.mean_, spread = float(target.mean()), float(target.std())
        self.spread_ = spread if spread > 0 else 1.0
        z = (target - self.mean_) / self.spread_
        self.scaling_ = BandScaling.learn(rows, self.autoscale)
        self.rows_ = self.scaling_(rows)
        distances = square_distances(self.rows_, self.rows_)
        best: tuple[float, float, float] | None = None
        for gamma in self.gammas:
            kernel = np.exp(-gamma * distances)
            for cost in self.costs:

                def fit_predict(training: Any, test: Any, kernel: Floats = kernel, cost: float = cost) -> Floats:
                    model = support_vectors(kernel[np.ix_(training, training)], z[training], cost, self.epsilon)
                    return np.asarray(model.predict(kernel[np.ix_(test, training)]))

                error = float(np.mean((out_of_fold(folds, z.size, fit_predict) - z) ** 2))
                if best is None or error < best[0]:
                    best = error, cost, gamma
        assert best is not None
        _, self.cost_, self.gamma_ = best
        self.model_ = support_vectors(np.exp(-self.gamma_ * distances), z, self.cost_, self.epsilon)
        self.chosen_ = f"C {self.cost_:g}, gamma {self.gamma_:g}, epsilon {self.epsilon:g}"

    def _predict(self, rows: Floats) -> Floats:
        kernel = np.exp(-self.gamma_ * square_distances(self.scaling_(rows), self.rows_))
        return np.asarray(self.model_.predict(kernel)) * self.spread_ + self.mean_
