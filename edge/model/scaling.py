"""Shifting and scaling of features, fitted on calibration spectra and carried in the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError, RecipeError


@dataclass(frozen=True, eq=False)
class Scaling:
    """Shift and divide features before the model: `(features - offset) / scale`.

    Attributes:
        offset: of a shape that broadcasts against one spectrum's features, such as (), (bins, 1) or (bands,).
        scale: likewise; above zero.

    Raises:
        RecipeError: a scale that is not above zero, or a value that is not finite.
    """

    offset: Floats
    scale: Floats

    def __post_init__(self) -> None:
        offset, scale = (np.array(value, dtype=np.float64) for value in (self.offset, self.scale))
        if not (np.isfinite(offset).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise RecipeError("a scaling needs finite offsets, and finite scales above zero")
        for name, value in (("offset", offset), ("scale", scale)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scaling):
            return NotImplemented
        return np.array_equal(self.offset, other.offset) and np.array_equal(self.scale, other.scale)

    def __hash__(self) -> int:
        return hash((self.offset.shape, self.offset.tobytes(), self.scale.shape, self.scale.tobytes()))

    def apply(self, features: ArrayLike) -> Floats:
        """Scale features, of one spectrum or of many.

        Returns:
            Same shape as `features`.

        Raises:
            PreprocessError: the features are not of the shape that the scaling was fitted on.
        """
        values = np.asarray(features, dtype=np.float64)
        wanted = np.broadcast_shapes(self.offset.shape, self.scale.shape)
        # Broadcasting may repeat the scaling over the features, never the features over the scaling.
        if values.shape[values.ndim - len(wanted) :] != wanted and not _repeats(wanted, values.shape):
            raise PreprocessError(f"features of shape {values.shape} do not fit a scaling of shape {wanted}")
        scaled: Floats = values - self.offset
        scaled /= self.scale
        return scaled


def _repeats(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    """Tell whether broadcasting an array of shape `small` against `large` leaves `large` as it is."""
    return len(small) <= len(large) and all(s in (1, n) for s, n in zip(reversed(small), reversed(large), strict=False))


def fit_scaling(features: ArrayLike, per: Literal["global", "bin"] = "global") -> Scaling:
    """Find the scaling that gives calibration features mean 0 and standard deviation 1.

    Args:
        features: (n, frames, bins, 1), or (n, bands).
        per: "global" for one offset and scale; "bin" for one in each frequency bin, over all frames, or in each band
            where there are no frames. What never varies is shifted but not scaled.

    Raises:
        RecipeError: unknown `per`, or features that are none, not finite, or of another shape.
    """
    values = np.asarray(features, dtype=np.float64)
    if values.size == 0 or values.ndim not in (2, 4) or per not in ("global", "bin"):
        raise RecipeError(f"no scaling per {per!r} can be fitted to features of shape {values.shape}")
    axes = tuple(range(values.ndim)) if per == "global" else tuple(range(values.ndim // 2))
    offset, scale = values.mean(axis=axes), values.std(axis=axes)
    varies = scale > 1e-12 * np.abs(values).max()
    return Scaling(offset, np.where(varies, scale, 1.0))
