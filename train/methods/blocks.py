"""Preprocessing blocks: several Savitzky-Golay filters of absorbance side by side, as a device computes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.presets import BLOCKS, KEEP_NM, block_recipe
from ...edge.model.recipe import Blocks
from ...edge.model.scaling import Scaling
from .baselines import Variant
from .common import as_stored, common_range

VARIANTS = tuple(Variant(*setting) for setting in BLOCKS)


def blocks_on(wavelengths_nm: Floats, variants: Sequence[Variant] = VARIANTS, keep_nm: float = KEEP_NM) -> Blocks:
    """Give the blocks for spectra of these wavelengths (bands,).

    Raises:
        TrainingDataError: they cover too little.
    """
    grid = common_range(wavelengths_nm)
    return Blocks(tuple(block_recipe(v.order, v.window_nm, v.snv, grid, keep_nm) for v in variants))


def divide(features: Floats, sizes: Sequence[int]) -> list[Floats]:
    """Give (n, bands) of each block of these sizes for (n, features) of all."""
    return np.split(features, np.cumsum(sizes)[:-1], axis=1)


def block_scaling(features: Floats, sizes: Sequence[int]) -> Scaling:
    """Scale each band to about one standard deviation, those that hardly vary to less; rounded as a bundle does.

    Args:
        features: (n, features) of training rows.
        sizes: of the blocks that gave them.
    """
    parts = divide(features, sizes)
    # Without the addition, noise of a band that does not vary would become as large as any signal.
    scales = [part.std(axis=0) + 1e-3 * (float(part.std()) or 1.0) for part in parts]
    return as_stored(Scaling(features.mean(axis=0), np.concatenate(scales)))
