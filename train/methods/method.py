"""What a method has to offer whose model a device can run: `stibium train --method` takes each of them.

A method is a frozen dataclass. Its fields with metadata from `asked` are what `stibium train` can be asked for, so that
a new method is one file here and one line in `registry`. To be compared only, it
needs no more than `crossval.validation.Method`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ...converters.models.apart import Converted
from ...converters.spectra.spectrum import Floats
from ...edge.model.presets import Preprocessing
from ...edge.model.recipe import Blocks, Recipe
from ...edge.model.scaling import Scaling
from ...edge.model.target import Transform
from ...edge.recipe_file import read_preprocessing
from ..crossval.decision import DECIDE_BY, DecideBy
from ..crossval.folds import Folds, repeated_folds
from ..crossval.rows import TrainingRows
from ..crossval.validation import Method, Predictor
from ..samples import Replicates, Samples

DECIDED_BY = (
    "what you decide by. mean: tonnage, errors in the unit; answers are means. median: classes of grade, errors of "
    "log10; answers are medians. quantile: what four of five such soils do not exceed. both: errors in the unit and "
    "of log10, these the more the farther grades spread"
)
Say = Callable[[str], None]
"""Shows in a line how far a long computation has come."""


def asked(about: str, **limits: Any) -> dict[str, Any]:
    """Give the metadata that make a field of a method an option of the command line.

    Args:
        about: its help.
        limits: `least` (a number's lowest), `above` (likewise, not included), `choices` (names), `metavar`, `elsewhere`
            (what every other method may be asked for, as it does nothing else), `reader` (makes the value of a text).
    """
    return {"about": about, **limits}


OWN_RECIPE = "preprocessing in place of what the method would try: a name that `stibium recipes` lists, or a .toml file"


class DeviceModel(Protocol):
    """A trained model that can be carried to a device."""

    @property
    def recipe(self) -> Recipe | Blocks:
        """Preprocessing; its features are the model's input."""

    @property
    def transform(self) -> Transform:
        """Space of the target that the model answers in. Back from log10 and sqrt an answer is a median."""

    @property
    def scaling(self) -> Scaling:
        """Of the features, as the exported file takes them; rounded as a bundle does."""

    @property
    def parameters(self) -> int:
        """Numbers that it holds."""

    @property
    def chosen(self) -> str:
        """What was chosen in making it, in words."""

    @property
    def record(self) -> dict[str, Any]:
        """What a run says of the way it was made, as JSON values."""

    @property
    def representative(self) -> NDArray[np.float32] | None:
        """(m, ...) scaled rows from which quantised formats take their ranges; None for rows of the training."""

    def answer(self, features: Floats) -> Floats:
        """Answer (n,) in the transform's space, for (n, ...) features that are not scaled."""

    def save(self, path: Path) -> None:
        """Write it down."""

    def weights_sha256(self) -> str:
        """Hash of its weights."""


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """What a method makes a model of.

    Attributes:
        samples: single measurements, and censored samples.
        replicates: what becomes a row of the training set.
        training: samples with values to learn from.
        held_out: samples with values that may decide when training stops; () where all are learned from.
        censored: samples to learn from of which only a bound is known.
        seed: of all that is drawn.
        say: shows progress.
        checkpoint: file to go on from after an interruption; None to keep nothing.
    """

    samples: Samples
    replicates: Replicates
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    censored: tuple[str, ...]
    seed: int
    say: Say
    checkpoint: Path | None


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A model in a run's folder, with what its conversion needs.

    Attributes:
        path: of its file.
        scaling, transform: see `DeviceModel`.
        calibration: (n, ...) scaled rows, float32, from which quantised formats take their ranges.
    """

    path: Path
    scaling: Scaling
    transform: Transform
    calibration: NDArray[np.float32]


@dataclass(frozen=True)
class DeviceMethod(ABC):
    """A method whose model a device can run.

    Attributes:
        fast: fewer settings or epochs, for a first look.
        recipe: preprocessing in place of what the method would try; None for that.
        key: name on the command line and in a run.
        name: name in tables.
        about: what it is, in one line.
        file_name: of its model in a run's folder.
        formats: that its network can be converted to, from small to large.
        holds_out: whether it is validated by samples that are held back from it, which also decide when it stops;
            otherwise by the folds of `plan`, and then made of all samples.
    """

    fast: bool = False
    recipe: Preprocessing | None = field(
        default=None, metadata=asked(OWN_RECIPE, reader=read_preprocessing, metavar="NAME|FILE")
    )
    key: ClassVar[str]
    name: ClassVar[str]
    about: ClassVar[str]
    file_name: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    holds_out: ClassVar[bool] = False

    @property
    def range_nm(self) -> tuple[float, float] | None:
        """Wavelengths that spectra must cover; None takes what all of them have."""
        return self.recipe.range_nm if self.recipe is not None else None

    @property
    def target_transform(self) -> Transform:
        """Space that the target must have a place in, whatever else is tried."""
        return "none"

    def settings(self) -> dict[str, Any]:
        """Give what the method was asked for, as JSON values."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if f.metadata}
        return {"fast": self.fast} | said | {"recipe": self.recipe.name if self.recipe is not None else ""}

    def learn_from(self, samples: Samples, exclude_above: float | None) -> tuple[str, ...]:
        """Name the censored samples that are trained on as bounds; none, unless the method has a likelihood for them.

        Args:
            samples: with the censored ones.
            exclude_above: samples above this are left out; no bound that may be above it is trained on.
        """
        return ()

    def for_learning_curve(self) -> Method | None:
        """Give a fast version of the method to be fitted to shares of the samples; None for no such curve."""
        return None

    @abstractmethod
    def plan(self, rows: Samples, seed: int) -> Folds:
        """Divide rows for the validation.

        Raises:
            TrainingDataError: they cannot be divided so.
        """

    @abstractmethod
    def fit(self, rows: TrainingRows) -> Predictor:
        """Make a model for a comparison; see `validation.Method.fit`."""

    @abstractmethod
    def make(self, task: TrainingTask) -> DeviceModel:
        """Make the model that a device is to have.

        Raises:
            TrainingDataError: data that no model can be made from.
        """

    @abstractmethod
    def to_tflite(self, stored: ModelFile, formats: Sequence[str], features: Floats) -> Converted:
        """Convert a stored model, and have it answer (n, ...) features that are not scaled.

        Raises:
            ConversionError: it could not be converted.
        """


@dataclass(frozen=True)
class CrossValidated(DeviceMethod):
    """A method that is validated by repeated folds, and then made of all samples.

    Attributes:
        folds, repeats: of the cross-validation.
        decide_by: what its answers are chosen by; see `decision.DecideBy`.
    """

    folds: int = field(default=5, metadata=asked("of the cross-validation", least=2))
    repeats: int = field(default=2, metadata=asked("of the cross-validation; one with --fast", least=1))
    decide_by: DecideBy = field(default="both", metadata=asked(DECIDED_BY, choices=DECIDE_BY, elsewhere="both"))

    def settings(self) -> dict[str, Any]:
        """Give what the method was asked for, as JSON values."""
        return super().settings() | {"repeats": self._repeats}

    @property
    def _repeats(self) -> int:
        return 1 if self.fast else self.repeats

    def plan(self, rows: Samples, seed: int) -> Folds:
        """Divide rows into folds that part no sample and no group."""
        return repeated_folds(rows.names, rows.row_groups, n_folds=self.folds, repeats=self._repeats, seed=seed)


def rows_of(task: TrainingTask) -> TrainingRows:
    """Give a task's samples to `fit`, for a method that makes its model of all of them."""
    samples = task.samples.rows(task.replicates)
    rows, keys = TrainingRows.by_sample(samples, task.seed), samples.row_groups
    return replace(rows, groups=keys) if keys is not None and len(set(keys)) > 1 else rows
