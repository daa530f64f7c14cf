"""A method that learns from corrected spectra: the correction is chosen inside every fit, and part of the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..converters.spectra.spectrum import Floats
from ..edge.model.recipe import Blocks, Recipe
from ..edge.model.scaling import Scaling
from ..edge.model.steps import Absorbance
from ..edge.model.target import Transform
from .correction import Choice, choose, corrected_blocks, settings_for
from .crossval.rows import TrainingRows
from .crossval.validation import Method, Predictor
from .errors import TrainingDataError
from .methods.common import common_range, is_taught_water, recipe_on, with_recipe, with_water_known
from .methods.method import DeviceMethod, DeviceModel, TrainingTask, rows_of
from .methods.synthetic import with_water
from .moisture import Differences


@dataclass(frozen=True, eq=False)
class CorrectedFit:
    """A model that is corrected for water, with how.

    Attributes:
        model: its preprocessing takes the water out.
        choice: what is done against water, and why.
        to_absorbance: from the spectra's wavelengths to absorbance on the model's grid.
        wavelengths_nm, splices_nm: of the spectra.
    """

    model: Predictor
    choice: Choice
    to_absorbance: Recipe
    wavelengths_nm: Floats
    splices_nm: tuple[float, ...]

    @property
    def chosen(self) -> str:
        """The choices in words."""
        return "; ".join(filter(None, (str(getattr(self.model, "chosen", "")), f"against water {self.choice}")))

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's unit from (n, bands) reflectance as it was measured."""
        on_grid = self.to_absorbance.preprocess(reflectance, self.wavelengths_nm, self.splices_nm).reflectance
        return self.model.predict(on_grid)


@dataclass(frozen=True, eq=False)
class CorrectedModel:
    """A device's model that is corrected for water; see `method.DeviceModel`.

    Attributes:
        model: its preprocessing takes the water out.
        fit: how it was made.
        pairs: what the correction was learned from.
    """

    model: DeviceModel
    fit: CorrectedFit
    pairs: Differences

    @property
    def recipe(self) -> Recipe | Blocks:
        """Preprocessing, the correction in it."""
        return self.model.recipe

    @property
    def transform(self) -> Transform:
        """Space of the target."""
        return self.model.transform

    @property
    def scaling(self) -> Scaling:
        """Of the features."""
        return self.model.scaling

    @property
    def parameters(self) -> int:
        """Numbers that the network holds."""
        return self.model.parameters

    @property
    def chosen(self) -> str:
        """What was chosen, in words."""
        return self.fit.chosen

    @property
    def record(self) -> dict[str, Any]:
        """What a run says of the way it was made."""
        return {
            **self.model.record,
            "moisture": {
                "pairs": self.pairs.source,
                "pairs_sha256": self.pairs.sha256,
                "correction": str(self.fit.choice.setting),
                "errors": self.fit.choice.errors,
            },
        }

    @property
    def representative(self) -> NDArray[np.float32] | None:
        """Rows that quantised formats take their ranges from."""
        return self.model.representative

    @property
    def states(self) -> tuple[str, ...]:
        """Conditions that it is corrected for; none where nothing helped."""
        setting = self.fit.choice.setting
        return self.pairs.states if setting.directions or setting.copies else ()

    def answer(self, features: Floats) -> Floats:
        """Answer (n,) in the transform's space."""
        return self.model.answer(features)

    def save(self, path: Path) -> None:
        """Write the network down."""
        self.model.save(path)

    def weights_sha256(self) -> str:
        """Hash of its weights."""
        return self.model.weights_sha256()


@dataclass(frozen=True, eq=False)
class Corrected:
    """A method that corrects for water before it learns.

    Attributes:
        method: that learns.
        pairs: what water does to spectra.
    """

    method: Method
    pairs: Differences

    @property
    def name(self) -> str:
        """Of the method."""
        return self.method.name

    def fit(self, rows: TrainingRows) -> CorrectedFit:
        """Choose a correction by folds of these rows, and fit the method to corrected ones; see `Method.fit`.

        Soils of whose condition nobody said are taken for dry.
        """
        target, keys, seed = rows.target, rows.groups, rows.seed
        grid = common_range(rows.wavelengths_nm)
        to_absorbance = recipe_on(grid, Absorbance())
        absorbance = rows.features(to_absorbance)
        grid_nm = to_absorbance.grid_nm
        said = np.array(rows.conditions or [""] * len(rows))
        dry = (said == "") | (said == "dry")
        if dry.sum() < 5:
            raise TrainingDataError(
                f"{int(dry.sum())} dry training soils; a correction for water needs 5: leave --moisture-pairs away"
            )
        of_dry = [key for key, is_dry in zip(keys, dry, strict=True) if is_dry]
        pairs = self.pairs.on(grid_nm)
        taught = is_taught_water(self.method)
        settings = settings_for(len(of_dry), copied=not taught)
        choice = choose(absorbance[dry], target[dry], of_dry, pairs, grid, seed, settings)
        method, count, copies = self.method, choice.setting.directions, choice.setting.copies
        if count:
            blocks = corrected_blocks(absorbance[dry], pairs, count, grid)
            method = with_water_known(method, pairs.differences, blocks) if taught else with_recipe(method, blocks)
        wetted = with_water(absorbance[dry], pairs.differences, copies, np.random.default_rng((seed, 8)))
        corrected = TrainingRows(
            10.0 ** -np.concatenate([absorbance[dry], wetted, absorbance[~dry]]),
            grid_nm,
            np.concatenate([np.tile(target[dry], 1 + copies), target[~dry]]),
            groups=(*of_dry * (1 + copies), *(key for key, is_dry in zip(keys, dry, strict=True) if not is_dry)),
            seed=seed,
            # Other methods correct all rows as one, and are to make no model of the dry ones beside it.
            conditions=[*said[dry], *said[~dry]] if taught else (),
        )
        return CorrectedFit(method.fit(corrected), choice, to_absorbance, rows.wavelengths_nm, rows.splices_nm)


def make_corrected(method: DeviceMethod, pairs: Differences, task: TrainingTask) -> CorrectedModel:
    """Make the model that a device is to have, of corrected spectra; see `DeviceMethod.make`."""
    fitted = Corrected(method, pairs).fit(rows_of(task))
    model: Any = fitted.model
    return CorrectedModel(model, fitted, pairs)
