"""A fitted scikit-learn pipeline -> a bundle that a device answers with, interval and applicability domain included."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ..converters.models.parity import check_parity
from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.errors import PreprocessError
from ..edge.loaded_model import Model, load_model
from ..edge.model.bundle import write_bundle
from ..edge.model.grid import Grid
from ..edge.model.recipe import Recipe
from ..edge.model.steps import Resample
from .crossval.folds import inner_folds
from .errors import TrainingDataError
from .estimators import StepTransformer
from .export import export_run
from .methods.common import BackTransformation, check_training
from .methods.linear import Plsr, linear_model
from .methods.stack import StackModel
from .run import load_run, save_run
from .samples import Samples
from .training import TrainingOptions, train

LINEAR_WITHIN = 1e-8
"""Relative: how far from a weight a band a regression may be that is called linear."""
FORMAT = "float32"
"""A pipeline is carried as it is; `stibium train` chooses among formats."""


@dataclass(frozen=True)
class PipelineMethod(Plsr):
    """A pipeline of our preprocessing steps and a linear regression, as a method; it is fitted anew in each fold."""

    pipeline: Any = field(default=None, compare=False)
    name: ClassVar[str] = "pipeline"
    about: ClassVar[str] = "a pipeline of preprocessing steps and a linear regression"

    def fit(
        self,
        reflectance: Floats,
        wavelengths_nm: Floats,
        target: Floats,
        *,
        splices_nm: tuple[float, ...] = (),
        groups: Sequence[Hashable] | None = None,
        seed: int = 0,
    ) -> StackModel:
        """Fit a clone; see `Method.fit`.

        Raises:
            TrainingDataError: a step that a device does not have, other wavelengths, or a regression not linear.
        """
        rows, nm, values = (np.asarray(a, dtype=np.float64) for a in (reflectance, wavelengths_nm, target))
        check_training(rows, nm, values)
        fitted = clone(self.pipeline).fit(rows, values)
        weights, intercept = linear_parts(fitted[-1])
        predicted = np.empty(values.size)
        for fold in inner_folds(values.size, groups, repeats=1, seed=seed)[0]:
            part = clone(self.pipeline).fit(rows[fold.training], values[fold.training])
            predicted[fold.test] = np.ravel(part.predict(rows[fold.test]))
        back = BackTransformation.learn("none", values, predicted)
        recipe = recipe_of(fitted, nm)
        return linear_model(
            recipe, nm, splices_nm, rows, weights, intercept, back, back(predicted)[None], repr(self.pipeline)
        )


def recipe_of(fitted: Pipeline, wavelengths_nm: Floats) -> Recipe:
    """Give a fitted pipeline's transformers as a recipe.

    Args:
        fitted: all but its last step are transformers of `estimators`.
        wavelengths_nm: (bands,) of X, evenly spaced.

    Raises:
        TrainingDataError: it has another step, or was fitted on other wavelengths.
    """
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    try:
        step_nm = Grid(nm).uniform_step_nm()
    except PreprocessError as error:
        raise TrainingDataError(f"the wavelengths are not evenly spaced ({error}); resample them first") from error
    steps: list[Any] = [Resample(float(nm[0]), float(nm[-1]), step_nm)]
    expected = nm
    for name, transformer in fitted.steps[:-1]:
        if not isinstance(transformer, StepTransformer):
            raise TrainingDataError(
                f"{name} ({type(transformer).__name__}) is no step that a device has; take those of "
                "stibium.train.estimators"
            )
        if transformer.least:
            raise TrainingDataError(f"{name}: a device refuses what is not above zero; leave `least` at 0")
        if not np.allclose(transformer.grid_.wavelengths_nm, expected, rtol=0, atol=1e-6):
            raise TrainingDataError(f"{name} was given other wavelengths than its input has; name them, in nm")
        expected = transformer.out_nm_
        steps.append(transformer.step())
    return Recipe(tuple(steps))


def linear_parts(regressor: Any) -> tuple[Floats, float]:
    """Give the weights (bands,) and the intercept of a fitted linear regression, whatever its class calls them.

    Raises:
        TrainingDataError: it is not linear.
    """
    bands = int(regressor.n_features_in_)
    intercept = float(np.ravel(regressor.predict(np.zeros((1, bands))))[0])
    weights = np.ravel(regressor.predict(np.eye(bands))) - intercept
    rng = np.random.default_rng(0)
    tried = rng.normal(size=(5, bands))
    said, linear = np.ravel(regressor.predict(tried)), tried @ weights + intercept
    if not np.allclose(said, linear, rtol=LINEAR_WITHIN, atol=LINEAR_WITHIN * max(1.0, float(np.abs(said).max()))):
        raise TrainingDataError(
            f"{type(regressor).__name__} is not linear, and a device has no network for it: distil it, "
            "`stibium train --teacher package.module:Class`"
        )
    return weights, intercept


def export_pipeline(
    pipeline: Pipeline,
    X: ArrayLike,
    y: ArrayLike,
    out: str | os.PathLike[str],
    *,
    wavelengths_nm: ArrayLike,
    element: str,
    unit: str,
    names: Sequence[str] = (),
    seed: int = 42,
) -> Model:
    """Make a bundle of a pipeline.

    Interval, applicability domain and detection come from a cross-validation of the whole pipeline on X and y, as they
    do in `stibium train`; the model itself is fitted to all of them.

    Args:
        pipeline: transformers of `stibium.train.estimators`, then a linear regression (PLSR, ridge, ...); it is cloned.
        X: (n, bands) reflectance, as a fraction.
        y: (n,) laboratory values, in `unit`.
        out: bundle to write.
        wavelengths_nm: (bands,) of X, ascending, evenly spaced.
        element, unit: of y, such as "Sb" and "ppm".
        names: n sample names; rows of one sample are never parted. () names each row.
        seed: of the folds.

    Returns:
        The model, loaded from `out`.

    Raises:
        TrainingDataError: a pipeline that a device cannot have, or data that nothing can be made of.
    """
    rows, nm = np.asarray(X, dtype=np.float64), np.asarray(wavelengths_nm, dtype=np.float64)
    values = np.asarray(y, dtype=np.float64)
    known = tuple(names) or tuple(f"row {i + 1}" for i in range(len(rows)))
    spectra = tuple(Spectrum(nm, row, "reflectance", name) for row, name in zip(rows, known, strict=True))
    samples = Samples(spectra, dict(zip(known, values.tolist(), strict=True)), element, unit)
    method = PipelineMethod(pipeline=pipeline)
    trained = train(samples, method, TrainingOptions(baselines=False, seed=seed), curve=False)
    with tempfile.TemporaryDirectory(prefix="stibium-pipeline-") as folder:
        save_run(folder, trained)
        exported = export_run(load_run(folder), (FORMAT,))[FORMAT]
    check_parity(exported.parity, FORMAT, PipelineMethod.formats)
    write_bundle(out, exported.bundle)
    return load_model(out)
