"""Models that teach a student: what a method of the registry or any scikit-learn regressor answers, in one form."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.presets import Preprocessing
from ...edge.model.recipe import Blocks
from ...edge.model.scaling import Scaling
from ...edge.model.target import Transform, forward
from ..crossval.decision import DecideBy
from ..crossval.folds import InnerFolds
from ..crossval.rows import TrainingRows
from ..errors import TrainingDataError
from .baselines import BASELINE_METHODS
from .blocks import block_scaling, blocks_on
from .common import BackTransformation, inner_loss, repeats_for, transforms_for, with_recipe
from .further_baselines import FURTHER_BASELINES
from .stack import FAST_CONFIG, Config, Stack

M = TypeVar("M")
MOST_SAID = 200
"""Characters of what somebody else's code says of an error."""


class TeachingPredictor(Protocol):
    """A trained model that can teach."""

    @property
    def out_of_fold(self) -> Floats:
        """(repeats, n) in the target's unit: what an inner cross-validation said of each training row."""

    @property
    def transform(self) -> Transform:
        """Of the target, in whose space its residuals are the most even."""

    @property
    def chosen(self) -> str:
        """Its choices in words."""

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's unit, within the calibrated range, from (n, bands) reflectance."""


class Teacher(Protocol):
    """A way of making a model that can teach; see `validation.Method`."""

    def fit(self, rows: TrainingRows) -> TeachingPredictor:
        """Fit; see `validation.Method.fit`."""


@dataclass(frozen=True, eq=False)
class RegressorPredictor:
    """A trained scikit-learn regressor on preprocessing blocks; see `TeachingPredictor`."""

    blocks: Blocks
    wavelengths_nm: Floats
    splices_nm: tuple[float, ...]
    scaling: Scaling
    model: Any
    back: BackTransformation
    out_of_fold: Floats
    chosen: str

    @property
    def transform(self) -> Transform:
        """Space that it was fitted in."""
        return self.back.transform

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's unit from (n, bands) reflectance."""
        features = self.blocks.preprocess(reflectance, self.wavelengths_nm, self.splices_nm).features
        return self.back(_answers(self.model, self.scaling.apply(features)))


@dataclass(frozen=True)
class Regressor:
    """Any scikit-learn regressor as a method: fitted on preprocessing blocks, the target's transform by inner folds.

    Attributes:
        make: gives a fresh regressor with `fit(X, y)` and `predict(X)`.
        name: of it.
        fast: whether the inner cross-validation is done once only.
        decide_by: what its answers are chosen by.
        recipe: blocks in place of the usual ones.
    """

    make: Callable[[], Any]
    name: str
    fast: bool = False
    decide_by: DecideBy = "both"
    recipe: Preprocessing | None = None

    def fit(self, rows: TrainingRows) -> RegressorPredictor:
        """Fit; see `validation.Method.fit`."""
        target = rows.target
        blocks = self.recipe.blocks if self.recipe is not None else blocks_on(rows.wavelengths_nm)
        features = rows.features(blocks)
        scaling = block_scaling(features, blocks.sizes)
        scaled = scaling.apply(features)
        folds = rows.folds(repeats_for(len(rows), self.fast))
        tried = [(t, self._out_of_fold(scaled, forward(target, t), folds)) for t in transforms_for(target)]
        transform, predicted = min(tried, key=lambda one: inner_loss(one[1], target, one[0], self.decide_by))
        back = BackTransformation.learn(transform, target, predicted, self.decide_by)
        return RegressorPredictor(
            blocks=blocks,
            wavelengths_nm=rows.wavelengths_nm,
            splices_nm=rows.splices_nm,
            scaling=scaling,
            model=self._fitted(scaled, forward(target, transform)),
            back=back,
            out_of_fold=back(predicted),
            chosen=f"{self.name}; target's transform {transform}",
        )

    def _out_of_fold(self, rows: Floats, z: Floats, folds: InnerFolds) -> Floats:
        found = np.empty((len(folds), z.size))
        for r, repeat in enumerate(folds):
            for fold in repeat:
                found[r, fold.test] = _answers(self._fitted(rows[fold.training], z[fold.training]), rows[fold.test])
        return found

    def _fitted(self, rows: Floats, z: Floats) -> Any:
        try:
            with warnings.catch_warnings():
                # What a regressor warns of shows in its error.
                warnings.simplefilter("ignore")
                model = self.make()
                model.fit(rows, z)
        except Exception as error:
            # Somebody else's code: whatever it raises is said in one line.
            raise TrainingDataError(f"the teacher {self.name} cannot be fitted: {_in_one_line(error)}") from error
        return model


def _answers(model: Any, rows: Floats) -> Floats:
    name = type(model).__name__
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(model.predict(rows), dtype=np.float64).reshape(-1)
    except Exception as error:
        raise TrainingDataError(f"the teacher {name} does not answer: {_in_one_line(error)}") from error
    if found.shape != (len(rows),) or not np.isfinite(found).all():
        raise TrainingDataError(f"the teacher {name} does not give one finite number for each spectrum")
    return found


def _in_one_line(error: BaseException) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]} ..."


def find_teacher(name: str, fast: bool, decide_by: DecideBy = "both", recipe: Preprocessing | None = None) -> Teacher:
    """Find a teacher by its name: a method's, or `package.module:Class` of a scikit-learn regressor.

    Args:
        name: of it.
        fast: fewer settings.
        recipe: preprocessing in place of what it would try.

    Raises:
        TrainingDataError: there is none.
    """
    if ":" in name:
        return Regressor(_import_regressor(name), name.partition(":")[2], fast, decide_by, recipe)
    if name not in TEACHERS:
        known = ", ".join(TEACHERS)
        raise TrainingDataError(f"no teacher {name}; there are {known}, and any package.module:Class of a regressor")
    return with_recipe(deciding_by(TEACHERS[name](fast), decide_by), recipe)


def deciding_by(method: M, decide_by: DecideBy) -> M:
    """Give a method that chooses by what the user decides by; one that has no such choice as it is."""
    has_it = is_dataclass(method) and any(field.name == "decide_by" for field in fields(method))
    return replace(method, decide_by=decide_by) if has_it else method  # type: ignore[type-var,unused-ignore]


def _import_regressor(name: str) -> Callable[[], Any]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:
        # A module does what it likes when it is imported.
        raise TrainingDataError(f"the teacher {name} cannot be imported: {_in_one_line(error)}") from error
    if not (callable(found) and hasattr(found, "fit") and hasattr(found, "predict")):
        raise TrainingDataError(f"the teacher {name} is no regressor: it needs fit(X, y) and predict(X)")
    return found  # type: ignore[no-any-return]


def _teaching_stack(fast: bool) -> Stack:
    """Give a stack that no device has to carry: it keeps all blocks and all centres, however many rows there are."""
    config = FAST_CONFIG if fast else Config()
    return Stack(fast, config=replace(config, variants_of_many=config.variants, most_parameters=sys.maxsize))


TEACHERS: dict[str, Callable[[bool], Teacher]] = {Stack.key: _teaching_stack, **BASELINE_METHODS, **FURTHER_BASELINES}
"""Name -> what makes the teacher; its argument says whether it is to be fast."""
