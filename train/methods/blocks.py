"""Preprocessing blocks: several Savitzky-Golay filters of absorbance side by side, as a device computes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.recipe import Blocks, Recipe
from ...edge.model.scaling import Scaling
from ...edge.model.steps import Absorbance, Resample, SavitzkyGolayDerivative, StandardNormalVariate, Step
from .baselines import Variant
from .common import as_stored, common_range, recipe_on

VARIANTS = (
    Variant(1, 31, False),
    Variant(1, 31, True, True),
    Variant(0, 15, True),
    Variant(1, 61, False, True),
    Variant(2, 61, True),
    Variant(2, 61, False),
)
KEEP_NM = 10.0
"""Distance of the bands that a block keeps."""


def blocks_on(wavelengths_nm: Floats, variants: Sequence[Variant] = VARIANTS, keep_nm: float = KEEP_NM) -> Blocks:
    """Give the blocks for spectra of these wavelengths (bands,).

    Raises:
        TrainingDataError: they cover too little.
    """
    grid = common_range(wavelengths_nm)
    return Blocks(tuple(block_recipe(variant, grid, keep_nm) for variant in variants))


def block_recipe(variant: Variant, grid: Resample, keep_nm: float) -> Recipe:
    """Give a block's preprocessing: absorbance, perhaps SNV, Savitzky-Golay in one with thinning.

    Autoscaling is no part of it: a network's first layer does it.
    """
    steps: list[Step] = [Absorbance()]
    if variant.snv:
        steps.append(StandardNormalVariate())
    steps.append(SavitzkyGolayDerivative(variant.window_nm, 2, variant.order, keep_nm))
    return recipe_on(grid, *steps)


def divide(features: Floats, blocks: Blocks) -> list[Floats]:
    """Give (n, bands) of each block for (n, features) of all."""
    return np.split(features, np.cumsum(blocks.sizes)[:-1], axis=1)


def block_scaling(features: Floats, blocks: Blocks) -> Scaling:
    """Scale each band to about one standard deviation, those that hardly vary to less; rounded as a bundle does.

    Args:
        features: (n, features) of training rows.
        blocks: that gave them.
    """
    parts = divide(features, blocks)
    # Without the addition, noise of a band that does not vary would become as large as any signal.
    scales = [part.std(axis=0) + 1e-3 * (float(part.std()) or 1.0) for part in parts]
    return as_stored(Scaling(features.mean(axis=0), np.concatenate(scales)))
