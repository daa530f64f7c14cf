"""What is done to a spectrum before a model sees it: the steps, and the `Recipe` that orders them.

Training and the device import it from here, and nowhere else is any of it done. The maths of each step is a function
of `spectral`, `continuum` or `filters`, which can be had from here too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError, RecipeError
from .arrays import (
    Detector,
    Operator,
    SpliceMethod,
    as_spectra,
    average_replicates,
    cut,
    cut_bands,
    resample,
    resample_operator,
    splice_correct,
    splice_correct_operator,
    standard_normal_variate,
    standard_normal_variate_operator,
    to_absorbance,
    to_absorbance_operator,
)
from .filters import (
    derivative,
    derivative_operator,
    savitzky_golay,
    savitzky_golay_derivative,
    savitzky_golay_derivative_operator,
    savitzky_golay_operator,
    stft_magnitude,
    stft_magnitude_operator,
)
from .hull import (
    ContinuumMethod,
    HullSide,
    continuum,
    remove_continuum,
    remove_continuum_operator,
)
from .scaling import Scaling, fit_scaling

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
    "SavitzkyGolayDerivative",
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
    "savitzky_golay_derivative",
    "splice_correct",
    "standard_normal_variate",
    "stft_magnitude",
    "to_absorbance",
]

MOST_BANDS = 100_000
"""A grid of more is a mistake, or a damaged recipe that would eat the device's memory."""
CHUNK = 8
"""Spectra that go through the steps together, so that what lies between two steps stays in the processor's cache."""


@dataclass(frozen=True)
class SpliceCorrection:
    """Take out the steps at the detector joins that come with the spectrum; see `splice_correct`."""

    step: ClassVar[str] = "splice_correction"
    method: SpliceMethod = "additive"
    reference: Detector = "SWIR1"
    width_nm: float = 10.0

    def __post_init__(self) -> None:
        _check_choice(self, "method", get_args(SpliceMethod))
        _check_choice(self, "reference", get_args(Detector))
        _check_real(self, "width_nm")


@dataclass(frozen=True)
class Resample:
    """Interpolate onto the model's grid, from `first_nm` to `last_nm` every `step_nm`; see `resample`."""

    step: ClassVar[str] = "resample"
    first_nm: float = 400.0
    last_nm: float = 2400.0
    step_nm: float = 1.0

    def __post_init__(self) -> None:
        for name in ("first_nm", "last_nm", "step_nm"):
            _check_real(self, name)
        steps = (self.last_nm - self.first_nm) / self.step_nm
        if not 1 <= round(steps) < MOST_BANDS or abs(steps - round(steps)) > 1e-6:
            raise RecipeError(
                f"{self.step}: {self.first_nm:g} to {self.last_nm:g} nm every {self.step_nm:g} nm is no grid of "
                f"2 to {MOST_BANDS} bands"
            )

    @property
    def wavelengths_nm(self) -> Floats:
        """The grid: (bands,) in nm."""
        return np.linspace(self.first_nm, self.last_nm, round((self.last_nm - self.first_nm) / self.step_nm) + 1)


@dataclass(frozen=True)
class Cut:
    """Keep `first_nm` to `last_nm`, both included; see `cut`."""

    step: ClassVar[str] = "cut"
    first_nm: float
    last_nm: float

    def __post_init__(self) -> None:
        _check_real(self, "first_nm")
        _check_real(self, "last_nm")


@dataclass(frozen=True)
class Absorbance:
    """Turn reflectance into absorbance; see `to_absorbance`."""

    step: ClassVar[str] = "absorbance"


@dataclass(frozen=True)
class ContinuumRemoval:
    """Divide by the convex hull or subtract it; see `remove_continuum`."""

    step: ClassVar[str] = "continuum_removal"
    method: ContinuumMethod = "divide"
    hull: HullSide = "upper"

    def __post_init__(self) -> None:
        _check_choice(self, "method", get_args(ContinuumMethod))
        _check_choice(self, "hull", get_args(HullSide))


@dataclass(frozen=True)
class SavitzkyGolay:
    """Smooth; see `savitzky_golay`."""

    step: ClassVar[str] = "savitzky_golay"
    window_nm: float = 31.0
    degree: int = 2

    def __post_init__(self) -> None:
        _check_real(self, "window_nm")
        _check_whole(self, "degree", 0)


@dataclass(frozen=True)
class SavitzkyGolayDerivative:
    """Smooth and differentiate in one, and keep a band every `keep_nm`; see `savitzky_golay_derivative`."""

    step: ClassVar[str] = "savitzky_golay_derivative"
    window_nm: float = 31.0
    degree: int = 2
    order: int = 1
    keep_nm: float = 1.0

    def __post_init__(self) -> None:
        _check_real(self, "window_nm")
        _check_whole(self, "degree", 0)
        _check_whole(self, "order", 0)
        _check_real(self, "keep_nm")


@dataclass(frozen=True)
class Derivative:
    """Differentiate, per nm; see `derivative`."""

    step: ClassVar[str] = "derivative"
    order: int = 1

    def __post_init__(self) -> None:
        _check_whole(self, "order", 1)


@dataclass(frozen=True)
class StandardNormalVariate:
    """Give each spectrum mean 0 and standard deviation 1; see `standard_normal_variate`."""

    step: ClassVar[str] = "standard_normal_variate"


@dataclass(frozen=True)
class Spectrogram:
    """Take the magnitude of the short-time Fourier transform, lengths in bands; see `stft_magnitude`."""

    step: ClassVar[str] = "spectrogram"
    frame_length: int = 255
    frame_step: int = 128
    fft_length: int | None = None

    def __post_init__(self) -> None:
        _check_whole(self, "frame_length", 1)
        _check_whole(self, "frame_step", 1)
        if self.fft_length is not None:
            _check_whole(self, "fft_length", 1)
            if self.fft_length > MOST_BANDS:
                raise RecipeError(f"{self.step}: fft_length {self.fft_length} is more than {MOST_BANDS}")


Step = (
    SpliceCorrection
    | Resample
    | Cut
    | Absorbance
    | ContinuumRemoval
    | SavitzkyGolay
    | SavitzkyGolayDerivative
    | Derivative
    | StandardNormalVariate
    | Spectrogram
)
STEPS: dict[str, type[Step]] = {kind.step: kind for kind in get_args(Step)}


def _check_real(step: Step, name: str) -> None:
    """Refuse all but a finite number above zero, and keep it as a float: 400 and 400.0 are the same recipe."""
    value = getattr(step, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise RecipeError(f"{step.step}: {name} is {value!r}; a number above 0 is needed")
    object.__setattr__(step, name, float(value))


def _check_whole(step: Step, name: str, lowest: int) -> None:
    value = getattr(step, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise RecipeError(f"{step.step}: {name} is {value!r}; a whole number from {lowest} on is needed")


def _check_choice(step: Step, name: str, choices: tuple[str, ...]) -> None:
    value = getattr(step, name)
    if value not in choices:
        raise RecipeError(f"{step.step}: {name} is {value!r}; it must be {' or '.join(choices)}")


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """What a recipe makes of spectra.

    Attributes:
        spectra: (n, bands') as they are before the spectrogram, on what is left of the model's grid.
        wavelengths_nm: (bands',).
        features: what the model takes: (n, frames, bins, 1), or `spectra` where the recipe has no spectrogram.
        reflectance: (n, bands'') on the model's grid, splices corrected and bands cut away, but nothing else done; what
            a spectrum is judged by, whatever the recipe makes of it for the model.
        reflectance_nm: (bands'',) its wavelengths; None where they are `wavelengths_nm`.
    """

    spectra: Floats
    wavelengths_nm: Floats
    features: Floats
    reflectance: Floats
    reflectance_nm: Floats | None = None

    @property
    def judged_nm(self) -> Floats:
        """(bands'',) wavelengths of `reflectance`."""
        return self.wavelengths_nm if self.reflectance_nm is None else self.reflectance_nm


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

    @cached_property
    def grid_nm(self) -> Floats:
        """The model's grid, which spectra are resampled to: (bands,) in nm, not to be written to."""
        grid = next(step.wavelengths_nm for step in self.steps if isinstance(step, Resample))
        grid.setflags(write=False)
        return grid

    @property
    def range_nm(self) -> tuple[float, float]:
        """First and last wavelength that a spectrum must cover, in nm."""
        return float(self.grid_nm[0]), float(self.grid_nm[-1])

    @property
    def wavelengths_nm(self) -> Floats:
        """Wavelengths of `Preprocessed.spectra`: the grid, or what a cut leaves of it."""
        return _on_grid(self.steps)[2]

    @property
    def judged_nm(self) -> Floats:
        """Wavelengths of `Preprocessed.reflectance`: the grid, or what a cut leaves of it."""
        return self.grid_nm[_on_grid(self.steps)[3]]

    @cached_property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one spectrum's features: (frames, bins, 1), or (bands',) where there is no spectrogram."""
        _, to_features, nm, _ = _on_grid(self.steps)
        return nm.shape if to_features is None else to_features(np.zeros(nm.size)).shape

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
        # As bytes they can be looked up. They are checked once, when they are new.
        nm = np.asarray(wavelengths_nm, dtype=np.float64)
        spectra = as_spectra(values, nm.size)
        to_grid = _to_grid(self.steps[:2], nm.shape, nm.tobytes(), tuple(splices_nm))
        on_grid, to_features, left_nm, left = _on_grid(self.steps)
        if spectra.ndim == 1 or spectra.shape[0] <= CHUNK:
            reflectance = _run(to_grid, spectra)
            done = _run(on_grid, reflectance)
            features = done if to_features is None else to_features(done)
            return Preprocessed(done, left_nm, features, reflectance[..., left], self.judged_nm)
        done = np.empty((spectra.shape[0], left_nm.size))
        judged_nm = self.judged_nm
        reflectance = np.empty((spectra.shape[0], judged_nm.size))
        features = done if to_features is None else np.empty((spectra.shape[0], *self.feature_shape))
        for first in range(0, spectra.shape[0], CHUNK):
            chunk = slice(first, first + CHUNK)
            try:
                resampled = _run(to_grid, spectra[chunk])
                done[chunk] = _run(on_grid, resampled)
            except PreprocessError:
                # Once more with all of them, so that the message counts spectra as the caller does.
                _run(to_grid + on_grid, spectra)
                raise
            reflectance[chunk] = resampled[:, left]
            if to_features is not None:
                features[chunk] = to_features(done[chunk])
        return Preprocessed(done, left_nm, features, reflectance, judged_nm)

    def to_dict(self) -> dict[str, Any]:
        """Give the recipe as JSON values."""
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


def _step_from_dict(data: Any) -> Step:
    name = data.get("step") if isinstance(data, Mapping) else data
    if not isinstance(data, Mapping) or not isinstance(name, str) or name not in STEPS:
        raise RecipeError(f"{name!r} is no preprocessing step; known are {', '.join(STEPS)}")
    kind = STEPS[name]
    given, wanted = set(data) - {"step"}, {field.name for field in fields(kind)}
    if given != wanted:
        unknown, missing = sorted(map(str, given - wanted)), sorted(wanted - given)
        raise RecipeError(
            f"{name}: "
            + "; ".join(f"{n} is unknown" for n in unknown)
            + "; " * bool(unknown and missing)
            + "; ".join(f"{n} is missing" for n in missing)
        )
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
    for i, step in enumerate(steps):
        if not isinstance(step, (Absorbance, ContinuumRemoval)):
            continue
        for other in steps[:i]:
            if isinstance(other, (Derivative, SavitzkyGolayDerivative, StandardNormalVariate)):
                raise RecipeError(f"{step.step} must come before {other.step}, which leaves no reflectance")
            if isinstance(step, Absorbance) and isinstance(other, ContinuumRemoval) and other.method == "subtract":
                raise RecipeError("absorbance cannot follow a subtracted continuum, which leaves nothing above zero")


def _run(operators: tuple[Operator, ...], spectra: Floats) -> Floats:
    for operator in operators:
        spectra = operator(spectra)
    return spectra


@lru_cache(maxsize=16)
def _to_grid(
    steps: tuple[Step, ...], shape: tuple[int, ...], wavelengths: bytes, splices_nm: tuple[float, ...]
) -> tuple[Operator, ...]:
    """Prepare what brings spectra from their own wavelengths, given as the bytes of float64, to the model's grid."""
    nm = np.frombuffer(wavelengths, dtype=np.float64).reshape(shape)
    operators: list[Operator] = []
    for step in steps:
        if isinstance(step, SpliceCorrection):
            operators.append(splice_correct_operator(nm, splices_nm, step.method, step.reference, step.width_nm))
        elif isinstance(step, Resample):
            operators.append(resample_operator(nm, step.wavelengths_nm))
    return tuple(operators)


@lru_cache(maxsize=64)
def _on_grid(steps: tuple[Step, ...]) -> tuple[tuple[Operator, ...], Operator | None, Floats, slice]:
    """Prepare what is done from the model's grid on: steps, spectrogram if any, wavelengths left, and
    which part of the grid a spectrum is judged by.
    """
    nm = np.empty(0)
    left = range(0)
    operators: list[Operator] = []
    to_features: Operator | None = None
    for step in steps:
        if isinstance(step, Resample):
            nm = step.wavelengths_nm
            left = range(nm.size)
        elif isinstance(step, Cut):
            kept = cut_bands(nm, step.first_nm, step.last_nm)
            operators.append(_take(kept))
            nm, left = nm[kept], left[kept]
        elif isinstance(step, Absorbance):
            operators.append(to_absorbance_operator(nm))
        elif isinstance(step, ContinuumRemoval):
            operators.append(remove_continuum_operator(nm, step.method, step.hull))
        elif isinstance(step, SavitzkyGolay):
            operators.append(savitzky_golay_operator(nm, step.window_nm, step.degree))
        elif isinstance(step, SavitzkyGolayDerivative):
            # It thins the bands; what a spectrum is judged by keeps them all.
            smooth, nm = savitzky_golay_derivative_operator(nm, step.window_nm, step.degree, step.order, step.keep_nm)
            operators.append(smooth)
        elif isinstance(step, Derivative):
            operators.append(derivative_operator(nm, step.order))
        elif isinstance(step, StandardNormalVariate):
            operators.append(standard_normal_variate_operator())
        elif isinstance(step, Spectrogram):
            to_features = stft_magnitude_operator(nm.size, step.frame_length, step.frame_step, step.fft_length)
    nm.setflags(write=False)
    return tuple(operators), to_features, nm, slice(left.start, left.stop, left.step)


def _take(bands: slice) -> Operator:
    return lambda values: values[..., bands]


def paper_recipe(
    continuum_first: bool = False,
    *,
    splice: SpliceCorrection | None = SpliceCorrection(),
    grid: Resample = Resample(),
    hull: HullSide = "upper",
    smoothing: SavitzkyGolay | None = SavitzkyGolay(),
    derivative_order: Literal[0, 1, 2] = 1,
    frames: Spectrogram | None = Spectrogram(),
    name: str = "",
) -> Recipe:
    """Make the recipe of Carvalho et al. 2024 (Remote Sensing 16(11):1964), or a variant of it.

    Splice correction; 400-2400 nm at 1 nm; absorbance, from which its hull is subtracted; Savitzky-Golay smoothing of
    degree 2 over 31 nm; first derivative; spectrogram. The paper's text gives a second order too: the hull is divided
    out of reflectance, and that turned into absorbance. It prints neither the frames' lengths (here those of
    TensorFlow's audio tutorial) nor how the splices were corrected (here additively to SWIR1; see `splice_correct`).

    Args:
        continuum_first: take the second order.
        splice: other parameters, or None to leave the step out.
        grid: other wavelengths.
        hull: side of the spectrum that the continuum lies on.
        smoothing: other parameters, or None to leave the step out.
        derivative_order: 0 leaves the step out.
        frames: other parameters, or None to leave the spectrogram out.
        name: of the recipe.

    Raises:
        RecipeError: parameters that cannot be.
    """
    absorbance: tuple[Step, ...] = (Absorbance(), ContinuumRemoval("subtract", hull))
    if continuum_first:
        absorbance = (ContinuumRemoval("divide", hull), Absorbance())
    slope = Derivative(derivative_order) if derivative_order else None
    chain = (splice, grid, *absorbance, smoothing, slope, frames)
    return Recipe(tuple(step for step in chain if step is not None), name)


RECIPES: dict[str, Recipe] = {
    "paper": paper_recipe(name="paper"),
    "paper-continuum-first": paper_recipe(continuum_first=True, name="paper-continuum-first"),
}
