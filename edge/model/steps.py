"""The steps of preprocessing: each a frozen class with its parameters, their checks, and what it does to spectra.

A step is written into a bundle by its name and its parameters. To add one, write its class here and name it in `STEPS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError, RecipeError
from .filters import gradient, polynomial_derivative, smoothing, stft_magnitude, window_bands
from .grid import SAME_NM, Grid, Operator, as_spectra, interpolation, which
from .hull import upper_hull
from .joins import Detector, SpliceMethod, joining

ContinuumMethod = Literal["divide", "subtract"]
HullSide = Literal["upper", "lower"]

MOST_BANDS = 100_000
"""A grid of more is a mistake, or a damaged recipe that would eat the device's memory."""
HIGHEST_DEGREE = 10


@dataclass(frozen=True)
class Step:
    """One step of a recipe.

    Raises:
        RecipeError: on construction, a parameter that cannot be on any grid.
    """

    step: ClassVar[str]

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        """Work out all that depends on the grid alone.

        Returns:
            What takes spectra, (bands,) or (n, bands), through this step, and the grid that it leaves them on.

        Raises:
            PreprocessError: the step cannot be done on this grid.
        """
        raise NotImplementedError

    def apply(self, values: ArrayLike, wavelengths_nm: ArrayLike, splices_nm: Sequence[float] = ()) -> Floats:
        """Do this step alone.

        Args:
            values: (bands,) or (n, bands), finite.
            wavelengths_nm: (bands,) ascending.
            splices_nm: where detectors join.

        Raises:
            PreprocessError: the step cannot be done on these wavelengths, or not to these values.
        """
        grid = Grid(np.asarray(wavelengths_nm, dtype=np.float64), tuple(splices_nm))
        operator, _ = self.prepare(grid)
        return operator(as_spectra(values, grid.size))

    def _check_real(self, *names: str) -> None:
        """Refuse all but a finite number above zero, and keep it as a float: 400 and 400.0 are the same recipe."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
                raise RecipeError(f"{self.step}: {name} is {value!r}; a number above 0 is needed")
            object.__setattr__(self, name, float(value))

    def _check_whole(self, name: str, lowest: int, highest: int = MOST_BANDS) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise RecipeError(f"{self.step}: {name} is {value!r}; a whole number from {lowest} to {highest} is needed")

    def _check_choice(self, name: str, choices: Any) -> None:
        value, words = getattr(self, name), get_args(choices)
        if value not in words:
            raise RecipeError(f"{self.step}: {name} is {value!r}; it must be {' or '.join(words)}")


@dataclass(frozen=True)
class SpliceCorrection(Step):
    """Take out the steps where one detector ends and the next begins, at the joins that come with the spectrum.

    On each side of a join a straight line through the last `width_nm` is carried on to the middle of the join; the
    difference of the two lines, or their ratio, is the step. The reference detector stays as it is, the others are
    moved as a whole, by a constant or a factor, outward from it. A slope or a curve that runs on across the join is
    not taken for a step; a whole absorption band within `width_nm` would be.

    SWIR1 is the usual reference: its detector is cooled, while VNIR drifts as the instrument warms up (Beal and Eamon
    1996, "Dynamic, parabolic linear transformations of 'stepped' radiometric data", Analytical Spectral Devices, on
    which ViewSpec Pro's splice correction rests; that one bends the outer detectors instead of moving them).

    Attributes:
        method: "additive" or "multiplicative"; the latter refuses a line that is not above zero.
        reference: the detector that stays: the one that sees 700 nm (VNIR), 1400 nm (SWIR1) or 2100 nm (SWIR2), or
            comes nearest to it.
        width_nm: how far from the join the lines are laid; two bands at least, where there are two.
    """

    step: ClassVar[str] = "splice_correction"
    method: SpliceMethod = "additive"
    reference: Detector = "SWIR1"
    width_nm: float = 10.0

    def __post_init__(self) -> None:
        self._check_choice("method", SpliceMethod)
        self._check_choice("reference", Detector)
        self._check_real("width_nm")

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        return joining(grid, self.method, self.reference, self.width_nm), grid


@dataclass(frozen=True)
class Resample(Step):
    """Interpolate linearly onto the model's grid, from `first_nm` to `last_nm` every `step_nm`."""

    step: ClassVar[str] = "resample"
    first_nm: float = 400.0
    last_nm: float = 2400.0
    step_nm: float = 1.0

    def __post_init__(self) -> None:
        self._check_real("first_nm", "last_nm", "step_nm")
        steps = (self.last_nm - self.first_nm) / self.step_nm
        if not 1 <= round(steps) < MOST_BANDS or abs(steps - round(steps)) > 1e-6:
            raise RecipeError(
                f"{self.step}: {self.first_nm:g} to {self.last_nm:g} nm every {self.step_nm:g} nm is no grid of "
                f"2 to {MOST_BANDS} bands"
            )

    @cached_property
    def wavelengths_nm(self) -> Floats:
        """The grid: (bands,) in nm, not to be written to."""
        nm = np.linspace(self.first_nm, self.last_nm, round((self.last_nm - self.first_nm) / self.step_nm) + 1)
        nm.setflags(write=False)
        return nm

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        target = Grid(self.wavelengths_nm, grid.splices_nm)
        return interpolation(grid, target), target


@dataclass(frozen=True)
class Cut(Step):
    """Keep the bands from `first_nm` to `last_nm`, both included."""

    step: ClassVar[str] = "cut"
    first_nm: float
    last_nm: float

    def __post_init__(self) -> None:
        self._check_real("first_nm", "last_nm")
        if not self.first_nm < self.last_nm:
            raise RecipeError(f"{self.step}: {self.first_nm:g}-{self.last_nm:g} nm is no range")

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        grid.require(self.first_nm, self.last_nm)
        nm = grid.wavelengths_nm
        first, end = np.searchsorted(nm, (self.first_nm - SAME_NM, self.last_nm + SAME_NM))
        kept = slice(int(first), int(end))
        if kept.stop - kept.start < 2:
            raise PreprocessError(f"{self.first_nm:g}-{self.last_nm:g} nm holds fewer than two bands")
        return lambda values: values[..., kept], Grid(nm[kept], grid.splices_nm)


class Absorbance(Step):
    """Turn reflectance, a fraction, into apparent absorbance, log10(1 / R); refuse reflectance at or below zero."""

    step: ClassVar[str] = "absorbance"

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        def absorb(reflectance: Floats) -> Floats:
            if not (reflectance > 0).all():
                raise PreprocessError(
                    f"reflectance {which(reflectance, ~(reflectance > 0), grid.wavelengths_nm)} is not above zero and "
                    "has no absorbance: check dark current and white reference"
                )
            absorbance: Floats = np.log10(reflectance)
            return np.negative(absorbance, out=absorbance)

        return absorb, grid


@dataclass(frozen=True)
class ContinuumRemoval(Step):
    """Take the continuum out of each spectrum (Clark and Roush 1984, J. Geophysical Research 89(B7):6329).

    Carvalho et al. 2024 (Remote Sensing 16(11):1964) divide for reflectance and subtract for absorbance, both with
    the hull over the spectrum. The result is never above 1 (or 0) with the upper hull, never below with the lower.

    Attributes:
        method: "divide" leaves 1 on the hull, and refuses a hull that is not above zero; "subtract" leaves 0.
        hull: "upper" lies over the spectrum, "lower" under it.
    """

    step: ClassVar[str] = "continuum_removal"
    method: ContinuumMethod = "divide"
    hull: HullSide = "upper"

    def __post_init__(self) -> None:
        self._check_choice("method", ContinuumMethod)
        self._check_choice("hull", HullSide)

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        nm = grid.wavelengths_nm

        def draw(values: Floats) -> Floats:
            rows = values.reshape(-1, nm.size)
            drawn = upper_hull(rows, nm) if self.hull == "upper" else -upper_hull(-rows, nm)
            return drawn.reshape(values.shape)

        def subtract(values: Floats) -> Floats:
            drawn = draw(values)
            return np.subtract(values, drawn, out=drawn)

        def divide(values: Floats) -> Floats:
            drawn = draw(values)
            if not (drawn > 0).all():
                raise PreprocessError(
                    f"the continuum is {which(drawn, ~(drawn > 0), nm)}: only one above zero can be divided by"
                )
            return np.divide(values, drawn, out=drawn)

        return subtract if self.method == "subtract" else divide, grid


@dataclass(frozen=True)
class SavitzkyGolay(Step):
    """Smooth by least-squares polynomials in a sliding window (Savitzky and Golay 1964, Anal. Chem. 36(8):1627).

    Equal to `scipy.signal.savgol_filter(values, bands, degree)` with its default treatment of the ends: the first and
    the last half window are read off the polynomial fitted to the first and the last whole window. The grid must be
    uniform, and the window have more bands than the degree and not more than there are.

    Attributes:
        window_nm: becomes the odd number of bands nearest to window / step, so that 31 nm is 31 bands of 1 nm.
        degree: of the polynomial.
    """

    step: ClassVar[str] = "savitzky_golay"
    window_nm: float = 31.0
    degree: int = 2

    def __post_init__(self) -> None:
        self._check_real("window_nm")
        self._check_whole("degree", 0, HIGHEST_DEGREE)

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        return smoothing(grid.size, _window(grid, self.window_nm, self.degree), self.degree), grid


@dataclass(frozen=True)
class SavitzkyGolayDerivative(Step):
    """Differentiate the sliding polynomials, and keep only a band every `keep_nm`, the first one included.

    Equal to `scipy.signal.savgol_filter(values, bands, degree, deriv=order, delta=step_nm)` at the bands that are kept.

    Attributes:
        window_nm, degree: as for `SavitzkyGolay`.
        order: of the derivative, per nm to the power of `order`; 0 smooths; not above the degree.
        keep_nm: distance of the bands that are kept.
    """

    step: ClassVar[str] = "savitzky_golay_derivative"
    window_nm: float = 31.0
    degree: int = 2
    order: int = 1
    keep_nm: float = 1.0

    def __post_init__(self) -> None:
        self._check_real("window_nm", "keep_nm")
        self._check_whole("degree", 0, HIGHEST_DEGREE)
        self._check_whole("order", 0)
        if self.order > self.degree:
            raise RecipeError(
                f"{self.step}: a polynomial of degree {self.degree} has no derivative of order {self.order}"
            )

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        window = _window(grid, self.window_nm, self.degree)
        nm = grid.wavelengths_nm
        step_nm = float((nm[-1] - nm[0]) / (nm.size - 1))
        every = max(1, round(self.keep_nm / step_nm))
        operator = polynomial_derivative(nm.size, step_nm, window, self.degree, self.order, every)
        return operator, Grid(nm[::every], grid.splices_nm)


def _window(grid: Grid, window_nm: float, degree: int) -> int:
    """Return the bands of a smoothing window, or say why there can be no such window."""
    step_nm = grid.uniform_step_nm()
    bands = window_bands(window_nm, step_nm)
    if bands <= degree:
        raise PreprocessError(
            f"a window of {window_nm:g} nm is {bands} band{'s' * (bands > 1)} of {step_nm:g} nm; degree {degree} "
            f"needs {degree + 1 + degree % 2} ({(degree + 1 + degree % 2) * step_nm:g} nm)"
        )
    if bands > grid.size:
        raise PreprocessError(f"a window of {window_nm:g} nm is {bands} bands; the spectrum has {grid.size}")
    return bands


@dataclass(frozen=True)
class Derivative(Step):
    """Differentiate by central differences, per nm (per nm squared): `numpy.gradient(values, wavelengths_nm, axis=-1)`.

    Attributes:
        order: 1, or 2 for the gradient of the gradient.
    """

    step: ClassVar[str] = "derivative"
    order: int = 1

    def __post_init__(self) -> None:
        self._check_whole("order", 1, 2)

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        slope = gradient(grid.wavelengths_nm)
        return slope if self.order == 1 else lambda values: slope(slope(values)), grid


class StandardNormalVariate(Step):
    """Give each spectrum mean 0 and standard deviation 1 (Barnes et al. 1989, Applied Spectroscopy 43:772).

    The standard deviation is the sample's, over bands - 1. A spectrum that is the same at every band is refused.
    """

    step: ClassVar[str] = "standard_normal_variate"

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        def normalise(values: Floats) -> Floats:
            centred: Floats = values - values.mean(axis=-1, keepdims=True)
            spread = np.sqrt(np.square(centred).sum(axis=-1, keepdims=True) / max(values.shape[-1] - 1, 1))
            flat = spread <= 1e-12 * np.abs(values).max(axis=-1, keepdims=True)
            if flat.any():
                raise PreprocessError(
                    f"value {which(values, flat & np.ones(values.shape, dtype=bool))} is the same at every other band: "
                    "the spectrum has no variance to be scaled by"
                )
            centred /= spread
            return centred

        return normalise, grid


@dataclass(frozen=True)
class ExternalParameterOrthogonalisation(Step):
    """Take out of absorbance what an external parameter, such as water, makes of it, as earlier bundles have it.

    Trainings make `FeatureOrthogonalisation` now. Each spectrum gets the calibration's mean level and contrast (a
    standard normal variate, scaled back), and then loses what lies along the directions. With duals that are the
    directions this is an orthogonal projection; other duals make it orthogonal in another metric, as of derivatives.

    Attributes:
        level, spread: mean absorbance and its standard deviation over the spectrum, of the calibration's mean soil.
        centre: (knots,) a spectrum that stays as it is, of mean 0 and standard deviation 1; knots lie evenly from the
            grid's first to its last wavelength, straight lines between them.
        directions: (k, knots) that are taken out.
        duals: (k, knots) which say how much of each is in a spectrum.
    """

    step: ClassVar[str] = "external_parameter_orthogonalisation"
    level: float
    spread: float
    centre: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    duals: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        self._check_real("spread")
        shapes = [part.shape for part in _as_numbers(self, ("centre", "directions", "duals"))]
        (knots,) = shapes[0] if len(shapes[0]) == 1 else (0,)
        if not 2 <= knots <= MOST_BANDS or shapes[1] != shapes[2] or shapes[1][1:] != (knots,):
            raise RecipeError(f"{self.step}: centre, directions and duals of shapes {shapes} do not fit together")
        if not math.isfinite(self.level):
            raise RecipeError(f"{self.step}: level is {self.level!r}; a number is needed")
        object.__setattr__(self, "_hash", hash((self.level, self.spread, self.centre, self.directions, self.duals)))

    def __hash__(self) -> int:
        # Recipes are looked up by their steps, and there are thousands of numbers in this one.
        return int(self._hash)  # type: ignore[attr-defined]

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        nm = grid.wavelengths_nm
        knots_nm = np.linspace(nm[0], nm[-1], len(self.centre))

        def on_grid(rows: tuple[tuple[float, ...], ...]) -> Floats:
            return np.stack([np.interp(nm, knots_nm, row) for row in rows])

        centre, directions, duals = on_grid((self.centre,))[0], on_grid(self.directions), on_grid(self.duals)
        overlap = directions @ duals.T
        if np.linalg.cond(overlap) > 1e9:
            raise PreprocessError(f"{self.step}: its directions cannot be told apart on this grid")
        to_parts = np.linalg.solve(overlap.T, duals).T
        normalise, _ = StandardNormalVariate().prepare(grid)

        def take_out(absorbance: Floats) -> Floats:
            values = normalise(absorbance)
            values -= ((values - centre) @ to_parts) @ directions
            values *= self.spread
            values += self.level
            return values

        return take_out, grid


@dataclass(frozen=True)
class FeatureOrthogonalisation(Step):
    """Take out of a model's features what an external parameter, such as water, makes of them (Roger et al. 2003).

    Each feature is centred and divided by its scale; then what lies along the directions is taken out, X (I - V V'), as
    Roger, Chauchard and Bellon-Maurel have it (Chemometrics and Intelligent Laboratory Systems 66:191), for moisture
    Minasny et al. 2011 (Geoderma 167-168:118).

    Attributes:
        centre, scale: (bands,) of the features.
        directions: (k, bands) that are taken out of scaled features; orthogonal, the share that is taken out is the
            square of a direction's length, 1 for all of it.
    """

    step: ClassVar[str] = "feature_orthogonalisation"
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        centre, scale, directions = _as_numbers(self, ("centre", "scale", "directions"))
        if centre.ndim != 1 or directions.ndim != 2 or not centre.shape == scale.shape == directions.shape[1:]:
            shapes = [part.shape for part in (centre, scale, directions)]
            raise RecipeError(f"{self.step}: centre, scale and directions of shapes {shapes} do not fit together")
        if not (scale > 0).all():
            raise RecipeError(f"{self.step}: a scale is not above zero")
        object.__setattr__(self, "_hash", hash((self.centre, self.scale, self.directions)))

    def __hash__(self) -> int:
        # Recipes are looked up by their steps, and there are thousands of numbers in this one.
        return int(self._hash)  # type: ignore[attr-defined]

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        centre, scale, directions = (np.array(part) for part in (self.centre, self.scale, self.directions))
        if grid.size != centre.size:
            raise PreprocessError(f"{self.step}: made for {centre.size} bands, and there are {grid.size}")
        weights = directions.T.copy()

        def take_out(features: Floats) -> Floats:
            values: Floats = (features - centre) / scale
            values -= (values @ weights) @ directions
            return values

        return take_out, grid


def _as_numbers(step: Step, names: Sequence[str]) -> list[Floats]:
    """Give a step's arrays, and write them down as tuples of numbers, which can be looked up and compared."""
    found = []
    for name in names:
        try:
            values = np.array(getattr(step, name), dtype=np.float64)
        except (TypeError, ValueError):
            raise RecipeError(f"{step.step}: {name} are no numbers") from None
        if not np.isfinite(values).all() or not values.size:
            raise RecipeError(f"{step.step}: {name} are no numbers")
        of_rows = tuple(tuple(row) for row in values.tolist()) if values.ndim == 2 else tuple(values.tolist())
        object.__setattr__(step, name, of_rows)
        found.append(values)
    return found


@dataclass(frozen=True)
class Spectrogram(Step):
    """Take the magnitude of the short-time Fourier transform along the bands: (frames, bins, 1), lengths in bands.

    Equal to `tf.abs(tf.signal.stft(values, frame_length, frame_step, fft_length))[..., tf.newaxis]`: the Hann window
    of `filters.hann_window`, no padding at the end. The defaults are those of TensorFlow's audio tutorial, and make
    (14, 129, 1) of 2001 bands.

    Attributes:
        frame_length: bands in a frame.
        frame_step: bands from the start of one frame to the next.
        fft_length: `frame_length` or more; None for the power of two that holds the frame.
    """

    step: ClassVar[str] = "spectrogram"
    frame_length: int = 255
    frame_step: int = 128
    fft_length: int | None = None

    def __post_init__(self) -> None:
        self._check_whole("frame_length", 1)
        self._check_whole("frame_step", 1)
        if self.fft_length is not None:
            self._check_whole("fft_length", 1)
            if self.fft_length < self.frame_length:
                raise RecipeError(
                    f"{self.step}: an FFT of length {self.fft_length} would cut off frames of {self.frame_length} bands"
                )

    def prepare(self, grid: Grid) -> tuple[Operator, Grid]:
        if self.frame_length > grid.size:
            raise PreprocessError(
                f"a frame of {self.frame_length} bands is longer than the spectrum, which has {grid.size}"
            )
        length = self.fft_length or 1 << (self.frame_length - 1).bit_length()
        return stft_magnitude(grid.size, self.frame_length, self.frame_step, length), grid


STEPS: dict[str, type[Step]] = {
    kind.step: kind
    for kind in (
        SpliceCorrection,
        Resample,
        Cut,
        Absorbance,
        ContinuumRemoval,
        SavitzkyGolay,
        SavitzkyGolayDerivative,
        Derivative,
        StandardNormalVariate,
        ExternalParameterOrthogonalisation,
        FeatureOrthogonalisation,
        Spectrogram,
    )
}
