"""What is done to a spectrum before a model sees it: which steps, in which order; alone, or in blocks side by side.

Training and the device import it from here, and nowhere else is any of it done. The steps are in `steps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError, RecipeError
from .grid import Grid, Operator, as_spectra
from .steps import (
    STEPS,
    Absorbance,
    ContinuumRemoval,
    Cut,
    Derivative,
    ExternalParameterOrthogonalisation,
    FeatureOrthogonalisation,
    Resample,
    SavitzkyGolayDerivative,
    Spectrogram,
    SpliceCorrection,
    StandardNormalVariate,
    Step,
)

EPO = ExternalParameterOrthogonalisation.step
CHUNK = 8
"""Spectra that go through the steps together, so that what lies between two steps stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """What a recipe makes of spectra.

    Attributes:
        spectra: (n, bands') as they are before the spectrogram, on what is left of the model's grid.
        wavelengths_nm: (bands',).
        features: what the model takes: (n, frames, bins, 1), or `spectra` where the recipe has no spectrogram.
        reflectance: (n, bands'') on the model's grid, splices corrected and bands cut away, but nothing else done; what
            is compared with the applicability domain, whatever the recipe makes of it for the model.
        reflectance_nm: (bands'',) its wavelengths.
    """

    spectra: Floats
    wavelengths_nm: Floats
    features: Floats
    reflectance: Floats
    reflectance_nm: Floats


@dataclass(frozen=True)
class Recipe:
    """Which steps are done, in which order, with which parameters. Hashable, and equal to what `from_dict` reads back.

    A splice correction, if any, comes first, on the instrument's own bands. Then the spectrum is resampled: every
    recipe says on which grid its model stands, and where the instrument has that grid, resampling costs nothing. A
    spectrogram comes last. No step comes twice.

    Attributes:
        steps: in order.
        name: of the preset, or "".

    Raises:
        RecipeError: an order or a parameter that cannot be, such as a smoothing window shorter than its degree needs.
    """

    steps: tuple[Step, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        for step in self.steps:
            if type(step) not in STEPS.values():
                raise RecipeError(f"{step!r} is no preprocessing step; known are {', '.join(STEPS)}")
        if not isinstance(self.name, str):
            raise RecipeError(f"a recipe's name is a text, not {self.name!r}")
        _check_order(self.steps)
        try:
            _on_grid(self.steps)
        except PreprocessError as error:
            raise RecipeError(f"no recipe: {error}") from error

    @property
    def beginning(self) -> tuple[Step, ...]:
        """The steps that bring spectra to the model's grid."""
        return self.steps[: 2 if isinstance(self.steps[0], SpliceCorrection) else 1]

    @cached_property
    def grid_nm(self) -> Floats:
        """The model's grid, which spectra are resampled to: (bands,) in nm, not to be written to."""
        return _on_grid(self.beginning)[1].wavelengths_nm

    @cached_property
    def range_nm(self) -> tuple[float, float]:
        """First and last wavelength that a spectrum must cover, in nm."""
        return float(self.grid_nm[0]), float(self.grid_nm[-1])

    @property
    def wavelengths_nm(self) -> Floats:
        """Wavelengths of `Preprocessed.spectra`: the grid, or what a step leaves of it."""
        return _on_grid(self.steps)[1].wavelengths_nm

    @property
    def reflectance_nm(self) -> Floats:
        """Wavelengths of `Preprocessed.reflectance`: the grid, or what a cut leaves of it."""
        return _on_grid(self._cut)[1].wavelengths_nm

    @property
    def has_spectrogram(self) -> bool:
        """True if features have frames and bins, and no wavelengths."""
        return isinstance(self.steps[-1], Spectrogram)

    @cached_property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one spectrum's features: (frames, bins, 1), or (bands',) where there is no spectrogram."""
        if not self.has_spectrogram:
            return self.wavelengths_nm.shape
        return _on_grid(self.steps)[0][-1](np.zeros(self.wavelengths_nm.size)).shape

    @cached_property
    def _cut(self) -> tuple[Step, ...]:
        return (*self.beginning, *(step for step in self.steps if isinstance(step, Cut)))

    def preprocess(
        self, values: ArrayLike, wavelengths_nm: ArrayLike, splices_nm: Sequence[float] = ()
    ) -> Preprocessed:
        """Run the recipe.

        Args:
            values: (n, bands) or (bands,) reflectance as a fraction.
            wavelengths_nm: (bands,) ascending.
            splices_nm: where the instrument's detectors join, in nm; () if unknown, and nothing is corrected.

        Returns:
            The results, with a leading axis if `values` has one.

        Raises:
            WavelengthRangeError: the wavelengths do not cover `range_nm`.
            PreprocessError: values that a step cannot take; the message says which spectrum and where.
        """
        reflectance, spectra, features = _preprocess((self,), values, wavelengths_nm, splices_nm)
        return Preprocessed(spectra, self.wavelengths_nm, features, reflectance, self.reflectance_nm)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return {"name": self.name, "steps": [{"step": step.step, **asdict(step)} for step in self.steps]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what `to_dict` wrote.

        Every parameter must be there: were one left to its default, a later default would change old models.

        Raises:
            RecipeError: anything unknown, missing, of the wrong type or in the wrong order.
        """
        if not isinstance(data, Mapping) or set(data) != {"name", "steps"}:
            raise RecipeError("a recipe has a name and steps, and nothing else")
        if not isinstance(data["steps"], (list, tuple)):
            raise RecipeError("a recipe's steps are a list")
        return cls(tuple(_step_from_dict(step) for step in data["steps"]), data["name"])


@dataclass(frozen=True)
class Blocks:
    """Preprocessing blocks: recipes whose features a model takes as one row, one after the other.

    All stand on the same grid and take the same splice correction, so that one spectrum suits all or none.

    Attributes:
        recipes: in the order of the features; `Preprocessed.spectra` is what the first one makes.
        name: of the preset, or "".

    Raises:
        RecipeError: no recipe, or recipes that begin differently.
    """

    recipes: tuple[Recipe, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipes", tuple(self.recipes))
        if not self.recipes:
            raise RecipeError("preprocessing blocks need at least one recipe")
        if not isinstance(self.name, str):
            raise RecipeError(f"the name of preprocessing blocks is a text, not {self.name!r}")
        if len({recipe.beginning for recipe in self.recipes}) > 1:
            raise RecipeError("preprocessing blocks must share their splice correction and their grid")

    @property
    def beginning(self) -> tuple[Step, ...]:
        """The steps that bring spectra to the model's grid."""
        return self.recipes[0].beginning

    @property
    def grid_nm(self) -> Floats:
        """The model's grid: (bands,) in nm."""
        return self.recipes[0].grid_nm

    @property
    def range_nm(self) -> tuple[float, float]:
        """First and last wavelength that a spectrum must cover, in nm."""
        return self.recipes[0].range_nm

    @property
    def wavelengths_nm(self) -> Floats:
        """Wavelengths of `Preprocessed.spectra`: those of the first recipe."""
        return self.recipes[0].wavelengths_nm

    @property
    def reflectance_nm(self) -> Floats:
        """Wavelengths of `Preprocessed.reflectance`: those of the first recipe."""
        return self.recipes[0].reflectance_nm

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of features of each recipe."""
        return tuple(int(np.prod(recipe.feature_shape)) for recipe in self.recipes)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one spectrum's features: one row."""
        return (sum(self.sizes),)

    def preprocess(
        self, values: ArrayLike, wavelengths_nm: ArrayLike, splices_nm: Sequence[float] = ()
    ) -> Preprocessed:
        """Run all recipes; see `Recipe.preprocess`.

        Returns:
            `features` (n, features) or (features,); all else as the first recipe gives it.
        """
        reflectance, spectra, *parts = _preprocess(self.recipes, values, wavelengths_nm, splices_nm)
        rows = [part.reshape(*spectra.shape[:-1], size) for part, size in zip(parts, self.sizes, strict=True)]
        features = np.concatenate(rows, axis=-1)
        return Preprocessed(spectra, self.wavelengths_nm, features, reflectance, self.reflectance_nm)

    def to_dict(self) -> dict[str, Any]:
        """Return the blocks as JSON values."""
        # Bundles have called them views from the beginning.
        return {"name": self.name, "views": [recipe.to_dict() for recipe in self.recipes]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Blocks:
        """Read what `to_dict` wrote.

        Raises:
            RecipeError: anything unknown or missing.
        """
        if set(data) != {"name", "views"} or not isinstance(data["views"], (list, tuple)):
            raise RecipeError("preprocessing blocks have a name and a list of views, and nothing else")
        return cls(tuple(Recipe.from_dict(recipe) for recipe in data["views"]), data["name"])


def preprocessing_from_dict(data: Mapping[str, Any]) -> Recipe | Blocks:
    """Read a recipe, or preprocessing blocks, from what their `to_dict` wrote."""
    if isinstance(data, Mapping) and "views" in data:
        return Blocks.from_dict(data)
    return Recipe.from_dict(data)


def _step_from_dict(data: Any) -> Step:
    name = data.get("step") if isinstance(data, Mapping) else data
    if not isinstance(data, Mapping) or not isinstance(name, str) or name not in STEPS:
        raise RecipeError(f"{name!r} is no preprocessing step; known are {', '.join(STEPS)}")
    kind = STEPS[name]
    given, wanted = set(data) - {"step"}, {field.name for field in fields(kind)}
    if given != wanted:
        wrong = [f"{n} is unknown" for n in sorted(map(str, given - wanted))]
        wrong += [f"{n} is missing" for n in sorted(wanted - given)]
        raise RecipeError(f"{name}: {'; '.join(wrong)}")
    return kind(**{field: data[field] for field in wanted})


def _check_order(steps: tuple[Step, ...]) -> None:
    names = [step.step for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{name} comes {names.count(name)} times; once is enough")
    if "resample" not in names:
        raise RecipeError("there is no resample step; it is what says which grid the model stands on")
    if "splice_correction" in names[1:]:
        raise RecipeError("splice_correction must come first, on the instrument's own bands")
    if names.index("resample") != names.count("splice_correction"):
        raise RecipeError("resample must come first, or right after splice_correction")
    if "spectrogram" in names[:-1]:
        raise RecipeError("spectrogram must come last")
    if EPO in names and (names.index(EPO) == 0 or names[names.index(EPO) - 1] != "absorbance"):
        raise RecipeError(f"{EPO} must come right after absorbance")
    if FeatureOrthogonalisation.step in names[:-1]:
        raise RecipeError(f"{FeatureOrthogonalisation.step} must come last")
    for i, step in enumerate(steps):
        if not isinstance(step, (Absorbance, ContinuumRemoval)):
            continue
        for other in steps[:i]:
            if isinstance(other, (Derivative, SavitzkyGolayDerivative, StandardNormalVariate)):
                raise RecipeError(f"{step.step} must come before {other.step}, which leaves no reflectance")
            if isinstance(step, Absorbance) and isinstance(other, ContinuumRemoval) and other.method == "subtract":
                raise RecipeError("absorbance cannot follow a subtracted continuum, which leaves nothing above zero")


def _preprocess(
    recipes: tuple[Recipe, ...], values: ArrayLike, wavelengths_nm: ArrayLike, splices_nm: Sequence[float]
) -> list[Floats]:
    """Run recipes that begin alike.

    Returns:
        Reflectance on the model's grid, the first recipe's spectra, and the features of each recipe.
    """
    # As bytes they can be looked up. They are checked once, when they are new.
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    spectra = as_spectra(values, nm.size)
    beginning = recipes[0].beginning
    to_grid = _to_grid(beginning, nm.shape, nm.tobytes(), tuple(splices_nm))
    if spectra.ndim == 1 or spectra.shape[0] <= CHUNK:
        return _run_all(recipes, _run(to_grid, spectra))
    whole: list[Floats] = []
    for first in range(0, spectra.shape[0], CHUNK):
        chunk = slice(first, first + CHUNK)
        try:
            parts = _run_all(recipes, _run(to_grid, spectra[chunk]))
        except PreprocessError:
            # Once more with all of them, so that the message counts spectra as the caller does.
            _run_all(recipes, _run(to_grid, spectra))
            raise
        # Copied at once, so that the next chunk finds its memory in the cache.
        whole = whole or [np.empty((spectra.shape[0], *part.shape[1:])) for part in parts]
        for all_of_it, part in zip(whole, parts, strict=True):
            all_of_it[chunk] = part
    reflectance, done, *features = whole
    return [reflectance, done, *(features if recipes[0].has_spectrogram else [done, *features[1:]])]


def _run(operators: tuple[Operator, ...], spectra: Floats) -> Floats:
    for operator in operators:
        spectra = operator(spectra)
    return spectra


def _run_all(recipes: tuple[Recipe, ...], on_grid: Floats) -> list[Floats]:
    """Run what comes after the model's grid; steps that several recipes begin with are done once."""
    done: dict[tuple[Operator, ...], Floats] = {(): on_grid}
    ends = []
    for recipe in recipes:
        operators, _ = _on_grid(recipe.steps)
        for i, operator in enumerate(operators):
            if operators[: i + 1] not in done:
                done[operators[: i + 1]] = operator(done[operators[:i]])
        ends.append(operators)
    before_features = ends[0][:-1] if recipes[0].has_spectrogram else ends[0]
    reflectance = _run(_on_grid(recipes[0]._cut)[0], on_grid)
    return [reflectance, done[before_features], *(done[operators] for operators in ends)]


@lru_cache(maxsize=16)
def _to_grid(
    steps: tuple[Step, ...], shape: tuple[int, ...], wavelengths: bytes, splices_nm: tuple[float, ...]
) -> tuple[Operator, ...]:
    """Prepare what brings spectra from their own wavelengths, given as the bytes of float64, to the model's grid."""
    grid = Grid(np.frombuffer(wavelengths, dtype=np.float64).reshape(shape), splices_nm)
    operators = []
    for step in steps:
        operator, grid = step.prepare(grid)
        operators.append(operator)
    return tuple(operators)


@lru_cache(maxsize=128)
def _on_grid(steps: tuple[Step, ...]) -> tuple[tuple[Operator, ...], Grid]:
    """Prepare what is done from the model's grid on, and say which grid is left.

    Recipes that begin alike get the same operators, not only equal ones: each beginning is prepared once.
    """
    last = steps[-1]
    if isinstance(last, Resample):
        return (), Grid(last.wavelengths_nm)
    operators, grid = _on_grid(steps[:-1])
    operator, grid = last.prepare(grid)
    return (*operators, operator), grid
