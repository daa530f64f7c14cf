"""The default model on all samples, with what a cross-validation says of it: what `stibium train` does by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..converters.spectra.spectrum import Floats
from ..edge.model.scaling import Scaling
from ..edge.model.target import Transform, forward
from .applicability import fit_domain, fit_interval, fit_replicates
from .calibration_set import CalibrationSet, from_joined
from .crossval.cache import KeptFits, key_of, plan_digest
from .crossval.folds import Folds, repeated_folds
from .crossval.learning_curve import learning_curve
from .crossval.metrics import Metrics, measure
from .crossval.validation import Progress, Validation, cross_validate
from .detection import fit_detection
from .methods.baselines import PartialLeastSquares, RandomForest, SupportVectors
from .methods.default import DefaultModel, DefaultPredictor
from .methods.radial_network import RadialNetwork
from .samples import Joined, Prepared, Replicates, prepare, replicate_rows
from .training import Trained, as_stored, check_target, evenly_by_grade

OURS = DefaultModel().name
PARITY_ROWS = 500
"""Calibration rows that an export is held against."""


@dataclass(frozen=True)
class DefaultSettings:
    """What a training of the default model is asked for, besides its data.

    Attributes:
        replicates: "average" trains on one mean spectrum a sample, "each" on every measurement.
        folds, repeats: of the cross-validation.
        group_by: column of the assays that groups samples, kept for the record; "" for none.
        baselines: whether PLSR, SVR and random forest are held against the same folds.
        fast: fewer views and settings, one repeat less; for a first look.
        seed: of folds and inner folds.
        exclude_above: samples above this were left out; kept for the record.
    """

    replicates: Replicates = "average"
    folds: int = 5
    repeats: int = 2
    group_by: str = ""
    baselines: bool = True
    fast: bool = False
    seed: int = 42
    exclude_above: float | None = None


@dataclass(frozen=True, eq=False)
class RadialModel:
    """A trained default model; see `training.TrainedModel`.

    Attributes:
        network: from features to the unit.
        transform: space that it answers in here, and on the device.
        chosen: its choices in words.
    """

    network: RadialNetwork
    transform: Transform
    chosen: str
    method: ClassVar[str] = "default"
    file_name: ClassVar[str] = "model.npz"

    @property
    def parameters(self) -> int:
        """Numbers that it holds."""
        return self.network.parameters

    def answer(self, features: Floats, scaling: Scaling) -> Floats:
        """Answer (n,) in the transform's space for (n, features) that are not scaled: this network needs no scaling."""
        return forward(self.network.predict(features), self.transform)

    def save(self, path: Path) -> None:
        """Write it down."""
        with path.open("wb") as file:
            np.savez_compressed(file, **self.network.to_arrays())

    def weights_sha256(self) -> str:
        """Hash of all its numbers."""
        digest = hashlib.sha256()
        for name, array in sorted(self.network.to_arrays().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def read_radial_network(path: Path) -> RadialNetwork:
    """Read what `RadialModel.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return RadialNetwork.from_arrays(dict(arrays))


def compare(
    joined: Joined,
    settings: DefaultSettings,
    groups: Mapping[str, Hashable] | None = None,
    kept: KeptFits | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Validation:
    """Cross-validate the default model and, if asked for, the baselines on the same folds.

    Args:
        joined: spectra and values.
        settings: what is asked for.
        groups: sample -> site or the like, never on both sides of a fold.
        kept: where fits of an interrupted run are, and where each is written as soon as it is done.
        progress: called after each fit.

    Raises:
        TrainingDataError: data that cannot be divided so, or that no model can be made from.
    """
    check_target(joined, "none")
    data = from_joined(joined, settings.replicates, groups)
    plan = _plan(data, settings)
    methods = [DefaultModel(settings.fast)]
    if settings.baselines:
        methods += [make(settings.fast) for make in (PartialLeastSquares, SupportVectors, RandomForest)]  # type: ignore[misc]
    kept = kept or KeptFits(None)
    key = key_of(f"{joined.element} {plan_digest(plan, joined.sha256)}", data, settings.fast)

    def keep(done: Progress) -> None:
        kept.keep(key, done.result.repeat, done.result)
        progress(done)

    known = kept.known(key, tuple(range(len(plan.repeats))))
    return cross_validate(methods, data, plan, progress=keep, known=known)


def _plan(data: CalibrationSet, settings: DefaultSettings) -> Folds:
    return repeated_folds(
        data.samples, data.groups, n_folds=settings.folds, repeats=settings.repeats, seed=settings.seed
    )


def train_default(
    joined: Joined,
    settings: DefaultSettings,
    comparison: Validation,
    groups: Mapping[str, Hashable] | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    curve: bool = True,
) -> Trained:
    """Train the default model on all samples.

    Interval and limit of detection come from `comparison`: from what was said of each sample by models that had not
    seen it. A device is often given single measurements, which scatter more than their mean: each is taken to be as
    far off as its sample's mean was, plus how far the final model's answer for it lies from that for the mean.

    Args:
        joined, settings, groups: as they were for `compare`.
        comparison: what `compare` gave.
        progress: called with fits done and of how many, for the learning curve.
        curve: whether there is to be one; it takes some twenty fits.

    Raises:
        TrainingDataError: data that no model can be made from.
    """
    data = from_joined(joined, settings.replicates, groups)
    learning = asdict(learning_curve(data, _plan(data, settings), progress)) if curve else None
    keys = data.samples if data.groups is None else data.groups
    predictor = DefaultModel(settings.fast).fit(
        data.reflectance,
        data.wavelengths_nm,
        data.target,
        splices_nm=data.splices_nm,
        groups=keys if len(set(keys)) > 1 else data.samples,
        seed=settings.seed,
    )
    model = RadialModel(predictor.network, predictor.transform, predictor.chosen)
    views, transform, scaling = predictor.views, predictor.transform, as_stored(predictor.scaling)
    rows = prepare(replicate_rows(joined.spectra, settings.replicates), views)
    single = prepare(joined.spectra, views)
    outputs, single_outputs = model.answer(rows.features, scaling), model.answer(single.features, scaling)
    domain = fit_domain(single.reflectance, single.reflectance_nm, single.samples, settings.seed)
    unseen = _unseen(comparison, transform)
    interval = _interval(unseen, outputs, rows, single_outputs, single, domain.difficulty, joined, transform)
    measured = np.array([joined.target[name] for name in rows.samples])
    parity = evenly_by_grade(measured, PARITY_ROWS)
    return Trained(
        model=model,
        settings=settings,
        joined=joined,
        recipe=views,
        transform=transform,
        scaling=scaling,
        calibrated_range=(float(data.target.min()), float(data.target.max())),
        interval=interval,
        domain=domain.stats,
        detection=_detection(comparison),
        replicates=fit_replicates(single_outputs, single.samples),
        training=tuple(joined.target),
        validation=(),
        metrics=_metrics(comparison, predictor, rows, measured),
        calibration_features=scaling.apply(rows.features[parity]).astype(np.float32),
        held_out=tuple(rows.rows[i] for i in parity),
        held_out_measured=measured[parity],
        held_out_predicted=predictor.network.predict(rows.features[parity]),
        refused=rows.refused,
        unseen_predicted=_said(comparison),
        unseen_measured=np.array(comparison.measured),
        comparison=comparison,
        record={"chosen": predictor.chosen, **asdict(settings), "learning": learning},
    )


def _unseen(comparison: Validation, transform: Transform) -> dict[str, Floats]:
    """Give sample -> (repeats,) what models that had not seen it said, in the transform's space."""
    found: dict[str, list[float]] = {}
    for repeat in comparison[OURS].predicted:
        for name, value in zip(comparison.samples, repeat, strict=True):
            if value is not None:
                found.setdefault(name, []).append(value)
    return {name: forward(np.array(values), transform) for name, values in found.items()}


def _interval(
    unseen: Mapping[str, Floats],
    outputs: Floats,
    rows: Prepared,
    single_outputs: Floats,
    single: Prepared,
    difficulty: Floats,
    joined: Joined,
    transform: Transform,
) -> Any:
    of_mean: dict[str, list[float]] = {}
    for name, output in zip(rows.samples, outputs, strict=True):
        of_mean.setdefault(name, []).append(float(output))
    predicted, samples, distances = [], [], []
    for name, output, far in zip(single.samples, single_outputs, difficulty, strict=True):
        apart = float(output) - float(np.mean(of_mean[name])) if name in of_mean else 0.0
        for said in unseen.get(name, ()):
            predicted.append(said + apart)
            samples.append(name)
            distances.append(far)
    measured = forward(np.array([joined.target[name] for name in samples]), transform)
    return fit_interval(predicted, measured, np.array(distances), samples, residuals_of="cross-validated predictions")


def _said(comparison: Validation) -> Floats:
    """Give (repeats, n) predictions of rows that had been left out, not a number where a repeat left none out."""
    return np.array([[np.nan if v is None else v for v in repeat] for repeat in comparison[OURS].predicted])


def _detection(comparison: Validation) -> Any:
    said = _said(comparison)
    tested = np.isfinite(said).any(axis=0)
    return fit_detection(np.nanmean(said[:, tested], axis=0), np.array(comparison.measured)[tested])


def _metrics(
    comparison: Validation, predictor: DefaultPredictor, rows: Prepared, measured: Floats
) -> dict[str, Metrics]:
    said = _said(comparison)
    tested = np.isfinite(said)
    known = np.broadcast_to(np.array(comparison.measured), said.shape)
    transform = predictor.transform
    metrics = {"training": measure(predictor.network.predict(rows.features), measured)}
    # All repeats together: each sample counts once a repeat.
    n = int(tested.any(axis=0).sum())
    metrics["cross-validation"] = replace(measure(said[tested], known[tested]), n=n)
    if transform != "none":
        apart = measure(forward(said[tested], transform), forward(known[tested], transform))
        metrics[f"cross-validation ({transform})"] = replace(apart, n=n)
    return metrics
