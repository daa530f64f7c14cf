"""The stack and the MobileNetV2 as scikit-learn regressors: what they see are the features that a pipeline gives them.

`stibium train` makes the same models of reflectance. There the MobileNetV2 is taught by spectra too that are disturbed
as an instrument would disturb them; of features nobody knows how they would be, so that here it is taught by mixtures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..converters.spectra.spectrum import Floats
from ..edge.model.runtime import Runtime
from ..edge.model.target import inverse
from .crossval.folds import InnerFolds
from .estimators import TunedRegressor
from .methods.blocks import block_scaling, divide
from .methods.common import repeats_for
from .methods.mobilenetv2 import FAST_STUDENT, FAST_SYNTHESIS, distil, scaled
from .methods.stack import FAST_CONFIG, Config, FittedStack, fit_features
from .methods.student import StudentConfig
from .methods.synthetic import Synthesis, mixed_rows


@dataclass(frozen=True)
class _Block:
    number: int
    autoscale: bool

    def __str__(self) -> str:
        return f"block {self.number}" + (", autoscaled" if self.autoscale else "")


class _OnFeatures(TunedRegressor):
    """A regressor on preprocessing blocks of one size, side by side.

    Attributes:
        blocks: that X is of, as a `FeatureUnion` of preprocessing steps gives them.
        autoscale: each band to standard deviation 1, or those of a block together.
        fast: fewer settings, for a first look.
        seed: of all that is drawn.
    """

    blocks: int
    fast: bool
    # Inner folds of fewer leave nothing to choose settings by.
    _fewest_rows: ClassVar[int] = 10

    def _repeats(self, count: int) -> int:
        return repeats_for(count, self.fast)

    def _sizes(self, rows: Floats) -> tuple[int, ...]:
        return (rows.shape[1] // self.blocks,) * self.blocks

    def _stack(self, rows: Floats, target: Floats, folds: InnerFolds) -> FittedStack:
        if self.blocks < 1 or rows.shape[1] % self.blocks:
            raise ValueError(f"X has {rows.shape[1]} features, which are not {self.blocks} blocks of one size")
        variants = [_Block(number + 1, self.autoscale) for number in range(self.blocks)]
        config = FAST_CONFIG if self.fast else Config()
        return fit_features(divide(rows, self._sizes(rows)), variants, target, folds, config)


class StackRegressor(_OnFeatures):
    """Support vectors and PLSR, weighed; see `stibium.train.methods.stack`.

    Attributes:
        network_, chosen_: once fitted: the network, and what was chosen in words.
    """

    def __init__(self, blocks: int = 1, autoscale: bool = False, fast: bool = False, seed: int = 0) -> None:
        self.blocks = blocks
        self.autoscale = autoscale
        self.fast = fast
        self.seed = seed

    def _fit(self, rows: Floats, target: Floats, folds: InnerFolds) -> None:
        fitted = self._stack(rows, target, folds)
        self.network_, self.chosen_ = fitted.network, fitted.chosen

    def _predict(self, rows: Floats) -> Floats:
        return self.network_.predict(rows)


class MobileNetV2Regressor(_OnFeatures):
    """A light MobileNetV2 in 8 bits, taught by the stack; it answers as a device does, in the device's runtime.

    Attributes:
        steps, mixtures: of the training; None for the usual ones.
        scaling_, transform_, range_: of the features; of the target, that the network answers in; of the answers.
        distilled_, chosen_: once fitted: the network, and what was chosen in words.
    """

    def __init__(
        self,
        blocks: int = 1,
        autoscale: bool = False,
        fast: bool = False,
        seed: int = 0,
        steps: int | None = None,
        mixtures: int | None = None,
    ) -> None:
        self.blocks = blocks
        self.autoscale = autoscale
        self.fast = fast
        self.seed = seed
        self.steps = steps
        self.mixtures = mixtures

    def _fit(self, rows: Floats, target: Floats, folds: InnerFolds) -> None:
        teacher = self._stack(rows, target, folds)
        usual, student = (FAST_SYNTHESIS, FAST_STUDENT) if self.fast else (Synthesis(), StudentConfig())
        synthesis = usual if self.mixtures is None else Synthesis(mixtures=self.mixtures, most_copies=usual.most_copies)
        config = student if self.steps is None else StudentConfig(steps=self.steps)
        self.scaling_ = block_scaling(rows, self._sizes(rows))
        synthetic = np.concatenate(list(mixed_rows(rows, synthesis, np.random.default_rng(self.seed))))
        self.range_ = (float(target.min()), float(target.max()))
        self.distilled_ = distil(
            scaled(self.scaling_, synthetic),
            teacher.network.predict(synthetic),
            scaled(self.scaling_, rows),
            target,
            teacher.out_of_fold,
            self.blocks,
            config,
            self.seed,
        )
        self.transform_ = self.distilled_.transform
        self.model_, self._runtime = self.distilled_.model, self.distilled_.runtime
        self.chosen_ = f"{self.distilled_.quantisation}; taught by {teacher.chosen}"

    def _predict(self, rows: Floats) -> Floats:
        return np.clip(inverse(self._runtime.run(self.scaling_.apply(rows)), self.transform_), *self.range_)

    def __getstate__(self) -> dict[str, Any]:
        # Neither an interpreter nor a Keras model can be pickled; the network that answers can.
        left = ("_runtime", "distilled_")
        return {name: value for name, value in super().__getstate__().items() if name not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self._runtime = Runtime(self.model_, known_good=True)
