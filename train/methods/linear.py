"""Linear models for devices: a weight a band, as PLSR and ridge regression are once they are fitted.

They are carried as the stack is (`radial_network`), with its radial units silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.recipe import Blocks
from ..crossval.rows import TrainingRows
from .baselines import PartialLeastSquares
from .blocks import block_scaling
from .common import BackTransformation
from .kernel_members import Projection
from .radial_network import Branch, RadialNetwork
from .stack import Stack, StackModel


def linear_network(weights: Floats, intercept: float, back: BackTransformation) -> RadialNetwork:
    """Give a linear model as a network that a device can carry.

    Args:
        weights: (bands,) of the features, in the transform's space.
        intercept: likewise.
        back: from there to the unit.
    """
    nowhere = Projection(np.zeros((weights.size, 1)), np.zeros(1), np.ones((1, 1)))
    silent = Branch(nowhere, np.zeros((1, 1)), np.zeros((1, 1, 1, 1)), weights[:, None])
    return RadialNetwork(
        branches=(silent,),
        gammas=(1.0,),
        bias=np.array([intercept]),
        backs=(back,),
        shares=np.ones(1),
    )


@dataclass(frozen=True)
class Plsr(Stack):
    """Partial least squares regression as the baseline fits it, for a device."""

    key: ClassVar[str] = "plsr"
    name: ClassVar[str] = "PLSR for devices"
    about: ClassVar[str] = "partial least squares regression, tuned as the baseline is"

    def for_learning_curve(self) -> Plsr:
        """Give the method with its fast settings."""
        return Plsr(fast=True, recipe=self.recipe)

    def fit_whole(self, rows: TrainingRows) -> StackModel:
        """Fit one model of all rows."""
        found = PartialLeastSquares(self.fast, self.decide_by, recipe=self.recipe).fit(rows)
        kept = slice(None, None, found.band_step)
        nothing = np.zeros((1, found.scaling.offset.size))
        intercept = float(found.answer(nothing)[0])
        # Linear, so that what it says of one band alone is that band's weight.
        scaled = found.answer(np.eye(nothing.size)) - intercept
        weights = np.zeros(found.recipe.wavelengths_nm.size)
        weights[kept] = scaled / found.scaling.scale
        blocks = Blocks((found.recipe,))
        return StackModel(
            recipe=blocks,
            wavelengths_nm=found.wavelengths_nm,
            splices_nm=found.splices_nm,
            network=linear_network(weights, intercept - float(found.scaling.offset @ weights[kept]), found.back),
            scaling=block_scaling(rows.features(blocks), blocks.sizes),
            out_of_fold=found.out_of_fold,
            transform=found.back.transform,
            chosen=found.chosen,
        )
