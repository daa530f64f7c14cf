"""Preprocessing one spectrum by the paper's recipe, against the paper's own tools: SciPy and `tf.signal.stft`."""

from __future__ import annotations

import os
import sys
from statistics import median
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: it is chatty
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
from numpy.typing import NDArray
from samples import DEMO_SAMPLES
from scipy.signal import savgol_filter
from scipy.spatial import ConvexHull
from stibium.converters.spectra.read import read_spectra
from stibium.converters.spectra.spectrum import Floats
from stibium.edge.model.presets import RECIPES
from stibium.train.methods.tensorflow_setup import quiet

with quiet():
    import tensorflow as tf

    tf.constant(0.0)  # its first call has things to say, too

RATIO_BOUND = 6
DIFFERENCE_BOUND = 1e-6
BATCH = 64
PASSES = 20

PAPER_NM = np.arange(400.0, 2401.0)


def upper_hull(values: Floats) -> Floats:
    corners = ConvexHull(np.column_stack([PAPER_NM, values])).vertices
    # SciPy goes round counterclockwise: from the last band back to the first it goes over the top.
    from_last = np.roll(corners, -int(np.argmax(corners)))
    top = from_last[: int(np.argmin(from_last)) + 1][::-1]
    return np.interp(PAPER_NM, PAPER_NM[top], values[top])


def with_the_papers_tools(reflectance: Floats, continuum_first: bool) -> NDArray[np.float32]:
    """Make (14, 129, 1) of (2001,) as the paper says it was done."""
    if continuum_first:
        x = np.log10(1 / (reflectance / upper_hull(reflectance)))
    else:
        x = np.log10(1 / reflectance)
        x = x - upper_hull(x)
    x = np.gradient(savgol_filter(x, 31, 2))
    spectrogram = tf.abs(tf.signal.stft(x.astype(np.float32), 255, 128))[..., tf.newaxis]
    return np.asarray(spectrogram.numpy())


def main() -> bool:
    """Print both orders' ratios and the agreement; True if they are within bounds."""
    # The wavelengths come whole, as from the instrument; the paper's tools get the part they need for nothing.
    recorded = [s for s in read_spectra(DEMO_SAMPLES) if s.wavelengths_nm.size == 2151][:BATCH]
    batch = np.stack([recorded[i % len(recorded)].values for i in range(BATCH)])
    nm = recorded[0].wavelengths_nm
    within = True
    print(f"preprocessing, median of {PASSES} x {BATCH} interleaved pairs, shipped simulated spectra of 2151 bands")
    for name, recipe in RECIPES.items():
        continuum_first = name == "paper-continuum-first"
        ours, theirs, together, differences = [], [], [], []
        for n in range(PASSES + 1):
            for spectrum in batch:
                start = perf_counter()
                features = recipe.preprocess(spectrum, nm).features
                middle = perf_counter()
                reference = with_the_papers_tools(spectrum[50:2051], continuum_first)
                end = perf_counter()
                if n:  # the first pass fills the caches
                    ours.append(middle - start)
                    theirs.append(end - middle)
                else:
                    differences.append(float(np.abs(features - reference).max() / reference.max()))
            start = perf_counter()
            recipe.preprocess(batch, nm, (1000.0, 1800.0))
            together.append((perf_counter() - start) / BATCH)
        ratio = median(theirs) / median(ours)
        print(
            f"  {name + ',':22s} one spectrum {1e3 * median(ours):.3f} ms, SciPy + tf.signal.stft"
            f" {1e3 * median(theirs):.2f} ms: ratio {ratio:.1f} (bound {RATIO_BOUND} or more)"
        )
        print(
            f"  {'':22s} in batches of {BATCH}, with splice correction: {1e3 * median(together):.3f} ms a spectrum;"
            f" largest difference {max(differences):.1e} of the largest magnitude (bound {DIFFERENCE_BOUND:g})"
        )
        within = within and ratio >= RATIO_BOUND and max(differences) <= DIFFERENCE_BOUND
    return within


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
