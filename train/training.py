"""From joined spectra and assays to a trained model with its statistics, and the published network's way there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.model.applicability import ApplicabilityDomain, assess
from ..edge.model.estimate import Refusal
from ..edge.model.interval import IntervalStats
from ..edge.model.recipe import RECIPES, Blocks, Recipe
from ..edge.model.replicates import ReplicateStats
from ..edge.model.scaling import Scaling, fit_scaling
from ..edge.model.target import DetectionStats, Transform, forward, inverse
from .applicability import fit_domain, fit_interval, fit_replicates
from .assays.censored import observe
from .bounds import Bounds, divide_bounds
from .crossval.metrics import Metrics, measure, no_better_than_the_mean
from .detection import fit_detection, tells_no_grade
from .errors import TrainingDataError
from .methods.fit import BoundRows, Epoch, Fitted, fit, predict, split_samples
from .methods.fit import Protocol as TrainingProtocol
from .methods.network import NetworkConfig
from .samples import Joined, Prepared, Replicates, prepare, replicate_rows

if TYPE_CHECKING:
    from .crossval.validation import Validation
    from .default_training import DefaultSettings


FEWEST_SAMPLES = 10
CALIBRATION_ROWS = 500
"""Training rows kept to calibrate a quantised model's ranges with."""


@dataclass(frozen=True)
class Settings:
    """What a training is asked for, besides its data.

    Attributes:
        recipe: preprocessing, ending in a spectrogram.
        transform: of the target; the network answers in its space. Back from log10 and sqrt an answer is a median
            rather than a mean: no correction of that bias is made.
        replicates: "average" trains on one mean spectrum a sample, "each" on every measurement.
        network, protocol: see there.
        exclude_above: samples above this were left out; no bound above it is trained on.
        bounds: "likelihood" trains on two thirds of the censored samples too, by the censored likelihood; "check" on
            none.
    """

    recipe: Recipe = RECIPES["paper"]
    transform: Transform = "log10"
    replicates: Replicates = "average"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    protocol: TrainingProtocol = field(default_factory=TrainingProtocol)
    exclude_above: float | None = None
    bounds: Bounds = "likelihood"


class TrainedModel(Protocol):
    """What a trained network can do, whichever it is."""

    method: ClassVar[str]
    """The name that `stibium train --method` knows it by."""
    file_name: ClassVar[str]
    """Of its file in a run directory."""

    @property
    def parameters(self) -> int:
        """Numbers that it holds."""

    def answer(self, features: Floats, scaling: Scaling) -> Floats:
        """Answer (n,) in the transform's space, for (n, ...) features that are not scaled yet."""

    def save(self, path: Path) -> None:
        """Write it down."""

    def weights_sha256(self) -> str:
        """Hash of its weights."""


@dataclass(frozen=True, eq=False)
class KerasModel:
    """The published network, trained; see `TrainedModel`."""

    fitted: Fitted
    method: ClassVar[str] = "published"
    file_name: ClassVar[str] = "model.keras"

    @property
    def parameters(self) -> int:
        """Numbers that it holds."""
        return int(self.fitted.model.count_params())

    def answer(self, features: Floats, scaling: Scaling) -> Floats:
        """Answer (n,) in the transform's space, for (n, frames, bins, 1) features that are not scaled yet."""
        return predict(self.fitted.model, scaling.apply(features).astype(np.float32))

    def save(self, path: Path) -> None:
        """Write it down."""
        self.fitted.model.save(path)

    def weights_sha256(self) -> str:
        """Hash of its weights."""
        digest = hashlib.sha256()
        for weights in self.fitted.model.get_weights():
            digest.update(np.ascontiguousarray(weights).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model and all that a bundle says about it.

    Attributes:
        model: the network.
        settings, joined: what it came from.
        recipe: preprocessing; its features are the network's input.
        transform: space that the network answers in.
        scaling: of the features, fitted to the training rows.
        calibrated_range: lowest and highest training value, in the element's unit.
        domain: of the training samples' single measurements, which scatter more than their means.
        interval, detection, replicates: from predictions of samples that the model had not seen.
        training: names of the samples.
        validation: names of those that were held back from it; () where all are trained on and a cross-validation
            says how good it is.
        metrics: "training", and "validation" or "cross-validation", in the unit; "... (log10)" in the transform's space
            if there is one; answers kept within the calibrated range.
        calibration_features: up to 500 scaled training rows, float32.
        held_out: rows that an export is held against: the validation rows, or calibration rows where there are none.
        held_out_measured, held_out_predicted: (rows,) in the unit.
        refused: rows that the recipe could not take.
        unseen_predicted: (repeats, n) what was said of samples that had been left out, in the unit; not a number where
            a repeat left one in.
        unseen_measured: (n,) the laboratory's values for these.
        comparison: the model and baselines on the same folds, if that was asked for.
        bounds_trained_on: names of the censored samples that were trained on, as bounds.
        record: what a run says of the way it was made, as JSON values.
    """

    model: TrainedModel
    settings: Settings | DefaultSettings
    joined: Joined
    recipe: Recipe | Blocks
    transform: Transform
    scaling: Scaling
    calibrated_range: tuple[float, float]
    interval: IntervalStats | None
    domain: ApplicabilityDomain
    detection: DetectionStats | None
    replicates: ReplicateStats | None
    training: tuple[str, ...]
    validation: tuple[str, ...]
    metrics: dict[str, Metrics]
    calibration_features: NDArray[np.float32]
    held_out: tuple[Spectrum, ...]
    held_out_measured: Floats
    held_out_predicted: Floats
    refused: tuple[Refusal, ...]
    unseen_predicted: Floats
    unseen_measured: Floats
    comparison: Validation | None = None
    bounds_trained_on: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)

    def answer(self, features: Floats) -> Floats:
        """Answer (n,) in the transform's space, for features as the recipe gives them."""
        return self.model.answer(features, self.scaling)

    def warnings(self) -> list[str]:
        """Say in lines what makes this model of little use; nothing if it is of use."""
        highest, unit = self.calibrated_range[1], self.joined.unit
        found = (no_better_than_the_mean(self.metrics), tells_no_grade(self.detection, highest, unit))
        return [line for line in found if line]


def check_target(joined: Joined, transform: Transform) -> None:
    """Refuse targets that no model can be trained on.

    Raises:
        TrainingDataError: too few samples, all the same value, or a value that the transform cannot take.
    """
    target = joined.target
    if len(target) < FEWEST_SAMPLES:
        raise TrainingDataError(
            f"{len(target)} {'sample has' if len(target) == 1 else 'samples have'} both a spectrum and a value for "
            f"{joined.element}; at least {FEWEST_SAMPLES} are needed, and a hundred for a model worth using"
        )
    lowest = min(target, key=target.__getitem__)
    if max(target.values()) == target[lowest]:
        raise TrainingDataError(
            f"every sample has {joined.element} {target[lowest]:g} {joined.unit}; there is nothing to learn"
        )
    if transform == "log10" and target[lowest] <= 0:
        raise TrainingDataError(
            f"sample {lowest} has {joined.element} {target[lowest]:g} {joined.unit}, which has no logarithm; write it "
            "as below its detection limit, such as <0.02, or use --transform sqrt"
        )


def train_model(
    joined: Joined,
    settings: Settings,
    progress: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
) -> Trained:
    """Train the published network.

    Args:
        joined: spectra and values.
        settings: what is asked for.
        progress: called after each epoch.
        checkpoint: see `fit.fit`.

    Raises:
        TrainingDataError: data that no model can be trained on; the line says why.
    """
    check_target(joined, settings.transform)
    training, validation = split_samples(list(joined.target), settings.protocol)
    in_training = set(training)
    rows = replicate_rows(joined.spectra, settings.replicates)
    fitting = prepare([row for row in rows if row.sample_id in in_training], settings.recipe)
    holding = prepare([row for row in rows if row.sample_id not in in_training], settings.recipe)
    # Interval and domain hold for what a device is given: single measurements, which scatter more than their mean.
    single = prepare([s for s in joined.spectra if s.sample_id not in in_training], settings.recipe)
    single_training = prepare([s for s in joined.spectra if s.sample_id in in_training], settings.recipe)

    target, held_out_target, single_target = (
        np.array([joined.target[name] for name in part.samples]) for part in (fitting, holding, single)
    )
    if target.min() == target.max():
        raise TrainingDataError(
            f"the {len(training)} training samples all have {joined.element} {target[0]:g} {joined.unit}; "
            "there is nothing to learn"
        )
    if np.ptp(fitting.spectra, axis=0).max() == 0:
        raise TrainingDataError("the training spectra are all the same; are they copies of one file?")
    scaling = as_stored(fit_scaling(fitting.features, per="global"))

    def scaled(features: Floats) -> NDArray[np.float32]:
        return scaling.apply(features).astype(np.float32)

    transform = settings.transform
    trained_on = divide_bounds(joined, settings.bounds, settings.protocol, settings.exclude_above)
    bounded = _bounded_rows(joined, trained_on, settings)
    fitted = fit(
        scaled(fitting.features),
        forward(target, transform),
        scaled(holding.features),
        forward(held_out_target, transform),
        settings.network,
        settings.protocol,
        progress,
        checkpoint,
        None
        if bounded is None
        else BoundRows(scaled(bounded.features), observe([joined.bounds[name] for name in bounded.samples], transform)),
    )

    low, high = float(target.min()), float(target.max())
    metrics: dict[str, Metrics] = {}
    predicted, outputs = {}, {}
    for name, part, measured in (("training", fitting, target), ("validation", holding, held_out_target)):
        outputs[name] = predict(fitted.model, scaled(part.features))
        predicted[name] = np.clip(inverse(outputs[name], transform), low, high)
        metrics[name] = measure(predicted[name], measured)
        if transform != "none":
            metrics[f"{name} ({transform})"] = measure(
                forward(predicted[name], transform), forward(measured, transform)
            )
    # What a soil looks like is known whether or not its value is.
    bounded_spectra = [s for s in joined.bounded if s.sample_id in trained_on]
    seen = prepare([*single_training.rows, *bounded_spectra], settings.recipe) if bounded_spectra else single_training
    domain = fit_domain(seen.reflectance, seen.reflectance_nm, seen.samples).stats
    single_outputs = predict(fitted.model, scaled(single.features))
    interval = fit_interval(
        single_outputs,
        forward(single_target, transform),
        np.array([(j.t2_over_limit, j.q_over_limit) for j in assess(single.preprocessed, domain)], dtype=np.float64),
        single.samples,
        # The same samples decided when training stopped; no figure is made up to correct that.
        residuals_of="validation predictions, somewhat optimistic since they also decided when training stopped,",
    )
    return Trained(
        model=KerasModel(fitted),
        settings=settings,
        joined=joined,
        recipe=settings.recipe,
        transform=transform,
        scaling=scaling,
        calibrated_range=(low, high),
        interval=interval,
        domain=domain,
        detection=fit_detection(inverse(outputs["validation"], transform), held_out_target),
        replicates=fit_replicates(single_outputs, single.samples),
        training=tuple(training),
        validation=tuple(validation),
        metrics=metrics,
        calibration_features=scaled(_calibration_features(fitting, bounded, joined)),
        held_out=holding.rows,
        held_out_measured=held_out_target,
        held_out_predicted=predicted["validation"],
        refused=fitting.refused + holding.refused + (bounded.refused if bounded is not None else ()),
        unseen_predicted=predicted["validation"][None],
        unseen_measured=held_out_target,
        bounds_trained_on=trained_on,
        record={
            "replicates": settings.replicates,
            "exclude_above": settings.exclude_above,
            "bounds": settings.bounds,
            "network": settings.network.to_dict(),
            "protocol": settings.protocol.to_dict(),
            "seed": settings.protocol.seed,
            "best_epoch": fitted.best_epoch,
            "history": [[e.number, e.training_loss, e.validation_loss] for e in fitted.history],
        },
    )


def _bounded_rows(joined: Joined, trained_on: tuple[str, ...], settings: Settings) -> Prepared | None:
    """Preprocess the censored samples that are trained on; None without any."""
    chosen = [spectrum for spectrum in joined.bounded if spectrum.sample_id in trained_on]
    return prepare(replicate_rows(chosen, settings.replicates), settings.recipe) if chosen else None


def _calibration_features(fitting: Prepared, bounded: Prepared | None, joined: Joined) -> Floats:
    """Choose training rows evenly by grade; a bound says at which end of the order a row stands, no more."""
    grade = np.array([joined.target[name] for name in fitting.samples])
    if bounded is None:
        return fitting.features[evenly_by_grade(grade, CALIBRATION_ROWS)]
    features = np.concatenate([fitting.features, bounded.features])
    ends = np.array([np.inf if joined.bounds[name].censored == ">" else -np.inf for name in bounded.samples])
    return features[evenly_by_grade(np.concatenate([grade, ends]), CALIBRATION_ROWS)]


def as_stored(scaling: Scaling) -> Scaling:
    """Round as a bundle does, which keeps single precision: training must see what the device will."""
    return Scaling(*(a.astype(np.float32).astype(np.float64) for a in (scaling.offset, scaling.scale)))


def evenly_by_grade(target: Floats, most: int) -> NDArray[np.intp]:
    """Choose at most `most` rows evenly from lowest to highest, both ends included."""
    order = np.argsort(target, kind="stable")
    at = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(np.intp))
    return np.asarray(order[at])
