"""A fitted scikit-learn pipeline -> a bundle that a device answers with, interval and applicability domain included."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn import svm
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline

from ..converters.models.parity import check_parity
from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.errors import PreprocessError
from ..edge.loaded_model import Model, load_model
from ..edge.model.bundle import write_bundle
from ..edge.model.grid import Grid
from ..edge.model.recipe import Blocks, Recipe
from ..edge.model.steps import Resample, Step
from ..edge.units import find_unit, unit_names
from .crossval.rows import TrainingRows
from .errors import TrainingDataError
from .estimators import SVR, StepTransformer
from .export import export_run
from .methods.blocks import block_scaling
from .methods.common import BackTransformation
from .methods.kernel_members import Projection
from .methods.linear import linear_network
from .methods.mobilenetv2 import DistilledModel, MobileNetV2
from .methods.radial_network import Branch, RadialNetwork
from .methods.stack import Stack, StackModel
from .network_estimators import MobileNetV2Regressor, StackRegressor
from .run import load_run, save_run
from .samples import Samples
from .training import TrainingOptions, train

LINEAR_WITHIN = 1e-8
"""Relative: how far from a weight a band a regression may be that is called linear."""
SAME_WITHIN = 1e-6
"""Relative to the spread of the values: how far a network may be from the regressor that it stands for."""


@dataclass(frozen=True)
class PipelineMethod(Stack):
    """A pipeline of our steps and a regressor that is a network of radial units; it is fitted anew in each fold."""

    pipeline: Any = field(default=None, compare=False)
    name: ClassVar[str] = "pipeline"
    about: ClassVar[str] = "a pipeline of preprocessing steps and a regressor"

    def for_learning_curve(self) -> None:  # type: ignore[override]
        """None: a pipeline is fitted as it is."""

    def fit(self, rows: TrainingRows) -> StackModel:
        """Fit a clone; see `Method.fit`.

        Raises:
            TrainingDataError: a step or a regressor that a device does not have, or other wavelengths.
        """
        fitted, blocks, features = _fit(self.pipeline, rows)
        network = radial_network_of(fitted[-1], features, rows.target)
        return StackModel(
            recipe=blocks,
            wavelengths_nm=rows.wavelengths_nm,
            splices_nm=rows.splices_nm,
            network=network,
            scaling=block_scaling(features, blocks.sizes),
            out_of_fold=np.full((1, len(features)), np.nan),
            transform=network.backs[int(network.shares.argmax())].transform,
            chosen=repr(self.pipeline),
        )


@dataclass(frozen=True)
class DistilledPipelineMethod(MobileNetV2):
    """The same with a `MobileNetV2Regressor` at its end."""

    pipeline: Any = field(default=None, compare=False)
    name: ClassVar[str] = PipelineMethod.name
    about: ClassVar[str] = PipelineMethod.about

    def for_learning_curve(self) -> None:  # type: ignore[override]
        """None: a pipeline is fitted as it is."""

    def fit(self, rows: TrainingRows) -> DistilledModel:
        """Fit a clone; see `PipelineMethod.fit`."""
        fitted, blocks, _ = _fit(self.pipeline, rows)
        network: MobileNetV2Regressor = fitted[-1]
        return DistilledModel(
            recipe=blocks,
            wavelengths_nm=rows.wavelengths_nm,
            splices_nm=rows.splices_nm,
            scaling=network.scaling_,
            transform=network.transform_,
            calibrated_range=network.range_,
            taught=network.distilled_.taught,
            representative=network.distilled_.representative,
            quantisation=network.distilled_.quantisation,
            runtime=network.distilled_.runtime,
            teacher=repr(self.pipeline),
        )


def _fit(pipeline: Any, rows: TrainingRows) -> tuple[Pipeline, Blocks, Floats]:
    """Fit a clone: the pipeline, its steps as a device has them, and the features of the rows."""
    fitted = clone(pipeline).fit(rows.reflectance, rows.target)
    return fitted, blocks_of(fitted, rows.wavelengths_nm), np.asarray(fitted[:-1].transform(rows.reflectance))


def blocks_of(fitted: Pipeline, wavelengths_nm: Floats) -> Blocks:
    """Give a fitted pipeline's transformers as preprocessing blocks: one, or those of a `FeatureUnion`.

    Args:
        fitted: all but its last step are transformers of `estimators`; the last of them may be a `FeatureUnion` of such
            or of pipelines of such.
        wavelengths_nm: (bands,) of X, evenly spaced.

    Raises:
        TrainingDataError: it has another step, or was fitted on other wavelengths.
    """
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    try:
        step_nm = Grid(nm).uniform_step_nm()
    except PreprocessError as error:
        raise TrainingDataError(f"the wavelengths are not evenly spaced ({error}); resample them first") from error
    begun: tuple[Step, ...] = (Resample(float(nm[0]), float(nm[-1]), step_nm),)
    *before, last = fitted.steps[:-1] or [("", Pipeline([]))]
    if not isinstance(last[1], FeatureUnion):
        before, last = [*before, last], ("", None)
    common, at_nm = _steps_of(before, nm)
    if last[1] is None:
        return Blocks((Recipe((*begun, *common)),))
    if last[1].transformer_weights:
        raise TrainingDataError(f"{last[0]}: a device has no weights for blocks; leave transformer_weights away")
    parts = [_steps_of([one], at_nm)[0] for one in last[1].transformer_list]
    return Blocks(tuple(Recipe((*begun, *common, *part)) for part in parts))


def _steps_of(transformers: Sequence[tuple[str, Any]], wavelengths_nm: Floats) -> tuple[list[Step], Floats]:
    """Give named transformers, or pipelines of such, as a recipe's steps, and the wavelengths of what they give."""
    found: list[Step] = []
    expected = wavelengths_nm
    for name, transformer in transformers:
        if isinstance(transformer, Pipeline):
            more, expected = _steps_of(transformer.steps, expected)
            found += more
            continue
        if not isinstance(transformer, StepTransformer):
            raise TrainingDataError(
                f"{name} ({type(transformer).__name__}) is no step that a device has; take those of "
                "stibium.train.estimators"
            )
        if transformer.least:
            raise TrainingDataError(f"{name}: a device refuses what is not above zero; leave `least` at 0")
        nm = transformer.grid_.wavelengths_nm
        if nm.shape != expected.shape or not np.allclose(nm, expected, rtol=0, atol=1e-6):
            raise TrainingDataError(f"{name} was given other wavelengths than its input has; name them, in nm")
        expected = transformer.out_nm_
        found.append(transformer.step())
    return found, expected


def radial_network_of(regressor: Any, features: Floats, target: Floats) -> RadialNetwork:
    """Give a fitted regressor as a network of radial units: a stack, support vectors, or any that is linear.

    Args:
        regressor: fitted to `features` and `target`.
        features: (n, features).
        target: (n,).

    Raises:
        TrainingDataError: a device has no such network.
    """
    if isinstance(regressor, StackRegressor):
        return regressor.network_
    back = BackTransformation("none", float(target.min()), float(target.max()), 0.0, 0.0)
    if isinstance(regressor, SVR):
        scale, spread = regressor.scaling_.scale, regressor.spread_
        found = regressor.model_
        return _of_support_vectors(
            Projection(1 / scale, -regressor.scaling_.offset / scale, np.ones((1, scale.size))),
            regressor.rows_[found.support_],
            found.dual_coef_[0] * spread,
            float(found.intercept_[0]) * spread + regressor.mean_,
            regressor.gamma_,
            back,
        )
    if isinstance(regressor, svm.SVR) and regressor.kernel == "rbf":
        bands = features.shape[1]
        by_name = {"scale": 1.0 / (bands * features.var()), "auto": 1.0 / bands}
        network = _of_support_vectors(
            Projection(np.ones(bands), np.zeros(bands), np.ones((1, bands))),
            regressor.support_vectors_,
            regressor.dual_coef_[0],
            float(regressor.intercept_[0]),
            by_name.get(regressor.gamma, regressor.gamma),
            back,
        )
        # It is somebody else's class: what it says is believed, not what it is called.
        said = np.clip(np.ravel(regressor.predict(features)), back.low, back.high)
        if np.abs(network.predict(features) - said).max() > SAME_WITHIN * float(np.ptp(target)):
            raise TrainingDataError(f"{type(regressor).__name__} is no support vector machine that a device has")
        return network
    return linear_network(*linear_parts(regressor), back)


def _of_support_vectors(
    projection: Projection, centres: Floats, weights: Floats, intercept: float, gamma: float, back: BackTransformation
) -> RadialNetwork:
    branch = Branch(projection, centres, weights[None, None, :, None], np.zeros((projection.weights.size, 1)))
    return RadialNetwork((branch,), (float(gamma),), np.array([intercept]), (back,), np.ones(1))


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
            f"{type(regressor).__name__} is neither linear nor support vectors, and a device has no network for it: "
            "distil it, `stibium train --teacher package.module:Class`"
        )
    return weights, intercept


def _numbers(name: str, given: ArrayLike) -> Floats:
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise TrainingDataError(f"{name} is not numbers; leave rows without a value away") from None


def _contents(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Give each sample's laboratory value. Raises TrainingDataError: none, below zero, or two that differ."""
    found: dict[str, float] = {}
    for name, value in zip(names, values, strict=True):
        if not 0 <= value < np.inf:
            raise TrainingDataError(f"{name}: {value:g} is no content; leave rows without a value away")
        if found.setdefault(name, value) != value:
            raise TrainingDataError(f"{name}: two values, {found[name]:g} and {value:g}; give all its rows one")
    return found


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
    folds: int = 5,
    repeats: int = 2,
    seed: int = 42,
) -> Model:
    """Make a bundle of a pipeline.

    Interval, applicability domain and detection come from a cross-validation of the whole pipeline on X and y, as they
    do in `stibium train`; the model itself is fitted to all of them.

    Args:
        pipeline: transformers of `stibium.train.estimators` (the last may be a `FeatureUnion` of such), then a linear
            regression (PLSR, ridge, ...), support vectors with a radial kernel, a `StackRegressor` or a
            `MobileNetV2Regressor`. A clone of it is fitted.
        X: (n, bands) reflectance, as a fraction.
        y: (n,) laboratory values, in `unit`.
        out: bundle to write.
        wavelengths_nm: (bands,) of X, ascending, evenly spaced.
        element, unit: of y, such as "Sb" and "ppm" (one of `edge.units`, however it is written).
        names: n sample names; rows of one sample are never parted and have one value. () names each row.
        folds, repeats: of the cross-validation; the pipeline is fitted once for each fold, and once more.
        seed: of the folds.

    Returns:
        The model, loaded from `out`.

    Raises:
        TrainingDataError: a pipeline that a device cannot have, or data that nothing can be made of.
    """
    if not isinstance(pipeline, Pipeline):
        raise TrainingDataError(f"{type(pipeline).__name__} is no pipeline: put it in one, make_pipeline(...)")
    if not Path(out).absolute().parent.is_dir():
        raise TrainingDataError(f"{out}: there is no such folder to write into")
    if Path(out).is_dir():
        raise TrainingDataError(f"{out}: is a folder; name a file in it")
    if (of_unit := find_unit(unit)) is None:
        raise TrainingDataError(f"there is no unit {unit!r}; there are {unit_names()}")
    if not element.strip():
        raise TrainingDataError('y is of which element? Name it, such as "Sb"')
    rows, nm, values = (
        _numbers(name, given) for name, given in (("X", X), ("wavelengths_nm", wavelengths_nm), ("y", y))
    )
    if rows.ndim != 2 or values.shape != rows.shape[:1] or len(names) not in (0, len(rows)):
        raise TrainingDataError(
            f"X is {rows.shape}, y {values.shape}, {len(names)} names: a row, a value and a name for each spectrum"
        )
    known = tuple(names) or tuple(f"row {i + 1}" for i in range(len(rows)))
    spectra = tuple(Spectrum(nm, row, "reflectance", name, source=name) for row, name in zip(rows, known, strict=True))
    samples = Samples(spectra, _contents(known, values.tolist()), element, of_unit.name)
    distilled = isinstance(pipeline[-1], MobileNetV2Regressor)
    kind = DistilledPipelineMethod if distilled else PipelineMethod
    method = kind(pipeline=pipeline, folds=folds, repeats=repeats)
    trained = train(samples, method, TrainingOptions(baselines=False, seed=seed), curve=False)
    with tempfile.TemporaryDirectory(prefix="stibium-pipeline-") as folder:
        save_run(folder, trained)
        # A pipeline is carried as it is; `stibium train` chooses among formats.
        form = trained.model.quantisation if isinstance(trained.model, DistilledModel) else "float32"
        exported = export_run(load_run(folder), (form,))[form]
    check_parity(exported.parity, form, method.formats)
    write_bundle(out, exported.bundle)
    return load_model(out)
