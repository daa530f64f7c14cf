"""The published network: compared with other methods, and trained for a device."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from ...converters.models.apart import Converted
from ...converters.models.quantise import QUANTISATIONS, convert_keras
from ...converters.spectra.spectrum import Floats
from ...edge.model.presets import RECIPES, paper_recipe
from ...edge.model.recipe import Recipe
from ...edge.model.scaling import Scaling, fit_scaling
from ...edge.model.target import Transform, forward, inverse
from ...edge.units import shown_unit
from ..assays.censored import observe
from ..crossval.folds import Folds, paper_split, split_names
from ..crossval.rows import TrainingRows
from ..crossval.validation import minutes
from ..errors import TrainingDataError
from ..prepared import prepare, prepare_censored
from ..samples import Samples
from .common import as_stored, common_range
from .fit import BoundRows, Epoch, Fitted, TrainingProtocol, fit, predict
from .method import DeviceMethod, ModelFile, Say, TrainingTask, asked
from .network import NetworkConfig
from .tensorflow_setup import import_tensorflow

FAST_EPOCHS, FAST_PATIENCE = 60, 15
LAST_NM = 2400.0
PAPER = "paper"
FOR_BANDS = "stack"


@dataclass(frozen=True, eq=False)
class NetworkPredictor:
    """A trained network with its preprocessing.

    Attributes:
        recipe, splices_nm, wavelengths_nm: of the preprocessing.
        scaling: of the features.
        model: a keras.Model that answers in the transform's space.
        transform: of the target.
        low, high: calibrated range in the target's unit.
        chosen: in words.
    """

    recipe: Recipe
    splices_nm: tuple[float, ...]
    wavelengths_nm: Floats
    scaling: Scaling
    model: Any
    transform: Transform
    low: float
    high: float
    chosen: str

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's unit from (n, bands) reflectance."""
        features = self.recipe.preprocess(reflectance, self.wavelengths_nm, self.splices_nm).features
        answers = predict(self.model, self.scaling.apply(features).astype(np.float32))
        return np.clip(inverse(answers, self.transform), self.low, self.high)


@dataclass(frozen=True, eq=False)
class PublishedDeviceModel:
    """The published network, trained; see `method.DeviceModel`."""

    fitted: Fitted
    recipe: Recipe
    transform: Transform
    scaling: Scaling
    network: NetworkConfig
    protocol: TrainingProtocol

    @property
    def parameters(self) -> int:
        """Numbers that it holds."""
        return int(self.fitted.model.count_params())

    @property
    def chosen(self) -> str:
        """When training stopped."""
        return f"best epoch {self.fitted.best_epoch} of {len(self.fitted.history)}"

    @property
    def record(self) -> dict[str, Any]:
        """Network, protocol and learning curve, as JSON values."""
        return {
            "network": self.network.to_dict(),
            "protocol": self.protocol.to_dict(),
            "best_epoch": self.fitted.best_epoch,
            "history": [[e.number, e.training_loss, e.validation_loss] for e in self.fitted.history],
        }

    @property
    def representative(self) -> None:
        """Rows of the training stand for all."""

    def answer(self, features: Floats) -> Floats:
        """Answer (n,) in the transform's space, for (n, frames, bins, 1) features that are not scaled."""
        return predict(self.fitted.model, self.scaling.apply(features).astype(np.float32))

    def save(self, path: Path) -> None:
        """Write it down."""
        self.fitted.model.save(path)

    def weights_sha256(self) -> str:
        """Hash of its weights."""
        digest = hashlib.sha256()
        for weights in self.fitted.model.get_weights():
            digest.update(np.ascontiguousarray(weights).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class PublishedNetwork(DeviceMethod):
    """The network of Carvalho et al. 2024 (Remote Sensing 16(11):1964) on its spectrogram, trained by its protocol.

    `make` trains as the paper does: the samples that are held back decide when training stops, and are what the error
    is stated on. `fit`, for comparisons, differs in that: training stops by a fifth of the training rows, and what is
    left out stays unseen.

    Attributes:
        fast: at most 60 epochs and a patience of 15.
        recipe: one that ends in a spectrogram; None for the paper's, which `fit` lays on the wavelengths there are.
        transform, censored: of `make`.
        projection: linear or relu6; see `NetworkConfig.linear_projection`, which relu6 overrules.
        epochs, patience, batch_size, learning_rate: see `fit.TrainingProtocol`.
        network: see there.
        transforms: of the target that `fit` tries; the one with the lowest error on the fifth is taken. The paper names
            none, so it is the target as it is.
    """

    transform: Transform = field(
        default="log10",
        metadata=asked(
            "space the target is learned in; back from sqrt or log10 an answer is a median, not a mean",
            choices=get_args(Transform),
        ),
    )
    epochs: int = field(default=1000, metadata=asked("at most this many", least=1))
    patience: int = field(
        default=100, metadata=asked("epochs without a lower validation loss before training stops", least=1)
    )
    bounds: str = field(
        default="likelihood",
        metadata=asked(
            "what samples known only as a bound (<0.02, >4000) are for. likelihood: two thirds of them are trained on "
            "through the censored (Tobit) likelihood, the others checked; check: all are held against the finished "
            "model, as they always are by other methods. A bound is never taken for a value",
            choices=("likelihood", "check"),
            elsewhere="check",
        ),
    )
    projection: str = field(
        default="linear",
        metadata=asked(
            "what follows the projection that ends an inverted residual block: nothing, as in MobileNetV2, or ReLU6 as "
            "after every other convolution, as the paper's sentence on its layers reads",
            choices=("linear", "relu6"),
        ),
    )
    batch_size: int = field(default=64, metadata=asked("rows a step", least=2))
    learning_rate: float = field(default=3e-3, metadata=asked("of Adam", above=0))
    network: NetworkConfig = field(default_factory=NetworkConfig)
    transforms: tuple[Transform, ...] = ("none",)
    key: ClassVar[str] = "published"
    name: ClassVar[str] = "published network"
    about: ClassVar[str] = "the MobileNetV2 of Carvalho et al. 2024 by their protocol"
    file_name: ClassVar[str] = "model.keras"
    formats: ClassVar[tuple[str, ...]] = QUANTISATIONS
    holds_out: ClassVar[bool] = True

    @property
    def range_nm(self) -> tuple[float, float]:
        """Wavelengths that the recipe needs."""
        return self._recipe.range_nm

    @property
    def _recipe(self) -> Recipe:
        return self.recipe.recipes[0] if self.recipe is not None else RECIPES[PAPER]

    def settings(self) -> dict[str, Any]:
        """Give what the method was asked for, as JSON values."""
        return super().settings() | {"recipe": self.recipe.name if self.recipe is not None else PAPER}

    def __post_init__(self) -> None:
        own = self.recipe
        if own is not None and (len(own.recipes) > 1 or not own.has_spectrogram or own.autoscale[0]):
            raise TrainingDataError(
                f"recipe {own.name}: --method {self.key} takes one recipe that ends in a spectrogram, without "
                f"autoscale; the other methods take bands, as --method {FOR_BANDS}"
            )

    @property
    def target_transform(self) -> Transform:
        """Space that the target is learned in."""
        return self.transform

    @property
    def config(self) -> NetworkConfig:
        """What is built: `network`, with the projection that is asked for."""
        return replace(self.network, linear_projection=False) if self.projection == "relu6" else self.network

    def protocol(self, seed: int) -> TrainingProtocol:
        """Give the protocol of one training."""
        return TrainingProtocol(
            batch_size=self.batch_size,
            epochs=min(FAST_EPOCHS, self.epochs) if self.fast else self.epochs,
            patience=min(FAST_PATIENCE, self.patience) if self.fast else self.patience,
            learning_rate=self.learning_rate,
            seed=seed,
        )

    def plan(self, rows: Samples, seed: int) -> Folds:
        """Hold back the paper's third, whatever the seed of the training."""
        return paper_split(rows.names)

    def learn_from(self, samples: Samples, exclude_above: float | None) -> tuple[str, ...]:
        """Name two thirds of the censored samples; the others are held back, so that bounds can be checked unseen."""
        if self.bounds == "check":
            return ()
        names = [
            name
            for name, bound in samples.bounds.items()
            if exclude_above is None or bound.censored == "<" or bound.value < exclude_above
        ]
        # A single one has no third to give.
        return tuple(split_names(names)[0] if len(names) > 1 else names)

    def make(self, task: TrainingTask) -> PublishedDeviceModel:
        """Train on what is not held back; see `DeviceMethod.make`."""
        recipe, samples, transform = self._recipe, task.samples, self.transform
        rows = samples.rows(task.replicates).spectra
        in_training = set(task.training)
        fitting = prepare([row for row in rows if row.sample_id in in_training], recipe)
        holding = prepare([row for row in rows if row.sample_id not in in_training], recipe)
        target, held_out_target = (
            np.array([samples.target[name] for name in part.samples]) for part in (fitting, holding)
        )
        if target.min() == target.max():
            raise TrainingDataError(
                f"the {len(task.training)} training samples all have {samples.element} {target[0]:g} "
                f"{shown_unit(samples.unit)}; there is nothing to learn"
            )
        if np.ptp(fitting.spectra, axis=0).max() == 0:
            raise TrainingDataError("the training spectra are all the same; are they copies of one file?")
        scaling = as_stored(fit_scaling(fitting.features, per="global"))

        def scaled(features: Floats) -> NDArray[np.float32]:
            return scaling.apply(features).astype(np.float32)

        bounded = prepare_censored(samples, task.censored, task.replicates, recipe)
        protocol = self.protocol(task.seed)
        fitted = fit(
            scaled(fitting.features),
            forward(target, transform),
            scaled(holding.features),
            forward(held_out_target, transform),
            self.config,
            protocol,
            _in_words(task.say, protocol.epochs),
            task.checkpoint,
            None
            if bounded is None
            else BoundRows(
                scaled(bounded.features), observe([samples.bounds[name] for name in bounded.samples], transform)
            ),
        )
        return PublishedDeviceModel(fitted, recipe, transform, scaling, self.config, protocol)

    def to_tflite(self, stored: ModelFile, formats: Sequence[str], features: Floats) -> Converted:
        """Convert a stored network; see `DeviceMethod.to_tflite`."""
        scaled = stored.scaling.apply(features).astype(np.float32)
        return convert_keras(stored.path, formats, stored.calibration, scaled)

    def fit(self, rows: TrainingRows) -> NetworkPredictor:
        """Fit for a comparison; see `validation.Method.fit`."""
        nm, target = rows.wavelengths_nm, rows.target
        import_tensorflow()
        recipe = self._recipe if self.recipe is not None else paper_recipe(grid=common_range(nm, last_nm=LAST_NM))
        inner = rows.folds()[0][0]
        features = rows.features(recipe)
        scaling = fit_scaling(features[inner.training], per="global")
        scaled = scaling.apply(features).astype(np.float32)
        protocol = self.protocol(rows.seed)
        if target[inner.training].min() == target[inner.training].max():
            raise TrainingDataError(
                f"the {inner.training.size} rows to fit the network to all have the value "
                f"{target[inner.training][0]:g}; there is nothing to learn"
            )
        low, high = float(target.min()), float(target.max())
        best: tuple[float, NetworkPredictor] | None = None
        for transform in self.transforms:
            if (transform == "log10" and low <= 0) or (transform == "sqrt" and low < 0):
                continue
            z = forward(target, transform)
            fitted = fit(
                scaled[inner.training],
                z[inner.training],
                scaled[inner.test],
                z[inner.test],
                self.config,
                protocol,
            )
            chosen = f"epoch {fitted.best_epoch} of {len(fitted.history)}; target's transform {transform}"
            predictor = NetworkPredictor(
                recipe, rows.splices_nm, nm, scaling, fitted.model, transform, low, high, chosen
            )
            error = float(np.sqrt(np.mean((predictor.predict(rows.reflectance[inner.test]) - target[inner.test]) ** 2)))
            if best is None or error < best[0]:
                best = error, predictor
        if best is None:
            raise TrainingDataError(
                f"the lowest value, {low:g}, has no {' or '.join(self.transforms)}; let the network be fitted to the "
                "target as it is"
            )
        return best[1]


def _in_words(say: Say, epochs: int) -> Callable[[Epoch], None]:
    """Say how training goes, at most five times a second."""
    started = shown_at = time.monotonic()
    best = 0.0

    def show(epoch: Epoch) -> None:
        nonlocal shown_at, best
        if epoch.best:
            best = epoch.validation_loss
        now = time.monotonic()
        if now - shown_at < 0.2 and epoch.number < epochs:
            return
        shown_at = now
        left = minutes((now - started) / epoch.number * (epochs - epoch.number))
        say(
            f"epoch {epoch.number} of at most {epochs}, validation loss {epoch.validation_loss:.3f} "
            f"(best {best:.3f}), at most {left} left"
        )

    return show
