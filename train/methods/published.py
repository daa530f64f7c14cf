"""The published network as one of the methods that are compared."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.recipe import Recipe, paper_recipe
from ...edge.model.scaling import Scaling, fit_scaling
from ...edge.model.target import Transform, forward, inverse
from ..crossval.folds import inner_folds
from ..errors import TrainingDataError
from .fit import Protocol, fit, predict
from .method import check_training, common_range
from .network import NetworkConfig
from .tensorflow_setup import import_tensorflow

LAST_NM = 2400.0


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


@dataclass(frozen=True)
class PublishedNetwork:
    """The network of Carvalho et al. 2024 (Remote Sensing 16(11):1964) on its spectrogram, trained by its protocol.

    One difference: the paper stops training where the error on its validation samples is lowest, and reports that
    error. Here training stops by a fifth of the training rows, and what is left out stays unseen.

    Attributes:
        transforms: of the target that are tried; the one with the lowest error on the fifth is taken. The paper names
            none, so it is the target as it is.
        fast: at most 60 epochs and a patience of 15.
        network, protocol: see there; share and seed of the protocol's split do not matter here.
    """

    fast: bool = False
    transforms: tuple[Transform, ...] = ("none",)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    protocol: Protocol = field(default_factory=Protocol)
    name: str = "published network"

    def fit(
        self,
        reflectance: Floats,
        wavelengths_nm: Floats,
        target: Floats,
        *,
        splices_nm: tuple[float, ...] = (),
        groups: Sequence[Hashable] | None = None,
        seed: int = 0,
    ) -> NetworkPredictor:
        """Fit; see `Method.fit`."""
        reflectance, nm, target = (np.asarray(a, dtype=np.float64) for a in (reflectance, wavelengths_nm, target))
        check_training(reflectance, nm, target)
        import_tensorflow()
        recipe = paper_recipe(grid=common_range(nm, last_nm=LAST_NM))
        inner = inner_folds(target.size, groups, seed=seed)[0][0]
        features = recipe.preprocess(reflectance, nm, splices_nm).features
        scaling = fit_scaling(features[inner.training], per="global")
        scaled = scaling.apply(features).astype(np.float32)
        protocol = replace(self.protocol, seed=seed)
        if self.fast:
            protocol = replace(protocol, epochs=min(60, protocol.epochs), patience=min(15, protocol.patience))
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
                self.network,
                protocol,
            )
            chosen = f"epoch {fitted.best_epoch} of {len(fitted.history)}; target's transform {transform}"
            predictor = NetworkPredictor(recipe, splices_nm, nm, scaling, fitted.model, transform, low, high, chosen)
            error = float(np.sqrt(np.mean((predictor.predict(reflectance[inner.test]) - target[inner.test]) ** 2)))
            if best is None or error < best[0]:
                best = error, predictor
        if best is None:
            raise TrainingDataError(
                f"the lowest value, {low:g}, has no {' or '.join(self.transforms)}; let the network be fitted to the "
                "target as it is"
            )
        return best[1]
