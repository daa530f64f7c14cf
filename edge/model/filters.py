"""The maths of linear filters along the bands: smoothing, derivatives, short-time Fourier transform.

Each function prepares an operator for spectra of so many bands; what the parameters may be is checked in `steps`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from ...converters.spectra.spectrum import Floats
from .grid import Operator

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
    """Return the odd number of bands nearest to window / step, the larger of two equally near."""
    return 2 * math.floor((window_nm / step_nm + 1e-9) / 2) + 1


@lru_cache(maxsize=16)
def _smoothing_weights(window: int, degree: int) -> tuple[Floats, Floats, Floats]:
    """Return the weights that smooth a window's first half, the middles of a block of windows, and its last half.

    Each is a matrix to multiply bands by from the left. With an orthonormal basis Q of the polynomials on the window,
    Q Q' fits one to the window and evaluates it at each of its places.
    """
    half = window // 2
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1.0, 1.0, window), degree + 1))
    fit = basis @ basis.T
    middles = np.zeros((BLOCK + window - 1, BLOCK))
    for i in range(BLOCK):
        middles[i : i + window, i] = fit[half]
    weights = fit[:, :half].copy(), middles, fit[:, window - half :].copy()
    for array in weights:
        array.setflags(write=False)
    return weights


def smoothing(bands: int, window: int, degree: int) -> Operator:
    """Prepare `scipy.signal.savgol_filter(values, window, degree)`, its treatment of the ends included."""
    to_first, to_middles, to_last = _smoothing_weights(window, degree)
    half = window // 2
    blocks, rest = divmod(bands - window + 1, BLOCK)
    in_blocks = blocks * BLOCK

    def smooth(values: Floats) -> Floats:
        smoothed = np.empty(values.shape)
        if blocks:
            # Contiguous, because BLAS does not take windows that overlap and NumPy's own loops are slower.
            windows = np.ascontiguousarray(_windows(values, to_middles.shape[0], BLOCK, blocks))
            product = windows.reshape(-1, to_middles.shape[0]) @ to_middles
            smoothed[..., half : half + in_blocks] = product.reshape(*values.shape[:-1], in_blocks)
        smoothed[..., half + in_blocks : bands - half] = (
            values[..., in_blocks:] @ to_middles[: rest + window - 1, :rest]
        )
        smoothed[..., :half] = values[..., :window] @ to_first
        smoothed[..., bands - half :] = values[..., -window:] @ to_last
        return smoothed

    return smooth


def polynomial_derivative(bands: int, step_nm: float, window: int, degree: int, order: int, every: int) -> Operator:
    """Prepare `scipy.signal.savgol_filter(values, window, degree, deriv=order, delta=step_nm)[..., ::every]`."""
    kept = np.arange(0, bands, every)
    starts = np.clip(kept - window // 2, 0, bands - window)
    # The coefficients of the polynomial fitted to a window are linear in its values; so is its derivative at a band.
    to_coefficients = np.linalg.pinv(np.vander(np.arange(window) - window // 2, degree + 1, increasing=True))
    powers = np.arange(order, degree + 1)
    factors = np.array([math.perm(int(p), order) for p in powers], dtype=np.float64) / step_nm**order
    at = kept - starts - window // 2
    weights = (factors * at[:, None].astype(np.float64) ** (powers - order)) @ to_coefficients[powers]
    middle = np.flatnonzero(at == 0)
    ends = np.flatnonzero(at != 0)
    to_middle = weights[middle[0]] if middle.size else np.empty(0)

    def differentiate(values: Floats) -> Floats:
        out = np.empty((*values.shape[:-1], kept.size))
        windows = sliding_window_view(values, window, axis=-1)
        if middle.size:
            first = starts[middle[0]]
            # Contiguous, because BLAS does not take windows that overlap.
            chosen = np.ascontiguousarray(windows[..., first : starts[middle[-1]] + 1 : every, :])
            out[..., middle] = chosen @ to_middle
        for row in ends:
            out[..., row] = windows[..., starts[row], :] @ weights[row]
        return out

    return differentiate


def gradient(wavelengths_nm: Floats) -> Operator:
    """Prepare `numpy.gradient(values, wavelengths_nm, axis=-1)`."""
    steps = np.diff(wavelengths_nm)
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

    return slope


def hann_window(length: int) -> Floats:
    """Return the window of `tf.signal.hann_window(length)`: its default is periodic, but only for even lengths.

    For an odd length, such as 255, TensorFlow returns the symmetric window whatever `periodic` says.
    """
    if length == 1:
        return np.ones(1)
    window: Floats = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - length % 2))
    return window


def stft_magnitude(bands: int, frame_length: int, frame_step: int, fft_length: int) -> Operator:
    """Prepare `tf.abs(tf.signal.stft(values, frame_length, frame_step, fft_length))[..., tf.newaxis]`."""
    count = 1 + (bands - frame_length) // frame_step
    # A window that ends in zeros saves padding each frame to the FFT's length, where the spectrum is long enough.
    fits = (count - 1) * frame_step + fft_length <= bands
    window = np.zeros(fft_length if fits else frame_length)
    window[:frame_length] = hann_window(frame_length)

    def transform(values: Floats) -> Floats:
        frames = _windows(values, window.size, frame_step, count) * window
        magnitude: Floats = np.abs(np.fft.rfft(frames, fft_length))
        return magnitude[..., np.newaxis]

    return transform
