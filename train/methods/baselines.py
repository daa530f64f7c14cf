"""The models that a chemometrician would use instead: PLSR, support vectors and a random forest, tuned with care.

Each tries several preprocessings, its own hyperparameters and, on a skewed target, the target's transform; what has the
lowest inner loss is taken (`decision.unexplained`). The models are scikit-learn's, the preprocessing is the device's.

References:
    Wold, Sjöström & Eriksson 2001, Chemometrics and Intelligent Laboratory Systems 58(2):109 (PLSR).
    Smola & Schölkopf 2004, Statistics and Computing 14(3):199 (support vector regression).
    Breiman 2001, Machine Learning 45(1):5 (random forests).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.model.presets import Preprocessing
from ...edge.model.recipe import Recipe
from ...edge.model.steps import Absorbance, Derivative, Resample, SavitzkyGolay, StandardNormalVariate, Step
from ...edge.model.target import Transform, forward
from ..crossval.decision import DecideBy
from ..crossval.folds import InnerFolds
from ..crossval.rows import TrainingRows
from .common import (
    BackTransformation,
    common_range,
    inner_loss,
    recipe_on,
    refuse_spectrogram,
    repeats_for,
    transforms_for,
)
from .regressions import BandScaling, out_of_fold, pls_coefficients, square_distances, support_vectors

BAND_STEP = 5
"""Of the bands 1 nm apart, those kept: what a window of 15 nm or more has smoothed holds no more."""


class Candidate(Protocol):
    """A preprocessing that a method may choose; hashable, and said in a few words by `str`."""

    @property
    def autoscale(self) -> bool:
        """Give each band the same variance."""

    @property
    def band_step(self) -> int:
        """Of the bands that the recipe leaves, every so manieth is kept."""

    def recipe(self, grid: Resample) -> Recipe:
        """Give the preprocessing as the device would do it.

        Args:
            grid: that the spectra have in common.
        """


@dataclass(frozen=True)
class OwnCandidate:
    """A recipe that was asked for; nothing is thinned that it leaves."""

    own: Recipe
    name: str
    autoscale: bool
    band_step: ClassVar[int] = 1

    def recipe(self, grid: Resample) -> Recipe:
        """Give the recipe, which stands on a grid of its own."""
        return self.own

    def __str__(self) -> str:
        return f"recipe {self.name}{', autoscaled' if self.autoscale else ''}"


def of_ones_own(chosen: Preprocessing) -> tuple[OwnCandidate, ...]:
    """Give each recipe of a preprocessing as a candidate; of several each has its number."""
    return tuple(OwnCandidate(one.recipes[0], one.name, one.autoscale[0]) for one in chosen.one_by_one())


@dataclass(frozen=True)
class Baseline:
    """What baselines are asked for.

    Attributes:
        fast: fewer settings.
        decide_by: what its answers are chosen by; see `decision.DecideBy`.
        name: in tables.
        recipe: preprocessing to choose among, in place of what the method tries by itself.
    """

    fast: bool = False
    decide_by: DecideBy = "both"
    name: str = ""
    recipe: Preprocessing | None = None

    def __post_init__(self) -> None:
        refuse_spectrogram(self.name, self.recipe)

    def usual(self) -> Sequence[Variant]:
        """Give the preprocessings that it tries by itself."""
        raise NotImplementedError

    def choose(self, data: BaselineTraining) -> Regression:
        """Choose by the inner folds, and fit to all rows."""
        raise NotImplementedError

    def fit(self, rows: TrainingRows) -> Regression:
        """Fit; see `Method.fit`."""
        variants = of_ones_own(self.recipe) if self.recipe is not None else tuple(self.usual())
        return self.choose(BaselineTraining.prepare(variants, rows, self.fast, self.decide_by))


@dataclass(frozen=True)
class Variant:
    """A preprocessing of absorbance: standard normal variate or not, smoothing, derivative, scaling of the bands."""

    order: int
    window_nm: float
    snv: bool
    autoscale: bool = False
    band_step: ClassVar[int] = BAND_STEP

    def recipe(self, grid: Resample) -> Recipe:
        """Give the preprocessing as the device would do it."""
        steps: list[Step] = [Absorbance()]
        if self.snv:
            steps.append(StandardNormalVariate())
        steps.append(SavitzkyGolay(self.window_nm))
        if self.order:
            steps.append(Derivative(self.order))
        return recipe_on(grid, *steps)

    def __str__(self) -> str:
        order = {0: "smoothed", 1: "1st derivative", 2: "2nd derivative"}[self.order]
        return f"{order} {self.window_nm:g} nm{', SNV' if self.snv else ''}{', autoscaled' if self.autoscale else ''}"


SMOOTHED = tuple((order, window) for order, window in ((0, 15), (1, 15), (1, 31), (1, 61), (2, 61)))
PLSR_VARIANTS = tuple(
    Variant(o, w, snv, scaled) for (o, w), snv, scaled in product(SMOOTHED, (False, True), (False, True))
)
SVR_VARIANTS = (
    Variant(0, 15, True),
    Variant(1, 15, False),
    Variant(1, 31, False),
    Variant(1, 31, True),
    Variant(1, 31, False, True),
    Variant(1, 31, True, True),
    Variant(1, 61, False),
    Variant(1, 61, True),
    Variant(2, 61, True),
)
FOREST_VARIANTS = (Variant(1, 31, False), Variant(1, 31, True), Variant(0, 15, True))
FAST_VARIANTS = (Variant(1, 31, False), Variant(1, 31, True), Variant(0, 15, True))


@dataclass(frozen=True, eq=False)
class Regression:
    """A trained baseline: preprocessing, scaling, model, and the way back to the target's unit.

    Attributes:
        recipe, splices_nm, wavelengths_nm: of the preprocessing.
        band_step: of the bands that it leaves, every so manieth is kept.
        scaling: of these.
        answer: from (n, bands) to (n,) in the transform's space.
        back: from there to the unit.
        out_of_fold: (repeats, n) in the unit: what the inner cross-validation said of each training row.
        chosen: in words.
        inner_rmse: of the choice, in the unit; as the lowest of many it is too low.
    """

    recipe: Recipe
    band_step: int
    splices_nm: tuple[float, ...]
    wavelengths_nm: Floats
    scaling: BandScaling
    answer: Callable[[Floats], Floats]
    back: BackTransformation
    out_of_fold: Floats
    chosen: str
    inner_rmse: float

    @property
    def transform(self) -> Transform:
        """Of the target."""
        return self.back.transform

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's unit from (n, bands) reflectance."""
        spectra = self.recipe.preprocess(reflectance, self.wavelengths_nm, self.splices_nm).spectra
        return self.back(self.answer(self.scaling(spectra[:, :: self.band_step])))


@dataclass(frozen=True, eq=False)
class BaselineTraining:
    """What a baseline has to choose by."""

    spectra: dict[Candidate, Floats]
    target: Floats
    transforms: tuple[Transform, ...]
    folds: InnerFolds
    grid: Resample
    wavelengths_nm: Floats
    splices_nm: tuple[float, ...]
    decide_by: DecideBy = "both"
    seed: int = 0

    @classmethod
    def prepare(
        cls,
        variants: Sequence[Candidate],
        rows: TrainingRows,
        fast: bool,
        decide_by: DecideBy = "both",
    ) -> BaselineTraining:
        """Preprocess by each variant, and divide the rows for the choices."""
        grid = common_range(rows.wavelengths_nm)
        by_recipe: dict[Recipe, Floats] = {}
        for variant in variants:
            recipe = variant.recipe(grid)
            if recipe not in by_recipe:
                by_recipe[recipe] = rows.features(recipe)[:, :: variant.band_step]
        return cls(
            {variant: by_recipe[variant.recipe(grid)] for variant in variants},
            rows.target,
            transforms_for(rows.target),
            rows.folds(repeats_for(len(rows), fast)),
            grid,
            rows.wavelengths_nm,
            rows.splices_nm,
            decide_by,
            rows.seed,
        )

    @property
    def variants(self) -> tuple[Candidate, ...]:
        """Preprocessings to choose among."""
        return tuple(self.spectra)

    def loss(self, predicted: Floats, transform: Transform) -> float:
        """Give what a choice is judged by: see `inner_loss`."""
        return inner_loss(predicted, self.target, transform, self.decide_by)

    def scaled(self, variant: Candidate) -> Floats:
        """Give (n, bands) of a preprocessing, as a `Regression` scales them."""
        spectra = self.spectra[variant]
        return BandScaling.learn(spectra, variant.autoscale)(spectra)

    def regression(
        self,
        variant: Candidate,
        transform: Transform,
        predicted: Floats,
        answer: Callable[[Floats], Floats],
        words: str,
    ) -> Regression:
        """Put a trained model together."""
        back = BackTransformation.learn(transform, self.target, predicted, self.decide_by)
        said = back(predicted)
        return Regression(
            recipe=variant.recipe(self.grid),
            band_step=variant.band_step,
            splices_nm=self.splices_nm,
            wavelengths_nm=self.wavelengths_nm,
            scaling=BandScaling.learn(self.spectra[variant], variant.autoscale),
            answer=answer,
            back=back,
            out_of_fold=said,
            chosen=f"{variant}; {words}; target's transform {transform}",
            inner_rmse=float(np.sqrt(np.mean((said - self.target) ** 2))),
        )


PARSIMONY = 1.05


@dataclass(frozen=True)
class PartialLeastSquares(Baseline):
    """Partial least squares regression.

    For each preprocessing and transform, the fewest components whose error is within 5 % of the lowest (the last few
    percent are noise of the folds, and each further component fits some of it); then the best of these.
    """

    name: str = "PLSR"

    def usual(self) -> Sequence[Variant]:
        """See `Baseline`."""
        return FAST_VARIANTS if self.fast else PLSR_VARIANTS

    def choose(self, data: BaselineTraining) -> Regression:
        """See `Baseline`."""
        fewest = min(fold.training.size for repeat in data.folds for fold in repeat)
        most = max(1, min(15 if self.fast else 25, fewest - 1, data.spectra[data.variants[0]].shape[1]))
        best: tuple[float, Candidate, Transform, int, Floats] | None = None
        for variant, transform in product(data.variants, data.transforms):
            x, z = data.spectra[variant], forward(data.target, transform)

            def fit_predict(
                training: NDArray[np.intp],
                test: NDArray[np.intp],
                x: Floats = x,
                z: Floats = z,
                autoscale: bool = variant.autoscale,
            ) -> Floats:
                scaling = BandScaling.learn(x[training], autoscale)
                coefficients, mean = pls_coefficients(scaling(x[training]), z[training], most)
                return scaling(x[test]) @ coefficients + mean

            predicted = out_of_fold(data.folds, data.target.size, fit_predict, most)
            errors = np.sqrt([data.loss(predicted[..., k], transform) for k in range(most)])
            k = int(np.argmax(errors <= PARSIMONY * errors.min()))
            if best is None or errors[k] < best[0]:
                best = errors[k], variant, transform, k, predicted[..., k]
        assert best is not None
        _, variant, transform, k, predicted = best
        scaling = BandScaling.learn(data.spectra[variant], variant.autoscale)
        coefficients, mean = pls_coefficients(scaling(data.spectra[variant]), forward(data.target, transform), k + 1)
        weights = coefficients[:, k]
        words = f"{k + 1} component{'s' if k else ''}"
        return data.regression(variant, transform, predicted, lambda spectra: spectra @ weights + mean, words)


@dataclass(frozen=True)
class SupportVectors(Baseline):
    """Epsilon support vector regression with a radial kernel.

    The search goes from coarse to fine: the two best preprocessings by two plain settings, then a grid of C and gamma,
    then epsilon for the three best of them. gamma is per mean squared distance from the centre.
    """

    name: str = "SVR"

    def usual(self) -> Sequence[Variant]:
        """See `Baseline`."""
        return FAST_VARIANTS if self.fast else SVR_VARIANTS

    def choose(self, data: BaselineTraining) -> Regression:
        """See `Baseline`."""
        costs, gammas = ((10, 100, 1000), (0.03, 0.1, 0.3)) if self.fast else (COSTS, GAMMAS)
        epsilons, kept = ((0.1,), 1) if self.fast else (EPSILONS, 2)
        first = data.folds[:1]
        # Distances need no target; scaled once for all inner folds they save nine tenths of the time.
        scaled = {v: BandScaling.learn(data.spectra[v], v.autoscale)(data.spectra[v]) for v in data.variants}
        distances = {v: square_distances(rows, rows) for v, rows in scaled.items()}
        best: tuple[float, Candidate, Transform, _Setting, Floats] | None = None
        for transform in data.transforms:
            z = forward(data.target, transform)
            z = (z - z.mean()) / z.std()

            def judge(
                variant: Candidate,
                setting: _Setting,
                rounds: InnerFolds,
                z: Floats = z,
                transform: Transform = transform,
            ) -> tuple[float, Floats]:
                kernel = np.exp(-setting.gamma * distances[variant])

                def fit_predict(training: NDArray[np.intp], test: NDArray[np.intp]) -> Floats:
                    model = setting.fit(kernel[np.ix_(training, training)], z[training])
                    return np.asarray(model.predict(kernel[np.ix_(test, training)]))

                unscaled = forward(data.target, transform)
                predicted = out_of_fold(rounds, data.target.size, fit_predict) * unscaled.std() + unscaled.mean()
                return data.loss(predicted, transform), predicted

            plain = [_Setting(10.0, 0.3, 0.1), _Setting(100.0, 0.1, 0.1)]
            ranked = sorted(data.variants, key=lambda v: min(judge(v, setting, first)[0] for setting in plain))
            for variant in ranked[:kept]:
                grid = [_Setting(float(c), gamma, 0.1) for c, gamma in product(costs, gammas)]
                grid.sort(key=lambda setting: judge(variant, setting, first)[0])
                for coarse, epsilon in product(grid[:3], epsilons):
                    setting = _Setting(coarse.cost, coarse.gamma, epsilon)
                    error, predicted = judge(variant, setting, data.folds)
                    if best is None or error < best[0]:
                        best = error, variant, transform, setting, predicted
        assert best is not None
        _, variant, transform, setting, predicted = best
        z, rows = forward(data.target, transform), scaled[variant]
        mean, scale = float(z.mean()), float(z.std())
        model = setting.fit(np.exp(-setting.gamma * distances[variant]), (z - mean) / scale)

        def answer(spectra: Floats) -> Floats:
            kernel = np.exp(-setting.gamma * square_distances(spectra, rows))
            return np.asarray(model.predict(kernel)) * scale + mean

        words = f"C {setting.cost:g}, gamma {setting.gamma:g}, epsilon {setting.epsilon:g}"
        return data.regression(variant, transform, predicted, answer, words)


COSTS = (1, 6, 36, 216, 1296, 7776)
GAMMAS = (0.01, 0.03, 0.1, 0.3, 1.0)
EPSILONS = (0.02, 0.1, 0.25)


@dataclass(frozen=True)
class _Setting:
    cost: float
    gamma: float
    epsilon: float

    def fit(self, kernel: Floats, z: Floats) -> Any:
        return support_vectors(kernel, z, self.cost, self.epsilon)


@dataclass(frozen=True)
class RandomForest(Baseline):
    """Random forest: preprocessing first, then bands tried at a split, size of leaves and transform."""

    name: str = "random forest"

    def usual(self) -> Sequence[Variant]:
        """See `Baseline`."""
        return FOREST_VARIANTS[:2] if self.fast else FOREST_VARIANTS

    def choose(self, data: BaselineTraining) -> Regression:
        """See `Baseline`."""
        # Averages over trees vary little from one division to the next, and forests are slow.
        rounds, trees = data.folds[:1], 30 if self.fast else 60
        found: dict[tuple[Candidate, _Forest, Transform], tuple[float, Floats]] = {}

        def judge(variant: Candidate, forest: _Forest, transform: Transform) -> float:
            key = variant, forest, transform
            if key not in found:
                x, z = (
                    BandScaling.learn(data.spectra[variant], False)(data.spectra[variant]),
                    forward(data.target, transform),
                )
                x = x[:, :: further(variant, FOREST_BAND_STEP)]

                def fit_predict(training: NDArray[np.intp], test: NDArray[np.intp]) -> Floats:
                    return np.asarray(forest.fit(x[training], z[training], trees, data.seed).predict(x[test]))

                predicted = out_of_fold(rounds, data.target.size, fit_predict)
                found[key] = data.loss(predicted, transform), predicted
            return found[key][0]

        plain = _Forest("sqrt", 1)
        variant = min(data.variants, key=lambda v: judge(v, plain, "none"))
        shapes = (plain,) if self.fast else (plain, _Forest("sqrt", 3), _Forest(1 / 3, 1), _Forest(1 / 3, 3))
        # Splits hardly change under a square root.
        transforms = tuple(t for t in data.transforms if t != "sqrt")
        forest, transform = min(product(shapes, transforms), key=lambda choice: judge(variant, *choice))
        predicted = found[variant, forest, transform][1]
        x = BandScaling.learn(data.spectra[variant], False)(data.spectra[variant])
        step = further(variant, FOREST_BAND_STEP)
        x = x[:, ::step]
        model = forest.fit(x, forward(data.target, transform), 100 if self.fast else 400, data.seed)

        def answer(spectra: Floats) -> Floats:
            return np.asarray(model.predict(spectra[:, ::step]))

        words = (
            f"{'a third' if forest.tried == 1 / 3 else 'the square root'} of the bands tried, leaves from {forest.leaf}"
        )
        return data.regression(variant, transform, predicted, answer, words)


FOREST_BAND_STEP = 2


def further(variant: Candidate, step: int) -> int:
    """Give a further thinning of bands, which leaves those of a recipe of one's own as they are."""
    return 1 if isinstance(variant, OwnCandidate) else step


@dataclass(frozen=True)
class _Forest:
    tried: float | str
    leaf: int

    def fit(self, x: Floats, z: Floats, trees: int, seed: int) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        return RandomForestRegressor(
            trees, max_features=self.tried, min_samples_leaf=self.leaf, random_state=seed, n_jobs=1
        ).fit(x, z)


BASELINE_METHODS: dict[str, Callable[[bool], PartialLeastSquares | SupportVectors | RandomForest]] = {
    "PLSR": PartialLeastSquares,
    "SVR": SupportVectors,
    "random forest": RandomForest,
}
"""Name in tables -> what makes the method; its argument says whether it is to be fast."""
