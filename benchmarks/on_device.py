"""The stack as a device has it: quantised, and run by the TFLite runtime instead of NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from stibium.converters.models.rbf_network import convert_rbf_network
from stibium.edge.model.runtime import Runtime
from stibium.edge.model.target import inverse
from stibium.train.crossval.rows import TrainingRows
from stibium.train.methods.stack import Stack, StackModel

QUANTISATION = "float16"


@dataclass(frozen=True, eq=False)
class OnDevicePredictor:
    """A stack's file in the device's runtime."""

    trained: StackModel
    runtime: Runtime
    chosen: str

    def predict(self, reflectance: np.ndarray) -> np.ndarray:
        """Predict (n,) values in the target's unit from (n, bands) reflectance."""
        trained = self.trained
        scaled = trained.scaling.apply(trained.features(reflectance)).astype(np.float32)
        answers = inverse(self.runtime.run(scaled), trained.transform)
        return np.clip(answers, trained.network.backs[0].low, trained.network.backs[0].high)


class OnDevice(Stack):
    """The stack; its predictions come from the exported file."""

    def fit(self, rows: TrainingRows) -> OnDevicePredictor:  # type: ignore[override]
        """Fit, convert and load; see `Method.fit`."""
        trained = super().fit(rows)
        arrays = trained.network.to_arrays()
        model = convert_rbf_network(arrays, trained.scaling, trained.transform, (QUANTISATION,))[QUANTISATION]
        chosen = f"{trained.chosen}; {QUANTISATION}, {len(model) / 1024:.0f} KB"
        return OnDevicePredictor(trained, Runtime(model), chosen)
