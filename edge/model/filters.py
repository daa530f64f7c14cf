"""Linear filters along the bands: smoothing, derivatives, short-time Fourier transform."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError
from .arrays import Operator, as_spectra, as_wavelengths, uniform_step_nm

HIGHEST_DEGREE = 10
BLOCK = 32
"""Bands smoothed by one column block of a matrix product; measured fastest of 16 to 128 with a window of 31."""


def _windows(values: Floats, length: int, step: int, count: int) -> Floats:
    """View the last axis as (count, length) windows every `step` bands; the caller sees to it that they fit."""
    stride = values.strides[-1]
    return as_strided(
        values,
        (*values.shape[:-1], count, length),
        (*values.strides[:-1], step * stride, stride),
        writeable=False,
    )


def window_bands(window_nm: float, step_nm: float) -> int:
    """Give the odd number of bands nearest to window / step, the larger of two equally near."""
    return 2 * math.floor((window_nm / step_nm + 1e-9) / 2) + 1


@lru_cache(maxsize=16)
def _savitzky_golay_weights(bands: int, degree: int) -> tuple[Floats, Floats, Floats]:
    """Give the weights that smooth a window's first half, the middles of a block of windows, and its last half.

    Each is a matrix to multiply bands by from the left. With an orthonormal basis Q of the polynomials on the window,
    Q Q' fits one to the window and evaluates it at each of its places.
    """
    half = bands // 2
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1.0, 1.0, bands), degree + 1))
    fit = basis @ basis.T
    middles = np.zeros((BLOCK + bands - 1, BLOCK))
    for i in range(BLOCK):
        middles[i : i + bands, i] = fit[half]
    weights = fit[:, :half].copy(), middles, fit[:, bands - half :].copy()
    for array in weights:
        array.setflags(write=False)
    return weights


def savitzky_golay_operator(wavelengths_nm: ArrayLike, window_nm: float = 31.0, degree: int = 2) -> Operator:
    """Twin of `savitzky_golay`."""
    nm = as_wavelengths(wavelengths_nm)
    step_nm = uniform_step_nm(nm)
    if not (math.isfinite(window_nm) and window_nm > 0 and 0 <= degree <= HIGHEST_DEGREE):
        raise PreprocessError(
            f"smoothing needs a window above 0 nm and a degree of 0 to {HIGHEST_DEGREE}, not {window_nm:g} and {degree}"
        )
    bands = window_bands(window_nm, step_nm)
    if bands <= degree:
        raise PreprocessError(
            f"a window of {window_nm:g} nm is {bands} band{'s' * (bands > 1)} of {step_nm:g} nm; degree {degree} "
            f"needs {degree + 1 + degree % 2} ({(degree + 1 + degree % 2) * step_nm:g} nm)"
        )
    if bands > nm.size:
        raise PreprocessError(f"a window of {window_nm:g} nm is {bands} bands; the spectrum has {nm.size}")
    to_first, to_middles, to_last = _savitzky_golay_weights(bands, degree)
    half = bands // 2
    blocks, rest = divmod(nm.size - bands + 1, BLOCK)
    in_blocks = blocks * BLOCK

    def smooth(values: Floats) -> Floats:
        smoothed = np.empty(values.shape)
        if blocks:
            # Contiguous, because BLAS does not take windows that overlap and NumPy's own loops are slower.
            windows = np.ascontiguousarray(_windows(values, to_middles.shape[0], BLOCK, blocks))
            product = windows.reshape(-1, to_middles.shape[0]) @ to_middles
            smoothed[..., half : half + in_blocks] = product.reshape(*values.shape[:-1], in_blocks)
        smoothed[..., half + in_blocks : nm.size - half] = (
            values[..., in_blocks:] @ to_middles[: rest + bands - 1, :rest]
        )
        smoothed[..., :half] = values[..., :bands] @ to_first
        smoothed[..., nm.size - half :] = values[..., -bands:] @ to_last
        return smoothed

    return smooth


def savitzky_golay(values: ArrayLike, wavelengths_nm: ArrayLike, window_nm: float = 31.0, degree: int = 2) -> Floats:
    """Smooth by least-squares polynomials in a sliding window (Savitzky and Golay 1964, Anal. Chem. 36(8):1627).

    Equal to `scipy.signal.savgol_filter(values, bands, degree)` with its default treatment of the ends: the first and
    the last half window are read off the polynomial fitted to the first and the last whole window.

    Args:
        values: (bands,) or (n, bands), any unit.
        wavelengths_nm: (bands,), uniform.
        window_nm: becomes the odd number of bands nearest to window / step, so that 31 nm is 31 bands of 1 nm.
        degree: of the polynomial.

    Returns:
        Same shape and unit as `values`.

    Raises:
        PreprocessError: the grid is not uniform; the window has too few bands for the degree, or more than there are.
    """
    nm = as_wavelengths(wavelengths_nm)
    return savitzky_golay_operator(nm, window_nm, degree)(as_spectra(values, nm.size))


def savitzky_golay_derivative_operator(
    wavelengths_nm: ArrayLike, window_nm: float = 31.0, degree: int = 2, order: int = 1, keep_nm: float | None = None
) -> tuple[Operator, Floats]:
    """Twin of `savitzky_golay_derivative`: the operator, and the wavelengths it leaves."""
    nm = as_wavelengths(wavelengths_nm)
    # The plain filter knows what a window may be.
    savitzky_golay_operator(nm, window_nm, degree)
    step_nm = float((nm[-1] - nm[0]) / (nm.size - 1))
    if not 0 <= order <= degree:
        raise PreprocessError(f"a polynomial of degree {degree} has no derivative of order {order}")
    every = 1 if keep_nm is None else max(1, round(keep_nm / step_nm))
    bands = window_bands(window_nm, step_nm)
    kept = np.arange(0, nm.size, every)
    starts = np.clip(kept - bands // 2, 0, nm.size - bands)
    # The coefficients of the polynomial fitted to a window are linear in its values; so is its derivative at a band.
    to_coefficients = np.linalg.pinv(np.vander(np.arange(bands) - bands // 2, degree + 1, increasing=True))
    powers = np.arange(order, degree + 1)
    factors = np.array([math.perm(int(p), order) for p in powers], dtype=np.float64) / step_nm**order
    at = kept - starts - bands // 2
    weights = (factors * at[:, None].astype(np.float64) ** (powers - order)) @ to_coefficients[powers]
    middle = np.flatnonzero(at == 0)
    ends = np.flatnonzero(at != 0)
    to_middle = weights[middle[0]] if middle.size else np.empty(0)

    def differentiate(values: Floats) -> Floats:
        out = np.empty((*values.shape[:-1], kept.size))
        windows = np.lib.stride_tricks.sliding_window_view(values, bands, axis=-1)
        if middle.size:
            first = starts[middle[0]]
            # Contiguous, because BLAS does not take windows that overlap.
            chosen = np.ascontiguousarray(windows[..., first : starts[middle[-1]] + 1 : every, :])
            out[..., middle] = chosen @ to_middle
        for row in ends:
            out[..., row] = windows[..., starts[row], :] @ weights[row]
        return out

    return differentiate, nm[kept]


def savitzky_golay_derivative(
    values: ArrayLike,
    wavelengths_nm: ArrayLike,
    window_nm: float = 31.0,
    degree: int = 2,
    order: int = 1,
    keep_nm: float | None = None,
) -> tuple[Floats, Floats]:
    """Differentiate the sliding polynomials (Savitzky and Golay 1964), at every band or only every so-many nm.

    Equal to `scipy.signal.savgol_filter(values, bands, degree, deriv=order, delta=step_nm)` with its default
    treatment of the ends, of which it keeps every `keep_nm / step_nm`-th band, the first one included.

    Args:
        values: (bands,) or (n, bands), any unit.
        wavelengths_nm: (bands,), uniform.
        window_nm: becomes the odd number of bands nearest to window / step.
        degree: of the polynomial.
        order: of the derivative; 0 smooths.
        keep_nm: distance of the bands that are kept; None keeps all.

    Returns:
        (bands',) or (n, bands') per nm to the power of `order`, and the wavelengths that are kept, (bands',).

    Raises:
        PreprocessError: the grid is not uniform; the window has too few bands for the degree, or more than there are;
            the order is above the degree.
    """
    nm = as_wavelengths(wavelengths_nm)
    operator, kept_nm = savitzky_golay_derivative_operator(nm, window_nm, degree, order, keep_nm)
    return operator(as_spectra(values, nm.size)), kept_nm


def derivative_operator(wavelengths_nm: ArrayLike, order: int = 1) -> Operator:
    """Twin of `derivative`."""
    nm = as_wavelengths(wavelengths_nm)
    if order not in (1, 2):
        raise PreprocessError(f"a derivative is of order 1 or 2, not {order!r}")
    steps = np.diff(nm)
    first_nm, last_nm = steps[0], steps[-1]
    uniform = bool(np.abs(steps - first_nm).max() <= 1e-9 * first_nm)
    # Second-order accurate on unequal steps: the derivative of the parabola through each band and its two neighbours.
    left, right = steps[:-1], steps[1:]
    before, after = -right / (left * (left + right)), left / (right * (left + right))
    at = -(before + after)

    def slope(values: Floats) -> Floats:
        slopes = np.empty(values.shape)
        inner = slopes[..., 1:-1]
        if uniform:
            np.subtract(values[..., 2:], values[..., :-2], out=inner)
            inner /= 2 * first_nm
        else:
            np.multiply(values[..., 1:-1], at, out=inner)
            inner += values[..., :-2] * before
            inner += values[..., 2:] * after
        slopes[..., 0] = (values[..., 1] - values[..., 0]) / first_nm
        slopes[..., -1] = (values[..., -1] - values[..., -2]) / last_nm
        return slopes

    return slope if order == 1 else lambda values: slope(slope(values))


def derivative(values: ArrayLike, wavelengths_nm: ArrayLike, order: int = 1) -> Floats:
    """Differentiate by central differences; equal to `numpy.gradient(values, wavelengths_nm, axis=-1)`.

    Args:
        values: (bands,) or (n, bands), any unit.
        wavelengths_nm: (bands,), uniform or not.
        order: 1, or 2 for the gradient of the gradient.

    Returns:
        Same shape as `values`, in their unit per nm (per nm squared).

    Raises:
        PreprocessError: another order, or values that are not finite or do not match the wavelengths.
    """
    nm = as_wavelengths(wavelengths_nm)
    return derivative_operator(nm, order)(as_spectra(values, nm.size))


def hann_window(length: int) -> Floats:
    """Give the window of `tf.signal.hann_window(length)`: its default is periodic, but only for even lengths.

    For an odd length, such as 255, TensorFlow returns the symmetric window whatever `periodic` says.
    """
    if length == 1:
        return np.ones(1)
    window: Floats = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - length % 2))
    return window


def stft_magnitude_operator(
    bands: int, frame_length: int = 255, frame_step: int = 128, fft_length: int | None = None
) -> Operator:
    """Twin of `stft_magnitude`, for spectra of `bands` bands."""
    if frame_length < 1 or frame_step < 1:
        raise PreprocessError(f"a frame of {frame_length} bands every {frame_step}: both must be 1 or more")
    if frame_length > bands:
        raise PreprocessError(f"a frame of {frame_length} bands is longer than the spectrum, which has {bands}")
    length = 1 << (frame_length - 1).bit_length() if fft_length is None else fft_length
    if length < frame_length:
        raise PreprocessError(f"an FFT of length {length} would cut off frames of {frame_length} bands")
    count = 1 + (bands - frame_length) // frame_step
    # A window that ends in zeros saves padding each frame to the FFT's length, where the spectrum is long enough.
    fits = (count - 1) * frame_step + length <= bands
    window = np.zeros(length if fits else frame_length)
    window[:frame_length] = hann_window(frame_length)

    def transform(values: Floats) -> Floats:
        frames = _windows(values, window.size, frame_step, count) * window
        magnitude: Floats = np.abs(np.fft.rfft(frames, length))
        return magnitude[..., np.newaxis]

    return transform


def stft_magnitude(
    values: ArrayLike, frame_length: int = 255, frame_step: int = 128, fft_length: int | None = None
) -> Floats:
    """Take the magnitude of the short-time Fourier transform along the bands.

    Equal to `tf.abs(tf.signal.stft(values, frame_length, frame_step, fft_length))[..., tf.newaxis]`: the Hann window
    of `hann_window`, no padding at the end. The defaults are those of TensorFlow's audio tutorial.

    Args:
        values: (bands,) or (n, bands), on a uniform grid if the bins are to mean anything; any unit.
        frame_length: bands in a frame.
        frame_step: bands from the start of one frame to the next.
        fft_length: `frame_length` or more; None for the power of two that holds the frame.

    Returns:
        (frames, bins, 1) or (n, frames, bins, 1), such as (14, 129, 1) for 2001 bands; in the unit of `values`.

    Raises:
        PreprocessError: the spectrum is shorter than one frame, or lengths that cannot be.
    """
    spectra = as_spectra(values)
    return stft_magnitude_operator(spectra.shape[-1], frame_length, frame_step, fft_length)(spectra)
