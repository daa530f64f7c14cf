"""What makes a model's answers hold at another site or on another instrument; found by `stibium adapt`.

The spectra of another instrument are first made to look as the calibration's instrument would have seen them, before
the recipe and before the applicability domain; the network's output is then shifted and stretched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...converters.spectra.spectrum import Floats
from .recipe import Blocks, Preprocessed, Recipe

LEAST_REFLECTANCE = 1e-4
"""What is darker is taken for this, so that it has an absorbance."""
ARRAYS = ("offset", "weights", "left", "right")


@dataclass(frozen=True, eq=False)
class SpectraCorrection:
    """From the absorbance that one instrument sees to the one that another would see, on the model's grid.

    `offset + weights over neighbouring bands + (absorbance @ left) @ right`: direct standardisation has only the last
    term, piecewise direct standardisation only the weights, space transformation weights of 1 and the last term.

    Attributes:
        offset: (bands,).
        weights: (bands, window) of the band and its neighbours, as many on either side.
        left: (bands, rank).
        right: (rank, bands).
        method: in words.
    """

    offset: Floats
    weights: Floats
    left: Floats
    right: Floats
    method: str

    def apply(self, absorbance: ArrayLike) -> Floats:
        """Correct (n, bands) absorbance on the model's grid."""
        values = np.asarray(absorbance, dtype=np.float64)
        half = self.weights.shape[1] // 2
        # Beyond the ends the last band goes on.
        padded = np.pad(values, ((0, 0), (half, half)), mode="edge") if half else values
        near = np.lib.stride_tricks.sliding_window_view(padded, self.weights.shape[1], axis=1)
        corrected: Floats = self.offset + np.einsum("nbw,bw->nb", near, self.weights)
        if self.left.size:
            corrected += (values @ self.left) @ self.right
        return corrected


@dataclass(frozen=True, eq=False)
class Correction:
    """What is done to spectra before the recipe, and to outputs before they are an answer.

    Attributes:
        slope, intercept: output, in the transform's space, to `intercept + slope * output`.
        spectra: None where the calibration's own instrument measures.
    """

    slope: float = 1.0
    intercept: float = 0.0
    spectra: SpectraCorrection | None = None

    @property
    def is_none(self) -> bool:
        """True if it changes nothing."""
        return (self.slope, self.intercept) == (1.0, 0.0) and self.spectra is None

    def of_outputs(self, outputs: Floats) -> Floats:
        """Correct (n,) outputs of the network."""
        return outputs if (self.slope, self.intercept) == (1.0, 0.0) else self.intercept + self.slope * outputs

    def preprocess(
        self, recipe: Recipe | Blocks, values: ArrayLike, wavelengths_nm: Floats, splices_nm: Sequence[float]
    ) -> Preprocessed:
        """Correct (n, bands) reflectance and run the recipe; see `Recipe.preprocess`, which says what is raised."""
        if self.spectra is None:
            return recipe.preprocess(values, wavelengths_nm, splices_nm)
        on_grid = Recipe(recipe.beginning).preprocess(values, wavelengths_nm, splices_nm).features
        corrected = np.power(10.0, -self.spectra.apply(absorbance(on_grid)))
        # Its detectors' steps are taken out, or there are none to take out.
        return recipe.preprocess(corrected, recipe.grid_nm, ())


NO_CORRECTION = Correction()


def absorbance(reflectance: ArrayLike) -> Floats:
    """Take reflectance of any shape to log10(1/R)."""
    return np.asarray(-np.log10(np.maximum(np.asarray(reflectance, dtype=np.float64), LEAST_REFLECTANCE)))


def fits_grid(correction: Correction, grid_nm: Floats) -> bool:
    """Tell whether a correction of spectra has as many bands as a grid."""
    return correction.spectra is None or correction.spectra.offset.size == grid_nm.size


def pack_correction(correction: Correction) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Give a correction as JSON values and as named arrays."""
    spectra = correction.spectra
    values = {
        "slope": correction.slope,
        "intercept": correction.intercept,
        "spectra": None if spectra is None else {"method": spectra.method},
    }
    return values, {} if spectra is None else {f"correction_{name}": getattr(spectra, name) for name in ARRAYS}


def unpack_correction(values: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Correction:
    """Read what `pack_correction` gave."""
    spectra = values["spectra"]
    found = None
    if spectra is not None:
        found = SpectraCorrection(**{name: arrays[f"correction_{name}"] for name in ARRAYS}, method=spectra["method"])
    return Correction(values["slope"] + 0.0, values["intercept"] + 0.0, found)
