"""The maths of preprocessing: flat functions on one spectrum (bands,) or on many (n, bands).

Each function has a twin that takes everything but the values and gives an `Operator`: what depends on the grid alone
(windows, kernels, positions) is worked out once there, so that a recipe can run thousands of spectra through it.
Wavelengths are in nm, ascending; windows are in nm and become bands by the grid's step. Results are float64. Inputs
are never changed; a result may share memory with its input where nothing had to be done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .errors import PreprocessError, WavelengthRangeError
from .hull import upper_continuum

Floats = NDArray[np.float64]
Operator = Callable[[Floats], Floats]
SpliceMethod = Literal["additive", "multiplicative"]
Detector = Literal["VNIR", "SWIR1", "SWIR2"]
ContinuumMethod = Literal["divide", "subtract"]
HullSide = Literal["upper", "lower"]

DETECTORS: tuple[Detector, ...] = ("VNIR", "SWIR1", "SWIR2")
SAME_NM = 1e-6
"""Wavelengths closer than this are the same wavelength."""
UNIFORM = 1e-3
"""Steps of a uniform grid differ by less than this fraction: room for wavelengths stored as float32."""


def as_wavelengths(wavelengths_nm: ArrayLike) -> Floats:
    """Check a wavelength axis: (bands,), at least two, finite and ascending, in nm.

    Raises:
        PreprocessError: if it is not.
    """
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    if nm.ndim != 1 or nm.size < 2:
        raise PreprocessError(f"wavelengths of shape {nm.shape}: a list of two or more is needed")
    if not (nm[1:] > nm[:-1]).all() or not np.isfinite(nm[[0, -1]]).all():
        raise PreprocessError("wavelengths do not ascend")
    return nm


def as_spectra(values: ArrayLike, bands: int | None = None) -> Floats:
    """Check spectra: (bands,) or (n, bands), finite.

    Raises:
        PreprocessError: another shape, or not `bands` bands, or a value that is no number.
    """
    spectra = np.asarray(values, dtype=np.float64)
    if spectra.ndim not in (1, 2):
        raise PreprocessError(f"spectra of shape {spectra.shape}: (bands,) or (n, bands) is needed")
    if bands is not None and spectra.shape[-1] != bands:
        raise PreprocessError(f"{spectra.shape[-1]} values for {bands} wavelengths")
    if not np.isfinite(spectra).all():
        raise PreprocessError(f"{_which(spectra, ~np.isfinite(spectra))} is not a number")
    return spectra


def _which(spectra: Floats, bad: NDArray[np.bool_], wavelengths_nm: Floats | None = None) -> str:
    """Name the first bad value, and how many spectra have one."""
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    band = f"band {where[-1]}" if wavelengths_nm is None else f"{wavelengths_nm[where[-1]]:g} nm"
    text = f"{spectra[where]:.3g} at {band}"
    if spectra.ndim == 2 and spectra.shape[0] > 1:
        rows = np.flatnonzero(bad.any(axis=1))
        text += f" in spectrum {where[0]}"
        if rows.size > 1:
            text += f" (and in {rows.size - 1} more of {spectra.shape[0]}: {', '.join(map(str, rows[1:6]))}"
            text += ", ...)" if rows.size > 6 else ")"
    return text


def uniform_step_nm(wavelengths_nm: Floats) -> float:
    """Give the step of a uniform grid, in nm.

    Raises:
        PreprocessError: the grid is not uniform.
    """
    steps = np.diff(wavelengths_nm)
    step = float((wavelengths_nm[-1] - wavelengths_nm[0]) / steps.size)
    if max(float(steps.max()) - step, step - float(steps.min())) > UNIFORM * step:
        raise PreprocessError(
            f"wavelengths step by {steps.min():.3g} to {steps.max():.3g} nm: resample to a uniform grid first"
        )
    return step


def resampling(from_nm: ArrayLike, to_nm: ArrayLike) -> Operator:
    """Twin of `resample`."""
    source, target = as_wavelengths(from_nm), as_wavelengths(to_nm)
    if target[0] < source[0] - SAME_NM or target[-1] > source[-1] + SAME_NM:
        raise WavelengthRangeError(
            f"covers {source[0]:g}-{source[-1]:g} nm; {target[0]:g}-{target[-1]:g} nm is needed"
        )
    start = max(int(np.searchsorted(source, target[0] + SAME_NM)) - 1, 0)
    part = source[start : start + target.size]
    if part.shape == target.shape and np.abs(part - target).max() <= SAME_NM:
        return lambda values: values[..., start : start + target.size]
    right = np.clip(np.searchsorted(source, target), 1, source.size - 1)
    left = right - 1
    weight = np.clip((target - source[left]) / (source[right] - source[left]), 0.0, 1.0)

    def interpolate(values: Floats) -> Floats:
        low = values.take(left, axis=-1)
        return low + weight * (values.take(right, axis=-1) - low)

    return interpolate


def resample(values: ArrayLike, from_nm: ArrayLike, to_nm: ArrayLike) -> Floats:
    """Interpolate linearly onto another wavelength grid.

    Linear and not a spline: a spline rings on both sides of a detector step and can leave the range of the
    measured values; the instrument's bands are wider than the grid, so there is no detail for a spline to restore.

    Args:
        values: (bands,) or (n, bands), any unit.
        from_nm: (bands,) the values' wavelengths.
        to_nm: (bands',) wanted wavelengths.

    Returns:
        (bands',) or (n, bands'); a view, not a copy, where the wanted wavelengths are a run of the present ones.

    Raises:
        WavelengthRangeError: the wanted wavelengths reach beyond the present ones.
    """
    source = as_wavelengths(from_nm)
    return resampling(source, to_nm)(as_spectra(values, source.size))


def splice_correction(
    wavelengths_nm: ArrayLike,
    splices_nm: Sequence[float],
    method: SpliceMethod = "additive",
    reference: Detector = "SWIR1",
    width_nm: float = 10.0,
) -> Operator:
    """Twin of `splice_correct`."""
    nm = as_wavelengths(wavelengths_nm)
    splices = np.sort(np.asarray(splices_nm, dtype=np.float64))
    if method not in ("additive", "multiplicative") or reference not in DETECTORS or not width_nm > 0:
        raise PreprocessError(
            f"no splice correction is {method!r} with reference {reference!r} over {width_nm:g} nm"
        )
    detector = np.searchsorted(splices, nm, side="left")
    starts = [0, *(np.flatnonzero(np.diff(detector)) + 1).tolist(), nm.size]
    present = detector[starts[:-1]]
    joins = starts[1:-1]
    if not joins:
        return lambda values: values
    # The detector asked for, or the nearest one that the grid has bands of.
    fixed = int(np.abs(present - DETECTORS.index(reference)).argmin())
    segments = [slice(a, b) for a, b in zip(starts[:-1], starts[1:], strict=True)]
    sides = [
        (
            _extrapolation(nm, segments[i], joins[i], width_nm),
            _extrapolation(nm, segments[i + 1], joins[i], width_nm),
        )
        for i in range(len(joins))
    ]
    outward = [*range(fixed - 1, -1, -1), *range(fixed + 1, len(segments))]

    def correct(values: Floats) -> Floats:
        corrected = values.copy()
        at_join = [tuple(values[..., part] @ weights for part, weights in pair) for pair in sides]
        change: dict[int, Floats | float] = {fixed: 0.0 if method == "additive" else 1.0}
        for i in outward:
            inner, join, mine = (i + 1, i, 0) if i < fixed else (i - 1, i - 1, 1)
            here, there = at_join[join][mine], at_join[join][1 - mine]
            if method == "additive":
                change[i] = change[inner] + (there - here)
                corrected[..., segments[i]] += np.expand_dims(change[i], -1)
            else:
                if not (np.min(here) > 0 and np.min(there) > 0):
                    raise PreprocessError(
                        f"reflectance beside the detector join at {nm[joins[join]]:g} nm is not above zero: "
                        "no factor can correct it"
                    )
                change[i] = change[inner] * (there / here)
                corrected[..., segments[i]] *= np.expand_dims(change[i], -1)
        return corrected

    return correct


def _extrapolation(nm: Floats, segment: slice, join: int, width_nm: float) -> tuple[slice, Floats]:
    """Give bands and weights whose sum is the least-squares line of a detector's last bands, at the join's middle."""
    at = (nm[join - 1] + nm[join]) / 2
    if segment.stop == join:
        first = int(np.searchsorted(nm, nm[join - 1] - width_nm, side="right"))
        part = slice(max(min(first, join - 2), segment.start), join)
    else:
        last = int(np.searchsorted(nm, nm[join] + width_nm, side="left"))
        part = slice(join, min(max(last, join + 2), segment.stop))
    x = nm[part]
    middle = x.mean()
    spread = float(np.square(x - middle).sum())
    weights = np.full(x.size, 1 / x.size)
    return part, weights + (at - middle) * (x - middle) / spread if spread else weights


def splice_correct(
    values: ArrayLike,
    wavelengths_nm: ArrayLike,
    splices_nm: Sequence[float],
    method: SpliceMethod = "additive",
    reference: Detector = "SWIR1",
    width_nm: float = 10.0,
) -> Floats:
    """Remove the steps where one detector ends and the next begins.

    At each join a straight line through the last `width_nm` of each side is carried on to the middle of the join; the
    difference of the two lines (or their ratio) is the step. The reference detector stays as it is and the others
    are moved as a whole, by a constant (or a factor), outward from it.

    SWIR1 is the usual reference, because the temperature of its detector is controlled and VNIR drifts while the
    instrument warms up: Beal and Eamon 1996, "Dynamic, parabolic linear transformations of 'stepped' radiometric
    data" (Analytical Spectral Devices), the basis of ViewSpec Pro's splice correction, which bends the outer
    detectors; prospectr's spliceCorrection (R) moves them, as is done here.

    Args:
        values: (bands,) or (n, bands) reflectance.
        wavelengths_nm: (bands,).
        splices_nm: last wavelength of each detector but the last; () or joins outside the grid: nothing to do.
        method: "additive" or "multiplicative".
        reference: detector that is not moved; the nearest one if the grid has no band of it.
        width_nm: how much of each side the line is laid through (at least two bands, where there are two).

    Returns:
        Same shape as `values`.

    Raises:
        PreprocessError: unknown method or reference; multiplicative, and reflectance beside a join is not above zero.
    """
    nm = as_wavelengths(wavelengths_nm)
    return splice_correction(nm, splices_nm, method, reference, width_nm)(as_spectra(values, nm.size))


def cutting(wavelengths_nm: ArrayLike, first_nm: float, last_nm: float) -> slice:
    """Find the bands from `first_nm` to `last_nm`, both included.

    Raises:
        WavelengthRangeError: the wavelengths do not cover that range.
        PreprocessError: fewer than two bands would be left.
    """
    nm = as_wavelengths(wavelengths_nm)
    if first_nm < nm[0] - SAME_NM or last_nm > nm[-1] + SAME_NM:
        raise WavelengthRangeError(f"covers {nm[0]:g}-{nm[-1]:g} nm; {first_nm:g}-{last_nm:g} nm is needed")
    kept = slice(int(np.searchsorted(nm, first_nm - SAME_NM)), int(np.searchsorted(nm, last_nm + SAME_NM)))
    if kept.stop - kept.start < 2:
        raise PreprocessError(f"{first_nm:g}-{last_nm:g} nm holds fewer than two bands")
    return kept


def cut(
    values: ArrayLike, wavelengths_nm: ArrayLike, first_nm: float, last_nm: float
) -> tuple[Floats, Floats]:
    """Keep the bands from `first_nm` to `last_nm`, both included.

    Args:
        values: (bands,) or (n, bands).
        wavelengths_nm: (bands,).
        first_nm, last_nm: range to keep.

    Returns:
        The values and the wavelengths that are left, as views.

    Raises:
        WavelengthRangeError: the wavelengths do not cover that range.
        PreprocessError: fewer than two bands would be left.
    """
    nm = as_wavelengths(wavelengths_nm)
    kept = cutting(nm, first_nm, last_nm)
    return as_spectra(values, nm.size)[..., kept], nm[kept]


def absorption(wavelengths_nm: Floats | None = None) -> Operator:
    """Twin of `to_absorbance`."""

    def absorb(reflectance: Floats) -> Floats:
        if not (reflectance > 0).all():
            raise PreprocessError(
                f"reflectance {_which(reflectance, ~(reflectance > 0), wavelengths_nm)} is not above zero and has no "
                "absorbance: check dark current and white reference, or the wavelength range"
            )
        return -np.log10(reflectance)

    return absorb


def to_absorbance(reflectance: ArrayLike, wavelengths_nm: Floats | None = None) -> Floats:
    """Turn reflectance (a fraction) into apparent absorbance, A = log10(1 / R).

    Args:
        reflectance: (bands,) or (n, bands).
        wavelengths_nm: (bands,), only to name the wavelength in an error.

    Returns:
        Same shape as `reflectance`.

    Raises:
        PreprocessError: reflectance at or below zero; the message says which spectrum and where.
    """
    return absorption(wavelengths_nm)(as_spectra(reflectance))


def hull_over(wavelengths_nm: ArrayLike, hull: HullSide = "upper") -> Operator:
    """Twin of `continuum`."""
    nm = as_wavelengths(wavelengths_nm)
    if hull not in ("upper", "lower"):
        raise PreprocessError(f"a hull is upper or lower, not {hull!r}")

    def draw(values: Floats) -> Floats:
        rows = values.reshape(-1, nm.size)
        drawn = upper_continuum(rows, nm) if hull == "upper" else -upper_continuum(-rows, nm)
        return drawn.reshape(values.shape)

    return draw


def continuum(values: ArrayLike, wavelengths_nm: ArrayLike, hull: HullSide = "upper") -> Floats:
    """Draw the convex hull over (or under) each spectrum, straight between its corners.

    Args:
        values: (bands,) or (n, bands).
        wavelengths_nm: (bands,), uniform or not.
        hull: "upper" lies over the spectrum, "lower" under it.

    Returns:
        Same shape as `values`.

    Raises:
        PreprocessError: unknown side.
    """
    nm = as_wavelengths(wavelengths_nm)
    return hull_over(nm, hull)(as_spectra(values, nm.size))


def continuum_removal(
    wavelengths_nm: ArrayLike, method: ContinuumMethod = "divide", hull: HullSide = "upper"
) -> Operator:
    """Twin of `remove_continuum`."""
    nm = as_wavelengths(wavelengths_nm)
    if method not in ("divide", "subtract"):
        raise PreprocessError(f"a continuum is removed by divide or subtract, not {method!r}")
    draw = hull_over(nm, hull)

    def divide(values: Floats) -> Floats:
        drawn = draw(values)
        if not (drawn > 0).all():
            raise PreprocessError(
                f"the continuum, {_which(drawn, ~(drawn > 0), nm)}, is not above zero: it cannot be divided by"
            )
        return values / drawn

    return divide if method == "divide" else lambda values: values - draw(values)


def remove_continuum(
    values: ArrayLike,
    wavelengths_nm: ArrayLike,
    method: ContinuumMethod = "divide",
    hull: HullSide = "upper",
) -> Floats:
    """Take the continuum, the spectrum's convex hull, out of it (Clark and Roush 1984, J. Geophys. Res. 89:6329).

    The usual pairs are divide for reflectance and subtract for absorbance.

    Args:
        values: (bands,) or (n, bands) reflectance or absorbance.
        wavelengths_nm: (bands,), uniform or not.
        method: "divide" (1 on the hull) or "subtract" (0 on the hull).
        hull: "upper" lies over the spectrum, "lower" under it.

    Returns:
        Same shape as `values`.

    Raises:
        PreprocessError: unknown method or side; or a continuum that is not above zero is to be divided by.
    """
    nm = as_wavelengths(wavelengths_nm)
    return continuum_removal(nm, method, hull)(as_spectra(values, nm.size))


def window_bands(window_nm: float, step_nm: float) -> int:
    """Turn a window in nm into the odd number of bands nearest to window / step."""
    return 2 * math.floor((window_nm / step_nm + 1e-9) / 2) + 1


@lru_cache(maxsize=32)
def _savitzky_golay_kernel(bands: int, degree: int) -> Floats:
    """Give the (bands, bands) matrix that fits a polynomial to a window and evaluates it at each of its places."""
    x = np.linspace(-1.0, 1.0, bands)
    basis, _ = np.linalg.qr(np.vander(x, degree + 1, increasing=True))
    kernel: Floats = basis @ basis.T
    kernel.setflags(write=False)
    return kernel


def smoothing(wavelengths_nm: ArrayLike, window_nm: float = 31.0, degree: int = 2) -> Operator:
    """Twin of `savitzky_golay`."""
    nm = as_wavelengths(wavelengths_nm)
    step_nm = uniform_step_nm(nm)
    bands = window_bands(window_nm, step_nm)
    if degree < 0 or bands <= degree:
        raise PreprocessError(
            f"a window of {window_nm:g} nm is {bands} band(s) of {step_nm:g} nm: too few for degree {degree}"
        )
    if bands > nm.size:
        raise PreprocessError(f"a window of {window_nm:g} nm is {bands} bands; the spectrum has {nm.size}")
    kernel = _savitzky_golay_kernel(bands, degree)
    half = bands // 2

    def smooth(values: Floats) -> Floats:
        smoothed = np.empty_like(values)
        smoothed[..., half : values.shape[-1] - half] = (
            sliding_window_view(values, bands, axis=-1) @ kernel[half]
        )
        if half:
            smoothed[..., :half] = values[..., :bands] @ kernel[:half].T
            smoothed[..., -half:] = values[..., -bands:] @ kernel[-half:].T
        return smoothed

    return smooth


def savitzky_golay(
    values: ArrayLike, wavelengths_nm: ArrayLike, window_nm: float = 31.0, degree: int = 2
) -> Floats:
    """Smooth by least-squares polynomials in a sliding window (Savitzky and Golay 1964, Anal. Chem. 36:1627).

    Equal to `scipy.signal.savgol_filter(values, bands, degree)`, with its default treatment of the edges: the first
    and last half window are read off the polynomial fitted to the first and last whole window.

    Args:
        values: (bands,) or (n, bands).
        wavelengths_nm: (bands,) uniform.
        window_nm: becomes the odd number of bands nearest to window / step: 31 nm is 31 bands of 1 nm.
        degree: of the polynomial.

    Returns:
        Same shape as `values`.

    Raises:
        PreprocessError: the grid is not uniform, or the window is too short for the degree or longer than the spectrum.
    """
    nm = as_wavelengths(wavelengths_nm)
    return smoothing(nm, window_nm, degree)(as_spectra(values, nm.size))


def differentiation(wavelengths_nm: ArrayLike, order: int = 1) -> Operator:
    """Twin of `derivative`."""
    nm = as_wavelengths(wavelengths_nm)
    if order not in (1, 2):
        raise PreprocessError(f"derivative of order {order}: 1 or 2 can be had")
    if nm.size < 2:
        raise PreprocessError("a derivative needs two bands")
    left, right = np.diff(nm)[:-1], np.diff(nm)[1:]
    uniform = np.allclose(np.diff(nm), nm[1] - nm[0], rtol=1e-9, atol=0)
    before, at, after = (
        -right / (left * (left + right)),
        (right - left) / (left * right),
        left / (right * (left + right)),
    )
    first_nm, last_nm = nm[1] - nm[0], nm[-1] - nm[-2]

    def differentiate(values: Floats) -> Floats:
        slopes = np.empty_like(values)
        if uniform:
            np.subtract(values[..., 2:], values[..., :-2], out=slopes[..., 1:-1])
            slopes[..., 1:-1] /= 2 * first_nm
        else:
            slopes[..., 1:-1] = before * values[..., :-2] + at * values[..., 1:-1] + after * values[..., 2:]
        slopes[..., 0] = (values[..., 1] - values[..., 0]) / first_nm
        slopes[..., -1] = (values[..., -1] - values[..., -2]) / last_nm
        return slopes

    return differentiate if order == 1 else lambda values: differentiate(differentiate(values))


def derivative(values: ArrayLike, wavelengths_nm: ArrayLike, order: int = 1) -> Floats:
    """Differentiate by central differences, per nm; equal to `numpy.gradient(values, wavelengths_nm, axis=-1)`.

    Args:
        values: (bands,) or (n, bands).
        wavelengths_nm: (bands,), uniform or not.
        order: 1, or 2 for the gradient of the gradient.

    Returns:
        Same shape as `values`; its unit per nm (per nm squared).

    Raises:
        PreprocessError: another order.
    """
    nm = as_wavelengths(wavelengths_nm)
    return differentiation(nm, order)(as_spectra(values, nm.size))


def standard_normal_variate(values: ArrayLike) -> Floats:
    """Give each spectrum mean 0 and standard deviation 1 (Barnes et al. 1989, Appl. Spectrosc. 43:772).

    Args:
        values: (bands,) or (n, bands), two bands at least.

    Returns:
        Same shape as `values`; the standard deviation is the sample's (bands - 1).

    Raises:
        PreprocessError: a spectrum is the same at every band.
    """
    return normalise(as_spectra(values))


def normalise(spectra: Floats) -> Floats:
    """Twin of `standard_normal_variate`: the operator itself, since it needs no grid."""
    centred = spectra - spectra.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.square(centred).sum(axis=-1, keepdims=True) / (spectra.shape[-1] - 1))
    flat = spread <= 1e-12 * np.abs(spectra).max(axis=-1, keepdims=True)
    if flat.any():
        raise PreprocessError("a spectrum that is the same at every band cannot be scaled to unit variance")
    return centred / spread


def average_replicates(values: ArrayLike, groups: Sequence[Hashable]) -> tuple[Floats, list[Hashable]]:
    """Average the spectra of each group, such as the five points of one sample.

    Args:
        values: (n, bands).
        groups: (n,) names, such as sample ids.

    Returns:
        (groups, bands) means, and the names in the order in which they first occur.

    Raises:
        PreprocessError: not one name for each spectrum.
    """
    spectra = as_spectra(values)
    if spectra.ndim != 2 or len(groups) != spectra.shape[0]:
        raise PreprocessError(
            f"{len(groups)} group names for spectra of shape {spectra.shape}: one each is needed"
        )
    rows: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    means = [spectra[members].mean(axis=0) for members in rows.values()]
    return np.array(means).reshape(len(rows), spectra.shape[1]), list(rows)


@lru_cache(maxsize=8)
def hann_window(length: int) -> Floats:
    """Give the window that `tf.signal.hann_window(length)` really returns: periodic only for even lengths."""
    if length == 1:
        return np.ones(1)
    window: Floats = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - length % 2))
    window.setflags(write=False)
    return window


def stft_shape(
    bands: int, frame_length: int, frame_step: int, fft_length: int | None
) -> tuple[int, int, int]:
    """Give (frames, bins, fft_length) of a spectrogram.

    Raises:
        PreprocessError: the spectrum is shorter than one frame, or lengths that cannot be.
    """
    if frame_length < 1 or frame_step < 1:
        raise PreprocessError(f"frames of {frame_length} bands every {frame_step}: both must be 1 or more")
    length = 1 << (frame_length - 1).bit_length() if fft_length is None else fft_length
    if length < frame_length:
        raise PreprocessError(f"FFT length {length} is shorter than the frame of {frame_length} bands")
    if bands < frame_length:
        raise PreprocessError(f"{bands} bands are shorter than one frame of {frame_length}")
    return 1 + (bands - frame_length) // frame_step, length // 2 + 1, length


def spectrogram(
    bands: int, frame_length: int = 255, frame_step: int = 128, fft_length: int | None = None
) -> Operator:
    """Twin of `stft_magnitude`."""
    _, _, length = stft_shape(bands, frame_length, frame_step, fft_length)
    window = hann_window(frame_length)

    def transform(values: Floats) -> Floats:
        frames = sliding_window_view(values, frame_length, axis=-1)[..., ::frame_step, :]
        return np.abs(np.fft.rfft(frames * window, length, axis=-1))[..., np.newaxis]

    return transform


def stft_magnitude(
    values: ArrayLike, frame_length: int = 255, frame_step: int = 128, fft_length: int | None = None
) -> Floats:
    """Take the magnitude of the short-time Fourier transform along the bands.

    Equal to `tf.abs(tf.signal.stft(values, frame_length, frame_step, fft_length))[..., tf.newaxis]`: Hann window
    (see `hann_window`), no padding at the end, FFT length the next power of two unless given.

    Args:
        values: (bands,) or (n, bands) on a uniform grid.
        frame_length: bands in a frame.
        frame_step: bands from one frame to the next.
        fft_length: at least `frame_length`; None for the next power of two.

    Returns:
        (frames, bins, 1) or (n, frames, bins, 1): (14, 129, 1) for 2001 bands.

    Raises:
        PreprocessError: the spectrum is shorter than one frame, or lengths that cannot be.
    """
    spectra = as_spectra(values)
    return spectrogram(spectra.shape[-1], frame_length, frame_step, fft_length)(spectra)
