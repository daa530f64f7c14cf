"""What is done to a spectrum before a model sees it: the steps, and the `Recipe` that orders them.

Training and device both import it from here, so that they cannot differ. The maths of each step is a function of
`spectral`, and those functions can be had from here too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal, Union, get_args, get_type_hints

import numpy as np
from numpy.typing import ArrayLike

from .errors import PreprocessError, RecipeError
from .spectral import (
    ContinuumMethod,
    Detector,
    Floats,
    HullSide,
    Operator,
    SpliceMethod,
    absorption,
    as_spectra,
    as_wavelengths,
    average_replicates,
    continuum,
    continuum_removal,
    cut,
    cutting,
    derivative,
    differentiation,
    normalise,
    remove_continuum,
    resample,
    resampling,
    savitzky_golay,
    smoothing,
    spectrogram,
    splice_correct,
    splice_correction,
    standard_normal_variate,
    stft_magnitude,
    to_absorbance,
)

__all__ = [
    "RECIPES",
    "Absorbance",
    "ContinuumRemoval",
    "Cut",
    "Derivative",
    "Preprocessed",
    "Recipe",
    "Resample",
    "SavitzkyGolay",
    "Scaling",
    "Spectrogram",
    "SpliceCorrection",
    "StandardNormalVariate",
    "Step",
    "average_replicates",
    "continuum",
    "cut",
    "derivative",
    "fit_scaling",
    "paper_recipe",
    "remove_continuum",
    "resample",
    "savitzky_golay",
    "splice_correct",
    "standard_normal_variate",
    "stft_magnitude",
    "to_absorbance",
]

STEP_GRID_TOLERANCE = 1e-6


class _Checked:
    """Checks each parameter of a step against its declared type, so that a recipe read from a file is sound."""

    step: ClassVar[str]

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):  # type: ignore[arg-type]
            value, hint = getattr(self, field.name), hints[field.name]
            object.__setattr__(self, field.name, self._checked(field.name, value, hint))

    def _checked(self, name: str, value: Any, hint: Any) -> Any:
        choices = get_args(hint)
        if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            if math.isfinite(value):
                return float(value)
        elif hint is int or choices == (int, type(None)):
            if (isinstance(value, int) and not isinstance(value, bool)) or (value is None and choices):
                return value
        elif value in choices and isinstance(value, str):
            return value
        wanted = " or ".join(map(repr, choices)) if choices else f"a finite {getattr(hint, '__name__', hint)}"
        raise RecipeError(f"{self.step}: {name} is {value!r}; it must be {wanted}")


@dataclass(frozen=True)
class SpliceCorrection(_Checked):
    """Take out the steps at the detector joins that the spectrum's own file names; see `splice_correct`."""

    step: ClassVar[str] = "splice_correction"
    method: SpliceMethod = "additive"
    reference: Detector = "SWIR1"
    width_nm: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width_nm <= 0:
            raise RecipeError(f"{self.step}: width_nm is {self.width_nm:g}; it must be above 0")


@dataclass(frozen=True)
class Resample(_Checked):
    """Interpolate onto the model's grid, from `first_nm` to `last_nm` in steps of `step_nm`; see `resample`."""

    step: ClassVar[str] = "resample"
    first_nm: float = 400.0
    last_nm: float = 2400.0
    step_nm: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = (self.last_nm - self.first_nm) / self.step_nm if self.step_nm > 0 else 0.0
        if self.first_nm <= 0 or round(steps) < 1 or abs(steps - round(steps)) > STEP_GRID_TOLERANCE:
            raise RecipeError(
                f"{self.step}: {self.first_nm:g} to {self.last_nm:g} nm is no whole number of {self.step_nm:g} nm steps"
            )

    @property
    def wavelengths_nm(self) -> Floats:
        """The grid, (bands,) in nm."""
        steps = round((self.last_nm - self.first_nm) / self.step_nm)
        return np.linspace(self.first_nm, self.last_nm, steps + 1)


@dataclass(frozen=True)
class Cut(_Checked):
    """Keep `first_nm` to `last_nm`, both included; see `cut`."""

    step: ClassVar[str] = "cut"
    first_nm: float
    last_nm: float


@dataclass(frozen=True)
class Absorbance(_Checked):
    """Turn reflectance into absorbance; see `to_absorbance`."""

    step: ClassVar[str] = "absorbance"


@dataclass(frozen=True)
class ContinuumRemoval(_Checked):
    """Divide or subtract the convex hull; see `remove_continuum`."""

    step: ClassVar[str] = "continuum_removal"
    method: ContinuumMethod = "divide"
    hull: HullSide = "upper"


@dataclass(frozen=True)
class SavitzkyGolay(_Checked):
    """Smooth; see `savitzky_golay`."""

    step: ClassVar[str] = "savitzky_golay"
    window_nm: float = 31.0
    degree: int = 2


@dataclass(frozen=True)
class Derivative(_Checked):
    """Differentiate per nm; see `derivative`."""

    step: ClassVar[str] = "derivative"
    order: int = 1


@dataclass(frozen=True)
class StandardNormalVariate(_Checked):
    """Give each spectrum mean 0 and standard deviation 1; see `standard_normal_variate`."""

    step: ClassVar[str] = "standard_normal_variate"


@dataclass(frozen=True)
class Spectrogram(_Checked):
    """Magnitude of the short-time Fourier transform, lengths in bands; see `stft_magnitude`."""

    step: ClassVar[str] = "spectrogram"
    frame_length: int = 255
    frame_step: int = 128
    fft_length: int | None = None


Step = Union[
    SpliceCorrection,
    Resample,
    Cut,
    Absorbance,
    ContinuumRemoval,
    SavitzkyGolay,
    Derivative,
    StandardNormalVariate,
    Spectrogram,
]
STEPS: dict[str, type[Step]] = {kind.step: kind for kind in get_args(Step)}

# What may not stand before a step, and why.
_NOT_AFTER: dict[str, tuple[tuple[str, ...], str]] = {
    "absorbance": (("derivative", "standard_normal_variate"), "it needs reflectance above zero"),
    "continuum_removal": (("derivative", "standard_normal_variate"), "it needs reflectance or absorbance"),
}


@dataclass(frozen=True)
class Preprocessed:
    """What a recipe makes of spectra.

    Attributes:
        spectra: (n, bands') as they are before the spectrogram, on the model's grid.
        wavelengths_nm: (bands',).
        features: what the model takes: (n, frames, bins, 1), or `spectra` if the recipe has no spectrogram.
    """

    spectra: Floats
    wavelengths_nm: Floats
    features: Floats


@dataclass(frozen=True)
class Recipe:
    """Which steps are done, in which order, with which parameters.

    The order is checked: a splice correction, if any, comes first, on the instrument's own bands; then the spectrum
    is resampled to the model's grid, which a recipe always does and which costs nothing where the grids agree; a
    spectrogram comes last; no step comes twice.

    Attributes:
        steps: in order.
        name: of the preset, or ""; not part of the comparison's meaning but kept in the bundle.

    Raises:
        RecipeError: an order or a parameter that cannot be, such as a smoothing window of less than one band.
    """

    steps: tuple[Step, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        for step in self.steps:
            if type(step) not in STEPS.values():
                raise RecipeError(f"{step!r} is no preprocessing step")
        _check_order([step.step for step in self.steps], self.steps)
        try:
            self._on_grid  # noqa: B018 - building it is the check
        except PreprocessError as error:
            raise RecipeError(f"the recipe cannot be: {error}") from error

    def __reduce__(self) -> tuple[type[Recipe], tuple[tuple[Step, ...], str]]:
        return Recipe, (self.steps, self.name)

    @property
    def _resample_at(self) -> int:
        return next(i for i, step in enumerate(self.steps) if isinstance(step, Resample))

    @property
    def grid_nm(self) -> Floats:
        """The model's grid, (bands,) in nm: what spectra are resampled to."""
        step = self.steps[self._resample_at]
        assert isinstance(step, Resample)
        return step.wavelengths_nm

    @property
    def range_nm(self) -> tuple[float, float]:
        """First and last wavelength that a spectrum must cover, in nm."""
        grid = self.grid_nm
        return float(grid[0]), float(grid[-1])

    @cached_property
    def _on_grid(self) -> tuple[tuple[Operator, ...], Operator | None, Floats]:
        """What is done from the model's grid on: operators, spectrogram, wavelengths that are left."""
        nm = self.grid_nm
        operators: list[Operator] = []
        for step in self.steps[self._resample_at + 1 :]:
            if isinstance(step, Spectrogram):
                return (
                    tuple(operators),
                    spectrogram(nm.size, step.frame_length, step.frame_step, step.fft_length),
                    nm,
                )
            operator, nm = _prepare(step, nm)
            operators.append(operator)
        return tuple(operators), None, nm

    def preprocess(
        self, values: ArrayLike, wavelengths_nm: ArrayLike, splices_nm: Sequence[float] = ()
    ) -> Preprocessed:
        """Run the recipe.

        Args:
            values: (n, bands) or (bands,) reflectance as a fraction.
            wavelengths_nm: (bands,) ascending.
            splices_nm: where the instrument's detectors join; () if unknown.

        Returns:
            Results with a leading axis if `values` has one, without if not.

        Raises:
            WavelengthRangeError: the wavelengths do not cover `range_nm`.
            PreprocessError: values that a step cannot take; the message says which spectrum and where.
        """
        nm = as_wavelengths(wavelengths_nm)
        spectra = as_spectra(values, nm.size)
        for operator in _to_grid(self.steps[: self._resample_at + 1], nm.tobytes(), tuple(splices_nm)):
            spectra = operator(spectra)
        operators, to_features, left_nm = self._on_grid
        for operator in operators:
            spectra = operator(spectra)
        return Preprocessed(spectra, left_nm, spectra if to_features is None else to_features(spectra))

    def to_dict(self) -> dict[str, Any]:
        """Give the recipe as JSON values."""
        return {"name": self.name, "steps": [{"step": step.step, **asdict(step)} for step in self.steps]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Make the recipe that `to_dict` described.

        Nothing is assumed: a parameter that is absent is an error, so that a later default cannot change old models.

        Raises:
            RecipeError: anything unknown, missing, of the wrong type or in the wrong order.
        """
        if not isinstance(data, Mapping) or set(data) != {"name", "steps"}:
            raise RecipeError("a recipe has a name and steps, and nothing else")
        if not isinstance(data["name"], str) or not isinstance(data["steps"], (list, tuple)):
            raise RecipeError("a recipe's name is a text and its steps are a list")
        return cls(tuple(_step_from_dict(step) for step in data["steps"]), data["name"])


def _step_from_dict(data: Any) -> Step:
    if not isinstance(data, Mapping) or data.get("step") not in STEPS:
        name = data.get("step") if isinstance(data, Mapping) else data
        raise RecipeError(f"unknown preprocessing step {name!r}; known are {', '.join(STEPS)}")
    kind = STEPS[data["step"]]
    wanted = {field.name for field in fields(kind)}
    given = set(data) - {"step"}
    if given != wanted:
        wrong = ", ".join(sorted(map(str, given ^ wanted)))
        raise RecipeError(f"{kind.step}: unknown or missing {wrong}")
    return kind(**{name: data[name] for name in wanted})


def _check_order(names: list[str], steps: tuple[Step, ...]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise RecipeError(f"{name} comes twice")
        forbidden, why = _NOT_AFTER.get(name, ((), ""))
        for earlier in forbidden:
            if earlier in names[:i]:
                raise RecipeError(f"{name} cannot come after {earlier}: {why}")
    if names[: names.index("resample") if "resample" in names else None] not in ([], ["splice_correction"]):
        raise RecipeError("a recipe begins with resample, or with splice_correction and resample")
    if "resample" not in names:
        raise RecipeError("a recipe needs a resample step: it is what fixes the model's grid")
    if "splice_correction" in names[1:]:
        raise RecipeError("splice_correction comes first, on the instrument's own bands")
    if "spectrogram" in names[:-1]:
        raise RecipeError("spectrogram comes last")
    for earlier in steps[: names.index("absorbance") if "absorbance" in names else 0]:
        if isinstance(earlier, ContinuumRemoval) and earlier.method == "subtract":
            raise RecipeError(
                "absorbance cannot come after a subtracted continuum: nothing above zero is left"
            )


def _prepare(step: Step, nm: Floats) -> tuple[Operator, Floats]:
    """Give a step's operator on the grid `nm`, and the grid it leaves."""
    if isinstance(step, Cut):
        kept = cutting(nm, step.first_nm, step.last_nm)
        return lambda values: values[..., kept], nm[kept]
    if isinstance(step, Absorbance):
        return absorption(nm), nm
    if isinstance(step, ContinuumRemoval):
        return continuum_removal(nm, step.method, step.hull), nm
    if isinstance(step, SavitzkyGolay):
        return smoothing(nm, step.window_nm, step.degree), nm
    if isinstance(step, Derivative):
        return differentiation(nm, step.order), nm
    if isinstance(step, StandardNormalVariate):
        return normalise, nm
    raise RecipeError(f"{step.step} cannot stand here")


@lru_cache(maxsize=16)
def _to_grid(
    steps: tuple[Step, ...], wavelengths: bytes, splices_nm: tuple[float, ...]
) -> tuple[Operator, ...]:
    """Give what brings spectra from their own wavelengths (float64 bytes, so that they can be a key) to the model's."""
    nm = np.frombuffer(wavelengths, dtype=np.float64)
    operators: list[Operator] = []
    for step in steps:
        if isinstance(step, SpliceCorrection):
            operators.append(splice_correction(nm, splices_nm, step.method, step.reference, step.width_nm))
        elif isinstance(step, Resample):
            operators.append(resampling(nm, step.wavelengths_nm))
    return tuple(operators)


def paper_recipe(
    continuum_first: bool = False,
    *,
    splice: SpliceCorrection | None = SpliceCorrection(),  # noqa: B008 - frozen
    grid: Resample = Resample(),  # noqa: B008 - frozen
    hull: HullSide = "upper",
    smoothing: SavitzkyGolay | None = SavitzkyGolay(),  # noqa: B008 - frozen
    derivative_order: Literal[0, 1, 2] = 1,
    frames: Spectrogram | None = Spectrogram(),  # noqa: B008 - frozen
    name: str = "",
) -> Recipe:
    """Make the recipe of Carvalho et al. 2024 (Remote Sensing 16(11):1964), or a variant of it.

    Splice correction (SWIR1 fixed); 400-2400 nm at 1 nm; absorbance, and the hull over it subtracted, or
    (`continuum_first`) the hull over reflectance divided out, and absorbance of that: the paper's text gives both
    orders; Savitzky-Golay of degree 2 over 31 nm; first derivative; spectrogram of 255-band frames every 128.

    Args:
        continuum_first: the second order.
        splice, smoothing, frames: other parameters, or None to leave the step out.
        grid: other wavelengths.
        hull: which side the continuum lies on.
        derivative_order: 0 leaves the derivative out.
        name: of the recipe.
    """
    middle: tuple[Step, ...] = (
        (ContinuumRemoval("divide", hull), Absorbance())
        if continuum_first
        else (Absorbance(), ContinuumRemoval("subtract", hull))
    )
    derivatives = (Derivative(derivative_order),) if derivative_order else ()
    chain = (splice, grid, *middle, smoothing, *derivatives, frames)
    return Recipe(tuple(step for step in chain if step is not None), name)


RECIPES: dict[str, Recipe] = {
    "paper": paper_recipe(name="paper"),
    "paper-continuum-first": paper_recipe(continuum_first=True, name="paper-continuum-first"),
}


@dataclass(frozen=True, eq=False)
class Scaling:
    """Shift and divide features before the model: `(features - offset) / scale`.

    Attributes:
        offset: broadcast against one spectrum's features, such as () or (bins, 1) or (bands,).
        scale: likewise; above zero.

    Raises:
        RecipeError: a scale that is not above zero, or a value that is no number.
    """

    offset: Floats
    scale: Floats

    def __post_init__(self) -> None:
        offset, scale = np.asarray(self.offset, dtype=np.float64), np.asarray(self.scale, dtype=np.float64)
        if not (np.isfinite(offset).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise RecipeError("a scaling needs finite offsets and scales above zero")
        object.__setattr__(self, "offset", offset)
        object.__setattr__(self, "scale", scale)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Scaling)
            and np.array_equal(self.offset, other.offset)
            and np.array_equal(self.scale, other.scale)
        )

    def __hash__(self) -> int:
        return hash((self.offset.shape, self.offset.tobytes(), self.scale.tobytes()))

    def apply(self, features: ArrayLike) -> Floats:
        """Scale features of any leading shape; the result has the features' shape.

        Raises:
            PreprocessError: the features' shape is not the one the scaling was fitted on.
        """
        values = np.asarray(features, dtype=np.float64)
        try:
            scaled: Floats = (values - self.offset) / self.scale
        except ValueError:
            scaled = np.empty(0)
        if scaled.shape != values.shape:
            raise PreprocessError(
                f"features of shape {values.shape} do not fit a scaling of shape {self.offset.shape}"
            )
        return scaled


def fit_scaling(features: ArrayLike, per: Literal["global", "bin"] = "global") -> Scaling:
    """Find the scaling that gives training features mean 0 and standard deviation 1.

    Args:
        features: (n, frames, bins, 1), or (n, bands).
        per: "global" is one offset and scale for everything; "bin" one for each frequency bin, over all frames (for
            each band, if there are no frames). A bin that never varies gets scale 1.

    Raises:
        RecipeError: unknown `per`, no features, or features that are not finite.
    """
    values = np.asarray(features, dtype=np.float64)
    if values.size == 0 or values.ndim not in (2, 4) or per not in ("global", "bin"):
        raise RecipeError(f"no scaling per {per!r} can be fitted to features of shape {values.shape}")
    axes = tuple(range(values.ndim)) if per == "global" else (0, 1) if values.ndim == 4 else (0,)
    offset, scale = values.mean(axis=axes), values.std(axis=axes)
    return Scaling(offset, np.where(scale > 1e-12 * np.abs(values).max(), scale, 1.0))
