"""The spectrogram, and the whole preprocessing, against the paper's own tools: SciPy and TensorFlow.

"Relative" is the largest difference anywhere over the largest magnitude of the reference: a magnitude near zero, where
float32 has no digits left, is not held against anything.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import savgol_filter
from scipy.spatial import ConvexHull
from stibium.edge.model.filters import hann_window
from stibium.edge.model.presets import RECIPES, paper_recipe
from stibium.edge.model.steps import Spectrogram

tf = pytest.importorskip("tensorflow")

PAPER_NM = np.arange(400.0, 2401.0)


def relative(ours: np.ndarray, reference: np.ndarray) -> float:
    assert ours.shape == reference.shape
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def made_up_soils(nm: np.ndarray, n: int) -> np.ndarray:
    rng = np.random.default_rng(42)
    level = 0.1 + 0.4 * (1 - np.exp(-(nm - 300) / 500)) * rng.uniform(0.6, 1, (n, 1))
    depth = rng.uniform(0.02, 0.2, (3, n, 1))
    bands = [(900, 100), (1910, 35), (2200, 20)]
    dips = sum(d * np.exp(-(((nm - at) / width) ** 2)) for d, (at, width) in zip(depth, bands, strict=True))
    return np.asarray(level * (1 - dips) + rng.normal(0, 3e-4, (n, nm.size)))


@pytest.mark.parametrize("length", [1, 2, 3, 128, 255, 256, 257])
def test_the_window_is_the_one_tensorflow_really_returns(length: int) -> None:
    np.testing.assert_allclose(hann_window(length), tf.signal.hann_window(length, dtype=tf.float64).numpy(), atol=1e-15)


@pytest.mark.parametrize(
    ("bands", "length", "step", "fft_length"),
    [
        (2001, 255, 128, None),
        (2001, 256, 128, None),
        (2001, 255, 128, 512),
        (255, 255, 128, None),
        (256, 255, 128, None),
        (1919, 255, 128, None),
        (1920, 255, 128, None),
        (1001, 64, 16, None),
        (201, 63, 10, 100),
        (201, 33, 40, 33),
        (50, 1, 1, None),
    ],
)
def test_the_spectrogram_is_tensorflows(bands: int, length: int, step: int, fft_length: int | None) -> None:
    values = np.random.default_rng(bands).normal(size=(3, bands))
    reference = tf.abs(tf.signal.stft(values, length, step, fft_length))[..., tf.newaxis].numpy()
    assert relative(Spectrogram(length, step, fft_length).apply(values, 400.0 + np.arange(bands)), reference) < 1e-12
    assert (
        relative(Spectrogram(length, step, fft_length).apply(values[1], 400.0 + np.arange(bands)), reference[1]) < 1e-12
    )
    # As it stands in the paper, TensorFlow gets float32.
    single = tf.abs(tf.signal.stft(values.astype(np.float32), length, step, fft_length))[..., tf.newaxis].numpy()
    assert (
        relative(
            Spectrogram(length, step, fft_length).apply(values.astype(np.float32), 400.0 + np.arange(bands)), single
        )
        < 1e-6
    )


def upper_hull(values: np.ndarray) -> np.ndarray:
    corners = ConvexHull(np.column_stack([PAPER_NM, values])).vertices
    # SciPy goes round counterclockwise: from the last band back to the first it goes over the top.
    round_from_last = np.roll(corners, -int(np.argmax(corners)))
    top = round_from_last[: int(np.argmin(round_from_last)) + 1][::-1]
    return np.interp(PAPER_NM, PAPER_NM[top], values[top])


def as_in_the_paper(reflectance: np.ndarray, continuum_first: bool, dtype: type) -> np.ndarray:
    """(2001,) reflectance to a spectrogram, with the paper's own tools."""
    if continuum_first:
        x = np.log10(1 / (reflectance / upper_hull(reflectance)))
    else:
        x = np.log10(1 / reflectance)
        x = x - upper_hull(x)
    x = np.gradient(savgol_filter(x, 31, 2))
    return np.asarray(tf.abs(tf.signal.stft(x.astype(dtype), 255, 128))[..., tf.newaxis].numpy())


@pytest.mark.parametrize("continuum_first", [False, True])
def test_the_whole_recipe_is_the_papers(continuum_first: bool) -> None:
    nm = np.arange(350.0, 2501.0)
    soils = made_up_soils(nm, 12)
    name = "paper-continuum-first" if continuum_first else "paper"
    ours = RECIPES[name].preprocess(soils, nm).features
    for reflectance, features in zip(soils, ours, strict=True):
        used = reflectance[50:2051]
        assert relative(features, as_in_the_paper(used, continuum_first, np.float64)) < 1e-10
        assert relative(features, as_in_the_paper(used, continuum_first, np.float32)) < 1e-6


@pytest.mark.parametrize("continuum_first", [False, True])
def test_the_whole_recipe_is_the_papers_on_real_soils(shared_data, continuum_first: bool) -> None:  # type: ignore[no-untyped-def]
    table = np.genfromtxt(shared_data / "soil" / "geeves_contact_probe.csv.gz", delimiter=",", skip_header=1)
    soils = table[::5, -2151:]
    ours = paper_recipe(continuum_first).preprocess(soils, np.arange(350.0, 2501.0)).features
    for reflectance, features in zip(soils, ours, strict=True):
        used = reflectance[50:2051]
        assert relative(features, as_in_the_paper(used, continuum_first, np.float64)) < 1e-10
        assert relative(features, as_in_the_paper(used, continuum_first, np.float32)) < 1e-6
